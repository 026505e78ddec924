"""Streams: every mixture learns batch by batch, stops, travels, and goes on as if nothing had been."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.mixture
from sklearn.base import clone

from estimators.mixture_cases import CASES, Case, assert_same, parameters
from estimators.streams import (
    batches,
    bayesian,
    cases,
    check_refused,
    every_online,
    missing_cases,
    sparse_cases,
    stream,
    streamed,
)
from latentcore import (
    BayesianGaussianMixture,
    CategoricalMixture,
    GaussianMixture,
    Mixture,
    Online,
    PoissonMixture,
    load,
)
from latentcore.errors import NotFittedError, NumericalError
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import Gaussian, GaussianPrior
from latentcore.families.mixed import MixtureFamily
from latentcore.rules.steps import ConstantStep, InverseStep, PowerStep
from laws import cases as laws
from laws.user_family import example

# -- one step ------------------------------------------------------------------------------------


@cases
@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_step_of_infinite_size_is_an_iteration_of_em(case: Case) -> None:
    for prior in (None, "weak"):
        options = {"random_state": 0, "prior": prior}
        fitted = case.make(2, max_iter=1, **options).fit(case.x)
        model = case.make(2, online=math.inf, **options).partial_fit(case.x)
        if prior is not None:
            model = case.make(2, online=math.inf, **options)
            model.partial_fit(case.x, total_weight=len(case.x))
        assert_same(model, fitted, rtol=1e-9, atol=1e-12)
        assert model.lower_bound_ == pytest.approx(fitted.lower_bound_, rel=1e-12)


@pytest.mark.parametrize("type_", ["full", "tied", "diag", "spherical"])
def test_step_of_infinite_size_is_one_of_scikit_learn(type_: str) -> None:
    x = CASES[5].x
    start = {
        "weights_init": [0.3, 0.7],
        "means_init": [[0.0, 0.5], [2.0, 2.5]],
        "precisions_init": {
            "full": np.array([np.eye(2), 0.5 * np.eye(2)]), "tied": np.eye(2),
            "diag": np.ones((2, 2)), "spherical": np.array([1.0, 0.5]),
        }[type_],
    }  # fmt: skip
    options: dict[str, Any] = {"covariance_type": type_, "n_components": 2, **start}
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        theirs = sklearn.mixture.GaussianMixture(max_iter=1, **options).fit(x)
    ours = GaussianMixture(online=math.inf, **options).partial_fit(x)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=1e-9)


@cases
def test_step_of_size_zero_stays(case: Case) -> None:
    model = case.given().set_params(online=0.0)
    before = parameters(model)
    model.partial_fit(case.x[:30])
    for name, value in parameters(model).items():
        np.testing.assert_array_equal(value, before[name], name)
    assert model.n_samples_seen_ == 30


def test_attributes_tell_of_the_stream() -> None:
    model = stream(CASES[5])
    assert model.n_samples_seen_ == 400
    assert model.n_iter_ == 16
    assert len(model.lower_bounds_) == 16
    assert model.lower_bounds_[-1] == model.lower_bound_
    assert not model.converged_
    eta = PowerStep()(16)
    assert f"stream of 400 rows; 16 steps, the latest of size eta = {eta:.4g}" in model.summary()
    model.fit(CASES[5].x)
    assert "stream" not in model.summary()
    assert model.n_samples_seen_ == 400


# -- streams of all families ----------------------------------------------------------------------


STREAMED = [of for of in laws.FAMILIES if of.name != "negative-binomial-of-a-user"]
"""The other one is below; that of its rows that lie apart are impossible in double precision."""


@pytest.mark.parametrize("of", STREAMED, ids=[of.name for of in STREAMED])
def test_one_pass_comes_near_the_fit(of: Any) -> None:
    assert of.apart is not None
    apart = [of.apart(np.random.default_rng(seed)) for seed in range(8)]
    x = np.vstack([rows for _, rows in apart])
    start: dict[str, Any] = {"random_state": 0}
    if of.name == "exponential":  # scales 1e12 apart are no case for k-means
        start = {"weights_init": laws.WEIGHTS, "params_init": apart[0][0]}
    fitted = Mixture(of.family, 3, tol=1e-6, max_iter=1000, **start).fit(x)
    model = streamed(Mixture(of.family, 3, **start), x, 40)
    assert fitted.score(x) - model.score(x) < 0.01


@every_online
def test_every_way_comes_near_the_fit(online: Any) -> None:
    case = CASES[5]
    order = np.random.default_rng(0).permutation(np.tile(np.arange(400), 6))
    best = case.make(2, random_state=0, tol=1e-8, max_iter=1000).fit(case.x).score(case.x)
    model = streamed(case.make(2, random_state=0, online=online), case.x[order], 20)
    assert best - model.score(case.x) < 0.04


def test_family_without_model_statistics_draws_them() -> None:
    class Bare:
        """The user's family of the example without its own expectation."""

        def __init__(self) -> None:
            inner = example.NegativeBinomial(20.0)
            for name in ("log_likelihood", "expected_statistics", "maximize", "sample", "check"):
                setattr(self, name, getattr(inner, name))

    x = CASES[0].x
    full = streamed(Mixture(example.NegativeBinomial(20.0), 2, random_state=0), x)
    inertias: tuple[Any, ...] = ("model", "running")
    for inertia in inertias:
        family: Any = Bare()
        bare: Any = Mixture(family, 2, random_state=0, online=Online(inertia=inertia))
        assert abs(streamed(bare, x).score(x) - full.score(x)) < 0.05
    bare.set_params(online=Online(averaging=True))
    with pytest.raises(TypeError, match="averaging=False for a family without"):
        bare.partial_fit(x[:5])


