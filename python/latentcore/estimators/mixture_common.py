"""What all mixtures have in common, point estimates and posteriors: how they read rows, and what these are of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Rows, without_absent
from latentcore.errors import NumericalError
from latentcore.estimators.base import Estimator
from latentcore.estimators.blocks import Evaluation, work_per_row
from latentcore.estimators.summary import component_labels, components_table
from latentcore.estimators.training_rows import (
    InMemory,
    TrainingRows,
    absent_replaced,
    check_support,
    numbered_as_given,
)
from latentcore.families.bernoulli import Bernoulli
from latentcore.families.multinomial import Multinomial
from latentcore.families.poisson import Poisson
from latentcore.protocols import RealArray
from latentcore.streams import as_parts
from latentcore.structures.mixture import MixtureParams
from latentcore.threads import get_num_threads

__all__ = ["SPARSE_FAMILIES", "AnyMixture", "RandomState"]

RandomState = int | np.random.RandomState | np.random.Generator

SPARSE_FAMILIES = (Bernoulli, Multinomial, Poisson)
"""Families that read sparse rows."""


class AnyMixture(Estimator):
    """A mixture. A subclass tells its family, and what it evaluates rows with."""

    _estimator_type = "density_estimator"

    n_components: int
    random_state: RandomState | None
    n_threads: int | None

    # -- what a subclass tells --------------------------------------------------------------------

    def _family_class(self) -> type:
        """The class of the family, known before a fit."""
        raise NotImplementedError

    def _family_to_fit(self, x: RealArray, names: list[str] | None) -> Any:
        """The family that is fitted to ``x``, whose columns have these names."""
        raise NotImplementedError

    def _family(self) -> Any:
        """The family, as it was learned."""
        raise NotImplementedError

    def _evaluation(self) -> Evaluation:
        """What is said of rows; raises ``NotFittedError``."""
        raise NotImplementedError

    # -- predictions ------------------------------------------------------------------------------

    def predict(self, X: Any) -> npt.NDArray[np.intp]:
        """The most probable component of each row, (N,)."""
        evaluation = self._evaluation()
        return evaluation.labels(self._seen(X))

    def _assessed(self, X: Any, sample_weight: Any) -> tuple[Evaluation, Rows]:
        evaluation = self._evaluation()
        return evaluation, without_absent(self._seen_rows(X, sample_weight))

    def _components_table(self, params: MixtureParams[Any]) -> list[str]:
        names = self.__dict__.get("feature_names_in_")
        return components_table(
            params.components, self._family(), names, self._n_features(),
            component_labels(params.weights),
        )  # fmt: skip

    # -- rows -------------------------------------------------------------------------------------

    def _in_memory(self, rows: Rows, names: list[str] | None) -> InMemory:
        """Rows to fit to."""
        work = self._work_per_row(rows.x, self.n_components)
        return InMemory(rows, names, work, get_num_threads(self.n_threads))

    def _refuse_parts(self, X: Any) -> None:
        if as_parts(X) is not None:
            raise TypeError(
                "X: expected a matrix, got parts; use fit, and then predict for each of them"
            )

    def _present(self, rows: Rows) -> RealArray:
        """The rows of which the family's ``check`` may see all."""
        return absent_replaced(rows) if hasattr(self._family_class(), "check") else rows.x

    def _explained(self, error: NumericalError, rows: Rows | TrainingRows) -> NumericalError:
        """The error with the number of the row as the user counts."""
        if isinstance(rows, Rows):
            return numbered_as_given(error, rows)
        return rows.numbered(error)

    def _work_per_row(self, x: RealArray, n_components: int) -> float:
        """Multiply-adds of a sweep; an exponential counts as 16."""
        return work_per_row(x, n_components)

    def _takes_sparse(self) -> bool:
        return issubclass(self._family_class(), SPARSE_FAMILIES)

    def _check_support(self, x: RealArray) -> None:
        check_support(self._family(), x, getattr(self, "feature_names_in_", None))
