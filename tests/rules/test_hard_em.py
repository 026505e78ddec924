"""Hard EM with equal weights and one variance for all components is k-means (Celeux & Govaert 1992)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from latentcore import GaussianMixture
from latentcore.arrays import Rows
from latentcore.families.gaussian import Gaussian
from latentcore.rules.em import EM
from latentcore.structures.mixture import Mixture, MixtureParams

FAMILY = Gaussian("tied_spherical")
MODEL = Mixture(FAMILY, hard=True, equal_weights=True)


def blobs(dtype: Any, weighted: bool) -> Rows:
    rng = np.random.default_rng(1)
    x = 2 * rng.normal(size=(6, 3))[rng.integers(6, size=900)] + rng.normal(size=(900, 3))
    return Rows(x.astype(dtype), rng.uniform(0.2, 2, 900) if weighted else None)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("n_steps", [1, 2, 5, 300])
def test_hard_em_is_kmeans_step_by_step(dtype: Any, weighted: bool, n_steps: int) -> None:
    rows = blobs(dtype, weighted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = KMeans(6, init=rows.x[:6], n_init=1, max_iter=n_steps, tol=0.0).fit(
            rows.x, sample_weight=rows.sample_weight
        )
    components = FAMILY.params(rows.x[:6].astype(float), np.ones(6))
    rule = EM(MODEL)
    state = rule.init(MixtureParams(np.full(6, 1 / 6), components))
    for _ in range(theirs.n_iter_):
        state, _ = rule.step(state, lambda p: MODEL.expected_statistics(p, rows))
    means = state.params.components.means
    rtol = 1e-10 if dtype is np.float64 else 1e-4
    np.testing.assert_allclose(means, theirs.cluster_centers_, rtol=rtol, atol=rtol)
    labels = MODEL.labels(state.params, rows.x)
    np.testing.assert_array_equal(labels, theirs.labels_)
    if n_steps == 300:  # converged: the variance is what is left of the clusters
        variance = theirs.inertia_ / (3 * rows.total_weight())
        np.testing.assert_allclose(state.params.components.covariances, variance, rtol=rtol)


def test_estimator_finds_the_clusters_of_kmeans() -> None:
    x = blobs(np.float64, False).x
    ours = GaussianMixture(
        6, covariance_type="tied_spherical", assignment="hard", equal_weights=True, tol=0.0,
        reg_covar=0.0, means_init=x[:6], max_iter=300,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a tolerance of 0 is never met
        ours.fit(x)
    theirs = KMeans(6, init=x[:6], n_init=1, tol=0.0).fit(x)
    np.testing.assert_array_equal(ours.predict(x), theirs.labels_)
    np.testing.assert_allclose(ours.means_, theirs.cluster_centers_, rtol=1e-10)
