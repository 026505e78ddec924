"""Where the fit of a Gaussian mixture begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from latentcore.estimators import gaussian_parameters as border
from latentcore.estimators.starts import Start
from latentcore.families.gaussian import CovarianceType, GaussianParams
from latentcore.protocols import Array
from latentcore.structures.mixture import MixtureParams, MixtureStatistics

__all__ = ["GaussianStart"]


class GaussianStart(Start[GaussianParams]):
    """Starts of which means and precisions may be given, each by itself.

    Parameters
    ----------
    means, precisions : optional
        As given by the user, checked.
    """

    def __init__(
        self,
        *args: Any,
        means: Array | None,
        precisions: Array | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._means = means
        self._precisions = precisions
        if means is not None and precisions is not None:
            self._components = border.with_precisions(means, precisions, self._type())

    def _completed(self, stats: MixtureStatistics[Any]) -> MixtureParams[GaussianParams]:
        weights = self._made_weights(stats)
        if self._precisions is not None and self._components is None:
            # the statistics' covariances may be singular, and are not wanted
            means = stats.components.means
            return MixtureParams(
                weights, border.with_precisions(means, self._precisions, self._type())
            )
        components = self._components
        if components is None:
            components = self._spent(stats).components
        if self._means is not None:
            components = replace(components, means=self._means)
        return MixtureParams(weights, components)

    def _type(self) -> CovarianceType:
        family: Any = self.model.family
        type_: CovarianceType = family.covariance_type
        return type_
