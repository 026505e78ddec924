"""Parameters and statistics as trees of arrays."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from laws.family_case import N_COMPONENTS, N_INNER, Array

T = TypeVar("T")


def leaves(tree: Any) -> list[Array]:
    """All arrays and numbers of nested dataclasses, tuples and lists, in order."""
    if is_dataclass(tree):
        return [leaf for f in fields(tree) for leaf in leaves(getattr(tree, f.name))]
    if isinstance(tree, tuple | list):
        return [leaf for part in tree for leaf in leaves(part)]
    return [np.asarray(tree)] if isinstance(tree, np.ndarray | np.generic | float | int) else []


def permuted(tree: T, order: list[int]) -> T:
    """Nested dataclasses with the components of every array in another order."""
    if is_dataclass(tree):
        values = {f.name: permuted(getattr(tree, f.name), order) for f in fields(tree)}
        for name in {"transition", "transitions"} & set(values):
            values[name] = np.ascontiguousarray(values[name][:, order])
        return replace(tree, **values)  # type: ignore[type-var]
    if isinstance(tree, tuple):
        return tuple(permuted(part, order) for part in tree)  # type: ignore[return-value]
    if isinstance(tree, np.ndarray) and len(tree) == N_COMPONENTS:
        return tree[order]  # type: ignore[return-value]
    if isinstance(tree, np.ndarray) and len(tree) == N_COMPONENTS * N_INNER:
        return tree.reshape(N_COMPONENTS, N_INNER, -1)[order].reshape(tree.shape)  # type: ignore[return-value]
    return tree


def assert_near(got: Any, expected: Any, tolerance: float) -> None:
    """Every array of the one near that of the other, relative to its largest entry."""
    got_leaves, expected_leaves = leaves(got), leaves(expected)
    assert len(got_leaves) == len(expected_leaves) > 0
    for value, truth in zip(got_leaves, expected_leaves, strict=True):
        scale = np.max(np.abs(truth), initial=1e-300)
        np.testing.assert_allclose(value, truth, rtol=0, atol=tolerance * scale)


def assert_identical(got: Any, expected: Any) -> None:
    for value, truth in zip(leaves(got), leaves(expected), strict=True):
        assert value.tobytes() == truth.tobytes()
