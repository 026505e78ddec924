"""Fits that have to be the same wherever the data lie."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from dask import array

from latentcore import (
    BayesianGaussianMixture,
    GaussianHMM,
    GaussianMixture,
    PoissonMixture,
    VariationalGaussianHMM,
    combine,
)
from latentcore.distributed import DaskParts, Traffic, fit
from latentcore.distributed.dask import parts_of
from latentcore.estimators.combining import Combined
from latentcore.parts import LocalParts, Part

N_PARTS = 4
ROWS = 500
"""Of each part."""
SEQUENCES = 5
"""Of each part; they have 100 rows."""
VISIBLE = ["x0", "x1", "x2"]
MISSING = ["m0", "m1", "m2"]
"""The same with holes."""

NO_ROLES = dict.fromkeys(["columns", "sample_weight", "labels", "groups", "order_by"])


def table(n_parts: int = N_PARTS, rows: int = ROWS) -> pd.DataFrame:
    """Rows of three clusters, one after the other for a while, and all that may be said about them."""
    random = np.random.default_rng(3)
    n = n_parts * rows
    component = np.repeat(random.integers(0, 3, n // 10), 10)
    centers = np.array([[0.0, 0.0, 0.0], [3.0, 1.0, -1.0], [-1.0, 4.0, 2.0]])
    x = centers[component] + random.normal(size=(n, 3))
    frame = pd.DataFrame(x, columns=VISIBLE)
    holes = np.where(random.random((n, 3)) < 0.1, np.nan, x)
    frame[MISSING] = holes
    frame["count"] = random.poisson(2.0 + 5.0 * component)
    frame["weight"] = random.integers(0, 4, n).astype(float)
    frame["label"] = np.where(random.random(n) < 0.2, component, -1)
    frame["sequence"] = [f"s{row // 100:03d}" for row in range(n)]
    frame["time"] = np.arange(n) % 100
    return frame


def wait_until(condition: Callable[[], bool]) -> None:
    """Until the time limit of the test ends it."""
    while not condition():
        time.sleep(0.01)


def wait_until_forgotten(client: Any) -> None:
    """Until the workers of a Dask cluster hold nothing."""
    gc.collect()  # what earlier tests held
    wait_until(lambda: not any(client.has_what().values()))


def parts_in(client: Any, x: Any, rows: int) -> DaskParts[Part]:
    """An array in chunks on a Dask cluster."""
    return parts_of(client, array.from_array(x, chunks=(rows, -1)), NO_ROLES, None, None)


def last(part: Part) -> float:
    """Of the first column; here, where workers can import it: they know no module of tests by its own name."""
    return float(part.X[-1, 0])


@dataclass(frozen=True)
class Case:
    """An estimator, and which columns it is fitted to as what."""

    name: str
    make: Callable[[], Any]
    columns: list[str]
    roles: dict[str, Any]

    def on_one_machine(self, frame: pd.DataFrame) -> Any:
        return self.make().fit(frame[self.columns], **self.arrays(frame))

    def in_local_parts(self, frame: pd.DataFrame, n_parts: int = N_PARTS) -> Any:
        """The same parts that the cluster has, in this process."""

        def parts() -> Iterator[Part]:
            for number, rows in enumerate(np.split(np.arange(len(frame)), n_parts)):
                part = frame.iloc[rows]
                yield Part(part[self.columns], **self.arrays(part), number=number)

        return self.make().fit(LocalParts(parts))

    def arrays(self, frame: pd.DataFrame) -> dict[str, npt.NDArray[Any]]:
        return {argument: frame[name].to_numpy() for argument, name in self.roles.items()}


def _gaussian(**arguments: Any) -> Callable[[], Any]:
    return lambda: GaussianMixture(3, max_iter=4, tol=0, random_state=0, **arguments)


CASES = [
    Case("EM", _gaussian(), VISIBLE, {}),
    Case("MAP-EM", _gaussian(prior="weak"), VISIBLE, {}),
    Case("hard EM", _gaussian(assignment="hard"), VISIBLE, {}),
    Case("labels", _gaussian(), VISIBLE, {"labels": "label"}),
    Case("weights", _gaussian(covariance_type="diag"), VISIBLE, {"sample_weight": "weight"}),
    Case("missing", _gaussian(), MISSING, {}),
    Case(
        "MAP-EM, labels, weights and missing",
        _gaussian(prior="weak"),
        MISSING,
        {"sample_weight": "weight", "labels": "label"},
    ),
    Case("counts", lambda: PoissonMixture(3, max_iter=4, tol=0, random_state=0), ["count"], {}),
    Case(
        "CAVI",
        lambda: BayesianGaussianMixture(4, max_iter=4, tol=0, random_state=0),
        VISIBLE,
        {},
    ),
    Case(
        "HMM",
        lambda: GaussianHMM(3, max_iter=4, tol=0, random_state=0),
        VISIBLE,
        {"groups": "sequence"},
    ),
    Case(
        "Bayesian HMM",
        lambda: VariationalGaussianHMM(3, max_iter=4, tol=0, random_state=0),
        VISIBLE,
        {"groups": "sequence"},
    ),
]  # fmt: skip


def case(name: str) -> Case:
    return next(each for each in CASES if each.name == name)


def combined_by_hand(frame: pd.DataFrame, n_parts: int) -> Combined[GaussianMixture]:
    """A model of each part, with its own seed; weighted by rows."""
    parts = [frame.iloc[rows] for rows in np.split(np.arange(len(frame)), n_parts)]
    models = [
        separated(seed).fit(part[VISIBLE], sample_weight=part["weight"].to_numpy())
        for seed, part in enumerate(parts, start=5)
    ]
    return combine(models, [part["weight"].sum() for part in parts])


def separated(seed: int) -> GaussianMixture:
    return GaussianMixture(3, covariance_type="diag", random_state=seed)


def learned(model: Any) -> dict[str, npt.NDArray[np.float64]]:
    """All numbers that were learned, by attribute."""
    found = {}
    for name, value in vars(model).items():
        if name.endswith("_") and isinstance(value, int | float | list | np.ndarray):
            values = np.asarray(value)
            if values.dtype.kind in "biuf":
                found[name] = values.astype(np.float64)
    assert len(found) >= 5
    return found


def assert_close(model: Any, expected: Any) -> None:
    """To 1e-10 of the largest number of each attribute: sums of the same terms in another order."""
    ours, theirs = learned(model), learned(expected)
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        scale = np.abs(values).max(initial=1.0)
        np.testing.assert_allclose(ours[name], values, rtol=1e-10, atol=1e-10 * scale, err_msg=name)


def assert_identical(model: Any, expected: Any) -> None:
    ours, theirs = learned(model), learned(expected)
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)


def assert_fit_is_that_of_one_machine(
    of: Case, data: Any, frame: pd.DataFrame, n_parts: int = N_PARTS
) -> None:
    """And that of equal parts bit for bit. ``data`` is ``frame`` in parts."""
    model = fit(of.make(), data, columns=of.columns, **of.roles)
    assert list(model.feature_names_in_) == of.columns
    assert_close(model, of.on_one_machine(frame))
    assert_identical(model, of.in_local_parts(frame, n_parts))


def combined_in_one_pass(
    data: Any, frame: pd.DataFrame, n_parts: int
) -> tuple[GaussianMixture, Traffic]:
    """The models of the parts combined, as it has to be; and what that sent. ``data`` is ``frame`` in parts."""
    traffic = Traffic()
    model: Any = fit(
        separated(5), data, method="combine", columns=VISIBLE, sample_weight="weight",
        traffic=traffic,
    )  # fmt: skip
    expected = combined_by_hand(frame, n_parts)
    assert_identical(model, expected.model)
    np.testing.assert_array_equal(model.alignment_.permutations, expected.alignment.permutations)
    np.testing.assert_array_equal(model.alignment_.divergences, expected.alignment.divergences)
    assert len(traffic.sent) == 1
    return model, traffic


def assert_refused_as_before(
    model: Any, data: Any, arguments: dict[str, Any], category: type[Exception], message: str
) -> None:
    """The argument is named, and the estimator is as before."""
    before = dict(vars(model))
    with pytest.raises(category, match=message):
        fit(model, data, **arguments)
    assert vars(model) == before
