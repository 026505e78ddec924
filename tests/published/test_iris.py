"""Gaussian mixtures of Fisher's irises against the BIC table of R's mclust, and against scikit-learn.

``Mclust(iris[, -5])$BIC`` prints 2 log L - df log 150, the higher the better, and depends on no random number
(the program: Scrucca, Fop, Murphy & Raftery 2016, R Journal 8, 289-317). Its best is VEV,2 at -561.7285, a type of
covariance that is not here; of those that are, VVV,2. mclust stops when log L rises by less than 1e-5 of itself, so
that a converged fit is above its value by a few thousandths. For K >= 4 its one start finds local maxima.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from sklearn.mixture import GaussianMixture as Peer

from latentcore import GaussianMixture
from latentcore.datasets import load_iris

MCLUST = {
    "EII": ("tied_spherical", [-1804.0854, -1123.4117, -878.7650]),
    "VII": ("spherical", [-1804.0854, -1012.2352, -853.8144]),
    "VVI": ("diag", [-1522.1202, -857.5515, -744.6382]),
    "EEE": ("tied", [-829.9782, -688.0972, -632.9647]),
    "VVV": ("full", [-829.9782, -574.0178, -580.8396]),
}
CONVERGED: dict[str, Any] = {
    "reg_covar": 0.0, "tol": 1e-12, "max_iter": 5000, "n_init": 3, "random_state": 0,
}  # fmt: skip

ROUNDING = 5e-5
STOPPED_EARLY = 0.01
"""Of BIC: twice the nats by which mclust's log L is short, at most 1e-5 log L an iteration."""


@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("name", MCLUST)
def test_best_fit_is_that_of_mclust_and_of_sklearn(name: str, n_components: int) -> None:
    covariance_type: Any
    x = load_iris().data
    covariance_type, published = MCLUST[name]
    model = GaussianMixture(n_components, covariance_type=covariance_type, **CONVERGED).fit(x)
    assert model.converged_
    assert model.n_degenerate_ == 0
    above = -model.bic(x) - published[n_components - 1]
    assert -2 * ROUNDING <= above <= STOPPED_EARLY
    if covariance_type != "tied_spherical":
        peer = Peer(n_components, covariance_type=covariance_type, **CONVERGED).fit(x)
        assert model.loglik(x) == pytest.approx(150 * peer.score(x), rel=1e-9)
        assert model.bic(x) == pytest.approx(peer.bic(x), rel=1e-9)


def test_two_unrestricted_components_are_setosa_and_the_others() -> None:
    """VVV,2: log L -214.3547 with 29 free parameters; 50 and 100 flowers, none between."""
    iris = load_iris()
    model = GaussianMixture(2, **CONVERGED).fit(iris.data)
    log_likelihood = model.loglik(iris.data)
    assert log_likelihood == pytest.approx(-214.3547, abs=ROUNDING)
    assert model.bic(iris.data) + 2 * log_likelihood == pytest.approx(29 * math.log(150))
    labels = model.predict(iris.data)
    assert iris.labels is not None
    assert len(set(labels[iris.labels == 0])) == len(set(labels[iris.labels > 0])) == 1
    assert labels[0] != labels[-1]
