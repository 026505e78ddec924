"""The slow truth agrees with SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reference import gaussian


@pytest.mark.parametrize("covariance_type", gaussian.COVARIANCE_TYPES)
def test_log_joint_agrees_with_scipy(covariance_type: str) -> None:
    rng = np.random.default_rng(1)
    means = rng.normal(size=(3, 4))
    covariances = gaussian.random_covariances(rng, covariance_type, 3, 4)
    weights = np.array([0.2, 0.5, 0.3])
    x = rng.normal(size=(20, 4))
    dense = gaussian.full_covariances(covariances, covariance_type, means)
    expected = np.log(weights) + np.stack(
        [stats.multivariate_normal(m, c).logpdf(x) for m, c in zip(means, dense, strict=True)],
        axis=1,
    )
    got = gaussian.log_joint(x, weights, means, covariances, covariance_type)
    np.testing.assert_allclose(got.astype(float), expected, rtol=1e-12)


def test_statistics_agree_with_numpy_cov() -> None:
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(30, 3)), rng.uniform(size=(30, 2))
    counts, means, scatters = gaussian.statistics(x, w, "full")
    for k in range(2):
        np.testing.assert_allclose(means[k], np.average(x, axis=0, weights=w[:, k]), rtol=1e-13)
        expected = np.cov(x.T, aweights=w[:, k], ddof=0) * w[:, k].sum()
        np.testing.assert_allclose(scatters[k], expected, rtol=1e-12)
        np.testing.assert_allclose(counts[k], w[:, k].sum(), rtol=1e-14)
