"""Distributions of mixture weights, priors and posteriors alike: what CAVI needs to know of q(weights).

A Dirichlet, a Dirichlet process truncated at K sticks, and weights that are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.protocols import Array

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


@dataclass(frozen=True, slots=True)
class Dirichlet:
    """``Dir(alpha)``, alpha (K,) > 0."""

    alpha: Array

    def update(self, counts: Array) -> Dirichlet:
        return Dirichlet(self.alpha + counts)

    def expected_log(self) -> Array:
        """``psi(alpha_k) - psi(sum alpha)``."""
        expected: Array = kernels.digamma(self.alpha) - kernels.digamma(
            self.alpha.sum(keepdims=True)
        )
        return expected

    def mean(self) -> Array:
        mean: Array = self.alpha / self.alpha.sum()
        return mean

    def divergence(self, prior: Dirichlet) -> float:
        return (
            _log_normaliser(prior.alpha)
            - _log_normaliser(self.alpha)
            + float((self.alpha - prior.alpha) @ self.expected_log())
        )

    def blend(self, other: Dirichlet, rate: float) -> Dirichlet:
        return Dirichlet((1.0 - rate) * self.alpha + rate * other.alpha)


def _log_normaliser(alpha: Array) -> float:
    """``sum_k log Gamma(alpha_k) - log Gamma(sum alpha)``."""
    total = kernels.lgamma(alpha.sum(keepdims=True))
    return float(kernels.lgamma(alpha).sum() - total[0])


@dataclass(frozen=True, slots=True)
class StickBreaking:
    """A Dirichlet process truncated at K sticks (Blei & Jordan 2006).

    ``weight_(j) = v_j prod_{i<j} (1 - v_i)``, ``v_j ~ Beta(1, concentration)``, ``v_K = 1``. The posterior is
    ``v_j ~ Beta(1 + N_(j), concentration + sum_{i>j} N_(i))``, with sticks broken in the order of falling counts, which
    gives the largest bound of all orders.

    Attributes
    ----------
    concentration : float, > 0
    counts : (K,)
        Expected counts of the components; zeros in the prior.
    """

    concentration: float
    counts: Array

    def update(self, counts: Array) -> StickBreaking:
        return StickBreaking(self.concentration, self.counts + counts)

    def order(self) -> npt.NDArray[np.intp]:
        """The component of each stick."""
        order: npt.NDArray[np.intp] = np.argsort(-self.counts, kind="stable")
        return order

    def betas(self) -> tuple[Array, Array]:
        """Parameters of the Beta distributions of the first K - 1 sticks."""
        counts = self.counts[self.order()]
        after = np.cumsum(counts[::-1])[::-1][1:]
        return 1.0 + counts[:-1], self.concentration + after

    def expected_log(self) -> Array:
        a, b = self.betas()
        both = kernels.digamma(a + b)
        broken, left = kernels.digamma(a) - both, kernels.digamma(b) - both
        return self._by_component(np.append(broken, 0.0) + np.append(0.0, np.cumsum(left)))

    def mean(self) -> Array:
        a, b = self.betas()
        left = np.append(1.0, np.cumprod(b / (a + b)))
        return self._by_component(np.append(a / (a + b), 1.0) * left)

    def divergence(self, prior: StickBreaking) -> float:
        """Of the sticks in this order; those of the prior are exchangeable before they are seen."""
        a, b = self.betas()
        a0, b0 = np.ones_like(a), np.full_like(b, prior.concentration)
        both = kernels.digamma(a + b)
        terms = _log_beta(a0, b0) - _log_beta(a, b)
        terms += (a - a0) * (kernels.digamma(a) - both) + (b - b0) * (kernels.digamma(b) - both)
        return float(terms.sum())

    def blend(self, other: StickBreaking, rate: float) -> StickBreaking:
        counts = (1.0 - rate) * self.counts + rate * other.counts
        return StickBreaking(self.concentration, counts)

    def _by_component(self, values: Array) -> Array:
        out = np.empty_like(values)
        out[self.order()] = values
        return out


def _log_beta(a: Array, b: Array) -> Array:
    return kernels.lgamma(a) + kernels.lgamma(b) - kernels.lgamma(a + b)


@dataclass(frozen=True, slots=True)
class FixedWeights:
    """Weights (K,) that are known, and sum to one."""

    weights: Array

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
