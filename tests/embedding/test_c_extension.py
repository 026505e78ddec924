"""A C extension that imports the capsule of C functions, built by one compiler command and run."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from embedding.tools import run, tool

SOURCE = Path(__file__).parent / "c_extension" / "module.c"


def build(folder: Path, include: Path) -> None:
    includes = [f"-I{sysconfig.get_path('include')}", f"-I{include}"]
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
    name = f"capsule_user{sysconfig.get_config_var('EXT_SUFFIX')}"
    run([tool("cc"), *warnings, "-shared", "-fPIC", *includes, SOURCE, "-o", name], folder)


def python(folder: Path, site_packages: Path, program: str) -> str:
    path = f"{folder}:{site_packages}"
    return run([sys.executable, "-c", program], folder, PYTHONPATH=path)


def test_function_of_the_capsule_is_called(tmp_path: Path, site_packages: Path) -> None:
    build(tmp_path, site_packages / "latentcore" / "include")
    program = "import array, capsule_user; print(capsule_user.logsumexp(array.array('d', [0, 0])))"
    output = python(tmp_path, site_packages, program)
    assert float(output) == pytest.approx(0.6931471805599453, rel=1e-15)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#define LC_API_ABI 1", "#define LC_API_ABI 2"),
        ("} lc_api;", "  void (*later)(void);\n} lc_api;"),
    ],
    ids=["another meaning", "more functions than there are"],
)
def test_header_of_another_version_is_refused(
    tmp_path: Path, site_packages: Path, before: str, after: str
) -> None:
    include = tmp_path / "include"
    shutil.copytree(site_packages / "latentcore" / "include", include)
    header = include / "latentcore" / "api.h"
    text = header.read_text()
    assert text.count(before) == 1
    header.write_text(text.replace(before, after))
    build(tmp_path, include)
    program = """
try:
    import capsule_user
except ImportError as error:
    print(error)
"""
    output = python(tmp_path, site_packages, program)
    assert output.strip() == "latentcore: built against another version of its C interface"
