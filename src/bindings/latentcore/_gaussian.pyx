"""Gaussian components: sweeps over rows, statistics, parameters."""

cimport numpy as cnp
from libc.stdlib cimport free
from libc.string cimport memcpy

from latentcore._arrays cimport (
    check_double, check_dtype, check_labels, check_like, check_real, check_shape1, check_shape2, check_shape3, data, new, new_zeros,
    workspace,
)
from latentcore._c cimport (
    LC_GAUSSIAN_DIAG, LC_GAUSSIAN_FULL, LC_GAUSSIAN_SPHERICAL, LC_GAUSSIAN_TIED, LC_OK, lc_components, lc_family,
    lc_moments, lc_status,
)
from latentcore._core cimport api

from latentcore.errors import CollapsedComponentError, ImpossibleRowError

cnp.import_array()


cdef int _family(object covariance_type) except -1:
    if covariance_type == "full":
        return LC_GAUSSIAN_FULL
    if covariance_type == "tied":
        return LC_GAUSSIAN_TIED
    if covariance_type == "diag":
        return LC_GAUSSIAN_DIAG
    if covariance_type == "spherical":
        return LC_GAUSSIAN_SPHERICAL
    raise ValueError(
        f"covariance_type: expected 'full', 'tied', 'diag' or 'spherical', got {covariance_type!r}")


# Covariances, factors and scatters have one shape for each family.
cdef int _check_matrices(object a, str name, int family, Py_ssize_t k, Py_ssize_t d) except -1:
    if family == LC_GAUSSIAN_FULL:
        check_double(a, name, 3)
        check_shape3(a, name, k, d, d)
    elif family == LC_GAUSSIAN_SPHERICAL:
        check_double(a, name, 1)
        check_shape1(a, name, k)
    else:
        check_double(a, name, 2)
        check_shape2(a, name, d if family == LC_GAUSSIAN_TIED else k, d)
    return 0


cdef object _new_matrices(int family, Py_ssize_t k, Py_ssize_t d):
    if family == LC_GAUSSIAN_FULL:
        return new_zeros(3, k, d, d)
    if family == LC_GAUSSIAN_SPHERICAL:
        return new_zeros(1, k, 0, 0)
    return new_zeros(2, d if family == LC_GAUSSIAN_TIED else k, d, 0)


cdef int _check_means(object means, str name, Py_ssize_t d) except -1:
    check_double(means, name, 2)
    check_shape2(means, name, cnp.PyArray_DIM(<cnp.ndarray>means, 0), d)
    if cnp.PyArray_DIM(<cnp.ndarray>means, 0) < 1 or d < 1:
        raise ValueError(f"{name}: expected at least one component and one feature, got shape {means.shape}")
    return 0


cdef int _components(lc_components *c, object x, object offsets, object means, object factors,
                     object covariance_type) except -1:
    cdef Py_ssize_t d = cnp.PyArray_DIM(<cnp.ndarray>x, 1)
    _check_means(means, "means", d)
    cdef Py_ssize_t k = cnp.PyArray_DIM(<cnp.ndarray>means, 0)
    cdef int family = _family(covariance_type)
    check_double(offsets, "offsets", 1)
    check_shape1(offsets, "offsets", k)
    _check_matrices(factors, "factors", family, k, d)
    c.family = <lc_family>family
    c.n_components = k
    c.n_features = d
    c.offsets = <const double *>data(offsets)
    c.means = <const double *>data(means)
    c.factors = <const double *>data(factors)
    c.levels, c.has_missing = NULL, 0
    return 0


