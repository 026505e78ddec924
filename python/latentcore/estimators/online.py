"""How an estimator learns from a stream, and where in the stream it is."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from numbers import Real
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from latentcore.estimators.checks import boolean, one_of
from latentcore.rules.online import FiniteSample
from latentcore.rules.online import Inertia as RuleInertia
from latentcore.rules.steps import (
    DECREASING,
    ConstantStep,
    InverseStep,
    PowerStep,
    StepSize,
    is_number,
)

__all__ = ["Online", "OnlineArgument", "Stream", "after_step", "fingerprint", "resolved"]

Horizon = Literal["batch", "endless"]
Inertia: TypeAlias = RuleInertia | Literal["forward-only"]

_INERTIAS = (*get_args(RuleInertia), "forward-only")
_HORIZONS = get_args(Horizon)

LATEST = 1024
"""Steps whose objectives ``lower_bounds_`` keeps: a stream has no end."""


@dataclass(frozen=True, slots=True)
class Online:
    """How ``partial_fit`` learns (see ``docs/online.md``).

    Parameters
    ----------
    step_size : float, StepSize, callable or "auto"
        eta: how many times as much a batch counts as what is known; a number is the same for all steps. A callable
        makes it of the number of the step, from 1. "auto" finds it: two learners, one twice as fast as the other, and
        the evidence of the batches between them, for twice the work (see ``rules.auto_step``).
    inertia : {"model", "running", "forward-only"} or FiniteSample
        Whether what is known is derived from the parameters (Amid & Warmuth 2020), or is a running statistic (Cappé &
        Moulines 2009). Models of sequences, "forward-only": a running statistic that later rows of an endless sequence
        correct, so that blocks are smoothed as if the sequence were whole (Cappé 2011). A step costs S times as much.
        A ``FiniteSample`` draws from the model what it expects; so does "model" by itself for a family without a method
        ``model_statistics``.
    averaging : bool
        Whether the parameters are those of the mean of all iterates' statistics (Polyak & Juditsky 1992).
    horizon : {"batch", "endless"}
        Models of sequences: whether what is known is weighed over sequences as long as those of the batch, or over the
        rows of an endless sequence.
    """

    step_size: float | StepSize | Literal["auto"] = DECREASING
    inertia: Inertia | FiniteSample = "model"
    averaging: bool = False
    horizon: Horizon = "batch"

    def __post_init__(self) -> None:
        number = is_number(self.step_size)
        own = callable(self.step_size) and not isinstance(self.step_size, type)
        if not number and not own and self.step_size != "auto":
            raise TypeError(
                f"step_size: expected a number, a callable or 'auto', got {self.step_size!r}"
            )
        if number and not 0 <= float(self.step_size) <= math.inf:  # type: ignore[arg-type]
            raise ValueError(f"step_size: expected a number >= 0, got {self.step_size!r}")
        if not isinstance(self.inertia, FiniteSample):
            one_of("inertia", self.inertia, _INERTIAS)
        boolean("averaging", self.averaging)
        one_of("horizon", self.horizon, _HORIZONS)

    def inertia_of_rows(self) -> RuleInertia | FiniteSample:
        """The inertia of a model of independent rows; ``ValueError`` for what only sequences can have."""
        if self.inertia == "forward-only":
            raise ValueError(
                "online: expected inertia 'model' or 'running' for independent rows, got 'forward-only'"
            )
        return self.inertia

    def schedule(self) -> StepSize:
        """The step size as a function of the number of the step; not of "auto"."""
        step = self.step_size
        if not callable(step):
            return ConstantStep(float(step))
        return step if isinstance(step, ConstantStep | InverseStep | PowerStep) else _Checked(step)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A user's step size, whose values are looked at."""

    step_size: StepSize

    def __call__(self, step: int) -> float:
        eta = self.step_size(step)
        if not isinstance(eta, Real) or not 0 <= float(eta) <= math.inf:
            raise ValueError(f"step_size: expected a number >= 0 at step {step}, got {eta!r}")
        return float(eta)


_DEFAULT = Online()

OnlineArgument: TypeAlias = Online | float | StepSize | Literal["auto"] | None
"""What the argument ``online`` may be: what is no ``Online`` is its step size."""


def resolved(online: Any) -> Online:
    """The argument ``online``, checked."""
    if online is None:
        return _DEFAULT
    if isinstance(online, Online):
        return online
    if is_number(online):
        return Online(float(online))
    is_auto = isinstance(online, str) and online == "auto"
    if is_auto or (callable(online) and not isinstance(online, type)):
        return Online(online)
    raise TypeError(
        "online: expected an Online, a step size (a number, a callable or 'auto') or None, "
        f"got {online!r}"
    )


@dataclass(frozen=True, slots=True)
class Stream:
    """Where in a stream an estimator is; it travels with pickles and files.

    Attributes
    ----------
    n_steps : int
    seen : float
        Weight of the observations so far.
    eta : float or None
        The size of the latest step.
    running, average : statistics or None
        See ``rules.online.OnlineState``.
    iterate : parameters or None
        From where the next step goes on, if not from the public ones: with averaging, and where the public ones are
        rounded to float32.
    shown : str
        The fingerprint of the public parameters that ``running``, ``average`` and ``iterate`` belong to. Others were
        set by hand: then the stream goes on from them alone.
    prior : prior or None
        What ``prior="weak"`` was found to be when the stream began.
    exit : (S,) or None
        Models of sequences with an endless horizon: the log-law of the state of the latest row, from which the sequence
        may go on.
    waiting : tuple
        Batches that are too small to begin with.
    auto : AutoState or None
        With automatic steps, all that the rule goes on from.
    """

    n_steps: int = 0
    seen: float = 0.0
    eta: float | None = None
    running: Any = None
    average: Any = None
    iterate: Any = None
    shown: str = ""
    prior: Any = None
    waiting: tuple[Any, ...] = ()
    auto: Any = None
    exit: Any = None

    def n_waiting(self) -> int:
        """Rows that wait for more."""
        return sum(map(len, self.waiting))

    def has_own(self) -> bool:
        """Whether there is more to go on from than the public parameters."""
        return (
            self.running is not None
            or self.average is not None
            or self.iterate is not None
            or self.auto is not None
        )

    def without_own(self) -> Stream:
        return replace(self, running=None, average=None, iterate=None, auto=None, shown="")


def fingerprint(params: Any) -> str:
    """Of all numbers in nested dataclasses and tuples of parameters."""
    digest = hashlib.sha256(usedforsecurity=False)  # which processors have instructions for
    _add(params, digest.update)
    return digest.hexdigest()


def _add(tree: Any, update: Callable[[bytes], None]) -> None:
    if isinstance(tree, np.ndarray):
        update(str(tree.shape).encode())
        update(np.ascontiguousarray(tree).tobytes())
    elif is_dataclass(tree):
        for field in fields(tree):
            _add(getattr(tree, field.name), update)
    elif isinstance(tree, tuple):
        for part in tree:
            _add(part, update)
    else:
        update(repr(tree).encode())


def after_step(
    state: Mapping[str, Any], n_steps: int, bound: float, n_new_rows: int
) -> dict[str, Any]:
    """The attributes that tell the course of a stream, after a step; ``state`` has those before it."""
    bounds = [*state.get("lower_bounds_", ()), bound]
    if len(bounds) > LATEST:
        del bounds[:-LATEST]
    return {
        "converged_": False,
        "n_iter_": n_steps,
        "lower_bound_": bound,
        "lower_bounds_": bounds,
        "n_samples_seen_": state.get("n_samples_seen_", 0) + n_new_rows,
    }
