"""Where batches of rows come from: files, matrices, lists; and which columns of them are what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.arrays import column_names, is_missing
from latentcore.parts import Part

__all__ = ["Chosen", "Files", "Items", "Slices", "is_arrow", "is_matrix", "mapped", "opened"]

_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".feather": "ipc", ".arrow": "ipc", ".ipc": "ipc"}  # fmt: skip
_READ_AHEAD = 2
"""Batches that pyarrow may read before they are asked for."""


def is_matrix(X: Any) -> bool:
    """Whether this is what holds rows and columns: an array, a sparse one or a data frame."""
    return len(getattr(X, "shape", ())) == 2


def mapped(path: Path) -> npt.NDArray[Any]:
    """The array of a .npy file, mapped into memory."""
    try:
        found: npt.NDArray[Any] = np.load(path, mmap_mode="r")
    except ValueError as error:
        raise ValueError(
            f"source: expected a whole .npy file of numbers, got {path}: {error}"
        ) from None
    return found


@dataclass(frozen=True, slots=True)
class Slices:
    """Consecutive rows of a matrix, ``size`` at a time.

    Raises
    ------
    ValueError
        It is none.
    """

    matrix: Any
    size: int

    def __post_init__(self) -> None:
        if not is_matrix(self.matrix):
            raise ValueError(f"source: expected a 2-D array, got shape {np.shape(self.matrix)}")

    def __call__(self) -> Iterator[Any]:
        return map(self._slice, self._starts())

    def shuffled(self, rng: np.random.Generator) -> Iterator[Any]:
        """The same in an order that is drawn."""
        return map(self._slice, rng.permutation(self._starts()).tolist())

    def _starts(self) -> range:
        return range(0, self.matrix.shape[0], self.size)

    def _slice(self, start: int) -> Any:
        if is_arrow(self.matrix, "Table"):
            return self.matrix.slice(start, self.size)
        return getattr(self.matrix, "iloc", self.matrix)[start : start + self.size]


@dataclass(frozen=True, slots=True)
class Items:
    """Batches of a list."""

    items: Sequence[Any]

    def __call__(self) -> Iterator[Any]:
        return iter(self.items)

    def shuffled(self, rng: np.random.Generator) -> Iterator[Any]:
        """The same in an order that is drawn."""
        return (self.items[i] for i in rng.permutation(len(self.items)))


def is_arrow(value: Any, name: str) -> bool:
    """Whether this is pyarrow's class of this name, or one made of it; without importing pyarrow."""
    return any(
        base.__module__.partition(".")[0] == "pyarrow" and base.__name__ == name
        for base in type(value).__mro__
    )


def opened(path: Path, size: int, chosen: Chosen) -> Files:
    """Batches of the rows of a file, or of a folder of files.

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        There is none, or it is none that can be read.
    """
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
    return Files(found, size, chosen, options)


def _files_in(folder: Path) -> list[Path]:
    """Files of the formats that are read, in order; not what is hidden, or left by those who wrote them."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in _FORMATS
        and path.is_file()
        and not any(name.startswith((".", "_")) for name in path.relative_to(folder).parts)
    )


def _check_columns(found: Any, chosen: Chosen) -> None:
    """Every file has the columns that are read, as pyarrow takes those that one lacks for missing entries."""
    names = chosen.names_in(found.schema)
    for file in found.get_fragments():
        absent = [name for name in names if name not in file.physical_schema.names]
        if absent:
            raise ValueError(
                f"source: expected the columns {names} in every file, got none called {absent[0]!r} in {file.path}"
            )


@dataclass(frozen=True, slots=True)
class Files:
    """Batches of exactly so many rows of a pyarrow Dataset, whatever its row groups and files."""

    dataset: Any
    size: int
    chosen: Chosen
    options: Any = None

    def shuffled(self, rng: np.random.Generator) -> Iterator[Any]:
        """Batches of the same rows, with files, and row groups of Parquet files, in an order that is drawn."""
        if not is_arrow(self.dataset, "FileSystemDataset"):
            return self()
        given: Any = self.dataset
        pieces = [
            piece
            for file in given.get_fragments()
            for piece in (
                file.split_by_row_group() if hasattr(file, "split_by_row_group") else [file]
            )
        ]
        order = [pieces[i] for i in rng.permutation(len(pieces))]
        reordered = type(given)(order, given.schema, given.format, given.filesystem)
        return replace(self, dataset=reordered)()

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
class Chosen:
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
        if is_arrow(item, "RecordBatch"):
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
        X = item.select(columns) if is_arrow(item, "Table") else item[columns]
        return Part(X, **{name: self._special(item, name) for name in self.special})

    def _special(self, item: Any, argument: str) -> Any:
        values = np.asarray(item[self.special[argument]])
        if argument == "labels" and values.dtype.kind in "fO":
            missing = [is_missing(value) for value in values.tolist()]
            values = np.where(missing, -1, values)
        return values
