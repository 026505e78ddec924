/* Gaussian statistics and parameters: double only, of the size of the parameters. */
#include "latentcore/gaussian.h"

#include "kernels.h"
#include "real.h"

static ptrdiff_t scatter_size(lc_family family, ptrdiff_t k, ptrdiff_t d) {
  switch (family) {
    case LC_GAUSSIAN_FULL: return k * d * d;
    case LC_GAUSSIAN_TIED: return d * d;
    case LC_GAUSSIAN_DIAG: return k * d;
    default: return k;
  }
}

/* scatter (lower triangle) += scale a a^T */
static void add_outer(ptrdiff_t d, double scale, const double *a, double *scatter) {
  for (ptrdiff_t i = 0; i < d; i++)
    for (ptrdiff_t j = 0; j <= i; j++) scatter[i * d + j] += scale * a[i] * a[j];
}

static void mirror(ptrdiff_t d, double *matrix) {
  for (ptrdiff_t i = 0; i < d; i++)
    for (ptrdiff_t j = 0; j < i; j++) matrix[j * d + i] = matrix[i * d + j];
}

/* scatter_k += scale * (difference_k difference_k^T in the family's shape); full and tied: the lower triangle */
static void add_square(lc_family family, ptrdiff_t k, ptrdiff_t d, double scale, const double *difference, double *scatters) {
  switch (family) {
    case LC_GAUSSIAN_FULL: add_outer(d, scale, difference, scatters + k * d * d); break;
    case LC_GAUSSIAN_TIED: add_outer(d, scale, difference, scatters); break;
    case LC_GAUSSIAN_DIAG:
      for (ptrdiff_t j = 0; j < d; j++) scatters[k * d + j] += scale * difference[j] * difference[j];
      break;
    default:
      for (ptrdiff_t j = 0; j < d; j++) scatters[k] += scale * difference[j] * difference[j];
  }
}

static void mirror_all(lc_family family, ptrdiff_t k, ptrdiff_t d, double *scatters) {
  ptrdiff_t n_matrices = family == LC_GAUSSIAN_FULL ? k : family == LC_GAUSSIAN_TIED ? 1 : 0;
  for (ptrdiff_t i = 0; i < n_matrices; i++) mirror(d, scatters + i * d * d);
}

/* The variance-like entry that belongs to feature j of component k. */
static double *diagonal(lc_family family, ptrdiff_t k, ptrdiff_t j, ptrdiff_t d, double *scatters) {
  switch (family) {
    case LC_GAUSSIAN_FULL: return scatters + (k * d + j) * d + j;
    case LC_GAUSSIAN_TIED: return scatters + j * d + j;
    case LC_GAUSSIAN_DIAG: return scatters + k * d + j;
    default: return scatters + k;
  }
}

/* A shift of over 1000 standard deviations costs six of sixteen digits. */
#define CANCELLATION 1e6
/* A count below which its scatter has lost digits to the end of the range of a double. */
#define DUST (DBL_MIN / DBL_EPSILON)
/* A component with less of the weight than this has lost all its rows; its scatter is not worth another sweep. */
#define NEGLIGIBLE_SHARE 1e-6

void LC_KERNEL(gaussian_statistics)(lc_family family, ptrdiff_t k, ptrdiff_t d, const lc_moments *moments, double *means,
                                    double *scatters, int *cancelled) {
  if (scatters != moments->second)
    memcpy(scatters, moments->second, (size_t)scatter_size(family, k, d) * sizeof(double));
  for (ptrdiff_t c = 0; c < k; c++) { /* of counts below DBL_MIN the inverse overflows, and no digits are left */
    const double count = moments->counts[c];
    if (count >= DBL_MIN) add_square(family, c, d, -1 / count, moments->first + c * d, scatters);
    else if (count > 0 && family != LC_GAUSSIAN_TIED)
      memset(scatters + c * scatter_size(family, 1, d), 0, (size_t)scatter_size(family, 1, d) * sizeof(double));
  }
  double total = 0;
  for (ptrdiff_t c = 0; c < k; c++) total += moments->counts[c];
  *cancelled = 0;
  for (ptrdiff_t c = 0; c < k; c++) {
    const int matters = moments->counts[c] > NEGLIGIBLE_SHARE * total;
    for (ptrdiff_t j = 0; j < d; j++) {
      /* means may be moments->first: read before writing */
      double count = moments->counts[c], first = moments->first[c * d + j], step = count > 0 ? first / count : 0;
      double mean = moments->centers[c * d + j] + step, *spread = diagonal(family, c, j, d, scatters);
      if (*spread < 0) *spread = 0; /* rounding */
      /* a step of the mean's own rounding is no step */
      if (matters && fabs(step) > 8 * DBL_EPSILON * fabs(mean) && first * step > CANCELLATION * *spread) *cancelled = 1;
      means[c * d + j] = mean;
    }
  }
  mirror_all(family, k, d, scatters);
}

void LC_KERNEL(gaussian_add)(lc_family family, ptrdiff_t k, ptrdiff_t d, double *counts, double *means, double *scatters,
                             const double *counts_b, const double *means_b, const double *scatters_b) {
  ptrdiff_t size = scatter_size(family, k, d);
  for (ptrdiff_t i = 0; i < size; i++) scatters[i] += scatters_b[i];
  for (ptrdiff_t c = 0; c < k; c++) {
    double a = counts[c], b = counts_b[c], n = a + b;
    if (b > 0) {
      /* the difference of the means, in place of the mean until the scatter has it */
      for (ptrdiff_t j = 0; j < d; j++) means[c * d + j] = means_b[c * d + j] - means[c * d + j];
      add_square(family, c, d, a * (b / n), means + c * d, scatters);
      for (ptrdiff_t j = 0; j < d; j++) {
        double mean_b = means_b[c * d + j];
        means[c * d + j] = mean_b - (a / n) * means[c * d + j];
      }
    }
    counts[c] = n;
  }
  mirror_all(family, k, d, scatters);
}

