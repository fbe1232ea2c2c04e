"""Every lesson runs, proves its claims, catches a bug and draws; every skeleton is to do, every solution right."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minikd.lessons import work
from minikd.lessons.library import FOLDED, LESSONS, read_card
from tests.cli.makers import C_LOCALE

pytestmark = pytest.mark.numpy_only("lessons and their exercises are NumPy, and start processes")

FOLDER = Path(__file__).parents[2] / "lessons"
SCRIPTS = sorted(FOLDER.glob(LESSONS))
TAUGHT = [path for path in SCRIPTS if path.stem != "00_ten_lines"]


def by_name(paths):
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


@by_name(SCRIPTS)
def test_a_lesson_runs(path, tmp_path):
    """On a system that has ASCII alone, too, and where matplotlib's settings are of no use."""
    hard = {**C_LOCALE, "MPLBACKEND": "nonsense"}
    ended = subprocess.run(
        [sys.executable, str(path), "--quick"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **hard, "MINIKD_LESSONS_OUTPUT": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.isascii()
    assert "\\u" not in ended.stdout
    assert "atplotlib" not in ended.stderr
    if path not in TAUGHT:
        return
    verdicts = re.findall(r"^(ok|caught) {2,6}\S", ended.stdout, re.MULTILINE)
    assert len(verdicts) >= 4, ended.stdout
    assert "caught" in verdicts, ended.stdout
    assert len(np.unique(np.asarray(Image.open(tmp_path / f"{path.stem}.png").convert("L")))) > 20


@by_name(SCRIPTS)
def test_a_lesson_has_its_parts(path):
    assert read_card(path).name == path.stem
    text = path.read_text(encoding="utf-8")
    for section in ("What this does not show", "Read on", "Exercises"):
        assert re.search(rf"^# ## {section}$", text, re.MULTILINE), section
    if path in TAUGHT:
        assert f"minikd check {path.stem[:2]}" in text
        for cell in re.split(r"^(?=# %%)", text, flags=re.MULTILINE):
            if re.search(r"^figure = ", cell, re.MULTILINE):
                assert cell.startswith(f'# %% tags=["{FOLDED}"]'), "a page folds the code that only draws"


@by_name(SCRIPTS)
def test_questions_come_before_the_cell_that_answers_them(path):
    """A folded answer stands at the end of its cell, and code follows. A summary is HTML: no Markdown works there."""
    cells = re.split(r"^(?=# %%)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    asked = [i for i, cell in enumerate(cells) if "<b>Guess first:</b>" in cell]
    assert 2 <= sum(cells[i].count("<b>Guess first:</b>") for i in asked) <= 3
    for i in asked:
        assert cells[i].startswith("# %% [markdown]")
        assert re.search(
            r"<details><summary><b>Guess first:</b> [^<$`*]+\?</summary>\n#\n(?!.*<details>).+\n# </details>\n*$",
            cells[i],
            re.DOTALL,
        )
        assert not cells[i + 1].startswith("# %% [markdown]")


@by_name(SCRIPTS)
def test_papers_and_source_files_are_linked(path):
    text = path.read_text(encoding="utf-8")
    read_on = text.split("# ## Read on")[1].split("# ## Exercises")[0].replace("\n#", "")
    bare = re.sub(r"\[[^\]]+\]\([^)]+\)", "", read_on)
    assert re.findall(r"\*[^*]+\*", bare) == [], "a title that is no link"
    assert re.findall(r"`(?:minikd|tests)/[^`]*`", bare) == [], "a file that is no link"
    for target in re.findall(r"\]\((\.\./[^)]+)\)", text):
        assert (FOLDER / target).exists(), target


def test_every_lesson_has_an_exercise_with_checks_and_a_solution():
    for part in ("exercises", "checks", "solutions"):
        assert [path.name for path in sorted((FOLDER / part).glob("*.py"))] == [path.name for path in TAUGHT], part


@by_name(TAUGHT)
def test_a_skeleton_is_all_to_do(path):
    done = work.checked(FOLDER, path.stem, FOLDER / "exercises" / path.name)
    assert done.to_do > 0
    assert (done.right, done.wrong) == (0, 0)


@by_name(TAUGHT)
def test_a_solution_is_all_right(path):
    assert work.all_right(work.checked(FOLDER, path.stem, FOLDER / "solutions" / path.name))
