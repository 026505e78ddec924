"""What a file keeps of a fitted Bayesian hidden Markov model, and the checks when it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentcore.estimators.bayesian_hmm_terms import HMMBoundTerms, divergence_of, total_of
from latentcore.estimators.checks import integer, real
from latentcore.estimators.saved_fit import pack_fit, unpack_fit
from latentcore.estimators.saved_values import pack, unpack
from latentcore.structures.hmm import HMM, HMMPrior

__all__ = ["pack_hmm_posterior", "unpack_hmm_posterior"]

_KEPT = ("posterior_", "prior_", "family_", "n_features_in_", "elbo_terms_", "_before")


def pack_hmm_posterior(state: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the attributes in ``state``; nothing before a fit."""
    if "posterior_" not in state:
        return {}
    kept = {name: state[name] for name in _KEPT}
    return {**pack(kept), **pack_fit(state), "lower_bound_": state["lower_bound_"]}


def unpack_hmm_posterior(learned: Mapping[str, Any], family_class: type) -> dict[str, Any]:
    """The attributes that ``pack_hmm_posterior`` packed.

    Raises
    ------
    ValueError, TypeError, KeyError
        They are not those of a Bayesian hidden Markov model of this family.
    """
    fit = {name: learned[name] for name in [*pack_fit({}), "lower_bound_"]}
    values = unpack({name: value for name, value in learned.items() if name not in fit})
    if values.keys() != set(_KEPT):
        raise ValueError(f"expected the attributes {list(_KEPT)}, got {list(values)}")
    family = values["family_"]
    if type(family) is not family_class:
        raise ValueError(f"family_: expected {family_class.__name__}, got {family!r}")
    n_features = integer("n_features_in_", values["n_features_in_"], 1)
    _check_posterior(family, values["posterior_"], values["prior_"], n_features)
    _check_terms(values["elbo_terms_"])
    if values["_before"] is not None:
        real("_before", abs(values["_before"]))
    of_fit = unpack_fit(fit, n_features)
    del of_fit["n_degenerate_"]  # no posterior is
    return {**values, **of_fit, "lower_bound_": float(learned["lower_bound_"])}


def _check_posterior(family: Any, posterior: Any, prior: Any, n_features: int) -> None:
    if type(posterior) is not HMMPrior or type(prior) is not HMMPrior:
        raise ValueError(f"posterior_: expected an HMMPrior, got {posterior!r}")
    model: HMM[Any, Any] = HMM(family)
    divergence = model.divergence(posterior, prior)  # of shapes that agree
    x = np.zeros((1, n_features))
    density = family.log_likelihood(model.expected(posterior).emissions, x)
    shape = (1, len(posterior.initial))
    if not np.isfinite(divergence[0] + divergence[1].sum()) or np.isnan(density).any():
        raise ValueError("posterior_: expected a finite divergence from the prior")
    if density.shape != shape:
        raise ValueError(f"posterior_: expected emissions of {shape[1]} states")


def _check_terms(terms: Any) -> None:
    known = terms.keys() == HMMBoundTerms.__required_keys__
    # after Ctrl-C the log normaliser is NaN
    if not known or np.isinf(total_of(terms)) or not np.isfinite(divergence_of(terms)):
        raise ValueError(f"elbo_terms_: expected finite terms, got {terms!r}")
