"""Which family, and how many components: fits over a grid, compared by a criterion."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from latentcore.errors import ConvergenceWarning, DegenerateComponentWarning, as_sklearn
from latentcore.estimators.base import Estimator
from latentcore.estimators.checks import integer
from latentcore.estimators.gaussian_mixture import GaussianMixture
from latentcore.estimators.mixture import FamilyName, Mixture
from latentcore.estimators.named_mixtures import (
    BernoulliMixture,
    CategoricalMixture,
    ExponentialMixture,
    MultinomialMixture,
    PoissonMixture,
)
from latentcore.families.gaussian import CovarianceType

__all__ = ["Candidate", "Criterion", "Selection", "SelectionProgress", "select"]

Criterion = Literal["bic", "aic", "icl"]

_NAMED: dict[str, Callable[[], Estimator]] = {
    **{name: partial(Mixture, name) for name in get_args(FamilyName) if name != "gaussian"},
    **{
        f"gaussian-{type_}": partial(GaussianMixture, covariance_type=type_)
        for type_ in get_args(CovarianceType)
    },
    "bernoulli": BernoulliMixture,
    "categorical": CategoricalMixture,
    "exponential": ExponentialMixture,
    "multinomial": MultinomialMixture,
    "poisson": PoissonMixture,
}
"""What a name begins with; Gaussians go by their covariances alone, too."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One fit of the grid; its numbers are NaN, and ``n_parameters`` 0, if it failed.

    Attributes
    ----------
    family : str
        Its name, or the family or estimator as it prints.
    n_components : int
    log_likelihood : float
        Total, nats.
    n_parameters : int
        Degrees of freedom.
    aic, bic, icl : float
        The lower the better, as in scikit-learn; mclust's have the other sign.
    value : float
        Of the criterion that selects, the lower the better.
    converged : bool
    degenerate : bool
        Every start of the fit ended with a collapsed component, so that the likelihood means nothing.
    error : str or None
        Why there is no fit.
    """

    family: str
    n_components: int
    log_likelihood: float = math.nan
    n_parameters: int = 0
    aic: float = math.nan
    bic: float = math.nan
    icl: float = math.nan
    value: float = math.nan
    converged: bool = False
    degenerate: bool = False
    error: str | None = None

    @property
    def _rank(self) -> tuple[bool, float]:
        """The least is the best; NaN, of fits that failed, is no number to compare."""
        return self.degenerate, self.value


@dataclass(frozen=True, slots=True)
class SelectionProgress:
    """What a callback is told after each fit: how many are done, of how many, and the last one."""

    n_done: int
    n_total: int
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Selection:
    """The outcome of ``select``; print it for the table.

    Attributes
    ----------
    table : tuple of Candidate
        All fits, family by family, in the order of the grid.
    best_index : int
        Of the selected one.
    best : estimator
        It, fitted.
    criterion : str
        The name of what was minimised.
    """

    table: tuple[Candidate, ...]
    best_index: int
    best: Any
    criterion: str

    def __str__(self) -> str:
        columns = ["", "family", "K", "log-likelihood", "df", "AIC", "BIC", "ICL"]
        named = self.criterion.upper() in columns
        if not named:
            columns.append(self.criterion)
        rows = [[*columns, ""]]
        for index, candidate in enumerate(self.table):
            mark = "*" if index == self.best_index else ""
            rows.append([mark, candidate.family, str(candidate.n_components)])
            rows[-1] += _figures(candidate, not named)
            rows[-1].append(_remark(candidate))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        left = (1, len(widths) - 1)
        lines = [
            "  ".join(
                text.ljust(width) if j in left else text.rjust(width)
                for j, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, f"* least {self.criterion.upper() if named else self.criterion}"])


def _figures(candidate: Candidate, with_value: bool) -> list[str]:
    if candidate.error is not None:
        return ["-"] * (6 if with_value else 5)
    criteria = [candidate.aic, candidate.bic, candidate.icl, candidate.value]
    return [
        f"{candidate.log_likelihood:.3f}",
        str(candidate.n_parameters),
        *(f"{value:.3f}" for value in criteria[: 4 if with_value else 3]),
    ]


def _remark(candidate: Candidate) -> str:
    if candidate.error is not None:
        return f"failed: {candidate.error.splitlines()[0][:60]}"
    remarks = ["degenerate"] * candidate.degenerate + ["not converged"] * (not candidate.converged)
    return ", ".join(remarks)


def select(
    X: Any,
    n_components: int | Iterable[int] = range(1, 10),
    families: Any = ("full", "tied", "diag", "spherical"),
    *,
    criterion: Criterion | Callable[[Any, Any], float] = "bic",
    sample_weight: Any = None,
    progress: bool | Callable[[SelectionProgress], None] = False,
    **arguments: Any,
) -> Selection:
    """Fit mixtures of several families and numbers of components, and select one.

    Parameters
    ----------
    X : array or data frame, (N, D)
    n_components : int, or several
        K of the grid.
    families : one or several of str, Family and estimator
        Names, such as "gaussian-full", or just "full", and "poisson"; families, for a ``Mixture``; unfitted mixtures,
        of which copies are fitted. Densities and probabilities do not compare: do not let counts choose between a
        Gaussian and a Poisson.
    criterion : {"bic", "aic", "icl"} or callable
        What to minimise; a function gets the fitted mixture and ``X``.
    sample_weight : (N,), optional
    progress : bool or callable
        True shows a bar on standard error; a function gets a ``SelectionProgress`` after each fit.
    **arguments
        For all mixtures: ``n_init``, ``random_state``, ``prior``, ``n_threads`` and so on. With an integer
        ``random_state`` all fits have the same.

    Returns
    -------
    Selection
        A fit that fails, for want of rows or by a collapse, is in the table with its error and never selected. One
        whose components have collapsed from every start is selected only if there is no other, with a warning.

    Raises
    ------
    ValueError, TypeError
        An argument is wrong, or every fit fails, or there is no fit with a criterion that is a number.

    Warns
    -----
    ConvergenceWarning
        The selected fit has not converged. (That others have not is in the table.)

    References
    ----------
    Schwarz (1978), Estimating the dimension of a model; Fraley & Raftery (2002), Model-based clustering, discriminant
    analysis, and density estimation.

    Examples
    --------
    >>> from latentcore.datasets import load_old_faithful
    >>> from latentcore.selection import select
    >>> found = select(load_old_faithful().data, range(1, 5), ["full", "tied"], random_state=0)
    >>> found.best.n_components, found.best.covariance_type
    (3, 'tied')
    """
    if not callable(criterion) and criterion not in get_args(Criterion):
        expected = ", ".join(map(repr, get_args(Criterion)))
        raise ValueError(f"criterion: expected one of {expected} or a function, got {criterion!r}")
    grid = _grid(n_components, families, arguments)
    report = _Bar() if progress is True else progress
    table: list[Candidate] = []
    best: Estimator | None = None
    best_index = -1
    failure: ValueError | None = None
    for family, model in grid:
        try:
            candidate = _fitted(family, model, X, criterion, sample_weight)
        except ValueError as error:  # NumericalError is one
            failure = error
            candidate = Candidate(family, model.n_components, error=str(error))
        table.append(candidate)
        if not math.isnan(candidate.value) and (
            best is None or candidate._rank < table[best_index]._rank
        ):
            best, best_index = model, len(table) - 1
        if report:
            report(SelectionProgress(len(table), len(grid), candidate))
    if best is None:
        if failure is not None:
            raise failure
        raise ValueError(f"criterion: expected numbers, got NaN from all {len(grid)} fits")
    _warn(table[best_index])
    name = criterion if isinstance(criterion, str) else getattr(criterion, "__name__", "criterion")
    return Selection(tuple(table), best_index, best, name)


def _fitted(
    family: str,
    model: Any,
    X: Any,
    criterion: Criterion | Callable[[Any, Any], float],
    sample_weight: Any,
) -> Candidate:
    with warnings.catch_warnings():
        for category in (ConvergenceWarning, DegenerateComponentWarning):  # the table says it
            warnings.simplefilter("ignore", category)
        model.fit(X, sample_weight=sample_weight)
    log_likelihood = model.loglik(X, sample_weight=sample_weight)
    aic, bic, icl = (
        float(getattr(model, name)(X, sample_weight=sample_weight))
        for name in ("aic", "bic", "icl")
    )
    values = {"aic": aic, "bic": bic, "icl": icl}
    return Candidate(
        family,
        model.n_components,
        log_likelihood,
        n_parameters=round(log_likelihood + aic / 2),
        aic=aic,
        bic=bic,
        icl=icl,
        value=float(criterion(model, X)) if callable(criterion) else values[criterion],
        converged=model.converged_,
        degenerate=model.n_degenerate_ >= model.n_init,
    )


def _warn(candidate: Candidate) -> None:
    """Of what is wrong with the selected fit."""
    which = f"the selected fit, {candidate.family} with K = {candidate.n_components},"
    if candidate.degenerate:
        message = f"{which} has collapsed components, and so have all others; use a prior"
        warnings.warn(message, DegenerateComponentWarning, stacklevel=3)
    if not candidate.converged:
        message = f"{which} did not converge; increase max_iter or tol"
        warnings.warn(message, as_sklearn(ConvergenceWarning), stacklevel=3)


# -- the grid


def _grid(
    n_components: int | Iterable[int], families: Any, arguments: dict[str, Any]
) -> list[tuple[str, Any]]:
    """Names and unfitted mixtures of all fits."""
    several = n_components if isinstance(n_components, Iterable) else [n_components]
    numbers = [integer("n_components", k, 1) for k in several]
    chosen = list(families) if isinstance(families, Iterable) else [families]
    if isinstance(families, str):
        chosen = [families]
    if not numbers or not chosen:
        name = "families" if numbers else "n_components"
        raise ValueError(f"{name}: expected at least one, got none")
    return [
        (name, _like(model, {**arguments, "n_components": k}))
        for name, model in map(_model, chosen)
        for k in numbers
    ]


def _model(family: Any) -> tuple[str, Estimator]:
    """The name, and what to copy."""
    if isinstance(family, str):
        name = "gaussian-full" if family == "gaussian" else family
        if name not in _NAMED:
            name = f"gaussian-{family}"
        if name not in _NAMED:
            expected = ", ".join(map(repr, _NAMED))
            raise ValueError(f"families: expected names among {expected}, got {family!r}")
        return name, _NAMED[name]()
    if isinstance(family, Estimator) and "n_components" in family.get_params():
        return repr(_like(family, {"n_components": 1})), family
    if isinstance(family, type) or not hasattr(family, "expected_statistics"):
        raise TypeError(f"families: expected names, families and mixtures, got {family!r}")
    return repr(family), Mixture(family)


def _like(model: Estimator, changed: dict[str, Any]) -> Estimator:
    """An unfitted copy with some arguments changed."""
    return type(model)(**model.get_params()).set_params(**changed)


class _Bar:
    """A line on standard error that grows, on a terminal."""

    def __call__(self, progress: SelectionProgress) -> None:
        if not sys.stderr.isatty():
            return
        n_done, n_total = progress.n_done, progress.n_total
        filled = 30 * n_done // n_total
        bar = "#" * filled + "." * (30 - filled)
        text = f"{progress.candidate.family}, K = {progress.candidate.n_components}"
        end = "\n" if n_done == n_total else ""
        print(f"\r[{bar}] {n_done}/{n_total} {text[:40]:<40}", end=end, file=sys.stderr, flush=True)
