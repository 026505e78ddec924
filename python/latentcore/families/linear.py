"""What families share whose log-density is linear in its statistics: ``log f_k(x) = T(x) . eta_k - A_k + h(x)``.

Columns are independent (or, for the multinomial, act as if they were), so that an entry that is missing is left out:
of T, of A, and of the counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore.protocols import Array, RealArray
from latentcore.statistics import Statistics

__all__ = ["Features", "Linear", "LinearForm", "LinearStatistics"]

P = TypeVar("P")

Features = Literal["x", "x_log_x", "cos_sin", "one_hot"]
"""T(x) of D columns: x; x of all columns, then log x of all; cosines, then sines; ones at codes, column by column."""


@dataclass(frozen=True, slots=True)
class LinearStatistics(Statistics):
    """Sums over rows under the components' weights.

    Attributes
    ----------
    counts : (K, D)
        Of the rows in which a column was observed.
    sums : (K, F)
        Of T(x).
    """

    counts: Array
    sums: Array


class LinearForm(NamedTuple):
    """``log f_k(x) = sum_d constants_kd + sum_f coefficients_kf T_f(x) + h(x)``, over what was observed.

    An infinite coefficient forbids: -inf allows only T_f = 0, +inf only T_f = 1. The constant is what remains then.
    """

    constants: Array
    """(K, D)"""
    coefficients: Array
    """(K, F)"""


class Linear(Generic[P]):
    """The protocol's functions for a family that gives its ``form``."""

    __slots__ = ()

    features: ClassVar[Features]

    def form(self, params: P) -> LinearForm:
        """Constants and coefficients of K components."""
        raise NotImplementedError

    def log_base(self, x: RealArray) -> Array | None:
        """log h(x) of each row, (N,), over what was observed; None where h is 1."""
        return None

    def n_levels(self) -> tuple[int, ...]:
        """Of ``one_hot`` features: the number of codes of each column."""
        raise NotImplementedError

    # -- the protocol

    def log_likelihood(self, params: P, x: RealArray) -> RealArray:
        """Log-densities, (N, K), nats."""
        constants, coefficients = self.form(params)
        observed, features = self._features(x)
        out = (
            observed @ constants.T + features @ np.where(np.isinf(coefficients), 0, coefficients).T
        )
        for k, f in np.argwhere(np.isinf(coefficients)):
            allowed = 0.0 if coefficients[k, f] < 0 else 1.0
            out[features[:, f] != allowed, k] = -np.inf
        base = self.log_base(x)
        if base is not None:
            out += base[:, None]
        with np.errstate(over="ignore"):  # -inf where a float32 cannot be as small
            return np.ascontiguousarray(out, x.dtype)

    def expected_statistics(
        self, params: P | None, x: RealArray, weights: RealArray
    ) -> LinearStatistics:
        """Sums of rows ``x`` (N, D) under ``weights`` (N, K) >= 0."""
        observed, features = self._features(x)
        wide = weights.astype(np.float64)
        return LinearStatistics(wide.T @ observed, wide.T @ features)

    # -- in NumPy

    def _features(self, x: RealArray) -> tuple[Array, Array]:
        """1 where an entry was observed, (N, D), and T(x), (N, F), zero where it was not."""
        missing: npt.NDArray[np.bool_] = np.isnan(x)
        wide: Array = np.where(missing, 1.0, x).astype(np.float64)
        observed = (~missing).astype(np.float64)
        if self.features == "x":
            parts = [wide]
        elif self.features == "x_log_x":
            parts = [wide, np.log(wide)]
        elif self.features == "cos_sin":
            parts = [np.cos(wide), np.sin(wide)]
        else:
            levels = self.n_levels()
            parts = [wide[:, [d]] == np.arange(n) for d, n in enumerate(levels)]
            shown = [np.repeat(observed[:, [d]], n, axis=1) for d, n in enumerate(levels)]
            return observed, np.hstack(parts) * np.hstack(shown)
        return observed, np.hstack([np.where(missing, 0.0, part) for part in parts])
