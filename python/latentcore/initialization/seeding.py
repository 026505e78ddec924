"""k-means++: rows to begin k-means with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from latentcore import kernels
from latentcore.arrays import Rows
from latentcore.engine import rows_per_shard
from latentcore.initialization.rows import Indices, RandomState, check_enough_rows
from latentcore.protocols import Array, RealArray
from latentcore.threads import ordered_map

R = TypeVar("R")

_SEEDING_ROWS = 1 << 15
"""Most rows that seeding looks at at a time: their distances stay in cache."""


def kmeans_plusplus(
    data: Rows,
    n_clusters: int,
    random_state: RandomState,
    *,
    centers: Array | None = None,
    n_threads: int = 1,
) -> Indices:
    """Rows to begin k-means with, each likely to lie far from those before it.

    The greedy variant: each center after the first is the best of ``2 + floor(log K)`` candidates, the one that
    lowers the sum of weighted squared distances most.

    Parameters
    ----------
    data : Rows
    n_clusters : int
        K, at least 1 and at most the number of rows of positive weight.
    random_state : RandomState or Generator
        Advanced by one draw, and by one for each candidate.
    centers : (C, D) ndarray of float64, optional
        Centers that are there already; K more are chosen.
    n_threads : int
        The result does not depend on it.

    Returns
    -------
    (K,) ndarray of intp
        Indices of rows, in the order of choice. Indices repeat if fewer than K rows are distinct.

    Raises
    ------
    ValueError
        Fewer than K rows of positive weight.

    References
    ----------
    Arthur & Vassilvitskii (2007), k-means++: the advantages of careful seeding. SODA.
    """
    check_enough_rows(data, n_clusters, "n_clusters")
    given = np.empty((0, data.x.shape[1])) if centers is None else centers
    n_candidates = 2 + int(np.log(len(given) + n_clusters))
    seeding = _Seeding(data, n_candidates, n_threads)
    for center in given:
        seeding.add(center)
    rows = np.empty(n_clusters, dtype=np.intp)
    for k in range(n_clusters):
        if k == 0 and not len(given):
            rows[k] = seeding.first(random_state.uniform())
        else:
            candidates = seeding.candidates(random_state.uniform(size=n_candidates))
            rows[k] = candidates[np.argmin(seeding.potentials(candidates))]
        seeding.add(data.x[rows[k]])
    return rows


class _Seeding:
    """Squared distances of all rows to the nearest center so far."""

    def __init__(self, data: Rows, n_candidates: int, n_threads: int) -> None:
        work_per_row = n_candidates * data.x.shape[1]
        self._data = data
        self._size = min(rows_per_shard(len(data), work_per_row), _SEEDING_ROWS)
        self._n_threads = n_threads
        self._nearest: Array = np.full(len(data), np.inf)
        self._masses: Array = np.empty(0)  # of each block: sum of weight times distance
        self._first_present = 0
        if data.sample_weight is not None:
            self._nearest[data.sample_weight == 0] = 0.0
            self._first_present = int(np.argmax(data.sample_weight > 0))

    def first(self, uniform: float) -> int:
        """The row at a quantile of the weights."""
        weight = self._data.sample_weight
        if weight is None:
            return min(int(uniform * len(self._data)), len(self._data) - 1)
        masses = np.add.reduceat(weight, np.arange(0, len(weight), self._size))
        return self._row_at(masses, lambda block: weight[block], uniform * masses.sum())

    def candidates(self, uniform: Array) -> list[int]:
        """The rows at quantiles of weight times distance."""
        targets = uniform * self._masses.sum()
        return [self._row_at(self._masses, self._block_masses, t) for t in targets]

    def potentials(self, candidates: list[int]) -> Array:
        """The sums of weight times distance, were a candidate to become a center."""

        x = self._data.x
        centers = x[candidates].astype(np.float64)

        def of_block(block: slice) -> Array:
            return kernels.kmeans_potentials(
                x[block], self._weight(block), centers, self._nearest[block]
            )

        potentials: Array = np.sum(list(self._over_blocks(of_block)), axis=0)
        return potentials

    def add(self, center: RealArray) -> None:
        """Make a point a center."""
        centers = center[None].astype(np.float64)

        def of_block(block: slice) -> float:
            self._nearest[block] = self._distances(block, centers)
            return float(self._block_masses(block).sum())

        self._masses = np.array(list(self._over_blocks(of_block)))

    def _distances(self, block: slice, center: Array) -> Array:
        """To the nearest center, the new one being one of them."""
        x = self._data.x[block]
        distances: Array = np.empty(len(x))
        kernels.kmeans_sweep(x, None, center, np.empty(len(x), np.int32), distances)
        np.minimum(distances, self._nearest[block], out=distances)
        return distances

    def _block_masses(self, block: slice) -> Array:
        weight = self._weight(block)
        nearest = self._nearest[block]
        return nearest if weight is None else nearest * weight

    def _weight(self, block: slice) -> Array | None:
        return None if self._data.sample_weight is None else self._data.sample_weight[block]

    def _over_blocks(self, function: Callable[[slice], R]) -> Iterator[R]:
        starts = range(0, len(self._data), self._size)
        blocks = (slice(start, start + self._size) for start in starts)
        return ordered_map(function, blocks, self._n_threads if len(starts) > 1 else 1)

    def _row_at(self, masses: Array, block_masses: Callable[[slice], Array], target: float) -> int:
        """The row at which the running sum of masses reaches the target.

        If rounding puts the target beyond the sum: the last row that adds to it.
        """
        ends = np.cumsum(masses)
        index = min(np.searchsorted(ends, target), np.searchsorted(ends, ends[-1]))
        start = int(index) * self._size
        running = np.cumsum(block_masses(slice(start, start + self._size)))
        target -= ends[index - 1] if index else 0.0
        within = min(np.searchsorted(running, target), np.searchsorted(running, running[-1]))
        return max(start + int(within), self._first_present)
