"""Sweeps over Gaussian mixtures against their definitions in extended precision."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from latentcore import kernels
from latentcore.errors import CollapsedComponentError, ImpossibleRowError, NumericalError
from reference import gaussian

Array = npt.NDArray[np.float64]

N_ROWS = 533  # more than one tile in each precision, and a remainder
FEATURES = [1, 2, 3, 5, 8, 9, 16, 33]
COMPONENTS = [1, 2, 3, 7]

# Sums of D squares, of N rows and the elementary functions each lose some last places; all of it stays within
# 2^11 of them for these condition numbers (about ten).
TOLERANCE = {"f64": 2.0**11 * 2.0**-53, "f32": 2.0**11 * 2.0**-24}
DTYPES = {"f64": np.float64, "f32": np.float32}

every_precision = pytest.mark.parametrize("precision", ["f64", "f32"])
every_type = pytest.mark.parametrize("covariance_type", gaussian.COVARIANCE_TYPES)
every_size = pytest.mark.parametrize("n_features", FEATURES)
every_number = pytest.mark.parametrize("n_components", COMPONENTS)


def every_shape(function: Any) -> Any:
    return every_precision(every_type(every_size(every_number(function))))


@dataclass(frozen=True)
class Problem:
    """Rows, a mixture, and the true log joint densities."""

    x: npt.NDArray[Any]
    sample_weight: Array
    weights: Array
    means: Array
    covariances: Array
    covariance_type: str
    log_joint: gaussian.Extended

    @property
    def arguments(self) -> tuple[Array, Array, Array, str]:
        """Offsets, means, factors, covariance type: made by NumPy alone."""
        dense = gaussian.full_covariances(self.covariances, self.covariance_type, self.means)
        offsets = np.log(self.weights) - [
            0.5 * np.linalg.slogdet(2 * math.pi * covariance)[1] for covariance in dense
        ]
        return (
            offsets,
            self.means,
            numpy_factors(self.covariances, self.covariance_type),
            self.covariance_type,
        )


def numpy_factors(covariances: Array, covariance_type: str) -> Array:
    if covariance_type == "full":
        return np.array([numpy_factors(covariance, "tied") for covariance in covariances])
    if covariance_type == "tied":
        return np.ascontiguousarray(np.linalg.inv(np.linalg.cholesky(covariances)).T)
    return 1 / np.sqrt(covariances)


@cache
def problem(precision: str, covariance_type: str, n_components: int, n_features: int) -> Problem:
    rng = np.random.default_rng(1000 * n_components + n_features)
    weights = rng.uniform(0.5, 1.0, n_components)
    weights /= weights.sum()
    means = rng.normal(size=(n_components, n_features))
    covariances = gaussian.random_covariances(rng, covariance_type, n_components, n_features)
    x = means[rng.integers(n_components, size=N_ROWS)] + rng.normal(size=(N_ROWS, n_features))
    x = x.astype(DTYPES[precision])
    sample_weight = rng.uniform(0.0, 2.0, N_ROWS)
    sample_weight[::11] = 0.0
    log_joint = gaussian.log_joint(x, weights, means, covariances, covariance_type)
    return Problem(x, sample_weight, weights, means, covariances, covariance_type, log_joint)


def assert_near(got: Any, expected: Any, tolerance: float, scale: float | None = None) -> None:
    """Within the tolerance, relative to the largest expected number unless a scale is given."""
    assert np.shape(got) == np.shape(expected)
    if scale is None:
        scale = float(np.max(np.abs(expected), initial=1e-300))
    np.testing.assert_allclose(
        np.asarray(got, np.longdouble), expected, rtol=0, atol=tolerance * scale
    )


@every_shape
def test_log_joint_agrees_with_dense_gaussians(
    precision: str, covariance_type: str, n_components: int, n_features: int
) -> None:
    p = problem(precision, covariance_type, n_components, n_features)
    got = kernels.gaussian_log_joint(p.x, *p.arguments)
    assert got.dtype == p.x.dtype
    assert_near(got, p.log_joint, TOLERANCE[precision])


@every_shape
def test_rows_functions_agree_with_dense_gaussians(
    precision: str, covariance_type: str, n_components: int, n_features: int
) -> None:
    p = problem(precision, covariance_type, n_components, n_features)
    tolerance = TOLERANCE[precision] * float(np.max(np.abs(p.log_joint)))
    r, log_density = kernels.gaussian_responsibilities(p.x, *p.arguments)
    assert_near(log_density, gaussian.logsumexp(p.log_joint), tolerance, 1.0)
    assert_near(r, gaussian.responsibilities(p.log_joint), tolerance, 1.0)
    np.testing.assert_array_equal(kernels.gaussian_log_density(p.x, *p.arguments), log_density)
    labels = kernels.gaussian_labels(p.x, *p.arguments)
    assert labels.dtype == np.intp
    chosen = p.log_joint[np.arange(N_ROWS), labels]
    assert np.all(chosen >= p.log_joint.max(axis=1) - 2 * tolerance)


@every_shape
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_em_sweep_gives_the_expected_statistics(
    precision: str, covariance_type: str, n_components: int, n_features: int, weighted: bool
) -> None:
    p = problem(precision, covariance_type, n_components, n_features)
    row_weights = p.sample_weight if weighted else np.ones(N_ROWS)
    r = gaussian.responsibilities(p.log_joint) * row_weights[:, None]
    expected = gaussian.statistics(p.x, r, covariance_type)
    log_likelihood = float((gaussian.logsumexp(p.log_joint) * row_weights).sum())

    got = kernels.gaussian_em_sweep(p.x, p.sample_weight if weighted else None, *p.arguments)
    # an error of the exponent is a relative error of the responsibilities
    tolerance = TOLERANCE[precision] * max(1.0, float(np.abs(p.log_joint).max()) / 10)
    for value, truth in zip(got[:3], expected, strict=True):
        assert value.dtype == np.float64
        assert_near(value, truth, tolerance)
    assert got[3] == pytest.approx(log_likelihood, rel=TOLERANCE[precision])
    assert got[4] is False
    if covariance_type in ("full", "tied"):
        np.testing.assert_array_equal(got[2], np.swapaxes(got[2], -1, -2))


@every_shape
def test_moments_agree_with_two_passes(
    precision: str, covariance_type: str, n_components: int, n_features: int
) -> None:
    p = problem(precision, covariance_type, n_components, n_features)
    weights = np.random.default_rng(5).uniform(size=(N_ROWS, n_components)).astype(p.x.dtype)
    got = kernels.gaussian_moments(p.x, weights, p.means, covariance_type)
    expected = gaussian.statistics(p.x, weights, covariance_type)
    for value, truth in zip(got[:3], expected, strict=True):
        assert_near(value, truth, TOLERANCE[precision])
    assert got[3] is False


@every_precision
@every_type
def test_centers_change_nothing_but_rounding(precision: str, covariance_type: str) -> None:
    p = problem(precision, covariance_type, 3, 5)
    at_the_means = kernels.gaussian_em_sweep(p.x, None, *p.arguments)
    elsewhere = kernels.gaussian_em_sweep(p.x, None, *p.arguments, centers=p.means + 3.0)
    for value, truth in zip(elsewhere[:4], at_the_means[:4], strict=True):
        assert_near(value, truth, TOLERANCE[precision])


@every_type
def test_far_centers_are_reported_and_a_second_sweep_gives_the_digits_back(
    covariance_type: str,
) -> None:
    rng = np.random.default_rng(6)
    x = 1e6 + rng.normal(size=(100, 2))
    weights = np.ones((100, 1))
    expected = gaussian.statistics(x, weights, covariance_type)
    _, means, _, cancelled = kernels.gaussian_moments(x, weights, np.zeros((1, 2)), covariance_type)
    assert cancelled is True
    *got, cancelled = kernels.gaussian_moments(x, weights, means, covariance_type)
    assert cancelled is False
    for value, truth in zip(got, expected, strict=True):
        np.testing.assert_allclose(value, truth, rtol=1e-9)

    # the same in an E-step: a wide component at 0
    covariances = {
        "full": np.eye(2)[None],
        "tied": np.eye(2),
        "diag": np.ones((1, 2)),
        "spherical": np.ones(1),
    }
    factors = covariances[covariance_type] * 1e-6
    arguments = (np.zeros(1), np.zeros((1, 2)), factors, covariance_type)
    _, means, _, log_likelihood, cancelled = kernels.gaussian_em_sweep(x, None, *arguments)
    assert cancelled is True
    *got, again, cancelled = kernels.gaussian_em_sweep(x, None, *arguments, means)
    assert cancelled is False
    assert again == log_likelihood
    for value, truth in zip(got, expected, strict=True):
        np.testing.assert_allclose(value, truth, rtol=1e-9)


@every_precision
@every_type
@pytest.mark.parametrize("distance", [1e2, 1e4, 1e6])
def test_another_component_far_away_costs_no_digits(
    distance: float, covariance_type: str, precision: str
) -> None:
    """But for tied covariances, whose rows are taken about the mean of the means: eps times the distance."""
    x = np.random.default_rng(16).normal(size=(200, 2)).astype(DTYPES[precision])
    means = np.array([[0.0, 0.0], [distance, distance]])
    factors = {
        "full": np.tile(np.eye(2), (2, 1, 1)), "tied": np.eye(2), "diag": np.ones((2, 2)), "spherical": np.ones(2),
    }[covariance_type]  # fmt: skip
    arguments = (np.zeros(2), means, factors, covariance_type)
    tolerance = 16 * float(np.finfo(x.dtype).eps)
    if covariance_type == "tied":
        tolerance *= distance
    truth = -0.5 * (x.astype(np.longdouble) ** 2).sum(axis=1)
    assert_near(kernels.gaussian_log_joint(x, *arguments)[:, 0], truth, tolerance)
    counts, new_means, scatters, _, _ = kernels.gaussian_em_sweep(x, None, *arguments)
    np.testing.assert_array_equal(counts, [200, 0])
    _, (mean,), scatter = gaussian.statistics(x, np.ones((200, 1)), covariance_type)
    assert_near(new_means[0], mean, tolerance, 1.0)
    wanted = scatter if covariance_type == "tied" else scatter[0]
    assert_near(scatters if covariance_type == "tied" else scatters[0], wanted, tolerance)


@every_precision
@every_type
@pytest.mark.parametrize("n_rows", [0, 1, 2, 63, 64, 65, 255, 256, 257, 512, 513])
def test_any_number_of_rows_is_the_sum_of_its_rows(
    n_rows: int, covariance_type: str, precision: str
) -> None:
    p = problem(precision, covariance_type, 2, 3)
    counts, _, _, log_likelihood, _ = kernels.gaussian_em_sweep(p.x[:n_rows], None, *p.arguments)
    r = gaussian.responsibilities(p.log_joint[:n_rows])
    assert_near(counts, r.sum(axis=0), TOLERANCE[precision], max(n_rows, 1))
    expected = gaussian.logsumexp(p.log_joint[:n_rows]).sum()
    assert_near(log_likelihood, expected, TOLERANCE[precision], 10 * max(n_rows, 1))


@every_precision
def test_no_rows_leave_the_means_where_they_are(precision: str) -> None:
    p = problem(precision, "full", 3, 2)
    counts, means, scatters, log_likelihood, cancelled = kernels.gaussian_em_sweep(
        p.x[:0], None, *p.arguments
    )
    np.testing.assert_array_equal(counts, 0)
    np.testing.assert_array_equal(means, p.means)
    np.testing.assert_array_equal(scatters, 0)
    assert (log_likelihood, cancelled) == (0.0, False)


@every_precision
@every_type
def test_a_component_of_weight_zero_takes_no_part(precision: str, covariance_type: str) -> None:
    p = problem(precision, covariance_type, 3, 2)
    offsets, means, factors, _ = p.arguments
    offsets = np.array([offsets[0], -math.inf, offsets[2]])
    counts, new_means, _, log_likelihood, _ = kernels.gaussian_em_sweep(
        p.x, None, offsets, means, factors, covariance_type
    )
    assert counts[1] == 0
    np.testing.assert_array_equal(new_means[1], means[1])
    expected = gaussian.logsumexp(p.log_joint[:, [0, 2]]).sum()
    assert log_likelihood == pytest.approx(float(expected), rel=TOLERANCE[precision])
    r, _ = kernels.gaussian_responsibilities(p.x, offsets, means, factors, covariance_type)
    np.testing.assert_array_equal(r[:, 1], 0)


@every_precision
@every_type
@pytest.mark.parametrize("row", [0, 300, N_ROWS - 1])
def test_impossible_row_is_named(row: int, covariance_type: str, precision: str) -> None:
    p = problem(precision, covariance_type, 2, 2)
    far = 1e30 if precision == "f32" else 1e300
    x = p.x.copy()
    x[row] = far
    with pytest.raises(ImpossibleRowError, match=f"row {row}: expected a positive density") as info:
        kernels.gaussian_em_sweep(x, None, *p.arguments)
    assert info.value.row == row
    # a row of weight 0 is passed over
    weight = np.ones(N_ROWS)
    weight[row] = 0
    assert math.isfinite(kernels.gaussian_em_sweep(x, weight, *p.arguments)[3])
    r, log_density = kernels.gaussian_responsibilities(x, *p.arguments)
    assert log_density[row] == -math.inf
    assert np.isnan(r[row]).all()
    assert np.isfinite(np.delete(log_density, row)).all()


@every_precision
@every_type
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 5), (7, 17)], ids=str)
def test_rows_of_the_largest_numbers_have_density_zero_and_not_nan(
    shape: tuple[int, int], covariance_type: str, precision: str
) -> None:
    rng = np.random.default_rng(14)
    covariances = gaussian.random_covariances(rng, covariance_type, *shape)
    factors, offsets = kernels.gaussian_factors(covariances, covariance_type, *shape)
    arguments = (offsets, rng.normal(size=shape), factors, covariance_type)
    dtype = DTYPES[precision]
    x = rng.normal(size=(70, shape[1])).astype(dtype)
    largest = np.finfo(dtype).max
    x[[5, 6, 64]] = np.array([[largest], [-largest], [largest / 2]])
    x[69] = np.where(np.arange(shape[1]) % 2 == 0, largest, -largest)
    huge = np.isin(np.arange(70), [5, 6, 64, 69])
    r, log_density = kernels.gaussian_responsibilities(x, *arguments)
    np.testing.assert_array_equal(log_density[huge], -math.inf)
    assert np.isnan(r[huge]).all()
    assert np.isfinite(log_density[~huge]).all()
    assert np.isfinite(r[~huge]).all()


@every_precision
@every_type
def test_row_that_is_not_a_number_is_named(precision: str, covariance_type: str) -> None:
    p = problem(precision, covariance_type, 3, 5)
    x = p.x.copy()
    x[301, 2] = math.nan
    with pytest.raises(ImpossibleRowError, match="row 301: "):
        kernels.gaussian_em_sweep(x, None, *p.arguments)


@every_precision
@every_type
@pytest.mark.parametrize("shape", [(3, 257), (900, 3), (40, 66)], ids=str)
def test_shapes_beyond_a_tile_agree_with_the_definition(
    shape: tuple[int, int], covariance_type: str, precision: str
) -> None:
    n_components, n_features = shape
    rng = np.random.default_rng(15)
    covariances = gaussian.random_covariances(rng, covariance_type, *shape)
    factors, offsets = kernels.gaussian_factors(covariances, covariance_type, *shape)
    means = rng.normal(size=shape)
    arguments = (offsets, means, factors, covariance_type)
    x = means[rng.integers(n_components, size=130)] + rng.normal(size=(130, n_features))
    x = x.astype(DTYPES[precision])
    joint = kernels.gaussian_log_joint(x, *arguments)
    k = int(rng.integers(n_components))
    dense = gaussian.full_covariances(covariances, covariance_type, means)[k]
    truth = gaussian.log_density(x, means[k], dense) + n_features * np.log(2 * np.pi) / 2
    assert_near(joint[:, k], truth, TOLERANCE[precision])

    counts, new_means, _, log_likelihood, _ = kernels.gaussian_em_sweep(x, None, *arguments)
    r = gaussian.responsibilities(joint.astype(np.longdouble))
    tolerance = 10 * TOLERANCE[precision]
    assert_near(counts, r.sum(axis=0), tolerance, 130)
    assert_near(counts[:, None] * new_means, r.T @ x.astype(float), tolerance)
    expected = float(gaussian.logsumexp(joint.astype(np.longdouble)).sum())
    assert log_likelihood == pytest.approx(expected, rel=TOLERANCE[precision])


@every_precision
@every_type
def test_row_functions_write_where_they_are_told(precision: str, covariance_type: str) -> None:
    p = problem(precision, covariance_type, 3, 2)
    dtype = p.x.dtype
    matrix, vector, labels = (
        np.empty((N_ROWS, 3), dtype),
        np.empty(N_ROWS, dtype),
        np.empty(N_ROWS, np.intp),
    )
    for function, out in [
        (kernels.gaussian_log_joint, matrix), (kernels.gaussian_log_density, vector), (kernels.gaussian_labels, labels),
    ]:  # fmt: skip
        expected = function(p.x, *p.arguments)
        out.fill(-7)
        assert function(p.x, *p.arguments, out=out) is out
        np.testing.assert_array_equal(out, expected)
    expected = kernels.gaussian_responsibilities(p.x, *p.arguments)[0]
    assert kernels.gaussian_responsibilities(p.x, *p.arguments, out=matrix)[0] is matrix
    np.testing.assert_array_equal(matrix, expected)


def test_labels_of_equals_are_the_first() -> None:
    x = np.zeros((5, 2))
    labels = kernels.gaussian_labels(x, np.zeros(3), np.zeros((3, 2)), np.ones(3), "spherical")
    np.testing.assert_array_equal(labels, 0)


# -- statistics and parameters


@every_type
@every_size
def test_sum_of_statistics_is_that_of_all_rows(covariance_type: str, n_features: int) -> None:
    rng = np.random.default_rng(7)
    x, weights = 5 + rng.normal(size=(40, n_features)), rng.uniform(size=(40, 3))
    first = gaussian.statistics(x[:15], weights[:15], covariance_type)
    second = gaussian.statistics(x[15:], weights[15:], covariance_type)
    before = [a.copy() for a in (*first, *second)]
    got = kernels.gaussian_add(*first, *second, covariance_type)
    for value, truth in zip(got, gaussian.statistics(x, weights, covariance_type), strict=True):
        assert_near(value, truth, 1e-13)
    for argument, copy in zip((*first, *second), before, strict=True):
        np.testing.assert_array_equal(argument, copy)


@every_type
def test_adding_nothing_changes_nothing(covariance_type: str) -> None:
    rng = np.random.default_rng(8)
    some = gaussian.statistics(rng.normal(size=(9, 2)), rng.uniform(size=(9, 3)), covariance_type)
    nothing = np.zeros(3), np.full((3, 2), 77.0), np.zeros_like(some[2])
    for got in (
        kernels.gaussian_add(*some, *nothing, covariance_type),
        kernels.gaussian_add(*nothing, *some, covariance_type),
    ):
        for value, truth in zip(got, some, strict=True):
            np.testing.assert_array_equal(value, truth)
    counts, means, scatters = kernels.gaussian_add(*nothing, *nothing, covariance_type)
    assert not counts.any()
    assert not scatters.any()
    assert np.isfinite(means).all()


@every_type
@every_size
def test_maximize_divides_scatters_by_counts_and_factors_the_covariances(
    covariance_type: str, n_features: int
) -> None:
    rng = np.random.default_rng(9)
    counts, scale = (
        np.array([10.0, 30.0, 5.0]),
        {"full": 1, "diag": 1, "tied": 1, "spherical": n_features},
    )
    truth = gaussian.random_covariances(rng, covariance_type, 3, n_features)
    count = counts.sum() if covariance_type == "tied" else counts
    scatters = np.ascontiguousarray((truth.T * count).T * scale[covariance_type])
    ridge = 0.25
    covariances, factors, log_determinants = kernels.gaussian_maximize(
        counts, scatters, ridge, covariance_type, n_features
    )
    means = np.zeros((3, n_features))
    expected = gaussian.full_covariances(truth, covariance_type, means) + ridge * np.eye(n_features)
    dense = gaussian.full_covariances(covariances, covariance_type, means)
    np.testing.assert_allclose(dense, expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(
        factors, numpy_factors(covariances, covariance_type), rtol=1e-11, atol=1e-12
    )
    np.testing.assert_allclose(log_determinants, -0.5 * np.linalg.slogdet(dense)[1], rtol=1e-11)
    again = kernels.gaussian_factors(covariances, covariance_type, 3, n_features)
    np.testing.assert_array_equal(again[0], factors)
    np.testing.assert_array_equal(again[1], log_determinants)


@every_type
@pytest.mark.parametrize("weight", [1e-290, 1e-306, 1e-310, 5e-324])
def test_the_smallest_weights_make_finite_moments(covariance_type: str, weight: float) -> None:
    """Below 2e-308 their inverses overflow and scatters have no digits left: they are 0, the shared one apart."""
    x = np.random.default_rng(12).normal(size=(6, 3)) * 1e3
    r = np.tile([1.0, weight], (6, 1))
    counts, means, scatters, _ = kernels.gaussian_moments(x, r, np.ones((2, 3)), covariance_type)
    assert counts[1] == pytest.approx(6 * weight, rel=1e-13)
    if weight > 1e-308:
        np.testing.assert_allclose(means[1], x.mean(axis=0), rtol=1e-9)
    assert np.isfinite(means).all()
    assert np.isfinite(scatters).all()
    if covariance_type != "tied" and weight < 1e-308:
        assert not scatters[1].any()


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
@pytest.mark.parametrize("count", [0.0, 5e-324, 1e-300])
def test_a_component_without_rows_keeps_its_covariance(covariance_type: str, count: float) -> None:
    previous = gaussian.random_covariances(np.random.default_rng(10), covariance_type, 2, 3)
    scatters = previous * 4
    scatters[1] = 0
    covariances, _, _ = kernels.gaussian_maximize(
        np.array([4.0, count]), scatters, 0.5, covariance_type, 3, previous
    )
    np.testing.assert_array_equal(covariances[1], previous[1])
    alone, _, _ = kernels.gaussian_maximize(
        np.array([4.0, count]), scatters, 0.5, covariance_type, 3, None
    )
    dense = gaussian.full_covariances(alone, covariance_type, np.zeros((2, 3)))
    np.testing.assert_array_equal(dense[1], 0.5 * np.eye(3))


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
@pytest.mark.parametrize("component", [0, 2])
def test_collapsed_component_is_named(covariance_type: str, component: int) -> None:
    covariances = gaussian.random_covariances(np.random.default_rng(11), covariance_type, 3, 2)
    covariances[component] = 0
    message = f"component {component}: expected a positive definite covariance"
    with pytest.raises(CollapsedComponentError, match=message) as info:
        kernels.gaussian_factors(covariances, covariance_type, 3, 2)
    assert info.value.component == component
    assert isinstance(info.value, NumericalError)
    with pytest.raises(CollapsedComponentError, match=message):
        kernels.gaussian_maximize(np.ones(3), covariances, 0.0, covariance_type, 2)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
@every_type
def test_covariances_that_are_not_positive_and_finite_are_refused(
    covariance_type: str, bad: float
) -> None:
    covariances = gaussian.random_covariances(np.random.default_rng(12), covariance_type, 1, 2)
    covariances[(0,) * covariances.ndim] = bad
    with pytest.raises(CollapsedComponentError):
        kernels.gaussian_factors(covariances, covariance_type, 1, 2)


def test_a_collapsed_shared_covariance_blames_no_component() -> None:
    with pytest.raises(CollapsedComponentError, match="all components: expected") as info:
        kernels.gaussian_factors(np.ones((2, 2)), "tied", 3, 2)
    assert info.value.component == -1


# -- the border

X = np.zeros((6, 2))
OFFSETS, MEANS, FACTORS = np.zeros(3), np.zeros((3, 2)), np.ones((3, 2))
SWEEP: dict[str, Any] = {
    "x": X, "sample_weight": None, "offsets": OFFSETS, "means": MEANS, "factors": FACTORS, "covariance_type": "diag",
}  # fmt: skip
WRONG_SWEEPS: list[tuple[str, Any, type[Exception], str]] = [
    ("x", [[0.0]], TypeError, r"x: expected a NumPy array, got list"),
    ("x", X[0], ValueError, r"x: expected 2 dimension\(s\), got shape \(2,\)"),
    ("x", X.astype(int), TypeError, r"x: expected float32 or float64 in native byte order, got <i8"),
    ("x", X.astype(object), TypeError, r"x: expected float32 or float64"),
    ("x", X.astype(np.float16), TypeError, r"x: expected float32 or float64 .*, got <f2"),
    ("x", np.asfortranarray(X), ValueError, r"x: expected a C-contiguous array, got strides"),
    ("x", np.zeros((6, 3)), ValueError, r"means: expected shape \(3, 3\), got \(3, 2\)"),
    ("x", np.zeros((6, 0)), ValueError, r"means: expected shape \(3, 0\), got \(3, 2\)"),
    ("sample_weight", np.ones(5), ValueError, r"sample_weight: expected shape \(6,\), got \(5,\)"),
    ("sample_weight", np.ones(6, np.float32), TypeError, r"sample_weight: expected float64 .*, got <f4"),
    ("offsets", np.zeros(2), ValueError, r"offsets: expected shape \(3,\), got \(2,\)"),
    ("offsets", None, TypeError, r"offsets: expected a NumPy array, got NoneType"),
    ("means", np.zeros((3, 3)), ValueError, r"means: expected shape \(3, 2\), got \(3, 3\)"),
    ("means", np.zeros((0, 2)), ValueError, r"means: expected at least one component .*, got shape \(0, 2\)"),
    ("means", MEANS.astype(np.float32), TypeError, r"means: expected float64"),
    ("factors", np.ones(3), ValueError, r"factors: expected 2 dimension\(s\), got shape \(3,\)"),
    ("factors", np.ones((2, 2)), ValueError, r"factors: expected shape \(3, 2\), got \(2, 2\)"),
    ("covariance_type", "round", ValueError, r"covariance_type: expected 'full', .* got 'round'"),
    ("covariance_type", None, ValueError, r"covariance_type: expected .*, got None"),
    ("covariance_type", "full", ValueError, r"factors: expected 3 dimension\(s\), got shape \(3, 2\)"),
    ("covariance_type", "tied", ValueError, r"factors: expected shape \(2, 2\), got \(3, 2\)"),
    ("covariance_type", "spherical", ValueError, r"factors: expected 1 dimension\(s\), got shape \(3, 2\)"),
    ("centers", np.zeros((2, 2)), ValueError, r"centers: expected shape \(3, 2\), got \(2, 2\)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "value", "error", "message"), WRONG_SWEEPS, ids=[row[3] for row in WRONG_SWEEPS]
)
def test_bad_argument_of_a_sweep_is_named(
    argument: str, value: Any, error: type[Exception], message: str
) -> None:
    assert kernels.gaussian_em_sweep(**SWEEP)[0].sum() == pytest.approx(6)
    with pytest.raises(error, match=message):
        kernels.gaussian_em_sweep(**{**SWEEP, argument: value})


ROWS = (X, OFFSETS, MEANS, FACTORS, "diag")
STATISTICS = (np.ones(3), MEANS, np.ones((3, 2)))
R = np.ones((6, 3))
FLOAT32 = R.astype(np.float32)


def wrong(
    function: Any, *arguments: Any, out: Any = None, says: str, error: type[Exception] = ValueError
) -> Any:
    options = {} if out is None else {"out": out}
    return pytest.param(
        lambda: function(*arguments, **options), error, says, id=f"{function.__name__}: {says}"
    )


WRONG = [
    wrong(kernels.gaussian_log_joint, *ROWS, out=np.ones((6, 2)), says=r"out: expected shape \(6, 3\), got \(6, 2\)"),
    wrong(kernels.gaussian_log_joint, *ROWS, out=FLOAT32, says="out: expected float64", error=TypeError),
    wrong(kernels.gaussian_responsibilities, *ROWS, out=np.ones(6), says=r"out: expected 2 dimension\(s\)"),
    wrong(kernels.gaussian_log_density, *ROWS, out=np.ones(5), says=r"out: expected shape \(6,\), got \(5,\)"),
    wrong(kernels.gaussian_labels, *ROWS, out=np.ones(6, np.int32), says="out: expected intp", error=TypeError),
    wrong(kernels.gaussian_labels, *ROWS, out=np.ones(7, np.intp), says=r"out: expected shape \(6,\), got \(7,\)"),
    wrong(kernels.gaussian_moments, X, R[:, :2].copy(), MEANS, "diag", says=r"weights: expected shape \(6, 3\)"),
    wrong(kernels.gaussian_moments, X, FLOAT32, MEANS, "diag", says="weights: expected float64", error=TypeError),
    wrong(kernels.gaussian_moments, X, R, np.ones((3, 1)), "diag", says=r"centers: expected shape \(3, 2\)"),
    wrong(kernels.gaussian_moments, X, R, MEANS, "flat", says=r"covariance_type: expected .*, got 'flat'"),
    wrong(kernels.gaussian_add, *STATISTICS, np.ones(2), *STATISTICS[1:], "diag", says=r"counts_b: expected shape"),
    wrong(kernels.gaussian_add, *STATISTICS, *STATISTICS, "full", says=r"scatters_a: expected 3 dimension\(s\)"),
    wrong(kernels.gaussian_add, *STATISTICS, *STATISTICS[:2], R[:3], "diag", says=r"scatters_b: expected shape"),
    wrong(kernels.gaussian_maximize, np.ones(3), MEANS, -1.0, "diag", 2, says="ridge: expected a number >= 0, got -1"),
    wrong(kernels.gaussian_maximize, np.ones(3), MEANS, math.nan, "diag", 2, says="ridge: expected .*, got nan"),
    wrong(kernels.gaussian_maximize, np.ones(3), MEANS, 0.0, "diag", 0, says="n_features: expected at least one"),
    wrong(kernels.gaussian_maximize, np.ones(3), MEANS[:2], 0.0, "diag", 2, says=r"scatters: expected shape \(3, 2\)"),
    wrong(kernels.gaussian_maximize, np.ones(3), MEANS, 0.0, "diag", 2, np.ones(3), says=r"previous: expected 2 dim"),
    wrong(kernels.gaussian_factors, FACTORS, "diag", 0, 2, says="expected numbers >= 1, got 0 and 2"),
    wrong(kernels.gaussian_factors, FACTORS, "diag", 2, 3, says=r"covariances: expected shape \(2, 3\), got \(3, 2\)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "says"), WRONG)
def test_bad_arguments_are_named(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def test_another_thread_runs_during_one_call() -> None:
    """It sets the first and the last row to the same new value, again and again, while a kernel reads the rows.

    With the GIL held a call would see the two rows equal, always.
    """
    rng = np.random.default_rng(13)
    x, means = rng.normal(size=(20_000, 16)), rng.normal(size=(16, 16))
    x[-1] = x[0]
    arguments = (np.zeros(16), means, np.tile(np.eye(16), (16, 1, 1)), "full")
    done = threading.Event()

    def write() -> None:
        value = 0
        while not done.wait(0.0001):
            value += 1
            x[[0, -1], 0] = value % 1000

    other = threading.Thread(target=write)
    other.start()
    try:
        differed = False
        for _ in range(200):  # a loaded machine may need more than one call
            log_density = kernels.gaussian_log_density(x, *arguments)
            differed = bool(log_density[0] != log_density[-1])
            if differed:
                break
    finally:
        done.set()
        other.join()
    assert differed
    log_density = kernels.gaussian_log_density(x, *arguments)
    assert log_density[0] == log_density[-1]


# -- expected log-densities under a posterior


@pytest.mark.parametrize("type_", ["full", "tied", "diag", "spherical"])
def test_cavi_sweep_is_the_em_sweep_at_expected_log_densities(type_: Any) -> None:
    """E log N by SciPy's Wishart: its mean, and E log|precision| by Bishop (10.65)."""
    rng = np.random.default_rng(8)
    k, d = 3, 2
    x, means, kappa = rng.normal(size=(40, d)), rng.normal(size=(k, d)), rng.uniform(0.5, 3, k)
    nu, log_weights = rng.uniform(3, 9, 1 if type_ == "tied" else k), np.log([0.5, 0.2, 0.3])
    roots = rng.normal(size=(k, d, d))
    matrices = roots @ roots.transpose(0, 2, 1) + np.eye(d)
    variances = matrices.diagonal(axis1=1, axis2=2).copy()
    scale = {
        "full": matrices, "tied": matrices[0], "diag": variances, "spherical": variances[:, 0].copy(),
    }[type_]  # fmt: skip
    joint = np.empty((40, k))
    for j in range(k):
        if type_ in ("full", "tied"):
            at = 0 if type_ == "tied" else j
            expected = nu[at] * np.linalg.inv(matrices[at])
            log_determinant = special.digamma(0.5 * (nu[at] - np.arange(d))).sum() + d * np.log(2)
            log_determinant -= np.linalg.slogdet(matrices[at])[1]
        else:
            psi = variances[j] if type_ == "diag" else np.full(d, variances[j, 0])
            expected = np.diag(nu[j] / psi)
            log_determinant = (special.digamma(0.5 * nu[j]) - np.log(0.5 * psi)).sum()
        deviations = x - means[j]
        distances = np.einsum("ni,ij,nj->n", deviations, expected, deviations)
        joint[:, j] = log_weights[j] + 0.5 * (
            log_determinant - d * np.log(2 * np.pi) - d / kappa[j] - distances
        )
    r = np.exp(joint - special.logsumexp(joint, axis=1, keepdims=True))
    counts, got_means, _, objective, _ = kernels.gaussian_cavi_sweep(
        x, None, log_weights, means, kappa, nu, scale, type_
    )
    np.testing.assert_allclose(counts, r.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(got_means, r.T @ x / counts[:, None], rtol=1e-11)
    assert objective == pytest.approx(special.logsumexp(joint, axis=1).sum(), rel=1e-12)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("mean_precision", np.ones(2), "mean_precision: expected shape"),
        ("degrees_of_freedom", np.ones(2), "degrees_of_freedom: expected shape"),
        ("scale", np.ones(3), "scale: expected 2 dimension"),
        ("expected_log_weights", np.ones(2), "expected_log_weights: expected shape"),
        ("means", np.ones(3), "means: expected 2 dimension"),
    ],
)
def test_cavi_sweep_names_the_argument_that_is_wrong(
    argument: str, value: Any, message: str
) -> None:
    good: dict[str, Any] = {
        "x": np.zeros((4, 2)), "sample_weight": None, "expected_log_weights": np.zeros(3),
        "means": np.zeros((3, 2)), "mean_precision": np.ones(3),
        "degrees_of_freedom": np.full(3, 4.0), "scale": np.ones((3, 2)), "covariance_type": "diag",
    }  # fmt: skip
    assert kernels.gaussian_cavi_sweep(**good)[0].sum() == pytest.approx(4)
    with pytest.raises(ValueError, match=message):
        kernels.gaussian_cavi_sweep(**{**good, argument: value})
