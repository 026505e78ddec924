#include "components.h"

#include "linear.h"
#include "tile.h"

/* ---- packing ------------------------------------------------------------------------------------------------------- */

/* A triangular factor in the order in which quadratic_forms reads it: for each group of four rows i0 of U^T, the
 * coefficients of columns 0 .. i0 + 3, four together, zeros above the diagonal. (Small D: row by row of U^T.) */
LC_INLINE ptrdiff_t panel_size(ptrdiff_t dp) { return dp * (dp + 4) / 2; }

static void pack_panel(ptrdiff_t d, ptrdiff_t dp, const double *upper, real *out) {
  if (d <= SMALL_D) {
    for (ptrdiff_t i = 0; i < d; i++)
      for (ptrdiff_t j = 0; j <= i; j++) *out++ = (real)upper[j * d + i];
    return;
  }
  for (ptrdiff_t i0 = 0; i0 < dp; i0 += 4)
    for (ptrdiff_t j = 0; j < i0 + 4; j++)
      for (ptrdiff_t i = i0; i < i0 + 4; i++) *out++ = i < d && j <= i ? (real)upper[j * d + i] : REAL(0.0);
}

static location pack_location(arena *a, ptrdiff_t k, ptrdiff_t d, ptrdiff_t kp, ptrdiff_t dp, const double *values) {
  size_t size = (size_t)(kp * dp);
  real *high = take(a, size * sizeof(real));
  memset(high, 0, size * sizeof(real));
  for (ptrdiff_t i = 0; i < k; i++)
    for (ptrdiff_t j = 0; j < d; j++) high[i * dp + j] = (real)values[i * d + j];
#if LC_F32
  real *low = take(a, size * sizeof(real));
  memset(low, 0, size * sizeof(real));
  for (ptrdiff_t i = 0; i < k; i++)
    for (ptrdiff_t j = 0; j < d; j++) low[i * dp + j] = (real)(values[i * d + j] - (double)high[i * dp + j]);
#else
  real *low = high;
#endif
  return (location){high, low};
}

static int has_matrix(lc_family family) { return family == LC_GAUSSIAN_FULL || family == LC_GAUSSIAN_TIED; }

static ptrdiff_t scratch_size(lc_family family, ptrdiff_t kp, ptrdiff_t dp, ptrdiff_t T) {
  switch (family) {
    case LC_GAUSSIAN_FULL: return dp * TILE_UNIT;
    case LC_GAUSSIAN_TIED: return (dp + max_size(dp, kp)) * T;
    default: return 0;
  }
}

static ptrdiff_t tile_rows_of(ptrdiff_t k, ptrdiff_t d) { return tile_rows(max_size(k, d)); }

tile_shape LC_KERNEL(tile_shape_of)(const lc_components *c) {
  ptrdiff_t height = is_linear(c->family) ? linear_height(c) : c->n_features;
  return (tile_shape){tile_rows_of(c->n_components, height), round_up(height, 4)};
}

size_t LC_KERNEL(pack_work)(const lc_components *components) {
  if (is_linear(components->family)) return LC_KERNEL(linear_pack_work)(components);
  ptrdiff_t k = components->n_components, d = components->n_features, kp = round_up(k, 4), dp = round_up(d, 4);
  ptrdiff_t factors = components->family == LC_GAUSSIAN_FULL   ? k * panel_size(dp)
                      : components->family == LC_GAUSSIAN_TIED ? panel_size(dp)
                                                               : kp * dp;
  size_t reals = piece((size_t)kp * sizeof(real)) + 4 * piece((size_t)(kp * dp) * sizeof(real)) +
                 2 * piece((size_t)dp * sizeof(real)) + piece((size_t)factors * sizeof(real)) +
                 2 * piece((size_t)(kp * dp) * sizeof(real)) +
                 piece((size_t)scratch_size(components->family, kp, dp, tile_rows_of(k, d)) * sizeof(real));
  size_t doubles = piece((size_t)(components->family == LC_GAUSSIAN_TIED ? kp * kp : 0) * sizeof(double)) +
                   piece((size_t)(max_size(dp + 1, kp) * dp) * sizeof(double)) + 2 * piece((size_t)(kp * dp) * sizeof(double));
  return ALIGNMENT + reals + doubles;
}

