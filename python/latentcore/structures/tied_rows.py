"""Rows of probabilities, some of which are given, forbidden, or equal to each other, and the most likely of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from latentcore.protocols import Array

__all__ = ["InfeasibleError", "TiedRows", "Unknowns", "solve_normal"]

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.intp]

_LEAST_INERTIA = 1e-18
"""What is left of the previous values' weight when they only choose among maxima, relative to the counts."""
_ROUNDING = 1e-14
"""Of a row's sum: below, a row is left as it is, to the last bit."""
_SLACK = 1e-6
"""Of a multiplier relative to its mean: below, an entry without counts is free to be positive."""


class InfeasibleError(ValueError):
    """No positive probabilities satisfy the ties and make rows sum to one."""


@dataclass(frozen=True)
class Unknowns:
    """The different free entries of rows of probabilities, numbered; those that several rows share come first.

    Attributes
    ----------
    rows, columns, numbers : (E,)
        Of each free entry its place and the unknown that it is.
    n, n_shared : int
    sums : (R, n_shared)
        How often each shared unknown is in each row.
    """

    rows: Integers
    columns: Integers
    numbers: Integers
    n: int
    n_shared: int
    sums: Array

    def gather(self, matrix: Array) -> Array:
        """(n,): sums over the entries that are the same unknown."""
        return self.add(matrix[self.rows, self.columns])

    def add(self, values: Array) -> Array:
        """(n,): sums of values (E,) over the entries that are the same unknown."""
        sums: Array = np.bincount(self.numbers, values, self.n).astype(np.float64)
        return sums

    def spread(self, values: Array, rows: Array) -> Array:
        """A copy of ``rows`` with the free entries put in."""
        filled = np.array(rows)
        filled[self.rows, self.columns] = values[self.numbers]
        return filled

    @cached_property
    def sizes(self) -> Array:
        """(n,): numbers of entries."""
        return np.bincount(self.numbers, minlength=self.n).astype(np.float64)


@dataclass(frozen=True)
class TiedRows:
    """R rows of S probabilities that sum to one.

    Attributes
    ----------
    free : (R, S) bool
        Entries to be found.
    given : (R, S)
        The others; 0 where forbidden, and where free.
    groups : (R, S) integers, or None
        Free entries with the same number >= 0 are equal.
    """

    free: Booleans
    given: Array
    groups: Integers | None = None

    def maximize(self, counts: Array, previous: Array | None) -> Array:
        """The rows that maximise ``sum counts log p``.

        Where counts do not decide, the rows nearest to ``previous``, which are ``previous`` itself for a row without
        any; and whatever is 0 there without counts stays 0. By default ``initial()``.

        Parameters
        ----------
        counts, previous : (R, S)
            At least 0. Counts of entries that are not free do not matter.
        """
        if previous is None:
            previous = self.initial()
        if self.all_free:
            return self._shares(counts, previous, self.masses)
        counts = np.where(self.free, counts, 0.0)
        previous = np.where(self.free, previous, 0.0)
        if self.groups is not None:
            counts, previous = self.equalised(counts), self.equalised(previous)
            if self.unknowns.n_shared:
                return self.given + self._coupled(counts, previous)
        return self.given + self._shares(counts, previous, self.masses)

    def initial(self) -> Array:
        """The most uniform rows, of largest ``sum log p`` over free entries.

        Raises
        ------
        InfeasibleError
            There are none with positive free entries.
        """
        ones = self.free.astype(np.float64)
        rows = self.maximize(ones, ones / np.maximum(ones.sum(axis=1, keepdims=True), 1.0))
        if (
            not np.allclose(rows.sum(axis=1), 1.0, rtol=0, atol=1e-10)
            or (rows[self.free] < 1e-10).any()
        ):
            raise InfeasibleError(
                "with these entries equal no rows of positive probabilities sum to one"
            )
        return rows

    def n_parameters(self) -> int:
        """The dimension of the set of such rows."""
        unknowns = self.unknowns
        alone = unknowns.numbers >= unknowns.n_shared
        with_own = np.unique(unknowns.rows[alone])
        others = np.delete(unknowns.sums, with_own, axis=0)
        return (
            unknowns.n - len(with_own) - (int(np.linalg.matrix_rank(others)) if others.size else 0)
        )

    def equalised(self, values: Array) -> Array:
        """Each free entry with the mean of those that are to be equal to it."""
        return self.unknowns.spread(self.unknowns.gather(values) / self.unknowns.sizes, values)

    @cached_property
    def all_free(self) -> bool:
        """Whether rows are any that sum to one."""
        return self.groups is None and bool(self.free.all())

    @cached_property
    def masses(self) -> Array:
        """(R,): what is left for the free entries of each row."""
        left: Array = np.where(self.free.any(axis=1), 1.0 - self.given.sum(axis=1), 0.0)
        return left

    @cached_property
    def unknowns(self) -> Unknowns:
        rows, columns = np.nonzero(self.free)
        names = np.full(len(rows), -1) if self.groups is None else self.groups[rows, columns]
        tied = names >= 0
        first, last = np.full((2, int(names.max(initial=-1)) + 1), [[len(self.free)], [-1]])
        np.minimum.at(first, names[tied], rows[tied])
        np.maximum.at(last, names[tied], rows[tied])
        shared = tied.copy()
        shared[tied] = (first < last)[names[tied]]
        n_shared = len(np.unique(names[shared]))
        # shared, tied within a row, alone: each kind after the other
        single = np.arange(len(rows)) + len(first)
        key = np.where(tied, names, single) + np.where(shared, 0, len(first) + len(rows))
        names, numbers = np.unique(key, return_inverse=True)
        sums = np.zeros((len(self.free), n_shared))
        np.add.at(sums, (rows[shared], numbers[shared]), 1.0)
        return Unknowns(rows, columns, numbers, len(names), n_shared, sums)

    # -- inside

    def _shares(self, counts: Array, previous: Array, masses: Array) -> Array:
        """Rows of ``masses`` in the shares of their counts, or of ``previous`` where there are none."""
        sums, masses = counts.sum(axis=1, keepdims=True), masses[:, None]
        if not sums.all():
            for otherwise in (previous, self.free):
                counts = np.where(counts.any(axis=1, keepdims=True), counts, otherwise)
            sums = counts.sum(axis=1, keepdims=True)
        scaled = counts / (sums + (sums == 0)) * masses
        shares: Array = np.where(np.abs(sums - masses) <= _ROUNDING, counts, scaled)
        return shares

    def _coupled(self, counts: Array, previous: Array) -> Array:
        """The free entries, rows being coupled by equal entries.

        What the shared entries leave of a row its other entries divide by their counts, so that together they are one
        unknown: their sum.
        """
        unknowns = self.unknowns
        n_shared = unknowns.n_shared
        inside = unknowns.numbers < n_shared
        places, numbers = (
            (unknowns.rows[inside], unknowns.columns[inside]),
            unknowns.numbers[inside],
        )
        alone = self.free.copy()
        alone[places] = False

        def by_unknown(values: Array) -> Array:
            own = (values * alone).sum(axis=1)
            return np.concatenate([np.bincount(numbers, values[places], n_shared), own])

        coefficients = np.hstack([unknowns.sums, np.eye(len(alone))])
        found = _largest(coefficients, self.masses, by_unknown(counts), by_unknown(previous))
        rows = self._shares(counts * alone, previous * alone, found[n_shared:])
        rows[places] = found[numbers]
        return rows


