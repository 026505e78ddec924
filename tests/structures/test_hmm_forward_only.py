"""One sequence in blocks: what is carried from one to the next, and smoothing without going back."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from latentcore import engine
from latentcore.errors import ImpossibleSequenceError
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.protocols import Array
from latentcore.sequences import Sequences, as_sequences
from latentcore.structures import hmm_inference as inference
from latentcore.structures import hmm_recursions as recursions
from latentcore.structures.hmm import HMM, HMMParams
from latentcore.structures.hmm_forward_only import ByLastState, forwarded
from laws.cases import ChainCase, assert_near, every_double_chain
from reference.hmm import exact
from reference.hmm_paths import enumerated

S = 3
ENTRY = np.log([0.2, 0.5, 0.3])
WEIGHTS = np.array([0.5, 2.0, 3.0])


def some_params(zeros: bool = False) -> HMMParams[PoissonParams]:
    rng = np.random.default_rng(3)
    transition = rng.dirichlet(np.ones(S), S)
    if zeros:
        transition[0, 1] = transition[2, 0] = 0.0
        transition /= transition.sum(axis=1, keepdims=True)
    return HMMParams(
        rng.dirichlet(np.ones(S)), transition, PoissonParams(rng.uniform(1, 9, (S, 2)))
    )


def log_density(params: HMMParams[PoissonParams], data: Sequences) -> Array:
    return np.asarray(HMM(Poisson()).log_density(params, data), np.float64)


def small_segments(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    names = ("_BLOCK", "_SEGMENT", "_WHOLE", "_WHOLE_PATH")
    for name in names:
        monkeypatch.setattr(recursions, f"{name}_ELEMENTS", rows * S)


# -- a sequence that goes on


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize("zeros", [False, True], ids=["positive", "zeros"])
@pytest.mark.parametrize("known", [False, True], ids=["unknown", "some known"])
@pytest.mark.parametrize("segment", [100, 2, 1])
def test_sequence_that_goes_on_is_as_by_enumeration(
    hard: bool, zeros: bool, known: bool, segment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_segments(monkeypatch, segment)
    model, params = HMM(Poisson(), hard), some_params(zeros)
    x = np.random.default_rng(5).poisson(4.0, (10, 2)).astype(float)
    labels = np.where(np.arange(10) % 4 == 2, 1, -1) if known else None
    data = as_sequences(x, lengths=[5, 2, 3], sample_weight=WEIGHTS, labels=labels, n_states=S)
    density = log_density(params, data)
    truths = [  # the first with a row before that says nothing
        enumerated(np.exp(ENTRY), params.transition, np.vstack([np.zeros(S), density[:5]])),
        enumerated(params.initial, params.transition, density[5:7]),
        enumerated(params.initial, params.transition, density[7:]),
    ]
    if hard:
        ways = [np.eye(S)[truth.best[0]] for truth in truths]
        pairs = [way[:-1].T @ way[1:] for way in ways]
        totals = [truth.best[1] for truth in truths]
    else:
        ways = [truth.posteriors for truth in truths]
        pairs = [truth.transitions for truth in truths]
        totals = [truth.log_likelihood for truth in truths]
    ways[0] = ways[0][1:]
    counts = sum(w * way.sum(axis=0) for w, way in zip(WEIGHTS, ways, strict=True))
    stats, objective = model.expected_statistics(params, replace(data, entry=ENTRY))
    assert objective == pytest.approx(float(WEIGHTS @ totals), rel=1e-12)
    starts = WEIGHTS[1] * ways[1][0] + WEIGHTS[2] * ways[2][0]
    np.testing.assert_allclose(stats.starts, starts, atol=1e-12)
    np.testing.assert_allclose(stats.counts, counts, atol=1e-12)
    transitions = sum(w * pair for w, pair in zip(WEIGHTS, pairs, strict=True))
    np.testing.assert_allclose(stats.transitions, transitions, atol=1e-12)
    weighted = np.concatenate([w * way for w, way in zip(WEIGHTS, ways, strict=True)])
    np.testing.assert_allclose(stats.emissions.sums, weighted.T @ x, atol=1e-11)


def test_shards_begin_where_the_data_do() -> None:
    x = np.random.default_rng(11).poisson(4.0, (30, 2)).astype(float)
    data = replace(as_sequences(x, lengths=[4, 5] * 3 + [3]), entry=ENTRY)
    for hard in (False, True):
        model, params = HMM(Poisson(), hard), some_params()
        stats, value = engine.expectation(model, data, 6, 2)(params)
        expected, truth = model.expected_statistics(params, data)
        assert value == pytest.approx(truth, rel=1e-12)
        assert_near(stats, expected, 1e-12)
        assert stats.starts.sum() == pytest.approx(6.0, rel=1e-12)


@pytest.mark.parametrize("segment", [100, 3])
def test_carried_laws_join_the_blocks(segment: int, monkeypatch: pytest.MonkeyPatch) -> None:
    small_segments(monkeypatch, segment)
    params = some_params(zeros=True)
    x = np.random.default_rng(6).poisson(4.0, (9, 2)).astype(float)
    whole = as_sequences(x)
    blocks = [as_sequences(x[a:b]) for a, b in itertools.pairwise([0, 1, 5, 9])]
    truth = enumerated(params.initial, params.transition, log_density(params, whole))
    for hard, total in ((False, truth.log_likelihood), (True, truth.best[1])):
        model, entry, objective = HMM(Poisson(), hard), None, 0.0
        for block in blocks:
            data = replace(block, entry=entry)
            objective += model.expected_statistics(params, data)[1]
            entry = inference.exit_law(model, params, data)
        assert objective == pytest.approx(total, rel=1e-12)
        if not hard:
            assert entry is not None
            np.testing.assert_allclose(np.exp(entry), truth.posteriors[-1], atol=1e-12)


def test_impossible_row_is_named_as_of_the_sequence_that_goes_on() -> None:
    params = replace(some_params(), transition=np.eye(S))
    labels = np.array([-1, 1, -1])
    data = as_sequences(np.ones((3, 2)), labels=labels, n_states=S)
    entry = np.array([0.0, -np.inf, -np.inf])
    with pytest.raises(ImpossibleSequenceError, match="sequence 0, step 1"):
        HMM(Poisson()).expected_statistics(params, replace(data, entry=entry))


# -- smoothing without going back


def in_blocks(model: Any, params: Any, blocks: list[Sequences]) -> Any:
    """Sums of statistics given the last state, and of log-likelihoods."""
    found, value = None, 0.0
    for block in blocks:
        if found is None:
            nothing = model.expected_statistics(params, block)[0] * 0.0
            found = ByLastState.same(np.log(params.initial), nothing)
        else:
            block = replace(block, entry=found.log_law)
        step = forwarded(model, params, block, found)
        found = step.known + step.added
        value += step.log_likelihood
    return found, value


def cut(data: Sequences, cuts: list[int]) -> list[Sequences]:
    parts = itertools.pairwise([0, *cuts, len(data)])
    return [Sequences(data.x[a:b], np.array([0, b - a])) for a, b in parts]


@every_double_chain
def test_forward_only_statistics_are_those_of_forward_backward(case: ChainCase) -> None:
    rows = case.rows
    x = rows.x[:40].copy()
    if case.of.missing:
        x[[3, 17]] = np.nan
    whole = Sequences(x, np.array([0, 40]))
    model, params = case.model, case.params
    expected, value = model.expected_statistics(params, whole)
    found, log_likelihood = in_blocks(model, params, cut(whole, [1, 2, 9, 10, 31]))
    assert log_likelihood == pytest.approx(value, rel=1e-11)
    assert_near(found.expected(), expected, 100 * case.tolerance)


@pytest.mark.parametrize("zeros", [False, True], ids=["positive", "zeros"])
@pytest.mark.parametrize("segment", [100, 2, 1])
def test_statistics_given_the_last_state_are_those_of_paths_that_end_there(
    zeros: bool, segment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_segments(monkeypatch, segment)
    model, params = HMM(Poisson()), some_params(zeros)
    x = np.random.default_rng(8).poisson(4.0, (8, 2)).astype(float)
    whole = as_sequences(x)
    truth = enumerated(params.initial, params.transition, log_density(params, whole))
    found, _ = in_blocks(model, params, cut(whole, [3, 4]))
    for k in range(S):
        chosen = truth.paths[:, -1] == k
        weights = truth.probabilities * chosen / truth.probabilities[chosen].sum()
        one_hot = np.eye(S)[truth.paths]
        given = found.given[k]
        np.testing.assert_allclose(given.starts, weights @ one_hot[:, 0], atol=1e-12)
        np.testing.assert_allclose(
            given.transitions,
            np.einsum("p,pti,ptj->ij", weights, one_hot[:, :-1], one_hot[:, 1:]), atol=1e-12,
        )  # fmt: skip
        posteriors = np.einsum("p,pts->ts", weights, one_hot)
        np.testing.assert_allclose(given.emissions.sums, posteriors.T @ x, atol=1e-11)


def test_several_sequences_are_added_and_only_the_last_stays_open() -> None:
    model, params = HMM(Poisson()), some_params()
    x = np.random.default_rng(9).poisson(4.0, (20, 2)).astype(float)
    first = as_sequences(x[:6], lengths=[2, 4], sample_weight=[2.0, 0.5])
    then = as_sequences(x[6:], lengths=[3, 2, 4, 5], sample_weight=[0.5, 3.0, 1.0, 0.25])
    joined = as_sequences(x, lengths=[2, 7, 2, 4, 5], sample_weight=[2.0, 0.5, 3.0, 1.0, 0.25])
    found, value = in_blocks(model, params, [first, then])
    expected, truth = model.expected_statistics(params, joined)
    assert value == pytest.approx(truth, rel=1e-12)
    assert_near(found.expected(), expected, 1e-12)
    law = inference.exit_law(model, params, as_sequences(x[15:]))
    np.testing.assert_allclose(found.log_law, law, atol=1e-12)


def test_impossible_last_states_are_left_out() -> None:
    model, params = HMM(Poisson()), some_params()
    x = np.random.default_rng(10).poisson(4.0, (6, 2)).astype(float)
    labels = np.array([-1, -1, 2, -1, -1, 0])
    data = as_sequences(x, labels=labels, n_states=S)
    expected, _ = model.expected_statistics(params, data)
    blocks = [
        replace(data.part(0, 1), x=x[a:b], labels=labels[a:b].astype(np.int32),
                begins=np.array([0, b - a]))
        for a, b in ((0, 3), (3, 6))
    ]  # fmt: skip
    found, _ = in_blocks(model, params, blocks)
    assert_near(found.expected(), expected, 1e-12)


@pytest.mark.parametrize("zeros", [False, True], ids=["positive", "zeros"])
def test_hopeless_last_states_lose_nothing(zeros: bool) -> None:
    """Rows that put hundreds of nats between the states, in fifty digits."""
    model, params = HMM(Poisson()), some_params(zeros)
    params = replace(params, emissions=PoissonParams(np.array([[1.0], [60.0], [2000.0]])))
    x = np.array([[0.0], [2500], [1900], [0], [70], [0], [2100], [0], [1], [0]])
    density = log_density(params, as_sequences(x))
    found, _ = in_blocks(model, params, cut(as_sequences(x), [4, 5]))
    with np.errstate(divide="ignore"):
        log_initial, log_transition = np.log(params.initial), np.log(params.transition)
    assert found.log_law.min() < -50
    for k in np.flatnonzero(found.log_law > -np.inf):
        last = np.where(np.arange(S) == k, 0.0, -np.inf)
        truth = exact(density, log_initial, log_transition, last)
        np.testing.assert_allclose(found.given[k].transitions, truth.transitions, atol=1e-10)
        np.testing.assert_allclose(found.given[k].counts, truth.posteriors.sum(axis=0), atol=1e-10)
