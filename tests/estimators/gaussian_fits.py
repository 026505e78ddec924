"""Rows for Gaussian mixtures, given parameters, and what fits of them are compared by."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from latentcore import GaussianMixture
from latentcore.errors import ConvergenceWarning

COVARIANCES = ["full", "tied", "diag", "spherical"]
INITS = ["kmeans", "k-means++", "random", "random_from_data"]
ATTRIBUTES = ["weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"]

quiet = pytest.mark.filterwarnings("ignore:.*did not converge")


def blobs(n: int = 300, d: int = 3, k: int = 3, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 4, (k, d))
    return np.vstack(
        [rng.normal(c, 1, (n // k, d)) @ np.diag(np.arange(1, d + 1)) for c in centers]
    )


X = blobs()
WEIGHTS = np.array([0.2, 0.3, 0.5])
MEANS = X[[0, 120, 250]]
COVARIANCE = {
    "full": np.array([(k + 1) * (np.diag([1.0, 2.0, 3.0]) + 0.3) for k in range(3)]),
    "tied": 2 * (np.diag([1.0, 2.0, 3.0]) + 0.3),
    "diag": np.arange(1.0, 10.0).reshape(3, 3),
    "spherical": np.array([1.0, 2.0, 3.0]),
}


def precision(covariance_type: str) -> Any:
    covariance = COVARIANCE[covariance_type]
    return np.linalg.inv(covariance) if covariance_type in ("full", "tied") else 1 / covariance


def full_covariances(model: Any) -> Any:
    covariances = model.covariances_
    k, d = model.means_.shape
    if model.covariance_type == "tied":
        return np.tile(covariances, (k, 1, 1))
    if model.covariance_type == "diag":
        return np.array([np.diag(c) for c in covariances])
    if model.covariance_type == "spherical":
        return np.array([c * np.eye(d) for c in covariances])
    return covariances


def given(covariance_type: Any = "full", **kwargs: Any) -> GaussianMixture:
    return GaussianMixture.from_params(
        WEIGHTS, MEANS, COVARIANCE[covariance_type], covariance_type=covariance_type, **kwargs
    )


def fitted_quietly(model: GaussianMixture, x: Any) -> GaussianMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x)


def assert_untouched(model: GaussianMixture, before: dict[str, Any]) -> None:
    after = vars(model)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
