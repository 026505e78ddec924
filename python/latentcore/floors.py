"""What a maximum adds to the statistics that it is made of, such as ``reg_covar`` of Gaussians, told apart from it.

Statistics that come from a model have a floor inside already. Rules that spend them, online EM and combining, add the
floor to the statistics of data alone, and spend the sum without adding it again: otherwise it would grow from step to
step, and a model combined with itself would be another.

A family or model with a floor has two methods, with ``without_floor().maximize(with_floor(stats)) == maximize(stats)``.
"""

from __future__ import annotations

from typing import Any, TypeVar

from latentcore.statistics import Statistics

__all__ = ["with_floor", "without_floor"]

M = TypeVar("M")
S = TypeVar("S", bound=Statistics)


def with_floor(model: Any, stats: S) -> S:
    """The statistics with what ``maximize`` of this model or family adds; they themselves if that is nothing."""
    floored: S = model.with_floor(stats) if hasattr(model, "with_floor") else stats
    return floored


def without_floor(model: M) -> M:
    """The model or family whose ``maximize`` adds nothing; it itself if it never does."""
    plain: M = model.without_floor() if hasattr(model, "without_floor") else model
    return plain
