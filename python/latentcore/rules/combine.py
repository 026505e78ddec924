"""Combining models fitted apart: the weighted mean of what they expect, after their labels agree.

The combination minimises ``sum_m weight_m D(model_m || model)``, where D is the relative entropy of joint distributions
of visible and hidden values (Amid & Warmuth 2020). In an exponential family it is the model that has the mean of their
expected statistics: those of one fit to all data, if each model's posteriors were that fit's.

The labels of hidden values mean nothing, so that each model's are to be chosen first. That of more than two at once is
hard; models take turns: labels are matched to a reference, the models combined, the labels matched to the combination,
and so on. No turn increases the objective.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Generic, TypeVar

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
    """

    params: P
    models: list[P]
    orders: list[Order]
    divergences: Array
    objectives: list[float]


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
    not clear, with each of the others too, up to eight, and the best end counts.

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
    if weighted and len(params) > 2 and margins(model, found.models, weights).min() < CLEAR:
        # where turns end depends on the model that they begin with
        others = [int(m) for m in np.argsort(-weights, kind="stable") if m != heaviest]
        tries = (
            _in_turns(model, params, weights, n_labels, m, weighted)
            for m in others[:_MOST_REFERENCES]
        )
        found = min([found, *tries], key=lambda one: one.objectives[-1])
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
        if not _less(sum(float(w) * m.cost for m, w in matched), found.objectives[-1]):
            break
        again = as_ordered(model, params, weights, [m.order for m, _ in matched], found.params)
        if not _less(again.objectives[0], found.objectives[-1]):
            break
        found = replace(again, objectives=[*found.objectives, *again.objectives])
    return found


def _with_labels_of(
    model: LabelledModel[P, S], params: Sequence[P], weights: Array, m: int, found: Combination[P]
) -> Combination[P]:
    """The same combination with the labels that model m came with."""
    if (found.orders[m] == np.arange(len(found.orders[m]))).all():
        return found
    back = np.argsort(found.orders[m])
    orders = [order[back] for order in found.orders]
    again = as_ordered(model, params, weights, orders, params[m])
    return replace(again, objectives=found.objectives)


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
