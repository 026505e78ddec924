"""Posteriors of the linear families, with components that differ: SciPy, quadrature, sparse rows."""

from __future__ import annotations

import functools
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

from families.tools import csr
from latentcore.arrays import Rows
from latentcore.families.bernoulli import Bernoulli, BetaPrior
from latentcore.families.categorical import Categorical
from latentcore.families.columns import ColumnsPrior, IndependentColumns
from latentcore.families.exponential import Exponential
from latentcore.families.linear import LinearForm
from latentcore.families.multinomial import Multinomial, MultinomialPrior
from latentcore.families.poisson import Poisson
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.families.support import log_rising
from latentcore.structures.mixture import ExpectedMixture, Mixture

A = np.array([[0.3, 2.0, 7.5], [40.0, 1.0, 0.01]])
B = np.array([[1.2, 0.4, 3.0], [11.0, 5.0, 0.2]])
COUNTS = np.array([[0.0, 3.0, 12.0], [5.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1e3, 2.0]])
NAN = np.nan


def columns(densities: Any) -> Any:
    """(N, K) of (N, K, D)."""
    return np.asarray(densities).sum(axis=2)


def test_predictive_counts_are_negative_binomial() -> None:
    got = Poisson().predictive_log_density(GammaPrior(A, B), COUNTS)
    expected = columns(stats.nbinom.logpmf(COUNTS[:, None], A, B / (B + 1)))
    np.testing.assert_allclose(got, expected, rtol=1e-11)


def test_predictive_durations_are_lomax() -> None:
    got = Exponential().predictive_log_density(GammaPrior(A, B), COUNTS)
    expected = columns(stats.lomax.logpdf(COUNTS[:, None], A, scale=B))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_predictive_bits_are_beta_binomials_of_one_trial() -> None:
    bits = np.minimum(COUNTS, 1.0)
    got = Bernoulli().predictive_log_density(BetaPrior(A, B), bits)
    expected = columns(stats.betabinom.logpmf(bits[:, None], 1, A, B))
    np.testing.assert_allclose(got, expected, rtol=1e-11)


