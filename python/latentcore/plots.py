"""Pictures of fitted Gaussian mixtures. Needs matplotlib: ``pip install 'latentcore[plot]'``.

Every function draws on the axes given as ``ax``, or on those of a new figure, and returns them; ``ax.figure`` is the
figure. Nothing touches pyplot's global state: figures that are made here have an Agg canvas and are saved with
``savefig``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from latentcore.estimators.gaussian_mixture import GaussianMixture
from latentcore.protocols import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["densities", "ellipses", "fit_figure", "objective"]

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F4F24", "#5D3A9B")
"""Okabe & Ito's palette for all kinds of colour vision, without yellow and black, and two more dark ones."""
_STYLES = ("-", "--", ":", "-.")
_INK = "#222222"
_GRID = 400
_MOST_LISTED = 8
_MOST_NUMBERED = 30
_MOST_BINS = 80


def ellipses(
    model: GaussianMixture,
    X: npt.ArrayLike,
    columns: tuple[int, int] = (0, 1),
    *,
    ax: Axes | None = None,
    n_std: tuple[float, ...] = (1.0, 2.0),
    max_points: int = 5000,
) -> Axes:
    """Rows of data under the components' ellipses.

    Parameters
    ----------
    model : GaussianMixture
        Fitted, with any type of covariances.
    X : (N, D)
        Points take the colours of the components in proportion to their responsibilities.
    columns : (int, int)
        The features across and up. With others besides, the ellipses are those of the marginal distribution.
    ax : matplotlib Axes, optional
    n_std : tuple of float
        Standard deviations from mean to ellipse, in every direction.
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
    from matplotlib.patches import Ellipse

    ax = _new_axes() if ax is None else ax
    n_features = model.means_.shape[1]
    across, up = (_column(model, column) for column in columns)
    if across == up:
        raise ValueError(f"columns: expected two different columns, got {columns}")
    rows = _some_rows(X, n_features, max_points)
    colors = _colors(len(model.weights_))

    r = model.predict_proba(_named(model, rows))
    size = float(np.clip(4000 / len(rows), 4, 22))
    ax.scatter(
        rows[:, across], rows[:, up], s=size, c=np.clip(r @ colors, 0, 1), alpha=0.5,
        linewidths=0, rasterized=True,
    )  # fmt: skip

    pair = [across, up]
    for k, covariance in enumerate(_covariances(model)[:, pair][:, :, pair]):
        variances, axes = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
        minor, major = 2 * np.sqrt(np.maximum(variances, 0))
        center = (float(model.means_[k, across]), float(model.means_[k, up]))
        for i, n in enumerate(sorted(n_std)):
            ax.add_patch(
                Ellipse(
                    center, n * major, n * minor, angle=float(angle), fill=False,
                    edgecolor=colors[k], linewidth=2.0 if i == 0 else 1.2, linestyle=_style(k),
                )
            )  # fmt: skip
        _mark(ax, center, str(k) if len(colors) <= _MOST_NUMBERED else "+")
    ax.autoscale_view()
    _label(ax, _name(model, across), _name(model, up))
    return ax


def densities(
    model: GaussianMixture,
    x: npt.ArrayLike,
    column: int = 0,
    *,
    ax: Axes | None = None,
    bins: int | str = "auto",
) -> Axes:
    """The density of one feature, and its components times their weights, over a histogram.

    Parameters
    ----------
    model : GaussianMixture
        Fitted, with any type of covariances.
    x : (N,) or (N, D)
        Values of the feature, or rows of data.
    column : int
        The feature; of a model with several the marginal distribution is drawn.
    ax : matplotlib Axes, optional
    bins : int or str
        As for ``numpy.histogram_bin_edges``; "auto" makes at most 80.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        The column does not exist.
    """
    ax = _new_axes() if ax is None else ax
    column = _column(model, column)
    values = np.asarray(x, dtype=np.float64)
    values = values[:, column] if values.ndim == 2 else values.ravel()

    edges = np.histogram_bin_edges(values, bins)
    if bins == "auto" and len(edges) > _MOST_BINS:
        edges = np.histogram_bin_edges(values, _MOST_BINS)
    ax.hist(values, edges.tolist(), density=True, color="#D9D9D9", edgecolor="white", linewidth=0.5)

    means = model.means_[:, column].astype(np.float64)
    deviations = np.sqrt(_covariances(model)[:, column, column])
    grid = _grid(values, means, deviations)
    z = (grid[:, None] - means) / deviations
    parts = model.weights_ * np.exp(-0.5 * z * z) / (np.sqrt(2 * np.pi) * deviations)
    colors = _colors(len(means))
    listed = len(means) <= _MOST_LISTED
    for k in range(len(means) if len(means) > 1 else 0):
        label = f"component {k}, weight {model.weights_[k]:.2f}" if listed else None
        ax.plot(grid, parts[:, k], color=colors[k], linestyle=_style(k), linewidth=1.8, label=label)
    ax.plot(grid, parts.sum(axis=1), color=_INK, linewidth=1.4, label="mixture", zorder=1.9)
    ax.set_ylim(bottom=0)
    _label(ax, _name(model, column), "density")
    ax.legend(frameon=False, fontsize=9)
    return ax


def objective(model: GaussianMixture, *, ax: Axes | None = None) -> Axes:
    """The lower bound by iteration.

    Parameters
    ----------
    model : GaussianMixture
        Fitted; one made by ``from_params`` has no iterations.
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
    _label(ax, "iteration", "log-likelihood per row (nats)")
    return ax


