"""Hidden Markov models of every family: the score, the limits, segments, known states, Viterbi training, CAVI."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import special

from latentcore.errors import ImpossibleSequenceError
from latentcore.families.linear import Linear
from latentcore.rules.cavi import CAVI, StochasticVI
from latentcore.rules.em import EM
from latentcore.sequences import Sequences
from latentcore.structures import hmm_recursions as recursions
from latentcore.structures.hmm import HMM, HMMParams, HMMPrior
from latentcore.structures.mixture import Mixture, MixtureParams
from laws.cases import (
    BEGINS,
    N_COMPONENTS,
    N_FEATURES,
    N_ROWS,
    PRECISIONS,
    WEIGHTS,
    Array,
    ChainCase,
    assert_identical,
    assert_near,
    cases,
    every_chain,
    every_double_chain,
)
from laws.test_score import derivative

variational = cases(lambda of: of.log_evidence, structures=(ChainCase,))
hard_or_soft = pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])


def some_labels(unknown: float) -> Any:
    rng = np.random.default_rng(8)
    labels = rng.integers(N_COMPONENTS, size=N_ROWS).astype(np.int32)
    labels[rng.uniform(size=N_ROWS) < unknown] = -1
    return labels


def ascent(rule: Any, model: Any, rows: Sequences, start: Any, n: int) -> tuple[Any, Array]:
    """The last state and the objectives of some steps."""
    state, found = rule.init(start), []
    for _ in range(n):
        state, info = rule.step(state, lambda p: model.expected_statistics(p, rows))
        found.append(info.objective)
    return state.params, np.array(found)


def assert_never_decreases(objectives: Array, case: ChainCase) -> None:
    rounding = 1e-10 if case.dtype is np.float64 else 1e-6
    assert np.diff(objectives).min() >= -rounding * (1 + np.abs(objectives).max())
    assert objectives[-1] > objectives[0]


# -- statistics


@every_chain
def test_log_likelihood_is_the_sum_over_paths(case: ChainCase) -> None:
    rows = case.weighted_rows
    _, log_likelihood = case.model.expected_statistics(case.params, rows)
    slow = case.slow_log_likelihood(case.params, rows)
    assert log_likelihood == pytest.approx(slow, rel=case.tolerance)


@every_double_chain
def test_statistics_beyond_expectation_are_the_score(case: ChainCase) -> None:
    """Fisher's identity, for the logits of the chain's laws and the natural parameters of emissions."""
    rows, params, k = case.weighted_rows, case.params, 1
    stats, _ = case.model.expected_statistics(params, rows)
    tilted = np.arange(N_COMPONENTS) == k

    def log_likelihood(**moved: Any) -> float:
        return case.slow_log_likelihood(replace(params, **moved), rows)

    def tilt(laws: Array, h: float) -> Array:
        laws = laws * np.exp(h * tilted)
        return laws / laws.sum(axis=-1, keepdims=True)

    close = 1e-6 * N_ROWS
    score = stats.starts[k] - rows.sample_weight.sum() * params.initial[k]
    found = derivative(lambda h: log_likelihood(initial=tilt(params.initial, h)))
    assert found == pytest.approx(score, abs=close)
    score = stats.transitions[:, k].sum() - stats.transitions.sum(axis=1) @ params.transition[:, k]
    found = derivative(lambda h: log_likelihood(transition=tilt(params.transition, h)))
    assert found == pytest.approx(score, abs=close)
    if case.of.tilt is None:
        return
    expected = case.of.family.model_statistics(params.emissions, stats.counts)
    score = (case.of.sums(stats.emissions) - case.of.sums(expected))[k]
    tilt_of = case.of.tilt

    def tilted_emissions(d: int, h: float) -> float:
        return log_likelihood(emissions=tilt_of(params.emissions, k, d, h))

    for d in range(N_FEATURES):
        found = derivative(functools.partial(tilted_emissions, d))
        assert found == pytest.approx(score[d], abs=close)


@every_chain
@hard_or_soft
@pytest.mark.parametrize("unknown", [1.0, 0.7], ids=["none known", "some known"])
def test_segments_change_nothing_but_rounding(
    case: ChainCase, hard: bool, unknown: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = HMM(case.of.family, hard)
    rows = replace(case.weighted_rows, labels=some_labels(unknown))
    expected, objective = model.expected_statistics(case.params, rows)
    monkeypatch.setattr(recursions, "_BLOCK_ELEMENTS", 40 * N_COMPONENTS)
    for name in ("_SEGMENT_ELEMENTS", "_WHOLE_ELEMENTS", "_WHOLE_PATH_ELEMENTS"):
        monkeypatch.setattr(recursions, name, 10 * N_COMPONENTS)
    stats, value = model.expected_statistics(case.params, rows)
    assert_near(stats, expected, 10 * case.tolerance)
    assert value == pytest.approx(objective, rel=case.tolerance)


# -- limits


@every_chain
@hard_or_soft
def test_equal_rows_of_transitions_are_a_mixture(case: ChainCase, hard: bool) -> None:
    emissions, rows = case.params.emissions, case.weighted_rows
    chain = HMMParams(WEIGHTS, np.tile(WEIGHTS, (N_COMPONENTS, 1)), emissions)
    of_chain, value = HMM(case.of.family, hard).expected_statistics(chain, rows)
    mixture = Mixture(case.of.family, hard)
    expected, objective = mixture.expected_statistics(
        MixtureParams(WEIGHTS, emissions), rows.rows()
    )
    assert value == pytest.approx(objective, rel=10 * case.tolerance)
    assert_near(of_chain.counts, expected.counts, 10 * case.tolerance)
    assert_near(of_chain.emissions, expected.components, 10 * case.tolerance)


@every_chain
def test_known_states_are_counted(case: ChainCase) -> None:
    """All are known: no paths are left to sum over, and Viterbi training is EM."""
    labels = some_labels(0.0)
    rows = replace(case.weighted_rows, labels=labels)
    stats, objective = case.model.expected_statistics(case.params, rows)
    weight = np.repeat(rows.sample_weight, rows.lengths)
    transitions = np.zeros((N_COMPONENTS, N_COMPONENTS))
    inner = np.setdiff1d(np.arange(N_ROWS), BEGINS)
    np.add.at(transitions, (labels[inner - 1], labels[inner]), weight[inner])
    starts = np.bincount(labels[BEGINS[:-1]], rows.sample_weight, N_COMPONENTS)
    np.testing.assert_allclose(stats.transitions, transitions, rtol=10 * case.tolerance)
    np.testing.assert_allclose(stats.starts, starts, rtol=10 * case.tolerance)
    r = np.eye(N_COMPONENTS)[labels] * weight[:, None]
    r = np.ascontiguousarray(r, case.dtype)
    emissions = case.of.family.expected_statistics(case.params.emissions, rows.x, r)
    assert_near(stats.emissions, emissions, 10 * case.tolerance)
    density = case.of.log_density(case.params.emissions, rows.x)[np.arange(N_ROWS), labels]
    expected = weight @ density + starts @ np.log(case.params.initial)
    expected += (transitions * np.log(case.params.transition)).sum()
    assert objective == pytest.approx(expected, rel=case.tolerance)
    hard, value = HMM(case.of.family, hard=True).expected_statistics(case.params, rows)
    assert_near(hard, stats, 10 * case.tolerance)
    assert value == pytest.approx(objective, rel=case.tolerance)


@every_chain
@hard_or_soft
@pytest.mark.parametrize("unknown", [0.95, 0.7])
def test_objective_never_decreases_where_states_are_known(
    case: ChainCase, hard: bool, unknown: float
) -> None:
    """Every state is known somewhere, so that none gets empty."""
    model = HMM(case.of.family, hard)
    rows = replace(case.weighted_rows, labels=some_labels(unknown))
    _, found = ascent(EM(model), model, rows, case.params, 20)
    assert_never_decreases(found, case)


# -- what cannot be


@cases(lambda of: of.impossible, PRECISIONS, (ChainCase,))
@hard_or_soft
@pytest.mark.parametrize("prepared", [False, True], ids=["plain", "prepared"])
def test_impossible_sequence_is_named(case: ChainCase, hard: bool, prepared: bool) -> None:
    """Unless it is absent."""
    model, x, weight = HMM(case.of.family, hard), case.rows.x.copy(), np.ones(len(BEGINS) - 1)
    x[BEGINS[11] + 5] = np.finfo(case.dtype).max / 4
    weight[:4] = 0.0
    for sample_weight in (None, weight):
        rows = Sequences(x, BEGINS, sample_weight, start=1000, first=100)
        with pytest.raises(ImpossibleSequenceError, match=r"^sequence 111, step 5: ") as info:
            model.expected_statistics(case.params, model.prepare(rows) if prepared else rows)
        assert (info.value.sequence, info.value.step) == (111, 5)
    weight[11] = 0.0
    stats, objective = model.expected_statistics(case.params, Sequences(x, BEGINS, weight))
    present = case.rows.take(weight > 0)
    expected, expected_objective = model.expected_statistics(case.params, present)
    assert_near(stats, expected, case.tolerance)
    assert objective == pytest.approx(expected_objective, rel=case.tolerance)


# -- variational inference


TINY = np.array([0, 4, 6])


def tiny(case: ChainCase) -> Sequences:
    """Two short sequences, one entry missing where the bound knows missing entries."""
    x = case.rows.x[:6].copy()
    if case.of.missing and isinstance(case.of.family, Linear):
        x[0, 0] = np.nan
    return Sequences(x, TINY)


def paths() -> Array:
    return np.array(list(itertools.product(range(N_COMPONENTS), repeat=6)), np.int32)


def dirichlet_log_evidence(alpha: Array, counts: Any) -> float:
    """Of draws with these counts, summed over rows."""
    ratios = special.gammaln(alpha + counts) - special.gammaln(alpha)
    totals = special.gammaln(alpha.sum(-1)) - special.gammaln((alpha + counts).sum(-1))
    return float(ratios.sum() + totals.sum())


def log_joint(case: ChainCase, prior: HMMPrior[Any], x: Any, z: Any) -> float:
    """log p(x, z), parameters integrated out."""
    transitions = np.zeros_like(prior.transition)
    np.add.at(transitions, (z[[0, 1, 2, 4]], z[[1, 2, 3, 5]]), 1.0)
    starts = np.bincount(z[[0, 4]], minlength=N_COMPONENTS)
    assert case.of.log_evidence is not None
    return (
        case.of.log_evidence(prior.emissions, x, z)
        + dirichlet_log_evidence(prior.initial, starts)
        + dirichlet_log_evidence(prior.transition, transitions)
    )


def posterior_after(case: ChainCase, prior: Any, rows: Sequences) -> Any:
    return case.model.update(prior, case.model.expected_statistics(case.params, rows)[0])


@cases(lambda of: of.log_evidence, PRECISIONS, (ChainCase,))
def test_bound_never_decreases(case: ChainCase) -> None:
    prior, rows = case.prior(2.0), case.weighted_rows
    start = posterior_after(case, prior, rows.take(np.arange(8)))
    _, found = ascent(CAVI(case.model, prior), case.model, rows, start, 30)
    assert_never_decreases(found, case)
    assert found[-1] > found[0] + 0.1


@variational
def test_bound_is_below_the_log_evidence_of_all_paths(case: ChainCase) -> None:
    prior, rows = case.prior(2.0), tiny(case)
    joints = np.array([log_joint(case, prior, rows.x, z) for z in paths()])
    evidence = float(np.logaddexp.reduce(joints))
    likeliest = replace(rows, labels=paths()[joints.argmax()])
    for known in (rows, likeliest):
        start = posterior_after(case, prior, known)
        _, found = ascent(CAVI(case.model, prior), case.model, rows, start, 40)
        assert found.max() <= evidence + 1e-10 * abs(evidence)
    # q of the likeliest path alone would reach its log joint density
    assert found[0] >= joints.max() - 1e-10 * abs(evidence)


@variational
def test_bound_of_known_states_is_the_log_joint_density(case: ChainCase) -> None:
    prior, rows = case.prior(2.0), tiny(case)
    for z in paths()[[0, 5, 123, 700, 728]]:
        known = replace(rows, labels=z)
        start = posterior_after(case, prior, known)
        _, [found] = ascent(CAVI(case.model, prior), case.model, known, start, 1)
        assert found == pytest.approx(log_joint(case, prior, rows.x, z), rel=1e-11)


@variational
def test_posterior_without_data_is_the_prior(case: ChainCase) -> None:
    model, prior = case.model, case.prior(2.0)
    nothing = 0.0 * model.expected_statistics(case.params, case.rows)[0]
    of_chain, of_emissions = model.divergence(model.update(prior, nothing), prior)
    assert of_chain == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(of_emissions, 0, atol=1e-12)


@variational
def test_many_rows_make_cavi_em(case: ChainCase) -> None:
    """The middle of a posterior after many rows, and what it expects, are the likeliest parameters."""
    model, rows = case.model, case.rows
    stats, _ = model.expected_statistics(case.params, rows)
    posterior = model.update(case.prior(2.0), 1e8 * stats)
    likeliest = model.maximize(stats, None)
    assert_near(model.mean(posterior), likeliest, 1e-6)
    expected = model.expected(posterior)
    np.testing.assert_allclose(np.exp(expected.log_initial), likeliest.initial, atol=1e-6)
    np.testing.assert_allclose(np.exp(expected.log_transition), likeliest.transition, atol=1e-6)


@variational
def test_stochastic_steps_are_unbiased(case: ChainCase) -> None:
    """A whole step on all data is that of CAVI; the mean over sequences of their targets is it, too."""
    model, prior, rows = case.model, case.prior(2.0), case.rows
    start = posterior_after(case, prior, rows)
    rule = StochasticVI(model, prior, 1.0, forgetting=0.0)
    n = rows.n_sequences

    def target(batch: Sequences, share: float) -> tuple[Any, float]:
        state, info = rule.step(
            rule.init(start), lambda p: model.expected_statistics(p, batch), share
        )
        return state.params, info.objective

    expected, objective = target(rows, 1.0)
    in_one, [bound] = ascent(CAVI(model, prior), model, rows, start, 1)
    assert_identical(expected, in_one)
    assert bound == objective
    mean, objectives = None, []
    for q in range(n):
        one, value = target(rows.part(q, q + 1), 1 / n)
        mean = one if mean is None else model.blend(mean, one, 1 / (q + 1))
        objectives.append(value)
    assert_near(mean, expected, 1e-11)
    assert np.mean(objectives) == pytest.approx(objective, rel=1e-11)
