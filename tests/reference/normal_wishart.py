"""Evidence of Gaussian components with all hidden components known, by ratios of normalisers in natural coordinates.

These are kappa, kappa m, nu and ``Psi + kappa m m^T`` (tied: summed over components; diag: its diagonal; spherical: its
trace), to which observations add 1, x, 1 (spherical: D) and ``x x^T``. Nothing here is shared with the package.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, multigammaln

Array = npt.NDArray[np.float64]
Natural = tuple[Array, Array, Array, Array]


def second_moments(weights: Array, x: Array, covariance_type: str) -> Array:
    """Sums of ``x x^T`` under weights (N, K), in the shape of the scale."""
    outer = np.einsum("nk,nd,ne->kde", weights, x, x)
    return reduced(outer, covariance_type)


def reduced(matrices: Array, covariance_type: str) -> Array:
    """Matrices (K, D, D) in the shape of the scale."""
    if covariance_type == "full":
        return matrices
    if covariance_type == "tied":
        return matrices.sum(axis=0)
    if covariance_type == "diag":
        return np.einsum("kdd->kd", matrices)
    traces = np.einsum("kdd->k", matrices)
    return traces.sum(keepdims=True) if covariance_type == "tied_spherical" else traces


def natural(prior: Any, n_components: int, covariance_type: str) -> Natural:
    """Natural coordinates of a prior (or posterior), for each of K components."""
    shared = covariance_type in ("tied", "tied_spherical")
    means = np.broadcast_to(prior.means, (n_components, prior.means.shape[1]))
    kappa = np.broadcast_to(prior.mean_precision, n_components)
    nu, scale = prior.degrees_of_freedom, prior.scale
    if not shared:
        nu = np.broadcast_to(nu, n_components)
        scale = np.broadcast_to(scale, (n_components, *scale.shape[1:]))
    outer = kappa[:, None, None] * means[:, :, None] * means[:, None, :]
    return kappa + 0.0, kappa[:, None] * means, nu + 0.0, scale + reduced(outer, covariance_type)


def observed(before: Natural, x: Array, weights: Array, covariance_type: str) -> Natural:
    """After observations ``x`` under weights (N, K)."""
    counts = weights.sum(axis=0)
    rows = counts * x.shape[1] if "spherical" in covariance_type else counts
    if covariance_type in ("tied", "tied_spherical"):
        rows = rows.sum(keepdims=True)
    kappa, first, nu, second = before
    return (
        kappa + counts,
        first + weights.T @ x,
        nu + rows,
        second + second_moments(weights, x, covariance_type),
    )


def log_normaliser(coordinates: Natural, covariance_type: str) -> float:
    """Of ``prod |Lambda|^(nu/2 ...) exp(...)``, but for powers of 2 pi that depend on the shape alone."""
    kappa, first, nu, second = coordinates
    n_features = first.shape[1]
    outer = first[:, :, None] * first[:, None, :] / kappa[:, None, None]
    scale = second - reduced(outer, covariance_type)
    of_means = -0.5 * n_features * np.log(kappa).sum()
    if covariance_type in ("full", "tied"):
        matrices = scale.reshape(-1, n_features, n_features)
        half_logs = 0.5 * nu * (np.linalg.slogdet(matrices)[1] - n_features * np.log(2.0))
        return float(of_means + (multigammaln(0.5 * nu, n_features) - half_logs).sum())
    if covariance_type == "diag":
        nu = nu[:, None]
    return float(of_means + (gammaln(0.5 * nu) - 0.5 * nu * np.log(0.5 * scale)).sum())


def log_evidence(prior: Any, x: Array, weights: Array, covariance_type: str) -> float:
    """log p(x | components), of rows that belong to components by one-hot ``weights`` (N, K)."""
    before = natural(prior, weights.shape[1], covariance_type)
    after = observed(before, x, weights, covariance_type)
    return (
        log_normaliser(after, covariance_type)
        - log_normaliser(before, covariance_type)
        - 0.5 * x.size * float(np.log(2.0 * np.pi))
    )