def fit_figure(
    model: GaussianMixture, X: npt.ArrayLike, columns: tuple[int, int] = (0, 1)
) -> Figure:
    """The fit over its data beside the course of the objective.

    Parameters
    ----------
    model : GaussianMixture
    X : (N, D)
        With one feature densities are drawn, with more the ellipses of two.
    columns : (int, int)
        Which two.

    Returns
    -------
    Figure
        With an Agg canvas: ``figure.savefig("fit.png")``.
    """
    has_course = len(model.lower_bounds_) > 0
    figure = _new_figure(10.0 if has_course else 5.8, 4.4)
    axes = figure.subplots(1, 1 + has_course, squeeze=False, width_ratios=[3, 2][: 1 + has_course])[
        0
    ]
    if model.means_.shape[1] == 1:
        densities(model, X, ax=axes[0])
    else:
        ellipses(model, X, columns, ax=axes[0])
    if has_course:
        objective(model, ax=axes[1])
    return figure


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


# -- models and data -------------------------------------------------------------------------------------------------


def _covariances(model: GaussianMixture) -> Array:
    """(K, D, D), whatever the covariance type."""
    covariances = np.asarray(model.covariances_, dtype=np.float64)
    n_components, n_features = model.means_.shape
    eye = np.eye(n_features)
    full: Array = {
        "full": lambda: covariances,
        "tied": lambda: np.broadcast_to(covariances, (n_components, n_features, n_features)),
        "diag": lambda: covariances[:, :, None] * eye,
        "spherical": lambda: covariances[:, None, None] * eye,
        "tied_spherical": lambda: covariances[:, None, None] * eye,
    }[model.covariance_type]()
    return full


def _column(model: GaussianMixture, column: int) -> int:
    n_features = int(model.means_.shape[1])
    if not -n_features <= column < n_features:
        raise ValueError(f"columns: expected columns below {n_features}, got {column}")
    return column % n_features


def _name(model: GaussianMixture, column: int) -> str:
    names: Any = getattr(model, "feature_names_in_", None)
    return f"x{column}" if names is None else str(names[column])


def _some_rows(X: npt.ArrayLike, n_features: int, most: int) -> npt.NDArray[Any]:
    rows = np.asarray(X)
    if rows.ndim != 2 or rows.shape[1] != n_features:
        raise ValueError(f"X: expected shape (N, {n_features}), got {rows.shape}")
    return rows[:: -(-len(rows) // most) or 1]


def _grid(values: Array, means: Array, deviations: Array) -> Array:
    """Points over the data's range, and more of them where a narrow component would fall between."""
    low, high = values.min(), values.max()
    margin = 0.05 * (high - low) or float(deviations.max())
    even = np.linspace(low - margin, high + margin, _GRID)
    near = (means[:, None] + deviations[:, None] * np.linspace(-4, 4, 41)).ravel()
    near = near[(near > even[0]) & (near < even[-1])]
    return np.unique(np.concatenate([even, near]))


class _Named:
    """Rows that an estimator takes for a data frame with the names it knows."""

    def __init__(self, rows: npt.NDArray[Any], columns: list[str]) -> None:
        self.rows = rows
        self.columns = columns

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.rows, dtype=dtype, copy=copy)


def _named(model: GaussianMixture, rows: npt.NDArray[Any]) -> Any:
    names: Any = getattr(model, "feature_names_in_", None)
    return rows if names is None else _Named(rows, list(names))
