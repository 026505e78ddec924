"""Batches of sequences: of whole ones to fit to, or to learn from as they come; and of one without an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latentcore.estimators.checks import boolean
from latentcore.estimators.online import Stream
from latentcore.parts import LocalParts, Part, Parts
from latentcore.regrouping import n_rows_of, regrouped
from latentcore.streams import Batches, as_batches, as_parts, for_each_part, refuse_beside

__all__ = ["check_continues", "for_each_batch", "learn_from", "whole_parts"]


def whole_parts(X: Any, n_threads: int) -> Parts[Part] | None:
    """Parts of whole sequences that ``fit`` goes over; None where ``X`` is in memory.

    Batches whose rows have ``groups`` may end within a sequence. Without, each batch is a sequence, unless it has
    ``lengths`` or is a list.

    Raises
    ------
    ValueError
        Batches are cut out of one table, and do not say where sequences begin; or they come from an iterator.
    """
    if hasattr(X, "then") and hasattr(X, "map"):
        return as_parts(X)
    batches = as_batches(X, lists=False)
    if batches is None:
        return None
    parts = batches.parts(n_threads)
    _refuse_cut(batches)
    return LocalParts(lambda: regrouped(parts.open()), n_threads)


def for_each_batch(
    X: Any,
    learn: Callable[[Part, bool], Any],
    *,
    continues: bool,
    begun: bool,
    **given: Any,
) -> bool:
    """Let ``learn`` have each of the batches that ``X`` is, one after the other; False if it is a single one.

    Parameters
    ----------
    X : what users pass
    learn : part, continues -> None
        ``continues`` says whether the part goes on where the one before ended.
    continues : bool
        Whether the first batch goes on where the stream ended, if it has ``begun``; and each batch where the one before
        ended, if they do not say where sequences begin.
    begun : bool
    **given
        What was passed beside ``X``; batches have their own.

    Raises
    ------
    ValueError, TypeError, ArithmeticError
        See ``streams.for_each_part``; batches are cut out of one table that is not told to be one sequence.
    """
    batches = as_batches(X, lists=False)
    if batches is None:
        return False
    refuse_beside(given)
    if not continues:
        _refuse_cut(batches)

    def step(part: Part) -> None:
        nonlocal begun
        if n_rows_of(part.X):
            learn(part, continues and begun)
            begun = part.groups is None

    for_each_part(regrouped(batches), step)
    return True


def check_continues(continues: Any, endless: bool, asked: str) -> None:
    """Raise for ``continues`` that is no bool, or True without an ``endless`` horizon, which is to be asked for so."""
    if boolean("continues", continues) and not endless:
        raise ValueError(
            f"continues: expected True only with {asked}, which weighs rows, "
            "got True with horizon='batch', which weighs whole sequences"
        )


def learn_from(
    estimator: Any,
    learn: Callable[[Any, Part, float | None, bool], None],
    given: Part,
    total_weight: float | None,
    continues: bool,
) -> None:
    """What ``partial_fit`` does: ``learn`` from what was given, or from each of the batches that ``given.X`` is."""

    def learn_part(part: Part, goes_on: bool) -> None:
        learn(estimator, part, total_weight, goes_on)

    stream: Stream = estimator.__dict__.get("_stream", Stream())
    begun = stream.exit is not None or bool(stream.waiting)
    beside = {
        name: getattr(given, name) for name in ("lengths", "groups", "sample_weight", "labels")
    }
    if not for_each_batch(given.X, learn_part, continues=continues, begun=begun, **beside):
        learn_part(given, continues)


def _refuse_cut(batches: Batches) -> None:
    if batches.cut and not batches.has_groups:
        raise ValueError(
            "X: expected batches that say where sequences begin, got batches cut out of one table: name the column "
            "that tells the sequences, latentcore.Batches(..., groups=...), or pass an iterable of sequences (one "
            "sequence that memory does not hold can be learned from by partial_fit(..., continues=True), or fitted as "
            "an array that is mapped into memory, numpy.load(..., mmap_mode='r'))"
        )
