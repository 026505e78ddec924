#include "indexed.h"

#include "linear.h"
#include "tile.h"

#define KV_UNIT ((ptrdiff_t)(64 / sizeof(real))) /* of the widest vectors, so that workspaces have one size */
#define KS_UNIT 8 /* doubles that the compiler adds at once */
#define MOST_VECTORS 4

ptrdiff_t LC_KERNEL(indexed_rows)(const lc_components *c) { return tile_rows(c->n_components); }

size_t LC_KERNEL(indexed_work)(const lc_components *c) {
  const ptrdiff_t n = linear_statistics(c), k = c->n_components, kv = round_up(k, KV_UNIT), ks = round_up(k, KS_UNIT), d = c->n_features;
  return ALIGNMENT + piece((size_t)d * sizeof(ptrdiff_t)) + piece((size_t)kv * sizeof(real)) + piece((size_t)(n * kv) * sizeof(real)) +
         piece((size_t)(n * ks) * sizeof(double)) + piece((size_t)(c->has_missing ? d * ks : 0) * sizeof(double)) +
         piece((size_t)(LC_KERNEL(indexed_rows)(c) * kv) * sizeof(real));
}

/* What each code of a column adds for component k. A coefficient of +inf forbids the other codes. */
static void fill_codes(const indexed *s, const lc_components *c, ptrdiff_t k, ptrdiff_t column) {
  const double *coefficients = c->factors + k * s->n_statistics + s->starts[column];
  const double constant = c->means ? c->means[k * s->d + column] : 0.0;
  ptrdiff_t only = -1;
  for (ptrdiff_t l = 0; l < s->levels[column]; l++)
    if (coefficients[l] == INFINITY) only = only < 0 ? l : s->levels[column]; /* two of them forbid all */
  for (ptrdiff_t l = 0; l < s->levels[column]; l++) {
    double added = coefficients[l];
    if (only >= 0) added = l == only ? 0.0 : -INFINITY;
    s->table[(s->starts[column] + l) * s->kv + k] = (real)(constant + added);
  }
}

indexed LC_KERNEL(indexed_begin)(const lc_components *c, ptrdiff_t T, void *memory) {
  const ptrdiff_t k = c->n_components, d = c->n_features, n = linear_statistics(c);
  const ptrdiff_t kv = round_up(k, KV_UNIT), ks = round_up(k, KS_UNIT);
  indexed s = {.k = k, .d = d, .n_statistics = n, .kv = kv, .ks = ks, .has_missing = c->has_missing, .levels = c->levels};
  arena a = arena_at(memory);
  s.starts = take(&a, (size_t)d * sizeof(ptrdiff_t));
  s.offsets = take(&a, (size_t)kv * sizeof(real));
  s.table = take(&a, (size_t)(n * kv) * sizeof(real));
  s.sums = take(&a, (size_t)(n * ks) * sizeof(double));
  s.observed = take(&a, (size_t)(s.has_missing ? d * ks : 0) * sizeof(double));
  s.block = take(&a, (size_t)(T * kv) * sizeof(real));
  memset(s.sums, 0, (size_t)(n * ks) * sizeof(double));
  if (s.has_missing) memset(s.observed, 0, (size_t)(d * ks) * sizeof(double));
  if (c->family == LC_LINEAR_CODE)
    for (ptrdiff_t j = 0, start = 0; j < d; start += c->levels[j++]) s.starts[j] = start;
  if (!c->offsets) return s;

  const int has_codes = c->family == LC_LINEAR_CODE;
  for (ptrdiff_t i = 0; i < kv; i++) {
    double offset = i < k ? c->offsets[i] : -INFINITY;
    for (ptrdiff_t j = 0; i < k && !has_codes && c->means && j < d; j++) offset += c->means[i * d + j];
    s.offsets[i] = (real)offset;
  }
  memset(s.table, 0, (size_t)(n * kv) * sizeof(real));
  for (ptrdiff_t i = 0; i < k; i++) {
    if (has_codes)
      for (ptrdiff_t j = 0; j < d; j++) fill_codes(&s, c, i, j);
    else
      for (ptrdiff_t f = 0; f < n; f++) s.table[f * kv + i] = (real)c->factors[i * n + f];
  }
  return s;
}

/* The row of the tables that a code stands for: -1 where it is missing, -2 where it is out of range. */
LC_INLINE ptrdiff_t place_of_code(const indexed *s, ptrdiff_t column, real code) {
  if (code != code) return s->has_missing ? -1 : -2;
  if (!(code >= 0 && code < (real)s->levels[column])) return -2;
  return s->starts[column] + (ptrdiff_t)code;
}

/* Components i .. i + n_v * LANES - 1 of one sparse row. */
LC_INLINE void sparse_row(const int n_v, const indexed *s, const matrix *m, ptrdiff_t row, ptrdiff_t i, real *out) {
  vec sums[MOST_VECTORS];
  _Pragma("GCC unroll 4") for (int v = 0; v < n_v; v++) sums[v] = load(s->offsets + i + v * LANES);
  for (int64_t e = m->begins[row]; e < m->begins[row + 1]; e++) {
    const real value = m->x[e];
    if (value == 0) continue; /* no evidence against a component that forbids the column */
    const real *entry = s->table + (ptrdiff_t)m->columns[e] * s->kv + i;
    _Pragma("GCC unroll 4") for (int v = 0; v < n_v; v++) sums[v] += value * load(entry + v * LANES);
  }
  _Pragma("GCC unroll 4") for (int v = 0; v < n_v; v++) store(out + i + v * LANES, sums[v]);
}

