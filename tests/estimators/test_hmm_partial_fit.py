"""Hidden Markov models that learn from a stream: the steps, where they lead, and what they survive."""

from __future__ import annotations

import copy
import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hmmlearn import hmm as hmmlearn
from scipy import sparse

import latentcore
from estimators.drawn_rows import RATES
from estimators.hmm_cases import (
    CASES,
    CHAIN,
    LENGTHS,
    SHORT,
    STARTPROB,
    TRANSMAT,
    Case,
    Z,
    assert_same,
    cases,
    enumerated,
    from_truth,
    missing_cases,
    parameters,
    prior_cases,
    quiet,
)
from latentcore import GaussianHMM, Online, PoissonHMM
from latentcore.errors import NotFittedError
from latentcore.families.poisson import PoissonParams
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.rules.online import FiniteSample
from latentcore.rules.steps import PowerStep, eta_of
from latentcore.structures.chains import stationary_distribution
from latentcore.structures.hmm import HMMPrior
from latentcore.structures.topology import Topology

INF = float("inf")
POISSON = next(case for case in CASES if case.name == "poisson")
ENDLESS = Online(horizon="endless")


def poisson(**kwargs: Any) -> PoissonHMM:
    return PoissonHMM.from_params(*CHAIN, RATES).set_params(**kwargs)


def same_stream(ours: Any, theirs: Any) -> None:
    """Bit for bit."""
    assert_same(ours, theirs)
    assert ours.lower_bounds_ == theirs.lower_bounds_
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.n_samples_seen_ == theirs.n_samples_seen_


# -- limits of a step


@quiet
@cases
@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_infinite_step_is_an_iteration_of_baum_welch(case: Case, assignment: str) -> None:
    given = {
        "lengths": LENGTHS,
        "sample_weight": np.array([1.0, 0.0, 2.0, 0.5]),
        "labels": np.where(np.arange(120) % 7 == 3, Z, -1),
    }
    batch = from_truth(case, max_iter=1, tol=0.0, assignment=assignment).fit(case.x, **given)
    stream = from_truth(case, online=INF, assignment=assignment).partial_fit(case.x, **given)
    assert_same(stream, batch, rtol=1e-10, atol=1e-12)
    assert stream.lower_bounds_ == [pytest.approx(batch.lower_bounds_[0], rel=1e-12)]
    assert stream.n_samples_seen_ == 119


@quiet
@cases
def test_first_batch_makes_the_start_of_a_fit(case: Case) -> None:
    given = {"lengths": LENGTHS, "labels": np.where(np.arange(120) % 7 == 3, Z, -1)}
    batch = case.make(2, random_state=0, max_iter=1, tol=0.0).fit(case.x, **given)
    stream = case.make(2, random_state=0, online=INF).partial_fit(case.x, **given)
    assert_same(stream, batch, rtol=1e-9, atol=1e-11)
    if case.name != "a user's own":
        assert "learned from a stream of 120 rows; 1 steps" in stream.summary()


@quiet
@missing_cases
def test_infinite_step_takes_missing_entries_as_fit_does(case: Case) -> None:
    x = np.array(case.x, np.float64)
    x[5], x[11, 0] = np.nan, np.nan
    batch = from_truth(case, max_iter=1, tol=0.0).fit(x, lengths=LENGTHS)
    stream = from_truth(case, online=INF).partial_fit(x, lengths=LENGTHS)
    assert_same(stream, batch, rtol=1e-10, atol=1e-12)


@quiet
@pytest.mark.parametrize("case", [c for c in CASES if c.name != "a user's own"], ids=str)
def test_infinite_step_takes_rows_without_an_observation_as_fit_does(case: Case) -> None:
    x = np.array(case.x, np.float64)
    x[5:8] = np.nan
    batch = from_truth(case, max_iter=1, tol=0.0).fit(x, lengths=LENGTHS)
    stream = from_truth(case, online=INF).partial_fit(x, lengths=LENGTHS)
    assert_same(stream, batch, rtol=1e-10, atol=1e-12)


