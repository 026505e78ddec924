from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

_Real = TypeVar("_Real", np.float32, np.float64)
_Array = npt.NDArray[np.float64]
_Features = Literal["x", "x_log_x", "cos_sin", "one_hot"]
_Levels = npt.NDArray[np.intp]
_Rows = npt.NDArray[_Real] | tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[_Real]]

def linear_em_sweep(
    x: _Rows[_Real],
    sample_weight: _Array | None,
    offsets: _Array,
    constants: _Array,
    coefficients: _Array,
    features: _Features,
    levels: _Levels | None = None,
    missing: bool = False,
    labels: npt.NDArray[np.int32] | None = None,
    hard: bool = False,
) -> tuple[_Array, _Array, _Array | None, float]: ...
def linear_moments(
    x: _Rows[_Real],
    weights: npt.NDArray[_Real],
    features: _Features,
    levels: _Levels | None = None,
    missing: bool = False,
    n_columns: int | None = None,
) -> tuple[_Array, _Array, _Array | None]: ...
def linear_log_joint(
    x: _Rows[_Real],
    offsets: _Array,
    constants: _Array,
    coefficients: _Array,
    features: _Features,
    levels: _Levels | None = None,
    missing: bool = False,
) -> npt.NDArray[_Real]: ...
def linear_responsibilities(
    x: _Rows[_Real],
    offsets: _Array,
    constants: _Array,
    coefficients: _Array,
    features: _Features,
    levels: _Levels | None = None,
    missing: bool = False,
) -> tuple[npt.NDArray[_Real], npt.NDArray[_Real]]: ...
def linear_log_density(
    x: _Rows[_Real],
    offsets: _Array,
    constants: _Array,
    coefficients: _Array,
    features: _Features,
    levels: _Levels | None = None,
    missing: bool = False,
) -> npt.NDArray[_Real]: ...
def linear_labels(
    x: _Rows[_Real],
    offsets: _Array,
    constants: _Array,
    coefficients: _Array,
    features: _Features,
    levels: _Levels | None = None,
    missing: bool = False,
) -> npt.NDArray[np.intp]: ...
