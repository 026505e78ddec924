"""Files of numbers: read into arrays with column names, written from arrays.

CSV (``.csv``), TSV (``.tsv``), both also with ``.gz``, Parquet (``.parquet``), NumPy (``.npy``) and the bundled data
sets (``@faithful``). Every complaint is a ``ValueError`` whose message names the file, and where it can the line or
row (counted from 1) and the column.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from latentcore import datasets
from latentcore.protocols import RealArray

__all__ = ["BUNDLED", "Table", "output_format", "read_columns", "read_table", "write_table"]

Format = Literal["csv", "tsv", "parquet", "npy"]

BUNDLED = {
    "@faithful": datasets.load_old_faithful,
    "@earthquakes": datasets.load_earthquakes,
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
_MISSING = {"", "na", "n/a", "#n/a", "nan", "-nan", "null", "none"}
_HEAD_BYTES = 1 << 20
"""Bytes in which the first line of a text file must end."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Finite numbers, and the names of their columns if the file has any; estimators take it for a data frame.

    Attributes
    ----------
    data : (N, D) float32 or float64, C-contiguous
    columns : list of D str, or None
    """

    data: RealArray
    columns: list[str] | None

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


def read_table(source: str, columns: Sequence[str] | None = None) -> Table:
    """Read the chosen columns, or all.

    Parameters
    ----------
    source : str
        A path, or ``@`` and the name of a bundled data set.
    columns : sequence of str, optional
        Names in the order wanted. Columns of a file without a header are called x0, x1, ...

    Returns
    -------
    Table
        float32 where all columns of the file are, else float64.

    Raises
    ------
    ValueError
        The file is empty or malformed, a column is unknown or not of numbers, a number is missing or not finite.
    OSError
        The file cannot be read.
    """
    if source.startswith("@"):
        dataset = _bundled(source)
        names = list(dataset.feature_names)
        chosen = _chosen(source, names, columns)
        return Table(np.ascontiguousarray(dataset.data[:, chosen]), [names[j] for j in chosen])
    format_ = _existing(source)
    if format_ == "npy":
        table = _read_npy(source, columns)
    elif format_ == "parquet":
        table = _read_parquet(source, columns)
    else:
        table = _read_text(source, format_, columns)
    if len(table.data) == 0:
        raise ValueError(f"{source}: expected rows of numbers, got none")
    return table


def output_format(path: Path) -> Format:
    """The format that the end of a name stands for; a complaint if a file of it cannot be put there."""
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}")
    return _format(str(path))


def write_table(path: Path | None, data: npt.NDArray[Any], columns: list[str]) -> None:
    """Write an (N, D) array to a file, or as CSV to standard output."""
    if path is None:
        _write_text(sys.stdout, data, columns, ",")
        return
    format_ = output_format(path)
    if format_ == "npy":
        np.save(path, data, allow_pickle=False)
    elif format_ == "parquet":
        pa = _arrow(str(path))
        import pyarrow.parquet as pq

        table = pa.table({name: data[:, j] for j, name in enumerate(columns)})
        pq.write_table(table, path)
    else:
        with open(path, "w", encoding="utf-8", newline="") as file:
            _write_text(file, data, columns, _DELIMITERS[format_])


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
    if np.isfinite(data).all():
        return
    row, column = np.argwhere(~np.isfinite(data))[0].tolist()
    value = data[row, column]
    found = "a missing value (NaN)" if np.isnan(value) else str(value)
    raise ValueError(
        f"{source}: row {row + 1}, column {names[column]!r}: expected a finite number, got {found}"
    )


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
        cells = [_number(cell) for cell in first]
        known = [cell for cell in cells if cell is not None and not math.isnan(cell)]
        is_data = None not in cells and len(known) > 0
        return cls(source, delimiter, first, None if is_data else first, blank)

    @property
    def names(self) -> list[str]:
        return self.header or _numbered(len(self.first))

    def complaint(self, chosen: Sequence[int]) -> str | None:
        """What is wrong with the first bad line, read slowly; None if nothing is found."""
        names = self.names
        for line, record in self._records():
            if isinstance(record, str):
                return f"{self.source}: line {line}: {record}"
            if len(record) != len(names):
                return f"{self.source}: line {line}: expected {_columns(len(names))}, got {len(record)}"
            for j in chosen:
                value = _number(record[j])
                if value is None or not math.isfinite(value):
                    where = f"{self.source}: line {line}, column {names[j]!r}"
                    found = repr(record[j][:40]) if record[j].strip() else "nothing"
                    return f"{where}: expected a finite number, got {found}"
        return None

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


def _read_text(source: str, format_: Format, columns: Sequence[str] | None) -> Table:
    pa = _arrow(source)
    import pyarrow.csv as pacsv

    text = _Text.open(source, format_)
    names = text.names
    chosen = _chosen(source, names, columns)
    # Positions are the names that pyarrow is given: those of the file may be empty or occur twice.
    keys = [str(j) for j in range(len(names))]
    selected = [keys[j] for j in chosen]
    try:
        table = pacsv.read_csv(
            source,
            read_options=pacsv.ReadOptions(
                column_names=keys,
                skip_rows_after_names=0 if text.header is None else text.blank + 1,
            ),
            parse_options=pacsv.ParseOptions(delimiter=text.delimiter, newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                include_columns=selected, column_types=dict.fromkeys(selected, pa.float64())
            ),
        )
    except (ValueError, pa.ArrowException, UnicodeDecodeError) as error:
        raise ValueError(text.complaint(chosen) or f"{source}: {error}") from None
    data = _matrix([table.column(key).to_numpy() for key in selected], table.num_rows)
    if not np.isfinite(data).all():
        complaint = text.complaint(chosen)
        if complaint is not None:
            raise ValueError(complaint)
    picked = [names[j] for j in chosen]
    _check_finite(source, data, picked)
    return Table(data, None if text.header is None else picked)


def _stream(source: str) -> Any:
    return gzip.open(source, "rb") if source.lower().endswith(".gz") else open(source, "rb")


def _number(cell: str) -> float | None:
    """The value of a cell, NaN if it is missing, None if it holds something else."""
    if cell.strip().lower() in _MISSING:
        return math.nan
    if "_" in cell:  # Python's, not anybody else's
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"


def _write_text(file: Any, data: npt.NDArray[Any], columns: list[str], delimiter: str) -> None:
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for start in range(0, len(data), 10_000):
        writer.writerows(data[start : start + 10_000].tolist())


# -- Parquet ---------------------------------------------------------------------------------------------------------


def _parquet(source: str) -> Any:
    pa = _arrow(source)
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(source)
    except (ValueError, pa.ArrowException) as error:
        raise ValueError(f"{source}: expected a Parquet file ({error})") from None


def _read_parquet(source: str, columns: Sequence[str] | None) -> Table:
    pa = _arrow(source)
    file = _parquet(source)
    schema = file.schema_arrow
    names = [schema.names[j] for j in _chosen(source, schema.names, columns)]
    for name in names:
        type_ = schema.field(name).type
        types = pa.types
        if not (types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_)):
            raise ValueError(f"{source}: column {name!r}: expected numbers, got {type_}")
    try:
        table = file.read(columns=names)
    except (ValueError, pa.ArrowException) as error:
        raise ValueError(f"{source}: damaged Parquet file ({error})") from None

    def values(name: str) -> npt.NDArray[Any]:
        column = table.column(name)
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        array: npt.NDArray[Any] = column.to_numpy()  # what is null becomes NaN
        return array

    data = _matrix([values(name) for name in names], table.num_rows)
    _check_finite(source, data, names)
    return Table(data, names)


# -- NumPy -----------------------------------------------------------------------------------------------------------


def _read_npy(source: str, columns: Sequence[str] | None) -> Table:
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
    names = _numbered(array.shape[1])
    chosen = _chosen(source, names, columns)
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    data: RealArray = np.ascontiguousarray(array if columns is None else array[:, chosen], dtype)
    _check_finite(source, data, [names[j] for j in chosen])
    return Table(data, None)
