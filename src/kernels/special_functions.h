/* log Gamma and its first two derivatives on vectors, for x > 0: the recurrence lifts small x by SHIFT, and the asymptotic
 * series in 1 / y (Abramowitz and Stegun 1964, 6.1.40, 6.3.18, 6.4.12) does the rest. Errors are in special.h.
 *
 * +inf gives the limit at infinity, 0 (of either sign) the limit from above, a negative number or NaN NaN. */
#ifndef LC_SPECIAL_FUNCTIONS_H
#define LC_SPECIAL_FUNCTIONS_H

#include "elementary.h"

/* From x = LIFTED_BELOW on nothing is lifted, so that no product of the factors overflows. */
#if LC_F32
#define SHIFT 4.0f
#define LIFTED_BELOW 8.0f
#define TINY 0x1p-30f
#else
#define SHIFT 8.0
#define LIFTED_BELOW 16.0
#define TINY 0x1p-60
#endif
#define HALF_LOG_2_PI REAL(0.91893853320467274178)

/* x (x + 1) ... (x + SHIFT - 1) by the pairs (x + i) (x + SHIFT - 1 - i) = u + c_i. */
LC_INLINE vec pair_product(vec x) { return x * (x + (SHIFT - REAL(1.0))); }

LC_INLINE vec horner(const int n, const real *coefficients, vec x) {
  vec sum = broadcast(coefficients[n - 1]);
  _Pragma("GCC unroll 8") for (int i = n - 2; i >= 0; i--) sum = sum * x + coefficients[i];
  return sum;
}
#define HORNER(coefficients, x) horner((int)(sizeof(coefficients) / sizeof(real)), coefficients, x)

/* y, where the series is good, from x */
LC_INLINE vec lifted(ivec small, vec x) { return select_vec(small, x + SHIFT, x); }

LC_INLINE vec positive_or_nan(vec x, vec result) { return select_vec((ivec)(x < (vec){0}), broadcast((real)NAN), result); }

LC_INLINE vec lgamma_positive(vec x) {
#if LC_F32
  static const real series[] = {1.0f / 12, -1.0f / 360, 1.0f / 1260, -1.0f / 1680};
#else
  static const real series[] = {1.0 / 12,   -1.0 / 360,        1.0 / 1260, -1.0 / 1680,
                                1.0 / 1188, -691.0 / 360360.0, 1.0 / 156,  -3617.0 / 122400.0};
#endif
  const vec zero = {0}, one = broadcast(REAL(1.0));
  ivec small = (ivec)(x < broadcast(LIFTED_BELOW)), tiny = (ivec)(x < broadcast(TINY));
  vec y = lifted(small, x), w = one / y, w2 = w * w, u = pair_product(x);
  /* of the factors over y^SHIFT, which is moderate; log Gamma(x) = -log x where x is tiny */
#if LC_F32
  vec factors = (u * w2) * ((u + 2.0f) * w2);
#else
  vec factors = ((u * w2) * ((u + 6.0) * w2)) * (((u + 10.0) * w2) * ((u + 12.0) * w2));
#endif
  vec lift = select_vec(small, log_vec(select_vec(tiny, x, factors)), zero);
  /* (y - 1/2) log y - y + log(2 pi) / 2 - SHIFT log y, in parts that do not overflow before the result */
  vec constant = select_vec(small, broadcast(HALF_LOG_2_PI - REAL(0.5) - SHIFT), broadcast(HALF_LOG_2_PI - REAL(0.5)));
  vec stirling = ((x - REAL(0.5)) * (log_vec(y) - REAL(1.0)) + constant) + w * HORNER(series, w2);
  vec result = select_vec(tiny, zero, stirling) - lift;
  return positive_or_nan(x, result);
}

LC_INLINE vec digamma_positive(vec x) {
#if LC_F32
  static const real series[] = {1.0f / 12, -1.0f / 120, 1.0f / 252, -1.0f / 240};
#else
  static const real series[] = {1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132, -691.0 / 32760, 1.0 / 12, -3617.0 / 8160};
#endif
  const vec zero = {0}, one = broadcast(REAL(1.0));
  x = x + zero; /* -0 becomes 0 */
  ivec small = (ivec)(x < broadcast(LIFTED_BELOW));
  vec y = lifted(small, x), w = one / y, w2 = w * w;
  vec inside = select_vec(small, x, one), u = pair_product(inside);
  /* 1 / (x + i) + 1 / (x + SHIFT - 1 - i) = (2 x + SHIFT - 1) / (u + c_i) */
#if LC_F32
  vec a = u, b = u + 2.0f, top = a + b, bottom = a * b;
#else
  vec a = u, b = u + 6.0, c = u + 10.0, d = u + 12.0, ab = a * b, cd = c * d;
  vec top = (a + b) * cd + (c + d) * ab, bottom = ab * cd;
#endif
  vec lift = select_vec(small, (REAL(2.0) * inside + (SHIFT - REAL(1.0))) * (top / bottom), zero);
  vec result = log_vec(y) - (REAL(0.5) * w + w2 * HORNER(series, w2)) - lift;
  return positive_or_nan(x, result);
}

LC_INLINE vec trigamma_positive(vec x) {
#if LC_F32
  static const real series[] = {1.0f / 6, -1.0f / 30, 1.0f / 42, -1.0f / 30};
#else
  static const real series[] = {1.0 / 6, -1.0 / 30, 1.0 / 42, -1.0 / 30, 5.0 / 66, -691.0 / 2730, 7.0 / 6, -3617.0 / 510};
#endif
  const vec zero = {0}, one = broadcast(REAL(1.0));
  ivec small = (ivec)(x < broadcast(LIFTED_BELOW));
  vec y = lifted(small, x), w = one / y, w2 = w * w;
  vec u = pair_product(select_vec(small, x, one)), uu = REAL(2.0) * u;
  /* (x + i)^2 + (x + SHIFT - 1 - i)^2 = 2 u + e_i, over (u + c_i)^2 */
#if LC_F32
  vec a = u * u, b = (u + 2.0f) * (u + 2.0f);
  vec top = (uu + 9.0f) * b + (uu + 5.0f) * a, bottom = a * b;
#else
  vec a = u * u, b = (u + 6.0) * (u + 6.0), c = (u + 10.0) * (u + 10.0), d = (u + 12.0) * (u + 12.0), ab = a * b, cd = c * d;
  vec top = ((uu + 49.0) * b + (uu + 37.0) * a) * cd + ((uu + 29.0) * d + (uu + 25.0) * c) * ab, bottom = ab * cd;
#endif
  vec lift = select_vec(small, top / bottom, zero);
  vec result = (w + (REAL(0.5) * w2 + (w * w2) * HORNER(series, w2))) + lift;
  return positive_or_nan(x, result);
}

#endif
