"""The dense linear algebra of covariance matrices."""

cimport numpy as cnp

from latentcore._arrays cimport check_double, check_shape2, data, new
from latentcore._c cimport LC_OK, lc_status
from latentcore._core cimport api

from latentcore.errors import NumericalError

cnp.import_array()


cdef Py_ssize_t _order(object a, str name) except -1:
    check_double(a, name, 2)
    cdef Py_ssize_t d = cnp.PyArray_DIM(<cnp.ndarray>a, 0)
    if d < 1:
        raise ValueError(f"{name}: expected at least one row, got shape {a.shape}")
    check_shape2(a, name, d, d)
    return d


cdef object _output(object out, Py_ssize_t d):
    if out is None:
        return new(2, d, d, 0, cnp.NPY_FLOAT64)
    check_double(out, "out", 2, True)
    check_shape2(out, "out", d, d)
    return out


def cholesky(a, out=None):
    """Lower triangular L with ``a = L L^T``; only the lower triangle of ``a`` is read.

    Parameters
    ----------
    a : (D, D) ndarray of float64, C-contiguous
    out : (D, D) ndarray of float64, optional
        Where to write; may be ``a``.

    Raises
    ------
    NumericalError
        ``a`` is not positive definite.
    """
    cdef Py_ssize_t d = _order(a, "a")
    out = _output(out, d)
    cdef double *source = <double *>data(a)
    cdef double *target = <double *>data(out)
    cdef lc_status status
    with nogil:
        status = api.cholesky(d, source, target)
    if status != LC_OK:
        raise NumericalError("a: expected a positive definite matrix, got one that is not")
    return out


def inverse_transpose(lower, out=None):
    """Upper triangular ``L^-T``: if ``a = L L^T`` it is the U with ``a^-1 = U U^T``.

    Parameters
    ----------
    lower : (D, D) ndarray of float64, C-contiguous
        Lower triangular with a diagonal without zeros; the rest is not read.
    out : (D, D) ndarray of float64, optional
        Where to write; not ``lower``.
    """
    cdef Py_ssize_t d = _order(lower, "lower")
    out = _output(out, d)
    cdef double *source = <double *>data(lower)
    cdef double *target = <double *>data(out)
    if source == target:
        raise ValueError("out: expected another array than lower, got the same")
    with nogil:
        api.inverse_transpose(d, source, target)
    return out
