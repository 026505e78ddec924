"""Families made of families, for the laws: independent columns, components that are mixtures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import special, stats

from latentcore.families.columns import (
    ColumnsParams,
    ColumnsPrior,
    ColumnsStatistics,
    IndependentColumns,
)
from latentcore.families.gaussian import Gaussian, GaussianPrior
from latentcore.families.mixed import MixedParams, MixedPrior, MixedStatistics, MixtureFamily
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.protocols import RealArray
from laws.family_case import (
    CORNERS,
    N_COMPONENTS,
    N_FEATURES,
    N_INNER,
    Array,
    FamilyCase,
    by_columns,
    by_component,
    dirichlet_log_prior,
    mixed,
)
from laws.gaussian_cases import gaussian_sums
from laws.linear_cases import gamma_log_prior, gamma_prior, poisson_marginal, poisson_rows
from laws.trees import leaves
from reference import gaussian, normal_wishart


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
        of_weights = dirichlet_log_prior(prior.weights.concentration, params.weights)
        return of_weights + gamma_log_prior(prior.components, params.components)

    return FamilyCase(
        "mixture-of-poissons", MixtureFamily(Poisson(), N_INNER),
        lambda rng: MixedParams(weights, PoissonParams(rng.uniform(1.0, 9.0, shape))),
        poisson_rows, log_density, sums, tilt,
        lambda statistics: statistics.counts.sum(axis=1), missing=True, apart=apart,
        prior=lambda n: MixedPrior(DirichletPrior(1 + n * np.array([0.3, 0.7])), gamma_prior(n)),
        log_prior=log_prior, hidden=True,
    )  # fmt: skip
