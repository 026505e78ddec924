/* exp and log on vectors, at most 2 ulp from the true value, sine and cosine at most 2^-52 (2^-23) from it (tested
 * against 50-digit arithmetic). */
#ifndef LC_ELEMENTARY_H
#define LC_ELEMENTARY_H

#include "simd.h"

/* x + ROUNDER - ROUNDER rounds x to an integer, and x + ROUNDER holds that integer in its low bits.
 * LN2_HIGH has trailing zeros enough that n * LN2_HIGH is exact for every exponent n. */
#if LC_F32
#define ROUNDER 0x1.8p23f
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define EXP_LOWEST -87.0f
#define EXP_HIGHEST 0x1.62e42ep+6f
#define SMALLEST_NORMAL FLT_MIN
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW 0x1.7f7d1cp-20f
#else
#define ROUNDER 0x1.8p52
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define EXP_LOWEST -708.0
#define EXP_HIGHEST 0x1.62e42fefa39efp+9
#define SMALLEST_NORMAL DBL_MIN
#define LN2_HIGH 0x1.62e42fee00000p-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#endif
#define LOG2_E REAL(0x1.71547652b82fep+0)

/* exp(r), |r| <= ln 2 / 2, as 1 + r + r^2 p(r); p is a Chebyshev fit of (e^r - 1 - r) / r^2. */
LC_INLINE vec exp_reduced(vec r) {
  vec r2 = r * r;
#if LC_F32
  vec p = (0.5f + r * 0x1.5554dcp-3f) + r2 * ((0x1.555518p-5f + r * 0x1.120ba2p-7f) + r2 * 0x1.6d113cp-10f);
#else
  vec r4 = r2 * r2;
  vec p0 = (0x1.0000000000001p-1 + r * 0x1.5555555555556p-3) + r2 * (0x1.5555555553d4fp-5 + r * 0x1.11111111109adp-7);
  vec p4 = (0x1.6c16c17893833p-10 + r * 0x1.a01a01a7c8d47p-13) + r2 * (0x1.a019b8ef67c6cp-16 + r * 0x1.71de0d9c145d0p-19);
  vec p8 = 0x1.2891a8c1d838dp-22 + r * 0x1.af38d53857513p-26;
  vec p = p0 + r4 * (p4 + r4 * p8);
#endif
  return REAL(1.0) + (r + r2 * p);
}

/* exp(x) for x <= 1, as in every sweep (x is a log-density minus the largest). 0 below EXP_LOWEST; NaN stays NaN. */
LC_INLINE vec exp_nonpositive(vec x) {
  ivec underflows = (ivec)(x < broadcast(EXP_LOWEST));
  vec shifted = x * LOG2_E + ROUNDER;
  vec n = shifted - ROUNDER;
  vec r = (x - n * LN2_HIGH) - n * LN2_LOW;
  uvec scale = ((uvec)shifted << MANTISSA_BITS) + (uvec)broadcast(REAL(1.0));
  return (vec)(~underflows & (ivec)(exp_reduced(r) * (vec)scale));
}

/* exp(x) for every x: +inf above EXP_HIGHEST, and 0 where the result would be subnormal. */
LC_INLINE vec exp_vec(vec x) {
  vec low = broadcast(LC_F32 ? REAL(-87.33654) : REAL(-708.3964185322641));
  ivec underflows = (ivec)(x < low), overflows = (ivec)(x > broadcast(EXP_HIGHEST));
  vec inside = select_vec(underflows | overflows, (vec){0}, x);
  vec shifted = inside * LOG2_E + ROUNDER;
  vec n = shifted - ROUNDER;
  vec r = (inside - n * LN2_HIGH) - n * LN2_LOW;
  /* 2^n by two factors, since 2^1024 (2^128) is no number */
  ivec exponent = (ivec)shifted - (ivec)broadcast(ROUNDER), half = exponent >> 1, one = (ivec)broadcast(REAL(1.0));
  vec result = exp_reduced(r) * (vec)((half << MANTISSA_BITS) + one) * (vec)(((exponent - half) << MANTISSA_BITS) + one);
  result = (vec)(~underflows & (ivec)result);
  return select_vec(overflows, broadcast((real)INFINITY), result);
}

/* log(x) = n log 2 + log(1 + f), sqrt(1/2) <= 1 + f < sqrt(2); with s = f / (2 + f),
 * log(1 + f) = f - (f^2/2 - s (f^2/2 + R(s^2))), R the odd series of atanh beyond its first term (minimax fit). */
LC_INLINE vec log_vec(vec x) {
  ivec subnormal = (ivec)(x < broadcast(SMALLEST_NORMAL));
  vec scaled = select_vec(subnormal, x * (LC_F32 ? REAL(0x1p25) : REAL(0x1p54)), x);
  /* n so that scaled / 2^n lies in [sqrt(1/2), sqrt(2)): subtract the bits of sqrt(1/2), keep the exponent */
  uvec offset = (uvec)broadcast(REAL(0x1.6a09e667f3bcdp-1));
  ivec n = (ivec)((uvec)scaled - offset) >> MANTISSA_BITS;
  vec f = (vec)((uvec)scaled - ((uvec)n << MANTISSA_BITS)) - REAL(1.0);
  /* integers to reals by the bits of ROUNDER */
  vec e = (vec)(n + (ivec)broadcast(ROUNDER)) - ROUNDER;
  e = e - (vec)(subnormal & (ivec)broadcast(LC_F32 ? REAL(25.0) : REAL(54.0)));
  vec s = f / (REAL(2.0) + f), s2 = s * s, s4 = s2 * s2;
#if LC_F32
  vec rest = s2 * (0.66666662693f + s4 * 0.28498786688f) + s4 * (0.40000972152f + s4 * 0.24279078841f);
#else
  vec rest = s2 * (0x1.5555555555593p-1 + s4 * (0x1.2492494229359p-2 + s4 * (0x1.7466496cb03dep-3 + s4 * 0x1.2f112df3e5244p-3))) +
             s4 * (0x1.999999997fa04p-2 + s4 * (0x1.c71c51d8e78afp-3 + s4 * 0x1.39a09d078c69fp-3));
#endif
  vec half_square = REAL(0.5) * f * f;
  vec result = e * LN2_HIGH - ((half_square - (s * (half_square + rest) + e * LN2_LOW)) - f);
  /* 0, negative, +inf, NaN */
  vec zero = {0}, infinity = broadcast((real)INFINITY);
  result = select_vec((ivec)(x == infinity), infinity, result);
  result = select_vec((ivec)(x == zero), -infinity, result);
  return select_vec((ivec)(x < zero) | (ivec)(x != x), broadcast((real)NAN), result);
}

