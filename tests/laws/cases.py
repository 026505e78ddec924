"""What the laws are run over: every family in every structure, in both precisions.

A new family joins by one line in FAMILIES. K = 3 and D = 2 everywhere, so that an axis of components is known by its
length.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special, stats

from latentcore.arrays import Rows
from latentcore.families.bernoulli import Bernoulli, BernoulliParams, BetaPrior
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.columns import (
    ColumnsParams,
    ColumnsPrior,
    ColumnsStatistics,
    IndependentColumns,
)
from latentcore.families.exponential import Exponential, ExponentialParams
from latentcore.families.gamma import Gamma, GammaParams
from latentcore.families.gaussian import (
    Gaussian,
    GaussianParams,
    GaussianPrior,
    GaussianStatistics,
)
from latentcore.families.gaussian_means import GaussianMeans, NormalPrior
from latentcore.families.linear import LinearStatistics
from latentcore.families.mixed import MixedParams, MixedPrior, MixedStatistics, MixtureFamily
from latentcore.families.multinomial import Multinomial, MultinomialParams, MultinomialPrior
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.families.pseudo_rows import PseudoRows
from latentcore.families.von_mises import VonMises, VonMisesParams
from latentcore.protocols import RealArray
from latentcore.sequences import Sequences
from latentcore.structures.hmm import HMM, HMMParams, HMMPrior
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior
from laws.numpy_poisson import NumpyPoisson
from laws.numpy_poisson import PoissonParams as NumpyPoissonParams
from laws.user_family import example
from reference import gaussian, normal_wishart

Array = npt.NDArray[np.float64]
T = TypeVar("T")

N_COMPONENTS, N_FEATURES, N_ROWS = 3, 2, 600
WEIGHTS = np.array([0.5, 0.2, 0.3])
TRANSITION = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]])
CUTS = np.random.default_rng(3).integers(5, N_ROWS, 20)
BEGINS = np.unique([0, 1, 3, 4, 200, 300, 400, N_ROWS, *CUTS])
"""Of sequences of a row, of two, and of any length."""
ALPHA = np.array([2.0, 1.5, 3.0])
TRANSITION_ALPHA = np.array([[4.0, 1.2, 2.0], [1.5, 3.0, 1.5], [2.0, 2.5, 3.5]])


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
        Weighted sums of rows, or of what ``summed`` makes of them.
    tilt : (P, k, d, h) -> P
        Component k with its density multiplied by exp(h x_d), x_d as summed, and normalised. None if the model takes
        something of the rows as given, so that sums beyond expectation are not the score.
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
    summed : (N, D) -> (N, D)
    zeros : bool
        Rows of zeros are in the support.
    log_evidence : (H, x (N, D), z (N,)) -> float
        Of rows in these components under a prior that all components have, parameters integrated out.
    hidden : bool
        Components have hidden variables of their own, so that a step of EM does not reach the top of what it ascends.
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
    summed: Callable[[Array], Array] = lambda rows: rows
    zeros: bool = True
    log_evidence: Callable[[Any, Array, Array], float] | None = None
    hidden: bool = False


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
        wide = x.astype(np.float64)
        return np.stack([gaussian.observed_log_density(wide, m, c) for m, c in components], axis=1)

    def tilt(params: GaussianParams, k: int, d: int, h: float) -> GaussianParams:
        means = params.means.copy()
        means[k] += h * dense(params)[k, :, d]
        return replace(params, means=means)

    def log_prior(prior: GaussianPrior, params: GaussianParams) -> float:
        return gaussian.log_prior(prior, params.means, params.covariances, covariance_type)

    def log_evidence(prior: GaussianPrior, x: Array, z: Array) -> float:
        return normal_wishart.log_evidence(prior, x, np.eye(N_COMPONENTS)[z], covariance_type)

    return FamilyCase(
        f"gaussian-{covariance_type}" + ("-by-blocks" if by_blocks else ""),
        ByBlocks(family) if by_blocks else family,
        parameters, gaussian_rows, log_density, gaussian_sums, tilt,
        missing=True, apart=lambda rng: gaussian_apart(family, rng), log_prior=log_prior,
        prior=None if by_blocks else lambda n: gaussian_prior(covariance_type, n),
        log_evidence=None if by_blocks else log_evidence,
    )  # fmt: skip


def gaussian_prior(covariance_type: str, n: float) -> GaussianPrior:
    """Proper, but for n < 0.1, where it is flat in the covariances as proper priors are not."""
    flat = {"full": N_FEATURES + 2, "tied": N_FEATURES + 1 + N_COMPONENTS, "diag": 3}
    flat |= {"spherical": N_FEATURES + 2, "tied_spherical": 2 + N_COMPONENTS * N_FEATURES}
    scale = n * np.array([[2.0, 0.5], [0.5, 1.0]])
    scales = {"full": scale[None], "tied": scale, "diag": scale.diagonal()[None]}
    return GaussianPrior(
        np.array([[0.5, -1.0]]), np.array([0.5 * n]),
        np.array([n + (N_FEATURES if n >= 0.1 else -flat[covariance_type])]),
        scales.get(covariance_type, scale[0, :1]),
    )  # fmt: skip


def gaussian_apart(family: Gaussian, rng: np.random.Generator) -> tuple[GaussianParams, Array]:
    means = np.array([[0.0, 0.0], [40.0, 0.0], [0.0, 40.0]])
    shape = (family.covariance_type, N_COMPONENTS, N_FEATURES)
    rows = means[rng.integers(N_COMPONENTS, size=N_ROWS)] + rng.normal(size=(N_ROWS, N_FEATURES))
    return family.params(means, gaussian.random_covariances(rng, *shape)), rows


def gaussian_means_case(variance: float = 1.3) -> FamilyCase:
    family = GaussianMeans(variance)

    def log_density(params: GaussianParams, x: RealArray) -> Array:
        deviation = np.sqrt(variance)
        return by_columns(
            lambda entry, mean: stats.norm.logpdf(entry, mean, deviation), x, params.means
        )

    def tilt(params: GaussianParams, k: int, d: int, h: float) -> GaussianParams:
        means = params.means.copy()
        means[k, d] += h * variance
        return family.params(means)

    def apart(rng: np.random.Generator) -> tuple[GaussianParams, Array]:
        params, rows = gaussian_apart(Gaussian("tied_spherical"), rng)
        return family.params(params.means), rows

    def log_prior(prior: NormalPrior, params: GaussianParams) -> float:
        deviations = np.sqrt(prior.variances)[:, None]
        return float(stats.norm.logpdf(params.means, prior.means, deviations).sum())

    def marginal(prior: NormalPrior, x: Array) -> Array:
        """Rows of a component share its mean, so that they are normal together, column by column."""
        covariance = variance * np.eye(len(x)) + prior.variances[0]
        joint = stats.multivariate_normal(np.zeros(len(x)), covariance)
        return np.array([joint.logpdf(x[:, d] - prior.means[0, d]) for d in range(N_FEATURES)])

    return FamilyCase(
        "gaussian-means", family, lambda rng: family.params(2 * rng.normal(size=SHAPE)), gaussian_rows,
        log_density, gaussian_sums, tilt, missing=True, apart=apart, log_prior=log_prior,
        prior=lambda n: NormalPrior(np.array([[0.5, -1.0]]), np.array([variance / n])),
        log_evidence=by_component(marginal),
    )  # fmt: skip


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


def by_component(marginal: Callable[[Any, Array], Any]) -> Callable[[Any, Array, Array], float]:
    """Log evidence of rows in their components, of that of a component's rows (n, D)."""

    def log_evidence(prior: Any, x: Array, z: Array) -> float:
        return float(sum(np.sum(marginal(prior, x[z == k])) for k in np.unique(z)))

    return log_evidence


