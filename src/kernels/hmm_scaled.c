/* Forward and backward recursions of one sequence in plain numbers.
 *
 * Row t of the densities is scaled by a power of two so that its largest entry is near 1 (row_shift[t] is its logarithm),
 * and the messages are scaled by powers of two now and then. Powers of two round nothing: results do not depend on when.
 * log_initial and log_future may have any zeros: they are added to the log-densities of the first and the last row before
 * those are scaled.
 *
 * What becomes zero by underflow is below about 2^-900 of the mass that a step keeps. It counts for nothing if every state
 * has a future, relative to the best one, well above that: then all that was lost together has less than 2^-100 of the
 * likelihood. If all transitions are at least a, every future is at least a of the best, so that a moderate a settles it
 * (EVERY_FOURTH in hmm.c). Other chains are watched: no message back may have an entry below LEAST_ENTRY, no step forward
 * leave less than 2^LEAST_KEPT, log_future not differ by more than LEAST_FUTURE powers of two (for the likelihood, which
 * leaves it out). Forward alone, a prediction of every state not below LEAST_ENTRY is the same in mirror image; states that the chain itself cannot
 * have come to yet are left out. Sequences
 * that fail are for hmm_wide.c.
 *
 *     p_t = (p_{t-1} o b_{t-1}) A                 predictions; p_0 = 1, for b_0 has the initial law in it
 *     v_t = b_t o (A v_{t+1})                     what row t and all after it say
 *     posterior of t: p_t o v_t, of a pair: (p_{t-1} o b_{t-1}) (v_t)' o A, each over Z_t = sum p_t o v_t
 *
 * Both chains of a sequence of few states run in one loop, for each alone would wait on itself. */
#include "hmm.h"
#include "narrow.h"

#define LEAST_ENTRY 0x1p-550
#define LEAST_KEPT -100
#define LEAST_FUTURE -200
#define PAIR_ROWS 64 /* at a time are added to the sums over pairs */

/* ---- densities ----------------------------------------------------------------------------------------------------- */

/* exp(x) / 2^shift from shifted = x log2(e) + ROUNDER; 0 where that is below 2^SCALE_LOWEST. */
LC_INLINE vec density_of(vec x, vec shifted, vec shift) {
  vec n = shifted - ROUNDER;
  ivec lost = (ivec)(n - shift < broadcast(SCALE_LOWEST));
  uvec power = ((uvec)(shifted - shift) << MANTISSA_BITS) + (uvec)broadcast(1.0);
  vec r = (x - n * LN2_HIGH) - n * LN2_LOW;
  return (vec)(~lost & (ivec)(exp_reduced(r) * (vec)power));
}

/* Rows of log-densities, width to a row, become densities over 2^row_shift; b may be x. Returns whether all are numbers, every
 * row is possible, and nothing is beyond FURTHEST: that is left to hmm_wide.c. */
LC_INLINE int densities_narrow(const int width, ptrdiff_t n, const double *x, double *b, double *row_shift) {
  const ptrdiff_t size = n * width;
  ivec wrong = {0};
  for (ptrdiff_t i = 0; i < size; i += LANES) {
    double rest[LANES] = {0};
    const int whole = i + LANES <= size;
    if (!whole) memcpy(rest, x + i, (size_t)(size - i) * sizeof(double));
    vec a = load(whole ? x + i : rest), shifted = a * LOG2_E + ROUNDER, shift = group_max(width, shifted - ROUNDER);
    wrong |= ~((ivec)(a < broadcast(FURTHEST)) & (ivec)(shift > broadcast(-FURTHEST)));
    vec density = density_of(a, shifted, shift);
    if (whole) {
      store(b + i, density);
      _Pragma("GCC unroll 8") for (int k = 0; k < LANES / width; k++) row_shift[i / width + k] = shift[k * width];
    } else {
      store(rest, density);
      memcpy(b + i, rest, (size_t)(size - i) * sizeof(double));
      for (int k = 0; k < (size - i) / width; k++) row_shift[i / width + k] = shift[k * width];
    }
  }
  return !any_lane(wrong);
}

