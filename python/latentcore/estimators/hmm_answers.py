"""What all hidden Markov models with parameters say: states, laws, likelihoods, forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from latentcore import diagnostics
from latentcore.arrays import CSR
from latentcore.estimators.base import UNCHANGED, Alias, Estimator
from latentcore.estimators.blocks import work_per_row
from latentcore.estimators.checks import integer, one_of, random_generator
from latentcore.estimators.hmm_evaluation import HMMEvaluation, States, work_of_chain
from latentcore.estimators.hmm_forecast import Forecast, checked_levels, forecast_of
from latentcore.estimators.mixture_common import SPARSE_FAMILIES, RandomState
from latentcore.estimators.training_rows import check_support
from latentcore.families.multinomial import Multinomial
from latentcore.protocols import Array, RealArray
from latentcore.sequences import Sequences, as_sequences, names_of_columns, without_absent
from latentcore.structures import chains
from latentcore.structures import hmm_inference as inference
from latentcore.structures.hmm import HMM as Model
from latentcore.structures.hmm import HMMParams
from latentcore.structures.hmm_inference import FilterState

__all__ = ["Algorithm", "HMMAnswers", "check_rows", "counts_of_steps"]

P = TypeVar("P")

Algorithm = Literal["viterbi", "posterior"]
_SEQUENCES = ("lengths", "groups")


def check_rows(family: Any, x: RealArray, names: Any) -> None:
    """Raise ``ValueError`` for a value that the family's distributions never take."""
    check_support(family, counts_of_steps(family, x), names)


def counts_of_steps(family: Any, x: RealArray) -> RealArray:
    """Rows as the family's ``check`` takes them.

    Of counts that only have a law together, all of a row may be missing: a step without an observation.
    """
    if not isinstance(family, Multinomial) or isinstance(x, CSR):
        return x
    unobserved = np.flatnonzero(np.isnan(x).all(axis=1))
    if not len(unobserved):
        return x
    x = x.copy()
    x[unobserved] = 0
    return x


