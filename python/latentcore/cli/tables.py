"""Tables in files: read into arrays of numbers with column names, written from arrays.

CSV (``.csv``), TSV (``.tsv``), both also with ``.gz``, Parquet (``.parquet``), NumPy (``.npy``) and the bundled data
sets (``@faithful``). A cell that is empty, or holds NA, NaN, null or none, is a missing entry: NaN. Every complaint is
a ``ValueError`` whose message names the file, and where it can the line or row (counted from 1) and the column.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from latentcore import datasets, storage
from latentcore.cli.cells import Categories, number
from latentcore.cli.columns import (
    Table,
    arrow,
    check_finite,
    chosen_columns,
    columns_of,
    numbered,
    with_texts,
)
from latentcore.cli.text_files import DELIMITERS, TextFile, read_text, write_text
from latentcore.protocols import RealArray

__all__ = [
    "BUNDLED",
    "Table",
    "extend_table",
    "output_format",
    "read_columns",
    "read_keys",
    "read_names",
    "read_table",
    "write_columns",
    "write_table",
]

Format = Literal["csv", "tsv", "parquet", "npy"]

Cells: TypeAlias = list[str] | npt.NDArray[Any] | Any
"""Of a column: texts, numbers, or what pyarrow has."""

BUNDLED = {
    "@faithful": datasets.load_old_faithful,
    "@earthquakes": datasets.load_earthquakes,
    "@iris": datasets.load_iris,
    "@nile": datasets.load_nile,
}

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npy": "npy",
}


def read_columns(source: str) -> list[str] | None:
    """The names of the columns of a file; None if it has no header."""
    if source.startswith("@"):
        return list(_bundled(source).feature_names)
    format_ = _existing(source)
    if format_ == "npy":
        return None
    if format_ == "parquet":
        return list(_parquet(source).schema_arrow.names)
    return TextFile.open(source, format_).header


def read_names(source: str) -> list[str]:
    """The names of the columns of a file; x0, x1, ... if it has no header."""
    if not source.startswith("@"):
        format_ = _existing(source)
        if format_ == "npy":
            return numbered(_npy(source).shape[1])
        if format_ != "parquet":
            return TextFile.open(source, format_).names
    return read_columns(source) or []


def read_table(
    source: str,
    columns: Sequence[str] | None = None,
    *,
    text: bool = False,
    categories: Categories | None = None,
) -> Table:
    """Read the chosen columns, or all.

    Parameters
    ----------
    source : str
        A path, or ``@`` and the name of a bundled data set.
    columns : sequence of str, optional
        Names in the order wanted. Columns of a file without a header are called x0, x1, ...
    text : bool
        Whether columns may hold text. A column is one of text if some cell is no number; its texts are coded from 0 in
        sorted order.
    categories : dict of list of str, optional
        Columns that are to hold these texts, and get these codes.

    Returns
    -------
    Table
        float32 where all columns of the file are, else float64.

    Raises
    ------
    ValueError
        The file is empty or malformed, a column is unknown or not of numbers, a number is not finite, a text is none of
        its column's ``categories``.
    OSError
        The file cannot be read.
    """
    if source.startswith("@"):
        dataset = _bundled(source)
        names = list(dataset.feature_names)
        chosen = chosen_columns(source, names, columns)
        return Table(np.ascontiguousarray(dataset.data[:, chosen]), [names[j] for j in chosen])
    format_ = _existing(source)
    known = {} if categories is None else categories
    if format_ == "npy":
        table = _read_npy(source, columns)
    elif format_ == "parquet":
        table = _read_parquet(source, columns, text, known)
    else:
        table = read_text(source, format_, columns, text, known)
    if len(table.data) == 0:
        raise ValueError(f"{source}: expected rows of numbers, got none")
    return table


def read_keys(source: str, column: str) -> tuple[npt.NDArray[np.intp], list[str]]:
    """What tells the sequences of a file apart: codes of the rows (N,), in the order in which values appear, and those.

    Raises
    ------
    ValueError
        There is no such column, or a cell of it is empty.
    """
    ((_, cells),) = _cells(source, [column])
    codes: dict[str, int] = {}
    found = np.empty(len(cells), np.intp)
    for row, cell in enumerate(_as_list(cells)):
        key = _key(cell)
        if key == "":
            where = f"{source}: row {row + 1}, column {column!r}"
            raise ValueError(f"{where}: expected the name of a sequence, got nothing")
        found[row] = codes.setdefault(key, len(codes))
    return found, list(codes)


def _key(cell: Any) -> str:
    """Its text, nothing where it is missing; a whole number is the same as an integer and as a float."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip()


