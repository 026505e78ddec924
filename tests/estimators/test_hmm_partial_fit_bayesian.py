"""Bayesian hidden Markov models that learn from a stream, against coordinate ascent and against themselves."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentcore
from latentcore import BayesianHMM, VariationalCategoricalHMM, VariationalGaussianHMM
from latentcore.errors import CollapsedComponentError, NotFittedError
from latentcore.structures.hmm import HMM
from laws.cases import N_COMPONENTS, Array, Case, assert_identical, assert_near, cases

LENGTHS = [50, 1, 69, 40]
ROWS = slice(0, 160)

conjugate = cases(lambda of: of.log_evidence)
quiet = pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning")


def model_of(case: Case, **arguments: Any) -> BayesianHMM[Any]:
    assert case.of.prior is not None
    return BayesianHMM(
        case.of.family, N_COMPONENTS, prior=case.of.prior(2.0), random_state=0, **arguments
    )


@quiet
@conjugate
def test_step_of_size_one_on_all_sequences_is_an_iteration_of_cavi(case: Case) -> None:
    x, weight = case.rows.x[ROWS], np.array([1.0, 0.0, 2.0, 0.5])
    given: dict[str, Any] = {
        "lengths": LENGTHS,
        "sample_weight": weight,
        "labels": np.full(160, -1),
    }
    given["labels"][5:9] = 1
    first = model_of(case, max_iter=1).fit(x, **given)
    begun = model_of(case).partial_fit(x, **given)
    assert_near(begun.posterior_, first.posterior_, 1e-12)
    fitted = model_of(case, max_iter=3, forgetting=0.0).fit(x, **given)
    before = fitted.lower_bound_
    stream = copy.deepcopy(fitted).partial_fit(x, **given, total_weight=weight.sum())
    fitted.set_params(warm_start=True, max_iter=1).fit(x, **given)
    assert_near(stream.posterior_, fitted.posterior_, 1e-12)
    assert stream.lower_bound_ == pytest.approx(before, rel=1e-11)
    terms = stream.elbo_terms_
    divergences = terms["divergence_of_chain"] + terms["divergence_of_emissions"].sum()
    assert terms["log_normaliser"] - divergences == pytest.approx(before, rel=1e-11)


@quiet
@conjugate
def test_batch_stands_for_all_in_natural_coordinates(case: Case) -> None:
    """The target is the posterior of the batch's sequences, each counted total / batch times."""
    x = case.rows.x[ROWS]
    model = model_of(case, max_iter=2, delay=2.0, forgetting=0.8).fit(x, lengths=LENGTHS)
    target = copy.deepcopy(model).set_params(warm_start=True, max_iter=1)
    target.fit(x[:51], lengths=[50, 1], sample_weight=[5.0, 5.0])
    old, rate = model.posterior_, (2 + 2.0) ** -0.8
    model.partial_fit(x[:51], lengths=[50, 1], total_weight=10)
    expected = HMM(case.of.family).blend(old, target.posterior_, rate)
    assert_near(model.posterior_, expected, 1e-11)
    np.testing.assert_allclose(
        model.transmat_posterior_,
        (1 - rate) * old.transition + rate * target.transmat_posterior_, rtol=1e-11,
    )  # fmt: skip
    assert model.n_iter_ == 3
    assert model.n_samples_seen_ == 211


def drawn(n: int) -> Array:
    truth = latentcore.GaussianHMM.from_params(
        [0.5, 0.3, 0.2], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]],
        [[0.0, 0.0], [4.0, 0.0], [0.0, 5.0]], np.ones((3, 2)), covariance_type="diag",
        random_state=np.random.default_rng(7),
    )  # fmt: skip
    return truth.sample([50] * n)[0]


@quiet
def test_stream_comes_near_the_fit_to_all_sequences() -> None:
    x, lengths = drawn(80), [50] * 80
    fit = VariationalGaussianHMM(3, random_state=0).fit(x, lengths=lengths)
    stream = VariationalGaussianHMM(3, random_state=0)
    for rows in np.split(x, 40):
        stream.partial_fit(rows, lengths=[50, 50], total_weight=80)
    for model in (fit, stream):
        model.relabel(by=lambda m: m.means_ @ [1.0, 2.0])
    lost = fit.score(x, lengths=lengths) - stream.score(x, lengths=lengths)
    assert abs(lost) < 5e-3
    np.testing.assert_allclose(stream.expected_counts_, fit.expected_counts_, rtol=0.1)
    np.testing.assert_allclose(stream.transmat_, fit.transmat_, atol=0.04)


