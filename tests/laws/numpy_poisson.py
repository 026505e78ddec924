"""A family as a user would write it: independent Poissons in NumPy, through the protocol alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from latentcore.protocols import Array, RealArray
from latentcore.statistics import Statistics


@dataclass(frozen=True)
class PoissonParams:
    rates: Array
    """(K, D)"""


@dataclass(frozen=True)
class PoissonStatistics(Statistics):
    counts: Array
    sums: Array
    """(K, D): weighted sums of rows"""


@dataclass(frozen=True)
class NumpyPoisson:
    def log_likelihood(self, params: PoissonParams, x: RealArray) -> RealArray:
        wide = x.astype(np.float64)
        constant: Array = gammaln(wide + 1).sum(axis=1)
        log_density: npt.NDArray[Any] = wide @ np.log(params.rates).T - params.rates.sum(axis=1)
        return log_density - constant[:, None]

    def expected_statistics(
        self, params: PoissonParams | None, x: RealArray, weights: RealArray
    ) -> PoissonStatistics:
        wide = weights.astype(np.float64)
        return PoissonStatistics(wide.sum(axis=0), wide.T @ x.astype(np.float64))

    def maximize(self, stats: PoissonStatistics, previous: PoissonParams | None) -> PoissonParams:
        return PoissonParams(stats.sums / stats.counts[:, None])

    def model_statistics(self, params: PoissonParams, counts: Array) -> PoissonStatistics:
        return PoissonStatistics(counts, counts[:, None] * params.rates)
