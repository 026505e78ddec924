"""Hidden Markov models of Gaussian mixtures, against the chain of all their Gaussians and against hmmlearn."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hmmlearn import hmm as hmmlearn
from sklearn.base import clone

import latentcore
from latentcore import GMMHMM, GaussianHMM

Array = npt.NDArray[np.float64]
S, M, D = 2, 3, 2
LENGTHS = [40, 1, 30]


def parts(rng: np.random.Generator, covariance_type: str) -> tuple[Array, ...]:
    startprob, transmat = rng.dirichlet(np.ones(S)), rng.dirichlet(np.ones(S), S)
    weights, means = rng.dirichlet(2 * np.ones(M), S), 3 * rng.normal(size=(S, M, D))
    root = rng.normal(size=(S, M, D, D))
    full = root @ root.transpose(0, 1, 3, 2) + 0.3 * np.eye(D)
    covariances = {
        "full": full,
        "diag": full.diagonal(axis1=2, axis2=3).copy(),
        "spherical": full[:, :, 0, 0].copy(),
        "tied": full[0, 0],
        "tied_spherical": np.full((S, M), full[0, 0, 0, 0]),
    }
    return startprob, transmat, weights, means, covariances[covariance_type]


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical", "tied", "tied_spherical"])
def test_it_is_the_chain_of_its_gaussians(covariance_type: Any) -> None:
    startprob, transmat, weights, means, covariances = parts(
        np.random.default_rng(0), covariance_type
    )
    model = GMMHMM.from_params(
        startprob, transmat, weights, means, covariances, covariance_type=covariance_type
    )
    transitions = np.einsum("ij,jm->ijm", transmat, weights).reshape(S, S * M)
    flat = (
        covariances
        if covariance_type == "tied"
        else covariances.reshape(S * M, *covariances.shape[2:])
    )
    chain = GaussianHMM.from_params(
        (startprob[:, None] * weights).ravel(), np.repeat(transitions, M, axis=0),
        means.reshape(S * M, D), flat, covariance_type=covariance_type,
    )  # fmt: skip
    x, _ = model.sample(LENGTHS, random_state=1)
    x[3, 1] = np.nan
    np.testing.assert_allclose(
        model.loglik_by_sequence(x, lengths=LENGTHS),
        chain.loglik_by_sequence(x, lengths=LENGTHS),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        model.predict_proba(x, lengths=LENGTHS),
        chain.predict_proba(x, lengths=LENGTHS).reshape(-1, S, M).sum(axis=2),
        atol=1e-12,
    )
    for name, value in zip(
        ("weights_", "means_", "covariances_"), (weights, means, covariances), strict=True
    ):
        np.testing.assert_array_equal(getattr(model, name), value)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_likelihoods_and_paths_are_those_of_hmmlearn(covariance_type: Any) -> None:
    startprob, transmat, weights, means, covariances = parts(
        np.random.default_rng(2), covariance_type
    )
    model = GMMHMM.from_params(
        startprob, transmat, weights, means, covariances, covariance_type=covariance_type
    )
    x, _ = model.sample(LENGTHS, random_state=1)
    theirs = hmmlearn.GMMHMM(S, M, covariance_type=covariance_type, init_params="")
    theirs.n_features = D
    theirs.startprob_, theirs.transmat_, theirs.weights_ = startprob, transmat, weights
    theirs.means_, theirs.covars_ = means, covariances
    assert model.loglik(x, lengths=LENGTHS) == pytest.approx(theirs.score(x, LENGTHS), rel=1e-10)
    log_joint, states = model.decode(x, lengths=LENGTHS)
    expected, their_states = theirs.decode(x, LENGTHS)
    assert log_joint == pytest.approx(expected, rel=1e-10)
    np.testing.assert_array_equal(states, their_states)


def simulated(n: int = 1500) -> Array:
    """Two states that last, each with two places."""
    model = GMMHMM.from_params(
        [0.5, 0.5], [[0.95, 0.05], [0.1, 0.9]], [[0.5, 0.5], [0.3, 0.7]],
        [[[0.0], [5.0]], [[20.0], [26.0]]], np.ones((2, 2)), covariance_type="spherical",
    )  # fmt: skip
    x, _ = model.sample(n, random_state=3)
    return x


def test_a_fit_finds_the_places_of_each_state() -> None:
    x = simulated()
    model = GMMHMM(2, n_mix=2, covariance_type="full", random_state=0).fit(x)
    assert model.converged_
    assert np.diff(model.lower_bounds_).min() > -1e-9
    model.relabel(by=lambda m: m.means_[:, :, 0].min(axis=1))
    np.testing.assert_allclose(np.sort(model.means_[:, :, 0], axis=1), [[0, 5], [20, 26]], atol=0.2)
    np.testing.assert_allclose(model.weights_.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(model.weights_.min(axis=1), [0.5, 0.3], atol=0.07)
    np.testing.assert_allclose(model.transmat_, [[0.95, 0.05], [0.1, 0.9]], atol=0.03)
    text = model.summary()
    assert "0: mean" in text
    assert model.bic(x) == pytest.approx(-2 * model.loglik(x) + (3 + 2 + 8) * np.log(len(x)))


def test_one_component_of_each_state_is_the_gaussian_chain() -> None:
    x = simulated(300)
    one = GMMHMM(2, random_state=0, max_iter=8, tol=0)
    plain = GaussianHMM(2, random_state=0, max_iter=8, tol=0)
    with pytest.warns(latentcore.errors.ConvergenceWarning):
        one.fit(x)
    with pytest.warns(latentcore.errors.ConvergenceWarning):
        plain.fit(x)
    assert one.lower_bound_ == pytest.approx(plain.lower_bound_, rel=1e-9)
    order = np.argsort(one.means_[:, 0, 0]), np.argsort(plain.means_[:, 0])
    np.testing.assert_allclose(one.means_[order[0], 0], plain.means_[order[1]], rtol=1e-6)


def test_given_parts_begin_a_fit() -> None:
    startprob, transmat, weights, means, covariances = parts(np.random.default_rng(4), "diag")
    x = GMMHMM.from_params(
        startprob, transmat, weights, means, covariances, covariance_type="diag"
    ).sample(200, random_state=0)[0]
    model = GMMHMM(
        S, n_mix=M, covariance_type="diag", max_iter=0, startprob_init=startprob, transmat_init=transmat,
        weights_init=weights, means_init=means, covariances_init=covariances,
    ).fit(x)  # fmt: skip
    np.testing.assert_array_equal(model.means_, means)
    np.testing.assert_array_equal(model.covariances_, covariances)
    np.testing.assert_array_equal(model.weights_, weights)
    partly = GMMHMM(S, n_mix=M, max_iter=0, weights_init=weights, random_state=0).fit(x)
    np.testing.assert_array_equal(partly.weights_, weights)
    assert partly.covariances_.shape == (S, M, D, D)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_mix": 0}, "n_mix: expected"),
        ({"n_mix": 2, "weights_init": [[0.5, 0.5]]}, r"weights_init: expected shape \(2, 2\), got \(1, 2\)"),
        ({"n_mix": 2, "weights_init": [[0.5, 0.5], [0.5, 0.6]]}, r"normalized, .* from weights_init\[1\]"),
        ({"n_mix": 2, "means_init": [[0.0], [1.0]]}, r"means_init: expected shape \(2, 2, 1\), got \(2, 1\)"),
        (
            {"n_mix": 2, "covariances_init": [1.0, 2.0], "covariance_type": "spherical"},
            r"covariances_init: expected shape \(2, 2\), got \(2,\)",
        ),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GMMHMM(2, **arguments).fit(simulated(30))


def test_a_prior_keeps_gaussians_from_collapsing() -> None:
    x = np.repeat([[0.0], [1.0], [7.0]], 10, axis=0)
    model = GMMHMM(2, n_mix=3, prior="weak", reg_covar=0, random_state=0, max_iter=1000).fit(x)
    assert np.isfinite(model.lower_bound_)
    assert model.n_degenerate_ == 0
    assert (model.covariances_ > 0).all()


def test_models_are_saved_pickled_and_cloned(tmp_path: Path) -> None:
    x = simulated(200)
    model = GMMHMM(2, n_mix=2, covariance_type="diag", prior="weak", random_state=0).fit(x)
    model.save(tmp_path / "model.npz")
    for other in (latentcore.load(tmp_path / "model.npz"), pickle.loads(pickle.dumps(model))):
        assert type(other) is GMMHMM
        assert other.get_params().keys() == model.get_params().keys()
        assert other.loglik(x) == model.loglik(x)
        np.testing.assert_array_equal(other.means_, model.means_)
    again = clone(model).fit(x)
    assert again.lower_bounds_ == model.lower_bounds_
