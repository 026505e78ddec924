"""Streams that stop in the middle, travel, are fitted, relabelled and changed by hand, and go on."""

from __future__ import annotations

import copy
import json
import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import latentcore
from estimators.mixture_cases import CASES, Case, assert_same, parameters
from estimators.streams import (
    ONLINE,
    assert_equal_states,
    batches,
    bayesian,
    cases,
    check_refused,
    every_online,
    stream,
    streamed,
)
from latentcore import (
    BayesianGaussianMixture,
    BernoulliMixture,
    GaussianMixture,
    Mixture,
    Online,
    PoissonMixture,
)
from latentcore.errors import StorageError
from latentcore.families.categorical import Categorical
from latentcore.families.columns import IndependentColumns
from latentcore.families.gamma import Gamma
from latentcore.families.gaussian import Gaussian
from latentcore.families.mixed import MixtureFamily
from latentcore.families.poisson import Poisson
from latentcore.rules.steps import ConstantStep

# -- travelling -----------------------------------------------------------------------------------


def carried(model: Any, path: Path) -> Any:
    model.save(path / "model.npz")
    return latentcore.load(path / "model.npz")


@cases
@every_online
def test_saved_stream_goes_on_bit_for_bit(case: Case, online: Any, tmp_path: Path) -> None:
    prior = "weak" if online is None else None
    whole, stopped = (case.make(2, random_state=0, online=online, prior=prior) for _ in range(2))
    for number, batch in enumerate(batches(case.x, 15)):
        whole.partial_fit(batch)
        stopped.partial_fit(batch)
        if number in (0, 3, 4, 20):
            stopped = carried(stopped, tmp_path)
            assert_equal_states(pickle.loads(pickle.dumps(stopped)), stopped)
    assert_equal_states(whole, stopped)


@bayesian
def test_saved_posterior_goes_on_bit_for_bit(make: Any, x: Any, tmp_path: Path) -> None:
    whole, stopped = make(), make()
    for number, batch in enumerate(batches(x, 15)):
        whole.partial_fit(batch)
        stopped.partial_fit(batch)
        if number in (0, 3, 4, 20):
            stopped = pickle.loads(pickle.dumps(carried(stopped, tmp_path)))
    assert_equal_states(whole, stopped)
    whole, stopped = whole.fit(x).partial_fit(x), carried(stopped.fit(x), tmp_path).partial_fit(x)
    assert_equal_states(whole, stopped)


def test_another_process_goes_on(tmp_path: Path) -> None:
    x = CASES[5].x
    stream(CASES[5], online=Online(averaging=True)).save(tmp_path / "a.npz")
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy, latentcore; model = latentcore.load('a.npz');"
        "model.partial_fit(numpy.load('x.npy')).save('b.npz')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    here = stream(CASES[5], online=Online(averaging=True)).partial_fit(x)
    assert_equal_states(here, latentcore.load(tmp_path / "b.npz"))


def test_waiting_rows_travel(tmp_path: Path) -> None:
    x = CASES[0].x.copy()
    x[2, 1] = np.nan
    weight, labels = np.linspace(0.5, 1.5, 9), np.r_[np.zeros(3), -np.ones(6)]
    for batch in (x[:9], x[:9].astype(np.float32), scipy.sparse.csr_array(np.nan_to_num(x[:9]))):
        model = PoissonMixture(2, random_state=0)
        model.partial_fit(batch, sample_weight=weight, labels=labels)
        loaded = carried(model, tmp_path)
        assert_equal_states(model.partial_fit(x[9:60]), loaded.partial_fit(x[9:60]))
    frame = pd.DataFrame(x, columns=list("abc"))
    named = carried(PoissonMixture(2).partial_fit(frame[:5]), tmp_path)
    check_refused(named, frame[["b", "a", "c"]], {}, "feature names")


