"""Finds the lessons, and reads the first cell of each.

# %% [markdown]
# # 3. A linear layer, backwards
#
# **Goal** what it is for.
#
# **Needs** lesson 2.
#
# **You will see** the figure, in a sentence.
#
# **Minutes** 1
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import minikd
from minikd.errors import ConfigError
from minikd.storage.reading import read_text

LESSONS = "[0-9][0-9]_*.py"
"""Names of lessons and of exercises: NN_name.py."""

NAMES_BEFORE = {"13_distil_honestly": "13_distill_honestly"}
"""Old and new names of renamed lessons. Both are accepted, and a reader's work under the old name is found."""

LIMIT = 2**20
"""Larger files are not read, in bytes."""

WORDS, LINES = 150, 15
"""Words of prose and lines of code that a reader reads in a minute. Silent reading is faster, 238 words a minute
(Brysbaert 2019), but reading for study is slower, and mathematics is slower still. The result is an estimate."""

FOLDED = "hide-input"
"""The tag of cells that only draw. Pages fold their code."""

STEP = 5
"""Minutes to which a reading time is rounded."""

LABELS = ("Goal", "Needs", "You will see", "Minutes")


@dataclass(frozen=True)
class LessonCard:
    """A lesson's first cell; goal, needs and sight (what you will see) are Markdown.

    minutes: its running time on two cores. reading: about how many minutes it takes to read.
    """

    path: Path
    number: int
    title: str
    goal: str
    needs: str
    sight: str
    minutes: int
    reading: int

    @property
    def name(self) -> str:
        """The lesson's name: 03_linear_backward."""
        return self.path.stem


def lessons_folder() -> Path:
    """Return the folder of the lessons: in the current folder, or next to the package of an installed checkout.

    Raises ConfigError if there is none, because a wheel contains only the package.
    """
    folders = Path("lessons"), Path(minikd.__file__).resolve().parents[1] / "lessons"
    for folder in folders:
        if next(folder.glob(LESSONS), None):
            return folder
    looked = " and ".join(str(folder) for folder in folders)
    raise ConfigError(
        f"no lessons found (looked for NN_name.py in {looked}): they are in minikd's repository, not in the "
        "installed package; clone it and run this command in its folder"
    )


def cards(folder: Path) -> list[LessonCard]:
    """Return the card of every lesson in a folder, in order. Raises ConfigError for a lesson without a card."""
    return [read_card(path) for path in sorted(folder.glob(LESSONS))]


def read_card(path: Path) -> LessonCard:
    """Return the card in a lesson's first cell. Raises ConfigError if something is missing or too much."""
    text = read_text(path, LIMIT, "use the original lesson", ConfigError)
    title, *paragraphs = first_cell(text).split("\n\n")
    number, heading = int(path.name[:2]), re.fullmatch(r"# (\d{1,2})\. (.+)", title)
    if not heading or int(heading[1]) != number:
        raise ConfigError(f"{path}: its first cell begins with {title!r}, but must with '# {number}. Title'")
    said = dict(zip(LABELS, paragraphs, strict=False))
    for label in LABELS:
        prefix = f"**{label}** "
        if not said.get(label, "").startswith(prefix):
            raise ConfigError(
                f"{path}: the paragraph '{prefix}...' is missing or misplaced in its first cell; after the title come "
                f"{', '.join(LABELS)}, each a paragraph that begins with its name in bold"
            )
        said[label] = " ".join(said[label].removeprefix(prefix).split())
    if len(paragraphs) > len(LABELS):
        raise ConfigError(f"{path}: its first cell must end after the minutes; begin another cell there")
    if not re.fullmatch(r"[1-9]\d{0,3}", said["Minutes"]):
        raise ConfigError(f"{path}: its **Minutes** are {said['Minutes']!r}, but must be a whole number")
    goal, needs, sight, minutes = said.values()
    return LessonCard(path, number, heading[2], goal, needs, sight, int(minutes), reading_minutes(text))


def reading_minutes(text: str) -> int:
    """Return about how many minutes it takes to read a lesson: prose, mathematics and code, without cells that draw."""
    words = lines = 0
    kind = "code"
    for line in text.splitlines():
        if line.startswith("# %%"):
            kind = "prose" if "[markdown]" in line else "drawing" if FOLDED in line else "code"
        elif kind == "prose":
            words += len(line.removeprefix("#").split())
        elif kind == "code":
            lines += bool(line.strip())
    return max(STEP, STEP * round((words / WORDS + lines / LINES) / STEP))


def first_cell(text: str) -> str:
    """Return the text of a script's first cell, without its comment signs; empty if it is not Markdown."""
    begin, *lines = text.splitlines() or [""]
    cell = []
    for line in lines if begin == "# %% [markdown]" else []:
        if not line.startswith("#") or line.startswith("# %%"):
            break
        cell.append(line[1:].strip())
    return "\n".join(cell).strip()


def chosen(names: Sequence[str], asked: str) -> str:
    """Return the name, such as 03_linear_backward, for a number, a name or a file.

    Raises ConfigError with similar names if there is no such lesson.
    """
    stem = Path(asked).stem
    stem = NAMES_BEFORE.get(stem, stem)
    number = int(stem) if stem.isdecimal() and len(stem) < 9 else None
    for name in names:
        if stem == name or number == int(name[:2]):
            return name
    near = [name for name in names if stem and stem in name] or difflib.get_close_matches(stem, names)
    if number is not None:
        near = sorted(names, key=lambda name: abs(int(name[:2]) - number))[:2]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
    raise ConfigError(f"there is no {asked!r} here; {hint}")
