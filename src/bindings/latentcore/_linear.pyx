"""Components whose log-density is linear in statistics of a row: sweeps over dense rows, codes and sparse rows."""

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free

from latentcore._arrays cimport (
    check_double, check_dtype, check_labels, check_like, check_real, check_shape1, check_shape2, data, new, new_zeros, workspace,
)
from latentcore._c cimport (
    LC_LINEAR, LC_LINEAR_ANGLE, LC_LINEAR_CODE, LC_LINEAR_LOG, LC_OK, lc_components, lc_family, lc_moments, lc_status,
)
from latentcore._core cimport api

from latentcore.errors import ImpossibleRowError

cnp.import_array()


# Dense rows x, or sparse ones, of which x are the values.
cdef struct Rows:
    int dtype
    Py_ssize_t n
    Py_ssize_t d
    void *x
    const int64_t *begins
    const int32_t *columns


cdef int _check_entries(object x, Rows *rows) except -1:
    cdef Py_ssize_t i, n = rows.n, n_entries = cnp.PyArray_DIM(<cnp.ndarray>x[2], 0), d = rows.d
    cdef const int64_t *begins = rows.begins
    cdef const int32_t *columns = rows.columns
    cdef int64_t least = 0, most = 0
    cdef bint rising = True
    with nogil:
        for i in range(n):
            rising = rising and begins[i] <= begins[i + 1]
        if rising and 0 <= begins[0] and begins[n] <= n_entries:
            for i in range(begins[0], begins[n]):
                least = min(least, columns[i])
                most = max(most, columns[i])
    if not rising or begins[0] < 0 or begins[n] > n_entries:
        raise ValueError(f"x: expected begins that rise from 0 to at most {n_entries}, the number of entries, got others")
    if least < 0 or most >= d:
        raise ValueError(f"x: expected columns from 0 to {d - 1}, got {least if least < 0 else most}")
    return 0


# d is the number of columns of sparse rows, which their arrays do not tell.
cdef int _read_rows(Rows *rows, object x, Py_ssize_t d) except -1:
    if not isinstance(x, tuple):
        rows.dtype = check_real(x, "x", 2)
        rows.n, rows.d = cnp.PyArray_DIM(<cnp.ndarray>x, 0), cnp.PyArray_DIM(<cnp.ndarray>x, 1)
        rows.x, rows.begins, rows.columns = data(x), NULL, NULL
        if rows.d < 1:
            raise ValueError(f"x: expected at least one feature, got shape {x.shape}")
        return 0
    if len(x) != 3:
        raise ValueError(f"x: expected (begins, columns, values), got {len(x)} arrays")
    check_dtype(x[0], "begins", 1, cnp.NPY_INT64, "int64")
    check_dtype(x[1], "columns", 1, cnp.NPY_INT32, "int32")
    rows.dtype = check_real(x[2], "values", 1)
    check_shape1(x[1], "columns", cnp.PyArray_DIM(<cnp.ndarray>x[2], 0))
    rows.n, rows.d = cnp.PyArray_DIM(<cnp.ndarray>x[0], 0) - 1, d
    if rows.n < 0:
        raise ValueError("begins: expected at least one entry, got none")
    rows.x, rows.begins, rows.columns = data(x[2]), <int64_t *>data(x[0]), <int32_t *>data(x[1])
    return _check_entries(x, rows)


cdef int _family(object features) except -1:
    if features == "x":
        return LC_LINEAR
    if features == "x_log_x":
        return LC_LINEAR_LOG
    if features == "cos_sin":
        return LC_LINEAR_ANGLE
    if features == "one_hot":
        return LC_LINEAR_CODE
    raise ValueError(f"features: expected 'x', 'x_log_x', 'cos_sin' or 'one_hot', got {features!r}")


