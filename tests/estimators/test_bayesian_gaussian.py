"""BayesianGaussianMixture: scikit-learn's fits, a bound that is one, batches, fewer components, files, bad input."""

from __future__ import annotations

import itertools
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from sklearn.datasets import load_iris
from sklearn.mixture import BayesianGaussianMixture as Theirs

import latentcore
from latentcore import BayesianGaussianMixture
from latentcore.engine import Progress
from latentcore.errors import ConvergenceWarning, NotFittedError, StorageError
from latentcore.estimators.bayesian_weights import weight_prior
from reference import normal_wishart

IRIS = load_iris().data
COVARIANCES = ["full", "tied", "diag", "spherical", "tied_spherical"]
PRIOR_TYPES: list[Any] = ["dirichlet_process", "dirichlet_distribution"]
LEARNED = ["weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"]
LEARNED += ["mean_precision_", "degrees_of_freedom_"]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
every_type = pytest.mark.parametrize("covariance_type", COVARIANCES)
every_prior_type = pytest.mark.parametrize("prior_type", PRIOR_TYPES)


def blobs(n: int = 60, n_features: int = 2, seed: int = 0) -> Any:
    """Three clusters, far apart."""
    rng = np.random.default_rng(seed)
    centers = np.array([[0, 0, 0], [9, 1, 4], [2, 12, -8]])[:, :n_features]
    return np.concatenate(
        [rng.normal(c, [1.0, 0.6, 2.0][:n_features], (n, n_features)) for c in centers]
    )


X = blobs()


def fitted(n_components: int = 4, x: Any = X, **arguments: Any) -> BayesianGaussianMixture:
    defaults = {"random_state": 0, "tol": 1e-9, "max_iter": 3000}
    return BayesianGaussianMixture(n_components, **{**defaults, **arguments}).fit(x)


def theirs(n_components: int = 4, x: Any = X, **arguments: Any) -> Any:
    defaults = {"random_state": 0, "tol": 1e-9, "max_iter": 3000, "reg_covar": 0.0}
    return Theirs(n_components=n_components, **{**defaults, **arguments}).fit(x)


def assert_same_fits(ours: Any, other: Any, x: Any, atol: float) -> None:
    for name in LEARNED:
        np.testing.assert_allclose(
            getattr(ours, name), getattr(other, name), atol=atol, rtol=atol, err_msg=name
        )
        assert np.shape(getattr(ours, name)) == np.shape(getattr(other, name))
    np.testing.assert_allclose(ours.predict_proba(x), other.predict_proba(x), atol=atol)
    np.testing.assert_array_equal(ours.predict(x), other.predict(x))


# -- scikit-learn --------------------------------------------------------------------------------


@every_prior_type
@pytest.mark.parametrize(
    ("covariance_type", "n_features"), [("full", 4), ("tied", 4), ("diag", 1), ("spherical", 1)]
)
def test_iterates_are_those_of_scikit_learn_where_the_models_are_the_same(
    covariance_type: Any, n_features: int, prior_type: Any
) -> None:
    x = np.ascontiguousarray(IRIS[:, -n_features:])
    arguments = {
        "covariance_type": covariance_type,
        "weight_concentration_prior_type": prior_type,
        "weight_concentration_prior": 3.0,
        "max_iter": 60,
        "tol": 0.0,
    }
    ours, other = fitted(x=x, **arguments), theirs(x=x, **arguments)
    assert_same_fits(ours, other, x, 1e-8)
    np.testing.assert_allclose(ours.weight_concentration_, other.weight_concentration_, rtol=1e-8)
    shift = ours.score_samples(x) - other.score_samples(x)
    np.testing.assert_allclose(shift, shift.mean() if covariance_type == "tied" else 0, atol=1e-8)


def test_example_of_concentration_priors_comes_out_as_in_scikit_learn() -> None:
    """The data and arguments of ``plot_concentration_prior.py``, in which a large concentration keeps components."""
    rng = np.random.RandomState(2)
    variances = np.array([[0.7, 0.1], [0.5, 0.1], [0.5, 0.1]])
    x = np.vstack([
        rng.multivariate_normal([0.0, mean], np.diag(v), n)
        for mean, v, n in zip([-0.7, 0.0, 0.7], variances, [200, 500, 200], strict=True)
    ])  # fmt: skip
    for concentration in (1, 1000, 100000):
        arguments: dict[str, Any] = {
            "n_components": 6, "init_params": "random", "max_iter": 40, "tol": 0.0, "random_state": 2,
            "mean_precision_prior": 0.8, "weight_concentration_prior": concentration,
        }  # fmt: skip
        assert_same_fits(fitted(x=x, **arguments), theirs(x=x, **arguments), x, 1e-8)


