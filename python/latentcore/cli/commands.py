"""The commands of ``latentcore``, and the options they take."""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, get_args

import numpy as np
import numpy.typing as npt

import latentcore
from latentcore import GaussianMixture
from latentcore.cli.progress import FitProgress
from latentcore.cli.tables import (
    BUNDLED,
    Table,
    output_format,
    read_columns,
    read_table,
    write_table,
)
from latentcore.families.gaussian import CovarianceType

__all__ = ["UsageError", "fit", "info", "parser", "predict", "sample", "score"]


_INITS = ("kmeans", "k-means++", "random", "random_from_data")


class UsageError(Exception):
    """The arguments make no command."""


# -- commands --------------------------------------------------------------------------------------------------------


def fit(
    file: str,
    components: int,
    covariance: CovarianceType,
    columns: list[str] | None,
    out: Path | None,
    plot: Path | None,
    progress: bool | None,
    **settings: Any,
) -> None:
    """Fit a mixture, print its table; perhaps save it, perhaps draw it."""
    if out is not None and not out.parent.is_dir():
        raise ValueError(f"{out}: there is no folder {out.parent}")
    save_plot = None if plot is None else _plotter(plot)
    table = read_table(file, columns)
    model = GaussianMixture(components, covariance_type=covariance, **settings)
    with FitProgress(model.max_iter, model.n_init, progress) as callback:
        model.fit(table, callback=callback)
    print(model.summary())
    if out is not None:
        model.save(out)
        print(f"model saved to {out}", file=sys.stderr)
    if save_plot is not None:
        save_plot(model, table)
        print(f"picture saved to {plot}", file=sys.stderr)


def predict(model: str, file: str, proba: bool, out: Path | None) -> None:
    """Write the most probable component of each row, or the probabilities of all."""
    if out is not None:
        output_format(out)
    mixture = _load(model)
    table = _table_for(mixture, file)
    if proba:
        probabilities = mixture.predict_proba(table)
        write_table(out, probabilities, [f"p{k}" for k in range(probabilities.shape[1])])
    else:
        write_table(out, mixture.predict(table)[:, None], ["component"])


def score(model: str, file: str) -> None:
    """Print how probable the rows of a file are under a model."""
    mixture = _load(model)
    table = _table_for(mixture, file)
    total = mixture.loglik(table)
    print(f"rows            {len(table.data)}")
    print(f"log-likelihood  {total:.6f}")
    print(f"per row         {total / len(table.data):.6f}")


def sample(model: str, rows: int, seed: int | None, out: Path | None) -> None:
    """Write rows drawn from a model."""
    if out is not None:
        output_format(out)
    mixture = _load(model)
    mixture.set_params(random_state=seed)
    data, _ = mixture.sample(rows)
    names = _feature_names(mixture) or [f"x{j}" for j in range(data.shape[1])]
    write_table(out, data, names)


def info(model: str) -> None:
    """Print the table of a saved model."""
    print(_load(model).summary())


# -- models and their data -------------------------------------------------------------------------------------------


def _load(path: str) -> GaussianMixture:
    model = latentcore.load(path)
    if not isinstance(model, GaussianMixture):
        raise ValueError(f"{path}: expected a mixture, got {type(model).__name__}")
    return model


