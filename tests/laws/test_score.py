"""Data statistics minus model statistics are the gradient of the log-likelihood (Fisher's identity)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from laws.cases import N_COMPONENTS, N_FEATURES, Case, cases, every_double_case

STEP = 1e-4


def derivative(function: Callable[[float], float]) -> float:
    """Central differences of fourth order: error about STEP^4 times the fifth derivative."""
    near, far = function(STEP) - function(-STEP), function(2 * STEP) - function(-2 * STEP)
    return (8 * near - far) / (12 * STEP)


@every_double_case
def test_counts_beyond_expectation_are_the_score_of_the_logits(case: Case) -> None:
    rows, params = case.weighted_rows, case.params
    stats, _ = case.model.expected_statistics(params, rows)
    model = case.model.model_statistics(params) * rows.total_weight()
    for k in range(N_COMPONENTS):

        def log_likelihood(h: float, k: int = k) -> float:
            weights = params.weights * np.exp(h * (np.arange(N_COMPONENTS) == k))
            moved = type(params)(weights / weights.sum(), params.components)
            return case.slow_log_likelihood(moved, rows)

        assert derivative(log_likelihood) == pytest.approx(
            stats.counts[k] - model.counts[k], abs=1e-6 * len(rows)
        )


@cases(lambda of: of.tilt)
def test_sums_beyond_expectation_are_the_score_of_the_natural_parameters(case: Case) -> None:
    rows, params, tilt = case.weighted_rows, case.params, case.of.tilt
    assert tilt is not None
    stats, _ = case.model.expected_statistics(params, rows)
    model = case.of.family.model_statistics(params.components, stats.counts)
    score = case.of.sums(stats.components) - case.of.sums(model)
    for k in range(N_COMPONENTS):
        for d in range(N_FEATURES):

            def log_likelihood(h: float, k: int = k, d: int = d) -> float:
                moved = type(params)(params.weights, tilt(params.components, k, d, h))
                return case.slow_log_likelihood(moved, rows)

            assert derivative(log_likelihood) == pytest.approx(score[k, d], abs=1e-6 * len(rows))
