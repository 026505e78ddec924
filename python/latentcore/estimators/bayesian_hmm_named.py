"""Bayesian hidden Markov models with Gaussian and with categorical emissions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.arrays import CSR, Rows, as_parameter
from latentcore.estimators import bayesian_gaussian_prior as gaussian_prior
from latentcore.estimators import gaussian_parameters as border
from latentcore.estimators.bayesian_hmm_base import BayesianHMMEstimator
from latentcore.estimators.given import categorical, check_n_categories
from latentcore.estimators.hmm_answers import Algorithm
from latentcore.estimators.hmm_evaluation import work_of_chain
from latentcore.estimators.mixture_base import RandomState
from latentcore.estimators.online import Horizon
from latentcore.estimators.priors import Pooling
from latentcore.estimators.starts import InitParams
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.gaussian import CovarianceType, Gaussian, GaussianParams, GaussianPrior
from latentcore.families.priors import DirichletPrior
from latentcore.protocols import Array, RealArray
from latentcore.structures.hmm import HMMPrior

__all__ = ["VariationalCategoricalHMM", "VariationalGaussianHMM"]


class VariationalGaussianHMM(BayesianHMMEstimator[GaussianParams, GaussianPrior]):
    """A hidden Markov model with Gaussian emissions and a posterior of its parameters, by variational inference.

    Dirichlets on the start law and on the rows of the transition matrix (MacKay 1997; Beal 2003, chapter 3), and the
    prior of ``BayesianGaussianMixture`` on means and covariances. ``lower_bound_`` is the evidence lower bound with all
    constants.

    Parameters
    ----------
    n_components : int
        S, the most states; those that the data do not need end without rows.
    covariance_type : {"full", "tied", "diag", "spherical", "tied_spherical"}
    startprob_prior : float or (S,), optional
        Alpha of the Dirichlet of the start law; 1 / S if None. 0 where a sequence cannot begin.
    transmat_prior : float or (S, S), optional
        Alpha of the Dirichlets of the rows of the transition matrix; 1 / S if None. 0 where a transition is impossible.
        Small ones leave more states without rows.
    stickiness : float
        Added to the diagonal of ``transmat_prior``: that many steps are taken for seen in which a state lasted.
    mean_precision_prior : float, optional
        How many rows ``mean_prior`` is worth; 1 if None.
    mean_prior : (D,), optional
        The mean of the data if None.
    degrees_of_freedom_prior : float, optional
        More than D - 1; for diag and spherical, more than 0. D if None.
    covariance_prior : full and tied (D, D), diag (D,), spherical and tied_spherical a number, optional
        The covariance of the data if None: its diagonal, or the mean of that.
    reg_covar : float
        Where the default ``covariance_prior`` is singular, this is added to its variances. Else it does nothing.
    tol : float
        The fit has converged when the bound of all rows changes by less, nats.
    max_iter : int
        Most iterations; with 0 the start is the result.
    n_init : int
        Number of starts, of which the one with the largest bound is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}
        How the emissions of a start are made, of all rows as if they were independent. The chain begins without a
        preference; with "random" it begins at random, and the emissions at rows drawn at random.
    posterior_init : HMMPrior, optional
        The posterior to begin with.
    algorithm : {"viterbi", "posterior"}
        What ``predict`` and ``decode`` give: the most probable path, or the most probable state of each row.
    random_state : int, numpy RandomState or Generator, optional
    warm_start : bool
        Whether ``fit`` goes on from where the last one ended.
    verbose : {0, 1, 2}
    verbose_interval : int
    n_threads : int, optional
        None leaves it to ``latentcore.get_num_threads``. Results are the same, bit for bit, for any number.
    delay, forgetting : float
        Step t of ``partial_fit`` has the size ``(t + delay)^-forgetting``. With forgetting 0 all have size 1.
    horizon : {"batch", "endless"}
        Whether ``partial_fit`` weighs a batch by its sequences, or by its rows; an endless sequence may come in blocks.

    Attributes
    ----------
    startprob_, transmat_ : (S,), (S, S)
        Means of their posterior.
    startprob_posterior_, transmat_posterior_ : (S,), (S, S)
        Alpha of their Dirichlets.
    means_ : (S, D)
    covariances_, precisions_ : full (S, D, D), tied (D, D), diag (S, D), spherical (S,)
        ``precisions_`` are means of their posterior, ``covariances_`` the inverse.
    mean_precision_ : (S,)
    degrees_of_freedom_ : (S,), tied and tied_spherical a number
    startprob_prior_, transmat_prior_, mean_precision_prior_, mean_prior_, degrees_of_freedom_prior_, covariance_prior_
        The prior's arguments as they were used.
    posterior_, prior_ : HMMPrior
        With a ``GaussianPrior`` of the emissions.
    components_ : GaussianParams
        The emissions at the middle of their posterior.
    expected_counts_ : (S,)
        How many rows the states are expected to have.
    n_effective_components_ : int
        States that have at least one row, in expectation.
    lower_bound_ : float
        The evidence lower bound (nats) of the posterior and all sequences together, with all constants: below the log
        evidence.
    lower_bounds_ : list of float
        The same after each iteration of the best start.
    elbo_terms_ : dict
        Of ``lower_bound_``: "log_normaliser" minus "divergence_of_chain" and "divergence_of_emissions" (S,).
    converged_, n_iter_, n_features_in_, feature_names_in_ :
        As of ``GaussianHMM``.

    Notes
    -----
    What the model says of sequences (``predict``, ``score``, ``forecast`` and the others) it says at the means of the
    posterior, ``startprob_``, ``transmat_`` and ``components_``, so that ``score`` is a log-likelihood that compares
    with that of any other model. The states that the bound was made of are those at expected log-parameters.
    ``aic`` and ``bic`` are refused: compare ``lower_bound_``.

    A state that no row needs keeps the prior. ``prune`` leaves it out.

    A row of NaN is a step without an observation. A fit refuses rows of which some entries are missing, as their
    posterior is not of this form; predictions take them.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import VariationalGaussianHMM
    >>> x = np.concatenate([np.arange(20) % 2, 9 + np.arange(20) % 3, np.arange(20) % 2])[:, None]
    >>> model = VariationalGaussianHMM(5, random_state=0).fit(x)
    >>> model.n_effective_components_
    2
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        startprob_prior: npt.ArrayLike | None = None,
        transmat_prior: npt.ArrayLike | None = None,
        stickiness: float = 0.0,
        mean_precision_prior: float | None = None,
        mean_prior: npt.ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: npt.ArrayLike | None = None,
        reg_covar: float = 1e-6,
        tol: float = 1e-3,
        max_iter: int = 200,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        posterior_init: HMMPrior[GaussianPrior] | None = None,
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
        self.covariance_type = covariance_type
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.reg_covar = reg_covar

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
        return border.precisions(self._params().emissions, self.family_.covariance_type)

    @property
    def mean_precision_(self) -> Array:
        """(S,)"""
        return self._posterior().emissions.mean_precision

    @property
    def degrees_of_freedom_(self) -> Array | float:
        """(S,); tied and tied_spherical a number"""
        degrees: Array | float = self._gaussian_attributes()["degrees_of_freedom_"]
        return degrees

    @property
    def mean_precision_prior_(self) -> float:
        """As it was used."""
        return float(self._gaussian_attributes()["mean_precision_prior_"])

    @property
    def mean_prior_(self) -> Array:
        """(D,), as it was used."""
        mean: Array = self._gaussian_attributes()["mean_prior_"]
        return mean

    @property
    def degrees_of_freedom_prior_(self) -> float:
        """As it was used."""
        return float(self._gaussian_attributes()["degrees_of_freedom_prior_"])

    @property
    def covariance_prior_(self) -> Array | float:
        """As it was used."""
        covariance: Array | float = self._gaussian_attributes()["covariance_prior_"]
        return covariance

    def _gaussian_attributes(self) -> dict[str, Any]:
        posterior, type_ = self._posterior().emissions, self.family_.covariance_type
        n_copies = gaussian_prior.copies(type_, *posterior.means.shape)
        return gaussian_prior.posterior_attributes(
            posterior, self.prior_.emissions, type_, n_copies
        )

    def _family_class(self) -> type:
        return Gaussian

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Gaussian:
        return Gaussian(self.covariance_type)

    def _family_to_refit(self) -> Gaussian:
        found = self.family_.covariance_type
        if found != self.covariance_type:
            raise ValueError(
                f"warm_start: expected the covariance_type {found!r} of the last fit, "
                f"got {self.covariance_type!r}"
            )
        return Gaussian(self.covariance_type)

    def _emission_prior(self, family: Gaussian, data: Rows | Pooling) -> GaussianPrior:
        return gaussian_prior.resolved(self, data)

    def _work_per_row(self, x: RealArray | CSR, n_states: int) -> float:
        work = border.work_per_row(self.covariance_type, x.shape[1], n_states)
        return work + work_of_chain(n_states)

    def _check_arguments(self) -> None:
        super()._check_arguments()
        gaussian_prior.check_arguments(self)


