"""`latentcore fit` of files that are read again in each iteration, and on clusters."""

import signal
import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import latentcore
from cli.tools import files_of, npy
from latentcore import Batches, GaussianHMM, GaussianMixture
from latentcore.errors import ConvergenceWarning

ROWS = np.random.default_rng(0).normal(size=(3000, 2)) + np.repeat([[0.0], [6.0]], 1500, axis=0)
KNOWN = np.where(np.arange(3000) % 10 == 0, ROWS[:, 0] > 3, -1)
KEYS = np.repeat(np.arange(30), 100)
TABLE = pa.table(
    {"a": ROWS[:, 0], "b": ROWS[:, 1], "key": KEYS, "known": KNOWN, "name": ["x"] * 3000}
)
NUMBERS = TABLE.select(["a", "b"])


@pytest.fixture
def parquet(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE, path)
    return path


def assert_same(path, expected, rtol=0.0):
    found = latentcore.load(path)
    assert found.n_iter_ == expected.n_iter_
    for name in ("means_", "covariances_"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol)


OPTIONS = ["-k", 2, "--seed", 0, "--tol", "1e-8"]


def test_parquet_out_of_core_is_the_fit_of_the_library_and_nearly_that_in_memory(
    run, parquet, tmp_path
):
    path = tmp_path / "m.npz"
    options = [*OPTIONS, "--columns", "a,b", "-o", path]
    status, out, err = run("fit", parquet, *options, "--out-of-core")
    assert (status, err) == (0, f"model saved to {path}\n")
    assert out == run("info", path)[1]
    model = GaussianMixture(2, random_state=0, tol=1e-8)
    assert_same(path, model.fit(Batches(parquet, columns=["a", "b"])))
    assert list(latentcore.load(path).feature_names_in_) == ["a", "b"]
    assert run("fit", parquet, *options, "--in-memory")[0] == 0
    assert_same(path, model, rtol=1e-9)


def test_folders_and_arrow_files_are_read_in_parts(run, file, tmp_path):
    feather = tmp_path / "rows.feather"
    pyarrow.feather.write_feather(TABLE.select(["a", "b"]), feather)
    matrix = file("rows.npy", npy(ROWS))
    expected = GaussianMixture(2, random_state=0, tol=1e-8).fit(ROWS)
    for source in (files_of(NUMBERS, tmp_path / "rows", 3), feather, matrix):
        path = tmp_path / "m.npz"
        options = ["--out-of-core"] if source == matrix else []
        assert run("fit", source, *OPTIONS, *options, "-o", path)[0] == 0
        assert_same(path, expected, rtol=1e-9)


def test_labels_and_columns_that_are_left_out(run, parquet, tmp_path):
    path = tmp_path / "m.npz"
    options = [*OPTIONS, "--labels", "known", "--out-of-core", "-o", path]
    status, _, err = run("fit", parquet, *options)
    assert status == 0
    assert "columns left out, which hold no numbers: name" in err
    rows = np.column_stack([ROWS, KEYS])
    expected = GaussianMixture(2, random_state=0, tol=1e-8).fit(rows, labels=KNOWN)
    assert_same(path, expected, rtol=1e-9)


def test_sequences_by_a_column(run, parquet, tmp_path):
    path = tmp_path / "m.npz"
    options = ["--model", "hmm", "--columns", "a,b", "--group-by", "key", "--covariance", "full"]
    assert run("fit", parquet, *OPTIONS, *options, "--out-of-core", "-o", path)[0] == 0
    model = GaussianHMM(2, random_state=0, tol=1e-8, max_iter=200, covariance_type="full")
    assert_same(path, model.fit(ROWS, groups=KEYS), rtol=1e-9)


def test_mixed_columns_are_guessed_from_the_first_rows(run, parquet):
    options = ["--family", "mixed", "--columns", "a,b,key", "--out-of-core"]
    status, _, err = run("fit", parquet, *OPTIONS, *options)
    assert status == 0
    assert 'assumed --column-families "gaussian:a,b,key"' in err


