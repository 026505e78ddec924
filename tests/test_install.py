"""The installed package is complete: every file of the source tree that belongs in it is in it."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import latentcore

ROOT = Path(__file__).parents[1]


def tree(folder: Traversable, prefix: str = "") -> Iterator[str]:
    """Files below a folder of the installed package; an editable one lies in several places."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from tree(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name


INSTALLED = frozenset(tree(files("latentcore")))


def in_source(folder: str, *patterns: str) -> set[str]:
    found = {
        path.relative_to(ROOT / folder).as_posix()
        for pattern in patterns
        for path in (ROOT / folder).rglob(pattern)
    }
    assert found, f"nothing in {folder}"
    return found


def test_every_python_file_and_data_file_is_installed() -> None:
    source = in_source("python/latentcore", "*.py", "*.csv", "py.typed")
    assert source - INSTALLED == set()


def test_no_python_file_is_installed_that_is_not_in_the_source() -> None:
    installed = {name for name in INSTALLED if name.endswith(".py")}
    assert installed - in_source("python/latentcore", "*.py") == set()


def test_every_stub_is_installed() -> None:
    assert in_source("stubs/latentcore", "*.pyi") - INSTALLED == set()


def test_every_compiled_module_is_installed_with_a_stub() -> None:
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    compiled = {name.partition(".")[0] for name in INSTALLED if name.endswith(suffixes)}
    compiled = {name for name in compiled if "/" not in name}  # lib/ has the C library
    modules = {Path(name).stem for name in in_source("src/bindings/latentcore", "*.pyx")}
    stubs = {Path(name).stem for name in in_source("stubs/latentcore", "*.pyi")}
    assert compiled == modules == stubs


def test_every_header_is_in_the_include_folder() -> None:
    headers = {path.name for path in (ROOT / "include/latentcore").glob("*.h")}
    assert headers <= {path.name for path in Path(latentcore.get_include(), "latentcore").iterdir()}


def test_version_is_that_of_the_metadata_and_of_the_c_core() -> None:
    assert latentcore.__version__ == importlib.metadata.version("latentcore")
