"""Pictures of fitted mixtures. Needs matplotlib: ``pip install 'latentcore[plot]'``.

Every function draws on the axes given as ``ax``, or on those of a new figure, and returns them; ``ax.figure`` is the
figure. Nothing touches pyplot's global state: figures that are made here have an Agg canvas and are saved with
``savefig``. Entries that are missing are not drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from latentcore.arrays import as_matrix
from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.estimators.bayesian_weights import expected_counts
from latentcore.estimators.components import mapped
from latentcore.estimators.mixture_base import MixtureEstimator
from latentcore.families.bernoulli import Bernoulli
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.columns import IndependentColumns
from latentcore.families.exponential import Exponential
from latentcore.families.gamma import Gamma
from latentcore.families.gaussian import CovarianceType, Gaussian
from latentcore.families.gaussian_means import GaussianMeans
from latentcore.families.linear import Linear
from latentcore.families.multinomial import Multinomial
from latentcore.families.poisson import Poisson
from latentcore.families.von_mises import VonMises
from latentcore.protocols import Array, RealArray
from latentcore.selection import Candidate, Criterion, Selection
from latentcore.structures.mixture import Mixture as Model
from latentcore.structures.weights import Dirichlet, FixedWeights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse

__all__ = [
    "criteria",
    "densities",
    "elbo_terms",
    "ellipses",
    "fit_figure",
    "objective",
    "posterior_ellipses",
    "posterior_weights",
    "responsibilities",
    "uncertainty",
]

Bayesian = BayesianEstimator[Any, Any]
Mixture = MixtureEstimator[Any] | Bayesian

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F4F24", "#5D3A9B")
"""Okabe & Ito's palette for all kinds of colour vision, without yellow and black, and two more dark ones."""
_STYLES = ("-", "--", ":", "-.")
_INK = "#222222"
_GRID = 400
_MOST_LISTED = 8
_MOST_NUMBERED = 30
_MOST_BINS = 80
_DRAWS = 20_000


# -- of rows ---------------------------------------------------------------------------------------------------------


def ellipses(
    model: Mixture,
    X: Any,
    columns: tuple[int, int] = (0, 1),
    *,
    ax: Axes | None = None,
    n_std: tuple[float, ...] = (1.0, 2.0),
    max_points: int = 5000,
) -> Axes:
    """Rows of data under the ellipses of Gaussian components.

    Parameters
    ----------
    model : fitted mixture
        Gaussian, with any type of covariances, or with Gaussian columns among others.
    X : (N, D)
        Points take the colours of the components in proportion to their responsibilities. Rows in which an entry of
        the two columns is missing are left out.
    columns : (int, int)
        The features across and up. With others besides, the ellipses are those of the marginal distribution.
    ax : matplotlib Axes, optional
    n_std : tuple of float
        Standard deviations from mean to ellipse, in every direction. Components of a Bayesian mixture that hold less
        than one row, in expectation, are not drawn.
    max_points : int
        Of more rows, evenly spaced ones are drawn.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        A column does not exist or is not Gaussian, or both are the same.
    """
    across, up = _two_columns(model, columns)
    means, covariances = _pair_moments(model, across, up)
    rows = _rows_to_draw(model, X, [across, up], max_points)
    ax = _new_axes() if ax is None else ax
    colors = _colors(len(model.weights_))

    r = model.predict_proba(_named(model, rows))
    size = float(np.clip(4000 / len(rows), 4, 22))
    ax.scatter(
        rows[:, across], rows[:, up], s=size, c=np.clip(r @ colors, 0, 1), alpha=0.5,
        linewidths=0, rasterized=True,
    )  # fmt: skip

    for k in _not_empty(model):
        for i, n in enumerate(sorted(n_std)):
            ax.add_patch(
                _ellipse(
                    means[k], n * n * covariances[k], fill=False, edgecolor=colors[k],
                    linewidth=2.0 if i == 0 else 1.2, linestyle=_style(k),
                )
            )  # fmt: skip
        center = (float(means[k, 0]), float(means[k, 1]))
        _mark(ax, center, str(k) if len(colors) <= _MOST_NUMBERED else "+")
    ax.autoscale_view()
    _label(ax, _name(model, across), _name(model, up))
    return ax


