"""Stationary Poisson hidden Markov models of the annual numbers of major earthquakes, 1900 to 2006.

Zucchini, MacDonald & Langrock (2016), Hidden Markov Models for Time Series, 2nd edition, section 3.2.3: -log L to four
places, of chains that start in their stationary law. EM has no closed M-step for them (4.2.4).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from latentcore.datasets import load_earthquakes
from latentcore.engine import Fit, expectation, run
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.rules.em import EM
from latentcore.sequences import Sequences
from latentcore.structures.chains import stationary_distribution
from latentcore.structures.hmm import HMM, HMMParams
from latentcore.structures.topology import Topology

PUBLISHED = {1: 391.9189, 2: 342.3183, 3: 329.4603, 4: 327.8316}
STARTS = {1: [20.0], 2: [10.0, 30.0], 3: [10.0, 20.0, 30.0], 4: [10.0, 15.0, 20.0, 30.0]}
every_number = pytest.mark.parametrize("n_states", PUBLISHED)


@cache
def fitted(n_states: int) -> Fit[HMMParams[PoissonParams]]:
    x = np.ascontiguousarray(load_earthquakes().data, dtype=np.float64)
    data = Sequences(x, np.array([0, len(x)]))
    model = HMM(Poisson(), topology=Topology(start="stationary"))
    off = 0.1 * np.ones((n_states, n_states))
    transition = off + np.diag(1 - off.sum(axis=1))
    begin = HMMParams(
        np.full(n_states, 1 / n_states),
        transition,
        PoissonParams(np.array(STARTS[n_states])[:, None]),
    )
    return run(
        EM(model), begin, expectation(model, data, len(x), 1),
        total_weight=1.0, tol=1e-9, max_iter=2000,
    )  # fmt: skip


@every_number
def test_fit_has_the_published_log_likelihood(n_states: int) -> None:
    fit = fitted(n_states)
    assert fit.converged
    assert -fit.history[-1] == pytest.approx(PUBLISHED[n_states], abs=6e-5)


@every_number
def test_likelihood_never_falls(n_states: int) -> None:
    assert np.diff(fitted(n_states).history).min(initial=0.0) >= -1e-10


@every_number
def test_it_starts_in_its_stationary_law(n_states: int) -> None:
    params = fitted(n_states).params
    np.testing.assert_array_equal(params.initial, stationary_distribution(params.transition))
