"""Parts on the workers of a dask.distributed cluster."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from latentcore.distributed.parcels import Outcome, Traffic, after, attempt, opened, sealed
from latentcore.distributed.tables import Roles, check_whole, distinct_groups
from latentcore.parts import Part

__all__ = ["DaskParts", "active_client", "parts_of"]

D = TypeVar("D")
E = TypeVar("E")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class DaskParts(Generic[D]):
    """Parts that are futures: they stay in the memory of the workers.

    A function travels as one object that the workers hand on; its results come back as they are finished and are
    given in order. What a lost worker had, Dask computes again, if it still knows from what.

    Parameters
    ----------
    client : distributed.Client
    futures : sequence of distributed.Future
    traffic : Traffic, optional
        Counts the bytes of the passes.
    """

    client: Any
    futures: Sequence[Any]
    traffic: Traffic | None = None

    def __len__(self) -> int:
        return len(self.futures)

    def then(self, function: Callable[[D], E]) -> DaskParts[E]:
        return DaskParts(self.client, self._submit(_kept, _parcel(function)), self.traffic)

    def map(self, function: Callable[[D], R]) -> Iterator[R]:
        from distributed import as_completed

        parcel = _parcel(function)
        if self.traffic is not None:
            self.traffic.begin(len(parcel))
        tasks = self._submit(_sent_back, parcel)
        numbers = {task.key: number for number, task in enumerate(tasks)}
        waiting: dict[int, bytes] = {}
        following = 0
        # without its loop, results would be fetched in that of whichever client is the default
        for task, result in as_completed(tasks, loop=self.client.loop, with_results=True):
            if not isinstance(result, bytes):
                raise RuntimeError(
                    f"part {numbers[task.key]}: expected data that Dask can make again, got some that were lost "
                    "with their worker or scheduler; scattered futures cannot be made again"
                ) from (result if isinstance(result, BaseException) else None)
            if self.traffic is not None:
                self.traffic.receive(len(result))
            number = numbers[task.key]
            tasks[number] = task = None  # the workers may forget it
            waiting[number] = result
            while following in waiting:
                yield opened(waiting.pop(following))
                following += 1

    def _submit(self, task: Callable[..., Any], parcel: bytes) -> list[Any]:
        """A task for each part, on a worker that holds it.

        The parcel is a task of its own, so that a lost copy can be made again.
        """
        import dask

        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            shared = self.client.submit(_same, parcel, pure=False)
        holders = self.client.who_has(self.futures)
        at: dict[tuple[str, ...], list[int]] = {}
        for number, future in enumerate(self.futures):
            at.setdefault(tuple(sorted(holders.get(future.key, ()))), []).append(number)
        tasks: list[Any] = [None] * len(self.futures)
        for workers, numbers in at.items():
            parts = [self.futures[number] for number in numbers]
            made = self.client.map(
                task, parts, parcel=shared, pure=False,
                workers=list(workers) or None, allow_other_workers=bool(workers),
            )  # fmt: skip
            for number, future in zip(numbers, made, strict=True):
                tasks[number] = future
        return tasks


def _parcel(function: Any) -> bytes:
    import cloudpickle

    parcel: bytes = cloudpickle.dumps(function)
    return parcel


# -- tasks ---------------------------------------------------------------------------------------


def _same(parcel: bytes) -> bytes:
    return parcel


class _Held:
    """A part in the memory of a worker, or the exception that came of it.

    Dask asks for its size before it spills or moves it, and would take an object that it does not know for a small one.
    If it is moved all the same, its arrays stay aligned, which those are not that Dask cuts out of a message.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        buffers: list[pickle.PickleBuffer] = []
        frame = pickle.dumps(outcome, protocol=5, buffer_callback=buffers.append)
        self._size = len(frame) + sum(buffer.raw().nbytes for buffer in buffers)

    def __sizeof__(self) -> int:
        return self._size

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpacked, (pickle.dumps(self.outcome, protocol=5),)


def _unpacked(pickled: bytes) -> _Held:
    return _Held(pickle.loads(pickled))


