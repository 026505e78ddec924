"""Independent Dirichlets, one for each row of a matrix: priors and posteriors of the laws of a Markov chain.

``alpha`` is (R, S), >= 0, and positive somewhere in every row. Where it is 0 the probability is 0.
"""

from __future__ import annotations

import numpy as np

from latentcore import kernels
from latentcore.protocols import Array

__all__ = ["divergence", "expected_log", "log_density", "mean", "mode_counts", "updated"]


def updated(alpha: Array, counts: Array) -> Array:
    """After expected counts; what is impossible stays so."""
    return np.where(alpha > 0, alpha + counts, 0.0)


def mode_counts(alpha: Array) -> Array:
    """``alpha - 1``, not below 0: the counts whose shares are the mode."""
    return np.maximum(alpha - 1.0, 0.0)


def mean(alpha: Array) -> Array:
    mean: Array = alpha / alpha.sum(axis=1, keepdims=True)
    return mean


def expected_log(alpha: Array) -> Array:
    """``psi(alpha_rj) - psi(sum_j alpha_rj)``; -inf where alpha is 0."""
    totals = kernels.digamma(alpha.sum(axis=1))[:, None]
    return np.where(alpha > 0, kernels.digamma(_positive(alpha)) - totals, -np.inf)


def divergence(alpha: Array, prior: Array) -> Array:
    """KL(alpha || prior) of each row, (R,), nats; both have the same zeros."""
    normalisers = _log_normalisers(prior) - _log_normalisers(alpha)
    logs = np.where(alpha > 0, expected_log(alpha), 0.0)
    divergence: Array = normalisers + ((alpha - prior) * logs).sum(axis=1)
    return divergence


def log_density(alpha: Array, probabilities: Array) -> float:
    """Summed over rows, nats; -inf where something has a probability that cannot be."""
    if (probabilities[alpha == 0] != 0).any():
        return -np.inf
    counts = np.where(alpha > 0, alpha - 1.0, 0.0)
    inner = counts != 0
    terms = counts[inner] @ kernels.log(np.ascontiguousarray(probabilities[inner]))
    return float(terms - _log_normalisers(alpha).sum())


def _positive(alpha: Array) -> Array:
    return np.where(alpha > 0, alpha, 1.0)


def _log_normalisers(alpha: Array) -> Array:
    """``sum_j log Gamma(alpha_rj) - log Gamma(sum_j alpha_rj)``, (R,)."""
    totals = kernels.lgamma(alpha.sum(axis=1))
    normalisers: Array = kernels.lgamma(_positive(alpha)).sum(axis=1) - totals  # log Gamma(1) = 0
    return normalisers
