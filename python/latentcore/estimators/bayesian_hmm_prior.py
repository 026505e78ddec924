"""From the arguments on the chain of a Bayesian hidden Markov model to its Dirichlets."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentcore.arrays import as_parameter
from latentcore.estimators.checks import real
from latentcore.protocols import Array

__all__ = ["chain_prior"]


def chain_prior(
    startprob_prior: Any, transmat_prior: Any, stickiness: Any, n_states: int
) -> tuple[Array, Array]:
    """Alpha of the start law (S,) and of the rows of the transition matrix (S, S); 1 / S where None.

    Raises
    ------
    TypeError, ValueError
        Not numbers >= 0 of these shapes, or a row of zeros.
    """
    initial = _alpha(startprob_prior, (n_states,), "startprob_prior")
    transition = _alpha(transmat_prior, (n_states, n_states), "transmat_prior")
    possible = transition.diagonal() > 0
    transition[np.diag_indices(n_states)] += real("stickiness", stickiness) * possible
    return initial, transition


def _alpha(value: Any, shape: tuple[int, ...], name: str) -> Array:
    """One number stands for all entries."""
    given = as_parameter(1.0 / shape[0] if value is None else value, name)
    if given.shape not in ((), shape):
        raise ValueError(f"{name}: expected a number or shape {shape}, got shape {given.shape}")
    alpha: Array = np.array(np.broadcast_to(given, shape), np.float64)
    if (alpha < 0).any():
        raise ValueError(
            f"{name}: expected numbers > 0, or 0 where nothing is possible, got {alpha.min():g}"
        )
    if not alpha.any(axis=-1).all():
        raise ValueError(f"{name}: expected a positive number in every row, got only zeros")
    return alpha
