"""Mixtures as scikit-learn's users know them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Self, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from latentcore import diagnostics, engine
from latentcore.arrays import Rows, as_rows, column_names, without_absent
from latentcore.errors import (
    ConvergenceWarning,
    ImpossibleRowError,
    NumericalError,
    as_sklearn,
)
from latentcore.estimators import gaussian_parameters as border
from latentcore.estimators import gaussian_saved
from latentcore.estimators.base import Estimator
from latentcore.estimators.checks import boolean, integer, one_of, random_generator, real
from latentcore.estimators.gaussian_start import GaussianStart, InitParams
from latentcore.estimators.progress import Reporter
from latentcore.estimators.summary import (
    Training,
    components_table,
    course,
    figures_table,
    heading,
)
from latentcore.families.gaussian import (
    CovarianceType,
    Gaussian,
    GaussianParams,
    GaussianStatistics,
)
from latentcore.protocols import Array, Expectation, RealArray
from latentcore.rules.em import EM
from latentcore.structures.mixture import Mixture, MixtureParams, MixtureStatistics
from latentcore.threads import get_num_threads, ordered_map

__all__ = ["GaussianMixture"]

Callback = Callable[[engine.Progress], None]
Out = TypeVar("Out", bound=npt.NDArray[Any])
Params = MixtureParams[GaussianParams]
R = TypeVar("R")
Model = Mixture[GaussianParams, GaussianStatistics]

_BLOCK_ELEMENTS = 1 << 16
"""Size of the (rows x K) blocks that predictions are made of."""

_COLLAPSED = (
    "Fitting the mixture model failed because some components have ill-defined empirical "
    "covariance (for instance caused by singleton or collapsed samples). Try to decrease the "
    "number of components, increase reg_covar, or scale the input data."
)  # scikit-learn's words: programs look for them


class GaussianMixture(Estimator):
    """A mixture of Gaussians, fitted by expectation maximisation.

    A drop-in for ``sklearn.mixture.GaussianMixture``: the same arguments, attributes and fits.

    Parameters
    ----------
    n_components : int
        K, the number of components.
    covariance_type : {"full", "tied", "diag", "spherical", "tied_spherical"}
        A matrix for each component, one matrix for all, a variance for each component and feature,
        a variance for each component, or one variance for all.
    tol : float
        The fit has converged when the mean log-likelihood changes by less, nats.
    reg_covar : float
        Added to every variance. With 0, a component that collapses onto a point is an error.
    max_iter : int
        Most iterations; with 0 the start is the result.
    n_init : int
        Number of starts, of which the one with the largest lower bound is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}
        How a start is made.
    weights_init : (K,), optional
    means_init : (K, D), optional
    precisions_init : shaped as ``precisions_``, optional
        Given parts of the start; the others are made by ``init_params``.
    random_state : int, numpy RandomState or Generator, optional
    warm_start : bool
        Whether ``fit`` goes on from where the last one ended.
    verbose : {0, 1, 2}
        Print the starts and iterations, with 2 also their times.
    verbose_interval : int
        Iterations between two lines.
    n_threads : int, optional
        None leaves it to ``latentcore.get_num_threads``. Results are the same, bit for bit, for any
        number.

    Attributes
    ----------
    weights_ : (K,)
    means_ : (K, D)
    covariances_, precisions_ : full (K, D, D), tied (D, D), diag (K, D), spherical (K,)
    precisions_cholesky_ : as ``precisions_``
        U with precision = U U^T, U upper triangular; diag, spherical: reciprocal standard
        deviations.
    converged_ : bool
    n_iter_ : int
        Iterations of the best start.
    lower_bound_ : float
        Mean log-likelihood (nats) of the parameters that the last iteration started from.
    lower_bounds_ : list of float
        The same for each iteration of the best start.
    n_degenerate_ : int
        Starts that were given up because a component collapsed.
    n_features_in_ : int
    feature_names_in_ : (D,)
        Only after a fit to a data frame whose column names are strings.

    Notes
    -----
    Attributes may be set by hand: predictions use what ``weights_``, ``means_`` and
    ``precisions_cholesky_`` are at the time. They are float32 after a fit to float32 data; sums are
    always double.

    Examples
    --------
    >>> import numpy as np
    >>> from latentcore import GaussianMixture
    >>> x = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> model = GaussianMixture(2, random_state=0).fit(x)
    >>> np.sort(model.means_[:, 0])
    array([ 1., 10.])
    >>> model.predict([[1, 1], [10, 1]]) == model.predict(x[[0, 3]])
    array([ True,  True])
    """

    _estimator_type = "density_estimator"
    _weighted_methods = ("fit", "score")

    weights_: npt.NDArray[Any]
    means_: npt.NDArray[Any]
    covariances_: npt.NDArray[Any]
    precisions_: npt.NDArray[Any]
    precisions_cholesky_: npt.NDArray[Any]
    converged_: bool
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]
    n_degenerate_: int

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        weights_init: npt.ArrayLike | None = None,
        means_init: npt.ArrayLike | None = None,
        precisions_init: npt.ArrayLike | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads

    @classmethod
    def from_params(
        cls,
        weights: npt.ArrayLike,
        means: npt.ArrayLike,
        covariances: npt.ArrayLike,
        *,
        covariance_type: CovarianceType = "full",
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> Self:
        """A model with given parameters, ready to predict, sample and score.

        Parameters
        ----------
        weights : (K,), >= 0, summing to one
        means : (K, D)
        covariances : full (K, D, D), tied (D, D), diag (K, D), spherical (K,)

        Raises
        ------
        ValueError
            A shape or value is wrong, or a covariance is not symmetric and positive definite.
        """
        one_of("covariance_type", covariance_type, get_args(CovarianceType))
        shape = np.shape(means)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"means: expected shape (n_components, n_features), got {shape}")
        params = border.from_covariances(
            border.checked_weights(weights, shape[0], "weights"),
            border.checked_means(means, *shape, "means"),
            border.checked_matrices(
                covariances, "covariance", covariance_type, *shape, "covariances"
            ),
            covariance_type,
        )
        model = cls(shape[0], covariance_type=covariance_type, random_state=random_state)
        learned = border.attributes(params, covariance_type)
        model._replace({**learned, **_outcome(None, 0), "n_features_in_": shape[1]}, None)
        return model

    # -- fitting ----------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any = None, *, sample_weight: Any = None, callback: Callback | None = None
    ) -> Self:
        """Fit to rows ``X`` by EM.

        Parameters
        ----------
        X : array or data frame, (N, D)
            C-contiguous float32 and float64 arrays are not copied.
        y : ignored
        sample_weight : (N,), optional
            A row of weight 2 counts as two rows, a row of weight 0 is left out.
        callback : callable, optional
            Gets an ``engine.Progress`` after each iteration.

        Raises
        ------
        ValueError, TypeError
            An argument is wrong.
        NumericalError
            A component collapsed, from every start.

        Warns
        -----
        ConvergenceWarning
            ``tol`` was not met in ``max_iter`` iterations.
        """
        self._fit(X, sample_weight, callback)
        return self

    def fit_predict(
        self, X: Any, y: Any = None, *, sample_weight: Any = None, callback: Callback | None = None
    ) -> npt.NDArray[np.intp]:
        """``fit(X)``, then ``predict(X)``."""
        return self._labels(*self._fit(X, sample_weight, callback))

    def _fit(
        self, X: Any, sample_weight: Any, callback: Callback | None
    ) -> tuple[Params, RealArray]:
        self._check_arguments()
        names = column_names(X)
        rows = as_rows(X, sample_weight, owner=type(self).__name__)
        data = without_absent(rows)
        self._check_size(data)
        start = self._start(data)
        try:
            best, n_degenerate = self._best_of_starts(start, data, callback)
        except NumericalError as error:
            raise _explained(error, rows) from None

        if not best.converged and self.max_iter > 0:
            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, "
                "or increase max_iter, tol, or check for degenerate data.",
                as_sklearn(ConvergenceWarning),
                stacklevel=3,
            )
        learned: dict[str, Any] = border.attributes(best.params, self.covariance_type, data.x.dtype)
        params = border.from_attributes(learned, self.covariance_type)
        assert params is not None
        learned |= _outcome(best, n_degenerate)
        learned["_training"] = Training(
            len(data), data.total_weight(), *self._log_likelihood_and_entropy(params, data)
        )
        learned["n_features_in_"] = data.x.shape[1]
        self._replace(learned, names)
        return params, rows.x

    def _best_of_starts(
        self, start: GaussianStart, data: Rows, callback: Callback | None
    ) -> tuple[engine.Fit[Params], int]:
        model: Model = Mixture(start.family)
        previous = float("-inf") if start.warm is None else self.lower_bound_
        expectation = self._expectation(model, data)
        reporter = Reporter(int(self.verbose), self.verbose_interval, callback)
        best: engine.Fit[Params] | None = None
        failure: NumericalError | None = None
        n_degenerate = 0
        for restart in range(1 if start.warm is not None else self.n_init):
            reporter.begin(restart)
            try:
                fit = engine.run(
                    EM(model),
                    start.next(),
                    expectation,
                    total_weight=data.total_weight(),
                    tol=self.tol,
                    max_iter=self.max_iter,
                    previous=previous,
                    callback=reporter.step,
                )
            except NumericalError as error:
                failure = error
                n_degenerate += 1
                continue
            if self.max_iter > 0:
                reporter.end(_bound(fit), fit.converged)
            if best is None or _bound(fit) > _bound(best) or self.max_iter == 0:
                best = fit
        if best is None:
            assert failure is not None
            raise failure
        return best, n_degenerate

    def _start(self, data: Rows) -> GaussianStart:
        warm = (
            self._warm_params(data) if self.warm_start and "converged_" in self.__dict__ else None
        )
        return GaussianStart(
            Gaussian(self.covariance_type, float(self.reg_covar)),
            data,
            self.n_components,
            self.init_params,
            random_generator(self.random_state),
            weights=self.weights_init,
            means=self.means_init,
            precisions=self.precisions_init,
            warm=warm,
            n_threads=get_num_threads(self.n_threads),
        )

    def _expectation(
        self, model: Model, data: Rows
    ) -> Expectation[Params, MixtureStatistics[GaussianStatistics]]:
        shard_rows = self._shard_rows(data.x, self.n_components)
        return engine.expectation(model, data, shard_rows, get_num_threads(self.n_threads))

    def _warm_params(self, data: Rows) -> Params:
        self._check_width(data.x)
        params = self._params()
        found = len(params.weights)
        if found != self.n_components:
            raise ValueError(
                f"warm_start: expected the n_components = {found} of the last fit, "
                f"got {self.n_components}"
            )
        return params

    # -- predictions ------------------------------------------------------------------------------

    def predict(self, X: Any) -> npt.NDArray[np.intp]:
        """The most probable component of each row, (N,)."""
        params = self._params()
        return self._labels(params, self._seen(X))

    def predict_proba(self, X: Any) -> RealArray:
        """Posterior probabilities of the components, (N, K), of the dtype of the data."""
        params = self._params()
        x = self._seen(X)
        model = self._model()
        out = np.empty((len(x), len(params.weights)), x.dtype)
        return self._by_rows(params, x, out, lambda block: model.responsibilities(params, block)[0])

    def score_samples(self, X: Any) -> RealArray:
        """Log-density of each row, (N,), nats, of the dtype of the data."""
        params = self._params()
        x = self._seen(X)
        model = self._model()
        out = np.empty(len(x), x.dtype)
        return self._by_rows(params, x, out, lambda block: model.log_density(params, block))

    def score(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> float:
        """Mean log-likelihood of a row, nats; the weighted mean with ``sample_weight``."""
        log_likelihood, _, data = self._assess(X, sample_weight)
        return log_likelihood / data.total_weight()

    def loglik(self, X: Any, *, sample_weight: Any = None) -> float:
        """Log-likelihood of all rows, nats; each counts ``sample_weight`` times."""
        return self._assess(X, sample_weight)[0]

    def aic(self, X: Any, *, sample_weight: Any = None) -> float:
        """Akaike's information criterion; the lower the better."""
        log_likelihood, params, _ = self._assess(X, sample_weight)
        return diagnostics.aic(log_likelihood, self._count(params))

    def bic(self, X: Any, *, sample_weight: Any = None) -> float:
        """Bayesian information criterion; the lower the better."""
        log_likelihood, params, data = self._assess(X, sample_weight)
        return diagnostics.bic(log_likelihood, self._count(params), data.total_weight())

    def icl(self, X: Any, *, sample_weight: Any = None) -> float:
        """Integrated completed likelihood: BIC plus twice the entropy of ``predict_proba(X)``."""
        params = self._params()
        data = without_absent(self._seen_rows(X, sample_weight))
        log_likelihood, entropy = self._log_likelihood_and_entropy(params, data)
        return diagnostics.icl(log_likelihood, self._count(params), data.total_weight(), entropy)

    def sample(self, n_samples: int = 1) -> tuple[Array, npt.NDArray[np.int64]]:
        """Draw rows (n, D) and their components (n,), ordered by component.

        With an integer ``random_state`` every call draws the same, as in scikit-learn; a generator
        goes on.
        """
        params = self._params()
        if integer("n_samples", n_samples, -(2**62)) < 1:
            raise ValueError(
                f"Invalid value for 'n_samples': expected an integer >= 1, got {n_samples}"
            )
        rng = random_generator(self.random_state)
        counts = rng.multinomial(n_samples, _normalised(params.weights))
        means, covariances = params.components.means, params.components.covariances
        if self.covariance_type == "tied":
            covariances = np.broadcast_to(covariances, (len(means), *covariances.shape))
        groups = []
        for mean, covariance, count in zip(means, covariances, counts, strict=True):
            if self.covariance_type in ("full", "tied"):
                groups.append(rng.multivariate_normal(mean, covariance, int(count)))
            else:
                noise = rng.standard_normal(size=(int(count), len(mean)))
                groups.append(mean + noise * np.sqrt(covariance))
        return np.vstack(groups), np.repeat(np.arange(len(means), dtype=np.int64), counts)

    def summary(self) -> str:
        """A table of the fit to its training data and of the components; print it."""
        params = self._params()
        state = self.__dict__
        names = state.get("feature_names_in_")
        lines = [heading(params, self.covariance_type)]
        if "_training" in state:
            lines += [course(state["_training"], state["converged_"], state["n_iter_"]), ""]
            lines += figures_table(state["_training"], self._count(params))
        return "\n".join([*lines, "", *components_table(params, self.covariance_type, names)])

    # -- inside -----------------------------------------------------------------------------------

    def _model(self) -> Model:
        return Mixture(Gaussian(self.covariance_type))

    def _params(self) -> Params:
        """The parameters that the public attributes hold now."""
        state = self.__dict__
        params = border.from_attributes(state, self.covariance_type)
        if params is None:
            raise self._not_fitted()
        return params

    def _n_features(self) -> int:
        return int(np.shape(self.means_)[1])  # attributes may be set by hand

    def _n_parameters(self) -> int:
        return self._count(self._params())

    def _count(self, params: Params) -> int:
        return diagnostics.free_parameters(self.covariance_type, *params.components.means.shape)

    def _assess(self, X: Any, sample_weight: Any) -> tuple[float, Params, Rows]:
        params = self._params()
        data = without_absent(self._seen_rows(X, sample_weight))
        return self._log_likelihood(params, data), params, data

    def _log_likelihood(self, params: Params, data: Rows) -> float:
        model = self._model()

        def log_likelihood(block: Rows) -> float:
            return _weighted_sum(model.log_density(params, block.x), block.sample_weight)

        return sum(self._over_blocks(params, data, log_likelihood))

    def _log_likelihood_and_entropy(self, params: Params, data: Rows) -> tuple[float, float]:
        model = self._model()

        def both(block: Rows) -> tuple[float, float]:
            r, log_density = model.responsibilities(params, block.x)
            log_likelihood = _weighted_sum(log_density, block.sample_weight)
            return log_likelihood, diagnostics.entropy(r, block.sample_weight)

        log_likelihoods, entropies = zip(*self._over_blocks(params, data, both), strict=True)
        return sum(log_likelihoods), sum(entropies)

    def _labels(self, params: Params, x: RealArray) -> npt.NDArray[np.intp]:
        model = self._model()
        out = np.empty(len(x), np.intp)
        return self._by_rows(params, x, out, lambda block: model.labels(params, block))

    def _shard_rows(self, x: RealArray, n_components: int) -> int:
        work = _work_per_row(self.covariance_type, n_components, x.shape[1])
        return engine.rows_per_shard(len(x), work)

    def _by_rows(
        self, params: Params, x: RealArray, out: Out, function: Callable[[RealArray], Out]
    ) -> Out:
        """Fill ``out`` with what ``function`` makes of the rows, block by block."""

        def fill(block: Rows) -> None:
            out[block.start : block.start + len(block)] = function(block.x)

        self._over_blocks(params, Rows(x), fill)
        return out

    def _over_blocks(self, params: Params, data: Rows, function: Callable[[Rows], R]) -> list[R]:
        """What ``function`` gives for each block of rows, in their order; shards of blocks go to threads."""
        n_components = len(params.weights)
        block_rows = max(1, _BLOCK_ELEMENTS // n_components)
        shard_rows = self._shard_rows(data.x, n_components)
        n_threads = get_num_threads(self.n_threads) if len(data) > shard_rows else 1

        def over_shard(shard: Rows) -> list[R]:
            return [function(block) for block in shard.shards(block_rows)]

        shards = ordered_map(over_shard, data.shards(shard_rows), n_threads)
        return [result for results in shards for result in results]

    # -- storage ----------------------------------------------------------------------------------

    def _learned(self) -> dict[str, Any]:
        return gaussian_saved.pack(self.__dict__, self.covariance_type)

    def _checked_learned(self, learned: dict[str, Any]) -> dict[str, Any]:
        return gaussian_saved.unpack(learned, self.covariance_type)

    # -- checks -----------------------------------------------------------------------------------

    def _check_arguments(self) -> None:
        integer("n_components", self.n_components, 1)
        one_of("covariance_type", self.covariance_type, get_args(CovarianceType))
        real("tol", self.tol)
        real("reg_covar", self.reg_covar)
        integer("max_iter", self.max_iter, 0)
        integer("n_init", self.n_init, 1)
        one_of("init_params", self.init_params, get_args(InitParams))
        random_generator(self.random_state)
        boolean("warm_start", self.warm_start)
        integer("verbose", int(self.verbose) if self.verbose is True else self.verbose, 0)
        integer("verbose_interval", self.verbose_interval, 1)
        get_num_threads(self.n_threads)

    def _check_size(self, data: Rows) -> None:
        found = f"n_samples = {len(data)}"
        if data.sample_weight is not None:
            found += " of positive weight"
        if len(data) < 2:
            raise ValueError(
                f"X: expected at least 2 rows, got {found} while a minimum of 2 is required by "
                f"{type(self).__name__}"
            )
        if len(data) < self.n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"{found}"
            )


