"""Sweeps over mixtures of linear families against their definition in extended precision."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import csr_array

from latentcore import kernels
from latentcore.errors import ImpossibleRowError

Array = npt.NDArray[np.float64]
Extended = npt.NDArray[np.longdouble]

N_ROWS = 533  # more than one tile in each precision, and a remainder
MISSING_SHARE = 0.2

# Sums of F products, of N rows and the elementary functions each lose some last places; all of it stays within 2^11 of
# them, relative to the largest number of its kind.
TOLERANCE = {"f64": 2.0**11 * 2.0**-53, "f32": 2.0**11 * 2.0**-24}
DTYPES = {"f64": np.float64, "f32": np.float32}

KINDS = [
    ("x", "dense"), ("x", "missing"), ("x", "sparse"), ("x_log_x", "dense"), ("x_log_x", "missing"),
    ("cos_sin", "dense"), ("cos_sin", "missing"), ("one_hot", "dense"), ("one_hot", "missing"),
]  # fmt: skip
SHAPES = [(1, 1), (2, 3), (3, 8), (7, 5), (2, 33), (20, 2)]

every_precision = pytest.mark.parametrize("precision", ["f64", "f32"])
every_kind = pytest.mark.parametrize(("features", "storage"), KINDS)
every_shape = pytest.mark.parametrize(
    ("n_components", "n_features"), SHAPES, ids=[f"{k}x{d}" for k, d in SHAPES]
)


def every_problem(function: Any) -> Any:
    return every_precision(every_kind(every_shape(function)))


@dataclass(frozen=True)
class Problem:
    """Rows as the kernels take them, their statistics T(x) (0 where missing), and the true a[n, k]."""

    rows: Any
    statistics: Extended
    observed: Extended
    offsets: Array
    constants: Array
    coefficients: Array
    features: Any
    levels: npt.NDArray[np.intp] | None
    missing: bool
    log_joint: Extended

    @property
    def dtype(self) -> Any:
        return (self.rows[2] if isinstance(self.rows, tuple) else self.rows).dtype

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Of the functions of rows, after the rows."""
        return (
            self.offsets, self.constants, self.coefficients, self.features, self.levels, self.missing,
        )  # fmt: skip

    def sweep(self, **options: Any) -> tuple[Array, Array, Array | None, float]:
        arguments = dict(zip(NAMES, self.arguments, strict=True))
        return kernels.linear_em_sweep(
            **{"x": self.rows, "sample_weight": None, **arguments, **options}
        )


NAMES = ("offsets", "constants", "coefficients", "features", "levels", "missing")


def draw(rng: np.random.Generator, features: str, levels: Any, n_features: int) -> Array:
    shape = (N_ROWS, n_features)
    match features:
        case "x":
            return rng.poisson(1.5, shape).astype(float)
        case "x_log_x":
            return rng.gamma(2.0, size=shape)
        case "cos_sin":
            return rng.uniform(-math.pi, math.pi, shape)
        case _:
            return rng.integers(levels, size=shape).astype(float)


def statistics_of(x: Extended, features: str, levels: Any) -> Extended:
    """T(x), NaN where missing."""
    match features:
        case "x":
            return x
        case "x_log_x":
            return np.concatenate([x, np.log(x)], axis=1)
        case "cos_sin":
            return np.concatenate([np.cos(x), np.sin(x)], axis=1)
        case _:
            codes = [
                np.where(np.isnan(column), column, column == code)
                for column, n_levels in zip(x.T, levels, strict=True)
                for code in range(n_levels)
            ]
            return np.stack(codes, axis=1)


def as_sparse(x: npt.NDArray[Any]) -> tuple[Any, ...]:
    rows = csr_array(x)
    return rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data


@cache
def problem(
    precision: str, features: str, storage: str, n_components: int = 3, n_features: int = 5
) -> Problem:
    rng = np.random.default_rng(1000 * n_components + n_features)
    levels = rng.integers(1, 6, n_features) if features == "one_hot" else None
    x = draw(rng, features, levels, n_features).astype(DTYPES[precision])
    if storage == "missing":
        x[rng.uniform(size=x.shape) < MISSING_SHARE] = np.nan
        x[7] = np.nan
    t = statistics_of(x.astype(np.longdouble), features, levels)
    offsets = np.log(rng.dirichlet(np.full(n_components, 5.0)))
    constants = rng.normal(size=(n_components, n_features))
    coefficients = rng.normal(size=(n_components, t.shape[1])) / math.sqrt(n_features)
    observed = (~np.isnan(x)).astype(np.longdouble)
    t = np.nan_to_num(t)
    log_joint = offsets + observed @ constants.T.astype(np.longdouble) + t @ coefficients.T
    return Problem(
        as_sparse(x) if storage == "sparse" else x, t, observed, offsets, constants, coefficients,
        features, levels, storage == "missing", log_joint,
    )  # fmt: skip


