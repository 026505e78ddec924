"""Gaussians of rows that lack entries (NaN): marginals of what is observed, conditional moments of what is not.

Rows are grouped by pattern, the set of columns observed. Within a pattern the kernels run on the observed columns o
alone, with the marginal means and covariances; what the row is expected to be in the missing columns m follows from the
statistics of the observed ones (Little & Rubin 2019, section 11.2):

    B = Sigma_mo Sigma_oo^-1,    C = Sigma_mm - B Sigma_om,
    mean_m = mu_m + B (mean_o - mu_o),    scatter_mo = B scatter_oo,    scatter_mm = B scatter_oo B^T + count C

Patterns with equally many entries are taken together, so that many patterns of few rows stay bearable.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.arrays import Rows
from latentcore.errors import CollapsedComponentError
from latentcore.families.gaussian_types import (
    CovarianceType,
    GaussianParams,
    GaussianStatistics,
    Layout,
    layout,
)
from latentcore.protocols import Array, RealArray

__all__ = [
    "Group",
    "Marginals",
    "Patterns",
    "SweepArguments",
    "has_missing",
    "marginals",
    "patterns",
    "with_column_means",
]

Indices = npt.NDArray[np.intp]

SweepArguments = tuple[Array, Array, Array, Layout]
"""Offsets, means, factors and layout, as the kernels take them."""

Moments = tuple[Array, Array, Array]
"""Counts, means and scatters of some rows."""

_BLOCK_ELEMENTS = 1 << 16
"""Entries looked at together in search of one that is missing."""
_CHUNK_ELEMENTS = 1 << 18
"""Entries of the covariances of patterns that are taken together: 2 MiB."""

LOG_2PI = math.log(2.0 * math.pi)


# -- rows by pattern


@dataclass(frozen=True, slots=True)
class Group:
    """The rows with equally many entries, pattern by pattern.

    Attributes
    ----------
    columns : (P, D)
        Of each pattern: the columns observed, then the missing ones, both rising.
    n_observed : int
    begins : list of P + 1 int
        Pattern p has the rows ``begins[p]`` to ``begins[p + 1] - 1``.
    index : (n,)
        Which rows of the data they are.
    data : Rows
        Their observed entries, (n, n_observed), with weights and labels. Where nothing is observed: one column of
        zeros, which the kernels read with factor 0.
    """

    columns: Indices
    n_observed: int
    begins: list[int]
    index: Indices
    data: Rows

    def rows(self, pattern: int) -> tuple[Indices, Rows]:
        """Indices and entries of a pattern's rows."""
        chosen = slice(self.begins[pattern], self.begins[pattern + 1])
        data = self.data
        weight = None if data.sample_weight is None else data.sample_weight[chosen]
        labels = None if data.labels is None else data.labels[chosen]
        return self.index[chosen], Rows(data.x[chosen], weight, labels=labels)


@dataclass(frozen=True, slots=True)
class Patterns:
    """Rows by pattern.

    Attributes
    ----------
    complete : Rows
        Those without missing entries; the data themselves if that is all of them.
    complete_index : (n,) or None
        Which rows of the data they are; None for all.
    incomplete : tuple of Group
    """

    complete: Rows
    complete_index: Indices | None
    incomplete: tuple[Group, ...]


def has_missing(x: RealArray) -> bool:
    """Whether any entry is NaN."""
    flat: RealArray = x.reshape(-1)
    for start in range(0, flat.size, _BLOCK_ELEMENTS):
        missing = np.isnan(flat[start : start + _BLOCK_ELEMENTS])
        if missing[missing.argmax()]:  # the first, if any
            return True
    return False


