"""Gaussian families, for the laws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from latentcore.families.gaussian import Gaussian, GaussianParams, GaussianPrior, GaussianStatistics
from latentcore.families.gaussian_means import GaussianMeans, NormalPrior
from latentcore.protocols import RealArray
from laws.family_case import (
    N_COMPONENTS,
    N_FEATURES,
    N_ROWS,
    SHAPE,
    Array,
    ByBlocks,
    FamilyCase,
    by_columns,
    by_component,
)
from reference import gaussian, normal_wishart


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
