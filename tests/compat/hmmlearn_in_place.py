"""A pytest plugin for a process of its own: our classes in place of hmmlearn's, and a record of what passed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import hmmlearn

from latentcore.compat import hmmlearn as ours
from latentcore.compat import hmmlearn_base

for _name, _module in (("hmm", ours), ("vhmm", ours), ("base", hmmlearn_base)):
    sys.modules[f"hmmlearn.{_name}"] = _module
    setattr(hmmlearn, _name, _module)

_passed: dict[str, bool] = {}


def pytest_runtest_logreport(report: Any) -> None:
    name = "::".join([Path(report.nodeid.partition("::")[0]).stem, *report.nodeid.split("::")[1:]])
    _passed[name] = _passed.get(name, True) and report.passed


def pytest_sessionfinish() -> None:
    assert "hmmlearn._emissions" not in sys.modules, "hmmlearn's own models were loaded"
    Path(os.environ["HMMLEARN_RECORD"]).write_text(json.dumps(_passed))
