"""Options of ``latentcore stream`` and ``latentcore combine``."""

from __future__ import annotations

from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any, get_args

from latentcore.cli import values
from latentcore.cli.hmm_models import described_hmm
from latentcore.cli.learner import Description
from latentcore.cli.model_options import (
    add_bayes,
    add_description,
    add_hmm,
    check_family_options,
    check_hmm_options,
    check_mixture_options,
)
from latentcore.cli.models import described_mixture
from latentcore.cli.records import Format
from latentcore.cli.shared_options import UsageError, add_model_out, add_start_settings
from latentcore.estimators.combining import Align

__all__ = ["add_combine", "add_stream", "stream_options"]

_OF_STREAMS = {
    "path", "files", "out", "format_", "batch_size", "flush_seconds", "snapshot_every", "resume", "on_error",
    "continues", "progress", "group_by", "labels", "weight_by", "step_size", "inertia", "averaging", "components",
}  # fmt: skip
"""All options but those that describe a model."""


def add_stream(one: ArgumentParser) -> None:
    one.add_argument(
        "path", metavar="MODEL", type=Path,
        help="a saved model to go on with, and where it is saved; with -k, if there is none, a new one",
    )  # fmt: skip
    one.add_argument(
        "files", metavar="FILE", nargs="*",
        help="CSV, TSV or NDJSON, perhaps compressed by gzip; without one, or for -, standard input; columns are "
        "picked by name, others are passed over, empty cells are missing entries",
    )  # fmt: skip
    one.add_argument(
        "-o", "--out", type=Path, metavar="MODEL.npz",
        help="save to this file instead; if it exists, it is the one to go on with",
    )  # fmt: skip
    one.add_argument(
        "--format", dest="format_", choices=get_args(Format),
        help="(by the name of the file, or the first line)",
    )  # fmt: skip
    one.add_argument(
        "--batch-size", type=values.count, metavar="N", default=1000,
        help="rows of a batch; with --group-by the fewest whole sequences with as many (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--step-size", type=values.step_size, metavar="ETA",
        help="how many times as much a batch counts as what is known: a number for a model that moves; power:KAPPA or "
        "inverse:ETA0, which decrease, for one that stays; auto, which finds it (that of the model, else power:0.6)",
    )  # fmt: skip
    one.add_argument(
        "--inertia", choices=["model", "running", "forward-only"],
        help="whether what is known is derived from the parameters, or is a running statistic, or for hmm one that is "
        "smoothed across batches (that of the model, else model)",
    )  # fmt: skip
    one.add_argument(
        "--averaging", action="store_true", default=None,
        help="the model is the mean of those after all steps",
    )  # fmt: skip
    one.add_argument(
        "--snapshot-every", type=values.count, metavar="ROWS", default=100_000,
        help="save whenever so many more rows have been learned from, besides at the end (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--resume", action="store_true",
        help="pass over the rows of the files that the saved model has read",
    )  # fmt: skip
    one.add_argument(
        "--flush-seconds", type=values.duration, metavar="S",
        help="learn from what has come through a pipe when it is so old, though the batch is not full",
    )  # fmt: skip
    one.add_argument(
        "--on-error", choices=["stop", "skip"], default="stop",
        help="what a bad row does: end the command, after what came before is saved, or nothing, and is counted "
        "(%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--continues", action="store_true",
        help="hmm: all rows are one sequence that goes on, also if the model was fitted by --group-by",
    )  # fmt: skip
    add_description(one, required=False)
    add_hmm(one)
    add_bayes(one)
    add_start_settings(one)


def add_combine(one: ArgumentParser) -> None:
    one.add_argument("paths", metavar="MODEL", nargs="+", help="saved models of one kind and size")
    add_model_out(one)
    one.add_argument(
        "--weights", type=values.weights, metavar="A,B,...",
        help="of the models (how many rows each has learned from)",
    )  # fmt: skip
    one.add_argument(
        "--align", choices=get_args(Align), default="auto",
        help="how components are matched: with their weights or transitions, without them, or not (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--lengths", type=values.counts, metavar="N,...",
        help="hmm: of sequences over which states are weighed (an endless one)",
    )  # fmt: skip


def stream_options(options: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``stream``: those of the stream, and a description of a new model if there is to be one.

    Raises
    ------
    UsageError
        Some do not go together, or describe a model that is not to be made.
    """
    own = {name: value for name, value in options.items() if name in _OF_STREAMS}
    about = {name: value for name, value in options.items() if name not in _OF_STREAMS}
    online = {name: own.pop(name) for name in ("step_size", "inertia", "averaging")}
    own["online"] = {name: value for name, value in online.items() if value is not None}
    if own["continues"] and own["group_by"] is not None:
        raise UsageError("--continues: not with --group-by")
    n_components = own.pop("components")
    if n_components is None:
        for name, value in about.items():
            if value != defaults[name]:
                raise UsageError(f"--{name.replace('_', '-')}: only with -k, for a new model")
        return {**own, "description": None}
    return {**own, "description": _description(n_components, about, own)}


def _description(n_components: int, about: dict[str, Any], own: dict[str, Any]) -> Description:
    is_hmm = about.pop("model") == "hmm"
    if own["continues"] and not is_hmm:
        raise UsageError("--continues: only with --model hmm")
    checked = {
        **about, "components": n_components, "batch_size": None,
        "labels": own["labels"], "group_by": own["group_by"],
    }  # fmt: skip
    (check_hmm_options if is_hmm else check_mixture_options)(checked)
    check_family_options(checked)
    for name in ("labels", "group_by", "batch_size"):
        checked.pop(name, None)
    columns = checked.pop("columns")
    make: Any = described_hmm if is_hmm else described_mixture
    return Description(partial(make, **checked), columns, checked["family"])
