"""Folds of whole sequences, alone and in scikit-learn's hands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score

from latentcore import SequenceKFold

LENGTHS = np.array([7, 1, 12, 3, 3, 9, 30, 2, 5, 8])
GROUPS = np.repeat(list("qwertyuiop"), LENGTHS)
X = np.arange(160.0).reshape(80, 2)

each_source = pytest.mark.parametrize("source", ["groups", "lengths", "list"])
each_order = pytest.mark.parametrize("shuffle", [False, True])


def splits(source: str, n_splits: int, **arguments: Any) -> list[tuple[Any, Any]]:
    """Sequences that each split trains and tests on."""
    if source == "groups":
        found = SequenceKFold(n_splits, **arguments).split(X, groups=GROUPS)
    elif source == "lengths":
        found = SequenceKFold(n_splits, lengths=LENGTHS, **arguments).split(X)
    else:
        parts = np.split(X, np.cumsum(LENGTHS)[:-1])
        found = SequenceKFold(n_splits, **arguments).split(parts)
        return [(tuple(train), tuple(test)) for train, test in found]
    names = list("qwertyuiop")
    pairs: list[Any] = []
    for pair in found:
        whole = []
        for rows in pair:
            sequences = sorted({names.index(name) for name in GROUPS[rows]})
            np.testing.assert_array_equal(
                rows, np.flatnonzero(np.isin(GROUPS, [names[q] for q in sequences]))
            )
            whole.append(tuple(sequences))
        pairs.append(tuple(whole))
    return pairs


@each_source
@each_order
def test_each_sequence_is_whole_and_tested_once(source: str, shuffle: bool) -> None:
    arguments = {"shuffle": True, "random_state": 3} if shuffle else {}
    found = splits(source, 4, **arguments)
    assert len(found) == 4
    assert sorted(q for _, test in found for q in test) == list(range(10))
    assert all(sorted(train + test) == list(range(10)) for train, test in found)
    assert all(test for _, test in found)


def test_folds_are_balanced_by_rows() -> None:
    rows = sorted(int(LENGTHS[list(test)].sum()) for _, test in splits("lengths", 3))
    assert rows == [25, 25, 30]  # no better: the longest sequence has 30


@each_source
def test_what_tells_the_sequences_does_not_matter(source: str) -> None:
    if source == "groups":  # sequences count by name there, which decides between equals alone
        sizes = [sorted(LENGTHS[list(test)]) for _, test in splits(source, 3)]
        expected = [sorted(LENGTHS[list(test)]) for _, test in splits("lengths", 3)]
        assert sizes == expected
    else:
        assert splits(source, 3) == splits("lengths", 3)


def test_shuffling_is_by_the_seed_and_keeps_folds_within_one_sequence() -> None:
    first, again, other = (splits("lengths", 3, shuffle=True, random_state=s) for s in (1, 1, 2))
    assert first == again
    assert {test for _, test in first} != {test for _, test in other}
    rows = [int(LENGTHS[list(test)].sum()) for _, test in first]
    assert max(rows) - min(rows) <= LENGTHS.max()


class Recorder(BaseEstimator):
    """Its score is the number of sequences that it was scored on, if it was fitted on other ones."""

    def __init__(self, a: int = 0) -> None:
        self.a = a

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> Recorder:
        self.seen_ = set(groups)
        assert len(groups) == len(X)
        return self

    def score(self, X: Any, y: Any = None, groups: Any = None) -> float:
        assert len(groups) == len(X)
        assert not self.seen_ & set(groups)
        return float(len(set(groups)))


def test_metadata_routing_takes_groups_to_splitter_fit_and_score() -> None:
    with config_context(enable_metadata_routing=True):
        model = Recorder().set_fit_request(groups=True).set_score_request(groups=True)
        scores = cross_val_score(model, X, cv=SequenceKFold(4), params={"groups": GROUPS})
        search = GridSearchCV(model, {"a": [1, 2]}, cv=SequenceKFold(4)).fit(X, groups=GROUPS)
    assert sorted(scores) == sorted(len(test) for _, test in splits("groups", 4))
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], [2.5, 2.5])


class RowCounter(BaseEstimator):
    def __init__(self, a: int = 0) -> None:
        self.a = a

    def fit(self, X: Any, y: Any = None) -> RowCounter:
        return self

    def score(self, X: Any, y: Any = None) -> float:
        return float(sum(map(np.ndim, X)) if isinstance(X, list) else len(X))


def test_without_metadata_routing_the_splitter_still_gets_groups() -> None:
    scores = cross_val_score(RowCounter(), X, groups=GROUPS, cv=SequenceKFold(3))
    search = GridSearchCV(RowCounter(), {"a": [1]}, cv=SequenceKFold(3)).fit(X, groups=GROUPS)
    assert sorted(scores) == [25, 25, 30]
    assert search.cv_results_["mean_test_score"] == pytest.approx(80 / 3)


@pytest.mark.parametrize("given", ["lengths", "list"])
def test_lengths_and_lists_need_no_groups(given: str) -> None:
    parts = np.split(X, np.cumsum(LENGTHS)[:-1])
    if given == "lengths":
        scores = cross_val_score(RowCounter(), X, cv=SequenceKFold(3, lengths=LENGTHS))
        assert sorted(scores) == [25, 25, 30]
    else:
        scores = cross_val_score(RowCounter(), parts, cv=SequenceKFold(3))
        assert sum(scores) == 2 * len(parts)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "n_splits: expected an integer >= 2, got 1", lambda: SequenceKFold(1)),
        (TypeError, "n_splits: expected an integer", lambda: SequenceKFold(2.0)),  # type: ignore[arg-type]
        (ValueError, "random_state: expected None", lambda: SequenceKFold(2, random_state=1)),
        (ValueError, "lengths: expected integers >= 1", lambda: SequenceKFold(2, lengths=[3, 0])),
        (ValueError, "lengths: expected integers >= 1", lambda: SequenceKFold(2, lengths=[1.5])),
        (
            ValueError,
            "lengths: expected a sum of 80, the rows of X, got 5",
            lambda: list(SequenceKFold(2, lengths=[2, 3]).split(X)),
        ),
        (ValueError, "groups: expected the sequence", lambda: list(SequenceKFold(2).split(X))),
        (
            ValueError,
            r"groups: expected shape \(80,\)",
            lambda: list(SequenceKFold(2).split(X, groups=[1, 2])),
        ),
        (
            ValueError,
            "n_splits: expected at most the number of sequences, 10, got 11",
            lambda: list(SequenceKFold(11).split(X, groups=GROUPS)),
        ),
    ],
)
def test_wrong_arguments_are_named(error: type[Exception], message: str, call: Any) -> None:
    with pytest.raises(error, match=message):
        call()
