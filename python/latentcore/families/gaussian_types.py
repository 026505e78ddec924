"""What the Gaussian family is made of: types of covariance, parameters, statistics.

Statistics are (count, mean, scatter about the mean), never raw second moments, so that data far from the origin lose
nothing. They add by the formula of Chan, Golub & LeVeque (1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
