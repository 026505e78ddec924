"""Criteria that compare fitted models, the lower the better; log-likelihoods are totals in nats."""

from __future__ import annotations

import math

import numpy as np

from latentcore import kernels
from latentcore.families.gaussian import CovarianceType
from latentcore.protocols import Array, RealArray

__all__ = ["aic", "bic", "entropy", "free_parameters", "icl"]


def aic(log_likelihood: float, n_parameters: int) -> float:
    """Akaike's criterion, ``-2 log L + 2 p`` (Akaike 1974)."""
    return -2.0 * log_likelihood + 2.0 * n_parameters


def bic(log_likelihood: float, n_parameters: int, total_weight: float) -> float:
    """The Bayesian information criterion, ``-2 log L + p log N`` (Schwarz 1978)."""
    return -2.0 * log_likelihood + n_parameters * math.log(total_weight)


def icl(log_likelihood: float, n_parameters: int, total_weight: float, entropy: float) -> float:
    """The integrated completed likelihood, ``BIC + 2 entropy`` (Biernacki, Celeux & Govaert 2000).

    ``entropy`` is that of the responsibilities, summed over rows: components that overlap are
    penalised.
    """
    return bic(log_likelihood, n_parameters, total_weight) + 2.0 * entropy


def entropy(responsibilities: RealArray, sample_weight: Array | None = None) -> float:
    """``-sum_n w_n sum_k r_nk log r_nk``, nats, with ``0 log 0 = 0``; rows are (N, K)."""
    positive = np.maximum(responsibilities, np.finfo(responsibilities.dtype).tiny)
    logs = kernels.log(positive, out=positive)
    by_row = -np.einsum("nk,nk->n", responsibilities, logs, dtype=np.float64)
    return float(by_row.sum() if sample_weight is None else by_row @ sample_weight)


def free_parameters(covariance_type: CovarianceType, n_components: int, n_features: int) -> int:
    """Number of free parameters of a Gaussian mixture: weights, means and covariances."""
    triangle = n_features * (n_features + 1) // 2
    covariances = {
        "full": n_components * triangle,
        "tied": triangle,
        "diag": n_components * n_features,
        "spherical": n_components,
        "tied_spherical": 1,
    }
    return covariances[covariance_type] + n_components * n_features + n_components - 1
