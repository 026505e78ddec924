"""What is under test: said at the top of every run, and where its installed files are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

import latentcore
from latentcore import kernels

ROOT = Path(__file__).parents[1]


def pytest_report_header() -> list[str]:
    available = ", ".join(isa for isa in ("base", "v3", "v4") if kernels.isa_available(isa))
    return [
        f"latentcore {latentcore.__version__} in {Path(latentcore.__file__).parent}",
        f"instruction set: {kernels.isa()} (of {available}); Python {sys.version.split()[0]}",
    ]


def is_editable() -> bool:
    origin = json.loads(distribution("latentcore").read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable", False))


@pytest.fixture(scope="session")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed package, where type checkers and compilers of others find it.

    An editable install has none: the package is then built and installed into a temporary one.
    """
    if not is_editable():
        return Path(latentcore.__file__).parents[1]
    target = tmp_path_factory.mktemp("site-packages")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    result = subprocess.run(
        [*command, "--target", str(target), str(ROOT)],
        env={**os.environ, "PATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, f"building the package failed\n{result.stdout}{result.stderr}"
    return target
