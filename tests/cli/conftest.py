"""Runs commands in this process, and what several tests run them on."""

import pytest

from latentcore.cli import main


@pytest.fixture
def run(capsys):
    """Runs a command; gives its exit status, standard output and standard error."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def fails(run):
    """Runs a command that must fail with one line; gives what the line says."""

    def fails(*arguments):
        status, out, err = run(*arguments)
        assert status == 2
        assert out == ""
        assert err.startswith("latentcore: error: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        return err.removeprefix("latentcore: error: ").rstrip("\n")

    return fails


@pytest.fixture
def file(tmp_path):
    def file(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return file


@pytest.fixture
def saved(tmp_path, run):
    """A model of Old Faithful, saved by the command line."""
    path = tmp_path / "model.npz"
    status, *_ = run("fit", "@faithful", "-k", 2, "--seed", 0, "--out", path)
    assert status == 0
    return path
