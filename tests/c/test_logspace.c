/* exp, log, log-sum-exp and responsibilities against long double. */
#include "check.h"
#include "plain.h"

static const ptrdiff_t ROWS[] = {0, 1, 5, 127, 1000};
static const ptrdiff_t COLUMNS[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 33, 100};

/* Distance of got from the true value in units in the last place of the true value. */
static long double ulps(real got, long double wanted) {
  int exponent;
  frexpl(wanted, &exponent);
  long double unit = ldexpl(1, exponent) * (long double)REAL_EPSILON / 2;
  long double smallest = (long double)REAL_SMALLEST * (long double)REAL_EPSILON;
  return fabsl(got - wanted) / (unit > smallest ? unit : smallest);
}

static void exp_is_within_2_ulp(void) {
  enum { N = 100003 };
  double low = log(REAL_SMALLEST), high = log((double)REAL_LARGEST);
  real *x = reals(N), *out = reals(N);
  for (int i = 0; i < N; i++) {
    double range = i % 3 == 0 ? 1 : i % 3 == 1 ? 0.01 : 1e-9;
    x[i] = (real)(range == 1 ? low + (high - low) * uniform() : range * normal());
    if (x[i] >= high) x[i] = (real)(high * (1 - 4 * REAL_EPSILON));
  }
  CHECK_STATUS(LC(exp)(N, x, out), LC_OK);
  long double worst = 0;
  for (int i = 0; i < N; i++) {
    long double wanted = expl(x[i]), distance = ulps(out[i], wanted);
    if (wanted < REAL_SMALLEST * (1 + 4 * REAL_EPSILON) && out[i] == 0) continue;
    if (distance > worst) worst = distance;
    if (!(distance <= 2)) FAIL("exp(%.17g) = %.17g is off by %.2Lf ulp", (double)x[i], (double)out[i], distance);
  }
  printf("    exp: at most %.2Lf ulp\n", worst);
  release(x);
  release(out);
}

static void log_is_within_2_ulp(void) {
  enum { N = 100003 };
  real *x = reals(N), *out = reals(N);
  for (int i = 0; i < N; i++) {
    double range = log((double)REAL_LARGEST) - log(REAL_SMALLEST);
    switch (i % 4) {
    case 0: x[i] = (real)exp(log(REAL_SMALLEST) + range * 0.999999 * uniform()); break;
    case 1: x[i] = (real)(1 + 0.1 * normal()); break;
    case 2: x[i] = (real)(1 + 1e-6 * normal()); break;
    default: x[i] = (real)(REAL_SMALLEST * uniform()); break; /* subnormal */
    }
    if (!(x[i] > 0)) x[i] = 1;
  }
  CHECK_STATUS(LC(log)(N, x, out), LC_OK);
  long double worst = 0;
  for (int i = 0; i < N; i++) {
    long double distance = ulps(out[i], logl(x[i]));
    if (distance > worst) worst = distance;
    if (!(distance <= 2)) FAIL("log(%.17g) = %.17g is off by %.2Lf ulp", (double)x[i], (double)out[i], distance);
  }
  printf("    log: at most %.2Lf ulp\n", worst);
  release(x);
  release(out);
}

static void exp_and_log_know_the_edges(void) {
  const double inf = INFINITY;
  const struct {
    double x, exp, log;
  } edges[] = {
      {0, 1, -inf}, {-0.0, 1, -inf}, {1, exp(1), 0},      {inf, inf, inf},        {-inf, 0, NAN},
      {NAN, NAN, NAN}, {-1, exp(-1), NAN}, {-1e30, 0, NAN}, {1e30, inf, log(1e30)}, {-720, 0, NAN},
  };
  for (size_t i = 0; i < LENGTH(edges); i++) {
    for (ptrdiff_t n = 1; n <= 33; n += 8) { /* an edge must not depend on its neighbours */
      real *x = reals(n), *out = reals(n);
      for (ptrdiff_t j = 0; j < n; j++) x[j] = j == n / 2 ? (real)edges[i].x : (real)2;
      CHECK_STATUS(LC(exp)(n, x, out), LC_OK);
      for (ptrdiff_t j = 0; j < n; j++) {
        double wanted = j == n / 2 ? edges[i].exp : exp(2);
        if (isnan(wanted) ? !isnan(out[j]) : !close_to(out[j], wanted, 2 * REAL_EPSILON * fabs(wanted)))
          FAIL("exp(%g) = %g, wanted %g", (double)x[j], (double)out[j], wanted);
      }
      CHECK_STATUS(LC(log)(n, x, out), LC_OK);
      for (ptrdiff_t j = 0; j < n; j++) {
        double wanted = j == n / 2 ? edges[i].log : log(2);
        if (isnan(wanted) ? !isnan(out[j]) : !close_to(out[j], wanted, 2 * REAL_EPSILON * fabs(wanted)))
          FAIL("log(%g) = %g, wanted %g", (double)x[j], (double)out[j], wanted);
      }
      release(x);
      release(out);
    }
  }
}

