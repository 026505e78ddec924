"""Parts on the workers of a dask.distributed cluster."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from weakref import WeakSet

import numpy as np

from latentcore.distributed.parcels import (
    Outcome,
    Traffic,
    after,
    attempt,
    opened,
    sealed,
    unpacked,
)
from latentcore.distributed.tables import Roles, check_whole
from latentcore.parts import Part, Parts

__all__ = ["DaskParts", "active_client", "parts_of"]

D = TypeVar("D")
E = TypeVar("E")
R = TypeVar("R")

_Results = dict[int, bytes | Exception]
"""Sealed outcomes, or why there are none, by number of the part."""
_SHORT = 1 << 16
"""Bytes of a parcel that travels in the tasks."""
_PIECE = 1 << 22
"""Bytes of a piece of a longer one: Dask warns of tasks that hold more than 10 MB."""
_RESULTS = 1 << 22
"""Bytes of the results of a task, if they are as long as the parcel: there are as many here as threads there."""
_making = threading.Lock()
"""Who makes a client the current one changes a setting of all threads for that time."""


@dataclass(slots=True, eq=False)
class DaskParts(Parts[D]):
    """Parts that are futures: they stay in the memory of the workers.

    A pass is one task for each thread of the workers, which goes over its share of the parts there, so that what Dask
    does for a task is done once for many parts. Results are given in the order of the parts. What a lost worker had,
    Dask computes again, if it still knows from what.

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
    _own: WeakSet[Any] = field(default_factory=WeakSet, repr=False)
    _shares: list[_Share] | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.futures)

    def then(self, function: Callable[[D], E]) -> DaskParts[E]:
        parcel = self._parcel(function)
        kept: list[Any] = [None] * len(self)
        for share in self._shared_out():
            parts = [self.futures[number] for number in share.numbers]
            made = self.client.map(_kept, parts, parcel=parcel.pieces, pure=False, **share.place())
            self._own.update(made)
            for number, future in zip(share.numbers, made, strict=True):
                kept[number] = future
        return DaskParts(self.client, kept, self.traffic, self._own)

    def map(self, function: Callable[[D], R]) -> Iterator[R]:
        parcel = self._parcel(function)
        if self.traffic is not None:
            self.traffic.begin(parcel.size)
        shares = self._shared_out()
        most = max(1, _RESULTS // parcel.size)
        tasks = [task for share in shares for task in self._submitted(share, most, parcel)]
        tasks.sort(key=lambda task: task.numbers[0])
        try:
            for results in _in_order(self._gathered(tasks, max(1, len(shares)))):
                yield opened(results)
        finally:  # whoever holds a traceback holds what is local here
            for task in tasks:
                task.future.release()

    def release(self) -> None:
        """Let the workers forget these parts, unless they were given as futures, and all that was made of them."""
        for future in list(self._own):
            future.release()

    def _parcel(self, function: Any) -> _Parcel:
        """A function on its way: in the tasks themselves, or, if it is long, in pieces that the workers hand on.

        Pieces are tasks of their own, so that a lost copy can be made again.
        """
        import cloudpickle

        parcel: bytes = cloudpickle.dumps(function)
        if len(parcel) <= _SHORT:
            return _Parcel(len(parcel), [parcel])
        pieces = [
            self.client.submit(_same, parcel[begin : begin + _PIECE], pure=False)
            for begin in range(0, len(parcel), _PIECE)
        ]
        return _Parcel(len(parcel), pieces)

    def _shared_out(self) -> list[_Share]:
        """Which parts a thread of a worker goes over: some that the worker has.

        The scheduler is asked when it is not known, and after a pass of which a task ran elsewhere, because a worker
        was lost. A part that nobody has, for it could not be made, is a share of its own.
        """
        if self._shares is None:
            from distributed import as_completed

            # without its loop, it would wait in that of whichever client is the default
            for _ in as_completed(self.futures, loop=self.client.loop):
                pass
            self._shares = _shares(
                self.client.who_has(self.futures),
                self.client.nthreads(),
                [future.key for future in self.futures],
            )
        return self._shares

    def _submitted(self, share: _Share, most: int, parcel: _Parcel) -> list[_Task]:
        """Tasks of at most so many parts."""
        runs = [share.numbers[i : i + most] for i in range(0, len(share.numbers), most)]
        futures = self.client.map(
            _sent_back, [[self.futures[number] for number in run] for run in runs],
            parcel=parcel.pieces, pure=False, **share.place(),
        )  # fmt: skip
        self._own.update(futures)
        return [
            _Task(future, run, share.address) for future, run in zip(futures, runs, strict=True)
        ]

    def _gathered(self, tasks: Sequence[_Task], at_once: int) -> Iterator[_Results]:
        """Results by number of the part, of so many tasks at once; see ``_Task.results``."""
        for begin in range(0, len(tasks), at_once):
            some = tasks[begin : begin + at_once]
            found = self.client.gather(
                {number: task.future for number, task in enumerate(some)}, errors="skip"
            )
            results: _Results = {}
            for number, task in enumerate(some):
                address, of_task = task.results(found[number])
                if address != task.address:
                    self._shares = None
                results.update(of_task)
                task.future.release()
            if self.traffic is not None:
                self.traffic.receive(sum(len(r) for r in results.values() if isinstance(r, bytes)))
            yield results


@dataclass(frozen=True, slots=True)
class _Parcel:
    """The size of a pickled function, and the pickle, in pieces: bytes or futures."""

    size: int
    pieces: list[Any]


@dataclass(frozen=True, slots=True)
class _Share:
    """The parts of a thread of the worker that has them; no address: of any worker."""

    address: str | None
    numbers: list[int]

    def place(self) -> dict[str, Any]:
        """Where Dask shall run tasks with these parts; elsewhere if that worker is gone."""
        if self.address is None:
            return {}
        return {"workers": [self.address], "allow_other_workers": True}


def _shares(
    holders: Mapping[Any, Collection[str]], threads: Mapping[str, int], keys: Sequence[Any]
) -> list[_Share]:
    """Parts by threads that go over them, evenly where more than one worker has a part."""
    held: dict[str, list[int]] = {address: [] for address in sorted(threads)}
    shares: list[_Share] = []
    for number, key in enumerate(keys):
        addresses = [address for address in held if address in holders.get(key, ())]
        if addresses:
            of_least = min(addresses, key=lambda address: len(held[address]) / threads[address])
            held[of_least].append(number)
        else:
            shares.append(_Share(None, [number]))
    for address, numbers in held.items():
        n_threads = min(threads[address], len(numbers))
        shares += [_Share(address, numbers[i::n_threads]) for i in range(n_threads)]
    return shares


@dataclass(frozen=True, slots=True)
class _Task:
    """A task, the parts it goes over, and the address of their worker."""

    future: Any
    numbers: list[int]
    address: str | None

    def results(self, found: tuple[str, list[bytes]] | None) -> tuple[str | None, _Results]:
        """Where it ran, and what came of its parts up to the first of which nothing could be made.

        The exception of the task itself stands for what came of its first part.
        """
        from distributed import CancelledError

        first = self.numbers[0]
        try:
            address, results = self.future.result() if found is None else found
        except CancelledError as error:
            lost = RuntimeError(
                f"part {first}: expected data that Dask can make again, got some that were lost "
                "with their worker or scheduler; scattered futures cannot be made again"
            )
            lost.__cause__ = error
            return None, {first: lost}
        except Exception as error:
            return None, {first: error}
        return address, dict(zip(self.numbers, results, strict=False))


def _in_order(found: Iterator[_Results]) -> Iterator[bytes]:
    """Results by number, in turn; raises the exception of the first that has none."""
    waiting: _Results = {}
    following = 0
    for results in found:
        waiting.update(results)
        while following in waiting:
            result = waiting.pop(following)
            if isinstance(result, Exception):
                try:
                    raise result
                finally:
                    del result  # it would hold its traceback, and that this frame
            yield result
            following += 1


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


def _kept(part: _Held, *, parcel: list[bytes]) -> _Held:
    return _Held(after(part.outcome, unpacked(b"".join(parcel))))


def _sent_back(parts: list[_Held], *, parcel: list[bytes]) -> tuple[str, list[bytes]]:
    """The address of this worker, and what the function makes of parts, up to the first that is an exception."""
    from distributed import get_worker

    function = unpacked(b"".join(parcel))
    results = []
    for part in parts:
        outcome = after(part.outcome, function)
        results.append(sealed(outcome))
        if not outcome[0]:
            break
    return get_worker().address, results


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
    """The client that is given, of the address that is given, or the current one.

    A task in which this is called leaves its thread of the worker to other tasks in the block.

    Raises
    ------
    TypeError, ValueError
        It is none, or there is none.
    """
    from distributed import Client, get_client

    with _aside():
        if isinstance(client, str):
            with Client(client, set_as_default=False) as connected:
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
            raise TypeError(
                "client: expected one that is not asynchronous, got an asynchronous one"
            )
        yield client


@contextmanager
def _aside() -> Iterator[None]:
    from distributed import get_worker, worker_client

    try:
        get_worker()
    except ValueError:  # this is no task
        yield
    else:
        with worker_client():
            yield


def parts_of(
    client: Any, data: Any, roles: dict[str, Any], lengths: Any, traffic: Traffic | None
) -> DaskParts[Part]:
    """The parts of a Dask array, data frame or bag, or of a list of delayed objects or futures, on the workers.

    ``roles`` has the fields of ``Roles``; beside an array they are arrays.
    """
    with _making, client.as_current():
        delayed, whole = _delayed(data, roles, lengths)
        futures = client.compute(delayed)
    parts: DaskParts[Part] = DaskParts(client, futures, traffic, WeakSet(futures))
    if roles["groups"] is not None and not whole:
        check_whole(parts, "with order_by a data frame is shuffled by groups")
    return parts


def _delayed(data: Any, roles: dict[str, Any], lengths: Any) -> tuple[list[Any], bool]:
    """What makes the parts, and whether groups are whole in them for sure."""
    import dask.array

    if isinstance(data, dask.array.Array):
        return _of_array(data, roles, lengths), lengths is not None
    if lengths is not None:
        raise ValueError(f"lengths: expected None beside {type(data).__name__}, got a value")
    if hasattr(data, "map_partitions") and hasattr(data, "columns"):
        return _of_frame(data, Roles(**roles)), roles["order_by"] is not None
    return _of_objects(data, Roles(**roles)), False


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