def seen_and_sums(x: Array) -> tuple[Array, Array]:
    """Of each column the number of entries that are there, and their sum."""
    return (~np.isnan(x)).sum(axis=0), np.nansum(x, axis=0)


def gamma_normaliser(shape: Array, rate: Array) -> Array:
    normaliser: Array = special.gammaln(shape) - shape * np.log(rate)
    return normaliser


def poisson_marginal(prior: GammaPrior, x: Array) -> Array:
    n, sums = seen_and_sums(x)
    base = np.nansum(special.gammaln(x + 1), axis=0)
    after = gamma_normaliser(prior.shape + sums, prior.rate + n)
    return after - gamma_normaliser(prior.shape, prior.rate) - base


def exponential_marginal(prior: GammaPrior, x: Array) -> Array:
    n, sums = seen_and_sums(x)
    after = gamma_normaliser(prior.shape + n, prior.rate + sums)
    return after - gamma_normaliser(prior.shape, prior.rate)


def bernoulli_marginal(prior: BetaPrior, x: Array) -> Array:
    n, ones = seen_and_sums(x)
    after: Array = special.betaln(prior.a + ones, prior.b + n - ones)
    return after - special.betaln(prior.a, prior.b)


def dirichlet_normaliser(alpha: Array) -> Array:
    normaliser: Array = special.gammaln(alpha).sum() - special.gammaln(alpha.sum())
    return normaliser


