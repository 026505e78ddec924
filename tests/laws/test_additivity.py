"""Statistics of shards add up to those of all rows, wherever the rows are cut."""

from __future__ import annotations

import numpy as np
import pytest

from latentcore.statistics import total
from laws.cases import Case, assert_near, every_model


@every_model
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("shard", [1, 7, 64, 599])
def test_statistics_of_shards_sum_to_those_of_all_rows(
    case: Case, shard: int, weighted: bool
) -> None:
    rows = case.weighted_rows if weighted else case.rows
    whole, log_likelihood = case.model.expected_statistics(case.params, rows)
    parts = [case.model.expected_statistics(case.params, part) for part in rows.shards(shard)]
    assert len(parts) > 1
    assert_near(total(stats for stats, _ in parts), whole, case.tolerance)
    assert sum(value for _, value in parts) == pytest.approx(log_likelihood, rel=case.tolerance)


@every_model
def test_addition_is_commutative_and_associative(case: Case) -> None:
    a, b, c = (case.model.expected_statistics(case.params, s)[0] for s in case.rows.shards(200))
    assert_near(a + b, b + a, 1e-14)
    assert_near((a + b) + c, a + (b + c), 1e-13)


@every_model
def test_scaling_distributes_over_addition(case: Case) -> None:
    a, b = (case.model.expected_statistics(case.params, s)[0] for s in case.rows.shards(300))
    assert_near(2.5 * (a + b), 2.5 * a + b * 2.5, 1e-13)
    assert_near(a * 2.0, a + a, 1e-13)
    assert_near(a + 0.0 * b, a, 1e-14)


@every_model
def test_an_empty_shard_adds_nothing(case: Case) -> None:
    stats, _ = case.model.expected_statistics(case.params, case.rows)
    empty, log_likelihood = case.model.expected_statistics(
        case.params, case.rows.take(np.arange(0))
    )
    assert log_likelihood == 0
    np.testing.assert_array_equal(empty.counts, 0)
    assert_near(stats + empty, stats, 1e-15)
    assert_near(empty + stats, stats, 1e-15)
