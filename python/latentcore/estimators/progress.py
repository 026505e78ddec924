"""What a fit prints while it runs, in the words of scikit-learn, and what it tells a callback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

from latentcore.engine import Progress

__all__ = ["Reporter"]


class Reporter:
    """Prints the course of a fit for ``verbose`` 1 and 2; passes each step on to the callback."""

    def __init__(
        self, verbose: int, interval: int, callback: Callable[[Progress], None] | None
    ) -> None:
        self._verbose = verbose
        self._interval = interval
        self._callback = callback
        self._restart = 0
        self._begin = self._before = 0.0

    def begin(self, restart: int) -> None:
        self._restart = restart
        if self._verbose:
            print(f"Initialization {restart}")
        self._begin = self._before = perf_counter()

    @property
    def step(self) -> Callable[[Progress], None] | None:
        """What the engine calls after each step; None if there is nobody to tell."""
        return self._step if self._verbose or self._callback is not None else None

    def _step(self, progress: Progress) -> None:
        if self._verbose and progress.iteration % self._interval == 0:
            line = f"  Iteration {progress.iteration}"
            if self._verbose >= 2:
                now = perf_counter()
                line += f"\t time lapse {now - self._before:.5f}s\t ll change {progress.change:.5f}"
                self._before = now
            rate = progress.rows_per_second()
            if rate is not None:
                line += f"\t lower bound {progress.objective:.5f}\t {rate:.3g} rows/s"
            print(line)
        if self._callback is not None:
            self._callback(replace(progress, restart=self._restart))

    def end(self, objective: float, converged: bool) -> None:
        if not self._verbose:
            return
        line = f"Initialization {'converged' if converged else 'did not converge'}."
        if self._verbose >= 2:
            line += (
                f" time lapse {perf_counter() - self._begin:.5f}s\t lower bound {objective:.5f}."
            )
        print(line)
