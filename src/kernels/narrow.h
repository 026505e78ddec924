/* Functions on rows of a few doubles, SMALL_WIDTH of them, that stay in registers: SMALL(row) in SMALL_VECTORS parts. A file
 * of such functions is included once for each width, by
 *     #define SMALL_WIDTH 2
 *     #include "file.h"
 *     #undef SMALL_WIDTH                                                                                       and so on. */
#ifndef LC_NARROW_H
#define LC_NARROW_H

#include "simd.h"

#define SMALL_LANES (SMALL_WIDTH < LANES ? SMALL_WIDTH : LANES)
#define SMALL_VECTORS (SMALL_WIDTH / SMALL_LANES)
#define NARROW_(name, width) name##_##width
#define NARROW(name, width) NARROW_(name, width)
#define SMALL(name) NARROW(name, SMALL_WIDTH)
#define EACH _Pragma("GCC unroll 8")

#define SMALL_WIDTH 2
#include "narrow_row.h"
#undef SMALL_WIDTH
#define SMALL_WIDTH 4
#include "narrow_row.h"
#undef SMALL_WIDTH
#define SMALL_WIDTH 8
#include "narrow_row.h"
#undef SMALL_WIDTH

#endif