def densities(
    model: Mixture,
    x: Any,
    column: int = 0,
    *,
    ax: Axes | None = None,
    bins: int | str = "auto",
) -> Axes:
    """The density of one feature, and its components times their weights, over a histogram.

    For counts and codes: the probabilities of the whole numbers.

    Parameters
    ----------
    model : fitted mixture
        Of any family whose features are independent in a component, Gaussian, or of one feature.
    x : (N,) or (N, D)
        Values of the feature, or rows of data.
    column : int
        The feature; of a model with several the marginal distribution is drawn.
    ax : matplotlib Axes, optional
    bins : int or str
        As for ``numpy.histogram_bin_edges``; "auto" makes at most 80, and for counts one for each number up to that.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        The column does not exist, has no entries, or has no marginal distribution that is known.
    """
    from matplotlib.ticker import MaxNLocator

    column = _column(model, column)
    values = _values(model, x, column)
    marginal = _marginal(_family(model), _components(model), column)
    is_discrete = marginal.is_discrete(values)
    ax = _new_axes() if ax is None else ax
    heights, *_ = ax.hist(
        values, _bin_edges(values, bins, is_discrete).tolist(), density=True, color="#D9D9D9",
        edgecolor="white", linewidth=0.5,
    )  # fmt: skip

    grid = _whole_grid(values) if is_discrete else marginal.grid(values)
    parts = model.weights_ * marginal.densities(grid)
    marker = "o" if is_discrete and len(grid) <= _MOST_BINS else None
    colors = _colors(len(model.weights_))
    listed = len(colors) <= _MOST_LISTED
    for k in _not_empty(model) if len(colors) > 1 else []:
        label = f"component {k}, weight {model.weights_[k]:.2f}" if listed else None
        ax.plot(
            grid, parts[:, k], color=colors[k], linestyle=_style(k), linewidth=1.8, label=label,
            marker=marker, markersize=3.5,
        )  # fmt: skip
    ax.plot(
        grid, parts.sum(axis=1), color=_INK, linewidth=1.4, label="mixture", zorder=1.9,
        marker=marker, markersize=3.5,
    )  # fmt: skip
    highest = float(np.max(heights))
    if marginal.support == "positive" and parts.sum(axis=1).max() > 4 * highest:
        ax.set_ylim(top=4 * highest)  # the density may have a pole at 0
    if is_discrete:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_ylim(bottom=0)
    _label(ax, _name(model, column), "probability" if is_discrete else "density")
    ax.legend(frameon=False, fontsize=9)
    return ax


def responsibilities(
    model: Mixture, X: Any, *, ax: Axes | None = None, max_rows: int = 2000
) -> Axes:
    """The components' shares of each row, stacked: a clear fit has blocks of one colour.

    Rows stand side by side, those of a component together, the clear ones first; with one feature they stand at its
    value.

    Parameters
    ----------
    model : fitted mixture
    X : (N, D)
    ax : matplotlib Axes, optional
    max_rows : int
        Of more rows, evenly spaced ones are drawn.

    Returns
    -------
    Axes
    """
    rows = _some_rows(_matrix(model, X), max_rows)
    r = model.predict_proba(_named(model, rows)).astype(np.float64)
    ax = _new_axes() if ax is None else ax
    style: dict[str, Any] = {"colors": [tuple(color) for color in _colors(r.shape[1])]}
    style["labels"] = [str(k) for k in range(r.shape[1])]
    if rows.shape[1] == 1 and not hasattr(rows, "tocsr"):
        positions, chosen = np.unique(rows[~np.isnan(rows[:, 0]), 0], return_index=True)
        r = r[~np.isnan(rows[:, 0])][chosen]
        ax.stackplot(positions, r.T, **style)
        across = _name(model, 0)
    else:
        r = r[np.lexsort((-r.max(axis=1), r.argmax(axis=1)))]
        edges = np.arange(len(r) + 1)
        ax.stackplot(edges, np.vstack([r, r[-1:]]).T, step="post", **style)
        positions = edges
        across = "row, sorted"
    if positions[0] < positions[-1]:
        ax.set_xlim(float(positions[0]), float(positions[-1]))
    ax.set_ylim(0, 1)
    _label(ax, across, "responsibility")
    if r.shape[1] <= _MOST_LISTED:
        ax.legend(
            title="component", frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1)
        )
    return ax


