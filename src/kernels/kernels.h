/* The kernels of one copy (precision and instruction set), and the table that the dispatcher reads. */
#ifndef LC_KERNELS_H
#define LC_KERNELS_H

#include "latentcore/components.h"
#include "latentcore/gaussian.h"
#include "real.h"
#include "table.h"

void LC_KERNEL(exp)(ptrdiff_t n, const real *x, real *out);
void LC_KERNEL(log)(ptrdiff_t n, const real *x, real *out);
size_t LC_KERNEL(logspace_work)(ptrdiff_t k);
void LC_KERNEL(logsumexp)(ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_stride, real *out, void *work);
void LC_KERNEL(responsibilities)(ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_stride, real *r, ptrdiff_t r_stride,
                                 real *lse, void *work);

void LC_KERNEL(lgamma)(ptrdiff_t n, const real *x, real *out);
void LC_KERNEL(digamma)(ptrdiff_t n, const real *x, real *out);
void LC_KERNEL(trigamma)(ptrdiff_t n, const real *x, real *out);
void LC_KERNEL(sin_cos)(ptrdiff_t n, const real *x, real *sine, real *cosine);

/* The public functions for dense and sparse rows are the same kernels. */
#if LC_F32
typedef lc_matrix_f32 matrix;
#else
typedef lc_matrix_f64 matrix;
#endif
size_t LC_KERNEL(mixture_work)(const lc_components *components);
size_t LC_KERNEL(mixture_csr_work)(const lc_components *components);
lc_status LC_KERNEL(mixture_em_sweep)(ptrdiff_t n, const matrix *data, const double *row_weights, const int *labels, int hard,
                                      const lc_components *components, const lc_moments *moments, double *objective,
                                      ptrdiff_t *where, void *work);
void LC_KERNEL(mixture_rows)(ptrdiff_t n, const matrix *data, const lc_components *components, real *log_joint,
                             real *responsibilities, real *log_density, ptrdiff_t *labels, void *work);
void LC_KERNEL(mixture_moments)(ptrdiff_t n, const matrix *data, const real *weights, ptrdiff_t weights_stride,
                                const lc_components *components, const lc_moments *moments, void *work);

size_t LC_KERNEL(kmeans_work)(ptrdiff_t k, ptrdiff_t d);
void LC_KERNEL(kmeans_sweep)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const real *x, ptrdiff_t x_stride, const double *row_weights,
                             const double *centers, int *labels, double *distances, double *counts, double *first,
                             double *inertia, void *work);
void LC_KERNEL(kmeans_potentials)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const real *x, ptrdiff_t x_stride, const double *row_weights,
                                  const double *candidates, const double *nearest, double *potentials, void *work);

#if !LC_F32
lc_status LC_KERNEL(cholesky)(ptrdiff_t d, const double *a, double *l);
void LC_KERNEL(inverse_transpose)(ptrdiff_t d, const double *l, double *u);
void LC_KERNEL(gaussian_statistics)(lc_family family, ptrdiff_t k, ptrdiff_t d, const lc_moments *moments, double *means,
                                    double *scatters, int *cancelled);
void LC_KERNEL(gaussian_add)(lc_family family, ptrdiff_t k, ptrdiff_t d, double *counts, double *means, double *scatters,
                             const double *counts_b, const double *means_b, const double *scatters_b);
void LC_KERNEL(gaussian_covariances)(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *counts, const double *scatters,
                                     double ridge, double *covariances);
lc_status LC_KERNEL(gaussian_factors)(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *covariances, double *factors,
                                      double *log_determinants, ptrdiff_t *where, double *work);
lc_status LC_KERNEL(gaussian_expected)(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *mean_precisions,
                                      const double *degrees_of_freedom, const double *scales, double *factors,
                                      double *offsets, ptrdiff_t *where, double *work);
void LC_KERNEL(multivariate_lgamma)(ptrdiff_t n, ptrdiff_t dimension, const double *x, double *out);

size_t LC_KERNEL(hmm_work)(ptrdiff_t n_states, ptrdiff_t longest);
void LC_KERNEL(hmm_forward)(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const lc_hmm_rows *rows,
                            const double *log_initial, const double *log_transition, double *log_likelihood,
                            double *log_filtered, double *log_last, void *work);
void LC_KERNEL(hmm_forward_backward)(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const lc_hmm_rows *rows,
                                     const double *log_initial, const double *log_transition, const double *weights,
                                     const double *log_future, double *log_likelihood, const lc_hmm_targets *posteriors,
                                     double *transitions, double *log_messages, void *work);
size_t LC_KERNEL(hmm_viterbi_work)(ptrdiff_t n_states, ptrdiff_t longest);
void LC_KERNEL(hmm_viterbi)(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const lc_hmm_rows *rows,
                            const double *log_initial, const double *log_transition, ptrdiff_t end_state, int32_t *states,
                            double *log_joint, double *log_scores, void *work);
size_t LC_KERNEL(hmm_sample_work)(ptrdiff_t n_states);
void LC_KERNEL(hmm_sample)(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const double *log_filtered,
                           const double *log_transition, ptrdiff_t n_paths, const double *uniforms, ptrdiff_t path_stride,
                           int32_t *states, void *work);
#endif

#endif