def gaussian_em_sweep(x, sample_weight, offsets, means, factors, covariance_type, centers=None, labels=None, hard=False):
    """One E-step of a Gaussian mixture with its expected statistics, in one pass over the rows.

    With ``a[n, k] = offsets[k] - |U_k^T (x_n - means_k)|^2 / 2`` and ``r[n, k] = w_n exp(a[n, k]) / sum_j exp(a[n, j])``
    (Dempster, Laird & Rubin 1977). For a mixture, ``offsets = log weights + log|det U| - D/2 log(2 pi)``.

    The same sweep serves coordinate ascent under a posterior q, with means m_k and precisions L_k (Bishop 2006, 10.64):
    with ``U_k U_k^T = E L_k`` and ``offsets = E log weights + (E log|L_k| - D / kappa_k - D log(2 pi)) / 2``, a[n, k] is
    the expected log joint density; ``kappa_k L_k`` is the precision of the mean.

    Parameters
    ----------
    x : (N, D) ndarray of float32 or float64, C-contiguous, finite
    sample_weight : (N,) ndarray of float64 >= 0, or None for ones
    offsets : (K,) ndarray of float64
    means : (K, D) ndarray of float64
    factors : ndarray of float64
        Full (K, D, D) and tied (D, D): upper triangular U with precision U U^T. Diag (K, D), spherical (K,):
        reciprocal standard deviations.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}
    centers : (K, D) ndarray of float64, optional
        Where second moments are taken about inside; the means by default.
    labels : (N,) ndarray of int32, optional
        The known component of a row; negative where unknown.
    hard : bool
        Rows belong to their best component alone.

    Returns
    -------
    counts : (K,) ndarray
        ``sum_n r[n, k]``.
    means : (K, D) ndarray
        Weighted means; the center where the count is 0.
    scatters : ndarray
        Scatters about these means, not divided by the counts: full (K, D, D), tied (D, D) summed over components,
        diag (K, D), spherical (K,) summed over features.
    objective : float
        ``sum_n w_n log sum_k exp(a[n, k])``, nats, with one term in place of the sum where one component counts.
    cancelled : bool
        Whether a center lay over 1000 standard deviations from its mean, so that scatters lost digits; a second
        sweep with ``centers`` set to the means gives them back.

    Raises
    ------
    ImpossibleRowError
        A row has density 0 under every component.
    """
    cdef int dtype = check_real(x, "x", 2)
    cdef lc_components c
    cdef lc_moments m
    _components(&c, x, offsets, means, factors, covariance_type)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>x, 0), k = c.n_components, d = c.n_features
    cdef double *weight = NULL
    if sample_weight is not None:
        check_double(sample_weight, "sample_weight", 1)
        check_shape1(sample_weight, "sample_weight", n)
        weight = <double *>data(sample_weight)
    cdef int *label = NULL
    cdef bint best = hard
    if labels is not None:
        check_labels(labels, n, k)
        label = <int *>data(labels)
    if centers is None:
        m.centers = c.means
    else:
        check_double(centers, "centers", 2)
        check_shape2(centers, "centers", k, d)
        m.centers = <const double *>data(centers)
    counts, first, second = new_zeros(1, k, 0, 0), new_zeros(2, k, d, 0), _new_matrices(c.family, k, d)
    m.counts, m.first, m.second = <double *>data(counts), <double *>data(first), <double *>data(second)
    cdef void *rows = data(x)
    cdef double log_likelihood = 0
    cdef Py_ssize_t row = 0
    cdef int cancelled = 0
    cdef lc_status status
    cdef void *work = workspace(
        api.mixture_work_f64(&c) if dtype == cnp.NPY_FLOAT64 else api.mixture_work_f32(&c))
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            status = api.mixture_em_sweep_f64(n, <double *>rows, d, weight, label, best, &c, &m, &log_likelihood, &row, work)
        else:
            status = api.mixture_em_sweep_f32(n, <float *>rows, d, weight, label, best, &c, &m, &log_likelihood, &row, work)
        if status == LC_OK:
            # the first moments give way to the means
            api.gaussian_statistics(c.family, k, d, &m, m.first, m.second, &cancelled)
        free(work)
    if status != LC_OK:
        raise ImpossibleRowError(row)
    return counts, first, second, log_likelihood, bool(cancelled)


