"""What comes after the last row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentcore.arrays import as_parameter
from latentcore.protocols import Array

__all__ = ["Forecast", "checked_levels", "forecast_of"]


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
        means = family.impute(emissions, np.full((len(laws), n_features), np.nan), laws)
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
