"""Bayesian hidden Markov models: the bound against the evidence of all paths, steps against hmmlearn's."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hmmlearn import vhmm
from scipy.special import gammaln
from sklearn.base import clone

import latentcore
from latentcore import (
    BayesianGaussianMixture,
    BayesianHMM,
    CategoricalHMM,
    GaussianHMM,
    VariationalCategoricalHMM,
    VariationalGaussianHMM,
)
from latentcore.errors import ConvergenceWarning, NotFittedError
from latentcore.families.categorical import Categorical
from latentcore.families.gaussian import Gaussian, GaussianPrior
from latentcore.families.mixed import MixtureFamily
from latentcore.families.priors import DirichletPrior
from latentcore.structures.hmm import HMMPrior
from laws.cases import N_COMPONENTS, Case, cases

Array = npt.NDArray[np.float64]
START = np.array([0.5, 1.5, 1.0])
STEPS = np.array([[2.0, 0.5, 0.3], [0.4, 1.5, 0.7], [0.2, 0.2, 3.0]])
TINY = [3, 1, 2]

conjugate = cases(lambda of: of.log_evidence)


def log_dirichlet_evidence(alpha: Array, counts: Array) -> float:
    """Of counts in order, by rows, under Dirichlets of alpha."""
    alpha, counts = np.atleast_2d(alpha), np.atleast_2d(counts)
    terms = (gammaln(alpha + counts) - gammaln(alpha)).sum(axis=1)
    totals = alpha.sum(axis=1)
    return float((terms + gammaln(totals) - gammaln(totals + counts.sum(axis=1))).sum())


def log_joint(case: Case, prior: Any, x: Array, states: Any, lengths: list[int]) -> float:
    """log p(rows, states), all parameters integrated out."""
    starts, transitions = np.zeros(N_COMPONENTS), np.zeros((N_COMPONENTS, N_COMPONENTS))
    for path in np.split(np.array(states), np.cumsum(lengths)[:-1]):
        starts[path[0]] += 1
        np.add.at(transitions, (path[:-1], path[1:]), 1)
    assert case.of.log_evidence is not None
    of_chain = log_dirichlet_evidence(START, starts) + log_dirichlet_evidence(STEPS, transitions)
    return of_chain + case.of.log_evidence(prior, x, np.array(states))


def model_of(case: Case, n: float, **arguments: Any) -> tuple[BayesianHMM[Any], Any]:
    assert case.of.prior is not None
    prior = case.of.prior(n)
    chain = {"startprob_prior": START, "transmat_prior": STEPS} | arguments
    return BayesianHMM(case.of.family, N_COMPONENTS, prior=prior, random_state=0, **chain), prior


@conjugate
@pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning")
def test_bound_is_below_the_evidence_of_all_paths(case: Case) -> None:
    x = case.rows.x[: sum(TINY)]
    model, prior = model_of(case, 2.0, max_iter=50)
    joints = [
        log_joint(case, prior, x, states, TINY)
        for states in itertools.product(range(N_COMPONENTS), repeat=len(x))
    ]
    evidence = np.logaddexp.reduce(joints)
    bounds = model.fit(x, lengths=TINY).lower_bounds_
    assert np.diff(bounds).min(initial=0.0) > -1e-9
    assert max(bounds) <= evidence
    assert (
        max(bounds) > evidence - 6.0
    )  # parameters and states are not independent given so few rows
    # the likeliest path by itself is a q
    likeliest = list(itertools.product(range(N_COMPONENTS), repeat=len(x)))[int(np.argmax(joints))]
    known = model.fit(x, lengths=TINY, labels=np.array(likeliest))
    assert known.lower_bound_ == pytest.approx(max(joints), rel=1e-10)
    unlabelled = model.set_params(warm_start=True, max_iter=1).fit(x, lengths=TINY)
    assert max(joints) - 1e-9 < unlabelled.lower_bound_ <= evidence


@conjugate
@pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning")
def test_bound_never_falls_and_ends_with_its_terms(case: Case) -> None:
    x, lengths = case.rows.x[:120], [50, 1, 69]
    weight = np.array([1.0, 3.0, 0.5])
    model, _ = model_of(case, 2.0, max_iter=12)
    model.fit(x, lengths=lengths, sample_weight=weight)
    bounds = np.array(model.lower_bounds_)
    assert np.diff(bounds).min() >= -1e-10 * np.abs(bounds).max()
    terms = model.elbo_terms_
    divergences = terms["divergence_of_chain"] + terms["divergence_of_emissions"].sum()
    assert model.lower_bound_ == bounds[-1]
    assert model.lower_bound_ == pytest.approx(terms["log_normaliser"] - divergences, rel=1e-13)
    assert model.expected_counts_.sum() == pytest.approx(weight @ lengths, rel=1e-10)


@conjugate
def test_one_state_has_the_exact_evidence(case: Case) -> None:
    x = case.rows.x[:20]
    assert case.of.prior is not None
    assert case.of.log_evidence is not None
    prior = case.of.prior(2.0)
    model = BayesianHMM(case.of.family, 1, prior=prior).fit(x, lengths=[13, 7])
    evidence = case.of.log_evidence(prior, x, np.zeros(len(x), int))
    assert model.lower_bound_ == pytest.approx(evidence, rel=1e-10)
    assert model.converged_


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied_spherical"])
def test_one_gaussian_state_is_one_component_of_a_bayesian_mixture(covariance_type: Any) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3)) @ np.triu(np.ones((3, 3)))
    arguments: dict[str, Any] = {
        "covariance_type": covariance_type, "mean_precision_prior": 0.3, "degrees_of_freedom_prior": 4.5,
    }  # fmt: skip
    model = VariationalGaussianHMM(1, **arguments).fit(x, lengths=[15, 25])
    mixture = BayesianGaussianMixture(
        1, weight_concentration_prior_type="dirichlet_distribution", **arguments
    ).fit(x)
    assert model.lower_bound_ == pytest.approx(mixture.lower_bound_, rel=1e-12)
    names = (
        "means_ covariances_ precisions_ mean_precision_ degrees_of_freedom_ mean_precision_prior_"
    )
    for name in [*names.split(), "mean_prior_", "degrees_of_freedom_prior_", "covariance_prior_"]:
        np.testing.assert_allclose(getattr(model, name), getattr(mixture, name), rtol=1e-12)


def start_of_chain(rng: np.random.Generator, n_states: int) -> tuple[Array, Array]:
    return rng.uniform(1, 3, n_states), rng.uniform(1, 9, (n_states, n_states))


def same_chain(theirs: Any, n_states: int, start: tuple[Array, Array]) -> None:
    theirs.startprob_prior_ = np.full(n_states, 0.5)
    theirs.transmat_prior_ = np.full((n_states, n_states), 0.3)
    theirs.startprob_posterior_, theirs.transmat_posterior_ = start


N_STEPS = 6
chain_arguments: dict[str, Any] = {
    "startprob_prior": 0.5,
    "transmat_prior": 0.3,
    "max_iter": N_STEPS,
    "tol": 0,
}


def assert_chain_of(model: Any, theirs: Any) -> None:
    np.testing.assert_allclose(model.startprob_posterior_, theirs.startprob_posterior_, rtol=1e-9)
    np.testing.assert_allclose(model.transmat_posterior_, theirs.transmat_posterior_, rtol=1e-9)
    np.testing.assert_allclose(model.transmat_, theirs.transmat_, rtol=1e-9)


def test_steps_of_codes_are_those_of_hmmlearn() -> None:
    rng = np.random.default_rng(1)
    n_states, n_codes, lengths = 3, 4, [60, 1, 40]
    x = rng.integers(n_codes, size=(101, 1))
    start, emissions = start_of_chain(rng, n_states), rng.uniform(1, 20, (n_states, n_codes))
    theirs = vhmm.VariationalCategoricalHMM(n_states, n_iter=N_STEPS, tol=-np.inf, init_params="")
    same_chain(theirs, n_states, start)
    theirs.n_features, theirs.emissionprob_posterior_ = n_codes, emissions
    theirs.emissionprob_prior_ = np.full((n_states, n_codes), 0.25)
    theirs.fit(x, lengths)
    model = VariationalCategoricalHMM(
        n_states, posterior_init=HMMPrior(*start, DirichletPrior(emissions)), **chain_arguments
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(x, lengths=lengths)
    assert_chain_of(model, theirs)
    np.testing.assert_allclose(
        model.emissionprob_posterior_, theirs.emissionprob_posterior_, rtol=1e-9
    )
    np.testing.assert_allclose(model.emissionprob_prior_, theirs.emissionprob_prior_, rtol=1e-15)
    np.testing.assert_allclose(model.emissionprob_, theirs.emissionprob_, rtol=1e-9)
    # theirs is of the posterior that a step starts from
    np.testing.assert_allclose(
        model.lower_bounds_[:-1], list(theirs.monitor_.history)[1:], rtol=1e-10
    )
    assert model.loglik(x, lengths=lengths) == pytest.approx(theirs.score(x, lengths), rel=1e-10)
    np.testing.assert_array_equal(model.predict(x, lengths=lengths), theirs.predict(x, lengths))


@pytest.mark.parametrize(
    ("covariance_type", "n_features"), [("full", 2), ("tied", 2), ("diag", 1), ("spherical", 1)]
)
def test_steps_of_gaussians_are_those_of_hmmlearn(covariance_type: Any, n_features: int) -> None:
    """Its bound leaves out the powers of 2 pi.

    Its precisions of diag and spherical are Wishart's in D dimensions, which is right for D = 1 alone.
    """
    rng = np.random.default_rng(2)
    n_states, lengths = 3, [30, 1, 40]
    x = rng.normal(size=(71, n_features)) + 4 * rng.integers(n_states, size=(71, 1))
    start = start_of_chain(rng, n_states)
    theirs = vhmm.VariationalGaussianHMM(
        n_states, covariance_type, n_iter=N_STEPS, tol=-np.inf, init_params=""
    )
    theirs.n_features = n_features
    same_chain(theirs, n_states, start)
    unit = {
        "full": np.tile(np.eye(n_features), (n_states, 1, 1)), "tied": np.eye(n_features),
        "diag": np.ones((n_states, n_features)), "spherical": np.ones(n_states),
    }[covariance_type]  # fmt: skip
    tied = covariance_type == "tied"
    theirs.means_prior_ = np.tile(np.arange(n_features) + 1.0, (n_states, 1))
    theirs.means_posterior_ = (
        rng.normal(size=(n_states, n_features)) + 4 * np.arange(n_states)[:, None]
    )
    theirs.beta_prior_, theirs.beta_posterior_ = (
        np.full(n_states, 0.7),
        np.array([20.0, 25.0, 26.0]),
    )
    theirs.dof_prior_ = 3.0 if tied else np.full(n_states, 3.0)
    theirs.dof_posterior_ = 70.0 if tied else np.array([20.0, 25.0, 26.0])
    theirs.scale_prior_, theirs.scale_posterior_ = 2 * unit, 30 * unit
    emissions = GaussianPrior(
        theirs.means_posterior_,
        theirs.beta_posterior_,
        theirs.dof_posterior_,
        theirs.scale_posterior_,
    )
    prior = GaussianPrior(
        theirs.means_prior_[:1], theirs.beta_prior_[:1], np.array([3.0]),
        theirs.scale_prior_ if tied else theirs.scale_prior_[:1],
    )  # fmt: skip
    theirs.fit(x, lengths)
    model = BayesianHMM(
        Gaussian(covariance_type), n_states, prior=prior,
        posterior_init=HMMPrior(*start, emissions), **chain_arguments,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning):
        model.fit(x, lengths=lengths)
    assert_chain_of(model, theirs)
    found = model.posterior_.emissions
    np.testing.assert_allclose(found.means, theirs.means_posterior_, rtol=1e-9)
    np.testing.assert_allclose(found.mean_precision, theirs.beta_posterior_, rtol=1e-9)
    np.testing.assert_allclose(
        np.squeeze(found.degrees_of_freedom), theirs.dof_posterior_, rtol=1e-9
    )
    np.testing.assert_allclose(found.scale, theirs.scale_posterior_, rtol=1e-8)
    constant = -0.5 * x.size * np.log(2 * np.pi)
    expected = np.array(theirs.monitor_.history)[1:] + constant
    np.testing.assert_allclose(model.lower_bounds_[:-1], expected, rtol=1e-10)


def simulated() -> tuple[Array, list[int]]:
    truth = GaussianHMM.from_params(
        [0.5, 0.3, 0.2], [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]],
        [[0.0, 0.0], [4.0, 0.0], [0.0, 5.0]], np.ones(3), covariance_type="spherical",
    )  # fmt: skip
    lengths = [80, 120, 100]
    return truth.sample(lengths, random_state=0)[0], lengths


def test_states_that_the_data_do_not_need_end_without_rows() -> None:
    x, lengths = simulated()
    bounds = {}
    for n_states in (2, 3, 6):
        model = VariationalGaussianHMM(n_states, n_init=2, max_iter=500, random_state=0)
        model.fit(x, lengths=lengths)
        bounds[n_states] = model.lower_bound_
        assert model.n_effective_components_ == min(n_states, 3)
    assert bounds[3] > max(bounds[2], bounds[6])
    empty = model.expected_counts_ < 1e-2
    assert empty.sum() == 3
    np.testing.assert_allclose(model.means_[empty], np.tile(x.mean(axis=0), (3, 1)), atol=0.1)
    np.testing.assert_allclose(model.transmat_[empty], 1 / 6, atol=0.01)
    assert set(model.predict(x, lengths=lengths)) == set(np.flatnonzero(~empty))
    assert "effective states: 3" in model.summary()
    states = model.predict(x, lengths=lengths)
    bound = model.lower_bound_
    model.prune(x, lengths=lengths)
    assert model.transmat_.shape == (3, 3)
    assert model.lower_bound_ > bound
    assert model.lower_bound_ == pytest.approx(bounds[3], abs=5.0)  # with fewer states of the prior
    kept = np.flatnonzero(~empty)
    assert (kept[model.predict(x, lengths=lengths)] == states).mean() > 0.99
    assert model.prune(x, lengths=lengths).transmat_.shape == (3, 3)
    with pytest.raises(ValueError, match=r"labels: expected integers from 0 .* = 2, .* got 3"):
        model.predict(x, lengths=lengths, labels=np.full(len(x), 3))


def test_many_rows_outweigh_the_prior() -> None:
    """Then variational Bayes is maximum likelihood, from the same start."""
    codes = CategoricalHMM.from_params(
        [0.6, 0.4], [[0.8, 0.2], [0.3, 0.7]], [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]
    ).sample([20] * 6, random_state=0)[0]
    lengths = [20] * 6
    model = VariationalCategoricalHMM(2, max_iter=500, random_state=0, tol=10.0)
    model.fit(codes, lengths=lengths, sample_weight=np.full(6, 1e7))
    likeliest = CategoricalHMM(
        2, startprob_init=model.startprob_, transmat_init=model.transmat_,
        params_init=model.components_, tol=1e-9, max_iter=1000,
    ).fit(codes, lengths=lengths)  # fmt: skip
    np.testing.assert_allclose(model.emissionprob_, likeliest.emissionprob_, atol=1e-3)
    np.testing.assert_allclose(model.transmat_, likeliest.transmat_, atol=1e-3)
    gap = likeliest.loglik(codes, lengths=lengths) - model.loglik(codes, lengths=lengths)
    assert 0 <= gap < 1e-3


def test_impossible_transitions_stay_so_and_stickiness_adds_to_the_diagonal() -> None:
    x, lengths = simulated()
    forward = np.triu(np.ones((3, 3)))
    model = VariationalGaussianHMM(
        3, startprob_prior=[1, 0, 0], transmat_prior=forward, stickiness=5.0, random_state=0, max_iter=500
    ).fit(x, lengths=lengths)  # fmt: skip
    np.testing.assert_array_equal(model.transmat_prior_, forward + 5 * np.eye(3))
    np.testing.assert_array_equal(model.transmat_ > 0, forward > 0)
    np.testing.assert_array_equal(model.startprob_, [1, 0, 0])
    states = model.predict(x, lengths=lengths)
    for path in np.split(states, np.cumsum(lengths)[:-1]):
        assert path[0] == 0
        assert (np.diff(path) >= 0).all()
    assert np.isfinite(model.lower_bound_)
    model.prune(x, lengths=lengths, tol=1e9)  # whatever the bound: but where sequences begin stays
    assert len(model.startprob_) < 3
    assert model.startprob_[0] == 1
    cycle = VariationalGaussianHMM(
        3, transmat_prior=np.roll(np.eye(3), 1, axis=1), random_state=0, max_iter=500
    )
    assert cycle.fit(x, lengths=lengths).prune(x, lengths=lengths, tol=1e9).startprob_.shape == (3,)


def test_a_sequence_of_weight_two_counts_twice() -> None:
    x, _ = simulated()
    first, second = x[:50], x[50:90]
    arguments: dict[str, Any] = {
        "max_iter": 5,
        "tol": 0,
        "mean_prior": [0, 0],
        "covariance_prior": np.eye(2),
    }
    begin = (
        VariationalGaussianHMM(3, random_state=0, **{**arguments, "max_iter": 0}).fit(x).posterior_
    )
    fits = []
    for data, weight in (([first, second], [2.0, 1.0]), ([first, first, second], None)):
        model = VariationalGaussianHMM(3, posterior_init=begin, **arguments)
        with pytest.warns(ConvergenceWarning):
            fits.append(model.fit(data, sample_weight=weight))
    np.testing.assert_allclose(fits[0].lower_bounds_, fits[1].lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(fits[0].means_, fits[1].means_, rtol=1e-10)


@pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning")
def test_results_do_not_depend_on_the_number_of_threads() -> None:
    x = np.tile(simulated()[0], (100, 1))
    one, three = (
        BayesianHMM(Gaussian("diag"), 16, max_iter=1, tol=1e9, init_params="random", random_state=0, n_threads=n)
        .fit(x, lengths=[100] * 300)
        for n in (1, 3)
    )  # fmt: skip
    assert one.lower_bounds_ == three.lower_bounds_
    np.testing.assert_array_equal(one.transmat_posterior_, three.transmat_posterior_)
    np.testing.assert_array_equal(one.components_.means, three.components_.means)


def test_answers_are_those_of_the_means_of_the_posterior() -> None:
    x, lengths = simulated()
    model = VariationalGaussianHMM(3, random_state=0).fit(x, lengths=lengths)
    plug_in = GaussianHMM.from_params(
        model.startprob_, model.transmat_, model.means_, model.covariances_
    )
    assert model.loglik(x, lengths=lengths) == pytest.approx(
        plug_in.loglik(x, lengths=lengths), rel=1e-12
    )
    np.testing.assert_array_equal(
        model.predict(x, lengths=lengths), plug_in.predict(x, lengths=lengths)
    )
    alpha = model.transmat_posterior_
    np.testing.assert_allclose(
        model.transmat_, alpha / alpha.sum(axis=1, keepdims=True), rtol=1e-14
    )
    assert model.forecast(2, x[:80]).state_probabilities.shape == (2, 3)
    for criterion in (model.aic, model.bic):
        with pytest.raises(TypeError, match="compare lower_bound_"):
            criterion(x, lengths=lengths)


def test_states_can_be_mixtures() -> None:
    x, lengths = simulated()
    model = BayesianHMM(MixtureFamily(Gaussian("diag"), 2), 4, random_state=0, max_iter=60, tol=1.0)
    model.fit(x, lengths=lengths)
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)
    assert model.components_.components.means.shape == (8, 2)
    before = model.loglik(x, lengths=lengths)
    model.relabel([2, 0, 3, 1])
    assert model.loglik(x, lengths=lengths) == pytest.approx(before, rel=1e-12)


def test_a_missing_code_is_left_out() -> None:
    """A step without an observation: as if the row's density were one in every state."""
    x = np.array([[0.0], [np.nan], [1.0], [1.0], [np.nan]])
    model = VariationalCategoricalHMM(1, emissionprob_prior=[0.5, 2.0]).fit(x)
    counts = np.array([1.0, 2.0])
    assert model.lower_bound_ == pytest.approx(
        log_dirichlet_evidence(np.array([0.5, 2.0]), counts), rel=1e-12
    )
    np.testing.assert_allclose(model.emissionprob_posterior_, [[1.5, 4.0]])


