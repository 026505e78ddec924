"""Conjugate priors that several families share.

Hyperparameters have K components on a leading axis, or one for all.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from latentcore.arrays import Array
from latentcore.families.support import digamma, log_gamma, log_of

__all__ = [
    "DirichletPrior",
    "GammaPrior",
    "blended",
    "hyperparameter",
    "of_components",
    "times_log",
]

H = TypeVar("H")


def hyperparameter(value: npt.ArrayLike, name: str) -> Array:
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


def blended(posterior: H, other: H, rate: float) -> H:
    """``(1 - rate) posterior + rate other``, where hyperparameters are natural coordinates (up to constants)."""
    pairs = [(getattr(posterior, f.name), getattr(other, f.name)) for f in fields(posterior)]  # type: ignore[arg-type]
    return type(posterior)(*((1.0 - rate) * here + rate * there for here, there in pairs))


def of_components(values: Array, n_components: int) -> Array:
    """Rows for all components, contiguous, where one may stand for all."""
    return np.ascontiguousarray(np.broadcast_to(values, (n_components, values.shape[1])))


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

    def __init__(self, shape: npt.ArrayLike, rate: npt.ArrayLike) -> None:
        object.__setattr__(self, "shape", hyperparameter(shape, "shape"))
        object.__setattr__(self, "rate", hyperparameter(rate, "rate"))

    def mode(self) -> Array:
        """``(shape - 1) / rate``, not below 0."""
        mode: Array = np.maximum(self.shape - 1.0, 0.0) / self.rate
        return mode

    def mean(self) -> Array:
        """``shape / rate``."""
        mean: Array = self.shape / self.rate
        return mean

    def mean_log(self) -> Array:
        """E log rate, ``psi(shape) - log rate``."""
        return digamma(self.shape) - log_of(self.rate)

    def divergence(self, prior: GammaPrior) -> Array:
        """KL(self || prior), (K,), nats."""
        shape, rate = self.shape, self.rate
        terms = (shape - prior.shape) * digamma(shape) + log_gamma(prior.shape) - log_gamma(shape)
        terms = terms + prior.shape * (log_of(rate) - log_of(prior.rate))
        divergence: Array = (terms + shape * (prior.rate - rate) / rate).sum(axis=1)
        return divergence

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

    def __init__(self, concentration: npt.ArrayLike) -> None:
        checked = hyperparameter(concentration, "concentration")
        object.__setattr__(self, "concentration", checked)

    def numerators(self) -> Array:
        """Of the mode: ``concentration - 1``, not below 0."""
        return np.maximum(self.concentration - 1.0, 0.0)

    def mean(self, starts: list[int]) -> Array:
        """Probabilities, (K, F); each block of columns adds up to one and begins at one of ``starts``."""
        mean: Array = self.concentration / _repeated_totals(self.concentration, starts)
        return mean

    def mean_log(self, starts: list[int]) -> Array:
        """E log probability, (K, F): ``psi(concentration) - psi(total of the block)``."""
        return digamma(self.concentration) - digamma(_repeated_totals(self.concentration, starts))

    def divergence(self, prior: DirichletPrior, starts: list[int]) -> Array:
        """KL(self || prior) over all blocks, (K,), nats."""
        before = np.broadcast_to(prior.concentration, self.concentration.shape)
        normalisers = _log_normalisers(before, starts) - _log_normalisers(
            self.concentration, starts
        )
        terms = (self.concentration - before) * self.mean_log(starts)
        divergence: Array = normalisers + terms.sum(axis=1)
        return divergence

    def log_density(self, probabilities: Array, starts: list[int]) -> float:
        """Summed over rows and blocks of columns, nats; each block adds up to one and begins at one of ``starts``."""
        concentration = np.broadcast_to(self.concentration, probabilities.shape)
        totals = np.add.reduceat(concentration, starts, axis=1)
        kernel = times_log(concentration - 1.0, probabilities) - log_gamma(concentration)
        return float(log_gamma(totals).sum() + kernel.sum())


def _repeated_totals(concentration: Array, starts: list[int]) -> Array:
    totals = np.add.reduceat(concentration, starts, axis=1)
    return np.repeat(totals, np.diff([*starts, concentration.shape[1]]), axis=1)


def _log_normalisers(concentration: Array, starts: list[int]) -> Array:
    """``sum log Gamma(concentration) - log Gamma(total)`` over all blocks, (K,)."""
    totals = np.add.reduceat(concentration, starts, axis=1)
    normaliser: Array = log_gamma(concentration).sum(axis=1) - log_gamma(totals).sum(axis=1)
    return normaliser
