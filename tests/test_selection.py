"""Selection of a family and a number of components: the criteria of scikit-learn, and what may not win."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from latentcore import GaussianMixture, PoissonMixture
from latentcore.datasets import load_old_faithful
from latentcore.errors import ConvergenceWarning, DegenerateComponentWarning, NumericalError
from latentcore.families.poisson import Poisson
from latentcore.selection import _NAMED, Selection, SelectionProgress, select
from laws.numpy_poisson import NumpyPoisson

FAITHFUL = load_old_faithful().data
TYPES = ("full", "tied", "diag", "spherical")


@pytest.fixture(scope="module")
def found() -> Selection:
    return select(FAITHFUL, range(1, 6), tol=1e-6, max_iter=1000, random_state=0)


def test_criteria_are_those_of_sklearn_on_old_faithful(found: Selection) -> None:
    assert [(c.family, c.n_components) for c in found.table] == [
        (f"gaussian-{type_}", k) for type_ in TYPES for k in range(1, 6)
    ]
    for candidate in [c for c in found.table if c.n_components <= 3]:
        theirs = SklearnGaussianMixture(
            candidate.n_components, covariance_type=candidate.family.removeprefix("gaussian-"),
            tol=1e-6, max_iter=1000, random_state=0,
        ).fit(FAITHFUL)  # fmt: skip
        assert candidate.bic == candidate.value == pytest.approx(theirs.bic(FAITHFUL), rel=1e-9)
        assert candidate.aic == pytest.approx(theirs.aic(FAITHFUL), rel=1e-9)
        assert candidate.n_parameters == theirs._n_parameters()
        assert candidate.log_likelihood == pytest.approx(272 * theirs.score(FAITHFUL), rel=1e-9)
        assert candidate.icl >= candidate.bic
        assert candidate.converged
        assert not candidate.degenerate
        assert candidate.error is None


def test_best_is_the_fit_of_least_bic(found: Selection) -> None:
    """As R's mclust 5.2.3 has it on these data: EEE,3 of BIC -2314, then EEE,4 of -2320.207, stopping a bit early."""
    order = sorted(found.table, key=lambda candidate: candidate.bic)
    assert [(c.family, c.n_components) for c in order[:2]] == [
        ("gaussian-tied", 3), ("gaussian-tied", 4),
    ]  # fmt: skip
    best = found.table[found.best_index]
    assert best == order[0]
    assert best.bic == pytest.approx(2314, abs=0.5)
    assert order[1].bic == pytest.approx(2320.207, abs=0.1)
    assert (found.best.n_components, found.best.covariance_type) == (3, "tied")
    assert found.best.bic(FAITHFUL) == best.bic
    assert found.criterion == "bic"


@pytest.mark.parametrize("criterion", ["aic", "icl"])
def test_other_criteria_select_by_their_own_values(found: Selection, criterion: Any) -> None:
    other = select(
        FAITHFUL, range(1, 6), criterion=criterion, tol=1e-6, max_iter=1000, random_state=0
    )
    values = [getattr(candidate, criterion) for candidate in found.table]
    assert [candidate.value for candidate in other.table] == values
    assert other.best_index == np.argmin(values)


def test_criterion_may_be_a_function_of_mixture_and_rows() -> None:
    held_out = FAITHFUL[1::2]

    def validation(model: GaussianMixture, X: Any) -> float:
        assert X is train
        return -model.score(held_out)

    train = FAITHFUL[::2]
    found = select(train, [1, 2, 7], "tied", criterion=validation, random_state=0)
    models = [
        GaussianMixture(k, covariance_type="tied", random_state=0).fit(train) for k in (1, 2, 7)
    ]
    values = [-model.score(held_out) for model in models]
    assert [candidate.value for candidate in found.table] == values
    assert found.best_index == np.argmin(values)
    assert found.criterion == "validation"
    assert str(found).splitlines()[0].split()[-1] == "validation"


def test_weights_count_as_rows() -> None:
    weight = np.tile([1.0, 2.0], 136)
    twice = np.repeat(FAITHFUL, weight.astype(int), axis=0)
    weighted = select(FAITHFUL, [1], TYPES, sample_weight=weight)
    repeated = select(twice, [1], TYPES)
    for ours, theirs in zip(weighted.table, repeated.table, strict=True):
        for name in ("log_likelihood", "aic", "bic", "icl"):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-9)


# -- what to fit


