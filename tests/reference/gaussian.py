"""Gaussian log-densities and moments by their definitions, in extended precision.

Covariances have the shapes of the package: full (K, D, D), tied (D, D), diag (K, D), spherical and tied_spherical (K,).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]
Extended = npt.NDArray[np.longdouble]

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")  # as kernels know them


def random_covariances(
    rng: np.random.Generator, covariance_type: str, n_components: int, n_features: int
) -> Array:
    """Covariances of a given type with condition numbers below about ten."""

    def positive_definite() -> Array:
        a = rng.normal(size=(n_features, 2 * n_features + 2))
        return a @ a.T / (2 * n_features + 2) + 0.2 * np.eye(n_features)

    if covariance_type == "full":
        return np.array([positive_definite() for _ in range(n_components)])
    if covariance_type == "tied":
        return positive_definite()
    if covariance_type == "diag":
        return rng.uniform(0.3, 2.0, size=(n_components, n_features))
    if covariance_type == "tied_spherical":
        return np.full(n_components, rng.uniform(0.3, 2.0))
    return rng.uniform(0.3, 2.0, size=n_components)


def full_covariances(covariances: Array, covariance_type: str, means: Array) -> Array:
    """Covariances of any type as K dense matrices."""
    n_components, n_features = means.shape
    if covariance_type == "full":
        return covariances
    if covariance_type == "tied":
        return np.broadcast_to(covariances, (n_components, n_features, n_features))
    if covariance_type == "diag":
        return np.array([np.diag(variances) for variances in covariances])
    return np.array([variance * np.eye(n_features) for variance in covariances])


def cholesky(a: npt.NDArray[Any]) -> Extended:
    """Lower triangular L, a = L L^T."""
    n = len(a)
    lower = np.zeros((n, n), np.longdouble)
    for j in range(n):
        rest = a[j:, j] - lower[j:, :j] @ lower[j, :j]
        lower[j:, j] = rest / np.sqrt(rest[0])
    return lower


def log_density(x: npt.NDArray[Any], mean: Array, covariance: Array) -> Extended:
    """log N(x | mean, covariance) of the rows of x, with a dense covariance."""
    n_features = len(mean)
    lower = cholesky(covariance.astype(np.longdouble))
    rest = (x.astype(np.longdouble) - mean).T
    solved = np.zeros_like(rest)
    for j in range(n_features):
        solved[j] = (rest[j] - lower[j, :j] @ solved[:j]) / lower[j, j]
    log_2pi = np.log(8 * np.arctan(np.longdouble(1)))
    log_determinant = 2 * np.log(np.diag(lower)).sum()
    return -(n_features * log_2pi + log_determinant + (solved**2).sum(axis=0)) / 2


def log_joint(
    x: npt.NDArray[Any], weights: Array, means: Array, covariances: Array, covariance_type: str
) -> Extended:
    """(N, K): log weight plus log-density."""
    dense = full_covariances(covariances, covariance_type, means)
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights.astype(np.longdouble))
    columns = [
        log_density(x, mean, covariance) for mean, covariance in zip(means, dense, strict=True)
    ]
    return np.stack(columns, axis=1) + log_weights


def observed_log_density(x: npt.NDArray[Any], mean: Array, covariance: Array) -> Array:
    """log N of the entries of each row that are not NaN, by SciPy; 0 where there are none."""
    out = np.zeros(len(x))
    missing = np.isnan(x)
    for pattern in np.unique(missing, axis=0):
        rows, o = (missing == pattern).all(axis=1), np.flatnonzero(~pattern)
        if o.size:
            marginal = stats.multivariate_normal(mean[o], covariance[np.ix_(o, o)])
            out[rows] = marginal.logpdf(x[np.ix_(rows, o)])
    return out


def log_prior(prior: Any, means: Array, covariances: Array, covariance_type: str) -> float:
    """The log-density of means and covariances, by SciPy, one factor after the other."""
    n_components = len(means)
    centers = np.broadcast_to(prior.means, means.shape)
    kappa = np.broadcast_to(prior.mean_precision, n_components)
    dense = full_covariances(covariances, covariance_type, means)
    out = sum(
        stats.multivariate_normal(centers[k], dense[k] / kappa[k]).logpdf(means[k])
        for k in range(n_components)
    )
    nu, psi = prior.degrees_of_freedom, prior.scale
    if covariance_type == "tied":
        return float(out + stats.invwishart(nu[0], psi).logpdf(covariances))
    if covariance_type == "tied_spherical":
        return float(out + stats.invgamma(nu[0] / 2, scale=psi[0] / 2).logpdf(covariances[0]))
    nu = np.broadcast_to(nu, n_components)
    psi = np.broadcast_to(psi, (n_components, *psi.shape[1:]))
    if covariance_type == "full":
        return float(
            out
            + sum(
                stats.invwishart(nu[k], psi[k]).logpdf(covariances[k]) for k in range(n_components)
            )
        )
    columns = nu[:, None] if covariance_type == "diag" else nu
    return float(out + stats.invgamma(columns / 2, scale=psi / 2).logpdf(covariances).sum())


def logsumexp(a: Extended) -> Extended:
    """log sum_k exp(a[n, k]) of rows with a finite maximum."""
    largest = a.max(axis=1)
    return largest + np.log(np.exp(a - largest[:, None]).sum(axis=1))


def responsibilities(a: Extended) -> Extended:
    return np.exp(a - logsumexp(a)[:, None])


def statistics(
    x: npt.NDArray[Any], weights: npt.NDArray[Any], covariance_type: str
) -> tuple[Array, Array, Array]:
    """Counts, means and scatters about the means of rows under weights (N, K), in two passes."""
    x = x.astype(np.longdouble)
    weights = weights.astype(np.longdouble)
    counts = weights.sum(axis=0)
    means = weights.T @ x / counts[:, None]
    full = []
    for k in range(weights.shape[1]):
        deviations = x - means[k]
        full.append((deviations * weights[:, k, None]).T @ deviations)
    scatters = np.array(full)
    if covariance_type == "tied":
        scatters = scatters.sum(axis=0)
    elif covariance_type == "diag":
        scatters = np.array([np.diag(scatter) for scatter in scatters])
    elif covariance_type in ("spherical", "tied_spherical"):
        scatters = np.array([np.trace(scatter) for scatter in scatters])
    return counts.astype(float), means.astype(float), scatters.astype(float)


def expected_statistics(
    x: npt.NDArray[Any], weights: Array, means: Array, covariances: Array, covariance_type: str,
    sample_weight: Array | None = None,
) -> tuple[Array, Array, Array, float]:  # fmt: skip
    """The E-step: counts, means, scatters, log-likelihood."""
    joint = log_joint(x, weights, means, covariances, covariance_type)
    row_weights = np.ones(len(x)) if sample_weight is None else sample_weight
    r = responsibilities(joint) * row_weights[:, None]
    log_likelihood = float((logsumexp(joint) * row_weights).sum())
    return *statistics(x, r, covariance_type), log_likelihood
