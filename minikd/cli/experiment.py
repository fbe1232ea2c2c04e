"""`minikd experiment`: lists the experiments, or runs one in its folder and prints its table."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, print_next
from minikd.cli.shared_flags import add_json, add_output, add_quiet, check_least, check_path, check_unused
from minikd.console.interrupts import advising
from minikd.distillation.folder import quoted
from minikd.errors import ConfigError
from minikd.storage.files import write_atomically
from minikd.training.parallel import cores

if TYPE_CHECKING:
    from minikd.evidence.experiments.experiment import Experiment


def beside_methods(chosen: "Experiment", methods: list[str]) -> "Experiment":
    """Return the experiment `methods` with only these methods. Raises ConfigError for another experiment."""
    from minikd.evidence.experiments.methods import with_methods

    if chosen.name != "methods":
        raise ConfigError(f"--method is for the experiment methods, not for {chosen.name}; leave it out")
    return with_methods(methods)


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add flags for which experiment to run, how thoroughly, and where to store it."""
    to.usage = "minikd experiment [NAME] [options]"
    to.add_argument("name", nargs="?", metavar="NAME", help="the experiment (default: list all)")
    to.add_argument(
        "--method",
        action="append",
        metavar="NAME",
        help="experiment methods: only this method, or FILE.py:NAME; may be repeated (default: all)",
    )
    to.add_argument("--seeds", type=int, metavar="N", help="number of seeds for every row (default: 5)")
    to.add_argument("--preset", metavar="NAME", help="tiny (a trial), short or full (default: short)")
    to.add_argument("--jobs", type=int, metavar="N", help="processes, one thread each (default: one for each core)")
    to.add_argument(
        "--folder", type=Path, metavar="DIR", help="folder for the experiment (default: experiments/NAME-PRESET)"
    )
    to.add_argument("--quick", action="store_true", help="a trial in seconds: preset tiny, one seed (default: minutes)")
    add_json(to)
    add_output(to)
    add_quiet(to)


def run(arguments: argparse.Namespace) -> int:
    """Run or resume an experiment. Return 1 if a cell failed. Without a name, list all experiments."""
    from minikd.evidence.experiments.catalogue import EXPERIMENTS
    from minikd.evidence.experiments.catalogue import experiment as named
    from minikd.evidence.experiments.table import listed, listing, text
    from minikd.evidence.experiments.whole import run

    program = as_typed()
    if arguments.name is None:
        names = ("method", "seeds", "preset", "jobs", "folder", "quick", "output")
        check_unused({f"--{name}": getattr(arguments, name) for name in names}, "without the name of an experiment")
        if arguments.json:
            print(json_text(listed(EXPERIMENTS.values())))
            return 0
        print(listing(EXPERIMENTS.values()))
        first = next(iter(EXPERIMENTS))
        print_next({f"{program} experiment {first} --quick": "a trial in a minute"})
        return 0
    preset, seeds = arguments.preset or "short", 5 if arguments.seeds is None else arguments.seeds
    if arguments.quick:
        preset, seeds = arguments.preset or "tiny", arguments.seeds or 1
    chosen, jobs = named(arguments.name), cores() if arguments.jobs is None else arguments.jobs
    if arguments.method:
        chosen = beside_methods(chosen, arguments.method)
    check_least("--seeds", seeds, 1, 1000)
    check_least("--jobs", jobs, 1, 1000)
    check_path("--output", arguments.output)
    folder = arguments.folder or chosen.folder(preset)
    again = shlex.join(arguments.typed)
    with advising(lambda: f"stopped; finished cells are kept; continue with:\n  {program} {again}"):
        report = run(chosen, preset, seeds, jobs, folder, arguments.quiet)
    after = {f"open {quoted(folder)}": "its figure, and the numbers seed by seed"}
    numbers = json_text(report) + "\n"
    if arguments.output:
        write_atomically(arguments.output, numbers.encode())
    if arguments.json:
        print(numbers, end="")
    else:
        print(text(report))
        print_next(after)
    return 1 if report["failed"] else 0
