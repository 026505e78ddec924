"""The checks when the stream of a hidden Markov model comes back from a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from latentcore.estimators.online import Stream
from latentcore.estimators.priors import check_component_prior
from latentcore.estimators.saved_stream import check_like, check_own, some_row, with_rows
from latentcore.sequences import Sequences
from latentcore.structures.hmm import HMM, HMMParams, HMMPrior
from latentcore.structures.hmm_forward_only import ByLastState

__all__ = ["check_hmm_posterior_stream", "check_hmm_stream"]


def check_hmm_stream(
    estimator: Any, stream: Stream, model: HMM[Any, Any] | None, params: HMMParams[Any] | None
) -> Stream:
    """The stream of a model with these parameters; None for both before the start.

    Raises
    ------
    ValueError, TypeError
        It cannot go on from there.
    """
    stream = with_rows(estimator, stream)
    if model is None or params is None:
        _check_waiting(stream)
        return stream
    _check_begun(stream)
    n_states = len(params.initial)
    _check_exit(stream, n_states)
    if stream.prior is not None:
        if type(stream.prior) is not HMMPrior or len(stream.prior.initial) != n_states:
            raise ValueError(
                f"_stream.prior: expected an HMMPrior of {n_states} states, got {stream.prior!r}"
            )
        check_component_prior(stream.prior.emissions, model.family, n_states)

    def expected() -> Any:
        return model.model_statistics(params, np.array([2]))

    running = stream.running
    if isinstance(running, ByLastState):
        _check_law(running.log_law, n_states, "_stream.running.log_law")
        if not isinstance(running.given, tuple) or len(running.given) != n_states:
            raise ValueError(f"_stream.running: expected statistics of {n_states} last states")
        for k, given in enumerate(running.given):
            check_like(given, expected(), f"_stream.running.given[{k}]")
        running = running.expected()
    check_own(
        replace(stream, running=running), params, expected,
        lambda stats: model.maximize(stats, params), lambda found: _check_usable(model, found, estimator),
    )  # fmt: skip
    return stream


def check_hmm_posterior_stream(estimator: Any, stream: Stream) -> Stream:
    """The same of a model with a posterior, whose stream has nothing else to go on from; or before the start.

    Raises
    ------
    ValueError, TypeError
        It cannot go on from there.
    """
    stream = with_rows(estimator, stream)
    if "posterior_" not in estimator.__dict__:
        _check_waiting(stream)
        return stream
    _check_begun(stream)
    if stream.has_own() or stream.prior is not None:
        raise ValueError("_stream: expected a posterior alone, got statistics or a prior besides")
    _check_exit(stream, len(estimator.posterior_.initial))
    return stream


def _check_waiting(stream: Stream) -> None:
    if len(stream.waiting) != 1 or stream.has_own() or stream.prior is not None:
        raise ValueError("_stream: expected sequences that wait, got none, or more than these")
    if not isinstance(stream.waiting[0], Sequences):
        raise ValueError("_stream.waiting: expected sequences, got rows")


def _check_begun(stream: Stream) -> None:
    if stream.waiting:
        raise ValueError(
            "_stream.waiting: expected no sequences once there are parameters, got some"
        )


def _check_exit(stream: Stream, n_states: int) -> None:
    if stream.exit is not None:
        _check_law(stream.exit, n_states, "_stream.exit")


def _check_law(log_law: Any, n_states: int, name: str) -> None:
    law = np.asarray(log_law)
    if law.shape != (n_states,) or not (law < np.inf).all() or not np.isfinite(law).any():
        raise ValueError(f"{name}: expected the log-law of {n_states} states, got {log_law!r}")


def _check_usable(model: HMM[Any, Any], params: HMMParams[Any], estimator: Any) -> None:
    """Laws, and emissions under which a row has a density, be it 0."""
    density = model.family.log_likelihood(params.emissions, some_row(estimator))
    laws = np.vstack([params.initial, params.transition])
    if not (laws >= 0).all() or (abs(laws.sum(axis=1) - 1) > 1e-6).any() or np.isnan(density).any():
        raise ValueError("_stream: expected statistics of a hidden Markov model, got others")
