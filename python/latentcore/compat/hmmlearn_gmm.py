"""hmmlearn's model of states that are mixtures of Gaussians."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.compat.hmmlearn_base import (
    BaseHMM,
    Drawer,
    RandomState,
    best_of_kmeans,
    check_sums,
    divided,
)
from latentcore.compat.hmmlearn_gaussian import (
    check_covariance_type,
    covariance_of_rows,
    drawing_factors,
    full_matrices,
    gaussian_params,
)
from latentcore.estimators.checks import random_generator
from latentcore.families.gaussian import Gaussian
from latentcore.families.gaussian_missing import with_column_means
from latentcore.families.gaussian_prior import scatter
from latentcore.families.gaussian_types import CovarianceType, GaussianStatistics
from latentcore.families.mixed import MixedParams, MixedStatistics, MixtureFamily
from latentcore.protocols import Array, RealArray
from latentcore.structures.hmm import HMMStatistics

__all__ = ["GMMHMM"]


class GMMHMM(BaseHMM):
    """States whose emissions are mixtures of M Gaussians.

    Attributes
    ----------
    startprob_ : (S,)
    transmat_ : (S, S)
    weights_ : (S, M)
    means_ : (S, M, D)
    covars_ : full (S, M, D, D), tied (S, D, D), diag (S, M, D), spherical (S, M)
        Tied: of all components of a state.
    monitor_ : ConvergenceMonitor
    """

    weights_: Array
    means_: Array
    covars_: Array

    def __init__(
        self,
        n_components: int = 1,
        n_mix: int = 1,
        min_covar: float = 1e-3,
        startprob_prior: npt.ArrayLike = 1.0,
        transmat_prior: npt.ArrayLike = 1.0,
        weights_prior: npt.ArrayLike = 1.0,
        means_prior: npt.ArrayLike = 0.0,
        means_weight: npt.ArrayLike = 0.0,
        covars_prior: npt.ArrayLike | None = None,
        covars_weight: npt.ArrayLike | None = None,
        algorithm: str = "viterbi",
        covariance_type: str = "diag",
        random_state: RandomState = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stmcw",
        init_params: str = "stmcw",
        implementation: str = "log",
    ) -> None:
        super().__init__(
            n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol,
            verbose, params, init_params, implementation,
        )  # fmt: skip
        self.covariance_type = covariance_type
        self.min_covar = min_covar
        self.n_mix = n_mix
        self.weights_prior = weights_prior
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight

    # -- the family

    def _gaussian(self) -> Gaussian:
        """Of the components; what a state's components share is repeated for each."""
        types: dict[str, CovarianceType] = {
            "full": "full", "tied": "full", "diag": "diag", "spherical": "spherical",
        }  # fmt: skip
        return Gaussian(types[self.covariance_type])

    def _family(self) -> MixtureFamily:
        return MixtureFamily(self._gaussian(), self.n_mix)

    def _emissions(self) -> MixedParams:
        covars = self.covars_
        if self.covariance_type == "tied":
            covars = np.repeat(covars[:, None], self.n_mix, axis=1)
        flat = covars.reshape(-1, *covars.shape[2:])
        means = np.ascontiguousarray(self.means_.reshape(len(flat), -1))
        return MixedParams(self.weights_, gaussian_params(self._gaussian(), means, flat))

    def _takes_missing(self) -> bool:
        return True

    # -- starts and checks

    def _init(self, X: Any, lengths: Any = None) -> None:
        check_covariance_type(self.covariance_type)
        super()._init(X, lengths)
        n, m = self.n_components, self.n_mix
        x = with_column_means(np.ascontiguousarray(X, np.float64))
        covariance = covariance_of_rows(x, self.min_covar)
        if self._needs_init("w", "weights_"):
            self.weights_ = np.full((n, m), 1.0 / m)
        if self._needs_init("m", "means_"):
            self.means_ = self._centers(x, covariance)
        if self._needs_init("c", "covars_"):
            variances = covariance.diagonal()
            of_one = {
                "full": covariance, "tied": covariance, "diag": variances,
                "spherical": variances.mean(),
            }[self.covariance_type]  # fmt: skip
            leading = (n,) if self.covariance_type == "tied" else (n, m)
            self.covars_ = np.tile(of_one, (*leading, *[1] * np.ndim(of_one)))

    def _centers(self, x: RealArray, covariance: Array) -> Array:
        """(S, M, D): k-means of the rows, then of each cluster; too small a one gets draws about the middle."""
        rng = random_generator(self.random_state)
        of_states = best_of_kmeans(x, self.n_components, rng)
        middle = of_states.centers.mean(axis=0)
        centers = np.empty((self.n_components, self.n_mix, x.shape[1]))
        for state in range(self.n_components):
            rows = np.ascontiguousarray(x[of_states.labels == state])
            if len(rows) >= self.n_mix:
                centers[state] = best_of_kmeans(rows, self.n_mix, rng).centers
            else:
                centers[state] = rng.multivariate_normal(middle, covariance, size=self.n_mix)
        return centers

    def _shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of covariances, and of what divides them."""
        n, m, d = self.n_components, self.n_mix, self.means_.shape[2]
        return {
            "full": ((n, m, d, d), (n, m)),
            "tied": ((n, d, d), (n,)),
            "diag": ((n, m, d), (n, m, d)),
            "spherical": ((n, m), (n, m)),
        }[self.covariance_type]

    def _check(self) -> None:
        super()._check()
        check_covariance_type(self.covariance_type)
        n, m = self.n_components, self.n_mix
        self._check_array("weights_", (n, m))
        check_sums("weights_", self.weights_)
        self._check_array("means_", (n, m, self._known_n_features(self.means_)))
        self._check_array("covars_", self._shapes()[0])
        if self.covariance_type in ("diag", "spherical"):
            if (self.covars_ < 0).any():
                raise ValueError(f"covars_: expected variances >= 0, got {self.covars_.min()}")
            return
        if not np.allclose(self.covars_, np.swapaxes(self.covars_, -1, -2)):
            raise ValueError("covars_: expected symmetric matrices, got others")
        if (np.linalg.eigvalsh(self.covars_) < 0).any():
            raise ValueError("covars_: expected matrices without negative eigenvalues, got others")

    def _n_scalars(self) -> dict[str, int]:
        n, m, d = self.n_components, self.n_mix, self.n_features
        triangle = d * (d + 1) // 2
        of_covars = {
            "spherical": n * m, "diag": n * m * d, "full": n * m * triangle, "tied": n * triangle,
        }  # fmt: skip
        return {
            **super()._n_scalars(),
            "m": n * m * d, "c": of_covars[self.covariance_type], "w": m - 1,
        }  # fmt: skip

    # -- the M-step

    def _do_mstep(self, stats: HMMStatistics[Any]) -> None:
        """Weights, means and covariances by their priors.

        With weights N of the components, means xbar and scatters S of their rows: weights in proportion to
        ``N + weights_prior - 1``, means ``(w m0 + N xbar) / (w + N)`` with w for ``means_weight`` and m0 for
        ``means_prior``; for covariances see ``_mode_of_covars``.
        """
        super()._do_mstep(stats)
        mixed: MixedStatistics = stats.emissions
        found: GaussianStatistics = mixed.components
        counts = mixed.counts
        means = found.means.reshape(self.means_.shape)
        # hmmlearn's scatter is about the means that the step began with
        steps = (means - self.means_).reshape(found.means.shape)
        about_old = found.scatters + scatter(found.counts, steps, found.covariance_type)
        if "w" in self.params:
            self.weights_ = self._mode_of_weights(counts)
        if "m" in self.params:
            weight = np.broadcast_to(np.asarray(self.means_weight, np.float64), counts.shape)
            above = weight[..., None] * np.asarray(self.means_prior) + counts[..., None] * means
            self.means_ = divided(above, weight + counts, self.means_)
        if "c" in self.params:
            scatters = about_old.reshape(*counts.shape, *about_old.shape[1:])
            self.covars_ = self._mode_of_covars(counts, scatters)

    def _mode_of_weights(self, counts: Array) -> Array:
        above = counts + (np.broadcast_to(np.asarray(self.weights_prior), counts.shape) - 1.0)
        return divided(above, above.sum(axis=1), self.weights_)

    def _mode_of_covars(self, counts: Array, scatters: Array) -> Array:
        """From the components' weights (S, M) and scatters about the means before the step.

        G, the scatter and ``means_weight`` times the squares of the means about ``means_prior``, is divided as follows,
        with a for ``covars_prior`` and b for ``covars_weight``; tied: N and G are a state's sums.
        full ``(a + G) / (N + b + D + 2)``, tied ``(a + G) / (N + M + b + D + 1)``, diag ``(2 b + G) / (N + 2 a + 3)``,
        spherical, with the trace of G, ``(2 b + G) / (D (N + 1) + 2 a + 2)``.
        """
        d = self.means_.shape[2]
        type_ = self._gaussian().covariance_type
        weight = np.broadcast_to(np.asarray(self.means_weight, np.float64), counts.shape)
        from_prior = (self.means_ - np.asarray(self.means_prior)).reshape(-1, d)
        spread = scatters + scatter(weight.ravel(), from_prior, type_).reshape(scatters.shape)
        a, b = self._covars_priors()
        if self.covariance_type == "full":
            return divided(np.swapaxes(a, -1, -2) + spread, counts + b + d + 2, self.covars_)
        if self.covariance_type == "tied":
            below = counts.sum(axis=1) + self.n_mix + b + d + 1
            return divided(np.swapaxes(a, -1, -2) + spread.sum(axis=1), below, self.covars_)
        if self.covariance_type == "diag":
            return divided(2 * b + spread, counts[..., None] + 2 * a + 3, self.covars_)
        return divided(2 * b + spread, d * (counts + 1) + 2 * a + 2, self.covars_)

    def _covars_priors(self) -> tuple[Array, Array]:
        """``covars_prior`` and ``covars_weight``, by default such that they do nothing.

        (hmmlearn's for spherical do nothing where D = M.)
        """
        m, d = self.n_mix, self.means_.shape[2]
        prior, weight = {
            "full": (0.0, -(d + 2.0)),
            "tied": (0.0, -(m + d + 1.0)),
            "diag": (-1.5, 0.0),
            "spherical": (-(m + 2.0) / 2.0, 0.0),
        }[self.covariance_type]
        shape, shape_of_weight = self._shapes()
        return (
            np.broadcast_to(prior if self.covars_prior is None else self.covars_prior, shape),
            np.broadcast_to(
                weight if self.covars_weight is None else self.covars_weight, shape_of_weight
            ),
        )

    def _drawer(self) -> Drawer:
        factors = drawing_factors(self._full_covars())

        def draw(state: int, rng: Any) -> Array:
            m = rng.choice(self.n_mix, p=self.weights_[state])
            noise = rng.standard_normal(self.means_.shape[2]) @ factors[state, m]
            row: Array = self.means_[state, m] + noise
            return row

        return draw

    def _full_covars(self) -> Array:
        """(S, M, D, D)."""
        n, m, d = self.means_.shape
        if self.covariance_type == "tied":
            return np.repeat(self.covars_[:, None], m, axis=1)
        flat = self.covars_.reshape(n * m, *self.covars_.shape[2:])
        return full_matrices(flat, self.covariance_type, n * m, d).reshape(n, m, d, d)
