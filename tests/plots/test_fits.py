"""Responsibilities, uncertainty, objectives and criteria."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from latentcore import GaussianMixture, plots
from latentcore.selection import select
from plots.tools import COUNTS, FAITHFUL, fitted


def heights(collection, x):
    """The lower and upper edge of a band at x."""
    vertices = collection.get_paths()[0].vertices
    at = vertices[np.isclose(vertices[:, 0], x)][:, 1]
    return at.min(), at.max()


def test_responsibilities_stack_to_one_and_rows_of_a_component_stand_together():
    model = fitted(FAITHFUL)
    r = model.predict_proba(FAITHFUL)
    bands = plots.responsibilities(model, FAITHFUL).collections
    assert len(bands) == 2
    n_first = int((r.argmax(axis=1) == 0).sum())
    shares = np.sort(r[r.argmax(axis=1) == 0, 0])[::-1]
    for row in (0, n_first // 2, n_first - 2):
        low, high = heights(bands[0], row)
        assert low == 0
        assert high >= shares[row] - 1e-12
        assert heights(bands[1], row)[1] == pytest.approx(1)
    areas = [np.ptp(band.get_paths()[0].vertices[:, 0]) for band in bands]
    assert areas == [len(FAITHFUL)] * 2


def test_responsibilities_of_one_feature_stand_at_its_values():
    model = fitted(COUNTS)
    ax = plots.responsibilities(model, COUNTS)
    for value in (10.0, 20.0, 41.0):
        expected = model.predict_proba([[value]])[0, 0]
        assert heights(ax.collections[0], value) == pytest.approx((0, expected))
    assert ax.get_xlim() == (COUNTS.min(), COUNTS.max())


@pytest.mark.parametrize("data", [FAITHFUL, COUNTS], ids=["two features", "one feature"])
def test_uncertainty_is_one_minus_the_largest_responsibility(data):
    model = fitted(data)
    (points,) = plots.uncertainty(model, data).collections[:1]
    expected = 1 - model.predict_proba(data).max(axis=1)
    np.testing.assert_allclose(points.get_array(), np.sort(expected), atol=1e-12)
    sizes = points.get_sizes()
    assert (np.diff(sizes) >= 0).all()
    assert sizes[-1] > sizes[0]
    order = np.argsort(expected)
    np.testing.assert_array_equal(points.get_offsets()[:, 0], data[order, 0])


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "log-likelihood"),
        ({"prior": "weak"}, "log-likelihood + log prior"),
        ({"assignment": "hard"}, "classification log-likelihood"),
        ({"assignment": "hard", "prior": "weak"}, "classification log-likelihood + log prior"),
    ],
)
def test_objective_is_called_what_the_fit_ascended(settings, name):
    ax = plots.objective(fitted(FAITHFUL, **settings))
    assert ax.get_ylabel() == f"{name} per row (nats)"


def test_criteria_are_lines_of_the_families_with_the_selected_fit_marked():
    found = select(FAITHFUL[:40], [3, 1, 2, 41], ["full", "tied"], random_state=0)
    for criterion in (None, "icl"):
        *lines, ring = plots.criteria(found, criterion).get_lines()
        for line, family in zip(lines, ("gaussian-full", "gaussian-tied"), strict=True):
            fits = [candidate for candidate in found.table if candidate.family == family]
            x, y = line.get_data()
            assert list(x) == [1, 2, 3, 41]
            assert line.get_label() == family
            values = {c.n_components: getattr(c, criterion or "bic") for c in fits}
            np.testing.assert_array_equal(y, [values[k] for k in x])
            assert np.isnan(y[-1])  # failed: more components than rows
        best = found.table[found.best_index]
        assert ring.get_xdata() == [best.n_components]
        assert ring.get_ydata() == [getattr(best, criterion or "bic")]


def test_objective_shows_the_lower_bounds():
    model = fitted(FAITHFUL, tol=1e-6)
    x, y = plots.objective(model).get_lines()[0].get_data()
    np.testing.assert_array_equal(x, np.arange(1, model.n_iter_ + 1))
    np.testing.assert_array_equal(y, model.lower_bounds_)


def test_objective_of_a_model_without_iterations_is_refused():
    model = GaussianMixture.from_params([1.0], [[0.0]], [[[1.0]]])
    with pytest.raises(ValueError, match="got one without"):
        plots.objective(model)
    waiting = GaussianMixture(2).partial_fit(FAITHFUL[:3])
    with pytest.raises(ValueError, match="expected a model that was fitted by iterations"):
        plots.objective(waiting)


@pytest.mark.parametrize("data", [FAITHFUL, COUNTS], ids=["two features", "one feature"])
@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_fit_figure_saves(tmp_path, data, suffix):
    figure = plots.fit_figure(fitted(data), data)
    assert isinstance(figure.canvas, FigureCanvasAgg)
    assert len(figure.axes) == 2
    figure.savefig(tmp_path / f"fit.{suffix}")
    head = (tmp_path / f"fit.{suffix}").read_bytes()[:5]
    assert head in (b"\x89PNG\r", b"%PDF-", b"<?xml")


def test_fit_figure_of_given_parameters_has_no_course():
    model = GaussianMixture.from_params([1.0], [[3.5, 70.0]], [np.diag([1.0, 180.0])])
    (ax,) = plots.fit_figure(model, FAITHFUL).axes
    assert isinstance(ax, Axes)
