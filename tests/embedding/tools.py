"""Compilers and build tools as child processes: a test fails with what they said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest


def tool(name: str) -> str:
    """The path of a program, first of all beside the running interpreter."""
    path = shutil.which(
        name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    if path is None:
        pytest.fail(f"{name} is needed to build what embeds latentcore, and is not installed")
    return path


def run(command: Sequence[str | Path], cwd: Path, **environment: str) -> str:
    """The output of a command that must succeed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, "PATH": path, **environment},
        capture_output=True, text=True,
    )  # fmt: skip
    if result.returncode != 0:
        line = " ".join(map(str, command))
        pytest.fail(f"status {result.returncode} from {line}\n{result.stdout}{result.stderr}")
    return result.stdout
