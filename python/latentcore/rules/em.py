"""Expectation maximisation: replace the statistics, spend them (Dempster, Laird & Rubin 1977).

``EM`` spends them on the most likely parameters, ``MAPEM`` adds them to a prior and takes the posterior's mode. Hard EM
and known labels are no other rules: they make other statistics (see ``structures.mixture``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from latentcore.protocols import ConjugateModel, Expectation, Model
from latentcore.statistics import Statistics

__all__ = ["EM", "MAPEM", "EMInfo", "EMState"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)
H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class EMState(Generic[P]):
    params: P


@dataclass(frozen=True, slots=True)
class EMInfo:
    objective: float
    """What the rule ascends (nats, total), of the parameters that the step started from."""


@dataclass(frozen=True, slots=True)
class EM(Generic[P, S]):
    """EM on any model. The objective, the log-likelihood, never decreases from step to step."""

    model: Model[P, S, Any]

    def init(self, params: P) -> EMState[P]:
        return EMState(params)

    def step(self, state: EMState[P], expectation: Expectation[P, S]) -> tuple[EMState[P], EMInfo]:
        stats, log_likelihood = expectation(state.params)
        return EMState(self.model.maximize(stats, state.params)), EMInfo(log_likelihood)


@dataclass(frozen=True, slots=True)
class MAPEM(Generic[H, P, S]):
    """EM towards the posterior's mode. The objective is log-likelihood + log prior, and never decreases."""

    model: ConjugateModel[H, S, P]
    prior: H

    def init(self, params: P) -> EMState[P]:
        return EMState(params)

    def step(self, state: EMState[P], expectation: Expectation[P, S]) -> tuple[EMState[P], EMInfo]:
        stats, log_likelihood = expectation(state.params)
        objective = log_likelihood + self.model.log_prior(self.prior, state.params)
        posterior = self.model.update(self.prior, stats)
        return EMState(self.model.mode(posterior, state.params)), EMInfo(objective)
