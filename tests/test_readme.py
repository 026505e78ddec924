"""What the README shows is what happens."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import latentcore
from latentcore.cli.commands import parser

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def block(language, containing):
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (found,) = [text for text in blocks if containing in text]
    return found


def test_first_fit_prints_what_the_readme_shows():
    program = block("python", "print(model.summary())")
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == block("text", "Gaussian mixture")


def test_commands_have_the_options_that_the_readme_uses():
    lines = block("sh", "latentcore predict").splitlines()
    first = block("sh", "fit @faithful").partition(".venv/bin/")[2]
    lines.append("latentcore " + first.rpartition("latentcore ")[2])
    assert len(lines) == 6
    for line in lines:
        name, *arguments = shlex.split(line)
        assert name == "latentcore"
        assert parser().parse_args(arguments).command.__name__ == arguments[0]


def test_calls_of_the_table_exist():
    calls = re.findall(r"`\.(\w+)\(", README) + re.findall(r"GaussianMixture\.(\w+)\(", README)
    assert len(calls) >= 12
    missing = [name for name in calls if not hasattr(latentcore.GaussianMixture, name)]
    assert missing == []


def test_links_lead_somewhere():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert len(links) >= 4
    assert [link for link in links if not (Path(__file__).parents[1] / link).exists()] == []