LC_INLINE void coded_row(const int n_v, const indexed *s, const matrix *m, ptrdiff_t row, ptrdiff_t i, real *out) {
  vec sums[MOST_VECTORS];
  _Pragma("GCC unroll 4") for (int v = 0; v < n_v; v++) sums[v] = load(s->offsets + i + v * LANES);
  for (ptrdiff_t j = 0; j < s->d; j++) {
    const ptrdiff_t place = place_of_code(s, j, m->x[row * m->stride + j]);
    if (place < 0) {
      if (place == -2)
        _Pragma("GCC unroll 4") for (int v = 0; v < n_v; v++) sums[v] = broadcast(-(real)INFINITY);
      continue;
    }
    const real *entry = s->table + place * s->kv + i;
    _Pragma("GCC unroll 4") for (int v = 0; v < n_v; v++) sums[v] += load(entry + v * LANES);
  }
  _Pragma("GCC unroll 4") for (int v = 0; v < n_v; v++) store(out + i + v * LANES, sums[v]);
}

/* Four vectors of components at a time, then what is left. */
#define FOR_VECTORS(s, i, body)                                      \
  do {                                                               \
    const ptrdiff_t end = round_up((s)->k, LANES);                   \
    ptrdiff_t i = 0;                                                 \
    for (; i + MOST_VECTORS * LANES <= end; i += MOST_VECTORS * LANES) { body(4) } \
    switch ((end - i) / LANES) {                                     \
      case 3: body(3) break;                                         \
      case 2: body(2) break;                                         \
      case 1: body(1) break;                                         \
    }                                                                \
  } while (0)

void LC_KERNEL(indexed_log_joint)(const indexed *s, const matrix *m, ptrdiff_t start, ptrdiff_t rows, ptrdiff_t T, real *joint) {
  for (ptrdiff_t t = 0; t < rows; t++) {
    real *out = s->block + t * s->kv;
    if (m->begins) {
#define BODY(n) sparse_row(n, s, m, start + t, i, out);
      FOR_VECTORS(s, i, BODY);
#undef BODY
    } else {
#define BODY(n) coded_row(n, s, m, start + t, i, out);
      FOR_VECTORS(s, i, BODY);
#undef BODY
    }
  }
  turn_in(rows, s->k, s->block, s->kv, T, joint);
}

/* A row of sums += scale * weights, n doubles. */
LC_INLINE void add_scaled(const int n, double *restrict sums, double scale, const double *restrict weights) {
  for (int i = 0; i < n; i++) sums[i] += scale * weights[i];
}

LC_INLINE void add_sparse_row(const int n, const indexed *s, const matrix *m, ptrdiff_t row, ptrdiff_t i, const double *weights) {
  for (int64_t e = m->begins[row]; e < m->begins[row + 1]; e++)
    add_scaled(n, s->sums + (ptrdiff_t)m->columns[e] * s->ks + i, (double)m->x[e], weights);
}

LC_INLINE void add_coded_row(const int n, const indexed *s, const matrix *m, ptrdiff_t row, ptrdiff_t i, const double *weights) {
  for (ptrdiff_t j = 0; j < s->d; j++) {
    const ptrdiff_t place = place_of_code(s, j, m->x[row * m->stride + j]);
    if (place < 0) continue;
    add_scaled(n, s->sums + place * s->ks + i, 1.0, weights);
    if (s->has_missing) add_scaled(n, s->observed + j * s->ks + i, 1.0, weights);
  }
}

void LC_KERNEL(indexed_accumulate)(const indexed *s, const matrix *m, ptrdiff_t start, ptrdiff_t rows, ptrdiff_t T, const real *r) {
  turn_out(rows, s->k, r, T, s->block, s->kv);
  const ptrdiff_t kv = s->kv;
  double weights[64];
  for (ptrdiff_t t = 0; t < rows; t++)
    for (ptrdiff_t i0 = 0; i0 < s->k; i0 += 64) { /* 64 components at a time, in pieces of 8 */
      const ptrdiff_t n = min_size(64, round_up(s->k - i0, 8));
      for (ptrdiff_t i = 0; i < n; i++) weights[i] = i0 + i < s->k ? (double)s->block[t * kv + i0 + i] : 0.0;
      ptrdiff_t i = i0;
#define ADD(size)                                                        \
  if (m->begins)                                                         \
    add_sparse_row(size, s, m, start + t, i, weights + (i - i0));                   \
  else                                                                   \
    add_coded_row(size, s, m, start + t, i, weights + (i - i0));
      for (; i + 32 <= i0 + n; i += 32) { ADD(32) }
      switch (i0 + n - i) {
        case 24: ADD(24) break;
        case 16: ADD(16) break;
        case 8: ADD(8) break;
      }
#undef ADD
    }
}

void LC_KERNEL(indexed_finish)(const indexed *s, const lc_moments *moments) {
  for (ptrdiff_t k = 0; k < s->k; k++) {
    for (ptrdiff_t f = 0; f < s->n_statistics; f++) moments->first[k * s->n_statistics + f] += s->sums[f * s->ks + k];
    for (ptrdiff_t j = 0; s->has_missing && j < s->d; j++) moments->second[k * s->d + j] += s->observed[j * s->ks + k];
  }
}
