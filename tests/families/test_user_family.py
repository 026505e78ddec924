"""The example of a family of one's own runs, and says what the literature says. The laws test the family."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from latentcore import Mixture
from laws.user_family import PATH, example


def test_example_nears_the_published_poisson_mixture_as_its_size_grows() -> None:
    """Zucchini & MacDonald (2009), section 1.2: earthquakes, two Poissons, -log L = 360.3690."""
    result = subprocess.run([sys.executable, PATH], capture_output=True, text=True)
    assert result.stderr == ""
    found = [float(value) for value in re.findall(r"log-likelihood (-[\d.]+)", result.stdout)]
    assert len(found) == 4
    assert found[0] == pytest.approx(found[1], abs=1e-3)  # by the engine and by the estimator
    distances = np.abs(np.array(found[1:]) + 360.3690)
    assert (np.diff(distances) < 0).all()
    assert distances[-1] < 1e-3


def test_estimator_takes_the_family() -> None:
    family = example.NegativeBinomial(5.0)
    params = example.NegativeBinomialParams(np.array([[2.0, 40.0], [60.0, 3.0]]))
    truth = Mixture.from_params(family, [0.3, 0.7], params, random_state=0)
    x, _ = truth.sample(4000)
    model = Mixture(family, 2, random_state=0).fit(x)
    order = np.argsort(model.components_.means[:, 0])
    np.testing.assert_allclose(model.weights_[order], [0.3, 0.7], atol=0.03)
    np.testing.assert_allclose(model.components_.means[order], params.means, rtol=0.07)
    assert model.loglik(x) >= truth.loglik(x)
    assert "NegativeBinomial" in model.summary()
    x[7, 1] = -1
    with pytest.raises(ValueError, match=r"X: expected counts, got -1\.0 in row 7, column 1"):
        model.fit(x)
    with pytest.raises(TypeError, match="NegativeBinomial"):
        Mixture(family, 2, prior="weak").fit(abs(x))


def test_missing_entries_are_refused() -> None:
    params = example.NegativeBinomialParams(np.ones((1, 1)))
    with pytest.raises(ValueError, match="X: expected no missing entries"):
        example.NegativeBinomial(2.0).log_likelihood(params, np.array([[np.nan]]))


def test_component_without_rows_keeps_its_means() -> None:
    family = example.NegativeBinomial(2.0)
    stats = example.NegativeBinomialStatistics(np.array([2.0, 0.0]), np.array([[6.0], [0.0]]))
    previous = example.NegativeBinomialParams(np.array([[1.0], [7.0]]))
    np.testing.assert_array_equal(family.maximize(stats, previous).means, [[3.0], [7.0]])
