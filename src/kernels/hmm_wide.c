/* Forward and backward recursions of one sequence that lose nothing, whatever the numbers.
 *
 * A message is a vector of numbers m * 2^e, each with an exponent e of its own. A step scales the vector by its largest
 * exponent, multiplies by the transitions as plain numbers, and normalises. Terms that became zero by this could only
 * matter where a sum is tiny: such sums are formed once more with all exponents. Scaling by powers of two rounds nothing,
 * so that the results are those of plain scaling wherever that works. */
#include "hmm.h"

typedef struct {
  double *m, *e;
} wide; /* vector of numbers m * 2^e */

LC_INLINE wide take_wide(arena *a, ptrdiff_t n) {
  size_t bytes = (size_t)n * sizeof(double);
  double *m = take(a, bytes);
  return (wide){m, take(a, bytes)};
}

LC_INLINE wide row_of(wide x, ptrdiff_t t, ptrdiff_t width) { return (wide){x.m + t * width, x.e + t * width}; }

typedef struct {
  wide alpha, density;          /* rows x width */
  wide beta, message;           /* width */
  double *scaled, *other, *product; /* width */
} wide_work;

size_t LC_KERNEL(hmm_wide_work)(ptrdiff_t width, ptrdiff_t longest) {
  size_t row = piece((size_t)width * sizeof(double)), rows = piece((size_t)(width * longest) * sizeof(double));
  return ALIGNMENT + 4 * rows + 7 * row;
}

static wide_work begin(ptrdiff_t width, ptrdiff_t n, void *work) {
  arena a = arena_at(work);
  size_t row = (size_t)width * sizeof(double);
  wide_work w = {.alpha = take_wide(&a, n * width), .density = take_wide(&a, n * width)};
  w.beta = take_wide(&a, width), w.message = take_wide(&a, width);
  w.scaled = take(&a, row), w.other = take(&a, row), w.product = take(&a, row);
  return w;
}

static double largest_exponent(ptrdiff_t width, const double *e) {
  vec largest = load(e);
  for (ptrdiff_t j = LANES; j < width; j += LANES) largest = max_vec(load(e + j), largest);
  return group_max(LANES, largest)[0];
}

/* out = x / 2^exponent; returns the sum. */
static double scale(ptrdiff_t width, wide x, double exponent, double *out) {
  vec sum = {0};
  for (ptrdiff_t j = 0; j < width; j += LANES) {
    vec y = load(x.m + j) * power_of_two(load(x.e + j) - exponent);
    store(out + j, y);
    sum += y;
  }
  return group_sum(LANES, sum)[0];
}

/* sum_i x_i a(i, j) with all exponents, for one j whose row of the transpose is given. */
static void exact_sum(ptrdiff_t width, wide x, const double *a_m, const double *a_e, double *m, double *e) {
  vec most = broadcast(NOTHING), sum = {0};
  for (ptrdiff_t i = 0; i < width; i += LANES) most = max_vec(load(x.e + i) + load(a_e + i), most);
  most = group_max(LANES, most);
  for (ptrdiff_t i = 0; i < width; i += LANES)
    sum += load(x.m + i) * load(a_m + i) * power_of_two(load(x.e + i) + load(a_e + i) - most);
  *m = group_sum(LANES, sum)[0];
  *e = *m > 0 ? most[0] : NOTHING;
}

/* out = x a, where w->scaled is x / 2^exponent; a is the plain matrix, at_m and at_e its transpose. Leaves x a of the
 * plain numbers in w->product. */
static void transit(const hmm_chain *c, const wide_work *w, wide x, double exponent, const double *a, const double *at_m,
                    const double *at_e, wide out) {
  const ptrdiff_t s = c->s, width = c->width;
  matrix_product(s, width, w->scaled, a, w->product);
  for (ptrdiff_t j = 0; j < width; j += LANES) {
    store(out.m + j, load(w->product + j));
    store(out.e + j, broadcast(exponent + c->shift));
  }
  for (ptrdiff_t j = 0; j < s; j++)
    if (!(out.m[j] >= SAFE_SUM)) exact_sum(width, x, at_m + j * width, at_e + j * width, out.m + j, out.e + j);
  for (ptrdiff_t j = 0; j < width; j += LANES) {
    vec m = load(out.m + j), e = load(out.e + j);
    normalise_mantissa(&m, &e);
    store(out.m + j, m), store(out.e + j, e);
  }
}

