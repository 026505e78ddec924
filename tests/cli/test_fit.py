"""What `latentcore fit` prints, saves and passes on."""

import numpy as np
import pytest

import latentcore
from cli.tools import FAITHFUL, npy
from latentcore import GaussianMixture
from latentcore.cli.models import FAMILIES
from latentcore.cli.tables import BUNDLED


def test_fit_prints_the_table_of_the_library(run):
    status, out, err = run("fit", "@faithful", "-k", 2, "--seed", 3, "--tol", "1e-9")
    assert (status, err) == (0, "")
    assert "-1130.264" in out
    assert "eruptions" in out
    assert "waiting" in out


def test_every_option_of_fit_reaches_the_model(run, tmp_path):
    path = tmp_path / "model.npz"
    options = ["--covariance", "tied", "--seed", 5, "--n-init", 2, "--max-iter", 7, "--tol", 0.5]
    status, *_ = run(
        "fit",
        "@faithful",
        "-k",
        3,
        *options,
        "--init",
        "random_from_data",
        "--threads",
        2,
        "-o",
        path,
    )
    assert status == 0
    params = latentcore.load(path).get_params()
    expected = {
        "n_components": 3, "covariance_type": "tied", "random_state": 5, "n_init": 2, "max_iter": 7,
        "tol": 0.5, "init_params": "random_from_data", "n_threads": 2,
    }  # fmt: skip
    assert {name: params[name] for name in expected} == expected


def test_saved_model_is_the_fit_and_knows_the_names(saved):
    model = latentcore.load(saved)
    expected = GaussianMixture(2, random_state=0).fit(FAITHFUL)
    np.testing.assert_array_equal(model.means_, expected.means_)
    np.testing.assert_array_equal(model.covariances_, expected.covariances_)
    assert list(model.feature_names_in_) == ["eruptions", "waiting"]


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_bundled_data_set_fits(run, name):
    status, out, _ = run("fit", name, "-k", 2, "--seed", 0)
    assert status == 0
    assert f"fitted to {len(BUNDLED[name]().data)} rows" in out


def test_fit_that_does_not_converge_is_one_line_of_warning(run):
    status, out, err = run("fit", "@faithful", "-k", 3, "--max-iter", 1, "--seed", 0)
    assert status == 0
    assert "did not converge" in out
    assert err.startswith("latentcore: warning: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("data", ["@faithful", "@nile"])
def test_plot_writes_a_picture(run, tmp_path, data):
    status, *_ = run("fit", data, "-k", 2, "--plot", tmp_path / "fit.png")
    assert status == 0
    assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")


def test_rules_reach_the_model(run, tmp_path):
    path = tmp_path / "model.npz"
    options = ["--prior", "weak", "--hard", "--equal-weights", "--covariance", "tied_spherical"]
    assert run("fit", "@faithful", "-k", 2, *options, "-o", path)[0] == 0
    params = latentcore.load(path).get_params()
    expected = {
        "prior": "weak", "assignment": "hard", "equal_weights": True,
        "covariance_type": "tied_spherical",
    }  # fmt: skip
    assert {name: params[name] for name in expected} == expected


def rows_of(family):
    """Sixty rows of two columns in the support of any family."""
    rng = np.random.default_rng(3)
    rows = rng.poisson(np.repeat([[1.0, 9.0], [12.0, 2.0]], 30, axis=0))
    if family in ("bernoulli", "mixed"):
        return (rows > 4) * 1.0
    return rows + 0.5 if family in ("exponential", "gamma", "von_mises") else rows * 1.0


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_through_every_command(run, file, tmp_path, family):
    rows, model = file("rows.npy", npy(rows_of(family))), tmp_path / "model.npz"
    picture = tmp_path / "fit.png"
    options = ["--family", family, "--seed", 0, "-o", model, "--plot", picture]
    status, summary, _ = run("fit", rows, "-k", 2, *options)
    assert status == 0
    assert picture.exists()
    loaded = latentcore.load(model)
    assert run("info", model)[1] == summary

    labels = run("predict", model, rows)[1].split()[1:]
    np.testing.assert_array_equal(np.array(labels, int), loaded.predict(rows_of(family)))
    figures = run("score", model, rows)[1]
    assert f"{loaded.loglik(rows_of(family)):.6f}" in figures
    status, drawn, _ = run("sample", model, "-n", 5, "--seed", 0)
    assert status == 0
    assert np.loadtxt(drawn.splitlines()[1:], delimiter=",").shape == (5, 2)
    for kind in ("fit", "responsibilities", "uncertainty", "objective"):
        assert run("plot", model, rows, "--kind", kind, "-o", picture)[0] == 0


BLOBS = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [8, 8]], 30, axis=0)


HALF = (np.arange(60) // 30).tolist()


@pytest.mark.parametrize(
    ("classes", "said"),
    [(["0", "1"], ""), (["ape", "bee"], "components: 0 = ape, 1 = bee\n")],
)
def test_known_labels_are_components(run, file, tmp_path, classes, said):
    lines = [f"{a},{classes[k]},{b}" for (a, b), k in zip(BLOBS.tolist(), HALF, strict=True)]
    path, model = file("a.csv", "a,kind,b\n" + "\n".join(lines) + "\n"), tmp_path / "m.npz"
    status, out, _ = run("fit", path, "-k", 2, "--labels", "kind", "-o", model)
    assert status == 0
    assert out.endswith(said)
    assert run("info", model)[1] == out
    loaded = latentcore.load(model)
    expected = GaussianMixture(2).fit(BLOBS, labels=HALF)
    np.testing.assert_allclose(loaded.means_, expected.means_)
    assert list(loaded.feature_names_in_) == ["a", "b"]


def test_empty_labels_are_unknown(run, file, tmp_path):
    known = ["1"] + [""] * 29 + ["0"] + ["-1"] * 29
    lines = [f"{a},{b},{label}" for (a, b), label in zip(BLOBS.tolist(), known, strict=True)]
    path, model = file("a.csv", "a,b,kind\n" + "\n".join(lines) + "\n"), tmp_path / "m.npz"
    assert run("fit", path, "-k", 2, "--labels", "kind", "--seed", 0, "-o", model)[0] == 0
    np.testing.assert_array_equal(
        latentcore.load(model).predict(as_frame_of(BLOBS)), 1 - np.array(HALF)
    )


def as_frame_of(rows):
    import pandas as pd

    return pd.DataFrame(rows, columns=["a", "b"])


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ("2", "row 2, column 'kind': expected a label from 0 to 1, the name of a class, or nothing, got 2"),
        ("0.5", "got 0.5"),
        ("-2", "got -2"),
        ("x\n5,6,y\n7,8,z", "expected at most 2 classes, the number of components, got 4: 0, x, y, z"),
    ],
)  # fmt: skip
def test_wrong_labels_are_named(fails, file, labels, complaint):
    path = file("a.csv", f"a,b,kind\n1,2,0\n3,4,{labels}\n")
    assert complaint in fails("fit", path, "-k", 2, "--labels", "kind")
