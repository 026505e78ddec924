"""The distributions of one feature, and of two Gaussian ones, in each component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from latentcore.estimators.components import mapped
from latentcore.families.bernoulli import Bernoulli
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.columns import IndependentColumns
from latentcore.families.exponential import Exponential
from latentcore.families.gamma import Gamma
from latentcore.families.gaussian import CovarianceType, Gaussian
from latentcore.families.linear import Linear
from latentcore.families.multinomial import Multinomial
from latentcore.families.poisson import Poisson
from latentcore.families.von_mises import VonMises
from latentcore.plots.models import Mixture, components_of, family_of, name_of
from latentcore.protocols import Array

__all__ = [
    "full_covariances",
    "is_gaussian",
    "marginal_of",
    "pair_moments",
    "part_of",
]

_Support = Literal["line", "positive", "circle", "whole"]

_SUPPORTS: dict[type, _Support] = {
    Bernoulli: "whole",
    Categorical: "whole",
    Exponential: "positive",
    Gamma: "positive",
    Gaussian: "line",
    Poisson: "whole",
    VonMises: "circle",
}
_GRID = 400


@dataclass(frozen=True)
class _Marginal:
    """The distribution of a feature in each component.

    Attributes
    ----------
    family, components : a family of one column, and its parameters
    near : (M,)
        Points that show narrow components.
    """

    family: Any
    components: Any
    near: Array

    @property
    def support(self) -> _Support | None:
        """None if nobody knows."""
        return _SUPPORTS.get(type(self.family))

    def is_discrete(self, values: Array) -> bool:
        """Whether probabilities are those of whole numbers; of a family that is not ours, the values tell."""
        if self.support is None:
            return bool((values == np.floor(values)).all())
        return self.support == "whole"

    def densities(self, x: Array) -> Array:
        """(M,) -> (M, K)"""
        log_densities: Array = self.family.log_likelihood(self.components, x[:, None])
        return np.exp(log_densities)

    def grid(self, values: Array) -> Array:
        """Points over the data's range, and more of them where a narrow component would fall between."""
        low, high = float(values.min()), float(values.max())
        margin = 0.05 * (high - low) or 1.0
        low, high = low - margin, high + margin
        if self.support == "positive":
            low = max(low, float(values.min()) / 2)
        elif self.support == "circle":
            low, high = _turn(float(values.min()), float(values.max()))
        observed = np.sort(values)[:: -(-len(values) // _GRID)]
        near = np.concatenate([observed, self.near])
        near = near[(near > low) & (near < high)]
        return np.unique(np.concatenate([np.linspace(low, high, _GRID), near]))


def _turn(low: float, high: float) -> tuple[float, float]:
    """One turn that holds the angles, if one does."""
    for start in (-np.pi, 0.0):
        if start <= low and high <= start + 2 * np.pi:
            return start, start + 2 * np.pi
    return low, max(high, low + 2 * np.pi)


def marginal_of(family: Any, components: Any, column: int) -> _Marginal:
    nothing = np.empty(0)
    if isinstance(family, Gaussian):
        means = components.means[:, [column]].astype(np.float64)
        variances = _covariances(family.covariance_type, components)[:, [column], column]
        near = means + np.sqrt(variances) * np.linspace(-4, 4, 41)
        one = Gaussian("diag")
        return _Marginal(one, one.params(means, variances), near.ravel())
    if isinstance(family, IndependentColumns):
        part, inner, index = part_of(family, components, column)
        return marginal_of(part, inner, index)
    if isinstance(family, Categorical):
        probabilities = np.ascontiguousarray(family.split(components.probabilities)[column])
        one_column = Categorical((family.levels[column],))
        return _Marginal(one_column, CategoricalParams(probabilities), nothing)
    if isinstance(family, Multinomial):
        raise ValueError(
            "model: expected a family whose features have densities, got Multinomial, whose "
            "outcomes share a total; see responsibilities"
        )
    if isinstance(family, Linear):
        one_feature = mapped(lambda a: np.ascontiguousarray(a[:, [column]]), components)
        return _Marginal(family, one_feature, nothing)
    return _Marginal(family, components, nothing)


def part_of(family: IndependentColumns, components: Any, column: int) -> tuple[Any, Any, int]:
    """The family of a column, its parameters, and which of its columns this is."""
    for part, inner in zip(family.parts, components.parts, strict=True):
        if column in part.columns:
            return part.family, inner, part.columns.index(column)
    raise ValueError(f"columns: expected columns below {family.n_columns}, got {column}")


def is_gaussian(family: Any, column: int) -> bool:
    if isinstance(family, IndependentColumns):
        return any(
            column in part.columns and is_gaussian(part.family, part.columns.index(column))
            for part in family.parts
        )
    return isinstance(family, Gaussian)


def pair_moments(model: Mixture, across: int, up: int) -> tuple[Array, Array]:
    """Means (K, 2) and covariances (K, 2, 2) of two Gaussian features."""
    family, components = family_of(model), components_of(model)
    for column in (across, up):
        if not is_gaussian(family, column):
            raise ValueError(
                f"columns: expected Gaussian columns, got {name_of(model, column)!r}, which is not"
            )
    if isinstance(family, IndependentColumns):
        one, other = (part_of(family, components, column) for column in (across, up))
        if one[1] is not other[1]:
            moments = [_pair_of(*part[:2], part[2], part[2]) for part in (one, other)]
            means = np.column_stack([mean[:, 0] for mean, _ in moments])
            variances = np.column_stack([covariance[:, 0, 0] for _, covariance in moments])
            return means, variances[:, :, None] * np.eye(2)
        family, components, across = one
        up = other[2]
    return _pair_of(family, components, across, up)


def _pair_of(family: Gaussian, components: Any, across: int, up: int) -> tuple[Array, Array]:
    pair = [across, up]
    covariances = _covariances(family.covariance_type, components)
    return components.means[:, pair].astype(np.float64), covariances[:, pair][:, :, pair]


def _covariances(covariance_type: CovarianceType, components: Any) -> Array:
    """(K, D, D), whatever the covariance type."""
    return full_covariances(covariance_type, components.covariances, components.means.shape)


def full_covariances(covariance_type: CovarianceType, values: Any, shape: tuple[int, int]) -> Array:
    """(K, D, D) from covariances, or scales of posteriors, of any type."""
    covariances = np.asarray(values, dtype=np.float64)
    n_components, n_features = shape
    eye = np.eye(n_features)
    full: Array = {
        "full": lambda: covariances,
        "tied": lambda: np.broadcast_to(covariances, (n_components, n_features, n_features)),
        "diag": lambda: covariances[:, :, None] * eye,
        "spherical": lambda: covariances[:, None, None] * eye,
        "tied_spherical": lambda: np.broadcast_to(covariances, n_components)[:, None, None] * eye,
    }[covariance_type]()
    return full
