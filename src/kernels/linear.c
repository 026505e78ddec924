#include "linear.h"

#include "elementary.h"

size_t LC_KERNEL(linear_pack_work)(const lc_components *c) {
  ptrdiff_t kp = round_up(c->n_components, 4), dp = round_up(linear_height(c), 4);
  return ALIGNMENT + piece((size_t)kp * sizeof(real)) + piece((size_t)(kp * dp) * sizeof(real)) +
         piece((size_t)(kp * dp) * sizeof(double));
}

packed LC_KERNEL(linear_pack)(const lc_components *c, void *memory) {
  const ptrdiff_t k = c->n_components, d = c->n_features, n = linear_statistics(c);
  const tile_shape shape = LC_KERNEL(tile_shape_of)(c);
  packed p = {.family = c->family, .k = k, .d = d, .height = linear_height(c), .kp = round_up(k, 4), .dp = shape.dp,
              .T = shape.T, .n_statistics = n, .has_missing = c->has_missing};
  arena a = arena_at(memory);
  real *offsets = take(&a, (size_t)p.kp * sizeof(real)), *factors = take(&a, (size_t)(p.kp * p.dp) * sizeof(real));
  p.sums = take(&a, (size_t)(p.kp * p.dp) * sizeof(double));
  p.offsets = offsets;
  p.factors = factors;
  if (!c->offsets) return p;
  memset(factors, 0, (size_t)(p.kp * p.dp) * sizeof(real));
  for (ptrdiff_t i = 0; i < k; i++) {
    double offset = c->offsets[i];
    for (ptrdiff_t j = 0; c->means && j < d; j++) {
      if (p.has_missing)
        factors[i * p.dp + n + j] = (real)c->means[i * d + j];
      else
        offset += c->means[i * d + j];
    }
    offsets[i] = (real)offset;
    for (ptrdiff_t f = 0; f < n; f++) {
      const double coefficient = c->factors[i * n + f];
      if (isinf(coefficient)) p.coefficients = c->factors;
      factors[i * p.dp + f] = isinf(coefficient) ? 0 : (real)coefficient;
    }
  }
  return p;
}

/* 1 where x was observed, and x itself there; `neutral` elsewhere. */
LC_INLINE vec observed_part(real *x, vec neutral) {
  vec value = load(x);
  ivec observed = (ivec)(value == value);
  store(x, select_vec(observed, value, neutral));
  return (vec)(observed & (ivec)broadcast(REAL(1.0)));
}

void LC_KERNEL(linear_features)(const packed *p, ptrdiff_t rows, real *tile) {
  const ptrdiff_t T = p->T, d = p->d;
  const vec zero = {0}, neutral = broadcast(p->family == LC_LINEAR_LOG ? REAL(1.0) : REAL(0.0));
  if (p->family == LC_LINEAR && !p->has_missing) return;
  for (ptrdiff_t j = 0; j < d; j++)
    for (ptrdiff_t t = 0; t < p->rows; t += LANES) {
      real *x = tile + j * T + t;
      vec shown = broadcast(REAL(1.0));
      if (p->has_missing) store(tile + (p->n_statistics + j) * T + t, shown = observed_part(x, neutral));
      const ivec missing = (ivec)(shown == zero);
      const vec value = load(x);
      if (p->family == LC_LINEAR_LOG) {
        store(x + d * T, log_vec(value));
        store(x, select_vec(missing, zero, value));
      } else if (p->family == LC_LINEAR_ANGLE) {
        vec sine, cosine;
        sin_cos(value, &sine, &cosine);
        store(x + d * T, sine);
        store(x, select_vec(missing, zero, cosine));
      }
    }
  if (rows < p->rows)
    for (ptrdiff_t f = 0; f < p->height; f++) memset(tile + f * T + rows, 0, (size_t)(p->rows - rows) * sizeof(real));
}

#define MANY_VECTORS (VECTOR_BYTES == 64 ? 4 : 2)

/* n_k components for n_v vectors of rows. */
LC_INLINE void log_joint_block(const int n_k, const int n_v, const packed *p, ptrdiff_t k, ptrdiff_t t, const real *tile, real *joint) {
  vec sums[4][MANY_VECTORS];
  _Pragma("GCC unroll 4") for (int a = 0; a < n_k; a++)
    _Pragma("GCC unroll 4") for (int b = 0; b < n_v; b++) sums[a][b] = broadcast(p->offsets[k + a]);
  const real *c = p->factors + k * p->dp;
  for (ptrdiff_t f = 0; f < p->height; f++) {
    vec x[MANY_VECTORS];
    _Pragma("GCC unroll 4") for (int b = 0; b < n_v; b++) x[b] = load(tile + f * p->T + t + b * LANES);
    _Pragma("GCC unroll 4") for (int a = 0; a < n_k; a++)
      _Pragma("GCC unroll 4") for (int b = 0; b < n_v; b++) sums[a][b] += c[a * p->dp + f] * x[b];
  }
  _Pragma("GCC unroll 4") for (int a = 0; a < n_k; a++)
    _Pragma("GCC unroll 4") for (int b = 0; b < n_v; b++) store(joint + (k + a) * p->T + t + b * LANES, sums[a][b]);
}

/* -inf in rows that an infinite coefficient forbids; see components.h. */
static void forbid(const packed *p, const real *tile, real *joint) {
  const ptrdiff_t n = p->n_statistics, T = p->T;
  for (ptrdiff_t i = 0; i < p->k * n; i++) {
    if (!isinf(p->coefficients[i])) continue;
    const ptrdiff_t k = i / n, f = i % n;
    const vec allowed = broadcast(p->coefficients[i] < 0 ? REAL(0.0) : REAL(1.0));
    const real *shown = p->has_missing ? tile + (n + f % p->d) * T : NULL;
    for (ptrdiff_t t = 0; t < p->rows; t += LANES) {
      ivec fits = (ivec)(load(tile + f * T + t) == allowed);
      if (shown) fits |= (ivec)(load(shown + t) == (vec){0});
      store(joint + k * T + t, select_vec(fits, load(joint + k * T + t), broadcast(-(real)INFINITY)));
    }
  }
}

void LC_KERNEL(linear_log_joint)(const packed *p, const real *tile, real *joint) {
  for (ptrdiff_t t = 0; t < p->rows; t += MANY_VECTORS * LANES) {
    ptrdiff_t k = 0;
    for (; k + 4 <= p->k; k += 4) log_joint_block(4, MANY_VECTORS, p, k, t, tile, joint);
    switch (p->k - k) {
      case 3: log_joint_block(3, MANY_VECTORS, p, k, t, tile, joint); break;
      case 2: log_joint_block(2, MANY_VECTORS, p, k, t, tile, joint); break;
      case 1: log_joint_block(1, MANY_VECTORS, p, k, t, tile, joint); break;
    }
  }
  if (p->coefficients) forbid(p, tile, joint);
}

void LC_KERNEL(linear_accumulate)(const packed *p, const real *tile, const real *r, const lc_moments *moments) {
  const ptrdiff_t n = p->n_statistics, d = p->d, dp = p->dp;
  memset(p->sums, 0, (size_t)(p->kp * dp) * sizeof(double));
  LC_KERNEL(tile_products)(p, p->kp, dp, r, tile, p->sums, dp);
  for (ptrdiff_t k = 0; k < p->k; k++) {
    for (ptrdiff_t f = 0; f < n; f++) moments->first[k * n + f] += p->sums[k * dp + f];
    for (ptrdiff_t j = 0; p->has_missing && j < d; j++) moments->second[k * d + j] += p->sums[k * dp + n + j];
  }
}
