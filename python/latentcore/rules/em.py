"""Expectation maximisation: replace the statistics, spend them (Dempster, Laird & Rubin 1977)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from latentcore.protocols import Expectation, Model
from latentcore.statistics import Statistics

__all__ = ["EM", "EMState"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)


@dataclass(frozen=True, slots=True)
class EMState(Generic[P]):
    params: P


@dataclass(frozen=True, slots=True)
class EMInfo:
    objective: float
    """The log-likelihood (nats, total) of the parameters that the step started from."""


@dataclass(frozen=True, slots=True)
class EM(Generic[P, S]):
    """EM on any model. The objective never decreases from step to step."""

    model: Model[P, S, Any]

    def init(self, params: P) -> EMState[P]:
        return EMState(params)

    def step(self, state: EMState[P], expectation: Expectation[P, S]) -> tuple[EMState[P], EMInfo]:
        stats, log_likelihood = expectation(state.params)
        return EMState(self.model.maximize(stats, state.params)), EMInfo(log_likelihood)