LC_INLINE int densities_wide(ptrdiff_t width, ptrdiff_t n, const double *x, double *b, double *row_shift) {
  ivec wrong = {0};
  for (ptrdiff_t t = 0; t < n; t++, x += width, b += width) {
    vec shift = broadcast(-INFINITY);
    for (ptrdiff_t j = 0; j < width; j += LANES) {
      vec a = load(x + j);
      wrong |= ~(ivec)(a < broadcast(FURTHEST));
      shift = max_vec((a * LOG2_E + ROUNDER) - ROUNDER, shift);
    }
    shift = group_max(LANES, shift);
    wrong |= ~(ivec)(shift > broadcast(-FURTHEST));
    for (ptrdiff_t j = 0; j < width; j += LANES) {
      vec a = load(x + j);
      store(b + j, density_of(a, a * LOG2_E + ROUNDER, shift));
    }
    row_shift[t] = shift[0];
  }
  return !any_lane(wrong);
}

/* Whether rows can be read and written as they are, without padding. */
static int is_plain(int is_f32, ptrdiff_t stride, ptrdiff_t s, ptrdiff_t width) { return !is_f32 && stride == s && s == width; }

static int densities(ptrdiff_t width, ptrdiff_t n, const double *x, double *b, double *row_shift) {
  switch (width) {
    case 2: return densities_narrow(2, n, x, b, row_shift);
#if LANES >= 4
    case 4: return densities_narrow(4, n, x, b, row_shift);
#endif
#if LANES >= 8
    case 8: return densities_narrow(8, n, x, b, row_shift);
#endif
    case 16: return densities_wide(16, n, x, b, row_shift);
    default: return densities_wide(width, n, x, b, row_shift);
  }
}

/* ---- recursions ---------------------------------------------------------------------------------------------------- */

typedef struct {
  ptrdiff_t s, width, n;
  int every;                    /* how many steps to a scaling */
  const double *a, *at;         /* s x width: transitions over 2^shift, and the transpose */
  double *b, *p, *v;            /* rows x width; p_stride is 0 where only the last predictions are wanted */
  ptrdiff_t p_stride;
  double *row_shift;            /* rows */
  double *low;                  /* width: smallest entries of p_t if forward alone, of the messages back if both */
  const double *starts;         /* of hmm_chain, n_starts x width */
  ptrdiff_t n_starts;
  double *kept;                 /* the smallest exponent of the mass that was left by a step forward */
} recursion;

#define EXPONENT_BITS ((bits)0x7FF << MANTISSA_BITS)

/* 2^-k and k, for the exponent k of x > 0 */
LC_INLINE double scaling(double x, double *k) {
  bits b;
  memcpy(&b, &x, sizeof b);
  b &= EXPONENT_BITS;
  *k = (double)((b >> MANTISSA_BITS) - EXPONENT_BIAS);
  b = ((bits)(2 * EXPONENT_BIAS) << MANTISSA_BITS) - b;
  memcpy(&x, &b, sizeof x);
  return x;
}

#define SMALL_WIDTH 2
#include "hmm_scaled_narrow.h"
#undef SMALL_WIDTH
#define SMALL_WIDTH 4
#include "hmm_scaled_narrow.h"
#undef SMALL_WIDTH
#define SMALL_WIDTH 8
#include "hmm_scaled_narrow.h"
#undef SMALL_WIDTH

static double largest_of(ptrdiff_t width, const double *x) {
  vec most = load(x);
  for (ptrdiff_t j = LANES; j < width; j += LANES) most = max_vec(load(x + j), most);
  return group_max(LANES, most)[0];
}

/* One step forward to row t. `row` becomes p_t o b_t. */
LC_INLINE void step_forward(const recursion *r, const ptrdiff_t width, ptrdiff_t t, double *row) {
  double *p = r->p + t * r->p_stride, *b = r->b + t * width;
  matrix_product(width == 16 ? 16 : r->s, width, row, r->a, p);
  if (t % r->every == 0) {
    double k, scale = scaling(largest_of(width, p), &k);
    for (ptrdiff_t j = 0; j < width; j += LANES) store(b + j, load(b + j) * scale);
    r->row_shift[t] += k;
    *r->kept = k < *r->kept ? k : *r->kept;
  }
  for (ptrdiff_t j = 0; j < width; j += LANES) store(row + j, load(p + j) * load(b + j));
}

