"""A row or sequence of weight 2 is it twice, and one of weight 0 is absent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentcore.arrays import Rows
from latentcore.errors import ImpossibleRowError
from laws.cases import N_ROWS, PRECISIONS, Case, assert_near, cases, every_model


@every_model
def test_whole_weights_are_repetitions(case: Case) -> None:
    repeats = np.random.default_rng(1).integers(0, 4, case.n_observations)
    assert set(repeats) == {0, 1, 2, 3}
    weighted = replace(case.rows, sample_weight=repeats.astype(float))
    repeated = case.rows.take(np.repeat(np.arange(len(repeats)), repeats))
    assert weighted.total_weight() == repeated.total_weight() == len(repeated)
    stats, log_likelihood = case.model.expected_statistics(case.params, weighted)
    expected, expected_log_likelihood = case.model.expected_statistics(case.params, repeated)
    assert_near(stats, expected, case.tolerance)
    assert log_likelihood == pytest.approx(expected_log_likelihood, rel=case.tolerance)


@every_model
def test_weights_of_one_are_no_weights(case: Case) -> None:
    ones = replace(case.rows, sample_weight=np.ones(case.n_observations))
    stats, log_likelihood = case.model.expected_statistics(case.params, ones)
    expected, expected_log_likelihood = case.model.expected_statistics(case.params, case.rows)
    assert_near(stats, expected, case.tolerance)
    assert log_likelihood == pytest.approx(expected_log_likelihood, rel=case.tolerance)


@every_model
def test_a_scale_of_all_weights_scales_the_statistics(case: Case) -> None:
    rows = case.weighted_rows
    assert rows.sample_weight is not None
    thrice = replace(rows, sample_weight=3 * rows.sample_weight)
    stats, log_likelihood = case.model.expected_statistics(case.params, rows)
    scaled, scaled_log_likelihood = case.model.expected_statistics(case.params, thrice)
    assert_near(scaled, 3 * stats, case.tolerance)
    assert scaled_log_likelihood == pytest.approx(3 * log_likelihood, rel=case.tolerance)


@cases(lambda of: of.impossible, PRECISIONS)
def test_an_impossible_row_of_weight_zero_is_absent(case: Case) -> None:
    x, weight = case.rows.x.copy(), np.ones(N_ROWS)
    x[17], weight[17] = np.finfo(case.dtype).max / 4, 0.0
    stats, log_likelihood = case.model.expected_statistics(case.params, Rows(x, weight))
    without = Rows(np.delete(case.rows.x, 17, axis=0))
    expected, expected_log_likelihood = case.model.expected_statistics(case.params, without)
    assert_near(stats, expected, case.tolerance)
    assert log_likelihood == pytest.approx(expected_log_likelihood, rel=case.tolerance)


@cases(lambda of: of.impossible, PRECISIONS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_impossible_row_is_named(case: Case, weighted: bool) -> None:
    x, weight = case.rows.x.copy(), np.ones(N_ROWS)
    x[417], weight[:40] = np.finfo(case.dtype).max / 4, 0.0
    rows = Rows(x, weight if weighted else None, start=1000)
    with pytest.raises(ImpossibleRowError, match="row 1417: expected a positive density") as info:
        case.model.expected_statistics(case.params, rows)
    assert info.value.row == 1417