@quiet
@prior_cases
def test_infinite_step_with_a_prior_is_one_of_map_em(case: Case) -> None:
    batch = from_truth(case, max_iter=1, tol=0.0, prior="weak").fit(case.x, lengths=LENGTHS)
    stream = from_truth(case, online=INF, prior="weak").partial_fit(case.x, lengths=LENGTHS)
    assert_same(stream, batch, rtol=1e-10, atol=1e-12)
    assert stream.lower_bound_ == pytest.approx(batch.lower_bounds_[0], rel=1e-12)


@cases
def test_step_of_size_zero_stays(case: Case) -> None:
    model = from_truth(case, online=0.0)
    before = copy.deepcopy(parameters(model))
    model.partial_fit(case.x, lengths=LENGTHS).partial_fit(case.x)
    for name, value in parameters(model).items():
        np.testing.assert_array_equal(value, before[name])
    assert model.n_samples_seen_ == 240


# -- a step


@pytest.mark.parametrize("horizon", ["batch", "endless"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_step_blends_expectations_of_all_paths_with_those_of_the_model(
    horizon: Any, weighted: bool
) -> None:
    eta = 0.7
    sequences = [POISSON.x[part] for part in SHORT]
    weight = np.array([2.0, 0.5, 1.0]) if weighted else np.ones(3)
    truths = [enumerated(POISSON, poisson(), x) for x in sequences]
    laws = [w * truth.laws for w, truth in zip(weight, truths, strict=True)]
    pairs = sum(w * truth.transitions for w, truth in zip(weight, truths, strict=True))
    if horizon == "batch":
        n = weight.sum()
        powers = [STARTPROB @ np.linalg.matrix_power(TRANSMAT, t) for t in range(6)]
        visited = sum(w * sum(powers[: len(x)]) for w, x in zip(weight, sequences, strict=True)) / n
        left = (
            sum(w * sum(powers[: len(x) - 1]) for w, x in zip(weight, sequences, strict=True)) / n
        )
        startprob = STARTPROB + eta * sum(law[0] for law in laws) / n
        startprob /= 1 + eta
    else:
        n = weight @ [len(x) for x in sequences]
        visited = left = np.array([2.0, 1.0]) / 3
        startprob = STARTPROB
    transitions = left[:, None] * TRANSMAT + eta * pairs / n
    sums = sum(law.T @ x for law, x in zip(laws, sequences, strict=True))
    counts = visited + eta * sum(law.sum(axis=0) for law in laws) / n
    rates = (visited[:, None] * RATES + eta * sums / n) / counts[:, None]
    model = poisson(online=Online(eta, horizon=horizon))
    model.partial_fit(sequences, sample_weight=weight if weighted else None)
    np.testing.assert_allclose(model.startprob_, startprob, atol=1e-12)
    shares = transitions / transitions.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.transmat_, shares, atol=1e-12)
    np.testing.assert_allclose(model.rates_, rates, atol=1e-10)


@quiet
@pytest.mark.parametrize("horizon", ["batch", "endless"])
@pytest.mark.parametrize("prior", [None, "weak"], ids=["no prior", "prior"])
def test_the_same_batch_again_and_again_leads_to_its_maximum_and_never_down(
    horizon: Any, prior: Any
) -> None:
    """With the prior weighed against the batch: no matter how small the steps are, it counts once."""
    online = Online(0.5, horizon=horizon)
    stream = poisson(prior=prior, online=online)
    n = len(LENGTHS) if horizon == "batch" else 120
    for _ in range(200):
        stream.partial_fit(POISSON.x, lengths=LENGTHS, total_weight=n)
    assert np.diff(stream.lower_bounds_).min() > -1e-12
    fixed = Topology(start="fixed") if horizon == "endless" else None  # the start law is kept
    batch = poisson(prior=prior, warm_start=True, tol=0.0, max_iter=200, topology=fixed)
    batch.fit(POISSON.x, lengths=LENGTHS)
    assert_same(stream, batch, rtol=1e-6, atol=1e-7)


@quiet
@cases
@pytest.mark.parametrize("online", [Online(), ENDLESS], ids=["batch", "endless"])
def test_streams_come_near_the_fit_to_all_rows(case: Case, online: Online) -> None:
    if case.name == "a user's own":  # nothing to draw from
        return
    truth = case.given(random_state=np.random.default_rng(3))
    x, _ = truth.sample([50] * 60)
    fit = from_truth(case).fit(x, lengths=[50] * 60)
    stream = from_truth(case, online=online)
    for rows in np.split(x, 20):
        stream.partial_fit(rows, lengths=[50] * 3)
    lengths = [50] * 60
    gained = fit.score(x, lengths=lengths) - stream.score(x, lengths=lengths)
    # the fit gains half a nat for each parameter over the truth; a stream is allowed as much again
    df = case.n_parameters + 3
    assert -1e-3 < gained < 2.0 * df / len(x)


# -- a sequence in blocks


def blocks_of(x: Any, rows: int) -> list[Any]:
    return [x[begin : begin + rows] for begin in range(0, len(x), rows)]


def test_blocks_have_the_likelihood_of_the_whole_sequence() -> None:
    for assignment, total in (
        ("soft", poisson().loglik(POISSON.x)),
        ("hard", poisson().decode(POISSON.x)[0]),
    ):
        model = poisson(online=Online(0.0, horizon="endless"), assignment=assignment)
        for n, block in enumerate(np.split(POISSON.x, [1, 20, 50])):
            model.partial_fit(block, continues=n > 0)
        values = np.array(model.lower_bounds_) @ [1, 19, 30, 70]
        assert values == pytest.approx(total, rel=1e-12)


def test_transition_across_the_cut_counts() -> None:
    first, second = POISSON.x[4:8], POISSON.x[8:12]
    model = poisson(online=Online(0.0, horizon="endless")).partial_fit(first)
    model.set_params(online=Online(INF, horizon="endless")).partial_fit(second, continues=True)
    law = enumerated(POISSON, poisson(), first).laws[-1]
    joint = enumerated(POISSON, poisson(), np.vstack([first[-1:], second]))
    # the first row's states with the law of the cut in the place of startprob and the row's density
    one = enumerated(POISSON, poisson(), first[-1:]).log_joint
    shares = joint.log_joint + (np.log(law) - one)[joint.paths[:, 0]]
    shares = np.exp(shares - np.logaddexp.reduce(shares))
    counts = np.zeros((2, 2))
    for path, share in zip(joint.paths, shares, strict=True):
        np.add.at(counts, (path[:-1], path[1:]), share)
    expected = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.transmat_, expected, atol=1e-12)
    np.testing.assert_array_equal(model.startprob_, STARTPROB)


