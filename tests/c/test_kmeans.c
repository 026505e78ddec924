/* Lloyd's sweep against long double, in one precision. */
#include "check.h"
#include "plain.h"

static const ptrdiff_t COMPONENTS[] = {1, 2, 3, 7, 16};
static const ptrdiff_t FEATURES[] = {1, 2, 3, 4, 5, 8, 9, 16, 33};
static const ptrdiff_t ROWS[] = {0, 1, 5, 127, 1000};

enum { ROUNDINGS = 16, BEFORE = 3 };

/* Squared distance, and its rounding error when every operation is rounded once. */
static long double plain_distance(ptrdiff_t d, const real *x, const double *center, long double *error) {
  long double sum = 0;
  *error = 0;
  for (ptrdiff_t j = 0; j < d; j++) {
    long double difference = (long double)x[j] - center[j];
    sum += difference * difference;
    *error += REAL_EPSILON * (2 * fabsl(difference) * (fabsl((long double)x[j]) + fabs(center[j])) + difference * difference);
  }
  return sum;
}

static void check_sweep(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, ptrdiff_t gap, int weighted, int with_distances) {
  ptrdiff_t stride = d + gap, size = n > 0 ? (n - 1) * stride + d : 0;
  real *x = reals(size);
  double *centers = doubles(k * d), *weights = doubles(n), *distances = doubles(n);
  double *counts = doubles(k), *first = doubles(k * d), inertia = BEFORE;
  int *labels = exactly((size_t)n * sizeof *labels);
  for (ptrdiff_t i = 0; i < k * d; i++) centers[i] = 3 * normal();
  for (ptrdiff_t i = 0; i < size; i++) x[i] = NAN;
  for (ptrdiff_t i = 0; i < n; i++) {
    for (ptrdiff_t j = 0; j < d; j++) x[i * stride + j] = (real)(3 * normal());
    weights[i] = i % 4 == 1 ? 0 : uniform();
  }
  fill(k, counts, BEFORE), fill(k * d, first, BEFORE);
  void *work = exactly(LC(kmeans_work)(k, d));
  CHECK_STATUS(LC(kmeans_sweep)(n, k, d, x, stride, weighted ? weights : NULL, centers, labels,
                                with_distances ? distances : NULL, counts, first, &inertia, work),
               LC_OK);

  /* Labels may differ from the truth only where two centers are equally near but for rounding; the sums then
   * follow the labels that were given. */
  long double *sums = calloc((size_t)(k * (d + 1)), sizeof *sums), *errors = calloc((size_t)(k * (d + 1)), sizeof *errors);
  long double total = 0, total_error = 0;
  for (ptrdiff_t i = 0; i < n; i++) {
    const real *row = x + i * stride;
    long double nearest = INFINITY, error, w = weighted ? weights[i] : 1;
    for (ptrdiff_t j = 0; j < k; j++) nearest = fminl(nearest, plain_distance(d, row, centers + j * d, &error));
    ptrdiff_t label = labels[i];
    if (label < 0 || label >= k) {
      FAIL("row %td: label %td, N = %td, K = %td, D = %td", i, label, n, k, d);
      continue;
    }
    long double distance = plain_distance(d, row, centers + label * d, &error);
    CHECK_CLOSE(distance, nearest, 8 * error, "row %td, N = %td, K = %td, D = %td", i, n, k, d);
    if (with_distances) CHECK_CLOSE(distances[i], distance, 8 * error, "row %td, N = %td, K = %td, D = %td", i, n, k, d);
    sums[label * (d + 1)] += w, errors[label * (d + 1)] += w * DBL_EPSILON;
    for (ptrdiff_t j = 0; j < d; j++) {
      long double center = centers[label * d + j];
      sums[label * (d + 1) + 1 + j] += w * (row[j] - center);
      errors[label * (d + 1) + 1 + j] += w * REAL_EPSILON * 2 * (fabsl((long double)row[j]) + fabsl(center));
    }
    total += w * distance, total_error += w * error;
  }
  CHECK_CLOSE(inertia, BEFORE + total, ROUNDINGS * (total_error + DBL_EPSILON), "N = %td, K = %td, D = %td", n, k, d);
  for (ptrdiff_t c = 0; c < k; c++) {
    CHECK_CLOSE(counts[c], BEFORE + sums[c * (d + 1)], ROUNDINGS * (errors[c * (d + 1)] + DBL_EPSILON),
                "center %td, N = %td, K = %td, D = %td", c, n, k, d);
    for (ptrdiff_t j = 0; j < d; j++)
      CHECK_CLOSE(first[c * d + j], BEFORE + sums[c * (d + 1) + 1 + j],
                  ROUNDINGS * (errors[c * (d + 1) + 1 + j] + DBL_EPSILON), "center %td, N = %td, K = %td, D = %td", c, n, k, d);
  }
  free(sums), free(errors);
  release(x), release(centers), release(weights), release(distances), release(counts), release(first);
  release(labels), release(work);
}

