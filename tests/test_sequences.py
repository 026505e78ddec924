"""What users hold becomes checked sequences, or a message that says what is wrong."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from latentcore.arrays import CSR
from latentcore.sequences import Sequences, as_sequences, names_of_columns, without_absent

X = np.arange(12.0).reshape(6, 2)
PARTS = [X[:1], X[1:4], X[4:]]
BEGINS = [0, 1, 4, 6]
GROUPS = ["b", "a", "a", "a", "c", "c"]

# -- what is taken -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        (X, {"lengths": [1, 3, 2]}),
        (X, {"lengths": np.array([1, 3, 2], np.uint8)}),
        (X, {"lengths": pd.Series([1, 3, 2])}),
        (X.tolist(), {"lengths": (1, 3, 2)}),
        (pd.DataFrame(X), {"lengths": [1, 3, 2]}),
        (X, {"groups": [7, 3, 3, 3, 9, 9]}),
        (X, {"groups": [0.5, -1.0, -1.0, -1.0, 0.0, 0.0]}),
        (X, {"groups": GROUPS}),
        (X, {"groups": np.array(GROUPS, object)}),
        (X, {"groups": pd.Series(GROUPS, dtype="category")}),
        (X, {"groups": pd.to_datetime(["2001"] + 3 * ["2000"] + 2 * ["2002"])}),
        (PARTS, {}),
        (tuple(PARTS), {}),
        ([part.tolist() for part in PARTS], {}),
        ([pd.DataFrame(part) for part in PARTS], {}),
        ([PARTS[0].tolist(), pl.DataFrame(PARTS[1]), PARTS[2].astype(np.float32)], {}),
    ],
)
def test_three_sequences_are_three_sequences(given: Any, arguments: dict[str, Any]) -> None:
    data = as_sequences(given, **arguments)
    np.testing.assert_array_equal(data.x, X)
    assert data.x.dtype == np.float64
    assert data.begins.dtype == np.int64
    assert data.begins.tolist() == BEGINS
    assert data.lengths.tolist() == [1, 3, 2]
    assert (len(data), data.n_sequences, data.total_weight()) == (6, 3, 6.0)


@pytest.mark.parametrize("given", [X, X.astype(np.float32), [X]])
def test_matrix_is_one_sequence_and_not_copied(given: Any) -> None:
    data = as_sequences(given)
    assert data.begins.tolist() == [0, 6]
    assert data.x is (given[0] if isinstance(given, list) else given)


def test_list_of_rows_is_a_matrix() -> None:
    for rows in (X.tolist(), list(X), tuple(map(tuple, X))):
        data = as_sequences(rows)
        np.testing.assert_array_equal(data.x, X)
        assert data.begins.tolist() == [0, 6]


def test_sequences_of_float32_stay_float32() -> None:
    assert as_sequences([part.astype(np.float32) for part in PARTS]).x.dtype == np.float32


def test_sparse_sequences_are_sparse_rows() -> None:
    x = X % 3
    whole = as_sequences(scipy.sparse.csr_array(x), lengths=[1, 3, 2], sparse=True)
    parts = as_sequences(
        [scipy.sparse.coo_array(x[a:b]) for a, b in ((0, 1), (1, 4), (4, 6))], sparse=True
    )
    for data in (whole, parts):
        assert isinstance(data.x, CSR)
        np.testing.assert_array_equal(data.x.toarray(), x)
        assert data.begins.tolist() == BEGINS
        np.testing.assert_array_equal(data.part(1, 3).x.toarray(), x[1:])


@pytest.mark.parametrize("weight", [[1.0, 0.5, 2.0], [1.0, 0.5, 0.5, 0.5, 2.0, 2.0]])
def test_weights_of_sequences_come_for_sequences_or_for_rows(weight: Any) -> None:
    data = as_sequences(PARTS, sample_weight=weight)
    assert data.sample_weight is not None
    assert data.sample_weight.tolist() == [1.0, 0.5, 2.0]
    assert data.total_weight() == 1 + 1.5 + 4
    assert data.rows().sample_weight is not None
    weight = data.rows().sample_weight
    assert weight is not None
    assert weight.tolist() == [1.0, 0.5, 0.5, 0.5, 2.0, 2.0]


def test_labels_are_those_of_rows() -> None:
    data = as_sequences(PARTS, labels=[0, -1, 2, 1, -1, -1], n_states=3)
    assert data.labels is not None
    assert data.labels.tolist() == [0, -1, 2, 1, -1, -1]
    assert as_sequences(PARTS, labels=[-1] * 6, n_states=3).labels is None


def test_missing_entries_stay_nan() -> None:
    assert np.isnan(as_sequences([[[1.0, None]], [[2.0, 3.0]]], missing=True).x[0, 1])


def test_names_are_those_of_the_data_frames() -> None:
    frames = [pd.DataFrame(part, columns=["u", "v"]) for part in PARTS]
    assert names_of_columns(frames) == names_of_columns(frames[0]) == ["u", "v"]
    assert names_of_columns(PARTS) is names_of_columns(X) is names_of_columns([]) is None


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "category", "message"),
    [
        ({"lengths": [1, 3]}, ValueError, r"lengths: expected a sum of 6, the rows of X, got 4$"),
        ({"lengths": [2**62, 2**62, 2**62, 2**62, 6]}, ValueError, "expected a sum of 6, .* got 184467"),
        ({"lengths": [1, 0, 0, 5]}, ValueError, r"lengths: expected integers >= 1, got 0 for sequence 1$"),
        ({"lengths": [7, -1]}, ValueError, r"lengths: expected integers >= 1, got -1 for sequence 1$"),
        ({"lengths": [1.0, 5.0]}, TypeError, r"lengths: expected integers, got dtype float64$"),
        ({"lengths": [True] * 6}, TypeError, r"lengths: expected integers, got dtype bool$"),
        ({"lengths": 6}, ValueError, r"lengths: expected shape \(Q,\), a length for each sequence, got \(\)$"),
        ({"lengths": []}, ValueError, r"lengths: expected shape \(Q,\), .* got \(0,\)$"),
        ({"lengths": [[6]]}, ValueError, r"lengths: expected shape \(Q,\), .* got \(1, 1\)$"),
        ({"lengths": [6], "groups": [1] * 6}, ValueError, r"lengths, groups: expected one of them, got both$"),
        ({"groups": [1, 1, 2, 2, 1, 1]}, ValueError,
         r"groups: .* one after another, got 1 in rows 0 and 4 and another between$"),
        ({"groups": list("xabbba")}, ValueError, r"got 'a' in rows 1 and 5 and another between$"),
        ({"groups": [1, 2]}, ValueError, r"groups: expected shape \(6,\), a sequence for each row, got \(2,\)$"),
        ({"groups": [0, 0, np.nan, np.nan, 1, 1]}, ValueError,
         r"groups: expected no missing values, got nan in row 2$"),
        ({"groups": pd.array(["a", "a", None, "b", "b", "b"], dtype="string")}, ValueError,
         r"groups: expected no missing values, got <NA> in row 2$"),
        ({"groups": ["a", "a", "a", None, "b", "b"]}, ValueError, r"no missing values, got None in row 3$"),
        ({"lengths": [1, 5], "sample_weight": [1, 2, 3]}, ValueError,
         r"sample_weight: expected shape \(2,\), a weight for each sequence, or \(6,\), got \(3,\)$"),
        ({"lengths": [1, 5], "sample_weight": [1, -2]}, ValueError,
         r"sample_weight: expected finite weights >= 0, got -2.0 in sequence 1$"),
        ({"lengths": [1, 5], "sample_weight": [1, 2, 2, np.nan, 2, 2]}, ValueError,
         r"sample_weight: expected finite weights >= 0, got nan in row 3$"),
        ({"lengths": [1, 5], "sample_weight": [0, 0]}, ValueError,
         r"sample_weight: expected a positive weight in at least one sequence, got only zeros$"),
        ({"lengths": [1, 5], "sample_weight": [1, 2, 2, 3, 2, 2]}, ValueError,
         r"one weight in all rows of a sequence, got 2.0 in row 1 and 3.0 in row 3 of sequence 1$"),
        ({"labels": [0] * 5, "n_states": 2}, ValueError, r"labels: expected shape \(6,\)"),
        ({"labels": [0, 1, 2, 0, 0, 0], "n_states": 2}, ValueError, r"got 2 in row 2$"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_rows_is_refused(
    arguments: dict[str, Any], category: type[Exception], message: str
) -> None:
    with pytest.raises(category, match=message):
        as_sequences(X, **arguments)


@pytest.mark.parametrize(
    ("given", "category", "message"),
    [
        ([X, X[:, :1]], ValueError, r"X\[1\]: expected 2 columns, as X\[0\] has, got 1$"),
        ([X, X[:0]], ValueError, r"X\[1\]: expected at least one row, got 0 sample"),
        ([X, X[0]], ValueError, r"X\[1\]: expected a 2-D array, got 1-D, shape \(2,\)"),
        ([X[0], X], ValueError, r"X\[0\]: expected a 2-D array, got 1-D, shape \(2,\)"),
        ([X, np.full((1, 2), np.nan)], ValueError, r"X\[1\] contains NaN: .* got nan in row 0, column 0"),
        ([X[:, 0], X[:2, 0]], ValueError, r"X: expected sequences of shape \(T, D\), got 1-D ones"),
        (np.zeros((2, 3, 4)), ValueError, r"X: expected a 2-D array, got 3-D, shape \(2, 3, 4\)$"),
        ([[[1.0], ["a"]]], ValueError, r"X\[0\]: expected numbers, got strings"),
        ([X, scipy.sparse.csr_array(X)], TypeError, r"X\[1\]: expected a dense array, got a sparse"),
        ([pd.DataFrame(X, columns=["u", "v"]), pd.DataFrame(X, columns=["v", "u"])], ValueError,
         r"X\[1\]: expected the columns \['u', 'v'\], as X\[0\] has, got \['v', 'u'\]$"),
        ([], ValueError, r"X: expected a 2-D array, got 1-D, shape \(0,\)"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_sequences_is_refused(
    given: Any, category: type[Exception], message: str
) -> None:
    with pytest.raises(category, match=message):
        as_sequences(given)


def test_list_of_sequences_has_its_own_lengths() -> None:
    with pytest.raises(ValueError, match=r"^lengths: expected None where X is a list of sequences"):
        as_sequences(PARTS, lengths=[1, 3, 2])
    with pytest.raises(ValueError, match=r"^groups: expected None where X is a list of sequences"):
        as_sequences(PARTS, groups=GROUPS)


def test_mix_of_sparse_and_dense_sequences_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"X\[1\]: expected sparse rows in all sequences or in none"
    ):
        as_sequences([scipy.sparse.csr_array(X), X], sparse=True)


# -- parts -------------------------------------------------------------------------------------


def example(lengths: list[int]) -> Sequences:
    n = sum(lengths)
    return as_sequences(
        np.arange(2.0 * n).reshape(n, 2), lengths=lengths, labels=np.arange(n) % 3, n_states=3,
        sample_weight=np.arange(len(lengths)) % 3,
    )  # fmt: skip


@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.integers(1, 20))
def test_shards_cover_whole_sequences_once_and_know_where_they_start(
    lengths: list[int], size: int
) -> None:
    data = example(lengths)
    shards = list(data.shards(size))
    np.testing.assert_array_equal(np.concatenate([shard.x for shard in shards]), data.x)
    np.testing.assert_array_equal(np.concatenate([s.lengths for s in shards]), lengths)
    assert data.labels is not None
    assert data.sample_weight is not None
    for shard in shards:
        assert len(shard) <= size or shard.n_sequences == 1
        assert np.shares_memory(shard.x, data.x)
        np.testing.assert_array_equal(shard.x[0], data.x[shard.start])
        np.testing.assert_array_equal(
            shard.labels, data.labels[shard.start : shard.start + len(shard)]
        )
        last = shard.first + shard.n_sequences
        np.testing.assert_array_equal(shard.sample_weight, data.sample_weight[shard.first : last])
        assert data.begins[shard.first] == shard.start
    for shard, following in itertools.pairwise(shards):
        assert len(shard) + following.lengths[0] > size


@given(st.lists(st.integers(1, 9), min_size=2, max_size=12))
def test_sequences_of_weight_zero_are_absent(lengths: list[int]) -> None:
    data = example(lengths)
    assert data.sample_weight is not None
    present = without_absent(data)
    kept = [q for q in range(len(lengths)) if data.sample_weight[q]]
    assert present.n_sequences == len(kept)
    for new, old in enumerate(kept):
        (a, b), (c, d) = present.begins[new : new + 2], data.begins[old : old + 2]
        np.testing.assert_array_equal(present.x[a:b], data.x[c:d])
        assert present.labels is not None
        assert data.labels is not None
        np.testing.assert_array_equal(present.labels[a:b], data.labels[c:d])
    assert present.total_weight() == data.total_weight()
    assert without_absent(present) is present
