"""What the classes of ``latentcore.compat.hmmlearn`` do by themselves, and where hmmlearn gives NaN."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from latentcore.compat import hmmlearn as hmm
from latentcore.errors import ImpossibleSequenceError, NotFittedError

X = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [4, 5]], 30, axis=0)
SYMBOLS = np.random.default_rng(1).integers(3, size=(50, 1))


def set_up(type_: str = "diag", **arguments: Any) -> Any:
    model: Any = hmm.GaussianHMM(2, type_, init_params="", **arguments)
    model.startprob_ = [0.5, 0.5]
    model.transmat_ = [[0.9, 0.1], [0.2, 0.8]]
    model.means_ = [[0, 0], [4, 5]]
    model.covars_ = {
        "full": [np.eye(2), 2 * np.eye(2)], "tied": np.eye(2), "diag": np.ones((2, 2)),
        "spherical": [1, 2],
    }[type_]  # fmt: skip
    return model


@pytest.mark.parametrize("type_", ["full", "tied", "diag", "spherical"])
def test_covariances_are_matrices_before_and_after_a_fit(type_: str) -> None:
    model = set_up(type_)
    assert model.covars_.shape == (2, 2, 2)
    model.fit(X)
    assert model.covars_.shape == (2, 2, 2)
    assert (np.linalg.eigvalsh(model.covars_) > 0).all()
    if type_ != "tied":
        own = model.covars_ if type_ == "full" else model.covars_.diagonal(axis1=1, axis2=2)
        again = hmm.GaussianHMM(2, type_)
        again.means_, again.covars_ = model.means_, own if type_ != "spherical" else own[:, 0]
        np.testing.assert_array_equal(again.covars_, model.covars_)


@pytest.mark.parametrize(
    ("type_", "covars", "message"),
    [
        ("full", np.ones((2, 2)), r"covars_: expected \(n_components, D, D\)"),
        ("full", [np.eye(2), -np.eye(2)], "covars_: expected positive-definite"),
        ("full", [np.eye(2), [[1, 0.5], [0, 1]]], "covars_: expected symmetric"),
        ("tied", np.ones((2, 3)), r"covars_: expected \(D, D\)"),
        ("diag", np.ones(2), "covars_: expected .* variances for 'diag'"),
        ("diag", np.zeros((2, 2)), "covars_: expected variances > 0, got 0"),
        ("spherical", np.ones((2, 2)), "covars_: expected .* variances for 'spherical'"),
        ("round", np.ones(2), "covariance_type: expected 'full'"),
    ],
)
def test_wrong_covariances_are_named(type_: str, covars: Any, message: str) -> None:
    model = hmm.GaussianHMM(2, type_)
    with pytest.raises(ValueError, match=message):
        model.covars_ = covars


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("startprob_", [0.5, 0.6], "startprob_: expected numbers >= 0 that sum to 1"),
        ("startprob_", [1.5, -0.5], "startprob_: expected numbers >= 0"),
        ("transmat_", np.eye(3), r"transmat_: expected shape \(2, 2\), got \(3, 3\)"),
        ("means_", np.zeros((3, 2)), "means_: expected shape"),
    ],
)
def test_wrong_parameters_are_named(name: str, value: Any, message: str) -> None:
    model = set_up()
    setattr(model, name, value)
    for call in (model.fit, model.score, model.decode, lambda x: model.sample(3)):
        with pytest.raises(ValueError, match=message):
            call(X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, [30, 20]), "lengths: expected a sum of 60"),
        ((X, [60, 0]), "lengths: expected integers >= 1"),
        ((X[:, :1],), "X: expected 2 columns, got 1"),
        ((X[:, 0],), "X: "),
    ],
)
def test_wrong_data_are_named(arguments: Any, message: str) -> None:
    model = set_up().fit(X)
    for call in (model.score, model.predict, model.score_samples):
        with pytest.raises(ValueError, match=message):
            call(*arguments)


def test_unfitted_models_and_unknown_algorithms_are_named() -> None:
    for name, arguments in (("score", (X,)), ("sample", ()), ("decode", (X,))):
        with pytest.raises(NotFittedError):
            getattr(hmm.GaussianHMM(2), name)(*arguments)
    with pytest.raises(ValueError, match="algorithm: expected 'viterbi' or 'map', got 'best'"):
        set_up().decode(X, algorithm="best")
    with pytest.raises(ValueError, match="symbols below n_features = 2"):
        hmm.CategoricalHMM(2, n_features=2).fit(SYMBOLS)
    with pytest.raises(TypeError, match="save: expected an estimator of latentcore"):
        set_up().save("model.npz")


def test_an_impossible_sequence_is_named_by_fit_and_has_score_minus_infinity() -> None:
    model: Any = hmm.CategoricalHMM(2, init_params="", n_features=3)
    model.startprob_, model.transmat_ = [0.5, 0.5], np.full((2, 2), 0.5)
    model.emissionprob_ = [[0.5, 0.5, 0.0], [0.2, 0.8, 0.0]]
    data = np.array([[0], [1], [1], [0], [2]])
    assert model.score(data, [2, 3]) == -np.inf
    with pytest.raises(ImpossibleSequenceError) as error:
        model.fit(data, [2, 3])
    assert (error.value.sequence, error.value.step) == (1, 2)


@pytest.mark.parametrize("type_", ["full", "tied", "diag", "spherical"])
def test_a_state_without_weight_keeps_its_parameters(type_: str) -> None:
    model = set_up(type_, n_iter=3, covars_prior=0.0)
    model.startprob_, model.transmat_ = [1.0, 0.0], [[1.0, 0.0], [0.5, 0.5]]
    model.fit(X)
    np.testing.assert_array_equal(model.means_[1], [4, 5])
    np.testing.assert_array_equal(model.transmat_[1], [0.5, 0.5])
    np.testing.assert_allclose(model.means_[0], X.mean(axis=0))
    assert np.isfinite(model.covars_).all()
    assert np.isfinite(model.score(X))


class Marginals(hmm.BaseHMM):
    """Densities of what was observed, by SciPy."""

    means: Any
    covariances: Any

    def _compute_log_likelihood(self, X: Any) -> Any:
        seen = ~np.isnan(X)
        return [
            [
                multivariate_normal(mean[on], covariance[np.ix_(on, on)]).logpdf(x[on])
                if on.any() else 0.0
                for mean, covariance in zip(self.means, self.covariances, strict=True)
            ]
            for x, on in zip(X, seen, strict=True)
        ]  # fmt: skip

    def _takes_missing(self) -> bool:
        return True


def test_missing_entries_are_marginalised() -> None:
    holes = X.copy()
    holes[5, 0], holes[7], holes[40, 1] = np.nan, np.nan, np.nan
    model = set_up("full", n_iter=20, tol=1e-9, covars_prior=0.0).fit(holes)
    assert (np.diff(model.monitor_.history) > -1e-9).all()
    truth: Any = Marginals(2)
    truth.startprob_, truth.transmat_ = model.startprob_, model.transmat_
    truth.means, truth.covariances = model.means_, model.covars_
    assert model.score(holes) == pytest.approx(truth.score(holes), rel=1e-12)
    np.testing.assert_allclose(model.predict_proba(holes), truth.predict_proba(holes), atol=1e-12)
    with pytest.raises(ValueError, match="NaN"):
        hmm.CategoricalHMM(2).fit(np.full((3, 1), np.nan))


def test_covariances_alone_are_taken_about_the_means_that_are_kept() -> None:
    model: Any = hmm.GaussianHMM(1, "full", params="c", init_params="", n_iter=1, covars_prior=0.0)
    model.startprob_, model.transmat_ = [1.0], [[1.0]]
    model.means_, model.covars_ = [[1.0, -1.0]], [np.eye(2)]
    model.fit(X)
    deviations = X - [1.0, -1.0]
    np.testing.assert_allclose(model.covars_[0], deviations.T @ deviations / len(X))


class Threshold(hmm.ConvergenceMonitor):
    @property
    def converged(self) -> bool:
        return self.iter == 4


def test_a_monitor_of_ones_own_says_when_to_stop(capsys: pytest.CaptureFixture[str]) -> None:
    model = set_up(n_iter=50, tol=0.0)
    model.monitor_ = Threshold(0.0, 50, True)
    model.fit(X)
    assert len(model.monitor_.history) == 4
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4"]
    assert float(lines[3].split()[1]) == pytest.approx(model.monitor_.history[3], abs=1e-8)


def test_a_falling_objective_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    monitor = hmm.ConvergenceMonitor(1e-2, 10, False)
    with caplog.at_level(logging.WARNING):
        monitor.report(-1.0)
        monitor.report(-2.0)
    assert "the objective fell" in caplog.text


def test_they_are_estimators() -> None:
    model = make_pipeline(StandardScaler(), hmm.GaussianHMM(2, random_state=0)).fit(X)
    assert np.isfinite(model.score(X))
    assert clone(model[-1]).get_params() == model[-1].get_params()
    again = pickle.loads(pickle.dumps(model[-1]))
    np.testing.assert_array_equal(again.predict(X), model[-1].predict(X))
    assert repr(hmm.PoissonHMM(3, tol=0.5)) == "PoissonHMM(n_components=3, tol=0.5)"


class Signs(hmm.BaseHMM):
    """Two states that say + or - wrongly in one of five."""

    def _compute_log_likelihood(self, X: Any) -> Any:
        return np.log(np.where((X > 0) == [True, False], 0.8, 0.2))


def test_a_density_of_ones_own_learns_the_chain() -> None:
    rows = np.sign(np.sin(np.arange(200) / 5))[:, None]
    own = Signs(2, init_params="", n_iter=30, tol=1e-8)
    symbols: Any = hmm.CategoricalHMM(2, params="st", init_params="", n_iter=30, tol=1e-8)
    symbols.emissionprob_ = [[0.2, 0.8], [0.8, 0.2]]
    for model in (own, symbols):
        model.startprob_, model.transmat_ = [0.5, 0.5], [[0.6, 0.4], [0.3, 0.7]]
    own.fit(rows)
    symbols.fit((rows > 0).astype(int))
    np.testing.assert_allclose(own.transmat_, symbols.transmat_)
    assert own.score(rows) == pytest.approx(symbols.score((rows > 0).astype(int)))
    np.testing.assert_array_equal(own.predict(rows), rows[:, 0] < 0)
