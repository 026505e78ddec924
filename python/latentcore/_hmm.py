"""Forward-backward and its kin over rows of log-densities, in log space."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

_tiny = -np.inf


def _lse(a: Any, axis: int) -> Any:
    top = np.max(a, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(a - top).sum(axis=axis)) + np.squeeze(top, axis=axis)


def _forward(b: Any, log_initial: Any, log_a: Any) -> Any:
    out = np.empty(b.shape, np.float64)
    total, alpha = 0.0, log_initial + b[0]
    for t in range(len(b)):
        if t:
            alpha = _lse(out[t - 1][:, None] + log_a, 0) + b[t]
        scale = _lse(alpha, 0)
        total += scale
        out[t] = alpha - (scale if np.isfinite(scale) else 0.0)
    return total, out


def hmm_log_likelihood(log_density: Any, begins: Any, log_initial: Any, log_transition: Any) -> Any:
    log_likelihood, log_filtered = hmm_forward(log_density, begins, log_initial, log_transition)
    return log_likelihood, np.ascontiguousarray(log_filtered[begins[1:] - 1])


def hmm_forward(log_density: Any, begins: Any, log_initial: Any, log_transition: Any) -> Any:
    parts = [
        _forward(log_density[a:b], log_initial, log_transition)
        for a, b in itertools.pairwise(begins)
    ]
    return np.array([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def hmm_forward_backward(
    log_density: Any,
    begins: Any,
    log_initial: Any,
    log_transition: Any,
    weights: Any = None,
    log_future: Any = None,
) -> Any:
    n_states = len(log_initial)
    q = len(begins) - 1
    log_likelihood, posteriors = np.empty(q), np.empty(log_density.shape, log_density.dtype)
    transitions, messages = np.zeros((n_states, n_states)), np.empty((q, n_states))
    for i in range(q):
        b = log_density[begins[i] : begins[i + 1]].astype(np.float64)
        w = 1.0 if weights is None else weights[i]
        log_likelihood[i], alpha = _forward(b, log_initial, log_transition)
        beta = np.zeros(n_states) if log_future is None else log_future
        if not np.isfinite(log_likelihood[i]):
            posteriors[begins[i] : begins[i + 1]] = np.nan
            messages[i] = np.nan
            continue
        for t in range(len(b) - 1, -1, -1):
            gamma = alpha[t] + beta
            posteriors[begins[i] + t] = w * np.exp(gamma - _lse(gamma, 0))
            message = b[t] + beta
            message = message - np.max(message)
            if t:
                xi = alpha[t - 1][:, None] + log_transition + message
                transitions += w * np.exp(xi - _lse(xi.ravel(), 0))
                beta = _lse(log_transition + message, 1)
        messages[i] = message
    return log_likelihood, posteriors, transitions, messages


def hmm_viterbi(
    log_density: Any, begins: Any, log_initial: Any, log_transition: Any, end_state: int = -1
) -> Any:
    q = len(begins) - 1
    states = np.empty(len(log_density), np.int32)
    log_joint, scores = np.empty(q), np.empty((q, len(log_initial)))
    for i in range(q):
        b = log_density[begins[i] : begins[i + 1]]
        delta, back = log_initial + b[0], []
        for t in range(1, len(b)):
            step = delta[:, None] + log_transition
            back.append(step.argmax(0))
            delta = step.max(0) + b[t]
        state = int(delta.argmax()) if end_state < 0 else end_state
        log_joint[i], scores[i] = delta[state], delta
        states[begins[i + 1] - 1] = state
        for t in range(len(b) - 2, -1, -1):
            state = back[t][state]
            states[begins[i] + t] = state
    return states, log_joint, scores


def hmm_sample(log_filtered: Any, begins: Any, log_transition: Any, uniforms: Any) -> Any:
    states = np.empty(uniforms.shape, np.int32)
    for p in range(len(uniforms)):
        for i in range(len(begins) - 1):
            for t in range(begins[i + 1] - 1, begins[i] - 1, -1):
                w = (
                    log_filtered[t]
                    if t == begins[i + 1] - 1
                    else log_filtered[t] + log_transition[:, states[p, t + 1]]
                )
                c = np.cumsum(np.exp(w - w.max()))
                states[p, t] = min(
                    int(np.searchsorted(c, uniforms[p, t] * c[-1], side="right")), len(w) - 1
                )
    return states
