"""Categories: D independent columns of codes, ``log f(x) = sum_d log p_d(x_d)``."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from latentcore.arrays import Array, RealArray
from latentcore.families.divergences import by_pairs, of_counts
from latentcore.families.linear import Features, Linear, LinearForm, LinearStatistics
from latentcore.families.priors import DirichletPrior, blended, of_components
from latentcore.families.support import check_entries, filled, log_of, quotients, whole

__all__ = ["Categorical", "CategoricalParams"]

_MOST_LEVELS = 1 << 24
"""That are found in rows; whoever needs more says so."""


@dataclass(frozen=True, slots=True)
class CategoricalParams:
    """Probabilities (K, sum of levels), one column's after the other; those of a column add up to one."""

    probabilities: Array


@dataclass(frozen=True, slots=True)
class Categorical(Linear[CategoricalParams]):
    """Independent columns of codes 0 to levels - 1; NaN is a missing one.

    Parameters
    ----------
    levels : tuple of int, >= 1
        The number of codes of each column.
    """

    levels: tuple[int, ...]

    features: ClassVar[Features] = "one_hot"

    def __post_init__(self) -> None:
        levels = tuple(operator.index(n) for n in self.levels)
        if not levels or min(levels) < 1:
            raise ValueError(
                f"levels: expected a number of codes >= 1 for each column, got {levels}"
            )
        object.__setattr__(self, "levels", levels)

    @classmethod
    def of_rows(cls, x: RealArray, columns: Sequence[object] | None = None) -> Categorical:
        """As many levels in each column as its largest code asks for.

        Raises
        ------
        ValueError
            An entry is no code, or too large a one to have a level for each below, or a column holds none at all.
        """
        check_entries(
            x, columns, lambda block: whole(block) | np.isnan(block),
            lambda column: "codes, whole numbers >= 0",
        )  # fmt: skip
        check_entries(
            x, columns, lambda block: ~(block >= _MOST_LEVELS),
            lambda column: f"codes that count from 0, below {_MOST_LEVELS}",
        )  # fmt: skip
        largest = np.fmax.reduce(x, axis=0)
        if np.isnan(largest).any():
            d = int(np.isnan(largest).argmax())
            name = d if columns is None else columns[d]
            raise ValueError(f"X: expected a code in at least one row of column {name!r}, got none")
        return cls(tuple(int(code) + 1 for code in largest))

    def n_levels(self) -> tuple[int, ...]:
        """The number of codes of each column."""
        return self.levels

    def split(self, by_level: Array) -> list[Array]:
        """Columns' parts (K, levels) of an array (K, sum of levels), such as the probabilities."""
        return np.split(by_level, np.cumsum(self.levels)[:-1], axis=1)

    def form(self, params: CategoricalParams) -> LinearForm:
        """0 and ``log p``."""
        constants = np.zeros((len(params.probabilities), len(self.levels)))
        return LinearForm(constants, log_of(params.probabilities))

    def maximize(
        self, stats: LinearStatistics, previous: CategoricalParams | None = None
    ) -> CategoricalParams:
        """Shares of the codes.

        A component without weight in a column keeps its previous probabilities; if there are none, it gets the column's
        shares over all components, or equal ones if they have no weight there either.
        """
        before = None if previous is None else previous.probabilities
        equal = np.repeat(1.0 / np.array(self.levels), self.levels)
        totals = self._repeated(np.add.reduceat(stats.sums, self._starts(), axis=1))
        return CategoricalParams(quotients(stats.sums, totals, before, equal))

    def model_statistics(self, params: CategoricalParams, counts: Array) -> LinearStatistics:
        """Statistics that ``counts`` (K,) complete rows of the components are expected to give."""
        seen = np.repeat(counts[:, None], len(self.levels), axis=1)
        return LinearStatistics(seen, counts[:, None] * params.probabilities)

    def relative_entropy(self, a: CategoricalParams, b: CategoricalParams) -> Array:
        """KL(component i of ``a`` || component j of ``b``), (K, K'), nats; +inf where what ``b`` forbids happens."""
        return by_pairs(of_counts, (a.probabilities,), (b.probabilities,))

    # -- with a prior: the probabilities of each column ~ Dirichlet(concentration)

    def update(self, prior: DirichletPrior, stats: LinearStatistics) -> DirichletPrior:
        """Sums of the codes add to the concentrations."""
        return DirichletPrior(prior.concentration + stats.sums)

    def mode(
        self, posterior: DirichletPrior, previous: CategoricalParams | None = None
    ) -> CategoricalParams:
        """In proportion to ``concentration - 1``, not below 0; where all are 0, as ``maximize`` without weight."""
        above = posterior.numerators()
        n_levels = sum(self.levels)
        sums = np.broadcast_to(above, (len(above), n_levels))
        return self.maximize(LinearStatistics(np.empty((len(above), 0)), sums), previous)

    def log_prior(self, prior: DirichletPrior, params: CategoricalParams) -> float:
        """The log-density of the probabilities, nats."""
        return prior.log_density(params.probabilities, self._starts())

    def weak_prior(self, pooled: LinearStatistics, n_components: int) -> DirichletPrior:
        """One more row: its shares are those of all rows and of one more that is spread evenly over the codes."""
        even = np.repeat(1.0 / np.array(self.levels), self.levels)
        return DirichletPrior(1.0 + (pooled.sums + even) / (self._repeated(pooled.counts) + 1.0))

    # -- with a posterior

    def expected(self, posterior: DirichletPrior, n_components: int) -> LinearForm:
        """0 and ``psi(concentration) - psi(total of the column)``."""
        mean_log = self._all_codes(posterior).mean_log(self._starts())
        constants = np.zeros((n_components, len(self.levels)))
        return LinearForm(constants, of_components(mean_log, n_components))

    def divergence(self, posterior: DirichletPrior, prior: DirichletPrior) -> Array:
        """KL(posterior || prior) by component, (K,), nats."""
        return self._all_codes(posterior).divergence(prior, self._starts())

    def blend(
        self, posterior: DirichletPrior, other: DirichletPrior, rate: float
    ) -> DirichletPrior:
        """``(1 - rate) posterior + rate other``: concentrations are natural coordinates."""
        return blended(posterior, other, rate)

    def mean(self, posterior: DirichletPrior) -> CategoricalParams:
        """Concentrations in proportion to their totals."""
        return CategoricalParams(self._all_codes(posterior).mean(self._starts()))

    def predictive_log_density(self, posterior: DirichletPrior, x: RealArray) -> RealArray:
        """Log-densities of one more row under each component, (N, K), nats: those of the mean probabilities."""
        return self.log_likelihood(self.mean(posterior), x)

    # -- rows

    def check(self, x: RealArray, columns: Sequence[object] | None = None) -> None:
        """Whole codes from 0 to levels - 1, in as many columns as there are levels.

        Raises
        ------
        ValueError
            Naming row and column of the first other entry.
        """
        levels = np.array(self.levels)
        if x.shape[1] != len(levels):
            raise ValueError(
                f"X: expected {len(levels)} columns of codes, one for each of levels, got {x.shape[1]}"
            )
        check_entries(
            x, columns, lambda block: (whole(block) & (block < levels)) | np.isnan(block),
            lambda column: f"whole codes from 0 to {levels[column] - 1}",
        )  # fmt: skip

    def degenerate(self, params: CategoricalParams) -> list[int]:
        """None: probabilities of rows are at most 1, and a probability 0 is a proper maximum."""
        return []

    def n_parameters(self, params: CategoricalParams) -> int:
        """K times the sum of levels - 1."""
        return len(params.probabilities) * (sum(self.levels) - len(self.levels))

    def embedding(self, x: RealArray) -> Array:
        """A one at the code of each column, (N, sum of levels); missing ones are the shares of the codes."""
        columns = [
            np.where(np.isnan(x[:, [d]]), np.nan, x[:, [d]] == np.arange(n))
            for d, n in enumerate(self.levels)
        ]
        return filled(np.hstack(columns).astype(np.float64))

    def sample(self, params: CategoricalParams, k: int, n: int, rng: Any) -> Array:
        """n draws of component k, (n, D); ``rng`` is a Generator or RandomState."""
        cumulative = [np.cumsum(p) for [p] in self.split(params.probabilities[[k]])]
        return self._codes(
            np.searchsorted(edges, rng.uniform(size=n) * edges[-1], side="right")
            for edges in cumulative
        )

    def impute(
        self, params: CategoricalParams, x: RealArray, responsibilities: RealArray
    ) -> RealArray:
        """A copy of x with the most probable code, of ``sum_k r_nk p_k``, at missing entries; the first of equals."""
        rows = np.flatnonzero(np.isnan(x).any(axis=1))
        wide = responsibilities[rows].astype(np.float64)
        codes = self._codes((wide @ p).argmax(axis=1) for p in self.split(params.probabilities))
        out = x.copy()
        out[rows] = np.where(np.isnan(x[rows]), codes, x[rows])
        return out

    # -- inside

    def _starts(self) -> list[int]:
        """Where the levels of each column begin."""
        return [0, *np.cumsum(self.levels)[:-1].tolist()]

    def _all_codes(self, posterior: DirichletPrior) -> DirichletPrior:
        """With a column for each code, where one may stand for all."""
        shape = (len(posterior.concentration), sum(self.levels))
        return DirichletPrior(np.broadcast_to(posterior.concentration, shape))

    def _repeated(self, by_column: Array) -> Array:
        return np.repeat(by_column, self.levels, axis=1)

    @staticmethod
    def _codes(columns: Iterable[Any]) -> Array:
        return np.stack(list(columns), axis=1).astype(np.float64)
