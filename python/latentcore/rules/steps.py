"""Step sizes of online learning: how many times as much a batch counts as what is known.

``eta`` is the weight of a batch where that of the model's own expectation is one (Amid & Warmuth 2020); the share of
the batch in what is learned is ``rho = eta / (1 + eta)``. Infinite eta is batch learning, eta 0 learns nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

__all__ = [
    "DECREASING",
    "ConstantStep",
    "InverseStep",
    "PowerStep",
    "StepSize",
    "eta_of",
    "is_number",
    "rho_of",
]

StepSize = Callable[[int], float]
"""From the number of the step, 1 for the first, to eta in [0, inf]."""


def rho_of(eta: float) -> float:
    """The share of the batch; ``ValueError`` if eta is not a number >= 0."""
    if not eta >= 0.0:
        raise ValueError(f"step_size: expected eta >= 0, got {eta!r}")
    return 1.0 if math.isinf(eta) else eta / (1.0 + eta)


def eta_of(rho: float) -> float:
    """The step size under which a batch has the share ``rho``."""
    return math.inf if rho >= 1.0 else rho / (1.0 - rho)


@dataclass(frozen=True, slots=True)
class ConstantStep:
    """The same ``eta`` always: what tracks a model that moves, forgetting a share rho at each step."""

    eta: float

    def __post_init__(self) -> None:
        _check("eta", self.eta, 0.0, math.inf)

    def __call__(self, step: int) -> float:
        return self.eta


@dataclass(frozen=True, slots=True)
class InverseStep:
    """``eta = eta0 / t``."""

    eta0: float = 1.0

    def __post_init__(self) -> None:
        _check("eta0", self.eta0, 0.0, math.inf)

    def __call__(self, step: int) -> float:
        return self.eta0 / step


@dataclass(frozen=True, slots=True)
class PowerStep:
    """``rho = (t + delay)^-kappa``, for a model that stays (Cappé & Moulines 2009).

    Parameters
    ----------
    kappa : float, in (1/2, 1]
        Sums of steps diverge and sums of their squares converge: the condition of Robbins & Monro (1951).
    delay : float, >= 0
        Slows the first steps. With kappa 1 and delay 0 all batches count alike.
    """

    kappa: float = 0.6
    delay: float = 1.0

    def __post_init__(self) -> None:
        if not is_number(self.kappa) or not 0.5 < self.kappa <= 1.0:
            raise ValueError(f"kappa: expected a number in (1/2, 1], got {self.kappa!r}")
        _check("delay", self.delay, 0.0, math.inf)

    def __call__(self, step: int) -> float:
        return eta_of(min(1.0, (step + self.delay) ** -self.kappa))


def is_number(value: object) -> bool:
    """Whether this is a real number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _check(name: str, value: float, low: float, high: float) -> None:
    if not is_number(value) or not low <= value <= high:
        raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r}")


DECREASING = PowerStep()
"""What Cappé & Moulines (2009) recommend."""
