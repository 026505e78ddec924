/* Gaussian statistics, covariances and factors against their definitions in long double. */
#include "check.h"
#include "plain.h"

static const lc_family FAMILIES[] = {LC_GAUSSIAN_FULL, LC_GAUSSIAN_TIED, LC_GAUSSIAN_DIAG, LC_GAUSSIAN_SPHERICAL};
static const ptrdiff_t COMPONENTS[] = {1, 2, 3, 7, 16};
static const ptrdiff_t FEATURES[] = {1, 2, 3, 4, 5, 8, 9, 16, 33};

typedef void shape_test(lc_family family, ptrdiff_t k, ptrdiff_t d);

static void each_shape(shape_test *test) {
  for (size_t f = 0; f < LENGTH(FAMILIES); f++)
    for (size_t s = 0; s < LENGTH(COMPONENTS); s++)
      for (size_t t = 0; t < LENGTH(FEATURES); t++) test(FAMILIES[f], COMPONENTS[s], FEATURES[t]);
}

/* Weighted points of K components. */
typedef struct points {
  ptrdiff_t n, k, d;
  double *x, *weights; /* n x d, n x k */
} points;

static points make_points(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d) {
  points p = {n, k, d, doubles(n * d), doubles(n * k)};
  for (ptrdiff_t i = 0; i < n * d; i++) p.x[i] = 5 + normal();
  for (ptrdiff_t i = 0; i < n * k; i++) p.weights[i] = uniform();
  return p;
}

static void free_points(points *p) {
  release(p->x);
  release(p->weights);
}

/* (count, mean, scatter) by definition: two passes over the points [from, to) in long double. */
static void plain_statistics(lc_family family, const points *p, ptrdiff_t from, ptrdiff_t to, double *counts,
                             double *means, double *scatters) {
  ptrdiff_t d = p->d;
  fill(plain_second_size(family, p->k, d), scatters, 0);
  for (ptrdiff_t k = 0; k < p->k; k++) {
    long double count = 0, *mean = calloc((size_t)d, sizeof *mean);
    for (ptrdiff_t i = from; i < to; i++) {
      count += p->weights[i * p->k + k];
      for (ptrdiff_t j = 0; j < d; j++) mean[j] += (long double)p->weights[i * p->k + k] * p->x[i * d + j];
    }
    counts[k] = (double)count;
    for (ptrdiff_t j = 0; j < d; j++) means[k * d + j] = (double)(mean[j] /= count);
    for (ptrdiff_t a = 0; a < d; a++)
      for (ptrdiff_t b = 0; b <= a; b++) {
        ptrdiff_t at = plain_second_index(family, d, k, a, b);
        if (at < 0) continue;
        long double sum = 0;
        for (ptrdiff_t i = from; i < to; i++)
          sum += p->weights[i * p->k + k] * (p->x[i * d + a] - mean[a]) * (p->x[i * d + b] - mean[b]);
        scatters[at] += (double)sum;
        if (family == LC_GAUSSIAN_FULL) scatters[(k * d + b) * d + a] = scatters[at];
        if (family == LC_GAUSSIAN_TIED) scatters[b * d + a] = scatters[at];
      }
    free(mean);
  }
}

static void expect_equal(const char *what, lc_family family, ptrdiff_t k, ptrdiff_t d, ptrdiff_t size,
                         const double *got, const double *wanted, double tolerance) {
  for (ptrdiff_t i = 0; i < size; i++)
    CHECK_CLOSE(got[i], wanted[i], tolerance * fmax(1, fabs(wanted[i])), "%s[%td], family %d, K = %td, D = %td", what,
                i, (int)family, k, d);
}

