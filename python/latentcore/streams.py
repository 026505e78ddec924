"""Batches of rows from files, arrays and iterables: what is fitted out of core, or learned from as it comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from latentcore.parts import LocalParts, Part, Parts
from latentcore.sources import Chosen, Files, Items, Slices, is_arrow, is_matrix, mapped, opened

__all__ = [
    "Batches",
    "as_batches",
    "as_parts",
    "check_arguments",
    "for_each_batch",
    "for_each_part",
    "is_empty",
    "refuse_beside",
]

_BATCH_SIZE = 1 << 16


class Batches:
    """Rows in batches, read when they are asked for, and no more of them held than are at work.

    ``fit`` takes it in place of a matrix, and reads it once for each iteration; ``partial_fit`` takes it too, and makes
    a step for each batch. Iterating gives the batches, each a ``latentcore.parts.Part``.

    Parameters
    ----------
    source : path, array, pyarrow Dataset or Table, callable, or iterable
        The path of a Parquet file, of an Arrow or Feather file, or of a folder of such (``.parquet``, ``.feather``,
        ``.arrow``), in which other files do not count, nor those whose names begin with a dot or an underscore; of a
        matrix in a ``.npy`` file, which is mapped into memory; a matrix or data frame; a function that returns an
        iterator over batches from the first on, each time; or anything that can be iterated over, of which each item is
        a batch: a matrix, a data frame, an Arrow table or record batch, a list of sequences, or a ``Part``. A generator
        and other iterators can be gone through once: enough for ``partial_fit``.
    batch_size : int
        Rows of a batch of files and matrices; the last two share what is left. The batches of iterables are as they
        come.
    columns : sequence of str, optional
        The columns to learn from. Of files, None is all columns of numbers but the three below; of data frames in an
        iterable, all columns but these.
    sample_weight, labels, groups : str, optional
        Columns that hold these arguments of ``fit``. A missing label is unknown. To models of sequences ``groups``
        tells where they begin; batches may end within one, which waits in memory for its end. Without, an item of an
        iterable is a sequence, unless it is a list of sequences or a ``Part`` that says where they begin, and ``fit``
        refuses batches of files and matrices.

    Raises
    ------
    ValueError, TypeError
        No such source, column or batch size.
    FileNotFoundError
        No such file.

    Notes
    -----
    Parquet and Arrow files need pyarrow. Missing entries of files are NaN. Of a Parquet file a few row groups are held
    at a time, whatever the size of the batches.
    """

    def __init__(
        self,
        source: Any,
        *,
        batch_size: int = _BATCH_SIZE,
        columns: Sequence[str] | None = None,
        sample_weight: str | None = None,
        labels: str | None = None,
        groups: str | None = None,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer):
            raise TypeError(f"batch_size: expected an integer >= 1, got {batch_size!r}")
        if batch_size < 1:
            raise ValueError(f"batch_size: expected an integer >= 1, got {batch_size!r}")
        if isinstance(columns, str):
            raise TypeError(f"columns: expected a sequence of names, got the string {columns!r}")
        if columns is not None and not 0 < len(set(columns)) == len(columns):
            raise ValueError(f"columns: expected at least one name, each once, got {columns!r}")
        special = {"sample_weight": sample_weight, "labels": labels, "groups": groups}
        self._chosen = Chosen(
            None if columns is None else list(columns),
            {argument: name for argument, name in special.items() if name is not None},
        )
        self._watch: Callable[[Iterator[Part]], Iterator[Part]] | None = None
        self._once = False
        self._begun = False
        self._cut = isinstance(source, str | os.PathLike) or _is_table(source)
        self._open = self._opener(source, int(batch_size))

    @property
    def once(self) -> bool:
        """Whether the source can be gone through a single time."""
        return self._once

    @property
    def cut(self) -> bool:
        """Whether batches are cut out of one table, so that their borders fall anywhere."""
        return self._cut

    @property
    def has_groups(self) -> bool:
        """Whether a column tells the sequences."""
        return "groups" in self._chosen.special

    def __iter__(self) -> Iterator[Part]:
        if self._once and self._begun:
            raise ValueError("source: expected batches that are left, got an iterator used before")
        self._begun = True
        yield from self._numbered(self._open())

    def watched(self, watch: Callable[[Iterator[Part]], Iterator[Part]]) -> Batches:
        """The same batches, which go through ``watch`` in each pass: it may count them, and has to give them on."""
        watched = copy(self)
        watched._watch = watch
        return watched

    def _numbered(self, items: Iterable[Any]) -> Iterator[Part]:
        parts = (replace(self._chosen(item), number=number) for number, item in enumerate(items))
        return parts if self._watch is None else self._watch(parts)

    def parts(self, n_threads: int = 1) -> LocalParts[Part]:
        """The same as ``Parts``, which are gone through again and again.

        Raises
        ------
        ValueError
            The source can be gone through once only.
        """
        if self._once:
            raise ValueError(
                "X: expected batches that can be gone through again and again, as each iteration of a fit does, got "
                "an iterator; pass a list, or a function that returns a fresh iterator (or use partial_fit)"
            )
        source = self._open
        if not isinstance(source, Files | Items | Slices):
            return LocalParts(self.__iter__, n_threads)
        return LocalParts(
            self.__iter__, n_threads, reordered=lambda rng: self._numbered(source.shuffled(rng))
        )

    def _opener(self, source: Any, size: int) -> Callable[[], Iterable[Any]]:
        if isinstance(source, str | os.PathLike):
            path = Path(source)
            if path.suffix == ".npy":
                return Slices(mapped(path), size)
            return opened(path, size, self._chosen)
        if is_arrow(source, "Dataset"):
            return Files(source, size, self._chosen)
        if isinstance(source, Batches):
            raise TypeError("source: expected where batches come from, got Batches")
        if is_matrix(source):
            return Slices(source, size)
        if callable(source):
            return source  # type: ignore[no-any-return]
        if hasattr(source, "__next__"):
            self._once = True
            return lambda: source
        if isinstance(source, Sequence):
            return Items(source)
        if hasattr(source, "__iter__"):
            return lambda: source
        raise TypeError(
            "source: expected a path, a matrix, a function that returns an iterator, or an iterable of batches, got "
            f"{type(source).__name__}"
        )


def as_batches(X: Any, *, lists: bool = True) -> Batches | None:
    """Batches that ``partial_fit`` makes steps of, one after the other; None of a single batch.

    Parameters
    ----------
    X : what users pass
        What can be gone through once may come too.
    lists : bool
        Whether a list of matrices is one of batches; to models of sequences it is a list of sequences.
    """
    if isinstance(X, np.ndarray | Batches):
        return X if isinstance(X, Batches) else None
    return Batches(X) if _holds_batches(X, lists) else None


def as_parts(X: Any, n_threads: int = 1, *, lists: bool = True) -> Parts[Part] | None:
    """Parts that ``fit`` goes over, where ``X`` is not one matrix in memory; else None.

    Parts as they are; ``Batches`` and what they are made of: paths of files, pyarrow Datasets, functions, iterables
    that are no arrays, lists of ``Part``, and lists of matrices or of data frames if ``lists``.

    Raises
    ------
    ValueError
        An iterator, which could be gone through once only.
    """
    if hasattr(X, "then") and hasattr(X, "map"):
        return X  # type: ignore[no-any-return]
    batches = as_batches(X, lists=lists)
    return None if batches is None else batches.parts(n_threads)


def for_each_batch(
    X: Any, learn: Callable[[Part], Any], *, lists: bool = True, **given: Any
) -> bool:
    """Let ``learn`` have each of the batches that ``X`` is, one after the other; False if it is a single one.

    Parameters
    ----------
    X : what users pass
    learn : callable
    lists : bool
        See ``as_batches``.
    **given
        What was passed beside ``X``; batches have their own, and no others.

    Raises
    ------
    ValueError, TypeError, ArithmeticError
        What ``learn`` raises, with the number of the batch, from 0, before the message; or something was passed beside
        batches, or a batch has what cannot be passed.
    """
    batches = as_batches(X, lists=lists)
    if batches is None:
        return False
    refuse_beside(given)

    def learn_checked(part: Part) -> None:
        check_arguments(part, given)
        learn(part)

    for_each_part(batches, learn_checked)
    return True


def for_each_part(parts: Iterable[Part], learn: Callable[[Part], Any]) -> None:
    """Let ``learn`` have each part that has rows.

    Raises
    ------
    ValueError, TypeError, ArithmeticError
        What ``learn`` raises, with the number of the batch, from 0, before the message; or there is no part.
    """
    part = None
    for part in parts:
        try:
            if not is_empty(part.X):
                learn(part)
        except (ValueError, TypeError, ArithmeticError) as error:
            error.args = (f"batch {part.number}: {error}",)
            raise
    if part is None:
        raise ValueError("X: expected at least one batch, got none (was the iterator used before?)")


def refuse_beside(given: dict[str, Any]) -> None:
    """Raise ``ValueError`` for what is passed beside data in parts or batches."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name}: expected None with X in parts, each of which has its own (see latentcore.Batches), "
                f"got {type(value).__name__}"
            )


def check_arguments(part: Part, names: Iterable[str]) -> None:
    """Raise ``ValueError`` if a part has, beside rows, what is none of these arguments."""
    for name in ("sample_weight", "labels", "lengths", "groups"):
        if name not in names and getattr(part, name) is not None:
            raise ValueError(f"{name}: expected None, as this model takes no {name}, got some")


def _holds_batches(X: Any, lists: bool) -> bool:
    if isinstance(X, str | os.PathLike):
        return True
    if isinstance(X, list | tuple):
        return bool(X) and (isinstance(X[0], Part) or (lists and is_matrix(X[0])))
    if is_arrow(X, "Dataset") or (callable(X) and not is_matrix(X)):
        return True
    is_array = (
        isinstance(X, Sequence | Set | Mapping) or hasattr(X, "__array__") or hasattr(X, "shape")
    )
    return isinstance(X, Iterable) and not is_array


def _is_table(X: Any) -> bool:
    return is_arrow(X, "Dataset") or is_matrix(X)


def is_empty(X: Any) -> bool:
    """Whether this is a matrix, data frame or list without rows."""
    return (is_matrix(X) and X.shape[0] == 0) or (isinstance(X, list | tuple) and not X)
