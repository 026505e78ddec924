"""Tables of numbers, counts and texts."""

import numpy as np
import pytest

import latentcore
from cli.tools import PETS
from latentcore import storage
from latentcore.cli.tables import read_table


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
