/* Paths of states: the most probable one, and draws from their posterior law. */
#include "hmm.h"
#include "narrow.h"

#define SMALL_WIDTH 2
#include "hmm_viterbi_narrow.h"
#undef SMALL_WIDTH
#define SMALL_WIDTH 4
#include "hmm_viterbi_narrow.h"
#undef SMALL_WIDTH
#define SMALL_WIDTH 8
#include "hmm_viterbi_narrow.h"
#undef SMALL_WIDTH

/* Back-pointers of a row of at most this width are kept; of a wider one the scores, from which the one that is needed is
 * found again. */
#define MOST_POINTERS 8

size_t LC_KERNEL(hmm_viterbi_work)(ptrdiff_t n_states, ptrdiff_t longest) {
  const ptrdiff_t width = round_up(n_states, WIDTH_UNIT);
  const size_t rows = piece((size_t)(longest * width) * sizeof(double)), row = piece((size_t)width * sizeof(double));
  return ALIGNMENT + 2 * rows + 2 * piece((size_t)(width * width) * sizeof(double)) + 3 * row;
}

/* The first of the largest of x(i) + y(i), i < width. */
static ptrdiff_t first_largest_sum(ptrdiff_t width, const double *x, const double *y) {
  vec largest = load(x) + load(y);
  for (ptrdiff_t i = LANES; i < width; i += LANES) largest = max_vec(load(x + i) + load(y + i), largest);
  largest = group_max(LANES, largest);
  for (ptrdiff_t start = 0; start < width; start += 64) {
    uint64_t found = 0; /* bits, for there is no guessing where it is */
    for (ptrdiff_t i = start; i < width && i < start + 64; i += LANES)
      found |= lane_bits((ivec)(load(x + i) + load(y + i) == largest)) << (i - start);
    if (found) return start + __builtin_ctzll(found);
  }
  return 0; /* NaN */
}

/* max_i (delta(i) + log_transition(i, j)) for `vectors` vectors of j. */
LC_INLINE void viterbi_panel(const int vectors, const int parts, ptrdiff_t s, ptrdiff_t width, const double *delta,
                             const double *from, vec *best) {
  vec largest[4][8];
  _Pragma("GCC unroll 4") for (int k = 0; k < parts; k++)
    _Pragma("GCC unroll 8") for (int l = 0; l < vectors; l++) largest[k][l] = broadcast(-INFINITY);
  ptrdiff_t i = 0;
  for (; i + parts <= s; i += parts)
    _Pragma("GCC unroll 4") for (int k = 0; k < parts; k++)
      _Pragma("GCC unroll 8") for (int l = 0; l < vectors; l++)
        largest[k][l] = max_vec(delta[i + k] + load(from + (i + k) * width + l * LANES), largest[k][l]);
  for (; i < s; i++)
    _Pragma("GCC unroll 8") for (int l = 0; l < vectors; l++)
      largest[0][l] = max_vec(delta[i] + load(from + i * width + l * LANES), largest[0][l]);
  _Pragma("GCC unroll 8") for (int l = 0; l < vectors; l++) {
    best[l] = largest[0][l];
    _Pragma("GCC unroll 4") for (int k = 1; k < parts; k++) best[l] = max_vec(largest[k][l], best[l]);
  }
}

#define VITERBI_PANEL(vectors, parts)                                                                          \
  for (; j + (vectors) * LANES <= width; j += (vectors) * LANES) {                                             \
    vec best[8];                                                                                               \
    viterbi_panel(vectors, parts, s, width, delta, from + j, best);                                            \
    _Pragma("GCC unroll 8") for (int l = 0; l < (vectors); l++)                                                \
      store(out + j + l * LANES, best[l] + load(b + j + l * LANES));                                           \
  }

/* out(j) = b(j) + max_i (delta(i) + log_transition(i, j)) */
static void viterbi_step(ptrdiff_t s, ptrdiff_t width, const double *delta, const double *from, const double *b, double *out) {
  ptrdiff_t j = 0;
  VITERBI_PANEL(8, 1)
  VITERBI_PANEL(4, 2)
#if LANES > 2
  VITERBI_PANEL(2, 4)
#endif
#if LANES > 4
  VITERBI_PANEL(1, 4)
#endif
}

