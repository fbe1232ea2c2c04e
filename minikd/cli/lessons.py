"""`minikd lessons`: list the lessons, or write them as notebooks or pages; `minikd check`: a reader's exercises."""

import argparse
import textwrap
import time
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from minikd.cli.commands import as_typed
from minikd.errors import ConfigError
from minikd.files import write_atomically
from minikd.lessons.library import Card, cards, chosen, lessons_folder
from minikd.terminal import one_line, say, standard_error

TITLE, NEEDS = 46, 40
"""Columns of a lesson's title and of what it needs."""


def lessons(arguments: argparse.Namespace) -> int:
    """List lessons, or run them as notebooks and write these or pages; 1 where one did not run to its end."""
    found = cards(lessons_folder())
    names = [card.name for card in found]
    wanted = {chosen(names, asked) for asked in arguments.names} or set(names)
    picked = [card for card in found if card.name in wanted]
    if arguments.notebooks or arguments.html:
        return publish(picked, arguments.notebooks or arguments.html, bool(arguments.html), arguments.quick)
    if arguments.quick:
        raise ConfigError("--quick is for --notebooks or --html; a lesson alone takes it too")
    print(listing(picked))
    print(f"\n{how_to_start(lessons_folder())}")
    return 0


def listing(picked: Sequence[Card]) -> str:
    """Return the lessons as a table: number, title, minutes, what each needs."""
    head = f"{'':4}{'':{TITLE}}  minutes  needs"
    lines = [head, "─" * (len(head) + NEEDS - len("needs"))]
    for card in picked:
        titles, needs = textwrap.wrap(card.title, TITLE), textwrap.wrap(card.needs, NEEDS)
        rows = zip_longest([str(card.number)], titles, [str(card.minutes)], needs, fillvalue="")
        lines += [
            f"{number:>2}  {title:{TITLE}}  {minutes:>7}  {need}".rstrip() for number, title, minutes, need in rows
        ]
    return "\n".join(lines)


def how_to_start(folder: Path) -> str:
    """Return the commands that a reader needs next."""
    program = as_typed()
    rows = {
        f"{python_as_typed()} {folder / '01_softmax.py'}": "runs a lesson; --quick: in seconds",
        f"{program} check 01": "puts its exercise into work/, and checks what you wrote there",
        f"{program} lessons --html site": "all of them as pages with text, mathematics and figures",
        f"{program} lessons --notebooks notebooks": "all of them as notebooks that have run",
    }
    width = max(map(len, rows))
    return "\n".join(f"{command:{width}}   {what}" for command, what in rows.items())


def python_as_typed() -> str:
    """Return how to call the Python that runs this: the one beside the `minikd` that was typed."""
    program = as_typed()
    module = " -m minikd"
    return program.removesuffix(module) if program.endswith(module) else str(Path(program).with_name("python"))


def publish(picked: Sequence[Card], folder: Path, pages: bool, quick: bool) -> int:
    """Run each lesson and write its notebook or page; name those that did not run to their end."""
    from minikd.lessons.notebook import as_bytes, execute, require_extra
    from minikd.lessons.site import write_index, write_page

    require_extra()
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for card in picked:
        print(f"{card.name} ...", end=" ", file=standard_error(), flush=True)
        started = time.monotonic()
        executed = execute(card.path, folder, quick)
        if pages:
            write_page(card, executed, picked, folder, quick)
        else:
            write_atomically(folder / f"{card.name}.ipynb", as_bytes(executed.notebook))
        say(f"{time.monotonic() - started:.0f} s")
        if executed.trouble:
            failed += 1
            say(f"minikd: {card.path}: {one_line(executed.trouble)}")
    written = write_index(picked, folder, quick) if pages else folder
    print(
        f"{len(picked)} lessons, {failed} of them failed: {written}" if failed else f"{len(picked)} lessons: {written}"
    )
    return 1 if failed else 0


def check(arguments: argparse.Namespace) -> int:
    """Check a reader's exercise, which is put into work/ the first time; without a number, list them all."""
    from minikd.lessons import work

    folder = lessons_folder()
    names = work.exercises(folder)
    if arguments.exercise is None:
        print(exercises_table(folder, names))
        return 0
    name = chosen(names, arguments.exercise)
    again = f"{as_typed()} check {name[:2]}"
    file = arguments.file or work.WORK / f"{name}.py"
    if arguments.file is None and work.begin(folder, name):
        print(f"{file} is new: the skeleton of the exercise. Write its functions there, then once more: {again}\n")
    done = work.checked(folder, name, file)
    if not work.all_right(done):
        print(f"\n{done.right} right, {done.wrong} wrong, {done.to_do} to do: {file}")
        return 1
    later = [one for one in names if one > name]
    onward = f"Next: {python_as_typed()} {folder / later[0]}.py" if later else "That was the last exercise."
    print(f"\n{done.right} right: well done. {onward}")
    return 0


def exercises_table(folder: Path, names: Sequence[str]) -> str:
    """Return the exercises with the state of the reader's work."""
    from minikd.lessons.work import state

    width = max(map(len, names), default=0)
    lines = [f"{name:{width}}   {state(folder, name)}" for name in names]
    return "\n".join([*lines, "", f"{as_typed()} check 01 puts the first into work/, and checks what you wrote there."])
