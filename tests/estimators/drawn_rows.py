"""Rows of every family, drawn from two components, and their densities by definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from latentcore.families.categorical import Categorical
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson

WEIGHTS = np.array([0.6, 0.4])
RATES = np.array([[1.0, 5.0, 9.0], [8.0, 2.0, 4.0]])
PROBABILITIES = np.array([[0.1, 0.8, 0.3], [0.7, 0.2, 0.6]])
SHAPES = np.array([[1.5, 3.0], [6.0, 2.0]])
GAMMA_RATES = np.array([[1.0, 2.0], [1.0, 0.5]])
DIRECTIONS = np.array([[0.5, 3.0], [2.5, -1.0]])
CONCENTRATIONS = np.array([[3.0, 5.0], [8.0, 2.0]])
SHARES = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
LEVELS = (2, 3)
CODES = np.array([[0.9, 0.1, 0.2, 0.3, 0.5], [0.2, 0.8, 0.7, 0.2, 0.1]])
COLUMNS = IndependentColumns([(Gaussian("diag"), [0]), (Categorical((3,)), [2]), (Poisson(), [1])])
N = 400
Y = (np.arange(N) % 5 >= 3).astype(int)


def rows(draw: Callable[[np.random.Generator, int], Any]) -> Any:
    rng = np.random.default_rng(1)
    return np.array([draw(rng, k) for k in Y], dtype=np.float64)


def by_column(distribution: Callable[[Any], Any], name: str) -> Callable[[Any, Any], Any]:
    """Of independent columns: their log-densities summed."""

    def log_density(model: Any, x: Any) -> Any:
        d = distribution(getattr(model.components_, name))
        f = getattr(d, "logpmf", None) if hasattr(d.dist, "pmf") else d.logpdf
        assert f is not None
        return f(x[:, None, :]).sum(axis=2)

    return log_density


def of_categories(model: Any, x: Any) -> Any:
    first, second = np.split(model.components_.probabilities, [2], axis=1)
    return np.log(first[:, x[:, 0].astype(int)] * second[:, x[:, 1].astype(int)]).T


def of_multinomial(model: Any, x: Any) -> Any:
    p = model.components_.probabilities
    return np.stack(
        [stats.multinomial.logpmf(x, x.sum(axis=1).astype(int), q / q.sum()) for q in p], axis=1
    )


def of_gamma(model: Any, x: Any) -> Any:
    shapes, rates = model.components_.shapes, model.components_.rates
    return stats.gamma(shapes, scale=1 / rates).logpdf(x[:, None, :]).sum(axis=2)


def of_von_mises(model: Any, x: Any) -> Any:
    params = model.components_
    density = stats.vonmises(params.concentrations, loc=params.means)
    return density.logpdf(x[:, None, :]).sum(axis=2)


def of_gaussian(model: Any, x: Any) -> Any:
    return np.stack(
        [
            stats.multivariate_normal(m, c).logpdf(x)
            for m, c in zip(model.components_.means, model.components_.covariances, strict=True)
        ],
        axis=1,
    )


def of_columns(model: Any, x: Any) -> Any:
    gaussian, categorical, poisson = model.components_.parts
    return (
        stats.norm(gaussian.means[:, 0], np.sqrt(gaussian.covariances[:, 0])).logpdf(x[:, [0]])
        + np.log(categorical.probabilities[:, x[:, 2].astype(int)]).T
        + stats.poisson(poisson.rates[:, 0]).logpmf(x[:, [1]])
    )


def columns_at_truth() -> Any:
    statistics = COLUMNS.expected_statistics(None, MIXED, np.eye(2)[Y])
    return COLUMNS.maximize(statistics)


COUNTS = rows(lambda rng, k: rng.poisson(RATES[k]))
MIXED = rows(
    lambda rng, k: [rng.normal(4 * k, 1), rng.poisson(2 + 6 * k), rng.choice(3, p=SHARES[k])]
)
NORMAL = rows(lambda rng, k: rng.normal(3.0 * k, 1.0 + k, 2))


def arrays_of(value: Any, name: str) -> Any:
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, tuple):
        for i, part in enumerate(value):
            yield from arrays_of(part, f"{name}[{i}]")
    elif hasattr(value, "__dataclass_fields__"):
        for field in value.__dataclass_fields__:
            yield from arrays_of(getattr(value, field), f"{name}.{field}")


def ascending(bounds: list[float]) -> bool:
    return bool((np.diff(bounds) >= -1e-10 * (1 + np.abs(bounds[-1]))).all())


def with_holes(x: Any, seed: int = 0) -> Any:
    holes = np.random.default_rng(seed).uniform(size=x.shape) < 0.15
    holes[:2] = [[True] * x.shape[1], [False] * x.shape[1]]
    return np.where(holes, np.nan, x)
