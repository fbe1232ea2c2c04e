"""README and docs/ are true: commands and flags exist, keys are documented, links lead somewhere."""

import re

import pytest

from minikd.cli import main
from minikd.distillation.results import Results
from minikd.lessons.library import cards
from tests.docs.pages import PAGES, REPOSITORY

README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "docs"
WRITTEN = [*PAGES, REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "benchmarks" / "README.md"]
WRITTEN += sorted((REPOSITORY / "results").glob("*.md"))


@pytest.fixture
def text():
    return README.read_text(encoding="utf-8")


@pytest.fixture
def everything():
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_the_two_commands_stand_at_the_top(text):
    commands = [line for line in text.splitlines()[:24] if line.startswith("python3 ")]
    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/minikd distill",
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest -n auto",
    ]


def test_the_readme_stays_short(text):
    assert len(text.splitlines()) <= 150


def test_the_loop_has_twenty_lines_and_the_example_ten(text):
    (loop,) = re.findall(r"```python\n(import numpy.*?)```", text, re.DOTALL)
    (example,) = re.findall(
        r"```python\n(import numpy.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len([line for line in loop.splitlines() if line]) <= 22
    assert len(example.strip().splitlines()) <= 12


def test_every_command_and_flag_in_readme_and_docs_exists(everything, capsys):
    commands = (
        "distill|methods|train|evaluate|predict|export|gradcheck|compare|gpu-check|bench|experiment|pitfalls|info|"
        "lessons|check-loss|check|runs|completion"
    )
    named = set(re.findall(rf"minikd ({commands})\b", everything))
    assert len(named) == 18
    for command in sorted(named):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0
    told = capsys.readouterr().out
    text = re.sub(r"<!--.*?-->|pytest --backend|python [^`\n]*", "", everything)
    for flag in set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", text)) - {"--version"}:
        assert flag in told, flag


def test_every_key_of_the_results_is_documented():
    documented = (DOCS / "results-json.md").read_text(encoding="utf-8")
    for key in Results.__annotations__:
        assert f"`{key}`" in documented, key


def test_every_lesson_is_listed_with_its_title_goal_and_minutes():
    page = (DOCS / "lessons.md").read_text(encoding="utf-8")
    for card in cards(REPOSITORY / "lessons"):
        goal = card.goal[0].upper() + card.goal[1:]
        row = f"| [{card.number}. {card.title}](../lessons/{card.name}.py) | {goal} | {card.minutes} |"
        assert row in page, row
        assert f"\n../lessons/{card.name}\n" in page


def test_every_page_of_docs_is_in_the_contents():
    contents = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert page.stem == "index" or f"\n{page.stem}\n" in contents, page.name


def anchors(page):
    """The names under which GitHub finds a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page):
    prose = "".join(page.read_text(encoding="utf-8").split("```")[::2])
    for link in re.findall(r"\]\(([^)]+)\)", prose):
        if link.startswith("http"):
            assert re.fullmatch(r"https://[\w.-]+\.[a-z]+(/[\w./~%#?=&-]*)?", link), link
            continue
        path, _, section = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not section or section in anchors(target), link


def test_the_planted_bugs_are_counted(everything):
    from tests.test_mutants import MUTANTS

    assert f"plants {len(MUTANTS)} bugs" in everything


def test_nothing_is_left_to_fill_in(everything):
    assert not re.findall(r"@[A-Z]+@", everything)