def _kept(part: _Held, *, parcel: bytes) -> _Held:
    return _Held(after(part.outcome, parcel))


def _sent_back(part: _Held, *, parcel: bytes) -> bytes:
    return sealed(after(part.outcome, parcel))


def _part(*values: Any) -> _Held:
    return _Held((True, Part(*values)))


def _part_of_frame(frame: Any, number: int, roles: Roles) -> _Held:
    return _Held(attempt(roles.part, frame, number))


def _part_of_object(item: Any, number: int, roles: Roles) -> _Held:
    return _Held(attempt(_as_part, item, number, roles))


def _as_part(item: Any, number: int, roles: Roles) -> Part:
    if isinstance(item, Part):
        return replace(item, number=number)
    if roles == Roles():
        return Part(item, number=number)
    names = getattr(item, "columns", None)
    if names is None:
        raise TypeError(
            f"columns: expected None beside parts without named columns, got {type(item).__name__}"
        )
    return roles.resolved(list(names)).part(item, number)


# -- the border ----------------------------------------------------------------------------------


@contextmanager
def active_client(client: Any) -> Iterator[Any]:
    """The client that is given, of the address that is given, or the current one: in the block it is the current one.

    Raises
    ------
    TypeError, ValueError
        It is none, or there is none.
    """
    from distributed import Client, get_client

    if isinstance(client, str):
        with Client(client, set_as_default=False) as connected, connected.as_current():
            yield connected
        return
    if client is None:
        try:
            client = get_client()
        except ValueError:
            raise ValueError(
                "client: expected a distributed.Client, the address of a scheduler, or a client that is "
                "current, got None and there is none"
            ) from None
    if not isinstance(client, Client):
        raise TypeError(
            "client: expected a distributed.Client or the address of a scheduler, "
            f"got {type(client).__name__}"
        )
    if client.asynchronous:
        raise TypeError("client: expected one that is not asynchronous, got an asynchronous one")
    with client.as_current():
        yield client


def parts_of(
    client: Any, data: Any, roles: dict[str, Any], lengths: Any, traffic: Traffic | None
) -> DaskParts[Part]:
    """The parts of a Dask array, data frame or bag, or of a list of delayed objects or futures, on the workers.

    ``roles`` has the fields of ``Roles``; beside an array they are arrays.
    """
    import dask.array

    if isinstance(data, dask.array.Array):
        delayed, whole = _of_array(data, roles, lengths), lengths is not None
    elif lengths is not None:
        raise ValueError(f"lengths: expected None beside {type(data).__name__}, got a value")
    elif hasattr(data, "map_partitions") and hasattr(data, "columns"):
        delayed, whole = _of_frame(data, Roles(**roles)), roles["order_by"] is not None
    else:
        delayed, whole = _of_objects(data, Roles(**roles)), False
    parts: DaskParts[Part] = DaskParts(client, client.compute(delayed), traffic)
    if roles["groups"] is not None and not whole:
        remedy = "with order_by a data frame is shuffled by groups"
        check_whole(parts.map(distinct_groups), remedy)
    return parts


def _of_array(x: Any, roles: dict[str, Any], lengths: Any) -> list[Any]:
    import dask

    if x.ndim != 2:
        raise ValueError(f"data: expected a 2-D array, got {x.ndim}-D, shape {x.shape}")
    for name in ("columns", "order_by"):
        if roles[name] is not None:
            raise ValueError(f"{name}: expected None beside a Dask array, got {roles[name]!r}")
    if x.numblocks[1] > 1:
        x = x.rechunk({1: -1})
    blocks = x.to_delayed().ravel()
    pieces = _lengths_of_chunks(lengths, x.chunks[0])
    weights = roles["sample_weight"]
    if lengths is not None and np.shape(weights) == np.shape(lengths):  # of the sequences
        ends = np.cumsum([len(piece) for piece in pieces])[:-1]
        of_rows: list[Any] = list(np.split(np.asarray(weights), ends))
    else:
        of_rows = _alongside("sample_weight", weights, x)
    return [
        dask.delayed(_part)(*values)
        for values in zip(
            blocks,
            of_rows,
            _alongside("labels", roles["labels"], x),
            pieces,
            _alongside("groups", roles["groups"], x),
            range(len(blocks)),
            strict=True,
        )
    ]


