"""Variational inference by batches of rows: epochs of stochastic steps until the bound stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from latentcore.arrays import Rows
from latentcore.engine import Fit, Progress
from latentcore.estimators.bayesian_empirical import Both, with_best_concentration
from latentcore.protocols import Expectation
from latentcore.rules.cavi import StochasticVI, VariationalState
from latentcore.structures.mixture import MixturePrior

__all__ = ["batches", "run_by_batches"]

H = TypeVar("H")


def batches(
    data: Rows, batch_size: int, rng: np.random.RandomState | np.random.Generator
) -> Iterator[Rows]:
    """All rows in random order, ``batch_size`` at a time; the last batch may be smaller."""
    order = rng.permutation(len(data))
    for start in range(0, len(data), batch_size):
        yield data.take(np.sort(order[start : start + batch_size]))


def run_by_batches(
    rule: StochasticVI[MixturePrior[H], Any],
    posterior: MixturePrior[H],
    data: Rows,
    expectation: Callable[[Rows], Expectation[Any, Any]],
    bound: Callable[[Both[H]], float],
    *,
    batch_size: int,
    rng: np.random.RandomState | np.random.Generator,
    tol: float,
    max_iter: int,
    optimize_concentration: bool = False,
    previous: float = float("-inf"),
    callback: Callable[[Progress], None] | None = None,
) -> tuple[Fit[Both[H]], int]:
    """Run epochs until the bound of all data changes by less than ``tol``, or ``max_iter`` are done.

    The history holds the bound after each epoch. The number of steps comes back with the fit.
    """
    state = VariationalState(posterior)
    fit = Fit(Both(posterior, rule.prior))
    for epoch in range(1, max_iter + 1):
        for batch in batches(data, batch_size, rng):
            state, _ = rule.step(state, expectation(batch), batch.total_weight())
        if optimize_concentration:
            rule = replace(rule, prior=with_best_concentration(rule.prior, state.params))
        fit.params = Both(state.params, rule.prior)
        objective = bound(fit.params)
        change = objective - previous
        previous = objective
        fit.history.append(objective)
        if callback is not None:
            callback(Progress(epoch, objective, change))
        if abs(change) < tol:
            fit.converged, fit.stop_reason = True, "tol"
            break
    return fit, state.n_steps
