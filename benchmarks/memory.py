"""Peak memory of one fit beyond its data, in a process of its own.

Run by ``run.py`` as ``memory.py LIBRARY COVARIANCE_TYPE N D K DTYPE``, with ``bayesian`` in front of the library for a
Bayesian mixture; ``memory.py documents N D K DTYPE`` for sparse rows; ``memory.py chains EMISSION Q T S SIZE DTYPE``
for a hidden Markov model. Prints MiB, then that of the data. Needs Linux.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from contests import Sizes, documents, ours_on_documents
from fits import Library, bayesian_fit, fit
from hmm import Chains, EmissionName, latentcore_solver, make_chains
from latentcore import get_num_threads
from shapes import CovarianceType, DType, Shape, make


def peak_of_fit(library: Library, shape: Shape, dtype: DType) -> float:
    """MiB, measured in a new process."""
    return _in_new_process(
        library, shape.covariance_type, shape.n_rows, shape.n_features, shape.n_components, dtype
    )[0]


def peak_of_bayesian_fit(library: Library, shape: Shape, dtype: DType) -> float:
    """MiB, measured in a new process."""
    sizes = shape.n_rows, shape.n_features, shape.n_components
    return _in_new_process("bayesian", library, shape.covariance_type, *sizes, dtype)[0]


def peak_of_documents(sizes: Sizes, dtype: DType) -> tuple[float, float]:
    """MiB of a fit to sparse rows, measured in a new process, and MiB of the rows."""
    return _in_new_process("documents", sizes.n_rows, sizes.n_features, sizes.n_components, dtype)


def peak_of_chains(chains: Chains) -> float:
    """MiB of a fit to sequences, measured in a new process."""
    sizes = chains.n_sequences, chains.length, chains.n_states, chains.size
    return _in_new_process("chains", chains.emission, *sizes, "float64")[0]


def _in_new_process(*arguments: object) -> tuple[float, float]:
    command = [sys.executable, __file__, *map(str, arguments)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    peak, data = map(float, result.stdout.split())
    return peak, data


def _status(field: str) -> int:
    """KiB of a field of ``/proc/self/status``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def _peak(work: Callable[[], Any]) -> float:
    ctypes.CDLL(None).malloc_trim(0)  # freed memory, used again, would hide what the fit takes
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is resident
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before) / 1024


def _of_fit(
    fit: Callable[..., Any], library: Library, shape: Shape, dtype: DType
) -> tuple[float, float]:
    small = Shape(shape.covariance_type, 100, 2, 2)
    fit(library, make(small, dtype), 2, get_num_threads())  # what is loaded or started only once
    problem = make(shape, dtype)
    peak = _peak(lambda: fit(library, problem, 2, get_num_threads()))
    return peak, problem.x.nbytes / 2**20


def _of_documents(sizes: Sizes, dtype: DType) -> tuple[float, float]:
    ours_on_documents(documents(Sizes(100, 20, 2), dtype), None)(2)
    made = documents(sizes, dtype)
    arrays = (made.x.data, made.x.indices, made.x.indptr)
    work = ours_on_documents(made, None)
    return _peak(lambda: work(2)), sum(array.nbytes for array in arrays) / 2**20


def _of_chains(chains: Chains) -> tuple[float, float]:
    n_threads = get_num_threads()
    small = replace(chains, n_sequences=1, length=100)
    latentcore_solver(make_chains(small), n_threads).fit(2)
    problem = make_chains(chains)
    solver = latentcore_solver(problem, n_threads)
    return _peak(lambda: solver.fit(2)), problem.x.nbytes / 2**20


def main(arguments: list[str]) -> None:
    what, *rest, dtype_name = arguments
    dtype = cast(DType, dtype_name)
    warnings.simplefilter("ignore")  # two iterations do not converge
    if what == "documents":
        peak, data = _of_documents(Sizes(*map(int, rest)), dtype)
    elif what == "chains":
        emission, *sizes = rest
        peak, data = _of_chains(Chains(cast(EmissionName, emission), *map(int, sizes)))
    else:
        is_bayesian = what == "bayesian"
        library, covariance_type, *sizes = rest if is_bayesian else (what, *rest)
        shape = Shape(cast(CovarianceType, covariance_type), *map(int, sizes))
        work = bayesian_fit if is_bayesian else fit
        peak, data = _of_fit(work, cast(Library, library), shape, dtype)
    print(peak, data)


if __name__ == "__main__":
    main(sys.argv[1:])
