"""Finite mixtures: a hidden component for every row.

``log p(x) = log sum_k weight_k f_k(x)``, ``r_nk = weight_k f_k(x_n) / sum_j weight_j f_j(x_n)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt

from latentcore import floors, kernels
from latentcore.arrays import Labels, Rows
from latentcore.errors import ImpossibleRowError
from latentcore.protocols import (
    Array,
    Conjugate,
    Family,
    FusedFamily,
    Lengths,
    PreparingFamily,
    RealArray,
    Variational,
)
from latentcore.statistics import Statistics, total
from latentcore.structures import dirichlet_rows
from latentcore.structures.weights import Dirichlet

__all__ = ["ExpectedMixture", "Mixture", "MixtureParams", "MixturePrior", "MixtureStatistics"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)
H = TypeVar("H")

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
class MixturePrior(Generic[H]):
    """The prior of the weights, and the conjugate prior of the components; posteriors alike.

    Attributes
    ----------
    weights : (K,) or WeightDistribution
        An array is the alpha of a Dirichlet.
    components : H
    """

    weights: Any
    components: H


@dataclass(frozen=True, slots=True)
class ExpectedMixture(Generic[P]):
    """What takes the place of ``MixtureParams`` in an E-step at expected log-densities.

    Attributes
    ----------
    log_weights : (K,)
        E log weight.
    components : P
        As the family's ``expected`` makes them.
    """

    log_weights: Array
    components: P


@dataclass(frozen=True, slots=True)
class Mixture(Generic[P, S]):
    """A mixture of K components of one family.

    Parameters
    ----------
    family : Family
    hard : bool
        Rows belong to their most probable component alone, and the objective is ``sum_n max_k log(weight_k f_k(x_n))``
        (classification EM, Celeux & Govaert 1992). Otherwise in shares: the posterior.
    equal_weights : bool
        The weights are 1 / K, whatever the data.
    """

    family: Family[P, S]
    hard: bool = False
    equal_weights: bool = False

    def prepare(self, data: Rows) -> Rows:
        """The rows with what the family wants to find out of them before many sweeps."""
        if not hasattr(self.family, "prepare"):
            return data
        try:
            prepared = cast(PreparingFamily, self.family).prepare(data)
        except ImpossibleRowError as error:
            raise ImpossibleRowError(data.start + error.row) from None
        return Rows(data.x, data.sample_weight, data.start, data.labels, prepared)

    def expected_statistics(
        self, params: MixtureParams[P] | ExpectedMixture[P], data: Rows
    ) -> tuple[MixtureStatistics[S], float]:
        """The E-step: expected counts and statistics, and the objective (nats, total).

        The objective is the log-likelihood: of rows, and of rows with their components where these are known or,
        ``hard``, decided.

        Raises
        ------
        ImpossibleRowError
            A row has density 0 under every component that it may belong to.
        """
        fused = self._fused()
        log_weights = _log_weights(params)
        try:
            if fused is None:
                return self._expected_statistics_by_blocks(params, data)
            counts, stats, objective = fused.mixture_sweep(
                params.components, log_weights, data, self.hard
            )
        except ImpossibleRowError as error:
            raise ImpossibleRowError(data.start + error.row) from None
        return MixtureStatistics(counts, stats), objective

    def maximize(
        self, stats: MixtureStatistics[S], previous: MixtureParams[P] | None = None
    ) -> MixtureParams[P]:
        """The M-step: weights in proportion to the counts, components by their family."""
        components = self.family.maximize(
            stats.components, None if previous is None else previous.components
        )
        return MixtureParams(self._weights(stats.counts), components)

    def model_statistics(
        self,
        params: MixtureParams[P],
        lengths: Lengths | None = None,
        length_weights: Array | None = None,
    ) -> MixtureStatistics[S]:
        """What one row is expected to give: the weights as counts, and each component's share of the row."""
        return MixtureStatistics(
            params.weights, self.family.model_statistics(params.components, params.weights)
        )

    def sampled_statistics(
        self,
        params: MixtureParams[P],
        n: int,
        rng: np.random.Generator,
        lengths: Lengths | None = None,
        length_weights: Array | None = None,
    ) -> MixtureStatistics[S]:
        """An unbiased estimate of ``model_statistics``: what n rows drawn from the model say of it, each."""
        counts = rng.multinomial(n, params.weights / params.weights.sum())
        x = sampled_rows(self.family, params.components, counts, rng)
        stats, _ = replace(self, hard=False).expected_statistics(params, Rows(x))
        return stats * (1.0 / n)

    def with_floor(self, stats: MixtureStatistics[S]) -> MixtureStatistics[S]:
        """With what ``maximize`` adds to those of the components."""
        return MixtureStatistics(stats.counts, floors.with_floor(self.family, stats.components))

    def without_floor(self) -> Mixture[P, S]:
        """The model whose ``maximize`` adds nothing."""
        return Mixture(floors.without_floor(self.family), self.hard, self.equal_weights)

    # -- with a prior

    def update(self, prior: MixturePrior[H], stats: MixtureStatistics[S]) -> MixturePrior[H]:
        """The posterior: of the weights after the counts, of the components by their family."""
        components = self._conjugate(prior).update(prior.components, stats.components)
        if isinstance(prior.weights, np.ndarray):
            return MixturePrior(prior.weights + stats.counts, components)
        return MixturePrior(prior.weights.update(stats.counts), components)

    def mode(
        self, posterior: MixturePrior[H], previous: MixtureParams[P] | None = None
    ) -> MixtureParams[P]:
        """The posterior's mode: weights in proportion to alpha - 1, which has to be >= 0."""
        components = self._conjugate(posterior).mode(
            posterior.components, None if previous is None else previous.components
        )
        return MixtureParams(self._weights(posterior.weights - 1.0), components)

    def log_prior(self, prior: MixturePrior[H], params: MixtureParams[P]) -> float:
        """The log-density of weights and components, nats."""
        log_density = self._conjugate(prior).log_prior(prior.components, params.components)
        return (
            log_density
            if self.equal_weights
            else log_density + dirichlet_rows.log_density(prior.weights[None], params.weights[None])
        )

    # -- with a posterior

    def expected(self, posterior: MixturePrior[H]) -> ExpectedMixture[P]:
        """What takes the place of parameters in the E-step of CAVI."""
        weights = _distribution(posterior.weights)
        log_weights = weights.expected_log()
        components = self._variational(posterior).expected(posterior.components, len(log_weights))
        return ExpectedMixture(log_weights, components)

    def divergence(self, posterior: MixturePrior[H], prior: MixturePrior[H]) -> tuple[float, Array]:
        """KL(posterior || prior) of the weights, and of each component, (K,), nats."""
        of_weights = _distribution(posterior.weights).divergence(_distribution(prior.weights))
        family = self._variational(posterior)
        return of_weights, family.divergence(posterior.components, prior.components)

    def blend(
        self, posterior: MixturePrior[H], other: MixturePrior[H], rate: float
    ) -> MixturePrior[H]:
        """The step ``(1 - rate) posterior + rate other`` in natural coordinates."""
        weights = _distribution(posterior.weights).blend(_distribution(other.weights), rate)
        family = self._variational(posterior)
        return MixturePrior(weights, family.blend(posterior.components, other.components, rate))

    def mean(self, posterior: MixturePrior[H]) -> MixtureParams[P]:
        """Parameters in the middle of the posterior, to plug in."""
        components = self._variational(posterior).mean(posterior.components)
        return MixtureParams(_distribution(posterior.weights).mean(), components)

    # -- what the model says of rows

    def log_joint(self, params: MixtureParams[P] | ExpectedMixture[P], x: RealArray) -> RealArray:
        """(N, K): log weight plus log-density, nats."""
        fused = self._fused()
        log_weights = _log_weights(params)
        if fused is not None:
            return fused.mixture_log_joint(params.components, log_weights, x)
        log_joint = self.family.log_likelihood(params.components, x) + log_weights
        with np.errstate(over="ignore"):  # -inf where a float32 cannot be as small
            return np.ascontiguousarray(log_joint, dtype=x.dtype)

    def responsibilities(
        self, params: MixtureParams[P] | ExpectedMixture[P], x: RealArray
    ) -> tuple[RealArray, RealArray]:
        """(N, K) posterior probabilities of the components, and (N,) log-densities (nats).

        A row of density 0 has no posterior: NaN, and log-density -inf.
        """
        fused = self._fused()
        if fused is not None:
            return fused.mixture_responsibilities(params.components, _log_weights(params), x)
        return kernels.responsibilities(self.log_joint(params, x))

    def log_density(self, params: MixtureParams[P] | ExpectedMixture[P], x: RealArray) -> RealArray:
        """(N,) log-densities, nats; -inf for an impossible row."""
        fused = self._fused()
        if fused is not None:
            return fused.mixture_log_density(params.components, _log_weights(params), x)
        return kernels.logsumexp(self.log_joint(params, x))

    def labels(
        self, params: MixtureParams[P] | ExpectedMixture[P], x: RealArray
    ) -> npt.NDArray[np.intp]:
        """(N,) the most responsible component of each row, the first of equals."""
        fused = self._fused()
        if fused is not None:
            return fused.mixture_labels(params.components, _log_weights(params), x)
        labels: npt.NDArray[np.intp] = self.log_joint(params, x).argmax(axis=1)
        return labels

    # -- inside

    def _weights(self, counts: Array) -> Array:
        if self.equal_weights:
            return np.full(len(counts), 1.0 / len(counts))
        return without_dust(counts / counts.sum())

    def _fused(self) -> FusedFamily[P, S] | None:
        return self.family if hasattr(self.family, "mixture_sweep") else None  # type: ignore[return-value]

    def _conjugate(self, prior: MixturePrior[H]) -> Conjugate[H, S, P]:
        if not hasattr(self.family, "mode"):
            raise TypeError(f"prior: expected a family with conjugate priors, got {self.family!r}")
        return cast(Conjugate[H, S, P], self.family)

    def _variational(self, prior: MixturePrior[H]) -> Variational[H, S, P]:
        if not hasattr(self.family, "expected"):
            raise TypeError(
                f"prior: expected a family with variational posteriors, got {self.family!r}"
            )
        return cast(Variational[H, S, P], self.family)

    def _expected_statistics_by_blocks(
        self, params: MixtureParams[P] | ExpectedMixture[P], data: Rows
    ) -> tuple[MixtureStatistics[S], float]:
        """The same E-step for a family written in NumPy: blocks of log-densities, then shared arithmetic."""
        objective = 0.0

        def parts() -> Iterator[MixtureStatistics[S]]:
            nonlocal objective
            for block in data.shards(max(1, _BLOCK_ELEMENTS // len(_log_weights(params)))):
                present, places = block, np.arange(len(block))
                if block.sample_weight is not None and not block.sample_weight.all():
                    places = np.flatnonzero(
                        block.sample_weight
                    )  # rows of weight 0 may be impossible
                    present = block.take(places)
                weight = present.sample_weight
                r, log_density = self._assigned(params, present)
                impossible = np.flatnonzero(~np.isfinite(log_density))
                if impossible.size:
                    raise ImpossibleRowError(block.start - data.start + int(places[impossible[0]]))
                if weight is None:
                    objective += float(log_density.sum(dtype=np.float64))
                else:
                    objective += float(log_density @ weight)
                    r = np.ascontiguousarray(r * weight[:, None], dtype=r.dtype)
                stats = self.family.expected_statistics(params.components, present.x, r)
                yield MixtureStatistics(r.sum(axis=0, dtype=np.float64), stats)

        return total(parts()), objective

    def _assigned(
        self, params: MixtureParams[P] | ExpectedMixture[P], data: Rows
    ) -> tuple[RealArray, RealArray]:
        """(N, K) shares of the components in each row, and (N,) log-densities of rows so assigned."""
        if not self.hard and data.labels is None:
            return self.responsibilities(params, data.x)
        log_joint = self.log_joint(params, data.x)
        if self.hard:
            labels = log_joint.argmax(axis=1).astype(np.int32)
            r, log_density = one_hot(labels, log_joint), _picked(log_joint, labels)
        else:
            r, log_density = kernels.responsibilities(log_joint)
        if data.labels is not None:
            known = np.flatnonzero(data.labels >= 0)
            r[known] = one_hot(data.labels[known], log_joint)
            log_density[known] = _picked(log_joint[known], data.labels[known])
        return r, log_density


_DUST = 1e-290
"""A probability by which nothing can be weighed any more without losing its digits."""


def without_dust(probabilities: Array) -> Array:
    """With 0 for those that have faded away, so that families see counts of 0, and not the last digits of a double."""
    return np.where(probabilities < _DUST, 0.0, probabilities)


def sampled_rows(family: Any, params: Any, counts: npt.NDArray[Any], rng: Any) -> Array:
    """Draws of the components, ``counts`` (K,) of each, in the order of the components."""
    if not hasattr(family, "sample"):
        raise TypeError(f"family: expected one with a method 'sample', got {family!r}")
    drawn = [family.sample(params, k, int(n), rng) for k, n in enumerate(counts) if n]
    return np.ascontiguousarray(np.vstack(drawn), np.float64)


def one_hot(labels: Labels, like: npt.NDArray[Any]) -> RealArray:
    """(N, K) with a one at each row's label, of the dtype and K of ``like``."""
    out = np.zeros((len(labels), like.shape[1]), like.dtype)
    out[np.arange(len(labels)), labels] = 1.0
    return out


def _picked(values: RealArray, labels: Labels) -> RealArray:
    picked: RealArray = values[np.arange(len(labels)), labels]
    return picked


def _log_weights(params: MixtureParams[Any] | ExpectedMixture[Any]) -> Array:
    return params.log_weights if isinstance(params, ExpectedMixture) else _log(params.weights)


def _distribution(weights: Any) -> Any:
    return Dirichlet(weights) if isinstance(weights, np.ndarray) else weights


def _log(weights: Array) -> Array:
    """Without a warning for weight 0, which switches its component off."""
    return kernels.log(weights)
