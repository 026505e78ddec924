"""Bayesian mixtures that learn from a stream: a step of stochastic variational inference for each batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from latentcore.arrays import Rows, check_observed
from latentcore.errors import NumericalError
from latentcore.estimators.bayesian_empirical import with_best_concentration
from latentcore.estimators.bayesian_terms import BoundTerms
from latentcore.estimators.checks import random_generator
from latentcore.estimators.mixture_stream import (
    check_batch_support,
    check_same_posterior,
    checked_total,
    incoming,
    joined,
    rows_to_start,
    total_stood_for,
    with_waiting,
)
from latentcore.estimators.online import Stream, after_step
from latentcore.rules.cavi import ELBOTerms, StochasticVI, VariationalState
from latentcore.rules.steps import eta_of
from latentcore.structures.mixture import Mixture, MixturePrior

__all__ = ["Course", "learn"]


class Course(NamedTuple):
    """From where a fit may go on."""

    before: float | None
    """The bound that the last iteration started from, if there was one."""
    n_steps: int
    """Of stochastic inference, or iterations that count as such."""
    weight: float
    """Of the rows seen."""


class _Known(NamedTuple):
    """What a step goes on from; without a posterior, the start is still to be made."""

    family: Any
    prior: MixturePrior[Any]
    posterior: MixturePrior[Any] | None
    n_copies: int
    course: Course


def learn(estimator: Any, X: Any, sample_weight: Any, total_weight: float | None) -> None:
    """One step on a batch, or as many rows that wait for more.

    The estimator changes at the end, all at once; after an exception it is as before.
    """
    estimator._check_arguments()
    state = estimator.__dict__
    fitted = "posterior_" in state
    stream: Stream = state.get("_stream", Stream())
    batch = incoming(estimator, X, sample_weight, begun=fitted or bool(stream.waiting))
    against = checked_total(total_weight)
    present = estimator._present(batch.rows)
    if fitted:
        data, family = batch.data, estimator.family_
    else:
        data = joined([*stream.waiting, batch.data])
        family = estimator._family_to_fit(joined([*stream.waiting, Rows(present)]).x, batch.names)
    check_batch_support(family, present, batch.names, fitted)
    if not fitted and len(data) < rows_to_start(family, estimator.n_components, data.x.shape[1]):
        estimator._replace(with_waiting(state, stream, batch), batch.names)
        return
    if not fitted:
        check_observed(data.x, batch.names)
    known = _known(estimator, family, data, stream)
    total = total_stood_for(known.course.weight, data.total_weight(), against)
    try:
        learned = _learned(estimator, known, data, total, len(batch.data))
    except NumericalError as error:
        raise (estimator._explained(error, batch.rows) if fitted else error) from None
    estimator._replace(learned, batch.names)


def _known(estimator: Any, family: Any, data: Rows, stream: Stream) -> _Known:
    if "posterior_" not in estimator.__dict__:
        n_copies = estimator._n_copies(data.x.shape[1])
        prior = estimator._prior_to_fit(family, data)
        return _Known(family, prior, None, n_copies, Course(None, len(stream.waiting), 0.0))
    check_same_posterior(estimator, estimator.family_, len(estimator.weights_))
    _check_same_weights(estimator)
    copies, course = estimator._copies, estimator._course
    return _Known(family, estimator.prior_, estimator.posterior_, copies, course)


def _check_same_weights(estimator: Any) -> None:
    found, asked = type(estimator.posterior_.weights), type(estimator._weight_prior())
    if asked is not found:
        raise ValueError(
            f"weight_concentration_prior_type: expected that of the posterior so far, a {found.__name__}, "
            f"got {estimator.weight_concentration_prior_type!r}"
        )


def _bound_terms(
    estimator: Any,
    model: Mixture[Any, Any],
    posterior: MixturePrior[Any],
    data: Rows,
    scale: float,
    of_step: ELBOTerms,
) -> BoundTerms:
    """Of a batch, times ``scale``; the step from this posterior knows the divergences."""
    evaluation = estimator._evaluation_of(model, posterior)
    expected, entropy = evaluation.log_likelihood_and_entropy(data)
    return {
        "expected_log_joint": scale * (expected - entropy),
        "entropy": scale * entropy,
        "divergence_of_weights": of_step.divergence_of_weights,
        "divergence_of_components": np.array(of_step.divergence_of_components),
    }


def _learned(
    estimator: Any, known: _Known, data: Rows, total: float, n_new_rows: int
) -> dict[str, Any]:
    state, weight = estimator.__dict__, data.total_weight()
    family, prior, posterior, n_copies, course = known
    model: Mixture[Any, Any] = Mixture(family)
    if posterior is None:
        rng = random_generator(estimator.random_state)
        start = total / weight * estimator._initial(family, data, rng)
        posterior = model.update(prior, start)
    rule: StochasticVI[Any, Any] = StochasticVI(
        model, prior, total, float(estimator.delay), float(estimator.forgetting)
    )
    after, info = rule.step(
        VariationalState(posterior, course.n_steps), estimator._expectation(model, data), weight
    )
    terms = _bound_terms(estimator, model, posterior, data, total / weight, info.terms)
    if estimator.optimize_concentration:
        prior = with_best_concentration(prior, after.params)
    seen, eta = course.weight + weight, eta_of(rule.rate(course.n_steps))
    learned: dict[str, Any] = estimator._learned_of(after.params, prior, family, data, n_copies)
    return learned | {
        **after_step(state, state.get("n_iter_", course.n_steps) + 1, info.objective, n_new_rows),
        "elbo_terms_": terms,
        "_course": Course(info.objective, after.n_steps, seen),
        "_stream": Stream(after.n_steps, seen, eta),
    }
