"""`minikd completion SHELL`: prints a script that lets a shell complete minikd's commands, flags and values."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from minikd.errors import ConfigError, how_to_install

PLACES = {"bash": "~/.bashrc", "zsh": "~/.zshrc"}
"""The start-up file of each shell, for the line: eval "$(minikd completion bash)"."""


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the shell's name."""
    where = ", ".join(f"{shell}: {place}" for shell, place in PLACES.items())
    to.add_argument("shell", choices=tuple(PLACES), help=f'for eval "$(minikd completion bash)" in {where}')


def run(arguments: argparse.Namespace) -> int:
    """Print the completion script of a shell."""
    from minikd.cli.flags import choices_of
    from minikd.cli.main import parser

    try:
        import shtab
    except ImportError as error:
        raise ConfigError(f"completion needs shtab, which is not installed: {how_to_install('completion')}") from error
    top = parser(complete=True)
    for action in actions_of(top):
        if not action.choices and (known := choices_of(action.dest)):
            action.choices = known
        elif wants_path(action):
            action.complete = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(top, arguments.shell))
    return 0


def actions_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the flags and arguments of a parser, and of its subcommands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from actions_of(inner)
        else:
            yield action


def wants_path(action: argparse.Action) -> bool:
    """True for a flag or an argument that takes a file or a folder."""
    return action.type is Path or action.dest in ("data", "unlabelled", "teacher.weights", "distillation.ensemble")
