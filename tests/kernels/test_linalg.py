"""Cholesky factors and their inverses against NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from latentcore import kernels
from latentcore.errors import NumericalError

ORDERS = [1, 2, 3, 5, 8, 9, 16, 33]


def positive_definite(order: int) -> npt.NDArray[np.float64]:
    a = np.random.default_rng(order).normal(size=(order, order + 3))
    return a @ a.T


@pytest.mark.parametrize("order", ORDERS)
def test_cholesky_agrees_with_numpy_and_reads_the_lower_triangle_alone(order: int) -> None:
    a = positive_definite(order)
    expected = np.linalg.cholesky(a)
    a[np.triu_indices(order, 1)] = np.nan
    got = kernels.cholesky(a)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    assert not np.triu(got, 1).any()
    out = np.full_like(a, 7.0)
    assert kernels.cholesky(a, out=out) is out
    np.testing.assert_array_equal(out, got)
    assert kernels.cholesky(a, out=a) is a
    np.testing.assert_array_equal(a, got)


@pytest.mark.parametrize("order", ORDERS)
def test_inverse_transpose_gives_the_factor_of_the_inverse(order: int) -> None:
    a = positive_definite(order)
    lower = np.linalg.cholesky(a)
    lower[np.triu_indices(order, 1)] = np.nan
    upper = kernels.inverse_transpose(lower)
    assert not np.tril(upper, -1).any()
    np.testing.assert_allclose(upper @ upper.T @ a, np.eye(order), atol=1e-9)
    out = np.full_like(a, 7.0)
    assert kernels.inverse_transpose(lower, out=out) is out
    np.testing.assert_array_equal(out, upper)


SINGULAR = [
    [[0.0]],
    [[-1.0]],
    [[math.nan]],
    [[math.inf]],
    [[1.0, 2.0], [2.0, 1.0]],
    [[1.0, 1.0], [1.0, 1.0]],
]


@pytest.mark.parametrize("a", SINGULAR, ids=str)
def test_a_matrix_that_is_not_positive_definite_is_refused(a: list[list[float]]) -> None:
    with pytest.raises(NumericalError, match="a: expected a positive definite matrix"):
        kernels.cholesky(np.array(a))


A = np.eye(3)
WRONG: list[tuple[Any, type[Exception], str]] = [
    (lambda: kernels.cholesky(A[:2]), ValueError, r"a: expected shape \(2, 2\), got \(2, 3\)"),
    (lambda: kernels.cholesky(np.zeros((0, 0))), ValueError, r"a: expected at least one row, got shape \(0, 0\)"),
    (lambda: kernels.cholesky(A.astype(np.float32)), TypeError, r"a: expected float64 .*, got <f4"),
    (lambda: kernels.cholesky(A, out=np.zeros((2, 2))), ValueError, r"out: expected shape \(3, 3\), got \(2, 2\)"),
    (lambda: kernels.cholesky(A[0]), ValueError, r"a: expected 2 dimension"),
    (lambda: kernels.inverse_transpose(A.tolist()), TypeError, r"lower: expected a NumPy array, got list"),
    (lambda: kernels.inverse_transpose(A, out=A), ValueError, r"out: expected another array than lower"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), WRONG, ids=[row[2] for row in WRONG])
def test_bad_arguments_are_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
