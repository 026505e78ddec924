"""What pictures ask of models, and of the rows that are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.arrays import as_matrix
from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.estimators.bayesian_hmm_base import BayesianHMMEstimator
from latentcore.estimators.bayesian_weights import expected_counts
from latentcore.estimators.hmm_base import HMMEstimator
from latentcore.estimators.mixture_base import MixtureEstimator
from latentcore.families.gaussian import Gaussian
from latentcore.families.gaussian_means import GaussianMeans
from latentcore.protocols import Array, RealArray
from latentcore.structures.mixture import Mixture as Model

__all__ = [
    "HMM",
    "Bayesian",
    "Mixture",
    "column_of",
    "components_of",
    "family_of",
    "matrix_of",
    "name_of",
    "named",
    "not_empty",
    "rows_to_draw",
    "some_rows",
    "two_columns",
    "uncertainty_of",
    "values_of",
]

Bayesian = BayesianEstimator[Any, Any]
Mixture = MixtureEstimator[Any] | Bayesian
HMM = HMMEstimator[Any, Any] | BayesianHMMEstimator[Any, Any]


def family_of(model: Any) -> Any:
    """As it was learned; Gaussians of known variance are Gaussians."""
    family = model.family_ if hasattr(model, "family_") else Gaussian(model.covariance_type)
    return Gaussian("tied_spherical") if isinstance(family, GaussianMeans) else family


def components_of(model: Any) -> Any:
    if isinstance(model, BayesianEstimator):
        return Model(model.family_).mean(model.posterior_).components
    return model.components_


def not_empty(model: Mixture) -> list[int]:
    """Components to draw: of a Bayesian mixture those with a row, in expectation, if the weights tell."""
    counts = None
    if isinstance(model, BayesianEstimator):
        counts = expected_counts(model.posterior_.weights, model.prior_.weights)
    shown = np.ones(len(model.weights_), bool) if counts is None else counts >= 1
    return [int(k) for k in np.flatnonzero(shown)]


def uncertainty_of(model: Mixture, X: Any) -> Array:
    if isinstance(model, BayesianEstimator):
        largest: Array = model.predict_proba(X).max(axis=1).astype(np.float64)
        return 1.0 - largest
    uncertain: Array = model.uncertainty(X)
    return uncertain


def column_of(model: Mixture | HMM, column: int) -> int:
    n_features = int(model.n_features_in_)
    if not -n_features <= column < n_features:
        raise ValueError(f"columns: expected columns below {n_features}, got {column}")
    return column % n_features


def two_columns(model: Mixture | HMM, columns: tuple[int, int]) -> tuple[int, int]:
    across, up = (column_of(model, column) for column in columns)
    if across == up:
        raise ValueError(f"columns: expected two different columns, got {columns}")
    return across, up


def name_of(model: Mixture | HMM, column: int) -> str:
    names: Any = getattr(model, "feature_names_in_", None)
    return f"x{column}" if names is None else str(names[column])


def matrix_of(model: Mixture | HMM, X: Any) -> Any:
    """The rows of the model's features, dense or sparse."""
    rows = X.tocsr() if hasattr(X, "tocsr") else as_matrix(X, missing=True)
    n_features = int(model.n_features_in_)
    if rows.shape[1] != n_features:
        raise ValueError(f"X: expected shape (N, {n_features}), got {rows.shape}")
    return rows


def some_rows(rows: Any, most: int) -> Any:
    """Evenly spaced ones."""
    return rows[:: -(-rows.shape[0] // most) or 1]


def rows_to_draw(model: Mixture | HMM, X: Any, columns: list[int], most: int) -> RealArray:
    """Evenly spaced rows that have entries in these columns."""
    x = matrix_of(model, X)
    if hasattr(x, "tocsr"):
        x = x.toarray()
    rows: RealArray = some_rows(x[~np.isnan(x[:, columns]).any(axis=1)], most)
    if len(rows) == 0:
        raise ValueError("X: expected rows that have entries in both columns, got none")
    return rows


def values_of(model: Mixture | HMM, x: Any, column: int) -> Array:
    """The entries of a feature that are there."""
    if np.ndim(x) == 1:
        values = np.asarray(x, dtype=np.float64)
    else:
        chosen = matrix_of(model, x)[:, [column]]
        values = np.ravel(chosen.toarray() if hasattr(chosen, "tocsr") else chosen)
    observed: Array = values[~np.isnan(values)].astype(np.float64)
    if len(observed) == 0:
        raise ValueError("x: expected entries of the feature, got none that is there")
    return observed


class _Named:
    """Rows that an estimator takes for a data frame with the names it knows."""

    def __init__(self, rows: npt.NDArray[Any], columns: list[str]) -> None:
        self.rows = rows
        self.columns = columns

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.rows, dtype=dtype, copy=copy)


def named(model: Mixture | HMM, rows: Any) -> Any:
    names: Any = getattr(model, "feature_names_in_", None)
    if names is None or hasattr(rows, "tocsr"):
        return rows
    return _Named(rows, list(names))
