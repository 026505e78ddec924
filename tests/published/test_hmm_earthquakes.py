"""Poisson hidden Markov models of the annual numbers of major earthquakes, 1900 to 2006, by EM with a free start.

Zucchini & MacDonald (2009), Hidden Markov Models for Time Series, section 4.3 (the same in the second edition of 2016
with Langrock): -log L, and the course of EM with two states iteration by iteration.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentcore import engine
from latentcore.datasets import load_earthquakes
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.rules.em import EM
from latentcore.sequences import as_sequences
from latentcore.structures.hmm import HMM, HMMParams

MODEL = HMM(Poisson())
DATA = as_sequences(load_earthquakes().data)


def start(rates: list[float]) -> HMMParams[PoissonParams]:
    """Off-diagonals of 0.1, and equal chances of the first state."""
    n = len(rates)
    transition = np.full((n, n), 0.1) + (1 - 0.1 * n) * np.eye(n)
    return HMMParams(np.full(n, 1 / n), transition, PoissonParams(np.array(rates)[:, None]))


def fitted(rates: list[float], n_steps: int, tol: float = 0.0) -> engine.Fit[Any]:
    """The history holds the log-likelihoods that the steps started from."""
    expectation = engine.expectation(MODEL, DATA, len(DATA), 1)
    return engine.run(
        EM(MODEL), start(rates), expectation, total_weight=1.0, tol=tol, max_iter=n_steps
    )


def test_em_takes_the_published_course() -> None:
    history = -np.array(fitted([10.0, 30.0], 31).history)
    expected = [413.27542, 343.76023, 343.13618, 341.87871]
    np.testing.assert_allclose(history[[0, 1, 2, 30]], expected, rtol=0, atol=6e-6)
    assert (np.diff(history) < 0).all()


def test_two_states_have_the_published_log_likelihood_and_rates() -> None:
    fit = fitted([10.0, 30.0], 1000, tol=1e-12)
    assert fit.converged
    assert -fit.history[-1] == pytest.approx(341.8787, abs=6e-5)
    np.testing.assert_allclose(fit.params.emissions.rates[:, 0], [15.421, 26.018], atol=6e-4)
    np.testing.assert_allclose(fit.params.initial, [1, 0], atol=1e-12)


def test_three_states_have_the_published_log_likelihood() -> None:
    fit = fitted([10.0, 20.0, 30.0], 1000, tol=1e-12)
    assert fit.converged
    assert -fit.history[-1] == pytest.approx(328.5275, abs=6e-5)
