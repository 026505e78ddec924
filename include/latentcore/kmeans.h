/* Lloyd's algorithm, one sweep at a time: hard EM with equal weights and one fixed spherical covariance. */
#ifndef LATENTCORE_KMEANS_H
#define LATENTCORE_KMEANS_H

#include "latentcore/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of workspace. */
LC_PUBLIC size_t lc_kmeans_work_f64(ptrdiff_t k, ptrdiff_t d);
LC_PUBLIC size_t lc_kmeans_work_f32(ptrdiff_t k, ptrdiff_t d);

/* Assign every row to its nearest center, the first of equals, and sum the rows of each center.
 *   n, k, d      rows >= 0, centers >= 1, features >= 1
 *   x            n x d, read; row i starts at x + i * x_stride
 *   row_weights  n, read, or NULL for ones
 *   centers      k x d, read
 *   labels       n, written
 *   distances    n, written: squared distances to the nearest center; or NULL
 *   counts       k, += sum of weights
 *   first        k x d, += sum of weights times (x - center)
 *   inertia      1, += sum of weights times squared distances
 *   work         lc_kmeans_work_f64(k, d) bytes, no meaning on return */
LC_PUBLIC lc_status lc_kmeans_sweep_f64(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const double *x, ptrdiff_t x_stride,
                                        const double *row_weights, const double *centers, int *labels,
                                        double *distances, double *counts, double *first, double *inertia, void *work);
LC_PUBLIC lc_status lc_kmeans_sweep_f32(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const float *x, ptrdiff_t x_stride,
                                        const double *row_weights, const double *centers, int *labels,
                                        double *distances, double *counts, double *first, double *inertia, void *work);

/* What each of k candidates would leave of the potential, were it to become a center (Arthur & Vassilvitskii 2007):
 *
 *     potentials_j += sum_n w_n min(nearest_n, |x_n - candidate_j|^2)
 *
 *   candidates   k x d, read
 *   nearest      n, read: squared distances to the nearest center so far, or infinities
 *   potentials   k, +=
 *   work         lc_kmeans_work_f64(k, d) bytes, no meaning on return
 * Other arguments as above. */
LC_PUBLIC lc_status lc_kmeans_potentials_f64(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const double *x, ptrdiff_t x_stride,
                                             const double *row_weights, const double *candidates, const double *nearest,
                                             double *potentials, void *work);
LC_PUBLIC lc_status lc_kmeans_potentials_f32(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const float *x, ptrdiff_t x_stride,
                                             const double *row_weights, const double *candidates, const double *nearest,
                                             double *potentials, void *work);

#ifdef __cplusplus
}
#endif
#endif