def test_estimators_are_copied_with_other_numbers_of_components() -> None:
    model = GaussianMixture(7, covariance_type="diag", reg_covar=1e-3, random_state=3)
    found = select(FAITHFUL, [2, 3], [model, "tied"], max_iter=500)
    assert "converged_" not in model.__dict__
    assert (model.n_components, model.max_iter) == (7, 100)
    names = [candidate.family for candidate in found.table]
    own = "GaussianMixture(covariance_type='diag', reg_covar=0.001, random_state=3)"
    assert names == [own] * 2 + ["gaussian-tied"] * 2
    expected = GaussianMixture(
        3, covariance_type="diag", reg_covar=1e-3, random_state=3, max_iter=500
    ).fit(FAITHFUL)
    assert found.table[1].bic == expected.bic(FAITHFUL)


def test_one_family_and_one_number_need_no_list() -> None:
    found = select(FAITHFUL, 2, "full", random_state=0)
    again = select(FAITHFUL, 2, GaussianMixture(random_state=0))
    named = select(FAITHFUL, 2, ["gaussian"], random_state=0)
    assert len(found.table) == len(again.table) == 1
    assert found.table[0].bic == again.table[0].bic
    assert named.table == found.table


def test_families_are_named_or_given() -> None:
    counts = np.random.default_rng(0).poisson(np.repeat([[3.0], [20.0]], 100, axis=0))
    families = ["poisson", Poisson(), PoissonMixture()]
    found = select(counts, [1, 2, 3], families, tol=1e-9, max_iter=5000, random_state=0)
    names = ["poisson", "Poisson()", "PoissonMixture()"]
    assert [candidate.family for candidate in found.table[::3]] == names
    assert isinstance(found.best, PoissonMixture)
    assert found.best.n_components == 2
    alone = stats.poisson.logpmf(counts, counts.mean()).sum()
    assert found.table[0].log_likelihood == pytest.approx(alone, rel=1e-12)
    for index, candidate in enumerate(found.table):
        assert candidate.n_parameters == 2 * candidate.n_components - 1
        assert candidate.bic == found.table[index % 3].bic


@pytest.mark.parametrize("name", sorted(_NAMED))
def test_every_name_makes_a_mixture(name: str) -> None:
    """Rows that are at once numbers, counts, codes, bits and, in one column of two, positive."""
    x = np.random.default_rng(0).integers(0, 2, size=(60, 2)).astype(float)
    x += name in ("exponential", "gamma")
    found = select(x, 1, name, random_state=0)
    assert found.table[0].family == name
    assert math.isfinite(found.table[0].bic)


