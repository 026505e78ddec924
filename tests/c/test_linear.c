/* Linear families against long double: dense rows, codes, sparse rows; missing entries, infinite coefficients, known
 * components and hard assignments. */
#include "check.h"
#include "plain.h"

static const lc_family FAMILIES[] = {LC_LINEAR, LC_LINEAR_LOG, LC_LINEAR_ANGLE, LC_LINEAR_CODE};
static const ptrdiff_t COMPONENTS[] = {1, 3, 9, 70};
static const ptrdiff_t FEATURES[] = {1, 2, 9};
static const ptrdiff_t ROWS[] = {0, 1, 127, 300};

enum { ROUNDINGS = 16, MOST_LEVELS = 4 };

typedef struct problem {
  ptrdiff_t n, k, d, stride, n_statistics;
  real *x; /* n x d, NaN in the gaps */
  double *row_weights;
  int *labels;
  ptrdiff_t *levels;
  double *offsets, *constants, *coefficients;
  lc_components components;
  double *counts, *sums, *observed;
  int64_t *begins; /* the same rows without their zeros, entries out of order; LC_LINEAR without missing entries only */
  int32_t *columns;
  real *values;
  char name[100];
} problem;

static ptrdiff_t statistics_of(lc_family family, ptrdiff_t d, const ptrdiff_t *levels) {
  if (family == LC_LINEAR) return d;
  if (family != LC_LINEAR_CODE) return 2 * d;
  ptrdiff_t sum = 0;
  for (ptrdiff_t j = 0; j < d; j++) sum += levels[j];
  return sum;
}

/* The column that T_f belongs to. */
static ptrdiff_t column_of(const problem *p, ptrdiff_t f) {
  if (p->components.family != LC_LINEAR_CODE) return f % p->d;
  ptrdiff_t j = 0;
  for (; f >= p->levels[j]; j++) f -= p->levels[j];
  return j;
}

static long double statistic(const problem *p, ptrdiff_t i, ptrdiff_t f) {
  const ptrdiff_t j = column_of(p, f);
  const long double x = p->x[i * p->stride + j];
  ptrdiff_t start = 0;
  if (isnan(x)) return 0;
  switch (p->components.family) {
    case LC_LINEAR: return x;
    case LC_LINEAR_LOG: return f < p->d ? x : logl(x);
    case LC_LINEAR_ANGLE: return f < p->d ? cosl(x) : sinl(x);
    default:
      for (ptrdiff_t l = 0; l < j; l++) start += p->levels[l];
      return start + (ptrdiff_t)x == f;
  }
}

static int is_observed(const problem *p, ptrdiff_t i, ptrdiff_t j) { return !isnan(p->x[i * p->stride + j]); }

static real entry(lc_family family, ptrdiff_t level, int positive) {
  switch (family) {
    case LC_LINEAR: return (real)floor(4 * uniform() * uniform()) + (positive ? 1 : 0);
    case LC_LINEAR_LOG: return (real)exp(normal());
    case LC_LINEAR_ANGLE: return (real)(3 * normal());
    default: return (real)floor((double)level * uniform());
  }
}