def gaussian_expected(mean_precision, degrees_of_freedom, scale, covariance_type, Py_ssize_t n_features):
    """What takes the place of factors and offsets under a posterior of means and precisions.

    With ``mean | precision ~ N(m, (kappa precision)^-1)`` and a Wishart precision of nu degrees of freedom and scale matrix
    Psi^-1 (diag, spherical: Gamma(nu / 2, Psi / 2)), the expected log-density is
    ``offsets[k] - |U_k^T (x - m_k)|^2 / 2`` (Bishop 2006, 10.64 and 10.65).

    Parameters
    ----------
    mean_precision : (K,) ndarray of float64 > 0
        kappa.
    degrees_of_freedom : (K,) ndarray of float64, tied (1,)
        nu, above D - 1 for full and tied, above 0 for diag and spherical.
    scale : ndarray of float64
        Psi: full (K, D, D), tied (D, D), diag (K, D), spherical (K,).
    covariance_type : {'full', 'tied', 'diag', 'spherical'}
    n_features : int
        D.

    Returns
    -------
    factors : ndarray
        Of the shape of ``scale``: U with ``U U^T = nu Psi^-1``; diag, spherical: ``sqrt(nu / Psi)``.
    offsets : (K,) ndarray
        ``(E log|precision| - D log(2 pi) - D / kappa) / 2``, nats; expected log weights are to be added.

    Raises
    ------
    CollapsedComponentError
        A scale is not positive definite.
    """
    cdef int family = _family(covariance_type)
    cdef Py_ssize_t d = n_features
    check_double(mean_precision, "mean_precision", 1)
    cdef Py_ssize_t k = cnp.PyArray_DIM(<cnp.ndarray>mean_precision, 0)
    if k < 1 or d < 1:
        raise ValueError(f"mean_precision, n_features: expected at least one of each, got {k} and {d}")
    check_double(degrees_of_freedom, "degrees_of_freedom", 1)
    check_shape1(degrees_of_freedom, "degrees_of_freedom", 1 if family == LC_GAUSSIAN_TIED else k)
    _check_matrices(scale, "scale", family, k, d)
    factors, offsets = _new_matrices(family, k, d), new(1, k, 0, 0, cnp.NPY_FLOAT64)
    cdef double *precision = <double *>data(mean_precision)
    cdef double *nu = <double *>data(degrees_of_freedom)
    cdef double *psi = <double *>data(scale)
    cdef double *factor = <double *>data(factors)
    cdef double *offset = <double *>data(offsets)
    cdef Py_ssize_t component = 0
    cdef lc_status status
    cdef double *work = <double *>workspace(d * d * sizeof(double))
    with nogil:
        status = api.gaussian_expected(<lc_family>family, k, d, precision, nu, psi, factor, offset, &component, work)
        free(work)
    if status != LC_OK:
        raise CollapsedComponentError(-1 if family == LC_GAUSSIAN_TIED else component)
    return factors, offsets


def gaussian_cavi_sweep(x, sample_weight, expected_log_weights, means, mean_precision, degrees_of_freedom, scale,
                        covariance_type):
    """One E-step of variational inference with its expected statistics, in one pass over the rows.

    ``gaussian_em_sweep`` at the expected log-densities of ``gaussian_expected``: the optimal responsibilities are
    proportional to ``exp(expected_log_weights[k] + E log N(x_n | k))`` (Bishop 2006, 10.46 to 10.49).

    Parameters
    ----------
    x, sample_weight
        As for ``gaussian_em_sweep``.
    expected_log_weights : (K,) ndarray of float64
    means : (K, D) ndarray of float64
        m, the means of the components' means.
    mean_precision, degrees_of_freedom, scale, covariance_type
        As for ``gaussian_expected``.

    Returns
    -------
    counts, means, scatters, objective, cancelled
        As from ``gaussian_em_sweep``; the objective less the divergences of posterior from prior is the ELBO.
    """
    _check_means(means, "means", cnp.PyArray_DIM(<cnp.ndarray>means, 1) if cnp.PyArray_Check(means) and means.ndim == 2 else 0)
    check_double(expected_log_weights, "expected_log_weights", 1)
    check_shape1(expected_log_weights, "expected_log_weights", means.shape[0])
    check_double(mean_precision, "mean_precision", 1)
    check_shape1(mean_precision, "mean_precision", means.shape[0])
    factors, offsets = gaussian_expected(mean_precision, degrees_of_freedom, scale, covariance_type, means.shape[1])
    return gaussian_em_sweep(x, sample_weight, offsets + expected_log_weights, means, factors, covariance_type)


