"""What files keep of a stream, so that it goes on from them bit for bit, and the checks when it comes back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from latentcore.arrays import Rows
from latentcore.errors import CollapsedComponentError
from latentcore.estimators.checks import integer, real
from latentcore.estimators.components import arrays_of
from latentcore.estimators.online import Stream
from latentcore.estimators.priors import resolved
from latentcore.estimators.saved_fit import feature_names
from latentcore.estimators.saved_values import pack, unpack
from latentcore.estimators.waiting import Waiting
from latentcore.protocols import RealArray
from latentcore.rules.auto_step import AutoState
from latentcore.rules.online import OnlineState
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior

__all__ = [
    "check_like",
    "check_mixture_stream",
    "check_own",
    "check_posterior_stream",
    "is_of_stream",
    "pack_stream",
    "some_row",
    "unpack_stream",
    "with_rows",
]

_NAME = "_stream"
_COUNTS = ("n_samples_seen_", "n_iter_", "n_features_in_")


def is_of_stream(name: str) -> bool:
    """Whether a value of this name is one that ``pack_stream`` makes."""
    return name.partition(".")[0] == _NAME


def pack_stream(state: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the attributes in ``state`` that tell of a stream; nothing if none do.

    Raises
    ------
    TypeError
        Statistics that no file can hold.
    """
    stream: Stream | None = state.get("_stream")
    if stream is None:
        return {}
    names = state.get("feature_names_in_")
    kept = {
        "stream": replace(stream, waiting=tuple(map(Waiting.of, stream.waiting))),
        "names": None if names is None else tuple(names),
        **{name: int(state[name]) for name in _COUNTS if name in state},
    }
    return pack({_NAME: kept})


