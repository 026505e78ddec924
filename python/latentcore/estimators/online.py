"""How an estimator learns from a stream, and where in the stream it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, TypeAlias, get_args

from latentcore.estimators.checks import boolean, one_of
from latentcore.rules.online import Inertia
from latentcore.rules.steps import DECREASING, ConstantStep, StepSize

__all__ = ["Online", "OnlineArgument", "Stream", "resolved"]

Horizon = Literal["batch", "endless"]

LATEST = 1024
"""Steps whose objectives ``lower_bounds_`` keeps: a stream has no end."""


@dataclass(frozen=True, slots=True)
class Online:
    """How ``partial_fit`` learns (see ``docs/online.md``).

    Parameters
    ----------
    step_size : float, StepSize or callable
        eta: how many times as much a batch counts as what is known; a number is the same for all steps. A callable
        makes it of the number of the step, from 1.
    inertia : {"model", "running"}
        Whether what is known is derived from the parameters (Amid & Warmuth 2020), or is a running statistic (Cappé &
        Moulines 2009).
    averaging : bool
        Whether the parameters are those of the mean of all iterates' statistics (Polyak & Juditsky 1992).
    horizon : {"batch", "endless"}
        Models of sequences: whether what is known is weighed over sequences as long as those of the batch, or over the
        rows of an endless sequence.
    """

    step_size: float | StepSize = DECREASING
    inertia: Inertia = "model"
    averaging: bool = False
    horizon: Horizon = "batch"

    def __post_init__(self) -> None:
        number = isinstance(self.step_size, Real) and not isinstance(self.step_size, bool)
        if not number and not callable(self.step_size):
            raise TypeError(f"step_size: expected a number or a callable, got {self.step_size!r}")
        if number and not 0 <= float(self.step_size) <= math.inf:  # type: ignore[arg-type]
            raise ValueError(f"step_size: expected a number >= 0, got {self.step_size!r}")
        one_of("inertia", self.inertia, get_args(Inertia))
        boolean("averaging", self.averaging)
        one_of("horizon", self.horizon, get_args(Horizon))

    def schedule(self) -> StepSize:
        """The step size as a function of the number of the step."""
        step = self.step_size
        return step if callable(step) else ConstantStep(float(step))


OnlineArgument: TypeAlias = Online | float | None
"""What the argument ``online`` may be: a number is a step size."""


def resolved(online: Any) -> Online:
    """The argument ``online``, checked."""
    if online is None:
        return Online()
    if isinstance(online, Online):
        return online
    if isinstance(online, Real) and not isinstance(online, bool):
        return Online(float(online))
    raise TypeError(f"online: expected an Online, a step size or None, got {online!r}")


@dataclass(frozen=True, slots=True)
class Stream:
    """Where in a stream an estimator is; it travels with pickles and files.

    Attributes
    ----------
    n_steps : int
    seen : float
        Weight of the observations so far.
    running, average : statistics or None
        See ``rules.online.OnlineState``.
    iterate : parameters or None
        From where the next step goes on, if not from the public ones: with averaging.
    """

    n_steps: int = 0
    seen: float = 0.0
    running: Any = None
    average: Any = None
    iterate: Any = None