def gaussian_moments(x, weights, centers, covariance_type):
    """Statistics of rows under given weights: the second half of an E-step.

    Parameters
    ----------
    x : (N, D) ndarray of float32 or float64, C-contiguous
    weights : (N, K) ndarray of the same dtype, >= 0
    centers : (K, D) ndarray of float64
        Where second moments are taken about inside; near the weighted means, for accuracy.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}

    Returns
    -------
    counts, means, scatters, cancelled
        As from ``gaussian_em_sweep``.
    """
    cdef int dtype = check_real(x, "x", 2)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>x, 0), d = cnp.PyArray_DIM(<cnp.ndarray>x, 1)
    _check_means(centers, "centers", d)
    cdef Py_ssize_t k = cnp.PyArray_DIM(<cnp.ndarray>centers, 0)
    check_like(weights, "weights", 2, dtype)
    check_shape2(weights, "weights", n, k)
    cdef lc_components c
    cdef lc_moments m
    c.family = <lc_family>_family(covariance_type)
    c.n_components, c.n_features = k, d
    c.offsets = c.means = c.factors = NULL
    c.levels, c.has_missing = NULL, 0
    counts, first, second = new_zeros(1, k, 0, 0), new_zeros(2, k, d, 0), _new_matrices(c.family, k, d)
    m.centers = <const double *>data(centers)
    m.counts, m.first, m.second = <double *>data(counts), <double *>data(first), <double *>data(second)
    cdef void *rows = data(x)
    cdef void *weight = data(weights)
    cdef int cancelled = 0
    cdef void *work = workspace(
        api.mixture_work_f64(&c) if dtype == cnp.NPY_FLOAT64 else api.mixture_work_f32(&c))
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            api.mixture_moments_f64(n, <double *>rows, d, <double *>weight, k, &c, &m, work)
        else:
            api.mixture_moments_f32(n, <float *>rows, d, <float *>weight, k, &c, &m, work)
        api.gaussian_statistics(c.family, k, d, &m, m.first, m.second, &cancelled)
        free(work)
    return counts, first, second, bool(cancelled)


# The four functions below are one kernel with other outputs.
cdef int _rows(object x, int dtype, lc_components *c, void *log_joint, void *responsibilities, void *log_density,
               Py_ssize_t *labels) except -1:
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>x, 0), d = c.n_features
    cdef void *rows = data(x)
    cdef void *work = workspace(
        api.mixture_work_f64(c) if dtype == cnp.NPY_FLOAT64 else api.mixture_work_f32(c))
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            api.mixture_rows_f64(n, <double *>rows, d, c, <double *>log_joint, <double *>responsibilities,
                                 <double *>log_density, labels, work)
        else:
            api.mixture_rows_f32(n, <float *>rows, d, c, <float *>log_joint, <float *>responsibilities,
                                 <float *>log_density, labels, work)
        free(work)
    return 0


cdef object _matrix_output(object out, Py_ssize_t n, Py_ssize_t k, int dtype):
    if out is None:
        return new(2, n, k, 0, dtype)
    check_like(out, "out", 2, dtype, True)
    check_shape2(out, "out", n, k)
    return out


def gaussian_log_joint(x, offsets, means, factors, covariance_type, out=None):
    """``offsets[k] - |U_k^T (x_n - means_k)|^2 / 2``: with a mixture's offsets, log weight plus log-density (nats).

    Parameters
    ----------
    x, offsets, means, factors, covariance_type
        As for ``gaussian_em_sweep``.
    out : (N, K) ndarray of the dtype of x, optional

    Returns
    -------
    (N, K) ndarray
    """
    cdef int dtype = check_real(x, "x", 2)
    cdef lc_components c
    _components(&c, x, offsets, means, factors, covariance_type)
    out = _matrix_output(out, cnp.PyArray_DIM(<cnp.ndarray>x, 0), c.n_components, dtype)
    _rows(x, dtype, &c, data(out), NULL, NULL, NULL)
    return out


def gaussian_responsibilities(x, offsets, means, factors, covariance_type, out=None):
    """Posterior probabilities of the components for each row, and log-densities of the mixture.

    Parameters
    ----------
    x, offsets, means, factors, covariance_type
        As for ``gaussian_em_sweep``.
    out : (N, K) ndarray of the dtype of x, optional
        Where to write the responsibilities.

    Returns
    -------
    responsibilities : (N, K) ndarray
        NaN in a row of density 0.
    log_density : (N,) ndarray
        Nats; -inf in a row of density 0.
    """
    cdef int dtype = check_real(x, "x", 2)
    cdef lc_components c
    _components(&c, x, offsets, means, factors, covariance_type)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>x, 0)
    out = _matrix_output(out, n, c.n_components, dtype)
    log_density = new(1, n, 0, 0, dtype)
    _rows(x, dtype, &c, NULL, data(out), data(log_density), NULL)
    return out, log_density