static void check_statistics_of_moments(lc_family family, ptrdiff_t k, ptrdiff_t d) {
  ptrdiff_t n = 20, size = plain_second_size(family, k, d);
  points p = make_points(n, k, d);
  for (ptrdiff_t i = 0; i < n && k > 1; i++) p.weights[i * k + 1] = 1e-300; /* stands in for 0, see below */
  double *centers = doubles(k * d), *counts = doubles(k), *first = doubles(k * d), *second = doubles(size);
  double *means = doubles(k * d), *scatters = doubles(size), *wanted_counts = doubles(k);
  double *wanted_means = doubles(k * d), *wanted = doubles(size);
  for (ptrdiff_t i = 0; i < k * d; i++) centers[i] = 5 + 0.5 * normal();
  fill(k, counts, 0);
  fill(k * d, first, 0);
  fill(size, second, NAN); /* upper triangles must not be read */
  for (ptrdiff_t a = 0; a < d; a++)
    for (ptrdiff_t b = 0; b <= a; b++)
      for (ptrdiff_t j = 0; j < k; j++)
        if (plain_second_index(family, d, j, a, b) >= 0) second[plain_second_index(family, d, j, a, b)] = 0;
  for (ptrdiff_t i = 0; i < n; i++)
    for (ptrdiff_t j = 0; j < k; j++) {
      double r = j == 1 ? 0 : p.weights[i * k + j]; /* component 1 has no data */
      counts[j] += r;
      for (ptrdiff_t a = 0; a < d; a++) {
        double x_a = p.x[i * d + a] - centers[j * d + a];
        first[j * d + a] += r * x_a;
        for (ptrdiff_t b = 0; b <= a; b++) {
          ptrdiff_t at = plain_second_index(family, d, j, a, b);
          if (at >= 0) second[at] += r * x_a * (p.x[i * d + b] - centers[j * d + b]);
        }
      }
    }
  plain_statistics(family, &p, 0, n, wanted_counts, wanted_means, wanted);
  if (k > 1) memcpy(wanted_means + d, centers + d, (size_t)d * sizeof(double));

  lc_moments moments = {centers, counts, first, second};
  int cancelled = -1;
  CHECK_STATUS(lc_gaussian_statistics(family, k, d, &moments, means, scatters, &cancelled), LC_OK);
  CHECK(cancelled == 0);
  expect_equal("means", family, k, d, k * d, means, wanted_means, 1e-13);
  expect_equal("scatters", family, k, d, size, scatters, wanted, 1e-12);

  CHECK_STATUS(lc_gaussian_statistics(family, k, d, &moments, means, second, &cancelled), LC_OK);
  if (memcmp(second, scatters, (size_t)size * sizeof(double)) != 0)
    FAIL("in place differs: family %d, K = %td, D = %td", (int)family, k, d);

  free_points(&p);
  release(centers), release(counts), release(first), release(second), release(means), release(scatters);
  release(wanted_counts), release(wanted_means), release(wanted);
}

static void moments_become_means_and_scatters(void) { each_shape(check_statistics_of_moments); }

static void a_center_far_from_its_mean_is_reported(void) {
  for (size_t f = 0; f < LENGTH(FAMILIES); f++)
    for (int far = 0; far <= 1; far++) {
      /* one component, points at -1 and 1 about the mean, whose distance to the center is `shift` */
      double shift = far ? 1e5 : 10, zero[1] = {0}, count[1] = {2}, first[1] = {2 * shift};
      double second[1] = {2 * (shift * shift + 1)}, mean[1], scatter[1];
      lc_moments moments = {zero, count, first, second};
      int cancelled = -1;
      CHECK_STATUS(lc_gaussian_statistics(FAMILIES[f], 1, 1, &moments, mean, scatter, &cancelled), LC_OK);
      CHECK(cancelled == far);
    }
}

