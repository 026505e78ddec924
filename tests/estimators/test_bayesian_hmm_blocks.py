"""Bayesian hidden Markov models of one sequence that comes in blocks, against all paths of the whole sequence."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

import latentcore
from latentcore import BayesianHMM, VariationalCategoricalHMM, VariationalGaussianHMM
from latentcore.errors import ImpossibleSequenceError, NotFittedError, StorageError
from latentcore.structures.hmm import HMM, HMMPrior, HMMStatistics
from laws.cases import (
    ALPHA,
    N_COMPONENTS,
    TRANSITION_ALPHA,
    Array,
    Case,
    assert_identical,
    assert_near,
    cases,
)

conjugate = cases(lambda of: of.log_evidence)
quiet = pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning")

STAYS = 1e200
"""A delay with which no step moves anything."""
FORBIDDEN = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])


def model_of(case: Case, **arguments: Any) -> BayesianHMM[Any]:
    """With a posterior to begin with, of which no two states are alike."""
    assert case.of.prior is not None
    alpha = 0.5 * np.ones(3), 0.3 * FORBIDDEN
    model: BayesianHMM[Any] = BayesianHMM(
        case.of.family, N_COMPONENTS, prior=case.of.prior(2.0), startprob_prior=alpha[0],
        transmat_prior=alpha[1], random_state=0, horizon="endless",
    )  # fmt: skip
    emissions = model.fit(case.rows.x).posterior_.emissions
    posterior = HMMPrior(ALPHA, TRANSITION_ALPHA * FORBIDDEN, emissions)
    return model_like(model, posterior_init=posterior, **arguments)


def model_like(model: Any, **arguments: Any) -> Any:
    return type(model)(**{**model.get_params(), **arguments})


def blocks_of(x: Array, cuts: list[int]) -> Iterator[tuple[int, Array]]:
    return enumerate(np.split(x, cuts))


# -- a step


def paths_of(log_density: Array, posterior: HMMPrior[Any]) -> tuple[Array, Array, float]:
    """All paths (paths, T) of a sequence, their probabilities, and the log normaliser, at expected log-parameters."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_initial, log_transition = (
            special.digamma(alpha) - special.digamma(alpha.sum(axis=-1, keepdims=True))
            for alpha in (posterior.initial, posterior.transition)
        )
    log_transition[posterior.transition == 0] = -np.inf
    n_rows, n_states = log_density.shape
    paths = np.array(list(itertools.product(range(n_states), repeat=n_rows)))
    log_joint = log_initial[paths[:, 0]] + log_density[np.arange(n_rows), paths].sum(axis=1)
    log_joint += log_transition[paths[:, :-1], paths[:, 1:]].sum(axis=1)
    log_normaliser = np.logaddexp.reduce(log_joint)
    return paths, np.exp(log_joint - log_normaliser), float(log_normaliser)


@quiet
@conjugate
@pytest.mark.parametrize("cut", [1, 4])
def test_step_on_a_block_is_of_the_paths_of_the_whole_sequence(case: Case, cut: int) -> None:
    """Rows, transitions into them and the normaliser: of the block, given all rows before."""
    x, total, weight = case.rows.x[:7], 50.0, 1.5
    model = model_of(case, delay=STAYS)
    begin: Any = model.posterior_init
    model.partial_fit(x[:cut], sample_weight=[weight])
    family = model.family_
    expected = HMM(family).expected(begin)
    log_density = np.array(family.log_likelihood(expected.emissions, x), np.float64)
    first = paths_of(log_density[:cut], begin)
    starts = first[1] @ (first[0][:, :1] == np.arange(3))
    np.testing.assert_array_equal(model.posterior_.transition, begin.transition)
    np.testing.assert_allclose(
        model.startprob_posterior_, model.startprob_prior_ + weight * starts, rtol=1e-11
    )
    kept = model.startprob_posterior_
    model.set_params(forgetting=0.0)
    model.partial_fit(x[cut:], sample_weight=[weight], continues=True, total_weight=total)
    paths: Any
    paths, shares, log_normaliser = paths_of(log_density, begin)
    pairs = np.zeros((3, 3))
    for t in range(cut, 7):
        np.add.at(pairs, (paths[:, t - 1], paths[:, t]), shares)
    laws = np.array([[shares[paths[:, t] == k].sum() for k in range(3)] for t in range(cut, 7)])
    stats = HMMStatistics(
        np.zeros(3), weight * pairs, weight * laws.sum(axis=0),
        family.expected_statistics(expected.emissions, x[cut:], weight * laws),
    )  # fmt: skip
    scale = total / (weight * (7 - cut))
    assert_near(
        model.posterior_,
        replace(HMM(family).update(model.prior_, scale * stats), initial=kept), 1e-10,
    )  # fmt: skip
    found = model.elbo_terms_["log_normaliser"]
    assert found == pytest.approx(scale * weight * (log_normaliser - first[2]), rel=1e-10)


