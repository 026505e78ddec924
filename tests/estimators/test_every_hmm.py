"""Hidden Markov models of all families have one face: the same promises, kept against all paths enumerated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone

from estimators.drawn_rows import (
    COUNTS,
    NORMAL,
    RATES,
    SHARES,
    Y,
    arrays_of,
    ascending,
    with_holes,
)
from estimators.hmm_cases import (
    BEGINS,
    CASES,
    CHAIN,
    LENGTHS,
    ORDER,
    SHORT,
    STARTPROB,
    TRANSMAT,
    Case,
    Enumerated,
    Z,
    assert_same,
    cases,
    enumerated,
    fitted,
    from_truth,
    missing_cases,
    parameters,
    prior_cases,
    quiet,
)
from latentcore import (
    HMM,
    GaussianHMM,
    MultinomialHMM,
    PoissonHMM,
)
from latentcore.engine import Progress
from latentcore.families.bernoulli import BetaPrior
from latentcore.families.priors import GammaPrior
from latentcore.sequences import Sequences
from latentcore.structures.hmm import HMMPrior
from laws.numpy_poisson import NumpyPoisson

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
    absorbing = PoissonHMM.from_params([1, 0], [[0.5, 0.5], [0.0, 1.0]], RATES)
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


@pytest.mark.parametrize("case", [c for c in CASES if c.name != "gaussian mixtures"], ids=str)
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


@cases
def test_known_states_hold_in_answers(case: Case) -> None:
    model, x = case.given(), case.x[SHORT[0]]
    known = np.array([-1, 1, -1, -1, 0, -1])
    truth = enumerated(case, model, x)
    possible = (truth.paths[:, 1] == 1) & (truth.paths[:, 4] == 0)
    truth = Enumerated(truth.paths[possible], truth.log_joint[possible])
    np.testing.assert_allclose(model.predict_proba(x, labels=known), truth.laws, atol=1e-10)
    best = truth.paths[truth.log_joint.argmax()]
    np.testing.assert_array_equal(model.predict(x, labels=known), best)
    log_joint, states = model.decode(x, labels=known)
    assert log_joint == pytest.approx(truth.log_joint.max(), rel=1e-10)
    np.testing.assert_array_equal(states, best)
    drawn = model.sample_posterior_paths(x, 50, labels=known, random_state=0)
    assert (drawn[:, [1, 4]] == [1, 0]).all()
    with pytest.raises(ValueError, match="labels: expected integers from 0 to n_components - 1"):
        model.predict(x, labels=known + 1)


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


@pytest.mark.parametrize("case", [c for c in CASES if c.name != "a user's own"], ids=str)
def test_row_of_nan_is_a_step_without_evidence(case: Case) -> None:
    model, x = case.given(), case.x[SHORT[0]].copy()
    x[[2, 3]] = np.nan
    truth = enumerated(case, model, np.where(np.isnan(x), case.x[:1], x))
    first = case.log_density(model, case.x[[0, 0]])[0]
    log_joint = truth.log_joint - first[truth.paths[:, 2]] - first[truth.paths[:, 3]]
    truth = Enumerated(truth.paths, log_joint)
    assert model.loglik(x) == pytest.approx(truth.total, rel=1e-9)
    np.testing.assert_allclose(model.predict_proba(x), truth.laws, atol=1e-9)
    fit = from_truth(case, max_iter=500).fit(x)
    assert ascending(fit.lower_bounds_)
    completed = fit.impute(x)
    assert np.isfinite(completed).all()
    np.testing.assert_array_equal(
        np.delete(completed, [2, 3], axis=0), np.delete(x, [2, 3], axis=0)
    )


def test_single_count_of_several_outcomes_cannot_be_missing() -> None:
    x = COUNTS[:20].copy()
    x[4], x[7, 1] = np.nan, np.nan
    for call in (MultinomialHMM(2).fit, MultinomialHMM.from_params(*CHAIN, SHARES).predict):
        with pytest.raises(ValueError, match="none missing, got nan in row 7, column 1"):
            call(x)
