"""What `latentcore select` prints and saves."""

import re

import numpy as np

import latentcore
from cli.tools import FAITHFUL, PETS
from latentcore.selection import select


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
