"""scikit-learn's tools take our estimators for one of theirs."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sklearn.exceptions
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from estimators.sklearn_checks import every_check
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
from latentcore.arrays import CSR
from latentcore.errors import ConvergenceWarning, NotFittedError, as_sklearn

X = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [5, 5]], 30, axis=0)


class Mapped:
    """scikit-learn's checks feed any real numbers: here they are mapped into the support of the family."""

    _positive_only = False

    def _matrix(self, X: Any) -> Any:
        x = super()._matrix(X)  # type: ignore[misc]
        if isinstance(x, CSR):
            return replace(x, values=self.mapped(x.values))
        return self.mapped(x)

    def mapped(self, x: Any) -> Any:
        return np.round(np.abs(x))


class MappedPoisson(Mapped, PoissonMixture):
    pass


class MappedMultinomial(Mapped, MultinomialMixture):
    pass


class MappedBernoulli(Mapped, BernoulliMixture):
    def mapped(self, x: Any) -> Any:
        return (np.abs(x) > 1).astype(x.dtype)


class MappedCategorical(Mapped, CategoricalMixture):
    def mapped(self, x: Any) -> Any:
        return np.round(np.abs(x)) % 3


class MappedExponential(Mapped, ExponentialMixture):
    def mapped(self, x: Any) -> Any:
        return np.abs(x)


class MappedGamma(Mapped, GammaMixture):
    def mapped(self, x: Any) -> Any:
        return np.abs(x) + 1


MODELS = [
    MappedGamma(),
    VonMisesMixture(),
    MappedPoisson(),
    MappedMultinomial(),
    MappedBernoulli(),
    MappedCategorical(n_categories=3),
    MappedExponential(),
    Mixture(),
    GaussianMixture(prior="weak", assignment="hard", equal_weights=True),
    GaussianMixture(),
    GaussianMixture(covariance_type="tied", init_params="random", random_state=0),
    GaussianMixture(covariance_type="diag", init_params="k-means++", warm_start=True),
    GaussianMixture(covariance_type="spherical", init_params="random_from_data", n_init=2),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::latentcore.errors.DegenerateComponentWarning")
@pytest.mark.filterwarnings(
    "ignore:Estimator .*Mapped|Estimator .*Mixture does not inherit:UserWarning"
)
@every_check(MODELS)
def test_estimator_check_passes(model: Any, check: Any) -> None:
    name = getattr(check, "func", check).__name__
    if name == "check_array_api_input":
        return  # for estimators that say they take arrays of other libraries
    sparse = name in ("check_estimator_sparse_array", "check_estimator_sparse_matrix")
    if sparse and model.__sklearn_tags__().input_tags.sparse:
        return  # takes whatever has predict_proba for a classifier; test_mixture_rows.py has formats
    check(model)


def test_clone_has_the_parameters_and_nothing_learned() -> None:
    model = GaussianMixture(2, means_init=[[0, 0], [5, 5]], random_state=0).fit(X)
    twin = clone(model)
    assert str(twin.get_params()) == str(model.get_params())
    assert not any(name.endswith("_") for name in vars(twin))


def test_unknown_parameter_is_refused_and_none_is_set() -> None:
    model = GaussianMixture()
    with pytest.raises(ValueError, match="Invalid parameter 'k' for estimator GaussianMixture"):
        model.set_params(n_components=3, k=2)
    assert model.n_components == 1


def test_grid_search_finds_the_number_of_components() -> None:
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    search = GridSearchCV(pipeline, {"gaussianmixture__n_components": [1, 2]}, cv=3)
    search.fit(np.random.default_rng(0).permutation(X))
    assert search.best_params_ == {"gaussianmixture__n_components": 2}
    assert search.predict(X).shape == (60,)


def test_sample_weight_passes_through_pipelines() -> None:
    weight = np.arange(60.0)
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0))
    pipeline.fit(X, gaussianmixture__sample_weight=weight)
    scaled = pipeline[0].transform(X)
    alone = GaussianMixture(2, random_state=0).fit(scaled, sample_weight=weight)
    np.testing.assert_array_equal(pipeline[1].means_, alone.means_)


def test_sample_weight_is_routed_where_it_is_asked_for() -> None:
    order = np.random.default_rng(0).permutation(60)
    weight = np.where(np.arange(60) < 30, 1.0, 3.0)
    with config_context(enable_metadata_routing=True):
        model = GaussianMixture(1).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        routed = cross_val_score(
            clone(model), X[order], cv=2, params={"sample_weight": weight[order]}
        )
    halves = order[:30], order[30:]
    expected = [
        GaussianMixture(1)
        .fit(X[train], sample_weight=weight[train])
        .score(X[test], sample_weight=weight[test])
        for test, train in (halves, halves[::-1])
    ]
    np.testing.assert_allclose(routed, expected)


def test_scikit_learn_catches_our_exceptions() -> None:
    with pytest.raises(sklearn.exceptions.NotFittedError) as caught:
        GaussianMixture().predict(X)
    assert isinstance(caught.value, NotFittedError)
    copied = pickle.loads(pickle.dumps(caught.value))
    assert type(copied) is type(caught.value)
    assert copied.args == caught.value.args


@pytest.mark.parametrize("category", [ConvergenceWarning, sklearn.exceptions.ConvergenceWarning])
def test_not_converging_is_a_warning_of_both_kinds(category: type[Warning]) -> None:
    with pytest.warns(category, match="Best performing initialization did not converge"):
        GaussianMixture(2, max_iter=1, random_state=0).fit(X)


def test_class_that_joins_ours_and_theirs_is_made_once() -> None:
    joined = as_sklearn(NotFittedError)
    assert joined is as_sklearn(NotFittedError)
    assert issubclass(joined, sklearn.exceptions.NotFittedError)
    assert joined.__name__ == "NotFittedError"


def test_fit_does_not_import_scikit_learn() -> None:
    program = """
import sys, warnings
import numpy as np
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
from latentcore.arrays import CSR
from latentcore.errors import ConvergenceWarning, NotFittedError
x = np.random.default_rng(0).normal(size=(50, 2))
for init_params in ("kmeans", "k-means++", "random", "random_from_data"):
    model = GaussianMixture(2, init_params=init_params, random_state=0, max_iter=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x)
    assert [w.category for w in caught] == [ConvergenceWarning]
    model.predict(x), model.sample(3), repr(model), model.get_params(), model.summary()
try:
    GaussianMixture().predict(x)
except NotFittedError as error:
    assert type(error) is NotFittedError
assert "sklearn" not in sys.modules and "scipy" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
