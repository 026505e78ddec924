"""`latentcore stream`: processes that learn from files and from live pipes, are stopped, and go on."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

import latentcore
from cli.tools import csv_of
from latentcore import GaussianMixture, Online

ROWS = np.random.default_rng(0).normal(size=(400, 2)) + np.repeat([[0.0], [6.0]], 200, axis=0)
ROWS = np.random.default_rng(1).permutation(ROWS)
HEADER = "a,b\n"
NEW = ["-k", 2, "--seed", 0, "--batch-size", 50]


class Frame(np.ndarray):
    """Rows whose columns have names."""

    columns = ("a", "b")


def named(rows):
    return np.asarray(rows).view(Frame)


def learned(rows, size=50, **arguments):
    """What the library learns from batches of so many rows."""
    model = GaussianMixture(2, random_state=0, **arguments)
    for begin in range(0, len(rows), size):
        model.partial_fit(named(rows[begin : begin + size]))
    return model


def same(path, model):
    """Whether the model in the file is this one, bit for bit."""
    found = latentcore.load(path)
    names = ("weights_", "means_", "covariances_", "n_iter_", "n_samples_seen_")
    return all(np.array_equal(getattr(found, name), getattr(model, name)) for name in names)


@contextmanager
def streaming(*arguments):
    """A process that learns from its standard input."""
    # a shell's background jobs ignore Ctrl-C, and so would what they start
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "import sys; from latentcore.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "stream", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as running:
        try:
            yield running
        finally:
            running.kill()


def until(condition, process):
    """Wait for what a process is to do."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rows_in(path):
    """From how many rows the model in a file has learned."""
    return latentcore.load(path).n_samples_seen_ if path.exists() else 0


# -- the same as the library -----------------------------------------------------------------------------------------


def test_file_is_learned_by_the_batch_as_by_partial_fit(run, file, tmp_path):
    path = tmp_path / "m.npz"
    status, out, err = run("stream", path, file("rows.csv", HEADER + csv_of(ROWS)), *NEW)
    assert status == 0
    assert same(path, learned(ROWS))
    assert out == run("info", path)[1]
    assert "learned from 400 rows in 8 batches" in err
    assert list(latentcore.load(path).feature_names_in_) == ["a", "b"]


def ndjson(rows):
    return "".join(f"{json.dumps({'b': b, 'x': '?', 'a': a})}\n" for a, b in rows.tolist())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.txt", "b\tx\ta\n" + "".join(f"{b!r}\t?\t{a!r}\r\n" for a, b in ROWS.tolist())),
        ("rows.csv.gz", gzip.compress((HEADER + csv_of(ROWS)).encode())),
        ("rows.csv", "\ufeff\n\n" + HEADER + csv_of(ROWS).rstrip("\n")),
        ("rows.csv", csv_of(ROWS)),
        ("rows.ndjson", ndjson(ROWS)),
        ("rows", ndjson(ROWS)),
    ],
    ids=["tsv", "gzip", "blank lines", "no header", "ndjson", "ndjson by its first line"],
)
def test_columns_are_picked_by_name_from_every_format(run, file, tmp_path, name, content):
    path = tmp_path / "m.npz"
    learned(ROWS[:50]).save(path)
    assert run("stream", path, file(name, content), "--batch-size", 50)[0] == 0
    assert same(path, learned(np.concatenate([ROWS[:50], ROWS])))


def test_several_files_are_one_stream(run, file, tmp_path):
    path = tmp_path / "m.npz"
    parts = [
        file("1.csv", HEADER + csv_of(ROWS[:130])),
        file("2.csv", "b,a\n" + csv_of(ROWS[130:200, ::-1])),
        file("3.ndjson", ndjson(ROWS[200:])),
    ]
    assert run("stream", path, *parts, *NEW)[0] == 0
    assert same(path, learned(ROWS))


def test_options_reach_the_model_and_stay(run, file, tmp_path):
    path, rows = tmp_path / "m.npz", file("rows.csv", HEADER + csv_of(ROWS))
    options = ["--step-size", 0.25, "--inertia", "running", "--averaging", "--covariance", "tied"]
    assert run("stream", path, rows, *NEW, *options)[0] == 0
    expected = learned(ROWS, covariance_type="tied", online=Online(0.25, "running", True))
    assert same(path, expected)
    assert run("stream", path, rows, "--batch-size", 50)[0] == 0
    for begin in range(0, 400, 50):
        expected.partial_fit(named(ROWS[begin : begin + 50]))
    assert same(path, expected)


@pytest.mark.parametrize("step", ["power:0.7", "power:0.7,3", "inverse:2", "inf"])
def test_step_sizes_have_short_names(run, file, tmp_path, step):
    from latentcore.rules.steps import InverseStep, PowerStep

    path = tmp_path / "m.npz"
    rows = file("rows.csv", HEADER + csv_of(ROWS))
    assert run("stream", path, rows, *NEW, "--step-size", step)[0] == 0
    steps = {
        "power:0.7": PowerStep(0.7), "power:0.7,3": PowerStep(0.7, 3), "inverse:2": InverseStep(2),
        "inf": float("inf"),
    }  # fmt: skip
    assert same(path, learned(ROWS, online=Online(steps[step])))


def test_rows_of_a_short_batch_count_as_much_as_others(run, file, tmp_path):
    path = tmp_path / "m.npz"
    rows = file("rows.csv", HEADER + csv_of(ROWS[:110]))
    assert run("stream", path, rows, *NEW, "--step-size", 0.5)[0] == 0
    expected = learned(ROWS[:100], online=0.5).set_params(online=0.5 * 10 / 50)
    assert same(path, expected.partial_fit(named(ROWS[100:110])))
    assert latentcore.load(path).online == Online(0.5)


