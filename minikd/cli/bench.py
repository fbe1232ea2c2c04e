"""`minikd bench`: checks the flags, measures, prints the table, writes the numbers and the figure."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from minikd.backends import cupy_problem
from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, print_next
from minikd.cli.shared_flags import add_json, add_output, check_least, check_path, check_unused
from minikd.console import terminal
from minikd.errors import BackendError, ConfigError
from minikd.evidence.bench.circumstances import OPENBLAS
from minikd.evidence.bench.run import NAMES
from minikd.settings import with_new_name
from minikd.storage.files import write_atomically
from minikd.training.parallel import cores

NEXT = {
    "bench --scaling": "how time and memory grow",
    "distill --dry-run": "how long the main job takes here",
}
"""The next steps after a measurement."""

NEXT_ON_DEVICE = {"distill --backend cupy": "the main job there"}

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add flags for what to measure, how thoroughly, and where to write it."""
    to.add_argument(
        "--only", nargs="+", metavar="NAME", help="works to measure, named as in benchmarks/README.md (default: all)"
    )
    to.add_argument("--repeats", type=int, metavar="N", help="turns of every side (default: 15; scaling: 7)")
    to.add_argument("--threads", type=int, metavar="N", help="threads of every side (default: the cores, at most 2)")
    to.add_argument("--no-job", dest="job", action="store_false", help="leave out the whole job (default: it runs)")
    to.add_argument(
        "--scaling",
        action="store_true",
        help="measure how time and memory grow instead, and one thread against all (default: no)",
    )
    to.add_argument("--quick", action="store_true", help="a trial in seconds (default: minutes)")
    to.add_argument(
        "--backend",
        choices=("numpy", "cupy"),
        default="numpy",
        help="cupy: training steps and inference on a GPU, compared with PyTorch (default: numpy)",
    )
    to.add_argument(
        "--batch-size", type=int, nargs="+", metavar="N", help="with --backend cupy: images in a step (default: 128)"
    )
    to.add_argument("--tf32", action="store_true", help="with --backend cupy: allow products in TF32 (default: no)")
    to.add_argument(
        "--no-compile", action="store_true", help="with --backend cupy: leave torch.compile out (default: no)"
    )
    add_json(to)
    add_output(to)
    to.add_argument("--figure", type=Path, metavar="FILE.png", help="draw the ratios into this file (default: no file)")


def run(arguments: argparse.Namespace) -> int:
    """Compare minikd's times with PyTorch's and the bare matrix products, or measure how time and memory grow."""
    names, threads = chosen(arguments), threads_of(arguments)
    check_least("--repeats", 1 if arguments.repeats is None else arguments.repeats, 1, 10**6)
    for flag, path in {"--output": arguments.output, "--figure": arguments.figure}.items():
        check_path(flag, path)
    if arguments.backend == "cupy":
        alone = {"--scaling": arguments.scaling, "--no-job": not arguments.job, "--figure": arguments.figure}
        check_unused(alone | {"--threads": arguments.threads, "--repeats": arguments.repeats}, "with --backend cupy")
        return on_device(arguments, names)
    if arguments.batch_size or arguments.tf32 or arguments.no_compile:
        raise ConfigError("--batch-size, --tf32 and --no-compile need --backend cupy; add it")
    if found := [name for name in OPENBLAS if name in os.environ]:
        return rerun_without(found, arguments.typed)
    if not arguments.scaling:
        return time_works(arguments, names, threads)
    check_unused({"--no-job": not arguments.job}, "with --scaling")
    return scaling(arguments, threads)


def time_works(arguments: argparse.Namespace, names: list[str], threads: int) -> int:
    """Time the works of these names."""
    from minikd.evidence.bench import run
    from minikd.evidence.bench.figure import ratio_figure
    from minikd.evidence.bench.table import text

    effort = run.QUICK if arguments.quick else run.Effort()
    report = run.run(names, replace(effort, repeats=arguments.repeats or effort.repeats), threads, terminal.say)
    if arguments.figure:
        draw(arguments.figure, ratio_figure(report))
    return print_or_write(report, arguments, lambda: text(report), NEXT)


def on_device(arguments: argparse.Namespace, names: list[str]) -> int:
    """Time the works of these names on a GPU. The numbers are written after every row."""
    os.environ["CUPY_TF32"] = str(int(arguments.tf32))  # CuPy reads it only when it is imported
    if problem := cupy_problem():
        raise BackendError(problem)
    from minikd.evidence.bench.on_device import run
    from minikd.evidence.bench.on_device.table import text

    def each(report: run.CardReport) -> None:
        row = report["rows"][-1]
        terminal.say(f"{row['title']}, batch {row['batch']:,}: {row['side']} {row['how']} {row['error']}".rstrip())
        if arguments.output:
            write_atomically(arguments.output, (json_text(report) + "\n").encode())

    works = [name for name in names if name in run.NAMES]
    if not works:
        raise ConfigError(
            f"--backend cupy cannot measure --only {' '.join(names)}; it can measure {', '.join(run.NAMES)}"
        )
    batches = arguments.batch_size or [128]
    for batch in batches:
        check_least("--batch-size", batch, 1, 60_000)
    way = run.CardSettings(batches, arguments.tf32, arguments.quick, not arguments.no_compile)
    report = run.run(works, way, each)
    return print_or_write(report, arguments, lambda: text(report), NEXT_ON_DEVICE)


def scaling(arguments: argparse.Namespace, threads: int) -> int:
    """Measure how time and memory grow."""
    from minikd.evidence.bench import growth
    from minikd.evidence.bench.growth_report import growth_figure, text

    span = growth.QUICK if arguments.quick else growth.Span()
    found = growth.growth(replace(span, repeats=arguments.repeats or span.repeats), threads, terminal.say)
    if arguments.figure:
        draw(arguments.figure, growth_figure(found))
    return print_or_write(found, arguments, lambda: text(found), NEXT)


def draw(path: Path, figure: "Figure") -> None:
    """Write a figure as PNG, independent of the user's matplotlibrc."""
    from minikd.report.figures import png

    write_atomically(path, png(figure))


def print_or_write(
    report: object, arguments: argparse.Namespace, text: Callable[[], str], after: Mapping[str, str]
) -> int:
    """Print the table and the next steps, or the numbers as JSON. Write the numbers to --output if it is given."""
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
    """Return the works to measure. Raises ConfigError for an unknown name."""
    if arguments.scaling and arguments.only:
        raise ConfigError("--scaling measures growth, not single works, so --only cannot be given too; drop one")
    names = [with_new_name("--only", name, NAMES) for name in arguments.only or NAMES]
    for name in names:
        if name not in NAMES:
            raise ConfigError(f"--only has {name!r}, but must name works among {', '.join(NAMES)}")
    kept = [name for name in names if name != "job" or arguments.job]
    if not kept:
        raise ConfigError("--no-job leaves nothing of --only job to measure; drop one of the two")
    return kept


def threads_of(arguments: argparse.Namespace) -> int:
    """Return the number of threads of every library. Raises ConfigError."""
    threads = min(2, cores()) if arguments.threads is None else int(arguments.threads)
    if not 1 <= threads <= cores():
        raise ConfigError(f"--threads is {threads}, but must be from 1 to {cores()}, the cores of this machine")
    return threads


def rerun_without(names: list[str], typed: list[str]) -> int:
    """Run the same command in a new process without these variables, which OpenBLAS reads when NumPy is imported."""
    terminal.say(f"run again without {', '.join(names)}, which change OpenBLAS's kernels")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run([sys.executable, "-m", "minikd", *typed], env=environment).returncode
