"""Data in parts, wherever they lie: batches of a file, chunks on the machines of a cluster.

What a fit asks of data that no machine holds is little: make something of each part, where it lies, and bring it here
in the order of the parts. So expected statistics of files and clusters are the same sums as those of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from latentcore.protocols import Expectation, Model
from latentcore.statistics import Statistics, total
from latentcore.threads import ordered_map

__all__ = ["LocalParts", "Part", "Parts", "expectation_over"]

D = TypeVar("D")
D_co = TypeVar("D_co", covariant=True)
E = TypeVar("E")
R = TypeVar("R")
P = TypeVar("P")
S = TypeVar("S", bound=Statistics)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows as users hold them: what the arguments of these names of ``fit`` take.

    Attributes
    ----------
    X : matrix, data frame, or list of sequences
    sample_weight, labels, lengths, groups : optional
    """

    X: Any
    sample_weight: Any = None
    labels: Any = None
    lengths: Any = None
    groups: Any = None


class Parts(Protocol[D_co]):
    """Parts of data, in a fixed order. Functions may travel to other processes, and so may what they refer to."""

    def then(self, function: Callable[[D_co], E]) -> Parts[E]:
        """What ``function`` makes of each part, left where the parts lie: kept there, or made again when asked for."""

    def map(self, function: Callable[[D_co], R]) -> Iterator[R]:
        """What ``function`` makes of each part, brought here, in the order of the parts."""


@dataclass(frozen=True, slots=True)
class LocalParts(Generic[D]):
    """Parts that are read again in each pass: no more are held than there are threads, and one.

    Parameters
    ----------
    open : () -> iterable
        The parts from the first on, each time.
    n_threads : int
    """

    open: Callable[[], Iterable[D]]
    n_threads: int = 1

    def then(self, function: Callable[[D], E]) -> LocalParts[E]:
        return LocalParts(lambda: map(function, self.open()), self.n_threads)

    def map(self, function: Callable[[D], R]) -> Iterator[R]:
        return ordered_map(function, self.open(), self.n_threads)


def expectation_over(model: Model[P, S, D], parts: Parts[D]) -> Expectation[P, S]:
    """Bind the E-step to all parts: sums in the fixed tree that threads' shards have too."""

    def over_parts(params: P) -> tuple[S, float]:
        log_likelihoods: list[float] = []

        def statistics(result: tuple[S, float]) -> S:
            log_likelihoods.append(result[1])
            return result[0]

        results = parts.map(_Expected(model, params))
        return total(map(statistics, results)), sum(log_likelihoods)

    return over_parts


@dataclass(frozen=True, slots=True)
class _Expected(Generic[P, S, D]):
    """The E-step of a part: the only thing that travels to it at each step."""

    model: Model[P, S, D]
    params: P

    def __call__(self, part: D) -> tuple[S, float]:
        return self.model.expected_statistics(self.params, part)
