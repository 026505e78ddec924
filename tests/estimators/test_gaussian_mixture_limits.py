"""GaussianMixture on hard data, where components collapse, with many threads, in little memory."""

from __future__ import annotations

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from estimators.gaussian_fits import (
    ATTRIBUTES,
    COVARIANCES,
    MEANS,
    X,
    blobs,
    fitted_quietly,
    full_covariances,
    given,
    quiet,
)
from latentcore import GaussianMixture
from latentcore.errors import CollapsedComponentError, DegenerateComponentWarning, NumericalError

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