# -- the first batch ------------------------------------------------------------------------------


@cases
def test_rows_wait_for_a_start_and_are_the_first_batch_then(case: Case) -> None:
    model = case.make(2, random_state=0)
    for batch in batches(case.x[:18], 6):
        model.partial_fit(batch)
    assert model.n_samples_seen_ == 18
    for use in (model.predict, model.score):
        with pytest.raises(NotFittedError, match="18 rows of 'partial_fit' wait"):
            use(case.x)
    with pytest.raises(ValueError, match=f"X has {case.x.shape[1] + 1} features"):
        model.partial_fit(np.ones((3, case.x.shape[1] + 1)))
    later = copy.deepcopy(model).partial_fit(case.x[18:60])
    once = case.make(2, random_state=0, online=PowerStep()(4))
    assert_same(later, once.partial_fit(case.x[:60]))
    assert later.n_iter_ == 4
    assert later.n_samples_seen_ == 60


@bayesian
def test_rows_wait_for_a_posterior(make: Any, x: Any) -> None:
    model = make().partial_fit(x[:7]).partial_fit(x[7:15])
    with pytest.raises(NotFittedError, match="15 rows of 'partial_fit' wait"):
        model.predict(x)
    model.partial_fit(x[15:50])
    assert model.n_samples_seen_ == 50
    once = make(delay=3.0).partial_fit(x[:50])
    np.testing.assert_array_equal(model.score_samples(x), once.score_samples(x))


def test_as_many_rows_wait_as_a_start_needs() -> None:
    def waits(model: Any, n: int, width: int) -> bool:
        x = np.random.default_rng(0).normal(size=(n, width))
        return "converged_" not in vars(model.partial_fit(x))

    floors: Any = (("full", 3 * 13), ("tied", 30), ("diag", 30), ("spherical", 30))
    for type_, least in floors:
        made = GaussianMixture(3, covariance_type=type_, random_state=0)
        assert waits(made, least - 1, 12)
        assert not waits(clone(made), least, 12)
    family = MixtureFamily(Gaussian("diag"), 2)
    assert waits(Mixture(family, 3, random_state=0), 59, 2)
    columns = IndependentColumns([(Gaussian("full", 1e-6), range(11)), (family, [11])])
    assert waits(Mixture(columns, 2, random_state=0), 39, 12)
    assert not waits(Mixture(columns, 2, random_state=0), 40, 12)


