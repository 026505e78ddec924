"""What is known of a chain's transitions and of its start: which entries are free, and how counts become laws."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from latentcore.protocols import Array
from latentcore.structures.chains import closed_classes, stationary_distribution
from latentcore.structures.stationary import maximize_stationary
from latentcore.structures.tied_rows import InfeasibleError, TiedRows

__all__ = ["Start", "Topology"]

Start = Literal["free", "fixed", "stationary"]

_TOLERANCE = 1e-8
"""Of sums that are to be one, and of given probabilities."""


@dataclass(frozen=True, eq=False)
class Topology:
    """What is free in a hidden Markov chain of S states; by default all.

    Probabilities that are 0 where a fit starts stay 0 without being named here, unless a prior revives them. What is
    forbidden here has probability 0 always.

    Parameters
    ----------
    mask : (S, S) bool, optional
        Transitions that are allowed.
    start_mask : (S,) bool, optional
        States in which a sequence may start.
    fixed_transitions : (S, S), optional
        Given probabilities, and NaN where they are free. The free ones share what the given ones leave of their row.
    fixed_start : (S,), optional
        The same for the law of the first state.
    ties : (S, S) int, optional
        Transitions with the same number >= 0 have the same probability; -1 is for those that have their own. A tie to
        a given probability gives it.
    start : {"free", "fixed", "stationary"}
        Whether a fit estimates the law of the first state, keeps that with which it starts, or has the stationary law
        of the transition matrix, estimated with it.

    Raises
    ------
    ValueError
        No transition matrix is like that.

    Examples
    --------
    A chain that never goes back, and one that stays equally long in each of its states:

    >>> from latentcore import Topology
    >>> Topology.left_to_right(3).initial(3)[1]
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5],
           [0. , 0. , 1. ]])
    >>> Topology.ergodic(4, equal_stays=True).n_parameters(4)
    12
    """

    mask: npt.NDArray[np.bool_] | None = None
    start_mask: npt.NDArray[np.bool_] | None = None
    fixed_transitions: Array | None = None
    fixed_start: Array | None = None
    ties: npt.NDArray[np.intp] | None = None
    start: Start = "free"

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _array(name, value, dtype))
        self._check_shapes()
        if self.start not in get_args(Start):
            raise ValueError(f"start: expected 'free', 'fixed' or 'stationary', got {self.start!r}")
        if self.start == "stationary":
            for name in ("start_mask", "fixed_start"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name}: expected None with start='stationary', which leaves the first state no law of its "
                        "own, got an array"
                    )
        if self.n_states is not None:
            self._check_chain(self.n_states)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topology) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    # -- common kinds

    @classmethod
    def ergodic(
        cls, n_states: int, *, equal_stays: bool = False, start: Start = "free"
    ) -> Topology:
        """Every state follows every other.

        Parameters
        ----------
        n_states : int
        equal_stays : bool
            All states are kept with the same probability.
        start : {"free", "fixed", "stationary"}
        """
        return cls._of(np.ones((n_states, n_states), np.bool_), equal_stays, start=start)

    @classmethod
    def banded(
        cls, n_states: int, width: int = 1, *, equal_stays: bool = False, start: Start = "free"
    ) -> Topology:
        """The next state is at most ``width`` before or behind."""
        return cls._of(np.abs(_offsets(n_states)) <= width, equal_stays, start=start)

    @classmethod
    def cyclic(
        cls, n_states: int, max_step: int = 1, *, equal_stays: bool = False, start: Start = "free"
    ) -> Topology:
        """A state stays or goes on by at most ``max_step``; the first follows the last."""
        return cls._of(_offsets(n_states) % n_states <= max_step, equal_stays, start=start)

    @classmethod
    def left_to_right(
        cls, n_states: int, max_step: int = 1, *, first: bool = True, equal_stays: bool = False
    ) -> Topology:
        """A state stays or goes on by at most ``max_step``, never back; the last stays (Bakis 1976).

        Parameters
        ----------
        n_states : int
        max_step : int
            2 may leave out a state.
        first : bool
            Sequences start in the first state. Otherwise in any.
        equal_stays : bool
            All states but the last are kept with the same probability.
        """
        offsets = _offsets(n_states)
        start_mask = np.arange(n_states) == 0 if first else None
        return cls._of((offsets >= 0) & (offsets <= max_step), equal_stays, start_mask=start_mask)

    # -- what estimators ask

    @cached_property
    def n_states(self) -> int | None:
        """S; None if any number will do."""
        given = [getattr(self, name) for name in _DTYPES if getattr(self, name) is not None]
        return len(given[0]) if given else None

    @property
    def only_masks(self) -> bool:
        """Zeros are all that is asked for, so that rows are free Dirichlets of what is allowed."""
        others = (self.fixed_transitions, self.fixed_start, self.ties)
        return self.start == "free" and all(value is None for value in others)

    @cached_property
    def with_start_kept(self) -> Topology:
        """The same, but for a law of the first state that fits keep."""
        return replace(self, start="fixed")

    def check(self, n_states: int) -> None:
        """Raise ``ValueError`` unless a chain of ``n_states`` states can be so."""
        if self.n_states not in (None, n_states):
            raise ValueError(
                f"topology: expected one of {n_states} states, got one of {self.n_states}"
            )

    def check_law(self, initial: Array | None, transition: Array | None) -> None:
        """Raise ``ValueError`` unless an initial law (S,) and a transition matrix (S, S), as far as given, are so.

        ``project`` makes them so.
        """
        for name, law in (("startprob", initial), ("transmat", transition)):
            if law is None:
                continue
            self.check(len(law))
            rows = self._start_rows(len(law)) if name == "startprob" else self._rows(len(law))
            if rows.all_free:
                continue
            law = np.atleast_2d(law)
            wrong = ~rows.free & (np.abs(law - rows.given) > _TOLERANCE)
            if rows.groups is not None:
                wrong |= np.abs(law - rows.equalised(law)) > _TOLERANCE
            if wrong.any():
                at = tuple(int(i) for i in np.argwhere(wrong)[0])
                expected = (
                    "an entry like those that are tied to it" if rows.free[at] else rows.given[at]
                )
                place = at[1] if name == "startprob" else at
                raise ValueError(
                    f"{name}: expected {expected} at {place}, by the topology, got {law[at]}"
                )
        if self.start == "stationary" and initial is not None and transition is not None:
            kept = stationary_distribution(transition)
            if not np.allclose(initial, kept, rtol=0, atol=1e-6):
                raise ValueError(
                    f"startprob: expected the stationary law of transmat, {kept}, by the topology, got {initial}"
                )

    def allowed(self, n_states: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """(S,) and (S, S): where the initial law and the transition matrix may be positive."""
        self.check(n_states)
        rows = self._rows(n_states)
        transitions = rows.free | (rows.given > 0)
        if self.start == "stationary":
            return np.isin(np.arange(n_states), closed_classes(transitions)[0]), transitions
        start = self._start_rows(n_states)
        return start.free[0] | (start.given[0] > 0), transitions

    def initial(self, n_states: int) -> tuple[Array, Array]:
        """The most uniform initial law (S,) and transition matrix (S, S)."""
        self.check(n_states)
        transition = self._rows(n_states).initial()
        if self.start == "stationary":
            return stationary_distribution(transition), transition
        return self._start_rows(n_states).initial()[0], transition

    def project(self, initial: Array, transition: Array) -> tuple[Array, Array]:
        """The law and the matrix that are nearest to given ones, in the sense of ``KL(given || .)``."""
        start_rows, rows = self._start_rows(len(initial)), self._rows(len(initial))
        matrix = rows.maximize(transition, None)
        if self.start == "stationary":
            return stationary_distribution(matrix), matrix
        return start_rows.maximize(initial[None], None)[0], matrix

    def n_parameters(self, n_states: int) -> int:
        """The number of free parameters of the chain."""
        self.check(n_states)
        start = self._start_rows(n_states).n_parameters() if self.start == "free" else 0
        return start + self._rows(n_states).n_parameters()

    def maximize(
        self, starts: Array, transitions: Array, previous: tuple[Array, Array] | None = None
    ) -> tuple[Array, Array]:
        """The initial law (S,) and the transition matrix (S, S) of largest expected log-likelihood.

        Of largest posterior density, if counts are expected counts + alpha - 1 of Dirichlet priors. With a stationary
        start the initial law's prior is a factor of the matrix's.

        Parameters
        ----------
        starts : (S,)
            Expected counts of first states.
        transitions : (S, S)
            Expected counts of transitions. Counts of what is forbidden or given do not matter, negative ones are 0.
        previous : initial law and transition matrix, optional
            They serve rows without counts, are what a fixed start keeps, and where the search for a stationary one
            begins. By default ``initial(S)``.
        """
        n_states = len(starts)
        self.check(n_states)
        law, matrix = self.initial(n_states) if previous is None else previous
        starts, transitions = np.maximum(starts, 0.0), np.maximum(transitions, 0.0)
        rows = self._rows(n_states)
        if self.start == "stationary":
            matrix = maximize_stationary(rows, starts, transitions, matrix)
            return stationary_distribution(matrix), matrix
        if self.start == "free":
            law = self._start_rows(n_states).maximize(starts[None], law[None])[0]
        return law, rows.maximize(transitions, matrix)

    # -- inside

    @classmethod
    def _of(cls, mask: npt.NDArray[np.bool_], equal_stays: bool, **others: Any) -> Topology:
        if not equal_stays:
            return cls(mask, **others)
        several = mask.sum(axis=1) > 1
        return cls(mask, ties=np.where(np.diag(several & mask.diagonal()), 0, -1), **others)

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(v.tobytes() if isinstance(v, np.ndarray) else v for v in values)

    @cached_property
    def _known_rows(self) -> dict[int, TiedRows]:
        """By number of states."""
        return {}

    @cached_property
    def _known_starts(self) -> dict[int, TiedRows]:
        return {}

    def _rows(self, n_states: int) -> TiedRows:
        """Of the transition matrix."""
        known = self._known_rows.get(n_states)
        if known is None:
            shape = (n_states, n_states)
            known = _tied_rows(shape, self.mask, self.fixed_transitions, self.ties)
            self._known_rows[n_states] = known
        return known

    def _start_rows(self, n_states: int) -> TiedRows:
        """Of the initial law, as a matrix of one row."""
        known = self._known_starts.get(n_states)
        if known is None:
            mask = None if self.start_mask is None else self.start_mask[None]
            given = None if self.fixed_start is None else self.fixed_start[None]
            known = _tied_rows((1, n_states), mask, given, None)
            self._known_starts[n_states] = known
        return known

    def _check_shapes(self) -> None:
        n_states = self.n_states
        for name in _DTYPES:
            value = getattr(self, name)
            if value is not None:
                expected = (n_states,) * (1 if name in ("start_mask", "fixed_start") else 2)
                if value.shape != expected or not n_states:
                    raise ValueError(f"{name}: expected shape {expected}, got {value.shape}")

    def _check_chain(self, n_states: int) -> None:
        for name in ("fixed_transitions", "fixed_start"):
            _check_probabilities(name, getattr(self, name))
        _check_mask("fixed_start", self.fixed_start, self.start_mask)
        _check_mask("fixed_transitions", self.fixed_transitions, self.mask)
        if self.ties is not None:
            _check_ties(self.ties, self.mask, self.fixed_transitions)
        _check_sums("fixed_start", self._start_rows(n_states))
        rows = self._rows(n_states)
        _check_sums("fixed_transitions", rows)
        if self.ties is not None:
            try:
                rows.initial()
            except InfeasibleError as error:
                raise ValueError(f"ties: {error}") from None
        if self.start == "stationary":
            classes = closed_classes(rows.free | (rows.given > 0))
            if len(classes) > 1:
                raise ValueError(
                    "mask: expected one closed class of states with start='stationary', "
                    f"got {len(classes)}: {', '.join(str(states.tolist()) for states in classes)}"
                )


_DTYPES: dict[str, type] = {
    "mask": np.bool_, "start_mask": np.bool_, "fixed_transitions": np.float64, "fixed_start": np.float64,
    "ties": np.intp,
}  # fmt: skip


def _array(name: str, value: Any, dtype: type) -> npt.NDArray[Any]:
    """A copy that nobody changes, of the dtype, without a change of values."""
    given = np.asarray(value)
    if given.dtype.kind not in "biuf":
        raise ValueError(f"{name}: expected an array of {_KINDS[dtype]}, got {value!r}")
    array: npt.NDArray[Any] = given.astype(dtype)
    if not np.array_equal(array, given, equal_nan=True):
        raise ValueError(f"{name}: expected an array of {_KINDS[dtype]}, got {value!r}")
    array.flags.writeable = False
    return array


_KINDS = {np.bool_: "True and False", np.float64: "numbers", np.intp: "integers"}


def _offsets(n_states: int) -> npt.NDArray[np.intp]:
    """(S, S): how far the next state is behind this one."""
    states = np.arange(n_states)
    return states - states[:, None]


def _tied_rows(
    shape: tuple[int, int],
    mask: npt.NDArray[np.bool_] | None,
    fixed: Array | None,
    ties: npt.NDArray[np.intp] | None,
) -> TiedRows:
    given = np.full(shape, np.nan) if fixed is None else fixed.copy()
    if ties is not None:
        for number in np.unique(ties[(ties >= 0) & ~np.isnan(given)]):
            tied = ties == number
            given[tied] = np.nanmax(given[tied])
    if mask is not None:
        given[~mask] = 0.0
    free = np.isnan(given)
    groups = None if ties is None else np.where(free, ties, -1)
    return TiedRows(free, np.where(free, 0.0, given), groups)


def _place(at: npt.NDArray[np.intp]) -> str:
    """Of an entry, as its array is indexed."""
    return f"[{', '.join(map(str, at))}]"


def _check_probabilities(name: str, fixed: Array | None) -> None:
    if fixed is None:
        return
    wrong = np.argwhere((fixed < 0) | (fixed > 1 + _TOLERANCE))
    if len(wrong):
        raise ValueError(
            f"{name}: expected probabilities from 0 to 1, or NaN where they are free, got "
            f"{fixed[tuple(wrong[0])]} at {_place(wrong[0])}"
        )


def _check_mask(name: str, fixed: Array | None, mask: npt.NDArray[np.bool_] | None) -> None:
    if fixed is None or mask is None:
        return
    wrong = np.argwhere(~mask & (fixed > 0))
    if len(wrong):
        raise ValueError(
            f"{name}: expected 0 or NaN where the mask forbids, got {fixed[tuple(wrong[0])]} at {_place(wrong[0])}"
        )


def _check_ties(
    ties: npt.NDArray[np.intp], mask: npt.NDArray[np.bool_] | None, fixed: Array | None
) -> None:
    """Entries of a tie are allowed or forbidden together, and given no different values."""
    for number in np.unique(ties[ties >= 0]):
        tied = ties == number
        if mask is not None and 0 < mask[tied].sum() < tied.sum():
            raise ValueError(
                f"ties: expected entries that the mask allows or forbids together, got {number} on both kinds"
            )
        if fixed is not None:
            values = fixed[tied & ~np.isnan(fixed)]
            if len(values) and np.ptp(values) > _TOLERANCE:
                raise ValueError(
                    f"ties: expected equal fixed_transitions where entries are tied, got {np.unique(values)} "
                    f"for {number}"
                )


def _check_sums(name: str, rows: TiedRows) -> None:
    for row, (free, given) in enumerate(zip(rows.free, rows.given, strict=True)):
        where = "" if len(rows.free) == 1 else f" in row {row}"
        total = given.sum()
        if not free.any() and not given.any():
            mask = "start_mask" if len(rows.free) == 1 else "mask"
            raise ValueError(f"{mask}: expected an allowed state{where}, got none")
        if not free.any() and abs(total - 1.0) > _TOLERANCE:
            raise ValueError(f"{name}: expected a sum of 1{where}, got {total}")
        if free.any() and total > 1.0 - 1e-12:
            raise ValueError(
                f"{name}: expected a sum below 1{where}, which has free entries, got {total}; fix them to 0"
            )
