"""GaussianMixture against SciPy and its own promises."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import latentcore
from estimators.gaussian_fits import (
    ATTRIBUTES,
    COVARIANCES,
    INITS,
    MEANS,
    WEIGHTS,
    X,
    full_covariances,
    given,
    precision,
    quiet,
)
from latentcore import GaussianMixture
from latentcore.engine import Progress
from latentcore.errors import StorageError


def log_joint(model: Any, x: Any) -> Any:
    columns = [
        stats.multivariate_normal(mean, covariance).logpdf(x) + np.log(weight)
        for weight, mean, covariance in zip(
            model.weights_, model.means_, full_covariances(model), strict=True
        )
    ]
    return np.stack(columns, axis=1)


# -- against SciPy -----------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_predictions_are_those_of_the_densities(covariance_type: str) -> None:
    model = given(covariance_type)
    joint = log_joint(model, X)
    log_density = np.logaddexp.reduce(joint, axis=1)
    r = np.exp(joint - log_density[:, None])
    np.testing.assert_allclose(model.score_samples(X), log_density, rtol=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), r, atol=1e-12)
    np.testing.assert_array_equal(model.predict(X), joint.argmax(axis=1))
    assert model.loglik(X) == pytest.approx(log_density.sum(), rel=1e-12)
    assert model.score(X) == pytest.approx(log_density.mean(), rel=1e-12)
    df = {"full": 29, "tied": 17, "diag": 20, "spherical": 14}[covariance_type]
    bic = -2 * log_density.sum() + df * np.log(len(X))
    assert model.aic(X) == pytest.approx(-2 * log_density.sum() + 2 * df, rel=1e-12)
    assert model.bic(X) == pytest.approx(bic, rel=1e-12)
    entropy = stats.entropy(r, axis=1).sum()
    assert model.icl(X) == pytest.approx(bic + 2 * entropy, rel=1e-12)


def test_lower_bound_is_the_mean_log_likelihood_that_the_last_iteration_started_from() -> None:
    before = GaussianMixture(3, random_state=0, max_iter=4, tol=0)
    after = GaussianMixture(3, random_state=0, max_iter=5, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before.fit(X)
        after.fit(X)
    assert after.lower_bound_ == pytest.approx(before.score(X), rel=1e-12)


def test_no_iterations_leave_the_start() -> None:
    model = GaussianMixture(3, max_iter=0, means_init=MEANS, random_state=0).fit(X)
    np.testing.assert_array_equal(model.means_, MEANS)
    assert model.lower_bound_ == -np.inf
    assert model.lower_bounds_ == []
    assert (model.n_iter_, model.converged_) == (0, False)
    assert model.weights_.sum() == pytest.approx(1)


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_samples_have_the_moments_of_the_model(covariance_type: str) -> None:
    model = given(covariance_type, random_state=np.random.default_rng(0))
    x, y = model.sample(30_000)
    np.testing.assert_allclose(np.bincount(y) / len(y), WEIGHTS, atol=0.01)
    for k in range(3):
        rows = x[y == k]
        np.testing.assert_allclose(rows.mean(axis=0), MEANS[k], atol=0.15)
        np.testing.assert_allclose(np.cov(rows.T), full_covariances(model)[k], atol=0.4)
    assert not np.array_equal(model.sample(5)[0], model.sample(5)[0]), "a generator goes on"


def test_random_generator_gives_reproducible_fits() -> None:
    fits = [
        GaussianMixture(3, init_params="random", random_state=np.random.default_rng(1)).fit(X)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(fits[0].means_, fits[1].means_)


# -- weights of rows ---------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_weight_two_is_the_row_twice_and_weight_zero_no_row(covariance_type: str) -> None:
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    repeated = np.repeat(X, counts, axis=0)
    kwargs: dict[str, Any] = {
        "n_components": 3, "covariance_type": covariance_type, "max_iter": 15, "tol": 1e-9,
        "weights_init": WEIGHTS, "means_init": MEANS, "precisions_init": precision(covariance_type),
    }  # fmt: skip
    weighted = GaussianMixture(**kwargs).fit(X, sample_weight=counts)
    plain = GaussianMixture(**kwargs).fit(repeated)
    for name in ATTRIBUTES:
        np.testing.assert_allclose(getattr(weighted, name), getattr(plain, name), rtol=1e-9)
    np.testing.assert_allclose(weighted.lower_bounds_, plain.lower_bounds_, rtol=1e-11)
    for method in ("score", "loglik", "aic", "bic", "icl"):
        expected = getattr(plain, method)(repeated)
        got = getattr(plain, method)(X, sample_weight=counts)
        assert got == pytest.approx(expected, rel=1e-11), method


@pytest.mark.parametrize("init_params", INITS)
def test_row_of_weight_zero_takes_no_part_in_the_start(init_params: Any) -> None:
    present = np.arange(len(X)) % 3 > 0
    model = GaussianMixture(3, init_params=init_params, max_iter=0, random_state=0)
    far = np.where(present[:, None], X, 1e6)
    weighted = copy.deepcopy(model).fit(far, sample_weight=present)
    np.testing.assert_allclose(weighted.means_, model.fit(X[present]).means_, rtol=1e-9)


def test_impossible_row_of_weight_zero_does_not_matter() -> None:
    x = np.vstack([X, np.full((1, 3), 1e200)])
    weight = np.append(np.ones(len(X)), 0)
    assert given().score(x, sample_weight=weight) == pytest.approx(given().score(X))


# -- attributes set by hand --------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", COVARIANCES)
@pytest.mark.parametrize("name", ["covariances_", "precisions_cholesky_"])
def test_attributes_set_by_hand_make_a_model(covariance_type: Any, name: str) -> None:
    expected = given(covariance_type, random_state=0)
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    model.weights_, model.means_ = WEIGHTS, MEANS
    setattr(model, name, getattr(expected, name).tolist())
    np.testing.assert_allclose(model.score_samples(X), expected.score_samples(X), rtol=1e-10)
    np.testing.assert_allclose(model.sample(9)[0], expected.sample(9)[0], rtol=1e-8)
    model.means_ = MEANS + 1
    np.testing.assert_allclose(model.score_samples(X + 1), expected.score_samples(X), rtol=1e-8)
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expecting 3"):
        model.predict(X[:, :2])


def test_attribute_of_the_wrong_shape_is_named() -> None:
    model = given()
    model.weights_ = np.ones(2)
    with pytest.raises(ValueError, match=r"weights_: expected shape \(3,\), got \(2,\)"):
        model.predict(X)


def test_component_of_weight_zero_takes_no_rows() -> None:
    model = given(random_state=0)
    model.weights_ = np.array([0.4, 0.0, 0.6])
    assert not model.predict_proba(X)[:, 1].any()
    assert set(model.sample(100)[1]) == {0, 2}


def test_parts_of_the_start_are_not_overwritten() -> None:
    means = MEANS.tolist()
    model = GaussianMixture(3, means_init=means, random_state=0).fit(X)
    assert model.means_init is means
    assert not np.shares_memory(model.means_, MEANS)


# -- callback, summary, repr -------------------------------------------------------------------


def test_callback_is_told_each_iteration_of_each_start() -> None:
    told: list[Progress] = []
    model = GaussianMixture(3, n_init=3, random_state=0).fit(X, callback=told.append)
    assert sorted({progress.restart for progress in told}) == [0, 1, 2]
    runs = [[p.objective for p in told if p.restart == restart] for restart in range(3)]
    assert model.lower_bounds_ in runs
    assert [p.iteration for p in told if p.restart == 0] == list(range(1, len(runs[0]) + 1))


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_summary_tells_the_fit_of_the_training_data(covariance_type: Any) -> None:
    frame = pd.DataFrame(X, columns=["length", "width", "height"])
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(frame)
    text = model.summary()
    deviations = np.sqrt([c.diagonal() for c in full_covariances(model)])
    for number in (
        f"{model.loglik(frame):.3f}",
        f"{model.aic(frame):.3f}",
        f"{model.bic(frame):.3f}",
        f"{model.icl(frame):.3f}",
        f"{model.weights_[1]:.4f}",
        f"{model.means_[1, 2]:.6g}",
        f"{deviations[0, 1]:.6g}",
        "length",
        "300 rows; converged",
    ):
        assert number in text


def test_summary_of_many_features_is_short() -> None:
    model = GaussianMixture.from_params(
        [1.0], np.zeros((1, 500)), [1.0], covariance_type="spherical"
    )
    text = model.summary()
    assert "and 492 more features" in text
    assert "log-likelihood" not in text, "there were no training data"
    assert max(map(len, text.splitlines())) < 160


def test_repr_is_short() -> None:
    assert repr(GaussianMixture()) == "GaussianMixture()"
    text = repr(GaussianMixture(3, tol=1e-4, means_init=MEANS))
    assert text == "GaussianMixture(n_components=3, tol=0.0001, means_init=array of shape (3, 3))"


# -- copies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_predict_the_same(copied: Callable[[GaussianMixture], GaussianMixture]) -> None:
    model = GaussianMixture(3, random_state=0).fit(X)
    twin = copied(model)
    assert twin is not model
    np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    assert twin.summary() == model.summary()
    assert repr(copied(GaussianMixture(2))) == "GaussianMixture(n_components=2)"


def test_pickle_from_before_there_were_priors_is_read() -> None:
    model = GaussianMixture(3, random_state=0).fit(X)
    state = model.__getstate__()
    for name in ("prior", "assignment", "equal_weights"):
        del state[name]
    twin = GaussianMixture.__new__(GaussianMixture)
    twin.__setstate__(state)
    assert twin.get_params() == model.get_params()


def test_pickle_of_another_format_is_refused() -> None:
    with pytest.raises(StorageError, match="expected format 1, got 99"):
        GaussianMixture().__setstate__({"_pickle_format": 99})


def test_public_names_are_there() -> None:
    assert latentcore.GaussianMixture is GaussianMixture
