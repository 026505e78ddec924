#include "pruned.h"

#include "tile.h"

/* Shapes below have too little to win; above, the directions would not stay in cache. */
#define FEWEST_FEATURES 16
#define FEWEST_COMPONENTS 4
#define MOST_DIRECTIONS (1 << 17)
/* e^-42 = 6e-19, a four-hundredth of the rounding of 1 in double: K of them change no sum. In float as well. */
#define NEGLIGIBLE REAL(42.0)
/* The guess is the best component by the first features alone. */
#define GUESS_FEATURES 8

static ptrdiff_t capacity_of(const lc_components *c) {
  ptrdiff_t k = c->n_components, d = c->n_features;
  if (c->family != LC_GAUSSIAN_FULL || d < FEWEST_FEATURES || k < FEWEST_COMPONENTS) return 0;
  if (k * round_up(k, 4) * round_up(d, 4) > MOST_DIRECTIONS) return 0;
  return 1024;
}

size_t LC_KERNEL(pruner_work)(const lc_components *components) {
  ptrdiff_t k = components->n_components, kp = round_up(k, 4), dp = round_up(components->n_features, 4);
  ptrdiff_t n = capacity_of(components);
  if (n == 0) return 0;
  return ALIGNMENT + piece((size_t)(k * kp * dp) * sizeof(real)) + piece((size_t)(k * kp) * sizeof(real)) +
         piece((size_t)(kp * n) * sizeof(real)) + 2 * piece((size_t)n * sizeof(real)) + 2 * piece((size_t)n * sizeof(int32_t)) +
         piece((size_t)(k + 1) * sizeof(int32_t)) + piece((size_t)(k * n) * sizeof(int32_t)) +
         piece((size_t)k * sizeof(int32_t)) + 2 * piece((size_t)(k * dp) * sizeof(double));
}

LC_INLINE void add_scaled(ptrdiff_t n, double scale, const double *restrict from, double *restrict to) {
  for (ptrdiff_t i = 0; i < n; i++) to[i] += scale * from[i];
}

/* v_kl and |w_kl| for all pairs, in double: for each k, two triangular products with all l side by side. */
static void set_directions(pruner *s, const packed *p, const lc_components *c, double *differences, double *whitened) {
  const ptrdiff_t K = p->k, d = p->d, kp = p->kp, dp = p->dp;
  memset(s->directions, 0, (size_t)(K * kp * dp) * sizeof(real));
  memset(s->distances, 0, (size_t)(K * kp) * sizeof(real));
  for (ptrdiff_t k = 0; k < K; k++) {
    const double *U = c->factors + k * d * d;
    for (ptrdiff_t l = 0; l < K; l++)
      for (ptrdiff_t j = 0; j < d; j++) differences[j * K + l] = c->means[l * d + j] - c->means[k * d + j];
    memset(whitened, 0, (size_t)(d * K) * sizeof(double));
    for (ptrdiff_t j = 0; j < d; j++)
      for (ptrdiff_t i = j; i < d; i++) add_scaled(K, U[j * d + i], differences + j * K, whitened + i * K);
    memset(differences, 0, (size_t)(d * K) * sizeof(double));
    for (ptrdiff_t j = 0; j < d; j++)
      for (ptrdiff_t i = j; i < d; i++) add_scaled(K, U[j * d + i], whitened + i * K, differences + j * K);
    for (ptrdiff_t l = 0; l < K; l++) {
      double square = 0;
      for (ptrdiff_t i = 0; i < d; i++) square += whitened[i * K + l] * whitened[i * K + l];
      if (!(square > 0) || square > DBL_MAX) continue; /* distance 0 bounds nothing */
      const double norm = sqrt(square);
      s->distances[l * kp + k] = (real)norm;
      real *out = s->directions + (l * kp + k / 4 * 4) * dp + k % 4;
      for (ptrdiff_t j = 0; j < d; j++) out[4 * j] = (real)(differences[j * K + l] / norm);
    }
  }
}

/* Whether most of a sample of pairs, neighbours in the list of components, are so far apart that a bound has a chance:
 * |w|^2 / 2 has to exceed what is negligible and half of what a row's own quadratic form is expected to be. */
static int worth_trying(const lc_components *c, double *whitened) {
  const ptrdiff_t K = c->n_components, d = c->n_features;
  ptrdiff_t n_apart = 0;
  for (ptrdiff_t k = 0; k < K; k++) {
    const double *U = c->factors + k * d * d, *from = c->means + k * d, *to = c->means + (k + 1) % K * d;
    double square = 0;
    memset(whitened, 0, (size_t)d * sizeof(double));
    for (ptrdiff_t j = 0; j < d; j++) add_scaled(d - j, to[j] - from[j], U + j * d + j, whitened + j);
    for (ptrdiff_t i = 0; i < d; i++) square += whitened[i] * whitened[i];
    n_apart += square > 2 * (double)NEGLIGIBLE + 0.5 * (double)d;
  }
  return 2 * n_apart >= K;
}

