"""Mixtures come back from files, pickles and clones."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

import latentcore
from estimators.drawn_rows import CODES, COLUMNS, RATES, arrays_of, columns_at_truth
from estimators.mixture_cases import Case, assert_same, cases, fitted
from latentcore import BernoulliMixture, CategoricalMixture, Mixture, PoissonMixture
from latentcore.families.bernoulli import BetaPrior
from latentcore.families.categorical import CategoricalParams
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import PoissonParams
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.structures.mixture import MixturePrior
from laws.numpy_poisson import NumpyPoisson


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
