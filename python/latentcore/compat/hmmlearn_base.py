"""What hmmlearn's classes have in common: the chain, fitting, scoring, decoding, drawing."""

from __future__ import annotations

import logging
import string
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from latentcore import engine
from latentcore.arrays import CSR, Rows
from latentcore.estimators.base import Estimator
from latentcore.estimators.blocks import work_per_row
from latentcore.estimators.checks import random_generator
from latentcore.estimators.hmm_evaluation import HMMEvaluation, work_of_chain
from latentcore.initialization import Clusters, kmeans, kmeans_plusplus
from latentcore.protocols import Array, RealArray
from latentcore.sequences import Sequences, as_sequences
from latentcore.statistics import Statistics
from latentcore.structures.chains import stationary_distribution
from latentcore.structures.hmm import HMM, HMMStatistics
from latentcore.structures.hmm_types import HMMParams
from latentcore.threads import get_num_threads

__all__ = [
    "DECODER_ALGORITHMS",
    "BaseHMM",
    "ChainHMM",
    "ConvergenceMonitor",
    "Drawer",
    "RandomState",
    "best_of_kmeans",
    "check_sums",
    "divided",
    "mode_of_rows",
]

DECODER_ALGORITHMS = frozenset(("viterbi", "map"))

RandomState = int | np.random.RandomState | None

Drawer = Callable[[int, Any], Any]
"""A row of a state, by a generator."""

_log = logging.getLogger("latentcore.compat.hmmlearn")

_KMEANS_STARTS = 10


class ConvergenceMonitor:
    """Watches a fit, and says when it is over.

    A subclass may say otherwise in ``converged``; set ``model.monitor_`` to one before ``fit``.

    Attributes
    ----------
    history : deque
        The objective that each iteration began with, nats, total.
    iter : int
    tol, n_iter, verbose
        As given.
    """

    _template = "{iter:>10d} {log_prob:>16.8f} {delta:>+16.8f}"  # programs read these columns

    def __init__(self, tol: float, n_iter: int, verbose: bool) -> None:
        self.tol = tol
        self.n_iter = n_iter
        self.verbose = verbose
        self.history: deque[float] = deque()
        self.iter = 0

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(history={list(self.history)}, iter={self.iter}, "
            f"n_iter={self.n_iter}, tol={self.tol}, verbose={self.verbose})"
        )

    def _reset(self) -> None:
        self.history.clear()
        self.iter = 0

    def report(self, log_prob: float) -> None:
        """Note an objective; with ``verbose`` print iteration, objective and change to ``sys.stderr``."""
        change = log_prob - self.history[-1] if self.history else float("nan")
        if self.verbose:
            line = self._template.format(iter=self.iter + 1, log_prob=log_prob, delta=change)
            print(line, file=sys.stderr)
        if change < -(np.finfo(float).eps ** 0.5):
            _log.warning(
                "the objective fell: expected at least %s, got %s, a change of %s",
                self.history[-1], log_prob, change,
            )  # fmt: skip
        self.history.append(log_prob)
        self.iter += 1

    @property
    def converged(self) -> bool:
        """Whether ``n_iter`` iterations are done, or the last raised the objective by less than ``tol``."""
        if self.iter == self.n_iter:
            return True
        return len(self.history) >= 2 and self.history[-1] - self.history[-2] < self.tol


