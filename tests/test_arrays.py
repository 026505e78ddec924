"""The border: what users hold becomes checked arrays, or a message that says what is wrong."""

from __future__ import annotations

import mmap
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as numpy_arrays

from latentcore.arrays import (
    Rows,
    as_matrix,
    as_parameter,
    as_rows,
    as_weights,
    column_names,
    labels_in,
    without_absent,
)

X = np.arange(6.0).reshape(3, 2)
VALUES = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


# -- what is taken -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_contiguous_real_array_is_not_copied(dtype: Any) -> None:
    x = X.astype(dtype)
    assert as_matrix(x) is x
    x.flags.writeable = False
    assert as_matrix(x) is x


def test_memory_mapped_array_stays_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    x = as_matrix(np.load(tmp_path / "x.npy", mmap_mode="r"))
    base: Any = x
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, mmap.mmap)


@pytest.mark.parametrize(
    "given",
    [
        VALUES,
        [tuple(row) for row in VALUES],
        np.asfortranarray(X),
        X.astype(">f8"),
        X.astype(np.int8),
        X.astype(np.float16),
        X.astype(object),
        np.repeat(X, 2, axis=1)[:, ::2],
        X.view(np.matrix),
        np.ma.array(X),
        pd.DataFrame(X),
        pd.DataFrame({"a": [0, 2, 4], "b": [1.0, 3.0, 5.0]}),
        pd.DataFrame({"a": pd.array([0, 2, 4], "Int64"), "b": [1.0, 3.0, 5.0]}),
        pl.DataFrame({"a": [0, 2, 4], "b": [1.0, 3.0, 5.0]}),
        pa.table({"a": [0, 2, 4], "b": [1.0, 3.0, 5.0]}),
    ],
    ids=lambda value: type(value).__name__ + str(getattr(value, "dtype", "")),
)
def test_other_numbers_become_float64(given: Any) -> None:
    x = as_matrix(given)
    assert type(x) is np.ndarray
    assert x.dtype == np.float64
    assert x.dtype.isnative
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize(
    "given",
    [
        X.astype(np.float32),
        np.asfortranarray(X, np.float32),
        X.astype(">f4"),
        pd.DataFrame(X.astype(np.float32)),
        pl.DataFrame(X.astype(np.float32)),
        pa.table({name: pa.array(X[:, j], pa.float32()) for j, name in enumerate("ab")}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_float32_stays_float32(given: Any) -> None:
    x = as_matrix(given)
    assert x.dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(x, X)


def test_unaligned_array_is_aligned() -> None:
    raw = np.zeros(X.nbytes + 1, np.uint8)
    x = raw[1:].view(np.float64).reshape(X.shape)
    x[:] = X
    assert as_matrix(x).flags.aligned
    np.testing.assert_array_equal(as_matrix(x), X)
    weights = raw[1:].view(np.float64)
    weights[:] = 2.0
    given = as_weights(weights, len(weights))
    assert given is not None
    assert given.flags.aligned
    np.testing.assert_array_equal(given, weights)


@given(
    numpy_arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.uint8, np.bool_]),
        st.tuples(st.integers(1, 5), st.integers(1, 4)),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
def test_any_finite_matrix_keeps_its_values(x: Any) -> None:
    np.testing.assert_array_equal(as_matrix(x), x)
    np.testing.assert_array_equal(as_matrix(x.T), x.T)


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (scipy.sparse.csr_matrix(X), TypeError, r"sparse data are not supported: use X\.toarray"),
        (scipy.sparse.coo_array(X), TypeError, "got a sparse coo_array"),
        (X * 1j, ValueError, "Complex data not supported"),
        ((X * 1j).astype(object), ValueError, "Complex data not supported"),
        ([["a", "b"]], ValueError, "expected numbers, got strings such as 'a'"),
        ([["1", "2"]], ValueError, "expected numbers, got strings such as '1'"),
        (np.array([[1.0, "a"]], object), ValueError, "got 'a' in row 0, column 1"),
        (
            np.array([[1.0, {}]], object),
            TypeError,
            "expected numbers.*argument must be a string or",
        ),
        ([[10**400]], ValueError, "too large"),
        (np.array([["2020-01-01"]], "M8[D]"), TypeError, r"got dtype datetime64\[D\]"),
        (np.arange(3.0), ValueError, r"2-D array, got 1-D, shape \(3,\)\. Reshape your data"),
        (1.0, ValueError, "got 0-D"),
        (np.zeros((1, 2, 3)), ValueError, r"got 3-D, shape \(1, 2, 3\)"),
        ([[1.0, 2.0], [3.0]], ValueError, "rows of equal length"),
        (np.empty((0, 2)), ValueError, r"at least one row, got 0 sample\(s\) \(shape=\(0, 2\)\)"),
        (np.empty((3, 0)), ValueError, r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1"),
        (np.ma.array(X, mask=X == 2), ValueError, "without masked entries"),
        (pd.DataFrame({"a": [1.0], "b": ["x"]}), ValueError, "got 'x' in row 0, column 'b'"),
        (pd.DataFrame({"a": [1.0], "b": pd.to_datetime(["2020"])}), TypeError, "numbers"),
        (pl.DataFrame({"a": [1.0], "b": ["x"]}), ValueError, "got 'x' in row 0, column 'b'"),
        (pa.table({"a": [1.0], "b": ["x"]}), ValueError, "got 'x' in row 0, column 'b'"),
        (
            pa.table({"a": [1.0], "b": pa.array([0], pa.timestamp("s"))}),
            TypeError,
            "X: expected numbers, got Table",
        ),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(
    given: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        as_matrix(given)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "inf")]
)
@pytest.mark.parametrize("row", [0, 40_000, 99_999])
def test_row_and_column_of_what_is_not_finite_are_named(
    dtype: Any, value: float, word: str, row: int
) -> None:
    x = np.zeros((100_000, 3), dtype)
    x[row, 1] = value
    x[row:, 2] = value
    with pytest.raises(ValueError, match=f"Input X contains {word}.* row {row}, column 1"):
        as_matrix(x)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1, 2], "b": pd.array([1, None], "Int64")}),
        pd.DataFrame({"a": [1, 2], "b": [1.0, np.nan]}),
        pl.DataFrame({"a": [1, 2], "b": [1, None]}),
        pa.table({"a": [1, 2], "b": [1, None]}),
    ],
    ids=lambda frame: type(frame).__module__,
)
def test_missing_value_of_a_data_frame_is_named(frame: Any) -> None:
    with pytest.raises(ValueError, match=r"Input X contains NaN.* row 1, column 'b'"):
        as_matrix(frame)


