"""EM never decreases the log-likelihood, and its M-step is a maximum."""

from __future__ import annotations

import numpy as np
import pytest

from latentcore.rules.em import EM
from laws.cases import Case, every_double_case, every_model


@every_model
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_log_likelihood_never_decreases(case: Case, weighted: bool) -> None:
    rows = case.weighted_rows if weighted else case.rows
    rule = EM(case.model)
    state = rule.init(case.params)
    objectives = []
    for _ in range(40):
        state, info = rule.step(state, lambda p: case.model.expected_statistics(p, rows))
        objectives.append(info.objective)
    steps = np.diff(objectives)
    # the log-likelihood is a sum of rounded log-densities: in float32, each is good to about 1e-7 of its size
    rounding = 1e-10 if case.dtype is np.float64 else 1e-6
    assert steps.min() >= -rounding * (1 + np.abs(objectives).max())
    assert objectives[-1] > objectives[0] + 1  # the start was not a fixed point


@every_double_case
def test_maximize_beats_its_neighbours(case: Case) -> None:
    """Expected complete-data log-likelihood by SciPy, at maximize(stats) and at points all around."""
    rows, model = case.rows, case.model
    stats, _ = model.expected_statistics(case.params, rows)
    joint = case.slow_log_joint(case.params, rows)
    r = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    best = model.maximize(stats, case.params)

    def expected_log_likelihood(params: object) -> float:
        return float((r * case.slow_log_joint(params, rows)).sum())  # type: ignore[arg-type]

    top = expected_log_likelihood(best)
    rng = np.random.default_rng(5)
    for size in (0.3, 0.03, 0.003):
        for _ in range(5):
            components = case.of.parameters(rng)
            other = type(case.params)(rng.dirichlet(np.ones(3)), components)
            near = model.maximize(stats + size * len(rows) * model.model_statistics(other), None)
            assert expected_log_likelihood(near) < top
