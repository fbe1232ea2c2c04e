"""The README is true: its example runs, its commands exist, its table of results is that of a run."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import minikd
from minikd.cli import main
from minikd.report.evidence import Results

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture
def text():
    return README.read_text(encoding="utf-8")


def test_the_two_commands_stand_at_the_top(text):
    commands = [line.strip() for line in text.splitlines()[:14] if line.startswith("    ")]
    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/minikd distill",
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest -n auto",
    ]


def test_the_ten_line_example_runs(text, monkeypatch, capsys):
    whole = minikd.load_dataset("mnist")
    few = np.arange(300)
    small = replace(
        whole,
        train_images=whole.train_images[few],
        train_labels=whole.train_labels[few],
        test_images=whole.test_images[few],
        test_labels=whole.test_labels[few],
    )
    monkeypatch.setattr(minikd, "load_dataset", lambda name: small)
    (example,) = re.findall(r"```python\n(import numpy.*?)```", text, re.DOTALL)
    assert len(example.strip().splitlines()) <= 12
    exec(compile(example, str(README), "exec"), {})
    assert "Scores(errors=" in capsys.readouterr().out


def test_every_command_in_the_readme_exists(text, capsys):
    commands = (
        "distill|methods|train|evaluate|predict|export|gradcheck|compare|gpu-check|bench|experiment|pitfalls|info|"
        "lessons|check-loss|check|runs|completion"
    )
    named = set(re.findall(rf"minikd ({commands})\b", text))
    assert len(named) == 18
    for command in sorted(named):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0
    told = capsys.readouterr().out
    for flag in set(re.findall(r"`?(--[a-z][a-z-]+)", text)) - {"--version"}:
        assert flag in told, flag


def test_every_key_of_the_results_is_documented(text):
    documented = text.split("## results.json")[1]
    for key in Results.__annotations__:
        assert f"`{key}`" in documented, key


def anchors(page):
    """The names under which GitHub finds a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_every_link_to_a_file_or_a_section_leads_somewhere(text):
    for path, section in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", text):
        page = README.parent / path if path else README
        assert page.exists(), path
        assert not section or section in anchors(page), f"{path}#{section}"


def test_the_planted_bugs_are_counted(text):
    from tests.test_mutants import MUTANTS

    assert f"plants {len(MUTANTS)} bugs" in text


def test_nothing_is_left_to_fill_in(text):
    assert not re.findall(r"@[A-Z]+@", text)
