# cython: language_level=3
"""Calls the C core through its table of functions: nothing is linked, and no Python runs between the calls."""

from libc.stdlib cimport free, malloc

from latentcore._c cimport lc_status, LC_OK
from latentcore._core cimport api


def normalize(double[:, ::1] log_joint, double[:, ::1] responsibilities):
    """Write the responsibilities of each row of log_joint; return the sum of the rows' log-sum-exps."""
    cdef Py_ssize_t n = log_joint.shape[0], k = log_joint.shape[1], i
    cdef double total = 0
    cdef lc_status status
    cdef double *lse
    cdef void *work
    if n == 0 or k == 0 or responsibilities.shape[0] != n or responsibilities.shape[1] != k:
        raise ValueError("expected two arrays of one shape, not empty")
    with nogil:
        lse = <double *>malloc(n * sizeof(double))
        work = malloc(api.logspace_work_f64(k))
        status = api.responsibilities_f64(n, k, &log_joint[0, 0], k, &responsibilities[0, 0], k, lse, work)
        for i in range(n):
            total += lse[i]
        free(lse)
        free(work)
    if status != LC_OK:
        raise ValueError(api.status_message(status).decode())
    return total


def versions():
    """The C library's version and instruction set, as it tells them."""
    return api.version().decode(), api.isa().decode()
