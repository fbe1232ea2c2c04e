"""`minikd lessons`: lists the lessons, or writes the site or notebooks."""

import argparse
import sys
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, print_next, python_as_typed, short_path
from minikd.cli.shared_flags import add_json, check_unused
from minikd.console.layout import columns, paragraph, styled
from minikd.distillation.folder import quoted
from minikd.errors import ConfigError
from minikd.lessons.library import LessonCard, cards, chosen, lessons_folder

MINUTES = len("read")
"""Width of the two columns with a lesson's minutes, to read and to run."""


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add flags for which lessons, and in which form to write them."""
    to.usage = "minikd lessons [NAME ...] [options]"
    to.add_argument("names", nargs="*", metavar="NAME", help="lessons, as 03 (default: all)")
    written = to.add_mutually_exclusive_group()
    written.add_argument("--notebooks", type=Path, metavar="DIR", help="write notebooks here (default: list)")
    written.add_argument("--html", type=Path, metavar="DIR", help="run them; write the site here (default: list)")
    to.add_argument("--serve", action="store_true", help="write the site (default: to site/), show it on this machine")
    to.add_argument("--port", type=int, metavar="N", help="--serve: the port; 0: any that is free (default: 8000)")
    to.add_argument(
        "--pyodide",
        default="",
        metavar="PLACE",
        help="--html, --serve: where pages get Pyodide: https://..., or a folder, which is copied (default: its CDN)",
    )
    to.add_argument("--quick", action="store_true", help="--html, --serve: seconds for each lesson (default: minutes)")
    add_json(to)


def run(arguments: argparse.Namespace) -> int:
    """List lessons, or write the site or notebooks."""
    if arguments.serve and arguments.notebooks:
        raise ConfigError("--serve shows the site; leave out --notebooks")
    if arguments.serve and arguments.json:
        raise ConfigError("--serve runs until Ctrl-C; leave out --json")
    if arguments.serve:
        return served(arguments)
    check_unused({"--port": arguments.port is not None}, "without --serve")
    if arguments.html:
        return site(arguments)
    if arguments.pyodide:
        raise ConfigError("--pyodide is for --html and --serve")
    found = cards(lessons_folder())
    names = [card.name for card in found]
    wanted = {chosen(names, asked) for asked in arguments.names} or set(names)
    picked = [card for card in found if card.name in wanted]
    if arguments.notebooks:
        return notebooks(arguments, picked)
    if arguments.quick:
        raise ConfigError("--quick is for --html and --serve; a single lesson takes it too")
    if arguments.json:
        print(json_text([{"name": card.name, **asdict(card), "path": str(card.path)} for card in picked]))
        return 0
    print(listing(picked))
    print_next(how_to_start(lessons_folder()))
    return 0


def listing(picked: Sequence[LessonCard]) -> str:
    """Return the lessons as a table: number, title, minutes to read and to run, what each needs."""
    room = columns() - len(f"{'':4}  read   run  ")
    title = max(20, min(46, room // 2))
    head = f"{'':4}{'':{title}}  {'read':>{MINUTES}}  {'run':>{MINUTES}}  needs"
    drawn = [styled(head, "bold"), "─" * columns()]
    for card in picked:
        titles, needs = textwrap.wrap(card.title, title), textwrap.wrap(card.needs, room - title)
        rows = zip_longest([str(card.number)], titles, [str(card.reading)], [str(card.minutes)], needs, fillvalue="")
        drawn += [
            f"{number:>2}  {name:{title}}  {reading:>{MINUTES}}  {minutes:>{MINUTES}}  {need}".rstrip()
            for number, name, reading, minutes, need in rows
        ]
    drawn += ["", paragraph("read: minutes to read, about; run: minutes to run on two cores (--quick: seconds)")]
    return "\n".join(drawn)


def how_to_start(folder: Path) -> dict[str, str]:
    """Return the commands that a reader needs next."""
    program = as_typed()
    return {
        f"{python_as_typed()} {quoted(short_path(folder / '01_softmax.py'))}": "runs a lesson; --quick: in seconds",
        f"{program} check 01": "creates its exercise in work/, then checks your solution",
        f"{program} lessons --html site": "a site: these lessons with their results, and all of docs/",
        f"{program} lessons --notebooks notebooks": "all of them as notebooks",
    }


def site(arguments: argparse.Namespace) -> int:
    """Write the site. Return 1 if a lesson did not run to its end or a link leads nowhere."""
    right, page = write(arguments), arguments.html / "index.html"
    if arguments.json:
        print(json_text({"ok": right, "written": str(page)}))
        return 0 if right else 1
    print(f"{'the site' if right else 'the site, with the faults named above'}: {page}")
    print_next({f"open {quoted(page)}": "read it"})
    return 0 if right else 1


def write(arguments: argparse.Namespace) -> bool:
    """Write the site to --html, and return whether there were no errors."""
    from minikd.lessons.publish import require_extra, write_site

    if arguments.names:
        raise ConfigError("the whole site is written; leave out the names of lessons")
    require_extra()
    return write_site(lessons_folder(), arguments.html, arguments.quick, arguments.pyodide)


def served(arguments: argparse.Namespace) -> int:
    """Write the site and serve it on this machine until Ctrl-C."""
    from minikd.lessons.serve import address, server

    arguments.html = arguments.html or Path("site")
    with server(arguments.html, 8000 if arguments.port is None else arguments.port) as pages:
        right = write(arguments)
        print(f"{'the site' if right else 'the site, with the faults named above'}: {address(pages)}  (Ctrl-C ends it)")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            pages.serve_forever()
    return 0 if right else 1


def notebooks(arguments: argparse.Namespace, picked: Sequence[LessonCard]) -> int:
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