def logsumexp(a: Extended) -> Extended:
    largest = a.max(axis=1)
    return largest + np.log(np.exp(a - largest[:, None]).sum(axis=1))


def softmax(a: Extended) -> Extended:
    return np.exp(a - logsumexp(a)[:, None])


def assigned(p: Problem, labels: Any, hard: bool) -> tuple[Extended, Extended]:
    """Shares (N, K), and the objective of each row."""
    r, objective = softmax(p.log_joint), logsumexp(p.log_joint)
    chosen = p.log_joint.argmax(axis=1) if hard else np.full(N_ROWS, -1)
    if labels is not None:
        chosen = np.where(labels >= 0, labels, chosen)
    known = np.flatnonzero(chosen >= 0)
    r[known] = 0
    r[known, chosen[known]] = 1
    objective[known] = p.log_joint[known, chosen[known]]
    return r, objective


def assert_near(got: Any, expected: Any, tolerance: float, scale: float | None = None) -> None:
    """Within the tolerance, relative to the largest expected number unless a scale is given."""
    assert np.shape(got) == np.shape(expected)
    if scale is None:
        scale = float(np.max(np.abs(expected), initial=1e-300))
    np.testing.assert_allclose(
        np.asarray(got, np.longdouble), expected, rtol=0, atol=tolerance * scale
    )


def assert_statistics(got: Any, p: Problem, r: Extended, tolerance: float) -> None:
    """Counts, sums and, where entries may be missing, counts by column."""
    total = float(r.sum())
    assert_near(got[0], r.sum(axis=0), tolerance, total)
    assert_near(got[1], r.T @ p.statistics, tolerance, total * float(np.abs(p.statistics).max()))
    assert all(value.dtype == np.float64 for value in got[:2])
    if p.missing:
        assert_near(got[2], r.T @ p.observed, tolerance, total)
    else:
        assert got[2] is None


@every_problem
def test_rows_functions_agree_with_the_definition(
    precision: str, features: str, storage: str, n_components: int, n_features: int
) -> None:
    p = problem(precision, features, storage, n_components, n_features)
    tolerance = TOLERANCE[precision] * max(1.0, float(np.abs(p.log_joint).max()))
    log_joint = kernels.linear_log_joint(p.rows, *p.arguments)
    r, log_density = kernels.linear_responsibilities(p.rows, *p.arguments)
    assert log_joint.dtype == r.dtype == log_density.dtype == p.dtype
    assert_near(log_joint, p.log_joint, tolerance, 1.0)
    assert_near(log_density, logsumexp(p.log_joint), tolerance, 1.0)
    assert_near(r, softmax(p.log_joint), tolerance, 1.0)
    np.testing.assert_array_equal(kernels.linear_log_density(p.rows, *p.arguments), log_density)
    labels = kernels.linear_labels(p.rows, *p.arguments)
    assert labels.dtype == np.intp
    chosen = p.log_joint[np.arange(N_ROWS), labels]
    assert np.all(chosen >= p.log_joint.max(axis=1) - 2 * tolerance)


@every_problem
@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize("known", ["", "weighted", "labelled", "weighted and labelled"])
def test_em_sweep_gives_the_expected_statistics(
    precision: str, features: str, storage: str, n_components: int, n_features: int, known: str, hard: bool,
) -> None:  # fmt: skip
    p = problem(precision, features, storage, n_components, n_features)
    rng = np.random.default_rng(4)
    weight = labels = None
    if "weighted" in known:
        weight = rng.uniform(0.0, 2.0, N_ROWS)
        weight[::11] = 0.0
    if "labelled" in known:
        labels = rng.integers(-1, n_components, N_ROWS).astype(np.int32)
    shares, objective = assigned(p, labels, hard)
    row_weights = np.ones(N_ROWS) if weight is None else weight
    got = p.sweep(sample_weight=weight, labels=labels, hard=hard)
    # an error of the exponent is a relative error of the responsibilities
    tolerance = TOLERANCE[precision] * max(1.0, float(np.abs(p.log_joint).max()) / 10)
    assert_statistics(got, p, shares * row_weights[:, None], tolerance)
    assert_near(got[3], objective @ row_weights, tolerance, float(np.abs(objective) @ row_weights))