# Family and sizes; returns F.
cdef Py_ssize_t _shape(lc_components *c, Rows *rows, object x, Py_ssize_t k, Py_ssize_t d, object features, object levels,
                       bint missing) except -1:
    cdef Py_ssize_t j, n_statistics = d
    cdef const Py_ssize_t *n_levels
    c.family = <lc_family>_family(features)
    if k < 1 or d < 1:
        raise ValueError(f"expected at least one component and one feature, got {k} and {d}")
    c.n_components, c.n_features, c.has_missing = k, d, missing
    c.levels = c.offsets = c.means = c.factors = NULL
    if rows.begins != NULL and (c.family != LC_LINEAR or missing):
        raise ValueError("x: expected dense rows where features are not 'x' or entries are missing, got sparse rows")
    if c.family == LC_LINEAR_CODE:
        check_dtype(levels, "levels", 1, cnp.NPY_INTP, "intp")
        check_shape1(levels, "levels", d)
        c.levels = n_levels = <const Py_ssize_t *>data(levels)
        n_statistics = 0
        for j in range(d):
            if n_levels[j] < 1:
                raise ValueError(f"levels: expected numbers >= 1, got {n_levels[j]}")
            n_statistics += n_levels[j]
    elif levels is not None:
        raise ValueError("levels: expected None where features are not 'one_hot', got an array")
    elif c.family != LC_LINEAR:
        n_statistics = 2 * d
    return n_statistics


cdef int _components(lc_components *c, Rows *rows, object x, object offsets, object constants, object coefficients,
                     object features, object levels, bint missing) except -1:
    check_double(offsets, "offsets", 1)
    check_double(constants, "constants", 2)
    check_double(coefficients, "coefficients", 2)
    cdef Py_ssize_t k = cnp.PyArray_DIM(<cnp.ndarray>offsets, 0)
    cdef Py_ssize_t d = cnp.PyArray_DIM(<cnp.ndarray>constants, 1)
    _read_rows(rows, x, d)
    cdef Py_ssize_t n_statistics = _shape(c, rows, x, k, rows.d, features, levels, missing)
    check_shape2(constants, "constants", k, rows.d)
    check_shape2(coefficients, "coefficients", k, n_statistics)
    c.offsets, c.means = <const double *>data(offsets), <const double *>data(constants)
    c.factors = <const double *>data(coefficients)
    return 0


cdef void *_workspace(lc_components *c, Rows *rows) except NULL:
    if rows.begins == NULL:
        return workspace(api.mixture_work_f64(c) if rows.dtype == cnp.NPY_FLOAT64 else api.mixture_work_f32(c))
    return workspace(api.mixture_csr_work_f64(c) if rows.dtype == cnp.NPY_FLOAT64 else api.mixture_csr_work_f32(c))


