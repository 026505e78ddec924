"""Variational Bayes: add the statistics to a prior, again and again.

``CAVI`` is coordinate ascent (Bishop 2006, section 10.2): the posterior is the prior and the statistics of all data
at *expected* log-densities. ``StochasticVI`` (Hoffman, Blei, Wang & Paisley 2013) takes a batch's statistics as if they
were those of all data, and a step towards that posterior in natural coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from latentcore.protocols import Expectation, VariationalModel
from latentcore.statistics import Statistics

__all__ = ["CAVI", "ELBOTerms", "StochasticVI", "VariationalInfo", "VariationalState"]

H = TypeVar("H")
S = TypeVar("S", bound=Statistics)


@dataclass(frozen=True, slots=True)
class VariationalState(Generic[H]):
    params: H
    """The posterior q of weights and components."""
    n_steps: int = 0


@dataclass(frozen=True, slots=True)
class ELBOTerms:
    """The evidence lower bound, nats: ``expected - divergence_of_weights - sum(divergence_of_components)``.

    ``expected`` is E_q of the log joint density of rows and their components, and the entropy of q(components of
    rows): at the optimal responsibilities both are one sum of log-sum-exps.
    """

    expected: float
    divergence_of_weights: float
    divergence_of_components: tuple[float, ...]

    @property
    def total(self) -> float:
        return self.expected - self.divergence_of_weights - sum(self.divergence_of_components)


@dataclass(frozen=True, slots=True)
class VariationalInfo:
    objective: float
    """The ELBO (nats) of the posterior that the step started from, at the optimal responsibilities."""
    terms: ELBOTerms


@dataclass(frozen=True, slots=True)
class CAVI(Generic[H, S]):
    """Coordinate ascent on any model with conjugate priors. The objective, the ELBO, never decreases."""

    model: VariationalModel[H, S, Any]
    prior: H

    def init(self, params: H) -> VariationalState[H]:
        return VariationalState(params)

    def step(
        self, state: VariationalState[H], expectation: Expectation[Any, S]
    ) -> tuple[VariationalState[H], VariationalInfo]:
        stats, expected = expectation(self.model.expected(state.params))
        terms = _terms(self.model, expected, state.params, self.prior)
        posterior = self.model.update(self.prior, stats)
        return VariationalState(posterior, state.n_steps + 1), VariationalInfo(terms.total, terms)


@dataclass(frozen=True, slots=True)
class StochasticVI(Generic[H, S]):
    """Steps of size ``(t + delay)^-forgetting`` on batches; t counts from 0.

    Parameters
    ----------
    total_weight : float
        Of all data, of which the expectation sees a batch at each step.
    delay : float, >= 0
        Slows the first steps. With delay 1 the first step forgets where it began.
    forgetting : float, in (1/2, 1], or 0 for steps of size 1
        Sums of steps diverge and sums of their squares converge: the condition of Robbins & Monro (1951).
    """

    model: VariationalModel[H, S, Any]
    prior: H
    total_weight: float
    delay: float = 1.0
    forgetting: float = 0.7

    def init(self, params: H) -> VariationalState[H]:
        return VariationalState(params)

    def rate(self, n_steps: int) -> float:
        return (
            float(min(1.0, (n_steps + self.delay) ** -self.forgetting))
            if n_steps + self.delay > 0
            else 1.0
        )

    def step(
        self,
        state: VariationalState[H],
        expectation: Expectation[Any, S],
        batch_weight: float | None = None,
    ) -> tuple[VariationalState[H], VariationalInfo]:
        """``batch_weight`` is that of the rows that the expectation sees; by default all.

        The objective is an unbiased estimate of the ELBO.
        """
        stats, expected = expectation(self.model.expected(state.params))
        weight = self.total_weight if batch_weight is None else batch_weight
        scaled = self.total_weight / weight * expected
        terms = _terms(self.model, scaled, state.params, self.prior)
        return self.advanced(state, stats, weight), VariationalInfo(terms.total, terms)

    def advanced(
        self, state: VariationalState[H], stats: S, batch_weight: float
    ) -> VariationalState[H]:
        """The step alone, after an E-step over rows of this weight."""
        target = self.model.update(self.prior, self.total_weight / batch_weight * stats)
        posterior = self.model.blend(state.params, target, self.rate(state.n_steps))
        return VariationalState(posterior, state.n_steps + 1)


def _terms(
    model: VariationalModel[H, Any, Any], expected: float, posterior: H, prior: H
) -> ELBOTerms:
    of_weights, of_components = model.divergence(posterior, prior)
    return ELBOTerms(expected, of_weights, tuple(float(d) for d in of_components))
