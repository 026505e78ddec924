"""What the laws are run over: every family in every structure, in both precisions.

A new family joins by one line in FAMILIES. K = 3 and D = 2 everywhere, so that an axis of components is known by its
length.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from latentcore.arrays import Rows
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.sequences import Sequences
from latentcore.structures.hmm import HMM, HMMParams, HMMPrior
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior
from laws.category_cases import LEVELS, categorical_case, category_column, multinomial_case
from laws.composed_cases import columns_case, mixed_case, split_case
from laws.family_case import (
    N_COMPONENTS,
    N_FEATURES,
    N_INNER,
    N_ROWS,
    Array,
    ByBlocks,
    FamilyCase,
    by_component,
    linear_counts,
)
from laws.gaussian_cases import gaussian_case, gaussian_means_case
from laws.linear_cases import (
    bernoulli_case,
    exponential_case,
    gamma_case,
    gamma_log_prior,
    gamma_prior,
    poisson_case,
    poisson_marginal,
    user_case,
    von_mises_case,
)
from laws.numpy_poisson import NumpyPoisson
from laws.numpy_poisson import PoissonParams as NumpyPoissonParams
from laws.trees import assert_identical, assert_near, leaves, permuted
from reference import gaussian

__all__ = [
    "ALPHA",
    "BEGINS",
    "FAMILIES",
    "LEVELS",
    "MODELS",
    "N_COMPONENTS",
    "N_FEATURES",
    "N_INNER",
    "N_ROWS",
    "PRECISIONS",
    "TRANSITION",
    "TRANSITION_ALPHA",
    "WEIGHTS",
    "Array",
    "ByBlocks",
    "Case",
    "ChainCase",
    "FamilyCase",
    "assert_identical",
    "assert_near",
    "cases",
    "every_case",
    "every_chain",
    "every_double_case",
    "every_double_chain",
    "every_double_model",
    "every_model",
    "gaussian_case",
    "leaves",
    "permuted",
]

WEIGHTS = np.array([0.5, 0.2, 0.3])
TRANSITION = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]])
CUTS = np.random.default_rng(3).integers(5, N_ROWS, 20)
BEGINS = np.unique([0, 1, 3, 4, 200, 300, 400, N_ROWS, *CUTS])
"""Of sequences of a row, of two, and of any length."""
ALPHA = np.array([2.0, 1.5, 3.0])
TRANSITION_ALPHA = np.array([[4.0, 1.2, 2.0], [1.5, 3.0, 1.5], [2.0, 2.5, 3.5]])


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
        initial, transition = (1 + n * (alpha - 1) for alpha in (ALPHA, TRANSITION_ALPHA))
        return HMMPrior(initial, transition, self.of.prior(n))

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