@every_problem
def test_moments_are_weighted_sums(
    precision: str, features: str, storage: str, n_components: int, n_features: int
) -> None:
    p = problem(precision, features, storage, n_components, n_features)
    weights = np.random.default_rng(5).uniform(size=(N_ROWS, n_components)).astype(p.dtype)
    n_columns = n_features if storage == "sparse" else None
    got = kernels.linear_moments(
        p.rows, weights, p.features, p.levels, p.missing, n_columns=n_columns
    )
    assert_statistics(got, p, weights.astype(np.longdouble), TOLERANCE[precision])


@every_precision
@every_kind
@pytest.mark.parametrize("n_rows", [0, 1, 2, 63, 64, 65, 255, 256, 257, 512, 513])
def test_any_number_of_rows_is_the_sum_of_its_rows(
    n_rows: int, features: str, storage: str, precision: str
) -> None:
    p = problem(precision, features, storage)
    rows = (p.rows[0][: n_rows + 1], *p.rows[1:]) if storage == "sparse" else p.rows[:n_rows]
    counts, sums, _, objective = p.sweep(x=rows)
    r = softmax(p.log_joint[:n_rows])
    assert_near(counts, r.sum(axis=0), TOLERANCE[precision], max(n_rows, 1))
    scale = max(n_rows, 1) * float(np.abs(p.statistics).max())
    assert_near(sums, r.T @ p.statistics[:n_rows], TOLERANCE[precision], scale)
    expected = logsumexp(p.log_joint[:n_rows]).sum()
    assert_near(objective, expected, TOLERANCE[precision], 10 * max(n_rows, 1))
    assert kernels.linear_log_joint(rows, *p.arguments).shape == (n_rows, 3)


@every_precision
def test_sparse_rows_may_be_a_slice_and_repeat_a_column(precision: str) -> None:
    p = problem(precision, "x", "sparse")
    begins, columns, values = p.rows
    part = kernels.linear_log_joint((begins[100:301], columns, values), *p.arguments)
    whole = kernels.linear_log_joint(p.rows, *p.arguments)
    np.testing.assert_array_equal(part, whole[100:300])
    twice = (2 * begins, np.repeat(columns, 2), np.repeat(values / 2, 2))
    tolerance = TOLERANCE[precision]
    assert_near(kernels.linear_log_joint(twice, *p.arguments), p.log_joint, tolerance)
    for got, expected in zip(p.sweep(x=twice)[:2], p.sweep()[:2], strict=True):
        assert_near(got, expected, tolerance)


@every_precision
@every_kind
def test_a_component_of_weight_zero_takes_no_part(
    precision: str, features: str, storage: str
) -> None:
    p = problem(precision, features, storage)
    offsets = np.array([p.offsets[0], -math.inf, p.offsets[2]])
    counts, sums, _, objective = p.sweep(offsets=offsets)
    assert counts[1] == 0
    assert not sums[1].any()
    expected = logsumexp(p.log_joint[:, [0, 2]]).sum()
    assert objective == pytest.approx(float(expected), rel=TOLERANCE[precision])
    r, _ = kernels.linear_responsibilities(p.rows, offsets, *p.arguments[1:])
    np.testing.assert_array_equal(r[:, 1], 0)


@every_precision
@pytest.mark.parametrize("missing", [False, True])
def test_infinite_coefficients_forbid(missing: bool, precision: str) -> None:
    """-inf allows only 0, +inf only 1, and neither adds anything then; a missing entry is allowed."""
    x = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], DTYPES[precision])
    if missing:
        x[1, 0] = x[2, 1] = np.nan
    offsets, constants = np.log([0.25, 0.75]), np.array([[-0.5, -2.0], [-1.0, -0.25]])
    coefficients = np.array([[-math.inf, math.inf], [0.5, 1.0]])
    arguments = (offsets, constants, coefficients, "x", None, missing)
    first = [
        sum(constants[0][~np.isnan(row)]) if all(row[~np.isnan(row)] == np.array([0, 1])[~np.isnan(row)]) else -math.inf
        for row in x
    ]  # fmt: skip
    second = (~np.isnan(x)) @ constants[1] + np.nan_to_num(x) @ coefficients[1]
    expected = np.stack([offsets[0] + first, offsets[1] + second], axis=1)
    got = kernels.linear_log_joint(x, *arguments)
    np.testing.assert_allclose(got, expected, rtol=TOLERANCE[precision])
    counts, sums, _, objective = kernels.linear_em_sweep(x, None, *arguments)
    r = np.exp(expected - np.logaddexp.reduce(expected, axis=1)[:, None])
    np.testing.assert_allclose(counts, r.sum(axis=0), rtol=TOLERANCE[precision])
    np.testing.assert_allclose(sums, r.T @ np.nan_to_num(x), rtol=TOLERANCE[precision])
    assert objective == pytest.approx(
        float(np.logaddexp.reduce(expected, axis=1).sum()), rel=TOLERANCE[precision]
    )


