"""Fits in the partitions of a Spark data frame: those of one machine."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions

from clusters.tools import (
    CASES,
    N_PARTS,
    ROWS,
    VISIBLE,
    Case,
    assert_close,
    assert_identical,
    table,
)  # fmt: skip
from latentcore import GaussianMixture
from latentcore.distributed import SparkParts, Traffic, fit
from latentcore.distributed.spark import parts_of
from latentcore.parts import Part

pytestmark = [
    pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:pyspark"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pyspark"),
]

FRAME = table()
EM, HMM = CASES[0], next(case for case in CASES if case.name == "HMM")


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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fit_is_that_of_one_machine_and_that_of_equal_parts_bit_for_bit(
    case: Case, frame: Any
) -> None:
    model = fit(case.make(), frame, columns=case.columns, **case.roles)
    assert list(model.feature_names_in_) == case.columns
    assert_close(model, case.on_one_machine(FRAME))
    assert_identical(model, case.in_local_parts(FRAME))


def test_rows_of_sequences_that_lie_anywhere_are_brought_together_in_order(frame: Any) -> None:
    shuffled = frame.orderBy(functions.hash("place"))
    model, expected = (HMM.make().set_params(max_iter=1, init_params="random") for _ in range(2))
    parts = parts_of(
        shuffled, {"columns": VISIBLE, "sample_weight": None, "labels": None,
                   "groups": "sequence", "order_by": "time"}, None,
    )  # fmt: skip
    found = list(parts.map(lambda part: part.X.to_pandas().assign(sequence=part.groups)))
    assert sum(map(len, found)) == len(FRAME)
    together = pd.concat(found)
    for sequence, rows in FRAME.groupby("sequence"):
        np.testing.assert_array_equal(
            together[together["sequence"] == sequence][VISIBLE], rows[VISIBLE]
        )
        assert sum(sequence in set(part["sequence"]) for part in found) == 1
    del model, expected


def test_partitions_without_rows_and_missing_cells_do_not_matter(frame: Any) -> None:
    kept = frame.where("sequence >= 's010'")  # the first two partitions are empty now
    holes = kept.select(
        *[functions.nanvl(name, functions.lit(None)).alias(name) for name in ("m0", "m1", "m2")]
    )
    model = fit(EM.make(), holes)
    assert_close(model, EM.make().fit(FRAME[["m0", "m1", "m2"]].iloc[1000:]))
    unknown = kept.select(*VISIBLE, functions.expr("nullif(label, -1)").alias("label"))
    arguments = {"labels": FRAME["label"].to_numpy()[1000:]}
    assert_close(
        fit(EM.make(), unknown, labels="label"),
        EM.make().fit(FRAME[VISIBLE].iloc[1000:], **arguments),
    )


def test_results_come_in_order_and_exceptions_of_the_first_part_first(frame: Any) -> None:
    parts = parts_in(frame)
    sums = parts.then(lambda part: (part.number, len(part.X))).map(lambda found: found)
    assert list(sums) == [(number, ROWS) for number in range(N_PARTS)]

    def fails(part: Part) -> int:
        if part.number in (1, 3):
            raise KeyError(f"part {part.number}")
        return part.number

    for failing in (parts.map(fails), parts.then(fails).map(int)):
        assert next(failing) == 0
        with pytest.raises(KeyError, match="part 1"):
            next(failing)


def test_large_parts_and_results_travel_in_pieces(frame: Any) -> None:
    size = 1 << 22
    grown = parts_in(frame).then(lambda part: np.full(size, float(part.number)))
    found = list(grown.map(lambda values: values * 2))
    assert [values.shape for values in found] == [(size,)] * N_PARTS
    assert [(values.min(), values.max()) for values in found] == [
        (2.0 * i, 2.0 * i) for i in range(N_PARTS)
    ]


def test_bytes_of_an_iteration_do_not_grow_with_the_rows(frame: Any) -> None:
    passes = []
    for data in (frame, frame.union(frame).union(frame).union(frame).coalesce(N_PARTS)):
        traffic = Traffic()
        fit(EM.make(), data, columns=VISIBLE, traffic=traffic)
        passes.append(np.array([traffic.sent[-7:-1], traffic.received[-7:-1]]))
    assert passes[0].max() < N_PARTS * 1500  # three Gaussians in three dimensions
    np.testing.assert_allclose(passes[1], passes[0], atol=100)


def test_cache_is_released_with_the_parts(frame: Any, spark: Any) -> None:
    cached = spark.sparkContext._jsc.getPersistentRDDs
    before = len(cached())
    fit(EM.make(), frame, columns=VISIBLE)
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
    model = GaussianMixture(2)
    before = dict(vars(model))
    with pytest.raises(category, match=message):
        fit(model, frame, **arguments)
    assert vars(model) == before


def test_sequence_in_two_partitions_is_named(frame: Any) -> None:
    data = frame.withColumn("half", functions.expr("cast(place / 750 as int)"))
    with pytest.raises(ValueError, match=r"groups: .* got 0 in partitions 0 and 1; with order_by"):
        fit(HMM.make(), data, columns=VISIBLE, groups="half")


def test_no_rows_at_all_is_said(frame: Any) -> None:
    with pytest.raises(ValueError, match="X: expected at least one row"):
        fit(EM.make(), frame.where("place < 0"), columns=VISIBLE)
