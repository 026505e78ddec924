"""Runs a rule over shards of data until it stops: threads, history, tolerance, progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

from latentcore.protocols import Expectation, Model, Rule
from latentcore.statistics import Statistics, total
from latentcore.threads import Workers

__all__ = ["Fit", "Progress", "expectation", "rows_per_shard", "run"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)


class Shardable(Protocol):
    """Data that come apart: ``Rows``, ``Sequences``."""

    def __len__(self) -> int:
        """The number of rows."""

    def shards(self, rows: int, /) -> Iterator[Self]:
        """Consecutive views of about so many rows."""


D = TypeVar("D", bound=Shardable)

_SMALL_SHARD = 1 << 23
"""Multiply-adds below which a shard is not worth a thread: half a millisecond, where handing it over takes 0.03."""
_LARGE_SHARD = 1 << 30
"""Multiply-adds above which a shard would delay Ctrl-C: about a tenth of a second."""
_MANY_SHARDS = 48
_FEWEST_ROWS = 4096
"""Below, adding the statistics of shards would cost as much as making them."""


def rows_per_shard(n_rows: int, work_per_row: float) -> int:
    """The size of shards: a function of the data's shape and the model alone, never of the threads.

    Parameters
    ----------
    n_rows : int
    work_per_row : float
        Multiply-adds of a sweep.
    """
    work = n_rows * work_per_row
    if work < 2 * _SMALL_SHARD:
        return max(1, n_rows)
    wanted = int(min(work / _SMALL_SHARD, _MANY_SHARDS, n_rows / _FEWEST_ROWS))
    needed = min(math.ceil(work / _LARGE_SHARD), n_rows // (_FEWEST_ROWS // 2))
    n_shards = max(1, wanted, needed)
    return max(1, -(-n_rows // n_shards))


def expectation(
    model: Model[P, S, D], data: D, shard_rows: int, n_threads: int
) -> Expectation[P, S]:
    """Bind the E-step to all rows: shards to threads, sums in a fixed tree.

    What a model wants to know of its rows before many sweeps it finds out here, once.
    """
    prepare = getattr(model, "prepare", None)
    shards = [data] if len(data) <= shard_rows else list(data.shards(shard_rows))
    if prepare is not None:
        shards = [prepare(shard) for shard in shards]
    if len(shards) == 1:
        return lambda params: model.expected_statistics(params, shards[0])

    workers = Workers(n_threads)  # kept from step to step: memory that threads free stays theirs

    def over_shards(params: P) -> tuple[S, float]:
        log_likelihood: list[float] = []

        def statistics(result: tuple[S, float]) -> S:
            log_likelihood.append(result[1])
            return result[0]

        results = workers.map(lambda shard: model.expected_statistics(params, shard), shards)
        try:
            stats = total(map(statistics, results))
        except BaseException:
            workers.close()
            raise
        return stats, sum(log_likelihood)

    return over_shards


@dataclass(frozen=True, slots=True)
class Progress:
    """What a callback is told after each step."""

    iteration: int
    objective: float
    """Nats per unit of weight."""
    change: float
    restart: int = 0
    """Which of several starts this is, from 0; set by who runs several."""
    seconds: float = 0.0
    """That the step took."""
    n_rows: int | None = None
    """That the step went over, of data in parts; None of data in memory."""

    def rows_per_second(self) -> float | None:
        """None of data in memory."""
        return None if self.n_rows is None or not self.seconds else self.n_rows / self.seconds


@dataclass(slots=True)
class Fit(Generic[P]):
    """The outcome of a run. ``history`` holds the objective that each step started from, per unit of weight."""

    params: P
    history: list[float] = field(default_factory=list)
    converged: bool = False
    stop_reason: Literal["tol", "max_iter"] = "max_iter"

    @property
    def n_iter(self) -> int:
        return len(self.history)


def run(
    rule: Rule[P, S, Any, Any],
    params: P,
    expectation: Expectation[P, S],
    *,
    total_weight: float,
    tol: float,
    max_iter: int,
    previous: float = float("-inf"),
    callback: Callable[[Progress], None] | None = None,
    n_rows: int | None = None,
    ended: Callable[[Fit[P]], None] | None = None,
) -> Fit[P]:
    """Step until the objective per unit of weight changes by less than ``tol``, or ``max_iter`` steps are done.

    Parameters
    ----------
    previous : float
        The objective before the first step, to go on from an earlier run.
    callback : callable, optional
        Called with a ``Progress`` after each step; an exception from it ends the run.
    n_rows : int, optional
        For ``Progress``.
    ended : callable, optional
        Called with the fit at the end, or, if an exception, Ctrl-C among them, ends the run, as the last complete step
        left it.
    """
    state = rule.init(params)
    fit = Fit(params)
    del params  # of the size of statistics: not to be held beyond the first step
    try:
        for iteration in range(1, max_iter + 1):
            begin = perf_counter()
            state, info = rule.step(state, expectation)
            objective = info.objective / total_weight
            change = objective - previous
            previous = objective
            fit.params = state.params
            fit.history.append(objective)
            if callback is not None:
                seconds = perf_counter() - begin
                callback(Progress(iteration, objective, change, seconds=seconds, n_rows=n_rows))
            if abs(change) < tol:
                fit.converged, fit.stop_reason = True, "tol"
                break
    finally:
        if ended is not None:
            ended(fit)
    return fit
