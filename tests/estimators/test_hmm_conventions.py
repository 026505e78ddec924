"""scikit-learn's tools take hidden Markov models for one of theirs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sklearn.exceptions
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from estimators.sklearn_checks import every_check
from latentcore import (
    GMMHMM,
    HMM,
    CategoricalHMM,
    GaussianHMM,
    PoissonHMM,
    VariationalCategoricalHMM,
    VariationalGaussianHMM,
)
from latentcore.arrays import CSR
from latentcore.errors import ConvergenceWarning

N_SEQUENCES, T = 8, 40
GROUPS = np.repeat(np.arange(N_SEQUENCES), T)


def simulated() -> Any:
    """Sequences whose three states differ by their means; each group by itself has runs of all."""
    rng = np.random.default_rng(0)
    levels = np.tile(np.repeat([0.0, 6.0, 12.0, 6.0], 10), N_SEQUENCES)
    return rng.normal(levels, 1.0)[:, None]


X = simulated()


class Mapped:
    """scikit-learn's checks feed any real numbers: here they are mapped into the support of the family."""

    _positive_only = False

    def _sequences(self, *args: Any, **kwargs: Any) -> Any:
        data = super()._sequences(*args, **kwargs)  # type: ignore[misc]
        x = data.x
        if isinstance(x, CSR):
            return replace(data, x=replace(x, values=self.mapped(x.values)))
        return replace(data, x=self.mapped(x))

    def mapped(self, x: Any) -> Any:
        return np.round(np.abs(x))


class MappedPoisson(Mapped, PoissonHMM):
    pass


class MappedCategorical(Mapped, CategoricalHMM):
    def mapped(self, x: Any) -> Any:
        return np.round(np.abs(x)) % 3


class MappedVariational(Mapped, VariationalCategoricalHMM):
    def mapped(self, x: Any) -> Any:
        return np.round(np.abs(x)) % 3


class OneRowEach:
    """Every row is a sequence by itself, so that it may have a weight of its own."""

    def _sequences(self, X: Any, lengths: Any, groups: Any, *rest: Any) -> Any:
        ones = np.ones(X.shape[0] if hasattr(X, "tocsr") else len(np.asarray(X)), int)
        return super()._sequences(X, ones, groups, *rest)  # type: ignore[misc]


def one_row_each(model: Any) -> Any:
    cls = type(model)
    return type(cls.__name__, (OneRowEach, cls), {})(**model.get_params())


