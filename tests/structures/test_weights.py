"""Distributions of weights, against SciPy, quadrature and all orders of the sticks."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special, stats

from latentcore.structures.weights import Dirichlet, FixedWeights, StickBreaking

COUNTS = np.array([3.2, 0.0, 41.0, 0.7])


def under(q: Any, function: Callable[[float], float]) -> float:
    """E_q of a function of one number in (0, 1)."""
    value, error = integrate.quad(lambda t: q.pdf(t) * function(t), 0, 1, epsabs=1e-11, limit=200)
    assert error < 1e-7
    return float(value)


def kl(q: Any, p: Any) -> float:
    return under(q, lambda t: q.logpdf(t) - p.logpdf(t))


def sticks(concentration: float, counts: Any) -> list[tuple[float, float]]:
    """Betas of the first K - 1 sticks, in this order, after these counts."""
    return [(1 + n, concentration + sum(counts[j + 1 :])) for j, n in enumerate(counts[:-1])]


def log_evidence(concentration: float, counts: Any) -> float:
    """log E of the product of weight_j^counts_j, sticks in this order."""
    return sum(
        special.betaln(*q) - special.betaln(1, concentration) for q in sticks(concentration, counts)
    )


def test_dirichlet_of_two_is_a_beta() -> None:
    q, p = Dirichlet(np.array([2.3, 1.4])), Dirichlet(np.array([1.1, 1.7]))
    beta, prior = stats.beta(*q.alpha), stats.beta(*p.alpha)
    logs = [under(beta, np.log), under(beta, lambda t: np.log1p(-t))]
    np.testing.assert_allclose(q.expected_log(), logs, rtol=1e-7)
    np.testing.assert_allclose(q.mean(), [beta.mean(), 1 - beta.mean()], rtol=1e-14)
    assert q.divergence(p) == pytest.approx(kl(beta, prior), rel=1e-7)


def test_divergence_of_dirichlets_is_that_of_independent_gammas_less_that_of_their_sums() -> None:
    """Shares of independent gammas are a Dirichlet, independent of their sum, which is a gamma."""
    a, b = np.array([0.3, 2.0, 5.5, 80.0]), np.array([1.5, 0.2, 6.0, 70.0])

    def gammas(a: Any, b: Any) -> Any:
        return (a - b) * special.digamma(a) - special.gammaln(a) + special.gammaln(b)

    expected = gammas(a, b).sum() - gammas(a.sum(), b.sum())
    assert Dirichlet(a).divergence(Dirichlet(b)) == pytest.approx(expected, rel=1e-12)
    assert Dirichlet(a).divergence(Dirichlet(a)) == 0


@pytest.mark.parametrize("concentration", [0.4, 1.0, 6.0])
def test_sticks_are_betas(concentration: float) -> None:
    q = StickBreaking(concentration, np.zeros(4)).update(COUNTS)
    order = q.order()
    betas = [stats.beta(*q) for q in sticks(concentration, COUNTS[order])]
    broken = [under(beta, np.log) for beta in betas] + [0.0]
    left = np.cumsum([0.0] + [under(beta, lambda t: np.log1p(-t)) for beta in betas])
    np.testing.assert_allclose(q.expected_log()[order], broken + left, rtol=1e-7)
    lengths = np.append([beta.mean() for beta in betas], 1.0)
    means = lengths * np.cumprod(np.append(1.0, 1 - lengths[:-1]))
    np.testing.assert_allclose(q.mean()[order], means, rtol=1e-13)
    assert q.mean().sum() == pytest.approx(1, rel=1e-14)
    divergence = sum(kl(beta, stats.beta(1, concentration)) for beta in betas)
    assert q.divergence(StickBreaking(concentration, np.zeros(4))) == pytest.approx(
        divergence, rel=1e-7
    )


@pytest.mark.parametrize("concentration", [0.01, 0.7, 1.0, 1.3, 4.0, 50.0])
def test_order_of_sticks_is_the_best_of_all(concentration: float) -> None:
    rng = np.random.default_rng(3)
    prior = StickBreaking(concentration, np.zeros(4))
    lasts = set()
    for _ in range(40):
        counts = rng.permutation(rng.gamma(0.4, 1.0, 4) * 10 ** rng.uniform(0, 3))
        q = prior.update(counts)
        # the log evidence of the counts is what they add to the bound under the posterior
        bound = float(counts @ q.expected_log()) - q.divergence(prior)
        best = max(log_evidence(concentration, c) for c in itertools.permutations(counts))
        assert bound == pytest.approx(best, rel=1e-12, abs=1e-11)
        lasts.add(int((counts > counts[q.order()[-1]]).sum()))
    assert (lasts == {3}) == (concentration <= 1)  # the smallest count is not always the best end


@pytest.mark.parametrize("concentration", [0.4, 6.0])
@pytest.mark.parametrize("by_size", [False, True])
def test_endless_sticks_are_those_before_one_more_without_counts(
    concentration: float, by_size: bool
) -> None:
    prior = StickBreaking(concentration, np.zeros(4), leftover=True, by_size=by_size)
    q = prior.update(COUNTS)
    order = np.argsort(-COUNTS) if by_size else np.arange(4)
    np.testing.assert_array_equal(q.order(), order)
    ended = StickBreaking(concentration, np.append(COUNTS[order], 0.0), by_size=False)
    np.testing.assert_allclose(q.expected_log()[order], ended.expected_log()[:4], rtol=1e-14)
    shares = ended.mean()[:4]
    np.testing.assert_allclose(q.mean()[order], shares / shares.sum(), rtol=1e-14)
    before = replace(ended, counts=np.zeros(5))
    assert q.divergence(prior) == pytest.approx(ended.divergence(before), rel=1e-13)
    assert q.best_prior(prior).concentration == ended.best_prior(before).concentration
    assert q.best_prior(prior).leftover
    blend = q.blend(replace(q, counts=np.ones(4)), 0.5)
    assert blend.leftover
    assert blend.by_size == by_size


def test_sorted_endless_sticks_have_the_largest_bound() -> None:
    prior = StickBreaking(3.0, np.zeros(4), leftover=True)
    bounds = []
    for order in itertools.permutations(range(4)):
        q = replace(prior, counts=COUNTS[list(order)], by_size=False)
        bounds.append(float(q.counts @ q.expected_log()) - q.divergence(prior))
    q = prior.update(COUNTS)
    bound = float(COUNTS @ q.expected_log()) - q.divergence(prior)
    assert bound == pytest.approx(max(bounds), rel=1e-13)
    assert min(bounds) < bound - 0.1


def test_sticks_of_equal_counts_are_in_the_order_of_components() -> None:
    assert StickBreaking(2.0, np.zeros(5)).order().tolist() == [0, 1, 2, 3, 4]
    assert StickBreaking(0.5, np.array([1.0, 7.0, 1.0])).order().tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    "prior",
    [Dirichlet(np.ones(1)), StickBreaking(3.0, np.zeros(1)), FixedWeights(np.ones(1))],
    ids=lambda prior: type(prior).__name__,
)
def test_one_component_has_all_the_weight(prior: Any) -> None:
    q = prior.update(np.array([12.0]))
    assert q.mean() == [1.0]
    assert q.expected_log() == [0.0]
    assert q.divergence(prior) == 0
    assert q.best_prior(prior) == prior


@pytest.mark.parametrize(
    "prior",
    [Dirichlet(np.array([0.5, 1.0, 2.0, 0.1])), StickBreaking(2.5, np.zeros(4))],
    ids=lambda prior: type(prior).__name__,
)
def test_blend_is_the_posterior_of_blended_counts(prior: Any) -> None:
    other = np.array([0.0, 9.0, 2.0, 5.0])
    blend = prior.update(COUNTS).blend(prior.update(other), 0.3)
    expected = prior.update(0.7 * COUNTS + 0.3 * other)
    np.testing.assert_allclose(blend.expected_log(), expected.expected_log(), rtol=1e-13)
    whole = prior.update(COUNTS).blend(prior.update(other), 1.0)
    np.testing.assert_array_equal(whole.expected_log(), prior.update(other).expected_log())


def test_blend_of_sticks_blends_concentrations() -> None:
    a, b = StickBreaking(1.0, COUNTS), StickBreaking(5.0, COUNTS)
    assert a.blend(b, 0.25).concentration == 2.0
    assert a.blend(b, 1.0).concentration == 5.0


def test_fixed_weight_of_zero_forbids() -> None:
    weights = FixedWeights(np.array([0.25, 0.0, 0.75]))
    q = weights.update(np.array([1.0, 0.0, 5.0])).blend(weights, 0.5)
    np.testing.assert_array_equal(q.expected_log(), [np.log(0.25), -np.inf, np.log(0.75)])
    np.testing.assert_array_equal(q.mean(), weights.weights)
    assert q.divergence(weights) == 0


def negative_divergence(q: Any, make: Callable[[float], Any], log_value: float) -> float:
    return -float(q.divergence(make(float(np.exp(log_value)))))


@pytest.mark.parametrize("counts", [COUNTS, 1e3 * COUNTS, np.zeros(4), np.full(4, 25.0)])
@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda value: Dirichlet(np.full(4, value)), lambda prior: prior.alpha[0]),
        (lambda value: StickBreaking(value, np.zeros(4)), lambda prior: prior.concentration),
    ],
    ids=["Dirichlet", "StickBreaking"],
)
@pytest.mark.parametrize("start", [0.05, 1.0, 30.0])
def test_best_prior_is_the_top_of_the_bound(
    counts: Any, make: Any, value: Any, start: float
) -> None:
    prior = make(start)
    q = prior.update(counts)
    best = q.best_prior(prior)
    top, log_best = -q.divergence(best), np.log(value(best))
    scale = 1e-13 * (1 + np.abs(counts).sum() * np.log1p(counts.sum()))
    assert top >= -q.divergence(prior) - scale
    steps = (-1.0, -0.1, -0.01, 0.01, 0.1, 1.0)
    around = [negative_divergence(q, make, log_best + step) for step in steps]
    assert top > max(around)
    # the derivative, in steps of the logarithm: the odd part of the bound is of the third order
    assert abs(around[3] - around[2]) < 0.05 * (2 * top - around[3] - around[2]) + scale
    if not counts.any():  # the posterior is the prior
        assert value(best) == pytest.approx(start, rel=1e-10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dirichlet(np.array([1.0, 0.0])), "alpha: .* > 0, got 0.0 for component 1"),
        (lambda: Dirichlet(np.array([np.nan])), "alpha: .* > 0, got nan for component 0"),
        (lambda: Dirichlet(np.ones((2, 2))), r"alpha: expected shape \(K,\), got \(2, 2\)"),
        (lambda: StickBreaking(0.0, np.ones(2)), "concentration: .* > 0, got 0.0"),
        (lambda: StickBreaking(np.inf, np.ones(2)), "concentration: .* > 0, got inf"),
        (lambda: StickBreaking(1.0, np.array([1.0, -2.0])), "counts: .* >= 0, got -2.0 for comp"),
        (lambda: FixedWeights(np.array([1.5, -0.5])), "weights: .* >= 0, got -0.5 for component 1"),
        (lambda: FixedWeights(np.array([0.5, 0.4])), "weights: expected a sum of one, got 0.9"),
    ],
)
def test_value_out_of_bounds_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