@pytest.mark.parametrize("covariance_type", COVARIANCES[:4])
@every_prior_type
def test_fit_is_near_that_of_scikit_learn_on_separate_clusters(
    covariance_type: Any, prior_type: Any
) -> None:
    arguments = {"covariance_type": covariance_type, "weight_concentration_prior_type": prior_type}
    ours, other = fitted(3, **arguments), theirs(3, **arguments)
    assert_same_fits(ours, other, X, 0.01)


@pytest.mark.parametrize("covariance_type", COVARIANCES[:4])
def test_posterior_after_the_start_is_that_of_scikit_learn(covariance_type: Any) -> None:
    """The same responsibilities make the same means, covariances and weights, whatever the expected log-precisions."""
    arguments = {
        "covariance_type": covariance_type,
        "weight_concentration_prior_type": "dirichlet_distribution",
        "max_iter": 0,
        "degrees_of_freedom_prior": 5.5,
        "mean_precision_prior": 0.3,
        "mean_prior": [1.0, 2.0],
    }
    ours, other = fitted(**arguments), theirs(**arguments)
    for name in ["weight_concentration_", *LEARNED]:
        np.testing.assert_allclose(
            getattr(ours, name), getattr(other, name), rtol=1e-9, atol=1e-12, err_msg=name
        )


@every_prior_type
@pytest.mark.parametrize("covariance_type", COVARIANCES[:4])
def test_default_priors_are_those_of_scikit_learn(covariance_type: Any, prior_type: Any) -> None:
    arguments = {
        "covariance_type": covariance_type,
        "weight_concentration_prior_type": prior_type,
        "max_iter": 2,
    }
    ours, other = fitted(**arguments), theirs(**arguments)
    for name in (
        "weight_concentration",
        "mean_precision",
        "mean",
        "degrees_of_freedom",
        "covariance",
    ):
        np.testing.assert_allclose(
            getattr(ours, f"{name}_prior_"), getattr(other, f"{name}_prior_"), rtol=1e-12
        )


@every_type
def test_sorted_sticks_do_not_depend_on_the_order_of_the_components(covariance_type: Any) -> None:
    model = fitted(4, sort_sticks=True, covariance_type=covariance_type, max_iter=5)
    a, b = model.weight_concentration_
    order = np.argsort(-a)
    after = np.append(np.cumsum(a[order][::-1] - 1)[-2::-1], 0)
    np.testing.assert_allclose(b[order], 0.25 + after, atol=1e-12)
    weights = model.posterior_.weights
    as_they_are = replace(weights, by_size=False)
    prior = model.prior_.weights
    assert weights.divergence(prior) == pytest.approx(
        replace(as_they_are, counts=weights.counts[order]).divergence(prior), abs=1e-12
    )


# -- the bound -----------------------------------------------------------------------------------


def weights_log_evidence(model: Any, counts: Any) -> float:
    weights = model.prior_.weights
    if model.weight_concentration_prior_type == "dirichlet_distribution":
        alpha = weights.alpha
        return float(
            special.gammaln(alpha.sum())
            - special.gammaln(alpha.sum() + counts.sum())
            + (special.gammaln(alpha + counts) - special.gammaln(alpha)).sum()
        )
    gamma = weights.concentration
    return float(
        sum(
            special.betaln(1 + n, gamma + counts[j + 1 :].sum()) - special.betaln(1, gamma)
            for j, n in enumerate(counts)
        )
    )


@every_type
@every_prior_type
@pytest.mark.parametrize(
    "arguments",
    [{}, {"batch_size": 3}, {"optimize_concentration": True, "sort_sticks": True}],
)
def test_bound_is_below_the_log_evidence(
    covariance_type: Any, prior_type: Any, arguments: dict[str, Any]
) -> None:
    x = np.array([[0.0, 1], [1, 0], [0.5, 0.2], [6, 7], [7, 6], [6.2, 6.1]])
    model = fitted(
        2, x, covariance_type=covariance_type, weight_concentration_prior_type=prior_type,
        max_iter=30, **arguments,
    )  # fmt: skip
    terms = []
    for z in itertools.product(range(2), repeat=len(x)):
        one_hot = np.eye(2)[list(z)]
        terms.append(
            normal_wishart.log_evidence(model.prior_.components, x, one_hot, covariance_type)
            + weights_log_evidence(model, one_hot.sum(axis=0))
        )
    log_evidence = special.logsumexp(terms)
    assert model.lower_bound_ < log_evidence
    assert model.lower_bound_ > log_evidence - 6.0