def _alongside(name: str, values: Any, x: Any) -> list[Any]:
    """What belongs to the rows of each chunk of ``x``."""
    import dask.array

    if values is None:
        return [None] * x.numblocks[0]
    chunks = x.chunks[0]
    known = not np.isnan(chunks).any()
    if not isinstance(values, dask.array.Array):
        if isinstance(values, str) or not known:
            raise TypeError(
                f"{name}: expected a Dask array beside a Dask array"
                f"{'' if known else ' of unknown chunk sizes'}, got {type(values).__name__}"
            )
        values = dask.array.from_array(np.asarray(values), chunks=-1)
    if values.ndim != 1:
        raise ValueError(f"{name}: expected a 1-D array, got {values.ndim}-D")
    if known and not np.isnan(values.chunks[0]).any():
        if len(values) != len(x):
            raise ValueError(f"{name}: expected shape ({len(x)},), got {values.shape}")
        values = values.rechunk((chunks,))
    elif values.numblocks[0] != x.numblocks[0]:
        raise ValueError(
            f"{name}: expected {x.numblocks[0]} chunks as the data have, got {values.numblocks[0]}"
        )
    pieces: list[Any] = values.to_delayed().ravel().tolist()
    return pieces


def _lengths_of_chunks(lengths: Any, chunks: Sequence[float]) -> list[Any]:
    """The lengths of the sequences in each chunk; they have to end where chunks end."""
    if lengths is None:
        return [None] * len(chunks)
    if np.isnan(chunks).any():
        raise ValueError(
            "lengths: expected a Dask array of known chunk sizes, got unknown ones; call its "
            "compute_chunk_sizes() first"
        )
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not (lengths >= 1).all():
        raise ValueError("lengths: expected a list of integers >= 1")
    borders, ends = np.cumsum(chunks), np.cumsum(lengths)
    if not len(ends) or ends[-1] != borders[-1]:
        raise ValueError(f"lengths: expected a sum of {borders[-1]} rows, got {lengths.sum()}")
    last = np.searchsorted(ends, borders)  # the sequence in which each chunk ends
    cut = np.flatnonzero(ends[last] != borders)
    if len(cut):
        border, sequence = borders[cut[0]], last[cut[0]]
        raise ValueError(
            f"lengths: expected sequences that end where chunks end, got sequence {sequence} with rows "
            f"{ends[sequence] - lengths[sequence]} to {ends[sequence] - 1} and a chunk that ends before "
            f"row {border}; rechunk the array"
        )
    return list(np.split(lengths, last[:-1] + 1))


def _of_frame(data: Any, roles: Roles) -> list[Any]:
    import dask

    roles = roles.resolved(list(data.columns))
    data = data[roles.needed()]
    if roles.order_by is not None:
        by = [roles.groups, roles.order_by]
        data = data.shuffle(on=[roles.groups]).map_partitions(_sorted, by, meta=data._meta)
    return [
        dask.delayed(_part_of_frame)(partition, number, roles)
        for number, partition in enumerate(data.to_delayed())
    ]


def _sorted(frame: Any, by: list[str]) -> Any:
    return frame.sort_values(by, kind="stable")


def _of_objects(data: Any, roles: Roles) -> list[Any]:
    import dask
    from dask.delayed import Delayed
    from distributed import Future

    if roles.order_by is not None:
        raise ValueError(f"order_by: expected None beside {type(data).__name__}")
    if hasattr(data, "to_delayed"):  # a bag
        data = data.to_delayed()
    wrong = [item for item in data if not isinstance(item, Delayed | Future)]
    if wrong:
        raise TypeError(
            f"data: expected delayed objects or futures, got {type(wrong[0]).__name__} among them"
        )
    return [dask.delayed(_part_of_object)(item, number, roles) for number, item in enumerate(data)]
