"""Pictures that commands draw."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from latentcore import plots, storage
from latentcore.cli.models import SavedModel, as_mixture
from latentcore.cli.sequences import Gathered

__all__ = ["HMMPlotKind", "PlotKind", "check_folder", "figure_of", "figure_saver"]

PlotKind = Literal[
    "fit", "ellipses", "densities", "responsibilities", "uncertainty", "objective", "elbo", "weights", "posterior",
]  # fmt: skip
HMMPlotKind = Literal["fit", "states", "probabilities", "transitions", "objective"]

_WITHOUT_ROWS: dict[str, Callable[[Any], Any]] = {
    "objective": plots.objective,
    "elbo": plots.elbo_terms,
    "weights": plots.posterior_weights,
    "transitions": plots.transition_matrix,
}
"""Pictures of the model alone."""


def needs_rows(kind: str) -> bool:
    return kind not in _WITHOUT_ROWS


def figure_of(
    path: str, saved: SavedModel, rows: Gathered | None, kind: str, columns: list[str] | None
) -> Any:
    """The figure of a saved model; ``rows`` for the kinds that need them.

    Raises
    ------
    ValueError
        The model has no such picture, or a column does not exist.
    """
    kinds = get_args(HMMPlotKind if saved.is_hmm else PlotKind)
    if kind not in kinds:
        name = type(saved.model).__name__
        raise ValueError(f"--kind: expected one of {', '.join(kinds)} for {name}, got {kind!r}")
    if not needs_rows(kind):
        return _WITHOUT_ROWS[kind](saved.model).figure
    assert rows is not None
    pair = _positions(saved, columns)
    draw = _of_chain if saved.is_hmm else _of_mixture
    return draw(path, saved, rows, kind, pair)


def _of_chain(
    path: str, saved: SavedModel, rows: Gathered, kind: str, pair: tuple[int, int]
) -> Any:
    model: Any = saved.model
    sequences = saved.lengths(rows)
    if kind == "fit":
        return plots.fit_figure(model, rows.table.data, pair, **sequences)
    if kind == "states":
        return plots.states(model, rows.table.data, pair[0], **sequences).figure
    return plots.state_probabilities(model, rows.table.data, **sequences).figure


def _of_mixture(
    path: str, saved: SavedModel, rows: Gathered, kind: str, pair: tuple[int, int]
) -> Any:
    model: Any = as_mixture(path, saved.model)
    data = rows.table.data
    if kind == "fit":
        return plots.fit_figure(model, data, pair)
    if kind == "densities":
        return plots.densities(model, data, pair[0]).figure
    if kind == "responsibilities":
        return plots.responsibilities(model, data).figure
    draw: Callable[..., Any] = plots.uncertainty
    if kind != "uncertainty":
        draw = plots.ellipses if kind == "ellipses" else plots.posterior_ellipses
    return draw(model, data, pair).figure


def _positions(saved: SavedModel, columns: list[str] | None) -> tuple[int, int]:
    """Of the columns across and up; the first two if none are chosen."""
    names = saved.column_names()
    for name in columns or []:
        if name not in names:
            raise ValueError(
                f"--columns: there is no column {name!r}; there are {', '.join(names)}"
            )
    chosen = [names.index(name) for name in columns or names[:2]]
    if len(chosen) > 2:
        raise ValueError(f"--columns: expected one or two columns, got {len(chosen)}")
    return chosen[0], chosen[-1]


def check_folder(out: Path | None) -> None:
    """Complain if there is no folder to save to."""
    if out is not None and not out.parent.is_dir():
        raise ValueError(f"{out}: there is no folder {out.parent}")


def figure_saver(path: Path) -> Callable[[Any], None]:
    """What saves a picture; complaints come before the work."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError:
        raise ValueError(
            "pictures need matplotlib; install it with: pip install 'latentcore[plot]'"
        ) from None
    check_folder(path)
    formats = sorted(FigureCanvasAgg.get_supported_filetypes())
    if path.suffix.lower().removeprefix(".") not in formats:
        raise ValueError(f"{path}: expected a name ending in one of {', '.join(formats)}")

    def save_figure(figure: Any) -> None:
        with storage.replacing(path) as place:
            figure.savefig(place, format=path.suffix.lower().removeprefix("."), dpi=150)
        print(f"picture saved to {path}", file=sys.stderr)

    return save_figure
