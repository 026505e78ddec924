"""Standard errors of a mixture by refitting it to data that might have been."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from latentcore.arrays import CSR, Labels, Rows, column_names, without_absent
from latentcore.assignment import assignment
from latentcore.errors import NumericalError
from latentcore.estimators.checks import integer, one_of, random_generator
from latentcore.estimators.components import mapped, reordered
from latentcore.estimators.priors import resolved
from latentcore.estimators.restarts import degenerate_components, fit_of
from latentcore.families.columns import IndependentColumns
from latentcore.families.mixed import MixtureFamily
from latentcore.families.von_mises import VonMises
from latentcore.protocols import Array, RealArray
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior

__all__ = [
    "Bootstrap",
    "BootstrapKind",
    "Generator",
    "bootstrapped",
    "collected",
    "matching",
    "resampled",
    "simulated",
]

P = TypeVar("P")

BootstrapKind = Literal["parametric", "nonparametric"]
Generator = np.random.RandomState | np.random.Generator


@dataclass(frozen=True, slots=True)
class Bootstrap(Generic[P]):
    """What became of the parameters when the model was fitted again and again.

    Attributes
    ----------
    weights : (n, K)
        Of each refit, its components in the order of the model's.
    components : the family's parameters
        Those of all refits: each array has the refits on a leading axis, (n, K, ...).
    weights_se : (K,)
        Standard errors: standard deviations over the refits.
    components_se : the family's parameters
        The same of each number.
    n_failed : int
        Refits that are left out because a component collapsed.
    """

    weights: Array
    components: P
    weights_se: Array
    components_se: P
    n_failed: int

    def interval(self, level: float = 0.95) -> tuple[MixtureParams[P], MixtureParams[P]]:
        """Lower and upper ends of percentile intervals, number by number (Efron 1979)."""
        if not 0 < level < 1:
            raise ValueError(f"level: expected a number between 0 and 1, got {level!r}")

        def end(q: float) -> MixtureParams[P]:
            def quantile(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
                return np.asarray(np.quantile(values, q, axis=0))

            return MixtureParams(quantile(self.weights), mapped(quantile, self.components))

        return end(0.5 * (1.0 - level)), end(0.5 * (1.0 + level))


def bootstrapped(
    estimator: Any,
    X: Any,
    n: int,
    *,
    kind: BootstrapKind,
    sample_weight: Any,
    labels: Any,
    random_state: Any,
    callback: Callable[[int, int], None] | None,
) -> Bootstrap[Any]:
    """What ``bootstrap`` of an estimator does."""
    params = estimator._params()
    one_of("kind", kind, get_args(BootstrapKind))
    integer("n", n, 2)
    rng = random_generator(random_state)
    estimator._check_arguments()
    names = column_names(X)
    estimator._check_names(names)
    data = without_absent(estimator._rows_to_fit(X, sample_weight, labels))
    estimator._check_width(data.x)
    estimator._check_support(data.x)
    family = estimator._family_to_refit()
    model: Mixture[Any, Any] = Mixture(
        family, hard=estimator.assignment == "hard", equal_weights=estimator.equal_weights
    )
    prior = resolved(estimator.prior, model, data, len(params.weights))
    before = estimator._evaluation(params).responsibilities(data.x)
    refits = []
    for done in range(1, n + 1):
        again = (
            resampled(data, rng)
            if kind == "nonparametric"
            else simulated(data, lambda m, rng: estimator._sampled(params, m, rng), rng)
        )
        refit = _refitted(estimator, model, prior, again, params)
        if refit is not None:
            after = estimator._evaluation(refit).responsibilities(data.x)
            refits.append((refit, matching(before, after, data.sample_weight)))
        if callback is not None:
            callback(done, n)
    return collected(family, params.components, refits, n)


def _refitted(
    estimator: Any,
    model: Mixture[P, Any],
    prior: MixturePrior[Any] | None,
    data: Rows,
    params: MixtureParams[P],
) -> MixtureParams[P] | None:
    """Parameters of a fit that begins at ``params``; None if a component collapsed."""
    try:
        again = estimator._in_memory(data, None)
        fit = fit_of(estimator, model, prior, again, None)(params, float("-inf"), None)
    except NumericalError:
        return None
    return None if degenerate_components(model.family, fit.params.components) else fit.params


def resampled(data: Rows, rng: Generator) -> Rows:
    """As many rows drawn with replacement, as whole weights of the rows that came."""
    weight = data.sample_weight
    shares = np.full(len(data), 1.0 / len(data)) if weight is None else weight / weight.sum()
    counts = rng.multinomial(_whole_weight(data), shares)
    drawn = counts > 0
    labels = None if data.labels is None else data.labels[drawn]
    return Rows(data.x[drawn], counts[drawn].astype(np.float64), labels=labels)


def simulated(
    data: Rows,
    draw: Callable[[int, Generator], tuple[Array, npt.NDArray[np.int64]]],
    rng: Generator,
) -> Rows:
    """As many rows drawn from the model, with entries missing and labels known as in rows of the data."""
    n = _whole_weight(data)
    x, components = draw(n, rng)
    order = rng.permutation(n)
    drawn: RealArray = np.ascontiguousarray(x[order], data.x.dtype)
    labels: Labels | None = None
    like = _rows_like(data, n, rng)
    if not isinstance(data.x, CSR):
        drawn[np.isnan(data.x[like])] = np.nan
    if data.labels is not None:
        labels = np.where(data.labels[like] >= 0, components[order], -1).astype(np.int32)
    return Rows(drawn, labels=labels)


def matching(before: RealArray, after: RealArray, weight: Array | None) -> npt.NDArray[np.intp]:
    """For each component of one model the one of another that shares most of its rows.

    Parameters
    ----------
    before, after : (N, K)
        Responsibilities of both models for the same rows.
    weight : (N,), optional

    Returns
    -------
    (K,)
        A permutation: the assignment of largest joint responsibility.
    """
    wide = before.astype(np.float64)
    shared = (wide if weight is None else wide * weight[:, None]).T @ after.astype(np.float64)
    return assignment(-np.nan_to_num(shared))


def collected(
    family: Any, estimate: P, refits: list[tuple[MixtureParams[P], npt.NDArray[np.intp]]], n: int
) -> Bootstrap[P]:
    """Standard errors of refits, given with the order of their components.

    Raises
    ------
    NumericalError
        Fewer than two refits are left of ``n``.
    """
    if len(refits) < 2:
        raise NumericalError(
            f"bootstrap: expected at least 2 refits without a collapsed component, got "
            f"{len(refits)} of {n} (use a prior, or fewer components)"
        )
    weights = np.array([params.weights[order] for params, order in refits])
    parts = [
        _turned(family, reordered(family, params.components, order), estimate)
        for params, order in refits
    ]
    components = mapped(lambda *arrays: np.stack(arrays), *parts)
    return Bootstrap(
        weights,
        components,
        weights.std(axis=0, ddof=1),
        mapped(lambda values: np.asarray(values.std(axis=0, ddof=1)), components),
        n - len(refits),
    )


def _turned(family: Any, params: P, estimate: P) -> P:
    """Parameters whose directions are at most half a turn from those of the estimate."""
    given: Any = params
    near: Any = estimate
    if isinstance(family, IndependentColumns):
        triples = zip(family.parts, given.parts, near.parts, strict=True)
        parts = tuple(_turned(part.family, own, other) for part, own, other in triples)
        return replace(given, parts=parts)  # type: ignore[no-any-return]
    if isinstance(family, MixtureFamily):
        components = _turned(family.family, given.components, near.components)
        return replace(given, components=components)  # type: ignore[no-any-return]
    if isinstance(family, VonMises):
        angles = np.angle(np.exp(1j * (given.means - near.means)))
        return replace(given, means=near.means + angles)  # type: ignore[no-any-return]
    return params


def _whole_weight(data: Rows) -> int:
    return max(1, round(data.total_weight()))


def _rows_like(data: Rows, n: int, rng: Generator) -> npt.NDArray[np.intp]:
    """Indices of n rows, in proportion to their weights."""
    if data.sample_weight is None:
        return np.arange(n)
    shares = data.sample_weight / data.sample_weight.sum()
    chosen: npt.NDArray[np.intp] = rng.choice(len(data), size=n, p=shares)
    return chosen
