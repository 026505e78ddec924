"""A family of one's own, in NumPy: negative binomials, for counts that vary more than a Poisson's.

Four functions are all that the mixture, the engine and EM ask for. Three more let the estimator refuse bad rows, count
parameters for its criteria, and draw.

    python examples/user_family.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import latentcore
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

    # -- what the estimator asks for besides

    def check(self, x: RealArray, columns: Sequence[str] | None = None) -> None:
        """Raise ``ValueError`` for rows outside the support."""
        bad = np.argwhere(~((x >= 0) & (x == np.floor(x))))
        if len(bad):
            row, column = bad[0]
            name = column if columns is None else repr(columns[column])
            raise ValueError(
                f"X: expected counts, got {x[row, column]} in row {row}, column {name}"
            )

    def n_parameters(self, params: NegativeBinomialParams) -> int:
        """Free parameters of all components."""
        return params.means.size

    def sample(self, params: NegativeBinomialParams, k: int, n: int, rng: Any) -> Array:
        """n draws of component k, (n, D)."""
        means = params.means[k]
        p = self.size / (self.size + means)
        drawn: Array = rng.negative_binomial(self.size, p, size=(n, len(means)))
        return drawn.astype(np.float64)


def main() -> None:
    x = load_earthquakes().data
    family = NegativeBinomial(50.0)

    # step by step: parameters to begin with, the model, the rule, the rows
    start = MixtureParams(np.array([0.5, 0.5]), NegativeBinomialParams(np.array([[10.0], [30.0]])))
    model = Mixture(family)
    rows = Rows(x)
    fit = engine.run(
        EM(model), start, engine.expectation(model, rows, len(rows), 1),
        total_weight=len(rows), tol=1e-10, max_iter=10_000,
    )  # fmt: skip
    means, weights = fit.params.components.means[:, 0], fit.params.weights
    print(f"EM: log-likelihood {len(x) * fit.history[-1]:.3f}, weights {weights}, means {means}")

    # all at once, from k-means, for sizes up to what is a Poisson
    for size in (50.0, 1000.0, 1e7):
        estimator = latentcore.Mixture(
            NegativeBinomial(size), n_components=2, tol=1e-10, max_iter=10_000, random_state=0
        ).fit(x)
        print(
            f"size {size:.0f}: log-likelihood {estimator.loglik(x):.3f}, BIC {estimator.bic(x):.3f}"
        )


if __name__ == "__main__":
    main()
