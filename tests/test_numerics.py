"""Data that break careless arithmetic: right answers, or an error that names the component."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from latentcore import GaussianMixture
from latentcore.errors import CollapsedComponentError
from reference import gaussian

Array = npt.NDArray[np.float64]

every_type = pytest.mark.parametrize("covariance_type", gaussian.COVARIANCE_TYPES)
PRECISIONS = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])

# A given number of steps, not convergence, is what these fits compare.
pytestmark = pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")


def two_clusters(distance: float = 4.0) -> Array:
    """150 rows about 0 and 90 about (distance, -distance), on a grid that an offset of 1e8 keeps exact."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(150, 2)), rng.normal((distance, -distance), 1, (90, 2))])
    return np.round(x * 2.0**20) / 2.0**20


def fitted(
    x: npt.NDArray[Any],
    covariance_type: Any,
    *,
    steps: int = 30,
    sample_weight: Any = None,
    **options: Any,
) -> GaussianMixture:
    """A fit from two distant rows, without a floor of variances, of so many steps."""
    options = {
        "reg_covar": 0.0,
        "means_init": x[[0, -1]].astype(float),
        "init_params": "kmeans",
        **options,
    }
    model = GaussianMixture(
        2, covariance_type=covariance_type, tol=0.0, max_iter=steps, random_state=0, **options
    )
    return model.fit(x, sample_weight=sample_weight)


def dense(model: GaussianMixture) -> Array:
    return gaussian.full_covariances(model.covariances_, model.covariance_type, model.means_)


