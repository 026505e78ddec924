"""Tables that the workers of a cluster read: of Dask, or of Spark."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

from latentcore.cli.shared_options import UsageError
from latentcore.cli.values import is_spark

__all__ = ["RemoteTable", "remote_table"]


class RemoteTable(NamedTuple):
    """A data frame whose rows are read where they are worked on."""

    frame: Any
    names: list[str]
    numbers: list[str]
    """The columns that hold numbers."""
    client: Any = None
    """Of a Dask cluster."""


def remote_table(address: str, file: str) -> AbstractContextManager[RemoteTable]:
    """The Parquet file or folder as the workers of the cluster at an address read it.

    Raises
    ------
    UsageError
        There is no such cluster, or what it needs is not installed.
    ValueError, OSError
        The file cannot be read, or the cluster fails at its work.
    """
    return _spark_table(address, file) if is_spark(address) else _dask_table(address, file)


# -- Dask --------------------------------------------------------------------------------------------------------------


@contextmanager
def _dask_table(address: str, file: str) -> Iterator[RemoteTable]:
    with _client(address) as client:
        from dask import dataframe

        tables: Any = dataframe
        frame = tables.read_parquet(file)
        numbers = [name for name in frame.columns if frame.dtypes[name].kind in "biuf"]
        yield RemoteTable(frame, list(frame.columns), numbers, client)


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """A client of the scheduler at an address; ``local:N`` starts one with N processes on this machine."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise UsageError(
            "--cluster: needs Dask; install it with: pip install 'latentcore[dask]'"
        ) from None
    kind, _, rest = address.partition(":")
    if kind == "local":
        with _unheard_interrupts():  # it is for this process to end the others
            own = LocalCluster(n_workers=int(rest), threads_per_worker=1, dashboard_address=":0")
        with own, Client(own) as client:
            yield client
        return
    try:
        client = Client(address, timeout=10)
    except (OSError, TimeoutError) as error:
        raise UsageError(f"--cluster: no scheduler answers at {address} ({error})") from None
    with client:
        yield client


@contextmanager
def _unheard_interrupts() -> Iterator[None]:
    """Processes that are started here do not hear the Ctrl-C that a terminal sends to all."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# -- Spark -------------------------------------------------------------------------------------------------------------


@contextmanager
def _spark_table(master: str, file: str) -> Iterator[RemoteTable]:
    with _session(master) as session:
        from pyspark.sql.types import BooleanType, NumericType

        frame = session.read.parquet(file)
        fields = frame.schema.fields
        numbers = [
            one.name for one in fields if isinstance(one.dataType, NumericType | BooleanType)
        ]
        yield RemoteTable(frame, list(frame.columns), numbers)


@contextmanager
def _session(master: str) -> Iterator[Any]:
    """A session at a master, that of this process if it has one; what fails there is told in a line."""
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise UsageError(
            "--cluster: needs Spark; install it with: pip install 'latentcore[spark]'"
        ) from None
    active = SparkSession.getActiveSession()
    if master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")  # unused here
    settings = {"spark.app.name": "latentcore", "spark.ui.showConsoleProgress": "false"}
    try:
        session = active or SparkSession.builder.master(master).config(map=settings).getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        raise UsageError(
            f"--cluster: Spark, which needs Java 17 or later, does not start at {master}: {_cause(error)}"
        ) from None
    try:
        if active is None:
            session.sparkContext.setLogLevel("FATAL")  # the rest is told by exceptions
        yield session
    except (PySparkException, Py4JError) as error:
        raise ValueError(_cause(error)) from None
    finally:
        if active is None:
            session.stop()


def _cause(error: Exception) -> str:
    """The line of a message that says what is wrong: those of Java have one before."""
    lines = [line.lstrip(": ") for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith("An error occurred while")]
    return told[0] if told else type(error).__name__
