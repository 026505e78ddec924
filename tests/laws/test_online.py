"""Online EM on every model: what a step never does, its limits, and the minimum that it is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import special

from latentcore import engine
from latentcore.arrays import Rows
from latentcore.rules.em import EM, MAPEM, EMState
from latentcore.rules.online import Batch, FiniteSample, OnlineEM, OnlineState
from latentcore.rules.steps import ConstantStep
from latentcore.sequences import Sequences
from latentcore.structures.chains import stationary_distribution
from latentcore.structures.hmm import HMM, HMMParams
from latentcore.structures.mixture import Mixture, MixtureParams
from latentcore.structures.topology import Topology
from laws.cases import (
    MODELS,
    N_COMPONENTS,
    N_ROWS,
    PRECISIONS,
    TRANSITION,
    Array,
    Case,
    ChainCase,
    assert_identical,
    assert_near,
    cases,
    every_chain,
    every_double_case,
    every_double_model,
    every_model,
    leaves,
    permuted,
)

ETAS = (0.05, 0.5, 3.0)


def batch_of(case: Case, rows: Any) -> Batch:
    """Sequences count by their weight, and so do their lengths."""
    n = len(rows) if case.lengths is None else rows.n_sequences
    weight = np.ones(n) if rows.sample_weight is None else rows.sample_weight
    if case.lengths is None:
        return Batch(float(weight.sum()))
    return Batch(float(weight.sum()), rows.lengths, weight)


def stepped(
    case: Case, rows: Any, eta: float, *, start: Any = None, n: int = 1, model: Any = None, **how: Any
) -> Any:  # fmt: skip
    """The parameters after n steps on the same batch."""
    model = case.model if model is None else model
    rule: OnlineEM[Any, Any] = OnlineEM(model, ConstantStep(eta), **how)
    state = rule.init(case.params if start is None else start)
    for _ in range(n):
        state, _ = rule.step(
            state, lambda p: model.expected_statistics(p, rows), batch_of(case, rows)
        )
    return state.params


def assert_never_increases_the_loss(
    case: Case, rows: Any, model: Any, eta: float, start: Any = None
) -> None:
    """From batch to batch the loss may do anything; that of the batch itself does not rise."""
    rounding = 1e-11 if case.dtype is np.float64 else 1e-6
    params = case.params if start is None else start
    for part in (rows, *rows.shards(N_ROWS // 2)):
        before = model.expected_statistics(params, part)[1]
        params = stepped(case, part, eta, start=params, model=model)
        after = model.expected_statistics(params, part)[1]
        assert after - before >= -rounding * (1 + abs(before))
        assert part is not rows or after > before  # the start is no fixed point


# -- what a step never does


@every_model
@pytest.mark.parametrize("eta", ETAS)
def test_a_step_never_increases_the_loss_of_its_batch(case: Case, eta: float) -> None:
    assert_never_increases_the_loss(case, case.weighted_rows, case.model, eta)


def some_labels(rows: Any) -> Any:
    labels = np.random.default_rng(8).integers(-2 * N_COMPONENTS, N_COMPONENTS, len(rows))
    return replace(rows, labels=np.maximum(labels, -1).astype(np.int32))


@every_model
@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
def test_nor_where_components_are_known_or_decided(case: Case, hard: bool) -> None:
    rows = some_labels(case.weighted_rows)
    for model in (replace(case.model, hard=True),) if hard else (case.model,):
        assert_never_increases_the_loss(case, rows, model, 0.5)


@cases(lambda of: of.missing, PRECISIONS, MODELS)
def test_nor_where_entries_are_missing(case: Case) -> None:
    x = case.rows.x.copy()
    x[np.random.default_rng(9).uniform(size=x.shape) < 0.2] = np.nan
    for eta in ETAS:
        assert_never_increases_the_loss(case, replace(case.weighted_rows, x=x), case.model, eta)


TIES = np.array([[0, -1, -1], [-1, 0, -1], [-1, -1, 0]])
TOPOLOGIES = {
    "ties": Topology(ties=TIES),
    "fixed": Topology(
        start="fixed", fixed_transitions=np.array([TRANSITION[0], *[[np.nan] * 3] * 2])
    ),
    "stationary": Topology(start="stationary"),
}


@cases(lambda of: of.name in ("poisson", "gaussian-tied"), structures=(ChainCase,))
@pytest.mark.parametrize("kind", TOPOLOGIES)
def test_nor_where_the_chain_is_not_free(case: Case, kind: str) -> None:
    model, start = replace(case.model, topology=TOPOLOGIES[kind]), case.params
    stats, _ = model.expected_statistics(start, case.rows)
    start = model.maximize(stats, start)  # a chain of this kind
    for eta in ETAS:
        assert_never_increases_the_loss(case, case.weighted_rows, model, eta, start)


@every_double_case
def test_nor_where_weights_are_equal(case: Case) -> None:
    model = replace(case.model, equal_weights=True)
    start = replace(case.params, weights=np.full(N_COMPONENTS, 1 / N_COMPONENTS))
    assert_never_increases_the_loss(case, case.weighted_rows, model, 0.5, start)
    after = stepped(case, case.weighted_rows, 0.5, start=start, model=model)
    assert_identical(after.weights, start.weights)


@every_chain
def test_nor_where_the_sequence_is_endless(case: Case) -> None:
    """A batch of rows, whose first is no first: its law is kept, and inertia is that of stationary rows."""
    model = replace(case.model, topology=Topology(start="fixed"))
    rows = replace(case.rows, begins=np.array([0, N_ROWS]))
    start = replace(case.params, initial=stationary_distribution(TRANSITION))
    for eta in ETAS:
        rule: Any = OnlineEM(model, ConstantStep(eta))
        before = model.expected_statistics(start, rows)
        state, _ = rule.step(OnlineState(start), lambda _, s=before: s, Batch(N_ROWS))
        assert_identical(state.params.initial, start.initial)
        assert model.expected_statistics(state.params, rows)[1] > before[1]


# -- limits


@every_model
def test_infinite_eta_is_em(case: Case) -> None:
    rows, model = case.weighted_rows, case.model
    state, _ = EM(model).step(EMState(case.params), lambda p: model.expected_statistics(p, rows))
    for inertia in ("model", "running"):
        assert_near(stepped(case, rows, math.inf, inertia=inertia), state.params, 1e-13)
    assert_near(stepped(case, rows, 1e12), state.params, 1e-8)


@cases(lambda of: of.prior, structures=MODELS)
def test_infinite_eta_with_the_prior_of_all_data_is_map_em(case: Case) -> None:
    rows, model, prior = case.weighted_rows, case.model, case.prior(5.0)
    expected, info = MAPEM(model, prior).step(
        EMState(case.params), lambda p: model.expected_statistics(p, rows)
    )
    weight = batch_of(case, rows).weight
    for total_weight in (None, weight):  # all that the first step can remember is its batch
        got = stepped(case, rows, math.inf, prior=prior, total_weight=total_weight)
        assert_near(got, expected.params, 1e-12)
    rule: OnlineEM[Any, Any] = OnlineEM(model, prior=prior)
    _, online = rule.step(
        rule.init(case.params), lambda p: model.expected_statistics(p, rows), Batch(weight, case.lengths)
    )  # fmt: skip
    assert online.objective == pytest.approx(info.objective, rel=1e-12)


@every_double_model
def test_eta_zero_stays(case: Case) -> None:
    for how in ({}, {"inertia": "running"}, {"averaging": True}):
        assert_identical(stepped(case, case.rows, 0.0, n=2, **how), case.params)


@every_double_model
def test_small_steps_are_small_and_point_the_same_way(case: Case) -> None:
    """``(theta(eta) - theta) / eta`` has a limit, which it nears in proportion to eta."""

    def velocity(eta: float) -> Array:
        pairs = zip(leaves(stepped(case, case.rows, eta)), leaves(case.params), strict=True)
        return np.concatenate([np.ravel(new - old) for new, old in pairs]) / eta

    first, second, third = (velocity(eta) for eta in (4e-3, 2e-3, 1e-3))
    bend, half = np.abs(first - second).max(), np.abs(second - third).max()
    assert half == pytest.approx(bend / 2, rel=0.05)
    assert half < 0.1 * np.abs(third).max()


@cases(lambda of: of.apart and of.name != "numpy-poisson", structures=MODELS)
def test_a_component_that_fades_breaks_nothing(case: Case) -> None:
    """Without rows its weight halves in each step, down to the end of the range of a double and to 0."""
    assert_breaks_nothing(case, "model")
    if not case.of.name.endswith("user"):  # who divides by the smallest of counts
        assert_breaks_nothing(case, "running")


def assert_breaks_nothing(case: Case, inertia: Any) -> None:
    assert case.of.apart is not None
    components, x = case.of.apart(case.rng)
    near = case.of.log_density(components, x).argmax(axis=1) < 2
    law = np.array([0.6, 0.4, 1e-300])
    state: Any
    if case.lengths is None:
        rows: Any = Rows(np.ascontiguousarray(x[near][:100]))
        state = OnlineState(MixtureParams(law, components))
    else:
        rows = Sequences(np.ascontiguousarray(x[near][:100]), np.arange(0, 101, 10))
        state = OnlineState(HMMParams(law, np.tile(law, (3, 1)), components))
    rule: OnlineEM[Any, Any] = OnlineEM(case.model, ConstantStep(1.0), inertia)
    objectives = []
    for _ in range(85):
        state, info = rule.step(
            state, lambda p: case.model.expected_statistics(p, rows), batch_of(case, rows)
        )
        objectives.append(info.objective)
        assert all(np.isfinite(leaf).all() for leaf in leaves(state.params))
    assert np.diff(objectives).min() >= -1e-11 * (1 + np.abs(objectives).max())
    weights = state.params.weights if case.lengths is None else state.params.transition[0]
    assert weights[2] == 0.0


# -- symmetries


@every_model
def test_relabelled_steps_are_steps_relabelled(case: Case) -> None:
    order = [2, 0, 1]
    expected = permuted(stepped(case, case.rows, 0.5, n=3), order)
    got = stepped(case, case.rows, 0.5, n=3, start=permuted(case.params, order))
    assert_near(got, expected, 20 * case.tolerance)


@every_model
def test_weight_two_is_twice(case: Case) -> None:
    rows, rng = case.rows, np.random.default_rng(4)
    repeats = rng.integers(0, 4, case.n_observations)
    again = rows.take(np.repeat(np.arange(case.n_observations), repeats))
    weighted = replace(rows, sample_weight=repeats.astype(np.float64))
    for inertia in ("model", "running"):
        expected = stepped(case, again, 0.5, n=2, inertia=inertia)
        got = stepped(case, weighted, 0.5, n=2, inertia=inertia)
        assert_near(got, expected, 20 * case.tolerance)
        scaled = replace(weighted, sample_weight=7.0 * weighted.sample_weight)
        assert_near(stepped(case, scaled, 0.5, n=2, inertia=inertia), got, 20 * case.tolerance)


@every_double_model
def test_threads_and_shards_do_not_matter(case: Case) -> None:
    rows, rule = case.rows, OnlineEM(case.model, ConstantStep(0.5))

    def after(shard_rows: int, n_threads: int) -> Any:
        expectation = engine.expectation(case.model, rows, shard_rows, n_threads)
        return rule.step(OnlineState(case.params), expectation, batch_of(case, rows))[0].params

    assert_identical(after(100, 4), after(100, 1))
    assert_near(after(100, 1), after(N_ROWS, 1), 1e-11)
    backwards = list(rows.shards(100))[::-1]

    def summed(params: Any) -> Any:
        parts = [case.model.expected_statistics(params, part) for part in backwards]
        stats = parts[0][0]
        for part in parts[1:]:
            stats = stats + part[0]
        return stats, sum(part[1] for part in parts)

    other = rule.step(OnlineState(case.params), summed, batch_of(case, rows))[0].params
    assert_near(other, after(100, 1), 1e-11)


# -- the two kinds of inertia


@cases(lambda of: of.name != "multinomial-varying")
def test_in_mixtures_both_kinds_of_inertia_are_the_same(case: Case) -> None:
    """As far as one observation of a component is worth the same in all; the totals of rows of counts are data."""
    rows = case.weighted_rows
    states: dict[Any, Any] = dict.fromkeys(("model", "running"), OnlineState(case.params))
    for part in list(rows.shards(100)) * 3:
        for inertia, state in states.items():
            rule: Any = OnlineEM(case.model, ConstantStep(0.3), inertia)
            states[inertia], _ = rule.step(
                state, lambda p, part=part: case.model.expected_statistics(p, part), batch_of(case, part)
            )  # fmt: skip
    assert_near(states["model"].params, states["running"].params, 1e-9)


@cases(structures=(ChainCase,))
def test_in_chains_they_are_not(case: Case) -> None:
    """The counts of states that the laws of a chain imply are in general not those that made the laws."""
    by_model, running = (
        stepped(case, case.rows, 0.3, n=4, inertia=inertia) for inertia in ("model", "running")
    )
    assert np.abs(by_model.transition - running.transition).max() > 1e-6
    first = [stepped(case, case.rows, 0.3, inertia=i) for i in ("model", "running")]
    assert_near(first[0], first[1], 1e-12)


# -- priors: where steps end


@cases(lambda of: of.prior and not of.hidden, structures=MODELS)
def test_with_a_prior_steps_end_at_the_mode_whatever_their_size(case: Case) -> None:
    """All components are known, so that the mode is in closed form; the prior does not grow as eta falls."""
    labels = np.random.default_rng(8).integers(N_COMPONENTS, size=N_ROWS).astype(np.int32)
    rows, prior = replace(case.weighted_rows, labels=labels), case.prior(40.0)
    stats, _ = case.model.expected_statistics(case.params, rows)
    mode = case.model.mode(case.model.update(prior, stats), case.params)
    likeliest = case.model.maximize(stats, case.params)
    apart = max(np.abs(a - b).max() for a, b in zip(leaves(mode), leaves(likeliest), strict=True))
    weight = batch_of(case, rows).weight
    for eta in (0.2, 2.0):
        n = math.ceil(18 / math.log1p(eta))  # the start is forgotten
        for inertia in ("model", "running"):
            got = stepped(case, rows, eta, n=n, inertia=inertia, prior=prior, total_weight=weight)
            for value, truth in zip(leaves(got), leaves(mode), strict=True):
                np.testing.assert_allclose(value, truth, rtol=0, atol=1e-6 * apart)


# -- inertia of drawn observations


DRAWN: list[Any] = []


class SpyMixture(Mixture[Any, Any]):
    def expected_statistics(self, params: Any, data: Any) -> Any:
        DRAWN.append(data)
        return Mixture.expected_statistics(self, params, data)


class SpyHMM(HMM[Any, Any]):
    def expected_statistics(self, params: Any, data: Any) -> Any:
        DRAWN.append(data)
        return HMM.expected_statistics(self, params, data)


samplers = cases(lambda of: hasattr(of.family, "sample"), structures=MODELS)


@samplers
def test_drawn_inertia_is_em_on_the_batch_and_the_draws(case: Case) -> None:
    """Weights eta / (N (1 + eta)) and 1 / (N' (1 + eta)); hidden variables of the draws by their posterior."""
    eta, n, rows, model = 0.5, 70, case.weighted_rows, case.model
    spy: Any = SpyHMM if isinstance(model, HMM) else SpyMixture
    DRAWN.clear()
    how: dict[str, Any] = {"inertia": FiniteSample(n, seed=3)}
    got = stepped(case, rows, eta, model=spy(case.of.family), **how)
    [drawn] = [data for data in DRAWN if data is not rows]
    real, _ = model.expected_statistics(case.params, rows)
    simulated, _ = model.expected_statistics(case.params, drawn)
    expected = model.maximize(
        real * (eta / (batch_of(case, rows).weight * (1 + eta)))
        + simulated * (1 / (n * (1 + eta))),
        case.params,
    )
    assert_near(got, expected, 1e-11)
    assert_identical(stepped(case, rows, eta, **how), got)
    other = stepped(case, rows, eta, inertia=FiniteSample(n, seed=4))
    assert any((a != b).any() for a, b in zip(leaves(got), leaves(other), strict=True))


@cases(lambda of: hasattr(of.family, "sample") and not of.hidden)
def test_a_step_minimises_bound_and_relative_entropy(case: Case) -> None:
    """By densities of SciPy, the relative entropy as a mean over draws: no model around does better."""
    eta, n, rows, old = 0.5, 300, case.rows, case.params
    DRAWN.clear()
    best = stepped(case, rows, eta, model=SpyMixture(case.of.family), inertia=FiniteSample(n))
    [drawn] = [data for data in DRAWN if data is not rows]
    joints = [case.slow_log_joint(old, data) for data in (rows, drawn)]
    posteriors = [special.softmax(joint, axis=1) for joint in joints]

    def objective(params: Any) -> float:
        parts = zip(posteriors, (rows, drawn), (1.0, 1 / eta), strict=True)
        return sum(
            -scale * float((r * case.slow_log_joint(params, data)).sum()) / len(data)
            for r, data, scale in parts
        )

    stats = case.model.model_statistics(best)
    rng, top = np.random.default_rng(5), objective(best)
    assert top < objective(old)
    for size in (0.3, 0.03, 0.003):
        for _ in range(3):
            other = MixtureParams(rng.dirichlet(np.ones(3)), case.of.parameters(rng))
            near = case.model.maximize(stats + size * case.model.model_statistics(other), best)
            assert objective(near) > top


def assert_unbiased(case: Case, lengths: Any, weights: Any) -> None:
    """The means over many draws lie within five standard errors of what the model expects."""

    def figures(stats: Any) -> Array:
        chain = [stats.starts, stats.transitions] if isinstance(case, ChainCase) else []
        of_family = stats.emissions if isinstance(case, ChainCase) else stats.components
        return np.concatenate(
            [np.ravel(a) for a in (*chain, stats.counts, case.of.sums(of_family))]
        )

    model, params, rng = case.model, case.params, np.random.default_rng(5)
    draws = np.array(
        [figures(model.sampled_statistics(params, 100, rng, lengths, weights)) for _ in range(40)]
    )
    exact = figures(model.model_statistics(params, lengths, weights))
    error = draws.std(axis=0, ddof=1) / math.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - exact) <= 5 * error + 1e-12 * np.abs(exact).max()).all()


@samplers
def test_drawn_inertia_is_unbiased(case: Case) -> None:
    if case.lengths is None:
        assert_unbiased(case, None, None)
    else:
        assert_unbiased(case, np.array([1, 2, 9]), np.array([1.0, 3.0, 2.0]))


@cases(lambda of: hasattr(of.family, "sample"), structures=(ChainCase,))
def test_drawn_inertia_of_endless_sequences_is_unbiased(case: Case) -> None:
    """A stationary one is so from its first row on."""
    assert_unbiased(case, None, None)