MODELS = [
    MappedPoisson(),
    MappedCategorical(n_categories=3),
    HMM(),
    GMMHMM(n_mix=2, prior="weak"),
    VariationalGaussianHMM(),
    VariationalGaussianHMM(covariance_type="tied", stickiness=1.0, warm_start=True),
    MappedVariational(n_categories=3),
    GaussianHMM(covariance_type="diag", assignment="hard", prior="weak", warm_start=True),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::latentcore.errors.DegenerateComponentWarning")
@pytest.mark.filterwarnings("ignore:Estimator .* does not inherit:UserWarning")
@every_check(MODELS)
def test_estimator_check_passes(model: Any, check: Any) -> None:
    name = getattr(check, "func", check).__name__
    if name == "check_array_api_input":
        return  # for estimators that say they take arrays of other libraries
    if name == "check_estimators_nan_inf" and isinstance(model, VariationalGaussianHMM):
        return  # only fit refuses half a row; test_bayesian_hmm.py has both
    sparse = name in ("check_estimator_sparse_array", "check_estimator_sparse_matrix")
    if sparse and model.__sklearn_tags__().input_tags.sparse:
        return  # takes whatever has predict_proba for a classifier; test_every_hmm.py has formats
    check(one_row_each(model) if "sample_weight" in name else model)


def test_clone_has_the_parameters_and_nothing_learned() -> None:
    model = GaussianHMM(2, means_init=[[0.0], [6.0]], random_state=0).fit(X)
    twin = clone(model)
    assert str(twin.get_params()) == str(model.get_params())
    assert not any(name.endswith("_") for name in vars(twin))
    assert repr(twin) == "GaussianHMM(n_components=2, means_init=[[0.0], [6.0]], random_state=0)"


def test_pipeline_takes_lengths_and_groups() -> None:
    lengths = [T] * N_SEQUENCES
    alone = GaussianHMM(3, random_state=0).fit(StandardScaler().fit_transform(X), groups=GROUPS)
    for arguments in ({"lengths": lengths}, {"groups": GROUPS}):
        pipeline = make_pipeline(StandardScaler(), GaussianHMM(3, random_state=0))
        pipeline.fit(X, **{f"gaussianhmm__{k}": v for k, v in arguments.items()})
        np.testing.assert_array_equal(pipeline[1].means_, alone.means_)
        np.testing.assert_array_equal(
            pipeline.predict(X, **arguments),
            alone.predict(pipeline[0].transform(X), lengths=lengths),
        )


def test_grid_search_keeps_sequences_whole() -> None:
    model = GaussianHMM(random_state=0, n_init=2, init_params="k-means++")
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(groups=True).set_score_request(groups=True)
        pipeline = make_pipeline(StandardScaler(), model)
        grid = {"gaussianhmm__n_components": [1, 2, 3]}
        search = GridSearchCV(pipeline, grid, cv=GroupKFold(4)).fit(X, groups=GROUPS)
    assert search.best_params_ == {"gaussianhmm__n_components": 3}
    assert search.predict(X).shape == (len(X),)


def test_groups_and_weights_are_routed_where_they_are_asked_for() -> None:
    weight = np.where(GROUPS % 2, 1.0, 3.0)
    folds = [(k == GROUPS % 2, k != GROUPS % 2) for k in range(2)]
    splits = [(np.flatnonzero(train), np.flatnonzero(test)) for train, test in folds]
    with config_context(enable_metadata_routing=True):
        model = GaussianHMM(2, random_state=0)
        model.set_fit_request(groups=True, sample_weight=True)
        model.set_score_request(groups=True, sample_weight=True)
        routed = cross_val_score(
            clone(model), X, cv=splits, params={"groups": GROUPS, "sample_weight": weight}
        )
    expected = [
        GaussianHMM(2, random_state=0)
        .fit(X[train], groups=GROUPS[train], sample_weight=weight[train])
        .score(X[test], groups=GROUPS[test], sample_weight=weight[test])
        for train, test in splits
    ]
    np.testing.assert_allclose(routed, expected)


def test_predictions_may_be_routed_too() -> None:
    with config_context(enable_metadata_routing=True):
        model = GaussianHMM(2, random_state=0).set_predict_request(groups=True)
        model.set_predict_proba_request(lengths=True)
        routing = model.get_metadata_routing()
    assert routing.predict.requests["groups"] is True
    assert routing.predict_proba.requests["lengths"] is True
    assert routing.fit.requests["lengths"] is None


@pytest.mark.parametrize("category", [ConvergenceWarning, sklearn.exceptions.ConvergenceWarning])
def test_not_converging_is_a_warning_at_the_users_line(category: type[Warning]) -> None:
    with pytest.warns(category, match="did not converge") as caught:
        GaussianHMM(2, max_iter=1, random_state=0).fit(X)
    assert caught[0].filename == __file__


def test_fit_needs_neither_scikit_learn_nor_scipy() -> None:
    program = """
import sys
import numpy as np
from latentcore import GaussianHMM, PoissonHMM
x = np.random.default_rng(0).poisson(np.repeat([[1.0], [9.0]], 50, axis=0))
for model in (PoissonHMM(2, random_state=0), GaussianHMM(2, random_state=0, prior="weak")):
    model.fit(x, lengths=[60, 40])
    model.predict(x), model.predict_proba(x), model.filter(x), model.sample(3), model.forecast(2, x)
    model.decode(x), model.loglik(x), model.summary(), repr(model), model.stationary_distribution()
    model.sample_posterior_paths(x, 2)
assert "sklearn" not in sys.modules and "scipy" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
