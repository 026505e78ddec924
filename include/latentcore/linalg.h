/* The few pieces of dense linear algebra that covariance matrices need. Matrices are row-major and contiguous. */
#ifndef LATENTCORE_LINALG_H
#define LATENTCORE_LINALG_H

#include "latentcore/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Cholesky factor of a symmetric positive definite matrix, A = L L^T.
 *   d  order, >= 1
 *   a  d x d, read in its lower triangle
 *   l  d x d, written: the lower triangle L, zeros above; may be a
 * LC_NOT_POSITIVE_DEFINITE if a pivot is not positive or not finite. */
LC_PUBLIC lc_status lc_cholesky(ptrdiff_t d, const double *a, double *l);

/* Transposed inverse of a lower triangular matrix, U = L^-T: upper triangular, and if A = L L^T then A^-1 = U U^T.
 *   d  order, >= 1
 *   l  d x d, read in its lower triangle; its diagonal must not be zero
 *   u  d x d, written: the upper triangle U, zeros below; must not be l */
LC_PUBLIC lc_status lc_inverse_transpose(ptrdiff_t d, const double *l, double *u);

#ifdef __cplusplus
}
#endif
#endif
