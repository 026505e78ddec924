"""Starts where labels are known of some rows, of all, or of none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from initialization.expected import (
    METHODS,
    assert_statistics,
    expected_responsibilities,
    three_blobs,
)
from latentcore.arrays import Rows
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson
from latentcore.initialization import InitMethod, initial_statistics
from latentcore.structures.mixture import Mixture
from laws.cases import PRECISIONS, Case, assert_identical, assert_near, cases, every_case


@every_case
@pytest.mark.parametrize("method", METHODS)
def test_labels_of_nothing_change_no_bit(case: Case, method: InitMethod) -> None:
    rows = case.weighted_rows
    unknown = np.full(len(rows), -1, np.int32)
    without, with_labels = (
        initial_statistics(case.of.family, data, 3, method, np.random.RandomState(2))
        for data in (rows, replace(rows, labels=unknown))
    )
    assert_identical(with_labels, without)


@cases(lambda of: not of.hidden, PRECISIONS)
@pytest.mark.parametrize("method", METHODS)
def test_start_from_all_labels_is_the_supervised_fit(case: Case, method: InitMethod) -> None:
    rows = case.weighted_rows
    assert rows.sample_weight is not None
    labels = (np.arange(len(rows)) % 3).astype(np.int32)
    stats = initial_statistics(
        case.of.family, replace(rows, labels=labels), 3, method, np.random.RandomState(2)
    )
    r = (np.eye(3)[labels] * rows.sample_weight[:, None]).astype(case.dtype)
    expected = case.of.family.expected_statistics(None, rows.x, r)
    assert_near(stats.components, expected, 10 * case.tolerance)
    np.testing.assert_allclose(stats.counts, r.sum(axis=0, dtype=float), rtol=1e-12)


@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random_from_data"])
@pytest.mark.parametrize("family", [Gaussian(), Poisson()], ids=["gaussian", "poisson"])
@pytest.mark.parametrize("known", [(0, 1, 2), (2,), (1, 2)], ids=str)
def test_components_begin_where_their_labels_are(
    method: InitMethod, family: Any, known: tuple[int, ...]
) -> None:
    x, truth = three_blobs()
    x = abs(x)
    labels = np.where(np.isin(truth, known) & (np.arange(300) % 3 == 0), truth, -1).astype(np.int32)
    for seed in range(5):
        stats = initial_statistics(
            family, Rows(x, labels=labels), 3, method, np.random.RandomState(seed)
        )
        components = stats.components
        means = components.means if family == Gaussian() else components.sums / components.counts
        nearest = np.linalg.norm(
            means[:, None] - [[0.8, 0.8], [50, 0.8], [0.8, 50]], axis=2
        ).argmin(axis=1)
        assert nearest[list(known)].tolist() == list(known)
        if method != "random_from_data":
            assert set(nearest) == {0, 1, 2}


def test_random_responsibilities_of_labelled_rows_are_certain() -> None:
    x, truth = three_blobs()
    labels = np.where(np.arange(300) % 3 == 0, truth, -1).astype(np.int32)
    stats = initial_statistics(
        Gaussian(), Rows(x, labels=labels), 3, "random", np.random.RandomState(6)
    )
    r = expected_responsibilities(x, 3, "random", 6)
    r[::3] = np.eye(3)[truth[::3]]
    assert_statistics(stats, x, r, 1e-12)


def test_row_drawn_for_a_labelled_component_is_labelled() -> None:
    x = np.arange(50.0)[:, None]
    labels = np.full(50, -1, np.int32)
    labels[[3, 30, 31]] = [0, 2, 2]
    drawn = set()
    for seed in range(30):
        stats = initial_statistics(
            Poisson(), Rows(x, labels=labels), 3, "random_from_data", np.random.RandomState(seed)
        )
        pooled = 0.1 * x.mean()
        rows = (stats.components.sums[:, 0] - pooled) / 0.9
        assert rows[0] == pytest.approx(3)
        drawn.add(round(rows[2], 9))
        assert round(rows[1], 9) not in (3, 30, 31)
    assert drawn == {30, 31}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_gaussian_with_few_labelled_rows_begins_proper(
    method: InitMethod, covariance_type: Any
) -> None:
    """All rows but one are labelled, one of component 2 among them: nothing else keeps it from a point."""
    x, truth = three_blobs()
    labels = np.where(truth == 2, 1, truth).astype(np.int32)
    labels[:2] = [2, -1]
    family = Gaussian(covariance_type)  # without a floor
    stats = initial_statistics(family, Rows(x, labels=labels), 3, method, np.random.RandomState(0))
    params = family.maximize(stats.components)
    assert np.isfinite(Mixture(family).family.log_likelihood(params, x)).all()


def test_gaussian_with_many_labelled_rows_is_not_blended() -> None:
    x, truth = three_blobs()
    labels = np.where(np.arange(300) < 60, truth, -1).astype(np.int32)
    stats = initial_statistics(
        Gaussian(), Rows(x, labels=labels), 3, "kmeans", np.random.RandomState(0)
    )
    assert_statistics(stats, x, np.eye(3)[truth], 1e-12)
