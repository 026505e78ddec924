"""Mixtures as a family: each component, or state, is itself a mixture of M components of one family.

``f_s(x) = sum_m weight_sm g_{sm}(x)``. Component m of state s is number ``s M + m`` of the family of the components.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from latentcore import floors, kernels
from latentcore.arrays import Array, Labels, RealArray
from latentcore.assignment import assignment, joint_costs
from latentcore.families.priors import DirichletPrior, blended
from latentcore.families.support import filled, log_of, quotients
from latentcore.statistics import Statistics, total

__all__ = [
    "Clustering",
    "ExpectedMixed",
    "MixedParams",
    "MixedPrior",
    "MixedStatistics",
    "MixtureFamily",
    "Spread",
    "numbers_of",
]

_BLOCK_ELEMENTS = 1 << 16
"""Size of the (rows, S M) block of log-densities that is filled at a time: half a MiB."""
_SHARED = 0.1
"""What all components of a state begin with alike, so that none begins on nothing."""


@dataclass(frozen=True, slots=True)
class MixedParams:
    """Weights (S, M), whose rows sum to one, and the parameters of the S M components."""

    weights: Array
    components: Any


@dataclass(frozen=True, slots=True)
class ExpectedMixed:
    """What takes the place of ``MixedParams`` for expected log-densities: E log weight (S, M), and the components'."""

    log_weights: Array
    components: Any


@dataclass(frozen=True, slots=True)
class MixedStatistics(Statistics):
    """Expected counts (S, M) of the components, and their statistics."""

    counts: Array
    components: Any


