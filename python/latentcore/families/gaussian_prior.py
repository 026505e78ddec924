"""Conjugate priors of Gaussian components: normal - inverse Wishart, and what it is for other types of covariance.

For every type of covariance the prior is written in the same terms, with nu degrees of freedom and a scale Psi, so
that on one column all types are the same (Bishop 2006, section 2.3.6; Fraley & Raftery 2007):

    mean_k | covariance_k ~ N(m, covariance_k / kappa)
    full            covariance_k ~ inverse Wishart(nu, Psi)
    tied            the one covariance ~ inverse Wishart(nu, Psi)
    diag            variance_kd ~ inverse gamma(nu / 2, Psi_d / 2)
    spherical       variance_k ~ inverse gamma(nu / 2, Psi / 2)
    tied_spherical  the one variance ~ inverse gamma(nu / 2, Psi / 2)

The density is one of means and covariances (not precisions), and so is its mode.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.families.gaussian_types import (
    CovarianceType,
    GaussianParams,
    GaussianStatistics,
    layout,
)
from latentcore.protocols import Array, RealArray

__all__ = [
    "GaussianPrior",
    "check",
    "log_density",
    "mode",
    "scatter",
    "update",
    "weak",
    "whiten",
]

_SHRINKAGE = 0.01
"""mclust's: the prior mean weighs as much as a hundredth of a row."""
_COLLINEAR = 1e-10
"""Least eigenvalue of a correlation matrix from which columns count as linearly dependent."""
_CONSTANT = 1e-14
"""Standard deviation, relative to the mean, that is rounding."""


@dataclass(frozen=True, slots=True)
class GaussianPrior:
    """A prior of K Gaussian components, or its posterior. K may be 1 in a prior: the same for all components.

    Attributes
    ----------
    means : (K, D)
        m.
    mean_precision : (K,)
        kappa: how many rows the means are worth.
    degrees_of_freedom : (K,); tied and tied_spherical (1,)
        nu, proper above D - 1 for full and tied covariances, above 0 for the others.
    scale : full (K, D, D), tied (D, D), diag (K, D), spherical (K,), tied_spherical (1,)
        Psi: the sum of squares that the degrees of freedom are worth.

    Numbers and nested lists become arrays of float64.
    """

    means: Array
    mean_precision: Array
    degrees_of_freedom: Array
    scale: Array

    def __init__(
        self,
        means: npt.ArrayLike,
        mean_precision: npt.ArrayLike,
        degrees_of_freedom: npt.ArrayLike,
        scale: npt.ArrayLike,
    ) -> None:
        values = (means, mean_precision, degrees_of_freedom, scale)
        for field, value in zip(fields(self), values, strict=True):
            name, array = field.name, np.atleast_1d(np.asarray(value, np.float64))
            if not np.isfinite(array).all():
                raise ValueError(f"{name}: expected finite numbers, got {array}")
            object.__setattr__(self, name, array)


def update(prior: GaussianPrior, stats: GaussianStatistics) -> GaussianPrior:
    """The posterior after observations with these expected statistics.

    With counts N, means xbar, and G = scatter + kappa N / (kappa + N) (xbar - m)(xbar - m)^T:
    kappa + N, (kappa m + N xbar) / (kappa + N), nu + N, Psi + G. Spherical: nu + D N, Psi + tr G; tied: N and G summed
    over components.
    """
    type_ = stats.covariance_type
    n_features = stats.means.shape[1]
    counts = stats.counts
    precision = prior.mean_precision + counts
    steps = stats.means - prior.means
    share = counts / np.where(precision > 0, precision, 1.0)
    scatters = stats.scatters
    rows: Array = counts * n_features if layout(type_) == "spherical" else counts
    if type_ in ("tied", "tied_spherical"):
        rows = rows.sum(keepdims=True)
    if type_ == "tied_spherical":
        scatters = scatters.sum(keepdims=True)
    return GaussianPrior(
        prior.means + share[:, None] * steps,
        precision,
        prior.degrees_of_freedom + rows,
        prior.scale + (scatters + scatter(prior.mean_precision * share, steps, type_)),
    )


