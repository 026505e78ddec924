"""The options of the commands of ``latentcore``."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, get_args

import latentcore
from latentcore.cli import commands, saved_commands, values
from latentcore.cli.hmm_models import topology
from latentcore.cli.models import BAYESIAN_FAMILIES, FAMILIES, WEIGHT_PRIORS
from latentcore.cli.pictures import HMMPlotKind, PlotKind
from latentcore.cli.tables import BUNDLED
from latentcore.estimators.starts import InitParams
from latentcore.families.gaussian import CovarianceType
from latentcore.selection import Criterion
from latentcore.structures.topology import Start

__all__ = ["UsageError", "parse", "parser"]


_PLOT_KINDS = list(dict.fromkeys([*get_args(PlotKind), *get_args(HMMPlotKind)]))
_DEFAULTS: dict[Callable[..., None], dict[str, Any]] = {
    commands.fit: {"tol": 1e-3, "max_iter": 100},
    commands.fit_hmm: {"tol": 1e-5, "max_iter": 200},
    commands.select: {"tol": 1e-3, "max_iter": 100},
}


class UsageError(Exception):
    """The arguments make no command."""


def parse(arguments: Any = None) -> tuple[Callable[..., None], dict[str, Any]]:
    """A command and its arguments.

    Raises
    ------
    UsageError
        The arguments make no command.
    """
    options = vars(parser().parse_args(arguments))
    command: Callable[..., None] = options.pop("command")
    if command is commands.fit:
        if options.pop("model") == "hmm":
            command = commands.fit_hmm
            _check_hmm_options(options)
        else:
            _check_mixture_options(options)
    if command in (commands.fit, commands.fit_hmm, commands.select):
        _check_family_options(options)
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

    one = add(saved_commands.predict, "write the component or state of each row of a file")
    _add_model_and_file(one)
    one.add_argument("--proba", action="store_true", help="the probabilities of all instead")
    _add_group_by(one)
    _add_table_out(one)

    _add_decode(add(saved_commands.decode, "write a file with the hidden states of its rows"))
    _add_forecast(add(saved_commands.forecast, "write what comes after the rows of a file"))

    one = add(saved_commands.score, "print the log-likelihood of a file under a model")
    _add_model_and_file(one)
    _add_group_by(one)

    one = add(saved_commands.impute, "write the rows of a file with missing entries filled in")
    _add_model_and_file(one)
    _add_group_by(one)
    _add_table_out(one)

    one = add(saved_commands.sample, "write rows drawn from a model")
    _add_model(one)
    one.add_argument(
        "-n", "--rows", type=values.count, metavar="N", default=100, help="how many (%(default)s)"
    )
    one.add_argument("--seed", type=values.seed, metavar="S", help="for the same rows again")
    _add_table_out(one)

    _add_model(add(saved_commands.info, "print the table of a saved model"))
    _add_plot(add(saved_commands.plot, "draw a saved model over the rows of a file"))
    return root


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


# -- options of one command ------------------------------------------------------------------------------------------


def _add_fit(one: ArgumentParser) -> None:
    _add_file(one)
    one.add_argument(
        "-k", "--components", "--states", type=values.count, metavar="K", required=True,
        help="the number of components, or of states",
    )  # fmt: skip
    one.add_argument(
        "--model", choices=["mixture", "hmm"], default="mixture",
        help="rows that stand alone, or sequences of them: a hidden Markov model (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--family", choices=FAMILIES, default="gaussian",
        help="the distribution of a row in a component or state: %(choices)s (%(default)s)", metavar="FAMILY",
    )  # fmt: skip
    _add_covariance(one)
    _add_column_options(one)
    one.add_argument(
        "--labels", metavar="COLUMN",
        help="a column of known components or states, from 0, or names of classes; empty where unknown",
    )  # fmt: skip
    _add_model_out(one)
    _add_picture(one, "the fit", "FIT.png")
    _add_hmm(one)
    _add_bayes(one)
    _add_settings(one)


def _add_hmm(one: ArgumentParser) -> None:
    _add_group_by(one, "hmm: ")
    one.add_argument(
        "--topology", type=values.topology, metavar="KIND", default=None,
        help="hmm: which state may follow which: ergodic, left-to-right, banded or cyclic, with :N for steps of at "
        "most N (ergodic)",
    )  # fmt: skip
    one.add_argument(
        "--start", choices=get_args(Start),
        help="hmm: whether the law of first states is estimated, uniform, or stationary (free)",
    )  # fmt: skip
    one.add_argument(
        "--mixtures", type=values.count, metavar="M",
        help="hmm: a mixture of M Gaussians in each state",
    )  # fmt: skip


def _add_decode(one: ArgumentParser) -> None:
    _add_model_and_file(one)
    one.add_argument(
        "--algorithm", choices=["viterbi", "posterior", "filter"], default="viterbi",
        help="states of the most probable path, or of each row the most probable one given its whole sequence, or "
        "given the rows up to it (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--posterior", action="store_true",
        help="also the probabilities of all states: given the sequence, or with filter given the rows up to it",
    )  # fmt: skip
    _add_group_by(one)
    _add_table_out(one)


def _add_forecast(one: ArgumentParser) -> None:
    _add_model_and_file(one)
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
    _add_group_by(one)
    _add_table_out(one)
    _add_picture(one, "the forecast", "FORECAST.png")


def _add_bayes(one: ArgumentParser) -> None:
    one.add_argument(
        "--bayes", action="store_true",
        help="fit a posterior by variational inference; K is then the most components, and --tol is "
        "on the bound of all rows together",
    )  # fmt: skip
    one.add_argument(
        "--weight-prior", choices=[*WEIGHT_PRIORS],
        help="with --bayes: a Dirichlet process, a Dirichlet distribution, or equal weights (dp)",
    )  # fmt: skip
    one.add_argument(
        "--concentration", type=values.concentration, metavar="A",
        help="of that prior; a small one leaves more components empty (1 / K)",
    )  # fmt: skip
    one.add_argument(
        "--batch-size", type=values.count, metavar="N",
        help="with --bayes: steps on batches of N rows; --max-iter then counts passes over all rows",
    )  # fmt: skip


def _add_select(one: ArgumentParser) -> None:
    _add_file(one)
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
    _add_covariance(one)
    _add_column_options(one)
    _add_model_out(one, "--save")
    _add_picture(one, "the criterion", "CRITERIA.png")
    _add_settings(one)


def _add_plot(one: ArgumentParser) -> None:
    _add_model(one)
    one.add_argument(
        "file", metavar="FILE", nargs="?",
        help="rows as for fit; not needed for the objective, the elbo, the weights and transitions",
    )  # fmt: skip
    one.add_argument("--kind", choices=_PLOT_KINDS, default="fit", help="(%(default)s)")
    one.add_argument(
        "--columns", type=values.column_names, metavar="A,B",
        help="the columns across and up, or the one over time",
    )  # fmt: skip
    _add_group_by(one)
    one.add_argument(
        "-o", "--out", type=Path, metavar="PICTURE.png", required=True,
        help="draw to this file (.png, .pdf, .svg)",
    )  # fmt: skip


def _check_family_options(options: dict[str, Any]) -> None:
    """Options that only some families have; what was not given gets its default."""
    families = options.get("families") or [options["family"]]
    if options["column_families"] and "mixed" not in families:
        raise UsageError("--column-families: only for the family mixed")
    wants_covariance = {"gaussian", "mixed"} if "family" in options else {"mixed"}
    if options["covariance"] is not None and not wants_covariance & set(families):
        raise UsageError(
            f"--covariance: only for the family {' or '.join(sorted(wants_covariance))}"
        )
    options["covariance"] = options["covariance"] or "full"
    options["assignment"] = "hard" if options.pop("hard") else "soft"


def _check_hmm_options(options: dict[str, Any]) -> None:
    """Options that hidden Markov models do not have; a topology of the right size."""
    for name in ("weight_prior", "batch_size", "equal_weights"):
        if options.pop(name):
            raise UsageError(f"--{name.replace('_', '-')}: not with --model hmm")
    if options["mixtures"] is not None and options["family"] != "gaussian":
        raise UsageError("--mixtures: only for the family gaussian")
    kind, start = options["topology"], options.pop("start")
    if kind is not None and kind[0] == "left-to-right" and start is not None:
        raise UsageError(
            "--start: not with --topology left-to-right, where the first state is first"
        )
    options["topology"] = topology(kind, start, options["components"])
    if not options["bayes"]:
        if options["concentration"] is not None:
            raise UsageError("--concentration: only with --bayes")
        return
    remedies = {
        "hard": "all paths count",
        "prior": "the prior is of --concentration, and weak for the emissions",
        "mixtures": "states are single Gaussians",
    }
    _refuse(options, remedies)
    if start is not None:
        raise UsageError(
            "--start: not with --bayes, where first states have a posterior of their own"
        )
    _check_conjugate(options["family"])


def _check_mixture_options(options: dict[str, Any]) -> None:
    """Options that only hidden Markov models have, and those of Bayesian mixtures."""
    for name in ("group_by", "topology", "start", "mixtures"):
        if options.pop(name) is not None:
            raise UsageError(f"--{name.replace('_', '-')}: only with --model hmm")
    _check_bayes_options(options)


def _check_bayes_options(options: dict[str, Any]) -> None:
    """Options that only Bayesian mixtures have, or that only the others have."""
    if not options["bayes"]:
        for name in ("weight_prior", "concentration", "batch_size"):
            if options[name] is not None:
                raise UsageError(f"--{name.replace('_', '-')}: only with --bayes")
        return
    remedies = {
        "hard": "assignments are soft",
        "labels": "components of rows are not known",
        "prior": "the prior is of --weight-prior and --concentration, and weak for the components",
        "equal_weights": "--weight-prior fixed says so",
    }
    _refuse(options, remedies)
    _check_conjugate(options["family"])
    if options["weight_prior"] == "fixed" and options["concentration"] is not None:
        raise UsageError("--concentration: not with --weight-prior fixed, which has none")


def _refuse(options: dict[str, Any], remedies: dict[str, str]) -> None:
    """Options that Bayesian models do not have, and why."""
    for name, remedy in remedies.items():
        if options[name]:
            raise UsageError(f"--{name.replace('_', '-')}: not with --bayes, where {remedy}")


def _check_conjugate(family: str) -> None:
    if family not in BAYESIAN_FAMILIES:
        expected = ", ".join(BAYESIAN_FAMILIES)
        raise UsageError(
            f"--bayes: expected a family among {expected}, got {family}, which has no conjugate prior"
        )


# -- options of several ----------------------------------------------------------------------------------------------


def _add_file(one: ArgumentParser) -> None:
    one.add_argument(
        "file", metavar="FILE",
        help=f".csv, .tsv, .parquet or .npy, or a bundled data set: {', '.join(BUNDLED)}; "
        "empty cells are missing entries",
    )  # fmt: skip


def _add_model(one: ArgumentParser) -> None:
    one.add_argument("model", metavar="MODEL", help="what `fit --out` saved")


def _add_group_by(one: ArgumentParser, prefix: str = "") -> None:
    one.add_argument(
        "--group-by", metavar="COLUMN",
        help=f"{prefix}rows with the same value in this column are a sequence, in their order"
        + (" (all rows are one)" if prefix else " (that of the fit)"),
    )  # fmt: skip


def _add_model_and_file(one: ArgumentParser) -> None:
    _add_model(one)
    one.add_argument(
        "file", metavar="FILE", help="rows as for fit; the model's columns are picked by name"
    )


def _add_covariance(one: ArgumentParser) -> None:
    one.add_argument(
        "--covariance", choices=get_args(CovarianceType),
        help="the shape of Gaussian components (full)",
    )  # fmt: skip


def _add_column_options(one: ArgumentParser) -> None:
    one.add_argument(
        "--columns", type=values.column_names, metavar="A,B,...", help="use these columns only"
    )
    one.add_argument(
        "--column-families", type=values.column_families, metavar="FAMILY:A,B;...", default={},
        help='for the family mixed, as "gaussian:height,weight;categorical:colour;poisson:visits"; '
        "what is not listed is guessed, and said",
    )  # fmt: skip


def _add_model_out(one: ArgumentParser, *names: str) -> None:
    one.add_argument(
        "-o", "--out", *names, type=Path, metavar="MODEL.npz",
        help="save the fitted model to this file",
    )  # fmt: skip


def _add_picture(one: ArgumentParser, what: str, name: str) -> None:
    one.add_argument(
        "--plot", type=Path, metavar=name, help=f"draw {what} to this file (.png, .pdf, .svg)"
    )


def _add_table_out(one: ArgumentParser) -> None:
    one.add_argument(
        "-o", "--out", type=Path, metavar="OUT.csv",
        help="write to this .csv, .tsv, .parquet or .npy file instead of the terminal",
    )  # fmt: skip


def _add_settings(one: ArgumentParser) -> None:
    """Options that go to the estimators as they are."""
    one.add_argument(
        "--prior",
        choices=["weak"],
        help="a prior worth about a row, so that no component collapses",
    )
    one.add_argument(
        "--hard", action="store_true", help="give each row to its most probable component only"
    )
    one.add_argument(
        "--equal-weights", action="store_true", help="let all components have the same weight"
    )
    one.add_argument(
        "--seed", dest="random_state", type=values.seed, metavar="S", help="for the same fit again"
    )
    one.add_argument(
        "--n-init", type=values.count, metavar="N", default=1,
        help="starts, the best is kept (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--max-iter", type=values.count, metavar="N",
        help="most iterations of a start (100, hmm: 200)",
    )  # fmt: skip
    one.add_argument(
        "--tol", type=values.tolerance, metavar="T",
        help="stop when the mean objective changes by less (1e-3 nats, hmm: 1e-5)",
    )  # fmt: skip
    one.add_argument(
        "--init", dest="init_params", choices=get_args(InitParams), default="kmeans",
        help="how a start is made (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--threads", dest="n_threads", type=values.count, metavar="N",
        help="most threads to use (those that help)",
    )  # fmt: skip
    one.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, default=None,
        help="show the course of a long fit (only on a terminal)",
    )  # fmt: skip
