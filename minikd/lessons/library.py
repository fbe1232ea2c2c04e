"""Finds the lessons, and reads what each says of itself in its first cell.

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
"""Lessons that had another name: both are understood, and a reader's work under the old one is found."""

LIMIT = 2**20
"""Bytes of the largest lesson that is read."""

LABELS = ("Goal", "Needs", "You will see", "Minutes")


@dataclass(frozen=True)
class Card:
    """A lesson's first cell; goal, needs and sight (what you will see) are Markdown."""

    path: Path
    number: int
    title: str
    goal: str
    needs: str
    sight: str
    minutes: int

    @property
    def name(self) -> str:
        """The lesson's name: 03_linear_backward."""
        return self.path.stem


def lessons_folder() -> Path:
    """Return the folder of the lessons: in the current folder, or beside an installed checkout's package.

    Raises ConfigError where there is none: a wheel holds the package alone.
    """
    folders = Path("lessons"), Path(minikd.__file__).resolve().parents[1] / "lessons"
    for folder in folders:
        if next(folder.glob(LESSONS), None):
            return folder
    looked = " and ".join(str(folder) for folder in folders)
    raise ConfigError(
        f"the lessons are not here (looked for NN_name.py in {looked}): they come with minikd's repository and not "
        "with the installed package; clone it and run this command in its folder"
    )


def cards(folder: Path) -> list[Card]:
    """Return the card of every lesson in a folder, in order. Raises ConfigError, with the file, for one without."""
    return [read_card(path) for path in sorted(folder.glob(LESSONS))]


def read_card(path: Path) -> Card:
    """Return what a lesson's first cell says. Raises ConfigError naming the file and what is missing or too much."""
    title, *paragraphs = first_cell(path).split("\n\n")
    number, heading = int(path.name[:2]), re.fullmatch(r"# (\d{1,2})\. (.+)", title)
    if not heading or int(heading[1]) != number:
        raise ConfigError(f"{path}: its first cell begins with {title!r}, but must with '# {number}. Title'")
    said = dict(zip(LABELS, paragraphs, strict=False))
    for label in LABELS:
        prefix = f"**{label}** "
        if not said.get(label, "").startswith(prefix):
            raise ConfigError(
                f"{path}: its first cell has no paragraph '{prefix}...' in its place; after the title it holds "
                f"{', '.join(LABELS)}, each a paragraph that begins with its name in bold"
            )
        said[label] = " ".join(said[label].removeprefix(prefix).split())
    if len(paragraphs) > len(LABELS):
        raise ConfigError(f"{path}: its first cell goes on after the minutes; begin another cell there")
    if not re.fullmatch(r"[1-9]\d{0,3}", said["Minutes"]):
        raise ConfigError(f"{path}: its **Minutes** are {said['Minutes']!r}, but must be a whole number")
    goal, needs, sight, minutes = said.values()
    return Card(path, number, heading[2], goal, needs, sight, int(minutes))


def first_cell(path: Path) -> str:
    """Return the text of a script's first cell, without its comment signs; empty where it is not Markdown."""
    begin, *lines = read_text(path, LIMIT, "take the lesson as it came", ConfigError).splitlines() or [""]
    cell = []
    for line in lines if begin == "# %% [markdown]" else []:
        if not line.startswith("#") or line.startswith("# %%"):
            break
        cell.append(line[1:].strip())
    return "\n".join(cell).strip()


def chosen(names: Sequence[str], asked: str) -> str:
    """Return which of the names, as 03_linear_backward, is asked for: by its number, its name or its file.

    Raises ConfigError with the nearest names where it is none of them.
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
