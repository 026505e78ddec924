"""The text table of a fitted Gaussian mixture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["components_table", "figures_table", "standard_deviations"]

_MOST_FEATURES = 8
_MOST_COMPONENTS = 50


def standard_deviations(
    covariances: npt.NDArray[Any], covariance_type: str, n_components: int, n_features: int
) -> npt.NDArray[Any]:
    """(K, D) standard deviations by component and feature."""
    if covariance_type == "spherical":
        variances = np.repeat(covariances[:, None], n_features, axis=1)
    elif covariance_type == "diag":
        variances = covariances
    else:
        variances = covariances.diagonal(axis1=-2, axis2=-1)
    return np.broadcast_to(np.sqrt(variances), (n_components, n_features))


def figures_table(figures: Sequence[tuple[str, float | int]]) -> list[str]:
    """Lines of names and right-aligned numbers."""
    texts = [
        (name, f"{value:d}" if isinstance(value, int) else f"{value:.3f}")
        for name, value in figures
    ]
    left = max(len(name) for name, _ in texts)
    right = max(len(text) for _, text in texts)
    return [f"{name:<{left}}  {text:>{right}}" for name, text in texts]


def components_table(
    weights: npt.NDArray[Any],
    means: npt.NDArray[Any],
    deviations: npt.NDArray[Any],
    names: Sequence[str],
) -> list[str]:
    """Lines with weight, means and deviations of each component; the first few features of many."""
    shown = min(len(names), _MOST_FEATURES)
    labels = [name if len(name) <= 20 else f"{name[:19]}…" for name in names[:shown]]
    rows = [["component", "weight", "", *labels]]
    for k in range(min(len(weights), _MOST_COMPONENTS)):
        rows.append([str(k), f"{weights[k]:.4f}", "mean", *(f"{v:.6g}" for v in means[k, :shown])])
        rows.append(["", "", "sd", *(f"{v:.6g}" for v in deviations[k, :shown])])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    ]
    if shown < len(names):
        lines.append(f"... and {len(names) - shown} more features")
    if len(weights) > _MOST_COMPONENTS:
        lines.append(f"... and {len(weights) - _MOST_COMPONENTS} more components")
    return lines
