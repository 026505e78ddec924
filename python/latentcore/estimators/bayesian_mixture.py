"""A Bayesian mixture of any family with conjugate priors."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Rows
from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.estimators.bayesian_selected import selected
from latentcore.estimators.bayesian_weights import WeightPriorType, concentration_prior
from latentcore.estimators.components import arrays_of
from latentcore.estimators.mixture import FamilyName, family_class, family_named
from latentcore.estimators.mixture_base import RandomState
from latentcore.estimators.priors import Pooling, resolved
from latentcore.estimators.starts import InitParams
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import Gaussian
from latentcore.families.gaussian_means import GaussianMeans
from latentcore.families.mixed import MixtureFamily
from latentcore.families.multinomial import Multinomial
from latentcore.protocols import Family, RealArray
from latentcore.structures.mixture import Mixture, MixturePrior

__all__ = ["BayesianMixture", "check_variational", "takes_missing"]

P = TypeVar("P")


class BayesianMixture(BayesianEstimator[P, Any], Generic[P]):
    """A mixture of any family with a posterior of its parameters, by variational inference.

    Parameters
    ----------
    family : Family, or "bernoulli", "categorical", "exponential", "gaussian", "multinomial", "poisson"
        The distribution of a row in a component: any object with the methods of ``latentcore.protocols.Family`` and
        ``latentcore.protocols.Variational``, such as ``IndependentColumns`` for tables of several kinds of columns.
    n_components : int
        K, the most components; those that the data do not need end with little weight.
    weight_concentration_prior_type : {"dirichlet_process", "dirichlet_distribution", "fixed"}
        A Dirichlet process of which rows use K components at most, a Dirichlet distribution, or weights that are 1 / K.
    weight_concentration_prior : float, or of a Dirichlet distribution (K,), optional
        1 / K if None.
    prior : the family's prior, optional
        None is the family's weak one on the scale of the data, worth about a row: ``prior_`` tells which.
    others : as of ``BayesianGaussianMixture``

    Attributes
    ----------
    weights_ : (K,)
        Means of their posterior.
    components_ : the family's parameters
        In the middle of their posterior, to plug in.
    posterior_, prior_ : MixturePrior
        Distributions of the weights, and of the components as the family has them. Predictions use ``posterior_``.
    family_ : Family
        As it was fitted.
    weight_concentration_, weight_concentration_prior_, n_effective_components_, lower_bound_, lower_bounds_, \
elbo_terms_, converged_, n_iter_, n_features_in_ :
        As of ``BayesianGaussianMixture``.

    Notes
    -----
    NaN is a missing entry for families of independent columns, other than Gaussian ones, and is left out of the row.
    SciPy sparse rows of counts and of zeros and ones are read as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import BayesianMixture
    >>> counts = np.array([[0], [1], [0], [20], [22], [21]])
    >>> BayesianMixture("poisson", 4, random_state=0).fit(counts).n_effective_components_
    2
    """

    components_: P

    @overload
    def __init__(
        self: BayesianMixture[Any],
        family: FamilyName = ...,
        n_components: int = ...,
        *,
        tol: float = ...,
        max_iter: int = ...,
        n_init: int = ...,
        init_params: InitParams = ...,
        weight_concentration_prior_type: WeightPriorType = ...,
        weight_concentration_prior: float | npt.ArrayLike | None = ...,
        prior: Any = ...,
        random_state: RandomState | None = ...,
        warm_start: bool = ...,
        verbose: int = ...,
        verbose_interval: int = ...,
        n_threads: int | None = ...,
        sort_sticks: bool = ...,
        batch_size: int | None = ...,
        delay: float = ...,
        forgetting: float = ...,
        optimize_concentration: bool = ...,
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
        weight_concentration_prior_type: WeightPriorType = ...,
        weight_concentration_prior: float | npt.ArrayLike | None = ...,
        prior: Any = ...,
        random_state: RandomState | None = ...,
        warm_start: bool = ...,
        verbose: int = ...,
        verbose_interval: int = ...,
        n_threads: int | None = ...,
        sort_sticks: bool = ...,
        batch_size: int | None = ...,
        delay: float = ...,
        forgetting: float = ...,
        optimize_concentration: bool = ...,
    ) -> None: ...

    def __init__(
        self,
        family: Family[P, Any] | FamilyName = "gaussian",
        n_components: int = 1,
        *,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        weight_concentration_prior_type: WeightPriorType = "dirichlet_process",
        weight_concentration_prior: float | npt.ArrayLike | None = None,
        prior: Any = None,
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
        self.family = family
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.prior = prior
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

    def _family_class(self) -> type:
        return family_class(self.family)

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Any:
        return family_named(self.family, x, names) if isinstance(self.family, str) else self.family

    def _prior_to_fit(self, family: Any, data: Rows | Pooling) -> MixturePrior[Any]:
        given = "weak" if self.prior is None else self.prior
        model: Mixture[P, Any] = Mixture(family)
        with_weights = resolved(given, model, data, self.n_components)
        assert with_weights is not None
        components = with_weights.components
        if hasattr(family, "check_prior"):
            family.check_prior(components, self.n_components, data.n_features)
        weights = self._weight_prior()
        if self.sort_sticks and not _exchangeable(family, components, self.n_components):
            raise ValueError(
                "prior: expected the same for all components with sort_sticks=True, which exchanges "
                "them, got different ones"
            )
        return MixturePrior(weights, components)

    def _attributes(
        self,
        posterior: MixturePrior[Any],
        prior: MixturePrior[Any],
        family: Any,
        dtype: Any,
        n_copies: int,
    ) -> dict[str, Any]:
        model: Mixture[P, Any] = Mixture(family)
        return {
            "components_": model.mean(posterior).components,
            "weight_concentration_prior_": concentration_prior(prior.weights),
        }

    def _takes_missing(self) -> bool:
        return takes_missing(self._family_class(), self.family)

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_variational(self.family)
        if isinstance(self.prior, MixturePrior | str):
            raise TypeError(f"prior: expected None or the family's prior, got {self.prior!r}")

    def _heading(self) -> str:
        name = type(self.family_).__name__
        return f"Bayesian {name} mixture: K = {len(self.weights_)}, D = {self.n_features_in_}"


def check_variational(family: Any) -> None:
    """Raise ``TypeError`` for what is no family with posteriors, nor the name of one."""
    cls = family_class(family)
    for method in ("expected", "divergence", "blend", "predictive_log_density"):
        if isinstance(family, type) or not hasattr(cls, method):
            raise TypeError(
                f"family: expected a name or an object with a method {method!r}, got {family!r}"
            )


def _exchangeable(family: Any, prior: Any, n_components: int) -> bool:
    first = [
        list(arrays_of(selected(family, prior, np.array([k]), n_components)))
        for k in range(n_components)
    ]
    return all(
        np.array_equal(a, b)
        for other in first[1:]
        for (_, a), (_, b) in zip(first[0], other, strict=True)
    )


def takes_missing(cls: type, family: Any) -> bool:
    """Whether what is missing can be left out, so that the posterior stays conjugate."""
    if issubclass(cls, IndependentColumns):
        return all(takes_missing(type(part.family), part.family) for part in family.parts)
    if issubclass(cls, MixtureFamily):
        return takes_missing(type(family.family), family.family)
    return hasattr(cls, "impute") and not issubclass(cls, Multinomial | Gaussian | GaussianMeans)
