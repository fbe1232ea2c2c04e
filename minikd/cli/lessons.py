"""`minikd lessons`: list the lessons, or write them as notebooks or pages; `minikd check`: a reader's exercises."""

import argparse
import io
import textwrap
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path

from minikd.cli.commands import as_typed, python_as_typed
from minikd.cli.json_text import json_text
from minikd.cli.next_steps import print_next, shown
from minikd.console.layout import aligned, columns, paragraph, styled, tell
from minikd.console.terminal import say, standard_error
from minikd.distillation.folder import quoted
from minikd.errors import ConfigError
from minikd.lessons.library import Card, cards, chosen, lessons_folder
from minikd.storage.files import write_atomically

MINUTES = len("minutes")
"""Columns of a lesson's minutes."""


def lessons(arguments: argparse.Namespace) -> int:
    """List lessons, or run them as notebooks and write these or pages; 1 where one did not run to its end."""
    found = cards(lessons_folder())
    names = [card.name for card in found]
    wanted = {chosen(names, asked) for asked in arguments.names} or set(names)
    picked = [card for card in found if card.name in wanted]
    if arguments.notebooks or arguments.html:
        return publish(arguments, picked, arguments.notebooks or arguments.html)
    if arguments.quick:
        raise ConfigError("--quick is for --notebooks or --html; a lesson alone takes it too")
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
        f"{program} lessons --html site": "all of them as pages with text, mathematics and figures",
        f"{program} lessons --notebooks notebooks": "all of them as notebooks that have run",
    }


def publish(arguments: argparse.Namespace, picked: Sequence[Card], folder: Path) -> int:
    """Run each lesson and write its notebook or page; name those that did not run to their end."""
    from minikd.lessons.notebook import as_bytes, execute, require_extra
    from minikd.lessons.site import write_index, write_page

    require_extra()
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for card in picked:
        print(f"{card.name} ...", end=" ", file=standard_error(), flush=True)
        started = time.monotonic()
        executed = execute(card.path, folder, arguments.quick)
        if arguments.html:
            write_page(card, executed, picked, folder, arguments.quick)
        else:
            write_atomically(folder / f"{card.name}.ipynb", as_bytes(executed.notebook))
        say(f"{time.monotonic() - started:.0f} s")
        if executed.trouble:
            failed += 1
            tell("error", f"{card.path}: {executed.trouble}")
    written = write_index(picked, folder, arguments.quick) if arguments.html else folder
    if arguments.json:
        print(json_text({"lessons": len(picked), "failed": failed, "written": str(written)}))
    else:
        print(f"{len(picked)} lessons{f', {failed} of them failed' if failed else ''}: {written}")
        print_next({f"open {quoted(written)}": "read them"})
    return 1 if failed else 0


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
