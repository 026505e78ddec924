"""Gaussians of known variance: the textbook's updates and bound, written out (Blei, Kucukelbir & McAuliffe 2017)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import logsumexp

from latentcore.arrays import Rows
from latentcore.families.gaussian_means import GaussianMeans, NormalPrior
from latentcore.rules.cavi import CAVI
from latentcore.structures.mixture import Mixture, MixturePrior
from latentcore.structures.weights import FixedWeights

Array = npt.NDArray[np.float64]

K, N = 3, 90


def setting(n_features: int, variance: float) -> tuple[Any, Any, Array, Any]:
    """Model, prior, rows, and a posterior to begin with."""
    rng = np.random.default_rng(6)
    centers = 4 * rng.normal(size=(K, n_features))
    x = centers[rng.integers(K, size=N)] + np.sqrt(variance) * rng.normal(size=(N, n_features))
    model: Any = Mixture(GaussianMeans(variance))
    weights = FixedWeights(np.full(K, 1 / K))
    prior = MixturePrior(weights, NormalPrior(np.full((1, n_features), 0.3), np.array([5.0])))
    start = MixturePrior(weights, NormalPrior(x[:K], np.array([0.5, 1.0, 2.0])))
    return model, prior, x, start


@pytest.mark.parametrize("n_features", [1, 3])
@pytest.mark.parametrize("variance", [1.0, 0.4])
def test_steps_and_bounds_are_those_of_the_textbook(n_features: int, variance: float) -> None:
    model, prior, x, posterior = setting(n_features, variance)
    m0, v0 = prior.components.means[0], prior.components.variances[0]
    m, v = posterior.components.means, posterior.components.variances
    rule: Any = CAVI(model, prior)
    state = rule.init(posterior)
    for _ in range(5):
        state, info = rule.step(state, lambda p: model.expected_statistics(p, Rows(x)))

        log_phi = (x @ m.T - 0.5 * (n_features * v + (m**2).sum(axis=1))) / variance
        phi = np.exp(log_phi - logsumexp(log_phi, axis=1, keepdims=True))
        distances = ((x[:, None] - m) ** 2).sum(axis=2)
        log_2pi = np.log(2 * np.pi)
        of_means = -0.5 * n_features * np.log(2 * np.pi * v0) - (
            n_features * v + ((m - m0) ** 2).sum(axis=1)
        ) / (2 * v0)
        of_rows = -0.5 * n_features * (log_2pi + np.log(variance)) - (
            distances + n_features * v
        ) / (2 * variance)
        entropies = -(phi * np.log(phi)).sum() + (n_features / 2 * (log_2pi + 1 + np.log(v))).sum()
        bound = of_means.sum() - N * np.log(K) + (phi * of_rows).sum() + entropies
        assert info.objective == pytest.approx(bound, rel=1e-12)

        v = 1 / (1 / v0 + phi.sum(axis=0) / variance)
        m = v[:, None] * (m0 / v0 + phi.T @ x / variance)
        np.testing.assert_allclose(state.params.components.means, m, rtol=1e-11)
        np.testing.assert_allclose(state.params.components.variances, v, rtol=1e-12)


def test_maximum_likelihood_leaves_the_variance_alone() -> None:
    model, _, x, _ = setting(2, 0.4)
    family = model.family
    stats = family.expected_statistics(None, x, np.eye(K)[np.arange(N) % 2])
    previous = family.params(x[:K])
    params = family.maximize(stats, previous)
    np.testing.assert_allclose(params.means[:2], [x[::2].mean(axis=0), x[1::2].mean(axis=0)])
    np.testing.assert_array_equal(params.means[2], previous.means[2])
    np.testing.assert_array_equal(params.covariances, np.full(K, 0.4))
    assert family.n_parameters(params) == 2 * K
    draws = family.sample(params, 1, 4000, np.random.default_rng(0))
    np.testing.assert_allclose(draws.mean(axis=0), params.means[1], atol=0.05)
    np.testing.assert_allclose(draws.var(axis=0), 0.4, rtol=0.1)


def test_blend_is_linear_in_precisions() -> None:
    a, b = NormalPrior([[1.0], [4.0]], [0.5, 2.0]), NormalPrior([[-1.0], [3.0]], [0.1, 8.0])
    blended = GaussianMeans().blend(a, b, 0.3)
    precisions = 0.7 / a.variances + 0.3 / b.variances
    np.testing.assert_allclose(1 / blended.variances, precisions, rtol=1e-15)
    expected = 0.7 * a.means[:, 0] / a.variances + 0.3 * b.means[:, 0] / b.variances
    np.testing.assert_allclose(blended.means[:, 0] * precisions, expected, rtol=1e-15)


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(
        ValueError, match=re.escape("variance: expected a finite number > 0, got 0.0")
    ):
        GaussianMeans(0.0)
    with pytest.raises(
        ValueError, match=re.escape("variances: expected finite numbers > 0, got -1.0")
    ):
        NormalPrior([[0.0]], [-1.0])
    with pytest.raises(ValueError, match=re.escape("means: expected finite numbers, got [[nan]]")):
        NormalPrior([[np.nan]], [1.0])
    prior = NormalPrior(np.zeros((2, 3)), 1.0)
    with pytest.raises(ValueError, match=re.escape("means of shape (4, 3) or (1, 3), got (2, 3)")):
        GaussianMeans().check_prior(prior, 4, 3)
    GaussianMeans().check_prior(prior, 2, 3)
