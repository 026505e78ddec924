"""Finite mixtures: a hidden component for every row.

``log p(x) = log sum_k weight_k f_k(x)``, ``r_nk = weight_k f_k(x_n) / sum_j weight_j f_j(x_n)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.arrays import Rows
from latentcore.errors import ImpossibleRowError
from latentcore.protocols import Array, Family, FusedFamily, RealArray
from latentcore.statistics import Statistics, total

__all__ = ["Mixture", "MixtureParams", "MixtureStatistics"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)

_BLOCK_ELEMENTS = 1 << 16
"""Size of the (rows x K) block that a family without compiled sweeps fills at a time: half a MiB, in cache."""


@dataclass(frozen=True, slots=True)
class MixtureParams(Generic[P]):
    """Weights (K,), summing to one, and the parameters of the components."""

    weights: Array
    components: P


@dataclass(frozen=True, slots=True)
class MixtureStatistics(Statistics, Generic[S]):
    """Expected counts (K,) of the hidden components, and the components' own statistics."""

    counts: Array
    components: S


@dataclass(frozen=True, slots=True)
class Mixture(Generic[P, S]):
    """A mixture of K components of one family."""

    family: Family[P, S]

    def expected_statistics(
        self, params: MixtureParams[P], data: Rows
    ) -> tuple[MixtureStatistics[S], float]:
        """The E-step: expected counts and statistics, and the log-likelihood (nats, total).

        Raises
        ------
        ImpossibleRowError
            A row has density 0 under every component.
        """
        fused = self._fused()
        log_weights = _log(params.weights)
        try:
            if fused is None:
                return self._expected_statistics_by_blocks(params, log_weights, data)
            counts, stats, log_likelihood = fused.mixture_sweep(
                params.components, log_weights, data.x, data.sample_weight
            )
        except ImpossibleRowError as error:
            raise ImpossibleRowError(data.start + error.row) from None
        return MixtureStatistics(counts, stats), log_likelihood

    def maximize(
        self, stats: MixtureStatistics[S], previous: MixtureParams[P] | None = None
    ) -> MixtureParams[P]:
        """The M-step: weights in proportion to the counts, components by their family."""
        components = self.family.maximize(
            stats.components, None if previous is None else previous.components
        )
        return MixtureParams(stats.counts / stats.counts.sum(), components)

    def model_statistics(self, params: MixtureParams[P]) -> MixtureStatistics[S]:
        """What one row is expected to give: the weights as counts, and each component's share of the row."""
        return MixtureStatistics(
            params.weights, self.family.model_statistics(params.components, params.weights)
        )

    def log_joint(self, params: MixtureParams[P], x: RealArray) -> RealArray:
        """(N, K): log weight plus log-density, nats."""
        fused = self._fused()
        log_weights = _log(params.weights)
        if fused is not None:
            return fused.mixture_log_joint(params.components, log_weights, x)
        log_joint = self.family.log_likelihood(params.components, x) + log_weights
        with np.errstate(over="ignore"):  # -inf where a float32 cannot be as small
            return np.ascontiguousarray(log_joint, dtype=x.dtype)

    def responsibilities(
        self, params: MixtureParams[P], x: RealArray
    ) -> tuple[RealArray, RealArray]:
        """(N, K) posterior probabilities of the components, and (N,) log-densities (nats).

        A row of density 0 has no posterior: NaN, and log-density -inf.
        """
        fused = self._fused()
        if fused is not None:
            return fused.mixture_responsibilities(params.components, _log(params.weights), x)
        return kernels.responsibilities(self.log_joint(params, x))

    def log_density(self, params: MixtureParams[P], x: RealArray) -> RealArray:
        """(N,) log-densities, nats; -inf for an impossible row."""
        fused = self._fused()
        if fused is not None:
            return fused.mixture_log_density(params.components, _log(params.weights), x)
        return kernels.logsumexp(self.log_joint(params, x))

    def labels(self, params: MixtureParams[P], x: RealArray) -> npt.NDArray[np.intp]:
        """(N,) the most responsible component of each row, the first of equals."""
        fused = self._fused()
        if fused is not None:
            return fused.mixture_labels(params.components, _log(params.weights), x)
        labels: npt.NDArray[np.intp] = self.log_joint(params, x).argmax(axis=1)
        return labels

    def _fused(self) -> FusedFamily[P, S] | None:
        return self.family if hasattr(self.family, "mixture_sweep") else None  # type: ignore[return-value]

    def _expected_statistics_by_blocks(
        self, params: MixtureParams[P], log_weights: Array, data: Rows
    ) -> tuple[MixtureStatistics[S], float]:
        """The same E-step for a family written in NumPy: blocks of log-densities, then shared arithmetic."""
        log_likelihood = 0.0

        def parts() -> Iterator[MixtureStatistics[S]]:
            nonlocal log_likelihood
            for block in data.shards(max(1, _BLOCK_ELEMENTS // len(log_weights))):
                x, weight = block.x, block.sample_weight
                if weight is not None and not weight.all():  # rows of weight 0 may be impossible
                    x, weight = x[weight > 0], weight[weight > 0]
                r, log_density = self.responsibilities(params, x)
                impossible = np.flatnonzero(~np.isfinite(log_density))
                if impossible.size:
                    present = np.arange(len(block))
                    if block.sample_weight is not None:
                        present = present[block.sample_weight > 0]
                    raise ImpossibleRowError(block.start - data.start + int(present[impossible[0]]))
                if weight is None:
                    log_likelihood += float(log_density.sum(dtype=np.float64))
                else:
                    log_likelihood += float(log_density @ weight)
                    r = np.ascontiguousarray(r * weight[:, None], dtype=r.dtype)
                stats = self.family.expected_statistics(params.components, x, r)
                yield MixtureStatistics(r.sum(axis=0, dtype=np.float64), stats)

        return total(parts()), log_likelihood


def _log(weights: Array) -> Array:
    """Without a warning for weight 0, which switches its component off."""
    return kernels.log(weights)
