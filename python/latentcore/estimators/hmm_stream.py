"""Hidden Markov models that learn from a stream: a step of online EM for each batch of sequences or block of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from latentcore import engine
from latentcore.arrays import Rows, check_observed
from latentcore.errors import NumericalError
from latentcore.estimators.bayesian_selected import selected
from latentcore.estimators.components import reordered
from latentcore.estimators.hmm_answers import counts_of_steps
from latentcore.estimators.hmm_batches import check_continues
from latentcore.estimators.mixture_base import absent_replaced, check_all_occur
from latentcore.estimators.mixture_stream import (
    check_batch_support,
    check_same_model,
    checked_total,
    joined,
    on_course,
    rows_to_start,
    with_way_out,
)
from latentcore.estimators.online import Online, Stream, after_step, fingerprint
from latentcore.estimators.online import resolved as resolved_online
from latentcore.estimators.online_step import Stepped, in_new_order, stepped
from latentcore.estimators.training_sequences import explained
from latentcore.floors import with_floor
from latentcore.parts import Part
from latentcore.protocols import Expectation
from latentcore.rules.online import Batch
from latentcore.rules.steps import rho_of
from latentcore.sequences import Sequences, names_of_columns, without_absent
from latentcore.structures.chains import closed_classes
from latentcore.structures.hmm import HMM, HMMParams, HMMPrior, HMMStatistics
from latentcore.structures.hmm_forward_only import ByLastState, Forwarded, forwarded
from latentcore.structures.hmm_inference import exit_law
from latentcore.threads import get_num_threads

__all__ = [
    "ASKED",
    "Incoming",
    "check_goes_on",
    "gathered",
    "incoming",
    "is_endless",
    "learn",
    "number_of",
    "present_rows",
    "relabelled",
    "still_waiting",
]

MOST_STATES = 16
"""Of forward-only smoothing, whose blocks cost S times what others cost, and S^2 sums of statistics."""
ASKED = "online=Online(horizon='endless')"
"""Of who wants a sequence to go on in the next batch."""
FEWEST_ROWS = 50
"""Rows before forward-only smoothing has statistics to spend (Cappé 2011, section 3)."""


class Incoming(NamedTuple):
    """A batch, checked."""

    given: Sequences
    """As it came."""
    data: Sequences
    """Without sequences of weight 0."""
    names: list[str] | None
    """To keep: those of the first batch, if the model has begun."""


def learn(estimator: Any, part: Part, total_weight: float | None, continues: bool) -> None:
    """One step on a batch, or as many sequences that wait for more.

    The estimator changes at the end, all at once; after an exception it is as before.
    """
    estimator._check_arguments()
    state = estimator.__dict__
    online = resolved_online(estimator.online)
    _check_forward_only(online, estimator)
    fitted = "converged_" in state
    stream: Stream = state.get("_stream", Stream())
    begun = fitted or bool(stream.waiting)
    batch = incoming(estimator, part, begun=begun)
    against = checked_total(total_weight)
    check_continues(continues, is_endless(online), ASKED)
    check_goes_on(continues, stream, batch.given)
    present = present_rows(estimator, batch.given)
    if fitted:
        data, family = batch.data, estimator._family_to_refit()
        if continues:
            data = replace(data, entry=stream.exit)
    else:
        data, family = gathered(estimator, stream, batch, present, continues)
    check_batch_support(family, counts_of_steps(family, present), batch.names, fitted)
    if not fitted and not estimator._is_start_given():
        if len(data) < rows_to_start(family, estimator.n_components, data.x.shape[1]):
            estimator._replace(still_waiting(state, stream, data, len(batch.data)), batch.names)
            return
        check_observed(data.x, batch.names)
        check_all_occur(data.rows(), estimator.n_components)
    hard = estimator.assignment == "hard"
    model: HMM[Any, Any] = HMM(family, hard=hard, topology=estimator._topology())
    params = _checked_params(estimator) if fitted else None
    prior = stream.prior if isinstance(estimator.prior, str) else None
    if prior is None:
        prior = estimator._resolved_prior(model, data, params)
    try:
        if params is not None:
            stream = _on_course(estimator, stream, params, data)
        else:
            params = estimator._start(model, prior, data, None).next()
        learned = _stepped(estimator, model, prior, params, stream, data, against)
    except NumericalError as error:
        raise _explained(estimator, error, batch.given, fitted) from None
    bound = learned.info.objective / data.total_weight()
    attributes = {
        "startprob_": learned.params.initial,
        "transmat_": learned.params.transition,
        "components_": learned.params.emissions,
        "family_": family,
        **after_step(state, learned.stream.n_steps, bound, len(batch.data)),
        "n_degenerate_": 0,
        "n_features_in_": data.x.shape[1],
        "_stream": _kept(estimator, learned, prior),
    }
    estimator._replace(attributes, batch.names)


# -- batches --------------------------------------------------------------------------------------


def incoming(estimator: Any, part: Part, *, begun: bool) -> Incoming:
    """A batch, checked against the model's columns if it has any."""
    names = names_of_columns(part.X)
    if begun:
        estimator._check_names(names)
        kept = estimator.__dict__.get("feature_names_in_")
        names = None if kept is None else list(kept)
    by_row = part.lengths, part.groups, part.sample_weight, part.labels
    given = estimator._sequences(part.X, *by_row, estimator.n_components)
    if begun:
        estimator._check_width(given.x)
    return Incoming(given, without_absent(given), names)


