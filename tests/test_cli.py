"""The command line: what it prints, what it writes, and one clear line for everything that goes wrong."""

import gzip
import io
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import latentcore
from latentcore import BayesianGaussianMixture, BayesianMixture, GaussianMixture, storage
from latentcore.cli import main, progress
from latentcore.cli.commands import PlotKind
from latentcore.cli.models import FAMILIES
from latentcore.cli.tables import BUNDLED, read_columns, read_names, read_table, write_table
from latentcore.datasets import load_old_faithful
from latentcore.engine import Progress
from latentcore.selection import Candidate, SelectionProgress, select

EXAMPLES = Path(__file__).parents[1] / "examples"
FAITHFUL = load_old_faithful().data
BLOBS = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [8, 8]], 30, axis=0)


@pytest.fixture
def run(capsys):
    """Runs a command; gives its exit status, standard output and standard error."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def fails(run):
    """Runs a command that must fail with one line; gives what the line says."""

    def fails(*arguments):
        status, out, err = run(*arguments)
        assert status == 2
        assert out == ""
        assert err.startswith("latentcore: error: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        return err.removeprefix("latentcore: error: ").rstrip("\n")

    return fails


@pytest.fixture
def file(tmp_path):
    def file(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return file


@pytest.fixture
def saved(tmp_path, run):
    """A model of Old Faithful, saved by the command line."""
    path = tmp_path / "model.npz"
    status, *_ = run("fit", "@faithful", "-k", 2, "--seed", 0, "--out", path)
    assert status == 0
    return path


def process(*arguments, **options):
    command = [sys.executable, "-m", "latentcore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


# -- fit -------------------------------------------------------------------------------------------------------------


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


# -- files of data ---------------------------------------------------------------------------------------------------


def as_text(delimiter, header):
    text = io.StringIO()
    np.savetxt(text, FAITHFUL, delimiter=delimiter, header=header, comments="", fmt="%.17g")
    return text.getvalue()


def parquet(columns):
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", as_text(",", "eruptions,waiting"), ["eruptions", "waiting"]),
        ("a.CSV", as_text(",", "eruptions,waiting"), ["eruptions", "waiting"]),
        ("a.tsv", as_text("\t", "eruptions\twaiting"), ["eruptions", "waiting"]),
        ("bom.csv", "\ufeff" + as_text(",", "eruptions,waiting"), ["eruptions", "waiting"]),
        ("crlf.csv", as_text(",", "a,b").replace("\n", "\r\n"), ["a", "b"]),
        ("blank.csv", "\n\n" + as_text(",", "a,b").replace("\n", "\n\n"), ["a", "b"]),
        ("quoted.csv", as_text(",", '"a, or\nso","b"'), ["a, or\nso", "b"]),
        ("a.csv.gz", gzip.compress(as_text(",", "a,b").encode()), ["a", "b"]),
        ("headless.csv", as_text(",", "").lstrip("\n"), None),
        ("a.parquet", parquet({"a": FAITHFUL[:, 0], "b": FAITHFUL[:, 1]}), ["a", "b"]),
        ("a.npy", npy(FAITHFUL), None),
        ("fortran.npy", npy(np.asfortranarray(FAITHFUL)), None),
    ],
)
def test_every_format_reads_the_same_numbers(file, name, content, columns):
    table = read_table(str(file(name, content)))
    np.testing.assert_array_equal(table.data, FAITHFUL)
    assert table.data.dtype == np.float64
    assert table.data.flags.c_contiguous
    assert table.columns == columns


def test_float32_stays_float32(file):
    single = FAITHFUL.astype(np.float32)
    for path in (
        file("a.npy", npy(single)),
        file("a.parquet", parquet({"a": single[:, 0], "b": single[:, 1]})),
    ):
        table = read_table(str(path))
        assert table.data.dtype == np.float32
        np.testing.assert_array_equal(table.data, single)


def test_integers_and_decimals_become_float64(file):
    from decimal import Decimal

    columns = {"a": pa.array([1, 2]), "b": pa.array([Decimal("1.5"), Decimal("2.25")])}
    table = read_table(str(file("a.parquet", parquet(columns))))
    np.testing.assert_array_equal(table.data, [[1, 1.5], [2, 2.25]])
    assert table.data.dtype == np.float64


@pytest.mark.parametrize("first", ["0", "-1.5e3", "1,NA"])
def test_first_line_of_numbers_is_data(file, first):
    path = file("a.csv", f"{first}\n{first.replace('NA', '7')}\n")
    assert read_columns_of(path) is None


@pytest.mark.parametrize("first", ["a", "1,a", ",a", "NA"])
def test_first_line_with_a_word_is_a_header(file, first):
    assert read_columns_of(file("a.csv", f"{first}\n")) == first.split(",")


def read_columns_of(path):
    return read_columns(str(path))


def test_columns_are_picked_in_the_order_given(file):
    path = file("a.csv", "a,text,b\n1,x,2\n3,y,4\n")
    table = read_table(str(path), ["b", "a"])
    np.testing.assert_array_equal(table.data, [[2, 1], [4, 3]])
    assert table.columns == ["b", "a"]


def test_columns_without_names_are_numbered(file):
    for path in (file("a.csv", "1,2\n3,4\n"), file("a.npy", npy(np.array([[1, 2], [3, 4]])))):
        np.testing.assert_array_equal(read_table(str(path), ["x1"]).data, [[2], [4]])


def test_one_dimensional_npy_is_one_column(file):
    assert read_table(str(file("a.npy", npy(np.arange(5.0))))).data.shape == (5, 1)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.csv", "a,b\n1,2\n3,4,5\n", "line 3: expected 2 columns, got 3"),
        ("a.csv", "a,b\n1,2\n\n3\n", "line 4: expected 2 columns, got 1"),
        ("a.csv", "a,b\n1,2\n3,x\n", "line 3, column 'b': expected a finite number, got 'x'"),
        ("a.tsv", "a\tb\n1\tx\n", "line 2, column 'b': expected a finite number, got 'x'"),
        (
            "a.csv",
            'a,b\n"1",2\n"3\n4",5\n',
            "line 4, column 'a': expected a finite number, got '3\\n4'",
        ),
        ("a.csv", "a,b\n1,-inf\n", "line 2, column 'b': expected a finite number, got '-inf'"),
        ("a.csv", "a\n1e999\n", "line 2, column 'a': expected a finite number, got '1e999'"),
        ("a.csv", "a\n1_000\n", "line 2, column 'a': expected a finite number, got '1_000'"),
        ("a.csv", "1,2\n3,inf\n", "line 2, column 'x1': expected a finite number, got 'inf'"),
        ("a.csv", b"a\n\xff\n", "line 2, column 'a': expected a finite number, got '\ufffd'"),
        ("a.csv", "", "the file is empty"),
        ("a.csv", "\n\n", "the file is empty"),
        ("a.csv", "a,b\n", "expected rows of numbers, got none"),
        ("a.csv.gz", "a,b\n1,2\n", "Not a gzipped file"),
        ("a.csv.gz", gzip.compress(b"a\n1\n" * 999)[:40], "Compressed file ended"),
        ("a.xlsx", "PK", "expected a name ending in .csv, .tsv, .parquet or .npy, got .xlsx"),
        ("a", "1", "expected a name ending in .csv, .tsv, .parquet or .npy, got none"),
        ("a.parquet", "garbage, not Parquet", "expected a Parquet file"),
        ("a.parquet", parquet({"s": ["u", "v"]}), "column 's': expected numbers, got string"),
        ("a.parquet", parquet({"t": [True, False]}), "column 't': expected numbers, got bool"),
        (
            "a.parquet",
            parquet({"a": pa.array([1.0, np.inf], pa.float32())}),
            "row 2, column 'a': expected a finite number, got inf",
        ),
        (
            "a.parquet",
            parquet({"a": pa.array([], pa.float64())}),
            "expected rows of numbers, got none",
        ),
        ("a.npy", "garbage", "expected an array of numbers in NumPy's .npy format"),
        (
            "a.npy",
            npy(np.array([{}, 1], object)),
            "expected an array of numbers in NumPy's .npy format",
        ),
        ("a.npy", npy(np.array([["x"]])), "expected real numbers, got dtype <U1"),
        ("a.npy", npy(np.array([[1j]])), "expected real numbers, got dtype complex128"),
        ("a.npy", npy(np.zeros((2, 2, 2))), "expected an array of shape (N, D), got (2, 2, 2)"),
        ("a.npy", npy(np.zeros((0, 2))), "expected rows of numbers, got none"),
        ("a.npy", npy(np.array([[1, np.inf]])), "row 1, column 'x1': expected a finite number"),
    ],
)
def test_bad_file_is_one_line_that_says_where(fails, file, name, content, complaint):
    path = file(name, content)
    assert fails("fit", path, "-k", 1).startswith(f"{path}: {complaint}")


def test_row_of_a_long_file_is_named(fails, file):
    lines = ["a,b"] + ["1.25,2.5"] * 300_000
    lines[250_001] = "1.25,oops"
    path = file("long.csv", "\n".join(lines))
    assert "line 250002, column 'b': expected a finite number, got 'oops'" in fails(
        "fit", path, "-k", 1
    )


def test_bad_cell_outside_the_chosen_columns_does_not_matter(run, file):
    path = file("a.csv", "a,b\n1,x\n2,\n4,z\n")
    assert run("fit", path, "-k", 1, "--columns", "a")[0] == 0


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


def test_column_twice_in_the_file_cannot_be_picked(fails, file):
    path = file("a.csv", "a,a\n1,2\n")
    assert "there is more than one column 'a'" in fails("fit", path, "-k", 1, "--columns", "a")


@pytest.mark.parametrize("content", [b"", b"junk", npy(np.zeros(3))])
@pytest.mark.parametrize("command", ["info", "score", "predict", "sample"])
def test_file_that_is_no_model_is_one_line(fails, file, command, content):
    path = file("model.npz", content)
    arguments = [] if command in ("info", "sample") else ["@faithful"]
    assert fails(command, path, *arguments).startswith(f"{path}: expected a saved model")


# -- missing entries and texts ---------------------------------------------------------------------------------------

HOLES = np.array([[1.0, np.nan], [3.0, 4.5], [np.nan, 6.0]])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "a,b\n1,\n3,4.5\n,6\n"),
        ("words.csv", "a,b\n1,NA\n3,4.5\nnull,6\n"),
        ("spaces.csv", "a,b\n 1 , \n3,4.5\n NaN,6\n"),
        ("cases.csv", "a,b\n1,n/A\n3,4.5\nNone,6\n"),
        ("a.tsv", "a\tb\n1\t\n3\t4.5\n\t6\n"),
        ("a.parquet", parquet({"a": [1, 3, None], "b": [None, 4.5, 6]})),
        ("a.npy", npy(HOLES)),
    ],
)
@pytest.mark.parametrize("text", [False, True])
def test_empty_cells_are_missing_entries(file, name, content, text):
    table = read_table(str(file(name, content)), text=text)
    np.testing.assert_array_equal(table.data, HOLES)
    assert table.categories == {}


COLOURS = "size,colour\n1,red\n2, blue\n3,\n4,green\n5,red\n"
COLOUR_CODES = [2, 0, np.nan, 1, 2]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", COLOURS),
        ("a.tsv", COLOURS.replace(",", "\t")),
        (
            "a.parquet",
            parquet({"size": [1, 2, 3, 4, 5], "colour": ["red", "blue", None, "green", "red"]}),
        ),
        (
            "dictionary.parquet",
            parquet({
                "size": [1, 2, 3, 4, 5],
                "colour": pa.array(["red", "blue", None, "green", "red"]).dictionary_encode(),
            }),
        ),
    ],
)  # fmt: skip
def test_texts_get_codes_in_sorted_order(file, name, content):
    table = read_table(str(file(name, content)), text=True)
    np.testing.assert_array_equal(table.data[:, 0], [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(table.data[:, 1], COLOUR_CODES)
    assert table.categories == {"colour": ["blue", "green", "red"]}


def test_known_texts_keep_their_codes_even_where_they_look_like_numbers(file):
    path = file("a.csv", "grade\n2\n1\n")
    table = read_table(str(path), categories={"grade": ["1", "1b", "2"]})
    np.testing.assert_array_equal(table.data[:, 0], [2, 0])


def test_text_that_has_no_code_is_named(file):
    path = file("a.csv", "colour\nred\npink\n")
    with pytest.raises(
        ValueError, match=r"column 'colour': expected one of 'blue', 'red', got 'pink'"
    ):
        read_table(str(path), categories={"colour": ["blue", "red"]})


def test_column_of_all_different_texts_is_refused(file):
    rows = "\n".join(f"name {i}" for i in range(1001))
    with pytest.raises(
        ValueError, match=r"column 'id': expected at most 1000 different texts, got 1001"
    ):
        read_table(str(file("a.csv", f"id\n{rows}\n")), text=True)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_codes_are_written_as_the_texts_they_were_read_from(file, tmp_path, suffix):
    table = read_table(str(file("a.csv", COLOURS)), ["colour"], text=True)
    path = tmp_path / f"out.{suffix}"
    write_table(path, table.data[:2], table.names, table.categories)
    again = read_table(str(path), categories=table.categories)
    np.testing.assert_array_equal(again.data, [[2], [0]])


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("a.csv", "a,b\n1,2\n", ["a", "b"]),
        ("b.csv", "1,2\n", ["x0", "x1"]),
        ("a.npy", npy(HOLES), ["x0", "x1"]),
        ("a.parquet", parquet({"a": [1]}), ["a"]),
    ],
)
def test_names_of_columns_are_read_without_the_rows(file, name, content, names):
    assert read_names(str(file(name, content))) == names


def test_fit_says_how_many_entries_are_missing(run, file):
    status, _, err = run("fit", file("a.csv", "a,b\n1,2\n3,\n4,4\n,7\n"), "-k", 1)
    assert (status, err) == (0, "2 of 8 entries are missing\n")


@pytest.mark.parametrize(
    ("family", "content", "complaint"),
    [
        ("poisson", "a,b\n1,2\n1,-2\n", "row 2, column 'b'"),
        ("poisson", "a,b\n1,2.5\n1,2\n", "row 1, column 'b'"),
        ("multinomial", "a,b\n1,2\n1,2\n1,\n", "row 3, column 'b'"),
        ("bernoulli", "a,b\n1,0\n2,0\n", "row 2, column 'a'"),
        ("exponential", "a,b\n1,2\n-1,1\n", "row 2, column 'a'"),
        ("categorical", "a,b\n1,2\n1,0.5\n", "row 2, column 'b'"),
        ("gaussian", "a,b\n1,\n2,\n", "column 'b'"),
    ],
)
def test_entry_that_a_family_never_takes_is_named_as_rows_of_the_file_count(
    fails, file, family, content, complaint
):
    path = file("a.csv", content)
    message = fails("fit", path, "-k", 1, "--family", family)
    assert message.startswith(f"{path}: ")
    assert complaint in message


# -- families --------------------------------------------------------------------------------------------------------


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


PETS = """species,weight,visits,vaccinated
cat,4.1,2,1
dog,22.5,5,1
cat,3.9,,0
dog,30.2,7,1
rabbit,2.0,1,0
,24.0,6,1
cat,4.4,3,1
dog,27.7,4,
dog,19.0,5,1
rabbit,1.8,0,0
"""


@pytest.fixture
def pets(file, tmp_path, run):
    """A table of mixed columns, and a model of it."""
    path, model = file("pets.csv", PETS), tmp_path / "pets.npz"
    options = ["--family", "mixed", "--column-families", "poisson:visits", "--prior", "weak"]
    status, out, err = run("fit", path, "-k", 2, *options, "--seed", 0, "-o", model)
    assert status == 0
    assert out.endswith("codes of species: 0 = cat, 1 = dog, 2 = rabbit\n")
    assumed = "categorical:species;gaussian:weight;poisson:visits;bernoulli:vaccinated"
    assert f'assumed --column-families "{assumed}"\n' in err
    return path, model


def test_mixed_table_with_holes_and_texts_is_one_model(pets, run, file):
    path, model = pets
    labels = np.array(run("predict", model, path)[1].split()[1:], int)
    heavy = np.array([0, 1, 0, 1, 0, 1, 0, 1, 1, 0])
    assert (labels == heavy).all() or (labels == 1 - heavy).all()
    few = file("few.csv", "vaccinated,visits,weight,species\n1,5,25,dog\n,,,rabbit\n")
    assert run("predict", model, few)[1].split() == ["component", str(labels[1]), str(labels[0])]


def test_texts_unknown_to_the_model_are_named(pets, fails, file):
    _, model = pets
    path = file("more.csv", PETS.replace("rabbit", "ferret"))
    message = f"{path}: column 'species': expected one of 'cat', 'dog', 'rabbit', got 'ferret'"
    assert fails("predict", model, path) == message


def test_impute_writes_the_rows_with_conditional_means(pets, run):
    path, model = pets
    status, out, _ = run("impute", model, path)
    assert status == 0
    header, *lines = [line.split(",") for line in out.splitlines()]
    assert header == ["species", "weight", "visits", "vaccinated"]
    table = read_table(str(path), text=True)
    expected = latentcore.load(model).impute(table)
    assert [line[0] for line in lines] == [
        table.categories["species"][int(c)] for c in expected[:, 0]
    ]
    assert lines[5][0] == "dog"
    np.testing.assert_array_equal(np.array(lines)[:, 1:].astype(float), expected[:, 1:])


def test_sample_of_a_mixed_model_has_its_texts(pets, run):
    out = run("sample", pets[1], "-n", 200, "--seed", 0)[1]
    assert {line.split(",")[0] for line in out.splitlines()[1:]} == {"cat", "dog", "rabbit"}


def test_codes_without_a_text_stay_numbers(pets, run):
    storage.annotate(pets[1], {"categories": {"species": ["cat", "dog"]}})
    out = run("sample", pets[1], "-n", 200, "--seed", 0)[1]
    assert {line.split(",")[0] for line in out.splitlines()[1:]} == {"cat", "dog", "2"}


@pytest.mark.parametrize("notes", [{"categories": [1]}, {"categories": {"a": 1}}, {"classes": "a"}])
def test_notes_of_another_form_are_refused(fails, saved, notes):
    storage.annotate(saved, notes)
    assert "expected" in fails("info", saved)


def test_columns_are_guessed_with_caution(run, file):
    header = "zeros,codes,years,measured,text\n"
    rows = "".join(f"{i % 2},{i % 3},{1990 + i},{i * i / 7},{'ab'[i % 2]}\n" for i in range(12))
    options = ["-k", 1, "--family", "mixed"]
    err = run("fit", file("a.csv", header + rows), *options)[2]
    expected = "bernoulli:zeros;categorical:codes,text;gaussian:years,measured"
    assert err == f'assumed --column-families "{expected}"\n'


# -- labels ----------------------------------------------------------------------------------------------------------

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


# -- posteriors ------------------------------------------------------------------------------------------------------


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


def csv_of(rows):
    return "\n".join(",".join(map(str, row)) for row in rows.tolist()) + "\n"


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


# -- select ----------------------------------------------------------------------------------------------------------


def test_select_prints_the_table_of_the_library_and_saves_the_best(run, tmp_path):
    path, picture = tmp_path / "best.npz", tmp_path / "bic.png"
    options = ["-k", "1:3", "--families", "full,tied", "--seed", 0]
    status, out, _ = run("select", "@faithful", *options, "--save", path, "--plot", picture)
    expected = select(FAITHFUL, [1, 2, 3], ["full", "tied"], random_state=0)
    assert status == 0
    figures = [re.findall(r"\d+\.\d+", text) for text in (out, str(expected))]
    assert figures[0] == figures[1]
    (best,) = [line for line in out.splitlines() if re.match(r"\*  \w", line)]
    assert best.split()[1:3] == [
        expected.table[expected.best_index].family.split("-")[1],
        str(expected.best.n_components),
    ]
    loaded = latentcore.load(path)
    np.testing.assert_array_equal(loaded.means_, expected.best.means_)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_select_compares_mixed_tables_and_other_criteria(run, file):
    arguments = ["select", file("pets.csv", PETS), "--families", "mixed", "-k", "2,1"]
    options = ["--criterion", "icl", "--prior", "weak", "--seed", 0]
    status, out, _ = run(*arguments, *options)
    assert status == 0
    fits = [line.replace("*", " ").split() for line in out.splitlines()[1:3]]
    assert [fit[:2] for fit in fits] == [["mixed", "2"], ["mixed", "1"]]
    assert "* least ICL" in out
    assert "codes of species" in out


# -- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["fit", "ellipses", "densities", "responsibilities", "uncertainty"]
)
def test_plot_draws_every_kind(run, saved, tmp_path, kind):
    picture = tmp_path / "a.png"
    options = ["--kind", kind, "--columns", "waiting,eruptions", "-o", picture]
    status, out, err = run("plot", saved, "@faithful", *options)
    assert (status, out, err) == (0, "", f"picture saved to {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_plot_of_the_objective_needs_no_rows(run, saved, tmp_path):
    assert run("plot", saved, "--kind", "objective", "-o", tmp_path / "a.svg")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "expected a FILE of rows to draw, got none"),
        (["@faithful", "--columns", "width"], "there is no column 'width'; there are eruptions, waiting"),
        (["@faithful", "--columns", "waiting", "--kind", "ellipses"], "expected two different columns"),
    ],
)  # fmt: skip
def test_plot_that_cannot_be_drawn_is_one_line(fails, saved, tmp_path, arguments, complaint):
    assert complaint in fails("plot", saved, *arguments, "-o", tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


# -- the other commands ----------------------------------------------------------------------------------------------


def test_predict_prints_the_labels(run, saved):
    status, out, _ = run("predict", saved, "@faithful")
    header, *labels = out.split()
    assert (status, header) == (0, "component")
    np.testing.assert_array_equal(np.array(labels, int), latentcore.load(saved).predict(as_frame()))


def as_frame():
    return read_table("@faithful")


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


def test_help_and_version_succeed(run):
    assert run("--version") == (0, f"{latentcore.__version__}\n", "")
    status, out, _ = run("fit", "--help")
    assert status == 0
    assert "--covariance" in out


# -- progress --------------------------------------------------------------------------------------------------------


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


# -- as a process ----------------------------------------------------------------------------------------------------


def test_module_and_script_are_the_same_program(run):
    result = process("fit", "@faithful", "-k", 2, "--seed", 0)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == run("fit", "@faithful", "-k", 2, "--seed", 0)[1]
    script = Path(sys.executable).with_name("latentcore")
    assert subprocess.run([script, "--version"], capture_output=True).returncode == 0


def test_reader_that_leaves_early_is_no_error(saved):
    command = [sys.executable, "-m", "latentcore", "sample", str(saved), "-n", "200000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"eruptions,waiting\n"
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


def test_interrupt_is_one_line_and_130(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, np.random.default_rng(0).normal(size=(300_000, 8)))
    options = ["-k", "8", "--tol", "0", "--max-iter", "1000000", "--init", "random", "--progress"]
    # a shell's background jobs ignore Ctrl-C, and so would what they start
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "import sys; from latentcore.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "fit", str(path), *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr.readline().startswith("iteration ")  # it is at work
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "latentcore: interrupted"
    assert "Traceback" not in err


HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
"""


@pytest.mark.parametrize(
    ("absent", "arguments", "says"),
    [
        ("pyarrow", ["fit", "rows.csv", "-k", "2"], "pip install 'latentcore[cli]'"),
        ("matplotlib", ["fit", "@faithful", "-k", "2", "--plot", "a.png"], "pip install 'latentcore[plot]'"),
    ],
)  # fmt: skip
def test_absent_extra_is_one_line_that_says_how_to_install_it(tmp_path, absent, arguments, says):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3,4\n5,7\n")
    program = (
        f"{HIDE.format([absent])}from latentcore.cli import main; sys.exit(main({arguments!r}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert says in result.stderr


def test_without_any_extra_the_bundled_data_still_fit():
    hide = HIDE.format(["pyarrow", "rich", "matplotlib"])
    program = (
        f"{hide}from latentcore.cli import main; sys.exit(main(['fit', '@faithful', '-k', '2']))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert "-1130.264" in result.stdout


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_example_runs(example, tmp_path):
    picture = tmp_path / "picture.png"
    arguments = [picture] if "PICTURE" in example.read_text(encoding="utf-8") else []
    result = subprocess.run(
        [sys.executable, example, *arguments], capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout != ""
    assert picture.exists() == bool(arguments)