static void exp_and_log_work_in_place_at_any_length(void) {
  for (ptrdiff_t n = 0; n <= 70; n++) {
    real *x = reals(n);
    for (ptrdiff_t i = 0; i < n; i++) x[i] = (real)normal();
    real *kept = reals(n);
    memcpy(kept, x, (size_t)n * sizeof(real));
    CHECK_STATUS(LC(exp)(n, x, x), LC_OK);
    for (ptrdiff_t i = 0; i < n; i++)
      CHECK_CLOSE(x[i], expl(kept[i]), 2 * REAL_EPSILON * expl(kept[i]), "element %td of %td", i, n);
    memcpy(kept, x, (size_t)n * sizeof(real));
    CHECK_STATUS(LC(log)(n, x, x), LC_OK);
    for (ptrdiff_t i = 0; i < n; i++)
      CHECK_CLOSE(x[i], logl(kept[i]), 2 * REAL_EPSILON * (fabsl(logl(kept[i]))), "element %td of %td", i, n);
    release(x);
    release(kept);
  }
}

/* Rows of a x_stride-wide matrix with NaN in the gaps, which must not be read, and none after the last row. */
static real *strided(ptrdiff_t n, ptrdiff_t k, ptrdiff_t stride) {
  ptrdiff_t size = n > 0 ? (n - 1) * stride + k : 0;
  real *a = reals(size);
  for (ptrdiff_t i = 0; i < size; i++) a[i] = NAN;
  return a;
}

/* A row of ordinary numbers, or one of the edges. */
static void make_row(ptrdiff_t kind, ptrdiff_t k, real *a) {
  for (ptrdiff_t j = 0; j < k; j++) a[j] = (real)(10 * normal());
  if (k == 0) return;
  ptrdiff_t here = (ptrdiff_t)(uniform() * (double)k), there = (ptrdiff_t)(uniform() * (double)k);
  switch (kind) {
  case 1: a[here] = -INFINITY; break;
  case 2:
    for (ptrdiff_t j = 0; j < k; j++) a[j] = -INFINITY;
    break;
  case 3: a[here] = INFINITY; break;
  case 4: a[here] = INFINITY, a[there] = -INFINITY; break;
  case 5: a[here] = INFINITY, a[there] = NAN; break;
  case 6: a[here] = NAN; break;
  case 7: a[here] = REAL_LARGEST, a[there] = -REAL_LARGEST; break;
  case 8:
    for (ptrdiff_t j = 0; j < k; j++) a[j] = -REAL_LARGEST;
    break;
  case 9:
    for (ptrdiff_t j = 0; j < k; j++) a[j] = REAL_LARGEST;
    break;
  case 10:
    for (ptrdiff_t j = 0; j < k; j++) a[j] = (real)(-1000 * uniform());
    break;
  case 11:
    for (ptrdiff_t j = 0; j < k; j++) a[j] = (real)(1e5 + (double)j);
    break;
  case 12:
    for (ptrdiff_t j = 0; j < k; j++) a[j] = 0;
    break;
  default: break;
  }
}

static long double lse_tolerance(long double lse) { return 8 * REAL_EPSILON * fmaxl(1, fabsl(lse)); }

/* Whether got is the log-sum-exp `wanted`, edges included. */
static int is_lse(real got, long double wanted) {
  if (isnan(wanted)) return isnan(got);
  return close_to(got, wanted, lse_tolerance(wanted));
}

