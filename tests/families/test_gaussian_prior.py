"""Conjugate priors of Gaussian components against SciPy's densities; fits with them cannot collapse."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from latentcore.arrays import Rows
from latentcore.families.gaussian import (
    CovarianceType,
    Gaussian,
    GaussianParams,
    GaussianPrior,
    GaussianStatistics,
)
from latentcore.rules.em import MAPEM
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior
from reference import gaussian

Array = npt.NDArray[np.float64]

K, D, N = 3, 2, 60
TYPES = get_args(CovarianceType)

every_type = pytest.mark.parametrize("covariance_type", TYPES)


def dense(params: GaussianParams, covariance_type: str) -> Array:
    return gaussian.full_covariances(params.covariances, covariance_type, params.means)


def a_prior(covariance_type: str, n_components: int = K, n_features: int = D) -> GaussianPrior:
    """Another one for each component; ``n_components`` = 1: the same for all."""
    rng = np.random.default_rng(11)
    shared = covariance_type in ("tied", "tied_spherical")
    scale = gaussian.random_covariances(rng, covariance_type, n_components, n_features)
    return GaussianPrior(
        rng.normal(size=(n_components, n_features)),
        rng.uniform(0.1, 3.0, n_components),
        n_features + rng.uniform(0.5, 3.0, 1 if shared else n_components),
        scale[:1] if covariance_type == "tied_spherical" else scale,
    )


def some_params(family: Gaussian, seed: int = 12, n_features: int = D) -> GaussianParams:
    rng = np.random.default_rng(seed)
    covariances = gaussian.random_covariances(rng, family.covariance_type, K, n_features)
    return family.params(rng.normal(size=(K, n_features)), covariances)


def data(n_features: int = D) -> tuple[Array, Array]:
    rng = np.random.default_rng(13)
    return 2 + rng.normal(size=(N, n_features)), rng.dirichlet(np.ones(K), size=N)


def log_likelihood(params: GaussianParams, covariance_type: str, x: Array, r: Array) -> float:
    components = zip(params.means, dense(params, covariance_type), strict=True)
    logs = [stats.multivariate_normal(m, c).logpdf(x) for m, c in components]
    return float((r * np.stack(logs, axis=1)).sum())


def log_prior(prior: GaussianPrior, params: GaussianParams, covariance_type: str) -> float:
    return gaussian.log_prior(prior, params.means, params.covariances, covariance_type)


@every_type
@pytest.mark.parametrize("n_components", [K, 1])
@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_log_prior_keeps_all_constants(
    covariance_type: Any, n_components: int, n_features: int
) -> None:
    family = Gaussian(covariance_type, reg_covar=0.1)
    params = some_params(family, n_features=n_features)
    prior = a_prior(covariance_type, n_components, n_features)
    expected = log_prior(prior, params, covariance_type)
    assert family.log_prior(prior, params) == pytest.approx(expected, rel=1e-12)


@every_type
@pytest.mark.parametrize("n_components", [K, 1])
def test_prior_times_likelihood_is_the_posterior_but_for_a_constant(
    covariance_type: Any, n_components: int
) -> None:
    family = Gaussian(covariance_type)
    prior = a_prior(covariance_type, n_components)
    x, r = data()
    posterior = family.update(prior, family.expected_statistics(None, x, r))

    def log_evidence(seed: int) -> float:
        params = some_params(family, seed)
        joint = log_prior(prior, params, covariance_type)
        joint += log_likelihood(params, covariance_type, x, r)
        return joint - log_prior(posterior, params, covariance_type)

    values = [log_evidence(seed) for seed in range(5)]
    assert np.ptp(values) < 1e-9 * abs(values[0])


@every_type
def test_posterior_of_all_rows_is_that_of_one_half_after_the_other(covariance_type: Any) -> None:
    family = Gaussian(covariance_type)
    x, r = data()
    r[:30, 1] = 0.0  # nothing of component 1 in the first half
    prior = a_prior(covariance_type)
    first = family.update(prior, family.expected_statistics(None, x[:30], r[:30]))
    second = family.update(first, family.expected_statistics(None, x[30:], r[30:]))
    at_once = family.update(prior, family.expected_statistics(None, x, r))
    for name in ("means", "mean_precision", "degrees_of_freedom", "scale"):
        np.testing.assert_allclose(getattr(second, name), getattr(at_once, name), rtol=1e-12)
    np.testing.assert_array_equal(first.means[1], prior.means[1])
    assert first.mean_precision[1] == prior.mean_precision[1]


def perturbed(family: Gaussian, params: GaussianParams) -> list[tuple[Any, Any]]:
    """Parameters a little to both sides, in every direction that the type of covariance has."""
    h = 1e-4
    steps: list[tuple[Array, Array]] = []
    for place in np.ndindex(params.means.shape):
        step = np.zeros_like(params.means)
        step[place] = h
        steps.append((step, np.zeros_like(params.covariances)))
    for place in np.ndindex(params.covariances.shape):
        step = np.zeros_like(params.covariances)
        step[place] = h
        if family.covariance_type in ("full", "tied"):
            step = step + step.swapaxes(-1, -2)
        if family.covariance_type == "tied_spherical":
            step[:] = h
        steps.append((np.zeros_like(params.means), step))

    def stepped(sign: int, mean: Array, covariance: Array) -> Any:
        return family.params(params.means + sign * mean, params.covariances + sign * covariance)

    return [(stepped(1, *step), stepped(-1, *step)) for step in steps]


@every_type
def test_mode_is_where_the_gradient_vanishes(covariance_type: Any) -> None:
    family = Gaussian(covariance_type, reg_covar=0.5)  # of no effect
    prior = a_prior(covariance_type, 1)
    x, r = data()
    best = family.mode(family.update(prior, family.expected_statistics(None, x, r)))

    def objective(params: GaussianParams) -> float:
        value = log_likelihood(params, covariance_type, x, r)
        return value + log_prior(prior, params, covariance_type)

    top = objective(best)
    directions = perturbed(family, best)
    assert len(directions) >= K * D + 1
    for forth, back in directions:
        rise, fall = objective(forth) - top, objective(back) - top
        assert rise < 0
        assert fall < 0
        assert abs(rise - fall) < 0.01 * abs(rise + fall)  # even, to the order of the step


def test_all_types_are_the_same_on_one_column() -> None:
    x, r = data(1)
    rng = np.random.default_rng(14)
    means, kappa, nu = rng.normal(size=(K, 1)), rng.uniform(0.5, 2, K), rng.uniform(1, 4, K)
    psi, variances = rng.uniform(0.5, 2.0, K), rng.uniform(0.5, 2.0, K)
    found = []
    for covariance_type, shape in (("full", (K, 1, 1)), ("diag", (K, 1)), ("spherical", (K,))):
        family = Gaussian(covariance_type)  # type: ignore[arg-type]
        prior = GaussianPrior(means, kappa, nu, psi.reshape(shape))
        mode = family.mode(family.update(prior, family.expected_statistics(None, x, r)))
        density = family.log_prior(prior, family.params(means + 1, variances.reshape(shape)))
        found.append([density, *mode.means.ravel(), *mode.covariances.ravel()])
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=1e-12)

    shared = []
    for covariance_type, shape, n in (("tied", (1, 1), 1), ("tied_spherical", (1,), K)):
        family = Gaussian(covariance_type)  # type: ignore[arg-type]
        prior = GaussianPrior(means, kappa, nu[:1], psi[:1].reshape(shape))
        mode = family.mode(family.update(prior, family.expected_statistics(None, x, r)))
        params = family.params(means + 1, np.full(n, 0.7).reshape(shape if n == 1 else (K,)))
        shared.append(
            [family.log_prior(prior, params), *mode.means.ravel(), mode.covariances.flat[0]]
        )
    np.testing.assert_allclose(shared[1], shared[0], rtol=1e-12)


@every_type
def test_without_prior_counts_the_mode_is_maximum_likelihood(covariance_type: Any) -> None:
    x, r = data()
    family = Gaussian(covariance_type)
    found = family.expected_statistics(None, x, r)
    priorless = {"full": -D - 2, "tied": -D - 1 - K, "diag": -3, "spherical": -D - 2}
    nu = float(priorless.get(covariance_type, -2 - K * D))
    flat = a_prior(covariance_type)
    flat = GaussianPrior(
        flat.means, np.zeros(K), np.full(len(flat.degrees_of_freedom), nu), 0 * flat.scale
    )
    mode, expected = family.mode(family.update(flat, found)), family.maximize(found)
    np.testing.assert_allclose(mode.means, expected.means, rtol=1e-13)
    np.testing.assert_allclose(mode.covariances, expected.covariances, rtol=1e-13)


# -- the weak prior


def pooled(family: Gaussian, x: Any) -> GaussianStatistics:
    return family.expected_statistics(None, x, np.ones((len(x), 1)))


@every_type
def test_weak_prior_is_the_default_of_mclust(covariance_type: Any) -> None:
    x, _ = data()
    x = x @ np.array([[2.0, 1.0], [0.0, 0.3]])
    family = Gaussian(covariance_type)
    prior = family.weak_prior(pooled(family, x), 4)
    covariance = np.cov(x.T, bias=True) / 4 ** (2 / D)
    spherical = [covariance.diagonal().mean()]
    scale = {"full": covariance[None], "tied": covariance, "diag": covariance.diagonal()[None]}
    np.testing.assert_allclose(prior.means, x.mean(axis=0)[None], rtol=1e-13)
    np.testing.assert_array_equal(prior.mean_precision, [0.01])
    np.testing.assert_array_equal(prior.degrees_of_freedom, [D + 2])
    np.testing.assert_allclose(prior.scale, scale.get(covariance_type, spherical), rtol=1e-12)


@pytest.mark.parametrize(
    ("rows", "variances"),
    [
        ([[1.0, 5.0], [3.0, 5.0]], [1.0, 0.005**2]),
        ([[1.0, 0.0], [3.0, 0.0]], [1.0, 1.0]),
        ([[0.0, 0.0], [0.0, 0.0]], [1.0, 1.0]),
        ([[7.0, 0.0]], [0.007**2, 1.0]),
        ([[1.0, 2.0], [3.0, 6.0]], [1.0, 4.0]),
        ([[0.1, 1e-9], [0.1, 3e-9], [0.1, 2e-9]], [1e-4**2, 2e-18 / 3]),
    ],
    ids=["constant", "zero", "all zero", "one row", "collinear", "tiny"],
)
def test_weak_prior_is_proper_where_the_covariance_is_not(
    rows: list[list[float]], variances: list[float]
) -> None:
    x = np.array(rows)
    scale = Gaussian("full").weak_prior(pooled(Gaussian("full"), x), 1).scale[0]
    np.testing.assert_allclose(scale, np.diag(variances), rtol=1e-12)
    for covariance_type in TYPES:
        family = Gaussian(covariance_type)
        prior = family.weak_prior(pooled(family, x), 3)
        assert np.isfinite(family.log_prior(prior, some_params(family)))


def sampled(name: str) -> Array:
    rng = np.random.default_rng(15)
    x = rng.normal(size=(40, D)) + 4 * rng.integers(2, size=(40, 1))
    if name == "duplicates":
        x[:20] = x[0]
    elif name == "a constant column":
        x[:, 1] = 3.0
    elif name == "fewer distinct rows than components":
        x = np.repeat(x[:2], 10, axis=0)
    elif name == "one row a component":
        x = x[:K]
    elif name == "collinear columns":
        x[:, 1] = -2 * x[:, 0]
    elif name == "missing entries":
        x[rng.random(x.shape) < 0.4] = np.nan
    return x


@every_type
@pytest.mark.parametrize(
    "name",
    [
        "plain", "duplicates", "a constant column", "fewer distinct rows than components",
        "one row a component", "collinear columns", "missing entries",
    ],
)  # fmt: skip
def test_map_em_ascends_to_a_sensible_fit(covariance_type: Any, name: str) -> None:
    family, x = Gaussian(covariance_type), sampled(name)
    model = Mixture(family)
    prior = MixturePrior(
        np.full(K, 1 + 1 / K), family.weak_prior(pooled(family, family.embedding(x)), K)
    )
    r = np.eye(K)[np.arange(len(x)) % K]
    begin = family.mode(family.update(prior.components, family.expected_statistics(None, x, r)))
    rule = MAPEM(model, prior)
    state, objectives = rule.init(MixtureParams(np.full(K, 1 / K), begin)), []
    for _ in range(100):
        state, info = rule.step(state, lambda p: model.expected_statistics(p, Rows(x)))
        objectives.append(info.objective)
    assert np.isfinite(objectives).all()
    assert np.diff(objectives).min() >= -1e-10 * np.abs(objectives).max()
    spread = dense(state.params.components, covariance_type).diagonal(axis1=1, axis2=2)
    assert np.isfinite(state.params.components.means).all()
    assert spread.min() > 1e-8
    assert spread.max() < 100


# -- bad priors


@pytest.mark.parametrize(
    ("covariance_type", "changes", "message"),
    [
        ("full", {"means": np.zeros((2, D))}, "means of shape (3, 2) or (1, 2), got (2, 2)"),
        ("full", {"scale": np.eye(D)}, "scale of shape (3, 2, 2) or (1, 2, 2), got (2, 2)"),
        ("tied", {"scale": np.eye(D)[None]}, "scale of shape (2, 2), got (1, 2, 2)"),
        ("diag", {"scale": np.ones(D)}, "scale of shape (3, 2) or (1, 2), got (2,)"),
        ("tied_spherical", {"scale": np.ones(K)}, "scale of shape (1,), got (3,)"),
        ("tied", {"degrees_of_freedom": np.full(K, 5.0)}, "degrees_of_freedom of shape (1,), got"),
        ("full", {"mean_precision": np.zeros(1)}, "mean_precision > 0 to be proper, got 0"),
        ("full", {"degrees_of_freedom": 1}, "degrees_of_freedom > 1 to be proper, got 1"),
        ("diag", {"degrees_of_freedom": 0}, "degrees_of_freedom > 0 to be proper, got 0"),
        ("full", {"scale": -np.eye(D)[None]}, "eigenvalues of scale > 0 to be proper, got -1"),
        ("spherical", {"scale": [1, 0, 1]}, "scale > 0 to be proper, got 0"),
        ("full", {"mean_precision": np.nan}, "mean_precision: expected finite numbers, got [nan]"),
    ],
)
def test_a_prior_that_is_none_is_named(
    covariance_type: Any, changes: dict[str, Any], message: str
) -> None:
    family = Gaussian(covariance_type)
    with pytest.raises(ValueError, match=re.escape(message)):
        family.log_prior(replace(a_prior(covariance_type), **changes), some_params(family))
