"""Sequences of rows: the data of a hidden Markov model, or a shard of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Array, Labels, RealArray

__all__ = ["Begins", "Sequences"]

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
        Of the sequences.
    labels : (N,) int32, or None
        Known states of rows; -1 where unknown.
    start, first : int
        Indices of the first row and of the first sequence within the whole data, for messages.
    prepared : object
        What the model found out of these rows; None if it was not asked.
    """

    x: RealArray
    begins: Begins
    sample_weight: Array | None = None
    labels: Labels | None = None
    start: int = 0
    first: int = 0
    prepared: object = None

    def __len__(self) -> int:
        """The number of rows."""
        return int(self.x.shape[0])

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
        )

    def shards(self, rows: int) -> Iterator[Sequences]:
        """Consecutive whole sequences, together at most ``rows`` rows; a longer one comes alone."""
        first = 0
        while first < self.n_sequences:
            limit = self.begins[first] + rows
            stop = max(first + 1, int(np.searchsorted(self.begins, limit, side="right")) - 1)
            yield self.part(first, stop)
            first = stop
