"""The text table of a fitted model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from latentcore import diagnostics
from latentcore.estimators.components import arrays_of
from latentcore.estimators.online import Stream
from latentcore.families.categorical import Categorical
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import CovarianceType, Gaussian, GaussianParams
from latentcore.families.gaussian_means import GaussianMeans
from latentcore.families.mixed import MixtureFamily
from latentcore.structures.mixture import MixtureParams

__all__ = [
    "Training",
    "bound_table",
    "chain_table",
    "component_labels",
    "components_table",
    "course",
    "figures_table",
    "heading",
    "state_labels",
    "stream_course",
]

AnyArray = npt.NDArray[Any]

_MOST_FEATURES = 8
_MOST_COMPONENTS = 50


class Training(NamedTuple):
    """What is kept of the training data."""

    n_rows: int
    total_weight: float
    log_likelihood: float
    entropy: float
    """Of the responsibilities; NaN where nobody asked."""


def heading(params: MixtureParams[GaussianParams], type_: CovarianceType) -> str:
    n_components, n_features = params.components.means.shape
    return f"Gaussian mixture: K = {n_components}, D = {n_features}, {type_} covariances"


def course(training: Training, converged: bool, n_iter: int) -> str:
    """One line on the fit."""
    n_rows, weight = training.n_rows, training.total_weight
    weighted = "" if weight == n_rows else f" of total weight {weight:g}"
    outcome = "converged" if converged else "did not converge"
    return f"fitted to {n_rows} rows{weighted}; {outcome}, {n_iter} iterations"


def stream_course(stream: Stream, n_rows: int) -> str:
    """One line on what was learned from a stream."""
    eta = "" if stream.eta is None else f", the latest of size eta = {stream.eta:.4g}"
    return f"learned from a stream of {n_rows} rows; {stream.n_steps} steps{eta}"


def figures_table(training: Training, n_parameters: int | None) -> list[str]:
    """Lines with the log-likelihood and, if the parameters are counted, criteria of the training data."""
    _, weight, log_likelihood, entropy = training
    if math.isnan(log_likelihood):
        return ["the log-likelihood is not known, as the fit was interrupted"]
    figures = [("log-likelihood", f"{log_likelihood:.3f}")]
    if n_parameters is not None:
        figures += [
            ("df", f"{n_parameters}"),
            ("AIC", f"{diagnostics.aic(log_likelihood, n_parameters):.3f}"),
            ("BIC", f"{diagnostics.bic(log_likelihood, n_parameters, weight):.3f}"),
        ]
        if not math.isnan(entropy):
            icl = diagnostics.icl(log_likelihood, n_parameters, weight, entropy)
            figures.append(("ICL", f"{icl:.3f}"))
    width = max(len(text) for _, text in figures)
    return [f"{name:<14}  {text:>{width}}" for name, text in figures]


def bound_table(figures: Sequence[tuple[str, float]]) -> list[str]:
    """Lines with the names and values of a lower bound and its terms."""
    width = max(len(f"{value:.3f}") for _, value in figures)
    return [f"{name:<14}  {value:>{width}.3f}" for name, value in figures]


def components_table(
    components: Any,
    family: Any,
    names: Sequence[str] | None,
    n_features: int,
    labels: Mapping[str, Sequence[str]],
) -> list[str]:
    """Lines with the parameters of each component; the first few of many.

    ``labels`` are the first columns by their titles: K texts each.
    """
    if names is None:
        names = [f"x{j}" for j in range(n_features)]
    tables: list[tuple[list[str], list[tuple[str, AnyArray]]]] = []
    for label, headings, values in _described(family, components, list(names)):
        if not tables or tables[-1][0] != headings:
            tables.append((headings, []))
        tables[-1][1].append((label, values))
    lines = [line for table in tables for line in ["", *_table(labels, *table)]][1:]
    return lines + _more(labels)


def component_labels(weights: AnyArray) -> dict[str, list[str]]:
    """The first columns of a mixture's table."""
    return {
        "component": [str(k) for k in range(len(weights))],
        "weight": [f"{weight:.4f}" for weight in weights],
    }


