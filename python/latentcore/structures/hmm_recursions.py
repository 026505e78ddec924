"""Recursions over blocks of sequences: forward, forward-backward, Viterbi, backward sampling.

Short sequences share a block. A long one goes segment by segment: forward from its first row, keeping at every cut the
law of the state given the rows so far (a checkpoint), then backward from its last segment, whose densities are computed
again, with what later segments say of the state at the cut. So the memory is that of a block and S numbers a cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.errors import ImpossibleSequenceError
from latentcore.protocols import Array, RealArray
from latentcore.sequences import Sequences
from latentcore.structures.hmm_types import Chain

__all__ = [
    "Decoded",
    "LogDensity",
    "Smoothed",
    "check_possible",
    "decoded",
    "filtered",
    "last_filtered",
    "law_of_first",
    "sampled",
    "scores_of_last",
    "segments_of",
    "smoothed",
    "softmax",
]

LogDensity = Callable[[Sequences], RealArray]
"""(N, S): log-densities of the rows under the states' emissions; -inf where another state is known."""

_BLOCK_ELEMENTS = 1 << 17
"""Size of the (rows x S) blocks that short sequences share: 1 MiB, in cache."""
_SEGMENT_ELEMENTS = 1 << 17
"""Size of the segments of long sequences, likewise."""
_WHOLE_ELEMENTS = 1 << 20
"""Size up to which a sequence stays whole, 8 MiB, where segments take a second look at most rows."""
_WHOLE_PATH_ELEMENTS = 1 << 23
"""The same for most probable paths, of which that look is half of the work: 64 MiB."""


