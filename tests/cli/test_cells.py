"""Missing entries and texts in cells."""

import numpy as np
import pyarrow as pa
import pytest

from cli.tools import npy, parquet
from latentcore.cli.tables import read_names, read_table, write_table

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
