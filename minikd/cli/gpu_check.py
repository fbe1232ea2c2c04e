"""`minikd gpu-check`: compares results on a GPU with NumPy's, and times training steps."""

import argparse
from pathlib import Path

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, print_next
from minikd.cli.shared_flags import add_json, check_least
from minikd.console.terminal import say


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add flags for how long to time, and where to write the report."""
    to.add_argument("--batch-size", type=int, default=128, metavar="N", help="images in a step (default: 128)")
    to.add_argument("--steps", type=int, metavar="N", help="steps to time (default: 50; quick: 5)")
    to.add_argument(
        "--quick", action="store_true", help="a trial in seconds: only float32, few steps (default: minutes)"
    )
    to.add_argument(
        "--output",
        type=Path,
        default=Path("gpu-check.json"),
        metavar="FILE",
        help="file for the report (default: gpu-check.json)",
    )
    add_json(to)


def run(arguments: argparse.Namespace) -> int:
    """Compare the device with NumPy, print the result and write it to a file. Return 1 if something differs."""
    from minikd.backends import choose
    from minikd.evidence import gpu_check

    check_least("--batch-size", arguments.batch_size, 1, 10**6)
    steps = (5 if arguments.quick else 50) if arguments.steps is None else arguments.steps
    check_least("--steps", steps, 1, 10**6)
    device = choose("cupy")
    say("comparing with NumPy; the first run compiles its kernels")
    report = gpu_check.run(device, arguments.output, arguments.batch_size, steps, arguments.quick)
    if arguments.json:
        print(json_text(report))
    else:
        print(f"{gpu_check.text(report)}\n\nwritten to {arguments.output}; please attach it to an issue")
        print_next({f"{as_typed()} distill --backend cupy": "the main job there"})
    return 0 if report["ok"] else 1
