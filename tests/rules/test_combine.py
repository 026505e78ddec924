"""Turns of matching and combining, against all labels of all models."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from latentcore.estimators.components import reordered
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.rules import combine
from latentcore.rules.combine import aligned, as_ordered, combined, margins
from latentcore.structures.hmm import HMM, HMMParams
from latentcore.structures.matching import HMMLabels, MixtureLabels
from latentcore.structures.mixture import Mixture, MixtureParams

K = 3
WEIGHTS = np.array([0.4, 0.35, 0.25])
MODEL: Any = MixtureLabels(
    Mixture(Poisson()), lambda p, order, like: reordered(Poisson(), p, order)
)


def models(seed: int, noise: float, n: int = 3) -> list[Any]:
    """Poissons of rates about 2, 5, 12 in any order, the noisier the less alike."""
    rng = np.random.default_rng(seed)
    return [
        MixtureParams(
            rng.dirichlet(np.full(K, 10.0)),
            PoissonParams(
                rng.permutation(np.exp(np.log([2, 5, 12]) + noise * rng.normal(size=K)))[:, None]
            ),
        )
        for _ in range(n)
    ]


def every_order(n: int) -> itertools.product[Any]:
    """Of all models but the one of largest weight, whose labels are kept."""
    return itertools.product(map(np.array, itertools.permutations(range(K))), repeat=n - 1)


def objective(params: list[Any], orders: Any) -> float:
    return as_ordered(MODEL, params, WEIGHTS, orders, params[0]).objectives[0]


@pytest.mark.parametrize("seed", range(5))
def test_labels_of_models_alike_are_the_best_of_all(seed: int) -> None:
    params = models(seed, 0.1)
    found = aligned(MODEL, params, WEIGHTS, K)
    same = np.arange(K)
    best = min(objective(params, [same, *orders]) for orders in every_order(3))
    assert found.objectives[-1] == pytest.approx(best, rel=1e-12)


def test_turns_lower_the_objective_and_end_below_the_first_matching() -> None:
    """Of models so noisy that labels matched to one of them are not those that fit the mean."""
    n_turns = []
    for seed in range(20):
        params = models(seed, 0.6)
        found = aligned(MODEL, params, WEIGHTS, K)
        n_turns.append(len(found.objectives))
        assert (np.diff(found.objectives) < 0).all()
        assert found.objectives[-1] == pytest.approx(objective(params, found.orders), rel=1e-12)
        np.testing.assert_array_equal(found.orders[0], np.sort(found.orders[0]))
    assert max(n_turns) > 1


def gaussians(family: Gaussian, rng: np.random.Generator, noise: float) -> Any:
    means = 3 * np.array([[0, 0], [1, 1], [2, 0.0]]) + noise * rng.normal(size=(K, 2))
    matrices = [np.cov(rng.normal(size=(2, 6))) for _ in range(K)]
    tied = family.covariance_type == "tied"
    return family.params(rng.permutation(means), np.array(matrices[0] if tied else matrices))


def poissons(family: Poisson, rng: np.random.Generator, noise: float) -> Any:
    return PoissonParams(
        rng.permutation(np.exp(np.log([2, 5, 12]) + noise * rng.normal(size=K)))[:, None]
    )


KINDS: dict[str, tuple[Any, Any, Any]] = {
    "poisson": (Poisson(), poissons, None),
    "gaussian": (Gaussian("full"), gaussians, None),
    "tied": (Gaussian("tied"), gaussians, None),
    "endless chain": (Poisson(), poissons, HMM),
    "chain": (Gaussian("full"), gaussians, HMM),
}


def problem(kind: str, noise: float, n: int, seed: int) -> tuple[Any, list[Any]]:
    """Models whose components have nothing in common but what noise leaves of it."""
    family, components, structure = KINDS[kind]
    rng = np.random.default_rng(seed)

    def relabel(params: Any, order: Any, like: Any) -> Any:
        return reordered(family, params, order)

    if structure is None:
        model: Any = MixtureLabels(Mixture(family), relabel)
        weights = (rng.dirichlet(np.full(K, 10.0)) for _ in range(n))
        return model, [MixtureParams(w, components(family, rng, noise)) for w in weights]
    model = HMMLabels(HMM(family), relabel, np.array([4]) if kind == "chain" else None)
    rows = (rng.dirichlet(np.full(K, 4.0), K + 1) for _ in range(n))
    return model, [HMMParams(r[0], r[1:], components(family, rng, noise)) for r in rows]


def least(model: Any, params: list[Any], weights: Any) -> float:
    """By trying all labels."""
    same = np.arange(K)
    return min(
        as_ordered(model, params, weights, [same, *orders], params[0]).objectives[0]
        for orders in every_order(len(params))
    )


@pytest.mark.parametrize("noise", [0.6, 3.0], ids=["noisy", "unrelated"])
@pytest.mark.parametrize("kind", KINDS)
def test_unclear_labels_are_the_best_of_all_and_known_to_be(kind: str, noise: float) -> None:
    for seed in range(3):
        model, params = problem(kind, noise, 3, seed)
        found = aligned(model, params, WEIGHTS, K)
        assert found.exhaustive
        assert found.objectives[-1] == pytest.approx(least(model, params, WEIGHTS), rel=1e-9)
        again = as_ordered(model, params, WEIGHTS, found.orders, params[0])
        assert again.objectives[0] == pytest.approx(found.objectives[-1], rel=1e-9)
        np.testing.assert_array_equal(found.orders[0], np.arange(K))
        assert (np.diff(found.objectives) < 0).all()


@pytest.mark.parametrize("kind", ["poisson", "gaussian"])
def test_what_is_tried_before_the_search_seldom_misses_the_best(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(combine, "_best_of_all", lambda *arguments: arguments[4])
    missed = 0
    for seed in range(15):
        model, params = problem(kind, 3.0, 3, seed)
        found = aligned(model, params, WEIGHTS, K)
        assert not found.exhaustive
        missed += found.objectives[-1] > least(model, params, WEIGHTS) * (1 + 1e-9)
    assert missed <= 1


@pytest.mark.parametrize("most", [0, 40, 400])
def test_effort_is_bounded(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside that of the turns, which ask for the relative entropies of a few combinations."""
    n, asked = 5, 0
    model, params = problem("gaussian", 3.0, n, 1)
    weights = np.full(n, 1 / n)
    counted = MixtureLabels.relative_entropy

    def counting(self: Any, *arguments: Any) -> float:
        nonlocal asked
        asked += 1
        return counted(self, *arguments)

    monkeypatch.setattr(MixtureLabels, "relative_entropy", counting)
    in_turns = [combine._in_turns(model, params, weights, K, m, True) for m in range(n)]
    turns, asked = asked, 0
    monkeypatch.setattr(combine, "_MOST_ENTROPIES", most)
    found = aligned(model, params, weights, K)
    assert asked <= turns + 2 * most + 3 * n
    assert not found.exhaustive
    assert found.objectives[-1] <= min(one.objectives[-1] for one in in_turns)


