"""Hidden Markov models fitted by expectation maximisation: what those of all families have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from latentcore.errors import (
    NumericalError,
)
from latentcore.estimators.checks import (
    fitting_arguments,
    one_of,
    random_generator,
)
from latentcore.estimators.components import (
    given_components,
    n_features_of,
    order_by,
    reordered,
)
from latentcore.estimators.hmm_answers import Algorithm
from latentcore.estimators.hmm_batches import check_continues, learn_from
from latentcore.estimators.hmm_chain import checked_initial, checked_transition, with_zeros
from latentcore.estimators.hmm_evaluation import HMMEvaluation
from latentcore.estimators.hmm_fitting import FittedHMM
from latentcore.estimators.hmm_prior import HMMPriorArgument, resolved
from latentcore.estimators.hmm_start import HMMStart, ToBegin, begun
from latentcore.estimators.hmm_stream import ASKED, is_endless, learn, relabelled
from latentcore.estimators.mixture_base import (
    Assignment,
    Callback,
    RandomState,
    outcome,
)
from latentcore.estimators.mixture_stream import after_fit
from latentcore.estimators.online import OnlineArgument, Stream
from latentcore.estimators.online import resolved as resolved_online
from latentcore.estimators.priors import Pooling, check_prior
from latentcore.estimators.progress import Reporter
from latentcore.estimators.restarts import (
    Best,
    Kept,
    best_of,
    check_as_many,
    degenerate_components,
    fit_of,
    warn_not_converged,
    warn_of_degenerate,
)
from latentcore.estimators.saved_hmm_stream import check_hmm_stream
from latentcore.estimators.saved_learned import check_components, pack_learned, unpack_learned
from latentcore.estimators.starts import InitParams
from latentcore.estimators.summary import (
    chain_table,
    components_table,
    course,
    figures_table,
    state_labels,
    stream_course,
)
from latentcore.estimators.training_sequences import TrainingSequences, training
from latentcore.families.mixed import MixtureFamily
from latentcore.initialization import Everywhere
from latentcore.parts import ChangedPartsError, Part
from latentcore.protocols import RealArray
from latentcore.sequences import Sequences
from latentcore.structures.hmm import FREE, HMMParams, HMMPrior
from latentcore.structures.hmm import HMM as Model
from latentcore.structures.topology import Topology
from latentcore.threads import get_num_threads

__all__ = ["HMMEstimator"]

P = TypeVar("P")
H = TypeVar("H")

_KEPT = ("startprob_", "transmat_", "components_", "family_", "n_features_in_")


class HMMEstimator(FittedHMM[P], Generic[P, H]):
    """A hidden Markov model: its parameters are ``startprob_``, ``transmat_`` and the family's own, ``components_``."""

    _family_type: type[Any]
    """The family, where it is known with the class."""
    _params_class: type[Any] | None = None
    """The family's parameters, where the family is known with the class."""

    startprob_: npt.NDArray[np.float64]
    transmat_: npt.NDArray[np.float64]
    components_: P
    family_: Any
    converged_: bool
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]
    n_degenerate_: int
    online: OnlineArgument
    n_samples_seen_: int
    _stream: Stream

    _since_the_first_files = frozenset({"online"})

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-5,
        max_iter: int = 200,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        startprob_init: npt.ArrayLike | None = None,
        transmat_init: npt.ArrayLike | None = None,
        params_init: P | Mapping[str, npt.ArrayLike] | None = None,
        topology: Topology | None = None,
        prior: HMMPriorArgument[H] = None,
        assignment: Assignment = "soft",
        algorithm: Algorithm = "viterbi",
        random_state: RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        online: OnlineArgument = None,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.startprob_init = startprob_init
        self.transmat_init = transmat_init
        self.params_init = params_init
        self.topology = topology
        self.prior = prior
        self.assignment = assignment
        self.algorithm = algorithm
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.online = online

    @classmethod
    def _made(
        cls,
        family: Any,
        startprob: npt.ArrayLike,
        transmat: npt.ArrayLike,
        components: Any,
        /,
        *,
        random_state: RandomState | None,
        **arguments: Any,
    ) -> Self:
        """A model with these parameters."""
        n_states = int(np.size(startprob))
        learned = {
            "startprob_": checked_initial(startprob, n_states, "startprob"),
            "transmat_": checked_transition(transmat, n_states, "transmat"),
            "components_": given_components(components, cls._params_class, n_states, "components"),
            "family_": family,
            **outcome(None),
        }
        learned["n_features_in_"] = n_features_of(family, learned["components_"])
        model = cls(n_components=n_states, random_state=random_state, **arguments)
        model._replace(learned, None)
        return model

    # -- what a subclass may tell -----------------------------------------------------------------

    def _family_class(self) -> type:
        return self._family_type

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Any:
        return self._family_type()

    def _given_emissions(self, family: Any, n_features: int) -> Callable[[Callable[[], P]], P]:
        """What puts the given parameters of a start, checked, in the place of made ones."""
        if self.params_init is None:
            return lambda made: made()
        given = given_components(
            self.params_init, self._params_class, self.n_components, "params_init"
        )
        found = n_features_of(family, given)
        if found != n_features:
            raise ValueError(
                f"params_init: expected parameters of {n_features} features, as X has, got {found}"
            )
        return lambda made: given

    def _emissions_are_given(self) -> bool:
        """Whether a start needs no data."""
        return self.params_init is not None

    def _is_start_given(self) -> bool:
        """Whether a stream needs no rows to begin with."""
        if self.prior is not None and not isinstance(self.prior, str):
            return True
        return self._emissions_are_given()

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
        """One step of online EM on a batch of sequences, or on a block of one; ``online`` tells how.

        With ``horizon="batch"``, the default, an observation is a whole sequence, and what is known is weighed over
        sequences as long as those of the batch. With ``horizon="endless"`` it is a row of a sequence without an end:
        the law of the first state then keeps its value, and a sequence may come in blocks (``continues``).

        The first batch makes the start, as it would for ``fit``. If it is too small for one, its sequences wait, inside
        the model and its pickles and files, until there are enough rows: ten for each state, D + 1 for each with
        ``covariance_type="full"``. Emissions that are given, or a prior other than "weak", need none. Until then there
        is nothing to predict with: ``NotFittedError`` says how many rows wait.

        After ``fit`` the stream goes on as if the fit had been in steps on batches like the first. ``fit`` ends a
        stream; with ``warm_start`` it begins where the stream is.

        Parameters
        ----------
        X : (N, D), a list of such, or batches of them
            ``latentcore.Batches``, the path of a file that it reads, an iterator or a function that returns one: a step
            for each. With a column of groups sequences may go on in the next batch, and wait for their end. Without,
            and with ``continues``, all batches are blocks of one sequence.
        lengths, groups, sample_weight, labels : optional
            As in ``fit``; not every label has to occur.
        total_weight : float, optional
            Number of observations, sequences or rows by the horizon, that a prior is weighed against. None: those that
            the model remembers.
        continues : bool
            Whether the first sequence goes on where the last one of the batch before ended. Its states are smoothed
            within the block, given the law of the state at the cut, and the transition across the cut counts. With
            ``inertia="forward-only"`` the statistics of blocks before are corrected, too.

        Raises
        ------
        ValueError, TypeError
            An argument is wrong, or the batch is not like the first. The model stays as it was.
        NumericalError
            A sequence is impossible; such as one with a value that no batch had before, without a prior. The same.

        Notes
        -----
        ``lower_bound_`` is that of the batch before the step. ``lower_bounds_`` keeps those of the latest 1024 steps.

        Attributes that are set by hand are what the next step starts from; a running statistic or an average, which do
        not belong to them, then begin anew. ``prior="weak"`` stays what it was for the first batch.
        """

        check_continues(continues, is_endless(resolved_online(self.online)), ASKED)
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
        data.check_all_occur()
        family = self._family_of(data)
        warm = self._warm_params()
        model = Model(family, hard=self.assignment == "hard", topology=self._topology())
        prior = self._resolved_prior(model, data, warm)
        kept = Kept[HMMParams[P]](lambda params: degenerate_components(family, params.emissions))
        try:
            best = self._best_of_starts(model, prior, data, warm, callback, kept)
            if best.degenerate:
                warn_of_degenerate(best.degenerate, self.prior is not None, stacklevel=4)
            if not best.fit.converged and self.max_iter > 0:
                warn_not_converged(stacklevel=4)
            self._take_over(best, family, prior, data)
        except NumericalError as error:
            raise data.numbered(error) from None
        except (KeyboardInterrupt, OSError, ChangedPartsError):
            if data.resumable and kept.fit is not None:
                self._take_over(Best(kept.fit, [], 0), family, prior, data, shown=False)
            raise

    def _take_over(
        self,
        best: Best[HMMParams[P]],
        family: Any,
        prior: HMMPrior[Any] | None,
        data: TrainingSequences,
        shown: bool = True,
    ) -> None:
        """Learn the parameters of a fit; ``shown`` tells whether to go over the data once more for ``summary``."""
        params = best.fit.params
        learned = {
            "startprob_": params.initial,
            "transmat_": params.transition,
            "components_": params.emissions,
            "family_": family,
            "n_features_in_": data.n_features,
            "_training": training(data, Model(family) if shown else None, params),
            **outcome(best),
            **after_fit(len(data), data.total_weight(), prior, self.prior),
        }
        self._replace(learned, data.names)

    def _best_of_starts(
        self,
        model: Model[P, Any],
        prior: HMMPrior[Any] | None,
        data: TrainingSequences,
        warm: HMMParams[P] | None,
        callback: Callback | None,
        kept: Kept[HMMParams[P]],
    ) -> Best[HMMParams[P]]:
        self._check_size(data, warm)
        start = self._start(model, prior, data, warm, data.everywhere())
        run = fit_of(self, model, prior, data, kept)
        previous = float("-inf") if warm is None else self.lower_bound_
        reporter = Reporter(int(self.verbose), self.verbose_interval, callback)
        return best_of(
            self.n_init if warm is None else 1,
            lambda step: run(start.next(), previous, step),
            lambda params: degenerate_components(model.family, params.emissions),
            reporter,
        )

    def _resolved_prior(
        self, model: Model[P, Any], data: Sequences | Pooling, known: HMMParams[P] | None
    ) -> HMMPrior[Any] | None:
        """The prior where zeros of the chain are those of ``known`` parameters, else of what a fit begins with."""
        if known is None:
            chain = begun(model.topology, self.n_components, *self._given_chain())
        else:
            model.topology.check_law(known.initial, known.transition)
            chain = known.initial, known.transition
        return resolved(self.prior, model, data, *chain)

    def _start(
        self,
        model: Model[P, Any],
        prior: HMMPrior[Any] | None,
        data: ToBegin,
        warm: HMMParams[P] | None,
        everywhere: Everywhere | None = None,
    ) -> HMMStart[P]:
        return HMMStart(
            model, data, self.n_components, self.init_params, random_generator(self.random_state),
            *self._given_chain(), self._given_emissions(model.family, data.n_features), prior, warm,
            get_num_threads(self.n_threads), everywhere,
        )  # fmt: skip

    def _given_chain(self) -> tuple[Any, Any]:
        """``startprob_init`` and ``transmat_init``, checked."""
        n_states, initial, transition = self.n_components, self.startprob_init, self.transmat_init
        return (
            None if initial is None else checked_initial(initial, n_states, "startprob_init"),
            None
            if transition is None
            else checked_transition(transition, n_states, "transmat_init"),
        )

    def _warm_params(self) -> HMMParams[P] | None:
        if not self._goes_on():
            return None
        params = self._params()
        check_as_many(len(params.initial), self.n_components)
        return params

    # -- parameters -------------------------------------------------------------------------------

    def _params(self) -> HMMParams[P]:
        state = self.__dict__
        if not {"startprob_", "transmat_", "components_"} <= state.keys():
            raise self._not_fitted()
        return HMMParams(
            np.ascontiguousarray(state["startprob_"], np.float64),
            np.ascontiguousarray(state["transmat_"], np.float64),
            state["components_"],
        )

    def _evaluation(self) -> HMMEvaluation:
        evaluation = super()._evaluation()
        _check_chain(self.startprob_, self.transmat_)  # which users may have set
        return evaluation

    def _n_parameters(self) -> int:
        params = self._params()
        n_states = len(params.initial)
        of_chain = self._topology().n_parameters(n_states)
        return of_chain + int(self._capable("n_parameters").n_parameters(params.emissions))

    def relabel(self, by: Callable[[Self], npt.ArrayLike] | npt.ArrayLike) -> Self:
        """Put the states into an order, in place; which is first is otherwise chance.

        Parameters
        ----------
        by : callable or (S,) integers
            What the callable makes of the model, (S,) numbers, smallest first; or the states in the order wanted.
            Equals keep their order.

        Notes
        -----
        ``topology`` stays as it is: a warm start needs states in its order.

        Examples
        --------
        ``model.relabel(by=lambda m: m.means_[:, 0])``

        Raises
        ------
        ValueError
            Not S numbers, or not a permutation of 0 to S - 1.
        """
        params, family = self._params(), self._family()
        order = order_by(by, self, len(params.initial), "states")
        after = HMMParams(
            params.initial[order],
            params.transition[np.ix_(order, order)],
            reordered(family, params.emissions, order),
        )
        changed = {
            "startprob_": after.initial,
            "transmat_": after.transition,
            "components_": after.emissions,
        }
        if "_stream" in self.__dict__:
            changed["_stream"] = relabelled(self._stream, family, params, after, order)
        self.__dict__ = {**self.__dict__, **changed}
        return self

    def summary(self) -> str:
        """A table of the fit to its training data, of the states and of the chain; print it."""
        params, family, state = self._params(), self._family(), self.__dict__
        n_states = len(params.initial)
        mixed = isinstance(family, MixtureFamily)
        name = f"{type(family.family).__name__} mixture" if mixed else type(family).__name__
        lines = [f"{name} hidden Markov model: S = {n_states}, D = {self.n_features_in_}"]
        stream = state.get("_stream", Stream())
        if stream.n_steps > 0:
            lines += [stream_course(stream, self.n_samples_seen_)]
        elif "_training" in state:
            lines += [course(state["_training"], state["converged_"], state["n_iter_"]), ""]
            n_parameters = self._n_parameters() if hasattr(family, "n_parameters") else None
            lines += figures_table(state["_training"], n_parameters)
        names = state.get("feature_names_in_")
        lines += ["", *chain_table(params.initial, params.transition)]
        table = components_table(
            params.emissions, family, names, self.n_features_in_, state_labels(n_states)
        )
        return "\n".join([*lines, "", *table])

    # -- checks -----------------------------------------------------------------------------------

    def _topology(self) -> Topology:
        given = FREE if self.topology is None else self.topology
        return with_zeros(given, *self._given_chain())

    def _check_arguments(self) -> None:
        fitting_arguments(self)
        check_prior(self.prior)
        one_of("assignment", self.assignment, get_args(Assignment))
        one_of("algorithm", self.algorithm, get_args(Algorithm))
        resolved_online(self.online)
        if self.topology is not None and not isinstance(self.topology, Topology):
            raise TypeError(f"topology: expected a Topology or None, got {self.topology!r}")
        self._topology().check(self.n_components)

    def _check_size(self, data: TrainingSequences, warm: HMMParams[P] | None) -> None:
        """A start needs a row for each state."""
        allowed = warm is not None or self.prior is not None or self._emissions_are_given()
        if len(data) < self.n_components and not allowed:
            raise ValueError(
                f"X: expected at least n_components = {self.n_components} rows, got "
                f"n_samples = {len(data)} (a prior or given parameters would allow it)"
            )

    # -- storage ----------------------------------------------------------------------------------

    def _checked_stream(self, stream: Stream) -> Stream:
        if "components_" not in self.__dict__:
            return check_hmm_stream(self, stream, None, None)
        model: Model[P, Any] = Model(self._family(), topology=self._topology())
        return check_hmm_stream(self, stream, model, self._params())

    def _learned(self) -> dict[str, Any]:
        if "components_" not in self.__dict__:
            return {}
        params = self._params()
        _check_chain(params.initial, params.transition)
        return pack_learned(self.__dict__, _KEPT)

    def _checked_learned(self, learned: dict[str, Any]) -> dict[str, Any]:
        if not learned:
            return {}
        attributes = unpack_learned(learned, _KEPT, self._family_class())
        _check_chain(attributes["startprob_"], attributes["transmat_"])
        check_components(attributes, self._params_class, len(attributes["startprob_"]))
        return attributes


def _check_chain(initial: Any, transition: Any) -> None:
    """Raise ``ValueError`` for attributes that are no laws."""
    n_states = int(np.size(initial))
    checked_initial(initial, n_states, "startprob_")
    checked_transition(transition, n_states, "transmat_")
