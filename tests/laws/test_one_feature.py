"""On one feature full, diagonal and spherical covariances are the same model; so is tied with one component."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentcore.arrays import Rows
from latentcore.families.gaussian import Gaussian
from latentcore.structures.mixture import Mixture, MixtureParams

SHAPES: dict[str, tuple[int, ...]] = {
    "full": (-1, 1, 1),
    "tied": (1, 1),
    "diag": (-1, 1),
    "spherical": (-1,),
    "tied_spherical": (-1,),
}


def em(covariance_type: Any, rows: Rows, n_components: int, n_steps: int) -> list[Any]:
    """Log-likelihoods, then weights, means and variances after some steps of EM."""
    means = np.linspace(-2, 3, n_components)[:, None]
    variances = np.linspace(0.5, 2.0, n_components).reshape(SHAPES[covariance_type])
    family = Gaussian(covariance_type, reg_covar=1e-3)
    model = Mixture(family)
    weights = np.full(n_components, 1 / n_components)
    params = MixtureParams(weights, family.params(means, variances))
    objectives = []
    for _ in range(n_steps):
        stats, log_likelihood = model.expected_statistics(params, rows)
        params = model.maximize(stats, params)
        objectives.append(log_likelihood)
    components = params.components
    return [objectives, params.weights, components.means, components.covariances.ravel()]


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize(
    ("covariance_type", "n_components"),
    [
        ("diag", 3),
        ("spherical", 3),
        ("diag", 1),
        ("spherical", 1),
        ("tied", 1),
        ("tied_spherical", 1),
    ],
)
def test_covariance_types_agree_on_one_feature(
    covariance_type: str, n_components: int, dtype: Any
) -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(-2, 1, 300), rng.normal(3, 0.5, 233)])[:, None].astype(dtype)
    rows = Rows(x, rng.uniform(0.5, 1.5, len(x)))
    tolerance = 1e-11 if dtype is np.float64 else 1e-4
    got, expected = (em(type_, rows, n_components, 10) for type_ in (covariance_type, "full"))
    for value, truth in zip(got, expected, strict=True):
        np.testing.assert_allclose(value, truth, rtol=tolerance)
