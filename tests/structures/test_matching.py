"""Relative entropies of models, by enumeration; their best labels, by trying all of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize

from latentcore import assignment as assignments
from latentcore.assignment import MatchedBy
from latentcore.estimators.components import reordered
from latentcore.families.categorical import Categorical, CategoricalParams
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.structures import matching
from latentcore.structures.chains import stationary_distribution
from latentcore.structures.hmm import HMM, HMMParams
from latentcore.structures.matching import HMMLabels, LabelCosts, MixtureLabels
from latentcore.structures.mixture import Mixture, MixtureParams
from latentcore.structures.topology import Topology

Array = npt.NDArray[np.float64]

CODES = Categorical((3,))


def relabel(family: Any) -> Any:
    return lambda params, order, like: reordered(family, params, order)


def mixtures(family: Any = CODES) -> MixtureLabels[Any, Any]:
    return MixtureLabels(Mixture(family), relabel(family))


def chains(lengths: list[int] | None, family: Any = CODES, **arguments: Any) -> HMMLabels[Any, Any]:
    given = None if lengths is None else np.array(lengths, np.int64)
    return HMMLabels(HMM(family, **arguments), relabel(family), given)


def mixture(seed: int, n: int = 3) -> MixtureParams[Any]:
    rng = np.random.default_rng(seed)
    codes = CategoricalParams(rng.dirichlet(np.ones(3), n))
    return MixtureParams(rng.dirichlet(np.full(n, 3.0)), codes)


def chain(seed: int, n: int = 3) -> HMMParams[Any]:
    rng = np.random.default_rng(seed)
    codes = CategoricalParams(rng.dirichlet(np.ones(3), n))
    return HMMParams(rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(n), n), codes)


def near(
    params: HMMParams[Any], seed: int, share: float
) -> tuple[HMMParams[Any], npt.NDArray[np.intp]]:
    """A model a little off, with its states in another order, and the order that undoes it."""
    other = chain(seed, len(params.initial))
    order = np.random.default_rng(seed).permutation(len(params.initial))

    def between(a: Array, b: Array) -> Array:
        return (1 - share) * a + share * b

    codes = between(params.emissions.probabilities, other.emissions.probabilities)
    law, rows = between(params.initial, other.initial), between(params.transition, other.transition)
    moved = HMMParams(law[order], rows[np.ix_(order, order)], CategoricalParams(codes[order]))
    return moved, np.argsort(order)


def orders_of(n: int) -> Iterator[Array]:
    return map(np.array, itertools.permutations(range(n)))


# -- relative entropies


def test_of_mixtures_is_the_sum_over_rows_and_components() -> None:
    a, b = mixture(1), mixture(2)
    joint_a = a.weights[:, None] * a.components.probabilities
    joint_b = b.weights[:, None] * b.components.probabilities
    expected = (joint_a * np.log(joint_a / joint_b)).sum()
    assert mixtures().relative_entropy(a, b) == pytest.approx(expected, rel=1e-13)


def joint_law(params: HMMParams[Any], length: int) -> Array:
    """Probabilities of all paths with all rows."""
    n, codes = len(params.initial), params.emissions.probabilities
    return np.array(
        [
            params.initial[path[0]]
            * np.prod([params.transition[i, j] for i, j in itertools.pairwise(path)])
            * np.prod([codes[z, x] for z, x in zip(path, rows, strict=True)])
            for path in itertools.product(range(n), repeat=length)
            for rows in itertools.product(range(3), repeat=length)
        ]
    )


@pytest.mark.parametrize("lengths", [[1], [4], [1, 3, 3]])
def test_of_chains_is_the_sum_over_rows_and_paths(lengths: list[int]) -> None:
    a, b = chain(1, 2), chain(2, 2)
    laws = [(joint_law(a, length), joint_law(b, length)) for length in lengths]
    expected = np.mean([(p * np.log(p / q)).sum() for p, q in laws])
    assert chains(lengths).relative_entropy(a, b) == pytest.approx(expected, rel=1e-12)


def test_by_row_of_an_endless_sequence_is_what_a_row_more_adds() -> None:
    a, b = chain(1), chain(2)
    stationary = HMMParams(stationary_distribution(a.transition), a.transition, a.emissions)
    for begins, length, error in ((stationary, 3, 1e-12), (a, 200, 1e-12)):
        longer, shorter = (chains([n]).relative_entropy(begins, b) for n in (length + 1, length))
        assert longer - shorter == pytest.approx(chains(None).relative_entropy(a, b), rel=error)


def test_is_the_bregman_divergence_of_the_log_partition_function() -> None:
    """Poissons: ``log p(k, x) = eta_k + x xi_k - A``, ``A = log sum_k exp(eta_k + exp xi_k)``."""
    weights = np.array([[0.2, 0.8], [0.6, 0.4]])
    rates = np.array([[1.0, 5.0], [2.0, 3.0]])
    a, b = (
        MixtureParams(w, PoissonParams(r[:, None])) for w, r in zip(weights, rates, strict=True)
    )

    def log_partition(*phi: Any) -> Any:
        return mpmath.log(sum(mpmath.exp(phi[k] + mpmath.exp(phi[2 + k])) for k in range(2)))

    phi, other = ([*(np.log(w) - r), *np.log(r)] for w, r in zip(weights, rates, strict=True))
    with mpmath.workdps(40):
        gradient = [
            mpmath.diff(log_partition, phi, tuple(int(i == k) for i in range(4))) for k in range(4)
        ]
        linear = sum(g * (q - p) for g, p, q in zip(gradient, phi, other, strict=True))
        expected = float(log_partition(*other) - log_partition(*phi) - linear)
    found = mixtures(Poisson()).relative_entropy(a, b)
    assert found == pytest.approx(expected, rel=1e-12)


def test_what_the_other_forbids_is_infinite_unless_it_never_happens() -> None:
    a, b = chain(1), chain(2)
    forbidding = b.transition.copy()
    forbidding[0] = 0.0, 0.5, 0.5
    never = HMMParams(b.initial, forbidding, b.emissions)
    assert chains([2]).relative_entropy(a, never) == np.inf
    assert chains([1]).relative_entropy(a, never) < np.inf
    with_none = MixtureParams(np.array([0.0, 0.4, 0.6]), mixture(2).components)
    assert mixtures().relative_entropy(mixture(1), with_none) == np.inf
    assert 0 < mixtures().relative_entropy(with_none, mixture(1)) < np.inf


# -- orders


def test_cost_is_the_sum_by_definition_and_exchanges_change_it_as_they_say() -> None:
    rng, n = np.random.default_rng(0), 5
    costs = LabelCosts(
        rng.normal(size=(n, n)),
        tuple((rng.normal(size=(n, n)), rng.normal(size=(n, n))) for _ in range(2)),
        1.5,
    )
    order = rng.permutation(n)

    def cost(o: Any) -> float:
        linear = sum(costs.linear[k, o[k]] for k in range(n))
        pairs = sum(
            x[k, m] * y[o[k], o[m]] for x, y in costs.pairs for k in range(n) for m in range(n)
        )
        return float(linear + pairs + 1.5)

    assert costs.of(order[None])[0] == pytest.approx(cost(order), rel=1e-13)
    growth = costs.exchanges(order)
    for i, j in np.ndindex(n, n):
        exchanged = order.copy()
        exchanged[[i, j]] = order[[j, i]]
        assert growth[i, j] == pytest.approx(cost(exchanged) - cost(order), abs=1e-12)


@pytest.mark.parametrize("by", ["joint", "symmetric"])
@pytest.mark.parametrize("n", [1, 2, 4, 5])
@pytest.mark.parametrize("lengths", ["mixture", [5], [1, 8], None], ids=str)
def test_matched_order_is_the_best_of_all(lengths: Any, n: int, by: MatchedBy) -> None:
    labels: Any = mixtures() if lengths == "mixture" else chains(lengths)
    make = mixture if lengths == "mixture" else chain
    a, b = make(3, n), make(4, n)

    def entropy(order: Any) -> float:
        same = labels.relabelled(a, order, b)
        there = labels.relative_entropy(same, b)
        return there if by == "joint" else there + labels.relative_entropy(b, same)

    found = labels.match(a, b, by)
    assert found.cost == pytest.approx(min(map(entropy, orders_of(n))), rel=1e-11)
    assert entropy(found.order) == pytest.approx(found.cost, rel=1e-11)


@pytest.mark.parametrize("n", [5, 6, 7])
@pytest.mark.parametrize("seed", range(4))
def test_search_by_exchanges_finds_the_best_order_of_models_alike(
    n: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = chain(seed, n)
    b, order = near(a, seed + 50, 0.3)
    best = chains([20]).match(b, a, "symmetric")
    monkeypatch.setattr(matching, "_ALL_ORDERS", 0)
    found = chains([20]).match(b, a, "symmetric")
    assert found.cost == pytest.approx(best.cost, rel=1e-12)
    np.testing.assert_array_equal(found.order, order)


@pytest.mark.parametrize("seed", range(3))
def test_search_by_exchanges_ends_where_none_helps_and_below_its_begin(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, n = chains([20]), 7
    a, b = chain(seed, n), chain(seed + 50, n)
    best = labels.match(b, a, "joint")
    monkeypatch.setattr(matching, "_ALL_ORDERS", 0)
    begin = np.random.default_rng(seed).permutation(n)
    found = labels.match(b, a, "joint", begin)

    def entropy(order: Any) -> float:
        return labels.relative_entropy(labels.relabelled(b, order, a), a)

    assert best.cost - 1e-12 <= found.cost < entropy(begin)
    for i, j in itertools.combinations(range(n), 2):
        exchanged = found.order.copy()
        exchanged[[i, j]] = found.order[[j, i]]
        assert entropy(exchanged) > found.cost - 1e-9
    again = labels.match(b, a, "joint", best.order)
    np.testing.assert_array_equal(again.order, best.order)


@pytest.mark.parametrize("by", ["joint", "symmetric"])
@pytest.mark.parametrize("seed", range(4))
def test_search_from_many_orders_finds_the_best_of_models_unlike(
    seed: int, by: MatchedBy, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = chain(seed, 7), chain(seed + 50, 7)
    best = chains(None).match(b, a, by)
    monkeypatch.setattr(matching, "_ALL_ORDERS", 0)
    found = chains(None).match(b, a, by)
    assert found.cost == pytest.approx(best.cost, rel=1e-12)
    np.testing.assert_array_equal(chains(None).match(b, a, by).order, found.order)


@pytest.mark.parametrize("n", [8, 9, 15])
def test_search_ends_no_higher_than_those_of_scipy(n: int) -> None:
    """Whose costs have no linear part."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x, y = rng.dirichlet(np.ones(n), n), -np.log(rng.dirichlet(np.ones(n), n))
        costs = LabelCosts(np.zeros((n, n)), ((x, y),))
        found = costs.best()
        assert found.cost == pytest.approx(float(costs.of(found.order[None])[0]), rel=1e-14)
        for method, options in (("faq", {}), ("2opt", {"rng": rng})):
            theirs = optimize.quadratic_assignment(x, y, method=method, options=options).col_ind
            assert found.cost <= costs.of(theirs[None])[0] + 1e-12


