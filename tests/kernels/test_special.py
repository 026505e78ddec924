"""Gamma functions, sine and cosine against fifty-digit arithmetic, with every instruction set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import multigammaln

from latentcore import kernels

RealArray = npt.NDArray[Any]
INF, NAN = math.inf, math.nan

mpmath.mp.dps = 50


@pytest.fixture(params=["base", "v3", "v4"], autouse=True)
def isa(request: pytest.FixtureRequest) -> Iterator[None]:
    if not kernels.isa_available(request.param):
        pytest.skip(f"this processor lacks the instruction set {request.param}")
    before = kernels.isa()
    kernels.isa_force(request.param)
    yield
    kernels.isa_force(before)


every_precision = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])

# function, truth, its error in eps of max(largest magnitude, this)
GAMMA_FUNCTIONS = [
    (kernels.lgamma, mpmath.loggamma, 24, 1.0),
    (kernels.digamma, mpmath.digamma, 8, 1.0),
    (kernels.trigamma, lambda x: mpmath.polygamma(1, x), 4, 0.0),
]
every_gamma_function = pytest.mark.parametrize(
    ("function", "truth", "allowed", "floor"),
    GAMMA_FUNCTIONS,
    ids=["lgamma", "digamma", "trigamma"],
)


def positive_numbers(dtype: type) -> RealArray:
    """All magnitudes, the range in which the recurrence lifts and its ends, and the zeros of the functions."""
    info = np.finfo(dtype)
    rng = np.random.default_rng(1)
    magnitudes = np.exp(rng.uniform(-0.5, 0.95, 400) * math.log(float(info.max)))
    ends = np.array([1, 1.4616321449683623, 2, 4, 8, 16, 2.0**-30, 2.0**-60])
    around = ends[:, None] * (1 + np.array([-1e-3, -1e-7, 0, 1e-7, 1e-3]))
    subnormal = [float(info.smallest_subnormal), float(info.smallest_normal) / 3]
    return np.concatenate(
        [magnitudes, rng.uniform(0, 20, 600), around.ravel(), subnormal]
    ).astype(dtype)  # fmt: skip


@every_precision
@every_gamma_function
def test_gamma_functions_are_as_near_the_truth_as_they_say(
    function: Callable[..., RealArray],
    truth: Callable[[Any], Any],
    allowed: float,
    floor: float,
    dtype: type,
) -> None:
    info = np.finfo(dtype)
    x = positive_numbers(dtype)
    for argument, got in zip(x.tolist(), function(x).tolist(), strict=True):
        wanted = truth(mpmath.mpf(argument))
        if abs(wanted) > float(info.max):
            assert got == math.copysign(INF, wanted), argument
        elif abs(wanted) >= float(info.smallest_normal):
            error = abs(mpmath.mpf(got) - wanted) / max(abs(wanted), floor)
            assert error <= allowed * float(info.eps), argument


@every_precision
def test_gamma_functions_have_their_limits_and_nothing_below_zero(dtype: type) -> None:
    x = np.array([0.0, -0.0, INF, -INF, -1.0, -2.5, NAN], dtype)
    np.testing.assert_array_equal(kernels.lgamma(x), [INF, INF, INF, NAN, NAN, NAN, NAN])
    np.testing.assert_array_equal(kernels.digamma(x), [-INF, -INF, INF, NAN, NAN, NAN, NAN])
    np.testing.assert_array_equal(kernels.trigamma(x), [INF, INF, 0, NAN, NAN, NAN, NAN])


def angles(dtype: type) -> RealArray:
    """Multiples of pi / 4 and beside, within the reach of the fast reduction, at its end and beyond."""
    reach = 1e4 if dtype is np.float64 else 1e3
    rng = np.random.default_rng(2)
    multiples = math.pi / 4 * rng.integers(-int(reach), int(reach), 300)
    x = np.concatenate(
        [multiples, rng.uniform(-reach, reach, 300), rng.uniform(-1, 1, 100), [reach, -reach, 0.0]]
    )
    beyond = np.repeat([2 * reach, -1e7, 1e30], 40)  # in vectors of their own
    return np.concatenate([x, beyond]).astype(dtype)


@every_precision
def test_sine_and_cosine_are_within_one_epsilon(dtype: type) -> None:
    x, eps = angles(dtype), float(np.finfo(dtype).eps)
    sine, cosine = kernels.sin_cos(x)
    with mpmath.workdps(90):
        for argument, s, c in zip(x.tolist(), sine.tolist(), cosine.tolist(), strict=True):
            assert abs(s - mpmath.sin(mpmath.mpf(argument))) <= eps, argument
            assert abs(c - mpmath.cos(mpmath.mpf(argument))) <= eps, argument


@every_precision
def test_angle_that_is_no_number_leaves_its_neighbours_alone(dtype: type) -> None:
    x = np.linspace(-3, 3, 50).astype(dtype)
    x[[0, 17, 40]] = INF, -INF, NAN
    sine, cosine = kernels.sin_cos(x)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(sine)), [0, 17, 40])
    np.testing.assert_array_equal(np.isnan(sine), np.isnan(cosine))
    good = ~np.isnan(sine)
    np.testing.assert_allclose(sine[good], np.sin(x[good]), atol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(cosine[good], np.cos(x[good]), atol=2 * np.finfo(dtype).eps)


@every_precision
@pytest.mark.parametrize("function", [kernels.lgamma, kernels.digamma, kernels.trigamma])
def test_results_are_the_same_anywhere_and_in_place(function: Any, dtype: type) -> None:
    x = np.linspace(0.1, 19.0, 67).astype(dtype)
    whole = function(x)
    for size in range(40):
        np.testing.assert_array_equal(function(x[:size]), whole[:size])
    np.testing.assert_array_equal(function(x.reshape(1, 67, 1)).ravel(), whole)
    assert function(x, out=x) is x
    np.testing.assert_array_equal(x, whole)


def test_sine_and_cosine_are_written_where_they_are_told() -> None:
    x, sine = np.linspace(-9, 9, 37).reshape(37, 1), np.empty((37, 1))
    expected = kernels.sin_cos(x)
    got = kernels.sin_cos(x, out=(sine, x))
    assert got[0] is sine
    assert got[1] is x
    np.testing.assert_array_equal(got, expected)


A = np.zeros((4, 3))
WRONG: list[tuple[Any, type[Exception], str]] = [
    (lambda: kernels.lgamma([1.0]), TypeError, r"x: expected a NumPy array, got list"),
    (lambda: kernels.trigamma(A[:, ::2]), ValueError, r"x: expected a C-contiguous array"),
    (lambda: kernels.digamma(A, out=A[:2]), ValueError, r"out: expected shape \(4, 3\), got \(2, 3\)"),
    (lambda: kernels.sin_cos(A.astype(int)), TypeError, r"x: expected float32 or float64"),
    (lambda: kernels.sin_cos(A, out=(A, A[:2])), ValueError, r"out\[1\]: expected shape \(4, 3\)"),
    (lambda: kernels.sin_cos(A, out=(A, A)), ValueError, r"out: expected two arrays, got one twice"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), WRONG, ids=[row[2] for row in WRONG])
def test_bad_arguments_are_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("dimension", [1, 2, 5, 40])
def test_multivariate_lgamma_is_that_of_scipy(dimension: int) -> None:
    x = 0.5 * (dimension - 1) + np.geomspace(1e-3, 1e4, 60)
    expected = [multigammaln(a, dimension) for a in x]
    got = kernels.multivariate_lgamma(x, dimension)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12 * dimension)


def test_multivariate_lgamma_names_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="dimension: expected a number >= 1, got 0"):
        kernels.multivariate_lgamma(np.ones(3), 0)
    with pytest.raises(TypeError, match="x: expected float64"):
        kernels.multivariate_lgamma(np.ones(3, np.float32), 1)
