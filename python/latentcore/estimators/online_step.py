"""A step of an estimator in a stream, by whatever rule its options name."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from latentcore.estimators.online import Online, Stream
from latentcore.protocols import Expectation
from latentcore.rules.auto_step import AutoOnlineEM, AutoState
from latentcore.rules.online import Batch, FiniteSample, OnlineEM, OnlineInfo, OnlineState
from latentcore.rules.steps import ConstantStep, rho_of

__all__ = ["Stepped", "stepped"]

_FEWEST_DRAWS, _MOST_DRAWS = 100, 100_000


class Stepped(NamedTuple):
    """The parameters to show, where the stream is, and what the step says."""

    params: Any
    stream: Stream
    info: OnlineInfo


def stepped(
    online: Online,
    model: Any,
    prior: Any,
    total_weight: float | None,
    params: Any,
    stream: Stream,
    expectation: Expectation[Any, Any],
    batch: Batch,
) -> Stepped:
    """A step from ``params``, unless the stream has an iterate of its own."""
    rule: OnlineEM[Any, Any] = OnlineEM(
        model,
        inertia=online.inertia_of_rows(),
        prior=prior,
        total_weight=total_weight,
        averaging=online.averaging,
    )
    if online.step_size == "auto":
        return _automatic_step(rule, params, stream, expectation, batch)
    eta = online.schedule()(stream.n_steps + 1)
    state = _state(rule, params if stream.iterate is None else stream.iterate, stream)
    if not _has_closed_form(model):
        rule, state = _by_draws(rule, state, batch, eta)
    rule = replace(rule, step_size=ConstantStep(eta))
    state, info = rule.step(state, expectation, batch)
    return Stepped(rule.averaged(state), _stream(state, info, state.params), info)


def _automatic_step(
    rule: OnlineEM[Any, Any],
    params: Any,
    stream: Stream,
    expectation: Expectation[Any, Any],
    batch: Batch,
) -> Stepped:
    auto: AutoOnlineEM[Any, Any] = AutoOnlineEM(rule)
    state = stream.auto
    if state is None:  # as if the steps so far had been eta = 1/t
        eta = auto.eta if stream.n_steps == 0 else 1.0 / stream.n_steps
        start = _state(rule, params, stream)
        state = AutoState(start, start, eta if stream.eta is None else stream.eta)
    if not _has_closed_form(rule.model):
        drawn = _inertia_by_draws(batch, state.eta)
        auto = AutoOnlineEM(replace(rule, inertia=drawn))
    state, info = auto.step(state, expectation, batch)
    after = replace(_stream(state.leader, info, None), auto=state)
    return Stepped(auto.averaged(state), after, info)


def _state(rule: OnlineEM[Any, Any], params: Any, stream: Stream) -> OnlineState[Any, Any]:
    average = stream.average if rule.averaging else None
    running = stream.running if rule.inertia == "running" else None
    return OnlineState(params, stream.n_steps, stream.seen, running, average)


def _stream(state: OnlineState[Any, Any], info: OnlineInfo, iterate: Any) -> Stream:
    return Stream(
        state.n_steps, state.seen, info.eta, state.running, state.average, iterate=iterate
    )


# -- families whose own expectation has no closed form ---------------------------------------------


def _has_closed_form(model: Any) -> bool:
    return hasattr(model.family, "model_statistics")


def _inertia_by_draws(batch: Batch, eta: float) -> FiniteSample:
    """As many draws as add no more noise to a step than its batch does: ``batch / rho^2``, within limits."""
    rho = rho_of(eta)
    wanted = _MOST_DRAWS if rho == 0 else math.ceil(batch.weight / rho**2)
    return FiniteSample(min(max(wanted, _FEWEST_DRAWS), _MOST_DRAWS))


def _by_draws(
    rule: OnlineEM[Any, Any], state: OnlineState[Any, Any], batch: Batch, eta: float
) -> tuple[OnlineEM[Any, Any], OnlineState[Any, Any]]:
    """The rule and state with draws in place of the model's own expectation, where the options ask for it."""
    if rule.averaging:
        raise TypeError(
            "online: expected averaging=False for a family without a method 'model_statistics', got True"
        )
    drawn = (
        rule.inertia if isinstance(rule.inertia, FiniteSample) else _inertia_by_draws(batch, eta)
    )
    if rule.inertia != "running":
        return replace(rule, inertia=drawn), state
    if state.running is not None:
        return rule, state
    rng = np.random.default_rng((drawn.seed, state.n_steps))
    model: Any = rule.model
    running = model.sampled_statistics(
        state.params, drawn.n, rng, batch.lengths, batch.length_weights
    )
    return rule, replace(state, running=running)
