"""Sources of batches in an order that is drawn: the same rows, in small pieces from everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from pyarrow import dataset, feather, parquet

from latentcore import Batches, sources
from latentcore.parts import LocalParts

X = np.arange(2400.0).reshape(1200, 2)
FRAME = pd.DataFrame(X, columns=["a", "b"])
TABLE = pa.table({"a": X[:, 0], "b": X[:, 1]})


def folder(path: Path) -> Path:
    for i in range(3):
        piece = TABLE.slice(400 * i, 400)
        parquet.write_table(piece, path / f"{i}.parquet", row_group_size=30)
    return path


def saved(path: Path) -> Path:
    np.save(path / "x.npy", X)
    return path / "x.npy"


def feathers(path: Path) -> Path:
    for i in range(12):
        feather.write_feather(TABLE.slice(100 * i, 100), str(path / f"{i:02}.feather"))
    return path


def rows_in(parts: LocalParts[Any]) -> list[Any]:
    return list(parts.map(lambda part: np.asarray(_dense(part.X))))


def _dense(x: Any) -> Any:
    if hasattr(x, "column_names"):
        return np.column_stack([np.asarray(column) for column in x.columns])
    return x.toarray() if scipy.sparse.issparse(x) else x


@pytest.mark.parametrize(
    ("source", "stay_together"),
    [
        (lambda _: X, 16),
        (lambda _: FRAME, 16),
        (lambda _: scipy.sparse.csr_array(X), 16),
        (lambda _: TABLE, 16),
        (lambda _: [X[a : a + 40] for a in range(0, 1200, 40)], 40),
        (saved, 16),
        (folder, 16),
        (feathers, 100),
        (lambda path: dataset.dataset(folder(path)), 16),
    ],
    ids=["array", "frame", "sparse", "table", "list", "npy", "parquet", "feather", "dataset"],
)
def test_same_rows_come_in_another_order_for_each_seed(
    source: Any, stay_together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_PIECE", 16)
    parts = Batches(source(tmp_path), batch_size=100).parts()
    orders = []
    for seed in (0, 0, 1):
        rows = np.concatenate(rows_in(parts.shuffled(np.random.default_rng(seed))))
        np.testing.assert_array_equal(rows[np.argsort(rows[:, 0])], X)
        orders.append(rows[:, 0])
        n_seams = int((np.diff(rows[:, 0]) != 2).sum())
        assert n_seams > 0.7 * (1200 / stay_together - 1) - 1
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()
    np.testing.assert_array_equal(np.concatenate(rows_in(parts)), X)


def test_what_a_function_returns_is_read_in_its_order() -> None:
    parts = Batches(lambda: iter(np.split(X, 4))).parts()
    found = rows_in(parts.shuffled(np.random.default_rng(0)))
    np.testing.assert_array_equal(np.concatenate(found), X)


def test_filtered_rows_of_files_are_read_in_their_order(tmp_path: Path) -> None:
    filtered = dataset.dataset(folder(tmp_path)).filter(dataset.field("a") < 100)
    found = rows_in(Batches(filtered).parts().shuffled(np.random.default_rng(0)))
    np.testing.assert_array_equal(np.concatenate(found), X[:50])


def test_batches_of_files_have_their_size_in_any_order(tmp_path: Path) -> None:
    parts = Batches(folder(tmp_path), batch_size=70).parts()
    sizes = [len(rows) for rows in rows_in(parts.shuffled(np.random.default_rng(0)))]
    assert sizes == [70] * 16 + [40, 40]


@pytest.mark.parametrize(("n_open", "n_readers"), [(1, 5), (3, 5), (8, 5), (3, 0)])
def test_no_more_readers_are_open_than_said(n_open: int, n_readers: int) -> None:
    opened = most = 0

    def reader(i: int) -> Iterator[tuple[int, int]]:
        nonlocal opened, most
        opened += 1
        most = max(most, opened)
        yield from ((i, j) for j in range(i + 1))
        opened -= 1

    found = list(sources._in_turns(map(reader, range(n_readers)), n_open))
    assert sorted(found) == [(i, j) for i in range(n_readers) for j in range(i + 1)]
    assert most == min(n_open, n_readers)
