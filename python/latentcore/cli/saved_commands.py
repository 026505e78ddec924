"""The commands of ``latentcore`` that use a saved model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from latentcore import plots
from latentcore.cli.cells import decoded
from latentcore.cli.models import AnyHMM, SavedModel, load, read_weights
from latentcore.cli.pictures import figure_of, figure_saver, needs_rows
from latentcore.cli.sequences import Gathered, complaints_about
from latentcore.cli.tables import extend_table, output_format, write_columns, write_table
from latentcore.estimators.bayesian_base import BayesianEstimator
from latentcore.estimators.hmm_answers import Algorithm
from latentcore.estimators.hmm_forecast import Forecast
from latentcore.families.categorical import Categorical

__all__ = ["decode", "forecast", "impute", "info", "plot", "predict", "sample", "score"]


def predict(model: str, file: str, proba: bool, group_by: str | None, out: Path | None) -> None:
    """Write the most probable component or state of each row, or the probabilities of all."""
    if out is not None:
        output_format(out)
    saved = load(model)
    rows = saved.gathered(file, group_by)
    with complaints_about(file, rows):
        answer: Any = saved.model.predict_proba if proba else saved.model.predict
        found = answer(rows.table, **saved.lengths(rows))
    if found.ndim == 1:
        found = found[:, None]
    names = _names_of_states(found) if proba else ["state" if saved.is_hmm else "component"]
    write_table(out, rows.in_file_order(found), names)


def decode(
    model: str,
    file: str,
    algorithm: Algorithm | Literal["filter"],
    posterior: bool,
    group_by: str | None,
    out: Path | None,
) -> None:
    """Write the table with the states of its rows, perhaps with their probabilities."""
    if out is not None:
        output_format(out)
    saved = load(model)
    chain = _chain(model, saved)
    rows = saved.gathered(file, group_by)
    sequences = saved.lengths(rows)
    with complaints_about(file, rows):
        impossible = _warn_of_impossible(chain, rows)
        laws: Any = None
        if algorithm == "filter":
            laws = chain.filter(rows.table, **sequences)
            states, impossible = laws.argmax(axis=1), np.isnan(laws[:, 0])
        else:
            states = chain.decode(rows.table, algorithm=algorithm, **sequences)[1]
            laws = chain.predict_proba(rows.table, **sequences) if posterior else None
    added = {"state": np.where(impossible, -1, states)}
    if posterior:
        added |= dict(zip(_names_of_states(laws), laws.T, strict=True))
    extend_table(file, out, {name: rows.in_file_order(column) for name, column in added.items()})


def forecast(
    model: str,
    file: str,
    steps: int,
    quantiles: list[float],
    draws: int,
    seed: int,
    group_by: str | None,
    out: Path | None,
    plot: Path | None,
) -> None:
    """Write what comes after the last row of each sequence: probabilities of states, means and quantiles."""
    if out is not None:
        output_format(out)
    save_figure = None if plot is None else figure_saver(plot)
    saved = load(model)
    chain = _chain(model, saved)
    rows = saved.gathered(file, group_by)
    if save_figure is not None and len(rows.lengths) > 1:
        raise ValueError(f"--plot: expected one sequence, got {len(rows.lengths)}")
    with complaints_about(file, rows):
        _refuse_impossible(chain, rows)
        laws = [
            chain.forecast(steps, part, quantiles=quantiles, n_samples=draws, random_state=seed)
            for part in rows.parts()
        ]
    columns: list[tuple[str, Any]] = []
    if rows.column is not None:
        columns.append((rows.column, np.repeat(rows.keys, steps).tolist()))
    ahead = [_columns_of_forecast(saved, law, rows.column) for law in laws]
    for name in ahead[0]:
        values = np.concatenate([part[name] for part in ahead])
        texts = saved.categories.get(name)
        columns.append((name, values if texts is None else decoded(values, texts)))
    write_columns(file, out, columns)
    if save_figure is not None:
        drawn = plots.forecast(chain, rows.table, steps, n_samples=draws, random_state=seed)
        save_figure(drawn.figure)


def score(model: str, file: str, group_by: str | None, weight_by: str | None) -> None:
    """Print how probable the rows of a file are under a model."""
    saved = load(model)
    rows = saved.gathered(file, group_by, weight_by)
    weight = read_weights(file, weight_by)
    weight = None if weight is None else weight[rows.order]
    n_rows = len(rows.table.data)
    name = "log-likelihood"
    with complaints_about(file, rows, weight_by):
        if isinstance(saved.model, BayesianEstimator):
            name = "log predictive"
            of_rows = np.asarray(saved.model.predictive_logpdf(rows.table), np.float64)
            total = float(of_rows.sum() if weight is None else (weight * of_rows)[weight > 0].sum())
        else:
            total = saved.model.loglik(rows.table, sample_weight=weight, **saved.lengths(rows))
        if saved.is_hmm:
            _warn_of_impossible(_chain(model, saved), rows)
    print(f"rows            {n_rows}")
    if saved.is_hmm:
        print(f"sequences       {len(rows.lengths)}")
    total_weight = float(n_rows) if weight is None else float(weight.sum())
    if weight is not None:
        print(f"weight          {total_weight:.17g}")
    print(f"{name}  {total:.6f}")
    print(f"per row         {total / total_weight:.6f}")


def impute(model: str, file: str, group_by: str | None, out: Path | None) -> None:
    """Write the rows of a file with conditional means where entries are missing."""
    if out is not None:
        output_format(out)
    saved = load(model)
    if isinstance(saved.model, BayesianEstimator):
        raise ValueError(f"{model}: expected a mixture that was fitted without --bayes")
    rows = saved.gathered(file, group_by)
    with complaints_about(file, rows):
        completed = saved.model.impute(rows.table, **saved.lengths(rows))
    write_table(out, rows.in_file_order(completed), saved.column_names(), rows.table.categories)


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
    model: str,
    file: str | None,
    kind: str,
    columns: list[str] | None,
    group_by: str | None,
    out: Path,
) -> None:
    """Draw a saved model, most kinds of pictures over the rows of a file."""
    save_figure = figure_saver(out)
    saved = load(model)
    rows = None
    if needs_rows(kind):
        if file is None:
            raise ValueError(f"--kind {kind}: expected a FILE of rows to draw, got none")
        rows = saved.gathered(file, group_by)
    with complaints_about(model, rows):
        figure = figure_of(model, saved, rows, kind, columns)
    save_figure(figure)


# -- inside ----------------------------------------------------------------------------------------------------------


def _chain(path: str, saved: SavedModel) -> AnyHMM:
    """The model, if it is a hidden Markov model."""
    model: Any = saved.model
    if not saved.is_hmm:
        raise ValueError(f"{path}: expected a hidden Markov model, got {type(model).__name__}")
    chain: AnyHMM = model
    return chain


def _names_of_states(laws: npt.NDArray[Any]) -> list[str]:
    return [f"p{k}" for k in range(laws.shape[1])]


def _impossible(chain: AnyHMM, rows: Gathered) -> npt.NDArray[np.intp]:
    """Sequences of density 0."""
    return np.flatnonzero(np.isneginf(chain.loglik_by_sequence(rows.table, lengths=rows.lengths)))


def _warn_of_impossible(chain: AnyHMM, rows: Gathered) -> npt.NDArray[np.bool_]:
    """Which rows (N,) are in sequences of density 0; says so of each sequence."""
    impossible = _impossible(chain, rows)
    for sequence in impossible:
        print(
            f"latentcore: warning: {rows.name(sequence)} has density 0: no path of states explains it",
            file=sys.stderr,
        )
    return np.repeat(np.isin(np.arange(len(rows.lengths)), impossible), rows.lengths)


def _refuse_impossible(chain: AnyHMM, rows: Gathered) -> None:
    impossible = _impossible(chain, rows)
    if len(impossible):
        raise ValueError(
            f"expected possible sequences, got density 0 for {rows.name(impossible[0])}"
        )


def _columns_of_forecast(
    saved: SavedModel, law: Forecast, group_by: str | None
) -> dict[str, npt.NDArray[Any]]:
    """By name: steps, probabilities of states, and of each feature mean and quantiles; of codes, which have none, the
    most probable one. Names of ours that the table has already get an underscore."""
    names = saved.column_names()

    def free(name: str) -> str:
        return free(f"{name}_") if name in (*names, group_by) else name

    laws = law.state_probabilities
    columns: dict[str, npt.NDArray[Any]] = {free("step"): np.arange(1, len(laws) + 1)}
    columns |= {
        free(name): column for name, column in zip(_names_of_states(laws), laws.T, strict=True)
    }
    are_codes = isinstance(getattr(saved.model, "family_", None), Categorical)
    for j, name in enumerate(names):
        if law.means is not None:
            columns[name] = law.means[:, j]
        if law.quantiles is not None and not are_codes and name not in saved.categories:
            for level, values in zip(law.levels, law.quantiles, strict=True):
                columns[free(f"{name}_q{100 * level:g}")] = values[:, j]
    return columns
