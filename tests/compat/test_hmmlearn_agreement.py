"""The same start on the same data gives hmmlearn's fit, step by step, and hmmlearn's answers."""

from __future__ import annotations

import sys
from functools import cache
from inspect import signature
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from latentcore.compat import hmmlearn as ours

if sys.version_info >= (3, 14):
    pytest.skip(
        "hmmlearn 0.3.3 has no wheel for Python 3.14 or later: NOT compared with it",
        allow_module_level=True,
    )

import hmmlearn.hmm
import hmmlearn.vhmm

S, D, M = 3, 2, 2
LENGTHS = [40, 1, 70, 25]
N = sum(LENGTHS)
TYPES = ["full", "tied", "diag", "spherical"]

RNG = np.random.default_rng(5)
TRANSMAT = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.3, 0.1, 0.6]])
PATH = np.concatenate([np.zeros(1, int), RNG.integers(S, size=N - 1)])
for t in range(1, N):
    PATH[t] = RNG.choice(S, p=TRANSMAT[PATH[t - 1]])
CENTERS = np.array([[0.0, 0.0], [2.0, -1.0], [-1.5, 3.0]])
REALS = CENTERS[PATH] + RNG.normal(size=(N, D)) @ np.array([[1.0, 0.4], [0.0, 0.7]])
SYMBOLS = (PATH + (RNG.uniform(size=N) < 0.3) * RNG.integers(4, size=N))[:, None] % 4
COUNTS = RNG.poisson(np.array([[1.0, 4.0], [6.0, 2.0], [12.0, 9.0]])[PATH])
DRAWS = RNG.multinomial(7, np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]])[PATH])

MATRICES = np.array(
    [[[1.5, 0.3], [0.3, 1.0]], [[2.0, -0.4], [-0.4, 1.2]], [[0.9, 0.0], [0.0, 3.0]]]
)


def covars(type_: str) -> Any:
    variances = MATRICES.diagonal(axis1=1, axis2=2)
    return {
        "full": MATRICES, "tied": MATRICES[0], "diag": variances, "spherical": variances[:, 0],
    }[type_]  # fmt: skip


def covars_of_mixtures(type_: str) -> Any:
    if type_ == "tied":
        return MATRICES
    each = covars(type_)
    return np.stack([each, 1.5 * each], axis=1)


def law(*shape: int) -> Any:
    rows = np.random.default_rng(7).uniform(0.2, 1.0, size=shape)
    return rows / rows.sum(axis=-1, keepdims=True)


CHAIN = {"startprob_": law(S), "transmat_": law(S, S)}
PRIORS = {"startprob_prior": 1.5, "transmat_prior": np.arange(1.0, 10.0).reshape(S, S) / 4}

Case = tuple[str, dict[str, Any], dict[str, Any], Any]
"""Class, arguments, start, data."""


def gaussian(type_: str, **arguments: Any) -> Case:
    start = {**CHAIN, "means_": CENTERS + 0.5, "covars_": covars(type_)}
    return "GaussianHMM", {"covariance_type": type_, **arguments}, start, REALS


def mixture(type_: str, **arguments: Any) -> Case:
    means = np.stack([CENTERS - 0.7, CENTERS + 0.4], axis=1)
    start = {
        **CHAIN, "weights_": law(S, M), "means_": means, "covars_": covars_of_mixtures(type_),
    }  # fmt: skip
    return "GMMHMM", {"n_mix": M, "covariance_type": type_, **arguments}, start, REALS


def variational(type_: str, **arguments: Any) -> Case:
    dof = 9.0 if type_ == "tied" else np.array([5.0, 6.0, 7.0])
    start = {
        "startprob_prior_": np.full(S, 0.5), "startprob_posterior_": 3 * law(S),
        "transmat_prior_": np.full((S, S), 0.4), "transmat_posterior_": 20 * law(S, S),
        "means_prior_": np.zeros((S, D)), "means_posterior_": CENTERS + 0.5,
        "beta_prior_": np.array([1.0, 0.5, 2.0]), "beta_posterior_": np.array([20.0, 30.0, 10.0]),
        "dof_prior_": 3.0 if type_ == "tied" else np.array([3.0, 2.0, 4.0]), "dof_posterior_": dof,
        "scale_prior_": 0.3 * covars(type_), "scale_posterior_": 6 * covars(type_),
        "covars_": covars(type_),
    }  # fmt: skip
    return "VariationalGaussianHMM", {"covariance_type": type_, **arguments}, start, REALS


def prior_of_covars(type_: str) -> Any:
    return {"full": 0.2 * MATRICES, "tied": 0.2 * MATRICES[0], "diag": 0.3, "spherical": 0.3}[type_]


