/* Gaussian statistics and parameters: (count, mean, scatter) and what maximum likelihood makes of them.
 *
 * The scatter is sum_n r_n (x_n - mean)(x_n - mean)^T, not divided by the count. Sizes by covariance type:
 *   full K x D x D, symmetric; tied D x D, summed over components; diag K x D; spherical K, summed over features.
 * Covariances and factors have the same sizes; spherical ones are variances and reciprocal standard deviations. */
#ifndef LATENTCORE_GAUSSIAN_H
#define LATENTCORE_GAUSSIAN_H

#include "latentcore/components.h"
#include "latentcore/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Turn accumulated moments about centers into means and scatters.
 *
 *     mean_k = center_k + first_k / count_k,    scatter_k = second_k - first_k first_k^T / count_k
 *
 * A component of count 0 gets its center and a scatter of 0.
 *   moments      read: all four arrays
 *   means        K x D, written; may be moments->first
 *   scatters     as above, written, both triangles; may be moments->second
 *   cancelled    1, written: 1 if the center of some component with over a millionth of the weight lay so far from its
 *                mean (over 1000 standard deviations) that the subtraction lost digits; sweep again with these means as
 *                centers if the last digits matter; else 0 */
LC_PUBLIC lc_status lc_gaussian_statistics(lc_family family, ptrdiff_t k, ptrdiff_t d, const lc_moments *moments,
                                           double *means, double *scatters, int *cancelled);

/* Add statistics b to statistics a, about the common means (Chan, Golub & LeVeque 1983):
 *
 *     scatter = scatter_a + scatter_b + n_a n_b / (n_a + n_b) (mean_a - mean_b)(mean_a - mean_b)^T
 *
 *   counts, means, scatters        K, K x D, as above: statistics a; overwritten by the sum
 *   counts_b, means_b, scatters_b  statistics b, read */
LC_PUBLIC lc_status lc_gaussian_add(lc_family family, ptrdiff_t k, ptrdiff_t d, double *counts, double *means,
                                    double *scatters, const double *counts_b, const double *means_b,
                                    const double *scatters_b);

/* Maximum likelihood covariances, with `ridge` added to every variance.
 *   full, diag: scatter_k / count_k; tied: scatter / sum of counts; spherical: scatter_k / (D count_k)
 * The covariance of a component of count 0, or below 1e-292, is left as it came (full, diag, spherical).
 *   covariances  as above, written */
LC_PUBLIC lc_status lc_gaussian_covariances(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *counts,
                                            const double *scatters, double ridge, double *covariances);

/* Factors of the precisions: U with covariance^-1 = U U^T, U upper triangular; diag, spherical: 1 / sqrt(variance).
 *   covariances      as above, read (lower triangles)
 *   factors          as above, written; must not be covariances
 *   log_determinants K, written: log|det U_k| (spherical: D log u; tied: K equal values)
 *   where            1, written on LC_NOT_POSITIVE_DEFINITE: the component (tied: 0)
 *   work             d * d doubles, no meaning on return */
LC_PUBLIC lc_status lc_gaussian_factors(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *covariances,
                                        double *factors, double *log_determinants, ptrdiff_t *where, double *work);

/* What takes the place of factors and offsets where means and precisions have a posterior, so that the sweeps of mixture.h
 * fill their tiles with expected log-densities: a CAVI sweep is an EM sweep with these (Bishop 2006, 10.64 and 10.65).
 *
 *     mean_k | Lambda_k ~ N(m_k, (kappa_k Lambda_k)^-1),    Lambda_k ~ Wishart(nu_k, Psi_k^-1)
 *     E log N(x | k) = offset_k - |U_k^T (x - m_k)|^2 / 2,    U_k U_k^T = nu_k Psi_k^-1
 *     offset_k = (sum_{i<D} psi((nu_k - i) / 2) + D log 2 - log|Psi_k| - D log(2 pi) - D / kappa_k) / 2
 *
 * diag, spherical: precisions are Gamma(nu_k / 2, Psi / 2), the Wishart in one dimension, feature by feature. Tied: one
 * Lambda. Expected log weights are to be added to the offsets.
 *   mean_precisions     K, read: kappa > 0
 *   degrees_of_freedom  K; tied 1, read: nu > D - 1 (full, tied) or > 0
 *   scales              Psi, of the sizes of covariances, read (lower triangles)
 *   factors             as the scales, written; must not be the scales
 *   offsets             K, written, nats
 *   where               1, written on LC_NOT_POSITIVE_DEFINITE: the component (tied: 0)
 *   work                d * d doubles, no meaning on return */
LC_PUBLIC lc_status lc_gaussian_expected(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *mean_precisions,
                                         const double *degrees_of_freedom, const double *scales, double *factors,
                                         double *offsets, ptrdiff_t *where, double *work);

#ifdef __cplusplus
}
#endif
#endif
