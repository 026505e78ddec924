"""Fits of mixtures to data in parts: the same as in memory, whatever the parts, and clear where they cannot be."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from pyarrow import parquet

import latentcore
from estimators.drawn_rows import COUNTS, NORMAL, N, Y, with_holes
from estimators.mixture_cases import (
    CASES,
    Case,
    assert_same,
    cases,
    missing_cases,
    sparse_cases,
)
from estimators.test_bayesian_mixture import DATA
from latentcore import (
    Batches,
    BayesianGaussianMixture,
    BayesianMixture,
    CategoricalMixture,
    GaussianMixture,
    PoissonHMM,
    PoissonMixture,
    engine,
)
from latentcore.engine import Progress
from latentcore.errors import ImpossibleRowError
from latentcore.estimators import survey
from latentcore.estimators.survey import InParts, Reader
from latentcore.parts import ChangedPartsError, LocalParts, Part

pytestmark = pytest.mark.filterwarnings("ignore:.*did not converge")
CUTS = [0, 7, 7, 8, 150, N]
"""Of parts with a few rows, none, one, and many."""
TOL = 1e-10
"""Of sums of some hundred numbers in another order, after a few iterations."""


def cut(
    x: Any, weight: Any = None, labels: Any = None, cuts: list[int] | None = None
) -> list[Part]:
    def of(values: Any, begin: int, end: int) -> Any:
        return None if values is None else values[begin:end]

    pairs = pairwise(CUTS if cuts is None else cuts)
    return [
        Part(x[a:b], of(weight, a, b), of(labels, a, b), number=i) for i, (a, b) in enumerate(pairs)
    ]


def both(make: Callable[[], Any], x: Any, cuts: Any = None, **given: Any) -> tuple[Any, Any]:
    """The same fit in memory and in parts."""
    parts = cut(x, given.get("sample_weight"), given.get("labels"), cuts)
    return make().fit(x, **given), make().fit(parts)


def assert_same_fit(parts: Any, memory: Any, tol: float = TOL) -> None:
    assert_same(parts, memory, rtol=tol, atol=tol)
    np.testing.assert_allclose(parts.lower_bounds_, memory.lower_bounds_, rtol=tol)
    assert parts.converged_ == memory.converged_
    assert parts.n_features_in_ == memory.n_features_in_


# -- equality ------------------------------------------------------------------------------------


@cases
@pytest.mark.parametrize(
    "options",
    [
        {"init_params": "kmeans"},
        {"init_params": "random", "prior": "weak", "n_init": 2},
        {"assignment": "hard", "prior": "weak", "equal_weights": True},
    ],
    ids=str,
)
def test_parts_are_the_whole(case: Case, options: dict[str, Any]) -> None:
    memory, parts = both(
        lambda: case.make(2, random_state=0, max_iter=8, tol=0.0, **options), case.x
    )
    assert_same_fit(parts, memory)
    assert parts.summary() == memory.summary()


@missing_cases
def test_weights_labels_and_missing_entries_are_those_of_the_rows(case: Case) -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 3, N) * 0.75
    weight[7:8] = 0.0  # a part without rows that count
    memory, parts = both(
        lambda: case.make(2, random_state=0, max_iter=6, tol=0.0, prior="weak"),
        with_holes(case.x),
        sample_weight=weight,
        labels=np.where(rng.uniform(size=N) < 0.2, Y, -1),
    )
    assert_same_fit(parts, memory, 1e-9)  # the shares of missing entries are themselves sums


@sparse_cases
def test_sparse_parts_are_the_whole(case: Case) -> None:
    x = scipy.sparse.csr_array(case.x)
    memory, parts = both(lambda: case.make(2, random_state=0, max_iter=6, tol=0.0), x)
    assert_same_fit(parts, memory)


@pytest.mark.parametrize("family", DATA)
@pytest.mark.parametrize("concentrated", [False, True])
def test_posterior_of_parts_is_that_of_the_whole(family: str, concentrated: bool) -> None:
    x = DATA[family]
    memory, parts = both(
        lambda: BayesianMixture(
            family, 3, random_state=0, max_iter=8, tol=0.0, n_init=2,
            optimize_concentration=concentrated,
        ),  # type: ignore[call-overload]
        x, cuts=[0, 50, 51, 51, len(x)],
    )  # fmt: skip
    assert_same_fit(parts, memory)
    for name, term in memory.elbo_terms_.items():
        np.testing.assert_allclose(parts.elbo_terms_[name], term, rtol=1e-8, atol=1e-8)
    concentrations = parts.weight_concentration_prior_, memory.weight_concentration_prior_
    np.testing.assert_allclose(*concentrations, rtol=1e-8)


@pytest.mark.parametrize("type_", ["full", "tied", "diag", "spherical", "tied_spherical"])
def test_gaussian_posterior_of_parts_is_that_of_the_whole(type_: Any) -> None:
    weight = np.random.default_rng(0).uniform(0.1, 2.0, N)
    memory, parts = both(
        lambda: BayesianGaussianMixture(
            3, covariance_type=type_, random_state=0, max_iter=8, tol=0.0
        ),
        NORMAL, sample_weight=weight,
    )  # fmt: skip
    for name in ("means_", "covariances_", "weights_", "degrees_of_freedom_", "covariance_prior_"):
        np.testing.assert_allclose(getattr(parts, name), getattr(memory, name), rtol=TOL, atol=TOL)
    assert parts.lower_bound_ == pytest.approx(memory.lower_bound_, rel=1e-12)


@pytest.mark.parametrize("case", [c for c in CASES if c.name != "by name"], ids=str)
def test_shards_as_parts_are_the_whole_bit_for_bit(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_SMALL_SHARD", 1)
    monkeypatch.setattr(engine, "_FEWEST_ROWS", 48)
    model = case.make(2, random_state=0, max_iter=5, tol=0.0, prior="weak")
    size = engine.rows_per_shard(N, model._work_per_row(case.x, 2))
    memory = model.fit(case.x)
    for n_threads in (1, 3):
        parts = case.make(
            2, random_state=0, max_iter=5, tol=0.0, prior="weak", n_threads=n_threads
        ).fit(Batches(case.x, batch_size=size))
        assert size == 50
        assert_same(parts, memory)
        assert parts.lower_bounds_ == memory.lower_bounds_


def test_warm_start_goes_on_from_memory_to_parts_and_back() -> None:
    def model(n: int) -> Any:
        return PoissonMixture(2, random_state=0, tol=0.0, max_iter=n, warm_start=True)

    once = model(6).fit(COUNTS)
    twice = model(2).fit(COUNTS).fit(cut(COUNTS)).fit(COUNTS)
    assert_same(twice, once, rtol=TOL)
    bayesian = BayesianGaussianMixture(2, random_state=0, tol=0.0, max_iter=6)
    resumed = BayesianGaussianMixture(2, random_state=0, tol=0.0, max_iter=3, warm_start=True)
    resumed.fit(NORMAL).fit(cut(NORMAL))
    np.testing.assert_allclose(resumed.means_, bayesian.fit(NORMAL).means_, rtol=TOL)


def test_float32_stays_and_is_widened_by_a_part_of_float64() -> None:
    narrow = NORMAL.astype(np.float32)
    assert GaussianMixture(2, random_state=0).fit(cut(narrow)).means_.dtype == np.float32
    mixed = [narrow[:100], NORMAL[100:]]
    whole = GaussianMixture(2, random_state=0).fit(np.concatenate(mixed))
    np.testing.assert_allclose(
        GaussianMixture(2, random_state=0).fit(mixed).means_, whole.means_, rtol=TOL
    )


def test_names_of_columns_are_learned() -> None:
    frames = [pd.DataFrame(NORMAL[a:b], columns=["a", "b"]) for a, b in ((0, 50), (50, N))]
    assert list(GaussianMixture(2).fit(frames).feature_names_in_) == ["a", "b"]


# -- starts from a sample ------------------------------------------------------------------------


def in_parts(n_rows: int, labels: Any = None, n_threads: int = 1, seed: int = 0) -> InParts:
    rows = np.arange(2.0 * n_rows).reshape(n_rows, 2)
    parts = cut(rows, None, labels, list(range(0, n_rows + 1, 500)))
    reader = Reader(2, "test", missing=False, sparse=False)
    return InParts(LocalParts(lambda: parts, n_threads), reader, np.random.RandomState(seed))


def test_sample_is_drawn_from_all_rows_and_stands_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "_SAMPLED_ROWS", 1000)
    sample = in_parts(20_000).sample()
    assert sample.sample_weight is not None
    np.testing.assert_allclose(sample.total_weight(), 20_000)
    assert len(sample) == pytest.approx(1000, abs=5 * np.sqrt(1000))
    by_part = np.bincount(sample.x[:, 0].astype(int) // 1000, minlength=40)
    assert by_part.min() > 25 - 5 * 5
    assert by_part.max() < 25 + 5 * 5
    assert len(np.unique(sample.x[:, 0] % 1000)) > 300, "not the same places in all parts"
    np.testing.assert_array_equal(in_parts(20_000, n_threads=3).sample().x, sample.x)
    assert len(np.intersect1d(in_parts(20_000, seed=1).sample().x, sample.x)) < 300


def test_sample_has_rows_of_rare_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "_SAMPLED_ROWS", 1000)
    labels = np.zeros(20_000, int)
    labels[[3, 600, 19_999]] = 1
    sample = in_parts(20_000, labels).sample()
    assert sample.labels is not None
    assert (sample.labels == 1).sum() == 3
    assert sample.sample_weight is not None
    assert sample.sample_weight[sample.labels == 1] == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_value_that_no_sampled_row_has_is_possible(
    init_params: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_SAMPLED_ROWS", 150)
    rng = np.random.default_rng(0)
    x = rng.integers(2, size=(4000, 2))
    x[[7, 2001], 0] = [4, 3]
    x[1000, 1] = 2
    arguments: Any = {"init_params": init_params, "max_iter": 20, "random_state": 0}
    codes = CategoricalMixture(2, **arguments).fit(Batches(x, batch_size=300))
    shares = codes.weights_ @ codes.probabilities_
    observed = [np.bincount(x[:, d]) / len(x) for d in range(2)]
    np.testing.assert_allclose(shares, np.concatenate(observed), rtol=1e-6, atol=1e-12)
    counts = np.column_stack([x[:, 0], np.arange(4000) == 2500])
    rates = PoissonMixture(2, **arguments).fit(Batches(counts, batch_size=300))
    np.testing.assert_allclose(rates.weights_ @ rates.rates_, counts.mean(axis=0), rtol=1e-6)


def test_fit_from_a_sample_ends_where_that_from_all_rows_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(survey, "_SAMPLED_ROWS", 150)
    x = np.tile(NORMAL, (5, 1))
    for make in (GaussianMixture, BayesianGaussianMixture):
        arguments: Any = {"random_state": 0, "tol": 1e-9, "max_iter": 5000}
        memory = make(2, **arguments).fit(x)
        parts = make(2, **arguments).fit(Batches(x, batch_size=300))
        order = np.argsort(parts.means_[:, 0]), np.argsort(memory.means_[:, 0])
        np.testing.assert_allclose(
            parts.means_[order[0]], memory.means_[order[1]], rtol=1e-3, atol=1e-3
        )


# -- bad parts -----------------------------------------------------------------------------------


def spoiled(row: int, value: float, x: Any = NORMAL) -> Any:
    x = x.copy()
    x[row, 1] = value
    return x


@pytest.mark.parametrize(
    ("model", "parts", "message"),
    [
        (GaussianMixture(2), cut(spoiled(200, np.inf)), "part 4: Input X contains inf.* row 50, column 1"),
        (GaussianMixture(2), cut(np.full_like(NORMAL, np.nan)), "X: expected at least one number in each col"),
        (GaussianMixture(2), [NORMAL, NORMAL[:, :1]], "part 1: X: expected the same columns in all parts, 2, got 1"),
        (
            GaussianMixture(2),
            [NORMAL, pd.DataFrame(NORMAL, columns=["a", "b"])],
            r"part 1: X: expected the same names of columns in all parts, None, got \['a', 'b'\]",
        ),
        (PoissonMixture(2), [COUNTS, scipy.sparse.csr_array(COUNTS)], "part 1: X: expected the same kind of array"),
        (GaussianMixture(2), [NORMAL, np.array([["a", "b"]])], "part 1: X: expected numbers, got strings"),
        (PoissonMixture(2), cut(spoiled(9, -1.0, COUNTS)), "part 3: X: expected .* row 1"),
        (PoissonMixture(2), cut(spoiled(9, 0.5, COUNTS)), "part 3: X: expected .* row 1"),
        (CategoricalMixture(2), cut(spoiled(9, 2.5, COUNTS)), "part 3: X: expected .* row 1"),
        (CategoricalMixture(2), cut(spoiled(9, -1.0, COUNTS)), "part 3: X: expected codes.* row 1"),
        (GaussianMixture(2), cut(NORMAL, np.zeros(N)), "sample_weight: expected a positive weight"),
        (GaussianMixture(2), cut(NORMAL, -np.ones(N)), "part 0: sample_weight: expected finite weights >= 0, got -1.0"),
        (GaussianMixture(2), cut(NORMAL, None, np.full(N, 2)), "part 0: labels: expected integers from 0"),
        (GaussianMixture(2), cut(NORMAL, None, np.zeros(N, int)), "labels: expected every label.*1 never occurs"),
        (GaussianMixture(2), [Part(NORMAL, np.ones(3))], r"part 0: sample_weight: expected shape \(400,\)"),
        (GaussianMixture(2), [NORMAL[:1]], "at least 2 rows"),
        (GaussianMixture(3), [NORMAL[:1], NORMAL[1:2]], "n_components = 3, n_samples = 2"),
        (GaussianMixture(2), [Part(NORMAL[:0])], "X: expected at least one row in at least one part, got none"),
        (GaussianMixture(2), lambda: iter([]), "X: expected at least one row in at least one part, got none"),
        (GaussianMixture(2), (x for x in [NORMAL]), "again and again.*pass a list, or a function"),
        (BayesianGaussianMixture(2, batch_size=10), cut(spoiled(200, np.inf)), "part 4: Input X contains inf.* row 50"),
        (GaussianMixture(2, warm_start=True).fit(COUNTS), cut(NORMAL), "X has 2 features, but Gauss.* expecting 3"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("n_threads", [1, 2])
def test_bad_parts_are_named_and_nothing_changes(
    model: Any, parts: Any, message: str, n_threads: int
) -> None:
    if hasattr(parts, "__next__") and n_threads == 2:
        parts = iter([])
    model.set_params(n_threads=n_threads)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(parts)
    assert vars(model) == before


def test_whats_given_beside_parts_is_refused() -> None:
    for name in ("sample_weight", "labels"):
        with pytest.raises(ValueError, match=f"{name}: expected None with X in parts"):
            GaussianMixture(2).fit(cut(NORMAL), **{name: Y})  # type: ignore[arg-type]
    for model in (GaussianMixture(2), BayesianGaussianMixture(2)):
        with pytest.raises(TypeError, match="X: expected a matrix, got parts; use fit"):
            model.fit_predict(cut(NORMAL))


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (GaussianMixture, "groups"),
        (GaussianMixture, "lengths"),
        (BayesianGaussianMixture, "labels"),
    ],
)
def test_parts_have_no_arguments_that_the_model_does_not_take(make: Any, argument: str) -> None:
    given: Any = {argument: Y}
    parts = [Part(NORMAL), Part(NORMAL, **given)]
    message = f"1: {argument}: expected None, as this model takes no {argument}, got some"
    for fit in (make(2).fit, make(2).partial_fit):
        with pytest.raises(ValueError, match=message):
            fit(parts)


def test_impossible_row_is_named_by_its_part_and_place() -> None:
    x = np.zeros((N, 3))
    x[200] = 5.0
    weight = np.ones(N)
    weight[[150, 160, 300]] = 0.0
    for weights in (None, weight):
        model = PoissonMixture.from_params([0.5, 0.5], np.zeros((2, 3))).set_params(warm_start=True)
        with pytest.raises(ImpossibleRowError, match=r"^part 4, row 50: expected a positive"):
            model.fit(cut(x, weights))


# -- failures on the way -------------------------------------------------------------------------


class Failing:
    """Parts of which the second raises, or is gone, in one pass."""

    def __init__(self, in_pass: int, error: BaseException | None) -> None:
        self.n_passes = 0
        self.in_pass = in_pass
        self.error = error

    def __call__(self) -> Iterator[Any]:
        self.n_passes += 1
        yield NORMAL[:300]
        if self.n_passes == self.in_pass:
            if self.error is None:
                return
            raise self.error
        yield NORMAL[300:]


FAILURES = [KeyboardInterrupt(), OSError("gone"), None]
makers = pytest.mark.parametrize("make", [GaussianMixture, BayesianGaussianMixture])


@makers
@pytest.mark.parametrize("failure", FAILURES, ids=repr)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_interrupted_fit_keeps_its_last_iteration(
    make: Any, failure: BaseException | None, n_threads: int, tmp_path: Path
) -> None:
    arguments: Any = {"random_state": 0, "tol": 0.0, "n_threads": n_threads}
    counted = Failing(0, None)
    whole = make(2, **arguments, max_iter=3).fit(counted)
    failing = Failing(counted.n_passes, failure)  # after three steps, where the whole fit ended
    model = make(2, **arguments)
    expected = ChangedPartsError if failure is None else type(failure)
    with pytest.raises(expected) as caught:
        model.fit(failing)
    if failure is None:
        assert "with 400 rows (of positive weight) as in the first, got 300" in str(caught.value)
    np.testing.assert_array_equal(model.means_, whole.means_)
    assert model.n_iter_ == 3
    assert not model.converged_
    assert np.isfinite(model.lower_bound_)
    assert "did not converge, 3 iterations" in model.summary()
    model.save(tmp_path / "model.npz")
    for copy in (latentcore.load(tmp_path / "model.npz"), pickle.loads(pickle.dumps(model))):
        assert copy.n_iter_ == 3
        np.testing.assert_array_equal(copy.predict(NORMAL), whole.predict(NORMAL))
    model.set_params(warm_start=True, max_iter=2).fit(Failing(0, None))
    np.testing.assert_allclose(
        model.means_, make(2, **arguments, max_iter=5).fit(counted).means_, rtol=1e-12
    )


@makers
def test_fit_interrupted_at_the_end_is_kept_too(make: Any) -> None:
    counted = Failing(0, None)
    whole = make(2, random_state=0, tol=1e-3).fit(counted)
    model = make(2, random_state=0, tol=1e-3)
    with pytest.raises(KeyboardInterrupt):
        model.fit(Failing(counted.n_passes, KeyboardInterrupt()))  # in the pass for summary()
    np.testing.assert_array_equal(model.means_, whole.means_)
    assert model.converged_
    assert model.n_iter_ == whole.n_iter_


@pytest.mark.parametrize("model", [PoissonMixture(2), BayesianGaussianMixture(2), PoissonHMM(2)])
@pytest.mark.parametrize("wider_from", [2, 3, 5])
def test_parts_that_get_wider_are_told(model: Any, wider_from: int) -> None:
    n_passes = 0

    def source() -> Iterator[Any]:
        nonlocal n_passes
        n_passes += 1
        yield COUNTS[:300]
        yield COUNTS[300:] if n_passes < wider_from else np.hstack([COUNTS[300:]] * 2)

    with pytest.raises(ChangedPartsError, match=r"part 1: X: .*, with 3 columns as .*, got 6"):
        model.fit(source)


@makers
@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_failure_before_the_first_step_changes_nothing(
    make: Any, failure: BaseException | None
) -> None:
    for in_pass in (2, 3, 4):
        model = make(2, random_state=0).fit(COUNTS)
        before = dict(vars(model))
        failing = Failing(in_pass, failure)
        with pytest.raises((KeyboardInterrupt, OSError, ValueError)):
            model.fit(failing)
        assert failing.n_passes == in_pass
        if model.n_features_in_ == 3:
            assert vars(model) == before
            return
    raise AssertionError("never before the first step")


def test_later_start_interrupted_leaves_the_best_so_far() -> None:
    n_steps = 0

    def stop(progress: Progress) -> None:
        nonlocal n_steps
        n_steps += 1
        if progress.restart == 2:
            raise KeyboardInterrupt

    arguments: Any = {"random_state": 0, "tol": 0.0, "max_iter": 4, "init_params": "random"}
    model = GaussianMixture(2, n_init=9, **arguments)
    with pytest.raises(KeyboardInterrupt):
        model.fit(cut(NORMAL), callback=stop)
    assert n_steps == 9
    assert_same(model, GaussianMixture(2, n_init=2, **arguments).fit(cut(NORMAL)))


# -- progress, memory ----------------------------------------------------------------------------


@makers
def test_progress_tells_rows_and_seconds(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[Progress] = []
    model = make(2, random_state=0, max_iter=4, tol=0.0, n_init=2, verbose=1, verbose_interval=2)
    model.fit(cut(NORMAL), callback=told.append)
    assert [(p.restart, p.iteration) for p in told] == [
        (r, i) for r in (0, 1) for i in (1, 2, 3, 4)
    ]
    assert all(p.n_rows == N and p.seconds > 0 for p in told)
    assert all(p.rows_per_second() == N / p.seconds for p in told)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(f"  Iteration 2\t lower bound {told[1].objective:.5f}\t ")
    assert lines[1].endswith(" rows/s")
    model.fit(NORMAL, callback=told.append)
    assert told[-1].n_rows is None
    assert told[-1].rows_per_second() is None


PEAKS = """
import resource, sys
import numpy as np
from latentcore import Batches, GaussianMixture

