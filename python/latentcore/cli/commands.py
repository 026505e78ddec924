"""The commands of ``latentcore`` that fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from latentcore import plots
from latentcore.cli.hmm_models import described_hmm
from latentcore.cli.large import LargeFile, is_large
from latentcore.cli.models import (
    OF_TEXTS,
    ColumnFamilies,
    described_categories,
    described_mixture,
    product_family,
    read_labels,
    read_rows,
    read_weights,
    save,
    tell_missing,
)
from latentcore.cli.pictures import check_folder, figure_saver
from latentcore.cli.progress import FitProgress, PartsProgress, SelectProgress
from latentcore.cli.sequences import complaints_about, gathered
from latentcore.cli.tables import Table
from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.families.gaussian import CovarianceType
from latentcore.selection import Criterion, Selection
from latentcore.selection import select as select_over_grid

__all__ = ["fit", "fit_hmm", "select"]


def fit(
    file: str,
    components: int,
    family: str,
    columns: list[str] | None,
    labels: str | None,
    weight_by: str | None,
    out: Path | None,
    plot: Path | None,
    progress: bool | None,
    in_memory: bool | None,
    cluster: str | None,
    order_by: str | None,
    **description: Any,
) -> None:
    """Fit a mixture, print its table; perhaps save it, perhaps draw it."""
    _check_order_by(order_by, None, cluster)
    check_folder(out)
    save_figure = None if plot is None else figure_saver(plot)
    if cluster is not None or is_large(file, in_memory):
        large = LargeFile(file, columns, labels, weight_by)
        make = partial(described_mixture, components=components, family=family, **description)
        _fit_large(large, make, family == "mixed", out, save_figure, cluster, progress)
        return
    table = read_rows(file, columns, labels, text=family in OF_TEXTS, weight_by=weight_by)
    weight = read_weights(file, weight_by)
    known = None if labels is None else read_labels(file, labels, components)
    with complaints_about(file):
        model = described_mixture(table, components, family, **description)
    with FitProgress(model.max_iter, model.n_init, progress) as callback, complaints_about(file):
        if isinstance(model, BayesianEstimator):
            model.fit(table, sample_weight=weight, callback=callback)
        else:
            of_rows = None if known is None else known.values
            model.fit(table, sample_weight=weight, labels=of_rows, callback=callback)
    classes = None if known is None else known.classes
    if out is not None:
        save(out, model, table.categories, classes)
    print(model.summary() + described_categories(table.categories, classes))
    tell_missing(table)
    if save_figure is not None:
        save_figure(plots.fit_figure(model, table.data))


def fit_hmm(
    file: str,
    components: int,
    family: str,
    columns: list[str] | None,
    labels: str | None,
    weight_by: str | None,
    group_by: str | None,
    out: Path | None,
    plot: Path | None,
    progress: bool | None,
    in_memory: bool | None,
    cluster: str | None,
    order_by: str | None,
    **description: Any,
) -> None:
    """Fit a hidden Markov model, print its table; perhaps save it, perhaps draw it."""
    _check_order_by(order_by, group_by, cluster)
    check_folder(out)
    save_figure = None if plot is None else figure_saver(plot)
    if cluster is not None or is_large(file, in_memory):
        large = LargeFile(file, columns, labels, weight_by, group_by, order_by)
        make = partial(described_hmm, components=components, family=family, **description)
        _fit_large(large, make, family == "mixed", out, save_figure, cluster, progress)
        return
    table = read_rows(file, columns, labels, family in OF_TEXTS, group_by, weight_by)
    weight = read_weights(file, weight_by)
    known = None if labels is None else read_labels(file, labels, components)
    rows = gathered(file, table, group_by)
    with complaints_about(file):
        model = described_hmm(table, components, family, **description)
    beside = {
        "labels": None if known is None else known.values[rows.order],
        "sample_weight": None if weight is None else weight[rows.order],
    }
    with (
        FitProgress(model.max_iter, model.n_init, progress) as callback,
        complaints_about(file, rows, weight_by),
    ):
        model.fit(rows.table, lengths=rows.lengths, callback=callback, **beside)
    classes = None if known is None else known.classes
    if out is not None:
        save(out, model, table.categories, classes, group_by)
    print(model.summary() + described_categories(table.categories, classes, "states"))
    tell_missing(table)
    if save_figure is not None:
        save_figure(plots.fit_figure(model, rows.table.data, lengths=rows.lengths))


def select(
    file: str,
    components: list[int],
    families: list[str],
    criterion: Criterion,
    covariance: CovarianceType,
    column_families: ColumnFamilies,
    columns: list[str] | None,
    weight_by: str | None,
    out: Path | None,
    plot: Path | None,
    progress: bool | None,
    **settings: Any,
) -> None:
    """Fit mixtures over a grid, print the table; perhaps save the best, perhaps draw the criterion."""
    check_folder(out)
    save_figure = None if plot is None else figure_saver(plot)
    table = read_rows(file, columns, None, set(families) <= OF_TEXTS, weight_by=weight_by)
    weight = read_weights(file, weight_by)
    grid: list[Any] = list(families)
    if "mixed" in families:
        with complaints_about(file):
            product = product_family(table, covariance, column_families)
        grid[grid.index("mixed")] = product
    with SelectProgress(progress) as report, complaints_about(file):
        found = select_over_grid(
            table, components, grid, criterion=criterion, sample_weight=weight, progress=report,
            **settings,
        )  # fmt: skip
    found = _with_short_names(found, families, len(components))
    if out is not None:
        save(out, found.best, table.categories, None)
    print(str(found) + described_categories(table.categories, None))
    tell_missing(table)
    if save_figure is not None:
        save_figure(plots.criteria(found).figure)


# -- inside ----------------------------------------------------------------------------------------------------------


def _check_order_by(order_by: str | None, group_by: str | None, cluster: str | None) -> None:
    if order_by is not None and (group_by is None or cluster is None):
        raise ValueError("--order-by: only with --cluster, and --group-by of a hidden Markov model")


def _fit_large(
    large: LargeFile,
    make: Callable[[Table], Any],
    is_mixed: bool,
    out: Path | None,
    save_figure: Callable[[Any], None] | None,
    cluster: str | None,
    progress: bool | None,
) -> None:
    """Fit to a file that is read again in each iteration; Ctrl-C leaves the model of the last complete one."""
    if save_figure is not None:
        raise ValueError("--plot: only for files that are read into memory (plot the saved model)")
    large.check()
    with large.complaints():
        model = make(large.first() if is_mixed else Table(np.empty((0, 0)), None))
    try:
        with PartsProgress(progress) as callback, large.complaints():
            if cluster is None:
                large.fit(model, callback)
            else:
                large.fit_on(cluster, model, callback)
    except (KeyboardInterrupt, OSError):
        if out is not None and "converged_" in model.__dict__:
            save(out, model, {}, None, large.group_by)
        raise
    if out is not None:
        save(out, model, {}, None, large.group_by)
    print(model.summary())


def _with_short_names(found: Selection, families: Sequence[str], n_components: int) -> Selection:
    """The selection with the families named as on the command line."""
    table = tuple(
        replace(candidate, family=families[index // n_components])
        for index, candidate in enumerate(found.table)
    )
    return replace(found, table=table)
