"""Pictures hold what the model says; no pyplot state is touched."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from scipy import sparse
from scipy.stats import bernoulli, beta, expon, gamma, norm, poisson, vonmises, wishart

from latentcore import (
    BayesianGaussianMixture,
    BayesianMixture,
    BernoulliMixture,
    CategoricalMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMeansMixture,
    GaussianMixture,
    Mixture,
    MultinomialMixture,
    PoissonMixture,
    VonMisesMixture,
    plots,
)
from latentcore.cli.tables import Table
from latentcore.datasets import load_earthquakes, load_old_faithful
from latentcore.families.categorical import Categorical
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson
from latentcore.plots.bayesian import drawn_weights
from latentcore.selection import select
from latentcore.structures.weights import FixedWeights, StickBreaking

FAITHFUL = load_old_faithful().data
COUNTS = load_earthquakes().data
ANGLES = np.linspace(0, 2 * np.pi, 50)
CIRCLE = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])
COVARIANCE_TYPES = ["full", "tied", "diag", "spherical", "tied_spherical"]


def fitted(data, n_components=2, **settings):
    return GaussianMixture(n_components, random_state=0, **settings).fit(data)


def ellipses_of(ax):
    return [patch for patch in ax.patches if isinstance(patch, Ellipse)]


def full_covariances(model):
    k, d = model.means_.shape
    c = model.covariances_
    if model.covariance_type == "full":
        return c
    if model.covariance_type == "tied":
        return np.stack([c] * k)
    if model.covariance_type == "diag":
        return np.stack([np.diag(row) for row in c])
    return np.stack([np.eye(d) * value for value in c])


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
    total = sum(line.get_ydata() for line in parts)
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


def test_objective_shows_the_lower_bounds():
    model = fitted(FAITHFUL, tol=1e-6)
    x, y = plots.objective(model).get_lines()[0].get_data()
    np.testing.assert_array_equal(x, np.arange(1, model.n_iter_ + 1))
    np.testing.assert_array_equal(y, model.lower_bounds_)


def test_objective_of_a_model_without_iterations_is_refused():
    model = GaussianMixture.from_params([1.0], [[0.0]], [[[1.0]]])
    with pytest.raises(ValueError, match="got one without"):
        plots.objective(model)


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


# -- missing entries -------------------------------------------------------------------------------------------------

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


# -- other families --------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(7)
TABLE = np.column_stack(
    [FAITHFUL, RNG.poisson(5, len(FAITHFUL)), RNG.integers(0, 3, len(FAITHFUL))]
)


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
    np.testing.assert_allclose(mixture.get_ydata(), sum(line.get_ydata() for line in parts))
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
    model = PoissonMixture(1).fit(rows)
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


# -- responsibilities ------------------------------------------------------------------------------------------------


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


# -- objectives and criteria -----------------------------------------------------------------------------------------


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


# -- posteriors ------------------------------------------------------------------------------------------------------


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
    settings = {"weight_concentration_prior_type": "dirichlet_distribution"}
    model = BayesianMixture("poisson", 3, max_iter=1000, random_state=0, **settings).fit(COUNTS)
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
