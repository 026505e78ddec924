"""Where the fits of a hidden Markov model begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from latentcore.arrays import Rows
from latentcore.estimators.starts import InitParams
from latentcore.initialization import Everywhere, initial_statistics
from latentcore.protocols import Array
from latentcore.structures.chains import stationary_distribution
from latentcore.structures.hmm import HMM, HMMParams, HMMPrior
from latentcore.structures.mixture import MixtureStatistics
from latentcore.structures.topology import Topology

__all__ = ["HMMStart", "ToBegin", "begun", "initial_emissions"]

P = TypeVar("P")


class ToBegin(Protocol):
    """Sequences that a fit may begin with, or a sample of their rows."""

    @property
    def n_features(self) -> int: ...

    def rows(self) -> Rows:
        """The rows, as if they were independent."""

    def in_equal_parts(self, n_parts: int, /) -> Rows:
        """The same with labels; see ``Sequences.in_equal_parts``."""


@dataclass
class HMMStart(Generic[P]):
    """Starts, one after another: an earlier fit, or what the user gives and a method for the rest.

    Attributes
    ----------
    initial, transition :
        As given by the user, checked, or None.
    emissions : made -> parameters
        Puts what the user gives into the place of what is made, if it is called.
    prior : HMMPrior, optional
        The first emissions are then the mode of the posterior.
    warm : HMMParams, optional
        Parameters of an earlier fit; then nothing else counts.
    everywhere : Everywhere, optional
        What goes over all rows, where ``data`` has a sample.
    """

    model: HMM[P, Any]
    data: ToBegin
    n_states: int
    method: InitParams
    random_state: np.random.RandomState | np.random.Generator
    initial: Array | None
    transition: Array | None
    emissions: Callable[[Callable[[], P]], P]
    prior: HMMPrior[Any] | None
    warm: HMMParams[P] | None
    n_threads: int
    everywhere: Everywhere | None = None

    def next(self) -> HMMParams[P]:
        """The next start.

        Raises
        ------
        NumericalError
            The emissions of a state have collapsed.
        """
        if self.warm is not None:
            return self.warm
        initial, transition = begun(
            self.model.topology, self.n_states, self.initial, self.transition
        )
        emissions = self.emissions(lambda: self._made_emissions(transition))
        if self.method == "random":
            initial, transition = self._drawn_chain(initial, transition)
        return HMMParams(initial, transition, emissions)

    def _made_emissions(self, transition: Array) -> P:
        stats = initial_emissions(
            self.model.family, self._rows(transition), self.n_states, self.method,
            self.random_state, allow_repeats=self.prior is not None, n_threads=self.n_threads,
            everywhere=self.everywhere,
        ).components  # fmt: skip
        family: Any = self.model.family
        made: P
        if self.prior is None:
            made = family.maximize(stats, None)
        else:
            made = family.mode(family.update(self.prior.emissions, stats), None)
        return made

    def _rows(self, transition: Array) -> Rows:
        """All rows. Clusters of them come in any order; so where the chain never goes back, sequences are cut into
        equal parts instead, one for each state (Rabiner 1989, section V.C), unless a state would begin on too few.
        """
        if self.method in ("random", "random_from_data") or not _never_goes_back(transition):
            return self.data.rows()
        rows = self.data.in_equal_parts(self.n_states)
        assert rows.labels is not None
        enough = np.bincount(rows.labels, minlength=self.n_states).min() > rows.x.shape[1]
        return rows if enough else self.data.rows()

    def _drawn_chain(self, initial: Array, transition: Array) -> tuple[Array, Array]:
        """Laws drawn at random, as far as neither the user nor the topology says what they are."""
        topology, given = (
            self.model.topology,
            (self.initial is not None, self.transition is not None),
        )
        if topology.start == "stationary" and any(given):
            return initial, transition
        draw = self.random_state.standard_exponential  # normalised: a flat Dirichlet
        drawn = topology.maximize(
            draw(len(initial)) * (initial > 0),
            draw(transition.shape) * (transition > 0),
            (initial, transition),
        )
        return initial if given[0] else drawn[0], transition if given[1] else drawn[1]


def initial_emissions(
    family: Any,
    rows: Rows,
    n_states: int,
    method: InitParams,
    random_state: Any,
    *,
    allow_repeats: bool,
    n_threads: int,
    everywhere: Everywhere | None = None,
) -> MixtureStatistics[Any]:
    """Statistics of states to begin with, of rows as if they were independent; "random" draws a row for each."""
    return initial_statistics(
        family, rows, n_states, "random_from_data" if method == "random" else method,
        random_state, allow_repeats=allow_repeats, n_threads=n_threads, everywhere=everywhere,
    )  # fmt: skip


def _never_goes_back(transition: Array) -> bool:
    return bool(np.triu(transition, 1).any()) and not np.tril(transition, -1).any()


def begun(
    topology: Topology, n_states: int, initial: Array | None, transition: Array | None
) -> tuple[Array, Array]:
    """The chain that a fit begins with: what is given, else what the topology begins with.

    Raises
    ------
    ValueError
        The topology forbids what is given.
    """
    law, matrix = topology.initial(n_states)
    if transition is not None:
        matrix = transition
        if topology.start == "stationary":
            law = stationary_distribution(matrix)
    if initial is not None:
        law = initial
    topology.check_law(law, matrix)
    return law, matrix
