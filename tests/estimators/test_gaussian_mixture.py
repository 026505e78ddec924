"""GaussianMixture against scikit-learn, SciPy and its own promises."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle
import re
import threading
import tracemalloc
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn.mixture
from scipy import stats

import latentcore
from latentcore import GaussianMixture
from latentcore.engine import Progress
from latentcore.errors import (
    CollapsedComponentError,
    ConvergenceWarning,
    DegenerateComponentWarning,
    NotFittedError,
    NumericalError,
    StorageError,
)

COVARIANCES = ["full", "tied", "diag", "spherical"]
INITS = ["kmeans", "k-means++", "random", "random_from_data"]
ATTRIBUTES = ["weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"]

quiet = pytest.mark.filterwarnings("ignore:.*did not converge")


def blobs(n: int = 300, d: int = 3, k: int = 3, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 4, (k, d))
    return np.vstack(
        [rng.normal(c, 1, (n // k, d)) @ np.diag(np.arange(1, d + 1)) for c in centers]
    )


X = blobs()
WEIGHTS = np.array([0.2, 0.3, 0.5])
MEANS = X[[0, 120, 250]]
COVARIANCE = {
    "full": np.array([(k + 1) * (np.diag([1.0, 2.0, 3.0]) + 0.3) for k in range(3)]),
    "tied": 2 * (np.diag([1.0, 2.0, 3.0]) + 0.3),
    "diag": np.arange(1.0, 10.0).reshape(3, 3),
    "spherical": np.array([1.0, 2.0, 3.0]),
}


def precision(covariance_type: str) -> Any:
    covariance = COVARIANCE[covariance_type]
    return np.linalg.inv(covariance) if covariance_type in ("full", "tied") else 1 / covariance


def full_covariances(model: Any) -> Any:
    covariances = model.covariances_
    k, d = model.means_.shape
    if model.covariance_type == "tied":
        return np.tile(covariances, (k, 1, 1))
    if model.covariance_type == "diag":
        return np.array([np.diag(c) for c in covariances])
    if model.covariance_type == "spherical":
        return np.array([c * np.eye(d) for c in covariances])
    return covariances


def log_joint(model: Any, x: Any) -> Any:
    columns = [
        stats.multivariate_normal(mean, covariance).logpdf(x) + np.log(weight)
        for weight, mean, covariance in zip(
            model.weights_, model.means_, full_covariances(model), strict=True
        )
    ]
    return np.stack(columns, axis=1)


def given(covariance_type: Any = "full", **kwargs: Any) -> GaussianMixture:
    return GaussianMixture.from_params(
        WEIGHTS, MEANS, COVARIANCE[covariance_type], covariance_type=covariance_type, **kwargs
    )


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


# -- the same fits as scikit-learn -------------------------------------------------------------


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


def test_no_iterations_leave_the_start() -> None:
    model = GaussianMixture(3, max_iter=0, means_init=MEANS, random_state=0).fit(X)
    np.testing.assert_array_equal(model.means_, MEANS)
    assert model.lower_bound_ == -np.inf
    assert model.lower_bounds_ == []
    assert (model.n_iter_, model.converged_) == (0, False)
    assert model.weights_.sum() == pytest.approx(1)


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


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_samples_have_the_moments_of_the_model(covariance_type: str) -> None:
    model = given(covariance_type, random_state=np.random.default_rng(0))
    x, y = model.sample(30_000)
    np.testing.assert_allclose(np.bincount(y) / len(y), WEIGHTS, atol=0.01)
    for k in range(3):
        rows = x[y == k]
        np.testing.assert_allclose(rows.mean(axis=0), MEANS[k], atol=0.15)
        np.testing.assert_allclose(np.cov(rows.T), full_covariances(model)[k], atol=0.4)
    assert not np.array_equal(model.sample(5)[0], model.sample(5)[0]), "a generator goes on"


def test_random_generator_gives_reproducible_fits() -> None:
    fits = [
        GaussianMixture(3, init_params="random", random_state=np.random.default_rng(1)).fit(X)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(fits[0].means_, fits[1].means_)


# -- against SciPy -----------------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_predictions_are_those_of_the_densities(covariance_type: str) -> None:
    model = given(covariance_type)
    joint = log_joint(model, X)
    log_density = np.logaddexp.reduce(joint, axis=1)
    r = np.exp(joint - log_density[:, None])
    np.testing.assert_allclose(model.score_samples(X), log_density, rtol=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), r, atol=1e-12)
    np.testing.assert_array_equal(model.predict(X), joint.argmax(axis=1))
    assert model.loglik(X) == pytest.approx(log_density.sum(), rel=1e-12)
    assert model.score(X) == pytest.approx(log_density.mean(), rel=1e-12)
    df = {"full": 29, "tied": 17, "diag": 20, "spherical": 14}[covariance_type]
    bic = -2 * log_density.sum() + df * np.log(len(X))
    assert model.aic(X) == pytest.approx(-2 * log_density.sum() + 2 * df, rel=1e-12)
    assert model.bic(X) == pytest.approx(bic, rel=1e-12)
    entropy = stats.entropy(r, axis=1).sum()
    assert model.icl(X) == pytest.approx(bic + 2 * entropy, rel=1e-12)


def test_lower_bound_is_the_mean_log_likelihood_that_the_last_iteration_started_from() -> None:
    before = GaussianMixture(3, random_state=0, max_iter=4, tol=0)
    after = GaussianMixture(3, random_state=0, max_iter=5, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before.fit(X)
        after.fit(X)
    assert after.lower_bound_ == pytest.approx(before.score(X), rel=1e-12)


# -- weights of rows ---------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_weight_two_is_the_row_twice_and_weight_zero_no_row(covariance_type: str) -> None:
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    repeated = np.repeat(X, counts, axis=0)
    kwargs: dict[str, Any] = {
        "n_components": 3, "covariance_type": covariance_type, "max_iter": 15, "tol": 1e-9,
        "weights_init": WEIGHTS, "means_init": MEANS, "precisions_init": precision(covariance_type),
    }  # fmt: skip
    weighted = GaussianMixture(**kwargs).fit(X, sample_weight=counts)
    plain = GaussianMixture(**kwargs).fit(repeated)
    for name in ATTRIBUTES:
        np.testing.assert_allclose(getattr(weighted, name), getattr(plain, name), rtol=1e-9)
    np.testing.assert_allclose(weighted.lower_bounds_, plain.lower_bounds_, rtol=1e-11)
    for method in ("score", "loglik", "aic", "bic", "icl"):
        expected = getattr(plain, method)(repeated)
        got = getattr(plain, method)(X, sample_weight=counts)
        assert got == pytest.approx(expected, rel=1e-11), method


@pytest.mark.parametrize("init_params", INITS)
def test_row_of_weight_zero_takes_no_part_in_the_start(init_params: Any) -> None:
    present = np.arange(len(X)) % 3 > 0
    model = GaussianMixture(3, init_params=init_params, max_iter=0, random_state=0)
    far = np.where(present[:, None], X, 1e6)
    weighted = copy.deepcopy(model).fit(far, sample_weight=present)
    np.testing.assert_allclose(weighted.means_, model.fit(X[present]).means_, rtol=1e-9)


def test_impossible_row_of_weight_zero_does_not_matter() -> None:
    x = np.vstack([X, np.full((1, 3), 1e200)])
    weight = np.append(np.ones(len(X)), 0)
    assert given().score(x, sample_weight=weight) == pytest.approx(given().score(X))


# -- attributes set by hand --------------------------------------------------------------------


@pytest.mark.parametrize("covariance_type", COVARIANCES)
@pytest.mark.parametrize("name", ["covariances_", "precisions_cholesky_"])
def test_attributes_set_by_hand_make_a_model(covariance_type: Any, name: str) -> None:
    expected = given(covariance_type, random_state=0)
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    model.weights_, model.means_ = WEIGHTS, MEANS
    setattr(model, name, getattr(expected, name).tolist())
    np.testing.assert_allclose(model.score_samples(X), expected.score_samples(X), rtol=1e-10)
    np.testing.assert_allclose(model.sample(9)[0], expected.sample(9)[0], rtol=1e-8)
    model.means_ = MEANS + 1
    np.testing.assert_allclose(model.score_samples(X + 1), expected.score_samples(X), rtol=1e-8)
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expecting 3"):
        model.predict(X[:, :2])


def test_attribute_of_the_wrong_shape_is_named() -> None:
    model = given()
    model.weights_ = np.ones(2)
    with pytest.raises(ValueError, match=r"weights_: expected shape \(3,\), got \(2,\)"):
        model.predict(X)


def test_component_of_weight_zero_takes_no_rows() -> None:
    model = given(random_state=0)
    model.weights_ = np.array([0.4, 0.0, 0.6])
    assert not model.predict_proba(X)[:, 1].any()
    assert set(model.sample(100)[1]) == {0, 2}


def test_parts_of_the_start_are_not_overwritten() -> None:
    means = MEANS.tolist()
    model = GaussianMixture(3, means_init=means, random_state=0).fit(X)
    assert model.means_init is means
    assert not np.shares_memory(model.means_, MEANS)


# -- from_params -------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [0.5, 0.5]}, r"should have the shape of \(3,\), but got \(2,\) from weights"),
        ({"weights": [0.5, 0.6, -0.1]}, r"range \[0, 1\], but got weights from -0.10000 to 0.6"),
        ({"weights": [0.5, 0.5, 0.5]}, r"normalized, but got sum\(weights\) = 1.5"),
        ({"weights": [0.5, 0.5, np.nan]}, r"weights: expected finite numbers, got nan at \[2\]"),
        ({"means": MEANS[0]}, r"means: expected shape \(n_components, n_features\), got \(3,\)"),
        ({"means": MEANS[:2]}, r"should have the shape of \(2,\), but got \(3,\) from weights"),
        ({"covariances": np.ones((3, 2, 2))}, r"shape of \(3, 3, 3\), but got \(3, 2, 2\)"),
        (
            {"covariances": [np.eye(3), np.eye(3), -np.eye(3)]},
            "symmetric, positive-definite, but component 2 of covariances is not",
        ),
        (
            {"covariances": [np.eye(3), np.triu(np.ones((3, 3))), np.eye(3)]},
            "symmetric, positive-definite, but component 1 of covariances is not",
        ),
        (
            {"covariances": [1, 1, 0], "covariance_type": "spherical"},
            "should be positive, but got 0",
        ),
        ({"covariance_type": "round"}, "covariance_type: expected one of 'full'.*got 'round'"),
    ],
)
def test_impossible_parameters_are_refused(change: dict[str, Any], message: str) -> None:
    arguments = {"weights": WEIGHTS, "means": MEANS, "covariances": COVARIANCE["full"], **change}
    with pytest.raises(ValueError, match=message):
        GaussianMixture.from_params(**arguments)


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components: expected an integer >= 1, got 0"),
        ({"n_components": 2.0}, TypeError, "n_components: expected an integer >= 1, got 2.0"),
        ({"n_components": True}, TypeError, "n_components: expected an integer"),
        ({"n_components": 301}, ValueError, "n_samples >= n_components .* = 301, n_samples = 300"),
        ({"covariance_type": "round"}, ValueError, "covariance_type: expected one of"),
        ({"tol": -1.0}, ValueError, "tol: expected a finite number >= 0, got -1.0"),
        ({"tol": "small"}, TypeError, "tol: expected a number >= 0, got 'small'"),
        ({"reg_covar": np.nan}, ValueError, "reg_covar: expected a finite number >= 0, got nan"),
        ({"max_iter": -1}, ValueError, "max_iter: expected an integer >= 0, got -1"),
        ({"n_init": 0}, ValueError, "n_init: expected an integer >= 1, got 0"),
        ({"init_params": "best"}, ValueError, "init_params: expected one of .* got 'best'"),
        ({"warm_start": "yes"}, TypeError, "warm_start: expected True or False, got 'yes'"),
        ({"verbose": -1}, ValueError, "verbose: expected an integer >= 0"),
        ({"verbose_interval": 0}, ValueError, "verbose_interval: expected an integer >= 1"),
        ({"random_state": "x"}, ValueError, "random_state: expected None, an integer"),
        ({"random_state": -1}, ValueError, "random_state: expected an integer from 0"),
        ({"n_threads": 0}, ValueError, "n_threads: expected an integer >= 1"),
        ({"weights_init": [1.0]}, ValueError, r"\(3,\), but got \(1,\) from weights_init"),
        ({"weights_init": [0.7, 0.7, -0.4]}, ValueError, "from -0.40000 to 0.70000"),
        ({"weights_init": [0.3, 0.3, 0.3]}, ValueError, "should be normalized, but got sum"),
        (
            {"means_init": np.ones((3, 2))},
            ValueError,
            r"\(3, 3\), but got \(3, 2\) from means_init",
        ),
        (
            {"means_init": np.full((3, 3), np.nan)},
            ValueError,
            "means_init: expected finite numbers",
        ),
        ({"precisions_init": -COVARIANCE["full"]}, ValueError, "component 0 of precisions_init"),
    ],
)
def test_bad_argument_is_named_and_nothing_changes(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    model = GaussianMixture(3, random_state=0).fit(X).set_params(**arguments)
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(X)
    assert_untouched(model, before)


def assert_untouched(model: GaussianMixture, before: dict[str, Any]) -> None:
    after = vars(model)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)


@pytest.mark.parametrize(
    ("x", "weight", "message"),
    [
        (np.where(np.arange(900).reshape(300, 3) == 16, np.inf, X), None, "inf.* row 5, column 1"),
        (X * [1, np.nan, 1], None, "at least one number in each column, got only NaN in column 1"),
        (X[:1], None, "at least 2 rows, got n_samples = 1"),
        (X, -np.ones(300), "sample_weight: expected finite weights >= 0, got -1.0 in row 0"),
        (X, np.zeros(300), "sample_weight: expected a positive weight"),
        (X, np.ones(299), "sample_weight: expected shape"),
        (X, np.arange(300) < 2, "n_samples = 2 of positive weight"),
        (X, np.arange(300) < 1, "at least 2 rows, got n_samples = 1 of positive weight"),
    ],
)
def test_bad_data_are_named_and_nothing_changes(x: Any, weight: Any, message: str) -> None:
    model = GaussianMixture(3, random_state=0).fit(X)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(x, sample_weight=weight)
    assert_untouched(model, before)


def test_interrupt_leaves_the_model_as_it_was() -> None:
    def interrupt(progress: Progress) -> None:
        if progress.iteration == 2:
            raise KeyboardInterrupt

    fitted = GaussianMixture(3, random_state=0).fit(X)
    for model in (GaussianMixture(3, random_state=0, tol=0), fitted):
        before = dict(vars(model))
        with pytest.raises(KeyboardInterrupt):
            model.fit(X + 1, callback=interrupt)
        assert_untouched(model, before)


def test_warning_made_an_error_leaves_the_model_as_it_was() -> None:
    model = GaussianMixture(3, random_state=0, max_iter=1)
    before = dict(vars(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            model.fit(X)
    assert_untouched(model, before)


def test_warm_start_from_another_shape_is_refused() -> None:
    model = GaussianMixture(3, random_state=0, warm_start=True).fit(X)
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expecting 3"):
        model.fit(X[:, :2])
    with pytest.raises(ValueError, match="warm_start: expected the n_components = 3"):
        model.set_params(n_components=2).fit(X)


METHODS: list[Callable[[GaussianMixture], Any]] = [
    lambda model: model.predict(X),
    lambda model: model.predict_proba(X),
    lambda model: model.score_samples(X),
    lambda model: model.score(X),
    lambda model: model.loglik(X),
    lambda model: model.aic(X),
    lambda model: model.bic(X),
    lambda model: model.icl(X),
    lambda model: model.sample(),
    lambda model: model.summary(),
]


@pytest.mark.parametrize("method", METHODS)
def test_model_without_parameters_is_not_fitted(method: Callable[[GaussianMixture], Any]) -> None:
    with pytest.raises(NotFittedError, match="This GaussianMixture instance is not fitted yet"):
        method(GaussianMixture())


@pytest.mark.parametrize("n", [0, -1])
def test_sampling_nothing_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"Invalid value for 'n_samples'.* got {n}"):
        given().sample(n)


# -- collapse ----------------------------------------------------------------------------------


def test_collapsed_component_is_named() -> None:
    x = np.vstack([X, np.full((5, 3), 100.0)])
    model = GaussianMixture(
        4, reg_covar=0, weights_init=[0.25] * 4, means_init=[*MEANS, [99.0, 99.0, 99.0]],
        precisions_init=[np.eye(3)] * 4,
    )  # fmt: skip
    with pytest.raises(CollapsedComponentError, match=r"component 3: .*ill-defined empirical") as e:
        model.fit(x)
    assert e.value.component == 3
    assert "means_" not in vars(model)


def test_impossible_row_is_named_as_the_user_counts() -> None:
    x = X.copy()
    x[7] = 1e200
    weight = np.ones(300)
    weight[:5] = 0
    model = given().set_params(warm_start=True)
    with pytest.raises(NumericalError, match="row 7: expected a positive density"):
        model.fit(x, sample_weight=weight)
    with pytest.raises(NumericalError, match="row 7: expected a positive density"):
        model.fit(x)


def test_collapsed_starts_are_given_up_and_counted() -> None:
    x = np.vstack([X[::5], np.repeat(X[:1] + 3, 10, axis=0)])
    kwargs: dict[str, Any] = {
        "n_components": 4, "reg_covar": 0, "init_params": "random", "max_iter": 60, "tol": 1e-5
    }  # fmt: skip
    collapsed, bounds = 0, []
    rng = np.random.RandomState(0)
    for _ in range(12):
        one = GaussianMixture(**kwargs, random_state=rng)
        try:
            bounds.append(fitted_quietly(one, x).lower_bound_)
        except NumericalError:
            collapsed += 1
    assert 0 < collapsed < 12
    model = GaussianMixture(**kwargs, n_init=12, random_state=np.random.RandomState(0))
    fitted_quietly(model, x)
    assert model.n_degenerate_ == collapsed
    assert model.lower_bound_ == max(bounds)


def fitted_quietly(model: GaussianMixture, x: Any) -> GaussianMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x)


# -- hard data ---------------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_distance_from_the_origin_does_not_matter(covariance_type: Any) -> None:
    near = np.round(X * 2**20) / 2**20  # so that adding 2**26 is exact
    far = near + 2.0**26
    fits = [
        GaussianMixture(
            3, covariance_type=covariance_type, means_init=MEANS + offset, random_state=0, tol=1e-6
        ).fit(x)
        for x, offset in ((near, 0.0), (far, 2.0**26))
    ]
    np.testing.assert_allclose(fits[1].covariances_, fits[0].covariances_, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fits[1].weights_, fits[0].weights_, rtol=1e-7)


def test_float32_far_from_the_origin_keeps_its_variance() -> None:
    x = (np.random.default_rng(0).normal(0, 1, (20_000, 2)) + 1e4).astype(np.float32)
    model = GaussianMixture(1).fit(x)
    expected = np.cov(x.T.astype(np.float64), bias=True) + 1e-6 * np.eye(2)
    np.testing.assert_allclose(model.covariances_[0], expected, atol=1e-6)


def test_components_a_million_deviations_apart_are_found() -> None:
    rng = np.random.default_rng(0)
    x = np.vstack([rng.normal(0, 1, (50, 2)), rng.normal(1e6, 1, (70, 2))])
    model = GaussianMixture(2, random_state=0).fit(x)
    order = np.argsort(model.means_[:, 0])
    np.testing.assert_allclose(model.weights_[order], [50 / 120, 70 / 120])
    np.testing.assert_allclose(model.covariances_[order[1]], np.cov(x[50:].T, bias=True), rtol=1e-4)


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_constant_columns_and_equal_rows_have_the_least_variance(covariance_type: Any) -> None:
    x = np.ones((20, 2))
    with pytest.warns(DegenerateComponentWarning, match="component 0: .*use a prior"):
        model = GaussianMixture(1, covariance_type=covariance_type).fit(x)
    variances = full_covariances(model)[0].diagonal()
    np.testing.assert_allclose(variances, 1e-6, rtol=1e-6)
    np.testing.assert_array_equal(model.means_, [[1, 1]])


def test_as_many_components_as_rows_are_fitted() -> None:
    x = X[::60]
    with pytest.warns(DegenerateComponentWarning, match="components 0, 1, 2, 3, 4: "):
        model = GaussianMixture(len(x), random_state=0).fit(x)
    assert sorted(model.predict(x)) == list(range(len(x)))


# -- threads and memory ------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_results_do_not_depend_on_the_number_of_threads(covariance_type: Any) -> None:
    x = blobs(60_000)
    weight = np.random.default_rng(0).uniform(size=len(x))
    outcomes = []
    for n_threads in (1, 2, 7):
        model = GaussianMixture(
            3, covariance_type=covariance_type, init_params="random", random_state=0, max_iter=3,
            n_threads=n_threads,
        )  # fmt: skip
        model.fit(x, sample_weight=weight)
        values = [getattr(model, name).tobytes() for name in ATTRIBUTES]
        values += [model.predict_proba(x).tobytes(), model.predict(x).tobytes()]
        outcomes.append((values, model.lower_bounds_, model.loglik(x), model.icl(x)))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_many_python_threads_may_use_one_model() -> None:
    model = given()
    expected = model.predict_proba(X)
    start = threading.Barrier(6)

    def predict(_: int) -> bool:
        start.wait()
        return all(np.array_equal(model.predict_proba(X), expected) for _ in range(20))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(predict, range(6)))


def test_model_that_is_fitted_anew_meanwhile_is_never_seen_half() -> None:
    model = given().set_params(warm_start=False, random_state=0, max_iter=2, tol=1.0)
    two, three = X[:, :2].copy(), X
    stop = threading.Event()

    def refit() -> None:
        while not stop.is_set():
            fitted_quietly(model.set_params(n_components=2), two)
            fitted_quietly(model.set_params(n_components=3), three)

    worker = threading.Thread(target=refit)
    worker.start()
    try:
        shapes = {model.sample(5)[0].shape for _ in range(200)}
    finally:
        stop.set()
        worker.join()
    assert shapes <= {(5, 2), (5, 3)}


@pytest.mark.parametrize(
    ("method", "allowed"),
    [
        ("score", 0.0),
        ("bic", 0.0),
        ("predict", 1.0),
        ("score_samples", 1.0),
        ("predict_proba", 3.0),
    ],
)
def test_memory_of_predictions_is_their_result(method: str, allowed: float) -> None:
    x = blobs(300_000)
    model = given()
    tracemalloc.start()
    try:
        getattr(model, method)(x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < allowed * 8 * len(x) + 5e6 / 2


# -- callback, summary, repr -------------------------------------------------------------------


def test_callback_is_told_each_iteration_of_each_start() -> None:
    told: list[Progress] = []
    model = GaussianMixture(3, n_init=3, random_state=0).fit(X, callback=told.append)
    assert sorted({progress.restart for progress in told}) == [0, 1, 2]
    runs = [[p.objective for p in told if p.restart == restart] for restart in range(3)]
    assert model.lower_bounds_ in runs
    assert [p.iteration for p in told if p.restart == 0] == list(range(1, len(runs[0]) + 1))


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_summary_tells_the_fit_of_the_training_data(covariance_type: Any) -> None:
    frame = pd.DataFrame(X, columns=["length", "width", "height"])
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(frame)
    text = model.summary()
    deviations = np.sqrt([c.diagonal() for c in full_covariances(model)])
    for number in (
        f"{model.loglik(frame):.3f}",
        f"{model.aic(frame):.3f}",
        f"{model.bic(frame):.3f}",
        f"{model.icl(frame):.3f}",
        f"{model.weights_[1]:.4f}",
        f"{model.means_[1, 2]:.6g}",
        f"{deviations[0, 1]:.6g}",
        "length",
        "300 rows; converged",
    ):
        assert number in text


def test_summary_of_many_features_is_short() -> None:
    model = GaussianMixture.from_params(
        [1.0], np.zeros((1, 500)), [1.0], covariance_type="spherical"
    )
    text = model.summary()
    assert "and 492 more features" in text
    assert "log-likelihood" not in text, "there were no training data"
    assert max(map(len, text.splitlines())) < 160


def test_repr_is_short() -> None:
    assert repr(GaussianMixture()) == "GaussianMixture()"
    text = repr(GaussianMixture(3, tol=1e-4, means_init=MEANS))
    assert text == "GaussianMixture(n_components=3, tol=0.0001, means_init=array of shape (3, 3))"


# -- column names ------------------------------------------------------------------------------

NAMES = ["a", "b", "c"]
FRAMES: list[Callable[..., Any]] = [
    lambda names: pd.DataFrame(X, columns=names),
    lambda names: pl.DataFrame(X, schema=names),
    lambda names: pa.table({name: X[:, j] for j, name in enumerate(names)}),
]


@pytest.mark.parametrize("frame", FRAMES, ids=["pandas", "polars", "pyarrow"])
def test_names_of_columns_are_kept_and_checked(frame: Callable[..., Any]) -> None:
    model = GaussianMixture(3, random_state=0).fit(frame(NAMES))
    plain = GaussianMixture(3, random_state=0).fit(X)
    assert model.feature_names_in_.tolist() == NAMES
    np.testing.assert_array_equal(model.means_, plain.means_)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(model.predict(frame(NAMES)), plain.predict(X))
    with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
        model.predict(frame(["b", "a", "c"]))
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- d\n.*now missing:\n- c\n"):
        model.predict(frame(["a", "b", "d"]))
    with pytest.warns(UserWarning, match="X does not have valid feature names, but Gaussian"):
        model.predict(X)
    with pytest.warns(UserWarning, match="X has feature names, but GaussianMixture was fitted w"):
        plain.predict(frame(NAMES))
    assert "feature_names_in_" not in vars(model.fit(X))


# -- copies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_predict_the_same(copied: Callable[[GaussianMixture], GaussianMixture]) -> None:
    model = GaussianMixture(3, random_state=0).fit(X)
    twin = copied(model)
    assert twin is not model
    np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    assert twin.summary() == model.summary()
    assert repr(copied(GaussianMixture(2))) == "GaussianMixture(n_components=2)"


def test_pickle_from_before_there_were_priors_is_read() -> None:
    model = GaussianMixture(3, random_state=0).fit(X)
    state = model.__getstate__()
    for name in ("prior", "assignment", "equal_weights"):
        del state[name]
    twin = GaussianMixture.__new__(GaussianMixture)
    twin.__setstate__(state)
    assert twin.get_params() == model.get_params()


def test_pickle_of_another_format_is_refused() -> None:
    with pytest.raises(StorageError, match="expected format 1, got 99"):
        GaussianMixture().__setstate__({"_pickle_format": 99})


def test_public_names_are_there() -> None:
    assert latentcore.GaussianMixture is GaussianMixture
