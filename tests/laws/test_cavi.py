"""Variational inference: the bound is a bound, CAVI raises it, and stochastic steps are unbiased."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import special

from latentcore.arrays import Rows
from latentcore.families.linear import Linear
from latentcore.rules.cavi import CAVI, StochasticVI, VariationalInfo, VariationalState
from latentcore.structures.mixture import MixturePrior
from latentcore.structures.weights import Dirichlet, FixedWeights, StickBreaking
from laws.cases import (
    N_COMPONENTS,
    PRECISIONS,
    WEIGHTS,
    Array,
    Case,
    assert_identical,
    assert_near,
    cases,
)

ALPHA = np.array([2.0, 1.5, 0.5])
NOTHING = np.zeros(N_COMPONENTS)
N_TINY = 6


def array_log_evidence(alpha: Array, counts: Array) -> float:
    ratios = special.gammaln(alpha + counts) - special.gammaln(alpha)
    return float(
        ratios.sum() + special.gammaln(alpha.sum()) - special.gammaln(alpha.sum() + counts.sum())
    )


def sticks_log_evidence(concentration: float, counts: Array) -> float:
    """Of components in the order of the sticks."""
    return sum(
        float(
            special.betaln(1 + n, concentration + counts[j + 1 :].sum())
            - special.betaln(1, concentration)
        )
        for j, n in enumerate(counts[:-1])
    )


WEIGHT_PRIORS: dict[str, tuple[Any, Callable[[Array], float]]] = {
    "alpha": (ALPHA, lambda n: array_log_evidence(ALPHA, n)),
    "dirichlet": (Dirichlet(np.full(3, 0.2)), lambda n: array_log_evidence(np.full(3, 0.2), n)),
    "sticks": (StickBreaking(0.7, NOTHING), lambda n: sticks_log_evidence(0.7, n)),
    "many-sticks": (StickBreaking(4.0, NOTHING), lambda n: sticks_log_evidence(4.0, n)),
    "endless-sticks": (
        StickBreaking(4.0, NOTHING, leftover=True),
        lambda n: sticks_log_evidence(4.0, np.append(n, 0)),
    ),
    "process": (
        StickBreaking(4.0, NOTHING, leftover=True, by_size=False),
        lambda n: sticks_log_evidence(4.0, np.append(n, 0)),
    ),
    "fixed": (FixedWeights(WEIGHTS), lambda n: float(n @ np.log(WEIGHTS))),
}
every_weight_prior = pytest.mark.parametrize("weights", WEIGHT_PRIORS)
variational = cases(lambda of: of.log_evidence)


def prior_of(case: Case, weights: str = "alpha", n: float = 2.0) -> MixturePrior[Any]:
    """Worth about n rows in each component."""
    assert case.of.prior is not None
    return MixturePrior(WEIGHT_PRIORS[weights][0], case.of.prior(n))


def posterior_after(case: Case, prior: MixturePrior[Any], rows: Rows) -> Any:
    """The responsibilities are those of the case's parameters, or known."""
    return case.model.update(prior, case.model.expected_statistics(case.params, rows)[0])


def steps(
    rule: Any, case: Case, rows: Rows, start: Any, n: int
) -> list[tuple[VariationalState[Any], VariationalInfo]]:
    state, found = rule.init(start), []
    for _ in range(n):
        state, info = rule.step(state, lambda p: case.model.expected_statistics(p, rows))
        found.append((state, info))
    return found


def elbos(case: Case, rows: Rows, prior: Any, start: Any, n: int) -> Array:
    found = steps(CAVI(case.model, prior), case, rows, start, n)
    return np.array([info.objective for _, info in found])


def tiny(case: Case) -> Rows:
    """Few rows, one entry missing where the bound knows missing entries."""
    x = case.rows.x[:N_TINY].copy()
    if case.of.missing and isinstance(case.of.family, Linear):
        x[0, 0] = np.nan
    return Rows(x)


def assignments() -> Array:
    return np.array(list(itertools.product(range(N_COMPONENTS), repeat=N_TINY)), np.int32)


def log_joints(case: Case, prior: Any, weights: str, x: Any) -> Array:
    """log p(x, z) for each of the K^N assignments z of rows to components (in the order of the sticks)."""
    of_weights = WEIGHT_PRIORS[weights][1]
    assert case.of.log_evidence is not None
    return np.array(
        [
            case.of.log_evidence(prior.components, x, z)
            + of_weights(np.bincount(z, minlength=N_COMPONENTS).astype(float))
            for z in assignments()
        ]
    )


@cases(lambda of: of.log_evidence, PRECISIONS)
@every_weight_prior
def test_bound_never_decreases(case: Case, weights: str) -> None:
    prior, rows = prior_of(case, weights), case.weighted_rows
    start = posterior_after(case, prior, rows.take(np.arange(12)))
    found = elbos(case, rows, prior, start, 30)
    rounding = 1e-10 if case.dtype is np.float64 else 1e-6
    assert np.diff(found).min() >= -rounding * np.abs(found).max()
    assert found[-1] > found[0] + 0.1