/* Tied components share one whitening y = U^T (x - origin), so that a component costs D and not D^2 / 2. The origin is
 * the mean of the means: with means 1e6 standard deviations apart, y is still good to 1e-10. */
static void pack_tied(const lc_components *components, const double *centers, arena *a, packed *p) {
  ptrdiff_t k = p->k, d = p->d, kp = p->kp, dp = p->dp;
  const double *locations = components->offsets ? components->means : centers;
  double *relative = take(a, (size_t)(kp * dp) * sizeof(double)), *origin = take(a, (size_t)(kp * dp) * sizeof(double));
  for (ptrdiff_t j = 0; j < d; j++) {
    origin[j] = 0;
    for (ptrdiff_t i = 0; i < k; i++) origin[j] += locations[i * d + j] / (double)k;
  }
  p->origin = pack_location(a, 1, d, 1, dp, origin);
  /* what the tile subtracts is the sum of the two reals */
  for (ptrdiff_t j = 0; j < d; j++)
    origin[j] = (double)p->origin.high[j] + (LC_F32 ? (double)p->origin.low[j] : 0.0);

  real *whitened = take(a, (size_t)(kp * dp) * sizeof(real));
  memset(whitened, 0, (size_t)(kp * dp) * sizeof(real));
  for (ptrdiff_t i = 0; components->offsets && i < k; i++) {
    for (ptrdiff_t j = 0; j < d; j++) relative[j] = components->means[i * d + j] - origin[j];
    for (ptrdiff_t j = 0; j < d; j++) {
      double y = 0;
      for (ptrdiff_t m = 0; m <= j; m++) y += components->factors[m * d + j] * relative[m];
      whitened[i * dp + j] = (real)y;
    }
  }
  p->whitened = whitened;

  real *from_origin = take(a, (size_t)(kp * dp) * sizeof(real));
  memset(from_origin, 0, (size_t)(kp * dp) * sizeof(real));
  if (centers)
    for (ptrdiff_t i = 0; i < k; i++)
      for (ptrdiff_t j = 0; j < d; j++) from_origin[i * dp + j] = (real)(centers[i * d + j] - origin[j]);
  p->centers_from_origin = from_origin;
  p->overlaps = take(a, (size_t)(kp * kp) * sizeof(double));
  memset(p->overlaps, 0, (size_t)(kp * kp) * sizeof(double));
}

packed LC_KERNEL(pack)(const lc_components *components, const double *centers, void *memory) {
  if (is_linear(components->family)) return LC_KERNEL(linear_pack)(components, memory);
  ptrdiff_t k = components->n_components, d = components->n_features, kp = round_up(k, 4), dp = round_up(d, 4);
  packed p = {.family = components->family, .k = k, .d = d, .height = d, .kp = kp, .dp = dp, .T = tile_rows_of(k, d)};
  arena a = arena_at(memory);

  if (components->offsets) {
    real *offsets = take(&a, (size_t)kp * sizeof(real));
    memset(offsets, 0, (size_t)kp * sizeof(real));
    for (ptrdiff_t i = 0; i < k; i++) offsets[i] = (real)components->offsets[i];
    p.offsets = offsets;
    p.means = pack_location(&a, k, d, kp, dp, components->means);

    ptrdiff_t n_panels = components->family == LC_GAUSSIAN_FULL ? k : 1;
    real *factors = take(&a, (size_t)(has_matrix(p.family) ? n_panels * panel_size(dp) : kp * dp) * sizeof(real));
    if (has_matrix(p.family)) {
      for (ptrdiff_t i = 0; i < n_panels; i++)
        pack_panel(d, dp, components->factors + i * d * d, factors + i * panel_size(dp));
    } else {
      memset(factors, 0, (size_t)(kp * dp) * sizeof(real));
      for (ptrdiff_t i = 0; i < k; i++)
        for (ptrdiff_t j = 0; j < d; j++)
          factors[i * dp + j] = (real)components->factors[p.family == LC_GAUSSIAN_DIAG ? i * d + j : i];
    }
    p.factors = factors;
  }
  if (centers) p.centers = centers == components->means ? p.means : pack_location(&a, k, d, kp, dp, centers);
  if (p.family == LC_GAUSSIAN_TIED) pack_tied(components, centers, &a, &p);
  p.sums = take(&a, (size_t)(max_size(dp + 1, kp) * dp) * sizeof(double));
  p.scratch = take(&a, (size_t)scratch_size(p.family, kp, dp, p.T) * sizeof(real));
  return p;
}

