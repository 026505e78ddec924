"""Smoothing without going back (Cappé 2011): expected statistics of all rows so far, while an endless sequence goes on.

Besides the law phi of the last row's state, the expected statistics rho of all rows given each state k of the last row
are kept. With r(i|k), the law of the state before given that the chain went to k, a row x brings

    rho(.|k) <- sum_i r(i|k) [ (1 - g) rho(.|i) + g T(i, k, x) ],      s = sum_k phi(k) rho(.|k)

That is linear in rho, so many rows make one step, too: what they add given k is found by forward-backward over them
with k as the last state, and the r(i|k) across their beginning come from the same. The statistics are those that
forward-backward over all rows gives, exactly, as long as the parameters stay. A block costs S times what it costs to
smooth it, and S^2 weighted sums of statistics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from latentcore import kernels
from latentcore.protocols import Array, RealArray
from latentcore.sequences import Sequences
from latentcore.statistics import Statistics, weighted_sums
from latentcore.structures import hmm_recursions as recursions
from latentcore.structures.hmm import HMM, HMMParams, HMMStatistics
from latentcore.structures.hmm_types import Chain

__all__ = ["ByLastState", "Forwarded", "forwarded"]

S = TypeVar("S", bound=Statistics)


@dataclass(frozen=True, slots=True)
class ByLastState(Generic[S]):
    """Statistics given each state of the last row.

    Attributes
    ----------
    log_law : (S,)
        Of that state, given all rows so far.
    given : tuple of S statistics
        Of a state of probability 0: anything.
    """

    log_law: Array
    given: tuple[HMMStatistics[S], ...]

    @classmethod
    def same(cls, log_law: Array, stats: HMMStatistics[S]) -> ByLastState[S]:
        """Statistics that do not depend on the last state."""
        return cls(log_law, (stats,) * len(log_law))

    def expected(self) -> HMMStatistics[S]:
        """Whatever the last state."""
        [mean] = weighted_sums(np.exp(self.log_law)[:, None], self.given)
        return mean

    def onward(self, shares: Array | None, log_law: Array) -> ByLastState[S]:
        """The same given the state of a later row, whose law is ``log_law``.

        ``shares`` (S, S) are the laws of the state here given those there, in columns; None: they are independent.
        """
        if shares is None:
            return self.same(log_law, self.expected())
        return ByLastState(log_law, tuple(weighted_sums(shares, self.given)))

    def __add__(self, other: ByLastState[S]) -> ByLastState[S]:
        """Sums given each state of the row that is the last of ``other``."""
        pairs = zip(self.given, other.given, strict=True)
        return ByLastState(other.log_law, tuple(a + b for a, b in pairs))

    def __mul__(self, scale: float) -> ByLastState[S]:
        return ByLastState(self.log_law, tuple(stats * scale for stats in self.given))


@dataclass(frozen=True, slots=True)
class Forwarded(Generic[S]):
    """Statistics given the state of the last row of some data.

    Attributes
    ----------
    known : ByLastState
        What was known before, as the data let it appear.
    added : ByLastState
        Of the data.
    log_likelihood : float
        Of the data, given the rows before, nats.
    """

    known: ByLastState[S]
    added: ByLastState[S]
    log_likelihood: float


def forwarded(
    model: HMM[Any, S], params: HMMParams[Any], data: Sequences, known: ByLastState[S]
) -> Forwarded[S]:
    """Statistics given the state of the last row of ``data``: of the data, and those that were ``known`` before.

    Parameters
    ----------
    data : Sequences
        Of positive weight. With ``data.entry`` the first sequence goes on from the row that ``known`` is about.

    Raises
    ------
    ImpossibleSequenceError
        A sequence has density 0.
    """
    n, added, log_likelihood = data.n_sequences, None, 0.0
    first_of_others = 0
    if n > 1 and data.entry is not None:
        known, added, log_likelihood = _through(model, params, data.part(0, 1), known, None)
        first_of_others = 1
    if first_of_others < n - 1:
        stats, value = model.expected_statistics(params, data.part(first_of_others, n - 1))
        of_others = ByLastState.same(known.log_law, stats)
        added = of_others if added is None else added.onward(None, known.log_law) + of_others
        log_likelihood += value
    known, added, value = _through(model, params, data.part(n - 1, n), known, added)
    return Forwarded(known, added, log_likelihood + value)


def _through(
    model: HMM[Any, S],
    params: HMMParams[Any],
    sequence: Sequences,
    known: ByLastState[S],
    added: ByLastState[S] | None,
) -> tuple[ByLastState[S], ByLastState[S], float]:
    """``known`` and ``added``, with what the sequence adds, given its last state; and its log-likelihood by weight."""
    chain, log_likelihood = Chain.of(params), 0.0

    def log_density(block: Sequences) -> RealArray:
        return model.log_density(params, block)

    entry = sequence.entry
    for part in recursions.segments_of(chain, sequence):
        segment = replace(part, entry=entry)
        ends = _Ends.of(chain, segment, log_density(segment))
        recursions.check_possible(chain, log_density, sequence, segment, ends.log_likelihood)
        found, shares = _given_ends(model, params, ends)
        known = known.onward(shares, found.log_law)
        added = found if added is None else added.onward(shares, found.log_law) + found
        entry = found.log_law
        log_likelihood += float(ends.log_likelihood[0])
    assert added is not None
    weight = 1.0 if sequence.sample_weight is None else float(sequence.sample_weight[0])
    return known, added, weight * log_likelihood


@dataclass(frozen=True, slots=True)
class _Ends:
    """A segment, to be smoothed given each state of its last row."""

    chain: Chain
    segment: Sequences
    log_density: RealArray
    log_first: Array
    log_likelihood: Array
    log_law: Array

    @classmethod
    def of(cls, chain: Chain, segment: Sequences, log_density: RealArray) -> _Ends:
        log_first = recursions.law_of_first(chain, segment)
        value, [log_law] = kernels.hmm_log_likelihood(
            log_density, segment.begins, log_first, chain.log_transition
        )
        return cls(chain, segment, log_density, log_first, value, log_law)

    def smoothed(self, k: int) -> tuple[recursions.Smoothed, Array | None]:
        """Given that the last state is k; and the law (S,) of the state before the segment, if it goes on."""
        segment, entry = self.segment, self.segment.entry
        last = np.where(np.arange(self.chain.n_states) == k, 0.0, -np.inf)
        _, posteriors, transitions, [message] = kernels.hmm_forward_backward(
            self.log_density, segment.begins, self.log_first, self.chain.log_transition,
            segment.sample_weight, last,
        )  # fmt: skip
        before = None
        if entry is not None:
            pair = recursions.softmax(entry[:, None] + self.chain.log_transition + message)
            before = pair.sum(axis=1)
            weight = 1.0 if segment.sample_weight is None else segment.sample_weight[0]
            transitions = transitions + weight * pair
        found = recursions.Smoothed(
            segment, self.log_likelihood, posteriors, transitions, entry is None
        )
        return found, before


def _given_ends(
    model: HMM[Any, S], params: HMMParams[Any], ends: _Ends
) -> tuple[ByLastState[S], Array | None]:
    """Statistics given the last state, and in columns the laws of the state before given it."""
    n_states = ends.chain.n_states
    shares = None if ends.segment.entry is None else np.zeros((n_states, n_states))
    given: list[HMMStatistics[S] | None] = [None] * n_states
    for k in np.flatnonzero(ends.log_law > -np.inf).tolist():
        found, before = ends.smoothed(k)
        given[k] = model.of_posteriors(params, found)[0]
        if shares is not None:
            shares[:, k] = before
    some = next(stats for stats in given if stats is not None)
    filled = tuple(some if stats is None else stats for stats in given)
    return ByLastState(ends.log_law, filled), shares
