"""A Bayesian hidden Markov model of any family with conjugate priors."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

import numpy.typing as npt

from latentcore.arrays import Rows
from latentcore.estimators.bayesian_hmm_base import BayesianHMMEstimator
from latentcore.estimators.bayesian_mixture import check_variational
from latentcore.estimators.hmm_answers import Algorithm
from latentcore.estimators.mixture import FamilyName, family_class, family_named
from latentcore.estimators.mixture_base import RandomState
from latentcore.estimators.online import Horizon
from latentcore.estimators.priors import Pooling, check_component_prior, weak_prior
from latentcore.estimators.starts import InitParams
from latentcore.protocols import Family, RealArray
from latentcore.structures.hmm import HMMPrior

__all__ = ["BayesianHMM"]

P = TypeVar("P")


class BayesianHMM(BayesianHMMEstimator[P, Any], Generic[P]):
    """A hidden Markov model of any family with a posterior of its parameters, by variational inference.

    Parameters
    ----------
    family : Family, or "bernoulli", "categorical", "exponential", "gaussian", "multinomial", "poisson"
        The distribution of a row in a state: any object with the methods of ``latentcore.protocols.Family`` and
        ``latentcore.protocols.Variational``, such as ``IndependentColumns`` or ``MixtureFamily`` of such families.
    n_components : int
        S, the most states; those that the data do not need end without rows.
    prior : the family's prior, optional
        None is the family's weak one on the scale of the data, worth about a row: ``prior_`` tells which.
    others : as of ``VariationalGaussianHMM``

    Attributes
    ----------
    components_ : the family's parameters
        In the middle of their posterior, to plug in.
    family_ : Family
        As it was fitted.
    others : as of ``VariationalGaussianHMM``

    Notes
    -----
    NaN is a missing entry for families of independent columns, and is left out of the row. Of others, such as Gaussian
    ones, a row of NaN is a step without an observation, and half a row is refused.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import BayesianHMM
    >>> counts = np.repeat([[0], [1], [0], [20], [22], [21]], 5, axis=0)
    >>> BayesianHMM("poisson", 4, random_state=0).fit(counts).n_effective_components_
    2
    """

    @overload
    def __init__(
        self: BayesianHMM[Any],
        family: FamilyName = ...,
        n_components: int = ...,
        *,
        startprob_prior: npt.ArrayLike | None = ...,
        transmat_prior: npt.ArrayLike | None = ...,
        stickiness: float = ...,
        prior: Any = ...,
        tol: float = ...,
        max_iter: int = ...,
        n_init: int = ...,
        init_params: InitParams = ...,
        posterior_init: HMMPrior[Any] | None = ...,
        algorithm: Algorithm = ...,
        random_state: RandomState | None = ...,
        warm_start: bool = ...,
        verbose: int = ...,
        verbose_interval: int = ...,
        n_threads: int | None = ...,
        delay: float = ...,
        forgetting: float = ...,
        horizon: Horizon = ...,
    ) -> None: ...

    @overload
    def __init__(
        self,
        family: Family[P, Any],
        n_components: int = ...,
        *,
        startprob_prior: npt.ArrayLike | None = ...,
        transmat_prior: npt.ArrayLike | None = ...,
        stickiness: float = ...,
        prior: Any = ...,
        tol: float = ...,
        max_iter: int = ...,
        n_init: int = ...,
        init_params: InitParams = ...,
        posterior_init: HMMPrior[Any] | None = ...,
        algorithm: Algorithm = ...,
        random_state: RandomState | None = ...,
        warm_start: bool = ...,
        verbose: int = ...,
        verbose_interval: int = ...,
        n_threads: int | None = ...,
        delay: float = ...,
        forgetting: float = ...,
        horizon: Horizon = ...,
    ) -> None: ...

    def __init__(
        self,
        family: Family[P, Any] | FamilyName = "gaussian",
        n_components: int = 1,
        *,
        startprob_prior: npt.ArrayLike | None = None,
        transmat_prior: npt.ArrayLike | None = None,
        stickiness: float = 0.0,
        prior: Any = None,
        tol: float = 1e-3,
        max_iter: int = 200,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        posterior_init: HMMPrior[Any] | None = None,
        algorithm: Algorithm = "viterbi",
        random_state: RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        delay: float = 1.0,
        forgetting: float = 0.7,
        horizon: Horizon = "batch",
    ) -> None:
        super().__init__(
            n_components, startprob_prior=startprob_prior, transmat_prior=transmat_prior,
            stickiness=stickiness, tol=tol, max_iter=max_iter, n_init=n_init,
            init_params=init_params, posterior_init=posterior_init, algorithm=algorithm,
            random_state=random_state, warm_start=warm_start, verbose=verbose,
            verbose_interval=verbose_interval, n_threads=n_threads, delay=delay,
            forgetting=forgetting, horizon=horizon,
        )  # fmt: skip
        self.family = family
        self.prior = prior

    def _family_class(self) -> type:
        return family_class(self.family)

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Any:
        return family_named(self.family, x, names) if isinstance(self.family, str) else self.family

    def _emission_prior(self, family: Any, data: Rows | Pooling) -> Any:
        if self.prior is None:
            return weak_prior(family, data, self.n_components)
        check_component_prior(self.prior, family, self.n_components)
        if hasattr(family, "check_prior"):
            family.check_prior(self.prior, self.n_components, data.n_features)
        return self.prior

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_variational(self.family)
        if isinstance(self.prior, HMMPrior | str):
            raise TypeError(f"prior: expected None or the family's prior, got {self.prior!r}")