/* The call: padded transitions and their transpose, padded rows. */
typedef struct {
  ptrdiff_t s, width, end_state;
  double *initial, *from, *to, *scores; /* width; S x width; S x width; width */
  double *rows, *trace;                 /* rows x width */
} viterbi;

/* A state's path back from `state` at the last row. */
static void trace_back(const viterbi *v, ptrdiff_t n, ptrdiff_t state, int32_t *path) {
  path[n - 1] = (int32_t)state;
  if (v->width <= MOST_POINTERS) {
    const int64_t *pointers = (const int64_t *)(void *)v->trace;
    for (ptrdiff_t t = n - 1; t > 0; t--) path[t - 1] = (int32_t)(state = pointers[t * v->width + state]);
    return;
  }
  for (ptrdiff_t t = n - 1; t > 0; t--)
    path[t - 1] = (int32_t)(state = first_largest_sum(v->width, v->trace + (t - 1) * v->width, v->to + state * v->width));
}

/* Scores of the last row to v->scores. */
static void recur(const viterbi *v, ptrdiff_t n, const double *b) {
  int64_t *pointers = (int64_t *)(void *)v->trace;
  switch (v->width) {
    case 2: viterbi_2(v->s, n, b, v->initial, v->from, pointers, v->scores); return;
    case 4: viterbi_4(v->s, n, b, v->initial, v->from, pointers, v->scores); return;
    case 8: viterbi_8(v->s, n, b, v->initial, v->from, pointers, v->scores); return;
  }
  for (ptrdiff_t j = 0; j < v->width; j++) v->trace[j] = v->initial[j] + b[j];
  for (ptrdiff_t t = 1; t < n; t++)
    viterbi_step(v->s, v->width, v->trace + (t - 1) * v->width, v->from, b + t * v->width, v->trace + t * v->width);
  memcpy(v->scores, v->trace + (n - 1) * v->width, (size_t)v->width * sizeof(double));
}

/* The state in which the best path ends. */
static ptrdiff_t last_state(const viterbi *v) {
  if (v->end_state >= 0) return v->end_state;
  ptrdiff_t state = 0;
  for (ptrdiff_t j = 1; j < v->s; j++)
    if (v->scores[j] > v->scores[state]) state = j;
  return state;
}

/* v->rows = b, without what all states have too little of in rows that none explains; returns the sum of that. Beside so
 * large numbers those of other rows would be lost. */
static double take_out_hopeless(const viterbi *v, ptrdiff_t n, const double *b) {
  double sum = 0;
  if (b != v->rows) memcpy(v->rows, b, (size_t)(n * v->width) * sizeof(double));
  for (ptrdiff_t t = 0; t < n; t++) sum += take_out_largest(v->width, v->rows + t * v->width);
  return sum;
}

/* Whether all are numbers below +inf. */
static int are_numbers(ptrdiff_t n, const double *x) {
  ivec wrong = {0};
  ptrdiff_t i = 0;
  int good = 1;
  for (; i + LANES <= n; i += LANES) wrong |= ~(ivec)(load(x + i) < broadcast(INFINITY));
  for (; i < n; i++) good &= is_number(x[i]);
  return good & !any_lane(wrong);
}

