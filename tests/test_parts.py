"""Data in parts: the order of results and errors, what is held, sums that do not depend on who makes them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from latentcore.arrays import Rows
from latentcore.errors import ImpossibleRowError
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.parts import ChangedPartsError, LocalParts, expectation_over, named, over_parts
from latentcore.structures.mixture import Mixture, MixtureParams

threads = pytest.mark.parametrize("n_threads", [1, 3])
X = np.random.default_rng(0).poisson(4.0, (100, 2)).astype(float)
PARAMS = MixtureParams(np.array([0.3, 0.7]), PoissonParams(np.array([[2.0, 5.0], [6.0, 3.0]])))


def rows(*lengths: int) -> list[Rows]:
    ends = np.cumsum(lengths)
    return [Rows(X[end - n : end]) for n, end in zip(lengths, ends, strict=True)]


@threads
def test_functions_are_applied_in_turn_and_results_come_in_order(n_threads: int) -> None:
    parts = LocalParts(lambda: range(50), n_threads).then(lambda n: n + 1).then(str)
    for _ in range(2):
        assert list(parts.map(lambda text: text + "!")) == [f"{n}!" for n in range(1, 51)]


@threads
def test_no_more_parts_are_held_than_threads_and_two(n_threads: int) -> None:
    lock, alive, most = threading.Lock(), 0, 0

    class Held:
        def __init__(self) -> None:
            nonlocal alive, most
            with lock:
                alive += 1
                most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            with lock:
                alive -= 1

    assert len(list(LocalParts(lambda: (Held() for _ in range(40)), n_threads).map(id))) == 40
    assert most <= n_threads + 2
    assert alive == 0


@threads
def test_first_error_in_the_order_of_the_parts_is_raised_with_its_number(n_threads: int) -> None:
    """That of a part that is read, too, and not before those of parts before it."""
    closed = []

    def source() -> Iterator[int]:
        try:
            yield from (1, 2, 0, 4)
            raise OSError("disk")
        finally:
            closed.append(True)

    with pytest.raises(ZeroDivisionError, match="part 2: division"):
        list(named(LocalParts(source, n_threads).map(lambda n: 1 / n)))
    with pytest.raises(OSError, match=r"^disk$"):
        list(named(LocalParts(source, n_threads).map(lambda n: n)))
    assert closed == [True, True]


@threads
def test_ctrl_c_while_reading_ends_the_pass_at_once(n_threads: int) -> None:
    begun: list[Any] = []

    def source() -> Iterator[int]:
        yield 0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(named(LocalParts(source, n_threads).map(begun.append)))


@threads
def test_expectation_is_the_sum_over_the_parts(n_threads: int) -> None:
    model: Mixture[Any, Any] = Mixture(Poisson())
    whole, log_likelihood = model.expected_statistics(PARAMS, Rows(X))
    for lengths in ((100,), (1, 0, 49, 20, 0, 30), (0, 100)):
        parts: LocalParts[Rows] = LocalParts(functools.partial(rows, *lengths), n_threads)
        stats, objective = expectation_over(model, parts, 100)(PARAMS)
        np.testing.assert_allclose(stats.counts, whole.counts, rtol=1e-13)
        np.testing.assert_allclose(stats.components.sums, whole.components.sums, rtol=1e-13)
        assert objective == pytest.approx(log_likelihood, rel=1e-13)


def test_changed_number_of_rows_is_told() -> None:
    with pytest.raises(ChangedPartsError, match=r"X: expected .*, with 100 rows .*, got 60"):
        list(over_parts(LocalParts(lambda: rows(10, 50)), len, 100))


def test_impossible_row_is_named_with_its_part() -> None:
    model: Mixture[Any, Any] = Mixture(Poisson())
    parts: LocalParts[Rows] = LocalParts(
        lambda: [Rows(np.zeros((5, 2))), Rows(np.array([[0.0, 0], [0, 7]]))]
    )
    nothing = MixtureParams(PARAMS.weights, PoissonParams(np.zeros((2, 2))))
    with pytest.raises(ImpossibleRowError, match=r"^part 1, row 1: expected") as caught:
        expectation_over(model, parts)(nothing)
    assert (caught.value.part, caught.value.row) == (1, 1)
