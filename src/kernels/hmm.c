#include "hmm.h"

static size_t chain_work(ptrdiff_t width) {
  size_t row = piece((size_t)width * sizeof(double)), matrix = piece((size_t)(width * width) * sizeof(double));
  return ALIGNMENT + 4 * row + 9 * matrix;
}

/* log x, n entries, as mantissas and exponents; returns whether all are numbers. */
static int split_row(ptrdiff_t n, ptrdiff_t width, const double *x, double *m, double *e) {
  ivec wrong = {0};
  const lc_hmm_rows row = {x, 0, 0};
  copy_row(&row, 0, n, width, m);
  for (ptrdiff_t j = 0; j < width; j += LANES) {
    vec a = load(m + j), mantissa, exponent;
    wrong |= ~(ivec)(a < broadcast(INFINITY));
    split_exp(a, &mantissa, &exponent);
    normalise_mantissa(&mantissa, &exponent);
    store(m + j, mantissa), store(e + j, exponent);
  }
  return !any_lane(wrong);
}

/* out(j, i) = in(i, j), width x width */
static void transpose(ptrdiff_t width, const double *in, double *out) {
  for (ptrdiff_t i = 0; i < width; i += LANES)
    for (ptrdiff_t j = 0; j < width; j += LANES) {
      vec block[LANES];
      _Pragma("GCC unroll 8") for (int l = 0; l < LANES; l++) block[l] = load(in + (i + l) * width + j);
      transpose_block(block);
      _Pragma("GCC unroll 8") for (int l = 0; l < LANES; l++) store(out + (j + l) * width + i, block[l]);
    }
}

/* at_m and at_e, a and at from the s rows of a_m and a_e; all matrices become width x width. */
static void plain_transitions(hmm_chain *c) {
  const ptrdiff_t s = c->s, width = c->width, used = s * width, size = width * width;
  vec most = broadcast(NOTHING);
  for (ptrdiff_t i = used; i < size; i++) c->a_m[i] = 0, c->a_e[i] = NOTHING;
  for (ptrdiff_t i = 0; i < size; i += LANES) most = max_vec(load(c->a_e + i), most);
  most = group_max(LANES, most);
  c->shift = most[0] > NOTHING ? most[0] : 0;
  for (ptrdiff_t i = 0; i < size; i += LANES)
    store(c->a + i, load(c->a_m + i) * power_of_two(load(c->a_e + i) - c->shift));
  transpose(width, c->a_m, c->at_m);
  transpose(width, c->a_e, c->at_e);
  transpose(width, c->a, c->at);
}

/* Smallest transitions, relative to the largest, for which hmm_scaled.c scales every fourth step, unwatched. */
#define EVERY_FOURTH -64

static void narrow_transitions(hmm_chain *c) {
  int all = 1;
  for (ptrdiff_t i = 0; i < c->s; i++)
    for (ptrdiff_t j = 0; j < c->s; j++) all &= c->a_e[i * c->width + j] - c->shift >= EVERY_FOURTH;
  c->every = all ? 4 : 1;
  if (c->narrow == c->width) {
    c->narrow_a = c->a, c->narrow_at = c->at;
    return;
  }
  for (ptrdiff_t i = 0; i < c->s; i++) {
    memcpy(c->narrow_a + i * c->narrow, c->a + i * c->width, (size_t)c->narrow * sizeof(double));
    memcpy(c->narrow_at + i * c->narrow, c->at + i * c->width, (size_t)c->narrow * sizeof(double));
  }
}

/* c->starts; row t from row t - 1, and that from the initial law. */
static void find_starts(hmm_chain *c) {
  const ptrdiff_t s = c->s, width = c->narrow;
  for (ptrdiff_t t = 0; t < s; t++) {
    double *row = c->starts + t * width;
    int all = 1;
    for (ptrdiff_t j = 0; j < width; j++) {
      int found = j >= s;
      for (ptrdiff_t i = 0; i < s && !found && t > 0; i++) found = row[i - width] == 0 && c->a_m[i * c->width + j] > 0;
      row[j] = t == 0 ? j < s && c->initial_m[j] == 0 : !found;
      all &= row[j] == 0;
    }
    c->n_starts = t + 1;
    if (all) return;
    if (t > 0 && memcmp(row, row - width, (size_t)width * sizeof(double)) == 0) break;
  }
  c->n_starts = -1;
}

