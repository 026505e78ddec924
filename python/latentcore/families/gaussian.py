"""The Gaussian on D features: full, tied, diagonal and spherical covariances, priors, missing entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.arrays import Rows
from latentcore.errors import CollapsedComponentError, ImpossibleRowError
from latentcore.families import gaussian_divergence, gaussian_posterior, gaussian_prior
from latentcore.families.gaussian_missing import (
    LOG_2PI,
    Indices,
    Moments,
    Patterns,
    SweepArguments,
    has_missing,
    marginals,
    patterns,
    with_column_means,
)
from latentcore.families.gaussian_prior import GaussianPrior
from latentcore.families.gaussian_types import (
    CovarianceType,
    GaussianParams,
    GaussianStatistics,
    layout,
)
from latentcore.protocols import Array, RealArray
from latentcore.statistics import total

__all__ = ["CovarianceType", "Gaussian", "GaussianParams", "GaussianPrior", "GaussianStatistics"]

_TYPES = get_args(CovarianceType)

_SINGULAR, _SINGULAR_ON_FLOOR, _POINT = 1e-8, 1e-6, 1e-8
"""When a component has collapsed; see ``Gaussian.degenerate``."""


@dataclass(frozen=True, slots=True)
class Gaussian:
    """The family: one of the five shapes of covariance.

    An entry that is NaN is missing: densities are those of what was observed, statistics the expected ones given what
    was observed (see ``gaussian_missing``).

    Parameters
    ----------
    covariance_type : {"full", "tied", "diag", "spherical", "tied_spherical"}
    reg_covar : float, >= 0
        Added to every variance by ``maximize``. A floor, not a prior: with ``reg_covar > 0`` EM ascends the
        log-likelihood only up to its effect.
    """

    covariance_type: CovarianceType = "full"
    reg_covar: float = 0.0

    def __post_init__(self) -> None:
        if self.covariance_type not in _TYPES:
            raise ValueError(
                f"covariance_type: expected one of {', '.join(map(repr, _TYPES))}, "
                f"got {self.covariance_type!r}"
            )

    # -- the protocol

    def log_likelihood(self, params: GaussianParams, x: RealArray) -> RealArray:
        """Log-densities, (N, K), nats."""
        return self.mixture_log_joint(params, np.zeros(len(params.means)), x)

    def expected_statistics(
        self, params: GaussianParams | None, x: RealArray, weights: RealArray
    ) -> GaussianStatistics:
        """Statistics of rows ``x`` (N, D) under ``weights`` (N, K) >= 0, same dtype.

        The moments are taken about the components' means, or about the means of ``x`` where there are none yet;
        where a center proves to lie too far off, they are taken once more about the means that came out. Without
        parameters a missing entry counts as the mean of its column in ``x``.
        """
        if params is None:
            x = with_column_means(x)
            centers = np.tile(x.mean(axis=0, dtype=np.float64), (weights.shape[1], 1))
            return GaussianStatistics(*self._moments(x, weights, centers), self.covariance_type)
        found = patterns(Rows(x))
        complete = found.complete_index
        moments = self._moments(
            found.complete.x, weights if complete is None else weights[complete], params.means
        )
        parts = [GaussianStatistics(*moments, self.covariance_type)]
        for group in found.incomplete:
            for seen in marginals(params, self.covariance_type, group):
                of_patterns = [
                    self._moments(rows.x, weights[index], centers)
                    for (index, rows), centers in zip(seen.rows(), seen.centers(), strict=True)
                ]
                parts.append(seen.pooled(of_patterns))
        return total(parts)

    def _moments(self, x: RealArray, weights: RealArray, centers: Array) -> Moments:
        """Counts, means and scatters of complete rows."""
        type_ = layout(self.covariance_type)
        counts, means, scatters, cancelled = kernels.gaussian_moments(x, weights, centers, type_)
        if cancelled:
            counts, means, scatters, _ = kernels.gaussian_moments(x, weights, means, type_)
        return counts, means, scatters

    def maximize(
        self, stats: GaussianStatistics, previous: GaussianParams | None = None
    ) -> GaussianParams:
        """Maximum likelihood: the means, and scatter / count + reg_covar.

        Tied: pooled over components; spherical: divided by D too; tied_spherical: both. A component of count 0 keeps
        its previous parameters.

        Raises
        ------
        NumericalError
            A covariance is not positive definite; the message names the component.
        """
        if self.covariance_type == "tied_spherical":
            return self._maximize_one_variance(stats, previous)
        covariances, factors, log_determinants = kernels.gaussian_maximize(
            stats.counts, stats.scatters, self.reg_covar, self.covariance_type, stats.means.shape[1],
            None if previous is None else previous.covariances,
        )  # fmt: skip
        return GaussianParams(stats.means, covariances, factors, log_determinants)

    def _maximize_one_variance(
        self, stats: GaussianStatistics, previous: GaussianParams | None
    ) -> GaussianParams:
        n_components, n_features = stats.means.shape
        count = stats.counts.sum()
        if count > 0:
            variance = stats.scatters.sum() / (n_features * count) + self.reg_covar
        else:
            variance = self.reg_covar if previous is None else previous.covariances[0]
        if not variance > 0:
            raise CollapsedComponentError(-1)
        return self.params(stats.means, np.full(n_components, variance))

    def model_statistics(self, params: GaussianParams, counts: Array) -> GaussianStatistics:
        """Statistics that ``counts`` (K,) observations of the components are expected to give.

        The counts, the means, and scatters of count times covariance (tied: summed; spherical: times D too).
        """
        scatters = self._scatters(params.covariances, counts, params.means.shape[1])
        return GaussianStatistics(counts, params.means, scatters, self.covariance_type)

    def with_floor(self, stats: GaussianStatistics) -> GaussianStatistics:
        """With a scatter of ``reg_covar`` for every observation in every column, which ``maximize`` adds."""
        if self.reg_covar == 0:
            return stats
        n_components, n_features = stats.means.shape
        type_ = layout(self.covariance_type)
        scatters = stats.scatters.copy()
        if type_ == "tied":
            scatters.reshape(-1)[:: n_features + 1] += self.reg_covar * stats.counts.sum()
        elif type_ == "spherical":
            scatters += self.reg_covar * n_features * stats.counts
        else:
            step = n_features + 1 if type_ == "full" else 1
            variances = scatters.reshape(n_components, -1)[:, ::step]
            variances += self.reg_covar * stats.counts[:, None]
        return GaussianStatistics(stats.counts, stats.means, scatters, self.covariance_type)

    def without_floor(self) -> Gaussian:
        """The family with ``reg_covar`` 0."""
        return Gaussian(self.covariance_type)

    def _scatters(self, covariances: Array, counts: Array, n_features: int) -> Array:
        """Of ``counts`` (K,) observations with these covariances."""
        scale: Array = counts
        if self.covariance_type == "tied":
            scale = counts.sum()
        elif layout(self.covariance_type) == "spherical":
            scale = counts * n_features
        return np.ascontiguousarray((covariances.T * scale).T)

    # -- parameters from elsewhere, and about parameters

    def params(self, means: Array, covariances: Array) -> GaussianParams:
        """Parameters from means (K, D) and covariances of the shape of ``covariance_type``.

        Raises
        ------
        NumericalError
            A covariance is not positive definite; the message names the component.
        """
        factors, log_determinants = kernels.gaussian_factors(
            covariances, layout(self.covariance_type), *means.shape
        )
        return GaussianParams(means, covariances, factors, log_determinants)

    def n_parameters(self, params: GaussianParams) -> int:
        """Number of free parameters: means and covariances."""
        n_components, n_features = int(params.means.shape[0]), int(params.means.shape[1])
        triangle = n_features * (n_features + 1) // 2
        covariances = {
            "full": n_components * triangle,
            "tied": triangle,
            "diag": n_components * n_features,
            "spherical": n_components,
            "tied_spherical": 1,
        }
        return n_components * n_features + covariances[self.covariance_type]

    def sample(
        self,
        params: GaussianParams,
        k: int,
        n: int,
        rng: np.random.Generator | np.random.RandomState,
    ) -> Array:
        """``n`` draws of component ``k``, (n, D)."""
        mean = params.means[k]
        if self.covariance_type == "tied":
            return np.asarray(rng.multivariate_normal(mean, params.covariances, n))
        if self.covariance_type == "full":
            return np.asarray(rng.multivariate_normal(mean, params.covariances[k], n))
        noise = rng.standard_normal(size=(n, len(mean)))
        draws: Array = mean + noise * np.sqrt(params.covariances[k])
        return draws

    def relative_entropy(self, a: GaussianParams, b: GaussianParams) -> Array:
        """KL(component i of ``a`` || component j of ``b``), (K, K'), nats; see ``gaussian_divergence``."""
        return gaussian_divergence.relative_entropy(a, b, self.covariance_type)

    def degenerate(self, params: GaussianParams) -> list[int]:
        """Components that have collapsed: on one point, or on a flat of fewer dimensions than the data.

        S is a component's covariance without ``reg_covar``, R its matrix of correlations, taken with the variances
        that include it: so units do not matter, and what varies by itself has eigenvalues near 1 even where
        ``reg_covar`` outweighs it by far. The component has collapsed if

        - the least eigenvalue of R is at most 1e-8; on a flat it is rounding;
        - or at most 1e-6, the rounding of float32 data, while more than half of the least variance in any direction
          is ``reg_covar``;
        - or, in some column, the standard deviation is at most 1e-8 of that over all components, counted alike.

        A covariance in common collapses for all. A variance below ``reg_covar`` is that of a prior's mode, to which
        nothing was added.
        """
        n_components, n_features = params.means.shape
        if layout(self.covariance_type) in ("full", "tied"):
            covariances = params.covariances.reshape(-1, n_features, n_features)
        else:
            variances = params.covariances.reshape(n_components, -1)
            covariances = (
                np.eye(n_features) * np.broadcast_to(variances, params.means.shape)[:, None]
            )
        variances = covariances.diagonal(axis1=1, axis2=2)
        spread = variances.mean(axis=0) + params.means.var(axis=0)
        collapsed = [self._collapsed(covariance, spread) for covariance in covariances]
        if self.covariance_type in ("tied", "tied_spherical"):
            return list(range(n_components)) if collapsed[0] else []
        return [k for k in range(n_components) if collapsed[k]]

    def _collapsed(self, covariance: Array, spread: Array) -> bool:
        variances = covariance.diagonal()
        floor = self.reg_covar * (1.0 - 1e-6)  # parameters may have been rounded to float32
        added = self.reg_covar if (variances >= floor).all() else 0.0
        own = covariance - added * np.eye(len(covariance))
        deviations = np.sqrt(variances)
        least = np.linalg.eigvalsh(own / deviations / deviations[:, None])[0]
        on_floor = np.linalg.eigvalsh(covariance)[0] < 2.0 * added
        return bool(
            least <= (_SINGULAR_ON_FLOOR if on_floor else _SINGULAR)
            or (own.diagonal() <= _POINT**2 * spread).any()
        )

    # -- a conjugate prior

    def update(self, prior: GaussianPrior, stats: GaussianStatistics) -> GaussianPrior:
        """The posterior; see ``GaussianPrior``."""
        return gaussian_prior.update(prior, stats)

    def mode(
        self, posterior: GaussianPrior, previous: GaussianParams | None = None
    ) -> GaussianParams:
        """The means and covariances of largest posterior density; ``reg_covar`` plays no part.

        Raises
        ------
        NumericalError
            A covariance is not positive definite, as a proper prior would have made it.
        """
        means, covariances = gaussian_prior.mode(posterior, self.covariance_type)
        return self.params(means, covariances)

    def log_prior(self, prior: GaussianPrior, params: GaussianParams) -> float:
        """The log-density of the parameters, summed over components, nats, all constants kept.

        Raises
        ------
        ValueError
            The prior is not proper, or of other shapes.
        """
        return gaussian_prior.log_density(prior, params, self.covariance_type)

    def check_prior(self, prior: GaussianPrior, n_components: int, n_features: int) -> None:
        """``ValueError`` for a prior that is not proper, or does not fit these components."""
        gaussian_prior.check(prior, self.covariance_type, n_components, n_features)

    def weak_prior(self, pooled: GaussianStatistics, n_components: int) -> GaussianPrior:
        """The prior of Fraley & Raftery (2007) on the scale of the data; see ``gaussian_prior.weak``."""
        return gaussian_prior.weak(pooled, n_components)

    # -- a posterior

    def expected(self, posterior: GaussianPrior, n_components: int) -> GaussianParams:
        """What stands in the place of parameters for expected log-densities; see ``gaussian_posterior.expected``."""
        return gaussian_posterior.expected(posterior, n_components, self.covariance_type)

    def divergence(self, posterior: GaussianPrior, prior: GaussianPrior) -> Array:
        """KL(posterior || prior) by component, (K,), nats; that of a shared covariance is divided equally."""
        return gaussian_posterior.divergence(posterior, prior, self.covariance_type)

    def blend(self, posterior: GaussianPrior, other: GaussianPrior, rate: float) -> GaussianPrior:
        """``(1 - rate) posterior + rate other`` in natural coordinates."""
        return gaussian_posterior.blend(posterior, other, rate, self.covariance_type)

    def mean(self, posterior: GaussianPrior) -> GaussianParams:
        """Parameters to plug in: the means, and the inverses of the expected precisions."""
        return gaussian_posterior.mean(posterior, self.covariance_type)

    def predictive_log_density(self, posterior: GaussianPrior, x: RealArray) -> RealArray:
        """Log-densities of one more row under each component, (N, K), nats: Student's t.

        Raises
        ------
        ValueError
            An entry is missing.
        """
        return gaussian_posterior.predictive_log_density(posterior, x, self.covariance_type)

    # -- rows

    def prepare(self, data: Rows) -> Patterns:
        """The rows by pattern of missing entries: complete ones as they are, others copied."""
        return patterns(data)

    def embedding(self, x: RealArray) -> RealArray:
        """Euclidean coordinates of rows: ``x`` itself, missing entries replaced by the mean of their column."""
        return with_column_means(x)

    def impute(
        self, params: GaussianParams, x: RealArray, responsibilities: RealArray
    ) -> RealArray:
        """Missing entries replaced by their expectation given what was observed: a copy of ``x``.

        ``sum_k r_k E_k[x_m | x_o]``, where ``E_k[x_m | x_o] = mu_m + Sigma_mo Sigma_oo^-1 (x_o - mu_o)``.
        """
        imputed = x.copy()
        for group in patterns(Rows(x)).incomplete:
            for seen in marginals(params, self.covariance_type, group):
                for p, (index, rows) in enumerate(seen.rows()):
                    missing = group.columns[seen.first + p, group.n_observed :]
                    expected = seen.expected(p, rows.x, responsibilities[index])
                    imputed[index[:, None], missing] = expected
        return imputed

    # -- fused sweeps

    def _sweep_arguments(self, params: GaussianParams, log_weights: Array) -> SweepArguments:
        """Offsets, means, factors and layout, as the kernels take them.

        The offsets are all of the log joint density that does not depend on the row:
        log weight + log|det U| - D/2 log(2 pi).
        """
        offsets: Array = log_weights + params.log_determinants
        offsets -= 0.5 * LOG_2PI * params.means.shape[1]
        return offsets, params.means, params.precisions_cholesky, layout(self.covariance_type)

    def mixture_sweep(
        self, params: GaussianParams, log_weights: Array, data: Rows, hard: bool
    ) -> tuple[Array, GaussianStatistics, float]:
        """Counts, statistics and objective of one E-step; see ``protocols.FusedFamily``."""
        found = data.prepared if isinstance(data.prepared, Patterns) else patterns(data)
        arguments = self._sweep_arguments(params, log_weights)
        moments, objective = self._sweep(found.complete, arguments, hard, found.complete_index)
        parts = [GaussianStatistics(*moments, self.covariance_type)]
        for group in found.incomplete:
            for seen in marginals(params, self.covariance_type, group):
                of_patterns = []
                for (index, rows), arguments in zip(
                    seen.rows(), seen.arguments(log_weights), strict=True
                ):
                    moments, part = self._sweep(rows, arguments, hard, index)
                    of_patterns.append(moments)
                    objective += part
                parts.append(seen.pooled(of_patterns))
        stats = total(parts)
        return stats.counts, stats, objective

    def _sweep(
        self, data: Rows, arguments: SweepArguments, hard: bool, index: Indices | None
    ) -> tuple[Moments, float]:
        """Counts, means, scatters and objective of rows without missing entries; ``index`` tells which they are."""
        weight, labels = data.sample_weight, data.labels
        if hard and labels is None and self._is_kmeans(arguments):
            found = _nearest_means(data, arguments)
            if found is not None:
                return found
        try:
            counts, means, scatters, objective, cancelled = kernels.gaussian_em_sweep(
                data.x, weight, *arguments, None, labels, hard
            )
        except ImpossibleRowError as error:
            if index is None:
                raise
            raise ImpossibleRowError(int(index[error.row])) from None
        if cancelled:  # a mean went many standard deviations away: take moments about its new place
            counts, means, scatters, objective, _ = kernels.gaussian_em_sweep(
                data.x, weight, *arguments, means, labels, hard
            )
        return (counts, means, scatters), objective

    def _is_kmeans(self, arguments: SweepArguments) -> bool:
        """Whether the most probable component is the nearest mean."""
        offsets = arguments[0]
        return self.covariance_type == "tied_spherical" and bool((offsets == offsets[0]).all())

    def _log_joint_by_pattern(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> RealArray:
        found = patterns(Rows(x))
        log_joint = np.empty((len(x), len(params.means)), x.dtype)
        log_joint[found.complete_index] = kernels.gaussian_log_joint(
            found.complete.x, *self._sweep_arguments(params, log_weights)
        )
        for group in found.incomplete:
            for seen in marginals(params, self.covariance_type, group):
                for (index, rows), arguments in zip(
                    seen.rows(), seen.arguments(log_weights), strict=True
                ):
                    log_joint[index] = kernels.gaussian_log_joint(rows.x, *arguments)
        return log_joint

    def mixture_log_joint(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> RealArray:
        """(N, K): log weight plus log-density, nats."""
        if has_missing(x):
            return self._log_joint_by_pattern(params, log_weights, x)
        return kernels.gaussian_log_joint(x, *self._sweep_arguments(params, log_weights))

    def mixture_responsibilities(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> tuple[RealArray, RealArray]:
        """(N, K) responsibilities and (N,) log-densities of the mixture, nats."""
        if has_missing(x):
            return kernels.responsibilities(self._log_joint_by_pattern(params, log_weights, x))
        return kernels.gaussian_responsibilities(x, *self._sweep_arguments(params, log_weights))

    def mixture_log_density(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> RealArray:
        """(N,) log-densities of the mixture, nats."""
        if has_missing(x):
            return kernels.logsumexp(self._log_joint_by_pattern(params, log_weights, x))
        return kernels.gaussian_log_density(x, *self._sweep_arguments(params, log_weights))

    def mixture_labels(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> npt.NDArray[np.intp]:
        """(N,) the most responsible component of each row, the first of equals."""
        if has_missing(x):
            labels: Indices = self._log_joint_by_pattern(params, log_weights, x).argmax(axis=1)
            return labels
        return kernels.gaussian_labels(x, *self._sweep_arguments(params, log_weights))


_CANCELLED = 1e6
"""Ratio of sums of squares whose difference has lost six of sixteen digits."""


def _nearest_means(data: Rows, arguments: SweepArguments) -> tuple[Moments, float] | None:
    """A hard sweep where all components weigh the same and share one variance: a sweep of Lloyd's algorithm.

    None where a mean went so far that the scatter about its new place would lose digits.
    """
    offsets, means, factors, _ = arguments
    labels, squares = np.empty(len(data), np.int32), np.empty(len(data))
    counts, first, _ = kernels.kmeans_sweep(data.x, data.sample_weight, means, labels, squares)
    if data.sample_weight is not None:
        squares *= data.sample_weight
    steps = first / np.where(counts > 0, counts, 1.0)[:, None]
    about_old = np.bincount(labels, squares, minlength=len(means))
    scatters = np.maximum(about_old - counts * (steps**2).sum(axis=1), 0.0)
    if (about_old > _CANCELLED * scatters).any():
        return None
    objective = float(offsets[0] * counts.sum() - 0.5 * factors[0] ** 2 * about_old.sum())
    return (counts, means + steps, scatters), objective
