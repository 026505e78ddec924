"""Statistics of the responsibilities that a fit begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar, cast, get_args

import numpy as np

from latentcore.arrays import CSR, Labels, Rows, without_absent
from latentcore.families.gaussian import Gaussian
from latentcore.families.mixed import MixtureFamily
from latentcore.initialization.coordinates import broad, columns, has_missing
from latentcore.initialization.labels import (
    is_known,
    labelled_means,
    n_labelled,
    one_for_each,
    unlabelled,
)
from latentcore.initialization.lloyd import kmeans
from latentcore.initialization.responsibilities import (
    equal_blocks,
    one_hot_blocks,
    random_blocks,
    weighted,
)
from latentcore.initialization.rows import (
    Indices,
    RandomState,
    check_enough_rows,
    n_present,
    rows_without_replacement,
    weights_of,
)
from latentcore.initialization.seeding import kmeans_plusplus
from latentcore.protocols import Array, Family, RealArray
from latentcore.statistics import Statistics, total
from latentcore.structures.mixture import MixtureStatistics
from latentcore.threads import ordered_map

InitMethod = Literal["kmeans", "k-means++", "random", "random_from_data"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)

Everywhere = Callable[[Callable[[Rows], Any]], Iterator[Any]]
"""What a function, which may travel, makes of all rows, shard by shard."""

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
        check_enough_rows(data, n_components, "n_components")
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
        self._as_they_are = gaussian and not isinstance(data.x, CSR) and not has_missing(data.x)
        if data.labels is not None and not is_known(data).any():
            data = replace(data, labels=None)
        if data.labels is not None or not self._as_they_are:
            data = without_absent(data)
        self._family = family
        self._params: Any = None
        if gaussian and not self._as_they_are:
            self._params = broad(cast(Gaussian, family), data, n_components)
        self._data = data
        self._n_components = n_components
        self._n_rows = n_present(data)
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
            stats = self._sum(one_hot_blocks(data, data.labels, n_components))
            return stats if self._everywhere is None else self._blended(stats)
        if method == "random":
            if inner:
                self._params = self._inner_start(self._sample()[0], None)
            blocks = random_blocks(data, n_components, self._random_state)
            n_rows = self._n_rows - n_labelled(data, n_components).sum()
            n_rows += n_labelled(data, n_components)
        else:
            rows, labels = self._assigned("kmeans" if inner else method)
            if inner:
                self._params = self._inner_start(rows, labels)
            blocks = one_hot_blocks(rows, labels, n_components)
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
            pooled = self._sum(equal_blocks(self._data, self._n_components))
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
            return one_for_each(rows, picked)
        known, _, means = labelled_means(points)
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
            return rows_without_replacement(data, n_components, self._random_state)
        rows = np.empty(n_components, np.intp)
        labels = np.full(len(data), -1, np.int32) if data.labels is None else data.labels
        others = []
        for k in range(n_components):
            labelled = np.flatnonzero(labels == k)
            if len(labelled):
                rows[k] = self._random_state.choice(labelled)
            else:
                others.append(k)
        free = np.flatnonzero((labels < 0) & (weights_of(data) > 0))
        rows[others] = np.resize(self._random_state.permutation(free), len(others))
        return rows

    def _picked(self, points: Rows) -> Indices:
        """By k-means++, a row for each component without labelled rows, and -1 for the others."""
        known, _, means = labelled_means(points)
        rows = np.full(self._n_components, -1, np.intp)
        others = np.setdiff1d(np.arange(self._n_components), known)
        free = unlabelled(points)
        n_rows = min(len(others), n_present(free))
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
        embedding = getattr(self._family, "embedding", columns)(x)
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
    r = weighted(responsibilities, rows)
    components = family.expected_statistics(params, rows.x, r)
    return MixtureStatistics(r.sum(axis=0, dtype=np.float64), components)


@dataclass(frozen=True, slots=True)
class _Equal(Generic[P, S]):
    """Statistics of rows that belong to all components alike."""

    family: Family[P, S]
    params: Any
    n_components: int

    def __call__(self, rows: Rows) -> MixtureStatistics[S]:
        blocks = equal_blocks(rows, self.n_components)
        return total(_statistics(self.family, self.params, *block) for block in blocks)


def _leaf(family: Any) -> tuple[Any, int]:
    """The family of the components of components, and how many of them a component has; else the family, and one."""
    if not isinstance(family, MixtureFamily):
        return family, 1
    leaf, n_leaves = _leaf(family.family)
    return leaf, family.n_components * n_leaves
