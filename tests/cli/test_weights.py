"""A column of weights: an integer weight is worth as many copies of the row, or of the sequence."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import latentcore
from cli.tools import csv_of
from latentcore import GaussianHMM, GaussianMixture, VariationalGaussianHMM
from latentcore.cli.tables import Table

random = np.random.default_rng(0)
ROWS = random.permutation(random.normal(size=(400, 2)) + np.repeat([[0.0], [6.0]], 200, axis=0))
WEIGHT = random.integers(0, 4, 400)
KEYS = np.repeat(np.arange(20), 20)
OF_KEY = random.integers(0, 4, 20)[KEYS]
TABLE = np.column_stack([KEYS, ROWS, WEIGHT, OF_KEY])
HEADER = "key,a,b,n,m\n"
FIT = ["-k", 2, "--seed", 0, "--columns", "a,b"]
CHAIN = ["--model", "hmm", "--group-by", "key"]


@pytest.fixture
def weighted(tmp_path, file):
    """The same rows as Parquet and as CSV."""
    parquet = tmp_path / "rows.parquet"
    columns = zip(HEADER.strip().split(","), TABLE.T, strict=True)
    pq.write_table(pa.table(dict(columns)), parquet)
    return {"parquet": parquet, "csv": file("rows.csv", HEADER + csv_of(TABLE))}


def copies(weight):
    """Every row, or every sequence, as often as it weighs."""
    if weight is WEIGHT:
        return np.repeat(TABLE, WEIGHT, axis=0)
    return np.concatenate(
        [
            np.column_stack([np.full(20, 100 * key + copy), TABLE[key == KEYS, 1:]])
            for key in range(20)
            for copy in range(OF_KEY[20 * key])
        ]
    )


@pytest.mark.parametrize("where", ["--in-memory", "--out-of-core"])
@pytest.mark.parametrize("bayes", [[], ["--bayes"]], ids=["EM", "Bayes"])
@pytest.mark.parametrize("kind", ["mixture", "hmm"])
def test_weight_is_worth_copies(run, file, tmp_path, weighted, kind, bayes, where):
    column, weight, options = ("n", WEIGHT, []) if kind == "mixture" else ("m", OF_KEY, CHAIN)
    repeated = file("copies.csv", HEADER + csv_of(copies(weight)))
    precisely = [*FIT, *options, *bayes, "--tol", "1e-9", "--max-iter", 1000]
    found, expected = tmp_path / "found.npz", tmp_path / "expected.npz"
    by_weight = ["--weight-by", column, where]
    assert run("fit", weighted["parquet"], *precisely, *by_weight, "-o", found)[0] == 0
    assert run("fit", repeated, *precisely, "-o", expected)[0] == 0
    means = [latentcore.load(path).means_ for path in (found, expected)]
    found, expected = (one[np.argsort(one[:, 0])] for one in means)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "column", "weight"), [([], "n", WEIGHT), (CHAIN, "m", OF_KEY)], ids=["mixture", "hmm"]
)  # fmt: skip
@pytest.mark.parametrize("bayes", [[], ["--bayes"]], ids=["EM", "Bayes"])
def test_score_counts_copies(run, file, tmp_path, weighted, options, bayes, column, weight):
    path = tmp_path / "m.npz"
    assert run("fit", weighted["csv"], *FIT, *options, *bayes, "-o", path)[0] == 0
    found = run("score", path, weighted["csv"], "--weight-by", column)[1].splitlines()
    repeated = file("copies.csv", HEADER + csv_of(copies(weight)))
    expected = run("score", path, repeated)[1].splitlines()
    assert found[-2:] == expected[-2:]
    assert f"weight          {weight.sum()}" in found


def test_selection_counts_copies(run, file, weighted):
    options = ["-k", "1:3", "--columns", "a,b", "--families", "full,diag", "--seed", 0]
    _, found, _ = run("select", weighted["csv"], *options, "--weight-by", "n")
    repeated = file("copies.csv", HEADER + csv_of(copies(WEIGHT)))
    best = [line for line in run("select", repeated, *options)[1].splitlines() if "*  " in line]
    assert best[0] in found


def named(rows):
    return Table(np.ascontiguousarray(rows), ["a", "b"])


def test_batches_of_a_stream_are_weighed_before_a_stop_and_after(run, file, tmp_path, weighted):
    once, twice = tmp_path / "once.npz", tmp_path / "twice.npz"
    stream = ["--batch-size", 50, "--weight-by", "n"]
    begin = file("begin.csv", HEADER + csv_of(TABLE[:150]))
    assert run("stream", once, weighted["csv"], *FIT, *stream)[0] == 0
    for rows in (begin, weighted["csv"]):
        assert run("stream", twice, rows, *FIT, *stream, "--resume")[0] == 0
    model = GaussianMixture(2, random_state=0)
    for i in range(0, 400, 50):
        model.partial_fit(named(ROWS[i : i + 50]), sample_weight=WEIGHT[i : i + 50])
    for path in (once, twice):
        np.testing.assert_array_equal(latentcore.load(path).means_, model.means_)
        assert latentcore.load(path).n_samples_seen_ == (WEIGHT > 0).sum()


@pytest.mark.parametrize("bayes", [[], ["--bayes"]], ids=["EM", "Bayes"])
def test_sequences_of_a_stream_are_weighed(run, tmp_path, weighted, bayes):
    path = tmp_path / "m.npz"
    options = [*FIT, *CHAIN, *bayes, "--batch-size", 100, "--weight-by", "m"]
    assert run("stream", path, weighted["csv"], *options)[0] == 0
    if bayes:
        prior: dict[str, Any] = {
            "startprob_prior": np.full(2, 0.5),
            "transmat_prior": np.full((2, 2), 0.5),
        }
        model: Any = VariationalGaussianHMM(2, covariance_type="full", random_state=0, **prior)
    else:
        model = GaussianHMM(2, covariance_type="full", random_state=0)
    for i in range(0, 400, 100):
        model.partial_fit(
            named(ROWS[i : i + 100]), lengths=[20] * 5, sample_weight=OF_KEY[i : i + 100]
        )
    np.testing.assert_array_equal(latentcore.load(path).means_, model.means_)


def test_batch_without_weight_is_passed_over(run, file, tmp_path, weighted):
    path, expected = tmp_path / "m.npz", tmp_path / "expected.npz"
    absent = TABLE[:100] * [1, 1, 1, 0, 0]
    rows = file("absent.csv", HEADER + csv_of(np.concatenate([absent, TABLE, absent])))
    stream = [*FIT, "--batch-size", 50, "--weight-by", "n"]
    status, _, err = run("stream", path, rows, *stream)
    assert status == 0
    assert "learned from 400 rows in 8 batches" in err
    assert run("stream", expected, weighted["csv"], *stream)[0] == 0
    np.testing.assert_array_equal(latentcore.load(path).means_, latentcore.load(expected).means_)


BAD = [
    ("-1", "row 2, column 'n': expected a weight, a number >= 0, got -1"),
    ("", "row 2, column 'n': expected a weight, a number >= 0, got nothing"),
    ("x", "line 3, column 'n': expected a finite number, got 'x'"),
    ("inf", "line 3, column 'n': expected a finite number, got 'inf'"),
]


@pytest.mark.parametrize(("cell", "says"), BAD)
def test_bad_weight_is_named(run, fails, file, tmp_path, cell, says):
    rows = file("rows.csv", f"a,b,n\n1,2,1\n3,5,{cell}\n" + "2,2,1\n4,1,1\n" * 5)
    path = tmp_path / "m.npz"
    assert says in fails("fit", rows, "-k", 1, "--weight-by", "n")
    assert says in fails("select", rows, "-k", 1, "--weight-by", "n")
    stream = ["stream", path, rows, "-k", 1, "--weight-by", "n"]
    complaint = f"line 3: column 'n': expected a weight, a finite number >= 0, got {cell!r}"
    assert complaint in fails(*stream)
    status, _, err = run(*stream, "--on-error", "skip")
    assert status == 0
    assert "learned from 11 rows" in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--weight-by", "z"], "'z'"),
        (["--weight-by", "a"], "--columns: expected columns other than the weights 'a'"),
        (["--weight-by", "a", "--out-of-core"], "expected columns other than the weights 'a'"),
        (["--weight-by", "minus"], "column 'minus': expected a weight > 0, got only zeros"),
        (["--weight-by", "b", "--columns", "a", "--out-of-core"], "column 'b': expected finite weights >= 0, got -"),
        ([*CHAIN, "--weight-by", "n"], "column 'n': expected one weight in all rows of a sequence, got "),
        ([*CHAIN, "--weight-by", "n", "--out-of-core"], "column 'n': expected one weight in all rows of a sequence"),
    ],
)  # fmt: skip
def test_complaint(fails, tmp_path, options, says):
    path = tmp_path / "rows.parquet"
    names = [*HEADER.strip().split(","), "minus"]
    columns = [*TABLE.T, np.zeros(400)]
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), path)
    assert says in fails("fit", path, *FIT, *options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--weight-by", "z"], "there is no column 'z'"),
        (["--weight-by", "a"], "expected column 'a' beside those to learn from"),
        (["--model", "hmm", "--weight-by", "m"], "--weight-by: expected --group-by beside it"),
        ([*CHAIN, "--weight-by", "n"], "column 'n': expected one weight in all rows of a sequence"),
    ],
)
def test_complaint_of_a_stream(fails, tmp_path, weighted, options, says):
    assert says in fails("stream", tmp_path / "m.npz", weighted["csv"], *FIT, *options)
