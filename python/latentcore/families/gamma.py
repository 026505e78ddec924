"""Positive numbers: D independent gammas, ``log f(x) = sum_d (a - 1) log x - b x + a log b - log Gamma(a)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from latentcore import kernels
from latentcore.arrays import Array, RealArray
from latentcore.families.divergences import by_pairs, log_ratio
from latentcore.families.linear import Features, LinearForm, LinearStatistics
from latentcore.families.pseudo_rows import PseudoRows
from latentcore.families.support import (
    check_entries,
    digamma,
    filled,
    imputed,
    log_of,
    log_rising,
    quotients,
)
from latentcore.families.wide import WideLinear

__all__ = ["LARGEST_SHAPE", "Gamma", "GammaParams"]

LARGEST_SHAPE = 1e8
"""The cap: a standard deviation of a ten-thousandth of the mean. Beyond it float64 cannot tell log-densities apart."""

_SMALLEST_MEAN = 1e-290
_SMALLEST_DRAW = float(np.finfo(np.float64).smallest_normal)
_MEAN_LOG_OF_ONE = -0.5772156649015329
"""Of an exponential of mean 1."""
_SMALLEST_GAP = 1e-6


@dataclass(frozen=True, slots=True)
class GammaParams:
    """Shapes and rates, (K, D), > 0; means are shapes / rates."""

    shapes: Array
    rates: Array


@dataclass(frozen=True, slots=True)
class Gamma(WideLinear[GammaParams]):
    """Independent gammas, D numbers > 0 a row; NaN is a missing one.

    A component whose rows are all equal in a column would have an infinite shape and density. Its shape is capped at
    1e8, and ``degenerate`` names the component.

    Notes
    -----
    Log-densities are sums of numbers as large as ``shape |log x|``, which float64 holds to 1e-7 nats at the cap; so
    float32 rows are taken in float64 arithmetic too.
    """

    features: ClassVar[Features] = "x_log_x"

    def form(self, params: GammaParams) -> LinearForm:
        """``a log b - log Gamma(a)``; ``-b``, then ``a - 1``."""
        a, b = np.ascontiguousarray(params.shapes), params.rates
        return LinearForm(a * log_of(b) - kernels.lgamma(a), np.hstack([-b, a - 1.0]))

    def maximize(self, stats: LinearStatistics, previous: GammaParams | None = None) -> GammaParams:
        """The root of ``log a - psi(a) = log(mean x) - mean log x`` (Minka, 2002), at most 1e8; ``b = a / mean x``.

        A component without weight in a column keeps its previous parameters; if there are none, it gets those of the
        column over all components, or shape 1 and rate 1 if they have no weight there either.
        """
        sums, sums_of_logs = np.hsplit(stats.sums, 2)
        means = np.maximum(quotients(sums, stats.counts, None, 1.0), _SMALLEST_MEAN)
        mean_logs = quotients(sums_of_logs, stats.counts, None, _MEAN_LOG_OF_ONE)
        shapes = _shapes_of(log_of(means) - mean_logs)
        params = GammaParams(shapes, shapes / means)
        if previous is None:
            return params
        seen = stats.counts > 0
        return GammaParams(
            np.where(seen, params.shapes, previous.shapes),
            np.where(seen, params.rates, previous.rates),
        )

    def model_statistics(self, params: GammaParams, counts: Array) -> LinearStatistics:
        """Statistics that ``counts`` (K,) complete rows of the components are expected to give."""
        seen = np.repeat(counts[:, None], params.shapes.shape[1], axis=1)
        means = params.shapes / params.rates
        mean_logs = kernels.digamma(np.ascontiguousarray(params.shapes)) - log_of(params.rates)
        return LinearStatistics(seen, np.hstack([seen * means, seen * mean_logs]))

    def relative_entropy(self, a: GammaParams, b: GammaParams) -> Array:
        """KL(component i of ``a`` || component j of ``b``), (K, K'), nats.

        ``(a - a') psi(a) - log G(a) + log G(a') + a' log(b / b') + a (b' / b - 1)``, summed over columns.
        """

        def term(shapes: Array, rates: Array, psi: Array, shapes_b: Array, rates_b: Array) -> Array:
            more = shapes_b - shapes
            rising = np.sign(more) * log_rising(np.minimum(shapes, shapes_b), np.abs(more))
            log = log_ratio(rates, rates_b)
            return shapes * ((rates_b - rates) / rates - log) - more * (log + psi) + rising

        return by_pairs(term, (a.shapes, a.rates, digamma(a.shapes)), (b.shapes, b.rates))

    # -- with a prior: rows seen before the data

    def update(self, prior: PseudoRows, stats: LinearStatistics) -> PseudoRows:
        """Statistics add."""
        return prior.plus(stats)

    def mode(self, posterior: PseudoRows, previous: GammaParams | None = None) -> GammaParams:
        """The likeliest parameters of all rows, which is the mode in terms of shapes and rates."""
        return self.maximize(posterior.statistics(), previous)

    def log_prior(self, prior: PseudoRows, params: GammaParams) -> float:
        """The log-density of shapes and rates, nats, up to a constant that does not depend on them."""
        return prior.log_density(self.form(params))

    def weak_prior(self, pooled: LinearStatistics, n_components: int) -> PseudoRows:
        """One more row, which has the mean and the mean logarithm of all rows.

        Where these hardly differ, the logarithm of the mean less the mean logarithm being below 1e-6, the mean
        logarithm is lower by 0.5, so that the prior is proper.
        """
        sums, sums_of_logs = np.hsplit(pooled.sums, 2)
        means = quotients(sums, pooled.counts, None, 1.0)
        log_means = log_of(means)
        mean_logs = quotients(sums_of_logs, pooled.counts, None, _MEAN_LOG_OF_ONE)
        mean_logs = np.where(log_means - mean_logs < _SMALLEST_GAP, log_means - 0.5, mean_logs)
        return PseudoRows(np.ones_like(means), np.hstack([means, mean_logs]))

    # -- rows

    def check(self, x: RealArray, columns: Sequence[object] | None = None) -> None:
        """Finite numbers > 0.

        Raises
        ------
        ValueError
            Naming row and column of the first other entry.
        """
        check_entries(
            x, columns, lambda block: ((block > 0) & (block < np.inf)) | np.isnan(block),
            lambda column: "finite numbers > 0",
        )  # fmt: skip

    def degenerate(self, params: GammaParams) -> list[int]:
        """Components with a shape at the cap, 1e8."""
        capped = params.shapes >= LARGEST_SHAPE
        return [int(k) for k in np.flatnonzero(capped.any(axis=1))]

    def n_parameters(self, params: GammaParams) -> int:
        """2 K D."""
        return 2 * params.shapes.size

    def embedding(self, x: RealArray) -> Array:
        """Logarithms, (N, D), columns standardised; missing ones are means of the column."""
        logs = filled(log_of(x.astype(np.float64)))
        scales = logs.std(axis=0)
        varies = scales > 1e-14 * np.abs(logs).max(axis=0, initial=0.0)  # beyond rounding
        standard: Array = (logs - logs.mean(axis=0)) / np.where(varies, scales, 1.0)
        return standard

    def sample(self, params: GammaParams, k: int, n: int, rng: Any) -> Array:
        """n draws of component k, (n, D), > 0; ``rng`` is a Generator or RandomState."""
        shapes, rates = params.shapes[k], params.rates[k]
        drawn: Array = rng.gamma(shapes, 1.0 / rates, size=(n, len(shapes)))
        # with a shape far below 1 draws underflow
        return np.maximum(drawn, _SMALLEST_DRAW)

    def impute(self, params: GammaParams, x: RealArray, responsibilities: RealArray) -> RealArray:
        """A copy of x with conditional means, ``sum_k r_nk shape_kd / rate_kd``, at missing entries."""
        return imputed(x, responsibilities, params.shapes / params.rates)


def _shapes_of(gap: Array) -> Array:
    """The shapes a with ``log a - psi(a) = gap``, by Newton's method for 1 / a; the cap where gap is not positive."""
    gap = np.maximum(gap, 0.25 / LARGEST_SHAPE)  # that of twice the cap
    root = np.sqrt((gap - 3.0) ** 2 + 24.0 * gap)
    # one and the same, without cancellation; within 2 % of the solution
    a: Array = np.where(
        gap > 3.0, 2.0 / (root + np.abs(gap - 3.0)), (3.0 - gap + root) / (12.0 * gap)
    )
    for _ in range(20):
        value, slope = _log_less_digamma(a)
        step = (value - gap) / (a * slope)
        a = a / (1.0 + step)
        if np.abs(step).max(initial=0.0) < 1e-15:
            break
    return np.minimum(a, LARGEST_SHAPE)


_SERIES_FROM = 10.0
_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160)


def _log_less_digamma(a: Array) -> tuple[Array, Array]:
    """``log a - psi(a)`` and its derivative, without cancellation (Abramowitz and Stegun, 1964, 6.3.18)."""
    a = np.ascontiguousarray(a)
    w = 1.0 / np.maximum(a, _SERIES_FROM)
    value, slope = 0.5 * w, -0.5 * w * w
    for power, b in enumerate(_SERIES, 1):
        term = b * w ** (2 * power)
        value, slope = value + term, slope - 2 * power * term * w
    near = a < _SERIES_FROM
    return (
        np.where(near, log_of(a) - kernels.digamma(a), value),
        np.where(near, 1.0 / a - kernels.trigamma(a), slope),
    )
