"""Variational inference by batches of rows: a rule whose step is an epoch of stochastic steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from latentcore.errors import ImpossibleRowError
from latentcore.estimators.bayesian_empirical import Both, with_best_concentration
from latentcore.estimators.bayesian_pruning import bound_of
from latentcore.estimators.epochs import Batch
from latentcore.protocols import Expectation
from latentcore.rules.cavi import StochasticVI, VariationalState
from latentcore.structures.mixture import MixturePrior

__all__ = ["EpochInfo", "StochasticEpochs"]

H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class EpochInfo:
    objective: float
    """The ELBO (nats) of the posterior that the epoch ended with. It may fall."""


@dataclass(frozen=True, slots=True)
class StochasticEpochs(Generic[H]):
    """A stochastic step for each batch of all rows, then the bound of all rows.

    Parameters
    ----------
    rule : StochasticVI
        Its prior is that of the state.
    batches : () -> iterator of Batch
        Those of the next epoch: all rows once.
    optimize_concentration : bool
        Whether an epoch ends with the best concentration.
    """

    rule: StochasticVI[MixturePrior[H], Any]
    batches: Callable[[], Iterator[Batch]]
    optimize_concentration: bool = False

    def init(self, params: Both[H]) -> VariationalState[Both[H]]:
        return VariationalState(params)

    def step(
        self, state: VariationalState[Both[H]], expectation: Expectation[Any, Any]
    ) -> tuple[VariationalState[Both[H]], EpochInfo]:
        prior = state.params.prior
        rule = replace(self.rule, prior=prior)
        inner = VariationalState(state.params.posterior, state.n_steps)
        for batch in self.batches():
            params = rule.model.expected(inner.params)
            try:
                stats, _, weight = batch(params)
            except ImpossibleRowError:
                expectation(params)  # which row it is of all, not of the batch
                raise
            inner = rule.advanced(inner, stats, weight)
        if self.optimize_concentration:
            prior = with_best_concentration(prior, inner.params)
        bound = bound_of(rule.model, prior, inner.params, expectation)
        return VariationalState(Both(inner.params, prior), inner.n_steps), EpochInfo(bound)
