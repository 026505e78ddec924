"""Probabilities as logarithms."""

cimport numpy as cnp
from libc.stdlib cimport free

from latentcore._arrays cimport check_like, check_real, check_shape1, check_shape2, data, elementwise, new, workspace
from latentcore._core cimport api

cnp.import_array()


def exp(x, out=None):
    """Exponential function, element by element, at most 2 ulp from the true value.

    Parameters
    ----------
    x : ndarray of float32 or float64, C-contiguous
    out : ndarray of the same shape and dtype, optional
        Where to write; may be ``x``.

    Returns
    -------
    ndarray
        ``out``, or a new array. Results below the smallest normal number are 0.
    """
    return elementwise(x, out, api.exp_f64, api.exp_f32)


def log(x, out=None):
    """Natural logarithm, element by element, at most 2 ulp from the true value.

    Parameters
    ----------
    x : ndarray of float32 or float64, C-contiguous
    out : ndarray of the same shape and dtype, optional
        Where to write; may be ``x``.

    Returns
    -------
    ndarray
        ``out``, or a new array. -inf at 0, NaN below; no warnings.
    """
    return elementwise(x, out, api.log_f64, api.log_f32)


def logsumexp(a, out=None):
    """Logarithm of the sum of exponentials of each row, ``log sum_k exp(a[n, k])``.

    Parameters
    ----------
    a : (N, K) ndarray of float32 or float64, C-contiguous
    out : (N,) ndarray of the same dtype, optional

    Returns
    -------
    (N,) ndarray
        A row with a NaN gives NaN; otherwise a row with +inf gives +inf; a row of -inf only, or an empty one,
        gives -inf. The absolute error is about ``eps * max(1, |largest|)``.
    """
    cdef int dtype = check_real(a, "a", 2)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>a, 0), k = cnp.PyArray_DIM(<cnp.ndarray>a, 1)
    if out is None:
        out = new(1, n, 0, 0, dtype)
    else:
        check_like(out, "out", 1, dtype, True)
        check_shape1(out, "out", n)
    cdef void *source = data(a)
    cdef void *target = data(out)
    cdef void *work = workspace(
        api.logspace_work_f64(k) if dtype == cnp.NPY_FLOAT64 else api.logspace_work_f32(k))
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            api.logsumexp_f64(n, k, <double *>source, k, <double *>target, work)
        else:
            api.logsumexp_f32(n, k, <float *>source, k, <float *>target, work)
        free(work)
    return out


def responsibilities(a, out=None):
    """Posterior probabilities from log joint densities, ``exp(a[n, k] - lse[n])``, with the log-normaliser.

    Parameters
    ----------
    a : (N, K) ndarray of float32 or float64, C-contiguous
        log p(k) + log p(x_n | k), nats.
    out : (N, K) ndarray of the same dtype, optional
        Where to write the responsibilities; may be ``a``.

    Returns
    -------
    responsibilities : (N, K) ndarray
        Rows sum to one. A row whose log-normaliser is not finite has none: NaN.
    lse : (N,) ndarray
        ``log sum_k exp(a[n, k])``, nats.
    """
    cdef int dtype = check_real(a, "a", 2)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>a, 0), k = cnp.PyArray_DIM(<cnp.ndarray>a, 1)
    if out is None:
        out = new(2, n, k, 0, dtype)
    else:
        check_like(out, "out", 2, dtype, True)
        check_shape2(out, "out", n, k)
    lse = new(1, n, 0, 0, dtype)
    cdef void *source = data(a)
    cdef void *target = data(out)
    cdef void *normaliser = data(lse)
    cdef void *work = workspace(
        api.logspace_work_f64(k) if dtype == cnp.NPY_FLOAT64 else api.logspace_work_f32(k))
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            api.responsibilities_f64(n, k, <double *>source, k, <double *>target, k, <double *>normaliser, work)
        else:
            api.responsibilities_f32(n, k, <float *>source, k, <float *>target, k, <float *>normaliser, work)
        free(work)
    return out, lse
