"""EM: one expectation a step, the M-step of its statistics, the objective of where the step began."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentcore.arrays import Rows
from latentcore.families.gaussian import Gaussian
from latentcore.rules.em import EM, EMState
from latentcore.structures.mixture import Mixture, MixtureParams

FAMILY = Gaussian("spherical")
MODEL = Mixture(FAMILY)


def start() -> MixtureParams[Any]:
    return MixtureParams(
        np.array([0.3, 0.7]), FAMILY.params(np.array([[-1.0], [2.0]]), np.array([1.0, 2.0]))
    )


def data() -> Rows:
    rng = np.random.default_rng(0)
    return Rows(np.concatenate([rng.normal(-2, 1, 80), rng.normal(3, 1, 40)])[:, None])


def test_init_holds_the_parameters_it_is_given() -> None:
    params = start()
    assert EM(MODEL).init(params) == EMState(params)


def test_step_asks_for_one_expectation_and_spends_it() -> None:
    asked: list[MixtureParams[Any]] = []
    params, rows = start(), data()

    def expectation(p: MixtureParams[Any]) -> Any:
        asked.append(p)
        return MODEL.expected_statistics(p, rows)

    rule = EM(MODEL)
    state, info = rule.step(rule.init(params), expectation)
    assert len(asked) == 1
    assert asked[0] is params
    stats, log_likelihood = MODEL.expected_statistics(params, rows)
    assert info.objective == log_likelihood
    expected = MODEL.maximize(stats, params)
    np.testing.assert_array_equal(state.params.weights, expected.weights)
    np.testing.assert_array_equal(state.params.components.means, expected.components.means)


def test_step_is_a_pure_function() -> None:
    rule, rows, params = EM(MODEL), data(), start()
    state = rule.init(params)
    outcomes = [rule.step(state, lambda p: MODEL.expected_statistics(p, rows)) for _ in range(2)]
    (first, first_info), (second, second_info) = outcomes
    assert first_info == second_info
    np.testing.assert_array_equal(first.params.weights, second.params.weights)
    np.testing.assert_array_equal(state.params.weights, [0.3, 0.7])


def test_expected_data_of_a_model_leave_it_where_it_is() -> None:
    params = start()
    rule = EM(MODEL)
    state, _ = rule.step(rule.init(params), lambda p: (MODEL.model_statistics(p), 0.0))
    np.testing.assert_allclose(state.params.weights, params.weights, rtol=1e-15)
    np.testing.assert_array_equal(state.params.components.means, params.components.means)
    np.testing.assert_allclose(
        state.params.components.covariances, params.components.covariances, rtol=1e-15
    )


def test_step_finds_a_mean_and_variance_of_one_component_at_once() -> None:
    rows = data()
    one = MixtureParams(np.ones(1), FAMILY.params(np.zeros((1, 1)), np.ones(1)))
    rule = EM(MODEL)
    state, _ = rule.step(rule.init(one), lambda p: MODEL.expected_statistics(p, rows))
    assert state.params.components.means[0, 0] == pytest.approx(rows.x.mean(), rel=1e-13)
    assert state.params.components.covariances[0] == pytest.approx(rows.x.var(), rel=1e-13)
