"""The Gaussian on D features: full, tied, diagonal and spherical covariances.

Statistics are (count, mean, scatter about the mean), never raw second moments, so that data far from the origin lose
nothing. They add by the formula of Chan, Golub & LeVeque (1983).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.arrays import Rows
from latentcore.protocols import Array, RealArray
from latentcore.statistics import Statistics

__all__ = ["CovarianceType", "Gaussian", "GaussianParams", "GaussianStatistics"]

CovarianceType = Literal["full", "tied", "diag", "spherical"]

_LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class GaussianParams:
    """K Gaussians.

    Attributes
    ----------
    means : (K, D)
    covariances : full (K, D, D), tied (D, D), diag (K, D), spherical (K,)
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

    Scatters: full (K, D, D); tied (D, D), summed over components; diag (K, D); spherical (K,), summed over features.
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
            self.covariance_type,
        )  # fmt: skip
        return GaussianStatistics(counts, means, scatters, self.covariance_type)

    def __mul__(self, scale: float) -> GaussianStatistics:
        if not scale >= 0:
            raise ValueError(f"scale: expected a number >= 0, got {scale!r}")
        return GaussianStatistics(
            self.counts * scale, self.means, self.scatters * scale, self.covariance_type
        )

    __rmul__ = __mul__


@dataclass(frozen=True, slots=True)
class Gaussian:
    """The family: one of the four shapes of covariance.

    Parameters
    ----------
    covariance_type : {"full", "tied", "diag", "spherical"}
    reg_covar : float, >= 0
        Added to every variance by ``maximize``. A floor, not a prior: with ``reg_covar > 0`` EM ascends the
        log-likelihood only up to its effect.
    """

    covariance_type: CovarianceType = "full"
    reg_covar: float = 0.0

    def __post_init__(self) -> None:
        if self.covariance_type not in get_args(CovarianceType):
            raise ValueError(
                f"covariance_type: expected one of {', '.join(map(repr, get_args(CovarianceType)))}, "
                f"got {self.covariance_type!r}"
            )

    # -- the protocol

    def log_likelihood(self, params: GaussianParams, x: RealArray) -> RealArray:
        """Log-densities, (N, K), nats."""
        return self.mixture_log_joint(params, np.zeros(len(params.means)), x)

    def expected_statistics(
        self, params: GaussianParams | None, x: RealArray, weights: RealArray
    ) -> GaussianStatistics:
        """Statistics of rows ``x`` (N, D) under ``weights`` (N, K) >= 0, same dtype.

        The moments are taken about the components' means, or about the means of ``x`` where there are none yet;
        where a center proves to lie too far off, they are taken once more about the means that came out.
        """
        if params is None:
            n_components = weights.shape[1]
            centers = np.tile(x.mean(axis=0, dtype=np.float64), (n_components, 1))
        else:
            centers = params.means
        type_ = self.covariance_type
        counts, means, scatters, cancelled = kernels.gaussian_moments(x, weights, centers, type_)
        if cancelled:
            counts, means, scatters, _ = kernels.gaussian_moments(x, weights, means, type_)
        return GaussianStatistics(counts, means, scatters, type_)

    def maximize(
        self, stats: GaussianStatistics, previous: GaussianParams | None = None
    ) -> GaussianParams:
        """Maximum likelihood: the means, and scatter / count + reg_covar (tied: pooled; spherical: / D too).

        A component of count 0 keeps its previous parameters.

        Raises
        ------
        NumericalError
            A covariance is not positive definite; the message names the component.
        """
        covariances, factors, log_determinants = kernels.gaussian_maximize(
            stats.counts, stats.scatters, self.reg_covar, self.covariance_type, stats.means.shape[1],
            None if previous is None else previous.covariances,
        )  # fmt: skip
        return GaussianParams(stats.means, covariances, factors, log_determinants)

    def model_statistics(self, params: GaussianParams, counts: Array) -> GaussianStatistics:
        """Statistics that ``counts`` (K,) observations of the components are expected to give.

        The counts, the means, and scatters of count times covariance (tied: summed; spherical: times D too).
        """
        scale: Array = counts
        if self.covariance_type == "tied":
            scale = counts.sum()
        elif self.covariance_type == "spherical":
            scale = counts * params.means.shape[1]
        scatters = (params.covariances.T * scale).T
        return GaussianStatistics(
            counts, params.means, np.ascontiguousarray(scatters), self.covariance_type
        )

    # -- parameters from elsewhere

    def params(self, means: Array, covariances: Array) -> GaussianParams:
        """Parameters from means (K, D) and covariances of the shape of ``covariance_type``.

        Raises
        ------
        NumericalError
            A covariance is not positive definite; the message names the component.
        """
        factors, log_determinants = kernels.gaussian_factors(
            covariances, self.covariance_type, *means.shape
        )
        return GaussianParams(means, covariances, factors, log_determinants)

    # -- fused sweeps

    def _sweep_arguments(
        self, params: GaussianParams, log_weights: Array
    ) -> tuple[Array, Array, Array, CovarianceType]:
        """Offsets, means, factors and covariance type, as the kernels take them.

        The offsets are all of the log joint density that does not depend on the row:
        log weight + log|det U| - D/2 log(2 pi).
        """
        offsets: Array = log_weights + params.log_determinants
        offsets -= 0.5 * _LOG_2PI * params.means.shape[1]
        return offsets, params.means, params.precisions_cholesky, self.covariance_type

    def mixture_sweep(
        self, params: GaussianParams, log_weights: Array, data: Rows, hard: bool
    ) -> tuple[Array, GaussianStatistics, float]:
        """Counts, statistics and objective of one E-step; see ``protocols.FusedFamily``."""
        arguments = self._sweep_arguments(params, log_weights)
        weight = data.sample_weight
        counts, means, scatters, log_likelihood, cancelled = kernels.gaussian_em_sweep(
            data.x, weight, *arguments, None, data.labels, hard
        )
        if cancelled:  # a mean went many standard deviations away: take moments about its new place
            counts, means, scatters, log_likelihood, _ = kernels.gaussian_em_sweep(
                data.x, weight, *arguments, means, data.labels, hard
            )
        stats = GaussianStatistics(counts, means, scatters, self.covariance_type)
        return counts, stats, log_likelihood

    def mixture_log_joint(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> RealArray:
        """(N, K): log weight plus log-density, nats."""
        return kernels.gaussian_log_joint(x, *self._sweep_arguments(params, log_weights))

    def mixture_responsibilities(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> tuple[RealArray, RealArray]:
        """(N, K) responsibilities and (N,) log-densities of the mixture, nats."""
        return kernels.gaussian_responsibilities(x, *self._sweep_arguments(params, log_weights))

    def mixture_log_density(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> RealArray:
        """(N,) log-densities of the mixture, nats."""
        return kernels.gaussian_log_density(x, *self._sweep_arguments(params, log_weights))

    def mixture_labels(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> npt.NDArray[np.intp]:
        """(N,) the most responsible component of each row, the first of equals."""
        return kernels.gaussian_labels(x, *self._sweep_arguments(params, log_weights))