def categorical_marginal(prior: DirichletPrior, x: Array) -> Any:
    alphas = np.split(prior.concentration[0], np.cumsum(LEVELS)[:-1])
    counts = [(x[:, [d]] == np.arange(n)).sum(axis=0) for d, n in enumerate(LEVELS)]
    return sum(
        dirichlet_normaliser(alpha + seen) - dirichlet_normaliser(alpha)
        for alpha, seen in zip(alphas, counts, strict=True)
    )


def multinomial_marginal(prior: MultinomialPrior, x: Array) -> Array:
    alpha = prior.concentration[0]
    coefficients = special.gammaln(x.sum(axis=1) + 1).sum() - special.gammaln(x + 1).sum()
    after = dirichlet_normaliser(alpha + x.sum(axis=0))
    return after - dirichlet_normaliser(alpha) + coefficients


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


def user_case() -> FamilyCase:
    """Negative binomials of given size."""
    size, make = 3.0, example.NegativeBinomialParams

    def log_density(params: Any, x: RealArray) -> Array:
        p = size / (size + params.means)
        return by_columns(lambda x, p: stats.nbinom.logpmf(x, size, p), x, p)

    def tilt(params: Any, k: int, d: int, h: float) -> Any:
        means = params.means.copy()
        q = np.exp(h) * means[k, d] / (means[k, d] + size)
        means[k, d] = size * q / (1 - q)
        return make(means)

    def apart(rng: np.random.Generator) -> tuple[Any, Array]:
        return make(1e-10 * 1e14**CORNERS), 1e4 * mixed(rng, np.array, CORNERS)

    return FamilyCase(
        "negative-binomial-of-a-user", example.NegativeBinomial(size),
        lambda rng: make(rng.uniform(1.0, 9.0, SHAPE)), poisson_rows, log_density,
        lambda statistics: statistics.sums, tilt, impossible=False, apart=apart,
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
        apart=apart, log_prior=log_prior, log_evidence=by_component(bernoulli_marginal),
        prior=lambda n: BetaPrior(1 + n * np.array([[0.3, 0.6]]), 1 + n * np.array([[0.7, 0.4]])),
    )  # fmt: skip


def exponential_case() -> FamilyCase:
    def tilt(params: ExponentialParams, k: int, d: int, h: float) -> ExponentialParams:
        rates = params.rates.copy()
        rates[k, d] -= h
        return ExponentialParams(rates)

    def apart(rng: np.random.Generator) -> tuple[ExponentialParams, Array]:
        means = 1e-12 ** (1 - CORNERS)
        rows = mixed(rng, lambda m: m * rng.uniform(0.5, 1.5, m.shape), means)
        return ExponentialParams(1 / means), rows

    return FamilyCase(
        "exponential", Exponential(),
        lambda rng: ExponentialParams(rng.uniform(0.3, 2.0, SHAPE)),
        lambda rng: mixed(rng, rng.exponential, rng.uniform(0.2, 5.0, SHAPE)),
        lambda params, x: by_columns(
            lambda x, rates: stats.expon.logpdf(x, scale=1 / rates), x, params.rates
        ),
        lambda statistics: statistics.sums, tilt, linear_counts, impossible=False, missing=True,
        apart=apart, prior=gamma_prior, log_prior=gamma_log_prior,
        log_evidence=by_component(exponential_marginal),
    )  # fmt: skip


PSEUDO_ROWS = np.array([[1.0, 2.0], [1.5, 0.5]])


def pseudo_rows(statistics: Callable[[Array], list[Array]], n: float) -> PseudoRows:
    """n / 2 rows like each of two."""
    sums = np.hstack(statistics(PSEUDO_ROWS)).sum(axis=0, keepdims=True) * n / 2
    return PseudoRows(np.full((1, N_FEATURES), n), sums)


def pseudo_log_prior(
    log_density: Callable[[Any, RealArray], Array], prior: PseudoRows, params: Any
) -> float:
    return float(log_density(params, PSEUDO_ROWS).sum() * prior.counts[0, 0] / 2)


