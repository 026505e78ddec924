"""Rows that count: those of positive weight."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Rows
from latentcore.protocols import Array

RandomState = np.random.RandomState | np.random.Generator
Indices = npt.NDArray[np.intp]


def weights_of(data: Rows) -> Array:
    return np.ones(len(data)) if data.sample_weight is None else data.sample_weight


def n_present(data: Rows) -> int:
    return len(data) if data.sample_weight is None else int(np.count_nonzero(data.sample_weight))


def check_enough_rows(data: Rows, n: int, name: str) -> None:
    n_rows = n_present(data)
    if not 1 <= n <= n_rows:
        which = "rows" if data.sample_weight is None else "rows of positive weight"
        raise ValueError(f"{name}: expected between 1 and the number of {which}, {n_rows}, got {n}")


def rows_without_replacement(data: Rows, n: int, random_state: RandomState) -> Indices:
    drawn: Indices = random_state.choice(n_present(data), size=n, replace=False)
    return drawn if data.sample_weight is None else np.flatnonzero(data.sample_weight)[drawn]
