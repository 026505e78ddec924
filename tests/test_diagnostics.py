"""Criteria, entropies and the evidence lower bound, against SciPy and the definitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special, stats

from latentcore import GaussianMixture, diagnostics
from latentcore.datasets import load_old_faithful
from latentcore.diagnostics import ELBO
from latentcore.errors import ImpossibleRowError
from latentcore.statistics import total
from laws.cases import Case, every_case

Array = npt.NDArray[np.float64]

DISTRIBUTIONS = ["random", "sharp", "one-hot", "posterior"]


def responsibilities(kind: str, posterior: npt.NDArray[Any]) -> npt.NDArray[Any]:
    rng = np.random.default_rng(8)
    n_rows, n_components = posterior.shape
    if kind == "posterior":
        return posterior
    if kind == "one-hot":
        return np.eye(n_components)[rng.integers(n_components, size=n_rows)]
    return rng.dirichlet(np.full(n_components, 1.0 if kind == "random" else 0.01), n_rows)


# -- the evidence lower bound


@every_case
@pytest.mark.parametrize("kind", DISTRIBUTIONS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_log_likelihood_is_bound_plus_divergence(case: Case, kind: str, weighted: bool) -> None:
    rows = case.weighted_rows if weighted else case.rows
    log_joint = case.model.log_joint(case.params, rows.x)
    r = responsibilities(kind, case.model.responsibilities(case.params, rows.x)[0])
    found = diagnostics.elbo(log_joint, r, rows.sample_weight)
    scale = 1 + abs(found.log_likelihood) + abs(found.q)
    assert abs(found.elbo + found.gap - found.log_likelihood) <= 1e-10 * scale
    assert found.log_likelihood == pytest.approx(
        case.slow_log_likelihood(case.params, rows), rel=10 * case.tolerance
    )

    # the parts by their definitions
    weight = np.ones(len(rows)) if rows.sample_weight is None else rows.sample_weight
    slow = case.slow_log_joint(case.params, rows)
    posterior = special.softmax(slow, axis=1)
    by_row = special.rel_entr(r.astype(float), posterior).sum(axis=1)
    tolerance = 10 * case.tolerance * scale
    assert found.gap == pytest.approx(weight @ by_row, abs=tolerance)
    assert found.q == pytest.approx(weight @ (r * slow).sum(axis=1), abs=tolerance)
    assert found.entropy == pytest.approx(weight @ stats.entropy(r, axis=1), abs=tolerance)
    q = diagnostics.expected_complete_log_likelihood(log_joint, r, rows.sample_weight)
    assert q == found.q
    if kind == "posterior":
        assert 0 <= found.gap <= case.tolerance * len(rows)


@every_case
def test_bounds_of_blocks_add(case: Case) -> None:
    rows = case.weighted_rows
    weight = rows.sample_weight
    assert weight is not None
    log_joint = case.model.log_joint(case.params, rows.x)
    r = responsibilities("random", log_joint)
    whole = diagnostics.elbo(log_joint, r, weight)
    blocks = [slice(0, 100), slice(100, 101), slice(101, 600)]
    parts = total(diagnostics.elbo(log_joint[b], r[b], weight[b]) for b in blocks)
    for name in ELBO.__slots__:
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-12)


def test_components_of_weight_zero_cost_nothing_unless_they_are_believed_in() -> None:
    log_joint = np.log([[0.2, 0.3], [0.5, 0.1]])
    log_joint = np.column_stack([log_joint, [-np.inf, -np.inf]])
    found = diagnostics.elbo(log_joint, np.array([[0.5, 0.5, 0], [1, 0, 0]]))
    assert found.log_likelihood == pytest.approx(math.log(0.5) + math.log(0.6))
    assert found.q == pytest.approx(0.5 * math.log(0.2) + 0.5 * math.log(0.3) + math.log(0.5))
    assert found.elbo + found.gap == pytest.approx(found.log_likelihood)

    believed = diagnostics.elbo(log_joint, np.array([[0.5, 0.5, 0], [0.9, 0, 0.1]]))
    assert (believed.q, believed.elbo, believed.gap) == (-math.inf, -math.inf, math.inf)
    assert math.isfinite(believed.log_likelihood)


def test_rows_of_weight_zero_are_left_out() -> None:
    log_joint = np.log([[0.2, 0.3], [0.5, 0.1]])
    log_joint = np.vstack([[-np.inf, -np.inf], log_joint])
    r = np.array([[np.nan, np.nan], [0.5, 0.5], [1, 0]])
    found = diagnostics.elbo(log_joint, r, np.array([0.0, 2.0, 1.0]))
    assert found.log_likelihood == pytest.approx(2 * math.log(0.5) + math.log(0.6))
    with pytest.raises(ImpossibleRowError, match="row 2: "):
        diagnostics.elbo(log_joint[[1, 1, 0]], r[[1, 1, 1]], np.array([0.0, 2.0, 1.0]))


@pytest.mark.parametrize(
    "function", [diagnostics.elbo, diagnostics.expected_complete_log_likelihood]
)
@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ([0.5, 0.4], r"\[0.5, 0.4\]"), ([1.5, -0.5], r"\[1.5, -0.5\]"), ([np.nan, 1.0], r"\[nan, 1.0\]"),
        ([np.inf, 0.0], r"\[inf, 0.0\]"),
    ],
)  # fmt: skip
def test_row_that_is_no_distribution_is_named(function: Any, row: Any, shown: str) -> None:
    log_joint = np.zeros((3, 2))
    r = np.array([[1.0, 0.0], [0.5, 0.5], row])
    message = (
        r"^responsibilities: expected numbers >= 0 that sum to 1 in every row, "
        rf"got {shown} in row "
    )
    with pytest.raises(ValueError, match=message + "2$"):
        function(log_joint, r)
    weight = np.array([0.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=message + "2$"):
        function(log_joint, r, weight)


def test_shape_of_responsibilities_is_that_of_the_joint() -> None:
    with pytest.raises(
        ValueError, match=r"^responsibilities: expected shape \(3, 2\), got \(2, 3\)$"
    ):
        diagnostics.elbo(np.zeros((3, 2)), np.full((2, 3), 1 / 3))


# -- responsibilities


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("alpha", [1.0, 0.01])
def test_entropies_and_uncertainties_are_those_of_scipy(dtype: Any, alpha: float) -> None:
    rng = np.random.default_rng(0)
    r = np.vstack([rng.dirichlet(np.full(4, alpha), 500), np.eye(4), np.full((1, 4), 0.25)])
    r, weight = r.astype(dtype), rng.uniform(0, 2, len(r))
    wide = r.astype(np.float64)
    tolerance = 1e-14 if dtype is np.float64 else 1e-6
    by_row = diagnostics.entropy_by_row(r)
    assert by_row.dtype == np.float64
    np.testing.assert_allclose(by_row, special.entr(wide).sum(axis=1), atol=tolerance)
    assert not np.signbit(by_row[500:504]).any()  # the certain ones are 0, and print as 0
    assert by_row[504] == pytest.approx(math.log(4), abs=tolerance)
    assert diagnostics.entropy(r) == by_row.sum()
    assert diagnostics.entropy(r, weight) == pytest.approx(by_row @ weight, rel=1e-14)

    uncertainty = diagnostics.uncertainty(r)
    assert uncertainty.dtype == np.float64
    np.testing.assert_array_equal(uncertainty, 1 - wide.max(axis=1))
    losses = -np.log(wide.max(axis=1))
    assert diagnostics.classification_entropy(r) == pytest.approx(losses.sum(), rel=1e-12)
    assert diagnostics.classification_entropy(r, weight) == pytest.approx(
        weight @ losses, rel=1e-12
    )


def test_nothing_is_said_of_a_row_without_posterior() -> None:
    r = np.array([[0.5, 0.5], [np.nan, np.nan]])
    assert np.isnan(diagnostics.entropy_by_row(r)).tolist() == [False, True]
    assert np.isnan(diagnostics.uncertainty(r)).tolist() == [False, True]


# -- criteria


def test_hard_icl_is_the_completed_likelihood_of_the_most_probable_components() -> None:
    """Biernacki, Celeux & Govaert (2000), by its definition, on Old Faithful."""
    x = load_old_faithful().data
    model = GaussianMixture(2, covariance_type="diag", reg_covar=0.0, tol=1e-12, max_iter=2000,
                            random_state=0).fit(x)  # fmt: skip
    r = model.predict_proba(x)
    labels = r.argmax(axis=1)
    log_joint = stats.norm.logpdf(
        x[:, None], model.means_, np.sqrt(model.covariances_)
    ).sum(axis=2) + np.log(model.weights_)  # fmt: skip
    completed = log_joint[np.arange(len(x)), labels].sum()  # the log-likelihood of rows and labels
    n_parameters = 2 * 2 + 2 * 2 + 1
    hard = diagnostics.icl(
        model.loglik(x), n_parameters, len(x), diagnostics.classification_entropy(r)
    )
    assert hard == pytest.approx(-2 * completed + n_parameters * math.log(len(x)), rel=1e-12)
    assert model.bic(x) < hard < model.icl(x)
