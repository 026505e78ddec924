"""What Bayesian hidden Markov models have in common: a posterior, fitted by variational inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from latentcore import engine
from latentcore.arrays import Rows
from latentcore.errors import NumericalError
from latentcore.estimators.bayesian_hmm_answers import HMMPosteriorAnswers
from latentcore.estimators.bayesian_hmm_prior import chain_prior
from latentcore.estimators.bayesian_hmm_saved import pack_hmm_posterior, unpack_hmm_posterior
from latentcore.estimators.bayesian_hmm_start import starts
from latentcore.estimators.bayesian_hmm_stream import learn, states_of_stream
from latentcore.estimators.bayesian_hmm_terms import bound_terms, expected_counts, total_of
from latentcore.estimators.bayesian_mixture import takes_missing
from latentcore.estimators.bayesian_pruning import Pruning
from latentcore.estimators.checks import fitting_arguments, one_of, real, stochastic_steps
from latentcore.estimators.hmm_answers import Algorithm
from latentcore.estimators.hmm_batches import check_continues, learn_from
from latentcore.estimators.mixture_base import Callback, RandomState
from latentcore.estimators.mixture_stream import after_fit
from latentcore.estimators.online import Horizon, Stream
from latentcore.estimators.priors import Pooling
from latentcore.estimators.progress import Reporter
from latentcore.estimators.restarts import Kept, best_of, check_as_many, warn_not_converged
from latentcore.estimators.saved_hmm_stream import check_hmm_posterior_stream
from latentcore.estimators.starts import InitParams
from latentcore.estimators.summary import Training
from latentcore.estimators.training_sequences import TrainingSequences
from latentcore.families.whole_rows import WholeRows
from latentcore.parts import ChangedPartsError, Part
from latentcore.protocols import Array, Expectation
from latentcore.rules.cavi import CAVI
from latentcore.sequences import names_of_columns
from latentcore.structures.hmm import HMM, HMMPrior

__all__ = ["BayesianHMMEstimator"]

P = TypeVar("P")
H = TypeVar("H")
S = TypeVar("S", bound=TrainingSequences)


class BayesianHMMEstimator(HMMPosteriorAnswers[P, H], Generic[P, H]):
    """The face of a Bayesian hidden Markov model. A subclass tells its family and the prior of the emissions."""

    startprob_prior: Any
    transmat_prior: Any
    stickiness: float
    tol: float
    max_iter: int
    n_init: int
    init_params: InitParams
    posterior_init: HMMPrior[H] | None
    warm_start: bool
    verbose: int
    verbose_interval: int

    delay: float
    forgetting: float
    horizon: Horizon

    _before: float | None

    _since_the_first_files = frozenset({"delay", "forgetting", "horizon"})

    def __init__(
        self,
        n_components: int = 1,
        *,
        startprob_prior: npt.ArrayLike | None = None,
        transmat_prior: npt.ArrayLike | None = None,
        stickiness: float = 0.0,
        tol: float = 1e-3,
        max_iter: int = 200,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        posterior_init: HMMPrior[H] | None = None,
        algorithm: Algorithm = "viterbi",
        random_state: RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        delay: float = 1.0,
        forgetting: float = 0.7,
        horizon: Horizon = "batch",
    ) -> None:
        self.n_components = n_components
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.stickiness = stickiness
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.posterior_init = posterior_init
        self.algorithm = algorithm
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.delay = delay
        self.forgetting = forgetting
        self.horizon = horizon

    # -- what a subclass tells --------------------------------------------------------------------

    def _emission_prior(self, family: Any, data: Rows | Pooling) -> H:
        """The prior of the emissions, with what depends on the data found out."""
        raise NotImplementedError

    # -- fitting ----------------------------------------------------------------------------------

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        *,
        lengths: Any = None,
        groups: Any = None,
        sample_weight: Any = None,
        labels: Any = None,
        total_weight: float | None = None,
        continues: bool = False,
    ) -> Self:
        """One step of stochastic variational inference on a batch of sequences, or on a block of one.

        With ``horizon="batch"``, the default, a batch has whole sequences, and stands for all by their number (Hoffman
        et al. 2013). With ``horizon="endless"`` it stands for all by the number of rows, and a sequence may come in
        blocks, as one without an end has to (``continues``; Foti, Xu, Laird & Fox 2014). The start of a sequence then
        counts once, whatever a batch stands for, and not again in rows beyond ``total_weight``.

        The first batch makes the start and the prior, where the prior depends on the data. If it is too small, its
        sequences wait, inside the model and its pickles and files, until there are enough rows: ten for each state, and
        D + 1 for each with ``covariance_type="full"``; ``posterior_init`` needs none. Until then there is nothing to
        predict with: ``NotFittedError`` says how many rows wait.

        Step t has the size ``(t + delay)^-forgetting``. ``fit`` ends a stream; with ``warm_start`` it begins where the
        stream is. After ``fit`` each of its iterations counts as a step.

        Parameters
        ----------
        X : (N, D), a list of such, or batches of them
            ``latentcore.Batches``, the path of a file that it reads, an iterator or a function that returns one: a step
            for each. With a column of groups sequences may go on in the next batch, and wait for their end. Without,
            and with ``continues``, all batches are blocks of one sequence.
        lengths, groups, sample_weight, labels : optional
            As in ``fit``; not every label has to occur.
        total_weight : float, optional
            How many sequences, or rows with ``horizon="endless"``, there are in all, for which the batch stands. None:
            all that ``partial_fit`` or ``fit`` has seen so far, with this batch; to go over the same data again, tell
            their number.
        continues : bool
            Whether the first sequence goes on where the last one of the batch before ended. Its states are smoothed
            within the block, given the law of the state at the cut, and the transition across the cut counts.

        Raises
        ------
        ValueError, TypeError
            An argument is wrong, or the batch is not like the first. The model stays as it was.
        NumericalError
            A sequence is impossible. The same.

        Notes
        -----
        ``lower_bound_`` and ``elbo_terms_`` are then estimates, from this batch, of those before the step.
        ``lower_bounds_`` keeps those of the latest 1024 steps.
        """
        self._check_arguments()
        check_continues(continues, self.horizon == "endless", "horizon='endless'")
        given = Part(X, sample_weight, labels, lengths, groups)
        learn_from(self, learn, given, total_weight, continues)
        return self

    def _fit(
        self,
        X: Any,
        lengths: Any,
        groups: Any,
        sample_weight: Any,
        labels: Any,
        callback: Callback | None,
    ) -> None:
        self._check_arguments()
        data = self._training_sequences(X, lengths, groups, sample_weight, labels)
        family = self._family_of(data)
        shown, fitted = self._observed(family, data)
        prior = HMMPrior(*self._chain_prior(), self._emission_prior(family, shown))
        warm = self._warm_posterior()
        model: HMM[P, Any] = HMM(fitted)
        expectation = data.expectation(model)
        kept: Kept[HMMPrior[H]] = Kept()
        try:
            start = starts(self, model, prior, shown) if warm is None else lambda: warm
            fit = self._best_of_starts(model, prior, expectation, start, data, callback, kept)
            learned = self._learned_from(model, prior, fit, data, expectation)
        except NumericalError as error:
            raise data.numbered(error) from None
        except (KeyboardInterrupt, OSError, ChangedPartsError):
            if data.resumable and kept.fit is not None:
                learned = self._learned_from(model, prior, kept.fit, data, None)
                self._replace({**learned, "family_": family}, data.names)
            raise
        if not learned["converged_"] and self.max_iter > 0:
            warn_not_converged(stacklevel=4)
        self._replace({**learned, "family_": family}, data.names)

    def _best_of_starts(
        self,
        model: HMM[P, Any],
        prior: HMMPrior[H],
        expectation: Expectation[Any, Any],
        start: Callable[[], HMMPrior[H]],
        data: TrainingSequences,
        callback: Callback | None,
        kept: Kept[HMMPrior[H]],
    ) -> engine.Fit[HMMPrior[H]]:
        before = self._before if self._goes_on() else None

        def run(step: Callback | None) -> engine.Fit[HMMPrior[H]]:
            return engine.run(
                CAVI(model, prior), start(), expectation, total_weight=1.0, tol=self.tol,
                max_iter=self.max_iter, previous=float("-inf") if before is None else before,
                callback=step, n_rows=data.n_rows_read, ended=kept,
            )  # fmt: skip

        reporter = Reporter(int(self.verbose), self.verbose_interval, callback)
        return best_of(1 if self._goes_on() else self.n_init, run, lambda _: [], reporter).fit

    def _learned_from(
        self,
        model: HMM[P, Any],
        prior: HMMPrior[H],
        fit: engine.Fit[HMMPrior[H]],
        data: TrainingSequences,
        expectation: Expectation[Any, Any] | None,
    ) -> dict[str, Any]:
        """What a fit leaves; without an expectation, the bound is the one that its last step started from."""
        terms = bound_terms(model, prior, fit.params, expectation)
        last = fit.history[-1] if fit.history else None
        bound = total_of(terms) if expectation is not None else last
        return {
            "posterior_": fit.params,
            "prior_": prior,
            "n_features_in_": data.n_features,
            "elbo_terms_": terms,
            "converged_": fit.converged,
            "n_iter_": fit.n_iter,
            "lower_bound_": bound,
            "lower_bounds_": [*fit.history[1:], bound] if fit.history else [],
            "_before": last,
            "_training": Training(len(data), data.total_weight(), 0.0, float("nan")),
            **after_fit(len(data), data.n_starts(), None, None),
        }

    def _observed(self, family: Any, data: S) -> tuple[S, Any]:
        """The data to begin with, and the family that leaves out rows without an observation, if it has to."""
        if self._takes_missing_entries() or not data.has_missing_rows():
            return data, family
        return data.observed(), WholeRows(family)

    def _takes_missing_entries(self) -> bool:
        """Whether an entry that is missing can be left out, so that the posterior stays conjugate."""
        return takes_missing(self._family_class(), getattr(self, "family", None))

    def _chain_prior(self) -> tuple[Array, Array]:
        arguments = self.startprob_prior, self.transmat_prior, self.stickiness
        return chain_prior(*arguments, self.n_components)

    def _warm_posterior(self) -> HMMPrior[H] | None:
        if not self._goes_on():
            return None
        check_as_many(len(self.posterior_.initial), self.n_components)
        return self.posterior_

    # -- fewer states ------------------------------------------------------------------------------

    def prune(
        self,
        X: Any,
        *,
        lengths: Any = None,
        groups: Any = None,
        sample_weight: Any = None,
        tol: float | None = None,
    ) -> Self:
        """Leave out states, small ones first, as long as the evidence lower bound does not fall by it; in place.

        The model without a state is compared after one more step of coordinate ascent. What is tried are the states
        that have less than a row, and the smallest of the others. ``n_components`` stays: it is what the next ``fit``
        begins with.

        Parameters
        ----------
        X, lengths, groups, sample_weight :
            What the model was fitted to.
        tol : float, optional
            By how much the bound may end below the largest one met, nats: what counts as no fall. None is the model's
            ``tol``.
        """
        posterior = self._posterior()
        slack = real("tol", self.tol if tol is None else tol)
        given = self._seen_sequences(X, lengths, groups, sample_weight)
        data = self._in_memory(given, names_of_columns(X))
        model: HMM[P, Any] = HMM(self._observed(self.family_, data)[1])
        expectation = data.expectation(model)
        pruning = Pruning(model, expectation, expected_counts, self._left)
        found, prior, kept = pruning.run(posterior, self.prior_, slack)
        if found is posterior:
            return self
        terms = bound_terms(model, prior, found, expectation)
        learned = {
            "posterior_": found, "prior_": prior, "elbo_terms_": terms, "_before": None,
            **states_of_stream(self.__dict__, kept),
        }  # fmt: skip
        self.__dict__ = {**self.__dict__, **learned, "lower_bound_": total_of(terms)}
        return self

    def _left(self, posterior: HMMPrior[H], keep: npt.NDArray[np.intp]) -> HMMPrior[H] | None:
        """Of these states alone, if a chain of them can go on from each."""
        initial, transition = posterior.initial[keep], posterior.transition[np.ix_(keep, keep)]
        if not initial.any() or not transition.any(axis=1).all():
            return None
        return self._selected(posterior, keep)

    def _check_arguments(self) -> None:
        fitting_arguments(self)
        self._chain_prior()
        one_of("algorithm", self.algorithm, get_args(Algorithm))
        stochastic_steps(self.delay, self.forgetting)
        one_of("horizon", self.horizon, get_args(Horizon))

    def _checked_stream(self, stream: Stream) -> Stream:
        return check_hmm_posterior_stream(self, stream)

    # -- storage ----------------------------------------------------------------------------------

    def _learned(self) -> dict[str, Any]:
        return pack_hmm_posterior(self.__dict__)

    def _checked_learned(self, learned: dict[str, Any]) -> dict[str, Any]:
        return unpack_hmm_posterior(learned, self._family_class()) if learned else {}
