"""Online EM: blend a batch's statistics with what the model itself expects, spend them (Amid & Warmuth 2020).

A step minimises, over the parameters, the bound of EM on the batch's mean negative log-likelihood plus ``1/eta`` times
the relative entropy of the new joint distribution of rows and hidden variables to the old one. Its solution blends
statistics, never parameters:

    s <- (s(theta) + eta s_batch) / (1 + eta)

so that no step increases the batch's negative log-likelihood, infinite eta is batch EM, and eta 0 stays. Cappé &
Moulines (2009) blend with a running statistic instead of the model's own.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from latentcore.floors import with_floor, without_floor
from latentcore.protocols import Array, Expectation, Lengths, Model
from latentcore.rules.steps import DECREASING, StepSize, rho_of
from latentcore.statistics import Statistics

__all__ = ["Batch", "FiniteSample", "Inertia", "OnlineEM", "OnlineInfo", "OnlineState"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)

Inertia = Literal["model", "running"]


@dataclass(frozen=True, slots=True)
class FiniteSample:
    """Inertia of observations drawn from the model, for families whose ``model_statistics`` have no closed form.

    What ``n`` draws are expected to tell of hidden variables under the parameters that they were drawn with is, on
    average, what the model expects: a step is batch EM on the batch and the draws, weighted.

    Parameters
    ----------
    n : int, > 0
        The draws of a step: rows, or sequences if batches have lengths. ``batch weight / eta`` make all weights equal;
        ``batch weight / eta**2`` add as much noise to a step as its batch does.
    seed : int, >= 0
        With the number of the step it makes the draws, so that a step is a function of its state.
    """

    n: int
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("n", 1), ("seed", 0)):
            if operator.index(getattr(self, name)) < low:
                raise ValueError(f"{name}: expected at least {low}, got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class Batch:
    """What a step needs to know of its batch besides the E-step.

    Attributes
    ----------
    weight : float, > 0
        Number of observations, by weight, in the unit of ``model_statistics``: rows, or sequences if there are lengths.
    lengths : (Q,) or None
        Of the sequences. None: rows, of a model of sequences those of an endless one.
    length_weights : (Q,) or None
        Weights of the sequences. None: ones.
    """

    weight: float
    lengths: Lengths | None = None
    length_weights: Array | None = None

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"weight: expected a finite number > 0, got {self.weight!r}")


@dataclass(frozen=True, slots=True)
class OnlineState(Generic[P, S]):
    """Where a stream is.

    Attributes
    ----------
    params : P
    n_steps : int
    seen : float
        Observations so far, by weight.
    running : S or None
        The running statistic of one observation; only with running inertia.
    average : S or None
        The mean of the model statistics of all iterates; only with averaging.
    """

    params: P
    n_steps: int = 0
    seen: float = 0.0
    running: S | None = None
    average: S | None = None


@dataclass(frozen=True, slots=True)
class OnlineInfo:
    objective: float
    """Log-likelihood of the batch (nats, total), and log prior if there is one, before the step."""
    eta: float


@dataclass(frozen=True, slots=True)
class OnlineEM(Generic[P, S]):
    """Online EM on any model.

    Parameters
    ----------
    step_size : step number -> eta
    inertia : {"model", "running"} or FiniteSample
        What a batch is blended with: what the model expects of an observation, derived from its parameters at each
        step, or the statistic that the steps so far have left. They are the same where ``model_statistics`` inverts
        ``maximize`` on the blended statistic, as in mixtures by maximum likelihood; not in models of sequences. A
        ``FiniteSample`` stands in for the model's expectation where it has no closed form.
    prior : optional
        Conjugate prior; a step then adds it to the blended statistics, once, whatever the number of steps.
    total_weight : float, optional
        Number of observations that the prior is weighed against. None: those that the blend remembers, at most
        those seen. Model inertia then holds an earlier, heavier prior too: with steps of ``1 / t`` the prior counts for
        up to ``1 + 1/2 + ... + 1/t`` times as much, with the default ones hardly more.
    averaging : bool
        Whether to keep the mean of the iterates' statistics (Polyak & Juditsky 1992).
    """

    model: Model[P, S, Any]
    step_size: StepSize = DECREASING
    inertia: Inertia | FiniteSample = "model"
    prior: Any = None
    total_weight: float | None = None
    averaging: bool = False

    def init(self, params: P) -> OnlineState[P, S]:
        return OnlineState(params)

    def step(
        self, state: OnlineState[P, S], expectation: Expectation[P, S], batch: Batch
    ) -> tuple[OnlineState[P, S], OnlineInfo]:
        """One step on the batch that the expectation sees."""
        stats, log_likelihood = expectation(state.params)
        eta = self.step_size(state.n_steps + 1)
        rho = rho_of(eta)
        n_steps, seen = state.n_steps + 1, state.seen + batch.weight
        params, running = state.params, state.running
        if rho > 0.0:
            blended = self._blended(state, stats, batch, rho)
            params = self._spent(blended, params, rho, min(batch.weight / rho, seen))
            running = blended if self.inertia == "running" else None
        average = self._averaged(state, params, batch) if self.averaging else None
        info = self.info(state, log_likelihood, eta)
        return OnlineState(params, n_steps, seen, running, average), info

    def info(self, state: OnlineState[P, S], log_likelihood: float, eta: float) -> OnlineInfo:
        """About a step from this state on a batch of this log-likelihood."""
        objective = log_likelihood
        if self.prior is not None:
            objective += self.model.log_prior(self.prior, state.params)  # type: ignore[attr-defined]
        return OnlineInfo(objective, eta)

    def averaged(self, state: OnlineState[P, S]) -> P:
        """The parameters of the mean statistic of the iterates; those of the state if none is kept."""
        if state.average is None:
            return state.params
        return without_floor(self.model).maximize(state.average, state.params)

    # -- inside

    def _blended(self, state: OnlineState[P, S], stats: S, batch: Batch, rho: float) -> S:
        """The statistic of one observation after the step."""
        if self.prior is None:  # a prior's mode adds no floor
            stats = with_floor(self.model, stats)
        fresh = stats * (rho / batch.weight)
        if rho == 1.0:
            return fresh
        known = state.running
        if known is None or self.inertia != "running":
            known = self._expected(state.params, batch, state.n_steps)
        return known * (1.0 - rho) + fresh

    def _spent(self, blended: S, previous: P, rho: float, remembered: float) -> P:
        if self.prior is None:
            return without_floor(self.model).maximize(blended, previous)
        # With the prior inside the objective, (U - log prior / n + D/eta), the statistic that it is added to is that of
        # n (1 + 1/eta) = n / rho observations; a running statistic holds data alone, hence n.
        n = remembered if self.total_weight is None else self.total_weight
        scale = n if self.inertia == "running" else n / rho
        model: Any = self.model
        params: P = model.mode(model.update(self.prior, blended * scale), previous)
        return params

    def _expected(self, params: P, batch: Batch, n_steps: int) -> S:
        """What the model expects of an observation like those of the batch."""
        lengths, weights = batch.lengths, batch.length_weights
        if not isinstance(self.inertia, FiniteSample):
            return self.model.model_statistics(params, lengths, weights)
        rng = np.random.default_rng((self.inertia.seed, n_steps))
        model: Any = self.model
        stats: S = model.sampled_statistics(params, self.inertia.n, rng, lengths, weights)
        return stats

    def _averaged(self, state: OnlineState[P, S], params: P, batch: Batch) -> S:
        """The mean of what the iterates so far expect of an observation."""
        own = self._expected(params, batch, state.n_steps + 1)
        if state.average is None:
            return own
        share = 1.0 / (state.n_steps + 1)
        return state.average * (1.0 - share) + own * share
