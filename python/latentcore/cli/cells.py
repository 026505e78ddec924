"""What cells of text mean: numbers, missing entries, categories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from latentcore.protocols import Array

__all__ = ["NULLS", "Categories", "coded", "decoded", "number"]

Categories: TypeAlias = Mapping[str, list[str]]
"""By name of the column: its texts, by code."""

_MISSING = {"", "na", "n/a", "#n/a", "nan", "-nan", "null", "none"}
NULLS = sorted({form for cell in _MISSING for form in (cell, cell.upper(), cell.title())} | {"NaN"})
"""Cells that are missing, as they are mostly written."""

_MOST_CATEGORIES = 1000


def number(cell: str) -> float | None:
    """The value of a cell, NaN if it is missing, None if it holds something else."""
    if cell.strip().lower() in _MISSING:
        return math.nan
    if "_" in cell:  # Python's, not anybody else's
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def coded(
    where: str, cells: Sequence[str | None], texts: Sequence[str] | None
) -> tuple[Array, list[str] | None]:
    """Numbers of different cells, and the texts that the numbers are codes of, None if they are not codes.

    Parameters
    ----------
    where : str
        File and column, for messages.
    cells : sequence of str or None
    texts : sequence of str, optional
        The texts by code. If not given, they are those of the cells in sorted order; if all cells are numbers, these
        are taken.

    Raises
    ------
    ValueError
        A text has no code, or there are too many.
    """
    values = [math.nan if cell is None else number(cell) for cell in cells]
    if texts is None and None not in values:
        return np.array(values, np.float64), None
    present = [
        cell.strip()
        for cell, value in zip(cells, values, strict=True)
        if cell is not None and not (value is not None and math.isnan(value))
    ]
    if texts is None:
        texts = sorted(set(present))
        if len(texts) > _MOST_CATEGORIES:
            raise ValueError(
                f"{where}: expected at most {_MOST_CATEGORIES} different texts, got {len(texts)}; "
                "leave the column out with --columns"
            )
    codes = {text: float(code) for code, text in enumerate(texts)}
    for cell in present:
        if cell not in codes:
            few = ", ".join(map(repr, texts[:10])) + (", ..." if len(texts) > 10 else "")
            raise ValueError(f"{where}: expected one of {few}, got {cell[:40]!r}")
    numbers = [math.nan if cell is None else codes.get(cell.strip(), math.nan) for cell in cells]
    return np.array(numbers, np.float64), list(texts)


def decoded(codes: npt.NDArray[Any], texts: Sequence[str]) -> list[str]:
    """The texts of codes; nothing where one is missing, and the number where one has no text."""
    known = dict(enumerate(texts))
    return ["" if math.isnan(code) else known.get(code, f"{code:g}") for code in codes.tolist()]