def solve_normal(matrix: Array, right: Array) -> Array:
    """The solution of a consistent system, positive semidefinite, whose rows may repeat each other."""
    scale = np.sqrt(matrix.diagonal())
    scaled = matrix / scale / scale[:, None] + 1e-14 * np.eye(len(matrix))
    solution: Array = np.linalg.solve(scaled, right / scale) / scale
    return solution


def _largest(coefficients: Array, masses: Array, counts: Array, previous: Array) -> Array:
    """``p >= 0`` of largest ``sum counts log p`` with ``coefficients p = masses``, of several that nearest to previous.

    The conditions are ``p s = counts`` with ``s = coefficients^T multipliers``. They are solved by Newton's method in
    p, s and the multipliers at once, along the path ``p s = counts + mu previous`` from large mu, where p is
    ``previous`` and all multipliers are mu, to hardly any (weighted centres: Ye 1997, Interior Point Algorithms).

    Parameters
    ----------
    coefficients : (R, G)
        Of p in the rows' sums.
    masses : (R,)
    counts : (G,)
        Of all entries that have the value p_g.
    previous : (G,)
        The sum of all previous entries that are to have the value p_g. What is 0 here and without counts is 0.
    """
    found = np.zeros(len(counts))
    kept = np.flatnonzero((counts > 0) | (previous > 0))
    rows = np.flatnonzero(coefficients[:, kept].any(axis=1))
    m, masses = coefficients[np.ix_(rows, kept)], masses[rows]
    counts, inertia = counts[kept], previous[kept]
    counts = (
        counts / (counts.sum() if counts.any() else 1.0) * masses.sum()
    )  # multipliers of about 1
    multipliers = np.ones(len(m))
    s = m.T @ multipliers
    p = np.where(inertia > 0, inertia, counts) / s

    mu, error = 1.0, 1.0
    for _ in range(300):
        target = counts + mu * inertia
        # p s = target, m p = masses and s = m^T multipliers, all linearised
        ratio, wanted = p / s, target / s
        lag = m.T @ multipliers - s
        change = solve_normal((m * ratio) @ m.T, m @ (wanted - ratio * lag) - masses)
        ds = m.T @ change + lag
        dp = wanted - p - ratio * ds
        step = min(1.0, 0.99 * _to_boundary(p, dp), 0.99 * _to_boundary(s, ds))
        p, s, multipliers = p + step * dp, s + step * ds, multipliers + step * change
        before, error = error, float(np.abs(p * s / target - 1.0).max())
        if mu > _LEAST_INERTIA:
            mu *= 0.1 if error < 0.5 else 1.0
        elif error < 1e-12 and error >= 0.25 * before:
            break
    decided = s > _SLACK
    found[kept] = np.where(decided, counts / np.where(decided, s, 1.0), p)
    return found


def _to_boundary(value: Array, change: Array) -> float:
    """The largest step at which no value is negative."""
    falling = change < 0
    return float((value[falling] / -change[falling]).min(initial=np.inf))