def test_many_states_that_only_their_chain_tells_apart_are_matched() -> None:
    n = 30
    rng = np.random.default_rng(1)
    means = np.repeat(rng.normal(size=(n // 2, 1)) * 3, 2, axis=0)  # pairs of states with one mean
    family = Gaussian("spherical")
    transition = 0.7 * np.eye(n)[(np.arange(n) + 1) % n] + 0.3 * rng.dirichlet(np.ones(n), n)
    a = HMMParams(np.full(n, 1 / n), transition, family.params(means, np.ones(n)))
    order = rng.permutation(n)
    b = HMMParams(
        a.initial, transition[np.ix_(order, order)], family.params(means[order], np.ones(n))
    )
    for lengths in ([50], None):
        found = chains(lengths, family).match(b, a, "symmetric")
        assert found.cost == pytest.approx(0.0, abs=1e-9)
        np.testing.assert_array_equal(found.order, np.argsort(order))


def test_zeros_are_matched_with_zeros() -> None:
    a = mixture(1)
    a = MixtureParams(np.array([0.0, 0.5, 0.5]), a.components)
    order = np.array([2, 0, 1])
    b = MixtureParams(a.weights[order], CategoricalParams(mixture(9).components.probabilities))
    assert mixtures().match(b, a, "symmetric").order[0] == 1
    cyclic = chain(1)
    ring = HMMParams(
        cyclic.initial, np.array([[0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]]), cyclic.emissions
    )
    backwards = HMMParams(ring.initial, ring.transition.T.copy(), ring.emissions)
    found = chains([9]).match(backwards, ring, "symmetric").order
    same = chains([9]).relabelled(backwards, found, ring)
    np.testing.assert_array_equal(same.transition, ring.transition)


@pytest.mark.parametrize("by", ["symmetric", "unweighted"])
@pytest.mark.parametrize("structure", ["mixture", "chain"])
def test_codes_that_only_one_model_knows_hide_no_labels(structure: str, by: MatchedBy) -> None:
    """All relative entropies are infinite, both ways, and all mean the same."""
    rng, n = np.random.default_rng(0), 8
    codes = rng.dirichlet(np.full(10, 0.5), n) + 1e-3
    order = rng.permutation(n)

    def without(code: int, p: Array) -> Any:
        p = p * (np.arange(10) != code)
        return CategoricalParams(p / p.sum(axis=1, keepdims=True))

    family, rows = Categorical((10,)), rng.dirichlet(np.full(n, 5.0), n)
    if structure == "mixture":
        labels: Any = mixtures(family)
        a: Any = MixtureParams(np.full(n, 1 / n), without(0, codes))
        b: Any = MixtureParams(a.weights, without(1, codes[order]))
    else:
        labels = chains(None, family)
        a = HMMParams(rows[0], rows, without(0, codes))
        b = HMMParams(rows[0], rows[np.ix_(order, order)], without(1, codes[order]))
    np.testing.assert_array_equal(labels.match(b, a, by).order, np.argsort(order))
    assert labels.margin(labels.relabelled(b, np.argsort(order), a), a) > 1 / 3
    assert labels.relative_entropy(a, b) == np.inf


def test_infinite_costs_that_an_exchange_keeps_do_not_make_doubt() -> None:
    """Of a component that only one model uses, which is infinitely far from all of the other's."""
    labels = mixtures(Gaussian("spherical"))
    found = labels.margin(spheres([0.0, 9.0, 50.0]), spheres([0.1, 9.0, 50.0], [0.5, 0.5, 0.0]))
    assert found > 0.9
    unlike = LabelCosts(np.ones((2, 2)), infinite=np.array([[0.0, 1.0], [0.0, 0.0]]))
    assert unlike.margin() == 1
    assert unlike.with_all().best().order.tolist() == [0, 1]


def test_unweighted_matching_looks_at_components_alone() -> None:
    """Weights that changed places outweigh components that are three nats apart."""
    params = [
        MixtureParams(
            np.array(w), Gaussian("spherical").params(np.array([[0.0], [2.4]]), np.ones(2))
        )
        for w in ([0.999, 0.001], [0.001, 0.999])
    ]
    labels = mixtures(Gaussian("spherical"))
    assert labels.match(params[0], params[1], "symmetric").order.tolist() == [1, 0]
    assert labels.match(params[0], params[1], "unweighted").order.tolist() == [0, 1]
    a = chain(1, 4)
    b, order = near(a, 3, 0.02)
    np.testing.assert_array_equal(chains([3]).match(b, a, "unweighted").order, order)


# -- margins


def spheres(means: list[float], weights: list[float] | None = None) -> MixtureParams[Any]:
    shares = np.full(len(means), 1 / len(means)) if weights is None else np.array(weights)
    components = Gaussian("spherical").params(np.array(means)[:, None], np.ones(len(means)))
    return MixtureParams(shares, components)


def test_margin_is_the_share_of_divergence_that_the_labels_save() -> None:
    labels = mixtures(Gaussian("spherical"))
    own, exchanged = 0.1**2 + 0.2**2, 1.2**2 + 0.9**2
    found = labels.margin(spheres([0.0, 1.0, 50.0]), spheres([0.1, 1.2, 53.0]))
    assert found == pytest.approx(1 - own / exchanged, rel=1e-12)
    assert labels.margin(spheres([0.0, 1.0]), spheres([0.5, 0.5])) == pytest.approx(0.0, abs=1e-12)
    found = labels.margin(spheres([0.0, 1.0]), spheres([0.8, 0.2]))
    assert found == pytest.approx(0.2**2 / 0.8**2 - 1, rel=1e-12)
    assert labels.margin(spheres([0.0, 1.0]), spheres([1.0, 0.0])) == -1


def test_components_that_are_the_same_do_not_make_labels_doubtful() -> None:
    labels = mixtures(Gaussian("spherical"))
    assert labels.margin(spheres([0.0, 0.0, 5.0]), spheres([0.0, 0.0, 5.0])) == pytest.approx(1)


def test_margin_of_a_chain_counts_what_states_have_of_its_divergence() -> None:
    """By definition: the least over exchanges of growth over it and what the two states have."""
    labels, a, b = chains([6]), chain(1), near(chain(1), 7, 0.3)[0]
    b = labels.relabelled(b, labels.match(b, a, "symmetric").order, a)

    def both(p: Any, q: Any) -> float:
        return labels.relative_entropy(p, q) + labels.relative_entropy(q, p)

    def shares(p: Any, q: Any) -> Array:
        u = [p.initial]
        for _ in range(5):
            u.append(u[-1] @ p.transition)
        left, visited = sum(u[:-1]), sum(u)
        rows = (p.transition * np.log(p.transition / q.transition)).sum(axis=1)
        codes = p.emissions.probabilities
        emitted = (codes * np.log(codes / q.emissions.probabilities)).sum(axis=1)
        return np.asarray(
            p.initial * np.log(p.initial / q.initial) + left * rows + visited * emitted
        )

    own = shares(a, b) + shares(b, a)
    assert own.sum() == pytest.approx(both(a, b), rel=1e-12)
    ratios = []
    for i, j in itertools.combinations(range(3), 2):
        order = np.arange(3)
        order[[i, j]] = j, i
        growth = both(labels.relabelled(b, order, a), a) - both(b, a)
        ratios.append(growth / (own[i] + own[j] + growth))
    assert labels.margin(b, a) == pytest.approx(min(ratios), rel=1e-10)


def test_states_that_only_the_way_into_them_tells_apart_are_not_the_same() -> None:
    """States 0 and 1 emit alike and go on alike, so that they pay nothing for being exchanged; state 2 pays it all."""
    labels, codes = chains([50]), CategoricalParams(np.array([[0.5, 0.5], [0.5, 0.5], [0.1, 0.9]]))

    def entered(first: float, second: float) -> HMMParams[Any]:
        rows = np.array([[0.2, 0.2, 0.6], [0.2, 0.2, 0.6], [first, second, 0.1]])
        return HMMParams(np.full(3, 1 / 3), rows, codes)

    a, b = entered(0.8, 0.1), entered(0.1, 0.8)
    assert labels.match(b, a, "symmetric").order.tolist() == [1, 0, 2]
    assert labels.margin(b, a) == -1
    assert labels.margin(a, a) > 0


# -- statistics


def test_an_endless_sequence_weighs_rows_and_keeps_the_mean_start() -> None:
    a, labels = chain(1), chains(None)
    stats_of = labels.statistics(a)
    np.testing.assert_array_equal(stats_of.starts, a.initial)
    assert stats_of.counts.sum() == pytest.approx(1, rel=1e-14)
    topology = Topology.ergodic(3, start="stationary")
    assert not chains(None, topology=topology).statistics(a).starts.any()


@pytest.mark.parametrize(
    ("transition", "problem"),
    [
        ([[0.5, 0.5], [0.0, 1.0]], r"leaves the states \[0\] for good, got None"),
        ([[1.0, 0.0], [0.0, 1.0]], "no single stationary law .*got 2"),
    ],
)
def test_a_chain_that_does_not_come_back_needs_lengths(
    transition: list[list[float]], problem: str
) -> None:
    a = chain(1, 2)
    never = HMMParams(a.initial, np.array(transition), a.emissions)
    with pytest.raises(ValueError, match=f"lengths: expected .*{problem}"):
        chains(None).relative_entropy(never, a)
    assert chains([3]).relative_entropy(never, a) > 0


# -- linear assignments


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("n_infinite", [0, 3, 25])
def test_assignment_is_the_best_of_all_and_avoids_infinite_costs(n: int, n_infinite: int) -> None:
    rng = np.random.default_rng(n)
    costs = rng.normal(size=(n, n))
    costs.flat[rng.permutation(n * n)[:n_infinite]] = np.inf
    labels = np.arange(n)

    def rank(order: Any) -> tuple[int, float]:
        paid = costs[labels, order]
        return int(np.isinf(paid).sum()), float(paid[np.isfinite(paid)].sum())

    found = rank(assignments.assignment(costs))
    best = min(map(rank, orders_of(n)))
    assert found[0] == best[0]
    assert found[1] == pytest.approx(best[1], abs=1e-12)


def test_missing_scipy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"pip install 'latentcore\[scipy\]'"):
        mixtures().match(mixture(1), mixture(2), "joint")


def test_a_family_without_relative_entropy_is_named() -> None:
    class Plain:
        pass

    with pytest.raises(TypeError, match=r"a method 'relative_entropy', got .*Plain"):
        mixtures(Plain()).relative_entropy(mixture(1), mixture(2))
