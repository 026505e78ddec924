/* Paths of states: the most probable one, and draws from their posterior law. */
#include "hmm.h"

size_t LC_KERNEL(hmm_viterbi_work)(ptrdiff_t n_states, ptrdiff_t longest) {
  const ptrdiff_t width = round_up(n_states, WIDTH_UNIT);
  return ALIGNMENT + piece((size_t)(longest * width) * sizeof(double)) + 2 * piece((size_t)(width * width) * sizeof(double)) +
         piece((size_t)width * sizeof(double));
}

static ptrdiff_t first_largest(ptrdiff_t n, const double *x) {
  ptrdiff_t best = 0;
  for (ptrdiff_t i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

/* out(j) = b(j) + max_i (delta(i) + log_transition(i, j)) */
static void viterbi_step(ptrdiff_t s, ptrdiff_t width, const double *delta, const double *log_transition, const double *b,
                         double *out) {
  for (ptrdiff_t j = 0; j < width; j += LANES) {
    vec best = broadcast(-INFINITY);
    for (ptrdiff_t i = 0; i < s; i++) best = max_vec(delta[i] + load(log_transition + i * width + j), best);
    store(out + j, best + load(b + j));
  }
}

void LC_KERNEL(hmm_viterbi)(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const lc_hmm_rows *rows,
                            const double *log_initial, const double *log_transition, ptrdiff_t end_state, int32_t *states,
                            double *log_joint, double *log_scores, void *work) {
  const ptrdiff_t s = n_states, width = round_up(s, WIDTH_UNIT);
  const size_t matrix = (size_t)(width * width) * sizeof(double);
  arena pieces = arena_at(work);
  double *from = take(&pieces, matrix), *to = take(&pieces, matrix), *b = take(&pieces, (size_t)width * sizeof(double));
  double *deltas = take(&pieces, (size_t)width * sizeof(double));
  int bad_law = 0, bad_transitions = 0;
  for (ptrdiff_t i = 0; i < s; i++) {
    bad_law |= !is_number(log_initial[i]);
    for (ptrdiff_t j = 0; j < width; j++) {
      from[i * width + j] = j < s ? log_transition[i * s + j] : -INFINITY;
      to[i * width + j] = j < s ? log_transition[j * s + i] : -INFINITY;
      bad_transitions |= !is_number(from[i * width + j]);
    }
  }
  for (ptrdiff_t q = 0; q < n_sequences; q++) {
    const ptrdiff_t n = begins[q + 1] - begins[q];
    int32_t *path = states + begins[q];
    int bad = bad_law || (n > 1 && bad_transitions);
    double *delta = deltas;
    for (ptrdiff_t t = 0; t < n; t++, delta += width) {
      copy_row(rows, begins[q] + t, s, width, b);
      for (ptrdiff_t j = 0; j < s; j++) bad |= !is_number(b[j]);
      if (t > 0) {
        viterbi_step(s, width, delta - width, from, b, delta);
      } else {
        for (ptrdiff_t j = 0; j < width; j++) delta[j] = j < s ? log_initial[j] + b[j] : -INFINITY;
      }
    }
    delta -= width;
    ptrdiff_t state = end_state >= 0 ? end_state : first_largest(s, delta);
    log_joint[q] = bad ? NAN : delta[state];
    for (ptrdiff_t j = 0; log_scores && j < s; j++) log_scores[q * s + j] = bad ? NAN : delta[j];
    path[n - 1] = (int32_t)state;
    for (ptrdiff_t t = n - 2; t >= 0; t--) {
      delta -= width;
      for (ptrdiff_t i = 0; i < s; i++) b[i] = delta[i] + to[state * width + i];
      state = first_largest(s, b);
      path[t] = (int32_t)state;
    }
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
