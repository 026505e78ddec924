"""Empirical Bayes: coordinate ascent in the prior's concentration of the weights, too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from latentcore.protocols import Expectation
from latentcore.rules.cavi import CAVI, VariationalInfo, VariationalState
from latentcore.structures.mixture import Mixture, MixturePrior

__all__ = ["Both", "EmpiricalCAVI", "with_best_concentration"]

H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class Both(Generic[H]):
    """A posterior, and the prior that has been found for it."""

    posterior: MixturePrior[H]
    prior: MixturePrior[H]


def with_best_concentration(prior: MixturePrior[H], posterior: MixturePrior[H]) -> MixturePrior[H]:
    """The prior with the concentration of the weights of the largest bound for this posterior."""
    return replace(prior, weights=posterior.weights.best_prior(prior.weights))


@dataclass(frozen=True, slots=True)
class EmpiricalCAVI(Generic[H]):
    """CAVI that ends each step with the best concentration. The objective, the ELBO, never decreases.

    Parameters
    ----------
    model : Mixture
    optimize : bool
        Otherwise the prior stays, and this is CAVI.
    """

    model: Mixture[Any, Any]
    optimize: bool = True

    def init(self, params: Both[H]) -> VariationalState[Both[H]]:
        return VariationalState(params)

    def step(
        self, state: VariationalState[Both[H]], expectation: Expectation[Any, Any]
    ) -> tuple[VariationalState[Both[H]], VariationalInfo]:
        prior = state.params.prior
        rule: CAVI[MixturePrior[H], Any] = CAVI(self.model, prior)
        after, info = rule.step(VariationalState(state.params.posterior), expectation)
        if self.optimize:
            prior = with_best_concentration(prior, after.params)
        return VariationalState(Both(after.params, prior), state.n_steps + 1), info
