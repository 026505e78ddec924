"""Step sizes by their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from latentcore.rules.steps import (
    DECREASING,
    ConstantStep,
    InverseStep,
    PowerStep,
    eta_of,
    rho_of,
)


def test_share_and_step_size_are_inverses() -> None:
    for eta in (0.0, 1e-12, 0.3, 1.0, 50.0, math.inf):
        assert eta_of(rho_of(eta)) == pytest.approx(eta, rel=1e-13)
    assert [rho_of(eta) for eta in (0.0, 1.0, 3.0, math.inf)] == [0.0, 0.5, 0.75, 1.0]
    assert eta_of(1.0) == math.inf


def test_steps_by_definition() -> None:
    assert [ConstantStep(0.2)(t) for t in (1, 10**9)] == [0.2, 0.2]
    assert [InverseStep(3.0)(t) for t in (1, 2, 6)] == [3.0, 1.5, 0.5]
    for step, kappa, delay in ((PowerStep(0.8, 5.0), 0.8, 5.0), (DECREASING, 0.6, 1.0)):
        for t in (1, 2, 100):
            assert rho_of(step(t)) == pytest.approx((t + delay) ** -kappa, rel=1e-14)
    assert PowerStep(0.6, 0.0)(1) == math.inf


def test_steps_of_robbins_and_monro_weigh_batches_as_they_say() -> None:
    """The weight of each batch in the end is its share, and what later ones left of it; equal ones for 1 / t."""
    shares = np.array([rho_of(PowerStep(1.0, 0.0)(t)) for t in range(1, 11)])
    left = np.append(np.cumprod(1 - shares[:0:-1])[::-1], 1.0)
    np.testing.assert_allclose(shares * left, 0.1, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantStep(-1.0), "eta: expected a number from 0 to inf, got -1.0"),
        (lambda: ConstantStep(math.nan), "eta: expected a number from 0 to inf, got nan"),
        (lambda: InverseStep(-2.0), "eta0: expected a number from 0 to inf, got -2.0"),
        (lambda: PowerStep(0.5), r"kappa: expected a number in \(1/2, 1\], got 0.5"),
        (lambda: PowerStep("fast"), r"kappa: expected a number in \(1/2, 1\], got 'fast'"),  # type: ignore[arg-type]
        (lambda: InverseStep(None), "eta0: expected a number from 0 to inf, got None"),  # type: ignore[arg-type]
        (lambda: PowerStep(1.1), r"kappa: expected a number in \(1/2, 1\], got 1.1"),
        (lambda: PowerStep(0.6, -1.0), "delay: expected a number from 0 to inf, got -1.0"),
        (lambda: rho_of(-0.5), "step_size: expected eta >= 0, got -0.5"),
    ],
)
def test_what_is_no_step_size_is_said(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()
