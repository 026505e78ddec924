"""scikit-learn's tools take our Bayesian estimators for ones of theirs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from estimators.sklearn_checks import every_check
from latentcore import BayesianGaussianMixture, BayesianMixture, GaussianMeansMixture

MODELS = [
    BayesianGaussianMixture(),
    BayesianGaussianMixture(
        covariance_type="tied", weight_concentration_prior_type="dirichlet_distribution",
        warm_start=True,
    ),
    BayesianGaussianMixture(covariance_type="diag", batch_size=20, n_init=2, random_state=0),
    BayesianGaussianMixture(covariance_type="spherical", optimize_concentration=True),
    BayesianMixture(),
    GaussianMeansMixture(),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Estimator .*Mixture does not inherit:UserWarning")
@every_check(MODELS)
def test_estimator_check_passes(model: Any, check: Any) -> None:
    if getattr(check, "func", check).__name__ == "check_array_api_input":
        return  # for estimators that say they take arrays of other libraries
    check(model)


def test_grid_search_takes_the_mean_score() -> None:
    x = np.random.default_rng(0).normal(size=(90, 2)) + np.tile([[0, 0], [7, 7], [0, 9]], (30, 1))
    search = GridSearchCV(
        BayesianGaussianMixture(random_state=0), {"n_components": [1, 3]}, cv=3
    ).fit(x)
    assert search.best_params_ == {"n_components": 3}
    assert not any(name.endswith("_") for name in vars(clone(search.best_estimator_)))


def test_fit_does_not_import_scikit_learn_or_scipy() -> None:
    program = """
import sys
import numpy as np
from latentcore import BayesianGaussianMixture, BayesianMixture, GaussianMeansMixture
x = np.abs(np.random.default_rng(0).normal(size=(50, 2)))
for model in (
    BayesianGaussianMixture(2, random_state=0, optimize_concentration=True),
    BayesianMixture("exponential", 2, random_state=0, batch_size=25),
    GaussianMeansMixture(2, random_state=0),
):
    model.set_params(tol=1.0).fit(x).partial_fit(x)
    model.predict(x), model.predictive_logpdf(x), model.sample(3), repr(model), model.summary()
assert "sklearn" not in sys.modules and "scipy" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