def gaussian_log_density(x, offsets, means, factors, covariance_type, out=None):
    """Log-density of the mixture for each row, ``log sum_k exp(a[n, k])`` (nats); -inf where it is 0.

    Parameters
    ----------
    x, offsets, means, factors, covariance_type
        As for ``gaussian_em_sweep``.
    out : (N,) ndarray of the dtype of x, optional

    Returns
    -------
    (N,) ndarray
    """
    cdef int dtype = check_real(x, "x", 2)
    cdef lc_components c
    _components(&c, x, offsets, means, factors, covariance_type)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>x, 0)
    if out is None:
        out = new(1, n, 0, 0, dtype)
    else:
        check_like(out, "out", 1, dtype, True)
        check_shape1(out, "out", n)
    _rows(x, dtype, &c, NULL, NULL, data(out), NULL)
    return out


def gaussian_labels(x, offsets, means, factors, covariance_type, out=None):
    """The most responsible component of each row, the first of equals.

    Parameters
    ----------
    x, offsets, means, factors, covariance_type
        As for ``gaussian_em_sweep``.
    out : (N,) ndarray of intp, optional

    Returns
    -------
    (N,) ndarray of intp
    """
    cdef int dtype = check_real(x, "x", 2)
    cdef lc_components c
    _components(&c, x, offsets, means, factors, covariance_type)
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>x, 0)
    if out is None:
        out = new(1, n, 0, 0, cnp.NPY_INTP)
    else:
        check_dtype(out, "out", 1, cnp.NPY_INTP, "intp", True)
        check_shape1(out, "out", n)
    _rows(x, dtype, &c, NULL, NULL, NULL, <Py_ssize_t *>data(out))
    return out


def gaussian_add(counts_a, means_a, scatters_a, counts_b, means_b, scatters_b, covariance_type):
    """The statistics of the union of two sets of rows (Chan, Golub & LeVeque 1983).

    ``scatter = scatter_a + scatter_b + n_a n_b / (n_a + n_b) (mean_a - mean_b)(mean_a - mean_b)^T``.

    Parameters
    ----------
    counts_a, counts_b : (K,) ndarray of float64
    means_a, means_b : (K, D) ndarray of float64
    scatters_a, scatters_b : ndarray of float64
        In the shape of the covariance type.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}

    Returns
    -------
    counts, means, scatters : ndarray
        New arrays.
    """
    cdef int family = _family(covariance_type)
    check_double(means_a, "means_a", 2)
    cdef Py_ssize_t k = cnp.PyArray_DIM(<cnp.ndarray>means_a, 0), d = cnp.PyArray_DIM(<cnp.ndarray>means_a, 1)
    _check_means(means_a, "means_a", d)
    check_double(counts_a, "counts_a", 1)
    check_shape1(counts_a, "counts_a", k)
    _check_matrices(scatters_a, "scatters_a", family, k, d)
    check_double(counts_b, "counts_b", 1)
    check_shape1(counts_b, "counts_b", k)
    check_double(means_b, "means_b", 2)
    check_shape2(means_b, "means_b", k, d)
    _check_matrices(scatters_b, "scatters_b", family, k, d)
    counts = cnp.PyArray_NewCopy(<cnp.ndarray>counts_a, cnp.NPY_CORDER)
    means = cnp.PyArray_NewCopy(<cnp.ndarray>means_a, cnp.NPY_CORDER)
    scatters = cnp.PyArray_NewCopy(<cnp.ndarray>scatters_a, cnp.NPY_CORDER)
    cdef double *n_a = <double *>data(counts)
    cdef double *mean_a = <double *>data(means)
    cdef double *scatter_a = <double *>data(scatters)
    cdef double *n_b = <double *>data(counts_b)
    cdef double *mean_b = <double *>data(means_b)
    cdef double *scatter_b = <double *>data(scatters_b)
    with nogil:
        api.gaussian_add(<lc_family>family, k, d, n_a, mean_a, scatter_a, n_b, mean_b, scatter_b)
    return counts, means, scatters


