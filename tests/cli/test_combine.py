"""`latentcore combine`: one model of files that several processes made."""

import subprocess
import sys

import numpy as np
import pytest

import latentcore
from cli.tools import csv_of
from latentcore import GaussianMixture, PoissonMixture

RATES = np.array([[2.0, 30.0], [14.0, 1.0], [40.0, 9.0]])


def counts(seed, n_rows=600):
    rng = np.random.default_rng(seed)
    return rng.poisson(RATES[rng.integers(0, 3, n_rows)]).astype(float)


@pytest.fixture(scope="module")
def fitted_apart(tmp_path_factory):
    """Files of two processes that have seen different rows."""
    folder = tmp_path_factory.mktemp("apart")
    paths = [folder / "a.npz", folder / "b.npz"]
    processes = []
    for seed, path in enumerate(paths):
        rows = folder / f"{seed}.csv"
        rows.write_text("x,y\n" + csv_of(counts(seed, 300 + 300 * seed)))
        options = ["--family", "poisson", "-k", "3", "--seed", str(seed), "--tol", "1e-9"]
        command = [sys.executable, "-m", "latentcore", "fit", rows, *options, "-o", path]
        processes.append(subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL))
    assert [process.wait(60) for process in processes] == [0, 0]
    return paths


def test_models_of_two_processes_are_about_the_fit_to_all_rows(run, fitted_apart, tmp_path):
    path = tmp_path / "c.npz"
    status, out, err = run("combine", *fitted_apart, "-o", path)
    assert (status, err) == (0, f"model saved to {path}\n")
    found = latentcore.load(path)
    pooled = PoissonMixture(3, random_state=0, tol=1e-9, n_init=3)
    pooled.fit(np.concatenate([counts(0, 300), counts(1, 600)]))
    order = np.argsort(found.rates_[:, 0]), np.argsort(pooled.rates_[:, 0])
    # fits of well separated components differ from counts by known labels by little
    np.testing.assert_allclose(found.rates_[order[0]], pooled.rates_[order[1]], rtol=2e-3)
    assert list(found.feature_names_in_) == ["x", "y"]
    report, table = out.split("\n\n", 1)
    assert table == run("info", path)[1]
    expected, alignment = latentcore.combine([str(p) for p in fitted_apart])
    np.testing.assert_array_equal(found.rates_, expected.rates_)
    lines = [line.split() for line in report.splitlines()]
    assert lines[0] == ["model", "weight", "components", "divergence", "margin"]
    for m, line in enumerate(lines[1:]):
        assert line[0] == str(fitted_apart[m])
        assert line[1] == f"{[1 / 3, 2 / 3][m]:.4f}"
        assert [*map(int, line[2:5])] == alignment.permutations[m].tolist()
        assert float(line[5]) == pytest.approx(alignment.divergences[m], rel=1e-3)


def test_options_reach_the_library(run, fitted_apart, tmp_path):
    path = tmp_path / "c.npz"
    options = ["--weights", "1,3", "--align", "none", "-o", path]
    assert run("combine", *fitted_apart, *options)[0] == 0
    expected, _ = latentcore.combine([str(p) for p in fitted_apart], [1, 3], align="none")
    np.testing.assert_array_equal(latentcore.load(path).rates_, expected.rates_)


def test_ambiguous_labels_are_a_line_of_warning(run, tmp_path):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for path, means in zip(paths, ([[0.0], [1.0]], [[0.5], [0.5001]]), strict=True):
        GaussianMixture.from_params([0.5, 0.5], means, [[[1.0]], [[1.0]]]).save(path)
    status, out, err = run("combine", *paths)
    assert status == 0
    assert err.startswith("latentcore: warning: models [")
    assert err.count("\n") == 1
    assert "ambiguous" in out


def test_orders_that_were_not_all_tried_are_told(run, fitted_apart, monkeypatch):
    told = "other orders of components may be better: not all could be tried\n"
    models = [*fitted_apart, fitted_apart[0]]
    assert told not in run("combine", *models)[1]
    assert told not in run("combine", *models, "--align", "none")[1]
    monkeypatch.setattr("latentcore.rules.combine._MOST_ENTROPIES", 0)
    assert told in run("combine", *models)[1]


def test_models_that_do_not_go_together_are_named(fails, run, file, tmp_path, fitted_apart):
    other, texts = tmp_path / "other.npz", []
    assert run("fit", "@faithful", "-k", 3, "-o", other)[0] == 0
    assert f"{other}: expected the class" in fails("combine", fitted_apart[0], other)
    for name in ("cat", "cow"):
        rows = file(f"{name}.csv", f"pet,n\n{name},1\ndog,2\n" * 5)
        texts.append(tmp_path / f"{name}.npz")
        options = ["-k", 1, "--family", "mixed", "--prior", "weak", "-o", texts[-1]]
        assert run("fit", rows, *options)[0] == 0
    complaint = fails("combine", *texts)
    assert complaint.startswith(f"{texts[1]}: expected the codes of {texts[0]}")
    assert "0 = cow" in complaint
    assert "--weights: expected 2" in fails("combine", *fitted_apart, "--weights", "1")
    assert "--weights: expected numbers > 0" in fails("combine", *fitted_apart, "--weights", "1,0")
