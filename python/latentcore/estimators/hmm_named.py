"""Hidden Markov models with emissions of the library's families, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from latentcore.estimators.checks import real
from latentcore.estimators.given import (
    categorical,
    check_n_categories,
    check_sums,
    code_probabilities,
    matrix,
)
from latentcore.estimators.hmm_answers import Algorithm
from latentcore.estimators.hmm_base import HMMEstimator
from latentcore.estimators.hmm_prior import HMMPriorArgument
from latentcore.estimators.mixture_base import Assignment, RandomState
from latentcore.estimators.online import OnlineArgument
from latentcore.estimators.starts import InitParams
from latentcore.families.bernoulli import Bernoulli, BernoulliParams, BetaPrior
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.multinomial import Multinomial, MultinomialParams, MultinomialPrior
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.protocols import Array, RealArray
from latentcore.structures.topology import Topology

__all__ = ["BernoulliHMM", "CategoricalHMM", "MultinomialHMM", "PoissonHMM"]


class PoissonHMM(HMMEstimator[PoissonParams, GammaPrior]):
    """A hidden Markov model of counts: D independent Poissons in each state; rows dense or SciPy sparse.

    Counts are whole numbers >= 0; others are refused. NaN is a missing one.

    Parameters
    ----------
    n_components : int
        S, the number of states.
    params_init : PoissonParams or {"rates": (S, D)}, optional
        Emissions to begin with.
    prior : None, "weak", HMMPrior or GammaPrior
        None is maximum likelihood, else the mode of the posterior.
    others : as of ``GaussianHMM``

    Attributes
    ----------
    startprob_, transmat_ : (S,), (S, S)
    rates_ : (S, D)
        The states' means.
    components_ : PoissonParams
        The same, as the family has them.
    family_, converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianHMM``.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import PoissonHMM
    >>> counts = np.array([[0], [1], [0], [20], [22], [21]])
    >>> np.sort(PoissonHMM(2, random_state=0).fit(counts).rates_[:, 0]).round(2)
    array([ 0.33, 21.  ])
    """

    _family_type = Poisson
    _params_class = PoissonParams
    _positive_only = True

    @property
    def rates_(self) -> Array:
        """(S, D)"""
        return self._params().emissions.rates

    @classmethod
    def from_params(
        cls,
        startprob: npt.ArrayLike,
        transmat: npt.ArrayLike,
        rates: npt.ArrayLike,
        *,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with start law (S,), transition matrix (S, S) and rates (S, D) >= 0, ready to use."""
        params = PoissonParams(matrix(rates, "rates", low=0.0))
        return cls._made(Poisson(), startprob, transmat, params, random_state=random_state)


