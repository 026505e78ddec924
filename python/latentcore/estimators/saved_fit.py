"""What files keep of the course of a fit, of whatever mixture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.estimators.checks import boolean, integer
from latentcore.estimators.summary import Training

__all__ = ["check_weights", "feature_names", "pack_fit", "unpack_fit"]


def pack_fit(state: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the attributes in ``state`` that tell how the fit went."""
    names = state.get("feature_names_in_")
    return {
        "lower_bounds_": np.array(state.get("lower_bounds_", []), np.float64),
        "training": np.array(state.get("_training", []), np.float64),
        "converged_": bool(state.get("converged_", False)),
        "n_degenerate_": int(state.get("n_degenerate_", 0)),
        "feature_names_in_": None if names is None else list(names),
    }


def unpack_fit(learned: Mapping[str, Any], n_features: int) -> dict[str, Any]:
    """The attributes that ``pack_fit`` packed.

    Raises
    ------
    ValueError, TypeError, KeyError
        They are not those of a fit.
    """
    bounds = learned["lower_bounds_"].tolist()
    attributes: dict[str, Any] = {
        "converged_": boolean("converged_", learned["converged_"]),
        "n_iter_": len(bounds),
        "lower_bound_": bounds[-1] if bounds else float("-inf"),
        "lower_bounds_": bounds,
        "n_degenerate_": integer("n_degenerate_", learned["n_degenerate_"], 0),
        "n_features_in_": n_features,
    }
    training = learned["training"].tolist()
    if training:
        n_rows, *figures = training
        attributes["_training"] = Training(int(n_rows), *figures)
    names = learned["feature_names_in_"]
    if names is not None:
        attributes["feature_names_in_"] = feature_names(names, n_features)
    return attributes


def check_weights(weights: Any) -> None:
    """Raise ``ValueError`` for weights that are none."""
    if weights.ndim != 1 or not np.isfinite(weights).all():
        raise ValueError(f"weights_: expected finite numbers (K,), got shape {weights.shape}")
    if weights.min() < 0 or abs(float(weights.sum()) - 1) > 1e-3:
        raise ValueError(
            f"weights_: expected numbers >= 0 that sum to 1, got the sum {weights.sum()}"
        )


def feature_names(names: Any, n_features: int) -> npt.NDArray[np.object_]:
    """The attribute of these names; raises ``ValueError`` for what is none."""
    strings = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not strings or len(names) != n_features:
        raise ValueError(f"feature_names_in_: expected {n_features} strings, got {names!r}")
    return np.array(names, dtype=object)
