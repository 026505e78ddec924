"""Batches of rows from files, arrays and iterables: what is fitted out of core, or learned from as it comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.arrays import column_names, is_missing
from latentcore.parts import LocalParts, Part, Parts

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
_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".feather": "ipc", ".arrow": "ipc", ".ipc": "ipc"}  # fmt: skip
_READ_AHEAD = 2
"""Batches that pyarrow may read before they are asked for."""


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
        Rows of a batch of files and matrices. The batches of iterables are as they come.
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
        self._chosen = _Chosen(
            None if columns is None else list(columns),
            {argument: name for argument, name in special.items() if name is not None},
        )
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
        for number, item in enumerate(self._open()):
            yield replace(self._chosen(item), number=number)

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
        return LocalParts(self.__iter__, n_threads)

    def _opener(self, source: Any, size: int) -> Callable[[], Iterable[Any]]:
        if isinstance(source, str | os.PathLike):
            path = Path(source)
            if path.suffix == ".npy":
                return _slices(_mapped(path), size)
            return _opened(path, size, self._chosen)
        if _is_arrow(source, "Dataset"):
            return _Files(source, size, self._chosen)
        if isinstance(source, Batches):
            raise TypeError("source: expected where batches come from, got Batches")
        if _is_matrix(source):
            return _slices(source, size)
        if callable(source):
            return source  # type: ignore[no-any-return]
        if hasattr(source, "__next__"):
            self._once = True
            return lambda: source
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
        What ``learn`` raises, with the number of the batch, from 0, before the message.
    """
    for part in parts:
        try:
            if not is_empty(part.X):
                learn(part)
        except (ValueError, TypeError, ArithmeticError) as error:
            error.args = (f"batch {part.number}: {error}",)
            raise


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
        return bool(X) and (isinstance(X[0], Part) or (lists and _is_matrix(X[0])))
    if _is_arrow(X, "Dataset") or (callable(X) and not _is_matrix(X)):
        return True
    is_array = (
        isinstance(X, Sequence | Set | Mapping) or hasattr(X, "__array__") or hasattr(X, "shape")
    )
    return isinstance(X, Iterable) and not is_array


def _is_table(X: Any) -> bool:
    return _is_arrow(X, "Dataset") or _is_matrix(X)


def _is_matrix(X: Any) -> bool:
    """Whether this is what holds rows and columns: an array, a sparse one or a data frame."""
    return len(getattr(X, "shape", ())) == 2


def is_empty(X: Any) -> bool:
    """Whether this is a matrix, data frame or list without rows."""
    return (_is_matrix(X) and X.shape[0] == 0) or (isinstance(X, list | tuple) and not X)


# -- files ---------------------------------------------------------------------------------------


def _mapped(path: Path) -> npt.NDArray[Any]:
    try:
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r")
    except ValueError as error:
        raise ValueError(
            f"source: expected a whole .npy file of numbers, got {path}: {error}"
        ) from None
    return mapped


def _slices(matrix: Any, size: int) -> Callable[[], Iterator[Any]]:
    """Consecutive rows, ``size`` at a time."""
    if not _is_matrix(matrix):
        raise ValueError(f"source: expected a 2-D array, got shape {np.shape(matrix)}")
    slice_of = matrix.slice if _is_arrow(matrix, "Table") else None
    by_place = getattr(matrix, "iloc", matrix)
    n_rows = matrix.shape[0]

    def batches() -> Iterator[Any]:
        for start in range(0, n_rows, size):
            yield slice_of(start, size) if slice_of else by_place[start : start + size]

    return batches


def _is_arrow(value: Any, name: str) -> bool:
    """Whether this is pyarrow's class of this name, or one made of it; without importing pyarrow."""
    return any(
        base.__module__.partition(".")[0] == "pyarrow" and base.__name__ == name
        for base in type(value).__mro__
    )


def _opened(path: Path, size: int, chosen: _Chosen) -> _Files:
    if not path.exists():
        raise FileNotFoundError(f"source: expected the path of a file or folder, got {path}")
    files = _files_in(path) if path.is_dir() else [path]
    formats = {_FORMATS.get(file.suffix) for file in files}
    if len(formats) != 1 or None in formats:
        raise ValueError(
            f"source: expected files that end in one of {', '.join(_FORMATS)}, all of one format, or a .npy file, "
            f"got {path}"
        )
    try:
        from pyarrow import dataset
    except ImportError:
        raise ImportError(
            f"source: reading {path} needs pyarrow: pip install 'latentcore[parquet]'"
        ) from None
    format_ = formats.pop()
    # else pyarrow keeps what it has read until the end of the file
    options = dataset.ParquetFragmentScanOptions(pre_buffer=False) if format_ == "parquet" else None
    found = dataset.dataset([str(file) for file in files], format=format_)
    _check_columns(found, chosen)
    return _Files(found, size, chosen, options)


