"""Known labels and hard assignments: other statistics for the same rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from latentcore.arrays import Labels, Rows
from latentcore.rules.em import EM
from latentcore.structures.mixture import Mixture, MixtureParams
from laws.cases import (
    N_COMPONENTS,
    N_ROWS,
    PRECISIONS,
    WEIGHTS,
    Array,
    Case,
    assert_near,
    cases,
    every_case,
)


def some_labels(unknown: float) -> Labels:
    rng = np.random.default_rng(8)
    labels = rng.integers(N_COMPONENTS, size=N_ROWS).astype(np.int32)
    labels[rng.uniform(size=N_ROWS) < unknown] = -1
    return labels


def posterior(case: Case, rows: Rows) -> tuple[Array, Array]:
    """Responsibilities (N, K) and objectives of rows (N,), by SciPy, with known components clamped."""
    joint = case.slow_log_joint(case.params, rows)
    log_density = np.logaddexp.reduce(joint, axis=1)
    r = np.exp(joint - log_density[:, None])
    if rows.labels is not None:
        known = np.flatnonzero(rows.labels >= 0)
        r[known] = np.eye(N_COMPONENTS)[rows.labels[known]]
        log_density[known] = joint[known, rows.labels[known]]
    return r, log_density


def assert_statistics_of(
    case: Case, model: Mixture[Any, Any], rows: Rows, r: Array, log_density: Array
) -> None:
    """What the model expects of rows is what its family makes of these responsibilities."""
    weight = np.ones(len(rows)) if rows.sample_weight is None else rows.sample_weight
    shares = np.ascontiguousarray(r * weight[:, None], rows.x.dtype)
    stats, objective = model.expected_statistics(case.params, rows)
    expected = case.of.family.expected_statistics(case.params.components, rows.x, shares)
    assert_near(stats.components, expected, 10 * case.tolerance)
    assert_near(stats.counts, weight @ r, 10 * case.tolerance)
    assert objective == pytest.approx(float(weight @ log_density), rel=case.tolerance)


@every_case
@pytest.mark.parametrize("unknown", [0.0, 0.5], ids=["all known", "half known"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_known_labels_are_responsibilities_of_one(
    case: Case, unknown: float, weighted: bool
) -> None:
    rows = case.weighted_rows if weighted else case.rows
    rows = replace(rows, labels=some_labels(unknown))
    assert_statistics_of(case, case.model, rows, *posterior(case, rows))


@every_case
def test_no_known_label_is_no_labels(case: Case) -> None:
    unknown = replace(case.weighted_rows, labels=np.full(N_ROWS, -1, np.int32))
    stats, objective = case.model.expected_statistics(case.params, unknown)
    expected, expected_objective = case.model.expected_statistics(case.params, case.weighted_rows)
    assert_near(stats, expected, case.tolerance)
    assert objective == pytest.approx(expected_objective, rel=case.tolerance)


@every_case
def test_hard_assignments_are_those_of_the_largest_posterior(case: Case) -> None:
    rows = case.weighted_rows
    joint = case.slow_log_joint(case.params, rows)
    clear = np.diff(np.sort(joint, axis=1))[:, -1] > 100 * case.tolerance * np.abs(joint).max()
    assert clear.mean() > 0.9
    rows, joint = rows.take(clear), joint[clear]
    labels = joint.argmax(axis=1)
    r = np.eye(N_COMPONENTS)[labels]
    assert_statistics_of(case, Mixture(case.of.family, hard=True), rows, r, joint.max(axis=1))


@every_case
def test_hard_assignments_keep_known_labels(case: Case) -> None:
    labels = some_labels(0.0)
    rows = replace(case.rows, labels=labels)
    joint = case.slow_log_joint(case.params, rows)
    r, objective = np.eye(N_COMPONENTS)[labels], joint[np.arange(N_ROWS), labels]
    assert_statistics_of(case, Mixture(case.of.family, hard=True), rows, r, objective)


@every_case
@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize("equal_weights", [False, True], ids=["free weights", "equal weights"])
@pytest.mark.parametrize("unknown", [1.0, 0.8], ids=["none known", "some known"])
def test_objective_never_decreases(
    case: Case, hard: bool, equal_weights: bool, unknown: float
) -> None:
    rows = replace(case.weighted_rows, labels=some_labels(unknown))
    model = Mixture(case.of.family, hard, equal_weights)
    rule = EM(model)
    start = case.params
    if equal_weights:
        start = replace(start, weights=np.full(N_COMPONENTS, 1 / N_COMPONENTS))
    state, objectives = rule.init(start), []
    for _ in range(20):
        state, info = rule.step(state, lambda p: model.expected_statistics(p, rows))
        objectives.append(info.objective)
    rounding = 1e-10 if case.dtype is np.float64 else 1e-6
    assert np.diff(objectives).min() >= -rounding * (1 + np.abs(objectives).max())
    assert objectives[-1] > objectives[0]
    if equal_weights:
        np.testing.assert_array_equal(state.params.weights, 1 / N_COMPONENTS)


@cases(lambda of: of.apart, PRECISIONS)
def test_hard_is_soft_where_components_are_apart(case: Case) -> None:
    assert case.of.apart is not None
    components, x = case.of.apart(case.rng)
    params = MixtureParams(WEIGHTS, components)
    rows = Rows(x.astype(case.dtype))
    joint = case.slow_log_joint(params, rows)
    assert np.diff(np.sort(joint, axis=1))[:, -1].min() > np.log(1e7)
    soft, log_likelihood = case.model.expected_statistics(params, rows)
    hard, objective = Mixture(case.of.family, hard=True).expected_statistics(params, rows)
    assert set(np.unique(joint.argmax(axis=1))) == {0, 1, 2}
    assert_near(hard, soft, 1e-5)
    assert objective == pytest.approx(log_likelihood, rel=1e-6)
    assert objective <= log_likelihood + 1e-6 * abs(log_likelihood)
