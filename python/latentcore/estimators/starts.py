"""Where the fits of a mixture begin."""

from __future__ import annotations

from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from latentcore.arrays import Rows
from latentcore.initialization import Everywhere, InitMethod, initial_statistics
from latentcore.protocols import Array
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior, MixtureStatistics

__all__ = ["InitParams", "Start"]

InitParams: TypeAlias = InitMethod

P = TypeVar("P")


class Start(Generic[P]):
    """Starts, one after another: an earlier fit, or what the user gives and a method for the rest.

    Parameters
    ----------
    prior : MixturePrior, optional
        The first parameters are then the mode of the posterior.
    weights, components : optional
        As given by the user, checked.
    warm : MixtureParams, optional
        Parameters of an earlier fit; then nothing else counts.

    Attributes
    ----------
    everywhere : Everywhere, optional
        What goes over all rows, where ``data`` are a sample; see ``initialization.initial_statistics``.
    """

    everywhere: Everywhere | None = None

    def __init__(
        self,
        model: Mixture[P, Any],
        data: Rows,
        n_components: int,
        method: InitParams,
        random_state: np.random.RandomState | np.random.Generator,
        *,
        prior: MixturePrior[Any] | None = None,
        weights: Array | None = None,
        components: P | None = None,
        warm: MixtureParams[P] | None = None,
        n_threads: int = 1,
    ) -> None:
        self.model = model
        self.warm = warm
        self._data = data
        self._n_components = n_components
        self._method = method
        self._random_state = random_state
        self._prior = prior
        self._weights = weights
        self._components = components
        self._n_threads = n_threads

    def next(self) -> MixtureParams[P]:
        """The next start.

        Raises
        ------
        NumericalError
            A component of the start has collapsed.
        """
        if self.warm is not None:
            return self.warm
        if self._weights is not None and self._components is not None:
            return MixtureParams(self._weights, self._components)
        return self._completed(self._statistics())

    def _completed(self, stats: MixtureStatistics[Any]) -> MixtureParams[P]:
        """Parameters of the statistics, but for those that are given."""
        components = self._components
        if components is None:
            components = self._spent(stats).components
        return MixtureParams(self._made_weights(stats), components)

    def _spent(self, stats: MixtureStatistics[Any]) -> MixtureParams[P]:
        if self._prior is None:
            return self.model.maximize(stats)
        return self.model.mode(self.model.update(self._prior, stats))

    def _made_weights(self, stats: MixtureStatistics[Any]) -> Array:
        if self._weights is not None:
            return self._weights
        counts = stats.counts
        if self.model.equal_weights:
            return np.full(len(counts), 1.0 / len(counts))
        if self._prior is not None:
            counts = counts + self._prior.weights - 1.0
        weights: Array = counts / counts.sum()
        return weights

    def _statistics(self) -> MixtureStatistics[Any]:
        return initial_statistics(
            self.model.family, self._data, self._n_components, self._method, self._random_state,
            allow_repeats=self._prior is not None, n_threads=self._n_threads,
            everywhere=self.everywhere,
        )  # fmt: skip
