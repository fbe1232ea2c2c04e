"""Flags that several commands share, and the checks of their values."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from minikd.errors import ConfigError


def add_quiet(to: argparse._ActionsContainer) -> None:
    """Add --quiet."""
    to.add_argument("--quiet", action="store_true", help="no progress on standard error (default: progress)")


def add_json(to: argparse._ActionsContainer) -> None:
    """Add --json, which means the same in all commands: standard output is one JSON value and nothing else."""
    to.add_argument("--json", action="store_true", help="print the results as JSON (default: text)")


def add_output(to: argparse._ActionsContainer) -> None:
    """Add --output, a file for the numbers."""
    to.add_argument(
        "--output", type=Path, metavar="FILE", help="also write the numbers to this file, as JSON (default: no file)"
    )


def add_backend(to: argparse._ActionsContainer, what: str) -> None:
    """Add --backend."""
    from minikd.backends import CHOICES

    to.add_argument("--backend", choices=CHOICES, default="auto", help=f"{what} (default: auto)")


def add_layers(to: argparse._ActionsContainer) -> None:
    """Add --layers. A weights file contains no code, so the user names the file with the layers' classes."""
    to.add_argument(
        "--layers",
        action="append",
        type=Path,
        metavar="FILE.py",
        help="file with your layers that the weights need; may be repeated (default: only minikd's layers)",
    )


def run_layers(arguments: argparse.Namespace) -> None:
    """Run the files of --layers, so that their classes exist. Raises ConfigError with the line that fails."""
    if files := getattr(arguments, "layers", None):
        from minikd.outside import run_file

        for path in files:
            run_file(path)


def check_least(flag: str, value: int, least: int, most: int = 2**63 - 1) -> None:
    """Refuse a flag's number below the least or above the most."""
    from minikd.settings import brief

    if value < least:
        raise ConfigError(f"{flag} is {brief(value)}, but must be at least {least}")
    if value > most:
        raise ConfigError(f"{flag} is {brief(value)}, but must be at most {most:,}")


def check_unused(given: Mapping[str, object], why: str) -> None:
    """Refuse those of these flags that are given (their values are true), because they have no effect."""
    if found := [flag for flag, value in given.items() if value]:
        raise ConfigError(f"{' and '.join(found)} would have no effect {why}; leave out what you do not need")


def check_path(flag: str, path: Path | None) -> None:
    """Refuse a file that cannot be written, before minutes of work."""
    if path is None:
        return
    folder = path.parent
    if not folder.is_dir():
        raise ConfigError(f"{flag} is {path}, but there is no folder {folder}; create it first")
    if flag == "--figure" and path.suffix != ".png":
        raise ConfigError(f"--figure is {path}, but must end in .png")
