from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Real = TypeVar("_Real", np.float32, np.float64)
_Array = npt.NDArray[np.float64]
_Begins = npt.NDArray[np.int64]
_States = npt.NDArray[np.int32]

def hmm_log_likelihood(
    log_density: npt.NDArray[_Real],
    begins: _Begins,
    log_initial: _Array,
    log_transition: _Array,
) -> tuple[_Array, _Array]: ...
def hmm_forward(
    log_density: npt.NDArray[_Real],
    begins: _Begins,
    log_initial: _Array,
    log_transition: _Array,
) -> tuple[_Array, _Array]: ...
def hmm_forward_backward(
    log_density: npt.NDArray[_Real],
    begins: _Begins,
    log_initial: _Array,
    log_transition: _Array,
    weights: _Array | None = None,
    log_future: _Array | None = None,
) -> tuple[_Array, npt.NDArray[_Real], _Array, _Array]: ...
def hmm_viterbi(
    log_density: npt.NDArray[_Real],
    begins: _Begins,
    log_initial: _Array,
    log_transition: _Array,
    end_state: int = -1,
) -> tuple[_States, _Array, _Array]: ...
def hmm_sample(
    log_filtered: _Array, begins: _Begins, log_transition: _Array, uniforms: _Array
) -> _States: ...
