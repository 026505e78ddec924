"""Tables in files: read into arrays of numbers with column names, written from arrays.

CSV (``.csv``), TSV (``.tsv``), both also with ``.gz``, Parquet (``.parquet``), NumPy (``.npy``) and the bundled data
sets (``@faithful``). A cell that is empty, or holds NA, NaN, null or none, is a missing entry: NaN. Every complaint is
a ``ValueError`` whose message names the file, and where it can the line or row (counted from 1) and the column.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from latentcore import datasets
from latentcore.cli.cells import NULLS, Categories, coded, decoded, number
from latentcore.protocols import RealArray

__all__ = [
    "BUNDLED",
    "Table",
    "output_format",
    "read_columns",
    "read_names",
    "read_table",
    "write_table",
]

Format = Literal["csv", "tsv", "parquet", "npy"]

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
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_HEAD_BYTES = 1 << 20
"""Bytes in which the first line of a text file must end."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Numbers, and the names of their columns if the file has any; estimators take it for a data frame.

    Attributes
    ----------
    data : (N, D) float32 or float64, C-contiguous
        Finite, or NaN where an entry is missing.
    columns : list of D str, or None
    categories : dict of list of str
        Of columns of text, which hold codes: the texts by code.
    """

    data: RealArray
    columns: list[str] | None
    categories: Categories = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Of the columns, x0, x1, ... if the file has none."""
        return _numbered(self.data.shape[1]) if self.columns is None else self.columns

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.data, dtype=dtype, copy=copy)


def read_columns(source: str) -> list[str] | None:
    """The names of the columns of a file; None if it has no header."""
    if source.startswith("@"):
        return list(_bundled(source).feature_names)
    format_ = _existing(source)
    if format_ == "npy":
        return None
    if format_ == "parquet":
        return list(_parquet(source).schema_arrow.names)
    return _Text.open(source, format_).header


def read_names(source: str) -> list[str]:
    """The names of the columns of a file; x0, x1, ... if it has no header."""
    if not source.startswith("@"):
        format_ = _existing(source)
        if format_ == "npy":
            return _numbered(_npy(source).shape[1])
        if format_ != "parquet":
            return _Text.open(source, format_).names
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
        chosen = _chosen(source, names, columns)
        return Table(np.ascontiguousarray(dataset.data[:, chosen]), [names[j] for j in chosen])
    format_ = _existing(source)
    known = {} if categories is None else categories
    if format_ == "npy":
        table = _read_npy(source, columns)
    elif format_ == "parquet":
        table = _read_parquet(source, columns, text, known)
    else:
        table = _read_text(source, format_, columns, text, known)
    if len(table.data) == 0:
        raise ValueError(f"{source}: expected rows of numbers, got none")
    return table


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
        _write_text(sys.stdout, data, columns, known, ",")
        return
    format_ = output_format(path)
    if format_ == "npy":
        np.save(path, data, allow_pickle=False)
    elif format_ == "parquet":
        pa = _arrow(str(path))
        import pyarrow.parquet as pq

        table = pa.table(dict(zip(columns, _with_texts(data, columns, known), strict=True)))
        pq.write_table(table, path)
    else:
        with open(path, "w", encoding="utf-8", newline="") as file:
            _write_text(file, data, columns, known, _DELIMITERS[format_])


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


def _chosen(source: str, names: Sequence[str], columns: Sequence[str] | None) -> list[int]:
    """Positions of the wanted columns."""
    if columns is None:
        return list(range(len(names)))
    positions = []
    for column in columns:
        if column not in names:
            raise ValueError(f"{source}: there is no column {column!r}; there are {_listed(names)}")
        if names.count(column) > 1:
            raise ValueError(f"{source}: there is more than one column {column!r}")
        positions.append(names.index(column))
    return positions


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _numbered(count: int) -> list[str]:
    return [f"x{j}" for j in range(count)]


