"""MAP-EM: the posterior's mode, its objective, and what a proper prior prevents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentcore.arrays import Rows
from latentcore.protocols import RealArray
from latentcore.rules.em import MAPEM
from latentcore.structures.mixture import MixtureParams, MixturePrior
from laws.cases import (
    ALPHA,
    MODELS,
    N_COMPONENTS,
    PRECISIONS,
    Case,
    assert_near,
    cases,
    leaves,
)

every_double_prior = cases(lambda of: of.prior, structures=MODELS)


def objectives(case: Case, rows: Rows, prior: Any, start: Any, n_steps: int) -> list[float]:
    rule = MAPEM(case.model, prior)
    state = rule.init(start)
    found = []
    for _ in range(n_steps):
        state, info = rule.step(state, lambda p: case.model.expected_statistics(p, rows))
        found.append(info.objective)
    return found


def assert_never_decreases(objectives: list[float], case: Case) -> None:
    rounding = 1e-10 if case.dtype is np.float64 else 1e-6
    assert np.diff(objectives).min() >= -rounding * (1 + np.abs(objectives).max())


@cases(lambda of: of.prior, PRECISIONS, MODELS)
@pytest.mark.parametrize("n", [0.5, 20.0])
def test_objective_never_decreases(case: Case, n: float) -> None:
    found = objectives(case, case.weighted_rows, case.prior(n), case.params, 40)
    assert_never_decreases(found, case)
    assert found[-1] > found[0] + 0.1


@cases(lambda of: of.prior)
def test_log_prior_is_that_of_scipy(case: Case) -> None:
    params = case.params.components
    assert case.of.prior is not None
    assert case.of.log_prior is not None
    for n in (0.3, 1.0, 30.0):
        prior = case.of.prior(n)
        expected = case.of.log_prior(prior, params)
        assert case.of.family.log_prior(prior, params) == pytest.approx(expected, rel=1e-12)


@cases(lambda of: of.prior and not of.hidden)
def test_mode_beats_its_neighbours(case: Case) -> None:
    """Expected complete-data log-likelihood by SciPy plus log prior, at the mode and at points all around."""
    rows, model = case.rows.take(np.arange(40)), case.model  # few: the prior counts
    prior = case.prior(5.0)
    stats, _ = model.expected_statistics(case.params, rows)
    joint = case.slow_log_joint(case.params, rows)
    r = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    best = model.mode(model.update(prior, stats), case.params)

    def objective(params: MixtureParams[Any]) -> float:
        expected = float((r * case.slow_log_joint(params, rows)).sum())
        assert case.of.log_prior is not None
        log_weights = float((ALPHA - 1) @ np.log(params.weights)) * 5.0
        return expected + log_weights + case.of.log_prior(prior.components, params.components)

    rng = np.random.default_rng(6)
    for _ in range(5):
        other = MixtureParams(rng.dirichlet(np.ones(3)), case.of.parameters(rng))

        def along(t: float, other: Any = other) -> float:
            """The objective on a path that begins at the mode, in the direction of another model."""
            moved = stats + t * len(rows) * model.model_statistics(other)
            return objective(model.mode(model.update(prior, moved), best))

        top, near, far = along(0.0), along(1e-4), along(2e-4)
        assert top > near > far > along(0.3)
        # the top of the parabola through the three, in steps from the mode; the third derivative moves it in proportion
        # to the step
        slope, curvature = (4 * near - far - 3 * top) / 2, top - 2 * near + far
        assert -slope / curvature == pytest.approx(0, abs=0.02)


@every_double_prior
def test_a_prior_worth_nothing_is_maximum_likelihood(case: Case) -> None:
    model = case.model
    stats, _ = model.expected_statistics(case.params, case.rows)
    likeliest = model.maximize(stats, case.params)
    distances = []
    for n in (1e-3, 1e-6):
        mode = model.mode(model.update(case.prior(n), stats), case.params)
        assert_near(mode, likeliest, n)
        pairs = zip(leaves(mode), leaves(likeliest), strict=True)
        distances.append(max(float(np.abs(a - b).max()) for a, b in pairs))
    assert 0 < distances[1] < distances[0]


@every_double_prior
def test_many_rows_outweigh_the_prior(case: Case) -> None:
    model = case.model
    stats, _ = model.expected_statistics(case.params, case.rows)
    mode = model.mode(model.update(case.prior(1.0), 1e8 * stats), case.params)
    assert_near(mode, model.maximize(stats, case.params), 1e-6)


def duplicates(x: Any) -> Any:
    return x[[0] * 12]


def constant_column(x: Any) -> Any:
    x = x[:30].copy()
    x[:, 0] = x[0, 0]
    return x


def fewer_distinct_rows_than_components(x: Any) -> Any:
    return x[[0, 1] * 6]


def one_row_a_component(x: Any) -> Any:
    return x[:N_COMPONENTS]


DEGENERATE = [
    duplicates, constant_column, fewer_distinct_rows_than_components, one_row_a_component, np.zeros_like,
]  # fmt: skip


@cases(lambda of: hasattr(of.family, "weak_prior") and of.prior and not of.hidden, PRECISIONS)
@pytest.mark.parametrize("degenerate", DEGENERATE, ids=lambda d: d.__name__)
def test_a_weak_prior_makes_degenerate_data_a_proper_fit(case: Case, degenerate: Any) -> None:
    rows = Rows(degenerate(case.rows.x))
    family, model = case.of.family, case.model
    if degenerate is np.zeros_like and not case.of.zeros:
        with pytest.raises(ValueError, match=r"got 0\.0 in row 0, column 0"):
            family.check(rows.x)
        return
    one: RealArray = np.ones((len(rows), 1), case.dtype)
    pooled = family.expected_statistics(None, rows.x, one)
    prior = MixturePrior(
        np.full(N_COMPONENTS, 1 + 1 / N_COMPONENTS), family.weak_prior(pooled, N_COMPONENTS)
    )
    # each row belongs to one component, as k-means would begin
    r: RealArray = np.eye(N_COMPONENTS, dtype=case.dtype)[np.arange(len(rows)) % N_COMPONENTS]
    components = family.mode(
        family.update(prior.components, family.expected_statistics(None, rows.x, r)), None
    )
    start = MixtureParams(np.full(N_COMPONENTS, 1 / N_COMPONENTS), components)
    rule = MAPEM(model, prior)
    state, found = rule.init(start), []
    for _ in range(30):
        state, info = rule.step(state, lambda p: model.expected_statistics(p, rows))
        found.append(info.objective)
        assert all(np.isfinite(leaf).all() for leaf in leaves(state.params))
    assert np.isfinite(found).all()
    assert_never_decreases(found, case)
    assert (state.params.weights > 0).all()
    assert family.degenerate(state.params.components) == []


@every_double_prior
def test_updates_by_parts_are_an_update_by_the_sum(case: Case) -> None:
    model, prior = case.model, case.prior(3.0)
    a, b = (model.expected_statistics(case.params, part)[0] for part in case.rows.shards(300))
    twice = model.update(model.update(prior, a), b)
    assert_near(twice, model.update(prior, a + b), 1e-12)