/* p_t, but for states that have no path */
LC_INLINE void note_prediction(const recursion *r, const ptrdiff_t width, ptrdiff_t t) {
  const double *p = r->p + t * r->p_stride, *start = r->starts + t * width;
  const vec one = broadcast(1.0);
  for (ptrdiff_t j = 0; r->every == 1 && j < width; j += LANES) {
    vec x = load(p + j);
    if (t < r->n_starts) x = select_vec((ivec)(load(start + j) == one), one, x);
    store(r->low + j, -max_vec(-x, -load(r->low + j)));
  }
}

LC_INLINE void note_low(const recursion *r, const ptrdiff_t width, const double *x) {
  for (ptrdiff_t j = 0; r->every == 1 && j < width; j += LANES) store(r->low + j, -max_vec(-load(x + j), -load(r->low + j)));
}

/* One step back to row t. beta becomes the message to it, before its densities. */
LC_INLINE void step_back(const recursion *r, const ptrdiff_t width, ptrdiff_t t, double *beta) {
  double *v = r->v + t * width, scale = 1, k;
  const double *b = r->b + t * width;
  matrix_product(width == 16 ? 16 : r->s, width, v + width, r->at, beta);
  if (t % r->every == 0) scale = scaling(largest_of(width, beta), &k);
  for (ptrdiff_t j = 0; j < width; j += LANES) store(v + j, load(beta + j) * (load(b + j) * scale));
}

static void start_forward(const recursion *r, double *row) {
  memcpy(row, r->b, (size_t)r->width * sizeof(double));
  for (ptrdiff_t j = 0; j < r->width; j++) r->p[j] = 1;
}

static void forward_wide(const recursion *r, double *row, int both) {
  start_forward(r, row);
  for (ptrdiff_t t = 1; t < r->n; t++) {
    step_forward(r, r->width, t, row);
    if (!both) note_prediction(r, r->width, t);
  }
}

static void forward_16(const recursion *r, double *row) {
  start_forward(r, row);
  for (ptrdiff_t t = 1; t < r->n; t++) {
    step_forward(r, 16, t, row);
    note_prediction(r, 16, t);
  }
}

/* r->v has its last row already. */
static void backward_wide(const recursion *r, double *beta) {
  for (ptrdiff_t t = r->n - 2; t >= 0; t--) {
    step_back(r, r->width, t, beta);
    note_low(r, r->width, beta);
  }
}

static void both_16(const recursion *r, double *row, double *beta) {
  start_forward(r, row);
  for (ptrdiff_t t = 1; t < r->n; t++) {
    step_forward(r, 16, t, row);
    step_back(r, 16, r->n - 1 - t, beta);
    note_low(r, 16, beta);
  }
}

/* Whether nothing was lost that counts; see above. */
static int is_safe(const recursion *r) {
  int safe = *r->kept >= LEAST_KEPT;
  for (ptrdiff_t j = 0; j < r->s; j++) safe &= r->low[j] >= LEAST_ENTRY;
  return r->every > 1 || safe;
}

static void recur_forward(const recursion *r, double *row) {
  switch (r->width) {
    case 2: forward_2(r); break;
    case 4: forward_4(r); break;
    case 8: forward_8(r); break;
    case 16: forward_16(r, row); break;
    default: forward_wide(r, row, 0);
  }
}

static void recur_both(const recursion *r, double *row, double *beta) {
  switch (r->width) {
    case 2: both_2(r, beta); break;
    case 4: both_4(r, beta); break;
    case 8: both_8(r, beta); break;
    case 16: both_16(r, row, beta); break;
    default:
      backward_wide(r, beta);
      if (is_safe(r)) forward_wide(r, row, 1);
  }
}

/* ---- posteriors ---------------------------------------------------------------------------------------------------- */

/* p_t o v_t / Z_t of rows `begin` to `end` - 1 go to g, PAIR_ROWS x width, times the weight; and p_{t-1} becomes
 * p_{t-1} o b_{t-1} times weight / Z_t. Returns whether all Z_t are positive numbers. */
