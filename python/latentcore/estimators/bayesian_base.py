"""What Bayesian mixtures have in common: a posterior, fitted by variational inference, and what it says of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore import engine
from latentcore.arrays import Rows, as_weights, column_names, without_absent
from latentcore.errors import NumericalError
from latentcore.estimators.bayesian_answers import PosteriorAnswers
from latentcore.estimators.bayesian_empirical import Both, EmpiricalCAVI
from latentcore.estimators.bayesian_pruning import Pruning
from latentcore.estimators.bayesian_saved import pack_posterior, unpack_posterior
from latentcore.estimators.bayesian_selected import selected, selected_weights
from latentcore.estimators.bayesian_stochastic import StochasticEpochs
from latentcore.estimators.bayesian_stream import Course, learn
from latentcore.estimators.bayesian_terms import BoundTerms, total_of
from latentcore.estimators.bayesian_weights import (
    WeightPriorType,
    check_weight_prior,
    concentration_attribute,
    expected_counts,
    weight_prior,
)
from latentcore.estimators.blocks import LikelihoodAndEntropy, summed
from latentcore.estimators.checks import (
    boolean,
    fitting_arguments,
    integer,
    random_generator,
    real,
    stochastic_steps,
)
from latentcore.estimators.epochs import Batch, seed_from
from latentcore.estimators.mixture_base import Callback
from latentcore.estimators.mixture_stream import after_fit
from latentcore.estimators.online import Stream
from latentcore.estimators.priors import Pooling
from latentcore.estimators.progress import Reporter
from latentcore.estimators.restarts import Kept, best_of, check_as_many, warn_not_converged
from latentcore.estimators.saved_stream import check_posterior_stream
from latentcore.estimators.starts import InitParams
from latentcore.estimators.survey import rows_of_parts
from latentcore.estimators.training_rows import InMemory, TrainingRows
from latentcore.initialization import initial_statistics
from latentcore.parts import ChangedPartsError, Part
from latentcore.protocols import Array, Expectation, Rule
from latentcore.rules.cavi import StochasticVI
from latentcore.streams import for_each_batch
from latentcore.structures.mixture import Mixture, MixturePrior
from latentcore.structures.weights import FixedWeights
from latentcore.threads import get_num_threads

__all__ = ["BayesianEstimator"]

P = TypeVar("P")
H = TypeVar("H")


class BayesianEstimator(PosteriorAnswers[P, H], Generic[P, H]):
    """The face of a Bayesian mixture. A subclass tells its family, its prior and more attributes of the posterior."""

    _routed: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "fit": ("sample_weight",),
        "partial_fit": ("sample_weight",),
        "score": ("sample_weight",),
    }

    tol: float
    max_iter: int
    n_init: int
    init_params: InitParams
    warm_start: bool
    verbose: int
    verbose_interval: int
    weight_concentration_prior_type: WeightPriorType
    weight_concentration_prior: Any
    sort_sticks: bool
    batch_size: int | None
    delay: float
    forgetting: float
    optimize_concentration: bool

    prior_: MixturePrior[H]
    weights_: npt.NDArray[Any]
    lower_bound_: float
    lower_bounds_: list[float]
    _stream: Stream
    _copies: int

    # -- what a subclass tells --------------------------------------------------------------------

    def _prior_to_fit(self, family: Any, data: Rows | Pooling) -> MixturePrior[H]:
        """The prior, with what depends on the data found out."""
        raise NotImplementedError

    def _attributes(
        self,
        posterior: MixturePrior[H],
        prior: MixturePrior[H],
        family: Any,
        dtype: Any,
        n_copies: int,
    ) -> dict[str, Any]:
        """Public attributes besides the weights, for data of this dtype."""
        raise NotImplementedError

    def _n_copies(self, n_features: int) -> int:
        """In how many copies the prior of a component counts, where its arguments are those of one."""
        return 1

    # -- fitting ----------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        callback: Callback | None = None,
    ) -> Self:
        """Fit the posterior to rows ``X`` by variational inference.

        Parameters
        ----------
        X : array or data frame, (N, D), or rows in parts
            C-contiguous float32 and float64 arrays are not copied.

            Parts are ``latentcore.Batches``, the path of a file that it reads, a list of matrices or
            data frames, another iterable of them that begins anew each time, or a function that returns
            an iterator; then each iteration reads them once (with ``batch_size`` twice: for the steps,
            and for the bound), and the start is made from all rows if these are few, else from about
            131 000 that are drawn at random.
        y : ignored
        sample_weight : (N,), optional
            A row of weight 2 counts as two rows, a row of weight 0 is left out.
        callback : callable, optional
            Gets an ``engine.Progress`` after each iteration; its objective is the bound of all rows together.

        Raises
        ------
        ValueError, TypeError
            An argument is wrong.
        NumericalError
            The numbers made every start impossible.
        ChangedPartsError
            Parts had not as many rows in one pass as in another.

        Warns
        -----
        ConvergenceWarning
            ``tol`` was not met in ``max_iter`` iterations.

        Notes
        -----
        After an exception the model is as it was before, but for Ctrl-C and sources that fail in a fit to
        parts: then it has the posterior of the last complete iteration, ``lower_bound_`` is the bound that this
        iteration started from, and what else would ask for the data once more is NaN: the last of ``lower_bounds_``,
        and the first two of ``elbo_terms_``. An epoch of ``batch_size`` ends with its bound, so that
        ``lower_bound_`` and ``lower_bounds_`` are those of the posterior.
        """
        self._fit(X, sample_weight, callback)
        return self

    def fit_predict(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        callback: Callback | None = None,
    ) -> npt.NDArray[np.intp]:
        """``fit(X)``, then ``predict(X)``."""
        self._refuse_parts(X)
        data = self._fit(X, sample_weight, callback)
        assert isinstance(data, InMemory)
        return self._evaluation().labels(data.given.x)

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        total_weight: float | None = None,
    ) -> Self:
        """One step of stochastic variational inference on a batch of rows.

        The first batch makes the start and the prior, where the prior depends on the data. If it is too small, its rows
        wait, inside the model and its pickles and files, until there are enough: ten for each component, and D + 1 for
        each with ``covariance_type="full"``. Together they are then the first batch, and count as so many steps. Until
        then there is nothing to predict with: ``NotFittedError`` says how many rows wait.

        Step t has the size ``(t + delay)^-forgetting``. ``fit`` ends a stream; with ``warm_start`` it begins where the
        stream is. After ``fit`` each of its iterations counts as a step.

        Parameters
        ----------
        X : (N, D), or batches
            Batches are ``latentcore.Batches`` and what it takes, such as a generator: a step for each. Where one is
            wrong, the steps before it stay.
        sample_weight : (N,), optional
        total_weight : float, optional
            How many rows there are in all, for which the batch stands. None: all that ``partial_fit`` or ``fit``
            has seen so far, with this batch; to go over the same rows again, tell their number.

        Raises
        ------
        ValueError, TypeError
            An argument is wrong, or the batch is not like the first. The model stays as it was.
        NumericalError
            A row is impossible. The same.

        Notes
        -----
        ``lower_bound_`` is then an estimate, from this batch, of the bound before the step. ``lower_bounds_`` keeps
        those of the latest 1024 steps.
        """

        def step(part: Part) -> None:
            learn(self, part.X, part.sample_weight, total_weight)

        if not for_each_batch(X, step, sample_weight=sample_weight):
            learn(self, X, sample_weight, total_weight)
        return self

    def _fit(self, X: Any, sample_weight: Any, callback: Callback | None) -> TrainingRows:
        self._check_arguments()
        data = self._training_rows(X, sample_weight)
        self._check_size(data)
        family = data.family(self._family_to_fit)
        prior = self._prior_to_fit(family, data)
        model = Mixture(family)
        warm = self._warm_posterior(data, family)
        kept: Kept[Both[H]] = Kept()
        try:
            fit = self._best_of_starts(model, prior, data, warm, callback, kept)
            learned = self._learned_from(model, data, fit)
        except NumericalError as error:
            raise self._explained(error, data) from None
        except (KeyboardInterrupt, OSError, ChangedPartsError):
            if data.resumable and kept.fit is not None:
                learned = self._learned_from(model, data, kept.fit, assess=False)
                self._replace(learned, data.names)
            raise
        if not learned["converged_"] and self.max_iter > 0:
            warn_not_converged(stacklevel=4)
        self._replace(learned, data.names)
        return data

    def _training_rows(self, X: Any, sample_weight: Any) -> TrainingRows:
        parts = rows_of_parts(self, X, sample_weight=sample_weight)
        if parts is not None:
            return parts
        names = column_names(X)
        rows = self._rows(X, sample_weight)
        return self._in_memory(rows, names)

    def _best_of_starts(
        self,
        model: Mixture[P, Any],
        prior: MixturePrior[H],
        data: TrainingRows,
        warm: MixturePrior[H] | None,
        callback: Callback | None,
        kept: Kept[Both[H]],
    ) -> engine.Fit[Both[H]]:
        rng = random_generator(self.random_state)
        expectation = data.expectation(model)
        rows = data.sample() if warm is None else data.some()
        rule = self._rule(model, prior, data, rng)

        def run(step: Callback | None) -> engine.Fit[Both[H]]:
            start = warm
            if start is None:
                start = model.update(prior, self._initial(model.family, rows, rng))
            before = None if warm is None else self._course.before
            previous = float("-inf") if before is None else before
            return engine.run(
                rule, Both(start, prior), expectation, total_weight=1.0, tol=self.tol,
                max_iter=self.max_iter, previous=previous, callback=step,
                n_rows=data.n_rows_read, ended=kept,
            )  # fmt: skip

        reporter = Reporter(int(self.verbose), self.verbose_interval, callback)
        return best_of(self.n_init if warm is None else 1, run, lambda _: [], reporter).fit

    def _rule(
        self,
        model: Mixture[P, Any],
        prior: MixturePrior[H],
        data: TrainingRows,
        rng: np.random.RandomState | np.random.Generator,
    ) -> Rule[Both[H], Any, Any, Any]:
        """Coordinate ascent, or epochs of steps on batches that are drawn with ``rng``."""
        size = self.batch_size
        if size is None:
            return EmpiricalCAVI(model, self.optimize_concentration)
        step: StochasticVI[MixturePrior[H], Any] = StochasticVI(
            model, prior, data.total_weight(), self.delay, self.forgetting
        )

        def batches() -> Iterator[Batch]:
            seed = seed_from(rng)
            return data.batches(model, size, seed, lambda rows: self._expectation(model, rows))

        return StochasticEpochs(step, batches, self.optimize_concentration)

    def _learned_from(
        self,
        model: Mixture[P, Any],
        data: TrainingRows,
        fit: engine.Fit[Both[H]],
        assess: bool = True,
    ) -> dict[str, Any]:
        """What a fit found; ``assess`` tells whether to go over the data once more for the terms of the bound."""
        posterior, prior = fit.params.posterior, fit.params.prior
        last = fit.history[-1] if fit.history else None
        terms = self._terms(model, prior, posterior, data if assess else None)
        bound = total_of(terms)
        n_steps, bounds = fit.n_iter, [*fit.history[1:], bound]
        if self.batch_size is not None:  # an iteration ends with a bound
            n_steps *= -(-len(data) // self.batch_size)
            bounds = [*fit.history[:-1], bound] if assess else fit.history
        if not assess:
            assert last is not None
            bound = last  # of the posterior that the last step started from, if it was no epoch
        n_copies = self._n_copies(data.n_features)
        return self._learned_of(posterior, prior, model.family, data, n_copies) | {
            "converged_": fit.converged,
            "n_iter_": fit.n_iter,
            "lower_bound_": bound,
            "lower_bounds_": bounds if fit.history else [],
            "elbo_terms_": terms,
            "_course": Course(last, n_steps, data.total_weight()),
            **after_fit(len(data), data.total_weight(), prior, None),
        }

    def _learned_of(
        self,
        posterior: MixturePrior[H],
        prior: MixturePrior[H],
        family: Any,
        data: Rows | TrainingRows,
        n_copies: int,
    ) -> dict[str, Any]:
        """What the posterior and the shape of the data tell."""
        dtype = np.dtype(data.dtype)
        return {
            "posterior_": posterior,
            "prior_": prior,
            "family_": family,
            "_dtype": dtype.name,
            "_copies": n_copies,
            "n_features_in_": data.n_features,
            **self._public(posterior, prior, family, dtype, n_copies),
        }

    def _public(
        self,
        posterior: MixturePrior[H],
        prior: MixturePrior[H],
        family: Any,
        dtype: Any,
        n_copies: int,
    ) -> dict[str, Any]:
        counts = expected_counts(posterior.weights, prior.weights)
        n_effective = len(posterior.weights.mean()) if counts is None else int((counts >= 1).sum())
        return {
            "weights_": posterior.weights.mean().astype(dtype),
            "weight_concentration_": concentration_attribute(posterior.weights),
            "n_effective_components_": n_effective,
            **self._attributes(posterior, prior, family, dtype, n_copies),
        }

    def _initial(self, family: Any, data: Rows, rng: Any) -> Any:
        return initial_statistics(
            family, data, self.n_components, self.init_params, rng,
            allow_repeats=True, n_threads=get_num_threads(self.n_threads),
        )  # fmt: skip

    def _expectation(self, model: Mixture[P, Any], data: Rows) -> Expectation[Any, Any]:
        work = self._work_per_row(data.x, self.n_components)
        shard_rows = engine.rows_per_shard(len(data), work)
        return engine.expectation(model, data, shard_rows, get_num_threads(self.n_threads))

    def _terms(
        self,
        model: Mixture[P, Any],
        prior: MixturePrior[H],
        posterior: MixturePrior[H],
        data: Rows | TrainingRows | None,
        scale: float = 1.0,
    ) -> BoundTerms:
        """The terms of the bound of ``data``, times ``scale``; NaN for those that nobody asked of data."""
        of_weights, of_components = model.divergence(posterior, prior)
        expected = entropy = float("nan")
        if isinstance(data, Rows):
            evaluation = self._evaluation_of(model, posterior)
            expected, entropy = evaluation.log_likelihood_and_entropy(data)
        elif data is not None:
            both = LikelihoodAndEntropy(model, model.expected(posterior))
            expected, entropy = summed(data.over(both))
        return {
            "expected_log_joint": scale * (expected - entropy),
            "entropy": scale * entropy,
            "divergence_of_weights": of_weights,
            "divergence_of_components": of_components,
        }

    def _rows(self, X: Any, sample_weight: Any) -> Rows:
        x = self._matrix(X)
        return Rows(x, as_weights(sample_weight, len(x)))

    def _warm_posterior(self, data: TrainingRows, family: Any) -> MixturePrior[H] | None:
        if not self.warm_start or "posterior_" not in self.__dict__:
            return None
        self._check_width(data.some().x)
        check_as_many(len(self.weights_), self.n_components)
        kind = type(self.posterior_.weights).__name__, self.family_
        new_kind = type(self._weight_prior()).__name__, family
        if kind != new_kind:
            raise ValueError(
                f"warm_start: expected a model of the last fit's kind, {kind}, got {new_kind}"
            )
        return self.posterior_

    # -- fewer components -------------------------------------------------------------------------

    def prune(self, X: Any, *, sample_weight: Any = None, tol: float | None = None) -> Self:
        """Leave out components, small ones first, as long as the evidence lower bound does not fall by it; in place.

        The model without a component is compared after one more step of coordinate ascent. What is tried are the
        components that have less than a row, and the smallest of the others. ``n_components`` stays: it is what the
        next ``fit`` begins with.

        Parameters
        ----------
        X : (N, D)
            The rows that the model was fitted to.
        sample_weight : (N,), optional
        tol : float, optional
            By how much the bound may end below the largest one met, nats: what counts as no fall. None is the model's
            ``tol``. (A Dirichlet process never loses by one more empty component, nor does it gain.)

        Raises
        ------
        TypeError
            The weights are fixed.
        """
        self._evaluation()
        if isinstance(self.posterior_.weights, FixedWeights):
            raise TypeError("prune: expected weights that are learned, got fixed ones")
        slack = real("tol", self.tol if tol is None else tol)
        data = without_absent(self._seen_rows(X, sample_weight))
        model: Mixture[P, Any] = Mixture(self.family_)
        expectation = self._expectation(model, data)
        pruning = Pruning(model, expectation, _counts, self._selected)
        posterior, prior, _ = pruning.run(self.posterior_, self.prior_, slack)
        if posterior is self.posterior_:
            return self
        learned = self._learned_of(posterior, prior, self.family_, data, self._copies)
        terms = self._terms(model, prior, posterior, data)
        learned |= {"elbo_terms_": terms, "lower_bound_": total_of(terms)}
        learned["_course"] = self._course._replace(before=None)
        self.__dict__ = {**self.__dict__, **learned}
        return self

    def _selected(self, posterior: MixturePrior[H], keep: npt.NDArray[np.intp]) -> MixturePrior[H]:
        n_components = len(posterior.weights.mean())
        components = selected(self.family_, posterior.components, keep, n_components)
        return MixturePrior(selected_weights(posterior.weights, keep), components)

    # -- inside -----------------------------------------------------------------------------------

    def _weight_prior(self) -> Any:
        return weight_prior(
            self.weight_concentration_prior_type,
            self.weight_concentration_prior,
            self.n_components,
            self.sort_sticks,
        )

    def _check_arguments(self) -> None:
        fitting_arguments(self)
        if self.batch_size is not None:
            integer("batch_size", self.batch_size, 1)
        stochastic_steps(self.delay, self.forgetting)
        boolean("sort_sticks", self.sort_sticks)
        boolean("optimize_concentration", self.optimize_concentration)
        check_weight_prior(
            self.weight_concentration_prior_type,
            self.weight_concentration_prior,
            self.n_components,
        )

    def _check_size(self, data: Rows | TrainingRows) -> None:
        if len(data) < 2:
            raise ValueError(
                f"X: expected at least 2 rows, got n_samples = {len(data)} while a minimum of 2 is "
                f"required by {type(self).__name__}"
            )

    def __sklearn_is_fitted__(self) -> bool:
        """Rows that wait have attributes too."""
        return "posterior_" in self.__dict__

    def _checked_stream(self, stream: Stream) -> Stream:
        return check_posterior_stream(self, stream)

    # -- storage ----------------------------------------------------------------------------------

    def _learned(self) -> dict[str, Any]:
        return pack_posterior(self.__dict__)

    def _checked_learned(self, learned: dict[str, Any]) -> dict[str, Any]:
        if not learned:
            return {}
        values = unpack_posterior(learned, self._family_class())
        posterior, prior, family = values["posterior_"], values["prior_"], values["family_"]
        dtype = np.dtype(values["_dtype"])
        return {**values, **self._public(posterior, prior, family, dtype, values["_copies"])}


def _counts(posterior: MixturePrior[Any], prior: MixturePrior[Any]) -> Array:
    counts = expected_counts(posterior.weights, prior.weights)
    assert counts is not None
    return counts
