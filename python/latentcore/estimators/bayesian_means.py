"""The mixture of Gaussians of known variance with equal weights: the textbook example of variational inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Rows, as_parameter
from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.estimators.bayesian_gaussian_prior import check_positive
from latentcore.estimators.mixture_base import RandomState
from latentcore.estimators.priors import Pooling
from latentcore.estimators.starts import InitParams
from latentcore.families.gaussian import GaussianParams
from latentcore.families.gaussian_means import GaussianMeans, NormalPrior
from latentcore.protocols import Array, RealArray
from latentcore.structures.mixture import MixturePrior

__all__ = ["GaussianMeansMixture"]


class GaussianMeansMixture(BayesianEstimator[GaussianParams, NormalPrior]):
    """Gaussians of one known variance with equal weights, and a posterior of their means.

    ``mean_k ~ N(mean_prior, prior_std^2 I)``, a row's component is one of K with probability 1 / K, and
    ``x | k ~ N(mean_k, variance I)``: the model of Blei, Kucukelbir & McAuliffe (2017), section 2.1, for rows of D
    numbers. ``q(mean_k) = N(m_k, v_k I)`` is fitted by coordinate ascent on the full evidence lower bound.

    Parameters
    ----------
    n_components : int
        K.
    variance : float
        Of each feature within a component.
    mean_prior : float or (D,)
    prior_std : float
        Standard deviation of the means about ``mean_prior``.
    others : as of ``BayesianGaussianMixture``

    Attributes
    ----------
    means_ : (K, D)
        m_k.
    mean_variances_ : (K,)
        v_k.
    weights_ : (K,)
        1 / K.
    posterior_, prior_ : MixturePrior
        Weights, and a ``NormalPrior``.
    lower_bound_, lower_bounds_, elbo_terms_, converged_, n_iter_, n_features_in_ :
        As of ``BayesianGaussianMixture``.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import GaussianMeansMixture
    >>> x = np.array([[-5.2], [-4.8], [0.1], [-0.1], [4.9], [5.1]])
    >>> model = GaussianMeansMixture(3, prior_std=10.0, random_state=0).fit(x)
    >>> np.sort(model.means_[:, 0]).round(1) + 0.0
    array([-5.,  0.,  5.])
    """

    weight_concentration_prior_type = "fixed"
    weight_concentration_prior = None
    optimize_concentration = False
    sort_sticks = False

    means_: npt.NDArray[Any]
    mean_variances_: Array

    def __init__(
        self,
        n_components: int = 1,
        *,
        variance: float = 1.0,
        mean_prior: float | npt.ArrayLike = 0.0,
        prior_std: float = 1.0,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        random_state: RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        batch_size: int | None = None,
        delay: float = 1.0,
        forgetting: float = 0.7,
    ) -> None:
        self.n_components = n_components
        self.variance = variance
        self.mean_prior = mean_prior
        self.prior_std = prior_std
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.batch_size = batch_size
        self.delay = delay
        self.forgetting = forgetting

    def _family_class(self) -> type:
        return GaussianMeans

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> GaussianMeans:
        return GaussianMeans(float(self.variance))

    def _prior_to_fit(
        self, family: GaussianMeans, data: Rows | Pooling
    ) -> MixturePrior[NormalPrior]:
        n_features = data.n_features
        mean = np.asarray(as_parameter(self.mean_prior, "mean_prior"), np.float64)
        if mean.shape not in ((), (n_features,)):
            raise ValueError(
                f"mean_prior: expected a number or shape ({n_features},), got shape {mean.shape}"
            )
        means = np.array(np.broadcast_to(mean, (1, n_features)))
        prior = NormalPrior(means, np.array([float(self.prior_std) ** 2]))
        return MixturePrior(self._weight_prior(), prior)

    def _attributes(
        self,
        posterior: MixturePrior[NormalPrior],
        prior: MixturePrior[NormalPrior],
        family: GaussianMeans,
        dtype: Any,
        n_copies: int,
    ) -> dict[str, Any]:
        return {
            "means_": posterior.components.means.astype(dtype),
            "mean_variances_": posterior.components.variances,
        }

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_positive("variance", self.variance)
        check_positive("prior_std", self.prior_std)

    def _heading(self) -> str:
        n_components, n_features = self.means_.shape
        return f"Gaussian means mixture: K = {n_components}, D = {n_features}, known variance {self.family_.variance:g}"