@quiet
@cases
def test_forward_only_steps_are_on_the_statistics_of_the_whole_sequence(case: Case) -> None:
    """No parameters move in the first fifty rows; blocks count alike by steps rho = 1/t."""
    x = case.x[:54]
    online = Online(PowerStep(1.0, 0.0), inertia="forward-only")
    model = from_truth(case, online=online)
    before = copy.deepcopy(parameters(model))
    for n, block in enumerate(blocks_of(x, 6)):
        if n:
            for name, value in parameters(model).items():
                np.testing.assert_array_equal(value, before[name])
        model.partial_fit(block, continues=n > 0)
    batch = from_truth(case, max_iter=1, tol=0.0, topology=Topology(start="fixed")).fit(x)
    assert_same(model, batch, rtol=1e-9, atol=1e-10)


@quiet
def test_forward_only_steps_weigh_a_prior_against_all_rows() -> None:
    x = POISSON.x[:54]
    prior = HMMPrior(
        np.array([3.0, 1.0]), 1 + 2 * np.eye(2), GammaPrior(np.full((1, 3), 3.0), np.ones((1, 3)))
    )
    model = poisson(online=Online(PowerStep(1.0, 0.0), inertia="forward-only"), prior=prior)
    for n, block in enumerate(blocks_of(x, 6)):
        model.partial_fit(block, continues=n > 0)
    batch = poisson(prior=prior, warm_start=True, max_iter=1, tol=0.0)
    batch.set_params(topology=Topology(start="fixed")).fit(x)
    assert_same(model, batch, rtol=1e-9)
    assert abs(model.transmat_ - poisson().transmat_).max() > 0.01


