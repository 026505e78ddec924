/* Probabilities as logarithms: exp, log, log-sum-exp, responsibilities.
 *
 * Edge rules of log-sum-exp of a row a: any NaN gives NaN; otherwise any +inf gives +inf; a row of -inf only, or an
 * empty row, gives -inf. Magnitudes up to the largest finite number neither overflow nor lose more than the rounding
 * of the row's maximum m: the absolute error is about eps * max(1, |m|). */
#ifndef LATENTCORE_LOGSPACE_H
#define LATENTCORE_LOGSPACE_H

#include "latentcore/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* out[i] = exp(x[i]), i < n. At most 2 ulp from the true value; results below the smallest normal number are 0.
 *   n    number of elements, >= 0
 *   x    n, read
 *   out  n, written; may be x */
LC_PUBLIC lc_status lc_exp_f64(ptrdiff_t n, const double *x, double *out);
LC_PUBLIC lc_status lc_exp_f32(ptrdiff_t n, const float *x, float *out);

/* out[i] = log(x[i]), i < n. At most 2 ulp from the true value; log(0) = -inf, log of a negative number is NaN;
 * subnormal x are taken for what they are. Arguments as lc_exp_f64. */
LC_PUBLIC lc_status lc_log_f64(ptrdiff_t n, const double *x, double *out);
LC_PUBLIC lc_status lc_log_f32(ptrdiff_t n, const float *x, float *out);

/* Bytes of workspace for the two functions below. */
LC_PUBLIC size_t lc_logspace_work_f64(ptrdiff_t k);
LC_PUBLIC size_t lc_logspace_work_f32(ptrdiff_t k);

/* out[i] = log sum_j exp(a[i, j]).
 *   n, k      rows and columns, >= 0
 *   a         n x k, read; row i starts at a + i * a_stride
 *   out       n, written
 *   work      lc_logspace_work_f64(k) bytes, no meaning on return */
LC_PUBLIC lc_status lc_logsumexp_f64(ptrdiff_t n, ptrdiff_t k, const double *a, ptrdiff_t a_stride, double *out, void *work);
LC_PUBLIC lc_status lc_logsumexp_f32(ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t a_stride, float *out, void *work);

/* Responsibilities of a row of log joint densities: r[i, j] = exp(a[i, j] - lse_i), lse_i = log sum_j exp(a[i, j]).
 * A row whose lse is -inf, +inf or NaN has no responsibilities: they are NaN.
 *   r         n x k, written; row i starts at r + i * r_stride; may be a
 *   lse       n, written, or NULL
 * Other arguments as lc_logsumexp_f64. */
LC_PUBLIC lc_status lc_responsibilities_f64(ptrdiff_t n, ptrdiff_t k, const double *a, ptrdiff_t a_stride, double *r,
                                            ptrdiff_t r_stride, double *lse, void *work);
LC_PUBLIC lc_status lc_responsibilities_f32(ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t a_stride, float *r,
                                            ptrdiff_t r_stride, float *lse, void *work);

#ifdef __cplusplus
}
#endif
#endif
