"""Batches that hidden Markov models learn from one after the other: steps on whole sequences, or on blocks of one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from estimators.drawn_rows import arrays_of
from latentcore import Batches, GaussianHMM, Online, VariationalGaussianHMM
from latentcore.parts import Part

LENGTHS = [30, 90, 25, 60, 60, 35]
GROUPS = np.repeat(list("caebdf"), LENGTHS)
X = np.random.default_rng(0).normal(size=(300, 2)) + 6 * (np.arange(300) // 9 % 2)[:, None]
FRAME = pd.DataFrame(X, columns=["first", "second"]).assign(
    patient=GROUPS, weight=np.repeat(np.arange(1.0, 7.0), LENGTHS)
)
MODELS = pytest.mark.parametrize("make", [GaussianHMM, VariationalGaussianHMM])


def assert_same(ours: Any, theirs: Any) -> None:
    for name in ("startprob_", "transmat_", "lower_bounds_", "n_samples_seen_"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    pairs = zip(arrays_of(ours.components_, ""), arrays_of(theirs.components_, ""), strict=True)
    for (name, a), (_, b) in pairs:
        np.testing.assert_array_equal(a, b, err_msg=name)


@MODELS
def test_sequences_wait_for_their_end_in_a_later_batch(make: Any, tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "rows.parquet")
    ours = make(2, random_state=0)
    ours.partial_fit(
        Batches(tmp_path / "rows.parquet", batch_size=70, groups="patient", sample_weight="weight")
    )
    theirs = make(2, random_state=0)
    begins, weights = np.cumsum([0, *LENGTHS]), np.arange(1.0, 7.0)
    for first, stop in [(0, 1), (1, 2), (2, 4), (4, 5), (5, 6)]:  # batches end at 70, 140, 210, 280
        theirs.partial_fit(
            FRAME.iloc[begins[first] : begins[stop]][["first", "second"]],
            lengths=LENGTHS[first:stop],
            sample_weight=weights[first:stop],
        )
    assert_same(ours, theirs)
    assert ours.n_samples_seen_ == 300


@MODELS
def test_batch_of_an_iterator_is_a_sequence_or_says_where_they_begin(make: Any) -> None:
    sequences = np.split(X, np.cumsum(LENGTHS)[:-1])

    def batches() -> Iterator[Any]:
        yield sequences[0]
        yield sequences[1:3]
        yield Part(X[145:], lengths=LENGTHS[3:])

    theirs = make(2, random_state=0).partial_fit(sequences[0])
    theirs.partial_fit(sequences[1:3]).partial_fit(X[145:], lengths=LENGTHS[3:])
    for given in (batches(), batches, Batches(batches)):
        assert_same(make(2, random_state=0).partial_fit(given), theirs)


@pytest.mark.parametrize(
    ("size", "ends"), [(70, [70, 140, 210, 255]), (3, list(range(3, 300, 3)))], ids=["70", "3"]
)
@pytest.mark.parametrize("inertia", ["model", "forward-only"])
def test_table_without_groups_is_one_sequence_in_blocks(
    inertia: Any, size: int, ends: list[int]
) -> None:
    online = Online(horizon="endless", inertia=inertia)
    theirs = GaussianHMM(2, random_state=0, online=online)
    for number, block in enumerate(np.split(X, ends)):
        theirs.partial_fit(block, continues=number > 0)
    ours = GaussianHMM(2, random_state=0, online=online)
    ours.partial_fit(Batches(X, batch_size=size), continues=True)
    assert_same(ours, theirs)
    again = copy.deepcopy(ours).partial_fit(Batches(X, batch_size=size), continues=True)
    for block in np.split(X, ends):
        theirs.partial_fit(block, continues=True)
    assert_same(again, theirs)


@MODELS
@pytest.mark.parametrize(
    ("given", "arguments", "message"),
    [
        (Batches(X), {}, "X: expected batches that say where sequences begin"),
        (Batches(X), {"lengths": LENGTHS}, "lengths: expected None with X in parts"),
        ([Part(X), Part(X[:, :1])], {}, "batch 1: X has 1 features"),
    ],
)
def test_batches_that_cannot_be_learned_from_are_refused(
    make: Any, given: Any, arguments: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        make(2, random_state=0).partial_fit(given, **arguments)


def test_blocks_need_an_endless_horizon_before_the_first_step() -> None:
    model = GaussianHMM(2, random_state=0)
    with pytest.raises(ValueError, match=r"^continues: expected True only with online=Online"):
        model.partial_fit(Batches(X, batch_size=70), continues=True)
    assert "_stream" not in model.__dict__
