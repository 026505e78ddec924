"""BayesianMixture and GaussianMeansMixture: families, bounds, missing and sparse entries, files, bad input."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from scipy import special, stats

import latentcore
from latentcore import BayesianGaussianMixture, BayesianMixture, GaussianMeansMixture
from latentcore.errors import StorageError
from latentcore.families.columns import IndependentColumns
from latentcore.families.gaussian import Gaussian, GaussianPrior
from latentcore.families.gaussian_means import GaussianMeans
from latentcore.families.poisson import Poisson
from latentcore.families.priors import DirichletPrior, GammaPrior
from latentcore.structures.mixture import MixturePrior

pytestmark = pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning")
PRIOR_TYPES = ["dirichlet_process", "dirichlet_distribution", "fixed"]
every_prior_type = pytest.mark.parametrize("prior_type", PRIOR_TYPES)


def data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    z = np.repeat([0, 1], 60)
    counts = [rng.multinomial(20, [[0.1, 0.2, 0.7], [0.6, 0.2, 0.2]][k]) for k in z]
    return {
        "bernoulli": (
            rng.random((120, 4)) < np.array([[0.1, 0.8, 0.5, 0.9], [0.9, 0.2, 0.1, 0.2]])[z]
        ).astype(float),
        "categorical": np.where(rng.random((120, 3)) < 0.8, z[:, None], 2).astype(float),
        "exponential": rng.exponential(np.array([[1.0, 9], [10, 0.5]])[z]),
        "gaussian": rng.normal(size=(120, 2)) + 6 * z[:, None],
        "multinomial": np.array(counts, float),
        "poisson": rng.poisson(np.array([[2, 5], [9, 1]])[z]).astype(float),
    }


DATA = data()
FAMILIES = list(DATA)
every_family = pytest.mark.parametrize("family", FAMILIES)


def fitted(family: Any, x: Any = None, n_components: int = 3, **arguments: Any) -> Any:
    x = DATA[family] if x is None else x
    defaults = {"random_state": 0, "tol": 1e-8, "max_iter": 2000}
    return BayesianMixture(family, n_components, **{**defaults, **arguments}).fit(x)


# -- every family --------------------------------------------------------------------------------


@every_family
@every_prior_type
def test_bound_never_falls_and_ends_above_batches(family: Any, prior_type: Any) -> None:
    model = fitted(family, weight_concentration_prior_type=prior_type)
    bounds = np.array(model.lower_bounds_)
    assert (np.diff(bounds) > -1e-10 * np.abs(bounds[1:])).all()
    assert model.converged_
    by_batches = fitted(
        family, batch_size=30, max_iter=5, weight_concentration_prior_type=prior_type
    )
    assert by_batches.lower_bound_ < model.lower_bound_ + 1e-6
    assert by_batches.n_iter_ == len(by_batches.lower_bounds_) <= 5


@every_family
@every_prior_type
def test_one_batch_and_steps_of_size_one_are_coordinate_ascent(
    family: Any, prior_type: Any
) -> None:
    arguments = {"weight_concentration_prior_type": prior_type, "max_iter": 4, "tol": 0.0}
    full = fitted(family, **arguments)
    batch = fitted(family, batch_size=120, forgetting=0.0, **arguments)
    np.testing.assert_allclose(batch.lower_bounds_, full.lower_bounds_, rtol=1e-11)


@every_family
@every_prior_type
def test_copies_say_the_same(tmp_path: Path, family: Any, prior_type: Any) -> None:
    x = DATA[family]
    model = fitted(family, weight_concentration_prior_type=prior_type, max_iter=5)
    model.save(tmp_path / "model.npz")
    copy = latentcore.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(copy.predict_proba(x), model.predict_proba(x))
    np.testing.assert_array_equal(copy.predictive_logpdf(x), model.predictive_logpdf(x))
    assert copy.summary() == model.summary()
    assert copy.partial_fit(x).n_iter_ == model.n_iter_ + 1


@every_family
def test_pruning_raises_the_bound(family: Any) -> None:
    model = fitted(family, n_components=5, weight_concentration_prior_type="dirichlet_distribution")
    before = model.lower_bound_
    model.prune(DATA[family])
    assert model.lower_bound_ > before
    assert len(model.weights_) == 2
    assert model.sample(10)[0].shape == (10, DATA[family].shape[1])


@every_family
def test_empty_components_of_a_process_are_pruned(family: Any) -> None:
    model = fitted(family, n_components=5)
    before = model.lower_bound_
    model.prune(DATA[family], tol=1e-3)
    assert model.lower_bound_ > before - 1e-3
    assert len(model.weights_) <= 3


@every_family
def test_predictions_are_those_of_the_expected_log_densities(family: Any) -> None:
    model, x = fitted(family, max_iter=5), DATA[family]
    r = model.predict_proba(x)
    np.testing.assert_allclose(r.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(x), r.argmax(axis=1))
    assert (model.predictive_logpdf(x) > model.score_samples(x)).all()
    assert model.score(x) == pytest.approx(model.score_samples(x).mean())


@pytest.mark.parametrize("family", ["bernoulli", "categorical", "exponential", "poisson"])
def test_missing_entries_are_left_out(family: Any) -> None:
    x = DATA[family].copy()
    x[::7, 0] = np.nan
    model = fitted(family, x)
    assert (np.diff(model.lower_bounds_) > -1e-8).all()
    assert np.isfinite(model.predictive_logpdf(x)).all()
    blank = np.full((1, x.shape[1]), np.nan)
    np.testing.assert_allclose(model.predictive_logpdf(blank), 0, atol=1e-12)


@pytest.mark.parametrize(
    "family", ["gaussian", GaussianMeans(), IndependentColumns([(Gaussian("diag"), [0, 1])])]
)
def test_missing_entries_of_gaussians_are_refused(family: Any) -> None:
    x = DATA["gaussian"].copy()
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fitted(family, x)


@pytest.mark.parametrize("family", ["bernoulli", "multinomial", "poisson"])
def test_sparse_rows_are_the_dense_ones(family: Any) -> None:
    x = DATA[family]
    sparse = scipy.sparse.csr_array(x)
    dense, model = fitted(family), fitted(family, sparse)
    assert model.lower_bound_ == pytest.approx(dense.lower_bound_, rel=1e-9)
    for method in ("predict_proba", "predictive_logpdf"):
        np.testing.assert_allclose(
            getattr(model, method)(sparse), getattr(dense, method)(x), atol=1e-5
        )
    model.partial_fit(sparse[:50]).prune(sparse)


# -- truths --------------------------------------------------------------------------------------


def test_bound_of_poissons_is_below_the_log_evidence() -> None:
    x = np.array([[0.0, 3], [1, 2], [9, 0], [8, 1], [1, 4]])
    prior = GammaPrior(np.full((1, 2), 1.5), np.full((1, 2), 0.4))
    model = fitted(
        "poisson", x, 2, prior=prior, weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=0.7,
    )  # fmt: skip
    terms = []
    for z in itertools.product(range(2), repeat=len(x)):
        of_rows = -special.gammaln(x + 1).sum()
        for k in range(2):
            chosen = x[np.array(z) == k]
            shape, rate = 1.5 + chosen.sum(axis=0), 0.4 + len(chosen)
            of_rows += (1.5 * np.log(0.4) - special.gammaln(1.5)) * 2
            of_rows += (special.gammaln(shape) - shape * np.log(rate)).sum()
        counts = np.bincount(z, minlength=2)
        of_weights = special.gammaln(1.4) - special.gammaln(1.4 + 5)
        of_weights += (special.gammaln(0.7 + counts) - special.gammaln(0.7)).sum()
        terms.append(of_rows + of_weights)
    log_evidence = special.logsumexp(terms)
    assert log_evidence - 3 < model.lower_bound_ < log_evidence
    shape, rate = model.posterior_.components.shape, model.posterior_.components.rate
    expected = stats.nbinom(shape, rate / (1 + rate)).pmf(x[:, None]).prod(axis=2) @ model.weights_
    np.testing.assert_allclose(model.predictive_logpdf(x), np.log(expected), rtol=1e-9)
    np.testing.assert_allclose(model.components_.rates, shape / rate)
    assert model.prior_.components == prior or model.prior_.components is prior


def test_gaussians_are_those_of_the_gaussian_mixture() -> None:
    x = DATA["gaussian"]
    other = BayesianGaussianMixture(3, random_state=0, tol=0, max_iter=10).fit(x)
    model = fitted("gaussian", prior=other.prior_.components, tol=0, max_iter=10)
    assert model.lower_bounds_ == other.lower_bounds_
    np.testing.assert_array_equal(model.components_.means, other.means_)


def test_table_of_several_kinds_of_columns_is_fitted() -> None:
    x = np.column_stack([DATA["gaussian"], DATA["poisson"]])
    family = IndependentColumns([(Gaussian("tied"), [0, 1]), (Poisson(), [2, 3])])
    model = fitted(family, x, 4)
    assert (np.diff(model.lower_bounds_) > -1e-8).all()
    before = model.lower_bound_
    assert model.prune(x, tol=1e-3).lower_bound_ > before - 1e-3
    assert model.components_.parts[0].means.shape == (2, 2)


# -- Gaussians of known variance -----------------------------------------------------------------


def test_means_mixture_is_the_model_of_the_textbook() -> None:
    """Formulas (3.1) of one column written out, D v_k and all constants."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(c, 1.5, (40, 2)) for c in (-6, 0, 7)])
    variance, std, m0 = 1.5**2, 4.0, np.array([0.5, -0.5])
    model = GaussianMeansMixture(
        3, variance=variance, mean_prior=m0, prior_std=std, random_state=0, tol=1e-12, max_iter=500
    ).fit(x)
    r, (n, d), k = model.predict_proba(x), x.shape, 3
    v = 1 / (1 / std**2 + r.sum(axis=0) / variance)
    m = v[:, None] * (m0 / std**2 + r.T @ x / variance)
    np.testing.assert_allclose(model.mean_variances_, v, rtol=1e-6)
    np.testing.assert_allclose(model.means_, m, rtol=1e-5)
    squares = ((x[:, None] - m) ** 2).sum(axis=2) + d * v
    bound = (
        (
            -d / 2 * np.log(2 * np.pi * std**2)
            - (d * v + ((m - m0) ** 2).sum(axis=1)) / (2 * std**2)
        ).sum()
        - n * np.log(k)
        + (r * (-d / 2 * np.log(2 * np.pi * variance) - squares / (2 * variance))).sum()
        - special.xlogy(r, r).sum()
        + (d / 2 * np.log(2 * np.pi * np.e * v)).sum()
    )
    assert model.lower_bound_ == pytest.approx(bound, abs=1e-6)
    assert (np.diff(model.lower_bounds_) > -1e-9).all()
    np.testing.assert_array_equal(model.weights_, np.full(3, 1 / 3))
    predictive = [
        stats.multivariate_normal(m[j], (variance + v[j]) * np.eye(2)).pdf(x) for j in range(3)
    ]
    np.testing.assert_allclose(
        model.predictive_logpdf(x), np.log(np.mean(predictive, axis=0)), rtol=1e-4
    )


