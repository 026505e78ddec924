"""Results row by row: blocks of rows, shards of blocks to threads, always in the order of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore import diagnostics
from latentcore.arrays import CSR, Rows
from latentcore.engine import rows_per_shard
from latentcore.protocols import Array, RealArray
from latentcore.structures.mixture import ExpectedMixture, Mixture
from latentcore.threads import get_num_threads, ordered_map

__all__ = ["Evaluation", "LikelihoodAndEntropy", "summed", "work_per_row"]

Out = TypeVar("Out", bound=npt.NDArray[Any])
R = TypeVar("R")

_BLOCK_ELEMENTS = 1 << 16
"""Size of the (rows x K) blocks that predictions are made of."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a mixture says of rows, in memory that is that of the result and a block.

    Parameters
    ----------
    params : MixtureParams or ExpectedMixture
    """

    model: Mixture[Any, Any]
    params: Any
    work_per_row: Callable[[RealArray, int], float]
    n_threads: int | None

    def labels(self, x: RealArray) -> npt.NDArray[np.intp]:
        out = np.empty(len(x), np.intp)
        return self._by_rows(x, out, lambda block: self.model.labels(self.params, block))

    def log_joint(self, x: RealArray) -> RealArray:
        return self._by_rows(
            x, self._for_components(x), lambda block: self.model.log_joint(self.params, block)
        )

    def responsibilities(self, x: RealArray) -> RealArray:
        return self._by_rows(x, self._for_components(x), self._responsibilities)

    def log_density(self, x: RealArray) -> RealArray:
        out = np.empty(len(x), x.dtype)
        return self._by_rows(x, out, lambda block: self.model.log_density(self.params, block))

    def entropy(self, x: RealArray) -> Array:
        return self._of_responsibilities(x, diagnostics.entropy_by_row)

    def uncertainty(self, x: RealArray) -> Array:
        return self._of_responsibilities(x, diagnostics.uncertainty)

    def imputed(self, x: RealArray) -> RealArray:
        """A copy of ``x`` with conditional means where entries are missing."""
        family: Any = self.model.family

        def impute(block: RealArray) -> RealArray:
            completed: RealArray = family.impute(
                self.params.components, block, self._responsibilities(block)
            )
            return completed

        return self._by_rows(x, np.empty_like(x), impute)

    def of_rows(self, x: RealArray, function: Callable[[RealArray], RealArray]) -> RealArray:
        """(N,) what ``function`` makes of blocks of rows."""
        return self._by_rows(x, np.empty(len(x), x.dtype), function)

    def log_likelihood(self, data: Rows) -> float:
        def log_likelihood(block: Rows) -> float:
            return _weighted_sum(self.model.log_density(self.params, block.x), block.sample_weight)

        return sum(self._over_blocks(data, log_likelihood))

    def log_likelihood_and_entropy(self, data: Rows) -> tuple[float, float]:
        both = LikelihoodAndEntropy(self.model, self.params)
        return summed(self._over_shards(data, both))

    # -- inside

    def _responsibilities(self, block: RealArray) -> RealArray:
        return self.model.responsibilities(self.params, block)[0]

    def _of_responsibilities(self, x: RealArray, function: Callable[[RealArray], Array]) -> Array:
        out = np.empty(len(x), np.float64)
        return self._by_rows(x, out, lambda block: function(self._responsibilities(block)))

    def _for_components(self, x: RealArray) -> RealArray:
        return np.empty((len(x), _n_components(self.params)), x.dtype)

    def _by_rows(self, x: RealArray, out: Out, function: Callable[[RealArray], Out]) -> Out:
        """Fill ``out`` with what ``function`` makes of the rows, block by block."""

        def fill(block: Rows) -> None:
            out[block.start : block.start + len(block)] = function(block.x)

        self._over_blocks(Rows(x), fill)
        return out

    def _over_blocks(self, data: Rows, function: Callable[[Rows], R]) -> list[R]:
        """What ``function`` gives for each block of rows, in their order."""
        block_rows = _block_rows(self.params)

        def over_shard(shard: Rows) -> list[R]:
            return [function(block) for block in shard.shards(block_rows)]

        return [result for results in self._over_shards(data, over_shard) for result in results]

    def _over_shards(self, data: Rows, function: Callable[[Rows], R]) -> Iterator[R]:
        work = self.work_per_row(data.x, _n_components(self.params))
        shard_rows = rows_per_shard(len(data), work)
        n_threads = get_num_threads(self.n_threads) if len(data) > shard_rows else 1
        return ordered_map(function, data.shards(shard_rows), n_threads)


@dataclass(frozen=True, slots=True)
class LikelihoodAndEntropy:
    """Of rows, block by block: log-likelihood, and entropy of the responsibilities (nats)."""

    model: Mixture[Any, Any]
    params: Any

    def __call__(self, rows: Rows) -> list[tuple[float, float]]:
        return [self._of(block) for block in rows.shards(_block_rows(self.params))]

    def _of(self, block: Rows) -> tuple[float, float]:
        r, log_density = self.model.responsibilities(self.params, block.x)
        log_likelihood = _weighted_sum(log_density, block.sample_weight)
        return log_likelihood, diagnostics.entropy(r, block.sample_weight)


def summed(shards: Iterable[list[tuple[float, float]]]) -> tuple[float, float]:
    """Log-likelihood and entropy of all rows."""
    blocks = [block for shard in shards for block in shard]
    return sum(block[0] for block in blocks), sum(block[1] for block in blocks)


def _n_components(params: Any) -> int:
    return len(params.log_weights if isinstance(params, ExpectedMixture) else params.weights)


def _block_rows(params: Any) -> int:
    return max(1, _BLOCK_ELEMENTS // _n_components(params))


def _weighted_sum(values: RealArray, weights: Array | None) -> float:
    if weights is None:
        return float(values.sum(dtype=np.float64))
    return float(values @ weights)


def work_per_row(x: RealArray | CSR, n_components: int) -> float:
    """Multiply-adds of a sweep over independent columns; an exponential counts as 16."""
    n_entries = len(x.values) / len(x) if isinstance(x, CSR) else x.shape[1]
    return float(n_components * (4 * n_entries + 16))