def present_rows(estimator: Any, given: Sequences) -> Any:
    """The rows of which the family's ``check`` may see all."""
    if not hasattr(estimator._family_class(), "check"):
        return given.x
    return absent_replaced(given.rows())


def check_goes_on(continues: bool, stream: Stream, given: Sequences) -> None:
    """Raise ``ValueError`` if the first of these sequences cannot go on where the stream is."""
    if not continues:
        return
    if stream.exit is None and not stream.waiting:
        raise ValueError(
            "continues: expected a batch of 'partial_fit' before, whose last row the first sequence goes on from, "
            "got none"
        )
    if given.sample_weight is not None and given.sample_weight[0] == 0:
        raise ValueError(
            "continues: expected a positive sample_weight of the sequence that goes on, got 0"
        )


def gathered(
    estimator: Any, stream: Stream, batch: Incoming, present: Any, continues: bool = False
) -> tuple[Sequences, Any]:
    """All sequences so far, before the start, and the family to fit to them."""
    waiting = [Rows(part.x) for part in stream.waiting]
    family = estimator._family_to_fit(joined([*waiting, Rows(present)]).x, batch.names)
    return _with_waiting(stream, batch.data, continues), family


def _with_waiting(stream: Stream, data: Sequences, continues: bool) -> Sequences:
    """The sequences that wait, and those of the batch; the first of these may go on where the last of those ended."""
    if not stream.waiting:
        return data
    [before] = stream.waiting
    rows = joined([Rows(part.x, labels=part.labels) for part in (before, data)])
    begins = np.concatenate([before.begins, len(before) + data.begins[1:]])
    weights = None
    if before.sample_weight is not None or data.sample_weight is not None:
        weights = np.concatenate([_weights(before), _weights(data)])
    if continues:
        end = before.n_sequences
        begins = np.delete(begins, end)
        if weights is not None:
            if weights[end - 1] != weights[end]:
                raise ValueError(
                    f"continues: expected the sample_weight {weights[end - 1]:g} of the sequence that goes on, "
                    f"got {weights[end]:g}"
                )
            weights = np.delete(weights, end)
    return Sequences(rows.x, begins, weights, rows.labels)


def number_of(data: Sequences) -> float:
    """Of the sequences, by weight."""
    weight = data.sample_weight
    return float(data.n_sequences if weight is None else weight.sum())


def _weights(data: Sequences) -> Any:
    return np.ones(data.n_sequences) if data.sample_weight is None else data.sample_weight