/* x = x o y */
static void multiply(ptrdiff_t width, wide x, wide y) {
  for (ptrdiff_t j = 0; j < width; j += LANES) {
    vec m = load(x.m + j) * load(y.m + j), e = load(x.e + j) + load(y.e + j);
    normalise_mantissa(&m, &e);
    store(x.m + j, m), store(x.e + j, e);
  }
}

/* Fills w->density, but for the sum of what hopeless rows have too little of, added to *log_scale. Returns the first row from which on nothing is a number: there is a log-density, or a law before it, that
 * is NaN or +inf; n if there is none. */
static ptrdiff_t fill_densities(const hmm_chain *c, const hmm_sequence *q, const wide_work *w, double *log_scale) {
  const ptrdiff_t width = c->width;
  ptrdiff_t first = c->not_numbers ? 0 : c->not_transitions ? min_size(1, q->n) : q->n;
  for (ptrdiff_t t = 0; t < q->n; t++) copy_row(&q->rows, t, c->s, width, w->density.m + t * width);
  for (ptrdiff_t t = 0; t < q->n; t++) {
    wide row = row_of(w->density, t, width);
    ivec wrong = {0};
    *log_scale += take_out_largest(c->s, row.m);
    for (ptrdiff_t j = 0; j < width; j += LANES) {
      vec x = load(row.m + j), m, e;
      wrong |= ~(ivec)(x < broadcast(INFINITY));
      split_exp(x, &m, &e);
      store(row.m + j, m), store(row.e + j, e);
    }
    if (any_lane(wrong)) first = min_size(first, t);
  }
  return first;
}

/* x = x / 2^exponent */
static void rebase(ptrdiff_t width, wide x, double exponent) {
  for (ptrdiff_t j = 0; j < width; j += LANES) store(x.e + j, load(x.e + j) - exponent);
}

static void fill_log(ptrdiff_t n, double *out, double value) {
  for (ptrdiff_t j = 0; j < n; j++) out[j] = value;
}

/* out = log x - log 2 * exponent - log_scale */
static void write_log(ptrdiff_t s, wide x, double exponent, double log_scale, double *out) {
  for (ptrdiff_t j = 0; j < s; j++)
    out[j] = x.m[j] > 0 ? (log(x.m[j]) - log_scale) + LOG_2 * (x.e[j] - exponent) : -INFINITY;
}

/* Fills w->density, and w->alpha up to the row that makes the sequence impossible or not a number. */
static double forward(const hmm_chain *c, const hmm_sequence *q, const wide_work *w) {
  double log_scale = 0, total = 0, sum = 1;
  const ptrdiff_t s = c->s, width = c->width, end = fill_densities(c, q, w, &log_scale);
  ptrdiff_t t = 0;
  for (; t < end; t++) {
    wide alpha = row_of(w->alpha, t, width);
    if (t == 0) {
      memcpy(alpha.m, c->initial_m, (size_t)width * sizeof(double));
      memcpy(alpha.e, c->initial_e, (size_t)width * sizeof(double));
    } else {
      transit(c, w, row_of(w->alpha, t - 1, width), 0, c->a, c->at_m, c->at_e, alpha);
    }
    multiply(width, alpha, row_of(w->density, t, width));
    double exponent = largest_exponent(width, alpha.e);
    sum = scale(width, alpha, exponent, w->scaled);
    if (sum == 0) break;
    rebase(width, alpha, exponent);
    total += exponent;
    if (q->log_filtered) write_log(s, alpha, 0, log(sum), q->log_filtered + t * s);
  }
  if (t == q->n) {
    if (q->log_last) write_log(s, row_of(w->alpha, t - 1, width), 0, log(sum), q->log_last);
    return log(sum) + LOG_2 * total + log_scale;
  }
  const double result = end < q->n ? NAN : -INFINITY;
  if (q->log_filtered) {
    fill_log((end - t) * s, q->log_filtered + t * s, -INFINITY);
    fill_log((q->n - end) * s, q->log_filtered + end * s, NAN);
  }
  if (q->log_last) fill_log(s, q->log_last, result);
  return result;
}

double LC_KERNEL(hmm_wide_forward)(const hmm_chain *c, const hmm_sequence *q, void *work) {
  wide_work w = begin(c->width, q->n, work);
  return forward(c, q, &w);
}

/* sums or apart += the law of the states of two rows. w->scaled is the later row's message over 2^later, w->product its
 * product with the transitions. */
