"""A C program built with pkg-config's flags, against a system install and against the wheel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from embedding.tools import run, tool

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "c_program" / "fit.c"


def build_and_run(pkgconfig: Path, folder: Path) -> str:
    """Compile the program as a user would, and run it."""
    query = [tool("pkg-config")]
    where = {"PKG_CONFIG_PATH": str(pkgconfig)}
    flags = run([*query, "--cflags", "--libs", "latentcore"], folder, **where).split()
    libdir = run([*query, "--variable=libdir", "latentcore"], folder, **where).strip()
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    run([tool("cc"), *warnings, SOURCE, "-o", "fit", *flags, f"-Wl,-rpath,{libdir}", "-lm"], folder)
    return run([folder / "fit"], folder)


def numbers(output: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The printed log-likelihoods, and (weight, mean, variance) of each component."""
    rows = [list(map(float, line.split())) for line in output.splitlines()[1:]]
    history = np.array([row[0] for row in rows if len(row) == 1])
    return history, np.array([row for row in rows if len(row) == 3])


def em_in_numpy() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What the program computes, by definition."""
    x = np.array([1.8, 2.0, 2.3, 1.7, 1.9, 2.1, 4.2, 4.5, 4.8, 4.4, 4.1, 4.7])
    weights, means, variances = np.array([0.5, 0.5]), np.array([1.0, 5.0]), np.array([1.0, 1.0])
    history = []
    for _ in range(25):
        density = np.exp(-((x[:, None] - means) ** 2) / (2 * variances)) / np.sqrt(
            2 * np.pi * variances
        )
        joint = weights * density
        history.append(np.log(joint.sum(axis=1)).sum())
        r = joint / joint.sum(axis=1, keepdims=True)
        weights, means = r.mean(axis=0), r.T @ x / r.sum(axis=0)
        variances = (r * (x[:, None] - means) ** 2).sum(axis=0) / r.sum(axis=0)
    return np.array(history), np.column_stack([weights, means, variances])


def assert_is_the_fit(output: str) -> None:
    history, components = numbers(output)
    wanted_history, wanted_components = em_in_numpy()
    np.testing.assert_allclose(history, wanted_history, rtol=1e-9)
    np.testing.assert_allclose(components, wanted_components, rtol=1e-9)


@pytest.fixture(scope="module")
def system_install(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of a `meson install` of the C library alone."""
    folder = tmp_path_factory.mktemp("system")
    prefix, meson = folder / "prefix", tool("meson")
    options = ["--libdir", "lib", "-Ddefault_library=both"]
    run([meson, "setup", folder / "build", ROOT, "--prefix", prefix, *options], folder)
    run([meson, "install", "-C", folder / "build"], folder)
    return prefix


def test_program_runs_on_the_installed_shared_library(system_install: Path, tmp_path: Path) -> None:
    output = build_and_run(system_install / "lib" / "pkgconfig", tmp_path)
    assert b"liblatentcore.so" in (tmp_path / "fit").read_bytes()
    assert_is_the_fit(output)


def test_program_runs_on_the_installed_static_library(system_install: Path, tmp_path: Path) -> None:
    library = str(system_install / "lib" / "liblatentcore.a")
    include = f"-I{system_install / 'include'}"
    run([tool("cc"), "-std=c11", SOURCE, include, library, "-lm", "-o", "fit"], tmp_path)
    assert b"liblatentcore.so" not in (tmp_path / "fit").read_bytes()
    assert_is_the_fit(run([tmp_path / "fit"], tmp_path))


def test_system_install_has_no_python_files(system_install: Path) -> None:
    assert not [
        path for path in system_install.rglob("*") if path.suffix in {".py", ".pyi", ".pxd"}
    ]


def test_program_runs_on_the_library_in_the_wheel(site_packages: Path, tmp_path: Path) -> None:
    output = build_and_run(site_packages / "latentcore" / "lib" / "pkgconfig", tmp_path)
    assert b"liblatentcore.so" in (tmp_path / "fit").read_bytes()
    assert_is_the_fit(output)


def test_headers_of_the_wheel_are_those_of_the_system_install(
    system_install: Path, site_packages: Path
) -> None:
    def texts(folder: Path) -> dict[str, str]:
        return {path.name: path.read_text() for path in (folder / "latentcore").glob("*.h")}

    assert texts(system_install / "include") == texts(site_packages / "latentcore" / "include")