def cases() -> dict[str, Case]:
    rows = law(S, 4)
    found: dict[str, Case] = {}
    for type_ in TYPES:
        found[f"gaussian {type_}"] = gaussian(type_)
        found[f"gaussian {type_} with priors"] = gaussian(
            type_, **PRIORS, means_prior=CENTERS - 1.0, means_weight=2.5,
            covars_prior=prior_of_covars(type_), covars_weight=5.5,
        )  # fmt: skip
        found[f"gaussian {type_}, chain and means alone"] = gaussian(type_, params="stm")
        found[f"mixtures {type_}"] = mixture(type_)
        found[f"mixtures {type_} with priors"] = mixture(
            type_, **PRIORS, weights_prior=2.0, means_prior=0.3, means_weight=1.5,
            covars_prior={"full": 0.2, "tied": 0.2, "diag": 0.5, "spherical": 0.5}[type_],
            covars_weight={"full": 2.0, "tied": 2.0, "diag": 0.4, "spherical": 0.4}[type_],
        )  # fmt: skip
        found[f"mixtures {type_}, weights alone"] = mixture(type_, params="w")
        found[f"variational {type_}"] = variational(type_)
        found[f"variational {type_}, means alone"] = variational(type_, params="stm")
    found["categorical"] = "CategoricalHMM", {}, {**CHAIN, "emissionprob_": rows}, SYMBOLS
    found["categorical with priors"] = (
        "CategoricalHMM", {**PRIORS, "emissionprob_prior": 1.7, "n_features": 4},
        {**CHAIN, "emissionprob_": rows}, SYMBOLS,
    )  # fmt: skip
    found["categorical, a prior below 1"] = (
        "CategoricalHMM", {"transmat_prior": 0.5, "emissionprob_prior": 0.2},
        {**CHAIN, "emissionprob_": rows}, SYMBOLS,
    )  # fmt: skip
    left_right = np.array([[0.9, 0.1, 0.0], [0.0, 0.8, 0.2], [0.0, 0.0, 1.0]])
    found["categorical from left to right"] = (
        "CategoricalHMM", {"transmat_prior": 1.5},
        {"startprob_": np.array([1.0, 0, 0]), "transmat_": left_right, "emissionprob_": rows},
        SYMBOLS,
    )  # fmt: skip
    found["multinomial"] = (
        "MultinomialHMM", {"n_trials": 7}, {**CHAIN, "emissionprob_": law(S, 3)}, DRAWS,
    )  # fmt: skip
    rates = np.array([[2.0, 3.0], [5.0, 5.0], [9.0, 7.0]])
    found["poisson"] = "PoissonHMM", {}, {**CHAIN, "lambdas_": rates}, COUNTS
    found["poisson with priors"] = (
        "PoissonHMM", {**PRIORS, "lambdas_prior": 3.0, "lambdas_weight": 2.0},
        {**CHAIN, "lambdas_": rates}, COUNTS,
    )  # fmt: skip
    found["variational categorical"] = (
        "VariationalCategoricalHMM", {"n_features": 4},
        {
            "startprob_prior_": np.full(S, 0.5), "startprob_posterior_": 3 * law(S),
            "transmat_prior_": np.full((S, S), 0.4), "transmat_posterior_": 20 * law(S, S),
            "emissionprob_prior_": np.full((S, 4), 0.3), "emissionprob_posterior_": 30 * law(S, 4),
        },
        SYMBOLS,
    )  # fmt: skip
    return found


CASES = cases()
each_case = pytest.mark.parametrize("case", CASES)

LEARNED = (
    "startprob_", "transmat_", "means_", "weights_", "emissionprob_", "lambdas_",
    "startprob_posterior_", "transmat_posterior_", "emissionprob_posterior_", "means_posterior_",
    "beta_posterior_", "dof_posterior_", "scale_posterior_",
)  # fmt: skip


def theirs_and_ours(case: Case, **arguments: Any) -> tuple[Any, Any, Any]:
    name, given, start, data = case
    models = []
    theirs = hmmlearn.vhmm if name.startswith("Variational") else hmmlearn.hmm
    for module in (theirs, ours):
        model = getattr(module, name)(S, init_params="", **given, **arguments)
        for attribute, value in start.items():
            setattr(model, attribute, np.copy(value) if np.ndim(value) else value)
        models.append(model)
    models[0]._init = lambda X, lengths: None  # it runs k-means even where nothing is to begin
    models[0].n_features = 4 if name.endswith("CategoricalHMM") else data.shape[1]
    return models[0], models[1], data


def assert_same_parameters(theirs: Any, mine: Any) -> None:
    for name in LEARNED:
        assert hasattr(theirs, name) == hasattr(mine, name), name
        if hasattr(theirs, name):
            close(getattr(mine, name), getattr(theirs, name))
    if not hasattr(theirs, "covars_"):
        return
    expected = theirs.covars_
    if theirs.covariance_type == "spherical" and np.ndim(expected) == 3:
        variances = np.asarray(theirs._covars_).reshape(S, -1)[:, 0]  # its getter repeats by column
        expected = variances[:, None, None] * np.eye(D)
    close(mine.covars_, expected)


def close(mine: Any, theirs: Any) -> None:
    np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10)


