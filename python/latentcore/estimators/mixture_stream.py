"""Mixtures that learn from a stream: a step of online EM for each batch, and rows that wait for a start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from latentcore import engine
from latentcore.arrays import (
    CSR,
    Rows,
    as_labels,
    as_weights,
    check_observed,
    column_names,
    without_absent,
)
from latentcore.errors import ImpossibleRowError, ImpossibleSequenceError, NumericalError
from latentcore.estimators.checks import real
from latentcore.estimators.components import reordered
from latentcore.estimators.online import Stream, after_step, fingerprint
from latentcore.estimators.online import resolved as resolved_online
from latentcore.estimators.online_step import Stepped, in_new_order, stepped
from latentcore.estimators.priors import resolved
from latentcore.families.categorical import Categorical
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import Gaussian
from latentcore.families.mixed import MixtureFamily
from latentcore.protocols import Expectation, RealArray
from latentcore.rules.online import Batch
from latentcore.structures.mixture import Mixture, MixtureParams, MixtureStatistics
from latentcore.threads import get_num_threads

__all__ = [
    "Incoming",
    "after_fit",
    "check_batch_support",
    "check_same_model",
    "check_same_posterior",
    "checked_total",
    "incoming",
    "joined",
    "learn",
    "on_course",
    "relabelled",
    "rows_to_start",
    "total_stood_for",
    "with_waiting",
    "with_way_out",
]

_BEGINNING = Stream()
_ROWS_OF_ONE = 10
"""Rows of a component from which its parameters begin as more than a guess."""


class Incoming(NamedTuple):
    """A batch, checked."""

    rows: Rows
    """As it came."""
    data: Rows
    """Without rows of weight 0."""
    names: list[str] | None
    """To keep: those of the first batch, if the model has begun."""


def learn(
    estimator: Any,
    X: Any,
    sample_weight: Any,
    labels: Any,
    total_weight: float | None,
) -> None:
    """One step on a batch, or as many rows that wait for more.

    The estimator changes at the end, all at once; after an exception it is as before.
    """
    estimator._check_arguments()
    state = estimator.__dict__
    fitted = "weights_" in state  # by a fit, a stream, or by hand
    stream: Stream = state.get("_stream", _BEGINNING)
    batch = incoming(estimator, X, sample_weight, labels, begun=fitted or bool(stream.waiting))
    against = checked_total(total_weight)
    present = estimator._present(batch.rows)
    if fitted:
        data, family = batch.data, estimator._family_to_refit()
    else:
        data = joined([*stream.waiting, batch.data])
        family = estimator._family_to_fit(joined([*stream.waiting, Rows(present)]).x, batch.names)
    check_batch_support(family, present, batch.names, fitted)
    if not fitted and not estimator._is_start_given():
        if len(data) < rows_to_start(family, estimator.n_components, data.x.shape[1]):
            estimator._replace(with_waiting(state, stream, batch), batch.names)
            return
        check_observed(data.x, batch.names)
        estimator._check_all_occur(data)
    model: Mixture[Any, Any] = Mixture(
        family, hard=estimator.assignment == "hard", equal_weights=estimator.equal_weights
    )
    prior = stream.prior if isinstance(estimator.prior, str) else None
    if prior is None:
        prior = resolved(estimator.prior, model, data, estimator.n_components)
    weight = data.total_weight()
    try:
        if fitted:
            params = _checked_params(estimator)
            stream = on_course(stream, params, weight)
        else:
            params = estimator._start(model, data, prior, None).next()
            stream = replace(stream, n_steps=len(stream.waiting), waiting=())
        expectation = _expectation(estimator, model, data)
        learned = stepped(
            resolved_online(estimator.online), model, prior, against, params, stream,
            expectation, Batch(weight),
        )  # fmt: skip
    except NumericalError as error:
        raise _explained(estimator, error, batch.rows, fitted) from None
    attributes = estimator._attributes(learned.params, family, data.x.dtype)
    stream = _shown(estimator, learned, attributes)
    if isinstance(estimator.prior, str):
        stream = replace(stream, prior=prior)
    attributes |= {
        **after_step(state, stream.n_steps, learned.info.objective / weight, len(batch.data)),
        "n_degenerate_": 0,
        "n_features_in_": data.x.shape[1],
        "_stream": stream,
    }
    estimator._replace(attributes, batch.names)


def after_fit(n_rows: int, weight: float, prior: Any, argument: Any) -> dict[str, Any]:
    """The attributes with which a stream goes on after a fit to so many rows with this prior.

    ``argument`` is the estimator's ``prior``: what "weak" was found to be stays what it is.
    """
    kept = prior if isinstance(argument, str) else None
    return {"n_samples_seen_": n_rows, "_stream": Stream(seen=weight, prior=kept)}


# -- batches --------------------------------------------------------------------------------------


def incoming(
    estimator: Any, X: Any, sample_weight: Any, labels: Any = None, *, begun: bool
) -> Incoming:
    """A batch, checked against the model's columns if it has any."""
    names = column_names(X)
    if begun:
        estimator._check_names(names)
        kept = estimator.__dict__.get("feature_names_in_")
        names = None if kept is None else list(kept)
    x = estimator._matrix(X)
    if begun:
        estimator._check_width(x)
    n = len(x)
    rows = Rows(
        x, as_weights(sample_weight, n), labels=as_labels(labels, n, estimator.n_components)
    )
    return Incoming(rows, without_absent(rows), names)


