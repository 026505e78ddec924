"""Sweeps that pass over components far from a row give the results of those that look at all of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from latentcore import kernels
from latentcore.errors import ImpossibleRowError
from reference import gaussian

# Distances of the centers, in standard deviations, from one cluster to clusters that do not know of each other;
# between them lie the distances where only some components, for some rows, may be passed over.
SPREADS = [0.0, 2.0, 3.0, 6.0, 12.0, 100.0]


def clusters(
    n_rows: int, n_components: int, n_features: int, spread: float, dtype: Any
) -> tuple[npt.NDArray[Any], tuple[Any, ...]]:
    """Rows, and the arguments of a sweep with components of many sizes and weights."""
    rng = np.random.default_rng(n_rows + n_components)
    means = spread * rng.normal(size=(n_components, n_features)) / math.sqrt(2 * n_features) * 4
    covariances = gaussian.random_covariances(rng, "full", n_components, n_features)
    covariances *= rng.uniform(0.5, 2.0, n_components)[:, None, None]
    cholesky = np.linalg.cholesky(covariances)
    labels = rng.integers(n_components, size=n_rows)
    noise = rng.normal(size=(n_rows, n_features))
    x = means[labels] + np.einsum("nij,nj->ni", cholesky[labels], noise)
    factors, log_determinants = kernels.gaussian_factors(
        covariances, "full", n_components, n_features
    )
    offsets = log_determinants + rng.uniform(-60, 0, n_components)  # some weights are tiny
    return x.astype(dtype), (offsets, means, factors, "full")


@pytest.mark.parametrize("precision", ["f64", "f32"])
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize(
    "shape", [(1, 4, 16), (700, 4, 17), (1024, 9, 16), (1025, 6, 33), (2600, 16, 20)]
)
def test_sweep_equals_responsibilities_and_their_moments(
    shape: tuple[int, int, int], spread: float, precision: str
) -> None:
    dtype = np.float64 if precision == "f64" else np.float32
    x, arguments = clusters(*shape, spread, dtype)
    weight = np.random.default_rng(1).uniform(0, 2, len(x))
    weight[3::7] = 0
    counts, means, scatters, log_likelihood, _ = kernels.gaussian_em_sweep(x, weight, *arguments)

    joint = kernels.gaussian_log_joint(x, *arguments).astype(np.longdouble)
    r = gaussian.responsibilities(joint) * weight[:, None]
    tolerance = 1e-11 if precision == "f64" else 1e-4
    np.testing.assert_allclose(counts, r.sum(axis=0), rtol=0, atol=tolerance * weight.sum())
    expected = float((gaussian.logsumexp(joint) * weight).sum())
    assert log_likelihood == pytest.approx(expected, rel=tolerance)
    first = (r.T @ x.astype(float)).astype(float)
    scale = float(np.abs(x).max()) * max(weight.sum(), 1)
    np.testing.assert_allclose(counts[:, None] * means, first, rtol=0, atol=tolerance * scale)
    heavy = counts > 1  # moments of a component that has rows
    if heavy.any():
        _, _, wanted = gaussian.statistics(x, np.asarray(r[:, heavy]), "full")
        spread_of_rows = float(np.abs(wanted).max(initial=1))
        np.testing.assert_allclose(scatters[heavy], wanted, rtol=0, atol=tolerance * spread_of_rows)


@pytest.mark.parametrize("precision", ["f64", "f32"])
@pytest.mark.parametrize("row", [0, 1023, 1024, 2000, 2599])
def test_impossible_row_among_separated_clusters_is_named(row: int, precision: str) -> None:
    dtype = np.float64 if precision == "f64" else np.float32
    x, arguments = clusters(2600, 16, 20, 30.0, dtype)
    x[row] = 1e300 if precision == "f64" else 1e30
    with pytest.raises(ImpossibleRowError) as info:
        kernels.gaussian_em_sweep(x, None, *arguments)
    assert info.value.row == row
    weight = np.ones(len(x))
    weight[row] = 0
    got = kernels.gaussian_em_sweep(x, weight, *arguments)
    assert math.isfinite(got[3])
    assert got[0].sum() == pytest.approx(2599, rel=1e-6)


def test_switched_off_component_among_separated_clusters_takes_no_part() -> None:
    x, (offsets, means, factors, type_) = clusters(2600, 16, 20, 30.0, np.float64)
    offsets = np.where(np.arange(16) % 5 == 2, -math.inf, offsets)
    counts, new_means, scatters, log_likelihood, _ = kernels.gaussian_em_sweep(
        x, None, offsets, means, factors, type_
    )
    off = np.isneginf(offsets)
    assert not counts[off].any()
    assert not scatters[off].any()
    np.testing.assert_array_equal(new_means[off], means[off])
    joint = kernels.gaussian_log_joint(x, offsets, means, factors, type_)
    assert log_likelihood == pytest.approx(float(kernels.logsumexp(joint).sum()), rel=1e-12)