def test_family_without_parameters_to_count_has_no_criterion() -> None:
    with pytest.raises(TypeError, match=r"n_parameters"):
        select(np.ones((9, 1)), 1, NumpyPoisson())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"criterion": "waic"}, "criterion: expected one of 'bic', 'aic', 'icl' or a function, got 'waic'"),
        ({"families": "round"}, "families: expected names among 'bernoulli', "),
        ({"families": []}, "families: expected at least one, got none"),
        ({"n_components": []}, "n_components: expected at least one, got none"),
        ({"n_components": [2, 0]}, "n_components: expected an integer >= 1, got 0"),
        ({"n_starts": 3}, "Invalid parameter 'n_starts'"),
        ({"n_init": 0}, "n_init: expected an integer >= 1, got 0"),
    ],
)  # fmt: skip
def test_wrong_argument_is_named(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        select(FAITHFUL, **{"n_components": [2], **arguments})


@pytest.mark.parametrize("family", [3, None, GaussianMixture, Poisson, SklearnGaussianMixture(2)])
def test_something_else_than_a_mixture_is_refused(family: Any) -> None:
    with pytest.raises(TypeError, match=r"^families: expected names, families and mixtures, got "):
        select(FAITHFUL, [2], [family])


# -- what may not win


def test_failed_fits_are_in_the_table_and_do_not_win() -> None:
    x = np.repeat(FAITHFUL[:4], [40, 1, 1, 30], axis=0)
    x[:3] += 1e-3 * np.arange(6).reshape(3, 2)
    found = select(x, [1, 4, 100], "full", reg_covar=0.0, random_state=0)
    one, four, hundred = found.table
    assert one.error is None
    assert four.error is not None
    assert "component" in four.error
    assert hundred.error is not None
    assert "n_components = 100" in hundred.error
    for failed in (four, hundred):
        assert math.isnan(failed.value)
        assert math.isnan(failed.log_likelihood)
        assert not failed.converged
    assert found.best_index == 0


class Collapsing(GaussianMixture):
    """All starts of two and more components are degenerate, and unbeatable."""

    def fit(self, X: Any, y: Any = None, **arguments: Any) -> Collapsing:
        super().fit(X, y, **arguments)
        if self.n_components > 1:
            self.n_degenerate_ = self.n_init
            warnings.warn("component 0", DegenerateComponentWarning, stacklevel=2)
        return self

    def bic(self, X: Any, *, sample_weight: Any = None) -> float:
        return -1e9 * self.n_components


def test_degenerate_fit_wins_only_with_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = select(FAITHFUL, [3, 1, 2], Collapsing(n_init=2, random_state=0))
    assert [c.degenerate for c in found.table] == [True, False, True]
    assert found.best.n_components == 1
    with pytest.warns(DegenerateComponentWarning, match=r"^the selected fit, .* with K = 3, has"):
        found = select(FAITHFUL, [2, 3], Collapsing(random_state=0))
    assert found.best.n_components == 3


def test_unconverged_winner_is_told_and_others_are_only_shown() -> None:
    first = GaussianMixture(max_iter=1, tol=0.0)
    with pytest.warns(ConvergenceWarning, match=r"K = 2, did not converge") as caught:
        found = select(FAITHFUL, 2, first, random_state=0)
    assert len(caught) == 1
    assert not found.table[0].converged
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = select(
            FAITHFUL, [2], ["full", first], criterion=lambda m, X: m.max_iter == 1, random_state=0
        )
    assert [c.converged for c in found.table] == [True, False]
    assert "not converged" in str(found).splitlines()[2]


def test_when_all_fits_fail_the_error_is_theirs() -> None:
    with pytest.raises(ValueError, match="n_components = 9"):
        select(FAITHFUL[:5], [8, 9], "full")
    with pytest.raises(NumericalError, match=r"^component 0: expected a positive definite"):
        select(np.ones((9, 2)), [1], "full", reg_covar=0.0)
    with pytest.raises(ValueError, match=r"^criterion: expected numbers, got NaN from all 2 fits$"):
        select(FAITHFUL, [1, 2], "full", criterion=lambda model, X: math.nan)


def test_fit_without_a_criterion_does_not_win() -> None:
    values = iter([math.nan, 2.0, math.nan, 1.0, 3.0])
    found = select(FAITHFUL, range(1, 6), "diag", criterion=lambda model, X: next(values))
    assert found.best_index == 3


# -- what is shown


def test_table_is_printed_with_a_mark_at_the_best() -> None:
    x = FAITHFUL[:8]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = select(x, [1, 9], ["spherical", "diag"], random_state=0, tol=1e-9)
    lines = str(found).splitlines()
    assert lines[0].split() == ["family", "K", "log-likelihood", "df", "AIC", "BIC", "ICL"]
    best = found.table[found.best_index]
    assert lines[1 + found.best_index].split() == [
        "*", best.family, "1", f"{best.log_likelihood:.3f}", str(best.n_parameters),
        f"{best.aic:.3f}", f"{best.bic:.3f}", f"{best.icl:.3f}",
    ]  # fmt: skip
    assert lines[2].split()[:9] == ["gaussian-spherical", "9", *["-"] * 5, "failed:", "Expected"]
    assert sum(line.startswith("*") for line in lines[:-1]) == 1
    assert lines[-1] == "* least BIC"
    assert len({line.index("failed") for line in (lines[2], lines[4])}) == 1


def test_callback_hears_of_every_fit() -> None:
    heard: list[SelectionProgress] = []
    found = select(FAITHFUL[:4], [1, 2, 5], ["diag"], progress=heard.append, random_state=0)
    assert [(p.n_done, p.n_total) for p in heard] == [(1, 3), (2, 3), (3, 3)]
    assert tuple(p.candidate for p in heard) == found.table
    assert heard[2].candidate.error is not None


class Terminal:
    """Standard error of a person."""

    def __init__(self, is_terminal: bool) -> None:
        self.text = ""
        self.isatty = lambda: is_terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("is_terminal", [True, False])
def test_bar_is_for_terminals(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(is_terminal)
    monkeypatch.setattr("sys.stderr", terminal)
    select(FAITHFUL, [1, 2], "tied", progress=True, random_state=0)
    if is_terminal:
        steps = terminal.text.split("\r")
        assert steps[0] == ""
        assert steps[1].startswith("[" + "#" * 15 + "." * 15 + "] 1/2 gaussian-tied, K = 1 ")
        assert steps[2].startswith("[" + "#" * 30 + "] 2/2 gaussian-tied, K = 2 ")
        assert steps[2].endswith("\n")
    else:
        assert terminal.text == ""
