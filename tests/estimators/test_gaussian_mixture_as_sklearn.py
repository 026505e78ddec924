"""GaussianMixture fits, samples and prints what scikit-learn's does."""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

import numpy as np
import pytest
import sklearn.mixture

from estimators.gaussian_fits import (
    ATTRIBUTES,
    COVARIANCES,
    INITS,
    MEANS,
    WEIGHTS,
    X,
    given,
    precision,
    quiet,
)
from latentcore import GaussianMixture


def both(x: Any, fits: int = 1, **kwargs: Any) -> tuple[GaussianMixture, Any]:
    ours, theirs = GaussianMixture(**kwargs), sklearn.mixture.GaussianMixture(**kwargs)
    for _ in range(fits):
        ours.fit(x)
        theirs.fit(x)
    return ours, theirs


def assert_same_fit(ours: Any, theirs: Any, skip_bounds: int = 0) -> None:
    for name in ATTRIBUTES:
        scale = np.abs(getattr(theirs, name)).max()
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-8, atol=1e-8 * scale, err_msg=name
        )
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.converged_ == theirs.converged_
    assert type(ours.converged_) is type(theirs.converged_)
    assert len(ours.lower_bounds_) == ours.n_iter_
    np.testing.assert_allclose(
        ours.lower_bounds_[skip_bounds:], theirs.lower_bounds_[skip_bounds:], rtol=1e-8
    )
    assert ours.n_features_in_ == theirs.n_features_in_


# Not tied with a start from K rows: scikit-learn's first covariance then is (sum of all x x^T minus
# that of the K rows) / K, which depends on the origin.
SAME_STARTS = [
    (covariance_type, init_params)
    for covariance_type in COVARIANCES
    for init_params in INITS
    if covariance_type != "tied" or init_params in ("kmeans", "random")
]


@quiet
@pytest.mark.parametrize(("covariance_type", "init_params"), SAME_STARTS)
def test_same_seed_gives_the_fit_of_scikit_learn(covariance_type: str, init_params: str) -> None:
    ours, theirs = both(
        X, n_components=3, covariance_type=covariance_type, init_params=init_params, n_init=2,
        random_state=3, tol=1e-7, max_iter=60,
    )  # fmt: skip
    # Where the start gives responsibility for a few rows only, scikit-learn's first weights do not
    # sum to one, and its first bound is not the log-likelihood of a mixture.
    assert_same_fit(ours, theirs, skip_bounds=int(init_params in ("k-means++", "random_from_data")))
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-8)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-8)
    for method in ("score", "aic", "bic"):
        assert getattr(ours, method)(X) == pytest.approx(getattr(theirs, method)(X), rel=1e-8)


@quiet
@pytest.mark.parametrize("part", ["weights", "means", "precisions", "all"])
@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_given_start_gives_the_fit_of_scikit_learn(covariance_type: str, part: str) -> None:
    start = {
        "weights_init": WEIGHTS.tolist(),
        "means_init": MEANS,
        "precisions_init": precision(covariance_type),
    }
    kwargs = {k: v for k, v in start.items() if part == "all" or k.startswith(part)}
    ours, theirs = both(
        X, n_components=3, covariance_type=covariance_type, random_state=0, tol=1e-6, max_iter=20,
        **kwargs,
    )  # fmt: skip
    assert_same_fit(ours, theirs)


@quiet
def test_float32_data_give_the_fit_of_scikit_learn_in_double() -> None:
    kwargs: dict[str, Any] = {"n_components": 3, "random_state": 0, "tol": 1e-6, "max_iter": 20}
    x = X.astype(np.float32)
    ours = GaussianMixture(**kwargs).fit(x)
    theirs = sklearn.mixture.GaussianMixture(**kwargs).fit(x.astype(np.float64))
    for name in ATTRIBUTES:
        assert getattr(ours, name).dtype == np.float32
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=2e-4, atol=2e-5)
    assert ours.predict_proba(x).dtype == ours.score_samples(x).dtype == np.float32


@quiet
@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_warm_start_goes_on_as_in_scikit_learn(covariance_type: str) -> None:
    ours, theirs = both(
        X, fits=3, n_components=3, covariance_type=covariance_type, warm_start=True, max_iter=4,
        tol=1e-9, random_state=0,
    )  # fmt: skip
    assert_same_fit(ours, theirs)


def test_best_of_several_starts_is_kept() -> None:
    one = [GaussianMixture(4, init_params="random", random_state=s).fit(X) for s in range(5)]
    rng = np.random.RandomState(0)
    best = GaussianMixture(4, init_params="random", random_state=rng, n_init=10).fit(X)
    theirs = sklearn.mixture.GaussianMixture(
        4, init_params="random", random_state=np.random.RandomState(0), n_init=10
    ).fit(X)
    assert_same_fit(best, theirs)
    assert best.lower_bound_ >= min(model.lower_bound_ for model in one)


@quiet
@pytest.mark.parametrize("verbose", [1, 2, True])
@pytest.mark.parametrize("max_iter", [7, 200])
def test_verbose_prints_what_scikit_learn_prints(verbose: int, max_iter: int) -> None:
    def printed(cls: Any) -> str:
        model = cls(
            3, verbose=verbose, verbose_interval=3, n_init=2, random_state=0, max_iter=max_iter,
            tol=1e-6,
        )  # fmt: skip
        with contextlib.redirect_stdout(io.StringIO()) as out:
            model.fit(X)
        return re.sub(r"time lapse [\d.]+s", "time lapse", out.getvalue())

    assert printed(GaussianMixture) == printed(sklearn.mixture.GaussianMixture)


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_same_seed_samples_the_rows_of_scikit_learn(covariance_type: str) -> None:
    ours, theirs = both(X, n_components=3, covariance_type=covariance_type, random_state=5)
    for mine, expected in zip(ours.sample(50), theirs.sample(50), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-6)
        assert mine.dtype == expected.dtype


@quiet
@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_fit_goes_on_from_given_parameters(covariance_type: str) -> None:
    model = given(covariance_type).set_params(warm_start=True, max_iter=5, tol=0.0)
    start = {"weights_init": WEIGHTS, "means_init": MEANS}
    expected = sklearn.mixture.GaussianMixture(
        3, covariance_type=covariance_type, max_iter=5, tol=0.0, **start,
        precisions_init=precision(covariance_type),
    )  # fmt: skip
    assert_same_fit(model.fit(X), expected.fit(X))
