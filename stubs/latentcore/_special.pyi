from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Real = TypeVar("_Real", np.float32, np.float64)

def lgamma(x: npt.NDArray[_Real], out: npt.NDArray[_Real] | None = None) -> npt.NDArray[_Real]: ...
def digamma(x: npt.NDArray[_Real], out: npt.NDArray[_Real] | None = None) -> npt.NDArray[_Real]: ...
def trigamma(
    x: npt.NDArray[_Real], out: npt.NDArray[_Real] | None = None
) -> npt.NDArray[_Real]: ...
def sin_cos(
    x: npt.NDArray[_Real], out: tuple[npt.NDArray[_Real], npt.NDArray[_Real]] | None = None
) -> tuple[npt.NDArray[_Real], npt.NDArray[_Real]]: ...
