"""What a file keeps of a fitted Gaussian mixture, and the checks when it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentcore.estimators import gaussian_parameters as border
from latentcore.estimators.checks import boolean, integer
from latentcore.estimators.summary import Training
from latentcore.families.gaussian import CovarianceType

__all__ = ["pack", "unpack"]


def pack(state: Mapping[str, Any], type_: CovarianceType) -> dict[str, Any]:
    """Values of the attributes in ``state``; nothing before a fit.

    Raises
    ------
    ValueError
        Attributes were set by hand to what is no model.
    """
    params = border.from_attributes(state, type_)
    if params is None:
        return {}
    dtype = np.float32 if np.asarray(state["means_"]).dtype == np.float32 else np.float64
    arrays = border.attributes(params, type_, dtype)
    arrays |= {name: np.array(state[name], dtype) for name in border.NAMES if name in state}
    border.check_attributes(arrays, type_)
    names = state.get("feature_names_in_")
    return {
        **arrays,
        "lower_bounds_": np.array(state.get("lower_bounds_", []), np.float64),
        "training": np.array(state.get("_training", []), np.float64),
        "converged_": bool(state.get("converged_", False)),
        "n_degenerate_": int(state.get("n_degenerate_", 0)),
        "feature_names_in_": None if names is None else list(names),
    }


def unpack(learned: Mapping[str, Any], type_: CovarianceType) -> dict[str, Any]:
    """The attributes that ``pack`` packed.

    Raises
    ------
    ValueError, TypeError, KeyError
        They are not those of a Gaussian mixture.
    """
    if not learned:
        return {}
    arrays = {name: learned[name] for name in border.NAMES}
    n_features = border.check_attributes(arrays, type_)
    bounds = learned["lower_bounds_"].tolist()
    attributes: dict[str, Any] = {
        **arrays,
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
        _check_names(names, n_features)
        attributes["feature_names_in_"] = np.array(names, dtype=object)
    return attributes


def _check_names(names: Any, n_features: int) -> None:
    strings = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not strings or len(names) != n_features:
        raise ValueError(f"feature_names_in_: expected {n_features} strings, got {names!r}")
