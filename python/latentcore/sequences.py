"""Sequences of rows: the data of a hidden Markov model, or a shard of it, and how they come from what users hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeGuard, cast

import numpy as np
import numpy.typing as npt

from latentcore.arrays import (
    CSR,
    Array,
    Labels,
    RealArray,
    Rows,
    as_labels,
    as_matrix,
    as_weights,
    column_names,
    is_missing,
)

__all__ = [
    "Begins",
    "Sequences",
    "as_sequences",
    "begins_of_groups",
    "names_of_columns",
    "without_absent",
]

Begins = npt.NDArray[np.int64]
"""(Q + 1,): sequence q has the rows ``begins[q]`` to ``begins[q + 1] - 1``."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """Q independent sequences of rows, one after another, checked.

    Attributes
    ----------
    x : (N, D) float32 or float64, C-contiguous
        Finite, or NaN where an entry is missing. A ``CSR`` takes its place for families that read sparse rows.
    begins : (Q + 1,) int64
        From 0 to N; every sequence has at least one row.
    sample_weight : (Q,) float64, or None for ones
        Of the sequences. One of weight 0 is absent.
    labels : (N,) int32, or None
        Known states of rows; -1 where unknown.
    start, first : int
        Indices of the first row and of the first sequence within the whole data, for messages.
    prepared : object
        What the model found out of these rows; None if it was not asked.
    entry : (S,) float64, or None
        The log-law of the state before the first row: the first sequence goes on from there. None where it begins.
    """

    x: RealArray
    begins: Begins
    sample_weight: Array | None = None
    labels: Labels | None = None
    start: int = 0
    first: int = 0
    prepared: object = None
    entry: Array | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return int(self.x.shape[0])

    @property
    def n_features(self) -> int:
        return int(self.x.shape[1])

    @property
    def n_sequences(self) -> int:
        return len(self.begins) - 1

    @property
    def lengths(self) -> Begins:
        return np.diff(self.begins)

    def total_weight(self) -> float:
        """The number of rows, each by the weight of its sequence."""
        if self.sample_weight is None:
            return float(len(self))
        return float(self.sample_weight @ self.lengths)

    def part(self, first: int, stop: int) -> Sequences:
        """Sequences ``first`` to ``stop - 1``: a view."""
        begin, end = int(self.begins[first]), int(self.begins[stop])
        return Sequences(
            self.x[begin:end],
            self.begins[first : stop + 1] - begin,
            None if self.sample_weight is None else self.sample_weight[first:stop],
            None if self.labels is None else self.labels[begin:end],
            self.start + begin,
            self.first + first,
            entry=self.entry if first == 0 else None,
        )

    def shards(self, rows: int) -> Iterator[Sequences]:
        """Consecutive whole sequences, together at most ``rows`` rows; a longer one comes alone."""
        if 0 < len(self) <= rows:
            yield self
            return
        first = 0
        while first < self.n_sequences:
            limit = self.begins[first] + rows
            stop = max(first + 1, int(np.searchsorted(self.begins, limit, side="right")) - 1)
            yield self.part(first, stop)
            first = stop

    def segments(self, rows: int) -> Iterator[Sequences]:
        """The only sequence cut into consecutive views of ``rows`` rows; the last may be shorter."""
        for begin in range(0, len(self), rows):
            end = min(begin + rows, len(self))
            yield Sequences(
                self.x[begin:end],
                np.array([0, end - begin], np.int64),
                self.sample_weight,
                None if self.labels is None else self.labels[begin:end],
                self.start + begin,
                self.first,
                entry=self.entry if begin == 0 else None,
            )

    def take(self, chosen: npt.NDArray[Any]) -> Sequences:
        """The sequences with these indices, or where a mask is true; a copy."""
        index = np.arange(self.n_sequences)[chosen]
        lengths = self.lengths[index]
        begins: Begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(begins[-1]) + np.repeat(self.begins[index] - begins[:-1], lengths)
        return Sequences(
            self.x[rows],
            begins,
            None if self.sample_weight is None else self.sample_weight[index],
            None if self.labels is None else self.labels[rows],
            self.start,
            self.first,
            entry=self.entry if len(index) and index[0] == 0 else None,
        )

    def rows(self) -> Rows:
        """The same as independent rows, each with the weight of its sequence: a view but for the weights."""
        weight = self.sample_weight
        if weight is not None:
            weight = np.repeat(weight, self.lengths)
        return Rows(self.x, weight, self.start, self.labels)

    def in_equal_parts(self, n_parts: int) -> Rows:
        """The same with known labels, and elsewhere the number of the part that a row lies in of its sequence.

        Sequences are cut into ``n_parts`` parts as equal as may be.
        """
        lengths = np.repeat(self.lengths, self.lengths)
        steps = np.arange(len(self)) - np.repeat(self.begins[:-1], self.lengths)
        labels: Labels = (steps * n_parts // lengths).astype(np.int32)
        if self.labels is not None:
            labels = np.where(self.labels < 0, labels, self.labels)
        return replace(self.rows(), labels=labels)


def without_absent(data: Sequences) -> Sequences:
    """Only the sequences of positive weight, those that are there; a copy if there are others."""
    if data.sample_weight is None or data.sample_weight.all():
        return data
    return data.take(data.sample_weight > 0)


# -- the border ----------------------------------------------------------------------------------


def as_sequences(
    X: Any,
    *,
    lengths: Any = None,
    groups: Any = None,
    sample_weight: Any = None,
    labels: Any = None,
    n_states: int = 1,
    owner: str = "the model",
    missing: bool = False,
    sparse: bool = False,
) -> Sequences:
    """Checked sequences from what users hold.

    Parameters
    ----------
    X : matrix or data frame (N, D), or a list or tuple of such
        The rows of all sequences one after another, or each sequence by itself. A list whose elements are rows, lists
        of numbers, is a matrix. A C-contiguous matrix of floats is taken as it is; a list is copied.
    lengths : (Q,) integers >= 1, optional
        Of the sequences; they sum to N.
    groups : (N,), optional
        To which sequence a row belongs, by numbers, strings or other things that can be compared; the rows of a
        sequence lie one after another. Without ``lengths`` and ``groups`` a matrix is one sequence.
    sample_weight : (Q,) or (N,), optional
        Weights of the sequences, finite, >= 0 and not all zero; for each row that of its sequence.
    labels : (N,) integers, optional
        Known states of rows, from 0 to ``n_states - 1``, or -1 where unknown.
    n_states : int
    owner, missing, sparse
        As for ``arrays.as_matrix``.

    Raises
    ------
    TypeError, ValueError
        The message names the argument, what was expected and what came.
    """
    if _is_list_of_sequences(X):
        for name, given in (("lengths", lengths), ("groups", groups)):
            if given is not None:
                raise ValueError(
                    f"{name}: expected None where X is a list of sequences, "
                    f"got {type(given).__name__}"
                )
        x, begins = _concatenated(X, owner, missing, sparse)
    else:
        x = as_matrix(X, owner=owner, missing=missing, sparse=sparse)
        begins = _begins(lengths, groups, len(x))
    return Sequences(
        x, begins, _weights(sample_weight, begins), as_labels(labels, len(x), n_states)
    )


def names_of_columns(X: Any) -> list[str] | None:
    """Names of a data frame's columns, or of those of the first in a list of sequences; None without."""
    return column_names(X[0]) if _is_list_of_sequences(X) else column_names(X)


