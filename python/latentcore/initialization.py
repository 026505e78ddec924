"""Where a mixture's fit begins: k-means, k-means++ and random responsibilities, as statistics.

For Gaussians a seed gives the responsibilities that scikit-learn's ``GaussianMixture`` begins with: the same draws, in
the same order, spent in the same way. Two things differ, by design, and make the choices differ now and then:

- Distances are sums of squared differences, and sums over rows are taken in float64. scikit-learn expands the square
  and, for float32 data, adds in float32. So a draw that falls just between two rows, a near tie of two candidates or
  of two centers, or data far from the origin may come out otherwise.
- A row of weight 0 is absent, from the draws and from the tolerance too.

Rows of other families, and rows with missing entries, are clustered in the Euclidean coordinates ``embedding(x)`` of
their family, (N, E) float64 and finite, or by their columns as they are where a family has no such method. Of many rows
k-means sees as many, drawn at random, as make 2^22 coordinates, though at least 10 K.

A component knows nothing of what none of the rows that it begins on has: a word that its documents lack would have
probability 0 for good, and a Gaussian on a single row would be singular. So wherever that can happen each component
gets a tenth of its start from all rows alike.

Where components are mixtures themselves, their components begin at clusters of the rows that theirs has; a single row
would not do, so that "k-means++" and "random_from_data" are k-means there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.arrays import CSR, Labels, Rows, without_absent
from latentcore.engine import rows_per_shard
from latentcore.families.gaussian import Gaussian, GaussianParams
from latentcore.families.mixed import MixtureFamily
from latentcore.protocols import Array, Family, RealArray
from latentcore.statistics import Statistics, total
from latentcore.structures.mixture import MixtureStatistics
from latentcore.threads import ordered_map

__all__ = [
    "Clusters",
    "Everywhere",
    "InitMethod",
    "RandomState",
    "initial_statistics",
    "kmeans",
    "kmeans_plusplus",
]

InitMethod = Literal["kmeans", "k-means++", "random", "random_from_data"]
RandomState = np.random.RandomState | np.random.Generator
Indices = npt.NDArray[np.intp]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)
R = TypeVar("R")

Everywhere = Callable[[Callable[[Rows], Any]], Iterator[Any]]
"""What a function, which may travel, makes of all rows, shard by shard."""

_BLOCK_ELEMENTS = 1 << 18
"""Size of a (rows x K) block of responsibilities: 2 MiB."""
_SEEDING_ROWS = 1 << 15
"""Most rows that seeding looks at at a time: their distances stay in cache."""
_SEARCH_ELEMENTS = 1 << 18
"""Size of the (rows x D) deviations among which the farthest row is searched: 2 MiB."""
_EMBEDDED_ELEMENTS = 1 << 22
"""Most coordinates of embedded rows: 32 MiB."""
_SAMPLED_PER_COMPONENT = 10
"""Fewest rows of a sample: for each component, and of those with its label."""
_POOLED_SHARE = 0.1
"""What a component that may know too little gets from all rows alike."""


def initial_statistics(
    family: Family[P, S],
    data: Rows,
    n_components: int,
    method: InitMethod,
    random_state: RandomState,
    *,
    allow_repeats: bool = False,
    n_threads: int = 1,
    everywhere: Everywhere | None = None,
) -> MixtureStatistics[S]:
    """Statistics of the responsibilities that a fit begins with.

    Parameters
    ----------
    family : Family
    data : Rows
        N rows, at least K of them of positive weight. Rows with a label >= 0 belong to that component.
    n_components : int
        K >= 1.
    method : {"kmeans", "k-means++", "random", "random_from_data"}
        Responsibilities are: one for the row's cluster after Lloyd's algorithm; one for component k at the k-th row
        that k-means++ picks, no other row counting; uniform numbers, normalised; one for component k at the k-th of
        K rows drawn without replacement, whatever their weights.

        Where components have labelled rows: their clusters begin at the means of these rows, the other clusters at
        rows that k-means++ picks given those, and labelled rows keep their cluster; the mean of the labelled rows
        takes the place of the picked row; labelled rows have responsibility one; the row is drawn from the labelled
        ones.
    random_state : RandomState or Generator
        Advanced by the draws. A ``RandomState`` gives scikit-learn's responsibilities.
    allow_repeats : bool
        Whether there may be fewer rows than components, so that several begin on one row.
    n_threads : int
        The result does not depend on it.
    everywhere : Everywhere, optional
        Where ``data`` are a sample, what goes over all rows. Then the tenth of each component that may come from all
        rows alike comes from all of these, for families other than Gaussians always: a word that no row of the sample
        has is in some row.

    Returns
    -------
    MixtureStatistics
        Responsibilities are multiplied by the sample weights. A tenth of each component may come from all rows, under
        responsibilities 1 / K:

        - never if all labels are known, nor for Gaussians with complete rows, none of them labelled and at least K
          (a component may have count 0 if fewer than K rows are distinct);
        - else if a component has no more than D rows (a mixture of M: no more than M D);
        - else for families other than Gaussians (and mixtures of them) and for missing entries, unless ``method`` is
          "random".

    Raises
    ------
    ValueError
        An unknown method, or fewer than K rows of positive weight.

    References
    ----------
    Basu, Banerjee & Mooney (2002), Semi-supervised clustering by seeding. ICML.
    """
    if method not in get_args(InitMethod):
        expected = ", ".join(map(repr, get_args(InitMethod)))
        raise ValueError(f"method: expected one of {expected}, got {method!r}")
    if not allow_repeats:
        _check_enough_rows(data, n_components, "n_components")
    start = _Start(family, data, n_components, random_state, n_threads, everywhere)
    return start.statistics(method)


class _Start(Generic[P, S]):
    """The rows, what is known of them, and how to cluster them."""

    def __init__(
        self,
        family: Family[P, S],
        data: Rows,
        n_components: int,
        random_state: RandomState,
        n_threads: int,
        everywhere: Everywhere | None,
    ) -> None:
        gaussian = isinstance(family, Gaussian)
        self._as_they_are = gaussian and not isinstance(data.x, CSR) and not _has_missing(data.x)
        if data.labels is not None and not _is_known(data).any():
            data = replace(data, labels=None)
        if data.labels is not None or not self._as_they_are:
            data = without_absent(data)
        self._family = family
        self._params: Any = None
        if gaussian and not self._as_they_are:
            self._params = _broad(cast(Gaussian, family), data, n_components)
        self._data = data
        self._n_components = n_components
        self._n_rows = _n_present(data)
        self._random_state = random_state
        self._n_threads = n_threads
        self._everywhere = None if isinstance(_leaf(family)[0], Gaussian) else everywhere

    def statistics(self, method: InitMethod) -> MixtureStatistics[S]:
        data, n_components = self._data, self._n_components
        inner = bool(getattr(self._family, "has_inner_start", False))
        if data.labels is not None and (data.labels >= 0).all():
            if inner:
                rows = self._sample()[0]
                self._params = self._inner_start(rows, rows.labels)
            stats = self._sum(_one_hot_blocks(data, data.labels, n_components))
            return stats if self._everywhere is None else self._blended(stats)
        if method == "random":
            if inner:
                self._params = self._inner_start(self._sample()[0], None)
            blocks = _random_blocks(data, n_components, self._random_state)
            n_rows = self._n_rows - _n_labelled(data, n_components).sum()
            n_rows += _n_labelled(data, n_components)
        else:
            rows, labels = self._assigned("kmeans" if inner else method)
            if inner:
                self._params = self._inner_start(rows, labels)
            blocks = _one_hot_blocks(rows, labels, n_components)
            n_rows = np.bincount(labels, minlength=n_components)
        stats = self._sum(blocks)
        if self._everywhere is not None:
            return self._blended(stats)
        if self._as_they_are and data.labels is None and n_components <= self._n_rows:
            return stats
        leaf, n_leaves = _leaf(self._family)
        plain = self._as_they_are or (n_leaves > 1 and isinstance(leaf, Gaussian))
        if n_rows.min() > n_leaves * data.x.shape[1] and (plain or method == "random"):
            return stats
        return self._blended(stats)

    def _blended(self, stats: MixtureStatistics[S]) -> MixtureStatistics[S]:
        if self._everywhere is None:
            pooled = self._sum(_equal_blocks(self._data, self._n_components))
        else:
            equal = _Equal(self._family, self._params, self._n_components)
            pooled = total(self._everywhere(equal))
        scale = float(stats.counts.sum() / pooled.counts.sum())
        return (1.0 - _POOLED_SHARE) * stats + (_POOLED_SHARE * scale) * pooled

    def _sum(self, blocks: Iterator[tuple[Rows, RealArray]]) -> MixtureStatistics[S]:
        def statistics(block: tuple[Rows, RealArray]) -> MixtureStatistics[S]:
            return _statistics(self._family, self._params, *block)

        return total(ordered_map(statistics, blocks, self._n_threads))

    # -- one component for a row

    def _assigned(self, method: InitMethod) -> tuple[Rows, Labels]:
        """Rows, all or some, and the components that they begin in."""
        n_components = self._n_components
        if method == "random_from_data":
            return self._data.take(self._drawn()), np.arange(n_components, dtype=np.int32)
        rows = points = self._data
        if not self._as_they_are:
            rows, points = self._sample()
        picked = self._picked(points)
        if method == "k-means++" or self._n_rows < n_components:
            return _one_for_each(rows, picked)
        known, _, means = _labelled_means(points)
        centers = np.empty((n_components, points.x.shape[1]))
        centers[known] = means
        centers[picked >= 0] = points.x[picked[picked >= 0]]
        return rows, kmeans(points, centers, n_threads=self._n_threads).labels

    def _inner_start(self, rows: Rows, labels: Labels | None) -> Any:
        """Of a family of mixtures, what takes the place of parameters: centers within each component's rows."""

        def cluster(points: Array, n_clusters: int) -> Array:
            if len(points) <= n_clusters:
                return np.resize(points, (n_clusters, points.shape[1]))
            data = Rows(points)
            picked = kmeans_plusplus(
                data, n_clusters, self._random_state, n_threads=self._n_threads
            )
            return kmeans(data, points[picked], n_threads=self._n_threads).centers

        family: Any = self._family
        return family.inner_start(rows.x, labels, self._n_components, cluster)

    def _drawn(self) -> Indices:
        """A row for each component."""
        data, n_components = self._data, self._n_components
        if data.labels is None and n_components <= self._n_rows:
            return _rows_without_replacement(data, n_components, self._random_state)
        rows = np.empty(n_components, np.intp)
        labels = np.full(len(data), -1, np.int32) if data.labels is None else data.labels
        others = []
        for k in range(n_components):
            labelled = np.flatnonzero(labels == k)
            if len(labelled):
                rows[k] = self._random_state.choice(labelled)
            else:
                others.append(k)
        free = np.flatnonzero((labels < 0) & (_weights(data) > 0))
        rows[others] = np.resize(self._random_state.permutation(free), len(others))
        return rows

    def _picked(self, points: Rows) -> Indices:
        """By k-means++, a row for each component without labelled rows, and -1 for the others."""
        known, _, means = _labelled_means(points)
        rows = np.full(self._n_components, -1, np.intp)
        others = np.setdiff1d(np.arange(self._n_components), known)
        free = _unlabelled(points)
        n_rows = min(len(others), _n_present(free))
        if n_rows:
            picked = kmeans_plusplus(
                free, n_rows, self._random_state, centers=means, n_threads=self._n_threads
            )
            rows[others] = np.resize(picked, len(others))
        return rows

    def _sample(self) -> tuple[Rows, Rows]:
        """Rows to cluster, all or some at random, and the same with their coordinates for columns."""
        data = self._data
        least = min(_SAMPLED_PER_COMPONENT * self._n_components, len(data))
        width = self._embedding(data.x[:least]).shape[1]
        size = max(least, _EMBEDDED_ELEMENTS // width)
        if size < len(data):
            chosen = self._random_state.choice(len(data), size=size, replace=False)
            data = data.take(np.union1d(chosen, self._some_of_each_label()))
        return data, Rows(self._embedding(data.x), data.sample_weight, labels=data.labels)

    def _some_of_each_label(self) -> Indices:
        """A few rows of every label, and more of those without."""
        labels = self._data.labels
        if labels is None:
            return np.empty(0, np.intp)
        order = self._random_state.permutation(len(labels))
        few = _SAMPLED_PER_COMPONENT
        without = order[labels[order] < 0][: few * self._n_components]
        return np.concatenate(
            [without, *(order[labels[order] == k][:few] for k in range(labels.max() + 1))]
        )

    def _embedding(self, x: RealArray) -> Array:
        embedding = getattr(self._family, "embedding", _columns)(x)
        points: Array = np.ascontiguousarray(embedding, np.float64)
        if points.ndim != 2 or len(points) != len(x) or not np.isfinite(points).all():
            raise ValueError(
                f"family: expected an embedding of {len(x)} rows with finite coordinates, "
                f"got an array of shape {points.shape} from {self._family!r}"
            )
        return points


def _statistics(
    family: Family[P, S], params: Any, rows: Rows, responsibilities: RealArray
) -> MixtureStatistics[S]:
    r = _weighted(responsibilities, rows)
    components = family.expected_statistics(params, rows.x, r)
    return MixtureStatistics(r.sum(axis=0, dtype=np.float64), components)


@dataclass(frozen=True, slots=True)
class _Equal(Generic[P, S]):
    """Statistics of rows that belong to all components alike."""

    family: Family[P, S]
    params: Any
    n_components: int

    def __call__(self, rows: Rows) -> MixtureStatistics[S]:
        blocks = _equal_blocks(rows, self.n_components)
        return total(_statistics(self.family, self.params, *block) for block in blocks)


# -- responsibilities, a block at a time


def _present_blocks(data: Rows, n_components: int) -> Iterator[tuple[Indices, Rows]]:
    """Blocks of the rows of positive weight, and their places in the data."""
    for block in data.shards(max(1, _BLOCK_ELEMENTS // n_components)):
        weight = block.sample_weight
        places = np.arange(len(block)) if weight is None else np.flatnonzero(weight)
        if len(places):
            yield places + (block.start - data.start), without_absent(block)


def _one_hot_blocks(
    data: Rows, labels: Labels, n_components: int
) -> Iterator[tuple[Rows, RealArray]]:
    for places, block in _present_blocks(data, n_components):
        responsibilities = np.zeros((len(block), n_components), block.x.dtype)
        responsibilities[np.arange(len(block)), labels[places]] = 1.0
        yield block, responsibilities


def _random_blocks(
    data: Rows, n_components: int, random_state: RandomState
) -> Iterator[tuple[Rows, RealArray]]:
    for _, block in _present_blocks(data, n_components):
        uniform = random_state.uniform(size=(len(block), n_components))
        responsibilities = uniform.astype(block.x.dtype)
        responsibilities /= responsibilities.sum(axis=1, keepdims=True)
        if block.labels is not None:
            known = np.flatnonzero(block.labels >= 0)
            responsibilities[known] = 0.0
            responsibilities[known, block.labels[known]] = 1.0
        yield block, responsibilities


def _equal_blocks(data: Rows, n_components: int) -> Iterator[tuple[Rows, RealArray]]:
    for _, block in _present_blocks(data, n_components):
        yield block, np.full((len(block), n_components), 1.0 / n_components, block.x.dtype)


def _weighted(responsibilities: RealArray, rows: Rows) -> RealArray:
    """In place: responsibilities times weights."""
    if rows.sample_weight is not None:
        responsibilities *= rows.sample_weight[:, None].astype(responsibilities.dtype)
    return responsibilities


# -- rows with labels


def _weights(data: Rows) -> Array:
    return np.ones(len(data)) if data.sample_weight is None else data.sample_weight


def _is_known(data: Rows) -> npt.NDArray[np.bool_]:
    """Whether a row is there and has a label."""
    if data.labels is None:
        return np.zeros(len(data), np.bool_)
    known: npt.NDArray[np.bool_] = (data.labels >= 0) & (_weights(data) > 0)
    return known


def _n_labelled(data: Rows, n_components: int) -> npt.NDArray[np.intp]:
    """The number of rows with each label."""
    if data.labels is None:
        return np.zeros(n_components, np.intp)
    return np.bincount(data.labels[_is_known(data)], minlength=n_components)


def _unlabelled(data: Rows) -> Rows:
    """The data with labelled rows absent: their weight is 0."""
    if data.labels is None:
        return data
    return Rows(data.x, np.where(data.labels < 0, _weights(data), 0.0), data.start)


def _labelled_means(data: Rows) -> tuple[Indices, Array, Array]:
    """The labels that rows have, the weights of these rows by label, and their means."""
    if not _is_known(data).any():
        return np.empty(0, np.intp), np.empty(0), np.empty((0, data.x.shape[1]))
    assert data.labels is not None
    labelled = replace(data, sample_weight=np.where(data.labels < 0, 0.0, _weights(data)))
    blocks = _one_hot_blocks(labelled, data.labels, int(data.labels.max()) + 1)
    stats = total(
        Gaussian("spherical").expected_statistics(None, block.x, _weighted(r, block))
        for block, r in blocks
    )
    known = np.flatnonzero(stats.counts)
    return known, stats.counts[known], stats.means[known]


def _one_for_each(data: Rows, picked: Indices) -> tuple[Rows, Labels]:
    """The picked rows with their components, and all labelled rows, together as heavy as one."""
    rows = picked[picked >= 0]
    labels = np.flatnonzero(picked >= 0).astype(np.int32)
    if data.labels is None:
        return data.take(rows), labels
    labelled = np.flatnonzero(_is_known(data))
    known = data.labels[labelled]
    chosen = data.take(np.concatenate([labelled, rows]))
    shares = np.concatenate([1.0 / np.bincount(known)[known], np.ones(len(rows))])
    weighted = replace(chosen, sample_weight=_weights(chosen) * shares)
    return weighted, np.concatenate([known, labels])


# -- rows with missing entries, or of other families


def _leaf(family: Any) -> tuple[Any, int]:
    """The family of the components of components, and how many of them a component has; else the family, and one."""
    if not isinstance(family, MixtureFamily):
        return family, 1
    leaf, n_leaves = _leaf(family.family)
    return leaf, family.n_components * n_leaves


def _has_missing(x: RealArray) -> bool:
    size = max(1, _BLOCK_ELEMENTS // x.shape[1])
    return any(np.isnan(x[start : start + size]).any() for start in range(0, len(x), size))


def _columns(x: RealArray | CSR) -> Array:
    """The columns as they are, with their mean where an entry is missing."""
    dense: Array = (x.toarray() if isinstance(x, CSR) else x).astype(np.float64)
    missing = np.isnan(dense)
    if missing.any():
        n_observed = np.maximum((~missing).sum(axis=0), 1)
        means = np.where(missing, 0.0, dense).sum(axis=0) / n_observed
        dense = np.where(missing, means, dense)
    return dense


def _broad(family: Gaussian, data: Rows, n_components: int) -> GaussianParams:
    """All components with the columns' means and variances: what missing entries are expected to be."""
    n_features = data.x.shape[1]

    def mean(function: Callable[[Array], Array]) -> Array:
        sums: Array = np.zeros(n_features)
        counts: Array = np.zeros(n_features)
        for _, block in _present_blocks(data, n_features):
            observed = ~np.isnan(block.x)
            sums += np.where(observed, function(block.x.astype(np.float64)), 0.0).sum(axis=0)
            counts += observed.sum(axis=0)
        return sums / np.maximum(counts, 1.0)

    means = mean(lambda x: x)
    variances = mean(lambda x: (x - means) ** 2)
    positive = variances > 0
    variances[~positive] = variances[positive].mean() if positive.any() else 1.0
    covariances: Array = {
        "full": np.tile(np.diag(variances), (n_components, 1, 1)),
        "tied": np.diag(variances),
        "diag": np.tile(variances, (n_components, 1)),
    }.get(family.covariance_type, np.full(n_components, variances.mean()))
    return family.params(np.tile(means, (n_components, 1)), covariances)


# -- rows that count


def _n_present(data: Rows) -> int:
    return len(data) if data.sample_weight is None else int(np.count_nonzero(data.sample_weight))


def _check_enough_rows(data: Rows, n: int, name: str) -> None:
    n_rows = _n_present(data)
    if not 1 <= n <= n_rows:
        which = "rows" if data.sample_weight is None else "rows of positive weight"
        raise ValueError(f"{name}: expected between 1 and the number of {which}, {n_rows}, got {n}")


def _rows_without_replacement(data: Rows, n: int, random_state: RandomState) -> Indices:
    drawn: Indices = random_state.choice(_n_present(data), size=n, replace=False)
    return drawn if data.sample_weight is None else np.flatnonzero(data.sample_weight)[drawn]


# -- seeding


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
    _check_enough_rows(data, n_clusters, "n_clusters")
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


# -- Lloyd's algorithm


@dataclass(frozen=True, slots=True)
class Clusters:
    """The outcome of k-means.

    Attributes
    ----------
    labels : (N,) int32
        The nearest center of each row, the first of equals; those of the data where they were known.
    centers : (K, D)
    n_iter : int
        Sweeps that moved centers.
    """

    labels: Labels
    centers: Array
    n_iter: int


def kmeans(
    data: Rows, centers: Array, *, tol: float = 1e-4, max_iter: int = 300, n_threads: int = 1
) -> Clusters:
    """Weighted k-means by Lloyd's algorithm.

    It stops when no label changes, when the squared moves of the centers add up to no more than ``tol`` times the mean
    variance of the features, or after ``max_iter`` sweeps. A cluster that loses all its weight gets the row farthest
    from its center. Rows with a label >= 0 belong to that cluster throughout.

    Parameters
    ----------
    data : Rows
    centers : (K, D) ndarray of float64
        To begin with; not changed.
    tol : float, >= 0
    max_iter : int, >= 1
    n_threads : int
        The result does not depend on it.

    Returns
    -------
    Clusters

    References
    ----------
    Lloyd (1982), Least squares quantization in PCM. IEEE Transactions on Information Theory 28.
    """
    known, masses, means = _labelled_means(data)
    free = _unlabelled(data)
    threshold = tol * _mean_variance(free, n_threads)
    labels = np.full(len(data), -1, dtype=np.int32)
    for n_iter in range(1, max_iter + 1):  # noqa: B007
        counts, first, changed = _sweep(free, centers, labels, n_threads)
        counts[known] += masses
        first[known] += masses[:, None] * (means - centers[known])
        moved = _centers_of_mass(free, centers, labels, counts, first)
        shift = float(((moved - centers) ** 2).sum())
        centers = moved
        if not changed:
            break
        if shift <= threshold:
            _sweep(free, centers, labels, n_threads)
            break
    else:
        _sweep(free, centers, labels, n_threads)
    if data.labels is not None:
        labels = np.where(data.labels < 0, labels, data.labels)
    return Clusters(labels, centers, n_iter)


def _sweep(data: Rows, centers: Array, labels: Labels, n_threads: int) -> tuple[Array, Array, bool]:
    """Assign all rows anew: counts, first moments about the centers, and whether any label changed."""

    def of_shard(shard: Rows) -> tuple[Array, Array, bool]:
        new = np.empty(len(shard), dtype=np.int32)
        old = labels[shard.start - data.start :][: len(shard)]
        counts, first, _ = kernels.kmeans_sweep(shard.x, shard.sample_weight, centers, new)
        changed = not np.array_equal(new, old)
        old[:] = new
        return counts, first, changed

    size = rows_per_shard(len(data), centers.size)
    shards = ordered_map(of_shard, data.shards(size), n_threads if len(data) > size else 1)
    counts, first, changed = zip(*shards, strict=True)
    return np.sum(counts, axis=0), np.sum(first, axis=0), any(changed)


def _centers_of_mass(
    data: Rows, centers: Array, labels: Labels, counts: Array, first: Array
) -> Array:
    moved = centers.copy()
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        for k, row in zip(empty, _farthest(data, centers, labels, len(empty)), strict=False):
            weight = 1.0 if data.sample_weight is None else data.sample_weight[row]
            counts[labels[row]] -= weight
            first[labels[row]] -= weight * (data.x[row] - centers[labels[row]])
            counts[k] = weight
            moved[k] = data.x[row]
    alive = counts > 0
    moved[alive] += first[alive] / counts[alive, None]
    moved[~alive] = moved[np.argmax(counts)]
    return moved


def _farthest(data: Rows, centers: Array, labels: Labels, n: int) -> Indices:
    """The n rows farthest from their centers, in scikit-learn's order; none if all rows lie on theirs."""
    size = max(n, _SEARCH_ELEMENTS // centers.shape[1])
    found = np.empty(0, dtype=np.intp)
    distances = np.empty(0)
    for start in range(0, len(data), size):
        rows = slice(start, start + size)
        new = _squared_norms(data.x[rows], centers, labels[rows])
        if data.sample_weight is not None:
            new[data.sample_weight[rows] == 0] = -1.0
        found = np.concatenate([found, np.arange(start, start + len(new))])
        distances = np.concatenate([distances, new])
        last = np.argpartition(distances, -n)[-n:]
        found, distances = found[last], distances[last]
    return found[::-1] if distances.max() > 0 else found[:0]


def _squared_norms(x: RealArray, centers: Array, labels: Labels) -> Array:
    deviations = x - centers[labels]
    norms: Array = np.einsum("nd,nd->n", deviations, deviations)
    return norms


def _mean_variance(data: Rows, n_threads: int) -> float:
    """Of the features over the rows, whatever their weights."""

    def moments(center: Array) -> tuple[Array, float]:
        def of_shard(shard: Rows) -> tuple[Array, float]:
            x = without_absent(shard).x
            _, first, inertia = kernels.kmeans_sweep(x, None, center, np.empty(len(x), np.int32))
            return first, inertia

        size = rows_per_shard(len(data), data.x.shape[1])
        shards = ordered_map(of_shard, data.shards(size), n_threads if len(data) > size else 1)
        first, inertia = zip(*shards, strict=True)
        return np.sum(first, axis=0) / _n_present(data), sum(inertia) / center.shape[1]

    center = data.x[:1].astype(np.float64)
    center = center + moments(center)[0]
    return moments(center)[1] / _n_present(data)
