"""A Dask cluster of two processes and a Spark session on this machine; no test here waits for ever."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from clusters.tools import wait_until

TIME_LIMIT = 300
"""Seconds; where a test or a fixture waits longer, it fails."""


@pytest.fixture(autouse=True)
def limited_time() -> Iterator[None]:
    with _alarm():
        yield


class _alarm:
    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGALRM, _too_late)
        signal.alarm(TIME_LIMIT)

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, self.before)


def _too_late(*_: object) -> None:
    raise TimeoutError(f"expected an end within {TIME_LIMIT} seconds")


@pytest.fixture(scope="session")
def dask_client() -> Iterator[Any]:
    """A client of a cluster of two worker processes, with one thread each."""
    import dask
    from distributed import Client, LocalCluster

    # That long after a worker was lost, the cluster gives up its nanny for good if it is away at that very moment:
    # starting another one, slowly, or after another loss.
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1 day"}):
        with _alarm():
            cluster = LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                processes=True,
                dashboard_address=":0",
                memory_limit=0,
            )
        # All tests are over: a worker that has not ended within Dask's few seconds, on a busy machine, fails none.
        with suppress(TimeoutError), cluster, Client(cluster) as client:
            yield client


@pytest.fixture
def client(dask_client: Any) -> Any:
    """The client when both workers are there: a test may have killed one.

    And when their nannies have heard that they are: one whose process dies before that does not start another.
    """
    nannies = list(dask_client.cluster.workers.values())
    wait_until(
        lambda: (
            len(dask_client.nthreads()) == len(nannies)
            and all(nanny.process and nanny.process.status.name == "running" for nanny in nannies)
        )
    )
    return dask_client


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
    }
    with _alarm():
        session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
