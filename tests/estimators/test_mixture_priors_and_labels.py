"""What a mixture is told besides the rows: priors and known labels; and what befalls it without them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats

from estimators.drawn_rows import COUNTS, N, Y, ascending
from estimators.mixture_cases import Case, assert_same, cases, fitted, parameters
from latentcore import ExponentialMixture, GaussianMixture, Mixture, PoissonMixture
from latentcore.errors import DegenerateComponentWarning
from latentcore.families.bernoulli import BetaPrior
from latentcore.families.priors import GammaPrior
from latentcore.structures.mixture import MixturePrior
from laws.numpy_poisson import NumpyPoisson

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
    fits: list[Any] = [
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


def fitted_with_labels(case: Case, labels: Any, **kwargs: Any) -> Any:
    return case.make(2, **{"random_state": 0, **kwargs}).fit(case.x, labels=labels)


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
