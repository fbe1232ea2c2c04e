"""Costs for a user besides single steps: the whole job, its memory, the import, the installation."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from statistics import median

from minikd.errors import BenchError
from minikd.evidence.bench.footprint import installed_bytes
from minikd.evidence.bench.processes import ProcessUsage, take_turns
from minikd.evidence.bench.rows import BenchRow, sized_row, timed_row
from minikd.evidence.bench.timing import Times
from minikd.storage.reading import excerpt
from minikd.storage.schema import as_type, from_json

HERE = Path(__file__).parent
JOBS = {"minikd": HERE / "job.py", "PyTorch": HERE / "torch_job.py"}


@dataclass(frozen=True)
class JobLength:
    """How much the job is shortened, how often it runs, and how much the accuracies of both sides may differ."""

    teacher_epochs: int = 1
    student_epochs: int = 5
    images: int = 60_000
    repeats: int = 3
    imports: int = 9
    apart: float = 0.02


QUICK = JobLength(student_epochs=1, images=1000, repeats=1, imports=1, apart=1.0)


def job_rows(length: JobLength, threads: int, with_torch: bool) -> list[BenchRow]:
    """Return the lines of the whole job: its time and its peak memory. Raises BenchError if a side fails."""
    names = ["minikd", *(["PyTorch"] if with_torch else [])]
    with as_file(files("minikd").joinpath("data", "mnist")) as data, tempfile.TemporaryDirectory() as out:
        flags = {
            "--teacher-epochs": length.teacher_epochs,
            "--student-epochs": length.student_epochs,
            "--images": length.images,
            "--data": data,
            "--out": out,
        }
        words = [str(word) for flag in flags.items() for word in flag]
        spent = take_turns({name: [str(JOBS[name]), *words] for name in names}, length.repeats, threads)
    check_accuracies(spent, length.apart)
    peaks = {name: median(one.peak_bytes for one in found) for name, found in spent.items()}
    long = f"{length.teacher_epochs} + {length.student_epochs} + {length.student_epochs} epochs"
    time: BenchRow = {**row_of(spent), "work": "job", "title": f"main job, {long}", "target_default": 1.7}
    memory: BenchRow = {
        **sized_row(peaks["minikd"], peaks.get("PyTorch")),
        "work": "memory",
        "title": "peak memory of that job",
        "target_default": 1 / 0.4,
        "repeats": length.repeats,
    }
    return [time, memory]


def import_rows(length: JobLength, threads: int, with_torch: bool) -> list[BenchRow]:
    """Return the line of a new Python process that imports the package and ends."""
    modules = {"minikd": "minikd", **({"PyTorch": "torch"} if with_torch else {})}
    spent = take_turns({name: ["-c", f"import {module}"] for name, module in modules.items()}, length.imports, threads)
    return [{**row_of(spent), "work": "import", "title": "import, in a fresh Python", "target_default": 1 / 0.25}]


def size_rows(length: JobLength, threads: int, with_torch: bool) -> list[BenchRow]:
    """Return the line of the installed packages."""
    theirs = installed_bytes("torch", "numpy") if with_torch else None
    row = sized_row(installed_bytes("minikd"), theirs)
    return [{**row, "work": "size", "title": "installed, with all it needs", "target_default": 1 / 0.35}]


WHOLE: dict[str, Callable[[JobLength, int, bool], list[BenchRow]]] = {
    "job": job_rows,
    "import": import_rows,
    "size": size_rows,
}
"""By name, as for --only."""


def row_of(spent: dict[str, list[ProcessUsage]]) -> BenchRow:
    """Return the numbers of processes' times."""
    times = {name: Times(tuple(1000 * one.seconds for one in found)) for name, found in spent.items()}
    row = timed_row(times, [name for name in times if name != "minikd"], [], "")
    return {**row, "torch_best_ms": None, "best": None, "ratio_best": None}  # there is only one configuration


def check_accuracies(spent: dict[str, list[ProcessUsage]], apart: float) -> None:
    """Refuse jobs whose models have different accuracies."""
    found = {name: accuracies_of(name, runs[0].said) for name, runs in spent.items()}
    for name, accuracies in found.items():
        for model, accuracy in accuracies.items():
            gap = abs(accuracy - found["minikd"][model])
            if gap > apart:
                raise BenchError(
                    f"main job: the {model} of {name} is right on {accuracy:.2%} of the test images and minikd's on "
                    f"{found['minikd'][model]:.2%}, so they did not do the same work; please report it"
                )


def accuracies_of(name: str, said: str) -> dict[str, float]:
    """Return the accuracy of each model from the last line of a side's job. Raises BenchError for another line."""
    try:
        return as_type(from_json(said), dict[str, float])
    except ValueError as error:
        raise BenchError(f"the main job of {name} ended without its accuracies: {excerpt(said)}") from error
