from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

_Real = TypeVar("_Real", np.float32, np.float64)
_Array = npt.NDArray[np.float64]
_CovarianceType = Literal["full", "tied", "diag", "spherical"]

def gaussian_em_sweep(
    x: npt.NDArray[_Real],
    sample_weight: _Array | None,
    offsets: _Array,
    means: _Array,
    factors: _Array,
    covariance_type: _CovarianceType,
    centers: _Array | None = None,
    labels: npt.NDArray[np.int32] | None = None,
    hard: bool = False,
) -> tuple[_Array, _Array, _Array, float, bool]: ...
def gaussian_expected(
    mean_precision: _Array,
    degrees_of_freedom: _Array,
    scale: _Array,
    covariance_type: _CovarianceType,
    n_features: int,
) -> tuple[_Array, _Array]: ...
def gaussian_cavi_sweep(
    x: npt.NDArray[_Real],
    sample_weight: _Array | None,
    expected_log_weights: _Array,
    means: _Array,
    mean_precision: _Array,
    degrees_of_freedom: _Array,
    scale: _Array,
    covariance_type: _CovarianceType,
) -> tuple[_Array, _Array, _Array, float, bool]: ...
def gaussian_moments(
    x: npt.NDArray[_Real],
    weights: npt.NDArray[_Real],
    centers: _Array,
    covariance_type: _CovarianceType,
) -> tuple[_Array, _Array, _Array, bool]: ...
def gaussian_log_joint(
    x: npt.NDArray[_Real],
    offsets: _Array,
    means: _Array,
    factors: _Array,
    covariance_type: _CovarianceType,
    out: npt.NDArray[_Real] | None = None,
) -> npt.NDArray[_Real]: ...
def gaussian_responsibilities(
    x: npt.NDArray[_Real],
    offsets: _Array,
    means: _Array,
    factors: _Array,
    covariance_type: _CovarianceType,
    out: npt.NDArray[_Real] | None = None,
) -> tuple[npt.NDArray[_Real], npt.NDArray[_Real]]: ...
def gaussian_log_density(
    x: npt.NDArray[_Real],
    offsets: _Array,
    means: _Array,
    factors: _Array,
    covariance_type: _CovarianceType,
    out: npt.NDArray[_Real] | None = None,
) -> npt.NDArray[_Real]: ...
def gaussian_labels(
    x: npt.NDArray[_Real],
    offsets: _Array,
    means: _Array,
    factors: _Array,
    covariance_type: _CovarianceType,
    out: npt.NDArray[np.intp] | None = None,
) -> npt.NDArray[np.intp]: ...
def gaussian_add(
    counts_a: _Array,
    means_a: _Array,
    scatters_a: _Array,
    counts_b: _Array,
    means_b: _Array,
    scatters_b: _Array,
    covariance_type: _CovarianceType,
) -> tuple[_Array, _Array, _Array]: ...
def gaussian_maximize(
    counts: _Array,
    scatters: _Array,
    ridge: float,
    covariance_type: _CovarianceType,
    n_features: int,
    previous: _Array | None = None,
) -> tuple[_Array, _Array, _Array]: ...
def gaussian_factors(
    covariances: _Array, covariance_type: _CovarianceType, n_components: int, n_features: int
) -> tuple[_Array, _Array]: ...
