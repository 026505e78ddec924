"""Hidden Markov models the slow way: in log space with NumPy, in fifty digits, and by enumeration of all paths."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Of one sequence: T rows, S states."""

    log_likelihood: float
    log_filtered: Array  # (T, S)
    posteriors: Array  # (T, S)
    transitions: Array  # (S, S)
    log_message: Array  # (S,)


def logsumexp(a: Array, axis: int) -> Array:
    top = np.max(a, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(a - top).sum(axis=axis)) + np.squeeze(top, axis=axis)


def forward(b: Array, log_initial: Array, log_transition: Array) -> tuple[float, Array]:
    """Log-likelihood and filtered states; from an impossible row on all are -inf."""
    filtered = np.full(b.shape, -np.inf)
    total, alpha = 0.0, log_initial + b[0]
    for t in range(len(b)):
        if t:
            alpha = logsumexp(filtered[t - 1][:, None] + log_transition, 0) + b[t]
        scale = float(logsumexp(alpha, 0))
        total += scale
        if not np.isfinite(scale):
            break
        filtered[t] = alpha - scale
    return total, filtered


def answers(
    b: Array, log_initial: Array, log_transition: Array, log_future: Array | None = None
) -> Answers:
    """In log space; -inf and NaN as the kernels have it."""
    b = b.astype(np.float64)
    log_likelihood, filtered = forward(b, log_initial, log_transition)
    beta = np.zeros(len(log_initial)) if log_future is None else log_future
    posteriors, transitions = np.full(b.shape, np.nan), np.zeros(log_transition.shape)
    message = np.full(len(log_initial), np.nan)
    if not np.isfinite(log_likelihood) or not np.isfinite(logsumexp(filtered[-1] + beta, 0)):
        return Answers(log_likelihood, filtered, posteriors, transitions, message)
    for t in range(len(b) - 1, -1, -1):
        joint = filtered[t] + beta
        posteriors[t] = np.exp(joint - logsumexp(joint, 0))
        message = b[t] + beta
        message = message - np.max(message)
        if t:
            pairs = filtered[t - 1][:, None] + log_transition + message
            transitions += np.exp(pairs - logsumexp(pairs.ravel(), 0))
            beta = logsumexp(log_transition + message, 1)
    return Answers(log_likelihood, filtered, posteriors, transitions, message)


_exp: Callable[[Any], Any] = np.vectorize(lambda x: mpmath.exp(float(x)), otypes=[object])
_log: Callable[[Any], Any] = np.vectorize(lambda x: float(mpmath.log(x)) if x else -np.inf)


def exact(
    b: Array, log_initial: Array, log_transition: Array, log_future: Array | None = None
) -> Answers:
    """The recursions as they stand, unscaled, in fifty digits with unbounded exponents. For possible sequences."""
    with mpmath.workdps(50):
        density, initial, transition = _exp(b), _exp(log_initial), _exp(log_transition)
        n = len(b)
        alpha, beta = [initial * density[0]], [np.full(len(initial), mpmath.mpf(1), dtype=object)]
        if log_future is not None:
            beta = [_exp(log_future)]
        for t in range(1, n):
            alpha.append(alpha[-1].dot(transition) * density[t])
            beta.append(transition.dot(density[n - t] * beta[-1]))
        beta.reverse()
        total = (alpha[-1] * beta[-1]).sum()
        posteriors = np.array([a * c / total for a, c in zip(alpha, beta, strict=True)])
        transitions = np.zeros(transition.shape, dtype=object)
        for t in range(1, n):
            transitions += np.outer(alpha[t - 1], density[t] * beta[t]) * transition / total
        message = density[0] * beta[0]
        return Answers(
            float(mpmath.log(alpha[-1].sum())),
            np.array([_log(a / a.sum()) for a in alpha]),
            posteriors.astype(np.float64),
            transitions.astype(np.float64),
            _log(message / max(message)),
        )


def paths(
    b: Array, log_initial: Array, log_transition: Array
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Every path with its log joint density."""
    for path in itertools.product(range(len(log_initial)), repeat=len(b)):
        value = log_initial[path[0]] + b[0, path[0]]
        for t in range(1, len(b)):
            value += log_transition[path[t - 1], path[t]] + b[t, path[t]]
        yield path, float(value)


def viterbi(
    b: Array, log_initial: Array, log_transition: Array, end_state: int = -1
) -> tuple[npt.NDArray[np.int32], float, Array]:
    """The best path, the lowest index among equals; its log joint density; the scores of the last row."""
    delta, back = log_initial + b[0], []
    for t in range(1, len(b)):
        step = delta[:, None] + log_transition
        back.append(step.argmax(0))
        delta = step.max(0) + b[t]
    state = int(delta.argmax()) if end_state < 0 else end_state
    path, log_joint = [state], float(delta[state])
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    return np.array(path[::-1], np.int32), log_joint, delta


def sample(log_filtered: Array, log_transition: Array, uniforms: Array) -> npt.NDArray[np.int32]:
    """One path, from the last row to the first."""
    states = np.empty(len(log_filtered), np.int32)
    for t in range(len(log_filtered) - 1, -1, -1):
        w = log_filtered[t].copy()
        if t + 1 < len(log_filtered):
            w += log_transition[:, states[t + 1]]
        cumulative = np.cumsum(np.exp(w - w.max()))
        states[t] = np.searchsorted(cumulative, uniforms[t] * cumulative[-1], side="right")
    return states
