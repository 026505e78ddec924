"""Poisson and Bernoulli: boundaries, empty components, what they take. The laws test the rest."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from families.tools import csr
from latentcore.arrays import Rows
from latentcore.errors import ImpossibleRowError
from latentcore.families.bernoulli import Bernoulli, BernoulliParams, BetaPrior
from latentcore.families.linear import LinearStatistics
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import GammaPrior
from latentcore.structures.mixture import Mixture, MixtureParams

NAN = np.nan


def test_log_densities_on_the_boundary_are_those_of_scipy() -> None:
    x = np.array([[0.0, 3.0], [0.0, 0.0], [2.0, 1.0], [NAN, 1.0]])
    rates = np.array([[0.0, 2.0], [1e-300, 5.0]])
    expected = stats.poisson.logpmf(np.nan_to_num(x)[:, None, :], rates)
    expected[3, :, 0] = 0
    got = Poisson().log_likelihood(PoissonParams(rates), x)
    np.testing.assert_allclose(got, expected.sum(axis=2), rtol=1e-13, atol=1e-15)
    assert got[2, 0] == -np.inf

    x = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [NAN, 1.0]])
    p = np.array([[0.0, 1.0], [1e-300, 1 - 2**-53], [0.25, 0.5]])
    expected = stats.bernoulli.logpmf(np.nan_to_num(x)[:, None, :], p)
    expected[4, :, 0] = 0
    got = Bernoulli().log_likelihood(BernoulliParams(p), x)
    np.testing.assert_allclose(got, expected.sum(axis=2), rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(got[:, 0], [0, -np.inf, -np.inf, -np.inf, 0])


def test_impossible_binary_row_is_named() -> None:
    params = MixtureParams(
        np.array([0.5, 0.5]), BernoulliParams(np.array([[0.0, 1.0], [0.5, 1.0]]))
    )
    with pytest.raises(ImpossibleRowError, match="row 2: "):
        Mixture(Bernoulli()).expected_statistics(
            params, Rows(np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]))
        )


def test_component_without_weight_keeps_its_parameters_or_takes_those_of_all() -> None:
    seen = LinearStatistics(np.array([[4.0, 0.0], [0.0, 0.0]]), np.array([[3.0, 0.0], [0.0, 0.0]]))
    before = np.array([[0.1, 0.2], [0.3, 0.4]])
    kept, taken = [[0.75, 0.2], [0.3, 0.4]], [[0.75, 1.0], [0.75, 1.0]]
    poisson = Poisson().maximize(seen, PoissonParams(before)).rates
    np.testing.assert_array_equal(poisson, kept)
    np.testing.assert_array_equal(Poisson().maximize(seen).rates, taken)
    bernoulli = Bernoulli().maximize(seen, BernoulliParams(before)).probabilities
    np.testing.assert_array_equal(bernoulli, kept)
    np.testing.assert_array_equal(
        Bernoulli().maximize(seen).probabilities, [[0.75, 0.5], [0.75, 0.5]]
    )
    np.testing.assert_array_equal(before, [[0.1, 0.2], [0.3, 0.4]])


def test_mode_of_a_density_without_largest_value_is_on_the_boundary() -> None:
    assert Poisson().mode(GammaPrior(0.5, 1.0)).rates == 0
    assert Bernoulli().mode(BetaPrior(0.5, 2.0)).probabilities == 0
    assert Bernoulli().mode(BetaPrior(2.0, 0.5)).probabilities == 1
    assert Bernoulli().mode(BetaPrior(1.0, 1.0)).probabilities == 0.5
    previous = BernoulliParams(np.array([[0.2]]))
    assert Bernoulli().mode(BetaPrior(1.0, 1.0), previous).probabilities == 0.2


@pytest.mark.parametrize("prior", [lambda v: GammaPrior(v, 1.0), lambda v: BetaPrior(v, 1.0)])
@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, NAN, [[1.0, 0.0]]])
def test_hyperparameters_have_to_be_positive(prior: object, value: object) -> None:
    with pytest.raises(ValueError, match=r"(shape|a): expected finite numbers > 0, got"):
        prior(value)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("family", "bad", "expected"),
    [
        (Poisson(), -1.0, "counts, whole numbers >= 0, got -1.0"),
        (Poisson(), 2.5, "counts, whole numbers >= 0, got 2.5"),
        (Poisson(), np.inf, "counts, whole numbers >= 0, got inf"),
        (Bernoulli(), 2.0, "0 or 1, got 2.0"),
        (Bernoulli(), 0.5, "0 or 1, got 0.5"),
    ],
)
@pytest.mark.parametrize("row", [0, 70_003])
def test_entry_outside_the_support_is_named(
    family: Poisson | Bernoulli, bad: float, expected: str, row: int
) -> None:
    x = np.random.default_rng(0).integers(0, 2, (70_005, 3)).astype(np.float32)
    family.check(x)
    family.check(csr(x))
    x[row, 1] = bad
    x[row + 1, 0] = -7
    for data in (x, csr(x)):
        with pytest.raises(ValueError, match=f"X: expected {expected} in row {row}, column 1$"):
            family.check(data)
        with pytest.raises(ValueError, match=f"in row {row}, column 'b'$"):
            family.check(data, ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"in row 0, column 0$"):
        family.check(csr(x)[row + 1 :])


def test_missing_entries_are_within_the_support() -> None:
    for family in (Poisson(), Bernoulli()):
        family.check(np.array([[NAN, 1.0], [NAN, NAN]]))


def test_sparse_rows_have_the_base_and_the_embedding_of_dense_ones() -> None:
    x = np.random.default_rng(1).poisson(0.7, (40_000, 4)).astype(np.float32)
    x[7] = 0
    sparse = csr(x)
    expected = -gammaln(x.astype(float) + 1).sum(axis=1)  # of several blocks
    for rows in (slice(None), slice(20, 30), slice(39_990, None), slice(5, 5)):
        for data in (x, sparse):
            base = Poisson().log_base(data[rows])
            np.testing.assert_allclose(base, expected[rows], rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(Poisson().embedding(sparse), np.sqrt(x.astype(float)))
    np.testing.assert_array_equal(Bernoulli().embedding(sparse), x)


def test_base_of_large_counts_is_that_of_scipy() -> None:
    x = np.array([[0.0], [1.0], [254.0], [255.0], [256.0], [1e6], [1e15], [np.inf], [2.5], [-1.0]])
    with np.errstate(invalid="ignore"):
        expected = -gammaln(x[:, 0] + 1)
    np.testing.assert_allclose(Poisson().log_base(x), expected, rtol=1e-14)


@pytest.mark.parametrize("family", [Poisson(), Bernoulli()])
def test_embedding_puts_missing_entries_at_the_mean_of_their_column(
    family: Poisson | Bernoulli,
) -> None:
    x = np.array([[1.0, NAN, NAN], [0.0, 1.0, NAN], [NAN, 1.0, NAN]], np.float32)
    expected = [[1, 1, 0], [0, 1, 0], [0.5, 1, 0]]
    np.testing.assert_array_equal(family.embedding(x), expected)


def test_weak_prior_is_one_more_row_near_the_mean() -> None:
    pooled = LinearStatistics(np.array([[9.0, 9.0]]), np.array([[0.0, 9.0]]))
    nothing = LinearStatistics(np.zeros((2, 2)), np.zeros((2, 2)))
    mean = [[0.05, 0.95]] * 2
    poisson, bernoulli = Poisson(), Bernoulli()
    gamma, beta = poisson.weak_prior(pooled, 2), bernoulli.weak_prior(pooled, 2)
    np.testing.assert_allclose(poisson.mode(poisson.update(gamma, nothing)).rates, mean)
    np.testing.assert_allclose(bernoulli.mode(bernoulli.update(beta, nothing)).probabilities, mean)
    np.testing.assert_array_equal(gamma.rate, 1)
    np.testing.assert_allclose(beta.a + beta.b, 3)
