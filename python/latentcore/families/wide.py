"""Linear families whose log-densities are small differences of large numbers: float32 rows in float64 arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Array, RealArray, Rows
from latentcore.errors import ImpossibleRowError
from latentcore.families.linear import Linear, LinearForm, LinearStatistics
from latentcore.statistics import total

__all__ = ["WideLinear"]

P = TypeVar("P")

_BLOCK_ELEMENTS = 1 << 16
"""Entries of rows, and of K numbers a row, that are float64 at a time: half a MiB."""


class WideLinear(Linear[P]):
    """As ``Linear``; float32 rows become float64 a block at a time, and what is said of them float32."""

    __slots__ = ()

    def log_kernel(self, params: P | LinearForm, x: RealArray) -> RealArray:
        """Log-densities without log h(x), (N, K), nats."""
        kernel = np.empty((len(x), len(self._form(params).constants)), x.dtype)
        for rows, wide in _blocks(x, kernel.shape[1]):
            kernel[rows] = super().log_kernel(params, wide)
        return kernel

    def expected_statistics(
        self, params: P | LinearForm | None, x: RealArray, weights: RealArray
    ) -> LinearStatistics:
        """Sums of rows ``x`` (N, D) under ``weights`` (N, K) >= 0, same dtype."""
        return total(
            super(WideLinear, self).expected_statistics(
                params, wide, weights[rows].astype(np.float64, copy=False)
            )
            for rows, wide in _blocks(x, weights.shape[1])
        )

    def mixture_sweep(
        self, params: P | LinearForm, log_weights: Array, data: Rows, hard: bool
    ) -> tuple[Array, LinearStatistics, float]:
        """Counts, statistics and objective of one E-step."""
        counts: Array = np.zeros(len(log_weights))
        parts, objective = [], 0.0
        for rows, wide in _blocks(data.x, len(log_weights)):
            weight = None if data.sample_weight is None else data.sample_weight[rows]
            labels = None if data.labels is None else data.labels[rows]
            block = Rows(wide, weight, labels=labels, prepared=data.prepared)
            try:
                part = super().mixture_sweep(params, log_weights, block, hard)
            except ImpossibleRowError as error:
                raise ImpossibleRowError(rows.start + error.row) from None
            counts += part[0]
            parts.append(part[1])
            objective += part[2]
        return counts, total(parts), objective

    def mixture_log_joint(
        self, params: P | LinearForm, log_weights: Array, x: RealArray
    ) -> RealArray:
        """(N, K): log weight plus log-density, nats."""
        joint = np.empty((len(x), len(log_weights)), x.dtype)
        for rows, wide in _blocks(x, len(log_weights)):
            joint[rows] = super().mixture_log_joint(params, log_weights, wide)
        return joint

    def mixture_responsibilities(
        self, params: P | LinearForm, log_weights: Array, x: RealArray
    ) -> tuple[RealArray, RealArray]:
        """(N, K) responsibilities and (N,) log-densities of the mixture, nats."""
        r, log_density = np.empty((len(x), len(log_weights)), x.dtype), np.empty(len(x), x.dtype)
        for rows, wide in _blocks(x, len(log_weights)):
            r[rows], log_density[rows] = super().mixture_responsibilities(params, log_weights, wide)
        return r, log_density

    def mixture_log_density(
        self, params: P | LinearForm, log_weights: Array, x: RealArray
    ) -> RealArray:
        """(N,) log-densities of the mixture, nats."""
        log_density = np.empty(len(x), x.dtype)
        for rows, wide in _blocks(x, len(log_weights)):
            log_density[rows] = super().mixture_log_density(params, log_weights, wide)
        return log_density

    def mixture_labels(
        self, params: P | LinearForm, log_weights: Array, x: RealArray
    ) -> npt.NDArray[np.intp]:
        """(N,) the most responsible component of each row, the first of equals."""
        labels = np.empty(len(x), np.intp)
        for rows, wide in _blocks(x, len(log_weights)):
            labels[rows] = super().mixture_labels(params, log_weights, wide)
        return labels


def _blocks(x: RealArray, n_components: int) -> Iterator[tuple[slice, Array]]:
    """Float64 rows and where they are; at least one block, all rows of x if it is float64 already."""
    size = max(len(x), 1)
    if x.dtype != np.float64:
        size = max(1, _BLOCK_ELEMENTS // max(n_components, x.shape[1]))
    for start in range(0, max(len(x), 1), size):
        rows = slice(start, start + size)
        yield rows, np.ascontiguousarray(x[rows], np.float64)
