/* Components as tiles see them: packed once a sweep into `real`, in the order in which the kernels read. */
#ifndef LC_COMPONENTS_INTERNAL_H
#define LC_COMPONENTS_INTERNAL_H

#include "latentcore/components.h"
#include "tile.h"

/* Up to this D everything is unrolled, with coefficients row by row of U^T. */
#define SMALL_D 8

#if VECTOR_BYTES == 64
#define WIDE 4 /* vectors of rows to a register block: 16 accumulators of 32 registers */
#define COLUMNS 4
#else
#define WIDE 2 /* 8 of 16 */
#define COLUMNS 2
#endif

/* A location in double as a sum of two reals, so that (x - high) - low loses nothing in float. */
typedef struct location {
  const real *high;
  const real *low; /* not read when data are double */
} location;

LC_INLINE vec minus_location(vec x, const location *l, ptrdiff_t i) {
#if LC_F32
  return (x - l->high[i]) - l->low[i];
#else
  return x - l->high[i];
#endif
}

LC_INLINE int is_linear(lc_family family) { return family >= LC_LINEAR; }

typedef struct packed {
  lc_family family;
  ptrdiff_t k, d;
  ptrdiff_t height;    /* rows of a tile in use: d; linear: those of T(x), and d of ones where an entry was observed */
  ptrdiff_t T;         /* rows that a tile has room for: the stride of its features */
  ptrdiff_t rows;      /* rows of the current tile, rounded up to TILE_UNIT: what loops run over */
  ptrdiff_t kp, dp;    /* k and height rounded up to 4; the rows beyond are zeros */
  const real *offsets; /* kp */
  location means;      /* kp x dp */
  location centers;    /* kp x dp: where moments are taken about */
  location origin;     /* dp: tied only, the mean of the means; centers_from_origin is relative to it */
  const real *factors; /* full: k panels; tied: one panel; diag, spherical and linear: kp x dp */
  ptrdiff_t n_statistics;     /* linear: F */
  int has_missing;            /* linear */
  const double *coefficients; /* linear: those of lc_components if some are infinite, else NULL */
  const real *whitened;            /* tied: kp x dp, U^T (mean - origin) */
  const real *centers_from_origin; /* tied: kp x dp, center - origin */
  double *overlaps;                /* tied: kp x kp, accumulates sum_n r_nk r_nl / w_n */
  double *sums;                    /* a tile's sums: max(dp + 1, kp) x dp */
  real *scratch;
} packed;

/* Rows of a tile, and rows of reals that it is high (p->T and p->dp). */
typedef struct tile_shape {
  ptrdiff_t T, dp;
} tile_shape;
tile_shape LC_KERNEL(tile_shape_of)(const lc_components *components);

/* Bytes that `packed` needs of a workspace. */
size_t LC_KERNEL(pack_work)(const lc_components *components);

/* Pack into memory of that size. `centers` (K x D) may be NULL where no moments are wanted. */
packed LC_KERNEL(pack)(const lc_components *components, const double *centers, void *memory);

/* out (n_a x n_b, row stride ld) += sum_t a[i * T + t] b[j * T + t]; n_a and n_b are multiples of four. */
void LC_KERNEL(tile_products)(const packed *p, ptrdiff_t n_a, ptrdiff_t n_b, const real *a, const real *b, double *out, ptrdiff_t ld);

/* counts (k) += the responsibilities of each component. */
void LC_KERNEL(tile_counts)(ptrdiff_t k, ptrdiff_t T, ptrdiff_t rows, const real *r, double *counts);

/* joint[k * T + t] = log f_k(x_t). joint has kp x T reals; rows of padding are left as they are.
 * Tiles have dp rows, the last dp - d of them zeros. */
void LC_KERNEL(tile_log_joint)(const packed *p, const real *tile, real *joint);

/* joint (T) = log f_k(x_t) of one full-covariance component, D > SMALL_D, from the first n_features features: with fewer than D of them
 * (a multiple of four) an upper bound, since U^T is triangular. Rows run to p->rows, a multiple of WIDE * LANES. */
void LC_KERNEL(tile_log_joint_of)(const packed *p, ptrdiff_t k, ptrdiff_t n_features, const real *tile, real *joint);

/* The first and second moments of one full-covariance component, D > SMALL_D; r has T reals, zero in padding. */
void LC_KERNEL(tile_accumulate_of)(const packed *p, ptrdiff_t k, const real *tile, const real *r, const lc_moments *moments);

/* moments += those of the tile under responsibilities r (kp x T, zero in rows of padding); row_sums (T) = sum_k r_kt. */
void LC_KERNEL(tile_accumulate)(const packed *p, const real *tile, const real *r, const real *row_sums,
                                const lc_moments *moments);

/* Add what can only be added after the last tile. */
void LC_KERNEL(finish_moments)(const packed *p, const lc_moments *moments);

#endif
