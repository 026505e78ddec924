/* Mixture sweeps against long double, for every family, in one precision. */
#include "check.h"
#include "plain.h"

static const lc_family FAMILIES[] = {LC_GAUSSIAN_FULL, LC_GAUSSIAN_TIED, LC_GAUSSIAN_DIAG, LC_GAUSSIAN_SPHERICAL};
static const ptrdiff_t COMPONENTS[] = {1, 2, 3, 7, 16};
static const ptrdiff_t FEATURES[] = {1, 2, 3, 4, 5, 8, 9, 16, 33};
static const ptrdiff_t ROWS[] = {0, 1, 5, 127, 1000};

/* Sums run over a few hundred terms in `real`; their rounding is taken as this many times that of one term. */
enum { ROUNDINGS = 16 };

/* A mixture, rows of data, and memory for everything that a sweep writes. */
typedef struct problem {
  ptrdiff_t n, k, d, stride, second_size;
  real *x;             /* n x d, NaN in the gaps */
  double *row_weights; /* some are 0 */
  lc_components components;
  double *offsets, *means, *factors;
  lc_moments moments;
  double *centers;
  void *work;
  char name[80];
} problem;

/* Standard deviation of the means: at 2 some clusters overlap, at 9 almost none do. */
static double spread = 2;

static problem make_problem(lc_family family, ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, ptrdiff_t gap) {
  problem p = {.n = n, .k = k, .d = d, .stride = d + gap, .second_size = plain_second_size(family, k, d)};
  snprintf(p.name, sizeof p.name, "family %d, N = %td, K = %td, D = %td, stride %td", (int)family, n, k, d, p.stride);
  p.offsets = doubles(k), p.means = doubles(k * d), p.factors = doubles(p.second_size);
  for (ptrdiff_t j = 0; j < k; j++) p.offsets[j] = -1 - 3 * uniform();
  for (ptrdiff_t i = 0; i < k * d; i++) p.means[i] = spread * normal();
  for (ptrdiff_t i = 0; i < p.second_size; i++) p.factors[i] = NAN; /* what is not read */
  for (ptrdiff_t j = 0; j < k; j++)
    for (ptrdiff_t a = 0; a < d; a++)
      for (ptrdiff_t b = a; b < d; b++) {
        /* the transposed place of a second moment is that of the factor: upper triangle for lower */
        ptrdiff_t at = plain_second_index(family, d, j, b, a);
        if (at < 0) continue;
        ptrdiff_t matrix = family == LC_GAUSSIAN_FULL ? j : 0;
        if (family == LC_GAUSSIAN_FULL || family == LC_GAUSSIAN_TIED) at = (matrix * d + a) * d + b;
        p.factors[at] = a == b ? 0.5 + uniform() : normal() / sqrt((double)d);
      }
  p.components = (lc_components){family, k, d, p.offsets, p.means, p.factors, NULL, 0};

  ptrdiff_t size = n > 0 ? (n - 1) * p.stride + d : 0;
  p.x = reals(size), p.row_weights = doubles(n);
  for (ptrdiff_t i = 0; i < size; i++) p.x[i] = NAN;
  for (ptrdiff_t i = 0; i < n; i++) {
    ptrdiff_t j = (ptrdiff_t)(uniform() * (double)k);
    for (ptrdiff_t a = 0; a < d; a++) p.x[i * p.stride + a] = (real)(p.means[j * d + a] + normal());
    p.row_weights[i] = i % 4 == 1 ? 0 : 2 * uniform();
  }

  p.centers = doubles(k * d);
  for (ptrdiff_t i = 0; i < k * d; i++) p.centers[i] = p.means[i];
  p.moments = (lc_moments){p.centers, doubles(k), doubles(k * d), doubles(p.second_size)};
  p.work = exactly(LC(mixture_work)(&p.components));
  return p;
}

