"""Ellipses, densities and points hold what Gaussian mixtures say; no pyplot state is touched."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.stats import norm

from latentcore import GaussianMixture, plots
from latentcore.cli.tables import Table
from plots.tools import (
    CIRCLE,
    COUNTS,
    COVARIANCE_TYPES,
    FAITHFUL,
    ellipses_of,
    fitted,
    full_covariances,
)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("columns", [(0, 1), (2, 0)])
def test_ellipses_lie_at_one_and_two_standard_deviations_of_the_marginal(covariance_type, columns):
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3))
    rows[150:] += [6, -3, 9]
    model = fitted(rows, covariance_type=covariance_type)
    ax = plots.ellipses(model, rows, columns)
    drawn = ellipses_of(ax)
    assert len(drawn) == 4
    expected = [(k, n) for k in range(2) for n in (1, 2)]
    pair = list(columns)
    for ellipse, (k, n) in zip(drawn, expected, strict=True):
        edge = ellipse.get_patch_transform().transform(CIRCLE)
        deviation = edge - model.means_[k, pair]
        precision = np.linalg.inv(full_covariances(model)[k][np.ix_(pair, pair)])
        distance = np.sqrt(np.einsum("ni,ij,nj->n", deviation, precision, deviation))
        np.testing.assert_allclose(distance, n)


def test_points_take_the_colour_of_their_component():
    model = fitted(FAITHFUL)
    ax = plots.ellipses(model, FAITHFUL)
    colors = ax.collections[0].get_facecolors()[:, :3]
    edges = [np.array(to_rgb(e.get_edgecolor())) for e in ellipses_of(ax)[::2]]
    nearest = np.argmin([np.abs(colors - edge).sum(axis=1) for edge in edges], axis=0)
    np.testing.assert_array_equal(nearest, model.predict(FAITHFUL))


def test_many_rows_are_thinned_out():
    rows = np.random.default_rng(0).normal(size=(20_001, 2))
    ax = plots.ellipses(fitted(rows, 1), rows, max_points=1000)
    assert 900 <= len(ax.collections[0].get_offsets()) <= 1000


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_densities_are_the_weighted_normals_and_their_sum(covariance_type):
    model = fitted(FAITHFUL, covariance_type=covariance_type)
    ax = plots.densities(model, FAITHFUL, column=1)
    *parts, mixture = ax.get_lines()
    assert len(parts) == 2
    deviations = np.sqrt(full_covariances(model)[:, 1, 1])
    for k, line in enumerate(parts):
        x, y = line.get_data()
        truth = model.weights_[k] * norm(model.means_[k, 1], deviations[k]).pdf(x)
        np.testing.assert_allclose(y, truth, rtol=1e-10)
    total = np.sum([line.get_ydata() for line in parts], axis=0)
    np.testing.assert_allclose(mixture.get_ydata(), total, rtol=1e-12)


def test_histogram_has_unit_area():
    ax = plots.densities(fitted(COUNTS), COUNTS[:, 0])
    area = sum(bar.get_width() * bar.get_height() for bar in ax.patches)
    assert area == pytest.approx(1)


def test_narrow_component_is_not_lost_between_grid_points():
    rows = np.concatenate([np.linspace(-1000, 1000, 50), np.linspace(3.3, 3.3001, 50)])[:, None]
    model = GaussianMixture.from_params([0.5, 0.5], [[0.0], [3.3]], [[[1e5]], [[1e-9]]])
    peak = plots.densities(model, rows).get_lines()[1].get_ydata().max()
    assert peak == pytest.approx(0.5 * norm(0, np.sqrt(1e-9)).pdf(0), rel=1e-3)


def test_functions_draw_on_the_given_axes():
    figure = Figure()
    ax = figure.subplots()
    model = fitted(FAITHFUL)
    assert plots.ellipses(model, FAITHFUL, ax=ax) is ax
    assert plots.densities(model, FAITHFUL, ax=ax) is ax
    assert plots.objective(model, ax=ax) is ax


def test_labels_are_the_feature_names():
    model = GaussianMixture(2, random_state=0).fit(Table(FAITHFUL, ["eruptions", "waiting"]))
    ax = plots.ellipses(model, FAITHFUL, (1, 0))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("waiting", "eruptions")
    assert plots.ellipses(fitted(FAITHFUL), FAITHFUL).get_xlabel() == "x0"


@pytest.mark.parametrize("columns", [(0, 0), (0, -2), (0, 2), (-3, 0)])
def test_wrong_columns_are_named(columns):
    with pytest.raises(ValueError, match="columns: expected"):
        plots.ellipses(fitted(FAITHFUL), FAITHFUL, columns)


def test_data_of_another_width_is_refused():
    with pytest.raises(ValueError, match=r"X: expected shape \(N, 2\), got \(107, 1\)"):
        plots.ellipses(fitted(FAITHFUL), COUNTS)


def test_component_of_zero_width_is_drawn():
    rows = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [2.0, 1.5]])
    model = fitted(rows, 1, reg_covar=1e-12)
    plots.fit_figure(model, rows).canvas.draw()


def test_more_components_than_colours_differ_by_line():
    rows = np.random.default_rng(0).normal(size=(200, 2))
    model = fitted(rows, 10, covariance_type="spherical", max_iter=3, tol=1e3)
    drawn = ellipses_of(plots.ellipses(model, rows))
    assert len({(e.get_edgecolor(), e.get_linestyle()) for e in drawn}) == 10


def test_pyplot_is_never_imported():
    program = (
        "import sys, numpy as np\n"
        "from latentcore import GaussianMixture, plots\n"
        "x = np.random.default_rng(0).normal(size=(50, 2))\n"
        "plots.fit_figure(GaussianMixture(2).fit(x), x).canvas.draw()\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.stdout.strip(), result.returncode) == ("False", 0), result.stderr


HOLES = FAITHFUL.copy()


HOLES[::5, 0] = np.nan


HOLES[3::7, 1] = np.nan


def test_rows_with_a_missing_coordinate_are_not_drawn():
    model = fitted(HOLES)
    complete = HOLES[~np.isnan(HOLES).any(axis=1)]
    np.testing.assert_array_equal(
        plots.ellipses(model, HOLES).collections[0].get_offsets(), complete
    )
    assert len(plots.uncertainty(model, HOLES).collections[0].get_offsets()) == len(complete)


def test_histogram_is_of_the_entries_that_are_there():
    model = fitted(HOLES)
    drawn, expected = (
        [bar.get_height() for bar in plots.densities(model, rows, 1).patches]
        for rows in (HOLES, HOLES[~np.isnan(HOLES[:, 1])])
    )
    assert drawn == expected


def test_rows_without_anything_to_draw_are_refused():
    nothing = np.full((3, 2), np.nan)
    for draw in (plots.ellipses, plots.uncertainty, plots.densities):
        with pytest.raises(ValueError, match=r"expected .* got none"):
            draw(fitted(HOLES), nothing)
