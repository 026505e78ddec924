/* One source for both precisions and every instruction set: `real` is the type of data, log-densities and
 * responsibilities; LC_KERNEL(name) is the name of this copy, such as lc_name_f64_v3.
 * The build defines LC_F32 (0 or 1) and LC_ISA (base, v3, v4). */
#ifndef LC_REAL_H
#define LC_REAL_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LC_PASTE4(a, b, c, d) a##b##c##d
#define LC_JOIN4(a, b, c, d) LC_PASTE4(a, b, c, d)

#if LC_F32
typedef float real;
typedef int32_t bits;
typedef uint32_t unsigned_bits;
#define LC_PRECISION _f32_
#define REAL(x) x##f
#define REAL_MAX FLT_MAX
#else
typedef double real;
typedef int64_t bits;
typedef uint64_t unsigned_bits;
#define LC_PRECISION _f64_
#define REAL(x) x
#define REAL_MAX DBL_MAX
#endif

#define LC_KERNEL(name) LC_JOIN4(lc_, name, LC_PRECISION, LC_ISA)

#define LC_INLINE static inline __attribute__((always_inline))

#endif
