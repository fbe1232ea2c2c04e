"""`minikd bench`: check what was asked for, measure, print the table, write the numbers and the figure."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from minikd.cli.commands import as_typed, check_least
from minikd.cli.json_text import json_text
from minikd.cli.next_steps import print_next
from minikd.console import terminal
from minikd.errors import ConfigError
from minikd.evidence.bench.circumstances import OPENBLAS
from minikd.evidence.bench.run import NAMES
from minikd.storage.files import write_atomically
from minikd.training.parallel import cores

NEXT = {
    "bench --scaling": "how time and memory grow",
    "distill --dry-run": "how long the main job takes here",
}
"""What makes sense after a measurement."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def bench(arguments: argparse.Namespace) -> int:
    """Time minikd beside PyTorch and the matrix products alone, or how its time and memory grow."""
    names, threads = chosen(arguments), threads_of(arguments)
    check_least("--repeats", 1 if arguments.repeats is None else arguments.repeats, 1, 10**6)
    for flag, path in {"--output": arguments.output, "--figure": arguments.figure}.items():
        check_path(flag, path)
    if found := [name for name in OPENBLAS if name in os.environ]:
        return again_without(found, arguments.typed)
    return scaling(arguments, threads) if arguments.scaling else race(arguments, names, threads)


def race(arguments: argparse.Namespace, names: list[str], threads: int) -> int:
    """Time the works of these names."""
    from minikd.evidence.bench import run
    from minikd.evidence.bench.figure import ratio_figure
    from minikd.evidence.bench.table import text

    effort = run.QUICK if arguments.quick else run.Effort()
    report = run.run(names, replace(effort, repeats=arguments.repeats or effort.repeats), threads, terminal.say)
    if arguments.figure:
        draw(arguments.figure, ratio_figure(report))
    return say(report, arguments, lambda: text(report), NEXT)


def scaling(arguments: argparse.Namespace, threads: int) -> int:
    """Measure how time and memory grow."""
    from minikd.evidence.bench import growth
    from minikd.evidence.bench.growth_report import growth_figure, text

    span = growth.QUICK if arguments.quick else growth.Span()
    found = growth.growth(replace(span, repeats=arguments.repeats or span.repeats), threads, terminal.say)
    if arguments.figure:
        draw(arguments.figure, growth_figure(found))
    return say(found, arguments, lambda: text(found), NEXT)


def draw(path: Path, figure: "Figure") -> None:
    """Write a figure as PNG, whatever the user's own matplotlibrc says."""
    from minikd.report.figures import png

    write_atomically(path, png(figure))


def say(report: object, arguments: argparse.Namespace, text: Callable[[], str], after: Mapping[str, str]) -> int:
    """Print the table and what to do next, or the numbers; write the numbers where they are asked for."""
    numbers = json_text(report) + "\n"
    if arguments.output:
        write_atomically(arguments.output, numbers.encode())
    if arguments.json:
        print(numbers, end="")
    else:
        print(text())
        print_next({f"{as_typed()} {command}": what for command, what in after.items()})
    return 0


def chosen(arguments: argparse.Namespace) -> list[str]:
    """Return the works to measure. Raises ConfigError for a name that is none."""
    if arguments.scaling and arguments.only:
        raise ConfigError("--scaling measures growth and no works, so --only cannot be given beside it; drop one")
    names = arguments.only or NAMES
    for name in names:
        if name == "control":
            raise ConfigError("--only has 'control', which is now 'baseline'")
        if name not in NAMES:
            raise ConfigError(f"--only has {name!r}, but must name works among {', '.join(NAMES)}")
    kept = [name for name in names if name != "job" or arguments.job]
    if not kept:
        raise ConfigError("--no-job leaves nothing of --only job to measure; drop one of the two")
    return kept


def threads_of(arguments: argparse.Namespace) -> int:
    """Return the threads of every side. Raises ConfigError."""
    threads = min(2, cores()) if arguments.threads is None else int(arguments.threads)
    if not 1 <= threads <= cores():
        raise ConfigError(f"--threads is {threads}, but must be from 1 to {cores()}, the cores of this machine")
    return threads


def check_path(flag: str, path: Path | None) -> None:
    """Refuse a file that cannot be written before minutes are spent."""
    if path is None:
        return
    folder = path.parent
    if not folder.is_dir():
        raise ConfigError(f"{flag} is {path}, but there is no folder {folder}; create it first")
    if flag == "--figure" and path.suffix != ".png":
        raise ConfigError(f"--figure is {path}, but must end in .png")


def again_without(names: list[str], typed: list[str]) -> int:
    """Run the same command in a process without these variables: OpenBLAS reads them when NumPy is imported."""
    terminal.say(f"run again without {', '.join(names)}, which choose OpenBLAS's kernels by hand")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run([sys.executable, "-m", "minikd", *typed], env=environment).returncode