static void free_problem(problem *p) {
  release(p->x), release(p->row_weights), release(p->offsets), release(p->means), release(p->factors);
  release(p->centers), release(p->moments.counts), release(p->moments.first), release(p->moments.second);
  release(p->work);
}

typedef void problem_test(problem *p);

static void each_problem(problem_test *test) {
  for (size_t f = 0; f < LENGTH(FAMILIES); f++)
    for (size_t r = 0; r < LENGTH(ROWS); r++)
      for (size_t s = 0; s < LENGTH(COMPONENTS); s++)
        for (size_t t = 0; t < LENGTH(FEATURES); t++) {
          ptrdiff_t n = ROWS[r], k = COMPONENTS[s], d = FEATURES[t];
          if (n == 1000 && d > 9 && k != 3) continue; /* long double is slow */
          problem p = make_problem(FAMILIES[f], n, k, d, (ptrdiff_t)((r + s + t) % 3));
          test(&p);
          free_problem(&p);
        }
}

/* Log joint densities of row i, with their errors in absolute units. */
static void plain_row(const problem *p, ptrdiff_t i, long double *x, long double *a, long double *a_error) {
  for (ptrdiff_t j = 0; j < p->d; j++) x[j] = p->x[i * p->stride + j];
  for (ptrdiff_t j = 0; j < p->k; j++) {
    a[j] = plain_log_density(&p->components, j, x, &a_error[j]);
    a_error[j] *= 4 * REAL_EPSILON;
  }
}

static plain_moments make_plain_moments(const problem *p) {
  size_t k = (size_t)p->k, kd = (size_t)(p->k * p->d), size = (size_t)p->second_size, each = sizeof(long double);
  return (plain_moments){calloc(k, each), calloc(kd, each), calloc(size, each),
                         calloc(k, each), calloc(kd, each), calloc(size, each)};
}

static void free_plain_moments(plain_moments *m) {
  free(m->counts), free(m->first), free(m->second);
  free(m->counts_error), free(m->first_error), free(m->second_error);
}

enum { BEFORE = 3 }; /* what the accumulated arrays hold before a sweep */

static void fill_moments(problem *p) {
  fill(p->k, p->moments.counts, BEFORE);
  fill(p->k * p->d, p->moments.first, BEFORE);
  fill(p->second_size, p->moments.second, BEFORE);
}

/* Whether the kernel added the plain moments, and touched nothing else. */
static void check_moments(const problem *p, const plain_moments *m) {
  const long double floor = 1000 * TINY;
  for (ptrdiff_t j = 0; j < p->k; j++)
    CHECK_CLOSE(p->moments.counts[j], BEFORE + m->counts[j], ROUNDINGS * (m->counts_error[j] + DBL_EPSILON) + floor,
                "count %td, %s", j, p->name);
  for (ptrdiff_t i = 0; i < p->k * p->d; i++)
    CHECK_CLOSE(p->moments.first[i], BEFORE + m->first[i], ROUNDINGS * (m->first_error[i] + DBL_EPSILON) + floor,
                "first %td, %s", i, p->name);
  for (ptrdiff_t i = 0; i < p->second_size; i++) /* places of the upper triangle have no error: they must be equal */
    CHECK_CLOSE(p->moments.second[i], BEFORE + m->second[i],
                m->second_error[i] == 0 ? 0 : ROUNDINGS * (m->second_error[i] + DBL_EPSILON) + floor, "second %td, %s",
                i, p->name);
}