static problem make_problem(lc_family family, ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, int missing, int infinite) {
  problem p = {.n = n, .k = k, .d = d, .stride = d + 2};
  snprintf(p.name, sizeof p.name, "family %d, N = %td, K = %td, D = %td, missing %d, infinite %d", (int)family, n, k, d,
           missing, infinite);
  p.levels = exactly((size_t)d * sizeof *p.levels);
  for (ptrdiff_t j = 0; j < d; j++) p.levels[j] = 1 + j % MOST_LEVELS;
  p.n_statistics = statistics_of(family, d, p.levels);
  p.offsets = doubles(k), p.constants = doubles(k * d), p.coefficients = doubles(k * p.n_statistics);
  for (ptrdiff_t i = 0; i < k; i++) p.offsets[i] = normal();
  for (ptrdiff_t i = 0; i < k * d; i++) p.constants[i] = normal();
  for (ptrdiff_t i = 0; i < k * p.n_statistics; i++) p.coefficients[i] = normal();
  /* the first component allows everything */
  for (ptrdiff_t i = p.n_statistics; infinite && i < k * p.n_statistics; i += 5)
    p.coefficients[i] = i % 2 ? INFINITY : -INFINITY;
  p.components = (lc_components){family, k, d, p.offsets, p.constants, p.coefficients, p.levels, missing};

  const ptrdiff_t size = n > 0 ? (n - 1) * p.stride + d : 0;
  p.x = reals(size), p.row_weights = doubles(n), p.labels = exactly((size_t)n * sizeof *p.labels);
  for (ptrdiff_t i = 0; i < size; i++) p.x[i] = NAN;
  p.begins = exactly((size_t)(n + 1) * sizeof *p.begins), p.columns = exactly((size_t)(n * d) * sizeof *p.columns);
  p.values = reals(n * d);
  p.begins[0] = 0;
  for (ptrdiff_t i = 0; i < n; i++) {
    int64_t e = p.begins[i];
    for (ptrdiff_t j = d - 1; j >= 0; j--) {
      real x = entry(family, p.levels[j], 0);
      if (missing && uniform() < 0.3) x = NAN;
      p.x[i * p.stride + j] = x;
      if (x != 0) p.columns[e] = (int32_t)j, p.values[e++] = x;
    }
    p.begins[i + 1] = e;
    p.row_weights[i] = i % 4 == 1 ? 0 : 2 * uniform();
    p.labels[i] = infinite || i % 3 ? -1 : (int)((double)k * uniform());
  }
  p.counts = doubles(k), p.sums = doubles(k * p.n_statistics), p.observed = doubles(k * d);
  return p;
}

static void free_problem(problem *p) {
  release(p->x), release(p->row_weights), release(p->labels), release(p->levels), release(p->offsets), release(p->constants);
  release(p->coefficients), release(p->counts), release(p->sums), release(p->observed), release(p->begins), release(p->columns), release(p->values);
}

/* a_nk, and in units of epsilon what rounding makes of it. */
static long double plain_joint(const problem *p, ptrdiff_t i, ptrdiff_t k, long double *error) {
  long double a = p->offsets[k], size = 1 + fabsl(a);
  for (ptrdiff_t j = 0; j < p->d; j++)
    if (is_observed(p, i, j)) a += p->constants[k * p->d + j], size += fabs(p->constants[k * p->d + j]);
  for (ptrdiff_t f = 0; f < p->n_statistics; f++) {
    const long double c = p->coefficients[k * p->n_statistics + f], t = statistic(p, i, f);
    if (!is_observed(p, i, column_of(p, f))) continue;
    if (isinf(c)) {
      if (t != (c < 0 ? 0 : 1)) a = -INFINITY;
    } else {
      a += c * t, size += 2 * fabsl(c * t) + fabsl(c);
    }
  }
  *error = REAL_EPSILON * size;
  return a;
}

typedef struct way {
  int weighted, labelled, hard, sparse;
} way;

static void *work_of(const problem *p, int sparse) {
  return exactly(sparse ? LC(mixture_csr_work)(&p->components) : LC(mixture_work)(&p->components));
}

static void check_sums(const problem *p, const long double *counts, const long double *sums, const long double *observed,
                       const long double *errors, const char *what) {
  for (ptrdiff_t k = 0; k < p->k; k++) {
    CHECK_CLOSE(p->counts[k], 1 + counts[k], ROUNDINGS * errors[k], "%s, %s, component %td", what, p->name, k);
    for (ptrdiff_t f = 0; f < p->n_statistics; f++)
      CHECK_CLOSE(p->sums[k * p->n_statistics + f], 1 + sums[k * p->n_statistics + f], 40 * ROUNDINGS * errors[k],
                  "%s, %s, component %td, statistic %td", what, p->name, k, f);
    for (ptrdiff_t j = 0; p->components.has_missing && j < p->d; j++)
      CHECK_CLOSE(p->observed[k * p->d + j], 1 + observed[k * p->d + j], ROUNDINGS * errors[k], "%s, %s, component %td, column %td",
                  what, p->name, k, j);
  }
}