@variational
@every_weight_prior
def test_bound_is_below_the_log_evidence_of_all_assignments(case: Case, weights: str) -> None:
    prior, rows = prior_of(case, weights), tiny(case)
    joints = log_joints(case, prior, weights, rows.x)
    evidence = float(np.logaddexp.reduce(joints))
    likeliest = replace(rows, labels=assignments()[joints.argmax()])
    for known in (rows, likeliest):
        found = elbos(case, rows, prior, posterior_after(case, prior, known), 40)
        assert found.max() <= evidence + 1e-10 * abs(evidence)
    # q of the likeliest assignment alone would reach its log joint density
    assert found[0] >= joints.max() - 1e-10 * abs(evidence)


@variational
@every_weight_prior
def test_bound_of_known_components_is_the_log_joint_density(case: Case, weights: str) -> None:
    prior, rows = prior_of(case, weights), tiny(case)
    joints = dict(
        zip(map(tuple, assignments()), log_joints(case, prior, weights, rows.x), strict=True)
    )
    for z in assignments()[[0, 5, 123, 700, 728]]:
        known = replace(rows, labels=z)
        [found] = elbos(case, known, prior, posterior_after(case, prior, known), 1)
        expected = joints[tuple(z)]
        if "sticks" in weights:  # in the best order of the components
            orders = np.array(list(itertools.permutations(range(N_COMPONENTS))))
            expected = max(joints[tuple(order[z])] for order in orders)
        assert found == pytest.approx(expected, rel=1e-11)


@variational
@every_weight_prior
def test_posterior_without_data_is_the_prior(case: Case, weights: str) -> None:
    model, prior = case.model, prior_of(case, weights)
    nothing = 0.0 * model.expected_statistics(case.params, case.rows)[0]
    posterior = model.update(prior, nothing)
    of_weights, of_components = model.divergence(posterior, prior)
    assert of_weights == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(of_components, NOTHING, atol=1e-12)
    if hasattr(posterior.components, "n_rows"):
        assert posterior.components.n_rows == 0
    x = case.rows.x[:9]
    of_posterior, of_prior = (
        case.of.family.log_likelihood(case.of.family.expected(h.components, N_COMPONENTS), x)
        for h in (posterior, prior)
    )
    np.testing.assert_array_equal(of_posterior, of_prior)


@variational
def test_predictive_density_is_a_ratio_of_evidences(case: Case) -> None:
    assert case.of.log_evidence is not None
    rows: Any = tiny(case)
    prior = prior_of(case)
    z: Any = np.array([0, 2, 2, 0, 2, 0], np.int32)  # component 1 knows the prior alone
    posterior = posterior_after(case, prior, replace(rows, labels=z)).components
    new = case.rows.x[50:70]
    got = case.of.family.predictive_log_density(posterior, new)
    known = case.of.log_evidence(prior.components, rows.x, z)
    expected = np.array(
        [
            [
                case.of.log_evidence(prior.components, np.vstack([rows.x, x]), np.append(z, k))
                for k in range(N_COMPONENTS)
            ]
            for x in new
        ]
    )
    np.testing.assert_allclose(got, expected - known, rtol=1e-11, atol=1e-11)


@cases(lambda of: of.log_evidence, PRECISIONS)
def test_expected_log_density_is_below_the_predictive_one(case: Case) -> None:
    """Jensen, entry by entry."""
    family, x = case.of.family, case.rows.x
    posterior = posterior_after(case, prior_of(case), tiny(case)).components
    expected = family.log_likelihood(family.expected(posterior, N_COMPONENTS), x)
    predictive = family.predictive_log_density(posterior, x)
    assert predictive.dtype == expected.dtype == x.dtype
    assert predictive.shape == (len(x), N_COMPONENTS)
    rounding = case.tolerance * np.abs(expected).max()
    assert (expected <= predictive + rounding).all()
    assert (expected < predictive - 1e-3).mean() > 0.5


@variational
def test_certain_posterior_is_its_mean(case: Case) -> None:
    """In the limit of many rows CAVI is EM, whose parameters are those in the middle."""
    family, x = case.of.family, case.rows.x
    stats, _ = case.model.expected_statistics(case.params, case.rows)
    prior = prior_of(case).components
    for n, tolerance in ((1e4, 1e-3), (1e8, 1e-7)):
        posterior = family.update(prior, n * stats.components)
        for params in (family.mean(posterior), family.mode(posterior, None)):
            plugged_in = family.log_likelihood(params, x)
            scale = tolerance * np.abs(plugged_in).max()
            for got in (
                family.log_likelihood(family.expected(posterior, N_COMPONENTS), x),
                family.predictive_log_density(posterior, x),
            ):
                np.testing.assert_allclose(got, plugged_in, rtol=0, atol=scale)


