"""`minikd gradcheck`: checks every gradient of the engine, or those of a user's layer."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, lesson, print_next, python_as_typed
from minikd.cli.shared_flags import add_json, check_least
from minikd.console.layout import wrapped_lines
from minikd.errors import ConfigError

if TYPE_CHECKING:
    from minikd.evidence.gradcheck import GradientReport


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the user's layer, the shape of its input, and the seed."""
    to.add_argument("layer", nargs="?", metavar="FILE.py:NAME", help="your layer (default: all of minikd's)")
    to.add_argument("--shape", help="shape of its input, such as 2,3,7,6 (default: the first that works)")
    to.add_argument("--seed", type=int, default=0, help="seed of inputs and directions (default: 0)")
    add_json(to)


def run(arguments: argparse.Namespace) -> int:
    """Check every gradient of the engine, or those of the user's layer. Return 1 if one is wrong."""
    import numpy as np

    from minikd.evidence import gradcheck

    check_least("--seed", arguments.seed, 0)
    alone = arguments.layer is not None
    if not alone and arguments.shape is not None:
        raise ConfigError("--shape is for your own layer; give the layer too, as FILE.py:NAME")
    if alone:
        reports: Sequence[GradientReport] = [
            gradcheck.check_learner(arguments.layer, shape_of(arguments.shape), arguments.seed)
        ]
    else:
        reports = gradcheck.run_suite(np.random.default_rng(arguments.seed))
    ok = all(report.ok for report in reports)
    if arguments.json:
        print(json_text({"ok": ok, "reports": [{"ok": report.ok, **asdict(report)} for report in reports]}))
        return 0 if ok else 1
    print(wrapped_lines(gradcheck.explain(reports[0])) if alone else gradcheck.table(reports))
    print_next(
        lesson(python_as_typed(), "04", "when to believe a gradient check")
        | ({} if alone else {f"{as_typed()} gradcheck FILE.py:NAME": "the same for your own layer"})
    )
    return 0 if ok else 1


def shape_of(text: str | None) -> tuple[int, ...] | None:
    """Return (2, 3, 7, 6) for "2,3,7,6"."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--shape is {text!r}, but must be whole numbers, such as 2,3,7,6") from error
