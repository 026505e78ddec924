"""The commands of ``latentcore``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from latentcore.cli.models import (
    WEIGHT_PRIORS,
    AnyMixture,
    ColumnFamilies,
    SavedMixture,
    bayesian_mixture,
    complaints_about,
    described_categories,
    load,
    mixture,
    product_family,
    read_labels,
    read_rows,
    save,
    tell_missing,
)
from latentcore.cli.progress import FitProgress, SelectProgress
from latentcore.cli.tables import Table, output_format, write_table
from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.families.gaussian import CovarianceType
from latentcore.selection import Criterion, Selection
from latentcore.selection import select as select_over_grid

__all__ = ["PlotKind", "fit", "impute", "info", "plot", "predict", "sample", "score", "select"]

PlotKind = Literal[
    "fit", "ellipses", "densities", "responsibilities", "uncertainty", "objective", "elbo", "weights", "posterior",
]  # fmt: skip

_OF_TEXTS = {"categorical", "mixed"}
"""Families that take columns of text."""
_NOT_BAYESIAN = {"prior", "assignment", "equal_weights"}
"""Settings that Bayesian mixtures do not have."""


def fit(
    file: str,
    components: int,
    family: str,
    covariance: CovarianceType,
    column_families: ColumnFamilies,
    columns: list[str] | None,
    labels: str | None,
    out: Path | None,
    plot: Path | None,
    progress: bool | None,
    bayes: bool,
    weight_prior: str | None,
    concentration: float | None,
    batch_size: int | None,
    **settings: Any,
) -> None:
    """Fit a mixture, print its table; perhaps save it, perhaps draw it."""
    _check_folder(out)
    save_figure = None if plot is None else _figure_saver(plot)
    table = read_rows(file, columns, labels, text=family in _OF_TEXTS)
    known = None if labels is None else read_labels(file, labels, components)
    make: Callable[..., AnyMixture] = mixture
    if bayes:
        make = bayesian_mixture
        settings = {name: settings[name] for name in settings.keys() - _NOT_BAYESIAN} | {
            "weight_concentration_prior_type": WEIGHT_PRIORS[weight_prior or "dp"],
            "weight_concentration_prior": concentration,
            "batch_size": batch_size,
        }
    with complaints_about(file):
        model = make(family, table, covariance, column_families, components, settings)
    with FitProgress(model.max_iter, model.n_init, progress) as callback, complaints_about(file):
        if isinstance(model, BayesianEstimator):
            model.fit(table, callback=callback)
        else:
            model.fit(table, labels=None if known is None else known.values, callback=callback)
    classes = None if known is None else known.classes
    print(model.summary() + described_categories(table.categories, classes))
    tell_missing(table)
    if out is not None:
        save(out, model, table.categories, classes)
    if save_figure is not None:
        save_figure(_fit_figure(model, table))


def select(
    file: str,
    components: list[int],
    families: list[str],
    criterion: Criterion,
    covariance: CovarianceType,
    column_families: ColumnFamilies,
    columns: list[str] | None,
    out: Path | None,
    plot: Path | None,
    progress: bool | None,
    **settings: Any,
) -> None:
    """Fit mixtures over a grid, print the table; perhaps save the best, perhaps draw the criterion."""
    _check_folder(out)
    save_figure = None if plot is None else _figure_saver(plot)
    table = read_rows(file, columns, None, text=set(families) <= _OF_TEXTS)
    grid: list[Any] = list(families)
    if "mixed" in families:
        with complaints_about(file):
            product = product_family(table, covariance, column_families)
        grid[grid.index("mixed")] = product
    with SelectProgress(progress) as report, complaints_about(file):
        found = select_over_grid(
            table, components, grid, criterion=criterion, progress=report, **settings
        )
    found = _with_short_names(found, families, len(components))
    print(str(found) + described_categories(table.categories, None))
    tell_missing(table)
    if out is not None:
        save(out, found.best, table.categories, None)
    if save_figure is not None:
        from latentcore import plots

        save_figure(plots.criteria(found).figure)


def predict(model: str, file: str, proba: bool, out: Path | None) -> None:
    """Write the most probable component of each row, or the probabilities of all."""
    if out is not None:
        output_format(out)
    saved = load(model)
    table = saved.rows_of(file)
    with complaints_about(file):
        found = saved.model.predict_proba(table) if proba else saved.model.predict(table)[:, None]
    names = [f"p{k}" for k in range(found.shape[1])] if proba else ["component"]
    write_table(out, found, names)


def score(model: str, file: str) -> None:
    """Print how probable the rows of a file are under a model."""
    saved = load(model)
    table = saved.rows_of(file)
    name = "log-likelihood"
    with complaints_about(file):
        if isinstance(saved.model, BayesianEstimator):
            name = "log predictive"
            total = float(saved.model.predictive_logpdf(table).sum(dtype="float64"))
        else:
            total = saved.model.loglik(table)
    print(f"rows            {len(table.data)}")
    print(f"{name}  {total:.6f}")
    print(f"per row         {total / len(table.data):.6f}")


def impute(model: str, file: str, out: Path | None) -> None:
    """Write the rows of a file with conditional means where entries are missing."""
    if out is not None:
        output_format(out)
    saved = load(model)
    if isinstance(saved.model, BayesianEstimator):
        raise ValueError(f"{model}: expected a mixture that was fitted without --bayes")
    table = saved.rows_of(file)
    with complaints_about(file):
        completed = saved.model.impute(table)
    write_table(out, completed, saved.column_names(), table.categories)


def sample(model: str, rows: int, seed: int | None, out: Path | None) -> None:
    """Write rows drawn from a model."""
    if out is not None:
        output_format(out)
    saved = load(model)
    saved.model.set_params(random_state=seed)
    data, _ = saved.model.sample(rows)
    write_table(out, data, saved.column_names(), saved.categories)


def info(model: str) -> None:
    """Print the table of a saved model."""
    print(load(model).described())


def plot(
    model: str, file: str | None, kind: PlotKind, columns: list[str] | None, out: Path
) -> None:
    """Draw a saved model, most kinds of pictures over the rows of a file."""
    save_figure = _figure_saver(out)
    from latentcore import plots

    saved = load(model)
    without_rows = {
        "objective": plots.objective,
        "elbo": plots.elbo_terms,
        "weights": plots.posterior_weights,
    }
    if kind in without_rows:
        draw_fit: Callable[[Any], Any] = without_rows[kind]
        with complaints_about(model):
            drawn = draw_fit(saved.model)
        save_figure(drawn.figure)
        return
    if file is None:
        raise ValueError(f"--kind {kind}: expected a FILE of rows to draw, got none")
    table = saved.rows_of(file)
    pair = _positions(saved, columns)
    if kind == "fit":
        figure: Any = plots.fit_figure(saved.model, table.data, pair)
    elif kind == "densities":
        figure = plots.densities(saved.model, table.data, pair[0]).figure
    elif kind == "responsibilities":
        figure = plots.responsibilities(saved.model, table.data).figure
    else:
        draw: Callable[..., Any] = plots.uncertainty
        if kind != "uncertainty":
            draw = plots.ellipses if kind == "ellipses" else plots.posterior_ellipses
        with complaints_about(model):
            figure = draw(saved.model, table.data, pair).figure
    save_figure(figure)


# -- inside ----------------------------------------------------------------------------------------------------------


def _with_short_names(found: Selection, families: Sequence[str], n_components: int) -> Selection:
    """The selection with the families named as on the command line."""
    table = tuple(
        replace(candidate, family=families[index // n_components])
        for index, candidate in enumerate(found.table)
    )
    return replace(found, table=table)


def _positions(saved: SavedMixture, columns: list[str] | None) -> tuple[int, int]:
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


def _check_folder(out: Path | None) -> None:
    if out is not None and not out.parent.is_dir():
        raise ValueError(f"{out}: there is no folder {out.parent}")


def _fit_figure(model: AnyMixture, table: Table) -> Any:
    from latentcore import plots

    return plots.fit_figure(model, table.data)


def _figure_saver(path: Path) -> Callable[[Any], None]:
    """What saves a picture; complaints come before the work."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError:
        raise ValueError(
            "pictures need matplotlib; install it with: pip install 'latentcore[plot]'"
        ) from None
    _check_folder(path)
    formats = sorted(FigureCanvasAgg.get_supported_filetypes())
    if path.suffix.lower().removeprefix(".") not in formats:
        raise ValueError(f"{path}: expected a name ending in one of {', '.join(formats)}")

    def save_figure(figure: Any) -> None:
        figure.savefig(path, dpi=150)
        print(f"picture saved to {path}", file=sys.stderr)

    return save_figure
