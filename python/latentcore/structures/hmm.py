"""Hidden Markov models: a hidden state for every row, that depends on the one before.

``p(x, z) = initial[z_1] f_{z_1}(x_1) prod_{t>1} transition[z_{t-1}, z_t] f_{z_t}(x_t)``, each sequence by itself.

Rows are looked at block by block (``hmm_recursions``), so that a fit holds nothing of the size N x S. What a model says
of sequences is in ``hmm_inference``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt

from latentcore import floors
from latentcore.errors import ImpossibleSequenceError
from latentcore.protocols import (
    Array,
    Conjugate,
    Family,
    KernelFamily,
    Lengths,
    RealArray,
    Variational,
)
from latentcore.sequences import Sequences, without_absent
from latentcore.statistics import Statistics, total
from latentcore.structures import dirichlet_rows
from latentcore.structures.chains import (
    checked_length_weights,
    drawn_states,
    stationary_distribution,
    usages,
)
from latentcore.structures.hmm_recursions import (
    Decoded,
    Smoothed,
    check_possible,
    decoded,
    smoothed,
)
from latentcore.structures.hmm_types import (
    Chain,
    ExpectedHMM,
    HMMParams,
    HMMPrior,
    HMMStatistics,
)
from latentcore.structures.mixture import one_hot, sampled_rows, without_dust
from latentcore.structures.topology import Topology

__all__ = ["HMM", "ExpectedHMM", "HMMParams", "HMMPrior", "HMMStatistics", "usages"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)
H = TypeVar("H")

FREE = Topology()

_BASE_ROWS = 1 << 14
"""Rows whose log h(x) are made at a time."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is the same in every sweep over a shard, whose absent sequences were left out.

    Attributes
    ----------
    index : (Q,)
        Of the present sequences, within the shard.
    log_base : float or None
        log h(x), summed over rows by weight; None where the family does not tell it apart.
    """

    index: npt.NDArray[np.intp]
    log_base: float | None


@dataclass(frozen=True, slots=True)
class HMM(Generic[P, S]):
    """A hidden Markov model with S states and emissions of one family.

    Parameters
    ----------
    family : Family
    hard : bool
        Sequences follow their most probable path alone, and the objective is the log joint density of sequences and
        paths (Viterbi training; Juang & Rabiner 1990). Otherwise all paths, by their posterior.
    topology : Topology
        What is free in the chain.
    """

    family: Family[P, S]
    hard: bool = False
    topology: Topology = FREE

    def prepare(self, data: Sequences) -> Sequences:
        """The sequences that are there, with what sweeps over them would find out again and again.

        Raises
        ------
        ImpossibleSequenceError
            A row has density 0 whatever the parameters.
        """
        index = np.arange(data.n_sequences)
        if data.sample_weight is not None:
            index = np.flatnonzero(data.sample_weight)
        present = without_absent(data)
        try:
            log_base = self._log_base(present)
        except ImpossibleSequenceError as error:
            raise _renumbered(error, data, index) from None
        return replace(present, prepared=_Prepared(index, log_base))

    def expected_statistics(
        self, params: HMMParams[P] | ExpectedHMM[P], data: Sequences
    ) -> tuple[HMMStatistics[S], float]:
        """The E-step: expected statistics, and the objective (nats, total).

        The objective is the log-likelihood: of sequences, of sequences and their states where these are known, and,
        ``hard``, of sequences and their most probable paths.

        Raises
        ------
        ImpossibleSequenceError
            A sequence of positive weight has density 0.
        """
        if not isinstance(data.prepared, _Prepared):
            data = self.prepare(data)
        assert isinstance(data.prepared, _Prepared)
        if not data.n_sequences:
            return self._nothing(params, data), 0.0
        log_base = data.prepared.log_base
        objective = 0.0

        def parts() -> Iterator[HMMStatistics[S]]:
            nonlocal objective
            for stats, value in self._parts(params, data, with_base=log_base is None):
                objective += value
                yield stats

        try:
            stats = total(parts())
        except ImpossibleSequenceError as error:
            raise _renumbered(error, data, data.prepared.index) from None
        return stats, objective + (log_base or 0.0)

    def maximize(
        self, stats: HMMStatistics[S], previous: HMMParams[P] | None = None
    ) -> HMMParams[P]:
        """The M-step: the chain by its topology, emissions by their family."""
        chain = self._chain(stats.starts, stats.transitions, previous)
        emissions = self.family.maximize(
            stats.emissions, None if previous is None else previous.emissions
        )
        return HMMParams(*chain, emissions)

    def model_statistics(
        self,
        params: HMMParams[P],
        lengths: Lengths | None = None,
        length_weights: Array | None = None,
    ) -> HMMStatistics[S]:
        """What one sequence is expected to give, or one row of an endless one.

        Parameters
        ----------
        params : HMMParams
        lengths : (Q,), optional
            The sequence is as long as any of these. Without them it is endless, and a row of it is expected to leave
            and to visit the states as often as the stationary law says. It has no first state: ``starts`` are 0, so
            that ``maximize`` keeps the law of the first state.
        length_weights : (Q,), optional
            Probabilities of the lengths, not normalised; by default equal ones.

        Raises
        ------
        ValueError
            Without lengths: the chain has several closed classes of states, and so no one stationary law.
        """
        starts = params.initial
        if lengths is None:
            left = visited = stationary_distribution(params.transition)
            starts = np.zeros_like(starts)
        else:
            left, visited = usages(params.initial, params.transition, lengths, length_weights)
        return HMMStatistics(
            starts,
            left[:, None] * params.transition,
            visited,
            self.family.model_statistics(params.emissions, visited),
        )

    def sampled_statistics(
        self,
        params: HMMParams[P],
        n: int,
        rng: np.random.Generator,
        lengths: Lengths | None = None,
        length_weights: Array | None = None,
    ) -> HMMStatistics[S]:
        """An unbiased estimate of ``model_statistics``: what n draws of the model say of it, each.

        With lengths n sequences are drawn. Without, n steps of one that is stationary, and the row before them.
        """
        if lengths is None:
            stationary = replace(params, initial=stationary_distribution(params.transition))
            one = self.sampled_statistics(stationary, 1, rng, np.array([n + 1]))
            starts, of_rows = np.zeros_like(one.starts), 1.0 / (n + 1)
            return HMMStatistics(
                starts, one.transitions / n, one.counts * of_rows, one.emissions * of_rows
            )
        weights = checked_length_weights(length_weights, len(lengths))
        share = None if weights is None else weights / weights.sum()
        drawn = rng.choice(lengths, n, p=share)
        states = drawn_states(params.initial, params.transition, drawn.tolist(), rng)
        counts = np.bincount(states, minlength=len(params.initial))
        by_state = sampled_rows(self.family, params.emissions, counts, rng)
        x = np.empty_like(by_state)
        x[np.argsort(states, kind="stable")] = by_state
        begins = np.concatenate([[0], np.cumsum(drawn)]).astype(np.int64)
        stats, _ = replace(self, hard=False).expected_statistics(params, Sequences(x, begins))
        return stats * (1.0 / n)

    def with_floor(self, stats: HMMStatistics[S]) -> HMMStatistics[S]:
        """With what ``maximize`` adds to those of the emissions."""
        emissions = floors.with_floor(self.family, stats.emissions)
        return HMMStatistics(stats.starts, stats.transitions, stats.counts, emissions)

    def without_floor(self) -> HMM[P, S]:
        """The model whose ``maximize`` adds nothing."""
        return HMM(floors.without_floor(self.family), self.hard, self.topology)

    # -- with a prior

    def update(self, prior: HMMPrior[H], stats: HMMStatistics[S]) -> HMMPrior[H]:
        """The posterior: Dirichlets after the counts, emissions by their family."""
        return HMMPrior(
            dirichlet_rows.updated(prior.initial, stats.starts),
            dirichlet_rows.updated(prior.transition, stats.transitions),
            self._conjugate(prior).update(prior.emissions, stats.emissions),
        )

    def mode(self, posterior: HMMPrior[H], previous: HMMParams[P] | None = None) -> HMMParams[P]:
        """The posterior's mode. Where alpha < 1 there is none inside; a probability of 0 is taken for it."""
        chain = self._chain(
            dirichlet_rows.mode_counts(posterior.initial),
            dirichlet_rows.mode_counts(posterior.transition),
            previous,
        )
        emissions = self._conjugate(posterior).mode(
            posterior.emissions, None if previous is None else previous.emissions
        )
        return HMMParams(*chain, emissions)

    def log_prior(self, prior: HMMPrior[H], params: HMMParams[P]) -> float:
        """The log-density of the chain's laws and of the emissions, nats."""
        return (
            dirichlet_rows.log_density(prior.initial[None], params.initial[None])
            + dirichlet_rows.log_density(prior.transition, params.transition)
            + self._conjugate(prior).log_prior(prior.emissions, params.emissions)
        )

    # -- with a posterior

    def expected(self, posterior: HMMPrior[H]) -> ExpectedHMM[P]:
        """What takes the place of parameters in the E-step of CAVI (MacKay 1997; Beal 2003, chapter 3)."""
        return ExpectedHMM(
            dirichlet_rows.expected_log(posterior.initial[None])[0],
            dirichlet_rows.expected_log(posterior.transition),
            self._variational(posterior).expected(posterior.emissions, len(posterior.initial)),
        )

    def divergence(self, posterior: HMMPrior[H], prior: HMMPrior[H]) -> tuple[float, Array]:
        """KL(posterior || prior) of the chain, and of each state's emissions, (S,), nats."""
        of_initial = dirichlet_rows.divergence(posterior.initial[None], prior.initial[None])
        of_rows = dirichlet_rows.divergence(posterior.transition, prior.transition)
        family = self._variational(posterior)
        of_emissions = family.divergence(posterior.emissions, prior.emissions)
        return float(of_initial[0] + of_rows.sum()), of_emissions

    def blend(self, posterior: HMMPrior[H], other: HMMPrior[H], rate: float) -> HMMPrior[H]:
        """The step ``(1 - rate) posterior + rate other`` in natural coordinates."""
        family = self._variational(posterior)
        return HMMPrior(
            (1.0 - rate) * posterior.initial + rate * other.initial,
            (1.0 - rate) * posterior.transition + rate * other.transition,
            family.blend(posterior.emissions, other.emissions, rate),
        )

    def mean(self, posterior: HMMPrior[H]) -> HMMParams[P]:
        """Parameters in the middle of the posterior, to plug in."""
        return HMMParams(
            dirichlet_rows.mean(posterior.initial[None])[0],
            dirichlet_rows.mean(posterior.transition),
            self._variational(posterior).mean(posterior.emissions),
        )

    # -- rows

    def log_density(
        self, params: HMMParams[P] | ExpectedHMM[P], data: Sequences, *, with_base: bool = True
    ) -> RealArray:
        """(N, S): log-densities of rows under the states' emissions; -inf where another state is known.

        Without the base: without what does not depend on the parameters, if the family tells it apart.
        """
        if with_base:
            log_density = self.family.log_likelihood(params.emissions, data.x)
        else:
            log_density = cast(KernelFamily[P], self.family).log_kernel(params.emissions, data.x)
        with np.errstate(over="ignore"):  # -inf where a float32 cannot be as small
            log_density = np.ascontiguousarray(log_density, dtype=data.x.dtype)
        if data.labels is not None:
            known = np.flatnonzero(data.labels >= 0)
            kept = log_density[known, data.labels[known]]
            log_density[known] = -np.inf
            log_density[known, data.labels[known]] = kept
        return log_density

    # -- inside

    def _parts(
        self, params: HMMParams[P] | ExpectedHMM[P], data: Sequences, with_base: bool
    ) -> Iterator[tuple[HMMStatistics[S], float]]:
        """Statistics and objectives block by block."""
        chain = Chain.of(params)

        def log_density(block: Sequences) -> RealArray:
            return self.log_density(params, block, with_base=with_base)

        if self.hard:
            for path in decoded(chain, log_density, data):
                check_possible(chain, log_density, data, path.data, path.log_joint)
                yield self._of_paths(params, path, chain.n_states)
        else:
            for given in smoothed(chain, log_density, data):
                check_possible(chain, log_density, data, given.data, given.log_likelihood)
                yield self.of_posteriors(params, given)

    def _log_base(self, data: Sequences) -> float | None:
        """log h(x), summed over rows by weight."""
        if not hasattr(self.family, "log_kernel"):
            return None
        family, log_base = cast(KernelFamily[P], self.family), 0.0
        for block in data.rows().shards(_BASE_ROWS):
            base = family.log_base(block.x)
            if base is None:
                return 0.0
            with np.errstate(over="ignore"):  # what no log-density of this precision can be
                impossible = np.flatnonzero(~np.isfinite(base.astype(data.x.dtype)))
            if impossible.size:
                row = block.start - data.start + int(impossible[0])
                q = int(np.searchsorted(data.begins, row, side="right")) - 1
                raise ImpossibleSequenceError(data.first + q, row - int(data.begins[q]))
            log_base += float(
                base.sum() if block.sample_weight is None else base @ block.sample_weight
            )
        return log_base

    def of_posteriors(
        self, params: HMMParams[P] | ExpectedHMM[P], found: Smoothed
    ) -> tuple[HMMStatistics[S], float]:
        block, r = found.data, found.posteriors
        starts = _starts(found, r[block.begins[:-1]].sum(axis=0, dtype=np.float64))
        stats = HMMStatistics(
            starts,
            found.transitions,
            starts + found.transitions.sum(axis=0),  # each row begins a sequence or is gone to
            self.family.expected_statistics(params.emissions, block.x, r),
        )
        return stats, _weighted(found.log_likelihood, block)

    def _of_paths(
        self, params: HMMParams[P] | ExpectedHMM[P], found: Decoded, n_states: int
    ) -> tuple[HMMStatistics[S], float]:
        block, states = found.data, found.states
        weight = block.rows().sample_weight
        weight = np.ones(len(block)) if weight is None else weight
        r = one_hot(states, np.empty((0, n_states), block.x.dtype))
        r *= weight[:, None].astype(r.dtype)
        first_rows = block.begins[:-1]
        stats = HMMStatistics(
            _starts(found, _counts(states[first_rows], weight[first_rows], n_states)),
            _transitions(found, weight, n_states),
            _counts(states, weight, n_states),
            self.family.expected_statistics(params.emissions, block.x, r),
        )
        return stats, _weighted(found.log_joint, block)

    def _nothing(self, params: HMMParams[P] | ExpectedHMM[P], data: Sequences) -> HMMStatistics[S]:
        n_states = Chain.of(params).n_states
        zeros = np.zeros(n_states)
        x, r = data.x[:0], np.zeros((0, n_states), data.x.dtype)
        emissions = self.family.expected_statistics(params.emissions, x, r)
        return HMMStatistics(zeros, np.zeros((n_states, n_states)), zeros, emissions)

    def _chain(
        self, starts: Array, transitions: Array, previous: HMMParams[P] | None
    ) -> tuple[Array, Array]:
        before = None if previous is None else (previous.initial, previous.transition)
        initial, transition = self.topology.maximize(starts, transitions, before)
        return without_dust(initial), without_dust(transition)

    def _conjugate(self, prior: HMMPrior[H]) -> Conjugate[H, S, P]:
        if not hasattr(self.family, "mode"):
            raise TypeError(f"prior: expected a family with conjugate priors, got {self.family!r}")
        return cast(Conjugate[H, S, P], self.family)

    def _variational(self, prior: HMMPrior[H]) -> Variational[H, S, P]:
        if not hasattr(self.family, "expected"):
            raise TypeError(
                f"prior: expected a family with variational posteriors, got {self.family!r}"
            )
        return cast(Variational[H, S, P], self.family)


