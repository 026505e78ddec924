"""Hidden Markov models on the command line."""

import re

import numpy as np
import pandas as pd
import pytest

import latentcore
from cli.tools import npy, parquet
from latentcore import GaussianHMM, PoissonHMM, storage
from latentcore.cli.models import FAMILIES
from latentcore.cli.tables import read_keys, read_table
from latentcore.datasets import load_earthquakes

QUAKES = load_earthquakes().data
RNG = np.random.default_rng(8)
TRUTH = GaussianHMM.from_params(
    [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], [[0.0, 1.0], [4.0, -2.0]], [np.eye(2)] * 2, random_state=3
)
ROWS, _ = TRUTH.sample([40, 25, 30])
KEYS = np.repeat(["b", "10", "NA"], [40, 25, 30])
SHUFFLED = np.argsort(RNG.random(95), kind="stable")
"""Rows of the file, those of a sequence in another order than the sequences."""


def csv_of(rows, keys, note="note"):
    lines = [f"{a},{key},{note},{b}" for (a, b), key in zip(rows.tolist(), keys, strict=True)]
    return "a,id,text,b\n" + "\n".join(lines) + "\n"


@pytest.fixture
def three(file):
    """A file of three sequences whose rows are interleaved, and the rows of each sequence."""
    order = np.concatenate([np.sort(part) for part in np.array_split(SHUFFLED, 5)])
    rows, keys = ROWS[order], KEYS[order]
    path = file("three.csv", csv_of(rows, keys))
    names = list(dict.fromkeys(keys))
    return path, [pd.DataFrame(rows[keys == name], columns=["a", "b"]) for name in names], keys


@pytest.fixture
def fitted(three, run, tmp_path):
    """The model that the command line fits to the three sequences, and its file."""
    path, model = three[0], tmp_path / "hmm.npz"
    options = ["--states", 2, "--group-by", "id", "--columns", "a,b", "--seed", 0, "-o", model]
    status, out, err = run("fit", path, "--model", "hmm", *options)
    assert (status, err) == (0, f"model saved to {model}\n")
    return latentcore.load(model), model, out


@pytest.fixture
def quakes(run, tmp_path):
    path = tmp_path / "quakes.npz"
    options = ["--model", "hmm", "--family", "poisson", "--states", 3, "--seed", 0, "-o", path]
    assert run("fit", "@earthquakes", *options)[0] == 0
    return path


def table_of(text):
    header, *lines = [line.split(",") for line in text.splitlines()]
    return header, np.array(lines)


# -- fit -------------------------------------------------------------------------------------------------------------


def test_fit_is_that_of_the_library_and_prints_its_table(run, quakes):
    model = latentcore.load(quakes)
    expected = PoissonHMM(3, random_state=0).fit(read_table("@earthquakes"))
    np.testing.assert_array_equal(model.rates_, expected.rates_)
    np.testing.assert_array_equal(model.transmat_, expected.transmat_)
    assert run("info", quakes)[1] == expected.summary() + "\n"


def test_rows_with_the_same_key_are_a_sequence_wherever_they_are(fitted, three):
    model, _, out = fitted
    expected = GaussianHMM(2, random_state=0).fit(three[1])
    np.testing.assert_array_equal(model.means_, expected.means_)
    np.testing.assert_array_equal(model.transmat_, expected.transmat_)
    assert out == expected.summary() + "\n"
    assert list(model.feature_names_in_) == ["a", "b"]


