/* The public functions: check the arguments, choose the instruction set once, call the kernel. */
#include "latentcore/latentcore.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "latentcore/api.h"
#include "table.h"

#ifndef LC_VERSION
#error "the build defines LC_VERSION"
#endif

/* ---- instruction sets ---------------------------------------------------------------------------------------------- */

LC_DECLARE_TABLES(base)
#ifdef LC_HAVE_X86
LC_DECLARE_TABLES(v3)
LC_DECLARE_TABLES(v4)
#endif

typedef struct {
  const char *name;
  const lc_table_f32 *f32;
  const lc_table_f64 *f64;
  const lc_table_parameters *parameters;
} isa;

/* Worst first. */
static const isa isas[] = {
    {"base", &lc_f32_base, &lc_f64_base, &lc_parameters_base},
#ifdef LC_HAVE_X86
    {"v3", &lc_f32_v3, &lc_f64_v3, &lc_parameters_v3},
    {"v4", &lc_f32_v4, &lc_f64_v4, &lc_parameters_v4},
#endif
};
#define N_ISAS ((int)(sizeof isas / sizeof isas[0]))

#ifdef LC_HAVE_X86
static void cpuid(unsigned leaf, unsigned subleaf, unsigned r[4]) {
  __asm__("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(subleaf));
}

static unsigned xgetbv(void) {
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

/* Index of the best set that the processor has and the operating system keeps the registers of. */
static int best_isa(void) {
  unsigned r[4];
  cpuid(0, 0, r);
  if (r[0] < 7) return 0;
  cpuid(1, 0, r);
  const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28;
  if (~r[2] & (fma | osxsave | avx)) return 0;
  unsigned kept = xgetbv();
  if ((kept & 0x6) != 0x6) return 0;
  cpuid(7, 0, r);
  const unsigned bmi1 = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8;
  if (~r[1] & (bmi1 | avx2 | bmi2)) return 0;
  const unsigned f = 1u << 16, dq = 1u << 17, cd = 1u << 28, bw = 1u << 30, vl = 1u << 31;
  if ((~r[1] & (f | dq | cd | bw | vl)) || (kept & 0xe6) != 0xe6) return 1;
  return 2;
}
#else
static int best_isa(void) { return 0; }
#endif

static int find_isa(const char *name) {
  for (int i = 0; i <= best_isa(); i++)
    if (strcmp(isas[i].name, name) == 0) return i;
  return -1;
}

#define UNDECIDED (-2)
#define UNAVAILABLE (-1)
/* The only state of the library. Written once, or by lc_isa_force; every thread would write the same first value. */
static atomic_int chosen = UNDECIDED;

static const isa *current(void) {
  int index = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (index == UNDECIDED) {
    const char *name = getenv("LATENTCORE_ISA");
    index = name && *name ? find_isa(name) : best_isa();
    atomic_store_explicit(&chosen, index, memory_order_relaxed);
  }
  return index == UNAVAILABLE ? NULL : &isas[index];
}

const char *lc_isa(void) {
  const isa *set = current();
  return set ? set->name : NULL;
}

int lc_isa_available(const char *name) { return name && find_isa(name) >= 0; }

lc_status lc_isa_force(const char *name) {
  int index = name ? find_isa(name) : -1;
  if (index < 0) return LC_ISA_UNAVAILABLE;
  atomic_store_explicit(&chosen, index, memory_order_relaxed);
  return LC_OK;
}

const char *lc_version(void) { return LC_VERSION; }

const char *lc_status_message(lc_status status) {
  switch (status) {
    case LC_OK: return "success";
    case LC_BAD_ARGUMENT: return "bad argument: a size is out of range, a needed pointer is NULL, or an option is unknown";
    case LC_ISA_UNAVAILABLE: return "LATENTCORE_ISA names an instruction set that is unknown or that this processor lacks";
    case LC_NOT_POSITIVE_DEFINITE: return "a covariance is not positive definite";
    case LC_IMPOSSIBLE_ROW: return "a row has density zero under every component, or is not a number";
  }
  return "unknown status";
}

/* ---- arguments ----------------------------------------------------------------------------------------------------- */

#define REQUIRE(condition) \
  if (!(condition)) return LC_BAD_ARGUMENT
#define CURRENT(set)            \
  const isa *set = current();   \
  if (!set) return LC_ISA_UNAVAILABLE

static int is_gaussian(lc_family family) { return family >= LC_GAUSSIAN_FULL && family <= LC_GAUSSIAN_SPHERICAL; }
static int is_linear(lc_family family) { return family >= LC_LINEAR && family <= LC_LINEAR_CODE; }

static int has_shape(const lc_components *c) {
  if (!c || c->n_components < 1 || c->n_features < 1) return 0;
  if (c->family != LC_LINEAR_CODE) return is_gaussian(c->family) || is_linear(c->family);
  for (ptrdiff_t j = 0; j < c->n_features; j++)
    if (!c->levels || c->levels[j] < 1) return 0;
  return 1;
}

/* Only T(x) = x has no entries where x has none. */
static int can_be_sparse(const lc_components *c) { return has_shape(c) && c->family == LC_LINEAR && !c->has_missing; }

static int is_complete(const lc_components *c) { return c->offsets && c->factors && (c->means || is_linear(c->family)); }

static int can_accumulate(const lc_components *c, const lc_moments *m) {
  if (!m || !m->counts || !m->first) return 0;
  if (is_linear(c->family)) return m->second || !c->has_missing;
  return m->centers && m->second;
}

static int has_rows(ptrdiff_t n, const int64_t *begins, const int32_t *columns, const void *values) {
  return n >= 0 && begins && (n == 0 || begins[n] == begins[0] || (columns && values));
}

/* Sequences have at least one row each, and rows to read. */
static int has_sequences(ptrdiff_t n, const int64_t *begins, const void *rows) {
  if (n < 0 || (n > 0 && !(begins && rows && begins[0] >= 0))) return 0;
  for (ptrdiff_t q = 0; q < n; q++)
    if (begins[q + 1] <= begins[q]) return 0;
  return 1;
}

/* ---- one public function for each precision ------------------------------------------------------------------------ */

#define DEFINE(real, p)                                                                                                       \
  lc_status lc_exp_##p(ptrdiff_t n, const real *x, real *out) {                                                               \
    REQUIRE(n >= 0 && (n == 0 || (x && out)));                                                                                \
    CURRENT(set);                                                                                                             \
    set->p->exp(n, x, out);                                                                                                   \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  lc_status lc_log_##p(ptrdiff_t n, const real *x, real *out) {                                                               \
    REQUIRE(n >= 0 && (n == 0 || (x && out)));                                                                                \
    CURRENT(set);                                                                                                             \
    set->p->log(n, x, out);                                                                                                   \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  size_t lc_logspace_work_##p(ptrdiff_t k) { return k < 0 ? 0 : isas[0].p->logspace_work(k); }                                \
  lc_status lc_logsumexp_##p(ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_stride, real *out, void *work) {            \
    REQUIRE(n >= 0 && k >= 0 && work && (n == 0 || (out && (a || k == 0))));                                                  \
    CURRENT(set);                                                                                                             \
    set->p->logsumexp(n, k, a, a_stride, out, work);                                                                          \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  lc_status lc_responsibilities_##p(ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_stride, real *r, ptrdiff_t r_stride, \
                                    real *lse, void *work) {                                                                  \
    REQUIRE(n >= 0 && k >= 0 && work && (n == 0 || k == 0 || (a && r)));                                                      \
    CURRENT(set);                                                                                                             \
    set->p->responsibilities(n, k, a, a_stride, r, r_stride, lse, work);                                                      \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  size_t lc_mixture_work_##p(const lc_components *c) { return has_shape(c) ? isas[0].p->mixture_work(c) : 0; }                \
  size_t lc_mixture_csr_work_##p(const lc_components *c) { return can_be_sparse(c) ? isas[0].p->mixture_csr_work(c) : 0; }    \
  lc_status lc_mixture_em_sweep_##p(ptrdiff_t n, const real *x, ptrdiff_t x_stride, const double *row_weights,                \
                                    const int *labels, int hard, const lc_components *components,                             \
                                    const lc_moments *moments, double *objective, ptrdiff_t *where, void *work) {             \
    REQUIRE(n >= 0 && (n == 0 || x) && has_shape(components) && is_complete(components));                                     \
    REQUIRE(can_accumulate(components, moments) && objective && where && work);                                               \
    CURRENT(set);                                                                                                             \
    const lc_matrix_##p rows = {x, x_stride, NULL, NULL};                                                                     \
    return set->p->mixture_em_sweep(n, &rows, row_weights, labels, hard, components, moments, objective, where, work);        \
  }                                                                                                                           \
  lc_status lc_mixture_rows_##p(ptrdiff_t n, const real *x, ptrdiff_t x_stride, const lc_components *components,              \
                                real *log_joint, real *responsibilities, real *log_density, ptrdiff_t *labels, void *work) {  \
    REQUIRE(n >= 0 && (n == 0 || x) && has_shape(components) && is_complete(components) && work);                             \
    CURRENT(set);                                                                                                             \
    const lc_matrix_##p rows = {x, x_stride, NULL, NULL};                                                                     \
    set->p->mixture_rows(n, &rows, components, log_joint, responsibilities, log_density, labels, work);                       \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  lc_status lc_mixture_moments_##p(ptrdiff_t n, const real *x, ptrdiff_t x_stride, const real *weights,                       \
                                   ptrdiff_t weights_stride, const lc_components *components, const lc_moments *moments,      \
                                   void *work) {                                                                              \
    REQUIRE(n >= 0 && (n == 0 || (x && weights)) && has_shape(components) && can_accumulate(components, moments) && work);    \
    CURRENT(set);                                                                                                             \
    const lc_matrix_##p rows = {x, x_stride, NULL, NULL};                                                                     \
    set->p->mixture_moments(n, &rows, weights, weights_stride, components, moments, work);                                    \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  lc_status lc_mixture_csr_em_sweep_##p(ptrdiff_t n, const int64_t *begins, const int32_t *columns, const real *values,       \
                                        const double *row_weights, const int *labels, int hard,                               \
                                        const lc_components *components, const lc_moments *moments, double *objective,        \
                                        ptrdiff_t *where, void *work) {                                                       \
    REQUIRE(has_rows(n, begins, columns, values) && can_be_sparse(components) && is_complete(components));                    \
    REQUIRE(can_accumulate(components, moments) && objective && where && work);                                               \
    CURRENT(set);                                                                                                             \
    const lc_matrix_##p rows = {values, 0, begins, columns};                                                                  \
    return set->p->mixture_em_sweep(n, &rows, row_weights, labels, hard, components, moments, objective, where, work);        \
  }                                                                                                                           \
  lc_status lc_mixture_csr_rows_##p(ptrdiff_t n, const int64_t *begins, const int32_t *columns, const real *values,           \
                                    const lc_components *components, real *log_joint, real *responsibilities,                 \
                                    real *log_density, ptrdiff_t *labels, void *work) {                                       \
    REQUIRE(has_rows(n, begins, columns, values) && can_be_sparse(components) && is_complete(components) && work);            \
    CURRENT(set);                                                                                                             \
    const lc_matrix_##p rows = {values, 0, begins, columns};                                                                  \
    set->p->mixture_rows(n, &rows, components, log_joint, responsibilities, log_density, labels, work);                       \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  lc_status lc_mixture_csr_moments_##p(ptrdiff_t n, const int64_t *begins, const int32_t *columns, const real *values,        \
                                       const real *weights, ptrdiff_t weights_stride, const lc_components *components,        \
                                       const lc_moments *moments, void *work) {                                               \
    REQUIRE(has_rows(n, begins, columns, values) && (n == 0 || weights) && can_be_sparse(components));                        \
    REQUIRE(can_accumulate(components, moments) && work);                                                                     \
    CURRENT(set);                                                                                                             \
    const lc_matrix_##p rows = {values, 0, begins, columns};                                                                  \
    set->p->mixture_moments(n, &rows, weights, weights_stride, components, moments, work);                                    \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  size_t lc_kmeans_work_##p(ptrdiff_t k, ptrdiff_t d) { return k < 1 || d < 1 ? 0 : isas[0].p->kmeans_work(k, d); }           \
  lc_status lc_kmeans_sweep_##p(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const real *x, ptrdiff_t x_stride,                     \
                                const double *row_weights, const double *centers, int *labels, double *distances,             \
                                double *counts, double *first, double *inertia, void *work) {                                 \
    REQUIRE(n >= 0 && k >= 1 && d >= 1 && (n == 0 || (x && labels)) && centers && counts && first && inertia && work);        \
    CURRENT(set);                                                                                                             \
    set->p->kmeans_sweep(n, k, d, x, x_stride, row_weights, centers, labels, distances, counts, first, inertia, work);        \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  lc_status lc_kmeans_potentials_##p(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const real *x, ptrdiff_t x_stride,                \
                                     const double *row_weights, const double *candidates, const double *nearest,              \
                                     double *potentials, void *work) {                                                        \
    REQUIRE(n >= 0 && k >= 1 && d >= 1 && (n == 0 || (x && nearest)) && candidates && potentials && work);                    \
    CURRENT(set);                                                                                                             \
    set->p->kmeans_potentials(n, k, d, x, x_stride, row_weights, candidates, nearest, potentials, work);                      \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  lc_status lc_lgamma_##p(ptrdiff_t n, const real *x, real *out) {                                                            \
    REQUIRE(n >= 0 && (n == 0 || (x && out)));                                                                                \
    CURRENT(set);                                                                                                             \
    set->p->lgamma(n, x, out);                                                                                                \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  lc_status lc_digamma_##p(ptrdiff_t n, const real *x, real *out) {                                                           \
    REQUIRE(n >= 0 && (n == 0 || (x && out)));                                                                                \
    CURRENT(set);                                                                                                             \
    set->p->digamma(n, x, out);                                                                                               \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  lc_status lc_trigamma_##p(ptrdiff_t n, const real *x, real *out) {                                                          \
    REQUIRE(n >= 0 && (n == 0 || (x && out)));                                                                                \
    CURRENT(set);                                                                                                             \
    set->p->trigamma(n, x, out);                                                                                              \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  lc_status lc_sin_cos_##p(ptrdiff_t n, const real *x, real *sine, real *cosine) {                                            \
    REQUIRE(n >= 0 && (n == 0 || (x && sine && cosine && sine != cosine)));                                                   \
    CURRENT(set);                                                                                                             \
    set->p->sin_cos(n, x, sine, cosine);                                                                                      \
    return LC_OK;                                                                                                             \
  }

