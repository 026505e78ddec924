"""What a transition matrix says by itself: its stationary law, closed classes of states, durations, usages, draws."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.protocols import Array, Lengths

__all__ = [
    "checked_length_weights",
    "closed_classes",
    "drawn_states",
    "expected_durations",
    "stationary_distribution",
    "usages",
]

States = npt.NDArray[np.int64]


def stationary_distribution(transition: Array) -> Array:
    """The law of states that the chain keeps: ``delta A = delta``.

    By elimination of states without a subtraction (Grassmann, Taksar & Heyman 1985), so that small probabilities are
    as accurate, relatively, as the large ones, and chains that hardly ever change their state lose nothing.

    Parameters
    ----------
    transition : (S, S)
        Rows sum to one.

    Returns
    -------
    (S,)
        Exactly 0 for transient states.

    Raises
    ------
    ValueError
        There are several closed classes of states: the law is not unique.
    """
    positive = transition > 0
    if positive.all():
        return _irreducible(transition)
    classes = closed_classes(positive)
    if len(classes) > 1:
        listed = ", ".join(str({int(state) for state in states}) for states in classes)
        raise ValueError(
            "transition: expected one closed class of states, so that the stationary distribution is unique, "
            f"got {len(classes)}: {listed}"
        )
    stationary = np.zeros(len(transition))
    stationary[classes[0]] = _irreducible(transition[np.ix_(classes[0], classes[0])])
    return stationary


def closed_classes(positive: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.intp]]:
    """Sets of states that reach each other and nothing else, in the order of their first states.

    Parameters
    ----------
    positive : (S, S) bool
        Transitions of positive probability.
    """
    reaches = positive | np.eye(len(positive), dtype=np.bool_)
    for _ in range(len(positive).bit_length()):  # paths of twice the length each time
        reaches = (reaches.astype(np.float64) @ reaches) > 0
    returns = ~(reaches & ~reaches.T).any(axis=1)
    firsts = [i for i in np.flatnonzero(returns) if not reaches[i, :i].any()]
    return [np.flatnonzero(reaches[i]) for i in firsts]


def expected_durations(transition: Array) -> Array:
    """Expected number of steps that a stay in each state lasts, ``1 / (1 - A_ii)``; infinite for absorbing states.

    Parameters
    ----------
    transition : (S, S)
        Rows sum to one.
    """
    leaving = (transition * ~np.eye(len(transition), dtype=np.bool_)).sum(axis=1)
    durations: Array = np.full(len(leaving), np.inf)
    np.divide(1.0, leaving, out=durations, where=leaving > 0)
    return durations


def usages(
    initial: Array, transition: Array, lengths: Lengths, length_weights: Array | None = None
) -> tuple[Array, Array]:
    """How often a sequence is expected to leave and to visit each state, (S,) each.

    Its length is any of ``lengths`` (Q,), with probabilities in proportion to ``length_weights`` (Q,), by default equal
    ones. The states of its last row are visited and not left.
    """
    distinct, shares = _distinct(lengths, length_weights)
    # A^n and I + A + ... + A^(n-1) for n = 1, 2, 4, ...
    powers = [(transition, np.eye(len(initial)))]
    left, visited = np.zeros_like(initial), np.zeros_like(initial)
    law, so_far, done = initial, np.zeros_like(initial), 1  # of the state of row `done`; before it
    for length, share in zip(distinct, shares, strict=True):
        steps, done = length - done, length
        for bit in range(steps.bit_length()):
            if bit == len(powers):
                power, sums = powers[-1]
                twice = np.dot(power, power)
                if bit % 4 == 0:  # between, rounding grows to that of 16 products
                    twice = _laws(twice)
                powers.append((twice, sums + np.dot(power, sums)))
            if steps >> bit & 1:
                power, sums = powers[bit]
                law, so_far = _laws(np.dot(law, power)), so_far + np.dot(law, sums)
        left += share * so_far
        visited += share * (so_far + law)
    return left, visited


def checked_length_weights(length_weights: Array | None, n: int) -> Array | None:
    if length_weights is None:
        return None
    weights = np.asarray(length_weights, np.float64)
    if weights.shape != (n,):
        raise ValueError(
            f"length_weights: expected one for each of {n} lengths, got {weights.shape}"
        )
    if not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise ValueError("length_weights: expected finite numbers >= 0, and one above 0")
    return weights


def _distinct(lengths: Lengths, length_weights: Array | None) -> tuple[list[int], list[float]]:
    """The different lengths, rising, and their probabilities."""
    weights = checked_length_weights(length_weights, len(lengths))
    if not len(lengths) or np.min(lengths) < 1:
        raise ValueError("lengths: expected at least one, and integers >= 1")
    if len(lengths) == 1:
        return [int(lengths[0])], [1.0]
    distinct, index = np.unique(lengths, return_inverse=True)
    repeats = np.bincount(index, weights)
    return distinct.tolist(), (repeats / repeats.sum()).tolist()


def _laws(rows: Array) -> Array:
    """With sums of one, from which many products would drift."""
    laws: Array = rows / np.add.reduce(rows, axis=-1, keepdims=True)
    return laws


def _irreducible(transition: Array) -> Array:
    """Of a chain in which every state reaches every other."""
    a = np.array(transition, np.float64)
    for n in range(len(a) - 1, 0, -1):
        a[:n, n] /= a[n, :n].sum()
        a[:n, :n] += a[:n, n : n + 1] * a[n, :n]
    law = np.ones(len(a))
    for n in range(1, len(a)):
        law[n] = law[:n] @ a[:n, n]
        law[: n + 1] /= 1.0 + law[n]  # sums to one at every stage: nothing overflows
    law /= law.sum()
    return law


def drawn_states(initial: Array, transition: Array, lengths: Sequence[int], rng: Any) -> States:
    """States (sum of lengths,) of chains that begin by the law ``initial`` (S,), one after another."""
    first, steps = _cumulative(initial), [_cumulative(row) for row in transition]
    states = np.empty(sum(lengths), np.int64)
    uniforms = rng.uniform(size=len(states)).tolist()
    row = 0
    for length in lengths:
        law = first
        for _ in range(length):
            state = bisect_right(law, uniforms[row])
            states[row] = state
            law = steps[state]
            row += 1
    return states


def _cumulative(law: Array) -> list[float]:
    """Cumulative probabilities before that of the last possible state, which takes what rounding leaves."""
    sums = np.cumsum(law)
    below: list[float] = (sums[sums < sums[-1]] / sums[-1]).tolist()
    return below
