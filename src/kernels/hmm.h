/* What the kernels of hidden Markov models share. All reckon in double, whatever the precision of the rows. */
#ifndef LC_HMM_H
#define LC_HMM_H

#include "elementary.h"
#include "kernels.h"
#include "tile.h"

/* Vectors of S states are padded to `width`, a multiple of WIDTH_UNIT whatever the instruction set, with zeros. */
#define WIDTH_UNIT 8

/* A number m * 2^e, 1 <= m < 2 and e an integer, or m = 0 and e = NOTHING: no product of probabilities is too small. */
#define NOTHING -0x1p1000
/* Sums of scaled numbers above this lost nothing that counts to numbers that were scaled to zero. */
#define SAFE_SUM 0x1p-800
#define LOG_2 0.693147180559945309417
#define SCALE_LOWEST -1000.0

/* In every lane the largest (the sum) of its group of `group` lanes. */
LC_INLINE vec group_max(const int group, vec v) {
  if (group >= 2) v = max_vec(v, SWAPPED(v, 1));
#if LANES >= 4
  if (group >= 4) v = max_vec(v, SWAPPED(v, 2));
#endif
#if LANES >= 8
  if (group >= 8) v = max_vec(v, SWAPPED(v, 4));
#endif
  return v;
}

LC_INLINE vec group_sum(const int group, vec v) {
  if (group >= 2) v = v + SWAPPED(v, 1);
#if LANES >= 4
  if (group >= 4) v = v + SWAPPED(v, 2);
#endif
#if LANES >= 8
  if (group >= 8) v = v + SWAPPED(v, 4);
#endif
  return v;
}

/* A bit for each lane of a mask. */
LC_INLINE uint64_t lane_bits(ivec mask) {
#if VECTOR_BYTES == 64
  return _mm512_movepi64_mask((__m512i)mask);
#elif VECTOR_BYTES == 32
  return (uint64_t)_mm256_movemask_pd((__m256d)mask);
#else
  uint64_t found = 0;
  _Pragma("GCC unroll 2") for (int i = 0; i < LANES; i++) found |= (uint64_t)(mask[i] & 1) << i;
  return found;
#endif
}

/* The chain of a call. Entries of the matrices and laws as mantissas and exponents, and the transitions as plain numbers
 * over 2^shift as well, where those below 2^SCALE_LOWEST are zero. */
typedef struct {
  ptrdiff_t s, width;
  double *initial_m, *initial_e, *future_m, *future_e; /* width */
  double *a_m, *a_e;                                   /* width x width */
  double *at_m, *at_e;                                 /* the transpose */
  double *a, *at;                                      /* width x width: over 2^shift, and the transpose */
  double shift;
  const double *log_initial, *log_future;              /* log_future may be NULL */
  /* For hmm_scaled.c: how often to scale, 0 if that way is closed; the width of rows there, and the matrices in it. */
  int every;
  ptrdiff_t narrow;
  double *narrow_a, *narrow_at;
  /* n_starts <= S rows of that width: 1 where no path of the chain alone comes to a state in so many steps, else 0. After
   * that every state has a path, or n_starts is -1. For forward alone. */
  double *starts;
  ptrdiff_t n_starts;
  int not_numbers;                                     /* log_initial or log_future has a NaN or +inf */
  int not_transitions;                                 /* log_transition has */
} hmm_chain;

/* One sequence: its rows, what is asked for. */
typedef struct {
  ptrdiff_t n;
  lc_hmm_rows rows;        /* its first row */
  double weight;
  double *log_filtered;    /* n x S, or NULL */
  double *log_last;        /* S, or NULL */
  lc_hmm_targets posteriors;
  double *log_message;     /* S, or NULL */
} hmm_sequence;

/* exp(x) = m * 2^e with m near 1; m = 0 at -inf, and so far below all else that 2^99 exponents do not add up to NOTHING. */
LC_INLINE void split_exp(vec x, vec *m, vec *e) {
  const vec lowest = broadcast(-0x1p900), half = broadcast(0.5);
  ivec zero = (ivec)(x < lowest);
  vec inside = select_vec(zero, (vec){0}, x);
  vec n = (inside * LOG2_E + ROUNDER) - ROUNDER;
  vec r = (inside - n * LN2_HIGH) - n * LN2_LOW;
  /* beyond +-2^50 the rest of the reduction is not known, and x not as exactly */
  r = select_vec((ivec)(r > half) | (ivec)(r < -half), (vec){0}, r);
  *m = select_vec(zero, (vec){0}, exp_reduced(r));
  *e = select_vec(zero, broadcast(NOTHING), n);
}

/* m, a product or sum of mantissas, becomes a mantissa again. */
LC_INLINE void normalise_mantissa(vec *m, vec *e) {
  ivec zero = (ivec)(*m == (vec){0});
  const ivec one = (ivec)broadcast(1.0), fraction = ((bits)1 << MANTISSA_BITS) - 1 - (ivec){0};
  ivec k = ((ivec)*m >> MANTISSA_BITS) - EXPONENT_BIAS;
  vec exponent = (vec)(k + (ivec)broadcast(ROUNDER)) - ROUNDER;
  *m = select_vec(zero, (vec){0}, (vec)(((ivec)*m & fraction) | one));
  *e = select_vec(zero, broadcast(NOTHING), *e + exponent);
}

/* 2^k of integers k <= 1000; 0 below SCALE_LOWEST. */
LC_INLINE vec power_of_two(vec k) {
  ivec low = (ivec)(k < broadcast(SCALE_LOWEST));
  vec inside = select_vec(low, (vec){0}, k);
  ivec bits_of = ((ivec)(inside + ROUNDER) - (ivec)broadcast(ROUNDER) + EXPONENT_BIAS) << MANTISSA_BITS;
  return (vec)(~low & bits_of);
}

