"""`minikd info`: prints versions, processor, BLAS and backend; or says what files of minikd are."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, print_next
from minikd.cli.shared_flags import add_backend, add_json, add_layers
from minikd.console.layout import paragraph
from minikd.errors import CheckpointError


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the files to describe, and the backend to use."""
    to.usage = "minikd info [FILE ...] [options]"
    to.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="files of a run, or its folder: print what each is, and whether it is damaged",
    )
    add_backend(to, "backend to use")
    add_layers(to)
    add_json(to)


def run(arguments: argparse.Namespace) -> int:
    """Print versions, processor, BLAS, the backend and why it was chosen; or describe files."""
    from minikd.backends import choose, which_loops
    from minikd.machine import machine, versions

    if arguments.files:
        return tell_files(arguments.files, arguments.json)
    backend, here, loops = choose(arguments.backend), machine(), which_loops()
    steps = steps_on(backend.name)
    if arguments.json:
        found = {"backend": backend.name, "reason": backend.reason, "loops": loops, "steps": steps}
        print(json_text({**found, "machine": here, "versions": versions()}))
        return 0
    rows = {"backend": f"{backend.name} ({backend.reason})", "loops": loops, "steps": steps, **here, **versions()}
    for name, value in rows.items():
        if value != "":
            print(paragraph(f"{name:<12} {value}", hanging=13))
    program = as_typed()
    print_next(
        {
            f"{program} distill --quick": "a trial on this machine",
            f"{program} gradcheck": "check every gradient on this machine",
            f"{program} info runs/NAME": "what the files of a run are, and whether they are damaged",
        }
    )
    return 0


def steps_on(backend: str) -> str:
    """Return how a device takes a training step; "" on NumPy."""
    from minikd.methods import METHODS, build

    if backend == "numpy":
        return ""
    eager = ", ".join(name for name in METHODS if build(name, {}).eager)
    return f"one CUDA graph each; kernel by kernel for some methods ({eager}: `minikd methods NAME` says why)"


def tell_files(paths: Sequence[Path], as_json: bool) -> int:
    """Print what each file is, and whether its checksum is right. Raises CheckpointError if one is damaged."""
    from minikd.cli.contents import contents_of, lines_of

    found = contents_of(paths)
    print(json_text(found) if as_json else "\n".join(map(lines_of, found)))
    if wrong := [one["path"] for one in found if one["error"]]:
        raise CheckpointError(f"{len(wrong)} of {len(found)} files cannot be used: {', '.join(wrong)}")
    if not as_json:
        print_next({f"{as_typed()} runs": "the runs here, with their results"})
    return 0