def test_every_option_reaches_the_model(run, file, tmp_path):
    path, model = file("a.npy", npy(ROWS)), tmp_path / "m.npz"
    options = [
        "--covariance", "diag", "--topology", "banded:2", "--start", "stationary", "--prior", "weak",
        "--n-init", 2, "--seed", 4, "--tol", 0.5, "--max-iter", 7, "--init", "random", "--threads", 2,
    ]  # fmt: skip
    assert run("fit", path, "--model", "hmm", "--states", 4, *options, "-o", model)[0] == 0
    params = latentcore.load(model).get_params()
    expected = {
        "covariance_type": "diag", "prior": "weak", "n_init": 2, "random_state": 4, "tol": 0.5,
        "max_iter": 7, "init_params": "random", "n_threads": 2, "n_components": 4,
        "topology": latentcore.Topology.banded(4, 2, start="stationary"),
    }  # fmt: skip
    assert {name: params[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("topology", "allowed"),
    [
        ("left-to-right", [[1, 1, 0], [0, 1, 1], [0, 0, 1]]),
        ("left-to-right:2", [[1, 1, 1], [0, 1, 1], [0, 0, 1]]),
        ("banded", [[1, 1, 0], [1, 1, 1], [0, 1, 1]]),
        ("cyclic", [[1, 1, 0], [0, 1, 1], [1, 0, 1]]),
        ("ergodic", np.ones((3, 3))),
    ],
)
def test_topology_forbids_transitions(run, file, tmp_path, topology, allowed):
    path, model = file("a.npy", npy(ROWS)), tmp_path / "m.npz"
    options = ["--topology", topology, "--prior", "weak", "--hard", "--seed", 0, "--max-iter", 3]
    assert run("fit", path, "--model", "hmm", "--states", 3, *options, "-o", model)[0] == 0
    loaded = latentcore.load(model)
    np.testing.assert_array_equal(loaded.transmat_ > 0, np.array(allowed) > 0)
    assert loaded.assignment == "hard"


def test_states_may_be_mixtures_of_gaussians(run, file, tmp_path):
    path, model = file("a.npy", npy(ROWS)), tmp_path / "m.npz"
    options = ["--mixtures", 2, "--covariance", "spherical", "--prior", "weak", "--seed", 0]
    assert run("fit", path, "--model", "hmm", "--states", 2, *options, "-o", model)[0] == 0
    loaded = latentcore.load(model)
    assert (type(loaded).__name__, loaded.n_mix, loaded.covariance_type) == (
        "GMMHMM",
        2,
        "spherical",
    )


@pytest.mark.parametrize("family", ["gaussian", "categorical", "poisson", "mixed"])
def test_bayes_fits_a_posterior(run, file, tmp_path, family):
    rows = rows_of(family) if family != "gaussian" else ROWS
    rows = rows[~np.isnan(rows).any(axis=1)]
    path, model = file("a.npy", npy(rows)), tmp_path / "m.npz"
    options = ["--bayes", "--concentration", 0.5, "--topology", "banded", "--family", family]
    arguments = ["fit", path, "--model", "hmm", "-k", 3, *options, "--seed", 0, "-o", model]
    status, out, _ = run(*arguments, "--plot", tmp_path / "a.png")
    assert status == 0
    loaded = latentcore.load(model)
    names = {"gaussian": "VariationalGaussianHMM", "categorical": "VariationalCategoricalHMM"}
    assert type(loaded).__name__ == names.get(family, "BayesianHMM")
    allowed = np.abs(np.subtract.outer(np.arange(3), np.arange(3))) <= 1
    np.testing.assert_array_equal(loaded.transmat_prior_, 0.5 * allowed)
    np.testing.assert_array_equal(loaded.transmat_ > 0, allowed)
    assert run("info", model)[1] == out
    states = run("decode", model, path)[1].split()[1:]
    np.testing.assert_array_equal(
        [int(line.rsplit(",", 1)[1]) for line in states], loaded.predict(rows)
    )
    assert f"{loaded.loglik(rows):.6f}" in run("score", model, path)[1]
    assert run("forecast", model, path, "--steps", 2)[0] == 0
    assert run("plot", model, "--kind", "transitions", "-o", tmp_path / "b.png")[0] == 0


def test_known_states_are_those_of_their_rows(run, file, tmp_path):
    order = np.concatenate([np.arange(1, 95, 2), np.arange(0, 95, 2)])
    known = np.where(np.arange(95) % 10 == 0, TRUTH.predict(ROWS), -1)[order]
    classes = np.array(["low", "top", ""])[known]
    lines = "".join(
        f"{a},{b},{key},{c}\n"
        for (a, b), key, c in zip(ROWS[order].tolist(), order % 2, classes, strict=True)
    )
    path, model = file("a.csv", "a,b,id,kind\n" + lines), tmp_path / "m.npz"
    options = ["--model", "hmm", "--states", 2, "--labels", "kind", "--group-by", "id"]
    status, out, _ = run("fit", path, *options, "--seed", 0, "-o", model)
    assert status == 0
    assert out.endswith("states: 0 = low, 1 = top\n")
    assert run("info", model)[1] == out
    expected = GaussianHMM(2, random_state=0).fit(ROWS[order], groups=order % 2, labels=known)
    np.testing.assert_array_equal(latentcore.load(model).means_, expected.means_)


@pytest.mark.parametrize(
    ("name", "content", "keys"),
    [
        ("a.csv", "id,v\nnan,1\n b,2\n7,3\nb,4\n7.0,5\n", ["nan", "b", "7", "7.0"]),
        ("a.parquet", parquet({"id": ["NA", "b", "7", "b", "c"]}), ["NA", "b", "7", "c"]),
        ("i.parquet", parquet({"id": [10**9, 2, 10**9 + 1, 2, 5]}), ["1000000000", "2", "1000000001", "5"]),
        ("a.npy", npy(np.array([[1e9], [2], [1e9 + 1], [2], [0.5]])), ["1000000000", "2", "1000000001", "0.5"]),
    ],
)  # fmt: skip
def test_keys_are_told_apart_by_their_text(file, name, content, keys):
    column = "x0" if name == "a.npy" else "id"
    codes, found = read_keys(str(file(name, content)), column)
    assert codes.tolist() == [0, 1, 2, 1, 3]
    assert found == keys


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.parquet", parquet({"x0": ["a", None]})), ("a.npy", npy(np.array([[1.0], [np.nan]])))],
)
def test_missing_key_is_named_in_every_format(file, name, content):
    with pytest.raises(ValueError, match="row 2, column 'x0': expected the name of a sequence"):
        read_keys(str(file(name, content)), "x0")


