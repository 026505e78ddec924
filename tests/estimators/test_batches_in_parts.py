"""Stochastic variational inference on parts: that of memory where all rows are at hand, and near it elsewhere."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from estimators.drawn_rows import COUNTS, NORMAL, N
from estimators.test_bayesian_mixture import DATA
from estimators.test_fit_in_parts import FAILURES, Failing, cut
from latentcore import Batches, BayesianGaussianMixture, BayesianMixture
from latentcore.arrays import Rows
from latentcore.engine import Progress
from latentcore.errors import ImpossibleRowError
from latentcore.estimators import epochs, survey
from latentcore.estimators.components import arrays_of
from latentcore.estimators.epochs import NumberedRows, batches_there, shuffled_batches, sizes_of
from latentcore.parts import ChangedPartsError, Part, Parts
from latentcore.statistics import Statistics

pytestmark = pytest.mark.filterwarnings("ignore:.*did not converge")
WEIGHT = np.random.default_rng(0).integers(0, 3, N) * 0.75


@dataclass(frozen=True)
class Elsewhere(Parts[Any]):
    """Parts that are held where nothing comes but what can be pickled."""

    items: list[Any]

    def then(self, function: Callable[[Any], Any]) -> Elsewhere:
        return Elsewhere(list(self.map(function)))

    def map(self, function: Callable[[Any], Any]) -> Iterator[Any]:
        sent = pickle.dumps(function)
        for item in self.items:
            yield pickle.loads(pickle.dumps(pickle.loads(sent)(item)))


def gaussian(**arguments: Any) -> Any:
    return BayesianGaussianMixture(
        3, **{"random_state": 0, "tol": 0.0, "max_iter": 3, "batch_size": 70} | arguments
    )


def numbers_of(model: Any) -> Any:
    arrays = [np.ravel(array) for _, array in arrays_of(model.posterior_.components)]
    return np.concatenate([*arrays, model.weights_, model.lower_bounds_])


def assert_same_fit(model: Any, expected: Any, rtol: float = 1e-10) -> None:
    """The tolerance is that of priors and bounds, which are sums over the parts."""
    np.testing.assert_allclose(numbers_of(model), numbers_of(expected), rtol=rtol, atol=rtol)
    assert (model.n_iter_, model._course.n_steps) == (expected.n_iter_, expected._course.n_steps)


# -- equality ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", DATA)
@pytest.mark.parametrize("options", [{}, {"n_init": 2, "optimize_concentration": True}], ids=str)
def test_rows_that_are_held_together_give_the_fit_of_memory_and_one_part_bit_for_bit(
    family: Any, options: dict[str, Any]
) -> None:
    x = DATA[family]

    def make() -> Any:
        return BayesianMixture(
            family, 3, random_state=0, max_iter=3, tol=0.0, batch_size=25, **options
        )

    memory = make().fit(x)
    for parts in (
        cut(x, cuts=[0, 0, 50, 51, len(x)]),
        Batches(x, batch_size=33),
        lambda: iter([x]),
    ):
        assert_same_fit(make().fit(parts), memory)
    for parts in ([Part(x)], Elsewhere([Part(x)])):  # type: ignore[assignment]
        assert_same_fit(make().fit(parts), memory, 0.0)


@pytest.mark.parametrize("type_", ["full", "tied", "diag", "spherical", "tied_spherical"])
@pytest.mark.parametrize("batch_size", [70, 100, N, 10**6])
def test_weights_are_those_of_the_rows(type_: Any, batch_size: int) -> None:
    memory = gaussian(covariance_type=type_, batch_size=batch_size)
    memory.fit(NORMAL, sample_weight=WEIGHT)
    for n_threads in (1, 3):
        parts = gaussian(covariance_type=type_, batch_size=batch_size, n_threads=n_threads)
        assert_same_fit(parts.fit(cut(NORMAL, WEIGHT)), memory)
    assert_same_fit(
        gaussian(covariance_type=type_, batch_size=batch_size).fit(Elsewhere([Part(NORMAL, WEIGHT)])), memory
    )  # fmt: skip


def test_files_and_sparse_rows_are_read_in_batches(tmp_path: Path) -> None:
    frame = pd.DataFrame(NORMAL, columns=["a", "b"]).assign(w=WEIGHT)
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=33)
    file = gaussian().fit(Batches(tmp_path / "rows.parquet", batch_size=64, sample_weight="w"))
    assert_same_fit(file, gaussian().fit(frame[["a", "b"]], sample_weight=WEIGHT))
    assert list(file.feature_names_in_) == ["a", "b"]
    sparse: Any = BayesianMixture("poisson", 2, batch_size=70, random_state=0, max_iter=3, tol=0.0)
    numbers = numbers_of(sparse.fit(scipy.sparse.csr_array(COUNTS)))
    in_parts = numbers_of(sparse.fit(cut(scipy.sparse.csr_array(COUNTS))))
    np.testing.assert_allclose(in_parts, numbers, rtol=1e-10)


@pytest.mark.parametrize("kind", [list, Elsewhere])
def test_start_is_that_of_a_fit_without_batches(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "_SAMPLED_ROWS", 150)
    starts = [
        gaussian(max_iter=0, batch_size=size).fit(kind(cut(NORMAL, WEIGHT))) for size in (None, 70)
    ]
    assert_same_fit(*starts)


# -- the rows of an epoch ------------------------------------------------------------------------


def numbered_rows(sizes: list[int]) -> list[NumberedRows]:
    """Rows that hold their index."""
    ends = np.cumsum([0, *sizes])
    return [
        NumberedRows(np.arange(float(a), b)[:, None], number=3 * i)
        for i, (a, b) in enumerate(pairwise(ends.tolist()))
    ]


@pytest.mark.parametrize("window", [1, 30, 64, 1000])
@pytest.mark.parametrize("size", [1, 8, 50, 1000])
def test_windows_give_each_row_once_in_batches_of_the_size(window: int, size: int) -> None:
    sizes = [10, 0, 37, 1, 60, 5]
    n_read = n_given = most_held = 0

    def read() -> Iterator[Rows]:
        nonlocal n_read
        for part in numbered_rows(sizes):
            n_read += len(part)
            yield part

    batches = []
    for batch in shuffled_batches(read(), size, window, 0):
        most_held = max(most_held, n_read - n_given)
        n_given += len(batch)
        batches.append(batch.x[:, 0])
    n = sum(sizes)
    assert [len(batch) for batch in batches] == [size] * (n // size) + [n % size] * (n % size > 0)
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(n))
    assert most_held < window + max(sizes) + size
    again = [b.x[:, 0] for b in shuffled_batches(numbered_rows(sizes), size, window, 0)]
    assert all(map(np.array_equal, batches, again))


@dataclass(frozen=True, slots=True)
class Which(Statistics):
    """The indices of rows, as a mask."""

    rows: Any


@dataclass(frozen=True)
class Recorder:
    """A model whose statistics tell which rows there were."""

    n_rows: int

    def expected_statistics(self, params: Any, data: Rows) -> tuple[Which, float]:
        found = np.bincount(data.x[:, 0].astype(int), minlength=self.n_rows)
        return Which(found.astype(float)), float(len(data))


def rows_of_batches(sizes: list[int], size: int, seed: int, n_batches: int | None = None) -> Any:
    """(batches, rows): how often a batch has a row."""
    model: Any = Recorder(sum(sizes))
    parts = Elsewhere(numbered_rows(sizes))
    batches = batches_there(model, parts, sizes_of(parts), size, seed)
    made = [batch(None) for batch in islice(batches, n_batches)]
    assert all(
        log_likelihood == weight == stats.rows.sum() for stats, log_likelihood, weight in made
    )
    return np.array([stats.rows for stats, _, _ in made])


@pytest.mark.parametrize("size", [1, 8, 50, 1000])
@pytest.mark.parametrize("most", [10**9, 60])
def test_batches_of_parts_elsewhere_have_each_row_once(
    size: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "_MOST_TO_DRAW_FROM", most)
    sizes = [10, 0, 37, 1, 60, 5]
    found = rows_of_batches(sizes, size, 0)
    assert (found.sum(axis=0) == 1).all()
    if most > sum(sizes):
        assert (found[:-1].sum(axis=1) == size).all()
        assert len(found) == -(-sum(sizes) // size)
    assert (found.sum(axis=1) <= size).all()
    np.testing.assert_array_equal(found, rows_of_batches(sizes, size, 0))
    if size < 100:
        assert (found[0] != rows_of_batches(sizes, size, 1)[0]).any()


def test_batches_of_parts_elsewhere_are_drawn_from_all_rows_alike() -> None:
    """Each pair of rows is together in a batch as often as chance has it, of one part or of two."""
    sizes, size, n_seeds = [4, 6, 10], 5, 2000
    first = np.array([rows_of_batches(sizes, size, seed, 1)[0] for seed in range(n_seeds)])
    together = first.T @ first / n_seeds
    expected = np.where(np.eye(20) > 0, 5 / 20, 5 * 4 / (20 * 19))
    error = np.sqrt(expected * (1 - expected) / n_seeds)
    assert (np.abs(together - expected) < 5 * error).all()


def test_parts_elsewhere_need_numbers() -> None:
    with pytest.raises(ValueError, match=r"Part.number, with batch_size, got 2 parts with 1 num"):
        gaussian().fit(Elsewhere([Part(NORMAL), Part(NORMAL)]))


# -- where it ends -------------------------------------------------------------------------------


EASY = np.concatenate([np.random.default_rng(k).normal(6.0 * k, 1.0, (2000, 2)) for k in range(3)])
"""Sorted: the rows of each component one after another."""


@pytest.fixture(scope="module")
def easy() -> Any:
    return gaussian(batch_size=None, max_iter=200, tol=1e-6).fit(EASY)


@pytest.mark.parametrize(
    "parts",
    [
        Batches(EASY, batch_size=500),
        [EASY[a : a + 50] for a in range(0, 6000, 50)],
        lambda: np.split(np.random.default_rng(0).permutation(EASY), 10),
        Elsewhere([Part(EASY[a : a + 2000], number=a) for a in range(0, 6000, 2000)]),
    ],
    ids=["slices", "list", "function", "elsewhere"],
)
def test_posterior_comes_near_that_of_coordinate_ascent(
    parts: Any, easy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clusters are apart, so that the error is that of the latest steps, each some 1 % of a batch of 150 rows."""
    monkeypatch.setattr(survey, "_HELD_ENTRIES", 2000)
    monkeypatch.setattr("latentcore.sources._PIECE", 20)
    model = gaussian(max_iter=6, batch_size=150).fit(parts)
    order, expected = np.argsort(model.means_[:, 0]), np.argsort(easy.means_[:, 0])
    np.testing.assert_allclose(model.means_[order], easy.means_[expected], atol=0.1)
    np.testing.assert_allclose(model.weights_[order], easy.weights_[expected], atol=0.03)
    assert 0 < easy.lower_bound_ - model.lower_bound_ < 60  # 0.01 a row
    again = gaussian(max_iter=6, batch_size=150, n_threads=2).fit(parts)
    np.testing.assert_array_equal(again.means_, model.means_)
    other = gaussian(max_iter=6, batch_size=150, random_state=1).fit(parts)
    assert (np.sort(other.means_[:, 0]) != np.sort(model.means_[:, 0])).all()


