"""What long work shows while it runs."""

import io
import re
import sys

import numpy as np

import latentcore
from cli.tools import FAITHFUL, csv_of, npy
from latentcore import GaussianMixture
from latentcore.cli import progress
from latentcore.engine import Progress
from latentcore.parts import Part
from latentcore.selection import Candidate, SelectionProgress


def as_terminal(monkeypatch):
    """Standard error, as if it were a terminal, and nothing too short to show."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = Terminal()
    monkeypatch.setattr(progress, "_SHORT", 0.0)
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return shown


def test_short_fit_shows_no_progress(run):
    assert run("fit", "@faithful", "-k", 2, "--progress")[2] == ""


def test_long_fit_tells_its_bound_line_by_line_where_there_is_no_terminal(run, monkeypatch):
    monkeypatch.setattr(progress, "_SHORT", 0.0)
    monkeypatch.setattr(progress, "_LINE_EVERY", 0.0)
    arguments = ["fit", "@faithful", "-k", 2, "--seed", 0, "--n-init", 2]
    _, _, err = run(*arguments, "--progress")
    model = GaussianMixture(2, random_state=0).fit(FAITHFUL)
    first = f"iteration 1: bound {model.lower_bounds_[0]:.6f}, change inf, start 1 of 2"
    assert err.splitlines()[0] == first
    assert "start 2 of 2" in err
    assert run(*arguments)[2] == ""


def test_long_fit_shows_a_bar_on_a_terminal(monkeypatch):
    terminal = as_terminal(monkeypatch)
    with progress.FitProgress(max_iter=50, n_init=1) as callback:
        for iteration in range(1, 4):
            callback(Progress(iteration, -4.25, 1e-3))
    assert "bound -4.250000, change 1.0e-03" in terminal.getvalue()
    assert re.search(r"\b3/50", terminal.getvalue())


def test_long_selection_tells_its_fits(run, monkeypatch):
    monkeypatch.setattr(progress, "_SHORT", 0.0)
    monkeypatch.setattr(progress, "_LINE_EVERY", 0.0)
    arguments = ["select", "@faithful", "-k", "1,2", "--families", "tied", "--progress"]
    assert run(*arguments)[2] == (
        "fit 1 of 2: gaussian-tied, K = 1\nfit 2 of 2: gaussian-tied, K = 2\n"
    )


def test_selection_shows_a_bar_on_a_terminal(monkeypatch):
    terminal = as_terminal(monkeypatch)
    with progress.SelectProgress() as report:
        report(SelectionProgress(7, 36, Candidate("tied", 4)))
    assert "tied, K = 4" in terminal.getvalue()
    assert re.search(r"\b7/36", terminal.getvalue())


def test_stream_and_passes_over_a_file_tell_their_rows(run, file, monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "_SHORT", 0.0)
    monkeypatch.setattr(progress, "_LINE_EVERY", 0.0)
    path = tmp_path / "m.npz"
    rows = file("rows.csv", "a,b\n" + csv_of(FAITHFUL))
    arguments = ["stream", path, rows, "-k", 2, "--seed", 0, "--batch-size", 136]
    err = run(*arguments, "--step-size", 0.25, "--progress")[2].splitlines()
    bounds = latentcore.load(path).lower_bounds_
    for line, n_rows, bound in zip(err, (136, 272), (bounds[0], np.mean(bounds)), strict=False):
        assert re.fullmatch(rf"row {n_rows}: [\d,]+ rows/s, bound {bound:.6f}, eta 0.25", line)
    matrix = file("rows.npy", npy(FAITHFUL))
    arguments = ["fit", matrix, "-k", 2, "--seed", 0, "--out-of-core", "--progress"]
    err = run(*arguments)[2].splitlines()
    assert err[0] == "272 rows: first pass"
    bound = GaussianMixture(2, random_state=0).fit(FAITHFUL).lower_bounds_[0]
    assert any(
        re.fullmatch(rf"272 rows: iteration 1, bound {bound:.6f}, [\d,]+ rows/s", line)
        for line in err
    )


def test_stream_and_passes_over_a_file_show_bars_on_a_terminal(monkeypatch):
    terminal = as_terminal(monkeypatch)
    with progress.StreamProgress() as show:
        show(70, -4.25, 0.5)
    assert "bound -4.250000, eta 0.5" in terminal.getvalue()
    with progress.PartsProgress() as callback:
        callback(Progress(3, -4.5, 1e-3, n_rows=90))
        assert len(list(callback.counted([Part(FAITHFUL[:60])]))) == 1
    assert "iteration 3, bound -4.500000" in terminal.getvalue()
    assert "60/90" in terminal.getvalue()
