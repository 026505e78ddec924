#include "indexed.h"

#include "linear.h"
#include "tile.h"

#define KV_UNIT ((ptrdiff_t)(64 / sizeof(real))) /* of the widest vectors, so that workspaces have one size */
#define KS_UNIT 8 /* doubles of the widest vectors */
#define MOST_VECTORS 4
#define MOST_SUMS 32

typedef double doubles __attribute__((vector_size(VECTOR_BYTES)));
typedef double doubles_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
#define DOUBLES ((int)(VECTOR_BYTES / sizeof(double)))

LC_INLINE doubles load_doubles(const double *p) { return *(const doubles_unaligned *)p; }
LC_INLINE void store_doubles(double *p, doubles v) { *(doubles_unaligned *)p = v; }

/* As many reals, in double. */
LC_INLINE doubles widened(const real *p) {
#if LC_F32
  typedef float floats __attribute__((vector_size(VECTOR_BYTES / 2), aligned(4), may_alias));
  return __builtin_convertvector(*(const floats *)p, doubles);
#else
  return load_doubles(p);
#endif
}

ptrdiff_t LC_KERNEL(indexed_rows)(const lc_components *c) { return tile_rows(c->n_components); }

size_t LC_KERNEL(indexed_work)(const lc_components *c) {
  const ptrdiff_t n = linear_statistics(c), k = c->n_components, kv = round_up(k, KV_UNIT), ks = round_up(k, KS_UNIT), d = c->n_features;
  return ALIGNMENT + piece((size_t)d * sizeof(ptrdiff_t)) + piece((size_t)kv * sizeof(real)) + piece((size_t)(n * kv) * sizeof(real)) +
         piece((size_t)(n * ks) * sizeof(double)) + piece((size_t)(c->has_missing ? d * ks : 0) * sizeof(double)) +
         piece((size_t)ks * sizeof(double)) + piece((size_t)(LC_KERNEL(indexed_rows)(c) * kv) * sizeof(real));
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
  s.counts = take(&a, (size_t)ks * sizeof(double));
  s.block = take(&a, (size_t)(T * kv) * sizeof(real));
  memset(s.sums, 0, (size_t)(n * ks) * sizeof(double));
  memset(s.counts, 0, (size_t)ks * sizeof(double));
  memset(s.block, 0, (size_t)(T * kv) * sizeof(real));
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

/* out[t * stride + i] = log f_i of row start + t, in whole vectors. The last vectors come first, so that what they have too
 * much is overwritten by the rows that follow. */
static void joint_rows(const indexed *s, const matrix *m, ptrdiff_t start, ptrdiff_t rows, real *out, ptrdiff_t stride) {
  const ptrdiff_t n = round_up(s->k, LANES) / LANES;
  ptrdiff_t v = n / MOST_VECTORS * MOST_VECTORS;
#define ROWS(n_v)                                                                                      \
  for (ptrdiff_t t = 0; t < rows; t++) {                                                               \
    if (m->begins)                                                                                     \
      sparse_row(n_v, s, m, start + t, v * LANES, out + t * stride);                                   \
    else                                                                                               \
      coded_row(n_v, s, m, start + t, v * LANES, out + t * stride);                                    \
  }
  switch (n - v) {
    case 3: ROWS(3) break;
    case 2: ROWS(2) break;
    case 1: ROWS(1) break;
  }
  while (v > 0) {
    v -= MOST_VECTORS;
    ROWS(MOST_VECTORS)
  }
#undef ROWS
}

void LC_KERNEL(indexed_log_joint)(const indexed *s, const matrix *m, ptrdiff_t start, ptrdiff_t rows, ptrdiff_t T, real *joint) {
  joint_rows(s, m, start, rows, s->block, s->kv);
  turn_in(rows, s->k, s->block, s->kv, T, joint);
}

/* How many rows of k reals, `stride` apart, can be read or written as rows of `width` without leaving the array. */
static ptrdiff_t rows_with_room(ptrdiff_t rows, ptrdiff_t k, ptrdiff_t stride, ptrdiff_t width) {
  return max_size(0, rows - (width - k + stride - 1) / stride);
}

void LC_KERNEL(indexed_log_joint_rows)(const indexed *s, const matrix *m, ptrdiff_t rows, real *out) {
  const ptrdiff_t k = s->k, roomy = rows_with_room(rows, k, k, s->kv);
  joint_rows(s, m, 0, roomy, out, k);
  for (ptrdiff_t t = roomy; t < rows; t++) {
    joint_rows(s, m, t, 1, s->block, s->kv);
    memcpy(out + t * k, s->block, (size_t)k * sizeof(real));
  }
}

/* A row of sums += scale * weights, n numbers. */
LC_INLINE void add_scaled(const int n, double *sums, double scale, const real *weights) {
  _Pragma("GCC unroll 16") for (int i = 0; i < n; i += DOUBLES)
    store_doubles(sums + i, load_doubles(sums + i) + scale * widened(weights + i));
}

LC_INLINE void add_sparse_row(const int n, const indexed *s, const matrix *m, ptrdiff_t row, ptrdiff_t i, const real *weights) {
  for (int64_t e = m->begins[row]; e < m->begins[row + 1]; e++)
    add_scaled(n, s->sums + (ptrdiff_t)m->columns[e] * s->ks + i, (double)m->x[e], weights);
}

LC_INLINE void add_coded_row(const int n, const indexed *s, const matrix *m, ptrdiff_t row, ptrdiff_t i, const real *weights) {
  for (ptrdiff_t j = 0; j < s->d; j++) {
    const ptrdiff_t place = place_of_code(s, j, m->x[row * m->stride + j]);
    if (place < 0) continue;
    add_scaled(n, s->sums + place * s->ks + i, 1.0, weights);
    if (s->has_missing) add_scaled(n, s->observed + j * s->ks + i, 1.0, weights);
  }
}

/* Components i .. i + n - 1 of rows under weights; their counts, too. */
LC_INLINE void add_rows_of(const int n, const indexed *s, const matrix *m, ptrdiff_t start, ptrdiff_t rows, ptrdiff_t i,
                           const real *weights, ptrdiff_t stride) {
  doubles counts[MOST_SUMS / DOUBLES] = {{0}};
  for (ptrdiff_t t = 0; t < rows; t++) {
    const real *row = weights + t * stride + i;
    if (m->begins)
      add_sparse_row(n, s, m, start + t, i, row);
    else
      add_coded_row(n, s, m, start + t, i, row);
    _Pragma("GCC unroll 16") for (int j = 0; j < n; j += DOUBLES) counts[j / DOUBLES] += widened(row + j);
  }
  for (int j = 0; j < n; j++) s->counts[i + j] += counts[j / DOUBLES][j % DOUBLES];
}

static void add_rows(const indexed *s, const matrix *m, ptrdiff_t start, ptrdiff_t rows, const real *weights, ptrdiff_t stride) {
  ptrdiff_t i = 0;
  for (; i + MOST_SUMS <= s->ks; i += MOST_SUMS) add_rows_of(MOST_SUMS, s, m, start, rows, i, weights, stride);
  switch (s->ks - i) {
    case 24: add_rows_of(24, s, m, start, rows, i, weights, stride); break;
    case 16: add_rows_of(16, s, m, start, rows, i, weights, stride); break;
    case 8: add_rows_of(8, s, m, start, rows, i, weights, stride); break;
  }
}

void LC_KERNEL(indexed_accumulate)(const indexed *s, const matrix *m, ptrdiff_t start, ptrdiff_t rows, ptrdiff_t T, const real *r) {
  turn_out(rows, s->k, r, T, s->block, s->kv);
  add_rows(s, m, start, rows, s->block, s->kv);
}

void LC_KERNEL(indexed_accumulate_rows)(const indexed *s, const matrix *m, ptrdiff_t rows, const real *weights,
                                        ptrdiff_t stride) {
  const ptrdiff_t roomy = rows_with_room(rows, s->k, stride, s->ks);
  add_rows(s, m, 0, roomy, weights, stride);
  for (ptrdiff_t t = roomy; t < rows; t++) {
    memcpy(s->block, weights + t * stride, (size_t)s->k * sizeof(real));
    add_rows(s, m, t, 1, s->block, s->kv);
  }
}

void LC_KERNEL(indexed_finish)(const indexed *s, const lc_moments *moments) {
  for (ptrdiff_t k = 0; k < s->k; k++) {
    moments->counts[k] += s->counts[k];
    for (ptrdiff_t f = 0; f < s->n_statistics; f++) moments->first[k * s->n_statistics + f] += s->sums[f * s->ks + k];
    for (ptrdiff_t j = 0; s->has_missing && j < s->d; j++) moments->second[k * s->d + j] += s->observed[j * s->ks + k];
  }
}
