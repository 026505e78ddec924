"""Starts of every family: rows that are possible, also sparse ones, with missing entries, few, or many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from initialization.expected import METHODS
from latentcore.arrays import CSR, Rows
from latentcore.families.gaussian import Gaussian
from latentcore.families.poisson import Poisson
from latentcore.initialization import (
    InitMethod,
    initial_statistics,
    starts,
)
from latentcore.structures.mixture import Mixture
from laws.cases import PRECISIONS, ByBlocks, Case, assert_identical, assert_near, cases, every_case


def started(case: Case, data: Rows, method: InitMethod, n_components: int = 3) -> Any:
    """The start's model, parameters and statistics; Gaussians have the floor that estimators give them."""
    family = case.of.family
    if isinstance(family, Gaussian):
        family = replace(family, reg_covar=1e-6)
    elif isinstance(getattr(family, "family", None), Gaussian):
        family = ByBlocks(replace(family.family, reg_covar=1e-6))
    stats = initial_statistics(
        family, data, n_components, method, np.random.RandomState(1), allow_repeats=True
    )
    return Mixture(family), Mixture(family).maximize(stats), stats


def with_gaps(x: Any) -> Any:
    """A third of the entries missing, and one row entirely."""
    x = x.copy()
    x[np.random.default_rng(7).uniform(size=x.shape) < 0.3] = np.nan
    x[5] = np.nan
    return x


@every_case
@pytest.mark.parametrize("method", METHODS)
def test_every_row_is_possible_at_the_start(case: Case, method: InitMethod) -> None:
    data = case.weighted_rows
    model, params, stats = started(case, data, method)
    assert np.isfinite(model.log_density(params, data.x)).all()
    assert (stats.counts > 0).all()


@cases(lambda of: of.missing, dtypes=PRECISIONS)
@pytest.mark.parametrize("method", METHODS)
def test_every_row_with_missing_entries_is_possible_at_the_start(
    case: Case, method: InitMethod
) -> None:
    rows = case.weighted_rows
    data = replace(rows, x=with_gaps(rows.x))
    model, params, stats = started(case, data, method)
    assert np.isfinite(model.log_density(params, data.x)).all()
    assert (stats.counts > 0).all()


@every_case
@pytest.mark.parametrize("method", METHODS)
def test_more_components_than_rows_all_begin_somewhere(case: Case, method: InitMethod) -> None:
    data = case.rows.take(np.arange(2))
    model, params, stats = started(case, data, method)
    assert np.isfinite(model.log_density(params, data.x)).all()
    assert (stats.counts > 0).all()
    with pytest.raises(ValueError, match=r"^n_components: expected between 1 and .* 2, got 3$"):
        initial_statistics(case.of.family, data, 3, method, np.random.RandomState(0))


@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random_from_data"])
def test_components_beyond_the_rows_are_shared_out_among_them(method: InitMethod) -> None:
    """Rows 0 and 100, seven components: four on the one and three on the other, a tenth of each in common."""
    data = Rows(np.array([[0.0], [100.0]]))
    stats = initial_statistics(
        Gaussian(), data, 7, method, np.random.RandomState(0), allow_repeats=True
    )
    np.testing.assert_allclose(stats.counts, 1.0)
    means = sorted(stats.components.means[:, 0])
    assert means in (pytest.approx([5] * 4 + [95] * 3), pytest.approx([5] * 3 + [95] * 4))


def test_start_of_a_family_is_nine_tenths_its_clusters_and_one_tenth_all_rows() -> None:
    x = np.repeat([[0.0, 3.0], [100.0, 0.0]], [30, 10], axis=0)
    for weight in (None, np.full(40, 2.0)):
        stats = initial_statistics(
            Poisson(), Rows(x, weight), 2, "kmeans", np.random.RandomState(0)
        )
        scale = 1 if weight is None else 2
        order = np.argsort(stats.counts)
        np.testing.assert_allclose(stats.counts[order], scale * np.array([9 + 2, 27 + 2]))
        pooled = 0.1 * np.array([1000 / 2, 90 / 2])
        sums = np.array([[900 + pooled[0], pooled[1]], [pooled[0], 81 + pooled[1]]])
        np.testing.assert_allclose(stats.components.sums[order], scale * sums)


