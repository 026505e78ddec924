"""Mixtures of any family: the parameters are the family's own dataclass, in ``components_``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Rows
from latentcore.estimators.checks import random_generator
from latentcore.estimators.components import (
    given_components,
    n_features_of,
    reordered,
)
from latentcore.estimators.gaussian_parameters import checked_weights
from latentcore.estimators.mixture_base import Assignment, MixtureEstimator, RandomState, outcome
from latentcore.estimators.online import OnlineArgument
from latentcore.estimators.priors import Prior
from latentcore.estimators.saved_fit import check_weights
from latentcore.estimators.saved_learned import check_components, pack_learned, unpack_learned
from latentcore.estimators.starts import InitParams, Start
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior
from latentcore.threads import get_num_threads

__all__ = ["FamilyMixture"]

P = TypeVar("P")
H = TypeVar("H")

_KEPT = ("weights_", "components_", "family_", "n_features_in_")


class FamilyMixture(MixtureEstimator[P], Generic[P, H]):
    """A mixture whose parameters are ``weights_`` and the family's own, ``components_``."""

    _since_the_first_files = frozenset({"online"})

    _params_class: type[Any] | None = None
    """The family's parameters, where the family is known with the class."""

    components_: P
    family_: Any

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        weights_init: npt.ArrayLike | None = None,
        params_init: P | Mapping[str, npt.ArrayLike] | None = None,
        random_state: RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        prior: Prior[H] = None,
        assignment: Assignment = "soft",
        equal_weights: bool = False,
        online: OnlineArgument = None,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.params_init = params_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.prior = prior
        self.assignment = assignment
        self.equal_weights = equal_weights
        self.online = online

    @classmethod
    def _made(
        cls,
        family: Any,
        weights: npt.ArrayLike,
        components: Any,
        /,
        *,
        random_state: RandomState | None,
        **arguments: Any,
    ) -> Self:
        """A model with these parameters."""
        n_components = int(np.size(weights))
        learned = {
            "weights_": checked_weights(weights, n_components, "weights"),
            "components_": given_components(
                components, cls._params_class, n_components, "components"
            ),
            "family_": family,
            **outcome(None),
        }
        learned["n_features_in_"] = n_features_of(family, learned["components_"])
        model = cls(n_components=n_components, random_state=random_state, **arguments)
        model._replace(learned, None)
        return model

    # -- the family -------------------------------------------------------------------------------

    def _family(self) -> Any:
        if "family_" not in self.__dict__:
            raise self._not_fitted()
        return self.family_

    def _start(
        self,
        model: Mixture[P, Any],
        data: Rows,
        prior: MixturePrior[Any] | None,
        warm: MixtureParams[P] | None,
    ) -> Start[P]:
        k = self.n_components
        weights: Any = self.weights_init
        components: Any = self.params_init
        if weights is not None:
            weights = checked_weights(weights, k, "weights_init")
        if components is not None:
            components = given_components(components, self._params_class, k, "params_init")
        return Start(
            model, data, k, self.init_params, random_generator(self.random_state),
            prior=prior, weights=weights, components=components, warm=warm,
            n_threads=get_num_threads(self.n_threads),
        )  # fmt: skip

    # -- parameters -------------------------------------------------------------------------------

    def _params(self) -> MixtureParams[P]:
        if "components_" not in self.__dict__ or "weights_" not in self.__dict__:
            raise self._not_fitted()
        return self._params_of(self.__dict__)

    def _params_of(self, attributes: Mapping[str, Any]) -> MixtureParams[P]:
        weights = np.ascontiguousarray(attributes["weights_"], np.float64)
        return MixtureParams(weights, attributes["components_"])

    def _attributes(self, params: MixtureParams[P], family: Any, dtype: Any) -> dict[str, Any]:
        return {"weights_": params.weights, "components_": params.components, "family_": family}

    def _reordered(self, order: npt.NDArray[np.intp]) -> dict[str, Any]:
        return {
            "weights_": np.asarray(self.weights_)[order],
            "components_": reordered(self._family(), self.components_, order),
        }

    def _heading(self, params: MixtureParams[P]) -> str:
        name = type(self._family()).__name__
        return f"{name} mixture: K = {len(params.weights)}, D = {self.n_features_in_}"

    # -- storage ----------------------------------------------------------------------------------

    def _learned(self) -> dict[str, Any]:
        if "components_" not in self.__dict__:
            return {}
        check_weights(self.weights_)
        return pack_learned(self.__dict__, _KEPT)

    def _checked_learned(self, learned: dict[str, Any]) -> dict[str, Any]:
        if not learned:
            return {}
        attributes = unpack_learned(learned, _KEPT, self._family_class())
        check_weights(attributes["weights_"])
        check_components(attributes, self._params_class, len(attributes["weights_"]))
        return attributes
