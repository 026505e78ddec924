"""The example of a family of one's own runs, and says what the literature says. The laws test the family."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from laws.user_family import PATH, example


def test_example_nears_the_published_poisson_mixture_as_its_size_grows() -> None:
    """Zucchini & MacDonald (2009), section 1.2: earthquakes, two Poissons, -log L = 360.3690."""
    result = subprocess.run([sys.executable, PATH], capture_output=True, text=True)
    assert result.stderr == ""
    found = re.findall(r"log-likelihood (-[\d.]+), weights (.+), means (.+)", result.stdout)
    assert len(found) == 2
    distances = [abs(float(log_likelihood) + 360.3690) for log_likelihood, _, _ in found]
    assert distances[1] < 0.3 < distances[0]
    weights, means = (np.array(text.strip("[]").split(), float) for text in found[1][1:])
    np.testing.assert_allclose(weights, [0.676, 0.324], atol=0.002)
    np.testing.assert_allclose(means, [15.777, 26.840], atol=0.05)


def test_missing_entries_are_refused() -> None:
    params = example.NegativeBinomialParams(np.ones((1, 1)))
    with pytest.raises(ValueError, match="X: expected no missing entries"):
        example.NegativeBinomial(2.0).log_likelihood(params, np.array([[np.nan]]))


def test_component_without_rows_keeps_its_means() -> None:
    family = example.NegativeBinomial(2.0)
    stats = example.NegativeBinomialStatistics(np.array([2.0, 0.0]), np.array([[6.0], [0.0]]))
    previous = example.NegativeBinomialParams(np.array([[1.0], [7.0]]))
    np.testing.assert_array_equal(family.maximize(stats, previous).means, [[3.0], [7.0]])
