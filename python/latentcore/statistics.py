"""Expected complete-data sufficient statistics, as values that add and scale.

Every learning rule makes, mixes and spends them: EM replaces them, threads and clusters add them, online EM and
combining take weighted means, CAVI adds them to a prior. They form a cone, not a vector space: scale by a number
>= 0, never subtract.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt

__all__ = ["Statistics", "total", "weighted_sums"]


class Statistics:
    """Base of frozen dataclasses of float64 arrays or further statistics.

    ``+`` and ``*`` work field by field. A family whose statistics add otherwise (a mean and the scatter about it)
    overrides both and keeps the laws: ``+`` is commutative and associative up to rounding, ``c * (a + b)`` equals
    ``c * a + c * b``.
    """

    __slots__ = ()
    __array_ufunc__ = None  # numpy scalars times statistics come here, not to numpy

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        kind: Any = type(self)
        values = [getattr(self, name) + getattr(other, name) for name in _names_of_fields(kind)]
        return cast(Self, kind(*values))

    def __mul__(self, scale: float) -> Self:
        if not scale >= 0:
            raise ValueError(f"scale: expected a number >= 0, got {scale!r}")
        kind: Any = type(self)
        values = [getattr(self, name) * scale for name in _names_of_fields(kind)]
        return cast(Self, kind(*values))

    __rmul__ = __mul__


@cache
def _names_of_fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


S = TypeVar("S", bound=Statistics)


def total(parts: Iterable[S]) -> S:
    """Sum statistics in a fixed balanced tree, ``((0 + 1) + (2 + 3)) + ...``.

    The order of the sums depends on the number of parts alone, so a total does not depend, bit for bit, on which
    thread or machine made which part. Parts are taken one by one: at most log2(number) of them are held.
    """
    pending: list[tuple[int, S]] = []  # sums of 2**height parts, heights falling
    for part in parts:
        height = 0
        while pending and pending[-1][0] == height:
            part = pending.pop()[1] + part
            height += 1
        pending.append((height, part))
    if not pending:
        raise ValueError("parts: expected at least one part, got none")
    result = pending.pop()[1]
    while pending:
        result = pending.pop()[1] + result
    return result


_FEW = 16
"""Weights up to which it is not worth while to put arrays together."""


def weighted_sums(weights: npt.NDArray[np.float64], parts: Sequence[S]) -> list[S]:
    """For each column of ``weights`` (M, J) >= 0 the sum of M parts, each times its weight there.

    The same as scaling and adding one by one, but for rounding, in fewer operations. A class that adds in a way of its
    own may have a static method of this name that does so.
    """
    kind: Any = type(parts[0])
    own = kind.__add__ is not Statistics.__add__ or kind.__mul__ is not Statistics.__mul__
    if weights.size > _FEW and hasattr(kind, "weighted_sums"):
        sums: list[S] = kind.weighted_sums(weights, parts)
        return sums
    if weights.size <= _FEW or own:
        return [
            total(part * float(w) for w, part in zip(column, parts, strict=True))
            for column in weights.T
        ]
    names = _names_of_fields(kind)
    by_field = [_sums(weights, [getattr(part, name) for part in parts]) for name in names]
    return [kind(*values) for values in zip(*by_field, strict=True)]


def _sums(weights: npt.NDArray[np.float64], values: list[Any]) -> Any:
    if isinstance(values[0], Statistics):
        return weighted_sums(weights, values)
    return np.tensordot(weights.T, np.stack(values), axes=1)