/* ---- log-densities ------------------------------------------------------------------------------------------------- */

/* offset - q / 2; -inf where q overflowed on the way, to infinity or to inf - inf. */
LC_INLINE vec log_density(real offset, vec q) { return max_vec(offset - REAL(0.5) * q, broadcast(-(real)INFINITY)); }

/* Four rows i0 .. i0 + 3 of U^T times the deviations of WIDE vectors of rows. */
LC_INLINE const real *four_products(ptrdiff_t i0, const real *c, const vec *deviations, vec z[4][WIDE]) {
  _Pragma("GCC unroll 4") for (int a = 0; a < 4; a++)
    _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) z[a][b] = (vec){0};
  for (ptrdiff_t j = 0; j < i0; j++, c += 4)
    _Pragma("GCC unroll 4") for (int a = 0; a < 4; a++)
      _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) z[a][b] += c[a] * deviations[j * WIDE + b];
  _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++, c += 4)
    _Pragma("GCC unroll 4") for (int a = j; a < 4; a++)
      _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) z[a][b] += c[a] * deviations[(i0 + j) * WIDE + b];
  return c;
}

/* The deviations of the first n features, and zeros up to a multiple of four. */
LC_INLINE void take_deviations(const packed *p, ptrdiff_t n, const real *tile, ptrdiff_t t, const location *m, ptrdiff_t k,
                               vec *deviations) {
  for (ptrdiff_t j = 0; j < n; j++)
    _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++)
      deviations[j * WIDE + b] = minus_location(load(tile + j * p->T + t + b * LANES), m, k * p->dp + j);
  for (ptrdiff_t j = n * WIDE; j < round_up(n, 4) * WIDE; j++) deviations[j] = (vec){0};
}

void LC_KERNEL(tile_log_joint_of)(const packed *p, ptrdiff_t k, ptrdiff_t n_features, const real *tile, real *joint) {
  vec *deviations = (vec *)p->scratch;
  for (ptrdiff_t t = 0; t < p->rows; t += WIDE * LANES) {
    take_deviations(p, n_features, tile, t, &p->means, k, deviations);
    const real *c = p->factors + k * panel_size(p->dp);
    vec q[WIDE] = {{0}}, z[4][WIDE];
    for (ptrdiff_t i0 = 0; i0 < n_features; i0 += 4) {
      c = four_products(i0, c, deviations, z);
      _Pragma("GCC unroll 4") for (int a = 0; a < 4; a++)
        _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) q[b] += z[a][b] * z[a][b];
    }
    _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++)
      store(joint + t + b * LANES, log_density(p->offsets[k], q[b]));
  }
}

/* whitened[i * T + t] = (U^T (x_t - origin))_i */
static void whiten_tile(const packed *p, const real *tile, vec *deviations, real *whitened) {
  for (ptrdiff_t t = 0; t < p->rows; t += WIDE * LANES) {
    take_deviations(p, p->d, tile, t, &p->origin, 0, deviations);
    if (p->d <= SMALL_D) { /* coefficients row by row */
      const real *c = p->factors;
      for (ptrdiff_t i = 0; i < p->d; i++) {
        vec z[WIDE] = {{0}};
        for (ptrdiff_t j = 0; j <= i; j++, c++)
          _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) z[b] += *c * deviations[j * WIDE + b];
        _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) store(whitened + i * p->T + t + b * LANES, z[b]);
      }
      continue;
    }
    const real *c = p->factors;
    vec z[4][WIDE];
    for (ptrdiff_t i0 = 0; i0 < p->dp; i0 += 4) {
      c = four_products(i0, c, deviations, z);
      _Pragma("GCC unroll 4") for (int a = 0; a < 4; a++)
        _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) store(whitened + (i0 + a) * p->T + t + b * LANES, z[a][b]);
    }
  }
}

