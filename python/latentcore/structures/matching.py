"""Which hidden values of one model are those of another: the relative entropies of relabelled models.

The joint relative entropy of two mixtures is a sum over pairs of components of the same label, so that the best labels
are a linear assignment, solved exactly. That of two hidden Markov models has terms for pairs of pairs: a quadratic
assignment, of which all solutions are looked at for up to 7 states; for more, linear ones, by emissions and usages, and
random ones are improved by exchanges of two labels, and the best end counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.assignment import (
    NEGLIGIBLE,
    Matched,
    MatchedBy,
    Order,
    assignment,
    joint_costs,
)
from latentcore.protocols import Array, Lengths
from latentcore.statistics import Statistics
from latentcore.structures.chains import stationary_distribution
from latentcore.structures.hmm import HMM, usages
from latentcore.structures.hmm_types import HMMParams, HMMStatistics
from latentcore.structures.mixture import Mixture, MixtureParams, MixtureStatistics

__all__ = ["HMMLabels", "LabelCosts", "MixtureLabels"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)

Relabel = Callable[[Any, Order, Any], Any]
"""Parameters of components, their order, and whose labels they take over: the parameters in that order."""
_ALL_ORDERS = 7
"""States whose 5040 orders are all looked at."""
_RANDOM_STARTS = 100
"""Of searches by exchanges, for more states. One start, by emissions and usages, missed the best order in 57 of 160
problems of 8 states; so many random ones, beside three like it, in none."""
_NEVER = 1e6
"""Nats, in the place of the infinitely many of a transition that the other model forbids."""
_RARE = 30.0
"""Nats in that place where it matters how much else there is, as of a transition of probability 1e-13."""
_SAME = 1e-9
"""Nats below which components are the same, so that it does not matter which has which label."""


@dataclass(frozen=True, slots=True)
class LabelCosts:
    """What the labels of K components cost, nats.

    ``sum_k linear[k, o_k] + sum_r sum_kl X_r[k, l] Y_r[o_k, o_l] + constant`` where component ``o_k`` has label k.

    Attributes
    ----------
    linear : (K, K)
    pairs : tuple of (X, Y), (K, K) each
    constant : float
    begin : (K, K), optional
        Linear costs that are much alike, with which a search begins, too.
    shares : (K,), optional
        What each label has of the cost of the order 0, ..., K - 1. None: the diagonal of ``linear``.
    infinite : (K, K), optional
        How many infinite costs ``linear`` has lost, to which orders that have fewer are preferred.
    """

    linear: Array
    pairs: tuple[tuple[Array, Array], ...] = ()
    constant: float = 0.0
    begin: Array | None = None
    shares: Array | None = None
    infinite: Array | None = None

    def with_all(self) -> LabelCosts:
        """With numbers in the place of infinite costs, that outweigh the others."""
        if self.infinite is None or not self.infinite.any():
            return self
        each = 2.0 * len(self.linear) * (1.0 + np.abs(self.linear).max())
        return replace(self, linear=self.linear + each * self.infinite, infinite=None)

    def of(self, orders: npt.NDArray[np.intp]) -> Array:
        """Costs of orders (n, K), (n,)."""
        labels = np.arange(orders.shape[1])
        costs: Array = self.linear[labels, orders].sum(axis=1) + self.constant
        for x, y in self.pairs:
            costs = costs + (x * y[orders[:, :, None], orders[:, None, :]]).sum(axis=(1, 2))
        return costs

    def best(self, begin: Order | None = None) -> Matched:
        """The order of least cost, or, with pairs of more than 7 components, the best that a search finds.

        It exchanges two labels as long as that helps: from ``begin``, which it never leaves for a worse order, or from
        linear assignments and from 100 random orders, always the same.
        """
        n_components = len(self.linear)
        if not self.pairs:
            return self._least_of(assignment(self.linear)[None])
        if n_components <= _ALL_ORDERS:
            return self._least_of(np.array(list(permutations(range(n_components))), np.intp))
        if begin is not None:
            return self._descended(begin[None])
        linear = [assignment(c) for c in (self.linear, self.begin) if c is not None]
        rng = np.random.default_rng(0)
        random = [rng.permutation(n_components) for _ in range(_RANDOM_STARTS)]
        return self._descended(np.array(linear + random, np.intp))

    def exchanges(self, orders: npt.NDArray[np.intp]) -> Array:
        """By how much the costs of orders (..., K) grow if labels i and j are exchanged, (..., K, K)."""
        labels = np.arange(orders.shape[-1])[:, None]
        changes = _exchanged(self.linear[labels, orders[..., None, :]])
        for x, y in self.pairs:
            changes = changes + _exchanged_pairs(x, y[orders[..., :, None], orders[..., None, :]])
        return changes

    def margin(self) -> float:
        """How clearly the order 0, ..., K - 1 is the best, from -1 to 1: ``(d' - d) / max(d, d')``.

        Here d is what two labels have of the cost, and d' what they would have after an exchange; of the two for which
        this is least. 1: it would lose everything; 0: it would do as well. Components that are the same in both models
        do not count; nor do infinite costs, if there are as many after the exchange.
        """
        own = self.linear.diagonal() if self.shares is None else self.shares
        growth = self.exchanges(np.arange(len(own)))
        # an exchange may save more than two states have: what others pay for the way into them
        larger = np.maximum(own[:, None] + own + np.maximum(growth, 0.0), -growth)
        differ = larger > _SAME
        np.fill_diagonal(differ, False)
        ratios = np.where(differ, growth / np.where(differ, larger, 1.0), 1.0)
        if self.infinite is not None:
            more = _exchanged(self.infinite)
            ratios = np.where(more == 0, ratios, np.sign(more))
        return max(-1.0, float(ratios.min()))

    def _least_of(self, orders: npt.NDArray[np.intp]) -> Matched:
        costs = self.of(orders)
        best = int(costs.argmin())
        return Matched(orders[best], float(costs[best]))

    def _descended(self, starts: npt.NDArray[np.intp]) -> Matched:
        """The best end of searches that begin at these orders (n, K)."""
        ends, costs = starts.copy(), self.of(starts)
        moving = np.arange(len(ends))
        while len(moving):
            orders = ends[moving]
            growth = self.exchanges(orders).reshape(len(moving), -1)
            i, j = np.divmod(growth.argmin(axis=1), orders.shape[1])
            rows = np.arange(len(moving))
            orders[rows, i], orders[rows, j] = orders[rows, j], orders[rows, i]
            less = self.of(orders)
            lower = less < costs[moving] - 1e-12 * (1.0 + np.abs(costs[moving]))
            moving = moving[lower]
            ends[moving], costs[moving] = orders[lower], less[lower]
        return self._least_of(ends)


def _exchanged(linear: Array) -> Array:
    own = np.diagonal(linear, axis1=-2, axis2=-1)
    changes: Array = linear + linear.swapaxes(-1, -2) - own[..., :, None] - own[..., None, :]
    return changes


def _exchanged_pairs(x: Array, y: Array) -> Array:
    """By how much ``sum_kl x_kl y_kl`` grows if rows and columns i and j of y (..., K, K) are exchanged."""
    y_turned = y.swapaxes(-1, -2)
    columns, rows = _exchanged(x.T @ y), _exchanged(x @ y_turned)
    xi, xj = x.diagonal()[:, None], x.diagonal()
    own = np.diagonal(y, axis1=-2, axis2=-1)
    yi, yj = own[..., :, None], own[..., None, :]
    # the sums over columns and rows without i and j, and these by themselves
    columns = columns - (xi - x) * (y - yi) - (x.T - xj) * (yj - y_turned)
    rows = rows - (xi - x.T) * (y_turned - yi) - (x - xj) * (yj - y)
    changes: Array = columns + rows + (xi - xj) * (yj - yi) + (x - x.T) * (y_turned - y)
    return changes


@dataclass(frozen=True, slots=True)
class MixtureLabels(Generic[P, S]):
    """What combining asks of mixtures.

    Parameters
    ----------
    model : Mixture
        Its family has ``relative_entropy``.
    relabel : parameters of components, order, like -> parameters of components
    """

    model: Mixture[P, S]
    relabel: Relabel

    def statistics(self, params: MixtureParams[P]) -> MixtureStatistics[S]:
        """What one row is expected to give."""
        return self.model.model_statistics(params)

    def maximize(self, stats: MixtureStatistics[S], previous: MixtureParams[P]) -> MixtureParams[P]:
        """The parameters of these statistics."""
        return self.model.maximize(stats, previous)

    def relative_entropy(self, params: MixtureParams[P], other: MixtureParams[P]) -> float:
        """Of the joint distributions of a row and its component, nats."""
        divergences = _divergences(self.model.family, params.components, other.components)
        return max(0.0, float(joint_costs(params.weights, other.weights, divergences).trace()))

    def match(
        self,
        params: MixtureParams[P],
        like: MixtureParams[P],
        by: MatchedBy,
        begin: Order | None = None,
    ) -> Matched:
        """The order in which components are most alike those of ``like``."""
        if by == "unweighted":
            return _unweighted(self._divergences(params, like)).best()
        return self._costs(params, like, by == "symmetric").with_all().best()

    def margin(self, params: MixtureParams[P], like: MixtureParams[P]) -> float:
        """How clearly the labels agree; see ``LabelCosts.margin``."""
        return self._costs(params, like, True).margin()

    def relabelled(
        self, params: MixtureParams[P], order: Order, like: MixtureParams[P]
    ) -> MixtureParams[P]:
        """The same model, with component ``order[k]`` in place k."""
        components = self.relabel(params.components, order, like.components)
        return MixtureParams(params.weights[order], components)

    def _costs(
        self, params: MixtureParams[P], like: MixtureParams[P], symmetric: bool
    ) -> LabelCosts:
        if not symmetric:
            there = _divergences(self.model.family, params.components, like.components)
            ways = [joint_costs(params.weights, like.weights, there).T]
        else:
            there, back = self._divergences(params, like)
            ways = [
                joint_costs(params.weights, like.weights, there).T,
                joint_costs(like.weights, params.weights, back),
            ]
        linear, infinite = _parted(ways)
        return LabelCosts(linear, infinite=infinite)

    def _divergences(self, a: MixtureParams[P], b: MixtureParams[P]) -> tuple[Array, Array]:
        return _both_ways(self.model.family, self.relabel, a.components, b.components)


class _OneWay(NamedTuple):
    """Parts of the relative entropy of a hidden Markov model to another, pairs of states (i, j) by state."""

    linear: Array
    """Of first states and of emissions, (S, S)."""
    divergences: Array
    """Of emissions, (S, S), nats."""
    visited: Array
    """How often states are visited, (S,)."""
    flow: Array
    """Expected transitions, (S, S)."""


@dataclass(frozen=True, slots=True)
class HMMLabels(Generic[P, S]):
    """What combining asks of hidden Markov models.

    Parameters
    ----------
    model : HMM
        Its family has ``relative_entropy``.
    relabel : parameters of emissions, order, like -> parameters of emissions
    lengths : (Q,), optional
        Entropies and statistics are those of a sequence whose length is any of these, with equal probability. None: of
        a row of an endless sequence, in which the first state does not count.
    """

    model: HMM[P, S]
    relabel: Relabel
    lengths: Lengths | None = None
    _known_usages: dict[bytes, tuple[Array, Array]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Of chains that were asked for, by their numbers: a search compares each model with many."""

    def statistics(self, params: HMMParams[P]) -> HMMStatistics[S]:
        """What one sequence, or one row, is expected to give.

        Of an endless sequence the law of the first state, too, which is the limit of what long ones say of it; but
        where it is to be the stationary law, transitions say all of it.
        """
        stats = self.model.model_statistics(params, self.lengths)
        if self.lengths is None and self.model.topology.start != "stationary":
            stats = replace(stats, starts=params.initial)
        return stats

    def maximize(self, stats: HMMStatistics[S], previous: HMMParams[P]) -> HMMParams[P]:
        """The parameters of these statistics, within the topology."""
        return self.model.maximize(stats, previous)

    def relative_entropy(self, params: HMMParams[P], other: HMMParams[P]) -> float:
        """Of the joint distributions of rows and their states, nats: of a sequence, or by row of an endless one."""
        divergences = _divergences(self.model.family, params.emissions, other.emissions)
        way = self._one_way(params, other, divergences)
        log_own = np.where(way.flow > NEGLIGIBLE, _log(params.transition), 0.0)
        of_rows = _times(way.flow, log_own - _log(other.transition))
        return max(0.0, float(way.linear.trace() + of_rows.sum()))

    def match(
        self, params: HMMParams[P], like: HMMParams[P], by: MatchedBy, begin: Order | None = None
    ) -> Matched:
        """The order in which states are most alike those of ``like``."""
        if by == "unweighted":
            return _unweighted(self._divergences(params, like)).best()
        return self._costs(params, like, by == "symmetric").with_all().best(begin)

    def margin(self, params: HMMParams[P], like: HMMParams[P]) -> float:
        """How clearly the labels agree; see ``LabelCosts.margin``."""
        return self._costs(params, like, True, _RARE).margin()

    def relabelled(self, params: HMMParams[P], order: Order, like: HMMParams[P]) -> HMMParams[P]:
        """The same model, with state ``order[k]`` in place k."""
        transition = np.ascontiguousarray(params.transition[np.ix_(order, order)])
        emissions = self.relabel(params.emissions, order, like.emissions)
        return HMMParams(params.initial[order], transition, emissions)

    def _costs(
        self, params: HMMParams[P], like: HMMParams[P], symmetric: bool, never: float = _NEVER
    ) -> LabelCosts:
        own, others = (np.minimum(-_log(p.transition), never) for p in (params, like))
        if symmetric:
            to_like, to_own = self._divergences(params, like)
        else:
            to_like = _divergences(self.model.family, params.emissions, like.emissions)
        there = self._one_way(params, like, to_like)
        visited = self._usages(like)[1]
        ways, begin = [there.linear.T], _as_rows(there, visited).T
        pairs = [(others, there.flow)]
        shares = (there.flow * (others - own)).sum(axis=1)
        constant = -float((there.flow * own).sum())
        if symmetric:
            back = self._one_way(like, params, to_own)
            ways.append(back.linear)
            begin = begin + _as_rows(back, there.visited)
            pairs.append((back.flow, own))
            shares = shares + (back.flow * (own - others)).sum(axis=1)
            constant -= float((back.flow * others).sum())
        linear, infinite = _parted(ways)
        shares = shares + linear.diagonal()
        return LabelCosts(linear, tuple(pairs), constant, begin, shares, infinite)

    def _divergences(self, a: HMMParams[P], b: HMMParams[P]) -> tuple[Array, Array]:
        return _both_ways(self.model.family, self.relabel, a.emissions, b.emissions)

    def _one_way(self, a: HMMParams[P], b: HMMParams[P], divergences: Array) -> _OneWay:
        left, visited = self._usages(a)
        linear = _times(visited[:, None], divergences)
        if self.lengths is not None:
            linear = linear + joint_costs(a.initial, b.initial, np.zeros_like(divergences))
        return _OneWay(linear, divergences, visited, left[:, None] * a.transition)

    def _usages(self, params: HMMParams[P]) -> tuple[Array, Array]:
        """How often states are left and visited, (S,) each."""
        key = params.initial.tobytes() + params.transition.tobytes()
        if key not in self._known_usages:
            if self.lengths is not None:
                found = usages(params.initial, params.transition, self.lengths)
            else:
                law = _stationary(params.transition)
                found = law, law
            self._known_usages[key] = found
        return self._known_usages[key]


