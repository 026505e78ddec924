"""M-steps of a chain: forbidden, given and equal transitions, and stationary starts, by the conditions of a maximum."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize

from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import GammaPrior
from latentcore.rules.em import EM, MAPEM
from latentcore.sequences import Sequences
from latentcore.structures.hmm import HMM, HMMParams, HMMPrior
from latentcore.structures.stationary import stationary_slope
from latentcore.structures.topology import Topology

Array = npt.NDArray[np.float64]
S = 4
NAN = np.nan
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0], [1, 0, 1, 1]])
FIXED = np.array(
    [[NAN, 0.2, NAN, NAN], [0.1, NAN, NAN, 0.3], [0.25, 0.25, 0.5, 0.0], [NAN, NAN, NAN, NAN]]
)
TIES = np.array([[0, 1, 1, -1], [1, 0, -1, 2], [2, 2, 0, -1], [1, -1, -1, 0]])
WITHIN_ROWS = np.array([[0, 0, -1, -1], [1, 1, -1, -1], [2, 2, 3, 3], [4, 4, 4, -1]])
DIAGONAL = np.where(np.eye(S), 0, -1)
ONE_STAY = np.full((S, S), NAN)
ONE_STAY[0, 0] = 0.7

CASES = {
    "ergodic": Topology(),
    "mask": Topology(MASK),
    "left-to-right": Topology.left_to_right(S, 2, first=False),
    "banded": Topology.banded(S, 1),
    "cyclic": Topology.cyclic(S),
    "fixed": Topology(fixed_transitions=FIXED),
    "fixed-and-mask": Topology(np.where(np.isnan(FIXED), MASK, 1), fixed_transitions=FIXED),
    "equal-stays": Topology.ergodic(S, equal_stays=True),
    "equal-stays-left-to-right": Topology.left_to_right(S, equal_stays=True),
    "ties": Topology(ties=TIES),
    "ties-within-rows": Topology(ties=WITHIN_ROWS),
    "ties-and-fixed": Topology(fixed_transitions=FIXED, ties=np.where(np.isnan(FIXED), TIES, -1)),
    "tie-to-fixed": Topology(fixed_transitions=ONE_STAY, ties=DIAGONAL),
    "circulant": Topology(ties=(np.arange(S) - np.arange(S)[:, None]) % S),
}
N_PARAMETERS = {
    "ergodic": 12, "mask": 8, "left-to-right": 5, "banded": 6, "cyclic": 4, "fixed": 2 + 1 + 0 + 3,
    "fixed-and-mask": 1 + 1 + 0 + 2, "equal-stays": 1 + 4 * 2, "equal-stays-left-to-right": 1, "ties": 3 + 5 - 4,
    "ties-within-rows": 2 + 2 + 1 + 1, "ties-and-fixed": 2 + 4 - 3, "tie-to-fixed": 8, "circulant": 3,
}  # fmt: skip
every_case = pytest.mark.parametrize("name", CASES)
every_kind_of_counts = pytest.mark.parametrize("kind", ["ordinary", "extreme", "some-zero"])


def counts_of(kind: str, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    counts = rng.gamma(1.0, 30.0, (S, S))
    if kind == "extreme":
        counts *= 10.0 ** rng.uniform(-25, 5, (S, S))
    if kind == "some-zero":
        counts *= rng.random((S, S)) < 0.6
    return counts


def unknowns(topology: Topology) -> list[tuple[Array, bool]]:
    """(S, S) indicators of the entries that are one probability, by definition, and whether it is free."""
    mask = np.ones((S, S)) if topology.mask is None else topology.mask
    fixed = (
        np.full((S, S), NAN) if topology.fixed_transitions is None else topology.fixed_transitions
    )
    ties = np.full((S, S), -1) if topology.ties is None else topology.ties
    names = np.where(ties >= 0, ties, 100 + np.arange(S * S).reshape(S, S))
    found = []
    for name in np.unique(names):
        places = (names == name).astype(float)
        found.append((places, bool(np.all(mask[places > 0]) and np.isnan(fixed[places > 0]).all())))
    return found


def free_directions(topology: Topology) -> Array:
    """(n, S, S): a basis of the changes of a transition matrix that the topology allows."""
    free = np.array([places for places, is_free in unknowns(topology) if is_free])
    sums = free.sum(axis=2).T
    _, values, vectors = np.linalg.svd(sums)
    rank = int((values > 1e-10).sum())
    return np.tensordot(vectors[rank:], free, axes=1)


def assert_respects(topology: Topology, transition: Array) -> None:
    np.testing.assert_allclose(transition.sum(axis=1), 1.0, rtol=0, atol=2e-12)
    assert (transition >= 0).all()
    if topology.mask is not None:
        assert (transition[~topology.mask] == 0).all()
    if topology.fixed_transitions is not None:
        given = ~np.isnan(topology.fixed_transitions)
        np.testing.assert_array_equal(transition[given], topology.fixed_transitions[given])
    for places, _ in unknowns(topology):
        assert np.ptp(transition[places > 0]) == 0
    topology.check_law(None, transition)


def some_matrix(topology: Topology, seed: int) -> Array:
    return topology.project(
        np.full(S, 1 / S), np.random.default_rng(seed).dirichlet(np.ones(S), S)
    )[1]


def maximized(topology: Topology, counts: Array, previous: Array) -> Array:
    start = np.full(S, 1 / S)
    return topology.maximize(np.zeros(S), counts, (start, previous))[1]


@every_case
@every_kind_of_counts
@pytest.mark.parametrize("seed", range(3))
def test_no_multipliers_could_raise_the_likelihood(name: str, kind: str, seed: int) -> None:
    """The conditions of Karush, Kuhn and Tucker: of unknowns with counts n, n = p s, s >= 0, s sums of the rows'
    multipliers."""
    topology, counts = CASES[name], counts_of(kind, seed)
    transition = maximized(topology, counts, some_matrix(topology, seed))
    assert_respects(topology, transition)

    free = np.array([places for places, is_free in unknowns(topology) if is_free])
    n = (free * counts).sum(axis=(1, 2))
    n *= S / n.sum()
    p = (free * transition).max(axis=(1, 2))
    in_rows = free.sum(axis=2)
    positive = p > 1e-6
    scale = np.sqrt(p[positive])
    multipliers = np.linalg.lstsq(
        in_rows[positive] * scale[:, None], n[positive] / scale, rcond=1e-12
    )[0]
    slopes = in_rows @ multipliers
    np.testing.assert_allclose(p * slopes, n, rtol=0, atol=1e-10)
    assert slopes.min() > -1e-7


@every_case
@pytest.mark.parametrize("kind", ["ordinary", "some-zero"])
def test_no_other_method_finds_a_larger_likelihood(name: str, kind: str) -> None:
    topology, counts = CASES[name], counts_of(kind, 7)
    counts = counts / counts.sum()
    previous = some_matrix(topology, 7)
    directions = free_directions(topology)

    def loss(z: Any) -> float:
        matrix = previous + np.tensordot(z, directions, axes=1)
        used = (counts > 0) & (previous > 0)
        return float(-counts[used] @ np.log(np.maximum(matrix[used], 1e-300)))

    ours = maximized(topology, counts, previous)
    reached = np.linalg.lstsq(directions.reshape(len(directions), -1).T, (ours - previous).ravel())[
        0
    ]
    found = optimize.minimize(
        loss, 0.5 * reached, method="SLSQP", options={"ftol": 1e-14, "maxiter": 100},
        constraints={"type": "ineq", "fun": lambda z: (previous + np.tensordot(z, directions, axes=1)).ravel()},
    )  # fmt: skip
    assert loss(reached) <= found.fun + 1e-9
    assert loss(reached) <= loss(np.zeros(len(directions))) + 1e-15


@every_case
def test_maximum_of_a_matrix_is_the_matrix(name: str) -> None:
    topology = CASES[name]
    transition = some_matrix(topology, 1)
    usage = np.array([3.0, 40.0, 1e-3, 2.0])[:, None]
    got = maximized(topology, usage * transition, some_matrix(topology, 2))
    np.testing.assert_allclose(got, transition, rtol=0, atol=1e-12)


@every_case
def test_without_counts_the_previous_matrix_stays(name: str) -> None:
    topology = CASES[name]
    previous = some_matrix(topology, 3)
    got = maximized(topology, np.zeros((S, S)), previous)
    np.testing.assert_allclose(got, previous, rtol=0, atol=1e-12)


@every_case
def test_what_was_zero_stays_zero_unless_counts_say_otherwise(name: str) -> None:
    topology = CASES[name]
    previous = some_matrix(topology, 4)
    kept = topology.ties if topology.ties is not None else np.full((S, S), -1)
    alone = np.argwhere((kept < 0) & (previous > 0) & (previous < 1))
    fixed = topology.fixed_transitions
    free = [at for at in map(tuple, alone) if fixed is None or np.isnan(fixed[at])]
    if not free:
        assert name in ("circulant", "equal-stays-left-to-right")
        return
    zeroed = previous.copy()
    zeroed[free[0]] = 0.0
    counts = counts_of("ordinary", 4) * (zeroed > 0)
    assert maximized(topology, counts, zeroed)[free[0]] == 0.0
    counts[free[0]] = 5.0
    assert maximized(topology, counts, zeroed)[free[0]] > 0.0


@every_case
def test_number_of_parameters_is_the_dimension(name: str) -> None:
    topology = CASES[name]
    assert topology.n_parameters(S) == N_PARAMETERS[name] + 3 * (topology.start_mask is None)
    assert len(free_directions(topology)) == N_PARAMETERS[name]


@every_case
def test_copies_are_equal_and_others_are_not(name: str) -> None:
    topology = CASES[name]
    for copied in (copy.deepcopy(topology), pickle.loads(pickle.dumps(topology))):
        assert copied == topology
        assert hash(copied) == hash(topology)
    assert sum(topology == other for other in CASES.values()) == 1


def test_rows_that_ties_force_may_be_positive_without_counts() -> None:
    """The tied stay has probability 1/2 by the first row; rows without counts keep the shares
    of what it leaves them."""
    topology = Topology.ergodic(3, equal_stays=True)
    counts = np.array([[50.0, 30.0, 20.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    previous = np.array([[0.2, 0.4, 0.4], [0.6, 0.2, 0.2], [0.8, 0.0, 0.2]])
    expected = [[0.5, 0.3, 0.2], [0.375, 0.5, 0.125], [0.5, 0.0, 0.5]]
    _, got = topology.maximize(np.zeros(3), counts, (np.ones(3) / 3, previous))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_start_is_shared_by_what_is_not_given() -> None:
    mask: Any = [1, 1, 1, 0]
    fixed: Any = [0.4, NAN, NAN, NAN]
    topology = Topology(start_mask=mask, fixed_start=fixed)
    initial, _ = topology.maximize(np.array([100.0, 1.0, 3.0, 9.0]), np.zeros((S, S)))
    np.testing.assert_allclose(initial, [0.4, 0.15, 0.45, 0.0], rtol=1e-15)
    assert topology.n_parameters(S) == 1 + 12


def test_fixed_start_stays() -> None:
    law = np.array([0.1, 0.2, 0.3, 0.4])
    topology = Topology(start="fixed")
    initial, _ = topology.maximize(np.ones(S), np.ones((S, S)), (law, np.full((S, S), 0.25)))
    np.testing.assert_array_equal(initial, law)
    np.testing.assert_array_equal(Topology(fixed_start=law, start="fixed").initial(S)[0], law)
    assert topology.n_parameters(S) == 12


@pytest.mark.parametrize(
    ("topology", "only"),
    [
        (Topology(), True),
        (Topology.left_to_right(3), True),
        (Topology(start="fixed"), False),
        (Topology(ties=DIAGONAL), False),
        (Topology(fixed_start=np.array([0.5, NAN, NAN])), False),
    ],
)
def test_it_is_known_whether_rows_are_free_but_for_masks(topology: Topology, only: bool) -> None:
    assert topology.only_masks is only


# -- stationary starts

STATIONARY = {
    name: Topology(case.mask, None, case.fixed_transitions, None, case.ties, "stationary")
    for name, case in CASES.items()
}
every_stationary = pytest.mark.parametrize("name", STATIONARY)


@pytest.mark.parametrize("of", [CASES, STATIONARY], ids=["free", "stationary"])
@every_case
def test_it_starts_with_a_law_that_it_accepts(name: str, of: dict[str, Topology]) -> None:
    initial, transition = of[name].initial(S)
    assert_respects(of[name], transition)
    of[name].check_law(initial, transition)
    start, allowed = of[name].allowed(S)
    np.testing.assert_array_equal(start, initial > 0)
    np.testing.assert_array_equal(allowed, transition > 0)
    again = of[name].maximize(np.zeros(S), np.zeros((S, S)))
    np.testing.assert_allclose(again[1], transition, rtol=0, atol=1e-12)


def stationary_law(transition: Array) -> Array:
    """By least squares; of random matrices."""
    a = np.vstack([transition.T - np.eye(S), np.ones(S)])
    law: Array = np.linalg.lstsq(a, np.append(np.zeros(S), 1.0))[0]
    return law


def objective(transition: Array, starts: Array, counts: Array) -> float:
    law = stationary_law(transition)
    used, begun = counts > 0, starts > 0
    if (transition[used] <= 0).any() or (law[begun] <= 0).any():
        return -np.inf
    return float(counts[used] @ np.log(transition[used]) + starts[begun] @ np.log(law[begun]))


@pytest.mark.parametrize("seed", range(3))
def test_slope_of_the_stationary_law_is_that_of_differences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    transition, starts = rng.dirichlet(np.ones(S), S), rng.gamma(1.0, size=S)
    slope = stationary_slope(transition, stationary_law(transition), starts)
    for change in free_directions(Topology()):
        h = 1e-6
        up, down = (
            starts @ np.log(stationary_law(transition + sign * h * change)) for sign in (1, -1)
        )
        assert (slope * change).sum() == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-8)


@every_stationary
@pytest.mark.parametrize("per_start", [1e4, 10.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_no_allowed_change_raises_the_likelihood_of_a_stationary_chain(
    name: str, per_start: float, seed: int
) -> None:
    """For long sequences, short ones, and where the starts say more than the transitions."""
    topology = STATIONARY[name]
    rng = np.random.default_rng(seed)
    previous = some_matrix(topology, seed)
    visited = stationary_law(previous) > 1e-12
    starts = rng.gamma(1.0, 10.0, S) * visited
    counts = rng.gamma(1.0, per_start, (S, S)) * (previous > 0)
    law, got = topology.maximize(starts, counts, (stationary_law(previous), previous))
    assert_respects(topology, got)
    np.testing.assert_allclose(law, stationary_law(got), rtol=0, atol=1e-12)
    reached = objective(got, starts, counts)
    assert reached >= objective(previous, starts, counts) - 1e-12 * abs(reached)
    if "left-to-right" in name:
        return  # its law is a point
    for change in free_directions(topology):
        h = 1e-4 * got[change != 0].min()
        higher, lower = (objective(got + sign * h * change, starts, counts) for sign in (1, -1))
        rounding = 1e-12 * abs(reached)
        assert max(higher, lower) <= reached + rounding
        # to the first order nothing changes, compared with what one entry alone would
        assert (
            abs(higher - lower)
            <= 1e-6 * h * (np.abs(change) * counts).sum() / got[change != 0].min() + rounding
        )


@every_stationary
@pytest.mark.parametrize("per_start", [1e4, 10.0, 0.3])
def test_most_likely_stationary_chain_is_found_to_the_last_digits(
    name: str, per_start: float
) -> None:
    """From near it, where likelihoods differ by less than rounding, as from afar."""
    topology = STATIONARY[name]
    rng = np.random.default_rng(5)
    previous = some_matrix(topology, 5)
    starts = rng.gamma(1.0, 10.0, S) * (stationary_law(previous) > 1e-12)
    counts = (0.1 + rng.gamma(1.0, per_start, (S, S))) * (previous > 0)
    found = topology.maximize(starts, counts, (stationary_law(previous), previous))
    near = topology.project(found[0], found[1] * (1.0 + 1e-7 * rng.normal(size=(S, S))))
    for ours, theirs in zip(topology.maximize(starts, counts, near), found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("seed", [17, 52, 55])
def test_states_that_are_next_to_never_left_do_not_slow_the_way_to_the_maximum(seed: int) -> None:
    """Rows that hardly count curve the likelihood hardly; a second search finds nothing that the first has left."""
    rng = np.random.default_rng(seed)
    starts, counts = rng.gamma(1.0, 3.0, S), rng.gamma(0.05, 10.0, (S, S))
    topology = Topology(start="stationary")
    found = topology.maximize(starts, counts, (np.full(S, 1 / S), np.full((S, S), 1 / S)))
    again = topology.maximize(starts, counts, found)
    reached = objective(found[1], starts, counts)
    assert objective(again[1], starts, counts) - reached <= 1e-13 * abs(reached)


@pytest.mark.parametrize("seed", range(3))
def test_likelihood_of_a_stationary_chain_is_that_of_a_quasi_newton_method(seed: int) -> None:
    rng = np.random.default_rng(seed)
    starts, counts = rng.gamma(1.0, 3.0, S), rng.gamma(1.0, 3.0, (S, S))

    def loss(z: Array) -> float:
        weights = np.exp(z.reshape(S, S))
        return -objective(weights / weights.sum(axis=1, keepdims=True), starts, counts)

    previous = np.full((S, S), 0.25)
    got = Topology(start="stationary").maximize(starts, counts, (np.full(S, 0.25), previous))[1]
    found = optimize.minimize(loss, np.zeros(S * S), method="BFGS")
    assert objective(got, starts, counts) == pytest.approx(-found.fun, abs=1e-8)


def test_zero_counts_of_a_stationary_chain_do_not_make_it_fall_apart() -> None:
    """Two states that were never left: by transitions alone there would be two closed classes."""
    counts, starts = np.diag([5.0, 9.0]), np.array([2.0, 1.0])
    previous = np.array([[0.9, 0.1], [0.3, 0.7]])
    law, got = Topology(start="stationary").maximize(
        starts, counts, (np.array([0.75, 0.25]), previous)
    )
    assert (got > 0).all()
    before = counts.diagonal() @ np.log(previous.diagonal()) + starts @ np.log([0.75, 0.25])
    assert counts.diagonal() @ np.log(got.diagonal()) + starts @ np.log(law) > before


def test_given_matrix_stays_whatever_the_starts_say() -> None:
    given = np.array([[0.9, 0.1], [0.2, 0.8]])
    topology = Topology(fixed_transitions=given, start="stationary")
    law, got = topology.maximize(np.array([1.0, 5.0]), np.ones((2, 2)))
    np.testing.assert_array_equal(got, given)
    np.testing.assert_allclose(law, [2 / 3, 1 / 3])
    assert topology.n_parameters(2) == 0
    assert Topology(start="stationary").maximize(np.ones(1), np.ones((1, 1)))[1].tolist() == [[1.0]]


# -- what cannot be


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask": [[1, 0], [0, 0]]}, r"^mask: expected an allowed state in row 1, got none$"),
        ({"mask": [[1, 1, 1]] * 2}, r"^mask: expected shape \(2, 2\), got \(2, 3\)$"),
        ({"mask": [[1, 2], [1, 1]]}, r"^mask: expected an array of True and False, got"),
        ({"mask": [["x"]]}, r"^mask: expected an array of True and False, got"),
        ({"start_mask": [0, 0]}, r"^start_mask: expected an allowed state, got none$"),
        ({"mask": np.eye(2), "start_mask": [1, 1, 0]}, r"^start_mask: expected shape \(2,\), got \(3,\)$"),
        ({"fixed_start": [0.5, 0.6]}, r"^fixed_start: expected a sum of 1, got 1.1$"),
        ({"fixed_start": [1.0, NAN]}, r"^fixed_start: expected a sum below 1, which has free entries, got 1.0"),
        ({"fixed_start": [-0.1, NAN]}, r"^fixed_start: .* from 0 to 1, .* got -0.1 at \[0\]$"),
        ({"fixed_start": [0.2, NAN], "start_mask": [0, 1]}, r"^fixed_start: expected 0 or NaN .* got 0.2 at \[0\]$"),
        ({"fixed_transitions": [[NAN, NAN], [1.2, NAN]]}, r"^fixed_transitions: .* got 1.2 at \[1, 0\]$"),
        ({"fixed_transitions": [[0.5, 0.4], [NAN, NAN]]}, r"^fixed_transitions: .* a sum of 1 in row 0, got 0.9$"),
        ({"fixed_transitions": [[NAN, 0.3]] * 2, "mask": np.eye(2)}, r"^fixed_transitions: .* forbids, got 0.3 at"),
        ({"ties": [[0.5, 1], [1, 1]]}, r"^ties: expected an array of integers, got"),
        ({"ties": [[0, -1], [-1, 0]], "mask": [[1, 1], [1, 0]]}, "^ties: .* allows or forbids together, got 0"),
        ({"ties": [[0, -1], [-1, 0]], "fixed_transitions": [[0.5, NAN], [NAN, 0.4]]}, r"^ties: expected equal fixed"),
        ({"ties": [[0, 0], [0, -1]], "fixed_transitions": [[NAN, NAN], [NAN, 0.2]]}, "^ties: with these"),
        ({"ties": [[0, 0], [0, 0]], "mask": [[1, 1], [1, 0]]}, r"^ties: .* allows or forbids together"),
        ({"ties": [[0, 9], [0, 0]], "fixed_transitions": [[NAN, 0.9], [NAN, NAN]]}, "^ties: with these"),
        ({"ties": [[0, -1], [0, 0]], "mask": [[1, 0], [1, 1]]}, "^ties: with these"),
        ({"ties": [[0, 1, -1], [0, 1, 1], [-1] * 3], "mask": [[1, 1, 0], [1] * 3, [1] * 3]}, "^ties: with these"),
        ({"start": "stationry"}, r"^start: expected 'free', 'fixed' or 'stationary', got 'stationry'$"),
        ({"start": "stationary", "start_mask": [1, 0]}, r"^start_mask: expected None with start='stationary'"),
        ({"start": "stationary", "mask": np.eye(2)}, r"^mask: expected one closed class .* got 2: \[0\], \[1\]$"),
    ],
)  # fmt: skip
def test_contradictions_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Topology(**arguments)


def test_number_of_states_has_to_agree() -> None:
    with pytest.raises(ValueError, match=r"^topology: expected one of 3 states, got one of 4$"):
        Topology(MASK).check(3)
    Topology().check(3)


@pytest.mark.parametrize(
    ("topology", "initial", "transition", "message"),
    [
        (Topology.left_to_right(2), [0.5, 0.5], None, r"^startprob: expected 0.0 at 1, .* got 0.5$"),
        (Topology.left_to_right(2), None, [[0.5, 0.5], [0.1, 0.9]], r"^transmat: expected 0.0 at \(1, 0\), .* 0.1$"),
        (Topology.ergodic(2, equal_stays=True), None, [[0.5, 0.5], [0.1, 0.9]], r"^transmat: .* to it at \(0, 0\)"),
        (Topology(start="stationary"), [0.5, 0.5], [[0.5, 0.5], [0.1, 0.9]], "^startprob: expected the stationary"),
        (Topology.left_to_right(3), [0.5, 0.5], None, r"^topology: expected one of 2 states, got one of 3$"),
    ],
)  # fmt: skip
def test_laws_that_are_not_so_are_named(
    topology: Topology, initial: Any, transition: Any, message: str
) -> None:
    initial = None if initial is None else np.array(initial)
    transition = None if transition is None else np.array(transition)
    with pytest.raises(ValueError, match=message):
        topology.check_law(initial, transition)


# -- in a fit


@pytest.mark.parametrize("prior", [0.0, 0.5], ids=["likelihood", "posterior"])
@pytest.mark.parametrize("of", [CASES, STATIONARY], ids=["free", "stationary"])
@every_case
def test_em_never_decreases_its_objective(name: str, of: dict[str, Topology], prior: float) -> None:
    topology = of[name]
    rng = np.random.default_rng(2)
    x = rng.poisson(np.repeat([[2.0], [9.0], [4.0], [20.0]], 15, axis=0)).astype(float)
    data = Sequences(x, np.array([0, 20, 21, 40, 60]))
    model = HMM(Poisson(), topology=topology)
    start, allowed = (np.asarray(mask, np.float64) for mask in topology.allowed(S))
    emissions = PoissonParams(np.array([[3.0], [8.0], [5.0], [15.0]]))
    params = HMMParams(*topology.initial(S), emissions)
    rule: Any = EM(model)
    if prior:
        rates = GammaPrior(np.array([[1.0 + prior]]), np.array([[prior / 5]]))
        rule = MAPEM(model, HMMPrior(start * (1 + prior), allowed * (1 + prior), rates))
    state, objectives = rule.init(params), []
    for _ in range(15):
        state, info = rule.step(state, lambda p: model.expected_statistics(p, data))
        objectives.append(info.objective)
    assert np.diff(objectives).min() >= -1e-10 * abs(objectives[-1])
    assert objectives[-1] > objectives[0]
    topology.check_law(state.params.initial, state.params.transition)


def test_unit_of_counts_does_not_matter_to_a_stationary_chain() -> None:
    rng = np.random.default_rng(0)
    starts, transitions = rng.uniform(size=3), rng.uniform(1, 9, (3, 3))
    previous = np.full(3, 1 / 3), np.full((3, 3), 1 / 3)
    topology = Topology(start="stationary")
    expected = topology.maximize(starts, transitions, previous)
    for exponent in (-900, 3, 900):
        unit = 2.0**exponent
        found = topology.maximize(unit * starts, unit * transitions, previous)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