def _arrow(source: str) -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise ValueError(
            f"{source}: this format needs pyarrow; install it with: pip install 'latentcore[cli]'"
        ) from None
    return pa


def _check_finite(source: str, data: RealArray, names: Sequence[str]) -> None:
    infinite = np.isinf(data)
    if infinite.any():
        row, column = np.argwhere(infinite)[0].tolist()
        where = f"{source}: row {row + 1}, column {names[column]!r}"
        raise ValueError(f"{where}: expected a finite number, got {data[row, column]}")


def _with_texts(
    data: npt.NDArray[Any], columns: Sequence[str], categories: Categories
) -> list[Any]:
    """The columns, those of categories as lists of texts."""
    return [
        decoded(data[:, j], categories[name]) if name in categories else data[:, j]
        for j, name in enumerate(columns)
    ]


def _matrix(columns: Sequence[npt.NDArray[Any]], n_rows: int) -> RealArray:
    dtypes = {column.dtype for column in columns}
    dtype = np.float32 if dtypes == {np.dtype(np.float32)} else np.float64
    data: RealArray = np.empty((n_rows, len(columns)), dtype)
    for j, column in enumerate(columns):
        data[:, j] = column
    return data


# -- CSV and TSV -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Text:
    """A text file whose first line that is not blank has been looked at."""

    source: str
    delimiter: str
    first: list[str]
    header: list[str] | None
    blank: int
    """Blank lines before the first."""

    @classmethod
    def open(cls, source: str, format_: Format) -> _Text:
        delimiter = _DELIMITERS[format_]
        try:
            with _stream(source) as stream:
                head = stream.read(_HEAD_BYTES).decode("utf-8-sig", errors="replace")
        except (gzip.BadGzipFile, EOFError) as error:
            raise ValueError(f"{source}: {error}") from None
        records = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
        try:
            blank, first = next((pair for pair in enumerate(records) if pair[1]), (0, None))
        except csv.Error as error:
            raise ValueError(f"{source}: line {records.line_num}: {error}") from None
        if first is None:
            raise ValueError(f"{source}: the file is empty")
        cells = [number(cell) for cell in first]
        known = [cell for cell in cells if cell is not None and not math.isnan(cell)]
        is_data = None not in cells and len(known) > 0
        return cls(source, delimiter, first, None if is_data else first, blank)

    @property
    def names(self) -> list[str]:
        return self.header or _numbered(len(self.first))

    def complaint(self, numeric: Iterable[int]) -> str | None:
        """What is wrong with the first bad line, read slowly; None if nothing is found."""
        names = self.names
        for line, record in self._records():
            if isinstance(record, str):
                return f"{self.source}: line {line}: {record}"
            if len(record) != len(names):
                return f"{self.source}: line {line}: expected {_columns(len(names))}, got {len(record)}"
            for j in numeric:
                value = number(record[j])
                if value is None or math.isinf(value):
                    where = f"{self.source}: line {line}, column {names[j]!r}"
                    return f"{where}: expected a finite number, got {record[j][:40]!r}"
        return None

    def column(self, j: int) -> list[str]:
        """The cells of a column of a file without a complaint."""
        return [record[j] for _, record in self._records()]

    def _records(self) -> Iterator[tuple[int, list[str] | str]]:
        """Records below the header with their line numbers; a text says why there are no more."""
        stream = _stream(self.source)
        with io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="") as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            header_passed = self.header is None
            try:
                for record in reader:
                    if record and header_passed:
                        yield reader.line_num, record
                    header_passed = header_passed or bool(record)
            except csv.Error as error:
                yield reader.line_num, str(error)


