"""hmmlearn's variational models (Beal 2003, chapter 3; McGrory & Titterington 2009)."""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Number
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.compat.hmmlearn_base import ChainHMM, RandomState, best_of_kmeans
from latentcore.compat.hmmlearn_discrete import SymbolHMM
from latentcore.compat.hmmlearn_gaussian import (
    GaussianStates,
    check_covariance_type,
    covariance_of_rows,
    full_matrices,
    gaussian_params,
    like_all_rows,
)
from latentcore.estimators.checks import random_generator
from latentcore.families import gaussian_posterior
from latentcore.families.gaussian_prior import GaussianPrior, scatter
from latentcore.families.gaussian_types import GaussianParams, GaussianStatistics
from latentcore.families.linear import LinearForm
from latentcore.families.priors import DirichletPrior
from latentcore.protocols import Array
from latentcore.structures.hmm import HMMStatistics
from latentcore.structures.hmm_types import ExpectedHMM

__all__ = ["VariationalCategoricalHMM", "VariationalGaussianHMM"]

_MIN_COVAR = 1e-3


class VariationalChainHMM(ChainHMM):
    """Dirichlets of the first state and of the rows of the transition matrix."""

    startprob_prior_: Array
    startprob_posterior_: Array
    transmat_prior_: Array
    transmat_posterior_: Array

    def _expected_emissions(self) -> Any:
        """What takes the place of the family's parameters for expected log-densities."""
        raise NotImplementedError

    def _divergence_of_emissions(self) -> float:
        """KL(posterior || prior), nats."""
        raise NotImplementedError

    def _e_step_params(self) -> ExpectedHMM[Any]:
        return ExpectedHMM(
            _dirichlet(self.startprob_posterior_).mean_log([0])[0],
            _dirichlet(self.transmat_posterior_).mean_log([0]),
            self._expected_emissions(),
        )

    def _objective(self, log_likelihood: float) -> float:
        """The lower bound, up to hmmlearn's constants."""
        of_start = _divergence(self.startprob_posterior_, self.startprob_prior_)
        of_rows = _divergence(self.transmat_posterior_, self.transmat_prior_)
        return log_likelihood - of_start - of_rows - self._divergence_of_emissions()

    def _init(self, X: Any, lengths: Any = None) -> None:
        self._check_and_set_n_features(X)
        n = self.n_components
        lengths = [len(X)] if lengths is None else lengths
        rng = random_generator(self.random_state)
        flat = np.full(n, 1.0 / n)
        if self._needs_either("s", "startprob_posterior_", "startprob_prior_"):
            prior = 1.0 / n if self.startprob_prior is None else self.startprob_prior
            self.startprob_prior_ = np.full(n, prior, np.float64)
            self.startprob_posterior_ = rng.dirichlet(flat) * len(lengths)
        if self._needs_either("t", "transmat_posterior_", "transmat_prior_"):
            prior = 1.0 / n if self.transmat_prior is None else self.transmat_prior
            self.transmat_prior_ = np.full((n, n), prior, np.float64)
            self.transmat_posterior_ = rng.dirichlet(flat, size=n) * (sum(lengths) / n)
        self._warn_of_few_data(X.size)

    def _needs_either(self, code: str, *names: str) -> bool:
        needed = [self._needs_init(code, name) for name in names]  # each may warn
        return any(needed)

    def _check(self) -> None:
        n = self.n_components
        for name, shape in (("startprob", (n,)), ("transmat", (n, n))):
            self._check_arrays(name, shape)

    def _check_arrays(self, name: str, shape: tuple[int, ...]) -> None:
        """Prior and posterior of a parameter."""
        for which in ("prior", "posterior"):
            self._check_array(f"{name}_{which}_", shape)

    def _do_mstep(self, stats: HMMStatistics[Any]) -> None:
        if "s" in self.params:
            self.startprob_posterior_ = self.startprob_prior_ + stats.starts
        if "t" in self.params:
            self.transmat_posterior_ = self.transmat_prior_ + stats.transitions
        self.startprob_ = _dirichlet(self.startprob_posterior_).mean([0])[0]
        self.transmat_ = _dirichlet(self.transmat_posterior_).mean([0])


