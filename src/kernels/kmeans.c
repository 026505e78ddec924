#include "kernels.h"
#include "tile.h"

/* Rows are taken in tiles and compared with centers in slabs: SLAB rows by four centers are what the registers hold.
 * Tiles are small, for a slab has to stay in the first cache while it meets all centers. */
#define WIDE (VECTOR_BYTES == 64 ? 4 : 2)
#define SLAB (WIDE * LANES)
#define TILE (LC_F32 ? 64 : 32)
#define FOUR _Pragma("GCC unroll 4")
/* Most reals and doubles to a vector, whatever the instruction set, so that workspaces have one size. */
#define MOST_LANES (LC_F32 ? 16 : 8)
#define MOST_DOUBLES 8
#define CACHE_LINE 64

/* Vectors of doubles, for sums over rows, and of as many reals. */
#define DOUBLES (VECTOR_BYTES / 8)
typedef double dvec __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t dmask __attribute__((vector_size(VECTOR_BYTES)));
typedef double dvec_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(double)), may_alias));
typedef real part_unaligned __attribute__((vector_size(DOUBLES * sizeof(real)), aligned(sizeof(real)), may_alias));

LC_INLINE dvec load_double(const double *p) { return *(const dvec_unaligned *)p; }
LC_INLINE void store_double(double *p, dvec v) { *(dvec_unaligned *)p = v; }
LC_INLINE dvec smaller(dvec a, dvec b) {
  dmask less = a < b;
  return (dvec)((less & (dmask)a) | (~less & (dmask)b));
}
LC_INLINE dvec load_as_double(const real *p) { return __builtin_convertvector(*(const part_unaligned *)p, dvec); }

typedef struct {
  ptrdiff_t k, d;
  ptrdiff_t read;     /* d rounded up to whole vectors of reals: rows are read so far */
  ptrdiff_t summed;   /* and of doubles */
  ptrdiff_t copies;   /* of the sums, a power of 2, used in turn: a row need not wait for the last one's sum */
  real *tile;         /* d x TILE, about the origin */
  real *copy;         /* TILE x read: the last rows, with room to be read as the others are */
  real *origin;       /* d */
  real *groups;       /* k x d: centers about the origin in groups of four, [k / 4][d][4] */
  real *nearest;      /* TILE: squared distances */
  bits *labels;       /* TILE */
  double *centers;    /* k x summed */
  double *sums;       /* copies x k x summed: first moments about the centers */
  double *counts;     /* copies x k */
} lloyd;

static lloyd sizes(ptrdiff_t k, ptrdiff_t d) {
  lloyd s = {.k = k, .d = d, .read = round_up(d, MOST_LANES), .summed = round_up(d, MOST_DOUBLES)};
  s.copies = k * s.summed <= 512 ? 4 : 1; /* 16 KiB; among more sums, few are wanted twice in a row */
  return s;
}

size_t LC_KERNEL(kmeans_work)(ptrdiff_t k, ptrdiff_t d) {
  lloyd s = sizes(k, d);
  return ALIGNMENT + piece((size_t)(TILE * d) * sizeof(real)) + piece((size_t)(TILE * s.read) * sizeof(real)) +
         piece((size_t)d * sizeof(real)) + piece((size_t)(round_up(k, 4) * d) * sizeof(real)) + piece(TILE * sizeof(real)) +
         piece(TILE * sizeof(bits)) + piece((size_t)(k * s.summed) * sizeof(double)) +
         piece((size_t)(s.copies * k * s.summed) * sizeof(double)) + piece((size_t)(s.copies * k) * sizeof(double));
}

/* What to subtract from feature j of rows and centers alike, so that float centers keep the digits that tell them
 * apart: 0, or if all lie far from it a round number in their midst, which leaves the differences of rows exact. */
static real origin(ptrdiff_t k, ptrdiff_t d, const double *centers, ptrdiff_t j) {
  double lowest = centers[j], highest = centers[j];
  for (ptrdiff_t c = 1; c < k; c++) {
    double center = centers[c * d + j];
    lowest = center < lowest ? center : lowest;
    highest = center > highest ? center : highest;
  }
  double range = highest - lowest;
  if (range == 0) return (real)lowest;
  if (!(range < REAL_MAX / 16)) return 0;
  double grid = ldexp(1, ilogb(range) + 3); /* at least four times the range */
  return (real)(rint(lowest / grid) * grid);
}

