/* Forward, forward-backward, Viterbi and sampling of hidden Markov models against long double in log space, in one precision
 * of the log-densities. */
#include "check.h"
#include "plain.h"

static const ptrdiff_t STATES[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 24, 33, 64, 65};
static const int64_t LENGTHS[] = {1, 2, 5, 9, 1, 70, 3};
enum { SEQUENCES = LENGTH(LENGTHS), ROUNDINGS = 64, BEFORE = 3 };

/* Chains that take each way through the kernels. */
typedef enum { POSITIVE, SMALL, ZEROS, HOPELESS, N_CHAINS } chain;

typedef struct {
  ptrdiff_t s, n, stride;
  int64_t begins[SEQUENCES + 1];
  real *x;
  long double *b; /* n x s: what x holds */
  double *initial, *transition, *future, *weights;
} problem;

static double log_probability(chain kind) {
  switch (kind) {
    case POSITIVE: return log(uniform() + 0.01);
    case SMALL: return -120 * uniform();
    case ZEROS: return uniform() < 0.5 ? -INFINITY : log(uniform());
    default: return -3000 * uniform();
  }
}

static problem make(ptrdiff_t s, chain kind, ptrdiff_t gap) {
  problem p = {.s = s, .stride = s + gap};
  for (int q = 0; q < SEQUENCES; q++) p.begins[q + 1] = p.begins[q] + LENGTHS[q];
  p.n = p.begins[SEQUENCES];
  ptrdiff_t size = (p.n - 1) * p.stride + s;
  p.x = reals(size);
  p.b = malloc((size_t)(p.n * s) * sizeof *p.b);
  p.initial = doubles(s), p.transition = doubles(s * s), p.future = doubles(s), p.weights = doubles(SEQUENCES);
  for (ptrdiff_t i = 0; i < size; i++) p.x[i] = NAN;
  for (ptrdiff_t t = 0; t < p.n; t++)
    for (ptrdiff_t j = 0; j < s; j++) {
      double value = (kind == HOPELESS ? 900 : 3) * normal() - 5;
      if (kind == ZEROS && j != t % s && uniform() < 0.3) value = -INFINITY;
      p.b[t * s + j] = p.x[t * p.stride + j] = (real)value;
    }
  for (ptrdiff_t j = 0; j < s; j++) {
    p.initial[j] = kind == POSITIVE ? log_probability(HOPELESS) : log_probability(kind);
    p.future[j] = -20 * uniform();
    for (ptrdiff_t i = 0; i < s; i++) p.transition[i * s + j] = log_probability(kind);
    /* a cycle and a start, so that sequences are possible */
    p.transition[(j + s - 1) % s * s + j] = -uniform();
  }
  if (p.initial[0] < -1) p.initial[0] = -1;
  for (int q = 0; q < SEQUENCES; q++) p.weights[q] = q == 3 ? 0 : uniform();
  if (kind == ZEROS)
    for (int q = 0; q < SEQUENCES; q++) { /* the cycle's rows have densities */
      for (int64_t t = p.begins[q]; t < p.begins[q + 1]; t++) {
        ptrdiff_t j = (ptrdiff_t)(t - p.begins[q]) % s;
        p.b[t * s + j] = p.x[t * p.stride + j] = (real)normal();
      }
    }
  return p;
}

static void drop(problem *p) {
  release(p->x), release(p->initial), release(p->transition), release(p->future), release(p->weights), free(p->b);
}

#define CASE "S = %td, chain %d, future %d, %td at %td", s, (int)kind, with_future, i, (ptrdiff_t)q

