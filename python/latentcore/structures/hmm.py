"""Hidden Markov models: a hidden state for every row, that depends on the one before.

``p(x, z) = initial[z_1] f_{z_1}(x_1) prod_{t>1} transition[z_{t-1}, z_t] f_{z_t}(x_t)``, each sequence by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from latentcore import kernels
from latentcore.errors import ImpossibleSequenceError
from latentcore.protocols import Array, Family, RealArray
from latentcore.sequences import Sequences
from latentcore.statistics import Statistics, total
from latentcore.structures.topology import Topology

__all__ = ["HMM", "ExpectedHMM", "HMMParams", "HMMPrior", "HMMStatistics"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)
H = TypeVar("H")

FREE = Topology()

_BLOCK_ELEMENTS = 1 << 16
"""Size of the (rows x S) block of log-densities that is filled at a time: half a MiB, in cache."""


@dataclass(frozen=True, slots=True)
class HMMParams(Generic[P]):
    """The law of the first state (S,), the transition matrix (S, S), whose rows sum to one, and the emissions."""

    initial: Array
    transition: Array
    emissions: P


@dataclass(frozen=True, slots=True)
class ExpectedHMM(Generic[P]):
    """What takes the place of ``HMMParams`` in an E-step at expected log-densities."""

    log_initial: Array
    log_transition: Array
    emissions: P


@dataclass(frozen=True, slots=True)
class HMMStatistics(Statistics, Generic[S]):
    """Expected counts of first states (S,), of transitions (S, S) and of states (S,), and the emissions' statistics."""

    starts: Array
    transitions: Array
    counts: Array
    emissions: S


@dataclass(frozen=True, slots=True)
class HMMPrior(Generic[H]):
    """Dirichlets of the first state, alpha (S,), and of the rows of the transition matrix, alpha (S, S), 0 where a
    transition is forbidden; and the conjugate prior of the emissions. Posteriors alike."""

    initial: Array
    transition: Array
    emissions: H


@dataclass(frozen=True, slots=True)
class HMM(Generic[P, S]):
    """A hidden Markov model with S states and emissions of one family.

    Parameters
    ----------
    family : Family
    hard : bool
        Sequences follow their most probable path alone (Viterbi training). Otherwise all, by their posterior.
    topology : Topology
        What is free in the chain.
    """

    family: Family[P, S]
    hard: bool = False
    topology: Topology = FREE

    def expected_statistics(
        self, params: HMMParams[P] | ExpectedHMM[P], data: Sequences
    ) -> tuple[HMMStatistics[S], float]:
        """The E-step: expected statistics, and the log-likelihood (nats, total).

        Raises
        ------
        ImpossibleSequenceError
            A sequence has density 0.
        """
        log_likelihood = 0.0

        def parts() -> Iterator[HMMStatistics[S]]:
            nonlocal log_likelihood
            for piece in data.shards(self._block_rows(params)):
                stats, value = self._block(params, piece)
                log_likelihood += value
                yield stats

        return total(parts()), log_likelihood

    def maximize(
        self, stats: HMMStatistics[S], previous: HMMParams[P] | None = None
    ) -> HMMParams[P]:
        """The M-step: the chain by its topology, emissions by their family."""
        initial, transition = self.topology.maximize(
            stats.starts,
            stats.transitions,
            None if previous is None else (previous.initial, previous.transition),
        )
        emissions = self.family.maximize(
            stats.emissions, None if previous is None else previous.emissions
        )
        return HMMParams(initial, transition, emissions)

    # -- what the model says of rows

    def log_density(self, params: HMMParams[P] | ExpectedHMM[P], data: Sequences) -> RealArray:
        """(N, S): log-densities of rows under the states' emissions; -inf where another state is known."""
        log_density = self.family.log_likelihood(params.emissions, data.x)
        if data.labels is not None:
            known = np.flatnonzero(data.labels >= 0)
            kept = log_density[known, data.labels[known]]
            log_density[known] = -np.inf
            log_density[known, data.labels[known]] = kept
        return np.ascontiguousarray(log_density, dtype=data.x.dtype)

    # -- inside

    def _block(
        self, params: HMMParams[P] | ExpectedHMM[P], data: Sequences
    ) -> tuple[HMMStatistics[S], float]:
        log_likelihood, posteriors, transitions, _ = kernels.hmm_forward_backward(
            self.log_density(params, data), data.begins, *_logs(params), data.sample_weight
        )
        impossible = np.flatnonzero(~np.isfinite(log_likelihood))
        if impossible.size:
            raise ImpossibleSequenceError(data.first + int(impossible[0]), 0)
        weight = data.sample_weight
        stats = HMMStatistics(
            posteriors[data.begins[:-1]].sum(axis=0, dtype=np.float64),
            transitions,
            posteriors.sum(axis=0, dtype=np.float64),
            self.family.expected_statistics(params.emissions, data.x, posteriors),
        )
        return stats, float(log_likelihood.sum() if weight is None else log_likelihood @ weight)

    def _block_rows(self, params: HMMParams[Any] | ExpectedHMM[Any]) -> int:
        n_states = len(_logs(params)[0])
        return max(1, _BLOCK_ELEMENTS // n_states)


def _logs(params: HMMParams[Any] | ExpectedHMM[Any]) -> tuple[Array, Array]:
    if isinstance(params, ExpectedHMM):
        return params.log_initial, params.log_transition
    return kernels.log(params.initial), kernels.log(params.transition)
