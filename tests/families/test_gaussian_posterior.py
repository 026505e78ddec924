"""Gaussian components under variational inference, against exact evidence, Bishop's terms, SciPy and scikit-learn.

What holds for every family is in tests/laws/test_cavi.py.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from scipy import integrate, stats
from scipy.special import betaln, digamma, gammaln
from sklearn.mixture import BayesianGaussianMixture

from latentcore import engine
from latentcore.arrays import Rows
from latentcore.families.gaussian import CovarianceType, Gaussian, GaussianPrior
from latentcore.rules.cavi import CAVI, VariationalInfo
from latentcore.structures.mixture import Mixture, MixturePrior, MixtureStatistics
from latentcore.structures.weights import Dirichlet, FixedWeights, StickBreaking
from reference import gaussian, normal_wishart

Array = npt.NDArray[np.float64]

TYPES = get_args(CovarianceType)
MATRICES = ("full", "tied")
SHARED = ("tied", "tied_spherical")

every_type = pytest.mark.parametrize("covariance_type", TYPES)
every_weight = pytest.mark.parametrize("weights", ["dirichlet", "sticks", "fixed"])


def a_prior(
    covariance_type: str, n_components: int, n_features: int, seed: int = 1
) -> GaussianPrior:
    """Another one for each component; ``n_components`` = 1: the same for all."""
    rng = np.random.default_rng(seed)
    scale = gaussian.random_covariances(rng, covariance_type, n_components, n_features)
    return GaussianPrior(
        rng.normal(size=(n_components, n_features)),
        rng.uniform(0.1, 2.0, n_components),
        n_features + rng.uniform(0.0, 3.0, 1 if covariance_type in SHARED else n_components),
        scale[:1] if covariance_type == "tied_spherical" else scale,
    )


def weight_prior(weights: str, n_components: int) -> Any:
    if weights == "dirichlet":
        return Dirichlet(np.linspace(0.4, 2.0, n_components))
    if weights == "sticks":
        return StickBreaking(1.7, np.zeros(n_components))
    return FixedWeights(np.arange(1.0, n_components + 1) / (n_components * (n_components + 1) / 2))


def log_assignment(prior: Any, counts: Array) -> float:
    """log p(z), the weights integrated out; sticks are broken in the order of ``counts``."""
    if isinstance(prior, FixedWeights):
        return float(counts @ np.log(prior.weights))
    if isinstance(prior, Dirichlet):
        alpha = prior.alpha
        total = gammaln(alpha.sum()) - gammaln(alpha.sum() + counts.sum())
        return float(total + (gammaln(alpha + counts) - gammaln(alpha)).sum())
    after = counts.sum() - np.cumsum(counts)
    gamma = prior.concentration
    sticks = betaln(1 + counts, gamma + after) - betaln(1.0, gamma)
    return float(sticks[:-1].sum())


def log_joint(
    prior: MixturePrior[Any], x: Array, labels: Any, covariance_type: str, order: Any = slice(None)
) -> float:
    """log p(x, z), exactly; sticks are broken in the order given."""
    n_components = n_components_of(prior)
    one_hot = np.eye(n_components)[np.asarray(labels)]
    of_rows = normal_wishart.log_evidence(prior.components, x, one_hot, covariance_type)
    return of_rows + log_assignment(prior.weights, one_hot.sum(axis=0)[order])


def n_components_of(prior: MixturePrior[Any]) -> int:
    return len(prior.weights.expected_log())


def posterior_of(model: Any, prior: Any, x: Array, r: Array) -> Any:
    found = model.family.expected_statistics(None, x, r.astype(x.dtype))
    return model.update(prior, MixtureStatistics(r.sum(axis=0), found))


def bound(model: Any, prior: Any, posterior: Any, x: Array, r: Array) -> float:
    """The ELBO for any responsibilities and any posterior."""
    log_joint = model.log_joint(model.expected(posterior), x)
    entropy = -np.where(r > 0, r * np.log(np.where(r > 0, r, 1.0)), 0.0).sum()
    of_weights, of_components = model.divergence(posterior, prior)
    return float((r * log_joint).sum() + entropy - of_weights - of_components.sum())


def random_r(n: int, n_components: int, seed: int = 2) -> Array:
    return np.random.default_rng(seed).dirichlet(np.ones(n_components), size=n)


def clusters(n: int, n_features: int, seed: int = 3, offset: float = 0.0) -> Array:
    rng = np.random.default_rng(seed)
    centers = 3 * rng.normal(size=(3, n_features))
    return offset + centers[rng.integers(3, size=n)] + rng.normal(size=(n, n_features))


def ascent(model: Any, prior: Any, x: Array, r: Array, n_steps: int) -> tuple[Any, list[Any]]:
    """The posterior after some steps from responsibilities r, and the terms of each step's bound."""
    rule: Any = CAVI(model, prior)
    state = rule.init(posterior_of(model, prior, x, r))
    infos: list[VariationalInfo] = []
    for _ in range(n_steps):
        state, info = rule.step(state, engine.expectation(model, Rows(x), len(x), 1))
        infos.append(info)
    return state.params, infos