static void add_pair(const hmm_chain *c, const wide_work *w, double weight, wide alpha, double earlier, wide message,
                     double *sums, double *apart) {
  const ptrdiff_t s = c->s, width = c->width;
  scale(width, alpha, earlier, w->other);
  double total = 0;
  for (ptrdiff_t i = 0; i < s; i++) total += w->other[i] * w->product[i];
  if (total >= SAFE_SUM) {
    for (ptrdiff_t i = 0; i < s; i++) {
      double u = w->other[i] * (weight / total);
      if (u > 0)
        for (ptrdiff_t j = 0; j < width; j += LANES)
          store(sums + i * width + j, load(sums + i * width + j) + u * load(w->scaled + j));
    }
    return;
  }
  double most = NOTHING, sum = 0;
  for (ptrdiff_t i = 0; i < s; i++) /* rows by their largest terms */
    for (ptrdiff_t j = 0; j < width; j += LANES) {
      vec e = alpha.e[i] + load(c->a_e + i * width + j) + load(message.e + j);
      double largest = group_max(LANES, e)[0];
      most = largest > most ? largest : most;
    }
  for (int adds = 0; adds <= 1; adds++) { /* once for the sum, once to add */
    const double scaling = adds ? weight / sum : 1;
    for (ptrdiff_t i = 0; i < s; i++)
      for (ptrdiff_t j = 0; j < width; j += LANES) {
        vec m = alpha.m[i] * load(c->a_m + i * width + j) * load(message.m + j);
        vec e = alpha.e[i] + load(c->a_e + i * width + j) + load(message.e + j);
        m *= power_of_two(e - most);
        if (adds) store(apart + i * width + j, load(apart + i * width + j) + m * scaling);
        else sum += group_sum(LANES, m)[0];
      }
  }
}

static void no_posteriors(const hmm_chain *c, const hmm_sequence *q) {
  const double nan = NAN;
  for (ptrdiff_t t = 0; t < q->n; t++)
    for (ptrdiff_t j = 0; j < c->s; j++) {
      lc_hmm_targets at = q->posteriors;
      at.x = at.is_f32 ? (void *)((float *)at.x + j) : (void *)((double *)at.x + j);
      write_row(&at, t, 1, &nan, 1);
    }
  if (q->log_message) fill_log(c->s, q->log_message, NAN);
}

double LC_KERNEL(hmm_wide_forward_backward)(const hmm_chain *c, const hmm_sequence *q, double *sums, double *apart, void *work) {
  const ptrdiff_t s = c->s, width = c->width;
  wide_work w = begin(width, q->n, work);
  double log_likelihood = forward(c, q, &w);
  if (!(log_likelihood > -INFINITY && log_likelihood < INFINITY)) {
    no_posteriors(c, q);
    return log_likelihood;
  }
  memcpy(w.beta.m, c->future_m, (size_t)width * sizeof(double));
  memcpy(w.beta.e, c->future_e, (size_t)width * sizeof(double));
  for (ptrdiff_t t = q->n - 1; t >= 0; t--) {
    wide alpha = row_of(w.alpha, t, width), density = row_of(w.density, t, width);
    memcpy(w.message.m, density.m, (size_t)width * sizeof(double));
    memcpy(w.message.e, density.e, (size_t)width * sizeof(double));
    multiply(width, w.message, w.beta);
    multiply(width, w.beta, alpha); /* the posterior */
    double total = scale(width, w.beta, largest_exponent(width, w.beta.e), w.scaled);
    if (!(total > 0)) {
      no_posteriors(c, q); /* found at the last row: the total is the same at all */
      return log_likelihood;
    }
    write_row(&q->posteriors, t, s, w.scaled, q->weight / total);
    rebase(width, w.message, largest_exponent(width, w.message.e));
    scale(width, w.message, 0, w.scaled);
    if (t == 0) {
      if (q->log_message) {
        double top = -INFINITY;
        write_log(s, w.message, 0, 0, q->log_message);
        for (ptrdiff_t j = 0; j < s; j++) top = q->log_message[j] > top ? q->log_message[j] : top;
        for (ptrdiff_t j = 0; j < s; j++) q->log_message[j] -= top;
      }
      break;
    }
    transit(c, &w, w.message, 0, c->at, c->a_m, c->a_e, w.beta);
    wide before = row_of(w.alpha, t - 1, width);
    add_pair(c, &w, q->weight, before, largest_exponent(width, before.e), w.message, sums, apart);
  }
  return log_likelihood;
}
