"""Arguments of mixtures: given starts and parameters, and those that are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from estimators.drawn_rows import COUNTS, RATES, WEIGHTS
from estimators.mixture_cases import Case, assert_same, cases
from latentcore import (
    BernoulliMixture,
    CategoricalMixture,
    ExponentialMixture,
    GammaMixture,
    MultinomialMixture,
    PoissonMixture,
    VonMisesMixture,
)


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
