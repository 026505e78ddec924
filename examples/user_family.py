"""A family of one's own, in NumPy: negative binomials, for counts that vary more than a Poisson's.

Three functions of a block of rows and one of statistics are all that the mixture, the engine and EM ask for.

    python examples/user_family.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from latentcore import engine
from latentcore.arrays import Rows
from latentcore.datasets import load_earthquakes
from latentcore.protocols import Array, RealArray
from latentcore.rules.em import EM
from latentcore.statistics import Statistics
from latentcore.structures.mixture import Mixture, MixtureParams

log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


@dataclass(frozen=True)
class NegativeBinomialParams:
    means: Array
    """(K, D)"""


@dataclass(frozen=True)
class NegativeBinomialStatistics(Statistics):
    """They add and scale field by field; that is inherited."""

    counts: Array
    """(K,): weights of rows"""
    sums: Array
    """(K, D): weighted sums of rows"""


@dataclass(frozen=True)
class NegativeBinomial:
    """Independent counts of variance ``mean + mean^2 / size``; the size is given.

    ``f(x) = Gamma(x + size) / (Gamma(size) x!) q^x (1 - q)^size`` with ``q = mean / (mean + size)``.
    """

    size: float

    def log_likelihood(self, params: NegativeBinomialParams, x: RealArray) -> RealArray:
        """Log-densities (N, K) of rows (N, D)."""
        if np.isnan(x).any():
            raise ValueError("X: expected no missing entries")
        counts = x.astype(np.float64)
        base: Array = log_gamma(counts + self.size) - log_gamma(counts + 1) - math.lgamma(self.size)
        log_q = np.log(params.means / (params.means + self.size))
        constants = self.size * np.log1p(params.means / self.size)
        out: Array = counts @ log_q.T - constants.sum(axis=1)
        out += base.sum(axis=1, keepdims=True)
        return out

    def expected_statistics(
        self, params: NegativeBinomialParams | None, x: RealArray, weights: RealArray
    ) -> NegativeBinomialStatistics:
        """Sums over rows (N, D) under the components' weights (N, K)."""
        wide = weights.astype(np.float64)
        return NegativeBinomialStatistics(wide.sum(axis=0), wide.T @ x.astype(np.float64))

    def maximize(
        self, stats: NegativeBinomialStatistics, previous: NegativeBinomialParams | None
    ) -> NegativeBinomialParams:
        """The means; a component without rows keeps its own."""
        counts = stats.counts[:, None]
        before = np.ones_like(stats.sums) if previous is None else previous.means
        seen = np.maximum(counts, np.finfo(float).tiny)
        return NegativeBinomialParams(np.where(counts > 0, stats.sums / seen, before))

    def model_statistics(
        self, params: NegativeBinomialParams, counts: Array
    ) -> NegativeBinomialStatistics:
        """What ``counts`` rows of each component are expected to give."""
        return NegativeBinomialStatistics(counts, counts[:, None] * params.means)


def main() -> None:
    rows = Rows(load_earthquakes().data[:, -1:])
    for size in (50.0, 1000.0):
        model = Mixture(NegativeBinomial(size))
        start = MixtureParams(
            np.array([0.5, 0.5]), NegativeBinomialParams(np.array([[10.0], [30.0]]))
        )
        fit = engine.run(
            EM(model), start, engine.expectation(model, rows, len(rows), 1),
            total_weight=len(rows), tol=1e-10, max_iter=10_000,
        )  # fmt: skip
        means, weights = fit.params.components.means[:, 0], fit.params.weights
        print(
            f"size {size:6.0f}: log-likelihood {len(rows) * fit.history[-1]:.3f}, "
            f"weights {weights.round(3)}, means {means.round(2)}"
        )


if __name__ == "__main__":
    main()
