"""The sequences of a fit in parts: what has to be known of all of them before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any, Self, TypeVar, cast

import numpy as np

from latentcore.arrays import Rows
from latentcore.errors import ImpossibleRowError, ImpossibleSequenceError, NumericalError
from latentcore.estimators.checks import random_generator
from latentcore.estimators.hmm_batches import whole_parts
from latentcore.estimators.priors import pooled_over
from latentcore.estimators.survey import Facts, InParts, Reader, facts_of
from latentcore.estimators.training_rows import Names, absent_replaced
from latentcore.estimators.training_sequences import explained, whole_rows
from latentcore.families.whole_rows import observed_rows
from latentcore.initialization import Everywhere
from latentcore.parts import Part, Parts, expectation_over, named, over_parts
from latentcore.protocols import Expectation
from latentcore.sequences import Sequences, as_sequences, names_of_columns, without_absent
from latentcore.streams import is_empty, refuse_beside
from latentcore.structures.hmm import HMM
from latentcore.threads import get_num_threads

__all__ = ["SequenceReader", "SequencesInParts", "sequences_of_parts"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class SequenceReader(Reader):
    """How an estimator reads a part that has whole sequences.

    Attributes
    ----------
    observed : bool
        Whether ``present`` leaves out rows without an observation.
    n_parts : int
        If not 0, into how many parts ``present`` cuts sequences: its labels are then their numbers.
    """

    observed: bool = False
    n_parts: int = 0

    def sequences(self, part: Part) -> Sequences:
        """The sequences of a part as given; there may be none."""
        if is_empty(part.X):
            return Sequences(self.no_rows(part), np.zeros(1, np.int64))
        weight = part.sample_weight
        absent = weight is not None and np.size(weight) > 0 and not np.any(weight)
        data = as_sequences(
            part.X, lengths=part.lengths, groups=part.groups,
            sample_weight=np.ones(np.shape(weight)) if absent else weight,
            labels=part.labels, n_states=self.n_components, owner=self.owner,
            missing=self.missing, sparse=self.sparse,
        )  # fmt: skip
        if absent:
            data = replace(data, sample_weight=np.zeros(data.n_sequences))
        return replace(data, x=self.as_surveyed(data.x))

    def present_sequences(self, part: Part) -> Sequences:
        """Those of positive weight."""
        return without_absent(self.sequences(part))

    def rows(self, part: Part) -> Rows:
        return self.sequences(part).rows()

    def present(self, part: Part) -> Rows:
        data = self.present_sequences(part)
        rows = data.in_equal_parts(self.n_parts) if self.n_parts else data.rows()
        return whole_rows(rows) if self.observed else rows

    def weights(self, part: Part) -> Sequences:
        """Sequences of which only the weights tell something."""
        data = self.sequences(part)
        return replace(data, x=np.empty((len(data), 1)), labels=None)

    def look(self, part: Part) -> SequenceFacts:
        given = self.sequences(part)
        rows = facts_of(given.rows(), names_of_columns(part.X), self.n_components)
        present = without_absent(given)
        weight = present.sample_weight
        groups: list[Any] = []
        if part.groups is not None and len(given):
            groups = np.asarray(part.groups)[given.begins[:-1]].tolist()
        known = {field.name: getattr(rows, field.name) for field in fields(rows)}
        return SequenceFacts(
            **known,
            n_starts=float(present.n_sequences if weight is None else weight.sum()),
            groups=set(groups),
        )


@dataclass(frozen=True, slots=True)
class SequenceFacts(Facts):
    """What is known of the sequences of a part, or of several.

    Attributes
    ----------
    n_starts : float
        Number of sequences by weight.
    groups : set
        Identifiers of the sequences.
    """

    n_starts: float
    groups: set[Any]

    def merged(self, other: Facts) -> SequenceFacts:
        """See ``Facts``. A sequence has to be in one of both. What this knows goes over to the result."""
        assert isinstance(other, SequenceFacts)
        again = self.groups & other.groups
        if again:
            raise ValueError(
                "groups: expected all rows of a sequence one after another, in one part, "
                f"got {min(again, key=str)!r} again"
            )
        self.groups.update(other.groups)
        both = cast(SequenceFacts, Facts.merged(self, other))
        return replace(
            both,
            n_starts=self.n_starts + other.n_starts,
            groups=self.groups,
        )


class SequencesInParts(InParts):
    """Sequences in parts, looked through once when this is made; see ``InParts``."""

    facts: SequenceFacts
    _reader: SequenceReader

    def __init__(self, parts: Parts[Part], reader: SequenceReader, random_state: Any) -> None:
        super().__init__(parts, reader, random_state)
        self.facts.groups.clear()
        self._sequences = parts.then(self._reader.present_sequences)

    def n_starts(self) -> float:
        return self.facts.n_starts

    def rows(self) -> Rows:
        return self.sample()

    def in_equal_parts(self, n_parts: int) -> Rows:
        unlabelled = len(self) - int(self.facts.labels.sum())
        labels = self.facts.labels + unlabelled // n_parts
        return self._sampled(replace(self._reader, n_parts=n_parts), labels)

    def everywhere(self) -> Everywhere | None:
        return None if len(self) <= self._most() else self._over_rows

    def pooled(self, family: Any, /) -> Any:
        missing = self.facts.missing and not self._reader.observed
        return pooled_over(family, self.n_features, missing, self._over_rows)

    def has_missing_rows(self) -> bool:
        if not self.facts.missing:
            return False
        return any(list(named(self._parts.map(_HasMissing(self._reader, self.names)))))

    def observed(self) -> Self:
        other = copy(self)
        other._reader = replace(self._reader, observed=True)
        other._present = self._parts.then(other._reader.present)
        return other

    def expectation(self, model: HMM[Any, Any]) -> Expectation[Any, Any]:  # type: ignore[override]
        return expectation_over(model, self._sequences, len(self))

    def over(self, function: Callable[[Sequences], R]) -> Iterator[R]:  # type: ignore[override]
        return over_parts(self._sequences, function, len(self))

    def numbered(self, error: NumericalError) -> NumericalError:
        if not isinstance(error, ImpossibleRowError | ImpossibleSequenceError) or not self.weighted:
            return error
        weights = islice(self._parts.map(self._reader.weights), error.part, None)
        return explained(error, next(weights))

    def _over_rows(self, function: Callable[[Rows], R]) -> Iterator[R]:
        n_rows = None if self._reader.observed else len(self)
        return over_parts(self._present, function, n_rows)

    def _standing_for_all(self, drawn: Rows) -> Rows:
        return drawn if self._reader.observed else super()._standing_for_all(drawn)

    def _check_same(self, n_rows: int) -> None:
        if not self._reader.observed:
            super()._check_same(n_rows)


@dataclass(frozen=True, slots=True)
class _HasMissing:
    """Whether a row has no observation; see ``families.whole_rows``."""

    reader: SequenceReader
    names: Names

    def __call__(self, part: Part) -> bool:
        rows = self.reader.rows(part)
        if not np.any(1.0 if rows.sample_weight is None else rows.sample_weight):
            return False
        return not observed_rows(absent_replaced(rows), self.names).all()


def sequences_of_parts(estimator: Any, X: Any, **given: Any) -> SequencesInParts | None:
    """The sequences of a fit to ``X``, if it comes in parts.

    Parameters
    ----------
    estimator : hidden Markov model
    X : what users pass
    **given
        Arguments of ``fit`` of which parts have their own.

    Raises
    ------
    ValueError, TypeError
        See ``InParts`` and ``hmm_batches.whole_parts``.
    """
    parts = whole_parts(X, get_num_threads(estimator.n_threads))
    if parts is None:
        return None
    refuse_beside(given)
    reader = SequenceReader(
        estimator.n_components, type(estimator).__name__,
        estimator._takes_missing(), estimator._takes_sparse(),
    )  # fmt: skip
    return SequencesInParts(parts, reader, random_generator(estimator.random_state))
