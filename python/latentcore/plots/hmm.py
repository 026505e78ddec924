"""Pictures of hidden Markov models: states over a series, their probabilities, transitions, forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from latentcore.estimators.hmm_forecast import forecast_of
from latentcore.plots.figures import (
    INK,
    MOST_LISTED,
    axes_or_new,
    check_probability,
    colors_of,
    label_axes,
    stack_shares,
    style_of,
)
from latentcore.plots.models import (
    HMM,
    column_of,
    components_of,
    family_of,
    matrix_of,
    name_of,
    named,
)
from latentcore.protocols import Array, RealArray
from latentcore.sequences import Sequences, as_sequences
from latentcore.structures.hmm_inference import FilterState

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["forecast", "state_probabilities", "states", "transition_matrix"]

_SERIES = "#8C8C8C"
_MOST_WRITTEN = 15
"""States whose transition probabilities are written as numbers; of more there is a bar of colours."""


def states(
    model: HMM,
    X: Any,
    column: int = 0,
    *,
    lengths: Any = None,
    groups: Any = None,
    times: Any = None,
    ax: Axes | None = None,
    max_rows: int = 5000,
) -> Axes:
    """One feature over time, on the colours of the decoded states, with the states' means as steps.

    Parameters
    ----------
    model : fitted hidden Markov model
        Decoded as its ``algorithm`` says.
    X : (N, D), or a list of sequences
    column : int
        The feature.
    lengths, groups : optional
        As for ``model.predict``. Sequences stand side by side, with lines between.
    times : (N,) numbers or datetime64, increasing, optional
        Where rows stand; None numbers them from 0.
    ax : matplotlib Axes, optional
    max_rows : int
        Of more rows, evenly spaced ones are drawn; all are decoded.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        The column does not exist, or ``times`` do not fit the rows.
    """
    column = column_of(model, column)
    data = _sequences(model, X, lengths, groups)
    decoded = model.predict(named(model, data.x), lengths=data.lengths)
    track = _Track.of(data, times, max_rows)
    values, decoded = track.of_rows(data.x[:, column]), track.of_rows(decoded)
    ax = axes_or_new(ax, wide=True)
    n_states = len(model.startprob_)
    colors = [tuple(color) for color in colors_of(n_states)]
    left, right, of_runs = track.runs(decoded)

    _add_bands(ax, left, right, [colors[k] for k in of_runs])
    across, up = track.broken(values)
    ax.plot(across, up, color=_SERIES, linewidth=0.8, zorder=1.5)
    size = float(np.clip(4000 / len(values), 3, 22))
    ax.scatter(
        track.at, values, s=size, c=[colors[k] for k in decoded], linewidths=0, zorder=2,
        rasterized=True,
    )  # fmt: skip
    levels = _levels(model)[:, column]
    for k in range(n_states):
        mine = of_runs == k
        steps = np.column_stack([left[mine], right[mine], np.full(mine.sum(), np.nan)])
        label = f"state {k}" if n_states <= MOST_LISTED else None
        ax.plot(
            steps.ravel(), np.full(steps.size, levels[k]), color=colors[k], linestyle=style_of(k),
            linewidth=2.2, label=label, zorder=2.5, solid_capstyle="butt",
        )  # fmt: skip
    track.finish(ax, name_of(model, column))
    if n_states <= MOST_LISTED:
        ax.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def state_probabilities(
    model: HMM,
    X: Any,
    *,
    lengths: Any = None,
    groups: Any = None,
    times: Any = None,
    filtered: bool = False,
    ax: Axes | None = None,
    max_rows: int = 5000,
) -> Axes:
    """Ribbons of the states' probabilities over time, stacked to one.

    Parameters
    ----------
    model : fitted hidden Markov model
    X : (N, D), or a list of sequences
    lengths, groups, times, ax, max_rows : optional
        As for ``states``.
    filtered : bool
        Whether of each row's state given the rows up to it; otherwise given its whole sequence.

    Returns
    -------
    Axes
        Gaps where a sequence is impossible.
    """
    data = _sequences(model, X, lengths, groups)
    answer = model.filter if filtered else model.predict_proba
    probabilities = answer(named(model, data.x), lengths=data.lengths).astype(np.float64)
    track = _Track.of(data, times, max_rows)
    ax = axes_or_new(ax, wide=True)
    stack_shares(ax, track.edges, track.of_rows(probabilities), "state")
    track.finish(ax, "filtered probability" if filtered else "posterior probability")
    return ax


def transition_matrix(model: HMM, *, ax: Axes | None = None) -> Axes:
    """The transition matrix in shades, with its numbers; transitions of probability 0 are hatched.

    Parameters
    ----------
    model : hidden Markov model
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
        A row for each state, a column for the state after it.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    transition = np.asarray(model.transmat_, np.float64)
    n_states = len(transition)
    ax = axes_or_new(ax)
    shades = ax.imshow(transition, cmap="Blues", vmin=0, vmax=1)
    forbidden = np.argwhere(transition == 0).tolist()
    cells = [Rectangle((to - 0.5, origin - 0.5), 1, 1) for origin, to in forbidden]
    ax.add_collection(
        PatchCollection(cells, facecolor="#F2F2F2", edgecolor="#BBBBBB", hatch="////", linewidth=0),
        autolim=False,
    )
    if n_states <= _MOST_WRITTEN:
        for origin, to in np.argwhere(transition > 0).tolist():
            probability = transition[origin, to]
            ax.text(
                to, origin, _written(probability), ha="center", va="center",
                fontsize=float(np.clip(60 / n_states, 7, 11)),
                color="white" if probability > 0.55 else INK,
            )  # fmt: skip
    else:
        ax.figure.colorbar(shades, ax=ax, label="probability")
    for edge in np.arange(n_states + 1) - 0.5:  # whatever the colours, cells are apart
        ax.axhline(edge, color="white", linewidth=1.5)
        ax.axvline(edge, color="white", linewidth=1.5)
    ticks = np.arange(n_states)[:: -(-n_states // 20)]
    ax.set_xticks(ticks)
    ax.set_yticks(ticks)
    ax.tick_params(length=0)
    label_axes(ax, "next state", "state")
    ax.spines[:].set_visible(False)
    return ax


def forecast(
    model: HMM,
    X: Any = None,
    steps: int = 20,
    column: int = 0,
    *,
    state: FilterState | None = None,
    probabilities: tuple[float, ...] = (0.5, 0.8, 0.95),
    history: int = 100,
    times: Any = None,
    n_samples: int = 5000,
    random_state: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Intervals of the next observations as a fan after the last rows, under ribbons of the states' probabilities.

    Parameters
    ----------
    model : fitted hidden Markov model
    X : (N, D), optional
        One sequence. Ribbons over its rows are filtered: what each moment knew.
    steps : int, >= 1
    column : int
        The feature.
    state : FilterState, optional
        In place of ``X``, from ``model.filter_update``.
    probabilities : tuple of float, in (0, 1)
        Of the central intervals.
    history : int
        Last rows of ``X`` that are drawn.
    times : (N,) numbers or datetime64, increasing, optional
        Where the rows of ``X`` stand; the steps go on at the distance of the last two. None numbers rows from 0.
    n_samples, random_state : int
        Of the draws whose quantiles the intervals are.
    ax : matplotlib Axes, optional
        Ribbons are in an inset over it.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        ``X`` is several sequences, or an argument is out of its range.
    TypeError
        The family cannot be sampled.
    """
    for probability in probabilities:
        check_probability(probability, "probabilities")
    column = column_of(model, column)
    tails = [(1 - p) / 2 for p in sorted(probabilities, reverse=True)]
    levels = [*tails, 0.5, *(1 - tail for tail in reversed(tails))]
    rows = np.empty((0, int(model.n_features_in_))) if X is None else matrix_of(model, X)
    law = model.forecast(
        steps, None if X is None else named(model, rows), state=state, quantiles=levels,
        n_samples=n_samples, random_state=random_state,
    )  # fmt: skip
    if law.quantiles is None:
        raise TypeError("model: expected a family that can be sampled, got one that cannot")

    last = slice(max(0, len(rows) - history), None)
    past, future = _moments(len(rows), times, steps)
    past = past[last]
    ax = axes_or_new(ax, wide=True)
    ax.plot(past, rows[last, column], color=_SERIES, linewidth=0.8)
    ax.scatter(past, rows[last, column], s=12, color=INK, linewidths=0, zorder=2)
    _draw_fan(ax, future, law.quantiles[:, :, column], tails)
    if len(past):
        ax.axvline((past[-1] + future[0]) / 2, color=INK, linewidth=0.8, linestyle=":")
    if _are_dates(times):
        ax.xaxis_date()
    label_axes(ax, "time" if times is not None else "row", name_of(model, column))
    ax.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(1, 0))
    known = (
        model.filter(named(model, rows))[last]
        if len(rows)
        else np.empty((0, len(model.startprob_)))
    )
    edges = _between(np.concatenate([past, future]))
    ax.set_xlim(edges[0], edges[-1])
    _add_ribbons(ax, edges, np.vstack([known, law.state_probabilities]))
    return ax


# -- where rows stand ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Track:
    """Rows of sequences side by side.

    Attributes
    ----------
    at : (n,)
        Where the rows stand that are drawn.
    edges : (n + 1,)
        Half-way between them.
    sequence : (n,)
        To which sequence they belong.
    """

    at: Array
    edges: Array
    sequence: npt.NDArray[Any]
    every: int
    name: str
    are_dates: bool

    @classmethod
    def of(cls, data: Sequences, times: Any, most: int) -> _Track:
        every = -(-len(data) // most)
        at = _positions(len(data), times)[::every]
        sequence = np.repeat(np.arange(data.n_sequences), data.lengths)[::every]
        name = "row" if times is None else "time"
        return cls(at, _between(at), sequence, every, name, _are_dates(times))

    def of_rows(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Those that are drawn."""
        return values[:: self.every]

    def runs(self, decoded: npt.NDArray[Any]) -> tuple[Array, Array, npt.NDArray[Any]]:
        """Left and right edges of stays in a state, and which state it is."""
        changes = (np.diff(decoded) != 0) | (np.diff(self.sequence) != 0)
        firsts = np.concatenate([[0], np.flatnonzero(changes) + 1])
        ends = np.append(firsts[1:], len(decoded))
        return self.edges[firsts], self.edges[ends], decoded[firsts]

    def broken(self, values: npt.NDArray[Any]) -> tuple[Array, Array]:
        """A line through the values with gaps between sequences."""
        ends = np.flatnonzero(np.diff(self.sequence)) + 1
        return np.insert(self.at, ends, np.nan), np.insert(values.astype(np.float64), ends, np.nan)

    def finish(self, ax: Axes, up: str) -> None:
        """Limits, names, and lines between sequences."""
        if self.are_dates:
            ax.xaxis_date()
        for edge in self.edges[1:-1][np.diff(self.sequence) != 0]:
            ax.axvline(edge, color=INK, linewidth=0.8)
        ax.set_xlim(self.edges[0], self.edges[-1])
        label_axes(ax, self.name, up)


def _positions(n_rows: int, times: Any) -> Array:
    """(N,) numbers; of dates, matplotlib's."""
    if times is None:
        return np.arange(n_rows, dtype=np.float64)
    at = np.asarray(times)
    if at.shape != (n_rows,):
        raise ValueError(f"times: expected shape ({n_rows},), one for each row, got {at.shape}")
    if at.dtype.kind == "M":
        from matplotlib.dates import date2num

        at = np.asarray(date2num(at))  # type: ignore[no-untyped-call]
    at = at.astype(np.float64)
    if not (np.diff(at) > 0).all():
        raise ValueError("times: expected increasing ones, got others")
    return at


def _between(at: Array) -> Array:
    """(n + 1,) edges half-way between neighbours."""
    first, last = (at[1] - at[0], at[-1] - at[-2]) if len(at) > 1 else (1.0, 1.0)
    middles = (at[:-1] + at[1:]) / 2
    return np.concatenate([[at[0] - first / 2], middles, [at[-1] + last / 2]])


def _moments(n_rows: int, times: Any, steps: int) -> tuple[Array, Array]:
    """Where rows stand, and where the steps after them."""
    past = _positions(n_rows, times)
    distance = float(past[-1] - past[-2]) if len(past) > 1 else 1.0
    last = float(past[-1]) if len(past) else -1.0
    return past, last + distance * np.arange(1.0, steps + 1)


def _are_dates(times: Any) -> bool:
    return times is not None and np.asarray(times).dtype.kind == "M"


# -- marks -----------------------------------------------------------------------------------------------------------


def _add_bands(ax: Axes, left: Array, right: Array, colors: list[Any]) -> None:
    """Bands over the whole height."""
    from matplotlib.collections import PolyCollection

    corners = [[(a, 0), (a, 1), (b, 1), (b, 0)] for a, b in zip(left, right, strict=True)]
    bands = PolyCollection(
        corners, facecolors=colors, alpha=0.16, linewidths=0, zorder=0,
        transform=ax.get_xaxis_transform(),
    )  # fmt: skip
    ax.add_collection(bands, autolim=False)


def _draw_fan(ax: Axes, at: Array, quantiles: Array, tails: list[float]) -> None:
    """Widest interval first; quantiles (L, steps)."""
    for i, (tail, shade) in enumerate(zip(tails, np.linspace(0.9, 0.6, len(tails)), strict=True)):
        ax.fill_between(
            at, quantiles[i], quantiles[-1 - i], color=f"{shade:.3f}", linewidth=0,
            label=f"{100 * (1 - 2 * tail):g} %",
        )  # fmt: skip
    marker = "o" if len(at) <= 40 else None
    ax.plot(
        at, quantiles[len(tails)], color=INK, linewidth=1.8, marker=marker, markersize=3,
        label="median",
    )  # fmt: skip


def _add_ribbons(ax: Axes, edges: Array, probabilities: RealArray) -> None:
    """The states' probabilities over the axes."""
    strip = ax.inset_axes((0.0, 1.03, 1.0, 0.16), sharex=ax)
    stack_shares(strip, edges, probabilities, "state")
    strip.tick_params(labelbottom=False, length=0)
    strip.set_yticks([])
    strip.spines[:].set_visible(False)


def _written(probability: float) -> str:
    """Two digits that never round a possible change, or stay, to a sure one."""
    if probability == 1:
        return "1"
    if probability > 0.995:
        return "> .99"
    if probability < 0.005:
        return "< .01"
    return f"{probability:.2f}".removeprefix("0")


# -- models ----------------------------------------------------------------------------------------------------------


def _sequences(model: HMM, X: Any, lengths: Any, groups: Any) -> Sequences:
    dense = X.toarray() if hasattr(X, "toarray") else X
    data = as_sequences(dense, lengths=lengths, groups=groups, missing=True)
    matrix_of(model, data.x)
    return data


def _levels(model: HMM) -> Array:
    """(S, D) means of the states' observations, NaN where the family does not tell them."""
    n_states, n_features = len(model.startprob_), int(model.n_features_in_)
    means = forecast_of(
        family_of(model), components_of(model), np.eye(n_states), n_features, np.empty(0), 0, None
    ).means
    return np.full((n_states, n_features), np.nan) if means is None else means
