"""What families of independent columns share: supports, quotients of sums, missing entries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.arrays import CSR, Array, RealArray

__all__ = [
    "check_entries",
    "column_means",
    "digamma",
    "filled",
    "imputed",
    "log_factorial",
    "log_gamma",
    "log_of",
    "log_rising",
    "quotients",
    "row_sums",
    "sums_of_entries",
    "whole",
]

_BLOCK_ELEMENTS = 1 << 16
"""Entries looked at together: half a MiB."""


# -- supports


def check_entries(
    x: RealArray | CSR,
    columns: Sequence[object] | None,
    allowed: Callable[[RealArray], npt.NDArray[np.bool_]],
    expected: Callable[[int], str],
) -> None:
    """Look at all entries, a block at a time; those that a CSR does not store are zeros, and allowed.

    Parameters
    ----------
    x : (N, D)
    columns : names or indices of the columns, for the message
    allowed : block of rows (n, D), or of a CSR's entries (n,) -> mask of that shape
    expected : column -> what its entries have to be

    Raises
    ------
    ValueError
        For the first entry that is not allowed, naming its row and column.
    """
    if isinstance(x, CSR):
        begin, end = int(x.begins[0]), int(x.begins[-1])
        for start in range(begin, end, _BLOCK_ELEMENTS):
            bad = ~allowed(x.values[start : min(start + _BLOCK_ELEMENTS, end)])
            if bad.any():
                entry = start + int(bad.argmax())
                row = int(np.searchsorted(x.begins, entry, side="right")) - 1
                _refuse(x.values[entry], row, int(x.columns[entry]), columns, expected)
        return
    size = max(1, _BLOCK_ELEMENTS // x.shape[1])
    for start in range(0, len(x), size):
        bad = ~allowed(x[start : start + size])
        if bad.any():
            row, column = divmod(int(bad.argmax()), x.shape[1])
            value = x[start + row, column]
            _refuse(value, start + row, column, columns, expected)


def _refuse(
    value: Any,
    row: int,
    column: int,
    columns: Sequence[object] | None,
    expected: Callable[[int], str],
) -> None:
    name = str(column) if columns is None else repr(columns[column])
    raise ValueError(f"X: expected {expected(column)}, got {value} in row {row}, column {name}")


def whole(x: RealArray) -> npt.NDArray[np.bool_]:
    """Where entries are whole numbers >= 0."""
    mask: npt.NDArray[np.bool_] = (x >= 0) & (x < np.inf) & (np.floor(x) == x)
    return mask


# -- parameters


def quotients(above: Array, below: Array, previous: Array | None, neutral: Array | float) -> Array:
    """``above / below``, (K, F), where ``below`` is positive.

    Elsewhere ``previous``; if there is none, the quotient of the sums over components; if these are zero too,
    ``neutral``.
    """
    seen = below > 0
    if seen.all():
        return above / below
    if previous is None:
        pooled = [part.sum(axis=0, keepdims=True) for part in (above, below)]
        previous = quotients(
            pooled[0], pooled[1], np.broadcast_to(neutral, pooled[0].shape), neutral
        )
    out = np.broadcast_to(previous, above.shape).copy()
    return np.divide(above, below, out=out, where=seen)


def log_of(x: Array) -> Array:
    """The logarithm; -inf for 0, without a warning."""
    return kernels.log(np.ascontiguousarray(x))


def log_gamma(x: Array) -> Array:
    """log Gamma(x) of positive numbers, entry by entry."""
    return kernels.lgamma(np.ascontiguousarray(x))


def digamma(x: Array) -> Array:
    """The derivative of log Gamma at positive numbers, entry by entry."""
    return kernels.digamma(np.ascontiguousarray(x))


_STIRLING_FROM = 32.0


def log_rising(a: Array, n: Array) -> Array:
    """``log Gamma(a + n) - log Gamma(a)`` for a > 0 and n >= 0, without the cancellation at large a."""
    a, n = np.broadcast_arrays(a, n)
    out: Array = log_gamma(a + n) - log_gamma(a)
    large = a > _STIRLING_FROM
    a, n = a[large], n[large]
    correction = _stirling(a + n) - _stirling(a)
    out[large] = (a - 0.5) * np.log1p(n / a) + n * (log_of(a + n) - 1.0) + correction
    return out


def _stirling(x: Array) -> Array:
    """``log Gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2`` to 1e-16 for x > 32."""
    inverse = 1.0 / x
    square = inverse * inverse
    series: Array = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    return series


_LOG_FACTORIALS = np.array([math.lgamma(n + 1) for n in range(256)])


def log_factorial(counts: Array) -> Array:
    """log Gamma(counts + 1), by a table for small whole counts."""
    largest = len(_LOG_FACTORIALS) - 1
    index = np.maximum(np.minimum(counts, largest), 0).astype(np.intp)
    out: Array = _LOG_FACTORIALS[index]
    others = index != counts
    if others.any():
        out[others] = log_gamma(counts[others] + 1.0)
    return out


# -- rows


def row_sums(x: RealArray | CSR, function: Callable[[Array], Array]) -> Array:
    """``sum_d function(x_nd)`` over what was observed, (N,), a block at a time; ``function`` is 0 at 0."""
    n_entries = int(x.begins[-1] - x.begins[0]) if isinstance(x, CSR) else x.size
    size = max(1, _BLOCK_ELEMENTS * len(x) // max(n_entries, 1))
    out: Array = np.empty(len(x))
    for start in range(0, len(x), size):
        block = x[start : start + size]
        if isinstance(block, CSR):
            rows = np.repeat(np.arange(len(block)), np.diff(block.begins))
            values = block.values[int(block.begins[0]) : int(block.begins[-1])].astype(np.float64)
            out[start : start + size] = np.bincount(rows, function(values), minlength=len(block))
        else:
            values = block.astype(np.float64)
            values[np.isnan(values)] = 0.0
            out[start : start + size] = function(values).sum(axis=1)
    return out


def sums_of_entries(
    x: RealArray | CSR,
    constants: Array,
    term: Callable[[int, Array, Any], Array],
    base: Array | float = 0.0,
) -> RealArray:
    """``base_nk + sum_d constants_kd + term_kd(x_nd)`` over what was observed, (N, K), a block of rows at a time.

    Parameters
    ----------
    x : (N, D)
    constants : (K, D)
    term : (k, entries, index of their columns) -> values of the entries' shape
        0 where the entry is.
    base : (N, K), or of a shape that broadcasts
    """
    n_entries = int(x.begins[-1] - x.begins[0]) if isinstance(x, CSR) else x.size
    size = max(1, _BLOCK_ELEMENTS * len(x) // max(n_entries, 1))
    columns: Any
    out = np.empty((len(x), len(constants)), x.dtype)
    base = np.broadcast_to(base, out.shape)
    for start in range(0, len(x), size):
        block = x[start : start + size]
        if isinstance(block, CSR):
            stored = slice(int(block.begins[0]), int(block.begins[-1]))
            rows = np.repeat(np.arange(len(block)), np.diff(block.begins))
            values, columns = block.values[stored].astype(np.float64), block.columns[stored]
        else:
            values, columns = block.astype(np.float64), slice(None)
            missing = np.isnan(values)
            values[missing] = 0.0
        for k, constant in enumerate(constants):
            terms = term(k, values, columns)
            if isinstance(block, CSR):
                sums = np.bincount(rows, terms, minlength=len(block)) + constant.sum()
            else:
                sums = np.where(missing, 0.0, constant + terms).sum(axis=1)
            with np.errstate(over="ignore"):  # -inf where a float32 cannot be as small
                out[start : start + size, k] = base[start : start + size, k] + sums
    return out


def column_means(x: Array) -> Array:
    """Means over what was observed, (D,); 0 for a column of which nothing was."""
    observed = ~np.isnan(x)
    sums = np.where(observed, x, 0.0).sum(axis=0)
    means: Array = sums / np.maximum(observed.sum(axis=0), 1)
    return means


def filled(x: Array) -> Array:
    """Missing entries replaced by the means of their columns."""
    return np.where(np.isnan(x), column_means(x), x)


def imputed(x: RealArray, responsibilities: RealArray, values: Array) -> RealArray:
    """A copy of x (N, D), missing entries replaced by mixtures of the components' ``values`` (K, D)."""
    out = x.copy()
    rows = np.flatnonzero(np.isnan(x).any(axis=1))
    means = responsibilities[rows].astype(np.float64) @ values
    out[rows] = np.where(np.isnan(x[rows]), means, x[rows])
    return out