def test_given_start_or_prior_needs_no_rows() -> None:
    given = GaussianMixture(
        2, weights_init=[0.5, 0.5], means_init=[[0.0], [5.0]], precisions_init=[[[1.0]], [[1.0]]]
    )
    given.partial_fit([[0.1]])
    assert given.means_[1, 0] == pytest.approx(5, abs=0.1)
    prior = GaussianPrior([[0.0]], [0.1], [3.0], [[[1.0]]])
    for model in (given, GaussianMixture(2, prior=prior, random_state=0)):
        streamed(model, np.random.default_rng(0).normal(size=(60, 1)), 1)
        assert np.isfinite(model.score([[0.0]]))
        assert model.n_iter_ >= 60


def test_rows_wait_until_components_fit_whatever_the_mixture_of_forms() -> None:
    x = CASES[0].x
    parts = [
        scipy.sparse.csr_array(x[:7]), x[7:11].astype(np.float32), scipy.sparse.csr_array(x[11:40])
    ]  # fmt: skip
    model = PoissonMixture(2, random_state=0)
    for part in parts:
        model.partial_fit(part)
    whole = PoissonMixture(2, random_state=0, online=PowerStep()(3))
    assert_same(model, whole.partial_fit(x[:40]))
    weighted = PoissonMixture(2, random_state=0).partial_fit(x[:7], sample_weight=np.full(7, 2.0))
    labels = np.where(np.arange(33) % 2, 1, -1)
    weighted.partial_fit(x[7:40], labels=labels)
    same = clone(whole).set_params(online=PowerStep()(2))
    same.partial_fit(
        x[:40], sample_weight=np.r_[np.full(7, 2.0), np.ones(33)],
        labels=np.r_[np.full(7, -1), labels],
    )  # fmt: skip
    assert_same(weighted, same)


@cases
def test_batches_of_one_row_teach(case: Case) -> None:
    model = stream(case, 1)
    batch = case.make(2, random_state=0).fit(case.x)
    assert model.n_samples_seen_ == 400
    assert batch.score(case.x) - model.score(case.x) < 0.25


# -- odd batches ----------------------------------------------------------------------------------


@cases
@pytest.mark.parametrize("online", [None, Online(inertia="running"), math.inf])
def test_odd_batches_do_no_harm(case: Case, online: Any) -> None:
    model = stream(case, 100, online=online)
    one = case.x[:1]
    for batch in (
        one,
        np.repeat(one, 50, axis=0),
        case.x[case.make(2).fit(case.x).predict(case.x) == 0],
    ):
        if online == math.inf and len(batch) == 1:
            continue  # nothing is left of the other components' rows
        try:
            model.partial_fit(batch)
        except NumericalError:
            assert online == math.inf  # as a fit of such rows would
        assert all(np.isfinite(value).all() for value in parameters(model).values())
        assert np.isfinite(model.score_samples(case.x)).all() or online == math.inf


def test_component_without_rows_keeps_its_own() -> None:
    rng = np.random.default_rng(0)
    near, far = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 50
    for inertia in ("model", "running"):
        model = GaussianMixture(2, random_state=0, online=Online(0.2, inertia=inertia))
        model.partial_fit(np.vstack([near, far])).relabel(by=lambda m: m.means_[:, 0])
        means, covariances = model.means_[1].copy(), model.covariances_[1].copy()
        for _ in range(20):
            model.partial_fit(near)
        np.testing.assert_allclose(model.means_[1], means, rtol=1e-9)
        np.testing.assert_allclose(model.covariances_[1], covariances, rtol=1e-9)
        assert model.weights_[1] == pytest.approx(0.5 / 1.2**20, rel=1e-6)


@missing_cases
def test_missing_entries_in_batches(case: Case) -> None:
    x = np.array(case.x, np.float64)
    x[np.random.default_rng(5).uniform(size=x.shape) < 0.2] = np.nan
    x[0] = case.x[0]
    model = case.make(2, random_state=0)
    streamed(model, x, 50)
    batch = x[:40].copy()
    batch[:, 0] = np.nan
    model.partial_fit(batch)
    assert all(np.isfinite(value).all() for value in parameters(model).values())
    full = case.make(2, random_state=0).fit(x)
    assert full.score(x) - model.score(x) < 0.3


