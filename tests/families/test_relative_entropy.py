"""Relative entropies of components: expected log-ratios by quadrature, sums, and 40 digits."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from scipy import special, stats

from latentcore.families.bernoulli import Bernoulli, BernoulliParams
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.exponential import Exponential, ExponentialParams
from latentcore.families.gamma import Gamma, GammaParams
from latentcore.families.gaussian import Gaussian
from latentcore.families.mixed import MixedParams, MixtureFamily
from latentcore.families.multinomial import Multinomial, MultinomialParams
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.von_mises import VonMises, VonMisesParams
from latentcore.families.whole_rows import WholeRows
from laws.cases import FAMILIES, LEVELS, N_COMPONENTS, FamilyCase
from reference import gaussian

Array = npt.NDArray[np.float64]
Nodes = tuple[Array, Array]

COMPARABLE = [of for of in FAMILIES if hasattr(of.family, "relative_entropy")]


def two(of: FamilyCase) -> tuple[Any, Any]:
    """Parameters of three components each."""
    return of.parameters(np.random.default_rng(1)), of.parameters(np.random.default_rng(2))


# -- nodes and weights whose sums are expectations under component k


def grid(*columns: Nodes) -> Nodes:
    """Of independent columns."""
    values = np.meshgrid(*(x for x, _ in columns), indexing="ij")
    weights = np.meshgrid(*(w for _, w in columns), indexing="ij")
    return np.stack([v.ravel() for v in values], axis=1), np.prod(weights, axis=0).ravel()


def normal_nodes(mean: Array, covariance: Array) -> Nodes:
    """Exact for squares: Gauss-Hermite."""
    t, w = np.polynomial.hermite_e.hermegauss(6)
    z, weights = grid(*[(t, w / w.sum())] * len(mean))
    return mean + z @ np.linalg.cholesky(covariance).T, weights


def poisson_nodes(rate: float) -> Nodes:
    x = np.arange(100.0)
    return x, stats.poisson.pmf(x, rate)


def gamma_nodes(shape: float, rate: float) -> Nodes:
    """The trapezoidal rule for log x."""
    t = np.linspace(-60.0, 6.0, 400)
    x = np.exp(t)
    weights = stats.gamma.pdf(x, shape, scale=1 / rate) * x * (t[1] - t[0])
    kept = weights > 1e-15
    return x[kept], weights[kept]


def von_mises_nodes(mean: float, concentration: float) -> Nodes:
    x = np.linspace(-np.pi, np.pi, 80, endpoint=False)
    return x, stats.vonmises.pdf(x, concentration, loc=mean) * 2 * np.pi / len(x)


def binomial_nodes(total: int, p: Array) -> Nodes:
    x = np.arange(total + 1.0)
    return np.stack([x, total - x], axis=1), stats.binom.pmf(x, total, p[0])


def category_nodes(p: Array) -> Nodes:
    return grid(
        *[(np.arange(float(n)), q) for n, q in zip(LEVELS, np.split(p, [LEVELS[0]]), strict=True)]
    )


def gaussian_nodes(type_: str) -> Callable[[Any, int], Nodes]:
    def nodes(params: Any, k: int) -> Nodes:
        dense = gaussian.full_covariances(params.covariances, type_, params.means)
        return normal_nodes(params.means[k], dense[k])

    return nodes


NODES: dict[str, Callable[[Any, int], Nodes]] = {
    **{
        f"gaussian-{type_}": gaussian_nodes(type_)
        for type_ in ("full", "tied", "diag", "spherical", "tied_spherical")
    },
    "gaussian-means": gaussian_nodes("tied_spherical"),
    "poisson": lambda p, k: grid(*map(poisson_nodes, p.rates[k])),
    "bernoulli": lambda p, k: grid(
        *[(np.array([0.0, 1.0]), np.array([1 - q, q])) for q in p.probabilities[k]]
    ),
    "exponential": lambda p, k: grid(*[gamma_nodes(1.0, rate) for rate in p.rates[k]]),
    "gamma": lambda p, k: grid(*map(gamma_nodes, p.shapes[k], p.rates[k])),
    "von-mises": lambda p, k: grid(*map(von_mises_nodes, p.means[k], p.concentrations[k])),
    "categorical": lambda p, k: category_nodes(p.probabilities[k]),
    "multinomial": lambda p, k: binomial_nodes(12, p.probabilities[k]),
    "columns-gaussian-poisson": lambda p, k: grid(
        poisson_nodes(p.parts[1].rates[k, 0]),
        tuple(
            np.squeeze(part)
            for part in normal_nodes(p.parts[0].means[k], np.diag(p.parts[0].covariances[k]))
        ),  # type: ignore[arg-type]
    ),
    "columns-categorical": lambda p, k: category_nodes(
        np.hstack([part.probabilities[k] for part in p.parts])
    ),
}


@pytest.mark.parametrize("name", NODES)
def test_is_the_expected_log_ratio(name: str) -> None:
    [of] = [of for of in FAMILIES if of.name == name]
    a, b = two(of)
    expected = np.empty((N_COMPONENTS, N_COMPONENTS))
    for i in range(N_COMPONENTS):
        x, weights = NODES[name](a, i)
        log_ratio = of.log_density(a, x)[:, [i]] - of.log_density(b, x)
        expected[i] = weights @ np.where(weights[:, None] > 0, log_ratio, 0.0)
    np.testing.assert_allclose(of.family.relative_entropy(a, b), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("of", COMPARABLE, ids=lambda of: of.name)
def test_is_zero_on_itself_alone_and_positive_between_others(of: FamilyCase) -> None:
    a, _ = two(of)
    divergence = of.family.relative_entropy(a, a)
    np.testing.assert_allclose(divergence.diagonal(), 0.0, atol=1e-13)
    assert (divergence[~np.eye(N_COMPONENTS, dtype=bool)] > 1e-3).all()


def test_every_family_of_the_library_tells_it() -> None:
    ours = [of for of in FAMILIES if type(of.family).__module__.startswith("latentcore.")]
    assert ours == COMPARABLE


@pytest.mark.parametrize("of", COMPARABLE, ids=lambda of: of.name)
def test_whole_rows_are_as_far_apart_as_the_rows_of_their_family(of: FamilyCase) -> None:
    a, b = two(of)
    found = WholeRows(of.family).relative_entropy(a, b)
    np.testing.assert_array_equal(found, of.family.relative_entropy(a, b))


def test_numbers_of_components_may_differ() -> None:
    rates = np.array([[1.0], [2.0], [5.0]])
    found = Poisson().relative_entropy(PoissonParams(rates[:2]), PoissonParams(rates))
    whole = Poisson().relative_entropy(PoissonParams(rates), PoissonParams(rates))
    np.testing.assert_array_equal(found, whole[:2])


# -- far out and close by, in 40 digits


def poisson_truth(r: Any, s: Any) -> Any:
    return r * mpmath.log(r / s) - r + s


def bernoulli_truth(p: Any, q: Any) -> Any:
    return p * mpmath.log(p / q) + (1 - p) * mpmath.log((1 - p) / (1 - q))


def exponential_truth(r: Any, s: Any) -> Any:
    return mpmath.log(r / s) + s / r - 1


@pytest.mark.parametrize(
    ("family", "params", "truth", "pairs"),
    [
        (Poisson(), PoissonParams, poisson_truth,
         [(1e6, 1e6 + 1e-2), (1e-8, 3e6), (3e6, 1e-300), (1e-300, 1e-308), (2.0, 3.0 + 1e-15)]),
        (Bernoulli(), BernoulliParams, bernoulli_truth,
         [(1e-300, 0.5), (0.5, 1e-300), (0.5, 0.5 + 1e-9), (1e-9, 2e-9), (1 - 1e-9, 1e-9)]),
        (Exponential(), ExponentialParams, exponential_truth,
         [(1e30, 1e-30), (1e-30, 1e30), (7.0, 7.0 * (1 + 1e-10)), (1.0, 1.6)]),
    ],
    ids=["poisson", "bernoulli", "exponential"],
)  # fmt: skip
def test_is_exact_for_the_extremes(
    family: Any, params: Any, truth: Any, pairs: list[tuple[float, float]]
) -> None:
    for p, q in pairs:
        [[found]] = family.relative_entropy(params(np.array([[p]])), params(np.array([[q]])))
        with mpmath.workdps(40):
            expected = float(truth(mpmath.mpf(p), mpmath.mpf(q)))
        assert found == pytest.approx(expected, rel=1e-13, abs=4e-16)


def gamma_truth(a: Any, b: Any, c: Any, d: Any) -> Any:
    shapes = mpmath.loggamma(c) - mpmath.loggamma(a) + (a - c) * mpmath.digamma(a)
    return shapes + c * mpmath.log(b / d) + a * (d - b) / b


def von_mises_truth(mu: Any, k: Any, nu: Any, c: Any) -> Any:
    def bessel(order: int, kappa: Any) -> Any:
        """Times exp(-kappa), by its integral."""
        peak = 1 / mpmath.sqrt(kappa + 1)
        cuts = [t for t in (0, peak, 4 * peak, 12 * peak) if t < mpmath.pi] + [mpmath.pi]
        return mpmath.quad(
            lambda t: mpmath.exp(kappa * (mpmath.cos(t) - 1)) * mpmath.cos(order * t), cuts
        )

    length = bessel(1, k) / bessel(0, k)
    logs = mpmath.log(bessel(0, c)) + c - mpmath.log(bessel(0, k)) - k
    return logs + length * (k - c * mpmath.cos(mu - nu))


@pytest.mark.parametrize(
    ("family", "params", "truth", "pair", "error"),
    [
        (Gamma(), GammaParams, gamma_truth, (1e8, 3e7, 1.0001e8, 3e7), 1e-9),
        (Gamma(), GammaParams, gamma_truth, (1e8, 3e7, 1e8 - 10, 3e7), 1e-11),
        (Gamma(), GammaParams, gamma_truth, (0.01, 2.0, 0.02, 1e-9), 1e-13),
        (Gamma(), GammaParams, gamma_truth, (2.0, 1e-200, 1e-3, 1e100), 1e-13),
        (VonMises(), VonMisesParams, von_mises_truth, (0.0, 1e8, 1e-5, 0.9e8), 1e-11),
        (VonMises(), VonMisesParams, von_mises_truth, (1.0, 40.0, -2.0, 3.0), 1e-13),
        (VonMises(), VonMisesParams, von_mises_truth, (1.0, 0.0, -2.0, 3.0), 1e-13),
        (VonMises(), VonMisesParams, von_mises_truth, (1.0, 2.0, 1.0 + 2 * np.pi, 2.0), 1e-13),
    ],
)
def test_two_parameters_lose_little_at_their_caps(
    family: Any, params: Any, truth: Any, pair: tuple[float, ...], error: float
) -> None:
    of_a, of_b = (params(*(np.array([[v]]) for v in half)) for half in (pair[:2], pair[2:]))
    [[found]] = family.relative_entropy(of_a, of_b)
    with mpmath.workdps(40):
        expected = float(truth(*map(mpmath.mpf, pair)))
    assert found == pytest.approx(expected, rel=error, abs=error)


@pytest.mark.parametrize("correlation", [0.0, 0.9, 1 - 1e-6, 1 - 1e-12])
@pytest.mark.parametrize("type_", ["full", "tied"])
def test_correlated_gaussians_lose_nothing(correlation: float, type_: Any) -> None:
    """Far from the origin, on scales 1e-6 and 1e6; the second of both is the first but for a little."""
    scales = np.array([1e-6, 1e6])
    covariance = np.array([[1.0, correlation], [correlation, 1.0]]) * scales * scales[:, None]
    means = np.array([[1.0, -1e9], [1.0 + 1e-7, -1e9]])
    family = Gaussian(type_)
    covariances = np.stack([covariance, 1.5 * covariance])
    params = family.params(means, covariances[0] if type_ == "tied" else covariances)
    dense = [covariance, covariance if type_ == "tied" else covariances[1]]
    with mpmath.workdps(60):
        expected = [
            [float(gaussian_truth(m, c, n, d)) for n, d in zip(means, dense, strict=True)]
            for m, c in zip(means, dense, strict=True)
        ]
    # The factors have the rounding of the Cholesky decomposition of a matrix of this condition.
    error = 1e-14 / (1 - correlation)
    np.testing.assert_allclose(
        family.relative_entropy(params, params), expected, rtol=error, atol=1e-10
    )


def gaussian_truth(m: Array, c: Array, n: Array, d: Array) -> Any:
    own, other = mpmath.matrix(c), mpmath.matrix(d)
    precision, change = other**-1, mpmath.matrix(m) - mpmath.matrix(n)
    traces = sum((precision * own)[i, i] for i in range(own.rows))
    squares = traces + (change.T * precision * change)[0]
    return (squares - own.rows + mpmath.log(mpmath.det(other) / mpmath.det(own))) / 2


# -- zeros


@pytest.mark.parametrize(
    ("family", "params", "divergence"),
    [
        (Poisson(), PoissonParams(np.array([[0.0], [2.0]])), 2.0),
        (Bernoulli(), BernoulliParams(np.array([[0.0], [0.5]])), np.log(2)),
        (Bernoulli(), BernoulliParams(np.array([[1.0], [0.5]])), np.log(2)),
        (Categorical((3,)), CategoricalParams(np.array([[0, 1, 0], [0.25, 0.5, 0.25]])), np.log(2)),
        (Multinomial(), MultinomialParams(np.array([[0, 1], [0.5, 0.5]]), 7.5), 7.5 * np.log(2)),
    ],
)
def test_what_the_other_forbids_is_infinite_and_zeros_are_no_nan(
    family: Any, params: Any, divergence: float
) -> None:
    found = family.relative_entropy(params, params)
    np.testing.assert_allclose(found, [[0, divergence], [np.inf, 0]], rtol=1e-14)


# -- mixtures


def mixtures() -> tuple[MixtureFamily, MixedParams, MixedParams]:
    """Two states of three Poissons, and the same in another order, a little off, with one of weight 0."""
    rng = np.random.default_rng(4)
    weights, rates = rng.dirichlet(np.ones(3), 2), rng.uniform(1, 9, (2, 3, 1))
    weights[1] = 0.0, 0.3, 0.7
    orders = np.array([[2, 0, 1], [1, 2, 0]])
    others = np.take_along_axis(weights, orders, axis=1)
    near = np.take_along_axis(rates, orders[:, :, None], axis=1) + rng.uniform(0, 0.5, (2, 3, 1))
    return (
        MixtureFamily(Poisson(), 3),
        MixedParams(weights, PoissonParams(rates.reshape(6, 1))),
        MixedParams(others, PoissonParams(near.reshape(6, 1))),
    )


def joint_divergences(
    a: MixedParams, b: MixedParams, i: int, j: int
) -> dict[tuple[int, ...], float]:
    """Of a row and its component, for all orders of b's components."""
    r, s = a.components.rates.reshape(2, 3), b.components.rates.reshape(2, 3)
    out = {}
    for order in itertools.permutations(range(3)):
        w, v = a.weights[i], b.weights[j, list(order)]
        kl = r[i] * np.log(r[i] / s[j, list(order)]) - r[i] + s[j, list(order)]
        with np.errstate(divide="ignore"):
            out[order] = float(np.where(w > 0, special.rel_entr(w, v) + w * kl, 0.0).sum())
    return out


