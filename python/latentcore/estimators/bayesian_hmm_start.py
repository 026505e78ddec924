"""Posteriors with which a Bayesian hidden Markov model begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from latentcore.estimators.checks import random_generator
from latentcore.estimators.hmm_start import initial_emissions
from latentcore.estimators.training_sequences import TrainingSequences
from latentcore.families.whole_rows import WholeRows
from latentcore.protocols import Array
from latentcore.structures.hmm import HMM, HMMPrior, HMMStatistics
from latentcore.threads import get_num_threads

__all__ = ["starts"]

H = TypeVar("H")


def starts(
    estimator: Any,
    model: HMM[Any, Any],
    prior: HMMPrior[H],
    data: TrainingSequences,
    scale: float = 1.0,
) -> Callable[[], HMMPrior[H]]:
    """Posteriors to begin with: given, or after rows in clusters and a chain without a preference.

    The data count ``scale`` times.

    Raises
    ------
    TypeError, ValueError
        ``posterior_init`` is none of this model.
    """
    if estimator.posterior_init is not None:
        given = _checked_posterior(estimator.posterior_init, prior, estimator.n_components)
        return lambda: given
    family = model.family.family if isinstance(model.family, WholeRows) else model.family
    rng, rows = random_generator(estimator.random_state), data.rows()
    n_states, init_params = estimator.n_components, estimator.init_params
    n_steps, n_starts = data.total_weight(), data.n_starts()

    def start() -> HMMPrior[H]:
        emissions = initial_emissions(
            family, rows, n_states, init_params, rng,
            allow_repeats=True, n_threads=get_num_threads(estimator.n_threads),
        )  # fmt: skip
        draw = rng.standard_exponential if init_params == "random" else np.ones
        first = _shares(draw(n_states) * (prior.initial > 0))
        transitions = _shares(draw(prior.transition.shape) * (prior.transition > 0))
        stats = HMMStatistics(
            n_starts * first,
            (n_steps - n_starts) / n_states * transitions,
            emissions.counts,
            emissions.components,
        )
        return model.update(prior, stats * scale)

    return start


def _checked_posterior(given: Any, prior: HMMPrior[H], n_states: int) -> HMMPrior[H]:
    if type(given) is not HMMPrior or type(given.emissions) is not type(prior.emissions):
        raise TypeError(
            f"posterior_init: expected an HMMPrior with emissions of type "
            f"{type(prior.emissions).__name__}, got {given!r}"
        )
    if len(given.initial) != n_states:
        raise ValueError(
            f"posterior_init: expected n_components = {n_states} states, got {len(given.initial)}"
        )
    possible = (prior.initial > 0, prior.transition > 0)
    if not all(
        np.array_equal(alpha > 0, mask)
        for alpha, mask in zip((given.initial, given.transition), possible, strict=True)
    ):
        raise ValueError("posterior_init: expected zeros where the prior of the chain has zeros")
    posterior: HMMPrior[H] = given
    return posterior


def _shares(weights: Array) -> Array:
    shares: Array = weights / weights.sum(axis=-1, keepdims=True)
    return shares
