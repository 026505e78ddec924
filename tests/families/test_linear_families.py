"""What all built-in families of counts, categories and durations offer besides the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from latentcore.families.bernoulli import Bernoulli, BernoulliParams
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.columns import ColumnsParams, IndependentColumns
from latentcore.families.exponential import Exponential, ExponentialParams
from latentcore.families.gamma import Gamma, GammaParams
from latentcore.families.multinomial import Multinomial, MultinomialParams
from latentcore.families.poisson import Poisson, PoissonParams


@dataclass(frozen=True)
class Example:
    """A family with two components of three columns, the mean of a row of each, and its free parameters."""

    name: str
    family: Any
    params: Any
    means: Any
    n_parameters: int
    missing: bool = True


RATES = np.array([[0.5, 3.0, 20.0], [4.0, 0.1, 1.0]])
SHARES = np.array([[0.2, 0.9, 0.5], [0.7, 0.01, 1.0]])
CODES = np.array([[0.2, 0.8, 0.1, 0.6, 0.3, 1.0], [0.5, 0.5, 0.3, 0.0, 0.7, 1.0]])
WORDS = np.array([[0.2, 0.5, 0.3], [0.7, 0.3, 0.0]])

EXAMPLES = [
    Example("poisson", Poisson(), PoissonParams(RATES), RATES, 6),
    Example("bernoulli", Bernoulli(), BernoulliParams(SHARES), SHARES, 6),
    Example("exponential", Exponential(), ExponentialParams(1 / RATES), RATES, 6),
    Example("gamma", Gamma(), GammaParams(1 / SHARES, 1 / (SHARES * RATES)), RATES, 12),
    Example(
        "categorical", Categorical((2, 3, 1)), CategoricalParams(CODES),
        np.array([[0.8, 1.2, 0.0], [0.5, 1.4, 0.0]]), 6,
    ),
    Example("multinomial", Multinomial(), MultinomialParams(WORDS, 7.25), 7.25 * WORDS, 4, False),
    Example(
        "columns", IndependentColumns([(Poisson(), [2, 0]), (Exponential(), [1])]),
        ColumnsParams((PoissonParams(RATES[:, [2, 0]]), ExponentialParams(1 / RATES[:, [1]]))), RATES, 6,
    ),
]  # fmt: skip
every_example = pytest.mark.parametrize("of", EXAMPLES, ids=[of.name for of in EXAMPLES])


@every_example
@pytest.mark.parametrize("rng", [np.random.default_rng, np.random.RandomState])
def test_draws_have_the_moments_of_their_component(of: Example, rng: Any) -> None:
    n = 20_000
    for k in range(2):
        x = of.family.sample(of.params, k, n, rng(k))
        assert x.shape == (n, 3)
        assert x.dtype == np.float64
        of.family.check(x)
        error = 5 * x.std(axis=0) / np.sqrt(n)
        np.testing.assert_array_less(np.abs(x.mean(axis=0) - of.means[k]), error + 1e-12)
        # a fit to the draws is near the component: every moment that the family knows of
        stats = of.family.expected_statistics(None, x, np.ones((n, 1)))
        likelihood = of.family.log_likelihood(of.family.maximize(stats, None), x).mean()
        truth = of.family.log_likelihood(of.params, x)[:, k].mean()
        assert 0 <= likelihood - truth < 5 * of.n_parameters / n
    np.testing.assert_array_equal(
        of.family.sample(of.params, 0, 9, rng(1)), of.family.sample(of.params, 0, 9, rng(1))
    )


@every_example
def test_free_parameters_are_counted(of: Example) -> None:
    assert of.family.n_parameters(of.params) == of.n_parameters


@every_example
def test_proper_components_are_not_degenerate(of: Example) -> None:
    assert of.family.degenerate(of.params) == []


@every_example
def test_embedding_is_finite_and_tells_components_apart(of: Example) -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([of.family.sample(of.params, k, 50, rng) for k in range(2)])
    if of.missing:
        x[rng.uniform(size=x.shape) < 0.2] = np.nan
        x[7] = np.nan
    e = of.family.embedding(x.astype(np.float32))
    assert e.dtype == np.float64
    assert np.isfinite(e).all()
    first, second = e[:50], e[50:]
    between = (first.mean(axis=0) - second.mean(axis=0)) ** 2
    assert (between / (first.var(axis=0) + second.var(axis=0) + 1e-12)).max() > 0.3


@every_example
def test_missing_entries_get_conditional_means(of: Example) -> None:
    rng = np.random.default_rng(3)
    x = of.family.sample(of.params, 0, 4, rng).astype(np.float32)
    r = np.array([[1.0, 0.0], [0.0, 1.0], [0.25, 0.75], [0.5, 0.5]], np.float32)
    complete = x.copy()
    if of.missing:
        x[:3] = np.nan
        x[3, 1] = np.nan
    expected = (r @ of.means).astype(np.float32)
    if of.name == "categorical":
        shares = [(r @ p) for p in of.family.split(CODES)]
        expected = np.stack([p.argmax(axis=1) for p in shares], axis=1)
    expected = np.where(np.isnan(x), expected, complete)
    filled = of.family.impute(of.params, x, r)
    np.testing.assert_allclose(filled, expected, rtol=1e-6)
    assert filled is not x
