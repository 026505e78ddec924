"""The Gaussian mixture as scikit-learn's users know it."""

from __future__ import annotations

from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Rows
from latentcore.errors import ImpossibleRowError, NumericalError
from latentcore.estimators import gaussian_parameters as border
from latentcore.estimators import gaussian_saved
from latentcore.estimators.checks import one_of, random_generator, real
from latentcore.estimators.gaussian_start import GaussianStart
from latentcore.estimators.mixture_base import Assignment, MixtureEstimator, RandomState, outcome
from latentcore.estimators.online import OnlineArgument
from latentcore.estimators.priors import Prior
from latentcore.estimators.starts import InitParams
from latentcore.estimators.summary import heading
from latentcore.estimators.training_rows import TrainingRows
from latentcore.families.gaussian import CovarianceType, Gaussian, GaussianParams, GaussianPrior
from latentcore.protocols import RealArray
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior
from latentcore.threads import get_num_threads

__all__ = ["GaussianMixture"]

Params = MixtureParams[GaussianParams]

_TYPES = get_args(CovarianceType)

_COLLAPSED = (
    "Fitting the mixture model failed because some components have ill-defined empirical "
    "covariance (for instance caused by singleton or collapsed samples). Try to decrease the "
    "number of components, increase reg_covar, or scale the input data."
)  # scikit-learn's words: programs look for them