void LC_KERNEL(gaussian_covariances)(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *counts, const double *scatters,
                                     double ridge, double *covariances) {
  if (family == LC_GAUSSIAN_TIED) {
    double n = 0;
    for (ptrdiff_t c = 0; c < k; c++) n += counts[c];
    for (ptrdiff_t i = 0; i < d * d; i++) covariances[i] = scatters[i] / n;
    for (ptrdiff_t j = 0; j < d; j++) covariances[j * d + j] += ridge;
    return;
  }
  ptrdiff_t each = scatter_size(family, 1, d);
  for (ptrdiff_t c = 0; c < k; c++) {
    if (!(counts[c] >= DUST)) continue;
    double n = family == LC_GAUSSIAN_SPHERICAL ? counts[c] * (double)d : counts[c];
    double *out = covariances + c * each;
    for (ptrdiff_t i = 0; i < each; i++) out[i] = scatters[c * each + i] / n;
    if (family == LC_GAUSSIAN_FULL)
      for (ptrdiff_t j = 0; j < d; j++) out[j * d + j] += ridge;
    else
      for (ptrdiff_t i = 0; i < each; i++) out[i] += ridge;
  }
}

static lc_status factor_matrix(ptrdiff_t d, const double *covariance, double *upper, double *log_determinant, double *work) {
  lc_status status = LC_KERNEL(cholesky)(d, covariance, work);
  if (status != LC_OK) return status;
  LC_KERNEL(inverse_transpose)(d, work, upper);
  *log_determinant = 0;
  for (ptrdiff_t j = 0; j < d; j++) *log_determinant -= log(work[j * d + j]);
  return LC_OK;
}

lc_status LC_KERNEL(gaussian_factors)(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *covariances, double *factors,
                                      double *log_determinants, ptrdiff_t *where, double *work) {
  *where = 0;
  if (family == LC_GAUSSIAN_TIED) {
    lc_status status = factor_matrix(d, covariances, factors, log_determinants, work);
    for (ptrdiff_t c = 1; status == LC_OK && c < k; c++) log_determinants[c] = log_determinants[0];
    return status;
  }
  for (ptrdiff_t c = 0; c < k; c++) {
    *where = c;
    if (family == LC_GAUSSIAN_FULL) {
      lc_status status = factor_matrix(d, covariances + c * d * d, factors + c * d * d, log_determinants + c, work);
      if (status != LC_OK) return status;
      continue;
    }
    ptrdiff_t each = family == LC_GAUSSIAN_DIAG ? d : 1;
    log_determinants[c] = 0;
    for (ptrdiff_t i = c * each; i < (c + 1) * each; i++) {
      if (!(covariances[i] > 0) || covariances[i] > DBL_MAX) return LC_NOT_POSITIVE_DEFINITE;
      factors[i] = 1 / sqrt(covariances[i]);
      log_determinants[c] += (family == LC_GAUSSIAN_DIAG ? 1.0 : (double)d) * log(factors[i]);
    }
  }
  *where = 0;
  return LC_OK;
}

#define LOG_2 0.69314718055994530942
#define LOG_2PI 1.83787706640934548356

/* E log|Lambda| + log|Psi| of a Wishart distribution in p dimensions, sum_{i<p} psi((nu - i) / 2) + p log 2. */
static double expected_log_determinant(double nu, ptrdiff_t p) {
  double sum = (double)p * LOG_2;
  for (ptrdiff_t i = 0; i < p; i++) {
    double half = 0.5 * (nu - (double)i), value;
    LC_KERNEL(digamma)(1, &half, &value);
    sum += value;
  }
  return sum;
}

lc_status LC_KERNEL(gaussian_expected)(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *mean_precisions,
                                      const double *degrees_of_freedom, const double *scales, double *factors,
                                      double *offsets, ptrdiff_t *where, double *work) {
  const int has_matrix = family == LC_GAUSSIAN_FULL || family == LC_GAUSSIAN_TIED;
  lc_status status = LC_KERNEL(gaussian_factors)(family, k, d, scales, factors, offsets, where, work);
  if (status != LC_OK) return status;
  for (ptrdiff_t c = 0; c < k; c++) { /* offsets are -log|Psi| / 2 so far */
    const double nu = degrees_of_freedom[family == LC_GAUSSIAN_TIED ? 0 : c];
    const double log_determinant = has_matrix ? expected_log_determinant(nu, d) : (double)d * expected_log_determinant(nu, 1);
    offsets[c] += 0.5 * (log_determinant - (double)d * (LOG_2PI + 1 / mean_precisions[c]));
  }
  const ptrdiff_t n_blocks = family == LC_GAUSSIAN_TIED ? 1 : k, each = scatter_size(family, 1, d);
  for (ptrdiff_t c = 0; c < n_blocks; c++)
    for (ptrdiff_t i = c * each; i < (c + 1) * each; i++) factors[i] *= sqrt(degrees_of_freedom[c]);
  return LC_OK;
}
