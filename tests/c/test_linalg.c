/* Cholesky factors and triangular inverses. */
#include "check.h"
#include "plain.h"

static const ptrdiff_t ORDERS[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100};

/* The lower triangle of a positive definite matrix; NaN, which must not be read, above. */
static double *make_matrix(ptrdiff_t d) {
  double *b = doubles(d * d), *a = doubles(d * d);
  for (ptrdiff_t i = 0; i < d * d; i++) b[i] = normal();
  for (ptrdiff_t i = 0; i < d; i++)
    for (ptrdiff_t j = 0; j < d; j++) {
      a[i * d + j] = j > i ? NAN : i == j ? 0.5 * (double)d : 0;
      for (ptrdiff_t t = 0; t < d && j <= i; t++) a[i * d + j] += b[i * d + t] * b[j * d + t];
    }
  release(b);
  return a;
}

static void product_of_factors_is_the_matrix(void) {
  for (size_t s = 0; s < LENGTH(ORDERS); s++) {
    ptrdiff_t d = ORDERS[s];
    double *a = make_matrix(d), *l = doubles(d * d);
    CHECK_STATUS(lc_cholesky(d, a, l), LC_OK);
    for (ptrdiff_t i = 0; i < d; i++)
      for (ptrdiff_t j = 0; j < d; j++) {
        long double product = 0, magnitude = 0;
        for (ptrdiff_t t = 0; t <= j && j <= i; t++) {
          product += (long double)l[i * d + t] * l[j * d + t];
          magnitude += fabsl((long double)l[i * d + t] * l[j * d + t]);
        }
        if (j > i)
          CHECK(l[i * d + j] == 0);
        else
          CHECK_CLOSE(product, a[i * d + j], 2 * (long double)(d + 2) * DBL_EPSILON * magnitude, "d = %td (%td, %td)", d, i, j);
      }
    CHECK_STATUS(lc_cholesky(d, a, a), LC_OK);
    if (memcmp(a, l, (size_t)(d * d) * sizeof *a) != 0) FAIL("d = %td: in place differs", d);
    release(a);
    release(l);
  }
}

static void inverse_transpose_times_factor_is_one(void) {
  for (size_t s = 0; s < LENGTH(ORDERS); s++) {
    ptrdiff_t d = ORDERS[s];
    double *l = make_matrix(d), *u = doubles(d * d);
    CHECK_STATUS(lc_cholesky(d, l, l), LC_OK);
    for (ptrdiff_t i = 0; i < d; i++)
      for (ptrdiff_t j = i + 1; j < d; j++) l[i * d + j] = NAN;
    CHECK_STATUS(lc_inverse_transpose(d, l, u), LC_OK);
    for (ptrdiff_t i = 0; i < d; i++)
      for (ptrdiff_t j = 0; j < d; j++) {
        if (j < i) CHECK(u[i * d + j] == 0);
        /* (U^T L)_ij = sum_t u_ti l_tj */
        long double product = 0, magnitude = 0;
        for (ptrdiff_t t = j; t <= i; t++) {
          product += (long double)u[t * d + i] * l[t * d + j];
          magnitude += fabsl((long double)u[t * d + i] * l[t * d + j]);
        }
        CHECK_CLOSE(product, i == j, 4 * (long double)(d + 2) * DBL_EPSILON * (1 + magnitude), "d = %td (%td, %td)", d, i, j);
      }
    release(l);
    release(u);
  }
}

static void matrices_without_a_factor_are_refused(void) {
  const double bad[] = {0, -1, NAN, INFINITY, -INFINITY};
  for (size_t s = 0; s < LENGTH(ORDERS); s++) {
    ptrdiff_t d = ORDERS[s];
    for (size_t b = 0; b < LENGTH(bad); b++) {
      double *a = make_matrix(d), *l = doubles(d * d);
      ptrdiff_t at = (ptrdiff_t)(uniform() * (double)d);
      a[at * d + at] = bad[b];
      lc_status status = lc_cholesky(d, a, l);
      if (status != LC_NOT_POSITIVE_DEFINITE) FAIL("d = %td, pivot %td is %g: status %d", d, at, bad[b], (int)status);
      release(a);
      release(l);
    }
  }
}

static void bad_arguments_are_refused(void) {
  double a[1] = {1}, out[1];
  CHECK_STATUS(lc_cholesky(0, a, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_cholesky(-1, a, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_cholesky(1, NULL, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_cholesky(1, a, NULL), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_inverse_transpose(0, a, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_inverse_transpose(-1, a, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_inverse_transpose(1, NULL, out), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_inverse_transpose(1, a, NULL), LC_BAD_ARGUMENT);
}

int main(void) {
  begin();
  RUN(product_of_factors_is_the_matrix);
  RUN(inverse_transpose_times_factor_is_one);
  RUN(matrices_without_a_factor_are_refused);
  RUN(bad_arguments_are_refused);
  return end();
}
