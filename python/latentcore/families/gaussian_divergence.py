"""Relative entropies of Gaussians: ``KL(i || j) = (|U_j^T L_i|^2 - D + |U_j^T (m_i - m_j)|^2) / 2 - log|U_j^T L_i|``.

U is the factor of a precision, ``L = U^-T`` that of a covariance; so nothing is a small difference of large numbers but
what is small itself, whatever the scales and correlations of features.
"""

from __future__ import annotations

import numpy as np

from latentcore.families.gaussian_types import CovarianceType, GaussianParams, layout
from latentcore.protocols import Array

__all__ = ["relative_entropy"]

_LOST = 1e-10


def relative_entropy(
    a: GaussianParams, b: GaussianParams, covariance_type: CovarianceType
) -> Array:
    """KL(component i of ``a`` || component j of ``b``), (K, K'), nats.

    Memory: some times that of the factors.
    """
    n_features = a.means.shape[1]
    with np.errstate(over="ignore"):  # +inf, where the numbers end
        squares = _squares(a, b, covariance_type)
        log_ratios = a.log_determinants[:, None] - b.log_determinants
        divergence: Array = 0.5 * (squares - n_features) + log_ratios
    return np.maximum(divergence, 0.0)


def _squares(a: GaussianParams, b: GaussianParams, covariance_type: CovarianceType) -> Array:
    """``|U_j^T L_i|^2 + |U_j^T (m_i - m_j)|^2``, (K, K')."""
    kind = layout(covariance_type)
    out = np.empty((len(a.means), len(b.means)))
    u = b.precisions_cholesky
    if kind in ("full", "tied"):
        for j, mean in enumerate(b.means):
            out[:, j] = _sums_of_squares((a.means - mean) @ (u if kind == "tied" else u[j]))
        inverses = np.asarray(np.linalg.inv(a.precisions_cholesky), np.float64)  # L^T
        if kind == "tied":
            out += ((inverses @ u) ** 2).sum()
            return out
        return _with_traces(out, inverses, u)
    n_features = a.means.shape[1]
    deviations = np.reshape(1.0 / a.precisions_cholesky, (len(a.means), -1))
    copies = n_features // deviations.shape[1]
    for j, mean in enumerate(b.means):
        out[:, j] = _sums_of_squares((a.means - mean) * u[j])
        out[:, j] += copies * _sums_of_squares(deviations * u[j])
    return out


def _with_traces(out: Array, inverses: Array, factors: Array) -> Array:
    """``out + |U_j^T L_i|^2``, in place.

    As a sum over entries of a precision times a covariance it takes D^2 operations instead of D^3; but where these
    correlate strongly, and what is lost may be more than 1e-10, it is taken as it stands.
    """
    n_features = factors.shape[-1]
    precisions = factors @ factors.swapaxes(1, 2)
    covariances = inverses.swapaxes(1, 2) @ inverses
    traces = covariances.reshape(len(out), -1) @ precisions.reshape(len(factors), -1).T
    roots = [np.sqrt(m.diagonal(axis1=1, axis2=2)) for m in (covariances, precisions)]
    lost = 4.0 * np.finfo(np.float64).eps * (roots[0] @ roots[1].T) ** 2
    inexact = lost > _LOST * (1.0 + traces + out)
    for j in np.flatnonzero(inexact.any(axis=0)):
        i = np.flatnonzero(inexact[:, j])
        products = inverses[i].reshape(-1, n_features) @ factors[j]
        traces[i, j] = _sums_of_squares(products.reshape(len(i), -1))
    out += traces
    return out


def _sums_of_squares(rows: Array) -> Array:
    sums: Array = np.einsum("ij,ij->i", rows, rows)
    return sums
