"""Special functions."""

cimport numpy as cnp

from latentcore._arrays cimport check_any_real, data, elementwise, out_like
from latentcore._core cimport api

cnp.import_array()


def lgamma(x, out=None):
    """Logarithm of the gamma function, element by element, for x >= 0.

    Parameters
    ----------
    x : ndarray of float32 or float64, C-contiguous
    out : ndarray of the same shape and dtype, optional
        Where to write; may be ``x``.

    Returns
    -------
    ndarray
        ``out``, or a new array. +inf at 0 and at +inf, NaN below 0; no warnings.

    Notes
    -----
    The error is at most ``24 eps max(1, |result|)``: absolute near the zeros 1 and 2.
    Recurrence and asymptotic series (Abramowitz and Stegun, 1964, 6.1.40).
    """
    return elementwise(x, out, api.lgamma_f64, api.lgamma_f32)


def multivariate_lgamma(x, Py_ssize_t dimension):
    """Logarithm of the multivariate gamma function in D dimensions, element by element.

    ``D (D - 1) / 4 log pi + sum_{j<D} log Gamma(x - j / 2)``: the normaliser of Wishart distributions (Muirhead, 1982,
    theorem 2.1.12).

    Parameters
    ----------
    x : ndarray of float64, C-contiguous
    dimension : int >= 1
        D.

    Returns
    -------
    ndarray
        Of the shape of x. +inf at x = (D - 1) / 2 and at +inf, NaN below; no warnings.

    Notes
    -----
    The errors are those of the D values of ``lgamma`` and of their sum.
    """
    if check_any_real(x) != cnp.NPY_FLOAT64:
        raise TypeError(f"x: expected float64, got {x.dtype}")
    if dimension < 1:
        raise ValueError(f"dimension: expected a number >= 1, got {dimension}")
    cdef Py_ssize_t n = cnp.PyArray_SIZE(<cnp.ndarray>x)
    out = out_like(x, None, "out", cnp.NPY_FLOAT64)
    cdef double *source = <double *>data(x)
    cdef double *target = <double *>data(out)
    with nogil:
        api.multivariate_lgamma(n, dimension, source, target)
    return out


def digamma(x, out=None):
    """First derivative of the logarithm of the gamma function, element by element, for x >= 0.

    Parameters
    ----------
    x : ndarray of float32 or float64, C-contiguous
    out : ndarray of the same shape and dtype, optional
        Where to write; may be ``x``.

    Returns
    -------
    ndarray
        ``out``, or a new array. -inf at 0, +inf at +inf, NaN below 0; no warnings.

    Notes
    -----
    The error is at most ``8 eps max(1, |result|)``: absolute near the zero 1.4616.
    Recurrence and asymptotic series (Abramowitz and Stegun, 1964, 6.3.18).
    """
    return elementwise(x, out, api.digamma_f64, api.digamma_f32)


def trigamma(x, out=None):
    """Second derivative of the logarithm of the gamma function, element by element, for x >= 0.

    Parameters
    ----------
    x : ndarray of float32 or float64, C-contiguous
    out : ndarray of the same shape and dtype, optional
        Where to write; may be ``x``.

    Returns
    -------
    ndarray
        ``out``, or a new array. +inf at 0, 0 at +inf, NaN below 0; no warnings.

    Notes
    -----
    The error is at most ``4 eps |result|``.
    Recurrence and asymptotic series (Abramowitz and Stegun, 1964, 6.4.12).
    """
    return elementwise(x, out, api.trigamma_f64, api.trigamma_f32)


def sin_cos(x, out=None):
    """Sine and cosine, element by element, at most ``eps`` from the true values.

    Parameters
    ----------
    x : ndarray of float32 or float64, C-contiguous
        Radians. Those beyond 1e4 (float32: 1e3) take longer.
    out : pair of ndarrays of the same shape and dtype, optional
        Where to write sines and cosines; one of them may be ``x``.

    Returns
    -------
    sine, cosine : ndarrays
        ``out``, or new arrays. NaN at infinities; no warnings.
    """
    cdef int dtype = check_any_real(x)
    sine, cosine = (None, None) if out is None else out
    sine, cosine = out_like(x, sine, "out[0]", dtype), out_like(x, cosine, "out[1]", dtype)
    if sine is cosine:
        raise ValueError("out: expected two arrays, got one twice")
    cdef Py_ssize_t n = cnp.PyArray_SIZE(<cnp.ndarray>x)
    cdef void *source = data(x)
    cdef void *sines = data(sine)
    cdef void *cosines = data(cosine)
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            api.sin_cos_f64(n, <double *>source, <double *>sines, <double *>cosines)
        else:
            api.sin_cos_f32(n, <float *>source, <float *>sines, <float *>cosines)
    return sine, cosine