def test_predictive_rows_of_counts_are_dirichlet_multinomial() -> None:
    got = Multinomial().predictive_log_density(MultinomialPrior(A), COUNTS)
    rows = [
        [stats.dirichlet_multinomial.logpmf(x, a, int(x.sum())) for a in A]
        for x in COUNTS.astype(int)
    ]
    np.testing.assert_allclose(got, rows, rtol=1e-10, atol=1e-12)
    assert got[2].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("family", "posterior"),
    [
        (Poisson(), GammaPrior(A, B)),
        (Multinomial(), MultinomialPrior(A)),
        (Bernoulli(), BetaPrior(A, B)),
    ],
    ids=["poisson", "multinomial", "bernoulli"],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_rows_are_as_dense_ones(family: Any, posterior: Any, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    p = rng.integers(0, 2, (50_000, 3))  # more than one block
    x = (p if isinstance(family, Bernoulli) else p * rng.poisson(3, p.shape)).astype(dtype)
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    expected = family.predictive_log_density(posterior, x)
    got = family.predictive_log_density(posterior, csr(x))
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    params = ExpectedMixture(np.log([0.4, 0.6]), family.expected(posterior, 2))
    (stats_, bound), (expected_stats, expected_bound) = (
        Mixture(family).expected_statistics(params, Rows(rows)) for rows in (csr(x), x)
    )
    assert bound == pytest.approx(expected_bound, rel=10 * tolerance)
    np.testing.assert_allclose(
        stats_.components.sums, expected_stats.components.sums, rtol=100 * tolerance
    )


@pytest.mark.parametrize(
    ("family", "posterior", "x"),
    [
        (Poisson(), GammaPrior(A, B), [3.0, 4.0, 0.0]),
        (Exponential(), GammaPrior(A, B), [3.0, 4.0, 0.0]),
        (Bernoulli(), BetaPrior(A, B), [1.0, 0.0, 1.0]),
        (Categorical((1, 2)), DirichletPrior(A), [0.0, 1.0]),
    ],
    ids=["poisson", "exponential", "bernoulli", "categorical"],
)
def test_missing_entries_are_left_out(family: Any, posterior: Any, x: list[float]) -> None:
    """Densities of columns alone add up; a row of which nothing is known has density 1."""
    n = len(x)
    alone = np.where(np.eye(n, dtype=bool), x, NAN)
    params = family.expected(posterior, 2)
    for log_density in (
        functools.partial(family.predictive_log_density, posterior),
        functools.partial(family.log_likelihood, params),
    ):
        [whole] = log_density(np.array([x]))
        np.testing.assert_allclose(log_density(alone).sum(axis=0), whole, rtol=1e-12)
        np.testing.assert_array_equal(log_density(np.full((1, n), NAN)), [[0.0, 0.0]])


def kl(q: Any, p: Any) -> float:
    """By quadrature over quantiles."""
    value, error = integrate.quad(
        lambda u: q.logpdf(q.ppf(u)) - p.logpdf(q.ppf(u)), 0, 1, epsabs=1e-10, limit=500
    )
    assert error < 1e-6
    return float(value)


A0 = np.array([[1.5, 2.5, 4.0]])
B0 = np.array([[2.0, 0.5, 1.0]])


def test_divergences_are_those_of_quadrature() -> None:
    a, b = np.maximum(A, 0.3), np.maximum(B, 0.8)
    posterior, prior = np.stack([a, b], axis=2), np.stack([A0, B0], axis=2)

    def summed(of: Any) -> list[float]:
        """Over columns, of each component."""
        return [
            sum(kl(of(*q), of(*p)) for q, p in zip(columns, prior[0], strict=True))
            for columns in posterior
        ]

    gammas = summed(lambda shape, rate: stats.gamma(shape, scale=1 / rate))
    for family in (Poisson(), Exponential()):
        got = family.divergence(GammaPrior(a, b), GammaPrior(A0, B0))
        np.testing.assert_allclose(got, gammas, rtol=1e-6)
    betas = summed(stats.beta)
    got = Bernoulli().divergence(BetaPrior(a, b), BetaPrior(A0, B0))
    np.testing.assert_allclose(got, betas, rtol=1e-6)
    # Dirichlets of two are betas
    pairs, pairs0 = posterior.reshape(2, 6), prior.reshape(1, 6)
    got = Categorical((2, 2, 2)).divergence(DirichletPrior(pairs), DirichletPrior(pairs0))
    np.testing.assert_allclose(got, betas, rtol=1e-6)
    words = [MultinomialPrior(values[:, :2]) for values in (pairs, pairs0)]
    first = [BetaPrior(x[:, :1], y[:, :1]) for x, y in ((a, b), (A0, B0))]
    np.testing.assert_allclose(
        Multinomial().divergence(*words), Bernoulli().divergence(*first), rtol=1e-12
    )


def test_means_are_those_of_scipy() -> None:
    np.testing.assert_allclose(
        Poisson().mean(GammaPrior(A, B)).rates, stats.gamma(A, 0, 1 / B).mean()
    )
    np.testing.assert_array_equal(Exponential().mean(GammaPrior(A, B)).rates, A / B)
    means = Bernoulli().mean(BetaPrior(A, B)).probabilities
    np.testing.assert_allclose(means, stats.beta(A, B).mean())
    expected = [stats.dirichlet.mean(a) for a in A]
    words = Multinomial().mean(MultinomialPrior(A, 4.0, 50.0))
    np.testing.assert_allclose(words.probabilities, expected)
    assert words.mean_total == 12.5
    assert Multinomial().mean(MultinomialPrior(A)).mean_total == 1.0
    np.testing.assert_allclose(Categorical((3,)).mean(DirichletPrior(A)).probabilities, expected)
    halves = Categorical((2, 4)).mean(DirichletPrior(3.0)).probabilities
    np.testing.assert_array_equal(halves, [[0.5] * 2 + [0.25] * 4])


def test_blend_takes_the_rows_of_a_multinomial_along() -> None:
    blend = Multinomial().blend(
        MultinomialPrior(A, 4.0, 50.0), MultinomialPrior(B, 8.0, 10.0), 0.25
    )
    np.testing.assert_allclose(blend.concentration, 0.75 * A + 0.25 * B)
    assert (blend.n_rows, blend.total) == (5.0, 40.0)


@pytest.mark.parametrize(
    ("family", "prior"),
    [
        (Poisson(), GammaPrior(A0, 2.0)),
        (Exponential(), GammaPrior(2.0, A0)),
        (Bernoulli(), BetaPrior(A0, 1.0)),
        (Multinomial(), MultinomialPrior(A0)),
        (Categorical((1, 2)), DirichletPrior(0.5)),
    ],
    ids=["poisson", "exponential", "bernoulli", "multinomial", "categorical"],
)
def test_prior_of_one_component_is_that_of_all(family: Any, prior: Any) -> None:
    form = family.expected(prior, 4)
    assert isinstance(form, LinearForm)
    for part in form:
        assert part.shape[0] == 4
        np.testing.assert_array_equal(part, part[[0] * 4])


def test_part_without_posteriors_is_named() -> None:
    class Plain:
        pass

    family = IndependentColumns([(Poisson(), [0]), (Plain(), [2, 1])])
    with pytest.raises(TypeError, match=r"parts: expected families that have expected, .*\[2, 1\]"):
        family.expected(ColumnsPrior((GammaPrior(1.0, 1.0), None)), 2)


def test_rising_factorials_are_those_of_many_digits() -> None:
    rng = np.random.default_rng(1)
    a = np.concatenate([10.0 ** rng.uniform(-12, 15, 300), [31.9, 32.0, 32.1]])
    n = np.concatenate([np.floor(10.0 ** rng.uniform(0, 9, 300)) - 1, [7.0, 7.0, 7.0]])
    with mpmath.workdps(60):
        expected = [
            float(mpmath.loggamma(mpmath.mpf(u) + mpmath.mpf(v)) - mpmath.loggamma(mpmath.mpf(u)))
            for u, v in zip(a, n, strict=True)
        ]
    np.testing.assert_allclose(log_rising(a, n), expected, rtol=5e-14, atol=1e-13)
