"""Peak memory of one fit beyond its data, in a process of its own.

Run by ``run.py`` as ``memory.py LIBRARY COVARIANCE_TYPE N D K DTYPE``; prints MiB. Needs Linux.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import warnings
from pathlib import Path
from typing import cast

from fits import Library, fit
from latentcore import get_num_threads
from shapes import CovarianceType, DType, Shape, make


def peak_of_fit(library: Library, shape: Shape, dtype: DType) -> float:
    """MiB, measured in a new process."""
    command = [
        sys.executable, __file__, library, shape.covariance_type, str(shape.n_rows),
        str(shape.n_features), str(shape.n_components), dtype,
    ]  # fmt: skip
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(result.stdout)


def _status(field: str) -> int:
    """KiB of a field of ``/proc/self/status``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def _measure(library: Library, shape: Shape, dtype: DType) -> float:
    small = Shape(shape.covariance_type, 100, 2, 2)
    fit(library, make(small, dtype), 2, get_num_threads())  # what is loaded or started only once
    problem = make(shape, dtype)
    ctypes.CDLL(None).malloc_trim(0)  # freed memory, used again, would hide what the fit takes
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is resident
    before = _status("VmRSS")
    fit(library, problem, 2, get_num_threads())
    return (_status("VmHWM") - before) / 1024


def main(arguments: list[str]) -> None:
    library, covariance_type, *sizes, dtype = arguments
    shape = Shape(cast(CovarianceType, covariance_type), *map(int, sizes))
    warnings.simplefilter("ignore")  # two iterations do not converge
    print(_measure(cast(Library, library), shape, cast(DType, dtype)))


if __name__ == "__main__":
    main(sys.argv[1:])
