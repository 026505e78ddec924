"""Densities of every family, and tables of several kinds of columns."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import bernoulli, expon, gamma, norm, poisson, vonmises

from latentcore import (
    BernoulliMixture,
    CategoricalMixture,
    ExponentialMixture,
    GammaMixture,
    Mixture,
    MultinomialMixture,
    PoissonMixture,
    VonMisesMixture,
    plots,
)
from latentcore.families.categorical import Categorical
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson
from plots.tools import CIRCLE, FAITHFUL, TABLE, ellipses_of

RNG = np.random.default_rng(7)


def mixed():
    parts = [(Categorical((3,)), [3]), (Gaussian("full", 1e-6), [1, 0]), (Poisson(), [2])]
    return Mixture(IndependentColumns(parts), 2, random_state=0).fit(TABLE)


@pytest.mark.parametrize(
    ("model", "truth"),
    [
        (PoissonMixture.from_params([0.3, 0.7], [[1, 5], [1, 20]]), [poisson(5).pmf, poisson(20).pmf]),
        (BernoulliMixture.from_params([0.3, 0.7], [[0, 0.2], [1, 0.9]]), [bernoulli(0.2).pmf, bernoulli(0.9).pmf]),
        (
            CategoricalMixture.from_params([0.3, 0.7], [[1, 0, 0.5, 0.3, 0.2], [0, 1, 0, 0, 1]], n_categories=(2, 3)),
            [lambda x: np.array([0.5, 0.3, 0.2])[x.astype(int)], lambda x: np.array([0.0, 0, 1])[x.astype(int)]],
        ),
    ],
)  # fmt: skip
def test_counts_and_codes_have_probabilities_at_whole_numbers(model, truth):
    rows, _ = model.set_params(random_state=0).sample(400)
    ax = plots.densities(model, rows, 1)
    *parts, mixture = ax.get_lines()
    whole = np.arange(rows[:, 1].min(), rows[:, 1].max() + 1)
    for line, weight, pmf in zip(parts, model.weights_, truth, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), whole)
        np.testing.assert_allclose(line.get_ydata(), weight * pmf(whole), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(
        mixture.get_ydata(), np.sum([line.get_ydata() for line in parts], axis=0)
    )
    shares = [(rows[:, 1] == value).mean() for value in whole]
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], shares)
    assert ax.get_ylabel() == "probability"


def test_bars_of_large_counts_hold_several_numbers_and_still_sum_to_one():
    model = PoissonMixture.from_params([1.0], [[5000.0]], random_state=0)
    ax = plots.densities(model, model.sample(500)[0])
    assert len(ax.patches) <= 81
    assert sum(bar.get_width() * bar.get_height() for bar in ax.patches) == pytest.approx(1)
    assert ax.get_lines()[0].get_ydata().sum() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("model", "truth"),
    [
        (
            ExponentialMixture.from_params([0.5, 0.5], [[10.0], [0.1]]),
            [expon(scale=0.1).pdf, expon(scale=10).pdf],
        ),
        (
            GammaMixture.from_params([0.5, 0.5], [[0.5], [9.0]], [[10.0], [1.0]]),
            [gamma(0.5, scale=0.1).pdf, gamma(9).pdf],
        ),
    ],
)
def test_durations_have_their_density_from_the_least_one_on(model, truth):
    rows, _ = model.set_params(random_state=0).sample(300)
    ax = plots.densities(model, rows)
    for line, pdf in zip(ax.get_lines()[:2], truth, strict=True):
        x, y = line.get_data()
        assert x.min() > 0
        np.testing.assert_allclose(y, 0.5 * pdf(x), rtol=1e-10)
    assert ax.get_ylim()[1] <= 4 * max(bar.get_height() for bar in ax.patches)


@pytest.mark.parametrize(("shift", "start"), [(0.0, -np.pi), (np.pi, 0.0), (50.0, 50 - np.pi)])
def test_angles_have_their_density_over_a_whole_turn(shift, start):
    model = VonMisesMixture.from_params([1.0], [[0.3 + shift]], [[4.0]], random_state=0)
    angles = vonmises(4.0, loc=0.3).rvs(200, random_state=1)
    angles = np.concatenate([[-np.pi], (angles + np.pi) % (2 * np.pi) - np.pi]) + shift
    (line,) = plots.densities(model, angles).get_lines()
    x, y = line.get_data()
    assert (x[0], x[-1]) == pytest.approx((start, start + 2 * np.pi))
    np.testing.assert_allclose(y, vonmises(4.0, loc=0.3 + shift).pdf(x), rtol=1e-9)


def test_columns_of_a_mixed_table_have_their_own_families():
    model = mixed()
    codes, _, counts = model.components_.parts
    for column, parameter in ((3, codes.probabilities), (2, counts.rates)):
        (first, *_) = plots.densities(model, TABLE, column).get_lines()
        x = first.get_xdata()
        pmf = parameter[0][x.astype(int)] if column == 3 else poisson(parameter[0, 0]).pmf(x)
        np.testing.assert_allclose(first.get_ydata(), model.weights_[0] * pmf)
    x, y = plots.densities(model, TABLE, 0).get_lines()[1].get_data()
    inner = model.components_.parts[1]
    deviation = np.sqrt(inner.covariances[1, 1, 1])
    np.testing.assert_allclose(y, model.weights_[1] * norm(inner.means[1, 1], deviation).pdf(x))


def test_gaussian_columns_of_a_mixed_table_have_ellipses():
    model = mixed()
    inner = model.components_.parts[1]
    for ellipse, k in zip(
        ellipses_of(plots.ellipses(model, TABLE, (0, 1)))[::2], (0, 1), strict=True
    ):
        edge = ellipse.get_patch_transform().transform(CIRCLE) - inner.means[k, [1, 0]]
        precision = np.linalg.inv(inner.covariances[k][np.ix_([1, 0], [1, 0])])
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", edge, precision, edge), 1)
    with pytest.raises(ValueError, match="expected Gaussian columns, got 'x3'"):
        plots.ellipses(model, TABLE, (0, 3))


def test_gaussian_parts_apart_have_ellipses_along_the_axes():
    parts = [(Gaussian("full", 1e-6), [0]), (Gaussian("diag", 1e-6), [1])]
    model = Mixture(IndependentColumns(parts), 2, random_state=0).fit(FAITHFUL)
    first = ellipses_of(plots.ellipses(model, FAITHFUL))[0]
    edge = first.get_patch_transform().transform(CIRCLE)
    one, other = model.components_.parts
    deviations = np.sqrt([one.covariances[0, 0, 0], other.covariances[0, 0]])
    extent = (edge.max(axis=0) - edge.min(axis=0)) / 2
    np.testing.assert_allclose(extent, deviations, rtol=0.01)


class Counts:
    """A user's family, in NumPy, of one feature: geometric."""

    def log_likelihood(self, params, x):
        return np.log(params["p"]) + x * np.log1p(-params["p"])


