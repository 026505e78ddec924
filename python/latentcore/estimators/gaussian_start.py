"""Where the fit of a Gaussian mixture begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from latentcore.arrays import Rows
from latentcore.estimators import gaussian_parameters as border
from latentcore.families.gaussian import Gaussian, GaussianParams
from latentcore.initialization import initial_statistics
from latentcore.structures.mixture import Mixture, MixtureParams

__all__ = ["GaussianStart", "InitParams"]

InitParams = Literal["kmeans", "k-means++", "random", "random_from_data"]


class GaussianStart:
    """Starts, one after another: an earlier fit, or what the user gives and a method for the rest.

    Parameters
    ----------
    weights, means, precisions : array_like, optional
        As given by the user; they are checked here.
    warm : MixtureParams, optional
        Parameters of an earlier fit; then nothing else counts.
    """

    def __init__(
        self,
        family: Gaussian,
        data: Rows,
        n_components: int,
        method: InitParams,
        random_state: np.random.RandomState | np.random.Generator,
        *,
        weights: Any,
        means: Any,
        precisions: Any,
        warm: MixtureParams[GaussianParams] | None,
        n_threads: int,
    ) -> None:
        shape = n_components, data.x.shape[1]
        type_ = family.covariance_type
        self.family = family
        self.warm = warm
        self._data = data
        self._n_components = n_components
        self._method = method
        self._random_state = random_state
        self._n_threads = n_threads
        self._weights = self._means = self._precisions = None
        if weights is not None:
            self._weights = border.checked_weights(weights, n_components, "weights_init")
        if means is not None:
            self._means = border.checked_means(means, *shape, "means_init")
        if precisions is not None:
            self._precisions = border.checked_matrices(
                precisions, "precision", type_, *shape, "precisions_init"
            )

    def next(self) -> MixtureParams[GaussianParams]:
        """The next start.

        Raises
        ------
        NumericalError
            A component of the start has a covariance that is not positive definite.
        """
        if self.warm is not None:
            return self.warm
        weights, means, precisions = self._weights, self._means, self._precisions
        type_ = self.family.covariance_type
        if weights is not None and means is not None and precisions is not None:
            return border.from_precisions(weights, means, precisions, type_)
        stats = initial_statistics(
            self.family, self._data, self._n_components, self._method, self._random_state,
            n_threads=self._n_threads,
        )  # fmt: skip
        if weights is None:
            weights = stats.counts / stats.counts.sum()
        if (
            precisions is not None
        ):  # the statistics' covariances may be singular, and are not wanted
            means = stats.components.means if means is None else means
            return border.from_precisions(weights, means, precisions, type_)
        components = Mixture(self.family).maximize(stats).components
        return MixtureParams(
            weights, components if means is None else replace(components, means=means)
        )
