"""A step of an estimator in a stream, by whatever rule its options name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from latentcore.estimators.online import Online, Stream, fingerprint
from latentcore.protocols import Expectation
from latentcore.rules.auto_step import AutoOnlineEM, AutoState
from latentcore.rules.online import Batch, FiniteSample, Inertia, OnlineEM, OnlineInfo, OnlineState
from latentcore.rules.steps import ConstantStep, rho_of

__all__ = ["Stepped", "in_new_order", "stepped"]

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
    inertia = online.inertia_of_rows()
    start = params if stream.iterate is None else stream.iterate
    state = _state(online, start, stream)
    if online.step_size == "auto":
        rule = OnlineEM(
            model, inertia=inertia, prior=prior, total_weight=total_weight,
            averaging=online.averaging,
        )  # fmt: skip
        return _automatic_step(rule, state, stream, expectation, batch)
    step_size = online.schedule()
    if not _has_closed_form(model):
        eta = step_size(stream.n_steps + 1)
        step_size = ConstantStep(eta)
        inertia, state = _by_draws(online, model, state, batch, eta)
    rule = OnlineEM(model, step_size, inertia, prior, total_weight, online.averaging)
    state, info = rule.step(state, expectation, batch)
    iterate = state.params if online.averaging else None
    return Stepped(rule.averaged(state), _stream(state, info, iterate), info)


def _automatic_step(
    rule: OnlineEM[Any, Any],
    start: OnlineState[Any, Any],
    stream: Stream,
    expectation: Expectation[Any, Any],
    batch: Batch,
) -> Stepped:
    auto: AutoOnlineEM[Any, Any] = AutoOnlineEM(rule)
    state = stream.auto
    if state is None:
        state = AutoState(start, start, _first_eta(stream, auto.eta))
    if not _has_closed_form(rule.model):
        auto = AutoOnlineEM(replace(rule, inertia=_inertia_by_draws(batch, state.eta)))
    state, info = auto.step(state, expectation, batch)
    after = _stream(state.leader, info, None, state)
    return Stepped(auto.averaged(state), after, info)


def _first_eta(stream: Stream, otherwise: float) -> float:
    """That of the latest step, if it taught and left anything; else as if the steps so far had been eta = 1/t."""
    if stream.eta is not None and 0 < stream.eta < math.inf:
        return stream.eta
    return 1.0 / stream.n_steps if stream.n_steps else otherwise


def _state(online: Online, params: Any, stream: Stream) -> OnlineState[Any, Any]:
    average = stream.average if online.averaging else None
    running = stream.running if online.inertia == "running" else None
    return OnlineState(params, stream.n_steps, stream.seen, running, average)


def _stream(
    state: OnlineState[Any, Any], info: OnlineInfo, iterate: Any, auto: Any = None
) -> Stream:
    return Stream(
        state.n_steps, state.seen, info.eta, state.running, state.average, iterate, auto=auto
    )


def in_new_order(stream: Stream, before: Any, after: Any, in_order: Callable[[Any], Any]) -> Stream:
    """The stream of a model whose public parameters went from ``before`` to ``after``, which is ``in_order`` of them.

    Parameters
    ----------
    in_order : callable
        Of parameters and of statistics.
    """
    if not stream.has_own():
        return stream
    if stream.shown != fingerprint(before):
        return stream.without_own()

    def of_part(part: Any) -> Any:
        if part is None:
            return None
        if isinstance(part, AutoState):
            return replace(part, slow=of_part(part.slow), fast=of_part(part.fast))
        if isinstance(part, OnlineState):
            own = {name: of_part(getattr(part, name)) for name in ("params", "running", "average")}
            return replace(part, **own)
        return in_order(part)

    own = {
        name: of_part(getattr(stream, name)) for name in ("running", "average", "iterate", "auto")
    }
    return replace(stream, **own, shown=fingerprint(after))


# -- families whose own expectation has no closed form ---------------------------------------------


def _has_closed_form(model: Any) -> bool:
    return hasattr(model.family, "model_statistics")


def _inertia_by_draws(batch: Batch, eta: float) -> FiniteSample:
    """As many draws as add no more noise to a step than its batch does: ``batch / rho^2``, within limits."""
    rho = rho_of(eta)
    wanted = _MOST_DRAWS if rho == 0 else math.ceil(batch.weight / rho**2)
    return FiniteSample(min(max(wanted, _FEWEST_DRAWS), _MOST_DRAWS))


def _by_draws(
    online: Online, model: Any, state: OnlineState[Any, Any], batch: Batch, eta: float
) -> tuple[Inertia | FiniteSample, OnlineState[Any, Any]]:
    """Inertia and state with draws in place of the model's own expectation, where the options ask for it."""
    if online.averaging:
        raise TypeError(
            "online: expected averaging=False for a family without a method 'model_statistics', got True"
        )
    inertia = online.inertia_of_rows()
    drawn = inertia if isinstance(inertia, FiniteSample) else _inertia_by_draws(batch, eta)
    if inertia != "running":
        return drawn, state
    if state.running is not None:
        return inertia, state
    rng = np.random.default_rng((drawn.seed, state.n_steps))
    running = model.sampled_statistics(
        state.params, drawn.n, rng, batch.lengths, batch.length_weights
    )
    return inertia, replace(state, running=running)