def gamma_case() -> FamilyCase:
    def log_density(params: GammaParams, x: RealArray) -> Array:
        def columns(x: Array, shapes: Array, rates: Array) -> Array:
            seen = np.where(x > 0, x, 1.0)  # zeros stand for missing entries
            return np.asarray(stats.gamma.logpdf(seen, shapes, scale=1 / rates))

        return by_columns(columns, x, params.shapes, params.rates)

    def tilt(params: GammaParams, k: int, d: int, h: float) -> GammaParams:
        rates = params.rates.copy()
        rates[k, d] -= h
        return replace(params, rates=rates)

    def parameters(rng: np.random.Generator) -> GammaParams:
        return GammaParams(rng.uniform(0.5, 6.0, SHAPE), rng.uniform(0.3, 2.0, SHAPE))

    def rows(rng: np.random.Generator, shapes: Array, rates: Array) -> Array:
        return mixed(rng, lambda a, b: rng.gamma(a, 1 / b), shapes, rates)

    def apart(rng: np.random.Generator) -> tuple[GammaParams, Array]:
        shapes = np.full(SHAPE, 50.0)
        rates = shapes / 1e3**CORNERS
        return GammaParams(shapes, rates), rows(rng, shapes, rates)

    return FamilyCase(
        "gamma", Gamma(), parameters,
        lambda rng: rows(rng, rng.uniform(0.5, 8.0, SHAPE), rng.uniform(0.3, 2.0, SHAPE)),
        log_density, lambda statistics: statistics.sums[:, :N_FEATURES], tilt, linear_counts,
        impossible=False, missing=True, apart=apart, zeros=False,
        prior=lambda n: pseudo_rows(lambda x: [x, np.log(x)], n),
        log_prior=lambda prior, params: pseudo_log_prior(log_density, prior, params),
    )  # fmt: skip


def von_mises_case() -> FamilyCase:
    def log_density(params: VonMisesParams, x: RealArray) -> Array:
        def columns(x: Array, means: Array, concentrations: Array) -> Array:
            return np.asarray(stats.vonmises.logpdf(x, concentrations, loc=means))

        return by_columns(columns, x, params.means, params.concentrations)

    def tilt(params: VonMisesParams, k: int, d: int, h: float) -> VonMisesParams:
        natural = params.concentrations * np.exp(1j * params.means)
        natural[k, d] += h
        return VonMisesParams(np.angle(natural), np.abs(natural))

    def parameters(rng: np.random.Generator) -> VonMisesParams:
        return VonMisesParams(rng.uniform(-2.5, 2.5, SHAPE), rng.uniform(0.5, 6.0, SHAPE))

    def apart(rng: np.random.Generator) -> tuple[VonMisesParams, Array]:
        params = VonMisesParams(2.5 * CORNERS, np.full(SHAPE, 60.0))
        return params, mixed(rng, rng.vonmises, params.means, params.concentrations)

    return FamilyCase(
        "von-mises", VonMises(), parameters,
        lambda rng: mixed(
            rng, rng.vonmises, rng.uniform(-2.5, 2.5, SHAPE), rng.uniform(1.0, 9.0, SHAPE)
        ),
        log_density, lambda statistics: statistics.sums[:, :N_FEATURES], tilt, linear_counts,
        impossible=False, missing=True, apart=apart, summed=np.cos,
        prior=lambda n: pseudo_rows(lambda x: [np.cos(x), np.sin(x)], n),
        log_prior=lambda prior, params: pseudo_log_prior(log_density, prior, params),
    )  # fmt: skip


LEVELS = (2, 4)


def random_categories(rng: np.random.Generator) -> Array:
    """Probabilities of codes, (K, sum of levels)."""
    return np.hstack([rng.dirichlet(np.full(n, 3.0), N_COMPONENTS) for n in LEVELS])


