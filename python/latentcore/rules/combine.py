"""Combining models fitted apart: the weighted mean of what they expect, after their labels agree.

The combination minimises ``sum_m weight_m D(model_m || model)``, where D is the relative entropy of joint distributions
of visible and hidden values (Amid & Warmuth 2020). In an exponential family it is the model that has the mean of their
expected statistics: those of one fit to all data, if each model's posteriors were that fit's.

The labels of hidden values mean nothing, so that each model's are to be chosen first. For many models at once that is
hard. Models take turns: labels are matched to a reference, the models combined, the labels matched to the combination,
and so on. No turn increases the objective. Where the labels that come out are not clear, turns begin elsewhere too, and
models try other labels one by one. A bounded search then looks whether any labels are better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, combinations, permutations
from math import factorial
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from latentcore.assignment import MatchedBy, Order
from latentcore.protocols import Array, LabelledModel
from latentcore.statistics import Statistics, total

__all__ = ["CLEAR", "Combination", "aligned", "as_ordered", "combined", "margins"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)

CLEAR = 1 / 3
"""Least margin of an alignment that is not called ambiguous: an exchange of two components costs half as much again."""

_MOST_ROUNDS = 100
_MOST_REFERENCES = 8
"""Models beside the heaviest that turns begin with, where labels are not clear."""
_MOST_ENTROPIES = 8000
"""Relative entropies that each search may ask for, where labels are not clear: of orders of one model at a time, and
of those of all models. Else a tenth, so that what turns have found is soon known to be the best."""
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Combination(Generic[P]):
    """Models whose labels agree, and what they make together.

    Attributes
    ----------
    params : P
        Of the combination.
    models : list of P
        With labels that agree.
    orders : list of (K,)
        The component ``orders[m][k]`` of model m, as it was given, has label k.
    divergences : (M,)
        Joint relative entropies of the models to the combination, nats.
    objectives : list of float
        Their weighted mean, of each combination on the way.
    exhaustive : bool
        No other labels are better. Otherwise none were found.
    """

    params: P
    models: list[P]
    orders: list[Order]
    divergences: Array
    objectives: list[float]
    exhaustive: bool = False


def combined(model: LabelledModel[P, S], params: Sequence[P], weights: Array, previous: P) -> P:
    """The model of least weighted relative entropy from all, whose labels agree.

    Parameters
    ----------
    model : LabelledModel
    params : M of them
    weights : (M,), > 0, summing to one
    previous : P
        Serves what no model says anything of.
    """
    stats = (model.statistics(p) * weight for p, weight in zip(params, weights, strict=True))
    return model.maximize(total(stats), previous)


def as_ordered(
    model: LabelledModel[P, S],
    params: Sequence[P],
    weights: Array,
    orders: Sequence[Order],
    like: P,
) -> Combination[P]:
    """Combine models in these orders; what components have inside gets the order that it has in ``like``."""
    pairs = zip(params, orders, strict=True)
    models = [model.relabelled(p, order, like) for p, order in pairs]
    mean = combined(model, models, weights, like)
    divergences = np.array([model.relative_entropy(p, mean) for p in models])
    return Combination(mean, models, list(orders), divergences, [float(weights @ divergences)])


def aligned(
    model: LabelledModel[P, S],
    params: Sequence[P],
    weights: Array,
    n_labels: int,
    *,
    weighted: bool = True,
) -> Combination[P]:
    """Match the labels of all models, and combine them.

    The labels are those of the model of largest weight, the first of equals. Turns begin with it; if labels are then
    not clear, with each of the others too, up to eight, and from the best end models try other labels one by one. A
    search through all labels ends it, unless these are too many.

    Parameters
    ----------
    model : LabelledModel
    params : M of them
    weights : (M,), > 0, summing to one
    n_labels : int
    weighted : bool
        Whether labels are matched by joint distributions. Otherwise by the components alone, and to the model of
        largest weight alone.
    """
    heaviest = int(weights.argmax())
    found = _in_turns(model, params, weights, n_labels, heaviest, weighted)
    if not weighted:
        return found
    most = _MOST_ENTROPIES // 10
    if margins(model, found.models, weights).min() < CLEAR:
        most = _MOST_ENTROPIES
        found = _from_all_sides(model, params, weights, n_labels, found, heaviest)
    found = _best_of_all(model, params, weights, n_labels, found, most)
    return _with_labels_of(model, params, weights, heaviest, found)


def _in_turns(
    model: LabelledModel[P, S],
    params: Sequence[P],
    weights: Array,
    n_labels: int,
    reference: int,
    weighted: bool,
) -> Combination[P]:
    """Labels matched to those of one model, then, in turns, to the combination."""
    by: MatchedBy = "symmetric" if weighted else "unweighted"
    orders = [
        np.arange(n_labels) if m == reference else model.match(p, params[reference], by).order
        for m, p in enumerate(params)
    ]
    found = as_ordered(model, params, weights, orders, params[reference])
    while weighted and len(params) > 1 and len(found.objectives) < _MOST_ROUNDS:
        triples = zip(params, found.orders, weights, strict=True)
        matched = [(model.match(p, found.params, "joint", order), w) for p, order, w in triples]
        if not _less(sum(float(w) * m.cost for m, w in matched), _objective(found)):
            break
        again = as_ordered(model, params, weights, [m.order for m, _ in matched], found.params)
        if not _less(_objective(again), _objective(found)):
            break
        found = _after(found, again)
    return found


def _from_all_sides(
    model: LabelledModel[P, S],
    params: Sequence[P],
    weights: Array,
    n_labels: int,
    found: Combination[P],
    heaviest: int,
) -> Combination[P]:
    """The best of where turns end that begin with each model, and of what other labels for one at a time make of it."""
    others = [int(m) for m in np.argsort(-weights, kind="stable") if m != heaviest]
    ends = [found] + [
        _in_turns(model, params, weights, n_labels, m, weighted=True)
        for m in others[:_MOST_REFERENCES]
    ]
    ends.sort(key=_objective)
    best, left = ends[0], _MOST_ENTROPIES
    for n, end in enumerate(ends):
        if n > 0 and not _less(_objective(ends[n - 1]), _objective(end)):
            continue  # the same labels, but for their names
        improved, left = _one_by_one(model, params, weights, end, left)
        best = min(best, improved, key=_objective)
    return best


def _objective(found: Combination[P]) -> float:
    return found.objectives[-1]


def _one_by_one(
    model: LabelledModel[P, S],
    params: Sequence[P],
    weights: Array,
    found: Combination[P],
    left: int,
) -> tuple[Combination[P], int]:
    """Other labels for one model at a time, as long as any lower the objective and relative entropies are left."""
    m, n_kept = 0, 0
    while n_kept < len(params) and left > 0:
        others = list(_sums_of_others(model, found.models, weights))[m]
        best = found
        for order in _alternatives(
            model, params[m], model.maximize(others, found.params), found.orders[m]
        ):
            orders = [*found.orders[:m], order, *found.orders[m + 1 :]]
            tried = as_ordered(model, params, weights, orders, found.params)
            if _less(_objective(tried), _objective(best)):
                best = _after(found, tried)
            left -= len(params)
            if left <= 0:
                break
        n_kept = n_kept + 1 if best is found else 0
        found, m = best, (m + 1) % len(params)
    return found, left


def _alternatives(
    model: LabelledModel[P, S], params: P, others: P, order: Order
) -> Iterator[Order]:
    """The orders that make a model most alike the others, and those that exchange two labels."""
    by: MatchedBy
    for by in ("symmetric", "joint"):
        matched = model.match(params, others, by).order
        if (matched != order).any():
            yield matched
    for i, j in combinations(range(len(order)), 2):
        exchanged = order.copy()
        exchanged[[i, j]] = order[[j, i]]
        yield exchanged


def _best_of_all(
    model: LabelledModel[P, S],
    params: Sequence[P],
    weights: Array,
    n_labels: int,
    found: Combination[P],
    most: int,
) -> Combination[P]:
    """The best labels of all, or of those that ``most`` relative entropies allow to look at."""
    if factorial(n_labels) * sum(range(2, len(params) + 1)) > most:
        return found  # not even one order could be looked at for each model
    search = _Search(model, params, weights, n_labels, found, most)
    if search.best is not None:
        again = as_ordered(model, params, weights, search.best, found.params)
        if _less(_objective(again), _objective(found)):
            found = _after(found, again)
    return replace(found, exhaustive=search.left >= 0)


class _Member(NamedTuple, Generic[P, S]):
    """A model in an order, and its weighted statistics."""

    order: Order
    params: P
    stats: S


class _Search(Generic[P, S]):
    """Branch and bound (Land & Doig 1960) for labels that are better than those found.

    Models join one by one, the heaviest first, which keeps its labels. What they cost together only grows, so that
    those that cost as much as all models do with the best labels known need no further company.

    Attributes
    ----------
    best : list of orders, by model, or None
        The best of those that are better, if there are any.
    left : int
        Relative entropies that may still be asked for. Negative: labels are left that were not looked at.
    """

    def __init__(
        self,
        model: LabelledModel[P, S],
        params: Sequence[P],
        weights: Array,
        n_labels: int,
        found: Combination[P],
        most: int,
    ) -> None:
        orders = [np.array(order, np.intp) for order in permutations(range(n_labels))]
        self._model = model
        self._like = found.params
        self._ranks = np.argsort(-weights, kind="stable")
        self._weights = weights[self._ranks]
        self._members = [
            [
                self._member(params[m], order, weights[m])
                for order in (orders if rank else orders[:1])
            ]
            for rank, m in enumerate(self._ranks)
        ]
        self._least = _objective(found)
        self.best: list[Order] | None = None
        self.left = most
        if len(params) > 1:
            self._extend(self._members[0])

    def _member(self, params: P, order: Order, weight: float) -> _Member[P, S]:
        relabelled = self._model.relabelled(params, order, self._like)
        return _Member(order, relabelled, self._model.statistics(relabelled) * float(weight))

    def _extend(self, joined: list[_Member[P, S]]) -> None:
        """Let the next model join these in all orders that may be the best, the cheapest first."""
        members = self._members[len(joined)]
        costs = []
        for member in members:
            self.left -= len(joined) + 1
            if self.left < 0:
                return
            costs.append(self._cost([*joined, member]))
        for i in np.argsort(costs, kind="stable"):
            if not _less(costs[i], self._least):
                return
            together = [*joined, members[i]]
            if len(together) < len(self._members):
                self._extend(together)
                continue
            self._least = costs[i]
            self.best = [together[rank].order for rank in np.argsort(self._ranks)]

    def _cost(self, joined: list[_Member[P, S]]) -> float:
        mean = self._model.maximize(total(member.stats for member in joined), self._like)
        return sum(
            float(weight) * self._model.relative_entropy(member.params, mean)
            for member, weight in zip(joined, self._weights, strict=False)
        )


def _after(found: Combination[P], again: Combination[P]) -> Combination[P]:
    """A better combination, with the objectives on the way."""
    return replace(again, objectives=[*found.objectives, *again.objectives])


def _with_labels_of(
    model: LabelledModel[P, S], params: Sequence[P], weights: Array, m: int, found: Combination[P]
) -> Combination[P]:
    """The same combination with the labels that model m came with."""
    if (found.orders[m] == np.arange(len(found.orders[m]))).all():
        return found
    back = np.argsort(found.orders[m])
    orders = [order[back] for order in found.orders]
    again = as_ordered(model, params, weights, orders, params[m])
    return replace(again, objectives=found.objectives, exhaustive=found.exhaustive)


def margins(model: LabelledModel[P, S], params: Sequence[P], weights: Array) -> Array:
    """How clearly the labels of each model are those of all others combined, (M,); see ``LabelledModel.margin``."""
    if len(params) == 1:
        return np.ones(1)
    others = _sums_of_others(model, params, weights)
    return np.array(
        [model.margin(p, model.maximize(s, p)) for p, s in zip(params, others, strict=True)]
    )


def _less(objective: float, before: float) -> bool:
    return objective < before - _ROUNDING * (1.0 + abs(before))


def _sums_of_others(model: LabelledModel[P, S], params: Sequence[P], weights: Array) -> Iterator[S]:
    """For each model the weighted sum of what all others expect; sums before and after it, since nothing subtracts."""
    stats = [model.statistics(p) * weight for p, weight in zip(params, weights, strict=True)]
    after = list(accumulate(reversed(stats[1:])))[::-1]
    before: S | None = None
    for m, own in enumerate(stats):
        rest = after[m] if m < len(after) else None
        if before is None or rest is None:
            others = rest if before is None else before
            assert others is not None
            yield others
        else:
            yield before + rest
        before = own if before is None else before + own
