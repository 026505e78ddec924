"""Gaussian hidden Markov models: what a fit finds, and what the model says, against enumeration of all paths."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone

import latentcore
from latentcore import GaussianHMM, Topology
from latentcore.errors import CollapsedComponentError

STARTPROB = np.array([0.7, 0.3])
TRANSMAT = np.array([[0.9, 0.1], [0.25, 0.75]])
MEANS = np.array([[0.0, 0.0], [3.0, -3.0]])
COVARIANCES = np.array([[[1.0, 0.4], [0.4, 0.8]], [[0.5, -0.2], [-0.2, 1.5]]])


def truth(**kwargs: Any) -> GaussianHMM:
    return GaussianHMM.from_params(STARTPROB, TRANSMAT, MEANS, COVARIANCES, **kwargs)


def all_paths(x: Any) -> tuple[Any, Any]:
    """Every path of a sequence, and the log-density of the sequence and the path."""
    log_density = np.stack(
        [
            np.atleast_1d(stats.multivariate_normal(m, c).logpdf(x))
            for m, c in zip(MEANS, COVARIANCES, strict=True)
        ],
        axis=1,
    )
    paths = np.array(list(itertools.product(range(2), repeat=len(x))))
    log_joint = np.log(STARTPROB[paths[:, 0]]) + log_density[np.arange(len(x)), paths].sum(axis=1)
    log_joint += np.log(TRANSMAT[paths[:, :-1], paths[:, 1:]]).sum(axis=1)
    return paths, log_joint


def test_answers_are_those_of_enumerated_paths() -> None:
    model = truth()
    x, _ = model.sample([6, 1, 4], random_state=3)
    x[2] += 2.0
    sequences = [x[:6], x[6:7], x[7:]]
    enumerated = [all_paths(part) for part in sequences]
    totals = [np.logaddexp.reduce(log_joint) for _, log_joint in enumerated]
    np.testing.assert_allclose(model.loglik_by_sequence(sequences), totals, rtol=1e-10)
    assert model.loglik(sequences) == pytest.approx(sum(totals), rel=1e-10)
    assert model.score(sequences) == pytest.approx(sum(totals) / 11, rel=1e-10)
    best = [paths[log_joint.argmax()] for paths, log_joint in enumerated]
    log_joint, states = model.decode(sequences)
    assert log_joint == pytest.approx(sum(a.max() for _, a in enumerated), rel=1e-10)
    np.testing.assert_array_equal(states, np.concatenate(best))
    np.testing.assert_array_equal(model.predict(x, lengths=[6, 1, 4]), states)
    posteriors = [
        np.stack([np.exp(a - t) @ (paths == k) for k in range(2)], axis=1)
        for (paths, a), t in zip(enumerated, totals, strict=True)
    ]
    np.testing.assert_allclose(
        model.predict_proba(sequences), np.concatenate(posteriors), atol=1e-12
    )
    last = [p[-1] for p in posteriors]
    np.testing.assert_allclose(model.filter(sequences)[[5, 6, 10]], last, atol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_fit_recovers_a_simulated_model(covariance_type: Any) -> None:
    shared: dict[str, Any] = {
        "full": COVARIANCES,
        "tied": np.eye(2),
        "diag": [[1, 2], [2, 1]],
        "spherical": [1, 2],
    }
    made = GaussianHMM.from_params(
        STARTPROB, TRANSMAT, MEANS, shared[covariance_type], covariance_type=covariance_type
    )
    lengths = [50] * 40
    x, states = made.sample(lengths, random_state=1)
    model = GaussianHMM(2, covariance_type=covariance_type, random_state=0)
    model.fit(x, lengths=lengths).relabel(by=lambda m: m.means_[:, 0])
    assert model.converged_
    assert (np.diff(model.lower_bounds_) >= -1e-12).all()
    assert model.lower_bound_ == pytest.approx(model.score(x, lengths=lengths), abs=1e-5)
    steps = states.reshape(40, 50)
    counts = np.zeros((2, 2))
    np.add.at(counts, (steps[:, :-1], steps[:, 1:]), 1)
    np.testing.assert_allclose(model.startprob_, np.bincount(steps[:, 0]) / 40, atol=0.05)
    drawn = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.transmat_, drawn, atol=0.03)
    np.testing.assert_allclose(drawn, TRANSMAT, atol=0.06)
    np.testing.assert_allclose(model.means_, MEANS, atol=0.15)
    np.testing.assert_allclose(model.covariances_, made.covariances_, atol=0.25)
    assert (model.predict(x, lengths=lengths) == states).mean() > 0.97


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied_spherical"])
def test_model_of_any_covariances_comes_back_from_its_file(
    covariance_type: Any, tmp_path: Path
) -> None:
    x, _ = truth().sample(60, random_state=0)
    model = GaussianHMM(2, covariance_type=covariance_type, random_state=0, max_iter=500).fit(x)
    model.save(tmp_path / "model.npz")
    twin = latentcore.load(tmp_path / "model.npz")
    for name in ("means_", "covariances_", "precisions_", "transmat_"):
        np.testing.assert_array_equal(getattr(twin, name), getattr(model, name))
    np.testing.assert_array_equal(twin.predict_proba(x), model.predict_proba(x))
    again = GaussianHMM.from_params(
        model.startprob_, model.transmat_, model.means_, model.covariances_,
        covariance_type=covariance_type,
    )  # fmt: skip
    assert again.loglik(x) == pytest.approx(model.loglik(x), rel=1e-9)


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_means_or_covariances_alone_may_be_given() -> None:
    x, _ = truth().sample(60, random_state=0)
    made = GaussianHMM(2, random_state=0, max_iter=0).fit(x)
    model = GaussianHMM(2, random_state=0, max_iter=0, means_init=MEANS).fit(x)
    np.testing.assert_array_equal(model.means_, MEANS)
    np.testing.assert_array_equal(model.covariances_, made.covariances_)
    model = GaussianHMM(2, random_state=0, max_iter=0, covariances_init=COVARIANCES).fit(x)
    np.testing.assert_array_equal(model.means_, made.means_)
    np.testing.assert_array_equal(model.covariances_, COVARIANCES)
    with pytest.raises(ValueError, match="means_init"):
        GaussianHMM(2, means_init=MEANS[:, :1]).fit(x)


def test_collapse_is_an_error_that_names_the_state_and_a_prior_prevents_it() -> None:
    x = np.concatenate([np.zeros((30, 1)), np.random.default_rng(0).normal(9, 1, (30, 1))])
    with pytest.raises(CollapsedComponentError, match="component"):
        GaussianHMM(2, reg_covar=0.0, random_state=0).fit(x)
    assert np.isfinite(GaussianHMM(2, prior="weak", random_state=0).fit(x).lower_bound_)


# -- topologies --------------------------------------------------------------------------------

MASK = np.array([[True, True, False], [False, True, True], [False, False, True]])
FIXED = np.array([[0.5, np.nan, np.nan], [np.nan, np.nan, np.nan], [0.25, 0.25, 0.5]])


def three_levels() -> tuple[Any, list[int]]:
    rng = np.random.default_rng(0)
    levels = np.repeat([0.0, 4.0, 8.0], [30, 20, 25])
    return rng.normal(np.tile(levels, 6), 1.0)[:, None], [75] * 6


@pytest.mark.parametrize("init_params", ["kmeans", "random"])
@pytest.mark.parametrize("prior", [None, "weak"])
@pytest.mark.parametrize(
    ("topology", "n_of_chain"),
    [
        (Topology(), 2 + 6),
        (Topology.left_to_right(3), 2),
        (Topology(mask=MASK, start="fixed"), 2),
        (Topology(fixed_transitions=FIXED), 2 + 3),
        (Topology.ergodic(3, equal_stays=True), 2 + 1 + 3),
        (Topology(start="stationary"), 6),
    ],
    ids=["free", "left to right", "fixed start", "fixed", "tied", "stationary"],
)
def test_topology_holds_and_the_objective_rises(
    topology: Topology, n_of_chain: int, prior: Any, init_params: Any, tmp_path: Path
) -> None:
    x, lengths = three_levels()
    model = GaussianHMM(
        3, topology=topology, prior=prior, init_params=init_params, random_state=0, n_init=2,
        max_iter=300,
    ).fit(x, lengths=lengths)  # fmt: skip
    assert (np.diff(model.lower_bounds_) >= -1e-9).all()
    topology.check_law(model.startprob_, model.transmat_)
    df = n_of_chain + 6
    loglik = model.loglik(x, lengths=lengths)
    assert model.aic(x, lengths=lengths) == pytest.approx(2 * df - 2 * loglik, rel=1e-12)
    if topology.start == "stationary":
        np.testing.assert_allclose(model.startprob_, model.stationary_distribution(), atol=1e-9)
    model.save(tmp_path / "model.npz")
    assert latentcore.load(tmp_path / "model.npz").topology == topology
    assert clone(model).get_params()["topology"] == topology


def test_zeros_that_the_user_gives_are_not_free() -> None:
    x, lengths = three_levels()
    by_zeros = GaussianHMM(
        3, startprob_init=[1, 0, 0], transmat_init=MASK / MASK.sum(axis=1, keepdims=True),
        random_state=0,
    ).fit(x, lengths=lengths)  # fmt: skip
    by_mask = GaussianHMM(3, topology=Topology.left_to_right(3), random_state=0)
    by_mask.fit(x, lengths=lengths)
    np.testing.assert_allclose(by_zeros.transmat_, by_mask.transmat_, rtol=1e-12)
    assert by_zeros.bic(x) == pytest.approx(by_mask.bic(x), rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"topology": Topology.left_to_right(4)}, "topology: expected one of 3 states, got one of"),
        (
            {"topology": Topology.left_to_right(3), "transmat_init": np.full((3, 3), 1 / 3)},
            r"transmat: expected 0.0 at \(0, 2\), by the topology",
        ),
        (
            {"topology": Topology.left_to_right(3), "startprob_init": [0, 0, 1]},
            "startprob: expected 0.0 at 2, by the topology",
        ),
        (
            {"topology": Topology(start="stationary"), "startprob_init": [0.5, 0.25, 0.25]},
            "startprob: expected the stationary law of transmat",
        ),
    ],
)
def test_topology_that_does_not_fit_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianHMM(3, **arguments).fit(three_levels()[0])


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
def test_chain_that_never_goes_back_begins_in_order(init_params: Any) -> None:
    """Clusters would come in any order, and EM hardly ever reorders them."""
    rng = np.random.default_rng(0)
    states = np.tile(np.repeat([0, 1, 2, 3], [30, 20, 25, 25]), 6)
    levels = np.array([8.0, 0.0, 4.0, 0.0])
    x = rng.normal(levels[states], 1.0)[:, None]
    model = GaussianHMM(
        4, topology=Topology.left_to_right(4), init_params=init_params, random_state=0
    ).fit(x, lengths=[100] * 6)
    np.testing.assert_allclose(model.means_[:, 0], levels, atol=0.3)
    assert (model.predict(x, lengths=[100] * 6) == states).mean() > 0.98
    short = GaussianHMM(4, topology=Topology.left_to_right(4), prior="weak", random_state=0)
    assert np.isfinite(short.fit([x[:3], x[:50]]).lower_bound_)