@every_case
@pytest.mark.parametrize("method", METHODS)
def test_absent_rows_of_any_family_change_nothing(case: Case, method: InitMethod) -> None:
    rows = case.weighted_rows
    weight = rows.sample_weight
    assert weight is not None
    weight[::3] = 0
    labels = np.where(np.arange(len(rows)) % 20 < 2, np.arange(len(rows)) % 3, -1).astype(np.int32)
    for data in (rows, replace(rows, labels=labels)):
        all_rows, present = (
            initial_statistics(case.of.family, d, 3, method, np.random.RandomState(4))
            for d in (data, data.take(weight > 0))
        )
        assert_near(all_rows, present, 1e-3 if case.dtype is np.float32 else 1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("labelled", [False, True], ids=["unlabelled", "labelled"])
def test_number_of_threads_changes_no_bit_of_a_family(method: InitMethod, labelled: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.poisson(rng.uniform(1, 20, size=(5, 4))[rng.integers(5, size=70_000)]).astype(float)
    labels = rng.integers(-9, 5, len(x)).clip(-1).astype(np.int32) if labelled else None
    one, three = (
        initial_statistics(
            Poisson(), Rows(x, labels=labels), 6, method, np.random.RandomState(3), n_threads=n
        )
        for n in (1, 3)
    )
    assert_identical(one, three)


# -- samples of the rows


class Watched:
    """A Poisson family that tells how many rows it embeds."""

    def __init__(self) -> None:
        self.embedded: list[int] = []
        self.expected_statistics = Poisson().expected_statistics

    def embedding(self, x: Any) -> Any:
        self.embedded.append(len(x))
        return x.toarray() if isinstance(x, CSR) else x


def own_words(n: int) -> CSR:
    """Documents of two words in common, by kind, and one that no other has."""
    columns = np.column_stack([np.arange(n) % 2, 2 + np.arange(n)]).ravel().astype(np.int32)
    return CSR(np.ones(2 * n), columns, np.arange(0, 2 * n + 1, 2), n + 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("limit", [1, 1 << 22], ids=["sample", "all rows"])
def test_words_of_one_document_leave_every_document_possible(
    method: InitMethod, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "_EMBEDDED_ELEMENTS", limit)
    words = own_words(300)
    stats = initial_statistics(Poisson(), Rows(words), 2, method, np.random.RandomState(0))  # type: ignore[arg-type]
    params = Poisson().maximize(stats.components, None)
    assert np.isfinite(Poisson().log_likelihood(params, words)).all()  # type: ignore[arg-type]
    dense = initial_statistics(
        Poisson(), Rows(words.toarray()), 2, method, np.random.RandomState(0)
    )
    assert_near(stats, dense, 1e-13)


@pytest.mark.parametrize("method", ["kmeans", "k-means++"])
@pytest.mark.parametrize(
    ("limit", "n_embedded"), [(1, 20), (2 * 123, 123), (2 * 500, 500), (2 * 501, 500)]
)
def test_kmeans_sees_as_many_rows_as_fit(
    method: InitMethod, limit: int, n_embedded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "_EMBEDDED_ELEMENTS", limit)
    x = np.random.default_rng(0).poisson(4.0, size=(500, 2)).astype(float)
    family: Any = Watched()
    stats = initial_statistics(family, Rows(x), 2, method, np.random.RandomState(0))
    assert family.embedded == [20, n_embedded]
    assert stats.counts.sum() == pytest.approx(n_embedded if method == "kmeans" else 2)


def test_sample_has_rows_of_every_label_and_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels 0 and 1 are rare, and so are the rows of component 3, which has no labels."""
    monkeypatch.setattr(starts, "_EMBEDDED_ELEMENTS", 1)
    rng = np.random.default_rng(0)
    kinds = np.full(4000, 2)
    kinds[:36] = np.repeat([0, 1, 3], 12)
    x = rng.poisson(np.array([5.0, 100.0, 400.0, 1000.0])[kinds])[:, None].astype(float)
    labels = np.where(kinds == 3, -1, kinds).astype(np.int32)
    stats = initial_statistics(
        Poisson(), Rows(x, labels=labels), 4, "kmeans", np.random.RandomState(0)
    )
    rates = (stats.components.sums / stats.components.counts)[:, 0]
    assert (np.diff(rates) > 0).all()
    assert rates[3] > 600


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (np.zeros((3, 2)), "got an array of shape (3, 2)"), (np.zeros(10), "got an array of shape (10,)"),
        (np.full((10, 1), np.nan), "got an array of shape (10, 1)"),
    ],
)  # fmt: skip
def test_unusable_embedding_is_refused(made: Any, message: str) -> None:
    class Odd:
        def embedding(self, x: Any) -> Any:
            return made

        def __repr__(self) -> str:
            return "Odd()"

    with pytest.raises(ValueError, match=r"^family: expected an embedding of 10 rows") as info:
        initial_statistics(Odd(), Rows(np.ones((10, 2))), 1, "kmeans", np.random.RandomState(0))  # type: ignore[arg-type]
    assert message in str(info.value)
    assert "Odd()" in str(info.value)
