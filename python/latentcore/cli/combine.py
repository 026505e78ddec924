"""The command ``latentcore combine``: one model of several that were fitted apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import latentcore
from latentcore.cli.models import SavedModel, described_categories, load, tell_saved, write
from latentcore.cli.pictures import check_folder
from latentcore.estimators.combining import Align, Alignment

__all__ = ["combine"]


def combine(
    paths: list[str],
    out: Path | None,
    weights: list[float] | None,
    align: Align,
    lengths: list[int] | None,
) -> None:
    """Combine saved models, print how their components were matched, and the table of the one."""
    check_folder(out)
    if weights is not None and len(weights) != len(paths):
        raise ValueError(f"--weights: expected {len(paths)}, one for each file, got {len(weights)}")
    saved = [load(path) for path in paths]
    _check_codes(paths, saved)
    models: list[Any] = [one.model for one in saved]
    try:
        model, alignment = latentcore.combine(models, weights, align=align, lengths=lengths)
    except (ValueError, TypeError, ImportError) as error:
        raise ValueError(_with_names(str(error), paths)) from None
    first = saved[0]
    classes = _classes(saved, alignment)
    combined = SavedModel(model, first.categories, classes, first.group_by)
    if out is not None:
        write(out, combined)
        tell_saved(out)
    print(_report(paths, alignment))
    if len(paths) > 1 and align == "auto" and not alignment.exhaustive:
        print("other orders of components may be better: not all could be tried")
    print()
    print(combined.described())


def _check_codes(paths: Sequence[str], saved: Sequence[SavedModel]) -> None:
    """The same codes stand for the same texts."""
    first = saved[0].categories
    for path, one in zip(paths, saved, strict=True):
        if dict(one.categories) != dict(first):
            expected = described_categories(first, None).strip() or "none"
            got = described_categories(one.categories, None).strip() or "none"
            raise ValueError(f"{path}: expected the codes of {paths[0]} ({expected}), got {got}")


def _with_names(message: str, paths: Sequence[str]) -> str:
    """Files by their names, not numbers."""
    return re.sub(r"models\[(\d+)\]", lambda found: paths[int(found[1])], message)


def _classes(saved: Sequence[SavedModel], alignment: Alignment) -> list[str] | None:
    """The names of components, where all models have the same and no component has moved."""
    names = saved[0].classes
    moved = (alignment.permutations != range(alignment.permutations.shape[1])).any()
    return None if moved or any(one.classes != names for one in saved) else names


def _report(paths: Sequence[str], alignment: Alignment) -> str:
    """A line for each model: its weight, which of its components became which, divergence and margin."""
    rows = [["model", "weight", "components", "divergence", "margin", ""]]
    for m, path in enumerate(paths):
        rows.append(
            [
                path,
                f"{alignment.weights[m]:.4f}",
                " ".join(map(str, alignment.permutations[m])),
                f"{alignment.divergences[m]:.4g}",
                f"{alignment.margins[m]:.2f}",
                "ambiguous" if m in alignment.ambiguous else "",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