def still_waiting(
    state: dict[str, Any], stream: Stream, data: Sequences, n_new: int
) -> dict[str, Any]:
    """The attributes of a model that has not begun, with sequences that wait for more."""
    kept = data.take(np.arange(data.n_sequences))
    return {
        "_stream": replace(stream, n_steps=stream.n_steps + 1, waiting=(kept,)),
        "n_samples_seen_": state.get("n_samples_seen_", 0) + n_new,
        "n_features_in_": data.x.shape[1],
    }


def _check_forward_only(online: Online, estimator: Any) -> None:
    if online.inertia != "forward-only":
        return
    if not hasattr(estimator._family_class(), "model_statistics"):
        raise TypeError(
            "online: expected a family with a method 'model_statistics' for inertia='forward-only', "
            f"got {estimator._family_class().__name__}"
        )
    if online.step_size == "auto":
        raise ValueError("online: expected a step size with inertia='forward-only', got 'auto'")
    if estimator.n_components > MOST_STATES:
        raise ValueError(
            f"online: expected inertia 'model' or 'running' with more than {MOST_STATES} states, "
            f"got 'forward-only' with n_components = {estimator.n_components}"
        )
    if estimator.assignment == "hard":
        raise ValueError(
            "online: expected inertia 'model' or 'running' with assignment='hard', got 'forward-only'"
        )


def is_endless(online: Online) -> bool:
    """Whether what is known is weighed over the rows of an endless sequence."""
    return online.horizon == "endless" or online.inertia == "forward-only"


def _unit(online: Online, data: Sequences) -> Batch:
    """The batch in rows of an endless sequence, or in sequences as long as its own."""
    if is_endless(online):
        return Batch(data.total_weight())
    return Batch(number_of(data), data.lengths, data.sample_weight)


# -- steps ----------------------------------------------------------------------------------------


def _stepped(
    estimator: Any,
    model: HMM[Any, Any],
    prior: HMMPrior[Any] | None,
    params: HMMParams[Any],
    stream: Stream,
    data: Sequences,
    total_weight: float | None,
) -> Stepped:
    """A step from ``params``, unless the stream has an iterate of its own."""
    online = resolved_online(estimator.online)
    start: HMMParams[Any] = params if stream.iterate is None else stream.iterate
    if is_endless(online):
        model = _over_rows(model, start)
    if stream.running is not None:
        stream = replace(stream, running=_running(online, stream))
    expectation: Expectation[Any, Any]
    found = None
    if online.inertia == "forward-only":
        known = stream.running
        if known is None:
            law = np.full(len(start.initial), -np.log(len(start.initial)))
            known = ByLastState.same(law, model.model_statistics(start))
        found = forwarded(model, start, data, known)
        stream = replace(stream, running=found.known.expected())
        expectation = _already(found)
    else:
        work = estimator._work_per_row(data.x, estimator.n_components)
        shard_rows = engine.rows_per_shard(len(data), work)
        n_threads = get_num_threads(estimator.n_threads)
        expectation = engine.expectation(model, data, shard_rows, n_threads)
    batch, of_rows = _unit(online, data), online
    if found is not None:
        of_rows = replace(online, inertia="running")
    learned = stepped(of_rows, model, prior, total_weight, params, stream, expectation, batch)
    if found is not None:
        return _with_last_states(learned, model, prior, params, found, batch)
    exit_ = exit_law(model, start, data) if is_endless(online) else None
    return learned._replace(stream=replace(learned.stream, exit=exit_))


def _already(found: Forwarded[Any]) -> Expectation[Any, Any]:
    """The E-step that was made."""
    added = found.added.expected()
    return lambda params: (added, found.log_likelihood)


def _with_last_states(
    learned: Stepped,
    model: HMM[Any, Any],
    prior: HMMPrior[Any] | None,
    params: HMMParams[Any],
    found: Forwarded[Any],
    batch: Batch,
) -> Stepped:
    """With the running statistic given each last state; and no M-step before there are enough rows."""
    rho = rho_of(learned.info.eta)
    added = found.added
    if prior is None:
        added = replace(added, given=tuple(with_floor(model, stats) for stats in added.given))
    running = found.known if rho == 0.0 else added * (rho / batch.weight)
    if 0.0 < rho < 1.0:
        running = found.known * (1.0 - rho) + running
    stream = replace(learned.stream, running=running, exit=running.log_law)
    if stream.seen < FEWEST_ROWS:
        return learned._replace(params=params, stream=replace(stream, iterate=None, average=None))
    return learned._replace(stream=stream)


