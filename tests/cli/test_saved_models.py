"""What commands make of a saved model: predict, score, sample, info."""

import re

import numpy as np
import pytest

import latentcore
from cli.tools import FAITHFUL, as_frame, npy
from latentcore import GaussianMixture
from latentcore.cli.tables import read_table


def test_predict_prints_the_labels(run, saved):
    status, out, _ = run("predict", saved, "@faithful")
    header, *labels = out.split()
    assert (status, header) == (0, "component")
    np.testing.assert_array_equal(np.array(labels, int), latentcore.load(saved).predict(as_frame()))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "npy"])
def test_predict_writes_the_probabilities_without_loss(run, saved, tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    status, out, _ = run("predict", saved, "@faithful", "--proba", "-o", path)
    assert (status, out) == (0, "")
    table = read_table(str(path))
    np.testing.assert_array_equal(table.data, latentcore.load(saved).predict_proba(as_frame()))
    assert table.columns == (None if suffix == "npy" else ["p0", "p1"])


def test_predict_picks_the_columns_by_name(run, saved, file):
    rows = "\n".join(f"{w},x,{e}" for e, w in FAITHFUL.tolist())
    shuffled = file("shuffled.csv", f"waiting,note,eruptions\n{rows}\n")
    assert run("predict", saved, shuffled) == run("predict", saved, "@faithful")


def test_predict_takes_columns_without_names_by_position(run, saved, file):
    path = file("a.npy", npy(FAITHFUL))
    assert run("predict", saved, path) == run("predict", saved, "@faithful")


def test_model_without_names_takes_a_file_with_names(run, tmp_path, file):
    model = tmp_path / "model.npz"
    GaussianMixture(2, random_state=0).fit(FAITHFUL).save(model)
    status, out, err = run("predict", model, "@faithful")
    assert (status, err) == (0, "")
    assert len(out.split()) == 273


def test_wrong_columns_for_the_model_are_named(fails, saved, file):
    assert "there is no column 'eruptions'; there are flow" in fails("predict", saved, "@nile")
    path = file("a.npy", npy(np.zeros((3, 5))))
    assert "expected 2 columns, those of the model, got 5" in fails("predict", saved, path)


def test_score_prints_total_and_mean(run, saved):
    status, out, _ = run("score", saved, "@faithful")
    figures = dict(re.split(r"  +", line) for line in out.splitlines())
    model = latentcore.load(saved)
    assert status == 0
    assert int(figures["rows"]) == 272
    assert float(figures["log-likelihood"]) == pytest.approx(model.loglik(as_frame()), abs=1e-6)
    assert float(figures["per row"]) == pytest.approx(model.score(as_frame()), abs=1e-6)


def test_sample_of_a_seed_is_the_same_again_and_fits_the_model(run, saved, tmp_path):
    status, out, _ = run("sample", saved, "-n", 4000, "--seed", 1)
    assert (status, out) == run("sample", saved, "-n", 4000, "--seed", 1)[:2]
    assert out != run("sample", saved, "-n", 4000, "--seed", 2)[1]
    assert out.startswith("eruptions,waiting\n")
    rows = np.loadtxt(out.splitlines()[1:], delimiter=",")
    assert rows.shape == (4000, 2)
    error = FAITHFUL.std(axis=0) / np.sqrt(len(rows))
    assert (np.abs(rows.mean(axis=0) - FAITHFUL.mean(axis=0)) < 5 * error).all()


def test_info_prints_the_table_of_the_fit(run, saved):
    assert run("info", saved)[1] == run("fit", "@faithful", "-k", 2, "--seed", 0)[1]
