"""Pictures of hidden Markov models hold what the models say."""

import numpy as np
import pytest
from matplotlib.collections import PatchCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.dates import num2date
from matplotlib.figure import Figure
from scipy.stats import norm

from latentcore import (
    HMM,
    CategoricalHMM,
    GaussianHMM,
    PoissonHMM,
    VariationalGaussianHMM,
    plots,
)
from latentcore.cli.tables import Table
from latentcore.datasets import load_earthquakes
from latentcore.plots.figures import COLORS

QUAKES = load_earthquakes()
COUNTS = QUAKES.data
MODEL = PoissonHMM.from_params(
    [1, 0, 0], [[0.94, 0.04, 0.02], [0.04, 0.9, 0.06], [0, 0.2, 0.8]], [[13], [20], [30]]
)
MODEL.set_params(random_state=0)
LENGTHS = [40, 1, 66]


def bands_of(ax):
    """Left and right edges (n, 2) of the bands behind a series, and their colours."""
    (bands,) = [c for c in ax.collections if isinstance(c, PolyCollection)]
    edges = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in bands.get_paths()]
    return np.array(edges), [tuple(color[:3]) for color in bands.get_facecolors()]


def shares_of(ax, at):
    """Heights of the ribbons at a place, (S,)."""
    heights = []
    for ribbon in ax.collections:
        vertices = ribbon.get_paths()[0].vertices
        here = vertices[np.isclose(vertices[:, 0], at), 1]
        heights.append((here.min(), here.max()))
    return heights


def test_states_that_were_pruned_are_not_drawn():
    x = np.repeat([0.0, 9.0, 0.0], 20)[:, None] + np.sin(np.arange(60))[:, None]
    model = VariationalGaussianHMM(5, random_state=0).fit(x).prune(x)
    assert len(model.startprob_) == 2
    legend = plots.states(model, x).get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["state 0", "state 1"]


@pytest.mark.parametrize("algorithm", ["viterbi", "posterior"])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_bands_and_steps_are_the_stays_of_the_decoded_states(algorithm, lengths):
    model = PoissonHMM.from_params(*params()).set_params(algorithm=algorithm)
    ax = plots.states(model, COUNTS, lengths=lengths)
    decoded = model.predict(COUNTS, lengths=lengths)
    edges, colors = bands_of(ax)
    painted = np.full(len(COUNTS), -1)
    for (left, right), color in zip(edges, colors, strict=True):
        painted[int(left + 0.5) : int(right + 0.5)] = [to_rgb(c) for c in COLORS].index(color)
    np.testing.assert_array_equal(painted, decoded)
    breaks = set(np.flatnonzero(np.diff(decoded)) + 1) | set(np.cumsum(lengths or [])[:-1])
    np.testing.assert_array_equal(edges[:, 0] + 0.5, sorted({0, *breaks}))
    series, *steps = ax.get_lines()[:4]
    for k, step in enumerate(steps):
        levels = step.get_ydata()
        assert set(levels) == {model.rates_[k, 0]}
        assert step.get_label() == f"state {k}"
    assert np.isnan(series.get_ydata()).sum() == len(lengths or [0]) - 1


def params():
    return MODEL.startprob_, MODEL.transmat_, MODEL.rates_


def test_points_are_the_rows_in_the_colours_of_their_states():
    rows = COUNTS.copy()
    rows[::7] = np.nan
    (points,) = [c for c in plots.states(MODEL, rows).collections if len(c.get_offsets()) > 1]
    np.testing.assert_array_equal(points.get_offsets()[:, 1].filled(np.nan), rows[:, 0])
    colors = [to_rgb(COLORS[k]) for k in MODEL.predict(rows)]
    np.testing.assert_allclose(points.get_facecolors()[:, :3], colors)