def uncertainty(
    model: Mixture,
    X: Any,
    columns: tuple[int, int] = (0, 1),
    *,
    ax: Axes | None = None,
    max_points: int = 5000,
) -> Axes:
    """Rows of data, the larger and darker the more uncertain their component is.

    The uncertainty is one minus the largest responsibility. With one feature it is drawn over that feature.

    Parameters
    ----------
    model : fitted mixture
    X : (N, D)
        Rows in which an entry of the two columns is missing are left out.
    columns : (int, int)
        The features across and up.
    ax : matplotlib Axes, optional
    max_points : int
        Of more rows, evenly spaced ones are drawn.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        A column does not exist, or both are the same.
    """
    one = int(model.n_features_in_) == 1
    across, up = (0, 0) if one else _two_columns(model, columns)
    rows = _rows_to_draw(model, X, [across, up], max_points)
    values = _uncertainty(model, _named(model, rows))
    largest_first = np.argsort(values)  # drawn last, on top
    rows, values = rows[largest_first], values[largest_first]
    ax = _new_axes() if ax is None else ax
    limit = max(1 - 1 / len(model.weights_), 1e-12)
    points = ax.scatter(
        rows[:, across], values if one else rows[:, up], s=6 + 50 * values / limit, c=values,
        cmap="cividis_r", vmin=0, vmax=limit, alpha=0.8, linewidths=0.3, edgecolors="#777777",
        rasterized=True,
    )  # fmt: skip
    if one:
        ax.set_ylim(0, 1.05 * limit)
    else:
        ax.figure.colorbar(points, ax=ax, label="uncertainty")
    _label(ax, _name(model, across), "uncertainty" if one else _name(model, up))
    return ax


# -- of fits ---------------------------------------------------------------------------------------------------------


def objective(model: Mixture, *, ax: Axes | None = None) -> Axes:
    """The objective by iteration, of whatever the fit ascended: of Bayesian mixtures in total, of others per row.

    Parameters
    ----------
    model : fitted mixture
        One made by ``from_params`` has no iterations.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        The model has no iterations to show.
    """
    from matplotlib.ticker import MaxNLocator

    bounds = np.asarray(model.lower_bounds_, dtype=np.float64)
    if len(bounds) == 0:
        raise ValueError("model: expected a model that was fitted by iterations, got one without")
    ax = _new_axes() if ax is None else ax
    iterations = np.arange(1, len(bounds) + 1)
    marker = "o" if len(bounds) <= 40 else None
    ax.plot(iterations, bounds, color=_COLORS[0], linewidth=1.8, marker=marker, markersize=4)
    value = f"{bounds[-1]:.5g}".replace("-", "\N{MINUS SIGN}")
    state = "converged" if model.converged_ else "not converged"
    ax.text(
        0.97, 0.06, f"{value}\n{state} after {len(bounds)}", transform=ax.transAxes,
        ha="right", va="bottom", fontsize=9, color=_INK,
    )  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.yaxis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]
    if len(bounds) == 1:
        ax.set_xlim(0, 2)
    _label(ax, "iteration", f"{_objective_name(model)} (nats)")
    return ax


def criteria(
    selection: Selection, criterion: Criterion | None = None, *, ax: Axes | None = None
) -> Axes:
    """A criterion by number of components, a line for each family; the selected fit has a ring.

    Parameters
    ----------
    selection : Selection
        From ``latentcore.selection.select``.
    criterion : {"bic", "aic", "icl"}, optional
        None is the one that selected. The lower the better.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
        Fits that failed are gaps; ones with collapsed components are hollow.
    """
    from matplotlib.ticker import MaxNLocator

    ax = _new_axes() if ax is None else ax
    name = selection.criterion if criterion is None else criterion

    def value(candidate: Candidate) -> float:
        return candidate.value if criterion is None else float(getattr(candidate, criterion))

    families = list(dict.fromkeys(candidate.family for candidate in selection.table))
    for i, family in enumerate(families):
        fits = sorted(
            (candidate for candidate in selection.table if candidate.family == family),
            key=lambda candidate: candidate.n_components,
        )
        color = _COLORS[i % len(_COLORS)]
        numbers = [candidate.n_components for candidate in fits]
        values = [value(candidate) for candidate in fits]
        ax.plot(numbers, values, color=color, linestyle=_style(i), linewidth=1.6, label=family)
        fills = ["white" if candidate.degenerate else color for candidate in fits]
        ax.scatter(numbers, values, s=24, c=fills, edgecolors=color, zorder=3)
    best = selection.table[selection.best_index]
    ax.plot(
        [best.n_components], [value(best)], "o", markersize=12, markerfacecolor="none",
        markeredgecolor=_INK, markeredgewidth=1.4,
        label=f"selected: {best.family}, {best.n_components}",
    )  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    in_capitals = name.upper() if name in ("bic", "aic", "icl") else name
    _label(ax, "number of components", in_capitals)
    ax.legend(frameon=False, fontsize=9)
    return ax


