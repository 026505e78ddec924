"""Families of codes and of counts that share a total, for the laws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special, stats

from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.linear import LinearStatistics
from latentcore.families.multinomial import Multinomial, MultinomialParams, MultinomialPrior
from latentcore.families.priors import DirichletPrior
from latentcore.protocols import RealArray
from laws.family_case import (
    CORNERS,
    N_COMPONENTS,
    Array,
    FamilyCase,
    by_component,
    dirichlet_log_prior,
    linear_counts,
    mixed,
)
from laws.trees import leaves

LEVELS = (2, 4)


def by_column(codes: Array) -> list[Array]:
    """Views of the codes of each column, which lie side by side on the last axis."""
    return np.split(codes, np.cumsum(LEVELS)[:-1], axis=-1)


def dirichlet_normaliser(alpha: Array) -> Array:
    normaliser: Array = special.gammaln(alpha).sum() - special.gammaln(alpha.sum())
    return normaliser


def categorical_marginal(prior: DirichletPrior, x: Array) -> Any:
    alphas = by_column(prior.concentration[0])
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


def random_categories(rng: np.random.Generator) -> Array:
    """Probabilities of codes, (K, sum of levels)."""
    return np.hstack([rng.dirichlet(np.full(n, 3.0), N_COMPONENTS) for n in LEVELS])


def categorical_case() -> FamilyCase:
    family = Categorical(LEVELS)

    def rows_of(rng: np.random.Generator, probabilities: Array) -> Array:
        def draw(*columns: Array) -> Array:
            return np.stack([codes(rng, p) for p in columns], axis=1)

        return mixed(rng, draw, *by_column(probabilities))

    def codes(rng: np.random.Generator, p: Array) -> Array:
        return (rng.uniform(size=(len(p), 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)

    def log_density(params: CategoricalParams, x: RealArray) -> Array:
        out = np.zeros((len(x), N_COMPONENTS))
        for d, p in enumerate(by_column(params.probabilities)):
            seen = ~np.isnan(x[:, d])
            out[seen] += np.log(p)[:, x[seen, d].astype(int)].T
        return out

    def sums(statistics: LinearStatistics) -> Array:
        columns = by_column(statistics.sums)
        return np.stack([part @ np.arange(part.shape[1]) for part in columns], axis=1)

    def tilt(params: CategoricalParams, k: int, d: int, h: float) -> CategoricalParams:
        p = params.probabilities.copy()
        part = by_column(p)[d]
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
        columns = zip(by_column(params.probabilities), by_column(prior.concentration), strict=True)
        return sum(dirichlet_log_prior(alpha, p) for p, alpha in columns)

    shares = np.array([[0.4, 0.6, 0.1, 0.4, 0.3, 0.2]])
    return FamilyCase(
        "categorical", family, lambda rng: CategoricalParams(random_categories(rng)),
        lambda rng: rows_of(rng, random_categories(rng)), log_density, sums, tilt, linear_counts,
        impossible=False, missing=True, apart=apart,
        prior=lambda n: DirichletPrior(1 + n * shares), log_prior=log_prior,
        log_evidence=by_component(categorical_marginal),
    )  # fmt: skip


def multinomial_case(name: str, totals: Callable[[np.random.Generator], Any]) -> FamilyCase:
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
        return dirichlet_log_prior(prior.concentration, params.probabilities)

    return FamilyCase(
        name, Multinomial(), lambda rng: MultinomialParams(probabilities(rng), 12.0),
        lambda rng: rows(rng, probabilities(rng)), log_density,
        lambda statistics: statistics.sums, tilt if equal else None, linear_counts,
        impossible=False, apart=apart, log_prior=log_prior,
        prior=lambda n: MultinomialPrior(1 + n * np.array([[5.0, 7.0]])),
        log_evidence=by_component(multinomial_marginal),
    )  # fmt: skip


def category_column(tree: Any, d: int) -> Any:
    if isinstance(tree, Categorical):
        return Categorical((tree.levels[d],))
    return type(tree)(*(by_column(array)[d] for array in leaves(tree)))