def rows_of(family):
    rows = RNG.poisson(np.repeat([[1.0, 9.0], [12.0, 2.0]], 20, axis=0)) * 1.0
    if family in ("bernoulli", "mixed"):
        rows = (rows > 4) * 1.0
    rows += 0.5 * (family in ("exponential", "gamma", "von_mises"))
    if family != "multinomial":
        rows[3] = np.nan
    return rows


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_through_every_command(run, file, tmp_path, family):
    rows, model, picture = rows_of(family), tmp_path / "model.npz", tmp_path / "fit.png"
    path = file("rows.npy", npy(rows))
    options = ["--family", family, "--seed", 0, "-o", model, "--plot", picture]
    status, summary, _ = run("fit", path, "--model", "hmm", "--states", 2, *options)
    assert status == 0
    assert picture.exists()
    loaded = latentcore.load(model)
    assert run("info", model)[1] == summary
    states = run("predict", model, path)[1].split()[1:]
    np.testing.assert_array_equal(np.array(states, int), loaded.predict(rows))
    assert f"{loaded.loglik(rows):.6f}" in run("score", model, path)[1]
    assert len(run("sample", model, "-n", 5, "--seed", 0)[1].split()) == 6
    header, ahead = table_of(run("forecast", model, path, "--steps", 3)[1])
    law = loaded.forecast(3, rows)
    np.testing.assert_allclose(ahead[:, 1:3].astype(float), law.state_probabilities)
    assert ("x0_q5" in header) == (family != "categorical")
    if family != "multinomial":
        completed = table_of(run("impute", model, path)[1])[1].astype(float)
        np.testing.assert_allclose(completed, loaded.impute(rows))


# -- saved models ----------------------------------------------------------------------------------------------------


def test_answers_stand_in_the_order_of_the_file(fitted, three, run):
    model, saved, _ = fitted
    path, parts, keys = three
    names = list(dict.fromkeys(keys))
    expected = np.empty((95, 2))
    for name, part in zip(names, parts, strict=True):
        expected[keys == name] = model.predict_proba(part)
    header, found = table_of(run("predict", saved, path, "--proba")[1])
    assert header == ["p0", "p1"]
    np.testing.assert_array_equal(found.astype(float), expected)
    figures = dict(re.split(r"  +", line) for line in run("score", saved, path)[1].splitlines())
    assert (figures["rows"], figures["sequences"]) == ("95", "3")
    total = model.loglik(parts)
    assert float(figures["log-likelihood"]) == pytest.approx(total, abs=1e-6)
    assert float(figures["per row"]) == pytest.approx(total / 95, abs=1e-6)