def patterns(data: Rows) -> Patterns:
    """Group rows by pattern; rows that lack entries are copied, and the others then, too."""
    if not has_missing(data.x):
        return Patterns(data, None, ())
    missing: npt.NDArray[np.bool_] = np.isnan(data.x)
    lacking = missing.any(axis=1)
    complete, incomplete = np.flatnonzero(~lacking), np.flatnonzero(lacking)
    order, begins = _runs_of_equal_rows(missing[incomplete])
    incomplete = incomplete[order]
    kinds = missing[incomplete[begins[:-1]]]
    n_observed = (~kinds).sum(axis=1)
    groups = (
        _group(data, kinds, begins, incomplete, np.flatnonzero(n_observed == n))
        for n in np.unique(n_observed)
    )
    return Patterns(data.take(complete), complete, tuple(groups))


def _runs_of_equal_rows(mask: npt.NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """The order that brings equal rows together, and where their runs begin, with the end."""
    packed = np.packbits(mask, axis=1)
    words = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)
    order = np.lexsort(words.T)
    words = words[order]
    changes = np.flatnonzero((words[1:] != words[:-1]).any(axis=1)) + 1
    return order, np.concatenate([[0], changes, [len(mask)]])


def _group(
    data: Rows, kinds: npt.NDArray[np.bool_], begins: Indices, index: Indices, chosen: Indices
) -> Group:
    """The group of the chosen patterns, which have equally many entries."""
    columns = np.argsort(kinds[chosen], axis=1, kind="stable")
    n_observed = int((~kinds[chosen[0]]).sum())
    lengths = np.diff(begins)[chosen]
    group_begins = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(group_begins[-1]) + np.repeat(begins[chosen] - group_begins[:-1], lengths)
    rows = index[places]
    x = data.x[rows[:, None], np.repeat(columns[:, :n_observed], lengths, axis=0)]
    if n_observed == 0:
        x = np.zeros((len(rows), 1), data.x.dtype)
    weight = None if data.sample_weight is None else data.sample_weight[rows]
    labels = None if data.labels is None else data.labels[rows]
    return Group(columns, n_observed, group_begins.tolist(), rows, Rows(x, weight, labels=labels))


def with_column_means(x: RealArray) -> RealArray:
    """Missing entries replaced by the mean of those observed in their column, 0 where there are none."""
    if not has_missing(x):
        return x
    missing = np.isnan(x)
    counts = (~missing).sum(axis=0)
    sums = np.where(missing, 0, x).sum(axis=0, dtype=np.float64)
    means = (sums / np.maximum(counts, 1)).astype(x.dtype)
    return np.where(missing, means, x)


# -- components seen through patterns