static lloyd begin(ptrdiff_t k, ptrdiff_t d, const double *centers, void *work) {
  arena a = arena_at(work);
  lloyd s = sizes(k, d);
  s.tile = take(&a, (size_t)(TILE * d) * sizeof(real));
  s.copy = take(&a, (size_t)(TILE * s.read) * sizeof(real));
  s.origin = take(&a, (size_t)d * sizeof(real));
  s.groups = take(&a, (size_t)(round_up(k, 4) * d) * sizeof(real));
  s.nearest = take(&a, TILE * sizeof(real));
  s.labels = take(&a, TILE * sizeof(bits));
  s.centers = take(&a, (size_t)(k * s.summed) * sizeof(double));
  s.sums = take(&a, (size_t)(s.copies * k * s.summed) * sizeof(double));
  s.counts = take(&a, (size_t)(s.copies * k) * sizeof(double));
  for (ptrdiff_t j = 0; j < d; j++) s.origin[j] = LC_F32 ? origin(k, d, centers, j) : 0;
  for (ptrdiff_t c = 0; c < k; c++)
    for (ptrdiff_t j = 0; j < d; j++)
      s.groups[(c / 4 * d + j) * 4 + c % 4] = (real)(centers[c * d + j] - (double)s.origin[j]);
  return s;
}

/* Where to read the rows of the tile at `start`. Whole vectors are read, which end beyond the row: at the end of the data the
 * rows are copied, and followed by zeros. */
static const real *tile_at(const lloyd *s, ptrdiff_t start, ptrdiff_t n, const real *x, ptrdiff_t *stride) {
  const real *rows = x + start * *stride;
  if ((start + TILE - 1) * *stride + s->read <= (n - 1) * *stride + s->d) return rows;
  memset(s->copy, 0, (size_t)(TILE * s->read) * sizeof(real));
  for (ptrdiff_t t = 0; t < min_size(TILE, n - start); t++)
    memcpy(s->copy + t * s->read, rows + t * *stride, (size_t)s->d * sizeof(real));
  *stride = s->read;
  return s->copy;
}

static void turn_tile(const lloyd *s, const real *rows, ptrdiff_t stride) {
  const ptrdiff_t d = s->d;
  real *tile = s->tile;
  if (stride == d && d <= 4) {
    switch (d) {
      case 1: turn_in_narrow(1, TILE, rows, TILE, tile); break;
      case 2: turn_in_narrow(2, TILE, rows, TILE, tile); break;
      case 3: turn_in_narrow(3, TILE, rows, TILE, tile); break;
      case 4: turn_in_narrow(4, TILE, rows, TILE, tile); break;
    }
  } else {
    for (ptrdiff_t t = 0; t < TILE; t += LANES)
      for (ptrdiff_t j = 0; j < d; j += LANES) {
        vec block[LANES];
        _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) block[i] = load(rows + (t + i) * stride + j);
        transpose_block(block);
        _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++)
          if (j + i < d) store(tile + (j + i) * TILE + t, block[i]);
      }
  }
  if (LC_F32)
    for (ptrdiff_t j = 0; j < d; j++)
      for (ptrdiff_t t = 0; t < TILE; t++) tile[j * TILE + t] -= s->origin[j];
}

/* Bytes of rows to come: into the first cache if two tiles have room in it, else into the second. */
LC_INLINE void fetch(const char *from, const char *end, ptrdiff_t d) {
  if (d * TILE * (ptrdiff_t)sizeof(real) <= 16384)
    for (; from < end; from += CACHE_LINE) __builtin_prefetch(from, 0, 3);
  else
    for (; from < end; from += CACHE_LINE) __builtin_prefetch(from, 0, 2);
}

/* Squared distances of a slab to the first n_k centers of a group. */
LC_INLINE void squared_distances(const int n_k, ptrdiff_t d, const real *slab, const real *group, vec q[4][WIDE]) {
  FOUR for (int a = 0; a < n_k; a++)
    FOUR for (int b = 0; b < WIDE; b++) q[a][b] = (vec){0};
  for (ptrdiff_t j = 0; j < d; j++)
    FOUR for (int b = 0; b < WIDE; b++) {
      vec x = load(slab + j * TILE + b * LANES);
      FOUR for (int a = 0; a < n_k; a++) {
        vec z = x - group[j * 4 + a];
        q[a][b] += z * z;
      }
    }
}

