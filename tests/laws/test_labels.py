"""The order of the components is a name, not a fact: permuting them permutes all results."""

from __future__ import annotations

import numpy as np
import pytest

from laws.cases import Case, assert_near, every_case, every_model, permuted

ORDERS = [[1, 0, 2], [2, 0, 1], [2, 1, 0]]


@every_model
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_permuted_components_give_permuted_statistics(case: Case, order: list[int]) -> None:
    params, rows, model = case.params, case.weighted_rows, case.model
    other = permuted(params, order)
    stats, log_likelihood = model.expected_statistics(params, rows)
    other_stats, other_log_likelihood = model.expected_statistics(other, rows)
    assert_near(other_stats, permuted(stats, order), case.tolerance)
    assert other_log_likelihood == pytest.approx(log_likelihood, rel=case.tolerance)
    assert_near(
        model.maximize(other_stats, other),
        permuted(model.maximize(stats, params), order),
        case.tolerance,
    )


@every_case
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_permuted_components_give_permuted_results(case: Case, order: list[int]) -> None:
    params, rows, model = case.params, case.rows, case.model
    other = permuted(params, order)
    r, log_density = model.responsibilities(params, rows.x)
    other_r, other_log_density = model.responsibilities(other, rows.x)
    np.testing.assert_allclose(other_r, r[:, order], atol=10 * case.tolerance)
    np.testing.assert_allclose(other_log_density, log_density, rtol=10 * case.tolerance)
    np.testing.assert_array_equal(
        np.array(order)[model.labels(other, rows.x)], model.labels(params, rows.x)
    )