/* The same for D known to the compiler: no buffers. */
LC_INLINE void log_joint_small(const int D, const packed *p, const real *tile, real *joint) {
  for (ptrdiff_t k = 0; k < p->k; k++) {
    const real *factor = p->factors + k * panel_size(p->dp);
    for (ptrdiff_t t = 0; t < p->rows; t += 2 * LANES) {
      vec deviations[2 * SMALL_D], q0 = {0}, q1 = {0};
      const real *c = factor;
      _Pragma("GCC unroll 8") for (int i = 0; i < D; i++) {
        deviations[2 * i] = minus_location(load(tile + i * p->T + t), &p->means, k * p->dp + i);
        deviations[2 * i + 1] = minus_location(load(tile + i * p->T + t + LANES), &p->means, k * p->dp + i);
        vec z0 = {0}, z1 = {0};
        _Pragma("GCC unroll 8") for (int j = 0; j <= i; j++) {
          z0 += *c * deviations[2 * j];
          z1 += *c * deviations[2 * j + 1];
          c++;
        }
        q0 += z0 * z0;
        q1 += z1 * z1;
      }
      store(joint + k * p->T + t, log_density(p->offsets[k], q0));
      store(joint + k * p->T + t + LANES, log_density(p->offsets[k], q1));
    }
  }
}

/* offset - sum_j ((x_j - mean_j) factor_j)^2 / 2 for N_K components; without factors where the tile is whitened. */
LC_INLINE void log_joint_diag_block(const int n_k, const int scaled, const packed *p, ptrdiff_t k, location means,
                                    const real *tile, real *joint) {
  const ptrdiff_t dp = p->dp;
  for (ptrdiff_t t = 0; t < p->rows; t += WIDE * LANES) {
    vec q[4][WIDE];
    _Pragma("GCC unroll 4") for (int a = 0; a < n_k; a++)
      _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) q[a][b] = (vec){0};
    for (ptrdiff_t j = 0; j < p->d; j++) {
      vec x[WIDE];
      _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) x[b] = load(tile + j * p->T + t + b * LANES);
      _Pragma("GCC unroll 4") for (int a = 0; a < n_k; a++)
        _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) {
          vec z = scaled ? minus_location(x[b], &means, (k + a) * dp + j) * p->factors[(k + a) * dp + j]
                         : x[b] - means.high[(k + a) * dp + j];
          q[a][b] += z * z;
        }
    }
    _Pragma("GCC unroll 4") for (int a = 0; a < n_k; a++)
      _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++)
        store(joint + (k + a) * p->T + t + b * LANES, log_density(p->offsets[k + a], q[a][b]));
  }
}

LC_INLINE void log_joint_diag(const int scaled, const packed *p, location means, const real *tile, real *joint) {
  ptrdiff_t k = 0;
  for (; k + 4 <= p->k; k += 4) log_joint_diag_block(4, scaled, p, k, means, tile, joint);
  switch (p->k - k) {
    case 3: log_joint_diag_block(3, scaled, p, k, means, tile, joint); break;
    case 2: log_joint_diag_block(2, scaled, p, k, means, tile, joint); break;
    case 1: log_joint_diag_block(1, scaled, p, k, means, tile, joint); break;
  }
}

void LC_KERNEL(tile_log_joint)(const packed *p, const real *tile, real *joint) {
  if (is_linear(p->family)) {
    LC_KERNEL(linear_log_joint)(p, tile, joint);
  } else if (p->family == LC_GAUSSIAN_FULL) {
    switch (p->d) {
      case 1: log_joint_small(1, p, tile, joint); break;
      case 2: log_joint_small(2, p, tile, joint); break;
      case 3: log_joint_small(3, p, tile, joint); break;
      case 4: log_joint_small(4, p, tile, joint); break;
      case 5: log_joint_small(5, p, tile, joint); break;
      case 6: log_joint_small(6, p, tile, joint); break;
      case 7: log_joint_small(7, p, tile, joint); break;
      case 8: log_joint_small(8, p, tile, joint); break;
      default:
        for (ptrdiff_t k = 0; k < p->k; k++) LC_KERNEL(tile_log_joint_of)(p, k, p->d, tile, joint + k * p->T);
    }
  } else if (p->family == LC_GAUSSIAN_TIED) {
    real *whitened = p->scratch + p->dp * p->T;
    whiten_tile(p, tile, (vec *)p->scratch, whitened);
    log_joint_diag(0, p, (location){p->whitened, NULL}, whitened, joint);
  } else {
    log_joint_diag(1, p, p->means, tile, joint);
  }
}

