"""How many threads a call may use, and the ordered map that the engine runs over them."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["Workers", "get_num_threads", "ordered_map", "set_num_threads", "threads"]

T = TypeVar("T")
R = TypeVar("R")

_default: int | None = None
_local = threading.local()


def _checked(n: int | None, name: str) -> int | None:
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise ValueError(f"{name}: expected an integer >= 1 or None, got {n!r}")
    return n


def _available() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this platform
        return os.cpu_count() or 1


def get_num_threads(n_threads: int | None = None) -> int:
    """Number of threads that a call may use.

    The first that is given of: the argument, ``with threads(n)``, ``set_num_threads``, the environment variable
    ``LATENTCORE_NUM_THREADS``, the number of cores that this process may run on.
    """
    if n_threads is not None:
        _checked(n_threads, "n_threads")
        return n_threads
    for n in (getattr(_local, "n", None), _default):
        if n is not None:
            return n
    text = os.environ.get("LATENTCORE_NUM_THREADS", "").strip()
    if text:
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"LATENTCORE_NUM_THREADS: expected an integer >= 1, got {text!r}")
        return int(text)
    return _available()


def set_num_threads(n: int | None) -> None:
    """Set the number of threads for the whole process; None returns to the default."""
    global _default
    _default = _checked(n, "n")


@contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Within the block, calls from this thread use ``n`` threads."""
    before = getattr(_local, "n", None)
    _local.n = _checked(n, "n")
    try:
        yield
    finally:
        _local.n = before


class Workers:
    """Threads for many ordered maps, started by the first that needs them.

    They end with ``close``, or when nothing refers to the object any more.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Results in the order of the items, one more in flight than there are threads.

        With one thread the caller does the work. An exception, Ctrl-C among them, cancels what has not begun.
        """
        if self.n_threads == 1:
            yield from map(function, items)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.n_threads, thread_name_prefix="latentcore")
        in_flight: deque[Future[R]] = deque()
        try:
            for item in items:
                in_flight.append(self._pool.submit(function, item))
                if len(in_flight) > self.n_threads:
                    yield in_flight.popleft().result()
            while in_flight:
                yield in_flight.popleft().result()
        finally:
            for future in in_flight:
                future.cancel()

    def close(self) -> None:
        """Wait for what runs, and end the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def ordered_map(function: Callable[[T], R], items: Iterable[T], n_threads: int) -> Iterator[R]:
    """One map by ``Workers`` that end with it."""
    workers = Workers(n_threads)
    try:
        yield from workers.map(function, items)
    finally:
        workers.close()
