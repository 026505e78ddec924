"""Instruction sets: each gives the same results to rounding, and a wrong name is a clear error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from latentcore import kernels

NAMES = ("base", "v3", "v4")

# Every kernel on shapes with whole and with broken tiles; run in a process of its own.
PROGRAM = """
import sys
import numpy as np
from latentcore import kernels

results = {"isa": np.array(kernels.isa())}
for dtype in (np.float32, np.float64):
    for k, d in ((1, 1), (2, 2), (3, 5), (7, 9), (16, 33)):
        rng = np.random.default_rng(d)
        x = rng.normal(size=(533, d)).astype(dtype)
        means, weight = rng.normal(size=(k, d)), rng.uniform(size=533)
        shapes = {
            "full": np.tile(np.eye(d), (k, 1, 1)) + 0.1 * np.triu(rng.normal(size=(k, d, d))),
            "tied": np.eye(d) + 0.1 * np.triu(rng.normal(size=(d, d))),
            "diag": rng.uniform(0.5, 1.0, (k, d)),
            "spherical": rng.uniform(0.5, 1.0, k),
        }
        name = f"{np.dtype(dtype).name} {k} {d} "
        for type_, factors in shapes.items():
            arguments = (np.zeros(k), means, factors, type_)
            sweep = kernels.gaussian_em_sweep(x, weight, *arguments)
            for i, value in enumerate(sweep[:4]):
                results[f"{name}{type_} sweep {i}"] = value
            r, density = kernels.gaussian_responsibilities(x, *arguments)
            results[f"{name}{type_} r"], results[f"{name}{type_} density"] = r, density
            for i, value in enumerate(kernels.gaussian_moments(x, r, means, type_)[:3]):
                results[f"{name}{type_} moments {i}"] = value
        codes, levels = rng.integers(3, size=x.shape).astype(dtype), np.full(d, 3)
        gaps = np.where(rng.uniform(size=x.shape) < 0.1, dtype(np.nan), x)
        sparse = np.arange(0, x.size + 1, d), np.tile(np.arange(d, dtype=np.int32), len(x)), x.ravel()
        for rows, features, f in (
            (x, "x", d), (gaps, "x", d), (sparse, "x", d), (np.exp(x), "x_log_x", 2 * d), (x, "cos_sin", 2 * d),
            (codes, "one_hot", 3 * d),
        ):
            missing, sizes = rows is gaps, levels if features == "one_hot" else None
            kind = f"{name}{features} {'sparse' if rows is sparse else 'missing' if missing else 'dense'}"
            coefficients = rng.normal(size=(k, f)) / f
            arguments = (np.zeros(k), means, coefficients, features, sizes, missing)
            for i, value in enumerate(kernels.linear_em_sweep(rows, weight, *arguments)):
                results[f"{kind} sweep {i}"] = 0.0 if value is None else value
            r, density = kernels.linear_responsibilities(rows, *arguments)
            results[f"{kind} r"], results[f"{kind} density"] = r, density
            moments = kernels.linear_moments(rows, r, features, sizes, missing, n_columns=d)
            results[f"{kind} counts"], results[f"{kind} sums"] = moments[:2]
        labels = np.empty(len(x), np.int32)
        for i, value in enumerate(kernels.kmeans_sweep(x, weight, means, labels)):
            results[f"{name}kmeans {i}"] = value
    a = np.linspace(-80, 80, 1001).astype(dtype)
    results[f"{np.dtype(dtype).name} exp"] = kernels.exp(a)
    results[f"{np.dtype(dtype).name} log"] = kernels.log(kernels.exp(a))
np.savez(sys.argv[1], **results)
"""


def run(isa: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", *arguments],
        env={**os.environ, "LATENTCORE_ISA": isa}, capture_output=True, text=True,
    )  # fmt: skip


def results(isa: str, folder: Path) -> dict[str, npt.NDArray[Any]]:
    path = folder / f"{isa}.npz"
    process = run(isa, PROGRAM, str(path))
    assert process.returncode == 0, process.stderr
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> dict[str, npt.NDArray[Any]]:
    return results("base", tmp_path_factory.mktemp("portable"))


@pytest.mark.parametrize("isa", NAMES)
def test_instruction_set_agrees_with_the_portable_one(
    isa: str, portable: dict[str, npt.NDArray[Any]], tmp_path: Path
) -> None:
    if not kernels.isa_available(isa):
        pytest.skip(f"this processor lacks the instruction set {isa}")
    got = results(isa, tmp_path)
    assert str(got.pop("isa")) == isa
    assert got.keys() == portable.keys() - {"isa"}
    for name, value in got.items():
        expected = portable[name]
        tolerance = 2e-4 if name.startswith("float32") else 1e-12
        scale = np.max(np.abs(expected)) if not name.endswith(("exp", "log")) else np.abs(expected)
        assert np.all(np.abs(value - expected) <= tolerance * scale), name


@pytest.mark.parametrize("isa", ["", "avx", "V3", "v3 ", "v5"])
def test_unknown_instruction_set_is_an_import_error(isa: str) -> None:
    process = run(isa, "import latentcore")
    if isa == "":  # as if it were not set
        assert process.returncode == 0, process.stderr
        return
    assert process.returncode == 1
    last = process.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "ImportError: LATENTCORE_ISA: expected an instruction set that this processor has"
    )


@pytest.mark.parametrize("isa", NAMES)
def test_unavailable_instruction_set_is_an_import_error(isa: str) -> None:
    if kernels.isa_available(isa):
        pytest.skip(f"this processor has the instruction set {isa}")
    process = run(isa, "import latentcore")
    assert process.returncode == 1
    assert "ImportError: LATENTCORE_ISA: expected" in process.stderr


def test_forcing_an_unknown_instruction_set_changes_nothing() -> None:
    before = kernels.isa()
    assert kernels.isa_available(before)
    assert not kernels.isa_available("v9")
    with pytest.raises(ValueError, match=r"name: expected an instruction set .*, got 'v9'"):
        kernels.isa_force("v9")
    assert kernels.isa() == before


def test_forced_instruction_set_is_used() -> None:
    before = kernels.isa()
    try:
        kernels.isa_force("base")
        assert kernels.isa() == "base"
    finally:
        kernels.isa_force(before)
    assert kernels.isa() == before
