"""`minikd lessons`: list the lessons, or write the site or notebooks; `minikd check`: a reader's exercises."""

import argparse
import io
import textwrap
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path

from minikd.cli.commands import as_typed, python_as_typed
from minikd.cli.json_text import json_text
from minikd.cli.next_steps import print_next, shown
from minikd.console.layout import aligned, columns, paragraph, styled
from minikd.distillation.folder import quoted
from minikd.errors import ConfigError
from minikd.lessons.library import Card, cards, chosen, lessons_folder

MINUTES = len("minutes")
"""Columns of a lesson's minutes."""


def lessons(arguments: argparse.Namespace) -> int:
    """List lessons, or write the site or notebooks."""
    if arguments.html:
        return site(arguments)
    found = cards(lessons_folder())
    names = [card.name for card in found]
    wanted = {chosen(names, asked) for asked in arguments.names} or set(names)
    picked = [card for card in found if card.name in wanted]
    if arguments.notebooks:
        return notebooks(arguments, picked)
    if arguments.quick:
        raise ConfigError("--quick is for --html; a lesson alone takes it too")
    if arguments.json:
        print(json_text([{"name": card.name, **asdict(card), "path": str(card.path)} for card in picked]))
        return 0
    print(listing(picked))
    print_next(how_to_start(lessons_folder()))
    return 0


def listing(picked: Sequence[Card]) -> str:
    """Return the lessons as a table: number, title, minutes, what each needs."""
    room = columns() - len(f"{'':4}  minutes  ")
    title = max(20, min(46, room // 2))
    head = f"{'':4}{'':{title}}  minutes  needs"
    drawn = [styled(head, "bold"), "─" * columns()]
    for card in picked:
        titles, needs = textwrap.wrap(card.title, title), textwrap.wrap(card.needs, room - title)
        rows = zip_longest([str(card.number)], titles, [str(card.minutes)], needs, fillvalue="")
        drawn += [
            f"{number:>2}  {name:{title}}  {minutes:>{MINUTES}}  {need}".rstrip()
            for number, name, minutes, need in rows
        ]
    return "\n".join(drawn)


def how_to_start(folder: Path) -> dict[str, str]:
    """Return the commands that a reader needs next."""
    program = as_typed()
    return {
        f"{python_as_typed()} {quoted(shown(folder / '01_softmax.py'))}": "runs a lesson; --quick: in seconds",
        f"{program} check 01": "puts its exercise into work/, and checks what you wrote there",
        f"{program} lessons --html site": "a site: these lessons with their results, and all of docs/",
        f"{program} lessons --notebooks notebooks": "all of them as notebooks",
    }


def site(arguments: argparse.Namespace) -> int:
    """Write the site; 1 where a lesson did not run to its end or a link leads nowhere."""
    from minikd.lessons.publish import require_extra, write_site

    if arguments.names:
        raise ConfigError("--html writes the whole site; leave out the names of lessons")
    require_extra()
    right, page = write_site(lessons_folder(), arguments.html, arguments.quick), arguments.html / "index.html"
    if arguments.json:
        print(json_text({"ok": right, "written": str(page)}))
        return 0 if right else 1
    print(f"{'the site' if right else 'the site, with the faults named above'}: {page}")
    print_next({f"open {quoted(page)}": "read it"})
    return 0 if right else 1


def notebooks(arguments: argparse.Namespace, picked: Sequence[Card]) -> int:
    """Write lessons as notebooks."""
    from minikd.lessons.publish import require_extra, write_notebooks

    if arguments.quick:
        raise ConfigError("--quick is for --html: notebooks are written, not run")
    require_extra()
    folder: Path = arguments.notebooks
    folder.mkdir(parents=True, exist_ok=True)
    write_notebooks(picked, folder)
    if arguments.json:
        print(json_text({"lessons": len(picked), "written": str(folder)}))
    else:
        print(f"{len(picked)} lessons: {folder}")
        print_next({f"jupyter lab {quoted(folder)}": "run them; pip install jupyterlab"})
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Check a reader's exercise, which is put into work/ the first time; without a number, list them all."""
    from minikd.lessons import work

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
        print_next({again: f"once {file} is better"})
    elif later:
        print_next({f"{python_as_typed()} {quoted(shown(folder / f'{later[0]}.py'))}": "the next lesson"})
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
    print_next({f"{as_typed()} check 01": "puts the first into work/, and checks what you wrote there"})
    return 0
