"""Where batches of rows come from: files, matrices, lists; and which columns of them are what."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.arrays import column_names, labels_in
from latentcore.parts import Part

__all__ = ["Chosen", "Files", "Items", "Slices", "is_arrow", "is_matrix", "mapped", "opened"]

_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".feather": "ipc", ".arrow": "ipc", ".ipc": "ipc"}  # fmt: skip
_READ_AHEAD = 2
"""Batches that pyarrow may read before they are asked for."""
_PIECE = 1 << 10
"""Rows that stay together when they are read in an order that is drawn."""
_MOST_OPEN = 16
_OPEN_BYTES = 1 << 26
"""Row groups, and bytes of such, that are read in turns."""


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
    """Consecutive rows of a matrix, ``size`` at a time; the last two batches share what is left.

    A step of online learning takes each batch for as much as any other: one of a few rows would count too much.

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
        start, n_left = 0, self.matrix.shape[0]
        while n_left > 0:
            n = _next_length(n_left, self.size)
            yield self._slice(start, n)
            start, n_left = start + n, n_left - n

    def shuffled(self, rng: np.random.Generator) -> Iterator[Any]:
        """The same rows in smaller slices, whose order is drawn."""
        size = min(self.size, _PIECE)
        starts = rng.permutation(range(0, self.matrix.shape[0], size)).tolist()
        return (self._slice(start, size) for start in starts)

    def _slice(self, start: int, size: int) -> Any:
        if is_arrow(self.matrix, "Table"):
            return self.matrix.slice(start, size)
        return getattr(self.matrix, "iloc", self.matrix)[start : start + size]


def _next_length(n_left: int, size: int) -> int:
    """Of the next batch, where so many rows are left in all, or known to be."""
    if size < n_left < 2 * size:
        return (n_left + 1) // 2
    return min(size, n_left)


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
    """Batches of exactly so many rows of a pyarrow Dataset, whatever its row groups and files; but see ``Slices``."""

    dataset: Any
    size: int
    chosen: Chosen
    options: Any = None

    def __call__(self) -> Iterator[Any]:
        return self._of_size(self._read(self.dataset, self.size))

    def shuffled(self, rng: np.random.Generator) -> Iterator[Any]:
        """Batches of the same rows: files, and row groups of Parquet files, in a drawn order, several in turns.

        What is not the whole rows of files comes in its own order.
        """
        if not is_arrow(self.dataset, "FileSystemDataset"):
            return self()
        try:
            files = list(self.dataset.get_fragments())
        except ValueError:  # the rows are filtered
            return self()
        pieces = [piece for file in files for piece in _row_groups(file)]
        order = rng.permutation(len(pieces)).tolist()
        n_open = max(1, min(_MOST_OPEN, _OPEN_BYTES // max(map(_size_of, pieces), default=1)))
        readers = (self._read(self._dataset_of(pieces[i]), _PIECE) for i in order)
        return self._of_size(_in_turns(readers, n_open))

    def _dataset_of(self, piece: Any) -> Any:
        given: Any = self.dataset
        return type(given)([piece], given.schema, given.format, given.filesystem)

    def _read(self, dataset: Any, size: int) -> Iterator[Any]:
        batches: Iterator[Any] = dataset.to_batches(
            columns=self.chosen.names_in(dataset.schema), batch_size=size,
            batch_readahead=_READ_AHEAD, fragment_readahead=1, fragment_scan_options=self.options,
            use_threads=False,  # they would read on, up to a GiB, where sweeps are slower
        )  # fmt: skip
        return batches

    def _of_size(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        held: list[Any] = []
        n_held = 0
        for batch in batches:
            held.append(batch)
            n_held += batch.num_rows
            if n_held < 2 * self.size:
                continue
            table = pa.Table.from_batches(held)
            while n_held >= 2 * self.size:
                yield table.slice(0, self.size)
                table, n_held = table.slice(self.size), n_held - self.size
            held = table.to_batches()
        while n_held:
            n = _next_length(n_held, self.size)
            table = pa.Table.from_batches(held)
            yield table.slice(0, n)
            held, n_held = table.slice(n).to_batches(), n_held - n


def _row_groups(file: Any) -> list[Any]:
    return file.split_by_row_group() if hasattr(file, "split_by_row_group") else [file]


def _size_of(piece: Any) -> int:
    """Bytes of a row group; of what is none, nobody knows."""
    groups = getattr(piece, "row_groups", None)
    return sum(max(1, group.total_byte_size) for group in groups) if groups else _OPEN_BYTES


def _in_turns(readers: Iterator[Iterator[Any]], n_open: int) -> Iterator[Any]:
    """One item of each of so many readers, again and again; the next reader takes the place of one that ends."""
    opened_: deque[Iterator[Any]] = deque(islice(readers, n_open))
    while opened_:
        reader = opened_.popleft()
        for item in reader:
            yield item
            opened_.append(reader)
            break
        else:
            opened_.extend(islice(readers, 1))


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
        column = item[self.special[argument]]
        return labels_in(column) if argument == "labels" else np.asarray(column)
