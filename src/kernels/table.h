/* One table of kernels for each instruction set. The pointers have the types of the public functions without their
 * status where a kernel cannot fail. */
#ifndef LC_TABLE_H
#define LC_TABLE_H

#include <stdint.h>

#include "latentcore/components.h"

/* Where rows come from: dense rows x, or with begins and columns sparse ones, whose entries x are. */
#define LC_MATRIX_OF(real)  \
  struct {                  \
    const real *x;          \
    ptrdiff_t stride;       \
    const int64_t *begins;  \
    const int32_t *columns; \
  }
typedef LC_MATRIX_OF(float) lc_matrix_f32;
typedef LC_MATRIX_OF(double) lc_matrix_f64;

#define LC_TABLE_OF(real, matrix)                                                                                                     \
  struct {                                                                                                                    \
    void (*exp)(ptrdiff_t, const real *, real *);                                                                             \
    void (*log)(ptrdiff_t, const real *, real *);                                                                             \
    size_t (*logspace_work)(ptrdiff_t);                                                                                       \
    void (*logsumexp)(ptrdiff_t, ptrdiff_t, const real *, ptrdiff_t, real *, void *);                                         \
    void (*responsibilities)(ptrdiff_t, ptrdiff_t, const real *, ptrdiff_t, real *, ptrdiff_t, real *, void *);               \
    size_t (*mixture_work)(const lc_components *);                                                                            \
    size_t (*mixture_csr_work)(const lc_components *);                                                                        \
    lc_status (*mixture_em_sweep)(ptrdiff_t, const matrix *, const double *, const int *, int, const lc_components *,         \
                                  const lc_moments *, double *, ptrdiff_t *, void *);                                         \
    void (*mixture_rows)(ptrdiff_t, const matrix *, const lc_components *, real *, real *, real *, ptrdiff_t *, void *);      \
    void (*mixture_moments)(ptrdiff_t, const matrix *, const real *, ptrdiff_t, const lc_components *, const lc_moments *,    \
                            void *);                                                                                          \
    size_t (*kmeans_work)(ptrdiff_t, ptrdiff_t);                                                                              \
    void (*kmeans_sweep)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const real *, ptrdiff_t, const double *, const double *, int *,     \
                         double *, double *, double *, double *, void *);                                                     \
    void (*kmeans_potentials)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const real *, ptrdiff_t, const double *, const double *,       \
                              const double *, double *, void *);                                                              \
    void (*lgamma)(ptrdiff_t, const real *, real *);                                                                          \
    void (*digamma)(ptrdiff_t, const real *, real *);                                                                         \
    void (*trigamma)(ptrdiff_t, const real *, real *);                                                                        \
    void (*sin_cos)(ptrdiff_t, const real *, real *, real *);                                                                 \
  }

typedef LC_TABLE_OF(float, lc_matrix_f32) lc_table_f32;
typedef LC_TABLE_OF(double, lc_matrix_f64) lc_table_f64;

/* Rows of log-densities of either precision, and where to write posteriors, for kernels that reckon in double. */
typedef struct {
  const void *x;
  ptrdiff_t stride;
  int is_f32;
} lc_hmm_rows;
typedef struct {
  void *x;
  ptrdiff_t stride;
  int is_f32;
} lc_hmm_targets;

/* What needs doubles only. */
typedef struct lc_table_parameters {
  lc_status (*cholesky)(ptrdiff_t, const double *, double *);
  void (*inverse_transpose)(ptrdiff_t, const double *, double *);
  void (*gaussian_statistics)(lc_family, ptrdiff_t, ptrdiff_t, const lc_moments *, double *, double *, int *);
  void (*gaussian_add)(lc_family, ptrdiff_t, ptrdiff_t, double *, double *, double *, const double *, const double *,
                       const double *);
  void (*gaussian_covariances)(lc_family, ptrdiff_t, ptrdiff_t, const double *, const double *, double, double *);
  lc_status (*gaussian_factors)(lc_family, ptrdiff_t, ptrdiff_t, const double *, double *, double *, ptrdiff_t *, double *);
  lc_status (*gaussian_expected)(lc_family, ptrdiff_t, ptrdiff_t, const double *, const double *, const double *, double *,
                                 double *, ptrdiff_t *, double *);
  void (*multivariate_lgamma)(ptrdiff_t, ptrdiff_t, const double *, double *);
  size_t (*hmm_work)(ptrdiff_t, ptrdiff_t);
  void (*hmm_forward)(ptrdiff_t, const int64_t *, ptrdiff_t, const lc_hmm_rows *, const double *, const double *, double *,
                      double *, double *, void *);
  void (*hmm_forward_backward)(ptrdiff_t, const int64_t *, ptrdiff_t, const lc_hmm_rows *, const double *, const double *,
                               const double *, const double *, double *, const lc_hmm_targets *, double *, double *, void *);
  size_t (*hmm_viterbi_work)(ptrdiff_t, ptrdiff_t);
  void (*hmm_viterbi)(ptrdiff_t, const int64_t *, ptrdiff_t, const lc_hmm_rows *, const double *, const double *, ptrdiff_t,
                      int32_t *, double *, double *, void *);
  size_t (*hmm_sample_work)(ptrdiff_t);
  void (*hmm_sample)(ptrdiff_t, const int64_t *, ptrdiff_t, const double *, const double *, ptrdiff_t, const double *,
                     ptrdiff_t, int32_t *, void *);
} lc_table_parameters;

#define LC_DECLARE_TABLES(isa)             \
  extern const lc_table_f32 lc_f32_##isa;  \
  extern const lc_table_f64 lc_f64_##isa;  \
  extern const lc_table_parameters lc_parameters_##isa;

#endif
