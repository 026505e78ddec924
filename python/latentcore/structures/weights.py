"""Distributions of mixture weights, priors and posteriors alike: what CAVI needs to know of q(weights).

A Dirichlet, a Dirichlet process truncated at K sticks, and weights that are given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.protocols import Array
from latentcore.structures import dirichlet_rows

__all__ = ["Dirichlet", "FixedWeights", "StickBreaking", "WeightDistribution"]


class WeightDistribution(Protocol):
    """A distribution of K weights that sum to one."""

    def update(self, counts: Array) -> Self:
        """The posterior after expected counts (K,) of the components."""

    def expected_log(self) -> Array:
        """E log weight, (K,), nats."""

    def mean(self) -> Array:
        """E weight, (K,)."""

    def divergence(self, prior: Self) -> float:
        """KL(self || prior), nats."""

    def blend(self, other: Self, rate: float) -> Self:
        """The step ``(1 - rate) self + rate other`` in natural coordinates."""

    def best_prior(self, prior: Self) -> Self:
        """``prior`` with the concentration of the least divergence from it: empirical Bayes, which raises the ELBO."""


@dataclass(frozen=True, slots=True)
class Dirichlet:
    """``Dir(alpha)``, alpha (K,) > 0."""

    alpha: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", _vector(self.alpha, "alpha", "> 0"))

    def update(self, counts: Array) -> Dirichlet:
        return Dirichlet(self.alpha + counts)

    def expected_log(self) -> Array:
        """``psi(alpha_k) - psi(sum alpha)``."""
        expected: Array = dirichlet_rows.expected_log(self.alpha[None])[0]
        return expected

    def mean(self) -> Array:
        mean: Array = self.alpha / self.alpha.sum()
        return mean

    def divergence(self, prior: Dirichlet) -> float:
        return float(dirichlet_rows.divergence(self.alpha[None], prior.alpha[None])[0])

    def blend(self, other: Dirichlet, rate: float) -> Dirichlet:
        return Dirichlet((1.0 - rate) * self.alpha + rate * other.alpha)

    def best_prior(self, prior: Dirichlet) -> Dirichlet:
        """The symmetric one of the least divergence, by Newton's method on the log of its alpha (Minka 2000).

        A prior of one component stays as it is.
        """
        n_components = len(self.alpha)
        if n_components == 1:
            return prior
        mean = float(self.expected_log().mean())
        return Dirichlet(np.full(n_components, _symmetric_alpha(n_components, mean)))


_SMALLEST_ALPHA, _LARGEST_ALPHA = 1e-8, 1e8


def _symmetric_alpha(n_components: int, mean_expected_log: float) -> float:
    """Where ``psi(alpha) - psi(K alpha)``, which rises from -inf to -log K, is the mean of E log weight.

    At most 1e8, near which rounding in the mean is all that tells one alpha from another, and at least 1e-8.
    """
    low, high = math.log(_SMALLEST_ALPHA), math.log(_LARGEST_ALPHA)
    log_alpha = 0.0
    for _ in range(100):
        alpha = math.exp(log_alpha)
        both = np.array([alpha, n_components * alpha])
        psi, slopes = kernels.digamma(both), both * kernels.trigamma(both)
        excess = float(psi[0] - psi[1]) - mean_expected_log
        low, high = (low, log_alpha) if excess > 0 else (log_alpha, high)
        step = log_alpha - excess / float(slopes[0] - slopes[1])
        before, log_alpha = log_alpha, step if low < step < high else (low + high) / 2
        if abs(log_alpha - before) <= 1e-14 * max(1.0, abs(log_alpha)):
            break
    return math.exp(log_alpha)


_ZERO = np.zeros(1)


@dataclass(frozen=True, slots=True)
class StickBreaking:
    """A Dirichlet process truncated at K sticks (Blei & Jordan 2006).

    ``weight_(j) = v_j prod_{i<j} (1 - v_i)``, ``v_j ~ Beta(1, concentration)``, ``v_K = 1``. The posterior is
    ``v_j ~ Beta(1 + N_(j), concentration + sum_{i>j} N_(i))``, with sticks in the order that gives the largest bound of
    all orders. That is a bound of the evidence where the components have one prior, so that sticks may be exchanged.

    With ``leftover`` the K-th stick is broken like the others: the process goes on for ever, and q gives rows to the
    first K components alone (Kurihara, Welling & Vlassis 2007; scikit-learn's). A large concentration then means many
    components, where with ``v_K = 1`` it means a large last one.

    Attributes
    ----------
    concentration : float, > 0
    counts : (K,)
        Expected counts of the components; zeros in the prior.
    leftover : bool
    by_size : bool
        Whether sticks are exchanged for the largest bound. Else they keep the order of the components.
    """

    concentration: float
    counts: Array
    leftover: bool = False
    by_size: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.concentration < math.inf:
            raise ValueError(
                f"concentration: expected a finite number > 0, got {self.concentration!r}"
            )
        object.__setattr__(self, "counts", _vector(self.counts, "counts", ">= 0"))

    def update(self, counts: Array) -> StickBreaking:
        return replace(self, counts=self.counts + counts)

    def order(self) -> npt.NDArray[np.intp]:
        """The component of each stick: by falling counts, but for one that takes what the others leave.

        With concentration <= 1 that is the one of the smallest count. A larger concentration expects much to be left,
        so that it may be another; the evidences of the counts with each of them at the end are compared.
        """
        if not self.by_size:
            return np.arange(len(self.counts))
        falling: npt.NDArray[np.intp] = np.argsort(-self.counts, kind="stable")
        if self.leftover:
            return falling
        counts = self.counts[falling]
        n = len(counts)
        tails = np.append(np.cumsum(counts[::-1])[::-1], 0.0)
        end, stick = np.arange(n)[:, None], np.arange(1, n - 1)
        left = np.where(stick <= end, tails[stick], tails[stick + 1] + counts[:, None])
        log_evidence = (
            kernels.lgamma(self.concentration + counts)
            - kernels.lgamma(1.0 + counts)
            - np.log(self.concentration + left).sum(axis=1)
        )
        last = n - 1 - int(log_evidence[::-1].argmax())  # of equals the one of the smallest count
        return np.append(np.delete(falling, last), falling[last])

    def betas(self, order: npt.NDArray[np.intp] | None = None) -> tuple[Array, Array]:
        """Parameters of the Beta distributions of the sticks that are broken, in this order or in ``order()``.

        These are the first K - 1, or, with ``leftover``, K.
        """
        counts = self.counts[self.order() if order is None else order]
        after = np.concatenate((np.cumsum(counts[:0:-1])[::-1], _ZERO))
        n_broken = len(counts) if self.leftover else len(counts) - 1
        return 1.0 + counts[:n_broken], self.concentration + after[:n_broken]

    def expected_log(self) -> Array:
        order = self.order()
        a, b = self.betas(order)
        both = kernels.digamma(a + b)
        broken, left = kernels.digamma(a) - both, kernels.digamma(b) - both
        return self._by_component(order, broken, left)

    def mean(self) -> Array:
        """E weight; with ``leftover``, divided by what all K have."""
        order = self.order()
        a, b = self.betas(order)
        weights = np.exp(self._by_component(order, np.log(a / (a + b)), np.log(b / (a + b))))
        mean: Array = weights / weights.sum() if self.leftover else weights
        return mean

    def divergence(self, prior: StickBreaking) -> float:
        """Of the sticks in this order; those of the prior are exchangeable before they are seen."""
        order = self.order()
        (a, b), (a0, b0) = self.betas(order), prior.betas(order)
        both = kernels.digamma(a + b)
        terms = _log_beta(a0, b0) - _log_beta(a, b)
        terms += (a - a0) * (kernels.digamma(a) - both) + (b - b0) * (kernels.digamma(b) - both)
        return float(terms.sum())

    def blend(self, other: StickBreaking, rate: float) -> StickBreaking:
        concentration = (1.0 - rate) * self.concentration + rate * other.concentration
        counts = (1.0 - rate) * self.counts + rate * other.counts
        return replace(self, concentration=concentration, counts=counts)

    def best_prior(self, prior: StickBreaking) -> StickBreaking:
        """Number of broken sticks over ``-sum_j E log(1 - v_j)``; a prior without such sticks stays as it is."""
        a, b = self.betas()
        if not len(a):
            return prior
        left = float((kernels.digamma(b) - kernels.digamma(a + b)).sum())
        return replace(prior, concentration=len(a) / -left)

    def _by_component(self, order: npt.NDArray[np.intp], broken: Array, left: Array) -> Array:
        """By component, the logarithm of what its stick has of the whole.

        ``broken`` and ``left`` are those of the share that each broken stick takes, and leaves to those after it.
        """
        out = np.empty_like(self.counts)
        n_components = len(out)
        taken = np.concatenate((broken, _ZERO))
        before = np.concatenate((_ZERO, np.cumsum(left)))
        out[order] = taken[:n_components] + before[:n_components]
        return out


def _log_beta(a: Array, b: Array) -> Array:
    return kernels.lgamma(a) + kernels.lgamma(b) - kernels.lgamma(a + b)


@dataclass(frozen=True, slots=True)
class FixedWeights:
    """Weights (K,) that are known, and sum to one."""

    weights: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", _vector(self.weights, "weights", ">= 0"))
        if abs(self.weights.sum() - 1.0) > 1e-8:
            raise ValueError(f"weights: expected a sum of one, got {self.weights.sum()}")

    def update(self, counts: Array) -> FixedWeights:
        return self

    def expected_log(self) -> Array:
        return kernels.log(self.weights)

    def mean(self) -> Array:
        return self.weights

    def divergence(self, prior: FixedWeights) -> float:
        return 0.0

    def blend(self, other: FixedWeights, rate: float) -> FixedWeights:
        return self

    def best_prior(self, prior: FixedWeights) -> FixedWeights:
        return prior


def _vector(value: Any, name: str, bound: str) -> Array:
    """One finite number a component, ``bound`` ("> 0" or ">= 0")."""
    vector = np.ascontiguousarray(value, np.float64)
    if vector.ndim != 1 or not len(vector):
        raise ValueError(f"{name}: expected shape (K,), got {np.shape(value)}")
    right = ((vector > 0) if bound == "> 0" else (vector >= 0)) & (vector < np.inf)
    if not right.all():
        k = int(right.argmin())
        raise ValueError(
            f"{name}: expected finite numbers {bound}, got {vector[k]} for component {k}"
        )
    return vector
