/* Fits two Gaussians to a column of numbers by EM, with the public C interface alone. Prints the log-likelihood that
 * every iteration starts from, and at the end the weight, mean and variance of both components. */
#include <latentcore/latentcore.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 12, K = 2, D = 1, ITERATIONS = 25 };

static void check(lc_status status) {
  if (status == LC_OK) return;
  fprintf(stderr, "latentcore: %s\n", lc_status_message(status));
  exit(EXIT_FAILURE);
}

int main(void) {
  const double x[N] = {1.8, 2.0, 2.3, 1.7, 1.9, 2.1, 4.2, 4.5, 4.8, 4.4, 4.1, 4.7};
  double weights[K] = {0.5, 0.5}, means[K * D] = {1.0, 5.0}, variances[K * D] = {1.0, 1.0};
  double offsets[K], factors[K * D], log_determinants[K], counts[K], first[K * D], second[K * D], scratch[D * D];
  const double log_2pi = log(2 * acos(-1.0));
  const lc_components components = {LC_GAUSSIAN_DIAG, K, D, offsets, means, factors, NULL, 0};
  double centers[K * D];
  const lc_moments moments = {centers, counts, first, second};
  void *work = malloc(lc_mixture_work_f64(&components));
  ptrdiff_t where;
  int cancelled;

  if (work == NULL) return EXIT_FAILURE;
  printf("latentcore %s, instruction set %s\n", lc_version(), lc_isa());
  for (int iteration = 0; iteration < ITERATIONS; iteration++) {
    double log_likelihood = 0;
    check(lc_gaussian_factors(LC_GAUSSIAN_DIAG, K, D, variances, factors, log_determinants, &where, scratch));
    for (int k = 0; k < K; k++) {
      offsets[k] = log(weights[k]) + log_determinants[k] - 0.5 * D * log_2pi;
      centers[k] = means[k];
      counts[k] = first[k] = second[k] = 0;
    }
    check(lc_mixture_em_sweep_f64(N, x, D, NULL, NULL, 0, &components, &moments, &log_likelihood, &where, work));
    check(lc_gaussian_statistics(LC_GAUSSIAN_DIAG, K, D, &moments, means, second, &cancelled));
    check(lc_gaussian_covariances(LC_GAUSSIAN_DIAG, K, D, counts, second, 0.0, variances));
    for (int k = 0; k < K; k++) weights[k] = counts[k] / N;
    printf("%.12f\n", log_likelihood);
  }
  for (int k = 0; k < K; k++) printf("%.12f %.12f %.12f\n", weights[k], means[k], variances[k]);
  free(work);
  return EXIT_SUCCESS;
}
