"""The rows of a fit in parts: what has to be known of all of them before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from latentcore.arrays import (
    CSR,
    Array,
    Rows,
    as_labels,
    as_matrix,
    as_weights,
    check_observed,
    column_names,
    without_absent,
)
from latentcore.errors import ImpossibleRowError, NumericalError
from latentcore.estimators.checks import random_generator
from latentcore.estimators.epochs import (
    Batch,
    NumberedRows,
    batches_there,
    made_here,
    seed_from,
    shuffled_batches,
    sizes_of,
)
from latentcore.estimators.mixture_stream import joined
from latentcore.estimators.priors import pooled_over
from latentcore.estimators.training_rows import (
    Bind,
    Check,
    Choose,
    Names,
    absent_replaced,
    check_counts,
    check_support,
    numbered_as_given,
)
from latentcore.families.gaussian_missing import has_missing
from latentcore.initialization import Everywhere
from latentcore.parts import (
    ChangedPartsError,
    LocalParts,
    Part,
    Parts,
    check_same,
    expectation_over,
    named,
    over_parts,
)
from latentcore.protocols import Expectation, RealArray
from latentcore.streams import as_parts, check_arguments, is_empty, refuse_beside
from latentcore.structures.mixture import Mixture
from latentcore.threads import get_num_threads

__all__ = [
    "Facts",
    "InParts",
    "Reader",
    "facts_of",
    "rows_in_sample",
    "rows_of_parts",
]

R = TypeVar("R")

_SAMPLED_ROWS = 1 << 17
_SAMPLED_ENTRIES = 1 << 22
"""Of the rows that a start is made from: 32 MiB."""
_HELD_ENTRIES = 1 << 22
"""Of the rows that batches are drawn from, where the others are not at hand."""
_OF_EACH_LABEL = 10
"""Rows of a sample, at least in expectation."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How an estimator reads a part: the checks and conversions that it makes of the arguments of ``fit``.

    Attributes
    ----------
    n_components : int
    owner : str
        For messages.
    missing, sparse : bool
        See ``as_matrix``.
    dtype : dtype, optional
        Of the rows; None is their own.
    n_features : int, optional
        That rows have to have.
    arguments : tuple of str
        That parts may have beside rows.
    """

    n_components: int
    owner: str
    missing: bool
    sparse: bool
    dtype: Any = None
    n_features: int | None = None
    arguments: tuple[str, ...] = ("sample_weight", "labels")

    def rows(self, part: Part) -> Rows:
        """The rows of a part as given; there may be none."""
        check_arguments(part, self.arguments)
        if is_empty(part.X):
            return Rows(self.no_rows(part))
        x = as_matrix(part.X, owner=self.owner, missing=self.missing, sparse=self.sparse)
        x = self.as_surveyed(x)
        weight, labels = part.sample_weight, part.labels
        if weight is not None:
            nothing = np.shape(weight) == (len(x),) and not np.any(weight)
            weight = np.zeros(len(x)) if nothing else as_weights(weight, len(x))
        return Rows(x, weight, labels=as_labels(labels, len(x), self.n_components))

    def weight(self, part: Part) -> Rows:
        """Rows of the weights alone."""
        rows = self.rows(part)
        return replace(rows, x=np.empty((len(rows), 1)), labels=None)

    def present(self, part: Part) -> Rows:
        """The rows of positive weight."""
        rows = without_absent(self.rows(part))
        return NumberedRows(rows.x, rows.sample_weight, labels=rows.labels, number=part.number)

    def no_rows(self, part: Part) -> RealArray:
        """Of a part that has none."""
        n_features = part.X.shape[1] if hasattr(part.X, "shape") else 0
        return np.empty((0, n_features), np.float64 if self.dtype is None else self.dtype)

    def as_surveyed(self, x: RealArray) -> RealArray:
        """The same of the reader's dtype.

        Raises
        ------
        ChangedPartsError
            It has not as many columns as in the first pass.
        """
        if self.n_features is not None and x.shape[1] != self.n_features:
            raise ChangedPartsError(
                f"X: expected parts that stay the same from pass to pass, with {self.n_features} columns as in the "
                f"first, got {x.shape[1]}"
            )
        if self.dtype is None or x.dtype == self.dtype:
            return x
        if isinstance(x, CSR):
            return cast(RealArray, replace(x, values=x.values.astype(self.dtype)))
        return x.astype(self.dtype)

    def look(self, part: Part) -> Facts:
        """What has to be known of a part."""
        return facts_of(self.rows(part), column_names(part.X), self.n_components)


# -- facts ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a part, or of several.

    Attributes
    ----------
    n_given : int
        Number of rows.
    n_rows, weight
        Of those of positive weight, here and below.
    names : list of str or None
    n_features : int
    dtype : dtype
    sparse : bool
    weighted, missing : bool
        Whether there are weights, and missing entries.
    lowest, highest : (D,) float64
        NaN of a column without numbers.
    labels : (K,)
        Rows with each label.
    """

    n_given: int
    n_rows: int
    weight: float
    names: Names
    n_features: int
    dtype: Any
    sparse: bool
    weighted: bool
    missing: bool
    lowest: Array
    highest: Array
    labels: npt.NDArray[np.intp]

    def merged(self, other: Facts) -> Facts:
        """Those of both; ``other`` is what comes later.

        Raises
        ------
        ValueError
            They have not the same columns.
        """
        if not (self.n_given and other.n_given):
            return self if self.n_given else other
        for what, mine, theirs in (
            ("columns", self.n_features, other.n_features),
            ("names of columns", self.names, other.names),
            ("kind of array, sparse or not,", self.sparse, other.sparse),
        ):
            if mine != theirs:
                raise ValueError(f"X: expected the same {what} in all parts, {mine}, got {theirs}")
        return replace(
            self,
            n_given=self.n_given + other.n_given,
            n_rows=self.n_rows + other.n_rows,
            weight=self.weight + other.weight,
            dtype=np.promote_types(self.dtype, other.dtype),
            weighted=self.weighted or other.weighted,
            missing=self.missing or other.missing,
            lowest=np.fmin(self.lowest, other.lowest),
            highest=np.fmax(self.highest, other.highest),
            labels=self.labels + other.labels,
        )


