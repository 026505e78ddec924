"""The text table of a fitted Gaussian mixture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from latentcore import diagnostics
from latentcore.families.gaussian import CovarianceType, GaussianParams
from latentcore.structures.mixture import MixtureParams

__all__ = ["Training", "components_table", "course", "figures_table", "heading"]

_MOST_FEATURES = 8
_MOST_COMPONENTS = 50


class Training(NamedTuple):
    """What is kept of the training data."""

    n_rows: int
    total_weight: float
    log_likelihood: float
    entropy: float


def heading(params: MixtureParams[GaussianParams], type_: CovarianceType) -> str:
    n_components, n_features = params.components.means.shape
    return f"Gaussian mixture: K = {n_components}, D = {n_features}, {type_} covariances"


def course(training: Training, converged: bool, n_iter: int) -> str:
    """One line on the fit."""
    n_rows, weight = training.n_rows, training.total_weight
    weighted = "" if weight == n_rows else f" of total weight {weight:g}"
    outcome = "converged" if converged else "did not converge"
    return f"fitted to {n_rows} rows{weighted}; {outcome}, {n_iter} iterations"


def figures_table(training: Training, n_parameters: int) -> list[str]:
    """Lines with the log-likelihood, degrees of freedom and criteria of the training data."""
    _, weight, log_likelihood, entropy = training
    figures = [
        ("log-likelihood", f"{log_likelihood:.3f}"),
        ("df", f"{n_parameters}"),
        ("AIC", f"{diagnostics.aic(log_likelihood, n_parameters):.3f}"),
        ("BIC", f"{diagnostics.bic(log_likelihood, n_parameters, weight):.3f}"),
        ("ICL", f"{diagnostics.icl(log_likelihood, n_parameters, weight, entropy):.3f}"),
    ]
    width = max(len(text) for _, text in figures)
    return [f"{name:<14}  {text:>{width}}" for name, text in figures]


def components_table(
    params: MixtureParams[GaussianParams], type_: CovarianceType, names: Sequence[str] | None
) -> list[str]:
    """Lines with weight, means and deviations of each component; the first few of many."""
    weights, means = params.weights, params.components.means
    deviations = _standard_deviations(params.components.covariances, type_, means.shape)
    n_components, n_features = means.shape
    if names is None:
        names = [f"x{j}" for j in range(n_features)]
    shown = names[:_MOST_FEATURES]
    rows = [["component", "weight", "", *(n if len(n) <= 20 else f"{n[:19]}…" for n in shown)]]
    for k in range(min(n_components, _MOST_COMPONENTS)):
        rows.append([str(k), f"{weights[k]:.4f}", "mean", *_texts(means[k, : len(shown)])])
        rows.append(["", "", "sd", *_texts(deviations[k, : len(shown)])])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
    if n_features > len(shown):
        lines.append(f"... and {n_features - len(shown)} more features")
    if n_components > _MOST_COMPONENTS:
        lines.append(f"... and {n_components - _MOST_COMPONENTS} more components")
    return lines


def _texts(values: npt.NDArray[Any]) -> list[str]:
    return [f"{value:.6g}" for value in values]


def _standard_deviations(
    covariances: npt.NDArray[Any], type_: CovarianceType, shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    """(K, D) standard deviations by component and feature."""
    if type_ in ("spherical", "tied_spherical"):
        variances = covariances[:, None]
    elif type_ == "diag":
        variances = covariances
    else:
        variances = covariances.diagonal(axis1=-2, axis2=-1)
    return np.broadcast_to(np.sqrt(variances), shape)
