"""Files of data: every format reads the same numbers, and what is wrong in one is said in one line."""

import gzip

import numpy as np
import pyarrow as pa
import pytest

from cli.tools import FAITHFUL, as_text, npy, parquet
from latentcore.cli.tables import read_columns, read_table


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
        ("a.csv.gz", gzip.compress(as_text(",", "a,b").encode(), mtime=0), ["a", "b"]),
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
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "expected text in UTF-8, got other bytes"),
        ("a.csv", gzip.compress(b"a,b\n1,2\n"), "expected text, got what gzip has made of some"),
        ("a.csv", "\n\n", "the file is empty"),
        ("a.csv", "a,b\n", "expected rows of numbers, got none"),
        ("a.csv.gz", "a,b\n1,2\n", "Not a gzipped file"),
        ("a.csv.gz", gzip.compress(b"a\n1\n" * 999, mtime=0)[:40], "Compressed file ended"),
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


def test_column_twice_in_the_file_cannot_be_picked(fails, file):
    path = file("a.csv", "a,a\n1,2\n")
    assert "there is more than one column 'a'" in fails("fit", path, "-k", 1, "--columns", "a")
