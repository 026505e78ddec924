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


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("n_features", [1, 3, 8, 33])
@pytest.mark.parametrize("n_candidates", [1, 2, 3, 4, 9])
def test_potentials_are_sums_of_capped_distances(
    n_candidates: int, n_features: int, weighted: bool, dtype: type
) -> None:
    rng = np.random.default_rng(10 * n_candidates + n_features)
    x = rng.normal(size=(533, n_features)).astype(dtype)
    candidates = rng.normal(size=(n_candidates, n_features))
    weight = rng.uniform(0, 2, size=533) if weighted else np.ones(533)
    nearest = rng.uniform(0, 4 * n_features, size=533)
    nearest[::5] = np.inf
    potentials = kernels.kmeans_potentials(x, weight if weighted else None, candidates, nearest)
    squares = ((x[:, None, :].astype(float) - candidates) ** 2).sum(axis=2)
    expected = weight @ np.minimum(squares, nearest[:, None])
    np.testing.assert_allclose(potentials, expected, rtol=64 * float(np.finfo(dtype).eps))


def test_equal_distances_go_to_the_first_center() -> None:
    labels = np.empty(3, np.int32)
    kernels.kmeans_sweep(np.zeros((3, 2)), None, np.array([[1.0, 0], [-1, 0], [0, 1]]), labels)
    np.testing.assert_array_equal(labels, 0)


@pytest.mark.parametrize(
    ("dtype", "offset", "n_bits"),
    [(np.float64, 1e8, 20), (np.float32, 4096.0, 9)],
    ids=["f64", "f32"],
)
def test_data_far_from_the_origin_lose_nothing(dtype: type, offset: float, n_bits: int) -> None:
    """Multiples of 2^-n and an offset that adds to them without rounding; centers between two floats."""
    rng = np.random.default_rng(3)
    x = np.rint(np.ldexp(rng.normal(size=(20_000, 5)), n_bits)) * 2.0**-n_bits
    centers = np.rint(np.ldexp(rng.normal(size=(7, 5)), n_bits + 3)) * 2.0 ** -(n_bits + 3)
    squares = ((x[:, None, :] - centers) ** 2).sum(axis=2)
    labels, distances = np.empty(len(x), np.int32), np.empty(len(x))
    far = (x + offset).astype(dtype)
    np.testing.assert_array_equal(far - offset, x)
    _, first, inertia = kernels.kmeans_sweep(far, None, centers + offset, labels, distances)
    rounding = 8 * float(np.finfo(dtype).eps)
    chosen = squares[np.arange(len(x)), labels]
    np.testing.assert_allclose(chosen, squares.min(axis=1), rtol=rounding)
    np.testing.assert_allclose(distances, chosen, rtol=rounding)
    assert inertia == pytest.approx(chosen.sum(), rel=rounding)
    one_hot = np.eye(7)[labels]
    expected = one_hot.T @ x - one_hot.sum(axis=0)[:, None] * centers
    np.testing.assert_allclose(first, expected, rtol=1e-9)


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