def _is_list_of_sequences(X: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    if not isinstance(X, list | tuple):
        return False
    shapes = [element.shape for element in X if hasattr(element, "shape")]
    if len(set(shapes)) > 1 and {len(shape) for shape in shapes} == {1}:
        raise ValueError(
            "X: expected sequences of shape (T, D), got 1-D ones of different lengths. "
            "Reshape your data: each by .reshape(-1, 1) if it is one feature"
        )
    return any(_dimension(element) == 2 for element in X)


def _dimension(value: Any) -> int:
    """Of an array, a data frame or nested lists."""
    if hasattr(value, "shape"):
        return len(value.shape)
    if isinstance(value, list | tuple):
        return 1 + (_dimension(value[0]) if value else 0)
    return 0


def _concatenated(
    X: list[Any] | tuple[Any, ...], owner: str, missing: bool, sparse: bool
) -> tuple[RealArray, Begins]:
    names = names_of_columns(X)
    parts: list[RealArray] = []
    for q, sequence in enumerate(X):
        name = f"X[{q}]"
        part = as_matrix(sequence, name=name, owner=owner, missing=missing, sparse=sparse)
        first = parts[0] if parts else part
        if part.shape[1] != first.shape[1]:
            raise ValueError(
                f"{name}: expected {first.shape[1]} columns, as X[0] has, got {part.shape[1]}"
            )
        if isinstance(part, CSR) != isinstance(first, CSR):
            raise TypeError(f"{name}: expected sparse rows in all sequences or in none, got a mix")
        if names is not None and (own := column_names(sequence)) != names:
            raise ValueError(f"{name}: expected the columns {names}, as X[0] has, got {own}")
        parts.append(part)
    begins: Begins = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    if len(parts) == 1:
        return parts[0], begins
    if isinstance(parts[0], CSR):
        return cast(RealArray, _stacked(cast(list[CSR], parts))), begins
    return np.concatenate(parts), begins


def _stacked(parts: list[CSR]) -> CSR:
    lengths = np.concatenate([np.diff(part.begins) for part in parts])
    begins = np.concatenate([[0], np.cumsum(lengths)])
    return CSR(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.columns for part in parts]),
        begins,
        parts[0].n_columns,
    )


