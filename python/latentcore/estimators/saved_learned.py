"""What files keep of learned attributes that hold the dataclasses of a family, and the checks they have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from latentcore.estimators.checks import integer
from latentcore.estimators.components import check_leading_axis, n_features_of
from latentcore.estimators.saved_fit import pack_fit, unpack_fit
from latentcore.estimators.saved_values import pack, unpack

__all__ = ["check_components", "pack_learned", "unpack_learned"]


def pack_learned(state: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Values of the attributes with these names, and of the course of the fit."""
    return {**pack({name: state[name] for name in names}), **pack_fit(state)}


def unpack_learned(
    learned: Mapping[str, Any], names: Sequence[str], family_class: type
) -> dict[str, Any]:
    """The attributes that ``pack_learned`` packed, among them ``family_`` and ``n_features_in_``, which are checked.

    Raises
    ------
    ValueError, TypeError, KeyError
        They are not those of a model of this family.
    """
    fit = {name: learned[name] for name in pack_fit({})}
    values = unpack({name: value for name, value in learned.items() if name not in fit})
    if values.keys() != set(names):
        raise ValueError(f"expected the attributes {list(names)}, got {list(values)}")
    family = values["family_"]
    if type(family) is not family_class:
        raise ValueError(f"family_: expected {family_class.__name__}, got {family!r}")
    return {**values, **unpack_fit(fit, integer("n_features_in_", values["n_features_in_"], 1))}


def check_components(
    attributes: Mapping[str, Any], params_class: type | None, n_components: int
) -> None:
    """Raise ``ValueError`` for ``components_`` that are not of this class and number, or of other columns."""
    components, n_features = attributes["components_"], attributes["n_features_in_"]
    if params_class is not None and type(components) is not params_class:
        raise ValueError(f"components_: expected {params_class.__name__}, got {components!r}")
    check_leading_axis(components, n_components, "components_")
    if n_features_of(attributes["family_"], components) != n_features:
        raise ValueError(f"n_features_in_: expected that of components_, got {n_features}")