DEFINE(double, f64)
DEFINE(float, f32)

lc_status lc_cholesky(ptrdiff_t d, const double *a, double *l) {
  REQUIRE(d >= 1 && a && l);
  CURRENT(set);
  return set->parameters->cholesky(d, a, l);
}

lc_status lc_inverse_transpose(ptrdiff_t d, const double *l, double *u) {
  REQUIRE(d >= 1 && l && u && l != u);
  CURRENT(set);
  set->parameters->inverse_transpose(d, l, u);
  return LC_OK;
}

lc_status lc_gaussian_statistics(lc_family family, ptrdiff_t k, ptrdiff_t d, const lc_moments *moments, double *means,
                                 double *scatters, int *cancelled) {
  REQUIRE(is_gaussian(family) && k >= 1 && d >= 1 && moments && moments->centers && moments->counts);
  REQUIRE(moments->first && moments->second && means && scatters && cancelled);
  CURRENT(set);
  set->parameters->gaussian_statistics(family, k, d, moments, means, scatters, cancelled);
  return LC_OK;
}

lc_status lc_gaussian_add(lc_family family, ptrdiff_t k, ptrdiff_t d, double *counts, double *means, double *scatters,
                          const double *counts_b, const double *means_b, const double *scatters_b) {
  REQUIRE(is_gaussian(family) && k >= 1 && d >= 1 && counts && means && scatters && counts_b && means_b && scatters_b);
  CURRENT(set);
  set->parameters->gaussian_add(family, k, d, counts, means, scatters, counts_b, means_b, scatters_b);
  return LC_OK;
}

