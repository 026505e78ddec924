"""Binary data: D independent Bernoullis, ``log f(x) = sum_d x_d log p_d + (1 - x_d) log(1 - p_d)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from latentcore.arrays import CSR, Array, RealArray
from latentcore.families.divergences import by_pairs, of_counts
from latentcore.families.linear import Features, Linear, LinearForm, LinearStatistics
from latentcore.families.priors import blended, hyperparameter, of_components, times_log
from latentcore.families.support import (
    check_entries,
    digamma,
    filled,
    imputed,
    log_gamma,
    log_of,
    quotients,
)

__all__ = ["Bernoulli", "BernoulliParams", "BetaPrior"]


@dataclass(frozen=True, slots=True)
class BernoulliParams:
    """Probabilities (K, D) of a one. A probability 0 or 1 makes the other value impossible."""

    probabilities: Array


@dataclass(frozen=True, slots=True)
class BetaPrior:
    """Beta distributions of probabilities, ``p^(a-1) (1-p)^(b-1) / B(a, b)``; posteriors alike.

    Attributes
    ----------
    a, b : (K, D) or (1, D), > 0
        Numbers stand for all components and columns. With ``a < 1`` or ``b < 1`` the density has no largest value; the
        mode is put at that boundary.
    """

    a: Array
    b: Array

    def __init__(self, a: npt.ArrayLike, b: npt.ArrayLike) -> None:
        object.__setattr__(self, "a", hyperparameter(a, "a"))
        object.__setattr__(self, "b", hyperparameter(b, "b"))

    def log_normaliser(self) -> Array:
        """log B(a, b), entry by entry."""
        return log_gamma(self.a) + log_gamma(self.b) - log_gamma(self.a + self.b)


@dataclass(frozen=True, slots=True)
class Bernoulli(Linear[BernoulliParams]):
    """Independent Bernoullis, D zeros and ones a row, dense or ``CSR``; NaN is a missing one."""

    features: ClassVar[Features] = "x"

    def form(self, params: BernoulliParams) -> LinearForm:
        """``log(1 - p)`` and the logit; where p = 1, the constant is log p."""
        p = params.probabilities
        log_p, log_q = log_of(p), log_of(1.0 - p)
        small = p < 0.5  # where 1 - p is rounded
        log_q[small] = np.log1p(-p[small])
        return LinearForm(np.where(p == 1.0, 0.0, log_q), log_p - log_q)

    def maximize(
        self, stats: LinearStatistics, previous: BernoulliParams | None = None
    ) -> BernoulliParams:
        """Shares of ones.

        A component without weight in a column keeps its previous probability; if there is none, it gets the column's
        share over all components, or 1/2 if they have no weight there either.
        """
        before = None if previous is None else previous.probabilities
        return BernoulliParams(np.minimum(quotients(stats.sums, stats.counts, before, 0.5), 1.0))

    def model_statistics(self, params: BernoulliParams, counts: Array) -> LinearStatistics:
        """Statistics that ``counts`` (K,) complete rows of the components are expected to give."""
        seen = np.repeat(counts[:, None], params.probabilities.shape[1], axis=1)
        return LinearStatistics(seen, seen * params.probabilities)

    def relative_entropy(self, a: BernoulliParams, b: BernoulliParams) -> Array:
        """KL(component i of ``a`` || component j of ``b``), (K, K'), nats; +inf where what ``b`` forbids happens."""

        def term(p: Array, q: Array) -> Array:
            return of_counts(p, q) + of_counts(1.0 - p, 1.0 - q)

        return by_pairs(term, (a.probabilities,), (b.probabilities,))

    # -- with a prior: p ~ Beta(a, b)

    def update(self, prior: BetaPrior, stats: LinearStatistics) -> BetaPrior:
        """Ones add to a, zeros to b."""
        zeros = np.maximum(stats.counts - stats.sums, 0.0)
        return BetaPrior(prior.a + stats.sums, prior.b + zeros)

    def mode(
        self, posterior: BetaPrior, previous: BernoulliParams | None = None
    ) -> BernoulliParams:
        """``(a - 1) / (a + b - 2)``, numerators not below 0; where both are 0, as ``maximize`` without weight."""
        ones, zeros = np.maximum(posterior.a - 1.0, 0.0), np.maximum(posterior.b - 1.0, 0.0)
        return self.maximize(LinearStatistics(ones + zeros, ones), previous)

    def log_prior(self, prior: BetaPrior, params: BernoulliParams) -> float:
        """The log-density of the probabilities, nats."""
        p, a, b = params.probabilities, prior.a, prior.b
        kernel = times_log(a - 1.0, p) + times_log(b - 1.0, 1.0 - p)
        return float((kernel - prior.log_normaliser()).sum())

    def weak_prior(self, pooled: LinearStatistics, n_components: int) -> BetaPrior:
        """One more row: its entries are the means over all rows and over one more that has 1/2 in every column."""
        row = (pooled.sums + 0.5) / (pooled.counts + 1.0)
        return BetaPrior(1.0 + row, 2.0 - row)

    # -- with a posterior

    def expected(self, posterior: BetaPrior, n_components: int) -> LinearForm:
        """``psi(b) - psi(a + b)`` and ``psi(a) - psi(b)``."""
        of_b = digamma(posterior.b)
        forms = of_b - digamma(posterior.a + posterior.b), digamma(posterior.a) - of_b
        return LinearForm(*(of_components(values, n_components) for values in forms))

    def divergence(self, posterior: BetaPrior, prior: BetaPrior) -> Array:
        """KL(posterior || prior) by component, (K,), nats."""
        a, b = posterior.a, posterior.b
        of_sum = digamma(a + b)
        terms = prior.log_normaliser() - posterior.log_normaliser()
        terms = terms + (a - prior.a) * (digamma(a) - of_sum)
        divergence: Array = (terms + (b - prior.b) * (digamma(b) - of_sum)).sum(axis=1)
        return divergence

    def blend(self, posterior: BetaPrior, other: BetaPrior, rate: float) -> BetaPrior:
        """``(1 - rate) posterior + rate other``: a and b are natural coordinates."""
        return blended(posterior, other, rate)

    def mean(self, posterior: BetaPrior) -> BernoulliParams:
        """``a / (a + b)``."""
        return BernoulliParams(posterior.a / (posterior.a + posterior.b))

    def predictive_log_density(self, posterior: BetaPrior, x: RealArray) -> RealArray:
        """Log-densities of one more row under each component, (N, K), nats: those of the mean probabilities."""
        of_sum = log_of(posterior.a + posterior.b)
        log_p, log_q = log_of(posterior.a) - of_sum, log_of(posterior.b) - of_sum
        return self.log_likelihood(LinearForm(log_q, log_p - log_q), x)

    # -- rows

    def check(self, x: RealArray | CSR, columns: Sequence[object] | None = None) -> None:
        """Exactly 0 or 1.

        Raises
        ------
        ValueError
            Naming row and column of the first other entry.
        """
        check_entries(
            x, columns, lambda block: (block == 0) | (block == 1) | np.isnan(block),
            lambda column: "0 or 1",
        )  # fmt: skip

    def degenerate(self, params: BernoulliParams) -> list[int]:
        """None: probabilities of rows are at most 1, and p in {0, 1} is a proper maximum."""
        return []

    def n_parameters(self, params: BernoulliParams) -> int:
        """K D."""
        return params.probabilities.size

    def embedding(self, x: RealArray | CSR) -> Array:
        """The entries themselves, (N, D); missing ones are means of the column."""
        dense = x.toarray() if isinstance(x, CSR) else x
        return filled(dense.astype(np.float64))

    def sample(self, params: BernoulliParams, k: int, n: int, rng: Any) -> Array:
        """n draws of component k, (n, D); ``rng`` is a Generator or RandomState."""
        p = params.probabilities[k]
        drawn: Array = (rng.uniform(size=(n, len(p))) < p).astype(np.float64)
        return drawn

    def impute(
        self, params: BernoulliParams, x: RealArray, responsibilities: RealArray
    ) -> RealArray:
        """A copy of x with conditional probabilities of a one, ``sum_k r_nk p_kd``, at missing entries."""
        return imputed(x, responsibilities, params.probabilities)
