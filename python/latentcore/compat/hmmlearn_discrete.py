"""hmmlearn's models of symbols and counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.compat.hmmlearn_base import (
    BaseHMM,
    ChainHMM,
    Drawer,
    RandomState,
    check_sums,
    divided,
    mode_of_rows,
)
from latentcore.estimators.checks import random_generator
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.multinomial import Multinomial, MultinomialParams
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.protocols import Array, RealArray
from latentcore.structures.hmm import HMMStatistics

__all__ = ["CategoricalHMM", "MultinomialHMM", "PoissonHMM", "SymbolHMM"]


class SymbolHMM(ChainHMM):
    """Rows of one symbol, 0 to ``n_features - 1``."""

    emissionprob_: Array

    def _family(self) -> Categorical:
        return Categorical((self.n_features,))

    def _emissions(self) -> Any:
        return CategoricalParams(np.ascontiguousarray(self.emissionprob_, np.float64))

    def _check_and_set_n_features(self, X: Any) -> None:
        if not np.issubdtype(X.dtype, np.integer):
            raise ValueError(f"X: expected integers, got dtype {X.dtype}")
        if X.min() < 0:
            raise ValueError(f"X: expected symbols >= 0, got {X.min()}")
        if self.n_features is None:
            self.n_features = int(X.max()) + 1
        elif X.max() >= self.n_features:
            raise ValueError(
                f"X: expected symbols below n_features = {self.n_features}, got {X.max()}"
            )

    def _check_rows(self, x: RealArray) -> None:
        self._family().check(x)

    def _n_scalars(self) -> dict[str, int]:
        return {**super()._n_scalars(), "e": self.n_components * (self.n_features - 1)}

    def _drawer(self) -> Drawer:
        cumulative = np.cumsum(self.emissionprob_, axis=1)
        return lambda state, rng: [int((cumulative[state] > rng.uniform()).argmax())]


def _random_rows(model: ChainHMM) -> Array:
    """Rows of emissions to begin with."""
    rng = random_generator(model.random_state)
    rows = rng.uniform(size=(model.n_components, model.n_features))
    shares: Array = rows / rows.sum(axis=1, keepdims=True)
    return shares


class CategoricalHMM(SymbolHMM, BaseHMM):
    """States that emit symbols. ``X`` is one column of integers >= 0.

    Attributes
    ----------
    startprob_ : (S,)
    transmat_ : (S, S)
    emissionprob_ : (S, n_features)
    monitor_ : ConvergenceMonitor
    """

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: npt.ArrayLike = 1.0,
        transmat_prior: npt.ArrayLike = 1.0,
        *,
        emissionprob_prior: npt.ArrayLike = 1.0,
        n_features: int | None = None,
        algorithm: str = "viterbi",
        random_state: RandomState = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ) -> None:
        BaseHMM.__init__(
            self, n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter,
            tol, verbose, params, init_params, implementation,
        )  # fmt: skip
        self.emissionprob_prior = emissionprob_prior
        self.n_features = n_features

    def _init(self, X: Any, lengths: Any = None) -> None:
        super()._init(X, lengths)
        if self._needs_init("e", "emissionprob_"):
            self.emissionprob_ = _random_rows(self)

    def _check(self) -> None:
        super()._check()
        n_features = self._known_n_features(self.emissionprob_)
        self._check_array("emissionprob_", (self.n_components, n_features))
        check_sums("emissionprob_", self.emissionprob_)

    def _do_mstep(self, stats: HMMStatistics[Any]) -> None:
        super()._do_mstep(stats)
        if "e" in self.params:
            self.emissionprob_ = mode_of_rows(
                stats.emissions.sums, self.emissionprob_prior, self.emissionprob_
            )


class MultinomialHMM(BaseHMM):
    """States that emit counts of ``n_trials`` draws among ``n_features`` outcomes.

    Attributes
    ----------
    startprob_ : (S,)
    transmat_ : (S, S)
    emissionprob_ : (S, n_features)
    n_trials : int or (N,)
        That of the rows, if not given.
    monitor_ : ConvergenceMonitor
    """

    emissionprob_: Array

    def __init__(
        self,
        n_components: int = 1,
        n_trials: npt.ArrayLike | None = None,
        startprob_prior: npt.ArrayLike = 1.0,
        transmat_prior: npt.ArrayLike = 1.0,
        algorithm: str = "viterbi",
        random_state: RandomState = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ) -> None:
        super().__init__(
            n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol,
            verbose, params, init_params, implementation,
        )  # fmt: skip
        self.n_trials = n_trials

    def _family(self) -> Multinomial:
        return Multinomial()

    def _emissions(self) -> MultinomialParams:
        return MultinomialParams(np.ascontiguousarray(self.emissionprob_, np.float64), 1.0)

    def _check_and_set_n_features(self, X: Any) -> None:
        super()._check_and_set_n_features(X)
        if not np.issubdtype(X.dtype, np.integer) or X.min() < 0:
            raise ValueError(f"X: expected integers >= 0, got dtype {X.dtype}, least {X.min()}")
        totals = X.sum(axis=1)
        if self.n_trials is None:
            self.n_trials = totals
        elif not (totals == self.n_trials).all():
            raise ValueError("X: expected rows that sum to n_trials, got other sums")

    def _init(self, X: Any, lengths: Any = None) -> None:
        super()._init(X, lengths)
        if self._needs_init("e", "emissionprob_"):
            self.emissionprob_ = _random_rows(self)

    def _check(self) -> None:
        super()._check()
        n_features = self._known_n_features(self.emissionprob_)
        self._check_array("emissionprob_", (self.n_components, n_features))
        if self.n_trials is None:
            raise ValueError("n_trials: expected the number of draws of a row, got None")

    def _check_rows(self, x: RealArray) -> None:
        super()._check_rows(x)
        self._family().check(x)

    def _n_scalars(self) -> dict[str, int]:
        return {**super()._n_scalars(), "e": self.n_components * (self.n_features - 1)}

    def _do_mstep(self, stats: HMMStatistics[Any]) -> None:
        super()._do_mstep(stats)
        if "e" in self.params:
            self.emissionprob_ = mode_of_rows(stats.emissions.sums, 1.0, self.emissionprob_)

    def _drawer(self) -> Drawer:
        n_trials = np.unique(self.n_trials)  # type: ignore[arg-type]
        if len(n_trials) != 1:
            raise ValueError(f"n_trials: expected one number to draw rows, got {n_trials}")
        n = int(n_trials[0])
        return lambda state, rng: rng.multinomial(n, self.emissionprob_[state])


class PoissonHMM(BaseHMM):
    """States that emit D independent counts.

    Attributes
    ----------
    startprob_ : (S,)
    transmat_ : (S, S)
    lambdas_ : (S, D)
        The means.
    monitor_ : ConvergenceMonitor
    """

    lambdas_: Array

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: npt.ArrayLike = 1.0,
        transmat_prior: npt.ArrayLike = 1.0,
        lambdas_prior: npt.ArrayLike = 0.0,
        lambdas_weight: npt.ArrayLike = 0.0,
        algorithm: str = "viterbi",
        random_state: RandomState = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stl",
        init_params: str = "stl",
        implementation: str = "log",
    ) -> None:
        super().__init__(
            n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol,
            verbose, params, init_params, implementation,
        )  # fmt: skip
        self.lambdas_prior = lambdas_prior
        self.lambdas_weight = lambdas_weight

    def _family(self) -> Poisson:
        return Poisson()

    def _emissions(self) -> PoissonParams:
        return PoissonParams(np.ascontiguousarray(self.lambdas_, np.float64))

    def _init(self, X: Any, lengths: Any = None) -> None:
        super()._init(X, lengths)
        if self._needs_init("l", "lambdas_"):
            mean, variance = X.mean(), X.var()  # the moments of the draws
            self.lambdas_ = random_generator(self.random_state).gamma(
                shape=mean**2 / variance,
                scale=variance / mean,
                size=(self.n_components, X.shape[1]),
            )

    def _check(self) -> None:
        super()._check()
        n_features = self._known_n_features(self.lambdas_)
        self._check_array("lambdas_", (self.n_components, n_features))

    def _check_rows(self, x: RealArray) -> None:
        super()._check_rows(x)
        self._family().check(x)

    def _n_scalars(self) -> dict[str, int]:
        return {**super()._n_scalars(), "l": self.n_components * self.n_features}

    def _do_mstep(self, stats: HMMStatistics[Any]) -> None:
        """``(prior + N mean_k) / (weight + N)``, where N is the weight of the rows of all states."""
        super()._do_mstep(stats)
        if "l" in self.params:
            n_rows = stats.counts.sum()
            counts = stats.emissions.counts
            means = divided(stats.emissions.sums, counts, self.lambdas_)
            moved = (np.asarray(self.lambdas_prior) + n_rows * means) / (
                np.asarray(self.lambdas_weight) + n_rows
            )
            self.lambdas_ = np.where(counts > 0, moved, self.lambdas_)

    def _drawer(self) -> Drawer:
        return lambda state, rng: rng.poisson(self.lambdas_[state])
