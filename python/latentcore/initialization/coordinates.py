"""Rows with missing entries: complete coordinates, and what is expected in their place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from latentcore.arrays import CSR, Rows
from latentcore.families.gaussian import Gaussian, GaussianParams
from latentcore.initialization.responsibilities import BLOCK_ELEMENTS, present_blocks
from latentcore.protocols import Array, RealArray


def has_missing(x: RealArray) -> bool:
    size = max(1, BLOCK_ELEMENTS // x.shape[1])
    return any(np.isnan(x[start : start + size]).any() for start in range(0, len(x), size))


def columns(x: RealArray | CSR) -> Array:
    """The columns as they are, with their mean where an entry is missing."""
    dense: Array = (x.toarray() if isinstance(x, CSR) else x).astype(np.float64)
    missing = np.isnan(dense)
    if missing.any():
        n_observed = np.maximum((~missing).sum(axis=0), 1)
        means = np.where(missing, 0.0, dense).sum(axis=0) / n_observed
        dense = np.where(missing, means, dense)
    return dense


def broad(family: Gaussian, data: Rows, n_components: int) -> GaussianParams:
    """All components with the columns' means and variances: what missing entries are expected to be."""
    n_features = data.x.shape[1]

    def mean(function: Callable[[Array], Array]) -> Array:
        sums: Array = np.zeros(n_features)
        counts: Array = np.zeros(n_features)
        for _, block in present_blocks(data, n_features):
            observed = ~np.isnan(block.x)
            sums += np.where(observed, function(block.x.astype(np.float64)), 0.0).sum(axis=0)
            counts += observed.sum(axis=0)
        return sums / np.maximum(counts, 1.0)

    means = mean(lambda x: x)
    variances = mean(lambda x: (x - means) ** 2)
    positive = variances > 0
    variances[~positive] = variances[positive].mean() if positive.any() else 1.0
    covariances: Array = {
        "full": np.tile(np.diag(variances), (n_components, 1, 1)),
        "tied": np.diag(variances),
        "diag": np.tile(variances, (n_components, 1)),
    }.get(family.covariance_type, np.full(n_components, variances.mean()))
    return family.params(np.tile(means, (n_components, 1)), covariances)