static void check_sum_of_statistics(lc_family family, ptrdiff_t k, ptrdiff_t d) {
  ptrdiff_t n = 15, size = plain_second_size(family, k, d);
  points p = make_points(n, k, d);
  double *counts[3], *means[3], *scatters[3];
  const ptrdiff_t from[3] = {0, 6, 0}, to[3] = {6, n, n};
  for (int part = 0; part < 3; part++) {
    counts[part] = doubles(k), means[part] = doubles(k * d), scatters[part] = doubles(size);
    plain_statistics(family, &p, from[part], to[part], counts[part], means[part], scatters[part]);
  }
  CHECK_STATUS(lc_gaussian_add(family, k, d, counts[0], means[0], scatters[0], counts[1], means[1], scatters[1]), LC_OK);
  expect_equal("counts", family, k, d, k, counts[0], counts[2], 1e-14);
  expect_equal("means", family, k, d, k * d, means[0], means[2], 1e-14);
  expect_equal("scatters", family, k, d, size, scatters[0], scatters[2], 1e-13);

  /* nothing plus something is that something, on either side */
  fill(k, counts[1], 0), fill(size, scatters[1], 0), fill(k * d, means[1], 7);
  CHECK_STATUS(lc_gaussian_add(family, k, d, counts[0], means[0], scatters[0], counts[1], means[1], scatters[1]), LC_OK);
  expect_equal("means + 0", family, k, d, k * d, means[0], means[2], 1e-14);
  expect_equal("scatters + 0", family, k, d, size, scatters[0], scatters[2], 1e-13);
  CHECK_STATUS(lc_gaussian_add(family, k, d, counts[1], means[1], scatters[1], counts[0], means[0], scatters[0]), LC_OK);
  expect_equal("0 + counts", family, k, d, k, counts[1], counts[2], 1e-14);
  expect_equal("0 + means", family, k, d, k * d, means[1], means[2], 1e-14);
  expect_equal("0 + scatters", family, k, d, size, scatters[1], scatters[2], 1e-13);

  /* nothing plus nothing is nothing, not NaN */
  for (int part = 0; part < 2; part++)
    fill(k, counts[part], 0), fill(k * d, means[part], part), fill(size, scatters[part], 0);
  CHECK_STATUS(lc_gaussian_add(family, k, d, counts[0], means[0], scatters[0], counts[1], means[1], scatters[1]), LC_OK);
  for (ptrdiff_t i = 0; i < k; i++) CHECK(counts[0][i] == 0);
  for (ptrdiff_t i = 0; i < k * d; i++) CHECK(isfinite(means[0][i]));
  for (ptrdiff_t i = 0; i < size; i++) CHECK(scatters[0][i] == 0);

  for (int part = 0; part < 3; part++) release(counts[part]), release(means[part]), release(scatters[part]);
  free_points(&p);
}

static void statistics_of_parts_add_to_those_of_the_whole(void) { each_shape(check_sum_of_statistics); }

/* Positive definite covariances of the family; NaN in the upper triangles, which must not be read. */
static double *make_covariances(lc_family family, ptrdiff_t k, ptrdiff_t d) {
  ptrdiff_t size = plain_second_size(family, k, d);
  ptrdiff_t matrices = family == LC_GAUSSIAN_FULL ? k : family == LC_GAUSSIAN_TIED ? 1 : 0;
  double *covariances = doubles(size), *b = doubles(d * d);
  for (ptrdiff_t i = 0; i < size; i++) covariances[i] = 0.1 + uniform();
  for (ptrdiff_t m = 0; m < matrices; m++) {
    for (ptrdiff_t i = 0; i < d * d; i++) b[i] = normal() / sqrt((double)d);
    for (ptrdiff_t i = 0; i < d; i++)
      for (ptrdiff_t j = 0; j < d; j++) {
        double sum = j > i ? NAN : i == j ? 0.2 : 0;
        for (ptrdiff_t t = 0; t < d; t++) sum += b[i * d + t] * b[j * d + t];
        covariances[(m * d + i) * d + j] = sum;
      }
  }
  release(b);
  return covariances;
}

static void check_log_density_by_factors(lc_family family, ptrdiff_t k, ptrdiff_t d) {
  ptrdiff_t n = 5, size = plain_second_size(family, k, d);
  double *covariances = make_covariances(family, k, d), *factors = doubles(size), *log_determinants = doubles(k);
  double *means = doubles(k * d), *x = doubles(n * d), *log_joint = doubles(n * k), *matrix = doubles(d * d);
  long double *l = malloc((size_t)(d * d) * sizeof *l), *z = malloc((size_t)(2 * d) * sizeof *z);
  void *work = exactly((size_t)(d * d) * sizeof(double));
  ptrdiff_t where = -1;
  CHECK_STATUS(lc_gaussian_factors(family, k, d, covariances, factors, log_determinants, &where, work), LC_OK);
  for (ptrdiff_t i = 0; i < k * d; i++) means[i] = normal();
  for (ptrdiff_t i = 0; i < n * d; i++) x[i] = 2 * normal();
  double *offsets = log_determinants;
  for (ptrdiff_t j = 0; j < k; j++) offsets[j] -= 0.5 * (double)d * log(2 * acos(-1));
  lc_components components = {family, k, d, offsets, means, factors, NULL, 0};
  release(work);
  work = exactly(lc_mixture_work_f64(&components));
  CHECK_STATUS(lc_mixture_rows_f64(n, x, d, &components, log_joint, NULL, NULL, NULL, work), LC_OK);
  for (ptrdiff_t j = 0; j < k; j++) {
    for (ptrdiff_t a = 0; a < d; a++)
      for (ptrdiff_t b = 0; b <= a; b++) {
        ptrdiff_t at = plain_second_index(family, d, j, a, b);
        matrix[a * d + b] = at < 0 ? 0 : covariances[at];
      }
    if (!plain_cholesky(d, matrix, l)) FAIL("the test's own matrix has no factor");
    for (ptrdiff_t i = 0; i < n; i++) {
      for (ptrdiff_t a = 0; a < d; a++) z[d + a] = x[i * d + a];
      long double wanted = plain_normal_log_density(d, z + d, means + j * d, l, z);
      CHECK_CLOSE(log_joint[i * k + j], wanted, 1e-13L * (1 + fabsl(wanted)) * (long double)d,
                  "family %d, K = %td, D = %td, row %td, component %td", (int)family, k, d, i, j);
    }
  }
  free(l), free(z);
  release(work), release(covariances), release(factors), release(log_determinants);
  release(means), release(x), release(log_joint), release(matrix);
}

