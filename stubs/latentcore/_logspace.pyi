from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Real = TypeVar("_Real", np.float32, np.float64)

def exp(x: npt.NDArray[_Real], out: npt.NDArray[_Real] | None = None) -> npt.NDArray[_Real]: ...
def log(x: npt.NDArray[_Real], out: npt.NDArray[_Real] | None = None) -> npt.NDArray[_Real]: ...
def logsumexp(
    a: npt.NDArray[_Real], out: npt.NDArray[_Real] | None = None
) -> npt.NDArray[_Real]: ...
def responsibilities(
    a: npt.NDArray[_Real], out: npt.NDArray[_Real] | None = None
) -> tuple[npt.NDArray[_Real], npt.NDArray[_Real]]: ...
