/* What every function returns, and which instruction set the kernels use.
 *
 * The library allocates nothing, does no input or output, takes no locks, and keeps no state but the chosen
 * instruction set. All functions may be called from any number of threads at once. */
#ifndef LATENTCORE_STATUS_H
#define LATENTCORE_STATUS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define LC_PUBLIC
#else
#define LC_PUBLIC __attribute__((visibility("default")))
#endif

/* 0 is success. After an error the outputs are unspecified and nothing outside them was written. */
typedef enum lc_status {
  LC_OK = 0,
  LC_BAD_ARGUMENT = -1,        /* a size is not positive, a needed pointer is NULL, or an option is unknown */
  LC_ISA_UNAVAILABLE = -2,     /* LATENTCORE_ISA names an instruction set that is unknown or that this processor lacks */
  LC_NOT_POSITIVE_DEFINITE = -3, /* a covariance has no Cholesky factor; `where` tells which component */
  LC_IMPOSSIBLE_ROW = -4       /* a row has density zero under every component, or is not a number; `where` tells which */
} lc_status;

/* A sentence for a status; never NULL. */
LC_PUBLIC const char *lc_status_message(lc_status status);

/* The library's version, "major.minor.patch". */
LC_PUBLIC const char *lc_version(void);

/* The instruction set in use: "base" (the platform's minimum), "v3" (AVX2 and FMA) or "v4" (AVX-512).
 * Chosen at the first call of any function: the best that the processor has, or what the environment variable
 * LATENTCORE_ISA names. NULL if that is unavailable; then every kernel returns LC_ISA_UNAVAILABLE. */
LC_PUBLIC const char *lc_isa(void);

/* Whether this build and this processor can run the named instruction set: 1 or 0. */
LC_PUBLIC int lc_isa_available(const char *name);

/* Use the named instruction set from now on, for tests and measurements. LC_ISA_UNAVAILABLE leaves the choice as it was. */
LC_PUBLIC lc_status lc_isa_force(const char *name);

#ifdef __cplusplus
}
#endif
#endif
