"""Data in parts, wherever they lie: batches of a file, chunks on the machines of a cluster.

What a fit asks of data that no machine holds is little: make something of each part, where it lies, and bring it here
in the order of the parts. So expected statistics of files and clusters are the same sums as those of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np

from latentcore.errors import ImpossibleRowError, ImpossibleSequenceError
from latentcore.protocols import Expectation, Model
from latentcore.statistics import Statistics, total
from latentcore.threads import ordered_map

__all__ = [
    "ChangedPartsError",
    "LocalParts",
    "Part",
    "Parts",
    "check_same",
    "expectation_over",
    "named",
    "over_parts",
    "sums",
]

D = TypeVar("D")
D_co = TypeVar("D_co", covariant=True)
E = TypeVar("E")
R = TypeVar("R")
P = TypeVar("P")
S = TypeVar("S", bound=Statistics)
Z = TypeVar("Z", bound=Sized)


class ChangedPartsError(ValueError):
    """Parts have not as many rows or columns as when they were first looked at."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows as users hold them: what the arguments of these names of ``fit`` take.

    Attributes
    ----------
    X : matrix, data frame, or list of sequences
    sample_weight, labels, lengths, groups : optional
    number : int
        Its place among the parts, from 0. Which rows of it are drawn depends on it.
    """

    X: Any
    sample_weight: Any = None
    labels: Any = None
    lengths: Any = None
    groups: Any = None
    number: int = 0


class Parts(Protocol[D_co]):
    """Parts of data, in a fixed order. Functions may travel to other processes, and so may what they refer to.

    Who implements it says so by inheritance: mypy cannot find out by itself.
    """

    def then(self, function: Callable[[D_co], E]) -> Parts[E]:
        """What ``function`` makes of each part, left where the parts lie: kept there, or made again when asked for."""

    def map(self, function: Callable[[D_co], R]) -> Iterator[R]:
        """What ``function`` makes of each part, brought here, in the order of the parts.

        The first part, in this order, of which it cannot be made raises its exception.
        """


@dataclass(frozen=True)
class LocalParts(Parts[D]):
    """Parts that are read again in each pass: no more are held than there are threads, and two.

    Reading is done by one thread, what functions make of the parts by ``n_threads``.

    Parameters
    ----------
    open : () -> iterable
        The parts from the first on, each time.
    n_threads : int
    functions : tuple of callables
        What is made of each, one after the other.
    reordered : Generator -> iterable, optional
        The same rows in parts whose order is drawn; None if they can be read in one order only.
    """

    open: Callable[[], Iterable[Any]]
    n_threads: int = 1
    functions: tuple[Callable[[Any], Any], ...] = ()
    reordered: Callable[[np.random.Generator], Iterable[Any]] | None = None

    def shuffled(self, rng: np.random.Generator) -> LocalParts[D]:
        """The same rows in parts whose order is drawn, where that is possible; their numbers mean nothing."""
        reordered = self.reordered
        return self if reordered is None else replace(self, open=lambda: reordered(rng))

    def then(self, function: Callable[[D], E]) -> LocalParts[E]:
        made: Any = replace(self, functions=(*self.functions, function))
        return cast("LocalParts[E]", made)

    def map(self, function: Callable[[D], R]) -> Iterator[R]:
        functions = (*self.functions, function)

        def made(item: Any) -> R:
            if isinstance(item, _Unread):
                raise item.error
            return cast(R, reduce(lambda value, make: make(value), functions, item))

        return ordered_map(made, _read(self.open), self.n_threads)


@dataclass(frozen=True, slots=True)
class _Unread:
    """What stands for a part that could not be read, so that those before it come first."""

    error: Exception


def _read(open_: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    try:
        yield from open_()
    except Exception as error:
        yield _Unread(error)


def named(results: Iterator[R]) -> Iterator[R]:
    """What was made of parts, in order; an error says of which it could not be made, counted from 0.

    Raises
    ------
    ValueError, TypeError, ArithmeticError
        As they were raised, with the number of the part before the message.
    """
    number = 0
    try:
        for result in results:
            yield result
            number += 1
    except ImpossibleRowError as error:
        raise ImpossibleRowError(error.row, number) from None
    except ImpossibleSequenceError as error:
        raise ImpossibleSequenceError(error.sequence, error.step, number) from None
    except (ValueError, TypeError, ArithmeticError) as error:
        error.args = (f"part {number}: {error}",)
        raise


def over_parts(
    parts: Parts[Z], function: Callable[[Z], R], n_rows: int | None = None
) -> Iterator[R]:
    """What ``function`` makes of each part that has rows, in order.

    Parameters
    ----------
    parts : Parts of rows or sequences
    function : callable
        It travels to the parts.
    n_rows : int, optional
        As many rows as the parts have to have together.

    Raises
    ------
    ChangedPartsError
        They have not.
    ValueError, TypeError, ArithmeticError
        See ``named``.
    """
    found = 0
    for length, result in named(parts.map(_OfRows(function))):
        found += length
        if length:
            yield cast(R, result)
    if n_rows is not None:
        check_same(found, n_rows)


def check_same(found: int, n_rows: int) -> None:
    """Raise ``ChangedPartsError`` unless parts have as many rows, of positive weight, as they had."""
    if found != n_rows:
        raise ChangedPartsError(
            f"X: expected parts that stay the same from pass to pass, with {n_rows} rows (of positive weight) "
            f"as in the first, got {found}"
        )


@dataclass(frozen=True, slots=True)
class _OfRows(Generic[Z, R]):
    """The number of rows of a part, and what a function makes of them; nothing of no rows."""

    function: Callable[[Z], R]

    def __call__(self, part: Z) -> tuple[int, R | None]:
        return len(part), self.function(part) if len(part) else None


def expectation_over(
    model: Model[P, S, Z], parts: Parts[Z], n_rows: int | None = None
) -> Expectation[P, S]:
    """Bind the E-step to all parts: sums in the fixed tree that threads' shards have too.

    Parameters
    ----------
    n_rows : int, optional
        See ``over_parts``.
    """

    def expected(params: P) -> tuple[S, float]:
        made: tuple[S, float] = sums(over_parts(parts, _Expected(model, params), n_rows))
        return made

    return expected


def sums(results: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Of statistics, by which each result begins, in a fixed tree; and of the numbers that follow, one by one."""
    numbers: list[tuple[float, ...]] = []

    def statistics(result: tuple[Any, ...]) -> Any:
        numbers.append(result[1:])
        return result[0]

    stats = total(map(statistics, results))
    return (stats, *map(sum, zip(*numbers, strict=True)))


@dataclass(frozen=True, slots=True)
class _Expected(Generic[P, S, D]):
    """The E-step of a part: the only thing that travels to it at each step."""

    model: Model[P, S, D]
    params: P

    def __call__(self, part: D) -> tuple[S, float]:
        return self.model.expected_statistics(self.params, part)
