"""A reader's files for the exercises: makes them, runs a lesson's checks on them, and counts what is right."""

import contextlib
import io
import runpy
from pathlib import Path

from minikd.errors import ConfigError
from minikd.lessons.exercise import Work
from minikd.lessons.library import LESSONS, NAMES_BEFORE
from minikd.storage.files import write_atomically

WORK = Path("work")
"""The reader's folder, in the current folder."""


def exercises(lessons: Path) -> list[str]:
    """Return the names of the lessons with exercises, in order."""
    return [path.stem for path in sorted((lessons / "exercises").glob(LESSONS))]


def file_of(name: str) -> Path:
    """Return a reader's file for an exercise. A file under the lesson's old name stays in use."""
    names = [name, *(old for old, new in NAMES_BEFORE.items() if new == name)]
    return next((path for one in names if (path := WORK / f"{one}.py").exists()), WORK / f"{name}.py")


def begin(lessons: Path, name: str) -> bool:
    """Copy an exercise's skeleton to the reader's folder. Return False if the reader already has a file."""
    mine = file_of(name)
    if mine.exists():
        return False
    WORK.mkdir(exist_ok=True)
    write_atomically(mine, (lessons / "exercises" / f"{name}.py").read_bytes())
    return True


def checked(lessons: Path, name: str, file: Path) -> Work:
    """Run a lesson's checks on a reader's file, print their rows, and return the counts.

    Raises ConfigError if the file is missing or cannot be run.
    """
    if not file.is_file():
        raise ConfigError(f"{file} is not a file; without a file, `minikd check {name[:2]}` takes {WORK / name}.py")
    work = Work(file)
    runpy.run_path(str(lessons / "checks" / f"{name}.py"))["check"](work)
    return work


def state(lessons: Path, name: str) -> str:
    """Return the state of an exercise in a few words."""
    mine = file_of(name)
    if not mine.exists():
        return "not begun"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            work = checked(lessons, name, mine)
    except ConfigError as error:
        return f"cannot be run: {error}"
    return "all right" if all_right(work) else f"{work.right} of {work.right + work.wrong + work.to_do} right"


def all_right(work: Work) -> bool:
    """Return True if at least one check ran and all were right."""
    return work.right > 0 and not work.wrong and not work.to_do


def summary(work: Work) -> str:
    """Return the counts in a line: 2 right, 0 wrong, 1 to do."""
    return f"{work.right} right, {work.wrong} wrong, {work.to_do} to do{': well done.' if all_right(work) else ''}"
