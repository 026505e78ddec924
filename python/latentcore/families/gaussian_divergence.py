"""Relative entropies of Gaussians: ``KL(i || j) = (|U_j^T L_i|^2 - D + |U_j^T (m_i - m_j)|^2) / 2 - log|U_j^T L_i|``.

U is the factor of a precision, ``L = U^-T`` that of a covariance; so nothing is a small difference of large numbers but
what is small itself, whatever the scales and correlations of features.
"""

from __future__ import annotations

import numpy as np

from latentcore.families.gaussian_types import CovarianceType, GaussianParams, layout
from latentcore.protocols import Array

__all__ = ["relative_entropy"]


def relative_entropy(
    a: GaussianParams, b: GaussianParams, covariance_type: CovarianceType
) -> Array:
    """KL(component i of ``a`` || component j of ``b``), (K, K'), nats.

    Memory: as much again as the factors of ``a``.
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
    n_features = a.means.shape[1]
    u = b.precisions_cholesky
    if kind in ("full", "tied"):
        inverses = np.linalg.inv(a.precisions_cholesky)  # L^T
        for j, mean in enumerate(b.means):
            factor = u if kind == "tied" else u[j]
            out[:, j] = _sums_of_squares((a.means - mean) @ factor)
            if kind == "full":
                products = inverses.reshape(-1, n_features) @ factor
                out[:, j] += _sums_of_squares(products.reshape(len(inverses), -1))
        if kind == "tied":
            out += ((inverses @ u) ** 2).sum()
        return out
    deviations = np.reshape(1.0 / a.precisions_cholesky, (len(a.means), -1))
    copies = n_features // deviations.shape[1]
    for j, mean in enumerate(b.means):
        out[:, j] = _sums_of_squares((a.means - mean) * u[j])
        out[:, j] += copies * _sums_of_squares(deviations * u[j])
    return out


def _sums_of_squares(rows: Array) -> Array:
    sums: Array = np.einsum("ij,ij->i", rows, rows)
    return sums
