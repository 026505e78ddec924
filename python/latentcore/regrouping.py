"""Parts of whole sequences, from batches whose borders fall anywhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.arrays import column_names
from latentcore.parts import Part
from latentcore.sequences import Begins, begins_of_groups

__all__ = ["n_rows_of", "regrouped"]

_FRAMES = ("pandas", "polars", "pyarrow")


def regrouped(batches: Iterable[Part]) -> Iterator[Part]:
    """The same rows in the same order, in parts of whole sequences.

    The last sequence of a batch may go on in the next one: it waits for its end. So what is held is two batches and
    the sequence that has not ended. Part n has what had not ended before batch n and ends in it, and may be empty; what
    waits for the end of all is one part more.

    Parameters
    ----------
    batches : iterable of Part
        With ``groups``, and with weights by row or by sequence. Those without ``groups`` have whole sequences, and pass
        as they are.

    Raises
    ------
    ValueError
        Batches differ in their columns, or some that go on have groups and some do not.
    """
    pieces: list[_Rows] = []
    number = -1
    for number, batch in enumerate(batches):
        n_rows = _n_rows_of_batch(batch.X, number)
        if batch.groups is None and pieces and n_rows:
            raise ValueError("groups: expected those of the rows, as before, got None")
        if batch.groups is None or not n_rows:
            yield replace(batch, number=number)
        else:
            complete, pieces = _ended(pieces, batch)
            yield complete.part(number)
    if pieces:
        yield _joined(pieces).part(number + 1)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows, with everything by row."""

    X: Any
    groups: npt.NDArray[Any]
    sample_weight: npt.NDArray[Any] | None
    labels: npt.NDArray[Any] | None

    @classmethod
    def of(cls, batch: Part, begins: Begins) -> _Rows:
        if batch.lengths is not None:
            raise ValueError("lengths, groups: expected one of them, got both")
        n_rows = int(begins[-1])
        weight = None if batch.sample_weight is None else np.asarray(batch.sample_weight)
        if weight is not None and weight.shape == (len(begins) - 1,):
            weight = np.repeat(weight, np.diff(begins))
        labels = None if batch.labels is None else np.asarray(batch.labels)
        for name, values in (("sample_weight", weight), ("labels", labels)):
            if values is not None and values.shape != (n_rows,):
                raise ValueError(f"{name}: expected shape ({n_rows},), got {values.shape}")
        return cls(batch.X, np.asarray(batch.groups), weight, labels)

    def __len__(self) -> int:
        return len(self.groups)

    def part(self, number: int) -> Part:
        return Part(self.X, self.sample_weight, self.labels, groups=self.groups, number=number)

    def __getitem__(self, chosen: slice) -> _Rows:
        begin, end, _ = chosen.indices(len(self))
        return _Rows(
            _slice(self.X, begin, end),
            self.groups[chosen],
            None if self.sample_weight is None else self.sample_weight[chosen],
            None if self.labels is None else self.labels[chosen],
        )


def _ended(waiting: list[_Rows], batch: Part) -> tuple[_Rows, list[_Rows]]:
    """What is whole now that a batch has come, and what waits from now on: the last sequence, in pieces."""
    begins = begins_of_groups(batch.groups, n_rows_of(batch.X))
    rows = _Rows.of(batch, begins)
    last = int(begins[-2])
    if waiting:
        expected, found = (_columns(piece.X) for piece in (waiting[-1], rows))
        if expected != found:
            raise ValueError(f"X: expected {expected}, as before, got {found}")
        if last == 0 and waiting[-1].groups[-1] == rows.groups[0]:
            return rows[:0], [*waiting, rows]
    return _joined([*waiting, rows[:last]]), [rows[last:]]


def _joined(pieces: list[_Rows]) -> _Rows:
    """One after another."""
    there = [piece for piece in pieces if len(piece)] or pieces[:1]
    if len(there) == 1:
        return there[0]
    return _Rows(
        _stacked([piece.X for piece in there]),
        np.concatenate([piece.groups for piece in there]),
        _concatenated([piece.sample_weight for piece in there], there, 1.0),
        _concatenated([piece.labels for piece in there], there, -1),
    )


def _concatenated(
    values: list[npt.NDArray[Any] | None], pieces: list[_Rows], otherwise: float
) -> npt.NDArray[Any] | None:
    """``otherwise`` is what having none means."""
    if all(value is None for value in values):
        return None
    return np.concatenate(
        [
            np.full(len(piece), otherwise) if value is None else value
            for value, piece in zip(values, pieces, strict=True)
        ]
    )


# -- rows of whatever kind -----------------------------------------------------------------------


def n_rows_of(X: Any) -> int:
    """The number of rows of a matrix or data frame, or of elements of a list."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _n_rows_of_batch(X: Any, number: int) -> int:
    if not hasattr(X, "shape") and not hasattr(X, "__len__"):
        raise TypeError(
            f"batch {number}: X: expected a matrix or a list of sequences, got {type(X).__name__}"
        )
    return n_rows_of(X)


def _slice(X: Any, begin: int, end: int) -> Any:
    """Rows ``begin`` to ``end - 1``."""
    if hasattr(X, "iloc"):  # pandas
        return X.iloc[begin:end]
    if hasattr(X, "slice"):  # polars, pyarrow
        return X.slice(begin, end - begin)
    return X[begin:end]


def _columns(X: Any) -> str:
    """What has to be the same of rows to be stacked."""
    shape, names, module = np.shape(X), column_names(X), _module(X)
    if len(shape) != 2:
        raise ValueError(f"X: expected a 2-D array, got shape {shape}")
    of_what = f" of {module}, {names}" if module in _FRAMES else ""
    return f"{shape[1]} columns{of_what}"


def _module(X: Any) -> str:
    return type(X).__module__.partition(".")[0]


def _stacked(pieces: list[Any]) -> Any:
    """Matrices or data frames of one kind, one below the other."""
    first = pieces[0]
    if len(pieces) == 1:
        return first
    if hasattr(first, "tocsr"):
        from scipy.sparse import vstack

        return vstack(pieces, "csr")
    module: Any = sys.modules.get(_module(first))
    if _module(first) == "pyarrow":
        tables = [p if hasattr(p, "to_batches") else module.Table.from_batches([p]) for p in pieces]
        return module.concat_tables(tables, promote_options="permissive")
    if _module(first) == "pandas":
        return module.concat(pieces)
    if _module(first) == "polars":
        return module.concat(pieces, how="vertical_relaxed")
    if any(isinstance(piece, np.ma.MaskedArray) for piece in pieces):
        return np.ma.concatenate(pieces)  # type: ignore[no-untyped-call]
    return np.concatenate(pieces)
