"""Durations: D independent exponentials, ``log f(x) = sum_d log rate_d - rate_d x_d``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from latentcore.arrays import Array, RealArray
from latentcore.families.divergences import by_pairs, of_counts
from latentcore.families.linear import Features, Linear, LinearForm, LinearStatistics
from latentcore.families.priors import GammaPrior, blended, of_components
from latentcore.families.support import (
    check_entries,
    column_means,
    filled,
    imputed,
    log_of,
    quotients,
    sums_of_entries,
)

__all__ = ["Exponential", "ExponentialParams"]

_LARGEST_RATE = 1e30
_SMALLEST_RATE = 1e-30


@dataclass(frozen=True, slots=True)
class ExponentialParams:
    """Rates (K, D) > 0; means are their reciprocals."""

    rates: Array


@dataclass(frozen=True, slots=True)
class Exponential(Linear[ExponentialParams]):
    """Independent exponentials, D numbers >= 0 a row; NaN is a missing one.

    A component whose rows are all 0 in a column would have an infinite rate and density. Its rate is capped at 1e30,
    and ``degenerate`` names the component.
    """

    features: ClassVar[Features] = "x"

    def form(self, params: ExponentialParams) -> LinearForm:
        """``log rate`` and ``-rate``."""
        return LinearForm(log_of(params.rates), -params.rates)

    def maximize(
        self, stats: LinearStatistics, previous: ExponentialParams | None = None
    ) -> ExponentialParams:
        """Reciprocals of the means, at most 1e30.

        A component without weight in a column keeps its previous rate; if there is none, it gets that of the column
        over all components, or 1 if they have no weight there either.
        """
        means = quotients(stats.sums, stats.counts, None, 1.0)
        rates = 1.0 / np.maximum(means, 1.0 / _LARGEST_RATE)
        if previous is not None:
            rates = np.where(stats.counts > 0, rates, previous.rates)
        return ExponentialParams(np.minimum(rates, _LARGEST_RATE))

    def model_statistics(self, params: ExponentialParams, counts: Array) -> LinearStatistics:
        """Statistics that ``counts`` (K,) complete rows of the components are expected to give."""
        seen = np.repeat(counts[:, None], params.rates.shape[1], axis=1)
        return LinearStatistics(seen, seen / params.rates)

    def relative_entropy(self, a: ExponentialParams, b: ExponentialParams) -> Array:
        """KL(component i of ``a`` || component j of ``b``), (K, K'), nats: ``sum_d log(r / r') + r' / r - 1``."""

        def term(rates: Array, others: Array) -> Array:
            return of_counts(np.ones_like(rates), others / rates)

        return by_pairs(term, (a.rates,), (b.rates,))

    # -- with a prior: rate ~ Gamma(shape, rate)

    def update(self, prior: GammaPrior, stats: LinearStatistics) -> GammaPrior:
        """Counts add to the shapes, sums to the rates."""
        return GammaPrior(prior.shape + stats.counts, prior.rate + stats.sums)

    def mode(
        self, posterior: GammaPrior, previous: ExponentialParams | None = None
    ) -> ExponentialParams:
        """``(shape - 1) / rate``, within 1e-30 and 1e30; with shape <= 1 the mode is at 0, and put at 1e-30."""
        return ExponentialParams(np.clip(posterior.mode(), _SMALLEST_RATE, _LARGEST_RATE))

    def log_prior(self, prior: GammaPrior, params: ExponentialParams) -> float:
        """The log-density of the rates, nats."""
        return prior.log_density(params.rates)

    def weak_prior(self, pooled: LinearStatistics, n_components: int) -> GammaPrior:
        """One more row at the mean of all rows, or at 1 in a column where all are 0."""
        means = quotients(pooled.sums, pooled.counts, None, 1.0)
        row = np.where(means > 0, means, 1.0)
        return GammaPrior(np.full_like(row, 2.0), row)

    # -- with a posterior

    def expected(self, posterior: GammaPrior, n_components: int) -> LinearForm:
        """``psi(shape) - log rate`` and ``-shape / rate``."""
        forms = posterior.mean_log(), -posterior.mean()
        return LinearForm(*(of_components(values, n_components) for values in forms))

    def divergence(self, posterior: GammaPrior, prior: GammaPrior) -> Array:
        """KL(posterior || prior) by component, (K,), nats."""
        return posterior.divergence(prior)

    def blend(self, posterior: GammaPrior, other: GammaPrior, rate: float) -> GammaPrior:
        """``(1 - rate) posterior + rate other``: shapes and rates are natural coordinates."""
        return blended(posterior, other, rate)

    def mean(self, posterior: GammaPrior) -> ExponentialParams:
        """Mean rates."""
        return ExponentialParams(posterior.mean())

    def predictive_log_density(self, posterior: GammaPrior, x: RealArray) -> RealArray:
        """Log-densities of one more row under each component, (N, K), nats: Lomax distributions."""
        shape, rate = np.broadcast_arrays(posterior.shape, posterior.rate)
        return sums_of_entries(
            x,
            log_of(shape) - log_of(rate),
            lambda k, t, d: -(shape[k, d] + 1.0) * np.log1p(t / rate[k, d]),
        )

    # -- rows

    def check(self, x: RealArray, columns: Sequence[object] | None = None) -> None:
        """Finite numbers >= 0.

        Raises
        ------
        ValueError
            Naming row and column of the first other entry.
        """
        check_entries(
            x, columns, lambda block: ((block >= 0) & (block < np.inf)) | np.isnan(block),
            lambda column: "finite numbers >= 0",
        )  # fmt: skip

    def degenerate(self, params: ExponentialParams) -> list[int]:
        """Components with a rate at a cap: 1e30, or 1e-30."""
        capped = (params.rates >= _LARGEST_RATE) | (params.rates <= _SMALLEST_RATE)
        return [int(k) for k in np.flatnonzero(capped.any(axis=1))]

    def n_parameters(self, params: ExponentialParams) -> int:
        """K D."""
        return params.rates.size

    def embedding(self, x: RealArray) -> Array:
        """``log(1 + x / mean of the column)``, (N, D); missing ones are means of the column."""
        wide = x.astype(np.float64)
        means = column_means(wide)
        return filled(np.log1p(wide / np.where(means > 0, means, 1.0)))

    def sample(self, params: ExponentialParams, k: int, n: int, rng: Any) -> Array:
        """n draws of component k, (n, D); ``rng`` is a Generator or RandomState."""
        rates = params.rates[k]
        drawn: Array = rng.exponential(1.0 / rates, size=(n, len(rates)))
        return drawn

    def impute(
        self, params: ExponentialParams, x: RealArray, responsibilities: RealArray
    ) -> RealArray:
        """A copy of x with conditional means, ``sum_k r_nk / rate_kd``, at missing entries."""
        return imputed(x, responsibilities, 1.0 / params.rates)
