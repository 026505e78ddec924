"""Hidden Markov models of all families take what users hold, come back from files, and refuse what is wrong."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.base import clone

import latentcore
from estimators.drawn_rows import (
    COUNTS,
    LEVELS,
    RATES,
)
from estimators.hmm_cases import (
    BEGINS,
    CASES,
    CHAIN,
    LENGTHS,
    STARTPROB,
    TRANSMAT,
    Case,
    assert_same,
    cases,
    fitted,
    from_truth,
    quiet,
    sparse_cases,
)
from latentcore import (
    BernoulliHMM,
    CategoricalHMM,
    GaussianHMM,
    MultinomialHMM,
    PoissonHMM,
    storage,
)
from latentcore.engine import Progress
from latentcore.errors import ImpossibleSequenceError, NotFittedError, StorageError

# -- what users hold ---------------------------------------------------------------------------


@cases
def test_all_ways_to_hold_sequences_are_one(case: Case) -> None:
    expected = fitted(case, max_iter=300)
    names = [f"c{j}" for j in range(case.x.shape[1])]
    read_only = case.x.copy()
    read_only.flags.writeable = False
    groups = np.repeat(["b", "a", "c", "d"], LENGTHS)
    frame = pd.DataFrame(case.x, columns=names)
    ways: list[tuple[Any, dict[str, Any]]] = [
        (case.sequences, {}),
        (tuple(part.tolist() for part in case.sequences), {}),
        (read_only, {"groups": groups}),
        (case.x.tolist(), {"lengths": np.array(LENGTHS)}),
        (frame, {"groups": pd.Series(groups)}),
        (pl.DataFrame(case.x, schema=names), {"lengths": LENGTHS}),
        ([frame[a:b] for a, b in itertools.pairwise(BEGINS)], {}),
    ]
    for x, arguments in ways:
        model = case.make(2, random_state=0, max_iter=300).fit(x, **arguments)
        assert_same(model, expected)
        np.testing.assert_array_equal(
            model.predict(x, **arguments), expected.predict(case.sequences)
        )
    assert model.feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"c0": "other"}))


@cases
def test_single_precision_is_kept_and_close(case: Case) -> None:
    model = case.given()
    x = case.x.astype(np.float32)
    for method in ("predict_proba", "filter"):
        ours = getattr(model, method)(x, lengths=LENGTHS)
        assert ours.dtype == np.float32
        expected = getattr(model, method)(x.astype(np.float64), lengths=LENGTHS)
        np.testing.assert_allclose(ours, expected, atol=2e-4)
    assert model.loglik(x) == pytest.approx(model.loglik(x.astype(np.float64)), rel=1e-5)
    single = from_truth(case, max_iter=50, tol=1e-3).fit(x, lengths=LENGTHS)
    assert single.lower_bounds_[0] == pytest.approx(model.score(case.sequences), rel=1e-4)


@cases
def test_filters_take_rows_as_users_hold_them(case: Case) -> None:
    model, x = case.given(), case.x[:4]
    expected = model.filter_update(model.filter_start(), x)
    frame = pd.DataFrame(x)
    ways: list[Any] = [x.tolist(), frame, pl.DataFrame(x, schema=list("abcdefgh")[: x.shape[1]])]
    ways += [scipy.sparse.csr_array(x)] if case.sparse else []
    for rows in ways:
        state = model.filter_update(model.filter_start(), rows)
        np.testing.assert_array_equal(state.log_law, expected.log_law)
    state = model.filter_start()
    for row in (x[0].tolist(), frame.iloc[1], x[2:3], tuple(x[3])):
        state = model.filter_update(state, row)
    np.testing.assert_allclose(state.log_law, expected.log_law, rtol=1e-12, atol=1e-12)


@sparse_cases
def test_sparse_rows_give_the_fit_of_dense_ones(case: Case) -> None:
    sparse = scipy.sparse.csr_array(case.x)
    dense = from_truth(case).fit(case.x, lengths=LENGTHS)
    model = from_truth(case).fit(sparse, lengths=LENGTHS)
    assert_same(model, dense, rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(
        model.predict(sparse, lengths=LENGTHS), dense.predict(case.sequences)
    )


# -- files, copies, order ----------------------------------------------------------------------


@quiet
@cases
def test_model_comes_back_from_files_and_pickles(case: Case, tmp_path: Path) -> None:
    for model in (case.given(), fitted(case, max_iter=3), case.make(2, startprob_init=STARTPROB)):
        path = tmp_path / "model.npz"
        copies = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
        if case.name == "a user's own":
            with pytest.raises(TypeError, match="to save"):
                model.save(path)
        else:
            model.save(path)
            copies.append(latentcore.load(path))
        for twin in copies:
            assert type(twin) is type(model)
            assert repr(twin) == repr(model)
            if not hasattr(model, "startprob_"):
                assert not hasattr(twin, "startprob_")
                continue
            assert_same(twin, model)
            assert twin.summary() == model.summary()
            assert twin.lower_bounds_ == model.lower_bounds_
            np.testing.assert_array_equal(
                twin.predict_proba(case.sequences), model.predict_proba(case.sequences)
            )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("transmat_", np.ones((2, 2)), "transmat_: expected probabilities that sum to 1"),
        ("startprob_", np.array([1.5, -0.5]), "startprob_: expected probabilities >= 0"),
        ("transmat_", np.eye(3), r"transmat_: expected shape \(2, 2\)"),
        ("components_.rates", np.ones((3, 3)), "components_: expected rates of 2 components"),
        ("n_features_in_", 5, "n_features_in_: expected that of components_, got 5"),
    ],
)
def test_file_with_impossible_values_is_refused(
    name: str, value: Any, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.npz"
    PoissonHMM.from_params(*CHAIN, RATES).save(path)
    class_name, stored = storage.read(path)
    assert name in stored["learned"]
    stored["learned"][name] = value
    storage.write(path, class_name, stored)
    with pytest.raises(StorageError, match=message):
        latentcore.load(path)


@cases
def test_order_of_states_is_changed_in_all_that_was_learned(case: Case) -> None:
    model = case.given()
    twin = copy.deepcopy(model)
    assert twin.relabel([1, 0]) is twin
    np.testing.assert_array_equal(twin.predict(case.sequences), 1 - model.predict(case.sequences))
    np.testing.assert_allclose(
        twin.predict_proba(case.sequences)[:, ::-1], model.predict_proba(case.sequences), atol=1e-12
    )
    assert twin.score(case.sequences) == pytest.approx(model.score(case.sequences), rel=1e-12)
    twin.relabel(by=lambda m: m.startprob_)
    np.testing.assert_array_equal(twin.transmat_, TRANSMAT[::-1, ::-1])


@cases
def test_summary_tells_the_criteria_and_the_chain(case: Case) -> None:
    model = fitted(case, max_iter=300)
    text = model.summary()
    assert "S = 2" in text
    if case.name == "gaussian mixtures":
        assert text.startswith("Gaussian mixture hidden Markov model:")
    assert f"{model.loglik(case.sequences):.3f}" in text
    assert f"{model.transmat_[1, 0]:.4f}" in text
    if hasattr(model.family_, "n_parameters"):
        assert f"{model.aic(case.sequences):.3f}" in text
        assert f"{model.bic(case.sequences):.3f}" in text


@cases
def test_start_may_be_given(case: Case) -> None:
    truth = case.given()
    model = clone(truth).set_params(
        n_components=2, startprob_init=STARTPROB, transmat_init=TRANSMAT, max_iter=0
    )
    if case.name == "gaussian mixtures":
        model.set_params(weights_init=truth.weights_)
    if case.name.startswith("gaussian"):
        model.set_params(means_init=truth.means_, covariances_init=truth.covariances_)
    else:
        model.set_params(params_init=truth.components_)
    assert_same(model.fit(case.x), truth, rtol=1e-12)


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"params_init": {"rate": RATES}}, ValueError, r"expected the arrays \['rates'\], got"),
        ({"params_init": RATES}, TypeError, "expected PoissonParams or a mapping"),
        ({"params_init": {"rates": RATES[:1]}}, ValueError, "rates of 2 components on the first"),
        ({"params_init": {"rates": RATES[:, :2]}}, ValueError, "of 3 features, as X has, got 2"),
        ({"startprob_init": [0.5, 0.6]}, ValueError, "startprob_init: .* that sum to 1, got .*1.1"),
        ({"startprob_init": [1.5, -0.5]}, ValueError, "startprob_init: .* >= 0, got -0.5"),
        ({"startprob_init": [1.0]}, ValueError, r"startprob_init: expected shape \(2,\) for 2 st"),
        (
            {"transmat_init": [[1, 0], [0.5, 0.4]]},
            ValueError,
            "transmat_init: .* that sum to 1, got the sum 0.9 in row 1",
        ),
        (
            {"transmat_init": [[1, 0], [-1, 2]]},
            ValueError,
            "transmat_init: expected probabilities >= 0, got -1.0 in row 1",
        ),
        ({"transmat_init": np.eye(3)}, ValueError, r"transmat_init: expected shape \(2, 2\)"),
        ({"transmat_init": [[np.nan, 1], [0, 1]]}, ValueError, "transmat_init: expected finite"),
        ({"assignment": "firm"}, ValueError, "assignment: expected one of 'soft', 'hard'"),
        ({"algorithm": "map"}, ValueError, "algorithm: expected one of 'viterbi', 'posterior'"),
        ({"topology": "left"}, TypeError, "topology: expected a Topology or None, got 'left'"),
        ({"n_components": 0}, ValueError, "n_components: expected an integer >= 1"),
        ({"tol": -1}, ValueError, "tol: expected"),
        ({"init_params": "best"}, ValueError, "init_params: expected one of"),
        ({"warm_start": True, "n_components": 3}, ValueError, "warm_start: expected the n_comp"),
    ],
)
def test_bad_argument_is_named_and_nothing_changes(
    arguments: dict[str, Any], error: Any, message: str
) -> None:
    model = PoissonHMM(2, random_state=0, max_iter=300).fit(COUNTS).set_params(**arguments)
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(COUNTS)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lengths": [100, 200]}, "lengths: expected a sum of 400, the rows of X, got 300"),
        ({"lengths": [400, 0]}, "lengths: expected integers >= 1, got 0 for sequence 1"),
        ({"lengths": [[400]]}, "lengths: expected shape"),
        ({"groups": np.arange(400) % 2}, "groups: expected the rows of a sequence one after an"),
        ({"lengths": [400], "groups": np.zeros(400)}, "expected one of them, got both"),
        ({"sample_weight": [1, 2, 3]}, "sample_weight: expected shape"),
        ({"sample_weight": [0.0]}, "sample_weight: expected a positive weight"),
        ({"labels": np.zeros(400)}, "labels: expected every label .* label 1 never occurs"),
        ({"labels": np.full(400, 2)}, "labels: expected integers from 0 to n_components - 1 = 1"),
    ],
)
def test_bad_sequences_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PoissonHMM(2).fit(COUNTS, **arguments)
    if "labels" not in arguments and "sample_weight" not in arguments:
        with pytest.raises(ValueError, match=message):
            PoissonHMM.from_params(*CHAIN, RATES).predict(COUNTS, **arguments)


OUTSIDE = {"poisson": -1.0, "bernoulli": 2.0, "categorical": 7.0, "multinomial": 0.5, "gamma": 0.0}


@pytest.mark.parametrize(
    ("case", "value"),
    [(case, OUTSIDE[case.name]) for case in CASES if case.name in OUTSIDE],
    ids=str,
)
def test_value_outside_the_support_is_named(case: Case, value: float) -> None:
    x = case.x.copy()
    x[47, 1] = value
    if case.name != "categorical":  # where a new code is found
        with pytest.raises(ValueError, match=rf"got {value} in row 47, column 1"):
            case.make(2).fit(x, lengths=LENGTHS)
    for method in ("predict", "score", "filter"):
        with pytest.raises(ValueError, match=rf"got {value:g}.* in row 47, column 1"):
            getattr(case.given(), method)(x, lengths=LENGTHS)
    x[47] = case.x[47]
    x[47, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinity.* row 47, column 1"):
        case.make(2).fit(x)


@cases
def test_other_columns_and_models_without_parameters_are_refused(case: Case) -> None:
    wider = np.hstack([case.x, case.x])
    for call in (case.given().predict, from_truth(case).fit, case.given().score):
        with pytest.raises(ValueError, match=r"X has \d features, but .* is expecting"):
            call(wider)
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        case.make(2).predict(case.x)
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        case.make(2).sample()


def test_exception_of_a_callback_leaves_nothing() -> None:
    def stop(progress: Progress) -> None:
        if progress.iteration == 2:
            raise KeyboardInterrupt

    model = PoissonHMM(2, random_state=0)
    before = set(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(COUNTS, callback=stop)
    assert set(vars(model)) == before


def test_impossible_sequence_is_named_and_has_no_likelihood() -> None:
    rates = [[0.0], [0.0]]
    x = [np.zeros((3, 1)), np.array([[0.0], [4.0]]), np.zeros((2, 1))]
    model = PoissonHMM.from_params([0.5, 0.5], TRANSMAT, rates)
    np.testing.assert_allclose(model.loglik_by_sequence(x), [0, -np.inf, 0], atol=1e-14)
    assert model.loglik(x) == -np.inf
    laws = model.predict_proba(x)
    assert np.isnan(laws[3:5]).all()
    assert np.isfinite(np.delete(laws, [3, 4], axis=0)).all()
    assert np.isfinite(model.filter(x)[3]).all()
    assert np.isnan(model.filter(x)[4]).all()
    start = {"params_init": {"rates": rates}, "startprob_init": [0.5, 0.5]}
    for weight, number in ((None, 1), ([1, 2, 1], 1), ([0, 1, 1], 1)):
        with pytest.raises(ImpossibleSequenceError, match=f"sequence {number}, step 1"):
            PoissonHMM(2, **start).fit(x, sample_weight=weight)  # type: ignore[arg-type]
    assert PoissonHMM(2, **start).fit(x, sample_weight=[1, 0, 1]).converged_  # type: ignore[arg-type]
    with pytest.raises(ImpossibleSequenceError, match="sequence 1"):
        model.sample_posterior_paths(x)
    with pytest.raises(ValueError, match="X: expected a possible sequence"):
        model.forecast(2, x[1])
    with pytest.raises(ImpossibleSequenceError, match="sequence 0, step 1"):
        model.filter_update(model.filter_update(model.filter_start(), [0.0]), [4.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PoissonHMM.from_params([1.0], [[1.0]], [[-1.0]]), "rates: expected numbers >= 0"),
        (lambda: PoissonHMM.from_params([1.0], [[1.0]], [1.0]), "rates: expected shape"),
        (lambda: PoissonHMM.from_params(*CHAIN, [[1.0]]), "components: expected rates of 2"),
        (lambda: PoissonHMM.from_params([0.5, 0.4], TRANSMAT, RATES), "startprob: .* sum to 1"),
        (lambda: PoissonHMM.from_params(STARTPROB, np.ones((2, 2)), RATES), "transmat: .* row 0"),
        (lambda: BernoulliHMM.from_params(*CHAIN, [[1.5], [0.0]]), "expected numbers from 0 to 1"),
        (lambda: MultinomialHMM.from_params([1], [[1]], [[0.5, 0.6]]), "that sum to 1, got .* 1.1"),
        (
            lambda: CategoricalHMM.from_params([1], [[1]], [[0.5, 0.5, 1]], n_categories=[2]),
            "emissionprob: expected sum of n_categories = 2 columns",
        ),
        (
            lambda: GaussianHMM.from_params(*CHAIN, [[0.0], [1.0]], [[[1.0]], [[-1.0]]]),
            "should be symmetric, positive-definite",
        ),
    ],
)
def test_impossible_parameters_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.forecast(0), ValueError, "steps: expected an integer >= 1"),
        (lambda m: m.forecast(2, quantiles=[1.5]), ValueError, "quantiles: expected numbers from"),
        (lambda m: m.forecast(2, [COUNTS, COUNTS]), ValueError, "X: expected one sequence, got 2"),
        (lambda m: m.sample(0), ValueError, "n_samples: expected an integer >= 1"),
        (lambda m: m.sample([]), ValueError, "n_samples: expected at least one"),
        (lambda m: m.sample(2, state=2), ValueError, "state: expected a state below 2, got 2"),
        (lambda m: m.filter_update(1.0, [1, 2, 3]), TypeError, "state: expected a FilterState"),
        (lambda m: m.filter_update(m.filter_start(), [1.0]), ValueError, "X has 1 features"),
        (lambda m: m.sample_posterior_paths(COUNTS, 0), ValueError, "n: expected an integer >= 1"),
        (lambda m: m.relabel([0, 0]), ValueError, "by: expected the states 0 to 1"),
        (lambda m: m.decode(COUNTS, algorithm="best"), ValueError, "algorithm: expected one of"),
    ],
)
def test_impossible_questions_are_refused(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(PoissonHMM.from_params(*CHAIN, RATES))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("transmat_", np.ones((2, 2)), "transmat_: .* sum to 1, got the sum 2 in row 0"),
        ("transmat_", [[-1.0, 2.0], [0.0, 1.0]], "transmat_: .* >= 0, got -1.0 in row 0"),
        ("transmat_", np.eye(3), r"transmat_: expected shape \(2, 2\)"),
        ("startprob_", [np.nan, 1.0], "startprob_: expected finite numbers"),
    ],
)
def test_attributes_that_were_set_to_no_laws_are_refused(
    name: str, value: Any, message: str
) -> None:
    model = PoissonHMM.from_params(*CHAIN, RATES)
    setattr(model, name, value)
    for call in (model.score, model.predict, model.filter, model.predict_proba):
        with pytest.raises(ValueError, match=message):
            call(COUNTS)
    model.startprob_, model.transmat_ = STARTPROB.astype(np.float32), TRANSMAT.tolist()
    expected = PoissonHMM.from_params(*CHAIN, RATES).score(COUNTS)
    assert model.score(COUNTS) == pytest.approx(expected, rel=1e-6)


def test_nothing_is_imputed_in_an_impossible_sequence() -> None:
    model = CategoricalHMM.from_params([1, 0], [[0, 1], [0, 1]], [[1.0, 0.0, 0.0], [0.0, 0.4, 0.6]])
    possible, impossible = np.array([[0], [np.nan]]), np.array([[0], [0], [np.nan]])
    np.testing.assert_array_equal(model.impute([possible, impossible]).T, [[0, 2, 0, 0, np.nan]])


def test_code_that_would_need_too_many_levels_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"codes that count from 0, .* got 1000000000000.0 in row 1"
    ):
        CategoricalHMM(2).fit([[0.0], [1e12], [1.0]])


def test_code_that_was_never_seen_is_refused() -> None:
    case = CASES[2]
    model = CategoricalHMM(2, random_state=0).fit(case.x)
    assert model.n_categories_ == LEVELS
    with pytest.raises(ValueError, match="expected whole codes from 0 to 1, got 2"):
        model.predict([[2, 0]])
    wider = CategoricalHMM(2, n_categories=(4, 3), random_state=0, prior="weak").fit(case.x)
    assert wider.n_categories_ == (4, 3)
    assert np.isfinite(wider.loglik([[3, 0]]))
    one = CategoricalHMM.from_params(*CHAIN, [[0.5, 0.5], [0.1, 0.9]])
    assert one.n_categories_ == (2,)
    np.testing.assert_array_equal(one.emissionprob_, [[0.5, 0.5], [0.1, 0.9]])
