"""What all mixtures have in common: fitting, predictions, criteria, copies in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from latentcore import engine
from latentcore.arrays import Rows, as_labels, as_weights, column_names
from latentcore.errors import NumericalError
from latentcore.estimators.bootstrap import Bootstrap, BootstrapKind, bootstrapped
from latentcore.estimators.checks import boolean, fitting_arguments, one_of
from latentcore.estimators.components import order_by
from latentcore.estimators.mixture_answers import MixtureAnswers
from latentcore.estimators.mixture_common import RandomState
from latentcore.estimators.mixture_stream import after_fit, learn, relabelled
from latentcore.estimators.online import OnlineArgument, Stream
from latentcore.estimators.online import resolved as resolved_online
from latentcore.estimators.priors import check_prior, resolved
from latentcore.estimators.progress import Reporter
from latentcore.estimators.restarts import (
    Best,
    Kept,
    best_of,
    bound,
    check_as_many,
    degenerate_components,
    fit_of,
    warn_not_converged,
    warn_of_degenerate,
)
from latentcore.estimators.saved_stream import check_mixture_stream
from latentcore.estimators.starts import InitParams, Start
from latentcore.estimators.summary import course, figures_table, stream_course
from latentcore.estimators.survey import rows_of_parts
from latentcore.estimators.training_rows import (
    InMemory,
    TrainingRows,
    absent_replaced,
    check_all_occur,
    check_support,
    training,
)
from latentcore.parts import ChangedPartsError, Part
from latentcore.streams import for_each_batch
from latentcore.structures.mixture import Mixture as Model
from latentcore.structures.mixture import MixtureParams, MixturePrior

__all__ = [
    "Assignment",
    "Callback",
    "MixtureEstimator",
    "RandomState",
    "absent_replaced",
    "check_all_occur",
    "check_support",
    "outcome",
]

P = TypeVar("P")

Assignment = Literal["soft", "hard"]
Callback = Callable[[engine.Progress], None]

_ASSIGNMENTS = get_args(Assignment)


class MixtureEstimator(MixtureAnswers[P], Generic[P]):
    """The face of a mixture. A subclass tells its family, and how it keeps the parameters."""

    _routed: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "fit": ("sample_weight", "labels"),
        "partial_fit": ("sample_weight", "labels"),
        "score": ("sample_weight",),
    }

    _start_arguments: ClassVar[tuple[str, ...]] = ("weights_init", "params_init")
    """Which together are all of a start."""

    tol: float
    max_iter: int
    n_init: int
    init_params: InitParams
    weights_init: npt.ArrayLike | None
    warm_start: bool
    verbose: int
    verbose_interval: int
    prior: Any
    assignment: Assignment
    online: OnlineArgument

    weights_: npt.NDArray[Any]
    converged_: bool
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]
    n_degenerate_: int
    n_samples_seen_: int
    _stream: Stream

    # -- what a subclass tells --------------------------------------------------------------------

    def _attributes(self, params: MixtureParams[P], family: Any, dtype: Any) -> dict[str, Any]:
        """The public attributes of these parameters, fitted to data of this dtype."""
        raise NotImplementedError

    def _params_of(self, attributes: dict[str, Any]) -> MixtureParams[P]:
        """The parameters that ``_attributes`` made attributes of."""
        raise NotImplementedError

    def _reordered(self, order: npt.NDArray[np.intp]) -> dict[str, Any]:
        """The public attributes of parameters with component ``order[k]`` in place k."""
        raise NotImplementedError

    def _heading(self, params: MixtureParams[P]) -> str:
        raise NotImplementedError

    def _start(
        self,
        model: Model[P, Any],
        data: Rows,
        prior: MixturePrior[Any] | None,
        warm: MixtureParams[P] | None,
    ) -> Start[P]:
        raise NotImplementedError

    def _family_to_refit(self) -> Any:
        """The family, as a fit that goes on from the learned parameters uses it."""
        return self._family()

    # -- fitting ----------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        labels: Any = None,
        callback: Callback | None = None,
    ) -> Self:
        """Fit to rows ``X`` by EM.

        Parameters
        ----------
        X : array or data frame, (N, D), or rows in parts
            C-contiguous float32 and float64 arrays are not copied. NaN, and what a data frame has
            for a missing value, is a missing entry.

            Parts are ``latentcore.Batches``, the path of a file that it reads, a list of matrices or
            data frames, another iterable of them that begins anew each time, or a function that returns
            an iterator; then each iteration reads them once, and the start is made from all rows if
            these are few, else from about 131 000 that are drawn at random.
        y : ignored
        sample_weight : (N,), optional
            A row of weight 2 counts as two rows, a row of weight 0 is left out.
        labels : (N,) integers, optional
            Components of the rows, from 0, where they are known; -1 where they are not. Where all
            are known, the fit is the supervised one, in closed form.
        callback : callable, optional
            Gets an ``engine.Progress`` after each iteration.

        Raises
        ------
        ValueError, TypeError
            An argument is wrong.
        NumericalError
            A component collapsed, from every start.
        ChangedPartsError
            Parts had not as many rows in one pass as in another.

        Warns
        -----
        ConvergenceWarning
            ``tol`` was not met in ``max_iter`` iterations.
        DegenerateComponentWarning
            Every start ended with a component that has collapsed.

        Notes
        -----
        After an exception the model is as it was before, but for Ctrl-C and sources that fail in a fit to
        parts: then it has the parameters of the last complete iteration, and ``converged_`` is False.
        """
        self._fit(X, sample_weight, labels, callback)
        return self

    def fit_predict(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        labels: Any = None,
        callback: Callback | None = None,
    ) -> npt.NDArray[np.intp]:
        """``fit(X)``, then ``predict(X)``."""
        self._refuse_parts(X)
        params, data = self._fit(X, sample_weight, labels, callback)
        assert isinstance(data, InMemory)
        return self._evaluation(params).labels(data.given.x)

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        labels: Any = None,
        total_weight: float | None = None,
    ) -> Self:
        """One step of online EM on a batch of rows; ``online`` tells how.

        The first batch makes the start, as it would for ``fit``. If it is too small for one, its rows wait, inside the
        model and its pickles and files, until there are enough: ten for each component, and D + 1 for each with
        ``covariance_type="full"``. Together they are then the first batch, and count as so many steps. All of the start
        given (``weights_init`` and the components'), or a prior other than "weak", need none. Until then there is
        nothing to predict with: ``NotFittedError`` says how many rows wait.

        After ``fit`` the stream goes on as if the fit had been in steps on batches like the first. ``fit`` ends a
        stream; with ``warm_start`` it begins where the stream is.

        Parameters
        ----------
        X : (N, D), or batches
            As few as one row. Later batches may be all missing in a column.

            Batches are ``latentcore.Batches`` and what it takes, such as a generator: a step for each. Where one is
            wrong, the steps before it stay.
        sample_weight : (N,), optional
        labels : (N,) integers, optional
            As in ``fit``; not every label has to occur.
        total_weight : float, optional
            Number of rows that a prior is weighed against. None: those that the model remembers.

        Raises
        ------
        ValueError, TypeError
            An argument is wrong, or the batch is not like the first. The model stays as it was.
        NumericalError
            A row is impossible; such as one with a value that no batch had before, without a prior. The same.

        Notes
        -----
        ``lower_bound_`` is that of the batch before the step. ``lower_bounds_`` keeps those of the latest 1024 steps.

        Attributes that are set by hand are what the next step starts from; a running statistic or an average, which do
        not belong to them, then begin anew. ``prior="weak"`` stays what it was for the first batch.
        """

        def learn_part(part: Part) -> None:
            learn(self, part.X, part.sample_weight, part.labels, total_weight)

        if not for_each_batch(X, learn_part, sample_weight=sample_weight, labels=labels):
            learn(self, X, sample_weight, labels, total_weight)
        return self

    def _fit(
        self, X: Any, sample_weight: Any, labels: Any, callback: Callback | None
    ) -> tuple[MixtureParams[P], TrainingRows]:
        self._check_arguments()
        data = self._training_rows(X, sample_weight, labels)
        self._check_size(data)
        family = data.family(self._family_to_fit)
        model = Model(family, hard=self.assignment == "hard", equal_weights=self.equal_weights)
        prior = resolved(self.prior, model, data, self.n_components)
        kept = Kept[MixtureParams[P]](
            lambda params: degenerate_components(family, params.components)
        )
        try:
            best = self._best_of_starts(model, prior, data, callback, kept)
            if best.degenerate:
                warn_of_degenerate(best.degenerate, self.prior is not None, stacklevel=4)
            if not best.fit.converged and self.max_iter > 0:
                warn_not_converged(stacklevel=4)
            return self._take_over(best, family, prior, data), data
        except NumericalError as error:
            raise self._explained(error, data) from None
        except (KeyboardInterrupt, OSError, ChangedPartsError):
            if data.resumable and kept.fit is not None:
                self._take_over(Best(kept.fit, [], 0), family, prior, data, shown=False)
            raise

    def _take_over(
        self,
        best: Best[MixtureParams[P]],
        family: Any,
        prior: MixturePrior[Any] | None,
        data: TrainingRows,
        shown: bool = True,
    ) -> MixtureParams[P]:
        """Learn the parameters of a fit; ``shown`` tells whether to go over the data once more for ``summary``."""
        learned = self._attributes(best.fit.params, family, data.dtype)
        params = self._params_of(learned)
        learned |= outcome(best)
        model = Model(family) if shown else None
        learned["_training"] = training(data, model, params)
        learned["n_features_in_"] = data.n_features
        learned |= after_fit(len(data), data.total_weight(), prior, self.prior)
        self._replace(learned, data.names)
        return params

    def _training_rows(self, X: Any, sample_weight: Any, labels: Any) -> TrainingRows:
        parts = rows_of_parts(self, X, sample_weight=sample_weight, labels=labels)
        if parts is not None:
            return parts
        names = column_names(X)
        rows = self._rows_to_fit(X, sample_weight, labels)
        return self._in_memory(rows, names)

    def _rows_to_fit(self, X: Any, sample_weight: Any, labels: Any) -> Rows:
        x = self._matrix(X)
        weight = as_weights(sample_weight, len(x))
        rows = Rows(x, weight, labels=as_labels(labels, len(x), self.n_components))
        check_all_occur(rows, self.n_components)
        return rows

    def _check_all_occur(self, data: Rows) -> None:
        check_all_occur(data, self.n_components)

    def _is_start_given(self) -> bool:
        """Whether a stream needs no rows to begin with."""
        if self.prior is not None and not isinstance(self.prior, str):
            return True
        return all(getattr(self, name) is not None for name in self._start_arguments)

    def _best_of_starts(
        self,
        model: Model[P, Any],
        prior: MixturePrior[Any] | None,
        data: TrainingRows,
        callback: Callback | None,
        kept: Kept[MixtureParams[P]],
    ) -> Best[MixtureParams[P]]:
        warm = self._warm_params(data)
        rows = data.sample() if warm is None else data.some()
        start = self._start(model, rows, prior, warm)
        start.everywhere = data.everywhere()
        run = fit_of(self, model, prior, data, kept)
        previous = float("-inf") if start.warm is None else self.lower_bound_
        reporter = Reporter(int(self.verbose), self.verbose_interval, callback)
        n_starts = self.n_init if start.warm is None else 1
        return best_of(
            n_starts,
            lambda step: run(start.next(), previous, step),
            lambda params: degenerate_components(model.family, params.components),
            reporter,
        )

    def _warm_params(self, data: TrainingRows) -> MixtureParams[P] | None:
        if not self.warm_start or "converged_" not in self.__dict__:
            return None
        self._check_width(data.some().x)
        params = self._params()
        check_as_many(len(params.weights), self.n_components)
        return params

    # -- the model itself -------------------------------------------------------------------------

    def summary(self) -> str:
        """A table of the fit to its training data and of the components; print it."""
        params = self._params()
        state = self.__dict__
        lines = [self._heading(params)]
        stream = state.get("_stream", Stream())
        if stream.n_steps > 0:
            lines += [stream_course(stream, self.n_samples_seen_)]
        elif "_training" in state:
            lines += [course(state["_training"], state["converged_"], state["n_iter_"]), ""]
            n_parameters = self._count(params) if hasattr(self._family(), "n_parameters") else None
            lines += figures_table(state["_training"], n_parameters)
        return "\n".join([*lines, "", *self._components_table(params)])

    def relabel(
        self, by: Literal["weight"] | Callable[[Self], npt.ArrayLike] | npt.ArrayLike = "weight"
    ) -> Self:
        """Put the components into an order, in place; which is first is otherwise chance.

        Parameters
        ----------
        by : "weight", callable or (K,) integers
            The largest weight first; what the callable makes of the model, (K,) numbers, smallest
            first; or the components in the order wanted. Equals keep their order.

        Examples
        --------
        ``model.relabel(by=lambda m: m.means_[:, 0])``

        Raises
        ------
        ValueError
            Not "weight", not K numbers, or not a permutation of 0 to K - 1.
        """
        n_components = len(self._params().weights)
        if isinstance(by, str):
            if by != "weight":
                raise ValueError(f"by: expected 'weight', a callable or an order, got {by!r}")
            order = np.argsort(-np.asarray(self.weights_), kind="stable")
        else:
            order = order_by(by, self, n_components, "components")
        self.__dict__ = {**self.__dict__, **self._relabelled(order)}
        return self

    def _relabelled(self, order: npt.NDArray[np.intp]) -> dict[str, Any]:
        """What a new order of the components changes, the stream included."""
        changed = self._reordered(order)
        stream = self.__dict__.get("_stream")
        if stream is not None:
            after = self._params_of({**self.__dict__, **changed})
            changed["_stream"] = relabelled(stream, self._family(), self._params(), after, order)
        return changed

    def bootstrap(
        self,
        X: Any,
        n: int = 100,
        *,
        kind: BootstrapKind = "nonparametric",
        sample_weight: Any = None,
        labels: Any = None,
        random_state: RandomState | None = None,
        callback: Callable[[int, int], None] | None = None,
    ) -> Bootstrap[P]:
        """Standard errors: fit again, from here, to data that might have been, n times.

        Components of a refit are matched to the model's by the rows that they share: the
        assignment of largest joint responsibility for the rows of ``X``.

        Parameters
        ----------
        X, sample_weight, labels
            What the model was fitted to.
        n : int, >= 2
        kind : {"nonparametric", "parametric"}
            Rows of ``X`` drawn with replacement (Efron 1979), or rows drawn from the model.
        random_state : int, numpy RandomState or Generator, optional
        callback : callable, optional
            Gets the number of refits done and n.

        Raises
        ------
        NumericalError
            Too many refits ended with a collapsed component.
        """
        return bootstrapped(
            self, X, n, kind=kind, sample_weight=sample_weight, labels=labels,
            random_state=random_state, callback=callback,
        )  # fmt: skip

    # -- inside -----------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        """Rows that wait have attributes too."""
        return "weights_" in self.__dict__

    def _checked_stream(self, stream: Stream) -> Stream:
        if "converged_" not in self.__dict__:
            return check_mixture_stream(self, stream, None, None)
        return check_mixture_stream(self, stream, Model(self._family()), self._params())

    # -- checks -----------------------------------------------------------------------------------

    def _check_arguments(self) -> None:
        fitting_arguments(self)
        check_prior(self.prior)
        one_of("assignment", self.assignment, _ASSIGNMENTS)
        boolean("equal_weights", self.equal_weights)
        resolved_online(self.online)
        if self.equal_weights and self.weights_init is not None:
            raise ValueError("weights_init: expected None with equal_weights=True, got weights")

    def _check_size(self, data: Rows | TrainingRows) -> None:
        found = f"n_samples = {len(data)}"
        if data.weighted:
            found += " of positive weight"
        if len(data) < 2:
            raise ValueError(
                f"X: expected at least 2 rows, got {found} while a minimum of 2 is required by "
                f"{type(self).__name__}"
            )
        if len(data) < self.n_components and self.prior is None:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"{found} (a prior would allow it)"
            )


def outcome(best: Best[Any] | None) -> dict[str, Any]:
    return {
        "converged_": best is not None and best.fit.converged,
        "n_iter_": 0 if best is None else best.fit.n_iter,
        "lower_bound_": float("-inf") if best is None else bound(best.fit),
        "lower_bounds_": [] if best is None else best.fit.history,
        "n_degenerate_": 0 if best is None else best.n_degenerate,
    }