# -- the bound


def any_posterior(prior: Any, best: Any, covariance_type: str, n_features: int) -> Any:
    """A posterior that has nothing to do with the data (sticks: but for their order)."""
    counts = np.linspace(9.0, 0.5, n_components_of(prior))
    components = a_prior(covariance_type, len(counts), n_features, seed=8)
    sticks = isinstance(prior.weights, StickBreaking)
    return MixturePrior(best.weights if sticks else prior.weights.update(counts), components)


@every_type
@every_weight
@pytest.mark.parametrize("n_priors", [1, 3])
@pytest.mark.parametrize("n_features", [1, 3])
def test_with_known_components_the_bound_misses_the_log_joint_by_the_divergence_alone(
    covariance_type: Any, weights: str, n_priors: int, n_features: int
) -> None:
    labels = np.array([0, 0, 2, 0, 2, 0, 1, 2])  # counts 4, 1, 3
    x, r = clusters(len(labels), n_features), np.eye(3)[labels]
    prior = MixturePrior(weight_prior(weights, 3), a_prior(covariance_type, n_priors, n_features))
    model = Mixture(Gaussian(covariance_type))
    best = posterior_of(model, prior, x, r)
    order = best.weights.order() if weights == "sticks" else slice(None)
    exact = log_joint(prior, x, labels, covariance_type, order)
    assert bound(model, prior, best, x, r) == pytest.approx(exact, rel=1e-12)

    other = any_posterior(prior, best, covariance_type, n_features)
    of_weights, of_components = model.divergence(other, best)
    assert (of_components > 0).all()
    missed = of_components.sum() + (0.0 if weights == "sticks" else of_weights)
    assert bound(model, prior, other, x, r) == pytest.approx(exact - missed, rel=1e-11)


