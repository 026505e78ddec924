"""Workers that come and go, fits that are given up, and fits beside each other: nothing is lost and nothing stays."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

from clusters.tools import (
    N_PARTS,
    NO_ROLES,
    ROWS,
    VISIBLE,
    assert_identical,
    case,
    last,
    parts_in,
    table,
    wait_until,
    wait_until_forgotten,
)
from latentcore import GaussianMixture
from latentcore.distributed import DaskParts, fit
from latentcore.distributed import dask as dask_engine
from latentcore.distributed.dask import _Share, _shares
from latentcore.parts import Part

pytestmark = pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning")

FRAME = table()
X = FRAME[VISIBLE].to_numpy()
LAST = X[ROWS - 1 :: ROWS, 0].tolist()
EM = case("EM")


@cache
def expected() -> Any:
    return EM.in_local_parts(FRAME)


def array() -> Any:
    return da.from_array(X, chunks=(ROWS, -1))


# -- workers that come and go --------------------------------------------------------------------


@pytest.fixture
def small() -> Iterator[Any]:
    """A cluster of two workers in this process, and a client that is not the default one."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, dashboard_address=":0",
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        yield client


def test_workers_that_are_retired_and_that_join_change_nothing(small: Any) -> None:
    def scale(progress: Any) -> None:
        n_workers = {1: 1, 3: 3}.get(progress.iteration)
        if n_workers is not None:
            small.cluster.scale(n_workers)
            wait_until(lambda: len(small.nthreads()) == n_workers)

    assert_identical(fit(EM.make(), array(), client=small, callback=scale), expected())


def test_share_of_a_worker_that_is_gone_is_done_by_another(client: Any) -> None:
    parts = parts_in(client, X, ROWS)
    gone = _Share("tcp://127.0.0.1:1", list(range(N_PARTS)))
    parts._shares = [gone]
    assert list(parts.map(last)) == LAST
    assert gone not in parts._shared_out()


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_each_part_is_in_one_share_of_a_worker_that_has_it(n_threads: int) -> None:
    holders = {k: ["a"] if k < 3 else ["a", "b"] for k in range(9)}
    shares = _shares(holders, {"a": n_threads, "b": n_threads, "c": 1}, range(10))
    assert sorted(number for share in shares for number in share.numbers) == list(range(10))
    assert _Share(None, [9]) in shares
    of = {a: [s.numbers for s in shares if s.address == a] for a in ("a", "b", "c")}
    assert not of["c"]
    assert {0, 1, 2} <= set(np.concatenate(of["a"]))
    for address, n_parts in (("a", 5), ("b", 4)):
        assert len(of[address]) == min(n_threads, n_parts)
        assert sum(map(len, of[address])) == n_parts


@pytest.mark.parametrize("name", ["_RESULTS", "_SHORT", "_PIECE"])
def test_cutting_what_travels_changes_nothing(
    name: str, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_engine, "_SHORT", 0)
    monkeypatch.setattr(dask_engine, name, 4096 if name == "_PIECE" else 0)
    assert_identical(fit(EM.make(), array(), client=client), expected())


