"""Rows of a file as sequences: those with the same value in a column, wherever they are."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.cli.tables import Table, read_keys, read_names

__all__ = ["Gathered", "complaints_about", "gathered", "group_column"]


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """The rows of a table, those of a sequence together and in the order of the file.

    Attributes
    ----------
    table : Table
    lengths : (Q,) int64
    order : (N,)
        Where in the file the rows are, counted from 0.
    column : str, or None
        That tells the sequences apart; without one all rows are one sequence.
    keys : list of Q str
        Its values; empty without a column.
    """

    table: Table
    lengths: npt.NDArray[np.int64]
    order: npt.NDArray[np.intp]
    column: str | None
    keys: list[str]

    def in_file_order(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values of rows (N, ...), as the rows are in the file."""
        back = np.empty_like(values)
        back[self.order] = values
        return back

    def parts(self) -> list[Table]:
        """A table for each sequence."""
        pieces = np.split(self.table.data, np.cumsum(self.lengths)[:-1])
        return [Table(piece, self.table.columns, self.table.categories) for piece in pieces]

    def name(self, sequence: int) -> str:
        """How messages call a sequence."""
        return f"sequence {self.keys[sequence]!r}" if self.keys else "the sequence"


def gathered(file: str, table: Table, column: str | None) -> Gathered:
    """The rows of a table of a file as sequences.

    Raises
    ------
    ValueError
        There is no such column, or a cell of it is empty.
    """
    n_rows = len(table.data)
    if column is None:
        return Gathered(table, np.array([n_rows]), np.arange(n_rows), None, [])
    codes, keys = read_keys(file, column)
    order = np.argsort(codes, kind="stable")
    rows = Table(np.ascontiguousarray(table.data[order]), table.columns, table.categories)
    return Gathered(rows, np.bincount(codes).astype(np.int64), order, column, keys)


def group_column(file: str, asked: str | None, of_fit: str | None) -> str | None:
    """The column of the sequences: what the user asks for, else that of the fit if the file has it."""
    if asked is not None or of_fit is None:
        return asked
    if of_fit in read_names(file):
        return of_fit
    print(f"{file}: there is no column {of_fit!r}; all rows are one sequence", file=sys.stderr)
    return None


@contextmanager
def complaints_about(
    file: str, rows: Gathered | None = None, weight_by: str | None = None
) -> Iterator[None]:
    """Messages of estimators, which count gathered rows from 0, name the file, its rows as it counts them, and the
    column of weights."""

    def row_in_file(found: re.Match[str]) -> str:
        row = int(found[1])
        return f"row {(row if rows is None else rows.order[row]) + 1}"

    def step_in_file(found: re.Match[str]) -> str:
        assert rows is not None
        sequence, step = int(found[1]), int(found[2])
        row = rows.order[rows.lengths[:sequence].sum() + step]
        return f"{rows.name(sequence)}, row {row + 1}"

    try:
        yield
    except (ValueError, TypeError) as error:
        message = re.sub(r"\brow (\d+)\b", row_in_file, str(error))
        if rows is not None:
            message = re.sub(r"\bsequence (\d+), step (\d+)\b", step_in_file, message)
        if weight_by is not None:
            message = message.replace("sample_weight:", f"column {weight_by!r}:")
        raise ValueError(f"{file}: {message}") from None
