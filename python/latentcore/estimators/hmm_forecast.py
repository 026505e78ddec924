"""Filtering row by row, and what comes after the last row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentcore import kernels
from latentcore.arrays import as_parameter
from latentcore.protocols import Array, RealArray

__all__ = ["FilterState", "Forecast", "checked_levels", "forecast_of", "updated"]


@dataclass(frozen=True, slots=True)
class FilterState:
    """What the rows so far say of the present, to go on from.

    Attributes
    ----------
    log_probabilities : (S,)
        Logs of the law of the last row's state given all rows so far; before the first row of the start law, and
        -inf throughout once the rows are impossible.
    log_likelihood : float
        Of the rows so far, nats.
    n_steps : int
        Rows so far.
    """

    log_probabilities: Array
    log_likelihood: float
    n_steps: int

    @property
    def probabilities(self) -> Array:
        """(S,)"""
        probabilities: Array = np.exp(self.log_probabilities)
        return probabilities


@dataclass(frozen=True, slots=True)
class Forecast:
    """Laws of the next steps, the first of which is one step after the last row.

    Attributes
    ----------
    state_probabilities : (steps, S)
    means : (steps, D), or None where the family cannot tell
        Of the observations; for codes the most probable one.
    levels : (L,)
    quantiles : (L, steps, D), or None where the family cannot sample
        Of the observations at these levels, each column by itself, from random draws.
    """

    state_probabilities: Array
    means: Array | None
    levels: Array
    quantiles: Array | None


def updated(
    state: FilterState, log_density: RealArray, log_initial: Array, log_transition: Array
) -> FilterState:
    """The state after more rows with log-densities (n, S)."""
    predicted = log_initial
    if state.n_steps:
        joint = state.log_probabilities[:, None] + log_transition
        predicted = kernels.logsumexp(np.ascontiguousarray(joint.T))
    begins = np.array([0, len(log_density)], np.int64)
    gain, log_filtered = kernels.hmm_log_likelihood(log_density, begins, predicted, log_transition)
    return FilterState(
        log_filtered[0].astype(np.float64),
        state.log_likelihood + float(gain[0]),
        state.n_steps + len(log_density),
    )


def forecast_of(
    family: Any,
    emissions: Any,
    laws: Array,
    n_features: int,
    levels: Array,
    n_samples: int,
    rng: Any,
) -> Forecast:
    """The forecast of states with ``laws`` (steps, S)."""
    means = None
    if hasattr(family, "impute"):
        nothing = np.full((len(laws), n_features), np.nan)
        completed = family.impute(emissions, nothing, laws)
        means = completed if np.isfinite(completed).all() else None
    quantiles = None
    if hasattr(family, "sample") and len(levels) and n_samples:
        quantiles = np.stack(
            [_quantiles(family, emissions, law, levels, n_samples, rng) for law in laws], axis=1
        )
    return Forecast(laws, means, levels, quantiles)


def _quantiles(
    family: Any, emissions: Any, law: Array, levels: Array, n_samples: int, rng: Any
) -> Array:
    """(L, D) of draws from a mixture."""
    counts = rng.multinomial(n_samples, law / law.sum())
    rows = [family.sample(emissions, k, int(n), rng) for k, n in enumerate(counts) if n]
    quantiles: Array = np.quantile(np.vstack(rows), levels, axis=0)
    return quantiles


def checked_levels(quantiles: Sequence[float] | None) -> Array:
    levels = np.atleast_1d(as_parameter([] if quantiles is None else quantiles, "quantiles"))
    if levels.ndim != 1 or not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"quantiles: expected numbers from 0 to 1, got {quantiles!r}")
    return levels.astype(np.float64)
