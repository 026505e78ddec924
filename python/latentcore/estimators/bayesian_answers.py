"""What Bayesian mixtures say of rows, given a posterior."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.estimators.bayesian_stream import Course
from latentcore.estimators.bayesian_terms import BoundTerms
from latentcore.estimators.blocks import Evaluation
from latentcore.estimators.checks import random_generator
from latentcore.estimators.draws import checked_number, drawn
from latentcore.estimators.mixture_common import AnyMixture
from latentcore.estimators.online import Stream
from latentcore.estimators.summary import Training, bound_table, course, stream_course
from latentcore.protocols import Array, RealArray
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior

__all__ = ["PosteriorAnswers"]

P = TypeVar("P")
H = TypeVar("H")


class PosteriorAnswers(AnyMixture, Generic[P, H]):
    """What a Bayesian mixture says. A subclass tells its family, and learns the posterior."""

    posterior_: MixturePrior[H]
    family_: Any
    converged_: bool
    n_iter_: int
    elbo_terms_: BoundTerms
    n_samples_seen_: int
    _course: Course

    def _heading(self) -> str:
        raise NotImplementedError

    # -- predictions ------------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> RealArray:
        """q(component of each row), (N, K): the best given the posterior of weights and components."""
        evaluation = self._evaluation()
        return evaluation.responsibilities(self._seen(X))

    def score_samples(self, X: Any) -> RealArray:
        """``log sum_k exp E_q log(weight_k f_k(x))`` of each row, (N,), nats, as in scikit-learn.

        What the row adds to the bound; not a density, and less than ``predictive_logpdf``.
        """
        evaluation = self._evaluation()
        return evaluation.log_density(self._seen(X))

    def predictive_logpdf(self, X: Any) -> RealArray:
        """Log-density of each row under the posterior predictive distribution, (N,), nats.

        ``log sum_k E weight_k E_q f_k(x)``: parameters are averaged over, not plugged in.
        """
        evaluation = self._evaluation()
        x = self._seen(X)
        family, posterior = self.family_, self.posterior_
        log_weights = kernels.log(posterior.weights.mean())

        def log_density(block: RealArray) -> RealArray:
            by_component = family.predictive_log_density(posterior.components, block)
            return kernels.logsumexp(np.asarray(by_component + log_weights, block.dtype, order="C"))

        return evaluation.of_rows(x, log_density)

    def score(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> float:
        """Mean of ``score_samples``; the weighted mean with ``sample_weight``."""
        evaluation, data = self._assessed(X, sample_weight)
        return evaluation.log_likelihood(data) / data.total_weight()

    def sample(self, n_samples: int = 1) -> tuple[Array, npt.NDArray[np.int64]]:
        """Draw rows (n, D) and their components (n,) from the mean parameters, ordered by component.

        With an integer ``random_state`` every call draws the same, as in scikit-learn; a generator
        goes on.
        """
        params = self._plug_in()
        n = checked_number(n_samples)
        return drawn(self.family_, params, n, random_generator(self.random_state))

    def summary(self) -> str:
        """A table of the bound and of the components at their mean parameters; print it."""
        params = self._plug_in()
        state = self.__dict__
        terms = self.elbo_terms_
        n_rows = self._course.weight
        training = Training(int(n_rows), n_rows, 0.0, 0.0)
        figures = [
            ("lower bound", state["lower_bound_"]),
            ("E log joint", terms["expected_log_joint"]),
            ("entropy", terms["entropy"]),
            ("KL weights", terms["divergence_of_weights"]),
            ("KL components", float(np.sum(terms["divergence_of_components"]))),
        ]
        stream = state.get("_stream", Stream())
        went = (
            stream_course(stream, self.n_samples_seen_)
            if stream.n_steps > 0
            else course(training, self.converged_, self.n_iter_)
        )
        lines = [self._heading(), went, ""]
        lines += bound_table(figures)
        lines.append(f"effective components: {state['n_effective_components_']}")
        return "\n".join([*lines, "", *self._components_table(params)])

    # -- inside -----------------------------------------------------------------------------------

    def _plug_in(self) -> MixtureParams[P]:
        """Mean parameters."""
        if "posterior_" not in self.__dict__:
            raise self._not_fitted()
        params: MixtureParams[P] = Mixture(self.family_).mean(self.posterior_)
        return params

    def _evaluation(self) -> Evaluation:
        if "posterior_" not in self.__dict__:
            raise self._not_fitted()
        return self._evaluation_of(Mixture(self.family_), self.posterior_)

    def _evaluation_of(self, model: Mixture[P, Any], posterior: MixturePrior[H]) -> Evaluation:
        return Evaluation(model, model.expected(posterior), self._work_per_row, self.n_threads)

    def _family(self) -> Any:
        return self.family_
