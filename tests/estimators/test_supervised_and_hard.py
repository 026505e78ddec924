"""Limits of the Gaussian mixture that have names: discriminant analysis and k-means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as LDA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis as QDA

from latentcore import GaussianMixture

X, Y = load_iris(return_X_y=True)
KMEANS: dict[str, Any] = {
    "covariance_type": "tied_spherical",
    "assignment": "hard",
    "equal_weights": True,
}


def supervised(covariance_type: Any, **kwargs: Any) -> GaussianMixture:
    return GaussianMixture(3, covariance_type=covariance_type, reg_covar=0, **kwargs)


@pytest.mark.parametrize("assignment", ["soft", "hard"])
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_known_labels_with_one_covariance_are_lda(init_params: Any, assignment: Any) -> None:
    model = supervised("tied", init_params=init_params, assignment=assignment).fit(X, labels=Y)
    theirs = LDA(solver="lsqr", store_covariance=True).fit(X, Y)
    np.testing.assert_allclose(model.means_, theirs.means_, rtol=1e-12)
    np.testing.assert_allclose(model.covariances_, theirs.covariance_, rtol=1e-9)
    np.testing.assert_allclose(model.weights_, theirs.priors_, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), theirs.predict(X))
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-8)
    assert model.converged_


def test_known_labels_with_covariances_of_their_own_are_qda() -> None:
    model = supervised("full").fit(X, labels=Y)
    theirs = QDA(store_covariance=True).fit(X, Y)
    np.testing.assert_allclose(model.means_, theirs.means_, rtol=1e-12)
    np.testing.assert_allclose(model.covariances_, np.array(theirs.covariance_), rtol=1e-9)


def test_supervised_objective_is_the_log_likelihood_of_rows_with_their_labels() -> None:
    model = supervised("full").fit(X, labels=Y)
    log_joint = model.score_samples(X) + np.log(model.predict_proba(X)[np.arange(len(X)), Y])
    assert model.lower_bound_ == pytest.approx(log_joint.mean(), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(4))
def test_hard_em_with_one_variance_and_equal_weights_is_kmeans(seed: int, dtype: Any) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(500, 3)) + 3 * rng.integers(0, 3, (500, 1))).astype(dtype)
    centers = x[rng.choice(500, 5, replace=False)]
    theirs = KMeans(5, init=centers, n_init=1, tol=0, max_iter=500).fit(x)
    tol = 1e-8 if dtype == np.float32 else 1e-12
    ours = GaussianMixture(5, means_init=centers, tol=tol, max_iter=500, **KMEANS).fit(x)
    np.testing.assert_allclose(
        ours.means_, theirs.cluster_centers_, rtol=1e-4 if dtype == np.float32 else 1e-9
    )
    np.testing.assert_array_equal(ours.predict(x), theirs.labels_)
    inertia = ((x - ours.means_[theirs.labels_]) ** 2).sum()
    np.testing.assert_allclose(ours.covariances_, inertia / x.size + 1e-6, rtol=1e-5)


def test_hard_objective_is_that_of_rows_in_their_components() -> None:
    model = GaussianMixture(3, assignment="hard", random_state=0, tol=1e-12, max_iter=500).fit(X)
    largest = model.predict_proba(X).max(axis=1)
    assert model.lower_bound_ == pytest.approx((model.score_samples(X) + np.log(largest)).mean())
    assert model.lower_bound_ < model.score(X)


def test_unlabelled_rows_move_the_supervised_fit() -> None:
    labels = np.where(np.arange(len(X)) % 5 == 0, Y, -1)
    few = supervised("tied").fit(X[labels >= 0], labels=labels[labels >= 0])
    model = supervised("tied", tol=1e-9, max_iter=1000).fit(X, labels=labels)
    rest = labels < 0
    assert (model.predict(X[rest]) == Y[rest]).mean() > 0.95
    assert model.score(X) > few.score(X)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied_spherical"])
def test_prior_keeps_equal_rows_from_collapse(covariance_type: Any) -> None:
    x = np.vstack([X, np.tile(X[:1] + 20, (12, 1))])
    model = GaussianMixture(
        4, covariance_type=covariance_type, reg_covar=0, prior="weak", random_state=0, tol=1e-8,
        max_iter=500,
    ).fit(x)  # fmt: skip
    assert model.n_degenerate_ == 0
    assert (np.diff(model.lower_bounds_) > -1e-10).all()
    assert model.components_.means.shape == (4, 4)
