"""MAP-EM: what a step does, and the prior on the weights. The laws test the families' priors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from latentcore.arrays import Rows
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import GammaPrior
from latentcore.rules.em import MAPEM, EMState
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior
from laws.cases import assert_identical, leaves
from laws.numpy_poisson import NumpyPoisson

ALPHA = np.array([2.0, 1.0, 3.5])
SHAPE, RATE = np.array([2.0, 3.0, 1.5]), np.array([0.5, 1.0, 0.1])


def prior() -> MixturePrior[GammaPrior]:
    return MixturePrior(ALPHA.copy(), GammaPrior(SHAPE[:, None].copy(), RATE[:, None].copy()))


def start() -> MixtureParams[PoissonParams]:
    return MixtureParams(np.array([0.5, 0.2, 0.3]), PoissonParams(np.array([[1.0], [4.0], [9.0]])))


def data() -> Rows:
    rng = np.random.default_rng(0)
    return Rows(rng.poisson(np.repeat([1.0, 10.0], 60))[:, None].astype(float))


def test_step_asks_for_one_expectation_and_spends_it_on_the_mode() -> None:
    """By the definitions: Poisson rates (sum + a - 1) / (count + b), weights in proportion to count + alpha - 1."""
    rows, params, model = data(), start(), Mixture(Poisson())
    asked: list[Any] = []

    def expectation(p: Any) -> Any:
        asked.append(p)
        return model.expected_statistics(p, rows)

    rule = MAPEM(model, prior())
    assert rule.init(params) == EMState(params)
    state, info = rule.step(rule.init(params), expectation)
    assert len(asked) == 1
    assert asked[0] is params

    joint = stats.poisson.logpmf(rows.x, params.components.rates[:, 0]) + np.log(params.weights)
    log_density = np.logaddexp.reduce(joint, axis=1)
    r = np.exp(joint - log_density[:, None])
    counts, sums = r.sum(axis=0), r.T @ rows.x[:, 0]
    rates = (sums + SHAPE - 1) / (counts + RATE)
    np.testing.assert_allclose(state.params.components.rates[:, 0], rates, rtol=1e-12)
    weights = (counts + ALPHA - 1) / (counts + ALPHA - 1).sum()
    np.testing.assert_allclose(state.params.weights, weights, rtol=1e-12)
    log_prior = stats.dirichlet.logpdf(params.weights, ALPHA)
    log_prior += stats.gamma.logpdf(params.components.rates[:, 0], SHAPE, scale=1 / RATE).sum()
    assert info.objective == pytest.approx(log_density.sum() + log_prior, rel=1e-12)


def test_step_changes_neither_prior_nor_state() -> None:
    rows, model, given = data(), Mixture(Poisson()), prior()
    rule = MAPEM(model, given)
    state = rule.init(start())
    outcomes = [rule.step(state, lambda p: model.expected_statistics(p, rows)) for _ in range(2)]
    (first, first_info), (second, second_info) = outcomes
    assert first_info == second_info
    assert_identical(first.params, second.params)
    assert_identical(given, prior())
    assert_identical(state.params, start())


def test_no_rows_give_the_mode_of_the_prior() -> None:
    model = Mixture(Poisson())
    nothing = 0.0 * model.model_statistics(start())
    mode = model.mode(model.update(prior(), nothing), start())
    np.testing.assert_allclose(mode.weights, (ALPHA - 1) / (ALPHA - 1).sum(), rtol=1e-15)
    np.testing.assert_allclose(mode.components.rates[:, 0], (SHAPE - 1) / RATE, rtol=1e-15)


def test_flat_dirichlet_leaves_weights_to_the_rows() -> None:
    model, rows = Mixture(Poisson()), data()
    found, _ = model.expected_statistics(start(), rows)
    flat = replace(prior(), weights=np.ones(3))
    weights = model.mode(model.update(flat, found), start()).weights
    np.testing.assert_allclose(weights, found.counts / len(rows), rtol=1e-14)


def test_weight_of_zero_is_possible_under_a_flat_dirichlet_alone() -> None:
    model, gamma = Mixture(Poisson()), prior().components
    params = replace(start(), weights=np.array([0.4, 0.0, 0.6]))
    components = Poisson().log_prior(gamma, params.components)
    two = stats.dirichlet.logpdf([0.4, 1e-300, 0.6], ALPHA)  # alpha of the middle one is 1
    assert model.log_prior(prior(), params) == pytest.approx(components + two, rel=1e-12)
    strict = MixturePrior(np.array([2.0, 1.5, 2.0]), gamma)
    assert model.log_prior(strict, params) == -np.inf


def test_equal_weights_have_no_prior() -> None:
    model, rows = Mixture(Poisson(), equal_weights=True), data()
    params = replace(start(), weights=np.full(3, 1 / 3))
    expected = Poisson().log_prior(prior().components, params.components)
    assert model.log_prior(prior(), params) == expected
    found, _ = model.expected_statistics(params, rows)
    np.testing.assert_array_equal(model.mode(model.update(prior(), found), params).weights, 1 / 3)


def test_family_without_conjugate_prior_is_refused() -> None:
    model = Mixture(NumpyPoisson())
    with pytest.raises(TypeError, match=r"^prior: expected a family with conjugate priors, got N"):
        model.log_prior(prior(), start())  # type: ignore[arg-type]


def test_posterior_of_posterior_is_that_of_all_rows() -> None:
    model, rows = Mixture(Poisson()), data()
    halves = [model.expected_statistics(start(), half)[0] for half in rows.shards(60)]
    whole, _ = model.expected_statistics(start(), rows)
    one_by_one = model.update(model.update(prior(), halves[0]), halves[1])
    at_once = model.update(prior(), whole)
    for found, expected in zip(leaves(one_by_one), leaves(at_once), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13)
