"""Bayesian hidden Markov models that learn from a stream: a step of stochastic inference for each batch or block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.arrays import check_observed
from latentcore.errors import NumericalError
from latentcore.estimators.bayesian_hmm_start import starts
from latentcore.estimators.bayesian_hmm_terms import HMMBoundTerms
from latentcore.estimators.hmm_answers import counts_of_steps
from latentcore.estimators.hmm_batches import check_continues
from latentcore.estimators.hmm_stream import (
    Incoming,
    check_goes_on,
    gathered,
    incoming,
    number_of,
    present_rows,
    still_waiting,
)
from latentcore.estimators.mixture_stream import (
    check_batch_support,
    check_same_posterior,
    checked_total,
    rows_to_start,
    total_stood_for,
)
from latentcore.estimators.online import Stream, after_step
from latentcore.estimators.training_sequences import SequencesInMemory, explained
from latentcore.parts import Part
from latentcore.protocols import Array
from latentcore.rules.cavi import ELBOTerms, StochasticVI, VariationalInfo, VariationalState
from latentcore.rules.steps import eta_of
from latentcore.sequences import Sequences
from latentcore.structures import dirichlet_rows
from latentcore.structures.hmm import HMM, HMMPrior
from latentcore.structures.hmm_inference import exit_law

__all__ = ["learn", "states_of_stream"]


class _Known(NamedTuple):
    """What a step goes on from."""

    prior: HMMPrior[Any]
    posterior: HMMPrior[Any]
    initial: Array
    """Alpha of the law of the first state after the sequences that began before."""
    n_steps: int


class _Unit(NamedTuple):
    """Weights in sequences, or in rows of an endless one."""

    seen: float
    """Before the batch."""
    weight: float
    """Of the batch."""
    total: float
    """Of all, for which the batch stands."""


class _Learned(NamedTuple):
    """What a step leaves."""

    posterior: HMMPrior[Any]
    stream: Stream
    info: VariationalInfo


def learn(estimator: Any, part: Part, total_weight: float | None, continues: bool) -> None:
    """One step on a batch, or as many sequences that wait for more.

    The estimator changes at the end, all at once; after an exception it is as before.
    """
    estimator._check_arguments()
    state = estimator.__dict__
    fitted = "posterior_" in state
    stream: Stream = state.get("_stream", Stream())
    begun = fitted or bool(stream.waiting)
    batch = incoming(estimator, part, begun=begun)
    against = checked_total(total_weight)
    check_continues(continues, estimator.horizon == "endless", "horizon='endless'")
    check_goes_on(continues, stream, batch.given)
    if continues:
        batch = _going_on(batch, stream.exit)
    present = present_rows(estimator, batch.given)
    if fitted:
        data, family = batch.data, estimator.family_
        check_same_posterior(estimator, family, len(estimator.posterior_.initial))
    else:
        data, family = gathered(estimator, stream, batch, present, continues)
    check_batch_support(family, counts_of_steps(family, present), batch.names, fitted)
    source = estimator._in_memory(batch.given, batch.names)
    shown, observed = estimator._observed(family, source)
    if not fitted:
        if not _is_enough(estimator, family, data):
            estimator._replace(still_waiting(state, stream, data, len(batch.data)), batch.names)
            return
        check_observed(data.x, batch.names)
        source = estimator._in_memory(data, batch.names)
        shown, observed = estimator._observed(family, source)
    model: HMM[Any, Any] = HMM(observed)
    unit = _unit(estimator, stream, data, against)
    try:
        known = _known(estimator, model, family, stream, shown, unit)
        learned = _stepped(estimator, model, known, stream, source, data, unit)
        HMM(family).mean(learned.posterior)  # what predictions are made of
    except NumericalError as error:
        raise explained(error, batch.given) if fitted else error from None
    attributes = {
        "posterior_": learned.posterior,
        "prior_": known.prior,
        "family_": family,
        "n_features_in_": data.x.shape[1],
        "elbo_terms_": _terms(learned.info.terms),
        **after_step(state, learned.stream.n_steps, learned.info.objective, len(batch.data)),
        "_before": None,
        "_stream": learned.stream,
    }
    estimator._replace(attributes, batch.names)


def _going_on(batch: Incoming, exit_: Array | None) -> Incoming:
    """The batch whose first sequence goes on from a state of this log-law."""
    given, data = (replace(part, entry=exit_) for part in (batch.given, batch.data))
    return batch._replace(given=given, data=data)


def _is_enough(estimator: Any, family: Any, data: Sequences) -> bool:
    """Whether a stream can begin with these sequences."""
    if estimator.posterior_init is not None:
        return True
    return len(data) >= rows_to_start(family, estimator.n_components, data.n_features)


# -- what is weighed ------------------------------------------------------------------------------


def _unit(estimator: Any, stream: Stream, data: Sequences, against: float | None) -> _Unit:
    """The weights of a step on ``data``; where the horizon changed, so has the unit of what was seen."""
    endless, seen = estimator.horizon == "endless", stream.seen
    n_rows, n_sequences = data.total_weight(), number_of(data)
    if stream.exit is not None and not endless:
        seen *= n_sequences / n_rows
    elif stream.exit is None and endless and seen > 0:
        seen = _rows_seen(estimator, stream)
    weight, name = (n_rows, " rows") if endless else (n_sequences, " sequences")
    return _Unit(seen, weight, total_stood_for(seen, weight, against, name))


def _rows_seen(estimator: Any, stream: Stream) -> float:
    """By weight after a fit; a stream of sequences has kept their number alone."""
    if stream.n_steps == 0 and "_training" in estimator.__dict__:
        return float(estimator._training.total_weight)
    return float(estimator.n_samples_seen_)


# -- steps ----------------------------------------------------------------------------------------


def _known(
    estimator: Any,
    model: HMM[Any, Any],
    family: Any,
    stream: Stream,
    data: SequencesInMemory,
    unit: _Unit,
) -> _Known:
    """The posterior so far, after a fit with its iterations as steps; or one to begin with."""
    if "posterior_" in estimator.__dict__:
        posterior = estimator.posterior_
        n_steps = stream.n_steps or estimator.n_iter_
        return _Known(estimator.prior_, posterior, posterior.initial, n_steps)
    initial, transition = estimator._chain_prior()
    prior = HMMPrior(initial, transition, estimator._emission_prior(family, data))
    posterior = starts(estimator, model, prior, data, unit.total / unit.weight)()
    return _Known(prior, posterior, prior.initial, stream.n_steps)


def _stepped(
    estimator: Any,
    model: HMM[Any, Any],
    known: _Known,
    stream: Stream,
    source: SequencesInMemory,
    data: Sequences,
    unit: _Unit,
) -> _Learned:
    rule: StochasticVI[Any, Any] = StochasticVI(
        model, known.prior, unit.total, float(estimator.delay), float(estimator.forgetting)
    )
    expected = model.expected(known.posterior)
    stats, log_normaliser = source.expectation(model)(expected)
    after, info = rule.step(
        VariationalState(known.posterior, known.n_steps),
        lambda _: (stats, log_normaliser),
        unit.weight,
    )
    posterior, exit_ = after.params, None
    if estimator.horizon == "endless":
        repeated = unit.seen + unit.weight > unit.total
        began = np.zeros_like(stats.starts) if repeated else stats.starts
        posterior = replace(posterior, initial=dirichlet_rows.updated(known.initial, began))
        exit_ = exit_law(model, expected, data)
    eta = eta_of(rule.rate(known.n_steps))
    stream = Stream(after.n_steps, unit.seen + unit.weight, eta, exit=exit_)
    return _Learned(posterior, stream, info)


def _terms(terms: ELBOTerms) -> HMMBoundTerms:
    return {
        "log_normaliser": terms.expected,
        "divergence_of_chain": terms.divergence_of_weights,
        "divergence_of_emissions": np.array(terms.divergence_of_components),
    }


# -- states in another order, or fewer ------------------------------------------------------------


def states_of_stream(state: Mapping[str, Any], keep: npt.NDArray[np.intp]) -> dict[str, Any]:
    """The stream in ``state`` as an attribute of a model of these states alone; nothing if there is none."""
    stream: Stream | None = state.get("_stream")
    if stream is None or stream.exit is None:
        return {}
    law = stream.exit[keep]
    if len(law) < len(stream.exit):
        mass = kernels.logsumexp(law[None])[0]
        law = law - mass if np.isfinite(mass) else None
    return {"_stream": replace(stream, exit=law)}
