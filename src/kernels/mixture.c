#include "components.h"
#include "elementary.h"
#include "indexed.h"
#include "kernels.h"
#include "linear.h"
#include "pruned.h"
#include "tile.h"

/* The pieces of a workspace: the components, packed for tiles of dense rows or as tables for rows of entries; a tile of
 * data, and what belongs to its rows. */
typedef struct {
  matrix data;
  ptrdiff_t k, T;
  ptrdiff_t rows;    /* of the current tile, rounded up to TILE_UNIT */
  int has_tables;
  packed components;
  indexed tables;
  real *tile;     /* dp x T, the rows beyond the height zeros */
  real *joint;    /* kp x T: log joint densities, then responsibilities */
  real *row;      /* T: weights of the rows, 0 for padding */
  real *density;  /* T */
  pruner pruner;  /* EM sweeps only */
} sweep;

static size_t work_of_rows(ptrdiff_t k, ptrdiff_t T) {
  return ALIGNMENT + piece((size_t)(round_up(k, 4) * T) * sizeof(real)) + 2 * piece((size_t)T * sizeof(real));
}

static size_t work_of_tables(const lc_components *c) {
  return LC_KERNEL(indexed_work)(c) + work_of_rows(c->n_components, LC_KERNEL(indexed_rows)(c));
}

size_t LC_KERNEL(mixture_work)(const lc_components *c) {
  if (is_indexed(c->family)) return work_of_tables(c);
  tile_shape shape = LC_KERNEL(tile_shape_of)(c);
  return LC_KERNEL(pack_work)(c) + work_of_rows(c->n_components, shape.T) + piece((size_t)(shape.dp * shape.T) * sizeof(real)) +
         LC_KERNEL(pruner_work)(c);
}

size_t LC_KERNEL(mixture_csr_work)(const lc_components *c) { return work_of_tables(c); }

static sweep begin(const matrix *data, const lc_components *c, const double *centers, int prunes, void *work) {
  sweep s = {.data = *data, .k = c->n_components, .has_tables = data->begins || is_indexed(c->family)};
  arena a;
  if (s.has_tables) {
    s.T = LC_KERNEL(indexed_rows)(c);
    s.tables = LC_KERNEL(indexed_begin)(c, s.T, work);
    a = arena_at((char *)work + LC_KERNEL(indexed_work)(c));
  } else {
    s.components = LC_KERNEL(pack)(c, centers, work);
    s.T = s.components.T;
    a = arena_at((char *)work + LC_KERNEL(pack_work)(c));
    const packed *p = &s.components;
    s.tile = take(&a, (size_t)(p->dp * p->T) * sizeof(real));
    memset(s.tile + p->height * p->T, 0, (size_t)((p->dp - p->height) * p->T) * sizeof(real));
  }
  const ptrdiff_t kp = round_up(s.k, 4);
  s.joint = take(&a, (size_t)(kp * s.T) * sizeof(real));
  s.row = take(&a, (size_t)s.T * sizeof(real));
  s.density = take(&a, (size_t)s.T * sizeof(real));
  memset(s.joint + s.k * s.T, 0, (size_t)((kp - s.k) * s.T) * sizeof(real));
  if (prunes && !s.has_tables) s.pruner = LC_KERNEL(pruner_begin)(&s.components, c, a.next);
  return s;
}

/* Bring rows start .. start + T - 1 into the tile; returns how many there are. */
static ptrdiff_t next_tile(sweep *s, ptrdiff_t start, ptrdiff_t n) {
  ptrdiff_t rows = min_size(s->T, n - start);
  s->rows = round_up(rows, TILE_UNIT);
  if (s->has_tables) return rows;
  packed *p = &s->components;
  p->rows = s->rows;
  turn_in(rows, p->d, s->data.x + start * s->data.stride, s->data.stride, p->T, s->tile);
  if (is_linear(p->family)) LC_KERNEL(linear_features)(p, rows, s->tile);
  return rows;
}

static void fill_joint(sweep *s, ptrdiff_t start, ptrdiff_t rows) {
  if (s->has_tables)
    LC_KERNEL(indexed_log_joint)(&s->tables, &s->data, start, rows, s->T, s->joint);
  else
    LC_KERNEL(tile_log_joint)(&s->components, s->tile, s->joint);
}

/* Add the tile's rows under the responsibilities in s->joint, whose sums are s->row. */
static void accumulate(sweep *s, ptrdiff_t start, ptrdiff_t rows, const lc_moments *moments) {
  if (s->has_tables) {
    LC_KERNEL(indexed_accumulate)(&s->tables, &s->data, start, rows, s->T, s->joint);
  } else {
    LC_KERNEL(tile_accumulate)(&s->components, s->tile, s->joint, s->row, moments);
  }
}