def _files_in(folder: Path) -> list[Path]:
    """Files of the formats that are read, in order; not what is hidden, or left by those who wrote them."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in _FORMATS
        and path.is_file()
        and not any(name.startswith((".", "_")) for name in path.relative_to(folder).parts)
    )


def _check_columns(found: Any, chosen: _Chosen) -> None:
    """Every file has the columns that are read, as pyarrow takes those that one lacks for missing entries."""
    names = chosen.names_in(found.schema)
    for file in found.get_fragments():
        absent = [name for name in names if name not in file.physical_schema.names]
        if absent:
            raise ValueError(
                f"source: expected the columns {names} in every file, got none called {absent[0]!r} in {file.path}"
            )


@dataclass(frozen=True, slots=True)
class _Files:
    """Batches of exactly so many rows of a pyarrow Dataset, whatever its row groups and files."""

    dataset: Any
    size: int
    chosen: _Chosen
    options: Any = None

    def __call__(self) -> Iterator[Any]:
        import pyarrow as pa

        names = self.chosen.names_in(self.dataset.schema)
        batches = self.dataset.to_batches(
            columns=names, batch_size=self.size, batch_readahead=_READ_AHEAD, fragment_readahead=1,
            fragment_scan_options=self.options,
            use_threads=False,  # they would read on, up to a GiB, where sweeps are slower
        )  # fmt: skip
        held: list[Any] = []
        n_held = 0
        for batch in batches:
            held.append(batch)
            n_held += batch.num_rows
            while n_held >= self.size:
                table = pa.Table.from_batches(held)
                yield table.slice(0, self.size)
                n_held -= self.size
                held = table.slice(self.size).to_batches() if n_held else []
        if n_held:
            yield pa.Table.from_batches(held)


# -- columns -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Which columns of a batch are its rows, and which its other arguments."""

    columns: list[str] | None
    special: dict[str, str]

    def names_in(self, schema: Any) -> list[str]:
        """The columns to read of a pyarrow schema: the special ones last."""
        from pyarrow import types

        absent = [n for n in (*(self.columns or ()), *self.special.values()) if n not in schema.names]  # fmt: skip
        if absent:
            raise ValueError(
                f"columns: expected names of columns, {schema.names}, got {absent[0]!r}"
            )
        special = list(self.special.values())
        if self.columns is not None:
            return [*self.columns, *(name for name in special if name not in self.columns)]
        numbers = [
            field.name
            for field in schema
            if field.name not in special
            and (
                types.is_integer(field.type)
                or types.is_floating(field.type)
                or types.is_boolean(field.type)
                or types.is_decimal(field.type)
            )
        ]
        if not numbers:
            raise ValueError(f"columns: expected a column of numbers, got {schema.names}")
        return [*numbers, *special]

    def __call__(self, item: Any) -> Part:
        """The item as a part."""
        if isinstance(item, Part):
            return item
        if _is_arrow(item, "RecordBatch"):
            import pyarrow as pa

            item = pa.Table.from_batches([item])
        if self.columns is None and not self.special:
            return Part(item)
        names = column_names(item)
        if names is None:
            raise ValueError(
                f"columns: expected data frames, whose columns have names, got {type(item).__name__}"
            )
        special = set(self.special.values())
        columns = [n for n in names if n not in special] if self.columns is None else self.columns
        absent = [name for name in (*columns, *self.special.values()) if name not in names]
        if absent:
            raise ValueError(f"columns: expected names of columns, {names}, got {absent[0]!r}")
        X = item.select(columns) if _is_arrow(item, "Table") else item[columns]
        return Part(X, **{name: self._special(item, name) for name in self.special})

    def _special(self, item: Any, argument: str) -> Any:
        values = np.asarray(item[self.special[argument]])
        if argument == "labels" and values.dtype.kind in "fO":
            missing = [is_missing(value) for value in values.tolist()]
            values = np.where(missing, -1, values)
        return values