class HMMAnswers(Estimator, Generic[P]):
    """What a hidden Markov model says. A subclass tells its family and its parameters.

    Every method that takes ``X`` takes the rows of all sequences, (N, D), with ``lengths`` (Q,) that sum to N or
    ``groups`` (N,), identifiers of the sequences, whose rows lie one after another; or a list of arrays, one for each
    sequence. Without any of these the rows are one sequence.
    """

    _estimator_type = "density_estimator"
    _routed: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "fit": (*_SEQUENCES, "sample_weight", "labels"),
        "partial_fit": (*_SEQUENCES, "sample_weight", "labels"),
        "predict": _SEQUENCES,
        "predict_proba": _SEQUENCES,
        "score": (*_SEQUENCES, "sample_weight"),
    }

    n_components: int
    algorithm: Algorithm
    random_state: RandomState | None
    n_threads: int | None

    # -- what a subclass tells --------------------------------------------------------------------

    def _family_class(self) -> type:
        """The class of the family, known before a fit."""
        raise NotImplementedError

    def _family(self) -> Any:
        """The family, as it was learned."""
        raise NotImplementedError

    def _params(self) -> HMMParams[P]:
        """The parameters that the public attributes hold now; raises ``NotFittedError``."""
        raise NotImplementedError

    def _n_parameters(self) -> int:
        """Free parameters, for the criteria."""
        raise NotImplementedError

    # -- states -----------------------------------------------------------------------------------

    def predict(
        self, X: Any, *, lengths: Any = None, groups: Any = None, labels: Any = None
    ) -> States:
        """The state of each row, (N,).

        Of the most probable path of each sequence (``algorithm="viterbi"``), or of each row by itself the most probable
        one given its sequence ("posterior"), whose path may be impossible. ``labels`` (N,) are states of rows where
        they are known, -1 where they are not.
        """
        evaluation = self._evaluation()
        data = self._seen_sequences(X, lengths, groups, labels=labels)
        if one_of("algorithm", self.algorithm, get_args(Algorithm)) == "viterbi":
            return evaluation.best_paths(data)[0]
        return evaluation.posterior_states(data)

    def decode(
        self,
        X: Any,
        *,
        algorithm: Algorithm | None = None,
        lengths: Any = None,
        groups: Any = None,
        labels: Any = None,
    ) -> tuple[float, States]:
        """The log-density of all rows and their states together, nats, and the states, (N,).

        Parameters
        ----------
        algorithm : {"viterbi", "posterior"}, optional
            As for ``predict``; None is the model's own. Of posterior states the log-density is that of the path that
            they make, -inf of an impossible one.
        labels : (N,) integers, optional
            States of rows where they are known, -1 where they are not.
        """
        evaluation = self._evaluation()
        data = self._seen_sequences(X, lengths, groups, labels=labels)
        chosen = self.algorithm if algorithm is None else algorithm
        if one_of("algorithm", chosen, get_args(Algorithm)) == "viterbi":
            states, log_joint = evaluation.best_paths(data)
            return float(log_joint.sum()), states
        states = evaluation.posterior_states(data)
        known = Sequences(data.x, data.begins, labels=states)
        return evaluation.log_likelihood(known), states

    def predict_proba(
        self, X: Any, *, lengths: Any = None, groups: Any = None, labels: Any = None
    ) -> RealArray:
        """The law of each row's state given its whole sequence, (N, S), of the dtype of the data.

        And given ``labels`` (N,), states of rows where they are known, -1 where they are not. NaN in a sequence that is
        impossible.
        """
        evaluation = self._evaluation()
        return evaluation.posteriors(self._seen_sequences(X, lengths, groups, labels=labels))

    def filter(self, X: Any, *, lengths: Any = None, groups: Any = None) -> RealArray:
        """The law of each row's state given the rows up to it, (N, S), of the dtype of the data.

        NaN from the row on that makes a sequence impossible.
        """
        evaluation = self._evaluation()
        return evaluation.filtered(self._seen_sequences(X, lengths, groups))

    def filter_start(self) -> FilterState:
        """The state of a filter before the first row, for ``filter_update``."""
        return inference.filter_start(self._params())

    def filter_update(self, state: FilterState, row: Any) -> FilterState:
        """The state of a filter after one more row (D,), or several (n, D): for live use.

        A row of NaN is a step without an observation.

        Raises
        ------
        ImpossibleSequenceError
            A row has density 0 after those before; the old state remains good.
        """
        evaluation = self._evaluation()
        self._check_filter_state(state)
        table = hasattr(row, "columns") or hasattr(row, "tocsr")
        x = self._matrix(row if table else np.atleast_2d(np.asarray(row)))
        self._check_width(x)
        self._check_support(x)
        return inference.filter_update(evaluation.model, evaluation.params, state, x)[0]

    def sample_posterior_paths(
        self,
        X: Any,
        n: int = 1,
        *,
        lengths: Any = None,
        groups: Any = None,
        labels: Any = None,
        random_state: RandomState | None = None,
    ) -> States:
        """Draw paths (n, N) from their law given the sequences.

        Parameters
        ----------
        n : int
        labels : (N,) integers, optional
            States of rows where they are known, -1 where they are not.
        random_state : int, numpy RandomState or Generator, optional
            None is the model's own.

        Raises
        ------
        ImpossibleSequenceError
            A sequence has density 0.
        """
        evaluation = self._evaluation()
        integer("n", n, 1)
        data = self._seen_sequences(X, lengths, groups, labels=labels)
        rng = self._generator(random_state)
        return inference.sample_paths(evaluation.model, evaluation.params, data, n, rng)

    # -- the future -------------------------------------------------------------------------------

    def forecast(
        self,
        steps: int,
        X: Any = None,
        *,
        state: FilterState | None = None,
        quantiles: Sequence[float] | None = (0.05, 0.5, 0.95),
        n_samples: int = 1000,
        random_state: RandomState | None = None,
    ) -> Forecast:
        """Laws of the steps after the last row.

        Parameters
        ----------
        steps : int, >= 1
        X : (T, D), optional
            One sequence.
        state : FilterState, optional
            In place of ``X``: of a filter that saw the rows. Without either, the steps are the first ones.
        quantiles : numbers from 0 to 1, optional
            Of the observations, from ``n_samples`` draws for each step.
        random_state : int, numpy RandomState or Generator, optional
            None is the model's own.
        """
        integer("steps", steps, 1)
        integer("n_samples", n_samples, 0)
        levels = checked_levels(quantiles)
        law = self._next_law(X, state)
        params = self._params()
        laws = np.empty((steps, len(law)))
        for step in range(steps):
            laws[step] = law
            law = law @ params.transition
        return forecast_of(
            self._family(), params.emissions, laws, self._n_features(), levels, n_samples,
            self._generator(random_state),
        )  # fmt: skip

    def sample(
        self,
        n_samples: int | Sequence[int] = 1,
        *,
        state: FilterState | int | None = None,
        random_state: RandomState | None = None,
    ) -> tuple[Array, npt.NDArray[np.int64]]:
        """Draw rows and their states.

        Parameters
        ----------
        n_samples : int, or several
            Rows of the sequence, or of each of several.
        state : FilterState or int, optional
            The sequences go on from here: from the rows that a filter saw, or from a row in this state.
        random_state : int, numpy RandomState or Generator, optional
            None is the model's own; with an integer every call draws the same.

        Returns
        -------
        X : (N, D)
            Rows of all sequences, one after another.
        states : (N,)
        """
        params = self._params()
        family = self._capable("sample")
        lengths = [n_samples] if np.ndim(n_samples) == 0 else list(n_samples)  # type: ignore[arg-type]
        if not lengths:
            raise ValueError("n_samples: expected at least one number, got none")
        lengths = [integer("n_samples", n, 1) for n in lengths]
        initial = self._law_after(state)
        rng = self._generator(random_state)
        states = chains.drawn_states(initial, params.transition, lengths, rng)
        counts = np.bincount(states, minlength=len(initial))
        drawn = [family.sample(params.emissions, k, int(n), rng) for k, n in enumerate(counts) if n]
        rows = np.empty((len(states), drawn[0].shape[1]))
        rows[np.argsort(states, kind="stable")] = np.vstack(drawn)
        return rows, states

    # -- the chain --------------------------------------------------------------------------------

    def expected_durations(self) -> Array:
        """Mean number of steps that the chain stays in each state, (S,); infinite in an absorbing one."""
        return chains.expected_durations(self._params().transition)

    def stationary_distribution(self) -> Array:
        """The law of states that the chain keeps, (S,); 0 in states that it leaves for good.

        Raises
        ------
        ValueError
            The chain can end in either of several sets of states, so that there are several such laws.
        """
        return chains.stationary_distribution(self._params().transition)

    # -- likelihoods ------------------------------------------------------------------------------

    def loglik_by_sequence(self, X: Any, *, lengths: Any = None, groups: Any = None) -> Array:
        """Log-likelihood of each sequence, (Q,), nats; -inf for an impossible one."""
        evaluation = self._evaluation()
        return evaluation.log_likelihoods(self._seen_sequences(X, lengths, groups))

    def score(
        self,
        X: Any,
        y: Any = None,
        *,
        lengths: Any = None,
        groups: Any = None,
        sample_weight: Any = None,
    ) -> float:
        """Mean log-likelihood of a row, nats: that of the sequences over the number of their rows."""
        evaluation, data = self._assessed(X, lengths, groups, sample_weight)
        return evaluation.log_likelihood(data) / data.total_weight()

    def loglik(
        self, X: Any, *, lengths: Any = None, groups: Any = None, sample_weight: Any = None
    ) -> float:
        """Log-likelihood of all sequences, nats; each counts ``sample_weight`` times."""
        evaluation, data = self._assessed(X, lengths, groups, sample_weight)
        return evaluation.log_likelihood(data)

    def aic(
        self, X: Any, *, lengths: Any = None, groups: Any = None, sample_weight: Any = None
    ) -> float:
        """Akaike's information criterion; the lower the better."""
        evaluation, data = self._assessed(X, lengths, groups, sample_weight)
        return diagnostics.aic(evaluation.log_likelihood(data), self._n_parameters())

    def bic(
        self, X: Any, *, lengths: Any = None, groups: Any = None, sample_weight: Any = None
    ) -> float:
        """Bayesian information criterion, by the number of rows; the lower the better."""
        evaluation, data = self._assessed(X, lengths, groups, sample_weight)
        log_likelihood = evaluation.log_likelihood(data)
        return diagnostics.bic(log_likelihood, self._n_parameters(), data.total_weight())

    def impute(self, X: Any, *, lengths: Any = None, groups: Any = None) -> RealArray:
        """A copy of ``X`` (N, D) with conditional means, given the whole sequence, where NaN was.

        In an impossible sequence NaN stays.

        Raises
        ------
        TypeError
            The family cannot impute.
        """
        evaluation = self._evaluation()
        family = self._capable("impute")
        data = self._seen_sequences(X, lengths, groups)
        if isinstance(data.x, CSR):
            raise TypeError("X: expected a dense array, got a sparse one, which misses nothing")
        posteriors = evaluation.posteriors(data)
        completed: RealArray = family.impute(self._params().emissions, data.x, posteriors)
        impossible = np.isnan(posteriors[:, 0])
        completed[impossible] = data.x[impossible]
        return completed

    # -- inside -----------------------------------------------------------------------------------

    def _evaluation(self) -> HMMEvaluation:
        params = self._params()
        return HMMEvaluation(Model(self._family()), params, self._work_per_row, self.n_threads)

    def _assessed(
        self, X: Any, lengths: Any, groups: Any, sample_weight: Any
    ) -> tuple[HMMEvaluation, Sequences]:
        evaluation = self._evaluation()
        return evaluation, without_absent(self._seen_sequences(X, lengths, groups, sample_weight))

    def _seen_sequences(
        self, X: Any, lengths: Any, groups: Any, sample_weight: Any = None, labels: Any = None
    ) -> Sequences:
        """Sequences for a model with parameters: the columns must be those of the fit."""
        self._check_names(names_of_columns(X))
        n_states = len(self._params().initial)
        data = self._sequences(X, lengths, groups, sample_weight, labels, n_states)
        self._check_width(data.x)
        self._check_support(data.x)
        return data

    def _sequences(
        self, X: Any, lengths: Any, groups: Any, sample_weight: Any, labels: Any, n_states: int
    ) -> Sequences:
        """Sequences as the model reads them."""
        return as_sequences(
            X, lengths=lengths, groups=groups, sample_weight=sample_weight, labels=labels,
            n_states=n_states, owner=type(self).__name__,
            missing=self._takes_missing(), sparse=self._takes_sparse(),
        )  # fmt: skip

    def _next_law(self, X: Any, state: FilterState | None) -> Array:
        """The law of the state after a sequence, or after what a filter saw."""
        if X is None:
            return self._law_after(state)
        if state is not None:
            raise ValueError("state: expected None where X is given, got a state")
        data = self._seen_sequences(X, None, None)
        if data.n_sequences != 1:
            raise ValueError(f"X: expected one sequence, got {data.n_sequences}")
        evaluation = self._evaluation()
        log_likelihood, log_laws = inference.last_filtered(
            evaluation.model, evaluation.params, data
        )
        if not np.isfinite(log_likelihood[0]):
            raise ValueError("X: expected a possible sequence, got one of density 0")
        return self._law_after(FilterState(log_laws[0], float(log_likelihood[0]), len(data)))

    def _law_after(self, state: FilterState | int | None) -> Array:
        params = self._params()
        n_states = len(params.initial)
        if state is None:
            return params.initial
        if not isinstance(state, FilterState):
            if integer("state", state, 0) >= n_states:
                raise ValueError(f"state: expected a state below {n_states}, got {state}")
            return np.ascontiguousarray(params.transition[state])
        self._check_filter_state(state)
        if not np.isfinite(state.log_likelihood):
            raise ValueError("state: expected that of possible rows, got rows of density 0")
        law: Array = np.exp(state.log_law)
        return law @ params.transition if state.n_rows else law

    def _check_filter_state(self, state: Any) -> None:
        n_states = len(self._params().initial)
        if not isinstance(state, FilterState):
            raise TypeError(f"state: expected a FilterState, got {state!r}")
        if np.shape(state.log_law) != (n_states,):
            raise ValueError(
                f"state: expected that of a filter of {n_states} states, got {len(state.log_law)}"
            )

    def _generator(self, random_state: RandomState | None) -> Any:
        return random_generator(self.random_state if random_state is None else random_state)

    def _capable(self, method: str) -> Any:
        """The family, which has to have this method."""
        family = self._family()
        if not hasattr(family, method):
            raise TypeError(f"family: expected one with a method {method!r}, got {family!r}")
        return family

    def _work_per_row(self, x: RealArray | CSR, n_states: int) -> float:
        """Multiply-adds of a sweep; an exponential counts as 16."""
        return work_per_row(x, n_states) + work_of_chain(n_states)

    def _takes_missing(self) -> bool:
        return hasattr(self._family_class(), "impute")

    def _takes_sparse(self) -> bool:
        return issubclass(self._family_class(), SPARSE_FAMILIES)

    def _check_support(self, x: RealArray) -> None:
        check_rows(self._family(), x, getattr(self, "feature_names_in_", None))

    # -- scikit-learn, when it asks ---------------------------------------------------------------

    def set_fit_request(
        self,
        *,
        sample_weight: Alias = UNCHANGED,
        labels: Alias = UNCHANGED,
        lengths: Alias = UNCHANGED,
        groups: Alias = UNCHANGED,
    ) -> Self:
        """What meta-estimators pass to ``fit``; needs scikit-learn."""
        asked = {"sample_weight": sample_weight, "labels": labels}
        return self._request("fit", {**asked, "lengths": lengths, "groups": groups})

    def set_partial_fit_request(
        self,
        *,
        sample_weight: Alias = UNCHANGED,
        labels: Alias = UNCHANGED,
        lengths: Alias = UNCHANGED,
        groups: Alias = UNCHANGED,
    ) -> Self:
        """What meta-estimators pass to ``partial_fit``; needs scikit-learn."""
        asked = {"sample_weight": sample_weight, "labels": labels}
        return self._request("partial_fit", {**asked, "lengths": lengths, "groups": groups})

    def set_score_request(
        self,
        *,
        sample_weight: Alias = UNCHANGED,
        lengths: Alias = UNCHANGED,
        groups: Alias = UNCHANGED,
    ) -> Self:
        """What meta-estimators pass to ``score``; needs scikit-learn."""
        asked = {"sample_weight": sample_weight, "lengths": lengths, "groups": groups}
        return self._request("score", asked)

    def set_predict_request(self, *, lengths: Alias = UNCHANGED, groups: Alias = UNCHANGED) -> Self:
        """What meta-estimators pass to ``predict``; needs scikit-learn."""
        return self._request("predict", {"lengths": lengths, "groups": groups})

    def set_predict_proba_request(
        self, *, lengths: Alias = UNCHANGED, groups: Alias = UNCHANGED
    ) -> Self:
        """What meta-estimators pass to ``predict_proba``; needs scikit-learn."""
        return self._request("predict_proba", {"lengths": lengths, "groups": groups})
