"""What a Bayesian hidden Markov model says of its posterior, and its states in another order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore.estimators.bayesian_hmm_stream import states_of_stream
from latentcore.estimators.bayesian_hmm_terms import HMMBoundTerms, expected_counts
from latentcore.estimators.bayesian_selected import selected
from latentcore.estimators.components import order_by
from latentcore.estimators.hmm_fitting import FittedHMM
from latentcore.estimators.online import Stream
from latentcore.estimators.summary import (
    bound_table,
    chain_table,
    components_table,
    course,
    state_labels,
    stream_course,
)
from latentcore.protocols import Array
from latentcore.structures.hmm import HMM, HMMParams, HMMPrior

__all__ = ["HMMPosteriorAnswers"]

P = TypeVar("P")
H = TypeVar("H")


class HMMPosteriorAnswers(FittedHMM[P], Generic[P, H]):
    """What a Bayesian hidden Markov model says. A subclass tells its family, and learns the posterior."""

    posterior_: HMMPrior[H]
    prior_: HMMPrior[H]
    converged_: bool
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]
    elbo_terms_: HMMBoundTerms
    n_samples_seen_: int
    _stream: Stream

    # -- the posterior ----------------------------------------------------------------------------

    @property
    def startprob_(self) -> Array:
        """(S,): means of their posterior."""
        return self._params().initial

    @property
    def transmat_(self) -> Array:
        """(S, S): means of their posterior."""
        return self._params().transition

    @property
    def components_(self) -> P:
        """The family's parameters in the middle of their posterior."""
        return self._params().emissions

    @property
    def startprob_posterior_(self) -> Array:
        """(S,): alpha of the Dirichlet."""
        return self._posterior().initial

    @property
    def transmat_posterior_(self) -> Array:
        """(S, S): alpha of the Dirichlets of the rows."""
        return self._posterior().transition

    @property
    def startprob_prior_(self) -> Array:
        """(S,): alpha as it was used."""
        self._posterior()
        return self.prior_.initial

    @property
    def transmat_prior_(self) -> Array:
        """(S, S): alpha as it was used, with ``stickiness``."""
        self._posterior()
        return self.prior_.transition

    @property
    def expected_counts_(self) -> Array:
        """(S,): how many rows the states are expected to have, of all that the posterior is of."""
        return expected_counts(self._posterior(), self.prior_)

    @property
    def n_effective_components_(self) -> int:
        """States that are expected to have at least one row."""
        return int((self.expected_counts_ >= 1.0).sum())

    def relabel(self, by: Callable[[Self], npt.ArrayLike] | npt.ArrayLike) -> Self:
        """Put the states into an order, in place; which is first is otherwise chance.

        Parameters
        ----------
        by : callable or (S,) integers
            What the callable makes of the model, (S,) numbers, smallest first; or the states in the order wanted.
            Equals keep their order.

        Raises
        ------
        ValueError
            Not S numbers, or not a permutation of 0 to S - 1.
        """
        posterior = self._posterior()
        order = order_by(by, self, len(posterior.initial), "states")
        terms = self.elbo_terms_
        divergence = terms["divergence_of_emissions"][order]
        self.__dict__ = {
            **self.__dict__,
            "posterior_": self._selected(posterior, order),
            "prior_": self._selected(self.prior_, order),
            "elbo_terms_": {**terms, "divergence_of_emissions": divergence},
            **states_of_stream(self.__dict__, order),
        }
        return self

    def summary(self) -> str:
        """A table of the bound, and of the chain and the states at their mean parameters; print it."""
        params, family, state = self._params(), self._family(), self.__dict__
        n_states = len(params.initial)
        terms = self.elbo_terms_
        name = type(family).__name__
        lines = [f"Bayesian {name} hidden Markov model: S = {n_states}, D = {self.n_features_in_}"]
        stream = state.get("_stream", Stream())
        if stream.n_steps > 0:
            lines.append(stream_course(stream, self.n_samples_seen_))
        elif "_training" in state:
            lines.append(course(state["_training"], self.converged_, self.n_iter_))
        lines += ["", *bound_table(
            [
                ("lower bound", self.lower_bound_),
                ("log normaliser", terms["log_normaliser"]),
                ("KL chain", terms["divergence_of_chain"]),
                ("KL emissions", float(np.sum(terms["divergence_of_emissions"]))),
            ]
        )]  # fmt: skip
        lines.append(f"effective states: {self.n_effective_components_}")
        names = state.get("feature_names_in_")
        table = components_table(
            params.emissions, family, names, self.n_features_in_, state_labels(n_states)
        )
        chain = chain_table(params.initial, params.transition)
        return "\n".join([*lines, "", *chain, "", *table])

    # -- inside -----------------------------------------------------------------------------------

    def _posterior(self) -> HMMPrior[H]:
        if "posterior_" not in self.__dict__:
            raise self._not_fitted()
        return self.posterior_

    def _params(self) -> HMMParams[P]:
        posterior = self._posterior()
        params: HMMParams[P] = HMM(self.family_).mean(posterior)
        return params

    def _n_parameters(self) -> int:
        raise TypeError(
            "expected a model fitted by maximum likelihood, got a posterior: compare lower_bound_, "
            "which is below the log evidence"
        )

    def _selected(self, posterior: HMMPrior[H], keep: npt.NDArray[np.intp]) -> HMMPrior[H]:
        """Of these states alone."""
        n_states = len(posterior.initial)
        return HMMPrior(
            posterior.initial[keep],
            posterior.transition[np.ix_(keep, keep)],
            selected(self.family_, posterior.emissions, keep, n_states),
        )
