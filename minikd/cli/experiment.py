"""`minikd experiment`: list the experiments, or run one in its folder and print its table."""

import argparse
import shlex
from pathlib import Path

from minikd.cli.bench import check_path
from minikd.cli.commands import as_typed, check_least
from minikd.cli.json_text import json_text
from minikd.files import write_atomically
from minikd.interrupts import advising
from minikd.parallel import cores


def experiment(arguments: argparse.Namespace) -> int:
    """Run an experiment, or go on with it; 1 where a cell failed. Without a name, list them all."""
    from minikd.experiments.catalogue import EXPERIMENTS
    from minikd.experiments.catalogue import experiment as named
    from minikd.experiments.table import listing, text
    from minikd.experiments.whole import run

    if arguments.name is None:
        print(listing(EXPERIMENTS.values()))
        return 0
    chosen, jobs = named(arguments.name), cores() if arguments.jobs is None else arguments.jobs
    check_least("--seeds", arguments.seeds, 1, 1000)
    check_least("--jobs", jobs, 1, 1000)
    check_path("--json", arguments.json)
    folder = arguments.folder or chosen.folder(arguments.preset)
    again = shlex.join(arguments.typed)
    with advising(lambda: f"stopped; what has ended is kept; go on with:\n  {as_typed()} {again}"):
        report = run(chosen, arguments.preset, arguments.seeds, jobs, folder, arguments.quiet)
    numbers = json_text(report) + "\n"
    if arguments.json == "-":
        print(numbers, end="")
    else:
        if arguments.json:
            write_atomically(Path(arguments.json), numbers.encode())
        print(f"{text(report)}\n\nnumbers and figure: {folder}")
    return 1 if report["failed"] else 0
