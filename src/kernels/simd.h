/* Vectors of reals in the width of the target, by the compiler's vector extensions. With LANES reals to a vector, a
 * "vector" in a tile is LANES consecutive rows of one feature or one component. */
#ifndef LC_SIMD_H
#define LC_SIMD_H

#include "real.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#include <immintrin.h>
#define VECTOR_BYTES 32
#else
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#define VECTOR_BYTES 16
#endif

#if LC_F32
#define LANES (VECTOR_BYTES / 4)
#else
#define LANES (VECTOR_BYTES / 8)
#endif

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef bits ivec __attribute__((vector_size(VECTOR_BYTES)));
typedef unsigned_bits uvec __attribute__((vector_size(VECTOR_BYTES))); /* for sums of bits that wrap */
typedef real vec_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

LC_INLINE vec load(const real *p) { return *(const vec_unaligned *)p; }
LC_INLINE void store(real *p, vec v) { *(vec_unaligned *)p = v; }
LC_INLINE vec broadcast(real x) { return x - (vec){0}; }
LC_INLINE vec select_vec(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }

/* Whether a mask (all ones or all zeros, lane by lane) has ones. */
LC_INLINE int any_lane(ivec mask) {
#if VECTOR_BYTES == 64
  return _mm512_test_epi64_mask((__m512i)mask, (__m512i)mask) != 0;
#elif VECTOR_BYTES == 32
  return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
  bits any = 0;
  _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) any |= mask[i];
  return any != 0;
#endif
}

/* The larger lane by lane; b where either is NaN. */
LC_INLINE vec max_vec(vec a, vec b) {
#if LC_F32 && VECTOR_BYTES == 64
  return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif VECTOR_BYTES == 64
  return (vec)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif LC_F32 && VECTOR_BYTES == 32
  return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif VECTOR_BYTES == 32
  return (vec)_mm256_max_pd((__m256d)a, (__m256d)b);
#else
  return select_vec((ivec)(a > b), a, b);
#endif
}

/* Two vectors woven with stride s (1, 2, 4, ... below LANES): blocks of s lanes, alternately from a and from b.
 * weave_low takes the even blocks of both, weave_high the odd ones. LANES vectors transpose in log2(LANES) rounds, and
 * LANES sums fold in as many rounds of weave_low + weave_high. */
#define LOW(i, s) ((i) & (s) ? LANES + (i) - (s) : (i))
#define HIGH(i, s) ((i) & (s) ? LANES + (i) : (i) + (s))
#define LIST2(f, s) f(0, s), f(1, s)
#define LIST4(f, s) LIST2(f, s), f(2, s), f(3, s)
#define LIST8(f, s) LIST4(f, s), f(4, s), f(5, s), f(6, s), f(7, s)
#define LIST16(f, s) LIST8(f, s), f(8, s), f(9, s), f(10, s), f(11, s), f(12, s), f(13, s), f(14, s), f(15, s)
#define LISTN_(n, f, s) LIST##n(f, s)
#define LISTN(n, f, s) LISTN_(n, f, s)
#if VECTOR_BYTES == 64 && LC_F32
#define LANES_LITERAL 16
#elif (VECTOR_BYTES == 64) || (VECTOR_BYTES == 32 && LC_F32)
#define LANES_LITERAL 8
#elif (VECTOR_BYTES == 32) || LC_F32
#define LANES_LITERAL 4
#else
#define LANES_LITERAL 2
#endif
#if defined(__clang__)
#define WEAVE(a, b, f, s) __builtin_shufflevector(a, b, LISTN(LANES_LITERAL, f, s))
#else
#define WEAVE(a, b, f, s) __builtin_shuffle(a, b, (ivec){LISTN(LANES_LITERAL, f, s)})
#endif

/* Lane i of v and lane i ^ s change places. */
#define ACROSS(i, s) ((i) ^ (s))
#define SWAPPED(v, s) WEAVE(v, v, ACROSS, s)

#define DEFINE_WEAVE(s)                                                                    \
  LC_INLINE vec weave_low_##s(vec a, vec b) { return WEAVE(a, b, LOW, s); }                \
  LC_INLINE vec weave_high_##s(vec a, vec b) { return WEAVE(a, b, HIGH, s); }
DEFINE_WEAVE(1)
#if LANES_LITERAL >= 4
DEFINE_WEAVE(2)
#endif
#if LANES_LITERAL >= 8
DEFINE_WEAVE(4)
#endif
#if LANES_LITERAL >= 16
DEFINE_WEAVE(8)
#endif

#define WEAVE_ROUND(v, s)                                    \
  _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) { \
    if (!(i & (s))) {                                        \
      vec low = weave_low_##s(v[i], v[i + (s)]);             \
      v[i + (s)] = weave_high_##s(v[i], v[i + (s)]);         \
      v[i] = low;                                            \
    }                                                        \
  }

/* Transpose a LANES x LANES block in registers. */
LC_INLINE void transpose_block(vec v[LANES]) {
  WEAVE_ROUND(v, 1)
#if LANES_LITERAL >= 4
  WEAVE_ROUND(v, 2)
#endif
#if LANES_LITERAL >= 8
  WEAVE_ROUND(v, 4)
#endif
#if LANES_LITERAL >= 16
  WEAVE_ROUND(v, 8)
#endif
}

#define FOLD_ROUND(v, s)                                            \
  _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i += 2 * (s)) \
    v[i] = weave_low_##s(v[i], v[i + (s)]) + weave_high_##s(v[i], v[i + (s)]);

/* Lane i of the result is the sum of the lanes of v[i]. */
LC_INLINE vec fold_sums(vec v[LANES]) {
  FOLD_ROUND(v, 1)
#if LANES_LITERAL >= 4
  FOLD_ROUND(v, 2)
#endif
#if LANES_LITERAL >= 8
  FOLD_ROUND(v, 4)
#endif
#if LANES_LITERAL >= 16
  FOLD_ROUND(v, 8)
#endif
  return v[0];
}

/* The sum of the lanes, in double. */
LC_INLINE double sum_lanes(vec v) {
  double sum = 0;
  _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) sum += (double)v[i];
  return sum;
}

/* sums[i] = the sum of the lanes of v[i], i < n; n is a constant where this is inlined, sums has n rounded up to LANES. */
LC_INLINE void fold_all(const int n, const vec *v, real *sums) {
  for (int start = 0; start < n; start += LANES) {
    vec block[LANES];
    _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) block[i] = start + i < n ? v[start + i] : (vec){0};
    store(sums + start, fold_sums(block));
  }
}

#endif
