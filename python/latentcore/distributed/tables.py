"""Which columns of a table are what, and whether sequences are whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from latentcore.arrays import labels_in
from latentcore.parts import Part, Parts

__all__ = ["Releasable", "Roles", "check_whole", "size_of"]


class Releasable(Parts[Part], Protocol):
    """Parts that a cluster holds."""

    def release(self) -> None:
        """Let the cluster forget them, and what was made of them."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Names of a table's columns by what they are for.

    Attributes
    ----------
    columns : sequence of str, or None for all that are nothing else
        The visible columns.
    sample_weight, labels, groups, order_by : str, optional
    """

    columns: Sequence[str] | None = None
    sample_weight: str | None = None
    labels: str | None = None
    groups: str | None = None
    order_by: str | None = None

    def resolved(self, names: Sequence[str]) -> Roles:
        """The same with the visible columns named.

        Raises
        ------
        TypeError, ValueError
            An argument is no name of a column, or no column is left.
        """
        others = {
            name: getattr(self, name) for name in ("sample_weight", "labels", "groups", "order_by")
        }
        for argument, name in others.items():
            _check_name(argument, name, names)
        if self.order_by is not None and self.groups is None:
            raise ValueError("groups: expected the name of a column beside order_by, got None")
        if self.columns is None:
            taken = set(others.values())
            columns = [name for name in names if name not in taken]
        elif isinstance(self.columns, str):
            raise TypeError(f"columns: expected a list of names, got {self.columns!r}")
        else:
            columns = list(self.columns)
            for name in columns:
                _check_name("columns", name, names)
        if not columns:
            raise ValueError(f"columns: expected at least one name, got none of {list(names)}")
        return Roles(columns, **others)

    def needed(self) -> list[str]:
        """All names, each once, those of the visible columns first."""
        others = [self.sample_weight, self.labels, self.groups, self.order_by]
        names = [*(self.columns or ()), *(name for name in others if name is not None)]
        return list(dict.fromkeys(names))

    def part(self, table: Any, number: int) -> Part:
        """The part that a pandas frame or a pyarrow table is."""
        select = getattr(table, "select", None)
        return Part(
            table[list(self.columns or ())] if select is None else select(list(self.columns or ())),
            None if self.sample_weight is None else np.asarray(table[self.sample_weight]),
            None if self.labels is None else labels_in(table[self.labels]),
            None,
            None if self.groups is None else np.asarray(table[self.groups]),
            number,
        )


def _check_name(argument: str, name: Any, names: Sequence[str]) -> None:
    if name is None:
        return
    if not isinstance(name, str):
        raise TypeError(
            f"{argument}: expected the name of a column of the data, got {type(name).__name__}"
        )
    if name not in names:
        raise ValueError(f"{argument}: expected one of the columns {list(names)}, got {name!r}")


# -- parts ---------------------------------------------------------------------------------------


def size_of(part: Part) -> int:
    """The number of rows, or of sequences in a list."""
    shape = getattr(part.X, "shape", None)
    return len(part.X) if shape is None else int(shape[0])


def check_whole(parts: Releasable, remedy: str) -> None:
    """Raise ``ValueError`` for a group that lies in more than one part; those are released then."""
    where: dict[Any, int] = {}
    try:
        for number, groups in enumerate(parts.map(_distinct_groups)):
            for group in groups:
                first = where.setdefault(group, number)
                if first != number:
                    raise ValueError(
                        f"groups: expected all rows of a group in one partition, got {group!r} in "
                        f"partitions {first} and {number}; {remedy}"
                    )
    except BaseException:
        parts.release()
        raise


def _distinct_groups(part: Part) -> list[Any]:
    groups: list[Any] = np.unique(np.asarray(part.groups)).tolist()
    return groups
