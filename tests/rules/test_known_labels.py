"""Known labels: all of them make the supervised fit in closed form, some of them pull the others along."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import GaussianNB

from latentcore import GaussianMixture

IRIS = load_iris()
X: npt.NDArray[np.float64] = IRIS.data
LABELS: npt.NDArray[np.int64] = IRIS.target


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "repeated"])
def test_full_covariances_are_quadratic_discriminant_analysis(weighted: bool) -> None:
    weight = np.where(np.arange(150) % 4 == 0, 3.0, 1.0) if weighted else None
    times = np.ones(150, int) if weight is None else weight.astype(int)
    x, y = np.repeat(X, times, axis=0), np.repeat(LABELS, times)
    theirs = QuadraticDiscriminantAnalysis(store_covariance=True).fit(x, y)
    ours = GaussianMixture(3, reg_covar=0.0).fit(X, labels=LABELS, sample_weight=weight)
    assert ours.converged_
    np.testing.assert_allclose(ours.weights_, theirs.priors_, rtol=1e-12)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-12)
    for k in range(3):  # scikit-learn divides by N_k or N_k - 1, depending on its version
        found, expected = ours.covariances_[k], theirs.covariance_[k]
        np.testing.assert_allclose(
            found / np.trace(found), expected / np.trace(expected), rtol=1e-9
        )
        np.testing.assert_allclose(found, np.cov(x[y == k].T, ddof=0), rtol=1e-9)


def test_tied_covariances_are_linear_discriminant_analysis() -> None:
    theirs = LinearDiscriminantAnalysis(store_covariance=True).fit(X, LABELS)
    ours = GaussianMixture(3, covariance_type="tied", reg_covar=0.0).fit(X, labels=LABELS)
    np.testing.assert_allclose(ours.weights_, theirs.priors_, rtol=1e-12)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-12)
    np.testing.assert_allclose(ours.covariances_, theirs.covariance_, rtol=1e-9)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)


def test_diagonal_covariances_are_naive_bayes() -> None:
    theirs = GaussianNB(var_smoothing=0.0).fit(X, LABELS)
    ours = GaussianMixture(3, covariance_type="diag", reg_covar=0.0).fit(X, labels=LABELS)
    np.testing.assert_allclose(ours.means_, theirs.theta_, rtol=1e-12)
    np.testing.assert_allclose(ours.covariances_, theirs.var_, rtol=1e-9)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)


def test_no_known_label_is_the_unsupervised_fit_bit_for_bit() -> None:
    plain = GaussianMixture(3, random_state=0).fit(X)
    labelled = GaussianMixture(3, random_state=0).fit(X, labels=np.full(150, -1))
    for name in ("weights_", "means_", "covariances_"):
        assert getattr(labelled, name).tobytes() == getattr(plain, name).tobytes()
    assert labelled.lower_bounds_ == plain.lower_bounds_


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0]], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_a_few_labels_name_the_components(order: list[int], seed: int) -> None:
    """Three labelled flowers of each species: components are the species, in the order of the labels."""
    known = np.random.default_rng(seed).permuted(np.arange(150).reshape(3, 50), axis=1)[:, :3]
    labels = np.full(150, -1)
    named = np.array(order)[LABELS]
    labels[known.ravel()] = named[known.ravel()]
    model = GaussianMixture(3, covariance_type="tied", random_state=seed).fit(X, labels=labels)
    assert np.mean(model.predict(X) == named) > 0.94
