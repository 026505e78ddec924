"""A mixture of three normal distributions of variance 1 by variational inference, and how a program of it goes wrong.

The model is that of Blei, Kucukelbir & McAuliffe (2017): uniform weights, x | k ~ N(mean_k, 1), mean_k ~ N(0,
PRIOR_STD^2). A program of its updates is printed in lecture notes, with mistakes; each is shown with what follows from
it.

    python examples/variational_mixture.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentcore import engine
from latentcore.arrays import Rows
from latentcore.families.gaussian_means import GaussianMeans, NormalPrior
from latentcore.protocols import Array
from latentcore.rules.cavi import CAVI
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior
from latentcore.structures.weights import FixedWeights

TRUE_MEANS = np.array([4.0, -5.0, 0.5])
PRIOR_STD = 5.0


def draw(n: int, variance: float = 1.0, seed: int = 0) -> Array:
    """Rows (n, 1), which the printed program never makes."""
    rng = np.random.default_rng(seed)
    components = rng.integers(len(TRUE_MEANS), size=n)
    return (TRUE_MEANS[components] + math.sqrt(variance) * rng.normal(size=n))[:, None]


# -- as it should be


@dataclass(frozen=True)
class Fitted:
    model: Mixture[Any, Any]
    posterior: MixturePrior[NormalPrior]
    bounds: list[float]
    """Evidence lower bound before each step, nats."""

    @property
    def means(self) -> Array:
        return self.posterior.components.means[:, 0]

    @property
    def variances(self) -> Array:
        """Of the means under the posterior."""
        return self.posterior.components.variances

    def labels(self, x: Array) -> Array:
        """The most responsible component of each row."""
        shares, _ = self.model.responsibilities(self.model.expected(self.posterior), x)
        return shares.argmax(axis=1)


def start_of_means(x: Array) -> Array:
    """Three distinct rows, (3,)."""
    n = len(x)
    return np.sort(x[:, 0])[[n // 6, n // 2, 5 * n // 6]]


def fit(x: Array, variance: float = 1.0, tol: float = 1e-12, max_iter: int = 1000) -> Fitted:
    """Coordinate ascent from three distinct rows until the bound per row changes by less than ``tol``."""
    weights = FixedWeights(np.full(len(TRUE_MEANS), 1 / len(TRUE_MEANS)))
    model: Any = Mixture(GaussianMeans(variance))
    prior = MixturePrior(weights, NormalPrior(np.zeros((1, 1)), np.array([PRIOR_STD**2])))
    start = MixturePrior(weights, NormalPrior(start_of_means(x)[:, None], np.ones(3)))
    rule: Any = CAVI(model, prior)
    expectation = engine.expectation(model, Rows(x), len(x), 1)
    found = engine.run(rule, start, expectation, total_weight=len(x), tol=tol, max_iter=max_iter)
    return Fitted(model, found.params, [len(x) * bound for bound in found.history])


# -- as it is printed


def printed_update(nr: float, dr: float) -> tuple[float, float]:
    """Posterior mean and variance of a component, as printed; ``nr`` is its sum of rows, ``dr`` its count."""
    mean = nr / ((1 / PRIOR_STD) ** 2) + dr
    variance = 1.0 / ((1 / PRIOR_STD) ** 2) + dr
    return mean, variance


def right_update(nr: float, dr: float) -> tuple[float, float]:
    return nr / ((1 / PRIOR_STD) ** 2 + dr), 1.0 / ((1 / PRIOR_STD) ** 2 + dr)


def printed_shares(x: float, means: Sequence[float], variances: Sequence[float]) -> list[float]:
    """Shares of the components in a row by exponentials, without a shift."""
    terms = [math.exp(m * x - (m**2 + v) / 2) for m, v in zip(means, variances, strict=True)]
    return [term / sum(terms) for term in terms]


def outcome(x: float, means: Sequence[float], variances: Sequence[float]) -> str:
    """What the printed shares come to."""
    try:
        return str(printed_shares(x, means, variances))
    except ArithmeticError as error:
        return type(error).__name__


def printed_program(x: Array, max_iter: int = 100) -> str:
    """How the printed program ends, begun where the right one begins."""
    means: Sequence[float] = start_of_means(x).tolist()
    variances: Sequence[float] = [1.0] * 3
    for step in range(1, max_iter + 1):
        try:
            shares = np.array([printed_shares(float(row), means, variances) for row in x[:, 0]])
        except ArithmeticError as error:
            return f"{type(error).__name__} in step {step}"
        updates = [printed_update(float(r @ x[:, 0]), float(r.sum())) for r in shares.T]
        means, variances = ([u[i] for u in updates] for i in (0, 1))
    return f"means {means}"


def printed_loop(x: Array, tolerance: float = 1e-6, max_iter: int = 200) -> int:
    """Steps until no mean moves by more than ``tolerance``; the updates are right, and so are the shares.

    Printed is ``while True``; ``max_iter`` is ours.
    """
    means, variances = start_of_means(x), np.ones(3)
    for step in range(1, max_iter + 1):
        logs = x * means - (means**2 + variances) / 2
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        before = means
        updates = [right_update(float(r @ x[:, 0]), float(r.sum())) for r in shares.T]
        means, variances = (np.array(values) for values in zip(*updates, strict=True))
        if (np.abs(means - before) < tolerance).all():
            return step
    return max_iter


def main() -> None:
    x = draw(1000)
    fitted = fit(x)
    rises = np.diff(fitted.bounds)
    order = np.argsort(fitted.means)
    print("As it should be")
    print(f"  means {fitted.means[order].round(3)}, of truth {np.sort(TRUE_MEANS)}")
    print(f"  their standard deviations {np.sqrt(fitted.variances[order]).round(4)}")
    print(f"  bound {fitted.bounds[0]:.3f} to {fitted.bounds[-1]:.3f} nats in {len(rises)} steps,")
    print(f"  which never fall: {bool((rises >= -1e-10 * abs(fitted.bounds[-1])).all())}")

    print("1, 2. Precedence: a / b + c is not a / (b + c)")
    nr, dr = float(x[x > 2.25].sum()), float((x > 2.25).sum())
    for name, update in (("printed", printed_update), ("right", right_update)):
        mean, variance = update(nr, dr)
        print(f"  {name}: mean {mean:.6g}, variance {variance:.6g}")
    print(f"  the printed program ends with {printed_program(x)}")

    print("3. exp without a shift")
    for far in (37.0, 39.0):
        print(f"  a row at {far:g}, on a mean: {outcome(far, [far, 0.0, -far], [0.01] * 3)}")
    print(f"  a row at 1, means at 50: {outcome(1.0, [50.0, 51.0, 52.0], [0.01] * 3)}")
    model = fitted.model
    family: Any = model.family
    means = family.params(np.array([[50.0], [51.0], [52.0]]))
    shares, _ = model.responsibilities(MixtureParams(np.full(3, 1 / 3), means), np.ones((1, 1)))
    print(f"  by log-sum-exp: {shares[0]}")

    print("4. A test of the means by an absolute tolerance, without a bound or a cap")
    best = fit(x, tol=0.0, max_iter=100).bounds[-1]
    for tolerance in (1e-1, 1e-6):
        n = printed_loop(x, tolerance)
        rest = best - fit(x, tol=0.0, max_iter=n + 1).bounds[-1]
        print(f"  tolerance {tolerance:g}: stops at step {n}, {rest:.2g} nats below the best bound")
    print(
        f"  where a mean is nan, |nan - nan| < 1e-6 is {abs(math.nan - math.nan) < 1e-6} for ever"
    )

    print("5. Components sorted, the columns of their shares not")
    labels = fitted.labels(x)
    shuffled = np.array([2, 0, 1])  # the order in which the components happened to come out
    unsorted, of_rows = fitted.means[shuffled], np.argsort(shuffled)[labels]
    for name, values in (("sorted", np.sort(unsorted)), ("as they were", unsorted)):
        error = np.abs(x[:, 0] - values[of_rows]).mean()
        print(f"  {name}: rows are {error:.3f} from the means of their labels on average")

    print("6. The variance of the rows taken as 1, where it is 4")
    wide = draw(1000, variance=4.0)
    for assumed in (1.0, 4.0):
        found = fit(wide, assumed)
        deviation = math.sqrt(float(found.variances.mean()))
        print(f"  {assumed:g}: bound {found.bounds[-1]:.1f}, deviations of means {deviation:.4f}")


if __name__ == "__main__":
    main()
