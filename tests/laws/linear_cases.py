"""Families of independent columns that are linear in their statistics, for the laws, and one of a user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import special, stats

from latentcore.families.bernoulli import Bernoulli, BernoulliParams, BetaPrior
from latentcore.families.exponential import Exponential, ExponentialParams
from latentcore.families.gamma import Gamma, GammaParams
from latentcore.families.priors import GammaPrior
from latentcore.families.pseudo_rows import PseudoRows
from latentcore.families.von_mises import VonMises, VonMisesParams
from latentcore.protocols import RealArray
from laws.family_case import (
    CORNERS,
    N_FEATURES,
    SHAPE,
    Array,
    FamilyCase,
    by_columns,
    by_component,
    linear_counts,
    mixed,
    seen_and_sums,
)
from laws.user_family import example


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