def state_labels(n_states: int) -> dict[str, list[str]]:
    """The first columns of tables of states."""
    return {"state": [str(k) for k in range(n_states)]}


def chain_table(initial: AnyArray, transition: AnyArray) -> list[str]:
    """Lines with the start law and the transition matrix."""
    labels = state_labels(len(initial)) | {"start": [f"{p:.4f}" for p in initial]}
    headings = [f"to {k}" for k in range(len(initial))]
    return _table(labels, headings, [("", transition)], "{:.4f}", "states") + _more(labels)


def _table(
    labels: Mapping[str, Sequence[str]],
    headings: list[str],
    parameters: list[tuple[str, AnyArray]],
    form: str = "{:.6g}",
    unit: str = "features",
) -> list[str]:
    """A line for each component and parameter, with its values (K, number of headings)."""
    shown = headings[:_MOST_FEATURES]
    named = any(label for label, _ in parameters)
    rows = [[*labels, *[""] * named, *(n if len(n) <= 20 else f"{n[:19]}…" for n in shown)]]
    for k, first in enumerate(zip(*labels.values(), strict=True)):
        if k == _MOST_COMPONENTS:
            break
        for label, values in parameters:
            texts = [form.format(value) for value in values[k, : len(shown)]]
            rows.append([*first, *[label] * named, *texts])
            first = ("",) * len(first)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
    if len(headings) > len(shown):
        lines.append(f"... and {len(headings) - len(shown)} more {unit}")
    return lines


def _more(labels: Mapping[str, Sequence[str]]) -> list[str]:
    what, numbers = next(iter(labels.items()))
    more = len(numbers) - _MOST_COMPONENTS
    return [f"... and {more} more {what}s"] if more > 0 else []


def _described(
    family: Any, components: Any, names: list[str]
) -> Iterator[tuple[str, list[str], AnyArray]]:
    """Label, headings and values (K, number of headings) of each kind of parameter."""
    if isinstance(family, IndependentColumns):
        for part, parameters in zip(family.parts, components.parts, strict=True):
            yield from _described(part.family, parameters, [names[c] for c in part.columns])
    elif isinstance(family, MixtureFamily):
        m = family.n_components
        yield "share", [str(j) for j in range(m)], components.weights
        for label, headings, values in _described(family.family, components.components, names):
            for j in range(m):
                yield f"{j}: {label}", headings, values[j::m]
    elif isinstance(family, Gaussian | GaussianMeans):
        type_ = family.covariance_type if isinstance(family, Gaussian) else "tied_spherical"
        yield "mean", names, components.means
        deviations = _standard_deviations(components.covariances, type_, components.means.shape)
        yield "sd", names, deviations
    elif isinstance(family, Categorical):
        levels = zip(names, family.levels, strict=True)
        headings = [f"{name}={code}" for name, n in levels for code in range(n)]
        yield "probability", headings, components.probabilities
    else:
        for name, values in arrays_of(components):
            flat = values.reshape(len(values), -1)
            headings = (
                names if flat.shape[1] == len(names) else list(map(str, range(flat.shape[1])))
            )
            yield _singular(name), headings, flat


def _singular(name: str) -> str:
    return f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")


def _standard_deviations(
    covariances: AnyArray, type_: CovarianceType, shape: tuple[int, ...]
) -> AnyArray:
    """(K, D) standard deviations by component and feature."""
    if type_ in ("spherical", "tied_spherical"):
        variances = covariances[:, None]
    elif type_ == "diag":
        variances = covariances
    else:
        variances = covariances.diagonal(axis1=-2, axis2=-1)
    return np.broadcast_to(np.sqrt(variances), shape)
