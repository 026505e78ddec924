"""Rows that mixtures take and refuse: missing entries, sparse rows, values outside the support."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from scipy import stats

from estimators.drawn_rows import COUNTS, LEVELS, RATES, WEIGHTS, N, ascending, with_holes
from estimators.mixture_cases import CASES, Case, assert_same, cases, missing_cases, sparse_cases
from latentcore import CategoricalMixture, Mixture, MultinomialMixture, PoissonMixture
from laws.numpy_poisson import NumpyPoisson

# -- missing entries ---------------------------------------------------------------------------


@missing_cases
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_missing_entries_are_fitted_and_imputed(case: Case, dtype: Any) -> None:
    x = with_holes(case.x).astype(dtype)
    model = case.make(2, random_state=0, tol=1e-7, max_iter=2000).fit(x)
    if dtype == np.float64:
        assert ascending(model.lower_bounds_)
    assert model.score_samples(x)[0] == pytest.approx(0, abs=1e-5), "nothing was observed"
    np.testing.assert_allclose(model.predict_proba(x)[0], model.weights_, rtol=1e-4)
    before = x.copy()
    completed = model.impute(x)
    np.testing.assert_array_equal(x, before)
    assert completed.dtype == dtype
    assert np.isfinite(completed).all()
    seen = ~np.isnan(x)
    np.testing.assert_array_equal(completed[seen], x[seen])
    whole = (case.x == np.round(case.x)).all(axis=0)
    assert np.isfinite(model.score_samples(np.where(whole, np.round(completed), completed))).all()


def test_imputed_counts_are_conditional_means() -> None:
    x = with_holes(COUNTS)
    model = PoissonMixture.from_params(WEIGHTS, RATES)
    log_joint = np.log(WEIGHTS) + np.nansum(stats.poisson(RATES).logpmf(x[:, None, :]), axis=2)
    r = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1)[:, None])
    expected = np.where(np.isnan(x), r @ RATES, x)
    np.testing.assert_allclose(model.impute(x), expected, rtol=1e-9)


@missing_cases
def test_missing_values_of_data_frames_are_missing_entries(case: Case) -> None:
    x = with_holes(case.x)
    names = [f"c{j}" for j in range(x.shape[1])]
    expected = case.make(2, random_state=0, max_iter=500).fit(x)
    frames = [
        pd.DataFrame(x, columns=names),
        pd.DataFrame(x, columns=names).convert_dtypes(),
        pl.DataFrame(x, schema=names).fill_nan(None),
    ]
    for frame in frames:
        model = case.make(2, random_state=0, max_iter=500).fit(frame)
        assert_same(model, expected)
        assert model.feature_names_in_.tolist() == names
        np.testing.assert_array_equal(model.predict(frame), expected.predict(x))


@missing_cases
def test_column_without_numbers_is_named(case: Case) -> None:
    x = case.x.copy()
    x[:, 1] = np.nan
    with pytest.raises(ValueError, match="only NaN in column 1"):
        case.make(2).fit(x)
    frame = pd.DataFrame(x).rename(columns=lambda j: f"c{j}")
    with pytest.raises(ValueError, match="only NaN in column 'c1'"):
        case.make(2).fit(frame)


@pytest.mark.parametrize("model", [MultinomialMixture(2), Mixture(NumpyPoisson(), 2)], ids=repr)
def test_family_without_missing_entries_refuses_them(model: Any) -> None:
    with pytest.raises(ValueError, match="contains NaN: expected finite numbers, got nan in row 0"):
        model.fit(with_holes(COUNTS))


@cases
def test_infinity_is_refused(case: Case) -> None:
    x = case.x.copy()
    x[3, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinity.* row 3, column 1"):
        case.make(2).fit(x)
    with pytest.raises(ValueError, match=r"infinity.* row 3, column 1"):
        case.given().predict(x)


# -- sparse rows -------------------------------------------------------------------------------


@sparse_cases
@pytest.mark.parametrize("make", ["csr_array", "csc_matrix", "coo_array", "dok_array", "lil_array"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_sparse_rows_give_the_fit_of_dense_ones(case: Case, make: str, dtype: Any) -> None:
    sparse = getattr(scipy.sparse, make)(case.x.astype(dtype))
    given = case.given().set_params(warm_start=True)
    dense = copy.deepcopy(given).fit(case.x)
    model = given.fit(sparse)
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    assert_same(model, dense, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        model.score_samples(sparse), dense.score_samples(case.x), rtol=tolerance
    )
    np.testing.assert_array_equal(model.predict(sparse), dense.predict(case.x))
    assert case.make(2, random_state=0).fit(sparse).converged_


def test_sparse_entries_of_one_place_add_up_and_what_came_is_not_changed() -> None:
    x = scipy.sparse.csr_array(([1.0, 1.0, 2.0], [1, 1, 0], [0, 2, 3]), shape=(2, 2))
    model = PoissonMixture.from_params([1.0], [[1.0, 2.0]])
    np.testing.assert_allclose(model.score_samples(x), model.score_samples(x.toarray()))
    assert x.nnz == 3


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (scipy.sparse.csr_array([[1.0, np.nan], [0, 1]]), ValueError, "NaN.* row 0, column 1"),
        (scipy.sparse.csr_array([[1.0, 0], [0, -1]]), ValueError, "got -1.0 in row 1, column 1"),
        (scipy.sparse.csr_array((0, 2)), ValueError, "expected at least one row"),
        (scipy.sparse.csr_array([[1j, 0], [0, 1]]), TypeError, "expected numbers, got dtype compl"),
        (scipy.sparse.coo_array([1.0, 2.0]), ValueError, "expected a 2-D array, got 1-D"),
    ],
)
def test_impossible_sparse_rows_are_refused(x: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        PoissonMixture().fit(x)


@pytest.mark.parametrize("model", [c.make(2) for c in CASES if not c.sparse], ids=repr)
def test_other_families_refuse_sparse_rows(model: Any) -> None:
    with pytest.raises(TypeError, match=r"sparse data are not supported: use X.toarray\(\)"):
        model.fit(scipy.sparse.csr_array(COUNTS))


# -- values outside the support ----------------------------------------------------------------

OUTSIDE = {
    "gamma": [0.0, -1.0],
    "poisson": [-1.0, 0.5],
    "bernoulli": [2.0, 0.5, -1.0],
    "exponential": [-0.1],
    "categorical": [-1.0, 0.5],
    "multinomial": [-1.0, 0.5],
    "by name": [-1.0, 0.5],
}


@pytest.mark.parametrize(
    ("case", "value"), [(c, v) for c in CASES for v in OUTSIDE.get(c.name, [])], ids=str
)
def test_value_outside_the_support_is_named(case: Case, value: float) -> None:
    x = case.x.copy()
    x[7, 1] = value
    for call in (case.make(2).fit, case.given().predict, case.given().score):
        with pytest.raises(ValueError, match=rf"got {value} in row 7, column 1"):
            call(x)
    frame = pd.DataFrame(x).rename(columns=lambda j: f"c{j}")
    with pytest.raises(ValueError, match=rf"got {value} in row 7, column 'c1'"):
        case.make(2).fit(frame)


@pytest.mark.parametrize("case", [c for c in CASES if c.name in OUTSIDE], ids=str)
def test_value_outside_the_support_of_an_absent_row_does_not_matter(case: Case) -> None:
    weight = (np.arange(N) % 3 > 0).astype(float)
    x = np.where(weight[:, None] > 0, case.x, OUTSIDE[case.name][0])
    expected = case.make(2, random_state=0).fit(case.x[weight > 0])
    assert_same(case.make(2, random_state=0).fit(x, sample_weight=weight), expected, rtol=1e-9)


def test_code_that_was_never_seen_is_refused() -> None:
    model = CategoricalMixture(2, random_state=0).fit(CASES[3].x)
    assert model.n_categories_ == LEVELS
    with pytest.raises(ValueError, match="expected whole codes from 0 to 1, got 2"):
        model.predict([[2, 0]])
    wider = CategoricalMixture(2, n_categories=(4, 3), random_state=0, prior="weak").fit(CASES[3].x)
    assert wider.n_categories_ == (4, 3)
    assert np.isfinite(wider.score_samples([[3, 0]])).all()
    assert CategoricalMixture(n_categories=5).fit(CASES[3].x).n_categories_ == (5, 5)
    with pytest.raises(ValueError, match="expected numbers, got 'red' in row 0"):
        CategoricalMixture().fit(pd.DataFrame({"colour": ["red", "blue"], "n": [0, 1]}))


@pytest.mark.parametrize("n_categories", [0, -1, 1.5, "two", [[2, 3]]])
def test_impossible_number_of_categories_is_refused(n_categories: Any) -> None:
    with pytest.raises(ValueError, match="n_categories: expected"):
        CategoricalMixture(n_categories=n_categories).fit(CASES[3].x)
