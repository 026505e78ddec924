# The C interface, for cimport. The headers are the manual: latentcore.get_include() tells where they are.

from libc.stdint cimport int32_t, int64_t

cdef extern from "latentcore/api.h" nogil:
    ctypedef enum lc_status:
        LC_OK
        LC_BAD_ARGUMENT
        LC_ISA_UNAVAILABLE
        LC_NOT_POSITIVE_DEFINITE
        LC_IMPOSSIBLE_ROW

    ctypedef enum lc_family:
        LC_GAUSSIAN_FULL
        LC_GAUSSIAN_TIED
        LC_GAUSSIAN_DIAG
        LC_GAUSSIAN_SPHERICAL
        LC_LINEAR
        LC_LINEAR_LOG
        LC_LINEAR_ANGLE
        LC_LINEAR_CODE

    ctypedef struct lc_components:
        lc_family family
        Py_ssize_t n_components
        Py_ssize_t n_features
        const double *offsets
        const double *means
        const double *factors
        const Py_ssize_t *levels
        int has_missing

    ctypedef struct lc_moments:
        const double *centers
        double *counts
        double *first
        double *second

    ctypedef struct lc_api:
        int abi
        size_t size
        const char *(*version)() noexcept nogil
        const char *(*isa)() noexcept nogil
        const char *(*status_message)(lc_status) noexcept nogil
        lc_status (*exp_f64)(Py_ssize_t, const double *, double *) noexcept nogil
        lc_status (*exp_f32)(Py_ssize_t, const float *, float *) noexcept nogil
        lc_status (*log_f64)(Py_ssize_t, const double *, double *) noexcept nogil
        lc_status (*log_f32)(Py_ssize_t, const float *, float *) noexcept nogil
        size_t (*logspace_work_f64)(Py_ssize_t) noexcept nogil
        size_t (*logspace_work_f32)(Py_ssize_t) noexcept nogil
        lc_status (*logsumexp_f64)(Py_ssize_t, Py_ssize_t, const double *, Py_ssize_t, double *, void *) noexcept nogil
        lc_status (*logsumexp_f32)(Py_ssize_t, Py_ssize_t, const float *, Py_ssize_t, float *, void *) noexcept nogil
        lc_status (*responsibilities_f64)(Py_ssize_t, Py_ssize_t, const double *, Py_ssize_t, double *, Py_ssize_t,
                                          double *, void *) noexcept nogil
        lc_status (*responsibilities_f32)(Py_ssize_t, Py_ssize_t, const float *, Py_ssize_t, float *, Py_ssize_t,
                                          float *, void *) noexcept nogil
        size_t (*mixture_work_f64)(const lc_components *) noexcept nogil
        size_t (*mixture_work_f32)(const lc_components *) noexcept nogil
        lc_status (*mixture_em_sweep_f64)(Py_ssize_t, const double *, Py_ssize_t, const double *, const int *, int,
                                          const lc_components *, const lc_moments *, double *, Py_ssize_t *, void *) noexcept nogil
        lc_status (*mixture_em_sweep_f32)(Py_ssize_t, const float *, Py_ssize_t, const double *, const int *, int,
                                          const lc_components *, const lc_moments *, double *, Py_ssize_t *, void *) noexcept nogil
        lc_status (*mixture_rows_f64)(Py_ssize_t, const double *, Py_ssize_t, const lc_components *, double *,
                                      double *, double *, Py_ssize_t *, void *) noexcept nogil
        lc_status (*mixture_rows_f32)(Py_ssize_t, const float *, Py_ssize_t, const lc_components *, float *,
                                      float *, float *, Py_ssize_t *, void *) noexcept nogil
        lc_status (*mixture_moments_f64)(Py_ssize_t, const double *, Py_ssize_t, const double *, Py_ssize_t,
                                         const lc_components *, const lc_moments *, void *) noexcept nogil
        lc_status (*mixture_moments_f32)(Py_ssize_t, const float *, Py_ssize_t, const float *, Py_ssize_t,
                                         const lc_components *, const lc_moments *, void *) noexcept nogil
        size_t (*kmeans_work_f64)(Py_ssize_t, Py_ssize_t) noexcept nogil
        size_t (*kmeans_work_f32)(Py_ssize_t, Py_ssize_t) noexcept nogil
        lc_status (*kmeans_sweep_f64)(Py_ssize_t, Py_ssize_t, Py_ssize_t, const double *, Py_ssize_t, const double *,
                                      const double *, int *, double *, double *, double *, double *, void *) noexcept nogil
        lc_status (*kmeans_sweep_f32)(Py_ssize_t, Py_ssize_t, Py_ssize_t, const float *, Py_ssize_t, const double *,
                                      const double *, int *, double *, double *, double *, double *, void *) noexcept nogil
        lc_status (*kmeans_potentials_f64)(Py_ssize_t, Py_ssize_t, Py_ssize_t, const double *, Py_ssize_t, const double *,
                                           const double *, const double *, double *, void *) noexcept nogil
        lc_status (*kmeans_potentials_f32)(Py_ssize_t, Py_ssize_t, Py_ssize_t, const float *, Py_ssize_t, const double *,
                                           const double *, const double *, double *, void *) noexcept nogil
        lc_status (*cholesky)(Py_ssize_t, const double *, double *) noexcept nogil
        lc_status (*inverse_transpose)(Py_ssize_t, const double *, double *) noexcept nogil
        lc_status (*gaussian_statistics)(lc_family, Py_ssize_t, Py_ssize_t, const lc_moments *, double *, double *, int *) noexcept nogil
        lc_status (*gaussian_add)(lc_family, Py_ssize_t, Py_ssize_t, double *, double *, double *, const double *,
                                  const double *, const double *) noexcept nogil
        lc_status (*gaussian_covariances)(lc_family, Py_ssize_t, Py_ssize_t, const double *, const double *, double,
                                          double *) noexcept nogil
        lc_status (*gaussian_factors)(lc_family, Py_ssize_t, Py_ssize_t, const double *, double *, double *,
                                      Py_ssize_t *, double *) noexcept nogil
        size_t (*mixture_csr_work_f64)(const lc_components *) noexcept nogil
        lc_status (*mixture_csr_em_sweep_f64)(Py_ssize_t, const int64_t *, const int32_t *, const double *, const double *,
                                              const int *, int, const lc_components *, const lc_moments *, double *,
                                              Py_ssize_t *, void *) noexcept nogil
        lc_status (*mixture_csr_rows_f64)(Py_ssize_t, const int64_t *, const int32_t *, const double *, const lc_components *,
                                          double *, double *, double *, Py_ssize_t *, void *) noexcept nogil
        lc_status (*mixture_csr_moments_f64)(Py_ssize_t, const int64_t *, const int32_t *, const double *, const double *,
                                             Py_ssize_t, const lc_components *, const lc_moments *, void *) noexcept nogil
        size_t (*mixture_csr_work_f32)(const lc_components *) noexcept nogil
        lc_status (*mixture_csr_em_sweep_f32)(Py_ssize_t, const int64_t *, const int32_t *, const float *, const double *,
                                              const int *, int, const lc_components *, const lc_moments *, double *,
                                              Py_ssize_t *, void *) noexcept nogil
        lc_status (*mixture_csr_rows_f32)(Py_ssize_t, const int64_t *, const int32_t *, const float *, const lc_components *,
                                          float *, float *, float *, Py_ssize_t *, void *) noexcept nogil
        lc_status (*mixture_csr_moments_f32)(Py_ssize_t, const int64_t *, const int32_t *, const float *, const float *,
                                             Py_ssize_t, const lc_components *, const lc_moments *, void *) noexcept nogil
        lc_status (*lgamma_f64)(Py_ssize_t, const double *, double *) noexcept nogil
        lc_status (*lgamma_f32)(Py_ssize_t, const float *, float *) noexcept nogil
        lc_status (*digamma_f64)(Py_ssize_t, const double *, double *) noexcept nogil
        lc_status (*digamma_f32)(Py_ssize_t, const float *, float *) noexcept nogil
        lc_status (*trigamma_f64)(Py_ssize_t, const double *, double *) noexcept nogil
        lc_status (*trigamma_f32)(Py_ssize_t, const float *, float *) noexcept nogil
        lc_status (*sin_cos_f64)(Py_ssize_t, const double *, double *, double *) noexcept nogil
        lc_status (*sin_cos_f32)(Py_ssize_t, const float *, float *, float *) noexcept nogil
        lc_status (*gaussian_expected)(lc_family, Py_ssize_t, Py_ssize_t, const double *, const double *, const double *,
                                       double *, double *, Py_ssize_t *, double *) noexcept nogil
        lc_status (*multivariate_lgamma)(Py_ssize_t, Py_ssize_t, const double *, double *) noexcept nogil
        size_t (*hmm_work_f64)(Py_ssize_t, Py_ssize_t) noexcept nogil
        lc_status (*hmm_forward_f64)(Py_ssize_t, const int64_t *, Py_ssize_t, const double *, Py_ssize_t, const double *, const double *,
                                     double *, double *, double *, void *) noexcept nogil
        lc_status (*hmm_forward_backward_f64)(Py_ssize_t, const int64_t *, Py_ssize_t, const double *, Py_ssize_t, const double *,
                                              const double *, const double *, const double *, double *, double *, Py_ssize_t,
                                              double *, double *, void *) noexcept nogil
        size_t (*hmm_viterbi_work_f64)(Py_ssize_t, Py_ssize_t) noexcept nogil
        lc_status (*hmm_viterbi_f64)(Py_ssize_t, const int64_t *, Py_ssize_t, const double *, Py_ssize_t, const double *, const double *,
                                     Py_ssize_t, int32_t *, double *, double *, void *) noexcept nogil
        size_t (*hmm_work_f32)(Py_ssize_t, Py_ssize_t) noexcept nogil
        lc_status (*hmm_forward_f32)(Py_ssize_t, const int64_t *, Py_ssize_t, const float *, Py_ssize_t, const double *, const double *,
                                     double *, double *, double *, void *) noexcept nogil
        lc_status (*hmm_forward_backward_f32)(Py_ssize_t, const int64_t *, Py_ssize_t, const float *, Py_ssize_t, const double *,
                                              const double *, const double *, const double *, double *, float *, Py_ssize_t,
                                              double *, double *, void *) noexcept nogil
        size_t (*hmm_viterbi_work_f32)(Py_ssize_t, Py_ssize_t) noexcept nogil
        lc_status (*hmm_viterbi_f32)(Py_ssize_t, const int64_t *, Py_ssize_t, const float *, Py_ssize_t, const double *, const double *,
                                     Py_ssize_t, int32_t *, double *, double *, void *) noexcept nogil
        size_t (*hmm_sample_work)(Py_ssize_t) noexcept nogil
        lc_status (*hmm_sample)(Py_ssize_t, const int64_t *, Py_ssize_t, const double *, const double *, Py_ssize_t, const double *,
                                Py_ssize_t, int32_t *, void *) noexcept nogil

    const int LC_API_ABI
    const char *LC_API_CAPSULE
    const lc_api *lc_get_api()
    int lc_isa_available(const char *)
    lc_status lc_isa_force(const char *)