static void check_em_sweep(problem *p) {
  for (int weighted = 0; weighted <= 1; weighted++) {
    plain_moments m = make_plain_moments(p);
    long double *x = malloc((size_t)p->d * sizeof *x), *a = malloc((size_t)(2 * p->k) * sizeof *a), *a_error = a + p->k;
    long double log_likelihood = 0, error = 0;
    for (ptrdiff_t i = 0; i < p->n; i++) {
      plain_row(p, i, x, a, a_error);
      long double w = weighted ? p->row_weights[i] : 1, lse = plain_logsumexp(p->k, a), lse_error = 0;
      for (ptrdiff_t j = 0; j < p->k; j++) lse_error += expl(a[j] - lse) * a_error[j];
      log_likelihood += w * lse;
      error += w * (lse_error + REAL_EPSILON * (1 + fabsl(lse)));
      for (ptrdiff_t j = 0; j < p->k; j++) {
        long double r = w * expl(a[j] - lse);
        plain_accumulate(&m, p->components.family, p->d, j, p->centers, x, r, r * (a_error[j] + lse_error), REAL_EPSILON);
      }
    }
    double got = BEFORE;
    ptrdiff_t where = -1;
    fill_moments(p);
    CHECK_STATUS(LC(mixture_em_sweep)(p->n, p->x, p->stride, weighted ? p->row_weights : NULL, NULL, 0,
                                      &p->components, &p->moments, &got, &where, p->work),
                 LC_OK);
    CHECK_CLOSE(got, BEFORE + log_likelihood, ROUNDINGS * (error + DBL_EPSILON), "%s", p->name);
    check_moments(p, &m);
    free(x), free(a);
    free_plain_moments(&m);
  }
}

static void em_sweep_equals_long_double(void) { each_problem(check_em_sweep); }

/* Shapes large enough for the pruned sweep: clusters apart, half apart, and one stretch of rows far from all of them. */
static void em_sweep_of_separated_clusters_equals_long_double(void) {
  const ptrdiff_t rows[] = {1024, 2100}, components[] = {4, 7}, features[] = {16, 33};
  const double spreads[] = {0.5, 2, 9};
  for (size_t v = 0; v < LENGTH(spreads); v++)
    for (size_t r = 0; r < LENGTH(rows); r++)
      for (size_t s = 0; s < LENGTH(components); s++) {
        spread = spreads[v];
        problem p = make_problem(LC_GAUSSIAN_FULL, rows[r], components[s], features[(r + s) % 2], (ptrdiff_t)s);
        for (ptrdiff_t i = 1100; i < 1130 && i < p.n; i++) p.x[i * p.stride] += 20;
        check_em_sweep(&p);
        free_problem(&p);
      }
  spread = 2;
}

/* The same with centers that are not the means. */
static void check_other_centers(problem *p) {
  for (ptrdiff_t i = 0; i < p->k * p->d; i++) p->centers[i] += normal();
  check_em_sweep(p);
}

static void moments_are_about_the_given_centers(void) {
  for (size_t f = 0; f < LENGTH(FAMILIES); f++)
    for (size_t t = 0; t < LENGTH(FEATURES); t++) {
      problem p = make_problem(FAMILIES[f], 127, 3, FEATURES[t], 1);
      check_other_centers(&p);
      free_problem(&p);
    }
}

static void check_moments_under_weights(problem *p) {
  ptrdiff_t gap = p->n % 2, stride = p->k + gap;
  real *weights = reals(p->n > 0 ? (p->n - 1) * stride + p->k : 0);
  plain_moments m = make_plain_moments(p);
  long double *x = malloc((size_t)p->d * sizeof *x);
  for (ptrdiff_t i = 0; i < p->n; i++) {
    for (ptrdiff_t j = 0; j < p->d; j++) x[j] = p->x[i * p->stride + j];
    for (ptrdiff_t j = 0; j < stride && (j < p->k || i + 1 < p->n); j++) {
      real r = (real)((i + j) % 5 == 0 ? 0 : uniform());
      weights[i * stride + j] = j < p->k ? r : (real)NAN;
      if (j < p->k) plain_accumulate(&m, p->components.family, p->d, j, p->centers, x, r, 0, REAL_EPSILON);
    }
  }
  lc_components only_sizes = {p->components.family, p->k, p->d, NULL, NULL, NULL, NULL, 0};
  fill_moments(p);
  CHECK_STATUS(LC(mixture_moments)(p->n, p->x, p->stride, weights, stride, &only_sizes, &p->moments, p->work), LC_OK);
  check_moments(p, &m);
  release(weights);
  free(x);
  free_plain_moments(&m);
}

