#include "kernels.h"
#include "special_functions.h"

void LC_KERNEL(lgamma)(ptrdiff_t n, const real *x, real *out) { elementwise(lgamma_positive, n, x, out); }
void LC_KERNEL(digamma)(ptrdiff_t n, const real *x, real *out) { elementwise(digamma_positive, n, x, out); }
void LC_KERNEL(trigamma)(ptrdiff_t n, const real *x, real *out) { elementwise(trigamma_positive, n, x, out); }

#if !LC_F32
#define LOG_PI 1.14472988584940017414

void LC_KERNEL(multivariate_lgamma)(ptrdiff_t n, ptrdiff_t dimension, const double *x, double *out) {
  const double constant = 0.25 * (double)dimension * (double)(dimension - 1) * LOG_PI;
  for (ptrdiff_t i = 0; i < n; i++) {
    double sum = constant;
    for (ptrdiff_t j = 0; j < dimension; j += LANES) {
      double lanes[LANES];
      const ptrdiff_t rest = dimension - j < LANES ? dimension - j : LANES;
      for (ptrdiff_t l = 0; l < LANES; l++) lanes[l] = l < rest ? x[i] - 0.5 * (double)(j + l) : 1.0;
      store(lanes, lgamma_positive(load(lanes)));
      for (ptrdiff_t l = 0; l < rest; l++) sum += lanes[l];
    }
    out[i] = sum;
  }
}
#endif

void LC_KERNEL(sin_cos)(ptrdiff_t n, const real *x, real *sine, real *cosine) {
  for (ptrdiff_t i = 0; i < n; i += LANES) {
    const size_t size = (size_t)(n - i < LANES ? n - i : LANES) * sizeof(real);
    real in[LANES] = {0}, sines[LANES], cosines[LANES];
    vec s, c;
    memcpy(in, x + i, size);
    sin_cos(load(in), &s, &c);
    store(sines, s);
    store(cosines, c);
    memcpy(sine + i, sines, size);
    memcpy(cosine + i, cosines, size);
  }
}
