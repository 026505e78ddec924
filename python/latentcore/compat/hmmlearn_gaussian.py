"""hmmlearn's Gaussian model, and covariances as hmmlearn holds them."""

from __future__ import annotations

from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from latentcore.compat.hmmlearn_base import (
    BaseHMM,
    ChainHMM,
    Drawer,
    RandomState,
    best_of_kmeans,
    divided,
)
from latentcore.errors import CollapsedComponentError
from latentcore.estimators.checks import random_generator
from latentcore.families.gaussian import Gaussian
from latentcore.families.gaussian_missing import with_column_means
from latentcore.families.gaussian_prior import scatter
from latentcore.families.gaussian_types import (
    CovarianceType,
    GaussianParams,
    GaussianStatistics,
    Layout,
)
from latentcore.protocols import Array, RealArray
from latentcore.structures.hmm import HMMStatistics

__all__ = [
    "GaussianHMM",
    "GaussianStates",
    "check_covariance_type",
    "covariance_of_rows",
    "drawing_factors",
    "full_matrices",
    "gaussian_params",
    "like_all_rows",
]

_JITTER = 1e-7
"""What hmmlearn adds to the diagonal of a singular matrix."""
_LEAST_WEIGHT = 1e-5


class GaussianStates(ChainHMM):
    """Gaussian emissions: ``means_`` (S, D) and ``covars_``."""

    covariance_type: str
    _covars_: Array

    @property
    def covars_(self) -> Array:
        """Covariance matrices of the states, (S, D, D), whatever the type.

        What is set is, by ``covariance_type``: full (S, D, D), tied (D, D), diag (S, D), spherical (S,).
        """
        covars = self._covars_
        n_features = covars.shape[-1]
        if self.covariance_type == "spherical":
            n_features = self._means().shape[1]
        return full_matrices(covars, self.covariance_type, self.n_components, n_features)

    @covars_.setter
    def covars_(self, covars: npt.ArrayLike) -> None:
        self._covars_ = _checked_covars(covars, self.covariance_type, self.n_components)

    def _means(self) -> Array:
        raise NotImplementedError

    def _family(self) -> Gaussian:
        return Gaussian(cast(CovarianceType, self.covariance_type))

    def _emissions(self) -> GaussianParams:
        return gaussian_params(self._family(), self._means(), self._covars_)

    def _drawer(self) -> Drawer:
        means, factors = self._means(), drawing_factors(self.covars_)
        return lambda state, rng: means[state] + rng.standard_normal(len(means[0])) @ factors[state]


class GaussianHMM(GaussianStates, BaseHMM):
    """States with Gaussian emissions.

    Attributes
    ----------
    startprob_ : (S,)
    transmat_ : (S, S)
    means_ : (S, D)
    covars_ : (S, D, D)
        To be set in the shape of ``covariance_type``: full (S, D, D), tied (D, D), diag (S, D), spherical (S,).
    monitor_ : ConvergenceMonitor
    """

    means_: Array

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "diag",
        min_covar: float = 1e-3,
        startprob_prior: npt.ArrayLike = 1.0,
        transmat_prior: npt.ArrayLike = 1.0,
        means_prior: npt.ArrayLike = 0,
        means_weight: npt.ArrayLike = 0,
        covars_prior: npt.ArrayLike = 1e-2,
        covars_weight: float = 1,
        algorithm: str = "viterbi",
        random_state: RandomState = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stmc",
        init_params: str = "stmc",
        implementation: str = "log",
    ) -> None:
        BaseHMM.__init__(
            self, n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter,
            tol, verbose, params, init_params, implementation,
        )  # fmt: skip
        self.covariance_type = covariance_type
        self.min_covar = min_covar
        self.means_prior = means_prior
        self.means_weight = means_weight
        self.covars_prior = covars_prior
        self.covars_weight = covars_weight

    def _takes_missing(self) -> bool:
        return True

    def _means(self) -> Array:
        return np.ascontiguousarray(self.means_, np.float64)

    def _n_scalars(self) -> dict[str, int]:
        n, d = self.n_components, self.n_features
        triangle = d * (d + 1) // 2
        of_covars = {"spherical": n, "diag": n * d, "full": n * triangle, "tied": triangle}
        return {**super()._n_scalars(), "m": n * d, "c": of_covars[self.covariance_type]}

    def _init(self, X: Any, lengths: Any = None) -> None:
        check_covariance_type(self.covariance_type)
        super()._init(X, lengths)
        x = with_column_means(np.ascontiguousarray(X, np.float64))
        if self._needs_init("m", "means_"):
            rng = random_generator(self.random_state)
            self.means_ = best_of_kmeans(x, self.n_components, rng).centers
        if self._needs_init("c", "covars_"):
            covariance = covariance_of_rows(x, self.min_covar)
            self.covars_ = like_all_rows(covariance, self.covariance_type, self.n_components)

    def _check(self) -> None:
        super()._check()
        self.means_ = np.asarray(self.means_)
        check_covariance_type(self.covariance_type)
        if self.means_.ndim != 2 or len(self.means_) != self.n_components:
            raise ValueError(
                f"means_: expected shape (n_components, D) = ({self.n_components}, D), "
                f"got {self.means_.shape}"
            )
        self.n_features = self.means_.shape[1]

    def _do_mstep(self, stats: HMMStatistics[Any]) -> None:
        """Modes as in Huang, Acero & Hon (2001), Spoken Language Processing, p. 443.

        With weights N of the states, means xbar and scatters S of their rows, and with w for ``means_weight``, m0 for
        ``means_prior``: the mean m is ``(w m0 + N xbar) / (w + N)``; the covariance is ``covars_prior + G`` over
        N + ``covars_weight`` - D (full, tied) or - 1 (diag, spherical), where that is not negative, and
        ``G = S + N (xbar - m)(xbar - m)^T + w (m - m0)(m - m0)^T``, summed over states for tied.
        """
        super()._do_mstep(stats)
        found: GaussianStatistics = stats.emissions
        counts = found.counts
        weight = np.broadcast_to(np.ravel(self.means_weight), self.n_components).astype(float)
        if "m" in self.params:
            above = weight[:, None] * np.asarray(self.means_prior) + counts[:, None] * found.means
            self.means_ = divided(above, weight + counts, self.means_)
        if "c" in self.params:
            type_ = found.covariance_type
            spread = (
                found.scatters
                + scatter(counts, found.means - self.means_, type_)
                + scatter(weight, self.means_ - np.asarray(self.means_prior), type_)
            )
            self._covars_ = self._mode_of_covars(counts, spread)

    def _mode_of_covars(self, counts: Array, spread: Array) -> Array:
        n_features = self.means_.shape[1]
        prior = np.asarray(self.covars_prior, np.float64)
        if self.covariance_type in ("diag", "spherical"):
            weight = np.maximum(max(self.covars_weight - 1, 0) + counts, _LEAST_WEIGHT)
            if self.covariance_type == "spherical":
                prior = np.broadcast_to(prior, self.means_.shape).mean(axis=1)
                spread = spread / n_features
            return divided(prior + spread, weight, self._covars_)
        if self.covariance_type == "tied":
            counts = counts.sum()
        weight = max(self.covars_weight - n_features, 0) + counts
        return divided(prior + spread, weight, self._covars_)


