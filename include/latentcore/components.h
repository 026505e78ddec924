/* What a mixture, a hidden Markov model or any other structure needs to know of its K components, and what it gives
 * back: log-densities for a block of rows, and weighted moments.
 *
 * Gaussian families, with moments about given centers:
 *
 *     log f_k(x) = offset_k - |U_k^T (x - mean_k)|^2 / 2
 *
 * Linear families, with statistics T(x) of F numbers, over the columns d that were observed (not NaN):
 *
 *     log f_k(x) = offset_k + sum_d constant_kd + sum_f coefficient_kf T_f(x)
 *
 * which is the log-density but for the base measure log h(x), the same for all k (Poisson: coefficient log rate, constant
 * -rate; Bernoulli: logit p and log(1 - p); ...). An infinite coefficient forbids: -inf allows only T_f = 0, +inf only
 * T_f = 1, and neither adds anything then.
 *
 * In the Gaussian case, with offset_k = log weight_k + log|det U_k| - D/2 log(2 pi) and U_k U_k^T the precision this is the log joint
 * density of a Gaussian mixture; other offsets and factors give expected log-densities under a posterior, or
 * unnormalised weights. Parameters and moments are always double, whatever the precision of the data. */
#ifndef LATENTCORE_COMPONENTS_H
#define LATENTCORE_COMPONENTS_H

#include "latentcore/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lc_family {
  LC_GAUSSIAN_FULL = 0,     /* a factor matrix for each component */
  LC_GAUSSIAN_TIED = 1,     /* one factor matrix for all */
  LC_GAUSSIAN_DIAG = 2,     /* a factor for each component and feature */
  LC_GAUSSIAN_SPHERICAL = 3, /* a factor for each component */
  LC_LINEAR = 4,       /* T(x) = x, F = D */
  LC_LINEAR_LOG = 5,   /* T(x) = x of all columns, then log x of all, F = 2 D */
  LC_LINEAR_ANGLE = 6, /* T(x) = cos x of all columns, then sin x of all, F = 2 D */
  LC_LINEAR_CODE = 7   /* x holds codes 0 .. levels[d] - 1; T(x) is 1 at the code of each column and 0 elsewhere, F = sum of levels */
} lc_family;

/* K components on D features. All arrays are borrowed and only read. */
typedef struct lc_components {
  lc_family family;
  ptrdiff_t n_components; /* K >= 1 */
  ptrdiff_t n_features;   /* D >= 1 */
  const double *offsets;  /* K; -inf switches a component off */
  const double *means;    /* K x D; linear: the constants, or NULL for zeros */
  const double *factors;  /* full K x D x D and tied D x D: upper triangular U, the rest is not read; diag K x D;
                             spherical K (diag and spherical: reciprocal standard deviations);
                             linear K x F: the coefficients */
  const ptrdiff_t *levels; /* LC_LINEAR_CODE: D, each >= 1; else not read */
  int has_missing;         /* linear: whether x may hold NaN, a missing entry; then moments have observed counts too */
} lc_components;

/* Weighted moments about fixed centers. They add: sums over shards of rows with the same centers are plain sums. */
typedef struct lc_moments {
  const double *centers; /* K x D, read; near the weighted means, for accuracy; linear: not read */
  double *counts;        /* K,     += sum_n r_nk */
  double *first;         /* K x D, += sum_n r_nk (x_n - center_k); linear K x F: += sum_n r_nk T(x_n) */
  double *second;        /* += the second moments about the centers, by family:
                            full K x D x D and tied D x D (summed over k): the lower triangle, the rest has zero added or is not touched;
                            diag K x D: squares; spherical K: squares summed over features;
                            linear with has_missing K x D: += sum of r_nk over the rows in which column d was observed; else not touched */
} lc_moments;

#ifdef __cplusplus
}
#endif
#endif