static void moments_under_given_weights_equal_long_double(void) { each_problem(check_moments_under_weights); }

static void check_rows(problem *p) {
  ptrdiff_t n = p->n, k = p->k;
  real *log_joint = reals(n * k), *r = reals(n * k), *log_density = reals(n);
  ptrdiff_t *labels = exactly((size_t)n * sizeof *labels);
  long double *x = malloc((size_t)p->d * sizeof *x), *a = malloc((size_t)(2 * k) * sizeof *a), *a_error = a + k;
  CHECK_STATUS(LC(mixture_rows)(n, p->x, p->stride, &p->components, log_joint, r, log_density, labels, p->work), LC_OK);
  for (ptrdiff_t i = 0; i < n; i++) {
    plain_row(p, i, x, a, a_error);
    long double lse = plain_logsumexp(k, a), lse_error = 8 * REAL_EPSILON * (1 + fabsl(lse)), largest = -INFINITY;
    for (ptrdiff_t j = 0; j < k; j++) lse_error += expl(a[j] - lse) * a_error[j], largest = fmaxl(largest, a[j]);
    CHECK_CLOSE(log_density[i], lse, 2 * lse_error, "row %td, %s", i, p->name);
    for (ptrdiff_t j = 0; j < k; j++) {
      long double share = expl(a[j] - lse);
      CHECK_CLOSE(log_joint[i * k + j], a[j], 2 * a_error[j], "row %td, component %td, %s", i, j, p->name);
      CHECK_CLOSE(r[i * k + j], share, 2 * share * (a_error[j] + lse_error) + TINY, "row %td, component %td, %s",
                  i, j, p->name);
    }
    if (labels[i] < 0 || labels[i] >= k)
      FAIL("row %td: label %td, %s", i, labels[i], p->name);
    else
      CHECK_CLOSE(a[labels[i]], largest, 2 * a_error[labels[i]], "row %td, %s", i, p->name);
  }
  release(log_joint), release(r), release(log_density), release(labels);
  free(x), free(a);
}

static void rows_equal_long_double(void) { each_problem(check_rows); }

static void any_output_may_be_left_out(void) {
  for (size_t f = 0; f < LENGTH(FAMILIES); f++)
    for (int given = 0; given < 16; given++) {
      problem p = make_problem(FAMILIES[f], 127, 3, 4, 0);
      real *log_joint[2], *r[2], *log_density[2];
      ptrdiff_t *labels[2];
      for (int call = 0; call < 2; call++) {
        log_joint[call] = reals(127 * 3), r[call] = reals(127 * 3), log_density[call] = reals(127);
        labels[call] = exactly(127 * sizeof(ptrdiff_t));
        int all = call == 0;
        CHECK_STATUS(LC(mixture_rows)(127, p.x, p.stride, &p.components, all || given & 1 ? log_joint[call] : NULL,
                                      all || given & 2 ? r[call] : NULL, all || given & 4 ? log_density[call] : NULL,
                                      all || given & 8 ? labels[call] : NULL, p.work),
                     LC_OK);
      }
      if (given & 1) CHECK(memcmp(log_joint[0], log_joint[1], 127 * 3 * sizeof(real)) == 0);
      if (given & 2) CHECK(memcmp(r[0], r[1], 127 * 3 * sizeof(real)) == 0);
      if (given & 4) CHECK(memcmp(log_density[0], log_density[1], 127 * sizeof(real)) == 0);
      if (given & 8) CHECK(memcmp(labels[0], labels[1], 127 * sizeof(ptrdiff_t)) == 0);
      for (int call = 0; call < 2; call++)
        release(log_joint[call]), release(r[call]), release(log_density[call]), release(labels[call]);
      free_problem(&p);
    }
}

