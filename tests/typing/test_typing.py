"""mypy --strict on downstream programs, against the installed package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def mypy(program: Path, folder: Path, site_packages: Path) -> str:
    """What mypy says of a copy of the program, away from the source tree."""
    shutil.copy(program, folder)
    # An installed package is found by the interpreter's path, one in a temporary folder by MYPYPATH.
    installed = any(Path(entry) == site_packages for entry in sys.path)
    environment = {**os.environ, "MYPYPATH": "" if installed else str(site_packages)}
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--show-error-codes"]
    result = subprocess.run(
        [*command, "--cache-dir", str(folder / "cache"), program.name],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert result.stderr == ""
    # A package found through MYPYPATH is checked too, as an installed one is not: that is another test's.
    return "".join(line for line in result.stdout.splitlines(True) if line.startswith(program.name))


def test_downstream_program_is_accepted(tmp_path: Path, site_packages: Path) -> None:
    assert mypy(HERE / "accepts.py", tmp_path, site_packages) == ""


def test_downstream_program_runs() -> None:
    result = subprocess.run([sys.executable, HERE / "accepts.py"], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("done\n", "")


def test_types_are_seen(tmp_path: Path, site_packages: Path) -> None:
    """Without the package's types everything is Any, and every program is accepted."""
    program = tmp_path / "source" / "reveals.py"
    program.parent.mkdir()
    program.write_text("from latentcore import kernels\nreveal_type(kernels.isa_force)\n")
    assert 'Revealed type is "def (name: str)"' in mypy(program, tmp_path, site_packages)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, site_packages: Path) -> set[tuple[int, str]]:
    """Line and code of each error in rejects.py."""
    output = mypy(HERE / "rejects.py", tmp_path_factory.mktemp("rejects"), site_packages)
    errors = re.findall(r"^rejects\.py:(\d+): error: .*\[([a-z-]+)\]$", output, re.MULTILINE)
    return {(int(line), code) for line, code in errors}


def marked() -> set[tuple[int, str]]:
    lines = (HERE / "rejects.py").read_text().splitlines()
    marks = [
        (number, re.search(r"# error: ([a-z-]+)$", text)) for number, text in enumerate(lines, 1)
    ]
    return {(number, mark[1]) for number, mark in marks if mark}


def test_every_marked_mistake_is_found(found: set[tuple[int, str]]) -> None:
    assert marked() - found == set()


def test_nothing_else_is_found(found: set[tuple[int, str]]) -> None:
    assert found - marked() == set()
