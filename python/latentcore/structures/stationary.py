"""The M-step of a chain that starts in its stationary law: no closed form, so Newton's method.

``sum n_ij log A_ij + sum g_i log delta_i(A)``, with the expected counts n of transitions and g of first states and
``delta A = delta``, is not concave. With ``Z = (1 - A + 1 delta)^-1`` a change V of A, of rows that sum to zero,
changes delta by ``delta V Z`` (Schweitzer 1968), whence the derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from latentcore.protocols import Array
from latentcore.structures.chains import closed_classes, stationary_distribution
from latentcore.structures.tied_rows import TiedRows, Unknowns, solve_normal

__all__ = ["maximize_stationary", "stationary_slope"]

_MAX_STEPS = 100
_ROUNDING = 1e-15
_SUFFICIENT = 1e-4
"""Of what the slope promises a step has to bring so much (Armijo 1966)."""
_SMALL, _NOTHING = 1e-9, 1e-17
"""Of a step, relative to a probability, and in itself: the next would be smaller by 1e-5 or more."""
_DAMPING = 1e-9
_TINY = 1e-100
"""A probability as small never moves: the square of its inverse would overflow."""


def maximize_stationary(
    rows: TiedRows, starts: Array, transitions: Array, previous: Array
) -> Array:
    """The transition matrix of largest expected log-likelihood; never a less likely one than ``previous``.

    A local maximum near ``previous`` or near the most likely matrix of the transitions alone, whichever is better.

    Parameters
    ----------
    rows : TiedRows
        What is free in the matrix.
    starts : (S,)
        Expected counts of first states.
    transitions : (S, S)
        Expected counts of transitions.
    previous : (S, S)
        Without counts, what is 0 here stays 0.
    """
    if not rows.free.any():
        return previous
    counts = np.where(rows.free, transitions, 0.0)
    # exact, whatever unit the counts have
    unit = 2.0 ** -float(np.frexp(max(counts.max(), starts.max()))[1])
    counts, starts = unit * counts, unit * starts
    best = _Point.at(previous, counts, starts)
    # one transition more a sequence keeps in what has no counts of its own
    inertia = starts.sum() * best.law[:, None] * previous
    other = _Point.unless_reducible(rows.maximize(counts + inertia, previous), best)
    point = best if other is None or other.value <= best.value else other
    if not np.isfinite(point.value):
        return previous
    before = np.inf
    for _ in range(_MAX_STEPS):
        try:
            slope, direction = _newton(rows.unknowns, point)
        except np.linalg.LinAlgError:  # the chain hardly moves any more
            break
        if slope > _rounding(point):
            found = _searched(rows, point, direction, slope)
        else:
            found = _stepped(rows, point, direction) if slope < 0.5 * before else None
        if found is None:
            break
        last = _is_small(rows.unknowns, direction, point)
        point, before = found, slope
        if last:
            break
    return point.transition if point.value >= best.value - _rounding(best) else best.transition


def stationary_slope(transition: Array, law: Array, starts: Array) -> Array:
    """The derivative of ``sum starts log delta(A)`` by A, but for a constant in each row.

    Parameters
    ----------
    transition : (S, S)
    law : (S,)
        Its stationary law.
    starts : (S,)
    """
    return law[:, None] * (_fundamental(transition, law) @ _ratio(starts, law))


@dataclass(frozen=True, slots=True)
class _Point:
    transition: Array
    law: Array
    counts: Array
    starts: Array
    value: float

    @staticmethod
    def at(transition: Array, counts: Array, starts: Array) -> _Point:
        law = stationary_distribution(transition)
        with np.errstate(divide="ignore"):
            value = counts[counts > 0] @ np.log(transition[counts > 0])
            value += starts[starts > 0] @ np.log(law[starts > 0])
        return _Point(transition, law, counts, starts, float(value))

    @staticmethod
    def unless_reducible(transition: Array, like: _Point) -> _Point | None:
        """None if the chain falls into several classes, so that it has no one stationary law."""
        if len(closed_classes(transition > 0)) > 1:
            return None
        return _Point.at(transition, like.counts, like.starts)


def _newton(unknowns: Unknowns, point: _Point) -> tuple[float, Array]:
    """The derivative along the Newton direction, and that direction, (n,), of the unknowns.

    Conjugate gradients on the changes that keep the sums of rows (Gould, Hribar & Nocedal 2001), preconditioned by
    the curvature of the transitions' part, which is all of it for long sequences. Unknowns that want to fall get the
    curvature that slows them on their way to 0 (Coleman & Li 1996); all get some as long as the gradient is large, and
    little always, so that those that nothing decides do not follow its rounding.
    """
    a, law = point.transition, point.law
    p = unknowns.gather(a) / unknowns.sizes
    inside = p > _TINY
    over = np.where(inside, 1.0 / np.where(inside, p, 1.0), 0.0)
    z = _fundamental(a, law)
    ratio = _ratio(point.starts, law)
    outward = law[:, None] * (z @ ratio)
    outward = outward - (a * outward).sum(axis=1, keepdims=True)
    counts = unknowns.gather(point.counts)
    gradient = counts * over + unknowns.gather(outward)
    level = _constant_in_rows(unknowns, p * inside)
    gradient = gradient - level(gradient)
    slow = np.maximum(-gradient, 0.0) + np.sqrt(p @ gradient**2 / p.sum())
    slow += _DAMPING * point.starts.sum()
    curved = counts * over**2 + slow * over
    weights = inside / np.maximum(curved, _TINY)
    along_rows = _constant_in_rows(unknowns, weights)

    def curvature(change: Array) -> Array:
        """Minus the second derivative, times a change."""
        v = unknowns.spread(change, np.zeros_like(a))
        law_change = (law @ v) @ z
        h = z @ ratio
        h_change = z @ (v @ h - ratio * _ratio(law_change, law))
        bent = law_change[:, None] * h + law[:, None] * h_change
        minus_second: Array = curved * change - unknowns.gather(bent)
        return minus_second

    def reduced(vector: Array) -> Array:
        left: Array = vector - along_rows(vector)
        return left

    def ascent(direction: Array) -> tuple[float, Array]:
        # without what rounding adds to the sums of rows
        tangent = direction - p * level(direction * over)
        return float(gradient @ tangent), tangent

    gradient = reduced(gradient)
    found = ascent(_conjugate_gradients(curvature, weights, reduced, gradient))
    return found if found[0] > 0 else ascent(weights * gradient)


def _constant_in_rows(unknowns: Unknowns, weights: Array) -> Callable[[Array], Array]:
    """Of a gradient the part that is constant in each row, what is left being orthogonal to it under ``weights``."""
    entries = weights[unknowns.numbers]
    alone = unknowns.numbers >= unknowns.n_shared
    own = entries * unknowns.sizes[unknowns.numbers] * alone
    diagonal = _by_row(unknowns, own)
    shared = (unknowns.sums * weights[: unknowns.n_shared]) @ unknowns.sums.T
    normal = shared + np.diag(diagonal)
    normal += np.diag(normal.diagonal() == 0)

    def constant(gradient: Array) -> Array:
        sums = _by_row(unknowns, (weights * gradient)[unknowns.numbers])
        levels = solve_normal(normal, sums) if unknowns.n_shared else sums / normal.diagonal()
        return unknowns.add(levels[unknowns.rows])

    return constant


def _conjugate_gradients(
    curvature: Callable[[Array], Array],
    weights: Array,
    reduced: Callable[[Array], Array],
    gradient: Array,
) -> Array:
    """A direction of ascent: the Newton direction if the curvature is one of a maximum (Steihaug 1983)."""
    total: Array = np.zeros_like(gradient)
    residual, direction = gradient, weights * gradient
    size = first = float(residual @ direction)
    for _ in range(2 * len(gradient)):
        bent = curvature(direction)
        along = float(direction @ bent)
        if along <= 0:
            break
        step = size / along
        total = total + step * direction
        residual = reduced(residual - step * bent)
        before, size = size, float(residual @ (weights * residual))
        if size <= 1e-10 * first:
            break
        direction = weights * residual + size / before * direction
    return total if total.any() else direction


def _searched(rows: TiedRows, point: _Point, direction: Array, slope: float) -> _Point | None:
    """The first point, at half the distance each time, that is better by a part of what the slope promises."""
    step = 1.0
    for _ in range(60):
        found = _Point.unless_reducible(_moved(rows, point.transition, step * direction), point)
        wanted = point.value + _SUFFICIENT * step * slope - _rounding(point)
        if found is not None and found.value >= wanted:
            return found
        step /= 2
    return None


def _stepped(rows: TiedRows, point: _Point, direction: Array) -> _Point | None:
    """The point a whole step further, unless it is worse by more than rounding.

    Near a maximum objectives differ by the square of what parameters do, so that they tell half of the digits. Slopes
    tell all: they are squares of the length of Newton's steps.
    """
    found = _Point.unless_reducible(_moved(rows, point.transition, direction), point)
    if found is None or found.value < point.value - _rounding(point):
        return None
    return found


def _is_small(unknowns: Unknowns, direction: Array, point: _Point) -> bool:
    """Whether the step after this one would be rounding."""
    p = unknowns.gather(point.transition) / unknowns.sizes
    return bool((np.abs(direction) <= _SMALL * p + _NOTHING).all())


def _moved(rows: TiedRows, transition: Array, change: Array) -> Array:
    """Changed, or to the first order where that would be below 0: entries that fall fall to p^2 / (p - change)."""
    unknowns = rows.unknowns
    p = unknowns.gather(transition) / unknowns.sizes
    if (p + 0.9 * change >= 0.1 * p).all():
        return unknowns.spread(p + change, transition)
    falling = change < 0
    shrunk = p / np.where(falling, 1.0 - change / np.where(falling, p, 1.0), 1.0)
    return rows.maximize(
        unknowns.spread(np.where(falling, shrunk, p + change), transition), transition
    )


def _rounding(point: _Point) -> float:
    return _ROUNDING * float(point.counts.sum() + point.starts.sum())


def _by_row(unknowns: Unknowns, values: Array) -> Array:
    """(R,): sums of values (E,) over the free entries of each row."""
    sums: Array = np.bincount(unknowns.rows, values, len(unknowns.sums)).astype(np.float64)
    return sums


def _fundamental(transition: Array, law: Array) -> Array:
    leaving = transition * ~np.eye(len(law), dtype=np.bool_)
    one_less_a = np.diag(leaving.sum(axis=1)) - leaving  # 1 - A without cancellation
    inverse: Array = np.linalg.inv(one_less_a + law).astype(np.float64)
    return inverse


def _ratio(values: Array, law: Array) -> Array:
    """Divided by the law, 0 for states that it does not visit."""
    visited = law > 0
    return np.where(visited, values / np.where(visited, law, 1.0), 0.0)
