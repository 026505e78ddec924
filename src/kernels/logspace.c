#include "elementary.h"
#include "kernels.h"
#include "tile.h"

void LC_KERNEL(exp)(ptrdiff_t n, const real *x, real *out) { elementwise(exp_vec, n, x, out); }
void LC_KERNEL(log)(ptrdiff_t n, const real *x, real *out) { elementwise(log_vec, n, x, out); }

/* Short rows go through the first cache, long ones through the second. */
static ptrdiff_t rows_at_a_time(ptrdiff_t k) { return k <= 32 ? TILE_UNIT : tile_rows(k); }

size_t LC_KERNEL(logspace_work)(ptrdiff_t k) {
  ptrdiff_t T = rows_at_a_time(k);
  return ALIGNMENT + piece((size_t)(max_size(k, 1) * T) * sizeof(real)) + piece((size_t)T * sizeof(real));
}

/* The log-sum-exp of column t of a K x T tile where the largest value m is not finite: math of the edge rules. */
static real lse_at_the_edge(ptrdiff_t k, ptrdiff_t T, const real *column) {
  real largest = -(real)INFINITY;
  for (ptrdiff_t j = 0; j < k; j++) {
    real a = column[j * T];
    if (a != a) return a;
    if (a > largest) largest = a;
  }
  return largest;
}

/* lse[t] = log sum_j exp(a[j * T + t]) for t < rows; and a becomes the responsibilities, if they are wanted. */
LC_INLINE void lse_tile(const int want_responsibilities, ptrdiff_t rows, ptrdiff_t k, ptrdiff_t T, real *a, real *lse) {
  const vec lowest = broadcast(-REAL_MAX);
  for (ptrdiff_t t = 0; t < rows; t += 2 * LANES) {
    vec m0 = lowest, m1 = lowest;
    for (ptrdiff_t j = 0; j < k; j++) {
      m0 = max_vec(load(a + j * T + t), m0);
      m1 = max_vec(load(a + j * T + t + LANES), m1);
    }
    vec s0 = {0}, s1 = {0};
    for (ptrdiff_t j = 0; j < k; j++) {
      vec e0 = exp_nonpositive(load(a + j * T + t) - m0), e1 = exp_nonpositive(load(a + j * T + t + LANES) - m1);
      s0 += e0;
      s1 += e1;
      if (want_responsibilities) {
        store(a + j * T + t, e0);
        store(a + j * T + t + LANES, e1);
      }
    }
    store(lse + t, m0 + log_vec(s0));
    store(lse + t + LANES, m1 + log_vec(s1));
    if (want_responsibilities) {
      vec one = broadcast(REAL(1.0));
      s0 = one / s0;
      s1 = one / s1;
      for (ptrdiff_t j = 0; j < k; j++) {
        store(a + j * T + t, load(a + j * T + t) * s0);
        store(a + j * T + t + LANES, load(a + j * T + t + LANES) * s1);
      }
    }
  }
}

void LC_KERNEL(logsumexp)(ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_stride, real *out, void *work) {
  ptrdiff_t T = rows_at_a_time(k);
  arena pieces = arena_at(work);
  real *tile = take(&pieces, (size_t)(max_size(k, 1) * T) * sizeof(real)), *lse = take(&pieces, (size_t)T * sizeof(real));
  for (ptrdiff_t start = 0; start < n; start += T) {
    ptrdiff_t rows = min_size(T, n - start);
    turn_in(rows, k, a + start * a_stride, a_stride, T, tile);
    lse_tile(0, rows, k, T, tile, lse);
    for (ptrdiff_t t = 0; t < rows; t++) {
      /* -inf or NaN came out of a row whose largest value is not a finite number */
      if (!(lse[t] >= -REAL_MAX && lse[t] <= REAL_MAX)) lse[t] = lse_at_the_edge(k, T, tile + t);
      out[start + t] = lse[t];
    }
  }
}

void LC_KERNEL(responsibilities)(ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_stride, real *r, ptrdiff_t r_stride,
                                 real *lse_out, void *work) {
  ptrdiff_t T = rows_at_a_time(k);
  arena pieces = arena_at(work);
  real *tile = take(&pieces, (size_t)(max_size(k, 1) * T) * sizeof(real)), *lse = take(&pieces, (size_t)T * sizeof(real));
  for (ptrdiff_t start = 0; start < n; start += T) {
    ptrdiff_t rows = min_size(T, n - start);
    turn_in(rows, k, a + start * a_stride, a_stride, T, tile);
    lse_tile(1, rows, k, T, tile, lse);
    for (ptrdiff_t t = 0; t < rows; t++) {
      if (lse[t] >= -REAL_MAX && lse[t] <= REAL_MAX) continue;
      /* the tile holds responsibilities now: read the row itself */
      lse[t] = lse_at_the_edge(k, 1, a + (start + t) * a_stride);
      for (ptrdiff_t j = 0; j < k; j++) tile[j * T + t] = (real)NAN;
    }
    turn_out(rows, k, tile, T, r + start * r_stride, r_stride);
    if (lse_out) memcpy(lse_out + start, lse, (size_t)rows * sizeof(real));
  }
}
