"""Rows that wait for more, as files hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentcore.arrays import CSR, Array, Labels, RealArray, Rows, as_labels, as_matrix, as_weights

__all__ = ["Waiting"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows; sparse ones as a dense matrix, from which come rows of the right form and no other."""

    x: RealArray
    sample_weight: Array | None
    labels: Labels | None
    sparse: bool

    @classmethod
    def of(cls, rows: Rows) -> Waiting:
        sparse = isinstance(rows.x, CSR)
        x: Any = rows.x.toarray() if isinstance(rows.x, CSR) else rows.x
        return cls(x, rows.sample_weight, rows.labels, sparse)

    def rows(self, estimator: Any) -> Rows:
        """Raises ``ValueError`` or ``TypeError`` for rows that ``partial_fit`` would not have taken."""
        owner = type(estimator).__name__
        x: Any = as_matrix(self.x, owner=owner, missing=estimator._takes_missing())
        estimator._check_width(x)
        if self.sparse:
            if not estimator._takes_sparse():
                raise TypeError(
                    f"_stream.waiting: expected dense rows for {owner}, got sparse ones"
                )
            x = _compressed(x)
        weights = as_weights(self.sample_weight, len(x))
        return Rows(x, weights, labels=as_labels(self.labels, len(x), estimator.n_components))


def _compressed(x: RealArray) -> CSR:
    rows, columns = np.nonzero(x)
    begins = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(x)))])
    return CSR(x[rows, columns], columns.astype(np.int32), begins.astype(np.int64), x.shape[1])
