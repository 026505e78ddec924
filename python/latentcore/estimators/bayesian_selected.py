"""Posteriors of some of the components."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import Gaussian
from latentcore.families.mixed import MixtureFamily, numbers_of
from latentcore.structures.weights import Dirichlet, StickBreaking

__all__ = ["selected", "selected_weights"]

H = TypeVar("H")
Indices = npt.NDArray[np.intp]


def selected(family: Any, posterior: H, keep: Indices, n_components: int) -> H:
    """The prior or posterior of the components ``keep`` of K; what is for all stays."""
    given: Any = posterior
    if isinstance(family, IndependentColumns):
        pairs = zip(family.parts, given.parts, strict=True)
        parts = tuple(selected(part.family, own, keep, n_components) for part, own in pairs)
        return replace(given, parts=parts)  # type: ignore[no-any-return]
    if isinstance(family, MixtureFamily):
        m = family.n_components
        inner = numbers_of(keep, m), n_components * m
        return replace(  # type: ignore[no-any-return]
            given,
            weights=selected(None, given.weights, keep, n_components),
            components=selected(family.family, given.components, *inner),
        )
    shared: tuple[str, ...] = ()
    if isinstance(family, Gaussian) and family.covariance_type in ("tied", "tied_spherical"):
        shared = ("degrees_of_freedom", "scale")
    assert is_dataclass(given)
    changed = {
        field.name: getattr(given, field.name)[keep]
        for field in fields(given)
        if field.name not in shared
        and np.ndim(getattr(given, field.name)) > 0
        and len(getattr(given, field.name)) == n_components
    }
    return replace(given, **changed)  # type: ignore[return-value,type-var]


def selected_weights(weights: Any, keep: Indices) -> Any:
    """The prior or posterior of the weights of these components."""
    if isinstance(weights, Dirichlet):
        return Dirichlet(weights.alpha[keep])
    assert isinstance(weights, StickBreaking)
    return replace(weights, counts=weights.counts[keep])