@every_type
@every_prior_type
@pytest.mark.parametrize("better_weights", [False, True])
def test_bound_never_falls(covariance_type: Any, prior_type: Any, better_weights: bool) -> None:
    model = fitted(
        6, IRIS, covariance_type=covariance_type, weight_concentration_prior_type=prior_type,
        init_params="random", optimize_concentration=better_weights, sort_sticks=better_weights, max_iter=200, tol=1e-5,
    )  # fmt: skip
    bounds = np.array(model.lower_bounds_)
    assert len(bounds) == model.n_iter_ > 5
    assert (np.diff(bounds) > -1e-10 * np.abs(bounds[1:])).all()
    assert model.lower_bound_ == bounds[-1]


def test_terms_add_up_to_the_bound() -> None:
    model = fitted()
    terms = model.elbo_terms_
    r = model.predict_proba(X)
    total = terms["expected_log_joint"] + terms["entropy"] - terms["divergence_of_weights"]
    assert total - terms["divergence_of_components"].sum() == pytest.approx(
        model.lower_bound_, abs=1e-9
    )
    assert terms["entropy"] == pytest.approx(-special.xlogy(r, r).sum(), abs=1e-9)
    assert model.score(X) * len(X) == pytest.approx(
        terms["expected_log_joint"] + terms["entropy"], abs=1e-8
    )


def test_empirical_concentration_raises_the_bound() -> None:
    for prior_type in PRIOR_TYPES:
        arguments: dict[str, Any] = {
            "weight_concentration_prior_type": prior_type,
            "weight_concentration_prior": 4.0,
        }
        given, found = fitted(5, **arguments), fitted(5, optimize_concentration=True, **arguments)
        assert found.lower_bound_ > given.lower_bound_
        assert given.weight_concentration_prior_ == 4.0
        weights, best = found.posterior_.weights, found.weight_concentration_prior_
        others = [weight_prior(prior_type, best * factor, 5) for factor in (0.98, 1.0, 1.02)]
        assert np.argmin([weights.divergence(other) for other in others]) == 1


# -- what the model says of rows -----------------------------------------------------------------


@every_type
def test_predictive_density_is_a_mixture_of_students(covariance_type: Any) -> None:
    model = fitted(2, covariance_type=covariance_type, max_iter=5)
    posterior, n_features = model.posterior_.components, X.shape[1]
    kappa = posterior.mean_precision
    x, density = X[::20], np.zeros(len(X[::20]))
    for k, (weight, mean) in enumerate(zip(model.weights_, posterior.means, strict=True)):
        nu = np.broadcast_to(posterior.degrees_of_freedom, 2)[k]
        spread = (kappa[k] + 1) / kappa[k]
        scale = (
            posterior.scale
            if covariance_type == "tied"
            else np.resize(posterior.scale, (2, *posterior.scale.shape[1:]))[k]
        )
        if covariance_type in ("full", "tied"):
            freedom = nu + 1 - n_features
            of_component = stats.multivariate_t(mean, scale * spread / freedom, freedom).pdf(x)
        elif covariance_type == "diag":
            of_component = stats.t(nu, mean, np.sqrt(scale * spread / nu)).pdf(x).prod(axis=1)
        else:
            of_component = stats.multivariate_t(mean, scale * spread / nu * np.eye(2), nu).pdf(x)
        density += weight * of_component
    np.testing.assert_allclose(model.predictive_logpdf(x), np.log(density), rtol=1e-9)
    assert (model.predictive_logpdf(X) > model.score_samples(X)).all()


def test_rows_of_weight_two_count_twice_and_of_weight_zero_not() -> None:
    weight = np.tile([0.0, 1.0, 2.0], 60)
    rows = np.repeat(X, weight.astype(int), axis=0)
    start: dict[str, Any] = {"init_params": "random_from_data", "n_components": 1}
    ours = BayesianGaussianMixture(**start).fit(X, sample_weight=weight)
    other = BayesianGaussianMixture(**start).fit(rows)
    for name in LEARNED:
        np.testing.assert_allclose(getattr(ours, name), getattr(other, name), rtol=1e-10)
    assert ours.lower_bound_ == pytest.approx(other.lower_bound_, rel=1e-10)
    assert ours.score(X, sample_weight=weight) == pytest.approx(other.score(rows))


