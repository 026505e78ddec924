"""The family of examples/user_family.py, for the laws."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

PATH = Path(__file__).parents[2] / "examples" / "user_family.py"

specification = importlib.util.spec_from_file_location("user_family", PATH)
assert specification is not None
assert specification.loader is not None
example = importlib.util.module_from_spec(specification)
sys.modules["user_family"] = example  # dataclasses look themselves up
specification.loader.exec_module(example)