LC_INLINE int posterior_rows(ptrdiff_t width, const recursion *r, double weight, ptrdiff_t begin, ptrdiff_t end, double *g) {
  int good = 1;
  for (ptrdiff_t t = begin; t < end; t++) {
    const double *v = r->v + t * width;
    double *p = r->p + t * width, *out = g + (t - begin) * width;
    vec sum = {0};
    for (ptrdiff_t j = 0; j < width; j += LANES) {
      vec joint = load(p + j) * load(v + j);
      store(out + j, joint);
      sum += joint;
    }
    sum = group_sum(LANES, sum);
    good &= sum[0] > 0 && sum[0] < INFINITY;
    vec scale = broadcast(weight) / sum;
    for (ptrdiff_t j = 0; j < width; j += LANES) store(out + j, load(out + j) * scale);
    if (t > 0) {
      const double *b = r->b + (t - 1) * width;
      for (ptrdiff_t j = 0; j < width; j += LANES) store(p - width + j, (load(p - width + j) * load(b + j)) * scale);
    }
  }
  return good;
}

#if LANES > 2
/* The same where several rows make a vector. */
LC_INLINE int posterior_rows_narrow(const int width, const recursion *r, double weight, ptrdiff_t begin, ptrdiff_t end,
                                    double *g) {
  ivec wrong = {0};
  double scales[PAIR_ROWS * 8 + LANES];
  const ptrdiff_t n = (end - begin) * width;
  const double *v = r->v + begin * width, *b = r->b + begin * width;
  double *p = r->p + begin * width;
  for (ptrdiff_t i = 0; i < n; i += LANES) {
    double one[LANES], other[LANES];
    const double *at_p = p + i, *at_v = v + i;
    const int whole = i + LANES <= n;
    if (!whole) {
      for (int l = 0; l < LANES; l++) one[l] = other[l] = 1;
      memcpy(one, p + i, (size_t)(n - i) * sizeof(double)), memcpy(other, v + i, (size_t)(n - i) * sizeof(double));
      at_p = one, at_v = other;
    }
    vec joint = load(at_p) * load(at_v), sum = group_sum(width, joint);
    wrong |= ~((ivec)(sum > (vec){0}) & (ivec)(sum < broadcast(INFINITY)));
    vec scale = broadcast(weight) / sum;
    store(scales + i, scale);
    store(whole ? g + i : one, joint * scale);
    if (!whole) memcpy(g + i, one, (size_t)(n - i) * sizeof(double));
  }
  /* p of the row before by the scale of this one */
  ptrdiff_t i = begin > 0 ? -width : 0;
  for (; i + LANES <= n - width; i += LANES) store(p + i, (load(p + i) * load(b + i)) * load(scales + width + i));
  for (; i < n - width; i++) p[i] = p[i] * b[i] * scales[width + i];
  return !any_lane(wrong);
}
#endif

static int posterior_block(const recursion *r, double weight, ptrdiff_t begin, ptrdiff_t end, double *g) {
  switch (r->width) {
#if LANES > 2
    case 2: return posterior_rows_narrow(2, r, weight, begin, end, g);
#endif
#if LANES > 4
    case 4: return posterior_rows_narrow(4, r, weight, begin, end, g);
#endif
    case LANES: return posterior_rows(LANES, r, weight, begin, end, g);
    case 16: return posterior_rows(16, r, weight, begin, end, g);
    default: return posterior_rows(r->width, r, weight, begin, end, g);
  }
}

/* Rows of g, width apart, to the posteriors of rows from `begin` on, s to a row. */
static void write_rows(const lc_hmm_targets *out, ptrdiff_t begin, ptrdiff_t n, ptrdiff_t s, ptrdiff_t width, const double *g) {
  for (ptrdiff_t t = 0; t < n; t++) write_row(out, begin + t, s, g + t * width, 1);
}