@every_type
def test_fit_in_single_precision_is_near_that_in_double(covariance_type: Any) -> None:
    x = X.astype(np.float32)
    single = fitted(3, x, covariance_type=covariance_type, tol=1e-3)
    double = fitted(3, x.astype(np.float64), covariance_type=covariance_type, tol=1e-3)
    assert single.means_.dtype == single.score_samples(x).dtype == np.float32
    np.testing.assert_allclose(single.means_, double.means_, atol=1e-3)
    assert single.lower_bound_ == pytest.approx(double.lower_bound_, rel=1e-5)


def test_components_that_are_not_needed_end_empty() -> None:
    model = fitted(8)
    assert model.n_effective_components_ == 3
    assert np.sort(model.weights_)[-3:].sum() > 0.99


def test_sample_comes_from_the_mean_parameters() -> None:
    model = fitted(3)
    rows, components = model.sample(4000)
    for k in range(3):
        np.testing.assert_allclose(rows[components == k].mean(axis=0), model.means_[k], atol=0.2)


def test_summary_tells_the_bound_and_its_terms() -> None:
    model = fitted(3)
    text = model.summary()
    assert "Bayesian Gaussian mixture: K = 3, D = 2, full covariances" in text
    assert f"{model.lower_bound_:.3f}" in text
    assert "effective components: 3" in text


# -- fewer components ----------------------------------------------------------------------------


@every_type
@every_prior_type
def test_pruning_does_not_lower_the_bound_and_keeps_what_is_needed(
    covariance_type: Any, prior_type: Any
) -> None:
    model = fitted(7, covariance_type=covariance_type, weight_concentration_prior_type=prior_type)
    before, prior = model.lower_bound_, model.degrees_of_freedom_prior_
    same = model.prune(X, tol=1e-3)
    assert same is model
    assert model.lower_bound_ > before - 1e-3
    assert model.n_effective_components_ == len(model.weights_) < 7
    assert model.predict_proba(X).shape == (len(X), len(model.weights_))
    assert model.means_.shape == (len(model.weights_), 2)
    assert model.degrees_of_freedom_prior_ == pytest.approx(prior)
    again = model.lower_bound_
    assert model.prune(X, tol=1e-3).lower_bound_ == again


# -- batches -------------------------------------------------------------------------------------