static void finish(const sweep *s, const lc_moments *moments) {
  if (s->has_tables)
    LC_KERNEL(indexed_finish)(&s->tables, moments);
  else
    LC_KERNEL(finish_moments)(&s->components, moments);
}

/* The weights of rows, 0 for the padding up to a multiple of TILE_UNIT. Returns whether all are 1. */
static int begin_rows(real *row, ptrdiff_t rows, const double *row_weights) {
  ptrdiff_t padded = round_up(rows, TILE_UNIT);
  for (ptrdiff_t t = 0; t < rows; t++) row[t] = row_weights ? (real)row_weights[t] : REAL(1.0);
  for (ptrdiff_t t = rows; t < padded; t++) row[t] = 0;
  return rows == padded && !row_weights;
}

/* One log for a product of this many sums of at most K < 2^31 terms, none above 1. */
#define SUMS_TO_A_LOG (LC_F32 ? 4 : 32)

/* joint (K x T) becomes responsibilities; returns the log-likelihood. For rows of weight one, without padding. */
static double normalise(ptrdiff_t k, ptrdiff_t rows, ptrdiff_t T, real *joint) {
  const vec lowest = broadcast(-REAL_MAX), one = broadcast(REAL(1.0));
  double log_likelihood = 0;
  vec maxima = {0}, product = one;
  int n_factors = 0;
  for (ptrdiff_t t = 0; t < rows; t += 2 * LANES) {
    vec m0 = lowest, m1 = lowest, s0 = {0}, s1 = {0};
    for (ptrdiff_t j = 0; j < k; j++) {
      m0 = max_vec(load(joint + j * T + t), m0);
      m1 = max_vec(load(joint + j * T + t + LANES), m1);
    }
    for (ptrdiff_t j = 0; j < k; j++) {
      vec e0 = exp_nonpositive(load(joint + j * T + t) - m0), e1 = exp_nonpositive(load(joint + j * T + t + LANES) - m1);
      s0 += e0;
      s1 += e1;
      store(joint + j * T + t, e0);
      store(joint + j * T + t + LANES, e1);
    }
    maxima += m0 + m1;
    product *= s0 * s1;
    n_factors += 2;
    if (n_factors == SUMS_TO_A_LOG) {
      log_likelihood += sum_lanes(maxima + log_vec(product));
      maxima = (vec){0}, product = one, n_factors = 0;
    }
    s0 = one / s0;
    s1 = one / s1;
    for (ptrdiff_t j = 0; j < k; j++) {
      store(joint + j * T + t, load(joint + j * T + t) * s0);
      store(joint + j * T + t + LANES, load(joint + j * T + t + LANES) * s1);
    }
  }
  return log_likelihood + sum_lanes(maxima + log_vec(product));
}

/* The same for rows of any weight; rows of weight 0 are passed over, whatever they hold. */
static double normalise_weighted(ptrdiff_t k, ptrdiff_t rows, ptrdiff_t T, const real *row_weights, real *joint) {
  const vec lowest = broadcast(-REAL_MAX), zero = {0};
  double log_likelihood = 0;
  for (ptrdiff_t t = 0; t < rows; t += LANES) {
    vec w = load(row_weights + t), m = lowest, s = {0};
    ivec counts = (ivec)(w > zero);
    for (ptrdiff_t j = 0; j < k; j++) m = max_vec(load(joint + j * T + t), m);
    for (ptrdiff_t j = 0; j < k; j++) {
      vec e = exp_nonpositive(load(joint + j * T + t) - m);
      s += e;
      store(joint + j * T + t, e);
    }
    log_likelihood += sum_lanes((vec)(counts & (ivec)(w * (m + log_vec(s)))));
    vec scale = w / s;
    for (ptrdiff_t j = 0; j < k; j++) store(joint + j * T + t, (vec)(counts & (ivec)(load(joint + j * T + t) * scale)));
  }
  return log_likelihood;
}

/* The first row of weight > 0 whose responsibilities are NaN; -1 if there is none. */
static ptrdiff_t first_impossible(ptrdiff_t rows, const real *row_weights, const real *responsibilities) {
  for (ptrdiff_t t = 0; t < rows; t++)
    if (row_weights[t] > 0 && responsibilities[t] != responsibilities[t]) return t;
  return -1;
}