@every_precision
@pytest.mark.parametrize(
    ("features", "storage"), [("x", "dense"), ("x", "sparse"), ("one_hot", "missing")]
)
@pytest.mark.parametrize("row", [0, 300, N_ROWS - 1])
def test_impossible_row_is_named(row: int, features: str, storage: str, precision: str) -> None:
    """The only row with something in the last column (the last code of its three), which no component allows."""
    levels = np.full(3, 3) if features == "one_hot" else None
    x = np.zeros((N_ROWS, 3), DTYPES[precision])
    x[row, 2] = 2
    coefficients = np.zeros((2, 3 if levels is None else 9))
    coefficients[:, -1] = -math.inf
    rows = as_sparse(x) if storage == "sparse" else x
    arguments = (
        np.zeros(2), np.zeros((2, 3)), coefficients, features, levels, storage == "missing",
    )  # fmt: skip
    with pytest.raises(ImpossibleRowError, match=f"row {row}: expected a positive density") as info:
        kernels.linear_em_sweep(rows, None, *arguments)
    assert info.value.row == row
    # a row of weight 0 is passed over
    weight = np.ones(N_ROWS)
    weight[row] = 0
    assert kernels.linear_em_sweep(rows, weight, *arguments)[0].sum() == N_ROWS - 1
    r, log_density = kernels.linear_responsibilities(rows, *arguments)
    assert log_density[row] == -math.inf
    assert np.isnan(r[row]).all()
    np.testing.assert_array_equal(np.delete(r, row, axis=0), 0.5)


@every_precision
def test_a_label_of_density_zero_is_impossible_though_another_component_allows_the_row(
    precision: str,
) -> None:
    x = np.array([[0], [1]], DTYPES[precision])
    arguments = (np.zeros(2), np.zeros((2, 1)), np.array([[0.0], [-math.inf]]), "x")
    labels = np.array([-1, 1], np.int32)
    with pytest.raises(ImpossibleRowError, match="row 1: "):
        kernels.linear_em_sweep(x, None, *arguments, labels=labels)
    assert kernels.linear_em_sweep(x, None, *arguments, labels=-labels)[0].sum() == 2


@every_precision
@pytest.mark.parametrize("features", ["x", "x_log_x", "cos_sin", "one_hot"])
def test_row_that_is_not_a_number_is_named_unless_entries_may_be_missing(
    features: str, precision: str
) -> None:
    p = problem(precision, features, "dense")
    x = p.rows.copy()
    x[301, 2] = math.nan
    with pytest.raises(ImpossibleRowError, match="row 301: "):
        p.sweep(x=x)
    counts, _, observed, _ = p.sweep(x=x, missing=True)
    assert observed is not None
    assert_near(counts.sum(), N_ROWS, TOLERANCE[precision])
    expected = np.full(5, N_ROWS, float)
    expected[2] -= 1
    assert_near(observed.sum(axis=0), expected, TOLERANCE[precision])


@every_precision
def test_row_without_any_entry_has_the_weights_as_posterior(precision: str) -> None:
    p = problem(precision, "x", "missing")
    r, log_density = kernels.linear_responsibilities(p.rows[7:8], *p.arguments)
    assert np.isnan(p.rows[7]).all()
    assert_near(r[0], np.exp(p.offsets), TOLERANCE[precision], 1.0)
    assert_near(log_density, [0.0], TOLERANCE[precision], 1.0)


def test_labels_of_equals_are_the_first() -> None:
    arguments = (np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2)), "x")
    np.testing.assert_array_equal(kernels.linear_labels(np.ones((5, 2)), *arguments), 0)
    counts, *_ = kernels.linear_em_sweep(np.ones((5, 2)), None, *arguments, hard=True)
    np.testing.assert_array_equal(counts, [5, 0, 0])


# -- the border