def test_a_row_without_an_observation_is_a_step_of_the_chain() -> None:
    """In one state the bound is the evidence of the other rows; in two the states go on through the gap."""
    x, _ = simulated()
    gap = x.copy()
    gap[10:13] = np.nan
    prior: dict[str, Any] = {"mean_prior": [0, 0], "covariance_prior": np.eye(2)}
    seen = np.delete(x, [10, 11, 12], axis=0)
    one = VariationalGaussianHMM(1, **prior).fit(gap)
    assert one.lower_bound_ == pytest.approx(
        VariationalGaussianHMM(1, **prior).fit(seen).lower_bound_, rel=1e-12
    )
    model = VariationalGaussianHMM(3, random_state=0, max_iter=500).fit(gap)
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)
    assert model.expected_counts_.sum() == pytest.approx(len(x))
    np.testing.assert_allclose(model.prior_.emissions.means[0], seen.mean(axis=0), rtol=1e-12)
    assert model.family_ == Gaussian("full")
    x[5, 1] = np.nan
    assert np.isfinite(model.predict_proba(x)).all()
    with pytest.raises(ValueError, match=r"missing as a whole.* got NaN in row 5, column 1, alone"):
        model.fit(x)


@pytest.mark.parametrize(
    "model",
    [
        VariationalGaussianHMM(4, covariance_type="tied", random_state=0, stickiness=2.0, max_iter=500),
        BayesianHMM(Gaussian("diag"), 4, random_state=0, transmat_prior=np.full((4, 4), 0.5), max_iter=500),
    ],
    ids=["gaussian", "family"],
)  # fmt: skip
def test_models_are_saved_pickled_cloned_and_relabelled(model: Any, tmp_path: Path) -> None:
    x, lengths = simulated()
    model = clone(model).fit(x, lengths=lengths)
    model.save(tmp_path / "model.npz")
    for other in (latentcore.load(tmp_path / "model.npz"), pickle.loads(pickle.dumps(model))):
        assert type(other) is type(model)
        assert other.lower_bound_ == model.lower_bound_
        assert other.lower_bounds_ == model.lower_bounds_
        assert other.elbo_terms_["divergence_of_chain"] == model.elbo_terms_["divergence_of_chain"]
        assert other.loglik(x, lengths=lengths) == model.loglik(x, lengths=lengths)
        np.testing.assert_array_equal(other.transmat_posterior_, model.transmat_posterior_)
    again = clone(model).fit(x, lengths=lengths)
    assert again.lower_bounds_ == model.lower_bounds_
    means, counts = model.components_.means[:, 0], model.expected_counts_
    model.relabel(by=lambda m: m.components_.means[:, 0])
    np.testing.assert_array_equal(model.components_.means[:, 0], np.sort(means))
    np.testing.assert_allclose(model.expected_counts_, counts[np.argsort(means)], atol=1e-9)
    assert model.loglik(x, lengths=lengths) == pytest.approx(
        again.loglik(x, lengths=lengths), rel=1e-12
    )