@cache
def fitted(name: str) -> tuple[Any, Any, Any]:
    theirs, mine, data = theirs_and_ours(CASES[name], n_iter=15, tol=-np.inf)
    with threadpool_limits(1):  # BLAS threads on matrices of two rows take longer than all else
        theirs.fit(data, LENGTHS)
    mine.fit(data, LENGTHS)
    return theirs, mine, data


@each_case
def test_fits_agree_step_by_step(case: str) -> None:
    theirs, mine, _ = fitted(case)
    assert len(mine.monitor_.history) == 15
    close(list(mine.monitor_.history), list(theirs.monitor_.history))
    assert_same_parameters(theirs, mine)


@pytest.mark.parametrize("case", ["gaussian full", "categorical", "variational tied"])
def test_fits_stop_at_the_same_iteration(case: str) -> None:
    theirs, mine, data = theirs_and_ours(CASES[case], n_iter=300, tol=0.05)
    with threadpool_limits(1):  # BLAS threads on matrices of two rows take longer than all else
        theirs.fit(data, LENGTHS)
    mine.fit(data, LENGTHS)
    assert 5 < mine.monitor_.iter == theirs.monitor_.iter < 300
    assert mine.monitor_.converged
    assert_same_parameters(theirs, mine)


def log_joint(model: Any, data: Any, lengths: Any, states: Any) -> float:
    """Of rows and given states."""
    density = model._compute_log_likelihood(data)[np.arange(N), states]
    with np.errstate(divide="ignore"):
        steps = np.log(model.transmat_)[states[:-1], states[1:]]
        first = np.cumsum([0, *(lengths or [N])[:-1]])
        steps[first[1:] - 1] = 0.0
        return float(density.sum() + steps.sum() + np.log(model.startprob_)[states[first]].sum())


@each_case
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["one sequence", "four"])
def test_answers_agree(case: str, lengths: list[int] | None) -> None:
    theirs, mine, data = fitted(case)
    close(mine.score(data, lengths), theirs.score(data, lengths))
    for a, b in zip(
        mine.score_samples(data, lengths), theirs.score_samples(data, lengths), strict=True
    ):
        close(a, b)
    close(mine.predict_proba(data, lengths), theirs.predict_proba(data, lengths))

    value, states = mine.decode(data, lengths)
    close(value, theirs.decode(data, lengths)[0])
    close(value, log_joint(theirs, data, lengths, states))  # symbols have many paths that are best
    np.testing.assert_array_equal(mine.predict(data, lengths), states)
    value, states = mine.decode(data, lengths, algorithm="map")
    their_value, their_states = theirs.decode(data, lengths, algorithm="map")
    close(value, their_value)
    np.testing.assert_array_equal(states, their_states)


@each_case
def test_criteria_and_stationary_laws_agree(case: str) -> None:
    theirs, mine, data = fitted(case)
    if case.startswith("variational"):  # theirs have none
        assert np.isfinite([mine.aic(data), mine.bic(data)]).all()
    else:
        close(mine.aic(data, LENGTHS), theirs.aic(data, LENGTHS))
        close(mine.bic(data, LENGTHS), theirs.bic(data, LENGTHS))
        close(mine.get_stationary_distribution(), theirs.get_stationary_distribution())


@pytest.mark.parametrize("case", [case for case in CASES if "prior" not in case])
def test_draws_agree(case: str) -> None:
    theirs, mine, _ = (
        fitted(case) if case.startswith("variational") else theirs_and_ours(CASES[case])
    )
    for arguments in ({"random_state": 11}, {"random_state": 12, "currstate": 2}):
        x, states = mine.sample(40, **arguments)
        their_x, their_states = theirs.sample(40, **arguments)
        close(x, their_x)
        np.testing.assert_array_equal(states, their_states)


CLASSES = sorted({case[0] for case in CASES.values()})


@pytest.mark.parametrize("name", CLASSES)
def test_constructors_have_the_same_arguments(name: str) -> None:
    theirs = signature(getattr(hmmlearn.hmm, name, None) or getattr(hmmlearn.vhmm, name))
    mine = signature(getattr(ours, name))
    assert [(p.name, p.default, p.kind) for p in mine.parameters.values()] == [
        (p.name, p.default, p.kind) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize("case", ["categorical", "multinomial", "poisson", "gaussian diag"])
def test_random_starts_agree(case: str) -> None:
    name, given, _, data = CASES[case]
    models = [
        getattr(module, name)(S, n_iter=0, random_state=4, **given)
        for module in (hmmlearn.hmm, ours)
    ]
    theirs, mine = (model.fit(data, LENGTHS) for model in models)
    for parameter in ("startprob_", "transmat_", "emissionprob_", "lambdas_"):
        assert hasattr(theirs, parameter) == hasattr(mine, parameter)
        if hasattr(theirs, parameter):
            close(getattr(mine, parameter), getattr(theirs, parameter))
    if case == "gaussian diag":
        close(mine.covars_, theirs.covars_)
        order, their_order = (m.means_[:, 0].argsort() for m in (mine, theirs))
        np.testing.assert_allclose(mine.means_[order], theirs.means_[their_order], atol=1e-6)
