"""What mixtures with parameters say: components of rows, densities, criteria, draws."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore import diagnostics
from latentcore.arrays import CSR, as_parameter
from latentcore.estimators.blocks import Evaluation
from latentcore.estimators.bootstrap import Generator
from latentcore.estimators.checks import random_generator
from latentcore.estimators.draws import checked_number, drawn
from latentcore.estimators.mixture_common import AnyMixture
from latentcore.families.multinomial import Multinomial
from latentcore.protocols import Array, RealArray
from latentcore.structures.mixture import Mixture as Model
from latentcore.structures.mixture import MixtureParams

__all__ = ["MixtureAnswers"]

P = TypeVar("P")


class MixtureAnswers(AnyMixture, Generic[P]):
    """What a mixture says. A subclass tells its family and its parameters."""

    equal_weights: bool

    # -- what a subclass tells --------------------------------------------------------------------

    def _params(self) -> MixtureParams[P]:
        """The parameters that the public attributes hold now; raises ``NotFittedError``."""
        raise NotImplementedError

    # -- predictions ------------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> RealArray:
        """Posterior probabilities of the components, (N, K), of the dtype of the data."""
        evaluation = self._evaluation()
        return evaluation.responsibilities(self._seen(X))

    def score_samples(self, X: Any) -> RealArray:
        """Log-density of each row, (N,), nats, of the dtype of the data.

        Of a row with missing entries: the density of what was observed.
        """
        evaluation = self._evaluation()
        return evaluation.log_density(self._seen(X))

    def uncertainty(self, X: Any) -> Array:
        """``1 - max_k r_nk`` of each row, (N,): the probability that ``predict`` errs there."""
        evaluation = self._evaluation()
        return evaluation.uncertainty(self._seen(X))

    def entropy(self, X: Any) -> Array:
        """``-sum_k r_nk log r_nk`` of each row, (N,), nats: 0 where one component has it all."""
        evaluation = self._evaluation()
        return evaluation.entropy(self._seen(X))

    def impute(self, X: Any) -> RealArray:
        """A copy of ``X`` (N, D) with conditional means, given the row's other entries, where NaN was.

        Raises
        ------
        TypeError
            The family cannot impute.
        """
        evaluation = self._evaluation()
        self._capable("impute")
        x = self._seen(X)
        if isinstance(x, CSR):
            raise TypeError("X: expected a dense array, got a sparse one, which misses nothing")
        return evaluation.imputed(x)

    def elbo(self, X: Any, responsibilities: Any, *, sample_weight: Any = None) -> diagnostics.ELBO:
        """The evidence lower bound of any responsibilities (N, K), and its gap to the log-likelihood.

        See ``latentcore.diagnostics.elbo``.
        """
        evaluation = self._evaluation()
        data = self._seen_rows(X, sample_weight)
        r = as_parameter(responsibilities, "responsibilities")
        return diagnostics.elbo(evaluation.log_joint(data.x), r, data.sample_weight)

    # -- criteria ---------------------------------------------------------------------------------

    def score(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> float:
        """Mean log-likelihood of a row, nats; the weighted mean with ``sample_weight``."""
        evaluation, data = self._assessed(X, sample_weight)
        return evaluation.log_likelihood(data) / data.total_weight()

    def loglik(self, X: Any, *, sample_weight: Any = None) -> float:
        """Log-likelihood of all rows, nats; each counts ``sample_weight`` times."""
        evaluation, data = self._assessed(X, sample_weight)
        return evaluation.log_likelihood(data)

    def aic(self, X: Any, *, sample_weight: Any = None) -> float:
        """Akaike's information criterion; the lower the better."""
        evaluation, data = self._assessed(X, sample_weight)
        n_parameters = self._count(evaluation.params)
        return diagnostics.aic(evaluation.log_likelihood(data), n_parameters)

    def bic(self, X: Any, *, sample_weight: Any = None) -> float:
        """Bayesian information criterion; the lower the better."""
        evaluation, data = self._assessed(X, sample_weight)
        n_parameters = self._count(evaluation.params)
        return diagnostics.bic(evaluation.log_likelihood(data), n_parameters, data.total_weight())

    def icl(self, X: Any, *, sample_weight: Any = None) -> float:
        """Integrated completed likelihood: BIC plus twice the entropy of ``predict_proba(X)``."""
        evaluation, data = self._assessed(X, sample_weight)
        n_parameters = self._count(evaluation.params)
        log_likelihood, entropy = evaluation.log_likelihood_and_entropy(data)
        return diagnostics.icl(log_likelihood, n_parameters, data.total_weight(), entropy)

    # -- the model itself -------------------------------------------------------------------------

    def sample(self, n_samples: int = 1) -> tuple[Array, npt.NDArray[np.int64]]:
        """Draw rows (n, D) and their components (n,), ordered by component.

        With an integer ``random_state`` every call draws the same, as in scikit-learn; a generator
        goes on.
        """
        params = self._params()
        n = checked_number(n_samples)
        return self._sampled(params, n, random_generator(self.random_state))

    def _sampled(
        self, params: MixtureParams[P], n: int, rng: Generator
    ) -> tuple[Array, npt.NDArray[np.int64]]:
        return drawn(self._capable("sample"), params, n, rng)

    # -- inside -----------------------------------------------------------------------------------

    def _evaluation(self, params: MixtureParams[P] | None = None) -> Evaluation:
        params = self._params() if params is None else params
        return Evaluation(Model(self._family()), params, self._work_per_row, self.n_threads)

    def _n_parameters(self) -> int:
        return self._count(self._params())

    def _count(self, params: MixtureParams[P]) -> int:
        """Free parameters: weights and components."""
        n_weights = 0 if self.equal_weights else len(params.weights) - 1
        return n_weights + int(self._capable("n_parameters").n_parameters(params.components))

    def _capable(self, method: str) -> Any:
        """The family, which has to have this method."""
        family = self._family()
        if not hasattr(family, method):
            raise TypeError(f"family: expected one with a method {method!r}, got {family!r}")
        return family

    def _takes_missing(self) -> bool:
        family = self._family_class()
        return hasattr(family, "impute") and not issubclass(family, Multinomial)
