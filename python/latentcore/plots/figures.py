"""Figures and axes without pyplot, and the marks that all pictures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from latentcore.protocols import Array, RealArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse

__all__ = [
    "COLORS",
    "INK",
    "MOST_LISTED",
    "axes_or_new",
    "check_probability",
    "colors_of",
    "ellipse_of",
    "label_axes",
    "mark",
    "new_figure",
    "signed",
    "stack_shares",
    "style_of",
    "tick_whole_numbers",
]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F4F24", "#5D3A9B")
"""Okabe & Ito's palette for all kinds of colour vision, without yellow and black, and two more dark ones."""
_STYLES = ("-", "--", ":", "-.")
INK = "#222222"
MOST_LISTED = 8
"""Components in a legend; more make none."""


def new_figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def axes_or_new(ax: Axes | None, wide: bool = False) -> Axes:
    """The axes that were given, or those of a new figure."""
    return new_figure(8.4 if wide else 5.8, 4.4).subplots() if ax is None else ax


def label_axes(ax: Axes, across: str, up: str) -> None:
    ax.set_xlabel(across)
    ax.set_ylabel(up)
    ax.spines[["top", "right"]].set_visible(False)


def tick_whole_numbers(ax: Axes) -> None:
    """Across."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def stack_shares(ax: Axes, at: Array, shares: RealArray, title: str) -> None:
    """Bands of shares (n, K) that sum to one, between points (n,), or each from an edge to the next of (n + 1,)."""
    n_columns = shares.shape[1]
    if len(at) > len(shares):
        at, shares = np.repeat(at, 2)[1:-1], np.repeat(shares, 2, axis=0)
    colors = [tuple(color) for color in colors_of(n_columns)]
    ax.stackplot(at, shares.T, labels=[str(k) for k in range(n_columns)], colors=colors)
    ax.set_ylim(0, 1)
    if n_columns <= MOST_LISTED:
        ax.legend(title=title, frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))


def check_probability(probability: float, name: str = "probability") -> None:
    if not 0 < probability < 1:
        raise ValueError(f"{name}: expected a number in (0, 1), got {probability!r}")


def ellipse_of(center: Array, matrix: Array, **style: Any) -> Ellipse:
    """Points whose deviation d from the center has ``d^T matrix^-1 d = 1``."""
    from matplotlib.patches import Ellipse

    variances, axes = np.linalg.eigh(matrix)
    angle = float(np.degrees(np.arctan2(axes[1, 1], axes[0, 1])))
    minor, major = 2 * np.sqrt(np.maximum(variances, 0))
    return Ellipse((float(center[0]), float(center[1])), major, minor, angle=angle, **style)


def mark(ax: Axes, at: tuple[float, float], text: str) -> None:
    from matplotlib.patheffects import withStroke

    ax.text(
        *at, text, color=INK, fontsize=12, fontweight="bold", ha="center", va="center",
        path_effects=[withStroke(linewidth=3, foreground="white")], clip_on=True,
    )  # fmt: skip


def colors_of(count: int) -> Array:
    """(count, 3) red, green and blue; from the ninth on they come again, with another style of line."""
    codes = [COLORS[k % len(COLORS)] for k in range(count)]
    return np.array([[int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)] for code in codes])


def style_of(k: int) -> str:
    return _STYLES[k // len(COLORS) % len(_STYLES)]


def signed(value: float) -> str:
    """Five digits, with a minus sign that is one."""
    return f"{value:.5g}".replace("-", "\N{MINUS SIGN}")
