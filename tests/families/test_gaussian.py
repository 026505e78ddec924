"""What the Gaussian family says of its parameters: collapse, free parameters, draws; and one variance for all."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest

import latentcore
from latentcore.arrays import Rows
from latentcore.errors import CollapsedComponentError
from latentcore.families.gaussian import CovarianceType, Gaussian, GaussianParams
from latentcore.rules.em import EM
from latentcore.structures.mixture import Mixture, MixtureParams
from reference import gaussian

Array = npt.NDArray[np.float64]

TYPES = get_args(CovarianceType)
FLOOR = 1e-6

every_type = pytest.mark.parametrize("covariance_type", TYPES)


# -- collapse


def groups(rng: np.random.Generator, dtype: Any = np.float64) -> list[Array]:
    """Three groups of rows: full of volume, on one point, and on a line that is no axis."""
    sound = rng.normal(size=(80, 3))
    point = np.tile(rng.normal(size=3) + 5, (40, 1))
    line = rng.normal(size=(60, 1)) * np.array([1.0, -0.7, 0.3]) - 8
    return [group.astype(dtype).astype(np.float64) for group in (sound, point, line)]


def fitted(family: Gaussian, parts: list[Array], dtype: Any = np.float64) -> GaussianParams:
    """A component for each group."""
    x = np.vstack(parts).astype(dtype)
    labels = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    weights = np.eye(len(parts), dtype=dtype)[labels]
    return family.maximize(family.expected_statistics(None, x, weights))


@pytest.mark.parametrize(
    ("covariance_type", "collapsed"), [("full", [1, 2]), ("diag", [1]), ("spherical", [1])]
)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
def test_components_on_a_point_or_a_flat_have_collapsed(
    covariance_type: Any, collapsed: list[int], scale: float, dtype: Any
) -> None:
    family = Gaussian(covariance_type, FLOOR * scale**2)
    parts = [scale * part for part in groups(np.random.default_rng(1), dtype)]
    assert family.degenerate(fitted(family, parts, dtype)) == collapsed


@every_type
@pytest.mark.parametrize("scale", [1e-4, 1e-3, 1.0, 1e4, [1e-3, 1.0, 1e5]], ids=str)
@pytest.mark.parametrize("reg_covar", [0.0, FLOOR])
def test_sound_fits_have_not_collapsed_whatever_the_units(
    covariance_type: Any, scale: Any, reg_covar: float
) -> None:
    rng = np.random.default_rng(2)
    mixing = np.array([[1.0, 0.0, 0.0], [0.9, 0.1, 0.0], [-0.5, 0.2, 1.0]])
    parts = [(rng.normal(size=(50, 3)) @ mixing.T + center) * scale for center in (0, 5, 100)]
    family = Gaussian(covariance_type, reg_covar)
    assert family.degenerate(fitted(family, parts)) == []


def test_a_constant_column_has_collapsed_its_components() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(100, 3))
    x[:50, 1] = 1e6
    for covariance_type, expected in (("full", [0]), ("diag", [0]), ("spherical", [])):
        family = Gaussian(covariance_type, FLOOR)  # type: ignore[arg-type]
        assert family.degenerate(fitted(family, [x[:50], x[50:]])) == expected
    x[50:, 1] = -1e6  # within components, the column in common is constant
    tied = Gaussian("tied", FLOOR)
    assert tied.degenerate(fitted(tied, [x[:50], x[50:]])) == [0, 1]


def test_one_variance_for_all_collapses_for_all() -> None:
    family = Gaussian("tied_spherical", FLOOR)
    points = [np.zeros((5, 2)), np.ones((5, 2))]
    assert family.degenerate(fitted(family, points)) == [0, 1]
    assert family.degenerate(fitted(family, [np.zeros((5, 2)), np.eye(2)])) == []


def test_without_a_floor_a_shrinking_component_has_collapsed() -> None:
    family = Gaussian("diag")
    params = family.params(np.array([[0.0], [3.0]]), np.array([[1e-18], [1.0]]))
    assert family.degenerate(params) == [0]


@every_type
def test_modes_under_a_prior_have_not_collapsed_below_the_floor_that_they_do_not_have(
    covariance_type: Any,
) -> None:
    family = Gaussian(covariance_type, FLOOR)
    x = 1e-4 * np.vstack(groups(np.random.default_rng(4)))
    pooled = family.expected_statistics(None, x, np.ones((len(x), 1)))
    weights = np.eye(3)[np.repeat(np.arange(3), [80, 40, 60])]
    stats = family.expected_statistics(None, x, weights)
    mode = family.mode(family.update(family.weak_prior(pooled, 3), stats))
    assert mode.covariances.min() < FLOOR
    assert family.degenerate(mode) == []


# -- one variance for all


def test_one_variance_pools_the_scatters() -> None:
    rng = np.random.default_rng(5)
    x, r = rng.normal(size=(40, 3)) * [1, 2, 3], rng.dirichlet(np.ones(4), size=40)
    params = Gaussian("tied_spherical", 0.5).maximize(
        Gaussian("tied_spherical").expected_statistics(None, x, r)
    )
    means = r.T @ x / r.sum(axis=0)[:, None]
    squares = ((x[:, None] - means) ** 2).sum(axis=2)
    np.testing.assert_allclose(params.covariances, (r * squares).sum() / (3 * 40) + 0.5, rtol=1e-13)
    np.testing.assert_allclose(params.means, means, rtol=1e-12)


def test_one_variance_of_nothing_is_the_previous_one_or_an_error() -> None:
    family = Gaussian("tied_spherical")
    previous = family.params(np.zeros((2, 3)), np.full(2, 0.7))
    nothing = family.model_statistics(previous, np.zeros(2))
    np.testing.assert_array_equal(family.maximize(nothing, previous).covariances, 0.7)
    with pytest.raises(CollapsedComponentError, match="all components"):
        family.maximize(nothing, None)


def test_a_mixture_with_one_variance_ascends_saves_and_loads(tmp_path: Any) -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(300, 2)) + 6 * rng.integers(3, size=(300, 1))
    model = latentcore.GaussianMixture(3, covariance_type="tied_spherical", random_state=0).fit(x)
    assert model.covariances_.shape == (3,)
    assert np.ptp(model.covariances_) == 0
    assert np.diff(model.lower_bounds_).min() > -1e-10
    assert model.bic(x) - model.aic(x) == pytest.approx((np.log(300) - 2) * (3 * 2 + 2 + 1))
    assert "tied_spherical" in model.summary()
    model.save(tmp_path / "model.npz")
    loaded = latentcore.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.predict_proba(x), model.predict_proba(x))
    with pytest.raises(ValueError, match="the same for all components"):
        latentcore.GaussianMixture.from_params(
            [0.5, 0.5], [[0.0], [1.0]], [1.0, 2.0], covariance_type="tied_spherical"
        )


def test_hard_em_with_one_variance_and_equal_weights_is_k_means() -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(400, 2)) + 3 * rng.normal(size=(4, 2))[rng.integers(4, size=400)]
    family = Gaussian("tied_spherical")
    model = Mixture(family, hard=True, equal_weights=True)
    state = EM(model).init(MixtureParams(np.full(4, 0.25), family.params(x[:4], np.ones(4))))
    centers = x[:4]
    for _ in range(12):
        state, _ = EM(model).step(state, lambda p: model.expected_statistics(p, Rows(x)))
        nearest = ((x[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
        centers = np.array([x[nearest == k].mean(axis=0) for k in range(4)])
        np.testing.assert_allclose(state.params.components.means, centers, rtol=1e-11)


# -- counts and draws


@pytest.mark.parametrize(
    ("covariance_type", "expected"),
    [
        ("full", 4 * 3 + 4 * 6), ("tied", 4 * 3 + 6), ("diag", 4 * 3 + 4 * 3),
        ("spherical", 4 * 3 + 4), ("tied_spherical", 4 * 3 + 1),
    ],
)  # fmt: skip
def test_free_parameters(covariance_type: Any, expected: int) -> None:
    family = Gaussian(covariance_type)
    covariances = gaussian.random_covariances(np.random.default_rng(8), covariance_type, 4, 3)
    assert family.n_parameters(family.params(np.zeros((4, 3)), covariances)) == expected


@every_type
@pytest.mark.parametrize("source", [np.random.default_rng, np.random.RandomState])
def test_draws_have_the_moments_of_their_component(covariance_type: Any, source: Any) -> None:
    family = Gaussian(covariance_type)
    rng = np.random.default_rng(9)
    covariances = gaussian.random_covariances(rng, covariance_type, 3, 2)
    params = family.params(5 * rng.normal(size=(3, 2)), covariances)
    covariance = gaussian.full_covariances(covariances, covariance_type, params.means)[1]
    draws = family.sample(params, 1, 20000, source(10))
    error = np.sqrt(covariance.diagonal() / 20000)
    assert (np.abs(draws.mean(axis=0) - params.means[1]) < 5 * error).all()
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.1)
    assert family.sample(params, 1, 0, source(10)).shape == (0, 2)