static void check_expected(lc_family family, ptrdiff_t k, ptrdiff_t d) {
  ptrdiff_t size = plain_second_size(family, k, d), where = -1;
  double *scales = make_covariances(family, k, d), *plain = doubles(size), *log_determinants = doubles(k);
  double *factors = doubles(size), *offsets = doubles(k), *nu = doubles(k), *kappa = doubles(k), *work = doubles(d * d);
  const int tied = family == LC_GAUSSIAN_TIED, has_matrix = tied || family == LC_GAUSSIAN_FULL;
  for (ptrdiff_t j = 0; j < k; j++) nu[j] = (double)d - 0.9 + 20 * uniform(), kappa[j] = 0.01 + 5 * uniform();
  CHECK_STATUS(lc_gaussian_factors(family, k, d, scales, plain, log_determinants, &where, work), LC_OK);
  CHECK_STATUS(lc_gaussian_expected(family, k, d, kappa, nu, scales, factors, offsets, &where, work), LC_OK);
  for (ptrdiff_t j = 0; j < k; j++) {
    const long double of = nu[tied ? 0 : j];
    long double log_determinant = 2 * log_determinants[j] + (long double)d * logl(2);
    for (ptrdiff_t i = 0; i < d; i++) log_determinant += plain_digamma((of - (has_matrix ? (long double)i : 0)) / 2);
    const long double wanted = (log_determinant - (long double)d * (logl(2 * acosl(-1)) + 1 / (long double)kappa[j])) / 2;
    CHECK_CLOSE(offsets[j], wanted, 1e-14L * (long double)(d + 1) * (20 + fabsl(wanted) + 1 / (long double)kappa[j]),
                "family %d, K = %td, D = %td, component %td", (int)family, k, d, j);
  }
  for (ptrdiff_t i = 0; i < size; i++) {
    const ptrdiff_t j = tied ? 0 : i / (size / k);
    CHECK_CLOSE(factors[i], plain[i] * sqrtl(nu[j]), 1e-15L * fabsl(plain[i] * sqrtl(nu[j])), "family %d, K = %td, D = %td, entry %td",
                (int)family, k, d, i);
  }
  release(scales), release(plain), release(log_determinants), release(factors), release(offsets), release(nu), release(kappa);
  release(work);
}

static void expected_densities_are_those_of_bishop(void) { each_shape(check_expected); }

static void density_by_factors_is_that_of_the_covariance(void) { each_shape(check_log_density_by_factors); }