@pytest.mark.parametrize("inertia", ["model", "running", "forward-only"])
def test_endless_sequence_is_learned(inertia: Any) -> None:
    rng = np.random.default_rng(4)
    truth = PoissonHMM.from_params(*CHAIN, RATES, random_state=rng)
    x, _ = truth.sample(30_000)
    start = PoissonHMM.from_params([0.5, 0.5], [[0.6, 0.4], [0.4, 0.6]], 0.5 * RATES + 2)
    start.set_params(online=Online(inertia=inertia, horizon="endless"))
    for n, block in enumerate(np.split(x, 300)):
        start.partial_fit(block, continues=n > 0)
    np.testing.assert_allclose(start.transmat_, TRANSMAT, atol=0.03)
    np.testing.assert_allclose(start.rates_, RATES, rtol=0.06)
    assert truth.score(x) - start.score(x) < 2e-3


@pytest.mark.parametrize("inertia", ["model", "running", "forward-only"])
def test_constant_step_follows_a_chain_that_changes(inertia: Any) -> None:
    rng = np.random.default_rng(5)
    before = PoissonHMM.from_params(*CHAIN, RATES, random_state=rng)
    switched = [[0.3, 0.7], [0.6, 0.4]]
    after = PoissonHMM.from_params(STARTPROB, switched, RATES + 2, random_state=rng)
    x = np.vstack([before.sample(5000)[0], after.sample(5000)[0]])
    moving = poisson(online=Online(0.1, inertia=inertia, horizon="endless"))
    slowing = poisson(online=Online(inertia=inertia, horizon="endless"))
    for model in (moving, slowing):
        for n, block in enumerate(np.split(x, 100)):
            model.partial_fit(block, continues=n > 0)
    late = x[-2000:]
    np.testing.assert_allclose(moving.transmat_, after.transmat_, atol=0.08)
    lost = [after.score(late) - model.score(late) for model in (moving, slowing, before)]
    assert lost[0] < 0.02
    assert lost[0] < 0.5 * lost[1] < 0.5 * lost[2]


# -- what a stream survives

STREAMS: dict[str, dict[str, Any]] = {
    "batch": {},
    "running": {"online": Online(inertia="running")},
    "averaging": {"online": Online(averaging=True)},
    "endless": {"online": Online(0.3, horizon="endless")},
    "endless running": {"online": Online(inertia="running", horizon="endless", averaging=True)},
    "forward-only": {"online": Online(inertia="forward-only")},
    "hard": {"online": ENDLESS, "assignment": "hard"},
    "prior": {"online": ENDLESS, "prior": "weak"},
    "automatic": {"online": Online("auto", horizon="endless")},
    "automatic running": {"online": Online("auto", inertia="running", averaging=True)},
    "drawn": {"online": Online(inertia=FiniteSample(50))},
}
every_stream = pytest.mark.parametrize("options", STREAMS.values(), ids=STREAMS.keys())


def is_endless(model: Any) -> bool:
    online = model.online or Online()
    return online.horizon == "endless" or online.inertia == "forward-only"


def advanced(model: Any, x: Any, first: int, stop: int) -> Any:
    for n, block in enumerate(blocks_of(x, 15)):
        if first <= n < stop:
            model.partial_fit(block, lengths=[10, 5], continues=is_endless(model) and n > 0)
    return model


def copies(model: Any, path: Path) -> list[Any]:
    model.save(path / "model.npz")
    return [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        latentcore.load(path / "model.npz"),
    ]