def test_mixtures_are_as_far_apart_as_their_best_labels_make_them() -> None:
    family, a, b = mixtures()
    found = family.relative_entropy(a, b)
    for i, j in np.ndindex(2, 2):
        assert found[i, j] == pytest.approx(min(joint_divergences(a, b, i, j).values()), rel=1e-12)


def test_rows_of_mixtures_are_at_most_as_far_apart() -> None:
    family, a, b = mixtures()
    x = np.arange(80.0)[:, None]
    of_a, of_b = family.log_likelihood(a, x), family.log_likelihood(b, x)
    for i, j in np.ndindex(2, 2):
        of_rows = np.exp(of_a[:, i]) @ (of_a[:, i] - of_b[:, j])
        assert 0 < of_rows < family.relative_entropy(a, b)[i, j]


def test_inner_order_takes_over_the_labels_of_the_other() -> None:
    family, a, b = mixtures()
    orders = family.inner_order(b, a)
    for s in range(2):
        costs = joint_divergences(b, a, s, s)
        taken = tuple(np.argsort(orders[s]).tolist())  # a's label of each of b's components
        assert costs[taken] == min(costs.values())


def test_scales_with_the_mean_total_of_the_first() -> None:
    params = MultinomialParams(np.array([[0.2, 0.8], [0.5, 0.5]]), 3.0)
    found = Multinomial().relative_entropy(params, replace(params, mean_total=50.0))
    binomials = [[stats.binom.pmf(np.arange(4), 3, p) for p in (0.2, 0.5)]]
    expected = special.rel_entr(*binomials[0]).sum()
    assert found[0, 1] == pytest.approx(expected, rel=1e-14)
