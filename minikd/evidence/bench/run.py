"""A whole run of the benchmark: checks each work, then times it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TypedDict

import numpy as np

from minikd.backends.host import host_loops
from minikd.evidence.bench import whole
from minikd.evidence.bench.agreement import check_agreement
from minikd.evidence.bench.circumstances import BenchConditions, circumstances
from minikd.evidence.bench.engines import engine_sides
from minikd.evidence.bench.ours import NumpyAlone, our_side
from minikd.evidence.bench.roofline import Roofline
from minikd.evidence.bench.rows import BenchRow, timed_row
from minikd.evidence.bench.theirs import TorchInference, TorchTraining, torch_sides
from minikd.evidence.bench.timing import race
from minikd.evidence.bench.works import WORKS, Benchmark, TeacherAndStudent
from minikd.training.parallel import workers

ROOFLINE = 2.0
"""The largest ratio that a step's time should have to the time of its matrix products."""


@dataclass(frozen=True)
class Effort:
    """The amount of work: bursts of every side, seconds of a burst, images of the data set, length of the job."""

    repeats: int = 15
    burst: float = 0.15
    images: int = 60_000
    length: whole.JobLength = field(default_factory=whole.JobLength)


QUICK = Effort(repeats=2, burst=0.01, images=2_000, length=whole.QUICK)
"""Enough to see that everything runs."""

NAMES = (*(work.name for work in WORKS), *whole.WHOLE)
"""The names for --only."""

Say = Callable[[str], None]


class BenchReport(TypedDict):
    """The output of `--json`."""

    machine: BenchConditions
    rows: list[BenchRow]


def run(names: Sequence[str], effort: Effort, threads: int, say: Say) -> BenchReport:
    """Measure the works of these names and return the report; `say` gets the progress.

    PyTorch takes part if it is installed. Raises BenchError if the sides do not agree.
    """
    with_torch = find_spec("torch") is not None
    rows = []
    with workers(threads) as map_:
        stage = TeacherAndStudent.of(effort.images, map_, threads)
        for work in WORKS:
            if work.name in names:
                say(f"{work.title} ...")
                rows.append(measure(work, stage, effort, with_torch))
    for name, rows_of in whole.WHOLE.items():
        if name in names:
            say(f"{name} ...")
            rows += rows_of(effort.length, threads, with_torch)
    return BenchReport(machine=circumstances(threads, with_torch), rows=rows)


def measure(work: Benchmark, stage: TeacherAndStudent, effort: Effort, with_torch: bool) -> BenchRow:
    """Check that all sides of a work agree, time them, and return its line."""
    if work.colour:
        stage = stage.on_colour()
    problem = work.problem(stage)
    roofline, ours = Roofline(problem, stage), [our_side(problem, stage)]
    if host_loops() is not None:
        ours.append(NumpyAlone(problem, stage))
    theirs: Sequence[TorchTraining | TorchInference] = torch_sides(problem, stage) if with_torch else []
    engines, lacking = engine_sides(problem, stage)
    check_agreement(work.title, [*ours, *theirs, *engines], work.bound)
    times = race([*ours, *theirs, *engines, roofline], effort.repeats, effort.burst, np.random.default_rng(0))
    return {
        **timed_row(times, [side.name for side in theirs], [side.name for side in engines], roofline.name),
        "lacking": lacking,
        "first_call_s": {side.name: side.first_seconds for side in theirs if side.compiled},
        "work": work.name,
        "title": work.title,
        "target_default": work.against_default,
        "target_best": work.against_best,
        "target_roofline": ROOFLINE,
    }
