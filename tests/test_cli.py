"""The command line: what it prints, what it writes, and one clear line for everything that goes wrong."""

import gzip
import io
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import latentcore
from latentcore import GaussianMixture
from latentcore.cli import main, progress
from latentcore.cli.tables import BUNDLED, read_columns, read_table
from latentcore.datasets import load_old_faithful
from latentcore.engine import Progress

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
        ("a.csv", "a,b\n1,2\n3,\n", "line 3, column 'b': expected a finite number, got nothing"),
        ("a.csv", "a,b\n1,2\n3,NA\n", "line 3, column 'b': expected a finite number, got 'NA'"),
        ("a.csv", "a,b\n1,-inf\n", "line 2, column 'b': expected a finite number, got '-inf'"),
        ("a.csv", "a\n1e999\n", "line 2, column 'a': expected a finite number, got '1e999'"),
        ("a.csv", "a\n1_000\n", "line 2, column 'a': expected a finite number, got '1_000'"),
        ("a.csv", "1,2\n3,nan\n", "line 2, column 'x1': expected a finite number, got 'nan'"),
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
            parquet({"a": [1, 2, 3], "b": [4, None, 6]}),
            "row 2, column 'b': expected a finite number, got a missing value (NaN)",
        ),
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
        ("a.npy", npy(np.array([[1, np.nan]])), "row 1, column 'x1': expected a finite number"),
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
        (["fit", "@iris", "-k", 2], "there is no such bundled data set; there are @faithful"),
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


def test_column_twice_in_the_file_cannot_be_picked(fails, file):
    path = file("a.csv", "a,a\n1,2\n")
    assert "there is more than one column 'a'" in fails("fit", path, "-k", 1, "--columns", "a")


@pytest.mark.parametrize("content", [b"", b"junk", npy(np.zeros(3))])
@pytest.mark.parametrize("command", ["info", "score", "predict", "sample"])
def test_file_that_is_no_model_is_one_line(fails, file, command, content):
    path = file("model.npz", content)
    arguments = [] if command in ("info", "sample") else ["@faithful"]
    assert fails(command, path, *arguments).startswith(f"{path}: expected a saved model")


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
    command = [sys.executable, "-m", "latentcore", "fit", str(path), *options]
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
