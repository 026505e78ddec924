"""Relative entropies of pairs of components, out of those of their columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from latentcore.arrays import Array
from latentcore.families.support import log_of

__all__ = ["by_pairs", "log_ratio", "of_counts"]

_NEAR = 0.5


def by_pairs(
    term: Callable[..., Array], of_first: Sequence[Array], of_second: Sequence[Array]
) -> Array:
    """``sum_d term(first_id, second_jd)``, (K, K'), never below 0; one component of the second at a time.

    Parameters
    ----------
    term : parameters (K, D) of the first, parameters (D,) of one of the second -> (K, D)
    of_first, of_second : parameters (K, D) and (K', D), as many of each
    """
    out = np.empty((len(of_first[0]), len(of_second[0])))
    for j, others in enumerate(zip(*of_second, strict=True)):
        with np.errstate(over="ignore"):  # +inf, where the numbers end
            out[:, j] = term(*of_first, *others).sum(axis=1)
    return np.maximum(out, 0.0)


def of_counts(p: Array, q: Array) -> Array:
    """``p log(p / q) - p + q``, entry by entry, of numbers >= 0: without cancellation where p and q are near.

    0 log 0 is 0, and p > 0 = q gives +inf.
    """
    positive = p > 0
    divisor = np.where(positive, p, 1.0)
    log = np.where(positive, log_ratio(divisor, q), 0.0)
    near = np.abs(q - p) < _NEAR * p
    small = np.where(near, (q - p) / divisor, 0.0)
    return np.where(near, p * (small - log), q - p - p * log)


def log_ratio(p: Array, q: Array) -> Array:
    """``log(q / p)`` of p > 0 and q >= 0, to the rounding of their difference where they are near."""
    near = np.abs(q - p) < _NEAR * p
    change = np.where(near, (q - p) / p, 0.0)
    return np.where(near, np.log1p(change), log_of(q) - log_of(p))
