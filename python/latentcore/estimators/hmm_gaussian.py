"""The hidden Markov model with Gaussian emissions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt

from latentcore.arrays import CSR
from latentcore.estimators import gaussian_parameters as border
from latentcore.estimators.checks import one_of, real
from latentcore.estimators.hmm_answers import Algorithm
from latentcore.estimators.hmm_base import HMMEstimator
from latentcore.estimators.hmm_evaluation import work_of_chain
from latentcore.estimators.hmm_prior import HMMPriorArgument
from latentcore.estimators.mixture_base import Assignment, RandomState
from latentcore.estimators.online import OnlineArgument
from latentcore.estimators.starts import InitParams
from latentcore.families.gaussian import CovarianceType, Gaussian, GaussianParams, GaussianPrior
from latentcore.protocols import Array, RealArray
from latentcore.structures.topology import Topology

__all__ = ["GaussianHMM", "given_gaussians"]


class GaussianHMM(HMMEstimator[GaussianParams, GaussianPrior]):
    """A hidden Markov model with Gaussian emissions, fitted by expectation maximisation (Baum & Welch).

    Parameters
    ----------
    n_components : int
        S, the number of states.
    covariance_type : {"full", "tied", "diag", "spherical", "tied_spherical"}
        A matrix for each state, one matrix for all, a variance for each state and feature, a variance for each
        state, or one variance for all.
    tol : float
        The fit has converged when the mean objective of a row changes by less, nats.
    reg_covar : float
        Added to every variance, unless there is a prior. With 0, a state that collapses onto a point is an error.
    max_iter : int
        Most iterations; with 0 the start is the result.
    n_init : int
        Number of starts, of which the one with the largest lower bound is kept. Ones that end with a collapsed state
        are kept only if all do.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}
        How the emissions of a start are made, of all rows as if they were independent. The chain begins uniform.
        "random" begins the emissions at rows drawn at random, and the chain at random, too, so that ``n_init`` starts
        differ.
    startprob_init : (S,), optional
    transmat_init : (S, S), optional
    means_init : (S, D), optional
    covariances_init : shaped as ``covariances_``, optional
        Given parts of the start. Zeros of ``startprob_init`` and ``transmat_init`` stay zero.
    topology : Topology, optional
        What is known of the chain: forbidden, fixed and tied entries, and how sequences begin.
    prior : None, "weak", HMMPrior or GaussianPrior
        None is maximum likelihood. With a prior, the mode of the posterior, so that states cannot collapse. "weak" is
        the prior of Fraley & Raftery (2007) on the scale of the data, and Dirichlets of ``alpha = 1 + 1/S`` on the
        start law and on each row of the transition matrix. With a ``GaussianPrior`` those are flat.
    assignment : {"soft", "hard"}
        Whether a sequence counts for all paths by their posterior, or for its most probable path alone (Viterbi
        training).
    algorithm : {"viterbi", "posterior"}
        What ``predict`` and ``decode`` give: the most probable path, or the most probable state of each row.
    random_state : int, numpy RandomState or Generator, optional
    warm_start : bool
        Whether ``fit`` goes on from where the last one ended.
    verbose : {0, 1, 2}
        Print the starts and iterations, with 2 also their times.
    verbose_interval : int
        Iterations between two lines.
    n_threads : int, optional
        None leaves it to ``latentcore.get_num_threads``. Results are the same, bit for bit, for any number.
    online : Online, float, callable or "auto", optional
        How ``partial_fit`` learns; what is no ``Online`` is its step size. None is ``Online()``.

    Attributes
    ----------
    startprob_ : (S,)
        The law of the first state of a sequence.
    transmat_ : (S, S)
        Row i is the law of the state after state i.
    means_ : (S, D)
    covariances_, precisions_ : full (S, D, D), tied (D, D), diag (S, D), spherical (S,)
        tied_spherical as spherical, with equal entries.
    components_ : GaussianParams
        The same, as the family has them.
    family_ : Gaussian
    converged_ : bool
    n_iter_ : int
        Iterations of the best start.
    lower_bound_ : float
        The objective (nats) of the parameters that the last iteration started from, over the number of rows:
        log-likelihood, and log prior if there is one; with hard assignment the log-density of rows and their best
        paths. Sequences count by their weights.
    lower_bounds_ : list of float
        The same for each iteration of the best start.
    n_degenerate_ : int
        Starts that were given up, or ended, because a state collapsed.
    n_features_in_ : int
    n_samples_seen_ : int
        Rows of sequences of positive weight that ``fit``, and ``partial_fit`` since, have seen.
    feature_names_in_ : (D,)
        Only after a fit to a data frame whose column names are strings.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import GaussianHMM
    >>> x = np.array([[0.1], [0.0], [-0.1], [5.0], [5.2], [5.1], [0.2], [0.0]])
    >>> model = GaussianHMM(2, random_state=0).fit(x, lengths=[6, 2])
    >>> model.relabel(by=lambda m: m.means_[:, 0]).predict(x, lengths=[6, 2])
    array([0, 0, 0, 1, 1, 1, 0, 0], dtype=int32)
    """

    _family_type = Gaussian
    _params_class = GaussianParams

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        tol: float = 1e-5,
        reg_covar: float = 1e-6,
        max_iter: int = 200,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        startprob_init: npt.ArrayLike | None = None,
        transmat_init: npt.ArrayLike | None = None,
        means_init: npt.ArrayLike | None = None,
        covariances_init: npt.ArrayLike | None = None,
        topology: Topology | None = None,
        prior: HMMPriorArgument[GaussianPrior] = None,
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
        del self.params_init  # means_init and covariances_init are in its place
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.means_init = means_init
        self.covariances_init = covariances_init

    @classmethod
    def from_params(
        cls,
        startprob: npt.ArrayLike,
        transmat: npt.ArrayLike,
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
        means : (S, D)
        covariances : full (S, D, D), tied (D, D), diag (S, D), spherical and tied_spherical (S,)

        Raises
        ------
        ValueError
            A shape or value is wrong, or a covariance is not symmetric and positive definite.
        """
        one_of("covariance_type", covariance_type, get_args(CovarianceType))
        shape = np.shape(means)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"means: expected shape (n_components, n_features), got {shape}")
        components = Gaussian(covariance_type).params(
            border.checked_means(means, *shape, "means"),
            border.checked_matrices(
                covariances, "covariance", covariance_type, *shape, "covariances"
            ),
        )
        return cls._made(
            Gaussian(covariance_type), startprob, transmat, components,
            random_state=random_state, covariance_type=covariance_type,
        )  # fmt: skip

    @property
    def means_(self) -> Array:
        """(S, D)"""
        return self._params().emissions.means

    @property
    def covariances_(self) -> Array:
        """full (S, D, D), tied (D, D), diag (S, D), spherical (S,)"""
        return self._params().emissions.covariances

    @property
    def precisions_(self) -> Array:
        """Inverses of ``covariances_``."""
        return border.precisions(self._params().emissions, self._family().covariance_type)

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Gaussian:
        return Gaussian(self.covariance_type, float(self.reg_covar))

    def _family_to_refit(self) -> Gaussian:
        return Gaussian(self.covariance_type, float(self.reg_covar))

    def _given_emissions(
        self, family: Gaussian, n_features: int
    ) -> Callable[[Callable[[], GaussianParams]], GaussianParams]:
        shape = (self.n_components, n_features)
        return given_gaussians(family, shape, self.means_init, self.covariances_init)

    def _emissions_are_given(self) -> bool:
        return self.means_init is not None and self.covariances_init is not None

    def _work_per_row(self, x: RealArray | CSR, n_states: int) -> float:
        work = border.work_per_row(self.covariance_type, x.shape[1], n_states)
        return work + work_of_chain(n_states)

    def _check_arguments(self) -> None:
        super()._check_arguments()
        one_of("covariance_type", self.covariance_type, get_args(CovarianceType))
        real("reg_covar", self.reg_covar)


def given_gaussians(
    family: Gaussian, shape: tuple[int, int], means: Any, covariances: Any
) -> Callable[[Callable[[], GaussianParams]], GaussianParams]:
    """What puts ``means_init`` and ``covariances_init`` in the place of what is made, for (K, D) ``shape``.

    Raises
    ------
    ValueError
        A shape or value is wrong.
    """
    type_ = family.covariance_type
    if means is not None:
        means = border.checked_means(means, *shape, "means_init")
    if covariances is not None:
        covariances = border.checked_matrices(
            covariances, "covariance", type_, *shape, "covariances_init"
        )

    def given(made: Callable[[], GaussianParams]) -> GaussianParams:
        if covariances is not None:
            return family.params(made().means if means is None else means, covariances)
        return made() if means is None else replace(made(), means=means)

    return given
