"""Likelihoods, posteriors, paths and a step of Baum-Welch against hmmlearn 0.3, where it has no prior or floor.

Its ``score`` is a total, its prior of covariances is switched off.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hmmlearn import hmm as hmmlearn

from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.sequences import Sequences
from latentcore.structures import hmm_inference
from latentcore.structures.hmm import HMM, HMMParams

Array = npt.NDArray[np.float64]
S, D, N_SYMBOLS = 3, 2, 5
LENGTHS = np.array([40, 1, 3, 120, 2, 34])
INITIAL = np.array([0.6, 0.3, 0.1])
TRANSITION = np.array([[0.9, 0.1, 0.0], [0.1, 0.7, 0.2], [0.3, 0.0, 0.7]])


@dataclass(frozen=True)
class Case:
    """The same model twice, rows for both, and what the step of the peer found, by the names of ours."""

    model: HMM[Any, Any]
    params: HMMParams[Any]
    rows: Sequences
    peer: Any
    peer_rows: Array
    learned: Callable[[Any], dict[str, Array]]


def states(rng: np.random.Generator) -> npt.NDArray[np.intp]:
    drawn = []
    for length in LENGTHS:
        law = INITIAL
        for _ in range(length):
            drawn.append(int(rng.choice(S, p=law)))
            law = TRANSITION[drawn[-1]]
    return np.array(drawn)


def case(family: Any, emissions: Any, x: Any, peer: Any, learned: Any, **of_peer: Any) -> Case:
    peer.startprob_, peer.transmat_ = INITIAL, TRANSITION
    for name, value in of_peer.items():
        setattr(peer, name, value)
    wide = np.ascontiguousarray(x, dtype=np.float64)
    rows = Sequences(wide, np.append(0, LENGTHS.cumsum()))
    return Case(HMM(family), HMMParams(INITIAL, TRANSITION, emissions), rows, peer, x, learned)


def gaussian_case(covariance_type: Any, options: dict[str, Any]) -> Case:
    rng = np.random.default_rng(3)
    factor = rng.normal(size=(S, D, D))
    full = factor @ factor.transpose(0, 2, 1) + 0.3 * np.eye(D)
    covariances = {
        "full": full, "tied": full[0], "diag": np.ascontiguousarray(full.diagonal(axis1=1, axis2=2)),
        "spherical": np.ascontiguousarray(full[:, 0, 0]),
    }[covariance_type]  # fmt: skip
    means = np.array([[0.0, 0.0], [1.5, 0.5], [0.0, 2.0]])
    x = means[states(rng)] + rng.normal(size=(LENGTHS.sum(), D))
    peer = hmmlearn.GaussianHMM(
        S, covariance_type, min_covar=0.0, covars_prior=0.0, covars_weight=1.0, **options
    )
    family = Gaussian(covariance_type)

    def learned(peer: Any) -> dict[str, Array]:
        found = peer.covars_
        if covariance_type == "spherical":  # after a fit, each of them D times
            found = found[::D, 0, 0]
        if covariance_type == "diag":
            found = found.diagonal(axis1=1, axis2=2)
        if covariance_type == "tied":
            found = found[0]
        return {"means": peer.means_, "covariances": found}

    emissions = family.params(means, covariances)
    return case(family, emissions, x, peer, learned, means_=means, covars_=covariances)


def poisson_case(_: Any, options: dict[str, Any]) -> Case:
    rng = np.random.default_rng(4)
    rates = np.array([[1.0, 8.0], [3.0, 2.0], [9.0, 9.0]])
    x = rng.poisson(rates[states(rng)])
    peer = hmmlearn.PoissonHMM(S, lambdas_prior=0.0, lambdas_weight=0.0, **options)
    return case(
        Poisson(),
        PoissonParams(rates),
        x,
        peer,
        lambda peer: {"rates": peer.lambdas_},
        lambdas_=rates,
    )


def categorical_case(_: Any, options: dict[str, Any]) -> Case:
    rng = np.random.default_rng(5)
    law = rng.dirichlet(np.ones(N_SYMBOLS), S)
    law[0] = [0.5, 0.5, 0.0, 0.0, 0.0]
    x = np.array([rng.choice(N_SYMBOLS, p=law[state]) for state in states(rng)])[:, None]
    peer = hmmlearn.CategoricalHMM(S, n_features=N_SYMBOLS, **options)
    family = Categorical((N_SYMBOLS,))
    emissions = CategoricalParams(law)
    return case(
        family, emissions, x, peer, lambda peer: {"probabilities": peer.emissionprob_},
        emissionprob_=law,
    )  # fmt: skip


MAKERS: dict[str, tuple[Callable[[Any, dict[str, Any]], Case], Any]] = {
    "full": (gaussian_case, "full"),
    "tied": (gaussian_case, "tied"),
    "diag": (gaussian_case, "diag"),
    "spherical": (gaussian_case, "spherical"),
    "poisson": (poisson_case, None),
    "categorical": (categorical_case, None),
}


@cache
def made(name: str, implementation: str) -> Case:
    make, argument = MAKERS[name]
    options = {"implementation": implementation, "init_params": "", "n_iter": 1, "tol": 0.0}
    return make(argument, options)


every_case = pytest.mark.parametrize("name", MAKERS)
both_implementations = pytest.mark.parametrize("implementation", ["log", "scaling"])


@every_case
@both_implementations
def test_log_likelihood_is_that_of_hmmlearn(name: str, implementation: str) -> None:
    of = made(name, implementation)
    ours = hmm_inference.log_likelihoods(of.model, of.params, of.rows)
    theirs = [of.peer.score(of.peer_rows[a:b]) for a, b in itertools.pairwise(of.rows.begins)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-11)
    assert of.peer.score(of.peer_rows, LENGTHS) == pytest.approx(ours.sum(), rel=1e-11)


@every_case
@both_implementations
def test_posteriors_are_those_of_hmmlearn(name: str, implementation: str) -> None:
    of = made(name, implementation)
    ours = hmm_inference.posteriors(of.model, of.params, of.rows)
    theirs = of.peer.predict_proba(of.peer_rows, LENGTHS)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11)


@every_case
def test_paths_are_those_of_hmmlearn(name: str) -> None:
    of = made(name, "log")
    ours, log_joint = hmm_inference.paths(of.model, of.params, of.rows)
    total, theirs = of.peer.decode(of.peer_rows, LENGTHS, algorithm="viterbi")
    np.testing.assert_array_equal(ours, theirs)
    assert log_joint.sum() == pytest.approx(total, rel=1e-11)
    by_posterior = of.peer.decode(of.peer_rows, LENGTHS, algorithm="map")[1]
    ours = hmm_inference.posterior_states(of.model, of.params, of.rows)
    np.testing.assert_array_equal(ours, by_posterior)


@every_case
@both_implementations
def test_a_step_of_baum_welch_is_that_of_hmmlearn(name: str, implementation: str) -> None:
    of = MAKERS[name][0](MAKERS[name][1], {
        "implementation": implementation, "init_params": "", "n_iter": 1, "tol": 0.0,
    })  # fmt: skip
    stats, log_likelihood = of.model.expected_statistics(of.params, of.rows)
    ours = of.model.maximize(stats, of.params)
    of.peer.fit(of.peer_rows, LENGTHS)
    assert of.peer.monitor_.history[0] == pytest.approx(log_likelihood, rel=1e-11)
    np.testing.assert_allclose(ours.initial, of.peer.startprob_, rtol=0, atol=1e-11)
    np.testing.assert_allclose(ours.transition, of.peer.transmat_, rtol=0, atol=1e-11)
    for field, theirs in of.learned(of.peer).items():
        np.testing.assert_allclose(getattr(ours.emissions, field), theirs, rtol=1e-10, atol=1e-12)
