"""What a file keeps of a fitted Bayesian mixture, and the checks when it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentcore.estimators.bayesian_stream import Course
from latentcore.estimators.bayesian_terms import BoundTerms, total_of
from latentcore.estimators.checks import integer, one_of, real
from latentcore.estimators.saved_learned import pack_learned, unpack_learned
from latentcore.structures.mixture import Mixture, MixturePrior

__all__ = ["pack_posterior", "unpack_posterior"]

_KEPT = (
    "posterior_",
    "prior_",
    "family_",
    "n_features_in_",
    "elbo_terms_",
    "_dtype",
    "_course",
    "_copies",
)
_OF_DATA = ("expected_log_joint", "entropy")
"""Terms of the bound that are NaN after an interrupted fit, and None in its file, which knows no NaN."""


def pack_posterior(state: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the attributes in ``state``; nothing before a fit."""
    if "posterior_" not in state:
        return {}
    terms = state["elbo_terms_"]
    if np.isnan(total_of(terms)):  # of an interrupted fit
        state = {**state, "elbo_terms_": {**terms, **dict.fromkeys(_OF_DATA)}}
    return {**pack_learned(state, _KEPT), "lower_bound_": state["lower_bound_"]}


def unpack_posterior(learned: Mapping[str, Any], family_class: type) -> dict[str, Any]:
    """The attributes that ``pack_posterior`` packed.

    Raises
    ------
    ValueError, TypeError, KeyError
        They are not those of a Bayesian mixture of this family.
    """
    values = dict(learned)
    bound = float(values.pop("lower_bound_"))
    values = unpack_learned(values, _KEPT, family_class)
    del values["n_degenerate_"]  # no posterior is
    posterior, prior, family = values["posterior_"], values["prior_"], values["family_"]
    if type(posterior) is not MixturePrior or type(prior) is not MixturePrior:
        raise ValueError(f"posterior_: expected a MixturePrior, got {posterior!r}")
    model: Mixture[Any, Any] = Mixture(family)
    divergence = model.divergence(posterior, prior)  # of shapes that agree
    x = np.zeros((1, values["n_features_in_"]))
    density = model.log_joint(model.expected(posterior), x)
    if not np.isfinite(divergence[0] + divergence[1].sum()) or np.isnan(density).any():
        raise ValueError("posterior_: expected a finite divergence from the prior")
    integer("_copies", values["_copies"], 1)
    terms = values["elbo_terms_"]
    if all(terms.get(name, 0.0) is None for name in _OF_DATA):
        terms.update(dict.fromkeys(_OF_DATA, np.nan))
    if terms.keys() != BoundTerms.__required_keys__ or np.isinf(total_of(terms)):
        raise ValueError(f"elbo_terms_: expected finite terms, got {terms!r}")
    went = Course(*values["_course"])
    if went.before is not None:
        real("_course.before", abs(went.before))
    integer("_course.n_steps", went.n_steps, 0)
    real("_course.weight", went.weight)
    one_of("_dtype", values["_dtype"], ("float32", "float64"))
    return {**values, "_course": went, "lower_bound_": bound}