@pytest.mark.parametrize("online", [Online(inertia="running"), Online("auto", averaging=True)])
def test_files_hold_streams_that_have_no_density_at_zero(online: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.gamma(0.5, 2.0, 200), rng.gamma(3.0, 1.0, 200), np.zeros(200)])
    parts = [(Gamma(), [0, 1]), (Categorical((1,)), [2])]
    model = streamed(Mixture(IndependentColumns(parts), 2, random_state=0, online=online), x)
    loaded = carried(model, tmp_path)
    assert_equal_states(model.partial_fit(x), loaded.partial_fit(x))


def test_files_hold_statistics_that_only_a_prior_makes_a_model(tmp_path: Path) -> None:
    online = Online(math.inf, inertia="running")
    model = GaussianMixture(2, random_state=0, prior="weak", assignment="hard", online=online)
    streamed(model, CASES[5].x)
    same = np.repeat(CASES[5].x[:1], 30, axis=0)
    loaded = carried(model.partial_fit(same).partial_fit(same), tmp_path)
    assert_equal_states(model.partial_fit(same), loaded.partial_fit(same))


def test_what_no_file_can_hold_is_named(tmp_path: Path) -> None:
    model = streamed(GaussianMixture(2, random_state=0, online=Online(lambda t: 1 / t)), CASES[5].x)
    with pytest.raises(
        TypeError, match=r"online\.step_size: expected a step size, .* got the callable"
    ):
        model.save(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n_rows", [9, 200])
def test_damaged_stream_is_an_error(n_rows: int, tmp_path: Path) -> None:
    """Each number and array of the stream, one by one."""
    for online in (Online(inertia="running", averaging=True), Online("auto")):
        model = GaussianMixture(2, random_state=0, online=online)
        streamed(model, CASES[5].x[:n_rows].astype(np.float32))
        name, stored = type(model).__name__, model._to_stored()
        learned = stored["learned"]
        latentcore.storage.write(tmp_path / "good.npz", name, stored)
        latentcore.load(tmp_path / "good.npz")
        damaged: list[dict[str, Any]] = []
        for key, value in learned.items():
            if key.startswith("_stream.") and isinstance(value, np.ndarray):
                bad_arrays = [value[:0], np.full_like(value, np.inf), value[..., None]]
                if n_rows > 9:  # rows that wait may be of single precision
                    bad_arrays.append(value.astype(np.float32))
                damaged += [{key: bad} for bad in bad_arrays]
        assert damaged
        for path, bad in (("n_steps", -1), ("seen", -1.0), ("seen", "many"), ("eta", -1.0),
                          ("waiting", 3), ("shown", None), ("prior", "strong"), ("auto", 2),
                          ("running", 1.0), ("iterate", {"tuple": []})):  # fmt: skip
            header = copy.deepcopy(learned["_stream"])
            header["mapping"]["stream"]["fields"][path] = bad
            damaged.append({"_stream": header})
        if n_rows > 9 and online.averaging:
            text = json.dumps(learned["_stream"])
            other = text.replace('"covariance_type": "full"', '"covariance_type": 3')
            assert other != text
            damaged.append({"_stream": json.loads(other)})
        for change in damaged:
            changed = {**stored, "learned": {**learned, **change}}
            latentcore.storage.write(tmp_path / "bad.npz", name, changed)
            with pytest.raises(StorageError):
                latentcore.load(tmp_path / "bad.npz")


def test_width_of_a_stream_is_that_of_its_posterior(tmp_path: Path) -> None:
    model = BayesianGaussianMixture(2, random_state=0).partial_fit(CASES[5].x)
    stored = model._to_stored()
    stored["learned"]["_stream"]["mapping"]["n_features_in_"] = 3
    latentcore.storage.write(tmp_path / "bad.npz", type(model).__name__, stored)
    with pytest.raises(StorageError, match="n_features_in_ of the model, got 3"):
        latentcore.load(tmp_path / "bad.npz")


def test_memory_does_not_grow_with_the_stream() -> None:
    x = CASES[5].x
    for model in (
        stream(CASES[5], online=Online(inertia="running", averaging=True)),
        streamed(BayesianGaussianMixture(2, random_state=0), x),
    ):
        sizes = []
        for n_steps in (1024, 1024):
            for step in range(n_steps):
                model.partial_fit(x[step % 390 : step % 390 + 2])
            assert len(model.lower_bounds_) == 1024
            sizes.append(len(pickle.dumps(model)))
        assert abs(sizes[1] - sizes[0]) <= 16  # numbers of more digits


def test_arguments_of_streams_are_arguments() -> None:
    online = Online(ConstantStep(0.5), averaging=True)
    model = GaussianMixture(2, online=online)
    assert clone(model).get_params()["online"] == online
    search = GridSearchCV(GaussianMixture(2, random_state=0), {"online": [None, 0.5, online]}, cv=2)
    assert search.fit(CASES[5].x).best_params_["online"] in (None, 0.5, online)
    for case in CASES:
        made = case.make(2)
        state = made.__getstate__()
        del state["online"]
        made_by: Any = type(made)
        old = made_by.__new__(made_by)
        old.__setstate__(state)
        assert old.online is None
    model.set_partial_fit_request(sample_weight=True)
    assert model.get_metadata_routing().partial_fit.requests["sample_weight"] is True


def test_files_without_streams_are_read(tmp_path: Path) -> None:
    case = CASES[0]
    model = case.make(2, random_state=0).fit(case.x)
    stored = model._to_stored()
    del stored["params"]["online"]
    learned = {k: v for k, v in stored["learned"].items() if not k.startswith("_stream")}
    latentcore.storage.write(
        tmp_path / "old.npz", type(model).__name__, {**stored, "learned": learned}
    )
    old = latentcore.load(tmp_path / "old.npz")
    assert_same(old, model)
    assert old.partial_fit(case.x[:50]).n_iter_ >= 1


# -- streams and fits -----------------------------------------------------------------------------


@cases
@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_fits_and_streams_follow_each_other(case: Case) -> None:
    model = case.make(2, random_state=0, tol=1e-6, max_iter=500).fit(case.x)
    fit = parameters(copy.deepcopy(model))
    fitted, good = copy.deepcopy(model), model.score(case.x)
    model.partial_fit(case.x[:50])
    assert model._stream.n_steps == 9
    assert model.n_samples_seen_ == 450
    assert model.score(case.x) > good - 0.05, "the fit is not forgotten"
    warm = copy.deepcopy(model).set_params(warm_start=True, max_iter=0).fit(case.x)
    assert_same(warm, model)
    assert warm.n_samples_seen_ == 400
    again = model.fit(case.x)
    assert_same(again, fitted)
    assert {name: value.tolist() for name, value in parameters(again).items()} == {
        name: value.tolist() for name, value in fit.items()
    }
    assert_equal_states(again.partial_fit(case.x[:9]), fitted.partial_fit(case.x[:9]))


def test_weak_prior_of_a_fit_stays() -> None:
    case = CASES[5]
    model = case.make(2, random_state=0, prior="weak").fit(case.x)
    prior = model._stream.prior
    streamed(model, case.x[:10], 1)
    assert model._stream.prior is prior
    assert np.isfinite(model.score(case.x))
    assert np.linalg.eigvalsh(model.covariances_).min() > 0.3


@cases
@every_online
def test_relabelled_stream_is_the_stream_relabelled(case: Case, online: Any) -> None:
    x = case.x.astype(np.float32)
    one, other = (
        streamed(case.make(2, random_state=0, online=online), x[:200], 50) for _ in range(2)
    )
    other.relabel([1, 0])
    for batch in batches(x[200:], 25):
        one.partial_fit(batch)
        other.partial_fit(batch)
    one.relabel([1, 0])
    assert other._stream.has_own() == one._stream.has_own()
    if online is not ONLINE["drawn"]:  # draws are made component by component
        assert_same(one, other, rtol=1e-6)


def test_relabelled_tied_and_mixed_streams() -> None:
    """Where K is D, or components have components, shapes do not tell what is of one component."""
    x = CASES[5].x
    for family in (Gaussian("tied"), MixtureFamily(Gaussian("diag", 1e-6), 2),
                   IndependentColumns([(Gaussian("tied"), [1]), (Gaussian("full"), [0])])):  # fmt: skip
        for online in (Online(inertia="running", averaging=True), Online("auto")):
            one, other = (
                streamed(Mixture(family, 2, random_state=0, online=online), x[:200]) for _ in "ab"
            )
            other.relabel([1, 0])
            assert_same(streamed(one, x[200:]).relabel([1, 0]), streamed(other, x[200:]), rtol=1e-8)


@pytest.mark.parametrize(
    "online", [None, Online(inertia="running"), Online(averaging=True), Online("auto")]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_attributes_set_by_hand_are_where_the_next_step_starts(online: Any, dtype: Any) -> None:
    x = CASES[5].x.astype(dtype)
    model = streamed(GaussianMixture(2, random_state=0, online=online), x[:200])
    for in_place in (True, False):
        changed = copy.deepcopy(model)
        if in_place:
            changed.means_[...] += 1
        else:
            changed.means_ = changed.means_ + 1
        changed.set_params(online=Online(0.0)).partial_fit(x[:9])
        np.testing.assert_allclose(changed.means_, model.means_ + 1, rtol=1e-6)
        changed.set_params(online=online).partial_fit(x[:50])
        assert np.isfinite(changed.score(x))


@pytest.mark.parametrize("before", [0.0, math.inf])
def test_automatic_steps_go_on_from_any_other(before: float, tmp_path: Path) -> None:
    model = streamed(GaussianMixture(2, random_state=0, online=before), CASES[5].x[:200])
    model.set_params(online=Online("auto")).partial_fit(CASES[5].x)
    assert model._stream.eta == pytest.approx(1 / (model.n_iter_ - 1))
    carried(model, tmp_path).partial_fit(CASES[5].x)


def test_attributes_set_by_hand_are_a_start() -> None:
    model = GaussianMixture(2, online=0.1)
    model.weights_, model.means_ = np.array([0.5, 0.5]), np.array([[0.0, 0.0], [30.0, 30.0]])
    model.covariances_ = np.array([np.eye(2), np.eye(2)])
    model.partial_fit([[0.0, 1.1]])
    np.testing.assert_allclose(model.means_, [[0.0, 1.1 * 0.1 / 0.6], [30.0, 30.0]], atol=1e-12)


@every_online
def test_single_precision_loses_nothing_from_step_to_step(online: Any) -> None:
    """The iterate of a long stream of float32 rows is that of the same rows in double, but for the sweeps."""
    x = CASES[5].x.astype(np.float32)
    single, double = (
        streamed(
            GaussianMixture(2, random_state=0, online=online), np.tile(x, (3, 1)).astype(t), 10
        )
        for t in (np.float32, np.float64)
    )
    assert single.means_.dtype == np.float32
    if online is None:
        iterate = single._stream.iterate.components.means
        assert (iterate != iterate.astype(np.float32)).any()
        np.testing.assert_allclose(iterate, double.means_, rtol=2e-6, atol=2e-6)
    assert abs(single.score(x) - double.score(x)) < 1e-3
    single.fit(x)
    assert single._stream.iterate is None


def test_prior_holds_where_a_component_has_no_rows() -> None:
    x = np.random.default_rng(0).normal(size=(500, 1))
    model = BernoulliMixture(2, prior="weak", random_state=0)
    ones = (x > 0).astype(float)
    for _ in range(20):
        streamed(model, np.hstack([ones, np.zeros_like(ones)]), 50)
    assert (model.probabilities_[:, 1] > 0).all()
    assert isinstance(model.score([[1.0, 1.0]]), float)
    poisson = Mixture(Poisson(), 2, prior="weak", random_state=0)
    assert np.isfinite(streamed(poisson, np.zeros((60, 2))).score(np.ones((2, 2))))
