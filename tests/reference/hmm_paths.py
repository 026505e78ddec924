"""Hidden Markov models of a few rows by enumeration of all paths of states."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Enumerated:
    """One sequence of T rows.

    Attributes
    ----------
    paths : (S^T, T)
        In lexicographic order.
    log_joint : (S^T,)
        Of the rows and each path.
    """

    paths: npt.NDArray[np.int64]
    log_joint: Array
    n_states: int

    @property
    def log_likelihood(self) -> float:
        return float(np.logaddexp.reduce(self.log_joint))

    @property
    def probabilities(self) -> Array:
        return np.exp(self.log_joint - self.log_likelihood)

    @property
    def posteriors(self) -> Array:
        """(T, S)."""
        return np.einsum("p,pts->ts", self.probabilities, np.eye(self.n_states)[self.paths])

    @property
    def transitions(self) -> Array:
        """(S, S): expected counts."""
        one_hot = np.eye(self.n_states)[self.paths]
        return np.einsum("p,pti,ptj->ij", self.probabilities, one_hot[:, :-1], one_hot[:, 1:])

    @property
    def best(self) -> tuple[npt.NDArray[np.int64], float]:
        """The most probable path; of equals the one with the lowest last state, then the lowest before, and so on."""
        order = np.lexsort((*self.paths.T, -np.round(self.log_joint, 9)))
        return self.paths[order[0]], float(self.log_joint[order[0]])


def enumerated(initial: Any, transition: Any, log_density: Array) -> Enumerated:
    """Laws need not sum to one."""
    n_rows, n_states = log_density.shape
    paths = np.array(list(itertools.product(range(n_states), repeat=n_rows)))
    with np.errstate(divide="ignore"):
        log_initial, log_transition = np.log(initial), np.log(transition)
    log_joint = log_initial[paths[:, 0]] + log_density[np.arange(n_rows), paths].sum(axis=1)
    log_joint += log_transition[paths[:, :-1], paths[:, 1:]].sum(axis=1)
    return Enumerated(paths, log_joint, n_states)
