"""The sequences of a fit, wherever they lie: what a fit asks of all of them together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from latentcore import engine
from latentcore.arrays import CSR, Rows, check_observed
from latentcore.errors import ImpossibleRowError, ImpossibleSequenceError, NumericalError
from latentcore.estimators.priors import pooled_over
from latentcore.estimators.summary import Training
from latentcore.estimators.training_rows import (
    Check,
    Choose,
    Names,
    absent_replaced,
    check_all_occur,
)
from latentcore.families.gaussian_missing import has_missing
from latentcore.families.whole_rows import observed_rows
from latentcore.initialization import Everywhere
from latentcore.protocols import Expectation
from latentcore.sequences import Sequences, without_absent
from latentcore.structures import hmm_inference as inference
from latentcore.structures.hmm import HMM
from latentcore.threads import ordered_map

__all__ = [
    "SequencesInMemory",
    "TrainingSequences",
    "explained",
    "training",
    "whole_rows",
]

R = TypeVar("R")


class TrainingSequences(Protocol):
    """Sequences of positive weight, checked; and what a fit asks of them."""

    names: Names
    """Of columns."""

    def __len__(self) -> int:
        """The number of rows."""

    @property
    def n_features(self) -> int: ...

    @property
    def n_rows_read(self) -> int | None:
        """That each pass reads again from where they lie; None of sequences in memory."""

    @property
    def resumable(self) -> bool:
        """Whether the model of the last complete step stays when a fit is interrupted."""

    def total_weight(self) -> float:
        """The number of rows, each by the weight of its sequence."""

    def n_starts(self) -> float:
        """The number of sequences by weight."""

    def family(self, choose: Choose, check: Check) -> Any:
        """The family that ``choose`` takes for rows and names of columns, checked against all rows."""

    def check_all_occur(self) -> None:
        """Raise ``ValueError`` if every row has a label, but not every label a row."""

    def some(self) -> Rows:
        """A few rows, which show what columns hold."""

    def rows(self) -> Rows:
        """Rows to begin with: all, or as many drawn at random as memory holds, with weights that stand for all."""

    def in_equal_parts(self, n_parts: int) -> Rows:
        """The same with labels; see ``Sequences.in_equal_parts``."""

    def everywhere(self) -> Everywhere | None:
        """What goes over all rows, where ``rows`` are not all."""

    def pooled(self, family: Any, /) -> Any:
        """Statistics of all rows, as of one component."""

    def has_missing_rows(self) -> bool:
        """Whether a row has no observation.

        Raises
        ------
        ValueError
            One has some of its entries, and some not.
        """

    def observed(self) -> Self:
        """The same, without rows that have no observation in ``rows`` and ``pooled``."""

    def expectation(self, model: HMM[Any, Any]) -> Expectation[Any, Any]:
        """The E-step over all sequences."""

    def over(self, function: Callable[[Sequences], R]) -> Iterator[R]:
        """What ``function`` makes of each shard, in order."""

    def numbered(self, error: NumericalError) -> NumericalError:
        """The error with the numbers of sequence and row as the user counts."""


class SequencesInMemory:
    """Sequences in a matrix.

    Parameters
    ----------
    given : Sequences
        Those of weight 0 too.
    names : list of str, optional
    n_states : int
    work_per_row : float
        Multiply-adds of a sweep.
    n_threads : int
    """

    n_rows_read = None
    resumable = False

    def __init__(
        self, given: Sequences, names: Names, n_states: int, work_per_row: float, n_threads: int
    ) -> None:
        self.given = given
        self.names = names
        self._data = without_absent(given)
        self._shard_rows = engine.rows_per_shard(len(self._data), work_per_row)
        self._n_threads = n_threads
        self._n_states = n_states
        self._observed = False

    def __len__(self) -> int:
        return len(self._data)

    @property
    def n_features(self) -> int:
        return int(self._data.x.shape[1])

    def total_weight(self) -> float:
        return self._data.total_weight()

    def n_starts(self) -> float:
        weight = self._data.sample_weight
        return float(self._data.n_sequences if weight is None else weight.sum())

    def family(self, choose: Choose, check: Check) -> Any:
        check_observed(self._data.x, self.names)
        present = absent_replaced(self.given.rows())
        family = choose(present, self.names)
        check(family, present, self.names)
        return family

    def check_all_occur(self) -> None:
        check_all_occur(self._data.rows(), self._n_states)

    def some(self) -> Rows:
        return self._data.rows()

    def rows(self) -> Rows:
        rows = self._data.rows()
        return whole_rows(rows) if self._observed else rows

    def in_equal_parts(self, n_parts: int) -> Rows:
        return self._data.in_equal_parts(n_parts)

    def everywhere(self) -> None:
        return None

    def pooled(self, family: Any, /) -> Any:
        x = self._data.x
        missing = not (self._observed or isinstance(x, CSR)) and has_missing(x)
        return pooled_over(family, self.n_features, missing, self._over_rows)

    def has_missing_rows(self) -> bool:
        x = self._data.x
        if isinstance(x, CSR):
            return False
        return not observed_rows(absent_replaced(self.given.rows()), self.names).all()

    def observed(self) -> Self:
        other = copy(self)
        other._observed = True
        return other

    def expectation(self, model: HMM[Any, Any]) -> Expectation[Any, Any]:
        return engine.expectation(model, self._data, self._shard_rows, self._n_threads)

    def over(self, function: Callable[[Sequences], R]) -> Iterator[R]:
        n_threads = self._n_threads if len(self) > self._shard_rows else 1
        return ordered_map(function, self._data.shards(self._shard_rows), n_threads)

    def numbered(self, error: NumericalError) -> NumericalError:
        return explained(error, self.given)

    def _over_rows(self, function: Callable[[Rows], R]) -> Iterator[R]:
        def of_rows(data: Sequences) -> R:
            rows = data.rows()
            return function(whole_rows(rows) if self._observed else rows)

        return self.over(of_rows)


def whole_rows(rows: Rows) -> Rows:
    """Those that were observed."""
    return rows.take(np.flatnonzero(observed_rows(rows.x)))


def training(data: TrainingSequences, model: HMM[Any, Any] | None, params: Any) -> Training:
    """What is kept of the sequences of a fit that ended with these parameters; without a model, figures are NaN."""
    log_likelihood = math.nan
    if model is not None:
        log_likelihood = sum(data.over(_LogLikelihood(model, params)))
    return Training(len(data), data.total_weight(), log_likelihood, math.nan)


@dataclass(frozen=True, slots=True)
class _LogLikelihood:
    model: HMM[Any, Any]
    params: Any

    def __call__(self, data: Sequences) -> float:
        values = inference.log_likelihoods(self.model, self.params, data)
        return float(values.sum() if data.sample_weight is None else values @ data.sample_weight)


def explained(error: NumericalError, given: Sequences) -> NumericalError:
    """The error of a fit to the sequences of positive weight, with numbers as the user counts."""
    if given.sample_weight is None:
        return error
    present = np.flatnonzero(given.sample_weight)
    if isinstance(error, ImpossibleSequenceError):
        return ImpossibleSequenceError(int(present[error.sequence]), error.step, error.part)
    if isinstance(error, ImpossibleRowError):
        weight = np.repeat(given.sample_weight, given.lengths)
        return ImpossibleRowError(int(np.flatnonzero(weight)[error.row]), error.part)
    return error