static void check_forward_backward(ptrdiff_t s, chain kind, ptrdiff_t gap, int with_future) {
  problem p = make(s, kind, gap);
  const ptrdiff_t n = p.n, out_stride = s + gap, size = (n - 1) * out_stride + s, longest = 70;
  double *log_likelihood = doubles(SEQUENCES), *transitions = doubles(s * s), *messages = doubles(SEQUENCES * s);
  double *filtered = doubles(n * s), *last = doubles(SEQUENCES * s), *again = doubles(SEQUENCES), *nothing = doubles(s);
  real *posteriors = reals(size);
  long double *wanted = calloc((size_t)(2 * n * s + s * s + s), sizeof *wanted), *gamma = wanted + n * s, *xi = gamma + n * s,
              *message = xi + s * s;
  for (ptrdiff_t i = 0; i < size; i++) posteriors[i] = BEFORE;
  fill(s * s, transitions, BEFORE), fill(s, nothing, 0);
  void *work = exactly(LC(hmm_work)(s, longest));
  CHECK_STATUS(LC(hmm_forward_backward)(SEQUENCES, p.begins, s, p.x, p.stride, p.initial, p.transition, p.weights,
                                        with_future ? p.future : NULL, log_likelihood, posteriors, out_stride, transitions,
                                        messages, work),
               LC_OK);
  CHECK_STATUS(LC(hmm_forward)(SEQUENCES, p.begins, s, p.x, p.stride, p.initial, p.transition, again, filtered, last, work),
               LC_OK);
  for (ptrdiff_t q = 0; q < SEQUENCES; q++) {
    const ptrdiff_t begin = p.begins[q], rows = p.begins[q + 1] - begin;
    ptrdiff_t i = 0;
    long double total = plain_hmm(rows, s, p.b + begin * s, p.initial, p.transition, with_future ? p.future : nothing,
                                  p.weights[q], wanted, gamma, xi, message);
    CHECK(isfinite(total));
    /* an error of a unit in the largest log enters every row */
    long double magnitude = fabsl(total) + (kind == HOPELESS ? 6000 : 200), error = ROUNDINGS * magnitude * DBL_EPSILON;
    CHECK_CLOSE(log_likelihood[q], total, error, CASE);
    CHECK_CLOSE(log_likelihood[q], again[q], error, CASE);
    for (i = 0; i < rows * s; i++) {
      long double rounding = fmaxl(error, 2 * REAL_EPSILON);
      const long double smallest = sizeof(real) == sizeof(float) ? TINY : 1e-100L;
      CHECK_CLOSE(posteriors[(begin + i / s) * out_stride + i % s], gamma[i], rounding * gamma[i] + smallest, CASE);
      CHECK_CLOSE(filtered[begin * s + i], wanted[i], error + 4 * DBL_EPSILON * fabsl(wanted[i]), CASE);
    }
    for (i = 0; i < s; i++) {
      CHECK_CLOSE(messages[q * s + i], message[i], error + 4 * DBL_EPSILON * fabsl(message[i]), CASE);
      CHECK(last[q * s + i] == filtered[(begin + rows - 1) * s + i]);
    }
  }
  ptrdiff_t q = SEQUENCES;
  for (ptrdiff_t i = 0; i < s * s; i++)
    CHECK_CLOSE(transitions[i], BEFORE + xi[i], 1e-9L * xi[i] + 8 * DBL_EPSILON * BEFORE, CASE);
  for (ptrdiff_t i = 0; i < size; i++)
    if (i % out_stride >= s) CHECK(posteriors[i] == BEFORE);
  double *third = doubles(SEQUENCES);
  CHECK_STATUS(LC(hmm_forward)(SEQUENCES, p.begins, s, p.x, p.stride, p.initial, p.transition, third, NULL, NULL, work), LC_OK);
  for (q = 0; q < SEQUENCES; q++) CHECK(again[q] == third[q]);
  CHECK_STATUS(LC(hmm_forward_backward)(SEQUENCES, p.begins, s, p.x, p.stride, p.initial, p.transition, NULL, NULL, again,
                                        posteriors, out_stride, transitions, NULL, work),
               LC_OK);
  for (q = 0; q < SEQUENCES; q++) CHECK_CLOSE(again[q], third[q], 1e-12L * fabs(third[q]), "S = %td, chain %d", s, (int)kind);
  release(third);
  drop(&p);
  release(log_likelihood), release(transitions), release(messages), release(filtered), release(last), release(again);
  release(nothing), release(posteriors), release(work), free(wanted);
}