X = np.zeros((6, 2))
OFFSETS, CONSTANTS, COEFFICIENTS = np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2))
CODES = np.array([2, 3])
SWEEP: dict[str, Any] = {
    "x": X, "sample_weight": None, "offsets": OFFSETS, "constants": CONSTANTS, "coefficients": COEFFICIENTS,
    "features": "x",
}  # fmt: skip
BEGINS, COLUMNS, VALUES = np.arange(7), np.zeros(6, np.int32), np.ones(6)
WRONG_SWEEPS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"x": [[0.0]]}, TypeError, r"x: expected a NumPy array, got list"),
    ({"x": X[0]}, ValueError, r"x: expected 2 dimension\(s\), got shape \(2,\)"),
    ({"x": X.astype(int)}, TypeError, r"x: expected float32 or float64 in native byte order, got <i8"),
    ({"x": X.astype(">f8")}, TypeError, r"x: expected float32 or float64 in native byte order, got >f8"),
    ({"x": np.asfortranarray(X)}, ValueError, r"x: expected a C-contiguous array, got strides"),
    ({"x": np.zeros((6, 3))}, ValueError, r"constants: expected shape \(3, 3\), got \(3, 2\)"),
    ({"x": np.zeros((6, 0))}, ValueError, r"x: expected at least one feature, got shape \(6, 0\)"),
    ({"x": (BEGINS, COLUMNS)}, ValueError, r"x: expected \(begins, columns, values\), got 2 arrays"),
    ({"x": (BEGINS.astype(np.int32), COLUMNS, VALUES)}, TypeError, r"begins: expected int64 .*, got <i4"),
    ({"x": (BEGINS[:0], COLUMNS, VALUES)}, ValueError, r"begins: expected at least one entry, got none"),
    ({"x": (BEGINS, COLUMNS.astype(np.int64), VALUES)}, TypeError, r"columns: expected int32 .*, got <i8"),
    ({"x": (BEGINS, COLUMNS[1:], VALUES)}, ValueError, r"columns: expected shape \(6,\), got \(5,\)"),
    ({"x": (BEGINS, COLUMNS, VALUES.astype(int))}, TypeError, r"values: expected float32 or float64 .*, got <i8"),
    ({"x": (BEGINS[::-1].copy(), COLUMNS, VALUES)}, ValueError, r"x: expected begins that rise from 0 to at most 6"),
    ({"x": (BEGINS - 1, COLUMNS, VALUES)}, ValueError, r"x: expected begins that rise from 0 to at most 6"),
    ({"x": (BEGINS + 1, COLUMNS, VALUES)}, ValueError, r"x: expected begins that rise from 0 to at most 6"),
    ({"x": (BEGINS, COLUMNS + 2, VALUES)}, ValueError, r"x: expected columns from 0 to 1, got 2"),
    ({"x": (BEGINS, COLUMNS - 1, VALUES)}, ValueError, r"x: expected columns from 0 to 1, got -1"),
    ({"x": (BEGINS, COLUMNS, VALUES), "missing": True}, ValueError, r"x: expected dense rows .*, got sparse rows"),
    ({"x": (BEGINS, COLUMNS, VALUES), "features": "cos_sin"}, ValueError, r"x: expected dense rows"),
    ({"sample_weight": np.ones(5)}, ValueError, r"sample_weight: expected shape \(6,\), got \(5,\)"),
    ({"sample_weight": np.ones(6, np.float32)}, TypeError, r"sample_weight: expected float64 .*, got <f4"),
    ({"offsets": np.zeros(2)}, ValueError, r"constants: expected shape \(2, 2\), got \(3, 2\)"),
    ({"offsets": None}, TypeError, r"offsets: expected a NumPy array, got NoneType"),
    ({"offsets": np.zeros(0)}, ValueError, r"expected at least one component and one feature, got 0 and 2"),
    ({"constants": CONSTANTS.astype(np.float32)}, TypeError, r"constants: expected float64"),
    ({"constants": np.zeros(3)}, ValueError, r"constants: expected 2 dimension\(s\), got shape \(3,\)"),
    ({"coefficients": np.zeros((2, 2))}, ValueError, r"coefficients: expected shape \(3, 2\), got \(2, 2\)"),
    ({"features": "x_log_x"}, ValueError, r"coefficients: expected shape \(3, 4\), got \(3, 2\)"),
    ({"features": "cos_sin"}, ValueError, r"coefficients: expected shape \(3, 4\), got \(3, 2\)"),
    ({"features": "one_hot", "levels": CODES}, ValueError, r"coefficients: expected shape \(3, 5\), got \(3, 2\)"),
    ({"features": "round"}, ValueError, r"features: expected 'x', 'x_log_x', 'cos_sin' or 'one_hot', got 'round'"),
    ({"features": "one_hot"}, TypeError, r"levels: expected a NumPy array, got NoneType"),
    ({"features": "one_hot", "levels": CODES[:1]}, ValueError, r"levels: expected shape \(2,\), got \(1,\)"),
    ({"features": "one_hot", "levels": CODES - 2}, ValueError, r"levels: expected numbers >= 1, got 0"),
    ({"features": "one_hot", "levels": CODES.astype(np.int32)}, TypeError, r"levels: expected intp"),
    ({"levels": CODES}, ValueError, r"levels: expected None where features are not 'one_hot', got an array"),
    ({"labels": np.zeros(6, int)}, TypeError, r"labels: expected int32 .*, got <i8"),
    ({"labels": np.zeros(5, np.int32)}, ValueError, r"labels: expected shape \(6,\), got \(5,\)"),
    ({"labels": np.full(6, 3, np.int32)}, ValueError, r"labels: expected labels below .* 3, got 3"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "error", "message"), WRONG_SWEEPS, ids=[row[2] for row in WRONG_SWEEPS]
)
def test_bad_argument_of_a_sweep_is_named(
    changed: dict[str, Any], error: type[Exception], message: str
) -> None:
    assert kernels.linear_em_sweep(**SWEEP)[0].sum() == pytest.approx(6)
    with pytest.raises(error, match=message):
        kernels.linear_em_sweep(**{**SWEEP, **changed})