def linear_em_sweep(x, sample_weight, offsets, constants, coefficients, features, levels=None, missing=False, labels=None,
                    hard=False):
    """One E-step of a mixture of linear components with its expected statistics, in one pass over the rows.

    With ``a[n, k] = offsets[k] + sum_d constants[k, d] + sum_f coefficients[k, f] T_f(x_n)``, over the observed columns d,
    and ``r[n, k] = w_n exp(a[n, k]) / sum_j exp(a[n, j])`` (Dempster, Laird & Rubin 1977). An infinite coefficient forbids:
    -inf allows only T_f = 0, +inf only T_f = 1, and neither adds anything then.

    The same sweep serves coordinate ascent under a posterior q: with ``offsets = E log weights``, and for densities
    ``exp(T(x) . eta - A(eta))`` with ``coefficients = E eta`` and ``constants = -E A(eta)``, a[n, k] is the expected log
    joint density. For Poissons with rates ~ Gamma(a, b) these are ``psi(a) - log b`` and ``-a / b``.

    Parameters
    ----------
    x : (N, D) ndarray of float32 or float64, C-contiguous; or (begins, columns, values)
        Sparse rows, for features 'x': row n has the entries ``begins[n]`` to ``begins[n + 1] - 1`` (int64), with their
        columns (int32) and values (float32 or float64).
    sample_weight : (N,) ndarray of float64 >= 0, or None for ones
    offsets : (K,) ndarray of float64
    constants : (K, D) ndarray of float64
    coefficients : (K, F) ndarray of float64
    features : {'x', 'x_log_x', 'cos_sin', 'one_hot'}
        T(x): x (F = D); x of all columns, then log x of all (F = 2 D); cosines, then sines (F = 2 D); for codes
        0 .. levels[d] - 1, ones at the code of each column (F = sum of levels).
    levels : (D,) ndarray of intp, for 'one_hot' only
    missing : bool
        Whether x may hold NaN, for a missing entry.
    labels : (N,) ndarray of int32, optional
        The known component of a row; negative where unknown.
    hard : bool
        Rows belong to their best component alone.

    Returns
    -------
    counts : (K,) ndarray
        ``sum_n r[n, k]``.
    sums : (K, F) ndarray
        ``sum_n r[n, k] T(x_n)``.
    observed : (K, D) ndarray or None
        With ``missing``: ``r[n, k]`` summed over the rows in which a column was observed.
    objective : float
        ``sum_n w_n log sum_k exp(a[n, k])``, nats, with one term in place of the sum where one component counts.

    Raises
    ------
    ImpossibleRowError
        A row has density 0 under every component.
    """
    cdef lc_components c
    cdef Rows rows
    _components(&c, &rows, x, offsets, constants, coefficients, features, levels, missing)
    cdef Py_ssize_t n = rows.n, k = c.n_components, d = c.n_features
    cdef double *weight = NULL
    cdef int *label = NULL
    if sample_weight is not None:
        check_double(sample_weight, "sample_weight", 1)
        check_shape1(sample_weight, "sample_weight", n)
        weight = <double *>data(sample_weight)
    if labels is not None:
        check_labels(labels, n, k)
        label = <int *>data(labels)
    cdef lc_moments m
    counts, sums = new_zeros(1, k, 0, 0), new_zeros(2, k, cnp.PyArray_DIM(<cnp.ndarray>coefficients, 1), 0)
    observed = new_zeros(2, k, d, 0) if missing else None
    m.centers, m.counts, m.first = NULL, <double *>data(counts), <double *>data(sums)
    m.second = <double *>data(observed) if missing else NULL
    cdef double objective = 0
    cdef Py_ssize_t row = 0
    cdef bint best = hard
    cdef lc_status status
    cdef void *work = _workspace(&c, &rows)
    with nogil:
        if rows.begins == NULL and rows.dtype == cnp.NPY_FLOAT64:
            status = api.mixture_em_sweep_f64(n, <double *>rows.x, d, weight, label, best, &c, &m, &objective, &row, work)
        elif rows.begins == NULL:
            status = api.mixture_em_sweep_f32(n, <float *>rows.x, d, weight, label, best, &c, &m, &objective, &row, work)
        elif rows.dtype == cnp.NPY_FLOAT64:
            status = api.mixture_csr_em_sweep_f64(n, rows.begins, rows.columns, <double *>rows.x, weight, label, best, &c, &m,
                                                  &objective, &row, work)
        else:
            status = api.mixture_csr_em_sweep_f32(n, rows.begins, rows.columns, <float *>rows.x, weight, label, best, &c, &m,
                                                  &objective, &row, work)
        free(work)
    if status != LC_OK:
        raise ImpossibleRowError(row)
    return counts, sums, observed, objective


def linear_moments(x, weights, features, levels=None, missing=False, n_columns=None):
    """Statistics of rows under given weights: the second half of an E-step.

    Parameters
    ----------
    x, features, levels, missing
        As for ``linear_em_sweep``.
    weights : (N, K) ndarray of the dtype of x, >= 0
    n_columns : int, for sparse rows only
        D.

    Returns
    -------
    counts, sums, observed
        As from ``linear_em_sweep``.
    """
    cdef lc_components c
    cdef Rows rows
    if isinstance(x, tuple) and n_columns is None:
        raise ValueError("n_columns: expected the number of columns of sparse rows, got None")
    _read_rows(&rows, x, 0 if n_columns is None else n_columns)
    check_like(weights, "weights", 2, rows.dtype)
    cdef Py_ssize_t n = rows.n, k = cnp.PyArray_DIM(<cnp.ndarray>weights, 1), d = rows.d
    check_shape2(weights, "weights", n, k)
    cdef Py_ssize_t n_statistics = _shape(&c, &rows, x, k, d, features, levels, missing)
    cdef lc_moments m
    counts, sums = new_zeros(1, k, 0, 0), new_zeros(2, k, n_statistics, 0)
    observed = new_zeros(2, k, d, 0) if missing else None
    m.centers, m.counts, m.first = NULL, <double *>data(counts), <double *>data(sums)
    m.second = <double *>data(observed) if missing else NULL
    cdef void *weight = data(weights)
    cdef void *work = _workspace(&c, &rows)
    with nogil:
        if rows.begins == NULL and rows.dtype == cnp.NPY_FLOAT64:
            api.mixture_moments_f64(n, <double *>rows.x, d, <double *>weight, k, &c, &m, work)
        elif rows.begins == NULL:
            api.mixture_moments_f32(n, <float *>rows.x, d, <float *>weight, k, &c, &m, work)
        elif rows.dtype == cnp.NPY_FLOAT64:
            api.mixture_csr_moments_f64(n, rows.begins, rows.columns, <double *>rows.x, <double *>weight, k, &c, &m, work)
        else:
            api.mixture_csr_moments_f32(n, rows.begins, rows.columns, <float *>rows.x, <float *>weight, k, &c, &m, work)
        free(work)
    return counts, sums, observed


