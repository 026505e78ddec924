"""Rows drawn from a mixture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.estimators.checks import integer
from latentcore.protocols import Array
from latentcore.structures.mixture import MixtureParams

__all__ = ["checked_number", "drawn"]


def checked_number(n_samples: Any) -> int:
    """How many rows ``sample`` is asked for, in scikit-learn's words if they are none."""
    if integer("n_samples", n_samples, -(2**62)) < 1:
        raise ValueError(
            f"Invalid value for 'n_samples': expected an integer >= 1, got {n_samples}"
        )
    return int(n_samples)


def drawn(
    family: Any,
    params: MixtureParams[Any],
    n: int,
    rng: np.random.RandomState | np.random.Generator,
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Rows (n, D) and their components (n,), ordered by component."""
    counts = rng.multinomial(n, _normalised(params.weights))
    rows = [family.sample(params.components, k, int(count), rng) for k, count in enumerate(counts)]
    return np.vstack(rows), np.repeat(np.arange(len(counts), dtype=np.int64), counts)


def _normalised(weights: Array) -> Array:
    """Weights that sum to one in double, too; float32 ones do not."""
    total = float(weights.sum())
    return weights if abs(total - 1.0) < 1e-12 else weights / total