# -- of posteriors ---------------------------------------------------------------------------------------------------


def elbo_terms(model: Bayesian, *, ax: Axes | None = None) -> Axes:
    """What the evidence lower bound is made of: from the expected log joint density, step by step, to the bound.

    The entropy of the assignments is gained; the divergences of weights and of each component from their priors are
    paid.

    Parameters
    ----------
    model : fitted Bayesian mixture
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        The model is no Bayesian mixture.
    """
    _check_bayesian(model)
    terms = model.elbo_terms_
    steps = [terms["entropy"], -terms["divergence_of_weights"]]
    steps += [-float(divergence) for divergence in terms["divergence_of_components"]]
    ends = terms["expected_log_joint"] + np.cumsum([0.0, *steps])
    ax = _new_axes() if ax is None else ax
    ax.axvline(ends[0], color=_INK, linewidth=1, linestyle=":")
    ax.axvline(ends[-1], color=_INK, linewidth=1)
    colors = ["#999999", "#555555", *(tuple(color) for color in _colors(len(steps) - 2))]
    places = [0, 1, *[2] * (len(steps) - 2)]
    ax.barh(
        places, steps, left=ends[:-1], height=0.6, color=colors, edgecolor="white", linewidth=0.5
    )
    names = ["entropy", "\N{MINUS SIGN} KL of weights", "\N{MINUS SIGN} KL of components"]
    sums = [steps[0], steps[1], sum(steps[2:])]
    labels = [f"{name}\n{_signed(value)}" for name, value in zip(names, sums, strict=True)]
    ax.set_yticks(range(3), labels)
    ax.invert_yaxis()
    ax.use_sticky_edges = False
    ax.margins(x=0.08)
    ax.locator_params(axis="x", nbins=6)
    ax.set_title(
        f"expected log joint {_signed(ends[0])} (dotted), bound {_signed(ends[-1])}", fontsize=9
    )
    _label(ax, "nats", "")
    return ax


def posterior_weights(
    model: Bayesian, *, ax: Axes | None = None, probability: float = 0.95
) -> Axes:
    """Posterior means of the weights, with central credible intervals.

    Parameters
    ----------
    model : fitted Bayesian mixture
    ax : matplotlib Axes, optional
    probability : float, in (0, 1)
        Of an interval. Its ends are quantiles of 20 000 draws of the weights, always the same ones.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        The model is no Bayesian mixture.
    ValueError
        ``probability`` is not in (0, 1).
    """
    from matplotlib.ticker import MaxNLocator

    _check_bayesian(model)
    _check_probability(probability)
    means = model.posterior_.weights.mean()
    tail = 100 * (1 - probability) / 2
    low, high = np.percentile(_drawn_weights(model.posterior_.weights), [tail, 100 - tail], axis=0)
    ax = _new_axes() if ax is None else ax
    k = np.arange(len(means))
    colors = _colors(len(means))
    ax.vlines(k, low, high, colors=[tuple(color) for color in colors], linewidth=3, alpha=0.6)
    ax.scatter(k, means, c=colors, s=30, zorder=3)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_ylim(bottom=0)
    _label(ax, "component", f"weight, {100 * probability:g} % interval")
    return ax


def posterior_ellipses(
    model: Bayesian,
    X: Any,
    columns: tuple[int, int] = (0, 1),
    *,
    ax: Axes | None = None,
    probability: float = 0.95,
    max_points: int = 5000,
) -> Axes:
    """Rows under the ellipses of Gaussian components, and in filled ones where their means are.

    Parameters
    ----------
    model : fitted Bayesian mixture
        Gaussian, with any type of covariances, or with these two Gaussian columns in one group of columns.
    X : (N, D)
    columns : (int, int)
        The features across and up.
    ax : matplotlib Axes, optional
    probability : float, in (0, 1)
        That the mean is in its ellipse: a region of its marginal distribution, Student's t. Open ellipses are one and
        two standard deviations of the mean covariance. For diagonal covariances, whose means have independent Student
        distributions, the ellipse is that of a joint one with their scales, near which they are with many rows.
    max_points : int
        Of more rows, evenly spaced ones are drawn.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        The model is no Bayesian mixture.
    ValueError
        A column does not exist or is not Gaussian, both are the same, or they are in different groups.
    """
    _check_bayesian(model)
    _check_probability(probability)
    across, up = _two_columns(model, columns)
    ax = ellipses(model, X, columns, ax=ax, max_points=max_points)
    means, regions = _regions_of_means(model, across, up, probability)
    colors = _colors(len(means))
    for k in _not_empty(model):
        ax.add_patch(
            _ellipse(
                means[k], regions[k], facecolor=colors[k], edgecolor=_INK, linewidth=0.8, alpha=0.6
            )
        )
    ax.autoscale_view()
    return ax