@sparse_cases
def test_sparse_batches_are_dense_ones(case: Case) -> None:
    sparse, dense = (case.make(2, random_state=0) for _ in range(2))
    for batch in batches(case.x, 50):
        sparse.partial_fit(scipy.sparse.csr_array(batch))
        dense.partial_fit(batch)
    assert_same(sparse, dense, rtol=1e-9)


def test_weights_of_rows() -> None:
    case = CASES[5]
    start, weight = stream(case, 200), np.tile([0.0, 2.0, 0.5, 1.0], 10)
    x = case.x[:40].copy()
    weighted = copy.deepcopy(start).partial_fit(x, sample_weight=weight)
    halves = np.repeat(x, (2 * weight).astype(int), axis=0)
    repeated = copy.deepcopy(start).partial_fit(halves, sample_weight=np.full(len(halves), 0.5))
    assert_same(weighted, repeated, rtol=1e-9)
    assert weighted.n_samples_seen_ == start.n_samples_seen_ + 30
    x[0] = 1e300  # of weight 0
    assert_same(copy.deepcopy(start).partial_fit(x, sample_weight=weight), weighted)


@cases
def test_known_labels_decide(case: Case) -> None:
    labels = (np.arange(400) % 5 >= 3).astype(int)
    model = case.make(2, random_state=0, online=math.inf)
    with pytest.raises(ValueError, match="label 1 never occurs"):
        model.partial_fit(case.x[:50], labels=np.zeros(50))
    model.partial_fit(case.x, labels=labels)
    assert_same(model, case.make(2, random_state=0).fit(case.x, labels=labels), rtol=1e-9)
    model.set_params(online=0.5).partial_fit(case.x[:50], labels=np.zeros(50))
    np.testing.assert_allclose(model.weights_, [(0.6 + 0.5) / 1.5, 0.4 / 1.5], rtol=1e-9)


def test_frames_keep_their_names() -> None:
    frame = pd.DataFrame(CASES[5].x, columns=["a", "b"])
    for made in (GaussianMixture(2, random_state=0), BayesianGaussianMixture(2, random_state=0)):
        model: Any = made.partial_fit(frame[:6]).partial_fit(frame[6:60])
        assert list(model.feature_names_in_) == ["a", "b"]
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            model.partial_fit(frame[60:90].to_numpy())
        assert list(model.feature_names_in_) == ["a", "b"]


def wrong_batches(x: Any) -> list[tuple[Any, dict[str, Any], str]]:
    n = len(x)
    return [
        (x[:0], {}, r"0 sample\(s\)"),
        (x[:, :1], {}, "X has 1 features, but"),
        (np.array(x, str), {}, "X: expected"),
        (x * 1j, {}, "X: Complex data"),
        (np.full_like(x, np.inf), {}, "X"),
        (pd.DataFrame(x, columns=[f"other{j}" for j in range(x.shape[1])]), {}, "feature names"),
        (x, {"sample_weight": np.zeros(n)}, "sample_weight: expected a positive weight"),
        (x, {"sample_weight": -np.ones(n)}, "sample_weight: expected finite weights >= 0"),
        (x, {"sample_weight": np.ones(n + 1)}, "sample_weight: expected shape"),
        (x, {"total_weight": 0.0}, "total_weight: expected"),
        (x, {"total_weight": math.nan}, "total_weight: expected"),
    ]


@cases
@pytest.mark.parametrize("n_begun", [6, 60])
def test_wrong_batch_is_refused_and_nothing_changes(case: Case, n_begun: int) -> None:
    columns = [f"c{j}" for j in range(case.x.shape[1])]
    model = case.make(2, random_state=0).partial_fit(
        pd.DataFrame(case.x[:n_begun], columns=columns)
    )
    labels = [
        (case.x[:30], {"labels": np.full(30, 2)}, "labels: expected integers from 0"),
        (case.x[:30], {"labels": np.zeros(29)}, "labels: expected shape"),
    ]
    for batch, options, message in wrong_batches(case.x[:30]) + labels:
        check_refused(model, batch, options, message)