def checked_total(total_weight: Any) -> float | None:
    """The argument ``total_weight``."""
    if total_weight is None:
        return None
    total = real("total_weight", total_weight)
    if total == 0:
        raise ValueError(f"total_weight: expected a number > 0, got {total_weight!r}")
    return total


def total_stood_for(seen: float, weight: float, against: float | None, unit: str = "") -> float:
    """The weight of all observations, for which those of the batch stand: of those seen and these, if not given."""
    total = seen + weight if against is None else against
    if total < weight:
        raise ValueError(
            f"total_weight: expected at least the {weight:g}{unit} of the batch, got {total:g}"
        )
    return total


def check_batch_support(family: Any, x: RealArray, names: list[str] | None, fitted: bool) -> None:
    """Raise ``ValueError`` for a value that the family's distributions never take."""
    if not hasattr(family, "check"):
        return
    try:
        family.check(x, names)
    except ValueError as error:
        if fitted and isinstance(family, Categorical):
            raise ValueError(
                f"{error} (the first batch tells the codes, unless n_categories, or "
                "family=Categorical(levels), says how many there are)"
            ) from None
        raise


def rows_to_start(family: Any, n_components: int, n_columns: int) -> int:
    """The rows that a stream begins with: ten for each component, and D + 1 where it has a matrix of covariances."""
    return n_components * _rows_of_one(family, n_columns)


def _rows_of_one(family: Any, n_columns: int) -> int:
    if isinstance(family, IndependentColumns):
        return max(_rows_of_one(part.family, len(part.columns)) for part in family.parts)
    if isinstance(family, MixtureFamily):
        return family.n_components * _rows_of_one(family.family, n_columns)
    full = isinstance(family, Gaussian) and family.covariance_type == "full"
    return max(_ROWS_OF_ONE, n_columns + 1) if full else _ROWS_OF_ONE


def with_waiting(state: dict[str, Any], stream: Stream, batch: Incoming) -> dict[str, Any]:
    """The attributes of a model that has not begun, with the rows of a batch that wait for more."""
    rows = batch.data.take(np.arange(len(batch.data)))
    return {
        "_stream": replace(stream, waiting=(*stream.waiting, rows)),
        "n_samples_seen_": state.get("n_samples_seen_", 0) + len(rows),
        "n_features_in_": rows.x.shape[1],
    }


def joined(parts: Sequence[Rows]) -> Rows:
    """All rows, one part's after the other's."""
    if len(parts) == 1:
        return parts[0]
    weights = [part.sample_weight for part in parts]
    labels = [part.labels for part in parts]
    sizes = [len(part) for part in parts]
    return Rows(
        _joined_matrices([part.x for part in parts]),
        None if all(w is None for w in weights) else _filled(weights, sizes, 1.0, np.float64),
        labels=None if all(own is None for own in labels) else _filled(labels, sizes, -1, np.int32),
    )


def _filled(arrays: Sequence[Any], sizes: Sequence[int], default: float, dtype: Any) -> Any:
    return np.concatenate(
        [
            np.full(n, default, dtype) if array is None else array
            for array, n in zip(arrays, sizes, strict=True)
        ]
    )


