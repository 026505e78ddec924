"""Statistics add and scale as values; total() sums them in a tree that depends on their number alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimators.drawn_rows import arrays_of
from latentcore.families.columns import ColumnsStatistics
from latentcore.families.gaussian import Gaussian, GaussianStatistics
from latentcore.statistics import Statistics, total, weighted_sums
from latentcore.structures.mixture import MixtureStatistics

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sums(Statistics):
    counts: Array
    sums: Array


@dataclass(frozen=True)
class Other(Statistics):
    counts: Array
    sums: Array


@dataclass(frozen=True)
class Order(Statistics):
    """Remembers how it was added."""

    text: str

    def __add__(self, other: Order) -> Order:
        return Order(f"({self.text}+{other.text})")


def some(seed: int = 0) -> Sums:
    rng = np.random.default_rng(seed)
    return Sums(rng.uniform(size=2), rng.uniform(size=(2, 3)))


def test_statistics_add_field_by_field() -> None:
    a, b = some(1), some(2)
    both = a + b
    assert type(both) is Sums
    np.testing.assert_array_equal(both.counts, a.counts + b.counts)
    np.testing.assert_array_equal(both.sums, a.sums + b.sums)


@pytest.mark.parametrize("scale", [0, 2, 0.5, np.float64(3), np.float32(0.25), np.int64(4)])
def test_statistics_scale_from_both_sides(scale: Any) -> None:
    a = some()
    for scaled in (scale * a, a * scale):
        assert type(scaled) is Sums
        np.testing.assert_array_equal(scaled.counts, a.counts * scale)
        np.testing.assert_array_equal(scaled.sums, a.sums * scale)


def test_operations_leave_their_operands_alone() -> None:
    a, b = some(1), some(2)
    _ = a + 2.0 * b
    np.testing.assert_array_equal(a.sums, some(1).sums)
    np.testing.assert_array_equal(b.sums, some(2).sums)


def test_nested_statistics_add_and_scale() -> None:
    a = MixtureStatistics(np.array([1.0, 2.0]), some(1))
    b = MixtureStatistics(np.array([3.0, 4.0]), some(2))
    both = 2.0 * (a + b)
    np.testing.assert_array_equal(both.counts, [8, 12])
    np.testing.assert_array_equal(both.components.sums, 2 * (some(1).sums + some(2).sums))


def gaussian_statistics(covariance_type: Any) -> GaussianStatistics:
    shape = {"diag": (2, 2), "tied": (2, 2)}[covariance_type]
    return GaussianStatistics(np.ones(2), np.zeros((2, 2)), np.ones(shape), covariance_type)


@pytest.mark.parametrize("scale", [-1, -1e-300, float("nan"), np.float64(-2)])
@pytest.mark.parametrize("stats", [some(), gaussian_statistics("diag")], ids=["plain", "gaussian"])
def test_a_scale_below_zero_is_refused(stats: Any, scale: Any) -> None:
    with pytest.raises(ValueError, match="scale: expected a number >= 0, got"):
        stats * scale


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (some(), Other(*vars(some()).values())),
        (some(), 1.0),
        (some(), np.ones(2)),
        (np.float64(1), some()),
        (gaussian_statistics("diag"), gaussian_statistics("tied")),
        (gaussian_statistics("diag"), some()),
    ],
    ids=["type", "number", "array", "numpy number", "covariance type", "family"],
)
def test_statistics_of_different_kinds_do_not_add(a: Any, b: Any) -> None:
    with pytest.raises(TypeError, match=r"unsupported operand|does not support ufuncs"):
        a + b


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, "0"),
        (2, "(0+1)"),
        (3, "((0+1)+2)"),
        (4, "((0+1)+(2+3))"),
        (5, "(((0+1)+(2+3))+4)"),
        (7, "(((0+1)+(2+3))+((4+5)+6))"),
        (8, "(((0+1)+(2+3))+((4+5)+(6+7)))"),
    ],
)
def test_total_is_a_balanced_tree(n: int, expected: str) -> None:
    assert total(Order(str(i)) for i in range(n)).text == expected


@settings(deadline=None)
@given(st.integers(1, 300))
def test_total_adds_each_part_once_and_in_order(n: int) -> None:
    text = total(Order(str(i)) for i in range(n)).text
    assert text.replace("(", "").replace(")", "").split("+") == [str(i) for i in range(n)]


def test_total_takes_parts_one_by_one() -> None:
    alive: list[int] = []

    @dataclass(frozen=True)
    class Counted(Statistics):
        parts: int

        def __add__(self, other: Counted) -> Counted:
            alive.append(-1)
            return Counted(self.parts + other.parts)

    def parts() -> Any:
        for _ in range(1000):
            alive.append(1)
            yield Counted(1)

    assert total(parts()).parts == 1000
    held = np.cumsum(alive)
    assert held.max() <= 11  # log2(1000), and the part in hand


def test_total_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="parts: expected at least one part, got none"):
        total([])


@dataclass(frozen=True)
class Largest(Sums):
    """Adds in a way of its own."""

    def __add__(self, other: Sums) -> Largest:
        return Largest(self.counts + other.counts, np.maximum(self.sums, other.sums))


def of_drawn_rows(seed: int, type_: Any) -> GaussianStatistics:
    """Far from the origin; of no row in the last component."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(3), 20)
    weights[:, 2] = 0.0
    return Gaussian(type_).expected_statistics(None, 1e6 + rng.normal(size=(20, 2)), weights)


STATISTICS: dict[str, Any] = {
    "plain": some,
    "nested": lambda seed: MixtureStatistics(np.arange(2.0) + seed, some(seed)),
    "own addition": lambda seed: Largest(*vars(some(seed)).values()),
    "columns": lambda seed: ColumnsStatistics((of_drawn_rows(seed, "full"), some(seed))),
} | {
    type_: lambda seed, type_=type_: of_drawn_rows(seed, type_)
    for type_ in ("full", "tied", "diag", "spherical", "tied_spherical")
}


@pytest.mark.parametrize("kind", STATISTICS)
@pytest.mark.parametrize("n_sums", [2, 9])
def test_weighted_sums_are_those_of_parts_scaled_and_added(kind: str, n_sums: int) -> None:
    parts = [STATISTICS[kind](seed) for seed in range(4)]
    weights = np.random.default_rng(9).uniform(0.1, 2.0, size=(4, n_sums))
    weights[1, 0] = weights[:3, 1] = 0.0
    found = weighted_sums(weights, parts)
    for column, sums in zip(weights.T, found, strict=True):
        expected = total(part * float(w) for w, part in zip(column, parts, strict=True))
        assert type(sums) is type(expected)
        truth = dict(arrays_of(expected, ""))
        for name, value in arrays_of(sums, ""):
            np.testing.assert_allclose(value, truth[name], rtol=1e-9, atol=1e-9, err_msg=name)
