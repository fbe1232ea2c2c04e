"""Measures whole processes: their seconds from start to end, and their peak memory."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from minikd.errors import BenchError
from minikd.storage.reading import excerpt
from minikd.storage.schema import as_type, from_json

CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True)
class ProcessUsage:
    """The time and memory of a process, and the last line that it printed."""

    seconds: float
    peak_bytes: float
    said: str


class ChildReport(TypedDict):
    """What `child.py` prints when its command has ended."""

    seconds: float
    peak_bytes: int


def run_measured(command: Sequence[str], threads: int) -> ProcessUsage:
    """Run Python with these arguments on this many cores. Raises BenchError, with the output, if it fails."""
    whole = [sys.executable, "-I", "-S", str(CHILD), str(threads), sys.executable, *command]
    done = subprocess.run(whole, capture_output=True, encoding="utf-8", errors="backslashreplace")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BenchError(f"python {' '.join(command)} ended with status {done.returncode}: {last}")
    *said, record = done.stdout.splitlines() or [""]
    try:
        numbers = as_type(from_json(record), ChildReport)
    except ValueError as error:
        raise BenchError(
            f"python {' '.join(command)} ended, but printed {excerpt(repr(record))} instead of its times"
        ) from error
    return ProcessUsage(numbers["seconds"], numbers["peak_bytes"], said[-1] if said else "")


def take_turns(commands: Mapping[str, Sequence[str]], repeats: int, threads: int) -> dict[str, list[ProcessUsage]]:
    """Run every command `repeats` times, one after the other, round by round."""
    found: dict[str, list[ProcessUsage]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            found[name].append(run_measured(command, threads))
    return found