/* From log joint densities (K x T, of `rows` rows) to responsibilities; adds to the log-likelihood. */
static lc_status expect(ptrdiff_t k, ptrdiff_t rows, ptrdiff_t T, int all_ones, const real *row_weights, real *joint,
                        double *log_likelihood, ptrdiff_t *where) {
  ptrdiff_t padded = round_up(rows, TILE_UNIT);
  double sum = all_ones ? normalise(k, padded, T, joint) : normalise_weighted(k, padded, T, row_weights, joint);
  if (!(sum >= -DBL_MAX && sum <= DBL_MAX)) {
    *where = max_size(first_impossible(rows, row_weights, joint), 0);
    return LC_IMPOSSIBLE_ROW;
  }
  *log_likelihood += sum;
  return LC_OK;
}

/* Leave each row of known component that one only. */
static void keep_known(ptrdiff_t k, ptrdiff_t rows, ptrdiff_t T, const int *labels, real *joint) {
  for (ptrdiff_t t = 0; t < rows; t++)
    for (ptrdiff_t j = 0; labels[t] >= 0 && j < k; j++)
      if (j != labels[t]) joint[j * T + t] = -(real)INFINITY;
}

/* Leave each row its best component only, the first of equals. */
static void keep_best(ptrdiff_t k, ptrdiff_t rows, ptrdiff_t T, real *joint) {
  for (ptrdiff_t t = 0; t < rows; t += LANES) {
    vec best = load(joint + t);
    for (ptrdiff_t j = 1; j < k; j++) best = max_vec(load(joint + j * T + t), best);
    ivec found = {0};
    for (ptrdiff_t j = 0; j < k; j++) {
      vec value = load(joint + j * T + t);
      ivec keeps = (ivec)(value == best) & ~found;
      found |= keeps;
      store(joint + j * T + t, select_vec(keeps, value, broadcast(-(real)INFINITY)));
    }
  }
}

/* The rows of a sweep besides the data. */
typedef struct {
  const double *weights;
  const int *labels;
  int hard;
} roles;

/* One tile the plain way: every component for every row. */
static lc_status plain_tile(sweep *s, ptrdiff_t start, ptrdiff_t n, const roles *of, const lc_moments *moments, double *objective,
                            ptrdiff_t *where) {
  ptrdiff_t rows = next_tile(s, start, n);
  int all_ones = begin_rows(s->row, rows, of->weights ? of->weights + start : NULL);
  fill_joint(s, start, rows);
  if (of->labels) keep_known(s->k, rows, s->T, of->labels + start, s->joint);
  if (of->hard) keep_best(s->k, s->rows, s->T, s->joint);
  lc_status status = expect(s->k, rows, s->T, all_ones, s->row, s->joint, objective, where);
  if (status == LC_OK) accumulate(s, start, rows, moments);
  return status;
}

/* One block of rows the pruned way. *done is 0 if that is no gain; then nothing was added. */
static lc_status pruned_block(sweep *s, ptrdiff_t start, ptrdiff_t rows, const double *row_weights, const lc_moments *moments,
                              double *objective, ptrdiff_t *where, int *done) {
  packed *p = &s->components;
  pruner *q = &s->pruner;
  const ptrdiff_t stride = s->data.stride;
  const real *rows_of_block = s->data.x + start * stride;
  *done = LC_KERNEL(pruned_log_joint)(q, p, rows, rows_of_block, stride, s->tile);
  if (!*done) return LC_OK;
  int all_ones = begin_rows(q->row, rows, row_weights ? row_weights + start : NULL);
  lc_status status = expect(p->k, rows, q->capacity, all_ones, q->row, q->joint, objective, where);
  if (status == LC_OK) LC_KERNEL(pruned_accumulate)(q, p, rows, rows_of_block, stride, s->tile, moments);
  return status;
}

/* A try begins with few rows. After one that was not worth it, that many rows pass before the next, and ever more: tries
 * cost little where clusters overlap, and a stretch of overlap costs little where most of the data are apart. */
#define PROBE_ROWS 256
#define LEAST_PATIENCE 4096
#define MOST_PATIENCE 65536

lc_status LC_KERNEL(mixture_em_sweep)(ptrdiff_t n, const matrix *data, const double *row_weights, const int *labels, int hard,
                                      const lc_components *components, const lc_moments *moments, double *objective,
                                      ptrdiff_t *where, void *work) {
  const roles of = {row_weights, labels, hard};
  sweep s = begin(data, components, moments->centers, !labels && !hard, work);
  pruner *q = &s.pruner;
  double sum = 0;
  lc_status status = LC_OK;
  ptrdiff_t start = 0, patience = LEAST_PATIENCE, block = PROBE_ROWS;
  ptrdiff_t next_try = q->capacity > 0 && n >= q->capacity ? 0 : n;
  while (start < n) {
    ptrdiff_t rows = s.T;
    int done = 0;
    *where = 0;
    if (start >= next_try) {
      ptrdiff_t tried = min_size(block, n - start);
      status = pruned_block(&s, start, tried, row_weights, moments, &sum, where, &done);
      if (done) {
        rows = tried;
        patience = LEAST_PATIENCE, block = q->capacity;
      } else {
        next_try = start + patience;
        patience = min_size(2 * patience, MOST_PATIENCE), block = PROBE_ROWS;
      }
    }
    if (!done) status = plain_tile(&s, start, n, &of, moments, &sum, where);
    if (status != LC_OK) {
      *where += start;
      return status;
    }
    start += rows;
  }
  finish(&s, moments);
  *objective += sum;
  return LC_OK;
}

