"""Rows that wait for more, as files hold them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from latentcore.arrays import CSR, Array, Labels, RealArray, Rows, as_labels, as_matrix, as_weights
from latentcore.sequences import Begins, Sequences, as_sequences

__all__ = ["Waiting"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows; sparse ones as a dense matrix, from which come rows of the right form and no other."""

    x: RealArray
    sample_weight: Array | None
    labels: Labels | None
    sparse: bool
    lengths: Begins | None = None
    """Of sequences, which then have the weights."""

    @classmethod
    def of(cls, rows: Rows | Sequences) -> Waiting:
        sparse = isinstance(rows.x, CSR)
        x: Any = rows.x.toarray() if isinstance(rows.x, CSR) else rows.x
        lengths = rows.lengths if isinstance(rows, Sequences) else None
        return cls(x, rows.sample_weight, rows.labels, sparse, lengths)

    def rows(self, estimator: Any) -> Rows | Sequences:
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
        if self.lengths is None:
            weights = as_weights(self.sample_weight, len(x))
            return Rows(x, weights, labels=as_labels(self.labels, len(x), estimator.n_components))
        found = as_sequences(
            np.zeros((len(x), 1)), lengths=np.asarray(self.lengths).astype(np.int64), labels=self.labels,
            sample_weight=self.sample_weight, n_states=estimator.n_components,
        )  # fmt: skip
        return replace(found, x=x)


def _compressed(x: RealArray) -> CSR:
    rows, columns = np.nonzero(x)
    begins = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(x)))])
    return CSR(x[rows, columns], columns.astype(np.int32), begins.astype(np.int64), x.shape[1])