@dataclass(frozen=True, slots=True)
class Marginals:
    """K components as P patterns of o columns out of D see them. J is K, or 1 for tied covariances.

    Attributes
    ----------
    group : Group
    first : int
        The group's pattern that is the first here.
    params : GaussianParams
    covariance_type : CovarianceType
    means : (P, K, o)
    means_missing : (P, K, D - o)
    factors : full and tied (P, J, o, o), diag (P, K, o), spherical (P, K)
        Of the marginal precisions.
    log_determinants : (P, K)
        log|det| of the factors.
    gains : (P, J, D - o, o), or None where it is zero
        B above.
    residuals : full and tied (P, J, D - o, D - o), diag (P, K, D - o), spherical (P, K)
        C above; spherical: summed over the missing columns.
    """

    group: Group
    first: int
    params: GaussianParams
    covariance_type: CovarianceType
    means: Array
    means_missing: Array
    factors: Array
    log_determinants: Array
    gains: Array | None
    residuals: Array

    def rows(self) -> Iterator[tuple[Indices, Rows]]:
        """Indices and entries of the rows, pattern by pattern."""
        return (self.group.rows(self.first + p) for p in range(len(self.means)))

    def centers(self) -> Array:
        """(P, K, o): the means, and one zero where nothing is observed."""
        return self.means if self.group.n_observed else np.zeros((*self.means.shape[:2], 1))

    def arguments(self, log_weights: Array) -> Iterator[SweepArguments]:
        """What the kernels take, pattern by pattern."""
        type_ = layout(self.covariance_type)
        offsets = self.log_determinants + (log_weights - 0.5 * LOG_2PI * self.group.n_observed)
        centers, factors = self.centers(), self.factors
        if self.group.n_observed == 0:  # the kernels see a column of zeros
            factors = np.zeros(factors.shape[:2] + (1,) * (factors.ndim - 2))
        if type_ == "tied":
            factors = factors[:, 0]
        return ((offsets[p], centers[p], factors[p], type_) for p in range(len(offsets)))

    def pooled(self, moments: Sequence[Moments]) -> GaussianStatistics:
        """Statistics of all columns, summed over patterns, from those of the observed columns of each."""
        counts, means, scatters = (np.stack(each) for each in zip(*moments, strict=True))
        n_observed = self.group.n_observed
        steps = self._steps(means[..., :n_observed] - self.means)
        sums = counts.sum(axis=0)
        shares = counts / np.where(sums > 0, sums, 1.0)
        shift = np.einsum("pk,pkd->kd", shares, steps)
        spread = np.sqrt(counts)[..., None] * (steps - shift)
        type_ = layout(self.covariance_type)
        if type_ == "spherical":
            total = (scatters + counts * self.residuals).sum(axis=0)
            total += np.einsum("pkd,pkd->k", spread, spread)
        elif type_ == "diag":
            rest = counts[..., None] * self.residuals
            total = self._in_order(scatters[..., :n_observed], rest).sum(axis=0)
            total += np.einsum("pkd,pkd->kd", spread, spread)
        elif type_ == "full":
            total = self._summed_matrices(counts, scatters[..., :n_observed, :n_observed])
            total += spread.transpose(1, 2, 0) @ spread.transpose(1, 0, 2)
        else:
            pooled = counts.sum(axis=1, keepdims=True)
            total = self._summed_matrices(pooled, scatters[:, None, :n_observed, :n_observed])[0]
            flat = spread.reshape(-1, spread.shape[-1])
            total += flat.T @ flat
        if type_ in ("full", "tied"):
            total = 0.5 * (total + total.swapaxes(-1, -2))
        return GaussianStatistics(sums, self.params.means + shift, total, self.covariance_type)

    def expected(self, pattern: int, x: RealArray, responsibilities: RealArray) -> Array:
        """(n, D - o): what the missing entries of a pattern's rows are expected to be."""
        expected = np.zeros((len(x), self.means_missing.shape[-1]))
        for k in range(self.means.shape[1]):
            of_component = self.means_missing[pattern, k]
            if self.gains is not None:
                gain = self.gains[pattern, min(k, self.gains.shape[1] - 1)]
                deviations = x[:, : self.group.n_observed] - self.means[pattern, k]
                of_component = of_component + deviations @ gain.T
            expected += responsibilities[:, k, None] * of_component
        return expected

    # -- inside

    def _columns(self) -> Indices:
        return self.group.columns[self.first : self.first + len(self.means)]

    def _in_order(self, observed: Array, missing: Array) -> Array:
        """(P, K, D) in the order of the columns."""
        places = np.argsort(self._columns(), axis=1)[:, None, :]
        return np.take_along_axis(np.concatenate([observed, missing], axis=-1), places, axis=-1)

    def _steps(self, observed: Array) -> Array:
        """(P, K, D): how far the rows' expected means lie from the components', from the observed columns."""
        if self.gains is None:
            return self._in_order(observed, np.zeros_like(self.means_missing))
        return self._in_order(observed, (self.gains @ observed[..., None])[..., 0])

    def _summed_matrices(self, counts: Array, scatters: Array) -> Array:
        """(J, D, D): scatters about the patterns' own means, summed over patterns."""
        assert self.gains is not None
        o, d = self.group.n_observed, self.params.means.shape[1]
        cross = self.gains @ scatters
        blocks = np.empty((*counts.shape, d, d))
        blocks[..., :o, :o] = scatters
        blocks[..., o:, :o] = cross
        blocks[..., :o, o:] = cross.swapaxes(-1, -2)
        blocks[..., o:, o:] = cross @ self.gains.swapaxes(-1, -2)
        blocks[..., o:, o:] += counts[..., None, None] * self.residuals
        places = np.argsort(self._columns(), axis=1)
        entries = (places[:, :, None] * d + places[:, None, :]).reshape(len(places), 1, d * d)
        ordered = np.take_along_axis(blocks.reshape(*counts.shape, d * d), entries, axis=-1)
        summed: Array = ordered.sum(axis=0)
        return summed.reshape(-1, d, d)