@dataclass(frozen=True, slots=True)
class MixedPrior:
    """Dirichlets of the weights of each state, and the conjugate prior of the components; posteriors alike."""

    weights: DirichletPrior
    components: Any


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the components of each state begin, in the place of parameters that there are none of yet.

    A row of a state goes to that of its components whose center is nearest, but for a tenth of it, which they share.

    Attributes
    ----------
    centers : (S, M, E)
        In the coordinates of ``MixtureFamily.embedding``.
    components : object
        The same for the components, if they have components of their own.
    """

    centers: Array
    components: Any


class Clustering(Protocol):
    """Centers (M, E) of points (n, E), n >= 1."""

    def __call__(self, points: Array, n_clusters: int, /) -> Array: ...


@dataclass(frozen=True, slots=True)
class MixtureFamily:
    """Mixtures of M components of a family, with S states at once.

    In a hidden Markov model of Gaussian states it makes a GMM-HMM. What the family of the components can do, priors
    and missing entries included, mixtures of it can.

    Parameters
    ----------
    family : Family
        Of the components.
    n_components : int
        M >= 1.
    """

    family: Any
    n_components: int

    has_inner_start: ClassVar[bool] = True

    def __post_init__(self) -> None:
        n_components = operator.index(self.n_components)
        if n_components < 1:
            raise ValueError(f"n_components: expected at least 1, got {n_components}")
        object.__setattr__(self, "n_components", n_components)

    # -- the protocol

    def log_likelihood(self, params: MixedParams | ExpectedMixed, x: RealArray) -> RealArray:
        """Log-densities, (N, S), nats."""
        return self._mixed(
            _log_weights(params),
            x,
            lambda block: self.family.log_likelihood(params.components, block),
        )

    def expected_statistics(
        self,
        params: MixedParams | ExpectedMixed | Spread | None,
        x: RealArray,
        weights: RealArray,
    ) -> MixedStatistics:
        """Statistics of rows ``x`` (N, D) under ``weights`` (N, S) >= 0, divided among the components.

        A row goes to the components of a state by their posterior given the row and the state; where the row has
        density 0, by their weights. Without parameters nothing tells the components from each other, and the
        statistics are those of one for each state (M = 1), for priors and not to be maximized.
        """
        if params is None:
            counts = weights.sum(axis=0, dtype=np.float64)[:, None]
            return MixedStatistics(counts, self.family.expected_statistics(None, x, weights))
        inner = params.components
        parts = []
        for rows in _blocks(len(x), weights.shape[1] * self.n_components):
            shares = self._shares(params, x[rows], weights[rows])
            counts = shares.sum(axis=0, dtype=np.float64).reshape(-1, self.n_components)
            parts.append(
                MixedStatistics(counts, self.family.expected_statistics(inner, x[rows], shares))
            )
        return total(parts)

    def maximize(self, stats: MixedStatistics, previous: MixedParams | None = None) -> MixedParams:
        """Weights in proportion to the counts, components by their family.

        A state of count 0 keeps its previous weights, or gets those of all states together.

        Raises
        ------
        ValueError
            The statistics are of another number of components.
        """
        self._check_number(stats)
        components = self.family.maximize(
            stats.components, None if previous is None else previous.components
        )
        before = None if previous is None else previous.weights
        return MixedParams(_shares_of(stats.counts, before), components)

    def model_statistics(self, params: MixedParams, counts: Array) -> MixedStatistics:
        """What ``counts`` (S,) complete rows of the states are expected to give."""
        of_components: Array = counts[:, None] * params.weights
        stats = self.family.model_statistics(params.components, of_components.ravel())
        return MixedStatistics(of_components, stats)

    def relative_entropy(self, a: MixedParams, b: MixedParams) -> Array:
        """Of state i of ``a`` to state j of ``b``, (S, S'), nats: of the joint law of a row and its component.

        The components have the labels that make it least. That of rows alone has no closed form, and is at most this.
        """
        costs = self._costs(a, b)
        n_states, n_others = costs.shape[:2]
        divergence = np.empty((n_states, n_others))
        for i, j in np.ndindex(n_states, n_others):
            order = assignment(costs[i, j])
            divergence[i, j] = costs[i, j][np.arange(len(order)), order].sum()
        return np.maximum(divergence, 0.0)

    def inner_order(self, params: MixedParams, like: MixedParams) -> npt.NDArray[np.intp]:
        """(S, M): the component of each state of ``params`` that is to be called m, as it is most alike ``like``'s."""
        costs = self._costs(params, like)
        return np.stack([assignment(costs[s, s].T) for s in range(len(costs))])

    def _costs(self, a: MixedParams, b: MixedParams) -> Array:
        """(S, S', M, M): the shares of pairs of components in the relative entropy of their states."""
        m = self.n_components
        divergences = self._able("relative_entropy")(a.components, b.components)
        costs = joint_costs(a.weights.ravel(), b.weights.ravel(), divergences)
        return costs.reshape(-1, m, len(b.weights), m).swapaxes(1, 2)

    def with_floor(self, stats: MixedStatistics) -> MixedStatistics:
        """With what ``maximize`` adds to those of the components."""
        return replace(stats, components=floors.with_floor(self.family, stats.components))

    def without_floor(self) -> MixtureFamily:
        """The family whose ``maximize`` adds nothing."""
        return replace(self, family=floors.without_floor(self.family))

    # -- with a prior: the weights of each state ~ Dirichlet

    def update(self, prior: MixedPrior, stats: MixedStatistics) -> MixedPrior:
        """The posterior: counts add to the concentrations, components by their family."""
        self._check_number(stats)
        components = self._able("update")(prior.components, stats.components)
        return MixedPrior(DirichletPrior(prior.weights.concentration + stats.counts), components)

    def mode(self, posterior: MixedPrior, previous: MixedParams | None = None) -> MixedParams:
        """Weights in proportion to ``concentration - 1``, not below 0; components by their family."""
        components = self._able("mode")(
            posterior.components, None if previous is None else previous.components
        )
        before = None if previous is None else previous.weights
        return MixedParams(_shares_of(posterior.weights.numerators(), before), components)

    def log_prior(self, prior: MixedPrior, params: MixedParams) -> float:
        """The log-density of weights and components, nats."""
        of_components: float = self._able("log_prior")(prior.components, params.components)
        return of_components + prior.weights.log_density(params.weights, [0])

    def weak_prior(self, pooled: MixedStatistics, n_components: int) -> MixedPrior:
        """Concentrations 1 + 1 / M, one row for each state; the weak prior of S M components."""
        m = self.n_components
        weights = DirichletPrior(np.full((1, m), 1.0 + 1.0 / m))
        components = self._able("weak_prior")(pooled.components, n_components * m)
        return MixedPrior(weights, components)

    def check_prior(self, prior: MixedPrior, n_components: int, n_features: int) -> None:
        """``ValueError`` for a prior that does not fit these states."""
        shape = (n_components, self.n_components)
        if prior.weights.concentration.shape not in (shape, (1, self.n_components)):
            raise ValueError(
                f"prior: expected weights of shape {shape} or {(1, self.n_components)}, "
                f"got {prior.weights.concentration.shape}"
            )
        if hasattr(self.family, "check_prior"):
            self.family.check_prior(prior.components, n_components * self.n_components, n_features)

    # -- with a posterior

    def expected(self, posterior: MixedPrior, n_components: int) -> ExpectedMixed:
        """What takes the place of parameters: E log weight, and what does for the components."""
        concentration = posterior.weights.concentration
        log_weights = DirichletPrior(concentration).mean_log([0])
        shape = (n_components, self.n_components)
        components = self._able("expected")(posterior.components, n_components * self.n_components)
        return ExpectedMixed(np.ascontiguousarray(np.broadcast_to(log_weights, shape)), components)

    def divergence(self, posterior: MixedPrior, prior: MixedPrior) -> Array:
        """KL(posterior || prior) by state, (S,), nats: of its weights and of its components."""
        of_components = self._able("divergence")(posterior.components, prior.components)
        of_weights = posterior.weights.divergence(prior.weights, [0])
        divergence: Array = of_weights + of_components.reshape(-1, self.n_components).sum(axis=1)
        return divergence

    def blend(self, posterior: MixedPrior, other: MixedPrior, rate: float) -> MixedPrior:
        """``(1 - rate) posterior + rate other`` in natural coordinates."""
        components = self._able("blend")(posterior.components, other.components, rate)
        return MixedPrior(blended(posterior.weights, other.weights, rate), components)

    def mean(self, posterior: MixedPrior) -> MixedParams:
        """Mean weights, and the components' parameters in the middle of the posterior."""
        return MixedParams(posterior.weights.mean([0]), self._able("mean")(posterior.components))

    def predictive_log_density(self, posterior: MixedPrior, x: RealArray) -> RealArray:
        """Log-densities of one more row under each state, (N, S), nats."""
        predictive = self._able("predictive_log_density")
        return self._mixed(
            log_of(posterior.weights.mean([0])),
            x,
            lambda block: predictive(posterior.components, block),
        )

    # -- where components begin

    def inner_start(
        self, x: RealArray, labels: Labels | None, n_states: int, cluster: Clustering
    ) -> Spread:
        """What takes the place of parameters in the first ``expected_statistics``.

        Parameters
        ----------
        x : (N, D)
        labels : (N,) int, or None
            The state of each row; of None, rows are of all states alike.
        n_states : int
            S.
        cluster : Clustering
            Finds the centers of the components within the rows of a state.
        """
        m = self.n_components
        points = self.embedding(x)
        centers = np.zeros((n_states, m, points.shape[1]))
        inner_labels = None
        if labels is None:
            centers[:] = cluster(points, m)
        else:
            inner_labels = np.empty(len(x), np.int32)
            for s in range(n_states):
                rows = np.flatnonzero(labels == s)
                if len(rows):
                    centers[s] = cluster(np.ascontiguousarray(points[rows]), m)
                inner_labels[rows] = s * m + _nearest(points[rows], centers[[s]])[:, 0]
        inner = None
        if getattr(self.family, "has_inner_start", False):
            inner = self.family.inner_start(x, inner_labels, n_states * m, cluster)
        return Spread(centers, inner)

    # -- rows

    def check(self, x: RealArray, columns: Sequence[object] | None = None) -> None:
        """What the components' family asks of rows."""
        if hasattr(self.family, "check"):
            self.family.check(x, columns)

    def degenerate(self, params: MixedParams) -> list[int]:
        """States with a component that has collapsed."""
        if not hasattr(self.family, "degenerate"):
            return []
        return sorted({k // self.n_components for k in self.family.degenerate(params.components)})

    def n_parameters(self, params: MixedParams) -> int:
        """S (M - 1), and those of the components."""
        of_components: int = self._able("n_parameters")(params.components)
        return len(params.weights) * (self.n_components - 1) + of_components

    def embedding(self, x: RealArray) -> Array:
        """That of the components' family; without one the columns as they are, missing ones replaced by means."""
        if hasattr(self.family, "embedding"):
            return np.asarray(self.family.embedding(x), np.float64)
        return filled(np.asarray(x, np.float64))

    def sample(self, params: MixedParams, k: int, n: int, rng: Any) -> Array:
        """n independent draws of state k, (n, D); ``rng`` is a Generator or RandomState."""
        sample = self._able("sample")
        m = self.n_components
        chosen = rng.choice(m, size=n, p=params.weights[k])
        drawn = [
            sample(params.components, k * m + j, int((chosen == j).sum()), rng) for j in range(m)
        ]
        out: Array = np.concatenate(drawn)
        out[np.argsort(chosen, kind="stable")] = out.copy()
        return out

    def impute(self, params: MixedParams, x: RealArray, responsibilities: RealArray) -> RealArray:
        """A copy of x with missing entries replaced as the components' family replaces them."""
        impute = self._able("impute")
        out = x.copy()
        for rows in _blocks(len(x), responsibilities.shape[1] * self.n_components):
            shares = self._shares(params, x[rows], responsibilities[rows])
            out[rows] = impute(params.components, x[rows], shares)
        return out

    # -- inside

    def _mixed(self, log_weights: Array, x: RealArray, log_density: Any) -> RealArray:
        """(N, S): sums over the components of each state, block by block."""
        out: RealArray = np.empty((len(x), len(log_weights)), x.dtype)
        for rows in _blocks(len(x), log_weights.size):
            joint = _joint(log_density(x[rows]), log_weights, x.dtype)
            out[rows] = kernels.logsumexp(joint).reshape(-1, len(log_weights))
        return out

    def _shares(
        self, params: MixedParams | ExpectedMixed | Spread, x: RealArray, weights: RealArray
    ) -> RealArray:
        """(n, S M): ``weights`` (n, S) divided among the components."""
        if isinstance(params, Spread):
            r = self._spread(params, x, weights.dtype)
        else:
            log_weights = _log_weights(params)
            density = self.family.log_likelihood(params.components, x)
            flat, sums = kernels.responsibilities(_joint(density, log_weights, x.dtype))
            r = flat.reshape(len(x), *log_weights.shape).astype(weights.dtype, copy=False)
            if not np.isfinite(sums).all():
                impossible = np.isneginf(sums).reshape(r.shape[:2])
                r[impossible] = np.exp(log_weights)[np.nonzero(impossible)[1]]
                r[weights == 0] = 0.0
        r *= weights[:, :, None]
        return r.reshape(len(x), weights.shape[1] * self.n_components)

    def _spread(self, spread: Spread, x: RealArray, dtype: npt.DTypeLike) -> RealArray:
        nearest = _nearest(self.embedding(x), spread.centers)
        m = self.n_components
        one_hot = nearest[:, :, None] == np.arange(m)
        return np.where(one_hot, 1.0 - _SHARED + _SHARED / m, _SHARED / m).astype(dtype)

    def _check_number(self, stats: MixedStatistics) -> None:
        if stats.counts.shape[1] != self.n_components:
            raise ValueError(
                f"stats: expected counts of n_components = {self.n_components} components for each "
                f"state, got {stats.counts.shape[1]}"
            )

    def _able(self, name: str) -> Any:
        if not hasattr(self.family, name):
            raise TypeError(f"family: expected a family that has {name}, got {self.family!r}")
        return getattr(self.family, name)


def numbers_of(states: npt.NDArray[np.intp], n_components: int) -> npt.NDArray[np.intp]:
    """The numbers of all components of these states."""
    numbers: npt.NDArray[np.intp] = states[:, None] * n_components + np.arange(n_components)
    return numbers.ravel()


def _log_weights(params: MixedParams | ExpectedMixed) -> Array:
    return params.log_weights if isinstance(params, ExpectedMixed) else log_of(params.weights)


def _joint(log_density: RealArray, log_weights: Array, dtype: npt.DTypeLike) -> RealArray:
    """(n S, M) log weights plus log-densities (n, S M), one row for each row and state."""
    joint = log_density.reshape(-1, *log_weights.shape) + log_weights
    with np.errstate(over="ignore"):  # -inf where a float32 cannot be as small
        return np.ascontiguousarray(joint.reshape(-1, log_weights.shape[1]), dtype)


def _shares_of(counts: Array, previous: Array | None) -> Array:
    totals = np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape)
    return quotients(counts, totals, previous, 1.0 / counts.shape[1])


def _nearest(points: Array, centers: Array) -> npt.NDArray[np.intp]:
    """(n, S): of the centers (S, M, E) of each state the nearest, the first of equals."""
    distances = np.stack(
        [((points - center) ** 2).sum(axis=1) for center in centers.reshape(-1, centers.shape[2])],
        axis=1,
    )
    nearest: npt.NDArray[np.intp] = distances.reshape(-1, *centers.shape[:2]).argmin(axis=2)
    return nearest


def _blocks(n_rows: int, row_elements: int) -> Iterator[slice]:
    """At least one, that may be empty."""
    size = max(1, _BLOCK_ELEMENTS // row_elements)
    for start in range(0, max(n_rows, 1), size):
        yield slice(start, start + size)
