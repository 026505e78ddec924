"""What a file keeps of a fitted Bayesian hidden Markov model, and the checks when it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentcore.estimators.bayesian_hmm_terms import HMMBoundTerms, divergence_of, total_of
from latentcore.estimators.checks import real
from latentcore.estimators.saved_learned import pack_learned, unpack_learned
from latentcore.structures.hmm import HMM, HMMPrior

__all__ = ["pack_hmm_posterior", "unpack_hmm_posterior"]

_KEPT = ("posterior_", "prior_", "family_", "n_features_in_", "elbo_terms_", "_before")


def pack_hmm_posterior(state: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the attributes in ``state``; nothing before a fit."""
    if "posterior_" not in state:
        return {}
    return {**pack_learned(state, _KEPT), "lower_bound_": state["lower_bound_"]}


def unpack_hmm_posterior(learned: Mapping[str, Any], family_class: type) -> dict[str, Any]:
    """The attributes that ``pack_hmm_posterior`` packed.

    Raises
    ------
    ValueError, TypeError, KeyError
        They are not those of a Bayesian hidden Markov model of this family.
    """
    values = dict(learned)
    bound = float(values.pop("lower_bound_"))
    values = unpack_learned(values, _KEPT, family_class)
    del values["n_degenerate_"]  # no posterior is
    _check_posterior(values)
    _check_terms(values["elbo_terms_"])
    if values["_before"] is not None:
        real("_before", abs(values["_before"]))
    return {**values, "lower_bound_": bound}


def _check_posterior(values: Mapping[str, Any]) -> None:
    posterior, prior, family = values["posterior_"], values["prior_"], values["family_"]
    if type(posterior) is not HMMPrior or type(prior) is not HMMPrior:
        raise ValueError(f"posterior_: expected an HMMPrior, got {posterior!r}")
    model: HMM[Any, Any] = HMM(family)
    divergence = model.divergence(posterior, prior)  # of shapes that agree
    x = np.zeros((1, values["n_features_in_"]))
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
