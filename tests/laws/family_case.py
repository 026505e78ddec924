"""What the laws need to know of a family, and the draws and log-densities of rows that families share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from latentcore.families.linear import LinearStatistics
from latentcore.protocols import RealArray

Array = npt.NDArray[np.float64]

N_COMPONENTS, N_FEATURES, N_ROWS = 3, 2, 600
SHAPE = (N_COMPONENTS, N_FEATURES)
N_INNER = 2
"""Components of a component, where it is a mixture."""
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


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
        return self.family.log_likelihood(params, x)

    def expected_statistics(self, params: Any, x: RealArray, weights: RealArray) -> Any:
        return self.family.expected_statistics(params, x, weights)

    def maximize(self, stats: Any, previous: Any) -> Any:
        return self.family.maximize(stats, previous)

    def model_statistics(self, params: Any, counts: Array) -> Any:
        return self.family.model_statistics(params, counts)


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


def by_component(marginal: Callable[[Any, Array], Any]) -> Callable[[Any, Array, Array], float]:
    """Log evidence of rows in their components, of that of a component's rows (n, D)."""

    def log_evidence(prior: Any, x: Array, z: Array) -> float:
        return float(sum(np.sum(marginal(prior, x[z == k])) for k in np.unique(z)))

    return log_evidence


def seen_and_sums(x: Array) -> tuple[Array, Array]:
    """Of each column the number of entries that are there, and their sum."""
    return (~np.isnan(x)).sum(axis=0), np.nansum(x, axis=0)


def dirichlet_log_prior(alpha: Array, p: Array) -> float:
    """Of probabilities (K, L), whose sums are one but for rounding, under alpha (1, L) or (K, L)."""
    pairs = zip(p, np.broadcast_to(alpha, p.shape), strict=True)
    return float(sum(stats.dirichlet.logpdf(q / q.sum(), a) for q, a in pairs))