def test_the_labels_are_those_of_the_largest_weight() -> None:
    params = models(0, 0.0)
    for heaviest in range(3):
        weights = np.where(np.arange(3) == heaviest, 0.6, 0.2)
        found = aligned(MODEL, params, weights, K)
        rates = params[heaviest].components.rates
        np.testing.assert_array_equal(found.orders[heaviest], np.arange(K))
        np.testing.assert_allclose(found.params.components.rates, rates, rtol=1e-13)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_margins_are_those_beside_all_others(n: int) -> None:
    params, weights = models(1, 0.3, n), np.arange(1.0, n + 1)
    found = aligned(MODEL, params, weights / weights.sum(), K)
    expected = []
    for m, own in enumerate(found.models):
        others = [p for i, p in enumerate(found.models) if i != m]
        shares = np.delete(weights, m)
        expected.append(MODEL.margin(own, combined(MODEL, others, shares / shares.sum(), own)))
    np.testing.assert_allclose(margins(MODEL, found.models, weights), expected, rtol=1e-10)
    assert margins(MODEL, found.models[:1], np.ones(1)).tolist() == [1.0]


def test_components_that_no_model_uses_are_the_first_models() -> None:
    rates: npt.NDArray[np.float64] = np.array([[1.0], [5.0], [9.0]])
    params = [
        MixtureParams(np.array([0.5, 0.5, 0.0]), PoissonParams(rates + shift)) for shift in (0, 2)
    ]
    found = aligned(MODEL, params, np.array([0.5, 0.5]), K)
    np.testing.assert_allclose(found.params.components.rates[:, 0], [2, 6, 9], rtol=1e-14)
    assert found.params.weights[2] == 0
