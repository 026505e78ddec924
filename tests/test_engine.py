"""Running a rule: stopping, history, callback, shards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcore import engine
from latentcore.arrays import Rows
from latentcore.errors import ImpossibleRowError
from latentcore.families.gaussian import Gaussian
from latentcore.structures.mixture import Mixture, MixtureParams


@dataclass(frozen=True)
class State:
    params: int


@dataclass(frozen=True)
class Info:
    objective: float


class Counting:
    """A rule whose parameters count its steps, with objectives from a list."""

    def __init__(self, *objectives: float) -> None:
        self.objectives = objectives

    def init(self, params: int) -> State:
        return State(params)

    def step(self, state: State, expectation: Callable[[int], Any]) -> tuple[State, Info]:
        _, objective = expectation(state.params)
        return State(state.params + 1), Info(objective)


def run(*objectives: float, **options: Any) -> engine.Fit[int]:
    options = {"tol": 1e-3, "max_iter": len(objectives), "total_weight": 1.0, **options}
    return engine.run(
        Counting(), 0, lambda params: (None, objectives[params]), **options
    )  # fmt: skip


def test_run_stops_where_the_objective_changes_by_less_than_tol() -> None:
    fit = run(1.0, 2.0, 2.5, 2.5005, 9.0)
    assert fit.converged
    assert fit.stop_reason == "tol"
    assert fit.history == [1.0, 2.0, 2.5, 2.5005]
    assert fit.n_iter == fit.params == 4


def test_a_decrease_of_less_than_tol_is_convergence_too() -> None:
    assert run(1.0, 0.9995, 5.0).n_iter == 2
    assert run(1.0, 0.5, 5.0).converged is False


def test_run_stops_after_max_iter_steps() -> None:
    fit = run(1.0, 2.0, 3.0, 3.0, max_iter=3)
    assert not fit.converged
    assert fit.stop_reason == "max_iter"
    assert fit.history == [1.0, 2.0, 3.0]
    assert fit.params == 3


def test_tolerance_of_zero_never_converges_and_no_steps_change_nothing() -> None:
    assert not run(1.0, 1.0, 1.0, tol=0.0).converged
    fit = run(1.0, max_iter=0)
    assert (fit.params, fit.history, fit.converged) == (0, [], False)


def test_objective_is_per_unit_of_weight() -> None:
    fit = run(10.0, 30.0, 30.05, 90.0, total_weight=10.0, tol=1e-2)
    assert fit.history == pytest.approx([1.0, 3.0, 3.005])
    assert fit.converged


def test_run_goes_on_from_an_earlier_objective() -> None:
    assert run(2.0, 3.0, previous=2.0005).n_iter == 1
    assert run(2.0, 3.0, previous=float("-inf")).n_iter == 2


def test_callback_is_told_each_step() -> None:
    told: list[engine.Progress] = []
    run(10.0, 30.0, 40.0, total_weight=10.0, callback=told.append)
    assert [p.iteration for p in told] == [1, 2, 3]
    assert [p.objective for p in told] == [1.0, 3.0, 4.0]
    assert [p.change for p in told] == [float("inf"), 2.0, 1.0]


def test_exception_of_a_callback_ends_the_run() -> None:
    def stop(progress: engine.Progress) -> None:
        if progress.iteration == 2:
            raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        run(1.0, 2.0, 3.0, callback=stop)


@settings(deadline=None)
@given(st.integers(1, 10**9), st.floats(1, 1e9))
def test_shards_are_neither_many_small_ones_nor_slow_ones(n_rows: int, work: float) -> None:
    rows = engine.rows_per_shard(n_rows, work)
    assert rows >= 1
    n_shards = -(-n_rows // rows)
    if n_shards > 1:
        assert rows >= 2048
    if rows > 8192:  # about a tenth of a second's work at most, so that Ctrl-C is heard
        assert rows * work <= 2.0**30 + work


def model_and_params() -> tuple[Mixture[Any, Any], MixtureParams[Any]]:
    family = Gaussian("diag")
    components = family.params(np.array([[0.0], [5.0]]), np.ones((2, 1)))
    return Mixture(family), MixtureParams(np.array([0.5, 0.5]), components)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("row", [0, 99, 100, 734, 999])
def test_impossible_row_is_named_by_its_place_in_the_whole_data(row: int, n_threads: int) -> None:
    model, params = model_and_params()
    x = np.zeros((1000, 1))
    x[row] = 1e200
    expectation = engine.expectation(model, Rows(x), 100, n_threads)
    with pytest.raises(ImpossibleRowError, match=f"row {row}: ") as info:
        expectation(params)
    assert info.value.row == row


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_first_of_several_impossible_rows_is_named(n_threads: int) -> None:
    model, params = model_and_params()
    x = np.zeros((1000, 1))
    x[[250, 251, 820]] = 1e200
    with pytest.raises(ImpossibleRowError, match="row 250: "):
        engine.expectation(model, Rows(x), 100, n_threads)(params)


def test_a_single_shard_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    model, params = model_and_params()
    monkeypatch.setattr(engine, "Workers", lambda *_: pytest.fail("a thread pool was asked for"))
    rows = Rows(np.zeros((100, 1)))
    stats, log_likelihood = engine.expectation(model, rows, 100, 7)(params)
    expected, expected_log_likelihood = model.expected_statistics(params, rows)
    np.testing.assert_array_equal(stats.counts, expected.counts)
    assert log_likelihood == expected_log_likelihood