/* sum_t w_t min(distance_t, cap_t). Inlined where caps and weights are known to be given or NULL. */
LC_INLINE double sum_potentials(ptrdiff_t rows, const real *distances, const double *caps, const double *weights) {
  dvec sums = {0};
  double sum = 0;
  ptrdiff_t t = 0;
  for (; t + DOUBLES <= rows; t += DOUBLES) {
    dvec potential = load_as_double(distances + t);
    if (caps) potential = smaller(potential, load_double(caps + t));
    sums += weights ? load_double(weights + t) * potential : potential;
  }
  for (; t < rows; t++) {
    double potential = (double)distances[t];
    if (caps && caps[t] < potential) potential = caps[t];
    sum += weights ? weights[t] * potential : potential;
  }
  _Pragma("GCC unroll 8") for (int i = 0; i < DOUBLES; i++) sum += sums[i];
  return sum;
}

/* ---- a sweep --------------------------------------------------------------------------------------------------------- */

LC_INLINE void keep_nearer(vec q, bits label, vec *nearest, ivec *nearest_label) {
#if VECTOR_BYTES == 64 && LC_F32
  __mmask16 nearer = _mm512_cmp_ps_mask((__m512)q, (__m512)*nearest, _CMP_LT_OQ);
  *nearest_label = (ivec)_mm512_mask_set1_epi32((__m512i)*nearest_label, nearer, label);
  *nearest = (vec)_mm512_min_ps((__m512)q, (__m512)*nearest);
#elif VECTOR_BYTES == 64
  __mmask8 nearer = _mm512_cmp_pd_mask((__m512d)q, (__m512d)*nearest, _CMP_LT_OQ);
  *nearest_label = (ivec)_mm512_mask_set1_epi64((__m512i)*nearest_label, nearer, label);
  *nearest = (vec)_mm512_min_pd((__m512d)q, (__m512d)*nearest);
#else
  ivec nearer = (ivec)(q < *nearest);
  *nearest_label = (*nearest_label & ~nearer) | (nearer & (label - (ivec){0}));
  *nearest = select_vec(nearer, q, *nearest);
#endif
}

/* Compare a slab with the first n_k centers of a group, and keep the nearest. */
LC_INLINE void compare(const int n_k, const lloyd *s, ptrdiff_t c, const real *slab, vec nearest[WIDE], ivec labels[WIDE]) {
  vec q[4][WIDE];
  squared_distances(n_k, s->d, slab, s->groups + c * s->d, q);
  FOUR for (int a = 0; a < n_k; a++)
    FOUR for (int b = 0; b < WIDE; b++) keep_nearer(q[a][b], (bits)(c + a), &nearest[b], &labels[b]);
}

/* Labels and distances of a slab. Meanwhile as many bytes from `next` on are fetched, some with each group. */
static void assign(const lloyd *s, ptrdiff_t t, const char *next, ptrdiff_t bytes) {
  const real *slab = s->tile + t;
  const ptrdiff_t share = s->k < 4 ? 0 : round_up(bytes / (s->k / 4), CACHE_LINE);
  vec nearest[WIDE];
  ivec labels[WIDE];
  FOUR for (int b = 0; b < WIDE; b++) nearest[b] = broadcast((real)INFINITY), labels[b] = (ivec){0};
  ptrdiff_t c = 0;
  for (; c + 4 <= s->k; c += 4) {
    fetch(next + c / 4 * share, next + (c / 4 + 1) * share, s->d);
    compare(4, s, c, slab, nearest, labels);
  }
  switch (s->k - c) {
    case 3: compare(3, s, c, slab, nearest, labels); break;
    case 2: compare(2, s, c, slab, nearest, labels); break;
    case 1: compare(1, s, c, slab, nearest, labels); break;
  }
  FOUR for (int b = 0; b < WIDE; b++) {
    store(s->nearest + t + b * LANES, nearest[b]);
    memcpy(s->labels + t + b * LANES, &labels[b], sizeof(ivec));
  }
}

LC_INLINE void add_rows(const int weighted, const lloyd *s, ptrdiff_t n_rows, const real *rows, ptrdiff_t stride,
                        const double *weights) {
  const lloyd local = *s; /* stores of vectors may alias anything: what s points at would be read again for each row */
  for (ptrdiff_t t = 0; t < n_rows; t++) {
    const ptrdiff_t label = (ptrdiff_t)local.labels[t], place = (t & (local.copies - 1)) * local.k + label;
    const double *center = local.centers + label * local.summed;
    double *sums = local.sums + place * local.summed;
    local.counts[place] += weighted ? weights[t] : 1;
    for (ptrdiff_t j = 0; j < local.d; j += DOUBLES) {
      dvec z = load_as_double(rows + t * stride + j) - load_double(center + j);
      store_double(sums + j, load_double(sums + j) + (weighted ? weights[t] * z : z));
    }
  }
}

