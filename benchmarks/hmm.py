"""Hidden Markov models: the problems that are timed, and how latentcore, hmmlearn and dynamax solve them."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from latentcore import CategoricalHMM, GaussianHMM, PoissonHMM

EmissionName = Literal["diag", "full", "categorical", "poisson"]

_SWITCHING = 0.1
"""How often the true chain draws a new state, uniformly."""
_START_ERROR = 0.1


@dataclass(frozen=True, slots=True)
class Chains:
    """Q sequences of T rows each, S states, and the speed over hmmlearn that is aimed for."""

    emission: EmissionName
    n_sequences: int
    length: int
    n_states: int
    size: int
    """D features; of categorical emissions the number of codes, in one column."""
    goal: float | None = None
    """Ratio of the times of an iteration to hmmlearn's with ``implementation="scaling"``."""
    viterbi_goal: float | None = None

    @property
    def name(self) -> str:
        length = f"{self.length:.0e}".replace("e+0", "e") if self.length >= 1000 else self.length
        return f"{self.emission}-{self.n_sequences}x{length}-{self.n_states}-{self.size}"

    @property
    def n_rows(self) -> int:
        return self.n_sequences * self.length

    def shrunk(self) -> Chains:
        """A problem for trying things out, with rows enough for variances that are not 0."""
        if self.n_sequences > 1:
            return replace(self, n_sequences=self.n_sequences // 50)
        return replace(self, length=max(self.length // 200, 40 * self.n_states))


CHAINS = (
    Chains("diag", 1, 100_000, 4, 2, 8, 2),
    Chains("full", 200, 500, 16, 4, 14, 4),
    Chains("diag", 1, 100_000, 64, 2, 12, 6),
    Chains("categorical", 1, 1_000_000, 8, 64, 8, 2),
    Chains("categorical", 1000, 200, 32, 256, 12, 4),
    Chains("poisson", 1, 100_000, 3, 1, 8, 2),
    Chains("categorical", 1, 100_000, 4, 8, 8, 2),
    Chains("categorical", 1, 100_000, 16, 8, 12, 4),
    Chains("categorical", 1, 100_000, 64, 8, 13, 6),
    Chains("diag", 1, 100_000, 4, 4, 8, 2),
    Chains("diag", 1, 100_000, 16, 4, 14, 4),
    Chains("diag", 1, 100_000, 64, 4, 12, 6),
)

LONG_CHAINS = (
    Chains("diag", 1, 1_000_000, 16, 2),
    Chains("diag", 1, 10_000_000, 16, 2),
)
"""For memory."""


@dataclass(frozen=True, slots=True)
class ChainProblem:
    """Rows and a start."""

    chains: Chains
    x: npt.NDArray[np.float64]
    """(N, D); codes as whole numbers."""
    start_law: npt.NDArray[np.float64]
    transitions: npt.NDArray[np.float64]
    emissions: npt.NDArray[np.float64]
    """(S, D) means or rates, variances being 1; (S, number of codes) probabilities."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.full(self.chains.n_sequences, self.chains.length)


def make_chains(chains: Chains) -> ChainProblem:
    """States of geometric durations with emissions that leave doubts, and a start near the truth."""
    random = np.random.default_rng(20240229)
    s = chains.n_states
    states = _states(random, s, chains.n_rows)
    truth, x = _emissions(random, chains, states)
    transitions = 2 * _SWITCHING / s + (1 - 2 * _SWITCHING) * np.eye(s)
    transitions *= np.exp(_START_ERROR * random.standard_normal((s, s)))
    transitions /= transitions.sum(axis=1, keepdims=True)
    return ChainProblem(chains, x, np.full(s, 1 / s), transitions, truth)


def _states(random: np.random.Generator, n_states: int, n: int) -> npt.NDArray[np.intp]:
    durations = random.geometric(_SWITCHING, size=int(1.2 * _SWITCHING * n) + 100)
    return np.repeat(random.integers(n_states, size=len(durations)), durations)[:n]


def _emissions(
    random: np.random.Generator, chains: Chains, states: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Parameters to start from, and rows."""
    shape = chains.n_states, chains.size
    n = len(states)
    if chains.emission == "categorical":
        p = random.dirichlet(np.full(chains.size, 0.5), size=chains.n_states) + 0.01 / chains.size
        p /= p.sum(axis=1, keepdims=True)
        uniform = random.uniform(size=n)
        x = np.empty((n, 1))
        for state, edges in enumerate(np.cumsum(p, axis=1)):
            rows = np.flatnonzero(states == state)
            x[rows, 0] = np.searchsorted(edges[:-1], uniform[rows], side="right")
        start = p * np.exp(_START_ERROR * random.standard_normal(shape))
        return start / start.sum(axis=1, keepdims=True), x
    if chains.emission == "poisson":
        rates = np.linspace(2.0, 5.0 * chains.n_states, chains.n_states)[:, None]
        rates = rates * random.uniform(0.8, 1.2, shape)
        return 1.1 * rates, random.poisson(rates[states]).astype(np.float64)
    centers = 2 / np.sqrt(chains.size) * random.standard_normal(shape)
    x = random.standard_normal((n, chains.size))
    x += centers[states]
    return centers + _START_ERROR * random.standard_normal(shape), x


@dataclass(frozen=True, slots=True)
class Solver:
    """What is timed of a library on one problem; nats of all rows."""

    fit: Callable[[int], float]
    """Takes a number of iterations from the start; returns the log-likelihood that the last one started from."""
    score: Callable[[], float]
    """The log-likelihood at the start."""
    decode: Callable[[], Any]
    """The most probable states at the start, as the library returns them."""
    path_density: Callable[[Any], float]
    """The log of the joint density of rows and what ``decode`` returned."""
    tolerance: float = 1e-8
    """Largest relative difference of log-likelihoods, where it is not that of rounding."""


def check_agreement(
    problem: ChainProblem, what: str, solvers: dict[str, Solver], answer: Callable[[Solver], float]
) -> None:
    """Stop the program if answers differ from ours."""
    answers = {name: answer(solver) for name, solver in solvers.items()}
    ours = answers.pop("latentcore")
    for rival, theirs in answers.items():
        tolerance = solvers[rival].tolerance
        if not abs(ours - theirs) <= tolerance * abs(theirs):
            sys.exit(
                f"{problem.chains.name}: expected {what} that agree to {tolerance:g}, "
                f"got {ours!r} from latentcore and {theirs!r} from {rival}"
            )


def all_solvers(problem: ChainProblem) -> dict[str, Solver]:
    """latentcore first, then the rivals that are installed."""
    found = {"latentcore": latentcore_solver(problem)}
    if hmmlearn_is_installed():
        found["scaling"] = hmmlearn_solver(problem, "scaling")
        found["log"] = hmmlearn_solver(problem, "log")
    if dynamax_is_installed():
        found["dynamax"] = dynamax_solver(problem)
    return found


# -- latentcore -----------------------------------------------------------------------------------


def latentcore_solver(problem: ChainProblem, n_threads: int | None = 1) -> Solver:
    x, lengths = problem.x, problem.lengths

    def fit(n_iterations: int) -> float:
        model = _our_model(problem, max_iter=n_iterations, n_threads=n_threads)
        return float(model.fit(x, lengths=lengths).lower_bounds_[-1] * len(x))

    model = _our_model(problem, max_iter=0, n_threads=n_threads).fit(x, lengths=lengths)
    return Solver(
        fit,
        lambda: float(model.loglik(x, lengths=lengths)),
        lambda: model.decode(x, lengths=lengths),
        lambda found: float(found[0]),
    )


def _our_model(problem: ChainProblem, **settings: Any) -> Any:
    emissions = problem.emissions
    settings |= {
        "startprob_init": problem.start_law,
        "transmat_init": problem.transitions,
        "tol": 0.0,
    }
    s = problem.chains.n_states
    match problem.chains.emission:
        case "categorical":
            start = {"probabilities": emissions}
            return CategoricalHMM(s, n_categories=emissions.shape[1], params_init=start, **settings)
        case "poisson":
            return PoissonHMM(s, params_init={"rates": emissions}, **settings)
        case covariance_type:
            return GaussianHMM(
                s, covariance_type=covariance_type, means_init=emissions,
                covariances_init=_unit_covariances(problem), reg_covar=0.0, **settings,
            )  # fmt: skip


def _unit_covariances(problem: ChainProblem) -> npt.NDArray[np.float64]:
    s, d = problem.emissions.shape
    return np.ones((s, d)) if problem.chains.emission == "diag" else np.tile(np.eye(d), (s, 1, 1))


# -- hmmlearn -------------------------------------------------------------------------------------


def hmmlearn_is_installed() -> bool:
    return importlib.util.find_spec("hmmlearn") is not None


def hmmlearn_solver(problem: ChainProblem, implementation: Literal["log", "scaling"]) -> Solver:
    """Maximum likelihood: without the prior that hmmlearn gives covariances by default."""
    x: npt.NDArray[Any] = problem.x
    if problem.chains.emission == "categorical":
        x = x.astype(np.int64)
    lengths = problem.lengths

    def fit(n_iterations: int) -> float:
        model = _hmmlearn_model(problem, implementation, n_iterations).fit(x, lengths)
        return float(model.monitor_.history[-1])

    model = _hmmlearn_model(problem, implementation, 1)
    return Solver(
        fit,
        lambda: float(model.score(x, lengths)),
        lambda: model.decode(x, lengths, algorithm="viterbi"),
        lambda found: float(found[0]),
    )


def _hmmlearn_model(problem: ChainProblem, implementation: str, n_iterations: int) -> Any:
    from hmmlearn import hmm

    s = problem.chains.n_states
    settings: dict[str, Any] = {
        "implementation": implementation,
        "n_iter": n_iterations,
        "tol": -np.inf,
        "init_params": "",
    }
    model: Any
    match problem.chains.emission:
        case "categorical":
            model = hmm.CategoricalHMM(s, **settings)
            model.emissionprob_ = problem.emissions
            model.n_features = problem.emissions.shape[1]
        case "poisson":
            model = hmm.PoissonHMM(s, **settings)
            model.lambdas_ = problem.emissions
        case covariance_type:
            model = hmm.GaussianHMM(
                s, covariance_type=covariance_type, covars_prior=0.0, covars_weight=0.0, **settings
            )
            model.n_features = problem.emissions.shape[1]
            model.means_ = problem.emissions
            model.covars_ = _unit_covariances(problem)
    model.startprob_ = problem.start_law
    model.transmat_ = problem.transitions
    return model


# -- dynamax --------------------------------------------------------------------------------------


def dynamax_is_installed() -> bool:
    return importlib.util.find_spec("dynamax") is not None


def dynamax_solver(problem: ChainProblem) -> Solver:
    """Compiled once for the problem, double precision, one thread, priors so that their modes are most likely."""
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ.setdefault("XLA_FLAGS", flags)
    import jax

    jax.config.update("jax_enable_x64", True)
    chains = problem.chains
    model, (start, properties) = _dynamax_model(problem)
    kind = np.int64 if chains.emission == "categorical" else np.float64
    x = jax.numpy.asarray(problem.x.astype(kind)).reshape(chains.n_sequences, chains.length, -1)

    @jax.jit
    def step(params: Any) -> Any:
        stats, log_likelihood = jax.vmap(partial(model.e_step, params))(x)
        state = model.initialize_m_step_state(params, properties)
        return model.m_step(params, properties, stats, state)[0], log_likelihood.sum()

    @jax.jit
    def score() -> Any:
        return jax.vmap(partial(model.marginal_log_prob, start))(x).sum()

    @jax.jit
    def decode() -> Any:
        return jax.vmap(partial(model.most_likely_states, start))(x)

    @jax.jit
    def joint(states: Any) -> Any:
        return jax.vmap(partial(model.log_prob, start))(states, x).sum()

    def fit(n_iterations: int) -> float:
        params, log_likelihood = start, None
        for _ in range(n_iterations):
            params, log_likelihood = step(params)
        assert log_likelihood is not None
        return float(log_likelihood)

    return Solver(
        fit,
        lambda: float(score()),
        lambda: decode().block_until_ready(),
        lambda states: float(joint(states)),
        _flatness_of_prior(chains),
    )


def _flatness_of_prior(chains: Chains) -> float:
    """Of covariance matrices dynamax has no prior whose mode is most likely, a difference of the order of D^2 rows."""
    if chains.emission != "full":
        return 1e-8
    return chains.n_states * chains.size**2 / chains.n_rows


def _dynamax_model(problem: ChainProblem) -> tuple[Any, Any]:
    import jax.numpy as jnp
    from dynamax import hidden_markov_model as hmm

    s, d = problem.emissions.shape
    flat = {"initial_probs_concentration": 1.0, "transition_matrix_concentration": 1.0}
    chain = {
        "initial_probs": jnp.asarray(problem.start_law),
        "transition_matrix": jnp.asarray(problem.transitions),
    }
    emissions = jnp.asarray(problem.emissions)
    model: Any
    match problem.chains.emission:
        case "categorical":
            model = hmm.CategoricalHMM(s, 1, d, emission_prior_concentration=1.0, **flat)
            return model, model.initialize(emission_probs=emissions[:, None], **chain)
        case "poisson":
            model = hmm.PoissonHMM(
                s, d, emission_prior_concentration=1.0, emission_prior_rate=0.0, **flat
            )
            return model, model.initialize(emission_rates=emissions, **chain)
        case "diag":
            model = hmm.DiagonalGaussianHMM(
                s, d, emission_prior_mean_concentration=0.0, emission_prior_concentration=-1.5,
                emission_prior_scale=0.0, **flat,
            )  # fmt: skip
            scales = jnp.ones((s, d))
            return model, model.initialize(
                emission_means=emissions, emission_scale_diags=scales, **chain
            )
        case _:
            model = hmm.GaussianHMM(s, d, **flat)
            covariances = jnp.asarray(_unit_covariances(problem))
            return model, model.initialize(
                emission_means=emissions, emission_covariances=covariances, **chain
            )