@pytest.mark.parametrize(
    "function",
    [
        kernels.linear_log_joint, kernels.linear_responsibilities, kernels.linear_log_density,
        kernels.linear_labels,
    ],
)  # fmt: skip
def test_bad_arguments_of_the_functions_of_rows_are_named(function: Any) -> None:
    with pytest.raises(ValueError, match=r"coefficients: expected shape \(3, 2\), got \(3, 3\)"):
        function(X, OFFSETS, CONSTANTS, np.zeros((3, 3)), "x")
    with pytest.raises(TypeError, match=r"x: expected a NumPy array, got NoneType"):
        function(None, OFFSETS, CONSTANTS, COEFFICIENTS, "x")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, np.ones((5, 3)), "x"), ValueError, r"weights: expected shape \(6, 3\), got \(5, 3\)"),
        ((X, np.ones((6, 3), np.float32), "x"), TypeError, r"weights: expected float64 .*, got <f4"),
        ((X, np.ones((6, 0)), "x"), ValueError, r"expected at least one component and one feature, got 0 and 2"),
        ((X, np.ones((6, 3)), "one_hot"), TypeError, r"levels: expected a NumPy array, got NoneType"),
        (((BEGINS, COLUMNS + 2, VALUES), np.ones((6, 3)), "x", None, False, 2), ValueError,
         r"x: expected columns from 0 to 1, got 2"),
    ],
)  # fmt: skip
def test_bad_arguments_of_moments_are_named(
    arguments: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        kernels.linear_moments(*arguments)


@pytest.mark.parametrize("storage", ["dense", "sparse"])
def test_another_thread_runs_during_one_call(storage: str) -> None:
    """It sets the first and the last row to the same new value, again and again, while a kernel reads the rows.

    With the GIL held a call would see the two rows equal, always.
    """
    x = np.random.default_rng(13).uniform(1, 2, size=(20_000, 16))
    x[-1] = x[0]
    rows = as_sparse(x) if storage == "sparse" else x
    values = rows[2].reshape(x.shape) if storage == "sparse" else x
    coefficients = np.random.default_rng(14).normal(size=(16, 16))
    arguments = (np.zeros(16), np.zeros((16, 16)), coefficients, "x")
    done = threading.Event()

    def write() -> None:
        value = 0
        while not done.wait(0.0001):
            value += 1
            values[[0, -1], 0] = value % 1000

    other = threading.Thread(target=write)
    other.start()
    try:
        differed = False
        for _ in range(200):  # a loaded machine may need more than one call
            log_density = kernels.linear_log_density(rows, *arguments)
            differed = bool(log_density[0] != log_density[-1])
            if differed:
                break
    finally:
        done.set()
        other.join()
    assert differed
    log_density = kernels.linear_log_density(rows, *arguments)
    assert log_density[0] == log_density[-1]