@every_type
@every_prior_type
def test_one_batch_of_all_rows_and_steps_of_size_one_are_coordinate_ascent(
    covariance_type: Any, prior_type: Any
) -> None:
    arguments = {
        "covariance_type": covariance_type,
        "weight_concentration_prior_type": prior_type,
        "max_iter": 4,
        "tol": 0.0,
    }
    full = fitted(**arguments)
    batch = fitted(batch_size=10**6, forgetting=0.0, **arguments)
    np.testing.assert_allclose(batch.lower_bounds_, full.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(batch.predict_proba(X), full.predict_proba(X), atol=1e-9)
    model = BayesianGaussianMixture(
        4, covariance_type=covariance_type, weight_concentration_prior_type=prior_type,
        forgetting=0.0, random_state=0,
    )  # fmt: skip
    for _ in range(4):
        model.partial_fit(X, total_weight=len(X))
    np.testing.assert_allclose(model.predict_proba(X), full.predict_proba(X), atol=1e-9)


def test_batches_come_near_coordinate_ascent() -> None:
    x = blobs(400)
    full, batches = fitted(3, x), fitted(3, x, batch_size=100, max_iter=30)
    assert batches.lower_bound_ > full.lower_bound_ - 1.0
    assert batches.lower_bounds_[-1] == batches.lower_bound_
    np.testing.assert_allclose(batches.means_[np.argsort(batches.means_[:, 0])],
                               full.means_[np.argsort(full.means_[:, 0])], atol=0.05)  # fmt: skip


def test_stream_of_batches_counts_all_rows_seen() -> None:
    rng = np.random.default_rng(1)
    x = rng.permutation(blobs(500))
    model = BayesianGaussianMixture(3, random_state=0)
    for batch in np.split(x, 15):
        model.partial_fit(batch)
    assert model.n_iter_ == 15
    np.testing.assert_allclose(np.sort(model.means_[:, 0]), [0, 2, 9], atol=0.3)
    assert np.sum(model.mean_precision_ - 1) < 1500
    bound = fitted(3, x, max_iter=0).lower_bound_
    assert np.isfinite(model.lower_bound_)
    assert bound < 0
    with pytest.raises(ValueError, match="total_weight: expected at least the 100 of the batch"):
        model.partial_fit(x[:100], total_weight=50)
    with pytest.raises(ValueError, match="X has 1 features"):
        model.partial_fit(x[:, :1])


def test_stream_goes_on_from_a_fit() -> None:
    model = fitted(3)
    means, counts = model.means_.copy(), model.mean_precision_.sum()
    model.partial_fit(X[::3])
    np.testing.assert_allclose(model.means_, means, atol=0.5)
    assert model.mean_precision_.sum() > counts


# -- the course of a fit -------------------------------------------------------------------------


@every_prior_type
def test_warm_start_goes_on(prior_type: Any) -> None:
    arguments = {"weight_concentration_prior_type": prior_type, "tol": 0.0}
    whole = fitted(max_iter=6, **arguments)
    model = BayesianGaussianMixture(4, random_state=0, max_iter=3, warm_start=True, **arguments)
    model.fit(X).fit(X)
    np.testing.assert_allclose(model.means_, whole.means_, rtol=1e-12)
    assert model.lower_bounds_ == whole.lower_bounds_[3:]
    with pytest.raises(ValueError, match="warm_start: expected the n_components = 4"):
        model.set_params(n_components=5).fit(X)
    with pytest.raises(ValueError, match="warm_start: expected a model of the last fit's kind"):
        model.set_params(n_components=4, covariance_type="diag").fit(X)


def test_best_of_several_starts_is_kept() -> None:
    rng = np.random.RandomState(3)
    several = fitted(4, IRIS, n_init=4, init_params="random", random_state=rng)
    rng = np.random.RandomState(3)
    alone = [fitted(4, IRIS, init_params="random", random_state=rng) for _ in range(4)]
    assert several.lower_bound_ == max(model.lower_bound_ for model in alone)


def test_results_do_not_depend_on_threads() -> None:
    x = blobs(9000)
    one, four = (fitted(3, x, n_threads=n, max_iter=5) for n in (1, 4))
    np.testing.assert_array_equal(one.means_, four.means_)
    assert one.lower_bounds_ == four.lower_bounds_


def test_callback_hears_of_each_iteration() -> None:
    heard: list[Progress] = []
    model = BayesianGaussianMixture(3, random_state=0).fit(X, callback=heard.append)
    assert [p.iteration for p in heard] == list(range(1, model.n_iter_ + 1))
    np.testing.assert_allclose([p.objective for p in heard][1:], model.lower_bounds_[:-1])


def test_not_converging_is_a_warning() -> None:
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        BayesianGaussianMixture(3, max_iter=1, random_state=0).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = BayesianGaussianMixture(3, max_iter=0, random_state=0).fit(X)
    assert not model.converged_
    assert np.isfinite(model.lower_bound_)


def test_more_components_than_rows_are_fitted() -> None:
    model = fitted(6, X[::60])
    assert model.predict(X).shape == (len(X),)


# -- copies --------------------------------------------------------------------------------------


@every_type
@every_prior_type
@pytest.mark.parametrize("pruned", [False, True])
def test_copies_say_the_same(
    tmp_path: Path, covariance_type: Any, prior_type: Any, pruned: bool
) -> None:
    model = fitted(5, covariance_type=covariance_type, weight_concentration_prior_type=prior_type)
    if pruned:
        model.prune(X)
    model.save(tmp_path / "model.npz")
    for copy in (latentcore.load(tmp_path / "model.npz"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
        np.testing.assert_array_equal(copy.predictive_logpdf(X), model.predictive_logpdf(X))
        assert copy.summary() == model.summary()
        assert copy.get_params() == model.get_params()
        for name in [n for n in vars(model) if n.endswith("_") and n[0] != "_"]:
            found, expected = getattr(copy, name), getattr(model, name)
            assert str(found) == str(expected), name
        copy.partial_fit(X)


def test_start_alone_is_saved_and_goes_on(tmp_path: Path) -> None:
    start = fitted(4, max_iter=0)
    start.save(tmp_path / "model.npz")
    copy = latentcore.load(tmp_path / "model.npz")
    copy.set_params(warm_start=True, max_iter=4, tol=0.0).fit(X)
    assert copy.lower_bounds_ == fitted(4, max_iter=4, tol=0.0).lower_bounds_
    assert start.lower_bounds_ == []
    assert start.lower_bound_ < copy.lower_bounds_[0]


def test_file_with_another_posterior_is_refused(tmp_path: Path) -> None:
    model = fitted(3)
    model.posterior_.components.scale[0, 0, 0] = -1.0
    model.save(tmp_path / "model.npz")
    with pytest.raises(StorageError):
        latentcore.load(tmp_path / "model.npz")
    BayesianGaussianMixture(2).save(tmp_path / "new.npz")
    with pytest.raises(NotFittedError):
        latentcore.load(tmp_path / "new.npz").predict(X)


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"degrees_of_freedom_prior": 1.0}, "should be greater than 1, but got 1.000"),
        (
            {"degrees_of_freedom_prior": 0.5, "covariance_type": "tied"},
            "greater than 1, but got 0.5",
        ),
        ({"degrees_of_freedom_prior": -1.0, "covariance_type": "diag"}, "degrees_of_freedom_prior"),
        (
            {"mean_precision_prior": 0.0},
            "mean_precision_prior: expected a finite number > 0, got 0.0",
        ),
        ({"mean_precision_prior": -2}, "mean_precision_prior: expected .* got -2"),
        ({"weight_concentration_prior": -0.5}, "weight_concentration_prior: .* > 0, got -0.5"),
        ({"weight_concentration_prior": [1.0, 1.0]}, "expected a number, got shape"),
        (
            {"weight_concentration_prior_type": "dp"},
            "weight_concentration_prior_type: expected one",
        ),
        ({"mean_prior": [0.0]}, "'means' should have the shape of .2,., but got .1,."),
        ({"mean_prior": [0.0, np.nan]}, "mean_prior"),
        (
            {"covariance_prior": [[1.0, 2], [2, 1]]},
            "should be symmetric, positive-definite, but its least eigenvalue is -1",
        ),
        ({"covariance_prior": [[1.0, 2], [0, 1]]}, "positive-definite, but it is not symmetric"),
        ({"covariance_prior": 1.0}, "'full covariance_prior' should have the shape of .2, 2."),
        (
            {"covariance_prior": [1.0, 0.0], "covariance_type": "diag"},
            "should be positive, but got 0",
        ),
        (
            {"covariance_prior": [1.0], "covariance_type": "spherical"},
            "should have the shape of ()",
        ),
        ({"covariance_type": "round"}, "covariance_type: expected one of"),
        ({"reg_covar": -1.0}, "reg_covar: expected a finite number >= 0"),
        ({"tol": -1.0}, "tol"),
        ({"batch_size": 0}, "batch_size: expected an integer >= 1, got 0"),
        ({"forgetting": 0.4}, "forgetting: expected 0, or a number in"),
        ({"delay": -1.0}, "delay: expected a finite number >= 0"),
    ],
)
def test_bad_argument_is_named(arguments: dict[str, Any], message: str) -> None:
    model = BayesianGaussianMixture(3, **arguments)
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert "posterior_" not in vars(model)


