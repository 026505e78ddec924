"""What a hidden Markov model says of sequences: shards of whole sequences to threads, always in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore.arrays import CSR
from latentcore.engine import rows_per_shard
from latentcore.protocols import Array, RealArray
from latentcore.sequences import Sequences
from latentcore.structures import hmm_inference as inference
from latentcore.structures.hmm import HMM, ExpectedHMM, HMMParams
from latentcore.structures.hmm_types import Chain
from latentcore.threads import get_num_threads, ordered_map

__all__ = ["HMMEvaluation", "States", "work_of_chain"]

States = npt.NDArray[np.int32]
"""(N,): the state of each row."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class HMMEvaluation:
    """What a model says of sequences, in memory that is that of the result and a block for each thread.

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
        parts = self._over_shards(
            data, lambda shard: inference.log_likelihoods(self.model, self.params, shard)
        )
        return np.concatenate(parts)

    def log_likelihood(self, data: Sequences) -> float:
        """The total, each sequence by its weight."""
        log_likelihoods = self.log_likelihoods(data)
        weight = data.sample_weight
        return float(log_likelihoods.sum() if weight is None else log_likelihoods @ weight)

    def filtered(self, data: Sequences) -> RealArray:
        """(N, S): the law of each row's state given the rows up to it; NaN from where none is possible."""
        return self._laws(data, inference.filtered)

    def posteriors(self, data: Sequences) -> RealArray:
        """(N, S): the law of each row's state given its sequence; NaN in an impossible one."""
        return self._laws(data, inference.posteriors)

    def posterior_states(self, data: Sequences) -> States:
        """(N,): of each row the most probable state given its sequence, the first of equals."""
        parts = self._over_shards(
            data, lambda shard: inference.posterior_states(self.model, self.params, shard)
        )
        return np.concatenate(parts)

    def best_paths(self, data: Sequences) -> tuple[States, Array]:
        """(N,) the most probable path of each sequence, and (Q,) the log-density of rows and path, nats."""
        found = self._over_shards(
            data, lambda shard: inference.paths(self.model, self.params, shard)
        )
        states, log_joint = zip(*found, strict=True)
        return np.concatenate(states), np.concatenate(log_joint)

    # -- inside

    def _laws(self, data: Sequences, function: Callable[..., RealArray]) -> RealArray:
        """(N, S): what ``function`` says of the rows, held once."""
        if len(data) <= self._shard_rows(data):
            return function(self.model, self.params, data)
        out = np.empty((len(data), Chain.of(self.params).n_states), data.x.dtype)

        def fill(shard: Sequences) -> None:
            begin = shard.start - data.start
            out[begin : begin + len(shard)] = function(self.model, self.params, shard)

        self._over_shards(data, fill)
        return out

    def _shard_rows(self, data: Sequences) -> int:
        work = self.work_per_row(data.x, Chain.of(self.params).n_states)
        return rows_per_shard(len(data), work)

    def _over_shards(self, data: Sequences, function: Callable[[Sequences], R]) -> list[R]:
        """What ``function`` gives for each shard of whole sequences, in their order."""
        shard_rows = self._shard_rows(data)
        n_threads = get_num_threads(self.n_threads) if len(data) > shard_rows else 1
        return list(ordered_map(function, data.shards(shard_rows), n_threads))


def work_of_chain(n_states: int) -> float:
    """Multiply-adds of forward-backward by row; an exponential counts as 16."""
    return float(3 * n_states * n_states + 32 * n_states)
