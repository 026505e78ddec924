"""maximize(model_statistics(p)) == p, for the families and for the models."""

from __future__ import annotations

import numpy as np
import pytest

from laws.cases import N_COMPONENTS, Case, assert_near, every_double_case, every_double_model


@every_double_model
def test_maximize_of_what_the_model_expects_is_the_model(case: Case) -> None:
    stats = case.model.model_statistics(case.params, case.lengths)
    assert_near(case.model.maximize(stats, case.params), case.params, 1e-13)
    assert_near(case.model.maximize(stats, None), case.params, 1e-13)
    assert_near(case.model.maximize(1e6 * stats, None), case.params, 1e-13)


@every_double_case
def test_maximize_of_what_a_family_expects_is_its_parameters(case: Case) -> None:
    family, params = case.of.family, case.params.components
    for counts in (np.ones(N_COMPONENTS), np.array([3.0, 0.01, 7.0])):
        stats = family.model_statistics(params, counts)
        np.testing.assert_array_equal(case.of.counts(stats), counts)
        assert_near(family.maximize(stats, None), params, 1e-13)


@every_double_case
def test_what_the_model_expects_of_a_row_has_weight_one(case: Case) -> None:
    stats = case.model.model_statistics(case.params)
    assert stats.counts.sum() == pytest.approx(1, rel=1e-15)
    np.testing.assert_array_equal(stats.counts, case.params.weights)
    np.testing.assert_array_equal(case.of.counts(stats.components), case.params.weights)
