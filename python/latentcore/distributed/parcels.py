"""What travels: functions to the parts, results back, counted in bytes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Traffic", "opened", "outcome", "sealed"]


@dataclass(slots=True)
class Traffic:
    """Bytes of each pass over the parts, as pickled; an iteration of EM is one pass.

    Attributes
    ----------
    sent : list of int
        Sizes of the functions, which hold the model and its parameters. Every worker gets one copy.
    received : list of int
        Sizes of the results of all parts together.

    Notes
    -----
    The engine's own messages come on top: about a kilobyte for each part. What a recovery after the loss of a worker
    costs, or data that the engine moves between its workers, is not counted.
    """

    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)

    def begin(self, sent: int) -> None:
        """A pass, of which no result has come."""
        self.sent.append(sent)
        self.received.append(0)

    def receive(self, size: int) -> None:
        """A result of the latest pass."""
        self.received[-1] += size


def outcome(parcel: bytes, number: int, part: Any) -> tuple[bool, Any]:
    """What the function in a parcel makes of a part: (True, value), or (False, exception)."""
    function: Callable[[int, Any], Any] = pickle.loads(parcel)
    try:
        return True, function(number, part)
    except Exception as error:
        return False, error


def sealed(result: tuple[bool, Any]) -> bytes:
    """An outcome as bytes; an exception that cannot be pickled becomes one that says the same."""
    try:
        return pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        good, value = result
        cause = error if good else value
        text = f"{type(cause).__name__}: {cause}"
        return pickle.dumps((False, RuntimeError(text)), pickle.HIGHEST_PROTOCOL)


def opened(parcel: bytes) -> Any:
    """The value of a sealed outcome; raises its exception."""
    good, value = pickle.loads(parcel)
    if not good:
        raise value
    return value
