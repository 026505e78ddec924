"""Parameters of components, whatever their family: dataclasses of arrays with K on the leading axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore.arrays import as_parameter
from latentcore.families.categorical import Categorical
from latentcore.families.columns import ColumnsParams, IndependentColumns
from latentcore.families.gaussian import Gaussian, GaussianParams
from latentcore.families.mixed import MixedParams, MixtureFamily, numbers_of

__all__ = [
    "arrays_of",
    "check_leading_axis",
    "given_components",
    "mapped",
    "n_features_of",
    "order_by",
    "reordered",
]

P = TypeVar("P")
AnyArray = npt.NDArray[Any]


def arrays_of(params: Any, prefix: str = "") -> Iterator[tuple[str, AnyArray]]:
    """Names and values of all arrays, in order; of a part of a part ``part.name``."""
    if isinstance(params, np.ndarray):
        yield prefix, params
    elif isinstance(params, tuple):
        for index, part in enumerate(params):
            yield from arrays_of(part, f"{prefix}[{index}]")
    elif is_dataclass(params):
        for field in fields(params):
            name = f"{prefix}.{field.name}" if prefix else field.name
            yield from arrays_of(getattr(params, field.name), name)


def mapped(function: Callable[..., AnyArray], params: P, *others: P) -> P:
    """Parameters whose arrays are ``function`` of those of all arguments; what is no array stays."""
    first: Any = params
    if isinstance(first, np.ndarray):
        return function(first, *others)  # type: ignore[return-value]
    if isinstance(first, tuple):
        groups: Any = zip(first, *others, strict=True)
        return tuple(mapped(function, *group) for group in groups)  # type: ignore[return-value]
    if is_dataclass(first) and not isinstance(first, type):
        changed = {
            field.name: mapped(
                function,
                getattr(first, field.name),
                *(getattr(other, field.name) for other in others),
            )
            for field in fields(first)
        }
        return replace(first, **changed)  # type: ignore[return-value]
    return params


def reordered(family: Any, params: P, order: npt.NDArray[np.intp]) -> P:
    """Parameters, or statistics, with component ``order[k]`` in place k; what components have in common stays."""
    given: Any = params
    if isinstance(family, IndependentColumns):
        parts = zip(family.parts, given.parts, strict=True)
        return replace(given, parts=tuple(reordered(p.family, own, order) for p, own in parts))  # type: ignore[no-any-return]
    if isinstance(family, MixtureFamily):
        components = reordered(
            family.family, given.components, numbers_of(order, family.n_components)
        )
        own = "weights" if isinstance(given, MixedParams) else "counts"
        return replace(given, components=components, **{own: getattr(given, own)[order]})  # type: ignore[no-any-return]
    if isinstance(family, Gaussian) and family.covariance_type == "tied":
        by_component = ("means", "log_determinants", "counts")
        changed = {
            name: getattr(given, name)[order] for name in by_component if hasattr(given, name)
        }
        return replace(given, **changed)  # type: ignore[no-any-return]
    return mapped(lambda array: array[order], params)


def given_components(value: Any, params_class: type[P] | None, n_components: int, name: str) -> P:
    """Parameters that a user gave: the family's dataclass, or its arrays by name.

    Raises
    ------
    TypeError
        Something else.
    ValueError
        An array is missing or too many, holds NaN or infinity, or has not K on its leading axis.
    """
    if isinstance(value, Mapping) and params_class is not None:
        expected = {field.name for field in fields(params_class)}  # type: ignore[arg-type]
        if set(value) != expected:
            raise ValueError(f"{name}: expected the arrays {sorted(expected)}, got {sorted(value)}")
        value = params_class(
            **{key: as_parameter(v, f"{name}[{key!r}]") for key, v in value.items()}
        )
    elif params_class is not None and not isinstance(value, params_class):
        raise TypeError(
            f"{name}: expected {params_class.__name__} or a mapping of its arrays, got {value!r}"
        )
    copied: P = mapped(
        lambda array: np.array(array, np.float64 if array.dtype.kind in "biuf" else None), value
    )
    check_leading_axis(copied, n_components, name)
    return copied


def check_leading_axis(params: Any, n_components: int, name: str) -> None:
    """Raise ``ValueError`` for an array that is not finite, or has not K on its leading axis.

    A matrix that all components of a Gaussian share is none of them.
    """
    if isinstance(params, MixedParams):
        check_leading_axis(params.weights, n_components, f"{name}.weights")
        n_inner = n_components * params.weights.shape[1]
        check_leading_axis(params.components, n_inner, f"{name}.components")
        return
    if isinstance(params, ColumnsParams):
        for number, of_columns in enumerate(params.parts):
            check_leading_axis(of_columns, n_components, f"{name}.parts[{number}]")
        return
    shared = {id(array) for array in _shared(params)}
    for part, array in arrays_of(params):
        if (array.ndim == 0 or len(array) != n_components) and id(array) not in shared:
            raise ValueError(
                f"{name}: expected {part or 'parameters'} of {n_components} components on the "
                f"first axis, got shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite {part or 'parameters'}, got others")


def _shared(params: Any) -> Iterator[AnyArray]:
    if isinstance(params, GaussianParams):
        n_features = params.means.shape[-1]
        for array in (params.covariances, params.precisions_cholesky):
            if array.shape == (n_features, n_features):
                yield array
    elif isinstance(params, tuple):
        for part in params:
            yield from _shared(part)
    elif is_dataclass(params):
        for field in fields(params):
            yield from _shared(getattr(params, field.name))


def n_features_of(family: Any, components: Any) -> int:
    """The number of columns of rows that these parameters describe."""
    if isinstance(family, IndependentColumns):
        return family.n_columns
    if isinstance(family, Categorical):
        return len(family.levels)
    if isinstance(family, MixtureFamily):
        return n_features_of(family.family, components.components)
    _, first = next(arrays_of(components))
    return int(first.shape[1]) if first.ndim > 1 else 1


def order_by(
    by: Callable[[Any], npt.ArrayLike] | npt.ArrayLike, model: Any, n: int, what: str
) -> npt.NDArray[np.intp]:
    """The order of components that a callable's n numbers give, smallest first, or that is given.

    Raises
    ------
    ValueError
        Not n numbers, or not a permutation.
    """
    if callable(by):
        keys = np.asarray(by(model))
        if keys.shape != (n,):
            raise ValueError(f"by: expected shape ({n},), got {keys.shape}")
        return np.argsort(keys, kind="stable")
    order = np.asarray(by)
    if order.dtype.kind not in "iu" or sorted(order.ravel()) != list(range(n)):
        raise ValueError(f"by: expected the {what} 0 to {n - 1} in some order, got {by!r}")
    return order
