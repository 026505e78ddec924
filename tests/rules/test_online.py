"""Online EM: the minimum that a step is, its limit for small steps, priors, averages. The laws test all models."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize, special, stats

from latentcore.arrays import Rows
from latentcore.families.bernoulli import Bernoulli, BernoulliParams
from latentcore.families.exponential import Exponential, ExponentialParams
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import GammaPrior
from latentcore.rules.online import Batch, FiniteSample, OnlineEM, OnlineState
from latentcore.rules.steps import ConstantStep, PowerStep
from latentcore.sequences import Sequences
from latentcore.structures.hmm import HMM, HMMParams
from latentcore.structures.mixture import Mixture, MixtureParams, MixturePrior
from laws.cases import assert_identical, assert_near, leaves
from laws.numpy_poisson import NumpyPoisson
from laws.numpy_poisson import PoissonParams as NumpyPoissonParams

Array = npt.NDArray[np.float64]

# -- objective (1): the batch's upper bound and 1/eta times the relative entropy of joint distributions


@dataclass(frozen=True)
class OfPoisson:
    """Two Poissons; parameters as logarithms of rates."""

    family: Any = field(default_factory=Poisson)
    size = 2

    def params(self, v: Array) -> Any:
        return PoissonParams(np.exp(v)[:, None])

    def vector(self, params: Any) -> Array:
        return np.log(params.rates[:, 0])

    def log_density(self, params: Any, x: Array) -> Array:
        return np.asarray(stats.poisson.logpmf(x, params.rates[:, 0]))

    def divergences(self, params: Any, other: Any) -> Array:
        """KL(f_k || other_k), (K,)."""
        a, b = params.rates[:, 0], other.rates[:, 0]
        return a * np.log(a / b) - a + b

    def rows(self, rng: Any) -> Array:
        return rng.poisson([2.0, 9.0] * 20)[:, None].astype(float)


@dataclass(frozen=True)
class OfExponential(OfPoisson):
    family: Any = field(default_factory=Exponential)

    def params(self, v: Array) -> Any:
        return ExponentialParams(np.exp(v)[:, None])

    def log_density(self, params: Any, x: Array) -> Array:
        return np.asarray(stats.expon.logpdf(x, scale=1 / params.rates[:, 0]))

    def divergences(self, params: Any, other: Any) -> Array:
        a, b = params.rates[:, 0], other.rates[:, 0]
        return np.log(a / b) + b / a - 1

    def rows(self, rng: Any) -> Array:
        return rng.exponential([1.0, 5.0] * 20)[:, None]


TRIANGLE = np.tril_indices(2)


@dataclass(frozen=True)
class OfGaussian:
    """Two Gaussians of two columns; means, and log-Cholesky factors or log-variances."""

    type: Any

    @property
    def family(self) -> Any:
        return Gaussian(self.type)

    @property
    def size(self) -> int:
        return 4 + {"full": 6, "tied": 3, "diag": 4, "spherical": 2}[self.type]

    def params(self, v: Array) -> Any:
        means, rest = v[:4].reshape(2, 2), v[4:]
        if self.type == "diag":
            return self.family.params(means, np.exp(rest).reshape(2, 2))
        if self.type == "spherical":
            return self.family.params(means, np.exp(rest))
        factors = np.zeros((len(rest) // 3, 2, 2))
        factors[:, *TRIANGLE] = rest.reshape(-1, 3)
        factors[:, [0, 1], [0, 1]] = np.exp(factors[:, [0, 1], [0, 1]])
        covariances = factors @ factors.transpose(0, 2, 1)
        return self.family.params(means, covariances[0] if self.type == "tied" else covariances)

    def vector(self, params: Any) -> Array:
        if self.type in ("diag", "spherical"):
            return np.concatenate([params.means.ravel(), np.log(params.covariances).ravel()])
        factors = np.linalg.cholesky(params.covariances.reshape(-1, 2, 2))
        factors[:, [0, 1], [0, 1]] = np.log(factors[:, [0, 1], [0, 1]])
        return np.concatenate([params.means.ravel(), factors[:, *TRIANGLE].ravel()])

    def dense(self, params: Any) -> list[Array]:
        c = params.covariances
        if self.type == "tied":
            return [c, c]
        return [v if self.type == "full" else np.eye(2) * v for v in c]

    def log_density(self, params: Any, x: Array) -> Array:
        pairs = zip(params.means, self.dense(params), strict=True)
        return np.stack([stats.multivariate_normal.logpdf(x, m, c) for m, c in pairs], axis=1)

    def divergences(self, params: Any, other: Any) -> Array:
        found = []
        for m, c, n, d in zip(
            params.means, self.dense(params), other.means, self.dense(other), strict=True
        ):
            inverse, gap = np.linalg.inv(d), m - n
            ratio = math.log(np.linalg.det(d) / np.linalg.det(c))
            found.append((np.trace(inverse @ c) + gap @ inverse @ gap - 2 + ratio) / 2)
        return np.array(found)

    def rows(self, rng: Any) -> Array:
        means = np.array([[0.0, 0.0], [3.0, 1.0]])
        return means[np.arange(40) % 2] + rng.normal(size=(40, 2)) * [1.0, 2.0]


@dataclass(frozen=True)
class MixtureProblem:
    of: Any

    @property
    def model(self) -> Any:
        return Mixture(self.of.family)

    def params(self, v: Array) -> Any:
        return MixtureParams(special.softmax([0.0, v[0]]), self.of.params(v[1:]))

    def vector(self, params: Any) -> Array:
        logit = np.log(params.weights[1] / params.weights[0])
        return np.concatenate([[logit], self.of.vector(params.components)])

    @property
    def start(self) -> Array:
        return np.random.default_rng(6).normal(scale=0.5, size=1 + self.of.size)

    @property
    def data(self) -> Any:
        return Rows(self.of.rows(np.random.default_rng(7)))

    @property
    def batch(self) -> Batch:
        return Batch(40)

    def loss(self, params: Any) -> float:
        """Mean negative log-likelihood."""
        joint = self.of.log_density(params.components, self.data.x) + np.log(params.weights)
        return float(-special.logsumexp(joint, axis=1).mean())

    def bound(self, old: Any, params: Any) -> float:
        """On the loss, but for the entropy of the hidden variables."""
        x = self.data.x
        r = special.softmax(self.of.log_density(old.components, x) + np.log(old.weights), axis=1)
        joint = self.of.log_density(params.components, x) + np.log(params.weights)
        return float(-(r * joint).sum(axis=1).mean())

    def divergence(self, old: Any, params: Any) -> float:
        """KL of the joint distributions of a row and its component."""
        by_component = np.log(old.weights / params.weights)
        by_component += self.of.divergences(old.components, params.components)
        return float(old.weights @ by_component)


@dataclass(frozen=True)
class ChainProblem:
    """Sequences of lengths 1 to 3, by all their paths."""

    of: Any

    @property
    def model(self) -> Any:
        return HMM(self.of.family)

    def params(self, v: Array) -> Any:
        laws = special.softmax(np.stack([np.zeros(3), v[:3]], axis=1), axis=1)
        return HMMParams(laws[0], laws[1:], self.of.params(v[3:]))

    def vector(self, params: Any) -> Array:
        laws = np.vstack([params.initial, params.transition])
        return np.concatenate([np.log(laws[:, 1] / laws[:, 0]), self.of.vector(params.emissions)])

    @property
    def start(self) -> Array:
        return np.random.default_rng(6).normal(scale=0.7, size=3 + self.of.size)

    @property
    def data(self) -> Any:
        begins = np.array([0, 1, 3, 6, 9, 11, 14, 17, 20, 22, 25, 28, 31, 34, 37, 40])
        weight = 1.0 + np.arange(15.0) % 3
        return Sequences(self.of.rows(np.random.default_rng(7)), begins, weight)

    @property
    def batch(self) -> Batch:
        data = self.data
        return Batch(float(data.sample_weight.sum()), data.lengths, data.sample_weight)

    def log_paths(self, params: Any, length: int) -> tuple[Array, Array]:
        """All paths (n, T) and their log-probabilities."""
        paths = np.array(list(itertools.product(range(2), repeat=length)))
        steps = np.log(params.transition)[paths[:, :-1], paths[:, 1:]].sum(axis=1)
        return paths, np.log(params.initial)[paths[:, 0]] + steps

    def joints(self, params: Any) -> list[Array]:
        """Of each sequence with every path."""
        density = self.of.log_density(params.emissions, self.data.x)
        found = []
        for begin, end in itertools.pairwise(self.data.begins):
            paths, log_path = self.log_paths(params, end - begin)
            found.append(log_path + density[np.arange(begin, end), paths].sum(axis=1))
        return found

    def _mean(self, values: list[Any]) -> float:
        return float(np.average(np.array(values), weights=self.data.sample_weight))

    def loss(self, params: Any) -> float:
        return -self._mean([special.logsumexp(joint) for joint in self.joints(params)])

    def bound(self, old: Any, params: Any) -> float:
        pairs = zip(self.joints(old), self.joints(params), strict=True)
        return -self._mean([special.softmax(before) @ joint for before, joint in pairs])

    def divergence(self, old: Any, params: Any) -> float:
        emissions = self.of.divergences(old.emissions, params.emissions)
        found = []
        for length in self.data.lengths:
            paths, before = self.log_paths(old, length)
            gaps = before - self.log_paths(params, length)[1] + emissions[paths].sum(axis=1)
            found.append(np.exp(before) @ gaps)
        return self._mean(found)


MIXTURES: list[Any] = [OfPoisson(), OfExponential()]
MIXTURES += [OfGaussian(type_) for type_ in ("full", "tied", "diag", "spherical")]
PROBLEMS: list[Any] = [MixtureProblem(of) for of in MIXTURES]
PROBLEMS += [ChainProblem(of) for of in (OfPoisson(), OfGaussian("spherical"))]
problems = pytest.mark.parametrize("problem", PROBLEMS, ids=repr)


def after(problem: Any, eta: float, n: int = 1, inertia: Any = "model") -> tuple[Any, Any]:
    """The parameters before the last of n steps and after it."""
    rule: OnlineEM[Any, Any] = OnlineEM(problem.model, ConstantStep(eta), inertia)
    state: Any = OnlineState(problem.params(problem.start))
    before = None
    for _ in range(n):
        before = state.params
        state, info = rule.step(
            state, lambda p: problem.model.expected_statistics(p, problem.data), problem.batch
        )
        loss = -info.objective / problem.batch.weight
        assert loss == pytest.approx(problem.loss(before), rel=1e-12)
    return before, state.params


@problems
@pytest.mark.parametrize("eta", [0.1, 2.0])
def test_a_step_minimises_bound_and_relative_entropy(problem: Any, eta: float) -> None:
    """No search from where the step began, nor from where it ended, finds less."""
    old, new = after(problem, eta)

    def objective(v: Array) -> float:
        params = problem.params(v)
        return problem.bound(old, params) + problem.divergence(old, params) / eta

    assert problem.divergence(old, old) == pytest.approx(0, abs=1e-14)
    reached, scale = objective(problem.vector(new)), 1 + 1 / eta
    assert reached < objective(problem.start) - 1e-4
    for start in (problem.start, problem.vector(new)):
        found = optimize.minimize(objective, start, options={"gtol": 1e-7 * scale})
        assert found.fun == pytest.approx(reached, abs=1e-9 * scale)
        np.testing.assert_allclose(found.x, problem.vector(new), atol=2e-5)


@pytest.mark.parametrize("problem", PROBLEMS[-2:], ids=repr)
def test_in_chains_a_running_statistic_does_not_minimise_it(problem: Any) -> None:
    old, running = after(problem, 0.5, 3, "running")
    rule: OnlineEM[Any, Any] = OnlineEM(problem.model, ConstantStep(0.5))
    expected = problem.model.expected_statistics(old, problem.data)
    new = rule.step(OnlineState(old), lambda _: expected, problem.batch)[0].params
    values = [problem.bound(old, p) + problem.divergence(old, p) / 0.5 for p in (new, running)]
    assert values[1] > values[0] + 1e-9


def hessian(f: Any, at: Array, h: float = 1e-3) -> Array:
    """By central differences."""
    n, e = len(at), np.eye(len(at)) * h
    out = np.empty((n, n))
    for i, j in itertools.product(range(n), repeat=2):
        corners = (
            f(at + e[i] + e[j]) - f(at + e[i] - e[j]) - f(at - e[i] + e[j]) + f(at - e[i] - e[j])
        )
        out[i, j] = corners / (4 * h * h)
    return out


@problems
def test_small_steps_follow_the_natural_gradient(problem: Any) -> None:
    """``-eta I^-1 gradient`` up to the square of eta, I the Fisher information of the complete data."""
    start = problem.start
    old = problem.params(start)
    information = hessian(lambda v: problem.divergence(old, problem.params(v)), start)
    gradient = optimize.approx_fprime(start, lambda v: problem.loss(problem.params(v)), 1e-7)
    direction = -np.linalg.solve(information, gradient)
    errors = []
    for eta in (0.02, 0.01):
        moved = problem.vector(after(problem, eta)[1]) - start
        errors.append(np.abs(moved - eta * direction).max())
        assert errors[-1] < 0.2 * np.abs(moved).max()
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


# -- priors


def poissons(n: int = 400) -> tuple[Any, Any, Rows]:
    rng = np.random.default_rng(0)
    rates = np.array([[1.0], [12.0]])
    x = rng.poisson(rates[rng.integers(2, size=n)]).astype(float)
    return (
        Mixture(Poisson()),
        MixtureParams(np.array([0.4, 0.6]), PoissonParams(rates + 1)),
        Rows(x),
    )


def gamma_prior(shape: float = 6.0, rate: float = 2.0) -> Any:
    return MixturePrior(
        np.array([3.0, 2.0]), GammaPrior(np.full((1, 1), shape), np.full((1, 1), rate))
    )


def test_a_step_with_a_prior_is_the_corrected_form() -> None:
    """Poisson rates: ``(s(theta)/eta + s_batch + prior/n)`` of sums over that of counts, n observations."""
    model, params, rows = poissons()
    batch, _ = model.expected_statistics(params, rows)
    prior, eta, n = gamma_prior(), 0.25, 1000.0
    inertias: tuple[Any, ...] = ("model", "running")
    for inertia in inertias:
        rule: OnlineEM[Any, Any] = OnlineEM(model, ConstantStep(eta), inertia, prior, n)
        state, _ = rule.step(
            rule.init(params), lambda p: model.expected_statistics(p, rows), Batch(len(rows))
        )
        w, rates = params.weights, params.components.rates[:, 0]
        share = 1 / eta if inertia == "model" else 1 - eta / (1 + eta)
        of_batch = 1.0 if inertia == "model" else eta / (1 + eta)
        counts = w * share + of_batch * batch.counts / len(rows)
        sums = w * rates * share + of_batch * batch.components.sums[:, 0] / len(rows)
        np.testing.assert_allclose(
            state.params.components.rates[:, 0], (sums + 5 / n) / (counts + 2 / n), rtol=1e-12
        )
        weights = counts + np.array([2.0, 1.0]) / n
        np.testing.assert_allclose(state.params.weights, weights / weights.sum(), rtol=1e-12)


@pytest.mark.parametrize("inertia", ["model", "running"])
@pytest.mark.parametrize(("before", "n"), [(0.0, 50), (150.0, 200), (150.5, 200), (1e6, 200)])
def test_a_prior_is_weighed_against_what_the_blend_remembers(
    inertia: Any, before: float, n: float
) -> None:
    """All that was seen; at most the ``50 / rho`` rows whose batches of 50 a blend with rho = 1/4 remembers."""
    model, params, rows = poissons()
    rows = rows.take(np.arange(50))
    state: OnlineState[Any, Any] = OnlineState(params, 3, before, model.model_statistics(params))
    found, expected = (
        OnlineEM(model, ConstantStep(1 / 3), inertia, gamma_prior(), total_weight).step(
            state, lambda p: model.expected_statistics(p, rows), Batch(50)
        )[0]
        for total_weight in (None, n)
    )
    assert_near(found.params, expected.params, 1e-14)


def passed_over(rows: Rows, rule: Any, params: Any) -> Any:
    """The parameters after a pass in batches of 50."""
    state = rule.init(params)
    for n, part in enumerate(rows.shards(50), start=1):
        state, _ = rule.step(
            state, lambda p, part=part: rule.model.expected_statistics(p, part), Batch(50)
        )
        assert (state.n_steps, state.seen) == (n, 50 * n)
    return state.params


@pytest.mark.parametrize("inertia", ["model", "running"])
def test_the_prior_is_not_inflated_as_steps_get_small(inertia: Any) -> None:
    """One Poisson, constant batch: the end is ``(N mean + a - 1) / (N + b)``, where applying the prior anew in every
    step would end at a prior 1 / rho times as heavy."""
    x = np.random.default_rng(0).poisson(3.0, 50).astype(float)
    model, rows = Mixture(Poisson()), Rows(x[:, None])
    prior = MixturePrior(np.array([1.0]), GammaPrior(np.full((1, 1), 201.0), np.full((1, 1), 20.0)))
    expected = (x.sum() + 200) / (50 + 20)
    for eta in (1.0, 0.1, 0.01):
        rule: OnlineEM[Any, Any] = OnlineEM(model, ConstantStep(eta), inertia, prior, 50.0)
        state = rule.init(MixtureParams(np.ones(1), PoissonParams(np.array([[1.0]]))))
        for _ in range(math.ceil(16 / math.log1p(eta))):
            state, _ = rule.step(state, lambda p: model.expected_statistics(p, rows), Batch(50))
        assert state.params.components.rates[0, 0] == pytest.approx(expected, abs=1e-5)


def test_by_default_the_prior_is_weighed_against_what_is_remembered() -> None:
    """All batches count alike and all components are known: a running statistic ends at the mode after all rows; the
    parameters, in which the prior was before, at one in which it is worth up to 1 + 1/2 + ... + 1/8 as much."""
    model, params, rows = poissons()
    rows, prior = replace(rows, labels=(rows.x[:, 0] > 5).astype(np.int32)), gamma_prior()
    of_all, _ = model.expected_statistics(params, rows)
    mode, likeliest = model.mode(model.update(prior, of_all)), model.maximize(of_all)
    steps = PowerStep(1.0, 0.0)
    running = passed_over(rows, OnlineEM(model, steps, "running", prior), params)
    by_model = passed_over(rows, OnlineEM(model, steps, "model", prior), params)
    assert_near(running, mode, 1e-12)
    ratio = (by_model.components.rates - likeliest.components.rates) / (
        mode.components.rates - likeliest.components.rates
    )
    assert (ratio > 1).all()
    assert (ratio < (1 / np.arange(1, 9)).sum() * 1.05).all()


# -- what is kept


def test_equal_batches_count_alike_with_steps_of_one_over_t() -> None:
    """Where components are known, that is maximum likelihood over all rows in one pass."""
    model, params, rows = poissons()
    rows = replace(rows, labels=(rows.x[:, 0] > 5).astype(np.int32))
    expected = model.maximize(model.expected_statistics(params, rows)[0])
    inertias: tuple[Any, ...] = ("model", "running")
    for inertia in inertias:
        rule: OnlineEM[Any, Any] = OnlineEM(model, PowerStep(1.0, 0.0), inertia)
        assert_near(passed_over(rows, rule, params), expected, 1e-12)


def test_the_average_is_that_of_the_iterates_statistics() -> None:
    model, params, rows = poissons()
    rule: Any = OnlineEM(model, averaging=True)
    state, iterates = rule.init(params), []
    assert_identical(rule.averaged(state), params)
    plain: Any = OnlineEM(model)
    other = plain.init(params)
    for part in rows.shards(50):
        state, _ = rule.step(state, lambda p, x=part: model.expected_statistics(p, x), Batch(50))
        other, _ = plain.step(other, lambda p, x=part: model.expected_statistics(p, x), Batch(50))
        assert_identical(state.params, other.params)
        iterates.append(state.params)
    weights = np.array([p.weights for p in iterates])
    rates = np.array([p.components.rates[:, 0] for p in iterates])
    averaged = rule.averaged(state)
    np.testing.assert_allclose(averaged.weights, weights.mean(axis=0), rtol=1e-12)
    expected = (weights * rates).sum(axis=0) / weights.sum(axis=0)
    np.testing.assert_allclose(averaged.components.rates[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("inertia", ["model", "running", FiniteSample(20)], ids=str)
def test_a_step_is_a_function_of_its_state(inertia: Any) -> None:
    model, params, rows = poissons()
    rule: OnlineEM[Any, Any] = OnlineEM(model, inertia=inertia, averaging=True)
    before = leaves(rule.init(params))
    state, _ = rule.step(
        rule.init(params), lambda p: model.expected_statistics(p, rows), Batch(400)
    )
    twice = [
        rule.step(state, lambda p: model.expected_statistics(p, rows), Batch(400)) for _ in range(2)
    ]
    assert_identical(twice[0], twice[1])
    assert_identical(before, leaves(rule.init(params)))
    assert (state.running is not None) == (inertia == "running")


def test_each_step_draws_anew() -> None:
    model, params, rows = poissons()
    rule: OnlineEM[Any, Any] = OnlineEM(model, ConstantStep(0.5), FiniteSample(20))
    state: OnlineState[Any, Any] = OnlineState(params)
    later = replace(state, n_steps=1)
    first, second = (
        rule.step(s, lambda p: model.expected_statistics(p, rows), Batch(400))[0].params
        for s in (state, later)
    )
    assert (first.components.rates != second.components.rates).all()


def test_hidden_variables_of_draws_are_taken_by_their_posterior() -> None:
    """So that it is unbiased: over a finite support the sum is what the model expects. Hard assignments are not."""
    p = np.array([[0.2, 0.7], [0.9, 0.4]])
    params = MixtureParams(np.array([0.3, 0.7]), BernoulliParams(p))
    x = np.array(list(itertools.product([0.0, 1.0], repeat=2)))
    model: Any = Mixture(Bernoulli())
    density = np.exp(model.log_density(params, x))
    assert density.sum() == pytest.approx(1)
    found, _ = model.expected_statistics(params, Rows(x, density))
    assert_near(found, model.model_statistics(params), 1e-14)
    rngs = [np.random.default_rng(1) for _ in range(2)]
    soft, hard = (
        Mixture(Bernoulli(), hard=h).sampled_statistics(params, 30, rng)
        for h, rng in zip([False, True], rngs, strict=True)
    )
    assert_identical(soft, hard)


# -- what is wrong


@pytest.mark.parametrize("weight", [0.0, -1.0, math.inf, math.nan])
def test_a_batch_has_a_weight(weight: float) -> None:
    with pytest.raises(ValueError, match=r"^weight: expected a finite number > 0, got "):
        Batch(weight)


@pytest.mark.parametrize("eta", [-0.1, math.nan])
def test_a_step_size_is_a_number_from_0(eta: float) -> None:
    model, params, rows = poissons()
    rule: OnlineEM[Any, Any] = OnlineEM(model, lambda _: eta)
    with pytest.raises(ValueError, match=r"^step_size: expected eta >= 0, got "):
        rule.step(OnlineState(params), lambda p: model.expected_statistics(p, rows), Batch(400))


@pytest.mark.parametrize(("arguments", "name"), [((0,), "n"), ((3, -1), "seed")])
def test_draws_are_a_number_and_a_seed(arguments: tuple[int, ...], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected at least"):
        FiniteSample(*arguments)


def test_drawn_inertia_needs_a_family_that_draws() -> None:
    params = MixtureParams(np.ones(1), NumpyPoissonParams(np.ones((1, 1))))
    rule: OnlineEM[Any, Any] = OnlineEM(Mixture(NumpyPoisson()), inertia=FiniteSample(5))
    rows = Rows(np.ones((3, 1)))
    with pytest.raises(TypeError, match=r"^family: expected one with a method 'sample', got "):
        rule.step(OnlineState(params), lambda p: rule.model.expected_statistics(p, rows), Batch(3))