@quiet
@conjugate
def test_blocks_have_the_log_normaliser_of_the_whole_sequence(case: Case) -> None:
    x = case.rows.x[:160].copy()
    x[20:50] = np.nan
    model = model_of(case, delay=STAYS)
    whole = copy.deepcopy(model).set_params(max_iter=0).fit(x)
    sizes, values = [], []
    for n, block in blocks_of(x, [1, 20, 50, 120]):
        model.partial_fit(block, continues=n > 0, total_weight=160)
        sizes.append(len(block))
        values.append(model.elbo_terms_["log_normaliser"])
    assert np.dot(values, sizes) / 160 == pytest.approx(
        whole.elbo_terms_["log_normaliser"], rel=1e-11
    )
    assert model.n_samples_seen_ == 160


@quiet
@conjugate
def test_batch_stands_for_all_rows_and_starts_for_themselves(case: Case) -> None:
    x, lengths = case.rows.x[:160], [50, 1, 69, 40]
    model = model_of(case, max_iter=2, delay=2.0, forgetting=0.8).fit(x, lengths=lengths)
    batch = {"X": x[:51], "lengths": [50, 1]}
    target = copy.deepcopy(model).set_params(warm_start=True, max_iter=1)
    target.fit(**batch, sample_weight=[5.0, 5.0])
    starts = (target.startprob_posterior_ - target.startprob_prior_) / 5
    old, rate = model.posterior_, (2 + 2.0) ** -0.8
    expected = HMM(model.family_).blend(old, target.posterior_, rate)
    new = copy.deepcopy(model).partial_fit(**batch, total_weight=5 * 51)
    assert_near(new.posterior_, replace(expected, initial=old.initial + starts), 1e-10)
    # rows beyond the total were there before, and so were the starts of their sequences
    again = model.partial_fit(**batch, total_weight=160)
    np.testing.assert_array_equal(again.startprob_posterior_, old.initial)


@pytest.mark.parametrize("horizon", ["batch", "endless"])
@pytest.mark.parametrize("before", ["batch", "endless", "fit"])
def test_without_a_total_the_batch_stands_for_all_that_was_seen(before: str, horizon: Any) -> None:
    """In rows or in sequences, whatever was counted before."""
    x, weight = drawn(200), [2.0, 2.0, 2.0]
    model = VariationalGaussianHMM(3, random_state=0, max_iter=1)
    if before == "fit":
        seen = 2.0 * 200 if horizon == "endless" else 6.0
        with pytest.warns(latentcore.errors.ConvergenceWarning):
            model.fit(x, lengths=[50, 50, 100], sample_weight=weight)
    else:
        model.set_params(horizon=before)
        model.partial_fit(
            x, lengths=[50, 50, 100], sample_weight=weight if before == horizon else None
        )
        seen = {"batch": 3.0, "endless": 200.0}[before] * (2 if before == horizon else 1)
        seen = seen if before == horizon else {"batch": 200 / 20, "endless": 200.0}[horizon]
    model.set_params(horizon=horizon)
    told = copy.deepcopy(model)
    batch: dict[str, Any] = {"X": x[:40], "lengths": [15, 25]}
    told.partial_fit(**batch, total_weight=seen + (40 if horizon == "endless" else 2))
    model.partial_fit(**batch)
    assert_near(model.posterior_, told.posterior_, 1e-12)