def unpack_stream(packed: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that ``pack_stream`` packed, checked as far as they are the same for all models.

    Raises
    ------
    ValueError, TypeError, KeyError
        They are not those of a stream.
    """
    if not packed:
        return {}
    kept = dict(unpack(packed)[_NAME])
    stream, names = kept.pop("stream"), kept.pop("names")
    attributes: dict[str, Any] = {name: integer(name, kept.pop(name), 0) for name in list(kept)}
    if not attributes.keys() <= set(_COUNTS) or type(stream) is not Stream:
        raise ValueError(f"_stream: expected a Stream, got {stream!r} and {sorted(attributes)}")
    integer("_stream.n_steps", stream.n_steps, 0)
    real("_stream.seen", stream.seen)
    if stream.eta is not None and stream.eta != math.inf:
        real("_stream.eta", stream.eta)
    if not isinstance(stream.shown, str) or not isinstance(stream.waiting, tuple):
        raise ValueError(f"_stream: expected a Stream, got {stream!r}")
    if names is not None:
        attributes["feature_names_in_"] = feature_names(
            list(names), integer("n_features_in_", attributes["n_features_in_"], 1)
        )
    return {**attributes, "_stream": stream}


# -- mixtures -------------------------------------------------------------------------------------


def check_mixture_stream(
    estimator: Any, stream: Stream, model: Mixture[Any, Any] | None, params: Any
) -> Stream:
    """The stream of a mixture with these parameters; None for both before the start.

    Raises
    ------
    ValueError, TypeError
        It cannot go on from there.
    """
    stream = with_rows(estimator, stream)
    if model is None:
        if not stream.waiting or stream.has_own() or stream.prior is not None:
            raise ValueError("_stream: expected rows that wait, got none, or more than these")
        return stream
    if stream.waiting:
        raise ValueError("_stream.waiting: expected no rows once there are parameters, got some")
    if stream.prior is not None:
        if type(stream.prior) is not MixturePrior:
            raise ValueError(f"_stream.prior: expected a MixturePrior, got {stream.prior!r}")
        prior: Any = stream.prior
        resolved(prior, model, Rows(np.empty((0, 1))), len(params.weights))
    check_own(
        stream, params, lambda: model.model_statistics(params),
        lambda stats: model.maximize(stats, params), lambda found: _check_usable(model, found, estimator),
    )  # fmt: skip
    return stream


def check_posterior_stream(estimator: Any, stream: Stream) -> Stream:
    """The stream of a model that has a posterior, or data that wait.

    Raises
    ------
    ValueError, TypeError
        It cannot go on from there.
    """
    stream = with_rows(estimator, stream)
    if stream.has_own() or bool(stream.waiting) == ("posterior_" in estimator.__dict__):
        raise ValueError("_stream: expected waiting rows or a posterior, got both or neither")
    return stream


def check_own(
    stream: Stream,
    params: Any,
    expected: Callable[[], Any],
    maximize: Callable[[Any], Any],
    check_usable: Callable[[Any], None],
) -> None:
    """Raise ``ValueError`` unless what a stream has besides the public parameters can be gone on from.

    Parameters
    ----------
    stream : Stream
    params : public parameters
    expected : () -> statistics
        Like those that the stream may hold.
    maximize : statistics -> parameters
    check_usable : callable
        Raises ``ValueError`` for parameters that make no model.
    """

    def check_params(value: Any, name: str) -> None:
        check_like(value, params, name)
        check_usable(value)

    def check_state(state: Any, where: str) -> None:
        for name in ("running", "average"):
            part = getattr(state, name)
            if part is not None:
                check_like(part, expected(), f"{where}.{name}")
                try:
                    found = maximize(part)
                except CollapsedComponentError:  # a prior may hold it up, and it may never be shown
                    continue
                check_usable(found)

    check_state(stream, "_stream")
    if stream.iterate is not None:
        check_params(stream.iterate, "_stream.iterate")
    auto = stream.auto
    if auto is None:
        return
    if type(auto) is not AutoState:
        raise ValueError(f"_stream.auto: expected an AutoState, got {auto!r}")
    if not 0 < auto.eta < math.inf or not math.isfinite(auto.evidence):
        raise ValueError(f"_stream.auto: expected finite numbers, got {auto.eta}, {auto.evidence}")
    for name in ("slow", "fast"):
        learner, where = getattr(auto, name), f"_stream.auto.{name}"
        if type(learner) is not OnlineState:
            raise ValueError(f"{where}: expected an OnlineState, got {learner!r}")
        integer(f"{where}.n_steps", learner.n_steps, 0)
        real(f"{where}.seen", learner.seen)
        check_params(learner.params, f"{where}.params")
        check_state(learner, where)


def some_row(estimator: Any) -> RealArray:
    """A row in which every family finds a density: halves are positive, and code 0 where there are codes."""
    return np.full((1, estimator.n_features_in_), 0.5)


def with_rows(estimator: Any, stream: Stream) -> Stream:
    """The stream with waiting rows as the estimator takes them."""
    for part in stream.waiting:
        if type(part) is not Waiting:
            raise ValueError(f"_stream.waiting: expected rows, got {part!r}")
    return replace(stream, waiting=tuple(part.rows(estimator) for part in stream.waiting))


def check_like(value: Any, expected: Any, name: str) -> None:
    """Raise ``ValueError`` for what is not of the types and shapes of ``expected``, or not finite."""
    found, wanted = list(_form(value)), list(_form(expected))
    if found != wanted:
        raise ValueError(f"{name}: expected the form {wanted}, got {found}")
    for part, array in arrays_of(value):
        if not np.isfinite(array).all():
            raise ValueError(f"{name}.{part}: expected finite numbers, got others")


def _form(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Names of all parts, with the types and shapes of arrays, and whatever else is no number."""
    if isinstance(tree, np.ndarray):
        yield name, (tree.dtype.str, tree.shape)
        return
    yield name, tree if isinstance(tree, str) else type(tree).__name__
    if isinstance(tree, tuple):
        for index, part in enumerate(tree):
            yield from _form(part, f"{name}[{index}]")
    elif is_dataclass(tree):
        for field in fields(tree):
            yield from _form(getattr(tree, field.name), f"{name}.{field.name}")


def _check_usable(model: Mixture[Any, Any], params: MixtureParams[Any], estimator: Any) -> None:
    """Weights, and components under which a row has a density, be it 0."""
    weights = params.weights
    density = model.log_joint(params, some_row(estimator))
    if not (weights >= 0).all() or abs(weights.sum() - 1) > 1e-3 or np.isnan(density).any():
        raise ValueError("_stream: expected statistics of a mixture, got others")