@bayesian
@pytest.mark.parametrize("n_begun", [6, 60])
def test_wrong_batch_leaves_a_posterior(make: Any, x: Any, n_begun: int) -> None:
    columns = [f"c{j}" for j in range(x.shape[1])]
    model = make().partial_fit(pd.DataFrame(x[:n_begun], columns=columns))
    for batch, options, message in wrong_batches(x[:30]):
        check_refused(model, batch, options, message)


def test_values_outside_the_support_are_refused() -> None:
    for case, value in ((CASES[0], 0.5), (CASES[1], 2.0), (CASES[2], -1.0), (CASES[3], 9.0)):
        model = stream(case, 200)
        batch = case.x[:5].copy()
        batch[3, 1] = value
        check_refused(model, batch, {}, "in row 3, column 1")


def test_new_category_says_how_to_declare_it() -> None:
    codes = np.random.default_rng(0).integers(0, 2, (40, 2)).astype(float)
    found = CategoricalMixture(2, random_state=0).partial_fit(codes)
    check_refused(found, codes + 1, {}, "from 0 to 1, got 2.0 .* n_categories")
    declared = CategoricalMixture(2, n_categories=3, random_state=0)
    check_refused(declared.partial_fit(codes), codes + 1, {}, r"no batch had before \(a prior")
    with_prior = CategoricalMixture(2, n_categories=3, prior="weak", random_state=0)
    with_prior.partial_fit(codes).partial_fit(codes + 1)
    assert (with_prior.probabilities_ > 0).all()


def inverse(step: int) -> float:
    return 1.0 / step


@pytest.mark.parametrize(
    "step_size", [0.3, PowerStep(0.7, 2.0), InverseStep(2.0), ConstantStep(0.1), inverse, "auto"]
)
def test_a_step_size_alone_is_an_online_with_it(step_size: Any, tmp_path: Path) -> None:
    x = CASES[5].x
    alone, within = (
        GaussianMixture(2, random_state=0, online=online)
        for online in (step_size, Online(step_size))
    )
    for model in (alone, within):
        for batch in np.array_split(x, 4):
            model.partial_fit(batch)
    np.testing.assert_array_equal(alone.means_, within.means_)
    assert clone(alone).online == step_size
    if step_size is not inverse:
        alone.save(tmp_path / "m.npz")
        assert load(tmp_path / "m.npz").online == step_size


def test_wrong_options_are_refused() -> None:
    x = CASES[5].x
    for online, error, message in (
        (-1.0, ValueError, "step_size: expected a number >= 0"),
        (math.nan, ValueError, "step_size: expected a number >= 0"),
        (True, TypeError, "online: expected an Online"),
        ("fast", TypeError, "online: expected an Online"),
        (PowerStep, TypeError, "online: expected an Online, a step size"),
        (lambda step: -1.0, ValueError, "step_size: expected a number >= 0 at step 1"),
        (Online(lambda step: -1.0), ValueError, "step_size: expected a number >= 0 at step 1"),
        (Online(lambda step: math.nan), ValueError, "at step 1, got nan"),
        (Online(lambda step: None), ValueError, "at step 1, got None"),  # type: ignore[arg-type, return-value]
    ):
        model = GaussianMixture(2, random_state=0, online=online)  # type: ignore[arg-type]
        with pytest.raises(error, match=message):
            model.partial_fit(x)
        assert "converged_" not in vars(model)
    with pytest.raises(ValueError, match="step_size: expected a number >= 0"):
        GaussianMixture(2, online=-1.0).fit(x)
    arguments: Any = ({"step_size": "slow"}, {"step_size": None}, {"averaging": 1})
    for wrong in arguments:
        with pytest.raises(TypeError, match=next(iter(wrong))):
            Online(**wrong)
    model = stream(CASES[5]).set_params(n_components=3)
    check_refused(model, x, {}, "expected the n_components = 2 of the model so far, got 3")
    for change, message in (
        ({"n_components": 1}, "expected the n_components = 2 of the model so far, got 1"),
        ({"covariance_type": "diag"}, "covariance_type = 'full' of the model so far, got 'diag'"),
        ({"weight_concentration_prior_type": "dirichlet_distribution"}, "a StickBreaking, got"),
    ):
        posterior = BayesianGaussianMixture(2, random_state=0).partial_fit(x)
        check_refused(posterior.set_params(**change), x, {}, message)