# -- where blocks lead

TRUTH = latentcore.GaussianHMM.from_params(
    [0.5, 0.3, 0.2], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]],
    [[0.0, 0.0], [4.0, 0.0], [0.0, 5.0]], np.ones((3, 2)), covariance_type="diag",
)  # fmt: skip


def drawn(n: int) -> Array:
    truth = copy.deepcopy(TRUTH).set_params(random_state=np.random.default_rng(7))
    x: Array = truth.sample(n)[0]
    return x


@pytest.mark.parametrize(("passes", "nats"), [(1, 12.0), (4, 2.0)])
def test_blocks_come_near_the_posterior_of_the_whole_sequence(passes: int, nats: float) -> None:
    """The bound of the whole sequence falls short of its maximum by about half of 23 free numbers a pass of noise.

    The last step of 1 and of 4 passes is 0.06 and 0.02, as if of the mean of 0.6 and of 1.5 passes.
    """
    x = drawn(6000)
    whole = VariationalGaussianHMM(3, random_state=0).fit(x)
    model = VariationalGaussianHMM(3, random_state=0, horizon="endless")
    for _ in range(passes):
        for n, block in enumerate(np.split(x, 60)):
            model.partial_fit(block, continues=n > 0, total_weight=6000)
    found = VariationalGaussianHMM(3, posterior_init=model.posterior_, max_iter=0).fit(x)
    assert 0 < whole.lower_bound_ - found.lower_bound_ < nats
    for one in (whole, model):
        one.relabel(by=lambda m: m.means_ @ [1.0, 2.0])
    np.testing.assert_allclose(model.startprob_posterior_, whole.startprob_posterior_, atol=5e-3)
    np.testing.assert_allclose(model.transmat_posterior_, whole.transmat_posterior_, rtol=0.1)
    np.testing.assert_allclose(model.transmat_, whole.transmat_, atol=0.02)


def test_batches_of_an_iterator_are_blocks() -> None:
    x = drawn(400)
    one = advanced(VariationalGaussianHMM(3, random_state=0, horizon="endless"), x, 0, 20)
    other = VariationalGaussianHMM(3, random_state=0, horizon="endless")
    other.partial_fit(iter(np.split(x, 20)[:7]), continues=True)
    other.partial_fit((block for block in np.split(x, 20)[7:]), continues=True)
    assert_identical(other.posterior_, one.posterior_)
    assert other.lower_bounds_ == one.lower_bounds_


def test_blocks_that_wait_are_one_sequence() -> None:
    x = drawn(60)
    model = VariationalGaussianHMM(3, random_state=0, horizon="endless", forgetting=0.0)
    for n, block in enumerate(np.split(x[:24], 4)):
        model.partial_fit(block, continues=n > 0)
        with pytest.raises(NotFittedError, match=f"{6 * (n + 1)} rows of 'partial_fit' wait"):
            model.predict(x)
    model.partial_fit(x[24:], continues=True)
    whole = VariationalGaussianHMM(
        3, random_state=0, horizon="endless", forgetting=0.0
    ).partial_fit(x)
    assert_identical(model.posterior_, whole.posterior_)
    assert_identical(model._stream.exit, whole._stream.exit)


# -- what a stream survives


def advanced(model: Any, x: Array, first: int, stop: int) -> Any:
    for n, rows in enumerate(np.split(x, 20)):
        if first <= n < stop:
            model.partial_fit(rows, continues=n > 0)
    return model


@pytest.mark.parametrize("stop", [1, 7], ids=["waiting", "amid"])
@pytest.mark.parametrize("kind", ["gaussian", "categorical"])
def test_blocks_go_on_from_copies_bit_for_bit(kind: str, stop: int, tmp_path: Path) -> None:
    x = drawn(400)
    model: Any = VariationalGaussianHMM(3, random_state=0, horizon="endless")
    if kind == "categorical":
        x = (x > 2).astype(float)
        model = VariationalCategoricalHMM(3, random_state=0, horizon="endless")
    advanced(model, x, 0, stop).save(tmp_path / "model.npz")
    others = [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        latentcore.load(tmp_path / "model.npz"),
    ]
    advanced(model, x, stop, 20)
    for other in others:
        advanced(other, x, stop, 20)
        assert_identical(other.posterior_, model.posterior_)
        assert other.lower_bounds_ == model.lower_bounds_


