"""Hidden Markov models of all families have one face: the same promises, kept against all paths enumerated."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from scipy import stats
from sklearn.base import clone

import latentcore
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
    ascending,
    by_column,
    columns_at_truth,
    of_categories,
    of_columns,
    of_gamma,
    of_gaussian,
    of_multinomial,
    of_von_mises,
    rows,
    with_holes,
)
from latentcore import HMM, BernoulliHMM, CategoricalHMM, GaussianHMM, MultinomialHMM, PoissonHMM
from latentcore.engine import Progress
from latentcore.errors import ImpossibleSequenceError, NotFittedError
from latentcore.families.bernoulli import BetaPrior
from latentcore.families.exponential import Exponential, ExponentialParams
from latentcore.families.gamma import Gamma, GammaParams
from latentcore.families.priors import GammaPrior
from latentcore.families.von_mises import VonMises, VonMisesParams
from latentcore.sequences import Sequences
from latentcore.structures.hmm import HMMPrior
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


# -- what the model says -----------------------------------------------------------------------


@cases
def test_answers_are_those_of_all_paths(case: Case) -> None:
    model = case.given()
    sequences = [case.x[part] for part in SHORT]
    truths = [enumerated(case, model, x) for x in sequences]
    totals, n = [truth.total for truth in truths], 13
    np.testing.assert_allclose(model.loglik_by_sequence(sequences), totals, rtol=1e-9)
    assert model.loglik(sequences) == pytest.approx(sum(totals), rel=1e-10)
    assert model.score(sequences) == pytest.approx(sum(totals) / n, rel=1e-10)
    if hasattr(model.family_, "n_parameters"):
        df = case.n_parameters + 3
        assert model.aic(sequences) == pytest.approx(-2 * sum(totals) + 2 * df, rel=1e-10)
        assert model.bic(sequences) == pytest.approx(-2 * sum(totals) + df * np.log(n), rel=1e-10)
    laws = np.concatenate([truth.laws for truth in truths])
    np.testing.assert_allclose(model.predict_proba(sequences), laws, atol=1e-10)
    best = np.concatenate([truth.paths[truth.log_joint.argmax()] for truth in truths])
    log_joint, states = model.decode(sequences)
    assert log_joint == pytest.approx(sum(truth.log_joint.max() for truth in truths), rel=1e-10)
    np.testing.assert_array_equal(states, best)
    np.testing.assert_array_equal(model.predict(sequences), best)
    model.set_params(algorithm="posterior")
    np.testing.assert_array_equal(model.predict(sequences), laws.argmax(axis=1))
    log_joint, states = model.decode(sequences)
    np.testing.assert_array_equal(states, laws.argmax(axis=1))
    parts = np.split(states, [6, 7])
    paths = [t.log_joint[(t.paths == p).all(axis=1)][0] for t, p in zip(truths, parts, strict=True)]
    assert log_joint == pytest.approx(sum(paths), rel=1e-10)


@cases
def test_filters_see_the_rows_so_far(case: Case) -> None:
    model, x = case.given(), case.x[SHORT[0]]
    truths = [enumerated(case, model, x[: t + 1]) for t in range(len(x))]
    laws = np.stack([truth.laws[-1] for truth in truths])
    np.testing.assert_allclose(model.filter(x), laws, atol=1e-10)
    state = model.filter_start()
    np.testing.assert_allclose(np.exp(state.log_law), STARTPROB)
    for t, row in enumerate(x):
        state = model.filter_update(state, row)
        np.testing.assert_allclose(np.exp(state.log_law), laws[t], atol=1e-10)
        assert state.log_likelihood == pytest.approx(truths[t].total, rel=1e-9)
        assert state.n_rows == t + 1
    at_once = model.filter_update(model.filter_update(model.filter_start(), x[:2]), x[2:])
    np.testing.assert_allclose(at_once.log_law, state.log_law, atol=1e-10)


@cases
def test_forecasts_go_on_from_the_last_row(case: Case) -> None:
    model, x = case.given(random_state=np.random.default_rng(0)), case.x[SHORT[0]]
    law = enumerated(case, model, x).laws[-1]
    expected = np.stack([law @ np.linalg.matrix_power(TRANSMAT, h) for h in (1, 2, 3)])
    if case.name == "a user's own":
        np.testing.assert_allclose(model.forecast(3, x).state_probabilities, expected, atol=1e-10)
        return
    forecast = model.forecast(3, x, quantiles=(0.1, 0.9), n_samples=4000)
    np.testing.assert_allclose(forecast.state_probabilities, expected, atol=1e-10)
    assert forecast.quantiles.shape == (2, 3, x.shape[1])
    state = model.filter_update(model.filter_start(), x)
    np.testing.assert_array_equal(
        model.forecast(3, state=state).state_probabilities, forecast.state_probabilities
    )
    rows, _ = model.sample([3] * 4000, state=state)
    drawn = rows.reshape(4000, 3, -1)
    low, high = np.quantile(drawn, [0.1, 0.9], axis=0)
    spread = drawn.std(axis=0)
    assert (abs(forecast.quantiles[0] - low) <= 0.15 * spread + 1).all()
    assert (abs(forecast.quantiles[1] - high) <= 0.15 * spread + 1).all()
    if case.name in ("poisson", "bernoulli", "gaussian", "exponential", "gamma", "multinomial"):
        error = spread / np.sqrt(4000)
        np.testing.assert_array_less(abs(forecast.means - drawn.mean(axis=0)), 5 * error)
    np.testing.assert_allclose(model.forecast(1).state_probabilities, STARTPROB[None], rtol=1e-12)


@cases
def test_samples_follow_the_chain_and_the_emissions(case: Case) -> None:
    if case.name == "a user's own":
        with pytest.raises(TypeError, match="family: expected one with a method 'sample'"):
            case.given().sample(3)
        return
    model = case.given(random_state=np.random.default_rng(1))
    x, states = model.sample([50] * 200)
    assert x.shape == (10_000, case.x.shape[1])
    steps = states.reshape(200, 50)
    np.testing.assert_allclose(np.bincount(steps[:, 0]) / 200, STARTPROB, atol=0.1)
    counts = np.zeros((2, 2))
    np.add.at(counts, (steps[:, :-1], steps[:, 1:]), 1)
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), TRANSMAT, atol=0.02)
    for k in range(2):  # the rows of the case are drawn from nearly these components
        theirs, ours = case.rows[k == Y], x[states == k]
        error = theirs.std(axis=0) / np.sqrt(len(theirs))
        np.testing.assert_array_less(abs(ours.mean(axis=0) - theirs.mean(axis=0)), 5 * error + 0.04)
    assert not np.array_equal(model.sample(9)[0], model.sample(9)[0]), "a generator goes on"
    same = model.sample(9, random_state=1)[0]
    np.testing.assert_array_equal(model.sample(9, random_state=1)[0], same)
    _, after = model.sample([1] * 4000, state=1)
    assert after.mean() == pytest.approx(TRANSMAT[1, 1], abs=0.03)


@cases
def test_paths_are_drawn_from_their_law(case: Case) -> None:
    model, x = case.given(), case.x[SHORT[0]]
    truth = enumerated(case, model, x)
    drawn = model.sample_posterior_paths(x, 4000, random_state=0)
    assert drawn.shape == (4000, len(x))
    number = drawn @ (2 ** np.arange(len(x))[::-1])
    frequencies = np.bincount(number, minlength=len(truth.paths)) / 4000
    np.testing.assert_allclose(frequencies, np.exp(truth.log_joint - truth.total), atol=0.035)


def test_chain_says_how_long_states_last() -> None:
    model = PoissonHMM.from_params(*CHAIN, RATES)
    np.testing.assert_allclose(model.expected_durations(), [10, 5])
    np.testing.assert_allclose(model.stationary_distribution(), [2 / 3, 1 / 3])
    absorbing = PoissonHMM.from_params([1, 0], [[0.5, 0.5], [0, 1]], RATES)
    np.testing.assert_array_equal(absorbing.expected_durations(), [2, np.inf])
    np.testing.assert_array_equal(absorbing.stationary_distribution(), [0, 1])


# -- fitting -----------------------------------------------------------------------------------


@quiet
@cases
@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_one_iteration_spends_the_expectations_of_all_paths(case: Case, assignment: str) -> None:
    model = from_truth(case, max_iter=1, tol=0.0, assignment=assignment)
    sequences = [case.x[part] for part in SHORT]
    truths = [enumerated(case, model, x) for x in sequences]
    if assignment == "hard":
        truths = [
            Enumerated(t.paths, np.where(t.log_joint == t.log_joint.max(), t.log_joint, -np.inf))
            for t in truths
        ]
    family = model.family_
    model.fit(sequences)
    laws = np.concatenate([truth.laws for truth in truths])
    counts = sum(truth.transitions for truth in truths)
    assert model.lower_bounds_ == [pytest.approx(sum(t.total for t in truths) / 13, rel=1e-9)]
    np.testing.assert_allclose(model.startprob_, sum(t.laws[0] for t in truths) / 3, atol=1e-10)
    leaving = counts.sum(axis=1, keepdims=True)
    expected = np.where(leaving > 0, counts / np.maximum(leaving, 1e-300), TRANSMAT)
    np.testing.assert_allclose(model.transmat_, expected, atol=1e-9)
    x = np.concatenate(sequences)
    before = case.given().components_
    emissions = family.maximize(family.expected_statistics(before, x, laws), before)
    for (name, ours), (_, theirs) in zip(
        arrays_of(model.components_, ""), arrays_of(emissions, ""), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6, err_msg=name)


@cases
def test_fit_finds_the_states(case: Case) -> None:
    model = fitted(case, max_iter=500)
    assert model.converged_
    assert ascending(model.lower_bounds_)
    assert model.score(case.sequences) >= case.given().score(case.sequences)
    assert model.lower_bound_ == pytest.approx(model.score(case.sequences), abs=1e-4)
    agree = (model.predict(case.sequences) == Z).mean()
    assert max(agree, 1 - agree) > 0.7
    np.testing.assert_array_equal(
        case.make(2, random_state=0, max_iter=500).fit_predict(case.x, lengths=LENGTHS),
        model.predict(case.sequences),
    )


# -- weights, warm starts, threads, callbacks --------------------------------------------------


@quiet
@cases
def test_weight_two_is_the_sequence_twice_and_weight_zero_none(case: Case) -> None:
    counts = [2, 0, 3, 1]
    repeated = [x for x, n in zip(case.sequences, counts, strict=True) for _ in range(n)]
    outside = [x.copy() for x in case.sequences]
    weighted = from_truth(case, tol=0.0, max_iter=5).fit(outside, sample_weight=counts)
    by_row = from_truth(case, tol=0.0, max_iter=5).fit(
        case.x, lengths=LENGTHS, sample_weight=np.repeat(counts, LENGTHS)
    )
    plain = from_truth(case, tol=0.0, max_iter=5).fit(repeated)
    assert_same(weighted, plain, rtol=1e-9, atol=1e-13)
    assert_same(by_row, weighted)
    np.testing.assert_allclose(weighted.lower_bounds_, plain.lower_bounds_, rtol=1e-10)
    for method in ("score", "loglik", "aic", "bic"):
        if method in ("score", "loglik") or hasattr(plain.family_, "n_parameters"):
            got = getattr(plain, method)(case.sequences, sample_weight=counts)
            assert got == pytest.approx(getattr(plain, method)(repeated), rel=1e-10), method


@quiet
@cases
def test_warm_start_goes_on(case: Case) -> None:
    once = fitted(case, max_iter=4, tol=0.0)
    twice = fitted(case, max_iter=2, tol=0.0, warm_start=True).fit(case.x, lengths=LENGTHS)
    assert_same(once, twice)
    assert once.lower_bounds_[2:] == twice.lower_bounds_


@quiet
@pytest.mark.parametrize(
    "model", [PoissonHMM(16), GaussianHMM(16, covariance_type="diag", prior="weak")], ids=repr
)
def test_results_do_not_depend_on_the_number_of_threads(model: Any) -> None:
    x = np.tile(COUNTS, (30, 1))
    lengths = [100] * 120
    labels = np.where(np.arange(len(x)) % 700 == 0, 1, -1)
    one, three = (
        clone(model)
        .set_params(max_iter=1, n_threads=n, random_state=0, init_params="random")
        .fit(x, lengths=lengths, labels=labels)
        for n in (1, 3)
    )
    assert_same(one, three)
    assert one.lower_bounds_ == three.lower_bounds_
    for method in ("predict", "predict_proba", "filter", "loglik_by_sequence"):
        ours, theirs = (getattr(m, method)(x, lengths=lengths) for m in (one, three))
        np.testing.assert_array_equal(ours, theirs)


@quiet
def test_several_random_starts_are_told_and_the_best_is_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: list[Progress] = []
    model = GaussianHMM(
        3, n_init=4, random_state=0, init_params="random", verbose=2, tol=1e-2, max_iter=20
    )
    model.fit(NORMAL[:120][ORDER], lengths=LENGTHS, callback=told.append)
    runs = [[p.objective for p in told if p.restart == restart] for restart in range(4)]
    assert len({run[0] for run in runs}) == 4, "starts differ"
    assert model.lower_bounds_ == max(runs, key=lambda run: run[-1])
    assert "Initialization 3" in capsys.readouterr().out


# -- priors ------------------------------------------------------------------------------------


@prior_cases
@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_objective_with_a_prior_never_decreases(case: Case, assignment: str) -> None:
    model = fitted(case, prior="weak", assignment=assignment, max_iter=1000)
    assert ascending(model.lower_bounds_)
    assert model.converged_
    assert model.transmat_.min() > 0


@prior_cases
def test_weak_prior_makes_any_data_fit(case: Case) -> None:
    for name, x in (("constant", np.repeat(case.x[:1], 8, axis=0)), ("few rows", case.x[:3])):
        model = case.make(4, prior="weak", random_state=0, max_iter=1000, tol=1e-4).fit(x)
        assert np.isfinite(model.lower_bound_), name
        assert all(np.isfinite(array).all() for array in parameters(model).values()), name
        assert np.isfinite(model.loglik(x)), name
    with pytest.raises(ValueError, match=r"n_components = 4 rows, got n_samples = 3 \(a prior"):
        case.make(4).fit(case.x[:3])


def test_prior_of_the_chain_adds_its_counts() -> None:
    prior = HMMPrior(np.array([3.0, 1.0]), np.array([[1.0, 2.0], [5.0, 1.0]]), GammaPrior(2.0, 1.0))
    x, labels = CASES[0].x, Z
    model = PoissonHMM(2, prior=prior).fit(x, lengths=LENGTHS, labels=labels)
    counts = np.array(prior.transition) - 1
    for part in np.split(labels, BEGINS[1:-1]):
        np.add.at(counts, (part[:-1], part[1:]), 1)
    np.testing.assert_allclose(model.transmat_, counts / counts.sum(axis=1, keepdims=True))
    starts = np.bincount(labels[BEGINS[:-1]], minlength=2) + np.array([2, 0])
    np.testing.assert_allclose(model.startprob_, starts / starts.sum())
    log_prior = stats.dirichlet([3, 1]).logpdf(model.startprob_)
    log_prior += stats.dirichlet([1, 2]).logpdf(model.transmat_[0])
    log_prior += stats.dirichlet([5, 1]).logpdf(model.transmat_[1])
    log_prior += stats.gamma(2).logpdf(model.rates_).sum()
    known = model._evaluation().log_likelihood(
        Sequences(x, BEGINS.astype(np.int64), labels=labels.astype(np.int32))
    )
    assert model.lower_bound_ == pytest.approx((known + log_prior) / 120, rel=1e-9)


@pytest.mark.parametrize("prior", ["weak", HMMPrior(np.ones(3), np.ones((3, 3)), GammaPrior(2, 1))])
def test_zeros_of_the_start_stay_zero(prior: Any) -> None:
    transmat = np.array([[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 1.0]])
    for given in (None, prior):
        model = PoissonHMM(
            3, startprob_init=[1, 0, 0], transmat_init=transmat, prior=given, random_state=0,
            init_params="random", max_iter=500,
        ).fit(CASES[0].x, lengths=[40] * 3)  # fmt: skip
        np.testing.assert_array_equal(model.startprob_, [1, 0, 0])
        assert (model.transmat_[transmat == 0] == 0).all()
        assert (np.diff(model.predict(CASES[0].x[:40])) >= 0).all()


@pytest.mark.parametrize(
    ("prior", "error", "message"),
    [
        ("strong", ValueError, "prior: expected None, 'weak' or a prior"),
        (3, TypeError, "prior: expected None, 'weak' or a prior, got 3"),
        (
            HMMPrior(np.ones(3), np.ones((3, 3)), GammaPrior(2.0, 1.0)),
            ValueError,
            r"prior.initial: expected shape \(2,\), got \(3,\)",
        ),
        (
            HMMPrior(np.ones(2), np.full((2, 2), 0.5), GammaPrior(2.0, 1.0)),
            ValueError,
            "prior.transition: expected finite numbers >= 1, or 0 where forbidden",
        ),
        (BetaPrior(2.0, 2.0), TypeError, "prior: expected a GammaPrior for Poisson, got BetaPrior"),
        (
            GammaPrior(np.ones((3, 3)), np.ones((3, 3))),
            ValueError,
            "prior.shape: expected 2 components or 1 on the first axis",
        ),
    ],
)
def test_impossible_prior_is_refused(prior: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        PoissonHMM(2, prior=prior).fit(COUNTS)
    with pytest.raises(TypeError, match="NumpyPoisson has no conjugate prior"):
        HMM(NumpyPoisson(), 2, prior="weak").fit(COUNTS)


# -- known labels ------------------------------------------------------------------------------


@cases
def test_all_known_labels_give_the_supervised_fit(case: Case) -> None:
    model = case.make(2, random_state=0).fit(case.x, lengths=LENGTHS, labels=Z)
    assert model.converged_
    starts = Z[BEGINS[:-1]]
    np.testing.assert_allclose(model.startprob_, np.bincount(starts, minlength=2) / 4, atol=1e-12)
    counts = np.zeros((2, 2))
    for part in np.split(Z, BEGINS[1:-1]):
        np.add.at(counts, (part[:-1], part[1:]), 1)
    expected = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.transmat_, expected, rtol=1e-12)
    family = model.family_
    emissions = family.maximize(family.expected_statistics(None, case.x, np.eye(2)[Z]), None)
    for (name, ours), (_, theirs) in zip(
        arrays_of(model.components_, ""), arrays_of(emissions, ""), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9, err_msg=name)


@cases
def test_few_known_labels_name_the_states(case: Case) -> None:
    labels = np.where(np.arange(120) % 10 < 6, Z, -1)
    for swapped in (labels, np.where(labels < 0, -1, 1 - labels)):
        model = case.make(2, random_state=0, tol=1e-7, max_iter=1000)
        model.fit(case.sequences, labels=swapped)
        assert ascending(model.lower_bounds_)
        truth = Z if swapped is labels else 1 - Z
        assert (model.predict(case.sequences) == truth).mean() > 0.7


# -- missing entries ---------------------------------------------------------------------------


@missing_cases
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_missing_entries_are_fitted_and_imputed(case: Case, dtype: Any) -> None:
    x = with_holes(case.x).astype(dtype)
    model = from_truth(case, tol=1e-4, max_iter=300).fit(x, lengths=LENGTHS)
    if dtype == np.float64:
        assert ascending(model.lower_bounds_)
    laws = model.predict_proba(x, lengths=LENGTHS)
    assert laws.dtype == dtype
    np.testing.assert_allclose(model.filter(x, lengths=LENGTHS)[0], model.startprob_, atol=1e-5)
    completed = model.impute(x, lengths=LENGTHS)
    assert completed.dtype == dtype
    assert np.isfinite(completed).all()
    seen = ~np.isnan(x)
    np.testing.assert_array_equal(completed[seen], x[seen])


@missing_cases
def test_row_of_nan_is_a_step_without_evidence(case: Case) -> None:
    model, x = case.given(), case.x[SHORT[0]].copy()
    x[[2, 3]] = np.nan
    truth = enumerated(case, model, np.where(np.isnan(x), case.x[:1], x))
    first = case.log_density(model, case.x[[0, 0]])[0]
    log_joint = truth.log_joint - first[truth.paths[:, 2]] - first[truth.paths[:, 3]]
    truth = Enumerated(truth.paths, log_joint)
    assert model.loglik(x) == pytest.approx(truth.total, rel=1e-9)
    np.testing.assert_allclose(model.predict_proba(x), truth.laws, atol=1e-9)


# -- what users hold ---------------------------------------------------------------------------


@cases
def test_all_ways_to_hold_sequences_are_one(case: Case) -> None:
    expected = fitted(case, max_iter=300)
    names = [f"c{j}" for j in range(case.x.shape[1])]
    read_only = case.x.copy()
    read_only.flags.writeable = False
    groups = np.repeat(["b", "a", "c", "d"], LENGTHS)
    frame = pd.DataFrame(case.x, columns=names)
    ways: list[tuple[Any, dict[str, Any]]] = [
        (case.sequences, {}),
        (tuple(part.tolist() for part in case.sequences), {}),
        (read_only, {"groups": groups}),
        (case.x.tolist(), {"lengths": np.array(LENGTHS)}),
        (frame, {"groups": pd.Series(groups)}),
        (pl.DataFrame(case.x, schema=names), {"lengths": LENGTHS}),
        ([frame[a:b] for a, b in itertools.pairwise(BEGINS)], {}),
    ]
    for x, arguments in ways:
        model = case.make(2, random_state=0, max_iter=300).fit(x, **arguments)
        assert_same(model, expected)
        np.testing.assert_array_equal(
            model.predict(x, **arguments), expected.predict(case.sequences)
        )
    assert model.feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"c0": "other"}))


@cases
def test_single_precision_is_kept_and_close(case: Case) -> None:
    model = case.given()
    x = case.x.astype(np.float32)
    for method in ("predict_proba", "filter"):
        ours = getattr(model, method)(x, lengths=LENGTHS)
        assert ours.dtype == np.float32
        expected = getattr(model, method)(x.astype(np.float64), lengths=LENGTHS)
        np.testing.assert_allclose(ours, expected, atol=2e-4)
    assert model.loglik(x) == pytest.approx(model.loglik(x.astype(np.float64)), rel=1e-5)
    single = from_truth(case, max_iter=50, tol=1e-3).fit(x, lengths=LENGTHS)
    assert single.lower_bounds_[0] == pytest.approx(model.score(case.sequences), rel=1e-4)


@sparse_cases
def test_sparse_rows_give_the_fit_of_dense_ones(case: Case) -> None:
    sparse = scipy.sparse.csr_array(case.x)
    dense = from_truth(case).fit(case.x, lengths=LENGTHS)
    model = from_truth(case).fit(sparse, lengths=LENGTHS)
    assert_same(model, dense, rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(
        model.predict(sparse, lengths=LENGTHS), dense.predict(case.sequences)
    )


# -- files, copies, order ----------------------------------------------------------------------


@quiet
@cases
def test_model_comes_back_from_files_and_pickles(case: Case, tmp_path: Path) -> None:
    for model in (case.given(), fitted(case, max_iter=3), case.make(2, startprob_init=STARTPROB)):
        path = tmp_path / "model.npz"
        copies = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
        if case.name == "a user's own":
            with pytest.raises(TypeError, match="to save"):
                model.save(path)
        else:
            model.save(path)
            copies.append(latentcore.load(path))
        for twin in copies:
            assert type(twin) is type(model)
            assert repr(twin) == repr(model)
            if not hasattr(model, "startprob_"):
                assert not hasattr(twin, "startprob_")
                continue
            assert_same(twin, model)
            assert twin.summary() == model.summary()
            assert twin.lower_bounds_ == model.lower_bounds_
            np.testing.assert_array_equal(
                twin.predict_proba(case.sequences), model.predict_proba(case.sequences)
            )


@cases
def test_order_of_states_is_changed_in_all_that_was_learned(case: Case) -> None:
    model = case.given()
    twin = copy.deepcopy(model)
    assert twin.relabel([1, 0]) is twin
    np.testing.assert_array_equal(twin.predict(case.sequences), 1 - model.predict(case.sequences))
    np.testing.assert_allclose(
        twin.predict_proba(case.sequences)[:, ::-1], model.predict_proba(case.sequences), atol=1e-12
    )
    assert twin.score(case.sequences) == pytest.approx(model.score(case.sequences), rel=1e-12)
    twin.relabel(by=lambda m: m.startprob_)
    np.testing.assert_array_equal(twin.transmat_, TRANSMAT[::-1, ::-1])


@cases
def test_summary_tells_the_criteria_and_the_chain(case: Case) -> None:
    model = fitted(case, max_iter=300)
    text = model.summary()
    assert "S = 2" in text
    assert f"{model.loglik(case.sequences):.3f}" in text
    assert f"{model.transmat_[1, 0]:.4f}" in text
    if hasattr(model.family_, "n_parameters"):
        assert f"{model.aic(case.sequences):.3f}" in text
        assert f"{model.bic(case.sequences):.3f}" in text


@cases
def test_start_may_be_given(case: Case) -> None:
    truth = case.given()
    model = clone(truth).set_params(
        n_components=2, startprob_init=STARTPROB, transmat_init=TRANSMAT, max_iter=0
    )
    if case.name == "gaussian":
        model.set_params(means_init=truth.means_, covariances_init=truth.covariances_)
    else:
        model.set_params(params_init=truth.components_)
    assert_same(model.fit(case.x), truth, rtol=1e-12)


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"params_init": {"rate": RATES}}, ValueError, r"expected the arrays \['rates'\], got"),
        ({"params_init": RATES}, TypeError, "expected PoissonParams or a mapping"),
        ({"params_init": {"rates": RATES[:1]}}, ValueError, "rates of 2 components on the first"),
        ({"params_init": {"rates": RATES[:, :2]}}, ValueError, "of 3 features, as X has, got 2"),
        ({"startprob_init": [0.5, 0.6]}, ValueError, "startprob_init: .* that sum to 1, got .*1.1"),
        ({"startprob_init": [1.5, -0.5]}, ValueError, "startprob_init: .* >= 0, got -0.5"),
        ({"startprob_init": [1.0]}, ValueError, r"startprob_init: expected shape \(2,\) for 2 st"),
        (
            {"transmat_init": [[1, 0], [0.5, 0.4]]},
            ValueError,
            "transmat_init: .* that sum to 1, got the sum 0.9 in row 1",
        ),
        (
            {"transmat_init": [[1, 0], [-1, 2]]},
            ValueError,
            "transmat_init: expected probabilities >= 0, got -1.0 in row 1",
        ),
        ({"transmat_init": np.eye(3)}, ValueError, r"transmat_init: expected shape \(2, 2\)"),
        ({"transmat_init": [[np.nan, 1], [0, 1]]}, ValueError, "transmat_init: expected finite"),
        ({"assignment": "firm"}, ValueError, "assignment: expected one of 'soft', 'hard'"),
        ({"algorithm": "map"}, ValueError, "algorithm: expected one of 'viterbi', 'posterior'"),
        ({"topology": "left"}, TypeError, "topology: expected a Topology or None, got 'left'"),
        ({"n_components": 0}, ValueError, "n_components: expected an integer >= 1"),
        ({"tol": -1}, ValueError, "tol: expected"),
        ({"init_params": "best"}, ValueError, "init_params: expected one of"),
        ({"warm_start": True, "n_components": 3}, ValueError, "warm_start: expected the n_comp"),
    ],
)
def test_bad_argument_is_named_and_nothing_changes(
    arguments: dict[str, Any], error: Any, message: str
) -> None:
    model = PoissonHMM(2, random_state=0, max_iter=300).fit(COUNTS).set_params(**arguments)
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(COUNTS)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lengths": [100, 200]}, "lengths: expected a sum of 400, the rows of X, got 300"),
        ({"lengths": [400, 0]}, "lengths: expected integers >= 1, got 0 for sequence 1"),
        ({"lengths": [[400]]}, "lengths: expected shape"),
        ({"groups": np.arange(400) % 2}, "groups: expected the rows of a sequence one after an"),
        ({"lengths": [400], "groups": np.zeros(400)}, "expected one of them, got both"),
        ({"sample_weight": [1, 2, 3]}, "sample_weight: expected shape"),
        ({"sample_weight": [0.0]}, "sample_weight: expected a positive weight"),
        ({"labels": np.full(400, 2)}, "labels: expected integers from 0 to n_components - 1 = 1"),
    ],
)
def test_bad_sequences_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PoissonHMM(2).fit(COUNTS, **arguments)
    if "labels" not in arguments and "sample_weight" not in arguments:
        with pytest.raises(ValueError, match=message):
            PoissonHMM.from_params(*CHAIN, RATES).predict(COUNTS, **arguments)


@pytest.mark.parametrize(
    ("case", "value"),
    [(CASES[0], -1.0), (CASES[1], 2.0), (CASES[2], 7.0), (CASES[3], 0.5), (CASES[6], 0.0)],
    ids=str,
)
def test_value_outside_the_support_is_named(case: Case, value: float) -> None:
    x = case.x.copy()
    x[47, 1] = value
    if case.name != "categorical":  # where a new code is found
        with pytest.raises(ValueError, match=rf"got {value} in row 47, column 1"):
            case.make(2).fit(x, lengths=LENGTHS)
    for method in ("predict", "score", "filter"):
        with pytest.raises(ValueError, match=rf"got {value:g}.* in row 47, column 1"):
            getattr(case.given(), method)(x, lengths=LENGTHS)
    x[47] = case.x[47]
    x[47, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinity.* row 47, column 1"):
        case.make(2).fit(x)


@cases
def test_other_columns_and_models_without_parameters_are_refused(case: Case) -> None:
    wider = np.hstack([case.x, case.x])
    for call in (case.given().predict, from_truth(case).fit, case.given().score):
        with pytest.raises(ValueError, match=r"X has \d features, but .* is expecting"):
            call(wider)
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        case.make(2).predict(case.x)
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        case.make(2).sample()


def test_impossible_sequence_is_named_and_has_no_likelihood() -> None:
    rates = [[0.0], [0.0]]
    x = [np.zeros((3, 1)), np.array([[0.0], [4.0]]), np.zeros((2, 1))]
    model = PoissonHMM.from_params([0.5, 0.5], TRANSMAT, rates)
    np.testing.assert_allclose(model.loglik_by_sequence(x), [0, -np.inf, 0], atol=1e-14)
    assert model.loglik(x) == -np.inf
    laws = model.predict_proba(x)
    assert np.isnan(laws[3:5]).all()
    assert np.isfinite(np.delete(laws, [3, 4], axis=0)).all()
    assert np.isfinite(model.filter(x)[3]).all()
    assert np.isnan(model.filter(x)[4]).all()
    start = {"params_init": {"rates": rates}, "startprob_init": [0.5, 0.5]}
    for weight, number in ((None, 1), ([1, 2, 1], 1), ([0, 1, 1], 1)):
        with pytest.raises(ImpossibleSequenceError, match=f"sequence {number}, step 1"):
            PoissonHMM(2, **start).fit(x, sample_weight=weight)  # type: ignore[arg-type]
    assert PoissonHMM(2, **start).fit(x, sample_weight=[1, 0, 1]).converged_  # type: ignore[arg-type]
    with pytest.raises(ImpossibleSequenceError, match="sequence 1"):
        model.sample_posterior_paths(x)
    with pytest.raises(ImpossibleSequenceError, match="sequence 0, step 1"):
        model.filter_update(model.filter_update(model.filter_start(), [0.0]), [4.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PoissonHMM.from_params([1.0], [[1.0]], [[-1.0]]), "rates: expected numbers >= 0"),
        (lambda: PoissonHMM.from_params([1.0], [[1.0]], [1.0]), "rates: expected shape"),
        (lambda: PoissonHMM.from_params(*CHAIN, [[1.0]]), "components: expected rates of 2"),
        (lambda: PoissonHMM.from_params([0.5, 0.4], TRANSMAT, RATES), "startprob: .* sum to 1"),
        (lambda: PoissonHMM.from_params(STARTPROB, np.ones((2, 2)), RATES), "transmat: .* row 0"),
        (lambda: BernoulliHMM.from_params(*CHAIN, [[1.5], [0]]), "expected numbers from 0 to 1"),
        (lambda: MultinomialHMM.from_params([1], [[1]], [[0.5, 0.6]]), "that sum to 1, got .* 1.1"),
        (
            lambda: CategoricalHMM.from_params([1], [[1]], [[0.5, 0.5, 1]], n_categories=[2]),
            "emissionprob: expected sum of n_categories = 2 columns",
        ),
        (
            lambda: GaussianHMM.from_params(*CHAIN, [[0.0], [1.0]], [[[1.0]], [[-1.0]]]),
            "should be symmetric, positive-definite",
        ),
    ],
)
def test_impossible_parameters_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.forecast(0), ValueError, "steps: expected an integer >= 1"),
        (lambda m: m.forecast(2, quantiles=[1.5]), ValueError, "quantiles: expected numbers from"),
        (lambda m: m.forecast(2, [COUNTS, COUNTS]), ValueError, "X: expected one sequence, got 2"),
        (lambda m: m.sample(0), ValueError, "n_samples: expected an integer >= 1"),
        (lambda m: m.sample([]), ValueError, "n_samples: expected at least one"),
        (lambda m: m.sample(2, state=2), ValueError, "state: expected a state below 2, got 2"),
        (lambda m: m.filter_update(1.0, [1, 2, 3]), TypeError, "state: expected a FilterState"),
        (lambda m: m.filter_update(m.filter_start(), [1.0]), ValueError, "X has 1 features"),
        (lambda m: m.sample_posterior_paths(COUNTS, 0), ValueError, "n: expected an integer >= 1"),
        (lambda m: m.relabel([0, 0]), ValueError, "by: expected the states 0 to 1"),
        (lambda m: m.decode(COUNTS, algorithm="best"), ValueError, "algorithm: expected one of"),
    ],
)
def test_impossible_questions_are_refused(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(PoissonHMM.from_params(*CHAIN, RATES))


def test_code_that_was_never_seen_is_refused() -> None:
    case = CASES[2]
    model = CategoricalHMM(2, random_state=0).fit(case.x)
    assert model.n_categories_ == LEVELS
    with pytest.raises(ValueError, match="expected whole codes from 0 to 1, got 2"):
        model.predict([[2, 0]])
    wider = CategoricalHMM(2, n_categories=(4, 3), random_state=0, prior="weak").fit(case.x)
    assert wider.n_categories_ == (4, 3)
    assert np.isfinite(wider.loglik([[3, 0]]))
    one = CategoricalHMM.from_params(*CHAIN, [[0.5, 0.5], [0.1, 0.9]])
    assert one.n_categories_ == (2,)
    np.testing.assert_array_equal(one.emissionprob_, [[0.5, 0.5], [0.1, 0.9]])