def test_finite_numbers_whose_sum_is_not_are_taken() -> None:
    x = np.array([[1e308, 1e308], [-1e308, 1e308]])
    assert as_matrix(x) is x
    y = np.full((4, 2), 3e38, np.float32)
    assert as_matrix(y) is y


def test_check_for_finite_numbers_needs_little_memory() -> None:
    x = np.zeros((1_000_000, 4), np.float32)
    tracemalloc.start()
    try:
        as_matrix(x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


# -- weights, parameters -----------------------------------------------------------------------


@pytest.mark.parametrize("given", [[1, 0, 2.5], pd.Series([1, 0, 2.5]), pl.Series([1.0, 0.0, 2.5])])
def test_weights_become_float64(given: Any) -> None:
    weights = as_weights(given, 3)
    assert weights is not None
    assert weights.dtype == np.float64
    np.testing.assert_array_equal(weights, [1, 0, 2.5])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0, 2.0], r"expected shape \(3,\).* got \(2,\)"),
        ([[1.0], [1.0], [1.0]], r"expected shape \(3,\).* got \(3, 1\)"),
        (1.0, r"expected shape \(3,\).* got \(\)"),
        ([1.0, -1.0, 0.0], "weights >= 0, got -1.0 in row 1"),
        ([1.0, 2.0, np.nan], "finite weights >= 0, got nan in row 2"),
        ([1.0, 2.0, np.inf], "finite weights >= 0, got inf in row 2"),
        ([0.0, 0.0, 0.0], "a positive weight"),
        (["a", "b", "c"], "expected numbers"),
    ],
)
def test_impossible_weights_are_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"sample_weight: .*{message}"):
        as_weights(given, 3)


def test_rows_of_weight_zero_are_absent() -> None:
    rows = without_absent(as_rows(X, [1, 0, 2]))
    np.testing.assert_array_equal(rows.x, X[[0, 2]])
    np.testing.assert_array_equal(rows.sample_weight, [1, 2])
    assert rows.total_weight() == 3
    assert rows.x.flags.c_contiguous


def test_shards_cover_the_rows_once_and_know_where_they_start() -> None:
    rows = Rows(X, np.array([1.0, 2.0, 3.0]))
    shards = list(rows.shards(2))
    assert [shard.start for shard in shards] == [0, 2]
    np.testing.assert_array_equal(np.vstack([shard.x for shard in shards]), X)
    assert sum(shard.total_weight() for shard in shards) == 6


def test_parameter_is_a_copy() -> None:
    value = as_parameter(X, "means")
    assert not np.shares_memory(value, X)
    with pytest.raises(ValueError, match=r"means: expected finite numbers, got nan at \[0, 1\]"):
        as_parameter([[1.0, np.nan]], "means")


# -- labels in columns -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        [1, None, 0],
        [1.0, np.nan, 0.0],
        pd.Series([1, pd.NA, 0], dtype=object),
        pd.Series([1, None, 0], dtype="Int64"),
        pl.Series([1, None, 0]),
        pa.chunked_array([[1], [None, 0]]),
    ],
    ids=["list", "NaN", "pandas NA", "pandas Int64", "polars", "pyarrow"],
)
def test_label_that_a_column_lacks_is_unknown(column: Any) -> None:
    assert labels_in(column).tolist() == [1, -1, 0]


# -- column names ------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_data_frames_have_column_names(make: Any) -> None:
    assert column_names(make({"a": [1.0], "b": [2.0]})) == ["a", "b"]


@pytest.mark.parametrize("given", [X, VALUES, pd.DataFrame(X), pd.DataFrame()])
def test_no_strings_are_no_names(given: Any) -> None:
    assert column_names(given) is None


def test_strings_and_numbers_as_names_are_refused() -> None:
    frame = pd.DataFrame(X, columns=["a", 1])
    with pytest.raises(TypeError, match="only supported if all input features have string names"):
        column_names(frame)
