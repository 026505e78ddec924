"""Priors as rows seen before the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentcore.arrays import Array
from latentcore.families.linear import LinearForm, LinearStatistics
from latentcore.families.priors import hyperparameter

__all__ = ["PseudoRows"]


@dataclass(frozen=True, slots=True)
class PseudoRows:
    """Rows seen before the data, by their statistics: the conjugate prior of a linear family without a named one.

    The density of the parameters is proportional to the likelihood of these rows, which need not be whole in number:
    ``exp(sum_f coefficients_f sums_f + sum_d constants_d counts_d)``. Posteriors alike: statistics add.

    Attributes
    ----------
    counts : (K, D) or (1, D), > 0
        Of rows, column by column.
    sums : (K, F) or (1, F)
        Of T(x), as in ``LinearStatistics``.
    """

    counts: Array
    sums: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", hyperparameter(self.counts, "counts"))
        sums: Array = np.atleast_2d(np.asarray(self.sums, np.float64))
        if sums.ndim > 2 or len(sums) != len(self.counts):
            raise ValueError(
                f"sums: expected a row for each of counts {self.counts.shape}, got {sums.shape}"
            )
        if not np.isfinite(sums).all():
            bad = sums[~np.isfinite(sums)].flat[0]
            raise ValueError(f"sums: expected finite numbers, got {bad}")
        object.__setattr__(self, "sums", sums)

    def plus(self, stats: LinearStatistics) -> PseudoRows:
        """With the rows of ``stats``."""
        return PseudoRows(self.counts + stats.counts, self.sums + stats.sums)

    def statistics(self) -> LinearStatistics:
        """The same as statistics, to be spent."""
        return LinearStatistics(self.counts, self.sums)

    def log_density(self, form: LinearForm) -> float:
        """Up to a constant that does not depend on the parameters: the log-likelihood of the rows, nats."""
        constants = (self.counts * form.constants).sum()
        return float(constants + (self.sums * form.coefficients).sum())
