"""What can go wrong, besides a bad argument (a plain ``ValueError`` or ``TypeError`` that names it)."""

from __future__ import annotations

__all__ = ["CollapsedComponentError", "ImpossibleRowError", "NumericalError", "StorageError"]


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
            f"{which}: expected a positive definite covariance, got one that is singular to working precision; "
            "too few distinct rows support it (use a larger reg_covar or fewer components, or scale the data)"
        )
        self.component = component

    def __reduce__(self) -> tuple[type[CollapsedComponentError], tuple[int]]:
        return type(self), (self.component,)


class StorageError(ValueError):
    """A file is not a saved model, or not one that this version can read."""
