"""Hidden Markov models of every family with sequences of them, and all paths enumerated."""

from __future__ import annotations

import itertools
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
    Y,
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
    GMMHMM,
    HMM,
    BernoulliHMM,
    CategoricalHMM,
    GaussianHMM,
    MultinomialHMM,
    PoissonHMM,
)
from latentcore.families.exponential import Exponential, ExponentialParams
from latentcore.families.gamma import Gamma, GammaParams
from latentcore.families.von_mises import VonMises, VonMisesParams
from laws.numpy_poisson import NumpyPoisson
from laws.numpy_poisson import PoissonParams as NumpyPoissonParams

quiet = pytest.mark.filterwarnings("ignore:.*did not converge")

STARTPROB = np.array([0.7, 0.3])
TRANSMAT = np.array([[0.9, 0.1], [0.2, 0.8]])
CHAIN = (STARTPROB, TRANSMAT)
LENGTHS = [40, 1, 19, 60]
BEGINS = np.cumsum([0, *LENGTHS])
# Rows of the mixtures' cases: states follow each other in runs of six of the first and four of the second.
ORDER = np.argsort(np.arange(120) // 10 + 0.5 * Y[:120], kind="stable")
Z = Y[:120][ORDER]


@dataclass(frozen=True)
class Case:
    """A hidden Markov model with sequences of it, and its densities by definition.

    Attributes
    ----------
    make : keyword arguments -> model of two states
    given : keyword arguments -> model with parameters near the truth
    rows : (N, D)
    log_density : (model, rows) -> (N, 2), by SciPy
    n_parameters : of the emissions
    """

    name: str
    make: Callable[..., Any]
    given: Callable[..., Any]
    rows: Any
    log_density: Callable[[Any, Any], Any]
    n_parameters: int
    missing: bool = True
    sparse: bool = False
    prior: bool = True

    def __str__(self) -> str:
        return self.name

    @property
    def x(self) -> Any:
        return self.rows[:120][ORDER]

    @property
    def sequences(self) -> list[Any]:
        return np.split(self.x, BEGINS[1:-1])


SHARES_OF_MIXTURES = np.array([[0.6, 0.4], [0.5, 0.5]])
MEANS_OF_MIXTURES = np.array([[[0, 1.0], [0, -1]], [[4, 3.0], [2, 3]]])


def of_mixtures(model: Any, x: Any) -> Any:
    return np.stack(
        [
            np.logaddexp.reduce(
                [
                    np.log(w) + stats.norm(m, np.sqrt(c)).logpdf(x).sum(axis=1)
                    for w, m, c in zip(*of_state, strict=True)
                ]
            )
            for of_state in zip(model.weights_, model.means_, model.covariances_, strict=True)
        ],
        axis=1,
    )


def generic(family: Any, params: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return (
        lambda *k, **kw: HMM(family, *k, **kw),
        lambda **kw: HMM.from_params(family, *CHAIN, params, **kw),
    )


CASES = [
    Case(
        "poisson", PoissonHMM, lambda **kw: PoissonHMM.from_params(*CHAIN, RATES, **kw),
        COUNTS, by_column(lambda p: stats.poisson(p), "rates"), 6, sparse=True,
    ),
    Case(
        "bernoulli", BernoulliHMM,
        lambda **kw: BernoulliHMM.from_params(*CHAIN, PROBABILITIES, **kw),
        rows(lambda rng, k: rng.uniform(size=3) < PROBABILITIES[k]),
        by_column(lambda p: stats.bernoulli(p), "probabilities"), 6, sparse=True,
    ),
    Case(
        "categorical", CategoricalHMM,
        lambda **kw: CategoricalHMM.from_params(*CHAIN, CODES, n_categories=LEVELS, **kw),
        rows(lambda rng, k: [rng.choice(2, p=CODES[k, :2]), rng.choice(3, p=CODES[k, 2:])]),
        of_categories, 6,
    ),
    Case(
        "multinomial", MultinomialHMM,
        lambda **kw: MultinomialHMM.from_params(*CHAIN, SHARES, mean_total=12.5, **kw),
        rows(lambda rng, k: rng.multinomial(rng.integers(10, 16), SHARES[k])),
        of_multinomial, 4, missing=False, sparse=True,
    ),
    Case(
        "gaussian", GaussianHMM,
        lambda **kw: GaussianHMM.from_params(
            *CHAIN, [[0, 0], [3, 3]], [np.eye(2), 4 * np.eye(2)], **kw
        ),
        NORMAL, of_gaussian, 10,
    ),
    Case(
        "gaussian mixtures", lambda *k, **kw: GMMHMM(*k, **{"n_mix": 2, **kw}),
        lambda **kw: GMMHMM.from_params(*CHAIN, SHARES_OF_MIXTURES, MEANS_OF_MIXTURES,
            [[[1, 2], [1, 1]], [[4, 4], [3, 5]]], covariance_type="diag", **kw),
        NORMAL, of_mixtures, 18,
    ),
    Case(
        "exponential", *generic(Exponential(), ExponentialParams(RATES)),
        rows(lambda rng, k: rng.exponential(1 / RATES[k])),
        by_column(lambda p: stats.expon(scale=1 / p), "rates"), 6,
    ),
    Case(
        "gamma", *generic(Gamma(), GammaParams(SHAPES, GAMMA_RATES)),
        rows(lambda rng, k: rng.gamma(SHAPES[k], 1 / GAMMA_RATES[k])), of_gamma, 8,
    ),
    Case(
        "von mises", *generic(VonMises(), VonMisesParams(DIRECTIONS, CONCENTRATIONS)),
        rows(lambda rng, k: rng.vonmises(DIRECTIONS[k], CONCENTRATIONS[k])), of_von_mises, 8,
    ),
    Case("columns", *generic(COLUMNS, columns_at_truth()), MIXED, of_columns, 10),
    Case(
        "a user's own", *generic(NumpyPoisson(), NumpyPoissonParams(RATES)),
        COUNTS, by_column(lambda p: stats.poisson(p), "rates"), 6, missing=False, prior=False,
    ),
]  # fmt: skip
cases = pytest.mark.parametrize("case", CASES, ids=str)
missing_cases = pytest.mark.parametrize("case", [c for c in CASES if c.missing], ids=str)
sparse_cases = pytest.mark.parametrize("case", [c for c in CASES if c.sparse], ids=str)
prior_cases = pytest.mark.parametrize("case", [c for c in CASES if c.prior], ids=str)


def fitted(case: Case, **kwargs: Any) -> Any:
    return case.make(2, **{"random_state": 0, **kwargs}).fit(case.x, lengths=LENGTHS)


def from_truth(case: Case, **kwargs: Any) -> Any:
    """A model whose fits begin at the truth."""
    return case.given().set_params(warm_start=True, **kwargs)


def parameters(model: Any) -> dict[str, Any]:
    found = dict(arrays_of(model.components_, ""))
    return {"startprob": model.startprob_, "transmat": model.transmat_, **found}


def assert_same(ours: Any, theirs: Any, rtol: float = 0.0, atol: float = 0.0) -> None:
    a, b = parameters(ours), parameters(theirs)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=rtol, atol=atol, err_msg=name)


@dataclass(frozen=True)
class Enumerated:
    """All paths of a short sequence (P, T), and the log joint densities (P,) of the sequence and them."""

    paths: Any
    log_joint: Any

    @property
    def total(self) -> float:
        return float(np.logaddexp.reduce(self.log_joint))

    @property
    def laws(self) -> Any:
        """(T, 2) of the states, given the sequence."""
        shares = np.exp(self.log_joint - self.total)
        return np.stack([shares @ (self.paths == k) for k in range(2)], axis=1)

    @property
    def transitions(self) -> Any:
        shares = np.exp(self.log_joint - self.total)
        counts = np.zeros((2, 2))
        for path, share in zip(self.paths, shares, strict=True):
            np.add.at(counts, (path[:-1], path[1:]), share)
        return counts


def enumerated(case: Case, model: Any, x: Any) -> Enumerated:
    log_density = case.log_density(model, np.vstack([x, x]))[: len(x)]  # SciPy drops axes of one
    paths = np.array(list(itertools.product(range(2), repeat=len(x))))
    log_joint = np.log(STARTPROB[paths[:, 0]]) + log_density[np.arange(len(x)), paths].sum(axis=1)
    log_joint += np.log(TRANSMAT[paths[:, :-1], paths[:, 1:]]).sum(axis=1)
    return Enumerated(paths, log_joint)


SHORT = [slice(3, 9), slice(20, 21), slice(47, 53)]
