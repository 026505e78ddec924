"""Pictures of rows under a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from latentcore.plots.figures import (
    INK,
    MOST_LISTED,
    axes_or_new,
    colors_of,
    ellipse_of,
    label_axes,
    mark,
    stack_shares,
    style_of,
    tick_whole_numbers,
)
from latentcore.plots.marginals import marginal_of, pair_moments
from latentcore.plots.models import (
    Mixture,
    column_of,
    components_of,
    family_of,
    matrix_of,
    name_of,
    named,
    not_empty,
    rows_to_draw,
    some_rows,
    two_columns,
    uncertainty_of,
    values_of,
)
from latentcore.protocols import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["densities", "ellipses", "responsibilities", "uncertainty"]

_MOST_NUMBERED = 30
_MOST_BINS = 80


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
    across, up = two_columns(model, columns)
    means, covariances = pair_moments(model, across, up)
    rows = rows_to_draw(model, X, [across, up], max_points)
    ax = axes_or_new(ax)
    colors = colors_of(len(model.weights_))

    r = model.predict_proba(named(model, rows))
    size = float(np.clip(4000 / len(rows), 4, 22))
    ax.scatter(
        rows[:, across], rows[:, up], s=size, c=np.clip(r @ colors, 0, 1), alpha=0.5,
        linewidths=0, rasterized=True,
    )  # fmt: skip

    for k in not_empty(model):
        for i, n in enumerate(sorted(n_std)):
            ax.add_patch(
                ellipse_of(
                    means[k], n * n * covariances[k], fill=False, edgecolor=colors[k],
                    linewidth=2.0 if i == 0 else 1.2, linestyle=style_of(k),
                )
            )  # fmt: skip
        center = (float(means[k, 0]), float(means[k, 1]))
        mark(ax, center, str(k) if len(colors) <= _MOST_NUMBERED else "+")
    ax.autoscale_view()
    label_axes(ax, name_of(model, across), name_of(model, up))
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
    column = column_of(model, column)
    values = values_of(model, x, column)
    marginal = marginal_of(family_of(model), components_of(model), column)
    is_discrete = marginal.is_discrete(values)
    ax = axes_or_new(ax)
    heights, *_ = ax.hist(
        values, _bin_edges(values, bins, is_discrete).tolist(), density=True, color="#D9D9D9",
        edgecolor="white", linewidth=0.5,
    )  # fmt: skip

    grid = _whole_grid(values) if is_discrete else marginal.grid(values)
    parts = model.weights_ * marginal.densities(grid)
    marker = "o" if is_discrete and len(grid) <= _MOST_BINS else None
    colors = colors_of(len(model.weights_))
    listed = len(colors) <= MOST_LISTED
    for k in not_empty(model) if len(colors) > 1 else []:
        label = f"component {k}, weight {model.weights_[k]:.2f}" if listed else None
        ax.plot(
            grid, parts[:, k], color=colors[k], linestyle=style_of(k), linewidth=1.8, label=label,
            marker=marker, markersize=3.5,
        )  # fmt: skip
    ax.plot(
        grid, parts.sum(axis=1), color=INK, linewidth=1.4, label="mixture", zorder=1.9,
        marker=marker, markersize=3.5,
    )  # fmt: skip
    highest = float(np.max(heights))
    if marginal.support == "positive" and parts.sum(axis=1).max() > 4 * highest:
        ax.set_ylim(top=4 * highest)  # the density may have a pole at 0
    if is_discrete:
        tick_whole_numbers(ax)
    ax.set_ylim(bottom=0)
    label_axes(ax, name_of(model, column), "probability" if is_discrete else "density")
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
    rows = some_rows(matrix_of(model, X), max_rows)
    r = model.predict_proba(named(model, rows)).astype(np.float64)
    ax = axes_or_new(ax)
    if rows.shape[1] == 1 and not hasattr(rows, "tocsr"):
        at, chosen = np.unique(rows[~np.isnan(rows[:, 0]), 0], return_index=True)
        r = r[~np.isnan(rows[:, 0])][chosen]
        across = name_of(model, 0)
    else:
        at = np.arange(len(r) + 1.0)
        r = r[np.lexsort((-r.max(axis=1), r.argmax(axis=1)))]
        across = "row, sorted"
    stack_shares(ax, at, r, "component")
    if at[0] < at[-1]:
        ax.set_xlim(float(at[0]), float(at[-1]))
    label_axes(ax, across, "responsibility")
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
    across, up = (0, 0) if one else two_columns(model, columns)
    rows = rows_to_draw(model, X, [across, up], max_points)
    values = uncertainty_of(model, named(model, rows))
    largest_first = np.argsort(values)  # drawn last, on top
    rows, values = rows[largest_first], values[largest_first]
    ax = axes_or_new(ax)
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
    label_axes(ax, name_of(model, across), "uncertainty" if one else name_of(model, up))
    return ax


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
