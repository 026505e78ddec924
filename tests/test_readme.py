"""What the README and the guides show is what happens."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import latentcore
from latentcore import plots
from latentcore.cli.options import parser

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ESTIMATORS = {name for name in latentcore.__all__ if name.endswith(("Mixture", "HMM"))}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)


def blocks(document):
    """Language and text of all blocks of code."""
    text = document.read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def programs(document):
    """Blocks of Python, each with the output that is shown under it, or None."""
    found = blocks(document)
    following = [*found[1:], ("", "")]
    return [
        (text, shown if language == "text" else "")
        for (kind, text), (language, shown) in zip(found, following, strict=True)
        if kind == "python"
    ]


def run(program, folder):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@each_document
def test_examples_print_what_is_shown(document, tmp_path):
    between = "=" * 30
    parts = programs(document)
    assert sum(shown != "" for _, shown in parts) >= 2
    result = run(f"\nprint({between!r})\n".join(text for text, _ in parts), tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    printed = result.stdout.split(f"{between}\n")
    assert printed == [shown for _, shown in parts]


@each_document
def test_commands_have_the_options_that_are_used(document):
    shell = "\n".join(text for language, text in blocks(document) if language == "sh")
    lines = re.findall(
        r"\blatentcore ((?:fit|select|stream|combine|predict|decode|forecast|score|impute|sample|info|plot) .*)",
        shell,
    )
    assert len(lines) >= 6
    for line in lines:
        arguments = shlex.split(line)
        assert parser().parse_args(arguments).command.__name__ == arguments[0]


@each_document
def test_calls_exist(document):
    text = document.read_text(encoding="utf-8")
    methods = re.findall(r"`(?:model|best)?\.(\w+)\(", text)
    methods += re.findall(r"Gaussian(?:Mixture|HMM)\.(\w+)\(", text)
    classes = (
        latentcore.GaussianMixture, latentcore.BayesianGaussianMixture,
        latentcore.GaussianHMM, latentcore.BayesianHMM,
    )  # fmt: skip
    assert [name for name in methods if not any(hasattr(cls, name) for cls in classes)] == []
    functions = re.findall(r"plots\.(\w+)\(", text)
    assert functions != []
    assert set(functions) <= set(plots.__all__)
    assert set(re.findall(r"`(\w+(?:Mixture|HMM))\b", text)) <= ESTIMATORS


def test_every_estimator_is_in_a_guide():
    guides = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    assert [name for name in ESTIMATORS if f"`{name}" not in guides] == []


@each_document
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text(encoding="utf-8"))
    assert links != []
    assert [link for link in links if not (document.parent / link).exists()] == []