static void logsumexp_and_responsibilities_equal_long_double(void) {
  for (size_t s = 0; s < LENGTH(ROWS); s++)
    for (size_t t = 0; t < LENGTH(COLUMNS); t++)
      for (ptrdiff_t gap = 0; gap <= 3; gap += 3) {
        ptrdiff_t n = ROWS[s], k = COLUMNS[t], stride = k + gap, r_stride = k + 2 * gap;
        real *a = strided(n, k, stride), *r = strided(n, k, r_stride), *lse = reals(n), *lse_again = reals(n);
        long double *row = malloc((size_t)(k + 1) * sizeof *row);
        void *work = exactly(LC(logspace_work)(k));
        for (ptrdiff_t i = 0; i < n; i++) make_row(i % 13, k, a + i * stride);
        CHECK_STATUS(LC(logsumexp)(n, k, a, stride, lse, work), LC_OK);
        CHECK_STATUS(LC(responsibilities)(n, k, a, stride, r, r_stride, lse_again, work), LC_OK);
        for (ptrdiff_t i = 0; i < n; i++) {
          for (ptrdiff_t j = 0; j < k; j++) row[j] = a[i * stride + j];
          long double wanted = plain_logsumexp(k, row);
          if (!is_lse(lse[i], wanted) || !is_lse(lse_again[i], wanted))
            FAIL("row %td of %td x %td: lse %.17g and %.17g, wanted %.17Lg", i, n, k, (double)lse[i],
                 (double)lse_again[i], wanted);
          for (ptrdiff_t j = 0; j < k; j++) {
            long double got = r[i * r_stride + j];
            if (!isfinite(wanted)) {
              if (!isnan(got)) FAIL("row %td, lse %Lg: responsibility %Lg, wanted NaN", i, wanted, got);
            } else {
              long double share = expl(row[j] - wanted);
              long double relative = 2 * lse_tolerance(wanted) + REAL_EPSILON * fabsl(row[j]);
              if (isinf(relative)) relative = 0; /* of -inf */
              CHECK_CLOSE(got, share, share * relative + TINY, "row %td column %td of %td", i, j, k);
            }
          }
          if (i + 1 < n)
            for (ptrdiff_t j = k; j < r_stride; j++)
              if (!isnan(r[i * r_stride + j])) FAIL("the gap after row %td was written", i);
        }
        free(row);
        release(work);
        release(a);
        release(r);
        release(lse);
        release(lse_again);
      }
}

static void responsibilities_in_place_and_without_lse(void) {
  ptrdiff_t n = 127;
  for (ptrdiff_t k = 1; k <= 20; k++) {
    real *a = strided(n, k, k), *r = strided(n, k, k);
    void *work = exactly(LC(logspace_work)(k));
    for (ptrdiff_t i = 0; i < n; i++) make_row(0, k, a + i * k);
    CHECK_STATUS(LC(responsibilities)(n, k, a, k, r, k, NULL, work), LC_OK);
    CHECK_STATUS(LC(responsibilities)(n, k, a, k, a, k, NULL, work), LC_OK);
    if (memcmp(a, r, (size_t)(n * k) * sizeof(real)) != 0) FAIL("k = %td: in place differs", k);
    release(work);
    release(a);
    release(r);
  }
}

static void bad_arguments_are_refused(void) {
  real a[4] = {0, 1, 2, 3}, out[4];
  char *work = exactly(LC(logspace_work)(2));
  CHECK_STATUS(LC(exp)(-1, a, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(exp)(2, NULL, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(exp)(2, a, NULL), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(log)(-1, a, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(log)(2, NULL, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(log)(2, a, NULL), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(logsumexp)(-1, 2, a, 2, out, work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(logsumexp)(2, -1, a, 2, out, work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(logsumexp)(2, 2, NULL, 2, out, work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(logsumexp)(2, 2, a, 2, NULL, work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(responsibilities)(-1, 2, a, 2, out, 2, NULL, work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(responsibilities)(2, -1, a, 2, out, 2, NULL, work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(responsibilities)(2, 2, NULL, 2, out, 2, NULL, work), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(responsibilities)(2, 2, a, 2, NULL, 2, NULL, work), LC_BAD_ARGUMENT);
  release(work);
}

int main(void) {
  begin();
  RUN(exp_is_within_2_ulp);
  RUN(log_is_within_2_ulp);
  RUN(exp_and_log_know_the_edges);
  RUN(exp_and_log_work_in_place_at_any_length);
  RUN(logsumexp_and_responsibilities_equal_long_double);
  RUN(responsibilities_in_place_and_without_lse);
  RUN(bad_arguments_are_refused);
  return end();
}