@every_stream
@pytest.mark.parametrize("stop", [1, 3], ids=["waiting", "amid"])
def test_stream_goes_on_from_copies_bit_for_bit(
    options: dict[str, Any], stop: int, tmp_path: Path
) -> None:
    x = POISSON.x
    model = advanced(PoissonHMM(2, random_state=0, **options), x, 0, stop)
    others = copies(model, tmp_path)
    advanced(model, x, stop, 8)
    for other in others:
        same_stream(advanced(other, x, stop, 8), model)


@pytest.mark.parametrize("inertia", ["model", "forward-only"])
def test_files_hold_where_a_chain_cannot_be(inertia: Any, tmp_path: Path) -> None:
    """A state of probability 0 after the latest row: left for good, or known not to be."""
    online = Online(0.3, inertia=inertia, horizon="endless")
    model, x = poisson(online=online), POISSON.x[:40]
    model.partial_fit(x, labels=np.zeros(40, int))
    assert model._stream.exit[1] == -INF
    loaded = copies(model, tmp_path)[2]
    same_stream(loaded.partial_fit(x, continues=True), model.partial_fit(x, continues=True))


@cases
def test_streams_of_every_family_go_on_from_files(case: Case, tmp_path: Path) -> None:
    if case.name == "a user's own":  # no file holds its class
        return
    for options in (STREAMS["running"], STREAMS["forward-only"]):
        model = advanced(from_truth(case, **options), case.x, 0, 5)
        others = copies(model, tmp_path)
        advanced(model, case.x, 5, 8)
        for other in others:
            same_stream(advanced(other, case.x, 5, 8), model)


@cases
def test_states_may_be_relabelled_amid_a_stream(case: Case) -> None:
    for name, options in STREAMS.items():
        if name == "drawn" or (options.get("prior") and not case.prior):
            continue  # draws are of states by their number
        model = advanced(from_truth(case, **options), case.x, 0, 5)
        other = copy.deepcopy(model).relabel([1, 0])
        advanced(model, case.x, 5, 8)
        advanced(other, case.x, 5, 8).relabel([1, 0])
        assert_same(other, model, rtol=1e-9, atol=1e-11)
        assert other.lower_bound_ == pytest.approx(model.lower_bound_, rel=1e-10), name


@every_stream
def test_small_first_batches_wait_and_are_learned_together(options: dict[str, Any]) -> None:
    x = POISSON.x[:30]
    one = PoissonHMM(2, random_state=0, **options)
    goes_on = is_endless(one)
    for n, block in enumerate(blocks_of(x, 6)):
        one.partial_fit(block, lengths=[2, 4], continues=goes_on and n > 0)
        if n < 3:
            assert one.n_samples_seen_ == 6 * (n + 1)
            with pytest.raises(NotFittedError, match=f"{6 * (n + 1)} rows of 'partial_fit' wait"):
                one.predict(x)
    all_at_once = PoissonHMM(2, random_state=0, **options)
    lengths = [2, 6, 6, 6, 4] if goes_on else [2, 4] * 4
    all_at_once.partial_fit(x[:24], lengths=lengths)
    assert one.n_iter_ == 5
    assert one.lower_bounds_[0] == pytest.approx(all_at_once.lower_bounds_[0], rel=1e-12)


def test_after_a_fit_the_stream_goes_on_as_after_as_many_steps() -> None:
    model = PoissonHMM(2, random_state=0, max_iter=100).fit(POISSON.x, lengths=LENGTHS)
    assert model.n_samples_seen_ == 120
    before = copy.deepcopy(model)
    model.partial_fit(POISSON.x[:12])
    assert model.n_iter_ == 11
    assert model.n_samples_seen_ == 132
    before.set_params(online=eta_of(12.0**-0.6)).partial_fit(POISSON.x[:12])
    assert_same(model, before, rtol=1e-12)
    again = copy.deepcopy(model).fit(POISSON.x, lengths=LENGTHS)
    fresh = PoissonHMM(2, random_state=0, max_iter=100).fit(POISSON.x, lengths=LENGTHS)
    assert_same(again, fresh)
    assert again.n_samples_seen_ == 120


