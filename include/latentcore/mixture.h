/* Sweeps over the rows of a mixture: one pass over the data, block by block, constant memory. */
#ifndef LATENTCORE_MIXTURE_H
#define LATENTCORE_MIXTURE_H

#include <stdint.h>

#include "latentcore/components.h"
#include "latentcore/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of workspace for the functions below: a function of K, D and the family, not of the number of rows. */
LC_PUBLIC size_t lc_mixture_work_f64(const lc_components *components);
LC_PUBLIC size_t lc_mixture_work_f32(const lc_components *components);

/* One E-step with its expected statistics. With a_nk = log f_k(x_n) (see components.h):
 *
 *     objective += sum_n w_n log sum_k exp(a_nk),    r_nk = w_n exp(a_nk) / sum_j exp(a_nj)
 *
 * and the moments of components.h are accumulated with these r_nk (Dempster, Laird & Rubin 1977; the rows of a
 * block lie in the vector lanes). A row of known component counts for it alone: the sums over k have one term. So do
 * all rows if the assignment is hard: the term of the largest a_nk, the first of equals (Celeux & Govaert 1992).
 *
 * The components need not be distributions: under a posterior q, coordinate ascent takes expected log-densities for a_nk.
 * Linear families have E eta as coefficients and -E A(eta) as constants; Gaussians have U_k U_k^T = E Lambda_k and the
 * offset E log weight_k + (E log|Lambda_k| - D / kappa_k - D log(2 pi)) / 2, where kappa_k Lambda_k is the precision of
 * the mean (Bishop 2006, eq. 10.64). The evidence lower bound is then the objective less the divergences of q.
 *   n               rows, >= 0
 *   x               n x D, read; row i starts at x + i * x_stride; must be finite (a NaN counts as a density of 0), or
 *                   NaN where missing for linear families with has_missing
 *   row_weights     n weights w_n >= 0, read, or NULL for ones; a row of weight 0 is passed over
 *   labels          n, read, or NULL: the component of row n, < K; negative where it is not known
 *   hard            whether rows belong to their best component alone
 *   components      read
 *   moments         accumulated; its centers may be the components' means
 *   objective       1, += (nats)
 *   where           1, written on LC_IMPOSSIBLE_ROW: the index of the first row with density 0 (or not a number)
 *   work            lc_mixture_work_f64(components) bytes, no meaning on return */
LC_PUBLIC lc_status lc_mixture_em_sweep_f64(ptrdiff_t n, const double *x, ptrdiff_t x_stride, const double *row_weights,
                                            const int *labels, int hard, const lc_components *components,
                                            const lc_moments *moments, double *objective, ptrdiff_t *where, void *work);
LC_PUBLIC lc_status lc_mixture_em_sweep_f32(ptrdiff_t n, const float *x, ptrdiff_t x_stride, const double *row_weights,
                                            const int *labels, int hard, const lc_components *components,
                                            const lc_moments *moments, double *objective, ptrdiff_t *where, void *work);

/* What the model says of each row. Every output may be NULL.
 *   log_joint         n x K contiguous, written: a_nk
 *   responsibilities  n x K contiguous, written: r_nk; NaN in a row of density 0
 *   log_density       n, written: log sum_k exp(a_nk); -inf in a row of density 0
 *   labels            n, written: the k of the largest a_nk, the first of equals
 * Other arguments as above. */
LC_PUBLIC lc_status lc_mixture_rows_f64(ptrdiff_t n, const double *x, ptrdiff_t x_stride, const lc_components *components,
                                        double *log_joint, double *responsibilities, double *log_density,
                                        ptrdiff_t *labels, void *work);
LC_PUBLIC lc_status lc_mixture_rows_f32(ptrdiff_t n, const float *x, ptrdiff_t x_stride, const lc_components *components,
                                        float *log_joint, float *responsibilities, float *log_density,
                                        ptrdiff_t *labels, void *work);

/* The moments of components.h under given weights: the second half of an E-step whose posterior weights were made
 * elsewhere. Of `components` only the family, the sizes (levels too) and has_missing are read.
 *   weights         n x K, read, >= 0; row i starts at weights + i * weights_stride
 * Other arguments as above. */
LC_PUBLIC lc_status lc_mixture_moments_f64(ptrdiff_t n, const double *x, ptrdiff_t x_stride, const double *weights,
                                           ptrdiff_t weights_stride, const lc_components *components,
                                           const lc_moments *moments, void *work);
LC_PUBLIC lc_status lc_mixture_moments_f32(ptrdiff_t n, const float *x, ptrdiff_t x_stride, const float *weights,
                                           ptrdiff_t weights_stride, const lc_components *components,
                                           const lc_moments *moments, void *work);

/* The same three for sparse rows, of family LC_LINEAR: entries that are not stored are 0.
 *   begins   n + 1, read: row i has the entries begins[i] .. begins[i + 1] - 1
 *   columns  read: the column of each entry, 0 <= column < D; a column that comes twice in a row counts with the sum
 *   values   read: the entries, finite
 *   work     lc_mixture_csr_work_f64(components) bytes */
LC_PUBLIC size_t lc_mixture_csr_work_f64(const lc_components *components);
LC_PUBLIC size_t lc_mixture_csr_work_f32(const lc_components *components);
LC_PUBLIC lc_status lc_mixture_csr_em_sweep_f64(ptrdiff_t n, const int64_t *begins, const int32_t *columns,
                                                const double *values, const double *row_weights, const int *labels,
                                                int hard, const lc_components *components, const lc_moments *moments,
                                                double *objective, ptrdiff_t *where, void *work);
LC_PUBLIC lc_status lc_mixture_csr_em_sweep_f32(ptrdiff_t n, const int64_t *begins, const int32_t *columns,
                                                const float *values, const double *row_weights, const int *labels,
                                                int hard, const lc_components *components, const lc_moments *moments,
                                                double *objective, ptrdiff_t *where, void *work);
LC_PUBLIC lc_status lc_mixture_csr_rows_f64(ptrdiff_t n, const int64_t *begins, const int32_t *columns,
                                            const double *values, const lc_components *components, double *log_joint,
                                            double *responsibilities, double *log_density, ptrdiff_t *labels, void *work);
LC_PUBLIC lc_status lc_mixture_csr_rows_f32(ptrdiff_t n, const int64_t *begins, const int32_t *columns,
                                            const float *values, const lc_components *components, float *log_joint,
                                            float *responsibilities, float *log_density, ptrdiff_t *labels, void *work);
LC_PUBLIC lc_status lc_mixture_csr_moments_f64(ptrdiff_t n, const int64_t *begins, const int32_t *columns,
                                               const double *values, const double *weights, ptrdiff_t weights_stride,
                                               const lc_components *components, const lc_moments *moments, void *work);
LC_PUBLIC lc_status lc_mixture_csr_moments_f32(ptrdiff_t n, const int64_t *begins, const int32_t *columns,
                                               const float *values, const float *weights, ptrdiff_t weights_stride,
                                               const lc_components *components, const lc_moments *moments, void *work);

#ifdef __cplusplus
}
#endif
#endif
