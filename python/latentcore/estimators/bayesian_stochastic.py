"""Variational inference by batches of rows: epochs of stochastic steps until the bound stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from latentcore.arrays import Rows
from latentcore.engine import Fit, Progress
from latentcore.protocols import Expectation
from latentcore.rules.cavi import StochasticVI, VariationalState

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
    rule: StochasticVI[H, Any],
    posterior: H,
    data: Rows,
    expectation: Callable[[Rows], Expectation[Any, Any]],
    bound: Callable[[H], float],
    *,
    batch_size: int,
    rng: np.random.RandomState | np.random.Generator,
    tol: float,
    max_iter: int,
    previous: float = float("-inf"),
    callback: Callable[[Progress], None] | None = None,
) -> tuple[Fit[H], int]:
    """Run epochs until the bound of all data changes by less than ``tol``, or ``max_iter`` are done.

    The history holds the bound after each epoch. The number of steps comes back with the fit.
    """
    state = VariationalState(posterior)
    fit = Fit(posterior)
    for epoch in range(1, max_iter + 1):
        for batch in batches(data, batch_size, rng):
            state, _ = rule.step(state, expectation(batch), batch.total_weight())
        objective = bound(state.params)
        change = objective - previous
        previous = objective
        fit.params = state.params
        fit.history.append(objective)
        if callback is not None:
            callback(Progress(epoch, objective, change))
        if abs(change) < tol:
            fit.converged, fit.stop_reason = True, "tol"
            break
    return fit, state.n_steps
