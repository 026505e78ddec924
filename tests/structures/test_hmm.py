"""Hidden Markov models against the enumeration of all paths, and against themselves in other words."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from latentcore.errors import ImpossibleSequenceError
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import GammaPrior
from latentcore.protocols import Array
from latentcore.sequences import Sequences, as_sequences
from latentcore.structures import dirichlet_rows
from latentcore.structures import hmm_inference as inference
from latentcore.structures import hmm_recursions as recursions
from latentcore.structures.hmm import HMM, HMMParams, HMMPrior, usages
from laws.cases import ByBlocks, assert_near
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
    for name in ("_SEGMENT_ELEMENTS", "_WHOLE_ELEMENTS", "_WHOLE_PATH_ELEMENTS"):
        monkeypatch.setattr(recursions, name, segment)


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
        close: dict[str, Any] = {"rtol": 0, "atol": 30 * tolerance(dtype)}
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


# -- what a model expects of sequences


@pytest.mark.parametrize("lengths", [[1], [4], [1, 2, 5, 5], [3, 1, 1]])
def test_usages_are_those_of_all_paths(lengths: list[int]) -> None:
    """Without evidence: every row has density 1 in every state."""
    params = some_params(3, zeros=True)
    expected = [np.zeros(3), np.zeros(3)]
    for length in lengths:
        law = enumerated(params.initial, params.transition, np.zeros((length, 3)))
        expected[0] += law.posteriors[:-1].sum(axis=0) / len(lengths)
        expected[1] += law.posteriors.sum(axis=0) / len(lengths)
    got = usages(params.initial, params.transition, np.array(lengths))
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-15)
    stats = SOFT.model_statistics(params, np.array(lengths))
    np.testing.assert_allclose(stats.transitions, expected[0][:, None] * params.transition)
    np.testing.assert_allclose(stats.counts, expected[1])
    np.testing.assert_allclose(stats.emissions.sums, stats.counts[:, None] * params.emissions.rates)


def test_usages_of_long_sequences_are_exact() -> None:
    """The number of rows, in proportion to the stationary law."""
    params = some_params(3)
    left, visited = usages(params.initial, params.transition, np.array([10**9, 10**9 + 1]))
    assert left.sum() == pytest.approx(10**9 - 0.5, rel=1e-13)
    assert visited.sum() == pytest.approx(10**9 + 0.5, rel=1e-13)
    np.testing.assert_allclose(left @ params.transition, left, rtol=1e-8)


def test_a_length_of_weight_two_is_a_length_twice() -> None:
    params, weights = some_params(3), np.array([1.0, 2.0, 0.0])
    once = usages(params.initial, params.transition, np.array([3, 5, 9]), weights)
    np.testing.assert_array_equal(
        once, usages(params.initial, params.transition, np.array([3, 5, 5]))
    )
    stats = SOFT.model_statistics(params, np.array([3, 5, 9]), weights)
    np.testing.assert_array_equal(stats.counts, once[1])


@pytest.mark.parametrize("lengths", [np.array([], int), np.array([3, 0])])
def test_model_statistics_need_lengths_of_sequences(lengths: Any) -> None:
    with pytest.raises(ValueError, match=r"^lengths: expected "):
        SOFT.model_statistics(some_params(2), lengths)


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [2.0, -1.0], [1.0, np.nan]])
def test_model_statistics_need_a_weight_for_each_length(weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^length_weights: expected "):
        SOFT.model_statistics(some_params(2), np.array([3, 4]), np.array(weights))


@pytest.mark.parametrize("zeros", [False, True])
def test_a_row_of_an_endless_sequence_is_the_limit(zeros: bool) -> None:
    """The relative entropy of long sequences by their length tends to that of a row; the rest falls as 1 / length."""
    params = some_params(3, zeros=zeros)
    limit = SOFT.model_statistics(params)
    assert limit.counts.sum() == pytest.approx(1, rel=1e-15)
    assert not limit.starts.any()
    errors = []
    for length in (10**3, 10**6):
        stats = SOFT.model_statistics(params, np.array([length])) * (1 / length)
        pairs = (
            (stats.transitions, limit.transitions),
            (stats.counts, limit.counts),
            (stats.emissions.sums, limit.emissions.sums),
        )
        errors.append(max(np.abs(a - b).max() for a, b in pairs))
    assert errors[1] < errors[0] / 900 < 1e-4


def test_what_an_endless_sequence_gives_is_the_model() -> None:
    params = some_params(3)
    again = SOFT.maximize(SOFT.model_statistics(params), params)
    assert again.initial.tobytes() == params.initial.tobytes()
    np.testing.assert_allclose(again.transition, params.transition, rtol=1e-14)
    np.testing.assert_allclose(again.emissions.rates, params.emissions.rates, rtol=1e-14)


def test_endless_sequences_need_one_closed_class() -> None:
    params = some_params(2)
    apart = HMMParams(params.initial, np.eye(2), params.emissions)
    with pytest.raises(ValueError, match="expected one closed class of states"):
        SOFT.model_statistics(apart)


def test_viterbi_training_ascends_to_where_it_stays() -> None:
    model, data = HARD, some_data(lengths=[30, 1, 50, 19])
    params, found = some_params(2), []
    for _ in range(20):
        stats, objective = model.expected_statistics(params, data)
        params = model.maximize(stats, params)
        found.append(objective)
    assert np.diff(found).min() >= -1e-10
    assert found[-1] == found[-2] > found[0] + 1
    _, log_joint = inference.paths(SOFT, params, data)
    assert log_joint.sum() == pytest.approx(found[-1])


def test_transitions_that_do_not_occur_keep_their_rows() -> None:
    """Sequences of one row have none."""
    params, data = some_params(3), some_data(lengths=[1] * 9)
    for model in (SOFT, HARD):
        new = model.maximize(model.expected_statistics(params, data)[0], params)
        np.testing.assert_allclose(new.transition, params.transition, rtol=1e-15)
        assert new.initial.sum() == pytest.approx(1)


def test_zeros_stay_zeros() -> None:
    params, data = some_params(3, zeros=True), some_data()
    for _ in range(3):
        params = SOFT.maximize(SOFT.expected_statistics(params, data)[0], params)
    assert params.initial[0] == params.transition[0, 2] == params.transition[2, 0] == 0
    assert params.transition.min() >= 0
    np.testing.assert_allclose(params.transition.sum(axis=1), 1)


# -- what cannot be


def two_regimes() -> HMMParams[PoissonParams]:
    """State 1 is never left, and has no events."""
    transition = np.array([[0.5, 0.5], [0.0, 1.0]])
    return HMMParams(np.array([1.0, 0.0]), transition, PoissonParams(np.array([[5.0], [0.0]])))


@pytest.mark.parametrize(
    ("counts", "labels", "step"),
    [
        ([3, 0, 0, 4], None, None),
        ([3, 2, 0, 4], [-1, -1, 1, -1], 3),
        ([3, 2, 0, 0], [1, -1, -1, -1], 0),
        ([3, 2, 0, 0], [-1, 1, -1, -1], 1),
        ([0, 0, 0, 0], [0, 1, -1, 0], 3),
    ],
)
@pytest.mark.parametrize("segment", [1 << 19, 4])
def test_first_step_without_a_path_is_named(
    counts: list[int], labels: list[int] | None, step: int | None, segment: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    small_blocks(monkeypatch, segment, segment)
    params = two_regimes()
    x = np.array([1, *counts, 1], float)[:, None]
    known = None if labels is None else [-1, *labels, -1]
    data = as_sequences(x, lengths=[1, 4, 1], labels=known, n_states=2)
    log_likelihood = inference.log_likelihoods(SOFT, params, data)
    posteriors = inference.posteriors(SOFT, params, data)
    filtered = inference.filtered(SOFT, params, data)
    _, log_joint = inference.paths(SOFT, params, data)
    if step is None:
        assert np.isfinite(log_likelihood).all()
        return
    np.testing.assert_array_equal(np.isfinite(log_likelihood), [True, False, True])
    assert log_likelihood[1] == log_joint[1] == -np.inf
    np.testing.assert_array_equal(np.isnan(posteriors[:, 0]), [0, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(np.isnan(filtered[1:5, 0]), np.arange(4) >= step)
    for model in (SOFT, HARD):
        with pytest.raises(ImpossibleSequenceError, match=f"sequence 1, step {step}: "):
            model.expected_statistics(params, data)
    with pytest.raises(ImpossibleSequenceError, match=f"sequence 1, step {step}: "):
        inference.sample_paths(SOFT, params, data, 2, np.random.default_rng(0))


def test_density_that_is_no_number_is_named() -> None:
    params, data = some_params(2), some_data()
    data.x[[7, 9]] = np.nan

    class Broken(Poisson):
        def log_likelihood(self, params: Any, x: Any) -> Any:
            return np.where(np.isnan(x).any(axis=1, keepdims=True), np.nan, -1.0) * np.ones(2)

        log_kernel = log_likelihood

    for hard in (False, True):
        with pytest.raises(ImpossibleSequenceError, match="sequence 2, step 2: "):
            HMM(Broken(), hard).expected_statistics(params, data)


# -- sampling, filtering, forecasting


@pytest.mark.parametrize("segment", [1 << 19, 4, 1])
@pytest.mark.parametrize(
    "rng", [np.random.default_rng(5), np.random.RandomState(5)], ids=["generator", "state"]
)
def test_sampled_paths_have_their_posterior_probabilities(
    segment: int, rng: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch, min(segment, 1 << 17), segment)
    params, data, n = some_params(2, zeros=True), some_data(lengths=[3, 1, 4]), 20_000
    paths = inference.sample_paths(SOFT, params, data, n, rng)
    assert paths.shape == (n, 8)
    for truth, a, b in zip(truths(params, data), data.begins[:-1], data.begins[1:], strict=True):
        codes = paths[:, a:b] @ 2 ** np.arange(b - a)[::-1]
        shares = np.bincount(codes, minlength=len(truth.paths)) / n
        deviations = np.sqrt(truth.probabilities * (1 - truth.probabilities) / n)
        assert (np.abs(shares - truth.probabilities) <= 5 * deviations).all()


@every_precision
def test_row_by_row_filter_is_the_filter_of_all_rows(dtype: Any) -> None:
    params, data = some_params(3), some_data(dtype, lengths=[12])
    expected = inference.filtered(SOFT, params, data)
    state, laws = inference.filter_start(params), []
    for x in (data.x[:1], data.x[1:2], data.x[2:7], data.x[7:]):
        state, log_laws = inference.filter_update(SOFT, params, state, x)
        laws.append(np.exp(log_laws))
    np.testing.assert_allclose(np.concatenate(laws), expected, atol=tolerance(dtype))
    assert state.n_rows == 12
    log_likelihood = inference.log_likelihoods(SOFT, params, data)[0]
    assert state.log_likelihood == pytest.approx(log_likelihood, rel=tolerance(dtype))
    np.testing.assert_allclose(np.exp(state.log_law), expected[-1], atol=tolerance(dtype))


def test_filter_outlives_an_impossible_row() -> None:
    params = replace(two_regimes(), initial=np.array([0.0, 1.0]))
    start = inference.filter_start(params)
    state, _ = inference.filter_update(SOFT, params, start, np.zeros((2, 1)))
    with pytest.raises(ImpossibleSequenceError, match="step 3: "):
        inference.filter_update(SOFT, params, state, np.array([[0.0], [2.0]]))
    after, log_laws = inference.filter_update(SOFT, params, state, np.zeros((1, 1)))
    assert after.n_rows == 3
    np.testing.assert_array_equal(np.exp(log_laws), [[0.0, 1.0]])


def test_forecast_is_the_law_of_rows_that_are_missing() -> None:
    params, data = some_params(3), some_data(lengths=[5])
    _, last = inference.last_filtered(SOFT, params, data)
    longer = replace(data, x=np.vstack([data.x, np.full((4, 2), np.nan)]), begins=np.array([0, 9]))
    expected = inference.posteriors(SOFT, params, longer)[5:]
    np.testing.assert_allclose(inference.forecast(params, last[0], 4), expected, rtol=1e-12)


@every_precision
def test_posterior_states_are_those_of_the_posteriors(dtype: Any) -> None:
    params, data = some_params(3), some_data(dtype)
    states = inference.posterior_states(SOFT, params, data)
    posteriors = inference.posteriors(SOFT, params, data)
    np.testing.assert_array_equal(states, posteriors.argmax(axis=1))


def test_shards_are_counted_within_the_whole() -> None:
    params, data = some_params(2), some_data()
    whole = inference.posteriors(SOFT, params, data)
    for shard in data.shards(6):
        got = inference.posteriors(SOFT, params, shard)
        np.testing.assert_array_equal(got, whole[shard.start : shard.start + len(shard)])


def test_long_sequence_needs_no_memory_of_its_length() -> None:
    """A million rows and sixteen states: their log-densities would take 128 MiB."""
    rng = np.random.default_rng(0)
    params = HMMParams(
        np.full(16, 1 / 16), np.full((16, 16), 1 / 16), PoissonParams(rng.uniform(1, 9, (16, 1)))
    )
    data = as_sequences(rng.poisson(4.0, (1_000_000, 1)).astype(np.float64))
    for model in (SOFT, HARD):
        prepared = model.prepare(data)
        tracemalloc.start()
        model.expected_statistics(params, prepared)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40 * 2**20


# -- priors


def test_laws_of_rows_are_those_of_scipy() -> None:
    alpha = np.array([[2.0, 1.0, 3.5], [0.7, 4.0, 1.0]])
    other = np.array([[1.0, 2.0, 1.0], [3.0, 0.5, 2.0]])
    p = np.array([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]])
    expected = sum(scipy_stats.dirichlet.logpdf(q, a) for q, a in zip(p, alpha, strict=True))
    assert dirichlet_rows.log_density(alpha, p) == pytest.approx(expected)
    draws = [scipy_stats.dirichlet.rvs(a, 200_000, random_state=1) for a in alpha]
    logs = np.stack([np.log(np.maximum(d, 1e-300)).mean(axis=0) for d in draws])
    np.testing.assert_allclose(dirichlet_rows.expected_log(alpha), logs, atol=0.02)
    densities = [
        np.mean(scipy_stats.dirichlet.logpdf(d.T, a) - scipy_stats.dirichlet.logpdf(d.T, b))
        for d, a, b in zip(draws, alpha, other, strict=True)
    ]
    np.testing.assert_allclose(dirichlet_rows.divergence(alpha, other), densities, atol=0.02)


def test_zeros_of_alpha_are_absent() -> None:
    """Rows with them are Dirichlets of fewer probabilities."""
    alpha, other = np.array([[2.0, 0.0, 3.5]]), np.array([[1.5, 0.0, 1.0]])
    few, few_other, kept = alpha[:, [0, 2]], other[:, [0, 2]], [0, 2]
    assert dirichlet_rows.divergence(alpha, other) == dirichlet_rows.divergence(few, few_other)
    expected = dirichlet_rows.expected_log(alpha)
    np.testing.assert_array_equal(expected[:, kept], dirichlet_rows.expected_log(few))
    assert expected[0, 1] == -np.inf
    p = np.array([[0.4, 0.0, 0.6]])
    density = dirichlet_rows.log_density(alpha, p)
    assert density == pytest.approx(dirichlet_rows.log_density(few, p[:, kept]), rel=1e-14)
    assert dirichlet_rows.log_density(alpha, np.array([[0.4, 0.1, 0.5]])) == -np.inf
    counts = np.array([[1.0, 0.0, 2.0]])
    np.testing.assert_array_equal(dirichlet_rows.updated(alpha, counts), [[3.0, 0.0, 5.5]])
    np.testing.assert_array_equal(dirichlet_rows.mode_counts(alpha), [[1.0, 0.0, 2.5]])


@pytest.mark.parametrize(
    ("initial", "transition", "message"),
    [
        (np.ones((1, 2)), np.ones((2, 2)), r"initial: expected shape \(S,\), got \(1, 2\)"),
        (np.ones(2), np.ones((2, 3)), r"transition: expected shape \(2, 2\), got \(2, 3\)"),
        ([1.0, -1.0], np.ones((2, 2)), "initial: expected finite numbers >= 0, got -1.0"),
        ([1.0, np.inf], np.ones((2, 2)), "initial: expected finite numbers >= 0, got inf"),
        (np.ones(2), [[1.0, np.nan], [1.0, 1.0]], "transition: expected finite numbers >= 0, got nan"),
        (np.ones(2), [[1.0, 1.0], [0.0, 0.0]], "transition: expected a positive alpha in every row"),
    ],
)  # fmt: skip
def test_impossible_priors_are_refused(initial: Any, transition: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HMMPrior(initial, transition, None)


def test_forbidden_transitions_stay_so_under_a_prior() -> None:
    params, data = some_params(3, zeros=True), some_data()
    alpha = np.where(params.transition > 0, 2.0, 1.0)
    alpha[params.transition == 0] = 0.0
    start = np.where(params.initial > 0, 1.5, 0.0)
    prior = HMMPrior(start, alpha, GammaPrior(2.0, 0.5))
    found = []
    for _ in range(30):
        stats, log_likelihood = SOFT.expected_statistics(params, data)
        found.append(log_likelihood + SOFT.log_prior(prior, params))
        posterior = SOFT.update(prior, stats)
        params = SOFT.mode(posterior, params)
        assert ((params.transition > 0) == (alpha > 0)).all()
        assert ((params.initial > 0) == (start > 0)).all()
    assert np.diff(found).min() >= -1e-10
    expected = SOFT.expected(posterior)
    assert ((expected.log_transition > -np.inf) == (alpha > 0)).all()
    assert SOFT.expected_statistics(expected, data)[0].transitions[0, 2] == 0


def test_family_without_priors_is_named() -> None:
    prior = HMMPrior(np.ones(2), np.ones((2, 2)), None)
    model = HMM(ByBlocks(Poisson()))
    stats, _ = model.expected_statistics(some_params(2), some_data())
    with pytest.raises(TypeError, match="prior: expected a family with conjugate priors, got ByB"):
        model.update(prior, stats)
    with pytest.raises(TypeError, match="prior: expected a family with variational posteriors"):
        model.expected(prior)