def _running(online: Online, stream: Stream) -> Any:
    """The running statistic in the form that the inertia wants."""
    running = stream.running
    if running is None or online.inertia not in ("running", "forward-only"):
        return None
    by_last = isinstance(running, ByLastState)
    if online.inertia == "running":
        return running.expected() if by_last else running
    return running if by_last else ByLastState.same(stream.exit, running)


def _over_rows(model: HMM[Any, Any], params: HMMParams[Any]) -> HMM[Any, Any]:
    """The model of an endless sequence, in which the law of the first state plays no part and is kept."""
    positive = params.transition > 0
    if not positive.all() and len(closed_classes(positive)) > 1:
        raise ValueError(
            "online: expected horizon='batch' for a chain that ends in one of several sets of states, "
            "got 'endless'"
        )
    if model.topology.start == "stationary":
        return model
    return replace(model, topology=model.topology.with_start_kept)


def _kept(estimator: Any, learned: Stepped, prior: HMMPrior[Any] | None) -> Stream:
    """The stream with what the public attributes do not hold, and the fingerprint of these."""
    stream = learned.stream
    if isinstance(estimator.prior, str):
        stream = replace(stream, prior=prior)
    if stream.average is None:
        stream = replace(stream, iterate=None)
    if not stream.has_own():
        return stream
    return replace(stream, shown=fingerprint(learned.params))


def _checked_params(estimator: Any) -> HMMParams[Any]:
    params: HMMParams[Any] = estimator._params()
    check_same_model(estimator, estimator._family(), len(params.initial))
    return params


def _on_course(estimator: Any, stream: Stream, params: HMMParams[Any], data: Sequences) -> Stream:
    """Where the stream goes on from these parameters.

    A fit has left the number of its rows. Where the horizon changed, so has the unit of what is known.
    """
    online, n_rows = resolved_online(estimator.online), data.total_weight()
    was_fitted = stream.n_steps == 0 and stream.seen > 0
    changed = stream.n_steps > 0 and is_endless(online) != (stream.exit is not None)
    stream = on_course(stream, params, n_rows)
    if changed:
        stream = replace(stream.without_own(), seen=float(estimator.n_samples_seen_))
    if was_fitted or changed:
        stream = replace(stream, seen=stream.seen / n_rows * _unit(online, data).weight)
    return stream


def _explained(
    estimator: Any, error: NumericalError, given: Sequences, fitted: bool
) -> NumericalError:
    if not fitted:
        return error
    return with_way_out(explained(error, given), estimator)


# -- states in another order ----------------------------------------------------------------------


def relabelled(stream: Stream, family: Any, before: Any, after: Any, order: Any) -> Stream:
    """The stream of a model whose public parameters went from ``before`` to ``after`` by this order of states."""
    if stream.exit is not None:
        stream = replace(stream, exit=stream.exit[order])
    prior = stream.prior
    if prior is not None:
        emissions = selected(family, prior.emissions, order, len(order))
        alphas = prior.initial[order], prior.transition[np.ix_(order, order)]
        stream = replace(stream, prior=HMMPrior(*alphas, emissions))
    return in_new_order(stream, before, after, lambda part: _in_order(part, family, order))


def _in_order(part: Any, family: Any, order: Any) -> Any:
    if isinstance(part, ByLastState):
        given = tuple(_in_order(part.given[k], family, order) for k in order)
        return ByLastState(part.log_law[order], given)
    emissions = reordered(family, part.emissions, order)
    square = np.ix_(order, order)
    if isinstance(part, HMMStatistics):
        return HMMStatistics(
            part.starts[order], part.transitions[square], part.counts[order], emissions
        )
    return HMMParams(part.initial[order], part.transition[square], emissions)
