"""What can go wrong, besides a bad argument (``ValueError`` or ``TypeError``, naming it)."""

from __future__ import annotations

import sys
from typing import Any, TypeVar

__all__ = [
    "AmbiguousAlignmentWarning",
    "CollapsedComponentError",
    "ConvergenceWarning",
    "DegenerateComponentWarning",
    "ImpossibleRowError",
    "NotFittedError",
    "NumericalError",
    "StorageError",
    "as_sklearn",
]


class NumericalError(ArithmeticError, ValueError):
    """The numbers themselves make the next step impossible; the message says where.

    A ``ValueError`` too, because that is what scikit-learn raises for a covariance that has
    collapsed.
    """


class ImpossibleRowError(NumericalError):
    """A row has density zero under every component.

    Attributes
    ----------
    row : int
        Index of the row within the data that the kernel saw.
    part : int or None
        Of data in parts, the part that the row is counted in.
    """

    def __init__(self, row: int, part: int | None = None) -> None:
        where = "" if part is None else f"part {part}, "
        super().__init__(
            f"{where}row {row}: expected a positive density under at least one component, got 0 "
            "or not a number; the row lies impossibly far from every component"
        )
        self.row = row
        self.part = part

    def __reduce__(self) -> tuple[type[ImpossibleRowError], tuple[int, int | None]]:
        return type(self), (self.row, self.part)


class ImpossibleSequenceError(NumericalError):
    """A sequence has density 0 under every path of states, or is not a number.

    Attributes
    ----------
    sequence : int
        Index of the first such sequence.
    step : int
        Its first row, counted from 0 within the sequence, that no path reaches with a positive density.
    part : int or None
        Of data in parts, the part that the sequence is counted in.
    """

    def __init__(self, sequence: int, step: int, part: int | None = None) -> None:
        where = "" if part is None else f"part {part}, "
        super().__init__(
            f"{where}sequence {sequence}, step {step}: expected a positive density along some path of states, "
            "got 0 or not a number; no state that can be reached there explains the row"
        )
        self.sequence = sequence
        self.step = step
        self.part = part

    def __reduce__(self) -> tuple[type[ImpossibleSequenceError], tuple[int, int, int | None]]:
        return type(self), (self.sequence, self.step, self.part)


class CollapsedComponentError(NumericalError):
    """A covariance is not positive definite.

    Attributes
    ----------
    component : int
        Index of the component; -1 for a covariance that all components share.
    """

    def __init__(self, component: int) -> None:
        which = f"component {component}" if component >= 0 else "all components"
        super().__init__(
            f"{which}: expected a positive definite covariance, got one that is singular to "
            "working precision; too few distinct rows support it (use a larger reg_covar or "
            "fewer components, or scale the data)"
        )
        self.component = component

    def __reduce__(self) -> tuple[type[CollapsedComponentError], tuple[int]]:
        return type(self), (self.component,)


class StorageError(ValueError):
    """A file is not a saved model, or not one that this version can read."""


class NotFittedError(ValueError, AttributeError):
    """A model is asked before it has parameters."""


class ConvergenceWarning(UserWarning):
    """A fit used up its iterations before its tolerance was met."""


class AmbiguousAlignmentWarning(UserWarning):
    """Models were combined of which some components might as well be exchanged."""


class DegenerateComponentWarning(UserWarning):
    """A fit ended with a component that has collapsed: its parameters are at a cap or floor."""


E = TypeVar("E", bound=Exception)


def as_sklearn(category: type[E]) -> type[E]:
    """The class to raise or warn with: ``category``, and scikit-learn's of that name if in use.

    So ``except sklearn.exceptions.NotFittedError`` and our own name both catch what is raised.
    """
    exceptions = sys.modules.get("sklearn.exceptions")
    theirs = getattr(exceptions, category.__name__, None)
    if theirs is None:
        return category
    if (category, theirs) not in _JOINED:
        _JOINED[category, theirs] = _joined(category, theirs)
    joined: type[E] = _JOINED[category, theirs]
    return joined


_JOINED: dict[tuple[type, type], Any] = {}


def _joined(ours: type[Exception], theirs: type[Exception]) -> type[Exception]:
    def __reduce__(self: Exception) -> tuple[Any, ...]:
        return _made, (ours, self.args)

    namespace = {"__module__": ours.__module__, "__doc__": ours.__doc__, "__reduce__": __reduce__}
    return type(ours.__name__, (ours, theirs), namespace)


def _made(category: type[E], args: tuple[Any, ...]) -> E:
    return as_sklearn(category)(*args)