def _dirichlet(concentration: Array) -> DirichletPrior:
    return DirichletPrior(np.atleast_2d(concentration))


def _divergence(posterior: Array, prior: Array) -> float:
    """Of Dirichlets, one for each row, nats."""
    return float(_dirichlet(posterior).divergence(_dirichlet(prior), [0]).sum())


class VariationalCategoricalHMM(SymbolHMM, VariationalChainHMM):
    """States that emit symbols, with Dirichlet priors. ``X`` is one column of integers >= 0.

    Attributes
    ----------
    startprob_prior_, startprob_posterior_ : (S,)
    transmat_prior_, transmat_posterior_ : (S, S)
    emissionprob_prior_, emissionprob_posterior_ : (S, n_features)
        Concentrations.
    startprob_, transmat_, emissionprob_ :
        Means of the posteriors.
    monitor_ : ConvergenceMonitor
    """

    emissionprob_prior_: Array
    emissionprob_posterior_: Array

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: npt.ArrayLike | None = None,
        transmat_prior: npt.ArrayLike | None = None,
        emissionprob_prior: npt.ArrayLike | None = None,
        n_features: int | None = None,
        algorithm: str = "viterbi",
        random_state: RandomState = None,
        n_iter: int = 100,
        tol: float = 1e-6,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ) -> None:
        super().__init__(
            n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol,
            verbose, params, init_params, implementation,
        )  # fmt: skip
        self.emissionprob_prior = emissionprob_prior
        self.n_features = n_features

    def _init(self, X: Any, lengths: Any = None) -> None:
        super()._init(X, lengths)
        if self._needs_init("e", "emissionprob_posterior_"):
            n, d = self.n_components, self.n_features
            prior = 1.0 / d if self.emissionprob_prior is None else self.emissionprob_prior
            self.emissionprob_prior_ = np.full((n, d), prior, np.float64)
            rng = random_generator(self.random_state)
            rows = [rng.dirichlet(concentration) for concentration in self.emissionprob_prior_]
            self.emissionprob_posterior_ = np.array(rows) * (len(X) / n)

    def _check(self) -> None:
        super()._check()
        n_features = self._known_n_features(self.emissionprob_posterior_)
        self._check_arrays("emissionprob", (self.n_components, n_features))

    def _expected_emissions(self) -> LinearForm:
        mean_log = _dirichlet(self.emissionprob_posterior_).mean_log([0])
        return LinearForm(np.zeros((self.n_components, 1)), mean_log)

    def _divergence_of_emissions(self) -> float:
        return _divergence(self.emissionprob_posterior_, self.emissionprob_prior_)

    def _do_mstep(self, stats: HMMStatistics[Any]) -> None:
        super()._do_mstep(stats)
        if "e" in self.params:
            self.emissionprob_posterior_ = self.emissionprob_prior_ + stats.emissions.sums
        self.emissionprob_ = _dirichlet(self.emissionprob_posterior_).mean([0])


