"""Exponential, categorical, multinomial, product: boundaries, empty components, what they take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from families.tools import csr
from latentcore.arrays import Rows
from latentcore.errors import ImpossibleRowError
from latentcore.families.bernoulli import Bernoulli
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.columns import ColumnsParams, ColumnsStatistics, IndependentColumns
from latentcore.families.exponential import Exponential, ExponentialParams
from latentcore.families.gaussian import Gaussian
from latentcore.families.linear import LinearStatistics
from latentcore.families.multinomial import Multinomial, MultinomialParams, MultinomialPrior
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.structures.mixture import Mixture, MixtureParams

NAN = np.nan


def of_columns(counts: Any, sums: Any) -> LinearStatistics:
    return LinearStatistics(np.array(counts, float), np.array(sums, float))


# -- exponential


def test_rate_of_rows_that_are_all_zero_is_capped_and_reported() -> None:
    seen = of_columns([[5, 5], [5, 5], [5, 5]], [[0, 1], [2, 1], [5e-40, 1]])
    params = Exponential().maximize(seen)
    np.testing.assert_allclose(params.rates, [[1e30, 5], [2.5, 5], [1e30, 5]], rtol=1e-15)
    assert Exponential().degenerate(params) == [0, 2]
    x = np.array([[0.0, 1.0], [1.0, 1.0]])
    log_density = Exponential().log_likelihood(params, x)
    assert np.isfinite(log_density).all()
    mixture = MixtureParams(np.full(3, 1 / 3), params)
    for dtype in (np.float64, np.float32):
        _, log_likelihood = Mixture(Exponential()).expected_statistics(
            mixture, Rows(x.astype(dtype))
        )
        assert np.isfinite(log_likelihood)


def test_exponential_without_weight_keeps_its_rate_or_takes_that_of_all() -> None:
    seen = of_columns([[4, 0, 0], [0, 0, 3]], [[2, 0, 0], [0, 0, 0]])
    before = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    kept = Exponential().maximize(seen, ExponentialParams(before)).rates
    np.testing.assert_array_equal(kept, [[2, 0.2, 0.3], [0.4, 0.5, 1e30]])
    np.testing.assert_array_equal(Exponential().maximize(seen).rates, [[2, 1, 1e30], [2, 1, 1e30]])


def test_exponential_mode_without_data_is_a_distribution() -> None:
    flat = Exponential().mode(GammaPrior(1.0, 2.0))
    assert flat.rates == 1e-30
    assert Exponential().degenerate(flat) == [0]
    zeros = Exponential().weak_prior(of_columns([[4.0, 0.0]], [[0.0, 0.0]]), 2)
    np.testing.assert_array_equal(Exponential().mode(zeros).rates, [[1.0, 1.0]])


# -- categorical


def test_codes_of_probability_zero_are_impossible_and_missing_ones_are_not() -> None:
    family = Categorical((2, 3))
    params = CategoricalParams(np.array([[0.0, 1.0, 0.5, 0.0, 0.5], [0.5, 0.5, 0.0, 1.0, 0.0]]))
    x = np.array([[1.0, 2.0], [0.0, 1.0], [NAN, 0.0], [NAN, NAN]])
    with np.errstate(divide="ignore"):
        expected = np.log([[0.5, 0.0], [0.0, 0.5], [0.5, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(family.log_likelihood(params, x), expected, rtol=1e-15)
    mixture = MixtureParams(np.array([0.5, 0.5]), params)
    with pytest.raises(ImpossibleRowError, match="row 1: "):
        Mixture(family).expected_statistics(mixture, Rows(np.array([[1.0, 2.0], [0.0, 0.0]])))


def test_category_without_weight_keeps_its_probabilities_or_takes_those_of_all() -> None:
    family = Categorical((2, 3))
    seen = of_columns([[4, 0], [0, 0]], [[3, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    before = np.array([[0.1, 0.9, 0.2, 0.3, 0.5], [0.6, 0.4, 0.5, 0.5, 0.0]])
    kept = family.maximize(seen, CategoricalParams(before)).probabilities
    np.testing.assert_array_equal(kept, [[0.75, 0.25, 0.2, 0.3, 0.5], before[1]])
    taken = family.maximize(seen).probabilities
    np.testing.assert_allclose(taken, [[0.75, 0.25, 1 / 3, 1 / 3, 1 / 3]] * 2)


def test_mode_with_small_concentrations_is_on_the_boundary() -> None:
    family = Categorical((2, 3))
    posterior = DirichletPrior([[0.5, 3.0, 0.5, 0.9, 1.0]])
    mode = family.mode(posterior).probabilities
    np.testing.assert_allclose(mode, [[0, 1, 1 / 3, 1 / 3, 1 / 3]])
    assert Multinomial().mode(MultinomialPrior([[0.5, 3.0, 2.0]])).probabilities == pytest.approx(
        np.array([[0, 2 / 3, 1 / 3]])
    )


def test_probabilities_split_by_column() -> None:
    p = np.arange(12.0).reshape(2, 6)
    parts = Categorical((2, 3, 1)).split(p)
    assert [part.shape for part in parts] == [(2, 2), (2, 3), (2, 1)]
    np.testing.assert_array_equal(np.hstack(parts), p)


def test_levels_are_found_in_rows() -> None:
    x = np.array([[0.0, 2.0], [NAN, 1.0], [0.0, NAN]])
    assert Categorical.of_rows(x) == Categorical((1, 3))
    with pytest.raises(
        ValueError, match=r"codes, whole numbers >= 0, got -1\.0 in row 1, column 0"
    ):
        Categorical.of_rows(np.array([[0.0], [-1.0]]))
    with pytest.raises(ValueError, match="a code in at least one row of column 'b', got none"):
        Categorical.of_rows(np.array([[0.0, NAN]]), ["a", "b"])


@pytest.mark.parametrize("levels", [(), (2, 0), (-1,)])
def test_levels_have_to_be_positive(levels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="levels: expected a number of codes >= 1"):
        Categorical(levels)


# -- multinomial


def test_multinomial_with_any_totals_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    p = np.array([[0.2, 0.5, 0.3], [0.7, 0.3, 0.0]])
    x = np.stack([rng.multinomial(n, p[0]) for n in (0, 1, 2, 30, 1000)]).astype(float)
    expected = np.stack([stats.multinomial.logpmf(x, x.sum(1), q) for q in p], axis=1)
    for data in (x, csr(x)):
        got = Multinomial().log_likelihood(MultinomialParams(p), data)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    assert got[0].tolist() == [0, 0]
    assert np.isneginf(got[3:, 1]).all()


def test_statistics_of_sparse_rows_are_those_of_dense_ones() -> None:
    rng = np.random.default_rng(1)
    x = rng.poisson(0.8, (200, 6)).astype(float)
    x[3] = 0
    params = MixtureParams(np.array([0.3, 0.7]), MultinomialParams(rng.dirichlet(np.ones(6), 2)))
    model = Mixture(Multinomial())
    got, got_log_likelihood = model.expected_statistics(params, Rows(csr(x)))
    expected, log_likelihood = model.expected_statistics(params, Rows(x))
    np.testing.assert_allclose(got.components.sums, expected.components.sums, rtol=1e-12)
    np.testing.assert_allclose(got.components.counts, expected.components.counts, rtol=1e-12)
    assert got_log_likelihood == pytest.approx(log_likelihood, rel=1e-12)
    np.testing.assert_array_equal(Multinomial().embedding(csr(x)), Multinomial().embedding(x))


def test_mean_total_is_learned_and_kept_without_rows() -> None:
    family, even = Multinomial(), MultinomialParams(np.array([[0.5, 0.5], [0.2, 0.8]]), 3.5)
    seen = of_columns([[2, 2], [0, 0]], [[4, 16], [0, 0]])
    params = family.maximize(seen, even)
    np.testing.assert_array_equal(params.probabilities, [[0.2, 0.8], [0.2, 0.8]])
    assert params.mean_total == 10
    nothing = of_columns(np.zeros((2, 2)), np.zeros((2, 2)))
    assert family.maximize(nothing, even).mean_total == 3.5
    assert family.maximize(nothing).mean_total == 1
    np.testing.assert_array_equal(family.maximize(nothing).probabilities, 0.5)
    prior = MultinomialPrior(2.0)
    assert family.mode(family.update(prior, seen)).mean_total == 10
    assert family.mode(family.update(prior, nothing), even).mean_total == 3.5


def test_embedding_of_counts_is_that_of_shares() -> None:
    x = np.array([[1.0, 3.0], [0.0, 0.0], [100.0, 300.0], [9.0, 0.0]])
    e = Multinomial().embedding(x)
    np.testing.assert_allclose(e[0], np.sqrt([0.25, 0.75]))
    np.testing.assert_array_equal(e[0], e[2])
    np.testing.assert_allclose(e[1], e[[0, 2, 3]].mean(axis=0))


def test_weak_priors_of_probabilities_are_one_more_row() -> None:
    family = Categorical((2, 3))
    pooled = of_columns([[9, 4]], [[0, 9, 4, 0, 0]])
    prior = family.weak_prior(pooled, 3)
    expected = [[0.05, 0.95, (4 + 1 / 3) / 5, 1 / 15, 1 / 15]]
    np.testing.assert_allclose(prior.concentration - 1, expected)
    words = Multinomial().weak_prior(of_columns([[4, 4]], [[0, 36]]), 3)
    np.testing.assert_allclose(words.concentration - 1, [[0.1, 7.3]])


# -- supports


@pytest.mark.parametrize(
    ("family", "bad", "message"),
    [
        (Exponential(), -0.5, "finite numbers >= 0, got -0.5"),
        (Exponential(), np.inf, "finite numbers >= 0, got inf"),
        (Categorical((2, 3)), 3.0, "whole codes from 0 to 2, got 3.0"),
        (Categorical((2, 3)), 0.5, "whole codes from 0 to 2, got 0.5"),
        (Categorical((2, 3)), -1.0, "whole codes from 0 to 2, got -1.0"),
        (Multinomial(), -1.0, "counts, whole numbers >= 0, none missing, got -1.0"),
        (Multinomial(), 0.25, "counts, whole numbers >= 0, none missing, got 0.25"),
        (Multinomial(), NAN, "counts, whole numbers >= 0, none missing, got nan"),
        (IndependentColumns([(Poisson(), [1]), (Bernoulli(), [0])]), -1.0, "counts, .*, got -1.0"),
    ],
)
def test_entry_outside_the_support_is_named(family: Any, bad: float, message: str) -> None:
    x = np.zeros((50_000, 2))
    family.check(x)
    x[40_001, 1] = bad
    with pytest.raises(ValueError, match=f"^X: expected {message} in row 40001, column 1$"):
        family.check(x)
    with pytest.raises(ValueError, match=r"in row 40001, column 'age'$"):
        family.check(x, ["size", "age"])


@pytest.mark.parametrize("family", [Categorical((2, 3)), IndependentColumns([(Poisson(), [0, 1])])])
def test_number_of_columns_is_checked(family: Any) -> None:
    with pytest.raises(ValueError, match=r"X: expected 2 columns.*, got 3"):
        family.check(np.zeros((4, 3)))


# -- products


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([[0, 1], [1]], "column 1 in 2 parts"),
        ([[0], [2]], "column 1 in 0 parts"),
        ([[1], [2]], "column 0 in 0 parts"),
        ([[0], [-1, 1]], "column -1 in 1 parts"),
        ([[0], []], "at least one column each"),
        ([], "at least one part"),
    ],
)
def test_every_column_is_in_one_part(columns: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=f"parts: expected .*{message}"):
        IndependentColumns((Poisson(), c) for c in columns)


def test_product_with_a_full_gaussian_is_the_product() -> None:
    rng = np.random.default_rng(4)
    gaussian = Gaussian("full")
    family = IndependentColumns([(gaussian, [3, 0]), (Categorical((3,)), [1]), (Poisson(), [2])])
    covariances = np.array([[[2.0, 0.5], [0.5, 1.0]], [[1.0, -0.3], [-0.3, 0.5]]])
    means, rates = rng.normal(size=(2, 2)), np.array([[2.0], [5.0]])
    p = np.array([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]])
    params = ColumnsParams(
        (gaussian.params(means, covariances), CategoricalParams(p), PoissonParams(rates))
    )
    x = np.stack(
        [rng.normal(size=40), rng.integers(0, 3, 40), rng.poisson(3, 40), rng.normal(size=40)], 1
    )
    expected = np.stack(
        [
            stats.multivariate_normal(means[k], covariances[k]).logpdf(x[:, [3, 0]])
            + np.log(p[k])[x[:, 1].astype(int)]
            + stats.poisson.logpmf(x[:, 2], rates[k])
            for k in range(2)
        ],
        axis=1,
    )
    np.testing.assert_allclose(family.log_likelihood(params, x), expected, rtol=1e-12)


def test_part_without_a_capability_is_named() -> None:
    class Bare:
        pass

    family = IndependentColumns([(Poisson(), [0]), (Bare(), [1])])
    nothing = ColumnsStatistics((of_columns([[1]], [[1]]), None))
    with pytest.raises(TypeError, match=r"parts: expected families that have weak_prior.*\[1\]"):
        family.weak_prior(nothing, 1)


def test_degenerate_components_of_all_parts_are_reported() -> None:
    family = IndependentColumns([(Exponential(), [0]), (Exponential(), [1]), (Poisson(), [2])])
    rates = [np.array([[1e30], [1.0], [1.0]]), np.array([[1.0], [1.0], [1e30]])]
    parts = [*(ExponentialParams(r) for r in rates), PoissonParams(np.zeros((3, 1)))]
    assert family.degenerate(ColumnsParams(tuple(parts))) == [0, 2]


def test_embedding_weighs_every_column_alike() -> None:
    rng = np.random.default_rng(5)
    x = np.stack([rng.poisson(100, 500), rng.integers(0, 3, 500), np.full(500, 4)], 1).astype(float)
    family = IndependentColumns([(Poisson(), [0]), (Categorical((3,)), [1]), (Poisson(), [2])])
    variances = family.embedding(x).var(axis=0)
    assert len(variances) == 5
    np.testing.assert_allclose([variances[0], variances[1:4].sum(), variances[4]], [1, 1, 0])


def test_statistics_of_other_parts_do_not_add() -> None:
    one = ColumnsStatistics((of_columns([[1]], [[1]]),))
    with pytest.raises(TypeError):
        one + ColumnsStatistics((*one.parts, *one.parts))
    with pytest.raises(ValueError, match="scale: expected a number >= 0"):
        one * -1.0
