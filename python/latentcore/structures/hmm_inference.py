"""What a hidden Markov model says of sequences: likelihoods, states, paths, and the states to come.

Functions of parameters and sequences, in the memory of the result and a block of rows. Sequences do not know of each
other, so that shards (``Sequences.shards``) may go to threads. Weights of sequences play no part. Known labels hold: a
state that is not the known one has density 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.errors import ImpossibleSequenceError
from latentcore.protocols import Array, RealArray
from latentcore.sequences import Sequences
from latentcore.structures import hmm_recursions as recursions
from latentcore.structures.hmm import HMM
from latentcore.structures.hmm_types import Chain, ExpectedHMM, HMMParams

__all__ = [
    "FilterState",
    "exit_law",
    "filter_start",
    "filter_update",
    "filtered",
    "forecast",
    "last_filtered",
    "log_likelihoods",
    "paths",
    "posterior_states",
    "posteriors",
    "sample_paths",
]

Params = HMMParams[Any] | ExpectedHMM[Any]


def log_likelihoods(model: HMM[Any, Any], params: Params, data: Sequences) -> Array:
    """(Q,) log-likelihoods of the sequences, nats; -inf for an impossible one."""
    return last_filtered(model, params, data)[0]


def last_filtered(model: HMM[Any, Any], params: Params, data: Sequences) -> tuple[Array, Array]:
    """(Q,) log-likelihoods, and the log-laws (Q, S) of the last states given all rows: where a forecast begins."""
    chain, log_density = _chain_and_density(model, params)
    log_likelihood = np.empty(data.n_sequences)
    log_laws = np.empty((data.n_sequences, chain.n_states))
    for block, value, laws in recursions.last_filtered(chain, log_density, data):
        log_likelihood[_sequences(block, data)] = value
        log_laws[_sequences(block, data)] = laws
    return log_likelihood, log_laws


def filtered(model: HMM[Any, Any], params: Params, data: Sequences) -> RealArray:
    """(N, S) laws of the states given the rows so far. NaN from where a sequence is impossible."""
    chain, log_density = _chain_and_density(model, params)
    out = np.empty((len(data), chain.n_states), data.x.dtype)
    for block, _, log_laws in recursions.filtered(chain, log_density, data):
        laws = np.exp(log_laws)
        with np.errstate(invalid="ignore"):
            laws /= laws.sum(axis=1, keepdims=True)
        out[_rows(block, data)] = laws
    return out


def posteriors(model: HMM[Any, Any], params: Params, data: Sequences) -> RealArray:
    """(N, S) laws of the states given all rows of their sequence; NaN in an impossible sequence."""
    chain, log_density = _chain_and_density(model, params)
    out = np.empty((len(data), chain.n_states), data.x.dtype)
    for found in recursions.smoothed(chain, log_density, replace(data, sample_weight=None)):
        out[_rows(found.data, data)] = found.posteriors
    return out


def posterior_states(
    model: HMM[Any, Any], params: Params, data: Sequences
) -> npt.NDArray[np.int32]:
    """(N,) the most probable state of each row given all rows of its sequence, the first of equals.

    In an impossible sequence they mean nothing.
    """
    chain, log_density = _chain_and_density(model, params)
    states = np.empty(len(data), np.int32)
    for found in recursions.smoothed(chain, log_density, replace(data, sample_weight=None)):
        states[_rows(found.data, data)] = found.posteriors.argmax(axis=1)
    return states


def paths(
    model: HMM[Any, Any], params: Params, data: Sequences
) -> tuple[npt.NDArray[np.int32], Array]:
    """The most probable path of each sequence, (N,), and the log joint densities (Q,) of sequences and paths, nats.

    An impossible sequence has the log joint density -inf, and a path that means nothing.
    """
    chain, log_density = _chain_and_density(model, params)
    states, log_joint = np.empty(len(data), np.int32), np.zeros(data.n_sequences)
    for found in recursions.decoded(chain, log_density, data):
        states[_rows(found.data, data)] = found.states
        log_joint[_sequences(found.data, data)] += found.log_joint
    return states, log_joint


def sample_paths(
    model: HMM[Any, Any],
    params: Params,
    data: Sequences,
    n_paths: int,
    rng: np.random.Generator | np.random.RandomState,
) -> npt.NDArray[np.int32]:
    """(n_paths, N) paths drawn from the posterior given all rows.

    Raises
    ------
    ImpossibleSequenceError
        A sequence has density 0.
    """
    chain, log_density = _chain_and_density(model, params)
    out = np.empty((n_paths, len(data)), np.int32)
    for block, drawn in recursions.sampled(chain, log_density, data, rng.random, n_paths):
        out[:, _rows(block, data)] = drawn
    return out


def exit_law(model: HMM[Any, Any], params: Params, data: Sequences) -> Array:
    """(S,): the log-law of the state of the last row, given the rows of its sequence; to be an ``entry`` of rows after.

    Of a ``hard`` model: the scores of the best paths to each state, less that of the best.
    """
    chain, log_density = _chain_and_density(model, params)
    last = data.part(data.n_sequences - 1, data.n_sequences)
    if model.hard:
        return recursions.scores_of_last(chain, log_density, last)
    [(_, _, [law])] = recursions.last_filtered(chain, log_density, last)
    exit_: Array = law
    return exit_


# -- row by row


@dataclass(frozen=True, slots=True)
class FilterState:
    """What a filter knows after some rows of one sequence.

    Attributes
    ----------
    log_law : (S,)
        Of the state of the last row, given all rows so far; of the first state, if there are none yet.
    log_likelihood : float
        Of the rows so far, nats.
    n_rows : int
    """

    log_law: Array
    log_likelihood: float = 0.0
    n_rows: int = 0


def filter_start(params: Params) -> FilterState:
    """Before the first row."""
    return FilterState(Chain.of(params).log_initial)


def filter_update(
    model: HMM[Any, Any], params: Params, state: FilterState, x: RealArray
) -> tuple[FilterState, Array]:
    """After the next rows ``x`` (n, D): the new state, and the log-laws (n, S) of the rows' states.

    Raises
    ------
    ImpossibleSequenceError
        A row has density 0 after those before; the old state remains good.
    """
    chain, log_density = _chain_and_density(model, params)
    if state.n_rows:
        chain = replace(chain, log_initial=chain.next(state.log_law))
    rows = Sequences(x, np.array([0, len(x)], np.int64))
    log_likelihood, log_laws = state.log_likelihood, []
    for _, value, laws in recursions.filtered(chain, log_density, rows):
        log_likelihood += float(value[0])
        log_laws.append(laws)
    try:
        recursions.check_possible(chain, log_density, rows, rows, np.array([log_likelihood]))
    except ImpossibleSequenceError as error:
        raise ImpossibleSequenceError(0, state.n_rows + error.step) from None
    laws = np.concatenate(log_laws)
    return FilterState(laws[-1], log_likelihood, state.n_rows + len(x)), laws


def forecast(params: HMMParams[Any], log_law: Array, steps: int) -> Array:
    """(steps, S) laws of the states of the next rows, after a row whose state has the log-law (S,)."""
    laws = np.empty((steps, len(log_law)))
    law = np.exp(log_law - np.logaddexp.reduce(log_law))
    for step in range(steps):
        law = law @ params.transition
        laws[step] = law
    return laws


# -- inside


def _chain_and_density(model: HMM[Any, Any], params: Params) -> tuple[Chain, recursions.LogDensity]:
    return Chain.of(params), lambda block: model.log_density(params, block)


def _rows(block: Sequences, data: Sequences) -> slice:
    begin = block.start - data.start
    return slice(begin, begin + len(block))


def _sequences(block: Sequences, data: Sequences) -> slice:
    first = block.first - data.first
    return slice(first, first + block.n_sequences)
