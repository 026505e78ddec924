"""Mixtures of all families have one face: the same promises, kept against SciPy and by laws."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from estimators.drawn_rows import COUNTS, NORMAL, RATES, WEIGHTS, N, Y, ascending
from estimators.mixture_cases import CASES, Case, assert_same, cases, fitted, parameters, quiet
from latentcore import GaussianMixture, Mixture, PoissonMixture
from latentcore.engine import Progress
from latentcore.errors import NotFittedError
from latentcore.families.poisson import Poisson
from laws.numpy_poisson import NumpyPoisson
from laws.numpy_poisson import PoissonParams as NumpyPoissonParams

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


# -- order of components -----------------------------------------------------------------------


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
    start: dict[str, Any] = {"weights_init": WEIGHTS, "tol": 1e-9, "max_iter": 500}
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