static void the_first_of_equal_components_is_the_label(void) {
  for (size_t f = 0; f < LENGTH(FAMILIES); f++) {
    problem p = make_problem(FAMILIES[f], 127, 3, 2, 0);
    ptrdiff_t labels[127], block = p.second_size / 3;
    for (ptrdiff_t j = 1; j < 3; j++) {
      p.offsets[j] = p.offsets[0];
      memcpy(p.means + j * 2, p.means, 2 * sizeof(double));
      if (FAMILIES[f] != LC_GAUSSIAN_TIED) memcpy(p.factors + j * block, p.factors, (size_t)block * sizeof(double));
    }
    p.offsets[0] = -INFINITY;
    CHECK_STATUS(LC(mixture_rows)(127, p.x, p.stride, &p.components, NULL, NULL, NULL, labels, p.work), LC_OK);
    for (ptrdiff_t i = 0; i < 127; i++) CHECK(labels[i] == 1);
    free_problem(&p);
  }
}

static void a_component_switched_off_gets_nothing(void) {
  for (size_t f = 0; f < LENGTH(FAMILIES); f++)
    for (size_t t = 0; t < LENGTH(FEATURES); t++) {
      problem p = make_problem(FAMILIES[f], 127, 3, FEATURES[t], 0);
      double log_likelihood = 0;
      ptrdiff_t where = -1;
      p.offsets[1] = -INFINITY;
      fill_moments(&p);
      CHECK_STATUS(LC(mixture_em_sweep)(127, p.x, p.stride, NULL, NULL, 0, &p.components, &p.moments, &log_likelihood, &where, p.work), LC_OK);
      CHECK(isfinite(log_likelihood));
      CHECK(p.moments.counts[1] == BEFORE);
      for (ptrdiff_t j = 0; j < p.d; j++) CHECK(p.moments.first[p.d + j] == BEFORE);
      CHECK_CLOSE(p.moments.counts[0] + p.moments.counts[2], 127 + 2 * BEFORE, 127 * 8 * REAL_EPSILON, "%s", p.name);
      free_problem(&p);
    }
}

/* Where a finite row has no density left in this precision. */
static const real FAR = sizeof(real) == sizeof(float) ? (real)1e30 : (real)1e200;

static void the_first_impossible_row_is_named(void) {
  const ptrdiff_t places[] = {0, 1, 31, 63, 64, 127, 128, 255, 256, 511, 512, 600, 998, 999};
  const real values[] = {FAR, -FAR, NAN, INFINITY};
  for (size_t f = 0; f < LENGTH(FAMILIES); f++)
    for (size_t t = 0; t < 6; t++)
      for (size_t i = 0; i < LENGTH(places); i++)
        for (size_t v = 0; v < LENGTH(values); v++) {
          problem p = make_problem(FAMILIES[f], 1000, 3, FEATURES[t], 0);
          p.x[places[i] * p.stride + p.d - 1] = values[v];
          p.x[999 * p.stride] = FAR;
          double log_likelihood = 0;
          ptrdiff_t where = -1;
          fill_moments(&p);
          CHECK_STATUS(LC(mixture_em_sweep)(1000, p.x, p.stride, NULL, NULL, 0, &p.components, &p.moments, &log_likelihood, &where, p.work), LC_IMPOSSIBLE_ROW);
          if (where != places[i]) FAIL("row %td is %g, named was %td, %s", places[i], (double)values[v], where, p.name);
          free_problem(&p);
        }
}