pruner LC_KERNEL(pruner_begin)(const packed *p, const lc_components *components, void *memory) {
  pruner s = {.capacity = capacity_of(components)};
  if (s.capacity == 0) return s;
  ptrdiff_t n = s.capacity;
  arena a = arena_at(memory);
  s.directions = take(&a, (size_t)(p->k * p->kp * p->dp) * sizeof(real));
  s.distances = take(&a, (size_t)(p->k * p->kp) * sizeof(real));
  s.joint = take(&a, (size_t)(p->kp * n) * sizeof(real));
  s.own = take(&a, (size_t)n * sizeof(real));
  s.row = take(&a, (size_t)n * sizeof(real));
  s.order = take(&a, (size_t)n * sizeof(int32_t));
  s.guess = take(&a, (size_t)n * sizeof(int32_t));
  s.starts = take(&a, (size_t)(p->k + 1) * sizeof(int32_t));
  s.kept = take(&a, (size_t)(p->k * n) * sizeof(int32_t));
  s.n_kept = take(&a, (size_t)p->k * sizeof(int32_t));
  double *differences = take(&a, (size_t)(p->k * p->dp) * sizeof(double));
  double *whitened = take(&a, (size_t)(p->k * p->dp) * sizeof(double));
  if (worth_trying(components, whitened))
    set_directions(&s, p, components, differences, whitened);
  else
    s.capacity = 0;
  return s;
}

/* Rows of x in the order of a list, as a tile; rounded up to whole register blocks of rows, with zeros. */
static void turn_in_listed(packed *p, ptrdiff_t n, const int32_t *list, const real *x, ptrdiff_t stride, real *tile) {
  const ptrdiff_t T = p->T, d = p->d, whole_d = d / LANES * LANES;
  p->rows = round_up(n, WIDE * LANES);
  for (ptrdiff_t t = 0; t < p->rows; t += LANES) {
    const real *row[LANES];
    ptrdiff_t there = max_size(0, min_size(LANES, n - t));
    for (ptrdiff_t i = 0; i < LANES; i++) row[i] = i < there ? x + list[t + i] * stride : NULL;
    for (ptrdiff_t j = 0; j < whole_d; j += LANES) {
      vec block[LANES];
      if (there == LANES) {
        _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) block[i] = load(row[i] + j);
      } else {
        for (int i = 0; i < LANES; i++) block[i] = i < there ? load(row[i] + j) : (vec){0};
      }
      transpose_block(block);
      _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) store(tile + (j + i) * T + t, block[i]);
    }
    for (ptrdiff_t j = whole_d; j < d; j++)
      for (ptrdiff_t i = 0; i < LANES; i++) tile[j * T + t + i] = i < there ? row[i][j] : REAL(0.0);
  }
}

/* The best component of each row by its first features, and the rows sorted by it. */
static void guess_components(pruner *s, packed *p, ptrdiff_t n, const real *x, ptrdiff_t x_stride, real *tile) {
  for (ptrdiff_t start = 0; start < n; start += p->T) {
    ptrdiff_t rows = min_size(p->T, n - start);
    p->rows = round_up(rows, TILE_UNIT);
    turn_in(rows, GUESS_FEATURES, x + start * x_stride, x_stride, p->T, tile);
    for (ptrdiff_t k = 0; k < p->k; k++)
      LC_KERNEL(tile_log_joint_of)(p, k, GUESS_FEATURES, tile, s->joint + k * s->capacity + start);
  }
  memset(s->starts, 0, (size_t)(p->k + 1) * sizeof(int32_t));
  for (ptrdiff_t t = 0; t < n; t += LANES) {
    vec best = load(s->joint + t);
    ivec label = {0};
    for (ptrdiff_t k = 1; k < p->k; k++) {
      vec value = load(s->joint + k * s->capacity + t);
      ivec better = (ivec)(value > best);
      best = select_vec(better, value, best);
      label = (label & ~better) | (better & ((bits)k - (ivec){0}));
    }
    for (ptrdiff_t i = 0; i < LANES && t + i < n; i++) {
      s->guess[t + i] = (int32_t)label[i];
      s->starts[label[i] + 1]++;
    }
  }
  for (ptrdiff_t k = 0; k < p->k; k++) s->starts[k + 1] += s->starts[k];
  for (ptrdiff_t t = 0; t < n; t++) s->order[s->starts[s->guess[t]]++] = (int32_t)t;
  for (ptrdiff_t k = p->k; k > 0; k--) s->starts[k] = s->starts[k - 1];
  s->starts[0] = 0;
}

