"""Fits to files that are read again in each iteration, by this process or by the workers of a cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import latentcore
from latentcore.cli.clusters import remote_table
from latentcore.cli.columns import Table, arrow
from latentcore.cli.models import check_beside
from latentcore.cli.progress import PartsProgress
from latentcore.cli.sequences import complaints_about

__all__ = ["LargeFile", "is_large"]

_LARGE = 1 << 30
"""Bytes of numbers above which a file is not read into memory at once."""
_ARROW = (".parquet", ".pq", ".feather", ".arrow", ".ipc")
_ONLY_IN_PARTS = (".feather", ".arrow", ".ipc")


def is_large(file: str, in_memory: bool | None) -> bool:
    """Whether a file is to be read again in each iteration: if it is asked for, or large, or a folder of files."""
    path = Path(file)
    if in_memory is not None or not path.exists():
        return in_memory is False
    if path.is_dir():
        return any(one.suffix.lower() in _ARROW for one in path.rglob("*"))
    if path.suffix.lower() in _ONLY_IN_PARTS:
        return True
    if path.suffix.lower() == ".npy":
        return path.stat().st_size > _LARGE
    if path.suffix.lower() not in _ARROW:
        return False
    arrow(file)
    import pyarrow.parquet as pq

    try:
        found = pq.read_metadata(file)
    except (ValueError, OSError):
        return False  # and told by who reads it
    return bool(found.num_rows * found.num_columns * 8 > _LARGE)


@dataclass(frozen=True, slots=True)
class LargeFile:
    """A file or a folder of files, the columns to learn from, and those beside them."""

    file: str
    columns: Sequence[str] | None
    labels: str | None
    weight_by: str | None = None
    group_by: str | None = None
    order_by: str | None = None
    """On a cluster, the order of rows within a group; None: as they lie."""

    def batches(self) -> latentcore.Batches:
        return latentcore.Batches(
            Path(self.file), columns=self.columns, sample_weight=self.weight_by, labels=self.labels,
            groups=self.group_by,
        )  # fmt: skip

    def check(self) -> None:
        """Raise ``ValueError`` for a column that is to be learned from and something else."""
        named = {"labels": self.labels, "weights": self.weight_by, "sequences": self.group_by}
        check_beside(self.columns, named)

    def complaints(self) -> AbstractContextManager[None]:
        """Messages of estimators about this file."""
        return complaints_about(self.file, weight_by=self.weight_by)

    def first(self) -> Table:
        """The rows of the first batch: they tell what a model of mixed columns is made of."""
        part = next(iter(self.batches()), None)
        if part is None:
            raise ValueError(f"{self.file}: expected rows of numbers, got none")
        names = getattr(part.X, "column_names", None)
        data = part.X if names is None else np.column_stack([np.asarray(c) for c in part.X.columns])
        return Table(np.ascontiguousarray(data, np.float64), names)

    def fit(self, model: Any, progress: PartsProgress) -> None:
        """Fit in this process; after Ctrl-C the model is that of the last complete iteration."""
        model.fit(self.batches().watched(progress.counted), callback=progress)
        if self.columns is None and Path(self.file).suffix.lower() != ".npy":
            self._tell_left_out(_names_in(Path(self.file)), list(model.feature_names_in_))

    def fit_on(self, cluster: str, model: Any, progress: PartsProgress) -> None:
        """Fit on a cluster."""
        with remote_table(cluster, self.file) as table:
            from latentcore import distributed

            columns = self.columns
            if columns is None:
                columns = [name for name in table.numbers if name not in self._beside()]
                self._tell_left_out(table.names, columns)
            distributed.fit(
                model, table.frame, client=table.client, columns=columns, sample_weight=self.weight_by,
                labels=self.labels, groups=self.group_by, order_by=self.order_by, callback=progress,
            )  # fmt: skip

    def _beside(self) -> tuple[str | None, ...]:
        return self.labels, self.weight_by, self.group_by, self.order_by

    def _tell_left_out(self, found: Sequence[str], learned: Sequence[str]) -> None:
        left = [n for n in found if n not in (*learned, *self._beside())]
        if left:
            print(f"columns left out, which hold no numbers: {', '.join(left)}", file=sys.stderr)


def _names_in(path: Path) -> list[str]:
    from pyarrow import dataset

    form = "ipc" if path.suffix.lower() in _ONLY_IN_PARTS else "parquet"
    names: list[str] = dataset.dataset(path, format=form).schema.names
    return names