def scatter(weights: Array, deviations: Array, covariance_type: CovarianceType) -> Array:
    """Of one deviation (D,) for each component, (K, D), under weights (K,), in the shape of ``GaussianPrior.scale``."""
    if covariance_type in ("full", "tied"):
        outer: Array = deviations[:, :, None] * deviations[:, None, :]
        outer *= weights[:, None, None]
        return outer.sum(axis=0) if covariance_type == "tied" else outer
    squares: Array = weights[:, None] * deviations**2
    if covariance_type == "diag":
        return squares
    squares = squares.sum(axis=1)
    return squares.sum(keepdims=True) if covariance_type == "tied_spherical" else squares


def whiten(deviations: Array, factors: Array, covariance_type: CovarianceType) -> Array:
    """``U_k^T deviation_k``, (K, D), for factors U of precisions."""
    if covariance_type == "full":
        whitened: Array = np.einsum("kd,kde->ke", deviations, factors)
    elif covariance_type == "tied":
        whitened = deviations @ factors
    elif covariance_type == "diag":
        whitened = deviations * factors
    else:
        whitened = deviations * factors[:, None]
    return whitened


def mode(posterior: GaussianPrior, covariance_type: CovarianceType) -> tuple[Array, Array]:
    """Means and covariances of largest density.

    The means m, and Psi divided by: full nu + D + 2, tied nu + D + 1 + K, diag nu + 3, spherical nu + D + 2,
    tied_spherical nu + 2 + K D.
    """
    means, nu, scale = posterior.means, posterior.degrees_of_freedom, posterior.scale
    n_components, n_features = means.shape
    if covariance_type == "full":
        return means, scale / (nu + n_features + 2)[:, None, None]
    if covariance_type == "tied":
        return means, scale / (nu + n_features + 1 + n_components)
    if covariance_type == "diag":
        return means, scale / (nu + 3)[:, None]
    if covariance_type == "spherical":
        return means, scale / (nu + n_features + 2)
    variance = scale / (nu + 2 + n_components * n_features)
    return means, np.repeat(variance, n_components)


def log_density(
    prior: GaussianPrior, params: GaussianParams, covariance_type: CovarianceType
) -> float:
    """The log-density of means and covariances, summed over components, nats.

    Raises
    ------
    ValueError
        The prior is not proper, or its arrays do not have the shapes of the type of covariance.
    """
    n_components, n_features = params.means.shape
    check(prior, covariance_type, n_components, n_features)
    covariances = params.covariances
    means = _log_normal(prior, params, covariance_type)
    if covariance_type in ("full", "tied"):
        n_matrices = n_components if covariance_type == "full" else 1
        factors = params.precisions_cholesky.reshape(n_matrices, n_features, n_features)
        scale = prior.scale.reshape(-1, n_features, n_features)
        log_determinants = -2.0 * params.log_determinants[:n_matrices]
        traces = np.einsum("kij,kij->k", factors, scale @ factors)
        log_scales = np.linalg.slogdet(scale)[1]
        dimension = n_features
    else:
        if covariance_type == "tied_spherical":
            covariances = covariances[:1]
        log_determinants, traces = np.log(covariances), prior.scale / covariances
        log_scales = np.log(prior.scale)
        dimension = 1
    nu = prior.degrees_of_freedom
    if covariance_type == "diag":
        nu = nu[:, None]
    inverse_wishart = (
        0.5 * nu * (log_scales - dimension * math.log(2.0))
        - kernels.multivariate_lgamma(np.ascontiguousarray(0.5 * nu), dimension)
        - 0.5 * (nu + dimension + 1) * log_determinants
        - 0.5 * traces
    )
    return float(means.sum() + inverse_wishart.sum())


def _log_normal(
    prior: GaussianPrior, params: GaussianParams, covariance_type: CovarianceType
) -> Array:
    """log N(mean_k; m_k, covariance_k / kappa_k), (K,)."""
    n_features = params.means.shape[1]
    whitened = whiten(params.means - prior.means, params.precisions_cholesky, covariance_type)
    kappa = prior.mean_precision
    log_normal: Array = (
        0.5 * n_features * np.log(kappa / (2.0 * math.pi))
        + params.log_determinants
        - 0.5 * kappa * (whitened**2).sum(axis=1)
    )
    return log_normal


