"""Disks that are full, outputs and inputs that are closed: a line that names them, and nothing half written."""

import os
import pty
import subprocess
import sys

import numpy as np
import pytest

import latentcore
from cli.tools import csv_of, npy

WIDE = np.random.default_rng(0).normal(size=(1000, 40))
LIMIT = 8192
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
"""As most have it: what was not written is tried again when Python ends."""


def process(*arguments, limit=None, **options):
    program = "import sys; from latentcore.cli import main; "
    if (
        limit is not None
    ):  # a file that grows beyond meets what a full disk says, under another name
        program += (
            f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
        )
    program += "sys.exit(main())"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "env": BUFFERED, **options}
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=120, **options)


@pytest.fixture
def wide(run, file, tmp_path):
    rows, model = file("rows.npy", npy(WIDE)), tmp_path / "model.npz"
    assert run("fit", rows, "-k", 2, "--seed", 0, "-o", model)[0] == 0
    return rows, model


@pytest.mark.parametrize("end", ["csv", "npy", "parquet"])
def test_table_that_does_not_fit_is_not_there(wide, tmp_path, end):
    rows, model = wide
    out = tmp_path / f"out.{end}"
    found = process("impute", model, rows, "-o", out, limit=LIMIT)
    assert found.returncode == 2
    assert found.stderr.startswith(f"latentcore: error: {out}: ")
    assert found.stderr.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["model.npz", "rows.npy"]


def test_picture_that_does_not_fit_is_not_there(wide, tmp_path):
    _, model = wide
    out = tmp_path / "weights.png"
    found = process("plot", model, "--kind", "objective", "-o", out, limit=1000)
    assert found.stderr == f"latentcore: error: {out}: File too large\n"
    assert not out.exists()


def test_model_that_does_not_fit_leaves_the_one_before(wide, file, tmp_path):
    _, model = wide
    before = model.read_bytes()
    rows = file("rows.csv", csv_of(WIDE))
    found = process("stream", model, rows, limit=LIMIT)
    assert found.returncode == 2
    assert found.stderr.endswith(f"latentcore: error: {model}: File too large\n")
    assert model.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["model.npz", "rows.csv", "rows.npy"]


def test_full_standard_output_is_named(saved):
    with open("/dev/full", "w") as full:
        found = process("info", saved, stdout=full)
    assert found.returncode == 2
    assert found.stderr == "latentcore: error: standard output: No space left on device\n"


def test_closed_standard_output_is_no_error(saved, file):
    rows = file("rows.csv", "eruptions,waiting\n1,2\n")
    found = process("stream", saved, rows, preexec_fn=lambda: os.close(1))
    assert found.returncode == 0
    assert latentcore.load(saved).n_samples_seen_ == 273


def test_closed_standard_input_is_named(saved):
    found = process("stream", saved, preexec_fn=lambda: os.close(0))
    assert found.stderr == "latentcore: error: standard input: Bad file descriptor\n"


def test_rows_that_are_typed_are_learned_until_the_end_is(saved):
    keyboard, terminal = pty.openpty()
    os.write(keyboard, b"waiting,eruptions\n70,2\n71,3\n\x04")
    found = process("stream", saved, stdin=terminal)
    assert found.returncode == 0
    assert "learned from 2 rows" in found.stderr
    os.close(keyboard)
    os.close(terminal)
