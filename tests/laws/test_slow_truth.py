"""Every path through a model equals the definition, computed by SciPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from latentcore.structures.mixture import Mixture
from laws.cases import ByBlocks, Case, assert_near, every_case, gaussian_case
from reference import gaussian


@every_case
def test_log_densities_and_responsibilities_are_those_of_scipy(case: Case) -> None:
    model, params, x = case.model, case.params, case.rows.x
    joint = case.slow_log_joint(params, case.rows)
    scale = np.abs(joint).max()
    got = model.log_joint(params, x)
    assert got.dtype == x.dtype
    np.testing.assert_allclose(got, joint, rtol=0, atol=case.tolerance * scale)
    expected = np.logaddexp.reduce(joint, axis=1)
    r, log_density = model.responsibilities(params, x)
    assert r.dtype == log_density.dtype == x.dtype
    np.testing.assert_allclose(log_density, expected, rtol=0, atol=case.tolerance * scale)
    np.testing.assert_allclose(
        r, np.exp(joint - expected[:, None]), rtol=0, atol=case.tolerance * scale
    )
    np.testing.assert_array_equal(model.log_density(params, x), log_density)
    clear = np.diff(np.sort(joint, axis=1))[:, -1] > 2 * case.tolerance * scale
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(model.labels(params, x)[clear], joint.argmax(axis=1)[clear])
    np.testing.assert_allclose(
        case.of.family.log_likelihood(params.components, x), joint - np.log(params.weights),
        rtol=0, atol=case.tolerance * scale,
    )  # fmt: skip


@every_case
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_expected_statistics_are_those_of_scipy(case: Case, weighted: bool) -> None:
    rows = case.weighted_rows if weighted else case.rows
    weight = np.ones(len(rows)) if rows.sample_weight is None else rows.sample_weight
    stats, log_likelihood = case.model.expected_statistics(case.params, rows)
    joint = case.slow_log_joint(case.params, rows)
    r = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)) * weight[:, None]
    tolerance = 10 * case.tolerance
    assert log_likelihood == pytest.approx(
        case.slow_log_likelihood(case.params, rows), rel=case.tolerance
    )
    np.testing.assert_allclose(stats.counts, r.sum(axis=0), rtol=tolerance)
    np.testing.assert_allclose(case.of.counts(stats.components), r.sum(axis=0), rtol=tolerance)
    sums = r.T @ case.of.summed(rows.x.astype(float))
    np.testing.assert_allclose(
        case.of.sums(stats.components), sums, rtol=0, atol=tolerance * np.abs(sums).max()
    )


@every_case
def test_a_component_of_weight_zero_is_absent(case: Case) -> None:
    params = replace(case.params, weights=np.array([0.6, 0.0, 0.4]))
    stats, log_likelihood = case.model.expected_statistics(params, case.rows)
    assert stats.counts[1] == 0
    assert case.of.counts(stats.components)[1] == 0
    density = case.of.log_density(params.components, case.rows.x)[:, [0, 2]]
    expected = np.logaddexp.reduce(density + np.log([0.6, 0.4]), axis=1).sum()
    assert log_likelihood == pytest.approx(expected, rel=case.tolerance)
    r, _ = case.model.responsibilities(params, case.rows.x)
    np.testing.assert_array_equal(r[:, 1], 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("covariance_type", gaussian.COVARIANCE_TYPES)
def test_compiled_sweeps_equal_the_path_of_users_families(
    covariance_type: Any, dtype: type
) -> None:
    case = Case(gaussian_case(covariance_type), dtype)
    fused, by_blocks = Mixture(case.of.family), Mixture(ByBlocks(case.of.family))
    params, rows = case.params, case.weighted_rows
    stats, log_likelihood = fused.expected_statistics(params, rows)
    expected, expected_log_likelihood = by_blocks.expected_statistics(params, rows)
    assert_near(stats, expected, 10 * case.tolerance)
    assert log_likelihood == pytest.approx(expected_log_likelihood, rel=case.tolerance)
