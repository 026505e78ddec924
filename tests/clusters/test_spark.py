"""Fits in the partitions of a Spark data frame: those of one machine."""

from __future__ import annotations

import gc
import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions

from clusters.tools import (
    MISSING,
    VISIBLE,
    Case,
    assert_close,
    assert_fit_is_that_of_one_machine,
    assert_refused_as_before,
    case,
    combined_in_one_pass,
    table,
)
from latentcore import GaussianMixture
from latentcore.distributed import SparkParts, Traffic, fit
from latentcore.distributed.spark import _PIECE, parts_of
from latentcore.parts import Part

pytestmark = [
    pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:pyspark"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pyspark"),
]

FRAME = table()
EM, HMM = case("EM"), case("HMM")
CASES = [
    *map(case, ("hard EM", "MAP-EM, labels, weights and missing", "CAVI", "HMM", "Bayesian HMM"))
]
N_PARTS = 2
ROWS = len(FRAME) // N_PARTS


@pytest.fixture(scope="module")
def frame(spark: Any) -> Any:
    """``FRAME``, its rows in order, ``ROWS`` of them in each partition."""
    rows = FRAME.assign(place=np.arange(len(FRAME)))
    columns = ", ".join(f"{name} {_sql_type(rows[name])}" for name in rows)

    def of_partition(batches: Any) -> Any:
        import pyarrow

        for batch in batches:
            for place in batch.column(0).to_pylist():
                yield pyarrow.RecordBatch.from_pandas(
                    rows.iloc[place * ROWS : (place + 1) * ROWS], preserve_index=False
                )

    return spark.range(0, N_PARTS, 1, N_PARTS).mapInArrow(of_partition, columns).cache()


def _sql_type(column: Any) -> str:
    return {"f": "double", "i": "bigint"}.get(column.dtype.kind, "string")


def parts_in(frame: Any) -> SparkParts[Part]:
    roles = dict.fromkeys(["sample_weight", "labels", "groups", "order_by"])
    return parts_of(frame, {"columns": VISIBLE, **roles}, None)


def test_java_is_there() -> None:
    assert shutil.which("java"), "Spark needs a Java runtime, 17 or later, in PATH"


@pytest.mark.parametrize("of", CASES, ids=lambda of: of.name)
def test_fit_is_that_of_one_machine_and_that_of_equal_parts_bit_for_bit(
    of: Case, frame: Any
) -> None:
    assert_fit_is_that_of_one_machine(of, frame, FRAME, N_PARTS)


def test_rows_of_sequences_that_lie_anywhere_are_brought_together_in_order(frame: Any) -> None:
    shuffled = frame.orderBy(functions.hash("place"))
    roles = {"columns": VISIBLE, "groups": "sequence", "order_by": "time"}
    parts = parts_of(shuffled, {"sample_weight": None, "labels": None, **roles}, None)
    found = list(parts.map(lambda part: part.X.to_pandas().assign(sequence=part.groups)))
    together = pd.concat(found)
    assert len(together) == len(FRAME)
    for sequence, rows in FRAME.groupby("sequence"):
        ours = together[together["sequence"] == sequence]
        np.testing.assert_array_equal(ours[VISIBLE], rows[VISIBLE])
        assert sum(sequence in set(part["sequence"]) for part in found) == 1


def test_partitions_without_rows_and_missing_cells_do_not_matter(frame: Any) -> None:
    """What is null is missing: of the visible an entry, of the labels what is known."""
    kept = frame.where("sequence >= 's010'").select(  # the first partition is empty now
        *[functions.expr(f"nanvl({name}, null)").alias(name) for name in MISSING],
        functions.expr("nullif(label, -1)").alias("label"),
    )
    rest = FRAME.iloc[ROWS:]
    expected = EM.make().fit(rest[MISSING], labels=rest["label"].to_numpy())
    assert_close(fit(EM.make(), kept, labels="label"), expected)


def test_models_of_the_parts_are_combined_in_one_pass(frame: Any) -> None:
    combined_in_one_pass(frame, FRAME, N_PARTS)


def test_results_come_in_order_and_exceptions_of_the_first_part_first(frame: Any) -> None:
    parts = parts_in(frame)
    sums = parts.then(lambda part: (part.number, len(part.X))).map(lambda found: found)
    assert list(sums) == [(number, ROWS) for number in range(N_PARTS)]

    def fails(part: Part) -> int:
        raise KeyError(f"part {part.number}")

    for failing in (parts.map(fails), parts.then(fails).map(int)):
        with pytest.raises(KeyError, match="part 0"):
            next(failing)


def test_large_parts_and_results_travel_in_pieces(frame: Any) -> None:
    size = _PIECE // 8 + 1000
    grown = parts_in(frame).then(lambda part: np.full(size, float(part.number)))
    found = list(grown.map(lambda values: values + 1))
    for number, values in enumerate(found):
        np.testing.assert_array_equal(values, np.full(size, number + 1.0))


def test_bytes_of_an_iteration_do_not_grow_with_the_rows(frame: Any) -> None:
    passes = []
    for data in (frame, frame.union(frame).union(frame).coalesce(N_PARTS)):
        traffic = Traffic()
        fit(EM.make(), data, columns=VISIBLE, traffic=traffic)
        passes.append(np.array([traffic.sent[-5:-1], traffic.received[-5:-1]]))
    assert passes[0].max() < N_PARTS * 1500  # three Gaussians in three dimensions
    np.testing.assert_allclose(passes[1], passes[0], atol=100)


def test_cache_is_released_with_the_parts(frame: Any, spark: Any) -> None:
    cached = spark.sparkContext._jsc.getPersistentRDDs
    gc.collect()
    before = len(cached())
    parts = parts_in(frame).then(lambda part: part.number)
    assert list(parts.map(lambda number: number)) == [0, 1]
    assert len(cached()) > before
    del parts
    assert len(cached()) == before


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"client": "tcp://1:2"}, ValueError, "client: expected None beside a Spark data frame, got str"),
    ({"lengths": [3]}, ValueError, "lengths: expected None beside a Spark data frame, got list"),
    ({"columns": ["y"]}, ValueError, r"columns: expected one of the columns \['x0', .* got 'y'"),
    ({"sample_weight": np.ones(3)}, TypeError, "sample_weight: expected the name of a column"),
    ({"columns": ["sequence"]}, ValueError, "part 0: X: expected numbers, got"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "category", "message"), WRONG)
def test_wrong_argument_is_named_and_the_estimator_is_as_before(
    arguments: dict[str, Any], category: type[Exception], message: str, frame: Any
) -> None:
    assert_refused_as_before(GaussianMixture(2), frame, arguments, category, message)


def test_sequence_in_two_partitions_is_named(frame: Any) -> None:
    data = frame.withColumn("half", functions.expr("cast(place / 750 as int)"))
    with pytest.raises(ValueError, match=r"groups: .* got 1 in partitions 0 and 1; with order_by"):
        fit(HMM.make(), data, columns=VISIBLE, groups="half")


def test_no_rows_at_all_is_said(frame: Any) -> None:
    with pytest.raises(ValueError, match="X: expected at least one row"):
        fit(EM.make(), frame.where("place < 0"), columns=VISIBLE)
