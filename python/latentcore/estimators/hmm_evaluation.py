"""What a hidden Markov model says of sequences: parts of whole sequences to threads, always in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.arrays import CSR
from latentcore.engine import rows_per_shard
from latentcore.protocols import Array, RealArray
from latentcore.sequences import Sequences
from latentcore.structures.hmm import HMM, ExpectedHMM, HMMParams
from latentcore.threads import get_num_threads, ordered_map

__all__ = ["HMMEvaluation", "States", "work_of_chain"]

States = npt.NDArray[np.int32]
"""(N,): the state of each row."""

R = TypeVar("R")

_BLOCK_ELEMENTS = 1 << 16
"""Size of the (rows x S) blocks that answers are made of; a longer sequence is a block by itself."""


@dataclass(frozen=True, slots=True)
class HMMEvaluation:
    """What a model says of sequences, in memory that is that of the result, a block and the longest sequence.

    Parameters
    ----------
    params : HMMParams or ExpectedHMM
    work_per_row : (rows, S) -> float
        Multiply-adds of a sweep.
    """

    model: HMM[Any, Any]
    params: HMMParams[Any] | ExpectedHMM[Any]
    work_per_row: Callable[[RealArray | CSR, int], float]
    n_threads: int | None

    def log_likelihoods(self, data: Sequences) -> Array:
        """(Q,) of the sequences, nats; -inf for an impossible one."""

        def of_part(part: Sequences) -> Array:
            log_likelihood: Array = kernels.hmm_log_likelihood(*self._arguments(part))[0]
            return log_likelihood

        return np.concatenate(self._over_parts(data, of_part))

    def log_likelihood(self, data: Sequences) -> float:
        """The total, each sequence by its weight."""
        log_likelihoods = self.log_likelihoods(data)
        weight = data.sample_weight
        return float(log_likelihoods.sum() if weight is None else log_likelihoods @ weight)

    def filtered(self, data: Sequences) -> RealArray:
        """(N, S): the law of each row's state given the rows up to it; NaN from where none is possible."""

        def of_part(part: Sequences) -> RealArray:
            log_filtered = kernels.hmm_forward(*self._arguments(part))[1]
            filtered: RealArray = np.exp(log_filtered)
            filtered[np.isneginf(log_filtered.max(axis=1))] = np.nan
            return filtered

        return self._by_rows(data, of_part)

    def posteriors(self, data: Sequences) -> RealArray:
        """(N, S): the law of each row's state given its sequence; NaN in an impossible one."""
        return self._by_rows(
            data, lambda part: kernels.hmm_forward_backward(*self._arguments(part))[1]
        )

    def posterior_states(self, data: Sequences) -> States:
        """(N,): of each row the most probable state given its sequence, the first of equals."""
        states = np.empty(len(data), np.int32)

        def fill(part: Sequences) -> None:
            posteriors = kernels.hmm_forward_backward(*self._arguments(part))[1]
            states[part.start : part.start + len(part)] = posteriors.argmax(axis=1)

        self._over_parts(data, fill)
        return states

    def best_paths(self, data: Sequences) -> tuple[States, Array]:
        """(N,) the most probable path of each sequence, and (Q,) the log-density of rows and path, nats."""
        states = np.empty(len(data), np.int32)

        def fill(part: Sequences) -> Array:
            path, log_joint, _ = kernels.hmm_viterbi(*self._arguments(part))
            states[part.start : part.start + len(part)] = path
            of_sequences: Array = log_joint
            return of_sequences

        return states, np.concatenate(self._over_parts(data, fill))

    def drawn_paths(self, data: Sequences, uniforms: Callable[[int], Array]) -> States:
        """(P, N): paths from their law given the sequences; ``uniforms(n)`` draws (P, n)."""

        def of_part(part: Sequences) -> States:
            log_density, begins, log_initial, log_transition = self._arguments(part)
            log_filtered = kernels.hmm_forward(log_density, begins, log_initial, log_transition)[1]
            paths: States = kernels.hmm_sample(
                log_filtered, begins, log_transition, uniforms(len(part))
            )
            return paths

        parts = data.shards(self._block_rows())  # one thread: draws come in order
        return np.concatenate([of_part(part) for part in parts], axis=1)

    # -- inside

    def _arguments(self, data: Sequences) -> tuple[RealArray, Any, Array, Array]:
        """What every kernel begins with."""
        return (self.model.log_density(self.params, data), data.begins, *self.logs())

    def logs(self) -> tuple[Array, Array]:
        """Logs of the initial law and of the transition matrix."""
        if isinstance(self.params, ExpectedHMM):
            return self.params.log_initial, self.params.log_transition
        return kernels.log(self.params.initial), kernels.log(self.params.transition)

    def _n_states(self) -> int:
        return len(self.logs()[0])

    def _block_rows(self) -> int:
        return max(1, _BLOCK_ELEMENTS // self._n_states())

    def _by_rows(self, data: Sequences, function: Callable[[Sequences], RealArray]) -> RealArray:
        out = np.empty((len(data), self._n_states()), data.x.dtype)

        def fill(part: Sequences) -> None:
            out[part.start : part.start + len(part)] = function(part)

        self._over_parts(data, fill)
        return out

    def _over_parts(self, data: Sequences, function: Callable[[Sequences], R]) -> list[R]:
        """What ``function`` gives for each block of whole sequences, in their order."""
        shard_rows = rows_per_shard(len(data), self.work_per_row(data.x, self._n_states()))
        n_threads = get_num_threads(self.n_threads) if len(data) > shard_rows else 1

        def over_shard(shard: Sequences) -> list[R]:
            return [function(part) for part in shard.shards(self._block_rows())]

        shards = ordered_map(over_shard, data.shards(shard_rows), n_threads)
        return [result for results in shards for result in results]


def work_of_chain(n_states: int) -> float:
    """Multiply-adds of forward-backward by row; an exponential counts as 16."""
    return float(3 * n_states * n_states + 32 * n_states)