static lc_moments begin_moments(problem *p) {
  for (ptrdiff_t i = 0; i < p->k; i++) p->counts[i] = 1;
  for (ptrdiff_t i = 0; i < p->k * p->n_statistics; i++) p->sums[i] = 1;
  for (ptrdiff_t i = 0; i < p->k * p->d; i++) p->observed[i] = 1;
  return (lc_moments){NULL, p->counts, p->sums, p->components.has_missing ? p->observed : NULL};
}

static void check_sweep(problem *p, way w) {
  const ptrdiff_t k = p->k, n_statistics = p->n_statistics;
  long double *counts = calloc((size_t)(k * (3 + n_statistics + p->d)), sizeof *counts), *errors = counts + k, *a = errors + k;
  long double *sums = a + k, *observed = sums + k * n_statistics, objective = 0, objective_error = DBL_EPSILON;
  for (ptrdiff_t i = 0; i < p->n; i++) {
    const long double weight = w.weighted ? p->row_weights[i] : 1;
    long double error = 0, best = -INFINITY;
    ptrdiff_t only = w.labelled ? p->labels[i] : -1;
    for (ptrdiff_t j = 0; j < k; j++) {
      long double each;
      a[j] = plain_joint(p, i, j, &each);
      if (each > error) error = each;
    }
    if (w.hard && only < 0)
      for (ptrdiff_t j = 0; j < k; j++)
        if (a[j] > best) best = a[j], only = j;
    for (ptrdiff_t j = 0; only >= 0 && j < k; j++)
      if (j != only) a[j] = -INFINITY;
    const long double lse = plain_logsumexp(k, a);
    objective += weight * lse, objective_error += weight * error;
    for (ptrdiff_t j = 0; j < k; j++) {
      const long double r = weight * expl(a[j] - lse);
      counts[j] += r, errors[j] += 2 * r * error + REAL_EPSILON * (r + 0.01L);
      for (ptrdiff_t f = 0; f < n_statistics; f++) sums[j * n_statistics + f] += r * statistic(p, i, f);
      for (ptrdiff_t c = 0; c < p->d; c++) observed[j * p->d + c] += is_observed(p, i, c) ? r : 0;
    }
  }
  for (ptrdiff_t j = 0; j < k; j++) errors[j] += REAL_EPSILON;

  const lc_moments moments = begin_moments(p);
  const double *weights = w.weighted ? p->row_weights : NULL;
  const int *labels = w.labelled ? p->labels : NULL;
  double got = 1;
  ptrdiff_t where = -1;
  void *work = work_of(p, w.sparse);
  CHECK_STATUS(w.sparse ? LC(mixture_csr_em_sweep)(p->n, p->begins, p->columns, p->values, weights, labels, w.hard,
                                                   &p->components, &moments, &got, &where, work)
                        : LC(mixture_em_sweep)(p->n, p->x, p->stride, weights, labels, w.hard, &p->components, &moments,
                                               &got, &where, work),
               LC_OK);
  CHECK_CLOSE(got, 1 + objective, ROUNDINGS * objective_error, "%s, weighted %d, labelled %d, hard %d, sparse %d", p->name,
              w.weighted, w.labelled, w.hard, w.sparse);
  check_sums(p, counts, sums, observed, errors, w.sparse ? "sparse" : "dense");
  release(work), free(counts);
}

