"""Several fits from several starts, of which the best proper one is kept."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from latentcore import engine
from latentcore.errors import (
    ConvergenceWarning,
    DegenerateComponentWarning,
    NumericalError,
    as_sklearn,
)
from latentcore.estimators.progress import Reporter
from latentcore.rules.em import EM, MAPEM

__all__ = [
    "Best",
    "Kept",
    "best_of",
    "bound",
    "check_as_many",
    "degenerate_components",
    "fit_of",
    "warn_not_converged",
    "warn_of_degenerate",
]

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Best(Generic[P]):
    """The fit that is kept, its degenerate components, and how many fits ended degenerate or not at all."""

    fit: engine.Fit[P]
    degenerate: list[int]
    n_degenerate: int


def best_of(
    n_starts: int,
    run: Callable[[Callable[[engine.Progress], None] | None], engine.Fit[P]],
    degenerate_in: Callable[[P], list[int]],
    reporter: Reporter,
) -> Best[P]:
    """Run ``n_starts`` times and keep the fit of largest bound, proper ones before degenerate ones.

    Raises
    ------
    NumericalError
        Every run raised one; the last of them.
    """
    best: Best[P] | None = None
    failure: NumericalError | None = None
    n_degenerate = 0
    for restart in range(n_starts):
        reporter.begin(restart)
        try:
            fit = run(reporter.step)
        except NumericalError as error:
            failure = error
            n_degenerate += 1
            continue
        degenerate: list[int] = []
        if fit.history:
            reporter.end(bound(fit), fit.converged)
            degenerate = degenerate_in(fit.params)
        n_degenerate += bool(degenerate)
        better = best is None or _rank(fit, degenerate) > _rank(best.fit, best.degenerate)
        if better or not fit.history:
            best = Best(fit, degenerate, 0)
    if best is None:
        assert failure is not None
        raise failure
    return Best(best.fit, best.degenerate, n_degenerate)


def fit_of(
    estimator: Any,
    model: Any,
    prior: Any,
    data: Any,
    kept: Callable[[engine.Fit[Any]], None] | None,
) -> Callable[[Any, float, Callable[[engine.Progress], None] | None], engine.Fit[Any]]:
    """What makes a fit of a start, the objective before it, and whom to tell each step."""
    expectation = data.expectation(model)
    rule: Any = EM(model) if prior is None else MAPEM(model, prior)

    def run(
        start: Any, previous: float, step: Callable[[engine.Progress], None] | None
    ) -> engine.Fit[Any]:
        return engine.run(
            rule,
            start,
            expectation,
            total_weight=data.total_weight(),
            tol=estimator.tol,
            max_iter=estimator.max_iter,
            previous=previous,
            callback=step,
            n_rows=data.n_rows_read,
            ended=kept,
        )

    return run


def check_as_many(found: int, n_components: int) -> None:
    """Raise ``ValueError`` if a fit has another number of components than the last, from where it goes on."""
    if found != n_components:
        raise ValueError(
            f"warm_start: expected the n_components = {found} of the last fit, got {n_components}"
        )


class Kept(Generic[P]):
    """The best of the fits so far, whole or interrupted after a step: what Ctrl-C leaves."""

    def __init__(self, degenerate_in: Callable[[P], list[int]] = lambda _: []) -> None:
        self.fit: engine.Fit[P] | None = None
        self._degenerate_in = degenerate_in
        self._best = False, -math.inf

    def __call__(self, fit: engine.Fit[P]) -> None:
        if not fit.history:
            return
        rank = _rank(fit, self._degenerate_in(fit.params))
        if rank > self._best:
            self.fit, self._best = fit, rank


def bound(fit: engine.Fit[Any]) -> float:
    """The last objective; -inf of a fit that made no step."""
    return fit.history[-1] if fit.history else float("-inf")


def _rank(fit: engine.Fit[Any], degenerate: list[int]) -> tuple[bool, float]:
    return not degenerate, bound(fit)


def degenerate_components(family: Any, components: Any) -> list[int]:
    """Components at a cap or floor, as far as the family can tell."""
    return list(family.degenerate(components)) if hasattr(family, "degenerate") else []


def warn_of_degenerate(components: list[int], has_prior: bool, *, stacklevel: int) -> None:
    which = ", ".join(map(str, components))
    remedy = "fewer components" if has_prior else "a prior or fewer components"
    warnings.warn(
        f"component{'s' * (len(components) > 1)} {which}: expected proper components, got "
        f"collapsed ones, whose parameters are at a limit; too few distinct rows support "
        f"them (use {remedy})",
        DegenerateComponentWarning,
        stacklevel=stacklevel,
    )


def warn_not_converged(*, stacklevel: int) -> None:
    warnings.warn(
        "Best performing initialization did not converge. Try different init parameters, "
        "or increase max_iter, tol, or check for degenerate data.",
        as_sklearn(ConvergenceWarning),
        stacklevel=stacklevel,
    )
