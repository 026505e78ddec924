"""Two Gaussians on the eruptions of Old Faithful: the fits that the literature's programs agree on.

Data: Härdle (1991), as in R's ``faithful``. The log-likelihoods are those of converged fits, the best of several
starts; R's mclust 6 (models VVV, EEE, VVI and VII with G = 2) prints values that are slightly lower, because its
tolerance stops it early. Azzalini & Bowman (1990) describe the two kinds of eruptions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Peer

from latentcore import GaussianMixture
from latentcore.datasets import load_old_faithful

LOG_LIKELIHOODS = {
    "full": -1130.26396,
    "tied": -1140.18676,
    "diag": -1147.80635,
    "spherical": -1709.52928,
}


@pytest.mark.parametrize("covariance_type", LOG_LIKELIHOODS)
def test_best_fit_has_the_published_log_likelihood(covariance_type: Any) -> None:
    x = load_old_faithful().data
    model = GaussianMixture(
        2, covariance_type=covariance_type, reg_covar=0.0, tol=1e-12, max_iter=2000, n_init=5,
        random_state=0,
    ).fit(x)  # fmt: skip
    assert model.converged_
    assert model.loglik(x) == pytest.approx(LOG_LIKELIHOODS[covariance_type], abs=5e-6)
    assert model.lower_bound_ == pytest.approx(LOG_LIKELIHOODS[covariance_type] / 272, abs=1e-7)


def test_three_tied_components_are_as_good_as_those_of_mclust() -> None:
    """EEE,3, which BIC selects in mclust's vignette (Scrucca et al. 2016): log L -1126.326, df 11, BIC -2314.316.

    It stops when log L rises by less than 1e-5 of itself, 0.011; the fit here is converged.
    """
    x = load_old_faithful().data
    model = GaussianMixture(
        3, covariance_type="tied", reg_covar=0.0, tol=1e-12, max_iter=5000, n_init=5, random_state=0,
    ).fit(x)  # fmt: skip
    assert model.converged_
    assert -5e-4 <= model.loglik(x) - -1126.326 <= 0.011
    assert -1e-3 <= -model.bic(x) - -2314.316 <= 0.022
    peer = Peer(  # from where our fit ended, since its thousands of iterations take a while
        3, covariance_type="tied", reg_covar=0.0, tol=1e-9, weights_init=model.weights_,
        means_init=model.means_, precisions_init=model.precisions_,
    )  # fmt: skip
    assert model.loglik(x) == pytest.approx(272 * peer.fit(x).score(x), rel=1e-9)


def test_full_fit_has_the_published_parameters() -> None:
    """To the digits that programs print: short eruptions follow each other faster."""
    x = load_old_faithful().data
    model = GaussianMixture(2, reg_covar=0.0, tol=1e-12, max_iter=2000, random_state=0).fit(x)
    short, long = np.argsort(model.means_[:, 0])
    np.testing.assert_allclose(model.weights_[[short, long]], [0.3559, 0.6441], atol=1e-4)
    np.testing.assert_allclose(model.means_[short], [2.0364, 54.4785], atol=1e-4)
    np.testing.assert_allclose(model.means_[long], [4.2897, 79.9681], atol=1e-4)
    np.testing.assert_allclose(
        model.covariances_[short], [[0.0692, 0.4352], [0.4352, 33.6973]], atol=1e-4
    )
    np.testing.assert_allclose(
        model.covariances_[long], [[0.1700, 0.9406], [0.9406, 36.0462]], atol=1e-4
    )
