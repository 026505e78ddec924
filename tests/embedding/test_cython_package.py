"""A setuptools package whose Cython code cimports the C core: its wheel built, installed, run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from embedding.tools import run

SOURCE = Path(__file__).parent / "cython_package"


@pytest.fixture(scope="module")
def downstream(site_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the downstream package was installed into."""
    folder = tmp_path_factory.mktemp("downstream")
    shutil.copytree(SOURCE, folder / "source")
    pip = [sys.executable, "-m", "pip"]
    options = ["--no-build-isolation", "--no-deps", "--no-index"]
    path = {"PYTHONPATH": str(site_packages)}
    run([*pip, "wheel", "-q", *options, "-w", folder, folder / "source"], folder, **path)
    (wheel,) = folder.glob("downstream-*.whl")
    run(
        [*pip, "install", "-q", "--no-deps", "--no-index", "--target", folder / "site", wheel],
        folder,
    )
    return folder / "site"


def python(downstream: Path, site_packages: Path, program: str) -> str:
    path = f"{downstream}:{site_packages}"
    return run([sys.executable, "-c", program], downstream, PYTHONPATH=path)


def test_kernel_called_without_the_gil_gives_responsibilities(
    downstream: Path, site_packages: Path
) -> None:
    program = """
import numpy as np
from downstream.normalize import normalize
rng = np.random.default_rng(0)
a = rng.normal(size=(50, 3))
r = np.empty_like(a)
total = normalize(a, r)
e = np.exp(a)
np.testing.assert_allclose(r, e / e.sum(axis=1, keepdims=True), rtol=1e-14)
np.testing.assert_allclose(total, np.log(e.sum(axis=1)).sum(), rtol=1e-13)
print("equal")
"""
    assert python(downstream, site_packages, program) == "equal\n"


def test_there_is_one_library_and_one_choice_of_instruction_set(
    downstream: Path, site_packages: Path
) -> None:
    program = """
import latentcore
from latentcore import kernels
from downstream.normalize import versions
assert versions() == (latentcore.__version__, kernels.isa())
kernels.isa_force("base")
print(*versions())
"""
    version, isa = python(downstream, site_packages, program).split()
    assert (version.count("."), isa) == (2, "base")
