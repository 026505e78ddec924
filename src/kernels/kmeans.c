#include "kernels.h"
#include "tile.h"

typedef struct {
  ptrdiff_t T, dp;
  real *tile;    /* d x T */
  real *centers; /* k x d, and in float the rest that a float center leaves */
  real *rest;
  real *nearest; /* T: squared distances */
  bits *labels;  /* T */
} lloyd;

static ptrdiff_t lloyd_rows(ptrdiff_t d) { return tile_rows(d); }

size_t LC_KERNEL(kmeans_work)(ptrdiff_t k, ptrdiff_t d) {
  ptrdiff_t T = lloyd_rows(d);
  return ALIGNMENT + piece((size_t)(d * T) * sizeof(real)) + 2 * piece((size_t)(k * d) * sizeof(real)) +
         piece((size_t)T * sizeof(real)) + piece((size_t)T * sizeof(bits));
}

static lloyd begin(ptrdiff_t k, ptrdiff_t d, const double *centers, void *work) {
  arena a = arena_at(work);
  lloyd s = {.T = lloyd_rows(d)};
  s.tile = take(&a, (size_t)(d * s.T) * sizeof(real));
  s.centers = take(&a, (size_t)(k * d) * sizeof(real));
  s.rest = take(&a, (size_t)(k * d) * sizeof(real));
  s.nearest = take(&a, (size_t)s.T * sizeof(real));
  s.labels = take(&a, (size_t)s.T * sizeof(bits));
  for (ptrdiff_t i = 0; i < k * d; i++) {
    s.centers[i] = (real)centers[i];
    s.rest[i] = (real)(centers[i] - (double)s.centers[i]);
  }
  return s;
}

#define WIDE (VECTOR_BYTES == 64 ? 4 : 2)

/* Squared distances of WIDE vectors of rows to n_k centers. */
LC_INLINE void squared_distances(const int n_k, const lloyd *s, ptrdiff_t d, ptrdiff_t k, ptrdiff_t t, vec q[4][WIDE]) {
  _Pragma("GCC unroll 4") for (int a = 0; a < n_k; a++)
    _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) q[a][b] = (vec){0};
  for (ptrdiff_t j = 0; j < d; j++)
    _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) {
      vec x = load(s->tile + j * s->T + t + b * LANES);
      _Pragma("GCC unroll 4") for (int a = 0; a < n_k; a++) {
        vec z = x - s->centers[(k + a) * d + j];
        if (LC_F32) z -= s->rest[(k + a) * d + j];
        q[a][b] += z * z;
      }
    }
}

/* Compare n_k centers with WIDE vectors of rows, and keep the nearest. */
LC_INLINE void compare(const int n_k, const lloyd *s, ptrdiff_t d, ptrdiff_t k, ptrdiff_t t, vec nearest[WIDE], ivec labels[WIDE]) {
  vec q[4][WIDE];
  squared_distances(n_k, s, d, k, t, q);
  _Pragma("GCC unroll 4") for (int a = 0; a < n_k; a++)
    _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) {
      ivec nearer = (ivec)(q[a][b] < nearest[b]);
      nearest[b] = select_vec(nearer, q[a][b], nearest[b]);
      labels[b] = (labels[b] & ~nearer) | (nearer & ((bits)(k + a) - (ivec){0}));
    }
}

static void assign(const lloyd *s, ptrdiff_t k, ptrdiff_t d, ptrdiff_t rows) {
  for (ptrdiff_t t = 0; t < rows; t += WIDE * LANES) {
    vec nearest[WIDE];
    ivec labels[WIDE];
    _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) nearest[b] = broadcast((real)INFINITY), labels[b] = (ivec){0};
    ptrdiff_t c = 0;
    for (; c + 4 <= k; c += 4) compare(4, s, d, c, t, nearest, labels);
    for (; c < k; c++) compare(1, s, d, c, t, nearest, labels);
    _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) {
      store(s->nearest + t + b * LANES, nearest[b]);
      memcpy(s->labels + t + b * LANES, &labels[b], sizeof(ivec));
    }
  }
}

void LC_KERNEL(kmeans_sweep)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const real *x, ptrdiff_t x_stride, const double *row_weights,
                             const double *centers, int *labels, double *distances, double *counts, double *first,
                             double *inertia, void *work) {
  lloyd s = begin(k, d, centers, work);
  for (ptrdiff_t start = 0; start < n; start += s.T) {
    ptrdiff_t rows = min_size(s.T, n - start);
    turn_in(rows, d, x + start * x_stride, x_stride, s.T, s.tile);
    assign(&s, k, d, rows);
    for (ptrdiff_t t = 0; t < rows; t++) {
      ptrdiff_t label = (ptrdiff_t)s.labels[t];
      double weight = row_weights ? row_weights[start + t] : 1.0, distance = (double)s.nearest[t];
      const real *row = x + (start + t) * x_stride;
      labels[start + t] = (int)label;
      if (distances) distances[start + t] = distance;
      counts[label] += weight;
      *inertia += weight * distance;
      for (ptrdiff_t j = 0; j < d; j++) first[label * d + j] += weight * ((double)row[j] - centers[label * d + j]);
    }
  }
}

/* sum_t w_t min(distance_t, nearest_t), in eight sums side by side */
static double potential(ptrdiff_t rows, const real *distances, const double *nearest, const double *row_weights) {
  double sums[8] = {0};
  for (ptrdiff_t t = 0; t < rows; t += 8)
    for (ptrdiff_t i = 0; i < min_size(8, rows - t); i++) {
      double distance = (double)distances[t + i] < nearest[t + i] ? (double)distances[t + i] : nearest[t + i];
      sums[i] += row_weights ? row_weights[t + i] * distance : distance;
    }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* The potentials of n_k candidates for one tile. */
LC_INLINE void tile_potentials(const int n_k, const lloyd *s, ptrdiff_t d, ptrdiff_t k, ptrdiff_t rows, const double *row_weights,
                               const double *nearest, double *potentials) {
  real distances[4][512];
  for (ptrdiff_t t = 0; t < rows; t += WIDE * LANES) {
    vec q[4][WIDE];
    squared_distances(n_k, s, d, k, t, q);
    _Pragma("GCC unroll 4") for (int a = 0; a < n_k; a++)
      _Pragma("GCC unroll 4") for (int b = 0; b < WIDE; b++) store(distances[a] + t + b * LANES, q[a][b]);
  }
  for (int a = 0; a < n_k; a++) potentials[k + a] += potential(rows, distances[a], nearest, row_weights);
}

void LC_KERNEL(kmeans_potentials)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const real *x, ptrdiff_t x_stride, const double *row_weights,
                                  const double *candidates, const double *nearest, double *potentials, void *work) {
  lloyd s = begin(k, d, candidates, work);
  for (ptrdiff_t start = 0; start < n; start += s.T) {
    ptrdiff_t rows = min_size(s.T, n - start), c = 0;
    const double *w = row_weights ? row_weights + start : NULL;
    turn_in(rows, d, x + start * x_stride, x_stride, s.T, s.tile);
    for (; c + 4 <= k; c += 4) tile_potentials(4, &s, d, c, rows, w, nearest + start, potentials);
    switch (k - c) {
      case 3: tile_potentials(3, &s, d, c, rows, w, nearest + start, potentials); break;
      case 2: tile_potentials(2, &s, d, c, rows, w, nearest + start, potentials); break;
      case 1: tile_potentials(1, &s, d, c, rows, w, nearest + start, potentials); break;
    }
  }
}
