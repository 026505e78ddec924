"""The evidence lower bound of a Bayesian mixture, by its terms."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from latentcore.protocols import Array

__all__ = ["BoundTerms", "total_of"]


class BoundTerms(TypedDict):
    """The evidence lower bound, nats: the first two, minus the others.

    ``expected_log_joint`` is E_q of the log joint density of rows and their components given the parameters;
    ``entropy`` that of q(components of rows).
    """

    expected_log_joint: float
    entropy: float
    divergence_of_weights: float
    divergence_of_components: Array


def total_of(terms: BoundTerms) -> float:
    return (
        terms["expected_log_joint"]
        + terms["entropy"]
        - terms["divergence_of_weights"]
        - float(np.sum(terms["divergence_of_components"]))
    )
