"""Mixtures that learn from a stream: a step of online EM for each batch."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from latentcore.arrays import Rows
from latentcore.estimators.online import Online, Stream
from latentcore.protocols import Expectation
from latentcore.rules.online import Batch, OnlineEM, OnlineInfo, OnlineState
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior

__all__ = ["Learned", "learned_from"]

P = TypeVar("P")


class Learned(NamedTuple):
    """The parameters to show, where the stream is, and what the step says."""

    params: MixtureParams[Any]
    stream: Stream
    info: OnlineInfo


def learned_from(
    model: Mixture[P, Any],
    prior: MixturePrior[Any] | None,
    online: Online,
    params: MixtureParams[P],
    stream: Stream,
    data: Rows,
    expectation: Expectation[Any, Any],
    total_weight: float | None,
) -> Learned:
    """A step on a batch, from ``params`` unless the stream has an iterate of its own."""
    rule: OnlineEM[Any, Any] = OnlineEM(
        model, online.schedule(), online.inertia, prior, total_weight, online.averaging
    )
    start = params if stream.iterate is None else stream.iterate
    state = OnlineState(start, stream.n_steps, stream.seen, stream.running, stream.average)
    state, info = rule.step(state, expectation, Batch(data.total_weight()))
    shown = rule.averaged(state)
    iterate = state.params if online.averaging else None
    after = Stream(state.n_steps, state.seen, state.running, state.average, iterate)
    return Learned(shown, after, info)
