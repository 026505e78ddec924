/* A test program: checks that print what failed and go on, a count of failures, and memory that sanitizers can watch.
 *
 * Compiled once per precision where the subject has two: `real` is the type of the data, LC(name) the function's name. */
#ifndef CHECK_H
#define CHECK_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "latentcore/latentcore.h"

#ifdef SINGLE
typedef float real;
#define LC(name) lc_##name##_f32
#define REAL_EPSILON ((double)FLT_EPSILON)
#define REAL_SMALLEST ((double)FLT_MIN)
#define REAL_LARGEST FLT_MAX
#else
typedef double real;
#define LC(name) lc_##name##_f64
#define REAL_EPSILON DBL_EPSILON
#define REAL_SMALLEST DBL_MIN
#define REAL_LARGEST DBL_MAX
#endif

/* Responsibilities of about the smallest normal number may be 0. */
#define TINY (2 * REAL_SMALLEST)

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { SKIPPED = 77, REPORTED_FAILURES = 20 };

static int failures = 0;

/* One line per failure: where, what, and the format's words about the case. */
#define FAIL(...)                                                                                                      \
  do {                                                                                                                 \
    if (failures++ < REPORTED_FAILURES) {                                                                              \
      printf("%s:%d: %s: ", __FILE__, __LINE__, __func__);                                                             \
      printf(__VA_ARGS__);                                                                                             \
      printf("\n");                                                                                                    \
    }                                                                                                                  \
  } while (0)

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) FAIL("not true: %s", #condition);                                                                \
  } while (0)

#define CHECK_STATUS(call, wanted)                                                                                     \
  do {                                                                                                                 \
    lc_status status_ = (call);                                                                                        \
    if (status_ != (wanted)) FAIL("%s: status %d, wanted %s", #call, (int)status_, #wanted);                           \
  } while (0)

/* A NaN is close to nothing; equal infinities are close. */
static inline int close_to(long double got, long double wanted, long double tolerance) {
  return got == wanted || fabsl(got - wanted) <= tolerance;
}

#define CHECK_CLOSE(got, wanted, tolerance, ...)                                                                       \
  do {                                                                                                                 \
    long double got_ = (got), wanted_ = (wanted), tolerance_ = (tolerance);                                            \
    if (!close_to(got_, wanted_, tolerance_)) {                                                                        \
      FAIL("%s = %.20Lg, wanted %.20Lg within %.2Lg", #got, got_, wanted_, tolerance_);                                \
      if (failures <= REPORTED_FAILURES) {                                                                             \
        printf("    case: " __VA_ARGS__);                                                                              \
        printf("\n");                                                                                                  \
      }                                                                                                                \
    }                                                                                                                  \
  } while (0)

#define RUN(test)                                                                                                      \
  do {                                                                                                                 \
    int before_ = failures;                                                                                            \
    test();                                                                                                            \
    printf("%s %s\n", failures == before_ ? "ok    " : "FAILED", #test);                                               \
  } while (0)

/* Exit with 77, which `meson test` counts as skipped, if LATENTCORE_ISA names a level that this processor lacks. */
static inline void begin(void) {
  const char *wanted = getenv("LATENTCORE_ISA");
  if (wanted != NULL && !lc_isa_available(wanted)) {
    printf("SKIPPED: this processor or build has no instruction set \"%s\"\n", wanted);
    exit(SKIPPED);
  }
  printf("instruction set: %s\n", lc_isa());
  if (wanted != NULL && strcmp(lc_isa(), wanted) != 0) FAIL("LATENTCORE_ISA is %s, in use is %s", wanted, lc_isa());
}

static inline int end(void) {
  if (failures) printf("%d checks failed\n", failures);
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Memory of exactly so many bytes, so that AddressSanitizer sees the first byte beyond. The addresses are odd
 * multiples of 8, which is all that a caller's array of doubles promises. */
static inline void *exactly(size_t bytes) {
  char *memory = malloc(bytes + 8);
  if (memory == NULL) {
    printf("out of memory\n");
    exit(EXIT_FAILURE);
  }
  memset(memory, 0xA5, bytes + 8);
  return memory + 8;
}

static inline void release(void *memory) { free((char *)memory - 8); }

static inline double *doubles(ptrdiff_t n) { return exactly((size_t)n * sizeof(double)); }

static inline real *reals(ptrdiff_t n) { return exactly((size_t)n * sizeof(real)); }

static inline void fill(ptrdiff_t n, double *x, double value) {
  for (ptrdiff_t i = 0; i < n; i++) x[i] = value;
}

/* A repeatable stream of numbers (splitmix64). */
static uint64_t random_state = 1;

static inline double uniform(void) {
  uint64_t z = (random_state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Mean 0 and variance 1, roughly bell-shaped. */
static inline double normal(void) {
  double sum = 0;
  for (int i = 0; i < 12; i++) sum += uniform();
  return sum - 6;
}

#endif