def _feature_names(model: GaussianMixture) -> list[str] | None:
    names: npt.NDArray[Any] | None = getattr(model, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _table_for(model: GaussianMixture, file: str) -> Table:
    """The model's columns, by name where both have names, else all by position."""
    wanted, found = _feature_names(model), read_columns(file)
    if wanted is not None and found is not None:
        return read_table(file, wanted)
    data = read_table(file).data
    if data.shape[1] != model.n_features_in_:
        raise ValueError(
            f"{file}: expected {model.n_features_in_} columns, those of the model, got {data.shape[1]}"
        )
    return Table(data, wanted)


def _plotter(path: Path) -> Callable[[GaussianMixture, Table], None]:
    """What saves the picture; complaints come before the work."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        from latentcore import plots
    except ImportError:
        raise ValueError(
            "--plot needs matplotlib; install it with: pip install 'latentcore[plot]'"
        ) from None
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}")
    formats = sorted(FigureCanvasAgg.get_supported_filetypes())
    if path.suffix.lower().removeprefix(".") not in formats:
        raise ValueError(f"{path}: expected a name ending in one of {', '.join(formats)}")

    def save(model: GaussianMixture, table: Table) -> None:
        plots.fit_figure(model, table.data).savefig(path, dpi=150)

    return save


# -- options ---------------------------------------------------------------------------------------------------------


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def parser() -> ArgumentParser:
    """The options of every command; parsing them gives a ``command`` and its arguments."""
    root = _Parser(prog="latentcore", description="Fit and use Gaussian mixtures.")
    root.add_argument("--version", action="version", version=latentcore.__version__)
    commands = root.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    def add(command: Callable[..., None], help_: str) -> ArgumentParser:
        added = commands.add_parser(
            command.__name__, help=help_, description=f"{help_[0].upper()}{help_[1:]}."
        )
        added.set_defaults(command=command)
        return added

    _add_fit(add(fit, "fit a mixture to a file of numbers and print its table"))

    one = add(predict, "write the component of each row of a file")
    _add_model_and_file(one)
    one.add_argument("--proba", action="store_true", help="the probabilities of all components")
    _add_table_out(one)

    one = add(score, "print the log-likelihood of a file under a model")
    _add_model_and_file(one)

    one = add(sample, "write rows drawn from a model")
    one.add_argument("model", metavar="MODEL", help="what `fit --out` saved")
    one.add_argument(
        "-n", "--rows", type=_count, metavar="N", default=100, help="how many (%(default)s)"
    )
    one.add_argument("--seed", type=_seed, metavar="S", help="for the same rows again")
    _add_table_out(one)

    one = add(info, "print the table of a saved model")
    one.add_argument("model", metavar="MODEL", help="what `fit --out` saved")
    return root


def _add_fit(one: ArgumentParser) -> None:
    one.add_argument(
        "file",
        metavar="FILE",
        help=f".csv, .tsv, .parquet or .npy, or a bundled data set: {', '.join(BUNDLED)}",
    )
    one.add_argument(
        "-k",
        "--components",
        type=_count,
        metavar="K",
        required=True,
        help="the number of components",
    )
    one.add_argument(
        "--covariance",
        choices=get_args(CovarianceType),
        default="full",
        help="the shape of the components (%(default)s)",
    )
    one.add_argument("--columns", type=_names, metavar="A,B,...", help="use these columns only")
    one.add_argument(
        "-o", "--out", type=Path, metavar="MODEL.npz", help="save the fitted model to this file"
    )
    one.add_argument(
        "--plot", type=Path, metavar="FIT.png", help="draw the fit to this file (.png, .pdf, .svg)"
    )
    one.add_argument(
        "--seed", dest="random_state", type=_seed, metavar="S", help="for the same fit again"
    )
    one.add_argument(
        "--n-init",
        type=_count,
        metavar="N",
        default=1,
        help="starts, the best is kept (%(default)s)",
    )
    one.add_argument(
        "--max-iter",
        type=_count,
        metavar="N",
        default=100,
        help="most iterations of a start (%(default)s)",
    )
    one.add_argument(
        "--tol",
        type=_tolerance,
        metavar="T",
        default=1e-3,
        help="stop when the mean log-likelihood changes by less (%(default)s nats)",
    )
    one.add_argument(
        "--init",
        dest="init_params",
        choices=_INITS,
        default="kmeans",
        help="how a start is made (%(default)s)",
    )
    one.add_argument(
        "--threads",
        dest="n_threads",
        type=_count,
        metavar="N",
        help="most threads to use (those that help)",
    )
    one.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show the course of a long fit (only on a terminal)",
    )


def _add_model_and_file(one: ArgumentParser) -> None:
    one.add_argument("model", metavar="MODEL", help="what `fit --out` saved")
    one.add_argument(
        "file", metavar="FILE", help="rows as for fit; the model's columns are picked by name"
    )


def _add_table_out(one: ArgumentParser) -> None:
    one.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="OUT.csv",
        help="write to this .csv, .tsv, .parquet or .npy file instead of the terminal",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer >= 1, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected an integer from 0 to 2**32 - 1, got {text!r}")
    return int(text)


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < np.inf:
        raise argparse.ArgumentTypeError(f"expected a number >= 0, got {text!r}")
    return value


def _names(text: str) -> list[str]:
    names = text.split(",")
    if "" in names:
        raise argparse.ArgumentTypeError(f"expected names with commas between, got {text!r}")
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"expected different names, got {text!r}")
    return names
