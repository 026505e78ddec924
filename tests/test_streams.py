"""Batches: every source gives the same rows, in batches of the size asked for; bad sources are named."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from pyarrow import dataset, feather, parquet

from latentcore import Batches, BayesianGaussianMixture, GaussianHMM, GaussianMixture
from latentcore.arrays import as_labels, as_matrix, column_names
from latentcore.parts import LocalParts, Part
from latentcore.streams import as_parts, for_each_batch

X = np.random.default_rng(0).normal(size=(100, 3))
NAMES = ["a", "b", "c"]
FRAME = pd.DataFrame(X, columns=NAMES)
TABLE = pa.Table.from_pandas(FRAME)


def folder(path: Path) -> Path:
    path.mkdir()
    parquet.write_table(TABLE.slice(0, 33), path / "1.parquet", row_group_size=7)
    parquet.write_table(TABLE.slice(33), path / "2.parquet", row_group_size=50)
    return path


def written(write: Callable[[Path], Any], path: Path) -> Path:
    write(path)
    return path


SOURCES: dict[str, Callable[[Path], Any]] = {
    "array": lambda _: X,
    "fortran": lambda _: np.asfortranarray(X),
    "frame": lambda _: FRAME,
    "polars": lambda _: pl.DataFrame(X, schema=NAMES),
    "table": lambda _: TABLE,
    "sparse": lambda _: scipy.sparse.csr_array(X),
    "npy": lambda to: written(lambda p: np.save(p, X), to / "x.npy"),
    "parquet": lambda to: written(
        lambda p: parquet.write_table(TABLE, p, row_group_size=7), to / "x.parquet"
    ),
    "text of a path": lambda to: str(
        written(lambda p: parquet.write_table(TABLE, p), to / "x.parquet")
    ),
    "feather": lambda to: written(lambda p: feather.write_feather(TABLE, p), to / "x.feather"),
    "folder": lambda to: folder(to / "rows"),
    "dataset": lambda to: dataset.dataset(folder(to / "rows")),
    "in memory": lambda _: dataset.dataset(TABLE),
}


def stacked(parts: Any) -> Any:
    return np.concatenate([_dense(part.X) for part in parts])


def _dense(x: Any) -> Any:
    found: Any = as_matrix(x, sparse=True, missing=True)
    return found if isinstance(found, np.ndarray) else found.toarray()


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_rows_of_every_source_come_in_batches_of_the_size_none_of_which_is_short(
    source: Callable[[Path], Any], tmp_path: Path
) -> None:
    made = source(tmp_path)
    for size, lengths in (
        (40, [40, 30, 30]),
        (100, [100]),
        (7, [7] * 13 + [5, 4]),
        (50, [50, 50]),
        (1000, [100]),
        (99, [50, 50]),
    ):
        batches = Batches(made, batch_size=size)
        for _ in range(2):
            parts = list(batches)
            assert [part.X.shape[0] for part in parts] == lengths
            assert [part.number for part in parts] == list(range(len(lengths)))
            np.testing.assert_array_equal(stacked(parts), X)


ITEMS: dict[str, Callable[[], Any]] = {
    "list": lambda: [X[:30], X[30:]],
    "frames": lambda: [FRAME[:30], FRAME[30:]],
    "parts": lambda: [Part(X[:30]), Part(X[30:])],
    "record batches": lambda: TABLE.to_batches(max_chunksize=30),
    "function": lambda: lambda: iter([X[:30], X[30:]]),
    "generator": lambda: (X[i : i + 50] for i in (0, 50)),
}


@pytest.mark.parametrize("items", ITEMS.values(), ids=ITEMS)
def test_items_are_batches_as_they_come(items: Callable[[], Any]) -> None:
    batches = Batches(items())
    np.testing.assert_array_equal(stacked(batches), X)
    if batches.once:
        with pytest.raises(ValueError, match="source: expected batches that are left"):
            list(batches)
        with pytest.raises(ValueError, match="again and again"):
            batches.parts()
    else:
        np.testing.assert_array_equal(stacked(batches), X)
        np.testing.assert_array_equal(stacked(batches.parts(2).map(lambda part: part)), X)


# -- columns -------------------------------------------------------------------------------------


def full_table() -> pa.Table:
    """Columns of rows, of arguments, and of no numbers; with missing entries."""
    return TABLE.append_column("n", pa.array([None, *range(99)], pa.int32())).append_column(
        "who", pa.array(["x"] * 100)
    ).append_column("w", pa.array(np.arange(100.0))).append_column(
        "z", pa.array([None, *([1] * 99)], pa.int8())
    ).append_column("day", pa.array([n // 10 for n in range(100)]))  # fmt: skip


def test_columns_of_files_are_numbers_and_arguments(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet.write_table(full_table(), path)
    whole = Batches(path, sample_weight="w", labels="z", groups="day", batch_size=60)
    first, second = whole
    assert column_names(first.X) == [*NAMES, "n"]
    x = as_matrix(first.X, missing=True)
    np.testing.assert_array_equal(x[:, :3], X[:50])
    np.testing.assert_array_equal(x[:, 3], [np.nan, *range(49)])
    np.testing.assert_array_equal(second.sample_weight, np.arange(50.0, 100.0))
    assert first.labels.tolist() == [-1] + [1] * 49
    assert second.groups.tolist() == [n // 10 for n in range(50, 100)]
    (part,) = Batches(path, columns=["c", "a"], labels="z")
    np.testing.assert_array_equal(as_matrix(part.X), X[:, [2, 0]])
    assert part.sample_weight is None


@pytest.mark.parametrize("kind", [lambda t: t, lambda t: t.to_pandas(), pl.from_arrow])
def test_columns_of_frames_are_all_but_the_arguments(kind: Callable[[Any], Any]) -> None:
    table = kind(full_table().drop_columns(["who", "n"]))
    for columns, expected in ((None, X), (["b"], X[:, [1]])):
        batches = Batches([table], columns=columns, sample_weight="w", labels="z", groups="day")
        (part,) = batches
        np.testing.assert_array_equal(as_matrix(part.X), expected)
        np.testing.assert_array_equal(part.sample_weight, np.arange(100.0))
        assert list(part.labels) == [-1] + [1] * 99


# -- what is parts -------------------------------------------------------------------------------


class Loader:
    """What can be iterated over, again and again, and is nothing more."""

    def __iter__(self) -> Iterator[Any]:
        return iter([X[:30], X[30:]])


def test_what_fit_takes_for_parts(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, X)
    here: LocalParts[Part] = LocalParts(lambda: [Part(X)])
    assert as_parts(here) is here
    for source in (Batches(X), path, str(path), [X], (FRAME,), [Part(X)], lambda: [X], Loader()):
        parts = as_parts(source)
        assert parts is not None
        np.testing.assert_array_equal(stacked(parts.map(lambda part: part)), X)
    x: Any = X
    frames = X, FRAME, FRAME["a"], TABLE, TABLE.to_batches()[0], pl.DataFrame(X), memoryview(x)
    others: list[Any] = [
        *frames,
        scipy.sparse.csr_array(X),
        X.tolist(),
        deque([[1.0]]),
        [],
        {},
        None,
        3.0,
    ]
    for whole in others:
        assert as_parts(whole) is None
    assert as_parts([X], lists=False) is None
    assert as_parts([Part(X)], lists=False) is not None


def test_batches_are_learned_from_one_by_one() -> None:
    told: list[Part] = []
    assert not for_each_batch(X, told.append, labels="l")
    assert not told
    assert for_each_batch((X[i:j] for i, j in ((0, 50), (50, 50), (50, 100))), told.append)
    assert len(told) == 2
    np.testing.assert_array_equal(stacked(told), X)
    with pytest.raises(ValueError, match="labels: expected None with X in parts"):
        for_each_batch([X], told.append, labels=[0])
    with pytest.raises(ZeroDivisionError, match=r"^batch 1: .*by zero$"):
        for_each_batch([X, X], lambda part: 1 // (1 - part.number))


@pytest.mark.parametrize("dtype", ["boolean", "Int64", "category", "float", object])
def test_missing_labels_of_frames_are_unknown(dtype: Any) -> None:
    labels = pd.Series([True, None, False], dtype=object).astype(dtype)
    (part,) = Batches([FRAME[:3].assign(z=labels)], labels="z")
    assert as_labels(part.labels, 3, 2).tolist() == [1, -1, 0]  # type: ignore[union-attr]


# -- bad sources ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": X, "batch_size": 0}, ValueError, "batch_size: expected an integer >= 1, got 0"),
        ({"source": X, "batch_size": 2.0}, TypeError, "batch_size: expected an integer >= 1, got 2.0"),
        ({"source": X, "columns": "a"}, TypeError, "columns: expected a sequence of names, got the string 'a'"),
        ({"source": [FRAME], "columns": []}, ValueError, r"columns: expected at least one name, each once, got \[\]"),
        ({"source": [FRAME], "columns": ["a", "a"]}, ValueError, r"columns: .* each once, got \['a', 'a'\]"),
        ({"source": 3}, TypeError, "source: expected a path, a matrix, .* got int"),
        ({"source": Batches(X)}, TypeError, "source: expected where batches come from, got Batches"),
        ({"source": "nowhere.parquet"}, FileNotFoundError, "source: expected the path .* got nowhere.parquet"),
        ({"source": [X], "columns": ["a"]}, ValueError, "columns: expected data frames, .* got ndarray"),
        ({"source": [FRAME], "labels": "z"}, ValueError, r"columns: expected names .* \['a', 'b', 'c'\], got 'z'"),
        ({"source": dataset.dataset(TABLE), "labels": "z"}, ValueError, "columns: expected names of .* got 'z'"),
        ({"source": dataset.dataset(pa.table({"s": ["x"]}))}, ValueError, "columns: expected a column of numbers"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(arguments: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        list(Batches(**arguments))


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    np.save(tmp_path / "x.npy", X[0])
    np.save(tmp_path / "o.npy", X.astype(object))
    for path, message in (
        (
            tmp_path / "x.csv",
            "source: expected files that end in one of .parquet, .*x.csv",
        ),
        (tmp_path, "source: expected files that end in one of .parquet, .*all of one format"),
        (tmp_path / "x.npy", r"source: expected a 2-D array, got shape \(3,\)"),
        (
            tmp_path / "o.npy",
            "source: expected a whole .npy file of numbers, got .*o.npy: .*objects",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            Batches(path)


def test_folder_is_its_data_files_all_with_the_columns(tmp_path: Path) -> None:
    inside = tmp_path / "day=1"
    for folder in (inside, tmp_path / "_temporary"):
        folder.mkdir()
        parquet.write_table(TABLE, folder / "b.parquet")
    parquet.write_table(TABLE, tmp_path / "a.parquet")
    for name in ("_SUCCESS", ".a.parquet.crc", "readme.txt"):
        (tmp_path / name).write_text("none")
    np.testing.assert_array_equal(stacked(Batches(tmp_path)), np.concatenate([X, X]))
    parquet.write_table(TABLE.drop(["b"]), inside / "c.parquet")
    with pytest.raises(
        ValueError, match=r"in every file, got none called 'b' in .*day=1/c.parquet"
    ):
        Batches(tmp_path)
    assert sum(len(part.X) for part in Batches(tmp_path, columns=["c", "a"])) == 300


def test_truncated_file_is_an_error_and_no_shorter_one(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet.write_table(TABLE, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises((ValueError, OSError), match=r"(?i)parquet|footer|magic"):
        list(Batches(path))


def test_watched_batches_are_the_same_also_in_an_order_that_is_drawn() -> None:
    batches = Batches(X, batch_size=10)
    passes: list[list[int]] = []

    def watch(parts: Iterator[Part]) -> Iterator[Part]:
        passes.append([])
        for part in parts:
            passes[-1].append(part.number)
            yield part

    watched = batches.watched(watch)
    np.testing.assert_array_equal(np.concatenate([part.X for part in watched]), X)
    unwatched, drawn = (
        np.concatenate([part.X for part in one.parts().shuffled(np.random.default_rng(3)).open()])
        for one in (batches, watched)
    )
    np.testing.assert_array_equal(drawn, unwatched)
    assert (drawn != X).any()
    assert passes == [list(range(10))] * 2


def test_source_that_fails_is_not_kept_open() -> None:
    closed = []

    def source() -> Iterator[Any]:
        try:
            yield X
            yield X
        finally:
            closed.append(True)

    for _ in Batches(source):
        break
    assert closed == [True]


@pytest.mark.parametrize("make", [GaussianMixture, BayesianGaussianMixture, GaussianHMM])
def test_iterator_without_batches_left_is_refused(make: Any) -> None:
    batches = iter(np.split(X, 2))
    model = make(2, random_state=0).partial_fit(batches)
    with pytest.raises(ValueError, match=r"^X: expected at least one batch, got none"):
        model.partial_fit(batches)
    assert model.n_samples_seen_ == 100
