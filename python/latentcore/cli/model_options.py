"""Options that describe a model, of the commands that make one, and what goes together."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, get_args

from latentcore.cli import values
from latentcore.cli.hmm_models import topology
from latentcore.cli.models import BAYESIAN_FAMILIES, FAMILIES, WEIGHT_PRIORS
from latentcore.cli.shared_options import (
    UsageError,
    add_column_options,
    add_covariance,
    add_group_by,
    add_weight_by,
)
from latentcore.structures.topology import Start

__all__ = [
    "add_bayes",
    "add_description",
    "add_hmm",
    "check_family_options",
    "check_hmm_options",
    "check_mixture_options",
]


def add_description(one: ArgumentParser, required: bool) -> None:
    one.add_argument(
        "-k", "--components", "--states", type=values.count, metavar="K", required=required,
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
    add_covariance(one)
    add_column_options(one)
    one.add_argument(
        "--labels", metavar="COLUMN",
        help="a column of known components or states, from 0, or names of classes; empty where unknown",
    )  # fmt: skip
    add_weight_by(one)


def add_hmm(one: ArgumentParser) -> None:
    add_group_by(one, "hmm: ")
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


def add_bayes(one: ArgumentParser) -> None:
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


def check_family_options(options: dict[str, Any]) -> None:
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


def check_hmm_options(options: dict[str, Any]) -> None:
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


def check_mixture_options(options: dict[str, Any]) -> None:
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
