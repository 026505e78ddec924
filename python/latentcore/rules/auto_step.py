"""A step size that needs no tuning: two learners, one twice as fast as the other, and the evidence between them.

Every batch is scored before it is learned from, so it is a hold-out for both learners, and the difference of their
log-likelihoods, summed over batches, is the log of the Bayes factor of the faster against the slower one (Dawid 1984).
When it says enough, the faster goes on as the slower of a pair with larger steps, or the slower as the faster of a pair
with smaller ones. While the model stays, what a batch teaches is mostly noise and steps fall; when it moves, they rise.

A. P. Dawid, Present position and potential developments: the prequential approach, JRSS A 147 (1984).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from latentcore.errors import NumericalError
from latentcore.protocols import Expectation
from latentcore.rules.online import Batch, OnlineEM, OnlineInfo, OnlineState
from latentcore.rules.steps import ConstantStep
from latentcore.statistics import Statistics

__all__ = ["AutoOnlineEM", "AutoState"]

P = TypeVar("P")
S = TypeVar("S", bound=Statistics)


@dataclass(frozen=True, slots=True)
class AutoState(Generic[P, S]):
    """Where a stream with automatic steps is.

    Attributes
    ----------
    slow, fast : OnlineState
        Of the two learners.
    eta : float
        The step size of the slower one; that of the faster is ``factor`` times as large.
    evidence : float
        For the faster one since the pair is what it is, nats.
    """

    slow: OnlineState[P, S]
    fast: OnlineState[P, S]
    eta: float
    evidence: float = 0.0

    @property
    def leader(self) -> OnlineState[P, S]:
        """The learner that the evidence favours, the slower one if neither."""
        return self.fast if self.evidence > 0 else self.slow

    @property
    def params(self) -> P:
        """Those of the leader."""
        return self.leader.params

    @property
    def n_steps(self) -> int:
        return self.slow.n_steps

    @property
    def seen(self) -> float:
        return self.slow.seen


@dataclass(frozen=True, slots=True)
class AutoOnlineEM(Generic[P, S]):
    """Online EM that finds its step size; it costs two E-steps and two M-steps a batch, and the memory of two models.

    It is used as ``OnlineEM`` is: ``state = rule.init(params)``, ``state, info = rule.step(state, expectation, batch)``
    for each batch, ``state.params`` or ``rule.averaged(state)`` to look at. The state is all that there is to keep.

    Parameters
    ----------
    rule : OnlineEM
        Everything but the step size, which it need not have.
    eta : float, > 0
        With which the slower learner begins.
    factor : float, > 1
        How many times as large the faster learner's step size is, and by how much both change.
    enough : float, > 0
        Evidence that changes them, nats.
    """

    rule: OnlineEM[P, S]
    eta: float = 1.0
    factor: float = 2.0
    enough: float = 3.0

    def __post_init__(self) -> None:
        for name, low in (("eta", 0.0), ("factor", 1.0), ("enough", 0.0)):
            value = getattr(self, name)
            if not low < value < math.inf:
                raise ValueError(f"{name}: expected a finite number > {low:g}, got {value!r}")

    def init(self, params: P) -> AutoState[P, S]:
        start: OnlineState[P, S] = self.rule.init(params)
        return AutoState(start, start, self.eta)

    def step(
        self, state: AutoState[P, S], expectation: Expectation[P, S], batch: Batch
    ) -> tuple[AutoState[P, S], OnlineInfo]:
        """Score both learners, change the step sizes if there is enough evidence, and take a step of both.

        The objective is that of the learner that led before the batch was seen; eta is the step size that it had. What
        the faster learner cannot do, explain a row or keep a component, is evidence enough for the slower one.
        """
        slow, fast, eta = state.slow, state.fast, state.eta
        of_slow = expectation(slow.params)
        info = self.rule.info(slow, of_slow[1], eta)
        try:
            of_fast = of_slow if fast.params is slow.params else expectation(fast.params)
            if state.evidence > 0:
                info = self.rule.info(fast, of_fast[1], eta * self.factor)
            evidence = state.evidence + of_fast[1] - of_slow[1]
        except NumericalError:
            of_fast, evidence = of_slow, -math.inf
        if evidence > self.enough:
            slow, of_slow, eta, evidence = fast, of_fast, eta * self.factor, 0.0
        elif evidence < -self.enough:
            fast, of_fast, eta, evidence = slow, of_slow, eta / self.factor, 0.0
        slow, _ = self._learner(eta).step(slow, lambda _: of_slow, batch)
        try:
            fast, _ = self._learner(eta * self.factor).step(fast, lambda _: of_fast, batch)
        except NumericalError:
            fast, eta, evidence = slow, eta / self.factor, 0.0
        return AutoState(slow, fast, eta, evidence), info

    def averaged(self, state: AutoState[P, S]) -> P:
        """The parameters of the mean statistic of the leader's iterates; those of the state if none is kept."""
        return self.rule.averaged(state.leader)

    def _learner(self, eta: float) -> OnlineEM[P, S]:
        return replace(self.rule, step_size=ConstantStep(eta))
