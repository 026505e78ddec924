"""Mixtures of the library's families, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from latentcore.estimators.checks import real
from latentcore.estimators.family_mixture import FamilyMixture
from latentcore.estimators.given import (
    categorical,
    check_n_categories,
    check_same_shape,
    check_sums,
    code_probabilities,
    matrix,
    positive,
)
from latentcore.estimators.mixture_base import Assignment, RandomState
from latentcore.estimators.online import OnlineArgument
from latentcore.estimators.priors import Prior
from latentcore.estimators.starts import InitParams
from latentcore.families.bernoulli import Bernoulli, BernoulliParams, BetaPrior
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.exponential import Exponential, ExponentialParams
from latentcore.families.gamma import Gamma, GammaParams
from latentcore.families.multinomial import Multinomial, MultinomialParams, MultinomialPrior
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.families.pseudo_rows import PseudoRows
from latentcore.families.von_mises import VonMises, VonMisesParams
from latentcore.protocols import Array, RealArray

__all__ = [
    "BernoulliMixture",
    "CategoricalMixture",
    "ExponentialMixture",
    "GammaMixture",
    "MultinomialMixture",
    "PoissonMixture",
    "VonMisesMixture",
]


class PoissonMixture(FamilyMixture[PoissonParams, GammaPrior]):
    """A mixture of independent Poissons: rows of D counts, dense or SciPy sparse.

    Counts are whole numbers >= 0; others are refused. NaN is a missing one.

    Parameters
    ----------
    n_components : int
        K, the number of components.
    params_init : PoissonParams or {"rates": (K, D)}, optional
        Parameters to begin with.
    prior : None, "weak", MixturePrior or GammaPrior
        None is maximum likelihood, else the mode of the posterior. "weak" is worth a row.
    others : as of ``GaussianMixture``

    Attributes
    ----------
    weights_ : (K,)
    rates_ : (K, D)
        The components' means.
    components_ : PoissonParams
        The same, as the family has them.
    converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianMixture``.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import PoissonMixture
    >>> counts = np.array([[0], [1], [0], [20], [22], [21]])
    >>> np.sort(PoissonMixture(2, random_state=0).fit(counts).rates_[:, 0]).round(2)
    array([ 0.33, 21.  ])
    """

    _params_class = PoissonParams
    _positive_only = True

    @property
    def rates_(self) -> Array:
        """(K, D)"""
        return self._params().components.rates

    @classmethod
    def from_params(
        cls,
        weights: npt.ArrayLike,
        rates: npt.ArrayLike,
        *,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with weights (K,) and rates (K, D) >= 0, ready to predict, sample and score."""
        rates = matrix(rates, "rates", low=0.0)
        return cls._made(Poisson(), weights, PoissonParams(rates), random_state=random_state)

    def _family_class(self) -> type:
        return Poisson

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Poisson:
        return Poisson()