static void forward_backward_equals_long_double(void) {
  for (size_t i = 0; i < LENGTH(STATES); i++)
    for (chain kind = 0; kind < N_CHAINS; kind++)
      for (int with_future = 0; with_future <= 1; with_future++)
        check_forward_backward(STATES[i], kind, (ptrdiff_t)(i + kind) % 3, with_future);
}

static void check_impossible(ptrdiff_t s, chain kind, double value) {
  problem p = make(s, kind, 0);
  double log_likelihood[SEQUENCES], *transitions = doubles(s * s), *filtered = doubles(p.n * s);
  real *posteriors = reals(p.n * s);
  const ptrdiff_t bad = 5, begin = p.begins[bad], row = begin + 31;
  fill(s * s, transitions, 0);
  for (ptrdiff_t j = 0; j < s; j++) p.x[row * s + j] = (real)value;
  void *work = exactly(LC(hmm_work)(s, 70));
  CHECK_STATUS(LC(hmm_forward_backward)(SEQUENCES, p.begins, s, p.x, s, p.initial, p.transition, NULL, NULL, log_likelihood,
                                        posteriors, s, transitions, NULL, work),
               LC_OK);
  for (ptrdiff_t q = 0; q < SEQUENCES; q++) CHECK(q == bad ? !isfinite(log_likelihood[q]) : isfinite(log_likelihood[q]));
  CHECK(value == -INFINITY ? log_likelihood[bad] == -INFINITY : isnan(log_likelihood[bad]));
  double sum = 0;
  for (ptrdiff_t i = 0; i < s * s; i++) sum += transitions[i];
  CHECK_CLOSE(sum, 0 + 1 + 4 + 8 + 0 + 2, 1e-9L, "S = %td, chain %d", s, (int)kind);
  for (ptrdiff_t i = 0; i < p.n * s; i++)
    CHECK((i / s >= begin && i / s < begin + 70) ? isnan(posteriors[i]) : posteriors[i] >= 0);
  CHECK_STATUS(LC(hmm_forward)(SEQUENCES, p.begins, s, p.x, s, p.initial, p.transition, log_likelihood, filtered, NULL, work),
               LC_OK);
  for (ptrdiff_t t = begin; t < begin + 70; t++)
    for (ptrdiff_t j = 0; j < s; j++) {
      double got = filtered[t * s + j];
      if (t < row) CHECK(got <= 0);
      else CHECK(value == -INFINITY ? got == -INFINITY : isnan(got));
    }
  drop(&p);
  release(transitions), release(filtered), release(posteriors), release(work);
}

static void impossible_sequences_are_told_and_add_nothing(void) {
  for (size_t i = 0; i < LENGTH(STATES); i++)
    for (chain kind = 0; kind < N_CHAINS; kind++) {
      check_impossible(STATES[i], kind, -INFINITY);
      check_impossible(STATES[i], kind, NAN);
      check_impossible(STATES[i], kind, INFINITY);
    }
}

/* In double, as the kernel does it, so that ties are ties. */
static double plain_viterbi(ptrdiff_t n, const problem *p, ptrdiff_t begin, ptrdiff_t end_state, int *path, double *scores) {
  const ptrdiff_t s = p->s;
  double *delta = malloc((size_t)(n * s) * sizeof *delta);
  int *back = malloc((size_t)(n * s) * sizeof *back);
  for (ptrdiff_t t = 0; t < n; t++)
    for (ptrdiff_t j = 0; j < s; j++) {
      int best = 0;
      for (ptrdiff_t i = 1; i < s && t > 0; i++)
        if (delta[(t - 1) * s + i] + p->transition[i * s + j] > delta[(t - 1) * s + best] + p->transition[best * s + j])
          best = (int)i;
      double before = t > 0 ? delta[(t - 1) * s + best] + p->transition[best * s + j] : p->initial[j];
      delta[t * s + j] = before + (double)p->b[(begin + t) * s + j];
      back[t * s + j] = best;
    }
  memcpy(scores, delta + (n - 1) * s, (size_t)s * sizeof *delta);
  ptrdiff_t state = end_state >= 0 ? end_state : 0;
  for (ptrdiff_t j = 1; j < s && end_state < 0; j++)
    if (scores[j] > scores[state]) state = j;
  double value = scores[state];
  for (ptrdiff_t t = n - 1; t >= 0; t--) {
    path[t] = (int)state;
    state = back[t * s + state];
  }
  free(delta), free(back);
  return value;
}