cdef tuple _factors(int family, Py_ssize_t k, Py_ssize_t d, object covariances):
    factors, log_determinants = _new_matrices(family, k, d), new(1, k, 0, 0, cnp.NPY_FLOAT64)
    cdef double *covariance = <double *>data(covariances)
    cdef double *factor = <double *>data(factors)
    cdef double *log_determinant = <double *>data(log_determinants)
    cdef Py_ssize_t component = 0
    cdef lc_status status
    cdef double *work = <double *>workspace(d * d * sizeof(double))
    with nogil:
        status = api.gaussian_factors(<lc_family>family, k, d, covariance, factor, log_determinant, &component, work)
        free(work)
    if status != LC_OK:
        raise CollapsedComponentError(-1 if family == LC_GAUSSIAN_TIED else component)
    return factors, log_determinants


def gaussian_factors(covariances, covariance_type, Py_ssize_t n_components, Py_ssize_t n_features):
    """Factors of the precisions, U with ``covariance^-1 = U U^T``, and ``log|det U|``.

    Parameters
    ----------
    covariances : ndarray of float64
        Full (K, D, D), tied (D, D), diag (K, D), spherical (K,) variances.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}
    n_components, n_features : int

    Returns
    -------
    factors : ndarray
        As the covariances: upper triangular; diag and spherical: reciprocal standard deviations.
    log_determinants : (K,) ndarray

    Raises
    ------
    CollapsedComponentError
        A covariance is not positive definite.
    """
    cdef int family = _family(covariance_type)
    if n_components < 1 or n_features < 1:
        raise ValueError(
            f"n_components, n_features: expected numbers >= 1, got {n_components} and {n_features}")
    _check_matrices(covariances, "covariances", family, n_components, n_features)
    return _factors(family, n_components, n_features, covariances)


def gaussian_maximize(counts, scatters, double ridge, covariance_type, Py_ssize_t n_features, previous=None):
    """Maximum likelihood covariances from counts and scatters, with their factors.

    Full, diag: ``scatter / count``; tied: pooled; spherical: ``scatter / (D count)``; plus ``ridge`` on every variance.

    Parameters
    ----------
    counts : (K,) ndarray of float64
    scatters : ndarray of float64
        In the shape of the covariance type.
    ridge : float >= 0
    covariance_type : {'full', 'tied', 'diag', 'spherical'}
    n_features : int
    previous : ndarray of float64, optional
        Covariances that components of count 0 keep; without it they get the ridge alone.

    Returns
    -------
    covariances, factors : ndarray
    log_determinants : (K,) ndarray
        log|det U|.

    Raises
    ------
    CollapsedComponentError
        A covariance is not positive definite.
    """
    cdef int family = _family(covariance_type)
    cdef Py_ssize_t d = n_features, k, i, j
    check_double(counts, "counts", 1)
    k = cnp.PyArray_DIM(<cnp.ndarray>counts, 0)
    if k < 1 or d < 1:
        raise ValueError(f"counts, n_features: expected at least one of each, got {k} and {d}")
    if not ridge >= 0:
        raise ValueError(f"ridge: expected a number >= 0, got {ridge}")
    _check_matrices(scatters, "scatters", family, k, d)
    covariances = _new_matrices(family, k, d)
    cdef double *count = <double *>data(counts)
    cdef double *scatter = <double *>data(scatters)
    cdef double *covariance = <double *>data(covariances)
    if previous is not None:
        _check_matrices(previous, "previous", family, k, d)
        memcpy(covariance, data(previous), cnp.PyArray_NBYTES(<cnp.ndarray>previous))
    elif family == LC_GAUSSIAN_FULL:
        for i in range(k):
            for j in range(d):
                covariance[(i * d + j) * d + j] = ridge
    elif family != LC_GAUSSIAN_TIED:
        for i in range(k if family == LC_GAUSSIAN_SPHERICAL else k * d):
            covariance[i] = ridge
    with nogil:
        api.gaussian_covariances(<lc_family>family, k, d, count, scatter, ridge, covariance)
    factors, log_determinants = _factors(family, k, d, covariances)
    return covariances, factors, log_determinants
