/* Viterbi's recursion for SMALL_WIDTH states. See narrow.h. */

/* The scores of the last row go to `scores`; pointers[t * SMALL_WIDTH + j] is the state before state j of row t. */
static void SMALL(viterbi)(ptrdiff_t s, ptrdiff_t n, const double *b, const double *log_initial, const double *from,
                           int64_t *pointers, double *scores) {
  SMALL(row) a[SMALL_WIDTH], delta = SMALL(load)(log_initial), density = SMALL(load)(b);
  const double nothing[8] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY};
  EACH for (int i = 0; i < SMALL_WIDTH; i++) a[i] = SMALL(load)(i < s ? from + i * SMALL_WIDTH : nothing);
  EACH for (int k = 0; k < SMALL_VECTORS; k++) delta.part[k] += density.part[k];
  for (ptrdiff_t t = 1; t < n; t++) {
    density = SMALL(load)(b + t * SMALL_WIDTH);
    SMALL(row) next;
    EACH for (int k = 0; k < SMALL_VECTORS; k++) {
      /* pairs of neighbours first, so that not each state waits for the one before */
      SMALL(lanes) best[SMALL_WIDTH / 2];
      SMALL(whole) state[SMALL_WIDTH / 2];
      EACH for (int i = 0; i < SMALL_WIDTH; i += 2) {
        SMALL(lanes) x = delta.part[i / SMALL_LANES][i % SMALL_LANES] + a[i].part[k];
        SMALL(lanes) y = delta.part[(i + 1) / SMALL_LANES][(i + 1) % SMALL_LANES] + a[i + 1].part[k];
        SMALL(whole) later = y > x;
        best[i / 2] = (SMALL(lanes))((later & (SMALL(whole))y) | (~later & (SMALL(whole))x));
        state[i / 2] = i - later;
      }
      EACH for (int step = 1; step < SMALL_WIDTH / 2; step *= 2)
        EACH for (int i = 0; i + step < SMALL_WIDTH / 2; i += 2 * step) {
          SMALL(whole) later = best[i + step] > best[i];
          best[i] = (SMALL(lanes))((later & (SMALL(whole))best[i + step]) | (~later & (SMALL(whole))best[i]));
          state[i] = (later & state[i + step]) | (~later & state[i]);
        }
      *(SMALL(whole_unaligned) *)(pointers + t * SMALL_WIDTH + k * SMALL_LANES) = state[0];
      next.part[k] = best[0] + density.part[k];
    }
    delta = next;
  }
  SMALL(store)(scores, delta);
}