class GaussianMixture(MixtureEstimator[GaussianParams]):
    """A mixture of Gaussians, fitted by expectation maximisation.

    A drop-in for ``sklearn.mixture.GaussianMixture``: the same arguments, attributes and fits.

    Parameters
    ----------
    n_components : int
        K, the number of components.
    covariance_type : {"full", "tied", "diag", "spherical", "tied_spherical"}
        A matrix for each component, one matrix for all, a variance for each component and feature,
        a variance for each component, or one variance for all.
    tol : float
        The fit has converged when the mean objective changes by less, nats.
    reg_covar : float
        Added to every variance, unless there is a prior. With 0, a component that collapses onto a
        point is an error.
    max_iter : int
        Most iterations; with 0 the start is the result.
    n_init : int
        Number of starts, of which the one with the largest lower bound is kept. Ones that end
        with a collapsed component are kept only if all do.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}
        How a start is made.
    weights_init : (K,), optional
    means_init : (K, D), optional
    precisions_init : shaped as ``precisions_``, optional
        Given parts of the start; the others are made by ``init_params``.
    random_state : int, numpy RandomState or Generator, optional
    warm_start : bool
        Whether ``fit`` goes on from where the last one ended.
    verbose : {0, 1, 2}
        Print the starts and iterations, with 2 also their times.
    verbose_interval : int
        Iterations between two lines.
    n_threads : int, optional
        None leaves it to ``latentcore.get_num_threads``. Results are the same, bit for bit, for any
        number.
    prior : None, "weak", MixturePrior or GaussianPrior
        None is maximum likelihood. With a prior, the mode of the posterior, so that components
        cannot collapse. "weak" is the prior of Fraley & Raftery (2007) on the scale of the data,
        and a Dirichlet of ``alpha = 1 + 1/K`` on the weights. With a ``GaussianPrior`` that of the
        weights is flat.
    assignment : {"soft", "hard"}
        Whether EM shares rows out among components, or gives each to its most probable one
        (classification EM). Predictions are the same functions of the parameters either way.
    equal_weights : bool
        Whether the weights stay 1 / K. With ``assignment="hard"`` and
        ``covariance_type="tied_spherical"`` the fit then is k-means.
    online : Online, float, callable or "auto", optional
        How ``partial_fit`` learns; what is no ``Online`` is its step size. None is ``Online()``.

    Attributes
    ----------
    weights_ : (K,)
    means_ : (K, D)
    covariances_, precisions_ : full (K, D, D), tied (D, D), diag (K, D), spherical (K,)
        tied_spherical as spherical, with equal entries.
    components_ : GaussianParams
        The same, as the family has them.
    precisions_cholesky_ : as ``precisions_``
        U with precision = U U^T, U upper triangular; diag, spherical: reciprocal standard
        deviations.
    converged_ : bool
    n_iter_ : int
        Iterations of the best start.
    lower_bound_ : float
        The mean objective (nats) of the parameters that the last iteration started from:
        log-likelihood, and log prior if there is one, over the total weight of the rows; with hard
        assignment the log-likelihood of rows and their components.
    lower_bounds_ : list of float
        The same for each iteration of the best start.
    n_degenerate_ : int
        Starts that were given up, or ended, because a component collapsed.
    n_features_in_ : int
    n_samples_seen_ : int
        Rows of positive weight that ``fit``, and ``partial_fit`` since, have seen.
    feature_names_in_ : (D,)
        Only after a fit to a data frame whose column names are strings.

    Notes
    -----
    Attributes may be set by hand: predictions use what ``weights_``, ``means_`` and
    ``precisions_cholesky_`` are at the time. They are float32 after a fit to float32 data; sums are
    always double.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import GaussianMixture
    >>> x = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> model = GaussianMixture(2, random_state=0).fit(x)
    >>> np.sort(model.means_[:, 0])
    array([ 1., 10.])
    >>> model.predict([[1, 1], [10, 1]]) == model.predict(x[[0, 3]])
    array([ True,  True])
    """

    _since_the_first_files = frozenset({"prior", "assignment", "equal_weights", "online"})

    _start_arguments = ("weights_init", "means_init", "precisions_init")

    means_: npt.NDArray[Any]
    covariances_: npt.NDArray[Any]
    precisions_: npt.NDArray[Any]
    precisions_cholesky_: npt.NDArray[Any]

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
        weights_init: npt.ArrayLike | None = None,
        means_init: npt.ArrayLike | None = None,
        precisions_init: npt.ArrayLike | None = None,
        random_state: RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        prior: Prior[GaussianPrior] = None,
        assignment: Assignment = "soft",
        equal_weights: bool = False,
        online: OnlineArgument = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.prior = prior
        self.assignment = assignment
        self.equal_weights = equal_weights
        self.online = online

    @classmethod
    def from_params(
        cls,
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
        weights : (K,), >= 0, summing to one
        means : (K, D)
        covariances : full (K, D, D), tied (D, D), diag (K, D), spherical and tied_spherical (K,)

        Raises
        ------
        ValueError
            A shape or value is wrong, or a covariance is not symmetric and positive definite.
        """
        one_of("covariance_type", covariance_type, get_args(CovarianceType))
        shape = np.shape(means)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"means: expected shape (n_components, n_features), got {shape}")
        params = border.from_covariances(
            border.checked_weights(weights, shape[0], "weights"),
            border.checked_means(means, *shape, "means"),
            border.checked_matrices(
                covariances, "covariance", covariance_type, *shape, "covariances"
            ),
            covariance_type,
        )
        model = cls(shape[0], covariance_type=covariance_type, random_state=random_state)
        learned = border.attributes(params, covariance_type)
        model._replace({**learned, **outcome(None), "n_features_in_": shape[1]}, None)
        return model

    # -- the family -------------------------------------------------------------------------------

    @property
    def components_(self) -> GaussianParams:
        """The parameters as the family has them, from what the other attributes are now."""
        return self._params().components

    def _family_class(self) -> type:
        return Gaussian

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Gaussian:
        return Gaussian(self.covariance_type, float(self.reg_covar))

    def _family(self) -> Gaussian:
        return Gaussian(self.covariance_type)

    def _family_to_refit(self) -> Gaussian:
        return Gaussian(self.covariance_type, float(self.reg_covar))

    def _start(
        self,
        model: Mixture[GaussianParams, Any],
        data: Rows,
        prior: MixturePrior[Any] | None,
        warm: Params | None,
    ) -> GaussianStart:
        k, shape = self.n_components, (self.n_components, data.x.shape[1])
        weights, means, precisions = self.weights_init, self.means_init, self.precisions_init
        if weights is not None:
            weights = border.checked_weights(weights, k, "weights_init")
        if means is not None:
            means = border.checked_means(means, *shape, "means_init")
        if precisions is not None:
            precisions = border.checked_matrices(
                precisions, "precision", self.covariance_type, *shape, "precisions_init"
            )
        return GaussianStart(
            model, data, k, self.init_params, random_generator(self.random_state),
            prior=prior, weights=weights, means=means, precisions=precisions, warm=warm,
            n_threads=get_num_threads(self.n_threads),
        )  # fmt: skip

    def _explained(self, error: NumericalError, rows: Rows | TrainingRows) -> NumericalError:
        """A collapse in our words, which name the component, and in those of scikit-learn."""
        if not isinstance(error, ImpossibleRowError):
            error.args = (f"{error}. {_COLLAPSED}",)
        return super()._explained(error, rows)

    # -- parameters -------------------------------------------------------------------------------

    def _params(self) -> Params:
        params = border.from_attributes(self.__dict__, self.covariance_type)
        if params is None:
            raise self._not_fitted()
        return params

    def _attributes(self, params: Params, family: Gaussian, dtype: Any) -> dict[str, Any]:
        return {**border.attributes(params, family.covariance_type, dtype)}

    def _params_of(self, attributes: dict[str, Any]) -> Params:
        params = border.from_attributes(attributes, self.covariance_type)
        assert params is not None
        return params

    def _reordered(self, order: npt.NDArray[np.intp]) -> dict[str, Any]:
        shared = border.NAMES[2:] if self.covariance_type == "tied" else ()
        names = [name for name in border.NAMES if name in self.__dict__ and name not in shared]
        return {name: np.asarray(self.__dict__[name])[order] for name in names}

    def _n_features(self) -> int:
        if "means_" not in self.__dict__:  # rows wait for a start
            return self.n_features_in_
        return int(np.shape(self.means_)[1])  # attributes may be set by hand

    def _heading(self, params: Params) -> str:
        return heading(params, self.covariance_type)

    # -- inside -----------------------------------------------------------------------------------

    def _work_per_row(self, x: RealArray, n_components: int) -> float:
        return border.work_per_row(self.covariance_type, x.shape[1], n_components)

    def _check_arguments(self) -> None:
        super()._check_arguments()
        one_of("covariance_type", self.covariance_type, _TYPES)
        real("reg_covar", self.reg_covar)

    def _learned(self) -> dict[str, Any]:
        return gaussian_saved.pack(self.__dict__, self.covariance_type)

    def _checked_learned(self, learned: dict[str, Any]) -> dict[str, Any]:
        return gaussian_saved.unpack(learned, self.covariance_type)