class BernoulliMixture(FamilyMixture[BernoulliParams, BetaPrior]):
    """A mixture of independent Bernoullis: rows of D zeros and ones, dense or SciPy sparse.

    NaN is a missing entry.

    Parameters
    ----------
    n_components : int
        K, the number of components.
    params_init : BernoulliParams or {"probabilities": (K, D)}, optional
        Parameters to begin with.
    prior : None, "weak", MixturePrior or BetaPrior
        None is maximum likelihood, else the mode of the posterior. "weak" is worth a row.
    others : as of ``GaussianMixture``

    Attributes
    ----------
    weights_ : (K,)
    probabilities_ : (K, D)
        Of a one.
    components_ : BernoulliParams
        The same, as the family has them.
    converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianMixture``.
    """

    _params_class = BernoulliParams
    _positive_only = True

    @property
    def probabilities_(self) -> Array:
        """(K, D)"""
        return self._params().components.probabilities

    @classmethod
    def from_params(
        cls,
        weights: npt.ArrayLike,
        probabilities: npt.ArrayLike,
        *,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with weights (K,) and probabilities (K, D), ready to predict, sample and score."""
        p = matrix(probabilities, "probabilities", low=0.0, high=1.0)
        return cls._made(Bernoulli(), weights, BernoulliParams(p), random_state=random_state)

    def _family_class(self) -> type:
        return Bernoulli

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Bernoulli:
        return Bernoulli()


class ExponentialMixture(FamilyMixture[ExponentialParams, GammaPrior]):
    """A mixture of independent exponentials: rows of D durations >= 0.

    NaN is a missing one.

    Parameters
    ----------
    n_components : int
        K, the number of components.
    params_init : ExponentialParams or {"rates": (K, D)}, optional
        Parameters to begin with.
    prior : None, "weak", MixturePrior or GammaPrior
        None is maximum likelihood, else the mode of the posterior. "weak" is worth a row.
    others : as of ``GaussianMixture``

    Attributes
    ----------
    weights_ : (K,)
    rates_ : (K, D)
        Reciprocals of the components' means.
    components_ : ExponentialParams
        The same, as the family has them.
    converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianMixture``.
    """

    _params_class = ExponentialParams
    _positive_only = True

    @property
    def rates_(self) -> Array:
        """(K, D)"""
        return self._params().components.rates

    @classmethod
    def from_params(
        cls,
        weights: npt.ArrayLike,
        rates: npt.ArrayLike,
        *,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with weights (K,) and rates (K, D) > 0, ready to predict, sample and score."""
        rates = positive(rates, "rates")
        return cls._made(
            Exponential(), weights, ExponentialParams(rates), random_state=random_state
        )

    def _family_class(self) -> type:
        return Exponential

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Exponential:
        return Exponential()


class MultinomialMixture(FamilyMixture[MultinomialParams, MultinomialPrior]):
    """A mixture of multinomials: rows of counts of D outcomes, such as words, dense or SciPy sparse.

    Densities are those of a row given its total, which may vary. No entry may be missing.

    Parameters
    ----------
    n_components : int
        K, the number of components.
    params_init : MultinomialParams, optional
        Parameters to begin with.
    prior : None, "weak", MixturePrior or MultinomialPrior
        None is maximum likelihood, else the mode of the posterior. "weak" is worth a row.
    others : as of ``GaussianMixture``

    Attributes
    ----------
    weights_ : (K,)
    probabilities_ : (K, D)
        Of the outcomes; rows sum to one.
    components_ : MultinomialParams
        The same, as the family has them.
    converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianMixture``.
    """

    _params_class = MultinomialParams
    _positive_only = True

    @property
    def probabilities_(self) -> Array:
        """(K, D)"""
        return self._params().components.probabilities

    @classmethod
    def from_params(
        cls,
        weights: npt.ArrayLike,
        probabilities: npt.ArrayLike,
        *,
        mean_total: float = 1.0,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with given parameters, ready to predict, sample and score.

        Parameters
        ----------
        weights : (K,)
        probabilities : (K, D), rows summing to one
        mean_total : float
            Of rows that ``sample`` draws.
        """
        p = matrix(probabilities, "probabilities", low=0.0, high=1.0)
        check_sums(p, [0], "probabilities")
        params = MultinomialParams(p, real("mean_total", mean_total))
        return cls._made(Multinomial(), weights, params, random_state=random_state)

    def _family_class(self) -> type:
        return Multinomial

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Multinomial:
        return Multinomial()


class CategoricalMixture(FamilyMixture[CategoricalParams, DirichletPrior]):
    """A mixture of independent categorical columns: latent class analysis.

    Entries are codes 0 to ``n_categories - 1``, not strings: ``pandas.Series.cat.codes`` or scikit-learn's
    ``OrdinalEncoder`` make them. NaN is a missing one.

    Parameters
    ----------
    n_components : int
        K, the number of components.
    n_categories : int or sequence of int, optional
        The number of codes, of all columns or of each. None finds it in the data: the largest code
        plus one.
    params_init : CategoricalParams or {"probabilities": (K, sum of n_categories)}, optional
        Parameters to begin with.
    prior : None, "weak", MixturePrior or DirichletPrior
        None is maximum likelihood, else the mode of the posterior. "weak" is worth a row.
    others : as of ``GaussianMixture``

    Attributes
    ----------
    weights_ : (K,)
    probabilities_ : (K, sum of n_categories)
        Of the codes, one column's after the other; those of a column sum to one.
    n_categories_ : tuple of int
        Of each column.
    components_ : CategoricalParams
        The probabilities, as the family has them.
    converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianMixture``.
    """

    _params_class = CategoricalParams
    _positive_only = True

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_categories: int | Sequence[int] | None = None,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        weights_init: npt.ArrayLike | None = None,
        params_init: CategoricalParams | Mapping[str, npt.ArrayLike] | None = None,
        random_state: RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        prior: Prior[DirichletPrior] = None,
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
        self.n_categories = n_categories

    @property
    def probabilities_(self) -> Array:
        """(K, sum of n_categories)"""
        return self._params().components.probabilities

    @property
    def n_categories_(self) -> tuple[int, ...]:
        """Of each column."""
        levels: tuple[int, ...] = self._family().levels
        return levels

    @classmethod
    def from_params(
        cls,
        weights: npt.ArrayLike,
        probabilities: npt.ArrayLike,
        *,
        n_categories: Sequence[int],
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with given parameters, ready to predict, sample and score.

        Parameters
        ----------
        weights : (K,)
        probabilities : (K, sum of n_categories)
            Those of each column sum to one.
        n_categories : sequence of int
            Of each column.
        """
        family = Categorical(tuple(n_categories))
        p = code_probabilities(probabilities, family, "probabilities")
        return cls._made(
            family, weights, CategoricalParams(p), random_state=random_state,
            n_categories=family.levels,
        )  # fmt: skip

    def _family_class(self) -> type:
        return Categorical

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Categorical:
        return categorical(self.n_categories, x, names)

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_n_categories(self.n_categories)


class GammaMixture(FamilyMixture[GammaParams, PseudoRows]):
    """A mixture of independent gammas: rows of D numbers > 0.

    NaN is a missing one.

    Parameters
    ----------
    n_components : int
        K, the number of components.
    params_init : GammaParams or {"shapes": (K, D), "rates": (K, D)}, optional
        Parameters to begin with.
    prior : None, "weak", MixturePrior or PseudoRows
        None is maximum likelihood, else the mode of the posterior. "weak" is worth a row.
    others : as of ``GaussianMixture``

    Attributes
    ----------
    weights_ : (K,)
    shapes_, rates_ : (K, D)
        Means are shapes / rates. A shape of 1e8 is a component that has collapsed onto one value.
    components_ : GammaParams
        The same, as the family has them.
    converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianMixture``.
    """

    _params_class = GammaParams
    _positive_only = True

    @property
    def shapes_(self) -> Array:
        """(K, D)"""
        return self._params().components.shapes

    @property
    def rates_(self) -> Array:
        """(K, D)"""
        return self._params().components.rates

    @classmethod
    def from_params(
        cls,
        weights: npt.ArrayLike,
        shapes: npt.ArrayLike,
        rates: npt.ArrayLike,
        *,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with weights (K,), shapes and rates (K, D) > 0, ready to predict and sample."""
        shapes, rates = positive(shapes, "shapes"), positive(rates, "rates")
        check_same_shape(rates, "rates", shapes, "shapes")
        params = GammaParams(shapes, rates)
        return cls._made(Gamma(), weights, params, random_state=random_state)

    def _family_class(self) -> type:
        return Gamma

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Gamma:
        return Gamma()


class VonMisesMixture(FamilyMixture[VonMisesParams, PseudoRows]):
    """A mixture of independent von Mises distributions: rows of D angles in radians.

    NaN is a missing one.

    Parameters
    ----------
    n_components : int
        K, the number of components.
    params_init : VonMisesParams or {"means": (K, D), "concentrations": (K, D)}, optional
        Parameters to begin with.
    prior : None, "weak", MixturePrior or PseudoRows
        None is maximum likelihood, else the mode of the posterior. "weak" is worth a row.
    others : as of ``GaussianMixture``

    Attributes
    ----------
    weights_ : (K,)
    means_ : (K, D)
        Mean directions, radians.
    concentrations_ : (K, D)
        0 is the uniform distribution, 1e8 a component that has collapsed onto one direction.
    components_ : VonMisesParams
        The same, as the family has them.
    converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianMixture``.
    """

    _params_class = VonMisesParams

    @property
    def means_(self) -> Array:
        """(K, D)"""
        return self._params().components.means

    @property
    def concentrations_(self) -> Array:
        """(K, D)"""
        return self._params().components.concentrations

    @classmethod
    def from_params(
        cls,
        weights: npt.ArrayLike,
        means: npt.ArrayLike,
        concentrations: npt.ArrayLike,
        *,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with weights (K,), means and concentrations >= 0 (K, D), ready to predict and sample."""
        means = matrix(means, "means", low=-np.inf)
        concentrations = matrix(concentrations, "concentrations", low=0.0)
        check_same_shape(concentrations, "concentrations", means, "means")
        params = VonMisesParams(means, concentrations)
        return cls._made(VonMises(), weights, params, random_state=random_state)

    def _family_class(self) -> type:
        return VonMises

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> VonMises:
        return VonMises()
