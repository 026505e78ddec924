"""The border between what users hold and what kernels read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

__all__ = [
    "CSR",
    "Array",
    "Labels",
    "RealArray",
    "Rows",
    "as_labels",
    "as_matrix",
    "as_parameter",
    "as_rows",
    "as_weights",
    "check_observed",
    "column_names",
    "is_missing",
    "labels_in",
    "without_absent",
]

Array = npt.NDArray[np.float64]
"""Parameters, statistics and log-likelihoods: always float64."""

RealArray = npt.NDArray[np.floating[Any]]
"""Data, log-densities and responsibilities: float32 or float64, C-contiguous."""

Labels = npt.NDArray[np.int32]
"""Component of each row; -1 where unknown."""

_BLOCK_ELEMENTS = 1 << 16
"""Elements looked at together in search of a number that is not finite: half a MiB."""


@dataclass(frozen=True, slots=True)
class CSR:
    """Sparse rows, as SciPy's ``csr_array`` has them; what generic code asks of a matrix, and no more.

    Attributes
    ----------
    values : (n_entries,) float32 or float64
    columns : (n_entries,) int32
    begins : (N + 1,) int64
        Row n has the entries ``begins[n]`` to ``begins[n + 1] - 1``. Slices of rows share values and columns.
    n_columns : int
    """

    values: RealArray
    columns: npt.NDArray[np.int32]
    begins: npt.NDArray[np.int64]
    n_columns: int

    ndim = 2

    def __len__(self) -> int:
        return len(self.begins) - 1

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self.n_columns

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def __getitem__(self, chosen: slice | npt.NDArray[Any]) -> CSR:
        """Rows by a slice of step 1, which is a view, or by indices or a mask."""
        if isinstance(chosen, slice):
            start, stop, _ = chosen.indices(len(self))
            return CSR(
                self.values, self.columns, self.begins[start : max(start, stop) + 1], self.n_columns
            )
        rows = np.arange(len(self))[chosen]
        lengths = self.begins[rows + 1] - self.begins[rows]
        begins = np.concatenate([[0], np.cumsum(lengths)])
        entries = np.arange(begins[-1]) + np.repeat(self.begins[rows] - begins[:-1], lengths)
        return CSR(self.values[entries], self.columns[entries], begins, self.n_columns)

    def toarray(self) -> RealArray:
        """The rows as a dense matrix; entries of one place add up."""
        dense = np.zeros(self.shape, self.dtype)
        rows = np.repeat(np.arange(len(self)), np.diff(self.begins))
        entries = slice(int(self.begins[0]), int(self.begins[-1]))
        np.add.at(dense, (rows, self.columns[entries]), self.values[entries])
        return dense


@dataclass(frozen=True, slots=True)
class Rows:
    """Independent rows, checked: the data of a mixture, or a shard of it.

    Attributes
    ----------
    x : (N, D) float32 or float64, C-contiguous
        Finite, or NaN where an entry is missing. A ``CSR`` takes its place for families that read sparse rows.
    sample_weight : (N,) float64, or None for ones
    start : int
        Index of the first row within the whole data, for messages.
    labels : (N,) int32, or None
        Known components of rows; -1 where unknown.
    prepared : object
        What the family found out of these rows (see ``protocols.PreparingFamily``); None if it was not asked.
    """

    x: RealArray
    sample_weight: Array | None = None
    start: int = 0
    labels: Labels | None = None
    prepared: object = None

    def __len__(self) -> int:
        return int(self.x.shape[0])

    @property
    def n_features(self) -> int:
        return int(self.x.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.x.dtype

    @property
    def weighted(self) -> bool:
        return self.sample_weight is not None

    def total_weight(self) -> float:
        return float(len(self)) if self.sample_weight is None else float(self.sample_weight.sum())

    def shards(self, rows_per_shard: int) -> Iterator[Rows]:
        """Consecutive views of ``rows_per_shard`` rows; the last may be shorter."""
        for start in range(0, max(len(self), 1), rows_per_shard):
            stop = start + rows_per_shard
            weight = None if self.sample_weight is None else self.sample_weight[start:stop]
            labels = None if self.labels is None else self.labels[start:stop]
            yield Rows(self.x[start:stop], weight, self.start + start, labels)

    def take(self, chosen: npt.NDArray[Any]) -> Rows:
        """The rows with these indices, or where a mask is true; a copy."""
        weight = None if self.sample_weight is None else self.sample_weight[chosen]
        labels = None if self.labels is None else self.labels[chosen]
        return Rows(self.x[chosen], weight, self.start, labels)


# -- matrices ------------------------------------------------------------------------------------


def as_rows(
    X: Any,
    sample_weight: Any = None,
    *,
    owner: str = "the model",
    missing: bool = False,
    sparse: bool = False,
) -> Rows:
    """Checked rows with their weights; see ``as_matrix`` and ``as_weights``."""
    x = as_matrix(X, owner=owner, missing=missing, sparse=sparse)
    return Rows(x, as_weights(sample_weight, x.shape[0]))


def as_matrix(
    X: Any,
    *,
    name: str = "X",
    owner: str = "the model",
    missing: bool = False,
    sparse: bool = False,
) -> RealArray:
    """A C-contiguous matrix of float32 or float64, finite but for entries that may be missing.

    Parameters
    ----------
    X : array, nested lists, or a data frame of pandas, polars or pyarrow, (N, D)
        A C-contiguous float32 or float64 array is taken as it is, read-only and memory-mapped ones
        too. float32 stays float32; all other numbers become float64.
    name, owner : str
        For messages: the argument, and who needs it.
    missing : bool
        Whether entries may be missing: NaN, None, what a data frame has for it, or masked. They
        become NaN.
    sparse : bool
        Whether a SciPy sparse array or matrix may come; it becomes a ``CSR``.

    Raises
    ------
    TypeError
        Not an array of numbers: sparse, or holding other objects.
    ValueError
        Not a matrix, no rows, no columns, strings, complex or masked numbers; NaN or infinity
        (the message names row and column).
    """
    if sparse and hasattr(X, "tocsr"):
        return cast(RealArray, _as_csr(X, name, owner))
    x = _numbers(X, name, missing)
    if x.ndim != 2:
        raise ValueError(_not_a_matrix(x, name))
    _check_not_empty(x.shape, name, owner)
    matrix: RealArray = _contiguous(x, _real(x.dtype))
    bad = _first_not_finite(matrix, missing)
    if bad is not None:
        row, column = divmod(bad, matrix.shape[1])
        _refuse(matrix[row, column], name, f"row {row}, {_column(X, column)}", missing)
    return matrix


def _as_csr(X: Any, name: str, owner: str) -> CSR:
    """Sparse rows in canonical form: of each row, columns in order and once."""
    if len(X.shape) != 2:
        raise ValueError(f"{name}: expected a 2-D array, got {len(X.shape)}-D, shape {X.shape}")
    _check_not_empty(X.shape, name, owner)
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got dtype {X.dtype}")
    if X.shape[1] > np.iinfo(np.int32).max:
        raise ValueError(f"{name}: expected fewer than 2**31 columns, got {X.shape[1]}")
    rows = X.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    values: RealArray = _contiguous(rows.data, _real(rows.data.dtype))
    bad = _first_not_finite(values)
    if bad is not None:
        row = int(np.searchsorted(rows.indptr, bad, side="right")) - 1
        _refuse(values[bad], name, f"row {row}, column {rows.indices[bad]}", missing=False)
    columns = _contiguous(rows.indices, np.int32)
    begins = _contiguous(rows.indptr, np.int64)
    return CSR(values, columns, begins, int(rows.shape[1]))


def _check_not_empty(shape: tuple[int, ...], name: str, owner: str) -> None:
    if 0 not in shape:
        return
    for what, unit, found in zip(("row", "column"), ("sample", "feature"), shape, strict=True):
        if found == 0:
            raise ValueError(
                f"{name}: expected at least one {what}, got 0 {unit}(s) (shape={shape}) "
                f"while a minimum of 1 is required by {owner}"
            )


def _refuse(value: Any, name: str, where: str, missing: bool) -> None:
    what = "NaN" if np.isnan(value) else "infinity"
    expected = "finite numbers, or NaN where one is missing" if missing else "finite numbers"
    raise ValueError(f"Input {name} contains {what}: expected {expected}, got {value} in {where}")


def check_observed(x: RealArray, columns: Sequence[str] | None, *, name: str = "X") -> None:
    """Raise ``ValueError`` for a column in which every entry is missing."""
    if isinstance(x, CSR):
        return
    for column in np.flatnonzero(np.isnan(x[0])):
        if np.isnan(x[:, column]).all():
            which = f"column {column}" if columns is None else f"column {columns[int(column)]!r}"
            raise ValueError(
                f"{name}: expected at least one number in each column, got only NaN in {which}"
            )


def as_labels(
    labels: Any, n_rows: int, n_components: int, *, name: str = "labels"
) -> Labels | None:
    """Known components of rows, (N,) int32 in [-1, K), -1 where unknown; None if none is known.

    Raises
    ------
    ValueError
        A wrong length, a number that is no integer, or one out of range; the message names the row.
    """
    if labels is None:
        return None
    values = _numbers(labels, name)
    if values.shape != (n_rows,):
        raise ValueError(
            f"{name}: expected shape ({n_rows},), a label for each row, got {values.shape}"
        )
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(~((values >= -1) & (values < n_components)) | (values % 1 != 0))
    if len(wrong):
        raise ValueError(
            f"{name}: expected integers from 0 to n_components - 1 = {n_components - 1}, "
            f"or -1 where unknown, got {values[wrong[0]]} in row {wrong[0]}"
        )
    known: Labels = values.astype(np.int32)
    return known if (known >= 0).any() else None


def as_weights(
    sample_weight: Any, n_rows: int, *, name: str = "sample_weight", unit: str = "row"
) -> Array | None:
    """Weights of rows, (N,) float64, finite, >= 0 and not all zero; None stays None.

    ``unit`` says in messages what is weighted.
    """
    if sample_weight is None:
        return None
    weights = _numbers(sample_weight, name)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"{name}: expected shape ({n_rows},), a weight for each {unit}, got {weights.shape}"
        )
    weights = _contiguous(weights, np.float64)
    if not (weights >= 0).all() or not np.isfinite(weights).all():
        bad = int(np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))[0])
        raise ValueError(
            f"{name}: expected finite weights >= 0, got {weights[bad]} in {unit} {bad}"
        )
    if not weights.any():
        raise ValueError(
            f"{name}: expected a positive weight in at least one {unit}, got only zeros"
        )
    return weights


def without_absent(data: Rows) -> Rows:
    """Only the rows of positive weight, those that are there; a copy if there are others."""
    if data.sample_weight is None or data.sample_weight.all():
        return data
    return data.take(data.sample_weight > 0)


def as_parameter(value: Any, name: str) -> RealArray:
    """A model parameter that a user gave: finite, C-contiguous, a copy, float32 or float64."""
    array = _numbers(value, name)
    array = np.array(array, _real(array.dtype), order="C")
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(f"{name}: expected finite numbers, got {array[tuple(where)]} at {where}")
    return array


def is_missing(value: Any) -> bool:
    """None, NaN, or what pandas has for it, of which nobody knows whether it equals itself."""
    same = value is not None and value == value
    return not (isinstance(same, bool | np.bool_) and same)


def labels_in(column: Any) -> npt.NDArray[Any]:
    """Known components in a column of a table; -1, which is unknown, where one is missing."""
    values = np.asarray(column)
    if values.dtype.kind in "fO":
        missing = [is_missing(value) for value in values.tolist()]
        values = np.where(missing, -1, values)
    return values


# -- data frames ---------------------------------------------------------------------------------


def column_names(X: Any) -> list[str] | None:
    """Column names of a data frame (pandas, polars, pyarrow); None without any that are strings.

    Raises
    ------
    TypeError
        Some names are strings and some are not.
    """
    if isinstance(X, np.ndarray | list | tuple):
        return None
    names = _raw_names(X)
    if not names:
        return None
    types = sorted({type(name).__qualname__ for name in names})
    if types == ["str"]:
        return names
    if "str" in types:
        raise TypeError(
            "Feature names are only supported if all input features have string names, "
            f"but your input has {types} as feature name / column name types; rename the columns"
        )
    return None


def _raw_names(X: Any) -> list[Any]:
    names = getattr(X, "column_names", None)  # pyarrow, whose `columns` are the data
    if names is None:
        names = getattr(X, "columns", None)
    try:
        return [] if names is None else list(names)
    except TypeError:
        return []


def _column(X: Any, index: int) -> str:
    names = _raw_names(X)
    return f"column {names[index]!r}" if index < len(names) else f"column {index}"


# -- conversion ----------------------------------------------------------------------------------


def _numbers(value: Any, name: str, missing: bool = False) -> npt.NDArray[Any]:
    """An array of real numbers of whatever dtype and shape; NaN where entries may be missing and are."""
    if type(value) is np.ndarray and value.dtype.kind in "biuf":
        return value
    if hasattr(value, "tocsr") or hasattr(value, "tocoo"):
        raise TypeError(
            f"{name}: expected a dense array, got a sparse {type(value).__name__}; "
            f"sparse data are not supported: use {name}.toarray()"
        )
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        if not missing or value.dtype.kind not in "biuf":
            raise ValueError(f"{name}: expected an array without masked entries, got some")
        value = np.ma.filled(value.astype(_real(value.dtype)), np.nan)
    try:
        table = _of_arrow(value)
        array = np.asarray(value) if table is None else table
    except ValueError as error:
        raise ValueError(f"{name}: expected rows of equal length, got {error}") from None
    except TypeError as error:
        raise TypeError(f"{name}: expected numbers, got {type(value).__name__}: {error}") from None
    if array.dtype.kind == "O":
        return _from_objects(value, array, name)
    if array.dtype.kind == "c":
        raise ValueError(
            f"{name}: Complex data not supported: expected real numbers, got {array.dtype}"
        )
    if array.dtype.kind in "US":
        example = f" such as {str(array.flat[0])!r}" if array.size else ""
        raise ValueError(f"{name}: expected numbers, got strings{example}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got dtype {array.dtype}")
    return array


def _of_arrow(value: Any) -> npt.NDArray[Any] | None:
    """A pyarrow table of numbers, row by row, NaN where missing: several times as fast as ``np.asarray``."""
    if not (hasattr(value, "combine_chunks") and hasattr(value, "to_batches")):
        return None
    batches = value.combine_chunks().to_batches()
    if len(batches) != 1:
        return None
    try:
        array: npt.NDArray[Any] = batches[0].to_tensor(null_to_nan=True, row_major=True).to_numpy()
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return None  # an older pyarrow, or columns of other kinds
    return array


def _real(dtype: np.dtype[Any]) -> Any:
    """The dtype that numbers of ``dtype`` are computed with."""
    return np.float32 if dtype.kind == "f" and dtype.itemsize == 4 else np.float64


def _contiguous(x: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
    """As the kernels read it; itself if it is so already."""
    flags = x.flags
    if x.dtype == dtype and flags.c_contiguous and flags.aligned:
        return x
    return np.require(x, dtype, ["C", "A"])


def _from_objects(value: Any, array: npt.NDArray[Any], name: str) -> npt.NDArray[np.float64]:
    """Python numbers, or a data frame whose columns have no dtype in common."""
    frame = getattr(value, "iloc", None)
    if frame is not None and array.ndim == 2:  # pandas, whose missing value is no number
        array = np.column_stack(
            [_nullable(frame[:, j], array[:, j]) for j in range(array.shape[1])]
            or [np.empty((len(array), 0))]
        )
    for index, entry in enumerate(array.flat):
        if isinstance(entry, str | bytes):
            where = ""
            if array.ndim == 2:
                row, column = divmod(index, array.shape[1])
                where = f" in row {row}, {_column(value, column)}"
            raise ValueError(f"{name}: expected numbers, got {entry!r}{where}")
        if isinstance(entry, complex | np.complexfloating):
            raise ValueError(
                f"{name}: Complex data not supported: expected real numbers, got {entry}"
            )
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        category = TypeError if isinstance(error, TypeError) else ValueError
        raise category(f"{name}: expected numbers, got an array of objects: {error}") from None


def _nullable(column: Any, objects: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A column of a pandas frame as numbers, NaN where missing; as it is if it holds none."""
    if getattr(column.dtype, "kind", "") in "mM":
        return objects  # times would become numbers
    try:
        numbers: npt.NDArray[Any] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return objects
    return objects if any(isinstance(entry, str) for entry in objects) else numbers


def _not_a_matrix(x: npt.NDArray[Any], name: str) -> str:
    if x.ndim > 2:
        return f"{name}: expected a 2-D array, got {x.ndim}-D, shape {x.shape}"
    return (
        f"{name}: expected a 2-D array, got {x.ndim}-D, shape {x.shape}. Reshape your data: "
        f"{name}.reshape(-1, 1) if it is one feature, {name}.reshape(1, -1) if it is one row"
    )


def _first_not_finite(x: RealArray, missing: bool = False) -> int | None:
    """Index in the flattened ``x`` of the first NaN (unless ``missing``) or infinity, without a mask of its size."""
    flat: npt.NDArray[Any] = x.reshape(-1)
    for start in range(0, flat.size, _BLOCK_ELEMENTS):
        block = flat[start : start + _BLOCK_ELEMENTS]
        good = ~np.isinf(block) if missing else np.isfinite(block)
        first = int(good.argmin())  # 0 also if all are good
        if not good[first]:
            return start + first
    return None
