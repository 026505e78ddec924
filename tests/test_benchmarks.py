"""The command of the benchmarks, on small data: that it compares, and what; not how fast."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import multinomial

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of the benchmarks as their command does; afterwards they are forgotten."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for path in BENCHMARKS.glob("*.py"):
        monkeypatch.delitem(sys.modules, path.stem, raising=False)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--quick", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_every_part_prints_its_table_and_writes_it(tmp_path: Path) -> None:
    parts = [
        "em", "separated", "threads", "memory", "logsumexp", "overhead", "kmeans", "lloyd", "sparse", "hard", "missing",
        "sparse-memory", "bayesian", "baum-welch", "hmm-score", "viterbi", "hmm-memory",
        "partial-fit",
        "cluster",
    ]  # fmt: skip
    shapes = ["full-1e6-2-3", "full-2e5-32-16", "full-200x500-16-4", "poisson-1x1e5-3-1"]
    file = tmp_path / "result.json"
    result = run("--only", *parts, *shapes, "--json", str(file))
    assert result.returncode == 0, result.stderr
    tables = json.loads(file.read_text())["tables"]
    assert list(tables) == parts
    for name, rows in tables.items():
        assert f"\n{name}: " in result.stdout
        assert all(heading in result.stdout for heading in rows[0])
    lines = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert len(lines) == sum(2 + len(rows) for rows in tables.values())
    for name in ("em", "threads", "memory", "kmeans"):
        assert [row["shape"] for row in tables[name]] == ["full-2e4-2-3", "full-4e3-32-16"]
    assert [row["shape"] for row in tables["separated"]] == ["full-4e3-32-16"]
    for name in ("baum-welch", "hmm-score", "viterbi"):
        assert [row["shape"] for row in tables[name]] == ["full-4x500-16-4", "poisson-1x500-3-1"]


def test_only_limits_parts_and_shapes_and_float32_follows() -> None:
    result = run("--float32", "--only", "em", "spherical-1e6-8-16")
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines[2:]]
    assert cells == [["spherical-2e4-8-16", "float64"], ["spherical-2e4-8-16", "float32"]]


def test_pomegranate_is_compared_or_said_to_be_missing(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    result = run("--only", "pomegranate", "--json", str(file))
    assert result.returncode == 0, result.stderr
    rows = json.loads(file.read_text())["tables"]["pomegranate"]
    if importlib.util.find_spec("pomegranate") is None:
        assert rows == []
        assert "NOT MEASURED: pomegranate is not installed" in result.stderr
    else:
        assert [row["shape"] for row in rows] == ["poisson-2e4-1-4", "bernoulli-2e3-64-10"]
        assert "NOT MEASURED" not in result.stderr


def test_unknown_name_is_refused() -> None:
    result = run("--only", "nonsense")
    assert result.returncode == 2
    assert "'nonsense'" in result.stderr


def test_differing_log_likelihoods_stop_the_run(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fits, shapes = load("fits"), load("shapes")
    bounds = {"latentcore": -1.0, "scikit-learn": -1.0 - 1e-7}
    monkeypatch.setattr(
        fits, "fit", lambda library, *rest: SimpleNamespace(lower_bound_=bounds[library])
    )
    problem = shapes.make(shapes.OLD_FAITHFUL)
    with pytest.raises(SystemExit, match=r"full-3e2-2-2 float64: expected log-likelihoods"):
        fits.check_agreement(problem, 1)
    bounds["scikit-learn"] = float("nan")
    with pytest.raises(SystemExit, match="nan from scikit-learn"):
        fits.check_agreement(problem, 1)


def test_differing_objectives_of_other_mixtures_stop_the_run(load: Any) -> None:
    contests = load("contests")
    agreeing = contests.Contest("poisson", "float64", lambda n: -1.0, lambda n: -1.0 - 1e-9)
    agreeing.check_agreement()
    for theirs in (-1.0 - 1e-7, float("nan")):
        contest = contests.Contest("poisson", "float64", lambda n: -1.0, lambda n, v=theirs: v)
        with pytest.raises(SystemExit, match="poisson float64: expected objectives that agree"):
            contest.check_agreement()


def test_tolerance_of_a_contest_is_its_own(load: Any) -> None:
    contests = load("contests")
    for difference, stops in ((1e-4, False), (1e-2, True)):
        contest = contests.Contest(
            "diag", "float64", lambda n: -1.0, lambda n, d=difference: -1.0 - d, tolerance=1e-3
        )
        with pytest.raises(SystemExit) if stops else nullcontext():
            contest.check_agreement()


def test_em_written_in_scipy_is_that_of_dense_counts(load: Any) -> None:
    """Against multinomials of SciPy, after no iteration; and it ascends."""
    contests = load("contests")
    made = contests.documents(contests.Sizes(40, 30, 3), "float64")
    fit = contests._scipy(made.x, made.start)
    x = made.x.toarray()
    densities = np.exp([multinomial(x.sum(axis=1), p).logpmf(x) for p in made.start])
    assert fit(0) == pytest.approx(np.log(densities.mean(axis=0)).mean(), rel=1e-10)
    assert fit(0) < fit(1) < fit(5)


def test_rivals_that_disagree_about_sequences_stop_the_run(load: Any) -> None:
    hmm = load("hmm")
    problem = hmm.make_chains(hmm.CHAINS[0].shrunk())

    def solver(value: float) -> Any:
        return hmm.Solver(lambda n: value, lambda: value, lambda: value, lambda found: found)

    def check(theirs: float) -> None:
        solvers = {"latentcore": solver(-1.0), "log": solver(theirs)}
        hmm.check_agreement(problem, "scores", solvers, lambda one: one.score())

    check(-1.0 - 1e-9)
    for theirs in (-1.0 - 1e-7, float("nan")):
        with pytest.raises(SystemExit, match="diag-1x500-4-2: expected scores that agree"):
            check(theirs)


def test_libraries_solve_the_same_chains(load: Any) -> None:
    """Every emission: log-likelihoods after an iteration, and at the start, and densities of the best path."""
    hmm = load("hmm")
    assert hmm.hmmlearn_is_installed() or sys.version_info >= (3, 14)  # of which it has no wheel
    for chains in (hmm.CHAINS[0], hmm.CHAINS[1], hmm.CHAINS[4], hmm.CHAINS[5]):
        problem = hmm.make_chains(chains.shrunk())
        solvers = hmm.all_solvers(problem)
        for answer in (
            lambda one: one.fit(2),
            lambda one: one.score(),
            lambda one: one.path_density(one.decode()),
        ):
            hmm.check_agreement(problem, "answers", solvers, answer)


def test_set_up_is_not_counted(load: Any) -> None:
    timing = load("timing")
    now = 0.0

    def fit(n_iterations: int) -> None:
        nonlocal now
        now += 10.0 + 2.0 * n_iterations

    assert timing.seconds_per_iteration(fit, 4, clock=lambda: now) == 2.0


def test_memory_counts_the_arrays_of_a_fit(load: Any) -> None:
    memory, shapes = load("memory"), load("shapes")
    shape = shapes.Shape("spherical", 100_000, 2, 16)
    responsibilities = 100_000 * 16 * 8 / 2**20
    assert memory.peak_of_fit("scikit-learn", shape, "float64") > responsibilities
    assert memory.peak_of_fit("latentcore", shape, "float64") < responsibilities
    assert memory.peak_of_bayesian_fit("scikit-learn", shape, "float64") > responsibilities
    assert memory.peak_of_bayesian_fit("latentcore", shape, "float64") < responsibilities


def test_memory_of_sparse_rows_is_not_that_of_responsibilities(load: Any) -> None:
    memory, contests = load("memory"), load("contests")
    sizes = contests.Sizes(100_000, 100, 64)
    peak, _ = memory.peak_of_documents(sizes, "float64")
    assert 0 < peak < 100_000 * 64 * 8 / 2**20