def _check_bayesian(model: Any) -> None:
    if not isinstance(model, BayesianEstimator):
        raise TypeError(f"model: expected a Bayesian mixture, got {type(model).__name__}")


def _check_probability(probability: float) -> None:
    if not 0 < probability < 1:
        raise ValueError(f"probability: expected a number in (0, 1), got {probability!r}")


def _drawn_weights(posterior: Any) -> Array:
    """Draws of the weights, (20 000, K)."""
    rng = np.random.default_rng(0)
    if isinstance(posterior, Dirichlet):
        return rng.dirichlet(posterior.alpha, _DRAWS)
    if isinstance(posterior, FixedWeights):
        fixed: Array = posterior.weights[None]
        return fixed
    order = posterior.order()
    a, b = posterior.betas(order)
    sticks = rng.beta(a, b, (_DRAWS, len(a)))
    ones = np.ones((_DRAWS, 1))
    taken = np.hstack([sticks, ones]) * np.hstack([ones, np.cumprod(1 - sticks, axis=1)])
    weights = np.empty((_DRAWS, len(order)))
    weights[:, order] = taken[:, : len(order)]
    shares: Array = weights / weights.sum(axis=1, keepdims=True)  # of what these K have
    return shares


def _regions_of_means(
    model: Bayesian, across: int, up: int, probability: float
) -> tuple[Array, Array]:
    """Means (K, 2) and the matrices (K, 2, 2) of ellipses that hold them with this probability.

    The mean of two columns is Student's t with nu' degrees of freedom and scale S, so that half its squared distance
    is F(2, nu'), of which quantiles are ``nu' / 2 ((1 - p)^(-2 / nu') - 1)``.
    """
    family, components = model.family_, model.posterior_.components
    if isinstance(family, IndependentColumns):
        _pair_moments(model, across, up)
        one, other = (_part_of(family, components, column) for column in (across, up))
        if one[1] is not other[1]:
            raise ValueError("columns: expected two columns of one group, got ones of two groups")
        family, components, across = one
        up = other[2]
    pair = [across, up]
    if isinstance(family, GaussianMeans):
        scales = components.variances[:, None, None] * np.eye(2)
        return components.means[:, pair], -2 * np.log1p(-probability) * scales
    type_ = family.covariance_type
    n_features = components.means.shape[1]
    nu = components.degrees_of_freedom
    if type_ in ("full", "tied"):
        nu = nu - n_features + 1
    scale = _full(type_, components.scale, components.means.shape)[:, pair][:, :, pair]
    scale = scale / (components.mean_precision * nu)[:, None, None]
    radius = nu * np.expm1(-2 / nu * np.log1p(-probability))
    return components.means[:, pair], scale * np.atleast_1d(radius)[:, None, None]


def _signed(value: float) -> str:
    return f"{value:.5g}".replace("-", "\N{MINUS SIGN}")


def fit_figure(model: Mixture, X: Any, columns: tuple[int, int] = (0, 1)) -> Figure:
    """The fit over its data beside the course of the objective.

    Parameters
    ----------
    model : fitted mixture
    X : (N, D)
        Two Gaussian features are drawn with ellipses, others with their densities, outcomes of multinomials with the
        responsibilities of rows.
    columns : (int, int)
        Which two, if there are more.

    Returns
    -------
    Figure
        With an Agg canvas: ``figure.savefig("fit.png")``.
    """
    drawings = _drawings_of_fit(model, X, columns)
    widths = [3] * len(drawings)
    if len(model.lower_bounds_) > 0:
        drawings.append(lambda ax: objective(model, ax=ax))
        widths.append(2)
    figure = _new_figure(1.0 + 1.8 * sum(widths), 4.4)
    axes = figure.subplots(1, len(drawings), squeeze=False, width_ratios=widths)[0]
    for draw, ax in zip(drawings, axes, strict=True):
        draw(ax)
    return figure