static void check_rows(problem *p, int sparse) {
  const ptrdiff_t n = p->n, k = p->k;
  real *joint = reals(n * k), *r = reals(n * k), *density = reals(n);
  ptrdiff_t *best = exactly((size_t)n * sizeof *best);
  long double *a = malloc((size_t)k * sizeof *a);
  void *work = work_of(p, sparse);
  CHECK_STATUS(sparse ? LC(mixture_csr_rows)(n, p->begins, p->columns, p->values, &p->components, joint, r, density, best, work)
                      : LC(mixture_rows)(n, p->x, p->stride, &p->components, joint, r, density, best, work),
               LC_OK);
  real *alone = reals(n * k);
  CHECK_STATUS(sparse ? LC(mixture_csr_rows)(n, p->begins, p->columns, p->values, &p->components, alone, NULL, NULL, NULL, work)
                      : LC(mixture_rows)(n, p->x, p->stride, &p->components, alone, NULL, NULL, NULL, work),
               LC_OK);
  for (ptrdiff_t i = 0; i < n * k; i++) CHECK(alone[i] == joint[i]);
  release(alone);
  for (ptrdiff_t i = 0; i < n; i++) {
    long double error = 0;
    for (ptrdiff_t j = 0; j < k; j++) {
      long double each;
      a[j] = plain_joint(p, i, j, &each);
      error = each > error ? each : error;
      CHECK_CLOSE(joint[i * k + j], a[j], ROUNDINGS * each, "%s, row %td, component %td", p->name, i, j);
    }
    const long double lse = plain_logsumexp(k, a);
    CHECK_CLOSE(density[i], lse, ROUNDINGS * error, "%s, row %td", p->name, i);
    for (ptrdiff_t j = 0; j < k; j++)
      CHECK_CLOSE(r[i * k + j], expl(a[j] - lse), ROUNDINGS * error + TINY, "%s, row %td, component %td", p->name, i, j);
    for (ptrdiff_t j = 0; j < k; j++) CHECK(joint[i * k + best[i]] >= joint[i * k + j]);
  }
  release(joint), release(r), release(density), release(best), free(a), release(work);
}

static void check_moments(problem *p, int sparse, ptrdiff_t stride) {
  const ptrdiff_t n = p->n, k = p->k;
  long double *counts = calloc((size_t)(k * (2 + p->n_statistics + p->d)), sizeof *counts), *errors = counts + k;
  long double *sums = errors + k, *observed = sums + k * p->n_statistics;
  const ptrdiff_t size = n > 0 ? (n - 1) * stride + k : 0;
  real *weights = reals(size);
  for (ptrdiff_t i = 0; i < size; i++) weights[i] = (real)uniform();
  for (ptrdiff_t i = 0; i < n; i++)
    for (ptrdiff_t j = 0; j < k; j++) {
      const long double r = weights[i * stride + j];
      counts[j] += r, errors[j] += REAL_EPSILON * r;
      for (ptrdiff_t f = 0; f < p->n_statistics; f++) sums[j * p->n_statistics + f] += r * statistic(p, i, f);
      for (ptrdiff_t c = 0; c < p->d; c++) observed[j * p->d + c] += is_observed(p, i, c) ? r : 0;
    }
  for (ptrdiff_t j = 0; j < k; j++) errors[j] += REAL_EPSILON;
  lc_components shape = p->components;
  shape.offsets = shape.means = shape.factors = NULL;
  const lc_moments moments = begin_moments(p);
  void *work = work_of(p, sparse);
  CHECK_STATUS(sparse ? LC(mixture_csr_moments)(n, p->begins, p->columns, p->values, weights, stride, &shape, &moments, work)
                      : LC(mixture_moments)(n, p->x, p->stride, weights, stride, &shape, &moments, work),
               LC_OK);
  check_sums(p, counts, sums, observed, errors, "moments");
  free(counts), release(weights), release(work);
}

static void everything_equals_long_double(void) {
  for (size_t f = 0; f < LENGTH(FAMILIES); f++)
    for (size_t i = 0; i < LENGTH(ROWS); i++)
      for (size_t j = 0; j < LENGTH(COMPONENTS); j++)
        for (size_t l = 0; l < LENGTH(FEATURES); l++)
          for (int kind = 0; kind < 4; kind++) {
            const int missing = kind & 1, infinite = kind >> 1 & 1;
            const lc_family family = FAMILIES[f];
            if (infinite && (family == LC_LINEAR_LOG || family == LC_LINEAR_ANGLE)) continue;
            problem p = make_problem(family, ROWS[i], COMPONENTS[j], FEATURES[l], missing, infinite);
            check_sweep(&p, (way){0, 0, 0, 0});
            check_sweep(&p, (way){1, 0, 1, 0});
            check_sweep(&p, (way){1, 1, 0, 0});
            check_sweep(&p, (way){0, 1, 1, 0});
            check_rows(&p, 0);
            check_moments(&p, 0, p.k), check_moments(&p, 0, p.k + 3);
            if (family == LC_LINEAR && !missing) {
              /* what is not stored tells nothing against +inf: those coefficients are not for sparse rows */
              for (ptrdiff_t c = 0; c < p.k * p.n_statistics; c++)
                if (p.coefficients[c] > 1e300) p.coefficients[c] = -INFINITY;
              check_sweep(&p, (way){0, 0, 0, 1});
              check_sweep(&p, (way){1, 1, 1, 1});
              check_rows(&p, 1);
              check_moments(&p, 1, p.k);
            }
            free_problem(&p);
          }
}