def test_parameters_of_many_megabytes_are_sent_without_a_warning(client: Any) -> None:
    long = np.arange(2e6)
    parts = parts_in(client, X, ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = list(parts.then(lambda part: part.number + long[-1]).map(lambda x: x + long[1]))
    assert found == [2e6 + number for number in range(N_PARTS)]


def test_first_part_that_could_not_be_made_is_told_first(client: Any) -> None:
    def made(number: int) -> Any:
        if number in (2, 3):
            raise ArithmeticError(f"of part {number}")
        return X[number : number + 1]

    data = [dask.delayed(made)(number) for number in range(5)]
    parts = dask_engine.parts_of(client, data, NO_ROLES, None, None)
    for failing in (parts.map(last), parts.then(last).map(float)):
        assert [next(failing) for _ in range(2)] == X[:2, 0].tolist()
        with pytest.raises(ArithmeticError, match="of part 2"):
            next(failing)


# -- fits that are given up ----------------------------------------------------------------------


@pytest.mark.parametrize("category", [ZeroDivisionError, KeyboardInterrupt])
def test_nothing_stays_after_an_exception_though_its_traceback_does(
    category: type[BaseException], client: Any
) -> None:
    def stop(progress: Any) -> None:
        if progress.iteration == 2:
            raise category

    model = EM.make()
    with pytest.raises(category) as raised:
        fit(model, array(), client=client, callback=stop)
    wait_until_forgotten(client)
    assert raised.tb is not None
    assert hasattr(model, "means_") == (category is KeyboardInterrupt)


def test_nothing_stays_after_data_that_are_refused(client: Any) -> None:
    groups = np.repeat(np.arange(20), len(X) // 20)
    with pytest.raises(ValueError, match="groups: expected all rows of a group in one") as raised:
        fit(case("HMM").make(), da.from_array(X, chunks=(150, -1)), client=client, groups=groups)
    wait_until_forgotten(client)
    assert raised.tb is not None


def test_interrupt_in_the_middle_of_a_pass_gives_it_up(client: Any, tmp_path: Any) -> None:
    begun, ended = str(tmp_path / "begun"), str(tmp_path / "ended")

    def works_on(part: Part) -> None:
        open(begun, "w").close()
        while not os.path.exists(ended):
            pass

    def interrupt() -> None:
        wait_until(lambda: os.path.exists(begun))
        os.kill(os.getpid(), signal.SIGINT)

    parts = parts_in(client, X, ROWS)
    assert list(parts.map(last)) == LAST
    with ThreadPoolExecutor(1) as threads:
        interrupted = threads.submit(interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                list(parts.map(works_on))
        finally:
            open(ended, "w").close()
        interrupted.result()
    assert list(parts.map(last)) == LAST
    del parts
    wait_until_forgotten(client)


def test_results_that_nobody_takes_do_not_stay(client: Any) -> None:
    parts = parts_in(client, X, ROWS)
    results = parts.map(last)
    assert next(results) == LAST[0]
    del results
    of_parts = {future.key for future in parts.futures}
    wait_until(lambda: set().union(*client.has_what().values()) <= of_parts)


# -- fits beside each other ----------------------------------------------------------------------


def test_fits_at_the_same_time_by_one_client_do_not_mix(small: Any) -> None:
    before = dask.config.get("scheduler", None)
    cases = [EM, case("MAP-EM"), case("hard EM"), EM]
    start = threading.Barrier(len(cases))

    def fitted(number: int) -> Any:
        start.wait()
        return fit(cases[number].make(), array(), client=small)

    with ThreadPoolExecutor(len(cases)) as threads:
        for of, model in zip(cases, threads.map(fitted, range(len(cases))), strict=True):
            assert_identical(model, of.in_local_parts(FRAME))
    assert dask.config.get("scheduler", None) == before


@pytest.mark.parametrize("by", ["none", "object", "address"])
def test_fits_in_tasks_on_all_threads_of_the_workers_come_to_an_end(by: str, client: Any) -> None:
    x, rows = X, ROWS

    def of_task(seed: int) -> tuple[Any, list[float]]:
        import warnings

        from distributed import get_client

        warnings.simplefilter("ignore")
        given = {"none": None, "object": get_client(), "address": get_client().scheduler.address}
        model = GaussianMixture(3, max_iter=4, tol=0, random_state=0)
        fit(model, da.from_array(x, chunks=(rows, -1)), client=given[by])
        return model.means_, model.lower_bounds_

    for means, bounds in client.gather(client.map(of_task, range(3), pure=False)):
        np.testing.assert_array_equal(means, expected().means_)
        np.testing.assert_array_equal(bounds, expected().lower_bounds_)


def test_no_parts_give_no_results(client: Any) -> None:
    parts: DaskParts[Part] = DaskParts(client, [])
    assert list(parts.then(last).map(float)) == []


def test_parts_given_as_futures_stay_when_those_made_of_them_are_released(client: Any) -> None:
    given = client.map(lambda n: dask_engine._part(np.full((1, 1), n)), range(2), pure=False)
    parts: DaskParts[Part] = DaskParts(client, given)
    assert list(parts.then(last).map(float)) == [0, 1]
    parts.release()
    assert list(parts.map(last)) == [0, 1]
