"""Batches of an epoch: all rows once, in random order, wherever they lie.

Rows in memory are shuffled all together. Rows that are read again in each pass are shuffled within windows, of as many
parts as memory holds. Rows that stay on other machines are not moved: each part shuffles its own, batches take as many
of each as chance would have it, and the share of a part in a step is made where the part lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Rows
from latentcore.estimators.mixture_stream import joined
from latentcore.parts import Parts, named, over_parts, sums
from latentcore.protocols import Expectation, Model
from latentcore.statistics import Statistics

__all__ = [
    "Batch",
    "NumberedRows",
    "batches_there",
    "made_here",
    "seed_from",
    "shuffled_batches",
    "sizes_of",
]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)

Batch = Callable[[Any], tuple[Any, float, float]]
"""The E-step over a batch: statistics, log-likelihood, and the weight of the rows."""

_MOST_TO_DRAW_FROM = 10**9
"""Rows, from below which NumPy draws without replacement."""


def seed_from(random_state: np.random.RandomState | np.random.Generator) -> int:
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return int(random_state.randint(2**31 - 1))


def _order(n_rows: int, seed: int, number: int) -> npt.NDArray[np.intp]:
    """The order of the rows of a window or part in the epoch of this seed."""
    order: npt.NDArray[np.intp] = np.random.default_rng([seed, number]).permutation(n_rows)
    return order


# -- rows that are here --------------------------------------------------------------------------


def shuffled_batches(parts: Iterable[Rows], size: int, window: int, seed: int) -> Iterator[Rows]:
    """All rows, ``size`` at a time; the last batch may be smaller.

    Parameters
    ----------
    parts : iterable of Rows
    size : int
    window : int
        As many rows are gathered before they are shuffled, or a few more: whole parts. What does not fill a batch is
        left for the next window.
    seed : int
        Of the epoch.
    """
    held: list[Rows] = []
    number = 0
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= window:
            rows = joined(held)
            order = _order(len(rows), seed, number)
            full = len(rows) // size * size
            yield from _cut(rows, order[:full], size)
            held = [_taken(rows, order[full:])]
            number += 1
    rows = joined(held)
    yield from _cut(rows, _order(len(rows), seed, number), size)


def _cut(rows: Rows, order: npt.NDArray[np.intp], size: int) -> Iterator[Rows]:
    for begin in range(0, len(order), size):
        yield _taken(rows, order[begin : begin + size])


def _taken(rows: Rows, chosen: npt.NDArray[np.intp]) -> Rows:
    return rows.take(np.sort(chosen))


def made_here(
    batches: Iterable[Rows], expectation: Callable[[Rows], Expectation[Any, Any]]
) -> Iterator[Batch]:
    """The E-steps over these batches, each bound by ``expectation``."""
    for rows in batches:

        def batch(params: Any, rows: Rows = rows) -> tuple[Any, float, float]:
            return *expectation(rows)(params), rows.total_weight()

        yield batch


# -- rows that stay where they are ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NumberedRows(Rows):
    """Rows of a part that know which it is."""

    number: int = 0


def sizes_of(parts: Parts[NumberedRows]) -> dict[int, int]:
    """Numbers of rows by the number of the part.

    Raises
    ------
    ValueError
        Two parts have the same number.
    """
    sizes = list(named(parts.map(_number_and_size)))
    n_of = dict(sizes)
    if len(n_of) != len(sizes):
        raise ValueError(
            "X: expected parts of which each has a number of its own, Part.number, with batch_size, got "
            f"{len(sizes)} parts with {len(n_of)} numbers"
        )
    return n_of


def batches_there(
    model: Model[P, S, Rows],
    parts: Parts[NumberedRows],
    n_of: Mapping[int, int],
    size: int,
    seed: int,
) -> Iterator[Batch]:
    """The E-steps over batches of ``size`` rows of all parts; the last batch may be smaller.

    Parameters
    ----------
    model : Model
    parts : Parts[NumberedRows]
    n_of : mapping
        See ``sizes_of``.
    size, seed : int
    """
    n_rows = sum(n_of.values())
    for places in _places(n_of, size, np.random.default_rng(seed)):

        def batch(params: P, places: Places = places) -> tuple[S, float, float]:
            found = over_parts(parts, _ExpectedOfSome(model, params, seed, places), n_rows)
            made: tuple[S, float, float] = sums(each for each in found if each is not None)
            return made

        yield batch


Places = Mapping[int, tuple[int, int]]
"""By the number of a part: from where to where in its order a batch has its rows."""


def _number_and_size(rows: NumberedRows) -> tuple[int, int]:
    return rows.number, len(rows)


def _places(n_of: Mapping[int, int], size: int, rng: np.random.Generator) -> Iterator[Places]:
    """Batches by where their rows are, drawn as if all rows were shuffled together."""
    left = np.array(list(n_of.values()))
    begin = np.zeros_like(left)
    while left.any():
        drawn = _drawn(left, size, rng)
        end = begin + drawn
        yield {
            number: (int(a), int(b)) for number, a, b in zip(n_of, begin, end, strict=True) if a < b
        }
        begin, left = end, left - drawn


def _drawn(left: npt.NDArray[Any], size: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    """How many of ``size`` rows are of each part, where parts have so many left."""
    n_left = int(left.sum())
    if n_left <= size:
        return left
    if n_left < _MOST_TO_DRAW_FROM:
        drawn = rng.multivariate_hypergeometric(left, size, method="marginals")
    else:  # hardly a row would be drawn twice; where one was, the batch has one less
        drawn = np.minimum(left, rng.multinomial(size, left / n_left))
    return drawn


@dataclass(frozen=True, slots=True)
class _ExpectedOfSome(Generic[P, S]):
    """The E-step over the rows of a part that a batch has; None if it has none.

    The order is drawn again each time, which takes less than to send it, and nothing to keep.
    """

    model: Model[P, S, Rows]
    params: P
    seed: int
    places: Places

    def __call__(self, rows: NumberedRows) -> tuple[S, float, float] | None:
        begin, end = self.places.get(rows.number, (0, 0))
        if begin == end:
            return None
        some = _taken(rows, _order(len(rows), self.seed, rows.number)[begin:end])
        return *self.model.expected_statistics(self.params, some), some.total_weight()
