"""Clocks, differences and ratios."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
Measurement = Callable[[], float]
"""Does the work once and returns its seconds."""

cpu: Clock = time.thread_time
cpu_of_all_threads: Clock = time.process_time
wall: Clock = time.perf_counter


@dataclass(frozen=True, slots=True)
class Effort:
    """How often to repeat, and for how long a difference of two fits should last at least, seconds."""

    repeats: int
    ours: float
    theirs: float
    quick: bool = False


FULL = Effort(repeats=3, ours=1.0, theirs=2.0)
QUICK = Effort(repeats=1, ours=0.05, theirs=0.1, quick=True)


def seconds_of(work: Callable[[], object], clock: Clock = cpu) -> float:
    """Seconds of one call."""
    began = clock()
    work()
    return clock() - began


def seconds_per_iteration(fit: Callable[[int], object], n_more: int, clock: Clock = cpu) -> float:
    """The difference of fits of ``1`` and ``1 + n_more`` iterations, per iteration: without set-up."""
    short = seconds_of(lambda: fit(1), clock)
    long = seconds_of(lambda: fit(1 + n_more), clock)
    return (long - short) / n_more


def iterations_within(budget: float, seconds: float) -> int:
    """How many iterations of so many seconds fill the budget; at least one."""
    return max(1, min(1000, round(budget / seconds)))


def interleaved(repeats: int, *measurements: Measurement) -> list[list[float]]:
    """Seconds of each measurement; taken in turn, so that all meet the same state of the machine."""
    rounds = [[measure() for measure in measurements] for _ in range(repeats)]
    return [list(seconds) for seconds in zip(*rounds, strict=True)]


def ratios(slow: list[float], fast: list[float]) -> list[float]:
    """Sorted ratios of measurements that are neighbours in time."""
    return sorted(a / b for a, b in zip(slow, fast, strict=True))