def test_history_is_bounded() -> None:
    model = poisson(online=0.01)
    for _ in range(1026):
        model.partial_fit(POISSON.x[:2])
    assert len(model.lower_bounds_) == 1024
    assert model.n_iter_ == 1026


def test_weight_of_a_sequence_counts_as_copies_and_none_as_absence() -> None:
    x = [POISSON.x[:9], POISSON.x[9:11], POISSON.x[11:30]]
    for horizon in ("batch", "endless"):
        online = Online(0.4, horizon=horizon)
        weighted = poisson(online=online).partial_fit(x, sample_weight=[2, 0, 1])
        repeated = poisson(online=online).partial_fit([x[0], x[0], x[2]])
        assert_same(weighted, repeated, rtol=1e-12)
        assert weighted.n_samples_seen_ == 28


TOPOLOGIES: dict[str, tuple[Topology, Any]] = {
    "forbidden": (
        Topology.left_to_right(3),
        lambda m: (m.transmat_ > 0) == np.triu(np.ones((3, 3)) > 0) & ~np.eye(3, k=2, dtype=bool),
    ),
    "fixed": (
        Topology(fixed_transitions=np.array([[0.8, np.nan, np.nan]] + [[np.nan] * 3] * 2)),
        lambda m: m.transmat_[0, 0] == 0.8,
    ),
    "tied": (
        Topology.ergodic(3, equal_stays=True),
        lambda m: np.isclose(np.diag(m.transmat_), m.transmat_[0, 0], rtol=1e-9),
    ),
    "stationary": (
        Topology(start="stationary"),
        lambda m: np.isclose(m.startprob_, stationary_distribution(m.transmat_), atol=1e-10),
    ),
}


@pytest.mark.parametrize("name", TOPOLOGIES)
@pytest.mark.parametrize("online", [Online(), ENDLESS], ids=["batch", "endless"])
def test_topology_holds_at_every_step(name: str, online: Online) -> None:
    topology, holds = TOPOLOGIES[name]
    model = PoissonHMM(3, topology=topology, random_state=0, online=online)
    before = None
    for part in np.split(POISSON.x, 4):
        model.partial_fit(part, lengths=[10, 20])
        assert np.all(holds(model))
        assert before is None or not np.array_equal(before, model.transmat_)
        before = model.transmat_


def test_prior_keeps_states_of_few_rows_alive() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(40, 2))
    model = GaussianHMM(3, prior="weak", random_state=0, online=1.0).partial_fit(x)
    for _ in range(30):
        model.partial_fit(x[:1])
    assert (np.linalg.eigvalsh(model.covariances_) > 1e-3).all()


def test_attributes_set_by_hand_are_where_the_stream_goes_on() -> None:
    online = Online(inertia="running", averaging=True)
    model = poisson(online=online).partial_fit(POISSON.x, lengths=LENGTHS)
    model.transmat_ = np.array([[0.5, 0.5], [0.5, 0.5]])
    by_hand = PoissonHMM.from_params(model.startprob_, model.transmat_, model.rates_)
    by_hand.set_params(online=online)
    eta = Online().schedule()(2)
    model.set_params(online=Online(eta, inertia="running", averaging=True))
    by_hand.set_params(online=Online(eta, inertia="running", averaging=True))
    model.partial_fit(POISSON.x, lengths=LENGTHS)
    by_hand.partial_fit(POISSON.x, lengths=LENGTHS)
    assert_same(model, by_hand, rtol=1e-12)


