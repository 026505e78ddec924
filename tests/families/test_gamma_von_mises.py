"""Gamma and von Mises: their M-steps, caps, empty components, precision far out, what they take."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from latentcore.arrays import Rows
from latentcore.families.gamma import LARGEST_SHAPE, Gamma, GammaParams
from latentcore.families.linear import LinearStatistics
from latentcore.families.pseudo_rows import PseudoRows
from latentcore.families.von_mises import LARGEST_CONCENTRATION, VonMises, VonMisesParams
from latentcore.structures.mixture import Mixture, MixtureParams

NAN = np.nan
EPS = float(np.finfo(np.float64).eps)

every_rng = pytest.mark.parametrize("make_rng", [np.random.default_rng, np.random.RandomState])
every_precision = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])


def of_columns(counts: Any, sums: Any) -> LinearStatistics:
    return LinearStatistics(np.array(counts, float), np.array(sums, float))


def fitted(family: Any, x: Any, labels: Any) -> Any:
    return family.maximize(family.expected_statistics(None, x, np.eye(2)[labels]))


# -- the M-step


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
def test_hard_fits_are_those_of_scipy_on_what_was_observed(missing: bool) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=300)
    positive = rng.gamma([[0.3, 40.0], [5.0, 900.0]], [[4.0, 0.1], [1e-3, 1e3]], (300, 2, 2))
    angles = rng.vonmises([[3.0, 0.5], [-1.0, -3.0]], [[0.7, 90.0], [4.0, 2e3]], (300, 2, 2))
    gone = missing & (rng.uniform(size=(300, 2)) < 0.3)
    x, y = (np.where(gone, NAN, of[np.arange(300), labels]) for of in (positive, angles))
    gamma, von_mises = fitted(Gamma(), x, labels), fitted(VonMises(), y, labels)
    for k in range(2):
        for d in range(2):
            seen = (labels == k) & ~np.isnan(x[:, d])
            shape, _, scale = stats.gamma.fit(x[seen, d], floc=0)
            np.testing.assert_allclose(gamma.shapes[k, d], shape, rtol=1e-9)
            np.testing.assert_allclose(gamma.rates[k, d], 1 / scale, rtol=1e-9)
            kappa, mean, _ = stats.vonmises.fit(y[seen, d], fscale=1)
            np.testing.assert_allclose(von_mises.means[k, d], mean, rtol=1e-9)
            np.testing.assert_allclose(von_mises.concentrations[k, d], kappa, rtol=1e-7)


@pytest.mark.parametrize("shape", [1e-3, 0.02, 0.7, 3.0, 9.99, 10.01, 500.0, 1e5, 0.99e8])
def test_shape_is_the_root_of_its_equation(shape: float) -> None:
    """To rounding of the mean logarithm, and of digamma where the equation is a difference."""
    with mpmath.workdps(40):
        a = mpmath.mpf(shape)
        gap = mpmath.log(a) - mpmath.digamma(a)
        mean_log = float(-gap)  # with mean 1
        condition = float(abs(gap / (a * (1 / a - mpmath.polygamma(1, a)))))
        rounding = 20.0 + (20.0 / float(gap) if shape < 10 else 0.0)
    got = Gamma().maximize(of_columns([[2.0]], [[2.0, 2 * mean_log]]))
    np.testing.assert_allclose(got.shapes, shape, rtol=rounding * max(1.0, condition) * EPS)
    np.testing.assert_allclose(got.rates, got.shapes)


# Mardia and Jupp, Directional Statistics (2000), appendix 2: the likeliest concentrations
PUBLISHED = [(0.1, 0.20101), (0.5, 1.15932), (0.6, 1.51574), (0.7, 2.01363), (0.8, 2.87129), (0.9, 5.3047)]  # fmt: skip


@pytest.mark.parametrize(("length", "concentration"), PUBLISHED)
def test_concentrations_are_the_published_ones(length: float, concentration: float) -> None:
    seen = of_columns([[3.0]], [[0.0, 3 * length]])
    got = VonMises().maximize(seen)
    assert got.concentrations[0, 0] == pytest.approx(concentration, rel=1e-5)
    assert got.means[0, 0] == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("kappa", [1e-9, 0.02, 1.0, 30.0, 999.0, 1001.0, 1e6, 0.99e8])
def test_concentration_is_the_root_of_its_equation(kappa: float) -> None:
    with mpmath.workdps(40):
        length = float(mpmath.besseli(1, kappa) / mpmath.besseli(0, kappa))
    got = VonMises().maximize(of_columns([[1.0]], [[length, 0.0]])).concentrations[0, 0]
    assert got == pytest.approx(kappa, rel=20 * EPS / min(length, 1 - length))


# -- boundaries


@every_precision
def test_equal_rows_reach_the_cap_and_are_reported(dtype: Any) -> None:
    x = np.array([[2.0, 3.0], [2.0, 0.5], [1.0, 1.5], [4.0, 2.5], [2.0, 1.0]], dtype)
    weights = np.zeros((5, 2), dtype)
    weights[[0, 1, 4], 0] = weights[[2, 3], 1] = 1
    caps: Any = (
        (Gamma(), "shapes", LARGEST_SHAPE), (VonMises(), "concentrations", LARGEST_CONCENTRATION),
    )  # fmt: skip
    for family, name, cap in caps:
        params = family.maximize(family.expected_statistics(None, x, weights))
        of_column = getattr(params, name)[:, 0]
        assert of_column[1] < 100
        assert of_column[0] == cap
        assert family.degenerate(params) == [0]
        assert np.isfinite(family.log_likelihood(params, x)).all()
        prior = family.weak_prior(
            family.expected_statistics(None, x[[0] * 5], np.ones((5, 1), dtype)), 2
        )
        mode = family.mode(family.update(prior, family.expected_statistics(None, x, weights)))
        assert family.degenerate(mode) == []
        assert getattr(mode, name).max() < 100


def test_equal_rows_in_a_mixture_have_a_finite_likelihood() -> None:
    x = np.repeat([[1.0], [5.0]], 10, axis=0)
    models: Any = (
        (Gamma(), GammaParams(np.full((2, 1), 1e8), np.array([[1e8], [2e7]]))),
        (VonMises(), VonMisesParams(np.array([[1.0], [5.0]]), np.full((2, 1), 1e8))),
    )
    for family, params in models:
        mixture = MixtureParams(np.array([0.5, 0.5]), params)
        counts, objective = Mixture(family).expected_statistics(mixture, Rows(x))
        np.testing.assert_array_equal(counts.counts, [10, 10])
        expected = np.log(0.5) + family.log_likelihood(params, x).max(axis=1)
        assert objective == pytest.approx(expected.sum())


def test_gamma_without_weight_keeps_its_parameters_or_takes_those_of_all() -> None:
    seen = of_columns([[4, 0], [0, 0]], [[8, 0, 2, 0], [0, 0, 0, 0]])
    before = GammaParams(np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    kept, taken = Gamma().maximize(seen, before), Gamma().maximize(seen)
    np.testing.assert_array_equal(kept.shapes[[0, 1, 1], [1, 0, 1]], [0.2, 0.3, 0.4])
    np.testing.assert_array_equal(kept.rates[[0, 1, 1], [1, 0, 1]], [2, 3, 4])
    np.testing.assert_array_equal(taken.shapes[0], taken.shapes[1])
    np.testing.assert_allclose(taken.shapes[0, 0] / taken.rates[0, 0], 2)
    np.testing.assert_allclose([taken.shapes[0, 1], taken.rates[0, 1]], 1, rtol=1e-14)


def test_von_mises_without_weight_or_direction_keeps_what_it_had() -> None:
    seen = of_columns([[4, 0], [0, 2]], [[3, 0, 0, 0], [0, 0, 0, 0]])
    before = VonMisesParams(np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    kept = VonMises().maximize(seen, before)
    np.testing.assert_array_equal(kept.means, [[0, 0.2], [0.3, 0.4]])
    np.testing.assert_array_equal(kept.concentrations[[0, 1, 1], [1, 0, 1]], [2, 3, 0])
    taken = VonMises().maximize(seen)
    assert taken.concentrations[1, 0] == taken.concentrations[0, 0] > 1
    np.testing.assert_array_equal(taken.concentrations[:, 1], 0)
    uniform = VonMises().log_likelihood(taken, np.array([[0.0, 0.0], [0.0, 2.0]]))
    assert np.ptp(uniform[:, 1]) == 0
    assert VonMises().degenerate(taken) == []


# -- precision


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e7, 1e8])
def test_log_densities_stay_exact_far_out(size: float) -> None:
    offsets = np.array([-2.0, 0.0, 1.0, 3.0])
    x = np.maximum(1 + offsets / np.sqrt(size), 1e-3)[:, None]
    one = np.full((1, 1), size)
    gamma = Gamma().log_likelihood(GammaParams(one, one), x)[:, 0]
    y = 0.5 + offsets[:, None] / np.sqrt(max(size, 1.0))
    angles = VonMises().log_likelihood(VonMisesParams(np.full((1, 1), 0.5), one), y)[:, 0]
    with mpmath.workdps(40):
        a = mpmath.mpf(size)
        for n in range(len(x)):
            x_n, y_n = mpmath.mpf(x[n, 0]), mpmath.mpf(y[n, 0])
            wanted = a * mpmath.log(a) - mpmath.loggamma(a) + (a - 1) * mpmath.log(x_n) - a * x_n
            # sums of terms as large as a log a, or a log x
            largest = max(abs(float(wanted)), size * abs(np.log(size)), size * abs(np.log(x[n, 0])))
            assert abs(gamma[n] - wanted) <= 8 * EPS * max(1.0, largest)
            log_bessel = mpmath.log(2 * mpmath.pi * mpmath.besseli(0, a))
            wanted = a * mpmath.cos(y_n - mpmath.mpf(0.5)) - log_bessel
            assert abs(angles[n] - wanted) <= 8 * EPS * max(1.0, size)


def test_turns_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(-np.pi, np.pi, (50, 2))
    params = VonMisesParams(rng.uniform(-3, 3, (2, 2)), np.array([[1.0, 9.0], [0.1, 3.0]]))
    moved = VonMisesParams(params.means + 2 * np.pi, params.concentrations)
    expected = VonMises().log_likelihood(params, x)
    turned = x + 2 * np.pi * rng.integers(-9, 9, x.shape)
    np.testing.assert_allclose(VonMises().log_likelihood(params, turned), expected, atol=1e-12)
    np.testing.assert_allclose(VonMises().log_likelihood(moved, x), expected, atol=1e-12)


def test_float32_rows_lose_nothing_beyond_their_own_rounding() -> None:
    """Over several blocks, the last one broken: what is said of the same numbers in float64."""
    rng = np.random.default_rng(4)
    x = np.exp(0.01 * rng.normal(size=(40_000, 2))).astype(np.float32)
    x[17] = NAN
    labels = rng.integers(-1, 2, len(x)).astype(np.int32)
    rows = {dtype: Rows(x.astype(dtype), rng.uniform(size=len(x)), 0, labels) for dtype in "fd"}
    rows["d"] = Rows(rows["d"].x, rows["f"].sample_weight, 0, labels)
    large = np.array([[1e4, 2e4], [3e4, 1e4]])
    models: Any = (
        (Gamma(), GammaParams(large, large)), (VonMises(), VonMisesParams(np.ones((2, 2)), large)),
    )  # fmt: skip
    for family, components in models:
        params, model = MixtureParams(np.array([0.5, 0.5]), components), Mixture(family)
        (stats_f, objective_f), (stats_d, objective_d) = (
            model.expected_statistics(params, rows[dtype]) for dtype in "fd"
        )
        assert objective_f == pytest.approx(objective_d, rel=1e-12)
        np.testing.assert_allclose(stats_f.components.sums, stats_d.components.sums, rtol=1e-12)
        got, expected = (model.log_density(params, rows[dtype].x) for dtype in "fd")
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-7)
        single, double = (model.labels(params, rows[dtype].x) for dtype in "fd")
        np.testing.assert_array_equal(single, double)


# -- rows


@pytest.mark.parametrize(
    ("family", "bad", "message"),
    [
        (Gamma(), 0.0, "finite numbers > 0, got 0.0"),
        (Gamma(), -1.5, "finite numbers > 0, got -1.5"),
        (Gamma(), np.inf, "finite numbers > 0, got inf"),
        (VonMises(), -np.inf, "angles in radians, finite numbers, got -inf"),
    ],
)
def test_entry_outside_the_support_is_named(family: Any, bad: float, message: str) -> None:
    x = np.ones((50_000, 2))
    x[0, 0] = NAN
    family.check(x)
    x[40_001, 1] = bad
    with pytest.raises(ValueError, match=f"^X: expected {message} in row 40001, column 1$"):
        family.check(x)
    with pytest.raises(ValueError, match=r"in row 40001, column 'wind'$"):
        family.check(x, ["size", "wind"])


@every_rng
def test_draws_follow_their_component(make_rng: Any) -> None:
    shapes, rates = np.array([[1.0, 1.0], [0.4, 30.0]]), np.array([[1.0, 1.0], [2.0, 0.1]])
    x = Gamma().sample(GammaParams(shapes, rates), 1, 4000, make_rng(0))
    means, kappas = np.array([[0.0, 0.0], [3.0, -1.0]]), np.array([[1.0, 1.0], [0.5, 20.0]])
    y = VonMises().sample(VonMisesParams(means, kappas), 1, 4000, make_rng(0))
    assert x.shape == y.shape == (4000, 2)
    for d in range(2):
        assert (
            stats.kstest(x[:, d], stats.gamma(shapes[1, d], 0, 1 / rates[1, d]).cdf).pvalue > 1e-3
        )
        turned = (y[:, d] - means[1, d] + np.pi) % (2 * np.pi) - np.pi
        assert stats.kstest(turned, stats.vonmises(kappas[1, d]).cdf).pvalue > 1e-3


def test_draws_of_tiny_shapes_stay_in_the_support() -> None:
    tiny = GammaParams(np.array([[1e-3]]), np.array([[1.0]]))
    Gamma().check(Gamma().sample(tiny, 0, 1000, np.random.default_rng(0)))


def test_embedding_of_positive_numbers_ignores_their_scale() -> None:
    x = np.random.default_rng(2).gamma(2.0, 1.0, (40, 3))
    x[:, 2], x[3, 0] = 7.0, NAN
    e = Gamma().embedding(x)
    np.testing.assert_allclose(e, Gamma().embedding(x * [1e-9, 10.0, 1e6]), atol=1e-12)
    np.testing.assert_allclose(e.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(e.std(axis=0), [1, 1, 0], atol=1e-12)
    assert e[3, 0] == pytest.approx(0)


def test_embedding_of_angles_is_round() -> None:
    x = np.array([[np.pi, 0.5], [-np.pi, NAN], [np.pi - 0.01, 0.5]], np.float32)
    e = VonMises().embedding(x)
    assert e.shape == (3, 4)
    assert np.linalg.norm(e[0] - e[1]) < 1e-6 < np.linalg.norm(e[0] - e[2]) < 0.011
    np.testing.assert_allclose(e[1, [1, 3]], [np.cos(0.5), np.sin(0.5)])


def test_imputed_values_are_conditional_means_and_mean_directions() -> None:
    r = np.array([[0.25, 0.75], [1.0, 0.0]])
    x = np.array([[NAN, 1.0], [NAN, NAN]])
    gamma = GammaParams(np.array([[2.0, 1.0], [6.0, 1.0]]), np.array([[1.0, 4.0], [3.0, 1.0]]))
    np.testing.assert_array_equal(Gamma().impute(gamma, x, r), [[2, 1], [2, 0.25]])
    # across the half turn, of equal concentrations: the mean is not between 3 and -3 by way of 0
    angles = VonMisesParams(np.array([[3.0, 0.5], [-3.0, 1.0]]), np.full((2, 2), 4.0))
    filled = VonMises().impute(angles, x, np.array([[0.5, 0.5], [1.0, 0.0]]))
    np.testing.assert_allclose(np.abs(filled[0, 0]), np.pi)
    np.testing.assert_allclose(filled[1], [3.0, 0.5])
    # a component without direction does not turn the mean
    angles = VonMisesParams(np.array([[3.0, 0.5], [1.0, 1.0]]), np.array([[4.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(VonMises().impute(angles, x, r)[0, 0], 3.0)


def test_two_parameters_a_column_and_component() -> None:
    ones = np.ones((3, 4))
    assert Gamma().n_parameters(GammaParams(ones, ones)) == 24
    assert VonMises().n_parameters(VonMisesParams(ones, ones)) == 24


# -- priors


@pytest.mark.parametrize("family", [Gamma(), VonMises()])
def test_weak_prior_is_one_row_and_proper_whatever_the_rows(family: Any) -> None:
    x = np.random.default_rng(3).uniform(0.5, 2.0, (50, 2))
    for rows in (x, x[:1], x[[0] * 9], np.full((3, 2), NAN)):
        pooled = family.expected_statistics(None, rows, np.ones((len(rows), 1)))
        prior = family.weak_prior(pooled, 3)
        np.testing.assert_array_equal(prior.counts, 1)
        mode = family.mode(prior)
        assert family.degenerate(mode) == []
        assert np.isfinite(family.log_prior(prior, mode))


@pytest.mark.parametrize(
    ("counts", "sums", "message"),
    [
        ([[0.0]], [[1.0, 1.0]], r"counts: expected finite numbers > 0, got 0\.0"),
        ([[1.0]], [[1.0, NAN]], r"sums: expected finite numbers, got nan"),
        ([[1.0], [1.0]], [[1.0, 1.0]], r"sums: expected a row for each of counts \(2, 1\), got"),
    ],
)
def test_bad_pseudo_rows_are_named(counts: Any, sums: npt.ArrayLike, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PseudoRows(counts, sums)  # type: ignore[arg-type]
