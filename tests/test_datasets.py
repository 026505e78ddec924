"""The shipped data sets against published figures."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, poisson

from latentcore.datasets import (
    Dataset,
    load_earthquakes,
    load_iris,
    load_nile,
    load_old_faithful,
)


@pytest.mark.parametrize(
    ("load", "shape", "feature_names"),
    [
        (load_old_faithful, (272, 2), ("eruptions", "waiting")),
        (load_earthquakes, (107, 1), ("count",)),
        (load_nile, (100, 1), ("flow",)),
        (load_iris, (150, 4), ("sepal_length", "sepal_width", "petal_length", "petal_width")),
    ],
)
def test_shape_names_and_source(load, shape, feature_names):
    dataset = load()
    assert isinstance(dataset, Dataset)
    assert dataset.data.shape == shape
    assert dataset.data.dtype == np.float64
    assert dataset.data.flags.c_contiguous
    assert dataset.feature_names == feature_names
    assert "Source:" in dataset.description


def test_each_load_gives_its_own_array():
    load_nile().data[:] = 0
    assert load_nile().data.min() > 0


def test_old_faithful_has_the_means_and_correlation_that_R_prints():
    data = load_old_faithful().data
    np.testing.assert_allclose(data.mean(axis=0), [3.487783, 70.897059], atol=5e-7)
    correlations = np.atleast_2d(np.corrcoef(data.T))
    assert correlations[0, 1] == pytest.approx(0.9008112, abs=5e-8)


def test_old_faithful_mixture_reaches_the_published_likelihood():
    """Two components, full covariances, best converged fit: -1130.26396."""
    data = load_old_faithful().data
    r = np.column_stack([data[:, 1] < 68, data[:, 1] >= 68]).astype(float)
    for _ in range(300):
        log_joint = np.empty_like(r)
        for k in range(2):
            mean = np.average(data, axis=0, weights=r[:, k])
            covariance = np.cov(data.T, aweights=r[:, k], ddof=0)
            density = multivariate_normal(mean, covariance).logpdf(data)
            log_joint[:, k] = np.log(r[:, k].mean()) + density
        log_density = np.logaddexp.reduce(log_joint, axis=1)
        r = np.exp(log_joint - log_density[:, None])
    assert log_density.sum() == pytest.approx(-1130.26396, abs=1e-5)


def test_earthquake_counts_give_the_published_poisson_likelihood():
    """Zucchini & MacDonald (2009), table 1.2: one Poisson has mean 19.364 and -log L 391.9189."""
    counts = load_earthquakes().data[:, 0]
    assert counts.mean() == pytest.approx(19.364, abs=5e-4)
    assert -poisson.logpmf(counts, counts.mean()).sum() == pytest.approx(391.9189, abs=5e-5)


def test_earthquake_counts_give_the_published_poisson_mixture():
    """Zucchini & MacDonald (2009), table 1.2: m = 2, -log L 360.3690."""
    counts = load_earthquakes().data
    weights, rates = np.array([0.5, 0.5]), np.array([10.0, 30.0])
    for _ in range(2000):
        log_joint = np.log(weights) + poisson.logpmf(counts, rates)
        log_density = np.logaddexp.reduce(log_joint, axis=1)
        r = np.exp(log_joint - log_density[:, None])
        weights, rates = r.mean(axis=0), (r * counts).sum(axis=0) / r.sum(axis=0)
    assert -log_density.sum() == pytest.approx(360.3690, abs=1e-4)
    np.testing.assert_allclose(weights, [0.676, 0.324], atol=5e-4)
    np.testing.assert_allclose(rates, [15.777, 26.840], atol=5e-4)


def test_earthquake_counts_are_in_the_order_of_the_years():
    """A mixture does not see the order, a hidden Markov chain does: m = 2, -log L 342.3183."""
    dataset = load_earthquakes()
    transition = np.array([[0.9340, 0.0660], [0.1285, 0.8715]])
    stationary = np.array([0.1285, 0.0660]) / (0.1285 + 0.0660)
    densities = poisson.pmf(dataset.data, [15.472, 26.125])
    alpha, log_likelihood = stationary * densities[0], 0.0
    for density in densities[1:]:
        log_likelihood += np.log(alpha.sum())
        alpha = alpha / alpha.sum() @ transition * density
    log_likelihood += np.log(alpha.sum())
    assert -log_likelihood == pytest.approx(342.3183, abs=1e-3)
    np.testing.assert_array_equal(dataset.years, np.arange(1900, 2007))


def test_nile_flow_has_the_published_moments():
    """R's ``datasets::Nile``: mean 919.35, standard deviation 169.2275, least 456 in 1913."""
    dataset = load_nile()
    flow = dataset.data[:, 0]
    assert flow.mean() == 919.35
    assert flow.std(ddof=1) == pytest.approx(169.2275, abs=5e-5)
    np.testing.assert_array_equal(dataset.years, np.arange(1871, 1971))
    assert dataset.years is not None
    assert dataset.years[flow.argmin()] == 1913
    assert flow.min() == 456


def test_nile_flow_drops_after_1898():
    """Cobb (1978): means 1097.75 in the first 28 years and 849.97 in the next 72."""
    flow = load_nile().data[:, 0]
    assert flow[:28].mean() == pytest.approx(1097.75, abs=5e-3)
    assert flow[28:].mean() == pytest.approx(849.97, abs=5e-3)


def test_iris_has_the_means_of_fisher():
    """Fisher (1936), table II; and the labels are the species."""
    dataset = load_iris()
    means = [dataset.data[dataset.labels == label].mean(axis=0) for label in range(3)]
    expected = {
        "setosa": [5.006, 3.428, 1.462, 0.246],
        "versicolor": [5.936, 2.770, 4.260, 1.326],
        "virginica": [6.588, 2.974, 5.552, 2.026],
    }
    assert dataset.label_names == tuple(expected)
    np.testing.assert_allclose(means, list(expected.values()), atol=1e-12)
    assert dataset.labels is not None
    np.testing.assert_array_equal(np.bincount(dataset.labels), [50, 50, 50])
