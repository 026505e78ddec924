"""scikit-learn's own checks of estimators, for several of ours."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator


def every_check(models: Sequence[Any]) -> pytest.MarkDecorator:
    """Parametrises ``model`` and ``check``; names hold no addresses, so that every process finds the same tests."""
    with warnings.catch_warnings():  # for not inheriting from BaseEstimator
        warnings.simplefilter("ignore", UserWarning)
        pairs = [pair for model in models for pair in estimator_checks_generator(model)]
    return pytest.mark.parametrize(("model", "check"), pairs, ids=_name)


def _name(value: Any) -> str:
    return value.func.__name__ if isinstance(value, functools.partial) else str(value)