/* sums(i, j) += sum_t u_t(i) v_t(j), for `rows` x `vectors` of them. */
LC_INLINE void pair_tile(const int rows, const int vectors, ptrdiff_t n, ptrdiff_t width, const double *u, const double *v,
                         double *sums) {
  vec acc[4][8];
  _Pragma("GCC unroll 4") for (int i = 0; i < rows; i++)
    _Pragma("GCC unroll 8") for (int j = 0; j < vectors; j++) acc[i][j] = load(sums + i * width + j * LANES);
  for (ptrdiff_t t = 0; t < n; t++) {
    vec b[8];
    _Pragma("GCC unroll 8") for (int j = 0; j < vectors; j++) b[j] = load(v + t * width + j * LANES);
    _Pragma("GCC unroll 4") for (int i = 0; i < rows; i++) {
      double a = u[t * width + i];
      _Pragma("GCC unroll 8") for (int j = 0; j < vectors; j++) acc[i][j] += a * b[j];
    }
  }
  _Pragma("GCC unroll 4") for (int i = 0; i < rows; i++)
    _Pragma("GCC unroll 8") for (int j = 0; j < vectors; j++) store(sums + i * width + j * LANES, acc[i][j]);
}

#define TILE_VECTORS (LANES == 8 ? 4 : WIDTH_UNIT / LANES)
#define TILE_PAIRS (LANES == 2 ? 2 : 4)

static void add_pairs(ptrdiff_t n, ptrdiff_t s, ptrdiff_t width, const double *u, const double *v, double *sums) {
  for (ptrdiff_t j = 0; j < width;) {
    const int vectors = j + TILE_VECTORS * LANES <= width ? TILE_VECTORS : WIDTH_UNIT / LANES;
    ptrdiff_t i = 0;
    for (; i + TILE_PAIRS <= s; i += TILE_PAIRS)
      if (vectors == TILE_VECTORS)
        pair_tile(TILE_PAIRS, TILE_VECTORS, n, width, u + i, v + j, sums + i * width + j);
      else
        pair_tile(TILE_PAIRS, WIDTH_UNIT / LANES, n, width, u + i, v + j, sums + i * width + j);
    for (; i < s; i++)
      if (vectors == TILE_VECTORS)
        pair_tile(1, TILE_VECTORS, n, width, u + i, v + j, sums + i * width + j);
      else
        pair_tile(1, WIDTH_UNIT / LANES, n, width, u + i, v + j, sums + i * width + j);
    j += vectors * LANES;
  }
}

static void add_pair_block(ptrdiff_t n, ptrdiff_t s, ptrdiff_t width, const double *u, const double *v, double *sums) {
  switch (width) {
    case 2: pairs_2(n, u, v, sums); break;
    case 4: pairs_4(n, u, v, sums); break;
    case 8: pairs_8(n, u, v, sums); break;
    default: add_pairs(n, s, width, u, v, sums);
  }
}

/* ---- one sequence -------------------------------------------------------------------------------------------------- */

size_t LC_KERNEL(hmm_scaled_work)(ptrdiff_t width, ptrdiff_t longest) {
  size_t rows = piece((size_t)(longest * width) * sizeof(double)), row = piece((size_t)width * sizeof(double));
  return ALIGNMENT + 3 * rows + piece((size_t)longest * sizeof(double)) + 4 * row + piece(sizeof(double)) +
         piece((size_t)(PAIR_ROWS * width) * 4 * sizeof(double));
}

typedef struct {
  recursion r;
  double *row, *beta, *first, *g; /* width; the log-densities of the first row, width; 4 x PAIR_ROWS x width */
} scaled_work;

static scaled_work begin(const hmm_chain *c, ptrdiff_t n, void *work) {
  const ptrdiff_t width = c->narrow;
  const size_t rows = (size_t)(n * width) * sizeof(double), row = (size_t)width * sizeof(double);
  arena a = arena_at(work);
  scaled_work w = {.r = {.s = c->s, .width = width, .n = n, .every = c->every, .a = c->narrow_a, .at = c->narrow_at}};
  w.r.starts = c->starts, w.r.n_starts = c->n_starts;
  w.r.b = take(&a, rows), w.r.p = take(&a, rows), w.r.v = take(&a, rows);
  w.r.row_shift = take(&a, (size_t)n * sizeof(double));
  w.row = take(&a, row), w.beta = take(&a, row), w.first = take(&a, row);
  w.g = take(&a, 4 * (size_t)PAIR_ROWS * row);
  w.r.low = take(&a, row), w.r.kept = take(&a, sizeof(double));
  w.r.p_stride = width;
  for (ptrdiff_t j = 0; j < width; j++) w.r.low[j] = 1;
  *w.r.kept = 0;
  return w;
}