static hmm_chain begin_chain(ptrdiff_t s, const double *log_initial, const double *log_transition, const double *log_future,
                             void *work) {
  const ptrdiff_t width = round_up(s, WIDTH_UNIT);
  const size_t row = (size_t)width * sizeof(double), matrix = (size_t)(width * width) * sizeof(double);
  arena a = arena_at(work);
  hmm_chain c = {.s = s, .width = width, .narrow = narrow_width(s), .log_initial = log_initial, .log_future = log_future};
  c.initial_m = take(&a, row), c.initial_e = take(&a, row), c.future_m = take(&a, row), c.future_e = take(&a, row);
  c.a_m = take(&a, matrix), c.a_e = take(&a, matrix), c.at_m = take(&a, matrix), c.at_e = take(&a, matrix);
  c.a = take(&a, matrix), c.at = take(&a, matrix), c.narrow_a = take(&a, matrix), c.narrow_at = take(&a, matrix);
  c.starts = take(&a, matrix);
  c.not_numbers = !split_row(s, width, log_initial, c.initial_m, c.initial_e);
  for (ptrdiff_t i = 0; i < s; i++)
    if (!split_row(s, width, log_transition + i * s, c.a_m + i * width, c.a_e + i * width)) c.not_transitions = 1;
  if (log_future) {
    if (!split_row(s, width, log_future, c.future_m, c.future_e)) c.not_numbers = 1;
  } else {
    for (ptrdiff_t j = 0; j < width; j++) c.future_m[j] = j < s, c.future_e[j] = j < s ? 0 : NOTHING;
  }
  plain_transitions(&c);
  narrow_transitions(&c);
  if (c.not_numbers || c.not_transitions) c.every = 0;
  return c;
}

size_t LC_KERNEL(hmm_work)(ptrdiff_t n_states, ptrdiff_t longest) {
  const ptrdiff_t width = round_up(n_states, WIDTH_UNIT);
  size_t wide = LC_KERNEL(hmm_wide_work)(width, longest);
  size_t scaled = LC_KERNEL(hmm_scaled_work)(narrow_width(n_states), longest);
  return ALIGNMENT + chain_work(width) + 3 * piece((size_t)(width * width) * sizeof(double)) + (wide > scaled ? wide : scaled);
}

static lc_hmm_rows rows_from(const lc_hmm_rows *rows, ptrdiff_t t) {
  lc_hmm_rows from = *rows;
  from.x = rows->is_f32 ? (const void *)((const float *)rows->x + t * rows->stride)
                        : (const void *)((const double *)rows->x + t * rows->stride);
  return from;
}

static lc_hmm_targets targets_from(const lc_hmm_targets *targets, ptrdiff_t t) {
  lc_hmm_targets from = *targets;
  from.x = targets->is_f32 ? (void *)((float *)targets->x + t * targets->stride)
                           : (void *)((double *)targets->x + t * targets->stride);
  return from;
}

void LC_KERNEL(hmm_forward)(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const lc_hmm_rows *rows,
                            const double *log_initial, const double *log_transition, double *log_likelihood,
                            double *log_filtered, double *log_last, void *work) {
  arena pieces = arena_at(work);
  const ptrdiff_t width = round_up(n_states, WIDTH_UNIT);
  hmm_chain c = begin_chain(n_states, log_initial, log_transition, NULL, take(&pieces, chain_work(width)));
  if (c.every == 1) find_starts(&c);
  for (ptrdiff_t q = 0; q < n_sequences; q++) {
    hmm_sequence sequence = {.n = begins[q + 1] - begins[q], .rows = rows_from(rows, begins[q])};
    sequence.log_filtered = log_filtered ? log_filtered + begins[q] * n_states : NULL;
    sequence.log_last = log_last ? log_last + q * n_states : NULL;
    if (!c.every || !LC_KERNEL(hmm_scaled_forward)(&c, &sequence, log_likelihood + q, pieces.next))
      log_likelihood[q] = LC_KERNEL(hmm_wide_forward)(&c, &sequence, pieces.next);
  }
}

void LC_KERNEL(hmm_forward_backward)(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const lc_hmm_rows *rows,
                                     const double *log_initial, const double *log_transition, const double *weights,
                                     const double *log_future, double *log_likelihood, const lc_hmm_targets *posteriors,
                                     double *transitions, double *log_messages, void *work) {
  arena pieces = arena_at(work);
  const ptrdiff_t width = round_up(n_states, WIDTH_UNIT);
  const size_t matrix = (size_t)(width * width) * sizeof(double);
  hmm_chain c = begin_chain(n_states, log_initial, log_transition, log_future, take(&pieces, chain_work(width)));
  double *sums = take(&pieces, matrix), *apart = take(&pieces, matrix), *narrow = take(&pieces, matrix);
  memset(sums, 0, matrix);
  memset(narrow, 0, matrix);
  memset(apart, 0, matrix);
  for (ptrdiff_t q = 0; q < n_sequences; q++) {
    hmm_sequence sequence = {.n = begins[q + 1] - begins[q], .rows = rows_from(rows, begins[q])};
    sequence.weight = weights ? weights[q] : 1;
    sequence.posteriors = targets_from(posteriors, begins[q]);
    sequence.log_message = log_messages ? log_messages + q * n_states : NULL;
    if (!c.every || !LC_KERNEL(hmm_scaled_forward_backward)(&c, &sequence, narrow, log_likelihood + q, pieces.next))
      log_likelihood[q] = LC_KERNEL(hmm_wide_forward_backward)(&c, &sequence, sums, apart, pieces.next);
  }
  for (ptrdiff_t i = 0; i < n_states; i++)
    for (ptrdiff_t j = 0; j < n_states; j++)
      transitions[i * n_states + j] += c.a[i * width + j] * (sums[i * width + j] + narrow[i * c.narrow + j]) +
                                       apart[i * width + j];
}
