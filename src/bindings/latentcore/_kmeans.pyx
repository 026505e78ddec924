"""Lloyd's algorithm, one sweep at a time."""

cimport numpy as cnp
from libc.stdlib cimport free

from latentcore._arrays cimport check_double, check_dtype, check_real, check_shape1, check_shape2, data, new_zeros, workspace
from latentcore._core cimport api

cnp.import_array()


def kmeans_sweep(x, sample_weight, centers, labels, distances=None):
    """Assign every row to its nearest center and sum the rows of each center (Lloyd 1982).

    Parameters
    ----------
    x : (N, D) ndarray of float32 or float64, C-contiguous
    sample_weight : (N,) ndarray of float64, or None for ones
    centers : (K, D) ndarray of float64
    labels : (N,) ndarray of int32
        Written: the nearest center, the first of equals.
    distances : (N,) ndarray of float64, optional
        Written: squared distances to it.

    Returns
    -------
    counts : (K,) ndarray
        Sums of weights.
    first : (K, D) ndarray
        Sums of weight times (row - center).
    inertia : float
        Sum of weight times squared distance.
    """
    cdef int dtype = check_real(x, "x", 2)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>x, 0), d = cnp.PyArray_DIM(<cnp.ndarray>x, 1)
    check_double(centers, "centers", 2)
    cdef Py_ssize_t k = cnp.PyArray_DIM(<cnp.ndarray>centers, 0)
    if k < 1 or d < 1:
        raise ValueError(f"centers: expected at least one center and one feature, got shape {centers.shape}")
    check_shape2(centers, "centers", k, d)
    check_dtype(labels, "labels", 1, cnp.NPY_INT32, "int32", True)
    check_shape1(labels, "labels", n)
    cdef double *weight = NULL
    cdef double *distance = NULL
    if sample_weight is not None:
        check_double(sample_weight, "sample_weight", 1)
        check_shape1(sample_weight, "sample_weight", n)
        weight = <double *>data(sample_weight)
    if distances is not None:
        check_double(distances, "distances", 1, True)
        check_shape1(distances, "distances", n)
        distance = <double *>data(distances)
    counts, first = new_zeros(1, k, 0, 0), new_zeros(2, k, d, 0)
    cdef void *rows = data(x)
    cdef double *center = <double *>data(centers)
    cdef int *label = <int *>data(labels)
    cdef double *count = <double *>data(counts)
    cdef double *sums = <double *>data(first)
    cdef double inertia = 0
    cdef void *work = workspace(
        api.kmeans_work_f64(k, d) if dtype == cnp.NPY_FLOAT64 else api.kmeans_work_f32(k, d))
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            api.kmeans_sweep_f64(n, k, d, <double *>rows, d, weight, center, label, distance, count, sums, &inertia, work)
        else:
            api.kmeans_sweep_f32(n, k, d, <float *>rows, d, weight, center, label, distance, count, sums, &inertia, work)
        free(work)
    return counts, first, inertia


def kmeans_potentials(x, sample_weight, candidates, nearest):
    """What each candidate would leave of the potential, were it to become a center (Arthur & Vassilvitskii 2007).

    ``potentials[j] = sum_n w_n min(nearest[n], |x_n - candidates[j]|^2)``.

    Parameters
    ----------
    x : (N, D) ndarray of float32 or float64, C-contiguous
    sample_weight : (N,) ndarray of float64, or None for ones
    candidates : (K, D) ndarray of float64
    nearest : (N,) ndarray of float64
        Squared distances to the nearest center so far; infinities where there is none.

    Returns
    -------
    (K,) ndarray
    """
    cdef int dtype = check_real(x, "x", 2)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>x, 0), d = cnp.PyArray_DIM(<cnp.ndarray>x, 1)
    check_double(candidates, "candidates", 2)
    cdef Py_ssize_t k = cnp.PyArray_DIM(<cnp.ndarray>candidates, 0)
    if k < 1 or d < 1:
        raise ValueError(
            f"candidates: expected at least one candidate and one feature, got shape {candidates.shape}")
    check_shape2(candidates, "candidates", k, d)
    check_double(nearest, "nearest", 1)
    check_shape1(nearest, "nearest", n)
    cdef double *weight = NULL
    if sample_weight is not None:
        check_double(sample_weight, "sample_weight", 1)
        check_shape1(sample_weight, "sample_weight", n)
        weight = <double *>data(sample_weight)
    potentials = new_zeros(1, k, 0, 0)
    cdef void *rows = data(x)
    cdef double *candidate = <double *>data(candidates)
    cdef double *distance = <double *>data(nearest)
    cdef double *potential = <double *>data(potentials)
    cdef void *work = workspace(
        api.kmeans_work_f64(k, d) if dtype == cnp.NPY_FLOAT64 else api.kmeans_work_f32(k, d))
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            api.kmeans_potentials_f64(n, k, d, <double *>rows, d, weight, candidate, distance, potential, work)
        else:
            api.kmeans_potentials_f32(n, k, d, <float *>rows, d, weight, candidate, distance, potential, work)
        free(work)
    return potentials
