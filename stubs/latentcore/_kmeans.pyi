from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Real = TypeVar("_Real", np.float32, np.float64)
_Array = npt.NDArray[np.float64]

def kmeans_sweep(
    x: npt.NDArray[_Real],
    sample_weight: _Array | None,
    centers: _Array,
    labels: npt.NDArray[np.int32],
    distances: _Array | None = None,
) -> tuple[_Array, _Array, float]: ...
def kmeans_potentials(
    x: npt.NDArray[_Real],
    sample_weight: _Array | None,
    candidates: _Array,
    nearest: _Array,
) -> _Array: ...
