"""A mixture of any family: one of the library's, or a user's own."""

from __future__ import annotations

from typing import Any, Generic, Literal, Self, TypeVar, overload

import numpy.typing as npt

from latentcore.estimators.family_mixture import FamilyMixture
from latentcore.estimators.mixture_base import Assignment, RandomState
from latentcore.estimators.online import OnlineArgument
from latentcore.estimators.starts import InitParams
from latentcore.families.bernoulli import Bernoulli
from latentcore.families.categorical import Categorical
from latentcore.families.exponential import Exponential
from latentcore.families.gamma import Gamma
from latentcore.families.gaussian import Gaussian
from latentcore.families.multinomial import Multinomial
from latentcore.families.poisson import Poisson
from latentcore.families.von_mises import VonMises
from latentcore.protocols import Family, RealArray

__all__ = ["FamilyName", "Mixture", "check_family", "family_class", "family_named"]

P = TypeVar("P")

FamilyName = Literal[
    "bernoulli",
    "categorical",
    "exponential",
    "gamma",
    "gaussian",
    "multinomial",
    "poisson",
    "von_mises",
]

_CLASSES: dict[str, type] = {
    "bernoulli": Bernoulli,
    "categorical": Categorical,
    "exponential": Exponential,
    "gamma": Gamma,
    "gaussian": Gaussian,
    "multinomial": Multinomial,
    "poisson": Poisson,
    "von_mises": VonMises,
}


def family_class(family: Any) -> type:
    """The class of a family, or of the one of that name.

    Raises
    ------
    ValueError
        There is none of that name.
    """
    if not isinstance(family, str):
        return type(family)
    if family not in _CLASSES:
        raise ValueError(
            f"family: expected one of {', '.join(map(repr, _CLASSES))}, got {family!r}"
        )
    return _CLASSES[family]


def family_named(name: FamilyName, x: RealArray, names: list[str] | None = None) -> Any:
    """The family of this name, as it fits the rows ``x``, whose columns have these names."""
    if name == "categorical":
        return Categorical.of_rows(x, names)
    if name == "gaussian":
        return Gaussian("full", reg_covar=1e-6)
    return _CLASSES[name]()


def check_family(family: Any) -> None:
    """Raise ``ValueError`` or ``TypeError`` for what is neither the name of a family nor one."""
    if isinstance(family, str):
        family_class(family)
        return
    for method in ("log_likelihood", "expected_statistics", "maximize"):
        if isinstance(family, type) or not hasattr(family, method):
            raise TypeError(
                f"family: expected a name or an object with a method {method!r}, got {family!r}"
            )


class Mixture(FamilyMixture[P, Any], Generic[P]):
    r"""A mixture of any family, fitted by expectation maximisation.

    Parameters
    ----------
    family : Family, or "bernoulli", "categorical", "exponential", "gamma", "gaussian", "multinomial", \
"poisson", "von_mises"
        The distribution of a row in a component: any object with the methods of
        ``latentcore.protocols.Family``, such as ``IndependentColumns`` for tables of several kinds
        of columns. What more it can do it is asked for: ``mode`` and its kin for ``prior``,
        ``sample``, ``n_parameters`` for the criteria, ``impute`` for missing entries. "gaussian" is
        ``Gaussian("full", reg_covar=1e-6)``.
    n_components : int
        K, the number of components.
    params_init : optional
        The family's parameters to begin with.
    others : as of ``GaussianMixture``

    Attributes
    ----------
    weights_ : (K,)
    components_ : the family's parameters
    family_ : Family
        As it was fitted.
    converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianMixture``.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import Mixture
    >>> counts = np.array([[0], [1], [0], [20], [22], [21]])
    >>> Mixture("poisson", 2, random_state=0).fit(counts).predict(counts)[:3].tolist()
    [0, 0, 0]
    """

    @overload
    def __init__(
        self: Mixture[Any],
        family: FamilyName = ...,
        n_components: int = ...,
        *,
        tol: float = ...,
        max_iter: int = ...,
        n_init: int = ...,
        init_params: InitParams = ...,
        weights_init: npt.ArrayLike | None = ...,
        params_init: Any = ...,
        random_state: RandomState | None = ...,
        warm_start: bool = ...,
        verbose: int = ...,
        verbose_interval: int = ...,
        n_threads: int | None = ...,
        prior: Any = ...,
        assignment: Assignment = ...,
        equal_weights: bool = ...,
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
        weights_init: npt.ArrayLike | None = ...,
        params_init: P | None = ...,
        random_state: RandomState | None = ...,
        warm_start: bool = ...,
        verbose: int = ...,
        verbose_interval: int = ...,
        n_threads: int | None = ...,
        prior: Any = ...,
        assignment: Assignment = ...,
        equal_weights: bool = ...,
        online: OnlineArgument = ...,
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
        weights_init: npt.ArrayLike | None = None,
        params_init: P | None = None,
        random_state: RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        prior: Any = None,
        assignment: Assignment = "soft",
        equal_weights: bool = False,
        online: OnlineArgument = None,
    ) -> None:
        super().__init__(
            n_components, tol=tol, max_iter=max_iter, n_init=n_init, init_params=init_params,
            weights_init=weights_init, params_init=params_init, random_state=random_state,
            warm_start=warm_start, verbose=verbose, verbose_interval=verbose_interval,
            n_threads=n_threads, prior=prior, assignment=assignment, equal_weights=equal_weights,
            online=online,
        )  # fmt: skip
        self.family = family

    @classmethod
    def from_params(
        cls,
        family: Family[P, Any],
        weights: npt.ArrayLike,
        components: P,
        *,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with given parameters, ready to predict, sample and score.

        Parameters
        ----------
        weights : (K,), >= 0, summing to one
        components : the family's parameters
        """
        return cls._made(family, weights, components, random_state=random_state, family=family)

    def _family_class(self) -> type:
        return family_class(self.family)

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Any:
        return family_named(self.family, x, names) if isinstance(self.family, str) else self.family

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_family(self.family)
