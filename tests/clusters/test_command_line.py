"""`latentcore fit --cluster`: the fit of one machine, by workers of Dask and of Spark that read the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import latentcore
from cli.tools import files_of
from clusters.tools import VISIBLE, table
from latentcore import GaussianHMM, GaussianMixture
from latentcore.cli import main
from latentcore.cli.values import is_spark

pytestmark = [
    pytest.mark.filterwarnings("ignore::latentcore.errors.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
    pytest.mark.filterwarnings("ignore::UserWarning:pyspark"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pyspark"),
]

FRAME = table().drop(columns=["m0", "m1", "m2"])
FRAME["label"] = FRAME["label"].where(FRAME["label"] >= 0).astype(float)
ROWS = FRAME[VISIBLE]
KNOWN = FRAME["label"].fillna(-1).to_numpy(int)
OPTIONS = ["-k", "3", "--seed", "0", "--max-iter", "4"]


def as_table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


@pytest.fixture(params=["dask", "spark"])
def address(request: pytest.FixtureRequest) -> str:
    if request.param == "spark":
        request.getfixturevalue("spark")  # the command takes the session that is there
        return "local[2]"
    found: Any = request.getfixturevalue("client")
    return str(found.scheduler.address)


def test_weights_labels_and_columns_of_other_kinds(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, path = files_of(as_table(FRAME), tmp_path / "rows", 3), tmp_path / "m.npz"
    beside = ["--weight-by", "weight", "--labels", "label"]
    options = [*OPTIONS, *beside, "--cluster", address, "-o", str(path)]
    assert main(["fit", str(folder), *options]) == 0
    assert "columns left out, which hold no numbers: sequence\n" in capsys.readouterr().err
    found = latentcore.load(path)
    names = [*VISIBLE, "count", "time"]
    assert list(found.feature_names_in_) == names
    expected = GaussianMixture(3, random_state=0, max_iter=4)
    expected.fit(FRAME[names], sample_weight=FRAME["weight"], labels=KNOWN)
    np.testing.assert_allclose(found.means_, expected.means_, rtol=1e-8)


def test_rows_of_sequences_are_brought_together(address: str, tmp_path: Path) -> None:
    shuffled = FRAME.iloc[np.random.default_rng(0).permutation(len(FRAME))]
    folder, path = files_of(as_table(shuffled), tmp_path / "rows", 3), tmp_path / "m.npz"
    chain = ["--model", "hmm", "--columns", ",".join(VISIBLE), "--covariance", "diag"]
    beside = ["--group-by", "sequence", "--order-by", "time", "--cluster", address]
    assert main(["fit", str(folder), *OPTIONS, *chain, *beside, "-o", str(path)]) == 0
    expected = GaussianHMM(3, covariance_type="diag", random_state=0, max_iter=4)
    expected.fit(ROWS, groups=FRAME["sequence"])
    found = latentcore.load(path).loglik(ROWS, groups=FRAME["sequence"])
    assert found == pytest.approx(expected.loglik(ROWS, groups=FRAME["sequence"]), rel=1e-9)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--weight-by", "absent"], "'absent'"),
        (["--weight-by", "x0"], "column 'x0': expected finite weights >= 0, got -"),
        (["--columns", "sequence"], "expected numbers"),
    ],
)
def test_complaint_is_a_line(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    folder = files_of(as_table(FRAME), tmp_path / "rows", 2)
    assert main(["fit", str(folder), *OPTIONS, *options, "--cluster", address]) == 2
    [line] = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith(f"latentcore: error: {folder}: ")
    assert says in line


def test_file_that_is_not_there_is_named(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent.parquet"
    assert main(["fit", str(absent), *OPTIONS, "--cluster", address]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert str(absent) in line


@pytest.mark.parametrize(
    ("address", "of_spark"),
    [
        ("spark://host:7077", True),
        ("local", True),
        ("local[*]", True),
        ("local-cluster[2,1,1024]", True),
        ("yarn", True),
        ("k8s://https://host:6443", True),
        ("local:2", False),
        ("tcp://host:8786", False),
        ("localhost:8786", False),
    ],
)
def test_engine_is_told_by_the_address(address: str, of_spark: bool) -> None:
    assert is_spark(address) is of_spark
