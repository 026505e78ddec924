"""Parameters and families that a user gives, as their classes want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from latentcore.arrays import as_parameter
from latentcore.families.categorical import Categorical
from latentcore.protocols import Array, RealArray

__all__ = [
    "categorical",
    "check_n_categories",
    "check_same_shape",
    "check_sums",
    "code_probabilities",
    "matrix",
    "positive",
]


def matrix(value: Any, name: str, *, low: float, high: float = np.inf) -> Array:
    """Finite numbers within ``low`` and ``high``, (K, D)."""
    array: Array = as_parameter(value, name).astype(np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name}: expected shape (n_components, n_features), got {array.shape}")
    wrong = (array < low) | (array > high)
    if wrong.any():
        limits = f"numbers from {low:g} to {high:g}" if high < np.inf else f"numbers >= {low:g}"
        raise ValueError(f"{name}: expected {limits}, got {array[wrong][0]}")
    return array


def positive(value: Any, name: str) -> Array:
    array = matrix(value, name, low=0.0)
    if not array.all():
        raise ValueError(f"{name}: expected numbers > 0, got 0.0")
    return array


def check_same_shape(array: Array, name: str, other: Array, as_name: str) -> None:
    if array.shape != other.shape:
        raise ValueError(
            f"{name}: expected the shape {other.shape} of {as_name}, got {array.shape}"
        )


def check_sums(probabilities: Array, starts: list[int], name: str) -> None:
    sums = np.add.reduceat(probabilities, starts, axis=1)
    if (abs(sums - 1.0) > 1e-8).any():
        worst = sums.flat[int(abs(sums - 1.0).argmax())]
        raise ValueError(f"{name}: expected probabilities that sum to 1, got the sum {worst}")


def code_probabilities(value: Any, family: Categorical, name: str) -> Array:
    """Probabilities of the codes of each column, (K, sum of levels)."""
    p = matrix(value, name, low=0.0, high=1.0)
    if p.shape[1] != sum(family.levels):
        raise ValueError(
            f"{name}: expected sum of n_categories = {sum(family.levels)} columns, "
            f"got shape {p.shape}"
        )
    check_sums(p, [0, *np.cumsum(family.levels)[:-1].tolist()], name)
    return p


def categorical(
    n_categories: int | Sequence[int] | None, x: RealArray, names: list[str] | None
) -> Categorical:
    """The family of rows ``x`` with these numbers of codes; None finds them in the rows."""
    if n_categories is None:
        return Categorical.of_rows(x, names)
    given = np.atleast_1d(np.asarray(n_categories))
    levels = np.broadcast_to(given, (x.shape[1],)) if given.size == 1 else given
    return Categorical(tuple(int(n) for n in levels))


def check_n_categories(n_categories: Any) -> None:
    """Raise ``ValueError`` for what is no number of codes."""
    if n_categories is None:
        return
    given = np.atleast_1d(np.asarray(n_categories))
    if given.ndim != 1 or given.dtype.kind not in "iuf" or not (given >= 1).all():
        raise ValueError(
            f"n_categories: expected None, an integer >= 1 or one for each column, "
            f"got {n_categories!r}"
        )
    if (given % 1 != 0).any():
        raise ValueError(f"n_categories: expected integers, got {n_categories!r}")
