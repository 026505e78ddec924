"""Kernels of hidden Markov models against log space, fifty digits and enumeration, for any chain and any evidence."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from latentcore import kernels
from reference import hmm as reference

Array = npt.NDArray[np.float64]
INF, NAN = math.inf, math.nan

every_precision = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])


@pytest.fixture(params=["base", "v3", "v4"])
def every_isa(request: pytest.FixtureRequest) -> Iterator[None]:
    if not kernels.isa_available(request.param):
        pytest.skip(f"this processor lacks the instruction set {request.param}")
    before = kernels.isa()
    kernels.isa_force(request.param)
    yield
    kernels.isa_force(before)


@dataclass(frozen=True)
class Problem:
    """Q sequences under one chain, all as logarithms."""

    density: Array
    begins: npt.NDArray[np.int64]
    initial: Array
    transition: Array
    future: Array | None = None

    def sequences(self) -> Iterator[Array]:
        for q in range(len(self.begins) - 1):
            yield self.density[self.begins[q] : self.begins[q + 1]]

    def arguments(self, dtype: type = np.float64) -> tuple[Any, ...]:
        return self.density.astype(dtype), self.begins, self.initial, self.transition


def log(x: Any) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(x), np.float64)


def problem(
    n_states: int, lengths: tuple[int, ...], seed: int = 0, sharpness: float = 2.0
) -> Problem:
    """A chain with probabilities of all sizes, and rows that tell states apart more or less."""
    rng = np.random.default_rng(1000 * n_states + seed)
    n = sum(lengths)
    return Problem(
        (sharpness * rng.normal(size=(n, n_states)) - 30 * rng.uniform(size=(n, 1)))
        .astype(np.float32)
        .astype(np.float64),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        log(rng.dirichlet(np.full(n_states, 0.7))),
        log(rng.dirichlet(np.full(n_states, 0.5), size=n_states)),
    )


SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 100]
LENGTHS = (1, 2, 3, 8, 17, 1, 70, 9, 33)


def check(
    p: Problem,
    expected: Callable[..., reference.Answers] = reference.answers,
    dtype: type = np.float64,
    tolerance: float = 1e-12,
    weights: Array | None = None,
) -> None:
    """All three forward kernels against the truth, sequence by sequence."""
    truths = [expected(b, p.initial, p.transition, p.future) for b in p.sequences()]
    w = np.ones(len(truths)) if weights is None else weights
    log_likelihood, log_last = kernels.hmm_log_likelihood(*p.arguments(dtype))
    forward, log_filtered = kernels.hmm_forward(*p.arguments(dtype))
    total, posteriors, transitions, messages = kernels.hmm_forward_backward(
        *p.arguments(dtype), weights, p.future
    )
    np.testing.assert_array_equal(forward, log_likelihood)
    np.testing.assert_allclose(total, log_likelihood, 1e-14, 1e-14)
    np.testing.assert_array_equal(log_filtered[p.begins[1:] - 1], log_last)
    assert posteriors.dtype == dtype
    rounding = max(tolerance, 4 * float(np.finfo(dtype).eps))
    smallest = max(1e-100, float(np.finfo(dtype).smallest_normal))
    for q, truth in enumerate(truths):
        rows = slice(int(p.begins[q]), int(p.begins[q + 1]))
        np.testing.assert_allclose(log_likelihood[q], truth.log_likelihood, tolerance, tolerance)
        np.testing.assert_allclose(log_filtered[rows], truth.log_filtered, tolerance, tolerance)
        np.testing.assert_allclose(
            posteriors[rows], w[q] * truth.posteriors, rounding, smallest, err_msg=f"sequence {q}"
        )
        np.testing.assert_allclose(messages[q], truth.log_message, tolerance, tolerance)
    expected_transitions = sum(w[q] * truth.transitions for q, truth in enumerate(truths))
    np.testing.assert_allclose(transitions, expected_transitions, tolerance, 1e-100)


@pytest.mark.usefixtures("every_isa")
@every_precision
@pytest.mark.parametrize("n_states", SIZES)
def test_any_number_of_states_agrees_with_log_space(n_states: int, dtype: type) -> None:
    check(problem(n_states, LENGTHS), dtype=dtype)


def sparse(n_states: int) -> Problem:
    """A cycle with neighbours, tiny and zero transitions, and one possible start."""
    p = problem(n_states, LENGTHS)
    step = (np.arange(n_states)[None] - np.arange(n_states)[:, None]) % n_states
    kept = np.where(step <= 2, p.transition, np.where(step == 3, -400.0, -INF))
    return Problem(p.density, p.begins, np.where(np.arange(n_states) == 0, 0, -INF), kept)


@pytest.mark.usefixtures("every_isa")
@every_precision
@pytest.mark.parametrize("n_states", SIZES)
def test_sparse_chains_agree_with_log_space(n_states: int, dtype: type) -> None:
    check(sparse(n_states), dtype=dtype)


@pytest.mark.parametrize("n_states", [1, 2, 3])
def test_small_chains_agree_with_all_paths(n_states: int) -> None:
    p = problem(n_states, (5, 1, 6))
    log_likelihood, posteriors, transitions, _ = kernels.hmm_forward_backward(*p.arguments())
    counts = np.zeros((n_states, n_states))
    for q, b in enumerate(p.sequences()):
        weights = {path: math.exp(v) for path, v in reference.paths(b, p.initial, p.transition)}
        total, expected = sum(weights.values()), np.zeros(b.shape)
        for path, weight in weights.items():
            expected[np.arange(len(b)), path] += weight / total
            np.add.at(counts, (path[:-1], path[1:]), weight / total)
        np.testing.assert_allclose(log_likelihood[q], math.log(total), 1e-13)
        np.testing.assert_allclose(posteriors[p.begins[q] : p.begins[q + 1]], expected, 1e-12)
    np.testing.assert_allclose(transitions, counts, 1e-12)


# -- where scaling by one number a row fails

STAY = np.eye(2)


def evidence(*phases: tuple[int, float]) -> Array:
    """Rows for state 0 (nats a row, negative for state 1), by phases of so many rows."""
    return np.array([[nats, 0.0] for rows, nats in phases for _ in range(rows)])


def one(density: Any, initial: Any, transition: Any, future: Any = None) -> Problem:
    density = np.asarray(density, np.float64)
    begins = np.array([0, len(density)], np.int64)
    return Problem(density, begins, log(initial), log(transition), future)


def left_to_right(n_states: int, stay: float) -> Array:
    a = np.diag(np.full(n_states, stay)) + np.diag(np.full(n_states - 1, 1 - stay), 1)
    a[-1, -1] = 1
    return a


def periodic(n: int, n_states: int) -> Array:
    rng = np.random.default_rng(5)
    return rng.normal(size=(n, n_states)) - 50 * (np.arange(n) % n_states)[:, None]


RNG = np.random.default_rng(3)
HARD = {
    "loud: the only state that explains a row had underflowed": one(
        np.concatenate([evidence((60, 20.0)), [[-INF, 0.0]], evidence((3, 1.0))]), [0.5, 0.5], STAY
    ),
    "silent: the state that wins in the end had underflowed": one(
        evidence((40, 20.0), (60, -20.0)), [0.5, 0.5], STAY
    ),
    "a tie after each state had underflowed in both directions": one(
        evidence((50, 20.0), (100, -20.0), (50, 20.0)), [0.5, 0.5], STAY
    ),
    "the other way": one(
        evidence((50, -20.0), (100, 20.0), (50, -20.0)), [0.25, 0.75], STAY
    ),
    "overflow: a state of little filter mass is all that the future allows": one(
        evidence((80, 15.0), (75, -15.0), (1, 0.0)), [0.5, 0.5], [[1 - 1e-9, 1e-9], [0, 1]]
    ),
    "one row": one([[-900.0, -1000.0, -INF]], [0.2, 0.3, 0.5], np.ones((3, 3)) / 3),
    "one state": one([[-800.0], [3.0], [-1e6]], [1.0], [[1.0]]),
    "identity transitions": one(RNG.normal(size=(50, 3)) * 30, np.ones(3) / 3, np.eye(3)),
    "left to right, long": one(RNG.normal(size=(400, 5)) * 5, np.eye(5)[0], left_to_right(5, 0.9)),
    "left to right, 12 states": one(
        RNG.normal(size=(300, 12)) * 20, np.eye(12)[0], left_to_right(12, 0.99)
    ),
    "a cycle": one(periodic(60, 5), np.ones(5) / 5, np.roll(np.eye(5), 1, axis=1)),
    "tiny but possible transitions": Problem(
        np.concatenate([evidence((20, 40.0)), evidence((30, -400.0))]), np.array([0, 50]),
        np.array([0.0, -2000.0]), np.array([[0.0, -5000.0], [-3000.0, 0.0]]),
    ),
    "laws that do not sum to one": Problem(
        RNG.normal(size=(40, 4)), np.array([0, 40]), np.array([-800.0, -900, -INF, -2000]),
        RNG.normal(size=(4, 4)) * 300 - 1000,
    ),
    "transitions above one": Problem(
        RNG.normal(size=(30, 3)), np.array([0, 30]), np.array([5.0, 600, 3]), RNG.normal(size=(3, 3)) * 200 + 400
    ),
    "huge evidence": Problem(
        RNG.normal(size=(30, 3)) * 1e5, np.array([0, 30]), log(np.ones(3) / 3), log(np.full((3, 3), 1 / 3))
    ),
    "huge evidence that rules out every state": Problem(
        np.array([[-1e30, -2e30], [-1.0, 0.0], [-3e260, -1e260], [-2e25, -1e25]]), np.array([0, 4]),
        log([0.5, 0.5]), log([[0.6, 0.4], [0.3, 0.7]])
    ),
    "a future that only an underflowed state has": one(
        evidence((60, 20.0)), [0.5, 0.5], STAY, np.array([-INF, 0.0])
    ),
    "a tiny future against strong evidence": one(
        evidence((10, 70.0)), [0.5, 0.5], [[0.6, 0.4], [0.3, 0.7]], np.array([-1400.0, 0.0])
    ),
    "a start of little mass against strong evidence": Problem(
        evidence((3, -450.0), (5, 0.1)), np.array([0, 8]), np.array([0.0, -900.0]), log([[0.6, 0.4], [0.3, 0.7]])
    ),
    "zeros in the densities": one(
        np.where(RNG.uniform(size=(200, 6)) < [0.9, 0.5, 0, 0.5, 0.5, 0.9], -INF, RNG.normal(size=(200, 6)) * 3),
        np.ones(6) / 6, np.full((6, 6), 1 / 6)
    ),
}  # fmt: skip


@functools.cache
def exact(name: str) -> reference.Answers:
    p = HARD[name]
    return reference.exact(p.density, p.initial, p.transition, p.future)


@pytest.mark.usefixtures("every_isa")
@pytest.mark.parametrize("name", HARD)
def test_hard_evidence_agrees_with_fifty_digits(name: str) -> None:
    check(HARD[name], lambda *_: exact(name), tolerance=1e-10 if "huge" in name else 1e-12)


@pytest.mark.parametrize("n_states", [2, 4, 9, 20])
def test_ordinary_evidence_agrees_with_fifty_digits(n_states: int) -> None:
    check(problem(n_states, (40, 1, 9), sharpness=5), reference.exact, tolerance=1e-13)


@pytest.mark.usefixtures("every_isa")
@every_precision
def test_exact_zeros_stay_exact(dtype: type) -> None:
    """What the zeros of the chain and the densities forbid has posterior 0, not nearly."""
    p = HARD["left to right, 12 states"]
    _, posteriors, transitions, _ = kernels.hmm_forward_backward(*p.arguments(dtype))
    assert np.all(posteriors[0] == np.eye(12)[0])
    assert np.all(posteriors[:11][~np.tri(11, 12, dtype=bool)] == 0)
    assert np.all(transitions[np.isneginf(p.transition)] == 0)
    _, log_filtered = kernels.hmm_forward(*p.arguments(dtype))
    np.testing.assert_array_equal(np.isneginf(log_filtered[:11]), ~np.tri(11, 12, dtype=bool))


# -- what is impossible, or no number

POSSIBLE = problem(3, (4, 5, 6))


def spoiled(row: int, value: Any) -> Problem:
    density = POSSIBLE.density.copy()
    density[row] = value
    return Problem(density, POSSIBLE.begins, POSSIBLE.initial, POSSIBLE.transition)


@pytest.mark.usefixtures("every_isa")
@every_precision
@pytest.mark.parametrize("row", [4, 6, 8])
@pytest.mark.parametrize(
    ("value", "answer"),
    [(-INF, -INF), ([NAN, 0, 0], NAN), ([-INF, -INF, NAN], NAN), ([0, INF, 0], NAN), ([INF, NAN, -INF], NAN)],
)  # fmt: skip
def test_a_spoiled_sequence_is_known_and_spoils_no_other(
    row: int, value: Any, answer: float, dtype: type
) -> None:
    p, others = spoiled(row, value), [0, 2]
    log_likelihood, posteriors, transitions, messages = kernels.hmm_forward_backward(
        *p.arguments(dtype)
    )
    np.testing.assert_array_equal(log_likelihood[1], answer)
    assert np.isnan(posteriors[4:9]).all()
    assert np.isnan(messages[1]).all()
    forward, log_filtered = kernels.hmm_forward(*p.arguments(dtype))
    np.testing.assert_allclose(forward, log_likelihood, 1e-14)
    np.testing.assert_array_equal(log_filtered[row:9], np.full((9 - row, 3), answer))
    assert np.isfinite(log_filtered[4:row]).all()
    total, last = kernels.hmm_log_likelihood(*p.arguments(dtype))
    np.testing.assert_allclose(total, log_likelihood, 1e-14)
    np.testing.assert_array_equal(last[1], np.full(3, answer))
    # the others, as if it were not there
    keep = np.r_[0:4, 9:15]
    begins = np.array([0, 4, 10])
    alone = kernels.hmm_forward_backward(
        p.density[keep].astype(dtype), begins, p.initial, p.transition
    )
    np.testing.assert_array_equal(log_likelihood[others], alone[0])
    np.testing.assert_array_equal(posteriors[keep], alone[1])
    np.testing.assert_allclose(transitions, alone[2], 1e-14)
    np.testing.assert_array_equal(messages[others], alone[3])


def test_a_sequence_impossible_and_not_a_number_is_not_a_number() -> None:
    p = spoiled(5, -INF)
    p.density[8, 1] = NAN
    assert np.isnan(kernels.hmm_log_likelihood(*p.arguments())[0][1])
    assert np.isnan(kernels.hmm_forward_backward(*p.arguments())[0][1])


def test_a_chain_that_cannot_start_or_go_on_makes_sequences_impossible() -> None:
    density, begins = np.zeros((4, 2)), np.array([0, 1, 4])
    nowhere, anywhere = np.full((2, 2), -INF), np.zeros((2, 2))
    for initial, transition, expected in (
        (np.full(2, -INF), anywhere, [-INF, -INF]),
        (np.zeros(2), nowhere, [math.log(2), -INF]),
        (np.array([0.0, -INF]), np.array([[-INF, 0], [-INF, -INF]]), [0, -INF]),
        (np.array([NAN, 0.0]), anywhere, [NAN, NAN]),
        (np.array([INF, 0.0]), anywhere, [NAN, NAN]),
        (np.zeros(2), np.array([[NAN, 0], [0, 0.0]]), [math.log(2), NAN]),
        (np.zeros(2), np.array([[0, 0], [0, INF]]), [math.log(2), NAN]),
    ):
        got, posteriors, _, _ = kernels.hmm_forward_backward(density, begins, initial, transition)
        np.testing.assert_allclose(got, expected)
        np.testing.assert_array_equal(np.isnan(posteriors[[0, 1], 0]), ~np.isfinite(expected))
        got, _ = kernels.hmm_forward(density, begins, initial, transition)
        np.testing.assert_allclose(got, expected)


def test_a_future_that_forbids_all_gives_nan_posteriors_and_no_transitions() -> None:
    p = POSSIBLE
    for future in (np.full(3, -INF), np.array([NAN, 0.0, 0.0])):
        _, posteriors, transitions, messages = kernels.hmm_forward_backward(
            *p.arguments(), None, future
        )
        assert np.isnan(posteriors).all()
        assert np.isnan(messages).all()
        np.testing.assert_array_equal(transitions, np.zeros((3, 3)))


# -- weights, company, order, segments


@pytest.mark.usefixtures("every_isa")
@every_precision
@pytest.mark.parametrize("n_states", [3, 8, 20])
def test_weights_multiply_posteriors_and_transitions(n_states: int, dtype: type) -> None:
    p = problem(n_states, LENGTHS)
    weights = np.random.default_rng(1).uniform(size=len(LENGTHS)) * (np.arange(len(LENGTHS)) != 3)
    check(p, dtype=dtype, weights=weights)


COMPANY = [problem(s, (1, 40, 7, 8, 2, 33, 7, 7, 100, 1, 3)) for s in SIZES]
COMPANY += [sparse(s) for s in SIZES]
COMPANY += [
    Problem(
        np.concatenate([h.density[:7], h.density, h.density[:1], h.density[:2]]),
        np.cumsum([0, 7, len(h.density), 1, 2]),
        h.initial, h.transition, h.future,
    )
    for h in HARD.values() if len(h.density) > 7
]  # fmt: skip


@pytest.mark.usefixtures("every_isa")
@every_precision
def test_a_sequence_gives_the_same_bits_alone_and_in_company(dtype: type) -> None:
    for p in COMPANY:
        density, begins, *chain = p.arguments(dtype)
        together = kernels.hmm_forward_backward(density, begins, *chain, None, p.future)
        forward = kernels.hmm_forward(density, begins, *chain)
        for q in range(len(begins) - 1):
            rows = slice(begins[q], begins[q + 1])
            own = np.array([0, begins[q + 1] - begins[q]])
            alone = kernels.hmm_forward_backward(density[rows], own, *chain, None, p.future)
            np.testing.assert_array_equal(together[0][q : q + 1], alone[0])
            np.testing.assert_array_equal(together[1][rows], alone[1])
            np.testing.assert_array_equal(together[3][q : q + 1], alone[3])
            filtered = kernels.hmm_forward(density[rows], own, *chain)[1]
            np.testing.assert_array_equal(forward[1][rows], filtered)


@pytest.mark.parametrize("n_states", [2, 5, 8, 13, 40])
def test_renaming_states_renames_the_answers(n_states: int) -> None:
    p = problem(n_states, (9, 30))
    order = np.random.default_rng(2).permutation(n_states)
    renamed = Problem(
        np.ascontiguousarray(p.density[:, order]),
        p.begins,
        p.initial[order],
        p.transition[np.ix_(order, order)],
    )
    a = kernels.hmm_forward_backward(*p.arguments())
    b = kernels.hmm_forward_backward(*renamed.arguments())
    np.testing.assert_allclose(b[0], a[0], 1e-14)
    np.testing.assert_allclose(b[1], a[1][:, order], 1e-12)
    np.testing.assert_allclose(b[2], a[2][np.ix_(order, order)], 1e-12)


SEGMENTED = {f"{s} states": problem(s, (101,), sharpness=4) for s in (1, 3, 4, 8, 17)}
SEGMENTED |= {name: p for name, p in HARD.items() if len(p.density) > 10 and p.future is None}


@every_precision
@pytest.mark.parametrize("name", SEGMENTED)
def test_segments_with_carried_state_are_the_whole(name: str, dtype: type) -> None:
    p = SEGMENTED[name]
    density, _, initial, transition = p.arguments(dtype)
    whole = kernels.hmm_forward_backward(*p.arguments(dtype))
    cuts = np.linspace(0, len(density), 4).astype(int)
    pieces = [np.ascontiguousarray(density[a:b]) for a, b in itertools.pairwise(cuts)]
    starts, total, last = [initial], 0.0, []
    for piece in pieces:
        begins = np.array([0, len(piece)])
        value, log_filtered = kernels.hmm_log_likelihood(piece, begins, starts[-1], transition)
        total += value[0]
        last.append(log_filtered[0])
        starts.append(reference.logsumexp(log_filtered[0][:, None] + transition, 0))
    np.testing.assert_allclose(total, whole[0][0], 1e-13, 1e-12)
    future, posteriors, transitions = None, [], np.zeros_like(transition)
    for k in range(len(pieces) - 1, -1, -1):
        begins = np.array([0, len(pieces[k])])
        _, gamma, xi, message = kernels.hmm_forward_backward(
            pieces[k], begins, starts[k], transition, None, future
        )
        posteriors.insert(0, gamma)
        transitions += xi
        if k:
            across = last[k - 1][:, None] + transition + message[0]
            transitions += np.exp(across - reference.logsumexp(across.ravel(), 0))
            future = reference.logsumexp(transition + message[0], 1)
    tolerance = 1e-9 if dtype == np.float64 else 4e-7
    np.testing.assert_allclose(np.concatenate(posteriors), whole[1], tolerance, 1e-30)
    np.testing.assert_allclose(transitions, whole[2], 1e-9, 1e-30)


# -- paths


@pytest.mark.usefixtures("every_isa")
@every_precision
@pytest.mark.parametrize("n_states", SIZES)
@pytest.mark.parametrize("ties", [False, True])
def test_viterbi_is_the_best_path_and_ties_go_to_the_lowest(
    n_states: int, dtype: type, ties: bool
) -> None:
    p = problem(n_states, LENGTHS)
    if ties:  # whole numbers, so that sums tie exactly
        rng = np.random.default_rng(4)
        p = Problem(
            -rng.integers(0, 2, p.density.shape).astype(float), p.begins,
            -rng.integers(0, 2, n_states).astype(float),
            -rng.integers(0, 2, (n_states, n_states)).astype(float),
        )  # fmt: skip
    for end_state in (-1, n_states - 1):
        states, log_joint, scores = kernels.hmm_viterbi(*p.arguments(dtype), end_state)
        for q, b in enumerate(p.sequences()):
            path, value, delta = reference.viterbi(b, p.initial, p.transition, end_state)
            np.testing.assert_array_equal(states[p.begins[q] : p.begins[q + 1]], path)
            assert log_joint[q] == value
            np.testing.assert_array_equal(scores[q], delta)


@pytest.mark.usefixtures("every_isa")
@pytest.mark.parametrize("n_states", [2, 5, 9, 20])
def test_hopeless_row_changes_no_path(n_states: int) -> None:
    """What all states have too little of is the same for every path, however much that is."""
    p = problem(n_states, (30, 12))
    density = p.density.copy()
    density[[3, 20, 35]] -= 2.0**42  # which leaves the differences of a row some digits
    density[7] = 0
    expected, log_joint, _ = kernels.hmm_viterbi(density, p.begins, p.initial, p.transition)
    plain, plain_joint, _ = kernels.hmm_viterbi(
        np.where(np.arange(42)[:, None] == 7, 0, p.density), p.begins, p.initial, p.transition
    )
    np.testing.assert_array_equal(expected, plain)
    np.testing.assert_allclose(log_joint - plain_joint, [-(2.0**43), -(2.0**42)], 1e-12)
    density[7] = -1e30
    path, log_joint, _ = kernels.hmm_viterbi(density, p.begins, p.initial, p.transition)
    np.testing.assert_array_equal(path, plain)
    np.testing.assert_allclose(log_joint[0], -1e30, 1e-12)


def test_viterbi_of_small_chains_is_the_best_of_all_paths() -> None:
    p = problem(3, (6, 1, 5))
    states, log_joint, _ = kernels.hmm_viterbi(*p.arguments())
    for q, b in enumerate(p.sequences()):
        best, value = max(reference.paths(b, p.initial, p.transition), key=lambda pair: pair[1])
        assert tuple(states[p.begins[q] : p.begins[q + 1]]) == best
        np.testing.assert_allclose(log_joint[q], value, 1e-14)


@pytest.mark.usefixtures("every_isa")
@pytest.mark.parametrize("n_states", [2, 9, 70])
def test_viterbi_of_the_impossible_is_minus_infinity_and_of_nan_nan(n_states: int) -> None:
    p = problem(n_states, (4, 5, 6))
    for value, answer in ((-INF, -INF), (NAN, NAN), (INF, NAN)):
        density = p.density.copy()
        density[6, :] = value if value != NAN else p.density[6]
        density[6, -1] = value
        states, log_joint, scores = kernels.hmm_viterbi(density, p.begins, p.initial, p.transition)
        np.testing.assert_array_equal(log_joint[1], answer)
        np.testing.assert_array_equal(scores[1], np.full(n_states, answer))
        assert np.isfinite(log_joint[[0, 2]]).all()
        assert np.all((states >= 0) & (states < n_states))


@pytest.mark.parametrize("n_states", [1, 2, 5, 17])
def test_samples_are_those_of_the_cumulative_weights(n_states: int) -> None:
    p = problem(n_states, LENGTHS)
    _, log_filtered = kernels.hmm_forward(*p.arguments())
    uniforms = np.random.default_rng(6).uniform(size=(5, len(p.density)))
    states = kernels.hmm_sample(log_filtered, p.begins, p.transition, uniforms)
    for q in range(len(LENGTHS)):
        rows = slice(int(p.begins[q]), int(p.begins[q + 1]))
        for i, u in enumerate(uniforms):
            expected = reference.sample(log_filtered[rows], p.transition, u[rows])
            np.testing.assert_array_equal(states[i, rows], expected)


def test_samples_have_the_posterior_law() -> None:
    p = HARD["a tie after each state had underflowed in both directions"]
    _, log_filtered = kernels.hmm_forward(*p.arguments())
    uniforms = np.random.default_rng(7).uniform(size=(2000, len(p.density)))
    states = kernels.hmm_sample(log_filtered, p.begins, p.transition, uniforms)
    _, posteriors, _, _ = kernels.hmm_forward_backward(*p.arguments())
    assert np.all(states == states[:, :1])  # the identity never changes states
    assert abs(states.mean() - posteriors[0, 1]) < 5 * math.sqrt(0.25 / len(states))


def test_samples_never_have_probability_zero() -> None:
    log_filtered, nearly_one = log([[0.5, 0.5, 0.0]]), np.nextafter(1.0, 0.0)
    states = kernels.hmm_sample(
        log_filtered, np.array([0, 1]), np.zeros((3, 3)), np.array([[0.0], [nearly_one]])
    )
    np.testing.assert_array_equal(states, [[0], [1]])
    states = kernels.hmm_sample(
        log([[0.0, 0.5, 0.5]]), np.array([0, 1]), np.zeros((3, 3)), np.zeros((1, 1))
    )
    np.testing.assert_array_equal(states, [[1]])


def test_samples_of_an_impossible_sequence_are_minus_one() -> None:
    p = spoiled(6, -INF)
    _, log_filtered = kernels.hmm_forward(*p.arguments())
    uniforms = np.random.default_rng(8).uniform(size=(2, 15))
    states = kernels.hmm_sample(log_filtered, p.begins, p.transition, uniforms)
    assert np.all(states[:, 4:9] == -1)
    assert np.all(states[:, np.r_[0:4, 9:15]] >= 0)


# -- the border

GOOD = {
    "log_density": np.zeros((3, 2)),
    "begins": np.array([0, 1, 3]),
    "log_initial": np.zeros(2),
    "log_transition": np.zeros((2, 2)),
}


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("log_density", [[0.0]], TypeError, "log_density: expected a NumPy array, got list"),
        ("log_density", np.zeros((3, 2), int), TypeError, "log_density: expected float32 or"),
        ("log_density", np.zeros(3), ValueError, "log_density: expected 2 dimension"),
        ("log_density", np.zeros((3, 0)), ValueError, "log_density: expected at least one state"),
        ("log_density", np.zeros((2, 3)).T, ValueError, "log_density: expected a C-contiguous"),
        ("log_density", np.zeros((4, 2)), ValueError, "begins: expected to begin with 0 .* rows, 4"),
        ("begins", np.array([0, 3], np.int32), TypeError, "begins: expected int64"),
        ("begins", np.array([1, 3]), ValueError, "begins: expected to begin with 0 .* got 1 and 3"),
        ("begins", np.array([0, 2, 2, 3]), ValueError, "begins: expected to increase"),
        ("begins", np.array([0, 5, 3]), ValueError, "begins: expected to increase"),
        ("begins", np.array([], np.int64), ValueError, "begins: .* got an empty array"),
        ("log_initial", np.zeros(3), ValueError, r"log_initial: expected shape \(2,\)"),
        ("log_initial", np.zeros(2, np.float32), TypeError, "log_initial: expected float64"),
        ("log_transition", np.zeros((2, 3)), ValueError, r"log_transition: expected shape \(2, 2\)"),
    ],
)  # fmt: skip
def test_bad_argument_is_named(name: str, value: Any, error: type[Exception], message: str) -> None:
    arguments: Any = GOOD | {name: value}
    for function in (
        kernels.hmm_log_likelihood, kernels.hmm_forward, kernels.hmm_forward_backward, kernels.hmm_viterbi
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            function(**arguments)


def test_bad_optional_argument_is_named() -> None:
    good: Any = GOOD
    with pytest.raises(ValueError, match=r"weights: expected shape \(2,\), got \(3,\)"):
        kernels.hmm_forward_backward(**good, weights=np.ones(3))
    with pytest.raises(ValueError, match=r"log_future: expected shape \(2,\), got \(1,\)"):
        kernels.hmm_forward_backward(**good, log_future=np.zeros(1))
    for end_state in (-2, 2):
        with pytest.raises(ValueError, match=f"end_state: .* below 2, got {end_state}"):
            kernels.hmm_viterbi(**good, end_state=end_state)
    with pytest.raises(ValueError, match=r"uniforms: expected shape \(1, 3\), got \(1, 2\)"):
        kernels.hmm_sample(np.zeros((3, 2)), GOOD["begins"], np.zeros((2, 2)), np.zeros((1, 2)))


def test_no_sequences_are_no_work() -> None:
    empty: Any = GOOD | {"log_density": np.zeros((0, 2)), "begins": np.array([0])}
    log_likelihood, posteriors, transitions, messages = kernels.hmm_forward_backward(**empty)
    assert log_likelihood.shape == (0,)
    assert posteriors.shape == (0, 2)
    assert messages.shape == (0, 2)
    np.testing.assert_array_equal(transitions, np.zeros((2, 2)))
    assert kernels.hmm_viterbi(**empty)[0].shape == (0,)
