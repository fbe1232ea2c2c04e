"""The `minikd` command and its subcommands."""

import argparse
import difflib
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from minikd.cli.failures import REFUSED, bug, reason, refused, status_of
from minikd.cli.next_steps import columns_of
from minikd.cli.shared_flags import run_layers
from minikd.console.interrupts import exit_status, say_stopped
from minikd.console.layout import paragraph
from minikd.console.notices import printed
from minikd.console.terminal import one_line, safe_streams
from minikd.errors import MinikdError
from minikd.machine import own_version
from minikd.outside import user_file_error

RAW = argparse.RawDescriptionHelpFormatter
"""Does not wrap descriptions, because their lines already fit."""

DESCRIPTION = "Knowledge distillation from scratch: every gradient by hand, on NumPy or CuPy."

BEGIN = {
    "minikd distill --quick": "a trial, in seconds",
    "minikd distill": "the full run, on MNIST",
    "minikd lessons": "learn how it works",
}

COMMANDS = {
    "distill": "train a teacher, a baseline and a distilled student; report the gain",
    "train": "train one model of a recipe on the labels",
    "runs": "list the runs in a folder, with their results",
    "methods": "list the methods of distillation, and which the networks of a recipe can use",
    "evaluate": "measure errors, likelihood and calibration of trained weights on a test set",
    "predict": "classify a picture with the teacher and the students",
    "export": "write a model as ONNX, C or a page; without --to: list the exports, with sizes",
    "gradcheck": "check every gradient, or those of your own layer",
    "check-loss": "check your own distillation loss, written in NumPy or PyTorch",
    "compare": "compare every layer, loss, optimiser and schedule with PyTorch's",
    "gpu-check": "compare results on a GPU with NumPy's, and time training steps",
    "info": "print versions, BLAS and the backend; with FILE: what the file is",
    "bench": "time minikd, PyTorch and the matrix products alone",
    "experiment": "train many models over several seeds and compare; without NAME: list all",
    "pitfalls": "list known bugs of distillation: their effect, their cost and the check that finds each",
    "lessons": "list the lessons, or write the site or notebooks",
    "check": "check your work on a lesson's exercise; without NN: list the exercises",
    "completion": "print a script that lets a shell complete commands, flags and values",
}
"""The commands, each with its line of help. A command's flags and body are in the module `minikd.cli.NAME`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    0: success. 1: a check failed. 2: an error that the user can fix. 70: a bug in minikd. 130: stopped by Ctrl-C; after
    another signal, 128 plus the signal's number.
    """
    with safe_streams() as out:
        try:
            with printed():
                status, arguments = 0, parsed(argv)
                if "command" in arguments:
                    run_layers(arguments)
                    status = int(command_module(arguments.command).run(arguments))
        except SystemExit as stop:  # from argparse, after --help and for a flag that it cannot read
            raise SystemExit(status_of(out, int(stop.code or 0))) from None
        except MinikdError as error:
            status = refused(str(error))
        except KeyboardInterrupt:
            say_stopped()
            status = exit_status()
        except (OSError, MemoryError, RecursionError, ImportError) as error:
            status = refused(user_file_error(error) or reason(error))
        except Exception as error:
            status = refused(why) if (why := user_file_error(error)) else bug()
        return status_of(out, status)


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line. Without a command, print the help."""
    words = sys.argv[1:] if argv is None else list(argv)
    top = parser(next((word for word in words if not word.startswith("-")), ""))
    arguments, unknown = top.parse_known_args(words)
    of = arguments.parser if "command" in arguments else top
    if unknown:
        of.error(unknown_flags(of, unknown))
    if of is top:
        top.print_help()
    arguments.typed = words
    return arguments


class Parser(argparse.ArgumentParser):
    """A parser whose error message is one line, without a list of all flags."""

    def error(self, message: str) -> NoReturn:
        hint = "" if message.endswith("?") or "--help" in message else f"; see {self.prog} --help"
        self.exit(REFUSED, f"{self.prog}: error: {one_line(message)}{hint}\n")


def parser(command: str = "", complete: bool = False) -> argparse.ArgumentParser:
    """Return the parser with the flags of one command, or with those of all commands if `complete`.

    Only the modules of these commands are imported, so that `minikd --help` is fast.
    """
    top = Parser("minikd", description=DESCRIPTION, epilog=columns_of("to begin", BEGIN), formatter_class=RAW)
    top.add_argument("--version", action="version", version=f"minikd {own_version()}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    for name, line in COMMANDS.items():
        described = paragraph(f"{line[0].upper()}{line[1:]}.")
        own_help = name in ("distill", "train")  # their help shows only the flags that most people need
        made = commands.add_parser(name, help=line, description=described, formatter_class=RAW, add_help=not own_help)
        made.set_defaults(parser=made, command=name)
        if complete or name == command:
            command_module(name).add_flags(made)
    return top


def command_module(command: str) -> ModuleType:
    """Return the module of a command."""
    return import_module(f"minikd.cli.{command.replace('-', '_')}")


def unknown_flags(of: argparse.ArgumentParser, unknown: list[str]) -> str:
    """Say which arguments a subcommand does not know, and for the first one the most similar flags."""
    wrong = unknown[0].split("=")[0]
    flags = [word for word in of.format_help().replace(",", " ").split() if word.startswith("--")]
    near = [flag for flag in flags if flag.endswith(wrong[1:])] or difflib.get_close_matches(wrong, flags, cutoff=0.7)
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else f"see {of.prog} --help"
    return f"unknown: {' '.join(unknown)}; {hint}"