class ChainHMM(Estimator):
    """What models fitted by EM and variational ones share."""

    startprob_: Array
    transmat_: Array
    n_features: Any
    """An integer; None, or not there, until it is known."""

    def __init__(
        self,
        n_components: int,
        startprob_prior: npt.ArrayLike | None,
        transmat_prior: npt.ArrayLike | None,
        algorithm: str,
        random_state: RandomState,
        n_iter: int,
        tol: float,
        verbose: bool,
        params: str,
        init_params: str,
        implementation: str,
    ) -> None:
        self.n_components = n_components
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.implementation = implementation
        self.monitor_ = ConvergenceMonitor(tol, n_iter, verbose)

    # -- what a class says of itself

    def _family(self) -> Any:
        """The emissions' family."""
        raise NotImplementedError

    def _emissions(self) -> Any:
        """The emissions' parameters, checked before."""
        raise NotImplementedError

    def _e_step_params(self) -> Any:
        """What the E-step takes: ``HMMParams`` or ``ExpectedHMM``."""
        return self._params()

    def _objective(self, log_likelihood: float) -> float:
        """What the monitor is told of an E-step."""
        return log_likelihood

    def _do_mstep(self, stats: HMMStatistics[Any]) -> None:
        raise NotImplementedError

    def _init(self, X: Any, lengths: Any = None) -> None:
        """Put a start in the place of parameters that are not there, or that ``init_params`` names."""
        raise NotImplementedError

    def _check(self) -> None:
        """``ValueError`` for parameters of other shapes, or that are no distributions."""
        raise NotImplementedError

    def _n_scalars(self) -> dict[str, int]:
        """Free numbers by the letters of ``params``."""
        n = self.n_components
        return {"s": n - 1, "t": n * (n - 1)}

    def _drawer(self) -> Drawer:
        """What draws a row of a state."""
        raise NotImplementedError

    # -- fitting

    def fit(self, X: Any, lengths: Any = None) -> Self:
        """Fit to sequences.

        Parameters
        ----------
        X : (N, D)
            The rows of all sequences, one after another.
        lengths : (Q,) integers, optional
            Of the sequences; they sum to N. By default there is one.

        Raises
        ------
        ValueError
            An argument or a parameter is wrong, or a sequence has density 0.
        """
        rows, data = self._rows_and_sequences(X, lengths)
        self._init(rows, data.lengths)
        self._check()
        self.monitor_._reset()
        model: HMM[Any, Any] = HMM(self._family())
        shard_rows = engine.rows_per_shard(len(data), self._work_per_row(data.x, self.n_components))
        expectation = engine.expectation(model, data, shard_rows, get_num_threads(None))
        for _ in range(self.n_iter):
            stats, log_likelihood = expectation(self._e_step_params())
            objective = self._objective(log_likelihood)
            self._do_mstep(stats)
            self.monitor_.report(objective)
            if self.monitor_.converged:
                break
        return self

    def _needs_init(self, code: str, name: str) -> bool:
        if not hasattr(self, name):
            return True
        if code not in self.init_params:
            return False
        _log.warning(
            "%s: what was set will be overwritten by a start, for which init_params asks with %r",
            name, code,
        )  # fmt: skip
        return True

    def _check_and_set_n_features(self, X: Any) -> None:
        n_features = X.shape[1]
        if self._known_n_features(X) != n_features:
            raise ValueError(f"X: expected {self.n_features} columns, got {n_features}")

    def _known_n_features(self, parameter: npt.ArrayLike) -> int:
        """``n_features``; if it is not known, from now on the columns of this parameter."""
        if getattr(self, "n_features", None) is None:
            self.n_features = int(np.shape(np.atleast_2d(parameter))[-1])
        n_features: int = self.n_features
        return n_features

    def _warn_of_few_data(self, n_values: int) -> None:
        scalars = self._n_scalars()
        n_scalars = sum(scalars.get(code, 0) for code in self.params)
        if n_values < n_scalars:
            _log.warning(
                "X: expected at least as many numbers as free parameters, %d, got %d: "
                "this gives a degenerate solution",
                n_scalars, n_values,
            )  # fmt: skip

    # -- answers

    def score(self, X: Any, lengths: Any = None) -> float:
        """The log-likelihood of all sequences together, nats."""
        evaluation, data = self._assessed(X, lengths)
        return evaluation.log_likelihood(data)

    def score_samples(self, X: Any, lengths: Any = None) -> tuple[float, RealArray]:
        """The log-likelihood of all sequences together, nats, and the laws (N, S) of the rows' states."""
        evaluation, data = self._assessed(X, lengths)
        return evaluation.log_likelihood(data), evaluation.posteriors(data)

    def predict_proba(self, X: Any, lengths: Any = None) -> RealArray:
        """The laws (N, S) of the rows' states."""
        evaluation, data = self._assessed(X, lengths)
        return evaluation.posteriors(data)

    def decode(
        self, X: Any, lengths: Any = None, algorithm: str | None = None
    ) -> tuple[float, npt.NDArray[np.intp]]:
        """States (N,) of the rows, and how probable they are.

        Parameters
        ----------
        X : (N, D)
        lengths : (Q,) integers, optional
        algorithm : {"viterbi", "map"}, optional
            The most probable path of each sequence, with the log joint density of rows and paths; or of each row the
            most probable state, with the sum of their probabilities. By default that of the constructor.
        """
        algorithm = algorithm or self.algorithm
        if algorithm not in DECODER_ALGORITHMS:
            raise ValueError(f"algorithm: expected 'viterbi' or 'map', got {algorithm!r}")
        evaluation, data = self._assessed(X, lengths)
        if algorithm == "viterbi":
            states, log_joint = evaluation.best_paths(data)
            return float(log_joint.sum()), states.astype(np.intp)
        posteriors = evaluation.posteriors(data)
        return float(posteriors.max(axis=1).sum()), posteriors.argmax(axis=1)

    def predict(self, X: Any, lengths: Any = None) -> npt.NDArray[np.intp]:
        """States (N,) of the rows by the constructor's ``algorithm``."""
        return self.decode(X, lengths)[1]

    def aic(self, X: Any, lengths: Any = None) -> float:
        """Akaike's criterion: ``-2 log-likelihood + 2 n_parameters``."""
        return -2.0 * self.score(X, lengths) + 2.0 * sum(self._n_scalars().values())

    def bic(self, X: Any, lengths: Any = None) -> float:
        """Schwarz's criterion: ``-2 log-likelihood + n_parameters log N``."""
        n_parameters = sum(self._n_scalars().values())
        return -2.0 * self.score(X, lengths) + n_parameters * float(np.log(len(X)))

    def get_stationary_distribution(self) -> Array:
        """(S,): the law of states that a step does not change."""
        if not hasattr(self, "transmat_"):
            raise self._not_fitted()
        return stationary_distribution(np.asarray(self.transmat_, np.float64))

    def sample(
        self, n_samples: int = 1, random_state: RandomState = None, currstate: int | None = None
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.int_]]:
        """Rows (n, D) of one sequence, and their states (n,).

        Parameters
        ----------
        n_samples : int
        random_state : optional
            By default that of the constructor.
        currstate : int, optional
            The first state; by default drawn.
        """
        self._check_params()
        rng = random_generator(self.random_state if random_state is None else random_state)
        cumulative = np.cumsum(self.transmat_, axis=1)
        if currstate is None:
            currstate = int((np.cumsum(self.startprob_) > rng.uniform()).argmax())
        draw = self._drawer()
        states = [currstate]
        rows = [draw(currstate, rng)]
        for _ in range(n_samples - 1):
            states.append(int((cumulative[states[-1]] > rng.uniform()).argmax()))
            rows.append(draw(states[-1], rng))
        return np.atleast_2d(rows), np.array(states, dtype=int)

    # -- inside

    def _params(self) -> HMMParams[Any]:
        return HMMParams(
            np.ascontiguousarray(self.startprob_, np.float64),
            np.ascontiguousarray(self.transmat_, np.float64),
            self._emissions(),
        )

    def _check_array(self, name: str, shape: tuple[int, ...]) -> None:
        """Make a parameter an array of float64 of this shape."""
        if not hasattr(self, name):
            raise self._not_fitted()
        array = np.asarray(getattr(self, name), np.float64)
        if array.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
        setattr(self, name, array)

    def _check_params(self) -> None:
        if not hasattr(self, "startprob_"):
            raise self._not_fitted()
        self._check()

    def _rows_and_sequences(self, X: Any, lengths: Any) -> tuple[npt.NDArray[Any], Sequences]:
        """What came as an array, and checked."""
        rows = np.asarray(X)
        owner = type(self).__name__
        return rows, as_sequences(rows, lengths=lengths, owner=owner, missing=self._takes_missing())

    def _assessed(self, X: Any, lengths: Any) -> tuple[HMMEvaluation, Sequences]:
        self._check_params()
        data = self._rows_and_sequences(X, lengths)[1]
        self._check_rows(data.x)
        model: HMM[Any, Any] = HMM(self._family())
        return HMMEvaluation(model, self._params(), self._work_per_row, None), data

    def _check_rows(self, x: RealArray) -> None:
        """``ValueError`` for rows that the model cannot have made."""
        if self._known_n_features(x) != x.shape[1]:
            raise ValueError(f"X: expected {self.n_features} columns, got {x.shape[1]}")

    def _work_per_row(self, x: RealArray | CSR, n_states: int) -> float:
        return work_per_row(x, n_states) + work_of_chain(n_states)

    def _to_stored(self) -> Any:
        raise TypeError(
            f"save: expected an estimator of latentcore, got {type(self).__name__} of "
            "latentcore.compat.hmmlearn, which pickles but has no file format"
        )


