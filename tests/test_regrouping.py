"""Batches whose borders fall anywhere become parts of whole sequences: the same rows, in the same order."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from latentcore import GaussianHMM
from latentcore.arrays import as_matrix
from latentcore.parts import Part
from latentcore.regrouping import regrouped
from latentcore.sequences import Sequences, as_sequences, names_of_columns

NAMES = ["a", "b"]

KINDS: dict[str, Callable[[Any], Any]] = {
    "array": lambda x: x,
    "pandas": lambda x: pd.DataFrame(x, columns=NAMES),
    "polars": lambda x: pl.DataFrame(x, schema=NAMES),
    "arrow": lambda x: pa.table(dict(zip(NAMES, x.T, strict=True))),
    "record batch": lambda x: pa.RecordBatch.from_arrays([pa.array(c) for c in x.T], names=NAMES),
    "sparse": scipy.sparse.csr_array,
}


def cut(x: Any, groups: Any, borders: list[int], kind: str = "array", **by_row: Any) -> list[Part]:
    """Batches of the rows between the borders."""
    return [
        Part(
            KINDS[kind](x[begin:end]),
            groups=groups[begin:end],
            **{name: values[begin:end] for name, values in by_row.items()},
        )
        for begin, end in itertools.pairwise([0, *borders, len(x)])
    ]


def checked(part: Part) -> Sequences:
    return as_sequences(
        part.X, lengths=part.lengths, groups=part.groups, sample_weight=part.sample_weight,
        labels=part.labels, n_states=3, sparse=True,
    )  # fmt: skip


@st.composite
def borders_of_sequences(draw: Any) -> tuple[list[int], list[int]]:
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=8))
    borders = draw(st.lists(st.integers(0, sum(lengths)), max_size=8))
    return lengths, sorted(borders)


@given(borders_of_sequences())
def test_wherever_borders_fall_parts_are_whole_sequences(case: tuple[list[int], list[int]]) -> None:
    lengths, borders = case
    n_rows = sum(lengths)
    x = np.arange(2.0 * n_rows).reshape(n_rows, 2)
    groups = np.repeat(np.arange(len(lengths))[::-1], lengths)
    weights = np.repeat(np.arange(1.0, len(lengths) + 1), lengths)
    labels = np.arange(n_rows) % 4 - 1
    parts = list(regrouped(cut(x, groups, borders, sample_weight=weights, labels=labels)))
    assert [part.number for part in parts] == list(range(len(borders) + 2))
    found = [checked(part) for part in parts if len(part.X)]
    assert [n for part in found for n in part.lengths] == lengths
    np.testing.assert_array_equal(np.concatenate([part.x for part in found]), x)
    weights_of: list[Any] = [part.sample_weight for part in found]
    np.testing.assert_array_equal(np.concatenate(weights_of), range(1, len(lengths) + 1))
    unknown = [np.full(len(part), -1) if part.labels is None else part.labels for part in found]
    np.testing.assert_array_equal(np.concatenate(unknown), labels)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_any_kind_are_joined(kind: str) -> None:
    x, groups = np.arange(16.0).reshape(8, 2), np.array(list("aabbbbcc"))
    parts = list(regrouped(cut(x, groups, [3, 4, 7], kind)))
    assert [np.shape(part.X) for part in parts] == [(2, 2), (0, 2), (4, 2), (0, 2), (2, 2)]
    parts = parts[::2]
    assert [checked(part).lengths.tolist() for part in parts] == [[2], [4], [2]]
    if kind in ("pandas", "polars", "arrow", "record batch"):
        assert [names_of_columns(part.X) for part in parts] == [NAMES] * 3
    rows: list[Any] = [checked(part).x for part in parts]
    dense = [part.toarray() if kind == "sparse" else part for part in rows]
    np.testing.assert_array_equal(np.concatenate(dense), x)


def test_what_some_batches_lack_means_ones_and_unknown() -> None:
    x = np.zeros((4, 1))
    batches = [
        Part(x, groups=[0, 0, 1, 1]),
        Part(x[:2], np.array([1.0]), np.array([2, -1]), groups=[1, 1]),
    ]
    first, none, second = regrouped(batches)
    assert len(none.X) == 0
    assert first.sample_weight is None
    assert first.labels is None
    np.testing.assert_array_equal(second.sample_weight, np.ones(4))
    np.testing.assert_array_equal(second.labels, [-1, -1, 2, -1])


def test_whole_sequences_pass_as_they_are() -> None:
    parts = [Part(np.zeros((3, 1)), lengths=[1, 2]), Part([np.zeros((3, 1))])]
    assert [(part.X, part.lengths) for part in regrouped(parts)] == [
        (part.X, part.lengths) for part in parts
    ]


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([("ab", 1), ("aba", 1)], "groups: expected the rows of a sequence one after another"),
        ([("ab", 1), ("bc", 2)], "X: expected 1 columns, as before, got 2"),
        ([("ab", 1), (None, 1)], "groups: expected those of the rows, as before, got None"),
    ],
)
def test_batches_that_do_not_go_on_are_refused(batches: list[Any], message: str) -> None:
    parts = [
        Part(np.zeros((len(g or "ab"), width)), groups=None if g is None else list(g))
        for g, width in batches
    ]
    with pytest.raises(ValueError, match=f"^{message}"):
        list(regrouped(parts))


@pytest.mark.parametrize("name", ["sample_weight", "labels", "groups"])
def test_wrong_number_of_values_is_named(name: str) -> None:
    by_row: dict[str, Any] = {"groups": [0, 0, 1, 1], name: [1, 1, 1]}
    with pytest.raises(ValueError, match=rf"^{name}: expected shape \(4,\)"):
        list(regrouped([Part(np.zeros((4, 1)), **by_row)]))


def test_lengths_beside_groups_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^lengths, groups: expected one of them, got both"):
        list(regrouped([Part(np.zeros((2, 1)), lengths=[1, 1], groups=[0, 1])]))


WIDER: dict[str, tuple[Any, Any]] = {
    "masked": (np.ma.array([[1.0]], mask=[[True]]), np.ma.array([[2.0]])),
    "masked and not": (np.ma.array([[1.0]], mask=[[True]]), np.array([[2.0]])),
    "pandas": (pd.DataFrame({"a": [None]}, dtype="Int8"), pd.DataFrame({"a": [2.0]})),
    "polars": (
        pl.DataFrame({"a": [None]}, schema={"a": pl.Float32}),
        pl.DataFrame({"a": [2.0]}),
    ),
    "arrow": (pa.table({"a": pa.array([None], pa.int8())}), pa.table({"a": [2.0]})),
}


@pytest.mark.parametrize("kind", WIDER)
def test_sequence_goes_on_in_other_numbers_and_missing_ones_stay(kind: str) -> None:
    (_, _, part) = regrouped([Part(x, groups=["a"]) for x in WIDER[kind]])
    np.testing.assert_array_equal(as_matrix(part.X, missing=True), [[np.nan], [2.0]])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [1.0]}), r"1 columns of pandas, \['a'\], as before, got"),
        (pl.DataFrame({"a": [1.0]}), np.ones((1, 1)), r"1 columns of polars, \['a'\], as before, got 1 columns$"),
        (np.ones(1), np.ones(1), r"a 2-D array, got shape \(1,\)"),
    ],
)  # fmt: skip
def test_sequence_goes_on_in_the_same_columns(first: Any, second: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^X: expected {message}"):
        list(regrouped([Part(first, groups=["a"]), Part(second, groups=["a"])]))


def test_batches_without_rows_are_passed_over() -> None:
    rows = [[1.0], [2.0]]
    batches = [Part(rows[:1], groups=["a"]), Part([]), Part(rows[1:], groups=["a"])]
    assert [part.X for part in regrouped(batches)][-1] == pytest.approx(np.array(rows))
    with_none = GaussianHMM(1).fit([*batches, Part(rows, groups=["b"] * 2)])
    assert with_none.means_ == pytest.approx(np.array([[1.5]]))


def test_batch_that_holds_no_rows_is_named() -> None:
    with pytest.raises(TypeError, match=r"^batch 1: X: expected a matrix or .*, got int$"):
        GaussianHMM(1).partial_fit(iter([np.zeros((3, 1)), 5]))
