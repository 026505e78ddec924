"""exp, log, log-sum-exp and responsibilities against fifty-digit arithmetic, and their edge rules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from latentcore import kernels
from reference import logspace

RealArray = npt.NDArray[Any]
PRECISIONS = [np.float64, np.float32]
INF, NAN = math.inf, math.nan

every_precision = pytest.mark.parametrize("dtype", PRECISIONS, ids=["f64", "f32"])


def exp_arguments(dtype: type) -> RealArray:
    """The whole range whose exponential is a normal number, its ends, and the neighbourhood of 0."""
    info = np.finfo(dtype)
    lowest, highest = np.log(info.smallest_normal), np.log(info.max)
    rng = np.random.default_rng(1)
    tiny = np.ldexp(rng.uniform(-1, 1, 300), rng.integers(-60, 0, 300))
    # where the reduction of the argument switches
    halves = (np.arange(-40, 40) + 0.5) * math.log(2)
    x = np.concatenate(
        [rng.uniform(lowest, highest, 3000), tiny, halves, np.linspace(lowest, lowest + 1, 100),
         np.linspace(highest - 1, highest, 100), [0.0, -0.0, 1.0, -1.0]]
    ).astype(dtype)  # fmt: skip
    return x[(x > lowest) & (x < highest)]


@every_precision
def test_exp_is_within_two_ulp(dtype: type) -> None:
    x = exp_arguments(dtype)
    assert logspace.worst_ulp(logspace.exp, x, kernels.exp(x)) <= 2.0


def test_exp_of_float32_is_within_two_ulp_on_a_dense_grid() -> None:
    x = np.linspace(-87.3, 88.7, 1_000_001, dtype=np.float32)
    truth = np.exp(x.astype(np.float64))
    ulp = np.spacing(truth.astype(np.float32)).astype(np.float64)
    assert np.max(np.abs(kernels.exp(x) - truth) / ulp) <= 2.0


@every_precision
def test_exp_beyond_its_range_is_zero_or_infinite(dtype: type) -> None:
    info = np.finfo(dtype)
    below, above = np.log(info.smallest_normal) * 1.001, np.log(info.max) * 1.001
    x = np.array([below, 2 * below, -1e30, -INF, above, 2 * above, 1e30, INF], dtype)
    np.testing.assert_array_equal(kernels.exp(x), [0, 0, 0, 0, INF, INF, INF, INF])
    np.testing.assert_array_equal(kernels.exp(np.array([-info.max, info.max], dtype)), [0, INF])


@every_precision
def test_exp_of_nan_is_nan_and_of_zero_one(dtype: type) -> None:
    got = kernels.exp(np.array([NAN, -NAN, 0.0, -0.0], dtype))
    assert np.isnan(got[:2]).all()
    np.testing.assert_array_equal(got[2:], [1, 1])


def log_arguments(dtype: type) -> RealArray:
    """All magnitudes from the smallest subnormal to the largest number, and the neighbourhood of 1."""
    info = np.finfo(dtype)
    rng = np.random.default_rng(2)
    exponents = rng.uniform(info.minexp - info.nmant + 1, info.maxexp - 0.001, 3000)
    magnitudes = np.exp2(exponents)
    near_one = 1 + np.ldexp(rng.uniform(-1, 1, 500), rng.integers(-52, 0, 500))
    subnormal = rng.uniform(0, 1, 200) * float(info.smallest_normal)
    ends = [info.smallest_subnormal, info.smallest_normal, info.max, 1.0, 2.0, 0.5]
    root = math.sqrt(0.5) * np.array([1, 2, 4]) * (1 + np.linspace(-1e-6, 1e-6, 21))[:, None]
    x = np.concatenate([magnitudes, near_one, subnormal, ends, root.ravel()]).astype(dtype)
    return x[(x > 0) & np.isfinite(x)]


@every_precision
def test_log_is_within_two_ulp(dtype: type) -> None:
    x = log_arguments(dtype)
    assert (x < np.finfo(dtype).smallest_normal).sum() > 100
    got = kernels.log(x)
    assert logspace.worst_ulp(logspace.log, x[x != 1], got[x != 1]) <= 2.0
    np.testing.assert_array_equal(got[x == 1], 0)


@every_precision
def test_log_of_zero_is_minus_infinity_and_of_negatives_nan(dtype: type) -> None:
    info = np.finfo(dtype)
    got = kernels.log(np.array([0.0, -0.0, INF], dtype))
    np.testing.assert_array_equal(got, [-INF, -INF, INF])
    negative = np.array([-1.0, -info.smallest_subnormal, -info.max, -INF, NAN], dtype)
    assert np.isnan(kernels.log(negative)).all()


@every_precision
@pytest.mark.parametrize("function", [kernels.exp, kernels.log], ids=["exp", "log"])
def test_results_do_not_depend_on_the_place_in_the_array(function: Any, dtype: type) -> None:
    x = np.linspace(0.1, 9.0, 67).astype(dtype)
    whole = function(x)
    for size in range(1, 40):
        np.testing.assert_array_equal(function(x[:size]), whole[:size])
    np.testing.assert_array_equal(function(x.reshape(1, 67, 1)).ravel(), whole)
    assert function(np.zeros((0, 3), dtype)).shape == (0, 3)


@every_precision
@pytest.mark.parametrize("function", [kernels.exp, kernels.log], ids=["exp", "log"])
def test_elementwise_out_may_be_the_input(function: Any, dtype: type) -> None:
    x = np.linspace(0.1, 9.0, 37).astype(dtype)
    expected, out = function(x), np.empty_like(x)
    assert function(x, out) is out
    np.testing.assert_array_equal(out, expected)
    assert function(x, out=x) is x
    np.testing.assert_array_equal(x, expected)


EDGES = [
    ([NAN, 0.0], NAN),
    ([0.0, NAN], NAN),
    ([INF, NAN], NAN),
    ([NAN, -INF], NAN),
    ([-INF, INF], INF),
    ([INF, INF, 0.0], INF),
    ([-INF, -INF], -INF),
    ([-INF], -INF),
    ([-INF, 3.0], 3.0),
    ([3.0], 3.0),
    ([0.0, 0.0], math.log(2)),
]


@every_precision
@pytest.mark.parametrize("at", [0, 5, 299])
@pytest.mark.parametrize(("row", "expected"), EDGES, ids=[str(row) for row, _ in EDGES])
def test_logsumexp_keeps_its_edge_rules(
    row: list[float], expected: float, at: int, dtype: type
) -> None:
    assert logspace.logsumexp(row) == pytest.approx(expected, rel=1e-15, nan_ok=True)
    a = np.ones((300, len(row)), dtype)  # ordinary rows around do not matter
    a[at] = row
    before = a.copy()
    lse = kernels.logsumexp(a)
    r, lse_too = kernels.responsibilities(a)
    tolerance = 2 * float(np.finfo(dtype).eps)
    others = np.arange(300) != at
    for got in (lse, lse_too):
        assert float(got[at]) == pytest.approx(expected, rel=tolerance, nan_ok=True)
        np.testing.assert_allclose(got[others], 1 + math.log(len(row)), rtol=4 * tolerance)
    np.testing.assert_array_equal(a, before)
    if math.isfinite(expected):
        np.testing.assert_allclose(r[at], np.exp(np.array(row) - expected), rtol=4 * tolerance)
    else:
        assert np.isnan(r[at]).all()
    np.testing.assert_allclose(r[others], 1 / len(row), rtol=4 * tolerance)


@every_precision
def test_rows_of_the_largest_magnitudes_neither_overflow_nor_vanish(dtype: type) -> None:
    m = float(np.finfo(dtype).max)
    a = np.array([[m, -m], [m, m], [-m, -m], [-m, -INF], [m, 0.0]], dtype)
    np.testing.assert_allclose(kernels.logsumexp(a), np.array([m, m, -m, -m, m], dtype), rtol=1e-15)
    r, _ = kernels.responsibilities(a)
    np.testing.assert_allclose(r, [[1, 0], [0.5, 0.5], [0.5, 0.5], [1, 0], [1, 0]], rtol=1e-6)


@every_precision
def test_no_columns_give_minus_infinity_and_no_rows_nothing(dtype: type) -> None:
    np.testing.assert_array_equal(kernels.logsumexp(np.zeros((3, 0), dtype)), [-INF] * 3)
    r, lse = kernels.responsibilities(np.zeros((3, 0), dtype))
    assert r.shape == (3, 0)
    np.testing.assert_array_equal(lse, [-INF] * 3)
    assert kernels.logsumexp(np.zeros((0, 3), dtype)).shape == (0,)
    assert kernels.responsibilities(np.zeros((0, 3), dtype))[0].shape == (0, 3)


@pytest.mark.parametrize("shape", [(1, 1), (255, 2), (513, 3), (1030, 7), (70, 64), (5, 5000)])
@every_precision
def test_logsumexp_agrees_with_the_definition(shape: tuple[int, int], dtype: type) -> None:
    a = (np.random.default_rng(3).normal(size=shape) * 30).astype(dtype)
    wide = a.astype(np.longdouble)
    largest = wide.max(axis=1)
    expected = largest + np.log(np.exp(wide - largest[:, None]).sum(axis=1))
    # a few roundings of the maximum, and of a sum of as many terms as there are columns
    eps = float(np.finfo(dtype).eps)
    tolerance = eps * (4 * np.maximum(1, np.abs(largest)) + math.sqrt(shape[1]))
    r, lse = kernels.responsibilities(a)
    np.testing.assert_array_equal(lse, kernels.logsumexp(a))
    assert np.all(np.abs(lse - expected) <= tolerance)
    # a relative error is the absolute error of the exponent; exponents below that of 1e-37 underflow
    exponent = wide - expected[:, None]
    bound = np.exp(exponent) * (tolerance[:, None] + eps * (8 + np.abs(exponent))) + 1e-37
    assert np.all(np.abs(r - np.exp(exponent)) <= bound)


def rows(dtype: type, elements: st.SearchStrategy[float]) -> st.SearchStrategy[RealArray]:
    shape = st.tuples(st.integers(1, 20), st.integers(1, 9))
    return shape.flatmap(lambda s: hnp.arrays(dtype, s, elements=elements))


any_double = st.floats(allow_nan=True, allow_infinity=True)
ordinary = st.floats(-500, 500)


@settings(max_examples=60, deadline=None)
@given(rows(np.float64, any_double))
def test_logsumexp_of_any_doubles_is_near_the_truth(a: RealArray) -> None:
    got = kernels.logsumexp(a)
    for row, value in zip(a, got, strict=True):
        expected = logspace.logsumexp(row)
        if math.isfinite(expected):
            assert abs(value - expected) <= 8 * np.finfo(np.float64).eps * max(1.0, abs(row.max()))
        else:
            np.testing.assert_equal(value, expected)


@settings(max_examples=60, deadline=None)
@given(rows(np.float64, ordinary), st.floats(-100, 100))
def test_a_shift_of_a_row_shifts_its_logsumexp_alone(a: RealArray, shift: float) -> None:
    r, lse = kernels.responsibilities(a)
    shifted_r, shifted_lse = kernels.responsibilities(a + shift)
    np.testing.assert_allclose(shifted_lse, lse + shift, atol=1e-12)
    np.testing.assert_allclose(shifted_r, r, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(rows(np.float64, ordinary))
def test_responsibilities_are_probabilities_whatever_the_order(a: RealArray) -> None:
    r, lse = kernels.responsibilities(a)
    assert (r >= 0).all()
    np.testing.assert_allclose(r.sum(axis=1), 1, rtol=1e-14)
    backwards_r, backwards_lse = kernels.responsibilities(np.ascontiguousarray(a[:, ::-1]))
    np.testing.assert_allclose(backwards_r[:, ::-1], r, rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(backwards_lse, lse, rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(r.argmax(axis=1), (r == r.max(axis=1)[:, None]).argmax(axis=1))


@every_precision
def test_row_functions_write_where_they_are_told(dtype: type) -> None:
    a = np.random.default_rng(4).normal(size=(9, 3)).astype(dtype)
    expected_r, expected_lse = kernels.responsibilities(a)
    lse = np.empty(9, dtype)
    assert kernels.logsumexp(a, out=lse) is lse
    np.testing.assert_array_equal(lse, expected_lse)
    r, _ = kernels.responsibilities(a, out=a)
    assert r is a
    np.testing.assert_array_equal(a, expected_r)


A = np.zeros((4, 3))
WRONG: list[tuple[Any, type[Exception], str]] = [
    (lambda: kernels.exp([1.0]), TypeError, r"x: expected a NumPy array, got list"),
    (lambda: kernels.log(np.zeros(3, np.int64)), TypeError, r"x: expected float32 or float64 .*, got <i8"),
    (lambda: kernels.exp(A[:, ::2]), ValueError, r"x: expected a C-contiguous array"),
    (lambda: kernels.exp(A, out=np.zeros((3, 4))), ValueError, r"out: expected shape \(4, 3\), got \(3, 4\)"),
    (lambda: kernels.exp(A, out=np.zeros((4, 3), np.float32)), TypeError, r"out: expected float64"),
    (lambda: kernels.logsumexp(A[0]), ValueError, r"a: expected 2 dimension\(s\), got shape \(3,\)"),
    (lambda: kernels.logsumexp(A.astype(">f8")), TypeError, r"a: expected .* in native byte order, got >f8"),
    (lambda: kernels.logsumexp(A.T), ValueError, r"a: expected a C-contiguous array"),
    (lambda: kernels.logsumexp(A, out=np.zeros(3)), ValueError, r"out: expected shape \(4,\), got \(3,\)"),
    (lambda: kernels.responsibilities(A.astype(complex)), TypeError, r"a: expected float32 or float64"),
    (lambda: kernels.responsibilities(A, out=A[:2]), ValueError, r"out: expected shape \(4, 3\), got \(2, 3\)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), WRONG, ids=[row[2] for row in WRONG])
def test_bad_arguments_are_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_read_only_output_is_refused() -> None:
    out = np.zeros(4)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out: expected a writeable array, got a read-only one"):
        kernels.logsumexp(A, out=out)