def extend_table(source: str, path: Path | None, added: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write the table of a file, whatever its columns hold, with more columns (N,).

    Raises
    ------
    ValueError
        The table has a column of such a name already, or holds text where the new file can hold numbers only.
    """
    columns: list[tuple[str, Cells]] = [*_cells(source, None), *added.items()]
    held = [name for name, _ in columns]
    for name in added:
        if held.count(name) > 1:
            raise ValueError(f"{source}: expected no column {name!r}, which is to be added")
    write_columns(source, path, columns)


def write_columns(source: str, path: Path | None, columns: Sequence[tuple[str, Cells]]) -> None:
    """Write columns with their names to a file, or as CSV to standard output.

    Parameters
    ----------
    source : str
        Where they come from, for messages.

    Raises
    ------
    ValueError
        There are texts where the file can hold numbers only.
    """
    format_ = "csv" if path is None else output_format(path)
    if path is None:
        _write_cells(sys.stdout, columns, ",")
    elif format_ == "npy":
        matrix = np.column_stack([_as_numbers(source, *column) for column in columns])
        _save_matrix(path, matrix)
    elif format_ == "parquet":
        pa = arrow(str(path))
        import pyarrow.parquet as pq

        arrays = [_as_numbers_or_texts(cells) for _, cells in columns]
        names = [name for name, _ in columns]
        table = pa.Table.from_arrays([_arrow_array(pa, a) for a in arrays], names)
        with _in_place_of(path) as place:
            pq.write_table(table, place)
    else:
        with _in_place_of(path) as place, open(place, "w", encoding="utf-8", newline="") as file:
            _write_cells(file, columns, DELIMITERS[format_])


def output_format(path: Path) -> Format:
    """The format that the end of a name stands for; a complaint if a file of it cannot be put there."""
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}")
    return _format(str(path))


def write_table(
    path: Path | None,
    data: npt.NDArray[Any],
    columns: list[str],
    categories: Categories | None = None,
) -> None:
    """Write an (N, D) array to a file, or as CSV to standard output; codes become texts, except in .npy."""
    known = {} if categories is None else categories
    if path is None:
        write_text(sys.stdout, data, columns, known, ",")
        return
    format_ = output_format(path)
    if format_ == "npy":
        _save_matrix(path, data)
    elif format_ == "parquet":
        pa = arrow(str(path))
        import pyarrow.parquet as pq

        table = pa.table(dict(zip(columns, with_texts(data, columns, known), strict=True)))
        with _in_place_of(path) as place:
            pq.write_table(table, place)
    else:
        with _in_place_of(path) as place, open(place, "w", encoding="utf-8", newline="") as file:
            write_text(file, data, columns, known, DELIMITERS[format_])


def _save_matrix(path: Path, data: npt.NDArray[Any]) -> None:
    with _in_place_of(path) as place, open(place, "wb") as file:
        np.save(file, data, allow_pickle=False)


@contextmanager
def _in_place_of(path: Path) -> Iterator[Path]:
    """Where to write what is to be at ``path``: a file is whole or not there, a pipe is written to."""
    if path.exists() and not path.is_file():
        yield path
        return
    with storage.replacing(path.resolve() if path.is_symlink() else path) as place:
        yield place


# -- cells as they are -------------------------------------------------------------------------------------------------


def _cells(source: str, columns: Sequence[str] | None) -> list[tuple[str, Cells]]:
    """The chosen columns of a file, or all, by name."""
    if source.startswith("@"):
        table = read_table(source, columns)
        return list(zip(table.names, table.data.T, strict=True))
    format_ = _existing(source)
    if format_ == "npy":
        table = _read_npy(source, columns)
        return list(zip(table.names if columns is None else columns, table.data.T, strict=True))
    if format_ == "parquet":
        file = _parquet(source)
        names = list(file.schema_arrow.names)
        chosen = [names[j] for j in chosen_columns(source, names, columns)]
        found = file.read(columns=chosen)
        return [(name, found.column(name)) for name in chosen]
    text = TextFile.open(source, format_)
    positions = chosen_columns(source, text.names, columns)
    complaint = text.complaint([])
    if complaint is not None:
        raise ValueError(complaint)
    return [
        (text.names[j], cells) for j, cells in zip(positions, text.columns(positions), strict=True)
    ]


def _as_list(cells: Cells) -> list[Any]:
    if isinstance(cells, list):
        return cells
    found: list[Any] = cells.tolist() if isinstance(cells, np.ndarray) else cells.to_pylist()
    return found


def _as_numbers_or_texts(cells: Cells) -> Cells:
    """Numbers of texts that all are."""
    if not isinstance(cells, list):
        return cells
    values = [number(cell) for cell in cells]
    return cells if None in values else np.array(values, np.float64)


def _as_numbers(source: str, name: str, cells: Cells) -> npt.NDArray[Any]:
    values = _as_numbers_or_texts(cells)
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{source}: column {name!r}: expected numbers for a .npy file, got texts")
    return array


def _arrow_array(pa: Any, cells: Cells) -> Any:
    return pa.array(cells) if isinstance(cells, list | np.ndarray) else cells


def _write_cells(file: Any, columns: Sequence[tuple[str, Cells]], delimiter: str) -> None:
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(zip(*(_as_list(cells) for _, cells in columns), strict=True))


# -- what all formats share ------------------------------------------------------------------------------------------


def _bundled(source: str) -> datasets.Dataset:
    if source not in BUNDLED:
        raise ValueError(
            f"{source}: there is no such bundled data set; there are {', '.join(BUNDLED)}"
        )
    return BUNDLED[source]()


def _format(source: str) -> Format:
    suffixes = Path(source).suffixes
    last = suffixes[-1].lower() if suffixes else ""
    if last == ".gz" and len(suffixes) > 1 and suffixes[-2].lower() in (".csv", ".tsv"):
        return _FORMATS[suffixes[-2].lower()]
    if last not in _FORMATS:
        raise ValueError(
            f"{source}: expected a name ending in .csv, .tsv, .parquet or .npy, got {last or 'none'}"
        )
    return _FORMATS[last]


def _existing(source: str) -> Format:
    path = Path(source)
    if not path.exists():
        raise ValueError(f"{source}: there is no such file")
    if path.is_dir():
        raise ValueError(f"{source}: expected a file, got a folder")
    format_ = _format(source)
    if path.stat().st_size == 0:
        raise ValueError(f"{source}: the file is empty")
    return format_


# -- Parquet ---------------------------------------------------------------------------------------------------------


def _parquet(source: str) -> Any:
    pa = arrow(source)
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(source)
    except (ValueError, pa.ArrowException) as error:
        raise ValueError(f"{source}: expected a Parquet file ({error})") from None


def _read_parquet(
    source: str, columns: Sequence[str] | None, text: bool, known: Categories
) -> Table:
    pa = arrow(source)
    file = _parquet(source)
    schema = file.schema_arrow
    names = [schema.names[j] for j in chosen_columns(source, schema.names, columns)]
    for name in names:
        type_ = schema.field(name).type
        if not _is_number(pa, type_) and not ((text or name in known) and _is_text(pa, type_)):
            expected = "numbers or texts" if text else "numbers"
            raise ValueError(f"{source}: column {name!r}: expected {expected}, got {type_}")
    try:
        table = file.read(columns=names).select(names)
    except (ValueError, pa.ArrowException) as error:
        raise ValueError(f"{source}: damaged Parquet file ({error})") from None
    for j, name in enumerate(names):
        wanted = pa.string() if name in known else pa.float64()
        if pa.types.is_decimal(schema.field(name).type) or name in known:
            table = table.set_column(j, name, table.column(j).cast(wanted))
    data, categories = columns_of(source, table, names, known)
    check_finite(source, data, names)
    return Table(data, names, categories)


def _is_number(pa: Any, type_: Any) -> bool:
    types = pa.types
    return bool(types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_))


def _is_text(pa: Any, type_: Any) -> bool:
    types = pa.types
    if types.is_dictionary(type_):
        type_ = type_.value_type
    return bool(types.is_string(type_) or types.is_large_string(type_) or types.is_boolean(type_))


# -- NumPy -----------------------------------------------------------------------------------------------------------


def _read_npy(source: str, columns: Sequence[str] | None) -> Table:
    array = _npy(source)
    names = numbered(array.shape[1])
    chosen = chosen_columns(source, names, columns)
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    data: RealArray = np.ascontiguousarray(array if columns is None else array[:, chosen], dtype)
    check_finite(source, data, [names[j] for j in chosen])
    return Table(data, None)


def _npy(source: str) -> npt.NDArray[Any]:
    """The matrix of real numbers in a file."""
    try:
        array = np.load(source, allow_pickle=False)
    except (ValueError, EOFError):
        raise ValueError(
            f"{source}: expected an array of numbers in NumPy's .npy format, without pickled objects"
        ) from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{source}: expected one array in NumPy's .npy format, got an archive")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{source}: expected an array of shape (N, D), got {array.shape}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{source}: expected real numbers, got dtype {array.dtype}")
    matrix: npt.NDArray[Any] = array
    return matrix
