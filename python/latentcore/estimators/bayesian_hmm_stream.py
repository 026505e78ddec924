"""Bayesian hidden Markov models that learn from a stream: a step of stochastic inference for each batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentcore.arrays import check_observed
from latentcore.errors import NumericalError
from latentcore.estimators.bayesian_hmm_terms import HMMBoundTerms
from latentcore.estimators.hmm_stream import (
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
from latentcore.estimators.training_sequences import explained
from latentcore.rules.cavi import ELBOTerms, StochasticVI, VariationalState
from latentcore.rules.steps import eta_of
from latentcore.structures.hmm import HMM, HMMPrior

__all__ = ["learn"]


def learn(
    estimator: Any,
    X: Any,
    lengths: Any,
    groups: Any,
    sample_weight: Any,
    labels: Any,
    total_weight: float | None,
) -> None:
    """One step on a batch, or as many sequences that wait for more.

    The estimator changes at the end, all at once; after an exception it is as before.
    """
    estimator._check_arguments()
    state = estimator.__dict__
    fitted = "posterior_" in state
    stream: Stream = state.get("_stream", Stream())
    begun = fitted or bool(stream.waiting)
    batch = incoming(estimator, X, lengths, groups, sample_weight, labels, begun=begun)
    against = checked_total(total_weight)
    present = present_rows(estimator, batch.given)
    if fitted:
        data, family = batch.data, estimator.family_
    else:
        data, family = gathered(estimator, stream, batch, present)
    check_batch_support(family, present, batch.names, fitted)
    source = estimator._in_memory(batch.given, batch.names)
    shown, observed = estimator._observed(family, source)
    if fitted:
        prior, posterior = estimator.prior_, estimator.posterior_
        check_same_posterior(estimator, family, len(posterior.initial))
    else:
        given = estimator.posterior_init is not None
        enough = given or len(data) >= rows_to_start(
            family, estimator.n_components, data.x.shape[1]
        )
        if not enough:
            estimator._replace(still_waiting(state, stream, data, len(batch.data)), batch.names)
            return
        check_observed(data.x, batch.names)
        source = estimator._in_memory(data, batch.names)
        shown, observed = estimator._observed(family, source)
        chain = estimator._chain_prior()
        prior = HMMPrior(chain[0], chain[1], estimator._emission_prior(family, shown))
    weight = number_of(data)
    seen = stream.seen + weight
    total = total_stood_for(stream.seen, weight, against, " sequences")
    n_steps = stream.n_steps if stream.n_steps or not fitted else estimator.n_iter_
    model: HMM[Any, Any] = HMM(observed)
    try:
        if not fitted:
            posterior = estimator._start(model, prior, shown, total / weight)()
        rule: StochasticVI[Any, Any] = StochasticVI(
            model, prior, total, float(estimator.delay), float(estimator.forgetting)
        )
        after, info = rule.step(
            VariationalState(posterior, n_steps), source.expectation(model), weight
        )
        HMM(family).mean(after.params)  # what predictions are made of
    except NumericalError as error:
        raise explained(error, batch.given) if fitted else error from None
    attributes = {
        "posterior_": after.params,
        "prior_": prior,
        "family_": family,
        "n_features_in_": data.x.shape[1],
        "elbo_terms_": _terms(info.terms),
        **after_step(state, after.n_steps, info.objective, len(batch.data)),
        "_before": None,
        "_stream": Stream(after.n_steps, seen, eta_of(rule.rate(n_steps))),
    }
    estimator._replace(attributes, batch.names)


def _terms(terms: ELBOTerms) -> HMMBoundTerms:
    return {
        "log_normaliser": terms.expected,
        "divergence_of_chain": terms.divergence_of_weights,
        "divergence_of_emissions": np.array(terms.divergence_of_components),
    }