static void check_viterbi(ptrdiff_t s, chain kind, ptrdiff_t gap, int ties, ptrdiff_t end_state) {
  problem p = make(s, kind, gap);
  if (ties) {
    for (ptrdiff_t i = 0; i < s * s; i++) p.transition[i] = -(double)(uniform() < 0.5);
    for (ptrdiff_t t = 0; t < p.n; t++)
      for (ptrdiff_t j = 0; j < s; j++) p.b[t * s + j] = p.x[t * p.stride + j] = -(real)(uniform() < 0.5);
  }
  int32_t *states = exactly((size_t)p.n * sizeof *states);
  int path[70];
  double *joint = doubles(SEQUENCES), *scores = doubles(SEQUENCES * s), *wanted = doubles(s);
  void *work = exactly(LC(hmm_viterbi_work)(s, 70));
  CHECK_STATUS(LC(hmm_viterbi)(SEQUENCES, p.begins, s, p.x, p.stride, p.initial, p.transition, end_state, states, joint, scores,
                               work),
               LC_OK);
  for (ptrdiff_t q = 0; q < SEQUENCES; q++) {
    const ptrdiff_t begin = p.begins[q], rows = p.begins[q + 1] - begin;
    CHECK(joint[q] == plain_viterbi(rows, &p, begin, end_state, path, wanted));
    for (ptrdiff_t t = 0; t < rows; t++)
      if (states[begin + t] != path[t]) FAIL("S = %td, chain %d: row %td of %td", s, (int)kind, t, rows);
    for (ptrdiff_t j = 0; j < s; j++) CHECK(scores[q * s + j] == wanted[j]);
  }
  drop(&p);
  release(states), release(joint), release(scores), release(wanted), release(work);
}

static void viterbi_equals_the_plain_recursion(void) {
  for (size_t i = 0; i < LENGTH(STATES); i++)
    for (chain kind = 0; kind < N_CHAINS; kind++)
      for (int ties = 0; ties <= 1; ties++)
        check_viterbi(STATES[i], kind, (ptrdiff_t)(i + kind) % 3, ties, ties ? STATES[i] - 1 : -1);
}

static void samples_follow_the_cumulative_weights(void) {
  enum { PATHS = 3, GAP = 2 };
  for (size_t i = 0; i < LENGTH(STATES); i++)
    for (chain kind = 0; kind < N_CHAINS; kind++) {
      const ptrdiff_t s = STATES[i];
      problem p = make(s, kind, 0);
      const ptrdiff_t stride = p.n + GAP, size = (PATHS - 1) * stride + p.n;
      double *filtered = doubles(p.n * s), *uniforms = doubles(size), total[SEQUENCES];
      int32_t *states = exactly((size_t)size * sizeof *states);
      void *work = exactly(LC(hmm_work)(s, 70)), *small = exactly(lc_hmm_sample_work(s));
      for (ptrdiff_t k = 0; k < size; k++) uniforms[k] = uniform();
      LC(hmm_forward)(SEQUENCES, p.begins, s, p.x, s, p.initial, p.transition, total, filtered, NULL, work);
      CHECK_STATUS(lc_hmm_sample(SEQUENCES, p.begins, s, filtered, p.transition, PATHS, uniforms, stride, states, small), LC_OK);
      for (ptrdiff_t q = 0; q < SEQUENCES; q++)
        for (ptrdiff_t path = 0; path < PATHS; path++)
          for (ptrdiff_t t = p.begins[q + 1] - 1; t >= p.begins[q]; t--) {
            const int32_t *at = states + path * stride + t;
            const int is_last = t == p.begins[q + 1] - 1;
            long double weights[128], below = 0;
            CHECK(*at >= 0 && *at < s);
            for (ptrdiff_t j = 0; j < s; j++)
              weights[j] = (long double)filtered[t * s + j] + (is_last ? 0 : p.transition[j * s + at[1]]);
            long double sum = plain_logsumexp(s, weights), u = uniforms[path * stride + t];
            for (ptrdiff_t j = 0; j < *at; j++) below += expl(weights[j] - sum);
            long double own = expl(weights[*at] - sum);
            CHECK(own > 0 && below <= u + 1e-10L && u <= below + own + 1e-10L);
          }
      drop(&p);
      release(filtered), release(uniforms), release(states), release(work), release(small);
    }
}

