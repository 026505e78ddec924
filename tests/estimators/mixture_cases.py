"""Mixtures of all families, with rows of them and their densities by definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import stats

from estimators.drawn_rows import (
    CODES,
    COLUMNS,
    CONCENTRATIONS,
    COUNTS,
    DIRECTIONS,
    GAMMA_RATES,
    LEVELS,
    MIXED,
    NORMAL,
    PROBABILITIES,
    RATES,
    SHAPES,
    SHARES,
    WEIGHTS,
    arrays_of,
    by_column,
    columns_at_truth,
    of_categories,
    of_columns,
    of_gamma,
    of_gaussian,
    of_multinomial,
    of_von_mises,
    rows,
)
from latentcore import (
    BernoulliMixture,
    CategoricalMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    Mixture,
    MultinomialMixture,
    PoissonMixture,
    VonMisesMixture,
)
from latentcore.families.poisson import Poisson, PoissonParams

quiet = pytest.mark.filterwarnings("ignore:.*did not converge")


@dataclass(frozen=True)
class Case:
    """A mixture with rows of it, and its densities by definition.

    Attributes
    ----------
    make : keyword arguments -> model of two components
    given : keyword arguments -> model with parameters near the truth
    x : (N, D)
    log_density : (model, rows) -> (N, 2), by SciPy, without the weights
    n_parameters : of the components
    """

    name: str
    make: Callable[..., Any]
    given: Callable[..., Any]
    x: Any
    log_density: Callable[[Any, Any], Any]
    n_parameters: int
    missing: bool = True
    sparse: bool = False

    def __str__(self) -> str:
        return self.name


CASES = [
    Case(
        "poisson", PoissonMixture,
        lambda **kw: PoissonMixture.from_params(WEIGHTS, RATES, **kw),
        COUNTS, by_column(lambda p: stats.poisson(p), "rates"), 6, sparse=True,
    ),
    Case(
        "bernoulli", BernoulliMixture,
        lambda **kw: BernoulliMixture.from_params(WEIGHTS, PROBABILITIES, **kw),
        rows(lambda rng, k: rng.uniform(size=3) < PROBABILITIES[k]),
        by_column(lambda p: stats.bernoulli(p), "probabilities"), 6, sparse=True,
    ),
    Case(
        "exponential", ExponentialMixture,
        lambda **kw: ExponentialMixture.from_params(WEIGHTS, RATES, **kw),
        rows(lambda rng, k: rng.exponential(1 / RATES[k])),
        by_column(lambda p: stats.expon(scale=1 / p), "rates"), 6,
    ),
    Case(
        "categorical", CategoricalMixture,
        lambda **kw: CategoricalMixture.from_params(WEIGHTS, CODES, n_categories=LEVELS, **kw),
        rows(lambda rng, k: [rng.choice(2, p=CODES[k, :2]), rng.choice(3, p=CODES[k, 2:])]),
        of_categories, 6,
    ),
    Case(
        "multinomial", MultinomialMixture,
        lambda **kw: MultinomialMixture.from_params(WEIGHTS, SHARES, mean_total=12.5, **kw),
        rows(lambda rng, k: rng.multinomial(rng.integers(10, 16), SHARES[k])),
        of_multinomial, 4, missing=False, sparse=True,
    ),
    Case(
        "gaussian", GaussianMixture,
        lambda **kw: GaussianMixture.from_params(
            WEIGHTS, [[0, 0], [3, 3]], [np.eye(2), 4 * np.eye(2)], **kw
        ),
        NORMAL, of_gaussian, 10,
    ),
    Case(
        "gamma", GammaMixture,
        lambda **kw: GammaMixture.from_params(WEIGHTS, SHAPES, GAMMA_RATES, **kw),
        rows(lambda rng, k: rng.gamma(SHAPES[k], 1 / GAMMA_RATES[k])), of_gamma, 8,
    ),
    Case(
        "von mises", VonMisesMixture,
        lambda **kw: VonMisesMixture.from_params(WEIGHTS, DIRECTIONS, CONCENTRATIONS, **kw),
        rows(lambda rng, k: rng.vonmises(DIRECTIONS[k], CONCENTRATIONS[k])), of_von_mises, 8,
    ),
    Case(
        "columns", lambda *k, **kw: Mixture(COLUMNS, *k, **kw),
        lambda **kw: Mixture.from_params(COLUMNS, WEIGHTS, columns_at_truth(), **kw),
        MIXED, of_columns, 10,
    ),
    Case(
        "by name", lambda *k, **kw: Mixture("poisson", *k, **kw),
        lambda **kw: Mixture.from_params(Poisson(), WEIGHTS, PoissonParams(RATES), **kw),
        COUNTS, by_column(lambda p: stats.poisson(p), "rates"), 6, sparse=True,
    ),
]  # fmt: skip
cases = pytest.mark.parametrize("case", CASES, ids=str)
missing_cases = pytest.mark.parametrize("case", [c for c in CASES if c.missing], ids=str)
sparse_cases = pytest.mark.parametrize("case", [c for c in CASES if c.sparse], ids=str)


def fitted(case: Case, **kwargs: Any) -> Any:
    return case.make(2, **{"random_state": 0, **kwargs}).fit(case.x)


def parameters(model: Any) -> dict[str, Any]:
    found = dict(arrays_of(model.components_, ""))
    return {"weights": model.weights_, **found}


def assert_same(ours: Any, theirs: Any, rtol: float = 0.0, atol: float = 0.0) -> None:
    a, b = parameters(ours), parameters(theirs)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=rtol, atol=atol, err_msg=name)
