"""What the values of options may be."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import Literal, get_args

from latentcore.cli.models import FAMILIES
from latentcore.estimators.online import Online
from latentcore.families.gaussian import CovarianceType
from latentcore.rules.steps import InverseStep, PowerStep, StepSize

__all__ = [
    "SELECTABLE",
    "TOPOLOGIES",
    "cluster",
    "column_families",
    "column_names",
    "concentration",
    "count",
    "counts",
    "duration",
    "family_names",
    "is_spark",
    "levels",
    "seed",
    "step_size",
    "tolerance",
    "topology",
    "weights",
]

TOPOLOGIES = ("ergodic", "left-to-right", "banded", "cyclic")
SELECTABLE = (*get_args(CovarianceType), *FAMILIES)
"""Families that can be compared, and shapes of Gaussians."""
_SPARK = re.compile(r"(local|local-cluster)(\[.*\])?|yarn|(spark|k8s|mesos)://.+")
_SCHEDULES: dict[str, Callable[..., StepSize]] = {"power": PowerStep, "inverse": InverseStep}


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer >= 1, got {text!r}")
    return int(text)


def counts(text: str) -> list[int]:
    bounds = re.fullmatch(r"(\d+):(\d+)", text)
    if bounds is None:
        return list(dict.fromkeys(map(count, text.split(","))))
    first, last = map(count, bounds.groups())
    if last < first:
        raise argparse.ArgumentTypeError(f"expected FIRST <= LAST, got {text!r}")
    return list(range(first, last + 1))


def seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected an integer from 0 to 2**32 - 1, got {text!r}")
    return int(text)


def tolerance(text: str) -> float:
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number >= 0, got {text!r}")
    return value


def concentration(text: str) -> float:
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number > 0, got {text!r}")
    return value


def step_size(text: str) -> float | StepSize | Literal["auto"]:
    """A number, a schedule that decreases, or what finds it."""
    if text == "auto":
        return "auto"
    kind, colon, rest = text.partition(":")
    if kind not in _SCHEDULES:
        try:
            eta = float(text)
            Online(eta)
            return eta
        except ValueError:
            expected = f"a number >= 0, {', '.join(f'{name}:NUMBER' for name in _SCHEDULES)}, auto"
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from None
    try:
        schedule: StepSize = _SCHEDULES[kind](*(float(part) for part in rest.split(",") if colon))
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    return schedule


def duration(text: str) -> float:
    """In seconds."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds > 0, got {text!r}")
    return value


def weights(text: str) -> list[float]:
    found = [_number(part) for part in text.split(",")]
    if not all(0 < weight < math.inf for weight in found):
        raise argparse.ArgumentTypeError(f"expected numbers > 0 with commas between, got {text!r}")
    return found


def cluster(text: str) -> str:
    """The address of a scheduler of Dask, local:N, or a master of Spark."""
    if is_spark(text):
        return text
    kind, colon, rest = text.partition(":")
    if not colon or not rest or (kind == "local" and not (rest.isdecimal() and int(rest) >= 1)):
        raise argparse.ArgumentTypeError(
            "expected the address of a Dask scheduler, as tcp://host:8786, or local:N, or a master of Spark, as "
            f"spark://host:7077, local[N] or yarn, got {text!r}"
        )
    return text


def is_spark(address: str) -> bool:
    """Whether this is what Spark calls a master."""
    return _SPARK.fullmatch(address) is not None


def levels(text: str) -> list[float]:
    """Of quantiles."""
    found = [_number(part) for part in text.split(",")]
    if not all(0 <= level <= 1 for level in found):
        raise argparse.ArgumentTypeError(f"expected numbers from 0 to 1, got {text!r}")
    return sorted(set(found))


def topology(text: str) -> tuple[str, int | None]:
    """A kind, and the most that a step may be."""
    kind, colon, steps = text.partition(":")
    if kind not in TOPOLOGIES or (kind == "ergodic" and colon):
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(TOPOLOGIES)}, perhaps with :N, got {text!r}"
        )
    return kind, count(steps) if colon else None


def _number(text: str) -> float:
    """NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def column_names(text: str) -> list[str]:
    names = text.split(",")
    if "" in names:
        raise argparse.ArgumentTypeError(f"expected names with commas between, got {text!r}")
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"expected different names, got {text!r}")
    return names


def family_names(text: str) -> list[str]:
    names = [name.removeprefix("gaussian-") for name in column_names(text)]
    for name in names:
        if name not in SELECTABLE:
            expected = ", ".join(SELECTABLE)
            raise argparse.ArgumentTypeError(f"expected some of {expected}, got {name!r}")
    return names


def column_families(text: str) -> dict[str, str]:
    families: dict[str, str] = {}
    for part in filter(None, text.split(";")):
        family, colon, names = part.partition(":")
        family = family.strip()
        if not colon or family not in FAMILIES or family == "mixed":
            expected = ", ".join(name for name in FAMILIES if name != "mixed")
            raise argparse.ArgumentTypeError(
                f"expected FAMILY:COLUMN,... with a family among {expected}, got {part!r}"
            )
        for name in column_names(names):
            if name in families:
                raise argparse.ArgumentTypeError(f"expected each column once, got {name!r} twice")
            families[name] = family
    return families
