"""`latentcore stream`: processes that learn from files and from live pipes, are stopped, and go on."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import latentcore
from cli.tools import csv_of
from latentcore import (
    BayesianGaussianMixture,
    GaussianHMM,
    GaussianMixture,
    Online,
    VariationalGaussianHMM,
)
from latentcore.cli.tables import Table

ROWS = np.random.default_rng(0).normal(size=(400, 2)) + np.repeat([[0.0], [6.0]], 200, axis=0)
ROWS = np.random.default_rng(1).permutation(ROWS)
HEADER = "a,b\n"
NEW = ["-k", 2, "--seed", 0, "--batch-size", 50]


def named(rows):
    return Table(np.ascontiguousarray(rows), ["a", "b"])


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
    # a shell's background jobs ignore Ctrl-C, those of nohup SIGHUP, and so would what they start
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
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


@pytest.mark.parametrize("step", ["power:0.7", "power:0.7,3", "inverse:2", "inf", "auto"])
def test_step_sizes_have_short_names(run, file, tmp_path, step):
    from latentcore.rules.steps import InverseStep, PowerStep

    path = tmp_path / "m.npz"
    rows = file("rows.csv", HEADER + csv_of(ROWS))
    assert run("stream", path, rows, *NEW, "--step-size", step)[0] == 0
    steps: dict[str, Any] = {
        "power:0.7": PowerStep(0.7), "power:0.7,3": PowerStep(0.7, 3), "inverse:2": InverseStep(2),
        "inf": float("inf"), "auto": "auto",
    }  # fmt: skip
    assert same(path, learned(ROWS, online=Online(steps[step])))


def test_rows_of_a_short_batch_count_as_much_as_others(run, file, tmp_path):
    path = tmp_path / "m.npz"
    rows = file("rows.csv", HEADER + csv_of(ROWS[:110]))
    assert run("stream", path, rows, *NEW, "--step-size", 0.5)[0] == 0
    expected = learned(ROWS[:100], online=0.5).set_params(online=0.5 * (10 / 50))
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
        for begin in range(0, 400, 50):
            text = csv_of(ROWS[begin : begin + 50]).encode()
            process.stdin.write(text[:1001])  # in the middle of a line
            process.stdin.write(text[1001:])
            until(lambda seen=begin + 50: rows_in(path) == seen, process)
        process.stdin.close()
        assert process.wait(60) == 0
    assert same(path, learned(ROWS))


def test_stale_rows_are_flushed(tmp_path):
    path = tmp_path / "m.npz"
    with streaming(path, *NEW, "--flush-seconds", 0.2, "--snapshot-every", 1) as process:
        process.stdin.write((HEADER + csv_of(ROWS[:20])).encode())
        until(lambda: rows_in(path) == 20, process)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
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
    expected.set_params(online=schedule(4) * (20 / 50)).partial_fit(named(ROWS[150:170]))
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
    path, many = tmp_path / "m.npz", np.tile(ROWS, (250, 1))
    rows = file("rows.csv", HEADER + csv_of(many))
    options = ["-k", 2, "--seed", 0, "--batch-size", 500, "--resume"]
    status = []
    for number in [signal.SIGTERM, signal.SIGKILL]:
        before = rows_in(path)
        with streaming(path, rows, *options, "--snapshot-every", 500) as process:
            until(lambda before=before: rows_in(path) > before, process)
            process.send_signal(number)
            process.communicate(timeout=60)
            status.append(process.returncode)
    assert status == [143, -signal.SIGKILL]
    assert 0 < rows_in(path) < len(many)
    with streaming(path, rows, *options) as process:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert same(path, learned(many, 500))


def test_standard_input_that_is_a_file_is_one(tmp_path, file):
    path, rows = tmp_path / "m.npz", file("rows.csv", HEADER + csv_of(ROWS[:100]))
    command = [sys.executable, "-m", "latentcore", "stream", path, *NEW, "--resume"]
    for n_rows in (100, 400):
        file("rows.csv", HEADER + csv_of(ROWS[:n_rows]))  # grown
        with rows.open("rb") as source:
            result = subprocess.run([*map(str, command)], stdin=source, capture_output=True)
        assert result.returncode == 0
    assert same(path, learned(ROWS))


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


# -- what goes wrong -------------------------------------------------------------------------------------------------


def lines_of(rows):
    return csv_of(rows).splitlines()


BAD = {
    "a cell too few": ("7", "expected 2 cells, got 1"),
    "text": ("7,x", "column 'b': expected a finite number, got 'x'"),
    "infinity": ("inf,1", "column 'a': expected a finite number, got 'inf'"),
    "Python's own": ("1_0,1", "column 'a': expected a finite number, got '1_0'"),
    "quotes": ('"7"8,1', "expected after"),
}


@pytest.mark.parametrize(("line", "says"), BAD.values(), ids=list(BAD))
def test_bad_row_is_named_and_what_came_before_is_kept(run, file, tmp_path, line, says):
    path, lines = tmp_path / "m.npz", lines_of(ROWS)
    rows = file("rows.csv", HEADER + "\n".join([*lines[:170], line, *lines[170:]]))
    status, out, err = run("stream", path, rows, *NEW)
    assert (status, out) == (2, "")
    assert f"{rows}: line 172: " in err.splitlines()[-1]
    assert says in err
    assert same(path, learned(ROWS[:150]))
    file("rows.csv", HEADER + csv_of(ROWS))  # mended
    assert run("stream", path, rows, *NEW, "--resume")[0] == 0
    assert same(path, learned(ROWS))


@pytest.mark.parametrize(("line", "says"), BAD.values(), ids=list(BAD))
def test_bad_rows_can_be_left_out(run, file, tmp_path, line, says):
    path, lines = tmp_path / "m.npz", lines_of(ROWS)
    text = "\n".join([line, *lines[:170], line, *lines[170:399], line, lines[399]])
    rows = file("rows.csv", HEADER + text)
    status, _, err = run("stream", path, rows, *NEW, "--on-error", "skip")
    assert status == 0
    assert same(path, learned(ROWS))
    assert [f"line {n}" in err and says in err for n in (2, 173, 403)] == [True] * 3
    assert "3 bad rows were left out" in err


def test_row_outside_the_support_is_named(run, file, tmp_path):
    path, counts = tmp_path / "m.npz", np.random.default_rng(0).poisson(5.0, (60, 2)) * 1.0
    counts[33, 1] = -1
    rows = file("rows.csv", HEADER + csv_of(counts))
    options = ["-k", 2, "--family", "poisson", "--batch-size", 20, "--seed", 0]
    status, _, err = run("stream", path, rows, *options)
    assert status == 2
    assert f"{rows}: line 35" in err
    assert rows_in(path) == 20
    assert run("stream", path, rows, *options, "--resume", "--on-error", "skip")[0] == 0
    assert rows_in(path) == 59


def test_bad_row_of_a_pipe_loses_nothing_before_it(tmp_path):
    path = tmp_path / "m.npz"
    with streaming(path, *NEW) as process:
        _, err = process.communicate((HEADER + csv_of(ROWS[:70]) + "1,2,3\n").encode(), timeout=60)
        assert process.returncode == 2
    assert err.splitlines()[-1].endswith(b"standard input: line 72: expected 2 cells, got 3")
    assert rows_in(path) == 70


TRUNCATED = {
    "gzip": ("rows.csv.gz", gzip.compress((HEADER + csv_of(ROWS)).encode())[:-2000], "truncated"),
    "last line": ("rows.csv", HEADER + csv_of(ROWS)[:-25], "expected 2 cells, got 1"),
    "quotes": ("rows.csv", HEADER + csv_of(ROWS) + '"1', "unexpected end of data"),
    "json": ("rows.ndjson", ndjson(ROWS)[:-5], "line 400: expected a JSON object, got '{"),
    "keys": ("rows.ndjson", ndjson(ROWS) + '{"a": 1}', "line 401: expected the column 'b'"),
    "array": ("rows.ndjson", ndjson(ROWS) + "[1, 2]", "expected a JSON object, got '[1, 2]'"),
}


@pytest.mark.parametrize(("name", "content", "says"), TRUNCATED.values(), ids=list(TRUNCATED))
def test_truncated_stream_keeps_what_was_learned(run, file, tmp_path, name, content, says):
    path = tmp_path / "m.npz"
    learned(ROWS[:50]).save(path)
    status, _, err = run("stream", path, file(name, content), "--batch-size", 50)
    assert status == 2
    assert says in err.splitlines()[-1]
    seen = rows_in(path)
    assert seen >= 100
    assert same(path, learned(np.concatenate([ROWS[:50], ROWS[: seen - 50]])))


def test_too_few_rows_wait_in_the_file(run, file, tmp_path):
    path = tmp_path / "m.npz"
    for rows in (ROWS[:3], ROWS[3:50]):
        source = file("rows.csv", HEADER + csv_of(rows))
        status, _, err = run("stream", path, source, *NEW)
        assert status == 0
        assert ("not begun yet" in err) == (len(rows) == 3)
    expected = GaussianMixture(2, random_state=0).partial_fit(named(ROWS[:3]))
    step = latentcore.load(path).online
    schedule = Online().schedule()
    expected.set_params(online=Online(lambda step: schedule(step) * (47 / 50)))
    expected.partial_fit(named(ROWS[3:50]))
    assert step is None
    assert same(path, expected)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.npz"], "there is no such file"),
        (["none.npz", "none.csv", "-k", 2], "none.csv"),
        (["m.npz", "rows.csv", "--family", "poisson"], "--family: only with -k"),
        (["m.npz", "rows.csv", "-k", 3], "-k: expected 2, as m.npz has it, got 3"),
        (["m.npz", "rows.csv", "-k", 2, "--covariance", "diag"], "--covariance: expected full"),
        (["m.npz", "rows.csv", "-k", 2, "--family", "poisson"], "got those of a PoissonMixture"),
        (["m.npz", "c.csv"], "there is no column 'b'"),
        (["m.npz", "m.npz"], "m.npz: expected CSV, TSV or NDJSON, got .npz"),
        (["m.npz", "wide.csv"], "expected 2 columns, those of the model, got 3"),
        (["m.npz", "rows.csv", "--group-by", "a"], "--group-by: only for hidden Markov models"),
        (["n.npz", "rows.csv", "-k", 2, "--group-by", "a"], "--group-by: only with --model hmm"),
        (["n.npz", "rows.csv", "-k", 2, "--columns", "z"], "there is no column 'z'"),
        (["m.npz", "rows.csv", "--step-size", "-1"], "--step-size"),
        (["m.npz", "rows.csv", "--step-size", "power:0.2"], "kappa"),
        (["m.npz", "rows.csv", "--continues", "--group-by", "a"], "--continues"),
        (["x/y.npz", "rows.csv", "-k", 2], "there is no folder"),
        (["n.npz", "twice.csv", "-k", 1], "twice.csv: there is more than one column 'a'"),
        (["m.npz", "zipped.csv"], "zipped.csv: expected text, got what gzip has made of some"),
        (["m.npz", "wide_characters.csv"], "expected text in UTF-8, got other bytes"),
    ],
)
def test_complaint(fails, file, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    learned(ROWS).save("m.npz")
    before = (tmp_path / "m.npz").read_bytes()
    file("rows.csv", HEADER + csv_of(ROWS))
    file("c.csv", "a,c\n1,2\n")
    file("wide.csv", "1,2,3\n")
    file("twice.csv", "a,a,b\n1,2,3\n")
    file("zipped.csv", gzip.compress(b"a,b\n1,2\n"))
    file("wide_characters.csv", "a,b\n1,2\n".encode("utf-16"))
    assert says in fails("stream", *arguments)
    assert (tmp_path / "m.npz").read_bytes() == before


def test_files_with_fewer_rows_than_were_read_are_not_gone_on_with(run, file, tmp_path):
    path = tmp_path / "m.npz"
    assert run("stream", path, file("rows.csv", HEADER + csv_of(ROWS)), *NEW)[0] == 0
    before = path.read_bytes()
    status, out, err = run("stream", path, file("new.csv", HEADER + csv_of(ROWS[:50])), "--resume")
    assert (status, out) == (2, "")
    assert (
        f"--resume: expected the 400 rows that {path} has read and what came after, got 50" in err
    )
    assert path.read_bytes() == before


def test_rows_of_a_pipe_are_not_passed_over(tmp_path):
    path = tmp_path / "m.npz"
    learned(ROWS).save(path)
    with streaming(path, "--resume") as process:
        _, err = process.communicate(b"", timeout=60)
        assert process.returncode == 2
    assert b"--resume: expected files" in err


# -- hidden Markov models ---------------------------------------------------------------------------------------------

SWITCHING = np.repeat(np.random.default_rng(5).integers(0, 2, 80), 5) * 6.0
SWITCHING = np.column_stack([SWITCHING, -SWITCHING]) + np.random.default_rng(6).normal(
    size=(400, 2)
)
CHAIN = ["--model", "hmm", "-k", 2, "--seed", 0, "--batch-size", 50]


def chain_learned(batches, lengths=None, **arguments):
    model = GaussianHMM(2, random_state=0, **arguments)
    for i, rows in enumerate(batches):
        how = {"continues": i > 0} if lengths is None else {"lengths": lengths[i]}
        model.partial_fit(named(rows), **how)
    return model


def same_chain(path, model):
    found = latentcore.load(path)
    names = ("startprob_", "transmat_", "means_", "covariances_", "n_iter_", "n_samples_seen_")
    return all(np.array_equal(getattr(found, name), getattr(model, name)) for name in names)


def test_rows_of_an_hmm_are_one_endless_sequence_across_runs(run, file, tmp_path):
    path = tmp_path / "m.npz"
    for part in (SWITCHING[:150], SWITCHING[150:]):
        rows = file("rows.csv", HEADER + csv_of(part))
        assert run("stream", path, rows, *CHAIN, "--covariance", "full")[0] == 0
    blocks = np.split(SWITCHING, 8)
    expected = chain_learned(blocks, covariance_type="full", online=Online(horizon="endless"))
    assert same_chain(path, expected)


def test_batches_of_sequences_are_whole(run, file, tmp_path):
    path = tmp_path / "m.npz"
    keys = np.repeat(list("abcacdb"), [30, 30, 90, 20, 30, 100, 100])
    lines = [f"{key},{a},{b}" for key, (a, b) in zip(keys, SWITCHING.tolist(), strict=True)]
    rows = file("rows.csv", "key,a,b\n" + "\n".join(lines) + "\n")
    options = [*CHAIN, "--covariance", "full", "--group-by", "key"]
    assert run("stream", path, rows, *options)[0] == 0
    batches = np.split(SWITCHING, [60, 150, 200, 300])
    lengths = [[30, 30], [90], [20, 30], [100], [100]]
    assert same_chain(path, chain_learned(batches, lengths, covariance_type="full"))
    # the column of the first run is that of the next
    expected = chain_learned(batches * 2, lengths * 2, covariance_type="full")
    assert run("stream", path, rows, "--batch-size", 50)[0] == 0
    assert same_chain(path, expected)


def test_row_of_no_sequence_is_bad(run, file, tmp_path):
    path = tmp_path / "m.npz"
    rows = file("rows.csv", "key,a,b\n" + "x,1,2\n" * 20 + ",1,2\n" + "y,3,4\n" * 20)
    says = "line 22: column 'key': expected the name of a sequence, got nothing"
    assert says in run("stream", path, rows, *CHAIN, "--group-by", "key")[2]


def test_impossible_row_of_a_chain_is_named(run, file, tmp_path):
    path = tmp_path / "m.npz"
    counts = np.random.default_rng(0).poisson(np.repeat([2.0, 30.0, 2.0], 40)) * 1.0
    counts[70] = -3
    lines = "".join(
        f"{key},{x}\n" for key, x in zip(np.repeat([1, 2, 3, 4], 30), counts, strict=True)
    )
    rows = file("rows.csv", "key,x\n" + lines)
    options = ["--family", "poisson", "--model", "hmm", "-k", 2, "--seed", 0, "--batch-size", 60]
    status, _, err = run("stream", path, rows, *options, "--group-by", "key")
    assert status == 2
    assert f"{rows}: line 72: " in err
    assert rows_in(path) == 60


def test_posterior_of_a_chain_learns_from_an_endless_sequence(run, file, tmp_path):
    path = tmp_path / "m.npz"
    for begin, end in ((0, 200), (200, 400)):
        rows = file("rows.csv", HEADER + csv_of(SWITCHING[begin:end]))
        options = [*CHAIN, "--bayes", "--covariance", "full", "--batch-size", 50]
        assert run("stream", path, rows, *options)[0] == 0
    expected = VariationalGaussianHMM(
        2, covariance_type="full", random_state=0, startprob_prior=np.full(2, 0.5),
        transmat_prior=np.full((2, 2), 0.5), horizon="endless",
    )  # fmt: skip
    for i, part in enumerate(np.split(SWITCHING, 8)):
        expected.partial_fit(named(part), continues=i > 0)
    np.testing.assert_array_equal(latentcore.load(path).transmat_, expected.transmat_)
    np.testing.assert_array_equal(latentcore.load(path).means_, expected.means_)


def test_posterior_of_a_chain_learns_from_sequences(run, file, tmp_path):
    path, keys = tmp_path / "m.npz", np.repeat(np.arange(8), 50)
    lines = [f"{key},{a},{b}" for key, (a, b) in zip(keys, SWITCHING.tolist(), strict=True)]
    rows = file("rows.csv", "key,a,b\n" + "\n".join(lines) + "\n")
    options = [*CHAIN, "--bayes", "--covariance", "full"]
    assert run("stream", path, rows, *options, "--group-by", "key")[0] == 0
    expected = VariationalGaussianHMM(
        2, covariance_type="full", random_state=0, startprob_prior=np.full(2, 0.5),
        transmat_prior=np.full((2, 2), 0.5),
    )  # fmt: skip
    for part in np.split(SWITCHING, 8):
        expected.partial_fit(named(part), lengths=[50])
    np.testing.assert_array_equal(latentcore.load(path).transmat_, expected.transmat_)
    np.testing.assert_array_equal(latentcore.load(path).means_, expected.means_)


def test_posterior_of_a_stream(run, file, tmp_path):
    path, rows = tmp_path / "m.npz", file("rows.csv", HEADER + csv_of(ROWS))
    assert run("stream", path, rows, *NEW, "--bayes", "--concentration", 0.5)[0] == 0
    expected = BayesianGaussianMixture(2, random_state=0, weight_concentration_prior=0.5)
    for begin in range(0, 400, 50):
        expected.partial_fit(named(ROWS[begin : begin + 50]))
    found = latentcore.load(path)
    np.testing.assert_array_equal(found.means_, expected.means_)
    np.testing.assert_array_equal(found.weights_, expected.weights_)


WAYS = {
    "averaging": ["--averaging"],
    "running": ["--inertia", "running", "--prior", "weak"],
    "automatic": ["--step-size", "auto"],
    "posterior": ["--bayes"],
    "mixed": ["--family", "mixed", "--prior", "weak"],
    "chain": ["--model", "hmm"],
    "forward-only": ["--model", "hmm", "--inertia", "forward-only"],
    "chain's endless posterior": ["--model", "hmm", "--bayes"],
    "chain's posterior": ["--model", "hmm", "--bayes", "--group-by", "key"],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_every_way_to_learn_goes_on_from_the_file_bit_for_bit(run, file, tmp_path, way):
    once, twice = tmp_path / "once.npz", tmp_path / "twice.npz"
    keys = np.repeat(np.arange(16), 25)
    columns = "key,a,b\n" if "--group-by" in way else HEADER
    table = np.column_stack([keys, SWITCHING]) if "--group-by" in way else SWITCHING
    for n_rows in (150, 400):
        rows = file("rows.csv", columns + csv_of(table[:n_rows]))
        assert run("stream", twice, rows, *NEW, *way, "--resume")[0] == 0
    assert run("stream", once, rows, *NEW, *way)[0] == 0
    assert twice.read_bytes() == once.read_bytes()