def marginals(
    params: GaussianParams, covariance_type: CovarianceType, group: Group
) -> Iterator[Marginals]:
    """The components as the patterns of a group see them, some patterns at a time.

    Raises
    ------
    CollapsedComponentError
        A marginal covariance is not positive definite.
    """
    n_components, d = params.means.shape
    type_ = layout(covariance_type)
    by_matrix = type_ in ("full", "tied")
    chunk = max(1, _CHUNK_ELEMENTS // (n_components * d * (d if by_matrix else 1)))
    for first in range(0, len(group.columns), chunk):
        columns = group.columns[first : first + chunk]
        means = params.means.T[columns].swapaxes(1, 2)
        o = group.n_observed
        if by_matrix:
            matrices = _of_matrices(params.covariances.reshape(-1, d, d), columns, o)
        elif type_ == "diag":
            matrices = _of_variances(params, columns, o)
        else:
            matrices = _of_one_variance(params, columns, o)
        factors, log_determinants, gains, residuals = matrices
        yield Marginals(
            group, first, params, covariance_type, np.ascontiguousarray(means[..., :o]),
            means[..., o:], factors,
            np.broadcast_to(log_determinants, (len(columns), n_components)), gains, residuals,
        )  # fmt: skip


def _of_matrices(
    covariances: Array, columns: Indices, o: int
) -> tuple[Array, Array, Array | None, Array]:
    """Factors, their log-determinants, gains and residuals of covariances (J, D, D)."""
    n_patterns, n_matrices = len(columns), len(covariances)
    ordered = covariances[:, columns[:, :, None], columns[:, None, :]].swapaxes(0, 1)
    residuals = ordered[..., o:, o:]
    if o == 0:
        n_missing = columns.shape[1]
        shape = n_patterns, n_matrices
        gains = np.zeros((*shape, n_missing, 0))
        return np.zeros((*shape, 0, 0)), np.zeros(shape), gains, residuals
    observed = np.ascontiguousarray(ordered[..., :o, :o]).reshape(-1, o, o)
    try:
        factors, log_determinants = kernels.gaussian_factors(observed, "full", len(observed), o)
    except CollapsedComponentError as error:
        component = error.component % n_matrices if n_matrices > 1 else -1
        raise CollapsedComponentError(component) from None
    factors = factors.reshape(n_patterns, n_matrices, o, o)
    loads = ordered[..., o:, :o] @ factors
    gains = loads @ factors.swapaxes(-1, -2)
    residuals = residuals - loads @ loads.swapaxes(-1, -2)
    return factors, log_determinants.reshape(n_patterns, n_matrices), gains, residuals


def _of_variances(
    params: GaussianParams, columns: Indices, o: int
) -> tuple[Array, Array, Array | None, Array]:
    factors = params.precisions_cholesky.T[columns[:, :o]].swapaxes(1, 2)
    residuals = params.covariances.T[columns[:, o:]].swapaxes(1, 2)
    return np.ascontiguousarray(factors), np.log(factors).sum(axis=-1), None, residuals


def _of_one_variance(
    params: GaussianParams, columns: Indices, o: int
) -> tuple[Array, Array, Array | None, Array]:
    shape = len(columns), len(params.means)
    factors = np.broadcast_to(params.precisions_cholesky, shape)
    residuals = (columns.shape[1] - o) * params.covariances
    return factors, o * np.log(factors), None, np.broadcast_to(residuals, shape)
