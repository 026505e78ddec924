"""Batches of rows from a stream, and a model that learns from them."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from latentcore.cli.cells import number
from latentcore.cli.columns import numbered
from latentcore.cli.lines import Lines, StreamError
from latentcore.cli.models import OF_TEXTS, AnyHMM, AnyMixture, SavedModel, write
from latentcore.cli.progress import StreamProgress
from latentcore.cli.records import (
    BadCell,
    Cell,
    Fields,
    Format,
    as_text,
    matrix_of,
    records_of,
    texts_of,
)
from latentcore.cli.tables import Table
from latentcore.estimators.online import Online, Stream, resolved
from latentcore.protocols import Array
from latentcore.rules.steps import StepSize

__all__ = ["Description", "Learner", "set_online"]

_TOLD = 5
"""Bad rows that are told of, before they are only counted."""
_LATE = 20
"""Batches whose bounds the status is a mean of."""


@dataclass(frozen=True, slots=True)
class Description:
    """A model to begin with.

    Attributes
    ----------
    make : (table) -> estimator
        From the first batch; but for mixed columns an empty table does.
    columns : list of str, optional
    family : str
    """

    make: Callable[[Table], AnyMixture | AnyHMM]
    columns: list[str] | None
    family: str

    def check(self, path: Path, model: Any) -> None:
        """Raise ``ValueError`` if the model of a file is not one like this."""
        if self.family == "mixed":
            return  # its columns would tell
        like: Any = self.make(Table(np.empty((0, 0)), None))
        if type(like) is not type(model):
            raise ValueError(
                f"{path}: expected options for its {type(model).__name__}, got those of a "
                f"{type(like).__name__}"
            )
        for name, option in (("n_components", "-k"), ("covariance_type", "--covariance")):
            expected, got = getattr(model, name, None), getattr(like, name, None)
            if expected != got:
                raise ValueError(f"{option}: expected {expected}, as {path} has it, got {got}")


def set_online(
    saved: SavedModel,
    changes: Mapping[str, Any],
    group_by: str | None,
    weight_by: str | None,
) -> None:
    """Change how a model learns from a stream; without sequences of its own, a chain learns from an endless one.

    Raises
    ------
    ValueError
        The model cannot learn so.
    """
    model: Any = saved.model
    if saved.is_hmm and group_by is None:
        if weight_by is not None:
            raise ValueError(
                "--weight-by: expected --group-by beside it, as hidden Markov models weigh whole sequences, got none"
            )
        if hasattr(model, "online"):
            changes = {**changes, "horizon": "endless"}
        else:
            model.set_params(horizon="endless")
    if changes and not hasattr(model, "online"):
        option = next(iter(changes)).replace("_", "-")
        raise ValueError(f"--{option}: not for {type(model).__name__}")
    if changes:
        model.set_params(online=replace(resolved(model.online), **changes))


class Learner:
    """Makes batches of rows, learns from them, and saves the model.

    A batch has ``batch_size`` rows, or the fewest whole sequences with as many. What is pending when a stream stops or
    fails is left for the next run where the rows are in files, and learned at once where they would be lost. A batch
    that is shorter counts less, unless the step size is automatic: each of its rows counts as much as those of others.

    Parameters
    ----------
    out : Path
        Where the model is saved, with the number of rows that need not be read again.
    saved : SavedModel, or None
        The model to go on with.
    description : Description, or None
        The model to make, if there is none.
    is_live : bool
        Whether rows that have been read are lost.
    show : callable
    greeting : str
        To be told once it is clear that the stream is one for the model.
    batch_size, snapshot_every : int
    online : dict
        Arguments of ``Online`` for a new model.
    group_by, labels, weight_by : str, optional
        Columns of sequences, whose rows come one after the other, of known components, and of weights.
    on_error : {"stop", "skip"}
        What a bad row does.
    """

    def __init__(
        self,
        out: Path,
        saved: SavedModel | None,
        description: Description | None,
        is_live: bool,
        show: StreamProgress,
        greeting: str,
        batch_size: int,
        snapshot_every: int,
        online: Mapping[str, Any],
        group_by: str | None,
        labels: str | None,
        weight_by: str | None,
        on_error: Literal["stop", "skip"],
    ) -> None:
        self.saved = saved
        self.n_read = 0
        self.n_learned = 0
        self.n_batches = 0
        self.n_bad = 0
        self._out = out
        self._description = description
        self._is_live = is_live
        self._show = show
        self._greeting = greeting
        self._batch_size = batch_size
        self._snapshot_every = snapshot_every
        self._online = online
        self._group_by = group_by
        self._labels = labels
        self._weight_by = weight_by
        self._skips = on_error == "skip"
        self._names: list[str] | None = None
        self._pending: list[_Row] = []
        self._since = 0.0
        self._n_saved = 0

    # -- rows ---------------------------------------------------------------------------------------------------------

    def read(self, lines: Lines, format_: Format | None, n_skipped: int) -> None:
        """Learn from the rows of a source, but not from the first of the stream."""
        names, records = records_of(lines.name, lines, format_, self._fields())
        if self._names is None:
            self._names = names
        if self._greeting:
            print(self._greeting, file=sys.stderr)
            self._greeting = ""
        for record in records:
            self.n_read += 1
            if self.n_read <= n_skipped:
                continue
            row = _Row(lines.name, record.line, self.n_read - 1, record.cells, *record.beside)
            if record.complaint is None:
                self._take(row)
            else:
                self._complain(row, record.complaint, self._pending)

    def _fields(self) -> Fields:
        beside = (self._group_by, self._labels, self._weight_by)
        if self.saved is not None:
            width = self.saved.model.n_features_in_
            return Fields(self.saved.column_names(), beside, width, self.saved.names() is not None)
        assert self._description is not None
        return Fields(self._names or self._description.columns, beside)

    def _take(self, row: _Row) -> None:
        grouped = self._group_by is not None
        if grouped and _is_blank(row.key):
            complaint = f"column {self._group_by!r}: expected the name of a sequence, got nothing"
            self._complain(row, complaint, self._pending)
            return
        if grouped and len(self._pending) >= self._batch_size and row.key != self._pending[-1].key:
            self.flush(self._batch_size)
        if not self._pending:
            self._since = monotonic()
        self._pending.append(row)
        if not grouped and len(self._pending) >= self._batch_size:
            self.flush(self._batch_size)

    def patience(self, seconds: float | None) -> Callable[[], float | None]:
        """How many seconds the oldest pending row may still wait; None: as long as it takes."""

        def left() -> float | None:
            if seconds is None or not self._pending:
                return None
            return max(0.0, self._since + seconds - monotonic())

        return left

    def _complain(self, row: _Row, complaint: str, before: list[_Row]) -> None:
        """Pass over a bad row; or end, with what is pending before it where that would be lost."""
        message = f"{row.source}: line {row.line}: {complaint}"
        if self._skips:
            self.n_bad += 1
            if self.n_bad <= _TOLD:
                print(f"latentcore: warning: {message}; left out", file=sys.stderr)
            return
        self._pending = before
        if self._is_live:
            self.flush()
        self.n_read = row.ordinal
        raise StreamError(message)

    # -- batches ------------------------------------------------------------------------------------------------------

    def flush(self, fewest: int = 1) -> None:
        """Learn from what is pending, if so many rows are left when bad ones are out."""
        while len(self._pending) >= fewest:
            found = self._attempt(self._pending)
            if found is None:
                self._pending = []
            else:
                row = self._pending[found.row]
                self._complain(row, found.complaint, self._pending[: found.row])
                del self._pending[found.row]
        if self.n_learned - self._n_saved >= self._snapshot_every:
            self.snapshot()

    def _attempt(self, rows: Sequence[_Row]) -> BadCell | None:
        """Make a step; if there is a bad row, make none."""
        saved = self.saved or self._begin(rows)
        data, bad = matrix_of([row.cells for row in rows], self._columns(rows), saved.categories)
        if bad is not None:
            return bad
        arguments: dict[str, Any] = {}
        if self._labels is not None:
            known = _labels(rows, self._labels, saved.classes, saved.model.n_components)
            if isinstance(known, BadCell):
                return known
            arguments["labels"], classes = known
            saved = saved._replace(classes=classes)
        if saved.is_hmm and self._group_by is None:
            arguments["continues"] = _goes_on(saved.model)
        elif saved.is_hmm:
            arguments["lengths"] = _lengths([row.key for row in rows])
        if self._weight_by is not None:
            weights = _weights(rows, self._weight_by, saved.is_hmm)
            if isinstance(weights, BadCell):
                return weights
            if not weights.any():
                return None  # rows of weight 0 are absent
            arguments["sample_weight"] = weights
        names = self._names if self.saved is None else saved.names()
        try:
            self._step(saved.model, Table(data, names), arguments)
        except (ValueError, TypeError) as error:
            return _blamed(rows, error, arguments.get("lengths"))
        self.saved = saved
        self.n_learned += len(rows)
        self.n_batches += 1
        self._tell(saved.model)
        return None

    def _step(self, model: Any, table: Table, arguments: dict[str, Any]) -> None:
        share = len(table.data) / self._batch_size
        online = getattr(model, "online", None)
        how = resolved(online)
        if share >= 1 or not hasattr(model, "online") or how.step_size == "auto":
            model.partial_fit(table, **arguments)
            return
        try:
            model.set_params(online=replace(how, step_size=_Share(how, share)))
            model.partial_fit(table, **arguments)
        finally:
            model.set_params(online=online)

    def _begin(self, rows: Sequence[_Row]) -> SavedModel:
        """A new model for the first batch."""
        assert self._description is not None
        cells = [row.cells for row in rows]
        columns = self._columns(rows)
        takes_texts = self._description.family in OF_TEXTS
        categories = texts_of(cells, columns) if takes_texts else {}
        data, _ = matrix_of(cells, columns, categories)
        model = self._description.make(Table(data, self._names, categories))
        saved = SavedModel(model, categories, None, self._group_by)
        set_online(saved, self._online, self._group_by, self._weight_by)
        return saved

    def _columns(self, rows: Sequence[_Row]) -> list[str]:
        if self.saved is not None:
            return self.saved.column_names()
        return self._names or numbered(len(rows[0].cells))

    def _tell(self, model: Any) -> None:
        if model.__dict__.get("lower_bounds_"):
            bound = float(np.mean(model.lower_bounds_[-_LATE:]))
            self._show(self.n_learned, bound, _stream_of(model).eta)

    def snapshot(self) -> None:
        """Save the model, if it has learned anything since the last time."""
        if self.saved is None or self.n_learned == self._n_saved:
            return
        n_read = self._pending[0].ordinal if self._pending else self.n_read
        write(self._out, self.saved._replace(rows_read=n_read))
        self._n_saved = self.n_learned


class _Row(NamedTuple):
    source: str
    line: int
    ordinal: int
    """How many records came before it."""
    cells: Sequence[Cell]
    key: Cell = None
    label: Cell = None
    weight: Cell = None


@dataclass(frozen=True, slots=True)
class _Share:
    """The step size for a batch that is only this share of one."""

    online: Online
    share: float

    def __call__(self, step: int) -> float:
        schedule: StepSize = self.online.schedule()
        return schedule(step) * self.share


# -- inside ------------------------------------------------------------------------------------------------------------


def _is_blank(cell: Cell) -> bool:
    value = number(as_text(cell) or "")
    return value is not None and math.isnan(value)


def _goes_on(model: Any) -> bool:
    """Whether there was a block of the sequence before."""
    stream = _stream_of(model)
    return stream.exit is not None or bool(stream.waiting)


def _stream_of(model: Any) -> Stream:
    """Where in the stream a model is."""
    found: Stream = model.__dict__.get("_stream", Stream())
    return found


def _lengths(keys: Sequence[Cell]) -> npt.NDArray[np.int64]:
    """Of the runs of equal keys."""
    begins = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
    return np.diff([*begins, len(keys)]).astype(np.int64)


def _labels(
    rows: Sequence[_Row], column: str, classes: list[str] | None, n_components: int
) -> tuple[npt.NDArray[np.int64], list[str] | None] | BadCell:
    """Known components (N,), -1 where unknown, and the names of the classes, in the order in which they came."""
    names = list(classes or [])
    known = np.full(len(rows), -1)
    for i, row in enumerate(rows):
        text = (as_text(row.label) or "").strip()
        value = number(text)
        if value is not None and math.isnan(value):
            continue
        if value is None and text not in names and len(names) < n_components:
            names.append(text)
        if text in names:
            known[i] = names.index(text)
        elif value is not None and not names and value in range(-1, n_components):
            known[i] = int(value)
        else:
            expected = f"one of {', '.join(names)}" if names else f"0 to {n_components - 1}"
            complaint = (
                f"column {column!r}: expected a label, {expected}, or nothing, got {text[:40]!r}"
            )
            return BadCell(i, complaint)
    return known, names or None


def _weights(rows: Sequence[_Row], column: str, of_sequences: bool) -> Array | BadCell:
    """(N,), the same in all rows of a sequence."""
    weights = np.empty(len(rows))
    for i, row in enumerate(rows):
        text = (as_text(row.weight) or "").strip()
        value = number(text)
        if value is None or not 0 <= value < math.inf:
            complaint = f"expected a weight, a finite number >= 0, got {text[:40]!r}"
            return BadCell(i, f"column {column!r}: {complaint}")
        if of_sequences and i and row.key == rows[i - 1].key and value != weights[i - 1]:
            complaint = f"expected one weight in all rows of a sequence, {weights[i - 1]:g} as before, got {value:g}"
            return BadCell(i, f"column {column!r}: {complaint}")
        weights[i] = value
    return weights


def _blamed(
    rows: Sequence[_Row], error: Exception, lengths: npt.NDArray[np.int64] | None
) -> BadCell:
    """The row that a message names.

    Raises
    ------
    StreamError
        It names none: nobody knows what to leave out.
    """
    message = str(error)
    named = re.search(r"\b(?:in )?row (\d+)\b[:,]? ?", message)
    step = re.search(r"\bsequence (\d+), step (\d+)\b[:,]? ?", message)
    index = len(rows)
    if step is not None:
        before = 0 if lengths is None else int(lengths[: int(step[1])].sum())
        index, named = before + int(step[2]), step
    elif named is not None:
        index = int(named[1])
    if named is not None and index < len(rows):
        return BadCell(index, message.replace(named[0], "", 1).removeprefix("X: "))
    first, last = rows[0], rows[-1]
    where = f"{first.source}: lines {first.line} to {last.line}"
    if first.source != last.source:
        where = f"{first.source}: line {first.line}, to {last.source}: line {last.line}"
    raise StreamError(f"{where}: {message}") from None
