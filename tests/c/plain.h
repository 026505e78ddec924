/* The slow truth: the formulas in long double, one row and one component at a time. */
#ifndef PLAIN_H
#define PLAIN_H

#include <math.h>
#include <stddef.h>

#include "latentcore/components.h"

static inline long double plain_logsumexp(ptrdiff_t k, const long double *a) {
  long double largest = -INFINITY, sum = 0;
  for (ptrdiff_t j = 0; j < k; j++) {
    if (isnan(a[j])) return NAN;
    if (a[j] > largest) largest = a[j];
  }
  if (isinf(largest)) return largest;
  for (ptrdiff_t j = 0; j < k; j++) sum += expl(a[j] - largest);
  return largest + logl(sum);
}

/* psi(x) and psi'(x): the recurrence up to 40, there the asymptotic series. */
static inline long double plain_digamma(long double x) {
  long double sum = 0;
  for (; x < 40; x++) sum -= 1 / x;
  long double w = 1 / (x * x);
  return sum + logl(x) - 0.5L / x -
         w * (1 / 12.L - w * (1 / 120.L - w * (1 / 252.L - w * (1 / 240.L - w * (1 / 132.L - w * (691 / 32760.L))))));
}

static inline long double plain_trigamma(long double x) {
  long double sum = 0;
  for (; x < 40; x++) sum += 1 / (x * x);
  long double w = 1 / (x * x);
  return sum + 1 / x + w / 2 +
         w / x * (1 / 6.L - w * (1 / 30.L - w * (1 / 42.L - w * (1 / 30.L - w * (5 / 66.L - w * (691 / 2730.L))))));
}

/* Element (i, j) of the factor of component k, whatever the family stores. */
static inline long double plain_factor(const lc_components *c, ptrdiff_t k, ptrdiff_t i, ptrdiff_t j) {
  ptrdiff_t d = c->n_features;
  switch (c->family) {
  case LC_GAUSSIAN_FULL: return i <= j ? c->factors[(k * d + i) * d + j] : 0;
  case LC_GAUSSIAN_TIED: return i <= j ? c->factors[i * d + j] : 0;
  case LC_GAUSSIAN_DIAG: return i == j ? c->factors[k * d + i] : 0;
  default: return i == j ? c->factors[k] : 0;
  }
}

/* log f_k(x) = offset_k - |U_k^T (x - mean_k)|^2 / 2.
 * `error`, if not NULL, gets what rounding x - mean, the products and the sums once each by one epsilon amounts to,
 * in units of epsilon. */
static inline long double plain_log_density(const lc_components *c, ptrdiff_t k, const long double *x,
                                            long double *error) {
  ptrdiff_t d = c->n_features;
  long double square = 0, rounding = 0;
  for (ptrdiff_t j = 0; j < d; j++) {
    long double z = 0, magnitude = 0;
    for (ptrdiff_t i = 0; i < d; i++) {
      long double u = plain_factor(c, k, i, j), mean = c->means[k * d + i];
      z += u * (x[i] - mean);
      magnitude += fabsl(u) * (fabsl(x[i]) + fabsl(mean));
    }
    square += z * z;
    rounding += 2 * fabsl(z) * magnitude;
  }
  if (error != NULL) *error = 1 + fabsl(c->offsets[k]) + square + rounding;
  return c->offsets[k] - square / 2;
}

/* Number of second moments of a family. */
static inline ptrdiff_t plain_second_size(lc_family family, ptrdiff_t k, ptrdiff_t d) {
  switch (family) {
  case LC_GAUSSIAN_FULL: return k * d * d;
  case LC_GAUSSIAN_TIED: return d * d;
  case LC_GAUSSIAN_DIAG: return k * d;
  default: return k;
  }
}

/* Where the second moment (i, j) of component k is kept; -1 if it is not kept. */
static inline ptrdiff_t plain_second_index(lc_family family, ptrdiff_t d, ptrdiff_t k, ptrdiff_t i, ptrdiff_t j) {
  switch (family) {
  case LC_GAUSSIAN_FULL: return i >= j ? (k * d + i) * d + j : -1;
  case LC_GAUSSIAN_TIED: return i >= j ? i * d + j : -1;
  case LC_GAUSSIAN_DIAG: return i == j ? k * d + i : -1;
  default: return i == j ? k : -1;
  }
}

/* Moments in long double, with what rounding every term by one epsilon of its parts amounts to (in absolute units). */
typedef struct plain_moments {
  long double *counts, *first, *second;
  long double *counts_error, *first_error, *second_error;
} plain_moments;

