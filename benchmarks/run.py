"""Speed and memory of latentcore beside scikit-learn, hmmlearn and others, measured in the same run."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning

from hmm import CHAINS
from latentcore import kernels
from parts import PARTS, Plan, Row
from shapes import SHAPES, DType
from timing import FULL, QUICK


def main() -> None:
    arguments = _arguments()
    warnings.simplefilter("ignore", ConvergenceWarning)  # fits of few iterations, as is meant
    logging.getLogger("hmmlearn").setLevel(logging.ERROR)
    chosen = arguments.only or []
    shapes = [shape for shape in SHAPES if shape.name in chosen]
    shapes = shapes or list(SHAPES)
    chains = [chains for chains in CHAINS if chains.name in chosen] or list(CHAINS)
    dtypes: list[DType] = ["float64", "float32"] if arguments.float32 else ["float64"]
    if arguments.quick:
        shapes, chains = [one.shrunk() for one in shapes], [one.shrunk() for one in chains]
    plan = Plan(shapes, chains, dtypes, QUICK if arguments.quick else FULL)
    machine = _machine()
    for name, value in machine.items():
        print(f"{name}: {value}")
    tables: dict[str, list[Row]] = {}
    for name in [name for name in PARTS if name in chosen] or PARTS:
        print(f"\n{name}: {PARTS[name].__doc__}\n")
        tables[name] = []
        for row in PARTS[name](plan):
            if not tables[name]:
                _print_heading(row)
            _print_row(row)
            tables[name].append(row)
    if arguments.json is not None:
        result = {"machine": machine, "quick": arguments.quick, "tables": tables}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small data: seconds, not minutes")
    parser.add_argument("--float32", action="store_true", help="float32 data after float64")
    names = [*PARTS, *(shape.name for shape in (*SHAPES, *CHAINS))]
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=names,
        help=f"parts and shapes, of: {', '.join(names)}",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables there too")
    return parser.parse_args()


def _machine() -> dict[str, str]:
    """What the figures depend on."""
    packages = ["latentcore", "scikit-learn", "scipy", "numpy"]
    for name in ("hmmlearn", "dynamax", "jax", "pomegranate", "torch"):
        if find_spec(name) is not None:
            packages.append(name)
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f} (figures need an idle machine)",
        "instruction set": kernels.isa(),
        "versions": ", ".join(f"{name} {version(name)}" for name in packages),
        "Python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


# -- tables, line by line, as the figures come ----------------------------------------------------


def _print_heading(row: Row) -> None:
    widths = _widths(row)
    _print_cells(list(row), widths)
    _print_cells(["-" * width for width in widths], widths)


def _print_row(row: Row) -> None:
    _print_cells([_text(value) for value in row.values()], _widths(row))


def _print_cells(cells: Sequence[str], widths: Sequence[int]) -> None:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    print(f"| {' | '.join(padded)} |", flush=True)


def _widths(row: Row) -> list[int]:
    return [max(25 if heading == "shape" else 8, len(heading)) for heading in row]


def _text(value: str | float) -> str:
    """Three or four digits; a difference of times that is not positive is noise."""
    if isinstance(value, str):
        return value
    if value <= 0:
        return "noise"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    main()
