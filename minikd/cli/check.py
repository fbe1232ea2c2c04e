"""`minikd check`: checks a reader's exercise with its lesson's checks."""

import argparse
import io
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, print_next, python_as_typed, short_path
from minikd.cli.shared_flags import add_json
from minikd.console.layout import aligned, paragraph


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the exercise's number, and the reader's file."""
    to.usage = "minikd check [NN] [FILE]"
    to.add_argument("exercise", nargs="?", metavar="NN", help="the lesson's number (default: list them)")
    to.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="your file (default: work/NN_name.py, created the first time)",
    )
    add_json(to)


def run(arguments: argparse.Namespace) -> int:
    """Check a reader's exercise; the first call makes it in work/. Without a number, list all exercises."""
    from minikd.distillation.folder import quoted
    from minikd.lessons import work
    from minikd.lessons.library import chosen, lessons_folder

    folder = lessons_folder()
    names = work.exercises(folder)
    if arguments.exercise is None:
        return list_exercises(folder, names, arguments.json)
    name = chosen(names, arguments.exercise)
    file = arguments.file or work.file_of(name)
    new = arguments.file is None and work.begin(folder, name)
    again = f"{as_typed()} check {name[:2]}"
    if new and not arguments.json:
        print(paragraph(f"{file} is new: the skeleton of the exercise. Write its functions there, then {again}") + "\n")
    rows = io.StringIO()
    with redirect_stdout(rows) if arguments.json else nullcontext():
        done = work.checked(folder, name, file)
    right = work.all_right(done)
    if arguments.json:
        counts = {"right": done.right, "wrong": done.wrong, "to_do": done.to_do}
        print(json_text({"ok": right, "file": str(file), "new": new, **counts, "rows": rows.getvalue().splitlines()}))
        return 0 if right else 1
    print(f"\n{done.right} right, {done.wrong} wrong, {done.to_do} to do: {file}{': well done.' if right else ''}")
    later = [one for one in names if one > name]
    if not right:
        first = next(iter(done.doubted), "")
        print_next({again: f"once {first or file} is better{' (begin with it)' if len(done.doubted) > 1 else ''}"})
    elif later:
        print_next({f"{python_as_typed()} {quoted(short_path(folder / f'{later[0]}.py'))}": "the next lesson"})
    else:
        print_next({f"{as_typed()} distill": "that was the last exercise: the main job"})
    return 0 if right else 1


def list_exercises(folder: Path, names: Sequence[str], as_json: bool) -> int:
    """Print the exercises with the state of the reader's work."""
    from minikd.lessons.work import state

    states = {name: state(folder, name) for name in names}
    if as_json:
        print(json_text(states))
        return 0
    print(aligned((("exercise", "state"),), list(states.items())))
    print_next({f"{as_typed()} check 01": "creates the first in work/, then checks your solution"})
    return 0