def test_terms_are_those_of_bishop() -> None:
    """Bishop (2006), equations 10.71 to 10.77 and B.79 to B.82, for full covariances and a Dirichlet."""
    n, k, d = 40, 3, 2
    x, r = clusters(n, d), random_r(n, k)
    alpha0, beta0, nu0 = 0.7, 0.3, 4.5
    m0, w0 = np.array([0.3, -1.0]), np.linalg.inv(np.array([[2.0, 0.4], [0.4, 1.0]]))
    model: Any = Mixture(Gaussian("full"))
    prior = MixturePrior(
        Dirichlet(np.full(k, alpha0)),
        GaussianPrior(m0[None], np.array([beta0]), np.array([nu0]), np.linalg.inv(w0)[None]),
    )
    posterior = posterior_of(model, prior, x, random_r(n, k, seed=5))  # of other responsibilities
    q = posterior.components
    alpha, beta, nu, m = posterior.weights.alpha, q.mean_precision, q.degrees_of_freedom, q.means
    w = np.linalg.inv(q.scale)

    counts = r.sum(axis=0)
    means = r.T @ x / counts[:, None]
    covariances = [np.cov(x.T, aweights=r[:, j], bias=True) for j in range(k)]
    log_pi = digamma(alpha) - digamma(alpha.sum())
    i = np.arange(1, d + 1)
    log_lambda = digamma(0.5 * (nu[:, None] + 1 - i)).sum(axis=1)
    log_lambda += d * np.log(2) + np.linalg.slogdet(w)[1]

    def log_c(a: Array) -> float:
        return float(gammaln(a.sum()) - gammaln(a).sum())

    def log_b(matrix: Array, degrees: float) -> float:
        constant = 0.5 * degrees * d * np.log(2) + d * (d - 1) / 4 * np.log(np.pi)
        constant += gammaln(0.5 * (degrees + 1 - i)).sum()
        return float(-0.5 * degrees * np.linalg.slogdet(matrix)[1] - constant)

    def square(vector: Array, matrix: Array) -> float:
        return float(vector @ matrix @ vector)

    term = {
        71: 0.5 * sum(
            counts[j] * (
                log_lambda[j] - d / beta[j] - nu[j] * np.trace(covariances[j] @ w[j])
                - nu[j] * square(means[j] - m[j], w[j]) - d * np.log(2 * np.pi)
            )
            for j in range(k)
        ),
        72: (r * log_pi).sum(),
        73: log_c(np.full(k, alpha0)) + (alpha0 - 1) * log_pi.sum(),
        74: 0.5 * sum(
            d * np.log(beta0 / (2 * np.pi)) + log_lambda[j] - d * beta0 / beta[j]
            - beta0 * nu[j] * square(m[j] - m0, w[j])
            for j in range(k)
        ) + k * log_b(w0, nu0) + 0.5 * (nu0 - d - 1) * log_lambda.sum()
        - 0.5 * sum(nu[j] * np.trace(np.linalg.inv(w0) @ w[j]) for j in range(k)),
        75: (r * np.log(r)).sum(),
        76: ((alpha - 1) * log_pi).sum() + log_c(alpha),
        77: sum(
            0.5 * log_lambda[j] + d / 2 * np.log(beta[j] / (2 * np.pi)) - d / 2
            + log_b(w[j], nu[j]) + 0.5 * (nu[j] - d - 1) * log_lambda[j] - 0.5 * nu[j] * d
            for j in range(k)
        ),
    }  # fmt: skip
    expected = model.expected(posterior)
    of_weights, of_components = model.divergence(posterior, prior)
    log_density = model.family.log_likelihood(expected.components, x)
    assert (r * log_density).sum() == pytest.approx(term[71], rel=1e-12)
    assert (r * expected.log_weights).sum() == pytest.approx(term[72], rel=1e-12)
    assert of_weights == pytest.approx(term[76] - term[73], rel=1e-12)
    assert of_components.sum() == pytest.approx(term[77] - term[74], rel=1e-12)
    whole = term[71] + term[72] + term[73] + term[74] - term[75] - term[76] - term[77]
    assert bound(model, prior, posterior, x, r) == pytest.approx(whole, rel=1e-12)


def on_one_column(covariance_type: str, prior: GaussianPrior) -> GaussianPrior:
    """The same prior, written for another type."""
    shapes = {"full": (-1, 1, 1), "tied": (1, 1), "diag": (-1, 1)}
    scale = prior.scale.reshape(shapes.get(covariance_type, (-1,)))
    return GaussianPrior(prior.means, prior.mean_precision, prior.degrees_of_freedom, scale)


@pytest.mark.parametrize("types", [("full", "diag", "spherical"), ("tied", "tied_spherical")])
def test_types_are_the_same_on_one_column(types: tuple[Any, ...]) -> None:
    x, weights = clusters(50, 1), Dirichlet(np.full(3, 0.5))
    start = a_prior(types[0], 1, 1)
    found = []
    for covariance_type in types:
        model: Any = Mixture(Gaussian(covariance_type))
        prior = MixturePrior(weights, on_one_column(covariance_type, start))
        posterior, infos = ascent(model, prior, x, random_r(50, 3), 10)
        half = model.family.blend(prior.components, posterior.components, 0.3)
        found.append(
            np.concatenate([
                [info.objective for info in infos],
                model.family.divergence(posterior.components, prior.components),
                model.family.predictive_log_density(posterior.components, x).ravel(),
                *(q.scale.ravel() for q in (posterior.components, half)),
            ])
        )  # fmt: skip
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-11)