def test_epochs_stop_by_the_bound_of_all_rows_and_are_told() -> None:
    told: list[Progress] = []
    model = gaussian(tol=1.0, max_iter=100, batch_size=50)
    model.fit(cut(NORMAL), callback=told.append)
    bounds = np.array(model.lower_bounds_)
    assert model.converged_
    assert model.n_iter_ == len(bounds) == len(told) < 100
    assert (np.abs(np.diff(bounds)) < 1.0).tolist() == [False] * (len(bounds) - 2) + [True]
    np.testing.assert_allclose([p.objective for p in told], bounds, rtol=1e-12)
    assert all(p.n_rows == N and p.seconds > 0 for p in told)
    terms = model.elbo_terms_
    total = terms["expected_log_joint"] + terms["entropy"] - terms["divergence_of_weights"]
    assert total - terms["divergence_of_components"].sum() == pytest.approx(model.lower_bound_)
    assert model._course.n_steps == 8 * model.n_iter_


# -- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_interrupted_fit_keeps_its_last_epoch(failure: Any, n_threads: int) -> None:
    counted = Failing(0, None)
    whole = gaussian(n_threads=n_threads).fit(counted)
    n_before = counted.n_passes - 3 * 2 - 1  # an epoch takes two, and the terms of the bound one
    for in_pass in range(1, counted.n_passes + 1):
        model = gaussian(n_threads=n_threads).fit(NORMAL[:200])
        before = dict(vars(model))
        expected = ChangedPartsError if failure is None else type(failure)
        if failure is None and in_pass == 1:
            continue  # then these are the rows
        with pytest.raises(expected):
            model.fit(Failing(in_pass, failure))
        n_done = min(3, max(0, in_pass - 1 - n_before) // 2)
        if n_done == 0:
            assert vars(model) == before
            continue
        assert model.n_iter_ == n_done
        np.testing.assert_allclose(model.lower_bounds_, whole.lower_bounds_[:n_done], rtol=1e-12)
        assert model.lower_bound_ == model.lower_bounds_[-1]
        if n_done == 3:
            np.testing.assert_array_equal(model.means_, whole.means_)
        else:
            early = gaussian(n_threads=n_threads, max_iter=n_done).fit(counted)
            np.testing.assert_array_equal(model.means_, early.means_)
            assert model._course == early._course


@pytest.mark.parametrize("kind", [list, Elsewhere])
def test_impossible_row_of_a_batch_is_named_by_its_place_among_all(kind: Any) -> None:
    prior = {"mean_prior": [0.0, 0.0], "covariance_prior": np.eye(2)}
    model = gaussian(**prior, warm_start=True).fit(NORMAL)
    x = NORMAL.copy()
    x[200] = 1e200
    before = dict(vars(model))
    with pytest.raises(ImpossibleRowError, match=r"^row 200: expected"):
        model.fit(x)
    with pytest.raises(ImpossibleRowError, match=r"^part 4, row 50: expected"):
        model.fit(kind(cut(x, WEIGHT + 1.0)))
    assert vars(model) == before


def test_part_that_changes_is_named_as_it_was_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though windows take parts in another order."""
    monkeypatch.setattr(survey, "_HELD_ENTRIES", 40)
    parts: list[Any] = np.split(NORMAL, 20)

    def spoil(progress: Progress) -> None:
        parts[7] = np.hstack([parts[7]] * 2)

    with pytest.raises(ChangedPartsError, match=r"^part 7: X: .*, with 2 columns as .*, got 4"):
        gaussian(max_iter=9).fit(parts, callback=spoil)
