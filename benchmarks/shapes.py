"""The problems that are timed: shapes, data and starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

CovarianceType = Literal["full", "tied", "diag", "spherical"]
DType = Literal["float64", "float32"]
Clusters = Literal["overlapping", "separated"]

_SEPARATION = 2.0
_START_ERROR = 0.1


@dataclass(frozen=True, slots=True)
class Shape:
    """A mixture of K Gaussians on N rows of D features, and the speed over scikit-learn that is aimed for."""

    covariance_type: CovarianceType
    n_rows: int
    n_features: int
    n_components: int
    goal: float | None = None
    """Ratio of the times of an iteration: float64, one thread, overlapping clusters."""

    @property
    def name(self) -> str:
        rows = f"{self.n_rows:.0e}".replace("e+0", "e")
        return f"{self.covariance_type}-{rows}-{self.n_features}-{self.n_components}"

    def shrunk(self) -> Shape:
        """A problem for trying things out, with rows enough for covariances that are not singular."""
        fewest = 4 * self.n_features * self.n_components
        return replace(self, n_rows=min(self.n_rows, max(self.n_rows // 50, fewest)))


SHAPES = (
    Shape("full", 1_000_000, 2, 3, 35),
    Shape("full", 1_000_000, 8, 16, 22),
    Shape("full", 200_000, 32, 16, 7),
    Shape("full", 100_000, 64, 32, 5),
    Shape("full", 50_000, 128, 16, 3.5),
    Shape("diag", 1_000_000, 8, 16, 10),
    Shape("diag", 200_000, 64, 64, 2.8),
    Shape("diag", 1_000_000, 2, 256, 18),
    Shape("tied", 200_000, 32, 16, 20),
    Shape("spherical", 1_000_000, 8, 16, 10),
)

LLOYD_SHAPES = (
    Shape("spherical", 1_000_000, 2, 3),
    Shape("spherical", 1_000_000, 8, 16, 1.7),
    Shape("spherical", 200_000, 32, 16),
    Shape("spherical", 200_000, 64, 64, 1.3),
)

BAYESIAN_SHAPES = (
    Shape("full", 200_000, 8, 16),
    Shape("full", 200_000, 32, 16),
    Shape("diag", 200_000, 16, 16),
)

OLD_FAITHFUL = Shape("full", 272, 2, 2)


@dataclass(frozen=True, slots=True)
class Problem:
    """Data and a start for both libraries."""

    shape: Shape
    x: npt.NDArray[Any]
    start: dict[str, Any]
    """``weights_init``, ``means_init`` and ``precisions_init``."""


def make(shape: Shape, dtype: DType = "float64", clusters: Clusters = "overlapping") -> Problem:
    """Unit Gaussians around random centers, and a start near the truth.

    Overlapping: centers drawn from N(0, 1/D), so that two of them are about 1.4 standard deviations
    apart in any dimension. Separated: from N(0, 4).
    """
    random = np.random.default_rng(20240229)
    n, d, k = shape.n_rows, shape.n_features, shape.n_components
    spread = d**-0.5 if clusters == "overlapping" else _SEPARATION
    centers = spread * random.standard_normal((k, d))
    x = random.standard_normal((n, d), np.dtype(dtype).type)
    for rows in np.array_split(np.arange(n), max(1, n // 10_000)):
        x[rows] += centers[random.integers(k, size=len(rows))]
    means = centers + _START_ERROR * random.standard_normal((k, d))
    start = {
        "weights_init": np.full(k, 1 / k),
        "means_init": means,
        "precisions_init": _unit_precisions(shape),
    }
    return Problem(shape, x, {name: value.astype(dtype) for name, value in start.items()})


def _unit_precisions(shape: Shape) -> npt.NDArray[np.float64]:
    k, d = shape.n_components, shape.n_features
    match shape.covariance_type:
        case "full":
            return np.tile(np.eye(d), (k, 1, 1))
        case "tied":
            return np.eye(d)
        case "diag":
            return np.ones((k, d))
        case "spherical":
            return np.ones(k)