# The four functions below are one kernel with other outputs.
cdef int _rows(lc_components *c, Rows *rows, void *log_joint, void *responsibilities, void *log_density,
               Py_ssize_t *labels) except -1:
    cdef void *work = _workspace(c, rows)
    with nogil:
        if rows.begins == NULL and rows.dtype == cnp.NPY_FLOAT64:
            api.mixture_rows_f64(rows.n, <double *>rows.x, rows.d, c, <double *>log_joint, <double *>responsibilities,
                                 <double *>log_density, labels, work)
        elif rows.begins == NULL:
            api.mixture_rows_f32(rows.n, <float *>rows.x, rows.d, c, <float *>log_joint, <float *>responsibilities,
                                 <float *>log_density, labels, work)
        elif rows.dtype == cnp.NPY_FLOAT64:
            api.mixture_csr_rows_f64(rows.n, rows.begins, rows.columns, <double *>rows.x, c, <double *>log_joint,
                                     <double *>responsibilities, <double *>log_density, labels, work)
        else:
            api.mixture_csr_rows_f32(rows.n, rows.begins, rows.columns, <float *>rows.x, c, <float *>log_joint,
                                     <float *>responsibilities, <float *>log_density, labels, work)
        free(work)
    return 0


def linear_log_joint(x, offsets, constants, coefficients, features, levels=None, missing=False):
    """``a[n, k]`` of ``linear_em_sweep``, (N, K): with log weights as offsets, the log joint density but for h(x)."""
    cdef lc_components c
    cdef Rows rows
    _components(&c, &rows, x, offsets, constants, coefficients, features, levels, missing)
    out = new(2, rows.n, c.n_components, 0, rows.dtype)
    _rows(&c, &rows, data(out), NULL, NULL, NULL)
    return out


def linear_responsibilities(x, offsets, constants, coefficients, features, levels=None, missing=False):
    """Posterior probabilities of the components for each row, (N, K), and ``log sum_k exp(a[n, k])``, (N,), nats.

    NaN and -inf in a row of density 0. Parameters as for ``linear_em_sweep``.
    """
    cdef lc_components c
    cdef Rows rows
    _components(&c, &rows, x, offsets, constants, coefficients, features, levels, missing)
    out, log_density = new(2, rows.n, c.n_components, 0, rows.dtype), new(1, rows.n, 0, 0, rows.dtype)
    _rows(&c, &rows, NULL, data(out), data(log_density), NULL)
    return out, log_density


def linear_log_density(x, offsets, constants, coefficients, features, levels=None, missing=False):
    """``log sum_k exp(a[n, k])``, (N,), nats; -inf where the density is 0. Parameters as for ``linear_em_sweep``."""
    cdef lc_components c
    cdef Rows rows
    _components(&c, &rows, x, offsets, constants, coefficients, features, levels, missing)
    out = new(1, rows.n, 0, 0, rows.dtype)
    _rows(&c, &rows, NULL, NULL, data(out), NULL)
    return out


def linear_labels(x, offsets, constants, coefficients, features, levels=None, missing=False):
    """The most responsible component of each row, (N,) intp, the first of equals. Parameters as for ``linear_em_sweep``."""
    cdef lc_components c
    cdef Rows rows
    _components(&c, &rows, x, offsets, constants, coefficients, features, levels, missing)
    out = new(1, rows.n, 0, 0, cnp.NPY_INTP)
    _rows(&c, &rows, NULL, NULL, NULL, <Py_ssize_t *>data(out))
    return out
