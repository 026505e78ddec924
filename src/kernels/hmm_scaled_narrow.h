/* Recursions of hmm_scaled.c for SMALL_WIDTH states. See narrow.h. */
/* sum_i x(i) a_i, in several sums that do not wait for each other. */
LC_INLINE SMALL(row) SMALL(product)(SMALL(row) x, const SMALL(row) *a) {
  enum { PARTS = SMALL_WIDTH / 2 };
  SMALL(row) sum[PARTS];
  EACH for (int i = 0; i < SMALL_WIDTH; i++) {
    double xi = x.part[i / SMALL_LANES][i % SMALL_LANES];
    EACH for (int k = 0; k < SMALL_VECTORS; k++)
      sum[i % PARTS].part[k] = i < PARTS ? xi * a[i].part[k] : sum[i % PARTS].part[k] + xi * a[i].part[k];
  }
  EACH for (int k = 0; k < SMALL_VECTORS; k++) {
    if (PARTS == 4) sum[0].part[k] = (sum[0].part[k] + sum[1].part[k]) + (sum[2].part[k] + sum[3].part[k]);
    if (PARTS == 2) sum[0].part[k] += sum[1].part[k];
  }
  return sum[0];
}

LC_INLINE void SMALL(matrix)(ptrdiff_t s, const double *a, SMALL(row) *out) {
  const double zeros[SMALL_WIDTH] = {0};
  EACH for (int i = 0; i < SMALL_WIDTH; i++) out[i] = SMALL(load)(i < s ? a + i * SMALL_WIDTH : zeros);
}

/* One step forward to row t; returns p_t, and alpha becomes p_t o b_t. */
LC_INLINE SMALL(row) SMALL(ahead)(const recursion *r, const SMALL(row) *a, ptrdiff_t t, SMALL(row) *alpha) {
  SMALL(row) p = SMALL(product)(*alpha, a);
  SMALL(store)(r->p + t * r->p_stride, p);
  *alpha = SMALL(times)(p, SMALL(load)(r->b + t * SMALL_WIDTH));
  return p;
}

/* One step back to row t; v becomes v_t. */
LC_INLINE void SMALL(back)(const recursion *r, const SMALL(row) *at, ptrdiff_t t, SMALL(row) *v, SMALL(row) *beta, double scale) {
  *beta = SMALL(product)(*v, at);
  *v = SMALL(times)(*beta, SMALL(scaled)(SMALL(load)(r->b + t * SMALL_WIDTH), scale));
  SMALL(store)(r->v + t * SMALL_WIDTH, *v);
}

/* The scale of row t, found from an earlier alpha; noted in the densities and their shift. */
LC_INLINE double SMALL(rescale)(const recursion *r, ptrdiff_t t, SMALL(row) alpha) {
  double k, scale = scaling(SMALL(largest)(alpha), &k);
  SMALL(store)(r->b + t * SMALL_WIDTH, SMALL(scaled)(SMALL(load)(r->b + t * SMALL_WIDTH), scale));
  r->row_shift[t] += k;
  return k;
}

LC_INLINE SMALL(row) SMALL(start)(const recursion *r) {
  for (int j = 0; j < SMALL_WIDTH; j++) r->p[j] = 1;
  return SMALL(load)(r->b);
}

static void SMALL(forward)(const recursion *r) {
  SMALL(row) a[SMALL_WIDTH], alpha = SMALL(start)(r);
  SMALL(matrix)(r->s, r->a, a);
  ptrdiff_t t = 1;
  if (r->every == 4)
    for (; t + 4 <= r->n; t += 4) {
      SMALL(rescale)(r, t + 1, alpha);
      EACH for (int i = 0; i < 4; i++) SMALL(ahead)(r, a, t + i, &alpha);
    }
  SMALL(row) low = SMALL(load)(r->low);
  for (; t < r->n; t++) {
    SMALL(rescale)(r, t, alpha);
    SMALL(row) p = SMALL(ahead)(r, a, t, &alpha);
    if (t < r->n_starts) p = SMALL(plus)(p, SMALL(load)(r->starts + t * SMALL_WIDTH));
    low = SMALL(smaller)(p, low);
  }
  SMALL(store)(r->low, low);
}

/* Both chains at once, n - 1 steps each; beta gets the message to the first row, before its densities. */
static void SMALL(both)(const recursion *r, double *first) {
  const ptrdiff_t last = r->n - 1;
  SMALL(row) a[SMALL_WIDTH], at[SMALL_WIDTH], alpha = SMALL(start)(r), v = SMALL(load)(r->v + last * SMALL_WIDTH), beta = v;
  SMALL(matrix)(r->s, r->a, a);
  SMALL(matrix)(r->s, r->at, at);
  ptrdiff_t t = 1;
  double k;
  if (last == 0) return;
  if (r->every == 4)
    for (; t + 4 <= r->n; t += 4) {
      SMALL(rescale)(r, t + 1, alpha);
      double scale = scaling(SMALL(largest)(v), &k);
      EACH for (int i = 0; i < 4; i++) {
        SMALL(ahead)(r, a, t + i, &alpha);
        SMALL(back)(r, at, last - t - i, &v, &beta, i == 1 ? scale : 1);
      }
    }
  SMALL(row) low = SMALL(load)(r->low);
  for (; t < r->n; t++) {
    double scale = scaling(SMALL(largest)(v), &k), kept = SMALL(rescale)(r, t, alpha);
    *r->kept = kept < *r->kept ? kept : *r->kept;
    SMALL(ahead)(r, a, t, &alpha);
    SMALL(back)(r, at, last - t, &v, &beta, scale);
    low = SMALL(smaller)(beta, low);
  }
  SMALL(store)(r->low, low);
  SMALL(store)(first, beta);
}

/* sums(i, j) += sum_t u_t(i) v_t(j) */
static void SMALL(pairs)(ptrdiff_t n, const double *u, const double *v, double *sums) {
  SMALL(row) sum[SMALL_WIDTH];
  EACH for (int i = 0; i < SMALL_WIDTH; i++) sum[i] = SMALL(load)(sums + i * SMALL_WIDTH);
  for (ptrdiff_t t = 0; t < n; t++) {
    SMALL(row) x = SMALL(load)(v + t * SMALL_WIDTH);
    EACH for (int i = 0; i < SMALL_WIDTH; i++)
      EACH for (int k = 0; k < SMALL_VECTORS; k++) sum[i].part[k] += u[t * SMALL_WIDTH + i] * x.part[k];
  }
  EACH for (int i = 0; i < SMALL_WIDTH; i++) SMALL(store)(sums + i * SMALL_WIDTH, sum[i]);
}