def test_interrupt_leaves_the_model_of_the_last_complete_iteration(parquet, tmp_path):
    path = tmp_path / "m.npz"
    # a shell's background jobs ignore Ctrl-C, and so would what they start
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "import sys; from latentcore.cli import main; sys.exit(main())"
    options = ["--columns", "a,b", "--tol", 0, "--max-iter", 10**6, "--out-of-core", "--progress"]
    command = [
        sys.executable,
        "-c",
        program,
        "fit",
        parquet,
        "-k",
        3,
        "--seed",
        0,
        *options,
        "-o",
        path,
    ]
    with subprocess.Popen(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        guard = threading.Timer(60, running.kill)
        guard.start()
        assert running.stderr is not None
        said = running.stderr.readline()
        while "iteration" not in said:
            said = running.stderr.readline()
            assert said
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
        guard.cancel()
    assert (running.returncode, out) == (130, "")
    assert err.splitlines()[-2:] == [f"model saved to {path}", "latentcore: interrupted"]
    assert "rows/s" in said
    found = latentcore.load(path)
    assert found.n_iter_ >= 1
    expected = GaussianMixture(3, random_state=0, tol=0, max_iter=found.n_iter_)
    with pytest.warns(ConvergenceWarning):
        expected.fit(Batches(parquet, columns=["a", "b"]))
    assert_same(path, expected)


def test_cluster_of_this_machine_makes_the_fit_of_one_process(tmp_path, parquet):
    path = tmp_path / "m.npz"
    options = [*OPTIONS, "--columns", "a,b", "--cluster", "local:1", "-o", path]
    command = [sys.executable, "-m", "latentcore", "fit", parquet, *options]
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=240)
    # Dask has warnings of its own, of pauses of a busy machine
    said = [line for line in result.stderr.splitlines() if " - distributed." not in line]
    assert (result.returncode, said) == (0, [f"model saved to {path}"])
    assert_same(path, GaussianMixture(2, random_state=0, tol=1e-8).fit(ROWS), rtol=1e-9)


def test_scheduler_is_found_by_its_address(run, tmp_path):
    from distributed import LocalCluster

    path = tmp_path / "m.npz"
    folder = files_of(NUMBERS, tmp_path / "rows", 3)
    with LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:
        options = [*OPTIONS, "--cluster", cluster.scheduler_address, "-o", path]
        assert run("fit", folder, *options)[0] == 0
    assert_same(path, GaussianMixture(2, random_state=0, tol=1e-8).fit(ROWS), rtol=1e-9)


def test_rows_of_sequences_are_brought_together_on_a_cluster(run, tmp_path):
    from distributed import LocalCluster

    path, folder = tmp_path / "m.npz", tmp_path / "rows"
    table = TABLE.append_column("at", pa.array(np.arange(3000)))
    folder.mkdir()
    for i in range(3):  # every third row: each group in every file
        pq.write_table(table.take(np.arange(i, 3000, 3)), folder / f"{i}.parquet")
    of = ["--model", "hmm", "--columns", "a,b", "--group-by", "key", "--order-by", "at"]
    with LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:
        options = [*OPTIONS, *of, "--cluster", cluster.scheduler_address, "-o", path]
        assert run("fit", folder, *options)[0] == 0
    found = latentcore.load(path)
    expected = GaussianHMM(2, random_state=0, tol=1e-8).fit(ROWS, groups=KEYS)
    frame = TABLE.select(["a", "b"]).to_pandas()
    assert found.loglik(frame, groups=KEYS) == pytest.approx(expected.loglik(ROWS, groups=KEYS))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--cluster", "here"], "--cluster: expected the address of a Dask scheduler"),
        (["--cluster", "local:0"], "--cluster: expected the address of a Dask scheduler"),
        (["--out-of-core", "--plot", "a.png"], "--plot: only for files that are read into memory"),
        (["--out-of-core", "--columns", "a,z"], "'z'"),
        (["--out-of-core", "--columns", "a", "--labels", "b"], "labels"),
        (["--out-of-core", "--in-memory"], "not allowed with"),
        (["--order-by", "key"], "--order-by: only with --cluster"),
    ],
)
def test_complaint(fails, parquet, options, says):
    assert says in fails("fit", parquet, "-k", 2, *options)


def test_text_files_are_not_read_out_of_core(fails, file):
    path = file("rows.csv", "a,b\n1,2\n")
    assert "expected files that end in one of .parquet" in fails(
        "fit", path, "-k", 1, "--out-of-core"
    )