@pytest.mark.parametrize("algorithm", ["viterbi", "posterior", "filter"])
def test_decode_adds_states_to_the_table_as_it_was(fitted, three, run, algorithm):
    model, saved, _ = fitted
    path, parts, keys = three
    options = ["--algorithm", algorithm, "--posterior"]
    status, out, err = run("decode", saved, path, *options)
    assert (status, err) == (0, "")
    header, *lines = out.splitlines()
    assert header == "a,id,text,b,state,p0,p1"
    before = path.read_text().splitlines()[1:]
    assert [line.rsplit(",", 3)[0] for line in lines] == before
    for name, part in zip(dict.fromkeys(keys), parts, strict=True):
        mine = np.array([line.split(",")[4:] for line in lines])[keys == name].astype(float)
        laws = model.filter(part) if algorithm == "filter" else model.predict_proba(part)
        np.testing.assert_array_equal(mine[:, 1:], laws)
        states = laws.argmax(axis=1)
        if algorithm != "filter":
            states = model.decode(part, algorithm=algorithm)[1]
        np.testing.assert_array_equal(mine[:, 0], states)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "npy"])
@pytest.mark.parametrize("source", ["@earthquakes", "a.csv", "a.parquet", "a.npy"])
def test_decode_reads_and_writes_every_format(run, quakes, file, tmp_path, source, suffix):
    content = {
        "a.parquet": parquet({"count": QUAKES[:, 0].astype(int)}),
        "a.npy": npy(QUAKES),
    }
    content["a.csv"] = "count\n" + "\n".join(f"{n:g}" for n in QUAKES[:, 0]) + "\n"
    path = source if source.startswith("@") else file(source, content[source])
    out = tmp_path / f"out.{suffix}"
    assert run("decode", quakes, path, "-o", out) == (0, "", "")
    table = read_table(str(out))
    expected = latentcore.load(quakes).predict(read_table("@earthquakes"))
    np.testing.assert_array_equal(table.data, np.column_stack([QUAKES[:, 0], expected]))
    if suffix != "npy":
        assert table.columns == ["x0" if source == "a.npy" else "count", "state"]


def test_forecast_goes_on_after_each_sequence(fitted, three, run):
    model, saved, _ = fitted
    path, parts, keys = three
    options = ["--steps", 2, "--quantiles", "0.9,0.25", "--draws", 500, "--seed", 7]
    status, out, _ = run("forecast", saved, path, *options)
    header, cells = table_of(out)
    assert status == 0
    assert header == ["id", "step", "p0", "p1", "a", "a_q25", "a_q90", "b", "b_q25", "b_q90"]
    assert cells[:, 0].tolist() == [key for key in dict.fromkeys(keys) for _ in range(2)]
    for q, part in enumerate(parts):
        law = model.forecast(2, part, quantiles=[0.25, 0.9], n_samples=500, random_state=7)
        mine = cells[2 * q : 2 * q + 2, 1:].astype(float)
        np.testing.assert_array_equal(mine[:, 0], [1, 2])
        np.testing.assert_array_equal(mine[:, 1:3], law.state_probabilities)
        np.testing.assert_array_equal(mine[:, [3, 6]], law.means)
        np.testing.assert_array_equal(mine[:, [4, 5]], law.quantiles[:, :, 0].T)


def test_names_that_the_table_has_are_not_taken(run, file, tmp_path):
    rows = "".join(f"{a},p0,{b}\n" for a, b in ROWS.tolist())
    path, model = file("a.csv", "step,step_,p0\n" + rows), tmp_path / "m.npz"
    options = ["--model", "hmm", "--states", 2, "--columns", "step,p0", "--group-by", "step_"]
    assert run("fit", path, *options, "--seed", 0, "-o", model)[0] == 0
    header, cells = table_of(run("forecast", model, path, "--steps", 2, "--quantiles", "0.5")[1])
    assert header == ["step_", "step__", "p0_", "p1", "step", "step_q50", "p0", "p0_q50"]
    assert cells[:, :2].tolist() == [["p0", "1"], ["p0", "2"]]


