"""A stream whose covariance type is changed by hand between two batches."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from latentcore import GaussianMixture

TYPES = ("full", "tied", "diag", "spherical", "tied_spherical")


def streamed(covariance_type: Any, n_components: int, n_features: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, n_features)) + 8.0 * rng.integers(n_components, size=(200, 1))
    model = GaussianMixture(n_components, covariance_type=covariance_type, random_state=0)
    return model.partial_fit(x[:100]), x[100:]


@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_parameters_of_another_type_are_refused(n_features: int) -> None:
    """Shapes tell most types apart; with K = D those of tied and diag agree, those of two spherical ones always."""
    for before, after in itertools.permutations(TYPES, 2):
        model, batch = streamed(before, 2, n_features)
        state = dict(vars(model.set_params(covariance_type=after)))
        if (before, after) == ("tied_spherical", "spherical"):  # equal variances are variances
            model.partial_fit(batch)
            continue
        for call in (model.partial_fit, model.score):
            with pytest.raises(ValueError, match="precisions_cholesky_: expected"):
                call(batch)
        assert vars(model) == state


@pytest.mark.parametrize("covariance_type", TYPES)
def test_parameters_set_by_hand_are_of_the_type_that_they_were_set_for(
    covariance_type: Any,
) -> None:
    """From one type to another, all attributes set: nothing remembers the type that was."""
    for before in TYPES:
        model, batch = streamed(before, 2, 2)
        other, _ = streamed(covariance_type, 2, 2)
        model.set_params(covariance_type=covariance_type)
        for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
            setattr(model, name, getattr(other, name))
        model.partial_fit(batch)
        np.testing.assert_array_equal(model.covariances_, other.partial_fit(batch).covariances_)
