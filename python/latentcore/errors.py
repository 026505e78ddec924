"""What can go wrong, besides a bad argument (a plain ``ValueError`` or ``TypeError`` that names it)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

__all__ = ["ConvergenceWarning", "NotFittedError", "NumericalError", "StorageError"]


class NumericalError(ArithmeticError, ValueError):
    """The numbers themselves make the next step impossible; the message names the component, row or state.

    A ``ValueError`` too, because that is what scikit-learn raises for a covariance that has collapsed.
    """


class ImpossibleRowError(NumericalError):
    """A row has density zero under every component.

    Attributes
    ----------
    row : int
        Index of the row within the data that the kernel saw.
    """

    def __init__(self, row: int) -> None:
        super().__init__(
            f"row {row}: expected a positive density under at least one component, got 0 or not a number; "
            "the row lies impossibly far from every component"
        )
        self.row = row

    def __reduce__(self) -> tuple[type[ImpossibleRowError], tuple[int]]:
        return type(self), (self.row,)


class StorageError(ValueError):
    """A file is not a saved model, or not one that this version can read."""
