"""Pictures of saved models."""

import pytest


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
