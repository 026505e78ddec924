"""Criteria that compare fitted models, and what responsibilities say about them; totals are in nats.

Functions take blocks of rows: their totals add over blocks, and arrays by row are joined.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from latentcore import kernels
from latentcore.errors import ImpossibleRowError
from latentcore.families.gaussian import CovarianceType
from latentcore.protocols import Array, RealArray
from latentcore.statistics import Statistics

__all__ = [
    "ELBO",
    "aic",
    "bic",
    "classification_entropy",
    "elbo",
    "entropy",
    "entropy_by_row",
    "expected_complete_log_likelihood",
    "free_parameters",
    "icl",
    "uncertainty",
]


# -- criteria, the lower the better


def aic(log_likelihood: float, n_parameters: int) -> float:
    """Akaike's criterion, ``-2 log L + 2 p`` (Akaike 1974)."""
    return -2.0 * log_likelihood + 2.0 * n_parameters


def bic(log_likelihood: float, n_parameters: int, total_weight: float) -> float:
    """The Bayesian information criterion, ``-2 log L + p log N`` (Schwarz 1978)."""
    return -2.0 * log_likelihood + n_parameters * math.log(total_weight)


def icl(log_likelihood: float, n_parameters: int, total_weight: float, entropy: float) -> float:
    """The integrated completed likelihood, ``BIC + 2 entropy``: components that overlap are penalised.

    With ``entropy`` of the responsibilities, summed over rows, it is the ICL-BIC of McLachlan & Peel (2000), which the
    estimators report. With ``classification_entropy`` it is that of Biernacki, Celeux & Govaert (2000), which counts
    the most probable component of a row alone; mclust reports it, with the sign changed. The latter is never larger.
    """
    return bic(log_likelihood, n_parameters, total_weight) + 2.0 * entropy


# -- responsibilities


def entropy(responsibilities: RealArray, sample_weight: Array | None = None) -> float:
    """``-sum_n w_n sum_k r_nk log r_nk``, nats, with ``0 log 0 = 0``; rows are (N, K)."""
    return _total(entropy_by_row(responsibilities), sample_weight)


def entropy_by_row(responsibilities: RealArray) -> Array:
    """``-sum_k r_nk log r_nk`` of each row, nats, with ``0 log 0 = 0``.

    Parameters
    ----------
    responsibilities : (N, K) ndarray of float32 or float64

    Returns
    -------
    (N,) ndarray of float64
        From 0, where one component has it all, to log K. NaN where responsibilities are.
    """
    positive = np.maximum(responsibilities, np.finfo(responsibilities.dtype).tiny)
    logs = kernels.log(positive, out=positive)
    by_row: Array = 0.0 - np.einsum("nk,nk->n", responsibilities, logs, dtype=np.float64)
    return by_row


def classification_entropy(
    responsibilities: RealArray, sample_weight: Array | None = None
) -> float:
    """``-sum_n w_n log max_k r_nk``, nats: what assigning rows to their most probable component loses."""
    return _total(-np.log(_largest(responsibilities)), sample_weight)


def uncertainty(responsibilities: RealArray) -> Array:
    """``1 - max_k r_nk``: the probability that the most probable component is not that of the row.

    Parameters
    ----------
    responsibilities : (N, K) ndarray of float32 or float64

    Returns
    -------
    (N,) ndarray of float64
        NaN where responsibilities are.
    """
    by_row: Array = 1.0 - _largest(responsibilities)
    return by_row


# -- the bound that EM raises


@dataclass(frozen=True, slots=True)
class ELBO(Statistics):
    """The evidence lower bound of a distribution over components and its parts, nats, summed over rows.

    ``elbo = q + entropy`` and ``log_likelihood = elbo + gap``. Those of blocks of rows add.

    Attributes
    ----------
    elbo : float
    q : float
        The expected complete-data log-likelihood, ``sum_n w_n sum_k r_nk log p(x_n, k)``.
    entropy : float
        Of the distribution.
    gap : float
        Its Kullback-Leibler divergence from the posterior, ``KL(r || posterior)``, >= 0.
    log_likelihood : float
    """

    elbo: float
    q: float
    entropy: float
    gap: float
    log_likelihood: float