/* ---- moments ------------------------------------------------------------------------------------------------------- */

/* A tile read as differences x - l; a plain matrix where there is no location. */
typedef struct {
  const real *rows;
  const location *location;
  ptrdiff_t at; /* index of the first row's location */
} deviations;

LC_INLINE vec deviation(const int centered, const deviations *m, ptrdiff_t i, ptrdiff_t T, ptrdiff_t t) {
  vec x = load(m->rows + i * T + t);
  return centered ? minus_location(x, m->location, m->at + i) : x;
}

/* out (4 x COLUMNS, row stride ld) += weighted (four vectors for each vector of rows) times rows j0, j0 + 1, ... of b.
 * Entry (i, j) is computed where i >= j + offset, and has zero added elsewhere: BELOW for all, or the column within its four
 * at which a block on the diagonal begins. */
#define BELOW (-4)
LC_INLINE void product_block(const int centered, const int offset, const packed *p, const vec *weighted,
                             const deviations *b, ptrdiff_t j0, double *out, ptrdiff_t ld) {
  vec block[4 * COLUMNS];
  _Pragma("GCC unroll 16") for (int i = 0; i < 4 * COLUMNS; i++) block[i] = (vec){0};
  for (ptrdiff_t v = 0; v < p->rows / LANES; v++)
    _Pragma("GCC unroll 4") for (int j = 0; j < COLUMNS; j++) {
      vec other = deviation(centered, b, j0 + j, p->T, v * LANES);
      _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)
        if (i >= j + offset) block[i * COLUMNS + j] += weighted[4 * v + i] * other;
    }
  real sums[4 * COLUMNS + LANES];
  fold_all(4 * COLUMNS, block, sums);
  _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)
    for (int j = 0; j < COLUMNS; j++) out[i * ld + j] += (double)sums[i * COLUMNS + j];
}

/* out[i * ld + j] += sum_t w_t a_it b_jt, for i < n_a and j < n_b (lower: j <= i, and zeros within a block on the diagonal);
 * n_a and n_b are multiples of four. w may be NULL for ones. first (n_a, or NULL) += sum_t w_t a_it. */
LC_INLINE void products(const int centered, const int lower, const packed *p, ptrdiff_t n_a, ptrdiff_t n_b,
                        const deviations *a, const deviations *b, const real *w, double *out, ptrdiff_t ld, double *first) {
  vec weighted[4 * 512 / LANES];
  for (ptrdiff_t i0 = 0; i0 < n_a; i0 += 4) {
    vec totals[4] = {{0}};
    for (ptrdiff_t v = 0; v < p->rows / LANES; v++)
      _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) {
        vec value = deviation(centered, a, i0 + i, p->T, v * LANES);
        if (w) value *= load(w + v * LANES);
        weighted[4 * v + i] = value;
        totals[i] += value;
      }
    if (first) {
      real sums[4 + LANES];
      fold_all(4, totals, sums);
      for (int i = 0; i < 4; i++) first[i0 + i] += (double)sums[i];
    }
    const ptrdiff_t whole = lower ? i0 : n_b;
    double *row = out + i0 * ld;
    for (ptrdiff_t j0 = 0; j0 < whole; j0 += COLUMNS) product_block(centered, BELOW, p, weighted, b, j0, row + j0, ld);
    if (lower) product_block(centered, 0, p, weighted, b, i0, row + i0, ld);
    if (lower && COLUMNS == 2) product_block(centered, 2, p, weighted, b, i0 + 2, row + i0 + 2, ld);
  }
}

void LC_KERNEL(tile_products)(const packed *p, ptrdiff_t n_a, ptrdiff_t n_b, const real *a, const real *b, double *out, ptrdiff_t ld) {
  const deviations rows_a = {a, NULL, 0}, rows_b = {b, NULL, 0};
  products(0, 0, p, n_a, n_b, &rows_a, &rows_b, NULL, out, ld, NULL);
}