@pytest.mark.parametrize("exit_", [np.zeros(2), np.full(3, -np.inf), np.full(3, np.nan)])
def test_file_with_no_law_of_the_latest_state_is_refused(exit_: Array, tmp_path: Path) -> None:
    model = VariationalGaussianHMM(3, random_state=0, horizon="endless").partial_fit(drawn(60))
    model._stream = replace(model._stream, exit=exit_)
    model.save(tmp_path / "model.npz")
    with pytest.raises(StorageError, match=r"_stream\.exit: expected the log-law of 3 states"):
        latentcore.load(tmp_path / "model.npz")


def test_states_may_be_relabelled_between_blocks() -> None:
    x = drawn(400)
    model = advanced(VariationalGaussianHMM(3, random_state=0, horizon="endless"), x, 0, 5)
    other = copy.deepcopy(model).relabel([2, 0, 1])
    advanced(model, x, 5, 20)
    advanced(other, x, 5, 20).relabel([1, 2, 0])
    assert_near(other.posterior_, model.posterior_, 1e-9)
    np.testing.assert_allclose(other.lower_bounds_, model.lower_bounds_, rtol=1e-10)


@quiet
def test_states_may_be_left_out_between_blocks() -> None:
    """The law of the latest state is that given that it is none of those left out."""
    x = drawn(400)
    model = advanced(VariationalGaussianHMM(6, random_state=0, horizon="endless"), x, 0, 10)
    law, means = np.exp(model._stream.exit), model.means_
    n_seen = model._stream.seen
    model.prune(x[:200])
    n_left = len(model.means_)
    assert n_left < 6
    kept = [int(abs(means - mean).sum(axis=1).argmin()) for mean in model.means_]
    assert len(set(kept)) == n_left
    np.testing.assert_allclose(np.exp(model._stream.exit), law[kept] / law[kept].sum(), rtol=1e-10)
    advanced(model, x, 10, 20)
    assert model._stream.seen == n_seen + 200
    assert len(model.means_) == n_left


# -- bad input

Z = np.array([0] * 20)
BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "horizon": ({"horizon": "batch"}, ValueError, "continues: .*horizon='endless'.* got True"),
    "no horizon": ({"horizon": "long"}, ValueError, "horizon: expected"),
    "yes": ({"continues": "yes"}, TypeError, "continues: expected True or False"),
    "nothing before": ({"fit": True}, ValueError, "continues: .*a batch of 'partial_fit' before"),
    "absent": (
        {"lengths": [15, 5], "sample_weight": [0, 1]}, ValueError,
        "continues: expected a positive sample_weight",
    ),
    "total": ({"total_weight": 19}, ValueError, "total_weight: expected at least the 20 rows"),
    "impossible": ({"labels": Z}, ImpossibleSequenceError, "sequence 0, step 0"),
}  # fmt: skip


@quiet
@pytest.mark.parametrize("name", BAD)
def test_bad_block_is_refused_and_leaves_the_stream_as_it_was(name: str) -> None:
    """The block before ended in state 1, from which there is no way to state 0."""
    bad, error, message = BAD[name]
    bad = {"continues": True, **bad}
    x = drawn(60)
    alpha = np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    model = VariationalGaussianHMM(3, transmat_prior=alpha, random_state=0, horizon="endless")
    labels = np.full(60, -1)
    labels[-1] = 1
    model.fit(x) if bad.pop("fit", False) else model.partial_fit(x, labels=labels)
    model.set_params(horizon=bad.pop("horizon", "endless"))
    before = dict(model.__dict__)
    with pytest.raises(error, match=message):
        model.partial_fit(x[:20], **bad)
    assert model.__dict__.keys() == before.keys()
    assert all(model.__dict__[key] is value for key, value in before.items())
