"""What a file keeps of a fitted Gaussian mixture, and the checks when it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentcore.estimators import gaussian_parameters as border
from latentcore.estimators.saved_fit import pack_fit, unpack_fit
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
    return {**arrays, **pack_fit(state)}


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
    return {**arrays, **unpack_fit(learned, n_features)}
