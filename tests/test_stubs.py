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
    folder = tmp_path_factory.mktemp("stubtest")
    (folder / "allowed.txt").write_text("\n".join(ALLOWED))
    # The source tree's paths let this run on an editable install too; the modules are those that are installed.
    (folder / "mypy.ini").write_text(
        f"[mypy]\nmypy_path = {ROOT / 'python'}:{ROOT / 'stubs'}\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "mypy.stubtest", *(f"latentcore.{name}" for name in MODULES)]
    options = [
        "--allowlist",
        "allowed.txt",
        "--ignore-unused-allowlist",
        "--mypy-config-file",
        "mypy.ini",
    ]
    result = subprocess.run(command + options, cwd=folder, capture_output=True, text=True)
    return result.stdout + result.stderr


def test_stubs_agree_with_the_compiled_modules(stubtest_output: str) -> None:
    assert f"no issues found in {len(MODULES)} modules" in stubtest_output, stubtest_output
