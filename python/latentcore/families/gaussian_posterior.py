"""Gaussian components under a posterior of means and precisions: what variational inference asks for.

The posterior is a ``GaussianPrior``: ``mean_k | precision_k ~ N(m_k, (kappa_k Lambda_k)^-1)`` and ``Lambda`` Wishart
with nu degrees of freedom and scale matrix Psi^-1; diag and spherical: precisions ``Gamma(nu / 2, Psi / 2)``, which is
the Wishart distribution in one dimension, so that one formula serves all types (Bishop 2006, section 10.2).
"""

from __future__ import annotations

import math

import numpy as np

from latentcore import kernels
from latentcore.families.gaussian_missing import has_missing
from latentcore.families.gaussian_prior import GaussianPrior, scatter, whiten
from latentcore.families.gaussian_types import CovarianceType, GaussianParams, layout
from latentcore.families.support import log_rising
from latentcore.protocols import Array, RealArray

__all__ = ["blend", "divergence", "expected", "mean", "predictive_log_density"]

_BLOCK_ELEMENTS = 1 << 16
"""Size of a block of (rows, K): half a MiB."""


def expected(
    posterior: GaussianPrior, n_components: int, covariance_type: CovarianceType
) -> GaussianParams:
    """What stands in the place of parameters, so that log-densities are E log N(x; mean_k, precision_k^-1).

    ``(E log|Lambda_k| - D log 2 pi - D / kappa_k - (x - m_k)^T E[Lambda_k] (x - m_k)) / 2``, where E Lambda is
    nu Psi^-1 and E log|Lambda| is ``sum_i psi((nu + 1 - i) / 2) + D log 2 - log|Psi|``, i = 1 .. D (Bishop 2006,
    10.64 and 10.65). So ``log_determinants`` are not those of ``precisions_cholesky``. For rows without
    missing entries: what is taken of parameters for others is not this.
    """
    posterior = _for_each(posterior, n_components, covariance_type)
    nu, scale = posterior.degrees_of_freedom, posterior.scale
    if covariance_type == "tied_spherical":
        nu, scale = np.repeat(nu, n_components), np.repeat(scale, n_components)
    n_features = posterior.means.shape[1]
    factors, offsets = kernels.gaussian_expected(
        np.ascontiguousarray(posterior.mean_precision), np.ascontiguousarray(nu),
        np.ascontiguousarray(scale), layout(covariance_type), n_features,
    )  # fmt: skip
    log_determinants = offsets + 0.5 * n_features * math.log(2.0 * math.pi)
    covariances = _mean_covariances(posterior, covariance_type)
    return GaussianParams(posterior.means, covariances, factors, log_determinants)


def mean(posterior: GaussianPrior, covariance_type: CovarianceType) -> GaussianParams:
    """Parameters to plug in: the means m, and covariances Psi / nu, the inverse of E Lambda."""
    covariances = _mean_covariances(posterior, covariance_type)
    factors, log_determinants = kernels.gaussian_factors(
        covariances, layout(covariance_type), *posterior.means.shape
    )
    return GaussianParams(posterior.means, covariances, factors, log_determinants)


def _mean_covariances(posterior: GaussianPrior, covariance_type: CovarianceType) -> Array:
    """Psi / nu, in the shape of ``GaussianParams.covariances``."""
    nu = posterior.degrees_of_freedom
    covariances = (posterior.scale.T / nu).T if covariance_type != "tied" else posterior.scale / nu
    if covariance_type == "tied_spherical":
        covariances = np.repeat(covariances, len(posterior.means))
    return np.ascontiguousarray(covariances)