def test_file_without_the_column_of_the_fit_is_one_sequence_and_that_is_said(fitted, run, file):
    model, saved, _ = fitted
    path = file("plain.csv", "a,b\n" + "\n".join(f"{a},{b}" for a, b in ROWS.tolist()) + "\n")
    status, out, err = run("predict", saved, path)
    assert (status, err) == (0, f"{path}: there is no column 'id'; all rows are one sequence\n")
    frame = pd.DataFrame(ROWS, columns=["a", "b"])
    np.testing.assert_array_equal(np.array(out.split()[1:], int), model.predict(frame))


def test_texts_are_categories_of_states_and_forecasts(run, file, tmp_path):
    words = ["rain", "sun"]
    rows = [words[k] for k in np.repeat([0, 1, 0, 1], 15)]
    rows[5:7] = "", "sun"
    path, model = file("a.csv", "day,weather\n" + "".join(f"1,{w}\n" for w in rows)), tmp_path / "m"
    options = ["--family", "categorical", "--columns", "weather", "--states", 2, "--seed", 0]
    model = tmp_path / "m.npz"
    status, out, _ = run("fit", path, "--model", "hmm", *options, "-o", model)
    assert status == 0
    assert out.endswith("codes of weather: 0 = rain, 1 = sun\n")
    header, ahead = table_of(run("forecast", model, path, "--steps", 2)[1])
    assert header == ["step", "p0", "p1", "weather"]
    assert ahead[0, 3] == "sun"
    header, decoded = table_of(run("decode", model, path)[1])
    assert decoded[:, 1].tolist() == rows
    assert len(set(decoded[:, 2])) == 2