def test_a_fit_goes_on_where_the_last_one_ended() -> None:
    x, lengths = simulated()
    model = VariationalGaussianHMM(3, max_iter=3, tol=0, random_state=0, warm_start=True)
    once = VariationalGaussianHMM(3, max_iter=6, tol=0, random_state=0)
    with pytest.warns(ConvergenceWarning):
        first = model.fit(x, lengths=lengths).lower_bounds_
    with pytest.warns(ConvergenceWarning):
        second = model.fit(x, lengths=lengths).lower_bounds_
    with pytest.warns(ConvergenceWarning):
        once.fit(x, lengths=lengths)
    np.testing.assert_allclose([*first, *second], once.lower_bounds_, rtol=1e-12)
    with pytest.raises(ValueError, match="warm_start: expected the n_components = 3"):
        model.set_params(n_components=2).fit(x, lengths=lengths)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"startprob_prior": [1.0, 2.0, 3.0]}, ValueError, r"startprob_prior: expected a number or shape \(2,\)"),
        ({"transmat_prior": [[1.0, -1.0], [1, 1]]}, ValueError, "transmat_prior: expected numbers > 0"),
        ({"transmat_prior": [[0.0, 0.0], [1, 1]]}, ValueError, "transmat_prior: .* got only zeros"),
        ({"startprob_prior": np.nan}, ValueError, "startprob_prior"),
        ({"stickiness": -1.0}, ValueError, "stickiness"),
        ({"emissionprob_prior": [1.0, 2.0]}, ValueError, r"emissionprob_prior: expected a number or shape \(3,\)"),
        ({"emissionprob_prior": 0.0}, ValueError, "emissionprob_prior: expected numbers > 0, got 0"),
        ({"n_categories": 2}, ValueError, "row 2, column 0"),
        ({"posterior_init": DirichletPrior(1.0)}, TypeError, "posterior_init: expected an HMMPrior"),
        (
            {"posterior_init": HMMPrior(np.ones(3), np.ones((3, 3)), DirichletPrior(np.ones((3, 3))))},
            ValueError, "posterior_init: expected n_components = 2 states, got 3",
        ),
        (
            {
                "transmat_prior": [[1.0, 0.0], [1.0, 1.0]],
                "posterior_init": HMMPrior(np.ones(2), np.ones((2, 2)), DirichletPrior(np.ones((2, 3)))),
            },
            ValueError, "posterior_init: expected zeros where the prior",
        ),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(arguments: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        VariationalCategoricalHMM(2, **arguments).fit(np.array([[0], [1], [2], [1]]))


def test_what_is_no_conjugate_family_or_prior_is_refused() -> None:
    x = np.ones((5, 1))
    with pytest.raises(TypeError, match="family: expected a name or an object with a method"):
        BayesianHMM("gamma", 2).fit(x)
    with pytest.raises(TypeError, match="prior: expected a DirichletPrior for Categorical"):
        BayesianHMM(Categorical((2,)), 2, prior=GaussianPrior([[0.0]], 1.0, 1.0, [[[1.0]]])).fit(x)
    with pytest.raises(TypeError, match="prior: expected None or the family's prior"):
        BayesianHMM(Categorical((2,)), 2, prior="weak").fit(x)
    with pytest.raises(NotFittedError):
        BayesianHMM("poisson", 2).predict(x)