class BaseHMM(ChainHMM):
    """Models fitted by EM.

    A subclass may say in ``_compute_log_likelihood(X)`` what the log-densities (N, S) of rows are, and in
    ``_generate_sample_from_state(state, random_state)`` how to draw one; a fit then learns the chain.
    """

    startprob_prior: npt.ArrayLike
    transmat_prior: npt.ArrayLike

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: npt.ArrayLike = 1.0,
        transmat_prior: npt.ArrayLike = 1.0,
        algorithm: str = "viterbi",
        random_state: RandomState = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = string.ascii_letters,
        init_params: str = string.ascii_letters,
        implementation: str = "log",
    ) -> None:
        super().__init__(
            n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol,
            verbose, params, init_params, implementation,
        )  # fmt: skip

    def _family(self) -> Any:
        return _OwnDensity(self._compute_log_likelihood)

    def _emissions(self) -> Any:
        return None

    def _compute_log_likelihood(self, X: RealArray) -> RealArray:
        raise NotImplementedError

    def _generate_sample_from_state(self, state: int, random_state: Any) -> Any:
        return ()

    def _drawer(self) -> Drawer:
        return self._generate_sample_from_state

    def _init(self, X: Any, lengths: Any = None) -> None:
        self._check_and_set_n_features(X)
        rng = random_generator(self.random_state)
        concentration = np.full(self.n_components, 1.0 / self.n_components)
        if self._needs_init("s", "startprob_"):
            self.startprob_ = rng.dirichlet(concentration)
        if self._needs_init("t", "transmat_"):
            self.transmat_ = rng.dirichlet(concentration, size=self.n_components)
        self._warn_of_few_data(X.size)

    def _check(self) -> None:
        n = self.n_components
        self._check_array("startprob_", (n,))
        check_sums("startprob_", self.startprob_)
        self._check_array("transmat_", (n, n))
        check_sums("transmat_", self.transmat_)

    def _do_mstep(self, stats: HMMStatistics[Any]) -> None:
        if "s" in self.params:
            allowed = self.startprob_ != 0
            self.startprob_ = mode_of_rows(
                stats.starts * allowed, self.startprob_prior, self.startprob_, allowed
            )
        if "t" in self.params:
            allowed = self.transmat_ != 0
            self.transmat_ = mode_of_rows(
                stats.transitions, self.transmat_prior, self.transmat_, allowed
            )


