"""EM on a Dask cluster of worker processes on this machine, beside one process."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentcore import GaussianMixture
from shapes import Problem
from timing import wall

N_WORKERS = 2
_PARTS = 4 * N_WORKERS
_AGREEMENT = 1e-10
"""Largest relative difference of log-likelihoods: sums of the same terms in another order."""


@dataclass(frozen=True, slots=True)
class Iterations:
    """A fit: how long an iteration took, where it came to, and bytes of an iteration to each worker and from all."""

    seconds: float
    lower_bound: float
    sent: int = 0
    received: int = 0


def is_installed() -> bool:
    return importlib.util.find_spec("distributed") is not None


@contextmanager
def workers() -> Iterator[Any]:
    """A client of a cluster of processes with one thread each."""
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.ERROR)
    with (
        LocalCluster(
            n_workers=N_WORKERS, threads_per_worker=1, processes=True, dashboard_address=None,
            memory_limit=0,
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client


def on_one_machine(problem: Problem, n_iterations: int, n_threads: int) -> Iterations:
    def fit(model: GaussianMixture, callback: Callable[[Any], None]) -> None:
        model.set_params(n_threads=n_threads).fit(problem.x, callback=callback)

    return _timed(problem, n_iterations, fit)


def on_the_cluster(client: Any, problem: Problem, n_iterations: int) -> Iterations:
    """The rows are on the workers before."""
    from latentcore import distributed

    traffic = distributed.Traffic()
    parts = client.scatter(np.array_split(problem.x, _PARTS))

    def fit(model: GaussianMixture, callback: Callable[[Any], None]) -> None:
        distributed.fit(model, parts, client=client, callback=callback, traffic=traffic)

    found = _timed(problem, n_iterations, fit)
    step = -1 - n_iterations // 2  # a pass in the middle of the iterations
    return Iterations(found.seconds, found.lower_bound, traffic.sent[step], traffic.received[step])


def check_agreement(*fits: Iterations) -> None:
    """Stop the program if the fits differ."""
    first, *others = [fit.lower_bound for fit in fits]
    for other in others:
        if not abs(other - first) <= _AGREEMENT * abs(first):
            sys.exit(
                f"cluster: expected log-likelihoods that agree to {_AGREEMENT:g}, "
                f"got {first!r} and {other!r}"
            )


def _timed(
    problem: Problem,
    n_iterations: int,
    fit: Callable[[GaussianMixture, Callable[[Any], None]], None],
) -> Iterations:
    """Of iterations after the first: the time between what the callback hears of them."""
    shape = problem.shape
    model = GaussianMixture(
        shape.n_components, covariance_type=shape.covariance_type, tol=0.0,
        max_iter=n_iterations, **problem.start,
    )  # fmt: skip
    heard: list[float] = []
    fit(model, lambda progress: heard.append(wall()))
    return Iterations((heard[-1] - heard[0]) / (n_iterations - 1), float(model.lower_bound_))
