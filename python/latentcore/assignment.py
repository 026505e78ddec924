"""Orders of components, and the linear assignment that finds them: each row one column, at the least total cost."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from latentcore import kernels
from latentcore.arrays import Array

__all__ = ["NEGLIGIBLE", "Matched", "MatchedBy", "Order", "assignment", "finite", "joint_costs"]

Order = npt.NDArray[np.intp]
"""(K,): the component ``order[k]`` gets the label k."""

MatchedBy = Literal["joint", "symmetric", "unweighted"]
"""What labels are to make small: the joint relative entropy to the other model; that and the one from it; those of the
components both ways, without weights and chain."""


NEGLIGIBLE = 1e-250
"""A probability, or an expected number, of what counts as never happening; a mean of models may have 0 in its place."""


class Matched(NamedTuple):
    """An order and what it costs, nats."""

    order: Order
    cost: float


def assignment(costs: Array) -> Order:
    """The order that minimises ``sum_k costs[k, order[k]]`` (Crouse 2016, in SciPy).

    Parameters
    ----------
    costs : (K, K)
        +inf is a pair that is to be avoided, and taken only if all orders have as many.

    Raises
    ------
    ImportError
        SciPy is not installed.
    """
    if len(costs) == 1:
        return np.zeros(1, np.intp)
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError(
            "matching components needs SciPy; install it with: pip install 'latentcore[scipy]'"
        ) from error
    order: Order = linear_sum_assignment(finite(costs))[1]
    return order


def finite(costs: Array) -> Array:
    """Costs (K, K) with a number in the place of +inf that outweighs any sum of K finite ones."""
    infinite = np.isposinf(costs)
    if not infinite.any():
        return costs
    largest = np.abs(costs[~infinite]).max(initial=0.0)
    return np.where(infinite, 2.0 * len(costs) * (1.0 + largest), costs)


def joint_costs(weights: Array, others: Array, divergences: Array) -> Array:
    """``w_i (log(w_i / w'_j) + KL(i || j))``, (K, K'), nats: the share of pair (i, j) in a joint relative entropy.

    That of two mixtures is the sum over pairs of the same label. It is 0 where w_i is, or next to it.

    Parameters
    ----------
    weights, others : (K,) and (K',), >= 0
    divergences : (K, K')
    """
    used = weights > NEGLIGIBLE
    log_weights = np.where(used, kernels.log(weights), 0.0)
    costs = log_weights[:, None] - kernels.log(others) + divergences
    return np.where(used[:, None], weights[:, None] * np.where(used[:, None], costs, 0.0), 0.0)
