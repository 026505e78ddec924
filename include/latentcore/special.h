/* Special functions, element by element.
 *
 * Errors are for double; eps is 2^-52, and 2^-23 in the same places for float. */
#ifndef LATENTCORE_SPECIAL_H
#define LATENTCORE_SPECIAL_H

#include "latentcore/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* out[i] = log Gamma(x[i]), x >= 0. At most 24 eps max(1, |out[i]|) from the true value: near its zeros 1 and 2 the error
 * is absolute. +inf at 0 and at +inf; NaN where x is negative or NaN.
 * Recurrence up to x + 8 (float: x + 4), there the asymptotic series, Abramowitz & Stegun (1964), 6.1.40.
 *   n    number of elements, >= 0
 *   x    n, read
 *   out  n, written; may be x */
LC_PUBLIC lc_status lc_lgamma_f64(ptrdiff_t n, const double *x, double *out);
LC_PUBLIC lc_status lc_lgamma_f32(ptrdiff_t n, const float *x, float *out);

/* out[i] = d/dx log Gamma(x) at x[i] >= 0. At most 8 eps max(1, |out[i]|) from the true value: near its zero 1.4616 the
 * error is absolute. -inf at 0, +inf at +inf; NaN where x is negative or NaN. Series 6.3.18; arguments as lc_lgamma_f64. */
LC_PUBLIC lc_status lc_digamma_f64(ptrdiff_t n, const double *x, double *out);
LC_PUBLIC lc_status lc_digamma_f32(ptrdiff_t n, const float *x, float *out);

/* out[i] = d^2/dx^2 log Gamma(x) at x[i] >= 0. At most 4 eps |out[i]| from the true value, where that is a normal number.
 * +inf at 0, 0 at +inf; NaN where x is negative or NaN. Series 6.4.12; arguments as lc_lgamma_f64. */
LC_PUBLIC lc_status lc_trigamma_f64(ptrdiff_t n, const double *x, double *out);
LC_PUBLIC lc_status lc_trigamma_f32(ptrdiff_t n, const float *x, float *out);

/* sine[i] = sin(x[i]), cosine[i] = cos(x[i]), radians. At most eps from the true values; NaN where x is infinite or NaN.
 * Angles beyond 1e4 (float: 1e3) take the C library's functions and their time.
 *   n       number of elements, >= 0
 *   x       n, read
 *   sine    n, written; may be x
 *   cosine  n, written; may be x; not sine */
LC_PUBLIC lc_status lc_sin_cos_f64(ptrdiff_t n, const double *x, double *sine, double *cosine);
LC_PUBLIC lc_status lc_sin_cos_f32(ptrdiff_t n, const float *x, float *sine, float *cosine);

/* out[i] = log Gamma_D(x[i]), the multivariate gamma function in D = dimension dimensions, the normaliser of Wishart
 * distributions: D (D - 1) / 4 log pi + sum_{j<D} log Gamma(x - j / 2) (Muirhead 1982, theorem 2.1.12). The errors are
 * those of the D values of lc_lgamma_f64 and of their sum. +inf at x = (D - 1) / 2 and at +inf; NaN below and for NaN.
 *   n          number of elements, >= 0
 *   dimension  D >= 1
 *   x          n, read
 *   out        n, written; may be x */
LC_PUBLIC lc_status lc_multivariate_lgamma(ptrdiff_t n, ptrdiff_t dimension, const double *x, double *out);

#ifdef __cplusplus
}
#endif
#endif
