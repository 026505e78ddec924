"""Stationary laws, closed classes and durations of chains, against mpmath and a search."""

from __future__ import annotations

import mpmath
import numpy as np
import numpy.typing as npt
import pytest

from latentcore.structures.chains import (
    closed_classes,
    expected_durations,
    stationary_distribution,
)

Array = npt.NDArray[np.float64]

LEAVING = 1e-14
SLOW = np.array(
    [
        [1 - LEAVING, LEAVING, 0.0],
        [2 * LEAVING, 1 - 3 * LEAVING, LEAVING],
        [0.0, 5 * LEAVING, 1 - 5 * LEAVING],
    ]
)
"""Two of its eigenvalues differ from 1 by a hundred times the rounding error alone."""


def random_chain(n_states: int, seed: int) -> Array:
    return np.random.default_rng(seed).dirichlet(np.ones(n_states), n_states)


def exact(transition: Array) -> Array:
    """The stationary law by Cramer's rule for trees: minors of 1 - A, with diagonals from the other entries."""
    n = len(transition)
    with mpmath.workdps(60):
        a = mpmath.matrix(transition.tolist())
        for i in range(n):
            a[i, i] = 1 - sum(a[i, j] for j in range(n) if j != i)
        rest = mpmath.eye(n) - a
        kept = [[j for j in range(n) if j != i] for i in range(n)]
        minors = [
            mpmath.det(mpmath.matrix([[rest[i, j] for j in others] for i in others]))
            for others in kept
        ]
        return np.array([float(minor / sum(minors)) for minor in minors])


@pytest.mark.parametrize(
    "transition", [random_chain(2, 0), random_chain(6, 1), random_chain(6, 2) ** 40, SLOW]
)
def test_small_probabilities_of_the_stationary_law_are_as_accurate_as_large_ones(
    transition: Array,
) -> None:
    transition = transition / transition.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        stationary_distribution(transition), exact(transition), rtol=1e-12, atol=0
    )


def test_long_chain_overflows_nowhere() -> None:
    """A walk that is carried up: the law grows by 1e20 from state to state."""
    up = np.eye(40, k=1) + 1e-20 * np.eye(40, k=-1)
    up[-1, -1] = 1.0 - 1e-20
    law = stationary_distribution(up / up.sum(axis=1, keepdims=True))
    assert law.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(law[-15:-2] / law[-14:-1], 1e-20, rtol=1e-12)


def test_transient_states_have_probability_zero() -> None:
    transition = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75], [0.0, 0.5, 0.5]])
    law = stationary_distribution(transition)
    assert law[0] == 0.0
    np.testing.assert_allclose(law, [0.0, 0.4, 0.6])


def test_several_closed_classes_are_named() -> None:
    transition = np.array(
        [[1.0, 0.0, 0.0, 0.0], [0.5, 0.0, 0.5, 0.0], [0, 0, 0.5, 0.5], [0, 0, 1.0, 0.0]]
    )
    with pytest.raises(ValueError, match=r"^transition: .* got 2: \{0\}, \{2, 3\}$"):
        stationary_distribution(transition)


@pytest.mark.parametrize("seed", range(10))
def test_closed_classes_are_those_of_a_search(seed: int) -> None:
    positive = np.random.default_rng(seed).random((9, 9)) < 0.12 + np.eye(9)

    def reached(state: int) -> frozenset[int]:
        found, todo = {state}, [state]
        while todo:
            new = set(np.flatnonzero(positive[todo.pop()]).tolist()) - found
            found |= new
            todo += new
        return frozenset(found)

    expected = {reached(i) for i in range(9) if all(i in reached(j) for j in reached(i))}
    got = closed_classes(positive)
    assert {frozenset(states.tolist()) for states in got} == expected
    assert len(got) == len(expected)


def test_durations_are_those_of_geometric_stays() -> None:
    transition = np.array([[0.9, 0.1, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(expected_durations(transition), [10.0, 1.0, np.inf], rtol=1e-14)
    np.testing.assert_allclose(expected_durations(SLOW)[0], 1 / LEAVING, rtol=1e-14)
