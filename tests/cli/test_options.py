"""Arguments that make no command, and files that are no model, are one clear line."""

import numpy as np
import pytest

import latentcore
from cli.tools import npy


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fit", "nowhere.csv", "-k", 2], "nowhere.csv: there is no such file"),
        (["fit", ".", "-k", 2], ".: expected a file, got a folder"),
        (["fit", "@mtcars", "-k", 2], "there is no such bundled data set; there are @faithful"),
        (["fit", "@faithful"], "the following arguments are required: -k/--components"),
        (["fit", "@faithful", "-k", 0], "expected an integer >= 1, got '0'"),
        (["fit", "@faithful", "-k", "two"], "expected an integer >= 1, got 'two'"),
        (["fit", "@faithful", "-k", 273], "n_components = 273, n_samples = 272"),
        (["fit", "@faithful", "-k", 2, "--covariance", "round"], "invalid choice: 'round'"),
        (["fit", "@faithful", "-k", 2, "--tol", "-1"], "expected a number >= 0, got '-1'"),
        (["fit", "@faithful", "-k", 2, "--tol", "nan"], "expected a number >= 0, got 'nan'"),
        (["fit", "@faithful", "-k", 2, "--seed", "-1"], "expected an integer from 0 to 2**32 - 1"),
        (["fit", "@faithful", "-k", 2, "--columns", "width"], "no column 'width'; there are eruptions, waiting"),
        (["fit", "@faithful", "-k", 2, "--columns", "waiting,waiting"], "expected different names"),
        (["fit", "@faithful", "-k", 2, "--out", "nowhere/m.npz"], "there is no folder nowhere"),
        (["fit", "@faithful", "-k", 2, "--plot", "nowhere/fit.png"], "there is no folder nowhere"),
        (["fit", "@faithful", "-k", 2, "--plot", "fit.xyz"], "fit.xyz: expected a name ending in one of"),
        (["predict", "nowhere.npz", "@faithful"], "nowhere.npz: No such file or directory"),
        (["frobnicate"], "invalid choice: 'frobnicate'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_line(fails, arguments, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complaint in fails(*arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("fit @faithful -k 2 --family cauchy", "invalid choice: 'cauchy'"),
        ("fit @faithful -k 2 --family poisson --covariance full", "only for the family gaussian or mixed"),
        ("fit @faithful -k 2 --column-families poisson:a", "--column-families: only for the family mixed"),
        ("fit @faithful -k 2 --family mixed --column-families poisson:a", "there is no column 'a'"),
        ("fit @faithful -k 2 --family mixed --column-families poisson", "expected FAMILY:COLUMN,..."),
        ("fit @faithful -k 2 --family mixed --column-families mixed:waiting", "expected FAMILY:COLUMN"),
        ("fit @faithful -k 2 --family mixed --column-families poisson:a;gaussian:a", "got 'a' twice"),
        ("fit @faithful -k 2 --labels kind", "there is no column 'kind'"),
        ("fit @faithful -k 2 --labels waiting --columns waiting", "expected columns other than the labels 'waiting'"),
        ("fit @nile -k 2 --labels flow", "expected columns besides the labels 'flow'"),
        ("fit @faithful -k 2 --prior strong", "invalid choice: 'strong'"),
        ("select @faithful -k 3:1", "expected FIRST <= LAST, got '3:1'"),
        ("select @faithful -k 0:2", "expected an integer >= 1, got '0'"),
        ("select @faithful --families full,round", "expected some of full, tied"),
        ("select @faithful --save nowhere/m.npz", "there is no folder nowhere"),
        ("select @faithful --families full --covariance tied", "--covariance: only for the family mixed"),
        ("plot nowhere.npz", "the following arguments are required: -o/--out"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_together_are_one_line(
    fails, line, complaint, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert complaint in fails(*line.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"junk", npy(np.zeros(3))])
@pytest.mark.parametrize("command", ["info", "score", "predict", "sample"])
def test_file_that_is_no_model_is_one_line(fails, file, command, content):
    path = file("model.npz", content)
    arguments = [] if command in ("info", "sample") else ["@faithful"]
    assert fails(command, path, *arguments).startswith(f"{path}: expected a saved model")


def test_help_and_version_succeed(run):
    assert run("--version") == (0, f"{latentcore.__version__}\n", "")
    status, out, _ = run("fit", "--help")
    assert status == 0
    assert "--covariance" in out
