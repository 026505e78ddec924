"""Pictures of Bayesian mixtures."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import beta, gamma, wishart

from latentcore import BayesianGaussianMixture, BayesianMixture, GaussianMeansMixture, plots
from latentcore.families.categorical import Categorical
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import Gaussian
from latentcore.plots.bayesian import drawn_weights
from latentcore.structures.weights import FixedWeights, StickBreaking
from plots.tools import COUNTS, FAITHFUL, TABLE, ellipses_of, fitted


def bayesian(data, n_components=5, **settings):
    return BayesianGaussianMixture(n_components, random_state=0, max_iter=1000, **settings).fit(
        data
    )


def test_terms_lead_from_the_expected_log_joint_to_the_bound():
    model = bayesian(FAITHFUL)
    terms = model.elbo_terms_
    bars = plots.elbo_terms(model).patches
    signed = [
        terms["entropy"],
        -terms["divergence_of_weights"],
        *-terms["divergence_of_components"],
    ]
    np.testing.assert_allclose([bar.get_width() for bar in bars], signed, rtol=1e-9, atol=1e-9)
    starts = [bar.get_x() for bar in bars]
    assert starts[0] == pytest.approx(terms["expected_log_joint"])
    assert starts[-1] + bars[-1].get_width() == pytest.approx(model.lower_bound_)


def test_intervals_of_a_dirichlet_are_those_of_its_marginals():
    model = BayesianMixture(
        "poisson", 3, weight_concentration_prior_type="dirichlet_distribution", max_iter=1000,
        random_state=0,
    ).fit(COUNTS)  # fmt: skip
    ax = plots.posterior_weights(model, probability=0.9)
    alpha = model.posterior_.weights.alpha
    marginal = beta(alpha, alpha.sum() - alpha)
    drawn = np.array([segment[:, 1] for segment in ax.collections[0].get_segments()])
    for tail, ends in zip((0.05, 0.95), drawn.T, strict=True):
        np.testing.assert_allclose(marginal.cdf(ends), tail, atol=0.01)
    np.testing.assert_allclose(ax.collections[1].get_offsets()[:, 1], marginal.mean())


@pytest.mark.parametrize("by_size", [True, False])
def test_drawn_sticks_have_the_expected_logs(by_size):
    posterior = StickBreaking(2.0, np.array([3.0, 40.0, 0.5, 12.0]), False, by_size)
    logs = np.log(drawn_weights(posterior))
    error = logs.std(axis=0) / np.sqrt(len(logs))
    assert (np.abs(logs.mean(axis=0) - posterior.expected_log()) < 5 * error).all()


def test_shares_of_an_endless_process_sum_to_one_and_fixed_weights_have_no_interval():
    endless = StickBreaking(2.0, np.array([3.0, 40.0, 12.0]), True, False)
    draws = drawn_weights(endless)
    np.testing.assert_allclose(draws.sum(axis=1), 1)
    np.testing.assert_allclose(draws.mean(axis=0), endless.mean(), atol=0.02)
    np.testing.assert_array_equal(drawn_weights(FixedWeights(np.array([0.3, 0.7]))), [[0.3, 0.7]])


SCATTERED = np.random.default_rng(3).normal(size=(14, 3)) @ [[1, 0.5, 2], [0, 2, 0], [0, 0, 1]]


def means_from(model, n_draws, rng):
    """Draws of the mean of component 0 from the posterior, (n, D), by way of precisions."""
    posterior = model.posterior_.components
    if isinstance(model, GaussianMeansMixture):
        covariances = np.repeat(posterior.variances[0] * np.eye(3)[None], n_draws, axis=0)
    else:
        nu, scale = posterior.degrees_of_freedom[0], posterior.scale
        scale = scale if model.covariance_type == "tied" else scale[0]
        if scale.ndim == 2:
            precisions = wishart(nu, np.linalg.inv(scale)).rvs(n_draws, rng)
            covariances = np.linalg.inv(precisions)
        else:
            size = (n_draws, 3) if scale.ndim else (n_draws, 1)
            variances = 1 / gamma(nu / 2, scale=2 / scale).rvs(size, rng)
            covariances = variances[:, :, None] * np.eye(3)
        covariances = covariances / posterior.mean_precision[0]
    noise = rng.normal(size=(n_draws, 3, 1))
    return posterior.means[0] + (np.linalg.cholesky(covariances) @ noise)[..., 0]


@pytest.mark.parametrize(
    ("model", "margin"),
    [
        (bayesian(SCATTERED, 1), 0.012),
        (bayesian(SCATTERED, 1, covariance_type="tied"), 0.012),
        (bayesian(SCATTERED, 1, covariance_type="spherical"), 0.012),
        (bayesian(SCATTERED, 1, covariance_type="tied_spherical"), 0.012),
        (bayesian(SCATTERED, 1, covariance_type="diag"), 0.03),
        (GaussianMeansMixture(1, variance=2.0, prior_std=3.0).fit(SCATTERED), 0.012),
    ],
    ids=["full", "tied", "spherical", "tied_spherical", "diag", "known variance"],
)
def test_means_are_in_their_ellipse_with_its_probability(model, margin):
    """4 standard errors of 10 000 draws; independent t distributions have no ellipse, but nearly."""
    ellipse = ellipses_of(plots.posterior_ellipses(model, SCATTERED, (2, 0), probability=0.9))[-1]
    draws = means_from(model, 10_000, np.random.default_rng(1))[:, [2, 0]]
    units = ellipse.get_patch_transform().inverted().transform(draws)
    assert (np.square(units).sum(axis=1) <= 1).mean() == pytest.approx(0.9, abs=margin)


def test_components_without_rows_are_not_drawn():
    model = bayesian(FAITHFUL, 8)
    assert model.n_effective_components_ == 2
    assert len(ellipses_of(plots.ellipses(model, FAITHFUL))) == 4
    assert len(ellipses_of(plots.posterior_ellipses(model, FAITHFUL))) == 6
    assert len(plots.densities(model, FAITHFUL).get_lines()) == 3


def test_ellipses_of_means_need_gaussian_columns_of_one_group():
    parts = [
        (Gaussian("full", 1e-6), [1, 0]),
        (Gaussian("diag", 1e-6), [2]),
        (Categorical((3,)), [3]),
    ]
    model = BayesianMixture(IndependentColumns(parts), 2, random_state=0, tol=1e3).fit(TABLE)
    alone = bayesian(FAITHFUL, 2)
    assert len(ellipses_of(plots.posterior_ellipses(model, TABLE))) == 6
    with pytest.raises(ValueError, match="expected two columns of one group"):
        plots.posterior_ellipses(model, TABLE, (0, 2))
    with pytest.raises(ValueError, match="expected Gaussian columns, got 'x3'"):
        plots.posterior_ellipses(model, TABLE, (0, 3))
    with pytest.raises(ValueError, match=r"probability: expected a number in \(0, 1\), got 1"):
        plots.posterior_ellipses(alone, FAITHFUL, probability=1)


@pytest.mark.parametrize(
    "draw", [plots.elbo_terms, plots.posterior_weights, lambda m: plots.posterior_ellipses(m, FAITHFUL)]
)  # fmt: skip
def test_mixture_without_a_posterior_is_refused(draw):
    with pytest.raises(TypeError, match="expected a Bayesian mixture, got GaussianMixture"):
        draw(fitted(FAITHFUL))


def test_posteriors_are_drawn_on_the_given_axes():
    ax = Figure().subplots()
    model = bayesian(FAITHFUL)
    assert plots.elbo_terms(model, ax=ax) is ax
    assert plots.posterior_weights(model, ax=ax) is ax
    assert plots.posterior_ellipses(model, FAITHFUL, ax=ax) is ax


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (bayesian(FAITHFUL, 3, covariance_type="tied_spherical"), FAITHFUL),
        (BayesianMixture("poisson", 3, max_iter=1000, random_state=0).fit(COUNTS), COUNTS),
        (GaussianMeansMixture(2, variance=30.0, prior_std=50.0).fit(FAITHFUL), FAITHFUL),
    ],
)
def test_other_pictures_take_bayesian_mixtures(model, data):
    figure = plots.fit_figure(model, data)
    assert figure.axes[-1].get_ylabel() == "evidence lower bound (nats)"
    (points,) = plots.uncertainty(model, data).collections[:1]
    expected = np.sort(1 - model.predict_proba(data).max(axis=1))
    np.testing.assert_allclose(points.get_array(), expected, atol=1e-12)
    assert len(plots.responsibilities(model, data).collections) == len(model.weights_)