# -- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fit", "states", "probabilities", "transitions", "objective"])
def test_every_kind_of_picture_is_drawn(run, fitted, three, tmp_path, kind):
    picture = tmp_path / "a.png"
    rows = [] if kind in ("transitions", "objective") else [three[0]]
    status, out, err = run("plot", fitted[1], *rows, "--kind", kind, "-o", picture)
    assert (status, out, err) == (0, "", f"picture saved to {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_forecast_is_drawn(run, quakes, tmp_path):
    picture, table = tmp_path / "a.png", tmp_path / "a.csv"
    options = ["--steps", 4, "-o", table, "--plot", picture]
    assert run("forecast", quakes, "@earthquakes", *options)[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert table.read_text().startswith("step,p0,p1,p2,count,count_q5,")


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--model hmm --weight-prior dp", "--weight-prior: not with --model hmm"),
        ("--model hmm --concentration 1", "--concentration: only with --bayes"),
        ("--model hmm --bayes --hard", "--hard: not with --bayes, where all paths count"),
        ("--model hmm --bayes --prior weak", "--prior: not with --bayes"),
        ("--model hmm --bayes --mixtures 2", "--mixtures: not with --bayes"),
        ("--model hmm --bayes --start free", "--start: not with --bayes"),
        ("--model hmm --bayes --family gamma", "expected a family among bernoulli,"),
        ("--model hmm --equal-weights", "--equal-weights: not with --model hmm"),
        ("--model hmm --batch-size 3", "--batch-size: not with --model hmm"),
        ("--model hmm --family poisson --mixtures 2", "--mixtures: only for the family gaussian"),
        ("--model hmm --family poisson --covariance full", "--covariance: only for the family"),
        ("--model hmm --topology ring", "expected one of ergodic, left-to-right, banded, cyclic"),
        ("--model hmm --topology ergodic:2", "expected one of ergodic"),
        ("--model hmm --topology banded:0", "expected an integer >= 1, got '0'"),
        ("--model hmm --topology left-to-right --start free", "--start: not with --topology left-to-right"),
        ("--model hmm --start often", "invalid choice: 'often'"),
        ("--model hmm --group-by id", "there is no column 'id'; there are eruptions, waiting"),
        ("--model hmm --group-by id --columns waiting", "there is no column 'id'; there are eruptions, waiting"),
        ("--model hmm --group-by waiting --columns waiting", "expected columns other than the sequences 'waiting'"),
        ("--model hmm --group-by eruptions --labels waiting", "besides the labels 'waiting' and the sequences"),
        ("--group-by waiting", "--group-by: only with --model hmm"),
        ("--topology banded", "--topology: only with --model hmm"),
        ("--start free", "--start: only with --model hmm"),
        ("--mixtures 2", "--mixtures: only with --model hmm"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_together_are_named(fails, options, complaint):
    assert complaint in fails("fit", "@faithful", "-k", 2, *options.split())


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["decode"], "expected a hidden Markov model, got GaussianMixture"),
        (["forecast", "--steps", 2], "expected a hidden Markov model, got GaussianMixture"),
        (["predict", "--group-by", "waiting"], "--group-by: only for hidden Markov models, got GaussianMixture"),
        (["plot", "--kind", "states", "-o", "a.png"], "--kind: expected one of fit, ellipses,"),
    ],
)  # fmt: skip
def test_mixtures_have_no_states(fails, saved, command, complaint):
    name, *options = command
    assert complaint in fails(name, saved, "@faithful", *options)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["plot", "--kind", "ellipses", "-o", "a.png"], "--kind: expected one of fit, states,"),
        (["forecast", "--steps", 0], "expected an integer >= 1, got '0'"),
        (["forecast", "--steps", 2, "--quantiles", "0.5,2"], "expected numbers from 0 to 1, got '0.5,2'"),
        (["decode", "--group-by", "id"], "there is no column 'id'"),
        (["decode", "--algorithm", "best"], "invalid choice: 'best'"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_line(fails, quakes, command, complaint):
    name, *options = command
    assert complaint in fails(name, quakes, "@earthquakes", *options)


def test_picture_of_several_forecasts_is_refused(fails, fitted, three, tmp_path):
    options = ["--steps", 2, "--plot", tmp_path / "a.png"]
    assert (
        fails("forecast", fitted[1], three[0], *options) == "--plot: expected one sequence, got 3"
    )


@pytest.mark.parametrize("content", ["id,a\nx,1\n,2\n", "id,a\nx,1\n  ,2\n"])
def test_row_without_a_key_is_named(fails, file, content):
    path = file("a.csv", content)
    expected = f"{path}: row 2, column 'id': expected the name of a sequence, got nothing"
    assert fails("fit", path, "--model", "hmm", "-k", 1, "--group-by", "id") == expected


def test_row_that_a_family_never_takes_is_named_as_the_file_counts(fails, file):
    path = file("a.csv", "id,n\nx,1\ny,2\nx,3\ny,2.5\nx,4\n")
    options = ["--model", "hmm", "--family", "poisson", "-k", 1, "--group-by", "id"]
    assert "row 4, column 'n'" in fails("fit", path, *options)


def test_impossible_sequences_are_named_and_have_no_states(run, fails, file, tmp_path):
    model = tmp_path / "zeros.npz"
    PoissonHMM.from_params([0.5, 0.5], np.eye(2), [[0.0], [0.0]]).save(model)
    path = file("a.csv", "id,n\ngood,0\nbad,0\ngood,0\nbad,3\n")
    said = "latentcore: warning: sequence 'bad' has density 0: no path of states explains it\n"
    for algorithm, first in (("viterbi", "-1"), ("posterior", "-1"), ("filter", "0")):
        options = ["--group-by", "id", "--algorithm", algorithm]
        status, out, err = run("decode", model, path, *options)
        assert (status, err) == (0, said)
        assert [line.split(",")[2] for line in out.splitlines()[1:]] == ["0", first, "0", "-1"]
    status, out, err = run("score", model, path, "--group-by", "id")
    assert (status, err) == (0, said)
    assert "log-likelihood  -inf" in out
    complaint = fails("forecast", model, path, "--group-by", "id", "--steps", 1)
    assert complaint == f"{path}: expected possible sequences, got density 0 for sequence 'bad'"


def test_column_that_is_to_be_added_must_not_be_there(fails, quakes, file):
    path = file("a.csv", "state,count\nx,3\n")
    expected = f"{path}: expected no column 'state', which is to be added"
    assert fails("decode", quakes, path) == expected


def test_texts_do_not_go_into_an_array(fails, quakes, file, tmp_path):
    path = file("a.csv", "place,count\nx,3\n")
    complaint = fails("decode", quakes, path, "-o", tmp_path / "a.npy")
    assert complaint == f"{path}: column 'place': expected numbers for a .npy file, got texts"


def test_note_of_another_form_is_refused(fails, quakes):
    storage.annotate(quakes, {"group_by": 3})
    assert "expected the name of a column, got 3" in fails("info", quakes)