def blocks(chain: Chain, data: Sequences) -> Iterator[Sequences]:
    """Whole sequences that share a block, or one that may need segments, or goes on from rows before."""
    rows = max(1, _BLOCK_ELEMENTS // chain.n_states)
    if data.entry is None:
        yield from data.shards(rows)
        return
    yield data.part(0, 1)
    yield from data.part(1, data.n_sequences).shards(rows)


def segments_of(chain: Chain, sequence: Sequences) -> list[Sequences]:
    """A sequence, cut if it is long."""
    return _segments(chain, sequence, _SEGMENT_ELEMENTS)


def law_of_first(chain: Chain, data: Sequences) -> Array:
    """The log-law of the first state, (S,), unnormalised like the chain."""
    return chain.log_initial if data.entry is None else chain.next(data.entry)


def _segments(chain: Chain, block: Sequences, whole_elements: int) -> list[Sequences]:
    """The block itself, or the segments of its only sequence."""
    if block.n_sequences > 1 or len(block) * chain.n_states <= whole_elements:
        return [block]
    return list(block.segments(max(1, _SEGMENT_ELEMENTS // chain.n_states)))


# -- forward


def last_filtered(
    chain: Chain, log_density: LogDensity, data: Sequences
) -> Iterator[tuple[Sequences, Array, Array]]:
    """Blocks with the log-likelihoods (Q,) of their sequences and the log-laws (Q, S) of the last states."""
    for block in blocks(chain, data):
        log_likelihood: Array = np.zeros(block.n_sequences)
        entry = law_of_first(chain, block)
        for segment in _segments(chain, block, _SEGMENT_ELEMENTS):
            value, law = kernels.hmm_log_likelihood(
                log_density(segment), segment.begins, entry, chain.log_transition
            )
            log_likelihood += value
            if block.n_sequences == 1:
                entry = chain.next(law[0])
        yield block, log_likelihood, law


def filtered(
    chain: Chain, log_density: LogDensity, data: Sequences
) -> Iterator[tuple[Sequences, Array, Array]]:
    """Blocks and segments with their log-likelihoods, given the rows before, and the log-laws (N, S) of states."""
    for block in blocks(chain, data):
        entry = law_of_first(chain, block)
        for segment in _segments(chain, block, _SEGMENT_ELEMENTS):
            value, laws = kernels.hmm_forward(
                log_density(segment), segment.begins, entry, chain.log_transition
            )
            if block.n_sequences == 1:
                entry = chain.next(laws[-1])
            yield segment, value, laws


@dataclass(frozen=True, slots=True)
class _Checkpoints:
    """Of the segments of one sequence.

    Attributes
    ----------
    entries : list of (S,)
        The log-law of each segment's first state given the rows before.
    exits : list of (S,)
        The log-law of the state before each segment, given the rows so far; None where a sequence begins.
    log_likelihood : float
        Of the rows of all segments but the last; not finite if the sequence is impossible.
    """

    entries: list[Array]
    exits: list[Array | None]
    log_likelihood: float


def _checkpoints(chain: Chain, log_density: LogDensity, segments: list[Sequences]) -> _Checkpoints:
    entries, log_likelihood = [law_of_first(chain, segments[0])], 0.0
    exits = [segments[0].entry]
    for segment in segments[:-1]:
        value, law = kernels.hmm_log_likelihood(
            log_density(segment), segment.begins, entries[-1], chain.log_transition
        )
        log_likelihood += float(value[0])
        exits.append(law[0])
        entries.append(chain.next(law[0]))
    return _Checkpoints(entries, exits, log_likelihood)


# -- forward-backward


@dataclass(frozen=True, slots=True)
class Smoothed:
    """A block of sequences, or a segment of one, given all rows.

    Attributes
    ----------
    data : Sequences
    log_likelihood : (Q,)
        Of the sequences, not finite for an impossible one; with the last segment of a long one, and 0 with the others.
    posteriors : (N, S)
        Of the states, times the weight of the sequence. NaN for an impossible sequence.
    transitions : (S, S)
        Sum of the two-slice marginals by weight, that into the first row from a row before included.
    first : bool
        Whether it begins with the first rows of sequences.
    """

    data: Sequences
    log_likelihood: Array
    posteriors: RealArray
    transitions: Array
    first: bool


def smoothed(chain: Chain, log_density: LogDensity, data: Sequences) -> Iterator[Smoothed]:
    """Blocks in order; segments from the last to the first."""
    for block in blocks(chain, data):
        segments = _segments(chain, block, _WHOLE_ELEMENTS)
        if len(segments) > 1 or block.entry is not None:
            yield from _smoothed_segments(chain, log_density, segments)
            continue
        value, posteriors, transitions, _ = kernels.hmm_forward_backward(
            log_density(block), block.begins, chain.log_initial, chain.log_transition,
            block.sample_weight, None,
        )  # fmt: skip
        yield Smoothed(block, value, posteriors, transitions, True)


def _smoothed_segments(
    chain: Chain, log_density: LogDensity, segments: list[Sequences]
) -> Iterator[Smoothed]:
    cuts = _checkpoints(chain, log_density, segments)
    weight = segments[0].sample_weight
    log_future, possible = None, True
    for s in range(len(segments) - 1, -1, -1):
        log_likelihood, posteriors, transitions, messages = kernels.hmm_forward_backward(
            log_density(segments[s]), segments[s].begins, cuts.entries[s], chain.log_transition,
            weight, log_future,
        )  # fmt: skip
        if s == len(segments) - 1:
            log_likelihood = log_likelihood + cuts.log_likelihood
            possible = bool(np.isfinite(log_likelihood[0]))
        else:
            log_likelihood = np.zeros(1)
        exit_before = cuts.exits[s]
        if not possible:
            posteriors[:] = np.nan
        elif exit_before is not None:
            onward = chain.log_transition + messages[0]
            pair = softmax(exit_before[:, None] + onward)
            transitions = transitions + (pair if weight is None else weight[0] * pair)
            log_future = kernels.logsumexp(onward)
        yield Smoothed(segments[s], log_likelihood, posteriors, transitions, exit_before is None)


def softmax(logs: Array) -> Array:
    """Numbers >= 0 that sum to one, of the shape of their logs."""
    return np.exp(logs - kernels.logsumexp(logs.reshape(1, -1)))


# -- Viterbi


@dataclass(frozen=True, slots=True)
class Decoded:
    """A block of sequences, or a segment of one, with the most probable path.

    Attributes
    ----------
    data : Sequences
    states : (N,) int32
    log_joint : (Q,)
        The log joint density of sequences and paths, with the last segment; 0 with the others. -inf for an impossible
        sequence, whose path means nothing.
    following : int
        The state of the row after a segment, -1 where there is none.
    first : bool
        Whether it begins with the first rows of sequences.
    before : int
        The state before the first row of data that go on, -1 where there is none.
    """

    data: Sequences
    states: npt.NDArray[np.int32]
    log_joint: Array
    following: int
    first: bool
    before: int = -1


def decoded(chain: Chain, log_density: LogDensity, data: Sequences) -> Iterator[Decoded]:
    """Blocks in order; segments from the last to the first. Of equal paths the one of the lowest last states.

    The ``entry`` of data that go on holds the scores of the best paths so far (see ``scores_of_last``).
    """
    for block in blocks(chain, data):
        segments = _segments(chain, block, _WHOLE_PATH_ELEMENTS)
        entries, exits = _scored(chain, log_density, segments)
        following, end_state = -1, -1
        for s in range(len(segments) - 1, -1, -1):
            states, log_joint, _ = kernels.hmm_viterbi(
                log_density(segments[s]), segments[s].begins, entries[s], chain.log_transition,
                end_state,
            )  # fmt: skip
            if following >= 0:
                log_joint = np.zeros(1)
            exit_before, after = exits[s], following
            if exit_before is not None:
                following = int(states[0])
                end_state = int((exit_before + chain.log_transition[:, following]).argmax())
            before = end_state if s == 0 and exit_before is not None else -1
            yield Decoded(segments[s], states, log_joint, after, exit_before is None, before)


def _scored(
    chain: Chain, log_density: LogDensity, segments: list[Sequences]
) -> tuple[list[Array], list[Array | None]]:
    """Scores (S,) of the best paths into the first row of each segment, and up to the row before it."""
    exits = [segments[0].entry]
    entries = [chain.log_initial if exits[0] is None else _best_onward(chain, exits[0])]
    for segment in segments[:-1]:
        _, _, scores = kernels.hmm_viterbi(
            log_density(segment), segment.begins, entries[-1], chain.log_transition, -1
        )
        exits.append(scores[0])
        entries.append(_best_onward(chain, scores[0]))
    return entries, exits


def _best_onward(chain: Chain, scores: Array) -> Array:
    best: Array = (scores[:, None] + chain.log_transition).max(axis=0)
    return best


def scores_of_last(chain: Chain, log_density: LogDensity, sequence: Sequences) -> Array:
    """(S,): the log joint density of a sequence and the best path to each last state, less that of the best."""
    segments = _segments(chain, sequence, _SEGMENT_ELEMENTS)
    entries, _ = _scored(chain, log_density, segments)
    _, _, [scores] = kernels.hmm_viterbi(
        log_density(segments[-1]), segments[-1].begins, entries[-1], chain.log_transition, -1
    )
    less: Array = scores - scores.max()
    return less


# -- backward sampling


def sampled(
    chain: Chain,
    log_density: LogDensity,
    data: Sequences,
    uniforms: Callable[[tuple[int, int]], Array],
    n_paths: int,
) -> Iterator[tuple[Sequences, npt.NDArray[np.int32]]]:
    """Blocks with paths (n_paths, N) drawn from the posterior; segments from the last to the first.

    ``uniforms`` draws numbers in [0, 1) of a shape.

    Raises
    ------
    ImpossibleSequenceError
        A sequence has density 0.
    """
    for block in blocks(chain, data):
        segments = _segments(chain, block, _WHOLE_ELEMENTS)
        cuts = _checkpoints(chain, log_density, segments)
        following: npt.NDArray[np.int32] | None = None
        for s in range(len(segments) - 1, -1, -1):
            segment = segments[s]
            log_likelihood, laws = kernels.hmm_forward(
                log_density(segment), segment.begins, cuts.entries[s], chain.log_transition
            )
            possible = log_likelihood + cuts.log_likelihood
            check_possible(chain, log_density, data, segment, possible)
            paths = _sampled(chain, laws, segment, uniforms((n_paths, len(segment))), following)
            yield segment, paths
            following = paths[:, 0]


def _sampled(
    chain: Chain,
    log_filtered: Array,
    segment: Sequences,
    uniforms: Array,
    following: npt.NDArray[np.int32] | None,
) -> npt.NDArray[np.int32]:
    """Paths before ``following`` states (P,), or to the end of sequences."""
    if following is None:
        return kernels.hmm_sample(log_filtered, segment.begins, chain.log_transition, uniforms)
    paths = np.empty(uniforms.shape, np.int32)
    last = log_filtered[-1].copy()
    for state in np.unique(following):
        chosen = following == state
        log_filtered[-1] = last + chain.log_transition[:, state]
        paths[chosen] = kernels.hmm_sample(
            log_filtered, segment.begins, chain.log_transition, uniforms[chosen]
        )
    return paths


# -- what is wrong


def check_possible(
    chain: Chain,
    log_density: LogDensity,
    data: Sequences,
    block: Sequences,
    log_likelihood: Array,
) -> None:
    """Raise ``ImpossibleSequenceError`` for the first sequence of a block of ``data`` without a finite log-likelihood.

    Its step is the first row that no path reaches with a positive density, or with a density that is no finite number.
    """
    impossible = np.flatnonzero(~np.isfinite(log_likelihood))
    if impossible.size:
        first = block.first + int(impossible[0])
        q = first - data.first
        step = _first_impossible_step(chain, log_density, data.part(q, q + 1))
        raise ImpossibleSequenceError(first, step)


def _first_impossible_step(chain: Chain, log_density: LogDensity, sequence: Sequences) -> int:
    reached = law_of_first(chain, sequence) > -np.inf
    possible = chain.log_transition > -np.inf
    for segment in _segments(chain, sequence, _SEGMENT_ELEMENTS):
        for t, row in enumerate(log_density(segment)):
            alive = reached & (row > -np.inf)
            if not alive.any() or not (row < np.inf).all():
                return segment.start - sequence.start + t
            reached = possible[alive].any(axis=0)
    return len(sequence) - 1
