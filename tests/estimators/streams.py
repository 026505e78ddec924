"""Streams of all mixtures: models, ways to learn, and what to look at."""

from __future__ import annotations

import copy
import warnings
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from estimators.mixture_cases import CASES, Case
from latentcore import (
    BayesianGaussianMixture,
    BayesianMixture,
    GaussianMeansMixture,
    Online,
)
from latentcore.rules.online import FiniteSample
from latentcore.rules.steps import InverseStep

cases = pytest.mark.parametrize("case", CASES, ids=str)
sparse_cases = pytest.mark.parametrize("case", [c for c in CASES if c.sparse], ids=str)
missing_cases = pytest.mark.parametrize("case", [c for c in CASES if c.missing], ids=str)

ONLINE = {
    "default": None,
    "constant": 0.3,
    "running": Online(inertia="running"),
    "averaging": Online(averaging=True),
    "running averaging": Online(InverseStep(2.0), inertia="running", averaging=True),
    "auto": Online("auto"),
    "auto averaging": Online("auto", inertia="running", averaging=True),
    "drawn": Online(inertia=FiniteSample(2000)),
}
every_online = pytest.mark.parametrize("online", ONLINE.values(), ids=ONLINE)

BAYESIAN = {
    "gaussian": (lambda **kw: BayesianGaussianMixture(2, random_state=0, **kw), CASES[5].x),
    "poisson": (lambda **kw: BayesianMixture("poisson", 2, random_state=0, **kw), CASES[0].x),
    "means": (lambda **kw: GaussianMeansMixture(2, random_state=0, **kw), CASES[5].x),
}
bayesian = pytest.mark.parametrize(("make", "x"), BAYESIAN.values(), ids=BAYESIAN)


def batches(x: Any, size: int) -> list[Any]:
    return [x[i : i + size] for i in range(0, len(x), size)]


def streamed(model: Any, x: Any, size: int = 25) -> Any:
    for batch in batches(x, size):
        model.partial_fit(batch)
    return model


def stream(case: Case, size: int = 25, **kwargs: Any) -> Any:
    return streamed(case.make(2, random_state=0, **kwargs), case.x, size)


def assert_equal_states(a: Any, b: Any) -> None:
    """Bit for bit, all that was learned."""
    ours, theirs = vars(a), vars(b)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert canonical(ours[name]) == canonical(theirs[name]), name


def canonical(value: Any) -> Any:
    """Trees without what pickle knows of identities: every bit of arrays, and what else there is as it is shown."""
    if is_dataclass(value):
        named = [(f.name, canonical(getattr(value, f.name))) for f in fields(value)]
        return [type(value).__name__, *named]
    if isinstance(value, list | tuple):
        return [canonical(part) for part in value]
    if isinstance(value, dict):
        return [(key, canonical(part)) for key, part in value.items()]
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    return repr(value)


def check_refused(model: Any, batch: Any, options: dict[str, Any], message: str) -> None:
    kept = copy.deepcopy(vars(model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of batches without names
        with pytest.raises((ValueError, TypeError), match=message):
            model.partial_fit(batch, **options)
    assert vars(model).keys() == kept.keys()
    for name, value in kept.items():
        assert canonical(vars(model)[name]) == canonical(value), name
