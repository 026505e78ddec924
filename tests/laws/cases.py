"""What the laws are run over: every family in every structure, in both precisions.

A new family joins by one line in FAMILIES. K = 3 and D = 2 everywhere, so that an axis of components is known by its
length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from latentcore.arrays import Rows
from latentcore.families.bernoulli import Bernoulli, BernoulliParams, BetaPrior
from latentcore.families.gaussian import Gaussian, GaussianParams, GaussianStatistics
from latentcore.families.linear import LinearStatistics
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import GammaPrior
from latentcore.protocols import RealArray
from latentcore.structures.mixture import Mixture, MixtureParams
from laws.numpy_poisson import NumpyPoisson
from laws.numpy_poisson import PoissonParams as NumpyPoissonParams
from reference import gaussian

Array = npt.NDArray[np.float64]
T = TypeVar("T")

N_COMPONENTS, N_FEATURES, N_ROWS = 3, 2, 600
WEIGHTS = np.array([0.5, 0.2, 0.3])


@dataclass(frozen=True)
class FamilyCase:
    """A family with what the laws need to know of it, each by definition rather than by the package.

    Attributes
    ----------
    parameters : rng -> P
    rows : rng -> (N, D)
    log_density : (P, x) -> (N, K)
        NaN is a missing entry if ``missing``.
    sums : S -> (K, D)
        Weighted sums of rows.
    tilt : (P, k, d, h) -> P
        Component k with its density multiplied by exp(h x_d), and normalised. None if the model takes something of the
        rows as given, so that sums beyond expectation are not the score.
    counts : S -> (K,)
        Sums of weights, of rows without missing entries.
    impossible : bool
        An entry near the largest number of the precision makes a row impossible.
    missing : bool
        NaN is a missing entry.
    apart : rng -> (P, (N, D))
        Components that hardly overlap, and rows of them.
    prior : n -> H
        A proper conjugate prior worth about n rows; flat in the limit n = 0.
    log_prior : (H, P) -> float
    """

    name: str
    family: Any
    parameters: Callable[[np.random.Generator], Any]
    rows: Callable[[np.random.Generator], Array]
    log_density: Callable[[Any, RealArray], Array]
    sums: Callable[[Any], Array]
    tilt: Callable[[Any, int, int, float], Any] | None
    counts: Callable[[Any], Array] = lambda statistics: statistics.counts
    impossible: bool = True
    missing: bool = False
    apart: Callable[[np.random.Generator], tuple[Any, Array]] | None = None
    prior: Callable[[float], Any] | None = None
    log_prior: Callable[[Any, Any], float] | None = None


@dataclass(frozen=True)
class ByBlocks:
    """A family without its compiled sweeps: the path of families that users write."""

    family: Any

    def log_likelihood(self, params: Any, x: RealArray) -> RealArray:
        return self.family.log_likelihood(params, x)  # type: ignore[no-any-return]

    def expected_statistics(self, params: Any, x: RealArray, weights: RealArray) -> Any:
        return self.family.expected_statistics(params, x, weights)

    def maximize(self, stats: Any, previous: Any) -> Any:
        return self.family.maximize(stats, previous)

    def model_statistics(self, params: Any, counts: Array) -> Any:
        return self.family.model_statistics(params, counts)


# -- Gaussians


def gaussian_case(covariance_type: Any, by_blocks: bool = False) -> FamilyCase:
    family = Gaussian(covariance_type)

    def parameters(rng: np.random.Generator) -> GaussianParams:
        means = 2 * rng.normal(size=(N_COMPONENTS, N_FEATURES))
        shape = (covariance_type, N_COMPONENTS, N_FEATURES)
        return family.params(means, gaussian.random_covariances(rng, *shape))

    def dense(params: GaussianParams) -> Array:
        return gaussian.full_covariances(params.covariances, covariance_type, params.means)

    def log_density(params: GaussianParams, x: RealArray) -> Array:
        components = zip(params.means, dense(params), strict=True)
        return np.stack([stats.multivariate_normal(m, c).logpdf(x) for m, c in components], axis=1)

    def tilt(params: GaussianParams, k: int, d: int, h: float) -> GaussianParams:
        means = params.means.copy()
        means[k] += h * dense(params)[k, :, d]
        return replace(params, means=means)

    return FamilyCase(
        f"gaussian-{covariance_type}" + ("-by-blocks" if by_blocks else ""),
        ByBlocks(family) if by_blocks else family,
        parameters, gaussian_rows, log_density, gaussian_sums, tilt,
        apart=lambda rng: gaussian_apart(family, rng),
    )  # fmt: skip


def gaussian_apart(family: Gaussian, rng: np.random.Generator) -> tuple[GaussianParams, Array]:
    means = np.array([[0.0, 0.0], [40.0, 0.0], [0.0, 40.0]])
    shape = (family.covariance_type, N_COMPONENTS, N_FEATURES)
    rows = means[rng.integers(N_COMPONENTS, size=N_ROWS)] + rng.normal(size=(N_ROWS, N_FEATURES))
    return family.params(means, gaussian.random_covariances(rng, *shape)), rows


def gaussian_rows(rng: np.random.Generator) -> Array:
    centers = 3 * rng.normal(size=(N_COMPONENTS, N_FEATURES))
    return centers[rng.integers(N_COMPONENTS, size=N_ROWS)] + rng.normal(size=(N_ROWS, N_FEATURES))


def gaussian_sums(statistics: GaussianStatistics) -> Array:
    return statistics.counts[:, None] * statistics.means


# -- families linear in their statistics


def linear_counts(statistics: LinearStatistics) -> Array:
    """The one count of each component: no entry is missing."""
    assert (statistics.counts == statistics.counts[:, :1]).all()
    return statistics.counts[:, 0]


def by_columns(log_density: Callable[..., Array], x: RealArray, *parameters: Array) -> Array:
    """Sums of log-densities of columns, (N, K), over what was observed; parameters are (K, D)."""
    wide = x.astype(np.float64)[:, None, :]
    columns = log_density(np.where(np.isnan(wide), 0.0, wide), *parameters)
    density: Array = np.where(np.isnan(wide), 0.0, columns).sum(axis=2)
    return density


def mixed(rng: np.random.Generator, draw: Callable[..., Any], *parameters: Array) -> Array:
    """N rows, each of a random component of ``parameters`` (K, D)."""
    components = rng.integers(N_COMPONENTS, size=N_ROWS)
    return np.asarray(draw(*(parameter[components] for parameter in parameters)), np.float64)


SHAPE = (N_COMPONENTS, N_FEATURES)
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


def poisson_rows(rng: np.random.Generator) -> Array:
    return mixed(rng, rng.poisson, rng.uniform(1.0, 12.0, SHAPE))


def poisson_case(name: str, family: Any, make: Callable[[Array], Any], **more: Any) -> FamilyCase:
    def tilt(params: Any, k: int, d: int, h: float) -> Any:
        rates = params.rates.copy()
        rates[k, d] *= np.exp(h)
        return make(rates)

    def apart(rng: np.random.Generator) -> tuple[Any, Array]:
        rates = 1.0 + 200.0 * CORNERS
        return make(rates), mixed(rng, rng.poisson, rates)

    return FamilyCase(
        name, family, lambda rng: make(rng.uniform(1.0, 9.0, SHAPE)), poisson_rows,
        lambda params, x: by_columns(stats.poisson.logpmf, x, params.rates),
        lambda statistics: statistics.sums, tilt, apart=apart, **more,
    )  # fmt: skip


def gamma_prior(n: float) -> GammaPrior:
    return GammaPrior(1.0 + n * np.array([[2.0, 3.0]]), np.full((1, 2), n))


def gamma_log_prior(prior: GammaPrior, params: Any) -> float:
    return float(stats.gamma.logpdf(params.rates, prior.shape, scale=1 / prior.rate).sum())


def bernoulli_case() -> FamilyCase:
    def parameters(rng: np.random.Generator) -> BernoulliParams:
        return BernoulliParams(rng.uniform(0.1, 0.9, SHAPE))

    def tilt(params: BernoulliParams, k: int, d: int, h: float) -> BernoulliParams:
        p = params.probabilities.copy()
        p[k, d] = 1 / (1 + np.exp(-h) * (1 - p[k, d]) / p[k, d])
        return BernoulliParams(p)

    def apart(rng: np.random.Generator) -> tuple[BernoulliParams, Array]:
        return BernoulliParams(np.abs(CORNERS - 1e-9)), mixed(rng, np.array, CORNERS)

    def log_prior(prior: BetaPrior, params: BernoulliParams) -> float:
        return float(stats.beta.logpdf(params.probabilities, prior.a, prior.b).sum())

    return FamilyCase(
        "bernoulli", Bernoulli(), parameters,
        lambda rng: mixed(rng, lambda p: rng.binomial(1, p), rng.uniform(0.1, 0.9, SHAPE)),
        lambda params, x: by_columns(stats.bernoulli.logpmf, x, params.probabilities),
        lambda statistics: statistics.sums, tilt, linear_counts, impossible=False, missing=True,
        apart=apart, log_prior=log_prior,
        prior=lambda n: BetaPrior(1 + n * np.array([[0.3, 0.6]]), 1 + n * np.array([[0.7, 0.4]])),
    )  # fmt: skip


FAMILIES = [
    gaussian_case("full"),
    gaussian_case("tied"),
    gaussian_case("diag"),
    gaussian_case("spherical"),
    gaussian_case("tied_spherical"),
    gaussian_case("full", by_blocks=True),
    gaussian_case("tied", by_blocks=True),
    poisson_case("numpy-poisson", NumpyPoisson(), NumpyPoissonParams),
    poisson_case(
        "poisson", Poisson(), PoissonParams, counts=linear_counts, missing=True,
        prior=gamma_prior, log_prior=gamma_log_prior,
    ),
    bernoulli_case(),
]  # fmt: skip


# -- structures


@dataclass(frozen=True)
class Case:
    """A model in one precision, with parameters and rows that its parameters fit only roughly."""

    of: FamilyCase
    dtype: type

    @property
    def name(self) -> str:
        return f"{self.of.name}-{np.dtype(self.dtype).name}"

    @property
    def model(self) -> Mixture[Any, Any]:
        return Mixture(self.of.family)

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(2024)

    @property
    def params(self) -> MixtureParams[Any]:
        return MixtureParams(WEIGHTS.copy(), self.of.parameters(self.rng))

    @property
    def rows(self) -> Rows:
        return Rows(self.of.rows(self.rng).astype(self.dtype))

    @property
    def weighted_rows(self) -> Rows:
        return replace(self.rows, sample_weight=self.rng.uniform(0.1, 2.0, N_ROWS))

    @property
    def tolerance(self) -> float:
        """Of statistics and log-likelihoods that two ways of computing make, relative to the largest entry."""
        return 1e-11 if self.dtype is np.float64 else 2e-5

    def slow_log_joint(self, params: MixtureParams[Any], rows: Rows) -> Array:
        return self.of.log_density(params.components, rows.x) + np.log(params.weights)

    def slow_log_likelihood(self, params: MixtureParams[Any], rows: Rows) -> float:
        weight = np.ones(len(rows)) if rows.sample_weight is None else rows.sample_weight
        joint = self.slow_log_joint(params, rows).astype(np.longdouble)
        return float(weight @ gaussian.logsumexp(joint))


def cases(
    has: Callable[[FamilyCase], Any] = lambda of: True, dtypes: tuple[type, ...] = (np.float64,)
) -> pytest.MarkDecorator:
    """A test over all families that have something."""
    chosen = [Case(of, dtype) for of in FAMILIES if has(of) for dtype in dtypes]
    assert chosen
    return pytest.mark.parametrize("case", chosen, ids=[case.name for case in chosen])


PRECISIONS = (np.float64, np.float32)
every_case = cases(dtypes=PRECISIONS)
every_double_case = cases()


# -- parameters and statistics as trees of arrays


def leaves(tree: Any) -> list[Array]:
    """All arrays of nested dataclasses, in order."""
    if is_dataclass(tree):
        return [leaf for f in fields(tree) for leaf in leaves(getattr(tree, f.name))]
    return [tree] if isinstance(tree, np.ndarray) else []


def permuted(tree: T, order: list[int]) -> T:
    """Nested dataclasses with the components of every array in another order."""
    if is_dataclass(tree):
        values = {f.name: permuted(getattr(tree, f.name), order) for f in fields(tree)}
        return replace(tree, **values)  # type: ignore[type-var, return-value]
    if isinstance(tree, np.ndarray) and len(tree) == N_COMPONENTS:
        return tree[order]  # type: ignore[return-value]
    return tree


def assert_near(got: Any, expected: Any, tolerance: float) -> None:
    """Every array of the one near that of the other, relative to its largest entry."""
    got_leaves, expected_leaves = leaves(got), leaves(expected)
    assert len(got_leaves) == len(expected_leaves) > 0
    for value, truth in zip(got_leaves, expected_leaves, strict=True):
        scale = np.max(np.abs(truth), initial=1e-300)
        np.testing.assert_allclose(value, truth, rtol=0, atol=tolerance * scale)


def assert_identical(got: Any, expected: Any) -> None:
    for value, truth in zip(leaves(got), leaves(expected), strict=True):
        assert value.tobytes() == truth.tobytes()
