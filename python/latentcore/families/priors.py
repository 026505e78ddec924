"""Conjugate priors that several families share.

Hyperparameters have K components on a leading axis, or one for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentcore.arrays import Array
from latentcore.families.support import log_gamma, log_of

__all__ = ["DirichletPrior", "GammaPrior", "hyperparameter", "times_log"]


def hyperparameter(value: Any, name: str) -> Array:
    """Positive finite numbers as a matrix; one number stands for all components and columns."""
    array: Array = np.atleast_2d(np.asarray(value, np.float64))
    if array.ndim > 2:
        raise ValueError(f"{name}: expected shape (K, D) or (1, D), got {array.shape}")
    if not ((array > 0) & (array < np.inf)).all():
        bad = array[~((array > 0) & (array < np.inf))].flat[0]
        raise ValueError(f"{name}: expected finite numbers > 0, got {bad}")
    return array


def times_log(factor: Array, x: Array) -> Array:
    """``factor log x``, where ``0 log 0`` is 0."""
    with np.errstate(invalid="ignore"):
        return np.where(factor == 0, 0.0, factor * log_of(x))


@dataclass(frozen=True, slots=True)
class GammaPrior:
    """Gamma distributions of rates, ``rate^shape t^(shape-1) exp(-rate t) / Gamma(shape)``; posteriors alike.

    Attributes
    ----------
    shape, rate : (K, D) or (1, D), > 0
        Numbers stand for all components and columns. With ``shape < 1`` the density has no largest value; the mode is
        put at 0, and the log-density there is infinite.
    """

    shape: Array
    rate: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", hyperparameter(self.shape, "shape"))
        object.__setattr__(self, "rate", hyperparameter(self.rate, "rate"))

    def mode(self) -> Array:
        """``(shape - 1) / rate``, not below 0."""
        mode: Array = np.maximum(self.shape - 1.0, 0.0) / self.rate
        return mode

    def log_density(self, rates: Array) -> float:
        """Summed over the entries of ``rates`` (K, D), nats."""
        constant = self.shape * log_of(self.rate) - log_gamma(self.shape)
        return float((constant + times_log(self.shape - 1.0, rates) - self.rate * rates).sum())


@dataclass(frozen=True, slots=True)
class DirichletPrior:
    """Dirichlet distributions of probabilities; posteriors alike.

    Attributes
    ----------
    concentration : (K, F) or (1, F), > 0
        One number stands for all. With a concentration < 1 the density has no largest value; the mode is put where
        that probability is 0.
    """

    concentration: Array

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "concentration", hyperparameter(self.concentration, "concentration")
        )

    def numerators(self) -> Array:
        """Of the mode: ``concentration - 1``, not below 0."""
        return np.maximum(self.concentration - 1.0, 0.0)

    def log_density(self, probabilities: Array, starts: list[int]) -> float:
        """Summed over rows and blocks of columns, nats; each block adds up to one and begins at one of ``starts``."""
        concentration = np.broadcast_to(self.concentration, probabilities.shape)
        totals = np.add.reduceat(concentration, starts, axis=1)
        kernel = times_log(concentration - 1.0, probabilities) - log_gamma(concentration)
        return float(log_gamma(totals).sum() + kernel.sum())