# -- covariances in hmmlearn's shapes


def check_covariance_type(covariance_type: str) -> None:
    if covariance_type not in get_args(Layout):
        raise ValueError(
            "covariance_type: expected 'full', 'tied', 'diag' or 'spherical', "
            f"got {covariance_type!r}"
        )


def full_matrices(covars: Array, covariance_type: str, n_components: int, n_features: int) -> Array:
    """(S, D, D)."""
    if covariance_type == "full":
        return covars
    if covariance_type == "tied":
        return np.tile(covars, (n_components, 1, 1))
    variances = covars if covariance_type == "diag" else np.reshape(covars, (n_components, 1))
    matrices: Array = variances[:, None] * np.eye(n_features)
    return matrices


def _checked_covars(covars: npt.ArrayLike, covariance_type: str, n_components: int) -> Array:
    """A copy, (S,) for spherical."""
    check_covariance_type(covariance_type)
    array = np.array(covars, dtype=np.float64)
    if covariance_type in ("diag", "spherical"):
        if covariance_type == "spherical" and array.size == n_components:
            array = array.reshape(n_components)
        n_axes = 1 if covariance_type == "spherical" else 2
        if array.ndim != n_axes or len(array) != n_components:
            raise ValueError(
                f"covars_: expected (n_components,{' D' * (n_axes - 1)}) variances for "
                f"{covariance_type!r}, got shape {array.shape}"
            )
        if not (array > 0).all():
            raise ValueError(f"covars_: expected variances > 0, got {array.min()}")
        return array
    shape: tuple[int, ...] = array.shape[-1:] * 2
    if covariance_type == "full":
        shape = (n_components, *shape)
    if array.ndim != len(shape) or array.shape != shape:
        raise ValueError(
            f"covars_: expected {'(n_components, D, D)' if covariance_type == 'full' else '(D, D)'} "
            f"for {covariance_type!r}, got shape {array.shape}"
        )
    if not np.allclose(array, np.swapaxes(array, -1, -2)):
        raise ValueError("covars_: expected symmetric matrices, got others")
    if not (np.linalg.eigvalsh(array) > 0).all():
        raise ValueError("covars_: expected positive-definite matrices, got others")
    return array


def covariance_of_rows(x: RealArray, min_covar: float) -> Array:
    """(D, D), with ``min_covar`` on the diagonal."""
    covariance = np.atleast_2d(np.cov(x.T)) + min_covar * np.eye(x.shape[1])
    return np.asarray(covariance, np.float64)


def like_all_rows(covariance: Array, covariance_type: str, n_components: int) -> Array:
    """One covariance for all states."""
    if covariance_type == "tied":
        return covariance
    if covariance_type == "full":
        return np.tile(covariance, (n_components, 1, 1))
    variances = covariance.diagonal()
    if covariance_type == "diag":
        return np.tile(variances, (n_components, 1))
    return np.full(n_components, variances.mean())


def drawing_factors(matrices: Array) -> Array:
    """(..., D, D), by which NumPy's ``multivariate_normal`` makes draws of standard normal ones."""
    _, variances, directions = np.linalg.svd(matrices)
    factors: Array = np.sqrt(variances)[..., None] * directions
    return factors


def gaussian_params(family: Gaussian, means: Array, covars: Array) -> GaussianParams:
    """Parameters for the family; what is not positive definite is mended as hmmlearn mends it.

    Raises
    ------
    CollapsedComponentError
        A matrix is not positive definite even with 1e-7 on its diagonal.
    """
    covars = np.ascontiguousarray(covars, np.float64)
    if family.covariance_type in ("diag", "spherical"):
        return family.params(means, np.maximum(covars, np.finfo(float).tiny))
    mended: set[int] = set()
    while True:
        try:
            return family.params(means, covars)
        except CollapsedComponentError as error:
            if error.component in mended:
                raise
            mended.add(error.component)
            which = error.component if family.covariance_type == "full" else ...
            covars = covars.copy()
            covars[which] += _JITTER * np.eye(means.shape[1])
