"""CSV and TSV files."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.cli.cells import NULLS, Categories, number
from latentcore.cli.columns import Table, arrow, chosen_columns, columns_of, numbered, with_texts

__all__ = ["DELIMITERS", "TextFile", "is_header", "not_text", "read_text", "write_text"]

DELIMITERS = {"csv": ",", "tsv": "\t"}
_HEAD_BYTES = 1 << 20
"""Bytes in which the first line of a text file must end."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text file whose first line that is not blank has been looked at."""

    source: str
    delimiter: str
    first: list[str]
    header: list[str] | None
    blank: int
    """Blank lines before the first."""

    @classmethod
    def open(cls, source: str, format_: str) -> TextFile:
        delimiter = DELIMITERS[format_]
        try:
            with _stream(source) as stream:
                begin = stream.read(_HEAD_BYTES)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{source}: {error}") from None
        wrong = not_text(begin)
        if wrong is not None:
            raise ValueError(f"{source}: {wrong}")
        head = begin.decode("utf-8-sig", errors="replace")
        records = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
        try:
            blank, first = next((pair for pair in enumerate(records) if pair[1]), (0, None))
        except csv.Error as error:
            raise ValueError(f"{source}: line {records.line_num}: {error}") from None
        if first is None:
            raise ValueError(f"{source}: the file is empty")
        return cls(source, delimiter, first, first if is_header(first) else None, blank)

    @property
    def names(self) -> list[str]:
        return self.header or numbered(len(self.first))

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
        return self.columns([j])[0]

    def columns(self, positions: Sequence[int]) -> list[list[str]]:
        """The cells of columns of a file without a complaint."""
        found: list[list[str]] = [[] for _ in positions]
        for _, record in self._records():
            for cells, j in zip(found, positions, strict=True):
                cells.append(record[j])
        return found

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


def not_text(begin: bytes) -> str | None:
    """Why a file that begins so holds no lines of text; None if it does."""
    if begin.startswith(b"\x1f\x8b"):
        return "expected text, got what gzip has made of some: call it .gz, or pipe it through zcat"
    return "expected text in UTF-8, got other bytes" if b"\0" in begin else None


def is_header(first: Sequence[str]) -> bool:
    """Whether the first line of a file names the columns: it does if a cell is no number, or none is one."""
    cells = [number(cell) for cell in first]
    return None in cells or all(cell is None or math.isnan(cell) for cell in cells)


def read_text(
    source: str, format_: str, columns: Sequence[str] | None, text: bool, known: Categories
) -> Table:
    pa = arrow(source)
    import pyarrow.csv as pacsv

    file = TextFile.open(source, format_)
    names = file.names
    chosen = chosen_columns(source, names, columns)
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
    data, categories = columns_of(source, table, [names[j] for j in chosen], known)
    if np.isinf(data).any():
        complaint = file.complaint([j for j in chosen if names[j] not in categories])
        if complaint is not None:
            raise ValueError(complaint)
    picked = [names[j] for j in chosen]
    return Table(data, None if file.header is None else picked, categories)


def _stream(source: str) -> Any:
    return gzip.open(source, "rb") if source.lower().endswith(".gz") else open(source, "rb")


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"


def write_text(
    file: Any, data: npt.NDArray[Any], columns: list[str], known: Categories, delimiter: str
) -> None:
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for start in range(0, len(data), 10_000):
        block = data[start : start + 10_000]
        if known:
            writer.writerows(zip(*with_texts(block, columns, known), strict=True))
        else:
            writer.writerows(block.tolist())