def _outcome(fit: engine.Fit[Params] | None, n_degenerate: int) -> dict[str, Any]:
    return {
        "converged_": fit is not None and fit.converged,
        "n_iter_": 0 if fit is None else fit.n_iter,
        "lower_bound_": float("-inf") if fit is None else _bound(fit),
        "lower_bounds_": [] if fit is None else fit.history,
        "n_degenerate_": n_degenerate,
    }


def _bound(fit: engine.Fit[Params]) -> float:
    return fit.history[-1] if fit.history else float("-inf")


def _explained(error: NumericalError, rows: Rows) -> NumericalError:
    """A collapse in our words, which name the component, and in those of scikit-learn."""
    if not isinstance(error, ImpossibleRowError):
        error.args = (f"{error}. {_COLLAPSED}",)
    elif rows.sample_weight is not None:
        return ImpossibleRowError(int(np.flatnonzero(rows.sample_weight)[error.row]))
    return error


def _weighted_sum(values: RealArray, weights: Array | None) -> float:
    if weights is None:
        return float(values.sum(dtype=np.float64))
    return float(values @ weights)


def _normalised(weights: Array) -> Array:
    """Weights that sum to one in double, too; float32 ones do not."""
    total = float(weights.sum())
    return weights if abs(total - 1.0) < 1e-12 else weights / total


def _work_per_row(covariance_type: CovarianceType, n_components: int, n_features: int) -> float:
    """Multiply-adds of a sweep; an exponential counts as 16."""
    d = n_features
    return {
        "full": n_components * (d * d + 2 * d + 16),
        "tied": 2 * d * d + n_components * (3 * d + 16),
        "diag": n_components * (4 * d + 16),
        "spherical": n_components * (3 * d + 16),
        "tied_spherical": n_components * (3 * d + 16),
    }[covariance_type]
