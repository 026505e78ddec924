"""Checks of constructor arguments; each returns the value as the type that is wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, get_args

import numpy as np

from latentcore.initialization import InitMethod
from latentcore.threads import get_num_threads

__all__ = [
    "boolean",
    "check_random_state",
    "fitting_arguments",
    "integer",
    "one_of",
    "random_generator",
    "real",
    "stochastic_steps",
]

_METHODS = get_args(InitMethod)


def integer(name: str, value: Any, minimum: int) -> int:
    if type(value) is int and value >= minimum:  # quickly: a stream asks at each step
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name}: expected an integer >= {minimum}, got {value!r}")
    if int(value) < minimum:
        raise ValueError(f"{name}: expected an integer >= {minimum}, got {value!r}")
    return int(value)


def real(name: str, value: Any) -> float:
    """A finite number >= 0."""
    if type(value) is float and 0 <= value < math.inf:
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number >= 0, got {value!r}")
    if not 0 <= float(value) < math.inf:
        raise ValueError(f"{name}: expected a finite number >= 0, got {value!r}")
    return float(value)


def stochastic_steps(delay: Any, forgetting: Any) -> None:
    """The arguments of stochastic variational inference."""
    real("delay", delay)
    checked = real("forgetting", forgetting)
    if not (checked == 0 or 0.5 < checked <= 1):
        raise ValueError(f"forgetting: expected 0, or a number in (0.5, 1], got {checked}")


def boolean(name: str, value: Any) -> bool:
    if value is True or value is False:
        return value
    if not isinstance(value, np.bool_):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def fitting_arguments(model: Any) -> None:
    """The constructor arguments that every mixture has.

    Raises
    ------
    ValueError, TypeError
        One cannot be used.
    """
    integer("n_components", model.n_components, 1)
    real("tol", model.tol)
    integer("max_iter", model.max_iter, 0)
    integer("n_init", model.n_init, 1)
    one_of("init_params", model.init_params, _METHODS)
    check_random_state(model.random_state)
    boolean("warm_start", model.warm_start)
    integer("verbose", int(model.verbose) if model.verbose is True else model.verbose, 0)
    integer("verbose_interval", model.verbose_interval, 1)
    get_num_threads(model.n_threads)


def check_random_state(random_state: Any) -> None:
    """Raise ``ValueError`` for what ``random_generator`` does not take; to seed one takes longer."""
    if random_state is None or random_state is np.random:
        return
    if isinstance(random_state, np.random.RandomState | np.random.Generator):
        return
    if isinstance(random_state, Integral) and not isinstance(random_state, bool):
        if 0 <= int(random_state) < 2**32:
            return
        raise ValueError(
            f"random_state: expected an integer from 0 to 2**32 - 1, got {random_state!r}"
        )
    raise ValueError(
        "random_state: expected None, an integer, a numpy RandomState or a numpy Generator, "
        f"got {random_state!r}"
    )


def random_generator(random_state: Any) -> np.random.RandomState | np.random.Generator:
    """The generator of a ``random_state``.

    None is NumPy's global generator, an integer seeds a new ``RandomState``, and a ``RandomState``
    or ``Generator`` is used as it is, so that it goes on from fit to fit.
    """
    check_random_state(random_state)
    if isinstance(random_state, np.random.RandomState | np.random.Generator):
        return random_state
    if random_state is None or random_state is np.random:
        return np.random.mtrand._rand
    return np.random.RandomState(int(random_state))
