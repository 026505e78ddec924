"""Cross-validation of sequences, by scikit-learn's protocol and without importing scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from latentcore.estimators.checks import boolean, integer, random_generator

__all__ = ["SequenceKFold"]

Indices = npt.NDArray[np.intp]


class SequenceKFold:
    """K folds of whole sequences, of about as many rows each.

    Each sequence is in the test fold of one split and in the training rows of all others; none is cut. The longest
    come first, each to the fold that has the fewest rows so far. What the sequences are is said by one of:

    - ``groups`` of ``split``, which scikit-learn's ``cross_val_score`` and ``GridSearchCV`` pass on;
    - ``lengths`` of the constructor;
    - ``X`` itself where it is a list of matrices: then indices are those of sequences, not of rows.

    Parameters
    ----------
    n_splits : int, >= 2
    lengths : (Q,) integers >= 1, optional
        Of the sequences, whose rows lie one after another.
    shuffle : bool
        Sequences come in random order in place of the longest first: other folds for another ``random_state``, which
        differ in size by no more than the longest sequence.
    random_state : int, RandomState, Generator or None
        Of the order; with ``shuffle`` only.

    Notes
    -----
    It is a splitter like scikit-learn's ``GroupKFold``. The model needs to know the sequences too, when it is fitted
    and when it is scored: turn metadata routing on (``sklearn.set_config(enable_metadata_routing=True)``), ask for
    ``groups`` by ``model.set_fit_request(groups=True).set_score_request(groups=True)``, and pass
    ``params={"groups": groups}`` to ``cross_val_score``, or ``groups=groups`` to ``GridSearchCV.fit``.
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        lengths: npt.ArrayLike | None = None,
        shuffle: bool = False,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.n_splits = integer("n_splits", n_splits, 2)
        self.shuffle = boolean("shuffle", shuffle)
        random_generator(random_state)
        if random_state is not None and not shuffle:
            raise ValueError(
                f"random_state: expected None where shuffle is False, got {random_state!r}"
            )
        self.random_state = random_state
        self.lengths = None if lengths is None else _checked_lengths(lengths)

    def __repr__(self) -> str:
        lengths = "" if self.lengths is None else f"lengths=array of {len(self.lengths)}, "
        return (
            f"SequenceKFold(n_splits={self.n_splits}, {lengths}shuffle={self.shuffle}, "
            f"random_state={self.random_state!r})"
        )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of splits."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Indices, Indices]]:
        """Rows, in order, to train and to test on; of a list of matrices, positions in the list.

        Parameters
        ----------
        X : array or data frame (N, D), or a list of them
        y : ignored
        groups : (N,), optional
            The sequence of each row, by numbers, strings or other things that can be sorted.

        Raises
        ------
        ValueError
            Nothing tells the sequences, they do not fit ``X``, or they are fewer than ``n_splits``.
        """
        sequence_of_row, n_rows = self._sequences(X, groups)
        if len(n_rows) < self.n_splits:
            raise ValueError(
                f"n_splits: expected at most the number of sequences, {len(n_rows)}, "
                f"got {self.n_splits}"
            )
        fold_of_row = self._folds(n_rows)[sequence_of_row]
        for fold in range(self.n_splits):
            yield np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold)

    def get_metadata_routing(self) -> Any:
        """That ``split`` takes ``groups`` from meta-estimators; needs scikit-learn."""
        from sklearn.utils.metadata_routing import MetadataRequest

        request = MetadataRequest(owner=self)
        request.split.add_request(param="groups", alias=True)
        return request

    # -- inside

    def _sequences(self, X: Any, groups: Any) -> tuple[Indices, Indices]:
        """The sequence of each row, or of each element of a list, and the number of rows of each sequence."""
        if _is_list_of_sequences(X):
            n_rows = np.array([sequence.shape[0] for sequence in X], np.intp)
            return np.arange(len(n_rows)), n_rows
        size = X.shape[0] if hasattr(X, "shape") else len(X)
        if self.lengths is not None:
            if self.lengths.sum() != size:
                raise ValueError(
                    f"lengths: expected a sum of {size}, the rows of X, got {self.lengths.sum()}"
                )
            return np.repeat(np.arange(len(self.lengths)), self.lengths), self.lengths
        if groups is None:
            raise ValueError(
                "groups: expected the sequence of each row, or SequenceKFold(lengths=...), got None"
            )
        values = np.asarray(groups)
        if values.shape != (size,):
            raise ValueError(
                f"groups: expected shape ({size},), a sequence for each row, got {values.shape}"
            )
        _, sequence_of_row, n_rows = np.unique(values, return_inverse=True, return_counts=True)
        return sequence_of_row, n_rows

    def _folds(self, n_rows: Indices) -> Indices:
        """The fold of each sequence."""
        if self.shuffle:
            order = random_generator(self.random_state).permutation(len(n_rows))
        else:
            order = np.argsort(-n_rows, kind="stable")
        rows_of_fold = np.zeros(self.n_splits, np.intp)
        folds = np.empty(len(n_rows), np.intp)
        for sequence in order:
            folds[sequence] = rows_of_fold.argmin()
            rows_of_fold[folds[sequence]] += n_rows[sequence]
        return folds


def _checked_lengths(lengths: npt.ArrayLike) -> Indices:
    values = np.asarray(lengths)
    if values.ndim != 1 or values.dtype.kind not in "iu" or not (values >= 1).all():
        raise ValueError(f"lengths: expected integers >= 1, one for each sequence, got {lengths!r}")
    return values.astype(np.intp)


def _is_list_of_sequences(X: Any) -> bool:
    return (
        isinstance(X, list | tuple)
        and len(X) > 0
        and all(len(getattr(sequence, "shape", ())) == 2 for sequence in X)
    )