static void a_row_of_weight_0_is_passed_over_even_if_impossible(void) {
  for (size_t f = 0; f < LENGTH(FAMILIES); f++)
    for (size_t t = 0; t < LENGTH(FEATURES); t++) {
      problem p = make_problem(FAMILIES[f], 127, 3, FEATURES[t], 0);
      double wanted = 0, got = 0;
      ptrdiff_t where = -1;
      fill_moments(&p);
      CHECK_STATUS(LC(mixture_em_sweep)(127, p.x, p.stride, p.row_weights, NULL, 0, &p.components, &p.moments, &wanted, &where, p.work), LC_OK);
      double *second = doubles(p.second_size);
      memcpy(second, p.moments.second, (size_t)p.second_size * sizeof(double));
      for (ptrdiff_t i = 0; i < 127; i++)
        if (p.row_weights[i] == 0) p.x[i * p.stride] = i % 8 == 1 ? FAR : -FAR;
      fill_moments(&p);
      CHECK_STATUS(LC(mixture_em_sweep)(127, p.x, p.stride, p.row_weights, NULL, 0, &p.components, &p.moments, &got, &where, p.work), LC_OK);
      CHECK(got == wanted);
      for (ptrdiff_t i = 0; i < p.second_size; i++) CHECK(p.moments.second[i] == second[i]);
      release(second);
      free_problem(&p);
    }
}

static void all_components_switched_off_make_row_0_impossible(void) {
  problem p = make_problem(LC_GAUSSIAN_FULL, 127, 3, 4, 0);
  double log_likelihood = 0;
  ptrdiff_t where = -1;
  fill(3, p.offsets, -INFINITY);
  CHECK_STATUS(LC(mixture_em_sweep)(127, p.x, p.stride, NULL, NULL, 0, &p.components, &p.moments, &log_likelihood, &where, p.work), LC_IMPOSSIBLE_ROW);
  CHECK(where == 0);
  free_problem(&p);
}

static void an_impossible_row_has_density_0_and_no_responsibilities(void) {
  for (size_t f = 0; f < LENGTH(FAMILIES); f++) {
    problem p = make_problem(FAMILIES[f], 127, 3, 4, 0);
    real r[127 * 3], log_density[127];
    p.x[70 * p.stride] = FAR;
    CHECK_STATUS(LC(mixture_rows)(127, p.x, p.stride, &p.components, NULL, r, log_density, NULL, p.work), LC_OK);
    for (ptrdiff_t i = 0; i < 127; i++) {
      CHECK(i == 70 ? log_density[i] == -INFINITY : isfinite(log_density[i]));
      for (ptrdiff_t j = 0; j < 3; j++) CHECK(i == 70 ? isnan(r[i * 3 + j]) : isfinite(r[i * 3 + j]));
    }
    free_problem(&p);
  }
}

/* An offset of 1e8 with unit variance (float: 1e4) must leave the moments as accurate as the data: x - mean is exact. */
static void data_far_from_the_origin_lose_nothing(void) {
  double far = sizeof(real) == sizeof(float) ? 1e4 : 1e8;
  for (size_t f = 0; f < LENGTH(FAMILIES); f++)
    for (size_t t = 0; t < LENGTH(FEATURES); t++) {
      ptrdiff_t n = 127, d = FEATURES[t];
      problem p = make_problem(FAMILIES[f], n, 1, d, 0);
      fill(d, p.means, far), fill(d, p.centers, far);
      for (ptrdiff_t i = 0; i < n * d; i++) p.x[i] = (real)(far + floor(8 * normal()) / 8);
      double log_likelihood = 0, count = 0, *first = p.moments.first;
      ptrdiff_t where = -1;
      fill_moments(&p);
      CHECK_STATUS(LC(mixture_em_sweep)(n, p.x, d, NULL, NULL, 0, &p.components, &p.moments, &log_likelihood, &where, p.work), LC_OK);
      count = p.moments.counts[0];
      CHECK(count == BEFORE + n);
      for (ptrdiff_t a = 0; a < d; a++) {
        double wanted = BEFORE; /* a sum of eighths: exact */
        for (ptrdiff_t i = 0; i < n; i++) wanted += (double)p.x[i * d + a] - far;
        CHECK_CLOSE(first[a], wanted, 0, "%s", p.name);
      }
      free_problem(&p);
    }
}