def check(
    prior: GaussianPrior, covariance_type: CovarianceType, n_components: int, n_features: int
) -> None:
    """Whether a prior fits components of this type and is proper.

    Raises
    ------
    ValueError
        It is not proper, or an array does not have the shape of the type of covariance.
    """
    shared = covariance_type in ("tied", "tied_spherical")
    n_scales = 1 if shared else n_components
    scale_shape = {
        "full": (n_scales, n_features, n_features),
        "tied": (n_features, n_features),
        "diag": (n_scales, n_features),
        "spherical": (n_scales,),
        "tied_spherical": (n_scales,),
    }[covariance_type]
    _check_shape("means", prior.means, (n_components, n_features))
    _check_shape("mean_precision", prior.mean_precision, (n_components,))
    _check_shape("degrees_of_freedom", prior.degrees_of_freedom, (n_scales,))
    _check_shape("scale", prior.scale, scale_shape, for_all=covariance_type != "tied")

    matrices = covariance_type in ("full", "tied")
    _check_above("mean_precision", prior.mean_precision, 0)
    _check_above("degrees_of_freedom", prior.degrees_of_freedom, n_features - 1 if matrices else 0)
    if matrices:
        _check_above("eigenvalues of scale", np.linalg.eigvalsh(prior.scale), 0)
    else:
        _check_above("scale", prior.scale, 0)


def _check_shape(name: str, array: Array, shape: tuple[int, ...], *, for_all: bool = True) -> None:
    shapes = [shape, (1, *shape[1:])] if for_all and shape[0] > 1 else [shape]
    if array.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise ValueError(f"prior: expected {name} of shape {expected}, got {array.shape}")


def _check_above(name: str, array: RealArray, bound: int) -> None:
    if not (array > bound).all():
        raise ValueError(f"prior: expected {name} > {bound} to be proper, got {array.min():g}")


# -- a default


def weak(pooled: GaussianStatistics, n_components: int) -> GaussianPrior:
    """A proper prior on the scale of the data.

    The default of mclust's ``priorControl``: shrinkage 0.01 towards the mean of the data, D + 2 degrees of freedom, and
    as scale the covariance of the data (diag: its diagonal; spherical: the mean of that) divided by K^(2/D), so that
    the ellipsoids of K components fill the volume of that of the data.

    If the covariance is not positive definite, its diagonal serves. A column that is constant counts as one of
    standard deviation 0.001 |mean|; if the mean is 0, of the mean variance of the other columns, or, where none
    varies, 1.

    Parameters
    ----------
    pooled : GaussianStatistics
        Of all rows as one component.
    n_components : int
        K.

    References
    ----------
    Fraley & Raftery (2007), Bayesian regularization for normal mixture estimation and model-based clustering.
    Journal of Classification 24.
    """
    type_ = pooled.covariance_type
    means = pooled.means
    n_features = means.shape[1]
    covariance = pooled.scatters / pooled.counts[0]
    if type_ in ("full", "tied"):
        covariance = _positive_definite(covariance.reshape(n_features, n_features), means[0])
        if type_ == "full":
            covariance = covariance[None]
    elif type_ == "diag":
        covariance = _positive(covariance[0], means[0])[None]
    else:
        size = np.sqrt((means**2).mean(axis=1))
        covariance = _positive(covariance / n_features, size)
    return GaussianPrior(
        means,
        np.array([_SHRINKAGE]),
        np.array([n_features + 2.0]),
        covariance / n_components ** (2.0 / n_features),
    )


def _positive(variances: Array, means: Array) -> Array:
    """Variances, those of constant columns replaced."""
    constant = np.sqrt(variances) <= _CONSTANT * np.abs(means)
    others = float(variances[~constant].mean()) if not constant.all() else 1.0
    floors = np.where(means != 0, (1e-3 * means) ** 2, others)
    return np.where(constant, floors, variances)


def _positive_definite(covariance: Array, means: Array) -> Array:
    """A covariance matrix, or its diagonal where it is singular."""
    variances = _positive(covariance.diagonal(), means)
    deviations = np.sqrt(variances)
    correlations = covariance / deviations / deviations[:, None]
    if np.linalg.eigvalsh(correlations)[0] > _COLLINEAR:
        return covariance
    return np.diag(variances)