def _joined_matrices(matrices: Sequence[Any]) -> Any:
    if not all(isinstance(x, CSR) for x in matrices):
        return np.concatenate([x.toarray() if isinstance(x, CSR) else x for x in matrices])
    entries = [slice(int(x.begins[0]), int(x.begins[-1])) for x in matrices]
    lengths = np.concatenate([np.diff(x.begins) for x in matrices])
    return CSR(
        np.concatenate([x.values[own] for x, own in zip(matrices, entries, strict=True)]),
        np.concatenate([x.columns[own] for x, own in zip(matrices, entries, strict=True)]),
        np.concatenate([[0], np.cumsum(lengths)]),
        matrices[0].n_columns,
    )


# -- steps ----------------------------------------------------------------------------------------


def _expectation(
    estimator: Any, model: Mixture[Any, Any], data: Rows
) -> Expectation[MixtureParams[Any], MixtureStatistics[Any]]:
    work = estimator._work_per_row(data.x, estimator.n_components)
    shard_rows = engine.rows_per_shard(len(data), work)
    n_threads = 1 if len(data) <= shard_rows else get_num_threads(estimator.n_threads)
    return engine.expectation(model, data, shard_rows, n_threads)


def _shown(estimator: Any, learned: Stepped, attributes: dict[str, Any]) -> Stream:
    """The stream with what the public attributes do not hold, and the fingerprint of these."""
    stream, iterate = learned.stream, learned.stream.iterate
    rounded = attributes["weights_"].dtype != np.float64
    if rounded and stream.average is None and stream.auto is None:
        iterate = learned.params
    if iterate is None and not stream.has_own():
        return stream
    shown = fingerprint(estimator._params_of(attributes))
    return replace(stream, iterate=iterate, shown=shown)


def _checked_params(estimator: Any) -> MixtureParams[Any]:
    params: MixtureParams[Any] = estimator._params()
    check_same_model(estimator, estimator._family(), len(params.weights))
    return params


def check_same_model(estimator: Any, family: Any, n_components: int) -> None:
    """Raise ``ValueError`` where arguments now ask for another model than the one with this family and size."""
    found: dict[str, Any] = {"n_components": n_components}
    gaussian = family.family if isinstance(family, MixtureFamily) else family
    if isinstance(gaussian, Gaussian) and hasattr(estimator, "covariance_type"):
        found["covariance_type"] = gaussian.covariance_type
    for name, value in found.items():
        if getattr(estimator, name) != value:
            raise ValueError(
                f"partial_fit: expected the {name} = {value!r} of the model so far, "
                f"got {getattr(estimator, name)!r}"
            )


def check_same_posterior(estimator: Any, family: Any, n_components: int) -> None:
    """The same of a posterior, which ``prune`` may have left with fewer components than were asked for."""
    check_same_model(estimator, family, max(n_components, estimator.n_components))


def on_course(stream: Stream, params: Any, batch_weight: float) -> Stream:
    """Where the stream goes on from these parameters.

    After a fit as if it had been in steps on batches like this one. What the stream has of its own counts only while
    the parameters are those that it showed.
    """
    if stream.n_steps == 0 and stream.seen > 0:
        stream = replace(stream, n_steps=max(1, round(stream.seen / batch_weight)))
    if stream.has_own() and stream.shown != fingerprint(params):
        return stream.without_own()
    return stream


def _explained(estimator: Any, error: NumericalError, rows: Rows, fitted: bool) -> NumericalError:
    if not fitted:
        return error
    return with_way_out(estimator._explained(error, rows), estimator)


def with_way_out(error: NumericalError, estimator: Any) -> NumericalError:
    """The error; of what is impossible under a model without a prior, with what a prior would do."""
    impossible = isinstance(error, ImpossibleRowError | ImpossibleSequenceError)
    if impossible and estimator.prior is None:
        error.args = (
            f"{error}, or it has a value that no batch had before (a prior, such as prior='weak', "
            "leaves room for these)",
        )
    return error


# -- components in another order ------------------------------------------------------------------


def relabelled(stream: Stream, family: Any, before: Any, after: Any, order: Any) -> Stream:
    """The stream of a model whose public parameters went from ``before`` to ``after``, with ``order[k]`` in place k."""

    def in_order(part: Any) -> Any:
        components = reordered(family, part.components, order)
        if isinstance(part, MixtureStatistics):
            return MixtureStatistics(part.counts[order], components)
        return MixtureParams(part.weights[order], components)

    return in_new_order(stream, before, after, in_order)
