/* The pruned E-step of a full-covariance mixture: where clusters are apart, almost all of the K log-densities of a row
 * are beyond the last digit of its log-likelihood, and a bound shows it for a fraction of their cost.
 *
 * A block of rows is sorted by a guess l of each row's component. With w_kl = U_k^T (mean_l - mean_k) and the unit vector
 * u = w_kl / |w_kl|, Cauchy-Schwarz gives |U_k^T (x - mean_k)| >= u . U_k^T (x - mean_k) = |w_kl| + v_kl . (x - mean_l), v_kl = U_k u,
 * a product of D numbers instead of D^2 / 2. A component whose density is so bounded below e^-42 of the row's own
 * changes no sum by more than rounding: it is passed over. Whatever the guess, what is kept is exact. */
#ifndef LC_PRUNED_H
#define LC_PRUNED_H

#include "components.h"

typedef struct pruner {
  ptrdiff_t capacity; /* rows to a block; 0: this shape is not worth pruning */
  real *directions; /* k x kp x dp: for each l, v_kl of four components k together, feature by feature */
  real *distances;  /* k x kp: |w_kl| */
  real *joint;      /* kp x capacity: log joint densities, then responsibilities; -inf, then 0, where passed over */
  real *own;        /* capacity: that of the guessed component */
  real *row;        /* capacity: weights */
  int32_t *order;   /* capacity: rows sorted by guess */
  int32_t *guess;   /* capacity */
  int32_t *starts;  /* k + 1: where each component's rows start in the order */
  int32_t *kept;    /* k x capacity: the other rows that a component is kept for */
  int32_t *n_kept;  /* k */
} pruner;

/* Bytes of workspace. */
size_t LC_KERNEL(pruner_work)(const lc_components *components);

pruner LC_KERNEL(pruner_begin)(const packed *p, const lc_components *components, void *memory);

/* Fill s->joint (stride capacity) for rows 0 .. n - 1 of x, n <= capacity. Returns 0 where so many components had to be kept
 * that the plain sweep is faster; then joint has no meaning. tile: dp x p->T, as the plain sweep's. */
int LC_KERNEL(pruned_log_joint)(pruner *s, packed *p, ptrdiff_t n, const real *x, ptrdiff_t x_stride, real *tile);

/* moments += those of the rows, where s->joint now holds responsibilities. */
void LC_KERNEL(pruned_accumulate)(pruner *s, packed *p, ptrdiff_t n, const real *x, ptrdiff_t x_stride, real *tile,
                                  const lc_moments *moments);

#endif
