"""Missing entries: densities of what was observed, and EM on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from latentcore.arrays import Rows
from latentcore.rules.em import EM, MAPEM
from laws.cases import MODELS, N_FEATURES, N_ROWS, PRECISIONS, Case, assert_near, cases
from laws.test_labels_and_hard import assert_statistics_of, posterior, some_labels
from laws.test_map_em import assert_never_decreases

every_case_with_missing = cases(lambda of: of.missing, PRECISIONS)


def with_missing(case: Case, weighted: bool = False) -> Rows:
    """A third of the entries missing, so that every pattern occurs, and rows of which nothing was observed."""
    rows = case.weighted_rows if weighted else case.rows
    gone = np.random.default_rng(9).uniform(size=rows.x.shape) < 1 / 3
    assert len(np.unique(gone, axis=0)) == 2**N_FEATURES
    x = rows.x.copy()
    x[gone] = np.nan
    return replace(rows, x=x)


@every_case_with_missing
def test_log_densities_are_those_of_what_was_observed(case: Case) -> None:
    rows, params, model = with_missing(case), case.params, case.model
    joint = case.slow_log_joint(params, rows)
    assert np.isfinite(joint).all()
    close = {"rtol": 0, "atol": case.tolerance * np.abs(joint).max()}
    np.testing.assert_allclose(
        case.of.family.log_likelihood(params.components, rows.x),
        joint - np.log(params.weights), **close,
    )  # fmt: skip
    np.testing.assert_allclose(model.log_joint(params, rows.x), joint, **close)
    expected = np.logaddexp.reduce(joint, axis=1)
    np.testing.assert_allclose(model.log_density(params, rows.x), expected, **close)
    r, log_density = model.responsibilities(params, rows.x)
    np.testing.assert_allclose(r, np.exp(joint - expected[:, None]), **close)
    np.testing.assert_allclose(log_density, expected, **close)
    clear = np.diff(np.sort(joint, axis=1))[:, -1] > 2 * close["atol"]
    np.testing.assert_array_equal(model.labels(params, rows.x)[clear], joint.argmax(1)[clear])


@every_case_with_missing
def test_a_row_of_which_nothing_was_observed_has_density_one(case: Case) -> None:
    x: Any = np.full((5, N_FEATURES), np.nan, case.dtype)
    r, log_density = case.model.responsibilities(case.params, x)
    np.testing.assert_allclose(log_density, 0, atol=case.tolerance)
    np.testing.assert_allclose(r, np.tile(case.params.weights, (5, 1)), rtol=10 * case.tolerance)
    stats, log_likelihood = case.model.expected_statistics(case.params, Rows(x))
    assert log_likelihood == pytest.approx(0, abs=5 * case.tolerance)
    assert_near(stats.counts, 5 * case.params.weights, 10 * case.tolerance)


@every_case_with_missing
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_log_likelihood_of_what_was_observed_never_decreases(case: Case, weighted: bool) -> None:
    rows, model = with_missing(case, weighted), case.model
    rule = EM(model)
    state, objectives = rule.init(case.params), []
    for _ in range(40):
        start = state.params
        state, info = rule.step(state, lambda p: model.expected_statistics(p, rows))
        objectives.append(info.objective)
    assert_never_decreases(objectives, case)
    assert objectives[-1] > objectives[0] + 1
    slow = case.slow_log_likelihood(start, rows)
    assert objectives[-1] == pytest.approx(slow, rel=case.tolerance)


@every_case_with_missing
def test_complete_rows_among_others_count_as_they_do_alone(case: Case) -> None:
    rows, model = with_missing(case, weighted=True), case.model
    complete = np.asarray(~np.isnan(rows.x).any(axis=1))
    assert 0.2 < complete.mean() < 0.8
    stats, log_likelihood = model.expected_statistics(case.params, rows)
    parts = [model.expected_statistics(case.params, rows.take(m)) for m in (complete, ~complete)]
    assert_near(parts[0][0] + parts[1][0], stats, 10 * case.tolerance)
    total = parts[0][1] + parts[1][1]
    assert total == pytest.approx(log_likelihood, rel=10 * case.tolerance)


@every_case_with_missing
def test_a_single_missing_entry_leaves_the_other_rows_alone(case: Case) -> None:
    x = case.rows.x.copy()
    x[300, 1] = np.nan
    joint = case.model.log_joint(case.params, x)
    others = np.delete(np.arange(N_ROWS), 300)
    expected = case.model.log_joint(case.params, case.rows.x)
    close = case.tolerance * np.abs(expected).max()
    np.testing.assert_allclose(joint[others], expected[others], rtol=0, atol=close)
    assert np.abs(joint[300] - expected[300]).min() > close


@every_case_with_missing
@pytest.mark.parametrize("unknown", [0.0, 0.5], ids=["all known", "half known"])
def test_labels_and_missing_entries_go_together(case: Case, unknown: float) -> None:
    rows = replace(with_missing(case, weighted=True), labels=some_labels(unknown))
    assert_statistics_of(case, case.model, rows, *posterior(case, rows))


@cases(lambda of: of.missing and of.prior, PRECISIONS, MODELS)
def test_map_em_ascends_on_what_was_observed(case: Case) -> None:
    rows, model = with_missing(case), case.model
    rule = MAPEM(model, case.prior(2.0))
    state, objectives = rule.init(case.params), []
    for _ in range(30):
        state, info = rule.step(state, lambda p: model.expected_statistics(p, rows))
        objectives.append(info.objective)
    assert_never_decreases(objectives, case)


@cases(lambda of: of.missing and hasattr(of.family, "impute"), PRECISIONS)
def test_imputation_changes_missing_entries_alone(case: Case) -> None:
    rows = with_missing(case)
    r, _ = case.model.responsibilities(case.params, rows.x)
    before = rows.x.copy()
    filled = case.of.family.impute(case.params.components, rows.x, r)
    np.testing.assert_array_equal(rows.x, before)
    assert filled.dtype == case.dtype
    assert np.isfinite(filled).all()
    seen = ~np.isnan(rows.x)
    np.testing.assert_array_equal(filled[seen], rows.x[seen])
