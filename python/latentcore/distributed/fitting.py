"""The one call: an estimator, and data on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, get_args

import numpy as np

from latentcore import engine
from latentcore.distributed import dask as dask_engine
from latentcore.distributed import spark as spark_engine
from latentcore.distributed.parcels import Traffic
from latentcore.distributed.tables import size_of
from latentcore.estimators.checks import one_of
from latentcore.estimators.combining import Align, combine
from latentcore.parts import Part, named
from latentcore.threads import threads

__all__ = ["Method", "fit"]

Method = Literal["exact", "combine"]


class Fittable(Protocol):
    """An estimator of this package."""

    def fit(self, X: Any) -> Any:
        """Learn."""


M = TypeVar("M", bound=Fittable)


def fit(
    estimator: M,
    data: Any,
    *,
    client: Any = None,
    method: Method = "exact",
    columns: Sequence[str] | None = None,
    sample_weight: Any = None,
    labels: Any = None,
    lengths: Any = None,
    groups: Any = None,
    order_by: str | None = None,
    align: Align = "auto",
    callback: Callable[[engine.Progress], None] | None = None,
    traffic: Traffic | None = None,
) -> M:
    """Fit to data on the workers of a Dask cluster, or in the partitions of a Spark data frame.

    Parameters
    ----------
    estimator : estimator
        A mixture or a hidden Markov model; it is fitted in place, as by its own ``fit``.
    data : Dask array (N, D), data frame or bag, list of delayed objects or futures; or Spark data frame
        The rows. A chunk or partition is a part, fitted by one thread of the worker that has it. Those without rows
        are left out. Delayed objects and futures are matrices, data frames or ``latentcore.parts.Part``.
    client : distributed.Client or str, optional
        Of the Dask cluster: a client, or the address of the scheduler. None: the current client.
    method : "exact" or "combine"
        "exact": the fit of one machine, by sums of the parts' statistics in each iteration. "combine": each part is
        fitted by itself, and the models are merged by ``latentcore.combine``, weighted by their rows; nothing but
        models travels, once.
    columns : list of str, optional
        Of a data frame: the visible columns. None: all that are nothing else.
    sample_weight, labels, groups : optional
        As in ``fit`` of the estimator: beside a data frame the names of columns, beside a Dask array one-dimensional
        arrays. A label that is missing in a data frame is unknown. ``groups`` tells sequences of a hidden Markov model
        apart.
    lengths : list of int, optional
        Beside a Dask array: lengths of the sequences, which end where chunks end.
    order_by : str, optional
        Beside a data frame: the column by which the rows of a group are ordered. The data are then shuffled, so that
        each group comes whole into one partition. Without it, partitions have to hold whole groups in order.
    align : {"auto", "unweighted", "none"}
        How ``method="combine"`` matches components; see ``latentcore.combine``.
    callback : callable, optional
        Gets an ``engine.Progress`` after each iteration of an exact fit.
    traffic : Traffic, optional
        Counts the bytes of each pass over the data.

    Returns
    -------
    estimator
        The one that was given. After ``method="combine"``, ``alignment_``, a ``latentcore.Alignment``, tells how
        components were matched.

    Raises
    ------
    TypeError, ValueError
        An argument is wrong; and what ``fit`` of the estimator raises.

    Notes
    -----
    An exact fit has the same result, bit for bit, for the same parts, however many workers there are and whether or
    not some are lost on the way: sums have a fixed order. In "combine" the parts' seeds are ``random_state`` plus the
    number of the part.

    The idea is that of Chu et al. (2006, Map-reduce for machine learning on multicore); combining is that of Amid &
    Warmuth (2020).
    """
    if not callable(getattr(estimator, "fit", None)):
        raise TypeError(f"estimator: expected an estimator, got {type(estimator).__name__}")
    one_of("method", method, get_args(Method))
    roles = {
        "columns": columns,
        "sample_weight": sample_weight,
        "labels": labels,
        "groups": groups,
        "order_by": order_by,
    }
    engine_of_data = _engine(data)
    if engine_of_data == "spark":
        for name, value in (("client", client), ("lengths", lengths)):
            if value is not None:
                raise ValueError(
                    f"{name}: expected None beside a Spark data frame, got {type(value).__name__}"
                )
    with dask_engine.active_client(client) if engine_of_data == "dask" else nullcontext() as found:
        parts: Any = (
            dask_engine.parts_of(found, data, roles, lengths, traffic)
            if engine_of_data == "dask"
            else spark_engine.parts_of(data, roles, traffic)
        )
        try:
            if method == "combine":
                _combine(estimator, parts, align)
            else:
                fitting: Any = estimator.fit
                fitting(parts, **({} if callback is None else {"callback": callback}))
        finally:  # a traceback may hold the parts for long
            parts.release()
    return estimator


def _engine(data: Any) -> Literal["dask", "spark"]:
    """Which engine has the data."""
    first = data[0] if isinstance(data, list | tuple) and data else data
    package = type(first).__module__.partition(".")[0]
    if package in ("dask", "distributed"):
        return "dask"
    if package == "pyspark":
        return "spark"
    raise TypeError(
        "data: expected a Dask array, data frame or bag, a list of delayed objects or futures, or a Spark "
        f"data frame, got {type(data).__name__}"
        + (f" of {type(first).__name__}" if first is not data else "")
    )


# -- models of the parts, merged -----------------------------------------------------------------


def _combine(estimator: Any, parts: Any, align: Any) -> None:
    arguments = estimator.get_params()
    seed = arguments["random_state"]
    if isinstance(seed, np.random.RandomState | np.random.Generator):
        seed = int(seed.random() * 2**31)
    of_part = _FitOfPart(type(estimator), {**arguments, "random_state": seed})
    models = [model for model in named(parts.map(of_part)) if model is not None]
    if not models:
        raise ValueError("data: expected at least one row, got none")
    model, alignment = combine(models, align=align)
    learned = {name: value for name, value in vars(model).items() if name not in arguments}
    estimator.__dict__ = {**arguments, **learned, "alignment_": alignment}


@dataclass(frozen=True, slots=True)
class _FitOfPart:
    """A new estimator of the same arguments, fitted to the part; None of no rows."""

    kind: type
    arguments: dict[str, Any]

    def __call__(self, part: Part) -> Any:
        if size_of(part) == 0:
            return None
        seed = self.arguments["random_state"]
        if seed is not None:
            seed = (int(seed) + part.number) % 2**32
        model = self.kind(**{**self.arguments, "random_state": seed})
        alongside = {
            name: getattr(part, name)
            for name in ("sample_weight", "labels", "lengths", "groups")
            if getattr(part, name) is not None
        }
        with threads(1):
            return model.fit(part.X, **alongside)
