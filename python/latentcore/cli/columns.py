"""Tables as commands see them, and what reading and writing all formats share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.cli.cells import Categories, coded, decoded
from latentcore.protocols import RealArray

__all__ = [
    "Table",
    "arrow",
    "check_finite",
    "chosen_columns",
    "columns_of",
    "numbered",
    "with_texts",
]


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
        return numbered(self.data.shape[1]) if self.columns is None else self.columns

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.data, dtype=dtype, copy=copy)


def chosen_columns(source: str, names: Sequence[str], columns: Sequence[str] | None) -> list[int]:
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


def numbered(count: int) -> list[str]:
    return [f"x{j}" for j in range(count)]


def arrow(source: str) -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise ValueError(
            f"{source}: this format needs pyarrow; install it with: pip install 'latentcore[cli]'"
        ) from None
    return pa


def check_finite(source: str, data: RealArray, names: Sequence[str]) -> None:
    infinite = np.isinf(data)
    if infinite.any():
        row, column = np.argwhere(infinite)[0].tolist()
        where = f"{source}: row {row + 1}, column {names[column]!r}"
        raise ValueError(f"{where}: expected a finite number, got {data[row, column]}")


def with_texts(data: npt.NDArray[Any], columns: Sequence[str], categories: Categories) -> list[Any]:
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


def columns_of(
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