@variational
@pytest.mark.parametrize("weights", ["dirichlet", "sticks", "many-sticks"])
def test_fitted_concentration_raises_the_bound(case: Case, weights: str) -> None:
    """Empirical Bayes of the weights between steps of CAVI."""
    prior, rows, model = prior_of(case, weights), case.rows, case.model
    state = VariationalState(posterior_after(case, prior, rows))
    found = []
    for _ in range(15):
        [with_old_prior] = elbos(case, rows, prior, state.params, 1)
        prior = replace(prior, weights=state.params.weights.best_prior(prior.weights))
        state, info = CAVI(model, prior).step(state, lambda p: model.expected_statistics(p, rows))
        found += [with_old_prior, info.objective]
    assert np.diff(found).min() >= -1e-10 * np.abs(found).max()
    assert found[1] > found[0] + 1e-3


# -- stochastic steps


@variational
@every_weight_prior
def test_step_towards_the_target_is_the_natural_gradient(case: Case, weights: str) -> None:
    """The bound's slope in any direction is its product with the step in the metric of the divergence."""
    prior, rows, model = prior_of(case, weights), case.rows, case.model
    labels = np.where(np.arange(len(rows)) < 200, np.arange(len(rows)) % N_COMPONENTS, -1)
    here = posterior_after(case, prior, replace(rows, labels=labels.astype(np.int32)))
    target = model.update(prior, model.expected_statistics(model.expected(here), rows)[0])
    aside = posterior_after(case, prior, rows.take(np.arange(300)))
    t = 1e-3

    def bound(other: Any, h: float) -> float:
        return float(elbos(case, rows, prior, model.blend(here, other, h), 1)[0])

    def half_length(other: Any, h: float) -> float:
        of_weights, of_components = model.divergence(model.blend(here, other, h), here)
        return (of_weights + float(np.sum(of_components))) / h**2

    def length(other: Any) -> float:
        """Squared, of the way to ``other``."""
        return 4 * half_length(other, t) - 2 * half_length(other, 2 * t)

    for other in (target, aside):
        slope = (4 * bound(other, t) - bound(other, 2 * t) - 3 * bound(other, 0.0)) / (2 * t)
        # the squared length of a sum is those of its parts and twice their product
        sum_of_both = 4 * length(model.blend(target, other, 0.5))
        product = (sum_of_both - length(target) - length(other)) / 2
        scale = np.sqrt(length(target) * length(other))
        assert slope == pytest.approx(product, abs=1e-3 * scale)


@variational
@every_weight_prior
def test_whole_steps_on_all_data_are_those_of_cavi(case: Case, weights: str) -> None:
    prior, rows = prior_of(case, weights), case.weighted_rows
    start = posterior_after(case, prior, rows)
    stochastic = StochasticVI(case.model, prior, rows.total_weight(), forgetting=0.0)
    pairs = zip(
        steps(stochastic, case, rows, start, 4),
        steps(CAVI(case.model, prior), case, rows, start, 4),
        strict=True,
    )
    for (state, info), (expected_state, expected_info) in pairs:
        assert_identical(state.params, expected_state.params)
        assert info.objective == expected_info.objective


@variational
@every_weight_prior
def test_batches_are_unbiased(case: Case, weights: str) -> None:
    """The mean over equal batches of the target, in natural coordinates, and of the bound, is that of all data."""
    prior, rows, model = prior_of(case, weights), case.rows, case.model
    start = posterior_after(case, prior, rows)
    rule: Any = StochasticVI(model, prior, rows.total_weight(), forgetting=0.0)

    def target(batch: Rows) -> tuple[Any, float]:
        state, info = rule.step(
            rule.init(start), lambda p: model.expected_statistics(p, batch), batch.total_weight()
        )
        return state.params, info.objective

    targets, objectives = zip(*map(target, rows.shards(len(rows) // 4)), strict=True)
    mean = targets[0]
    for n, other in enumerate(targets[1:], 2):
        mean = model.blend(mean, other, 1 / n)
    expected, objective = target(rows)
    assert_near(mean, expected, 1e-11)
    assert np.mean(objectives) == pytest.approx(objective, rel=1e-11)


@variational
def test_shrinking_steps_raise_the_bound_of_all_data(case: Case) -> None:
    prior, rows, model = prior_of(case), case.rows, case.model
    rule: Any = StochasticVI(model, prior, rows.total_weight(), delay=4.0)
    state = rule.init(posterior_after(case, prior, rows.take(np.arange(30))))
    start = state.params
    for batch in (batch for _ in range(4) for batch in rows.shards(100)):
        state, _ = rule.step(
            state, lambda p, batch=batch: model.expected_statistics(p, batch), 100.0
        )
    before, after = (elbos(case, rows, prior, h, 1)[0] for h in (start, state.params))
    best = elbos(case, rows, prior, state.params, 100)[-1]
    assert after > before
    assert best - after < 0.2 * (best - before)
