"""The command line as a process: streams, signals, extras that are not installed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def process(*arguments, **options):
    command = [sys.executable, "-m", "latentcore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_module_and_script_are_the_same_program(run):
    result = process("fit", "@faithful", "-k", 2, "--seed", 0)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == run("fit", "@faithful", "-k", 2, "--seed", 0)[1]
    script = Path(sys.executable).with_name("latentcore")
    assert subprocess.run([script, "--version"], capture_output=True).returncode == 0


def test_reader_that_leaves_early_is_no_error(saved):
    command = [sys.executable, "-m", "latentcore", "sample", str(saved), "-n", "200000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == b"eruptions,waiting\n"
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


@pytest.mark.parametrize("command", [["fit", "--model", "hmm"], ["fit"], ["select"]], ids=" ".join)
def test_reader_that_leaves_early_takes_no_fit_with_it(command, tmp_path):
    path = tmp_path / "model.npz"
    read, write = os.pipe()
    os.close(read)
    try:
        result = subprocess.run(
            [sys.executable, "-u", "-m", "latentcore", *command, "@faithful", "-k", "1", "-o", path],
            stdout=write, stderr=subprocess.PIPE, timeout=120,
        )  # fmt: skip
    finally:
        os.close(write)
    assert (result.returncode, result.stderr.decode()) == (0, f"model saved to {path}\n")
    assert path.exists()


def test_interrupt_is_one_line_and_130(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, np.random.default_rng(0).normal(size=(300_000, 8)))
    options = ["-k", "8", "--tol", "0", "--max-iter", "1000000", "--init", "random", "--progress"]
    # a shell's background jobs ignore Ctrl-C, and so would what they start
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "import sys; from latentcore.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "fit", str(path), *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline().startswith("iteration ")  # it is at work
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "latentcore: interrupted"
    assert "Traceback" not in err


HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
"""


@pytest.mark.parametrize(
    ("absent", "arguments", "says"),
    [
        ("pyarrow", ["fit", "rows.csv", "-k", "2"], "pip install 'latentcore[cli]'"),
        ("distributed", ["fit", "a.parquet", "-k", "2", "--cluster", "local:1"], "pip install 'latentcore[dask]'"),
        ("matplotlib", ["fit", "@faithful", "-k", "2", "--plot", "a.png"], "pip install 'latentcore[plot]'"),
    ],
)  # fmt: skip
def test_absent_extra_is_one_line_that_says_how_to_install_it(tmp_path, absent, arguments, says):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3,4\n5,7\n")
    program = (
        f"{HIDE.format([absent])}from latentcore.cli import main; sys.exit(main({arguments!r}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert says in result.stderr


def test_without_any_extra_the_bundled_data_still_fit():
    hide = HIDE.format(["pyarrow", "rich", "matplotlib"])
    program = (
        f"{hide}from latentcore.cli import main; sys.exit(main(['fit', '@faithful', '-k', '2']))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert "-1130.264" in result.stdout
