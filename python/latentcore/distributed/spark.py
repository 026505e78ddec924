"""Parts in the partitions of a Spark data frame."""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from latentcore.distributed.parcels import Traffic, after, attempt, opened, sealed, unpacked
from latentcore.distributed.tables import Roles, check_whole
from latentcore.parts import Part, Parts

__all__ = ["SparkParts", "parts_of"]

D = TypeVar("D")
E = TypeVar("E")
R = TypeVar("R")

_SCHEMA = "part int, piece int, data binary"
_PIECE = 1 << 22
"""Bytes of a cell: a part is cut, because Spark holds a row in one Java array."""


class SparkParts(Parts[D]):
    """Parts as pickles in a cached data frame: (part, piece, data), the pieces of a part in one partition.

    Each pass is a ``mapInArrow`` over the partitions. Spark sends the function to every executor once. Results are
    collected and ordered by the number of the part.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
    traffic : Traffic, optional
        Counts the bytes of the passes.

    Notes
    -----
    The frame is cached until ``release``, or until the object is no longer referred to. A partition that was lost is
    made again: what a data frame holds must not change from one evaluation to the next, or it has to be checkpointed
    first.
    """

    def __init__(self, frame: Any, traffic: Traffic | None = None) -> None:
        self.frame = frame.persist()
        self.traffic = traffic
        self._cached = weakref.finalize(self, _release, self.frame)
        self._cached.atexit = False
        self._all: weakref.WeakSet[SparkParts[Any]] = weakref.WeakSet([self])

    def then(self, function: Callable[[D], E]) -> SparkParts[E]:
        frame = self.frame.mapInArrow(_Step(_parcel(function)), _SCHEMA)
        made: SparkParts[E] = SparkParts(frame, self.traffic)
        self._all.add(made)
        made._all = self._all
        return made

    def release(self) -> None:
        """Let Spark forget these parts, and all that was made of them."""
        for parts in list(self._all):
            parts._cached()

    def map(self, function: Callable[[D], R]) -> Iterator[R]:
        parcel = _parcel(function)
        if self.traffic is not None:
            self.traffic.begin(len(parcel))
        rows = self.frame.mapInArrow(_Step(parcel), _SCHEMA).collect()
        pieces: dict[int, list[tuple[int, bytes]]] = {}
        for row in rows:
            pieces.setdefault(row.part, []).append((row.piece, bytes(row.data)))
        del rows
        for part in sorted(pieces):
            data = b"".join(piece for _, piece in sorted(pieces.pop(part)))
            if self.traffic is not None:
                self.traffic.receive(len(data))
            yield opened(data)


def _release(frame: Any) -> None:
    try:
        frame.unpersist()
    except Exception:  # the session has ended, and the cache with it
        return


def _parcel(function: Any) -> bytes:
    from pyspark import cloudpickle

    parcel: bytes = cloudpickle.dumps(function)
    return parcel


# -- in the partitions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Step:
    """Makes of the parts of a partition what the function in the parcel makes of them."""

    parcel: bytes

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        function = unpacked(self.parcel)
        for number, data in _joined(batches):
            yield from _cut(number, sealed(after(pickle.loads(data), function)))


def _joined(batches: Iterable[Any]) -> Iterator[tuple[int, bytes]]:
    """Number and pickle of each part; its pieces come in order."""
    number = -1
    pieces: list[bytes] = []
    for batch in batches:
        columns = (column.to_pylist() for column in batch.columns)
        for part, piece, data in zip(*columns, strict=True):
            if piece == 0 and pieces:
                yield number, b"".join(pieces)
                pieces = []
            number = part
            pieces.append(data)
    if pieces:
        yield number, b"".join(pieces)


def _cut(number: int, data: bytes) -> Iterator[Any]:
    import pyarrow

    schema = pyarrow.schema(
        [("part", pyarrow.int32()), ("piece", pyarrow.int32()), ("data", pyarrow.binary())]
    )
    for piece, begin in enumerate(range(0, len(data), _PIECE)):
        row = [[number], [piece], [data[begin : begin + _PIECE]]]
        yield pyarrow.RecordBatch.from_arrays(
            [pyarrow.array(column, field.type) for column, field in zip(row, schema, strict=True)],
            schema=schema,
        )


@dataclass(frozen=True, slots=True)
class _Packed:
    """The rows of a partition as one part; of none, nothing."""

    roles: Roles

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        import pyarrow
        from pyspark import TaskContext

        held = [batch for batch in batches if batch.num_rows]
        if held:
            number = TaskContext.get().partitionId()
            table = pyarrow.Table.from_batches(held)
            yield from _cut(number, sealed(attempt(self.roles.part, table, number)))


# -- the border ----------------------------------------------------------------------------------


def parts_of(data: Any, roles: dict[str, Any], traffic: Traffic | None) -> SparkParts[Part]:
    """The partitions of a Spark data frame, each as one part."""
    chosen = Roles(**roles).resolved(data.columns)
    data = data.select(*chosen.needed())
    if chosen.order_by is not None:
        data = data.repartition(chosen.groups).sortWithinPartitions(chosen.groups, chosen.order_by)
    parts: SparkParts[Part] = SparkParts(data.mapInArrow(_Packed(chosen), _SCHEMA), traffic)
    if chosen.groups is not None and chosen.order_by is None:
        check_whole(parts, "with order_by the data frame is partitioned by groups")
    return parts
