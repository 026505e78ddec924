"""Automatic steps: what they are made of, that they fall while a model stays and rise when it moves."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from latentcore.arrays import Rows
from latentcore.errors import ImpossibleRowError
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import GammaPrior
from latentcore.rules.auto_step import AutoOnlineEM, AutoState
from latentcore.rules.online import Batch, OnlineEM
from latentcore.rules.steps import ConstantStep, PowerStep
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior
from laws.cases import assert_identical

Array = npt.NDArray[np.float64]

GAUSSIAN: Any = Mixture(Gaussian("diag"))
CENTERS = np.array([[0.0, 0.0], [4.0, 1.0], [-3.0, 5.0]])
N = 100


def start() -> Any:
    components = GAUSSIAN.family.params(CENTERS + 1.0, np.full((3, 2), 3.0))
    return MixtureParams(np.full(3, 1 / 3), components)


def stream(n_batches: int, moved_at: int | None = None) -> Iterator[Rows]:
    """Batches of a mixture; all of it moves at once."""
    rng = np.random.default_rng(7)
    for t in range(n_batches):
        centers = CENTERS if moved_at is None or t < moved_at else CENTERS - 4.0
        yield Rows(centers[rng.integers(3, size=N)] + rng.normal(size=(N, 2)))


def learned(rule: Any, batches: Iterator[Rows], params: Any = None) -> tuple[list[Any], Array]:
    """All states, and the log-likelihoods of each batch before it was learned from, per row."""
    states, scores = [rule.init(start() if params is None else params)], []
    for rows in batches:
        state, info = rule.step(
            states[-1], lambda p, x=rows: rule_model(rule).expected_statistics(p, x), Batch(N)
        )
        states.append(state)
        scores.append(info.objective / N)
    return states, np.array(scores)


def rule_model(rule: Any) -> Any:
    return rule.rule.model if isinstance(rule, AutoOnlineEM) else rule.model


def test_steps_fall_while_the_model_stays() -> None:
    """About as 1 / t, by which all batches would count alike."""
    states, scores = learned(AutoOnlineEM(OnlineEM(GAUSSIAN)), stream(300))
    etas = [state.eta for state in states]
    assert 0.1 / 30 < etas[30] < 10 / 30
    assert 0.1 / 300 < etas[300] < 10 / 300
    assert etas[300] < etas[30] < etas[5]
    for eta in (0.5, 0.1, 0.02):
        _, constant = learned(OnlineEM(GAUSSIAN, ConstantStep(eta)), stream(300))
        assert scores.mean() > constant.mean()


def test_steps_rise_when_the_model_moves_and_fall_again() -> None:
    states, scores = learned(AutoOnlineEM(OnlineEM(GAUSSIAN)), stream(350, moved_at=200))
    etas = np.array([state.eta for state in states])
    assert etas[200] < 0.05
    assert etas[201:216].max() >= 0.5
    assert etas[350] < 0.05
    _, decreasing = learned(OnlineEM(GAUSSIAN), stream(350, moved_at=200))
    assert scores[210:].mean() > decreasing[210:].mean() + 0.02
    _, slow = learned(OnlineEM(GAUSSIAN, ConstantStep(float(etas[200]))), stream(350, moved_at=200))
    assert scores[210:].mean() > slow[210:].mean() + 0.1


def test_between_changes_both_learners_are_online_em_with_constant_steps() -> None:
    """And the evidence is the difference of what they said of the batches."""
    rule = AutoOnlineEM(OnlineEM(GAUSSIAN), eta=0.1, enough=1e9)
    states, _ = learned(rule, stream(12))
    slow, slow_scores = learned(OnlineEM(GAUSSIAN, ConstantStep(0.1)), stream(12))
    fast, fast_scores = learned(OnlineEM(GAUSSIAN, ConstantStep(0.2)), stream(12))
    assert_identical(states[-1].slow.params, slow[-1].params)
    assert_identical(states[-1].fast.params, fast[-1].params)
    difference = N * (fast_scores - slow_scores).sum()
    assert states[-1].evidence == pytest.approx(difference, rel=1e-9)
    assert states[-1].params is states[-1].fast.params  # the start is far off
    assert difference > 0
    assert (states[-1].n_steps, states[-1].seen) == (12, 12 * N)


@pytest.mark.parametrize("up", [True, False])
def test_enough_evidence_changes_both_step_sizes(up: bool) -> None:
    """Both go on from the learner that it favours, with the statistics by which that was scored."""
    batches = list(stream(3))
    rule: AutoOnlineEM[Any, Any] = AutoOnlineEM(OnlineEM(GAUSSIAN), eta=0.25)
    state = learned(replace(rule, enough=1e9), iter(batches[:2]))[0][-1]
    state = replace(state, evidence=50.0 if up else -50.0)
    asked: list[Any] = []

    def expectation(params: Any) -> Any:
        asked.append(params)
        return GAUSSIAN.expected_statistics(params, batches[2])

    after, info = rule.step(state, expectation, Batch(N))
    assert len(asked) == 2
    assert (after.eta, after.evidence) == (0.5 if up else 0.125, 0.0)
    assert after.leader is after.slow
    favoured = state.fast if up else state.slow
    assert info.eta == (0.5 if up else 0.25)
    assert info.objective == GAUSSIAN.expected_statistics(favoured.params, batches[2])[1]
    for got, eta in ((after.slow, after.eta), (after.fast, 2 * after.eta)):
        expected, _ = OnlineEM(GAUSSIAN, ConstantStep(eta)).step(favoured, expectation, Batch(N))
        assert_identical(got.params, expected.params)


def test_learners_that_are_alike_are_scored_once() -> None:
    asked: list[Any] = []
    [rows] = stream(1)

    def expectation(params: Any) -> Any:
        asked.append(params)
        return GAUSSIAN.expected_statistics(params, rows)

    rule: AutoOnlineEM[Any, Any] = AutoOnlineEM(OnlineEM(GAUSSIAN))
    state = rule.init(start())
    assert_identical(state.params, start())
    rule.step(state, expectation, Batch(N))
    assert len(asked) == 1


def test_the_prior_is_no_evidence() -> None:
    """It is in the objective, of which the evidence takes the log-likelihood alone."""
    prior = MixturePrior(np.full(2, 2.0), GammaPrior(np.full((1, 1), 30.0), np.full((1, 1), 2.0)))
    model: Any = Mixture(Poisson())
    params = MixtureParams(np.full(2, 0.5), PoissonParams(np.array([[1.0], [7.0]])))
    rows = Rows(np.random.default_rng(1).poisson(4.0, (N, 1)).astype(float))
    rule: AutoOnlineEM[Any, Any] = AutoOnlineEM(OnlineEM(model, prior=prior), enough=1e9)
    states, _ = learned(rule, iter([rows, rows]), params)
    before, after = states[1], states[2]
    values = [model.expected_statistics(s.params, rows)[1] for s in (before.fast, before.slow)]
    assert after.evidence - before.evidence == pytest.approx(values[0] - values[1], rel=1e-12)
    _, info = rule.step(states[0], lambda p: model.expected_statistics(p, rows), Batch(N))
    log_prior = model.log_prior(prior, params)
    assert info.objective == model.expected_statistics(params, rows)[1] + log_prior


@pytest.mark.parametrize("where", ["rows", "components"])
def test_what_the_faster_learner_cannot_do_is_evidence_for_the_slower_one(where: str) -> None:
    rule: AutoOnlineEM[Any, Any] = AutoOnlineEM(OnlineEM(GAUSSIAN), enough=1e9)
    state = replace(learned(rule, stream(3))[0][-1], evidence=5.0)
    [rows] = stream(1)

    def expectation(params: Any) -> Any:
        stats, log_likelihood = GAUSSIAN.expected_statistics(params, rows)
        if params is state.slow.params:
            return stats, log_likelihood
        if where == "rows":
            raise ImpossibleRowError(3)
        components = replace(stats.components, scatters=np.full((3, 2), -1e9))
        return replace(stats, components=components), log_likelihood

    after, info = rule.step(state, expectation, Batch(N))
    assert (after.eta, after.evidence) == (state.eta / 2, 0.0)
    expected = replace(rule.rule, step_size=ConstantStep(state.eta))
    slow, _ = expected.step(state.slow, expectation, Batch(N))
    assert_identical((after.slow if where == "components" else after.fast).params, slow.params)
    assert info.eta == (2 * state.eta if where == "components" else state.eta)


def test_what_neither_can_do_is_an_error() -> None:
    def expectation(params: Any) -> Any:
        raise ImpossibleRowError(7)

    rule: AutoOnlineEM[Any, Any] = AutoOnlineEM(OnlineEM(GAUSSIAN))
    with pytest.raises(ImpossibleRowError, match="row 7"):
        rule.step(learned(rule, stream(3))[0][-1], expectation, Batch(N))


def test_a_state_goes_on_where_it_was_pickled() -> None:
    rule: Any = AutoOnlineEM(OnlineEM(GAUSSIAN, averaging=True))
    batches = list(stream(10))
    whole = learned(rule, iter(batches))[0][-1]
    state: AutoState[Any, Any] = pickle.loads(pickle.dumps(learned(rule, iter(batches[:4]))[0][-1]))
    for rows in batches[4:]:
        state, _ = rule.step(state, lambda p, x=rows: GAUSSIAN.expected_statistics(p, x), Batch(N))
    assert_identical(state, whole)
    assert_identical(rule.averaged(state), rule.rule.averaged(whole.leader))


@pytest.mark.parametrize("name", ["eta", "factor", "enough"])
def test_arguments_are_checked(name: str) -> None:
    for value in (-1.0, np.inf, np.nan, 0.0):
        with pytest.raises(ValueError, match=rf"^{name}: expected a finite number > [01], got "):
            AutoOnlineEM(OnlineEM(GAUSSIAN, PowerStep()), **{name: value})