class VariationalCategoricalHMM(BayesianHMMEstimator[CategoricalParams, DirichletPrior]):
    """A hidden Markov model of codes with a posterior of its parameters, by variational inference.

    D independent categorical columns in each state, entries are codes 0 to ``n_categories - 1``; Dirichlets on
    everything (MacKay 1997). NaN is a missing entry.

    Parameters
    ----------
    n_components : int
        S, the most states; those that the data do not need end without rows.
    n_categories : int or sequence of int, optional
        The number of codes, of all columns or of each. None finds it in the data: the largest code plus one.
    emissionprob_prior : float, (sum of n_categories,) or (S, sum of n_categories), optional
        Alpha of the Dirichlets of the codes; for each column one over its number of codes if None.
    others : as of ``VariationalGaussianHMM``

    Attributes
    ----------
    emissionprob_ : (S, sum of n_categories)
        Means of their posterior, one column's codes after the other.
    emissionprob_posterior_, emissionprob_prior_ : (S, sum of n_categories)
        Alpha of the Dirichlets, and of the prior as it was used.
    n_categories_ : tuple of int
        Of each column.
    components_ : CategoricalParams
    others : as of ``VariationalGaussianHMM``

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import VariationalCategoricalHMM
    >>> codes = np.repeat([0, 1, 0, 1], 25)[:, None]
    >>> VariationalCategoricalHMM(4, random_state=0).fit(codes).n_effective_components_
    2
    """

    _positive_only = True

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_categories: int | Sequence[int] | None = None,
        startprob_prior: npt.ArrayLike | None = None,
        transmat_prior: npt.ArrayLike | None = None,
        stickiness: float = 0.0,
        emissionprob_prior: npt.ArrayLike | None = None,
        tol: float = 1e-3,
        max_iter: int = 200,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        posterior_init: HMMPrior[DirichletPrior] | None = None,
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
        self.n_categories = n_categories
        self.emissionprob_prior = emissionprob_prior

    @property
    def emissionprob_(self) -> Array:
        """(S, sum of n_categories): means of their posterior."""
        return self._params().emissions.probabilities

    @property
    def emissionprob_posterior_(self) -> Array:
        """(S, sum of n_categories): alpha."""
        return self._posterior().emissions.concentration

    @property
    def emissionprob_prior_(self) -> Array:
        """(S, sum of n_categories): alpha as it was used."""
        posterior = self._posterior().emissions.concentration
        return np.broadcast_to(self.prior_.emissions.concentration, posterior.shape).copy()

    @property
    def n_categories_(self) -> tuple[int, ...]:
        """Of each column."""
        levels: tuple[int, ...] = self._family().levels
        return levels

    def _family_class(self) -> type:
        return Categorical

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Categorical:
        return categorical(self.n_categories, x, names)

    def _emission_prior(self, family: Categorical, data: Rows | Pooling) -> DirichletPrior:
        n_codes = sum(family.levels)
        if self.emissionprob_prior is None:
            return DirichletPrior(np.repeat(1.0 / np.array(family.levels), family.levels))
        alpha = as_parameter(self.emissionprob_prior, "emissionprob_prior")
        shapes = [(), (n_codes,), (self.n_components, n_codes)]
        if alpha.shape not in shapes:
            raise ValueError(
                f"emissionprob_prior: expected a number or shape {shapes[1]} or {shapes[2]}, "
                f"got shape {alpha.shape}"
            )
        if not (alpha > 0).all():
            raise ValueError(f"emissionprob_prior: expected numbers > 0, got {alpha.min():g}")
        return DirichletPrior(np.broadcast_to(alpha, shapes[2] if alpha.ndim == 2 else shapes[1]))

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_n_categories(self.n_categories)