/* second (d x d, lower triangle) += sums, a dp x dp matrix. */
static void add_lower(const packed *p, const double *sums, double *second) {
  for (ptrdiff_t i = 0; i < p->d; i++)
    for (ptrdiff_t j = 0; j <= i; j++) second[i * p->d + j] += sums[i * p->dp + j];
}

void LC_KERNEL(tile_accumulate_of)(const packed *p, ptrdiff_t k, const real *tile, const real *r, const lc_moments *moments) {
  const deviations from_center = {tile, &p->centers, k * p->dp};
  if (p->d == p->dp) { /* whole blocks, which add zeros above the diagonal */
    products(1, 1, p, p->d, p->d, &from_center, &from_center, r, moments->second + k * p->d * p->d, p->d,
             moments->first + k * p->d);
    return;
  }
  double *second = p->sums, *first = p->sums + p->dp * p->dp;
  memset(p->sums, 0, (size_t)((p->dp + 1) * p->dp) * sizeof(double));
  products(1, 1, p, p->dp, p->dp, &from_center, &from_center, r, second, p->dp, first);
  add_lower(p, second, moments->second + k * p->d * p->d);
  for (ptrdiff_t j = 0; j < p->d; j++) moments->first[k * p->d + j] += first[j];
}

/* Columns from .. to - 1 of the second moments below the diagonal, for D known to the compiler; with_first: the first
 * moments too. The columns are chosen so that the accumulators fit into the registers. */
LC_INLINE void accumulate_columns(const int D, const int from, const int to, const int with_first, const packed *p,
                                  ptrdiff_t k, const real *tile, const real *r, double *first, double *second) {
  vec sums[SMALL_D * 5 + SMALL_D];
  _Pragma("GCC unroll 48") for (int i = 0; i < SMALL_D * 6; i++) sums[i] = (vec){0};
  for (ptrdiff_t t = 0; t < p->rows; t += LANES) {
    vec weight = load(r + t), deviations[SMALL_D];
    int n = 0;
    _Pragma("GCC unroll 8") for (int i = with_first ? 0 : from; i < D; i++) {
      deviations[i] = minus_location(load(tile + i * p->T + t), &p->centers, k * p->dp + i);
      vec weighted = weight * deviations[i];
      if (with_first) sums[n++] += weighted;
      _Pragma("GCC unroll 8") for (int j = from; j < to && j <= i; j++) sums[n++] += weighted * deviations[j];
    }
  }
  real folded[SMALL_D * 6 + LANES];
  int n = 0;
  _Pragma("GCC unroll 8") for (int i = with_first ? 0 : from; i < D; i++) {
    if (with_first) n++;
    _Pragma("GCC unroll 8") for (int j = from; j < to && j <= i; j++) n++;
  }
  fold_all(n, sums, folded);
  n = 0;
  for (int i = with_first ? 0 : from; i < D; i++) {
    if (with_first) first[i] += (double)folded[n++];
    for (int j = from; j < to && j <= i; j++) second[i * D + j] += (double)folded[n++];
  }
}

LC_INLINE void accumulate_small(const int D, const packed *p, const real *tile, const real *r, const lc_moments *moments) {
  for (ptrdiff_t k = 0; k < p->k; k++) {
    const real *rk = r + k * p->T;
    double *first = moments->first + k * D, *second = moments->second + k * D * D;
    if (D <= 4) {
      accumulate_columns(D, 0, D, 1, p, k, tile, rk, first, second);
    } else if (VECTOR_BYTES == 64) {
      accumulate_columns(D, 0, 4, 0, p, k, tile, rk, first, second);
      accumulate_columns(D, 4, D, 1, p, k, tile, rk, first, second);
    } else {
      accumulate_columns(D, 0, 2, 0, p, k, tile, rk, first, second);
      accumulate_columns(D, 2, 4, 0, p, k, tile, rk, first, second);
      accumulate_columns(D, 4, 6, 0, p, k, tile, rk, first, second);
      accumulate_columns(D, 6, D, 1, p, k, tile, rk, first, second);
    }
  }
}