lc_status lc_gaussian_covariances(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *counts, const double *scatters,
                                  double ridge, double *covariances) {
  REQUIRE(is_gaussian(family) && k >= 1 && d >= 1 && counts && scatters && covariances && ridge >= 0);
  CURRENT(set);
  set->parameters->gaussian_covariances(family, k, d, counts, scatters, ridge, covariances);
  return LC_OK;
}

lc_status lc_gaussian_factors(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *covariances, double *factors,
                              double *log_determinants, ptrdiff_t *where, double *work) {
  REQUIRE(is_gaussian(family) && k >= 1 && d >= 1 && covariances && factors && covariances != factors);
  REQUIRE(log_determinants && where && work);
  CURRENT(set);
  return set->parameters->gaussian_factors(family, k, d, covariances, factors, log_determinants, where, work);
}

lc_status lc_gaussian_expected(lc_family family, ptrdiff_t k, ptrdiff_t d, const double *mean_precisions,
                               const double *degrees_of_freedom, const double *scales, double *factors, double *offsets,
                               ptrdiff_t *where, double *work) {
  REQUIRE(is_gaussian(family) && k >= 1 && d >= 1 && mean_precisions && degrees_of_freedom && scales && factors);
  REQUIRE(scales != factors && offsets && where && work);
  CURRENT(set);
  return set->parameters->gaussian_expected(family, k, d, mean_precisions, degrees_of_freedom, scales, factors, offsets, where,
                                            work);
}

