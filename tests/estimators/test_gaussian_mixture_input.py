"""What GaussianMixture refuses by name, and that it is then as before; names of columns."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from estimators.gaussian_fits import COVARIANCE, MEANS, WEIGHTS, X, assert_untouched, given
from latentcore import GaussianMixture
from latentcore.engine import Progress
from latentcore.errors import ConvergenceWarning, NotFittedError


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
