/* Gamma functions, sine and cosine against long double. */
#include "check.h"
#include "plain.h"

typedef lc_status (*function)(ptrdiff_t, const real *, real *);

/* Up to the largest number whose image is one, each magnitude as often as any other, and half of them below 30. */
static void positive_numbers(ptrdiff_t n, real *x) {
  const double magnitude = log((double)REAL_LARGEST) - 8;
  for (ptrdiff_t i = 0; i < n; i++) x[i] = (real)(i % 2 ? exp(magnitude * (2 * uniform() - 1)) : 30 * uniform() + 1e-9);
}

/* `relative_from`: an error is measured by the truth, or by this where the truth is smaller. */
static void expect_near(const char *name, function f, long double (*truth)(long double), double allowed,
                        long double relative_from) {
  enum { N = 100003 };
  real *x = reals(N), *out = reals(N);
  positive_numbers(N, x);
  CHECK_STATUS(f(N, x, out), LC_OK);
  long double worst = 0;
  for (int i = 0; i < N; i++) {
    long double wanted = truth(x[i]), size = fabsl(wanted);
    if (size < REAL_SMALLEST || size > REAL_LARGEST) continue;
    long double distance = fabsl(out[i] - wanted) / (size > relative_from ? size : relative_from) / (long double)REAL_EPSILON;
    if (distance > worst) worst = distance;
    if (!(distance <= allowed)) FAIL("%s(%.17g) = %.17g is off by %.2Lf", name, (double)x[i], (double)out[i], distance);
  }
  printf("    %s: at most %.2Lf eps\n", name, worst);
  release(x);
  release(out);
}

static void gamma_functions_are_near_the_truth(void) {
  expect_near("lgamma", LC(lgamma), lgammal, 24, 1);
  expect_near("digamma", LC(digamma), plain_digamma, 8, 1);
  expect_near("trigamma", LC(trigamma), plain_trigamma, 4, 0);
}

static void gamma_functions_know_the_edges(void) {
  const double inf = INFINITY;
  const struct {
    double x, lgamma, digamma, trigamma;
  } edges[] = {{0, inf, -inf, inf}, {-0.0, inf, -inf, inf}, {inf, inf, inf, 0}, {-inf, NAN, NAN, NAN},
               {-1, NAN, NAN, NAN}, {-1e-30, NAN, NAN, NAN}, {NAN, NAN, NAN, NAN}};
  for (size_t i = 0; i < LENGTH(edges); i++)
    for (ptrdiff_t n = 1; n <= 33; n += 8) { /* an edge must not depend on its neighbours */
      real *x = reals(n), *out = reals(n);
      for (ptrdiff_t j = 0; j < n; j++) x[j] = j == n / 2 ? (real)edges[i].x : (real)3;
      const struct {
        function f;
        double edge, of_3;
      } functions[] = {{LC(lgamma), edges[i].lgamma, log(2)},
                       {LC(digamma), edges[i].digamma, (double)plain_digamma(3)},
                       {LC(trigamma), edges[i].trigamma, (double)plain_trigamma(3)}};
      for (size_t g = 0; g < LENGTH(functions); g++) {
        CHECK_STATUS(functions[g].f(n, x, out), LC_OK);
        for (ptrdiff_t j = 0; j < n; j++) {
          double wanted = j == n / 2 ? functions[g].edge : functions[g].of_3;
          if (isnan(wanted) ? !isnan(out[j]) : !close_to(out[j], wanted, 32 * REAL_EPSILON))
            FAIL("function %zu of %g is %g, wanted %g", g, (double)x[j], (double)out[j], wanted);
        }
      }
      release(x);
      release(out);
    }
}

/* Within the reach of the reduction, at its ends, next to the zeros, and beyond. */
static real some_angle(ptrdiff_t i) {
  const double reach = sizeof(real) == 4 ? 1e3 : 1e4, quarter = acos(-1.0) / 4;
  double x = reach * (2 * uniform() - 1);
  switch (i % 5) {
    case 0: return (real)x;
    case 1: return (real)(x / reach);
    case 2: return (real)(rint(x / quarter) * quarter);
    case 3: return (real)(i % 2 ? reach : -reach);
    default: return (real)(i % 1000 ? x : x * 1e6);
  }
}

static void sines_and_cosines_are_within_one_epsilon(void) {
  enum { N = 100003 };
  real *x = reals(N), *sine = reals(N), *cosine = reals(N);
  for (int i = 0; i < N; i++) x[i] = some_angle(i);
  CHECK_STATUS(LC(sin_cos)(N, x, sine, cosine), LC_OK);
  for (int i = 0; i < N; i++) {
    CHECK_CLOSE(sine[i], sinl(x[i]), REAL_EPSILON, "sin(%.17g)", (double)x[i]);
    CHECK_CLOSE(cosine[i], cosl(x[i]), REAL_EPSILON, "cos(%.17g)", (double)x[i]);
  }
  release(x);
  release(sine);
  release(cosine);
}

