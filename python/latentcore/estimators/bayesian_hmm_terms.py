"""The evidence lower bound of a Bayesian hidden Markov model, by its terms."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np

from latentcore.protocols import Array, Expectation
from latentcore.structures.hmm import HMM, HMMPrior

__all__ = ["HMMBoundTerms", "bound_terms", "divergence_of", "expected_counts", "total_of"]


class HMMBoundTerms(TypedDict):
    """The evidence lower bound, nats: the first, minus the others.

    ``log_normaliser`` is E_q of the log joint density of rows and their states given the parameters, plus the entropy
    of q(states): the log normaliser of forward-backward at expected log-parameters.
    """

    log_normaliser: float
    divergence_of_chain: float
    divergence_of_emissions: Array


def expected_counts(posterior: HMMPrior[Any], prior: HMMPrior[Any]) -> Array:
    """Of first states, and of states that were gone to."""
    arrived = (posterior.transition - prior.transition).sum(axis=0)
    counts: Array = np.maximum(posterior.initial - prior.initial + arrived, 0.0)
    return counts


def total_of(terms: HMMBoundTerms) -> float:
    """The bound."""
    return terms["log_normaliser"] - divergence_of(terms)


def divergence_of(terms: HMMBoundTerms) -> float:
    """KL(posterior || prior) of chain and emissions."""
    return terms["divergence_of_chain"] + float(np.sum(terms["divergence_of_emissions"]))


def bound_terms(
    model: HMM[Any, Any],
    prior: HMMPrior[Any],
    posterior: HMMPrior[Any],
    expectation: Expectation[Any, Any] | None,
) -> HMMBoundTerms:
    """The terms; NaN for that of the data if nobody asks it."""
    log_normaliser = float("nan")
    if expectation is not None:
        _, log_normaliser = expectation(model.expected(posterior))
    of_chain, of_emissions = model.divergence(posterior, prior)
    return {
        "log_normaliser": log_normaliser,
        "divergence_of_chain": of_chain,
        "divergence_of_emissions": of_emissions,
    }
