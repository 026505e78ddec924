/* Run with LATENTCORE_ISA naming no instruction set: every kernel refuses to work, until one is forced. */
#include "check.h"

int main(void) {
  double x[2] = {1, 2}, out[2], one[1] = {1};
  CHECK(lc_isa() == NULL);
  CHECK_STATUS(lc_exp_f64(2, x, out), LC_ISA_UNAVAILABLE);
  CHECK_STATUS(lc_log_f64(2, x, out), LC_ISA_UNAVAILABLE);
  void *work = exactly(lc_logspace_work_f64(2));
  CHECK_STATUS(lc_logsumexp_f64(1, 2, x, 2, out, work), LC_ISA_UNAVAILABLE);
  release(work);

  double zero[1] = {0}, counts[1] = {0}, first[1] = {0}, second[1] = {0}, log_likelihood = 0;
  lc_components components = {LC_GAUSSIAN_DIAG, 1, 1, zero, zero, one, NULL, 0};
  lc_moments moments = {zero, counts, first, second};
  ptrdiff_t where;
  work = exactly(lc_mixture_work_f64(&components));
  CHECK_STATUS(lc_mixture_em_sweep_f64(2, x, 1, NULL, NULL, 0, &components, &moments, &log_likelihood, &where, work),
               LC_ISA_UNAVAILABLE);
  release(work);
  int labels[2];
  double inertia = 0;
  work = exactly(lc_kmeans_work_f64(1, 1));
  CHECK_STATUS(lc_kmeans_sweep_f64(2, 1, 1, x, 1, NULL, zero, labels, NULL, counts, first, &inertia, work),
               LC_ISA_UNAVAILABLE);
  release(work);

  CHECK_STATUS(lc_isa_force("base"), LC_OK);
  CHECK_STATUS(lc_exp_f64(2, x, out), LC_OK);
  CHECK(fabs(out[0] - exp(1)) < 1e-14);
  return end();
}
