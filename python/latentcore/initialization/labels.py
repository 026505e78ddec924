"""Rows with known labels: how many, their means, and the data without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Labels, Rows
from latentcore.families.gaussian import Gaussian
from latentcore.initialization.responsibilities import one_hot_blocks, weighted
from latentcore.initialization.rows import Indices, weights_of
from latentcore.protocols import Array
from latentcore.statistics import total


def is_known(data: Rows) -> npt.NDArray[np.bool_]:
    """Whether a row is there and has a label."""
    if data.labels is None:
        return np.zeros(len(data), np.bool_)
    known: npt.NDArray[np.bool_] = (data.labels >= 0) & (weights_of(data) > 0)
    return known


def n_labelled(data: Rows, n_components: int) -> npt.NDArray[np.intp]:
    """The number of rows with each label."""
    if data.labels is None:
        return np.zeros(n_components, np.intp)
    return np.bincount(data.labels[is_known(data)], minlength=n_components)


def unlabelled(data: Rows) -> Rows:
    """The data with labelled rows absent: their weight is 0."""
    if data.labels is None:
        return data
    return Rows(data.x, np.where(data.labels < 0, weights_of(data), 0.0), data.start)


def labelled_means(data: Rows) -> tuple[Indices, Array, Array]:
    """The labels that rows have, the weights of these rows by label, and their means."""
    if not is_known(data).any():
        return np.empty(0, np.intp), np.empty(0), np.empty((0, data.x.shape[1]))
    assert data.labels is not None
    labelled = replace(data, sample_weight=np.where(data.labels < 0, 0.0, weights_of(data)))
    blocks = one_hot_blocks(labelled, data.labels, int(data.labels.max()) + 1)
    stats = total(
        Gaussian("spherical").expected_statistics(None, block.x, weighted(r, block))
        for block, r in blocks
    )
    known = np.flatnonzero(stats.counts)
    return known, stats.counts[known], stats.means[known]


def one_for_each(data: Rows, picked: Indices) -> tuple[Rows, Labels]:
    """The picked rows with their components, and all labelled rows, together as heavy as one."""
    rows = picked[picked >= 0]
    labels = np.flatnonzero(picked >= 0).astype(np.int32)
    if data.labels is None:
        return data.take(rows), labels
    labelled = np.flatnonzero(is_known(data))
    known = data.labels[labelled]
    chosen = data.take(np.concatenate([labelled, rows]))
    shares = np.concatenate([1.0 / np.bincount(known)[known], np.ones(len(rows))])
    shared = replace(chosen, sample_weight=weights_of(chosen) * shares)
    return shared, np.concatenate([known, labels])