static void bad_arguments_are_refused(void) {
  problem p = make_problem(LC_GAUSSIAN_DIAG, 5, 2, 3, 0);
  double log_likelihood = 0;
  ptrdiff_t where = -1;
  real r[10] = {0};
  const lc_components good = p.components;
  const lc_moments moments = p.moments;
#define SWEEP(n, x, components, moments, log_likelihood)                                                               \
  LC(mixture_em_sweep)(n, x, 3, NULL, NULL, 0, components, moments, log_likelihood, &where, p.work)
  CHECK_STATUS(SWEEP(-1, p.x, &good, &moments, &log_likelihood), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(5, NULL, &good, &moments, &log_likelihood), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(5, p.x, NULL, &moments, &log_likelihood), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(5, p.x, &good, NULL, &log_likelihood), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(5, p.x, &good, &moments, NULL), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(mixture_rows)(-1, p.x, 3, &good, NULL, r, NULL, NULL, p.work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(mixture_rows)(5, NULL, 3, &good, NULL, r, NULL, NULL, p.work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(mixture_rows)(5, p.x, 3, NULL, NULL, r, NULL, NULL, p.work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(mixture_moments)(-1, p.x, 3, r, 2, &good, &moments, p.work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(mixture_moments)(5, NULL, 3, r, 2, &good, &moments, p.work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(mixture_moments)(5, p.x, 3, NULL, 2, &good, &moments, p.work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(mixture_moments)(5, p.x, 3, r, 2, NULL, &moments, p.work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(mixture_moments)(5, p.x, 3, r, 2, &good, NULL, p.work), LC_BAD_ARGUMENT);
  for (int fault = 0; fault < 6; fault++) {
    lc_components bad = good;
    if (fault == 0) bad.family = (lc_family)99;
    if (fault == 1) bad.n_components = 0;
    if (fault == 2) bad.n_features = 0;
    if (fault == 3) bad.offsets = NULL;
    if (fault == 4) bad.means = NULL;
    if (fault == 5) bad.factors = NULL;
    CHECK_STATUS(SWEEP(5, p.x, &bad, &moments, &log_likelihood), LC_BAD_ARGUMENT);
    CHECK_STATUS(LC(mixture_rows)(5, p.x, 3, &bad, NULL, r, NULL, NULL, p.work), LC_BAD_ARGUMENT);
    if (fault < 3) CHECK_STATUS(LC(mixture_moments)(5, p.x, 3, r, 2, &bad, &moments, p.work), LC_BAD_ARGUMENT);
  }
  for (int fault = 0; fault < 4; fault++) {
    lc_moments bad = moments;
    if (fault == 0) bad.centers = NULL;
    if (fault == 1) bad.counts = NULL;
    if (fault == 2) bad.first = NULL;
    if (fault == 3) bad.second = NULL;
    CHECK_STATUS(SWEEP(5, p.x, &good, &bad, &log_likelihood), LC_BAD_ARGUMENT);
    CHECK_STATUS(LC(mixture_moments)(5, p.x, 3, r, 2, &good, &bad, p.work), LC_BAD_ARGUMENT);
  }
#undef SWEEP
  free_problem(&p);
}

int main(void) {
  begin();
  RUN(em_sweep_equals_long_double);
  RUN(em_sweep_of_separated_clusters_equals_long_double);
  RUN(moments_are_about_the_given_centers);
  RUN(moments_under_given_weights_equal_long_double);
  RUN(rows_equal_long_double);
  RUN(any_output_may_be_left_out);
  RUN(the_first_of_equal_components_is_the_label);
  RUN(a_component_switched_off_gets_nothing);
  RUN(the_first_impossible_row_is_named);
  RUN(a_row_of_weight_0_is_passed_over_even_if_impossible);
  RUN(all_components_switched_off_make_row_0_impossible);
  RUN(an_impossible_row_has_density_0_and_no_responsibilities);
  RUN(data_far_from_the_origin_lose_nothing);
  RUN(bad_arguments_are_refused);
  return end();
}