def test_texts_and_empty_cells(run, file, tmp_path):
    path = tmp_path / "m.npz"
    lines = ["cat,4.1", "dog,", ",2.0", "cat,3.9", "dog,30.5", "dog,28.0"] * 4
    rows = file("pets.csv", "species,weight\n" + "\n".join(lines))
    options = ["-k", 2, "--family", "mixed", "--prior", "weak", "--seed", 0]
    status, out, _ = run("stream", path, rows, *options, "--batch-size", 12)
    assert status == 0
    assert out.endswith("codes of species: 0 = cat, 1 = dog\n")
    late = file("late.csv", "weight,species\n4.0,cat\n2.0,rabbit\n")
    status, _, err = run("stream", path, late)
    assert status == 2
    assert "line 3: column 'species': expected one of 'cat', 'dog', got 'rabbit'" in err


def test_known_labels(run, file, tmp_path):
    path = tmp_path / "m.npz"
    known = np.where(np.arange(400) % 3 == 0, (ROWS[:, 0] > 3), -1)
    texts = np.array(["", "low", "high"])[known + 1]
    lines = [f"{a},{b},{t}" for (a, b), t in zip(ROWS.tolist(), texts, strict=True)]
    rows = file("rows.csv", "a,b,kind\n" + "\n".join(lines) + "\n")
    status, out, _ = run("stream", path, rows, *NEW, "--labels", "kind")
    assert status == 0
    first = texts[texts != ""][0]
    codes = known if first == "low" else np.where(known < 0, -1, 1 - known)
    model = GaussianMixture(2, random_state=0)
    for begin in range(0, 400, 50):
        batch = slice(begin, begin + 50)
        model.partial_fit(named(ROWS[batch]), labels=codes[batch])
    assert same(path, model)
    assert f"components: 0 = {first}, 1 = " in out


# -- live pipes ------------------------------------------------------------------------------------------------------


def test_pipe_is_learned_from_as_it_fills(tmp_path):
    path = tmp_path / "m.npz"
    with streaming(path, *NEW, "--snapshot-every", 50) as process:
        process.stdin.write(HEADER.encode())
        text = csv_of(ROWS).encode()
        for begin in range(0, 400, 50):
            # in pieces that no line ends with
            piece = csv_of(ROWS[begin : begin + 50]).encode()
            process.stdin.write(piece[:1001])
            process.stdin.write(piece[1001:])
            until(lambda seen=begin + 50: rows_in(path) == seen, process)
        assert len(text) > 0
        process.stdin.close()
        assert process.wait(60) == 0
    assert same(path, learned(ROWS))


def test_stale_rows_are_flushed(tmp_path):
    path = tmp_path / "m.npz"
    with streaming(path, *NEW, "--flush-seconds", 0.2, "--snapshot-every", 1) as process:
        process.stdin.write((HEADER + csv_of(ROWS[:20])).encode())
        until(lambda: rows_in(path) == 20, process)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_loses_no_row_that_was_read(tmp_path, number, code):
    path = tmp_path / "m.npz"
    with streaming(path, *NEW, "--snapshot-every", 50) as process:
        process.stdin.write((HEADER + csv_of(ROWS[:170])).encode() + b"1.5,")
        until(lambda: rows_in(path) == 150, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code
    assert b"Traceback" not in err
    assert b"learned from 170 rows" in err
    expected = learned(ROWS[:150])
    schedule = Online().schedule()
    expected.set_params(online=schedule(4) * 20 / 50).partial_fit(named(ROWS[150:170]))
    assert same(path, expected)
    assert out.startswith(b"Gaussian mixture")


def test_pipe_that_is_stopped_between_batches_and_goes_on_is_as_if_uninterrupted(tmp_path):
    path = tmp_path / "m.npz"
    for begin, end in [(0, 150), (150, 400)]:
        with streaming(path, *NEW, "--snapshot-every", 50) as process:
            process.stdin.write((HEADER + csv_of(ROWS[begin:end])).encode())
            until(lambda seen=end: rows_in(path) == seen, process)
            process.terminate()
            process.communicate(timeout=60)
            assert process.returncode == 143
    assert same(path, learned(ROWS))


def test_file_that_is_killed_anywhere_and_resumed_is_as_if_uninterrupted(tmp_path, file):
    path = tmp_path / "m.npz"
    many = np.tile(ROWS, (500, 1))
    rows = file("rows.csv", HEADER + csv_of(many))
    status = []
    for signals in [[signal.SIGTERM, signal.SIGKILL, signal.SIGINT], []]:
        for number in signals:
            before = rows_in(path)
            with streaming(path, rows, *NEW, "--snapshot-every", 1000, "--resume") as process:
                until(lambda before=before: rows_in(path) > before, process)
                process.send_signal(number)
                process.communicate(timeout=60)
                status.append(process.returncode)
    assert status == [143, -signal.SIGKILL, 130]
    assert 0 < rows_in(path) < len(many)
    with streaming(path, rows, *NEW, "--resume") as process:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert same(path, learned(many))
    assert list(tmp_path.glob(".m.npz.*")) in ([], [p for p in tmp_path.glob(".m.npz.*")])


def test_reader_of_the_table_may_leave(tmp_path, file):
    path = tmp_path / "m.npz"
    rows = file("rows.csv", HEADER + csv_of(ROWS))
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-u", "-m", "latentcore", "stream", path, rows, *NEW]
    try:
        result = subprocess.run([*map(str, command)], stdout=write, stderr=subprocess.PIPE)
    finally:
        os.close(write)
    assert result.returncode == 0
    assert same(path, learned(ROWS))
