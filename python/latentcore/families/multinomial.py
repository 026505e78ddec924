"""Rows of counts of D outcomes, such as words: ``log f(x) = log n! - sum_d log x_d! + sum_d x_d log p_d``.

The totals ``n = sum_d x_d`` are given, not modelled: densities are those of a row given its total.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from latentcore.arrays import CSR, Array, RealArray
from latentcore.families.divergences import by_pairs, of_counts
from latentcore.families.linear import Features, Linear, LinearForm, LinearStatistics
from latentcore.families.priors import DirichletPrior, blended, of_components
from latentcore.families.support import (
    check_entries,
    filled,
    log_factorial,
    log_of,
    log_rising,
    quotients,
    row_sums,
    sums_of_entries,
    whole,
)

__all__ = ["Multinomial", "MultinomialParams", "MultinomialPrior"]


@dataclass(frozen=True, slots=True)
class MultinomialParams:
    """K multinomials.

    Attributes
    ----------
    probabilities : (K, D)
        Rows add up to one. An outcome of probability 0 is impossible.
    mean_total : float
        Of the rows learned from. Densities do not depend on it; ``model_statistics`` and ``sample`` do.
    """

    probabilities: Array
    mean_total: float = 1.0


@dataclass(frozen=True, slots=True)
class MultinomialPrior:
    """Dirichlet distributions of the probabilities; posteriors alike.

    Attributes
    ----------
    concentration : (K, D) or (1, D), > 0
        A number stands for all. With a concentration < 1 the density has no largest value; the mode is put where that
        probability is 0.
    n_rows, total : float
        Weight of the rows that made it a posterior, and the sum of their totals: for the mean total alone.
    """

    concentration: Array
    n_rows: float = 0.0
    total: float = 0.0

    def __init__(
        self, concentration: npt.ArrayLike, n_rows: float = 0.0, total: float = 0.0
    ) -> None:
        checked = DirichletPrior(concentration).concentration
        object.__setattr__(self, "concentration", checked)
        object.__setattr__(self, "n_rows", n_rows)
        object.__setattr__(self, "total", total)

    def dirichlet(self) -> DirichletPrior:
        """What it says of the probabilities."""
        return DirichletPrior(self.concentration)


@dataclass(frozen=True, slots=True)
class Multinomial(Linear[MultinomialParams]):
    """Multinomials: rows of D counts, whole numbers >= 0, with totals of any size; dense or ``CSR``.

    No entry may be missing, since the row's total would be too. A row of zeros has density 1.
    """

    features: ClassVar[Features] = "x"

    def form(self, params: MultinomialParams) -> LinearForm:
        """0 and ``log p``."""
        p = params.probabilities
        return LinearForm(np.zeros_like(p), log_of(p))

    def log_base(self, x: RealArray | CSR) -> Array:
        """The log of the multinomial coefficient, (N,)."""
        totals = row_sums(x, lambda counts: counts)
        return log_factorial(totals) - row_sums(x, log_factorial)

    def maximize(
        self, stats: LinearStatistics, previous: MultinomialParams | None = None
    ) -> MultinomialParams:
        """Shares of the outcomes.

        A component without counts keeps its previous probabilities; if there are none, it gets the shares over all
        components, or equal ones if there are no counts at all.
        """
        weight = float(stats.counts[:, 0].sum())
        return self._params(stats.sums, float(stats.sums.sum()), weight, previous)

    def model_statistics(self, params: MultinomialParams, counts: Array) -> LinearStatistics:
        """Statistics that ``counts`` (K,) rows of the components, of the mean total, are expected to give."""
        seen = np.repeat(counts[:, None], params.probabilities.shape[1], axis=1)
        return LinearStatistics(seen, seen * params.mean_total * params.probabilities)

    def relative_entropy(self, a: MultinomialParams, b: MultinomialParams) -> Array:
        """KL(component i of ``a`` || component j of ``b``), (K, K'), nats, of rows of the mean total of ``a``.

        Totals are given, not modelled. +inf where what ``b`` forbids happens.
        """
        return a.mean_total * by_pairs(of_counts, (a.probabilities,), (b.probabilities,))

    # -- with a prior: p ~ Dirichlet(concentration)

    def update(self, prior: MultinomialPrior, stats: LinearStatistics) -> MultinomialPrior:
        """Counts of the outcomes add to the concentrations."""
        return MultinomialPrior(
            prior.concentration + stats.sums,
            prior.n_rows + float(stats.counts[:, 0].sum()),
            prior.total + float(stats.sums.sum()),
        )

    def mode(
        self, posterior: MultinomialPrior, previous: MultinomialParams | None = None
    ) -> MultinomialParams:
        """In proportion to ``concentration - 1``, not below 0; where all are 0, as ``maximize`` without counts."""
        above = posterior.dirichlet().numerators()
        return self._params(above, posterior.total, posterior.n_rows, previous)

    def log_prior(self, prior: MultinomialPrior, params: MultinomialParams) -> float:
        """The log-density of the probabilities, nats."""
        return prior.dirichlet().log_density(params.probabilities, [0])

    def weak_prior(self, pooled: LinearStatistics, n_components: int) -> MultinomialPrior:
        """One more row: its counts are the means over all rows and over one more that has 1/D of every outcome."""
        row = (pooled.sums + 1.0 / pooled.sums.shape[1]) / (pooled.counts + 1.0)
        return MultinomialPrior(1.0 + row)

    # -- with a posterior

    def expected(self, posterior: MultinomialPrior, n_components: int) -> LinearForm:
        """0 and ``psi(concentration) - psi(total)``."""
        mean_log = of_components(posterior.dirichlet().mean_log([0]), n_components)
        return LinearForm(np.zeros_like(mean_log), mean_log)

    def divergence(self, posterior: MultinomialPrior, prior: MultinomialPrior) -> Array:
        """KL(posterior || prior) by component, (K,), nats."""
        return posterior.dirichlet().divergence(prior.dirichlet(), [0])

    def blend(
        self, posterior: MultinomialPrior, other: MultinomialPrior, rate: float
    ) -> MultinomialPrior:
        """``(1 - rate) posterior + rate other``: concentrations are natural coordinates."""
        return blended(posterior, other, rate)

    def mean(self, posterior: MultinomialPrior) -> MultinomialParams:
        """Concentrations in proportion to their total, and the mean total of the rows."""
        probabilities = posterior.dirichlet().mean([0])
        if posterior.n_rows == 0:
            return MultinomialParams(probabilities)
        return MultinomialParams(probabilities, posterior.total / posterior.n_rows)

    def predictive_log_density(self, posterior: MultinomialPrior, x: RealArray | CSR) -> RealArray:
        """Log-densities of one more row, given its total, under each component, (N, K), nats.

        Dirichlet-multinomials.
        """
        alpha = posterior.concentration
        totals = row_sums(x, lambda counts: counts)[:, None]
        return sums_of_entries(
            x,
            np.zeros_like(alpha),
            lambda k, n, d: log_rising(alpha[k, d], n),
            self.log_base(x)[:, None] - log_rising(alpha.sum(axis=1), totals),
        )

    # -- rows

    def check(self, x: RealArray | CSR, columns: Sequence[object] | None = None) -> None:
        """Whole numbers >= 0; none is missing, and a count that is not whole is refused, not rounded.

        Raises
        ------
        ValueError
            Naming row and column of the first other entry.
        """
        check_entries(
            x, columns, whole, lambda column: "counts, whole numbers >= 0, none missing"
        )  # fmt: skip

    def degenerate(self, params: MultinomialParams) -> list[int]:
        """None: probabilities of rows are at most 1, and a probability 0 is a proper maximum."""
        return []

    def n_parameters(self, params: MultinomialParams) -> int:
        """K (D - 1)."""
        return params.probabilities.size - len(params.probabilities)

    def embedding(self, x: RealArray | CSR) -> Array:
        """Square roots of the shares, (N, D), whose distances are Hellinger's; a row of zeros is at the mean."""
        dense = (x.toarray() if isinstance(x, CSR) else x).astype(np.float64)
        totals = dense.sum(axis=1, keepdims=True)
        return filled(np.sqrt(dense / np.where(totals > 0, totals, np.nan)))

    def sample(self, params: MultinomialParams, k: int, n: int, rng: Any) -> Array:
        """n draws of component k, (n, D), with totals next to the mean total, which they have on average.

        ``rng`` is a Generator or RandomState.
        """
        p = params.probabilities[k] / params.probabilities[k].sum()
        low = int(params.mean_total)
        high = rng.uniform(size=n) < params.mean_total - low
        drawn = np.empty((n, len(p)))
        drawn[~high] = rng.multinomial(low, p, size=int((~high).sum()))
        drawn[high] = rng.multinomial(low + 1, p, size=int(high.sum()))
        return drawn

    def impute(
        self, params: MultinomialParams, x: RealArray, responsibilities: RealArray
    ) -> RealArray:
        """A copy of x with expected counts, of the mean total, in rows of which all is missing."""
        out = x.copy()
        rows = np.flatnonzero(np.isnan(x).all(axis=1))
        means = params.mean_total * params.probabilities
        out[rows] = responsibilities[rows].astype(np.float64) @ means
        return out

    # -- inside

    @staticmethod
    def _params(
        above: Array, total: float, weight: float, previous: MultinomialParams | None
    ) -> MultinomialParams:
        """Probabilities in proportion to ``above``, and the mean total of rows that had ``total`` in all."""
        before = None if previous is None else previous.probabilities
        below = np.broadcast_to(above.sum(axis=1, keepdims=True), above.shape)
        mean_total = 1.0 if previous is None else previous.mean_total
        if weight > 0:
            mean_total = total / weight
        return MultinomialParams(quotients(above, below, before, 1.0 / above.shape[1]), mean_total)
