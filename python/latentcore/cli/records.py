"""Records of CSV, TSV and NDJSON as their lines come, and the numbers in them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from latentcore.cli.cells import Categories, coded, number
from latentcore.cli.columns import chosen_columns, numbered
from latentcore.cli.lines import StreamError
from latentcore.cli.text_files import DELIMITERS, is_header
from latentcore.protocols import Array

__all__ = [
    "BadCell",
    "Fields",
    "Format",
    "Record",
    "as_text",
    "format_of",
    "matrix_of",
    "records_of",
    "texts_of",
]

Format = Literal["csv", "tsv", "ndjson"]
Cell: TypeAlias = Any
"""A text, or what JSON has."""

_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
_NO_TEXT = (".parquet", ".pq", ".feather", ".arrow", ".npy", ".npz")


@dataclass(frozen=True, slots=True)
class Fields:
    """Which columns are read.

    Attributes
    ----------
    columns : list of str, or None
        None: all but those of ``beside``.
    beside : tuple of str or None
        Others, where they are asked for.
    width : int, optional
        The number of columns, where it is known; without a header, columns are then taken by place.
    by_name : bool
        Whether columns are picked by name where there is a header.
    """

    columns: list[str] | None
    beside: tuple[str | None, ...]
    width: int | None = None
    by_name: bool = True


class Record(NamedTuple):
    """The cells of a row, and those of the columns beside; or what is wrong with the line."""

    line: int
    cells: Sequence[Cell]
    beside: Sequence[Cell]
    complaint: str | None = None


def format_of(source: str, line: str) -> Format:
    """The format that the name of a file stands for, else the one that its first line looks like."""
    ending = _ending(source)
    if ending in _ENDINGS:
        return _ENDINGS[ending]
    if line.lstrip().startswith("{"):
        return "ndjson"
    return "tsv" if "\t" in line else "csv"


def _ending(source: str) -> str:
    """Of the name of a file, before what says that it is compressed."""
    suffixes = [suffix.lower() for suffix in Path(source).suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def records_of(
    source: str, lines: Iterable[str], format_: Format | None, fields: Fields
) -> tuple[list[str] | None, Iterator[Record]]:
    """The names of the columns that are read, None without a header, and the records.

    Reads no further than the first line that is not blank.

    Raises
    ------
    StreamError
        A column that is wanted is not there, or the name of the file says that it holds no text.
    """
    if format_ is None and _ending(source) in _NO_TEXT:
        raise StreamError(f"{source}: expected CSV, TSV or NDJSON, got {_ending(source)} (see fit)")
    lines = iter(lines)
    read: list[str] = []
    for line in lines:
        read.append(line)
        if line.strip():
            break
    else:
        return fields.columns, iter(())
    found = format_ or format_of(source, read[-1])
    every = chain(read, lines)
    try:
        if found == "ndjson":
            return _json_records(source, read[-1], every, fields)
        return _csv_records(source, every, DELIMITERS[found], fields)
    except csv.Error as error:
        raise StreamError(f"{source}: line {len(read)}: {error}") from None
    except StreamError:
        raise
    except ValueError as error:
        raise StreamError(str(error)) from None


# -- CSV ---------------------------------------------------------------------------------------------------------------


def _csv_records(
    source: str, lines: Iterator[str], delimiter: str, fields: Fields
) -> tuple[list[str] | None, Iterator[Record]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    first = next(record for record in reader if record)
    has_header = is_header(first)
    names = first if has_header else numbered(len(first))
    beside = [None if c is None else chosen_columns(source, names, [c])[0] for c in fields.beside]
    if fields.columns is None or (fields.width is not None and not (fields.by_name and has_header)):
        chosen = [j for j in range(len(names)) if j not in beside]
        chosen_columns(source, names, [names[j] for j in chosen])  # each is there once
    else:
        chosen = chosen_columns(source, names, fields.columns)
    _check_apart(source, [names[j] for j in chosen], fields)
    _check_width(source, len(chosen), fields)
    pick = _picker(chosen)

    def record(cells: list[str]) -> Record:
        if len(cells) != len(names):
            complaint = f"expected {len(names)} cells, got {len(cells)}"
            return Record(reader.line_num, (), (), complaint)
        others = [None if j is None else cells[j] for j in beside]
        return Record(reader.line_num, pick(cells), others)

    def records() -> Iterator[Record]:
        if not has_header:
            yield record(first)
        while True:
            try:
                for cells in reader:
                    if cells:
                        yield record(cells)
                return
            except csv.Error as error:
                yield Record(reader.line_num, (), (), str(error))

    return [names[j] for j in chosen] if has_header else None, records()


def _picker(chosen: Sequence[int]) -> Callable[[list[str]], Sequence[str]]:
    if len(chosen) == 1:
        return lambda cells: (cells[chosen[0]],)
    return itemgetter(*chosen)


def _check_apart(source: str, chosen: Sequence[str], fields: Fields) -> None:
    for name in fields.beside:
        if name in chosen:
            raise StreamError(
                f"{source}: expected column {name!r} beside those to learn from, got it among them"
            )


def _check_width(source: str, found: int, fields: Fields) -> None:
    if found == 0:
        raise StreamError(f"{source}: expected columns to learn from, got none")
    if fields.width is not None and found != fields.width:
        raise StreamError(
            f"{source}: expected {fields.width} columns, those of the model, got {found}"
        )


# -- NDJSON ------------------------------------------------------------------------------------------------------------


def _json_records(
    source: str, first: str, lines: Iterator[str], fields: Fields
) -> tuple[list[str], Iterator[Record]]:
    head = _parsed(first)
    if isinstance(head, str):
        raise StreamError(f"{source}: line 1: {head}")
    names = list(head)
    beside = [name for name in fields.beside if name is not None]
    chosen_columns(source, names, beside)
    wanted = fields.columns if fields.by_name else None
    if wanted is None:
        wanted = [name for name in names if name not in beside]
    chosen_columns(source, names, wanted)
    _check_apart(source, wanted, fields)
    _check_width(source, len(wanted), fields)

    def record(line: int, text: str) -> Record:
        found = _parsed(text)
        if isinstance(found, str):
            return Record(line, (), (), found)
        try:
            others = [None if name is None else found[name] for name in fields.beside]
            return Record(line, [found[name] for name in wanted], others)
        except KeyError as error:
            return Record(line, (), (), f"expected the column {error.args[0]!r}, got none")

    return wanted, (record(i, text) for i, text in enumerate(lines, 1) if not text.isspace())


def _parsed(text: str) -> dict[str, Any] | str:
    """The object of a line, or what is wrong."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return f"expected a JSON object, got {text.strip()[:40]!r}"
    return (
        found if isinstance(found, dict) else f"expected a JSON object, got {text.strip()[:40]!r}"
    )


