"""Poisson mixtures of the annual numbers of major earthquakes, 1900 to 2006.

Zucchini & MacDonald (2009), Hidden Markov Models for Time Series, section 1.2 and table 1.2 (the same in the second
edition of 2016 with Langrock): -log L to four places, weights and rates to three.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from latentcore import PoissonMixture
from latentcore.datasets import load_earthquakes

PUBLISHED = {
    1: (391.9189, [1.0], [19.364]),
    2: (360.3690, [0.676, 0.324], [15.777, 26.840]),
    3: (356.8489, [0.278, 0.593, 0.130], [12.736, 19.785, 31.629]),
    4: (356.7337, [0.093, 0.354, 0.437, 0.116], [10.584, 15.528, 20.969, 32.079]),
}
every_number = pytest.mark.parametrize("n_components", PUBLISHED)


@cache
def fitted(n_components: int) -> PoissonMixture:
    """Converged: the fourth component adds so little that this takes more than a thousand iterations."""
    model = PoissonMixture(n_components, tol=1e-13, max_iter=10_000, n_init=5, random_state=0)
    return model.fit(load_earthquakes().data)


@every_number
def test_fit_has_the_published_log_likelihood(n_components: int) -> None:
    model = fitted(n_components)
    assert model.converged_
    log_likelihood, *_ = PUBLISHED[n_components]
    assert -model.loglik(load_earthquakes().data) == pytest.approx(log_likelihood, abs=6e-5)


@every_number
def test_fit_has_the_published_parameters(n_components: int) -> None:
    """The book cuts or rounds the third decimal."""
    model = fitted(n_components)
    _, weights, rates = PUBLISHED[n_components]
    order = np.argsort(model.rates_[:, 0])
    np.testing.assert_allclose(model.weights_[order], weights, rtol=0, atol=1e-3)
    np.testing.assert_allclose(model.rates_[order, 0], rates, rtol=0, atol=1e-3)
