"""Online EM: blend a batch's statistics with what the model itself expects, spend them (Amid & Warmuth 2020).

A step minimises, over the parameters, the bound of EM on the batch's mean negative log-likelihood plus ``1/eta`` times
the relative entropy of the new joint distribution of rows and hidden variables to the old one. Its solution blends
statistics, never parameters:

    s <- (s(theta) + eta s_batch) / (1 + eta)

so that no step increases the batch's negative log-likelihood, infinite eta is batch EM, and eta 0 stays. Cappé &
Moulines (2009) blend with a running statistic instead of the model's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from latentcore.protocols import Expectation, Lengths, Model
from latentcore.rules.steps import DECREASING, StepSize, rho_of
from latentcore.statistics import Statistics

__all__ = ["Batch", "Inertia", "OnlineEM", "OnlineInfo", "OnlineState"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)

Inertia = Literal["model", "running"]


@dataclass(frozen=True, slots=True)
class Batch:
    """What a step needs to know of its batch besides the E-step.

    Attributes
    ----------
    weight : float
        Number of observations, by weight, in the unit of ``model_statistics``: rows, or sequences if there are lengths.
    lengths : (Q,) or None
        Of the sequences. None: rows, of a model of sequences those of an endless one.
    """

    weight: float
    lengths: Lengths | None = None


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
    inertia : {"model", "running"}
        What a batch is blended with: what the model expects of an observation, derived from its parameters at each
        step, or the statistic that the steps so far have left. They are the same where ``model_statistics`` inverts
        ``maximize`` on the blended statistic, as in mixtures by maximum likelihood; not in models of sequences.
    prior : optional
        Conjugate prior; a step then adds it to the blended statistics, once, whatever the number of steps.
    total_weight : float, optional
        Number of observations that the prior is weighed against. None: those that the blend remembers, at most
        those seen.
    averaging : bool
        Whether to keep the mean of the iterates' statistics (Polyak & Juditsky 1992).
    """

    model: Model[P, S, Any]
    step_size: StepSize = DECREASING
    inertia: Inertia = "model"
    prior: Any = None
    total_weight: float | None = None
    averaging: bool = False

    def init(self, params: P) -> OnlineState[P, S]:
        return OnlineState(params)

    def step(
        self, state: OnlineState[P, S], expectation: Expectation[P, S], batch: Batch
    ) -> tuple[OnlineState[P, S], OnlineInfo]:
        """One step on the batch that the expectation sees."""
        stats, objective = expectation(state.params)
        eta = self.step_size(state.n_steps + 1)
        rho = rho_of(eta)
        seen = state.seen + batch.weight
        blended = self._blended(state, stats, batch, rho)
        params = state.params
        if rho > 0.0:
            params = self._spent(blended, state.params, rho, min(batch.weight / rho, seen))
        after = OnlineState(
            params,
            state.n_steps + 1,
            seen,
            blended if self.inertia == "running" else None,
            self._averaged(state, params, batch),
        )
        if self.prior is not None:
            objective += self.model.log_prior(self.prior, state.params)  # type: ignore[attr-defined]
        return after, OnlineInfo(objective, eta)

    def averaged(self, state: OnlineState[P, S]) -> P:
        """The parameters of the mean statistic of the iterates; those of the state if none is kept."""
        if state.average is None:
            return state.params
        return self.model.maximize(state.average, state.params)

    # -- inside

    def _blended(self, state: OnlineState[P, S], stats: S, batch: Batch, rho: float) -> S:
        """The statistic of one observation after the step."""
        known = state.running
        if known is None:
            known = self.model.model_statistics(state.params, batch.lengths)
        if rho == 0.0:
            return known
        fresh = stats * (rho / batch.weight)
        return fresh if rho == 1.0 else known * (1.0 - rho) + fresh

    def _spent(self, blended: S, previous: P, rho: float, remembered: float) -> P:
        model: Any = self.model
        if hasattr(model, "damped"):
            model = model.damped(rho)
        params: P
        if self.prior is None:
            params = model.maximize(blended, previous)
            return params
        # With the prior inside the objective, (U - log prior / n + D/eta), the statistic that it is added to is that of
        # n (1 + 1/eta) = n / rho observations; a running statistic holds data alone, hence n.
        n = remembered if self.total_weight is None else self.total_weight
        scale = n if self.inertia == "running" else n / rho
        params = model.mode(model.update(self.prior, blended * scale), previous)
        return params

    def _averaged(self, state: OnlineState[P, S], params: P, batch: Batch) -> S | None:
        if not self.averaging:
            return None
        own = self.model.model_statistics(params, batch.lengths)
        if state.average is None:
            return own
        share = 1.0 / (state.n_steps + 1)
        return state.average * (1.0 - share) + own * share