void LC_KERNEL(hmm_viterbi)(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const lc_hmm_rows *rows,
                            const double *log_initial, const double *log_transition, ptrdiff_t end_state, int32_t *states,
                            double *log_joint, double *log_scores, void *work) {
  const ptrdiff_t s = n_states, width = narrow_width(s);
  const size_t matrix = (size_t)(width * width) * sizeof(double), row = (size_t)width * sizeof(double);
  ptrdiff_t longest = 0;
  for (ptrdiff_t q = 0; q < n_sequences; q++) longest = max_size(longest, begins[q + 1] - begins[q]);
  arena pieces = arena_at(work);
  viterbi v = {.s = s, .width = width, .end_state = end_state};
  v.initial = take(&pieces, row), v.scores = take(&pieces, row);
  v.from = take(&pieces, matrix), v.to = take(&pieces, matrix);
  v.rows = take(&pieces, (size_t)longest * row), v.trace = take(&pieces, (size_t)longest * row);
  for (ptrdiff_t j = 0; j < width; j++) v.initial[j] = j < s ? log_initial[j] : -INFINITY;
  for (ptrdiff_t i = 0; i < s; i++)
    for (ptrdiff_t j = 0; j < width; j++) {
      v.from[i * width + j] = j < s ? log_transition[i * s + j] : -INFINITY;
      v.to[i * width + j] = j < s ? log_transition[j * s + i] : -INFINITY;
    }
  const int good_law = are_numbers(s, log_initial), good_transitions = are_numbers(s * s, log_transition);
  for (ptrdiff_t q = 0; q < n_sequences; q++) {
    const ptrdiff_t n = begins[q + 1] - begins[q];
    const double *b = v.rows;
    if (!rows->is_f32 && rows->stride == s && s == width)
      b = (const double *)rows->x + begins[q] * s;
    else
      for (ptrdiff_t t = 0; t < n; t++) copy_row(rows, begins[q] + t, s, width, v.rows + t * width);
    const int good = are_numbers(n * width, b) && good_law && (n == 1 || good_transitions);
    recur(&v, n, b);
    ptrdiff_t state = last_state(&v);
    double hopeless = 0;
    if (good && v.scores[state] < -FURTHEST && v.scores[state] > -INFINITY) {
      hopeless = take_out_hopeless(&v, n, b);
      if (hopeless != 0) {
        recur(&v, n, v.rows);
        state = last_state(&v);
      }
    }
    log_joint[q] = good ? v.scores[state] + hopeless : NAN;
    for (ptrdiff_t j = 0; log_scores && j < s; j++) log_scores[q * s + j] = good ? v.scores[j] + hopeless : NAN;
    trace_back(&v, n, state, states + begins[q]);
  }
}

size_t LC_KERNEL(hmm_sample_work)(ptrdiff_t n_states) {
  const ptrdiff_t width = round_up(n_states, WIDTH_UNIT);
  return ALIGNMENT + piece((size_t)(width * width) * sizeof(double)) + piece((size_t)width * sizeof(double));
}

/* The state of weights exp(w) at the point u of their sum; -1 if they are no law. Overwrites w. */
static ptrdiff_t draw(ptrdiff_t s, ptrdiff_t width, double *w, double u) {
  double top = -INFINITY, sum = 0;
  int bad = 0;
  for (ptrdiff_t j = 0; j < s; j++) {
    bad |= !is_number(w[j]);
    top = w[j] > top ? w[j] : top;
  }
  if (bad || top == -INFINITY) return -1;
  for (ptrdiff_t j = 0; j < width; j += LANES) store(w + j, exp_nonpositive(load(w + j) - top));
  for (ptrdiff_t j = 0; j < s; j++) w[j] = sum += w[j];
  ptrdiff_t last = 0;
  for (ptrdiff_t j = 0; j < s; j++) {
    if (w[j] > u * sum) return j;
    if (j > 0 && w[j] > w[last]) last = j;
  }
  return last;
}

void LC_KERNEL(hmm_sample)(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const double *log_filtered,
                           const double *log_transition, ptrdiff_t n_paths, const double *uniforms, ptrdiff_t path_stride,
                           int32_t *states, void *work) {
  const ptrdiff_t s = n_states, width = round_up(s, WIDTH_UNIT);
  arena pieces = arena_at(work);
  double *to = take(&pieces, (size_t)(width * width) * sizeof(double)), *w = take(&pieces, (size_t)width * sizeof(double));
  for (ptrdiff_t j = 0; j < s; j++)
    for (ptrdiff_t i = 0; i < s; i++) to[j * width + i] = log_transition[i * s + j];
  for (ptrdiff_t p = 0; p < n_paths; p++) {
    const double *uniform = uniforms + p * path_stride;
    int32_t *path = states + p * path_stride;
    for (ptrdiff_t q = 0; q < n_sequences; q++) {
      ptrdiff_t next = -1;
      for (ptrdiff_t t = begins[q + 1] - 1; t >= begins[q]; t--) {
        const double *filtered = log_filtered + t * s;
        const int is_last = t == begins[q + 1] - 1;
        for (ptrdiff_t j = 0; j < width; j++) w[j] = j < s ? filtered[j] : -INFINITY;
        if (!is_last && next >= 0)
          for (ptrdiff_t j = 0; j < s; j++) w[j] += to[next * width + j];
        next = is_last || next >= 0 ? draw(s, width, w, uniform[t]) : -1;
        path[t] = (int32_t)next;
      }
    }
  }
}
