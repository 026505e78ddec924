"""Exponentials, logarithms and log-sum-exp in fifty-digit arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

mpmath.mp.dps = 50


def exp(x: float) -> mpmath.mpf:
    return mpmath.exp(mpmath.mpf(x))


def log(x: float) -> mpmath.mpf:
    return mpmath.log(mpmath.mpf(x))


def worst_ulp(
    function: Callable[[float], mpmath.mpf], x: npt.NDArray[Any], got: npt.NDArray[Any]
) -> float:
    """Largest distance of ``got`` from the true values, in units of the last place of the true value."""
    worst = 0.0
    for argument, value in zip(x, got, strict=True):
        truth = function(float(argument))
        ulp = float(np.spacing(np.abs(got.dtype.type(float(truth)))))
        worst = max(worst, float(abs(mpmath.mpf(float(value)) - truth) / ulp))
    return worst


def logsumexp(row: Iterable[float]) -> float:
    """With the edge rules: NaN wins, then +inf; a row of -inf only, or an empty one, gives -inf."""
    values = [float(value) for value in row]
    if any(math.isnan(value) for value in values):
        return math.nan
    if any(value == math.inf for value in values):
        return math.inf
    finite = [value for value in values if value != -math.inf]
    if not finite:
        return -math.inf
    with mpmath.workdps(60):
        largest = mpmath.mpf(max(finite))
        # exp of -1e300 is 0 in every sense, and mpmath would take long over it
        total = mpmath.fsum(
            mpmath.exp(value - largest) for value in finite if value - largest > -1000
        )
        return float(largest + mpmath.log(total))
