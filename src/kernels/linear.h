/* Families whose log-density is linear in statistics T(x) of a row, on tiles: rows 0 .. F - 1 of a tile are T(x), and where
 * entries may be missing the d rows after them are 1 where a column was observed, else 0 (T(x) is 0 there). */
#ifndef LC_LINEAR_H
#define LC_LINEAR_H

#include "components.h"

/* F, the length of T(x). */
static inline ptrdiff_t linear_statistics(const lc_components *c) {
  ptrdiff_t d = c->n_features, sum = 0;
  switch (c->family) {
    case LC_LINEAR: return d;
    case LC_LINEAR_CODE:
      for (ptrdiff_t j = 0; j < d; j++) sum += c->levels[j];
      return sum;
    default: return 2 * d;
  }
}

static inline ptrdiff_t linear_height(const lc_components *c) {
  return linear_statistics(c) + (c->has_missing ? c->n_features : 0);
}

size_t LC_KERNEL(linear_pack_work)(const lc_components *components);
packed LC_KERNEL(linear_pack)(const lc_components *components, void *memory);

/* Turn the d rows of x that a tile holds into T(x) and what was observed; `rows` are data, the rest is padding. */
void LC_KERNEL(linear_features)(const packed *p, ptrdiff_t rows, real *tile);

void LC_KERNEL(linear_log_joint)(const packed *p, const real *tile, real *joint);
void LC_KERNEL(linear_accumulate)(const packed *p, const real *tile, const real *r, const lc_moments *moments);

#endif