/* Add a row x of weight r about the centers of component k; r is known to r_error and the data to epsilon. */
static inline void plain_accumulate(plain_moments *m, lc_family family, ptrdiff_t d, ptrdiff_t k, const double *centers,
                                    const long double *x, long double r, long double r_error, long double epsilon) {
  m->counts[k] += r;
  m->counts_error[k] += r_error + r * epsilon;
  for (ptrdiff_t i = 0; i < d; i++) {
    long double mean_i = centers[k * d + i], d_i = x[i] - mean_i;
    long double d_i_error = epsilon * (fabsl(x[i]) + fabsl(mean_i));
    m->first[k * d + i] += r * d_i;
    m->first_error[k * d + i] += r_error * fabsl(d_i) + r * (d_i_error + epsilon * fabsl(d_i));
    for (ptrdiff_t j = 0; j <= i; j++) {
      ptrdiff_t at = plain_second_index(family, d, k, i, j);
      if (at < 0) continue;
      long double mean_j = centers[k * d + j], d_j = x[j] - mean_j;
      long double d_j_error = epsilon * (fabsl(x[j]) + fabsl(mean_j));
      m->second[at] += r * d_i * d_j;
      m->second_error[at] += r_error * fabsl(d_i * d_j) +
                             r * (d_i_error * fabsl(d_j) + d_j_error * fabsl(d_i) + epsilon * fabsl(d_i * d_j));
    }
  }
}

/* A = L L^T; 0 if a pivot is not positive. */
static inline int plain_cholesky(ptrdiff_t d, const double *a, long double *l) {
  for (ptrdiff_t i = 0; i < d; i++) {
    for (ptrdiff_t j = 0; j <= i; j++) {
      long double sum = a[i * d + j];
      for (ptrdiff_t t = 0; t < j; t++) sum -= l[i * d + t] * l[j * d + t];
      if (i == j && !(sum > 0)) return 0;
      l[i * d + j] = i == j ? sqrtl(sum) : sum / l[j * d + j];
    }
    for (ptrdiff_t j = i + 1; j < d; j++) l[i * d + j] = 0;
  }
  return 1;
}

/* log N(x; mean, L L^T) by forward substitution. */
static inline long double plain_normal_log_density(ptrdiff_t d, const long double *x, const double *mean,
                                                   const long double *l, long double *z) {
  long double result = -0.5L * (long double)d * logl(2 * acosl(-1.0L));
  for (ptrdiff_t i = 0; i < d; i++) {
    z[i] = x[i] - mean[i];
    for (ptrdiff_t t = 0; t < i; t++) z[i] -= l[i * d + t] * z[t];
    z[i] /= l[i * d + i];
    result -= logl(l[i * d + i]) + z[i] * z[i] / 2;
  }
  return result;
}

/* What a hidden Markov model says of n rows, in log space. b is n x s, log_future s. Returns the log-likelihood; filtered and
 * posteriors are n x s, transitions s x s (+= weight times), message s. With a log-likelihood of -inf nothing is written. */
static inline long double plain_hmm(ptrdiff_t n, ptrdiff_t s, const long double *b, const double *log_initial,
                                    const double *log_transition, const double *log_future, long double weight,
                                    long double *filtered, long double *posteriors, long double *transitions,
                                    long double *message) {
  long double log_likelihood = 0, terms[128 * 128], beta[128], scale;
  for (ptrdiff_t t = 0; t < n; t++) {
    long double *row = filtered + t * s;
    for (ptrdiff_t j = 0; j < s; j++) {
      for (ptrdiff_t i = 0; i < s && t > 0; i++) terms[i] = row[i - s] + log_transition[i * s + j];
      row[j] = b[t * s + j] + (t > 0 ? plain_logsumexp(s, terms) : log_initial[j]);
    }
    scale = plain_logsumexp(s, row);
    if (!isfinite(scale)) return -INFINITY;
    for (ptrdiff_t j = 0; j < s; j++) row[j] -= scale;
    log_likelihood += scale;
  }
  for (ptrdiff_t j = 0; j < s; j++) beta[j] = log_future[j];
  for (ptrdiff_t t = n - 1; t >= 0; t--) {
    for (ptrdiff_t j = 0; j < s; j++) terms[j] = filtered[t * s + j] + beta[j];
    scale = plain_logsumexp(s, terms);
    for (ptrdiff_t j = 0; j < s; j++) posteriors[t * s + j] = weight * expl(terms[j] - scale);
    long double largest = -INFINITY;
    for (ptrdiff_t j = 0; j < s; j++) message[j] = b[t * s + j] + beta[j], largest = fmaxl(largest, message[j]);
    for (ptrdiff_t j = 0; j < s; j++) message[j] -= largest;
    if (t == 0) break;
    for (ptrdiff_t i = 0; i < s; i++)
      for (ptrdiff_t j = 0; j < s; j++)
        terms[i * s + j] = filtered[(t - 1) * s + i] + log_transition[i * s + j] + message[j];
    scale = plain_logsumexp(s * s, terms);
    for (ptrdiff_t i = 0; i < s * s; i++) transitions[i] += weight * expl(terms[i] - scale);
    for (ptrdiff_t i = 0; i < s; i++) {
      for (ptrdiff_t j = 0; j < s; j++) terms[j] = log_transition[i * s + j] + message[j];
      beta[i] = plain_logsumexp(s, terms);
    }
  }
  return log_likelihood;
}

#endif
