"""What travels: functions to the parts, results back, counted in bytes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Outcome", "Traffic", "after", "attempt", "opened", "sealed", "unpacked"]


@dataclass(slots=True)
class Traffic:
    """Bytes of each pass over the parts, as pickled; an iteration of EM is one pass.

    Attributes
    ----------
    sent : list of int
        Sizes of the functions, which hold the model and its parameters. Every thread of a worker gets one copy, on
        Spark every executor.
    received : list of int
        Sizes of the results of all parts together.

    Notes
    -----
    The engine's own messages come on top: about a kilobyte for each task, and some bytes for each part. What a
    recovery after the loss of a worker costs, or data that the engine moves between its workers, is not counted.
    """

    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)

    def begin(self, sent: int) -> None:
        """A pass, of which no result has come."""
        self.sent.append(sent)
        self.received.append(0)

    def receive(self, size: int) -> None:
        """Results of the latest pass."""
        self.received[-1] += size


Outcome = tuple[bool, Any]
"""(True, value), or (False, exception)."""


def attempt(function: Callable[..., Any], *arguments: Any) -> Outcome:
    """What a function makes of these arguments; an exception that cannot be pickled becomes one that says the same."""
    try:
        return True, function(*arguments)
    except Exception as error:
        error = error.with_traceback(None)  # which would keep the data alive
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return False, error


def unpacked(parcel: bytes) -> Callable[[Any], Any]:
    """The function in a parcel."""
    function: Callable[[Any], Any] = pickle.loads(parcel)
    return function


def after(earlier: Outcome, function: Callable[[Any], Any]) -> Outcome:
    """What a function makes of a part; where there is none, because of an exception, that one."""
    good, part = earlier
    return attempt(function, part) if good else earlier


def sealed(outcome: Outcome) -> bytes:
    """An outcome as bytes."""
    try:
        return pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        text = f"results: expected what can be pickled, got {type(outcome[1]).__name__} ({error})"
        return pickle.dumps((False, TypeError(text)), pickle.HIGHEST_PROTOCOL)


def opened(parcel: bytes) -> Any:
    """The value of a sealed outcome; raises its exception."""
    good, value = pickle.loads(parcel)
    if not good:
        try:
            raise value
        finally:
            del value  # it would hold its traceback, and that this frame
    return value
