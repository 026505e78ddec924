"""The design on one page: what a family, a model and a learning rule are.

A *family* is a distribution of visible rows with K components at once. A *structure* (mixture, hidden Markov model)
plugs families into hidden variables and makes a *model*. A *rule* (EM, online EM, CAVI) learns any model, because
all that it asks for are expected complete-data sufficient statistics:

    expected_statistics(params, data) -> (stats, log_likelihood)
    maximize(stats, previous)         -> params
    model_statistics(params)          -> stats

Rules are pairs of pure functions, ``init`` and ``step``; ``step`` gets the expectation as a function, so that it does
not know whether one thread, eight threads, a file or a cluster answers it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Array, RealArray, Rows
from latentcore.assignment import Matched, MatchedBy, Order
from latentcore.statistics import Statistics

__all__ = [
    "Array",
    "Comparable",
    "Conjugate",
    "ConjugateModel",
    "Expectation",
    "Family",
    "FusedFamily",
    "KernelFamily",
    "LabelledModel",
    "Lengths",
    "Model",
    "PreparingFamily",
    "RealArray",
    "Rule",
    "Variational",
    "VariationalModel",
]

Lengths = npt.NDArray[np.int64]
"""(Q,): numbers of rows of sequences."""

P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)
P_contra = TypeVar("P_contra", contravariant=True)
S = TypeVar("S", bound=Statistics)
S_co = TypeVar("S_co", bound=Statistics, covariant=True)
S_contra = TypeVar("S_contra", bound=Statistics, contravariant=True)
D_contra = TypeVar("D_contra", contravariant=True)
H = TypeVar("H")
State = TypeVar("State")
Info_co = TypeVar("Info_co", covariant=True)


class Family(Protocol[P, S]):
    """Distributions of a row; ``params`` hold all K components at once, on a leading axis.

    A NaN in ``x`` is a missing entry: the log-density is that of what was observed, and statistics are expected ones
    given what was observed. A family that cannot say so raises ``ValueError``.
    """

    def log_likelihood(self, params: P, x: RealArray) -> RealArray:
        """Log-densities, (N, K), nats."""

    def expected_statistics(self, params: P | None, x: RealArray, weights: RealArray) -> S:
        """Sums over rows under ``weights`` (N, K).

        Where no entry is missing, ``params`` may guide the arithmetic, never the value.
        """

    def maximize(self, stats: S, previous: P | None) -> P:
        """The parameters of largest expected log-likelihood; ``previous`` serves components with no data."""

    def model_statistics(self, params: P, counts: Array) -> S:
        """What ``counts`` (K,) observations of the components are expected to give."""


class PreparingFamily(Protocol):
    """A family that looks at the rows once before many sweeps over them."""

    def prepare(self, data: Rows) -> object:
        """What ``mixture_sweep`` would find out of ``data`` again and again; it comes back in ``data.prepared``.

        It saves time and never changes the value: a sweep whose ``data.prepared`` is None makes it anew.
        """


class KernelFamily(Protocol[P_contra]):
    """A family whose densities have a factor without parameters: ``log f_k(x) = log_kernel + log_base``.

    What is the same for all components need not be computed in every sweep.
    """

    def log_kernel(self, params: P_contra, x: RealArray) -> RealArray:
        """(N, K), nats."""

    def log_base(self, x: RealArray) -> Array | None:
        """(N,), nats, over what was observed; None for zeros."""


class FusedFamily(Protocol[P_contra, S_co]):
    """A family whose mixture sweeps run inside a compiled kernel, one pass over the rows in constant memory."""

    def mixture_sweep(
        self, params: P_contra, log_weights: Array, data: Rows, hard: bool
    ) -> tuple[Array, S_co, float]:
        """Counts (K,), statistics and objective of an E-step.

        Rows with a label >= 0 belong to that component alone, the others to all in the shares of their posterior, or,
        ``hard``, to the most probable. The objective is ``sum_n w_n log sum_k exp(a_nk)``, with the one a_nk that
        counts in place of the sum where there is but one.
        """

    def mixture_log_joint(self, params: P_contra, log_weights: Array, x: RealArray) -> RealArray:
        """(N, K): log weight plus log-density."""

    def mixture_responsibilities(
        self, params: P_contra, log_weights: Array, x: RealArray
    ) -> tuple[RealArray, RealArray]:
        """(N, K) responsibilities and (N,) log-densities of the mixture."""

    def mixture_log_density(self, params: P_contra, log_weights: Array, x: RealArray) -> RealArray:
        """(N,) log-densities of the mixture."""

    def mixture_labels(
        self, params: P_contra, log_weights: Array, x: RealArray
    ) -> npt.NDArray[np.intp]:
        """(N,) the most responsible component of each row."""


class Comparable(Protocol[P_contra]):
    """A family that tells how far apart its distributions are, as combining models needs it."""

    def relative_entropy(self, a: P_contra, b: P_contra) -> Array:
        """KL(component i of ``a`` || component j of ``b``), (K, K'), nats; +inf where ``b`` forbids what happens."""


class LabelledModel(Protocol[P, S]):
    """A model whose hidden values have labels that mean nothing, as combining models needs it."""

    def statistics(self, params: P) -> S:
        """What one observation is expected to give."""

    def maximize(self, stats: S, previous: P) -> P:
        """The parameters of these statistics; ``previous`` serves what they say nothing of."""

    def relative_entropy(self, params: P, other: P) -> float:
        """Of the joint distributions of visible and hidden values, with the labels that they have, nats."""

    def match(self, params: P, like: P, by: MatchedBy, begin: Order | None = None) -> Matched:
        """The order in which labels are most alike those of ``like``; a search begins at ``begin``."""

    def margin(self, params: P, like: P) -> float:
        """How clearly the labels agree, from -1 to 1: 1 for no doubt, 0 or less if others would do as well."""

    def relabelled(self, params: P, order: Order, like: P) -> P:
        """The same model in this order, and with what components have inside as it is in ``like``."""


class Model(Protocol[P, S, D_contra]):
    """A structure with its family plugged in.

    What more a model can do it is asked for: ``update``, ``mode`` and ``log_prior`` with priors, ``sampled_statistics``
    for inertia that is drawn, ``with_floor`` and ``without_floor`` where ``maximize`` adds to the statistics
    (``floors``).
    """

    def expected_statistics(self, params: P, data: D_contra) -> tuple[S, float]:
        """The E-step on a shard: expected statistics and log-likelihood."""

    def maximize(self, stats: S, previous: P) -> P:
        """The M-step."""

    def model_statistics(
        self, params: P, lengths: Lengths | None = None, length_weights: Array | None = None
    ) -> S:
        """What one observation is expected to give; ``maximize`` of it is ``params``.

        An observation is a row; in a model of sequences with ``lengths`` (Q,) a sequence, whose length is any of them
        with probabilities in proportion to ``length_weights`` (Q,), by default equal ones. Without ``lengths`` it is a
        row of an endless sequence.
        """


class Conjugate(Protocol[H, S_contra, P]):
    """A family with conjugate priors. ``H`` is prior and posterior alike, of K components on a leading axis."""

    def update(self, prior: H, stats: S_contra) -> H:
        """The posterior after observations with these expected statistics."""

    def mode(self, posterior: H, previous: P | None) -> P:
        """The parameters of largest posterior density, in the standard parametrisation (``math`` of each family)."""

    def log_prior(self, prior: H, params: P) -> float:
        """The log-density of the parameters, summed over components, nats, all constants kept."""

    def weak_prior(self, pooled: S_contra, n_components: int) -> H:
        """A proper prior on the scale of the data, worth about one row; ``pooled`` are all rows' statistics, K = 1."""


class Variational(Protocol[H, S_contra, P_co]):
    """A conjugate family as variational inference needs it, besides ``update``.

    ``expected`` returns what stands in the place of parameters in ``log_likelihood`` and the fused sweeps, so that the
    same kernels fill the same tiles with E_q log p instead of log p. It is in general not the parameters of any
    distribution.
    """

    def update(self, prior: H, stats: S_contra) -> H:
        """The posterior after observations with these expected statistics."""

    def expected(self, posterior: H, n_components: int) -> P_co:
        """Under these "parameters" the log-density is E_q log p(x | component)."""

    def divergence(self, posterior: H, prior: H) -> Array:
        """KL(posterior || prior) by component, (K,), nats; what they share is divided equally among them."""

    def blend(self, posterior: H, other: H, rate: float) -> H:
        """The step ``(1 - rate) posterior + rate other`` in natural coordinates (Hoffman et al. 2013)."""

    def mean(self, posterior: H) -> P_co:
        """Parameters in the middle of the posterior, to plug in."""


class ConjugateModel(Protocol[H, S_contra, P]):
    """A model with conjugate priors, as MAP-EM needs it."""

    def update(self, prior: H, stats: S_contra) -> H:
        """The posterior after observations with these expected statistics."""

    def mode(self, posterior: H, previous: P | None) -> P:
        """The parameters of largest posterior density."""

    def log_prior(self, prior: H, params: P) -> float:
        """The log-density of the parameters, nats."""


class VariationalModel(Protocol[H, S_contra, P_co]):
    """A model with conjugate priors, as CAVI and stochastic variational inference need it."""

    def update(self, prior: H, stats: S_contra) -> H:
        """The posterior after observations with these expected statistics."""

    def expected(self, posterior: H) -> P_co:
        """What takes the place of parameters in the E-step, for expected log-densities."""

    def divergence(self, posterior: H, prior: H) -> tuple[float, Array]:
        """KL(posterior || prior) of the structure's own parameters, and of each component, nats."""

    def blend(self, posterior: H, other: H, rate: float) -> H:
        """The step ``(1 - rate) posterior + rate other`` in natural coordinates."""


Expectation = Callable[[P], tuple[S, float]]
"""The E-step over all data, bound by the engine to shards, threads, files or machines."""


class Rule(Protocol[P, S_contra, State, Info_co]):
    """A learning rule: pure functions of its state."""

    def init(self, params: P) -> State:
        """The state before the first step."""

    def step(self, state: State, expectation: Expectation[P, S_contra]) -> tuple[State, Info_co]:
        """One step: the next state, and what is interesting about it."""
