"""Mixtures of all families have one face: the same promises, kept against SciPy and by laws."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from scipy import stats
from sklearn.base import clone

import latentcore
from estimators.drawn_rows import (
    CODES,
    COLUMNS,
    CONCENTRATIONS,
    COUNTS,
    DIRECTIONS,
    GAMMA_RATES,
    LEVELS,
    MIXED,
    NORMAL,
    PROBABILITIES,
    RATES,
    SHAPES,
    SHARES,
    WEIGHTS,
    N,
    Y,
    arrays_of,
    ascending,
    by_column,
    columns_at_truth,
    of_categories,
    of_columns,
    of_gamma,
    of_gaussian,
    of_multinomial,
    of_von_mises,
    rows,
    with_holes,
)
from latentcore import (
    BernoulliMixture,
    CategoricalMixture,
    ExponentialMixture,
    GammaMixture,
    GaussianMixture,
    Mixture,
    MultinomialMixture,
    PoissonMixture,
    VonMisesMixture,
)
from latentcore.engine import Progress
from latentcore.errors import (
    DegenerateComponentWarning,
    NotFittedError,
)
from latentcore.families.bernoulli import BetaPrior
from latentcore.families.categorical import CategoricalParams
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson, PoissonParams
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.structures.mixture import MixturePrior
from laws.numpy_poisson import NumpyPoisson
from laws.numpy_poisson import PoissonParams as NumpyPoissonParams

quiet = pytest.mark.filterwarnings("ignore:.*did not converge")


@dataclass(frozen=True)
class Case:
    """A mixture with rows of it, and its densities by definition.

    Attributes
    ----------
    make : keyword arguments -> model of two components
    given : keyword arguments -> model with parameters near the truth
    x : (N, D)
    log_density : (model, rows) -> (N, 2), by SciPy, without the weights
    n_parameters : of the components
    """

    name: str
    make: Callable[..., Any]
    given: Callable[..., Any]
    x: Any
    log_density: Callable[[Any, Any], Any]
    n_parameters: int
    missing: bool = True
    sparse: bool = False

    def __str__(self) -> str:
        return self.name


CASES = [
    Case(
        "poisson", PoissonMixture,
        lambda **kw: PoissonMixture.from_params(WEIGHTS, RATES, **kw),
        COUNTS, by_column(lambda p: stats.poisson(p), "rates"), 6, sparse=True,
    ),
    Case(
        "bernoulli", BernoulliMixture,
        lambda **kw: BernoulliMixture.from_params(WEIGHTS, PROBABILITIES, **kw),
        rows(lambda rng, k: rng.uniform(size=3) < PROBABILITIES[k]),
        by_column(lambda p: stats.bernoulli(p), "probabilities"), 6, sparse=True,
    ),
    Case(
        "exponential", ExponentialMixture,
        lambda **kw: ExponentialMixture.from_params(WEIGHTS, RATES, **kw),
        rows(lambda rng, k: rng.exponential(1 / RATES[k])),
        by_column(lambda p: stats.expon(scale=1 / p), "rates"), 6,
    ),
    Case(
        "categorical", CategoricalMixture,
        lambda **kw: CategoricalMixture.from_params(WEIGHTS, CODES, n_categories=LEVELS, **kw),
        rows(lambda rng, k: [rng.choice(2, p=CODES[k, :2]), rng.choice(3, p=CODES[k, 2:])]),
        of_categories, 6,
    ),
    Case(
        "multinomial", MultinomialMixture,
        lambda **kw: MultinomialMixture.from_params(WEIGHTS, SHARES, mean_total=12.5, **kw),
        rows(lambda rng, k: rng.multinomial(rng.integers(10, 16), SHARES[k])),
        of_multinomial, 4, missing=False, sparse=True,
    ),
    Case(
        "gaussian", GaussianMixture,
        lambda **kw: GaussianMixture.from_params(
            WEIGHTS, [[0, 0], [3, 3]], [np.eye(2), 4 * np.eye(2)], **kw
        ),
        NORMAL, of_gaussian, 10,
    ),
    Case(
        "gamma", GammaMixture,
        lambda **kw: GammaMixture.from_params(WEIGHTS, SHAPES, GAMMA_RATES, **kw),
        rows(lambda rng, k: rng.gamma(SHAPES[k], 1 / GAMMA_RATES[k])), of_gamma, 8,
    ),
    Case(
        "von mises", VonMisesMixture,
        lambda **kw: VonMisesMixture.from_params(WEIGHTS, DIRECTIONS, CONCENTRATIONS, **kw),
        rows(lambda rng, k: rng.vonmises(DIRECTIONS[k], CONCENTRATIONS[k])), of_von_mises, 8,
    ),
    Case(
        "columns", lambda *k, **kw: Mixture(COLUMNS, *k, **kw),
        lambda **kw: Mixture.from_params(COLUMNS, WEIGHTS, columns_at_truth(), **kw),
        MIXED, of_columns, 10,
    ),
    Case(
        "by name", lambda *k, **kw: Mixture("poisson", *k, **kw),
        lambda **kw: Mixture.from_params(Poisson(), WEIGHTS, PoissonParams(RATES), **kw),
        COUNTS, by_column(lambda p: stats.poisson(p), "rates"), 6, sparse=True,
    ),
]  # fmt: skip
cases = pytest.mark.parametrize("case", CASES, ids=str)
missing_cases = pytest.mark.parametrize("case", [c for c in CASES if c.missing], ids=str)
sparse_cases = pytest.mark.parametrize("case", [c for c in CASES if c.sparse], ids=str)


def fitted(case: Case, **kwargs: Any) -> Any:
    return case.make(2, **{"random_state": 0, **kwargs}).fit(case.x)


def parameters(model: Any) -> dict[str, Any]:
    found = dict(arrays_of(model.components_, ""))
    return {"weights": model.weights_, **found}


def assert_same(ours: Any, theirs: Any, rtol: float = 0.0, atol: float = 0.0) -> None:
    a, b = parameters(ours), parameters(theirs)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=rtol, atol=atol, err_msg=name)


# -- what the model says -----------------------------------------------------------------------


@cases
def test_predictions_and_criteria_are_those_of_the_densities(case: Case) -> None:
    model, x = case.given(), case.x
    joint = case.log_density(model, x) + np.log(WEIGHTS)
    log_density = np.logaddexp.reduce(joint, axis=1)
    r = np.exp(joint - log_density[:, None])
    np.testing.assert_allclose(model.score_samples(x), log_density, rtol=1e-9)
    np.testing.assert_allclose(model.predict_proba(x), r, atol=1e-10)
    np.testing.assert_array_equal(model.predict(x), joint.argmax(axis=1))
    np.testing.assert_allclose(model.uncertainty(x), 1 - r.max(axis=1), atol=1e-10)
    np.testing.assert_allclose(model.entropy(x), stats.entropy(r, axis=1), atol=1e-9)
    df, total = case.n_parameters + 1, log_density.sum()
    bic = -2 * total + df * np.log(N)
    assert model.loglik(x) == pytest.approx(total, rel=1e-10)
    assert model.score(x) == pytest.approx(total / N, rel=1e-10)
    assert model.aic(x) == pytest.approx(-2 * total + 2 * df, rel=1e-10)
    assert model.bic(x) == pytest.approx(bic, rel=1e-10)
    assert model.icl(x) == pytest.approx(bic + 2 * stats.entropy(r, axis=1).sum(), rel=1e-10)


@cases
def test_elbo_is_below_the_log_likelihood_by_its_gap(case: Case) -> None:
    model = case.given()
    any_r = np.random.default_rng(0).dirichlet([1, 1], N)
    found = model.elbo(case.x, any_r)
    assert found.gap > 1
    assert found.elbo + found.gap == pytest.approx(model.loglik(case.x), rel=1e-10)
    assert model.elbo(case.x, model.predict_proba(case.x)).gap == pytest.approx(0, abs=1e-7)


@cases
def test_samples_have_the_moments_of_their_components(case: Case) -> None:
    model = case.given(random_state=np.random.default_rng(0))
    x, y = model.sample(20_000)
    np.testing.assert_allclose(np.bincount(y) / len(y), WEIGHTS, atol=0.015)
    assert (np.diff(y) >= 0).all()
    for k in range(2):  # the rows of the case are drawn from nearly these components
        theirs, ours = case.x[k == Y], x[y == k]
        error = theirs.std(axis=0) / np.sqrt(len(theirs))
        np.testing.assert_array_less(abs(ours.mean(axis=0) - theirs.mean(axis=0)), 5 * error + 0.02)
    assert not np.array_equal(model.sample(9)[0], model.sample(9)[0]), "a generator goes on"


@cases
def test_fit_finds_the_components(case: Case) -> None:
    model = fitted(case, tol=1e-9, max_iter=2000, n_init=3)
    assert model.converged_
    assert ascending(model.lower_bounds_)
    assert model.score(case.x) >= case.given().score(case.x)
    agree = (model.predict(case.x) == Y).mean()
    assert max(agree, 1 - agree) > 0.7
    assert model.lower_bound_ == pytest.approx(model.score(case.x), abs=1e-8)
    np.testing.assert_array_equal(
        case.make(2, random_state=0, tol=1e-9, max_iter=2000, n_init=3).fit_predict(case.x),
        model.predict(case.x),
    )


# -- weights, warm starts, threads, callbacks --------------------------------------------------


@quiet
@cases
def test_weight_two_is_the_row_twice_and_weight_zero_no_row(case: Case) -> None:
    counts = np.random.default_rng(0).integers(0, 4, N)
    repeated = np.repeat(case.x, counts, axis=0)

    def fit(x: Any, weight: Any) -> Any:
        return (
            case.given()
            .set_params(warm_start=True, tol=0.0, max_iter=5)
            .fit(x, sample_weight=weight)
        )

    weighted, plain = fit(case.x, counts), fit(repeated, None)
    assert_same(weighted, plain, rtol=1e-9)
    np.testing.assert_allclose(weighted.lower_bounds_, plain.lower_bounds_, rtol=1e-10)
    for method in ("score", "loglik", "aic", "bic", "icl"):
        expected = getattr(plain, method)(repeated)
        got = getattr(plain, method)(case.x, sample_weight=counts)
        assert got == pytest.approx(expected, rel=1e-10), method


@quiet
@cases
def test_warm_start_goes_on(case: Case) -> None:
    once = fitted(case, max_iter=6, tol=0.0)
    twice = fitted(case, max_iter=3, tol=0.0, warm_start=True).fit(case.x)
    assert_same(once, twice)
    assert once.lower_bounds_[3:] == twice.lower_bounds_


@quiet
@cases
def test_results_do_not_depend_on_the_number_of_threads(case: Case) -> None:
    x = np.tile(case.x, (750, 1))
    labels = np.tile(np.where(np.arange(N) % 7 == 0, Y, -1), 750)
    one, three = (
        case.make(
            2, init_params="random", random_state=0, max_iter=2, n_threads=n, prior="weak"
        ).fit(x, labels=labels)
        for n in (1, 3)
    )
    assert_same(one, three)
    assert one.lower_bounds_ == three.lower_bounds_
    np.testing.assert_array_equal(one.predict_proba(x), three.predict_proba(x))


@cases
def test_callback_and_verbose_tell_each_iteration(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[Progress] = []
    model = case.make(2, n_init=2, random_state=0, init_params="random", verbose=2, tol=1e-2)
    model.fit(case.x, callback=told.append)
    runs = [[p.objective for p in told if p.restart == restart] for restart in range(2)]
    assert model.lower_bounds_ in runs
    assert "Initialization 1" in capsys.readouterr().out


# -- priors ------------------------------------------------------------------------------------


@cases
@pytest.mark.parametrize("assignment", ["soft", "hard"])
@pytest.mark.parametrize("equal_weights", [False, True])
def test_objective_with_a_prior_never_decreases(
    case: Case, assignment: str, equal_weights: bool
) -> None:
    model = fitted(
        case, prior="weak", assignment=assignment, equal_weights=equal_weights, tol=1e-9,
        max_iter=3000,
    )  # fmt: skip
    assert ascending(model.lower_bounds_)
    assert model.converged_
    if equal_weights:
        np.testing.assert_array_equal(model.weights_, [0.5, 0.5])


@cases
def test_weak_prior_makes_any_data_fit(case: Case) -> None:
    tables = {
        "duplicates": np.repeat(case.x[:2], 10, axis=0),
        "constant": np.repeat(case.x[:1], 10, axis=0),
        "few rows": case.x[:4],
    }
    for name, x in tables.items():
        model = case.make(6, prior="weak", random_state=0, max_iter=1000, tol=1e-6).fit(x)
        assert np.isfinite(model.lower_bound_), name
        assert all(np.isfinite(array).all() for array in parameters(model).values()), name
        assert np.isfinite(model.score_samples(x)).all(), name
    with pytest.raises(ValueError, match=r"n_components = 6, n_samples = 4 \(a prior"):
        case.make(6).fit(case.x[:4])


def test_prior_of_the_components_alone_leaves_the_weights_flat() -> None:
    gamma = GammaPrior(3.0, 2.0)
    fits = [
        PoissonMixture(2, prior=prior, random_state=0, tol=1e-9).fit(COUNTS)
        for prior in (gamma, MixturePrior(np.ones(2), gamma))
    ]
    assert_same(*fits)
    model, r = fits[0], fits[0].predict_proba(COUNTS)
    np.testing.assert_allclose(
        model.rates_, (r.T @ COUNTS + 2) / (r.sum(axis=0)[:, None] + 2), rtol=1e-4
    )
    np.testing.assert_allclose(model.weights_, r.mean(axis=0), rtol=1e-4)
    log_prior = stats.gamma(3, scale=1 / 2).logpdf(model.rates_).sum()
    assert model.lower_bound_ == pytest.approx(model.score(COUNTS) + log_prior / N, abs=1e-7)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (PoissonMixture(prior="strong"), ValueError, "prior: expected None, 'weak' or a prior"),  # type: ignore[arg-type]
        (PoissonMixture(prior=3), TypeError, "prior: expected None, 'weak' or a prior, got 3"),  # type: ignore[arg-type]
        (
            PoissonMixture(prior=MixturePrior(np.ones(3), GammaPrior(2.0, 1.0))),
            ValueError,
            "prior.weights: expected n_components = 1 finite numbers >= 1",
        ),
        (
            PoissonMixture(prior=MixturePrior(np.array([0.5]), GammaPrior(2.0, 1.0))),
            ValueError,
            "prior.weights: expected",
        ),
        (
            PoissonMixture(prior=GammaPrior(np.ones((3, 3)), np.ones((3, 3)))),
            ValueError,
            "prior.shape: expected 1 components or 1 on the first axis, got shape",
        ),
        (
            PoissonMixture(prior=BetaPrior(2.0, 2.0)),  # type: ignore[arg-type]
            TypeError,
            "prior: expected a GammaPrior for Poisson, got BetaPrior",
        ),
        (Mixture(NumpyPoisson(), prior="weak"), TypeError, "NumpyPoisson has no conjugate prior"),
    ],
)
def test_impossible_prior_is_refused(model: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        model.fit(COUNTS)


# -- known labels ------------------------------------------------------------------------------


@cases
def test_all_known_labels_give_the_supervised_fit(case: Case) -> None:
    model = fitted_with_labels(case, Y)
    assert model.converged_
    np.testing.assert_allclose(model.weights_, np.bincount(Y) / N, rtol=1e-12)
    for k in range(2):
        alone = case.make(1).fit(case.x[k == Y])
        for name, array in parameters(alone).items():
            if name != "weights":
                np.testing.assert_allclose(
                    parameters(model)[name][k], array[0], rtol=1e-9, atol=1e-12, err_msg=name
                )


def fitted_with_labels(case: Case, labels: Any, **kwargs: Any) -> Any:
    return case.make(2, **{"random_state": 0, **kwargs}).fit(case.x, labels=labels)


@cases
def test_no_known_label_is_no_label_bit_for_bit(case: Case) -> None:
    plain, unknown = fitted(case), fitted_with_labels(case, np.full(N, -1))
    assert_same(plain, unknown)
    assert plain.lower_bounds_ == unknown.lower_bounds_


@cases
def test_few_known_labels_name_the_components(case: Case) -> None:
    labels = np.where(np.arange(N) % 10 < 6, Y, -1)
    for swapped in (labels, np.where(labels < 0, -1, 1 - labels)):
        model = fitted_with_labels(case, swapped, tol=1e-8, max_iter=1000)
        assert ascending(model.lower_bounds_)
        agree = (model.predict(case.x) == (Y if swapped is labels else 1 - Y)).mean()
        assert agree > 0.7


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (Y[:-1], r"labels: expected shape \(400,\), a label for each row, got \(399,\)"),
        (Y + 1, "labels: expected integers from 0 to n_components - 1 = 1.*got 2 in row 3"),
        (Y - 2, "labels: expected .* got -2 in row 0"),
        (Y * 0.5, "labels: expected integers .* got 0.5 in row 3"),
        (np.where(Y == 0, np.nan, 1), "labels: expected integers .* got nan in row 0"),
        (np.full(N, "a"), "labels: expected numbers, got strings"),
        (np.zeros(N), "label 1 never occurs"),
    ],
)
def test_impossible_labels_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PoissonMixture(2).fit(COUNTS, labels=labels)


def test_label_of_absent_rows_alone_never_occurs() -> None:
    with pytest.raises(ValueError, match="label 1 never occurs"):
        PoissonMixture(2).fit(COUNTS, labels=Y, sample_weight=1 - Y)


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


# -- starts ------------------------------------------------------------------------------------


@cases
def test_given_start_is_where_the_fit_begins(case: Case) -> None:
    truth = case.given()
    model = clone(truth).set_params(n_components=2, weights_init=WEIGHTS, max_iter=0)
    if case.name == "gaussian":
        model.set_params(means_init=truth.means_, precisions_init=truth.precisions_)
    else:
        model.set_params(params_init=truth.components_)
    assert_same(model.fit(case.x), truth, rtol=1e-12)


def test_start_may_be_given_by_names_of_arrays() -> None:
    model = PoissonMixture(2, params_init={"rates": RATES.tolist()}, max_iter=0).fit(COUNTS)
    np.testing.assert_array_equal(model.rates_, RATES)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"params_init": {"rate": RATES}}, ValueError, r"expected the arrays \['rates'\], got"),
        ({"params_init": RATES}, TypeError, "expected PoissonParams or a mapping"),
        ({"params_init": {"rates": RATES[:1]}}, ValueError, "rates of 2 components on the first"),
        ({"params_init": {"rates": RATES * np.nan}}, ValueError, "expected finite numbers"),
        ({"weights_init": [0.5, 0.6]}, ValueError, "should be normalized"),
        ({"weights_init": [0.5, 0.5], "equal_weights": True}, ValueError, "weights_init: expected"),
        ({"assignment": "firm"}, ValueError, "assignment: expected one of 'soft', 'hard'"),
        ({"equal_weights": 1}, TypeError, "equal_weights: expected True or False"),
        ({"n_components": 0}, ValueError, "n_components: expected an integer >= 1"),
        ({"tol": -1}, ValueError, "tol: expected"),
        ({"init_params": "best"}, ValueError, "init_params: expected one of"),
    ],
)
def test_bad_argument_is_named_and_nothing_changes(
    arguments: dict[str, Any], error: Any, message: str
) -> None:
    model = PoissonMixture(2, random_state=0).fit(COUNTS).set_params(**arguments)
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(COUNTS)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PoissonMixture.from_params([1.0], [[-1.0]]), "rates: expected numbers >= 0"),
        (lambda: PoissonMixture.from_params([1.0], [1.0]), "rates: expected shape"),
        (
            lambda: PoissonMixture.from_params([0.5, 0.5], [[1.0]]),
            "components: expected rates of 2",
        ),
        (lambda: BernoulliMixture.from_params([1.0], [[1.5]]), "expected numbers from 0 to 1"),
        (lambda: ExponentialMixture.from_params([1.0], [[0.0]]), "rates: expected numbers > 0"),
        (lambda: MultinomialMixture.from_params([1.0], [[0.5, 0.6]]), "that sum to 1, got .* 1.1"),
        (
            lambda: CategoricalMixture.from_params([1.0], [[0.5, 0.5, 1]], n_categories=[2]),
            "sum of n_categories = 2 columns",
        ),
        (
            lambda: GammaMixture.from_params([1.0], [[1.0]], [[1.0, 2.0]]),
            r"the shape \(1, 1\) of sha",
        ),
        (lambda: VonMisesMixture.from_params([1.0], [[1.0]], [[-1.0]]), "concentrations: expected"),
        (lambda: PoissonMixture.from_params([0.9], [[1.0]]), "should be normalized"),
    ],
)
def test_impossible_parameters_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# -- collapse ----------------------------------------------------------------------------------


def test_best_proper_start_is_kept_and_degenerate_ones_are_counted() -> None:
    rng = np.random.default_rng(0)
    clusters = [rng.normal(center, 1, 60) for center in (0, 8, 16)]
    x = np.concatenate([*clusters, np.full(20, 20.0)])[:, None]
    kwargs: dict[str, Any] = {"init_params": "random_from_data", "max_iter": 500, "tol": 1e-6}
    state = np.random.RandomState(0)
    ends = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateComponentWarning)
        for _ in range(12):
            one = GaussianMixture(3, random_state=state, **kwargs).fit(x)
            ends.append((one.n_degenerate_, one.lower_bound_))
    assert {n for n, _ in ends} == {0, 1}, "some starts collapse onto the equal rows, some do not"
    best = GaussianMixture(3, n_init=12, random_state=np.random.RandomState(0), **kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        best.fit(x)
    assert best.n_degenerate_ == sum(n for n, _ in ends)
    assert best.lower_bound_ == max(bound for n, bound in ends if not n)
    assert best.lower_bound_ < max(bound for n, bound in ends if n), "collapse is tempting"


def test_collapse_of_every_start_is_a_warning_that_names_the_component() -> None:
    x = np.append(np.zeros(20), np.linspace(1, 5, 50))[:, None]
    start = {"rates": [[1.0], [1e25]]}
    with pytest.warns(DegenerateComponentWarning, match=r"component 1: .*\(use a prior or fewer"):
        model = ExponentialMixture(2, params_init=start, weights_init=[0.7, 0.3]).fit(x)
    assert model.n_degenerate_ == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ExponentialMixture(2, prior="weak", random_state=0, max_iter=1000).fit(x)


# -- order of components, standard errors ------------------------------------------------------


@cases
def test_order_of_components_is_changed_in_all_that_was_learned(case: Case) -> None:
    model = fitted(case)
    twin = copy.deepcopy(model)
    assert twin.relabel([1, 0]) is twin
    np.testing.assert_array_equal(twin.predict(case.x), 1 - model.predict(case.x))
    np.testing.assert_array_equal(twin.predict_proba(case.x)[:, ::-1], model.predict_proba(case.x))
    assert twin.score(case.x) == pytest.approx(model.score(case.x), rel=1e-14)
    by_weight = twin.relabel().weights_
    assert by_weight[0] >= by_weight[1]
    ascending_weights = twin.relabel(by=lambda m: m.weights_).weights_
    assert ascending_weights[0] <= ascending_weights[1]


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied_spherical"])
def test_order_of_gaussians_leaves_what_they_share(covariance_type: Any) -> None:
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(NORMAL)
    twin = copy.deepcopy(model).relabel([1, 0])
    np.testing.assert_allclose(
        twin.predict_proba(NORMAL)[:, ::-1], model.predict_proba(NORMAL), atol=1e-12
    )
    np.testing.assert_array_equal(twin.means_, model.means_[::-1])


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("size", "by: expected 'weight', a callable"),
        ([0, 0], "by: expected the components 0 to 1"),
        ([0, 1, 2], "by: expected the components 0 to 1"),
        ([0.0, 1.0], "by: expected the components"),
        (lambda m: m.rates_, r"by: expected shape \(2,\), got \(2, 3\)"),
    ],
)
def test_impossible_order_is_refused(by: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CASES[0].given().relabel(by)


@cases
@pytest.mark.parametrize("kind", ["parametric", "nonparametric"])
def test_bootstrap_gives_standard_errors_of_matched_components(case: Case, kind: Any) -> None:
    told: list[tuple[int, int]] = []
    model = fitted(case, max_iter=300)
    result = model.bootstrap(
        case.x, 8, kind=kind, random_state=0, callback=lambda done, n: told.append((done, n))
    )
    assert told == [(i, 8) for i in range(1, 9)]
    assert result.weights.shape == (8 - result.n_failed, 2)
    assert (result.weights_se > 0).all()
    assert (result.weights_se < 0.15).all(), "components that are not matched differ by more"
    shapes = {name: a.shape for name, a in arrays_of(model.components_, "")}
    assert {name: a.shape for name, a in arrays_of(result.components_se, "")} == shapes
    low, high = result.interval(0.9)
    assert (low.weights <= high.weights).all()
    again = model.bootstrap(case.x, 8, kind=kind, random_state=0)
    np.testing.assert_array_equal(again.weights, result.weights)


@pytest.mark.parametrize("kind", ["parametric", "nonparametric"])
def test_bootstrap_agrees_with_the_theory_of_known_components(kind: Any) -> None:
    """Far apart, the standard errors are those of a share and of means of known groups."""
    rng = np.random.default_rng(0)
    x = np.append(rng.poisson(2, 300), rng.poisson(60, 100))[:, None]
    model = PoissonMixture(2, random_state=0).fit(x).relabel()
    result = model.bootstrap(x, 200, kind=kind, random_state=1)
    expected = np.sqrt(model.rates_[:, 0] / [300, 100])
    np.testing.assert_allclose(result.components_se.rates[:, 0], expected, rtol=0.25)
    np.testing.assert_allclose(result.weights_se, np.sqrt(0.75 * 0.25 / 400), rtol=0.25)


def test_directions_are_compared_the_short_way_round() -> None:
    x = np.random.default_rng(0).vonmises(np.pi, 4.0, (300, 1))
    model = VonMisesMixture(1).fit(x)
    result = model.bootstrap(x, 100, random_state=0)
    assert result.components_se.means[0, 0] < 0.06
    low, high = result.interval()
    assert low.components.means < model.means_ < high.components.means


def test_bootstrap_keeps_labels_and_missing_entries() -> None:
    x, labels = with_holes(COUNTS), np.where(np.arange(N) % 2, Y, -1)
    model = PoissonMixture(2, random_state=0).fit(x, labels=labels)
    for kind in ("parametric", "nonparametric"):
        result = model.bootstrap(x, 4, kind=kind, labels=labels, random_state=0)  # type: ignore[arg-type]
        assert np.isfinite(result.components_se.rates).all()


# -- copies and files --------------------------------------------------------------------------


@cases
def test_model_comes_back_from_a_file_bit_for_bit(case: Case, tmp_path: Path) -> None:
    model = fitted(case, prior="weak", n_init=2).relabel()
    model.save(tmp_path / "a")
    twin = latentcore.load(tmp_path / "a")
    assert type(twin) is type(model)
    assert vars(twin).keys() == vars(model).keys()
    assert_same(twin, model)
    assert twin.lower_bounds_ == model.lower_bounds_
    assert twin.summary() == model.summary()
    assert str(twin.get_params()) == str(model.get_params())
    np.testing.assert_array_equal(twin.predict_proba(case.x), model.predict_proba(case.x))
    np.testing.assert_array_equal(twin.sample(5)[0], model.sample(5)[0])
    np.testing.assert_array_equal(twin.bic(case.x), model.bic(case.x))
    case.make(3).save(tmp_path / "b")
    assert str(latentcore.load(tmp_path / "b").get_params()) == str(case.make(3).get_params())


@pytest.mark.parametrize(
    "model",
    [
        PoissonMixture(2, prior=GammaPrior([[1.5, 2.5, 0.1]], 1 / 3), random_state=0),
        PoissonMixture(2, prior=MixturePrior(np.array([1.5, 3]), GammaPrior(2.0, 1e-300))),
        PoissonMixture(2, params_init=PoissonParams(RATES), weights_init=[0.5, 0.5]),
        PoissonMixture(2, params_init={"rates": RATES}),
        BernoulliMixture(2, prior=BetaPrior(2.0, 3.0)),
        CategoricalMixture(2, n_categories=(3, 2), prior=DirichletPrior(2.0)),
        CategoricalMixture(2, n_categories=[3, 2], params_init=CategoricalParams(CODES)),
        Mixture(COLUMNS, 2, params_init=columns_at_truth()),
        Mixture(Gaussian("tied", 0.5), 2),
    ],
    ids=repr,
)
def test_arguments_that_are_dataclasses_come_back_exactly(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "a")
    twin = latentcore.load(tmp_path / "a")
    for name, value in model.get_params().items():
        got = getattr(twin, name)
        if not hasattr(value, "__dataclass_fields__"):
            np.testing.assert_equal(got, value)
            continue
        assert type(got) is type(value)
        np.testing.assert_equal(dict(arrays_of(got, "")), dict(arrays_of(value, "")))


def test_family_of_a_user_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(
        TypeError, match=r"family: expected .* family of latentcore, got NumpyPoisson"
    ):
        Mixture(NumpyPoisson(), 2).save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@cases
def test_copies_predict_the_same_and_clones_know_nothing(case: Case) -> None:
    model = fitted(case)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict_proba(case.x), model.predict_proba(case.x))
    assert not any(name.endswith("_") for name in vars(clone(model)))


# -- not fitted, summary, repr -----------------------------------------------------------------

METHODS = [
    "predict", "predict_proba", "score_samples", "score", "loglik", "aic", "bic", "icl",
    "uncertainty", "entropy", "impute", "bootstrap",
]  # fmt: skip


@cases
def test_model_without_parameters_is_not_fitted(case: Case) -> None:
    model = case.make(2)
    for method in METHODS:
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            getattr(model, method)(case.x)
    for method in ("sample", "summary", "relabel"):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            getattr(model, method)()
    for name in ("rates_", "probabilities_", "n_categories_", "components_", "means_"):
        assert not hasattr(model, name)


@cases
def test_summary_tells_the_fit_and_the_components(case: Case) -> None:
    names = [f"column {j}" for j in range(case.x.shape[1])]
    frame = pd.DataFrame(case.x, columns=names)
    model = case.make(2, random_state=0).fit(frame)
    text = model.summary()
    for number in (
        f"{model.loglik(frame):.3f}",
        f"{model.bic(frame):.3f}",
        f"{model.icl(frame):.3f}",
    ):
        assert number in text
    for name in names:
        assert name in text
    for name, array in parameters(model).items():
        if name in (".rates", ".probabilities", ".means"):
            assert f"{array[1, -1]:.6g}" in text
    assert "400 rows; converged" in text


def test_repr_is_short() -> None:
    assert repr(PoissonMixture(2, prior="weak")) == "PoissonMixture(n_components=2, prior='weak')"
    assert repr(Mixture("poisson", 2)) == "Mixture(family='poisson', n_components=2)"


# -- a family of a user's own ------------------------------------------------------------------


def test_family_of_a_user_gives_the_fit_of_ours() -> None:
    start = {"weights_init": WEIGHTS, "tol": 1e-9, "max_iter": 500}
    own = Mixture(NumpyPoisson(), 2, params_init=NumpyPoissonParams(RATES), **start).fit(COUNTS)
    ours = PoissonMixture(2, params_init={"rates": RATES}, **start).fit(COUNTS)
    np.testing.assert_allclose(own.components_.rates, ours.rates_, rtol=1e-7)
    np.testing.assert_allclose(own.predict_proba(COUNTS), ours.predict_proba(COUNTS), atol=1e-7)
    assert own.score(COUNTS) == pytest.approx(ours.score(COUNTS), rel=1e-10)
    assert Mixture(NumpyPoisson(), 2, random_state=0).fit(COUNTS).converged_


@pytest.mark.parametrize(
    ("call", "method"),
    [
        (lambda model: model.sample(), "sample"),
        (lambda model: model.bic(COUNTS), "n_parameters"),
        (lambda model: model.aic(COUNTS), "n_parameters"),
        (lambda model: model.impute(COUNTS), "impute"),
    ],
)
def test_what_a_family_cannot_do_is_said(call: Callable[[Any], Any], method: str) -> None:
    model = Mixture(NumpyPoisson(), 2, random_state=0).fit(COUNTS)
    with pytest.raises(TypeError, match=f"family: expected one with a method '{method}'"):
        call(model)
    assert "log-likelihood" in model.summary()


@pytest.mark.parametrize("family", ["normal", 3, Poisson])
def test_what_is_no_family_is_refused(family: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="family: expected"):
        Mixture(family).fit(COUNTS)
