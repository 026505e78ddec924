"""The hidden Markov model whose states are mixtures of Gaussians."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt

from latentcore.arrays import CSR, as_parameter
from latentcore.estimators import gaussian_parameters as border
from latentcore.estimators.checks import integer, one_of, real
from latentcore.estimators.hmm_answers import Algorithm
from latentcore.estimators.hmm_base import HMMEstimator
from latentcore.estimators.hmm_evaluation import work_of_chain
from latentcore.estimators.hmm_gaussian import given_gaussians
from latentcore.estimators.hmm_prior import HMMPriorArgument
from latentcore.estimators.mixture_base import Assignment, RandomState
from latentcore.estimators.online import OnlineArgument
from latentcore.estimators.starts import InitParams
from latentcore.families.gaussian import CovarianceType, Gaussian, GaussianParams
from latentcore.families.mixed import MixedParams, MixedPrior, MixtureFamily
from latentcore.protocols import Array, RealArray
from latentcore.structures.topology import Topology

__all__ = ["GMMHMM"]


class GMMHMM(HMMEstimator[MixedParams, MixedPrior]):
    """A hidden Markov model whose states are mixtures of M Gaussians, fitted by expectation maximisation.

    Parameters
    ----------
    n_components : int
        S, the number of states.
    n_mix : int
        M, the number of Gaussians of each state.
    covariance_type : {"full", "tied", "diag", "spherical", "tied_spherical"}
        Of the S M Gaussians; the tied ones are one for all of them.
    weights_init : (S, M), optional
    means_init : (S, M, D), optional
    covariances_init : shaped as ``covariances_``, optional
        Given parts of the start. Else the rows are clustered into states, and those of a state into its Gaussians.
    prior : None, "weak", HMMPrior or MixedPrior
        None is maximum likelihood, else the mode of the posterior. "weak" is that of Gaussians, with a Dirichlet of
        ``alpha = 1 + 1/M`` on the weights of each state.
    others : as of ``GaussianHMM``

    Attributes
    ----------
    startprob_, transmat_ : (S,), (S, S)
    weights_ : (S, M)
        Of the Gaussians of each state; rows sum to one.
    means_ : (S, M, D)
    covariances_ : full (S, M, D, D), tied (D, D), diag (S, M, D), spherical and tied_spherical (S, M)
    components_ : MixedParams
        The same, as the family has them: Gaussian m of state s is number ``s M + m``.
    family_ : MixtureFamily
    converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianHMM``.

    Notes
    -----
    It is the chain of S M Gaussian states in which the next Gaussian depends on the last one through its state alone.
    With hard assignment a path decides the states, and rows still go to the Gaussians of their state in shares.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import GMMHMM
    >>> x = np.array([[0.0], [5.1], [0.2], [5.0], [0.1], [20.0], [30.1], [20.2], [30.0], [20.1]])
    >>> model = GMMHMM(2, n_mix=2, reg_covar=0.01, random_state=0).fit(x)
    >>> np.sort(model.means_[model.predict(x)[0], :, 0]).round(1)
    array([0.1, 5. ])
    """

    _family_type = MixtureFamily
    _params_class = MixedParams

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_mix: int = 1,
        covariance_type: CovarianceType = "full",
        tol: float = 1e-5,
        reg_covar: float = 1e-6,
        max_iter: int = 200,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        startprob_init: npt.ArrayLike | None = None,
        transmat_init: npt.ArrayLike | None = None,
        weights_init: npt.ArrayLike | None = None,
        means_init: npt.ArrayLike | None = None,
        covariances_init: npt.ArrayLike | None = None,
        topology: Topology | None = None,
        prior: HMMPriorArgument[MixedPrior] = None,
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
            startprob_init=startprob_init, transmat_init=transmat_init, topology=topology,
            prior=prior, assignment=assignment, algorithm=algorithm, random_state=random_state,
            warm_start=warm_start, verbose=verbose, verbose_interval=verbose_interval,
            n_threads=n_threads, online=online,
        )  # fmt: skip
        del self.params_init  # weights_init, means_init and covariances_init are in its place
        self.n_mix = n_mix
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.weights_init = weights_init
        self.means_init = means_init
        self.covariances_init = covariances_init

    @classmethod
    def from_params(
        cls,
        startprob: npt.ArrayLike,
        transmat: npt.ArrayLike,
        weights: npt.ArrayLike,
        means: npt.ArrayLike,
        covariances: npt.ArrayLike,
        *,
        covariance_type: CovarianceType = "full",
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with given parameters, ready to predict, sample and score.

        Parameters
        ----------
        startprob : (S,), >= 0, summing to one
        transmat : (S, S), >= 0, rows summing to one
        weights : (S, M), >= 0, rows summing to one
        means : (S, M, D)
        covariances : full (S, M, D, D), tied (D, D), diag (S, M, D), spherical and tied_spherical (S, M)

        Raises
        ------
        ValueError
            A shape or value is wrong, or a covariance is not symmetric and positive definite.
        """
        one_of("covariance_type", covariance_type, get_args(CovarianceType))
        shape = np.shape(means)
        if len(shape) != 3 or 0 in shape:
            raise ValueError(
                f"means: expected shape (n_components, n_mix, n_features), got {shape}"
            )
        n_states, n_mix, n_features = shape
        family = MixtureFamily(Gaussian(covariance_type), n_mix)
        flat = (n_states * n_mix, n_features)
        gaussians = family.family.params(
            border.checked_means(_flat(means, shape, "means"), *flat, "means"),
            border.checked_matrices(
                _flat_covariances(covariances, covariance_type, shape, "covariances"),
                "covariance", covariance_type, *flat, "covariances",
            ),
        )  # fmt: skip
        components = MixedParams(_checked_weights(weights, n_states, n_mix, "weights"), gaussians)
        return cls._made(
            family, startprob, transmat, components,
            random_state=random_state, covariance_type=covariance_type, n_mix=n_mix,
        )  # fmt: skip

    @property
    def weights_(self) -> Array:
        """(S, M)"""
        return self._params().emissions.weights

    @property
    def means_(self) -> Array:
        """(S, M, D)"""
        return self._by_state(self._gaussians().means)

    @property
    def covariances_(self) -> Array:
        """full (S, M, D, D), tied (D, D), diag (S, M, D), spherical (S, M)"""
        covariances = self._gaussians().covariances
        tied = self._family().family.covariance_type == "tied"
        return covariances if tied else self._by_state(covariances)

    def _gaussians(self) -> GaussianParams:
        gaussians: GaussianParams = self._params().emissions.components
        return gaussians

    def _by_state(self, values: Array) -> Array:
        return values.reshape(*self._params().emissions.weights.shape, *values.shape[1:])

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> MixtureFamily:
        return MixtureFamily(Gaussian(self.covariance_type, float(self.reg_covar)), self.n_mix)

    def _family_to_refit(self) -> MixtureFamily:
        found = self._family().n_components
        if found != self.n_mix:
            raise ValueError(
                f"warm_start: expected the n_mix = {found} of the last fit, got {self.n_mix}"
            )
        return MixtureFamily(Gaussian(self.covariance_type, float(self.reg_covar)), found)

    def _given_emissions(
        self, family: MixtureFamily, n_features: int
    ) -> Callable[[Callable[[], MixedParams]], MixedParams]:
        shape = (self.n_components, self.n_mix, n_features)
        weights, means, covariances = self.weights_init, self.means_init, self.covariances_init
        if weights is not None:
            weights = _checked_weights(weights, *shape[:2], "weights_init")
        if means is not None:
            means = _flat(means, shape, "means_init")
        if covariances is not None:
            covariances = _flat_covariances(
                covariances, self.covariance_type, shape, "covariances_init"
            )
        flat = (self.n_components * self.n_mix, n_features)
        gaussians = given_gaussians(family.family, flat, means, covariances)

        def given(made: Callable[[], MixedParams]) -> MixedParams:
            once = cache(made)
            components = gaussians(lambda: once().components)
            return MixedParams(once().weights if weights is None else weights, components)

        return given

    def _emissions_are_given(self) -> bool:
        given = self.weights_init, self.means_init, self.covariances_init
        return all(part is not None for part in given)

    def _work_per_row(self, x: RealArray | CSR, n_states: int) -> float:
        work = border.work_per_row(self.covariance_type, x.shape[1], n_states * self.n_mix)
        return work + work_of_chain(n_states)

    def _check_arguments(self) -> None:
        super()._check_arguments()
        integer("n_mix", self.n_mix, 1)
        one_of("covariance_type", self.covariance_type, get_args(CovarianceType))
        real("reg_covar", self.reg_covar)

    def _checked_learned(self, learned: dict[str, Any]) -> dict[str, Any]:
        values = super()._checked_learned(learned)
        if values:
            components, family = values["components_"], values["family_"]
            if type(components.components) is not GaussianParams:
                raise ValueError(f"components_: expected Gaussians, got {components.components!r}")
            shape = (len(values["startprob_"]), family.n_components)
            _checked_weights(components.weights, *shape, "components_.weights")
        return values


def _checked_weights(value: Any, n_states: int, n_mix: int, name: str) -> Array:
    """(S, M) numbers >= 0, in rows that sum to one."""
    weights = as_parameter(value, name)
    if weights.shape != (n_states, n_mix):
        raise ValueError(f"{name}: expected shape {(n_states, n_mix)}, got {weights.shape}")
    rows = [border.checked_weights(row, n_mix, f"{name}[{s}]") for s, row in enumerate(weights)]
    return np.stack(rows)


def _flat(value: Any, shape: tuple[int, ...], name: str) -> Array:
    """Arrays (S, M, ...) as (S M, ...)."""
    array = as_parameter(value, name)
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    return array.astype(np.float64, copy=False).reshape(-1, *shape[2:])


def _flat_covariances(
    value: Any, type_: CovarianceType, shape: tuple[int, int, int], name: str
) -> Any:
    n_states, n_mix, n_features = shape
    of_each = border.covariance_shape(type_, n_states * n_mix, n_features)
    return value if type_ == "tied" else _flat(value, (n_states, n_mix, *of_each[1:]), name)