# -- rules


@every_type
@pytest.mark.parametrize(("dtype", "rounding"), [(np.float64, 1e-10), (np.float32, 2e-6)])
def test_coordinate_ascent_ascends_far_from_the_origin(
    covariance_type: Any, dtype: Any, rounding: float
) -> None:
    x = clusters(200, 2, offset=1000.0).astype(dtype)
    prior = MixturePrior(weight_prior("dirichlet", 4), a_prior(covariance_type, 1, 2))
    model = Mixture(Gaussian(covariance_type))
    _, infos = ascent(model, prior, x, random_r(200, 4), 40)
    bounds = np.array([info.objective for info in infos])
    assert (np.diff(bounds) >= -rounding * np.abs(bounds[1:])).all()
    assert bounds[-1] > bounds[0] + 0.1


@every_type
@pytest.mark.parametrize("rate", [-0.01, 0.0, 0.3, 1.0])
def test_blend_is_linear_in_natural_coordinates(covariance_type: Any, rate: float) -> None:
    a, b = (a_prior(covariance_type, 3, 2, seed) for seed in (4, 5))
    blended = Gaussian(covariance_type).blend(a, b, rate)
    expected = [
        (1 - rate) * first + rate * second
        for first, second in zip(
            normal_wishart.natural(a, 3, covariance_type),
            normal_wishart.natural(b, 3, covariance_type),
            strict=True,
        )
    ]
    for value, wanted in zip(
        normal_wishart.natural(blended, 3, covariance_type), expected, strict=True
    ):
        np.testing.assert_allclose(value, wanted, rtol=1e-13, atol=1e-14)
    if rate in (0.0, 1.0):
        assert_same(blended, b if rate else a)


def test_blend_loses_nothing_far_from_the_origin() -> None:
    family = Gaussian("full")

    def blended(origin: float) -> GaussianPrior:
        a, b = (
            GaussianPrior(origin + np.array([means]), [3.0], [5.0], [np.eye(2)])
            for means in ([0.0, 0.5], [0.25, 1.0])
        )
        return family.blend(a, b, 0.25)

    np.testing.assert_array_equal(blended(2.0**26).scale, blended(0.0).scale)


