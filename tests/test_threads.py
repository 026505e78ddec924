"""How many threads a call uses, the ordered map over them, and stopping."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import latentcore
from latentcore import engine
from latentcore.arrays import Rows
from latentcore.families.gaussian import Gaussian
from latentcore.rules.em import EM
from latentcore.structures.mixture import Mixture, MixtureParams
from latentcore.threads import ordered_map


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("LATENTCORE_NUM_THREADS", raising=False)
    latentcore.set_num_threads(None)
    yield
    latentcore.set_num_threads(None)


# -- how many


def test_default_is_the_cores_of_this_process() -> None:
    assert latentcore.get_num_threads() == len(os.sched_getaffinity(0))


def test_the_nearest_setting_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTCORE_NUM_THREADS", "11")
    assert latentcore.get_num_threads() == 11
    latentcore.set_num_threads(12)
    assert latentcore.get_num_threads() == 12
    with latentcore.threads(13):
        assert latentcore.get_num_threads() == 13
        assert latentcore.get_num_threads(14) == 14
        with latentcore.threads(15):
            assert latentcore.get_num_threads() == 15
        with latentcore.threads(None):
            assert latentcore.get_num_threads() == 12
        assert latentcore.get_num_threads() == 13
    assert latentcore.get_num_threads() == 12
    latentcore.set_num_threads(None)
    assert latentcore.get_num_threads() == 11


def test_block_ends_with_an_exception_too() -> None:
    with pytest.raises(KeyError), latentcore.threads(3):
        raise KeyError
    assert latentcore.get_num_threads() != 3 or len(os.sched_getaffinity(0)) == 3


def test_block_is_for_its_own_thread() -> None:
    latentcore.set_num_threads(5)
    with latentcore.threads(3), ThreadPoolExecutor(1) as pool:
        assert pool.submit(latentcore.get_num_threads).result() == 5


@pytest.mark.parametrize("bad", [0, -1, 1.0, True, "2"])
def test_a_number_of_threads_below_one_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="n: expected an integer >= 1 or None, got"):
        latentcore.set_num_threads(bad)
    with pytest.raises(ValueError, match="n: expected an integer >= 1"), latentcore.threads(bad):
        pass
    with pytest.raises(ValueError, match="n_threads: expected an integer >= 1 or None, got"):
        latentcore.get_num_threads(bad)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_wrong_environment_variable_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTCORE_NUM_THREADS", text)
    message = f"LATENTCORE_NUM_THREADS: expected an integer >= 1, got '{text}'"
    with pytest.raises(ValueError, match=message):
        latentcore.get_num_threads()


def test_empty_environment_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTCORE_NUM_THREADS", " ")
    assert latentcore.get_num_threads() == len(os.sched_getaffinity(0))


# -- the ordered map


@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_results_come_in_the_order_of_the_items(n_threads: int) -> None:
    def late_if_even(i: int) -> int:
        time.sleep(0.002 * (i % 2 == 0))
        return i * i

    assert list(ordered_map(late_if_even, range(50), n_threads)) == [i * i for i in range(50)]
    assert list(ordered_map(late_if_even, [], n_threads)) == []


def test_one_thread_is_the_callers() -> None:
    names = set(ordered_map(lambda _: threading.current_thread(), range(5), 1))
    assert names == {threading.current_thread()}


def test_items_are_worked_on_at_once() -> None:
    meeting = threading.Barrier(3, timeout=30)  # passes only if three are there at a time
    assert list(ordered_map(lambda _: meeting.wait() >= 0, range(9), 3)) == [True] * 9


def test_few_items_are_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    for done, _ in enumerate(ordered_map(lambda i: i, items(), 2)):
        assert len(taken) <= done + 2 + 1


@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_an_exception_comes_out_and_cancels_the_rest(n_threads: int) -> None:
    before = set(threading.enumerate())
    begun: list[int] = []

    def fail_at_ten(i: int) -> int:
        begun.append(i)
        if i == 10:
            raise KeyError("ten")
        return i

    results: list[int] = []
    with pytest.raises(KeyError, match="ten"):
        results.extend(ordered_map(fail_at_ten, range(1000), n_threads))
    assert results == list(range(10))
    assert len(begun) <= 10 + n_threads + 2
    assert not [t for t in set(threading.enumerate()) - before if t.name.startswith("latentcore")]


def test_leaving_early_cancels_the_rest() -> None:
    before = set(threading.enumerate())
    begun: list[int] = []
    results = ordered_map(begun.append, range(1000), 2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 6
    assert not [t for t in set(threading.enumerate()) - before if t.name.startswith("latentcore")]


# -- fits in many threads, and stopping


def fit(seed: int, n_threads: int) -> tuple[list[float], bytes]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2000, 3)) + 4 * rng.integers(0, 2, size=(2000, 1))
    family = Gaussian("full")
    components = family.params(x[:2].copy(), np.tile(np.eye(3), (2, 1, 1)))
    model = Mixture(family)
    expectation = engine.expectation(model, Rows(x), 100, n_threads)
    outcome = engine.run(
        EM(model), MixtureParams(np.array([0.5, 0.5]), components), expectation,
        total_weight=2000, tol=0.0, max_iter=20,
    )  # fmt: skip
    return outcome.history, outcome.params.components.covariances.tobytes()


def test_many_python_threads_fit_at_once() -> None:
    alone = [fit(seed, 1) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(fit, range(8), [1, 2, 3, 1, 2, 3, 1, 2]))
    assert at_once == alone


LONG_FIT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
import numpy as np
from latentcore import GaussianMixture

def said(progress):
    if progress.iteration == 2:
        print("fitting", flush=True)

x = np.random.default_rng(0).normal(size=(200_000, 24))
model = GaussianMixture(16, tol=0.0, max_iter=10**6, init_params="random_from_data", n_threads={n_threads})
model.fit(x, callback=said)
"""


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_a_long_fit(n_threads: int) -> None:
    """Within about a second; the limit leaves room for a loaded machine."""
    process = subprocess.Popen(
        [sys.executable, "-c", LONG_FIT.format(n_threads=n_threads)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "fitting\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=3)
    finally:
        process.kill()
        process.wait()
    assert stderr.strip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