static void infinite_angles_have_no_sine(void) {
  const real x[] = {INFINITY, 1, -INFINITY, NAN, 1};
  real sine[5], cosine[5];
  CHECK_STATUS(LC(sin_cos)(5, x, sine, cosine), LC_OK);
  for (int i = 0; i < 5; i++) {
    CHECK(isnan(sine[i]) == (x[i] != 1) && isnan(cosine[i]) == (x[i] != 1));
    if (x[i] == 1) CHECK_CLOSE(sine[i], sinl(1), REAL_EPSILON, "element %d", i);
  }
}

static void functions_work_in_place_at_any_length(void) {
  const function functions[] = {LC(lgamma), LC(digamma), LC(trigamma)};
  for (ptrdiff_t n = 0; n <= 70; n++) {
    real *x = reals(n), *kept = reals(n), *sine = reals(n);
    positive_numbers(n, kept);
    for (size_t g = 0; g < LENGTH(functions); g++) {
      memcpy(x, kept, (size_t)n * sizeof(real));
      CHECK_STATUS(functions[g](n, x, x), LC_OK);
      for (ptrdiff_t i = 0; i < n; i++) {
        real alone;
        CHECK_STATUS(functions[g](1, kept + i, &alone), LC_OK);
        CHECK(alone == x[i]);
      }
    }
    memcpy(x, kept, (size_t)n * sizeof(real));
    CHECK_STATUS(LC(sin_cos)(n, x, sine, x), LC_OK);
    for (ptrdiff_t i = 0; i < n; i++) {
      CHECK_CLOSE(sine[i], sinl(kept[i]), REAL_EPSILON, "element %td of %td", i, n);
      CHECK_CLOSE(x[i], cosl(kept[i]), REAL_EPSILON, "element %td of %td", i, n);
    }
    release(x);
    release(kept);
    release(sine);
  }
}

static void multivariate_gamma_is_the_sum_of_its_gammas(void) {
  for (ptrdiff_t dimension = 1; dimension <= 33; dimension++) {
    double x[5], got[5];
    for (int i = 0; i < 5; i++) x[i] = 0.5 * (double)(dimension - 1) + 0.01 + 40 * uniform() * uniform();
    CHECK_STATUS(lc_multivariate_lgamma(5, dimension, x, got), LC_OK);
    for (int i = 0; i < 5; i++) {
      long double wanted = (long double)(dimension * (dimension - 1)) / 4 * logl(acosl(-1)), size = fabsl(wanted);
      for (ptrdiff_t j = 0; j < dimension; j++) {
        const long double value = lgammal((long double)x[i] - (long double)j / 2);
        wanted += value, size += 1 + fabsl(value);
      }
      CHECK_CLOSE(got[i], wanted, 24 * (long double)DBL_EPSILON * size, "D = %td, x = %.17g", dimension, x[i]);
    }
  }
  const double edges[] = {1.0, 0.9, INFINITY, NAN};
  double got[4];
  CHECK_STATUS(lc_multivariate_lgamma(4, 3, edges, got), LC_OK);
  CHECK(got[0] == INFINITY && isnan(got[1]) && got[2] == INFINITY && isnan(got[3]));
  CHECK_STATUS(lc_multivariate_lgamma(4, 0, edges, got), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_multivariate_lgamma(-1, 3, edges, got), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_multivariate_lgamma(4, 3, NULL, got), LC_BAD_ARGUMENT);
}

static void bad_arguments_are_refused(void) {
  real x[1] = {1}, out[1];
  CHECK_STATUS(LC(lgamma)(-1, x, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(digamma)(1, NULL, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(trigamma)(1, x, NULL), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(sin_cos)(1, x, NULL, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(sin_cos)(1, x, out, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(LC(sin_cos)(0, NULL, NULL, NULL), LC_OK);
  CHECK_STATUS(LC(lgamma)(0, NULL, NULL), LC_OK);
}

int main(void) {
  begin();
  RUN(gamma_functions_are_near_the_truth);
  RUN(gamma_functions_know_the_edges);
  RUN(sines_and_cosines_are_within_one_epsilon);
  RUN(infinite_angles_have_no_sine);
  RUN(functions_work_in_place_at_any_length);
  RUN(multivariate_gamma_is_the_sum_of_its_gammas);
  RUN(bad_arguments_are_refused);
  return end();
}
