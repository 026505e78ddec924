"""Rows that were observed as a whole or not at all, for posteriors that half a row would not leave conjugate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore import floors
from latentcore.arrays import Array, RealArray

__all__ = ["WholeRows", "observed_rows"]


@dataclass(frozen=True, slots=True)
class WholeRows:
    """A family in which a row of NaN is a step without an observation: of density one, and in no statistics.

    Where a mixture or a chain is fitted by variational inference, that is exact.

    Parameters
    ----------
    family : Family
        Of the other rows, which have no missing entry.
    """

    family: Any

    def log_likelihood(self, params: Any, x: RealArray) -> RealArray:
        """Log-densities, (N, K), nats."""
        there = _there(x)
        seen: RealArray = self.family.log_likelihood(params, x[there])
        if len(seen) == len(x):
            return seen
        out = np.zeros((len(x), seen.shape[1]), seen.dtype)
        out[there] = seen
        return out

    def expected_statistics(self, params: Any, x: RealArray, weights: RealArray) -> Any:
        """Those of the rows that were observed."""
        there = _there(x)
        return self.family.expected_statistics(params, x[there], weights[there])

    def maximize(self, stats: Any, previous: Any = None) -> Any:
        """The family's."""
        return self.family.maximize(stats, previous)

    def model_statistics(self, params: Any, counts: Array) -> Any:
        """The family's, of rows that were observed."""
        return self.family.model_statistics(params, counts)

    def relative_entropy(self, a: Any, b: Any) -> Array:
        """The family's."""
        divergence: Array = self.family.relative_entropy(a, b)
        return divergence

    def with_floor(self, stats: Any) -> Any:
        """The family's."""
        return floors.with_floor(self.family, stats)

    def without_floor(self) -> WholeRows:
        """Of the family whose ``maximize`` adds nothing."""
        return WholeRows(floors.without_floor(self.family))

    def update(self, prior: Any, stats: Any) -> Any:
        """The family's."""
        return self.family.update(prior, stats)

    def mode(self, posterior: Any, previous: Any = None) -> Any:
        """The family's."""
        return self.family.mode(posterior, previous)

    def expected(self, posterior: Any, n_components: int) -> Any:
        """The family's."""
        return self.family.expected(posterior, n_components)

    def divergence(self, posterior: Any, prior: Any) -> Array:
        """The family's."""
        divergence: Array = self.family.divergence(posterior, prior)
        return divergence

    def blend(self, posterior: Any, other: Any, rate: float) -> Any:
        """The family's."""
        return self.family.blend(posterior, other, rate)

    def mean(self, posterior: Any) -> Any:
        """The family's."""
        return self.family.mean(posterior)


def observed_rows(x: RealArray, columns: Sequence[object] | None = None) -> npt.NDArray[np.bool_]:
    """Which rows were observed, (N,).

    Raises
    ------
    ValueError
        A row was observed in part, naming it and its first missing column.
    """
    missing = np.isnan(x)
    n_missing = missing.sum(axis=1)
    there: npt.NDArray[np.bool_] = n_missing == 0
    parts = np.flatnonzero(~there & (n_missing < x.shape[1]))
    if parts.size:
        row = int(parts[0])
        column = int(missing[row].argmax())
        name = column if columns is None else repr(columns[column])
        raise ValueError(
            f"X: expected rows that were observed or missing as a whole, for a posterior of this family, "
            f"got NaN in row {row}, column {name}, alone"
        )
    return there


def _there(x: RealArray) -> Any:
    """An index of the rows that were observed; all, without a copy, where none is missing."""
    missing = np.isnan(x[:, 0])
    return np.flatnonzero(~missing) if missing.any() else slice(None)
