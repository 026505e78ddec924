"""Learning from a stream of batches: what is timed, and its rivals.

Rows are those of the shape (1e6, 8, 16) of ``em``: latentcore learns a full covariance for each component,
scikit-learn's ``MiniBatchKMeans`` centers alone, and an EM iteration of its ``GaussianMixture`` is what a pass over the
same rows costs there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy.typing as npt
from sklearn.cluster import MiniBatchKMeans

from fits import fit
from latentcore import GaussianMixture
from shapes import Problem, Shape, make
from timing import Clock, cpu, seconds_of, seconds_per_iteration

__all__ = ["BATCH_SIZES", "measurements", "overhead", "stream"]

BATCH_SIZES = (1000, 100)
_OVERHEAD_BATCHES = 100


def stream(quick: bool) -> Problem:
    """The rows that come."""
    shape = Shape("full", 1_000_000, 8, 16)
    return make(shape.shrunk() if quick else shape, "float64", "overlapping")


def measurements(problem: Problem, batch_size: int) -> dict[str, Callable[[], float]]:
    """By name, what measures the seconds that a pass over all rows takes on one thread."""
    return {
        "latentcore": partial(_stream, _mixture(problem), problem.x, batch_size),
        "MiniBatchKMeans": partial(_stream, _kmeans(problem), problem.x, batch_size),
        "EM iteration": partial(_iteration, problem, "scikit-learn"),
        "own EM iteration": partial(_iteration, problem, "latentcore"),
    }


def overhead(problem: Problem, batch_size: int) -> tuple[float, float]:
    """Microseconds that ``partial_fit`` takes by batch, and how many of them are the sweep over its rows."""
    model = _mixture(problem)
    rows = problem.x[: _OVERHEAD_BATCHES * batch_size]
    n_batches = len(_batches(rows, batch_size))
    whole = min(_stream(model, rows, batch_size) for _ in range(5)) / n_batches
    sweep = _iteration(problem, "latentcore") * batch_size / len(problem.x)
    return 1e6 * whole, 1e6 * sweep


def _mixture(problem: Problem) -> GaussianMixture:
    model = GaussianMixture(problem.shape.n_components, random_state=0, n_threads=1)
    return model.partial_fit(problem.x[:5000])


def _kmeans(problem: Problem) -> Any:
    model = MiniBatchKMeans(problem.shape.n_components, random_state=0, n_init=1)
    return model.partial_fit(problem.x[:5000])


def _stream(model: Any, x: npt.NDArray[Any], batch_size: int, clock: Clock = cpu) -> float:
    """Seconds of a step on each batch; the model goes on learning from measurement to measurement."""

    def all_batches() -> None:
        for batch in _batches(x, batch_size):
            model.partial_fit(batch)

    return seconds_of(all_batches, clock)


def _batches(x: npt.NDArray[Any], batch_size: int) -> list[npt.NDArray[Any]]:
    return [x[begin : begin + batch_size] for begin in range(0, len(x), batch_size)]


def _iteration(problem: Problem, library: Any) -> float:
    return seconds_per_iteration(lambda n: fit(library, problem, n, 1), 3)
