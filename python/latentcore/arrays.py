"""The border between what users hold and what kernels read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from latentcore.protocols import Array, RealArray

__all__ = ["Rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Independent rows, checked: the data of a mixture, or a shard of it.

    Attributes
    ----------
    x : (N, D) float32 or float64, C-contiguous, finite
    sample_weight : (N,) float64, or None for ones
    start : int
        Index of the first row within the whole data, for messages.
    """

    x: RealArray
    sample_weight: Array | None = None
    start: int = 0

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def total_weight(self) -> float:
        return float(len(self)) if self.sample_weight is None else float(self.sample_weight.sum())

    def shards(self, rows_per_shard: int) -> Iterator[Rows]:
        """Consecutive views of ``rows_per_shard`` rows; the last may be shorter."""
        for start in range(0, max(len(self), 1), rows_per_shard):
            stop = start + rows_per_shard
            weight = None if self.sample_weight is None else self.sample_weight[start:stop]
            yield Rows(self.x[start:stop], weight, self.start + start)
