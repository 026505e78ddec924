"""Fits of other mixtures than the Gaussian one, by latentcore and by a rival, from the same start."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import gammaln
from scipy.special import logsumexp as scipy_logsumexp
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans

from fits import Library, bayesian_fit
from latentcore import (
    BernoulliMixture,
    GaussianMixture,
    MultinomialMixture,
    PoissonMixture,
    kernels,
)
from latentcore.arrays import Rows
from latentcore.families.gaussian import Gaussian
from latentcore.structures.mixture import Mixture, MixtureParams
from shapes import DType, Problem, Shape, make

Fit = Callable[[int], float]
"""Takes a number of iterations, returns the objective per row at the parameters after them, nats."""

_TOLERANCES = {"float64": 1e-8, "float32": 1e-4}
_MISSING_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Contest:
    """One problem, and who is to solve it."""

    shape: str
    dtype: DType
    ours: Fit
    theirs: Fit
    goal: float | None = None
    n_more: int | None = None
    """How many iterations more the longer fit does, where a fit that takes a second might end by itself."""
    tolerance: float | None = None
    """Largest relative difference of objectives, where it is not that of rounding."""

    def check_agreement(self) -> None:
        """Stop the program if the objectives after two iterations differ."""
        ours, theirs = self.ours(2), self.theirs(2)
        tolerance = self.tolerance or _TOLERANCES[self.dtype]
        if not abs(ours - theirs) <= tolerance * abs(theirs):
            sys.exit(
                f"{self.shape} {self.dtype}: expected objectives that agree to {tolerance:g}, "
                f"got {ours!r} from latentcore and {theirs!r} from the rival"
            )


@dataclass(frozen=True, slots=True)
class Sizes:
    """N rows of D features, K components."""

    n_rows: int
    n_features: int
    n_components: int

    def shrunk(self) -> Sizes:
        return Sizes(self.n_rows // 50, self.n_features, self.n_components)

    def named(self, family: str) -> str:
        rows = f"{self.n_rows:.0e}".replace("e+0", "e")
        return f"{family}-{rows}-{self.n_features}-{self.n_components}"


POISSON = Sizes(1_000_000, 1, 4)
BERNOULLI = Sizes(100_000, 64, 10)
DOCUMENTS = Sizes(100_000, 10_000, 20)
LONG_DOCUMENTS = Sizes(1_000_000, 1_000, 50)
"""For memory: rows times components are much, and statistics are little."""
GAPS = Shape("full", 100_000, 5, 4)


# -- pomegranate ----------------------------------------------------------------------------------


def pomegranate_is_installed() -> bool:
    return importlib.util.find_spec("pomegranate") is not None


def poisson(sizes: Sizes, dtype: DType) -> Contest:
    random = np.random.default_rng(20240229)
    rates = np.linspace(1.0, 5.0 * sizes.n_components, sizes.n_components)[:, None]
    rates = rates * random.uniform(0.8, 1.2, (sizes.n_components, sizes.n_features))
    x = random.poisson(rates[random.integers(len(rates), size=sizes.n_rows)]).astype(dtype)
    start = 1.1 * rates
    return Contest(
        sizes.named("poisson"),
        dtype,
        _ours(PoissonMixture, x, "rates", start),
        _pomegranate("Poisson", x, start),
        10,
    )


def bernoulli(sizes: Sizes, dtype: DType) -> Contest:
    random = np.random.default_rng(20240229)
    shape = sizes.n_components, sizes.n_features
    p = np.clip(0.5 + 0.1 * random.standard_normal(shape), 0.1, 0.9)
    truth = p[random.integers(len(p), size=sizes.n_rows)]
    x = (random.uniform(size=truth.shape) < truth).astype(dtype)
    start = np.clip(p + 0.02 * random.standard_normal(shape), 0.05, 0.95)
    return Contest(
        sizes.named("bernoulli"),
        dtype,
        _ours(BernoulliMixture, x, "probabilities", start),
        _pomegranate("Bernoulli", x, start),
        10,
    )


def _ours(mixture: Any, x: Any, name: str, start: npt.NDArray[np.float64]) -> Fit:
    """The estimator on one thread."""
    weights = np.full(len(start), 1 / len(start))

    def fit(n_iterations: int) -> float:
        model = mixture(
            len(start), weights_init=weights, params_init={name: start}, tol=0.0,
            max_iter=n_iterations, n_threads=1,
        )  # fmt: skip
        return float(model.fit(x).score(x))

    return fit


def _pomegranate(name: str, x: npt.NDArray[Any], start: npt.NDArray[np.float64]) -> Fit:
    """As fast as it goes: tensors, without checks of the data, one thread.

    It keeps its sums and responsibilities in torch's default precision, which therefore has to be that of the data.
    """
    import torch
    from pomegranate import distributions
    from pomegranate.gmm import GeneralMixtureModel

    precision = torch.float64 if x.dtype == np.float64 else torch.float32
    rows = torch.from_numpy(x)

    @contextmanager
    def settings() -> Iterator[None]:
        before = torch.get_default_dtype(), torch.get_num_threads()
        torch.set_default_dtype(precision)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_default_dtype(before[0])
            torch.set_num_threads(before[1])

    def fit(n_iterations: int) -> float:
        with settings():
            components = [
                getattr(distributions, name)(torch.tensor(row, dtype=precision), check_data=False)
                for row in start
            ]
            priors = torch.full((len(start),), 1 / len(start))
            model = GeneralMixtureModel(
                components, priors, max_iter=n_iterations, tol=-np.inf, check_data=False
            )
            return float(model.fit(rows).log_probability(rows).to(torch.float64).mean())

    return fit


# -- sparse rows ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Documents:
    """Counts of words, about 1 % of them not zero, and a start: probabilities (K, D)."""

    x: csr_array
    start: npt.NDArray[np.float64]


def documents(sizes: Sizes, dtype: DType) -> Documents:
    """Words of a document from one of K distributions, so alike that documents leave doubts."""
    random = np.random.default_rng(20240229)
    k, d = sizes.n_components, sizes.n_features
    common = random.dirichlet(np.ones(d))
    words = common * np.exp(0.1 * random.standard_normal((k, d)))
    words /= words.sum(axis=1, keepdims=True)
    length = max(2, d // 100)
    topics = np.sort(random.integers(k, size=sizes.n_rows))
    drawn = np.concatenate(
        [
            random.choice(d, size=(n, length), p=p).astype(np.int32)
            for n, p in zip(np.bincount(topics, minlength=k), words, strict=True)
        ]
    )
    begins = np.arange(0, drawn.size + 1, length)
    x = csr_array((np.ones(drawn.size, dtype), drawn.ravel(), begins), (sizes.n_rows, d))
    x.sum_duplicates()
    start = words * np.exp(0.1 * random.standard_normal((k, d)))
    return Documents(x, start / start.sum(axis=1, keepdims=True))


def multinomial(sizes: Sizes, dtype: DType) -> Contest:
    made = documents(sizes, dtype)
    return Contest(
        sizes.named("multinomial"), dtype, ours_on_documents(made), _scipy(made.x, made.start)
    )


def ours_on_documents(made: Documents, n_threads: int | None = 1) -> Fit:
    from latentcore.families.multinomial import MultinomialParams

    k = len(made.start)

    def fit(n_iterations: int) -> float:
        model = MultinomialMixture(
            k, weights_init=np.full(k, 1 / k), params_init=MultinomialParams(made.start), tol=0.0,
            max_iter=n_iterations, n_threads=n_threads,
        )  # fmt: skip
        return float(model.fit(made.x).score(made.x))

    return fit


def _scipy(x: csr_array, start: npt.NDArray[np.float64]) -> Fit:
    """EM as one writes it with a sparse matrix: two products and a log-sum-exp."""
    totals = np.asarray(x.sum(axis=1), np.float64)
    coefficients = gammaln(totals + 1).sum() - gammaln(x.data.astype(np.float64) + 1).sum()

    def log_joint(weights: npt.NDArray[Any], theta: npt.NDArray[Any]) -> npt.NDArray[Any]:
        with np.errstate(divide="ignore"):
            joint: npt.NDArray[Any] = x @ np.log(theta).T + np.log(weights)
        return joint

    def fit(n_iterations: int) -> float:
        theta = start.astype(x.dtype)
        weights = np.full(len(start), 1 / len(start), x.dtype)
        for _ in range(n_iterations):
            a = log_joint(weights, theta)
            r = np.exp(a - scipy_logsumexp(a, axis=1, keepdims=True))
            sums = (x.T @ r).T
            theta, weights = sums / sums.sum(axis=1, keepdims=True), r.mean(axis=0)
        density = scipy_logsumexp(log_joint(weights, theta), axis=1)
        return float((density.sum(dtype=np.float64) + coefficients) / x.shape[0])

    return fit


# -- hard assignments -----------------------------------------------------------------------------


def lloyd(problem: Problem) -> Contest:
    """k-means, the kernel alone."""
    return _beside_kmeans(problem, "kmeans", _sweeps(problem))


def hard(problem: Problem) -> Contest:
    """Classification EM with equal weights and one spherical covariance, which is k-means."""
    return _beside_kmeans(problem, "hard", _hard_em(problem))


def _beside_kmeans(problem: Problem, name: str, ours: Fit) -> Contest:
    """Fits return minus the mean squared distance to the centers, which is what k-means minimises."""
    dtype: DType = "float64" if problem.x.dtype == np.float64 else "float32"
    name = problem.shape.name.replace("spherical", name)
    return Contest(name, dtype, ours, _kmeans(problem), problem.shape.goal, 10)


def _sweeps(problem: Problem) -> Fit:
    labels = np.empty(len(problem.x), np.int32)

    def fit(n_iterations: int) -> float:
        centers = problem.start["means_init"].astype(np.float64)
        for _ in range(n_iterations):
            counts, first, _ = kernels.kmeans_sweep(problem.x, None, centers, labels)
            centers = centers + first / counts[:, None]
        return -kernels.kmeans_sweep(problem.x, None, centers, labels)[2] / len(labels)

    return fit


def _hard_em(problem: Problem) -> Fit:
    family = Gaussian("tied_spherical", reg_covar=0.0)
    model = Mixture(family, hard=True, equal_weights=True)
    rows = Rows(problem.x)
    n, d = problem.x.shape
    k = problem.shape.n_components

    def fit(n_iterations: int) -> float:
        data = model.prepare(rows)
        means = problem.start["means_init"].astype(np.float64)
        params = MixtureParams(np.full(k, 1 / k), family.params(means, np.ones(k)))
        for _ in range(n_iterations):
            stats, _ = model.expected_statistics(params, data)
            params = model.maximize(stats, params)
        _, objective = model.expected_statistics(params, data)
        variance = float(params.components.covariances[0])
        constant = -np.log(k) - d / 2 * np.log(2 * np.pi * variance)
        return float(2 * variance * (objective / n - constant))

    return fit


def _kmeans(problem: Problem) -> Fit:
    centers = problem.start["means_init"]

    def fit(n_iterations: int) -> float:
        model = KMeans(
            len(centers), init=centers, n_init=1, tol=0.0, max_iter=n_iterations, algorithm="lloyd"
        )
        if model.fit(problem.x).n_iter_ < n_iterations:
            sys.exit(f"{problem.shape.name}: KMeans converged in {model.n_iter_} iterations")
        return -_mean_squared_distance(problem.x, model.cluster_centers_, model.labels_)

    return fit


def _mean_squared_distance(
    x: npt.NDArray[Any], centers: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> float:
    """The inertia, a row; KMeans itself sums it in the precision of the data."""
    total = 0.0
    for begin in range(0, len(x), 10_000):
        rows = slice(begin, begin + 10_000)
        difference = x[rows] - centers[labels[rows]].astype(np.float64)
        total += float(np.vdot(difference, difference))
    return total / len(x)


# -- variational inference ------------------------------------------------------------------------


def bayesian(problem: Problem) -> Contest:
    """Posteriors by coordinate ascent; the objective is the mean of ``score_samples``.

    Of diagonal covariances the rival takes expected log-precisions of another distribution, which is a difference of
    the order of D^2 rows.
    """
    dtype: DType = "float64" if problem.x.dtype == np.float64 else "float32"
    shape = problem.shape

    def fit_of(library: Library) -> Fit:
        def fit(n_iterations: int) -> float:
            return float(bayesian_fit(library, problem, n_iterations, 1).score(problem.x))

        return fit

    other = shape.n_components * shape.n_features**2 / shape.n_rows
    tolerance = None if shape.covariance_type == "full" else other
    return Contest(
        shape.name, dtype, fit_of("latentcore"), fit_of("scikit-learn"), tolerance=tolerance
    )


# -- missing entries ------------------------------------------------------------------------------


def gaps(shape: Shape, dtype: DType) -> Contest:
    """The same rows with 5 % of their entries missing, and complete in the place of the rival."""
    problem = make(shape, dtype)
    x = problem.x.copy()
    x[np.random.default_rng(20240229).uniform(size=x.shape) < _MISSING_SHARE] = np.nan
    return Contest(shape.name, dtype, _gaussian(problem, x), _gaussian(problem, problem.x))


def _gaussian(problem: Problem, x: npt.NDArray[Any]) -> Fit:
    def fit(n_iterations: int) -> float:
        settings: dict[str, Any] = {
            "covariance_type": problem.shape.covariance_type,
            "tol": 0.0,
            "max_iter": n_iterations,
            "n_threads": 1,
            **problem.start,
        }
        model = GaussianMixture(problem.shape.n_components, **settings)
        return float(model.fit(x).lower_bound_)

    return fit


def check_marginals(shape: Shape, dtype: DType, n_rows: int = 200) -> None:
    """Stop the program if densities of rows with gaps are not SciPy's of what was observed."""
    problem = make(shape, dtype)
    x = problem.x[:n_rows].copy()
    x[np.random.default_rng(1).uniform(size=x.shape) < 0.3] = np.nan
    x[np.isnan(x).all(axis=1), 0] = 0.0
    means = problem.start["means_init"].astype(np.float64)
    k, d = means.shape
    covariance = np.eye(d) + 0.5
    model = GaussianMixture.from_params(
        np.full(k, 1 / k), means, np.tile(covariance, (k, 1, 1)), covariance_type="full"
    )
    theirs = []
    for row in x:
        seen = ~np.isnan(row)
        part = covariance[np.ix_(seen, seen)]
        densities = [multivariate_normal(m[seen], part).logpdf(row[seen]) for m in means]
        theirs.append(scipy_logsumexp(densities) - np.log(k))
    tolerance = _TOLERANCES[dtype]
    if not np.allclose(model.score_samples(x), theirs, rtol=tolerance, atol=tolerance):
        sys.exit(f"{shape.name} {dtype}: expected the densities of SciPy for rows with gaps")
