"""Which component a row begins in: responsibilities of the rows that count, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latentcore.arrays import Labels, Rows, without_absent
from latentcore.initialization.rows import Indices, RandomState
from latentcore.protocols import RealArray

BLOCK_ELEMENTS = 1 << 18
"""Size of a (rows x K) block of responsibilities: 2 MiB."""


def present_blocks(data: Rows, n_components: int) -> Iterator[tuple[Indices, Rows]]:
    """Blocks of the rows of positive weight, and their places in the data."""
    for block in data.shards(max(1, BLOCK_ELEMENTS // n_components)):
        weight = block.sample_weight
        places = np.arange(len(block)) if weight is None else np.flatnonzero(weight)
        if len(places):
            yield places + (block.start - data.start), without_absent(block)


def one_hot_blocks(
    data: Rows, labels: Labels, n_components: int
) -> Iterator[tuple[Rows, RealArray]]:
    """One for the label of each row, which none may lack."""
    for places, block in present_blocks(data, n_components):
        responsibilities = np.zeros((len(block), n_components), block.x.dtype)
        responsibilities[np.arange(len(block)), labels[places]] = 1.0
        yield block, responsibilities


def random_blocks(
    data: Rows, n_components: int, random_state: RandomState
) -> Iterator[tuple[Rows, RealArray]]:
    """Uniform numbers, normalised; one for the label of a row that has one."""
    for _, block in present_blocks(data, n_components):
        uniform = random_state.uniform(size=(len(block), n_components))
        responsibilities = uniform.astype(block.x.dtype)
        responsibilities /= responsibilities.sum(axis=1, keepdims=True)
        if block.labels is not None:
            known = np.flatnonzero(block.labels >= 0)
            responsibilities[known] = 0.0
            responsibilities[known, block.labels[known]] = 1.0
        yield block, responsibilities


def equal_blocks(data: Rows, n_components: int) -> Iterator[tuple[Rows, RealArray]]:
    """1 / K for every row."""
    for _, block in present_blocks(data, n_components):
        yield block, np.full((len(block), n_components), 1.0 / n_components, block.x.dtype)


def weighted(responsibilities: RealArray, rows: Rows) -> RealArray:
    """In place: responsibilities times weights."""
    if rows.sample_weight is not None:
        responsibilities *= rows.sample_weight[:, None].astype(responsibilities.dtype)
    return responsibilities
