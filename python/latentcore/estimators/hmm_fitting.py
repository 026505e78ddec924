"""What hidden Markov models learn from: the same of point estimates and posteriors."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np

from latentcore.arrays import check_observed
from latentcore.errors import ImpossibleRowError, ImpossibleSequenceError, NumericalError
from latentcore.estimators.hmm_answers import HMMAnswers, check_rows
from latentcore.estimators.hmm_evaluation import States
from latentcore.estimators.mixture_base import Callback, absent_replaced
from latentcore.protocols import RealArray
from latentcore.sequences import Sequences, names_of_columns, without_absent

__all__ = ["FittedHMM", "ToFit", "explained"]

P = TypeVar("P")


class ToFit(NamedTuple):
    """Names of the columns, the sequences as given, those of positive weight, and the family to fit to them."""

    names: list[str] | None
    given: Sequences
    data: Sequences
    family: Any


class FittedHMM(HMMAnswers[P], Generic[P]):
    """A hidden Markov model that is fitted. A subclass tells how."""

    family_: Any
    warm_start: bool

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Any:
        """The family that is fitted to ``x``, whose columns have these names."""
        raise NotImplementedError

    def _family_to_refit(self) -> Any:
        """The family, as a fit that goes on from the learned parameters uses it."""
        return self._family()

    def _fit(
        self,
        X: Any,
        lengths: Any,
        groups: Any,
        sample_weight: Any,
        labels: Any,
        callback: Callback | None,
    ) -> None:
        """What ``fit`` does."""
        raise NotImplementedError

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        lengths: Any = None,
        groups: Any = None,
        sample_weight: Any = None,
        labels: Any = None,
        callback: Callback | None = None,
    ) -> Self:
        """Fit to sequences ``X``.

        Parameters
        ----------
        X : array or data frame, (N, D), or a list of them
            The rows of all sequences, one after another, or each sequence by itself. NaN, and what a data frame has
            for a missing value, is a missing entry; a row of NaN is a step without an observation.
        y : ignored
        lengths : (Q,) integers, optional
            Of the sequences; they sum to N.
        groups : (N,), optional
            In place of ``lengths``: identifiers of the sequences, each of consecutive rows.
        sample_weight : (Q,) or (N,), optional
            A sequence of weight 2 counts as two, one of weight 0 is left out. By row, the same for all of a sequence.
        labels : (N,) integers, optional
            States of the rows, from 0, where they are known; -1 where they are not.
        callback : callable, optional
            Gets an ``engine.Progress`` after each iteration.

        Raises
        ------
        ValueError, TypeError
            An argument is wrong.
        NumericalError
            A sequence is impossible, or a state collapsed, from every start.

        Warns
        -----
        ConvergenceWarning
            ``tol`` was not met in ``max_iter`` iterations.
        DegenerateComponentWarning
            Every start ended with a state that has collapsed.
        """
        self._fit(X, lengths, groups, sample_weight, labels, callback)
        return self

    def fit_predict(
        self,
        X: Any,
        y: Any = None,
        *,
        lengths: Any = None,
        groups: Any = None,
        sample_weight: Any = None,
        labels: Any = None,
        callback: Callback | None = None,
    ) -> States:
        """``fit(X)``, then ``predict(X)``."""
        self._fit(X, lengths, groups, sample_weight, labels, callback)
        return self.predict(X, lengths=lengths, groups=groups)

    def _to_fit(self, X: Any, lengths: Any, groups: Any, sample_weight: Any, labels: Any) -> ToFit:
        """The data, checked."""
        names = names_of_columns(X)
        given = self._sequences(X, lengths, groups, sample_weight, labels, self.n_components)
        data = without_absent(given)
        check_observed(data.x, names)
        present = data.x
        if hasattr(self._family_class(), "check"):
            present = absent_replaced(given.rows())
        if self._goes_on():
            self._check_width(data.x)
            family = self._family_to_refit()
        else:
            family = self._family_to_fit(present, names)
        check_rows(family, present, names)
        return ToFit(names, given, data, family)

    def _goes_on(self) -> bool:
        """Whether a fit begins where the last one ended."""
        return self.warm_start and "converged_" in self.__dict__

    def _family(self) -> Any:
        if "family_" not in self.__dict__:
            raise self._not_fitted()
        return self.family_


def explained(error: NumericalError, given: Sequences) -> NumericalError:
    """The error of a fit to the sequences of positive weight, with numbers as the user counts."""
    if given.sample_weight is None:
        return error
    present = np.flatnonzero(given.sample_weight)
    if isinstance(error, ImpossibleSequenceError):
        return ImpossibleSequenceError(int(present[error.sequence]), error.step)
    if isinstance(error, ImpossibleRowError):
        weight = np.repeat(given.sample_weight, given.lengths)
        return ImpossibleRowError(int(np.flatnonzero(weight)[error.row]))
    return error