# -- numbers -----------------------------------------------------------------------------------------------------------


class BadCell(NamedTuple):
    """A row of a batch that has a cell that is none of its column's values."""

    row: int
    complaint: str


def texts_of(rows: Sequence[Sequence[Cell]], names: Sequence[str]) -> dict[str, list[str]]:
    """The texts by code of those columns that hold texts, in sorted order.

    Raises
    ------
    ValueError
        There are too many.
    """
    found: dict[str, list[str]] = {}
    for name, cells in zip(names, zip(*rows, strict=True), strict=True):
        distinct = list(dict.fromkeys(map(as_text, cells)))
        texts = coded(f"column {name!r}", distinct, None)[1]
        if texts is not None:
            found[name] = texts
    return found


def matrix_of(
    rows: Sequence[Sequence[Cell]], names: Sequence[str], categories: Categories
) -> tuple[Array, BadCell | None]:
    """The numbers of a batch (N, D), NaN where they are missing, and the first row that is bad.

    Cells of columns with ``categories`` become codes.
    """
    if not categories:
        fast = _floats(rows)
        if fast is not None and not np.isinf(fast).any():
            return fast, None
    codes = [
        {text: float(code) for code, text in enumerate(categories[name])}
        if name in categories
        else None
        for name in names
    ]
    data = np.full((len(rows), len(names)), math.nan)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            value = _value(cell, codes[j])
            if value is None:
                expected = "a finite number" if codes[j] is None else _few(categories[names[j]])
                complaint = f"column {names[j]!r}: expected {expected}, got {str(cell)[:40]!r}"
                return data, BadCell(i, complaint)
            data[i, j] = value
    return data, None


def _floats(rows: Sequence[Sequence[Cell]]) -> Array | None:
    """Where all cells are what Python takes for a number, and everybody else too."""
    try:
        if _have_underscores(rows):
            return None
        shape = len(rows), len(rows[0])
        cells = map(float, chain.from_iterable(rows))
        return np.fromiter(cells, np.float64, math.prod(shape)).reshape(shape)
    except (ValueError, TypeError):
        return None


def _have_underscores(rows: Sequence[Sequence[Cell]]) -> bool:
    try:
        return "_" in "".join(map("".join, rows))
    except TypeError:  # numbers of JSON
        return any("_" in cell for cell in chain.from_iterable(rows) if isinstance(cell, str))


def _value(cell: Cell, codes: dict[str, float] | None) -> float | None:
    """A number or a code, NaN where the cell is missing, None where it is neither."""
    text = as_text(cell)
    if text is None:
        return math.nan
    value = number(text)
    if codes is not None:
        missing = value is not None and math.isnan(value)
        return math.nan if missing else codes.get(text.strip())
    if isinstance(cell, bool):
        return float(cell)
    return None if value is None or math.isinf(value) else value


def as_text(cell: Cell) -> str | None:
    """The text of a cell, also of one of JSON."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return None if cell is None else str(cell)


def _few(texts: Sequence[str]) -> str:
    return f"one of {', '.join(map(repr, texts[:10]))}" + (", ..." if len(texts) > 10 else "")