class VariationalGaussianHMM(GaussianStates, VariationalChainHMM):
    """States with Gaussian emissions, with priors normal - Wishart.

    ``mean_s | precision_s ~ N(means_s, (beta_s precision_s)^-1)``, precision_s ~ Wishart(dof_s, scale_s^-1); diag and
    spherical: with scales that are diagonal, multiples of the identity.

    Attributes
    ----------
    startprob_prior_, startprob_posterior_ : (S,)
    transmat_prior_, transmat_posterior_ : (S, S)
    means_prior_, means_posterior_ : (S, D)
    beta_prior_, beta_posterior_ : (S,)
    dof_prior_, dof_posterior_ : (S,); tied: a number
    scale_prior_, scale_posterior_ : full (S, D, D), tied (D, D), diag (S, D), spherical (S,)
    startprob_, transmat_, means_, covars_ :
        In the middle of the posteriors.
    monitor_ : ConvergenceMonitor
    """

    means_prior_: Array
    means_posterior_: Array
    beta_prior_: Array
    beta_posterior_: Array
    dof_prior_: Any
    dof_posterior_: Any
    scale_prior_: Array
    scale_posterior_: Array

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "full",
        startprob_prior: npt.ArrayLike | None = None,
        transmat_prior: npt.ArrayLike | None = None,
        means_prior: npt.ArrayLike | None = None,
        beta_prior: npt.ArrayLike | None = None,
        dof_prior: npt.ArrayLike | None = None,
        scale_prior: npt.ArrayLike | None = None,
        algorithm: str = "viterbi",
        random_state: RandomState = None,
        n_iter: int = 100,
        tol: float = 1e-6,
        verbose: bool = False,
        params: str = "stmc",
        init_params: str = "stmc",
        implementation: str = "log",
    ) -> None:
        super().__init__(
            n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol,
            verbose, params, init_params, implementation,
        )  # fmt: skip
        self.covariance_type = covariance_type
        self.means_prior = means_prior
        self.beta_prior = beta_prior
        self.dof_prior = dof_prior
        self.scale_prior = scale_prior

    @property
    def means_(self) -> Array:
        """The means of the posterior."""
        return self.means_posterior_

    def _means(self) -> Array:
        return np.ascontiguousarray(self.means_posterior_, np.float64)

    def _n_scalars(self) -> dict[str, int]:
        n, d = self.n_components, self.n_features
        triangle = d * (d + 1) // 2
        of_covars = {
            "full": n + n * triangle, "tied": 1 + triangle, "diag": n + n * d, "spherical": 2 * n,
        }  # fmt: skip
        return {**super()._n_scalars(), "m": n * d + n, "c": of_covars[self.covariance_type]}

    # -- starts and checks

    def _init(self, X: Any, lengths: Any = None) -> None:
        check_covariance_type(self.covariance_type)
        super()._init(X, lengths)
        n, d = self.n_components, X.shape[1]
        needs_means = self._needs_either(
            "m", "means_prior_", "means_posterior_", "beta_prior_", "beta_posterior_"
        )
        needs_covars = self._needs_either(
            "c", "dof_prior_", "dof_posterior_", "scale_prior_", "scale_posterior_"
        )
        if not needs_means and not needs_covars:
            return
        x = np.ascontiguousarray(X, np.float64)
        clusters = best_of_kmeans(x, n, random_generator(self.random_state))
        counts = np.bincount(clusters.labels, minlength=n).astype(np.float64)
        if needs_means:
            self.means_prior_ = _or(self.means_prior, np.tile(x.mean(axis=0), (n, 1)))
            self.means_posterior_ = clusters.centers
            self.beta_prior_ = _or(self.beta_prior, np.ones(n))
            self.beta_posterior_ = counts
        if needs_covars:
            tied = self.covariance_type == "tied"
            self.dof_prior_ = _or(self.dof_prior, d if tied else np.full(n, float(d)))
            self.dof_posterior_ = float(len(x)) if tied else np.maximum(counts, d)
            small = like_all_rows(_MIN_COVAR * np.eye(d), self.covariance_type, n)
            self.scale_prior_ = _or(self.scale_prior, small)
            self.covars_ = like_all_rows(covariance_of_rows(x, _MIN_COVAR), self.covariance_type, n)
            self.scale_posterior_ = (self._covars_.T * self.dof_posterior_).T

    def _check(self) -> None:
        check_covariance_type(self.covariance_type)
        super()._check()
        n, d = self.n_components, self._known_n_features(self.means_posterior_)
        self._check_arrays("means", (n, d))
        self._check_arrays("beta", (n,))
        if self.covariance_type == "tied":
            for name in ("dof_prior_", "dof_posterior_"):
                if not isinstance(getattr(self, name), Number):
                    raise ValueError(f"{name}: expected a number, got {getattr(self, name)!r}")
        else:
            self._check_arrays("dof", (n,))
        shapes = {"full": (n, d, d), "tied": (d, d), "diag": (n, d), "spherical": (n,)}
        self._check_arrays("scale", shapes[self.covariance_type])

    # -- the rule

    def _expected_emissions(self) -> GaussianParams:
        """``(E log|precision| - D / beta - (x - m)^T E[precision] (x - m)) / 2``, without ``-D / 2 log(2 pi)``.

        E precision is dof scale^-1, and E log|precision| is ``sum_i psi((dof + 1 - i) / 2) + D log 2 - log|scale|``,
        i = 1 .. D: of diag and spherical, too.
        """
        d = self.means_posterior_.shape[1]
        dof = self._dof(self.dof_posterior_)
        params = gaussian_params(self._family(), self._means(), self._mean_covars())
        digammas = kernels.digamma(np.ascontiguousarray(0.5 * (dof[:, None] - np.arange(d))))
        offsets = 0.5 * (digammas.sum(axis=1) + d * np.log(2.0 / dof) - d / self.beta_posterior_)
        not_subtracted = 0.5 * d * math.log(2.0 * math.pi)
        return replace(params, log_determinants=params.log_determinants + offsets + not_subtracted)

    def _mean_covars(self) -> Array:
        """scale / dof."""
        covars: Array = (self.scale_posterior_.T / self.dof_posterior_).T
        return covars

    def _dof(self, dof: Any) -> Array:
        return np.broadcast_to(np.asarray(dof, np.float64), self.n_components)

    def _divergence_of_emissions(self) -> float:
        """Of distributions normal - Wishart with scales in full."""
        tied = self.covariance_type == "tied"
        posterior, prior = (
            GaussianPrior(
                means, beta, np.atleast_1d(dof),
                scale if tied else full_matrices(
                    scale, self.covariance_type, self.n_components, means.shape[1]
                ),
            )
            for means, beta, dof, scale in (
                (self.means_posterior_, self.beta_posterior_, self.dof_posterior_,
                 self.scale_posterior_),
                (self.means_prior_, self.beta_prior_, self.dof_prior_, self.scale_prior_),
            )
        )  # fmt: skip
        of_states = gaussian_posterior.divergence(posterior, prior, "tied" if tied else "full")
        return float(of_states.sum())

    def _do_mstep(self, stats: HMMStatistics[Any]) -> None:
        """The posterior of Gaussians, as in Bishop (2006), 10.60 to 10.63.

        With weights N, means xbar, scatters S: beta + N, the weighted mean m of m0 and xbar, dof + N, and scale + S +
        ``N (xbar - m)(xbar - m)^T + beta (m0 - m)(m0 - m)^T``; diag: its diagonal, spherical: the mean of that.
        """
        super()._do_mstep(stats)
        found: GaussianStatistics = stats.emissions
        counts = found.counts
        if "m" in self.params:
            self.beta_posterior_ = self.beta_prior_ + counts
            share = (counts / self.beta_posterior_)[:, None]
            self.means_posterior_ = (1.0 - share) * self.means_prior_ + share * found.means
        if "c" in self.params:
            tied = self.covariance_type == "tied"
            self.dof_posterior_ = self.dof_prior_ + (float(counts.sum()) if tied else counts)
            type_ = found.covariance_type
            spread = (
                found.scatters
                + scatter(counts, found.means - self.means_posterior_, type_)
                + scatter(self.beta_prior_, self.means_prior_ - self.means_posterior_, type_)
            )
            if self.covariance_type == "spherical":
                spread = spread / self.means_prior_.shape[1]
            self.scale_posterior_ = self.scale_prior_ + spread
        if "c" in self.params or not hasattr(self, "_covars_"):
            self._covars_ = self._mean_covars()


def _or(given: Any, otherwise: Any) -> Any:
    return otherwise if given is None else given
