"""Combining models of every family: copies, permuted copies, the minimum, and sums in any order."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from latentcore.estimators.combining import _relabelled
from latentcore.rules.combine import aligned, combined
from latentcore.structures.matching import HMMLabels, MixtureLabels
from laws.cases import (
    MODELS,
    N_COMPONENTS,
    N_INNER,
    Array,
    Case,
    ChainCase,
    assert_near,
    cases,
    permuted,
)

SHARES = np.array([0.2, 0.5, 0.3])
ORDERS = ([0, 1, 2], [2, 0, 1], [1, 0, 2])


def comparable(of: Any) -> bool:
    return hasattr(of.family, "relative_entropy")


class EndlessCase(ChainCase):
    """A hidden Markov model whose rows are those of an endless sequence."""

    @property
    def name(self) -> str:
        return f"endless-{super().name}"

    @property
    def lengths(self) -> None:
        return None


every_comparable_model = cases(comparable, structures=(*MODELS, EndlessCase))
every_comparable_mixture = cases(comparable)


def labelled(case: Case) -> Any:
    relabel = partial(_relabelled, case.of.family)
    if isinstance(case, ChainCase):
        return HMMLabels(case.model, relabel, case.lengths)
    return MixtureLabels(case.model, relabel)


def another(case: Case, seed: int) -> Any:
    """A model of the same kind, with other weights and transitions."""
    rng = np.random.default_rng(seed)
    components = case.of.parameters(rng)
    weights = rng.dirichlet(np.full(N_COMPONENTS, 4.0))
    if isinstance(case, ChainCase):
        rows = rng.dirichlet(np.full(N_COMPONENTS, 4.0), N_COMPONENTS)
        return type(case.params)(weights, rows, components)
    return type(case.params)(weights, components)


def inside_out(case: Case, params: Any) -> Any:
    """The same model, the components of its components in the reverse order."""
    if case.of.name != "mixture-of-poissons":
        return params
    name = "emissions" if isinstance(case, ChainCase) else "components"
    mixed = getattr(params, name)
    rates = mixed.components.rates.reshape(N_COMPONENTS, N_INNER, -1)[:, ::-1]
    components = type(mixed.components)(rates.reshape(mixed.components.rates.shape))
    reversed_ = type(mixed)(mixed.weights[:, ::-1], components)
    return type(params)(
        *(
            reversed_ if value is mixed else value
            for value in map(params.__getattribute__, params.__slots__)
        )
    )


def objective(model: Any, params: list[Any], weights: Array, at: Any) -> float:
    return sum(w * model.relative_entropy(p, at) for p, w in zip(params, weights, strict=True))


@every_comparable_model
def test_copies_are_combined_into_themselves(case: Case) -> None:
    model, params = labelled(case), case.params
    assert_near(combined(model, [params] * 3, SHARES, params), params, 1e-13)
    found = aligned(model, [params] * 3, SHARES, N_COMPONENTS)
    assert_near(found.params, params, 1e-13)
    np.testing.assert_allclose(found.divergences, 0.0, atol=1e-11)


@every_comparable_model
def test_permuted_copies_are_combined_into_the_one_whose_labels_are_kept(case: Case) -> None:
    model, params = labelled(case), case.params
    copies = [permuted(params, order) for order in ORDERS]
    copies[0] = inside_out(case, copies[0])
    found = aligned(model, copies, SHARES, N_COMPONENTS)
    assert_near(found.params, copies[1], 1e-13)
    for order, back in zip(ORDERS, found.orders, strict=True):
        np.testing.assert_array_equal(np.array(order)[back], ORDERS[1])


@every_comparable_model
@pytest.mark.parametrize("seed", [0, 1])
def test_combination_has_the_least_weighted_relative_entropy(case: Case, seed: int) -> None:
    """Of all; and of those near by, where components have labels of their own inside, to be matched anew elsewhere."""
    model = labelled(case)
    params = [another(case, 10 * seed + m) for m in range(3)]
    if case.of.hidden:
        params = aligned(model, params, SHARES, N_COMPONENTS).models
    best = combined(model, params, SHARES, params[0])
    least = objective(model, params, SHARES, best)
    for other in (*params, another(case, 99), another(case, 98)):
        for share in (1e-3,) if case.of.hidden else (1e-3, 0.1):
            off = combined(model, [best, other], np.array([1 - share, share]), best)
            assert objective(model, params, SHARES, off) > least + 1e-9 * share


@every_comparable_mixture
def test_combinations_may_be_combined_in_any_order(case: Case) -> None:
    model = labelled(case)
    a, b, c = (another(case, seed) for seed in range(3))
    pair = combined(model, [a, b], SHARES[:2] / SHARES[:2].sum(), a)
    twice = combined(model, [pair, c], np.array([SHARES[:2].sum(), SHARES[2]]), a)
    assert_near(twice, combined(model, [a, b, c], SHARES, a), 1e-11)


@every_comparable_model
def test_no_turn_of_matching_increases_the_objective(case: Case) -> None:
    """And none is left that would decrease it."""
    model = labelled(case)
    params = [another(case, seed) for seed in range(3)]
    weights = np.array([0.3, 0.4, 0.3])
    found = aligned(model, params, weights, N_COMPONENTS)
    assert (np.diff(found.objectives) < 0).all()
    assert found.objectives[-1] == pytest.approx(
        objective(model, found.models, weights, found.params), rel=1e-12
    )
    for p, own in zip(found.models, found.divergences, strict=True):
        order: npt.NDArray[np.intp]
        for order in map(np.array, ORDERS):
            other = model.relative_entropy(model.relabelled(p, order, found.params), found.params)
            assert other >= own - 1e-9