def facts_of(rows: Rows, names: Names, n_components: int) -> Facts:
    """Facts of the rows of positive weight among those given."""
    present = without_absent(rows)
    sparse = isinstance(rows.x, CSR)
    lowest = highest = np.full(rows.n_features, np.nan)
    if len(present) and not sparse:
        lowest = np.fmin.reduce(present.x, axis=0).astype(np.float64)
        highest = np.fmax.reduce(present.x, axis=0).astype(np.float64)
    labels = np.zeros(n_components, np.intp)
    if present.labels is not None:
        labels = np.bincount(present.labels[present.labels >= 0], minlength=n_components)
    return Facts(
        len(rows), len(present), present.total_weight(), names, rows.n_features, rows.x.dtype, sparse,
        rows.weighted, not sparse and has_missing(present.x), lowest, highest, labels,
    )  # fmt: skip


# -- samples -------------------------------------------------------------------------------------


def rows_in_sample(n_features: int, n_components: int) -> int:
    """How many rows a start is made from at most, about."""
    return max(min(_SAMPLED_ROWS, _SAMPLED_ENTRIES // n_features), 64 * n_components)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Rows of a part, each drawn with the probability of its label, (K + 1,), unlabelled last, and weighted up."""

    reader: Reader
    shares: Array
    seed: int

    def __call__(self, part: Part) -> tuple[int, Rows]:
        """The number of rows, and those that were drawn."""
        rows = self.reader.present(part)
        if (self.shares == 1).all():
            return len(rows), rows
        keys = np.random.default_rng([self.seed, part.number]).random(len(rows))
        labels = np.full(len(rows), -1) if rows.labels is None else rows.labels
        share = self.shares[labels]
        weight = (1.0 if rows.sample_weight is None else rows.sample_weight) / share
        return len(rows), replace(rows, sample_weight=weight).take(np.flatnonzero(keys < share))


# -- all parts -----------------------------------------------------------------------------------


class InParts:
    """Rows in parts, looked through once when this is made.

    Parameters
    ----------
    parts : Parts[Part]
    reader : Reader
    random_state : RandomState or Generator
        Drawn from only if memory does not hold all rows.

    Raises
    ------
    ValueError, TypeError
        A part holds what ``fit`` does not take, or other columns than the first; the message has its number, from 0.
    """

    resumable = True

    def __init__(self, parts: Parts[Part], reader: Reader, random_state: Any) -> None:
        self.facts = _surveyed(parts, reader)
        self.names = self.facts.names
        self._parts = parts
        self._reader = replace(reader, dtype=self.facts.dtype, n_features=self.facts.n_features)
        self._present = parts.then(self._reader.present)
        self._random_state = random_state
        self._sizes: dict[int, int] | None = None

    def __len__(self) -> int:
        return self.facts.n_rows

    @property
    def n_features(self) -> int:
        return self.facts.n_features

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.facts.dtype
        return dtype

    @property
    def weighted(self) -> bool:
        return self.facts.weighted

    @property
    def n_rows_read(self) -> int | None:
        return self.facts.n_rows

    def total_weight(self) -> float:
        return self.facts.weight

    def family(self, choose: Choose, check: Check = check_support) -> Any:
        self._check_observed()
        try:
            family = choose(self.some().x, self.names)
        except (ValueError, TypeError):
            _exhaust(self._parts.map(_Chosen(self._reader, choose, self.names)))  # which part it is
            raise
        if hasattr(family, "check"):
            _exhaust(self._parts.map(_Checked(self._reader, family, check, self.names)))
        return family

    def check_all_occur(self) -> None:
        """Where every row has a label, every label has a row."""
        if self.facts.labels.sum() == len(self):
            check_counts(self.facts.labels)

    def some(self) -> Rows:
        return Rows(np.stack([self.facts.lowest, self.facts.highest]))

    def sample(self) -> Rows:
        return self._sampled(self._reader, self.facts.labels)

    def everywhere(self) -> Everywhere | None:
        return None if len(self) <= self._most() else self.over

    def _most(self) -> int:
        return rows_in_sample(self.n_features, self._reader.n_components)

    def _sampled(self, reader: Reader, labels: npt.NDArray[np.intp]) -> Rows:
        """Rows as a reader has them, with these numbers (K,) of rows with labels."""
        shares, seed = np.ones(reader.n_components + 1), 0
        if len(self) > self._most():
            share = self._most() / len(self)
            with_label = np.maximum(labels, 1)
            shares[:-1] = np.minimum(1.0, np.maximum(share, _OF_EACH_LABEL / with_label))
            shares[-1] = share
            seed = seed_from(self._random_state)
        found = list(named(self._parts.map(_Drawn(reader, shares, seed))))
        self._check_same(sum(n for n, _ in found))
        drawn = joined([rows for _, rows in found if len(rows)])
        if len(self) <= self._most():
            return drawn
        return self._standing_for_all(drawn)

    def _standing_for_all(self, drawn: Rows) -> Rows:
        """With weights that do so not only in expectation."""
        assert drawn.sample_weight is not None
        scale = self.total_weight() / drawn.total_weight()
        return replace(drawn, sample_weight=scale * drawn.sample_weight)

    def pooled(self, family: Any, /) -> Any:
        return pooled_over(family, self.n_features, self.facts.missing, self.over)

    def expectation(self, model: Mixture[Any, Any]) -> Expectation[Any, Any]:
        return expectation_over(model, self._present, len(self))

    def batches(
        self, model: Mixture[Any, Any], size: int, seed: int, bind: Bind
    ) -> Iterator[Batch]:
        if not isinstance(self._present, LocalParts):
            there = cast(Parts[NumberedRows], self._present)
            if self._sizes is None:
                self._sizes = sizes_of(there)
            return batches_there(model, there, self._sizes, size, seed)
        window = max(_HELD_ENTRIES // self.n_features, size)
        parts = self._present
        if len(self) > window:
            parts = parts.shuffled(np.random.default_rng(seed))
        return made_here(shuffled_batches(self._read(parts), size, window, seed), bind)

    def _read(self, parts: LocalParts[Rows]) -> Iterator[Rows]:
        """The rows of each part, brought here."""
        found = 0
        try:
            for rows in parts.map(lambda rows: rows):
                found += len(rows)
                yield rows
        except (ValueError, TypeError):
            _exhaust(self._present.map(len))  # which part it is, as they are numbered
            raise
        self._check_same(found)

    def over(self, function: Callable[[Rows], R]) -> Iterator[R]:
        return over_parts(self._present, function, len(self))

    def numbered(self, error: NumericalError) -> NumericalError:
        if not (isinstance(error, ImpossibleRowError) and self.weighted):
            return error
        weights = islice(self._parts.map(self._reader.weight), error.part, None)
        return numbered_as_given(error, next(weights))

    def _check_same(self, n_rows: int) -> None:
        check_same(n_rows, len(self))

    def _check_observed(self) -> None:
        """See ``arrays.check_observed``."""
        if not self.facts.sparse:
            check_observed(self.some().x[:1], self.names)


def rows_of_parts(estimator: Any, X: Any, **given: Any) -> InParts | None:
    """The rows of a fit to ``X``, if it comes in parts.

    Parameters
    ----------
    estimator : mixture
    X : what users pass
    **given
        Arguments of ``fit`` of which parts have their own.

    Raises
    ------
    ValueError, TypeError
        See ``InParts`` and ``streams.as_parts``.
    """
    parts = as_parts(X, get_num_threads(estimator.n_threads))
    if parts is None:
        return None
    refuse_beside(given)
    reader = Reader(
        estimator.n_components, type(estimator).__name__,
        estimator._takes_missing(), estimator._takes_sparse(), arguments=tuple(given),
    )  # fmt: skip
    rows = InParts(parts, reader, random_generator(estimator.random_state))
    rows.check_all_occur()
    return rows


def _surveyed(parts: Parts[Part], reader: Reader) -> Facts:
    facts: Facts | None = None
    for number, found in enumerate(named(parts.map(reader.look))):
        try:
            facts = found if facts is None else facts.merged(found)
        except ValueError as error:
            error.args = (f"part {number}: {error}",)
            raise
    if facts is None or not facts.n_given:
        raise ValueError("X: expected at least one row in at least one part, got none")
    if not facts.n_rows:
        raise ValueError(
            "sample_weight: expected a positive weight in at least one row, got only zeros"
        )
    return facts


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A family for the rows of a part alone, where what is missing may be anything."""

    reader: Reader
    choose: Choose
    names: Names

    def __call__(self, part: Part) -> None:
        rows = self.reader.rows(part)
        if len(without_absent(rows)):
            self.choose(np.nan_to_num(absent_replaced(rows)), self.names)


@dataclass(frozen=True, slots=True)
class _Checked:
    reader: Reader
    family: Any
    check: Check
    names: Names

    def __call__(self, part: Part) -> None:
        rows = self.reader.rows(part)
        if len(without_absent(rows)):
            self.check(self.family, absent_replaced(rows), self.names)


def _exhaust(results: Iterator[Any]) -> None:
    for _ in named(results):
        pass