static void codes_out_of_range_are_impossible(void) {
  const real bad[] = {-1, 2, (real)1e30, (real)INFINITY, NAN};
  for (size_t i = 0; i < LENGTH(bad); i++) {
    problem p = make_problem(LC_LINEAR_CODE, 127, 3, 2, 0, 0);
    const lc_moments moments = begin_moments(&p);
    double objective = 0;
    ptrdiff_t where = -1;
    void *work = work_of(&p, 0);
    p.x[100 * p.stride + 1] = bad[i];
    CHECK_STATUS(LC(mixture_em_sweep)(p.n, p.x, p.stride, NULL, NULL, 0, &p.components, &moments, &objective, &where, work),
                 LC_IMPOSSIBLE_ROW);
    CHECK(where == 100);
    release(work), free_problem(&p);
  }
}

static void bad_arguments_are_refused(void) {
  problem p = make_problem(LC_LINEAR, 5, 2, 3, 0, 0);
  const lc_moments moments = begin_moments(&p);
  double objective = 0;
  ptrdiff_t where = -1;
  void *work = work_of(&p, 1);
#define SPARSE(n, begins, columns, values, components, moments)                                                          \
  LC(mixture_csr_em_sweep)(n, begins, columns, values, NULL, NULL, 0, components, moments, &objective, &where, work)
  CHECK_STATUS(SPARSE(-1, p.begins, p.columns, p.values, &p.components, &moments), LC_BAD_ARGUMENT);
  CHECK_STATUS(SPARSE(5, NULL, p.columns, p.values, &p.components, &moments), LC_BAD_ARGUMENT);
  CHECK_STATUS(SPARSE(5, p.begins, NULL, p.values, &p.components, &moments), LC_BAD_ARGUMENT);
  CHECK_STATUS(SPARSE(5, p.begins, p.columns, NULL, &p.components, &moments), LC_BAD_ARGUMENT);
  CHECK_STATUS(SPARSE(5, p.begins, p.columns, p.values, &p.components, NULL), LC_BAD_ARGUMENT);
  for (int fault = 0; fault < 5; fault++) {
    lc_components bad = p.components;
    if (fault == 0) bad.family = LC_LINEAR_LOG;
    if (fault == 1) bad.has_missing = 1;
    if (fault == 2) bad.family = LC_GAUSSIAN_DIAG;
    if (fault == 3) bad.offsets = NULL;
    if (fault == 4) bad.factors = NULL;
    CHECK_STATUS(SPARSE(5, p.begins, p.columns, p.values, &bad, &moments), LC_BAD_ARGUMENT);
    if (fault < 3) CHECK(LC(mixture_csr_work)(&bad) == 0);
  }
  lc_components coded = p.components;
  coded.family = LC_LINEAR_CODE, coded.levels = NULL;
  CHECK(LC(mixture_work)(&coded) == 0);
  ptrdiff_t none[] = {1, 0, 2};
  coded.levels = none;
  CHECK(LC(mixture_work)(&coded) == 0);
  lc_components missing = p.components;
  missing.has_missing = 1;
  CHECK_STATUS(LC(mixture_em_sweep)(5, p.x, p.stride, NULL, NULL, 0, &missing, &moments, &objective, &where, work), LC_BAD_ARGUMENT);
#undef SPARSE
  release(work), free_problem(&p);
}

int main(void) {
  begin();
  RUN(everything_equals_long_double);
  RUN(codes_out_of_range_are_impossible);
  RUN(bad_arguments_are_refused);
  return end();
}