LC_INLINE int is_number(double x) { return x < INFINITY; }

/* out[j] = sum_i u[i] a[i * width + j] for `vectors` vectors of j, in `parts` sums that do not wait for each other. */
LC_INLINE void product_panel(const int vectors, const int parts, ptrdiff_t s, ptrdiff_t width, const double *u, const double *a,
                             double *out) {
  vec sum[4][8];
  _Pragma("GCC unroll 4") for (int k = 0; k < parts; k++)
    _Pragma("GCC unroll 8") for (int l = 0; l < vectors; l++) sum[k][l] = (vec){0};
  ptrdiff_t i = 0;
  for (; i + parts <= s; i += parts)
    _Pragma("GCC unroll 4") for (int k = 0; k < parts; k++)
      _Pragma("GCC unroll 8") for (int l = 0; l < vectors; l++) sum[k][l] += u[i + k] * load(a + (i + k) * width + l * LANES);
  for (; i < s; i++)
    _Pragma("GCC unroll 8") for (int l = 0; l < vectors; l++) sum[0][l] += u[i] * load(a + i * width + l * LANES);
  _Pragma("GCC unroll 8") for (int l = 0; l < vectors; l++) {
    vec total = sum[0][l];
    if (parts == 2) total += sum[1][l];
    if (parts == 4) total = (total + sum[1][l]) + (sum[2][l] + sum[3][l]);
    store(out + l * LANES, total);
  }
}

/* out = u a, s x width */
LC_INLINE void matrix_product(ptrdiff_t s, ptrdiff_t width, const double *u, const double *a, double *out) {
  ptrdiff_t j = 0;
  for (; j + 8 * LANES <= width; j += 8 * LANES) product_panel(8, 1, s, width, u, a + j, out + j);
  for (; j + 4 * LANES <= width; j += 4 * LANES) product_panel(4, 2, s, width, u, a + j, out + j);
#if LANES > 2
  for (; j + 2 * LANES <= width; j += 2 * LANES) product_panel(2, 4, s, width, u, a + j, out + j);
#endif
#if LANES > 4
  for (; j < width; j += LANES) product_panel(1, 4, s, width, u, a + j, out + j);
#endif
}

/* Log-densities beyond this leave little room for others beside them: they are kept as differences. */
#define FURTHEST 0x1p40

/* Subtracts the largest entry if it is finite and beyond FURTHEST, and returns it; else 0. */
LC_INLINE double take_out_largest(ptrdiff_t n, double *x) {
  double largest = -INFINITY;
  for (ptrdiff_t j = 0; j < n; j++) largest = x[j] > largest ? x[j] : largest;
  if ((largest <= FURTHEST && largest >= -FURTHEST) || largest - largest != 0) return 0;
  for (ptrdiff_t j = 0; j < n; j++) x[j] -= largest;
  return largest;
}

/* Row t of the log-densities, and NOTHING's logarithm as padding. */
LC_INLINE void copy_row(const lc_hmm_rows *rows, ptrdiff_t t, ptrdiff_t s, ptrdiff_t width, double *out) {
  if (rows->is_f32) {
    const float *x = (const float *)rows->x + t * rows->stride;
    for (ptrdiff_t j = 0; j < s; j++) out[j] = (double)x[j];
  } else {
    const double *x = (const double *)rows->x + t * rows->stride;
    ptrdiff_t j = 0; /* a call of memcpy takes longer than a short row */
    for (; j + 2 <= s; j += 2) memcpy(out + j, x + j, 2 * sizeof(double));
    if (j < s) out[j] = x[j];
  }
  for (ptrdiff_t j = s; j < width; j++) out[j] = -INFINITY;
}

/* posteriors of row t = p * scale */
LC_INLINE void write_row(const lc_hmm_targets *out, ptrdiff_t t, ptrdiff_t s, const double *p, double scale) {
  if (out->is_f32) {
    float *x = (float *)out->x + t * out->stride;
    for (ptrdiff_t j = 0; j < s; j++) x[j] = (float)(p[j] * scale);
  } else {
    double *x = (double *)out->x + t * out->stride;
    for (ptrdiff_t j = 0; j < s; j++) x[j] = p[j] * scale;
  }
}

/* Recursions in plain numbers, for chains that have c->every. Return 0 if the sequence is not for them: it is impossible,
 * not a number, or too much for plain numbers. Then nothing was added, but outputs may have been written. */
LC_INLINE ptrdiff_t narrow_width(ptrdiff_t s) { return s <= 2 ? 2 : s <= 4 ? 4 : round_up(s, WIDTH_UNIT); }
size_t LC_KERNEL(hmm_scaled_work)(ptrdiff_t width, ptrdiff_t longest);
int LC_KERNEL(hmm_scaled_forward)(const hmm_chain *c, const hmm_sequence *q, double *log_likelihood, void *work);
/* Adds to sums (S x c->narrow, or a square of that), which are to be multiplied by c->narrow_a element by element. */
int LC_KERNEL(hmm_scaled_forward_backward)(const hmm_chain *c, const hmm_sequence *q, double *sums, double *log_likelihood,
                                           void *work);

/* Recursions with an exponent to every number, which need no care. */
size_t LC_KERNEL(hmm_wide_work)(ptrdiff_t width, ptrdiff_t longest);
double LC_KERNEL(hmm_wide_forward)(const hmm_chain *c, const hmm_sequence *q, void *work);
/* Adds to sums (S x width), which are to be multiplied by c->a element by element, or to apart (S x width). */
double LC_KERNEL(hmm_wide_forward_backward)(const hmm_chain *c, const hmm_sequence *q, double *sums, double *apart, void *work);

#endif
