"""Fewer components, as long as the evidence lower bound does not fall by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore.protocols import Array, Expectation, VariationalModel

__all__ = ["Left", "Pruning", "bound_of"]

H = TypeVar("H")
Indices = npt.NDArray[np.intp]


class Left(NamedTuple, Generic[H]):
    """The components that are left."""

    posterior: H
    prior: H
    kept: Indices
    """Where they were before."""


def bound_of(
    model: VariationalModel[H, Any, Any],
    prior: H,
    posterior: H,
    expectation: Expectation[Any, Any],
) -> float:
    """The evidence lower bound, nats."""
    _, expected = expectation(model.expected(posterior))
    of_structure, of_components = model.divergence(posterior, prior)
    return expected - of_structure - float(of_components.sum())


@dataclass(frozen=True, slots=True)
class Pruning(Generic[H]):
    """Leaves out components one by one, small ones first.

    Attributes
    ----------
    expectation :
        The E-step over all data.
    counts : posterior, prior -> (K,)
        How many rows the components are expected to have.
    selected : prior or posterior, indices -> the same of these components
        None where these cannot be by themselves.
    """

    model: VariationalModel[H, Any, Any]
    expectation: Expectation[Any, Any]
    counts: Callable[[H, H], Array]
    selected: Callable[[H, Indices], H | None]

    def run(self, posterior: H, prior: H, slack: float) -> Left[H]:
        """What is left; the bound ends at most ``slack`` below the largest one met."""
        kept = np.arange(len(self.counts(posterior, prior)))
        best = bound_of(self.model, prior, posterior, self.expectation)
        while True:
            found = self._without_one(posterior, prior, best - slack)
            if found is None:
                return Left(posterior, prior, kept)
            posterior, prior, bound, keep = found
            kept = kept[keep]
            best = max(best, bound)

    def _without_one(
        self, posterior: H, prior: H, least: float
    ) -> tuple[H, H, float, Indices] | None:
        """Without some small component and one step later, if there is one without which the bound is at least that."""
        counts = self.counts(posterior, prior)
        if len(counts) == 1:
            return None
        order = np.argsort(counts, kind="stable")
        for k in order[: int((counts < 1).sum()) + 1]:
            keep = np.delete(np.arange(len(counts)), k)
            fewer, before = self.selected(posterior, keep), self.selected(prior, keep)
            if fewer is None or before is None:
                continue
            stats, _ = self.expectation(self.model.expected(fewer))
            fewer = self.model.update(before, stats)
            bound = bound_of(self.model, before, fewer, self.expectation)
            if bound >= least:
                return fewer, before, bound, keep
        return None