/* The rows of a tile of component l that other components must be kept for. */
static void keep_components(pruner *s, const packed *p, ptrdiff_t l, ptrdiff_t n, const int32_t *list, const real *tile,
                            const real *own) {
  const real *directions = s->directions + l * p->kp * p->dp;
  for (ptrdiff_t k0 = 0; k0 < p->k; k0 += 4, directions += 4 * p->dp)
    for (ptrdiff_t t = 0; t < p->rows; t += WIDE * LANES) {
      vec projection[4][WIDE];
      _Pragma("GCC unroll 4") for (int a = 0; a < 4; a++)
        _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) projection[a][b] = broadcast(s->distances[l * p->kp + k0 + a]);
      for (ptrdiff_t j = 0; j < p->d; j++)
        _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) {
          vec deviation = minus_location(load(tile + j * p->T + t + b * LANES), &p->means, l * p->dp + j);
          _Pragma("GCC unroll 4") for (int a = 0; a < 4; a++) projection[a][b] += directions[4 * j + a] * deviation;
        }
      _Pragma("GCC unroll 4") for (int a = 0; a < 4; a++) {
        const ptrdiff_t k = k0 + a;
        if (k == l || k >= p->k) continue;
        _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) {
          vec q = max_vec(projection[a][b], (vec){0});
          ivec keep = (ivec)(p->offsets[k] - REAL(0.5) * q * q > load(own + t + b * LANES) - NEGLIGIBLE);
          if (!any_lane(keep)) continue;
          for (ptrdiff_t i = 0; i < LANES && t + b * LANES + i < n; i++)
            if (keep[i]) s->kept[k * s->capacity + s->n_kept[k]++] = list[t + b * LANES + i];
        }
      }
    }
}

int LC_KERNEL(pruned_log_joint)(pruner *s, packed *p, ptrdiff_t n, const real *x, ptrdiff_t x_stride, real *tile) {
  guess_components(s, p, n, x, x_stride, tile);
  memset(s->n_kept, 0, (size_t)p->k * sizeof(int32_t));
  real joint[512];
  for (ptrdiff_t l = 0; l < p->k; l++)
    for (ptrdiff_t start = s->starts[l]; start < s->starts[l + 1]; start += p->T) {
      const int32_t *list = s->order + start;
      ptrdiff_t rows = min_size(p->T, s->starts[l + 1] - start);
      turn_in_listed(p, rows, list, x, x_stride, tile);
      LC_KERNEL(tile_log_joint_of)(p, l, p->d, tile, joint);
      for (ptrdiff_t t = 0; t < rows; t++) s->own[list[t]] = joint[t];
      keep_components(s, p, l, rows, list, tile, joint);
    }
  ptrdiff_t n_kept = 0;
  for (ptrdiff_t k = 0; k < p->k; k++) n_kept += s->n_kept[k];
  if (n_kept > n * p->k / 4) return 0;

  for (ptrdiff_t k = 0; k < p->k; k++)
    for (ptrdiff_t t = 0; t < n; t++) s->joint[k * s->capacity + t] = -(real)INFINITY;
  for (ptrdiff_t t = 0; t < n; t++) s->joint[s->guess[t] * s->capacity + t] = s->own[t];
  for (ptrdiff_t k = 0; k < p->k; k++)
    for (ptrdiff_t start = 0; start < s->n_kept[k]; start += p->T) {
      const int32_t *list = s->kept + k * s->capacity + start;
      ptrdiff_t rows = min_size(p->T, s->n_kept[k] - start);
      turn_in_listed(p, rows, list, x, x_stride, tile);
      LC_KERNEL(tile_log_joint_of)(p, k, p->d, tile, joint);
      for (ptrdiff_t t = 0; t < rows; t++) s->joint[k * s->capacity + list[t]] = joint[t];
    }
  return 1;
}

void LC_KERNEL(pruned_accumulate)(pruner *s, packed *p, ptrdiff_t n, const real *x, ptrdiff_t x_stride, real *tile,
                                  const lc_moments *moments) {
  real r[512];
  for (ptrdiff_t k = 0; k < p->k; k++) {
    const real *rk = s->joint + k * s->capacity;
    ptrdiff_t n_listed = 0;
    for (ptrdiff_t t = 0; t < n; t++) {
      s->order[n_listed] = (int32_t)t;
      n_listed += rk[t] > 0;
    }
    double count = 0;
    for (ptrdiff_t start = 0; start < n_listed; start += p->T) {
      const int32_t *list = s->order + start;
      ptrdiff_t rows = min_size(p->T, n_listed - start);
      turn_in_listed(p, rows, list, x, x_stride, tile);
      for (ptrdiff_t t = 0; t < p->rows; t++) r[t] = t < rows ? rk[list[t]] : REAL(0.0);
      for (ptrdiff_t t = 0; t < rows; t++) count += (double)r[t];
      LC_KERNEL(tile_accumulate_of)(p, k, tile, r, moments);
    }
    moments->counts[k] += count;
  }
}