def divergence(
    posterior: GaussianPrior, prior: GaussianPrior, covariance_type: CovarianceType
) -> Array:
    """KL(posterior || prior) by component, (K,), nats; that of a shared covariance is divided equally.

    Of the mean, ``(D (kappa0 / kappa - 1 - log(kappa0 / kappa)) + kappa0 (m - m0)^T E[Lambda] (m - m0)) / 2``; of the
    covariance that of two Wishart distributions.
    """
    n_components, n_features = posterior.means.shape
    prior = _for_each(prior, n_components, covariance_type)
    whitened = whiten(
        posterior.means - prior.means,
        mean(posterior, covariance_type).precisions_cholesky,
        covariance_type,
    )
    ratio = prior.mean_precision / posterior.mean_precision
    of_means = 0.5 * n_features * (ratio - 1.0 - np.log(ratio))
    of_means += 0.5 * prior.mean_precision * (whitened**2).sum(axis=1)
    of_covariances = _divergence_of_covariances(posterior, prior, covariance_type)
    if covariance_type in ("tied", "tied_spherical"):
        of_covariances = of_covariances / n_components
    divergence: Array = of_means + of_covariances
    return divergence


def _divergence_of_covariances(
    posterior: GaussianPrior, prior: GaussianPrior, covariance_type: CovarianceType
) -> Array:
    """KL of Wishart distributions in p dimensions, (K,) or, of a shared covariance, (1,).

    ``nu0/2 log(|Psi| / |Psi0|) + log Gamma_p(nu0/2) - log Gamma_p(nu/2) + (nu - nu0)/2 sum_i psi((nu + 1 - i)/2)
    + nu/2 (tr(Psi0 Psi^-1) - p)``: the powers of two in the normalisers and in E log|Lambda| cancel.
    """
    n_features = posterior.means.shape[1]
    nu, nu0 = posterior.degrees_of_freedom, prior.degrees_of_freedom
    size = _size(posterior, covariance_type)
    scale, scale0 = posterior.scale, prior.scale
    if covariance_type in ("full", "tied"):
        shape = (len(nu), n_features, n_features)
        factors, half_log = kernels.gaussian_factors(
            scale.reshape(shape), "full", len(nu), n_features
        )
        _, half_log0 = kernels.gaussian_factors(scale0.reshape(shape), "full", len(nu), n_features)
        log_ratios = 2.0 * (half_log0 - half_log)
        traces = np.einsum("kij,kij->k", factors, scale0.reshape(shape) @ factors)
    else:
        log_ratios, traces = np.log(scale / scale0), scale0 / scale
        if covariance_type == "diag":
            nu, nu0 = nu[:, None], nu0[:, None]
    terms: Array = (
        0.5 * nu0 * log_ratios
        + kernels.multivariate_lgamma(np.ascontiguousarray(0.5 * nu0), size)
        - kernels.multivariate_lgamma(np.ascontiguousarray(0.5 * nu), size)
        + 0.5 * (nu - nu0) * _sum_digamma(0.5 * nu, size)
        + 0.5 * nu * (traces - size)
    )
    return terms.sum(axis=1) if covariance_type == "diag" else terms


def blend(
    posterior: GaussianPrior, other: GaussianPrior, rate: float, covariance_type: CovarianceType
) -> GaussianPrior:
    """``(1 - rate) posterior + rate other`` in natural coordinates.

    These are kappa, kappa m, nu and ``Psi + kappa m m^T`` (tied: summed over components; diag, spherical: its diagonal,
    its trace). Taken about the means, so that nothing cancels: Psi gains
    ``(1 - rate) kappa rate kappa' / (their sum) (m - m')(m - m')^T``.
    """
    n_components = max(len(posterior.means), len(other.means))
    a, b = (_for_each(prior, n_components, covariance_type) for prior in (posterior, other))
    kept, gained = (1.0 - rate) * a.mean_precision, rate * b.mean_precision
    precision = kept + gained
    share = (gained / precision)[:, None]
    between = scatter(kept * gained / precision, b.means - a.means, covariance_type)
    return GaussianPrior(
        (1.0 - share) * a.means + share * b.means,
        precision,
        (1.0 - rate) * a.degrees_of_freedom + rate * b.degrees_of_freedom,
        (1.0 - rate) * a.scale + rate * b.scale + between,
    )