lc_status lc_multivariate_lgamma(ptrdiff_t n, ptrdiff_t dimension, const double *x, double *out) {
  REQUIRE(n >= 0 && dimension >= 1 && (n == 0 || (x && out)));
  CURRENT(set);
  set->parameters->multivariate_lgamma(n, dimension, x, out);
  return LC_OK;
}

#define DEFINE_HMM(real, p)                                                                                                   \
  size_t lc_hmm_work_##p(ptrdiff_t n_states, ptrdiff_t longest) {                                                             \
    return n_states < 1 || longest < 0 ? 0 : isas[0].parameters->hmm_work(n_states, longest);                                 \
  }                                                                                                                           \
  lc_status lc_hmm_forward_##p(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const real *log_density,     \
                               ptrdiff_t stride, const double *log_initial, const double *log_transition,                     \
                               double *log_likelihood, double *log_filtered, double *log_last, void *work) {                  \
    REQUIRE(has_sequences(n_sequences, begins, log_density) && n_states >= 1 && log_initial && log_transition && work);       \
    REQUIRE(n_sequences == 0 || log_likelihood);                                                                              \
    CURRENT(set);                                                                                                             \
    const lc_hmm_rows rows = {log_density, stride, sizeof(real) == sizeof(float)};                                            \
    set->parameters->hmm_forward(n_sequences, begins, n_states, &rows, log_initial, log_transition, log_likelihood,           \
                                 log_filtered, log_last, work);                                                               \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  lc_status lc_hmm_forward_backward_##p(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states,                     \
                                        const real *log_density, ptrdiff_t stride, const double *log_initial,                 \
                                        const double *log_transition, const double *weights, const double *log_future,        \
                                        double *log_likelihood, real *posteriors, ptrdiff_t posteriors_stride,                \
                                        double *transitions, double *log_messages, void *work) {                              \
    REQUIRE(has_sequences(n_sequences, begins, log_density) && n_states >= 1 && log_initial && log_transition && work);       \
    REQUIRE(transitions && (n_sequences == 0 || (log_likelihood && posteriors)));                                             \
    CURRENT(set);                                                                                                             \
    const lc_hmm_rows rows = {log_density, stride, sizeof(real) == sizeof(float)};                                            \
    const lc_hmm_targets targets = {posteriors, posteriors_stride, rows.is_f32};                                              \
    set->parameters->hmm_forward_backward(n_sequences, begins, n_states, &rows, log_initial, log_transition, weights,         \
                                          log_future, log_likelihood, &targets, transitions, log_messages, work);             \
    return LC_OK;                                                                                                             \
  }                                                                                                                           \
  size_t lc_hmm_viterbi_work_##p(ptrdiff_t n_states, ptrdiff_t longest) {                                                     \
    return n_states < 1 || longest < 0 ? 0 : isas[0].parameters->hmm_viterbi_work(n_states, longest);                         \
  }                                                                                                                           \
  lc_status lc_hmm_viterbi_##p(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const real *log_density,     \
                               ptrdiff_t stride, const double *log_initial, const double *log_transition,                     \
                               ptrdiff_t end_state, int32_t *states, double *log_joint, double *log_scores, void *work) {     \
    REQUIRE(has_sequences(n_sequences, begins, log_density) && n_states >= 1 && log_initial && log_transition && work);       \
    REQUIRE(end_state >= -1 && end_state < n_states && (n_sequences == 0 || (states && log_joint)));                          \
    CURRENT(set);                                                                                                             \
    const lc_hmm_rows rows = {log_density, stride, sizeof(real) == sizeof(float)};                                            \
    set->parameters->hmm_viterbi(n_sequences, begins, n_states, &rows, log_initial, log_transition, end_state, states,        \
                                 log_joint, log_scores, work);                                                                \
    return LC_OK;                                                                                                             \
  }

