"""Counts: D independent Poissons, ``log f(x) = sum_d x_d log rate_d - rate_d - log x_d!``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from latentcore.arrays import CSR, Array, RealArray
from latentcore.families.divergences import by_pairs, of_counts
from latentcore.families.linear import Features, Linear, LinearForm, LinearStatistics
from latentcore.families.priors import GammaPrior, blended, of_components
from latentcore.families.support import (
    check_entries,
    filled,
    imputed,
    log_factorial,
    log_of,
    log_rising,
    quotients,
    row_sums,
    sums_of_entries,
    whole,
)

__all__ = ["Poisson", "PoissonParams"]


@dataclass(frozen=True, slots=True)
class PoissonParams:
    """Rates (K, D) >= 0, which are the means. A rate 0 allows the count 0 alone."""

    rates: Array


@dataclass(frozen=True, slots=True)
class Poisson(Linear[PoissonParams]):
    """Independent Poissons, D counts a row: whole numbers >= 0, dense or ``CSR``; NaN is a missing one."""

    features: ClassVar[Features] = "x"

    def form(self, params: PoissonParams) -> LinearForm:
        """``-rate`` and ``log rate``."""
        return LinearForm(-params.rates, log_of(params.rates))

    def log_base(self, x: RealArray | CSR) -> Array:
        """``-sum_d log x_d!``, (N,)."""
        return -row_sums(x, log_factorial)

    def maximize(
        self, stats: LinearStatistics, previous: PoissonParams | None = None
    ) -> PoissonParams:
        """Means of the counts.

        A component without weight in a column keeps its previous rate; if there is none, it gets the column's mean
        over all components, or 1 if they have no weight there either.
        """
        rates = None if previous is None else previous.rates
        return PoissonParams(quotients(stats.sums, stats.counts, rates, 1.0))

    def model_statistics(self, params: PoissonParams, counts: Array) -> LinearStatistics:
        """Statistics that ``counts`` (K,) complete rows of the components are expected to give."""
        seen = np.repeat(counts[:, None], params.rates.shape[1], axis=1)
        return LinearStatistics(seen, seen * params.rates)

    def relative_entropy(self, a: PoissonParams, b: PoissonParams) -> Array:
        """KL(component i of ``a`` || component j of ``b``), (K, K'), nats.

        ``sum_d r log(r / r') - r + r'``; +inf where r > 0 = r'.
        """
        return by_pairs(of_counts, (a.rates,), (b.rates,))

    # -- with a prior: rate ~ Gamma(shape, rate)

    def update(self, prior: GammaPrior, stats: LinearStatistics) -> GammaPrior:
        """Sums add to the shapes, counts to the rates."""
        return GammaPrior(prior.shape + stats.sums, prior.rate + stats.counts)

    def mode(self, posterior: GammaPrior, previous: PoissonParams | None = None) -> PoissonParams:
        """``(shape - 1) / rate``, or 0 where shape < 1."""
        return PoissonParams(posterior.mode())

    def log_prior(self, prior: GammaPrior, params: PoissonParams) -> float:
        """The log-density of the rates, nats."""
        return prior.log_density(params.rates)

    def weak_prior(self, pooled: LinearStatistics, n_components: int) -> GammaPrior:
        """One more row: its counts are the means over all rows and over one more that has 1/2 in every column."""
        row = (pooled.sums + 0.5) / (pooled.counts + 1.0)
        return GammaPrior(1.0 + row, np.ones_like(row))

    # -- with a posterior

    def expected(self, posterior: GammaPrior, n_components: int) -> LinearForm:
        """``-shape / rate`` and ``psi(shape) - log rate``."""
        forms = -posterior.mean(), posterior.mean_log()
        return LinearForm(*(of_components(values, n_components) for values in forms))

    def divergence(self, posterior: GammaPrior, prior: GammaPrior) -> Array:
        """KL(posterior || prior) by component, (K,), nats."""
        return posterior.divergence(prior)

    def blend(self, posterior: GammaPrior, other: GammaPrior, rate: float) -> GammaPrior:
        """``(1 - rate) posterior + rate other``: shapes and rates are natural coordinates."""
        return blended(posterior, other, rate)

    def mean(self, posterior: GammaPrior) -> PoissonParams:
        """Mean rates."""
        return PoissonParams(posterior.mean())

    def predictive_log_density(self, posterior: GammaPrior, x: RealArray | CSR) -> RealArray:
        """Log-densities of one more row under each component, (N, K), nats: negative binomials."""
        shape, rate = np.broadcast_arrays(posterior.shape, posterior.rate)
        log_next = np.log1p(rate)
        return sums_of_entries(
            x,
            -shape * np.log1p(1.0 / rate),
            lambda k, n, d: log_rising(shape[k, d], n) - n * log_next[k, d],
            self.log_base(x)[:, None],
        )

    # -- rows

    def check(self, x: RealArray | CSR, columns: Sequence[object] | None = None) -> None:
        """Whole numbers >= 0; a count that is none is refused, not rounded.

        Raises
        ------
        ValueError
            Naming row and column of the first other entry.
        """
        check_entries(
            x, columns, lambda block: whole(block) | np.isnan(block),
            lambda column: "counts, whole numbers >= 0",
        )  # fmt: skip

    def degenerate(self, params: PoissonParams) -> list[int]:
        """None: probabilities are at most 1, and a rate 0 is a proper maximum."""
        return []

    def n_parameters(self, params: PoissonParams) -> int:
        """K D."""
        return params.rates.size

    def embedding(self, x: RealArray | CSR) -> Array:
        """Square roots, (N, D), whose variance hardly depends on the mean; missing ones are means of the column."""
        dense = x.toarray() if isinstance(x, CSR) else x
        return filled(np.sqrt(dense.astype(np.float64)))

    def sample(self, params: PoissonParams, k: int, n: int, rng: Any) -> Array:
        """n draws of component k, (n, D); ``rng`` is a Generator or RandomState."""
        rates = params.rates[k]
        drawn: Array = rng.poisson(rates, size=(n, len(rates))).astype(np.float64)
        return drawn

    def impute(self, params: PoissonParams, x: RealArray, responsibilities: RealArray) -> RealArray:
        """A copy of x with conditional means, ``sum_k r_nk rate_kd``, at missing entries."""
        return imputed(x, responsibilities, params.rates)
