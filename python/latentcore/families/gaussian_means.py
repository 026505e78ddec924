"""Gaussians of known variance about unknown means: the textbook model of variational inference.

``mean_k ~ N(m_0, v_0 I)``, ``x | k ~ N(mean_k, variance I)``; the posterior of a mean is normal again (Blei,
Kucukelbir & McAuliffe 2017, section 2.1, on one column with m_0 = 0 and variance 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Rows
from latentcore.families.gaussian import Gaussian, GaussianParams, GaussianStatistics
from latentcore.families.gaussian_missing import Patterns
from latentcore.families.priors import hyperparameter
from latentcore.protocols import Array, RealArray

__all__ = ["GaussianMeans", "NormalPrior"]

_SPHERICAL = Gaussian("tied_spherical")


@dataclass(frozen=True, slots=True)
class NormalPrior:
    """``mean_k ~ N(means_k, variances_k I)``; posteriors alike.

    Attributes
    ----------
    means : (K, D) or (1, D)
    variances : (K,) or (1,), > 0
        Numbers and nested lists become arrays of float64; one row stands for all components.
    """

    means: Array
    variances: Array

    def __init__(self, means: npt.ArrayLike, variances: npt.ArrayLike) -> None:
        centers = np.atleast_2d(np.asarray(means, np.float64))
        if centers.ndim > 2:
            raise ValueError(f"means: expected shape (K, D) or (1, D), got {centers.shape}")
        if not np.isfinite(centers).all():
            raise ValueError(f"means: expected finite numbers, got {centers}")
        checked = hyperparameter(np.ravel(variances), "variances")[0]
        if len(checked) not in (1, len(centers)) and len(centers) != 1:
            raise ValueError(
                f"variances: expected shape (1,) or ({len(centers)},), got {checked.shape}"
            )
        object.__setattr__(self, "means", centers)
        object.__setattr__(self, "variances", checked)


@dataclass(frozen=True, slots=True)
class GaussianMeans:
    """The family ``N(mean_k, variance I)`` of which the variance is known.

    Its parameters are those of ``Gaussian("tied_spherical")`` with that variance, and so are densities, sweeps and
    what is done about missing entries.

    Parameters
    ----------
    variance : float, > 0
    """

    variance: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.variance < math.inf:
            raise ValueError(f"variance: expected a finite number > 0, got {self.variance!r}")

    def params(self, means: Array) -> GaussianParams:
        """Parameters from means (K, D)."""
        return _SPHERICAL.params(means, np.full(len(means), float(self.variance)))

    # -- the protocol

    def log_likelihood(self, params: GaussianParams, x: RealArray) -> RealArray:
        """Log-densities, (N, K), nats."""
        return _SPHERICAL.log_likelihood(params, x)

    def expected_statistics(
        self, params: GaussianParams | None, x: RealArray, weights: RealArray
    ) -> GaussianStatistics:
        """Counts, means and scatters of rows ``x`` (N, D) under ``weights`` (N, K)."""
        return _SPHERICAL.expected_statistics(params, x, weights)

    def maximize(
        self, stats: GaussianStatistics, previous: GaussianParams | None = None
    ) -> GaussianParams:
        """The means; a component of count 0 keeps its own."""
        if previous is None:
            return self.params(stats.means)
        return self.params(np.where(stats.counts[:, None] > 0, stats.means, previous.means))

    def model_statistics(self, params: GaussianParams, counts: Array) -> GaussianStatistics:
        """Statistics that ``counts`` (K,) observations of the components are expected to give."""
        return _SPHERICAL.model_statistics(params, counts)

    def n_parameters(self, params: GaussianParams) -> int:
        """Number of free parameters: the means."""
        return int(params.means.size)

    def degenerate(self, params: GaussianParams) -> list[int]:
        """None: a known variance cannot collapse."""
        return []

    def relative_entropy(self, a: GaussianParams, b: GaussianParams) -> Array:
        """KL(component i of ``a`` || component j of ``b``), (K, K'), nats."""
        return _SPHERICAL.relative_entropy(a, b)

    def sample(
        self,
        params: GaussianParams,
        k: int,
        n: int,
        rng: np.random.Generator | np.random.RandomState,
    ) -> Array:
        """``n`` draws of component ``k``, (n, D)."""
        return _SPHERICAL.sample(params, k, n, rng)

    # -- a conjugate prior

    def update(self, prior: NormalPrior, stats: GaussianStatistics) -> NormalPrior:
        """``1 / v = 1 / v_0 + N / variance``, ``m / v = m_0 / v_0 + N xbar / variance``."""
        gained = stats.counts / self.variance
        precisions = 1.0 / prior.variances + gained
        share = (gained / precisions)[:, None]
        return NormalPrior(prior.means + share * (stats.means - prior.means), 1.0 / precisions)

    def mode(
        self, posterior: NormalPrior, previous: GaussianParams | None = None
    ) -> GaussianParams:
        """The means of largest posterior density."""
        return self.params(posterior.means)

    def log_prior(self, prior: NormalPrior, params: GaussianParams) -> float:
        """The log-density of the means, summed over components, nats."""
        squares = ((params.means - prior.means) ** 2).sum(axis=1)
        logs = params.means.shape[1] * np.log(2.0 * math.pi * prior.variances)
        return float(-0.5 * (logs + squares / prior.variances).sum())

    def check_prior(self, prior: NormalPrior, n_components: int, n_features: int) -> None:
        """``ValueError`` for a prior that does not fit these components."""
        for name, array, shape in (
            ("means", prior.means, (n_components, n_features)),
            ("variances", prior.variances, (n_components,)),
        ):
            shapes = [shape] if n_components == 1 else [shape, (1, *shape[1:])]
            if array.shape not in shapes:
                expected = " or ".join(map(str, shapes))
                raise ValueError(f"prior: expected {name} of shape {expected}, got {array.shape}")

    def weak_prior(self, pooled: GaussianStatistics, n_components: int) -> NormalPrior:
        """Centred on the data and as wide: worth ``variance`` over their variance rows, at most one."""
        spread = float(pooled.scatters[0] / (pooled.counts[0] * pooled.means.shape[1]))
        return NormalPrior(pooled.means, np.array([max(spread, self.variance)]))

    # -- a posterior

    def expected(self, posterior: NormalPrior, n_components: int) -> GaussianParams:
        """What stands in the place of parameters, for ``log N(x; m_k, variance I) - D v_k / (2 variance)``.

        For rows without missing entries.
        """
        n_features = posterior.means.shape[1]
        means = np.broadcast_to(posterior.means, (n_components, n_features))
        params = self.params(np.ascontiguousarray(means))
        blur = 0.5 * n_features * posterior.variances / self.variance
        return replace(params, log_determinants=params.log_determinants - blur)

    def divergence(self, posterior: NormalPrior, prior: NormalPrior) -> Array:
        """KL(posterior || prior) by component, (K,), nats.

        ``(D (v / v_0 - 1 - log(v / v_0)) + |m - m_0|^2 / v_0) / 2``.
        """
        ratio = posterior.variances / prior.variances
        squares = ((posterior.means - prior.means) ** 2).sum(axis=1)
        spread = posterior.means.shape[1] * (ratio - 1.0 - np.log(ratio))
        divergence: Array = 0.5 * (spread + squares / prior.variances)
        return divergence

    def blend(self, posterior: NormalPrior, other: NormalPrior, rate: float) -> NormalPrior:
        """``(1 - rate) posterior + rate other`` in natural coordinates, 1 / v and m / v."""
        both = (1.0 - rate) * other.variances + rate * posterior.variances
        share = (rate * posterior.variances / both)[:, None]
        means = (1.0 - share) * posterior.means + share * other.means
        return NormalPrior(means, other.variances * (posterior.variances / both))

    def mean(self, posterior: NormalPrior) -> GaussianParams:
        """Parameters to plug in: the means of the means."""
        return self.params(posterior.means)

    def predictive_log_density(self, posterior: NormalPrior, x: RealArray) -> RealArray:
        """Log-densities of one more row under each component, (N, K), nats: ``N(m_k, (variance + v_k) I)``."""
        n_components = len(posterior.means)
        variances = np.broadcast_to(self.variance + posterior.variances, n_components)
        spherical = Gaussian("spherical")
        params = spherical.params(posterior.means, np.ascontiguousarray(variances))
        return spherical.log_likelihood(params, x)

    # -- rows

    def prepare(self, data: Rows) -> Patterns:
        """The rows by pattern of missing entries."""
        return _SPHERICAL.prepare(data)

    def embedding(self, x: RealArray) -> RealArray:
        """Euclidean coordinates of rows: ``x`` itself, missing entries replaced by the mean of their column."""
        return _SPHERICAL.embedding(x)

    def impute(
        self, params: GaussianParams, x: RealArray, responsibilities: RealArray
    ) -> RealArray:
        """Missing entries replaced by their expectation given what was observed: a copy of ``x``."""
        return _SPHERICAL.impute(params, x, responsibilities)

    # -- fused sweeps

    def mixture_sweep(
        self, params: GaussianParams, log_weights: Array, data: Rows, hard: bool
    ) -> tuple[Array, GaussianStatistics, float]:
        """Counts, statistics and objective of one E-step; see ``protocols.FusedFamily``."""
        return _SPHERICAL.mixture_sweep(params, log_weights, data, hard)

    def mixture_log_joint(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> RealArray:
        """(N, K): log weight plus log-density, nats."""
        return _SPHERICAL.mixture_log_joint(params, log_weights, x)

    def mixture_responsibilities(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> tuple[RealArray, RealArray]:
        """(N, K) responsibilities and (N,) log-densities of the mixture, nats."""
        return _SPHERICAL.mixture_responsibilities(params, log_weights, x)

    def mixture_log_density(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> RealArray:
        """(N,) log-densities of the mixture, nats."""
        return _SPHERICAL.mixture_log_density(params, log_weights, x)

    def mixture_labels(
        self, params: GaussianParams, log_weights: Array, x: RealArray
    ) -> npt.NDArray[np.intp]:
        """(N,) the most responsible component of each row, the first of equals."""
        return _SPHERICAL.mixture_labels(params, log_weights, x)
