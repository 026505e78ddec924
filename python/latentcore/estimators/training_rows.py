"""The rows of a fit, wherever they lie: what a fit asks of all of them together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore import engine
from latentcore.arrays import CSR, Rows, check_observed, without_absent
from latentcore.errors import ImpossibleRowError, NumericalError
from latentcore.estimators.blocks import LikelihoodAndEntropy, summed
from latentcore.estimators.epochs import Batch, made_here, shuffled_batches
from latentcore.estimators.priors import pooled_over
from latentcore.estimators.summary import Training
from latentcore.families.gaussian_missing import has_missing
from latentcore.initialization import Everywhere
from latentcore.protocols import Expectation, RealArray
from latentcore.structures.mixture import Mixture
from latentcore.threads import ordered_map

__all__ = [
    "Bind",
    "Check",
    "Choose",
    "InMemory",
    "Names",
    "TrainingRows",
    "absent_replaced",
    "check_all_occur",
    "check_counts",
    "check_support",
    "numbered_as_given",
    "training",
]

R = TypeVar("R")
Names = list[str] | None
Choose = Callable[[RealArray, Names], Any]
"""From rows and the names of their columns to the family that fits them."""
Check = Callable[[Any, RealArray, Names], None]
"""Raises for rows that a family does not take."""
Bind = Callable[[Rows], Expectation[Any, Any]]
"""From rows in memory to the E-step over them."""


class TrainingRows(Protocol):
    """Rows of positive weight, checked; and what a fit asks of them."""

    names: Names
    """Of columns."""

    def __len__(self) -> int: ...

    @property
    def n_features(self) -> int: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def weighted(self) -> bool:
        """Whether the rows came with weights."""

    @property
    def n_rows_read(self) -> int | None:
        """That each pass reads again from where they lie; None of rows in memory."""

    @property
    def resumable(self) -> bool:
        """Whether the model of the last complete step stays when a fit is interrupted."""

    def total_weight(self) -> float: ...

    def family(self, choose: Choose) -> Any:
        """The family that ``choose`` takes for rows and names of columns, checked against all rows."""

    def sample(self) -> Rows:
        """Rows to begin with: all, or as many drawn at random as memory holds, with weights that stand for all."""

    def everywhere(self) -> Everywhere | None:
        """What goes over all rows, where ``sample`` has not all."""

    def some(self) -> Rows:
        """A few rows, which show what columns hold."""

    def pooled(self, family: Any, /) -> Any:
        """Statistics of all rows, as of one component."""

    def expectation(self, model: Mixture[Any, Any]) -> Expectation[Any, Any]:
        """The E-step over all rows."""

    def batches(
        self, model: Mixture[Any, Any], size: int, seed: int, bind: Bind
    ) -> Iterator[Batch]:
        """The E-steps over all rows in random order, ``size`` at a time; ``bind`` binds that of rows in memory."""

    def over(self, function: Callable[[Rows], R]) -> Iterator[R]:
        """What ``function`` makes of each shard, in order."""

    def numbered(self, error: NumericalError) -> NumericalError:
        """The error with the number of the row as the user counts."""


class InMemory:
    """Rows of a matrix.

    Parameters
    ----------
    given : Rows
        Those of weight 0 too.
    names : list of str, optional
    work_per_row : float
        Multiply-adds of a sweep.
    n_threads : int
    """

    n_rows_read = None
    resumable = False

    def __init__(self, given: Rows, names: Names, work_per_row: float, n_threads: int) -> None:
        self.given = given
        self.names = names
        self._rows = without_absent(given)
        self._shard_rows = engine.rows_per_shard(len(self._rows), work_per_row)
        self._n_threads = n_threads

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def n_features(self) -> int:
        return self._rows.n_features

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._rows.x.dtype

    @property
    def weighted(self) -> bool:
        return self._rows.weighted

    def total_weight(self) -> float:
        return self._rows.total_weight()

    def family(self, choose: Choose) -> Any:
        check_observed(self._rows.x, self.names)
        present = absent_replaced(self.given)
        family = choose(present, self.names)
        check_support(family, present, self.names)
        return family

    def sample(self) -> Rows:
        return self._rows

    def everywhere(self) -> None:
        return None

    def some(self) -> Rows:
        return self._rows

    def pooled(self, family: Any, /) -> Any:
        missing = not isinstance(self._rows.x, CSR) and has_missing(self._rows.x)
        return pooled_over(family, self.n_features, missing, self.over)

    def expectation(self, model: Mixture[Any, Any]) -> Expectation[Any, Any]:
        return engine.expectation(model, self._rows, self._shard_rows, self._n_threads)

    def batches(
        self, model: Mixture[Any, Any], size: int, seed: int, bind: Bind
    ) -> Iterator[Batch]:
        return made_here(shuffled_batches([self._rows], size, len(self), seed), bind)

    def over(self, function: Callable[[Rows], R]) -> Iterator[R]:
        n_threads = self._n_threads if len(self) > self._shard_rows else 1
        return ordered_map(function, self._rows.shards(self._shard_rows), n_threads)

    def numbered(self, error: NumericalError) -> NumericalError:
        return numbered_as_given(error, self.given)


def training(data: TrainingRows, model: Mixture[Any, Any] | None, params: Any) -> Training:
    """What is kept of the rows of a fit that ended with these parameters; without a model, figures are NaN."""
    both = math.nan, math.nan
    if model is not None:
        both = summed(data.over(LikelihoodAndEntropy(model, params)))
    return Training(len(data), data.total_weight(), *both)


def absent_replaced(rows: Rows) -> RealArray:
    """The rows, where one of weight 0 may be anything: a copy of one that counts is in its place."""
    weight = rows.sample_weight
    if weight is None or weight.all():
        return rows.x
    there = np.where(weight > 0, np.arange(len(rows)), np.flatnonzero(weight)[0])
    return rows.x[there]


def check_support(family: Any, x: RealArray, names: Any) -> None:
    """Raise ``ValueError`` for a value that the family's distributions never take."""
    if hasattr(family, "check"):
        family.check(x, None if names is None else list(names))


def check_all_occur(rows: Rows, n_components: int) -> None:
    """Where every row has a label, every label has a row."""
    if rows.labels is None:
        return
    present = rows.labels if rows.sample_weight is None else rows.labels[rows.sample_weight > 0]
    if (present >= 0).all():
        check_counts(np.bincount(present, minlength=n_components))


def check_counts(counts: npt.NDArray[np.intp]) -> None:
    """Counts of the labels, (K,), where all rows have one."""
    if not counts.all():
        raise ValueError(
            f"labels: expected every label from 0 to n_components - 1 = {len(counts) - 1} "
            f"where all rows have one, but label {int(counts.argmin())} never occurs"
        )


def numbered_as_given(error: NumericalError, rows: Rows) -> NumericalError:
    """The error of a fit to the rows of positive weight, with the number of the row as the user counts."""
    if isinstance(error, ImpossibleRowError) and rows.sample_weight is not None:
        return ImpossibleRowError(int(np.flatnonzero(rows.sample_weight)[error.row]), error.part)
    return error