def _as_rows(way: _OneWay, visited: Array) -> Array:
    """Of pairs of states in the relative entropy as if rows were independent, (S, S); ``visited`` are the other's."""
    return joint_costs(way.visited / way.visited.sum(), visited / visited.sum(), way.divergences)


def _stationary(transition: Array) -> Array:
    try:
        law = stationary_distribution(transition)
        found = np.flatnonzero(law == 0).tolist()
        problem = f"leaves the states {found} for good" if found else ""
    except ValueError as error:
        problem = f"has no single stationary law ({error})"
    if problem:
        raise ValueError(
            f"lengths: expected the lengths of sequences for a chain that {problem}, got None, "
            "which stands for an endless sequence"
        )
    return law


def _divergences(family: Any, a: Any, b: Any) -> Array:
    if not hasattr(family, "relative_entropy"):
        raise TypeError(f"family: expected one with a method 'relative_entropy', got {family!r}")
    divergences: Array = family.relative_entropy(a, b)
    return divergences


def _both_ways(family: Any, relabel: Relabel, a: Any, b: Any) -> tuple[Array, Array]:
    """Relative entropies of each component of a to each of b, and of each of b to each of a, (K, K), nats.

    Where some are infinite, as of categories that only one model knows, all are four times those to the mean of the
    two, which is about the same for components that are much alike.
    """
    there, back = _divergences(family, a, b), _divergences(family, b, a)
    if np.isfinite(there).all() and np.isfinite(back).all():
        return there, back
    labels = np.arange(len(there))
    half = np.full(len(there), 0.5)
    own = family.model_statistics(b, half)
    there, back = np.empty_like(there), np.empty_like(back)
    for shift in labels:
        order = np.roll(labels, shift)
        moved = relabel(a, order, b)
        mean = family.maximize(family.model_statistics(moved, half) + own, b)
        there[order, labels] = 4.0 * _divergences(family, moved, mean).diagonal()
        back[labels, order] = 4.0 * _divergences(family, b, mean).diagonal()
    return there, back


def _unweighted(both_ways: tuple[Array, Array]) -> LabelCosts:
    there, back = both_ways
    linear, infinite = _parted([there.T, back])
    return LabelCosts(linear, infinite=infinite).with_all()


def _parted(ways: list[Array]) -> tuple[Array, Array]:
    """(K, K) each: the sums of what is finite, and the numbers of infinite ones.

    So that one way tells labels where the other is infinite for all.
    """
    infinite = [np.isposinf(costs) for costs in ways]
    linear = sum(np.where(never, 0.0, costs) for costs, never in zip(ways, infinite, strict=True))
    return np.asarray(linear), np.asarray(sum(never.astype(float) for never in infinite))


def _times(counts: Array, nats: Array) -> Array:
    """Products in which nothing is lost where nothing happens."""
    happens = np.broadcast_to(counts > NEGLIGIBLE, nats.shape)
    return np.where(happens, counts * np.where(happens, nats, 0.0), 0.0)


def _log(probabilities: Array) -> Array:
    return kernels.log(np.ascontiguousarray(probabilities))