/* First and second moments of N_K components and N_D features. */
LC_INLINE void accumulate_diag_block(const int n_k, const int n_d, const packed *p, ptrdiff_t k, ptrdiff_t j, const real *tile,
                                     const real *r, const lc_moments *moments) {
  vec sums[16];
  _Pragma("GCC unroll 16") for (int i = 0; i < 16; i++) sums[i] = (vec){0};
  for (ptrdiff_t t = 0; t < p->rows; t += LANES) {
    _Pragma("GCC unroll 2") for (int f = 0; f < n_d; f++) {
      vec x = load(tile + (j + f) * p->T + t);
      _Pragma("GCC unroll 4") for (int a = 0; a < n_k; a++) {
        vec deviation = minus_location(x, &p->centers, (k + a) * p->dp + j + f);
        vec weighted = load(r + (k + a) * p->T + t) * deviation;
        sums[4 * a + 2 * f] += weighted;
        sums[4 * a + 2 * f + 1] += weighted * deviation;
      }
    }
  }
  real folded[16 + LANES];
  fold_all(4 * n_k, sums, folded);
  for (int a = 0; a < n_k; a++)
    for (int f = 0; f < n_d; f++) {
      moments->first[(k + a) * p->d + j + f] += (double)folded[4 * a + 2 * f];
      moments->second[p->family == LC_GAUSSIAN_DIAG ? (k + a) * p->d + j + f : k + a] += (double)folded[4 * a + 2 * f + 1];
    }
}

LC_INLINE void accumulate_diag_row(const int n_k, const packed *p, ptrdiff_t k, const real *tile, const real *r,
                                   const lc_moments *moments) {
  ptrdiff_t j = 0;
  for (; j + 2 <= p->d; j += 2) accumulate_diag_block(n_k, 2, p, k, j, tile, r, moments);
  if (j < p->d) accumulate_diag_block(n_k, 1, p, k, j, tile, r, moments);
}

static void accumulate_diag(const packed *p, const real *tile, const real *r, const lc_moments *moments) {
  ptrdiff_t k = 0;
  for (; k + 4 <= p->k; k += 4) accumulate_diag_row(4, p, k, tile, r, moments);
  switch (p->k - k) {
    case 3: accumulate_diag_row(3, p, k, tile, r, moments); break;
    case 2: accumulate_diag_row(2, p, k, tile, r, moments); break;
    case 1: accumulate_diag_row(1, p, k, tile, r, moments); break;
  }
}

/* Within-component scatter of components that share it, without a D x D product for each component and without
 * subtracting a between-component scatter from a total one. With w = sum_k r_k, rho = r / w, m = sum_k rho_k c_k and the
 * residual e = x - m, row by row:
 *
 *   sum_k r_k (x - c_k)(x - c_k)^T = w e e^T + sum_{k<l} (r_k r_l / w) (c_k - c_l)(c_k - c_l)^T
 *   r_k (x - c_k) = r_k e + sum_l (r_k r_l / w) (c_l - c_k)
 *
 * The first terms are one product a row; the overlaps r_k r_l / w are summed, and spent by finish_moments. */