@every_type
@pytest.mark.parametrize("offset", [1e8, -1e8, [1e8, 0.0]], ids=str)
def test_fit_far_from_the_origin_is_the_fit_at_the_origin_shifted(
    offset: Any, covariance_type: Any
) -> None:
    x = two_clusters()
    near, far = fitted(x, covariance_type), fitted(x + offset, covariance_type)
    # a mean of 1e8 is a multiple of 1.5e-8; its square is what the covariance sees
    np.testing.assert_allclose(far.means_ - offset, near.means_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(dense(far), dense(near), rtol=0, atol=1e-6)
    np.testing.assert_allclose(far.weights_, near.weights_, rtol=0, atol=1e-6)
    assert far.loglik(x + offset) == pytest.approx(near.loglik(x), abs=1e-5)


@every_type
@pytest.mark.parametrize("power", [-300, -40, 40, 300])
def test_units_do_not_matter(power: int, covariance_type: Any) -> None:
    x, unit = two_clusters(), 2.0**power
    one, other = fitted(x, covariance_type), fitted(x * unit, covariance_type)
    np.testing.assert_allclose(other.means_ / unit, one.means_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dense(other) / unit / unit, dense(one), rtol=1e-9, atol=1e-9)
    expected = one.loglik(x) - x.size * power * np.log(2)
    assert other.loglik(x * unit) == pytest.approx(expected, rel=1e-10)


@every_type
def test_float32_at_ten_thousand_keeps_its_variances(covariance_type: Any) -> None:
    """The same float32 numbers, fitted as float32 and as float64."""
    x = (two_clusters() + 1e4).astype(np.float32)
    single, double = fitted(x, covariance_type), fitted(x.astype(np.float64), covariance_type)
    np.testing.assert_allclose(single.means_, double.means_, rtol=1e-6)
    np.testing.assert_allclose(dense(single), dense(double), rtol=0, atol=5e-3)
    np.testing.assert_allclose(single.weights_, double.weights_, rtol=0, atol=1e-3)


@every_type
def test_float32_constants_far_apart_have_the_floor_as_their_variance(covariance_type: Any) -> None:
    x = np.repeat(np.array([[0.0], [9999.0]], np.float32), 50, axis=0)
    model = fitted(x, covariance_type, reg_covar=0.1)
    np.testing.assert_allclose(np.sort(model.means_.ravel()), [0, 9999])
    np.testing.assert_allclose(model.covariances_.ravel(), 0.1, rtol=1e-6)


@every_type
def test_components_a_million_deviations_apart_are_fitted_each_by_itself(
    covariance_type: Any,
) -> None:
    x = two_clusters(1e6)
    model = fitted(x, covariance_type, steps=5)
    np.testing.assert_allclose(model.weights_, [150 / 240, 90 / 240], rtol=1e-12)
    labels = np.eye(2)[np.repeat([0, 1], [150, 90])]
    counts, means, scatters = gaussian.statistics(x, labels, covariance_type)
    count: Any = {"tied": 240, "spherical": 2 * counts}.get(covariance_type, counts)
    np.testing.assert_allclose(model.means_, means, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.covariances_, (scatters.T / count).T, rtol=1e-7, atol=1e-7)
    np.testing.assert_array_equal(model.predict(x), labels.argmax(axis=1))
    expected = gaussian.expected_statistics(
        x, model.weights_, model.means_, model.covariances_, covariance_type
    )
    assert model.loglik(x) == pytest.approx(expected[3], rel=1e-9)


@PRECISIONS
@every_type
def test_duplicate_rows_are_whole_weights(covariance_type: Any, dtype: Any) -> None:
    x = two_clusters()[::3].astype(dtype)
    repeats = np.random.default_rng(1).integers(1, 5, len(x))
    repeats[[0, -1]] = 2
    repeated = fitted(np.repeat(x, repeats, axis=0), covariance_type, means_init=x[[0, -1]])
    weighted = fitted(x, covariance_type, sample_weight=repeats.astype(float))
    tolerance = 1e-7 if dtype is np.float64 else 1e-3
    np.testing.assert_allclose(repeated.means_, weighted.means_, rtol=0, atol=tolerance)
    np.testing.assert_allclose(dense(repeated), dense(weighted), rtol=0, atol=tolerance)


@every_type
def test_one_point_repeated_is_a_collapse_without_a_floor_and_the_floor_with_one(
    covariance_type: Any,
) -> None:
    x = np.tile([[3.0, -7.0]], (20, 1))
    collapsed = "all components" if covariance_type == "tied" else "component 0"
    with pytest.raises(CollapsedComponentError, match=collapsed) as info:
        GaussianMixture(1, covariance_type=covariance_type, reg_covar=0.0).fit(x)
    assert info.value.component == (-1 if covariance_type == "tied" else 0)
    model = GaussianMixture(1, covariance_type=covariance_type, reg_covar=0.25).fit(x)
    np.testing.assert_array_equal(model.means_, x[:1])
    np.testing.assert_array_equal(dense(model)[0], 0.25 * np.eye(2))


@pytest.mark.parametrize("value", [0.0, 5.0, 1e8])
@every_type
def test_constant_column_has_the_floor_as_its_variance(covariance_type: Any, value: float) -> None:
    x = two_clusters()[:150]
    x[:, 1] = value
    model = GaussianMixture(1, covariance_type=covariance_type, reg_covar=1e-3).fit(x)
    variance = x[:, 0].var()
    expected = (
        [variance + 1e-3, 1e-3] if covariance_type != "spherical" else [variance / 2 + 1e-3] * 2
    )
    np.testing.assert_allclose(dense(model)[0], np.diag(expected), rtol=1e-9, atol=1e-12)
    assert model.means_[0, 1] == value


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
@pytest.mark.parametrize("value", [0.0, 5.0, 0.1, 1e8 + 0.3])
def test_constant_column_without_a_floor_is_a_collapse(value: float, covariance_type: Any) -> None:
    x = two_clusters()
    x[:, 1] = value
    with pytest.raises(CollapsedComponentError, match="expected a positive definite covariance"):
        fitted(x, covariance_type)


@every_type
def test_as_many_components_as_rows_are_a_component_a_row(covariance_type: Any) -> None:
    x = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [7.0, 9.0]])
    model = GaussianMixture(4, covariance_type=covariance_type, reg_covar=1e-2, random_state=0).fit(
        x
    )
    np.testing.assert_allclose(model.weights_, 0.25, rtol=1e-12)
    order = model.predict(x)
    assert sorted(order) == [0, 1, 2, 3]
    np.testing.assert_allclose(model.means_[order], x, atol=1e-9)
    np.testing.assert_allclose(
        dense(model), np.tile(1e-2 * np.eye(2), (4, 1, 1)), rtol=1e-9, atol=1e-12
    )
    with pytest.raises(CollapsedComponentError) as info:
        GaussianMixture(4, covariance_type=covariance_type, reg_covar=0.0, random_state=0).fit(x)
    assert info.value.component in ((-1,) if covariance_type == "tied" else (0, 1, 2, 3))


@pytest.mark.parametrize("component", [0, 1])
@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_component_that_collapses_among_others_is_named(
    covariance_type: Any, component: int
) -> None:
    """One component sits on a point far away that is repeated, the other on a cluster."""
    x = np.concatenate([two_clusters()[:150], np.full((30, 2), 500.0)])
    means = np.array([[0.0, 0.0], [500.0, 500.0]])
    if component == 0:
        means = means[::-1]
    identity = {
        "full": np.tile(np.eye(2), (2, 1, 1)),
        "diag": np.ones((2, 2)),
        "spherical": np.ones(2),
    }
    start: dict[str, Any] = {
        "weights_init": [0.5, 0.5], "means_init": means, "precisions_init": identity[covariance_type],
    }  # fmt: skip
    message = f"component {component}: expected a positive definite covariance"
    with pytest.raises(CollapsedComponentError, match=message) as info:
        fitted(x, covariance_type, **start)
    assert info.value.component == component