/* n * HALF_PI_HIGH and n * HALF_PI_MIDDLE are exact for every multiple n of pi / 2 up to SIN_COS_FURTHEST. */
#if LC_F32
#define SIN_COS_FURTHEST 1e3f
#define HALF_PI_HIGH 0x1.921p+0f
#define HALF_PI_MIDDLE 0x1.f6ap-13f
#define HALF_PI_LOW 0x1.110b46p-26f
#else
#define SIN_COS_FURTHEST 1e4
#define HALF_PI_HIGH 0x1.921fb54440000p+0
#define HALF_PI_MIDDLE 0x1.68c234c4c0000p-39
#define HALF_PI_LOW 0x1.98a2e03707345p-77
#endif
#define TWO_OVER_PI REAL(0x1.45f306dc9c883p-1)

/* Lane by lane with the C library, whose reduction is exact however large x is. */
static __attribute__((noinline, unused)) void sin_cos_far(const real *x, real *sine, real *cosine) {
  for (int i = 0; i < LANES; i++) {
    sine[i] = (real)sin((double)x[i]);
    cosine[i] = (real)cos((double)x[i]);
  }
}

/* Sine and cosine of every x; NaN for infinities and NaN. x = n pi / 2 + r, |r| <= pi / 4; the polynomials are Chebyshev
 * fits of (sin r - r) / r^3 and (cos r - 1 + r^2 / 2) / r^4. Slow where a lane lies beyond SIN_COS_FURTHEST. */
LC_INLINE void sin_cos(vec x, vec *sine, vec *cosine) {
  const vec furthest = broadcast(SIN_COS_FURTHEST);
  if (any_lane(~((ivec)(x <= furthest) & (ivec)(x >= -furthest)))) {
    real far[LANES], sines[LANES], cosines[LANES];
    store(far, x);
    sin_cos_far(far, sines, cosines);
    *sine = load(sines);
    *cosine = load(cosines);
    return;
  }
  vec shifted = x * TWO_OVER_PI + ROUNDER;
  vec n = shifted - ROUNDER;
  vec r = ((x - n * HALF_PI_HIGH) - n * HALF_PI_MIDDLE) - n * HALF_PI_LOW;
  vec r2 = r * r;
#if LC_F32
  vec p = -0x1.555552p-3f + r2 * (0x1.110c28p-7f + r2 * -0x1.9ac96cp-13f);
  vec q = 0x1.555554p-5f + r2 * (-0x1.6c12d2p-10f + r2 * 0x1.9bd864p-16f);
#else
  vec r4 = r2 * r2;
  vec p0 = -0x1.5555555555555p-3 + r2 * 0x1.1111111110bb1p-7, p4 = -0x1.a01a019e8357dp-13 + r2 * 0x1.71de37961e4c6p-19;
  vec q0 = 0x1.5555555555555p-5 + r2 * -0x1.6c16c16c16966p-10, q4 = 0x1.a01a019f4e867p-16 + r2 * -0x1.27e4fa17a41b4p-22;
  vec p = p0 + r4 * (p4 + r4 * (-0x1.ae600a926c89ap-26 + r2 * 0x1.5e0af186af739p-33));
  vec q = q0 + r4 * (q4 + r4 * (0x1.1eeb68b109173p-29 + r2 * -0x1.907d7aebd5e3dp-37));
#endif
  vec sine_r = r + (r * r2) * p;
  vec cosine_r = (REAL(1.0) - REAL(0.5) * r2) + (r2 * r2) * q;
  /* an odd n swaps the two; sine changes its sign in quadrants 2 and 3, cosine in 1 and 2 */
  ivec quadrant = (ivec)shifted, odd = -(quadrant & 1), sign = (ivec)broadcast(REAL(-0.0));
  ivec of_sine = (quadrant << (8 * (int)sizeof(real) - 2)) & sign;
  ivec of_cosine = ((quadrant + 1) << (8 * (int)sizeof(real) - 2)) & sign;
  *sine = (vec)((ivec)select_vec(odd, cosine_r, sine_r) ^ of_sine);
  *cosine = (vec)((ivec)select_vec(odd, sine_r, cosine_r) ^ of_cosine);
}

/* out[i] = function(x[i]) */
LC_INLINE void elementwise(vec (*function)(vec), ptrdiff_t n, const real *x, real *out) {
  ptrdiff_t i = 0;
  for (; i + LANES <= n; i += LANES) store(out + i, function(load(x + i)));
  if (i < n) {
    real rest[LANES] = {0};
    memcpy(rest, x + i, (size_t)(n - i) * sizeof(real));
    store(rest, function(load(rest)));
    memcpy(out + i, rest, (size_t)(n - i) * sizeof(real));
  }
}

#endif
