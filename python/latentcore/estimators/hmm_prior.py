"""From the argument ``prior`` to a prior of the chain and the emissions."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from latentcore.estimators.priors import Pooling, check_component_prior, weak_prior
from latentcore.protocols import Array
from latentcore.sequences import Sequences
from latentcore.structures.hmm import HMM, HMMPrior

__all__ = ["HMMPriorArgument", "resolved"]

H = TypeVar("H")

HMMPriorArgument: TypeAlias = Literal["weak"] | HMMPrior[H] | H | None
"""What the argument may be."""


def resolved(
    prior: Any, model: HMM[Any, Any], data: Sequences | Pooling, initial: Array, transition: Array
) -> HMMPrior[Any] | None:
    """The prior of a fit; None for maximum likelihood.

    Parameters
    ----------
    prior : None, "weak", HMMPrior, or the prior of the emissions
        "weak" is the family's own on the scale of the data, and Dirichlets of ``alpha = 1 + 1/S`` on the start law and
        on each row of the transition matrix. With a prior of the emissions alone, those of the chain are flat.
    initial, transition : (S,), (S, S)
        What a fit begins with: zeros stay.

    Raises
    ------
    TypeError
        The family has no conjugate prior, or another one.
    ValueError
        A prior of the wrong shape, or ``alpha < 1`` where a transition is not forbidden.
    """
    if prior is None:
        return None
    family: Any = model.family
    n_states = len(initial)
    if not hasattr(family, "mode"):
        raise TypeError(
            f"prior: expected None, as {type(family).__name__} has no conjugate prior, got {prior!r}"
        )
    possible = (initial > 0).astype(np.float64), (transition > 0).astype(np.float64)
    if isinstance(prior, str):
        alpha = 1.0 + 1.0 / n_states
        pooling = data.rows() if isinstance(data, Sequences) else data
        emissions = weak_prior(family, pooling, n_states)
        return HMMPrior(alpha * possible[0], alpha * possible[1], emissions)
    if not isinstance(prior, HMMPrior):
        prior = HMMPrior(*possible, prior)
    alphas = (
        _checked(prior.initial, possible[0], "initial"),
        _checked(prior.transition, possible[1], "transition"),
    )
    check_component_prior(prior.emissions, family, n_states)
    return HMMPrior(*alphas, prior.emissions)


def _checked(alpha: Any, possible: Array, name: str) -> Array:
    """Alpha, 0 where the start of the fit forbids."""
    alpha = np.array(alpha, np.float64)
    if alpha.shape != possible.shape:
        raise ValueError(f"prior.{name}: expected shape {possible.shape}, got {alpha.shape}")
    if not np.isfinite(alpha).all() or not ((alpha >= 1) | (alpha == 0)).all():
        raise ValueError(
            f"prior.{name}: expected finite numbers >= 1, or 0 where forbidden, got {alpha!r}"
        )
    allowed: Array = alpha * possible
    return allowed
