"""The stubs of the compiled modules agree with the modules: names, parameters, defaults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path.stem for path in (ROOT / "stubs/latentcore").glob("*.pyi"))

# What Cython adds to every module.
ALLOWED = [r".*\.__pyx_capi__", r".*\.__test__"]


@pytest.fixture(scope="module")
def stubtest_output(tmp_path_factory: pytest.TempPathFactory) -> str:
    allowed = tmp_path_factory.mktemp("stubtest") / "allowed.txt"
    allowed.write_text("\n".join(ALLOWED))
    # The project's settings, with the source tree on mypy's path: mypy cannot see an editable install.
    options = ["--allowlist", str(allowed), "--mypy-config-file", "pyproject.toml"]
    modules = [f"latentcore.{name}" for name in MODULES]
    command = [sys.executable, "-m", "mypy.stubtest", *modules, *options]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return result.stdout + result.stderr


def test_stubs_agree_with_the_compiled_modules(stubtest_output: str) -> None:
    assert f"no issues found in {len(MODULES)} modules" in stubtest_output, stubtest_output
