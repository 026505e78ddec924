"""Parameters, statistics, priors and chains of hidden Markov models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from latentcore import kernels
from latentcore.protocols import Array
from latentcore.statistics import Statistics

__all__ = ["Chain", "ExpectedHMM", "HMMParams", "HMMPrior", "HMMStatistics"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)
H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class HMMParams(Generic[P]):
    """The law of the first state (S,), the transition matrix (S, S), whose rows sum to one, and the emissions."""

    initial: Array
    transition: Array
    emissions: P


@dataclass(frozen=True, slots=True)
class ExpectedHMM(Generic[P]):
    """What takes the place of ``HMMParams`` in an E-step at expected log-densities.

    Attributes
    ----------
    log_initial : (S,)
    log_transition : (S, S)
        E log probability. Their exponentials sum to less than one, and stay as they are (Beal 2003, section 3.2).
    emissions : P
        As the family's ``expected`` makes them.
    """

    log_initial: Array
    log_transition: Array
    emissions: P


@dataclass(frozen=True, slots=True)
class HMMStatistics(Statistics, Generic[S]):
    """Expected counts of first states (S,), of transitions (S, S) and of states (S,), and the emissions' statistics."""

    starts: Array
    transitions: Array
    counts: Array
    emissions: S


@dataclass(frozen=True, slots=True)
class HMMPrior(Generic[H]):
    """Independent Dirichlets, and the conjugate prior of the emissions; posteriors alike.

    Attributes
    ----------
    initial : (S,)
        Alpha of the law of the first state; 0 where a first state is forbidden.
    transition : (S, S)
        Alpha of the rows of the transition matrix; 0 where a transition is forbidden.
    emissions : H
    """

    initial: Array
    transition: Array
    emissions: H

    def __post_init__(self) -> None:
        n_states = np.shape(self.initial)[0] if np.ndim(self.initial) == 1 else 0
        for name, shape in (("initial", (n_states,)), ("transition", (n_states, n_states))):
            alpha = np.ascontiguousarray(getattr(self, name), np.float64)
            if not n_states or alpha.shape != shape:
                wanted = "(S,)" if name == "initial" else f"{shape}"
                raise ValueError(f"{name}: expected shape {wanted}, got {alpha.shape}")
            wrong = ~((alpha >= 0) & (alpha < np.inf))
            if wrong.any():
                raise ValueError(f"{name}: expected finite numbers >= 0, got {alpha[wrong][0]}")
            if not alpha.any(axis=-1).all():
                raise ValueError(f"{name}: expected a positive alpha in every row, got only zeros")
            object.__setattr__(self, name, alpha)


@dataclass(frozen=True, slots=True)
class Chain:
    """The Markov chain in logarithms, as the kernels take it; rows need not sum to one."""

    log_initial: Array
    log_transition: Array

    @classmethod
    def of(cls, params: HMMParams[Any] | ExpectedHMM[Any]) -> Chain:
        if isinstance(params, ExpectedHMM):
            return cls(params.log_initial, params.log_transition)
        return cls(kernels.log(params.initial), kernels.log(params.transition))

    @property
    def n_states(self) -> int:
        return len(self.log_initial)

    def next(self, log_law: Array) -> Array:
        """The log-law of the next state, (S,), from that of a state; unnormalised alike."""
        return kernels.logsumexp(np.ascontiguousarray((log_law[:, None] + self.log_transition).T))

    def before(self, log_message: Array) -> Array:
        """What a message (S,) about the next state says of a state: ``log sum_j transition_ij message_j``."""
        return kernels.logsumexp(self.log_transition + log_message)
