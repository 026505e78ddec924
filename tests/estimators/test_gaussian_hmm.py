"""Gaussian hidden Markov models: what a fit finds, and what the model says, against enumeration of all paths."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from latentcore import GaussianHMM

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
    shared = {"full": COVARIANCES, "tied": np.eye(2), "diag": [[1, 2], [2, 1]], "spherical": [1, 2]}
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
