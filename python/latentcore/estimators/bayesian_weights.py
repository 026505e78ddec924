"""From the arguments on weights to their prior, and from their posterior to public attributes."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from latentcore.arrays import as_parameter
from latentcore.estimators.checks import one_of
from latentcore.protocols import Array
from latentcore.structures.weights import Dirichlet, FixedWeights, StickBreaking

__all__ = [
    "WeightPriorType",
    "Weights",
    "check_weight_prior",
    "concentration_attribute",
    "concentration_prior",
    "expected_counts",
    "weight_prior",
]

WeightPriorType = Literal["dirichlet_process", "dirichlet_distribution", "fixed"]
Weights: TypeAlias = Dirichlet | StickBreaking | FixedWeights


def check_weight_prior(type_: Any, concentration: Any, n_components: int) -> None:
    """Raise for arguments that are no prior of ``n_components`` weights."""
    one_of("weight_concentration_prior_type", type_, get_args(WeightPriorType))
    if concentration is None:
        return
    name = "weight_concentration_prior"
    if type_ == "fixed":
        raise ValueError(f"{name}: expected None with fixed weights, got {concentration!r}")
    values = np.asarray(as_parameter(concentration, name))
    shapes = [()] if type_ == "dirichlet_process" else [(), (n_components,)]
    if values.shape not in shapes:
        expected = " or ".join("a number" if not s else f"shape {s}" for s in shapes)
        raise ValueError(f"{name}: expected {expected}, got shape {values.shape}")
    if not (values > 0).all():
        raise ValueError(f"{name}: expected finite numbers > 0, got {values.min():g}")


def weight_prior(
    type_: WeightPriorType,
    concentration: npt.ArrayLike | None,
    n_components: int,
    sort_sticks: bool = False,
) -> Weights:
    """The prior; ``concentration`` is 1 / K unless it is given."""
    if type_ == "fixed":
        return FixedWeights(np.full(n_components, 1.0 / n_components))
    given = 1.0 / n_components if concentration is None else concentration
    if type_ == "dirichlet_process":
        return StickBreaking(float(np.asarray(given)), np.zeros(n_components), True, sort_sticks)
    return Dirichlet(np.array(np.broadcast_to(np.asarray(given, np.float64), n_components)))


def concentration_attribute(posterior: Weights) -> Array | tuple[Array, Array] | None:
    """``weight_concentration_``: alpha (K,), or both parameters (K,) of the Betas, by component."""
    if isinstance(posterior, Dirichlet):
        return posterior.alpha
    if isinstance(posterior, FixedWeights):
        return None
    order = posterior.order()
    a, b = np.empty_like(posterior.counts), np.empty_like(posterior.counts)
    a[order], b[order] = posterior.betas()
    return a, b


def concentration_prior(prior: Weights) -> float | Array | None:
    """``weight_concentration_prior_``: a number, or alpha (K,) where it is not symmetric."""
    if isinstance(prior, FixedWeights):
        return None
    if isinstance(prior, StickBreaking):
        return prior.concentration
    symmetric = (prior.alpha == prior.alpha[0]).all()
    return float(prior.alpha[0]) if symmetric else prior.alpha


def expected_counts(posterior: Weights, prior: Weights) -> Array | None:
    """How many rows the components have; None where weights are fixed, and do not tell."""
    if isinstance(posterior, Dirichlet) and isinstance(prior, Dirichlet):
        return posterior.alpha - prior.alpha
    return posterior.counts if isinstance(posterior, StickBreaking) else None
