"""Pictures of fits and of selections."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.estimators.bayesian_hmm_base import BayesianHMMEstimator
from latentcore.estimators.hmm_answers import HMMAnswers
from latentcore.families.columns import IndependentColumns
from latentcore.families.linear import Linear
from latentcore.families.multinomial import Multinomial
from latentcore.plots.figures import (
    COLORS,
    INK,
    axes_or_new,
    label_axes,
    new_figure,
    signed,
    style_of,
    tick_whole_numbers,
)
from latentcore.plots.hmm import states
from latentcore.plots.marginals import is_gaussian
from latentcore.plots.models import HMM, Mixture, family_of, two_columns
from latentcore.plots.rows import densities, ellipses, responsibilities, uncertainty
from latentcore.selection import Candidate, Criterion, Selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["criteria", "fit_figure", "objective"]


def objective(model: Mixture | HMM, *, ax: Axes | None = None) -> Axes:
    """The objective by iteration, of whatever the fit ascended: of Bayesian models in total, of others per row.

    Parameters
    ----------
    model : fitted mixture or hidden Markov model
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
    bounds = np.asarray(getattr(model, "lower_bounds_", ()), dtype=np.float64)
    if len(bounds) == 0:
        raise ValueError("model: expected a model that was fitted by iterations, got one without")
    ax = axes_or_new(ax)
    iterations = np.arange(1, len(bounds) + 1)
    marker = "o" if len(bounds) <= 40 else None
    ax.plot(iterations, bounds, color=COLORS[0], linewidth=1.8, marker=marker, markersize=4)
    value = signed(bounds[-1])
    state = "converged" if model.converged_ else "not converged"
    ax.text(
        0.97, 0.06, f"{value}\n{state} after {len(bounds)}", transform=ax.transAxes,
        ha="right", va="bottom", fontsize=9, color=INK,
    )  # fmt: skip
    tick_whole_numbers(ax)
    ax.yaxis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]
    if len(bounds) == 1:
        ax.set_xlim(0, 2)
    label_axes(ax, "iteration", f"{_objective_name(model)} (nats)")
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
    ax = axes_or_new(ax)
    name = selection.criterion if criterion is None else criterion

    def value(candidate: Candidate) -> float:
        return candidate.value if criterion is None else float(getattr(candidate, criterion))

    families = list(dict.fromkeys(candidate.family for candidate in selection.table))
    for i, family in enumerate(families):
        fits = sorted(
            (candidate for candidate in selection.table if candidate.family == family),
            key=lambda candidate: candidate.n_components,
        )
        color = COLORS[i % len(COLORS)]
        numbers = [candidate.n_components for candidate in fits]
        values = [value(candidate) for candidate in fits]
        ax.plot(numbers, values, color=color, linestyle=style_of(i), linewidth=1.6, label=family)
        fills = ["white" if candidate.degenerate else color for candidate in fits]
        ax.scatter(numbers, values, s=24, c=fills, edgecolors=color, zorder=3)
    best = selection.table[selection.best_index]
    ax.plot(
        [best.n_components], [value(best)], "o", markersize=12, markerfacecolor="none",
        markeredgecolor=INK, markeredgewidth=1.4,
        label=f"selected: {best.family}, {best.n_components}",
    )  # fmt: skip
    tick_whole_numbers(ax)
    in_capitals = name.upper() if name in ("bic", "aic", "icl") else name
    label_axes(ax, "number of components", in_capitals)
    ax.legend(frameon=False, fontsize=9)
    return ax


def fit_figure(
    model: Mixture | HMM,
    X: Any,
    columns: tuple[int, int] = (0, 1),
    *,
    lengths: Any = None,
    groups: Any = None,
) -> Figure:
    """The fit over its data beside the course of the objective.

    Parameters
    ----------
    model : fitted mixture or hidden Markov model
    X : (N, D)
        Two Gaussian features of a mixture are drawn with ellipses, others with their densities, outcomes of
        multinomials with the responsibilities of rows; of a hidden Markov model one feature with the decoded states.
    columns : (int, int)
        Which two, or the first of them which one, if there are more.
    lengths, groups : optional
        Of sequences, as for ``states``.

    Returns
    -------
    Figure
        With an Agg canvas: ``figure.savefig("fit.png")``.
    """
    drawings = _drawings_of_fit(model, X, columns, {"lengths": lengths, "groups": groups})
    widths = [5] if isinstance(model, HMMAnswers) else [3] * len(drawings)
    if len(model.lower_bounds_) > 0:
        drawings.append(lambda ax: objective(model, ax=ax))
        widths.append(2)
    figure = new_figure(1.0 + 1.8 * sum(widths), 4.4)
    axes = figure.subplots(1, len(drawings), squeeze=False, width_ratios=widths)[0]
    for draw, ax in zip(drawings, axes, strict=True):
        draw(ax)
    return figure


def _drawings_of_fit(
    model: Mixture | HMM, X: Any, columns: tuple[int, int], sequences: dict[str, Any]
) -> list[Callable[[Axes], Axes]]:
    if isinstance(model, HMMAnswers):
        return [lambda ax: states(model, X, columns[0], ax=ax, **sequences)]
    family = family_of(model)
    if isinstance(family, Multinomial):
        return [lambda ax: responsibilities(model, X, ax=ax)]
    if int(model.n_features_in_) == 1:
        return [lambda ax: densities(model, X, ax=ax)]
    across, up = two_columns(model, columns)
    if is_gaussian(family, across) and is_gaussian(family, up):
        return [lambda ax: ellipses(model, X, columns, ax=ax)]
    if isinstance(family, Linear | IndependentColumns):
        return [
            lambda ax: densities(model, X, across, ax=ax),
            lambda ax: densities(model, X, up, ax=ax),
        ]
    return [lambda ax: uncertainty(model, X, columns, ax=ax)]


def _objective_name(model: Mixture | HMM) -> str:
    if isinstance(model, BayesianEstimator | BayesianHMMEstimator):
        return "evidence lower bound"
    name = "log-likelihood"
    if model.assignment == "hard":
        name = "log-density of paths" if isinstance(model, HMMAnswers) else f"classification {name}"
    return f"{name} per row" if model.prior is None else f"{name} + log prior per row"