/* Fills w->r.b, w->r.row_shift and w->first; returns whether the sequence has no NaN, +inf or impossible row. */
static int read_rows(const hmm_chain *c, const hmm_sequence *q, scaled_work *w) {
  const ptrdiff_t width = w->r.width;
  const double *x = q->rows.x;
  int good = 1;
  copy_row(&q->rows, 0, c->s, width, w->first);
  if (!is_plain(q->rows.is_f32, q->rows.stride, c->s, width)) {
    for (ptrdiff_t t = 0; t < q->n; t++) copy_row(&q->rows, t, c->s, width, w->r.b + t * width);
    x = w->r.b;
  }
  good &= densities(width, q->n, x, w->r.b, w->r.row_shift);
  for (ptrdiff_t j = 0; j < width; j++) w->r.b[j] = j < c->s ? w->first[j] + c->log_initial[j] : -INFINITY;
  return good & densities(width, 1, w->r.b, w->r.b, w->r.row_shift);
}

/* The last row of v: its densities, with log_future. Returns whether any is possible. */
static int last_message(const hmm_chain *c, const hmm_sequence *q, const scaled_work *w) {
  const recursion *r = &w->r;
  double *v = r->v + (r->n - 1) * r->width, shift;
  memcpy(v, r->b + (r->n - 1) * r->width, (size_t)r->width * sizeof(double));
  if (!c->log_future) return 1;
  for (ptrdiff_t j = 0; c->every == 1 && j < c->s; j++)
    if (c->future_e[j] - largest_of(c->width, c->future_e) < LEAST_FUTURE) return 0;
  copy_row(&q->rows, r->n - 1, c->s, r->width, v);
  for (ptrdiff_t j = 0; j < c->s; j++) v[j] += c->log_future[j] + (r->n == 1 ? c->log_initial[j] : 0);
  return densities(r->width, 1, v, v, &shift);
}

static double log_likelihood_of(const hmm_chain *c, const recursion *r) {
  double exponent = c->shift * (double)(r->n - 1), sum = 0;
  const double *p = r->p + (r->n - 1) * r->p_stride, *b = r->b + (r->n - 1) * r->width;
  vec shifts = {0}; /* integers: their order does not matter */
  ptrdiff_t t = 0;
  for (; t + LANES <= r->n; t += LANES) shifts += load(r->row_shift + t);
  for (; t < r->n; t++) exponent += r->row_shift[t];
  exponent += sum_lanes(shifts);
  for (ptrdiff_t j = 0; j < r->width; j++) sum += p[j] * b[j];
  return log(sum) + LOG_2 * exponent;
}

/* out = log p + x, less the logarithm of the row's sum p o b, where b = exp(x) / 2^shift. `lanes` holds the shift of every
 * entry. */
LC_INLINE void log_rows(const ptrdiff_t width, ptrdiff_t n, const double *p, const double *b, const double *lanes, double *x) {
  const int group = width < LANES ? (int)width : LANES;
  for (ptrdiff_t i = 0; i < n * width; i += width > LANES ? width : LANES) {
    vec sum = {0};
    for (ptrdiff_t j = 0; j < width; j += LANES) sum += load(p + i + j) * load(b + i + j);
    vec less = log_vec(group_sum(group, sum)) + LOG_2 * load(lanes + i);
    for (ptrdiff_t j = 0; j < width; j += LANES) store(x + i + j, (log_vec(load(p + i + j)) + load(x + i + j)) - less);
  }
}

