"""From the argument ``prior`` to a prior of weights and components."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np

from latentcore.arrays import Rows
from latentcore.families.columns import ColumnsPrior
from latentcore.families.gaussian import GaussianPrior
from latentcore.families.mixed import MixedPrior
from latentcore.statistics import total
from latentcore.structures.mixture import Mixture, MixturePrior

__all__ = [
    "Pooled",
    "Pooling",
    "Prior",
    "check_component_prior",
    "check_prior",
    "pooled",
    "resolved",
    "weak_prior",
]

H = TypeVar("H")

Prior: TypeAlias = Literal["weak"] | MixturePrior[H] | H | None
"""What the argument may be."""

_BLOCK_ROWS = 1 << 14


def check_prior(prior: Any) -> None:
    """Raise for what no family could take."""
    if prior is None or (isinstance(prior, str) and prior == "weak"):
        return
    if isinstance(prior, str):
        raise ValueError(f"prior: expected None, 'weak' or a prior, got {prior!r}")
    if not is_dataclass(prior) or isinstance(prior, type):
        raise TypeError(f"prior: expected None, 'weak' or a prior, got {prior!r}")


def resolved(
    prior: Any, model: Mixture[Any, Any], data: Rows | Pooling, n_components: int
) -> MixturePrior[Any] | None:
    """The prior of a fit; None for maximum likelihood.

    Parameters
    ----------
    prior : None, "weak", MixturePrior, or the prior of the components
        "weak" is the family's own on the scale of the data, and a Dirichlet of ``alpha = 1 + 1/K``: worth a row.
        With a prior of the components alone, that of the weights is flat.

    Raises
    ------
    TypeError
        The family has no conjugate prior, or another one.
    ValueError
        A prior of the wrong shape, or of weights with ``alpha < 1``.
    """
    if prior is None:
        return None
    family = model.family
    if not hasattr(family, "mode"):
        raise TypeError(
            f"prior: expected None, as {type(family).__name__} has no conjugate prior, got {prior!r}"
        )
    if isinstance(prior, str):
        alpha = np.full(n_components, 1.0 + 1.0 / n_components)
        return MixturePrior(alpha, weak_prior(family, data, n_components))
    if not isinstance(prior, MixturePrior):
        prior = MixturePrior(np.ones(n_components), prior)
    alpha = np.asarray(prior.weights, np.float64)
    if alpha.shape != (n_components,) or not (alpha >= 1).all() or not np.isfinite(alpha).all():
        raise ValueError(
            f"prior.weights: expected n_components = {n_components} finite numbers >= 1, "
            f"got {prior.weights!r}"
        )
    check_component_prior(prior.components, family, n_components)
    return MixturePrior(alpha, prior.components)


def weak_prior(family: Any, data: Rows | Pooling, n_components: int) -> Any:
    """The family's prior on the scale of the data."""
    return family.weak_prior(pooled(family, data), n_components)


def pooled(family: Any, data: Rows | Pooling) -> Any:
    """Statistics of all rows, as of one component."""
    return Pooled(family)(data) if isinstance(data, Rows) else data.pooled(family)


class Pooling(Protocol):
    """Data that know their statistics, wherever they lie."""

    @property
    def n_features(self) -> int: ...

    def pooled(self, family: Any, /) -> Any:
        """Statistics of all rows, as of one component."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """Statistics of rows as of one component; they add."""

    family: Any

    def __call__(self, rows: Rows) -> Any:
        return total(map(self._of, rows.shards(_BLOCK_ROWS)))

    def _of(self, block: Rows) -> Any:
        ones = np.ones((len(block), 1), block.x.dtype)
        weight = block.sample_weight
        weights = ones if weight is None else ones * weight[:, None].astype(ones.dtype)
        return self.family.expected_statistics(None, block.x, weights)


def check_component_prior(prior: Any, family: Any, n_components: int) -> None:
    """Raise ``TypeError`` or ``ValueError`` for a prior of another family, or of the wrong shape."""
    _check_class(prior, family)
    _check_components(prior, n_components)


def _check_class(prior: Any, family: Any) -> None:
    """The prior has to be of the class that the family says it makes."""
    expected = inspect.signature(family.weak_prior).return_annotation
    name = expected if isinstance(expected, str) else getattr(expected, "__name__", "Any")
    if name not in ("Any", "_empty", type(prior).__name__):
        raise TypeError(f"prior: expected a {name} for {type(family).__name__}, got {prior!r}")


def _check_components(prior: Any, n_components: int) -> None:
    if isinstance(prior, ColumnsPrior):
        for part in prior.parts:
            _check_components(part, n_components)
        return
    if isinstance(prior, MixedPrior):
        _check_components(prior.weights, n_components)
        _check_components(prior.components, n_components * prior.weights.concentration.shape[1])
        return
    shared: tuple[str, ...] = ()
    if isinstance(prior, GaussianPrior) and prior.scale.shape == 2 * prior.means.shape[1:]:
        shared = ("scale",)  # one matrix for all components
    for field in fields(prior) if is_dataclass(prior) else ():
        shape = np.shape(getattr(prior, field.name))
        if field.name not in shared and shape and shape[0] not in (1, n_components):
            raise ValueError(
                f"prior.{field.name}: expected {n_components} components or 1 on the first axis, "
                f"got shape {shape}"
            )