def test_rows_stand_at_their_times():
    ax = plots.states(MODEL, COUNTS, times=QUAKES.years)
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), QUAKES.years)
    assert ax.get_xlim() == (1899.5, 2006.5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time", "x0")
    days = np.datetime64("2026-01-30") + np.arange(len(COUNTS))
    ax = plots.states(MODEL, COUNTS, times=days)
    assert num2date(ax.get_lines()[0].get_xdata()[2]).strftime("%F") == "2026-02-01"


@pytest.mark.parametrize(
    ("times", "complaint"),
    [
        (np.arange(3), r"times: expected shape \(107,\), one for each row, got \(3,\)"),
        (np.zeros(107), "times: expected increasing ones"),
        (np.full(107, np.nan), "times: expected increasing ones"),
    ],
)
def test_times_that_do_not_fit_are_refused(times, complaint):
    for draw in (plots.states, plots.state_probabilities, plots.forecast):
        with pytest.raises(ValueError, match=complaint):
            draw(MODEL, COUNTS, times=times)


def test_many_rows_are_thinned_out_after_decoding():
    rows, _ = MODEL.sample(1501, random_state=1)
    ax = plots.states(MODEL, rows, max_rows=500)
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), rows[::4, 0])
    (points,) = [c for c in ax.collections if len(c.get_offsets()) > 1]
    expected = [to_rgb(COLORS[k]) for k in MODEL.predict(rows)[::4]]
    np.testing.assert_allclose(points.get_facecolors()[:, :3], expected)


@pytest.mark.parametrize("filtered", [False, True])
def test_ribbons_are_the_posteriors_or_the_filter(filtered):
    ax = plots.state_probabilities(MODEL, COUNTS, lengths=LENGTHS, filtered=filtered)
    answer = MODEL.filter if filtered else MODEL.predict_proba
    probabilities = answer(COUNTS, lengths=LENGTHS)
    assert len(ax.collections) == 3
    tops = np.cumsum(probabilities, axis=1)
    for row in (0, 39, 40, 60):
        for k, (low, high) in enumerate(shares_of(ax, row - 0.5)):
            neighbours = tops[max(row - 1, 0) : row + 1, k]
            below = tops[max(row - 1, 0) : row + 1, k - 1] if k else np.zeros(1)
            assert (low, high) == pytest.approx((below.min(), neighbours.max()))
    assert ax.get_ylabel() == ("filtered probability" if filtered else "posterior probability")


def test_impossible_sequence_is_a_gap():
    model = PoissonHMM.from_params([0.5, 0.5], np.eye(2), [[0.0], [4.0]])
    rows = np.array([[0.0], [3.0], [0.0], [2.0]])
    model.set_params(random_state=0)
    dead = PoissonHMM.from_params([1.0, 0.0], np.eye(2), [[0.0], [4.0]])
    ax = plots.state_probabilities(dead, rows, lengths=[1, 3])
    ax.figure.canvas.draw()
    assert max(path.vertices[:, 0].max() for path in ax.collections[0].get_paths()) == 0.5


@pytest.mark.parametrize("n_states", [3, 16])
def test_transitions_are_shades_and_numbers_and_impossible_ones_are_hatched(n_states):
    rng = np.random.default_rng(0)
    transition = rng.dirichlet(np.ones(n_states), n_states)
    transition[0] = np.eye(n_states)[0]
    transition[1] = [0.001, 0.999] + [0] * (n_states - 2)
    model = PoissonHMM.from_params(np.eye(n_states)[0], transition, np.ones((n_states, 1)))
    ax = plots.transition_matrix(model)
    np.testing.assert_array_equal(ax.images[0].get_array(), transition)
    (hatched,) = [c for c in ax.collections if isinstance(c, PatchCollection)]
    centers = {tuple(path.vertices[:4].mean(axis=0)) for path in hatched.get_paths()}
    assert centers == {(to, origin) for origin, to in np.argwhere(transition == 0)}
    written = {text.get_position(): text.get_text() for text in ax.texts}
    if n_states == 16:
        assert written == {}
        assert len(ax.figure.axes) == 2
    else:
        expected = {(0, 0): "1", (0, 1): "< .01", (1, 1): "> .99"}
        third = {(k, 2): f"{transition[2, k]:.2f}"[1:] for k in range(3)}
        assert written == {**expected, **third}


def test_fan_is_the_quantiles_of_the_forecast_and_the_ribbons_its_states():
    ax = plots.forecast(MODEL, COUNTS, 12, times=QUAKES.years, history=30, probabilities=(0.5, 0.9))
    law = MODEL.forecast(
        12, COUNTS, quantiles=[0.05, 0.25, 0.5, 0.75, 0.95], n_samples=5000, random_state=0
    )
    past, median = ax.get_lines()[:2]
    np.testing.assert_array_equal(past.get_xdata(), np.arange(1977, 2007))
    np.testing.assert_array_equal(past.get_ydata(), COUNTS[-30:, 0])
    np.testing.assert_array_equal(median.get_xdata(), np.arange(2007, 2019))
    np.testing.assert_array_equal(median.get_ydata(), law.quantiles[2, :, 0])
    fans = [c for c in ax.collections if isinstance(c, PolyCollection)]
    for fan, (low, high) in zip(fans, ((0, 4), (1, 3)), strict=True):
        for step, year in enumerate(range(2007, 2019)):
            here = fan.get_paths()[0].vertices
            here = here[here[:, 0] == year, 1]
            assert {here.min(), here.max()} == {
                law.quantiles[low, step, 0], law.quantiles[high, step, 0],
            }  # fmt: skip
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["90 %", "50 %", "median"]
    (strip,) = ax.child_axes
    tops = np.cumsum(law.state_probabilities[-1])
    drawn = [high for _, high in shares_of(strip, 2018.5)]
    np.testing.assert_allclose(drawn, tops, rtol=1e-12)