static void check_covariances(lc_family family, ptrdiff_t k, ptrdiff_t d) {
  ptrdiff_t size = plain_second_size(family, k, d), block = size / k;
  double *counts = doubles(k), *scatters = doubles(size), *covariances = doubles(size), total = 0, ridge = 0.25;
  for (ptrdiff_t j = 0; j < k; j++) total += counts[j] = j == 1 ? 0 : 1 + uniform();
  for (ptrdiff_t i = 0; i < size; i++) scatters[i] = uniform();
  fill(size, covariances, 42);
  CHECK_STATUS(lc_gaussian_covariances(family, k, d, counts, scatters, ridge, covariances), LC_OK);
  for (ptrdiff_t i = 0; i < size; i++) {
    ptrdiff_t component = family == LC_GAUSSIAN_TIED ? 0 : i / block;
    int is_variance = family == LC_GAUSSIAN_DIAG || family == LC_GAUSSIAN_SPHERICAL || (i % (d * d)) % (d + 1) == 0;
    double divisor = family == LC_GAUSSIAN_TIED ? total : counts[component];
    if (family == LC_GAUSSIAN_SPHERICAL) divisor *= (double)d;
    double wanted = divisor == 0 ? 42 : scatters[i] / divisor + (is_variance ? ridge : 0);
    CHECK_CLOSE(covariances[i], wanted, 1e-14 * fabs(wanted), "family %d, K = %td, D = %td, element %td", (int)family, k,
                d, i);
  }
  release(counts), release(scatters), release(covariances);
}

static void covariances_are_scatters_over_counts_plus_ridge(void) { each_shape(check_covariances); }

static void a_collapsed_component_is_named(void) {
  enum { K = 5, D = 3, BAD = 3 };
  for (size_t f = 0; f < LENGTH(FAMILIES); f++) {
    lc_family family = FAMILIES[f];
    ptrdiff_t size = plain_second_size(family, K, D), bad = family == LC_GAUSSIAN_TIED ? 0 : BAD;
    const double values[] = {0, -1, NAN};
    for (size_t v = 0; v < LENGTH(values); v++) {
      double *covariances = make_covariances(family, K, D), *factors = doubles(size), *log_determinants = doubles(K);
      double *work = doubles(D * D);
      ptrdiff_t where = -1;
      covariances[plain_second_index(family, D, bad, D - 1, D - 1)] = values[v];
      CHECK_STATUS(lc_gaussian_factors(family, K, D, covariances, factors, log_determinants, &where, work),
                   LC_NOT_POSITIVE_DEFINITE);
      if (where != bad) FAIL("family %d: named component %td, wanted %td", (int)family, where, bad);
      release(covariances), release(factors), release(log_determinants), release(work);
    }
  }
}

static void bad_arguments_are_refused(void) {
  double a[1] = {1}, b[1] = {1}, c[1] = {1}, e[1] = {1}, f[1] = {1}, g[1] = {1};
  int cancelled;
  ptrdiff_t where;
  lc_moments moments = {a, b, c, e};
  const lc_family unknown = (lc_family)99, diag = LC_GAUSSIAN_DIAG;
  CHECK_STATUS(lc_gaussian_statistics(unknown, 1, 1, &moments, f, g, &cancelled), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_statistics(diag, 0, 1, &moments, f, g, &cancelled), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_statistics(diag, 1, 0, &moments, f, g, &cancelled), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_statistics(diag, 1, 1, NULL, f, g, &cancelled), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_add(unknown, 1, 1, a, b, c, e, f, g), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_add(diag, 0, 1, a, b, c, e, f, g), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_add(diag, 1, 0, a, b, c, e, f, g), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_add(diag, 1, 1, NULL, b, c, e, f, g), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_covariances(unknown, 1, 1, a, b, 0, c), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_covariances(diag, 0, 1, a, b, 0, c), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_covariances(diag, 1, 0, a, b, 0, c), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_covariances(diag, 1, 1, NULL, b, 0, c), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_factors(unknown, 1, 1, a, b, c, &where, e), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_factors(diag, 0, 1, a, b, c, &where, e), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_factors(diag, 1, 0, a, b, c, &where, e), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_factors(diag, 1, 1, NULL, b, c, &where, e), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_expected(unknown, 1, 1, a, a, a, b, c, &where, e), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_expected(diag, 1, 1, a, NULL, a, b, c, &where, e), LC_BAD_ARGUMENT);
  CHECK_STATUS(lc_gaussian_expected(diag, 1, 1, a, a, b, b, c, &where, e), LC_BAD_ARGUMENT);
}

int main(void) {
  begin();
  RUN(moments_become_means_and_scatters);
  RUN(a_center_far_from_its_mean_is_reported);
  RUN(statistics_of_parts_add_to_those_of_the_whole);
  RUN(density_by_factors_is_that_of_the_covariance);
  RUN(expected_densities_are_those_of_bishop);
  RUN(covariances_are_scatters_over_counts_plus_ridge);
  RUN(a_collapsed_component_is_named);
  RUN(bad_arguments_are_refused);
  return end();
}