def test_bound_of_means_mixture_is_below_the_log_evidence() -> None:
    x = np.array([[-2.0], [-1.5], [0.3], [2.0], [2.2]])
    model = GaussianMeansMixture(2, prior_std=3.0, random_state=0, tol=1e-10).fit(x)
    terms = []
    for z in itertools.product(range(2), repeat=5):
        same = np.equal.outer(z, z)
        covariance = np.eye(5) + 9.0 * same
        terms.append(
            stats.multivariate_normal(np.zeros(5), covariance).logpdf(x[:, 0]) - 5 * np.log(2)
        )
    log_evidence = special.logsumexp(terms)
    assert log_evidence - 2 < model.lower_bound_ < log_evidence


def test_means_mixture_is_saved_streamed_and_named(tmp_path: Path) -> None:
    x = DATA["gaussian"]
    model = GaussianMeansMixture(2, prior_std=10.0, random_state=0).fit(x)
    model.save(tmp_path / "model.npz")
    copy = latentcore.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(copy.means_, model.means_)
    assert copy.summary() == model.summary()
    stream = GaussianMeansMixture(2, prior_std=10.0, random_state=0)
    for batch in np.array_split(np.random.default_rng(0).permutation(x), 6):
        stream.partial_fit(batch)
    np.testing.assert_allclose(np.sort(stream.means_[:, 0]), [0, 6], atol=0.5)
    with pytest.raises(TypeError, match="prune: expected weights that are learned"):
        model.prune(x)
    for name in ("variance", "prior_std"):
        with pytest.raises(ValueError, match=f"{name}: expected a finite number > 0, got 0"):
            GaussianMeansMixture(2).set_params(**{name: 0}).fit(x)
    with pytest.raises(ValueError, match="mean_prior: expected a number or shape"):
        GaussianMeansMixture(2, mean_prior=[1.0, 2, 3]).fit(x)


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "arguments", "message"),
    [
        ("poison", {}, "family: expected one of"),
        ("gamma", {}, "family: expected a name or an object with a method 'expected'"),
        (Poisson, {}, "family: expected a name or an object with a method"),
        ("poisson", {"prior": "weak"}, "prior: expected None or the family's prior"),
        ("poisson", {"prior": MixturePrior(np.ones(3), GammaPrior(1, 1))}, "prior: expected None or"),
        ("poisson", {"prior": DirichletPrior(1.0)}, "prior: expected a GammaPrior"),
        ("poisson", {"prior": GammaPrior(np.ones((2, 2)), 1.0)}, "expected 3 components or 1"),
        ("poisson", {"prior": GammaPrior([[1.0], [2.0], [3.0]], 1.0), "sort_sticks": True}, "the same for all"),
        ("gaussian", {"prior": GaussianPrior([[0, 0]], [1], [0.5], np.eye(2)[None])}, "degrees"),
        ("poisson", {"weight_concentration_prior_type": "fixed", "weight_concentration_prior": 1.0},
         "expected None with fixed weights"),
        ("poisson", {"weight_concentration_prior": 0.0}, "expected finite numbers > 0, got 0"),
        ("poisson", {"weight_concentration_prior_type": "dirichlet_distribution",
                     "weight_concentration_prior": [1.0, 2.0]}, r"a number or shape \(3,\), got"),
    ],
)  # fmt: skip
def test_bad_argument_is_named(family: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        fitted(family, DATA["poisson"], **arguments)


def test_values_outside_the_support_are_named() -> None:
    x = DATA["poisson"].copy()
    model = fitted("poisson")
    x[4, 1] = -1.0
    for method in (BayesianMixture("poisson").fit, model.partial_fit, model.predict, model.prune):
        with pytest.raises(ValueError, match="row 4"):
            method(x)


def test_array_of_concentrations_is_of_a_dirichlet() -> None:
    alpha = np.array([5.0, 1.0, 0.5])
    model = fitted(
        "poisson", weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=alpha,
    )  # fmt: skip
    np.testing.assert_array_equal(model.weight_concentration_prior_, alpha)
    assert model.weight_concentration_.sum() == pytest.approx(126.5)


def test_file_of_another_family_is_refused(tmp_path: Path) -> None:
    model = fitted("poisson")
    model.family_ = Gaussian()
    model.save(tmp_path / "model.npz")
    with pytest.raises(StorageError, match="family_: expected Poisson"):
        latentcore.load(tmp_path / "model.npz")


def test_rows_of_weight_zero_may_be_anything_finite() -> None:
    x = DATA["poisson"]
    weight = np.ones(120)
    weight[5] = 0.0
    odd = x.copy()
    odd[5] = -7.5
    model = fitted("poisson", max_iter=5).set_params(max_iter=5)
    ours = model.fit(odd, sample_weight=weight).lower_bounds_
    assert ours == model.fit(x, sample_weight=weight).lower_bounds_
    model.partial_fit(odd, sample_weight=weight)


def test_changed_byte_of_a_file_is_refused_or_means_the_same(tmp_path: Path) -> None:
    x = DATA["gaussian"]
    path = tmp_path / "model.npz"
    model = BayesianGaussianMixture(2, random_state=0, covariance_prior=np.eye(2)).fit(x)
    model.save(path)
    content, expected = path.read_bytes(), model.predict_proba(x)
    for position in range(0, len(content), 41):
        changed = bytearray(content)
        changed[position] ^= 0x55
        path.write_bytes(bytes(changed))
        try:
            copy = latentcore.load(path)
        except StorageError:
            continue
        np.testing.assert_array_equal(copy.predict_proba(x), expected)