DEFINE_HMM(double, f64)
DEFINE_HMM(float, f32)

size_t lc_hmm_sample_work(ptrdiff_t n_states) { return n_states < 1 ? 0 : isas[0].parameters->hmm_sample_work(n_states); }

lc_status lc_hmm_sample(ptrdiff_t n_sequences, const int64_t *begins, ptrdiff_t n_states, const double *log_filtered,
                        const double *log_transition, ptrdiff_t n_paths, const double *uniforms, ptrdiff_t path_stride,
                        int32_t *states, void *work) {
  REQUIRE(has_sequences(n_sequences, begins, log_filtered) && n_states >= 1 && log_transition && n_paths >= 0 && work);
  REQUIRE(n_sequences == 0 || n_paths == 0 || (uniforms && states && path_stride >= begins[n_sequences]));
  CURRENT(set);
  set->parameters->hmm_sample(n_sequences, begins, n_states, log_filtered, log_transition, n_paths, uniforms, path_stride,
                              states, work);
  return LC_OK;
}

/* ---- the table for embedding without linking ----------------------------------------------------------------------- */

static const lc_api api = {
    .abi = LC_API_ABI,
    .size = sizeof(lc_api),
    .version = lc_version,
    .isa = lc_isa,
    .status_message = lc_status_message,
    .exp_f64 = lc_exp_f64,
    .exp_f32 = lc_exp_f32,
    .log_f64 = lc_log_f64,
    .log_f32 = lc_log_f32,
    .logspace_work_f64 = lc_logspace_work_f64,
    .logspace_work_f32 = lc_logspace_work_f32,
    .logsumexp_f64 = lc_logsumexp_f64,
    .logsumexp_f32 = lc_logsumexp_f32,
    .responsibilities_f64 = lc_responsibilities_f64,
    .responsibilities_f32 = lc_responsibilities_f32,
    .lgamma_f64 = lc_lgamma_f64,
    .lgamma_f32 = lc_lgamma_f32,
    .digamma_f64 = lc_digamma_f64,
    .digamma_f32 = lc_digamma_f32,
    .trigamma_f64 = lc_trigamma_f64,
    .trigamma_f32 = lc_trigamma_f32,
    .sin_cos_f64 = lc_sin_cos_f64,
    .sin_cos_f32 = lc_sin_cos_f32,
    .mixture_work_f64 = lc_mixture_work_f64,
    .mixture_work_f32 = lc_mixture_work_f32,
    .mixture_em_sweep_f64 = lc_mixture_em_sweep_f64,
    .mixture_em_sweep_f32 = lc_mixture_em_sweep_f32,
    .mixture_rows_f64 = lc_mixture_rows_f64,
    .mixture_rows_f32 = lc_mixture_rows_f32,
    .mixture_moments_f64 = lc_mixture_moments_f64,
    .mixture_moments_f32 = lc_mixture_moments_f32,
    .mixture_csr_work_f64 = lc_mixture_csr_work_f64,
    .mixture_csr_work_f32 = lc_mixture_csr_work_f32,
    .mixture_csr_em_sweep_f64 = lc_mixture_csr_em_sweep_f64,
    .mixture_csr_em_sweep_f32 = lc_mixture_csr_em_sweep_f32,
    .mixture_csr_rows_f64 = lc_mixture_csr_rows_f64,
    .mixture_csr_rows_f32 = lc_mixture_csr_rows_f32,
    .mixture_csr_moments_f64 = lc_mixture_csr_moments_f64,
    .mixture_csr_moments_f32 = lc_mixture_csr_moments_f32,
    .kmeans_work_f64 = lc_kmeans_work_f64,
    .kmeans_work_f32 = lc_kmeans_work_f32,
    .kmeans_sweep_f64 = lc_kmeans_sweep_f64,
    .kmeans_sweep_f32 = lc_kmeans_sweep_f32,
    .kmeans_potentials_f64 = lc_kmeans_potentials_f64,
    .kmeans_potentials_f32 = lc_kmeans_potentials_f32,
    .cholesky = lc_cholesky,
    .inverse_transpose = lc_inverse_transpose,
    .gaussian_statistics = lc_gaussian_statistics,
    .gaussian_add = lc_gaussian_add,
    .gaussian_covariances = lc_gaussian_covariances,
    .gaussian_factors = lc_gaussian_factors,
    .gaussian_expected = lc_gaussian_expected,
    .multivariate_lgamma = lc_multivariate_lgamma,
    .hmm_work_f64 = lc_hmm_work_f64,
    .hmm_forward_f64 = lc_hmm_forward_f64,
    .hmm_forward_backward_f64 = lc_hmm_forward_backward_f64,
    .hmm_viterbi_work_f64 = lc_hmm_viterbi_work_f64,
    .hmm_viterbi_f64 = lc_hmm_viterbi_f64,
    .hmm_work_f32 = lc_hmm_work_f32,
    .hmm_forward_f32 = lc_hmm_forward_f32,
    .hmm_forward_backward_f32 = lc_hmm_forward_backward_f32,
    .hmm_viterbi_work_f32 = lc_hmm_viterbi_work_f32,
    .hmm_viterbi_f32 = lc_hmm_viterbi_f32,
    .hmm_sample_work = lc_hmm_sample_work,
    .hmm_sample = lc_hmm_sample,
};

const lc_api *lc_get_api(void) { return &api; }
