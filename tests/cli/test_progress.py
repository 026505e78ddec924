"""What long work shows while it runs."""

import io
import re
import sys

from cli.tools import FAITHFUL
from latentcore import GaussianMixture
from latentcore.cli import progress
from latentcore.engine import Progress
from latentcore.selection import Candidate, SelectionProgress


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
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(progress, "_SHORT", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
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
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(progress, "_SHORT", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress.SelectProgress() as report:
        report(SelectionProgress(7, 36, Candidate("tied", 4)))
    assert "tied, K = 4" in terminal.getvalue()
    assert re.search(r"\b7/36", terminal.getvalue())
