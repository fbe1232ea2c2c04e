"""The last lines of every command: what to do next."""

import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from minikd.console.layout import columns, paragraph, styled
from minikd.distillation.folder import quoted
from minikd.errors import ConfigError

TABLE, SHIP = "13", "16"
"""The lessons that explain the table of a run, and how to ship a student."""


def as_typed() -> str:
    """Return how this program was called, because .venv/bin/minikd is not found under its bare name."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m minikd"
    found = shutil.which("minikd")
    if program.stem != "minikd" or (found and Path(found).samefile(program)):
        return "minikd"
    return shlex.quote(str(program))


def without_flags(typed: Sequence[str], switch: str, setting: str = "") -> str:
    """Return the typed command without a switch, and without a setting and its value."""
    words, value_comes = [], False
    for word in typed:
        if not value_comes and word not in (switch, setting) and not (setting and word.startswith(f"{setting}=")):
            words.append(word)
        value_comes = word == setting
    return shlex.join(words)


def with_layers(layers: Sequence[Path] | None) -> str:
    """Return the --layers flags that a next command with the same weights needs."""
    return "".join(f" --layers {quoted(file)}" for file in layers or ())


def python_as_typed() -> str:
    """Return how to call the Python that runs this program: it is next to the `minikd` that was typed."""
    program = as_typed()
    module = " -m minikd"
    return program.removesuffix(module) if program.endswith(module) else str(Path(program).with_name("python"))


def print_next(steps: Mapping[str, str]) -> None:
    """Print the next steps, if any: commands or files to open, each with what it does."""
    if steps:
        print(f"\n{next_steps(steps)}")


def next_steps(steps: Mapping[str, str]) -> str:
    """Return the steps under their title."""
    return columns_of(styled("Next", "bold"), steps)


def columns_of(title: str, steps: Mapping[str, str]) -> str:
    """Return commands and what they do in two columns, or one below the other if the terminal is narrow.

    A long command is broken with backslashes, so that it can be copied into a shell.
    """
    room, widest = columns(), max(map(len, steps))
    if 4 + widest + max(map(len, steps.values())) <= room:
        lines = [f"  {command:{widest}}  {what}" for command, what in steps.items()]
    else:
        lines = [f"{continued(command, room)}\n{paragraph(what, 6)}" for command, what in steps.items()]
    return "\n".join([title, *lines])


def continued(command: str, room: int) -> str:
    """Return a command on as many lines as it needs, without breaking a word, quoted or not."""
    lines = ["  "]
    for word in re.findall(r"(?:'[^']*'|\S)+", command):
        if lines[-1].strip() and len(lines[-1]) + len(word) + 2 > room:
            lines.append("    ")
        lines[-1] += word + " "
    return "\\\n".join(lines).rstrip()


def after_distill(program: str, python: str, folder: Path, data: str, student: str) -> dict[str, str]:
    """Return the next steps after a run: its report, its models, the lesson about its table.

    student: the key of the better student, see `verdict.recommended`.
    """
    file = quoted(folder / f"{student}.safetensors")
    of = "" if data == "mnist" else f" --data {quoted(Path(data))}"
    return {
        f"open {quoted(folder / 'report.html')}": "the figures, and how to read them",
        f"{program} predict PICTURE --run {quoted(folder)}": "how each model classifies it",
        f"{program} evaluate {file}{of}": "the student on test images",
        f"{program} export {quoted(folder)}": "the student as ONNX, C or a page",
        **lesson(python, TABLE, "the lesson that explains the table"),
    }


def lesson(python: str, number: str, what: str) -> dict[str, str]:
    """Return the step to a lesson, or none if the lessons are missing, since a wheel contains only the package."""
    from minikd.lessons.library import LESSONS, lessons_folder

    try:
        folder = lessons_folder()
    except ConfigError:
        return {}
    found = [path for path in sorted(folder.glob(LESSONS)) if path.name.startswith(number)]
    return {f"{python} {quoted(path)}": what for path in found}


def short_path(path: Path) -> Path:
    """Return the shortest form of a path: relative to the current folder if it is inside."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