def advanced(model: Any, x: Array, first: int, stop: int) -> Any:
    for n, rows in enumerate(np.split(x, 20)):
        if first <= n < stop:
            model.partial_fit(rows, lengths=[15, 5])
    return model


@pytest.mark.parametrize("stop", [2, 7], ids=["waiting", "amid"])
@pytest.mark.parametrize("kind", ["gaussian", "categorical"])
def test_stream_goes_on_from_copies_bit_for_bit(kind: str, stop: int, tmp_path: Path) -> None:
    x = drawn(8)
    model: Any = VariationalGaussianHMM(5, random_state=0)
    if kind == "categorical":
        x = (x > 2).astype(float)
        model = VariationalCategoricalHMM(5, random_state=0)
    if stop == 2:
        advanced(model, x, 0, stop)
        with pytest.raises(NotFittedError, match="40 rows of 'partial_fit' wait"):
            model.predict(x)
    else:
        advanced(model, x, 0, stop)
        assert "learned from a stream of 140 rows; 7 steps" in model.summary()
    model.save(tmp_path / "model.npz")
    others = [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        latentcore.load(tmp_path / "model.npz"),
    ]
    advanced(model, x, stop, 20)
    assert model.n_iter_ == 20
    for other in others:
        advanced(other, x, stop, 20)
        assert_identical(other.posterior_, model.posterior_)
        assert other.lower_bounds_ == model.lower_bounds_
        assert (other.n_iter_, other.n_samples_seen_) == (20, 400)


def test_states_may_be_relabelled_amid_a_stream() -> None:
    x = drawn(8)
    model = advanced(VariationalGaussianHMM(4, random_state=0), x, 0, 5)
    order = np.array([2, 0, 3, 1])
    other = copy.deepcopy(model).relabel(order)
    advanced(model, x, 5, 20)
    advanced(other, x, 5, 20).relabel(np.argsort(order))
    assert_near(other.posterior_, model.posterior_, 1e-8)


def test_steps_without_an_observation_are_part_of_a_batch() -> None:
    x = drawn(4)
    whole = VariationalGaussianHMM(3, random_state=0)
    for n in range(4):
        rows = x[50 * n : 50 * (n + 1)].copy()
        rows[3:6] = np.nan
        whole.partial_fit(rows)
    assert whole.n_samples_seen_ == 200
    assert np.isfinite(whole.lower_bound_)
    rows[9, 1] = np.nan
    before = dict(whole.__dict__)
    with pytest.raises(ValueError, match="row 9"):
        whole.partial_fit(rows)
    assert before == whole.__dict__


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "width": ({"X": np.zeros((5, 3))}, "X has 3 features"),
    "total": ({"lengths": [2, 18], "total_weight": 1}, "total_weight: .* 2 sequences"),
    "zero": ({"total_weight": 0}, "total_weight: expected a number > 0"),
    "labels": ({"labels": np.full(20, 7)}, "labels: expected"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_batch_is_refused_and_leaves_the_stream_as_it_was(name: str) -> None:
    bad, message = BAD[name]
    x = drawn(2)
    model = VariationalGaussianHMM(3, random_state=0).partial_fit(x)
    before = dict(model.__dict__)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(**{"X": x[:20], **bad})
    assert model.__dict__.keys() == before.keys()
    assert all(model.__dict__[key] is value for key, value in before.items())


@pytest.mark.parametrize("change", [{"n_components": 2}, {"covariance_type": "diag"}])
def test_another_model_than_that_so_far_is_refused(change: dict[str, Any]) -> None:
    x = drawn(2)
    model = VariationalGaussianHMM(3, random_state=0).partial_fit(x).set_params(**change)
    with pytest.raises(ValueError, match=f"expected the {next(iter(change))} = .* so far, got"):
        model.partial_fit(x)


def test_step_to_a_posterior_that_predicts_nothing_is_refused() -> None:
    """Rows along a line, so far apart that what lies beside it is lost in rounding."""
    x = drawn(1)
    model = VariationalGaussianHMM(1, random_state=0, forgetting=0.6).partial_fit(x)
    before = dict(model.__dict__)
    with pytest.raises(CollapsedComponentError):
        model.partial_fit(x + 1e12)
    assert model.__dict__.keys() == before.keys()
    assert all(model.__dict__[key] is value for key, value in before.items())
    assert np.isfinite(model.score(x))


def test_steps_are_checked() -> None:
    for arguments, message in (({"delay": -1}, "delay"), ({"forgetting": 0.3}, "forgetting")):
        with pytest.raises(ValueError, match=f"{message}: expected"):
            VariationalGaussianHMM(2, **arguments).fit(drawn(2))
