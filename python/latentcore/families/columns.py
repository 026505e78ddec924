"""Mixed tables: groups of columns, each of a family of its own, independent of each other within a component."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from latentcore import floors
from latentcore.arrays import Array, Labels, RealArray
from latentcore.families.support import filled
from latentcore.statistics import Statistics, weighted_sums

__all__ = [
    "ColumnsParams",
    "ColumnsPrior",
    "ColumnsStatistics",
    "IndependentColumns",
    "Part",
]


class Part(NamedTuple):
    """A family, and the indices of the columns that are its rows."""

    family: Any
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ColumnsParams:
    """The parameters of each part."""

    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ColumnsPrior:
    """The conjugate prior of each part; posteriors alike."""

    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ColumnsStatistics(Statistics):
    """The statistics of each part, which add and scale as their families say."""

    parts: tuple[Any, ...]

    def __add__(self, other: Self) -> ColumnsStatistics:
        if type(other) is not ColumnsStatistics or len(other.parts) != len(self.parts):
            return NotImplemented
        return ColumnsStatistics(tuple(a + b for a, b in zip(self.parts, other.parts, strict=True)))

    def __mul__(self, scale: float) -> ColumnsStatistics:
        return ColumnsStatistics(tuple(part * scale for part in self.parts))

    __rmul__ = __mul__

    @staticmethod
    def weighted_sums(
        weights: Array, parts: Sequence[ColumnsStatistics]
    ) -> list[ColumnsStatistics]:
        """See ``statistics.weighted_sums``."""
        columns = zip(*(stats.parts for stats in parts), strict=True)
        by_part = [weighted_sums(weights, of_part) for of_part in columns]
        return [ColumnsStatistics(sums) for sums in zip(*by_part, strict=True)]


@dataclass(frozen=True, slots=True)
class IndependentColumns:
    """The product of families over groups of columns.

    Parameters
    ----------
    parts : sequence of (family, columns)
        Every column from 0 to D - 1 belongs to exactly one part. A family sees its columns in the order given.

    Notes
    -----
    Optional capabilities (priors, ``sample``, ``impute``) are there if every part has them, and ``TypeError`` names the
    part that has not. Missing entries are as the parts take them.

    Examples
    --------
    >>> IndependentColumns([(Gaussian("full"), [0, 1]), (Categorical((3,)), [2])])
    """

    parts: tuple[Part, ...]

    def __init__(self, parts: Iterable[tuple[Any, Iterable[int]]]) -> None:
        checked = tuple(
            Part(family, tuple(operator.index(c) for c in columns)) for family, columns in parts
        )
        owners = [c for part in checked for c in part.columns]
        if not owners or not all(part.columns for part in checked):
            raise ValueError("parts: expected at least one part, with at least one column each")
        for column in range(min(0, *owners), max(owners) + 1):
            n = owners.count(column)
            if column < 0 or n != 1:
                raise ValueError(
                    f"parts: expected columns 0 to D - 1, each in exactly one part, "
                    f"got column {column} in {n} parts"
                )
        object.__setattr__(self, "parts", checked)

    @property
    def n_columns(self) -> int:
        """D."""
        return sum(len(part.columns) for part in self.parts)

    @property
    def has_inner_start(self) -> bool:
        """Whether some part consists of mixtures, whose components begin apart."""
        return any(getattr(part.family, "has_inner_start", False) for part in self.parts)

    # -- the protocol

    def log_likelihood(self, params: ColumnsParams, x: RealArray) -> RealArray:
        """Log-densities, (N, K), nats: sums over the parts."""
        log_densities = [
            part.family.log_likelihood(p, self._of(part, x)) for part, p in self._with(params.parts)
        ]
        out: RealArray = log_densities[0]
        for log_density in log_densities[1:]:
            out = out + log_density
        return out

    def expected_statistics(
        self, params: ColumnsParams | None, x: RealArray, weights: RealArray
    ) -> ColumnsStatistics:
        """Statistics of rows ``x`` (N, D) under ``weights`` (N, K) >= 0, part by part."""
        known = [None] * len(self.parts) if params is None else params.parts
        return ColumnsStatistics(
            tuple(
                part.family.expected_statistics(p, self._of(part, x), weights)
                for part, p in self._with(known)
            )
        )

    def maximize(
        self, stats: ColumnsStatistics, previous: ColumnsParams | None = None
    ) -> ColumnsParams:
        """The parameters of largest expected log-likelihood, part by part."""
        return ColumnsParams(self._spent("maximize", stats.parts, previous))

    def model_statistics(self, params: ColumnsParams, counts: Array) -> ColumnsStatistics:
        """What ``counts`` (K,) complete rows of the components are expected to give."""
        return ColumnsStatistics(
            tuple(part.family.model_statistics(p, counts) for part, p in self._with(params.parts))
        )

    def relative_entropy(self, a: ColumnsParams, b: ColumnsParams) -> Array:
        """KL(component i of ``a`` || component j of ``b``), (K, K'), nats: sums over the parts."""
        triples = zip(self._capability("relative_entropy"), a.parts, b.parts, strict=True)
        divergence: Array = sum(of_part(p, q) for of_part, p, q in triples)
        return divergence

    def with_floor(self, stats: ColumnsStatistics) -> ColumnsStatistics:
        """With what ``maximize`` adds, part by part."""
        return ColumnsStatistics(
            tuple(floors.with_floor(part.family, s) for part, s in self._with(stats.parts))
        )

    def without_floor(self) -> IndependentColumns:
        """The family whose ``maximize`` adds nothing."""
        return IndependentColumns(
            (floors.without_floor(part.family), part.columns) for part in self.parts
        )

    # -- with a prior

    def update(self, prior: ColumnsPrior, stats: ColumnsStatistics) -> ColumnsPrior:
        """The posterior of each part."""
        update = self._capability("update")
        pairs = zip(update, prior.parts, stats.parts, strict=True)
        return ColumnsPrior(tuple(of_part(h, s) for of_part, h, s in pairs))

    def mode(self, posterior: ColumnsPrior, previous: ColumnsParams | None = None) -> ColumnsParams:
        """The mode of each part."""
        return ColumnsParams(self._spent("mode", posterior.parts, previous))

    def log_prior(self, prior: ColumnsPrior, params: ColumnsParams) -> float:
        """The log-density of all parameters, nats."""
        log_prior = self._capability("log_prior")
        pairs = zip(log_prior, prior.parts, params.parts, strict=True)
        return float(sum(of_part(h, p) for of_part, h, p in pairs))

    def weak_prior(self, pooled: ColumnsStatistics, n_components: int) -> ColumnsPrior:
        """The weak prior of each part."""
        pairs = zip(self._capability("weak_prior"), pooled.parts, strict=True)
        return ColumnsPrior(tuple(of_part(stats, n_components) for of_part, stats in pairs))

    # -- with a posterior

    def expected(self, posterior: ColumnsPrior, n_components: int) -> ColumnsParams:
        """What takes the place of parameters for expected log-densities, part by part."""
        pairs = zip(self._capability("expected"), posterior.parts, strict=True)
        return ColumnsParams(tuple(of_part(h, n_components) for of_part, h in pairs))

    def divergence(self, posterior: ColumnsPrior, prior: ColumnsPrior) -> Array:
        """KL(posterior || prior) by component, (K,), nats: sums over the parts."""
        triples = zip(self._capability("divergence"), posterior.parts, prior.parts, strict=True)
        divergences: Array = sum(of_part(h, before) for of_part, h, before in triples)
        return divergences

    def blend(self, posterior: ColumnsPrior, other: ColumnsPrior, rate: float) -> ColumnsPrior:
        """The step ``(1 - rate) posterior + rate other`` in natural coordinates, part by part."""
        triples = zip(self._capability("blend"), posterior.parts, other.parts, strict=True)
        return ColumnsPrior(tuple(of_part(h, there, rate) for of_part, h, there in triples))

    def mean(self, posterior: ColumnsPrior) -> ColumnsParams:
        """Parameters in the middle of the posterior, part by part."""
        pairs = zip(self._capability("mean"), posterior.parts, strict=True)
        return ColumnsParams(tuple(of_part(h) for of_part, h in pairs))

    def predictive_log_density(self, posterior: ColumnsPrior, x: RealArray) -> RealArray:
        """Log-densities of one more row under each component, (N, K), nats: sums over the parts."""
        predictive = self._capability("predictive_log_density")
        pairs = zip(predictive, self._with(posterior.parts), strict=True)
        density: RealArray = sum(of_part(h, self._of(part, x)) for of_part, (part, h) in pairs)
        return density

    # -- rows

    def inner_start(
        self, x: RealArray, labels: Labels | None, n_states: int, cluster: Any
    ) -> ColumnsParams:
        """What takes the place of parameters at first, where a part consists of mixtures."""
        return ColumnsParams(
            tuple(
                part.family.inner_start(self._of(part, x), labels, n_states, cluster)
                if getattr(part.family, "has_inner_start", False)
                else None
                for part in self.parts
            )
        )

    def check(self, x: RealArray, columns: Sequence[object] | None = None) -> None:
        """As many columns as the parts have, each with entries that its family takes.

        Raises
        ------
        ValueError
            Naming row and column of the first entry of a part that its family does not take.
        """
        if x.shape[1] != self.n_columns:
            raise ValueError(
                f"X: expected {self.n_columns} columns, those of all parts, got {x.shape[1]}"
            )
        names = range(self.n_columns) if columns is None else columns
        for part in self.parts:
            if hasattr(part.family, "check"):
                part.family.check(self._of(part, x), [names[column] for column in part.columns])

    def degenerate(self, params: ColumnsParams) -> list[int]:
        """Components that have collapsed in some part."""
        collapsed = {
            k
            for part, p in self._with(params.parts)
            if hasattr(part.family, "degenerate")
            for k in part.family.degenerate(p)
        }
        return sorted(collapsed)

    def n_parameters(self, params: ColumnsParams) -> int:
        """Those of all parts."""
        pairs = zip(self._capability("n_parameters"), params.parts, strict=True)
        return sum(of_part(p) for of_part, p in pairs)

    def embedding(self, x: RealArray) -> Array:
        """The embeddings of the parts side by side, in which every column of x weighs the same.

        A part that keeps its columns apart gets unit variance in each; another (categories as ones and zeros) a total
        variance of one for each of its columns. Parts without an embedding take their columns as they are.
        """
        return np.hstack([self._standardized(part, self._of(part, x)) for part in self.parts])

    def sample(self, params: ColumnsParams, k: int, n: int, rng: Any) -> Array:
        """n draws of component k, (n, D), part after part; ``rng`` is a Generator or RandomState."""
        out = np.empty((n, self.n_columns))
        for sample, (part, p) in zip(
            self._capability("sample"), self._with(params.parts), strict=True
        ):
            out[:, part.columns] = sample(p, k, n, rng)
        return out

    def impute(self, params: ColumnsParams, x: RealArray, responsibilities: RealArray) -> RealArray:
        """A copy of x with missing entries replaced as each part replaces them."""
        out = x.copy()
        for impute, (part, p) in zip(
            self._capability("impute"), self._with(params.parts), strict=True
        ):
            out[:, part.columns] = impute(p, self._of(part, x), responsibilities)
        return out

    # -- inside

    def _with(self, values: Iterable[Any]) -> Iterable[tuple[Part, Any]]:
        return zip(self.parts, values, strict=True)

    def _of(self, part: Part, x: RealArray) -> RealArray:
        """The columns of a part, contiguous; x itself if these are all."""
        if part.columns == tuple(range(x.shape[1])):
            return x
        return np.ascontiguousarray(x[:, part.columns])

    def _spent(
        self, how: str, values: tuple[Any, ...], previous: ColumnsParams | None
    ) -> tuple[Any, ...]:
        before = [None] * len(self.parts) if previous is None else previous.parts
        triples = zip(self._capability(how), values, before, strict=True)
        return tuple(of_part(value, p) for of_part, value, p in triples)

    def _capability(self, name: str) -> list[Callable[..., Any]]:
        for part in self.parts:
            if not hasattr(part.family, name):
                raise TypeError(
                    f"parts: expected families that have {name}, got {part.family!r} "
                    f"for columns {list(part.columns)}"
                )
        return [getattr(part.family, name) for part in self.parts]

    def _standardized(self, part: Part, x: RealArray) -> Array:
        embedding = getattr(part.family, "embedding", lambda x: filled(x.astype(np.float64)))
        values: Array = embedding(x)
        variances = values.var(axis=0)
        if len(variances) != len(part.columns):
            variances = np.full(1, variances.sum() / len(part.columns))
        return values / np.sqrt(np.where(variances > 0, variances, 1.0))
