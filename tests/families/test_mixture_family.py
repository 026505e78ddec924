"""Mixtures as a family: densities by definition, GMM-HMMs as larger HMMs, starts that tell components apart."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special, stats

import latentcore
from latentcore.arrays import Rows
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import Gaussian
from latentcore.families.mixed import MixedParams, MixedPrior, MixtureFamily, Spread
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.initialization import InitMethod, initial_statistics
from latentcore.rules.cavi import CAVI
from latentcore.rules.em import EM
from latentcore.sequences import Sequences
from latentcore.structures.hmm import HMM, HMMParams
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior

Array = npt.NDArray[np.float64]
S, M = 3, 2
WEIGHTS = np.array([[0.3, 0.7], [0.5, 0.5], [0.9, 0.1]])


def gaussians(rng: np.random.Generator) -> tuple[MixtureFamily, MixedParams]:
    inner = Gaussian("diag")
    means, variances = 2 * rng.normal(size=(S * M, 2)), rng.uniform(0.5, 2.0, (S * M, 2))
    return MixtureFamily(inner, M), MixedParams(WEIGHTS, inner.params(means, variances))


def test_log_density_is_that_of_scipy_across_blocks() -> None:
    rng = np.random.default_rng(0)
    family, params = gaussians(rng)
    x = 3 * rng.normal(size=(25_000, 2))  # more than one block of 2^16 elements
    scales = np.sqrt(params.components.covariances)
    densities = stats.norm.logpdf(x[:, None], params.components.means, scales).sum(axis=2)
    expected = special.logsumexp(densities.reshape(-1, S, M) + np.log(WEIGHTS), axis=2)
    np.testing.assert_allclose(family.log_likelihood(params, x), expected, rtol=1e-12)
    weights = rng.dirichlet(np.ones(S), len(x))
    r = np.exp(densities.reshape(-1, S, M) + np.log(WEIGHTS) - expected[:, :, None])
    shares = r * weights[:, :, None]
    found = family.expected_statistics(params, x, weights)
    np.testing.assert_allclose(found.counts, shares.sum(axis=0), rtol=1e-12)
    means = np.einsum("nk,nd->kd", shares.reshape(-1, S * M), x) / found.counts.reshape(-1, 1)
    np.testing.assert_allclose(found.components.means, means, atol=1e-12)


def product_chain(params: HMMParams[MixedParams]) -> HMMParams[Any]:
    """The HMM of S M states that a GMM-HMM is: state and component together."""
    weights = params.emissions.weights
    initial = (params.initial[:, None] * weights).ravel()
    transition = np.einsum("ij,jm->ijm", params.transition, weights).reshape(S, S * M)
    return HMMParams(initial, np.repeat(transition, M, axis=0), params.emissions.components)


def test_a_chain_of_mixtures_is_a_chain_of_states_with_their_components() -> None:
    rng = np.random.default_rng(1)
    family, emissions = gaussians(rng)
    params = HMMParams(rng.dirichlet(np.ones(S)), rng.dirichlet(np.ones(S), S), emissions)
    x = 2 * rng.normal(size=(60, 2))
    x[5] = x[6, 0] = np.nan
    data = Sequences(x, np.array([0, 1, 25, 60]), np.array([2.0, 1.0, 0.5]))
    stats_, log_likelihood = HMM(family).expected_statistics(params, data)
    large, expected = HMM(Gaussian("diag")).expected_statistics(product_chain(params), data)
    assert log_likelihood == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(stats_.emissions.counts.ravel(), large.counts, rtol=1e-11)
    np.testing.assert_allclose(stats_.counts, large.counts.reshape(S, M).sum(axis=1), rtol=1e-11)
    pairs = large.transitions.reshape(S, M, S, M).sum(axis=(1, 3))
    np.testing.assert_allclose(stats_.transitions, pairs, rtol=1e-11)
    for name in ("means", "scatters"):
        here, there = (getattr(s, name) for s in (stats_.emissions.components, large.emissions))
        np.testing.assert_allclose(here, there, rtol=1e-9)


def test_a_mixture_of_mixtures_is_the_flat_mixture() -> None:
    rng = np.random.default_rng(2)
    family, components = gaussians(rng)
    weights = np.array([0.2, 0.5, 0.3])
    rows = Rows(2 * rng.normal(size=(200, 2)))
    flat = MixtureParams((weights[:, None] * WEIGHTS).ravel(), components.components)
    nested = MixtureParams(weights, components)
    for _ in range(3):
        flat_stats, flat_objective = Mixture(Gaussian("diag")).expected_statistics(flat, rows)
        stats_, objective = Mixture(family).expected_statistics(nested, rows)
        assert objective == pytest.approx(flat_objective, rel=1e-12)
        flat = Mixture(Gaussian("diag")).maximize(flat_stats, flat)
        nested = Mixture(family).maximize(stats_, nested)
        of_all = nested.weights[:, None] * nested.components.weights
        np.testing.assert_allclose(of_all.ravel(), flat.weights, rtol=1e-9)
    deeper = MixtureFamily(family, S)
    outer = MixedParams(weights[None], components)
    expected = Mixture(family).log_density(MixtureParams(weights, components), rows.x)
    np.testing.assert_allclose(deeper.log_likelihood(outer, rows.x)[:, 0], expected, rtol=1e-12)


def test_impossible_rows_are_shared_by_weight_or_left_out() -> None:
    """A Poisson of rate 0 forbids counts; a row that no component explains adds nothing at weight 0."""
    family = MixtureFamily(Poisson(), 2)
    params = MixedParams(
        np.array([[0.25, 0.75], [0.5, 0.5]]), PoissonParams(np.array([[0.0], [0.0], [1.0], [2.0]]))
    )
    x, weights = np.array([[3.0], [0.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    assert np.isneginf(family.log_likelihood(params, x)[0, 0])
    found = family.expected_statistics(params, x, weights)
    assert np.isfinite(found.components.sums).all()
    np.testing.assert_allclose(found.counts.sum(axis=1), [1, 1])
    np.testing.assert_allclose(found.counts[0], [0.25, 0.75])
    forced = family.expected_statistics(params, x[:1], np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(forced.counts, [[0.25, 0.75], [0.0, 0.0]])


def three_pairs(rng: np.random.Generator, n: int = 400) -> tuple[Array, npt.NDArray[np.intp]]:
    """Rows of three far places, each of which has two clusters."""
    places = 100.0 * np.arange(3)[:, None] + np.array([0.0, 8.0])
    which = rng.integers(6, size=n)
    return places.ravel()[which][:, None] + rng.normal(size=(n, 1)), which


@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random_from_data"])
def test_components_of_a_state_begin_at_the_clusters_of_its_rows(method: InitMethod) -> None:
    rng = np.random.default_rng(3)
    x, which = three_pairs(rng)
    family = MixtureFamily(Gaussian("full", 1e-6), 2)
    model = Mixture(family)
    found = initial_statistics(family, Rows(x), 3, method, np.random.RandomState(0))
    params, before = model.maximize(found), -np.inf
    for _ in range(20):
        state, info = EM(model).step(
            EM(model).init(params), lambda p: model.expected_statistics(p, Rows(x))
        )
        assert info.objective >= before - 1e-9 * abs(before)
        params, before = state.params, info.objective
    truth = [[x[which == 2 * s + m].mean() for m in range(2)] for s in range(3)]
    means = np.sort(np.sort(params.components.components.means.reshape(3, 2), axis=1), axis=0)
    np.testing.assert_allclose(means, truth, atol=0.05)


@pytest.mark.parametrize("labelled", ["none", "some", "all"])
@pytest.mark.parametrize("method", ["kmeans", "random"])
def test_components_of_a_state_never_begin_alike(method: InitMethod, labelled: str) -> None:
    rng = np.random.default_rng(4)
    x, which = three_pairs(rng)
    labels = (which // 2).astype(np.int32)
    labels[rng.uniform(size=len(x)) < {"none": 2, "some": 0.5, "all": 0}[labelled]] = -1
    columns = IndependentColumns(
        [
            (MixtureFamily(Gaussian("full"), 2), [0]),
            (MixtureFamily(MixtureFamily(Poisson(), 2), 2), [1]),
        ]
    )
    both = np.hstack([x, rng.poisson(4 + 8 * (which[:, None] % 2))])
    data = Rows(both, rng.uniform(0, 2, len(x)), labels=labels)
    found = initial_statistics(columns, data, 3, method, np.random.RandomState(0))
    normal, poisson = Mixture(columns).maximize(found).components.parts
    assert found.counts.sum() == pytest.approx(data.total_weight())
    assert normal.components.means.shape == (6, 1)
    assert len(np.unique(normal.components.means.round(6))) == 6
    assert poisson.weights.shape == (3, 2)
    assert poisson.components.weights.shape == (6, 2)
    rates = poisson.components.components.rates
    assert (abs(rates[::2] - rates[1::2]) > 1e-3).all()


def test_statistics_without_parameters_are_refused_as_a_start() -> None:
    family = MixtureFamily(Poisson(), 2)
    pooled = family.expected_statistics(None, np.ones((3, 1)), np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"stats: expected counts of n_components = 2 .* got 1"):
        family.maximize(pooled)


def test_draws_of_a_state_are_independent_of_their_order() -> None:
    family, params = gaussians(np.random.default_rng(5))
    x = family.sample(params, 2, 4000, np.random.RandomState(1))
    means = WEIGHTS[2] @ params.components.means[4:]
    assert x.shape == (4000, 2)
    for half in (x[:2000], x[2000:]):
        np.testing.assert_allclose(half.mean(axis=0), means, atol=0.15)


def test_a_missing_entry_is_imputed_by_its_conditional_mean() -> None:
    rng = np.random.default_rng(6)
    family, params = gaussians(rng)
    x = np.array([[0.3, np.nan]])
    means, scales = params.components.means, np.sqrt(params.components.covariances)
    joint = np.log(WEIGHTS).ravel() + stats.norm.logpdf(0.3, means[:, 0], scales[:, 0])
    r = special.softmax(joint.reshape(S, M), axis=1) * np.array([[0.2], [0.5], [0.3]])
    filled = family.impute(params, x, np.array([[0.2, 0.5, 0.3]]))
    assert filled[0, 1] == pytest.approx(float(r.ravel() @ means[:, 1]), rel=1e-12)


def gamma_evidence(prior: GammaPrior, x: Array) -> float:
    a, b = prior.shape[0, 0], prior.rate[0, 0]
    after = special.gammaln(a + x.sum()) - (a + x.sum()) * np.log(b + len(x))
    return float(after - special.gammaln(a) + a * np.log(b) - special.gammaln(x + 1).sum())


def test_bound_of_one_state_is_that_of_a_mixture_and_below_the_evidence() -> None:
    """All 2^8 assignments of rows to components, weights and rates integrated out."""
    x = np.array([[0.0], [1], [0], [9], [11], [1], [10], [2]])
    alpha, rates = np.array([0.7, 1.4]), GammaPrior(2.0, 0.5)
    joints = []
    for z in itertools.product(range(2), repeat=len(x)):
        own = [x[np.array(z) == m, 0] for m in range(2)]
        counts = np.array([len(part) for part in own])
        of_weights = special.gammaln(alpha + counts).sum() - special.gammaln(alpha.sum() + len(x))
        of_weights += special.gammaln(alpha.sum()) - special.gammaln(alpha).sum()
        joints.append(of_weights + sum(gamma_evidence(rates, part) for part in own))
    family = MixtureFamily(Poisson(), 2)
    prior = MixturePrior(np.ones(1), MixedPrior(DirichletPrior(alpha), rates))
    model = Mixture(family)
    begin = MixedParams(np.array([[0.6, 0.4]]), PoissonParams(np.array([[3.0], [5.0]])))
    start = model.update(
        prior, model.expected_statistics(MixtureParams(np.ones(1), begin), Rows(x))[0]
    )
    rule = CAVI(model, prior)
    flat = Mixture(Poisson())
    flat_prior = MixturePrior(alpha, rates)
    flat_rule = CAVI(flat, flat_prior)
    flat_start = MixtureParams(begin.weights[0], begin.components)
    state, bounds = rule.init(start), []
    flat_state = flat_rule.init(
        flat.update(flat_prior, flat.expected_statistics(flat_start, Rows(x))[0])
    )
    for _ in range(30):
        state, info = rule.step(state, lambda p: model.expected_statistics(p, Rows(x)))
        flat_state, flat_info = flat_rule.step(
            flat_state, lambda p: flat.expected_statistics(p, Rows(x))
        )
        assert info.objective == pytest.approx(flat_info.objective, rel=1e-12)
        bounds.append(info.objective)
    assert np.diff(bounds).min() > -1e-11
    assert bounds[-1] > bounds[0]
    assert bounds[-1] < np.logaddexp.reduce(joints)
    density = family.predictive_log_density(state.params.components, x)
    plain: Any = flat.family
    both = plain.predictive_log_density(flat_state.params.components, x)
    weights = flat_state.params.weights / flat_state.params.weights.sum()
    np.testing.assert_allclose(
        density[:, 0], special.logsumexp(both + np.log(weights), axis=1), rtol=1e-12
    )


def test_a_weak_prior_is_the_components_own_for_as_many() -> None:
    x = np.random.default_rng(7).normal(size=(50, 2))
    ones = np.ones((50, 1))
    family, inner = MixtureFamily(Gaussian("full"), 2), Gaussian("full")
    prior = family.weak_prior(family.expected_statistics(None, x, ones), 3)
    expected = inner.weak_prior(inner.expected_statistics(None, x, ones), 6)
    np.testing.assert_array_equal(prior.components.scale, expected.scale)
    np.testing.assert_array_equal(prior.weights.concentration, [[1.5, 1.5]])
    family.check_prior(prior, 3, 2)
    with pytest.raises(
        ValueError, match=r"expected weights of shape \(3, 2\) or \(1, 2\), got \(1, 4\)"
    ):
        family.check_prior(MixedPrior(DirichletPrior(np.ones(4)), expected), 3, 2)


def test_estimators_reorder_save_and_describe_mixtures_of_mixtures(tmp_path: Path) -> None:
    x, _ = three_pairs(np.random.default_rng(9))
    family = MixtureFamily(Gaussian("full", 1e-6), 2)
    model = latentcore.Mixture(family, 3, random_state=0).fit(x)
    before = model.predict(x)
    order = [2, 0, 1]
    score, table = model.score(x), model.summary()
    model.relabel(order)
    assert model.score(x) == pytest.approx(score, rel=1e-13)
    np.testing.assert_array_equal(np.array(order)[model.predict(x)], before)
    model.save(tmp_path / "model.npz")
    assert latentcore.load(tmp_path / "model.npz").score(x) == model.score(x)
    assert table.count("0: mean") == table.count("1: mean") == 3


def test_a_bayesian_mixture_of_mixtures_leaves_out_states() -> None:
    x = np.random.default_rng(10).normal(size=(200, 2))
    family = MixtureFamily(Gaussian("full"), 2)
    model = latentcore.BayesianMixture(family, 3, random_state=0, max_iter=500).fit(x)
    bounds = np.array(model.lower_bounds_)
    assert np.diff(bounds).min() > -1e-9 * abs(bounds[-1])
    bound = model.lower_bound_
    model.prune(x)
    assert len(model.components_.weights) < 3
    assert len(model.components_.components.means) == 2 * len(model.components_.weights)
    assert model.lower_bound_ >= bound - model.tol


def test_capabilities_of_the_components_are_asked_for_by_name() -> None:
    with pytest.raises(ValueError, match="n_components: expected at least 1, got 0"):
        MixtureFamily(Poisson(), 0)
    with pytest.raises(ValueError, match="row 1, column 0"):
        MixtureFamily(Poisson(), 2).check(np.array([[1.0], [-1.0]]))
    with pytest.raises(TypeError, match="expected a family that has mode"):
        MixtureFamily(object(), 2).mode(MixedPrior(DirichletPrior(1.0), None))
    family, params = gaussians(np.random.default_rng(8))
    assert family.n_parameters(params) == S * (M - 1) + 2 * S * M * 2
    assert family.degenerate(params) == []
    assert isinstance(
        family.inner_start(np.zeros((2, 2)), None, 1, lambda p, m: np.zeros((m, 2))), Spread
    )
