"""Angles: D independent von Mises, ``log f(x) = sum_d kappa cos(x - mu) - log(2 pi I0(kappa))``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from latentcore import kernels
from latentcore.arrays import Array, RealArray
from latentcore.families.divergences import by_pairs
from latentcore.families.linear import Features, LinearForm, LinearStatistics
from latentcore.families.pseudo_rows import PseudoRows
from latentcore.families.support import check_entries, filled, quotients
from latentcore.families.wide import WideLinear

__all__ = ["LARGEST_CONCENTRATION", "VonMises", "VonMisesParams"]

LARGEST_CONCENTRATION = 1e8
"""The cap: a standard deviation of 1e-4 radians. Beyond it float64 cannot tell resultants from those of length 1."""

_LONGEST = 1.0 - 1e-6


@dataclass(frozen=True, slots=True)
class VonMisesParams:
    """Mean directions, radians, and concentrations >= 0, (K, D)."""

    means: Array
    concentrations: Array


@dataclass(frozen=True, slots=True)
class VonMises(WideLinear[VonMisesParams]):
    """Independent von Mises distributions, D angles in radians a row, any number of turns; NaN is a missing one.

    A component whose rows all have one direction in a column would have an infinite concentration and density. Its
    concentration is capped at 1e8, and ``degenerate`` names the component. Concentration 0 is the uniform
    distribution.

    Notes
    -----
    Log-densities are differences of numbers as large as the concentration, which float64 holds to 1e-7 nats at the
    cap; so float32 rows are taken in float64 arithmetic too.
    """

    features: ClassVar[Features] = "cos_sin"

    def form(self, params: VonMisesParams) -> LinearForm:
        """``-log(2 pi I0(kappa))``; ``kappa cos mu``, then ``kappa sin mu``."""
        kappa = params.concentrations
        sine, cosine = kernels.sin_cos(np.ascontiguousarray(params.means))
        constants = -(_log_bessel(kappa) + math.log(2.0 * math.pi))
        return LinearForm(constants, np.hstack([kappa * cosine, kappa * sine]))

    def maximize(
        self, stats: LinearStatistics, previous: VonMisesParams | None = None
    ) -> VonMisesParams:
        """The direction of the mean resultant, and the root of ``I1(kappa) / I0(kappa)`` = its length, at most 1e8.

        A component without weight in a column keeps its previous parameters; if there are none, it gets those of the
        column over all components, or the uniform distribution if they have no weight there either. A resultant of
        length 0 has no direction: the previous one stays, or 0.
        """
        cosines, sines = (quotients(s, stats.counts, None, 0.0) for s in np.hsplit(stats.sums, 2))
        lengths = np.hypot(cosines, sines)
        means, concentrations = np.arctan2(sines, cosines), _concentrations_of(lengths)
        if previous is None:
            return VonMisesParams(means, concentrations)
        seen = stats.counts > 0
        return VonMisesParams(
            np.where(seen & (lengths > 0), means, previous.means),
            np.where(seen, concentrations, previous.concentrations),
        )

    def model_statistics(self, params: VonMisesParams, counts: Array) -> LinearStatistics:
        """Statistics that ``counts`` (K,) complete rows of the components are expected to give."""
        seen = np.repeat(counts[:, None], params.means.shape[1], axis=1)
        return LinearStatistics(seen, np.hstack([seen, seen]) * _resultants(params))

    def relative_entropy(self, a: VonMisesParams, b: VonMisesParams) -> Array:
        """KL(component i of ``a`` || component j of ``b``), (K, K'), nats.

        ``log I0(k') - log I0(k) + A(k) (k - k' cos(mu - mu'))``, summed over columns, ``A = I1 / I0``.
        """

        def term(mu: Array, k: Array, log: Array, short: Array, *of_b: Array) -> Array:
            mu_b, k_b, log_b = of_b
            turned = 2.0 * np.sin(0.5 * (mu - mu_b)) ** 2
            divergence: Array = (k_b - k) * short + log_b - log + (1.0 - short) * k_b * turned
            return divergence

        logs = [_log_scaled_bessel(params.concentrations) for params in (a, b)]
        return by_pairs(
            term,
            (a.means, a.concentrations, logs[0], _shortfall(a.concentrations)[0]),
            (b.means, b.concentrations, logs[1]),
        )

    # -- with a prior: rows seen before the data

    def update(self, prior: PseudoRows, stats: LinearStatistics) -> PseudoRows:
        """Statistics add."""
        return prior.plus(stats)

    def mode(self, posterior: PseudoRows, previous: VonMisesParams | None = None) -> VonMisesParams:
        """The likeliest parameters of all rows, which is the mode in terms of directions and concentrations."""
        return self.maximize(posterior.statistics(), previous)

    def log_prior(self, prior: PseudoRows, params: VonMisesParams) -> float:
        """The log-density of directions and concentrations, nats, up to a constant that does not depend on them."""
        return prior.log_density(self.form(params))

    def weak_prior(self, pooled: LinearStatistics, n_components: int) -> PseudoRows:
        """One more row, which has the mean resultant of all rows.

        Where its length is above 1 - 1e-6, half of it, so that the prior is proper.
        """
        resultants = quotients(pooled.sums, np.tile(pooled.counts, 2), None, 0.0)
        lengths = np.hypot(*np.hsplit(resultants, 2))
        proper = np.where(lengths > _LONGEST, 0.5, 1.0)
        return PseudoRows(np.ones_like(lengths), np.tile(proper, 2) * resultants)

    # -- rows

    def check(self, x: RealArray, columns: Sequence[object] | None = None) -> None:
        """Finite numbers.

        Raises
        ------
        ValueError
            Naming row and column of the first other entry.
        """
        check_entries(
            x, columns, lambda block: ~np.isinf(block),
            lambda column: "angles in radians, finite numbers",
        )  # fmt: skip

    def degenerate(self, params: VonMisesParams) -> list[int]:
        """Components with a concentration at the cap, 1e8."""
        capped = params.concentrations >= LARGEST_CONCENTRATION
        return [int(k) for k in np.flatnonzero(capped.any(axis=1))]

    def n_parameters(self, params: VonMisesParams) -> int:
        """2 K D."""
        return 2 * params.means.size

    def embedding(self, x: RealArray) -> Array:
        """Cosines, then sines, (N, 2 D); those of missing angles are means of the column."""
        sine, cosine = kernels.sin_cos(np.ascontiguousarray(x, np.float64))
        return filled(np.hstack([cosine, sine]))

    def sample(self, params: VonMisesParams, k: int, n: int, rng: Any) -> Array:
        """n draws of component k, (n, D), in [-pi, pi]; ``rng`` is a Generator or RandomState."""
        means, concentrations = params.means[k], params.concentrations[k]
        drawn: Array = rng.vonmises(means, concentrations, size=(n, len(means)))
        return drawn

    def impute(
        self, params: VonMisesParams, x: RealArray, responsibilities: RealArray
    ) -> RealArray:
        """A copy of x with directions of the conditional resultants, in [-pi, pi], at missing entries.

        The resultant is ``sum_k r_nk A(kappa_kd) (cos mu_kd, sin mu_kd)``, with ``A = I1 / I0``.
        """
        out = x.copy()
        rows = np.flatnonzero(np.isnan(x).any(axis=1))
        resultants = responsibilities[rows].astype(np.float64) @ _resultants(params)
        cosines, sines = np.hsplit(resultants, 2)
        out[rows] = np.where(np.isnan(x[rows]), np.arctan2(sines, cosines), x[rows])
        return out


def _resultants(params: VonMisesParams) -> Array:
    """Expected cosines, then sines, (K, 2 D)."""
    sine, cosine = kernels.sin_cos(np.ascontiguousarray(params.means))
    lengths = 1.0 - _shortfall(params.concentrations)[0]
    return np.hstack([lengths * cosine, lengths * sine])


def _log_bessel(kappa: Array) -> Array:
    """log I0."""
    return kappa + _log_scaled_bessel(kappa)


def _log_scaled_bessel(kappa: Array) -> Array:
    """``log I0(kappa) - kappa``."""
    from scipy.special import i0e

    log_bessel: Array = np.log(i0e(kappa))
    return log_bessel


_SERIES_FROM = 1e3


def _shortfall(kappa: Array) -> tuple[Array, Array]:
    """``1 - A(kappa)``, A = I1 / I0, and its derivative ``A^2 + A / kappa - 1``.

    Far out by their asymptotic series (Mardia and Jupp, 2000, appendix 1), since the derivative is then a difference
    of ones.
    """
    from scipy.special import i0e, i1e

    a = i1e(kappa) / i0e(kappa)
    quotient = np.divide(a, kappa, out=np.full_like(a, 0.5), where=kappa > 0)
    w = 1.0 / np.maximum(kappa, _SERIES_FROM)
    value, slope = np.zeros_like(w), np.zeros_like(w)
    for power, c in enumerate((1 / 2, 1 / 8, 1 / 8, 25 / 128, 13 / 32), 1):
        term = c * w**power
        value, slope = value + term, slope - power * term * w
    near = kappa < _SERIES_FROM
    return np.where(near, 1.0 - a, value), np.where(near, a * a + quotient - 1.0, slope)


def _concentrations_of(lengths: Array) -> Array:
    """The kappa with ``A(kappa)`` = length, by Newton's method; the cap where the length is that of rounding from 1."""
    lengths = np.clip(lengths, 0.0, 1.0 - 0.25 / LARGEST_CONCENTRATION)  # that of twice the cap
    # within some percent of the solution (Banerjee et al., 2005)
    kappa: Array = lengths * (2.0 - lengths**2) / (1.0 - lengths**2)
    for _ in range(30):
        value, slope = _shortfall(kappa)
        step = (value - (1.0 - lengths)) / slope
        kappa = np.maximum(kappa - step, 0.0)
        if (np.abs(step) <= 1e-15 * kappa).all():
            break
    return np.minimum(kappa, LARGEST_CONCENTRATION)