def test_family_of_a_user_has_densities_of_one_feature():
    rows = RNG.geometric(0.3, (50, 1)) - 1.0
    model: Any = PoissonMixture(1).fit(rows)
    model.family_, model.components_ = Counts(), {"p": np.array([0.3])}
    (line,) = plots.densities(model, rows).get_lines()
    x, y = line.get_data()
    np.testing.assert_allclose(y, 0.3 * 0.7**x)


def test_outcomes_of_a_multinomial_have_no_densities_but_responsibilities():
    rows = sparse.csr_array(RNG.multinomial(9, [0.2, 0.3, 0.5], 60))
    model = MultinomialMixture(2, random_state=0).fit(rows)
    with pytest.raises(ValueError, match="got Multinomial"):
        plots.densities(model, rows)
    assert len(plots.fit_figure(model, rows).axes[0].collections) == 2


@pytest.mark.parametrize(
    ("columns", "n_axes"),
    [((0, 1), 2), ((2, 3), 3), ((1, 2), 3)],
    ids=["ellipses", "counts", "both"],
)
def test_fit_figure_of_a_mixed_table_draws_the_chosen_columns(columns, n_axes):
    figure = plots.fit_figure(mixed(), TABLE, columns)
    assert len(figure.axes) == n_axes
    figure.canvas.draw()