def test_what_is_known_changes_its_unit_with_the_horizon() -> None:
    """A statistic of sequences is none of rows: the step is as from the parameters alone."""
    endless = [Online(inertia=name, horizon="endless") for name in ("running", "forward-only")]
    for before, after in [(one, Online(0.5, "running")) for one in endless] + [
        (Online(inertia="running"), Online(0.5, one.inertia, horizon="endless")) for one in endless
    ]:
        model = poisson(online=before, prior="weak").partial_fit(POISSON.x, lengths=LENGTHS)
        bare = PoissonHMM.from_params(model.startprob_, model.transmat_, model.rates_)
        for one in (model.set_params(online=after), bare.set_params(online=after, prior="weak")):
            one.partial_fit(POISSON.x, lengths=LENGTHS, total_weight=9)
        assert_same(model, bare, rtol=1e-12)


def test_running_statistic_is_taken_over_by_another_inertia() -> None:
    """Of an endless sequence: where nothing more of it is added, what is known stays."""
    inertias: list[Any] = ["running", "forward-only"]
    for first, then in itertools.permutations(inertias):
        model = poisson(online=Online(inertia=first, horizon="endless")).partial_fit(POISSON.x)
        before = copy.deepcopy(model)
        model.set_params(online=Online(1e-12, inertia=then, horizon="endless"))
        model.partial_fit(POISSON.x[:5])
        assert_same(model, before, rtol=1e-9)


# -- bad input

