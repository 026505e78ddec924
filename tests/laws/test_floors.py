"""What a maximum adds to its statistics, told apart, and steps of online EM that add it once."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from latentcore.arrays import Rows
from latentcore.families.columns import ColumnsParams, IndependentColumns
from latentcore.families.gaussian import CovarianceType, Gaussian
from latentcore.families.mixed import MixedParams, MixtureFamily
from latentcore.families.poisson import Poisson
from latentcore.families.whole_rows import WholeRows
from latentcore.floors import with_floor, without_floor
from latentcore.rules.em import EM, EMState
from latentcore.rules.online import Batch, OnlineEM, OnlineState
from latentcore.rules.steps import ConstantStep
from latentcore.sequences import Sequences
from latentcore.structures.hmm import HMM, HMMParams
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior
from laws.cases import TRANSITION, WEIGHTS, Array, assert_identical, assert_near

REG_COVAR = 0.3
N = 240
BEGINS = np.arange(0, N + 1, 8)
LABELS = np.random.default_rng(1).integers(3, size=N).astype(np.int32)
MEANS = np.array([[0.0, 0.0], [5.0, 1.0], [-4.0, 3.0]])
X = MEANS[LABELS] + np.random.default_rng(2).normal(size=(N, 2))


def gaussian(covariance_type: Any) -> tuple[Any, Any]:
    family = Gaussian(covariance_type, REG_COVAR)
    shapes = {"full": np.tile(np.eye(2), (3, 1, 1)), "tied": np.eye(2), "diag": np.ones((3, 2))}
    return family, family.params(MEANS + 0.5, 2.0 * shapes.get(covariance_type, np.ones(3)))


def mixed() -> tuple[Any, Any]:
    inner = Gaussian("diag", REG_COVAR)
    means = np.repeat(MEANS, 2, axis=0) + np.tile([[0.5], [-0.5]], (3, 2))
    params = MixedParams(np.full((3, 2), 0.5), inner.params(means, np.ones((6, 2))))
    return MixtureFamily(inner, 2), params


def columns() -> tuple[Any, Any]:
    one = Gaussian("diag", REG_COVAR)
    params = [one.params(MEANS[:, [d]], np.ones((3, 1))) for d in (0, 1)]
    family = IndependentColumns([(one, [0]), (Gaussian("diag"), [1])])
    return family, ColumnsParams(tuple(params))


def whole_rows() -> tuple[Any, Any]:
    family, params = gaussian("full")
    return WholeRows(family), params


FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    type_: functools.partial(gaussian, type_) for type_ in get_args(CovarianceType)
}
FAMILIES |= {"mixed": mixed, "columns": columns, "whole-rows": whole_rows}
every_floor = pytest.mark.parametrize("name", FAMILIES)


def models(name: str, labels: Any = None) -> list[tuple[Any, Any, Any, Batch]]:
    """A mixture and a chain: model, parameters, data, and what a step wants to know of them."""
    family, params = FAMILIES[name]()
    mixture = (
        Mixture(family), MixtureParams(WEIGHTS, params), Rows(X, labels=labels), Batch(N)
    )  # fmt: skip
    sequences = Sequences(X, BEGINS, labels=labels)
    chain = (
        HMM(family), HMMParams(WEIGHTS, TRANSITION, params), sequences,
        Batch(sequences.n_sequences, sequences.lengths),
    )  # fmt: skip
    return [mixture, chain]


def steps(model: Any, params: Any, data: Any, batch: Batch, eta: float, n: int, how: Any) -> Any:
    rule: OnlineEM[Any, Any] = OnlineEM(model, ConstantStep(eta), how)
    state: OnlineState[Any, Any] = OnlineState(params)
    for _ in range(n):
        state, _ = rule.step(state, lambda p: model.expected_statistics(p, data), batch)
    return state.params


@every_floor
def test_statistics_with_the_floor_are_spent_without_it(name: str) -> None:
    for model, params, data, _ in models(name):
        stats, _ = model.expected_statistics(params, data)
        expected = model.maximize(stats, params)
        assert_near(
            without_floor(model).maximize(with_floor(model, stats), params), expected, 1e-14
        )
        plain = without_floor(model)
        assert plain == without_floor(plain) != model
        bare = plain.maximize(stats, params)
        with pytest.raises(AssertionError):
            assert_near(bare, expected, 1e-3)
        assert_near(plain.maximize(with_floor(plain, stats), params), bare, 0.0)
    assert without_floor(Poisson()) == Poisson()


@every_floor
def test_infinite_eta_is_em_with_its_floor(name: str) -> None:
    for model, params, data, batch in models(name):
        rule: Any = EM(model)
        state, _ = rule.step(
            EMState(params), lambda p, m=model, d=data: m.expected_statistics(p, d)
        )
        assert_near(steps(model, params, data, batch, math.inf, 1, "model"), state.params, 1e-13)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "mixed"])
@pytest.mark.parametrize("inertia", ["model", "running"])
def test_the_floor_does_not_grow_from_step_to_step(name: str, inertia: str) -> None:
    """Steps on one batch of known components end where batch EM is at once, whatever their size."""
    for model, params, data, batch in models(name, LABELS):
        stats, _ = model.expected_statistics(params, data)
        expected = model.maximize(stats, params)
        for eta in (0.3, 3.0):
            n = math.ceil(18 / math.log1p(eta))
            got = steps(model, params, data, batch, eta, n, inertia)
            assert_near(got, expected, 1e-6)


@every_floor
def test_both_kinds_of_inertia_are_the_same_in_mixtures(name: str) -> None:
    model, params, data, batch = models(name)[0]
    by_model, running = (
        steps(model, params, data, batch, 0.3, 9, how) for how in ("model", "running")
    )
    assert_near(by_model, running, 1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_a_component_without_rows_keeps_its_covariance(covariance_type: str) -> None:
    model, params, _, _ = models(covariance_type)[0]
    elsewhere = Rows(X[:50], labels=np.minimum(LABELS[:50], 1))
    after = steps(model, params, elsewhere, Batch(50), 0.5, 20, "model").components
    assert_near(after.covariances[2], params.components.covariances[2], 1e-14)


def test_the_floor_is_a_scatter_of_every_observation() -> None:
    """By definition: that of a cloud of variance ``reg_covar`` around it."""
    family, params = gaussian("full")
    weights = np.random.default_rng(3).uniform(size=(N, 3))
    stats = family.expected_statistics(params, X, weights)
    added: Array = with_floor(family, stats).scatters - stats.scatters
    np.testing.assert_allclose(
        added, REG_COVAR * weights.sum(axis=0)[:, None, None] * np.eye(2), rtol=1e-10, atol=1e-10
    )
    assert replace(family, reg_covar=0.0) == without_floor(family)


@pytest.mark.parametrize("inertia", ["model", "running"])
def test_a_prior_takes_the_place_of_the_floor(inertia: Any) -> None:
    family, params = gaussian("full")
    prior = MixturePrior(WEIGHTS + 1.0, family.weak_prior(pooled_statistics(family), len(WEIGHTS)))
    start: OnlineState[Any, Any] = OnlineState(MixtureParams(WEIGHTS, params))
    data = Rows(X)
    found = []
    for of in (family, without_floor(family)):
        rule: Any = OnlineEM(Mixture(of), ConstantStep(0.3), inertia, prior)
        batch = rule.model.expected_statistics(start.params, data)
        found.append(rule.step(start, lambda _, batch=batch: batch, Batch(N))[0].params)
    assert_identical(found[0], found[1])


def pooled_statistics(family: Any) -> Any:
    return family.expected_statistics(None, X, np.ones((N, 1)))


@every_floor
def test_the_average_of_equal_iterates_is_one_of_them(name: str) -> None:
    """The statistics of iterates have the floor inside, which is not added again."""
    for model, params, data, batch in models(name):
        rule: Any = OnlineEM(model, ConstantStep(0.0), averaging=True)
        found = model.expected_statistics(params, data)
        state, _ = rule.step(OnlineState(params), lambda _, found=found: found, batch)
        spent = without_floor(model).maximize(state.average, params)
        assert_near(rule.averaged(state), spent, 1e-14)
        with pytest.raises(AssertionError):
            assert_near(model.maximize(state.average, params), spent, 1e-3)
        if isinstance(model, Mixture):
            assert_near(spent, params, 1e-12)