def test_fan_of_one_state_is_its_normal_distribution():
    model = GaussianHMM.from_params([1.0], [[1.0]], [[3.0]], [[[4.0]]], random_state=0)
    ax = plots.forecast(model, steps=2, probabilities=(0.8,), n_samples=20_000)
    (fan,) = [c for c in ax.collections if isinstance(c, PolyCollection)]
    vertices = fan.get_paths()[0].vertices
    ends = [vertices[:, 1].min(), vertices[:, 1].max()]
    np.testing.assert_allclose(ends, norm(3, 2).ppf([0.1, 0.9]), atol=0.1)


def test_fan_goes_on_from_a_filter_as_from_its_rows():
    state = MODEL.filter_update(MODEL.filter_start(), COUNTS)
    fans = [plots.forecast(MODEL, steps=5, state=state), plots.forecast(MODEL, COUNTS, 5)]
    medians = [ax.get_lines()[-2 if i else -1].get_ydata() for i, ax in enumerate(fans)]
    np.testing.assert_array_equal(*medians)


def test_other_families_and_several_features_are_drawn():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (60, 2)).astype(float)
    model = CategoricalHMM(2, random_state=0, max_iter=5, tol=1e3).fit(codes)
    waits = HMM("gamma", 2, random_state=0, tol=1e3).fit(rng.gamma(2.0, size=(60, 1)))
    for drawn in (model, waits):
        rows = codes if drawn is model else np.ones((4, 1))
        for ax in (plots.states(drawn, rows, -1), plots.forecast(drawn, rows, 3, -1)):
            ax.figure.canvas.draw()
            assert ax.get_ylabel() == ("x1" if drawn is model else "x0")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "log-likelihood per row (nats)"),
        ({"prior": "weak"}, "log-likelihood + log prior per row (nats)"),
        ({"assignment": "hard"}, "log-density of paths per row (nats)"),
    ],
)
def test_figure_of_a_fit_is_the_states_beside_the_objective(settings, name):
    table = Table(COUNTS, ["quakes"])
    model = PoissonHMM(2, random_state=0, **settings).fit(table, lengths=LENGTHS)
    series, course = plots.fit_figure(model, COUNTS, lengths=LENGTHS).axes
    assert series.get_ylabel() == "quakes"
    assert course.get_ylabel() == name
    np.testing.assert_array_equal(course.get_lines()[0].get_ydata(), model.lower_bounds_)


def test_axes_that_are_given_are_drawn_on():
    ax = Figure().subplots()
    assert plots.states(MODEL, COUNTS, ax=ax) is ax
    assert plots.state_probabilities(MODEL, COUNTS, ax=ax) is ax
    assert plots.transition_matrix(MODEL, ax=ax) is ax
    assert plots.forecast(MODEL, COUNTS, ax=ax) is ax


@pytest.mark.parametrize(
    ("draw", "complaint"),
    [
        (lambda: plots.states(MODEL, COUNTS, 1), "columns: expected columns below 1, got 1"),
        (lambda: plots.states(MODEL, np.ones((3, 2))), r"X: expected shape \(N, 1\), got \(3, 2\)"),
        (lambda: plots.states(MODEL, COUNTS, lengths=[3]), "lengths: expected a sum of 107"),
        (lambda: plots.forecast(MODEL, COUNTS, 0), "steps: expected"),
        (
            lambda: plots.forecast(MODEL, COUNTS, probabilities=(0.5, 1)),
            r"probabilities: expected a number in \(0, 1\), got 1",
        ),
    ],
)
def test_arguments_that_cannot_be_drawn_are_named(draw, complaint):
    with pytest.raises(ValueError, match=complaint):
        draw()