def categorical_case() -> FamilyCase:
    family = Categorical(LEVELS)

    def rows_of(rng: np.random.Generator, probabilities: Array) -> Array:
        columns = np.split(probabilities, np.cumsum(LEVELS)[:-1], axis=1)
        return mixed(rng, lambda *p: np.stack([codes(rng, q) for q in p], axis=1), *columns)

    def codes(rng: np.random.Generator, p: Array) -> Array:
        return (rng.uniform(size=(len(p), 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)

    def log_density(params: CategoricalParams, x: RealArray) -> Array:
        out = np.zeros((len(x), N_COMPONENTS))
        for d, p in enumerate(np.split(params.probabilities, np.cumsum(LEVELS)[:-1], axis=1)):
            seen = ~np.isnan(x[:, d])
            out[seen] += np.log(p)[:, x[seen, d].astype(int)].T
        return out

    def sums(statistics: LinearStatistics) -> Array:
        columns = np.split(statistics.sums, np.cumsum(LEVELS)[:-1], axis=1)
        return np.stack([part @ np.arange(part.shape[1]) for part in columns], axis=1)

    def tilt(params: CategoricalParams, k: int, d: int, h: float) -> CategoricalParams:
        p = params.probabilities.copy()
        part = np.split(p, np.cumsum(LEVELS)[:-1], axis=1)[d]  # a view
        part[k] *= np.exp(h * np.arange(part.shape[1]))
        part[k] /= part[k].sum()
        return CategoricalParams(p)

    def apart(rng: np.random.Generator) -> tuple[CategoricalParams, Array]:
        p = np.full((N_COMPONENTS, sum(LEVELS)), 1e-9)
        for k, corner in enumerate(CORNERS):
            p[k, int(corner[0])] = 1 - 1e-9
            p[k, 2 + int(corner[1])] = 1 - 3e-9
        return CategoricalParams(p), mixed(rng, np.array, CORNERS)

    def log_prior(prior: DirichletPrior, params: CategoricalParams) -> float:
        cuts = np.cumsum(LEVELS)[:-1]
        concentration = np.broadcast_to(prior.concentration, params.probabilities.shape)
        pairs = zip(
            np.split(params.probabilities, cuts, axis=1), np.split(concentration, cuts, axis=1),
            strict=True,
        )  # fmt: skip
        return sum(
            float(stats.dirichlet.logpdf(p[k] / p[k].sum(), alpha[k]))
            for p, alpha in pairs
            for k in range(N_COMPONENTS)
        )

    shares = np.array([[0.4, 0.6, 0.1, 0.4, 0.3, 0.2]])
    return FamilyCase(
        "categorical", family, lambda rng: CategoricalParams(random_categories(rng)),
        lambda rng: rows_of(rng, random_categories(rng)), log_density, sums, tilt, linear_counts,
        impossible=False, missing=True, apart=apart,
        prior=lambda n: DirichletPrior(1 + n * shares), log_prior=log_prior,
        log_evidence=by_component(categorical_marginal),
    )  # fmt: skip


def multinomial_case(name: str, totals: Callable[[np.random.Generator], Array]) -> FamilyCase:
    """With equal totals their mean is that of every row, so that sums beyond expectation are the score."""
    equal = np.ptp(totals(np.random.default_rng(0))) == 0

    def probabilities(rng: np.random.Generator) -> Array:
        return rng.dirichlet([2.0, 3.0], N_COMPONENTS)

    def rows(rng: np.random.Generator, p: Array) -> Array:
        return mixed(rng, lambda q: rng.multinomial(totals(rng), q), p)

    def log_density(params: MultinomialParams, x: RealArray) -> Array:
        wide = x.astype(np.float64)
        pmfs = [
            stats.multinomial.logpmf(wide, wide.sum(1), p / p.sum()) for p in params.probabilities
        ]
        return np.stack(pmfs, axis=1)

    def tilt(params: MultinomialParams, k: int, d: int, h: float) -> MultinomialParams:
        p = params.probabilities.copy()
        p[k, d] *= np.exp(h)
        p[k] /= p[k].sum()
        return MultinomialParams(p, params.mean_total)

    def apart(rng: np.random.Generator) -> tuple[MultinomialParams, Array]:
        p = np.array([[1e-9, 1 - 1e-9], [0.5, 0.5], [1 - 1e-9, 1e-9]])
        x = mixed(rng, np.array, 40.0 * np.round(p, 1))
        return MultinomialParams(p, 40.0), x

    def log_prior(prior: MultinomialPrior, params: MultinomialParams) -> float:
        alpha = np.broadcast_to(prior.concentration, SHAPE)
        pairs = zip(params.probabilities, alpha, strict=True)
        return sum(float(stats.dirichlet.logpdf(p / p.sum(), a)) for p, a in pairs)

    return FamilyCase(
        name, Multinomial(), lambda rng: MultinomialParams(probabilities(rng), 12.0),
        lambda rng: rows(rng, probabilities(rng)), log_density,
        lambda statistics: statistics.sums, tilt if equal else None, linear_counts,
        impossible=False, apart=apart, log_prior=log_prior,
        prior=lambda n: MultinomialPrior(1 + n * np.array([[5.0, 7.0]])),
        log_evidence=by_component(multinomial_marginal),
    )  # fmt: skip


def columns_case() -> FamilyCase:
    """A Gaussian column after a Poisson one; the parts are in the other order."""
    gaussians = Gaussian("diag")

    def make(rates: Array, means: Array, variances: Array) -> ColumnsParams:
        return ColumnsParams((gaussians.params(means, variances), PoissonParams(rates)))

    def parameters(rng: np.random.Generator) -> ColumnsParams:
        shape = (N_COMPONENTS, 1)
        return make(rng.uniform(1, 9, shape), rng.normal(size=shape), rng.uniform(0.5, 2, shape))

    def rows(rng: np.random.Generator, rates: Array, means: Array) -> Array:
        def draw(rates: Array, means: Array) -> Array:
            return np.stack([rng.poisson(rates), rng.normal(means)], axis=1)

        return mixed(rng, draw, rates, means)

    def log_density(params: ColumnsParams, x: RealArray) -> Array:
        normal, poisson = params.parts
        scale = np.sqrt(normal.covariances)
        return by_columns(stats.poisson.logpmf, x[:, :1], poisson.rates) + by_columns(
            stats.norm.logpdf, x[:, 1:], normal.means, scale
        )

    def sums(statistics: ColumnsStatistics) -> Array:
        normal, poisson = statistics.parts
        return np.hstack([poisson.sums, gaussian_sums(normal)])

    def tilt(params: ColumnsParams, k: int, d: int, h: float) -> ColumnsParams:
        normal, poisson = params.parts
        rates, means = poisson.rates.copy(), normal.means.copy()
        if d == 0:
            rates[k] *= np.exp(h)
        else:
            means[k] += h * normal.covariances[k]
        return make(rates, means, normal.covariances)

    def apart(rng: np.random.Generator) -> tuple[ColumnsParams, Array]:
        rates, means = 1 + 200 * CORNERS[:, :1], 40 * CORNERS[:, 1:]
        return make(rates, means, np.ones_like(means)), rows(rng, rates[:, 0], means[:, 0])

    def prior(n: float) -> ColumnsPrior:
        degrees_of_freedom = n + (1 if n >= 0.1 else -3)  # flat, as proper ones are not
        normal = GaussianPrior([[0.5]], [n], [degrees_of_freedom], [[n]])
        return ColumnsPrior((normal, GammaPrior(1 + 4 * n, n)))

    def log_prior(prior: ColumnsPrior, params: ColumnsParams) -> float:
        normal, poisson = params.parts
        log_density = gaussian.log_prior(prior.parts[0], normal.means, normal.covariances, "diag")
        return log_density + gamma_log_prior(prior.parts[1], poisson)

    def log_evidence(prior: ColumnsPrior, x: Array, z: Array) -> float:
        normal, gamma = prior.parts
        components = np.eye(N_COMPONENTS)[z]
        of_normal = normal_wishart.log_evidence(normal, x[:, 1:], components, "diag")
        return of_normal + by_component(poisson_marginal)(gamma, x[:, :1], z)

    return FamilyCase(
        "columns-gaussian-poisson", IndependentColumns([(gaussians, [1]), (Poisson(), [0])]),
        parameters,
        lambda rng: rows(rng, np.array([2.0, 5.0, 11.0]), np.array([1.0, -2.0, 0.0])),
        log_density, sums, tilt, lambda statistics: statistics.parts[0].counts, apart=apart,
        missing=True, prior=prior, log_prior=log_prior, log_evidence=log_evidence,
    )  # fmt: skip


def split_case(of: FamilyCase, column: Callable[[Any, int], Any]) -> FamilyCase:
    """A family of independent columns, each a part of its own. ``column(tree, d)`` keeps column d of arrays."""

    def split(tree: Any) -> Any:
        return tuple(column(tree, d) for d in range(N_FEATURES))

    def joined(parts: tuple[Any, ...]) -> Any:
        columns = zip(*(leaves(part) for part in parts), strict=True)
        return type(parts[0])(*(np.hstack(arrays) for arrays in columns))

    assert of.apart is not None
    assert of.prior is not None
    assert of.log_prior is not None
    assert of.log_evidence is not None
    log_evidence = of.log_evidence
    apart, prior, log_prior, tilt = of.apart, of.prior, of.log_prior, of.tilt
    assert tilt is not None

    def split_apart(rng: np.random.Generator) -> tuple[ColumnsParams, Array]:
        params, rows = apart(rng)
        return ColumnsParams(split(params)), rows

    return replace(
        of,
        name=f"columns-{of.name}",
        family=IndependentColumns((column(of.family, d), [d]) for d in range(N_FEATURES)),
        parameters=lambda rng: ColumnsParams(split(of.parameters(rng))),
        log_density=lambda params, x: of.log_density(joined(params.parts), x),
        sums=lambda statistics: of.sums(joined(statistics.parts)),
        counts=lambda statistics: of.counts(joined(statistics.parts)),
        tilt=lambda params, k, d, h: ColumnsParams(split(tilt(joined(params.parts), k, d, h))),
        apart=split_apart,
        prior=lambda n: ColumnsPrior(split(prior(n))),
        log_prior=lambda prior, params: log_prior(joined(prior.parts), joined(params.parts)),
        log_evidence=lambda prior, x, z: log_evidence(joined(prior.parts), x, z),
    )


N_INNER = 2


def mixed_case() -> FamilyCase:
    """Each component a mixture of two Poissons."""
    weights = np.array([[0.25, 0.75], [0.5, 0.5], [0.75, 0.25]])
    shape = (N_COMPONENTS * N_INNER, N_FEATURES)

    def log_density(params: MixedParams, x: RealArray) -> Array:
        inner = by_columns(stats.poisson.logpmf, x, params.components.rates)
        joint = inner.reshape(-1, N_COMPONENTS, N_INNER) + np.log(params.weights)
        return np.asarray(special.logsumexp(joint, axis=2))

    def sums(statistics: MixedStatistics) -> Array:
        by_state = statistics.components.sums.reshape(N_COMPONENTS, N_INNER, N_FEATURES)
        return np.asarray(by_state.sum(axis=1))

    def tilt(params: MixedParams, k: int, d: int, h: float) -> MixedParams:
        rates, tilted = params.components.rates.copy(), params.weights.copy()
        own = slice(k * N_INNER, (k + 1) * N_INNER)
        tilted[k] *= np.exp(rates[own, d] * (np.exp(h) - 1))
        tilted[k] /= tilted[k].sum()
        rates[own, d] *= np.exp(h)
        return MixedParams(tilted, PoissonParams(rates))

    def apart(rng: np.random.Generator) -> tuple[MixedParams, Array]:
        rates = 1.0 + 200.0 * CORNERS
        components = PoissonParams(
            np.repeat(rates, N_INNER, axis=0) * np.tile([[1.0], [1.1]], (3, 1))
        )
        return MixedParams(weights, components), mixed(rng, rng.poisson, rates)

    def log_prior(prior: MixedPrior, params: MixedParams) -> float:
        [alpha] = prior.weights.concentration
        of_weights = sum(float(stats.dirichlet.logpdf(p / p.sum(), alpha)) for p in params.weights)
        return of_weights + gamma_log_prior(prior.components, params.components)

    return FamilyCase(
        "mixture-of-poissons", MixtureFamily(Poisson(), N_INNER),
        lambda rng: MixedParams(weights, PoissonParams(rng.uniform(1.0, 9.0, shape))),
        poisson_rows, log_density, sums, tilt,
        lambda statistics: statistics.counts.sum(axis=1), missing=True, apart=apart,
        prior=lambda n: MixedPrior(DirichletPrior(1 + n * np.array([0.3, 0.7])), gamma_prior(n)),
        log_prior=log_prior, hidden=True,
    )  # fmt: skip


def category_column(tree: Any, d: int) -> Any:
    if isinstance(tree, Categorical):
        return Categorical((tree.levels[d],))
    cuts = np.cumsum(LEVELS)[:-1]
    return type(tree)(*(np.split(array, cuts, axis=1)[d] for array in leaves(tree)))


FAMILIES = [
    gaussian_case("full"),
    gaussian_case("tied"),
    gaussian_case("diag"),
    gaussian_case("spherical"),
    gaussian_case("tied_spherical"),
    gaussian_means_case(),
    gaussian_case("full", by_blocks=True),
    gaussian_case("tied", by_blocks=True),
    poisson_case("numpy-poisson", NumpyPoisson(), NumpyPoissonParams),
    poisson_case(
        "poisson", Poisson(), PoissonParams, counts=linear_counts, missing=True,
        prior=gamma_prior, log_prior=gamma_log_prior,
        log_evidence=by_component(poisson_marginal),
    ),
    user_case(),
    bernoulli_case(),
    exponential_case(),
    gamma_case(),
    von_mises_case(),
    categorical_case(),
    multinomial_case("multinomial", lambda rng: np.full(N_ROWS, 12)),
    multinomial_case("multinomial-varying", lambda rng: rng.integers(1, 25, N_ROWS)),
    columns_case(),
    split_case(categorical_case(), category_column),
    mixed_case(),
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
    def model(self) -> Any:
        return Mixture(self.of.family)

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(2024)

    @property
    def params(self) -> Any:
        return MixtureParams(WEIGHTS.copy(), self.of.parameters(self.rng))

    @property
    def rows(self) -> Any:
        return Rows(self.of.rows(self.rng).astype(self.dtype))

    @property
    def weighted_rows(self) -> Any:
        return replace(self.rows, sample_weight=self.rng.uniform(0.1, 2.0, self.n_observations))

    @property
    def n_observations(self) -> int:
        """That have a weight each."""
        return N_ROWS

    @property
    def lengths(self) -> Any:
        return None

    def prior(self, n: float) -> Any:
        """Worth about n rows in each component."""
        assert self.of.prior is not None
        return MixturePrior(1 + n * (ALPHA - 1), self.of.prior(n))

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


@dataclass(frozen=True)
class ChainCase(Case):
    """A hidden Markov model, and the same rows as sequences."""

    @property
    def name(self) -> str:
        return f"hmm-{super().name}"

    @property
    def model(self) -> Any:
        return HMM(self.of.family)

    @property
    def params(self) -> Any:
        return HMMParams(WEIGHTS.copy(), TRANSITION.copy(), self.of.parameters(self.rng))

    @property
    def rows(self) -> Any:
        return Sequences(self.of.rows(self.rng).astype(self.dtype), BEGINS)

    @property
    def n_observations(self) -> int:
        return len(BEGINS) - 1

    @property
    def lengths(self) -> Any:
        return np.diff(BEGINS)

    def prior(self, n: float) -> Any:
        assert self.of.prior is not None
        alphas = (1 + n * (alpha - 1) for alpha in (ALPHA, TRANSITION_ALPHA))
        return HMMPrior(*alphas, self.of.prior(n))

    def slow_log_likelihood(self, params: Any, rows: Any) -> float:
        """The sum over paths as a product of matrices, in long double."""
        log_density = self.of.log_density(params.emissions, rows.x)
        peaks = log_density.max(axis=1)
        density = np.exp((log_density - peaks[:, None]).astype(np.longdouble))
        transition, total = params.transition.astype(np.longdouble), np.longdouble(0)
        weight = np.ones(rows.n_sequences) if rows.sample_weight is None else rows.sample_weight
        for q, (begin, end) in enumerate(itertools.pairwise(rows.begins)):
            law, log_likelihood = params.initial.astype(np.longdouble), peaks[begin:end].sum()
            for t in range(begin, end):
                joint = (law if t == begin else law @ transition) * density[t]
                law = joint / joint.sum()
                log_likelihood += np.log(joint.sum())
            total += weight[q] * log_likelihood
        return float(total)


MODELS = (Case, ChainCase)


def cases(
    has: Callable[[FamilyCase], Any] = lambda of: True,
    dtypes: tuple[type, ...] = (np.float64,),
    structures: tuple[type[Case], ...] = (Case,),
) -> pytest.MarkDecorator:
    """A test over all families that have something."""
    chosen = [
        structure(of, dtype)
        for structure in structures
        for of in FAMILIES
        if has(of)
        for dtype in dtypes
    ]
    assert chosen
    return pytest.mark.parametrize("case", chosen, ids=[case.name for case in chosen])


PRECISIONS = (np.float64, np.float32)
every_case = cases(dtypes=PRECISIONS)
every_double_case = cases()
every_model = cases(dtypes=PRECISIONS, structures=MODELS)
every_double_model = cases(structures=MODELS)
every_chain = cases(dtypes=PRECISIONS, structures=(ChainCase,))
every_double_chain = cases(structures=(ChainCase,))


# -- parameters and statistics as trees of arrays


def leaves(tree: Any) -> list[Array]:
    """All arrays and numbers of nested dataclasses and tuples, in order."""
    if is_dataclass(tree):
        return [leaf for f in fields(tree) for leaf in leaves(getattr(tree, f.name))]
    if isinstance(tree, tuple):
        return [leaf for part in tree for leaf in leaves(part)]
    return [np.asarray(tree)] if isinstance(tree, np.ndarray | float) else []


def permuted(tree: T, order: list[int]) -> T:
    """Nested dataclasses with the components of every array in another order."""
    if is_dataclass(tree):
        values = {f.name: permuted(getattr(tree, f.name), order) for f in fields(tree)}
        for name in {"transition", "transitions"} & set(values):
            values[name] = np.ascontiguousarray(values[name][:, order])
        return replace(tree, **values)  # type: ignore[type-var, return-value]
    if isinstance(tree, tuple):
        return tuple(permuted(part, order) for part in tree)  # type: ignore[return-value]
    if isinstance(tree, np.ndarray) and len(tree) == N_COMPONENTS:
        return tree[order]  # type: ignore[return-value]
    if isinstance(tree, np.ndarray) and len(tree) == N_COMPONENTS * N_INNER:
        return tree.reshape(N_COMPONENTS, N_INNER, -1)[order].reshape(tree.shape)  # type: ignore[return-value]
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
