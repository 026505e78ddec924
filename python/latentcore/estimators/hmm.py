"""A hidden Markov model of any family: one of the library's, or a user's own."""

from __future__ import annotations

from typing import Any, Generic, Self, TypeVar, overload

import numpy.typing as npt

from latentcore.estimators.hmm_answers import Algorithm
from latentcore.estimators.hmm_base import HMMEstimator
from latentcore.estimators.mixture import FamilyName, check_family, family_class, family_named
from latentcore.estimators.mixture_base import Assignment, RandomState
from latentcore.estimators.online import OnlineArgument
from latentcore.estimators.starts import InitParams
from latentcore.protocols import Family, RealArray
from latentcore.structures.topology import Topology

__all__ = ["HMM"]

P = TypeVar("P")


class HMM(HMMEstimator[P, Any], Generic[P]):
    r"""A hidden Markov model with emissions of any family, fitted by expectation maximisation.

    Parameters
    ----------
    family : Family, or "bernoulli", "categorical", "exponential", "gamma", "gaussian", "multinomial", \
"poisson", "von_mises"
        The distribution of a row in a state: any object with the methods of ``latentcore.protocols.Family``, such as
        ``IndependentColumns`` for tables of several kinds of columns. What more it can do it is asked for: ``mode`` and
        its kin for ``prior``, ``sample``, ``n_parameters`` for the criteria, ``impute`` for missing entries.
        "gaussian" is ``Gaussian("full", reg_covar=1e-6)``.
    n_components : int
        S, the number of states.
    params_init : optional
        The family's parameters to begin with.
    others : as of ``GaussianHMM``

    Attributes
    ----------
    startprob_, transmat_ : (S,), (S, S)
    components_ : the family's parameters
    family_ : Family
        As it was fitted.
    converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianHMM``.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import HMM
    >>> waits = np.array([[0.1], [0.2], [0.1], [9.0], [12.0], [10.0]])
    >>> HMM("exponential", 2, random_state=0).fit(waits).predict(waits)[:3].tolist()
    [0, 0, 0]
    """

    @overload
    def __init__(
        self: HMM[Any],
        family: FamilyName = ...,
        n_components: int = ...,
        *,
        tol: float = ...,
        max_iter: int = ...,
        n_init: int = ...,
        init_params: InitParams = ...,
        startprob_init: npt.ArrayLike | None = ...,
        transmat_init: npt.ArrayLike | None = ...,
        params_init: Any = ...,
        topology: Topology | None = ...,
        prior: Any = ...,
        assignment: Assignment = ...,
        algorithm: Algorithm = ...,
        random_state: RandomState | None = ...,
        warm_start: bool = ...,
        verbose: int = ...,
        verbose_interval: int = ...,
        n_threads: int | None = ...,
        online: OnlineArgument = ...,
    ) -> None: ...

    @overload
    def __init__(
        self,
        family: Family[P, Any],
        n_components: int = ...,
        *,
        tol: float = ...,
        max_iter: int = ...,
        n_init: int = ...,
        init_params: InitParams = ...,
        startprob_init: npt.ArrayLike | None = ...,
        transmat_init: npt.ArrayLike | None = ...,
        params_init: P | None = ...,
        topology: Topology | None = ...,
        prior: Any = ...,
        assignment: Assignment = ...,
        algorithm: Algorithm = ...,
        random_state: RandomState | None = ...,
        warm_start: bool = ...,
        verbose: int = ...,
        verbose_interval: int = ...,
        n_threads: int | None = ...,
        online: OnlineArgument = ...,
    ) -> None: ...

    def __init__(
        self,
        family: Family[P, Any] | FamilyName = "gaussian",
        n_components: int = 1,
        *,
        tol: float = 1e-5,
        max_iter: int = 200,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        startprob_init: npt.ArrayLike | None = None,
        transmat_init: npt.ArrayLike | None = None,
        params_init: P | None = None,
        topology: Topology | None = None,
        prior: Any = None,
        assignment: Assignment = "soft",
        algorithm: Algorithm = "viterbi",
        random_state: RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        online: OnlineArgument = None,
    ) -> None:
        super().__init__(
            n_components, tol=tol, max_iter=max_iter, n_init=n_init, init_params=init_params,
            startprob_init=startprob_init, transmat_init=transmat_init, params_init=params_init,
            topology=topology, prior=prior, assignment=assignment, algorithm=algorithm,
            random_state=random_state, warm_start=warm_start, verbose=verbose,
            verbose_interval=verbose_interval, n_threads=n_threads, online=online,
        )  # fmt: skip
        self.family = family

    @classmethod
    def from_params(
        cls,
        family: Family[P, Any],
        startprob: npt.ArrayLike,
        transmat: npt.ArrayLike,
        components: P,
        *,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with given parameters, ready to predict, sample and score.

        Parameters
        ----------
        startprob : (S,), >= 0, summing to one
        transmat : (S, S), >= 0, rows summing to one
        components : the family's parameters
        """
        return cls._made(
            family, startprob, transmat, components, random_state=random_state, family=family
        )

    def _family_class(self) -> type:
        return family_class(self.family)

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Any:
        return family_named(self.family, x, names) if isinstance(self.family, str) else self.family

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_family(self.family)