def elbo(
    log_joint: RealArray, responsibilities: RealArray, sample_weight: Array | None = None
) -> ELBO:
    """The evidence lower bound of any responsibilities, and how far it is from the log-likelihood.

    The gap is the divergence from the posterior, computed by itself rather than as a difference. So the identity
    ``log p(X) = elbo + gap`` says something. Where a responsibility is positive and the component impossible, the bound
    is -inf and the gap inf.

    Parameters
    ----------
    log_joint : (N, K) ndarray of float32 or float64
        ``log p(x_n, k)``: log weight plus log-density, nats.
    responsibilities : (N, K) ndarray of float32 or float64
        Any distributions over components: >= 0, rows summing to one. What rounding leaves them off is divided out.
    sample_weight : (N,) ndarray of float64, >= 0, optional
        Rows of weight 0 are left out.

    Returns
    -------
    ELBO

    Raises
    ------
    ValueError
        Responsibilities of another shape, or a row that is no distribution; the message names it.
    ImpossibleRowError
        A row is impossible under every component, so that there is no posterior.

    References
    ----------
    Neal & Hinton (1998), A view of the EM algorithm that justifies incremental, sparse, and other variants.
    """
    wide, r, weight = _checked(log_joint, responsibilities, sample_weight)
    log_density = kernels.logsumexp(wide)
    impossible = np.flatnonzero(log_density == -np.inf)
    if impossible.size:
        raise ImpossibleRowError(_place(int(impossible[0]), sample_weight))
    log_r = np.log(r, where=r > 0, out=np.zeros_like(r))
    log_posterior = np.where(r > 0, wide - log_density[:, None], 0.0)
    by_row = (r * (log_r - log_posterior)).sum(axis=1)
    q = _expected(wide, r, weight)
    entropy = _total(entropy_by_row(r), weight)
    gap = _total(np.maximum(by_row, 0.0), weight)  # rounding may leave -1e-17
    return ELBO(q + entropy, q, entropy, gap, _total(log_density, weight))


def expected_complete_log_likelihood(
    log_joint: RealArray, responsibilities: RealArray, sample_weight: Array | None = None
) -> float:
    """``Q = sum_n w_n sum_k r_nk log p(x_n, k)``, nats, with ``0 * -inf = 0``: what an M-step maximises.

    Arguments and errors are those of ``elbo``; an impossible row makes it -inf.
    """
    return _expected(*_checked(log_joint, responsibilities, sample_weight))


def _expected(log_joint: Array, responsibilities: Array, sample_weight: Array | None) -> float:
    terms = responsibilities * np.where(responsibilities > 0, log_joint, 0.0)
    return _total(terms.sum(axis=1), sample_weight)


def _checked(
    log_joint: RealArray, responsibilities: RealArray, sample_weight: Array | None
) -> tuple[Array, Array, Array | None]:
    """All in float64, without rows of weight 0; each row of responsibilities sums to one."""
    if responsibilities.shape != log_joint.shape:
        raise ValueError(
            f"responsibilities: expected shape {log_joint.shape}, got {responsibilities.shape}"
        )
    weight = sample_weight
    if weight is not None and not weight.all():
        present = weight > 0
        log_joint, responsibilities, weight = (
            log_joint[present],
            responsibilities[present],
            weight[present],
        )
    tolerance = math.sqrt(np.finfo(responsibilities.dtype).eps)
    r = responsibilities.astype(np.float64)
    sums = r.sum(axis=1)
    bad = np.flatnonzero(~((r >= 0).all(axis=1) & (abs(sums - 1.0) <= tolerance)))
    if bad.size:
        found, row = responsibilities[bad[0]].tolist(), _place(int(bad[0]), sample_weight)
        raise ValueError(
            "responsibilities: expected numbers >= 0 that sum to 1 in every row, "
            f"got {found} in row {row}"
        )
    r /= sums[:, None]
    return np.ascontiguousarray(log_joint, np.float64), r, weight


def _place(row: int, sample_weight: Array | None) -> int:
    """The index of a row before those of weight 0 were left out."""
    return row if sample_weight is None else int(np.flatnonzero(sample_weight)[row])


def _largest(responsibilities: RealArray) -> Array:
    largest: Array = responsibilities.max(axis=1).astype(np.float64)
    return largest


def _total(by_row: Array, sample_weight: Array | None) -> float:
    return float(by_row.sum() if sample_weight is None else by_row @ sample_weight)


# -- degrees of freedom


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
