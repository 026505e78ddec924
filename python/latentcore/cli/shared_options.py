"""Options that several commands of ``latentcore`` have."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from pathlib import Path
from typing import get_args

from latentcore.cli import values
from latentcore.cli.tables import BUNDLED
from latentcore.estimators.starts import InitParams
from latentcore.families.gaussian import CovarianceType

__all__ = [
    "UsageError",
    "add_column_options",
    "add_covariance",
    "add_file",
    "add_group_by",
    "add_model",
    "add_model_and_file",
    "add_model_out",
    "add_picture",
    "add_progress",
    "add_settings",
    "add_start_settings",
    "add_table_out",
    "add_weight_by",
]


class UsageError(Exception):
    """The arguments make no command."""


def add_file(one: ArgumentParser) -> None:
    one.add_argument(
        "file", metavar="FILE",
        help=f".csv, .tsv, .parquet or .npy, or a bundled data set: {', '.join(BUNDLED)}; "
        "empty cells are missing entries",
    )  # fmt: skip


def add_model(one: ArgumentParser) -> None:
    one.add_argument("model", metavar="MODEL", help="what `fit`, `stream` or `combine` saved")


def add_group_by(one: ArgumentParser, prefix: str = "") -> None:
    one.add_argument(
        "--group-by", metavar="COLUMN",
        help=f"{prefix}rows with the same value in this column are a sequence, in their order"
        + (" (all rows are one)" if prefix else " (that of the fit)"),
    )  # fmt: skip


def add_weight_by(one: ArgumentParser) -> None:
    one.add_argument(
        "--weight-by", metavar="COLUMN",
        help="a column of weights >= 0: how many times a row counts; hmm: how many times its whole sequence does, so "
        "that all its rows have the same (once)",
    )  # fmt: skip


def add_model_and_file(one: ArgumentParser) -> None:
    add_model(one)
    one.add_argument(
        "file", metavar="FILE", help="rows as for fit; the model's columns are picked by name"
    )


def add_covariance(one: ArgumentParser) -> None:
    one.add_argument(
        "--covariance", choices=get_args(CovarianceType),
        help="the shape of Gaussian components (full)",
    )  # fmt: skip


def add_column_options(one: ArgumentParser) -> None:
    one.add_argument(
        "--columns", type=values.column_names, metavar="A,B,...", help="use these columns only"
    )
    one.add_argument(
        "--column-families", type=values.column_families, metavar="FAMILY:A,B;...", default={},
        help='for the family mixed, as "gaussian:height,weight;categorical:colour;poisson:visits"; '
        "what is not listed is guessed, and said",
    )  # fmt: skip


def add_model_out(one: ArgumentParser, *names: str) -> None:
    one.add_argument(
        "-o", "--out", *names, type=Path, metavar="MODEL.npz",
        help="save the model to this file",
    )  # fmt: skip


def add_picture(one: ArgumentParser, what: str, name: str) -> None:
    one.add_argument(
        "--plot", type=Path, metavar=name, help=f"draw {what} to this file (.png, .pdf, .svg)"
    )


def add_table_out(one: ArgumentParser) -> None:
    one.add_argument(
        "-o", "--out", type=Path, metavar="OUT.csv",
        help="write to this .csv, .tsv, .parquet or .npy file instead of the terminal",
    )  # fmt: skip


def add_settings(one: ArgumentParser) -> None:
    """Options that go to the estimators as they are."""
    add_start_settings(one)
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


def add_start_settings(one: ArgumentParser) -> None:
    """Those that say nothing of iterations."""
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
        "--init", dest="init_params", choices=get_args(InitParams), default="kmeans",
        help="how a start is made (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--threads", dest="n_threads", type=values.count, metavar="N",
        help="most threads to use (those that help)",
    )  # fmt: skip
    add_progress(one)


def add_progress(one: ArgumentParser) -> None:
    one.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, default=None,
        help="show the course of a long run (only on a terminal)",
    )  # fmt: skip
