"""What Bayesian hidden Markov models have in common: a posterior, fitted by variational inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from latentcore import engine
from latentcore.arrays import Rows
from latentcore.errors import NumericalError
from latentcore.estimators.bayesian_hmm_prior import chain_prior
from latentcore.estimators.bayesian_hmm_stream import learn
from latentcore.estimators.bayesian_hmm_terms import (
    HMMBoundTerms,
    bound_terms,
    divergence_of,
    expected_counts,
    total_of,
)
from latentcore.estimators.bayesian_mixture import takes_missing
from latentcore.estimators.bayesian_pruning import Pruning
from latentcore.estimators.bayesian_selected import selected
from latentcore.estimators.checks import (
    fitting_arguments,
    integer,
    one_of,
    random_generator,
    real,
    stochastic_steps,
)
from latentcore.estimators.components import order_by
from latentcore.estimators.hmm_answers import Algorithm
from latentcore.estimators.hmm_batches import for_each_batch
from latentcore.estimators.hmm_fitting import FittedHMM
from latentcore.estimators.hmm_start import initial_emissions
from latentcore.estimators.mixture_base import Callback, RandomState
from latentcore.estimators.mixture_stream import after_fit
from latentcore.estimators.online import Stream
from latentcore.estimators.priors import Pooling
from latentcore.estimators.progress import Reporter
from latentcore.estimators.restarts import Kept, best_of, check_as_many, warn_not_converged
from latentcore.estimators.saved_fit import pack_fit, unpack_fit
from latentcore.estimators.saved_stream import check_posterior_stream
from latentcore.estimators.saved_values import pack, unpack
from latentcore.estimators.starts import InitParams
from latentcore.estimators.summary import (
    Training,
    bound_table,
    chain_table,
    components_table,
    course,
    state_labels,
    stream_course,
)
from latentcore.estimators.training_sequences import TrainingSequences
from latentcore.families.whole_rows import WholeRows
from latentcore.parts import ChangedPartsError, Part
from latentcore.protocols import Array, Expectation
from latentcore.rules.cavi import CAVI
from latentcore.sequences import names_of_columns
from latentcore.structures.hmm import HMM, HMMParams, HMMPrior, HMMStatistics
from latentcore.threads import get_num_threads

__all__ = ["BayesianHMMEstimator"]

P = TypeVar("P")
H = TypeVar("H")
S = TypeVar("S", bound=TrainingSequences)

_KEPT = ("posterior_", "prior_", "family_", "n_features_in_", "elbo_terms_", "_before")


class BayesianHMMEstimator(FittedHMM[P], Generic[P, H]):
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

    prior_: HMMPrior[H]
    posterior_: HMMPrior[H]
    converged_: bool
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]
    elbo_terms_: HMMBoundTerms
    delay: float
    forgetting: float
    n_samples_seen_: int
    _before: float | None
    _stream: Stream

    _since_the_first_files = frozenset({"delay", "forgetting"})

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
    ) -> Self:
        """One step of stochastic variational inference on a batch of sequences (Hoffman et al. 2013).

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
            for each. With a column of groups sequences may go on in the next batch, and wait for their end.
        lengths, groups, sample_weight, labels : optional
            As in ``fit``; not every label has to occur.
        total_weight : float, optional
            How many sequences there are in all, for which the batch stands. None: all that ``partial_fit`` or ``fit``
            has seen so far, with this batch; to go over the same sequences again, tell their number.

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

        def learn_part(part: Part, goes_on: bool) -> None:
            by_row = part.lengths, part.groups, part.sample_weight, part.labels
            learn(self, part.X, *by_row, total_weight)

        given = {"lengths": lengths, "groups": groups, "sample_weight": sample_weight}
        if not for_each_batch(X, learn_part, continues=False, begun=False, labels=labels, **given):
            learn(self, X, lengths, groups, sample_weight, labels, total_weight)
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
            start = self._start(model, prior, shown) if warm is None else lambda: warm
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

    def _start(
        self,
        model: HMM[P, Any],
        prior: HMMPrior[H],
        data: TrainingSequences,
        scale: float = 1.0,
    ) -> Callable[[], HMMPrior[H]]:
        """Posteriors to begin with: given, or after rows in clusters and a chain without a preference.

        The data count ``scale`` times.
        """
        if self.posterior_init is not None:
            given = self._checked_posterior(model, prior)
            return lambda: given
        family = model.family.family if isinstance(model.family, WholeRows) else model.family
        rng, rows = random_generator(self.random_state), data.rows()
        n_steps, n_starts = data.total_weight(), data.n_starts()

        def start() -> HMMPrior[H]:
            emissions = initial_emissions(
                family, rows, self.n_components, self.init_params, rng,
                allow_repeats=True, n_threads=get_num_threads(self.n_threads),
            )  # fmt: skip
            draw = rng.standard_exponential if self.init_params == "random" else np.ones
            starts = _shares(draw(self.n_components) * (prior.initial > 0))
            transitions = _shares(draw(prior.transition.shape) * (prior.transition > 0))
            stats = HMMStatistics(
                n_starts * starts,
                (n_steps - n_starts) / self.n_components * transitions,
                emissions.counts,
                emissions.components,
            )
            return model.update(prior, stats * scale)

        return start

    def _chain_prior(self) -> tuple[Array, Array]:
        arguments = self.startprob_prior, self.transmat_prior, self.stickiness
        return chain_prior(*arguments, self.n_components)

    def _checked_posterior(self, model: HMM[P, Any], prior: HMMPrior[H]) -> HMMPrior[H]:
        given: Any = self.posterior_init
        if type(given) is not HMMPrior or type(given.emissions) is not type(prior.emissions):
            raise TypeError(
                f"posterior_init: expected an HMMPrior with emissions of type "
                f"{type(prior.emissions).__name__}, got {given!r}"
            )
        if len(given.initial) != self.n_components:
            raise ValueError(
                f"posterior_init: expected n_components = {self.n_components} states, "
                f"got {len(given.initial)}"
            )
        possible = (prior.initial > 0, prior.transition > 0)
        if not all(
            np.array_equal(alpha > 0, mask)
            for alpha, mask in zip((given.initial, given.transition), possible, strict=True)
        ):
            raise ValueError(
                "posterior_init: expected zeros where the prior of the chain has zeros"
            )
        posterior: HMMPrior[H] = given
        return posterior

    def _warm_posterior(self) -> HMMPrior[H] | None:
        if not self._goes_on():
            return None
        check_as_many(len(self.posterior_.initial), self.n_components)
        return self.posterior_

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
        }
        return self

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
        found, prior = pruning.run(posterior, self.prior_, slack)
        if found is posterior:
            return self
        terms = bound_terms(model, prior, found, expectation)
        learned = {"posterior_": found, "prior_": prior, "elbo_terms_": terms, "_before": None}
        self.__dict__ = {**self.__dict__, **learned, "lower_bound_": total_of(terms)}
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

    def _checked_stream(self, stream: Stream) -> Stream:
        return check_posterior_stream(self, stream)

    # -- storage ----------------------------------------------------------------------------------

    def _learned(self) -> dict[str, Any]:
        if "posterior_" not in self.__dict__:
            return {}
        kept = {name: self.__dict__[name] for name in _KEPT}
        return {**pack(kept), **pack_fit(self.__dict__), "lower_bound_": self.lower_bound_}

    def _checked_learned(self, learned: dict[str, Any]) -> dict[str, Any]:
        if not learned:
            return {}
        fit = {name: learned[name] for name in [*pack_fit({}), "lower_bound_"]}
        values = unpack({name: value for name, value in learned.items() if name not in fit})
        if values.keys() != set(_KEPT):
            raise ValueError(f"expected the attributes {list(_KEPT)}, got {list(values)}")
        posterior, prior = values["posterior_"], values["prior_"]
        if type(values["family_"]) is not self._family_class():
            expected = self._family_class().__name__
            raise ValueError(f"family_: expected {expected}, got {values['family_']!r}")
        family: Any = values["family_"]
        if type(posterior) is not HMMPrior or type(prior) is not HMMPrior:
            raise ValueError(f"posterior_: expected an HMMPrior, got {posterior!r}")
        n_features = integer("n_features_in_", values["n_features_in_"], 1)
        model: HMM[Any, Any] = HMM(family)
        divergence = model.divergence(posterior, prior)  # of shapes that agree
        x = np.zeros((1, n_features))
        density = family.log_likelihood(model.expected(posterior).emissions, x)
        shape = (1, len(posterior.initial))
        if not np.isfinite(divergence[0] + divergence[1].sum()) or np.isnan(density).any():
            raise ValueError("posterior_: expected a finite divergence from the prior")
        if density.shape != shape:
            raise ValueError(f"posterior_: expected emissions of {shape[1]} states")
        terms = values["elbo_terms_"]
        # after Ctrl-C the log normaliser is NaN
        known = terms.keys() == HMMBoundTerms.__required_keys__
        if not known or np.isinf(total_of(terms)) or not np.isfinite(divergence_of(terms)):
            raise ValueError(f"elbo_terms_: expected finite terms, got {terms!r}")
        if values["_before"] is not None:
            real("_before", abs(values["_before"]))
        known = unpack_fit(fit, n_features)
        del known["n_degenerate_"]
        return {**values, **known, "lower_bound_": float(learned["lower_bound_"])}


def _shares(weights: Array) -> Array:
    shares: Array = weights / weights.sum(axis=-1, keepdims=True)
    return shares
