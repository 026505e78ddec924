/* Double only. Rows are combined from the right, so that the inner loops run along contiguous rows. */
#include "kernels.h"
#include "real.h"

static double dot(ptrdiff_t n, const double *a, const double *b) {
  double lanes[8] = {0};
  ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int l = 0; l < 8; l++) lanes[l] += a[i + l] * b[i + l];
  double sum = 0;
  for (; i < n; i++) sum += a[i] * b[i];
  return sum + (((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7])));
}

/* l_ij = (a_ij - l_i . l_j) / l_jj, row by row: a row needs only the rows above it. */
lc_status LC_KERNEL(cholesky)(ptrdiff_t d, const double *a, double *l) {
  for (ptrdiff_t i = 0; i < d; i++) {
    double *row = l + i * d;
    for (ptrdiff_t j = 0; j < i; j++) row[j] = (a[i * d + j] - dot(j, row, l + j * d)) / l[j * d + j];
    double pivot = a[i * d + i] - dot(i, row, row);
    if (!(pivot > 0) || pivot > DBL_MAX) return LC_NOT_POSITIVE_DEFINITE;
    row[i] = sqrt(pivot);
    for (ptrdiff_t j = i + 1; j < d; j++) row[j] = 0;
  }
  return LC_OK;
}

/* Column i of L^-1 is row i of U: U_ii = 1 / L_ii, U_ij = -(sum_{i <= m < j} L_jm U_im) / L_jj for j > i. */
void LC_KERNEL(inverse_transpose)(ptrdiff_t d, const double *l, double *u) {
  for (ptrdiff_t i = 0; i < d; i++) {
    double *row = u + i * d;
    for (ptrdiff_t j = 0; j < i; j++) row[j] = 0;
    row[i] = 1 / l[i * d + i];
    for (ptrdiff_t j = i + 1; j < d; j++) row[j] = -dot(j - i, l + j * d + i, row + i) / l[j * d + j];
  }
}
