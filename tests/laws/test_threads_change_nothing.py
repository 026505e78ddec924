"""Results are the same, bit for bit, for any number of threads."""

from __future__ import annotations

from typing import Any

import pytest

from latentcore import engine
from latentcore.rules.em import EM
from laws.cases import Case, assert_identical, assert_near, every_model

SHARD = 23  # rows, or a sequence: more shards than any number of threads here


def fit(case: Case, n_threads: int) -> engine.Fit[Any]:
    rows = case.weighted_rows
    return engine.run(
        EM(case.model), case.params, engine.expectation(case.model, rows, SHARD, n_threads),
        total_weight=rows.total_weight(), tol=0.0, max_iter=5,
    )  # fmt: skip


@every_model
@pytest.mark.parametrize("n_threads", [2, 7])
def test_fit_is_the_same_bit_for_bit(case: Case, n_threads: int) -> None:
    alone, shared = fit(case, 1), fit(case, n_threads)
    assert shared.history == alone.history
    assert_identical(shared.params, alone.params)


@every_model
def test_shards_change_nothing_but_rounding(case: Case) -> None:
    rows = case.weighted_rows
    stats, log_likelihood = engine.expectation(case.model, rows, SHARD, 2)(case.params)
    expected, expected_log_likelihood = case.model.expected_statistics(case.params, rows)
    assert_near(stats, expected, case.tolerance)
    assert log_likelihood == pytest.approx(expected_log_likelihood, rel=case.tolerance)