def _drawings_of_fit(
    model: Mixture, X: Any, columns: tuple[int, int]
) -> list[Callable[[Axes], Axes]]:
    family = _family(model)
    if isinstance(family, Multinomial):
        return [lambda ax: responsibilities(model, X, ax=ax)]
    if int(model.n_features_in_) == 1:
        return [lambda ax: densities(model, X, ax=ax)]
    across, up = _two_columns(model, columns)
    if _is_gaussian(family, across) and _is_gaussian(family, up):
        return [lambda ax: ellipses(model, X, columns, ax=ax)]
    if isinstance(family, Linear | IndependentColumns):
        return [
            lambda ax: densities(model, X, across, ax=ax),
            lambda ax: densities(model, X, up, ax=ax),
        ]
    return [lambda ax: uncertainty(model, X, columns, ax=ax)]


def _objective_name(model: Mixture) -> str:
    if isinstance(model, BayesianEstimator):
        return "evidence lower bound"
    name = "log-likelihood"
    if model.assignment == "hard":
        name = "classification log-likelihood"
    return f"{name} per row" if model.prior is None else f"{name} + log prior per row"


# -- figures ---------------------------------------------------------------------------------------------------------


def _new_figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _new_axes() -> Axes:
    return _new_figure(5.8, 4.4).subplots()


def _label(ax: Axes, across: str, up: str) -> None:
    ax.set_xlabel(across)
    ax.set_ylabel(up)
    ax.spines[["top", "right"]].set_visible(False)


def _ellipse(center: Array, matrix: Array, **style: Any) -> Ellipse:
    """Points whose deviation d from the center has ``d^T matrix^-1 d = 1``."""
    from matplotlib.patches import Ellipse

    variances, axes = np.linalg.eigh(matrix)
    angle = float(np.degrees(np.arctan2(axes[1, 1], axes[0, 1])))
    minor, major = 2 * np.sqrt(np.maximum(variances, 0))
    return Ellipse((float(center[0]), float(center[1])), major, minor, angle=angle, **style)


def _mark(ax: Axes, at: tuple[float, float], text: str) -> None:
    from matplotlib.patheffects import withStroke

    ax.text(
        *at, text, color=_INK, fontsize=12, fontweight="bold", ha="center", va="center",
        path_effects=[withStroke(linewidth=3, foreground="white")], clip_on=True,
    )  # fmt: skip


def _colors(count: int) -> Array:
    """(count, 3) red, green and blue; from the ninth on they come again, with another style of line."""
    codes = [_COLORS[k % len(_COLORS)] for k in range(count)]
    return np.array([[int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)] for code in codes])


