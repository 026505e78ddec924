#include "kernels.h"
#include "special_functions.h"

void LC_KERNEL(lgamma)(ptrdiff_t n, const real *x, real *out) { elementwise(lgamma_positive, n, x, out); }
void LC_KERNEL(digamma)(ptrdiff_t n, const real *x, real *out) { elementwise(digamma_positive, n, x, out); }
void LC_KERNEL(trigamma)(ptrdiff_t n, const real *x, real *out) { elementwise(trigamma_positive, n, x, out); }

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
