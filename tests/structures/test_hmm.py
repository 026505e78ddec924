"""Hidden Markov models against the enumeration of all paths, and against themselves in other words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.protocols import Array
from latentcore.sequences import Sequences, as_sequences
from latentcore.structures import hmm_inference as inference
from latentcore.structures import hmm_recursions as recursions
from latentcore.structures.hmm import HMM, HMMParams
from laws.cases import assert_near
from reference.hmm_paths import Enumerated, enumerated

LENGTHS = [4, 1, 5, 2, 3]
WEIGHTS = np.array([1.0, 0.5, 2.0, 0.25, 3.0])
SOFT, HARD = HMM(Poisson()), HMM(Poisson(), hard=True)
PRECISIONS = [np.float64, np.float32]

every_precision = pytest.mark.parametrize("dtype", PRECISIONS, ids=["f64", "f32"])
every_size = pytest.mark.parametrize("n_states", [1, 2, 3])
both = pytest.mark.parametrize("model", [SOFT, HARD], ids=["soft", "hard"])


def some_params(n_states: int, zeros: bool = False) -> HMMParams[PoissonParams]:
    rng = np.random.default_rng(n_states)
    initial = rng.dirichlet(np.ones(n_states))
    transition = rng.dirichlet(np.ones(n_states), n_states)
    if zeros and n_states > 1:
        initial[0] = transition[0, -1] = transition[-1, 0] = 0.0
        initial /= initial.sum()
        transition /= transition.sum(axis=1, keepdims=True)
    return HMMParams(initial, transition, PoissonParams(rng.uniform(1, 9, (n_states, 2))))


def some_data(dtype: Any = np.float64, lengths: list[int] = LENGTHS, **more: Any) -> Sequences:
    x = np.random.default_rng(7).poisson(4.0, (sum(lengths), 2)).astype(dtype)
    return as_sequences(x, lengths=lengths, **more)


def tolerance(dtype: Any) -> float:
    return 1e-12 if dtype is np.float64 else 1e-5


def log_densities(params: HMMParams[PoissonParams], data: Sequences) -> Array:
    """By SciPy; -inf where another state is known."""
    x = np.asarray(data.x, np.float64)[:, None, :]
    density = scipy_stats.poisson.logpmf(x, params.emissions.rates).sum(axis=2)
    if data.labels is not None:
        others = np.arange(len(params.initial)) != data.labels[:, None]
        density[others & (data.labels[:, None] >= 0)] = -np.inf
    return np.asarray(density)


def truths(params: HMMParams[PoissonParams], data: Sequences) -> list[Enumerated]:
    density = log_densities(params, data)
    return [
        enumerated(params.initial, params.transition, density[a:b])
        for a, b in zip(data.begins[:-1], data.begins[1:], strict=True)
    ]


def small_blocks(monkeypatch: pytest.MonkeyPatch, block: int, segment: int) -> None:
    """Blocks of so many rows times states."""
    monkeypatch.setattr(recursions, "_BLOCK_ELEMENTS", block)
    monkeypatch.setattr(recursions, "_SEGMENT_ELEMENTS", segment)


# -- all paths


@every_size
@every_precision
@pytest.mark.parametrize("zeros", [False, True], ids=["positive", "zeros"])
@pytest.mark.parametrize("known", [False, True], ids=["unknown", "some known"])
@pytest.mark.parametrize("segment", [1 << 19, 4, 1])
def test_everything_is_as_by_enumeration(
    n_states: int, dtype: Any, zeros: bool, known: bool, segment: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    small_blocks(monkeypatch, min(segment, 1 << 16), segment)
    params = some_params(n_states, zeros)
    labels = np.where(np.arange(15) % 3 == 1, n_states - 1, -1) if known else None
    data = some_data(dtype, labels=labels, n_states=n_states)
    truth, close = truths(params, data), tolerance(dtype)
    expected = np.array([t.log_likelihood for t in truth])
    log_likelihood, last = inference.last_filtered(SOFT, params, data)
    np.testing.assert_allclose(log_likelihood, expected, rtol=close)
    np.testing.assert_array_equal(inference.log_likelihoods(SOFT, params, data), log_likelihood)

    posteriors = np.concatenate([t.posteriors for t in truth])
    got = inference.posteriors(SOFT, params, data)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, posteriors, atol=close)
    np.testing.assert_allclose(np.exp(last), posteriors[data.begins[1:] - 1], atol=close)

    prefixes = [
        replace(data, x=data.x[a : t + 1], begins=np.array([0, t + 1 - a]),
                labels=None if data.labels is None else data.labels[a : t + 1])
        for a, b in zip(data.begins[:-1], data.begins[1:], strict=True) for t in range(a, b)
    ]  # fmt: skip
    so_far = np.stack([truths(params, prefix)[0].posteriors[-1] for prefix in prefixes])
    np.testing.assert_allclose(inference.filtered(SOFT, params, data), so_far, atol=close)

    states, log_joint = inference.paths(SOFT, params, data)
    np.testing.assert_array_equal(states, np.concatenate([t.best[0] for t in truth]))
    np.testing.assert_allclose(log_joint, [t.best[1] for t in truth], rtol=close)


@every_size
@every_precision
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("segment", [1 << 19, 4, 1])
def test_expected_statistics_are_those_of_all_paths(
    n_states: int, dtype: Any, weighted: bool, segment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch, min(segment, 1 << 16), segment)
    params = some_params(n_states, zeros=True)
    data = some_data(dtype, sample_weight=WEIGHTS if weighted else None)
    truth, x = truths(params, data), np.asarray(data.x, np.float64)
    weight = WEIGHTS if weighted else np.ones(5)
    for model in (SOFT, HARD):
        if model.hard:
            one_hot = [np.eye(n_states)[t.best[0]] for t in truth]
            r = np.concatenate(one_hot)
            pairs = [z[:-1].T @ z[1:] for z in one_hot]
            objective = float(weight @ [t.best[1] for t in truth])
        else:
            r = np.concatenate([t.posteriors for t in truth])
            pairs = [t.transitions for t in truth]
            objective = float(weight @ [t.log_likelihood for t in truth])
        r = r * np.repeat(weight, data.lengths)[:, None]
        got, log_likelihood = model.expected_statistics(params, data)
        assert log_likelihood == pytest.approx(objective, rel=tolerance(dtype))
        close = {"rtol": 0, "atol": 30 * tolerance(dtype)}
        np.testing.assert_allclose(got.starts, r[data.begins[:-1]].sum(axis=0), **close)
        np.testing.assert_allclose(got.counts, r.sum(axis=0), **close)
        transitions = sum(w * pair for w, pair in zip(weight, pairs, strict=True))
        np.testing.assert_allclose(got.transitions, transitions, **close)
        np.testing.assert_allclose(got.emissions.sums, r.T @ x, **close)
        prepared = model.expected_statistics(params, model.prepare(data))
        assert_near(prepared[0], got, 1e-15)
        assert prepared[1] == log_likelihood


@both
def test_counts_add_up(model: HMM[Any, Any]) -> None:
    """Every row but the first is entered, every row but the last is left."""
    params, data = some_params(3), some_data()
    stats, _ = model.expected_statistics(params, data)
    last = model.expected_statistics(params, data)[0].counts - stats.transitions.sum(axis=1)
    np.testing.assert_allclose(stats.transitions.sum(axis=0) + stats.starts, stats.counts)
    assert stats.starts.sum() == pytest.approx(5)
    assert last.sum() == pytest.approx(5)
    assert stats.counts.sum() == pytest.approx(15)