for path in sys.argv[1:]:  # small first
    data = Batches(path, batch_size=1 << 14)
    GaussianMixture(4, max_iter=2, tol=0.0, random_state=0, init_params="random_from_data").fit(data)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)
"""


def output_of(program: str, *arguments: Any) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_memory_of_a_fit_does_not_grow_with_the_file(tmp_path: Path) -> None:
    paths = [tmp_path / "small.parquet", tmp_path / "large.parquet"]
    columns = dict(zip("abcdefgh", np.random.default_rng(0).normal(size=(8, 1 << 16)), strict=True))
    table = pa.table(columns)
    for path, n_groups in zip(paths, (8, 48), strict=True):
        with parquet.ParquetWriter(path, table.schema, use_dictionary=False) as writer:
            for _ in range(n_groups):
                writer.write_table(table)
    extra = paths[1].stat().st_size - paths[0].stat().st_size
    assert extra > 150 << 20
    small, large = map(int, output_of(PEAKS, *paths).split())
    assert large - small < extra / 8


LIMITED = """
import resource, sys
import numpy as np
from latentcore import GaussianMixture

model = GaussianMixture(4, max_iter=1, tol=0.0, random_state=0, init_params="random_from_data", n_threads=2)
rng = np.random.default_rng(0)
model.fit(rng.normal(size=(300_000, 8))).fit([rng.normal(size=(1000, 8))] * 8)  # all threads have begun
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
limit = (used << 10) + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.ones(int(sys.argv[2]) // 8 + (1 << 20))
except MemoryError:
    print("limited")
model.set_params(warm_start=True).fit(np.load(sys.argv[1], mmap_mode="r"))  # whose start would look at all rows
print(model._training.n_rows)
model.set_params(warm_start=False).fit(sys.argv[1])
print(model._training.n_rows)
"""


def test_mapped_file_ten_times_as_large_as_memory_is_fitted(tmp_path: Path) -> None:
    """What is mapped counts as no memory of the process; what a fit makes beside it does."""
    path, limit, n_rows = tmp_path / "rows.npy", 40 << 20, 25 << 18
    x = np.lib.format.open_memmap(path, "w+", np.float64, (n_rows, 8))
    x[: 1 << 16] = np.random.default_rng(0).normal(
        size=(1 << 16, 8)
    )  # the others are holes in the file
    assert x.nbytes == 10 * limit
    del x
    assert output_of(LIMITED, path, limit).split() == ["limited", str(n_rows), str(n_rows)]


# -- partial_fit ---------------------------------------------------------------------------------


@makers
def test_partial_fit_makes_a_step_for_each_batch(make: Any, tmp_path: Path) -> None:
    weight = np.random.default_rng(0).uniform(0.5, 1.5, N)
    frame = pd.DataFrame(NORMAL, columns=["a", "b"])
    frame.assign(w=weight).to_parquet(tmp_path / "rows.parquet", row_group_size=33)
    by_hand = make(2, random_state=0)
    for a, b in pairwise(range(0, N + 1, 100)):
        by_hand.partial_fit(frame[a:b], sample_weight=weight[a:b])
    sources = (
        Batches(tmp_path / "rows.parquet", batch_size=100, sample_weight="w"),
        (Part(frame[a:b], sample_weight=weight[a:b]) for a, b in pairwise(range(0, N + 1, 100))),
    )
    for source in sources:
        model = make(2, random_state=0).partial_fit(source)
        np.testing.assert_array_equal(model.means_, by_hand.means_)
        assert model.n_iter_ == by_hand.n_iter_ == 4
        assert list(model.feature_names_in_) == ["a", "b"]
    with pytest.raises(ValueError, match="sample_weight: expected None with X in parts"):
        make(2).partial_fit([NORMAL], sample_weight=weight)


@makers
def test_bad_batch_is_named_and_the_steps_before_it_stay(make: Any) -> None:
    model = make(2, random_state=0)
    with pytest.raises(ValueError, match=r"^batch 2: X has 3 features, but .* is expecting 2"):
        model.partial_fit(batch for batch in (NORMAL[:200], NORMAL[200:], COUNTS))
    assert model.n_iter_ == 2