static void accumulate_tied(const packed *p, const real *tile, const real *r, const real *row_sums, const lc_moments *moments) {
  const ptrdiff_t T = p->T, d = p->d, dp = p->dp, kp = p->kp;
  real *residuals = p->scratch, *rho = residuals + dp * T;
  for (ptrdiff_t t = 0; t < p->rows; t += LANES) {
    vec w = load(row_sums + t);
    vec reciprocal = select_vec((ivec)(w > (vec){0}), REAL(1.0) / w, (vec){0});
    for (ptrdiff_t k = 0; k < p->k; k++) store(rho + k * T + t, load(r + k * T + t) * reciprocal);
  }
  memset(rho + p->k * T, 0, (size_t)((kp - p->k) * T) * sizeof(real));

  for (ptrdiff_t j0 = 0; j0 < dp; j0 += 4)
    for (ptrdiff_t t = 0; t < p->rows; t += WIDE * LANES) {
      vec e[4][WIDE];
      _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++)
        _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++)
          e[j][b] = minus_location(load(tile + (j0 + j) * T + t + b * LANES), &p->origin, j0 + j);
      for (ptrdiff_t k = 0; k < p->k; k++) {
        const real *c = p->centers_from_origin + k * dp + j0;
        _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) {
          vec share = load(rho + k * T + t + b * LANES);
          _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++) e[j][b] -= c[j] * share;
        }
      }
      _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++)
        _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) store(residuals + (j0 + j) * T + t + b * LANES, e[j][b]);
    }

  const deviations e = {residuals, NULL, 0}, share = {rho, NULL, 0}, weight = {r, NULL, 0};
  memset(p->sums, 0, (size_t)(dp * dp) * sizeof(double));
  products(0, 1, p, dp, dp, &e, &e, row_sums, p->sums, dp, NULL);
  add_lower(p, p->sums, moments->second);
  products(0, 1, p, kp, kp, &weight, &share, NULL, p->overlaps, kp, NULL);

  memset(p->sums, 0, (size_t)(kp * dp) * sizeof(double));
  products(0, 0, p, kp, dp, &weight, &e, NULL, p->sums, dp, NULL);
  for (ptrdiff_t k = 0; k < p->k; k++)
    for (ptrdiff_t j = 0; j < d; j++) moments->first[k * d + j] += p->sums[k * dp + j];
}

void LC_KERNEL(finish_moments)(const packed *p, const lc_moments *moments) {
  if (p->family != LC_GAUSSIAN_TIED) return;
  const ptrdiff_t d = p->d;
  double *difference = p->sums;
  for (ptrdiff_t k = 1; k < p->k; k++)
    for (ptrdiff_t l = 0; l < k; l++) {
      const double overlap = p->overlaps[k * p->kp + l];
      if (overlap == 0) continue;
      for (ptrdiff_t j = 0; j < d; j++) difference[j] = moments->centers[k * d + j] - moments->centers[l * d + j];
      for (ptrdiff_t i = 0; i < d; i++) {
        const double scale = overlap * difference[i];
        moments->first[k * d + i] -= scale;
        moments->first[l * d + i] += scale;
        double *restrict row = moments->second + i * d;
        for (ptrdiff_t j = 0; j <= i; j++) row[j] += scale * difference[j];
      }
    }
}

void LC_KERNEL(tile_counts)(ptrdiff_t k, ptrdiff_t T, ptrdiff_t rows, const real *r, double *counts) {
  for (ptrdiff_t i = 0; i < k; i++) {
    vec sums[4] = {{0}};
    for (ptrdiff_t t = 0; t < rows; t += 4 * LANES)
      _Pragma("GCC unroll 4") for (int b = 0; b < 4; b++) sums[b] += load(r + i * T + t + b * LANES);
    counts[i] += sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
  }
}

void LC_KERNEL(tile_accumulate)(const packed *p, const real *tile, const real *r, const real *row_sums,
                                const lc_moments *moments) {
  LC_KERNEL(tile_counts)(p->k, p->T, p->rows, r, moments->counts);
  if (is_linear(p->family)) {
    LC_KERNEL(linear_accumulate)(p, tile, r, moments);
  } else if (p->family == LC_GAUSSIAN_FULL) {
    switch (p->d) {
      case 1: accumulate_small(1, p, tile, r, moments); break;
      case 2: accumulate_small(2, p, tile, r, moments); break;
      case 3: accumulate_small(3, p, tile, r, moments); break;
      case 4: accumulate_small(4, p, tile, r, moments); break;
      case 5: accumulate_small(5, p, tile, r, moments); break;
      case 6: accumulate_small(6, p, tile, r, moments); break;
      case 7: accumulate_small(7, p, tile, r, moments); break;
      case 8: accumulate_small(8, p, tile, r, moments); break;
      default:
        for (ptrdiff_t k = 0; k < p->k; k++) LC_KERNEL(tile_accumulate_of)(p, k, tile, r + k * p->T, moments);
    }
  } else if (p->family == LC_GAUSSIAN_TIED) {
    accumulate_tied(p, tile, r, row_sums, moments);
  } else {
    accumulate_diag(p, tile, r, moments);
  }
}