def assert_same(a: GaussianPrior, b: GaussianPrior) -> None:
    for name in ("means", "mean_precision", "degrees_of_freedom", "scale"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


# -- predictions


@every_type
@pytest.mark.parametrize("n_features", [1, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_predictive_density_is_students_t(
    covariance_type: str, n_features: int, dtype: Any
) -> None:
    q = a_prior(covariance_type, 3, n_features)
    x = (3 * clusters(50, n_features)).astype(dtype)
    found = Gaussian(covariance_type).predictive_log_density(q, x)  # type: ignore[arg-type]
    assert found.dtype == dtype
    nu = np.broadcast_to(q.degrees_of_freedom, 3)
    wide = (q.mean_precision + 1) / q.mean_precision
    scale = q.scale[0] if covariance_type == "tied_spherical" else q.scale
    dense = gaussian.full_covariances(
        np.full(3, scale) if covariance_type == "tied_spherical" else scale,
        covariance_type,
        q.means,
    )
    for k in range(3):
        if covariance_type == "diag":
            spread = np.sqrt(q.scale[k] / nu[k] * wide[k])
            expected = stats.t(nu[k], q.means[k], spread).logpdf(x).sum(axis=1)
        else:
            degrees = nu[k] + 1 - n_features if covariance_type in MATRICES else nu[k]
            shape = dense[k] * wide[k] / degrees
            expected = stats.multivariate_t(q.means[k], shape, degrees).logpdf(x)
        np.testing.assert_allclose(
            found[:, k], expected, rtol=1e-11 if dtype == np.float64 else 1e-5
        )


@every_type
def test_predictive_density_is_the_density_integrated_over_the_posterior(
    covariance_type: str,
) -> None:
    q = a_prior(covariance_type, 1, 1)
    (m,), kappa, nu, psi = q.means[0], q.mean_precision[0], q.degrees_of_freedom[0], q.scale.item()
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)  # of a standard normal
    weights = weights / weights.sum()

    def given_precision(precision: float, at: float) -> float:
        means = m + nodes / np.sqrt(kappa * precision)
        density = weights @ stats.norm.pdf(at, means, 1 / np.sqrt(precision))
        return float(density * stats.gamma.pdf(precision, nu / 2, scale=2 / psi))

    for at in (m, m + 1.5):
        (found,) = np.exp(
            Gaussian(covariance_type).predictive_log_density(q, np.array([[at]]))  # type: ignore[arg-type]
        )
        exact, _ = integrate.quad(given_precision, 0, np.inf, args=(at,), epsabs=1e-12)
        assert found[0] == pytest.approx(exact, rel=1e-6)


@every_type
def test_rows_far_away_and_many_blocks_predict_alike(covariance_type: str) -> None:
    family, q = Gaussian(covariance_type), a_prior(covariance_type, 3, 2)  # type: ignore[arg-type]
    x = np.tile(clusters(7, 2), (8000, 1))
    found = family.predictive_log_density(q, x)
    np.testing.assert_array_equal(found[-7:], found[:7])
    far = family.predictive_log_density(q, np.full((1, 2), 1e200))
    assert not np.isnan(far).any()
    with pytest.raises(ValueError, match=r"X: expected no missing entries, got NaN"):
        family.predictive_log_density(q, np.array([[0.0, np.nan]]))


# -- scikit-learn


@pytest.mark.parametrize(
    ("covariance_type", "n_features"), [("full", 1), ("full", 3), ("diag", 1), ("spherical", 1)]
)
@pytest.mark.parametrize("n_steps", [1, 30])
def test_scikit_learn_goes_the_same_way(
    covariance_type: Any, n_features: int, n_steps: int
) -> None:
    """It adds 10 eps to counts, hence the tolerance. In its other cases it leaves the exact updates.

    In diag and spherical of several columns its E log|Lambda| is that of the full case; tied, its posterior counts
    N / K rows; its last stick is one of infinitely many.
    """
    x, k = clusters(150, n_features), 3
    peer = BayesianGaussianMixture(
        n_components=k, covariance_type=covariance_type, weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=0.3, mean_precision_prior=0.4, mean_prior=np.full(n_features, 0.5),
        degrees_of_freedom_prior=n_features + 1.5, reg_covar=0.0, tol=0.0, max_iter=n_steps,
        covariance_prior={"full": 2 * np.eye(n_features), "diag": np.full(1, 2.0)}.get(covariance_type, 2.0),
        init_params="random", random_state=5,
    )  # fmt: skip
    with pytest.warns(match="did not converge"):
        peer.fit(x)
    r = np.random.RandomState(5).uniform(size=(len(x), k))
    r /= r.sum(axis=1, keepdims=True)
    scale = {"full": 2 * np.eye(n_features)[None], "diag": np.full((1, 1), 2.0)}
    components = GaussianPrior(
        np.full((1, n_features), 0.5), np.array([0.4]), np.array([n_features + 1.5]),
        scale.get(covariance_type, np.array([2.0])),
    )  # fmt: skip
    model: Any = Mixture(Gaussian(covariance_type))
    prior = MixturePrior(Dirichlet(np.full(k, 0.3)), components)
    posterior, _ = ascent(model, prior, x, r, n_steps)
    plugged = model.mean(posterior)
    np.testing.assert_allclose(plugged.weights, peer.weights_, rtol=1e-7)
    np.testing.assert_allclose(plugged.components.means, peer.means_, rtol=1e-7)
    np.testing.assert_allclose(plugged.components.covariances, peer.covariances_, rtol=1e-7)
    shares, _ = model.responsibilities(model.expected(posterior), x)
    np.testing.assert_allclose(shares, peer.predict_proba(x), rtol=1e-6, atol=1e-9)
