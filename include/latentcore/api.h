/* All functions in one table, for code that finds the library at run time and does not link it: a Cython package
 * (`from latentcore._core cimport api`), or a C extension that imports the capsule "latentcore._core.api".
 * Every pointer is the function of its name with lc_ before it; their headers are the manual.
 *
 * New functions are added at the end. A reader must check that `abi` equals LC_API_ABI and that `size` is at least its
 * own sizeof(lc_api). */
#ifndef LATENTCORE_API_H
#define LATENTCORE_API_H

#include "latentcore/components.h"
#include "latentcore/gaussian.h"
#include "latentcore/hmm.h"
#include "latentcore/kmeans.h"
#include "latentcore/linalg.h"
#include "latentcore/logspace.h"
#include "latentcore/mixture.h"
#include "latentcore/special.h"
#include "latentcore/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when an existing entry, struct or enum changes its meaning. */
#define LC_API_ABI 1
#define LC_API_CAPSULE "latentcore._core.api"

typedef struct lc_api {
  int abi;
  size_t size;
  const char *(*version)(void);
  const char *(*isa)(void);
  const char *(*status_message)(lc_status);
  lc_status (*exp_f64)(ptrdiff_t, const double *, double *);
  lc_status (*exp_f32)(ptrdiff_t, const float *, float *);
  lc_status (*log_f64)(ptrdiff_t, const double *, double *);
  lc_status (*log_f32)(ptrdiff_t, const float *, float *);
  size_t (*logspace_work_f64)(ptrdiff_t);
  size_t (*logspace_work_f32)(ptrdiff_t);
  lc_status (*logsumexp_f64)(ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t, double *, void *);
  lc_status (*logsumexp_f32)(ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, float *, void *);
  lc_status (*responsibilities_f64)(ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t, double *, ptrdiff_t, double *, void *);
  lc_status (*responsibilities_f32)(ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, float *, ptrdiff_t, float *, void *);
  size_t (*mixture_work_f64)(const lc_components *);
  size_t (*mixture_work_f32)(const lc_components *);
  lc_status (*mixture_em_sweep_f64)(ptrdiff_t, const double *, ptrdiff_t, const double *, const int *, int,
                                    const lc_components *, const lc_moments *, double *, ptrdiff_t *, void *);
  lc_status (*mixture_em_sweep_f32)(ptrdiff_t, const float *, ptrdiff_t, const double *, const int *, int,
                                    const lc_components *, const lc_moments *, double *, ptrdiff_t *, void *);
  lc_status (*mixture_rows_f64)(ptrdiff_t, const double *, ptrdiff_t, const lc_components *, double *, double *, double *,
                                ptrdiff_t *, void *);
  lc_status (*mixture_rows_f32)(ptrdiff_t, const float *, ptrdiff_t, const lc_components *, float *, float *, float *,
                                ptrdiff_t *, void *);
  lc_status (*mixture_moments_f64)(ptrdiff_t, const double *, ptrdiff_t, const double *, ptrdiff_t, const lc_components *,
                                   const lc_moments *, void *);
  lc_status (*mixture_moments_f32)(ptrdiff_t, const float *, ptrdiff_t, const float *, ptrdiff_t, const lc_components *,
                                   const lc_moments *, void *);
  size_t (*kmeans_work_f64)(ptrdiff_t, ptrdiff_t);
  size_t (*kmeans_work_f32)(ptrdiff_t, ptrdiff_t);
  lc_status (*kmeans_sweep_f64)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t, const double *, const double *,
                                int *, double *, double *, double *, double *, void *);
  lc_status (*kmeans_sweep_f32)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, const double *, const double *,
                                int *, double *, double *, double *, double *, void *);
  lc_status (*kmeans_potentials_f64)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t, const double *,
                                     const double *, const double *, double *, void *);
  lc_status (*kmeans_potentials_f32)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, const double *,
                                     const double *, const double *, double *, void *);
  lc_status (*cholesky)(ptrdiff_t, const double *, double *);
  lc_status (*inverse_transpose)(ptrdiff_t, const double *, double *);
  lc_status (*gaussian_statistics)(lc_family, ptrdiff_t, ptrdiff_t, const lc_moments *, double *, double *, int *);
  lc_status (*gaussian_add)(lc_family, ptrdiff_t, ptrdiff_t, double *, double *, double *, const double *, const double *,
                            const double *);
  lc_status (*gaussian_covariances)(lc_family, ptrdiff_t, ptrdiff_t, const double *, const double *, double, double *);
  lc_status (*gaussian_factors)(lc_family, ptrdiff_t, ptrdiff_t, const double *, double *, double *, ptrdiff_t *, double *);
  size_t (*mixture_csr_work_f64)(const lc_components *);
  lc_status (*mixture_csr_em_sweep_f64)(ptrdiff_t, const int64_t *, const int32_t *, const double *, const double *, const int *,
                                        int, const lc_components *, const lc_moments *, double *, ptrdiff_t *, void *);
  lc_status (*mixture_csr_rows_f64)(ptrdiff_t, const int64_t *, const int32_t *, const double *, const lc_components *,
                                    double *, double *, double *, ptrdiff_t *, void *);
  lc_status (*mixture_csr_moments_f64)(ptrdiff_t, const int64_t *, const int32_t *, const double *, const double *, ptrdiff_t,
                                       const lc_components *, const lc_moments *, void *);
  size_t (*mixture_csr_work_f32)(const lc_components *);
  lc_status (*mixture_csr_em_sweep_f32)(ptrdiff_t, const int64_t *, const int32_t *, const float *, const double *, const int *,
                                        int, const lc_components *, const lc_moments *, double *, ptrdiff_t *, void *);
  lc_status (*mixture_csr_rows_f32)(ptrdiff_t, const int64_t *, const int32_t *, const float *, const lc_components *,
                                    float *, float *, float *, ptrdiff_t *, void *);
  lc_status (*mixture_csr_moments_f32)(ptrdiff_t, const int64_t *, const int32_t *, const float *, const float *, ptrdiff_t,
                                       const lc_components *, const lc_moments *, void *);
  lc_status (*lgamma_f64)(ptrdiff_t, const double *, double *);
  lc_status (*lgamma_f32)(ptrdiff_t, const float *, float *);
  lc_status (*digamma_f64)(ptrdiff_t, const double *, double *);
  lc_status (*digamma_f32)(ptrdiff_t, const float *, float *);
  lc_status (*trigamma_f64)(ptrdiff_t, const double *, double *);
  lc_status (*trigamma_f32)(ptrdiff_t, const float *, float *);
  lc_status (*sin_cos_f64)(ptrdiff_t, const double *, double *, double *);
  lc_status (*sin_cos_f32)(ptrdiff_t, const float *, float *, float *);
  lc_status (*gaussian_expected)(lc_family, ptrdiff_t, ptrdiff_t, const double *, const double *, const double *, double *,
                                 double *, ptrdiff_t *, double *);
  lc_status (*multivariate_lgamma)(ptrdiff_t, ptrdiff_t, const double *, double *);
  size_t (*hmm_work_f64)(ptrdiff_t, ptrdiff_t);
  lc_status (*hmm_forward_f64)(ptrdiff_t, const int64_t *, ptrdiff_t, const double *, ptrdiff_t, const double *, const double *,
                               double *, double *, double *, void *);
  lc_status (*hmm_forward_backward_f64)(ptrdiff_t, const int64_t *, ptrdiff_t, const double *, ptrdiff_t, const double *,
                                        const double *, const double *, const double *, double *, double *, ptrdiff_t,
                                        double *, double *, void *);
  size_t (*hmm_viterbi_work_f64)(ptrdiff_t, ptrdiff_t);
  lc_status (*hmm_viterbi_f64)(ptrdiff_t, const int64_t *, ptrdiff_t, const double *, ptrdiff_t, const double *, const double *,
                               ptrdiff_t, int32_t *, double *, double *, void *);
  size_t (*hmm_work_f32)(ptrdiff_t, ptrdiff_t);
  lc_status (*hmm_forward_f32)(ptrdiff_t, const int64_t *, ptrdiff_t, const float *, ptrdiff_t, const double *, const double *,
                               double *, double *, double *, void *);
  lc_status (*hmm_forward_backward_f32)(ptrdiff_t, const int64_t *, ptrdiff_t, const float *, ptrdiff_t, const double *,
                                        const double *, const double *, const double *, double *, float *, ptrdiff_t,
                                        double *, double *, void *);
  size_t (*hmm_viterbi_work_f32)(ptrdiff_t, ptrdiff_t);
  lc_status (*hmm_viterbi_f32)(ptrdiff_t, const int64_t *, ptrdiff_t, const float *, ptrdiff_t, const double *, const double *,
                               ptrdiff_t, int32_t *, double *, double *, void *);
  size_t (*hmm_sample_work)(ptrdiff_t);
  lc_status (*hmm_sample)(ptrdiff_t, const int64_t *, ptrdiff_t, const double *, const double *, ptrdiff_t, const double *,
                          ptrdiff_t, int32_t *, void *);
} lc_api;

/* The table of this library; it lives as long as the process. */
LC_PUBLIC const lc_api *lc_get_api(void);

#ifdef __cplusplus
}
#endif
#endif
