"""The Bayesian Gaussian mixture as scikit-learn's users know it."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from latentcore.arrays import Rows
from latentcore.estimators import gaussian_parameters as border
from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.estimators.bayesian_gaussian_prior import (
    check_arguments,
    copies,
    posterior_attributes,
    resolved,
)
from latentcore.estimators.bayesian_weights import WeightPriorType, concentration_prior
from latentcore.estimators.mixture_base import RandomState
from latentcore.estimators.priors import Pooling
from latentcore.estimators.starts import InitParams
from latentcore.families.gaussian import CovarianceType, Gaussian, GaussianParams, GaussianPrior
from latentcore.protocols import Array, RealArray
from latentcore.structures.mixture import Mixture, MixturePrior

__all__ = ["BayesianGaussianMixture"]


class BayesianGaussianMixture(BayesianEstimator[GaussianParams, GaussianPrior]):
    """A mixture of Gaussians with a posterior of its parameters, by variational inference.

    A drop-in for ``sklearn.mixture.BayesianGaussianMixture``: the same arguments, defaults and attributes. The model
    is that of Bishop (2006), section 10.2, and ``lower_bound_`` its evidence lower bound with all constants.

    Parameters
    ----------
    n_components : int
        K, the most components; those that the data do not need end with little weight.
    covariance_type : {"full", "tied", "diag", "spherical", "tied_spherical"}
    tol : float
        The fit has converged when the bound of all rows changes by less, nats.
    reg_covar : float
        Where the default ``covariance_prior`` is singular, because a feature is constant or depends on others, this is
        added to its variances. Else it does nothing: a proper prior keeps covariances regular. (scikit-learn adds it
        to each covariance after each step, which no prior does.)
    max_iter : int
        Most iterations; with ``batch_size``, epochs.
    n_init : int
        Number of starts, of which the one with the largest bound is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}
    weight_concentration_prior_type : {"dirichlet_process", "dirichlet_distribution"}
        A Dirichlet process of which rows use K components at most, or a Dirichlet distribution. (Also "fixed": weights
        that are 1 / K.)
    weight_concentration_prior : float, or of a Dirichlet distribution (K,), optional
        1 / K if None. A small one leaves more components empty.
    mean_precision_prior : float, optional
        How many rows ``mean_prior`` is worth; 1 if None.
    mean_prior : (D,), optional
        The mean of the data if None.
    degrees_of_freedom_prior : float, optional
        More than D - 1; for diag and spherical, more than 0. D if None.
    covariance_prior : full and tied (D, D), diag (D,), spherical and tied_spherical a number, optional
        The covariance of the data if None: its diagonal, or the mean of that.
    random_state : int, numpy RandomState or Generator, optional
    warm_start : bool
        Whether ``fit`` goes on from where the last one ended.
    verbose : {0, 1, 2}
    verbose_interval : int
    n_threads : int, optional
        None leaves it to ``latentcore.get_num_threads``. Results are the same, bit for bit, for any number.
    sort_sticks : bool
        Whether the sticks of a Dirichlet process are in the order of falling counts at every step, which raises the
        bound and often leads elsewhere. Else they are in the order of the components, as in scikit-learn.
    batch_size : int, optional
        None is coordinate ascent on all rows. Else stochastic variational inference (Hoffman et al. 2013): an iteration
        is an epoch of steps on shuffled batches of so many rows, after which the bound of all rows tells whether to
        stop. It may fall. The batches of rows in files are drawn from a window of some 2^22 numbers at a time, those of
        rows on a cluster from all of them.
    delay, forgetting : float
        Step t of stochastic inference has the size ``(t + delay)^-forgetting``. With forgetting 0 all have size 1.
    optimize_concentration : bool
        Whether each iteration ends with the concentration of the largest bound in the prior's place (empirical Bayes);
        ``weight_concentration_prior_`` tells the last one.

    Attributes
    ----------
    weights_ : (K,)
        Means of their posterior.
    means_ : (K, D)
    covariances_, precisions_, precisions_cholesky_ : shaped as those of ``GaussianMixture``
        ``precisions_`` are means of their posterior, ``covariances_`` the inverse.
    weight_concentration_ : (K,), or a tuple of two (K,)
        The Dirichlet's alpha; or a and b of the Beta of each component's stick.
    mean_precision_ : (K,)
    degrees_of_freedom_ : (K,), tied and tied_spherical a number
    weight_concentration_prior_, mean_precision_prior_, mean_prior_, degrees_of_freedom_prior_, covariance_prior_
        The prior's arguments as they were used.
    posterior_, prior_ : MixturePrior
        Distributions of the weights, and a ``GaussianPrior``. Predictions use ``posterior_`` alone.
    n_effective_components_ : int
        Components that have at least one row, in expectation.
    lower_bound_ : float
        The evidence lower bound (nats) of the posterior and all rows together, with all constants: below the log
        evidence.
    lower_bounds_ : list of float
        The same after each iteration of the best start.
    elbo_terms_ : dict
        Of ``lower_bound_``: "expected_log_joint" and "entropy" minus "divergence_of_weights" and
        "divergence_of_components" (K,).
    converged_ : bool
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : (D,)

    Notes
    -----
    Where results differ from scikit-learn's:

    - ``reg_covar``, as told there. Compare with scikit-learn's at ``reg_covar=0``.
    - Its ``lower_bound_`` leaves out constants and is no bound. ``tol`` is on the change of the total in both.
    - Full and tied covariances: the same updates. scikit-learn's degrees of freedom of
      tied covariances are those of one of K copies of the prior: the prior here has K times
      ``degrees_of_freedom_prior`` and ``covariance_prior``, and ``degrees_of_freedom_`` is the posterior's divided
      by K. ``score_samples`` differs by a constant.
    - Diagonal and spherical: the same updates of means and covariances. Expected log-precisions are those of the Gamma
      distributions of which ``degrees_of_freedom_`` and ``covariances_`` are the parameters, where scikit-learn takes
      those of a Wishart distribution in D dimensions. So responsibilities differ by O(D^2 / N_k), and not where D = 1.
      Spherical variances have the prior of each of D features: D times the degrees of freedom and sum of squares.
    A Dirichlet process has infinitely many components; q gives rows to the first K alone, and ``lower_bound_`` is below
    the log evidence of the whole process. ``weights_`` and ``predictive_logpdf`` leave out what is left for the others,
    as in scikit-learn.

    Missing entries are refused: their posterior is not of this form.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import BayesianGaussianMixture
    >>> x = np.array([[1, 2], [1, 4], [1, 0], [4, 2], [12, 4], [10, 7]])
    >>> model = BayesianGaussianMixture(2, random_state=42).fit(x)
    >>> model.predict([[0, 0], [9, 3]]) == model.predict(x[[0, 4]])
    array([ True,  True])
    """

    weight_concentration_: Array | tuple[Array, Array]
    mean_precision_: Array
    degrees_of_freedom_: Array | float
    weight_concentration_prior_: float | Array
    mean_precision_prior_: float
    mean_prior_: Array
    degrees_of_freedom_prior_: float
    covariance_prior_: Array | float
    means_: npt.NDArray[Any]
    covariances_: npt.NDArray[Any]
    precisions_: npt.NDArray[Any]
    precisions_cholesky_: npt.NDArray[Any]
    n_effective_components_: int

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        weight_concentration_prior_type: WeightPriorType = "dirichlet_process",
        weight_concentration_prior: float | npt.ArrayLike | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: npt.ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: npt.ArrayLike | None = None,
        random_state: RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        sort_sticks: bool = False,
        batch_size: int | None = None,
        delay: float = 1.0,
        forgetting: float = 0.7,
        optimize_concentration: bool = False,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.sort_sticks = sort_sticks
        self.batch_size = batch_size
        self.delay = delay
        self.forgetting = forgetting
        self.optimize_concentration = optimize_concentration

    # -- the family -------------------------------------------------------------------------------

    def _family_class(self) -> type:
        return Gaussian

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Gaussian:
        return Gaussian(self.covariance_type)

    def _prior_to_fit(self, family: Gaussian, data: Rows | Pooling) -> MixturePrior[GaussianPrior]:
        return MixturePrior(self._weight_prior(), resolved(self, data))

    def _attributes(
        self,
        posterior: MixturePrior[GaussianPrior],
        prior: MixturePrior[GaussianPrior],
        family: Gaussian,
        dtype: Any,
        n_copies: int,
    ) -> dict[str, Any]:
        model: Mixture[GaussianParams, Any] = Mixture(family)
        type_ = family.covariance_type
        return {
            **border.attributes(model.mean(posterior), type_, dtype),
            **posterior_attributes(posterior.components, prior.components, type_, n_copies),
            "weight_concentration_prior_": concentration_prior(prior.weights),
        }

    def _n_copies(self, n_features: int) -> int:
        return copies(self.covariance_type, self.n_components, n_features)

    def _work_per_row(self, x: RealArray, n_components: int) -> float:
        return border.work_per_row(self.covariance_type, x.shape[1], n_components)

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_arguments(self)

    def _heading(self) -> str:
        n_components, n_features = self.means_.shape
        return (
            f"Bayesian Gaussian mixture: K = {n_components}, D = {n_features}, "
            f"{self.family_.covariance_type} covariances"
        )
