/* Linear families whose rows are lists of entries: sparse rows (a column and a value each), and codes (the place of a one
 * in T(x) each). For each row the components lie in the vector lanes: an entry adds its row of a table to the
 * log joint densities, and the row's responsibilities to a row of a table of sums. */
#ifndef LC_INDEXED_H
#define LC_INDEXED_H

#include "components.h"
#include "kernels.h"

typedef struct indexed {
  ptrdiff_t k, d, n_statistics;
  ptrdiff_t kv;           /* k rounded up to KV_UNIT: the length of a row of the table */
  ptrdiff_t ks;           /* k rounded up to KS_UNIT: the length of a row of the sums */
  int has_missing;
  const ptrdiff_t *levels;
  ptrdiff_t *starts;      /* d: where each column's codes start; codes only */
  real *offsets;          /* kv; -inf beyond k */
  real *table;            /* n_statistics x kv */
  double *sums;           /* n_statistics x ks */
  double *observed;       /* d x ks: of codes, where entries may be missing */
  double *counts;         /* ks */
  real *block;            /* rows of a tile x kv */
} indexed;

/* Whether components are used in this way for dense rows. */
LC_INLINE int is_indexed(lc_family family) { return family == LC_LINEAR_CODE; }

/* Rows of a tile. */
ptrdiff_t LC_KERNEL(indexed_rows)(const lc_components *components);

/* Bytes of workspace. */
size_t LC_KERNEL(indexed_work)(const lc_components *components);
indexed LC_KERNEL(indexed_begin)(const lc_components *components, ptrdiff_t T, void *memory);

/* joint[k * T + t] = log f_k of row start + t, for t < rows; padding is zeros. A code out of range has density 0. */
void LC_KERNEL(indexed_log_joint)(const indexed *s, const matrix *m, ptrdiff_t start, ptrdiff_t rows, ptrdiff_t T, real *joint);

/* out[t * k + i] = log f_i of row t, for all rows at once, without the detour through tiles. */
void LC_KERNEL(indexed_log_joint_rows)(const indexed *s, const matrix *m, ptrdiff_t rows, real *out);

/* Add the rows under responsibilities r (k x T) to the sums. */
void LC_KERNEL(indexed_accumulate)(const indexed *s, const matrix *m, ptrdiff_t start, ptrdiff_t rows, ptrdiff_t T, const real *r);

/* The same for all rows under weights (rows x k) at once; row t starts at weights + t * stride. */
void LC_KERNEL(indexed_accumulate_rows)(const indexed *s, const matrix *m, ptrdiff_t rows, const real *weights, ptrdiff_t stride);

/* moments += the sums. */
void LC_KERNEL(indexed_finish)(const indexed *s, const lc_moments *moments);

#endif
