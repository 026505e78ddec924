"""What hidden Markov models learn from: the same of point estimates and posteriors."""

from __future__ import annotations

from typing import Any, Generic, Self, TypeVar

from latentcore.estimators.hmm_answers import HMMAnswers, check_rows
from latentcore.estimators.hmm_evaluation import States
from latentcore.estimators.mixture_base import Callback
from latentcore.estimators.survey_sequences import sequences_of_parts
from latentcore.estimators.training_sequences import SequencesInMemory, TrainingSequences
from latentcore.protocols import RealArray
from latentcore.sequences import Sequences, names_of_columns
from latentcore.streams import as_parts
from latentcore.threads import get_num_threads

__all__ = ["FittedHMM"]

P = TypeVar("P")


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
        X : array or data frame, (N, D), a list of them, or sequences in parts
            The rows of all sequences, one after another, or each sequence by itself. NaN, and what a data frame has
            for a missing value, is a missing entry; a row of NaN is a step without an observation.

            Parts are ``latentcore.Batches``, or a function that returns an iterator over batches; then each iteration
            reads them once, and the start is made from as many rows, drawn at random, as memory holds. With a column
            of ``groups`` batches may end within a sequence. Without, each batch of an iterable is a sequence, unless it
            is a list of sequences, or a ``latentcore.parts.Part`` with ``lengths``.
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
        ChangedPartsError
            Parts had not as many rows in one pass as in another.

        Warns
        -----
        ConvergenceWarning
            ``tol`` was not met in ``max_iter`` iterations.
        DegenerateComponentWarning
            Every start ended with a state that has collapsed.

        Notes
        -----
        After an exception the model is as it was before, but for Ctrl-C and sources that fail in a fit to parts: then
        it has what the last complete iteration learned, and ``converged_`` is False.
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
        if as_parts(X, lists=False) is not None:
            raise TypeError(
                "X: expected sequences in memory, got parts; use fit, and then predict for each of them"
            )
        self._fit(X, lengths, groups, sample_weight, labels, callback)
        return self.predict(X, lengths=lengths, groups=groups)

    def _training_sequences(
        self, X: Any, lengths: Any, groups: Any, sample_weight: Any, labels: Any
    ) -> TrainingSequences:
        """The data, checked."""
        by_row = {
            "lengths": lengths, "groups": groups, "sample_weight": sample_weight, "labels": labels,
        }  # fmt: skip
        parts = sequences_of_parts(self, X, **by_row)
        if parts is not None:
            return parts
        given = self._sequences(X, lengths, groups, sample_weight, labels, self.n_components)
        return self._in_memory(given, names_of_columns(X))

    def _in_memory(self, given: Sequences, names: list[str] | None) -> SequencesInMemory:
        work = self._work_per_row(given.x, self.n_components)
        n_threads = get_num_threads(self.n_threads)
        return SequencesInMemory(given, names, self.n_components, work, n_threads)

    def _family_of(self, data: TrainingSequences) -> Any:
        """The family to fit."""
        if not self._goes_on():
            return data.family(self._family_to_fit, check_rows)
        self._check_width(data.some().x)
        return data.family(lambda x, names: self._family_to_refit(), check_rows)

    def _goes_on(self) -> bool:
        """Whether a fit begins where the last one ended."""
        return self.warm_start and "converged_" in self.__dict__

    def _family(self) -> Any:
        if "family_" not in self.__dict__:
            raise self._not_fitted()
        return self.family_