def _style(k: int) -> str:
    return _STYLES[k // len(_COLORS) % len(_STYLES)]


# -- distributions of features ---------------------------------------------------------------------------------------

_Support = Literal["line", "positive", "circle", "whole"]

_SUPPORTS: dict[type, _Support] = {
    Bernoulli: "whole",
    Categorical: "whole",
    Exponential: "positive",
    Gamma: "positive",
    Gaussian: "line",
    Poisson: "whole",
    VonMises: "circle",
}


@dataclass(frozen=True)
class _Marginal:
    """The distribution of a feature in each component.

    Attributes
    ----------
    family, components : a family of one column, and its parameters
    near : (M,)
        Points that show narrow components.
    """

    family: Any
    components: Any
    near: Array

    @property
    def support(self) -> _Support | None:
        """None if nobody knows."""
        return _SUPPORTS.get(type(self.family))

    def is_discrete(self, values: Array) -> bool:
        """Whether probabilities are those of whole numbers; of a family that is not ours, the values tell."""
        if self.support is None:
            return bool((values == np.floor(values)).all())
        return self.support == "whole"

    def densities(self, x: Array) -> Array:
        """(M,) -> (M, K)"""
        log_densities: Array = self.family.log_likelihood(self.components, x[:, None])
        return np.exp(log_densities)

    def grid(self, values: Array) -> Array:
        """Points over the data's range, and more of them where a narrow component would fall between."""
        low, high = float(values.min()), float(values.max())
        margin = 0.05 * (high - low) or 1.0
        low, high = low - margin, high + margin
        if self.support == "positive":
            low = max(low, float(values.min()) / 2)
        elif self.support == "circle":
            low, high = _turn(float(values.min()), float(values.max()))
        observed = np.sort(values)[:: -(-len(values) // _GRID)]
        near = np.concatenate([observed, self.near])
        near = near[(near > low) & (near < high)]
        return np.unique(np.concatenate([np.linspace(low, high, _GRID), near]))


def _turn(low: float, high: float) -> tuple[float, float]:
    """One turn that holds the angles, if one does."""
    for start in (-np.pi, 0.0):
        if start <= low and high <= start + 2 * np.pi:
            return start, start + 2 * np.pi
    return low, max(high, low + 2 * np.pi)


def _marginal(family: Any, components: Any, column: int) -> _Marginal:
    nothing = np.empty(0)
    if isinstance(family, Gaussian):
        means = components.means[:, [column]].astype(np.float64)
        variances = _covariances(family.covariance_type, components)[:, [column], column]
        near = means + np.sqrt(variances) * np.linspace(-4, 4, 41)
        one = Gaussian("diag")
        return _Marginal(one, one.params(means, variances), near.ravel())
    if isinstance(family, IndependentColumns):
        part, inner, index = _part_of(family, components, column)
        return _marginal(part, inner, index)
    if isinstance(family, Categorical):
        probabilities = np.ascontiguousarray(family.split(components.probabilities)[column])
        one_column = Categorical((family.levels[column],))
        return _Marginal(one_column, CategoricalParams(probabilities), nothing)
    if isinstance(family, Multinomial):
        raise ValueError(
            "model: expected a family whose features have densities, got Multinomial, whose "
            "outcomes share a total; see responsibilities"
        )
    if isinstance(family, Linear):
        one_feature = mapped(lambda a: np.ascontiguousarray(a[:, [column]]), components)
        return _Marginal(family, one_feature, nothing)
    return _Marginal(family, components, nothing)


def _part_of(family: IndependentColumns, components: Any, column: int) -> tuple[Any, Any, int]:
    """The family of a column, its parameters, and which of its columns this is."""
    for part, inner in zip(family.parts, components.parts, strict=True):
        if column in part.columns:
            return part.family, inner, part.columns.index(column)
    raise ValueError(f"columns: expected columns below {family.n_columns}, got {column}")


def _is_gaussian(family: Any, column: int) -> bool:
    if isinstance(family, IndependentColumns):
        return any(
            column in part.columns and _is_gaussian(part.family, part.columns.index(column))
            for part in family.parts
        )
    return isinstance(family, Gaussian)


def _pair_moments(model: Mixture, across: int, up: int) -> tuple[Array, Array]:
    """Means (K, 2) and covariances (K, 2, 2) of two Gaussian features."""
    family, components = _family(model), _components(model)
    for column in (across, up):
        if not _is_gaussian(family, column):
            raise ValueError(
                f"columns: expected Gaussian columns, got {_name(model, column)!r}, which is not"
            )
    if isinstance(family, IndependentColumns):
        one, other = (_part_of(family, components, column) for column in (across, up))
        if one[1] is not other[1]:
            moments = [_pair_of(*part[:2], part[2], part[2]) for part in (one, other)]
            means = np.column_stack([mean[:, 0] for mean, _ in moments])
            variances = np.column_stack([covariance[:, 0, 0] for _, covariance in moments])
            return means, variances[:, :, None] * np.eye(2)
        family, components, across = one
        up = other[2]
    return _pair_of(family, components, across, up)


def _pair_of(family: Gaussian, components: Any, across: int, up: int) -> tuple[Array, Array]:
    pair = [across, up]
    covariances = _covariances(family.covariance_type, components)
    return components.means[:, pair].astype(np.float64), covariances[:, pair][:, :, pair]


def _covariances(covariance_type: CovarianceType, components: Any) -> Array:
    """(K, D, D), whatever the covariance type."""
    return _full(covariance_type, components.covariances, components.means.shape)


def _full(covariance_type: CovarianceType, values: Any, shape: tuple[int, int]) -> Array:
    """(K, D, D) from covariances, or scales of posteriors, of any type."""
    covariances = np.asarray(values, dtype=np.float64)
    n_components, n_features = shape
    eye = np.eye(n_features)
    full: Array = {
        "full": lambda: covariances,
        "tied": lambda: np.broadcast_to(covariances, (n_components, n_features, n_features)),
        "diag": lambda: covariances[:, :, None] * eye,
        "spherical": lambda: covariances[:, None, None] * eye,
        "tied_spherical": lambda: np.broadcast_to(covariances, n_components)[:, None, None] * eye,
    }[covariance_type]()
    return full


# -- models and data -------------------------------------------------------------------------------------------------


def _family(model: Any) -> Any:
    """As it was learned; Gaussians of known variance are Gaussians."""
    family = model.family_ if hasattr(model, "family_") else Gaussian(model.covariance_type)
    return Gaussian("tied_spherical") if isinstance(family, GaussianMeans) else family


def _components(model: Any) -> Any:
    if isinstance(model, BayesianEstimator):
        return Model(model.family_).mean(model.posterior_).components
    return model.components_


def _not_empty(model: Mixture) -> list[int]:
    """Components to draw: of a Bayesian mixture those with a row, in expectation, if the weights tell."""
    counts = None
    if isinstance(model, BayesianEstimator):
        counts = expected_counts(model.posterior_.weights, model.prior_.weights)
    shown = np.ones(len(model.weights_), bool) if counts is None else counts >= 1
    return [int(k) for k in np.flatnonzero(shown)]


def _uncertainty(model: Mixture, X: Any) -> Array:
    if isinstance(model, BayesianEstimator):
        largest: Array = model.predict_proba(X).max(axis=1).astype(np.float64)
        return 1.0 - largest
    uncertain: Array = model.uncertainty(X)
    return uncertain


def _column(model: Mixture, column: int) -> int:
    n_features = int(model.n_features_in_)
    if not -n_features <= column < n_features:
        raise ValueError(f"columns: expected columns below {n_features}, got {column}")
    return column % n_features


def _two_columns(model: Mixture, columns: tuple[int, int]) -> tuple[int, int]:
    across, up = (_column(model, column) for column in columns)
    if across == up:
        raise ValueError(f"columns: expected two different columns, got {columns}")
    return across, up


def _name(model: Mixture, column: int) -> str:
    names: Any = getattr(model, "feature_names_in_", None)
    return f"x{column}" if names is None else str(names[column])


def _matrix(model: Mixture, X: Any) -> Any:
    """The rows of the model's features, dense or sparse."""
    rows = X.tocsr() if hasattr(X, "tocsr") else as_matrix(X, missing=True)
    n_features = int(model.n_features_in_)
    if rows.shape[1] != n_features:
        raise ValueError(f"X: expected shape (N, {n_features}), got {rows.shape}")
    return rows


def _some_rows(rows: Any, most: int) -> Any:
    """Evenly spaced ones."""
    return rows[:: -(-rows.shape[0] // most) or 1]


def _rows_to_draw(model: Mixture, X: Any, columns: list[int], most: int) -> RealArray:
    """Evenly spaced rows that have entries in these columns."""
    x = _matrix(model, X)
    if hasattr(x, "tocsr"):
        x = x.toarray()
    rows: RealArray = _some_rows(x[~np.isnan(x[:, columns]).any(axis=1)], most)
    if len(rows) == 0:
        raise ValueError("X: expected rows that have entries in both columns, got none")
    return rows


def _values(model: Mixture, x: Any, column: int) -> Array:
    """The entries of a feature that are there."""
    if np.ndim(x) == 1:
        values = np.asarray(x, dtype=np.float64)
    else:
        chosen = _matrix(model, x)[:, [column]]
        values = np.ravel(chosen.toarray() if hasattr(chosen, "tocsr") else chosen)
    observed: Array = values[~np.isnan(values)].astype(np.float64)
    if len(observed) == 0:
        raise ValueError("x: expected entries of the feature, got none that is there")
    return observed


def _bin_edges(values: Array, bins: int | str, is_discrete: bool) -> Array:
    if bins != "auto":
        return np.histogram_bin_edges(values, bins)
    if is_discrete:
        low, high = np.floor(values.min()), np.ceil(values.max())
        width = max(1.0, np.ceil((high - low + 1) / _MOST_BINS))
        return np.arange(low, high + width + 0.5, width) - 0.5
    edges = np.histogram_bin_edges(values, bins)
    return edges if len(edges) <= _MOST_BINS else np.histogram_bin_edges(values, _MOST_BINS)


def _whole_grid(values: Array) -> Array:
    """Whole numbers over the data's range, not all of very many."""
    low, high = np.floor(values.min()), np.ceil(values.max())
    return np.unique(np.round(np.linspace(low, high, min(int(high - low), 2000) + 1)))


class _Named:
    """Rows that an estimator takes for a data frame with the names it knows."""

    def __init__(self, rows: npt.NDArray[Any], columns: list[str]) -> None:
        self.rows = rows
        self.columns = columns

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.rows, dtype=dtype, copy=copy)


def _named(model: Mixture, rows: Any) -> Any:
    names: Any = getattr(model, "feature_names_in_", None)
    if names is None or hasattr(rows, "tocsr"):
        return rows
    return _Named(rows, list(names))
