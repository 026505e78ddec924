"""Estimators of hidden Markov models find published fits, and take the steps of hmmlearn.

Zucchini & MacDonald (2009), Hidden Markov Models for Time Series, chapters 3 and 4: earthquakes by year, 1900 to 2006.
"""

from __future__ import annotations

from typing import Any

import hmmlearn.hmm
import numpy as np
import pytest

from latentcore import CategoricalHMM, GaussianHMM, PoissonHMM, Topology
from latentcore.datasets import load_earthquakes

COUNTS = load_earthquakes().data


@pytest.mark.parametrize("init_params", ["kmeans", "random"])
@pytest.mark.parametrize(
    ("n_states", "start", "minus_log_likelihood"),
    [
        (2, "free", 341.8787),
        (3, "free", 328.5275),
        (2, "stationary", 342.3183),
        (3, "stationary", 329.4603),
    ],
)
def test_earthquakes_have_the_published_fits(
    n_states: int, start: Any, minus_log_likelihood: float, init_params: Any
) -> None:
    model = PoissonHMM(
        n_states, topology=Topology(start=start), init_params=init_params, n_init=3,
        random_state=0, tol=1e-9, max_iter=3000,
    ).fit(COUNTS)  # fmt: skip
    assert -model.loglik(COUNTS) == pytest.approx(minus_log_likelihood, abs=6e-5)
    df = n_states**2 + (n_states - 1) * (start == "free")
    assert model.aic(COUNTS) == pytest.approx(2 * minus_log_likelihood + 2 * df, abs=2e-4)


def test_rates_of_earthquakes_are_the_published_ones() -> None:
    model = PoissonHMM(2, random_state=0, tol=1e-9, max_iter=1000).fit(COUNTS)
    rates = np.sort(model.rates_[:, 0])
    np.testing.assert_allclose(rates, [15.421, 26.018], atol=6e-4)


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_em_of_the_estimator_takes_the_published_course() -> None:
    model = PoissonHMM(
        2, params_init={"rates": [[10.0], [30.0]]}, startprob_init=[0.5, 0.5],
        transmat_init=[[0.9, 0.1], [0.1, 0.9]], tol=1e-12, max_iter=31,
    ).fit(COUNTS)  # fmt: skip
    course = -len(COUNTS) * np.array(model.lower_bounds_)
    np.testing.assert_allclose(
        course[[0, 1, 2, 30]], [413.27542, 343.76023, 343.13618, 341.87871], atol=6e-6
    )


STARTPROB = np.array([0.6, 0.4])
TRANSMAT = np.array([[0.8, 0.2], [0.3, 0.7]])


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("family", ["poisson", "categorical", "diag", "full"])
def test_ten_iterations_are_those_of_hmmlearn(family: str) -> None:
    """Without priors, which hmmlearn has for Gaussians by default."""
    rng = np.random.default_rng(0)
    states = np.repeat([0, 1, 0, 1, 1, 0], 20)
    common: dict[str, Any] = {
        "startprob_init": STARTPROB,
        "transmat_init": TRANSMAT,
        "max_iter": 10,
        "tol": 0.0,
    }
    kwargs = {"init_params": "", "n_iter": 10, "tol": -np.inf}
    ours: Any
    if family == "poisson":
        x = rng.poisson(np.array([2.0, 9.0])[states])[:, None]
        theirs = hmmlearn.hmm.PoissonHMM(2, **kwargs)
        theirs.lambdas_ = np.array([[1.0], [5.0]])
        ours = PoissonHMM(2, params_init={"rates": theirs.lambdas_}, **common)
        names = {"rates_": "lambdas_"}
    elif family == "categorical":
        x = (rng.uniform(size=120) * (2 + 2 * states)).astype(int)[:, None]
        theirs = hmmlearn.hmm.CategoricalHMM(2, **kwargs)
        theirs.emissionprob_ = np.array([[0.4, 0.4, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25]])
        start = {"probabilities": theirs.emissionprob_}
        ours = CategoricalHMM(2, params_init=start, n_categories=4, **common)
        names = {"emissionprob_": "emissionprob_"}
    else:
        x = rng.normal(states[:, None] * [3.0, 1.0], 1.0 + states[:, None])
        theirs = hmmlearn.hmm.GaussianHMM(
            2, family, covars_prior=0.0, covars_weight=0.0, min_covar=0.0, **kwargs
        )
        theirs.means_ = np.array([[0.0, 0.0], [2.0, 1.0]])
        covariances = np.ones((2, 2)) if family == "diag" else np.stack([np.eye(2)] * 2)
        theirs.covars_ = covariances
        ours = GaussianHMM(
            2, covariance_type=family, means_init=theirs.means_, covariances_init=covariances,  # type: ignore[arg-type]
            reg_covar=0.0, **common,
        )  # fmt: skip
        names = {"means_": "means_", "covariances_": "covars_"}
    theirs.startprob_, theirs.transmat_ = STARTPROB, TRANSMAT
    lengths = [70, 1, 49]
    theirs.fit(x, lengths)
    ours.fit(x, lengths=lengths)
    for name, other in {"startprob_": "startprob_", "transmat_": "transmat_", **names}.items():
        expected = getattr(theirs, other)
        if name == "covariances_" and family == "diag":
            expected = expected.diagonal(axis1=1, axis2=2)
        np.testing.assert_allclose(getattr(ours, name), expected, atol=1e-6, err_msg=name)
    assert ours.loglik(x, lengths=lengths) == pytest.approx(theirs.score(x, lengths), rel=1e-7)
    log_joint, path = theirs.decode(x, lengths)
    assert ours.decode(x, lengths=lengths)[0] == pytest.approx(log_joint, rel=1e-7)
    np.testing.assert_array_equal(ours.predict(x, lengths=lengths), path)
    np.testing.assert_allclose(
        ours.predict_proba(x, lengths=lengths), theirs.predict_proba(x, lengths), atol=1e-6
    )
