/* Tiles: a block of rows, turned so that rows lie in the vector lanes. A tile of T rows and D features is D x T:
 * feature j of row t at tile[j * T + t]. Rows beyond the data are zeros. T is a multiple of TILE_UNIT, whatever the
 * instruction set, so that workspaces have one size. */
#ifndef LC_TILE_H
#define LC_TILE_H

#include "simd.h"

#define TILE_UNIT 64
#define ROW_VECTORS 4 /* vectors of rows worked on at once */
#define ALIGNMENT 64

LC_INLINE ptrdiff_t round_up(ptrdiff_t n, ptrdiff_t unit) { return (n + unit - 1) / unit * unit; }
LC_INLINE ptrdiff_t min_size(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
LC_INLINE ptrdiff_t max_size(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/* Rows to a tile whose widest matrix has `width` rows of T reals: about 256 KiB of them at most, in the second cache. */
LC_INLINE ptrdiff_t tile_rows(ptrdiff_t width) {
  ptrdiff_t fits = (ptrdiff_t)(262144 / sizeof(real)) / max_size(width, 1) / TILE_UNIT * TILE_UNIT;
  return min_size(LC_F32 ? 512 : 256, max_size(fits, TILE_UNIT));
}

/* Pieces of a workspace, each aligned. */
typedef struct {
  char *next;
} arena;

LC_INLINE arena arena_at(void *work) { return (arena){(char *)(((uintptr_t)work + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1))}; }
LC_INLINE size_t piece(size_t bytes) { return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1); }
LC_INLINE void *take(arena *a, size_t bytes) {
  void *p = a->next;
  a->next += piece(bytes);
  return p;
}

LC_INLINE void turn_in_narrow(const ptrdiff_t d, ptrdiff_t rows, const real *restrict x, ptrdiff_t T, real *restrict tile) {
  for (ptrdiff_t t = 0; t < rows; t++)
    for (ptrdiff_t j = 0; j < d; j++) tile[j * T + t] = x[t * d + j];
}

/* tile[j * T + t] = x[t * stride + j] for t < rows, and 0 from there to the next multiple of TILE_UNIT. */
static inline void turn_in(ptrdiff_t rows, ptrdiff_t d, const real *x, ptrdiff_t stride, ptrdiff_t T, real *tile) {
  const ptrdiff_t padded = round_up(rows, TILE_UNIT);
  if (stride == d && d <= 4) {
    switch (d) {
      case 1: turn_in_narrow(1, rows, x, T, tile); break;
      case 2: turn_in_narrow(2, rows, x, T, tile); break;
      case 3: turn_in_narrow(3, rows, x, T, tile); break;
      case 4: turn_in_narrow(4, rows, x, T, tile); break;
    }
  } else {
    ptrdiff_t whole_rows = rows / LANES * LANES, whole_d = d / LANES * LANES;
    for (ptrdiff_t j = 0; j < whole_d; j += LANES)
      for (ptrdiff_t t = 0; t < whole_rows; t += LANES) {
        vec block[LANES];
        _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) block[i] = load(x + (t + i) * stride + j);
        transpose_block(block);
        _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) store(tile + (j + i) * T + t, block[i]);
      }
    for (ptrdiff_t j = whole_d; j < d; j++)
      for (ptrdiff_t t = 0; t < whole_rows; t++) tile[j * T + t] = x[t * stride + j];
    for (ptrdiff_t t = whole_rows; t < rows; t++)
      for (ptrdiff_t j = 0; j < d; j++) tile[j * T + t] = x[t * stride + j];
  }
  if (rows < padded)
    for (ptrdiff_t j = 0; j < d; j++) memset(tile + j * T + rows, 0, (size_t)(padded - rows) * sizeof(real));
}

LC_INLINE void turn_out_narrow(const ptrdiff_t k, ptrdiff_t rows, const real *restrict tile, ptrdiff_t T, real *restrict out) {
  for (ptrdiff_t t = 0; t < rows; t++)
    for (ptrdiff_t j = 0; j < k; j++) out[t * k + j] = tile[j * T + t];
}

/* out[t * stride + j] = tile[j * T + t] for t < rows, j < k. */
static inline void turn_out(ptrdiff_t rows, ptrdiff_t k, const real *tile, ptrdiff_t T, real *out, ptrdiff_t stride) {
  if (stride == k && k <= 4) {
    switch (k) {
      case 1: turn_out_narrow(1, rows, tile, T, out); break;
      case 2: turn_out_narrow(2, rows, tile, T, out); break;
      case 3: turn_out_narrow(3, rows, tile, T, out); break;
      case 4: turn_out_narrow(4, rows, tile, T, out); break;
    }
    return;
  }
  ptrdiff_t whole_rows = rows / LANES * LANES, whole_k = k / LANES * LANES;
  for (ptrdiff_t t = 0; t < whole_rows; t += LANES) {
    for (ptrdiff_t j = 0; j < whole_k; j += LANES) {
      vec block[LANES];
      _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) block[i] = load(tile + (j + i) * T + t);
      transpose_block(block);
      _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) store(out + (t + i) * stride + j, block[i]);
    }
    for (ptrdiff_t j = whole_k; j < k; j++)
      for (ptrdiff_t i = 0; i < LANES; i++) out[(t + i) * stride + j] = tile[j * T + t + i];
  }
  for (ptrdiff_t t = whole_rows; t < rows; t++)
    for (ptrdiff_t j = 0; j < k; j++) out[t * stride + j] = tile[j * T + t];
}

#endif
