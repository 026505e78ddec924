"""Start laws and transition matrices as users give them."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentcore.arrays import as_parameter
from latentcore.protocols import Array
from latentcore.structures.topology import Topology

__all__ = ["checked_initial", "checked_transition", "with_zeros"]


def checked_initial(value: Any, n_states: int, name: str) -> Array:
    """(S,) numbers >= 0 that sum to one."""
    initial = as_parameter(value, name)
    _check_shape(initial, (n_states,), name)
    _check_laws(initial[None], name, "")
    return initial.astype(np.float64, copy=False)


def checked_transition(value: Any, n_states: int, name: str) -> Array:
    """(S, S) numbers >= 0, in rows that sum to one."""
    transition = as_parameter(value, name)
    _check_shape(transition, (n_states, n_states), name)
    _check_laws(transition, name, " in row {}")
    return transition.astype(np.float64, copy=False)


def with_zeros(topology: Topology, initial: Array | None, transition: Array | None) -> Topology:
    """The topology in which zeros of what the user gives to begin with are forbidden, too.

    They stay zero anyway; so they are not counted as free, and no prior revives them. One with given or tied entries
    is left as it is.

    Raises
    ------
    ValueError
        The topology forbids what is given.
    """
    topology.check_law(initial, transition)
    laws = [law for law in (initial, transition) if law is not None and not law.all()]
    if not laws or not topology.only_masks:
        return topology
    start, rows = topology.allowed(len(laws[0]))
    if initial is not None:
        start = start & (initial > 0)
    if transition is not None:
        rows = rows & (transition > 0)
    return Topology(rows, start)


def _check_shape(array: Any, shape: tuple[int, ...], name: str) -> None:
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape} for {shape[0]} states, got {array.shape}")


def _check_laws(laws: Any, name: str, where: str) -> None:
    negative = np.argwhere(laws < 0)
    if len(negative):
        row, column = negative[0].tolist()
        raise ValueError(
            f"{name}: expected probabilities >= 0, got {laws[row, column]}{where.format(row)}"
        )
    sums = laws.sum(axis=1, dtype=np.float64)
    tolerance = 1e-6 if laws.dtype == np.float32 else 1e-8
    wrong = np.flatnonzero(abs(sums - 1.0) > tolerance)
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"{name}: expected probabilities that sum to 1, got the sum {sums[row]:.9g}"
            f"{where.format(row)}"
        )
