"""Bayesian mixtures on the command line."""

import re
from typing import get_args

import numpy as np
import pytest

import latentcore
from cli.tools import as_frame, csv_of
from latentcore import BayesianGaussianMixture, BayesianMixture
from latentcore.cli.pictures import PlotKind
from latentcore.cli.tables import read_table


def test_bayes_fits_a_posterior(run, tmp_path):
    path = tmp_path / "m.npz"
    options = ["--seed", 0, "--covariance", "diag", "--max-iter", 500, "-o", path]
    weights = ["--weight-prior", "dirichlet", "--concentration", 0.2]
    status, out, err = run("fit", "@faithful", "-k", 4, "--bayes", *weights, *options)
    assert (status, err) == (0, f"model saved to {path}\n")
    expected = BayesianGaussianMixture(
        4, covariance_type="diag", weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=0.2, max_iter=500, random_state=0,
    ).fit(as_frame())  # fmt: skip
    assert out == expected.summary() + "\n"
    model = latentcore.load(path)
    assert type(model) is BayesianGaussianMixture
    np.testing.assert_array_equal(model.means_, expected.means_)
    assert run("info", path)[1] == out


WEIGHTS = {"dp": "dirichlet_process", "dirichlet": "dirichlet_distribution", "fixed": "fixed"}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize(
    "family", ["poisson", "categorical", "multinomial", "exponential", "mixed"]
)
def test_bayes_fits_every_family_with_a_conjugate_prior(run, file, tmp_path, family, weights):
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.poisson([1, 3], (60, 2)), np.arange(60) % 2]) + (
        family == "exponential"
    )
    path, model = file("a.csv", "a,b,c\n" + csv_of(rows)), tmp_path / "m.npz"
    options = ["--bayes", "--family", family, "--weight-prior", weights, "--seed", 1, "--tol", 0.1]
    assert run("fit", path, "-k", 3, *options, "--max-iter", 2000, "-o", model)[0] == 0
    loaded = latentcore.load(model)
    assert type(loaded) is BayesianMixture
    assert loaded.weight_concentration_prior_type == WEIGHTS[weights]
    table = read_table(str(path))
    labels = run("predict", model, path)[1].split()[1:]
    np.testing.assert_array_equal(np.array(labels, int), loaded.predict(table))
    figures = dict(re.split(r"  +", line) for line in run("score", model, path)[1].splitlines())
    total = loaded.predictive_logpdf(table).sum()
    assert float(figures["log predictive"]) == pytest.approx(total, abs=1e-5)
    assert len(run("sample", model, "-n", 5)[1].splitlines()) == 6


def test_batches_are_passed_on(run, tmp_path):
    path = tmp_path / "m.npz"
    options = ["--batch-size", 50, "--max-iter", 3, "--seed", 0, "--tol", 0]
    status, _, err = run("fit", "@faithful", "-k", 2, "--bayes", *options, "-o", path)
    assert status == 0
    assert err.startswith("latentcore: warning: ")
    model = latentcore.load(path)
    assert (model.batch_size, model.n_iter_) == (50, 3)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--bayes", "--hard"], "--hard: not with --bayes"),
        (["--bayes", "--labels", "waiting"], "--labels: not with --bayes"),
        (["--bayes", "--prior", "weak"], "--prior: not with --bayes"),
        (["--bayes", "--equal-weights"], "--equal-weights: not with --bayes, where --weight-prior fixed says so"),
        (["--bayes", "--family", "gamma"], "expected a family among bernoulli, categorical,"),
        (["--bayes", "--weight-prior", "fixed", "--concentration", "1"], "--concentration: not with"),
        (["--bayes", "--concentration", "0"], "expected a number > 0, got '0'"),
        (["--bayes", "--concentration", "nan"], "expected a number > 0, got 'nan'"),
        (["--bayes", "--batch-size", "0"], "expected an integer >= 1, got '0'"),
        (["--weight-prior", "dp"], "--weight-prior: only with --bayes"),
        (["--concentration", "1"], "--concentration: only with --bayes"),
        (["--batch-size", "9"], "--batch-size: only with --bayes"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_with_bayes_are_named(fails, options, complaint):
    assert complaint in fails("fit", "@faithful", "-k", 2, *options)


def test_bayes_refuses_missing_entries_of_gaussians(fails, file):
    path = file("a.csv", "a,b\n1,2\n3,\n5,7\n")
    complaint = fails("fit", path, "-k", 2, "--bayes")
    assert str(path) in complaint
    assert "NaN" in complaint


@pytest.fixture
def posterior(tmp_path, run):
    path = tmp_path / "posterior.npz"
    options = ["--seed", 0, "--max-iter", 500, "--out", path]
    assert run("fit", "@faithful", "-k", 4, "--bayes", *options)[0] == 0
    return path


@pytest.mark.parametrize("kind", get_args(PlotKind))
def test_every_kind_of_picture_takes_a_posterior(run, posterior, tmp_path, kind):
    picture = tmp_path / "a.png"
    rows = [] if kind in ("objective", "elbo", "weights") else ["@faithful"]
    status, out, err = run("plot", posterior, *rows, "--kind", kind, "-o", picture)
    assert (status, out, err) == (0, "", f"picture saved to {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["elbo", "weights", "posterior"])
def test_pictures_of_posteriors_refuse_other_models(fails, saved, tmp_path, kind):
    complaint = fails("plot", saved, "@faithful", "--kind", kind, "-o", tmp_path / "a.png")
    assert complaint == f"{saved}: model: expected a Bayesian mixture, got GaussianMixture"


def test_posterior_does_not_impute(fails, posterior):
    assert "expected a mixture that was fitted without --bayes" in fails(
        "impute", posterior, "@faithful"
    )
