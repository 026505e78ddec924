"""The examples run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    arguments = [picture] if "PICTURE" in example.read_text(encoding="utf-8") else []
    result = subprocess.run(
        [sys.executable, example, *arguments], capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout != ""
    assert picture.exists() == bool(arguments)