static void sweep_equals_long_double(void) {
  for (size_t r = 0; r < LENGTH(ROWS); r++)
    for (size_t s = 0; s < LENGTH(COMPONENTS); s++)
      for (size_t t = 0; t < LENGTH(FEATURES); t++)
        for (int weighted = 0; weighted <= 1; weighted++)
          check_sweep(ROWS[r], COMPONENTS[s], FEATURES[t], (ptrdiff_t)((r + s + t) % 3), weighted, (r + t) % 2 == 0);
}

static void the_first_of_equal_centers_is_the_label(void) {
  enum { N = 127, K = 5, D = 2 };
  real x[N * D];
  double centers[K * D], counts[K] = {0}, first[K * D] = {0}, inertia = 0;
  int labels[N];
  for (int i = 0; i < N * D; i++) x[i] = (real)normal();
  for (int i = 0; i < K * D; i++) centers[i] = i < D ? 100 : 1; /* centers 1 to 4 are equal and nearer than 0 */
  void *work = exactly(LC(kmeans_work)(K, D));
  CHECK_STATUS(LC(kmeans_sweep)(N, K, D, x, D, NULL, centers, labels, NULL, counts, first, &inertia, work), LC_OK);
  for (int i = 0; i < N; i++) CHECK(labels[i] == 1);
  CHECK(counts[1] == N);
  release(work);
}

static void bad_arguments_are_refused(void) {
  real x[2] = {0, 1};
  double centers[1] = {0}, counts[1] = {0}, first[1] = {0}, inertia = 0;
  int labels[2];
  char *work = exactly(LC(kmeans_work)(1, 1));
#define SWEEP(n, k, d, x, centers, labels, counts, first, inertia)                                                     \
  LC(kmeans_sweep)(n, k, d, x, 1, NULL, centers, labels, NULL, counts, first, inertia, work)
  CHECK_STATUS(SWEEP(-1, 1, 1, x, centers, labels, counts, first, &inertia), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(2, 0, 1, x, centers, labels, counts, first, &inertia), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(2, 1, 0, x, centers, labels, counts, first, &inertia), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(2, 1, 1, NULL, centers, labels, counts, first, &inertia), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(2, 1, 1, x, NULL, labels, counts, first, &inertia), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(2, 1, 1, x, centers, NULL, counts, first, &inertia), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(2, 1, 1, x, centers, labels, NULL, first, &inertia), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(2, 1, 1, x, centers, labels, counts, NULL, &inertia), LC_BAD_ARGUMENT);
  CHECK_STATUS(SWEEP(2, 1, 1, x, centers, labels, counts, first, NULL), LC_BAD_ARGUMENT);
#undef SWEEP
  release(work);
}

int main(void) {
  begin();
  RUN(sweep_equals_long_double);
  RUN(the_first_of_equal_centers_is_the_label);
  RUN(bad_arguments_are_refused);
  return end();
}
