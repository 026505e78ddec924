"""The options of the commands of ``latentcore``."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, get_args

import latentcore
from latentcore.cli import commands, saved_commands, values
from latentcore.cli.combine import combine
from latentcore.cli.model_options import (
    add_bayes,
    add_description,
    add_hmm,
    check_family_options,
    check_hmm_options,
    check_mixture_options,
)
from latentcore.cli.online_options import add_combine, add_stream, stream_options
from latentcore.cli.pictures import HMMPlotKind, PlotKind
from latentcore.cli.shared_options import (
    UsageError,
    add_column_options,
    add_covariance,
    add_file,
    add_group_by,
    add_model,
    add_model_and_file,
    add_model_out,
    add_picture,
    add_settings,
    add_table_out,
    add_weight_by,
)
from latentcore.cli.stream import stream
from latentcore.selection import Criterion

__all__ = ["UsageError", "parse", "parser"]


_PLOT_KINDS = list(dict.fromkeys([*get_args(PlotKind), *get_args(HMMPlotKind)]))
_DEFAULTS: dict[Callable[..., None], dict[str, Any]] = {
    commands.fit: {"tol": 1e-3, "max_iter": 100},
    commands.fit_hmm: {"tol": 1e-5, "max_iter": 200},
    commands.select: {"tol": 1e-3, "max_iter": 100},
}


def parse(arguments: Any = None) -> tuple[Callable[..., None], dict[str, Any]]:
    """A command and its arguments.

    Raises
    ------
    UsageError
        The arguments make no command.
    """
    root = parser()
    options = vars(root.parse_args(arguments))
    command: Callable[..., None] = options.pop("command")
    if command is commands.fit:
        if options.pop("model") == "hmm":
            command = commands.fit_hmm
            check_hmm_options(options)
        else:
            check_mixture_options(options)
    if command is stream:
        options = stream_options(options, vars(root.parse_args(["stream", ""])))
    if command in (commands.fit, commands.fit_hmm, commands.select):
        check_family_options(options)
        for name, default in _DEFAULTS[command].items():
            options[name] = default if options[name] is None else options[name]
    return command, options


def parser() -> ArgumentParser:
    """The options of every command."""
    root = _Parser(prog="latentcore", description="Fit and use mixtures and hidden Markov models.")
    root.add_argument("--version", action="version", version=latentcore.__version__)
    added = root.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    def add(command: Callable[..., None], help_: str) -> ArgumentParser:
        one = added.add_parser(
            command.__name__, help=help_, description=f"{help_[0].upper()}{help_[1:]}."
        )
        one.set_defaults(command=command)
        return one

    _add_fit(
        add(commands.fit, "fit a mixture or a hidden Markov model to a file and print its table")
    )
    _add_select(add(commands.select, "fit many mixtures and print which is the best"))

    add_stream(
        add(stream, "learn from rows as they come, from a pipe or files, and save the model")
    )

    add_combine(add(combine, "make one model of several that were fitted apart"))

    one = add(saved_commands.predict, "write the component or state of each row of a file")
    add_model_and_file(one)
    one.add_argument("--proba", action="store_true", help="the probabilities of all instead")
    add_group_by(one)
    add_table_out(one)

    _add_decode(add(saved_commands.decode, "write a file with the hidden states of its rows"))
    _add_forecast(add(saved_commands.forecast, "write what comes after the rows of a file"))

    one = add(saved_commands.score, "print the log-likelihood of a file under a model")
    add_model_and_file(one)
    add_group_by(one)
    add_weight_by(one)

    one = add(saved_commands.impute, "write the rows of a file with missing entries filled in")
    add_model_and_file(one)
    add_group_by(one)
    add_table_out(one)

    one = add(saved_commands.sample, "write rows drawn from a model")
    add_model(one)
    one.add_argument(
        "-n", "--rows", type=values.count, metavar="N", default=100, help="how many (%(default)s)"
    )
    one.add_argument("--seed", type=values.seed, metavar="S", help="for the same rows again")
    add_table_out(one)

    add_model(add(saved_commands.info, "print the table of a saved model"))
    _add_plot(add(saved_commands.plot, "draw a saved model over the rows of a file"))
    return root


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


# -- options of one command ------------------------------------------------------------------------------------------


def _add_fit(one: ArgumentParser) -> None:
    add_file(one)
    add_description(one, required=True)
    add_model_out(one)
    add_picture(one, "the fit", "FIT.png")
    add_hmm(one)
    add_bayes(one)
    _add_large(one)
    one.add_argument(
        "--batch-size", type=values.count, metavar="N",
        help="with --bayes: steps on batches of N rows; --max-iter then counts passes over all rows",
    )  # fmt: skip
    add_settings(one)


def _add_large(one: ArgumentParser) -> None:
    where = one.add_mutually_exclusive_group()
    where.add_argument(
        "--in-memory", action="store_true", default=None,
        help="read the file into memory, however large it is",
    )  # fmt: skip
    where.add_argument(
        "--out-of-core", dest="in_memory", action="store_false", default=None,
        help="read the file again in each iteration: Parquet, Arrow or .npy, or a folder of Parquet files (from 1 GiB "
        "of numbers on, and for folders)",
    )  # fmt: skip
    where.add_argument(
        "--cluster", type=values.cluster, metavar="ADDRESS",
        help="fit on a cluster, whose workers read the Parquet file or folder: of Dask, tcp://host:8786, or local:N "
        "for N processes on this machine; or of Spark, what it calls a master: spark://host:7077, yarn, local[N]",
    )  # fmt: skip
    one.add_argument(
        "--order-by", metavar="COLUMN",
        help="hmm, with --cluster: bring the rows of each group of --group-by together, in the order of this column",
    )  # fmt: skip


def _add_decode(one: ArgumentParser) -> None:
    add_model_and_file(one)
    one.add_argument(
        "--algorithm", choices=["viterbi", "posterior", "filter"], default="viterbi",
        help="states of the most probable path, or of each row the most probable one given its whole sequence, or "
        "given the rows up to it (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--posterior", action="store_true",
        help="also the probabilities of all states: given the sequence, or with filter given the rows up to it",
    )  # fmt: skip
    add_group_by(one)
    add_table_out(one)


def _add_forecast(one: ArgumentParser) -> None:
    add_model_and_file(one)
    one.add_argument(
        "--steps", type=values.count, metavar="N", required=True, help="how many rows ahead"
    )
    one.add_argument(
        "--quantiles", type=values.levels, metavar="P,Q,...", default="0.05,0.5,0.95",
        help="of the values of each column (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--draws", type=values.count, metavar="N", default=10_000,
        help="from which quantiles are found (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--seed", type=values.seed, metavar="S", default=0, help="of these (%(default)s)"
    )
    add_group_by(one)
    add_table_out(one)
    add_picture(one, "the forecast", "FORECAST.png")


def _add_select(one: ArgumentParser) -> None:
    add_file(one)
    one.add_argument(
        "-k", "--components", type=values.counts, metavar="FIRST:LAST", default="1:9",
        help="numbers of components, as 1:9 or 2,4,8 (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--families", type=values.family_names, metavar="A,B,...", default="full,tied,diag,spherical",
        help=f"any of {', '.join(values.SELECTABLE)} (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--criterion", choices=get_args(Criterion), default="bic",
        help="what is to be least (%(default)s)",
    )  # fmt: skip
    add_covariance(one)
    add_column_options(one)
    add_weight_by(one)
    add_model_out(one, "--save")
    add_picture(one, "the criterion", "CRITERIA.png")
    add_settings(one)


def _add_plot(one: ArgumentParser) -> None:
    add_model(one)
    one.add_argument(
        "file", metavar="FILE", nargs="?",
        help="rows as for fit; not needed for the objective, the elbo, the weights and transitions",
    )  # fmt: skip
    one.add_argument("--kind", choices=_PLOT_KINDS, default="fit", help="(%(default)s)")
    one.add_argument(
        "--columns", type=values.column_names, metavar="A,B",
        help="the columns across and up, or the one over time",
    )  # fmt: skip
    add_group_by(one)
    one.add_argument(
        "-o", "--out", type=Path, metavar="PICTURE.png", required=True,
        help="draw to this file (.png, .pdf, .svg)",
    )  # fmt: skip