static void bad_arguments_are_refused(void) {
  real x[4] = {0}, out[4];
  double initial[2] = {0}, transition[4] = {0}, value[2], uniforms[2] = {0};
  int32_t states[2];
  const int64_t good[] = {0, 2}, empty[] = {0, 0}, falling[] = {0, 2, 1}, negative[] = {-1, 1};
  char *work = exactly(LC(hmm_work)(2, 2) + LC(hmm_viterbi_work)(2, 2) + lc_hmm_sample_work(2));
#define FORWARD(q, begins, s, x, initial, transition, value)                                                           \
  LC(hmm_forward)(q, begins, s, x, 2, initial, transition, value, NULL, NULL, work)
  CHECK_STATUS(FORWARD(1, good, 2, x, initial, transition, value), LC_OK);
  CHECK_STATUS(FORWARD(0, NULL, 2, NULL, initial, transition, NULL), LC_OK);
  CHECK_STATUS(FORWARD(-1, good, 2, x, initial, transition, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(FORWARD(1, NULL, 2, x, initial, transition, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(FORWARD(1, empty, 2, x, initial, transition, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(FORWARD(2, falling, 2, x, initial, transition, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(FORWARD(1, negative, 2, x, initial, transition, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(FORWARD(1, good, 0, x, initial, transition, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(FORWARD(1, good, 2, NULL, initial, transition, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(FORWARD(1, good, 2, x, NULL, transition, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(FORWARD(1, good, 2, x, initial, NULL, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(FORWARD(1, good, 2, x, initial, transition, NULL), LC_BAD_ARGUMENT);
#undef FORWARD
#define BACKWARD(value, out, transitions)                                                                              \
  LC(hmm_forward_backward)(1, good, 2, x, 2, initial, transition, NULL, NULL, value, out, 2, transitions, NULL, work)
  CHECK_STATUS(BACKWARD(NULL, out, transition), LC_BAD_ARGUMENT);
  CHECK_STATUS(BACKWARD(value, NULL, transition), LC_BAD_ARGUMENT);
  CHECK_STATUS(BACKWARD(value, out, NULL), LC_BAD_ARGUMENT);
#undef BACKWARD
#define VITERBI(end_state, states, value)                                                                              \
  LC(hmm_viterbi)(1, good, 2, x, 2, initial, transition, end_state, states, value, NULL, work)
  CHECK_STATUS(VITERBI(-1, states, value), LC_OK);
  CHECK_STATUS(VITERBI(2, states, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(VITERBI(-2, states, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(VITERBI(-1, NULL, value), LC_BAD_ARGUMENT);
  CHECK_STATUS(VITERBI(-1, states, NULL), LC_BAD_ARGUMENT);
#undef VITERBI
  CHECK_STATUS(lc_hmm_sample(1, good, 2, transition, transition, 1, uniforms, 1, states, work), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_hmm_sample(1, good, 2, transition, transition, -1, uniforms, 2, states, work), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_hmm_sample(1, good, 2, transition, transition, 1, NULL, 2, states, work), LC_BAD_ARGUMENT);
  CHECK(LC(hmm_work)(0, 1) == 0 && LC(hmm_viterbi_work)(0, 1) == 0 && lc_hmm_sample_work(0) == 0);
  release(work);
}

int main(void) {
  begin();
  RUN(forward_backward_equals_long_double);
  RUN(impossible_sequences_are_told_and_add_nothing);
  RUN(viterbi_equals_the_plain_recursion);
  RUN(samples_follow_the_cumulative_weights);
  RUN(bad_arguments_are_refused);
  return end();
}
