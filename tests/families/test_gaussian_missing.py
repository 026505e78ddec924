"""Rows that lack entries, against dense marginals and conditional moments of each row by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest

from latentcore.arrays import Rows
from latentcore.engine import expectation
from latentcore.errors import ImpossibleRowError
from latentcore.families.gaussian import CovarianceType, Gaussian, GaussianParams
from latentcore.rules.em import EM
from latentcore.statistics import total
from latentcore.structures.mixture import Mixture, MixtureParams
from reference import gaussian

Array = npt.NDArray[np.float64]

K, D, N = 3, 4, 250
WEIGHTS = np.array([0.5, 0.2, 0.3])
TYPES = get_args(CovarianceType)

every_type = pytest.mark.parametrize("covariance_type", TYPES)
both_precisions = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])


def a_model(covariance_type: Any, seed: int = 0) -> tuple[Gaussian, GaussianParams]:
    rng = np.random.default_rng(seed)
    family = Gaussian(covariance_type)
    covariances = gaussian.random_covariances(rng, covariance_type, K, D)
    return family, family.params(2 * rng.normal(size=(K, D)), covariances)


def complete_rows(rng: np.random.Generator) -> Array:
    """Clustered and correlated."""
    centers = 3 * rng.normal(size=(K, D))
    x: Array = centers[rng.integers(K, size=N)] + rng.normal(size=(N, D)) @ rng.normal(size=(D, D))
    return x


def some_rows(dtype: Any = np.float64) -> Array:
    """Entries are missing with probability 0.4, all of row 7, none of row 8."""
    rng = np.random.default_rng(1)
    x = complete_rows(rng)
    missing = rng.random((N, D)) < 0.4
    missing[7], missing[8] = True, False
    x[missing] = np.nan
    return x.astype(dtype)


def dense(params: GaussianParams, covariance_type: str) -> Array:
    return gaussian.full_covariances(params.covariances, covariance_type, params.means)


def log_densities(params: GaussianParams, covariance_type: str, x: Array) -> Array:
    components = zip(params.means, dense(params, covariance_type), strict=True)
    return np.stack([gaussian.observed_log_density(x, m, c) for m, c in components], axis=1)


def conditional(row: Array, mean: Array, covariance: Array) -> tuple[Array, Array]:
    """Mean and covariance of a whole row given its observed entries."""
    o, m = np.flatnonzero(~np.isnan(row)), np.flatnonzero(np.isnan(row))
    gain = covariance[np.ix_(m, o)] @ np.linalg.inv(covariance[np.ix_(o, o)])
    filled, rest = row.copy(), np.zeros((D, D))
    filled[m] = mean[m] + gain @ (row[o] - mean[o])
    rest[np.ix_(m, m)] = covariance[np.ix_(m, m)] - gain @ covariance[np.ix_(o, m)]
    return filled, rest


def conditional_moments(
    params: GaussianParams, covariance_type: str, x: Array, weights: Array
) -> tuple[Array, Array, Array]:
    """Counts, means and scatters row by row."""
    means, scatters = [], []
    for k, covariance in enumerate(dense(params, covariance_type)):
        rows = [conditional(row, params.means[k], covariance) for row in x.astype(np.float64)]
        filled = np.array([row for row, _ in rows])
        mean = weights[:, k] @ filled / weights[:, k].sum()
        rest = sum(w * c for w, (_, c) in zip(weights[:, k], rows, strict=True))
        means.append(mean)
        scatters.append(((filled - mean).T * weights[:, k]) @ (filled - mean) + rest)
    full = np.array(scatters)
    shaped = {
        "full": full,
        "tied": full.sum(axis=0),
        "diag": full.diagonal(axis1=1, axis2=2),
        "spherical": full.trace(axis1=1, axis2=2),
        "tied_spherical": full.trace(axis1=1, axis2=2),
    }[covariance_type]
    return weights.sum(axis=0), np.array(means), shaped


def assert_moments(got: Any, expected: tuple[Array, ...], rtol: float) -> None:
    for value, truth in zip((got.counts, got.means, got.scatters), expected, strict=True):
        np.testing.assert_allclose(value, truth, rtol=0, atol=rtol * np.abs(truth).max())


@every_type
@both_precisions
def test_densities_are_those_of_what_was_observed(covariance_type: str, dtype: Any) -> None:
    family, params = a_model(covariance_type)
    x = some_rows(dtype)
    expected = log_densities(params, covariance_type, x.astype(np.float64))
    rtol = 1e-11 if dtype is np.float64 else 2e-6
    got = family.log_likelihood(params, x)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=100 * rtol)

    joint = expected + np.log(WEIGHTS)
    model, mixture = Mixture(family), MixtureParams(WEIGHTS, params)
    density = np.logaddexp.reduce(joint, axis=1)
    r, log_density = model.responsibilities(mixture, x)
    np.testing.assert_allclose(r, np.exp(joint - density[:, None]), atol=200 * rtol)
    np.testing.assert_allclose(log_density, density, rtol=rtol, atol=100 * rtol)
    np.testing.assert_allclose(model.log_density(mixture, x), density, rtol=rtol, atol=100 * rtol)
    np.testing.assert_array_equal(model.labels(mixture, x), joint.argmax(axis=1))


@every_type
@both_precisions
def test_statistics_are_conditional_moments(covariance_type: str, dtype: Any) -> None:
    family, params = a_model(covariance_type)
    x = some_rows(dtype)
    weights = np.random.default_rng(2).random((N, K)).astype(dtype)
    expected = conditional_moments(params, covariance_type, x, weights.astype(np.float64))
    rtol = 1e-12 if dtype is np.float64 else 1e-5
    assert_moments(family.expected_statistics(params, x, weights), expected, rtol)


@every_type
@both_precisions
def test_the_sweep_weighs_conditional_moments_by_the_posterior(
    covariance_type: str, dtype: Any
) -> None:
    family, params = a_model(covariance_type)
    x = some_rows(dtype)
    row_weights = np.random.default_rng(3).uniform(0.0, 2.0, N)
    joint = log_densities(params, covariance_type, x.astype(np.float64)) + np.log(WEIGHTS)
    density = np.logaddexp.reduce(joint, axis=1)
    weights = np.exp(joint - density[:, None]) * row_weights[:, None]
    expected = conditional_moments(params, covariance_type, x, weights)
    rtol = 1e-11 if dtype is np.float64 else 2e-5

    model, mixture = Mixture(family), MixtureParams(WEIGHTS, params)
    rows = Rows(x, row_weights)
    found, objective = model.expected_statistics(mixture, rows)
    assert objective == pytest.approx(row_weights @ density, rel=rtol)
    assert_moments(found.components, expected, rtol)
    np.testing.assert_array_equal(found.counts, found.components.counts)

    prepared, same = model.expected_statistics(mixture, model.prepare(rows))
    assert same == objective
    np.testing.assert_array_equal(prepared.components.scatters, found.components.scatters)

    parts = [model.expected_statistics(mixture, part) for part in rows.shards(60)]
    assert sum(value for _, value in parts) == pytest.approx(objective, rel=rtol)
    assert_moments(total(s for s, _ in parts).components, expected, rtol)


@every_type
def test_threads_change_nothing(covariance_type: Any) -> None:
    family, params = a_model(covariance_type)
    model, mixture, rows = Mixture(family), MixtureParams(WEIGHTS, params), Rows(some_rows())
    (one, first), (three, second) = (expectation(model, rows, 40, n)(mixture) for n in (1, 3))
    assert first == second
    for name in ("counts", "means", "scatters"):
        values = (getattr(each.components, name) for each in (one, three))
        np.testing.assert_array_equal(*values)


@every_type
def test_the_likelihood_of_what_was_observed_never_decreases(covariance_type: str) -> None:
    family, params = a_model(covariance_type)
    model = Mixture(family)
    rows = model.prepare(Rows(some_rows()))
    rule = EM(model)
    state, objectives = rule.init(MixtureParams(WEIGHTS, params)), []
    for _ in range(60):
        state, info = rule.step(state, lambda p: model.expected_statistics(p, rows))
        objectives.append(info.objective)
    assert np.diff(objectives).min() >= -1e-10 * np.abs(objectives).max()
    assert objectives[-1] > objectives[0] + 10


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_a_column_never_observed_leaves_the_others_alone(covariance_type: Any) -> None:
    family, params = a_model(covariance_type)
    x = complete_rows(np.random.default_rng(1))
    x[:, 2] = np.nan
    o = [0, 1, 3]
    covariances = params.covariances[..., o]
    if covariance_type != "diag":
        covariances = covariances[..., o, :]
    alone = family.params(params.means[:, o].copy(), np.ascontiguousarray(covariances))
    model, mixture = Mixture(family), MixtureParams(WEIGHTS, params)
    only = MixtureParams(WEIGHTS, alone)
    for _ in range(15):
        mixture = model.maximize(model.expected_statistics(mixture, Rows(x))[0], mixture)
        observed = Rows(np.ascontiguousarray(x[:, o]))
        only = model.maximize(model.expected_statistics(only, observed)[0], only)
    np.testing.assert_allclose(mixture.weights, only.weights, rtol=1e-10)
    np.testing.assert_allclose(mixture.components.means[:, o], only.components.means, rtol=1e-10)
    got = mixture.components.covariances[..., o]
    if covariance_type != "diag":
        got = got[..., o, :]
    np.testing.assert_allclose(got, only.components.covariances, rtol=1e-9, atol=1e-11)


@every_type
def test_rows_without_entries_say_what_the_model_says(covariance_type: Any) -> None:
    family, params = a_model(covariance_type)
    model, mixture = Mixture(family), MixtureParams(WEIGHTS, params)
    rows = Rows(np.full((50, D), np.nan))
    found, log_likelihood = model.expected_statistics(mixture, rows)
    expected = family.model_statistics(params, 50 * WEIGHTS)
    assert log_likelihood == pytest.approx(0, abs=1e-12)
    assert_moments(found.components, (expected.counts, expected.means, expected.scatters), 1e-13)


@every_type
def test_imputed_entries_are_conditional_means(covariance_type: Any) -> None:
    family, params = a_model(covariance_type)
    x = some_rows()
    r = np.random.default_rng(4).dirichlet(np.ones(K), size=N)
    covariances = dense(params, covariance_type)
    by_component = [
        [conditional(row, params.means[k], covariances[k])[0] for row in x] for k in range(K)
    ]
    expected = np.einsum("nk,knd->nd", r, np.array(by_component))
    np.testing.assert_allclose(family.impute(params, x, r), expected, rtol=1e-11, atol=1e-12)
    single = x.astype(np.float32)
    imputed = family.impute(params, single, r.astype(np.float32))
    assert imputed.dtype == np.float32
    np.testing.assert_allclose(imputed, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(imputed[~np.isnan(x)], single[~np.isnan(x)])


@every_type
def test_hard_assignments_and_known_labels_take_rows_that_lack_entries(
    covariance_type: Any,
) -> None:
    family, params = a_model(covariance_type)
    x = some_rows()
    labels = np.random.default_rng(5).integers(-1, K, N).astype(np.int32)
    joint = log_densities(params, covariance_type, x) + np.log(WEIGHTS)
    for hard in (False, True):
        r = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
        if hard:
            r = np.eye(K)[joint.argmax(axis=1)]
        r[labels >= 0] = np.eye(K)[labels[labels >= 0]]
        model = Mixture(family, hard=hard)
        rows = model.prepare(Rows(x, labels=labels))
        found, objective = model.expected_statistics(MixtureParams(WEIGHTS, params), rows)
        expected = conditional_moments(params, covariance_type, x, r)
        assert_moments(found.components, expected, 1e-11)
        log_density = np.where(r > 0, joint, -np.inf)
        if not hard:
            free = labels < 0
            log_density[free] = joint[free]
        assert objective == pytest.approx(np.logaddexp.reduce(log_density, axis=1).sum())


@every_type
def test_far_from_the_origin_and_from_the_means_nothing_is_lost(covariance_type: Any) -> None:
    """Moments about the current means would lose twelve digits."""
    family, params = a_model(covariance_type)
    x = np.round(some_rows() * 64) / 64  # so that adding 1e6 is exact
    weights = np.random.default_rng(2).random((N, K))
    offset = np.arange(1, D + 1) * 2.0**20
    at_origin = conditional_moments(params, covariance_type, x, weights)
    moved = family.params(params.means + offset, params.covariances)
    found = family.expected_statistics(moved, x + offset, weights)
    assert_moments(replace(found, means=found.means - offset), at_origin, 1e-9)

    shift = 1e5 * np.ones((K, D))
    far = family.params(params.means + shift, params.covariances)
    expected = conditional_moments(far, covariance_type, x, weights)
    assert_moments(family.expected_statistics(far, x, weights), expected, 1e-11)


def test_without_parameters_missing_entries_count_as_column_means() -> None:
    x = some_rows()
    weights = np.random.default_rng(2).random((N, K))
    filled = np.where(np.isnan(x), np.nanmean(x, axis=0), x)
    family = Gaussian("full")
    got = family.expected_statistics(None, x, weights)
    assert_moments(got, gaussian.statistics(filled, weights, "full"), 1e-12)
    np.testing.assert_allclose(family.embedding(x), filled, rtol=1e-14)
    assert family.embedding(filled) is filled
    nothing = np.full((3, 2), np.nan)
    np.testing.assert_array_equal(family.embedding(nothing), 0)


def test_impossible_row_that_lacks_entries_is_named() -> None:
    family, params = a_model("full")
    x = some_rows()
    x[31], x[140] = [1.0, np.nan, 2.0, np.nan], [1.0, np.nan, 1e200, np.nan]
    model = Mixture(family)
    with pytest.raises(ImpossibleRowError, match="row 140"):
        model.expected_statistics(MixtureParams(WEIGHTS, params), Rows(x))


@pytest.mark.parametrize("n_features", [8, 9, 64, 65, 130])
def test_rows_are_grouped_by_pattern_whatever_the_number_of_columns(n_features: int) -> None:
    rng = np.random.default_rng(6)
    kinds = rng.random((5, n_features)) < 0.5
    kinds[0, :], kinds[0, -1] = False, True  # the last column matters
    kinds[1, :] = False
    x = rng.normal(size=(40, n_features))
    which = np.concatenate([np.arange(5), rng.integers(5, size=35)])
    x[kinds[which]] = np.nan
    family = Gaussian("diag")
    found = family.prepare(Rows(x, np.arange(40.0)))
    assert found.complete_index is not None
    np.testing.assert_array_equal(found.complete_index, np.flatnonzero(which == 1))
    assert sum(len(group.columns) for group in found.incomplete) == 4
    seen = []
    for group in found.incomplete:
        for p in range(len(group.columns)):
            index, rows = group.rows(p)
            seen += index.tolist()
            observed = group.columns[p, : group.n_observed]
            assert len(set(which[index])) == 1
            np.testing.assert_array_equal(observed, np.flatnonzero(~kinds[which[index[0]]]))
            np.testing.assert_array_equal(rows.x, x[index][:, observed])
            np.testing.assert_array_equal(rows.sample_weight, index)
    assert sorted(seen) == np.flatnonzero(which != 1).tolist()


def test_complete_rows_are_not_copied() -> None:
    x = np.full((70000, 2), 3e38, np.float32)  # whose sum is infinite
    rows = Rows(x)
    assert Gaussian().prepare(rows).complete is rows
    x[-1, -1] = np.nan
    assert len(Gaussian().prepare(rows).complete) == 69999