class BernoulliHMM(HMMEstimator[BernoulliParams, BetaPrior]):
    """A hidden Markov model of D zeros and ones, independent in each state; rows dense or SciPy sparse.

    NaN is a missing entry.

    Parameters
    ----------
    n_components : int
        S, the number of states.
    params_init : BernoulliParams or {"probabilities": (S, D)}, optional
        Emissions to begin with.
    prior : None, "weak", HMMPrior or BetaPrior
        None is maximum likelihood, else the mode of the posterior.
    others : as of ``GaussianHMM``

    Attributes
    ----------
    startprob_, transmat_ : (S,), (S, S)
    probabilities_ : (S, D)
        Of a one.
    components_ : BernoulliParams
        The same, as the family has them.
    family_, converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianHMM``.
    """

    _family_type = Bernoulli
    _params_class = BernoulliParams
    _positive_only = True

    @property
    def probabilities_(self) -> Array:
        """(S, D)"""
        return self._params().emissions.probabilities

    @classmethod
    def from_params(
        cls,
        startprob: npt.ArrayLike,
        transmat: npt.ArrayLike,
        probabilities: npt.ArrayLike,
        *,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with start law (S,), transition matrix (S, S) and probabilities (S, D), ready to use."""
        params = BernoulliParams(matrix(probabilities, "probabilities", low=0.0, high=1.0))
        return cls._made(Bernoulli(), startprob, transmat, params, random_state=random_state)


class MultinomialHMM(HMMEstimator[MultinomialParams, MultinomialPrior]):
    """A hidden Markov model of rows of counts of D outcomes, such as words, dense or SciPy sparse.

    Densities are those of a row given its total, which may vary. A row of NaN is missing, a single entry cannot be.

    Parameters
    ----------
    n_components : int
        S, the number of states.
    params_init : MultinomialParams, optional
        Emissions to begin with.
    prior : None, "weak", HMMPrior or MultinomialPrior
        None is maximum likelihood, else the mode of the posterior.
    others : as of ``GaussianHMM``

    Attributes
    ----------
    startprob_, transmat_ : (S,), (S, S)
    probabilities_ : (S, D)
        Of the outcomes; rows sum to one.
    components_ : MultinomialParams
        The same, as the family has them.
    family_, converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianHMM``.
    """

    _family_type = Multinomial
    _params_class = MultinomialParams
    _positive_only = True

    @property
    def probabilities_(self) -> Array:
        """(S, D)"""
        return self._params().emissions.probabilities

    @classmethod
    def from_params(
        cls,
        startprob: npt.ArrayLike,
        transmat: npt.ArrayLike,
        probabilities: npt.ArrayLike,
        *,
        mean_total: float = 1.0,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with given parameters, ready to predict, sample and score.

        Parameters
        ----------
        startprob : (S,)
        transmat : (S, S)
        probabilities : (S, D), rows summing to one
        mean_total : float
            Of rows that ``sample`` draws.
        """
        p = matrix(probabilities, "probabilities", low=0.0, high=1.0)
        check_sums(p, [0], "probabilities")
        params = MultinomialParams(p, real("mean_total", mean_total))
        return cls._made(Multinomial(), startprob, transmat, params, random_state=random_state)


class CategoricalHMM(HMMEstimator[CategoricalParams, DirichletPrior]):
    """A hidden Markov model of codes: D independent categorical columns in each state.

    Entries are codes 0 to ``n_categories - 1``, not strings. NaN is a missing one.

    Parameters
    ----------
    n_components : int
        S, the number of states.
    n_categories : int or sequence of int, optional
        The number of codes, of all columns or of each. None finds it in the data: the largest code
        plus one.
    params_init : CategoricalParams or {"probabilities": (S, sum of n_categories)}, optional
        Emissions to begin with.
    prior : None, "weak", HMMPrior or DirichletPrior
        None is maximum likelihood, else the mode of the posterior.
    others : as of ``GaussianHMM``

    Attributes
    ----------
    startprob_, transmat_ : (S,), (S, S)
    emissionprob_ : (S, sum of n_categories)
        Of the codes, one column's after the other; those of a column sum to one.
    n_categories_ : tuple of int
        Of each column.
    components_ : CategoricalParams
        The probabilities, as the family has them.
    family_, converged_, n_iter_, lower_bound_, lower_bounds_, n_degenerate_, n_features_in_ :
        As of ``GaussianHMM``.
    """

    _family_type = Categorical
    _params_class = CategoricalParams
    _positive_only = True

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_categories: int | Sequence[int] | None = None,
        tol: float = 1e-5,
        max_iter: int = 200,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        startprob_init: npt.ArrayLike | None = None,
        transmat_init: npt.ArrayLike | None = None,
        params_init: CategoricalParams | Mapping[str, npt.ArrayLike] | None = None,
        topology: Topology | None = None,
        prior: HMMPriorArgument[DirichletPrior] = None,
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
        self.n_categories = n_categories

    @property
    def emissionprob_(self) -> Array:
        """(S, sum of n_categories)"""
        return self._params().emissions.probabilities

    @property
    def n_categories_(self) -> tuple[int, ...]:
        """Of each column."""
        levels: tuple[int, ...] = self._family().levels
        return levels

    @classmethod
    def from_params(
        cls,
        startprob: npt.ArrayLike,
        transmat: npt.ArrayLike,
        emissionprob: npt.ArrayLike,
        *,
        n_categories: Sequence[int] | None = None,
        random_state: RandomState | None = None,
    ) -> Self:
        """A model with given parameters, ready to predict, sample and score.

        Parameters
        ----------
        startprob : (S,)
        transmat : (S, S)
        emissionprob : (S, sum of n_categories)
            Those of each column sum to one.
        n_categories : sequence of int, optional
            Of each column; None is a single column.
        """
        levels = [np.shape(emissionprob)[-1]] if n_categories is None else n_categories
        family = Categorical(tuple(int(n) for n in levels))
        p = code_probabilities(emissionprob, family, "emissionprob")
        return cls._made(
            family, startprob, transmat, CategoricalParams(p), random_state=random_state,
            n_categories=family.levels,
        )  # fmt: skip

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Categorical:
        return categorical(self.n_categories, x, names)

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_n_categories(self.n_categories)