void LC_KERNEL(kmeans_sweep)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const real *x, ptrdiff_t x_stride, const double *row_weights,
                             const double *centers, int *labels, double *distances, double *counts, double *first,
                             double *inertia, void *work) {
  lloyd s = begin(k, d, centers, work);
  memset(s.sums, 0, (size_t)(s.copies * k * s.summed) * sizeof(double));
  memset(s.counts, 0, (size_t)(s.copies * k) * sizeof(double));
  for (ptrdiff_t c = 0; c < k; c++)
    for (ptrdiff_t j = 0; j < s.summed; j++) s.centers[c * s.summed + j] = j < d ? centers[c * d + j] : 0;
  for (ptrdiff_t start = 0; start < n; start += TILE) {
    ptrdiff_t n_rows = min_size(TILE, n - start), stride = x_stride;
    const real *rows = tile_at(&s, start, n, x, &stride);
    turn_tile(&s, rows, stride);
    const ptrdiff_t bytes = start + 2 * TILE <= n ? SLAB * stride * (ptrdiff_t)sizeof(real) : 0;
    for (ptrdiff_t t = 0; t < TILE; t += SLAB) assign(&s, t, (const char *)(rows + (TILE + t) * stride), bytes);
    if (row_weights) {
      add_rows(1, &s, n_rows, rows, stride, row_weights + start);
      *inertia += sum_potentials(n_rows, s.nearest, NULL, row_weights + start);
    } else {
      add_rows(0, &s, n_rows, rows, stride, NULL);
      *inertia += sum_potentials(n_rows, s.nearest, NULL, NULL);
    }
    for (ptrdiff_t t = 0; t < n_rows; t++) labels[start + t] = (int)s.labels[t];
    if (distances)
      for (ptrdiff_t t = 0; t < n_rows; t++) distances[start + t] = (double)s.nearest[t];
  }
  for (ptrdiff_t copy = 0; copy < s.copies; copy++)
    for (ptrdiff_t c = 0; c < k; c++) {
      counts[c] += s.counts[copy * k + c];
      for (ptrdiff_t j = 0; j < d; j++) first[c * d + j] += s.sums[(copy * k + c) * s.summed + j];
    }
}

/* ---- potentials ------------------------------------------------------------------------------------------------------ */

/* The potentials of n_k candidates, from c on, for one tile. */
LC_INLINE void tile_potentials(const int n_k, const lloyd *s, ptrdiff_t c, ptrdiff_t rows, const double *row_weights,
                               const double *nearest, double *potentials) {
  real distances[4][TILE];
  for (ptrdiff_t t = 0; t < TILE; t += SLAB) {
    vec q[4][WIDE];
    squared_distances(n_k, s->d, s->tile + t, s->groups + c * s->d, q);
    FOUR for (int a = 0; a < n_k; a++)
      FOUR for (int b = 0; b < WIDE; b++) store(distances[a] + t + b * LANES, q[a][b]);
  }
  for (int a = 0; a < n_k; a++)
    potentials[c + a] += row_weights ? sum_potentials(rows, distances[a], nearest, row_weights)
                                     : sum_potentials(rows, distances[a], nearest, NULL);
}

void LC_KERNEL(kmeans_potentials)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t d, const real *x, ptrdiff_t x_stride, const double *row_weights,
                                  const double *candidates, const double *nearest, double *potentials, void *work) {
  lloyd s = begin(k, d, candidates, work);
  for (ptrdiff_t start = 0; start < n; start += TILE) {
    ptrdiff_t n_rows = min_size(TILE, n - start), stride = x_stride, c = 0;
    const double *w = row_weights ? row_weights + start : NULL;
    const real *rows = tile_at(&s, start, n, x, &stride);
    turn_tile(&s, rows, stride);
    if (start + 2 * TILE <= n) fetch((const char *)(rows + TILE * stride), (const char *)(rows + 2 * TILE * stride), d);
    for (; c + 4 <= k; c += 4) tile_potentials(4, &s, c, n_rows, w, nearest + start, potentials);
    switch (k - c) {
      case 3: tile_potentials(3, &s, c, n_rows, w, nearest + start, potentials); break;
      case 2: tile_potentials(2, &s, c, n_rows, w, nearest + start, potentials); break;
      case 1: tile_potentials(1, &s, c, n_rows, w, nearest + start, potentials); break;
    }
  }
}
