"""What the Gaussian family is made of: types of covariance, parameters, statistics.

Statistics are (count, mean, scatter about the mean), never raw second moments, so that data far from the origin lose
nothing. They add by the formula of Chan, Golub & LeVeque (1983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from latentcore import kernels
from latentcore.protocols import Array
from latentcore.statistics import Statistics

__all__ = ["CovarianceType", "GaussianParams", "GaussianStatistics", "Layout", "layout"]

CovarianceType = Literal["full", "tied", "diag", "spherical", "tied_spherical"]

Layout = Literal["full", "tied", "diag", "spherical"]


def layout(covariance_type: CovarianceType) -> Layout:
    """How arrays of this type are laid out, as the kernels call it.

    One variance for all components is held by each of them.
    """
    return "spherical" if covariance_type == "tied_spherical" else covariance_type


@dataclass(frozen=True, slots=True)
class GaussianParams:
    """K Gaussians.

    Attributes
    ----------
    means : (K, D)
    covariances : full (K, D, D), tied (D, D), diag (K, D), spherical (K,), tied_spherical (K,), all equal
    precisions_cholesky : as covariances
        U with covariance^-1 = U U^T, U upper triangular; diag, spherical: reciprocal standard deviations.
    log_determinants : (K,)
        log|det U|.
    """

    means: Array
    covariances: Array
    precisions_cholesky: Array
    log_determinants: Array


@dataclass(frozen=True, slots=True)
class GaussianStatistics(Statistics):
    """Counts (K,), means (K, D) and scatters about the means, not divided by the counts.

    Scatters: full (K, D, D); tied (D, D), summed over components; diag (K, D); spherical and tied_spherical (K,),
    summed over features.
    """

    counts: Array
    means: Array
    scatters: Array
    covariance_type: CovarianceType

    def __add__(self, other: GaussianStatistics) -> GaussianStatistics:
        if type(other) is not GaussianStatistics or other.covariance_type != self.covariance_type:
            return NotImplemented
        counts, means, scatters = kernels.gaussian_add(
            self.counts, self.means, self.scatters, other.counts, other.means, other.scatters,
            layout(self.covariance_type),
        )  # fmt: skip
        return GaussianStatistics(counts, means, scatters, self.covariance_type)

    def __mul__(self, scale: float) -> GaussianStatistics:
        if not scale >= 0:
            raise ValueError(f"scale: expected a number >= 0, got {scale!r}")
        return GaussianStatistics(
            self.counts * scale, self.means, self.scatters * scale, self.covariance_type
        )

    __rmul__ = __mul__

    @staticmethod
    def weighted_sums(
        weights: Array, parts: Sequence[GaussianStatistics]
    ) -> list[GaussianStatistics]:
        """See ``statistics.weighted_sums``; scatters are taken about the means of the sums."""
        type_ = parts[0].covariance_type
        counts = np.stack([part.counts for part in parts])
        means = np.stack([part.means for part in parts])
        within = np.tensordot(weights.T, np.stack([part.scatters for part in parts]), axes=1)
        sums = []
        for column, scatter in zip(weights.T, within, strict=True):
            n = column[:, None] * counts
            count = n.sum(axis=0)
            shares = n / np.where(count > 0, count, 1.0)
            mean = means[0] + (shares[:, :, None] * (means - means[0])).sum(axis=0)
            scatter = scatter + _scatter(n, means - mean, layout(type_))
            sums.append(GaussianStatistics(count, mean, scatter, type_))
        return sums


def _scatter(n: Array, away: Array, type_: Layout) -> Array:
    """Of points ``away`` (M, K, D) from the means, that count ``n`` (M, K) times."""
    weighted = n[:, :, None] * away
    if type_ == "diag":
        return np.asarray((weighted * away).sum(axis=0))
    if type_ == "spherical":
        return np.asarray((weighted * away).sum(axis=(0, 2)))
    outer = weighted.transpose(1, 2, 0) @ away.transpose(1, 0, 2)
    outer = 0.5 * (outer + outer.transpose(0, 2, 1))
    return np.asarray(outer.sum(axis=0) if type_ == "tied" else outer)