def _read_text(
    source: str, format_: Format, columns: Sequence[str] | None, text: bool, known: Categories
) -> Table:
    pa = _arrow(source)
    import pyarrow.csv as pacsv

    file = _Text.open(source, format_)
    names = file.names
    chosen = _chosen(source, names, columns)
    as_text = [j for j in chosen if text or names[j] in known]
    numeric = [j for j in chosen if j not in as_text]
    # Positions are the names that pyarrow is given: those of the file may be empty or occur twice.
    types = {str(j): pa.float64() for j in numeric}
    types |= {str(j): pa.dictionary(pa.int32(), pa.string()) for j in as_text}
    try:
        table = pacsv.read_csv(
            source,
            read_options=pacsv.ReadOptions(
                column_names=[str(j) for j in range(len(names))],
                skip_rows_after_names=0 if file.header is None else file.blank + 1,
            ),
            parse_options=pacsv.ParseOptions(delimiter=file.delimiter, newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                include_columns=[str(j) for j in chosen], column_types=types, null_values=NULLS
            ),
        )
    except (ValueError, pa.ArrowException, UnicodeDecodeError) as error:
        complaint = file.complaint(numeric)
        if complaint is not None or not isinstance(error, pa.ArrowInvalid):
            raise ValueError(complaint or f"{source}: {error}") from None
        # Spaces around what is missing: pyarrow takes the cell for a number, and fails.
        cells = {str(j): pa.array(file.column(j)).dictionary_encode() for j in chosen}
        table = pa.table(cells)
    data, categories = _columns_of(source, table, [names[j] for j in chosen], known)
    if np.isinf(data).any():
        complaint = file.complaint([j for j in chosen if names[j] not in categories])
        if complaint is not None:
            raise ValueError(complaint)
    picked = [names[j] for j in chosen]
    return Table(data, None if file.header is None else picked, categories)


def _columns_of(
    source: str, table: Any, names: Sequence[str], known: Categories
) -> tuple[RealArray, Categories]:
    """An array of the columns of a pyarrow table, and the texts of those that hold texts."""
    import pyarrow as pa

    columns: list[npt.NDArray[Any]] = []
    categories: dict[str, list[str]] = {}
    for column, name in zip(table.columns, names, strict=True):
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            columns.append(column.to_numpy())  # what is null becomes NaN
            continue
        cells = column.cast(pa.string()).combine_chunks().dictionary_encode()
        distinct = cells.dictionary.to_pylist()
        where = f"{source}: column {name!r}"
        numbers, texts = coded(where, distinct, known.get(name))
        columns.append(np.append(numbers, np.nan)[cells.indices.fill_null(-1).to_numpy()])
        if texts is not None:
            categories[name] = texts
    return _matrix(columns, table.num_rows), categories


def _stream(source: str) -> Any:
    return gzip.open(source, "rb") if source.lower().endswith(".gz") else open(source, "rb")


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"


def _write_text(
    file: Any, data: npt.NDArray[Any], columns: list[str], known: Categories, delimiter: str
) -> None:
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for start in range(0, len(data), 10_000):
        block = data[start : start + 10_000]
        if known:
            writer.writerows(zip(*_with_texts(block, columns, known), strict=True))
        else:
            writer.writerows(block.tolist())


# -- Parquet ---------------------------------------------------------------------------------------------------------


def _parquet(source: str) -> Any:
    pa = _arrow(source)
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(source)
    except (ValueError, pa.ArrowException) as error:
        raise ValueError(f"{source}: expected a Parquet file ({error})") from None


def _read_parquet(
    source: str, columns: Sequence[str] | None, text: bool, known: Categories
) -> Table:
    pa = _arrow(source)
    file = _parquet(source)
    schema = file.schema_arrow
    names = [schema.names[j] for j in _chosen(source, schema.names, columns)]
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
    data, categories = _columns_of(source, table, names, known)
    _check_finite(source, data, names)
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
    names = _numbered(array.shape[1])
    chosen = _chosen(source, names, columns)
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    data: RealArray = np.ascontiguousarray(array if columns is None else array[:, chosen], dtype)
    _check_finite(source, data, [names[j] for j in chosen])
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
