import numpy as np
import numpy.typing as npt

def cholesky(
    a: npt.NDArray[np.float64], out: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.float64]: ...
def inverse_transpose(
    lower: npt.NDArray[np.float64], out: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.float64]: ...
