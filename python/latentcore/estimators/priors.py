"""From the argument ``prior`` to a prior of weights and components."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np

from latentcore.arrays import CSR, Array, RealArray, Rows
from latentcore.families.columns import ColumnsPrior, IndependentColumns
from latentcore.families.gaussian import Gaussian, GaussianPrior
from latentcore.families.gaussian_missing import has_missing
from latentcore.families.mixed import MixedPrior, MixtureFamily
from latentcore.statistics import Statistics, total
from latentcore.structures.mixture import Mixture, MixturePrior

__all__ = [
    "Pooling",
    "Prior",
    "check_component_prior",
    "check_prior",
    "pooled",
    "pooled_over",
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
    if not isinstance(data, Rows):
        return data.pooled(family)
    missing = not isinstance(data.x, CSR) and has_missing(data.x)
    return pooled_over(family, data.n_features, missing, lambda function: iter([function(data)]))


def pooled_over(
    family: Any,
    n_features: int,
    missing: bool,
    over: Callable[[Callable[[Rows], Any]], Iterator[Any]],
) -> Any:
    """Statistics of all rows.

    Parameters
    ----------
    family : Family
    n_features : int
    missing : bool
        Whether entries are.
    over : callable
        What it makes, of a function, is what the function makes of each shard of the rows.
    """
    columns = _filled_columns(family, n_features) if missing else ()
    means = total(over(_Sums(columns))).means() if columns else None
    return total(over(Pooled(family, columns, means)))


class Pooling(Protocol):
    """Data that know their statistics, wherever they lie."""

    @property
    def n_features(self) -> int: ...

    def pooled(self, family: Any, /) -> Any:
        """Statistics of all rows, as of one component."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """Statistics of rows as of one component; they add, as missing entries are filled in with means of all rows.

    Attributes
    ----------
    family : Family
    columns : tuple of int
        Whose missing entries count as their means; in others they are left out.
    means : (len(columns),), optional
    """

    family: Any
    columns: tuple[int, ...] = ()
    means: Array | None = None

    def __call__(self, rows: Rows) -> Any:
        return total(map(self._of, rows.shards(_BLOCK_ROWS)))

    def _of(self, block: Rows) -> Any:
        ones = np.ones((len(block), 1), block.x.dtype)
        weight = block.sample_weight
        weights = ones if weight is None else ones * weight[:, None].astype(ones.dtype)
        return self.family.expected_statistics(None, self._filled(block.x), weights)

    def _filled(self, x: RealArray) -> RealArray:
        if self.means is None or not has_missing(x):
            return x
        means = np.full(x.shape[1], np.nan, x.dtype)
        means[list(self.columns)] = self.means
        return np.where(np.isnan(x), means, x)


@dataclass(frozen=True, slots=True)
class _ColumnSums(Statistics):
    """Counts and sums of what is observed in some columns."""

    counts: Array
    sums: Array

    def means(self) -> Array:
        """0 where nothing is."""
        means: Array = self.sums / np.maximum(self.counts, 1.0)
        return means


@dataclass(frozen=True, slots=True)
class _Sums:
    columns: tuple[int, ...]

    def __call__(self, rows: Rows) -> _ColumnSums:
        x = rows.x[:, list(self.columns)]
        missing = np.isnan(x)
        counts = (~missing).sum(axis=0).astype(np.float64)
        return _ColumnSums(counts, np.where(missing, 0, x).sum(axis=0, dtype=np.float64))


def _filled_columns(family: Any, n_features: int) -> tuple[int, ...]:
    """Columns of which a Gaussian has to say without parameters what is missing."""
    if isinstance(family, Gaussian):
        return tuple(range(n_features))
    if isinstance(family, MixtureFamily):
        return _filled_columns(family.family, n_features)
    if isinstance(family, IndependentColumns):
        return tuple(
            part.columns[j]
            for part in family.parts
            for j in _filled_columns(part.family, len(part.columns))
        )
    return ()


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