def _begins(lengths: Any, groups: Any, n_rows: int) -> Begins:
    if lengths is not None and groups is not None:
        raise ValueError("lengths, groups: expected one of them, got both")
    if lengths is not None:
        return _begins_of_lengths(lengths, n_rows)
    if groups is not None:
        return begins_of_groups(groups, n_rows)
    return np.array([0, n_rows], np.int64)


def _begins_of_lengths(lengths: Any, n_rows: int) -> Begins:
    values = np.asarray(lengths)
    if values.ndim != 1 or not len(values):
        raise ValueError(
            f"lengths: expected shape (Q,), a length for each sequence, got {values.shape}"
        )
    if values.dtype.kind not in "iu":
        raise TypeError(f"lengths: expected integers, got dtype {values.dtype}")
    wrong = np.flatnonzero(values < 1)
    if len(wrong):
        raise ValueError(
            f"lengths: expected integers >= 1, got {values[wrong[0]]} for sequence {wrong[0]}"
        )
    total = sum(values.tolist())  # exact
    if total != n_rows:
        raise ValueError(f"lengths: expected a sum of {n_rows}, the rows of X, got {total}")
    begins: Begins = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return begins


def begins_of_groups(groups: Any, n_rows: int) -> Begins:
    """Where the sequences begin, of rows with these identifiers of sequences (N,), and N.

    Raises
    ------
    ValueError
        Not N of them, missing ones, or rows of a sequence that do not lie one after another.
    """
    values = np.asarray(groups)
    if values.shape != (n_rows,):
        raise ValueError(
            f"groups: expected shape ({n_rows},), a sequence for each row, got {values.shape}"
        )
    missing = [is_missing(v) for v in values] if values.dtype.kind == "O" else values != values
    absent = np.flatnonzero(missing)
    if len(absent):
        raise ValueError(
            f"groups: expected no missing values, got {values[absent[0]]} in row {absent[0]}"
        )
    firsts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    identifiers = values[firsts].tolist()
    if len(set(identifiers)) < len(identifiers):
        seen: dict[Any, int] = {}
        for row, identifier in zip(firsts.tolist(), identifiers, strict=True):
            if identifier in seen:
                raise ValueError(
                    "groups: expected the rows of a sequence one after another, "
                    f"got {identifier!r} in rows {seen[identifier]} and {row} and another between"
                )
            seen[identifier] = row
    return np.append(firsts, n_rows).astype(np.int64)


def _weights(sample_weight: Any, begins: Begins) -> Array | None:
    """Of the sequences, (Q,)."""
    n_sequences, n_rows = len(begins) - 1, int(begins[-1])
    if sample_weight is None:
        return None
    shape = np.asarray(sample_weight).shape
    if shape == (n_sequences,):
        return as_weights(sample_weight, n_sequences, unit="sequence")
    if shape != (n_rows,):
        raise ValueError(
            f"sample_weight: expected shape ({n_sequences},), a weight for each sequence, "
            f"or ({n_rows},), got {shape}"
        )
    of_rows = as_weights(sample_weight, n_rows)
    assert of_rows is not None
    weights = of_rows[begins[:-1]]
    other = np.flatnonzero(of_rows != np.repeat(weights, np.diff(begins)))
    if len(other):
        row = int(other[0])
        q = int(np.searchsorted(begins, row, side="right")) - 1
        raise ValueError(
            "sample_weight: expected one weight in all rows of a sequence, "
            f"got {weights[q]} in row {begins[q]} and {of_rows[row]} in row {row} of sequence {q}"
        )
    return weights