def test_missing_entries_are_refused() -> None:
    x = X.copy()
    x[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"X contains NaN: .* row 7, column 1"):
        BayesianGaussianMixture(2).fit(x)


@every_type
def test_constant_feature_has_the_least_variance(covariance_type: Any) -> None:
    x = np.column_stack([X, np.full(len(X), 3.0)])
    model = fitted(2, x, covariance_type=covariance_type, tol=1e-3)
    assert np.isfinite(model.lower_bound_)
    if covariance_type in ("full", "tied", "diag"):
        with pytest.raises(ValueError, match="covariance_prior: expected a positive definite one"):
            fitted(2, x, covariance_type=covariance_type, reg_covar=0)


def test_nothing_is_predicted_before_a_fit() -> None:
    for method in (
        "predict",
        "predict_proba",
        "score_samples",
        "predictive_logpdf",
        "prune",
        "score",
    ):
        with pytest.raises(NotFittedError, match="BayesianGaussianMixture instance is not fitted"):
            getattr(BayesianGaussianMixture(), method)(X)
    for method in ("sample", "summary"):
        with pytest.raises(NotFittedError):
            getattr(BayesianGaussianMixture(), method)()


def test_data_frames_give_names() -> None:
    import pandas as pd

    frame = pd.DataFrame(X, columns=["a", "b"])
    model = fitted(3, frame)
    assert list(model.feature_names_in_) == ["a", "b"]
    assert list(model.partial_fit(frame).feature_names_in_) == ["a", "b"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"a": "c"}))
