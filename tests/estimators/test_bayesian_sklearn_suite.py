"""scikit-learn's own tests of BayesianGaussianMixture, as installed, with our class in place of theirs."""

from __future__ import annotations

import importlib.util
from typing import Any

from latentcore import BayesianGaussianMixture

EXCLUDED = {
    "test_compare_covar_type": "uses private methods of the class",
}


def _load() -> Any:
    spec = importlib.util.find_spec("sklearn.mixture.tests.test_bayesian_mixture")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.BayesianGaussianMixture = BayesianGaussianMixture
    return module


_tests = {name: value for name, value in vars(_load()).items() if name.startswith("test_")}
globals().update({name: test for name, test in _tests.items() if name not in EXCLUDED})


def test_excluded_tests_exist_and_most_tests_run() -> None:
    assert EXCLUDED.keys() <= _tests.keys()
    assert len(_tests) - len(EXCLUDED) >= 10
