"""A sweep of Lloyd's algorithm against the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentcore import kernels


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("n_features", [1, 2, 3, 5, 8, 9, 16, 33])
@pytest.mark.parametrize("n_centers", [1, 2, 3, 7])
def test_sweep_assigns_rows_to_nearest_centers_and_sums_them(
    n_centers: int, n_features: int, weighted: bool, dtype: type
) -> None:
    rng = np.random.default_rng(10 * n_centers + n_features)
    x = rng.normal(size=(533, n_features)).astype(dtype)
    centers = rng.normal(size=(n_centers, n_features))
    weight = rng.uniform(0, 2, size=533) if weighted else np.ones(533)
    labels, distances = np.empty(533, np.int32), np.empty(533)
    counts, first, inertia = kernels.kmeans_sweep(
        x, weight if weighted else None, centers, labels, distances
    )
    squares = ((x[:, None, :].astype(float) - centers) ** 2).sum(axis=2)
    rounding = 64 * float(np.finfo(dtype).eps)
    tolerance = rounding * squares.max()
    chosen = squares[np.arange(533), labels]
    assert np.all(chosen <= squares.min(axis=1) + tolerance)
    np.testing.assert_allclose(distances, chosen, rtol=rounding, atol=tolerance)
    assert inertia == pytest.approx(weight @ chosen, rel=rounding)
    one_hot = np.eye(n_centers)[labels] * weight[:, None]
    np.testing.assert_allclose(counts, one_hot.sum(axis=0), rtol=rounding)
    expected = one_hot.T @ x.astype(float) - counts[:, None] * centers
    np.testing.assert_allclose(first, expected, atol=rounding * 533)


def test_equal_distances_go_to_the_first_center() -> None:
    labels = np.empty(3, np.int32)
    kernels.kmeans_sweep(np.zeros((3, 2)), None, np.array([[1.0, 0], [-1, 0], [0, 1]]), labels)
    np.testing.assert_array_equal(labels, 0)


def test_no_rows_give_zeros() -> None:
    counts, first, inertia = kernels.kmeans_sweep(
        np.zeros((0, 2)), None, np.ones((3, 2)), np.empty(0, np.int32)
    )
    np.testing.assert_array_equal(counts, np.zeros(3))
    np.testing.assert_array_equal(first, np.zeros((3, 2)))
    assert inertia == 0


X, CENTERS, LABELS = np.zeros((4, 2)), np.zeros((3, 2)), np.zeros(4, np.int32)
WRONG: list[tuple[Any, type[Exception], str]] = [
    ((X.astype(int), None, CENTERS, LABELS), TypeError, "x: expected float32 or float64"),
    ((X, None, np.zeros((3, 1)), LABELS), ValueError, r"centers: expected shape \(3, 2\), got \(3, 1\)"),
    ((X, None, np.zeros((0, 2)), LABELS), ValueError, r"centers: expected at least one center"),
    ((X, None, CENTERS, LABELS.astype(np.int64)), TypeError, "labels: expected int32"),
    ((X, None, CENTERS, LABELS[:3]), ValueError, r"labels: expected shape \(4,\), got \(3,\)"),
    ((X, np.ones(3), CENTERS, LABELS), ValueError, r"sample_weight: expected shape \(4,\), got \(3,\)"),
    ((X, None, CENTERS, LABELS, np.zeros(3)), ValueError, r"distances: expected shape \(4,\), got \(3,\)"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG, ids=[row[2] for row in WRONG])
def test_bad_arguments_are_named(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        kernels.kmeans_sweep(*arguments)