def _renumbered(
    error: ImpossibleSequenceError, data: Sequences, index: npt.NDArray[np.intp]
) -> ImpossibleSequenceError:
    """The same about the whole data, from an error about a shard without its absent sequences."""
    sequence = data.first + int(index[error.sequence - data.first])
    return ImpossibleSequenceError(sequence, error.step)


def _weighted(values: Array, data: Sequences) -> float:
    return float(values.sum() if data.sample_weight is None else values @ data.sample_weight)


def _starts(found: Smoothed | Decoded, counts: Array) -> Array:
    """Counts of first states, from those of the first rows, which a segment may have taken from amid a sequence."""
    return counts if found.first else np.zeros_like(counts)


def _counts(states: npt.NDArray[np.integer[Any]], weight: Array, n_states: int) -> Array:
    return np.bincount(states, weight, n_states).astype(np.float64, copy=False)


def _transitions(found: Decoded, weight: Array, n_states: int) -> Array:
    """Counts (S, S) of the pairs of states within sequences, and of those across the ends of a segment."""
    following = np.append(found.states[1:], max(found.following, 0))
    within = np.ones(len(following), bool)
    within[found.data.begins[1:] - 1] = found.following >= 0
    pairs = found.states[within].astype(np.int64) * n_states + following[within]
    counts = _counts(pairs, weight[within], n_states**2).reshape(n_states, n_states)
    if found.before >= 0:
        counts[found.before, found.states[0]] += weight[0]
    return counts
