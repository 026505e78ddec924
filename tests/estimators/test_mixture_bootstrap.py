"""Bootstrap of mixtures: standard errors against theory, components matched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from estimators.drawn_rows import COUNTS, N, Y, arrays_of, with_holes
from estimators.mixture_cases import Case, cases, fitted
from latentcore import PoissonMixture, VonMisesMixture


@cases
@pytest.mark.parametrize("kind", ["parametric", "nonparametric"])
def test_bootstrap_gives_standard_errors_of_matched_components(case: Case, kind: Any) -> None:
    told: list[tuple[int, int]] = []
    model = fitted(case, max_iter=300)
    result = model.bootstrap(
        case.x, 8, kind=kind, random_state=0, callback=lambda done, n: told.append((done, n))
    )
    assert told == [(i, 8) for i in range(1, 9)]
    assert result.weights.shape == (8 - result.n_failed, 2)
    assert (result.weights_se > 0).all()
    assert (result.weights_se < 0.15).all(), "components that are not matched differ by more"
    shapes = {name: a.shape for name, a in arrays_of(model.components_, "")}
    assert {name: a.shape for name, a in arrays_of(result.components_se, "")} == shapes
    low, high = result.interval(0.9)
    assert (low.weights <= high.weights).all()
    again = model.bootstrap(case.x, 8, kind=kind, random_state=0)
    np.testing.assert_array_equal(again.weights, result.weights)


@pytest.mark.parametrize("kind", ["parametric", "nonparametric"])
def test_bootstrap_agrees_with_the_theory_of_known_components(kind: Any) -> None:
    """Far apart, the standard errors are those of a share and of means of known groups."""
    rng = np.random.default_rng(0)
    x = np.append(rng.poisson(2, 300), rng.poisson(60, 100))[:, None]
    model = PoissonMixture(2, random_state=0).fit(x).relabel()
    result = model.bootstrap(x, 200, kind=kind, random_state=1)
    expected = np.sqrt(model.rates_[:, 0] / [300, 100])
    np.testing.assert_allclose(result.components_se.rates[:, 0], expected, rtol=0.25)
    np.testing.assert_allclose(result.weights_se, np.sqrt(0.75 * 0.25 / 400), rtol=0.25)


def test_directions_are_compared_the_short_way_round() -> None:
    x = np.random.default_rng(0).vonmises(np.pi, 4.0, (300, 1))
    model = VonMisesMixture(1).fit(x)
    result = model.bootstrap(x, 100, random_state=0)
    assert result.components_se.means[0, 0] < 0.06
    low, high = result.interval()
    assert low.components.means < model.means_ < high.components.means


def test_bootstrap_keeps_labels_and_missing_entries() -> None:
    x, labels = with_holes(COUNTS), np.where(np.arange(N) % 2, Y, -1)
    model = PoissonMixture(2, random_state=0).fit(x, labels=labels)
    kinds: tuple[Any, ...] = ("parametric", "nonparametric")
    for kind in kinds:
        result = model.bootstrap(x, 4, kind=kind, labels=labels, random_state=0)
        assert np.isfinite(result.components_se.rates).all()
