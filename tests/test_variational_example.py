"""What examples/variational_mixture.py shows is so."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PATH = Path(__file__).parents[1] / "examples" / "variational_mixture.py"


@pytest.fixture(scope="module")
def example() -> Any:
    specification = importlib.util.spec_from_file_location(PATH.stem, PATH)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[PATH.stem] = module  # dataclasses look themselves up
    specification.loader.exec_module(module)
    return module


def test_right_program_finds_the_truth_and_its_bound_rises(example: Any) -> None:
    fitted = example.fit(example.draw(1000))
    deviations = np.sqrt(fitted.variances)
    assert (np.abs(fitted.means - np.sort(example.TRUE_MEANS)) < 3 * deviations).all()
    assert (np.diff(fitted.bounds) >= -1e-10 * abs(fitted.bounds[-1])).all()


def test_right_update_is_that_of_the_package(example: Any) -> None:
    x = example.draw(200)
    one, two = (example.fit(x, tol=0.0, max_iter=n) for n in (1, 2))
    shares, _ = one.model.responsibilities(one.model.expected(one.posterior), x)
    for k, r in enumerate(shares.T):
        mean, variance = example.right_update(r @ x[:, 0], r.sum())
        assert two.means[k] == pytest.approx(mean, rel=1e-12)
        assert two.variances[k] == pytest.approx(variance, rel=1e-12)


def test_each_mistake_has_the_consequence_that_is_told(example: Any, capsys: Any) -> None:
    example.main()
    shown = capsys.readouterr().out
    assert re.search(
        r"printed: mean \d{5}.*, variance 335\n.*right: mean 3\.9\d+, variance 0\.003", shown
    )
    assert "the printed program ends with ZeroDivisionError in step 2" in shown
    assert "a row at 37, on a mean: [1.0, " in shown
    assert "a row at 39, on a mean: OverflowError" in shown
    assert "a row at 1, means at 50: ZeroDivisionError" in shown
    assert "by log-sum-exp: [1.00000000e+00 " in shown
    assert "|nan - nan| < 1e-6 is False" in shown

    def number(pattern: str) -> float:
        found = re.search(pattern, shown)
        assert found is not None, pattern
        return float(found[1])

    assert number(r"tolerance 0.1: .* (\S+) nats below") > 0.05
    assert number(r"\n  sorted: rows are (\S+)") > 5 * number(r"as they were: rows are (\S+)")
    assert number(r"  4: bound (\S+),") > number(r"  1: bound (\S+),") + 100
    narrow, wide = (number(rf"  {v}: .* deviations of means (\S+)") for v in (1, 4))
    assert wide == pytest.approx(2 * narrow, rel=0.02)
