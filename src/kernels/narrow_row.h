/* A row in registers. See narrow.h. */
typedef double SMALL(lanes) __attribute__((vector_size(SMALL_LANES * 8)));
typedef double SMALL(unaligned) __attribute__((vector_size(SMALL_LANES * 8), aligned(8), may_alias));
typedef int64_t SMALL(whole) __attribute__((vector_size(SMALL_LANES * 8)));
typedef int64_t SMALL(whole_unaligned) __attribute__((vector_size(SMALL_LANES * 8), aligned(8), may_alias));
typedef struct {
  SMALL(lanes) part[SMALL_VECTORS];
} SMALL(row);

LC_INLINE SMALL(row) SMALL(load)(const double *x) {
  SMALL(row) r;
  EACH for (int k = 0; k < SMALL_VECTORS; k++) r.part[k] = *(const SMALL(unaligned) *)(x + k * SMALL_LANES);
  return r;
}

LC_INLINE void SMALL(store)(double *x, SMALL(row) r) {
  EACH for (int k = 0; k < SMALL_VECTORS; k++) *(SMALL(unaligned) *)(x + k * SMALL_LANES) = r.part[k];
}

LC_INLINE SMALL(row) SMALL(times)(SMALL(row) a, SMALL(row) b) {
  EACH for (int k = 0; k < SMALL_VECTORS; k++) a.part[k] *= b.part[k];
  return a;
}

LC_INLINE SMALL(row) SMALL(plus)(SMALL(row) a, SMALL(row) b) {
  EACH for (int k = 0; k < SMALL_VECTORS; k++) a.part[k] += b.part[k];
  return a;
}

LC_INLINE SMALL(row) SMALL(scaled)(SMALL(row) a, double scale) {
  EACH for (int k = 0; k < SMALL_VECTORS; k++) a.part[k] *= scale;
  return a;
}

LC_INLINE SMALL(row) SMALL(smaller)(SMALL(row) a, SMALL(row) b) {
  EACH for (int k = 0; k < SMALL_VECTORS; k++) {
    SMALL(whole) less = a.part[k] < b.part[k];
    a.part[k] = (SMALL(lanes))((less & (SMALL(whole))a.part[k]) | (~less & (SMALL(whole))b.part[k]));
  }
  return a;
}

LC_INLINE double SMALL(largest)(SMALL(row) a) {
  double most = a.part[0][0];
  EACH for (int j = 1; j < SMALL_WIDTH; j++) {
    double x = a.part[j / SMALL_LANES][j % SMALL_LANES];
    most = x > most ? x : most;
  }
  return most;
}
