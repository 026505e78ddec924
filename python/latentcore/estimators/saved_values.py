"""Values of constructor arguments and attributes as files hold them: JSON, and arrays beside it.

Priors, parameters and families are dataclasses of a list of known classes; nothing else is ever made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.arrays import as_parameter
from latentcore.errors import StorageError
from latentcore.estimators.online import Online, Stream
from latentcore.estimators.waiting import Waiting
from latentcore.families.bernoulli import Bernoulli, BernoulliParams, BetaPrior
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.columns import (
    ColumnsParams,
    ColumnsPrior,
    ColumnsStatistics,
    IndependentColumns,
)
from latentcore.families.exponential import Exponential, ExponentialParams
from latentcore.families.gamma import Gamma, GammaParams
from latentcore.families.gaussian import (
    Gaussian,
    GaussianParams,
    GaussianPrior,
    GaussianStatistics,
)
from latentcore.families.gaussian_means import GaussianMeans, NormalPrior
from latentcore.families.linear import LinearStatistics
from latentcore.families.mixed import (
    MixedParams,
    MixedPrior,
    MixedStatistics,
    MixtureFamily,
)
from latentcore.families.multinomial import Multinomial, MultinomialParams, MultinomialPrior
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.families.pseudo_rows import PseudoRows
from latentcore.families.von_mises import VonMises, VonMisesParams
from latentcore.rules.auto_step import AutoState
from latentcore.rules.online import FiniteSample, OnlineState
from latentcore.rules.steps import ConstantStep, InverseStep, PowerStep
from latentcore.structures.hmm import HMMParams, HMMPrior, HMMStatistics
from latentcore.structures.hmm_forward_only import ByLastState
from latentcore.structures.mixture import MixtureParams, MixturePrior, MixtureStatistics
from latentcore.structures.topology import Topology
from latentcore.structures.weights import Dirichlet, FixedWeights, StickBreaking

__all__ = ["pack", "unpack"]

_CLASSES: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        AutoState,
        Bernoulli,
        BernoulliParams,
        BetaPrior,
        ByLastState,
        Categorical,
        CategoricalParams,
        ColumnsParams,
        ColumnsPrior,
        ColumnsStatistics,
        ConstantStep,
        Dirichlet,
        DirichletPrior,
        Exponential,
        ExponentialParams,
        FiniteSample,
        FixedWeights,
        Gamma,
        GammaParams,
        GammaPrior,
        Gaussian,
        GaussianParams,
        GaussianMeans,
        GaussianPrior,
        GaussianStatistics,
        HMMParams,
        HMMPrior,
        HMMStatistics,
        IndependentColumns,
        InverseStep,
        LinearStatistics,
        MixedParams,
        MixedPrior,
        MixedStatistics,
        MixtureFamily,
        MixtureParams,
        MixturePrior,
        MixtureStatistics,
        Multinomial,
        MultinomialParams,
        MultinomialPrior,
        NormalPrior,
        Online,
        OnlineState,
        Poisson,
        PoissonParams,
        PowerStep,
        PseudoRows,
        StickBreaking,
        Stream,
        Topology,
        VonMises,
        VonMisesParams,
        Waiting,
    )
}
_DEEPEST = 12


def pack(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON and arrays by name; arrays inside of others get names of their own.

    Raises
    ------
    TypeError
        A value that no file can hold.
    """
    packed: dict[str, Any] = {}
    for name, value in values.items():
        packed[name] = _packed(value, name, packed)
    return packed


def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    """The values that ``pack`` packed.

    Raises
    ------
    StorageError
        They are not what ``pack`` makes.
    """
    used: set[str] = set()
    values = {
        name: _unpacked(value, name, packed, used, 0)
        for name, value in packed.items()
        if not _is_inner(name)
    }
    unused = {name for name in packed if _is_inner(name)} - used
    if unused:
        raise StorageError(f"expected no arrays but those of a value, got {sorted(unused)}")
    return values


def _is_inner(name: str) -> bool:
    return "." in name


def _packed(value: Any, name: str, arrays: dict[str, Any], any_number: bool = False) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.random.RandomState | np.random.Generator):
        return None
    if type(value) is _CLASSES.get(type(value).__name__) and is_dataclass(value):
        inner = {f.name: getattr(value, f.name) for f in fields(value)}
        any_number = isinstance(value, ByLastState | Stream | Topology | Waiting)
        return {
            "class": type(value).__name__,
            "fields": _packed_items(inner, name, arrays, any_number),
        }
    if isinstance(value, Mapping):
        return {"mapping": _packed_items(value, name, arrays)}
    if isinstance(value, tuple) and not (value and all(isinstance(v, float) for v in value)):
        inner = {str(index): entry for index, entry in enumerate(value)}
        return {"tuple": list(_packed_items(inner, name, arrays).values())}
    if callable(value):
        raise TypeError(
            f"{name}: expected a step size, parameters or a family of latentcore's to save, "
            f"got the callable {value!r}"
        )
    try:
        free = any_number and isinstance(value, np.ndarray)
        array = _numbers(value) if free else as_parameter(value, name)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}: expected a number, a string or an array to save, or a prior, parameters or a "
            f"family of latentcore, got {value!r}"
        ) from None
    if not _is_inner(name):
        return array
    arrays[name] = array
    return {"array": name}


def _packed_items(
    values: Mapping[str, Any], name: str, arrays: dict[str, Any], any_number: bool = False
) -> dict[str, Any]:
    return {
        key: _packed(value, f"{name}.{key}", arrays, any_number) for key, value in values.items()
    }


def _numbers(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.array(value, np.float32 if value.dtype == np.float32 else np.float64)


def _unpacked(value: Any, name: str, packed: Mapping[str, Any], used: set[str], depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float | str | np.ndarray):
        return value
    if depth > _DEEPEST or not isinstance(value, dict):
        raise StorageError(f"{name}: expected a number, a string or an array, got {value!r}")

    def inner(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: _unpacked(entry, f"{name}.{key}", packed, used, depth + 1)
            for key, entry in values.items()
        }

    if value.keys() == {"array"} and isinstance(packed.get(value["array"]), np.ndarray):
        used.add(value["array"])
        return packed[value["array"]]
    if value.keys() == {"number"} and value["number"] in ("inf", "-inf", "nan"):
        return float(value["number"])
    if value.keys() == {"mapping"} and isinstance(value["mapping"], dict):
        return inner(value["mapping"])
    if value.keys() == {"tuple"} and isinstance(value["tuple"], list):
        return tuple(inner({str(i): entry for i, entry in enumerate(value["tuple"])}).values())
    if value.keys() == {"class", "fields"} and isinstance(value["fields"], dict):
        cls = _CLASSES.get(value["class"]) if isinstance(value["class"], str) else None
        if cls is not None and value["fields"].keys() == {f.name for f in fields(cls)}:
            return cls(**inner(value["fields"]))
    raise StorageError(f"{name}: expected a number, a string or an array, got {str(value)[:80]}")