/* log_filtered of rows `begin` to `end` - 1, at most PAIR_ROWS, to out. */
static void write_log_rows(const hmm_chain *c, const hmm_sequence *q, const scaled_work *w, ptrdiff_t begin, ptrdiff_t end,
                           double *out) {
  const recursion *r = &w->r;
  const ptrdiff_t s = c->s, width = r->width, n = end - begin;
  double *x = w->g, *lanes = w->g + PAIR_ROWS * width, *p = lanes + PAIR_ROWS * width, *b = p + PAIR_ROWS * width;
  for (ptrdiff_t t = begin; t < end; t++) {
    copy_row(&q->rows, t, s, width, x + (t - begin) * width);
    for (ptrdiff_t j = 0; t == 0 && j < s; j++) x[j] += c->log_initial[j];
    for (ptrdiff_t j = 0; j < width; j++) lanes[(t - begin) * width + j] = r->row_shift[t];
    memcpy(p + (t - begin) * width, r->p + t * r->p_stride, (size_t)width * sizeof(double));
  }
  memcpy(b, r->b + begin * width, (size_t)(n * width) * sizeof(double));
  switch (width) {
    case 2: log_rows(2, n, p, b, lanes, x); break;
    case 4: log_rows(4, n, p, b, lanes, x); break;
    case 8: log_rows(8, n, p, b, lanes, x); break;
    default: log_rows(width, n, p, b, lanes, x);
  }
  for (ptrdiff_t t = 0; t < n; t++) memcpy(out + t * s, x + t * width, (size_t)s * sizeof(double));
}

int LC_KERNEL(hmm_scaled_forward)(const hmm_chain *c, const hmm_sequence *q, double *log_likelihood, void *work) {
  scaled_work w = begin(c, q->n, work);
  const recursion *r = &w.r;
  if (c->n_starts < 0 || !read_rows(c, q, &w)) return 0;
  if (!q->log_filtered) w.r.p_stride = 0;
  recur_forward(r, w.row);
  if (!is_safe(r)) return 0;
  *log_likelihood = log_likelihood_of(c, r);
  if (!(*log_likelihood > -INFINITY && *log_likelihood < INFINITY)) return 0;
  for (ptrdiff_t t = 0; q->log_filtered && t < r->n; t += PAIR_ROWS)
    write_log_rows(c, q, &w, t, min_size(t + PAIR_ROWS, r->n), q->log_filtered + t * c->s);
  if (!q->log_filtered && q->log_last) write_log_rows(c, q, &w, r->n - 1, r->n, q->log_last);
  if (q->log_filtered && q->log_last)
    memcpy(q->log_last, q->log_filtered + (r->n - 1) * c->s, (size_t)c->s * sizeof(double));
  return 1;
}

int LC_KERNEL(hmm_scaled_forward_backward)(const hmm_chain *c, const hmm_sequence *q, double *sums, double *log_likelihood,
                                           void *work) {
  scaled_work w = begin(c, q->n, work);
  const recursion *r = &w.r;
  const ptrdiff_t s = c->s, width = r->width;
  const int plain = is_plain(q->posteriors.is_f32, q->posteriors.stride, s, width);
  if (!read_rows(c, q, &w) || !last_message(c, q, &w)) return 0;
  for (ptrdiff_t j = 0; j < s; j++) w.beta[j] = 1;
  recur_both(r, w.row, w.beta);
  if (!is_safe(r)) return 0;
  *log_likelihood = log_likelihood_of(c, r);
  if (!(*log_likelihood > -INFINITY && *log_likelihood < INFINITY)) return 0;
  for (ptrdiff_t t = 0; t < r->n; t += PAIR_ROWS) {
    const ptrdiff_t end = min_size(t + PAIR_ROWS, r->n), first = max_size(t, 1);
    double *g = plain ? (double *)q->posteriors.x + t * s : w.g;
    if (!posterior_block(r, q->weight, t, end, g)) return 0;
    if (!plain) write_rows(&q->posteriors, t, end - t, s, width, g);
    add_pair_block(end - first, s, width, r->p + (first - 1) * width, r->v + first * width, sums);
  }
  if (q->log_message) {
    double top = -INFINITY;
    for (ptrdiff_t j = 0; j < s; j++) {
      double beta = r->n > 1 ? log(w.beta[j]) : c->log_future ? c->log_future[j] : 0;
      q->log_message[j] = w.first[j] + beta;
      top = q->log_message[j] > top ? q->log_message[j] : top;
    }
    for (ptrdiff_t j = 0; j < s; j++) q->log_message[j] -= top;
  }
  return 1;
}