X = POISSON.x[:20]
BAD: dict[str, tuple[dict[str, Any], dict[str, Any], type[Exception], str]] = {
    "width": ({}, {"X": X[:, :2]}, ValueError, "X has 2 features"),
    "support": ({}, {"X": -X - 1}, ValueError, "X: expected"),
    "lengths": ({}, {"lengths": [3]}, ValueError, "lengths: expected a sum of 20"),
    "labels": ({}, {"labels": np.full(20, 2)}, ValueError, "labels: expected"),
    "weights": ({}, {"sample_weight": [-1.0]}, ValueError, "sample_weight: expected"),
    "total": ({}, {"total_weight": 0}, ValueError, "total_weight: expected a number > 0"),
    "impossible": (
        {"rates": np.zeros((2, 3))}, {"lengths": [2, 18]}, ArithmeticError,
        "sequence 0, step 0: .*or it has a value that no batch had before",
    ),
    "continues": ({}, {"continues": True}, ValueError, "continues: .*horizon='endless'"),
    "yes": ({}, {"continues": "yes"}, TypeError, "continues: expected"),
    "nothing before": (
        {"online": ENDLESS}, {"continues": True}, ValueError, "continues: .*a batch of 'partial_fit'"
    ),
    "absent": (
        {"online": ENDLESS, "begun": True},
        {"continues": True, "lengths": [15, 5], "sample_weight": [0, 1]},
        ValueError, "continues: expected a positive sample_weight",
    ),
    "hard": (
        {"online": Online(inertia="forward-only"), "assignment": "hard"}, {}, ValueError,
        "online: .*assignment='hard'",
    ),
    "auto": (
        {"online": Online("auto", inertia="forward-only")}, {}, ValueError, "online: .*got 'auto'"
    ),
    "classes": (
        {"online": ENDLESS, "transmat": np.eye(2)}, {}, ValueError, "online: expected horizon='batch'"
    ),
    "states": ({"n_components": 3}, {}, ValueError, "n_components = 2 of the model so far"),
    "online": ({"online": "fast"}, {}, TypeError, "online: expected an Online"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_batch_is_refused_and_leaves_the_stream_as_it_was(name: str) -> None:
    options, bad, error, message = BAD[name]
    options = dict(options)
    model = poisson()
    if options.pop("begun", False):
        model.set_params(online=options["online"]).partial_fit(X)
    if "transmat" in options:
        model.transmat_ = options.pop("transmat")
    if "rates" in options:
        model.components_ = PoissonParams(options.pop("rates"))
    model.set_params(**options)
    before = dict(model.__dict__)
    with pytest.raises(error, match=message):
        model.partial_fit(**{"X": X, **bad})
    assert model.__dict__.keys() == before.keys()
    assert all(model.__dict__[key] is value for key, value in before.items())


def test_another_form_of_covariances_is_refused() -> None:
    """Where K is D, a shape does not tell."""
    x = np.random.default_rng(0).normal(size=(40, 2))
    model = GaussianHMM(2, covariance_type="diag", random_state=0).partial_fit(x)
    model.set_params(covariance_type="tied")
    with pytest.raises(ValueError, match="expected the covariance_type = 'diag' of the model so"):
        model.partial_fit(x)


def test_forward_only_smoothing_is_for_few_states_of_sequences() -> None:
    online = Online(inertia="forward-only")
    with pytest.raises(ValueError, match=r"online: .*more than 16 states"):
        PoissonHMM(17, online=online).partial_fit(POISSON.x)
    with pytest.raises(ValueError, match=r"online: .*independent rows"):
        latentcore.PoissonMixture(2, online=online).partial_fit(POISSON.x)


def test_code_that_was_never_seen_is_named_with_the_way_out() -> None:
    model = latentcore.CategoricalHMM(2, random_state=0)
    x = np.random.default_rng(0).integers(3, size=(40, 1))
    model.partial_fit(x)
    with pytest.raises(ValueError, match="n_categories"):
        model.partial_fit(x + 1)
    prior = HMMPrior(np.ones(2), np.ones((2, 2)), DirichletPrior([[2.0]]))
    known = latentcore.CategoricalHMM(2, n_categories=4, prior=prior, random_state=0)
    known.partial_fit(x).partial_fit(x + 1)
    assert (known.components_.probabilities > 0).all()


def test_infinite_step_is_an_iteration_of_hmmlearn() -> None:
    case = next(case for case in CASES if case.name == "categorical")
    x, probabilities = case.x[:, :1].astype(int), np.array([[0.7, 0.3], [0.2, 0.8]])
    peer = hmmlearn.CategoricalHMM(2, n_iter=1, init_params="", random_state=0)
    peer.startprob_, peer.transmat_ = STARTPROB, TRANSMAT
    peer.emissionprob_, peer.n_features = probabilities, 2
    peer.fit(x, LENGTHS)
    ours = latentcore.CategoricalHMM.from_params(*CHAIN, probabilities)
    ours.set_params(online=INF).partial_fit(x, lengths=LENGTHS)
    np.testing.assert_allclose(ours.startprob_, peer.startprob_, atol=1e-12)
    np.testing.assert_allclose(ours.transmat_, peer.transmat_, atol=1e-12)
    np.testing.assert_allclose(ours.components_.probabilities, peer.emissionprob_, atol=1e-12)


def test_sparse_and_labelled_and_weighted_sequences_wait_in_files(tmp_path: Path) -> None:
    x = POISSON.x[:40]
    labels = np.where(np.arange(40) % 5 == 0, Z[:40], -1)
    for make in (sparse.csr_array, np.asarray):
        model = PoissonHMM(2, random_state=0, online=ENDLESS)
        at_once = copy.deepcopy(model)
        for n, begin in enumerate(range(0, 40, 8)):
            part = slice(begin, begin + 8)
            model.partial_fit(
                make(x[part]), lengths=[3, 5], sample_weight=[2.0, 2.0], labels=labels[part],
                continues=n > 0,
            )  # fmt: skip
            model = copies(model, tmp_path)[2]
        lengths = [3, 8, 8, 5]
        at_once.partial_fit(
            make(x[:24]), lengths=lengths, sample_weight=[2.0] * 4, labels=labels[:24]
        )
        assert model.lower_bounds_[0] == pytest.approx(at_once.lower_bounds_[0], rel=1e-12)
        assert (model.n_iter_, model.n_samples_seen_) == (5, 40)
    waiting = PoissonHMM(2, online=ENDLESS).partial_fit(x[:8], sample_weight=[2.0])
    with pytest.raises(ValueError, match=r"continues: expected the sample_weight 2 .* got 1"):
        waiting.partial_fit(x[8:16], continues=True)