void LC_KERNEL(mixture_moments)(ptrdiff_t n, const matrix *data, const real *weights, ptrdiff_t weights_stride,
                                const lc_components *components, const lc_moments *moments, void *work) {
  lc_components shape = *components;
  shape.offsets = shape.means = shape.factors = NULL;
  sweep s = begin(data, &shape, moments->centers, 0, work);
  if (s.has_tables) {
    LC_KERNEL(indexed_accumulate_rows)(&s.tables, data, n, weights, weights_stride);
    finish(&s, moments);
    return;
  }
  for (ptrdiff_t start = 0; start < n; start += s.T) {
    ptrdiff_t rows = next_tile(&s, start, n);
    turn_in(rows, s.k, weights + start * weights_stride, weights_stride, s.T, s.joint);
    for (ptrdiff_t t = 0; t < s.rows; t += LANES) {
      vec sum = {0};
      for (ptrdiff_t j = 0; j < s.k; j++) sum += load(s.joint + j * s.T + t);
      store(s.row + t, sum);
    }
    accumulate(&s, start, rows, moments);
  }
  finish(&s, moments);
}

/* density[t] = log sum_k exp(joint[k * T + t]), and with want_responsibilities the joint becomes them. An impossible row
 * (all -inf) has density -inf and responsibilities NaN. */
LC_INLINE void densities(const int want_responsibilities, ptrdiff_t k, ptrdiff_t rows, ptrdiff_t T, real *joint, real *density) {
  const vec lowest = broadcast(-REAL_MAX);
  for (ptrdiff_t t = 0; t < rows; t += LANES) {
    vec m = lowest, s = {0};
    for (ptrdiff_t j = 0; j < k; j++) m = max_vec(load(joint + j * T + t), m);
    for (ptrdiff_t j = 0; j < k; j++) {
      vec e = exp_nonpositive(load(joint + j * T + t) - m);
      s += e;
      if (want_responsibilities) store(joint + j * T + t, e);
    }
    store(density + t, m + log_vec(s));
    vec scale = REAL(1.0) / s;
    for (ptrdiff_t j = 0; want_responsibilities && j < k; j++) store(joint + j * T + t, load(joint + j * T + t) * scale);
  }
}

/* labels[t] = the first k of the largest joint. */
static void best_components(ptrdiff_t k, ptrdiff_t T, ptrdiff_t rows, const real *joint, ptrdiff_t *labels) {
  for (ptrdiff_t t = 0; t < rows; t += LANES) {
    vec best = load(joint + t);
    ivec label = {0};
    for (ptrdiff_t j = 1; j < k; j++) {
      vec value = load(joint + j * T + t);
      ivec better = (ivec)(value > best);
      best = select_vec(better, value, best);
      label = (label & ~better) | (better & ((bits)j - (ivec){0}));
    }
    for (ptrdiff_t i = 0; i < LANES && t + i < rows; i++) labels[t + i] = (ptrdiff_t)label[i];
  }
}

void LC_KERNEL(mixture_rows)(ptrdiff_t n, const matrix *data, const lc_components *components, real *log_joint,
                             real *responsibilities, real *log_density, ptrdiff_t *labels, void *work) {
  sweep s = begin(data, components, NULL, 0, work);
  const ptrdiff_t k = s.k, T = s.T;
  if (s.has_tables && log_joint && !labels && !responsibilities && !log_density) {
    LC_KERNEL(indexed_log_joint_rows)(&s.tables, data, n, log_joint);
    return;
  }
  for (ptrdiff_t start = 0; start < n; start += T) {
    ptrdiff_t rows = next_tile(&s, start, n);
    fill_joint(&s, start, rows);
    if (log_joint) turn_out(rows, k, s.joint, T, log_joint + start * k, k);
    if (labels) best_components(k, T, rows, s.joint, labels + start);
    if (responsibilities) {
      densities(1, k, s.rows, T, s.joint, s.density);
      turn_out(rows, k, s.joint, T, responsibilities + start * k, k);
    } else if (log_density) {
      densities(0, k, s.rows, T, s.joint, s.density);
    }
    if (log_density) memcpy(log_density + start, s.density, (size_t)rows * sizeof(real));
  }
}