class _NoStatistics(Statistics):
    """Of emissions that are not learned."""


class _OwnDensity:
    """What a subclass says of rows, as a family without parameters."""

    def __init__(self, log_density: Callable[[RealArray], RealArray]) -> None:
        self._log_density = log_density

    def log_likelihood(self, params: None, x: RealArray) -> RealArray:
        return np.asarray(self._log_density(x))

    def expected_statistics(self, params: None, x: RealArray, weights: RealArray) -> _NoStatistics:
        return _NoStatistics()


def mode_of_rows(
    counts: Array, prior: npt.ArrayLike, previous: Array, allowed: npt.ArrayLike = True
) -> Array:
    """Rows in proportion to ``counts + prior - 1``, not below 0 and 0 where not ``allowed``; one of zeros stays."""
    above = np.atleast_2d(np.maximum(counts + (np.asarray(prior) - 1.0), 0.0) * allowed)
    return divided(above, above.sum(axis=1), np.atleast_2d(previous)).reshape(previous.shape)


def divided(above: Array, below: Array, previous: npt.ArrayLike) -> Array:
    """``above`` over ``below``, which has its leading axes, and ``previous`` where that is not positive."""
    divisor = below.reshape(below.shape + (1,) * (above.ndim - below.ndim))
    seen = np.broadcast_to(divisor > 0, above.shape)
    return np.divide(above, divisor, out=np.array(previous, np.float64), where=seen)


def check_sums(name: str, array: Array) -> None:
    """``ValueError`` for rows that are negative somewhere or do not sum to one."""
    sums = array.sum(axis=-1)
    if not np.allclose(sums, 1.0) or (array < 0).any():
        raise ValueError(f"{name}: expected numbers >= 0 that sum to 1, got sums of {sums}")


def best_of_kmeans(
    x: RealArray, n_clusters: int, rng: np.random.RandomState | np.random.Generator
) -> Clusters:
    """The tightest of ten runs of k-means."""
    data, n_threads = Rows(x), get_num_threads(None)
    found = []
    for _ in range(_KMEANS_STARTS):
        seeds = kmeans_plusplus(data, n_clusters, rng, n_threads=n_threads)
        clusters = kmeans(data, x[seeds].astype(np.float64), n_threads=n_threads)
        inertia = float(((x - clusters.centers[clusters.labels]) ** 2).sum())
        found.append((inertia, clusters))
    return min(found, key=lambda pair: pair[0])[1]