def predictive_log_density(
    posterior: GaussianPrior, x: RealArray, covariance_type: CovarianceType
) -> RealArray:
    """Log-densities of one more row under each component, (N, K), nats: Student's t.

    full, tied: nu + 1 - D degrees of freedom and scale matrix ``Psi (kappa + 1) / (kappa (nu + 1 - D))``; spherical: nu
    and ``Psi (kappa + 1) / (kappa nu)`` times the identity; diag: a product over columns of the same in one dimension.

    Raises
    ------
    ValueError
        An entry is missing.
    """
    if has_missing(x):
        raise ValueError("X: expected no missing entries, got NaN")
    n_components, n_features = posterior.means.shape
    scale = posterior.scale
    if covariance_type == "tied_spherical":
        scale = np.repeat(scale, n_components)
    if covariance_type == "diag":
        return _product_of_columns(posterior, x)
    factors, log_determinants = kernels.gaussian_factors(
        scale, layout(covariance_type), n_components, n_features
    )
    nu = np.broadcast_to(posterior.degrees_of_freedom, n_components)
    power = 0.5 * (nu + (1 if _size(posterior, covariance_type) == n_features else n_features))
    out = kernels.gaussian_log_joint(
        x, np.zeros(n_components), posterior.means, factors, layout(covariance_type)
    )
    out *= -2.0  # squared distances
    _student(out, log_determinants, posterior.mean_precision, power, n_features)
    return out


def _student(
    distances: RealArray, log_determinants: Array, kappa: Array, power: Array, n_features: int
) -> None:
    """From squared distances (N, K) in the metric of Psi^-1 = U U^T, log|U| (K,), to log-densities, in place.

    ``log Gamma(power) - log Gamma(power - D/2) - D/2 log(pi (kappa + 1) / kappa) + log|U|
    - power log(1 + distance kappa / (kappa + 1))``, and power is half of degrees of freedom + D.
    """
    shrinkage = kappa / (kappa + 1.0)
    half = 0.5 * n_features
    constants = log_rising(power - half, np.full_like(power, half))
    constants += half * np.log(shrinkage / math.pi) + log_determinants
    distances *= shrinkage
    np.log1p(distances, out=distances)
    distances *= -power
    distances += constants


def _product_of_columns(posterior: GaussianPrior, x: RealArray) -> RealArray:
    n_components, n_features = posterior.means.shape
    power = 0.5 * (posterior.degrees_of_freedom + 1.0)
    deviations = np.sqrt(posterior.scale)
    log_determinants = -np.log(deviations)
    out = np.empty((len(x), n_components), x.dtype)
    size = max(1, _BLOCK_ELEMENTS // n_components)
    for start in range(0, len(x), size):
        rows = x[start : start + size]
        log_density = np.zeros((len(rows), n_components))
        for d in range(n_features):
            distances = (rows[:, d, None] - posterior.means[:, d]) / deviations[:, d]
            with np.errstate(over="ignore"):
                distances *= distances
            _student(distances, log_determinants[:, d], posterior.mean_precision, power, 1)
            log_density += distances
        out[start : start + size] = log_density
    return out


# -- sizes and sums


def _size(posterior: GaussianPrior, covariance_type: CovarianceType) -> int:
    """Dimension p of the Wishart distributions."""
    return int(posterior.means.shape[1]) if covariance_type in ("full", "tied") else 1


def _for_each(
    prior: GaussianPrior, n_components: int, covariance_type: CovarianceType
) -> GaussianPrior:
    """A prior of K components; what one component stands for all of is repeated."""
    own = [prior.means, prior.mean_precision]
    shared = [prior.degrees_of_freedom, prior.scale]
    if covariance_type not in ("tied", "tied_spherical"):
        own, shared = own + shared, []
    if all(len(array) == n_components for array in own):
        return prior
    return GaussianPrior(*(_repeat(array, n_components) for array in own), *shared)


def _repeat(array: Array, n_components: int) -> Array:
    return np.ascontiguousarray(np.broadcast_to(array, (n_components, *array.shape[1:])))


def _sum_digamma(a: Array, size: int) -> Array:
    """``sum_i psi(a - i / 2)``, i = 0 .. size - 1."""
    total: Array = kernels.digamma(_steps(a, size)).sum(axis=-1)
    return total


def _steps(a: Array, size: int) -> Array:
    return np.ascontiguousarray(a[..., None] - 0.5 * np.arange(size))
