"""What a mixture adds to its family: weights, blocks, impossible rows. The laws test the rest."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from latentcore.arrays import Rows
from latentcore.errors import CollapsedComponentError, ImpossibleRowError
from latentcore.families.gaussian import Gaussian
from latentcore.structures.mixture import Mixture, MixtureParams
from laws.cases import ByBlocks

PATHS = pytest.mark.parametrize(
    "path", [Mixture, lambda f: Mixture(ByBlocks(f))], ids=["fused", "by blocks"]
)


def params(family: Gaussian, n_components: int = 2) -> MixtureParams[Any]:
    means = np.arange(n_components, dtype=float)[:, None] * [4.0, 1.0]
    components = family.params(means, np.ones((n_components, 2)))
    return MixtureParams(np.full(n_components, 1 / n_components), components)


def rows(n: int, dtype: Any = np.float64) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(n)
    return (rng.normal(size=(n, 2)) + [4.0, 1.0] * rng.integers(0, 2, size=(n, 1))).astype(dtype)


DIAG = Gaussian("diag")


def test_weights_are_in_proportion_to_the_counts() -> None:
    model = Mixture(DIAG)
    stats, _ = model.expected_statistics(params(DIAG), Rows(rows(50)))
    new = model.maximize(stats, params(DIAG))
    np.testing.assert_allclose(new.weights, stats.counts / 50, rtol=1e-14)
    assert new.weights.sum() == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("n_rows", [1, 32768, 32769, 70_001])
def test_blocks_of_rows_give_what_one_compiled_sweep_gives(n_rows: int, dtype: Any) -> None:
    """A block holds 2^16 log-densities: 32768 rows of two components."""
    data = Rows(rows(n_rows, dtype), np.random.default_rng(1).uniform(0.5, 1.5, n_rows))
    stats, log_likelihood = Mixture(ByBlocks(DIAG)).expected_statistics(params(DIAG), data)
    expected, expected_log_likelihood = Mixture(DIAG).expected_statistics(params(DIAG), data)
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    np.testing.assert_allclose(stats.counts, expected.counts, rtol=tolerance)
    np.testing.assert_allclose(stats.components.means, expected.components.means, rtol=tolerance)
    assert log_likelihood == pytest.approx(expected_log_likelihood, rel=tolerance)


@PATHS
@pytest.mark.parametrize("row", [0, 32767, 32768, 40_000])
def test_impossible_row_is_named(row: int, path: Any) -> None:
    x = rows(40_001)
    x[[row, 40_000]] = 1e200
    weight = np.ones(len(x))
    weight[:row:3] = 0
    for sample_weight in (None, weight):
        with pytest.raises(ImpossibleRowError, match=f"row {row + 7}: ") as info:
            path(DIAG).expected_statistics(params(DIAG), Rows(x, sample_weight, start=7))
        assert info.value.row == row + 7


@PATHS
def test_impossible_row_has_log_density_minus_infinity_and_no_posterior(path: Any) -> None:
    x = rows(5)
    x[3] = 1e200
    model = path(DIAG)
    log_density = model.log_density(params(DIAG), x)
    assert log_density[3] == -math.inf
    assert np.isfinite(log_density[[0, 1, 2, 4]]).all()
    r, _ = model.responsibilities(params(DIAG), x)
    assert np.isnan(r[3]).all()
    np.testing.assert_allclose(r[[0, 1, 2, 4]].sum(axis=1), 1)


@PATHS
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
def test_rows_keep_their_precision_and_sums_are_double(dtype: Any, path: Any) -> None:
    model, x = path(DIAG), rows(9, dtype)
    assert model.log_joint(params(DIAG), x).dtype == dtype
    r, log_density = model.responsibilities(params(DIAG), x)
    assert (r.dtype, log_density.dtype) == (dtype, dtype)
    assert model.log_density(params(DIAG), x).dtype == dtype
    assert model.labels(params(DIAG), x).dtype == np.intp
    stats, log_likelihood = model.expected_statistics(params(DIAG), Rows(x))
    assert isinstance(log_likelihood, float)
    for array in (stats.counts, stats.components.means, stats.components.scatters):
        assert array.dtype == np.float64


@PATHS
def test_labels_of_equally_likely_components_are_the_first(path: Any) -> None:
    same = MixtureParams(np.array([0.5, 0.5]), DIAG.params(np.zeros((2, 2)), np.ones((2, 2))))
    np.testing.assert_array_equal(path(DIAG).labels(same, rows(4)), 0)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_component_without_rows_keeps_its_parameters_and_gets_weight_zero(
    covariance_type: Any,
) -> None:
    family = Gaussian(covariance_type)
    model = Mixture(family)
    identity = {
        "full": np.tile(np.eye(2), (2, 1, 1)), "tied": np.eye(2), "diag": np.ones((2, 2)), "spherical": np.ones(2),
    }  # fmt: skip
    covariances = identity[covariance_type]
    start = MixtureParams(
        np.array([0.5, 0.5]), family.params(np.array([[0.0, 0.0], [1e4, 1e4]]), covariances)
    )
    x = np.random.default_rng(0).normal(size=(30, 2))
    stats, _ = model.expected_statistics(start, Rows(x))
    new = model.maximize(stats, start)
    np.testing.assert_array_equal(new.weights, [1, 0])
    np.testing.assert_array_equal(new.components.means[1], [1e4, 1e4])
    np.testing.assert_allclose(new.components.means[0], x.mean(axis=0), atol=1e-11)
    if covariance_type != "tied":
        np.testing.assert_array_equal(new.components.covariances[1], covariances[1])
    # and goes on as if it were not there
    again, log_likelihood = model.expected_statistics(new, Rows(x))
    assert math.isfinite(log_likelihood)
    np.testing.assert_array_equal(again.counts, [30, 0])


def test_collapsed_component_is_named() -> None:
    x = np.concatenate([rows(20), np.full((5, 2), 50.0)])
    far = params(Gaussian("diag"))
    components = DIAG.params(np.array([[0.0, 0.0], [50.0, 50.0]]), np.ones((2, 2)))
    model = Mixture(DIAG)
    stats, _ = model.expected_statistics(replace(far, components=components), Rows(x))
    with pytest.raises(CollapsedComponentError, match="component 1: expected a positive definite"):
        model.maximize(stats, far)
